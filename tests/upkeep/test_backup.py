"""`devpi-backup` and `devpi-restore`: what is backed up can be had again, whatever happens meanwhile."""

import contextlib
import hashlib
import http.client
import json
import re
import resource
import signal
import sqlite3
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from stilton.blobs.local import LocalBlobs
from stilton.db import snapshots, upkeep
from stilton.db.schema import metadata
from stilton.domain.errors import SetupError
from stilton.serverdir import ServerDir
from stilton.upkeep import backup, restore
from stilton.upkeep.vault import Vault
from tests.support.builders import Dist, a_wheel
from tests.support.deadline import until
from tests.support.mounts import mounted, read_only, small_disk
from tests.support.publish import BOUNDARY, PASSWORD, a_form, a_team, basic, fields_of, post_form, upload
from tests.support.server import BIN, Server, a_server, clean_env, run
from tests.support.world import START, Clock, World, an_app, make_serverdir

FORM = f"multipart/form-data; boundary={BOUNDARY}"
TEAM = {"authorization": basic("team")}
NOWHERE = "http://127.0.0.1:9/simple/"
JSON = "application/vnd.pypi.simple.v1+json"
CLIENTS = 4
ANOTHER = "name another --serverdir, or move that one away.\n"


class Listener:
    """Hears what a command tells; `then` is done once, when files begin to be carried."""

    def __init__(self, then: Callable[[], None] = lambda: None) -> None:
        self._then: list[Callable[[], None]] = [then]
        self.steps = 0
        self.begun = ("", 0)

    def line(self, text: str) -> None: ...

    def notice(self, text: str) -> None: ...

    def begin(self, what: str, total: int) -> None:
        self.begun = (what, total)
        if self._then:
            self._then.pop()()

    def step(self, count: int = 1) -> None:
        self.steps += count

    def end(self) -> None: ...


def back_up(
    serverdir: Path, folder: Path, *, now: float = START, then: Callable[[], None] = lambda: None, **wish: bool
) -> backup.Made:
    """What `devpi-backup` does."""
    place, kept = ServerDir(serverdir), Vault(folder)
    kept.create()
    kept.lock()
    try:
        source = backup.Source(place.database, place.blobs, place.uuid())
        return backup.make(source, kept, backup.Wish(**wish), now=lambda: now, telling=Listener(then))
    finally:
        kept.unlock()


def restored(folder: Path, target: Path, name: str | None = None, **wish: bool) -> Path:
    """What `devpi-restore` does."""
    place, kept = ServerDir(target), Vault(folder)
    snapshot = restore.chosen(kept, name)
    restore.check(kept, snapshot, place, restore.Wish(**wish))
    restore.restore(kept, snapshot, place, restore.Wish(**wish), Listener())
    place.unlock()
    place.run.mkdir(exist_ok=True)
    return target


def wrong(folder: Path) -> list[str]:
    kept = Vault(folder)
    return restore.verify(kept, kept.snapshots(), Listener()).wrong


def prune(folder: Path, keep: int) -> backup.Pruned:
    return backup.prune(Vault(folder), keep)


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, but what SQLite makes beside a database to read it."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and not path.name.endswith(("-shm", "-wal"))
    }


def rows(database: Path, sql: str) -> list[Any]:
    with contextlib.closing(sqlite3.connect(database)) as connection:
        return connection.execute(sql).fetchall()


def change(database: Path, sql: str) -> None:
    with contextlib.closing(sqlite3.connect(database, isolation_level=None)) as connection:
        connection.execute(sql)


def assert_whole(serverdir: Path) -> None:
    """Nothing in the database lacks its blob, and every blob is what its name says."""
    place = ServerDir(serverdir)
    named = list(snapshots.blobs(place.database))
    for digest in named:
        assert hashlib.sha256(place.blobs.path(digest).read_bytes()).hexdigest() == digest
    assert named


@contextlib.asynccontextmanager
async def opened(serverdir: Path, **settings: Any) -> Any:
    """A client of the server in this folder."""
    from tests.support.client import Client

    app = an_app(serverdir, Clock(), settings)
    await app.open()
    try:
        yield Client(app)
    finally:
        await app.close()


def file_of(version: str) -> Dist:
    return a_wheel("pkg", version, payload=version.encode() * 100)


