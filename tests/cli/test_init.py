"""`devpi-init`: what it makes, what it says, and what it never touches."""

import json
import sqlite3
from pathlib import Path

import pytest
from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError

from tests.support.server import a_server, run

MIRROR_URL = "http://127.0.0.1:9/simple/"


def contents(folder: Path) -> dict[str, bytes | None]:
    """Everything below `folder`: relative path → bytes, None for a folder."""
    return {
        str(path.relative_to(folder)): None if path.is_dir() else path.read_bytes()
        for path in sorted(folder.rglob("*"))
    }


def pwhash_of_root(serverdir: Path) -> str:
    return query(serverdir, "SELECT pwhash FROM users WHERE name = 'root'")


def query(serverdir: Path, sql: str) -> str:
    database = sqlite3.connect(serverdir / "stilton.sqlite")
    try:
        return str(database.execute(sql).fetchone()[0])
    finally:
        database.close()


def test_it_says_what_it_made(tmp_path: Path) -> None:
    serverdir = tmp_path / "server"

    done = run("devpi-init", "--serverdir", str(serverdir))

    uuid = json.loads((serverdir / ".nodeinfo").read_text())["uuid"]
    assert done.returncode == 0
    assert done.stdout.splitlines() == [
        f"generated uuid: {uuid}",
        f"wrote nodeinfo to: {serverdir / '.nodeinfo'}",
        "created root user",
        "created root/pypi index",
    ]
    assert "empty password" in done.stderr


def test_root_pypi_has_exactly_the_keys_of_the_reference(tmp_path: Path) -> None:
    run("devpi-init", "--serverdir", str(tmp_path / "server"))

    keys = json.loads(query(tmp_path / "server", "SELECT keys FROM indexes WHERE user = 'root' AND name = 'pypi'"))

    assert sorted(keys) == ["mirror_url", "mirror_web_url_fmt", "title", "type", "volatile"]
    assert keys["type"] == "mirror"
    assert keys["volatile"] is False
    assert keys["title"] == "PyPI"
    assert keys["mirror_url"].startswith("https://")
    assert keys["mirror_web_url_fmt"].endswith("/{name}/")


def test_the_folder_from_the_environment_is_used_and_its_parents_are_made(tmp_path: Path) -> None:
    serverdir = tmp_path / "a" / "b" / "server"

    done = run("devpi-init", env={"DEVPISERVER_SERVERDIR": str(serverdir)})

    assert done.returncode == 0
    assert (serverdir / ".serverversion").read_text() == "stilton-1\n"


def test_a_second_init_is_refused_and_changes_nothing(tmp_path: Path) -> None:
    serverdir = tmp_path / "server"
    run("devpi-init", "--serverdir", str(serverdir))
    before = contents(serverdir)

    done = run("devpi-init", "--serverdir", str(serverdir), "--root-passwd", "other", "--no-root-pypi")

    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr == f"fatal: The path '{serverdir}' already contains devpi-server data.\n"
    assert contents(serverdir) == before


def test_the_database_with_its_password_hashes_is_for_its_owner_alone(tmp_path: Path) -> None:
    serverdir = tmp_path / "server"
    run("devpi-init", "--serverdir", str(serverdir))

    with a_server(serverdir) as server:
        assert server.send_json("PUT", "/team", {"password": "a good password"})[0] == 201
        modes = {path.name: oct(path.stat().st_mode & 0o777) for path in serverdir.glob("stilton.sqlite*")}

    assert modes == dict.fromkeys(("stilton.sqlite", "stilton.sqlite-wal", "stilton.sqlite-shm"), "0o600")


def test_no_root_pypi_makes_a_server_without_indexes(tmp_path: Path) -> None:
    serverdir = tmp_path / "server"

    done = run("devpi-init", "--serverdir", str(serverdir), "--no-root-pypi")
    with a_server(serverdir) as server:
        root = server.get("/", Accept="application/json")
        page = server.get("/root/pypi/+simple/pkg/")

    assert done.returncode == 0
    assert "root/pypi" not in done.stdout
    assert json.loads(root[2])["result"]["root"]["indexes"] == {}
    assert page[0] == 404


def test_roots_password_is_stored_as_an_argon2_hash_only(tmp_path: Path) -> None:
    serverdir = tmp_path / "server"

    done = run("devpi-init", "--serverdir", str(serverdir), "--root-passwd", "correct-horse")

    assert done.returncode == 0
    assert done.stderr == ""
    assert PasswordHasher().verify(pwhash_of_root(serverdir), "correct-horse")
    assert not any(b"correct-horse" in (content or b"") for content in contents(serverdir).values())


def test_roots_password_is_empty_unless_told(tmp_path: Path) -> None:
    run("devpi-init", "--serverdir", str(tmp_path / "server"))

    pwhash = pwhash_of_root(tmp_path / "server")

    assert PasswordHasher().verify(pwhash, "")
    with pytest.raises(VerifyMismatchError):
        PasswordHasher().verify(pwhash, "root")


def test_roots_password_hash_can_be_given(tmp_path: Path) -> None:
    pwhash = PasswordHasher(time_cost=1, memory_cost=64).hash("x")

    done = run("devpi-init", "--serverdir", str(tmp_path / "server"), "--root-passwd-hash", pwhash)

    assert done.returncode == 0
    assert done.stderr == ""
    assert pwhash_of_root(tmp_path / "server") == pwhash


