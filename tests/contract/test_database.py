"""What the database promises: all or nothing, news of every commit, a schema that is known."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import select

from stilton.db import accounts, migrate, mirrors, trouble
from stilton.db.database import Database, Transaction, connect, write_now
from stilton.db.mirrors import HeldFile, Page, ProjectList
from stilton.db.schema import changes, metadata
from stilton.domain.errors import Damaged, SetupError, StiltonError, StorageFull, StorageTrouble
from stilton.domain.files import File, Project, Status
from stilton.domain.holdings import Held
from stilton.domain.indexes import Index
from stilton.domain.names import IndexName, ProjectName
from tests.contract.processes import a_process
from tests.support.damage import overwrite

MIRROR = IndexName("root/pypi")
PKG = ProjectName("pkg")
FILE = File(
    filename="pkg-1.0.tar.gz", url="https://u.example/x", hashes={"sha256": "a" * 64}, size=3, yanked="why",
    core_metadata={"sha256": "b" * 64}, more={"new": [1, None, {"a": "ü"}]},
)  # fmt: skip
PAGE = Page(
    project=Project(name=PKG, files=(FILE,), versions=("1.0",), status=Status("archived"), serial=7, more={"x": 1}),
    etag='"e"',
    checked_at=100.0,
)


class Wrong(Exception):
    """What a unit of work raises in these tests."""


@pytest.fixture
async def path(tmp_path: Path) -> Path:
    path = tmp_path / "stilton.sqlite"
    migrate.upgrade(path)
    return path


@pytest.fixture
async def db(path: Path) -> AsyncIterator[Database]:
    made = Database(path, now=lambda: 1000.0)
    yield made
    made.close()


@pytest.fixture
async def other(path: Path) -> AsyncIterator[Database]:
    """The same file, as another process sees it."""
    made = Database(path, now=lambda: 2000.0)
    yield made
    made.close()


def noted(tx: Transaction, *entities: str) -> None:
    for entity in entities:
        tx.note(entity)


def add(tx: Transaction, user: str) -> None:
    accounts.put_user(tx, user, "hash", {"created": "now"})


def add_and_fail(tx: Transaction, user: str) -> None:
    add(tx, user)
    raise Wrong


def rows(path: Path, table: str = "changes") -> list[tuple[object, ...]]:
    """All rows of a table, read by somebody who knows none of our code."""
    raw = sqlite3.connect(path)
    try:
        return raw.execute(f"SELECT * FROM {table} ORDER BY 1").fetchall()
    finally:
        raw.close()


async def test_what_is_written_is_read_by_everybody(db: Database, other: Database) -> None:
    await db.write(add, "ann")

    assert await db.read(accounts.user_keys, "ann") == {"username": "ann", "created": "now"}
    assert db.glance(accounts.user_keys, "ann") == {"username": "ann", "created": "now"}
    assert await other.read(accounts.user_keys, "ann") == {"username": "ann", "created": "now"}
    assert other.glance(accounts.user_keys, "ann") == {"username": "ann", "created": "now"}


async def test_the_result_of_the_work_is_given(db: Database) -> None:
    def work(tx: Transaction, number: int) -> int:
        del tx
        return number + 1

    assert await db.write(work, 41) == 42


async def test_an_exception_leaves_nothing_and_reaches_the_caller(db: Database, path: Path) -> None:
    heard: list[list[str]] = []
    db.on_commit(heard.append)

    with pytest.raises(Wrong):
        await db.write(add_and_fail, "ann")

    assert rows(path, "users") == []
    assert rows(path) == []
    assert db.serial == 0
    assert db.last_commit_at() is None
    assert heard == []


async def test_after_an_exception_the_next_write_goes_through(db: Database) -> None:
    with pytest.raises(Wrong):
        await db.write(add_and_fail, "ann")

    await db.write(add, "bob")

    assert [keys["username"] for keys in await db.read(accounts.all_users)] == ["bob"]


async def test_one_that_fails_among_many_takes_nobody_with_it(db: Database, path: Path) -> None:
    wishes = [db.write(add_and_fail if number % 3 == 0 else add, f"user{number:02}") for number in range(30)]

    outcomes = await asyncio.gather(*wishes, return_exceptions=True)

    assert [isinstance(outcome, Wrong) for outcome in outcomes] == [number % 3 == 0 for number in range(30)]
    expected = [f"user{number:02}" for number in range(30) if number % 3]
    assert [row[0] for row in rows(path, "users")] == expected
    assert sorted(str(row[0]) for row in rows(path)) == [f"user:{name}" for name in expected]


async def test_one_who_stops_waiting_leaves_the_others_their_answers(db: Database) -> None:
    impatient = asyncio.ensure_future(db.write(add, "ann"))
    patient = asyncio.ensure_future(db.write(add, "bob"))
    await asyncio.sleep(0)

    impatient.cancel()
    await patient

    assert db.glance(accounts.user_keys, "bob") is not None
    await db.write(add, "cid")


async def test_a_commit_tells_what_changed_once_each_and_in_order(db: Database) -> None:
    heard: list[list[str]] = []
    db.on_commit(heard.append)

    await db.write(noted, "project:a/b/c", "user:x", "project:a/b/c")

    assert heard == [["project:a/b/c", "user:x"]]
    assert db.serial == 2
    assert db.last_commit_at() == 1000.0


async def test_every_listener_is_told(db: Database) -> None:
    one: list[list[str]] = []
    two: list[list[str]] = []
    db.on_commit(one.append)
    db.on_commit(two.append)

    await db.write(noted, "user:x")

    assert one == two == [["user:x"]]


async def test_commits_of_another_process_are_told_when_asked_for(db: Database, other: Database) -> None:
    heard: list[list[str]] = []
    db.on_commit(heard.append)
    await other.write(noted, "user:x")
    await other.write(noted, "user:y")

    before = db.serial
    serial = db.news()
    again = db.news()

    assert before == 0
    assert serial == again == other.serial == 2
    assert heard == [["user:x", "user:y"]]
    assert db.last_commit_at() == 2000.0


async def test_a_write_also_tells_what_another_process_committed_before(db: Database, other: Database) -> None:
    heard: list[str] = []
    db.on_commit(heard.extend)
    await other.write(noted, "user:x")

    await db.write(noted, "user:y")

    assert heard == ["user:x", "user:y"]


async def test_what_was_committed_before_opening_is_no_news(path: Path, db: Database) -> None:
    await db.write(noted, "user:x")
    late = Database(path)
    heard: list[list[str]] = []
    late.on_commit(heard.append)

    serial = late.news()
    late.close()

    assert serial == 1
    assert heard == []


async def test_a_write_that_notes_nothing_is_kept_and_not_told(db: Database, path: Path) -> None:
    await db.write(mirrors.keep_page, MIRROR, PAGE)
    heard: list[list[str]] = []
    db.on_commit(heard.append)

    await db.write(mirrors.confirm_page, MIRROR, PKG, 500.0)

    assert heard == []
    assert len(rows(path)) == 1
    packed = db.glance(mirrors.page, MIRROR, PKG)
    assert packed is not None
    assert packed.checked_at == 500.0


async def test_the_log_of_changes_keeps_one_row_an_entity_the_newest(db: Database, other: Database, path: Path) -> None:
    for _ in range(20):
        await db.write(noted, "user:x", "user:y")
    await other.write(noted, "user:x")

    assert rows(path) == [("user:x", 41, 2000.0), ("user:y", 40, 1000.0)]
    assert db.news() == 41


async def test_a_reader_sees_one_state_however_long_it_takes(db: Database, other: Database) -> None:
    engine = connect(db.path)
    with engine.connect() as snapshot:
        snapshot.exec_driver_sql("BEGIN")
        before = accounts.all_users(snapshot)

        await other.write(add, "ann")

        assert accounts.all_users(snapshot) == before == []
    engine.dispose()
    assert len(await db.read(accounts.all_users)) == 1


async def test_two_processes_that_write_at_once_lose_nothing(db: Database, other: Database, path: Path) -> None:
    wishes = [(db if number % 2 else other).write(add, f"user{number:02}") for number in range(40)]

    await asyncio.gather(*wishes)

    assert len(rows(path, "users")) == 40
    assert sorted(row[1] for row in rows(path)) == list(range(1, 41))  # type: ignore[type-var]  # integers


async def test_a_database_that_cannot_be_written_says_so_and_stays_as_it_is(db: Database, path: Path) -> None:
    await db.write(add, "ann")

    def break_off(tx: Transaction) -> None:
        tx.sql.exec_driver_sql("PRAGMA query_only = ON")
        add(tx, "bob")

    with pytest.raises(StorageTrouble, match="did not take a change of the database"):
        await db.write(break_off)

    assert [row[0] for row in rows(path, "users")] == ["ann"]


async def test_a_database_without_room_says_so_and_stays_as_it_is(path: Path) -> None:
    told: list[Exception] = []
    db = Database(path, alarm=told.append)
    await db.write(add, "ann")

    def outgrow(tx: Transaction) -> None:
        pages = tx.sql.exec_driver_sql("PRAGMA page_count").scalar()
        tx.sql.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
        for number in range(1000):
            add(tx, f"bob{number}")

    with pytest.raises(StorageFull, match="did not take a change of the database: no space left") as full:
        await db.write(outgrow)
    db.close()

    assert told == [full.value]
    assert [row[0] for row in rows(path, "users")] == ["ann"]


async def test_what_is_on_a_damaged_page_cannot_be_read_and_the_rest_can(path: Path) -> None:
    db = Database(path)
    for number in range(400):
        await db.write(add, f"user-{number}")
    await db.write(accounts.put_index, Index("ann", "dev", {"type": "stage"}))
    db.close()
    overwrite(path, "users")
    db = Database(path)

    with pytest.raises(Damaged, match=r"^the database stilton\.sqlite is damaged \(.*\): restore it from a backup$"):
        await db.read(accounts.all_users)
    with pytest.raises(Damaged):
        await db.write(add, "user-7")
    found = await db.read(accounts.all_indexes)
    db.close()

    assert [index.full_name for index in found] == ["ann/dev"]


def test_a_damaged_log_of_changes_is_said_when_the_database_is_opened(tmp_path: Path) -> None:
    path = tmp_path / "stilton.sqlite"
    migrate.upgrade(path)
    overwrite(path, "changes")

    with pytest.raises(Damaged):
        Database(path)


@pytest.mark.parametrize(
    ("error", "meant"),
    [
        (sqlite3.SQLITE_FULL, StorageFull),
        (sqlite3.SQLITE_READONLY_DBMOVED, StorageTrouble),
        (sqlite3.SQLITE_IOERR_WRITE, StorageTrouble),
        (sqlite3.SQLITE_BUSY_SNAPSHOT, StorageTrouble),
        (sqlite3.SQLITE_IOERR_READ, Damaged),
        (sqlite3.SQLITE_CORRUPT_INDEX, Damaged),
        (sqlite3.SQLITE_NOTADB, Damaged),
        (sqlite3.SQLITE_CONSTRAINT_UNIQUE, None),
        (sqlite3.SQLITE_ERROR, None),
    ],
)
def test_what_sqlite_says_is_translated_once(error: int, meant: type[StiltonError] | None) -> None:
    said = sqlite3.OperationalError("what it says")
    said.sqlite_errorcode = error

    words = "no space left" if meant is StorageFull else "says"
    with pytest.raises(meant or sqlite3.OperationalError, match=words), trouble.told("stilton.sqlite"):
        raise said


def test_commands_write_without_an_event_loop_and_all_or_nothing(tmp_path: Path) -> None:
    path = tmp_path / "stilton.sqlite"
    migrate.upgrade(path)
    engine = connect(path)

    write_now(engine, lambda: 5.0, add, "ann")
    with pytest.raises(Wrong):
        write_now(engine, lambda: 6.0, add_and_fail, "bob")
    engine.dispose()

    assert [row[0] for row in rows(path, "users")] == ["ann"]
    assert rows(path) == [("user:ann", 1, 5.0)]


WRITER = """
import sys, time
from pathlib import Path
from stilton.db import accounts
from stilton.db.database import connect, write_now
engine = connect(Path(sys.argv[1]) / "stilton.sqlite")
def pair(tx, number):
    accounts.put_user(tx, f"a{number}", "hash", {})
    accounts.put_user(tx, f"b{number}", "hash", {})