@pytest.fixture
def backups(tmp_path: Path) -> Path:
    return tmp_path / "backups"


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A folder of a stopped server with a few files, made without one."""
    return a_small_server(tmp_path / "small", 3)


def a_small_server(serverdir: Path, count: int, size: int = 1000) -> Path:
    make_serverdir(serverdir, NOWHERE)
    add_all(ServerDir(serverdir), {f"f{number}": str(number).encode() * size for number in range(count)})
    return serverdir


def add(place: ServerDir, name: str, content: bytes) -> str:
    return add_all(place, {name: content})[0]


def add_all(place: ServerDir, files: dict[str, bytes]) -> list[str]:
    """Private files of these names, as an upload makes them; their digests."""
    digests = [place.blobs.put(content) for content in files.values()]
    with contextlib.closing(sqlite3.connect(place.database)) as connection, connection:
        connection.executemany(
            "INSERT INTO files (stage, path, project, version, kind, filename, digest, size, uploaded_at, log) "
            "VALUES ('team/dev', ?1, 'pkg', '1', 'releasefile', ?1, ?2, ?3, 1, '[]')",
            [(name, digest, len(files[name])) for name, digest in zip(files, digests, strict=True)],
        )
    return digests


# What is in it


async def test_a_restored_server_has_everything_byte_for_byte(world: World, tmp_path: Path, backups: Path) -> None:
    await a_team(world.client)
    wheel = a_wheel("pkg", "1.0")
    await upload(world.client, "team/dev", wheel)
    docs = {":action": "doc_upload", "name": "pkg", "version": "1.0"}
    await post_form(world.client, "team/dev", a_form(docs, "pkg-1.0.doc.zip", a_zip()))
    await world.client.request("POST", f"/team/dev/{wheel.path}", b'{"testenvs": {}}', authorization=basic("team"))
    before = (await world.client.get("/", accept="application/json")).json
    project = (await world.client.get("/team/dev/pkg", accept="application/json")).json

    made = back_up(world.path, backups)
    target = restored(backups, tmp_path / "new")

    assert made.snapshot.manifest.blobs == len(list(snapshots.blobs(made.snapshot.database))) == 4
    assert ServerDir(target).uuid() == ServerDir(world.path).uuid()
    assert_whole(target)
    async with opened(target) as client:
        assert (await client.get("/", accept="application/json")).json == before
        assert (await client.get("/team/dev/pkg", accept="application/json")).json == project
        assert (await client.get(f"/team/dev/{wheel.path}")).body == wheel.content
        assert (await client.get(f"/team/dev/{wheel.path}.metadata")).body == wheel.metadata
        assert (await upload(client, "team/dev", file_of("2.0"), version="2.0")).status == 200


def a_zip() -> bytes:
    import io
    import zipfile

    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("index.html", "<p>hello")
    return out.getvalue()


async def test_files_of_mirrors_are_left_out_and_fetched_again(world: World, tmp_path: Path, backups: Path) -> None:
    wheel = a_wheel("cached")
    world.upstream.add("cached", wheel)
    await fetch(world, "cached")

    made = back_up(world.path, backups)
    target = restored(backups, tmp_path / "new")

    assert made.left == (1, len(wheel.content))
    assert made.snapshot.manifest.blobs == 0
    assert rows(ServerDir(world.path).database, "SELECT count(*) FROM held") == [(1,)]
    assert rows(ServerDir(target).database, "SELECT * FROM held") == []
    async with opened(target) as client:
        assert (await client.get(f"/root/pypi/{wheel.path}")).body == wheel.content


async def fetch(world: World, project: str) -> None:
    """Make the mirror hold a project's file."""
    page = (await world.client.get(f"/root/pypi/+simple/{project}/", accept=JSON)).json
    url = page["files"][0]["url"].removeprefix("../../")
    assert (await world.client.get(f"/root/pypi/{url}")).status == 200
    # All that it had to write is written then.
    await world.restart()


async def test_files_of_mirrors_are_taken_along_when_asked_for(world: World, tmp_path: Path, backups: Path) -> None:
    wheel = a_wheel("cached")
    world.upstream.add("cached", wheel)
    await fetch(world, "cached")

    made = back_up(world.path, backups, mirrors=True)
    target = restored(backups, tmp_path / "new")

    assert made.left == (0, 0)
    assert_whole(target)
    async with opened(target, offline_mode="yes") as client:
        assert (await client.get(f"/root/pypi/{wheel.path}")).body == wheel.content


def test_pinned_files_of_mirrors_are_always_in_it(small: Path, backups: Path) -> None:
    place = ServerDir(small)
    digests = {name: place.blobs.put(name.encode()) for name in ("pinned", "other")}
    for name, digest in digests.items():
        change(
            place.database, f"INSERT INTO held VALUES ('root/pypi', '{name}', 'p', '{digest}', 6, '', '', 1, NULL, 0)"
        )
    change(place.database, "INSERT INTO pins VALUES ('root/pypi', 'pinned', 'a lock file', 1)")

    made = back_up(small, backups)

    assert made.left == (1, 6)
    assert digests["pinned"] in made.snapshot.digests()
    assert digests["other"] not in made.snapshot.digests()


