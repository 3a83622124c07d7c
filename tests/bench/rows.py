"""What is measured: a row for each target of the design, each with those that are compared.

A row is measured in rounds: each contestant once, by turns, each on fresh processes. A contestant is a function that
returns {figure: number}; the report gets the median of each figure over the rounds. `judge` says how it stands:
(today's figure in words, True when the target is met, None when there is none).
"""
import contextlib
import json
import time

import load
from servers import Diagws, Failed, Floor, Nchan, Redis, cpu_seconds

DIAGWS, SILENT = "diagws", "diagws, no confirmations"
FLOOR, NCHAN = "bare epoll loop", "Nchan"
ASKING = "bare epoll loop, frames as large, asks for confirmations"
EMPTY = ", from an empty room"
ENVELOPE = 147  # bytes that a frame of diagws has more: type, diagnosis, time, seq, n and id
LWS, LWS_TAUGHT = "bare libwebsockets, at once", "bare libwebsockets, callbacks"
MAKE = {DIAGWS: Diagws, SILENT: lambda: Diagws(confirm=False), FLOOR: lambda: Floor("floor_epoll"),
        ASKING: lambda: Floor("floor_epoll", 500), LWS: lambda: Floor("floor_lws"), LWS_TAUGHT: lambda: Floor("floor_lws", "callback"), NCHAN: Nchan}


def ratio(a, b):
    return a / b if a is not None and b else None


def number(value, digits=1):
    """12,345 or 1.2; – where nothing is known."""
    if value is None:
        return "–"
    return f"{value:,.0f}" if abs(value) >= 1000 or digits == 0 else f"{value:,.{digits}f}"


def from_empty(m):
    """What the edge costs where the rooms were empty, in words; "" where that is not measured."""
    if DIAGWS + EMPTY not in m:
        return ""
    cpu = ratio(m[DIAGWS + EMPTY].get("cpu"), m[FLOOR + EMPTY].get("cpu"))
    return f"; {number(cpu, 2)} × the bare loop's CPU{EMPTY}"


def table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    return lines + ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows]


class Row:
    name = title = target = how = None
    once = False  # one round is enough

    def __init__(self, bench):
        self.bench = bench
        self.contestants = {}

    def n(self, full, quick):
        return quick if self.bench.quick else full

    def judge(self, m):
        return "no target", None

    def lines(self, m):
        raise NotImplementedError

    def more(self, m):
        """Further lines behind the table."""
        return []


