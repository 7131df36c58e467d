"""The bytes of one download, from who brings them to everybody who reads them.

The newest are in memory, all that were written are in the partial file; a reader
at any position gets them from the one or the other. Knows no network and no hash:
`mirror.download` drives it. One event loop; nothing here blocks for long.
"""

import asyncio
import bisect
from collections import deque
from pathlib import Path

from stilton.blobs.incoming import Reader

MEMORY_BYTES = 1 << 20
"""Pieces kept for clients that keep up; more only while the disk is behind."""
PIECE_BYTES = 128 << 10
"""What arrives is handed on in pieces of about this size: each wakes every client."""
GATHER_S = 0.002
"""No byte waits longer than this for others to fill a piece."""
SEND_BYTES = 256 << 10


class Feed:
    """`received`, `written`: how many bytes came, and how many of them are in the file."""

    def __init__(self) -> None:
        self.received = 0
        self.written = 0
        self._starts: deque[int] = deque()
        self._pieces: deque[bytes] = deque()
        self._gathered: list[bytes] = []
        self._gathering: asyncio.TimerHandle | None = None
        self._handed_on_at = 0.0
        self._reader: Reader | None = None
        self._blob: Path | None = None
        self._waiters: set[asyncio.Future[None]] = set()

    # -- who brings bytes -------------------------------------------------------------------

    def begin(self, file: Path) -> None:
        """From here on bytes are written to `file`, from its start."""
        self.received = self.written = 0
        self._starts.clear()
        self._pieces.clear()
        self._open(file)

    def gather(self, piece: bytes) -> None:
        """Bytes came. Handed on at once when clients wait, else in larger pieces."""
        self._gathered.append(piece)
        loop = asyncio.get_running_loop()
        if loop.time() - self._handed_on_at > GATHER_S or sum(map(len, self._gathered)) >= PIECE_BYTES:
            self.hand_on()
        elif self._gathering is None:
            self._gathering = loop.call_later(GATHER_S, self.hand_on)

    def hand_on(self) -> None:
        """Let everybody have what was gathered."""
        if self._gathering:
            self._gathering.cancel()
            self._gathering = None
        if not self._gathered:
            return
        piece = self._gathered[0] if len(self._gathered) == 1 else b"".join(self._gathered)
        self._gathered.clear()
        self._handed_on_at = asyncio.get_running_loop().time()
        self._starts.append(self.received)
        self._pieces.append(piece)
        self.received += len(piece)
        self.wake()

    def unwritten(self) -> list[bytes]:
        """Pieces that are not in the file yet."""
        first = bisect.bisect_left(self._starts, self.written)
        return [self._pieces[index] for index in range(first, len(self._pieces))]

    def wrote(self, count: int) -> None:
        """So many more bytes are in the file: what is old is forgotten, except the last of it."""
        self.written += count
        keep_from = min(self.written, max(0, self.received - MEMORY_BYTES))
        while self._starts and self._starts[0] + len(self._pieces[0]) <= keep_from:
            self._starts.popleft()
            self._pieces.popleft()
        self.wake()

    def stored(self, at: int, count: int) -> bytes:
        """Bytes from the file; fewer where it ends."""
        return self._file().read(at, count)

    # -- who follows a file that another process writes ---------------------------------------

    def follow(self, file: Path) -> bool:
        """Read along; False when the file is not there yet."""
        try:
            if self._reader is None:
                self._reader = Reader(file)
        except FileNotFoundError:
            return False
        size = self._reader.size()
        if size != self.received:
            self.received = self.written = size
            self.wake()
        return True

    def finished(self, blob: Path) -> None:
        """All of it is at `blob` now."""
        self._blob = blob

    def adopt(self, blob: Path) -> None:
        """All of it is at `blob`, written by another process."""
        self.finished(blob)
        self._open(blob)
        self.received = self.written = self._file().size()

    # -- who reads ------------------------------------------------------------------------------

    def read(self, at: int, end: int) -> bytes:
        """Some bytes from `at`, at least one, not beyond `end`; `at < received` holds."""
        if self._starts and at >= self._starts[0]:
            index = bisect.bisect_right(self._starts, at) - 1
            piece, offset = self._pieces[index], at - self._starts[index]
            if offset == 0 and at + len(piece) <= end:
                return piece
            return piece[offset : end - self._starts[index]]
        return self._file().read(at, min(end - at, SEND_BYTES))

    async def wait(self) -> None:
        """Until something happened."""
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.add(waiter)
        try:
            await waiter
        finally:
            self._waiters.discard(waiter)

    def wake(self) -> None:
        """Something happened: everybody looks again."""
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)
        self._waiters.clear()

    def close(self) -> None:
        """Free the file and the memory; a later `read` opens the blob again."""
        if self._gathering:
            self._gathering.cancel()
        if self._reader is not None:
            self._reader.close()
            self._reader = None
        self._starts.clear()
        self._pieces.clear()

    def _open(self, file: Path) -> None:
        if self._reader is not None:
            self._reader.close()
        self._reader = Reader(file)

    def _file(self) -> Reader:
        if self._reader is None:
            # The download ended before this client began to read.
            assert self._blob is not None
            self._reader = Reader(self._blob)
        return self._reader
