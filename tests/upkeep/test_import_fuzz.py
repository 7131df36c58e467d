"""`devpi-import` of dumps that somebody edited badly, or with bad intent: a server that is whole, or none and a sentence."""

import copy
import json
import math
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stilton.cli.fsck import check
from stilton.db import accounts, inventory
from stilton.domain.names import ProjectName
from stilton.publish import shelf
from stilton.serverdir import ServerDir
from tests.support.builders import a_wheel, an_sdist
from tests.support.client import Client
from tests.support.world import START, Clock, an_app
from tests.upkeep.dumps import DEV, WHEEL, a_file, a_project, a_stage, do_export, do_import, reading
from tests.upkeep.test_export import AT, PKG, with_sdist_and_old, writing

PYPI = "root/pypi"
STRANGE: list[Any] = [
    None, True, False, 0, -1, 5, 10**30, 1e308, math.nan, math.inf, "", " ", "x", "..", "../../canary.whl", "a/../../b",
    "/etc/passwd", "a\0b", "a\nb", "\ud800", "é" * 200, "A" * 5_000, "1" * 5_000, "root", "ROOT", "root/pypi", "no/where",
    "PKG", "http://127.0.0.1:9/", "file:///etc/passwd", "mirror", "stage", "toxresult", "doczip", [], [None], ["x", 5],
    [[]], {}, {"": ""}, {"a": {"b": []}}, "sha256=" + "0" * 64, "2014-09-12", "deprecated",
]  # fmt: skip
Mutation = tuple[int, str, Any]
MUTATIONS = st.lists(
    st.tuples(
        st.integers(0, 100_000),
        st.sampled_from(["replace", "retype", "drop", "add", "twice", "rename", "upper", "swap", "deep", "deeper"]),
        st.sampled_from(STRANGE),
    ),
    min_size=1,
    max_size=3,
)


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real dump of ours with files of every kind, a mirror's, yanks, a provenance, and what is gone."""
    folder = tmp_path_factory.mktemp("sound")
    dump = with_sdist_and_old()
    docs = {**a_file(), "type": "doczip", "relpath": "ann/dev/pkg-1.0.doc.zip", "entrymapping": {}}
    result = {
        **a_file(), "type": "toxresult", "relpath": f"ann/dev/pkg/x/{WHEEL.filename}.toxresult-20200101000000-0",
        "for_entrypath": f"ann/dev/{WHEEL.path}", "entrymapping": {},
    }  # fmt: skip
    held = an_sdist("dep", "1.0")
    mirrored = a_file(held, "dep", index=PYPI)
    dump.indexes[DEV]["files"] += [docs, result]
    dump.indexes["ann/base"] = a_stage(bases=[PYPI], acl_pkg_read=["ann"], mirror_whitelist=["*"])
    keys = {"type": "mirror", "volatile": False, "mirror_url": "http://127.0.0.1:9/simple/", "mirror_cache_expiry": 60}
    dump.indexes[PYPI] = {"indexconfig": keys, "projects": a_project("dep"), "files": [mirrored]}
    dump.content |= {docs["relpath"]: b"docs", result["relpath"]: b"{}", mirrored["relpath"]: held.content}
    assert do_import(folder / "server", dump.write(folder / "first")).status == 0
    with writing(folder / "server") as write:
        write(shelf.yank, DEV, PKG, "1.0", "broken")
        write(lambda tx: shelf.take_project(tx, DEV, ProjectName("old"), now=AT))
    assert do_export(folder / "server", folder / "dump", "--include-mirrored-files").status == 0
    (folder / "canary.whl").write_bytes(a_wheel("canary", "1.0").content)
    return folder / "dump"


