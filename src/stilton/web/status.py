"""For machines that watch this one: `/+health` and `/+metrics`."""

import logging
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import anyio.to_thread
import msgspec
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from starlette.requests import Request
from starlette.responses import Response

from stilton import __version__
from stilton.catalog.indexes import Indexes
from stilton.domain.errors import StiltonError
from stilton.metrics import LATENCY_BUCKETS_S, Histogram, Metrics
from stilton.upkeep.space import Space

log = logging.getLogger(__name__)

_HELP = {
    "responses": "answers by HTTP status",
    "pages": "project pages by how they came: hit, miss, revalidated, stale",
    "files": "file requests by hit or miss",
    "bytes": "bytes sent, by where they came from",
    "downloads": "downloads from upstream: started, kept, resumed, failed, passed (low disk: not kept)",
    "upstream_requests": "requests to upstreams by kind",
    "upstream_failures": "requests to upstreams without a usable answer",
    "upstream_bytes": "bytes from upstreams",
    "refreshed": "pages revalidated in the background",
    "read_ahead": "projects read ahead",
    "published": "what came to private indexes: releasefile, doczip, submit, push",
    "changed_files": "files that upstream gave other bytes under the same name",
    "metadata_mismatches": "upstream metadata files that are not what the wheel contains",
}


class Status:
    """Health and numbers of this server."""

    def __init__(self, metrics: Metrics, run: Path, indexes: Indexes, serial: Callable[[], int], space: Space) -> None:
        self._metrics = metrics
        self._run = run
        self._indexes = indexes
        self._serial = serial
        self._space = space

    async def live(self, request: Request) -> Response:
        """200: this process runs its event loop."""
        del request
        return _json({"status": "ok"})

    async def ready(self, request: Request) -> Response:
        """200 when the database can be read; upstreams that are down do not make this server ill."""
        del request
        try:
            await self._indexes.check()
            mirrors = await self._indexes.mirrors()
        except StiltonError as error:
            log.error("The database cannot be read: %s", error)  # noqa: TRY400 - a sentence says it
            return _json({"status": "the database cannot be read, see the log"}, 503)
        except Exception:
            log.exception("The database cannot be read")
            return _json({"status": "the database cannot be read, see the log"}, 503)
        public = [mirror for mirror in mirrors if self._indexes.is_public(mirror.config.name)]
        upstreams = {mirror.config.name: "down" if mirror.is_down else "up" for mirror in public}
        disk = "low disk" if self._space.is_low else "ok"
        return _json({
            "status": "ok", "version": __version__, "serial": self._serial(), "disk": disk, "upstreams": upstreams,
        })  # fmt: skip

    async def metrics(self, request: Request) -> Response:
        """Numbers of all workers in Prometheus' text format."""
        del request
        total = await anyio.to_thread.run_sync(self._metrics.total, self._run)
        registry = CollectorRegistry()
        registry.register(_Families([*_families(total), *await self._gauges()]))
        return Response(generate_latest(registry), headers={"content-type": CONTENT_TYPE_LATEST})

    async def _gauges(self) -> list[Metric]:
        up = GaugeMetricFamily("stilton_upstream_up", "1 while the upstream answers", labels=["index"])
        since = GaugeMetricFamily("stilton_upstream_down_seconds", "how long it has not answered", labels=["index"])
        for mirror in await self._indexes.mirrors():
            opened_at = mirror.upstream.circuit.opened_at
            up.add_metric([mirror.config.name], 0 if mirror.is_down else 1)
            since.add_metric([mirror.config.name], 0 if opened_at is None else max(0.0, time.time() - opened_at))
        serial = GaugeMetricFamily("stilton_serial", "last commit", value=self._serial())
        free = GaugeMetricFamily("stilton_disk_free_bytes", "room on the disk", value=self._space.room().free)
        return [up, since, serial, free]


def _json(body: object, status: int = 200) -> Response:
    headers = {"content-type": "application/json", "cache-control": "no-store"}
    return Response(msgspec.json.encode(body) + b"\n", status, headers=headers)


class _Families(Collector):
    def __init__(self, families: list[Metric]) -> None:
        self._list = families

    def collect(self) -> Iterator[Metric]:
        yield from self._list


def _families(metrics: Metrics) -> Iterator[Metric]:
    counters: dict[str, CounterMetricFamily] = {
        name: CounterMetricFamily(f"stilton_{name}", text, labels=["kind"]) for name, text in _HELP.items()
    }
    for (name, label), value in sorted(metrics.counts.items()):
        family = counters.setdefault(name, CounterMetricFamily(f"stilton_{name}", name, labels=["kind"]))
        family.add_metric([label], value)
    yield from counters.values()
    latency = HistogramMetricFamily("stilton_latency_seconds", "how long things took", labels=["what"])
    for what, histogram in sorted(metrics.latencies.items()):
        latency.add_metric([what], _buckets(histogram), histogram.sum_s)
    yield latency


def _buckets(histogram: Histogram) -> list[tuple[str, float]]:
    total = 0
    buckets: list[tuple[str, float]] = []
    for bound, count in zip((*LATENCY_BUCKETS_S, "+Inf"), histogram.counts, strict=True):
        total += count
        buckets.append((str(bound), total))
    return buckets
