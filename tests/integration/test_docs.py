"""The manual pages say what the programs do: options, numbers and symbols are compared in both directions.

What a page names is read from its mdoc source, not from its rendering: options are `.Fl -name` macros, errors
the words DWnnnn, exit statuses and functions the items of their sections.
"""
import itertools
import re
import subprocess

import pytest

from conftest import BIN, BUILD, PATIENCE, ROOT

MAN = ROOT / "man"
VERSION = "0.1.0"
COMMANDS = {
    "diagws": "diagws.1",
    "diagws-hub": "diagws-hub.8",
    "diagws-edge": "diagws-edge.8",
    "diagws-send": "diagws-send.1",
    "diagws-stat": "diagws-stat.1",
    "diagws-owner": "diagws-owner.1",
    "diagws-token": "diagws-token.1",
    "diagws-bench": "diagws-bench.1",
    "diagws-clinic": "diagws-clinic.1",
}
# A command inside `diagws`, with a page of its own.
UP = ("diagws", "up")
NAMES = [*((name,) for name in COMMANDS), UP]
PAGES = sorted(path.name for path in MAN.glob("*.[1-8]"))


def run(*arguments):
    done = subprocess.run([str(a) for a in arguments], capture_output=True, text=True, timeout=PATIENCE,
                          stdin=subprocess.DEVNULL)
    assert done.returncode == 0, f"{arguments}: {done.returncode}: {done.stderr}"
    return done.stdout


def ask(command, option):
    path = BIN / command[0]
    assert path.exists(), f"{path} is not built"
    return run(path, *command[1:], option)


def source(page):
    return (MAN / page).read_text()


def page_of(command):
    return "diagws-up.1" if command == UP else COMMANDS[command[0]]


def section(text, title):
    """The body of one `.Sh`, up to the next."""
    found = re.search(rf"^\.Sh {re.escape(title)}\n(.*?)(?=^\.Sh |\Z)", text, re.M | re.S)
    assert found, f"no section '{title}'"
    return found.group(1)


def items(text):
    """The first word of each `.It` of a list."""
    return re.findall(r"^\.It (\S+)", text, re.M)


def options_in_help(text):
    """Long options as --help lists them: at the start of a line, with or without a letter before."""
    return set(re.findall(r"^ +(?:-\w, +)?--([a-z][a-z-]*)", text, re.M))


def options_in_page(text):
    """Every long option a page's macros name: `.Fl -name`, also after a letter, as in `.Fl v , -verbose`. Not what
    is said to be an option of another page (`.Fl -name`, `of`, `.Xr …`)."""
    text = re.sub(r"^\.Fl [^\n]*\nof\n\.Xr [^\n]*", "", text, flags=re.M)
    found = set()
    for line in re.findall(r"^\..*\bFl\b.*$", text, re.M):
        for rest in re.split(r"\bFl\b", line)[1:]:
            # Up to the next macro: `Ar`, `Cm`, …
            for word in rest.split():
                if re.fullmatch(r"[A-Z][a-z]", word):
                    break
                if re.fullmatch(r"-[a-z][a-z-]+", word):
                    found.add(word[1:])
    return found


def errors():
    """(number, exit status, text) of each row of DW_ERRORS."""
    rows = re.findall(r'X\(DW_E_\w+, (\d{4}), (\d+), "\w+", "([^"]+)"\)',
                      (ROOT / "lib/base/err.h").read_text())
    assert len(rows) > 20
    return [(int(number), int(status), text) for number, status, text in rows]


@pytest.mark.parametrize("command", NAMES, ids=" ".join)
def test_page_and_help_name_the_same_options(command):
    listed = options_in_help(ask(command, "--help"))
    named = options_in_page(source(page_of(command)))
    assert {"help"} <= listed
    assert named - listed == set(), "the page names options that --help lacks"
    assert listed - named == set(), "--help has options that the page lacks"


@pytest.mark.parametrize("command", NAMES, ids=" ".join)
def test_completion_words_have_every_option(command):
    words = ask(command, "--list-words").split()
    assert {word[2:] for word in words if word.startswith("--")} == options_in_help(ask(command, "--help"))
    assert len(words) == len(set(words))


@pytest.mark.parametrize("command", NAMES, ids=" ".join)
def test_page_tells_defaults_and_variables(command):
    """What --help gives as `[default X, env NAME]` is said at the option on its page."""
    text = source(page_of(command))
    for env in re.findall(r"env (DIAGWS_\w+)\]", ask(command, "--help")):
        assert re.search(rf"^\.(Pq )?Ev.*\b{env}\b", text, re.M), f"{env} is not on the page"
        assert re.search(rf"\b{env}\b", source("diagws.7")), f"{env} is not in diagws(7)"


@pytest.mark.parametrize("command", NAMES, ids=" ".join)
def test_help_fits_a_terminal(command):
    """Examples are left as they are, for pasting."""
    text = ask(command, "--help").split("\nExamples\n")[0]
    assert text.startswith("usage: ") and [line for line in text.splitlines() if len(line) > 80] == []


