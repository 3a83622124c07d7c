"""libdiagws as another program uses it: built against the tree, against an installed copy, shared and static."""
import os
import re
import shlex
import subprocess

import pytest

from conftest import BUILD, ROOT, SANITIZED


def make(*arguments):
    """make as a person would call it, whatever runs the tests; what is built already stays."""
    env = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    sanitize = ["SANITIZE=address,undefined"] if SANITIZED else []
    done = subprocess.run(["make", f"BUILD={BUILD}", *sanitize, *map(str, arguments)], cwd=ROOT, env=env, text=True,
                          capture_output=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done


def files(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir())


def embeds(world, program, env=None):
    """Runs the example, and looks whether its messages are there once."""
    before = world.stat()["head"]
    said = world.run(program, "77", env=env).stdout
    room = world.stat("room", "77")
    assert re.match(r"stored as seq \d+, 0 clients told, 0 devices get it later\n", said)
    assert f"room: n {room['n']}, retained {room['retained']}\n" in said
    assert world.stat()["head"] - before == 1001
    assert room["retained"] == 100


def test_example_from_the_build_folder(world):
    program = BUILD / "tests" / "embed"
    make(program)
    world.hub()
    embeds(world, program)


def test_example_without_a_hub(world):
    program = BUILD / "tests" / "embed"
    make(program)
    done = world.run(program, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("embed: ") and done.stdout == ""


@pytest.fixture
def installed(world):
    world.prefix = world.path / "usr"
    make("install", f"PREFIX={world.prefix}")
    world.pkg = {"PKG_CONFIG_PATH": str(world.prefix / "lib/pkgconfig")}
    return world


def pkg_config(world, *arguments):
    return shlex.split(world.run("pkg-config", *arguments, "diagws", env=world.pkg).stdout)


def compile_example(world, name, *flags):
    program = world.path / name
    world.run("cc", "-o", program, ROOT / "examples/embed.c", *flags)
    return program


@pytest.mark.skipif(SANITIZED, reason="a plain program cannot link an instrumented library")
def test_an_installed_library_shared_and_static(installed):
    installed.hub()
    prefix = installed.prefix
    assert pkg_config(installed, "--cflags") == [f"-I{prefix}/include"]
    shared = compile_example(installed, "shared", *pkg_config(installed, "--cflags", "--libs"))
    path = {"LD_LIBRARY_PATH": str(prefix / "lib")}
    assert f"libdiagws.so.0 => {prefix}/lib/libdiagws.so.0" in installed.run("ldd", shared, env=path).stdout
    embeds(installed, shared, env=path)
    libs = pkg_config(installed, "--static", "--libs")
    static = compile_example(installed, "static", *pkg_config(installed, "--cflags"),
                             *(f"{prefix}/lib/libdiagws.a" if word == "-ldiagws" else word for word in libs))
    assert "libdiagws" not in installed.run("ldd", static).stdout
    embeds(installed, static)


def test_installed_programs_run_and_nothing_else_is_needed(installed):
    for program in sorted((installed.prefix / "bin").iterdir()):
        assert installed.run(program, "--version").stdout.startswith(program.name)
    make("uninstall", f"PREFIX={installed.prefix}")
    assert files(installed.prefix) == []


def test_a_package_is_built_in_a_folder_of_its_own(world):
    staged, prefix = world.path / "staged", "/opt/diagws"
    make("install", f"DESTDIR={staged}", f"PREFIX={prefix}")
    there = files(staged)
    assert "opt/diagws/bin/diagws-send" in there and all(name.startswith("opt/diagws/") for name in there)
    pc = (staged / "opt/diagws/lib/pkgconfig/diagws.pc").read_text()
    assert f"prefix={prefix}\n" in pc and str(staged) not in pc
    make("uninstall", f"DESTDIR={staged}", f"PREFIX={prefix}")
    assert files(staged) == []
