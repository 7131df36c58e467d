"""The house has floors; a room may use only the rooms listed here.

Read a line as: "modules of <room> import <rooms>". The table is exact: an import that
is not in it fails, and so does a word in it that nobody needs. Adding a word is an
architectural decision: write down why in docs/decisions/.
"""

import ast
import graphlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent / "src" / "stilton"
MODULES = sorted(ROOT.rglob("*.py"))

FACTS = {"domain", "render", "metrics", "lru", "flights", "visits"}
TOOLS = {"db", "blobs", "upstream"}
WORK = {"accounts", "mirror", "catalog", "publish"}

ROOMS: dict[str, set[str]] = {
    # facts: values and decisions
    "domain": set(),
    "metrics": set(),
    "lru": set(),
    "flights": set(),
    "visits": set(),
    "render": {"domain"},
    # tools: one outside thing each, and they do not know each other
    "db": {"domain", "visits"},
    "blobs": {"domain"},
    "upstream": {"domain", "metrics", "visits"},
    # work: facts decide, tools act
    "accounts": {"domain", "lru", "flights", "visits", "db"},
    "mirror": {"domain", "metrics", "lru", "flights", "visits"} | TOOLS,
    "catalog": {"domain", "render", "lru", "flights", "db", "blobs", "mirror"},
    "publish": {"domain", "metrics", "catalog"} | TOOLS,
    # doors: they ask a worker and never open a toolbox
    "web": FACTS - {"flights"} | {"accounts", "catalog", "publish", "upkeep"},
    # wiring
    "settings": {"domain"},
    "wordings": {"domain", "settings"},
    "values": {"domain", "settings", "wordings"},
    "configfile": {"domain"},
    "config": {"domain", "settings", "wordings", "values", "configfile"},
    "lines": {"domain", "visits"},
    "complaints": {"domain"},
    "loggercfg": {"domain"},
    "logs": {"domain", "visits", "lines", "config", "complaints", "loggercfg"},
    "folderlock": {"domain"},
    "serverdir": {"domain", "db", "blobs", "folderlock"},
    # beside serving
    "upkeep": {"domain", "flights", "mirror", "catalog", "publish", "serverdir"} | TOOLS,
    "app": {"domain", "metrics", "db", "upstream", "web", "config", "logs", "serverdir", "upkeep"} | WORK,
    "cli": {"domain", "db", "accounts", "app", "config", "loggercfg", "logs", "serverdir", "settings", "upkeep"},
}

PACKAGES: dict[str, set[str]] = {
    "domain": {"msgspec", "packaging"},
    "metrics": set(),
    "lru": set(),
    "flights": set(),
    "visits": {"msgspec"},
    "render": {"msgspec"},
    "db": {"alembic", "backports", "compression", "msgspec", "sqlalchemy"},
    "blobs": set(),
    "upstream": {"aiohttp", "aiohttp_socks", "msgspec", "selectolax", "yarl"},
    "accounts": {"argon2", "distlib", "itsdangerous", "msgspec"},
    "mirror": {"backports", "compression", "msgspec", "packaging"},
    "catalog": {"backports", "compression", "msgspec"},
    "publish": {"msgspec", "packaging"},
    "web": {"anyio", "msgspec", "prometheus_client", "python_multipart", "starlette"},
    "settings": {"msgspec"},
    "wordings": set(),
    "values": set(),
    "configfile": {"msgspec", "platformdirs", "yaml"},
    "config": {"msgspec"},
    "lines": {"msgspec"},
    "complaints": set(),
    "loggercfg": {"yaml"},
    "logs": set(),
    "folderlock": set(),
    "serverdir": set(),
    "upkeep": {"msgspec", "sqlalchemy"},
    "app": set(),
    "cli": {"click", "granian", "msgspec", "rich"},
}
"""What is not in Python itself. `compression` is `backports` since Python 3.14."""

PURE = {
    "domain": {"collections", "datetime", "email", "enum", "ipaddress", "re", "typing", "urllib"},
    "render": {"collections", "html", "typing"},
}
"""All that facts need of Python's own library: no clock, no disk, no network, no threads."""

NEWER_PYTHON = {"compression"}


