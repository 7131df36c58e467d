"""The server under test, as a user runs it: `devpi-init`, then `devpi-server` with its defaults.

Any build with these two commands and these URLs can stand in (`--bin`).
"""

import json
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urljoin

from bench import load, processes
from bench.load import Answer
from bench.ports import free_port
from bench.processes import BenchError, Processes

READY_WITHIN_S = 30.0
JSON = "application/vnd.pypi.simple.v1+json"
HTML = "text/html"
_POLL_S = 0.002


@dataclass
class Server:
    """A running server. `first_answer_s`: from its start to its first page or sign of health."""

    process: subprocess.Popen[bytes]
    url: str
    serverdir: Path
    first_answer_s: float

    @property
    def index_url(self) -> str:
        """What an installer is given."""
        return f"{self.url}/root/pypi/+simple/"

    def page_url(self, project: str) -> str:
        """The simple page of a project."""
        return f"{self.index_url}{project}/"

    def page(self, project: str, accept: str, encoding: str) -> Answer:
        """The page, as an installer with these headers gets it. Raises BenchError when there is none."""
        answer = load.get(self.page_url(project), {"Accept": accept, "Accept-Encoding": encoding})
        if answer.status != 200:
            raise BenchError(f"the server answered {answer.status} for the page of {project}: {answer.body[:200]!r}")
        return answer

    def file_url(self, project: str, filename: str) -> str:
        """Where the project's page says that the file is."""
        page = json.loads(self.page(project, JSON, "identity").body)
        found = [str(file["url"]) for file in page["files"] if file["filename"] == filename]
        if not found:
            raise BenchError(f"the server does not list {filename}")
        return urljoin(self.page_url(project), found[0]).partition("#")[0]

    def cpu_s(self) -> float:
        """Processor time of all its processes."""
        return processes.cpu_s(self.process.pid)

    def memory_bytes(self) -> int:
        """Resident memory of all its processes."""
        return processes.memory_bytes(self.process.pid)

    def settle(self) -> None:
        """Wait until it has nothing to do."""
        processes.settle(self.process.pid)


@dataclass(frozen=True)
class Build:
    """The folder of the two commands."""

    folder: Path

    def version(self) -> str:
        """As `devpi-server --version` says. Raises BenchError when there is no such command."""
        program = self.folder / "devpi-server"
        if not program.is_file():
            raise BenchError(f"there is no devpi-server in {self.folder}: install the project first (make bench does)")
        return processes.run([program, "--version"], within_s=20).strip()

    def initialise(self, serverdir: Path, mirror_url: str) -> None:
        """Make a serverdir whose root/pypi mirrors that URL."""
        processes.run([self.folder / "devpi-init", "--serverdir", serverdir, "--mirror-url", mirror_url], within_s=30)

    def start(self, own: Processes, serverdir: Path, *, first: str = "/+health") -> Server:
        """Start on a free port; it is ready when `first` is answered with 200."""
        port = free_port()
        url = f"http://127.0.0.1:{port}"
        log = serverdir.with_suffix(".log")
        begun = time.perf_counter()
        process = own.start(
            [self.folder / "devpi-server", "--serverdir", serverdir, "--host", "127.0.0.1", "--port", str(port)], log
        )
        _wait(process, url + first, log)
        return Server(process, url, serverdir, time.perf_counter() - begun)


def _wait(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    def ready() -> bool:
        if process.poll() is not None:
            raise BenchError(f"devpi-server ended ({process.returncode}): {log.read_text()[-400:].strip()}")
        return load.answers(url)

    processes.wait_until(ready, within_s=READY_WITHIN_S, every_s=_POLL_S, what="the server's first answer")
