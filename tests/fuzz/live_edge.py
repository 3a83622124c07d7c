#!/usr/bin/python3
"""Mutated heads, bodies and WebSocket frames at a real edge, beside an honest pair: see live.py.

    live_edge.py [--minutes 10] [--inputs N] [--seed N]

Each input is a connection of its own, to its end: the edge must answer or close it, never keep it.
"""
import contextlib
import json
import pathlib
import socket
import struct
import sys

sys.path[:0] = [str(pathlib.Path(__file__).resolve().parent)]
import live
from live import Finding

KEY = "dGhlIHNhbXBsZSBub25jZQ=="
BODIES = (
    {"diagnosis_id": "mutants", "type": "note_update", "data": {"a": [1, 1.10, "é", None]}, "id": "k:1", "ttl_s": 60},
    {"diagnosis_id": "mutants", "recommendation_id": 789, "new_effectiveness": 0.85, "confidence": 0.92, "sample_size": 150},
    {"diagnosis_id": "mutants", "old_data": {"a": 1}, "new_data": {"a": 2, "\n": 3}, "reason": "why", "user": "ann"},
    {"diagnosis_id": "mutants", "feedback_id": 1, "rating": 4, "effectiveness": 0.5, "comment": "x"})
PATHS = ("/ws/broadcast", "/ws/broadcast-effectiveness-update", "/ws/broadcast-recommendation-update",
         "/ws/broadcast-feedback-update")
OTHERS = ("/healthz", "/readyz", "/ws/status", "/ws/messages/mutants?after=0", "/ws/mutants?token=x", "*", "/")
COMMANDS = ('{"type":"subscribe","diagnosis_id":"mutants"}', '{"type":"unsubscribe","diagnosis_id":"mutants"}',
            '{"type":"ack","seq":3}', '{"type":"ping"}', "ping", '{"type":"subscribe","diagnosis_id":7,"after":0,"device":"d"}',
            '{"type":"auth","token":"x.y.z"}')


def request(pick, token):
    """A request over HTTP, as bytes."""
    body = json.dumps(pick.choice(BODIES)).encode() if pick.random() < 0.7 else b""
    method = pick.choice(("POST", "POST", "GET", "HEAD", "OPTIONS", "PUT")) if body else pick.choice(("GET", "OPTIONS"))
    lines = [f"{method} {pick.choice(PATHS if body else OTHERS)} HTTP/1.{pick.choice('1110')}", "Host: edge",
             "Content-Type: application/json"]
    if pick.random() < 0.9:
        lines.append(f"Authorization: Bearer {token}")
    if body and pick.random() < 0.3:
        lines.append("Transfer-Encoding: chunked")
        half = len(body) // 2
        body = b"%x\r\n%s\r\n%x;a=b\r\n%s\r\n0\r\n\r\n" % (half, body[:half], len(body) - half, body[half:])
    elif body:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join(lines).encode(), body


def upgrade(pick, token):
    lines = [f"GET /ws/mutants?device=d{pick.randrange(9)} HTTP/1.1", "Host: edge", "Upgrade: websocket", "Connection: Upgrade",
             f"Sec-WebSocket-Key: {KEY}", "Sec-WebSocket-Version: 13", f"Authorization: Bearer {token}", "", ""]
    return "\r\n".join(lines).encode()


def ws_frame(pick, payload):
    """A client's, mostly as it should be."""
    first = pick.choice((0x81, 0x81, 0x81, 0x01, 0x80, 0x89, 0x8a, 0x88, 0x82, 0xc1, 0x83))
    mask, n = pick.randbytes(4), len(payload)
    size = bytes([0x80 | n]) if n < 126 else b"\xfe" + struct.pack(">H", n) if n < 65536 else b"\xff" + struct.pack(">Q", n)
    return bytes([first]) + size + mask + bytes(byte ^ mask[i % 4] for i, byte in enumerate(payload))


class Attack:
    def __init__(self, port, token):
        self.address = "127.0.0.1", port
        self.token = token

    def __call__(self, mutator, keep):
        pick = mutator.random
        if pick.random() < 0.4:
            self.over_websocket(mutator, keep)
            return
        sent = b""
        for _ in range(pick.choice((1, 1, 2))):
            head, body = request(pick, self.token)
            if pick.random() < 0.5:
                head = mutator.mutated(head)
            else:
                changed = mutator.mutated(body)
                head = head.replace(b"Length: %d" % len(body), b"Length: %d" % len(changed))
                body = changed
            sent += head + b"\r\n\r\n" + body
        self.send(keep(sent))

    def over_websocket(self, mutator, keep):
        pick = mutator.random
        frames = b""
        for _ in range(pick.randrange(1, 6)):
            payload = pick.choice((*COMMANDS, "x" * pick.choice((125, 126, 5000)))).encode()
            if pick.random() < 0.5:
                payload = mutator.mutated(payload)
            data = ws_frame(pick, payload)
            frames += mutator.mutated(data) if pick.random() < 0.5 else data
        self.send(upgrade(pick, self.token), keep(frames))

    def send(self, first, then=b""):
        """What comes `then` follows the answer to the first."""
        with socket.create_connection(self.address, live.LATE) as link:
            try:
                with contextlib.suppress(ConnectionError):
                    link.sendall(first)
                    if then and link.recv(1 << 16):
                        link.sendall(then)
                    link.shutdown(socket.SHUT_WR)
                    while link.recv(1 << 16):
                        pass
            except TimeoutError:
                raise Finding("the edge neither answers nor closes") from None


def run(world, seed, inputs, seconds):
    hub = world.hub("--ownership", "either")
    edge = world.edge()
    world.grant("mutants", "ann")
    token = world.token("ann", "--scope", "publish", "--ttl", "24h")
    return live.fuzz(world, hub, edge, Attack(edge.port, token), seed, inputs, seconds)


if __name__ == "__main__":
    live.main("edge", run)