@pytest.mark.parametrize("command", NAMES, ids=" ".join)
def test_version(command):
    assert ask(command, "--version") == f"{'-'.join(command)} (diagws) {VERSION}\n"


@pytest.mark.parametrize("page", PAGES)
def test_page_lints_clean(page):
    done = subprocess.run(["mandoc", "-T", "lint", "-W", "warning", MAN / page], capture_output=True, text=True,
                          timeout=PATIENCE)
    assert done.returncode == 0 and done.stdout == "", done.stdout


@pytest.mark.parametrize("page", PAGES)
def test_page_is_whole(page):
    """Sections that readers look for, and references that lead to a page of ours or the system's."""
    text = source(page)
    wanted = ["NAME", "DESCRIPTION", "SEE ALSO"]
    if page in (*COMMANDS.values(), "diagws-up.1"):
        wanted += ["SYNOPSIS", "EXIT STATUS", "EXAMPLES"]
    for title in wanted:
        assert section(text, title).strip()
    for name, number in re.findall(r"\bXr ((?:lib)?diagws\S*) (\d)", text):
        assert (MAN / f"{name}.{number}").exists(), f"{page} refers to {name}({number})"


def test_every_command_has_a_page():
    built = {path.name for path in BIN.iterdir()}
    assert built == set(COMMANDS)
    assert {*COMMANDS.values(), "diagws-up.1", "diagws.7", "libdiagws.3", "diagws-protocol.7"} <= set(PAGES)


def test_overview_lists_every_error():
    listed = re.findall(r"^\.It DW(\d{4}) (\d+) (.+)$", section(source("diagws.7"), "DIAGNOSTICS"), re.M)
    assert [(int(n), int(status), text.strip('"')) for n, status, text in listed] == errors()


def test_overview_lists_every_exit_status():
    listed = set(map(int, items(section(source("diagws.7"), "EXIT STATUS"))))
    assert listed == {status for _, status, _ in errors()} | {0, 130}


def exported():
    found = set()
    for line in run("nm", "-D", "--defined-only", BUILD / "lib/libdiagws.so").splitlines():
        _, kind, name = line.split()
        # A sanitizer's own helpers are no part of the interface.
        if not re.match(r"__(asan|odr_asan|ubsan|sanitizer)", name):
            found.add((kind, name))
    return found


def declared():
    return set(re.findall(r"\bDIAGWS_API\b[^;]*?\b(diagws_\w+)\(", (ROOT / "include/diagws.h").read_text()))


def test_library_exports_what_its_header_declares():
    assert exported() == {("T", name) for name in declared()}
    assert len(declared()) > 10


def test_library_page_has_every_function():
    synopsis = section(source("libdiagws.3"), "SYNOPSIS")
    assert set(re.findall(r"^\.F[no] (\w+)", synopsis, re.M)) == declared()
    described = set(re.findall(r"^\.(?:It )?Fn (\w+)", section(source("libdiagws.3"), "DESCRIPTION"), re.M))
    assert declared() <= described


def test_library_page_has_every_error():
    listed = re.findall(r"^\.It Dv (DIAGWS_\w+) Pq DW(\d{4})", section(source("libdiagws.3"), "ERRORS"), re.M)
    header = re.findall(r"^\t(DIAGWS_[A-Z_]+) = -(\d{4}),", (ROOT / "include/diagws.h").read_text(), re.M)
    assert len(header) > 10
    assert set(listed) == set(header)


def test_library_example_compiles(tmp_path):
    found = re.search(r"^\.Bd.*?\n(.*?)^\.Ed", section(source("libdiagws.3"), "EXAMPLES"), re.M | re.S)
    code = found.group(1).replace("\\e", "\\").replace("\\-", "-").replace("\\&", "")
    (tmp_path / "example.c").write_text(code)
    libs = BUILD / "lib"
    sanitize = ["-fsanitize=address,undefined"] if "sanitize" in BUILD.name else []
    run("cc", "-std=c11", "-Wall", "-Wextra", "-Werror", *sanitize, f"-I{ROOT / 'include'}", "-o", tmp_path / "example",
        tmp_path / "example.c", f"-L{libs}", "-ldiagws", f"-Wl,-rpath,{libs}")