def test_a_removed_file_is_remembered_and_its_bytes_are_not_wanted(small: Path, backups: Path) -> None:
    digest = add(ServerDir(small), "gone", b"gone")
    change(ServerDir(small).database, "UPDATE files SET gone_at = 2 WHERE path = 'gone'")
    ServerDir(small).blobs.path(digest).unlink()

    made = back_up(small, backups)

    assert made.snapshot.manifest.missing == []
    assert made.snapshot.manifest.blobs == 3


def test_every_column_that_names_a_blob_for_the_sweep_does_so_for_the_backup() -> None:
    by_name = {
        (table.name, column.name) for table in metadata.tables.values() for column in table.columns
        if column.name.endswith("digest")
    }  # fmt: skip

    swept = {(column.table.name, column.name) for column in (*upkeep._FILES_OF_STAGES, *upkeep._FILES_OF_MIRRORS)}

    assert by_name == swept


def test_nobody_else_can_read_a_backup(small: Path, backups: Path) -> None:
    done = run("devpi-backup", "--serverdir", str(small), "--copy", str(backups))

    modes = {oct(path.stat().st_mode & 0o777) for path in backups.rglob("*") if path.is_file()}
    assert done.returncode == 0
    assert modes == {"0o600"}
    assert backups.stat().st_mode & 0o777 == 0o700
    assert (backups / "blobs").stat().st_mode & 0o777 == (backups / "snapshots").stat().st_mode & 0o777 == 0o700


# Several of them


def test_files_are_linked_and_the_servers_own_stay_as_they_were(small: Path, backups: Path) -> None:
    before = contents(small)
    modes = {path: path.stat().st_mode for path in small.rglob("*") if path.suffix != ".sqlite"}

    made = back_up(small, backups)

    assert (made.linked, made.copied) == (3, 0)
    assert contents(small) == before
    assert {path: path.stat().st_mode for path in modes} == modes
    for digest in made.snapshot.digests():
        assert Vault(backups).blobs.path(digest).samefile(ServerDir(small).blobs.path(digest))


def test_the_next_backup_takes_only_what_is_new(small: Path, backups: Path) -> None:
    first = back_up(small, backups)
    add(ServerDir(small), "new", b"new")

    second = back_up(small, backups, now=START + 1)

    assert (first.linked, second.linked, second.copied) == (3, 1, 0)
    assert (first.snapshot.manifest.blobs, second.snapshot.manifest.blobs) == (3, 4)
    assert [snapshot.name for snapshot in Vault(backups).snapshots()] == ["2025-06-15T15-06-40", "2025-06-15T15-06-41"]
    assert wrong(backups) == []


def test_two_backups_in_one_second_are_two(small: Path, backups: Path) -> None:
    back_up(small, backups)
    back_up(small, backups)

    assert [snapshot.name for snapshot in Vault(backups).snapshots()] == [
        "2025-06-15T15-06-40",
        "2025-06-15T15-06-40-2",
    ]


def test_copies_take_the_place_of_links_when_asked_for(small: Path, backups: Path) -> None:
    back_up(small, backups)

    made = back_up(small, backups, copy=True)
    again = back_up(small, backups, copy=True)

    assert (made.linked, made.copied, again.copied) == (0, 3, 0)
    for digest in made.snapshot.digests():
        assert not Vault(backups).blobs.path(digest).samefile(ServerDir(small).blobs.path(digest))


def test_another_file_system_gets_copies(small: Path) -> None:
    other = Path("/dev/shm")
    if not other.is_dir() or other.stat().st_dev == small.stat().st_dev:
        pytest.skip("there is no second file system here")
    with tempfile.TemporaryDirectory(dir=other) as folder:
        made = back_up(small, Path(folder))

        assert (made.linked, made.copied) == (0, 3)
        assert wrong(Path(folder)) == []


def test_older_snapshots_go_with_the_blobs_that_only_they_used(small: Path, backups: Path) -> None:
    place = ServerDir(small)
    old = add(place, "old", b"old")
    for second in range(3):
        if second == 2:
            change(place.database, "DELETE FROM files WHERE path = 'old'")
        back_up(small, backups, now=START + second)

    kept_two = prune(backups, 2)
    old_is_there = Vault(backups).blobs.has(old)
    kept_one = prune(backups, 1)

    assert (kept_two.snapshots, kept_two.blobs, old_is_there) == (1, 0, True)
    assert (kept_one.snapshots, kept_one.blobs, kept_one.bytes) == (1, 1, 3)
    assert not Vault(backups).blobs.has(old)
    assert [snapshot.name for snapshot in Vault(backups).snapshots()] == ["2025-06-15T15-06-42"]
    assert wrong(backups) == []


