"""What `devpi-server` says of its configuration, and spellings of old that scripts still carry."""

import subprocess
from pathlib import Path

import pytest

from tests.support.server import BIN, clean_env, run
from tests.support.world import make_serverdir

NOWHERE = "http://127.0.0.1:1/"


def test_the_configuration_is_printed_as_it_counts(tmp_path: Path) -> None:
    file = tmp_path / "server.yml"
    file.write_text("devpi-server:\n  port: 4040\n  threads: 50\n")

    done = run("devpi-server", "-c", str(file), "--print-config", "--debug", env={"DEVPISERVER_HOST": "example"})

    lines = [" ".join(line.split()) for line in done.stdout.splitlines()]
    assert done.returncode == 0
    assert f"port 4040 (port in {file})" in lines
    assert "host example (DEVPISERVER_HOST)" in lines
    assert "debug yes (--debug)" in lines
    assert "workers 1 (default)" in lines
    assert done.stderr == (
        f"notice: threads in {file} has no effect: requests do not wait for threads; --workers makes more processes.\n"
    )
    assert list(tmp_path.iterdir()) == [file]


def test_a_wrong_configuration_is_not_printed() -> None:
    done = run("devpi-server", "--print-config", "--port", "0")

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "fatal: --port is '0': it takes a whole number from 1 to 65535.\n"


def test_passwd_of_old_changes_the_password_and_names_the_command_of_today(tmp_path: Path) -> None:
    make_serverdir(tmp_path / "server", NOWHERE)
    done = subprocess.run(
        [BIN / "devpi-server", "--serverdir", tmp_path / "server", "--passwd", "root"],
        input="a new one\na new one\n", capture_output=True, text=True, check=False, timeout=60, env=clean_env(),
    )  # fmt: skip

    assert done.returncode == 0
    assert "notice: devpi-server --passwd is devpi-passwd now" in done.stderr
    assert "password of user 'root' changed" in done.stdout


@pytest.mark.parametrize(
    ("flag", "said"),
    [
        ("--start", "devpi-gen-config"),
        ("--stop", "SIGTERM"),
        ("--status", "/+status"),
        ("--log", "standard output"),
        ("--import=dump", "devpi-import dump"),
        ("--export=dump", "devpi-export dump"),
        ("--import=my dump", "devpi-import 'my dump'"),
        ("--master-url=http://x", "it is called --primary-url now"),
        ("--requests-only", "--workers N"),
    ],
)
def test_what_is_gone_says_what_to_do_in_its_place(tmp_path: Path, flag: str, said: str) -> None:
    make_serverdir(tmp_path / "server", NOWHERE)

    done = run("devpi-server", "--serverdir", str(tmp_path / "server"), flag)

    assert done.returncode == 1
    assert done.stderr.startswith("fatal: ")
    assert said in done.stderr