class Fanout(Row):
    burst, allowed = 1, 1.1
    name, title = "fanout", "Fan-out: 1,000 clients in 1 room, one message at a time"
    target = "the edge's CPU per delivery ≤ 1.1 × a bare epoll loop of send() in the same run, confirmations on"
    messages = {DIAGWS: 500, SILENT: 500, FLOOR: 500, ASKING: 500, LWS: 500, LWS_TAUGHT: 300, NCHAN: 500,
                DIAGWS + EMPTY: 500, FLOOR + EMPTY: 500, ASKING + EMPTY: 500}

    def __init__(self, bench):
        super().__init__(bench)
        self.how = ("A message of 200 bytes is published when all clients have the last one. CPU: user and system time "
                    "of the serving process for each message delivered to one client. A frame of diagws is larger by "
                    "type, diagnosis, time, seq, n and id. The load polls without sleeping (at a lower priority than a "
                    "hub on its core): over a network no server pays for waking its clients. The loop that asks for "
                    "confirmations sends a PING each 500 ms. When the clients come the room has 100 messages, as a room has, and each server gives them to each "
                    "client first, but where the line says from an empty room. That decides when the kernel of a "
                    "client that answers PINGs acknowledges, and on one machine the server pays for what is "
                    "acknowledged while it sends.")
        self.contestants = {label: (lambda label=label: self.measure(label)) for label in self.messages}

    def measure(self, label):
        count = self.n(self.messages[label], 10) * self.burst
        kind = label.removesuffix(EMPTY)
        what = {"rooms": 1, "name": "fanout", "size": load.SIZE + (ENVELOPE if kind == ASKING else 0)}
        with MAKE[kind]() as servers:
            if kind == label:
                load.run("publish", servers, messages=100, **what)
            found = load.run("fanout", servers, clients=self.n(1000, 100), messages=count, burst=self.burst,
                             warm_up=self.n(40, 2) * self.burst, spin=True, nice=10, **what)
        server, hub = load.process(found, "edge") or load.process(found, "server"), load.process(found, "hub")
        return {"cpu": server["cpu_us_per_delivery"], "hub": hub and hub["cpu_us_per_delivery"],
                "rate": found["deliveries_per_s"], "p50": found["latency_us"]["p50"], "p99": found["latency_us"]["p99"]}

    def judge(self, m):
        floor = ratio(m[DIAGWS].get("cpu"), m[FLOOR].get("cpu"))
        asking = ratio(m[DIAGWS].get("cpu"), m[ASKING].get("cpu"))
        text = (f"{number(m[DIAGWS].get('cpu'), 2)} µs, {number(floor, 2)} × the bare loop, {number(asking, 2)} × one "
                "that asks for confirmations")
        return text + from_empty(m), floor is not None and floor <= self.allowed

    def lines(self, m):
        base, nchan = m[FLOOR].get("cpu"), m[NCHAN].get("cpu")
        return table(["", "CPU per delivery, µs", "× bare loop", "Nchan ÷ it", "hub's share, µs", "deliveries/s",
                      "p50, ms", "p99, ms"],
                     [[label, number(f.get("cpu"), 2), number(ratio(f.get("cpu"), base), 2),
                       number(ratio(nchan, f.get("cpu")), 1), number(f.get("hub"), 2), number(f.get("rate"), 0),
                       *(number(f[p] / 1000, 2) if p in f else "–" for p in ("p50", "p99"))] for label, f in m.items()])


class Burst(Fanout):
    burst, allowed = 8, 1.2
    name, title = "burst", "Fan-out: 1,000 clients in 1 room, 8 messages at once"
    target = "the edge's CPU per delivery ≤ 1.2 × a bare loop that writes 8 frames at once; 5 × better than Nchan"
    messages = {DIAGWS: 250, SILENT: 250, FLOOR: 250, ASKING: 250, LWS: 250, LWS_TAUGHT: 30, NCHAN: 100}

    def judge(self, m):
        text, met = super().judge(m)
        better = ratio(m[NCHAN].get("cpu"), m[DIAGWS].get("cpu"))
        return f"{text}; Nchan costs {number(better)} × as much", met and better is not None and better >= 5


class Rooms(Row):
    name, title = "rooms", "100 rooms × 10 clients, 5,000 messages a second"
    target = ("edge CPU and p99 ≤ those of a bare loop (which stores nothing) in the same run; p99 < 10 ms. "
              "diagws stores each message with fdatasync before it is seen")

    def __init__(self, bench):
        super().__init__(bench)
        self.how = ("Latency from the moment a message was due to be sent until a client has it. On a machine of two "
                    "cores the hub shares one with the load. The rooms have 100 messages when the clients come, "
                    "but where the line says from an empty room.")
        self.contestants = {label: (lambda label=label: self.measure(label))
                            for label in (DIAGWS, FLOOR, NCHAN, DIAGWS + EMPTY, FLOOR + EMPTY)}

    def measure(self, label):
        kind = label.removesuffix(EMPTY)
        what = {"rooms": 100, "name": "rooms", "size": load.SIZE}
        with MAKE[kind]() as servers:
            if kind == label:
                load.run("publish", servers, messages=self.n(10000, 1000), **what)
            found = load.run("latency", servers, clients=1000, rate=self.n(5000, 1000), duration=self.n("6s", "1s"),
                             warm_up=1, **what)
        server, hub = load.process(found, "edge") or load.process(found, "server"), load.process(found, "hub")
        times = found["latency_us"]
        return {"cpu": server["cpu_us_per_delivery"], "hub": hub and hub["cpu_us_per_delivery"], "p50": times["p50"],
                "p99": times["p99"], "p99_9": times["p99_9"], "rate": found["deliveries_per_s"]}

    def judge(self, m):
        ours, floor = m[DIAGWS], m[FLOOR]
        cpu, p99 = ratio(ours.get("cpu"), floor.get("cpu")), ratio(ours.get("p99"), floor.get("p99"))
        known = cpu is not None and p99 is not None
        text = (f"{number(ours.get('cpu'), 2)} µs, {number(cpu, 2)} × the bare loop; p99 "
                f"{number(ours['p99'] / 1000, 2)} ms, {number(p99, 2)} × its" if known else "–") + from_empty(m)
        return text, known and cpu <= 1 and p99 <= 1 and ours["p99"] < 10000

    def lines(self, m):
        base = m[FLOOR].get("cpu")
        return table(["", "p50, ms", "p99, ms", "p99.9, ms", "CPU per delivery, µs", "× bare loop", "hub's share, µs",
                      "deliveries/s"],
                     [[label, *(number(f[p] / 1000, 2) if p in f else "–" for p in ("p50", "p99", "p99_9")),
                       number(f.get("cpu"), 2), number(ratio(f.get("cpu"), base), 2), number(f.get("hub"), 2),
                       number(f.get("rate"), 0)] for label, f in m.items()])