def test_the_newest_stays_though_the_clock_was_wrong_when_others_were_made(small: Path, backups: Path) -> None:
    year_s = 365 * 86400.0
    back_up(small, backups, now=START + year_s)
    add(ServerDir(small), "new", b"new")
    newest = back_up(small, backups, now=START).snapshot

    gone = prune(backups, 1)

    assert gone.snapshots == 1
    assert [snapshot.name for snapshot in Vault(backups).snapshots()] == [newest.name]
    assert restore.chosen(Vault(backups), None).name == newest.name


def test_snapshots_of_older_programs_come_before(small: Path, backups: Path) -> None:
    for second in range(2):
        manifest = back_up(small, backups, now=START + second).snapshot.path / "manifest.json"
        manifest.write_text(manifest.read_text().replace(f'"number": {second + 1}', '"number": 0'))
    back_up(small, backups, now=START - 1)

    assert [one.name[-2:] for one in Vault(backups).snapshots()] == ["40", "41", "39"]


def test_an_incomplete_snapshot_does_not_push_out_a_complete_one(small: Path, backups: Path) -> None:
    back_up(small, backups)
    change(ServerDir(small).database, f"UPDATE files SET digest = '{'0' * 64}' WHERE path = 'f0'")
    back_up(small, backups, now=START + 1)
    back_up(small, backups, now=START + 2)

    gone = prune(backups, 1)

    assert gone == backup.Pruned(0, 0, 0)
    assert restore.chosen(Vault(backups), None).name == "2025-06-15T15-06-40"


def test_another_servers_backups_are_left_alone(small: Path, tmp_path: Path, backups: Path) -> None:
    back_up(small, backups)
    other = a_small_server(tmp_path / "other", 1)
    before = contents(backups)

    with pytest.raises(SetupError, match="has backups of another server"):
        back_up(other, backups)

    assert contents(backups) == before


def test_a_second_backup_at_the_same_time_is_refused(small: Path, backups: Path) -> None:
    kept = Vault(backups)
    kept.create()
    kept.lock()
    before = contents(backups)

    done = run("devpi-backup", "--serverdir", str(small), str(backups))
    kept.unlock()

    assert done.returncode == 1
    assert done.stderr == f"fatal: Another devpi-backup is at work in {backups}: wait until it has ended.\n"
    assert contents(backups) == before


# What goes wrong meanwhile


def test_a_file_that_is_removed_meanwhile_makes_it_take_a_newer_snapshot(small: Path, backups: Path) -> None:
    place = ServerDir(small)
    digest = add(place, "removed", b"removed")

    def remove() -> None:
        change(place.database, "DELETE FROM files WHERE path = 'removed'")
        place.blobs.path(digest).unlink()

    made = back_up(small, backups, then=remove)

    assert made.snapshot.manifest.missing == []
    assert made.snapshot.manifest.blobs == 3
    assert rows(made.snapshot.database, "SELECT * FROM files WHERE path = 'removed'") == []


def test_a_file_that_comes_meanwhile_is_in_the_next_one(small: Path, backups: Path) -> None:
    def come() -> None:
        add(ServerDir(small), "late", b"late")

    made = back_up(small, backups, then=come)

    assert made.snapshot.manifest.blobs == 3
    assert rows(made.snapshot.database, "SELECT * FROM files WHERE path = 'late'") == []
    assert back_up(small, backups).snapshot.manifest.blobs == 4


def test_what_the_server_lost_is_said_and_the_rest_is_backed_up(small: Path, tmp_path: Path, backups: Path) -> None:
    lost = add(ServerDir(small), "lost.whl", b"lost")
    ServerDir(small).blobs.path(lost).unlink()

    done = run("devpi-backup", "--serverdir", str(small), str(backups))
    snapshot = Vault(backups).snapshots()[0]
    refused = run("devpi-restore", str(backups), "--serverdir", str(tmp_path / "new"))
    named = run("devpi-restore", str(snapshot.path), "--serverdir", str(tmp_path / "new"))
    taken = run("devpi-restore", str(snapshot.path), "--serverdir", str(tmp_path / "new"), "--incomplete")

    assert done.returncode == 1
    assert "fatal: 1 files that the database names are missing or damaged on the server: devpi-fsck" in done.stderr
    assert (snapshot.manifest.blobs, snapshot.manifest.missing) == (3, [lost])
    assert refused.returncode == named.returncode == 1
    assert refused.stderr == (
        f"fatal: {backups} has no complete snapshot. There are: {snapshot.name} (lacks 1 files).\n"
    )
    assert "missing or damaged; the server is not complete without them:\n  team/dev/lost.whl\n" in named.stderr
    assert taken.returncode == 0
    assert ServerDir(tmp_path / "new").has_data()


