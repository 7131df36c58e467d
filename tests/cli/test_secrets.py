"""Passwords and the secret that signs logins, from the command line."""

import os
import shutil
import stat
import subprocess
from pathlib import Path

import pytest

from stilton.accounts import secret
from stilton.domain.errors import SetupError
from tests.support.publish import PASSWORD, basic
from tests.support.server import BIN, PLAIN, Server, a_server, clean_env, run
from tests.support.world import make_serverdir


@pytest.fixture
def serverdir(tmp_path: Path) -> Path:
    make_serverdir(tmp_path / "server", "http://127.0.0.1:9/simple/")
    return tmp_path / "server"


@pytest.fixture
def secretfile(tmp_path: Path) -> Path:
    folder = tmp_path / "private"
    folder.mkdir(mode=0o700)
    done = run("devpi-gen-secret", "--secretfile", str(folder / "secret"))
    assert done.returncode == 0, done.stderr
    return folder / "secret"


def logged_in(server: Server, token: str) -> str | None:
    status, answer = server.send_json("GET", "/+api", None, authorization=f"Bearer {token}")
    assert status == 200
    user: str = answer["result"]["authstatus"][1]
    return user or None


def log_in(server: Server, user: str, password: str) -> tuple[int, str]:
    status, answer = server.send_json("POST", "/+login", {"user": user, "password": password})
    return status, answer.get("result", {}).get("password", "")


def passwd(serverdir: Path, *arguments: str, typed: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [BIN / "devpi-passwd", "--serverdir", str(serverdir), *arguments],
        input=typed, capture_output=True, text=True, timeout=60, check=False, env=clean_env(),
    )  # fmt: skip


def test_a_secret_is_written_for_its_owner_only(secretfile: Path) -> None:
    assert stat.S_IMODE(secretfile.stat().st_mode) == 0o600
    assert len(secretfile.read_bytes()) >= 32


def test_it_says_what_it_did_and_never_writes_over_a_secret(tmp_path: Path) -> None:
    path = tmp_path / "secret"

    first = run("devpi-gen-secret", "--secretfile", str(path))
    content = path.read_bytes()
    second = run("devpi-gen-secret", "--secretfile", str(path))

    assert first.stdout.splitlines() == [
        f"New secret written to {str(path)!r}",
        f"Changed file mode to 0600 of {str(path)!r}",
        "Permissions of secret file look good.",
    ]
    assert second.returncode == 1
    assert "exists already" in second.stderr
    assert path.read_bytes() == content


def test_a_login_outlives_the_server_with_a_secret_file_and_not_without(serverdir: Path, secretfile: Path) -> None:
    with a_server(serverdir, "--secretfile", str(secretfile), "--workers", "2") as server:
        assert server.send_json("PUT", "/team", {"password": PASSWORD})[0] == 201
        status, token = log_in(server, "team", PASSWORD)
        assert status == 200
        # Whichever worker is asked.
        assert {logged_in(server, token) for _ in range(8)} == {"team"}
        assert "No --secretfile" not in server.log()

    with a_server(serverdir, "--secretfile", str(secretfile)) as server:
        assert logged_in(server, token) == "team"

    with a_server(serverdir) as server:
        assert logged_in(server, token) is None
        assert "No --secretfile: logins end when this process ends" in server.log()


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda path: path.chmod(0o640), "chmod 600"),
        (lambda path: path.parent.chmod(0o777), "chmod go-w"),
        (lambda path: path.write_bytes(b"short"), "too weak"),
        (lambda path: path.write_bytes(b"abab" * 50), "too weak"),
        (lambda path: path.unlink(), "cannot be read"),
    ],
    ids=["readable", "folder", "short", "simple", "missing"],
)
def test_a_secret_file_that_is_not_safe_stops_the_start(
    serverdir: Path, secretfile: Path, spoil: object, words: str
) -> None:
    spoil(secretfile)  # type: ignore[operator]  # lambdas in a table

    done = run("devpi-server", "--serverdir", str(serverdir), "--secretfile", str(secretfile))

    assert done.returncode == 1
    assert done.stderr.startswith("fatal: ")
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_the_command_that_a_refusal_names_may_be_copied_as_it_stands(tmp_path: Path) -> None:
    path = tmp_path / "it's mine" / "the secret"
    path.parent.mkdir(mode=0o700)
    path.write_bytes(bytes(range(64)))
    path.chmod(0o644)

    with pytest.raises(SetupError) as refused:
        secret.read(path)
    subprocess.run(str(refused.value).partition("Run: ")[2], shell=True, check=True)

    assert secret.read(path) == bytes(range(64))


