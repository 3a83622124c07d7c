"""Which allocations a client's memory on the heap consists of, in edge and hub: for the table in RESULTS.md.

    heap.py [CLIENTS [TO_A_ROOM]]      (1000, 10)

Both run under valgrind's massif; what they hold before the clients come is taken off. A line is a place that allocates:
bytes a client, and the innermost function whose name is known (libwebsockets has no names of its own functions).
"""
import collections
import re
import subprocess
import sys

import load
from servers import SERVER, Diagws, Failed

NODE = re.compile(r"^( *)n(\d+): (\d+) (.*)$", re.M)


class Watched(Diagws):
    def start(self, name, arguments, cores=SERVER, **more):
        massif = ["valgrind", "--tool=massif", "--depth=20", "--threshold=0.1",
                  f"--massif-out-file={self.folder}/{name}.out", f"--vgdb-prefix={self.folder}/vgdb", *arguments]
        return super().start(name, massif, cores, **more)

    def sites(self, name):
        """{place: bytes} now."""
        snapshot = self.folder / f"{name}.now"
        done = subprocess.run(["vgdb", f"--vgdb-prefix={self.folder}/vgdb", f"--pid={self.pids[name]}",
                               "detailed_snapshot", snapshot], capture_output=True, text=True)
        if done.returncode != 0:
            raise Failed(f"vgdb: {done.stderr}")
        found, path = collections.Counter(), []
        for indent, children, size, text in NODE.findall(snapshot.read_text()):
            path[len(indent):] = [text]
            if int(children) == 0 and "below massif" not in text:
                named = next((t for t in path[1:] if "???" not in t), path[1])
                # Places in a library that has no names are told apart by their addresses.
                found[(named, *(path[1:4] if named != path[1] else ()))] += int(size)
        return found


def shown(place):
    """The function, and which library allocates for it."""
    name = re.sub(r"^0x[0-9A-F]+: | \(in .*", "", place[0])
    return name if len(place) == 1 else f"{re.search(r'([^/]+)[)]$', place[1])[1]}, for {name}"


def main():
    clients = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    to_a_room = int(sys.argv[2]) if len(sys.argv) > 2 else 10
    with Watched() as servers:
        before = {name: servers.sites(name) for name in servers.pids}
        with load.crowd(servers, clients, rooms=clients // to_a_room):
            for name in servers.pids:
                print(name)
                for place, size in (servers.sites(name) - before[name]).most_common():
                    if size >= 4 * clients:
                        print(f"{size / clients:9.1f}  {shown(place)}")


if __name__ == "__main__":
    main()