def test_a_copy_whose_bytes_are_wrong_on_the_server_counts_as_missing(small: Path, backups: Path) -> None:
    digest = add(ServerDir(small), "rotten", b"rotten")
    ServerDir(small).blobs.path(digest).write_bytes(b"rotten".upper())

    made = back_up(small, backups, copy=True)

    assert made.snapshot.manifest.missing == [digest]
    assert not Vault(backups).blobs.has(digest)


def test_what_the_backup_has_whole_is_not_replaced_by_a_damaged_file(small: Path, backups: Path) -> None:
    digest = add(ServerDir(small), "file", b"whole")
    back_up(small, backups, copy=True)
    ServerDir(small).blobs.path(digest).write_bytes(b"cut")

    made = back_up(small, backups, copy=True)

    assert made.snapshot.manifest.missing == []
    assert wrong(backups) == []


@contextlib.contextmanager
def started(command: str, *arguments: str) -> Iterator["subprocess.Popen[bytes]"]:
    process = subprocess.Popen(
        [BIN / command, *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=clean_env()
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait(10)


def blobs_in(folder: Path) -> int:
    return sum(1 for path in (folder / "blobs").rglob("*") if path.is_file())


def test_a_backup_that_was_killed_goes_on_when_it_is_run_again(tmp_path: Path, backups: Path) -> None:
    server = a_small_server(tmp_path / "server", 300)
    back_up(server, backups)
    add(ServerDir(server), "new", b"new")
    arguments = ("--serverdir", str(server), "--copy", str(backups))
    with started("devpi-backup", *arguments) as process:
        until(lambda: any_copied(backups), "some are copied")
        process.send_signal(signal.SIGKILL)
        process.wait(10)
    finished = [snapshot.name for snapshot in Vault(backups).snapshots()]

    done = run("devpi-backup", *arguments)

    assert "2025-06-15T15-06-40" in finished
    assert done.returncode == 0, done.stderr
    assert wrong(backups) == []
    assert Vault(backups).snapshots()[-1].manifest.blobs == 301
    assert list((backups / "snapshots").glob("*.partial")) == []
    assert list((backups / "incoming").iterdir()) == []


def any_copied(folder: Path) -> bool:
    return any(path.stat().st_nlink == 1 for path in (folder / "blobs").rglob("*") if path.is_file())


def test_a_restore_that_was_killed_is_no_server_and_goes_on_when_it_is_run_again(tmp_path: Path, backups: Path) -> None:
    server, target = a_small_server(tmp_path / "server", 300), tmp_path / "new"
    back_up(server, backups)
    arguments = (str(backups), "--serverdir", str(target))
    with started("devpi-restore", *arguments) as process:
        until(lambda: blobs_in(target), "some are there")
        process.send_signal(signal.SIGSTOP)
        half = ServerDir(target).has_data()
        start = run("devpi-server", "--serverdir", str(target))
        process.send_signal(signal.SIGKILL)
        process.wait(10)
    next(path for path in (target / "blobs").rglob("*") if path.is_file()).write_bytes(b"half")
    (target / "incoming" / "one.upload").write_bytes(b"a copy that was cut off")
    others = [
        run("devpi-fsck", "--serverdir", str(target)),
        run("devpi-backup", "--serverdir", str(target), str(tmp_path / "another")),
    ]

    done = run("devpi-restore", *arguments)

    assert not half
    assert {one.returncode for one in (start, *others)} == {1}
    for refused in (start, *others):
        assert f"fatal: The folder {target} holds an import or a restore that is not done: " in refused.stderr
    assert done.returncode == 0, done.stderr
    assert list((target / "incoming").iterdir()) == []
    assert_whole(target)
    assert blobs_in(target) == 300


def limited(command: str, *arguments: str, limit_bytes: int) -> "subprocess.CompletedProcess[str]":
    """Run it where no file may grow beyond a limit."""
    return subprocess.run(
        [BIN / command, *arguments], capture_output=True, text=True, timeout=60, check=False,
        env=clean_env(COVERAGE_PROCESS_CONFIG=""),  # coverage could not write its data either
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit_bytes, limit_bytes)),
    )  # fmt: skip


