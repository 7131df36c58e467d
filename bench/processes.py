"""Processes of this run: started here, ended by their id; what they and their children cost.

Numbers come from /proc, so this is for Linux. Knows nothing of what the processes do.
"""

import contextlib
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

END_WITHIN_S = 5.0
_PROC = Path("/proc")
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_ELSEWHERE = re.compile(r"(PIP_|UV_|DEVPI|VIRTUAL_ENV$|.*_proxy$|.*_PROXY$)")


class BenchError(Exception):
    """A case cannot be measured; the text says why."""


@dataclass
class Processes:
    """The long-lived ones; `end_all` leaves none behind."""

    running: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def start(self, arguments: Sequence[str | Path], log: Path) -> subprocess.Popen[bytes]:
        """Start one in a session of its own: Ctrl-C reaches us alone, and we end it."""
        with log.open("ab") as out, undisturbed():
            process = subprocess.Popen(
                arguments, stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=clean_env(), start_new_session=True
            )
            self.running.append(process)
        return process

    def end(self, process: subprocess.Popen[bytes]) -> None:
        """SIGTERM, then after five seconds SIGKILL, for its children too; no signal to us cuts this short."""
        with undisturbed():
            children = {pid: _started(pid) for pid in family(process.pid)[1:]}
            process.terminate()
            try:
                process.wait(END_WITHIN_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            _kill_left(children)
            self.running.remove(process)

    def end_all(self) -> None:
        """The last started goes first."""
        for process in reversed(list(self.running)):
            self.end(process)


def run(arguments: Sequence[str | Path], *, within_s: float, env: dict[str, str] | None = None) -> str:
    """Run a command to its end; what it printed. Raises BenchError when it fails or takes too long."""
    name = Path(arguments[0]).name
    try:
        done = subprocess.run(
            arguments, capture_output=True, text=True, timeout=within_s, check=False,
            env={**clean_env(), **(env or {})}, stdin=subprocess.DEVNULL,
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        raise BenchError(f"{name} took more than {within_s:g} s") from error
    if done.returncode:
        raise BenchError(f"{name} failed ({done.returncode}): {(done.stderr or done.stdout).strip()[-400:]}")
    return done.stdout + done.stderr


@contextlib.contextmanager
def undisturbed() -> Iterator[None]:
    """Signals that end the run wait until the block is over.

    Handlers are swapped, not masked: a mask would be inherited by what is started meanwhile.
    """
    held: list[int] = []

    def hold(number: int, frame: FrameType | None) -> None:
        del frame
        held.append(number)

    before = {number: signal.signal(number, hold) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGALRM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    for heard in held:
        signal.raise_signal(heard)


def clean_env() -> dict[str, str]:
    """The environment without what would lead tools to another index or through a proxy."""
    kept = {key: value for key, value in os.environ.items() if not _ELSEWHERE.match(key)}
    return {**kept, "LC_ALL": "C", "UV_NO_CONFIG": "1", "UV_PYTHON_DOWNLOADS": "never"}


def wait_until(ready: Callable[[], bool], *, within_s: float, every_s: float, what: str) -> None:
    """Ask until it is so. Raises BenchError after `within_s`."""
    deadline = time.monotonic() + within_s
    while not ready():
        if time.monotonic() > deadline:
            raise BenchError(f"{what} did not happen within {within_s:g} s")
        time.sleep(every_s)


def family(pid: int) -> list[int]:
    """The process and all below it, parents first."""
    below: dict[int, list[int]] = {}
    for entry in _PROC.iterdir():
        if entry.name.isdigit() and (stat := _stat(int(entry.name))):
            below.setdefault(int(stat[1]), []).append(int(entry.name))
    found = [pid]
    for member in found:
        found += below.get(member, [])
    return found


def cpu_s(pid: int) -> float:
    """Processor time of the family so far; steps of 10 ms."""
    total = 0
    for member in family(pid):
        if stat := _stat(member):
            total += int(stat[11]) + int(stat[12])
    return total / _TICKS_PER_S


def memory_bytes(pid: int) -> int:
    """Resident memory of the family; pages that members share count once."""
    return sum(_resident(member) for member in family(pid))


def settle(pid: int, *, quiet_s: float = 0.3, within_s: float = 5.0) -> None:
    """Wait until the family has nothing to do, or `within_s` is over."""
    deadline = time.monotonic() + within_s
    before = cpu_s(pid)
    while time.monotonic() < deadline:
        time.sleep(quiet_s)
        now = cpu_s(pid)
        if now - before <= 1 / _TICKS_PER_S:
            return
        before = now


def _kill_left(children: dict[int, str | None]) -> None:
    """SIGKILL those that outlived their parent. An id may be somebody else's by now: the start time tells."""
    for pid, started in children.items():
        if started is not None and _started(pid) == started:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def _resident(pid: int) -> int:
    with contextlib.suppress(OSError):
        for line in (_PROC / str(pid) / "smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    with contextlib.suppress(OSError):
        return int((_PROC / str(pid) / "statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return 0


def _started(pid: int) -> str | None:
    stat = _stat(pid)
    return stat[19] if stat else None


def _stat(pid: int) -> list[str] | None:
    """Fields of /proc/PID/stat after the name, which may hold spaces; None when the process is gone."""
    try:
        return (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
