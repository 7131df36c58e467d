"""A real supervisord with the files as `devpi-gen-config` writes them."""

import contextlib
import json
import os
import signal
import subprocess
import tempfile
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from bench.ports import free_port
from stilton.serverdir import ServerDir
from tests.support.deadline import until
from tests.support.server import BIN, clean_env
from tests.support.world import make_serverdir

CLIENTS = Path(__file__).parents[2] / ".venv-clients" / "bin"
NOWHERE = "http://127.0.0.1:9/simple/"


@dataclass
class Supervised:
    """A supervisord that runs in `place`, and the server under it."""

    place: Path
    port: int
    process: subprocess.Popen[bytes]

    def control(self, *arguments: str) -> str:
        """What supervisorctl says."""
        done = subprocess.run(
            [CLIENTS / "supervisorctl", "-c", "supervisord.conf", *arguments],
            cwd=self.place / "gen-config", capture_output=True, text=True, timeout=60, check=False, env=clean_env(),
        )  # fmt: skip
        return done.stdout

    def server_pid(self) -> int:
        """Process id of the running server; 0 when there is none."""
        said = self.control("pid", "devpi-server").strip()
        return int(said) if said.isdigit() else 0

    def answers(self) -> bool:
        """Whether the server serves."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/+status", timeout=10) as answer:
                document: dict[str, Any] = json.load(answer)
        except OSError:
            return False
        return bool(document["type"] == "status")

    def log(self) -> str:
        """What the server said."""
        return (self.place / "gen-config" / "devpi-server.log").read_text()


@pytest.fixture
def supervised() -> Iterator[Supervised]:
    # Of a socket's path 107 characters count; pytest's own folders are too deep.
    with tempfile.TemporaryDirectory() as folder:
        place, port = Path(folder), free_port()
        make_serverdir(place / "data", NOWHERE)
        written = subprocess.run(
            [BIN / "devpi-gen-config", "--serverdir", "data", "--port", str(port)],
            cwd=place, capture_output=True, text=True, timeout=60, check=False, env=clean_env(HOME=folder),
        )  # fmt: skip
        assert written.returncode == 0, written.stderr
        with (place / "out.log").open("wb") as out:
            process = subprocess.Popen(
                [CLIENTS / "supervisord", "--nodaemon", "-c", "gen-config/supervisord.conf"],
                cwd=place, stdout=out, stderr=subprocess.STDOUT, env=clean_env(HOME=folder),
            )  # fmt: skip
        made = Supervised(place, port, process)
        try:
            until(made.answers, "the first answer under supervisord")
            yield made
        finally:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(30)
            process.kill()


def test_the_server_is_started_restarted_after_a_kill_and_stopped(supervised: Supervised) -> None:
    first = until(supervised.server_pid, "a process id")

    os.kill(first, signal.SIGKILL)
    second = until(lambda: {supervised.server_pid()} - {0, first}, "another process")
    until(supervised.answers, "an answer after the kill")
    stopped = supervised.control("stop", "devpi-server")
    after = supervised.control("status")
    folder = ServerDir(supervised.place / "data")
    folder.lock()
    folder.unlock()

    assert len(second) == 1
    assert stopped == "devpi-server: stopped\n"
    assert "STOPPED" in after
    assert not supervised.answers()
    assert supervised.log().splitlines()[-1].endswith(" stopped")


def test_ending_supervisord_ends_the_server_first(supervised: Supervised) -> None:
    pid = until(supervised.server_pid, "a process id")

    supervised.process.terminate()
    code = supervised.process.wait(30)

    assert code == 0
    assert supervised.log().splitlines()[-1].endswith(" stopped")
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
