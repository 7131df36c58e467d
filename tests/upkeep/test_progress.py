"""What long work says while it runs: a bar on a terminal, lines in a log, and never one in the other."""

import os
import pty
import subprocess
from pathlib import Path

import pytest

from stilton.cli.progress import Teller
from tests.support.server import BIN, clean_env
from tests.upkeep.dumps import do_import, with_wheel


def test_a_terminal_shows_a_bar_with_how_many_there_are(tmp_path: Path) -> None:
    dump = with_wheel().write(tmp_path / "dump")
    ours, theirs = pty.openpty()
    env = clean_env(TERM="xterm", COLUMNS="100")

    done = subprocess.Popen(
        [BIN / "devpi-import", "--serverdir", tmp_path / "server", dump], stdout=theirs, stderr=theirs, env=env
    )
    os.close(theirs)
    shown = b""
    try:
        while piece := os.read(ours, 1 << 16):
            shown += piece
    except OSError:
        pass  # the other end is closed
    os.close(ours)

    assert done.wait(30) == 0
    assert b"importing files" in shown
    assert b"1/1" in shown


def test_a_log_gets_a_line_now_and_then(capsys: pytest.CaptureFixture[str]) -> None:
    teller = Teller(line_every_s=0)

    teller.begin("importing files", 3)
    teller.step(2)
    teller.line("for scripts")
    teller.notice("for people")
    teller.step()
    teller.end()

    said = capsys.readouterr()
    assert said.out == "for scripts\n"
    assert said.err == "importing files: 2 of 3\nnotice: for people\nimporting files: 3 of 3\n"


def test_a_log_of_short_work_has_no_such_lines(tmp_path: Path) -> None:
    done = do_import(tmp_path / "server", with_wheel().write(tmp_path / "dump"))

    assert done.err == ""