def room_of(path: Path) -> str:
    parts = path.relative_to(ROOT).parts
    return parts[0].removesuffix(".py")


def name_of(path: Path) -> str:
    return ".".join(("stilton", *path.relative_to(ROOT).with_suffix("").parts)).removesuffix(".__init__")


def imports(path: Path) -> Iterator[tuple[str, str]]:
    """(line, full name) of whatever a module imports, inside functions and for types only too."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield f"{path.name}:{node.lineno}", alias.name
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: imports are written in full"
            for alias in node.names:
                yield f"{path.name}:{node.lineno}", f"{node.module}.{alias.name}"


def room_imported(name: str) -> str | None:
    """The room that `stilton.ROOM…` is in; None for what the package itself says, such as its version."""
    _, _, rest = name.partition(".")
    room = rest.partition(".")[0]
    return None if room == "__version__" else room


def ours(path: Path) -> list[tuple[str, str]]:
    """(line, room) of imports of other rooms."""
    found = [(line, room_imported(name)) for line, name in imports(path) if name.startswith("stilton.")]
    return [(line, room) for line, room in found if room is not None and room != room_of(path)]


def others(path: Path) -> list[tuple[str, str]]:
    """(line, package) of imports from elsewhere."""
    found = [(line, name.partition(".")[0]) for line, name in imports(path)]
    return [(line, package) for line, package in found if package != "stilton"]


def is_pythons(package: str) -> bool:
    return package in sys.stdlib_module_names and package not in NEWER_PYTHON


ROOM_MODULES = [path for path in MODULES if path != ROOT / "__init__.py"]
ids = [str(path.relative_to(ROOT)) for path in ROOM_MODULES]


def test_every_room_is_in_both_tables() -> None:
    rooms = {room_of(path) for path in ROOM_MODULES}

    assert set(ROOMS) == set(PACKAGES) == rooms


@pytest.mark.parametrize("path", ROOM_MODULES, ids=ids)
def test_a_room_uses_only_the_rooms_that_it_may(path: Path) -> None:
    wrong = [f"{line} imports {room}" for line, room in ours(path) if room not in ROOMS[room_of(path)]]

    assert wrong == []


@pytest.mark.parametrize("path", ROOM_MODULES, ids=ids)
def test_a_room_uses_only_the_packages_that_it_may(path: Path) -> None:
    room = room_of(path)

    wrong = [
        f"{line} imports {name}" for line, name in others(path) if not is_pythons(name) and name not in PACKAGES[room]
    ]

    assert wrong == []


@pytest.mark.parametrize("room", sorted(ROOMS))
def test_the_tables_allow_nothing_that_nobody_needs(room: str) -> None:
    modules = [path for path in ROOM_MODULES if room_of(path) == room]

    rooms = {name for path in modules for _, name in ours(path)}
    packages = {name for path in modules for _, name in others(path) if not is_pythons(name)}

    assert ROOMS[room] == rooms
    assert PACKAGES[room] == packages


@pytest.mark.parametrize("room", sorted(PURE))
def test_facts_know_no_clock_disk_network_or_thread(room: str) -> None:
    modules = [path for path in ROOM_MODULES if room_of(path) == room]

    used = {name for path in modules for _, name in others(path) if is_pythons(name)}

    assert used == PURE[room]


def test_doors_never_open_a_toolbox() -> None:
    assert not ROOMS["web"] & TOOLS


def test_tools_do_not_know_each_other_nor_who_uses_them() -> None:
    for tool in TOOLS:
        assert ROOMS[tool] <= FACTS


def test_no_module_imports_itself_by_a_detour() -> None:
    names = {name_of(path): path for path in MODULES}
    graph: dict[str, set[str]] = {}
    for name, path in names.items():
        wanted = [imported for _, imported in imports(path)]
        # `from a.b import c`: the module a.b.c when there is one, else a.b.
        graph[name] = {full if full in names else full.rpartition(".")[0] for full in wanted} & set(names) - {name}

    order = list(graphlib.TopologicalSorter(graph).static_order())

    assert len(order) == len(names)


def test_the_package_itself_imports_nothing() -> None:
    assert list(imports(ROOT / "__init__.py")) == []