@pytest.mark.parametrize("limit_bytes", [500_000, 60_000], ids=["file", "database"])
def test_a_disk_that_does_not_take_it_is_said_and_older_snapshots_stay(
    tmp_path: Path, backups: Path, limit_bytes: int
) -> None:
    server = a_small_server(tmp_path / "server", 2)
    back_up(server, backups)
    add(ServerDir(server), "large", bytes(1_000_000))
    before = contents(backups / "snapshots")

    failed = limited("devpi-backup", "--serverdir", str(server), "--copy", str(backups), limit_bytes=limit_bytes)
    after = {name: data for name, data in contents(backups / "snapshots").items() if ".partial/" not in name}
    done = run("devpi-backup", "--serverdir", str(server), "--copy", str(backups))

    assert failed.returncode == 1
    words = rf"fatal: The disk of {re.escape(str(backups))} did not take \S+: .*\. Run it again: it goes on\.\n"
    assert re.fullmatch(words, failed.stderr)
    assert after == before
    assert done.returncode == 0
    assert wrong(backups) == []


@pytest.mark.parametrize("size", ["64k", "1500k"], ids=["database", "file"])
def test_a_full_disk_is_said_with_what_to_do(tmp_path: Path, backups: Path, size: str) -> None:
    server = a_small_server(tmp_path / "server", 2, 1_000_000)
    backups.mkdir()

    done = mounted(backups, small_disk(size), "devpi-backup", "--serverdir", str(server), str(backups))

    assert done.returncode == 1
    assert done.stderr.endswith(f"fatal: No space left in {backups}. Make room and run it again: it goes on.\n")


def test_a_backup_to_a_read_only_disk_is_refused_in_words(small: Path, backups: Path) -> None:
    back_up(small, backups)
    before = contents(backups)

    done = mounted(backups, read_only(backups), "devpi-backup", "--serverdir", str(small), str(backups))

    assert done.returncode == 1
    assert done.stderr.endswith(": Read-only file system. Name a folder that this user can use.\n")
    assert contents(backups) == before


def test_a_stopped_server_on_a_read_only_disk_is_backed_up(small: Path, backups: Path) -> None:
    for beside in small.glob("stilton.sqlite-*"):
        beside.unlink()

    done = mounted(small, read_only(small), "devpi-backup", "--serverdir", str(small), str(backups))

    assert done.returncode == 0, done.stderr
    assert wrong(backups) == []


def test_a_backup_on_a_read_only_disk_is_verified_and_restored(small: Path, tmp_path: Path, backups: Path) -> None:
    back_up(small, backups)
    target = tmp_path / "new"

    verified = mounted(backups, read_only(backups), "devpi-backup", "--verify", str(backups))
    done = mounted(backups, read_only(backups), "devpi-restore", str(backups), "--serverdir", str(target))

    assert verified.stdout == "1 snapshots, 3 files: every byte is as it was written\n"
    assert done.returncode == 0, done.stderr
    assert_whole(target)


# Checking


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("which", ["blob", "missing", "database", "list"])
def test_damage_is_found_by_verify_and_named(small: Path, backups: Path, which: str) -> None:
    made = back_up(small, backups, copy=True)
    blob = Vault(backups).blobs.path(next(iter(made.snapshot.digests())))
    path = {"database": made.snapshot.database, "list": made.snapshot.list}.get(which, blob)
    assert wrong(backups) == []
    if which == "missing":
        path.unlink()
    elif which == "list":
        path.write_text("".join(path.read_text().splitlines(keepends=True)[:-1]))
    else:
        flip(path)

    done = run("devpi-backup", "--verify", str(backups))

    assert done.returncode == 1
    assert done.stdout == f"missing or damaged: {path.relative_to(backups)}\n"
    assert "1 files of" in done.stderr


def test_a_damaged_manifest_is_found_and_stands_only_in_the_way_of_removing(
    small: Path, tmp_path: Path, backups: Path
) -> None:
    first = back_up(small, backups)
    (first.snapshot.path / "manifest.json").write_text("{")

    second = back_up(small, backups, now=START + 1)
    before = contents(backups)
    with pytest.raises(SetupError, match="so nothing was removed"):
        prune(backups, 1)
    target = restored(backups, tmp_path / "new")

    assert contents(backups) == before
    assert wrong(backups) == [f"snapshots/{first.snapshot.name}/manifest.json"]
    assert restore.chosen(Vault(backups), None).name == second.snapshot.name
    assert_whole(target)


def test_no_snapshot_is_no_backup(backups: Path) -> None:
    Vault(backups).create()

    done = run("devpi-backup", "--verify", str(backups))

    assert done.returncode == 1
    assert done.stderr == f"fatal: {backups} has no snapshot yet.\n"


def test_a_damaged_file_that_was_removed_comes_back_with_the_next_backup(small: Path, backups: Path) -> None:
    made = back_up(small, backups, copy=True)
    path = Vault(backups).blobs.path(next(iter(made.snapshot.digests())))
    path.unlink()

    again = back_up(small, backups, copy=True)

    assert again.copied == 1
    assert wrong(backups) == []


