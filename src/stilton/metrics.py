"""What is counted, as one plain object: made in `app.py`, handed to who counts.

Each worker process keeps its own numbers and publishes them to a small file,
so that whichever worker is asked can add them up (`Metrics.total`).
"""

import bisect
import contextlib
import json
import os
from collections import Counter
from pathlib import Path

LATENCY_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Histogram:
    """Counts per latency bucket; `sum_s` in seconds. The last count is of all slower ones."""

    def __init__(self) -> None:
        self.counts = [0] * (len(LATENCY_BUCKETS_S) + 1)
        self.sum_s = 0.0

    def observe(self, seconds: float) -> None:
        """Count one event that took `seconds`."""
        self.counts[bisect.bisect_left(LATENCY_BUCKETS_S, seconds)] += 1
        self.sum_s += seconds


class Metrics:
    """Counters by name and label. Names are those of `/+metrics` without `stilton_` and `_total`."""

    def __init__(self) -> None:
        self.counts: Counter[tuple[str, str]] = Counter()
        self.latencies: dict[str, Histogram] = {}

    def count(self, name: str, label: str = "", by: int = 1) -> None:
        """Add `by` to a counter."""
        self.counts[name, label] += by

    def took(self, what: str, seconds: float) -> None:
        """One `what` took `seconds`."""
        histogram = self.latencies.get(what)
        if histogram is None:
            histogram = self.latencies[what] = Histogram()
        histogram.observe(seconds)

    def publish(self, folder: Path) -> None:
        """Write this worker's numbers where the others find them."""
        document = {
            "counts": [[name, label, value] for (name, label), value in self.counts.items()],
            "latencies": {what: [h.counts, h.sum_s] for what, h in self.latencies.items()},
        }
        target = folder / f"metrics-{os.getpid()}.json"
        temporary = target.with_suffix(".tmp")
        temporary.write_text(json.dumps(document))
        temporary.replace(target)

    def total(self, folder: Path) -> "Metrics":
        """The sum over all workers: published numbers of the others, live ones of this."""
        total = Metrics()
        total._add(self)
        for path in folder.glob("metrics-*.json"):
            if path.stem == f"metrics-{os.getpid()}":
                continue
            with contextlib.suppress(OSError, ValueError):
                total._add(_read(path))
        return total

    def _add(self, other: "Metrics") -> None:
        self.counts.update(other.counts)
        for what, theirs in other.latencies.items():
            ours = self.latencies.setdefault(what, Histogram())
            ours.counts = [a + b for a, b in zip(ours.counts, theirs.counts, strict=True)]
            ours.sum_s += theirs.sum_s


def _read(path: Path) -> Metrics:
    document = json.loads(path.read_text())
    metrics = Metrics()
    for name, label, value in document["counts"]:
        metrics.counts[name, label] = value
    for what, (counts, sum_s) in document["latencies"].items():
        histogram = metrics.latencies[what] = Histogram()
        histogram.counts, histogram.sum_s = counts, sum_s
    return metrics
