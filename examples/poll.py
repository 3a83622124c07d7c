#!/usr/bin/python3
"""Watch a diagnosis where WebSockets are blocked: long polls over plain HTTP, each message one line of JSON.

    poll.py http://127.0.0.1:8000/ws/messages/123 --token-file token [--state FILE] [--count 3]

With --state FILE the position is kept there, so that the next run goes on where this one ended. Needs nothing but
Python itself. Exits 0 after --count messages, 2 when the server refuses us.
"""
import argparse
import json
import pathlib
import sys
import time
import urllib.error
import urllib.parse
import urllib.request


def fetch(url, token, after, epoch):
    query = urllib.parse.urlencode({"after": after, "epoch": epoch, "wait": "25s"} if epoch else {"wait": "25s"})
    request = urllib.request.Request(f"{url}?{query}", headers={"Authorization": f"Bearer {token}"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


def watch(arguments):
    token = pathlib.Path(arguments.token_file).read_text(encoding="ascii").strip()
    state = pathlib.Path(arguments.state) if arguments.state else None
    after, epoch = state.read_text().split() if state and state.exists() else (0, None)
    count = 0
    while not arguments.count or count < arguments.count:
        try:
            answer = fetch(arguments.url, token, after, epoch)
        except urllib.error.HTTPError as error:
            print(f"poll.py: {error.code} {json.load(error)['error']['code']}", file=sys.stderr)
            if error.code not in (429, 503):
                return 2
            time.sleep(1)
            continue
        except OSError as error:
            print(f"poll.py: {error}", file=sys.stderr)
            time.sleep(1)
            continue
        for hole in answer["gaps"]:
            print(json.dumps({"type": "gap", "data": hole}))
        if "direct_gap" in answer:
            print(json.dumps({"type": "gap", "data": {**answer["direct_gap"], "direct": True}}))
        for message in answer["messages"]:
            print(json.dumps(message))
        sys.stdout.flush()
        count += len(answer["messages"])
        after, epoch = answer["last"], answer["epoch"]
        if state:
            state.write_text(f"{after} {epoch}\n")
    return 0


def main():
    parser = argparse.ArgumentParser(description="watch a diagnosis by long polls")
    parser.add_argument("url")
    parser.add_argument("--token-file", required=True)
    parser.add_argument("--state")
    parser.add_argument("--count", type=int, default=0)
    try:
        return watch(parser.parse_args())
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
