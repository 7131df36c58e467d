"""The client's house: what each room of `stilton_client` imports, exactly.

Read a line as: "this room imports these rooms". The table is exact both ways: an import that is not in it fails, and
so does a word in it that nobody needs. A new room gets a line on its floor: facts decide and touch nothing, tools touch
one outside thing each, work puts both together for a session, doors are what a person types.
"""

import graphlib
from pathlib import Path

import pytest

from tests.test_architecture import imports, is_pythons

PACKAGE = "stilton_client"
ROOT = Path(__file__).parent.parent / "src" / PACKAGE

FACTS: dict[str, set[str]] = {
    "errors": set(),
    "urls": set(),
    "findings": set(),
    "inifiles": set(),
    "tomlfiles": {"inifiles"},
    "toolsettings": set(),
    "toxresults": set(),
    "keyvalues": {"errors"},
    "listings": {"urls"},
    "members": {"errors"},
    "platforms": {"errors"},
    "releases": {"errors", "urls"},
    "requirements": {"errors"},
    "snippets": {"errors", "urls"},
    "candidates": {"errors", "members", "releases"},
    "filechecks": {"findings", "listings"},
    "pagechecks": {"findings", "listings", "urls"},
    "toolchecks": {"findings", "listings", "toolsettings", "urls"},
    "targets": {"errors", "platforms"},
    "pins": {"errors", "simple", "targets"},
    "uvcompile": {"pins", "targets"},
    "uvlocks": {"errors", "pins", "targets", "urls"},
    "locks": {"errors", "pins", "targets", "uvlocks"},
}

TOOLS: dict[str, set[str]] = {
    "tarstreams": set(),
    "terminal": {"errors"},
    "state": {"errors", "urls"},
    "connections": {"errors", "urls"},
    "http": {"connections", "errors", "urls"},
    "children": {"errors", "terminal"},
    "keyrings": {"urls"},
    "netrcfile": {"errors", "urls"},
    "archives": {"errors", "tarstreams"},
    "unpacking": {"errors", "members", "tarstreams"},
    "forms": {"archives", "errors"},
    "interpreters": {"errors"},
    "pypirc": {"errors", "urls"},
    "venvs": {"errors", "state"},
    "configfiles": {"errors", "inifiles", "tomlfiles", "urls"},
    "configbook": {"configfiles"},
    "toxconfig": {"errors"},
    "projectconfig": {"errors", "terminal"},
    "simple": {"errors", "http", "urls"},
}

WORK: dict[str, set[str]] = {
    "session": {"errors", "http", "state", "terminal", "urls"},
    "credentials": {"http", "netrcfile", "session", "urls"},
    "cargo": {"archives", "errors", "forms", "releases", "terminal"},
    "checkouts": {"children", "errors", "terminal"},
    "distfolder": {"archives", "errors", "forms", "terminal"},
    "building": {"archives", "checkouts", "children", "distfolder", "errors", "interpreters", "terminal"},
    "sending": {"archives", "connections", "errors", "forms", "http", "releases", "session", "urls"},
    "installers": {"configbook", "configfiles", "errors", "session", "urls"},
    "tools": {"children", "errors", "session", "toolchecks", "toolsettings", "venvs"},
    "examination": {
        "errors",
        "filechecks",
        "findings",
        "http",
        "listings",
        "pagechecks",
        "session",
        "toolchecks",
        "tools",
        "toolsettings",
        "urls",
    },
    "testruns": {
        "candidates",
        "children",
        "credentials",
        "errors",
        "members",
        "releases",
        "session",
        "toxconfig",
        "unpacking",
        "urls",
        "venvs",
    },
    "resolvers": {"credentials", "errors", "netrcfile", "pins", "session", "targets", "urls", "uvcompile"},
    "sources": {"errors", "locks", "requirements", "urls"},
    "warming": {"errors", "http", "pins", "session", "simple", "urls"},
    "pinning": {"errors", "session", "urls"},
    "priming": {"errors", "pins", "requirements", "resolvers", "session", "simple", "sources", "targets", "warming"},
}

DOORS: dict[str, set[str]] = {
    "command": {"errors", "session", "terminal"},
    "main": {"command", "errors", "session", "urls"},
    "__main__": {"main"},
    "commands.cached": {"command", "errors", "session", "terminal", "urls"},
    "commands.completion": {"command", "errors", "session"},
    "commands.doctor": {"command", "errors", "examination", "findings", "http", "session", "tools", "urls"},
    "commands.explain": {"command", "errors", "releases", "session", "terminal", "urls"},
    "commands.index": {"command", "errors", "keyvalues", "session", "urls"},
    "commands.install": {"children", "command", "credentials", "errors", "session", "venvs"},
    "commands.json": {"command", "errors", "http", "session", "terminal", "urls"},
    "commands.list": {"command", "errors", "releases", "session", "toxresults", "urls"},
    "commands.login": {"command", "errors", "keyrings", "session"},
    "commands.prime": {
        "command",
        "errors",
        "pinning",
        "priming",
        "session",
        "sources",
        "targets",
        "terminal",
        "warming",
    },
    "commands.push": {"command", "errors", "http", "keyrings", "pypirc", "releases", "session"},
    "commands.refresh": {"command", "errors", "session", "urls"},
    "commands.remove": {"command", "errors", "releases", "session", "urls"},
    "commands.status": {"command", "errors", "session", "terminal", "urls"},
    "commands.test": {"candidates", "command", "errors", "releases", "session", "testruns", "urls"},
    "commands.upload": {
        "building",
        "cargo",
        "command",
        "errors",
        "projectconfig",
        "sending",
        "session",
        "terminal",
        "urls",
    },
    "commands.use": {"command", "errors", "http", "installers", "keyvalues", "session", "snippets", "urls", "venvs"},
    "commands.user": {"command", "errors", "keyvalues", "session", "urls"},
}

