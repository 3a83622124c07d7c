"""The processes of the storm: each is killed and started again, or frozen and let go on, and all of that is noted.

What follows from it for the judge: a device's position moves while its edge and the hub run undisturbed, `calm`, and
only then. What it got is confirmed 2 s later (PINGs are 250 ms apart, a second on a busy edge), is settled for whatever
comes 5 s after that, and is written within 5 s more. An outage disturbs until SETTLE after its end, for then edges say
hello anew and join again with what they know. A machine that is too busy to wake us disturbs all. Connections of a
derived device live side by side, and one whose end nobody noticed holds it back (place ANYWHERE), at most until the hub
has not heard its edge for 10 s: a JOIN may have lain in a frozen hub's queue.
"""
import asyncio
import collections
import random
import signal
import subprocess
import time

SETTLE = 3.0
UNHEARD = 10.0          # and then SETTLE
CONFIRMED = 2.0
OVERLAP = 6.0           # what came in the last 5 s comes again; one more for the clocks
WRITTEN = 6.0
BUSY = 0.5
ANYWHERE = "anywhere"
FREEZE, LONG_FREEZE = (0.2, 2.0), (9.0, 15.0)


class Outages:
    """When which process did not run. slowness: so many times as long takes what is not timed by the product itself."""

    def __init__(self, clock=time.monotonic, note=lambda *what: None, slowness=1):
        self._clock, self._note = clock, note
        self._settle, self._confirmed, self._written = SETTLE * slowness, CONFIRMED * slowness, WRITTEN * slowness
        self._spans = collections.defaultdict(list)  # process -> [[from, to, how]]

    def begin(self, name, how):
        span = [self._clock(), float("inf"), how]
        self._spans[name].append(span)
        self._note(name, how)
        return span

    def end(self, span):
        span[1] = self._clock()
        self._note("over", span)

    async def watch_the_machine(self):
        """Until it is cancelled."""
        while True:
            span = [self._clock(), float("inf"), "busy"]
            await asyncio.sleep(0.1)
            if self._clock() - span[0] > 0.1 + BUSY:
                self._spans["machine"].append(span)
                self.end(span)

    def _disturbed(self, place, begin, end):
        """[(from, to)]: what there was between, in order."""
        found, settle = [], UNHEARD + self._settle if place == ANYWHERE else self._settle
        for name in list(self._spans) if place == ANYWHERE else ("hub", place, "machine"):
            for since, until, _ in reversed(self._spans[name]):
                if until + settle < begin:
                    break
                if since <= end:
                    found.append((since, until + settle))
        return sorted(found)

    def calm(self, place, begin, end):
        """Neither the hub nor that process was disturbed at any time between."""
        return not self._disturbed(place, begin, end)

    def stretch(self, place, begin, end, length):
        """When the first calm stretch so long was over; None: there was none."""
        for since, until in self._disturbed(place, begin, end):
            if min(since, end) - begin >= length:
                return begin + length
            begin = max(begin, until)
        return begin + length if end - begin >= length else None

    def killed(self, begin, end):
        """Whether the hub was."""
        return any(how == "kill" and begin <= since <= end for since, _, how in self._spans["hub"])

    def settled(self, spans, returned, acknowledged=False):
        """Whether a device that was connected for these spans (process, from, to) since it got something, and joined
        again at `returned`, must go on behind it. acknowledged: that is when it said so itself, and nothing overlaps.
        """
        length = self._confirmed if acknowledged else self._confirmed + OVERLAP
        for place, begin, end in spans:
            if self.stretch(place, begin, end, length + self._written) is not None:
                return True
            known = self.stretch(place, begin, end, length)
            if known is not None and not self.killed(known - length, returned):
                return True
        return False


