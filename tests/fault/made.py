"""A history that is made up, for the tests of its judge."""
from history import KINDS, History


class Made:
    """A history of room 7 on a clock of its own."""

    def __init__(self, **options):
        self.now = 100.0
        self.history = History(clock=lambda: self.now, **options)

    def store(self, *seqs, answered=True, **options):
        for seq in seqs:
            self.history.attempt(f"m{seq}", 7, **options)
            if answered:
                self.history.answer(f"m{seq}", seq, None if "user" in options else seq)

    def direct(self, *seqs, user="alice", **options):
        for seq in seqs:
            self.store(seq, user=user, **options)

    def enter(self, device="alice/phone", after=None, resume="new", head=0, oldest=0, own_state=False, session="s1",
              **options):
        connection = self.history.connect(device, 7, after, own_state, **options)
        connection.message({"type": "connect", "diagnosis_id": 7, "data": {
            "head": head, "oldest": oldest, "resume": resume, "replaying": 0, "session": session,
            "user_id": device.split("/")[0]}})
        return connection

    @staticmethod
    def update(seq, n="seq", own=None, id=None, data=None):
        obj = {"type": "note_update", "diagnosis_id": 7, "seq": seq, "id": id or f"m{seq}", "data": data or {}}
        number = {"n": seq if n == "seq" else n} if own is None else {"direct": True, "direct_n": own}
        return {**obj, **number}

    @staticmethod
    def gap(first, last, count=None, **more):
        return {"type": "gap", "diagnosis_id": 7, "data": {
            "from": first, "to": last, "count": count or last - first + 1, "reason": "limit", **more}}

    @staticmethod
    def page(last, *messages, gaps=(), direct_gaps=(), head=None):
        return {"messages": list(messages), "last": last, "head": head or last, "gaps": [gap["data"] for gap in gaps],
                "direct_gaps": [gap["data"] for gap in direct_gaps]}

    def poll(self, after, page, first=False, device="alice/poll"):
        self.history.connect(device, 7, after, own_state=True, user=device.split("/")[0], page=True).page(page, first)

    def deliver(self, connection, *seqs):
        for seq in seqs:
            connection.message(self.update(seq))

    def found(self):
        verdict = self.history.judge()
        return {kind for kind in KINDS if getattr(verdict, kind)}
