"""Older and newer databases: nothing is migrated unless a person says so, and nothing is lost by it."""

import contextlib
import shutil
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.config import Config

from stilton.db import migrate
from stilton.db.database import connect
from stilton.domain.errors import SetupError
from stilton.serverdir import ServerDir
from stilton.upkeep.vault import Vault
from tests.support.builders import a_wheel
from tests.support.mounts import mounted, read_only
from tests.support.server import a_server, run
from tests.support.world import make_serverdir

NOWHERE = "http://127.0.0.1:9/simple/"
OLDER = ["0001", "0002", "0003"]
WHEEL = a_wheel("pkg", "1.0")
ROWS: dict[str, dict[str, dict[str, Any]]] = {
    "0001": {
        "users": {"name": "ann", "pwhash": "no-hash", "keys": '{"email": "ann@example.org"}'},
        "indexes": {"user": "ann", "name": "dev", "keys": '{"type": "stage", "bases": []}'},
        "mirrored": {"mirror": "root/pypi", "project": "pkg", "document": b"page", "etag": '"1"', "checked_at": 5.0},
        "held": {
            "mirror": "root/pypi", "path": WHEEL.path, "project": "pkg", "digest": WHEEL.sha256,
            "size": len(WHEEL.content), "metadata_digest": "", "fetched_at": 7.0,
        },
        "changes": {"entity": "ann/dev", "serial": 3, "at": 9.0},
    },
    "0002": {
        "projects": {"stage": "ann/dev", "project": "pkg"},
        "releases": {"stage": "ann/dev", "project": "pkg", "version": "1.0", "canonical": "1", "keys": "{}"},
        "files": {
            "stage": "ann/dev", "path": WHEEL.path, "project": "pkg", "version": "1.0", "kind": "releasefile",
            "filename": WHEEL.filename, "digest": WHEEL.sha256, "size": len(WHEEL.content), "uploaded_at": 8.0,
            "log": "[]",
        },
    },
    "0003": {
        "pins": {"mirror": "root/pypi", "path": WHEEL.path, "reason": "release 7", "at": 9.0},
        "audit": {"at": 9.0, "actor": "ann", "action": "pins.put", "target": "root/pypi", "detail": "{}"},
    },
}  # fmt: skip
"""A row in each table that a revision brought."""


def an_older_server(serverdir: Path, revision: str) -> ServerDir:
    """A folder as a program of that time left it: its migrations are run for real, and there is data."""
    make_serverdir(serverdir, NOWHERE)
    place = ServerDir(serverdir)
    place.blobs.put(WHEEL.content)
    for file in serverdir.glob("stilton.sqlite*"):
        file.unlink()
    migrated_to(place.database, revision)
    for at in [revision_ for revision_ in ROWS if revision_ <= revision]:
        for table, row in ROWS[at].items():
            insert(place.database, table, row)
    return place


def migrated_to(database: Path, revision: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(migrate.__file__).parent / "migrations"))
    engine = connect(database)
    with engine.connect() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
        connection.commit()
    engine.dispose()


def insert(database: Path, table: str, row: dict[str, Any]) -> None:
    columns, marks = ", ".join(f'"{name}"' for name in row), ", ".join("?" * len(row))
    with contextlib.closing(sqlite3.connect(database)) as connection, connection:
        connection.execute(f"INSERT INTO {table} ({columns}) VALUES ({marks})", list(row.values()))


def change(database: Path, sql: str) -> None:
    with contextlib.closing(sqlite3.connect(database)) as connection, connection:
        connection.execute(sql)


def dump(database: Path) -> list[str]:
    """Schema and rows, as text."""
    with contextlib.closing(sqlite3.connect(database)) as connection:
        return list(connection.iterdump())


def assert_rows_are_there(database: Path, revision: str) -> None:
    with contextlib.closing(sqlite3.connect(database)) as connection:
        connection.row_factory = sqlite3.Row
        for at in [revision_ for revision_ in ROWS if revision_ <= revision]:
            for table, row in ROWS[at].items():
                found = [dict(one) for one in connection.execute(f"SELECT * FROM {table}")]
                assert [{name: one[name] for name in row} for one in found] == [row], table


def said(place: ServerDir, revision: str) -> str:
    return (
        f"fatal: The database {place.database} has version {revision}, this program needs {migrate.HEAD}; "
        "nothing was changed.\n"
        f"Make a backup: devpi-backup --serverdir {place.path} DIR\n"
        f"Then bring it up to date: devpi-server --serverdir {place.path} --migrate\n"
    )


# An older database


@pytest.mark.parametrize("name", ["devpi-server", "devpi-passwd"])
@pytest.mark.parametrize("revision", OLDER)
def test_an_older_database_is_refused_in_words_and_left_alone(tmp_path: Path, name: str, revision: str) -> None:
    place = an_older_server(tmp_path / "server", revision)
    before = dump(place.database)

    done = run(name, "--serverdir", str(place.path))

    assert done.returncode == 1
    assert done.stderr == said(place, revision)
    assert dump(place.database) == before
    assert list(place.path.glob("before-*")) == []


