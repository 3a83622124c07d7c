"""diagws-bench, run on the load's core; and what /proc says meanwhile."""
import contextlib
import json
import os
import pathlib
import re
import signal
import subprocess

from servers import LOAD, Diagws, Failed, pinned, until

SIZE = 200  # bytes of a message's data
SOCKETS = "(?:TCP|sock_|filp|dentry|eventpoll|lsm_|skbuff|kmalloc-)"
ROUGH = {65: "something was lost, repeated or disordered"}


def arguments(command, servers, options):
    """The command line. A peer's publish URL depends on the burst."""
    where = servers.where if isinstance(servers, Diagws) else servers.options(options.get("burst", 1))
    line = [Diagws.build / "bin/diagws-bench", command, "--json", *where]
    for name, pid in servers.pids.items():
        line += ["--process", f"{name}={pid}"]
    for name, value in options.items():
        line += ["--" + name.replace("_", "-"), *([] if value is True else [value])]
    return [str(word) for word in line]


def start(command, servers, nice=0, **options):
    with pinned(LOAD):
        return subprocess.Popen(arguments(command, servers, options), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, text=True, preexec_fn=(lambda: os.nice(nice)) if nice else None)


def finish(popen, patience=60, strict=True):
    """What it measured. strict: a message that was lost, repeated or out of order makes the measurement void."""
    try:
        out, err = popen.communicate(timeout=patience)
    except subprocess.TimeoutExpired:
        raise Failed(f"diagws-bench did not end in {patience} s") from None
    finally:
        if popen.poll() is None:
            popen.kill()
            popen.communicate()
    try:
        found = json.loads(out)
    except ValueError:
        raise Failed(f"diagws-bench: status {popen.returncode}: {err.strip()[-300:]}") from None
    if strict and popen.returncode != 0:
        counts = ", ".join(f"{name} {found[name]}" for name in ("lost", "repeated", "disordered", "errors", "failed")
                           if found.get(name))
        raise Failed(f"{ROUGH.get(popen.returncode, f'status {popen.returncode}')}: {counts or err.strip()[-300:]}")
    return found


def run(command, servers, patience=60, **options):
    return finish(start(command, servers, **options), patience)


def process(found, name):
    return next((p for p in found["processes"] if p["name"] == name), None)


def descriptors(pid):
    """How many files the process has open. A newer kernel just says it; to list them makes it keep an entry of each."""
    folder = f"/proc/{pid}/fd"
    return os.stat(folder).st_size or len(os.listdir(folder))


@contextlib.contextmanager
def crowd(servers, clients, command="memory", **options):
    """So many clients are connected, both ends here; idle unless the command has something to send."""
    pid = servers.pids.get("edge") or servers.pids["server"]
    before = descriptors(pid)
    popen = start(command, servers, clients=clients, duration="10m", timeout="60s", **options)
    try:
        def all_here():
            if popen.poll() is not None:
                raise Failed(f"diagws-bench ended: {popen.communicate()[1].strip()[-300:]}")
            return descriptors(pid) - before >= clients - 4  # before, some may have been of others
        until(all_here, f"{clients} clients")
        yield
    finally:
        popen.send_signal(signal.SIGINT)
        with contextlib.suppress(Failed, ValueError):  # ValueError: its output was read already
            finish(popen, 30, strict=False)


def slabs():
    """{cache: bytes} of the kernel's caches that sockets come from; {} where only root may know."""
    with contextlib.suppress(OSError):
        text = pathlib.Path("/proc/slabinfo").read_text()
        return {name: int(active) * int(size)
                for name, active, size in re.findall(rf"^({SOCKETS}\S*) +(\d+) +\d+ +(\d+) ", text, re.M)}
    return {}


def written(folder):
    """Bytes that the disk under the folder has written, whoever wanted it: what the kernel counts for a process are all
    pages that it groups, of which it writes few."""
    device = os.stat(folder).st_dev
    stat = pathlib.Path(f"/sys/dev/block/{os.major(device)}:{os.minor(device)}/stat").read_text().split()
    return 512 * int(stat[6])
