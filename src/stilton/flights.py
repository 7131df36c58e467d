"""One flight per key: callers that ask while it is in the air share its landing."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Flights(Generic[K, V]):
    """Work shared by key. It outlives callers that give up."""

    def __init__(self) -> None:
        self._air: dict[K, asyncio.Future[V]] = {}

    def __contains__(self, key: K) -> bool:
        return key in self._air

    async def join(self, key: K, depart: Callable[[], Awaitable[V]]) -> V:
        """The result of the flight for `key`; `depart()` starts it when none is in the air."""
        flight = self._air.get(key)
        if flight is None:
            flight = asyncio.ensure_future(depart())
            self._air[key] = flight
            flight.add_done_callback(lambda landed: self._landed(key, landed))
        # One impatient caller must not cancel the flight for the others.
        return await asyncio.shield(flight)

    async def drain(self) -> None:
        """Cancel what is in the air and wait for its end."""
        for flight in list(self._air.values()):
            flight.cancel()
        await asyncio.gather(*self._air.values(), return_exceptions=True)

    def _landed(self, key: K, flight: asyncio.Future[V]) -> None:
        self._air.pop(key, None)
        if not flight.cancelled():
            # Everybody may have given up: the error was theirs to see, not the event loop's.
            flight.exception()