class Memory(Row):
    name, title = "memory", "Memory of an idle client, without TLS"
    target = "edge + hub together ≤ 2.5 KB of user memory, of which libwebsockets and libuv take 1.6"
    how = "Private memory (Private_* of smaps_rollup) with all clients connected less that before, by clients."
    once = True

    def __init__(self, bench):
        super().__init__(bench)
        self.clients = self.n(10000, 1000)
        self.ten = self.clients // 10
        for rooms in (1, self.clients // 100, self.ten, self.clients):
            self.contestants[self.label(rooms)] = lambda rooms=rooms: self.measure(DIAGWS, rooms)
        for label in (FLOOR, LWS, NCHAN):
            self.contestants[label] = lambda label=label: self.measure(label, self.ten)
        self.contestants["kernel"] = self.kernel

    def label(self, rooms):
        return f"diagws, {number(self.clients / rooms, 0)} to a room"

    def measure(self, label, rooms):
        with MAKE[label]() as servers:
            found = load.run("memory", servers, clients=self.clients, rooms=rooms)
        server, hub = load.process(found, "edge") or load.process(found, "server"), load.process(found, "hub")
        edge, hub = server["private_bytes_per_client"], hub["private_bytes_per_client"] if hub else 0
        return {"edge": edge, "hub": hub, "both": edge + hub}

    def kernel(self):
        """The kernel's part by slab cache; both ends of each connection are here, and each counts as one."""
        with MAKE[LWS]() as servers:
            before = load.slabs()
            with load.crowd(servers, self.clients, rooms=self.ten):
                time.sleep(0.5)
                after = load.slabs()
        return {name: (after[name] - before[name]) / (2 * self.clients) for name in before.keys() & after.keys()
                if after[name] - before[name] > 16 * 2 * self.clients}

    def judge(self, m):
        sizes = {label: f["both"] for label, f in m.items() if label.startswith("diagws") and "both" in f}
        text = "; ".join(f"{number(size, 0)} bytes with {label.partition(', ')[2]}" for label, size in sizes.items())
        return text or "–", bool(sizes) and max(sizes.values()) <= 2560

    def lines(self, m):
        return table(["", "edge or server, bytes", "hub, bytes", "together"],
                     [[label, number(f.get("edge"), 0), number(f.get("hub"), 0), number(f.get("both"), 0)]
                      for label, f in m.items() if label != "kernel"])

    def more(self, m):
        """Where each byte goes, as far as can be computed."""
        known = self.label(self.ten), LWS, FLOOR
        if any("both" not in m[label] for label in known):
            return []
        ours, lws = m[self.label(self.ten)], m[LWS]["edge"]
        rows = [["libwebsockets and libuv", number(lws, 0), "the bare server on them"],
                ["the edge's own", number(ours["edge"] - lws, 0), "what the edge has more than that server"],
                ["the hub", number(ours["hub"], 0), "session, device, cursor"]]
        rows += [[f"kernel: {name}", number(size, 0), "one end of the connection, by /proc/slabinfo"]
                 for name, size in sorted(m["kernel"].items(), key=lambda item: -item[1])]
        rows += [[f"sizeof {name}", number(size, 0), part] for name, size, part in self.bench.sizes()]
        return ["", "Where it goes, at 10 to a room (bytes a client):", "",
                *table(["what", "bytes", "how that is known"], rows)]


class Publish(Row):
    name, title = "publish", "Durable publishing: messages a second, acknowledged after fdatasync"
    target = ("against Redis with appendfsync always: ≥ 0.8 × one at a time (LMDB syncs twice), ≥ 1 × with 50 senders, "
              "≥ 0.8 × with deep pipelines")
    how = ("100 rooms of the newest 100 messages of 200 bytes; senders × unanswered messages of each, over unix "
           "sockets. diagws checks, numbers and remembers ids; Redis: XADD key MAXLEN ~ 100, redis-benchmark. "
           "`watched`: a device is connected in each room, gets all and confirms, and its cursor is written (the hub "
           "then shares a core with the load where there are two).")
    watched = "diagws 50 × 16, watched"
    depths = {(1, 1): (0.8, 8000), (50, 1): (1.0, 150000), (50, 16): (0.8, 600000), (50, 100): (0.8, 1000000)}

    def __init__(self, bench):
        super().__init__(bench)
        for depth in self.depths:
            self.contestants[self.label("diagws", depth)] = lambda depth=depth: self.ours(*depth)
            self.contestants[self.label("Redis", depth)] = lambda depth=depth: self.redis(*depth)
        self.contestants[self.watched] = self.with_devices

    @staticmethod
    def label(who, depth):
        return f"{who} {depth[0]} × {depth[1]}"

    def ours(self, senders, window):
        with Diagws(edge=False) as servers:
            return self.publish(servers, senders, window)

    def with_devices(self):
        with Diagws() as servers, load.crowd(servers, 100, rooms=100, name="watched"):
            return self.publish(servers, 50, 16)

    def publish(self, servers, senders, window):
        found = load.run("publish", servers, senders=senders, window=window, rooms=100, size=load.SIZE, name="watched",
                         duration=self.n("3s", "500ms"))
        return {"rate": found["messages_per_s"], "p50": found["latency_us"]["p50"], "p99": found["latency_us"]["p99"],
                "cpu": load.process(found, "hub")["cpu_us_per_message"]}

    def redis(self, senders, window):
        count = self.depths[senders, window][1]
        with Redis() as servers:
            before = cpu_seconds(servers.pids["redis"])
            rate = servers.publish(self.n(count, count // 20), senders, window, load.SIZE)
            used = cpu_seconds(servers.pids["redis"]) - before
        return {"rate": rate, "cpu": 1e6 * used / self.n(count, count // 20)}

    def ratios(self, m):
        return {depth: ratio(m[self.label("diagws", depth)].get("rate"), m[self.label("Redis", depth)].get("rate"))
                for depth in self.depths}

    def judge(self, m):
        found = self.ratios(m)
        met = all(found[depth] is not None and found[depth] >= wanted for depth, (wanted, _) in self.depths.items())
        return "; ".join(f"{d[0]} × {d[1]}: {number(r, 2)}" for d, r in found.items()) + " × Redis", met

    def lines(self, m):
        rows = []
        for depth, (wanted, _) in self.depths.items():
            ours, redis = m[self.label("diagws", depth)], m[self.label("Redis", depth)]
            rows.append([f"{depth[0]} × {depth[1]}", number(ours.get("rate"), 0), number(redis.get("rate"), 0),
                         number(ratio(ours.get("rate"), redis.get("rate")), 2), wanted,
                         *(number(ours[p] / 1000, 2) if p in ours else "–" for p in ("p50", "p99")),
                         number(ours.get("cpu"), 1), number(redis.get("cpu"), 1)])
        ours, base = m[self.watched], m[self.label("Redis", (50, 16))].get("rate")
        rows.append(["50 × 16, watched", number(ours.get("rate"), 0), number(base, 0),
                     number(ratio(ours.get("rate"), base), 2), "",
                     *(number(ours[p] / 1000, 2) if p in ours else "–" for p in ("p50", "p99")),
                     number(ours.get("cpu"), 1), ""])
        return table(["senders × window", "diagws/s", "Redis/s", "ratio", "wanted", "p50, ms", "p99, ms",
                      "hub CPU a message, µs", "Redis CPU a message, µs"], rows)


class Lines(Row):
    name, title = "lines", "diagws-send -l"
    target = "≥ 100,000 lines a second"

    def __init__(self, bench):
        super().__init__(bench)
        self.count = self.n(500000, 20000)
        self.how = f"A file of {number(self.count, 0)} lines to 100 rooms, {load.SIZE} bytes of data each."
        self.contestants = {"diagws-send -l": self.measure}

    def measure(self):
        with Diagws(edge=False) as servers:
            path = servers.folder / "lines"
            pad = "x" * (load.SIZE - 25)
            with open(path, "w") as file:
                file.writelines('{"diagnosis_id":"room-%d","type":"bench_update","data":{"number":%d,"pad":"%s"}}\n'
                                % (i % 100, i, pad) for i in range(self.count))
            before, begun = cpu_seconds(servers.pids["hub"]), time.monotonic()
            done = servers.command("diagws-send", "-q", "-l", "--timeout", "60s", path, timeout=120)
            seconds = time.monotonic() - begun
            hub = cpu_seconds(servers.pids["hub"]) - before
        if done.returncode != 0:
            raise Failed(f"diagws-send: status {done.returncode}: {done.stderr.strip()[-300:]}")
        return {"rate": self.count / seconds, "hub": 1e6 * hub / self.count}

    def judge(self, m):
        rate = m["diagws-send -l"].get("rate")
        return f"{number(rate, 0)} lines/s", rate is not None and rate >= 100000

    def lines(self, m):
        return table(["", "lines/s", "hub CPU a line, µs"],
                     [[label, number(f.get("rate"), 0), number(f.get("hub"), 1)] for label, f in m.items()])


class Idle(Row):
    name, title = "idle", "18,000 idle clients on one edge"
    target = "< 2 % CPU with keep-alive on"
    once = True

    def __init__(self, bench):
        super().__init__(bench)
        self.count, self.seconds = self.n(18000, 1000), self.n(30, 2)
        self.how = (f"CPU time of the edge over {self.seconds} s, 10 clients to a room; each is pinged every 25 s. "
                    "One round.")
        self.contestants = {"diagws": self.measure}

    def measure(self):
        with Diagws() as servers, load.crowd(servers, self.count, rooms=self.count // 10):
            time.sleep(self.n(3, 0.5))  # what was written while they came is confirmed
            before = {name: cpu_seconds(pid) for name, pid in servers.pids.items()}
            time.sleep(self.seconds)
            return {name: 100 * (cpu_seconds(pid) - before[name]) / self.seconds for name, pid in servers.pids.items()}

    def judge(self, m):
        share = m["diagws"].get("edge")
        return f"{number(share, 2)} %", share is not None and share < 2

    def lines(self, m):
        return table(["", "edge, % of a core", "hub, % of a core"],
                     [[label, number(f.get("edge"), 2), number(f.get("hub"), 2)] for label, f in m.items()])


class Connect(Row):
    name, title = "connect", "Connection setup at 3,000 connects a second"
    target = "p99 < 50 ms"
    how = "18,000 clients, 10 to a room, each a device of its own: from the moment it was due until its first message."

    def __init__(self, bench):
        super().__init__(bench)
        self.contestants = {"diagws": self.measure}

    def measure(self):
        count = self.n(18000, 1000)
        with Diagws() as servers:
            found = load.run("connect", servers, clients=count, rooms=count // 10, rate=3000, concurrency=4000)
        times = found["latency_us"]
        if found["failed"]:
            raise Failed(f"{found['failed']} connects failed")
        return {"rate": found["connects_per_s"], "p50": times["p50"], "p99": times["p99"], "p99_9": times["p99_9"],
                "edge": load.process(found, "edge")["cpu_s"] * 1e6 / count,
                "hub": load.process(found, "hub")["cpu_s"] * 1e6 / count}

    def judge(self, m):
        p99 = m["diagws"].get("p99")
        return (f"p99 {number(p99 / 1000)} ms" if p99 else "–"), p99 is not None and p99 < 50000

    def lines(self, m):
        return table(["", "connects/s", "p50, ms", "p99, ms", "p99.9, ms", "edge CPU a connect, µs", "hub's, µs"],
                     [[label, number(f.get("rate"), 0),
                       *(number(f[p] / 1000) if p in f else "–" for p in ("p50", "p99", "p99_9")),
                       number(f.get("edge"), 0), number(f.get("hub"), 0)] for label, f in m.items()])


class Storm(Row):
    name, title = "storm", "Reconnect storm: 10,000 clients, 10 missed messages each"
    target = "all caught up in < 5 s, 0 lost"
    how = "10 clients to a room, all cut at once, all back at once with `after=` their position."

    def __init__(self, bench):
        super().__init__(bench)
        self.contestants = {"diagws": self.measure}

    def measure(self):
        count = self.n(10000, 500)
        with Diagws() as servers:
            found = load.run("storm", servers, clients=count, rooms=count // 10, missed=10, size=load.SIZE)
        return {"seconds": found["caught_up_s"], "lost": found["lost"], "p50": found["latency_us"]["p50"],
                "p99": found["latency_us"]["p99"]}

    def judge(self, m):
        seconds, lost = m["diagws"].get("seconds"), m["diagws"].get("lost")
        return f"{number(seconds, 2)} s, {number(lost, 0)} lost", seconds is not None and seconds < 5 and lost == 0

    def lines(self, m):
        return table(["", "all caught up, s", "a client p50, ms", "p99, ms", "lost"],
                     [[label, number(f.get("seconds"), 2),
                       *(number(f[p] / 1000, 0) if p in f else "–" for p in ("p50", "p99")),
                       number(f.get("lost"), 0)] for label, f in m.items()])


class Restart(Row):
    name, title = "restart", "Hub restart with 1,000,000 retained messages"
    target = "serving again in < 1 s"
    once = True

    def __init__(self, bench):
        super().__init__(bench)
        self.rooms = self.n(10000, 100)
        self.how = (f"{number(self.rooms, 0)} rooms × 100 messages of {load.SIZE} bytes. The hub is killed (SIGKILL); "
                    "from the exec of the next until it serves; the page cache is warm. The median of 3.")
        self.contestants = {"diagws": self.measure}

    def measure(self):
        servers = self.bench.filled(self.rooms)
        rooms = json.loads(servers.command("diagws-stat", "--json", "summary").stdout)
        taken = []
        for _ in range(3):
            servers.kill_hub()
            taken.append(servers.start_hub())
        return {"seconds": sorted(taken)[1], "retained": find(rooms, "retained"), "megabytes": size_of(servers) / 1e6}

    def judge(self, m):
        seconds = m["diagws"].get("seconds")
        return f"{number(seconds, 2)} s", seconds is not None and seconds < 1

    def lines(self, m):
        return table(["", "exec to serving, s", "messages retained", "store on disk, MB"],
                     [[label, number(f.get("seconds"), 3), number(f.get("retained"), 0), number(f.get("megabytes"), 0)]
                      for label, f in m.items()])


class Written(Row):
    name, title = "written", "Bytes written to disk for each byte stored"
    target = "none (LMDB keyed by room wrote 49 to 64)"
    how = ("Bytes that the store's disk has written over a publish run of 50 senders × 16, by the bytes of the messages' "
           "data; all rooms are full, so each message pushes one out.")
    once = True

    def __init__(self, bench):
        super().__init__(bench)
        self.many = self.n(10000, 100)
        self.contestants = {f"{number(rooms, 0)} rooms": (lambda rooms=rooms: self.measure(rooms))
                            for rooms in (self.n(100, 10), self.many)}

    def measure(self, rooms):
        servers = self.bench.filled(rooms)
        before = load.written(servers.folder)
        found = load.run("publish", servers, senders=50, window=16, rooms=rooms, size=load.SIZE, name=f"fill{rooms}",
                         duration=self.n("3s", "500ms"))
        bytes_ = load.written(servers.folder) - before
        return {"factor": bytes_ / (found["acknowledged"] * load.SIZE), "rate": found["messages_per_s"]}

    def judge(self, m):
        return "; ".join(f"{label}: {number(f.get('factor'))} ×" for label, f in m.items()), None

    def lines(self, m):
        return table(["", "written ÷ stored", "messages/s"],
                     [[label, number(f.get("factor")), number(f.get("rate"), 0)] for label, f in m.items()])


class BigRoom(Row):
    name, title = "bigroom", "While a room of 10,000 clients gets 100 messages a second"
    target = "another room's p99 < 10 ms, a new client joins in < 50 ms"
    once = True
    how = ("Another room of 10 clients, 100 messages a second, and new clients, 20 a second; first alone, then beside "
           "the big room, whose load runs at a lower priority on the load's core.")

    def __init__(self, bench):
        super().__init__(bench)
        self.contestants = {"alone": lambda: self.measure(0), "beside it": lambda: self.measure(self.n(10000, 300))}

    def measure(self, crowd):
        with Diagws() as servers, contextlib.ExitStack() as stack:
            if crowd:
                stack.enter_context(load.crowd(servers, crowd, "latency", nice=10, rooms=1, rate=100, name="big",
                                               size=load.SIZE))
                time.sleep(self.n(2, 0.5))
            found = load.run("latency", servers, clients=10, rooms=1, rate=100, size=load.SIZE, name="small",
                             duration=self.n("5s", "1s"), timeout="30s")
            joins = load.finish(load.start("connect", servers, clients=self.n(60, 10), rooms=1, rate=20, name="new",
                                           timeout="10s"), strict=False)
        times = joins["latency_us"] if joins["connected"] > 0 else {"p50": None, "p99": None}
        return {"p50": found["latency_us"]["p50"], "p99": found["latency_us"]["p99"], "join_p50": times["p50"],
                "join_p99": times["p99"], "failed": joins["failed"]}

    def judge(self, m):
        p99, join = m["beside it"].get("p99"), m["beside it"].get("join_p99")
        if p99 is None or join is None:
            return "–", None
        return f"p99 {number(p99 / 1000)} ms, a join's {number(join / 1000)} ms", p99 < 10000 and join < 50000

    def lines(self, m):
        return table(["", "another room's p50, ms", "p99, ms", "a join's p50, ms", "p99, ms", "no join in 10 s"],
                     [[label, *(number(f[p] / 1000, 2) if p in f else "–"
                                for p in ("p50", "p99", "join_p50", "join_p99")), number(f.get("failed"), 0)]
                      for label, f in m.items()])


def find(value, name):
    """A number of this name, wherever it is in a JSON answer."""
    if isinstance(value, dict):
        if isinstance(value.get(name), (int, float)):
            return value[name]
        value = list(value.values())
    for part in value if isinstance(value, list) else ():
        found = find(part, name)
        if found is not None:
            return found
    return None


def size_of(servers):
    return sum(path.stat().st_blocks * 512 for path in (servers.folder / "state").rglob("*") if path.is_file())


ROWS = (Fanout, Burst, Rooms, Memory, Publish, Lines, Idle, Connect, Storm, Restart, Written, BigRoom)
