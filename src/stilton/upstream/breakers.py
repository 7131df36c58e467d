"""The circuit breakers of one upstream: one per origin it serves from.

PyPI's pages and files come from two hosts; one may fail while the other works.
Holds the values that `domain.circuit` decides on, and sends the probes.
"""

import asyncio
import contextlib
import logging
import math
import time
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

from stilton.domain import circuit
from stilton.domain.circuit import Circuit
from stilton.domain.errors import OfflineMode, UpstreamTrouble, UpstreamUnavailable, UpstreamWrong
from stilton.domain.indexes import without_credentials

log = logging.getLogger(__name__)

MAX_ORIGINS = 64
"""A hostile page may name many hosts; the oldest is forgotten."""


class AlwaysOpen:
    """The breakers of offline mode: every request is refused, nothing is probed."""

    def __init__(self) -> None:
        self._circuit = Circuit(opened_at=time.time(), why="offline mode")

    def on_change(self, listener: Callable[[], None]) -> None:
        """It never changes."""

    def of(self, url: str) -> Circuit:
        """Open."""
        del url
        return self._circuit

    def open_s(self, url: str) -> float:
        """For ever."""
        del url
        return math.inf

    def check(self, url: str) -> None:
        """Raises OfflineMode."""
        raise OfflineMode(_origin(url), "offline mode")

    def failed(self, url: str, why: str, *, reached: bool = False) -> None:
        """Nothing is ever sent."""

    def succeeded(self, url: str) -> None:
        """Nothing is ever sent."""

    async def close(self) -> None:
        """Nothing to end."""


class Breakers:
    """`probe(url)` asks upstream for anything and raises UpstreamUnavailable when it does not answer.

    Times are Unix seconds, so that people can be told since when a circuit is open.
    """

    def __init__(self, probe: Callable[[str], Awaitable[None]], now: Callable[[], float] = time.time) -> None:
        self._now = now
        self._probe = probe
        self._circuits: dict[str, Circuit] = {}
        self._probes: dict[str, asyncio.Task[None]] = {}
        self._listeners: list[Callable[[], None]] = []

    def on_change(self, listener: Callable[[], None]) -> None:
        """Call `listener()` whenever a circuit opens or closes."""
        self._listeners.append(listener)

    def of(self, url: str) -> Circuit:
        """The circuit that requests to `url` go through."""
        return self._circuits.get(_origin(url), circuit.CLOSED)

    def check(self, url: str) -> None:
        """Raises UpstreamUnavailable at once while the circuit of `url` is open."""
        state = self.of(url)
        if state.is_open:
            # Never longer than the longest wait: the clock may be set back meanwhile.
            wait_s = min(max(1.0, state.probe_at - self._now()), circuit.LONGEST_WAIT_S)
            raise UpstreamUnavailable(_origin(url), state.why, retry_after_s=wait_s)

    def open_s(self, url: str) -> float:
        """For how many seconds the circuit of `url` is open; who knows (inf) when the clock was set back meanwhile."""
        since_s = self._now() - (self.of(url).opened_at or 0.0)
        return since_s if since_s >= 0 else math.inf

    def failed(self, url: str, why: str, *, reached: bool = False) -> None:
        """A request to `url` got no usable answer; `reached`: but an answer."""
        self._set(url, circuit.failed(self.of(url), why, now=self._now(), reached=reached))

    def succeeded(self, url: str) -> None:
        """A request to `url` was answered."""
        if _origin(url) in self._circuits:
            self._set(url, circuit.CLOSED)

    async def close(self) -> None:
        """End the probes."""
        for task in list(self._probes.values()):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    def _set(self, url: str, state: Circuit) -> None:
        origin = _origin(url)
        before = self.of(url)
        if state == circuit.CLOSED:
            self._circuits.pop(origin, None)
        else:
            self._circuits[origin] = state
            if len(self._circuits) > MAX_ORIGINS:
                self._circuits.pop(next(iter(self._circuits)))
        if state.is_open and origin not in self._probes:
            self._probes[origin] = asyncio.ensure_future(self._probe_until_closed(url))
        if (state.is_open, state.reached) != (before.is_open, before.reached):
            if state.is_open:
                log.warning("Upstream %s does not answer (%s): serving what is held here", origin, state.why)
            else:
                log.info("Upstream %s answers again", origin)
            for listener in self._listeners:
                listener()

    async def _probe_until_closed(self, url: str) -> None:
        origin = _origin(url)
        try:
            while (state := self.of(url)).is_open:
                await asyncio.sleep(min(max(0.0, state.probe_at - self._now()), circuit.LONGEST_WAIT_S))
                try:
                    await self._probe(url)
                except UpstreamTrouble as trouble:
                    self.failed(url, getattr(trouble, "why", str(trouble)), reached=isinstance(trouble, UpstreamWrong))
                else:
                    self.succeeded(url)
        finally:
            self._probes.pop(origin, None)


def _origin(url: str) -> str:
    parts = urlsplit(without_credentials(url))
    return f"{parts.scheme}://{parts.netloc}"
