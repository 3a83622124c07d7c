"""Runs the fuzz targets of build/fuzz, as many at once as there are cores, each for so long, from its seeds and what it has
learnt before. A finding (a crash, a property that does not hold, an input that takes 10 s or 1 GiB) ends its target, is kept
in build/fuzz/findings and fails the run.
"""
import argparse
import concurrent.futures
import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
SEEDS = ROOT / "tests/fuzz/seeds"
BUILD = ROOT / "build/fuzz"
LONGEST = {"head": 32768, "store": 512, "journal": 16384, "token": 6000}  # bytes of an input; else 4096


def fuzz(name, seconds):
    """(name, exit status, what to say of it)"""
    learnt, findings = BUILD / "corpus" / name, BUILD / "findings"
    for folder in (learnt, findings):
        folder.mkdir(parents=True, exist_ok=True)
    log = BUILD / f"{name}.log"
    with open(log, "wb") as output:
        done = subprocess.run([
            BUILD / "bin" / name, learnt, SEEDS / name, f"-max_total_time={seconds}", "-timeout=10", "-rss_limit_mb=1024",
            f"-max_len={LONGEST.get(name, 4096)}", f"-artifact_prefix={findings}/{name}-", "-print_final_stats=1"],
            stdout=output, stderr=output, stdin=subprocess.DEVNULL, cwd=BUILD,
            env={**os.environ, "UBSAN_OPTIONS": "print_stacktrace=1", "ASAN_OPTIONS": "quarantine_size_mb=32"})
    text = log.read_text(errors="replace")
    if done.returncode != 0:
        return name, done.returncode, text[-6000:]
    stats = dict(line[len("stat::"):].split(":") for line in text.splitlines() if line.startswith("stat::"))
    return name, 0, f"{int(stats['number_of_executed_units']):,} inputs, {stats['peak_rss_mb'].strip()} MiB"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, required=True)
    parser.add_argument("names", nargs="*", help="all by default")
    options = parser.parse_args()
    known = sorted(path.stem.removeprefix("fuzz_") for path in (ROOT / "tests/fuzz").glob("fuzz_*.c"))
    unknown = set(options.names) - set(known)
    if unknown:
        parser.error(f"no target {', '.join(unknown)}; there are {' '.join(known)}")
    failed = []
    with concurrent.futures.ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        runs = [pool.submit(fuzz, name, options.seconds) for name in options.names or known]
        for run in concurrent.futures.as_completed(runs):
            name, status, said = run.result()
            print(f"{name:10} {'ok' if status == 0 else 'FAILED'}  {said}", flush=True)
            if status != 0:
                failed.append(name)
    if failed:
        sys.exit(f"findings in build/fuzz/findings: {' '.join(failed)}; put each into tests/fuzz/seeds when it is mended")


if __name__ == "__main__":
    main()
