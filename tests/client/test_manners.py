"""How the command behaves whatever it does: help, errors, exit codes, colours, pipes, JSON, a terminal."""

import json
import os
import pty
import re
import select
import subprocess
import sys
import time
from pathlib import Path

import pytest

import stilton
import stilton_client
from stilton_client.main import COMMANDS
from tests.support import privilege
from tests.support.devpi import OURS, Client
from tests.support.publish import PASSWORD
from tests.support.server import clean_env

HEAVY = ("aiohttp", "rich", "build", "packaging", "granian", "sqlalchemy")
BEHIND_A_BAR = 20.0


def ours(*arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [OURS, *arguments], capture_output=True, text=True, timeout=30, check=False, env=clean_env(**env)
    )


def on_a_terminal(devpi: Client, *arguments: str, **env: str) -> tuple[int, str]:
    """Run it with a terminal for its output: status and all that was drawn."""
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [OURS, *arguments], stdin=slave, stdout=slave, stderr=slave, cwd=devpi.folder,
        env={**devpi.env, "TERM": "xterm", "COLUMNS": "120", **env},
    )  # fmt: skip
    os.close(slave)
    drawn = bytearray()
    end = time.monotonic() + BEHIND_A_BAR
    while time.monotonic() < end and select.select([master], [], [], BEHIND_A_BAR)[0]:
        try:
            drawn += os.read(master, 65536)
        except OSError:  # the other side is closed
            break
    os.close(master)
    return process.wait(BEHIND_A_BAR), drawn.decode()


def test_the_version_is_this_project_s() -> None:
    assert stilton_client.__version__ == stilton.__version__
    assert ours("--version", HOME="/nonexistent").stdout == f"devpi-client {stilton.__version__} (stilton)\n"


def test_a_user_without_a_home_is_told_what_to_do(tmp_path: Path) -> None:
    command = privilege.homeless(tmp_path / "homeless", OURS)

    done = subprocess.run([command, "use"], capture_output=True, text=True, timeout=30, check=False, env=clean_env())

    assert done.returncode == 1
    assert done.stderr == "this user has no home folder\nName one: HOME=/some/folder devpi …\n"


def test_the_versions_of_the_server_in_use_are_shown(devpi: Client) -> None:
    devpi.follow("""
        $ devpi --version
        devpi-client 7.… (stilton)
        current devpi server: SERVER/
        devpi-server 7.…
    """)


@pytest.mark.parametrize("arguments", [["--version"], ["--help"]], ids=" ".join)
def test_a_quick_question_loads_nothing_heavy(arguments: list[str]) -> None:
    code = "import sys; from stilton_client.main import main\ntry: main(sys.argv[1:])\nexcept SystemExit: pass\nprint(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True, timeout=30,
        env=clean_env(HOME="/nonexistent"),
    )  # fmt: skip

    assert not set(HEAVY) & {name.partition(".")[0] for name in done.stdout.splitlines()[-1].split()}


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_an_example(command: str) -> None:
    done = ours(command, "--help")

    assert done.returncode == 0
    assert f"Usage: devpi {command} " in done.stdout
    assert "Examples:\n  " in done.stdout
    for option in ("--debug", "--yes", "--verbose", "--clientdir"):
        assert option in done.stdout


def test_the_help_lists_every_command_in_order() -> None:
    text = ours("--help").stdout
    listed = re.findall(r"^  (\w+)  +\S", text[text.index("Commands:") :], re.MULTILINE)

    assert listed == list(COMMANDS)
    assert ours().stdout == text


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["lsit"], "Did you mean"),
        (["list", "--toxresult"], "toxresults"),
        (["user", "-c"], "need to specify a username"),
        (["user", "-c", "--delete", "x"], "at a time"),
        (["index", "--delete"], "need to explicitly specify index"),
        (["index", "a/b", "c=d", "e"], "arguments must be format NAME=VALUE"),
        (["push", "pkg>=1", "a/b"], "name==version"),
        (["use", "--venv"], "requires an argument"),
    ],
    ids=lambda part: " ".join(part) if isinstance(part, list) else None,
)
def test_wrong_usage_ends_with_2_and_a_hint(arguments: list[str], said: str) -> None:
    done = ours(*arguments, HOME="/nonexistent")

    assert done.returncode == 2
    assert said in done.stderr
    assert done.stdout == ""


def test_an_error_is_two_lines_on_standard_error_and_a_traceback_only_for_who_asks(devpi: Client) -> None:
    use = ["use", "http://127.0.0.1:1/a/b"]
    plain = subprocess.run([OURS, *use], capture_output=True, text=True, check=False, env=devpi.env, timeout=30)
    asked = subprocess.run(
        [OURS, "--debug", *use], capture_output=True, text=True, check=False, env=devpi.env, timeout=30
    )

    assert (plain.returncode, plain.stdout) == (1, "")
    assert plain.stderr.splitlines()[0] == "could not connect to 'http://127.0.0.1:1/a/b/+api': Connection refused"
    assert len(plain.stderr.splitlines()) == 2
    assert "Traceback" in asked.stderr
    assert "Traceback" not in plain.stderr


