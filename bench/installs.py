"""Installing 300 wheels with uv: through the server against without it, near and far from upstream.

Each installation has a fresh cache and a fresh target, so that uv always downloads.
Where uv writes matters: on a slow disk, writing 3,000 files hides what the index costs.
So its folders are in memory for one measurement, in the work folder for another.
"""

import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from bench import programs, report, upstream, wheels
from bench.lab import Lab
from bench.processes import BenchError, run
from bench.report import Row

WARM_LIMIT = 1.25
COLD_LIMIT = 1.0
WHEELS = 1 + sum(wheels.LAYERS)
_WITHIN_S = 60.0


def warm(lab: Lab) -> Iterator[Row]:
    """The server holds everything; nginx is asked directly."""
    direct = f"{lab.nginx.url}/simple/"
    _install_s(lab.warm().index_url, lab.place)
    lab.warm().settle()
    for name, place in _places(lab):
        yield _warm(lab, f"uv pip install of {WHEELS} wheels, warm ({name})", direct, place)


def cold(lab: Lab) -> Iterator[Row]:
    """The server holds nothing and upstream is 50 ms away; without the server, uv asks upstream itself."""
    for name, place in _places(lab):
        yield _cold(lab, f"uv pip install of {WHEELS} wheels, cold, 50 ms to upstream ({name})", place)


def _warm(lab: Lab, case: str, direct: str, place: Path) -> Row:
    server = lab.warm()
    theirs, ours, cpu_s = [], [], 0.0
    for _ in range(lab.effort.installs):
        theirs.append(_install_s(direct, place))
        cpu_s -= server.cpu_s()
        ours.append(_install_s(server.index_url, place))
        cpu_s += server.cpu_s()
    cpu = f"{cpu_s / len(ours):.2f} s/install"
    return report.at_most(case, WARM_LIMIT, of="nginx directly", baseline=theirs, stilton=ours, cpu=cpu)


def _cold(lab: Lab, case: str, place: Path) -> Row:
    theirs, ours, cpu_s = [], [], 0.0
    for _ in range(lab.effort.cold_installs):
        theirs.append(_install_s(f"{lab.far_url}/simple/", place))
        with lab.fresh(lab.far_url) as server:
            server.settle()
            cpu_s -= server.cpu_s()
            ours.append(_install_s(server.index_url, place))
            cpu_s += server.cpu_s()
    cpu = f"{cpu_s / len(ours):.2f} s/install"
    return report.at_most(case, COLD_LIMIT, of="no cache", baseline=theirs, stilton=ours, cpu=cpu)


def _places(lab: Lab) -> list[tuple[str, Path]]:
    """Where uv may write: memory where there is some, and the disk unless in a hurry."""
    memory = [("to memory", lab.memory)] if lab.memory else []
    return memory + [("to disk", lab.place)] * (lab.effort.disk or not memory)


def _install_s(index_url: str, place: Path) -> float:
    """Seconds of one installation. Raises BenchError unless all wheels are there."""
    target, cache = place / "install" / "target", place / "install" / "cache"
    command: list[str | Path] = [programs.find("uv"), "pip", "install", "--quiet", "--no-build"]
    command += ["--python", sys.executable, "--target", target, "--cache-dir", cache]
    try:
        begun = time.perf_counter()
        run([*command, "--index-url", index_url, upstream.ROOT], within_s=_WITHIN_S)
        taken_s = time.perf_counter() - begun
        installed = len(list(target.glob("*.dist-info")))
    finally:
        shutil.rmtree(place / "install", ignore_errors=True)
    if installed != WHEELS:
        raise BenchError(f"uv installed {installed} of {WHEELS} wheels")
    return taken_s
