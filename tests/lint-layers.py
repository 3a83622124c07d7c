#!/usr/bin/env python3
"""Which folder may use which (tests/layers), and no circle of calls between files: lint-layers.py BUILD.

An arrow is a symbol that one object file needs and another one of the same program, or of lib/, defines (nm): so a
function that is named in a table counts as a call. Between folders an #include counts, too, since a header may hold
code and types; but for those in a program's own top folder (hub.h, edge.h), which say what all of it shares. An arrow that tests/layers does not allow is an error, and so are a circle of files, a line that nothing
uses any more, and a circle in the table itself. BUILD is made of the sources as they are (make all).
"""
import collections
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
OF_LIBC = {"recv"}  # which lib/http/receive.c has, too, for programs that link it


def sources():
    """{program: its .c and .h files}; lib is one, too."""
    found = collections.defaultdict(list)
    for name in subprocess.run(["git", "-C", ROOT, "ls-files", "-co", "--exclude-standard", "lib", "cmd"],
                               capture_output=True, text=True, check=True).stdout.split():
        path = pathlib.Path(name)
        if path.suffix in (".c", ".h") and (ROOT / path).exists():
            found["lib" if path.parts[0] == "lib" else "/".join(path.parts[:2])].append(path)
    return found


def symbols(build, files):
    """({symbol: the file that defines it}, {file: what it needs})."""
    defined, needed = {}, {}
    for path in (path for path in files if path.suffix == ".c"):
        out = subprocess.run(["nm", build / path.with_suffix(".o")], capture_output=True, text=True, check=True).stdout
        needed[path] = set()
        for line in out.splitlines():
            kind, name = line.split()[-2:]
            if kind == "U":
                needed[path].add(name)
            elif kind in "TDBRC" and name not in OF_LIBC:
                defined[name] = path
    return defined, needed


def included(path):
    """Headers of the project that a file includes, beside it, in its program or in lib."""
    places = [ROOT / path.parent, ROOT / "lib", ROOT / "include"]
    places += [ROOT / pathlib.Path(*path.parts[:2])] if path.parts[0] == "cmd" else []
    for name in re.findall(r'^#include "([^"]+)"', (ROOT / path).read_text(), re.M):
        for place in places:
            if (place / name).is_file():
                yield (place / name).resolve().relative_to(ROOT)
                break


def circles(arrows):
    """Sets of nodes that reach one another (Tarjan)."""
    index, low, stack, found = {}, {}, [], []

    def visit(node):
        index[node] = low[node] = len(index)
        stack.append(node)
        for other in arrows.get(node, ()):
            if other not in index:
                visit(other)
            if other in stack:
                low[node] = min(low[node], low[other])
        if low[node] == index[node]:
            at = stack.index(node)
            if len(stack) > at + 1:
                found.append(sorted(map(str, stack[at:])))
            del stack[at:]

    for node in list(arrows):
        if node not in index:
            visit(node)
    return found


def table():
    """{folder: the folders that it may use}; a line is `FOLDER: OWN… ; LIB…`, of the same program and of lib/."""
    allowed = {}
    for line in (ROOT / "tests/layers").read_text().splitlines():
        line = line.partition("#")[0].strip()
        if line:
            folder, _, uses = line.partition(":")
            own, _, lib = uses.partition(";")
            program = "lib" if folder.startswith("lib/") else "/".join(folder.split("/")[:2])
            allowed[folder] = {f"{program}/{name}" for name in own.split()} | {f"lib/{name}" for name in lib.split()}
    return allowed


def main():
    build, faults, folders = pathlib.Path(sys.argv[1]), [], collections.defaultdict(dict)
    programs = sources()
    lib_defined, lib_needed = symbols(build, programs["lib"])
    for program, files in programs.items():
        defined, needed = (lib_defined, lib_needed) if program == "lib" else symbols(build, files)
        where, arrows = {**lib_defined, **defined}, collections.defaultdict(set)
        for path, names in needed.items():
            for name in names & where.keys():
                if where[name] != path:
                    arrows[path].add(where[name])
                    folders[path.parent].setdefault(where[name].parent, f"{path} needs {name} of {where[name]}")
        for path in files:
            for header in included(path):
                if header.parts[0] != "include" and (program == "lib" or header.parent != pathlib.Path(program)):
                    folders[path.parent].setdefault(header.parent, f"{path} includes {header}")
        faults += [f"a circle of calls in {program}: {' '.join(circle)}" for circle in circles(arrows)]
    allowed = table()
    for folder, uses in sorted(folders.items()):
        faults += [f"{folder} may not use {other} (tests/layers): {why}" for other, why in sorted(uses.items())
                   if other != folder and str(other) not in allowed.get(str(folder), ())]
    for folder, uses in allowed.items():
        used = {str(other) for other in folders.get(pathlib.Path(folder), {})} - {folder}
        faults += [f"tests/layers: {folder} does not use {other} any more" for other in sorted(uses - used)]
    faults += [f"tests/layers: a circle of folders: {' '.join(circle)}" for circle in circles(allowed)]
    print("\n".join(faults), file=sys.stderr, end="\n" if faults else "")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
