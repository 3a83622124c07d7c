"""The people of tests/fault/clinic.py: who gives feedback and who watches, and what each of them knows in the end.

A writer gives one piece of feedback after the other over HTTP, about patients of its own, and waits for each answer as
long as the connection lives: so what came before an answer came before what follows it. Its comment says which attempt a
record is of. A listener does what www/diagws.js does for a page: one WebSocket on a diagnosis, which goes on where it was
on whichever edge is there, and takes no message twice.
"""
import asyncio
import collections
import json
import random

import websockets

from crowd import NO_ANSWER, mint, request

ANSWER = 60.0  # longer than anything serve does: a request that is given up could still be carried out later


class Attempt:
    """One request: what it said, whether it was answered, and then the record's version."""

    def __init__(self, comment, rating, improvement):
        self.comment, self.rating, self.improvement, self.version = comment, rating, improvement, None


class Writer:
    def __init__(self, ward, number, patients, pause):
        self.ward, self.number, self.patients, self.pause = ward, number, patients, pause
        self.random = random.Random(f"{ward.seed}/writer/{number}")
        self.token = mint(ward.world.key, f"writer{number}")
        self.attempts = collections.defaultdict(list)  # (patient, recommendation) -> in order
        self.ids = {}                                  # (patient, recommendation) -> the record's id
        self.answers = collections.Counter()

    async def live(self):
        while not self.ward.over.is_set():
            patient = self.random.choice(self.patients)
            pair = patient, self.random.choice(self.ward.recommendations[self.ward.condition(patient)])
            attempt = Attempt(f"w{self.number}-{sum(map(len, self.attempts.values()))}", self.random.randint(1, 5),
                              self.random.randint(1, 5))
            self.attempts[pair].append(attempt)
            while not await self.give(pair, attempt) and not self.ward.over.is_set():
                await asyncio.sleep(self.random.uniform(0.02, 0.2))
            await asyncio.sleep(self.random.expovariate(1 / self.pause))

    async def give(self, pair, attempt):
        """Whether it was answered. What was not may have been taken: then the same comes again."""
        method, path = "POST", "/api/feedback/submit"
        body = {"rating": attempt.rating, "symptom_improvement": attempt.improvement, "comment": attempt.comment}
        if pair in self.ids and self.random.random() < 0.3:
            method, path = "PUT", f"/api/feedback/update/{self.ids[pair]}"
        else:
            body |= {"diagnosis_id": self.ward.diagnosis(pair[0]), "recommendation_id": pair[1]}
        self.ward.asked[pair] += 1
        try:
            status, answer = await asyncio.wait_for(
                request(self.ward.serve_port, method, path, self.token, json.dumps(body).encode()), ANSWER)
        except NO_ANSWER as error:
            self.answers["no answer"] += 1
            if isinstance(error, asyncio.TimeoutError):
                self.ward.odd.append(f"{attempt.comment}: no answer within {ANSWER:g} s")
            return False
        self.answers[status] += 1
        if status == 200:
            if self.ids.setdefault(pair, answer["feedback_id"]) != answer["feedback_id"]:
                self.ward.odd.append(f"{attempt.comment}: was feedback {self.ids[pair]}, is {answer['feedback_id']}")
            attempt.version = answer["version"]
        elif status == 503:
            self.ward.asked[pair] -= 1
        else:
            self.ward.odd.append(f"{attempt.comment}: {status} {answer}")
        return status == 200


class Listener:
    """Of one diagnosis. messages: [(seq, id, type, data)], as they came."""

    def __init__(self, ward, room):
        self.ward, self.room = ward, room
        self.random = random.Random(f"{ward.seed}/listener/{room}")
        self.token = mint(ward.world.key, "ward", jti=room)
        self.seq, self.epoch, self.connections = 0, None, 0
        self.messages = []

    async def live(self):
        """Until it is cancelled."""
        while True:
            port = self.random.choice(self.ward.edge_ports)
            epoch = f"&epoch={self.epoch}" if self.epoch else ""
            try:
                async with websockets.connect(f"ws://127.0.0.1:{port}/ws/{self.room}?token={self.token}&heartbeat=1"
                                              f"&after={self.seq}{epoch}", open_timeout=5, close_timeout=1,
                                              max_queue=None, ping_interval=None, compression=None) as socket:
                    async for text in socket:
                        self.take(json.loads(text))
            except (OSError, EOFError, asyncio.TimeoutError, websockets.WebSocketException):
                pass
            await asyncio.sleep(self.random.uniform(0.05, 0.3))

    def take(self, message):
        kind, data = message["type"], message.get("data", {})
        if kind == "connect":
            self.connections += 1
            if self.epoch not in (None, data["epoch"]):
                self.ward.odd.append(f"{self.room}: another epoch, {data['epoch']}")
            self.epoch = data["epoch"]
        elif kind.endswith("_update"):
            if message["seq"] > self.seq:  # else it is one that we have
                self.seq = message["seq"]
                self.messages.append((message["seq"], message["id"], kind, data))
        elif kind not in ("heartbeat", "shutdown"):
            self.ward.odd.append(f"{self.room}: {message}")

    async def polled(self):
        """The same diagnosis over plain HTTP, page by page."""
        messages, after, more = [], 0, True
        while more:
            status, page = await request(self.ward.edge_ports[0], "GET",
                                         f"/ws/messages/{self.room}?after={after}&limit=1000", self.token)
            if status != 200 or page["gaps"]:
                self.ward.odd.append(f"{self.room}: polled: {status} {page.get('gaps', page)}")
                break
            messages += [(m["seq"], m["id"], m["type"], m["data"]) for m in page["messages"]]
            after, more = page["last"], page["more"]
        return messages
