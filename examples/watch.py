#!/usr/bin/python3
"""Watch a diagnosis: print every message as one line of JSON.

    watch.py ws://127.0.0.1:8000/ws/123 [URL]... --token-file token [--device phone] [--count 3] [--silent 60]

Nothing here is special to diagws: any WebSocket client can do the same. When a connection is lost, or its edge has been
silent for --silent seconds (a message or a heartbeat comes at least each 25 s; an edge that is stuck closes nothing), it
goes on with the next URL from where it was. Exits 0 after --count updates, 2 when the server refuses us, 1 when
another connection took our place.
"""
import argparse
import asyncio
import json
import random
import sys
import urllib.parse

import websockets

FIRST_PAUSE, LONGEST_PAUSE = 0.1, 5.0  # seconds before the next attempt, doubled while they fail


class Watch:
    def __init__(self, arguments):
        self.arguments = arguments
        self.query = {"heartbeat": 1}  # and, from the first message on, where to go on
        self.updates = 0
        self.pause = FIRST_PAUSE
        if arguments.token_file:
            with open(arguments.token_file, encoding="ascii") as file:
                self.query["token"] = file.read().strip()
        if arguments.device:
            self.query["device"] = arguments.device

    def take(self, text):
        """One message; true when it was the last that was asked for."""
        message = json.loads(text)
        kind, data = message["type"], message.get("data", {})
        if kind == "heartbeat":
            return False
        print(text, flush=True)
        if kind == "connect":
            if data["epoch"] != self.query.get("epoch"):
                self.query.pop("after", None)
                self.query["epoch"] = data["epoch"]
            self.pause = FIRST_PAUSE
        elif kind == "shutdown":
            least, most = data["retry_after_ms"]
            self.pause = random.uniform(least, most) / 1000
        elif kind.endswith("_update") and "seq" in message:
            self.query["after"] = message["seq"]
            self.updates += 1
        return 0 < self.arguments.count <= self.updates

    async def listen(self, url):
        """Until the connection ends: an exit status, or None to go on elsewhere."""
        silent = self.arguments.silent
        try:
            # The library's own PINGs are off: a page in a browser has none either.
            async with websockets.connect(f"{url}?{urllib.parse.urlencode(self.query)}", open_timeout=silent,
                                          close_timeout=1, ping_interval=None) as socket:
                while True:
                    if self.take(await asyncio.wait_for(socket.recv(), silent)):
                        return 0
        except websockets.ConnectionClosed as closed:
            print(f"closed: {closed.code} {closed.reason}", file=sys.stderr)
            return {1008: 2, 4001: 1}.get(closed.code)
        except asyncio.TimeoutError:
            print(f"silent for {silent:g} s: {url}", file=sys.stderr)
        except (OSError, websockets.InvalidHandshake) as error:
            print(f"watch.py: {error}", file=sys.stderr)
        return None

    async def run(self):
        for number in range(sys.maxsize):
            status = await self.listen(self.arguments.url[number % len(self.arguments.url)])
            if status is not None:
                return status
            await asyncio.sleep(self.pause)
            self.pause = min(2 * self.pause, LONGEST_PAUSE)


def main():
    parser = argparse.ArgumentParser(description="watch a diagnosis")
    parser.add_argument("url", nargs="+", help="an edge's, and others to go on with")
    parser.add_argument("--token-file")
    parser.add_argument("--device")
    parser.add_argument("--count", type=int, default=0, help="end after so many updates")
    parser.add_argument("--silent", type=float, default=60, metavar="SECONDS",
                        help="go elsewhere after so long without a word (60; more than 25)")
    try:
        return asyncio.run(Watch(parser.parse_args()).run())
    except OSError as error:
        print(f"watch.py: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