@pytest.mark.skipif(os.geteuid() != 0 or shutil.which("setpriv") is None, reason="needs a file of another user's")
def test_a_secret_file_of_another_users_is_not_to_be_made_anew(serverdir: Path, secretfile: Path) -> None:
    os.chown(secretfile, 65534, 65534)
    command = [*PLAIN, str(BIN / "devpi-server"), "--serverdir", str(serverdir), "--secretfile", str(secretfile)]

    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=clean_env())

    assert done.returncode == 1
    assert done.stderr == (
        f"fatal: --secretfile: The secret file {secretfile} cannot be read: Permission denied. "
        "It belongs to the user who runs the server: chown it to that one.\n"
    )


def test_a_lost_password_of_root_is_replaced_while_the_server_is_stopped(serverdir: Path) -> None:
    done = passwd(serverdir, typed="the new one\nthe new one\n")

    assert done.returncode == 0, done.stderr
    assert "password of user 'root' changed" in done.stdout
    with a_server(serverdir) as server:
        assert log_in(server, "root", "the new one")[0] == 200
        assert log_in(server, "root", "")[0] == 401


def test_a_new_password_is_asked_for_twice_and_three_times(serverdir: Path) -> None:
    wrong = passwd(serverdir, typed="a\nb\n" * 3)
    right = passwd(serverdir, "root", typed="a\nb\nc\nc\n")

    assert wrong.returncode == 1
    assert wrong.stderr.count("password don't match") == 3
    assert right.returncode == 0


def test_nobodys_password_is_not_changed(serverdir: Path) -> None:
    done = passwd(serverdir, "nobody", typed="a\na\n")

    assert done.returncode == 1
    assert "There is no user 'nobody' here. Users are: root" in done.stderr


def test_a_running_servers_data_are_left_alone(serverdir: Path) -> None:
    with a_server(serverdir):
        done = passwd(serverdir, typed="a\na\n")

    assert done.returncode == 1
    assert "in use by process" in done.stderr


def test_an_empty_password_of_root_is_complained_about_until_there_is_one(tmp_path: Path) -> None:
    serverdir = tmp_path / "server"
    run("devpi-init", "--serverdir", str(serverdir), "--mirror-url", "http://127.0.0.1:9/simple/")

    with a_server(serverdir, "--host", "0.0.0.0") as server:
        from tests.support.deadline import until

        until(lambda: "User root has an empty password" in server.log(), "the complaint")
        assert "everybody who reaches it is its administrator" in server.log()
        warnings = server.send_json("GET", "/+status", None)[1]["result"]["warnings"]
        assert len(warnings) == 1
        status, _ = server.send_json("PATCH", "/root", {"password": "x"}, authorization=basic("root", ""))
        assert status == 200
        until(
            lambda: server.send_json("GET", "/+status", None)[1]["result"]["warnings"] == [],
            "the complaint ends",
        )


def test_a_root_password_is_set_at_init(tmp_path: Path) -> None:
    serverdir = tmp_path / "server"
    run("devpi-init", "--serverdir", str(serverdir), "--root-passwd", "given", "--no-root-pypi")

    with a_server(serverdir) as server:
        assert log_in(server, "root", "given")[0] == 200