def test_a_pipe_that_ends_is_no_error(devpi: Client) -> None:
    done = subprocess.run(
        f"{OURS} getjson / | true", shell=True, capture_output=True, text=True, check=False, env=devpi.env, timeout=30
    )

    assert done.stderr == ""


def test_options_may_stand_before_and_behind_the_command(devpi: Client) -> None:
    for command in ("devpi --clientdir other use", "devpi use --clientdir other"):
        assert devpi.lines(command)[0].startswith("no server")
    for command in ("devpi -v list", "devpi list -v"):
        assert devpi.run(command)[0] == 0


@pytest.mark.parametrize(
    ("env", "coloured"),
    [({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False), ({"PY_COLORS": "0"}, False)],
    ids=str,
)
def test_colours_are_for_terminals_that_want_them(devpi: Client, env: dict[str, str], *, coloured: bool) -> None:
    status, drawn = on_a_terminal(devpi, "use", **env)

    assert status == 0
    assert ("\x1b[1m" in drawn) == coloured
    assert "current devpi index" in drawn


def test_a_pipe_gets_plain_text_unless_colours_are_asked_for(devpi: Client) -> None:
    assert "\x1b" not in "".join(devpi.lines("devpi use"))
    assert "\x1b" in "".join(devpi.lines("devpi use", PY_COLORS="1"))


@pytest.mark.parametrize(
    "command",
    ["use", "use -l", "user -l", "user", "index", "index -l", "list", "list dep", "login ME --password SECRET"],
)
def test_json_is_all_that_is_printed_when_it_is_asked_for(devpi: Client, command: str) -> None:
    words = [PASSWORD if word == "SECRET" else word.replace("ME", devpi.me) for word in command.split()]
    done = subprocess.run(
        [OURS, *words, "--json"], capture_output=True, text=True, check=True, env=devpi.env, timeout=30
    )

    assert json.loads(done.stdout) is not None


def test_a_question_is_asked_and_only_yes_is_yes(devpi: Client) -> None:
    devpi.follow("$ devpi index -c scratch\nSERVER/ME/scratch?no_projects=:")

    no = devpi.run("devpi index --delete scratch", typed="what\nno\n")
    nobody = devpi.run("devpi index --delete scratch", typed="")
    still = devpi.run("devpi index scratch --no-projects")
    yes = devpi.run("devpi index --delete scratch", typed="yes\n")

    assert no[0] == 1
    assert "not a valid choice 'what'" in no[1]
    assert "not deleting anything" in no[1]
    assert nobody[0] == 1
    assert "Run it with -y to say yes to every question." in nobody[1]
    assert still[0] == 0
    assert yes[0] == 0
    assert devpi.run("devpi index scratch")[0] == 1


def test_an_interrupted_command_says_so_and_ends_with_130(devpi: Client) -> None:
    process = subprocess.Popen(
        [OURS, "index", "--delete", "dev"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env=devpi.env, cwd=devpi.folder, start_new_session=True,
    )  # fmt: skip
    assert process.stderr is not None
    while b"Are you sure" not in process.stderr.readline():
        assert process.poll() is None
    process.send_signal(2)
    _, rest = process.communicate(timeout=30)

    assert process.returncode == 130
    assert b"Traceback" not in rest
    assert devpi.run("devpi index dev")[0] == 0


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shells_are_told_how_to_complete(shell: str) -> None:
    done = ours("completion", shell)

    assert done.returncode == 0
    assert "_DEVPI_COMPLETE" in done.stdout
    if shell == "bash":
        subprocess.run(["bash", "-n"], input=done.stdout, text=True, check=True, timeout=30)


@pytest.mark.parametrize(
    ("words", "offered"),
    [("devpi ref", "refresh"), ("devpi list --ign", "--ignore-bases"), ("devpi use -t a", "auto")],
)
def test_words_are_completed(words: str, offered: str) -> None:
    done = ours(_DEVPI_COMPLETE="bash_complete", COMP_WORDS=words, COMP_CWORD=str(len(words.split()) - 1))

    assert offered in done.stdout


def test_a_bar_is_drawn_on_a_terminal_and_nowhere_else(tmp_path: Path) -> None:
    code = (
        "import os, sys; from stilton_client.terminal import Terminal\n"
        "with Terminal(os.environ).progress('sending [x]', None, in_bytes=True) as bar:\n"
        "    bar.expect(4_000_000); bar.advance(1_000_000); bar.advance(3_000_000)\n"
    )
    (tmp_path / "bar.py").write_text(code)
    piped = subprocess.run(
        [sys.executable, tmp_path / "bar.py"], capture_output=True, text=True, check=True, timeout=30
    )
    master, slave = pty.openpty()
    process = subprocess.Popen([sys.executable, tmp_path / "bar.py"], stderr=slave, env={**os.environ, "TERM": "xterm"})
    os.close(slave)
    drawn = bytearray()
    while select.select([master], [], [], BEHIND_A_BAR)[0]:
        try:
            drawn += os.read(master, 65536)
        except OSError:
            break
    os.close(master)

    assert process.wait(BEHIND_A_BAR) == 0
    assert piped.stdout + piped.stderr == ""
    assert b"sending [x]" in drawn
    assert b"4.0/4.0 MB" in drawn