number = 0
while True:
    write_now(engine, time.time, pair, number)
    print(number, flush=True)
    number += 1
"""


@pytest.mark.parametrize("commits", [1, 30])
async def test_a_killed_process_loses_nothing_it_committed_and_leaves_nothing_half(path: Path, commits: int) -> None:
    with a_process(WRITER, path.parent) as output:
        for _ in range(commits):
            output.readline()

    migrate.upgrade(path)
    db = Database(path)
    names = {keys["username"] for keys in await db.read(accounts.all_users)}
    db.close()
    assert {f"{letter}{number}" for letter in "ab" for number in range(commits)} <= names
    assert {name[1:] for name in names if name[0] == "a"} == {name[1:] for name in names if name[0] == "b"}


async def test_a_page_comes_back_as_it_was_kept(db: Database) -> None:
    await db.write(mirrors.keep_page, MIRROR, PAGE)

    packed = await db.read(mirrors.page, MIRROR, PKG)

    assert packed is not None
    assert mirrors.unpack(packed) == PAGE
    assert await db.read(mirrors.page, MIRROR, ProjectName("other")) is None
    assert await db.read(mirrors.known_projects, MIRROR) == [PKG]


async def test_a_page_in_a_format_that_is_not_known_is_as_none(db: Database) -> None:
    await db.write(mirrors.keep_page, MIRROR, PAGE)

    def from_the_future(tx: Transaction) -> None:
        tx.sql.exec_driver_sql("UPDATE mirrored SET document = CAST(x'ff' || document AS BLOB)")

    await db.write(from_the_future)

    assert await db.read(mirrors.page, MIRROR, PKG) is None


async def test_what_is_learnt_of_a_file_is_added_to_what_was_known(db: Database) -> None:
    path = "+f/aaa/aaaaaaaaaaaaa/pkg-1.0.tar.gz"
    first = HeldFile(path=path, project=PKG, held=Held(metadata_digest="b" * 64))
    second = HeldFile(path=path, project=PKG, held=Held(digest="a" * 64, size=3), last_modified="then")

    await db.write(mirrors.keep_file, MIRROR, first, 1.0)
    await db.write(mirrors.keep_file, MIRROR, second, 2.0)

    held = Held(digest="a" * 64, size=3, metadata_digest="b" * 64)
    assert db.glance(mirrors.held_file, MIRROR, path) == HeldFile(
        path=path, project=PKG, held=held, last_modified="then"
    )
    assert await db.read(mirrors.held_files, MIRROR, PKG) == {path: held}
    assert db.glance(mirrors.held_file, MIRROR, "+f/nosuch") is None


async def test_a_blob_that_is_gone_is_forgotten_and_its_metadata_stays(db: Database) -> None:
    entry = HeldFile(path="+f/x", project=PKG, held=Held(digest="a" * 64, size=3, metadata_digest="b" * 64))
    await db.write(mirrors.keep_file, MIRROR, entry, 1.0)

    await db.write(mirrors.forget_blob, MIRROR, entry)

    assert await db.read(mirrors.held_files, MIRROR, PKG) == {"+f/x": Held(metadata_digest="b" * 64)}


async def test_a_list_of_projects_is_replaced_whole(db: Database) -> None:
    old = ProjectList(names=b"a", etag='"1"', serial=1, checked_at=1.0)
    new = ProjectList(names=b"b", etag=None, serial=None, checked_at=2.0)

    before = await db.read(mirrors.project_list, MIRROR)
    await db.write(mirrors.keep_project_list, MIRROR, old)
    await db.write(mirrors.keep_project_list, MIRROR, new)

    assert before is None
    assert await db.read(mirrors.project_list, MIRROR) == new


async def test_users_and_indexes_come_back_as_they_were_put(db: Database) -> None:
    index = Index("ann", "dev", {"type": "stage", "title": "ü"})

    await db.write(add, "ann")
    await db.write(accounts.put_index, Index("ann", "dev", {}))
    await db.write(accounts.put_index, index)

    assert await db.read(accounts.index, "ann", "dev") == index
    assert await db.read(accounts.index, "ann", "other") is None
    assert await db.read(accounts.all_indexes) == [index]
    assert await db.read(accounts.user_keys, "bob") is None


def test_the_newest_revision_is_the_one_that_the_program_expects() -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(migrate.__file__).parent / "migrations"))

    assert ScriptDirectory.from_config(config).get_heads() == [migrate.HEAD]


def test_a_new_database_has_exactly_the_tables_that_the_program_knows(tmp_path: Path) -> None:
    path = tmp_path / "stilton.sqlite"

    migrate.upgrade(path)

    engine = connect(path)
    with engine.connect() as connection:
        differences = compare_metadata(MigrationContext.configure(connection, opts={"compare_type": True}), metadata)
        assert connection.execute(select(changes)).all() == []
    engine.dispose()
    assert differences == []
    assert migrate.version(path) == migrate.HEAD


def test_upgrading_what_is_up_to_date_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "stilton.sqlite"
    migrate.upgrade(path)
    before = path.read_bytes()

    migrate.upgrade(path)

    assert path.read_bytes() == before


def test_an_empty_file_has_no_version_and_gets_a_schema(tmp_path: Path) -> None:
    path = tmp_path / "stilton.sqlite"
    path.touch()

    before = migrate.version(path)
    migrate.upgrade(path)

    assert before is None
    assert migrate.version(path) == migrate.HEAD


def test_a_database_of_a_newer_program_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "stilton.sqlite"
    migrate.upgrade(path)
    raw = sqlite3.connect(path)
    raw.execute("UPDATE alembic_version SET version_num = '9999'")
    raw.commit()
    raw.close()
    before = path.read_bytes()

    with pytest.raises(SetupError, match="has version 9999, this program knows versions up to") as refusal:
        migrate.upgrade(path)

    assert str(path) in str(refusal.value)
    assert path.read_bytes() == before


@pytest.mark.parametrize("damage", [b"not a database at all" * 100, b"SQLite format 3\x00" + b"\xff" * 5000])
def test_a_damaged_file_is_refused_in_words_and_left_alone(tmp_path: Path, damage: bytes) -> None:
    path = tmp_path / "stilton.sqlite"
    path.write_bytes(damage)

    with pytest.raises(SetupError, match="is damaged") as refusal:
        migrate.upgrade(path)

    assert str(path) in str(refusal.value)
    assert "Restore it from a backup" in str(refusal.value)
    assert path.read_bytes() == damage


def test_a_folder_in_the_databases_place_is_refused_in_words(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="cannot be opened"):
        migrate.upgrade(tmp_path)