@pytest.mark.parametrize("revision", OLDER)
def test_every_row_survives_each_step(tmp_path: Path, revision: str) -> None:
    place = an_older_server(tmp_path / "server", revision)
    before = dump(place.database)

    older = migrate.bring_up(place.database)

    assert older == revision
    assert migrate.version(place.database) == migrate.HEAD
    assert_rows_are_there(place.database, revision)
    assert dump(migrate.kept_before(place.database)) == before


@pytest.mark.parametrize("told", [("--migrate",), ()], ids=["flag", "variable"])
def test_a_server_that_is_told_to_migrate_does_and_serves(tmp_path: Path, told: tuple[str, ...]) -> None:
    place = an_older_server(tmp_path / "server", "0002")
    env = {} if told else {"DEVPISERVER_MIGRATE": "1"}

    with a_server(place.path, *told, env=env) as server:
        status, _, content = server.get(f"/ann/dev/{WHEEL.path}")
        log = server.log()
    with a_server(place.path) as again:
        log_again = again.log()

    assert (status, content) == (200, WHEEL.content)
    assert f"brought from version 0002 to {migrate.HEAD}" in log
    assert str(migrate.kept_before(place.database)) in log
    assert "brought from" not in log_again


def test_a_migration_that_fails_leaves_the_database_as_it_was(tmp_path: Path) -> None:
    place = an_older_server(tmp_path / "server", "0001")
    change(place.database, "CREATE TABLE audit (what TEXT)")
    before = dump(place.database)

    done = run("devpi-server", "--serverdir", str(place.path), "--migrate")

    assert done.returncode == 1
    assert done.stderr == (
        f"fatal: The database {place.database} could not be brought from version 0001 to {migrate.HEAD}; "
        "it is as it was (table audit already exists).\n"
    )
    assert dump(place.database) == before


def test_what_was_before_can_take_the_databases_place_again(tmp_path: Path) -> None:
    place = an_older_server(tmp_path / "server", "0002")
    migrate.bring_up(place.database)

    for file in place.path.glob("stilton.sqlite*"):
        file.unlink()
    migrate.kept_before(place.database).rename(place.database)

    assert migrate.version(place.database) == "0002"
    assert_rows_are_there(place.database, "0002")
    assert migrate.bring_up(place.database) == "0002"


def test_only_the_newest_two_of_those_are_kept(tmp_path: Path) -> None:
    place = an_older_server(tmp_path / "server", "0002")
    for number in ("0001", "0002"):
        (place.path / f"before-{number}.sqlite").write_bytes(b"")

    migrate.bring_up(place.database)

    assert sorted(path.name for path in place.path.glob("before-*")) == [
        "before-0002.sqlite",
        f"before-{migrate.HEAD}.sqlite",
    ]


def test_a_snapshot_that_cannot_be_kept_stops_the_migration(tmp_path: Path) -> None:
    place = an_older_server(tmp_path / "server", "0002")
    migrate.kept_before(place.database).mkdir()
    (migrate.kept_before(place.database) / "in the way").touch()
    before = dump(place.database)

    done = run("devpi-server", "--serverdir", str(place.path), "--migrate")

    assert done.returncode == 1
    assert "fatal: The database is as it was, it could not be brought up to date:" in done.stderr
    assert dump(place.database) == before


def test_a_new_server_needs_no_permission(tmp_path: Path) -> None:
    with a_server(tmp_path / "server", "--init", "--no-root-pypi") as server:
        assert server.get("/+health")[0] == 200

    assert list((tmp_path / "server").glob("before-*")) == []


@pytest.mark.parametrize("revision", OLDER)
def test_an_older_server_is_backed_up_restored_and_then_migrated(tmp_path: Path, revision: str) -> None:
    place = an_older_server(tmp_path / "server", revision)
    before = dump(place.database)
    backups, target = tmp_path / "backups", tmp_path / "new"

    backup = run("devpi-backup", "--serverdir", str(place.path), "--mirrors", str(backups))
    restore = run("devpi-restore", str(backups), "--serverdir", str(target))
    refused = run("devpi-server", "--serverdir", str(target))

    assert (backup.returncode, restore.returncode) == (0, 0), backup.stderr + restore.stderr
    assert dump(place.database) == before
    assert Vault(backups).snapshots()[0].manifest.schema == revision
    assert dump(ServerDir(target).database) == before
    assert f"start it with: devpi-server --serverdir {target} --migrate\n" in restore.stdout
    assert refused.stderr == said(ServerDir(target), revision)
    assert ServerDir(target).blobs.has(WHEEL.sha256)
    migrate.bring_up(ServerDir(target).database)
    assert_rows_are_there(ServerDir(target).database, revision)


def test_the_mirrors_part_of_an_older_server_is_left_out_too(tmp_path: Path) -> None:
    place = an_older_server(tmp_path / "server", "0001")

    done = run("devpi-backup", "--serverdir", str(place.path), str(tmp_path / "backups"))

    assert "not in it: 1 files of mirrors" in done.stdout
    assert Vault(tmp_path / "backups").snapshots()[0].manifest.blobs == 0


