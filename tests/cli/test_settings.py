"""Settings at the start of the commands: nothing is made before everything is checked, and nothing odd stays unsaid."""

import json
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from argon2 import PasswordHasher

from tests.cli.test_init import contents, pwhash_of_root
from tests.support import privilege
from tests.support.server import BIN, a_server, run
from tests.support.world import make_serverdir

NOWHERE = "http://127.0.0.1:9/simple/"
COMMANDS = [
    ("devpi-server", "--print-config"),
    ("devpi-server",),
    ("devpi-init",),
    ("devpi-passwd", "nobody"),
    ("devpi-import", "DIR/none"),
    ("devpi-export", "DIR/none"),
    ("devpi-fsck",),
    ("devpi-backup", "DIR/none"),
    ("devpi-restore", "DIR/none"),
    ("devpi-gen-config",),
]


@pytest.fixture
def taken() -> Iterator[int]:
    """A port that another has."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        yield other.getsockname()[1]


# -- before anything is made ----------------------------------------------------------------------


BAD = {
    "logger-cfg": ("logging.json", "which cannot be read: No such file or directory"),
    "secretfile": ("secret", "cannot be read: No such file or directory"),
    "unix-socket": ("no/folder/s.sock", "it cannot be made (No such file or directory)"),
    "outside-url": ("u.example", "it takes a URL"),
    "host": ("no such host", "no address has that name"),
}
TOO_LONG = ("s" * 120, "it cannot be made (AF_UNIX path too long)")


@pytest.mark.parametrize("source", ["flag", "variable", "file"])
@pytest.mark.parametrize(
    ("name", "value", "words"),
    [*((name, *bad) for name, bad in BAD.items()), ("unix-socket", *TOO_LONG), ("host", "ä" * 70, "no address")],
    ids=[*BAD, "unix-socket too long", "host too long"],
)
def test_a_first_start_with_a_bad_setting_names_it_and_makes_nothing(
    tmp_path: Path, source: str, name: str, value: str, words: str
) -> None:
    file, serverdir = tmp_path / "server.yml", tmp_path / "server"
    value = str(tmp_path / value) if name in ("logger-cfg", "secretfile", "unix-socket") else value
    text = json.dumps({"devpi-server": {name: value} if source == "file" else {}}, ensure_ascii=False)
    file.write_text(text, encoding="utf-8")
    variable = f"DEVPISERVER_{name.upper().replace('-', '_')}"
    flags = [f"--{name}", value] if source == "flag" else []

    done = run(
        "devpi-server", "--init", "--serverdir", str(serverdir), "--mirror-url", NOWHERE, "-c", str(file), *flags,
        env={variable: value} if source == "variable" else {},
    )  # fmt: skip

    where = {"flag": f"--{name}", "variable": variable, "file": f"{name} in {file}"}[source]
    assert done.returncode == 1
    assert done.stderr.startswith(f"fatal: {where}")
    assert words in done.stderr
    assert done.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == [file]


def test_a_first_start_on_a_port_that_is_taken_makes_nothing(tmp_path: Path, taken: int) -> None:
    done = run(
        "devpi-server", "--init", "--serverdir", str(tmp_path / "server"), "--listen", f"127.0.0.1:{taken}",
        "--unix-socket", str(tmp_path / "s.sock"),
    )  # fmt: skip

    assert done.returncode == 1
    assert done.stderr.startswith(f"fatal: Port {taken} on 127.0.0.1 cannot be used (Address already in use).")
    assert list(tmp_path.iterdir()) == []


def test_a_socket_that_was_made_goes_when_the_start_is_refused_after_it(tmp_path: Path) -> None:
    done = run(
        "devpi-server", "--serverdir", str(tmp_path / "server"), "--unix-socket", str(tmp_path / "s.sock")
    )  # fmt: skip

    assert done.returncode == 1
    assert "contains no devpi-server data" in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("bad", ["missing", "folder", "empty"])
def test_a_first_start_with_a_certificate_that_cannot_be_used_makes_nothing(tmp_path: Path, bad: str) -> None:
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    key.touch()
    if bad == "folder":
        cert.mkdir()
    elif bad == "empty":
        cert.touch()
    file = tmp_path / "server.yml"
    file.write_text(f"devpi-server:\n  tls-cert: {cert.name}\n")
    before = contents(tmp_path)

    done = run(
        "devpi-server", "--init", "--serverdir", str(tmp_path / "server"), "-c", str(file),
        env={"DEVPISERVER_TLS_KEY": str(key)},
    )  # fmt: skip

    assert done.returncode == 1
    assert done.stderr.startswith(f"fatal: tls-cert in {file} is {cert}")
    assert ("DEVPISERVER_TLS_KEY" in done.stderr) == (bad == "empty")
    assert contents(tmp_path) == before


@pytest.mark.parametrize("fds", ["many", "-1x", "3"])
def test_sockets_that_systemd_did_not_give_are_refused_in_words(tmp_path: Path, fds: str) -> None:
    script = tmp_path / "start"
    script.write_text('#!/bin/sh\nLISTEN_PID=$$ exec "$@"\n')
    script.chmod(0o755)
    server = BIN / "devpi-server"

    done = run(script, str(server), "--init", "--serverdir", str(tmp_path / "server"), env={"LISTEN_FDS": fds})

    assert done.returncode == 1
    assert done.stderr == f"fatal: LISTEN_FDS is {fds!r}, but there are not so many sockets of systemd.\n"
    assert not (tmp_path / "server").exists()


# -- what is odd ----------------------------------------------------------------------------------


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_variable_that_nobody_knows_is_told_by_every_command(tmp_path: Path, command: tuple[str, ...]) -> None:
    words = [word.replace("DIR", str(tmp_path)) for word in command[1:]]

    done = run(
        command[0], *words, "--serverdir", str(tmp_path / "server"),
        env={"DEVPISERVER_OUTSIDE_URI": "hunter2", "HOME": str(tmp_path)},
        cwd=tmp_path,
    )  # fmt: skip

    assert (
        "notice: The variable DEVPISERVER_OUTSIDE_URI is not known. Did you mean DEVPISERVER_OUTSIDE_URL?\n"
        in done.stderr
    )
    assert "hunter2" not in done.stderr + done.stdout


def test_a_misspelled_flag_is_answered_with_the_right_one() -> None:
    done = run("devpi-server", "--outside-uri", "x")

    assert done.returncode == 2
    assert "--outside-url" in done.stderr


def test_the_configuration_is_printed_with_paths_in_full(tmp_path: Path) -> None:
    folder = tmp_path / "etc"
    folder.mkdir()
    (folder / "server.yml").write_text("devpi-server:\n  serverdir: data\n  secretfile: ~/secret\n")

    done = run(
        "devpi-server", "--print-config", "-c", "etc/server.yml", "--logger-cfg", "log.json",
        env={"HOME": str(tmp_path / "home")}, cwd=tmp_path,
    )  # fmt: skip

    lines = [" ".join(line.split()) for line in done.stdout.splitlines()]
    assert f"serverdir {folder}/data (serverdir in {folder}/server.yml)" in lines
    assert f"secretfile {tmp_path}/home/secret (secretfile in {folder}/server.yml)" in lines
    assert f"logger-cfg {tmp_path}/log.json (--logger-cfg)" in lines


def test_the_configuration_file_may_be_named_in_a_variable(tmp_path: Path) -> None:
    (tmp_path / "my.yml").write_text("devpi-server:\n  serverdir: data\n")
    make_serverdir(tmp_path / "data", NOWHERE)

    done = run("devpi-fsck", env={"DEVPISERVER_CONFIGFILE": str(tmp_path / "my.yml")})

    assert (done.returncode, done.stderr) == (0, "")


# -- the first data -------------------------------------------------------------------------------


def test_the_first_data_may_be_described_in_variables(tmp_path: Path) -> None:
    serverdir = tmp_path / "server"
    variables = {"DEVPISERVER_ROOT_PASSWD": "of a variable", "DEVPISERVER_NO_ROOT_PYPI": "yes"}

    with a_server(serverdir, "--init", env=variables) as server:
        log = server.log()

    assert PasswordHasher().verify(pwhash_of_root(serverdir), "of a variable")
    assert "root/pypi" not in log
    assert "of a variable" not in log
    assert "is not known" not in log


@pytest.mark.parametrize("command", [("devpi-init",), ("devpi-server", "--init")])
def test_an_empty_hash_does_not_become_an_empty_password(tmp_path: Path, command: tuple[str, ...]) -> None:
    done = run(*command, "--serverdir", str(tmp_path / "server"), "--root-passwd-hash", "", cwd=tmp_path)

    assert done.returncode == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "command", [("devpi-init",), ("devpi-server", "--init"), ("devpi-fsck",), ("devpi-backup", "x")]
)
def test_a_name_that_no_folder_can_have_is_refused_in_words(tmp_path: Path, command: tuple[str, ...]) -> None:
    done = run(*command, "--serverdir", str(tmp_path / ("s" * 300)), cwd=tmp_path)

    assert done.returncode == 1
    assert done.stderr.startswith(f"fatal: The folder {tmp_path}/sss")
    assert done.stderr.endswith("cannot be read: File name too long.\n")
    assert list(tmp_path.iterdir()) == []


def test_a_secret_without_a_name_is_not_written(tmp_path: Path) -> None:
    done = run("devpi-gen-secret", "--secretfile", "", cwd=tmp_path)

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("fatal: --secretfile is empty: it takes a path.")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("host", "words"),
    [
        ("0.0.0.0:80", "Host and port together are for --listen."),
        ("[::1", "no address has that name"),
        ("203.0.113.9", "This machine has no such address"),
    ],
)
def test_a_host_that_is_none_of_ours_is_refused_with_what_to_do(tmp_path: Path, host: str, words: str) -> None:
    done = run("devpi-server", "--serverdir", str(tmp_path / "server"), "--init", "--host", host)

    assert done.returncode == 1
    assert words in done.stderr
    assert list(tmp_path.iterdir()) == []


# -- a user whom the system does not know, as containers have --------------------------------------


@pytest.fixture
def homeless(tmp_path: Path) -> Callable[[str], Path]:
    """Makes commands of ours that run as a user without name or home."""
    return lambda command: privilege.homeless(tmp_path / f"homeless-{command}", BIN / command)


def test_a_user_without_a_home_makes_and_serves_data(tmp_path: Path, homeless: Callable[[str], Path]) -> None:
    serverdir = tmp_path / "server"

    done = run(homeless("devpi-init"), "--serverdir", str(serverdir), "--mirror-url", NOWHERE)
    with a_server(serverdir, command=homeless("devpi-server")) as server:
        status = server.get("/+status")[0]

    assert (done.returncode, status) == (0, 200), done.stderr
    assert serverdir.stat().st_uid == 54321
    assert "Traceback" not in server.log()
    assert ".netrc" not in server.log()


def test_a_user_without_a_home_gets_files_for_services(tmp_path: Path, homeless: Callable[[str], Path]) -> None:
    done = run(homeless("devpi-gen-config"), "--serverdir", str(tmp_path / "server"), cwd=tmp_path)

    assert done.returncode == 0, done.stderr
    assert "User=54321\n" in (tmp_path / "gen-config" / "devpi.service").read_text()
    assert b"/Library/Logs/devpi-server.log" in (tmp_path / "gen-config" / "net.devpi.plist").read_bytes()


def test_a_home_that_nobody_knows_is_named_when_it_is_needed(homeless: Callable[[str], Path]) -> None:
    done = run(homeless("devpi-server"))

    assert done.returncode == 1
    assert done.stderr == (
        "fatal: The default of --serverdir is '~/.devpi/server': it takes a path. "
        "That home folder is not known here: use a full path.\n"
    )