@pytest.mark.parametrize("hard_links", [False, True])
def test_a_restore_takes_no_damaged_file(small: Path, tmp_path: Path, backups: Path, hard_links: bool) -> None:
    made = back_up(small, backups, copy=True)
    digest = rows(made.snapshot.database, "SELECT digest FROM files WHERE path = 'f1'")[0][0]
    flip(Vault(backups).blobs.path(digest))

    with pytest.raises(SetupError, match=r"1 files of .* are missing or damaged") as refusal:
        restored(backups, tmp_path / "new", hard_links=hard_links)

    assert "\n  team/dev/f1\n" in str(refusal.value)
    assert not ServerDir(tmp_path / "new").has_data()
    assert not LocalBlobs(tmp_path / "new").has(digest)


def test_a_restore_takes_no_damaged_database(small: Path, tmp_path: Path, backups: Path) -> None:
    flip(back_up(small, backups).snapshot.database)

    with pytest.raises(SetupError, match="is not what the backup wrote"):
        restored(backups, tmp_path / "new")

    assert not (tmp_path / "new").exists()


# Where to


def test_a_restore_by_links_shares_the_bytes(small: Path, tmp_path: Path, backups: Path) -> None:
    made = back_up(small, backups, copy=True)

    target = restored(backups, tmp_path / "new", hard_links=True)

    assert_whole(target)
    for digest in made.snapshot.digests():
        assert Vault(backups).blobs.path(digest).samefile(ServerDir(target).blobs.path(digest))


def test_a_restored_server_can_become_another_one(small: Path, tmp_path: Path, backups: Path) -> None:
    back_up(small, backups)

    target = restored(backups, tmp_path / "new", new_uuid=True)

    assert ServerDir(target).uuid() != ServerDir(small).uuid()
    assert len(ServerDir(target).uuid()) == len(ServerDir(small).uuid())


def test_the_snapshot_that_is_named_is_restored(small: Path, tmp_path: Path, backups: Path) -> None:
    first = back_up(small, backups)
    add(ServerDir(small), "new", b"new")
    back_up(small, backups, now=START + 1)

    older = run("devpi-restore", str(first.snapshot.path), "--serverdir", str(tmp_path / "older"))
    short = run("devpi-restore", str(backups / first.snapshot.name), "--serverdir", str(tmp_path / "short"))
    newest = run("devpi-restore", str(backups), "--serverdir", str(tmp_path / "newest"))
    unknown = run("devpi-restore", str(backups / "yesterday"), "--serverdir", str(tmp_path / "unknown"))

    assert (older.returncode, short.returncode, newest.returncode) == (0, 0, 0)
    assert f"start it with: devpi-server --serverdir {tmp_path / 'newest'}\n" in newest.stdout
    assert [blobs_in(tmp_path / name) for name in ("older", "short", "newest")] == [3, 3, 4]
    assert "has no snapshot yesterday. There are: 2025-06-15T15-06-40, 2025-06-15T15-06-41." in unknown.stderr
    assert not (tmp_path / "unknown").exists()


def test_data_is_never_restored_over(small: Path, tmp_path: Path, backups: Path) -> None:
    back_up(small, backups)
    before = contents(small)
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "todo.txt").write_text("mine")

    over = run("devpi-restore", str(backups), "--serverdir", str(small))
    beside = run("devpi-restore", str(backups), "--serverdir", str(tmp_path / "notes"))

    assert over.returncode == beside.returncode == 1
    assert over.stderr == f"fatal: The path '{small}' already contains devpi-server data: {ANOTHER}"
    assert f"fatal: The folder {tmp_path / 'notes'} is not empty" in beside.stderr
    assert contents(small) == before
    assert contents(tmp_path / "notes") == {"todo.txt": b"mine"}


def test_an_interrupted_restore_of_another_snapshot_is_not_mixed_with(
    small: Path, tmp_path: Path, backups: Path
) -> None:
    made = back_up(small, backups)
    add(ServerDir(small), "lost", b"lost")
    second = back_up(small, backups, now=START + 1)
    (Vault(backups).blobs.path((set(second.snapshot.digests()) - set(made.snapshot.digests())).pop())).unlink()
    with pytest.raises(SetupError):
        restored(backups, tmp_path / "new")

    with pytest.raises(SetupError, match="is not empty, and what is in it is not an interrupted restore"):
        restored(backups, tmp_path / "new", made.snapshot.name)

    assert not ServerDir(tmp_path / "new").has_data()


@pytest.mark.parametrize("command", ["devpi-backup", "devpi-restore"])
def test_a_folder_that_is_none_is_said(tmp_path: Path, command: str) -> None:
    done = run(command, "--serverdir", str(tmp_path / "none"), str(tmp_path / "nothing"))

    assert done.returncode == 1
    assert "contains no devpi-server data" in done.stderr or "is no folder with backups" in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("below", ["", "inner"], ids=["file", "below-a-file"])