# A newer database


NEWER = f"has version 9999, this program knows versions up to {migrate.HEAD}. Run the newer stilton that wrote it"


@pytest.mark.parametrize(
    "arguments",
    [("devpi-server",), ("devpi-server", "--migrate"), ("devpi-passwd",), ("devpi-backup", "{tmp}/backups")],
    ids=" ".join,
)
def test_a_newer_database_is_refused_by_each_command_and_left_alone(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    make_serverdir(tmp_path / "server", NOWHERE)
    place = ServerDir(tmp_path / "server")
    change(place.database, "UPDATE alembic_version SET version_num = '9999'")
    before = dump(place.database)

    name, *more = (argument.format(tmp=tmp_path) for argument in arguments)
    done = run(name, "--serverdir", str(place.path), *more)

    assert done.returncode == 1
    assert done.stderr.startswith(f"fatal: The database {place.database} {NEWER}")
    assert dump(place.database) == before
    assert not (tmp_path / "backups").exists()
    assert list(place.path.glob("before-*")) == []


def test_a_backup_by_a_newer_program_is_not_restored(tmp_path: Path) -> None:
    make_serverdir(tmp_path / "server", NOWHERE)
    run("devpi-backup", "--serverdir", str(tmp_path / "server"), str(tmp_path / "backups"))
    snapshot = Vault(tmp_path / "backups").snapshots()[0]
    manifest = snapshot.path / "manifest.json"
    manifest.write_text(manifest.read_text().replace(f'"schema": "{migrate.HEAD}"', '"schema": "9999"'))

    done = run("devpi-restore", str(tmp_path / "backups"), "--serverdir", str(tmp_path / "new"))

    assert done.returncode == 1
    assert NEWER in done.stderr
    assert not (tmp_path / "new").exists()


# No database


def test_a_server_whose_database_is_gone_does_not_start_empty(tmp_path: Path) -> None:
    make_serverdir(tmp_path / "server", NOWHERE)
    place = ServerDir(tmp_path / "server")
    for file in place.path.glob("stilton.sqlite*"):
        file.unlink()

    with pytest.raises(SetupError, match=r"is missing\. Restore it from a backup"):
        place.open()
    with pytest.raises(SetupError, match=r"is missing\. Restore it from a backup"):
        place.open(migrate_too=True)

    assert not place.database.exists()


def test_a_server_whose_database_is_empty_does_not_start(tmp_path: Path) -> None:
    make_serverdir(tmp_path / "server", NOWHERE)
    place = ServerDir(tmp_path / "server")
    for file in place.path.glob("stilton.sqlite*"):
        file.unlink()
    place.database.touch()

    with pytest.raises(SetupError, match=r"is empty\. Restore it from a backup"):
        place.open(migrate_too=True)

    assert place.database.stat().st_size == 0


# Two on one folder


def test_a_running_servers_folder_is_refused_to_a_second_server_and_to_commands(tmp_path: Path) -> None:
    make_serverdir(tmp_path / "server", NOWHERE)
    with a_server(tmp_path / "server") as server:
        before = dump(tmp_path / "server" / "stilton.sqlite")

        second = run("devpi-server", "--serverdir", str(tmp_path / "server"), "--migrate")
        passwd = run("devpi-passwd", "--serverdir", str(tmp_path / "server"))

        for done in (second, passwd):
            assert done.returncode == 1
            assert f"in use by process {server.process.pid}. Stop that one, or name another" in done.stderr
        assert dump(tmp_path / "server" / "stilton.sqlite") == before
        assert server.get("/+health")[0] == 200


def test_a_folder_that_a_command_holds_is_refused_to_a_server(tmp_path: Path) -> None:
    make_serverdir(tmp_path / "server", NOWHERE)
    place = ServerDir(tmp_path / "server")
    place.open()

    done = run("devpi-server", "--serverdir", str(place.path))
    place.unlock()

    assert done.returncode == 1
    assert "in use by process" in done.stderr
    with a_server(place.path) as server:
        assert server.get("/+health")[0] == 200


def test_a_folder_that_was_copied_from_a_running_server_is_free(tmp_path: Path) -> None:
    make_serverdir(tmp_path / "server", NOWHERE)
    ServerDir(tmp_path / "server").open()
    shutil.copytree(tmp_path / "server", tmp_path / "copy")

    with a_server(tmp_path / "copy") as server:
        assert server.get("/+health")[0] == 200


@pytest.mark.parametrize("name", ["devpi-server", "devpi-passwd"])
def test_a_read_only_folder_is_said(tmp_path: Path, name: str) -> None:
    make_serverdir(tmp_path / "server", NOWHERE)

    done = mounted(tmp_path / "server", read_only(tmp_path / "server"), name, "--serverdir", str(tmp_path / "server"))

    assert done.returncode == 1
    assert done.stderr == f"fatal: The folder {tmp_path / 'server'} cannot be written: Read-only file system.\n"
