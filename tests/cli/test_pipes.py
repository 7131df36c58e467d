"""Commands whose output is read to its first line, as by `head`."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.support.server import BIN, clean_env
from tests.upkeep.test_backup import a_small_server, back_up


def unread(cwd: Path, command: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run a command whose stdout nobody reads any more."""
    reader, writer = os.pipe()
    os.close(reader)
    try:
        return subprocess.run(
            [BIN / command, *arguments], stdout=writer, stderr=subprocess.PIPE, text=True, timeout=60, check=False,
            cwd=cwd, env=clean_env(HOME=str(cwd)),
        )  # fmt: skip
    finally:
        os.close(writer)


@pytest.mark.parametrize(
    "command",
    [
        ["devpi-gen-config", "-c", "devpi.yml"],
        ["devpi-fsck", "--serverdir", "server"],
        ["devpi-backup", "--serverdir", "server", "another"],
        ["devpi-backup", "--verify", "backups"],
        ["devpi-restore", "backups", "--serverdir", "new"],
        ["devpi-export", "--serverdir", "server", "export"],
        ["devpi-init", "--serverdir", "new"],
        ["devpi-gen-secret", "--secretfile", "secret"],
        ["devpi-server", "--print-config"],
    ],
    ids=lambda command: " ".join(command[:2]),
)
def test_a_reader_that_has_read_enough_is_no_error_to_talk_about(tmp_path: Path, command: list[str]) -> None:
    back_up(a_small_server(tmp_path / "server", 1), tmp_path / "backups")
    (tmp_path / "devpi.yml").write_text("devpi-server:\n  serverdir: server\n")

    done = unread(tmp_path, *command)

    notices = [line for line in done.stderr.splitlines() if "runs as root" not in line]
    assert (done.returncode, notices) == (141, [])


def test_all_files_are_written_for_a_reader_of_one_line(tmp_path: Path) -> None:
    unread(tmp_path, "devpi-gen-config")

    assert len(list((tmp_path / "gen-config").iterdir())) == 10