def test_a_file_is_no_folder_for_backups_and_trying_again_is_not_the_advice(
    small: Path, tmp_path: Path, below: str
) -> None:
    file = tmp_path / "a file"
    file.write_text("of somebody")

    done = run("devpi-backup", "--serverdir", str(small), str(file / below))

    assert done.returncode == 1
    assert re.fullmatch(
        rf"fatal: {re.escape(str(file))}\S*: .*\. Name a folder that this user can use\.\n", done.stderr
    )
    assert file.read_text() == "of somebody"


@pytest.mark.parametrize("flags", [("--keep", "1"), ("--mirrors",), ("--copy",)], ids=["keep", "mirrors", "copy"])
def test_a_verification_with_flags_of_a_backup_is_refused(small: Path, backups: Path, flags: tuple[str, ...]) -> None:
    for _ in range(2):
        back_up(small, backups)
    before = contents(backups)

    done = run("devpi-backup", "--verify", *flags, str(backups))

    assert done.returncode == 1
    assert done.stderr.startswith("fatal: --verify backs up nothing and removes nothing: leave out ")
    assert contents(backups) == before


# Under load


def test_what_was_acknowledged_before_a_backup_of_a_busy_server_is_in_it(tmp_path: Path, backups: Path) -> None:
    serverdir, target = tmp_path / "server", tmp_path / "new"
    with a_busy_server(serverdir) as acknowledged:
        known = dict(acknowledged)
        done = run("devpi-backup", "--serverdir", str(serverdir), str(backups))
        at_its_end = len(acknowledged)
        until(lambda: len(acknowledged) > at_its_end, "uploads go on")
    # What came later can be had too.
    again = run("devpi-backup", "--serverdir", str(serverdir), "--keep", "1", str(backups))
    first = run("devpi-restore", str(backups), "--serverdir", str(target))

    assert (done.returncode, again.returncode, first.returncode) == (0, 0, 0), done.stderr + again.stderr + first.stderr
    assert "removed 1 older snapshots" in again.stdout
    assert_whole(target)
    assert_served(target, acknowledged)
    assert set(known) <= set(acknowledged)


def test_a_backup_of_a_busy_server_lacks_nothing_that_it_names(tmp_path: Path, backups: Path) -> None:
    serverdir, target = tmp_path / "server", tmp_path / "new"
    with a_busy_server(serverdir) as acknowledged:
        known = dict(acknowledged)
        back_up(serverdir, backups)
    restored(backups, target)

    assert_whole(target)
    assert_served(target, known)


@contextlib.contextmanager
def a_busy_server(serverdir: Path) -> Iterator[dict[str, Dist]]:
    """A new server and its clients, at work; what was acknowledged so far, ten files at least."""
    make_serverdir(serverdir, NOWHERE)
    acknowledged: dict[str, Dist] = {}
    with a_server(serverdir, "--no-access-log") as server:
        assert server.send_json("PUT", "/team", {"password": PASSWORD})[0] == 201
        assert server.send_json("PUT", "/team/dev", {}, **TEAM)[0] == 200
        with uploading(server, acknowledged):
            until(lambda: len(acknowledged) >= 10, "uploads")
            yield acknowledged


@contextlib.contextmanager
def uploading(server: Server, acknowledged: dict[str, Dist]) -> Iterator[None]:
    """Several clients that upload one version after another; what was answered with 200 is acknowledged."""
    numbers = iter(range(10_000))
    stop = threading.Event()

    def work() -> None:
        with contextlib.suppress(OSError, http.client.HTTPException):
            while not stop.is_set():
                version = f"1.{next(numbers)}"
                wheel = a_wheel("pkg", version, payload=version.encode() * 5_000)
                body = a_form(fields_of(wheel, "pkg", version), wheel.filename, wheel.content)
                if server.send("POST", "/team/dev/", body, content_type=FORM, **TEAM)[0] == 200:
                    acknowledged[wheel.filename] = wheel

    threads = [threading.Thread(target=work) for _ in range(CLIENTS)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join(30)


def assert_served(serverdir: Path, wheels: dict[str, Dist]) -> None:
    """The server starts in this folder, and these files are all listed and whole."""
    with a_server(serverdir, "--no-access-log") as server:
        page = json.loads(server.get("/team/dev/+simple/pkg/", accept=JSON)[2])
        files = {file["filename"]: file["url"].removeprefix("../../").partition("#")[0] for file in page["files"]}
        for filename, wheel in wheels.items():
            assert server.get(f"/team/dev/{files[filename]}")[2] == wheel.content
