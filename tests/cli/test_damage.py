"""A database that rots on its disk: a sentence for whoever starts something on it, and no crash while it is served."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from bench.ports import free_port
from stilton.serverdir import ServerDir
from tests.support.damage import overwrite
from tests.support.deadline import until
from tests.support.publish import PASSWORD, basic
from tests.support.server import BIN, PLAIN, a_server, clean_env, run
from tests.support.world import make_serverdir

# A command, and a table that it reads.
COMMANDS = {
    "devpi-server": "indexes",
    "devpi-passwd": "users",
    "devpi-backup OUT": "audit",
    "devpi-export OUT": "users",
    "devpi-fsck": "held",
}


@pytest.fixture
def serverdir(tmp_path: Path) -> Path:
    make_serverdir(tmp_path / "server", "http://127.0.0.1:9/simple/")
    return tmp_path / "server"


def refused(serverdir: Path, command: str) -> str:
    """The sentence with which a command ends."""
    name, *arguments = command.replace("OUT", str(serverdir.parent / "out")).split()
    done = run(name, "--serverdir", str(serverdir), *arguments)
    assert done.returncode == 1
    assert "Traceback" not in done.stdout + done.stderr
    return (done.stderr.splitlines() or done.stdout.splitlines())[-1]


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_that_meets_a_damaged_page_ends_with_a_sentence(serverdir: Path, command: str) -> None:
    overwrite(ServerDir(serverdir).database, COMMANDS[command])

    said = refused(serverdir, command)

    assert re.search(r"(^fatal: | ERROR The worker cannot start: )[Tt]he database.* is damaged \(.+\)", said)
    assert "estore it from a backup" in said


def a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


FILES: dict[str, tuple[Callable[[Path], object], str]] = {
    "cut": (lambda path: os.truncate(path, path.stat().st_size // 2), "is damaged"),
    "short": (lambda path: os.truncate(path, 1000), "is damaged"),
    "empty": (lambda path: os.truncate(path, 0), "is empty"),
    "text": (lambda path: path.write_text("not a database\n" * 1000), "is damaged"),
    "folder": (a_folder, "cannot be opened"),
    "missing": (Path.unlink, "is missing"),
}


@pytest.mark.parametrize("damage", FILES)
@pytest.mark.parametrize("command", ["devpi-server", "devpi-backup OUT"])
def test_a_file_that_is_no_whole_database_is_refused_with_a_sentence(
    serverdir: Path, command: str, damage: str
) -> None:
    make, words = FILES[damage]
    make(ServerDir(serverdir).database)

    said = refused(serverdir, command)

    assert said.startswith(f"fatal: The database {ServerDir(serverdir).database} {words}")


@pytest.mark.parametrize(
    ("name", "bits"),
    [
        (".", 0),
        (".", 0o500),
        (".serverversion", 0),
        (".nodeinfo", 0),
        ("stilton.sqlite", 0),
        ("stilton.sqlite", 0o400),
        ("run", 0o500),
        ("incoming", 0o500),
        ("blobs/sha256", 0o500),
    ],
    ids=[
        "folder",
        "folder read-only",
        "version",
        "nodeinfo",
        "database",
        "database read-only",
        "run read-only",
        "incoming read-only",
        "blobs read-only",
    ],
)
def test_a_folder_of_somebody_elses_is_refused_with_a_sentence(serverdir: Path, name: str, bits: int) -> None:
    if os.geteuid() == 0 and shutil.which("setpriv") is None:
        pytest.skip("root may do everything, and there is no setpriv")
    path = serverdir / name
    (serverdir / "run").mkdir(exist_ok=True)
    (serverdir / "run" / "of-before").touch()
    before = path.stat().st_mode
    path.chmod(bits)
    command = [*(PLAIN if os.geteuid() == 0 else []), str(BIN / "devpi-server"), "--serverdir", str(serverdir)]
    command += ["--port", str(free_port())]

    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=clean_env())
    path.chmod(before)

    assert done.returncode == 1
    assert done.stderr.startswith("fatal: ")
    assert "cannot be " in done.stderr
    assert str(path if path.is_dir() else serverdir) in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_what_root_does_in_a_folder_of_anothers_leaves_it_the_others_and_is_told(serverdir: Path) -> None:
    other = 65534
    shutil.rmtree(serverdir / "run", ignore_errors=True)  # as after devpi-init
    for path in (serverdir, *serverdir.rglob("*")):
        os.chown(path, other, other)
    command = [str(BIN / "devpi-passwd"), "--serverdir", str(serverdir)]

    done = subprocess.run(
        command, input="new\nnew\n", capture_output=True, text=True, timeout=60, check=False, env=clean_env()
    )

    assert done.returncode == 0, done.stderr
    assert {path.stat().st_uid for path in serverdir.rglob("*")} == {other}
    assert f"The folder {serverdir} belongs to" in done.stderr
    assert "sudo -u" in done.stderr


def test_a_page_that_rots_under_a_running_server_is_500_and_the_server_goes_on(serverdir: Path) -> None:
    with a_server(serverdir) as server:
        assert server.send_json("PUT", "/team", {"password": PASSWORD})[0] == 201
        assert server.send_json("PUT", "/team/dev", {}, authorization=basic("team"))[0] == 200
        (worker,) = server.workers()
        overwrite(ServerDir(serverdir).database, "held")

        status, _, body = server.get("/root/pypi/+f/ab/cdef0123456789/pkg-1.0.tar.gz", accept="application/json")
        change = server.send_json("PATCH", "/team/dev", {"title": "new"}, authorization=basic("team"))
        warnings = json.loads(server.get("/+status")[2])["result"]["warnings"]
        until(lambda: "GET /+status 200" in server.log(), "the access log goes on")

        assert status == 500
        assert json.loads(body)["message"] == (
            "the database stilton.sqlite is damaged (database disk image is malformed): restore it from a backup. "
            "Tell whoever runs this server."
        )
        assert change[0] == 200
        assert server.workers() == [worker]
    assert [text for text in warnings if "Storage trouble" in text]
    assert server.log().count("Storage trouble: the database stilton.sqlite is damaged") == 1
    assert "Traceback" not in server.log()
