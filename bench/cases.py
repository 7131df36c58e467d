"""The cases by name, in the order they are run. Each yields rows as it goes, so that what was measured is kept."""

import statistics
from collections.abc import Callable, Iterator

from bench import cold, installs, publishing, report, upstream, warm
from bench.lab import Lab
from bench.report import Row
from bench.server import HTML

START_LIMIT_S = 1.0
IDLE_LIMIT_MB = 100.0
AFTER_LIMIT_MB = 200.0


def start(lab: Lab) -> Iterator[Row]:
    """From the start to the first page, and memory before and after all the work. Runs last."""
    page = f"/root/pypi/+simple/{upstream.SMALL}/"
    lab.warm().page(upstream.SMALL, HTML, "identity")
    serverdir = lab.cool()
    taken, idle = [], []
    for _ in range(lab.effort.starts):
        server = lab.build.start(lab.own, serverdir, first=page)
        taken.append(server.first_answer_s)
        server.settle()
        idle.append(server.memory_bytes())
        lab.own.end(server.process)
    yield report.within("start to first 200", START_LIMIT_S, value=statistics.median(taken), unit="s")
    yield report.within("memory, idle", IDLE_LIMIT_MB, value=statistics.median(idle) / 1e6, unit="MB")
    yield report.within("memory, after all of this", AFTER_LIMIT_MB, value=max(lab.ends_bytes) / 1e6, unit="MB")


CASES: dict[str, Callable[[Lab], Iterator[Row]]] = {
    "small-page": warm.small_pages,
    "big-page": warm.big_pages,
    "small-wheel": warm.small_wheels,
    "huge-wheel": warm.huge_wheel,
    "cold-wheel": cold.huge_wheel,
    "crowd": cold.crowd,
    "install": installs.warm,
    "cold-install": installs.cold,
    **publishing.CASES,
    "start": start,
}
