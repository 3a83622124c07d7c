"""Many clients: each gets each message once and in order."""
import asyncio
import base64
import json
import os
import re
import resource

from conftest import SANITIZED

CLIENTS, MESSAGES = (200, 200) if SANITIZED else (1000, 1000)
PER_USER = 50
UPDATE = re.compile(rb'"n":(\d+),"id"')


async def count(port, token, entered):
    """A client as small as can be: the n of each update, until it has them all."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 20)
    key = base64.b64encode(os.urandom(16)).decode()
    writer.write((f"GET /ws/7?token={token} HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\n"
                  f"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n").encode())
    assert b" 101 " in await reader.readuntil(b"\r\n\r\n")
    got = []
    while len(got) < MESSAGES:
        head, size = await reader.readexactly(2)
        if size == 126:
            size = int.from_bytes(await reader.readexactly(2), "big")
        payload = await reader.readexactly(size)
        if head == 0x89:  # a PING is answered, as every WebSocket stack does
            writer.write(bytes([0x8A, 0x80 | size, 0, 0, 0, 0]) + payload)
            continue
        assert head == 0x81, (head, payload)
        update = UPDATE.search(payload)
        if update:
            got.append(int(update.group(1)))
        else:
            assert json.loads(payload)["type"] == "connect", payload
            entered.append(port)
    writer.close()
    return got


def test_every_client_gets_every_message_in_order(world):
    resource.setrlimit(resource.RLIMIT_NOFILE, (4096, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    world.hub()
    edges = [world.edge(), world.edge()]
    users = [f"user{number}" for number in range(CLIENTS // PER_USER)]
    world.grant("7", *users)
    tokens = [world.token(user) for user in users]
    lines = "".join(json.dumps({"diagnosis_id": 7, "type": "note_update", "data": {"number": number}}) + "\n"
                    for number in range(MESSAGES))

    async def watch():
        entered = []
        clients = [asyncio.create_task(count(edges[number % 2].port, tokens[number // PER_USER], entered))
                   for number in range(CLIENTS)]
        while len(entered) < CLIENTS:
            done, _ = await asyncio.wait(clients, timeout=0.01, return_when=asyncio.FIRST_EXCEPTION)
            for client in done:
                client.result()
        assert world.stat("summary")["connections"] == CLIENTS
        await asyncio.to_thread(world.run, "diagws-send", "-l", input=lines)
        for got in await asyncio.wait_for(asyncio.gather(*clients), 120):
            assert got == list(range(1, MESSAGES + 1))
    asyncio.run(watch())