ROOMS = FACTS | TOOLS | WORK | DOORS
COMMANDS = {room for room in DOORS if room.startswith("commands.")}

PACKAGES: dict[str, set[str]] = {
    "build": {"building"},
    "click": {"command", "main", "terminal"} | COMMANDS,
    "distlib": {"pypirc"},
    "keyring": {"keyrings"},
    "packaging": {
        "archives",
        "building",
        "candidates",
        "cargo",
        "commands.cached",
        "commands.doctor",
        "commands.explain",
        "locks",
        "pins",
        "platforms",
        "priming",
        "releases",
        "requirements",
        "resolvers",
        "sending",
        "simple",
        "sources",
        "targets",
        "toolchecks",
        "uvcompile",
        "uvlocks",
    },
    "pyproject_hooks": {"building"},
    "rich": {"terminal"},
    "urllib3": {"connections", "http"},
}
"""Who imports what is not in Python itself."""

PURE = {
    "ast",
    "collections",
    "collections.abc",
    "configparser",
    "contextlib",
    "dataclasses",
    "difflib",
    "enum",
    "functools",
    "hashlib",
    "html.parser",
    "io",
    "itertools",
    "json",
    "ntpath",
    "re",
    "shlex",
    "sys",
    "tomllib",
    "typing",
    "unicodedata",
    "urllib.parse",
    "zipfile",
}
"""All that facts need of Python's own library: no clock, no disk, no network, no children; archives in memory only."""

NOT_YET_PURE = {"simple"}
"""`pins` knows the files of a page: it is read in the room that also asks for it, by the Http that it is given."""


def name_of(path: Path) -> str:
    """`commands.upload`."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


MODULES = {name_of(path): path for path in sorted(ROOT.rglob("*.py")) if path.name != "__init__.py"}


def room_imported(full: str) -> str | None:
    """The room that `stilton_client.ROOM…` is in; None for what the package itself says, such as its version."""
    rest = full.removeprefix(f"{PACKAGE}.")
    return next((name for name in (rest, rest.rpartition(".")[0]) if name in MODULES), None)


def ours(room: str) -> set[str]:
    """The rooms that a room imports."""
    names = {name for _, name in imports(MODULES[room]) if name.partition(".")[0] == PACKAGE}
    return {found for found in map(room_imported, names) if found is not None}


def others(room: str) -> set[str]:
    """The packages that a room imports, Python's own included, as full names."""
    return {name for _, name in imports(MODULES[room]) if name.partition(".")[0] != PACKAGE}


def pythons(name: str) -> str:
    """The module of Python that a name is from: `urllib.parse` of `urllib.parse.quote`."""
    return next(module for module in (name, *_above(name)) if module in PURE or "." not in module)


def _above(name: str) -> list[str]:
    parts = name.split(".")
    return [".".join(parts[:depth]) for depth in range(len(parts) - 1, 0, -1)]


def test_every_room_is_on_one_floor() -> None:
    assert set(ROOMS) == set(MODULES)
    assert len(ROOMS) == len(FACTS) + len(TOOLS) + len(WORK) + len(DOORS)


@pytest.mark.parametrize("room", MODULES)
def test_a_room_imports_the_rooms_of_its_line(room: str) -> None:
    assert ours(room) == ROOMS[room]


def test_nobody_knows_the_server() -> None:
    assert [room for room in MODULES for name in others(room) if name.partition(".")[0] == "stilton"] == []


def test_a_package_is_known_in_its_rooms_only() -> None:
    found: dict[str, set[str]] = {}
    for room in MODULES:
        for package in {name.partition(".")[0] for name in others(room)}:
            if not is_pythons(package):
                found.setdefault(package, set()).add(room)

    assert found == PACKAGES


def test_facts_know_no_clock_disk_network_or_child() -> None:
    used = {pythons(name) for room in FACTS for name in others(room) if is_pythons(name.partition(".")[0])}

    assert used == PURE


def test_facts_know_facts_only() -> None:
    assert set().union(*FACTS.values()) - set(FACTS) == NOT_YET_PURE


def test_tools_know_neither_work_nor_doors() -> None:
    assert set().union(*TOOLS.values()) <= set(FACTS) | set(TOOLS)


def test_work_knows_no_door() -> None:
    assert set().union(*WORK.values()) <= set(FACTS) | set(TOOLS) | set(WORK)


def test_a_command_knows_no_other_command_and_nobody_knows_a_command() -> None:
    assert not COMMANDS & set().union(*ROOMS.values())


def test_no_room_imports_itself_by_a_detour() -> None:
    order = list(graphlib.TopologicalSorter({room: ours(room) for room in MODULES}).static_order())

    assert len(order) == len(MODULES)