class Slot:
    """A process that is killed, frozen and started again in its place."""

    def __init__(self, run, name, arguments):
        self.run, self.name, self.arguments = run, name, arguments
        self.log = open(run.path / f"{name}.log", "ab")
        self.popen = None
        self.ours = False  # it ends because it was killed here
        self.outage = asyncio.Lock()  # one at a time, also where the machine is late with what was planned

    def start(self):
        self.ours = False
        self.popen = subprocess.Popen(self.arguments, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log,
                                      env=self.run.env)

    def _gone(self):
        return self.popen is None or self.popen.poll() is not None

    def look(self):
        """Starts one again that ended by itself, and says so."""
        if self.popen is not None and not self.ours and self.popen.poll() is not None:
            self.run.load.odd.append(f"{self.name} ended by itself with {self.popen.returncode}")
            self.run.outages.end(self.run.outages.begin(self.name, "kill"))
            self.start()

    async def kill(self, outage):
        async with self.outage:
            self.look()
            self.ours = True
            span = self.run.outages.begin(self.name, "kill")
            self.popen.kill()
            await asyncio.to_thread(self.popen.wait)
            await asyncio.sleep(outage)
            self.start()
            self.run.outages.end(span)

    async def freeze(self, outage):
        async with self.outage:
            self.look()
            span = self.run.outages.begin(self.name, "freeze")
            self.popen.send_signal(signal.SIGSTOP)
            await asyncio.sleep(outage)
            self.popen.send_signal(signal.SIGCONT)
            self.run.outages.end(span)

    def end(self):
        if not self._gone():
            self.ours = True
            self.popen.send_signal(signal.SIGCONT)
            self.popen.terminate()
            try:
                self.popen.wait(30)
            except subprocess.TimeoutExpired:
                self.run.load.odd.append(f"{self.name} did not end within 30 s of SIGTERM")
                self.popen.kill()
                self.popen.wait()
        self.log.close()


class SenderSlot(Slot):
    """A sender's process: the sender itself starts the next one."""

    def start(self):
        pass

    async def spawn(self):
        self.ours = False
        self.popen = await asyncio.create_subprocess_exec(
            *self.arguments, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=self.log,
            env=self.run.env)
        return self.popen

    async def ended(self):
        status = await self.popen.wait()
        if not self.ours and status not in (0, 75):
            self.run.load.odd.append(f"{self.name} ended with {status}")

    def _gone(self):
        return self.popen is None or self.popen.returncode is not None

    def look(self):
        pass

    async def kill(self, outage):
        if not self._gone():
            self.ours = True
            self.popen.kill()

    async def freeze(self, outage):
        process = self.popen
        if self._gone():
            return
        process.send_signal(signal.SIGSTOP)
        await asyncio.sleep(outage)
        if process.returncode is None:
            process.send_signal(signal.SIGCONT)

    def end(self):
        if not self._gone():
            self.popen.kill()
        self.log.close()


def plan(seed, kills, slots):
    """[(when, slot, `kill` or `freeze`, seconds)]: no process has two outages at a time."""
    rng = random.Random(f"{seed}/plan")
    weights = {"hub": 2, "edge": 2, "send": 1}
    free_at = collections.defaultdict(float)
    now, outages = 0.0, []
    while sum(1 for outage in outages if outage[2] == "kill") < kills:
        now += rng.uniform(0.2, 2.0)
        ready = [slot for slot in slots if free_at[slot] <= now]
        if not ready:
            continue
        slot = rng.choices(ready, [weights[slot.rstrip("0123456789")] for slot in ready])[0]
        how = "kill" if rng.random() < 0.7 else "freeze"
        seconds = rng.choice((0, 0.1, 0.5, 1.0)) * rng.random()
        if how == "freeze":
            seconds = rng.uniform(*(LONG_FREEZE if rng.random() < 0.12 else FREEZE))
        free_at[slot] = now + seconds + 0.3
        outages.append((now, slot, how, seconds))
        if len(outages) % 50 == 0:  # a while in which positions get settled and written, and must hold
            now += rng.uniform(8.0, 16.0)
    return outages
