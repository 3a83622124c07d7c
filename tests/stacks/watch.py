#!/usr/bin/python3
"""watch.py URL: prints each message. All that confirms one is the PONG that websockets sends by itself."""
import asyncio
import sys

import websockets


async def watch(url):
    async with websockets.connect(url) as socket:
        async for message in socket:
            print(message, flush=True)


asyncio.run(watch(sys.argv[1]))