def nodes(value: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where something is in a document."""
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in inside:
        yield (*place, key)
        yield from nodes(each, (*place, key))


def at(document: Any, place: tuple[Any, ...]) -> Any:
    for key in place:
        document = document[key]
    return document


def mutated(document: Any, mutations: list[Mutation]) -> str:
    document = copy.deepcopy(document)
    deep = 0
    for number, how, value in mutations:
        places = list(nodes(document))
        if not places:
            break
        # Spread: Hypothesis likes small numbers, and the first places are those that nothing goes on without.
        place = places[number * 7919 % len(places)]
        parent, key = at(document, place[:-1]), place[-1]
        old = parent[key]
        if how == "drop":
            del parent[key]
        elif how == "add" and isinstance(parent, dict):
            parent[value if isinstance(value, str) else "strange"] = value
        elif how == "twice" and isinstance(parent, list):
            parent.append(copy.deepcopy(old))
        elif how == "rename" and isinstance(parent, dict):
            parent[value if isinstance(value, str) else "strange"] = parent.pop(key)
        elif how == "upper" and isinstance(parent, dict):
            parent[key.upper()] = copy.deepcopy(old)
        elif how == "swap":
            parent[key] = copy.deepcopy(at(document, places[(number * 7) % len(places)]))
        elif how.startswith("deep"):
            parent[key], deep = "DEEP", 3_000 if how == "deeper" else 900
        elif how == "retype" or type(value) is type(old):
            parent[key] = value
        else:
            same = [each for each in STRANGE if type(each) is type(old)]
            parent[key] = same[number % len(same)] if same else value
    text = json.dumps(document)
    return text.replace('"DEEP"', "[" * deep + "]" * deep)


class Opened:
    """Every file that this process opens while it is listening. An audit hook cannot be taken away again."""

    def __init__(self) -> None:
        self.paths: list[str] = []
        self.listening = False
        sys.addaudithook(self._hear)

    def _hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self.listening and event == "open" and isinstance(arguments[0], str | Path):
            self.paths.append(str(arguments[0]))


@pytest.fixture(scope="module")
def opened() -> Opened:
    return Opened()


def tree(folder: Path) -> dict[str, tuple[int, int]]:
    return {str(path): (path.lstat().st_size, path.lstat().st_mtime_ns) for path in folder.rglob("*")}


async def pages(server: Path) -> dict[str, int]:
    """Every page of a server that was started on this folder: path → status."""
    with reading(server) as connection:
        names = [index.full_name for index in accounts.all_indexes(connection)]
        paths = [f"/{name}/+simple/{one.name}/" for name in names for one in inventory.projects_of(connection, name)]
        paths += [f"/{name}/{one.name}" for name in names for one in inventory.projects_of(connection, name)]
        files = [f"/{name}/{file.path}" for name in names for file in inventory.files_of(connection, name)]
        held = [f"/{name}/{one.path}" for name in names for one in inventory.cached_of(connection, name)]
    app = an_app(server, Clock(START), {"offline-mode": "yes"})
    ServerDir(server).run.mkdir(exist_ok=True)
    await app.open()
    try:
        client = Client(app)
        return {
            path: (await client.get(path, accept="application/json")).status
            for path in ["/", *(f"/{name}" for name in names), *paths, *files, *held]
            if path.isascii()
        }
    finally:
        await app.close()


@settings(
    max_examples=40, deadline=None, derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)  # fmt: skip
@given(mutations=MUTATIONS, keep_going=st.booleans())
async def test_a_dump_edited_anyhow_is_a_whole_server_or_none_and_a_sentence(
    sound: Path, opened: Opened, mutations: list[Mutation], keep_going: bool
) -> None:
    good = json.loads((sound / "dataindex.json").read_text())
    with tempfile.TemporaryDirectory() as scratch:
        around = Path(scratch)
        folder, server = around / "a" / "dump", around / "b" / "server"
        server.parent.mkdir()
        shutil.copytree(sound, folder)
        (folder / "dataindex.json").write_text(mutated(good, mutations))
        (around / "canary.whl").write_bytes(a_wheel("canary", "1.0").content)
        before = tree(around / "a") | tree(sound.parent)

        opened.paths, opened.listening = [], True
        try:
            done = do_import(server, folder, *(["--keep-going"] if keep_going else []))
        finally:
            opened.listening = False

        listed_only = "could not be imported, everything else was:" in done.err
        assert done.status in (0, 1), done
        assert (done.status == 1) == done.err.startswith("fatal: ") or "\nfatal: " in done.err
        assert "Traceback" not in done.err
        assert tree(around / "a") | tree(sound.parent) == before
        assert {path.name for path in around.iterdir()} == {"a", "b", "canary.whl"}
        assert strayed(opened.paths, around, (folder, server)) == []
        assert ServerDir(server).has_data() == (done.status == 0 or listed_only)
        if ServerDir(server).has_data():
            checked = CliRunner().invoke(check, ["--serverdir", str(server)])
            assert checked.exit_code == 0, checked.output
            assert {
                path: status for path, status in (await pages(server)).items() if status >= 500 and status != 503
            } == {}
            assert do_export(server, around / "b" / "again", "--include-mirrored-files").status == 0
            assert do_import(around / "b" / "other", around / "b" / "again").status == 0


def strayed(paths: list[str], around: Path, allowed: tuple[Path, ...]) -> list[str]:
    """Files of ours, or of the machine's secrets, that an import has no business with."""
    found = [Path(path).resolve() for path in paths if "\0" not in path]
    return [
        str(path) for path in found
        if path == Path("/etc/passwd") or (path.is_relative_to(around) and not any(map(path.is_relative_to, allowed)))
    ]  # fmt: skip
