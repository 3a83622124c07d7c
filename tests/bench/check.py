"""Instruction counts of hot paths against those that are stored: whether something has become more expensive.

    check.py [--store] [--build DIR] [--flags CFLAGS]      (make bench-check [STORE=1])

Counts do not depend on how busy the machine is, so one run tells a difference of a few per cent. They do depend on the
compiler, the C library and what of the processor it uses: where these are others than those of the stored counts,
`skipped: why` is printed and nothing is judged. A path that got more than 3 % more expensive is named and fails the
run; one that got cheaper by more is named, to be stored anew.
"""
import argparse
import concurrent.futures
import json
import pathlib
import platform
import re
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
STORED = HERE / "instructions.json"
ALLOWED = 1.03
IFUNC = {"sse4_2", "avx", "avx2", "bmi1", "bmi2", "erms", "fma", "movbe"}  # what the C library chooses its functions by


def first_line(*command):
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()[0]


def surroundings(flags):
    """What counts depend on beside the code."""
    cpu = re.search(r"^flags\s*:(.*)$", pathlib.Path("/proc/cpuinfo").read_text(), re.M)
    return {"compiler": first_line("cc", "--version"), "flags": flags, "libc": " ".join(platform.libc_ver()),
            "machine": platform.machine(), "processor": sorted(IFUNC & set(cpu[1].split() if cpu else ())),
            "valgrind": first_line("valgrind", "--version")}


def count(driver):
    """{path: instructions of one round}"""
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            ["valgrind", "--tool=callgrind", "--collect-atstart=no", f"--callgrind-out-file={folder}/out", driver],
            capture_output=True, text=True)
        if done.returncode != 0:
            sys.exit(f"{driver.name}: {done.stderr[-2000:]}")
        counts = {}
        for dump in pathlib.Path(folder).glob("out.*"):
            text = dump.read_text()
            name, rounds = re.search(r"^desc: Trigger: Client Request: (\S+) (\d+)$", text, re.M).groups()
            counts[name] = round(int(re.search(r"^summary: (\d+)$", text, re.M)[1]) / int(rounds))
        return counts


def judge(counts, stored):
    """Prints a line for each path; the names of those that got more expensive."""
    worse = []
    for name in sorted(counts.keys() | stored.keys()):
        if name not in stored or name not in counts:
            print(f"  {name:28} {counts.get(name, '-'):>10} {stored.get(name, '-'):>10} make bench-check STORE=1")
            continue
        ratio = counts[name] / stored[name]
        verdict = "" if 2 - ALLOWED <= ratio <= ALLOWED else "MORE" if ratio > 1 else "less: make bench-check STORE=1"
        print(f"  {name:28} {counts[name]:>10} {stored[name]:>10} {100 * (ratio - 1):+7.1f} % {verdict}".rstrip())
        if verdict == "MORE":
            worse.append(name)
    return worse


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--store", action="store_true")
    parser.add_argument("--build", type=pathlib.Path, default=HERE.parents[1] / "build")
    parser.add_argument("--flags", default="-O2 -g")
    options = parser.parse_args()
    about = surroundings(options.flags)
    stored = json.loads(STORED.read_text()) if STORED.exists() else {"about": about, "paths": {}}
    other = [f"{key} is {about[key]}, not {stored['about'].get(key)}" for key in about
             if about[key] != stored["about"].get(key)]
    if other and not options.store:
        print("skipped: the counts that are stored are of another machine: " + "; ".join(other))
        return 0
    drivers = [options.build / "tests" / path.stem for path in sorted(HERE.glob("hot_*.c"))]
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        counts = {name: value for found in pool.map(count, drivers) for name, value in found.items()}
    print(f"  {'instructions of':28} {'now':>10} {'stored':>10}")
    worse = judge(counts, stored["paths"])
    if options.store:
        STORED.write_text(json.dumps({"about": about, "paths": counts}, indent=1, sort_keys=True) + "\n")
        print(f"stored in {STORED.name}")
        return 0
    if worse:
        print(f"bench-check: more than {100 * (ALLOWED - 1):.0f} % more instructions than stored: {', '.join(worse)}",
              file=sys.stderr)
    return 1 if worse else 0


if __name__ == "__main__":
    sys.exit(main())
