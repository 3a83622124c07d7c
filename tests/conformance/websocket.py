#!/usr/bin/python3
"""Autobahn's cases, sections 1 to 10, against a real hub and an edge that echoes (echo.c).

    websocket.py --wheel FILE [--cases 1.*,7.3.*] [--jobs 8] [-v]      (make conformance)

Fails for each case that fails, or whose connection ends otherwise than the suite wants, but those in KNOWN: these are
libwebsockets', and nothing outside of it can change them. One of ALWAYS that passes fails too: it is known no more. -v
shows what was on the wire.
"""
import argparse
import asyncio
import collections
import fnmatch
import pathlib
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests/integration"), str(ROOT / "tests/conformance")]
import autobahn
from conftest import World

SECTIONS = ",".join(f"{section}.*" for section in range(1, 11))
GOOD = {"OK", "NON-STRICT", "INFORMATIONAL"}

# Both in lws_ws_rx_sm (roles/ws/ops-ws.c, 4.1.6). A case that is chopped fails where its pieces are read together.
DROPPED = "`if (wsi->ws->ping_pending_flag)`: a PING that is read before the last was answered is dropped"
LATE = "`lws_callback_on_writable(wsi)`: a PING is answered in a later turn, after what was read together with it"
ALWAYS = {"2.10", "5.6", "5.19"}  # what they send leaves in one piece
KNOWN = {"2.10": DROPPED, "2.11": DROPPED, "5.6": LATE, "5.7": LATE, "5.8": LATE, "5.19": LATE, "5.20": LATE}


async def run_all(cases, url, jobs):
    turn = asyncio.Semaphore(jobs)

    async def one(case):
        async with turn:
            return await autobahn.run(case, url)
    return await asyncio.gather(*[one(case) for case in cases])


def judge(peers, verbose):
    """Prints what is to be said of each case; how many failed that were not to."""
    failed, sections = 0, collections.defaultdict(collections.Counter)
    for name, peer in peers.items():
        case = peer.runCase
        good = {case.behavior, case.behaviorClose} <= GOOD
        known = not good and name in KNOWN
        mended = good and name in ALWAYS
        failed += mended or not (good or known)
        sections[int(name.split(".")[0])]["known" if known else case.behavior if good else "FAILED"] += 1
        if mended:
            print(f"{name}: passes, though it is known to fail")
        if not good:
            print(f"{name}: {case.behavior} ({case.result}), close: {case.behaviorClose} ({case.resultClose})")
        if known:
            print(f"{name}: known: {KNOWN[name]}")
        if verbose or (not good and not known):
            print("".join(f"    {line}\n" for line in peer.wire), end="")
    for section, counts in sections.items():
        print(f"section {section}: " + ", ".join(f"{count} {what}" for what, count in sorted(counts.items())))
    return failed


def main():
    parser = argparse.ArgumentParser(description="Autobahn's cases", usage=__doc__.split("\n")[2].strip())
    parser.add_argument("--wheel", required=True)
    parser.add_argument("--cases", default=SECTIONS)
    parser.add_argument("--jobs", type=int, default=8)
    parser.add_argument("-v", action="store_true")
    options = parser.parse_args()
    cases = {name: case for name, case in autobahn.load(options.wheel).items()
             if any(fnmatch.fnmatchcase(name, pattern) for pattern in options.cases.split(","))}
    with tempfile.TemporaryDirectory(prefix="dw") as folder:
        world = World(pathlib.Path(folder))
        try:
            world.hub()
            edge = world.edge("--max-user-handshakes", 0, program="diagws-edge-echo")
            url = f"ws://127.0.0.1:{edge.port}/ws/123?token={world.token('alice')}"
            peers = asyncio.run(run_all(cases.values(), url, options.jobs))
        finally:
            world.end()
    failed = judge(dict(zip(cases, peers)), options.v)
    print(f"{len(peers)} cases, {failed} failed that are not known", file=sys.stderr)
    return 1 if failed or not peers else 0


if __name__ == "__main__":
    sys.exit(main())
