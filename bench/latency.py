"""A loopback TCP proxy that is far away: 50 ms there and back, and 50 ms to connect.

Bytes are delayed, never slowed down; any number of connections. A process of its
own, run as a script: latency.py PORT TARGET_PORT.
"""

import asyncio
import sys
from collections import deque

ROUND_TRIP_S = 0.05
ONE_WAY_S = ROUND_TRIP_S / 2
# Delayed bytes are held here; beyond this the sender waits.
_HELD_BYTES = 8 << 20


class Line:
    """One direction: what goes in comes out later, in order."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._held: deque[tuple[float, bytes]] = deque()
        self._size = 0
        self._timer: asyncio.TimerHandle | None = None
        self.not_before = 0.0
        self.source: asyncio.Transport | None = None
        self.sink: asyncio.Transport | None = None

    def put(self, data: bytes) -> None:
        """Take bytes; empty bytes mean that the sender is done."""
        due = max(self._loop.time(), self.not_before) + ONE_WAY_S
        self._held.append((due, data))
        self._size += len(data)
        if self._size > _HELD_BYTES and self.source is not None:
            self.source.pause_reading()
        self._set_timer()

    def wake(self) -> None:
        """The sink is there now, or can take more."""
        self._set_timer()

    def _set_timer(self) -> None:
        if self._timer is None and self._held and self.sink is not None:
            self._timer = self._loop.call_at(self._held[0][0], self._deliver)

    def _deliver(self) -> None:
        self._timer = None
        sink = self.sink
        # A timer may fire a clock tick early.
        now = self._loop.time() + 0.0005
        while self._held and self._held[0][0] <= now and sink is not None:
            _, data = self._held.popleft()
            self._size -= len(data)
            if sink.is_closing():
                continue
            sink.write(data) if data else sink.close()
        if self._size <= _HELD_BYTES and self.source is not None and not self.source.is_closing():
            self.source.resume_reading()
        self._set_timer()


class End(asyncio.Protocol):
    """One end of a connection: what it hears goes into `out`, what it says comes from `into`."""

    def __init__(self, out: Line, into: Line) -> None:
        self._out, self._into = out, into

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Both lines learn their end."""
        assert isinstance(transport, asyncio.Transport)
        self._out.source = transport
        self._into.sink = transport
        self._into.wake()

    def data_received(self, data: bytes) -> None:
        """Bytes on their way."""
        self._out.put(data)

    def connection_lost(self, exc: Exception | None) -> None:
        """The other end hears of it late as well."""
        del exc
        self._out.source = None
        self._out.put(b"")


class Near(End):
    """The client's end: connects the far one."""

    def __init__(self, target_port: int) -> None:
        self._loop = asyncio.get_running_loop()
        self._target_port = target_port
        self._there, self._back = Line(self._loop), Line(self._loop)
        self._task: asyncio.Task[None] | None = None
        super().__init__(self._there, self._back)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The kernel has accepted at once; the 50 ms of a handshake are added to the first bytes."""
        super().connection_made(transport)
        self._there.not_before = self._loop.time() + ROUND_TRIP_S
        self._task = self._loop.create_task(self._connect(transport))

    async def _connect(self, near: asyncio.BaseTransport) -> None:
        try:
            await self._loop.create_connection(lambda: End(self._back, self._there), "127.0.0.1", self._target_port)
        except OSError:
            near.close()


async def serve(port: int, target_port: int) -> None:
    """Carry bytes until ended."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Near(target_port), "127.0.0.1", port, backlog=512)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), int(sys.argv[2])))