def test_protocol_page_has_every_field():
    """The grammar on the page is the tables of wire.c."""
    code = (ROOT / "lib/wire/wire.c").read_text()
    shapes = re.search(r"shapes\[\] = \{(.*?)^\};", code, re.M | re.S).group(1)
    page = re.search(r"^\.Bd -literal -compact\n(.*?)^\.Ed", source("diagws-protocol.7"), re.M | re.S).group(1)
    kinds = dict(re.findall(r"\b(DW_[A-Z]+) = (\d+),", (ROOT / "lib/wire/wire.h").read_text()))
    names = re.findall(r'\[(DW_[A-Z]+)\] = \{ "([A-Z]+)",(.*?)\} \}', shapes, re.S)
    assert len(names) == len(re.findall(r"^\t\[DW_", shapes, re.M)) >= 24
    for kind, name, fields in names:
        # A position, and what else is several numbers, has one name there.
        several = [re.sub(r"\..*", "", f"*{field}") if kind in "PG" or "." in field else field
                   for kind, field in re.findall(r"\b([UTBFPG])\(\w+, ([\w.]+)", fields)]
        wanted = [kinds[kind], *(field for field, _ in itertools.groupby(several))]
        found = re.search(rf"^{name.lower()} +=\s*\[(.*?)\]", page, re.M | re.S)
        assert found, name
        assert [word.strip() for word in found.group(1).split(",")] == wanted, name
    record = re.search(r"^record +=\s*\[(.*?)\]", page, re.M | re.S).group(1)
    assert re.split(r",\s+", record) == re.findall(r'\{ "(\w+)", \w+, offsetof\(struct dw_record', code)


def stat_views():
    """view → columns, as the hub's table has them."""
    text = (ROOT / "cmd/diagws-hub/handle/on_stat.c").read_text()
    room = re.search(r'#define ROOM_COLUMNS[\s\\\\]*"([^"]+)"', text).group(1)
    table = re.search(r"views\[\] = \{(.*?)^\};", text, re.M | re.S).group(1).replace("ROOM_COLUMNS", f'"{room}"')
    views = {}
    for name, columns in re.findall(r'\{ "(\w+)",\s*((?:"[^"]*"\s*)+),', table):
        views[name] = "".join(re.findall(r'"([^"]*)"', columns)).split("\\t")
    assert len(views) == 8 and "rooms" in views
    return views


@pytest.mark.parametrize("view", sorted(stat_views()))
def test_stat_page_has_every_column(view):
    body = section(source("diagws-stat.1"), "VIEWS")
    found = re.search(rf"^\.It Cm {view}\b.*?\n(.*?)(?=^\.It Cm |\Z)", body, re.M | re.S)
    assert found, f"the view {view} is not on the page"
    text = found.group(1)
    if "same columns" in text:
        text += re.search(r"^\.It Cm rooms\b.*?\n(.*?)(?=^\.It Cm )", body, re.M | re.S).group(1)
    assert re.findall(r"^\.It Va (\w+)", text, re.M) == stat_views()[view]


def test_stat_answers_with_the_documented_columns(clinic):
    """The hub as it runs, not only its source."""
    clinic.send("effectiveness", "123", {"recommendation_id": 1, "new_effectiveness": 0.5, "confidence": 0.5,
                                         "sample_size": 1})
    for view, columns in stat_views().items():
        operands = [view, "123"] if view in ("room", "devices", "messages") else [view]
        header = clinic.run("diagws-stat", "--format", "tsv", *operands).stdout.splitlines()[0]
        assert header.split("\t") == columns


def test_pages_say_alike_how_far_back_numbers_are_known():
    times = re.search(r"DW_HISTORY_TIMES = (\d+)", (ROOT / "lib/store/engine.h").read_text()).group(1)
    word = {"10": "ten"}[times]
    newest = f"for the newest {word} times -queue-limit"
    said = (f"Which number a seq has is known exactly {newest} messages to everyone of a diagnosis, "
            f"the retained ones included, and {newest} direct messages to a user.")
    for page in PAGES:
        text = " ".join(re.sub(r"^\.(?:Fl|Va) ", "", source(page), flags=re.M).split())
        assert text.count(said) == (page in ("diagws.7", "diagws-protocol.7", "diagws-hub.8")), page
        assert "eleven times" not in text


def commands(text, name):
    """What follows a command's name, to the end of its line and of those that a backslash continues."""
    text = text.replace("\\e\n", " ").replace("\\\n", " ")
    return re.findall(rf"(?<![\w/.-]){name}(?![\w(-])([^\n|]*)", text)


@pytest.mark.parametrize("name,option", [("diagws-send", ""), ("curl", "-d ")])
def test_no_example_gives_data_as_an_argument(name, option):
    """Everybody on the machine sees it in ps; the manual says so."""
    places = {path.name: path.read_text() for folder in ("man", "examples", "examples/systemd")
              for path in (ROOT / folder).iterdir() if path.is_file() and path.suffix != ".png"}
    places |= {"README.md": (ROOT / "README.md").read_text(), "up.c": (ROOT / "cmd/diagws/up.c").read_text(),
               "help": ask(("diagws-send",), "--help")}
    found = [(place, rest) for place, text in places.items() for rest in commands(text, name)]
    assert any("123" in rest or option in rest for _, rest in found)
    for place, rest in found:
        assert not re.search(rf" {option}['\"]?(\{{|\$update)", rest), f"{place}: {name}{rest}"
    assert "Xr ps 1" in section(source("diagws-send.1"), "DESCRIPTION")
    assert "seen in ps" in places["help"]
