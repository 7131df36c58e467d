"""Cold cases: a wheel of 200 MB that the server does not hold yet, for one client and for twenty.

Hashing is the ceiling of a checked download, so `sha256sum` on the same file is the measure.
"""

import contextlib
import hashlib
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from bench import load, programs, report, upstream
from bench.lab import Lab
from bench.processes import BenchError, run
from bench.report import TIMES, Row
from bench.server import Server

TIME_LIMIT = 1.25
TIME_GRACE_S = 0.1
FIRST_BYTE_LATER_S = 0.005
CLIENTS = 20
CROWD_TIME_LIMIT = 3.0
GROWTH_LIMIT_MB = 30.0
_SAMPLE_S = 0.05


@dataclass(frozen=True)
class Crowd:
    """What one crowd cost. `requests`: to upstream, for the wheel."""

    requests: int
    total_s: float
    cpu_s: float
    growth_bytes: int


class Peak:
    """The most memory a server had since the start, seen by a look every 50 ms."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._over = threading.Event()
        self.first_bytes = self.most_bytes = server.memory_bytes()

    @contextlib.contextmanager
    def watched(self) -> Iterator[None]:
        """Look until the block ends."""
        thread = threading.Thread(target=self._watch)
        thread.start()
        try:
            yield
        finally:
            self._over.set()
            thread.join()

    def _watch(self) -> None:
        while not self._over.wait(_SAMPLE_S):
            self.most_bytes = max(self.most_bytes, self._server.memory_bytes())


def huge_wheel(lab: Lab) -> Iterator[Row]:
    """One client; its page is there already, its wheel is not."""
    size = lab.huge_bytes
    hashing, direct, cold, cpu_s = [], [], [], 0.0
    for _ in range(lab.effort.colds):
        hashing.append(sha256sum_s(lab.huge))
        direct.append(load.transfer(f"{lab.upstream.url}/files/{upstream.HUGE_WHEEL}", size))
        with lab.fresh(lab.upstream.url) as server:
            url = _quiet_url(server)
            before, cpu_s = _hits(lab), cpu_s - server.cpu_s()
            cold.append(load.transfer(url, size))
            cpu_s += server.cpu_s()
            if _hits(lab) == before:
                raise BenchError("the wheel was not cold: upstream was not asked for it")
    cpu = report.per_gigabyte(cpu_s, size * len(cold))
    yield _time_row("cold 200 MB wheel", hashing, [one.total_s for one in cold], cpu)
    yield _first_byte_row([one.first_byte_s for one in direct], [one.first_byte_s for one in cold])


def crowd(lab: Lab) -> Iterator[Row]:
    """Twenty clients at once for one cold wheel: real ones, and such as leave the processors to the server."""
    every: list[Crowd] = []
    for name, fetch in (("curl", load.curls), ("clients that drop what they get", load.droppers)):
        hashing, floors, seen = [], [], []
        for _ in range(lab.effort.crowds):
            hashing.append(sha256sum_s(lab.huge))
            floors.append(fetch(f"{lab.upstream.url}/files/{upstream.HUGE_WHEEL}", lab.huge_bytes, CLIENTS))
            seen.append(_one_crowd(lab, fetch))
        yield _crowd_time_row(lab, f"{CLIENTS} {TIMES} {name}, cold 200 MB wheel", hashing, floors, seen)
        every += seen
    case = f"{CLIENTS} clients, cold 200 MB wheel"
    requests = max(one.requests for one in every)
    yield report.within(f"{case}: upstream requests", 1, value=requests, unit="request(s)")
    growth = max(one.growth_bytes for one in every) / 1e6
    yield report.within(f"{case}: memory grows by", GROWTH_LIMIT_MB, value=growth, unit="MB")


def _one_crowd(lab: Lab, fetch: Callable[[str, int, int], float]) -> Crowd:
    with lab.fresh(lab.upstream.url) as server:
        url = _quiet_url(server)
        before, cpu_s, peak = _hits(lab), server.cpu_s(), Peak(server)
        with peak.watched():
            total_s = fetch(url, lab.huge_bytes, CLIENTS)
        cpu_s = server.cpu_s() - cpu_s
        _check(url, lab.huge)
        return Crowd(_hits(lab) - before, total_s, cpu_s, peak.most_bytes - peak.first_bytes)


def _crowd_time_row(lab: Lab, case: str, hashing: list[float], floors: list[float], seen: list[Crowd]) -> Row:
    """The limit is a multiple of hashing; what upstream itself takes for such a crowd is told beside it."""
    base, floor_s = statistics.median(hashing), statistics.median(floors)
    own, limit_s = statistics.median(one.total_s for one in seen), CROWD_TIME_LIMIT * base
    return Row(
        case=case, target=f"≤ {CROWD_TIME_LIMIT:g} {TIMES} sha256sum = {limit_s:.2f} s",
        measured=f"{own / base:.2f} {TIMES}", reached=own <= limit_s, stilton=f"{own:.2f} s",
        baseline=f"{base:.2f} s (upstream itself: {floor_s:.2f} s)",
        cpu=report.per_gigabyte(sum(one.cpu_s for one in seen), lab.huge_bytes * CLIENTS * len(seen)),
        raw={"sha256sum": hashing, "upstream": floors, "stilton": [one.total_s for one in seen]},
    )  # fmt: skip


def _time_row(case: str, hashing: list[float], taken: list[float], cpu: str) -> Row:
    base, own = statistics.median(hashing), statistics.median(taken)
    limit_s = TIME_LIMIT * base + TIME_GRACE_S
    return Row(
        case=case, target=f"≤ {TIME_LIMIT:g} {TIMES} sha256sum + {TIME_GRACE_S:g} s = {limit_s:.2f} s", cpu=cpu,
        measured=f"{own / base:.2f} {TIMES}", reached=own <= limit_s, baseline=f"{base:.2f} s", stilton=f"{own:.2f} s",
        raw={"sha256sum": hashing, "stilton": taken},
    )  # fmt: skip


def _first_byte_row(direct: list[float], cold: list[float]) -> Row:
    base, own = statistics.median(direct), statistics.median(cold)
    return Row(
        case="cold 200 MB wheel: first byte", target=f"≤ upstream's + {FIRST_BYTE_LATER_S * 1000:g} ms",
        measured=f"+ {(own - base) * 1000:.1f} ms", reached=own - base <= FIRST_BYTE_LATER_S,
        baseline=f"{base * 1000:.1f} ms", stilton=f"{own * 1000:.1f} ms", raw={"upstream": direct, "stilton": cold},
    )  # fmt: skip


def _quiet_url(server: Server) -> str:
    """The wheel's URL, once the server has done what the page made it do."""
    url = server.file_url(upstream.HUGE, upstream.HUGE_WHEEL)
    server.settle()
    return url


def sha256sum_s(path: Path) -> float:
    """How long hashing the file takes."""
    program = programs.find("sha256sum", "coreutils")
    begun = time.perf_counter()
    run([program, path], within_s=30)
    return time.perf_counter() - begun


def _hits(lab: Lab) -> int:
    hits = lab.upstream.hits
    return len(hits.read_text().splitlines()) if hits.exists() else 0


def _check(url: str, source: Path) -> None:
    """What the crowd got is what upstream has. Raises BenchError when not."""
    with source.open("rb") as file:
        wanted = hashlib.file_digest(file, "sha256").digest()
    if hashlib.sha256(load.get(url).body).digest() != wanted:
        raise BenchError("the server's wheel is not upstream's")
