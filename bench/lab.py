"""What a case works with: the upstream, servers, how often to measure.

One warm server lives through all cases that share it; cold cases get servers of
their own. Made by `opened`, which also takes everything down again.
"""

import contextlib
import fcntl
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from bench import load, nginx, plain, processes, upstream
from bench.nginx import Nginx
from bench.ports import free_port
from bench.processes import BenchError, Processes
from bench.server import Build, Server
from bench.upstream import Site

_SHARED_MEMORY = Path("/dev/shm")
_MEMORY_BYTES = 500_000_000


@dataclass(frozen=True)
class Effort:
    """How often each thing is measured; medians are taken. `disk`: install to the disk too, not only to memory."""

    loads: int = 3
    load_s: int = 3
    transfers: int = 7
    colds: int = 5
    crowds: int = 3
    installs: int = 5
    cold_installs: int = 3
    starts: int = 7
    disk: bool = True


QUICK = Effort(loads=2, load_s=1, transfers=3, colds=3, crowds=1, installs=3, cold_installs=2, starts=3, disk=False)


@dataclass
class Lab:
    """`far_url`: the upstream behind the latency proxy. `memory`: a folder that is on no disk.

    `ends_bytes`: memory of each server at its end.
    """

    place: Path
    effort: Effort
    build: Build
    own: Processes
    upstream: Site
    far_url: str
    without_nginx: str
    memory: Path | None
    ends_bytes: list[int] = field(default_factory=list)
    _warm: Server | None = None

    @property
    def data(self) -> Path:
        """The upstream's folder (`bench.upstream`)."""
        return self.place.parent / "data"

    @property
    def huge(self) -> Path:
        """The huge wheel, as upstream has it."""
        return self.data / "files" / upstream.HUGE_WHEEL

    @property
    def huge_bytes(self) -> int:
        """Its size."""
        return self.huge.stat().st_size

    @property
    def nginx(self) -> Nginx:
        """nginx as the measure. Raises BenchError where it cannot be had."""
        if not isinstance(self.upstream, Nginx):
            raise BenchError(self.without_nginx)
        return self.upstream

    def warm(self) -> Server:
        """The server all warm cases share, started by the first of them."""
        if self._warm is None:
            serverdir = self.place / "warm"
            self.build.initialise(serverdir, f"{self.upstream.url}/simple/")
            self._warm = self.build.start(self.own, serverdir)
        return self._warm

    def cool(self) -> Path:
        """End the warm server; its folder."""
        server = self.warm()
        self._end(server)
        self._warm = None
        return server.serverdir

    @contextlib.contextmanager
    def fresh(self, upstream_url: str) -> Iterator[Server]:
        """A server with nothing in it, gone with its folder afterwards."""
        serverdir = self.place / "fresh"
        self.build.initialise(serverdir, f"{upstream_url}/simple/")
        server = self.build.start(self.own, serverdir)
        try:
            yield server
            self._end(server)
        finally:
            if server.process in self.own.running:
                self.own.end(server.process)
            shutil.rmtree(serverdir, ignore_errors=True)

    def _end(self, server: Server) -> None:
        server.settle()
        self.ends_bytes.append(server.memory_bytes())
        self.own.end(server.process)


@contextlib.contextmanager
def opened(work: Path, effort: Effort, build: Build) -> Iterator[Lab]:
    """Build the data, start upstream and latency proxy; end everything afterwards.

    Raises BenchError when another run has the work folder.
    """
    own, place = Processes(), work / "run"
    with _locked(work), _memory() as memory:
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir()
        try:
            upstream.build(work / "data")
            site, reason = _site(own, work / "data", place)
            yield Lab(place, effort, build, own, site, _far_url(own, site, place), reason, memory)
        finally:
            with processes.undisturbed():
                own.end_all()
                shutil.rmtree(place, ignore_errors=True)


@contextlib.contextmanager
def _locked(work: Path) -> Iterator[None]:
    work.mkdir(parents=True, exist_ok=True)
    with (work / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise BenchError(f"another run is using {work}: wait for it, or choose another with --work") from error
        yield


def _far_url(own: Processes, site: Site, place: Path) -> str:
    """Start the latency proxy before the upstream; its URL."""
    port = free_port()
    own.start([sys.executable, _script("latency"), str(port), site.url.rpartition(":")[2]], place / "latency.log")
    url = f"http://127.0.0.1:{port}"
    _wait(url, "the latency proxy's first answer")
    return url


@contextlib.contextmanager
def _memory() -> Iterator[Path | None]:
    """A folder in memory, where Linux usually has one with room enough."""
    if not _SHARED_MEMORY.is_dir() or shutil.disk_usage(_SHARED_MEMORY).free < _MEMORY_BYTES:
        yield None
        return
    with tempfile.TemporaryDirectory(prefix="bench-", dir=_SHARED_MEMORY) as folder:
        yield Path(folder)


def _site(own: Processes, data: Path, place: Path) -> tuple[Site, str]:
    """nginx, or the stand-in and why."""
    try:
        return nginx.start(own, data, place / "nginx"), ""
    except BenchError as error:
        stand = Site(f"http://127.0.0.1:{free_port()}", place / "hits.log")
        own.start(
            [sys.executable, _script("plain"), stand.url.rpartition(":")[2], data, stand.hits], place / "plain.log"
        )
        _wait(stand.url, "the stand-in upstream's first answer")
        return stand, f"no nginx to compare with ({error})"


def _wait(url: str, what: str) -> None:
    page = f"{url}/simple/{upstream.SMALL}/"
    processes.wait_until(lambda: load.answers(page), within_s=10, every_s=0.02, what=what)


def _script(name: str) -> Path:
    return Path(plain.__file__).with_name(f"{name}.py")
