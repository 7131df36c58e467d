"""Counters and latencies, and their sum over all workers."""

import json
from pathlib import Path

from stilton.metrics import LATENCY_BUCKETS_S, Metrics


def test_a_latency_is_counted_in_the_first_bucket_that_holds_it() -> None:
    metrics = Metrics()

    for seconds in (0.0, LATENCY_BUCKETS_S[0], LATENCY_BUCKETS_S[1], 1000.0):
        metrics.took("request", seconds)

    histogram = metrics.latencies["request"]
    assert histogram.counts == [2, 1, *[0] * (len(LATENCY_BUCKETS_S) - 2), 1]
    assert histogram.sum_s == sum((0.0, LATENCY_BUCKETS_S[0], LATENCY_BUCKETS_S[1], 1000.0))


def test_numbers_of_other_workers_are_added_and_ones_own_are_not_added_twice(tmp_path: Path) -> None:
    metrics = Metrics()
    metrics.count("files", "hit")
    metrics.took("request", 0.002)
    metrics.publish(tmp_path)
    own = next(tmp_path.glob("metrics-*.json"))
    (tmp_path / "metrics-0.json").write_bytes(own.read_bytes())
    metrics.count("files", "hit", by=10)

    total = metrics.total(tmp_path)

    assert total.counts == {("files", "hit"): 12}
    assert sum(total.latencies["request"].counts) == 2
    assert metrics.counts == {("files", "hit"): 11}


def test_what_another_worker_left_unreadable_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "metrics-0.json").write_text("half of it")
    (tmp_path / "metrics-1.json").write_text(json.dumps({"counts": [["files", "miss", 3]], "latencies": {}}))

    assert Metrics().total(tmp_path).counts == {("files", "miss"): 3}
