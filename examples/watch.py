#!/usr/bin/python3
"""Watch a diagnosis: print every message as one line of JSON.

    watch.py ws://127.0.0.1:8000/ws/123 --token-file token [--device phone] [--count 3]

Nothing here is special to diagws: any WebSocket client can do the same. Exits 0 after --count
updates, 2 when the server refuses us, 1 when the connection is lost.
"""
import argparse
import asyncio
import json
import sys
import urllib.parse

import websockets


async def watch(arguments):
    query = {}
    if arguments.token_file:
        with open(arguments.token_file, encoding="ascii") as file:
            query["token"] = file.read().strip()
    if arguments.device:
        query["device"] = arguments.device
    url = arguments.url + ("?" + urllib.parse.urlencode(query) if query else "")
    updates = 0
    try:
        async with websockets.connect(url) as socket:
            async for text in socket:
                print(text, flush=True)
                updates += json.loads(text)["type"].endswith("_update")
                if arguments.count and updates >= arguments.count:
                    return 0
            closed = socket
    except websockets.ConnectionClosed as error:
        print(f"closed: {error.code} {error.reason}", file=sys.stderr)
        return 2 if error.code == 1008 else 1
    print(f"closed: {closed.close_code} {closed.close_reason}", file=sys.stderr)
    return 2 if closed.close_code == 1008 else 1


def main():
    parser = argparse.ArgumentParser(description="watch a diagnosis")
    parser.add_argument("url")
    parser.add_argument("--token-file")
    parser.add_argument("--device")
    parser.add_argument("--count", type=int, default=0)
    try:
        return asyncio.run(watch(parser.parse_args()))
    except OSError as error:
        print(f"watch.py: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