@pytest.mark.parametrize("url", ["ftp://user:secret@mirror.example/simple/", "mirror.example/simple/", "http://", ""])
def test_a_bad_mirror_url_is_refused_and_no_folder_is_made(tmp_path: Path, url: str) -> None:
    done = run("devpi-init", "--serverdir", str(tmp_path / "server"), "--mirror-url", url)

    assert done.returncode == 1
    assert done.stderr.startswith("fatal: mirror_url of root/pypi is ")
    assert done.stderr.endswith("http:// or https://\n")
    assert "secret" not in done.stderr
    assert contents(tmp_path) == {}


def test_another_storage_is_refused_and_no_folder_is_made(tmp_path: Path) -> None:
    done = run("devpi-init", "--serverdir", str(tmp_path / "server"), "--storage", "pg8000:host=example")

    assert done.returncode == 1
    assert done.stderr == "fatal: --storage is 'pg8000:host=example': it takes sqlite, this version knows no other.\n"
    assert contents(tmp_path) == {}


def test_an_init_that_was_interrupted_is_made_anew(tmp_path: Path) -> None:
    serverdir = tmp_path / "server"
    run("devpi-init", "--serverdir", str(serverdir), "--mirror-url", MIRROR_URL, "--root-passwd", "first")
    (serverdir / ".serverversion").unlink()
    (serverdir / ".nodeinfo").unlink()

    done = run("devpi-init", "--serverdir", str(serverdir), "--mirror-url", MIRROR_URL, "--root-passwd", "second")

    assert done.returncode == 0
    assert PasswordHasher().verify(pwhash_of_root(serverdir), "second")
    with a_server(serverdir) as server:
        assert server.get("/+health")[0] == 200


def test_a_database_that_was_only_begun_is_made_anew(tmp_path: Path) -> None:
    serverdir = tmp_path / "server"
    serverdir.mkdir()
    (serverdir / "stilton.sqlite").write_bytes(b"SQLite format 3\0 and then the power went")

    done = run("devpi-init", "--serverdir", str(serverdir), "--mirror-url", MIRROR_URL)

    assert done.returncode == 0
    assert query(serverdir, "PRAGMA integrity_check") == "ok"


@pytest.mark.parametrize("command", [("devpi-init",), ("devpi-server",), ("devpi-server", "--init")])
def test_the_folder_of_another_devpi_is_refused_in_words_and_left_alone(
    tmp_path: Path, command: tuple[str, ...]
) -> None:
    serverdir = tmp_path / "server"
    serverdir.mkdir()
    (serverdir / ".serverversion").write_text("4")
    (serverdir / ".nodeinfo").write_text('{"uuid": "abc", "role": "standalone"}')
    (serverdir / ".sqlite").write_bytes(b"SQLite format 3\0")
    before = contents(serverdir)

    done = run(command[0], "--serverdir", str(serverdir), *command[1:])

    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith(f"fatal: The folder {serverdir} holds data of devpi-server (format 4).")
    assert "devpi-export" in done.stderr
    assert contents(serverdir) == before


def test_the_folder_of_a_newer_program_is_refused_and_left_alone(tmp_path: Path) -> None:
    serverdir = tmp_path / "server"
    run("devpi-init", "--serverdir", str(serverdir), "--mirror-url", MIRROR_URL)
    (serverdir / ".serverversion").write_text("stilton-2\n")
    before = contents(serverdir)

    init = run("devpi-init", "--serverdir", str(serverdir))
    serve = run("devpi-server", "--serverdir", str(serverdir))

    assert (init.returncode, serve.returncode) == (1, 1)
    assert "has format stilton-2, this program reads stilton-1" in init.stderr
    assert "has format stilton-2, this program reads stilton-1" in serve.stderr
    assert contents(serverdir) == before


def test_the_folder_of_a_running_server_is_refused_and_left_alone(tmp_path: Path) -> None:
    serverdir = tmp_path / "server"
    run("devpi-init", "--serverdir", str(serverdir), "--mirror-url", MIRROR_URL)

    with a_server(serverdir) as server:
        # Even one whose version file somebody lost.
        (serverdir / ".serverversion").unlink()
        database = (serverdir / "stilton.sqlite").stat().st_ino
        done = run("devpi-init", "--serverdir", str(serverdir))

        assert done.returncode == 1
        assert done.stderr.startswith(f"fatal: The folder {serverdir} is in use by process {server.process.pid}.")
        assert (serverdir / "stilton.sqlite").stat().st_ino == database
        assert not (serverdir / ".serverversion").exists()
        assert server.get("/+health")[0] == 200


def test_a_file_where_the_folder_should_be_is_refused_in_words(tmp_path: Path) -> None:
    (tmp_path / "server").write_text("not a folder")

    done = run("devpi-init", "--serverdir", str(tmp_path / "server"))

    assert done.returncode == 1
    assert done.stderr.startswith(f"fatal: The folder {tmp_path / 'server'} cannot be written: ")
    assert contents(tmp_path) == {"server": b"not a folder"}
