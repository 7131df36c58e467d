"""One file on its way from upstream to the disk and to every client that waits for it.

    upstream ──pieces──► memory (the last few MiB) ──► clients that keep up
                            │
                            └──► a thread: write, then hash ──► the partial file ──► clients behind
                                                                     │
                                        whole, and equal to its hash ┘──► blob, row in the database

Clients never get the last byte before the hash is proved: a wrong file shows as a
broken transfer. The download goes on when clients leave. Across processes the lock
of `blobs.incoming.Partial` decides who downloads; the others watch the file grow.
"""

import asyncio
import bisect
import logging
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

from stilton.blobs.incoming import Partial, Reader
from stilton.domain.errors import StiltonError, UpstreamUnavailable, UpstreamWrong
from stilton.domain.files import File, best_hash
from stilton.metrics import Metrics
from stilton.upstream.index import Stream, Upstream

log = logging.getLogger(__name__)

MEMORY_BYTES = 1 << 20
"""Pieces kept for clients that keep up; more only while the disk is behind."""
BACKLOG_BYTES = 4 << 20
"""Unwritten bytes at which reading from upstream pauses."""
PIECE_BYTES = 128 << 10
"""What arrives is handed on in pieces of about this size: each wakes every client."""
GATHER_S = 0.002
"""No byte waits longer than this for others to fill a piece."""
INLINE_BYTES = 64 << 10
"""So much is written and hashed sooner than a thread would begin to."""
SEND_BYTES = 256 << 10
RESUMES = 5
FIRST_PAUSE_S = 0.2
WATCH_S = 0.005
"""How often the file that another process writes is looked at."""
LIKELY_PAGE = ("text/html", "application/xhtml+xml")


class Download:
    """The download of `file`.

    `keep(commit, digest, size, last modified)` records it when whole; it calls `commit` in a thread.
    `find_kept()` gives the path of the blob when another process finished it.
    """

    def __init__(
        self,
        file: File,
        partial: Partial,
        upstream: Upstream,
        metrics: Metrics,
        keep: Callable[[Callable[[], Path], str, int, str | None], Awaitable[Path]],
        find_kept: Callable[[], Awaitable[Path | None]],
    ) -> None:
        self.file = file
        self.size: int | None = None
        self.last_modified: str | None = None
        self._partial = partial
        self._upstream = upstream
        self._metrics = metrics
        self._keep = keep
        self._find_kept = find_kept
        self._starts: deque[int] = deque()
        self._pieces: deque[bytes] = deque()
        self._gathered: list[bytes] = []
        self._gathering: asyncio.TimerHandle | None = None
        self._handed_on_at = 0.0
        self._received = 0
        self._written = 0
        self._proved = False
        self._began = False
        self._error: StiltonError | None = None
        self._reader: Reader | None = None
        self._blob: Path | None = None
        self._waiters: set[asyncio.Future[None]] = set()
        self._writing: asyncio.Task[None] | None = None
        self._readers = 0
        self._ended = False

    async def run(self) -> None:
        """Download, or watch another process do it; ends when the file is kept or given up."""
        try:
            # Two system calls; a thread would cost ten times as much before the first byte.
            while not self._partial.claim():
                await self._watch()
            # Ours now; perhaps because the other process is done.
            kept = await self._find_kept()
            if kept is not None:
                self._adopt(kept)
            else:
                await self._lead()
        except StiltonError as error:
            self._error = error
            log.warning("Download of %s failed: %s", self.file.filename, error)
            self._metrics.count("downloads", "failed")
        except Exception as error:
            self._error = UpstreamUnavailable(self._upstream.config.name, "the download was given up")
            raise error from None
        finally:
            self._ended = True
            self._wake()
            self._partial.release()
            self._close_if_unused()

    async def begun(self) -> None:
        """Wait until `size` and the like are known. Raises what ended the download before that."""
        while not self._began:
            if self._error:
                raise self._error
            await self._wait()

    async def pieces(self, first: int, last: int | None) -> AsyncIterator[bytes]:
        """Bytes `first` to `last` (None: to the end), as they come.

        Raises the StiltonError that ended the download; what was given until then is to be discarded.
        """
        self._readers += 1
        at = first
        try:
            while last is None or at <= last:
                end = self._available() if last is None else min(self._available(), last + 1)
                if at < end:
                    piece = self._read(at, end)
                    at += len(piece)
                    yield piece
                elif self._error:
                    raise self._error
                elif self._proved and at >= self._received:
                    return
                else:
                    await self._wait()
        finally:
            self._readers -= 1
            self._close_if_unused()

    async def proved(self) -> None:
        """Wait until the file is whole and right. Raises what went wrong."""
        while not self._proved:
            if self._error:
                raise self._error
            await self._wait()

    # -- leading: this process downloads ------------------------------------------------

    async def _lead(self) -> None:
        self._received = self._written = 0
        self._metrics.count("downloads", "started")
        pause_s = FIRST_PAUSE_S
        for attempt in range(RESUMES + 1):
            before = self._received
            try:
                async with self._upstream.file(self.file.url, start=self._received) as stream:
                    if not self._writing:
                        await self._begin(stream)
                    await self._take(stream)
                break
            except UpstreamUnavailable as trouble:
                self._hand_on()
                if attempt == RESUMES or not self._writing or trouble.retry_after_s is not None:
                    await self._stop_writing()
                    raise
                log.info("Resuming %s at byte %d: %s", self.file.filename, self._received, trouble)
                self._metrics.count("downloads", "resumed")
                pause_s = FIRST_PAUSE_S if self._received > before else pause_s * 2
                await asyncio.sleep(pause_s)
            except BaseException:
                await self._stop_writing()
                raise
        await self._finish()

    async def _begin(self, stream: Stream) -> None:
        kind = stream.headers.get("Content-Type", "").split(";")[0].strip().lower()
        if kind in LIKELY_PAGE:
            # A captive portal or a login page, not a distribution.
            raise UpstreamWrong(f"upstream answers a web page in place of {self.file.filename}")
        size = stream.size
        modified = stream.headers.get("Last-Modified")
        best = best_hash(self.file.hashes)
        head = {"size": size, "last_modified": modified}
        self._partial.begin({best[0]} if best else set(), head)
        self._reader = self._reader or Reader(self._partial.path)
        self._writing = asyncio.ensure_future(self._write())
        self._start(size, modified)

    async def _take(self, stream: Stream) -> None:
        """Feed one stream's bytes; those we have already must be the same."""
        skip = self._received - stream.start
        if skip < 0:
            raise UpstreamWrong(f"upstream answers from byte {stream.start}, asked for {self._received}")
        at = stream.start
        async for received in stream.pieces():
            piece = received
            if skip:
                known = await asyncio.to_thread(self._known, at, min(skip, len(piece)))
                if piece[: len(known)] != known:
                    raise UpstreamWrong(f"{self.file.filename} changed upstream while it was downloaded")
                at += len(known)
                skip -= len(known)
                piece = piece[len(known) :]
            if piece:
                at += len(piece)
                self._gather(piece)
                while self._received - self._written > BACKLOG_BYTES and not self._error:
                    await self._wait()
            if self._error:
                raise self._error
        self._hand_on()
        if self.size is not None and self._received < self.size:
            raise UpstreamUnavailable(self._upstream.config.name, "it ended the transfer early")

    def _gather(self, piece: bytes) -> None:
        """Hand on at once when clients wait, else in larger pieces."""
        self._gathered.append(piece)
        loop = asyncio.get_running_loop()
        if loop.time() - self._handed_on_at > GATHER_S or sum(map(len, self._gathered)) >= PIECE_BYTES:
            self._hand_on()
        elif self._gathering is None:
            self._gathering = loop.call_later(GATHER_S, self._hand_on)

    def _hand_on(self) -> None:
        if self._gathering:
            self._gathering.cancel()
            self._gathering = None
        if not self._gathered:
            return
        piece = self._gathered[0] if len(self._gathered) == 1 else b"".join(self._gathered)
        self._gathered.clear()
        self._handed_on_at = asyncio.get_running_loop().time()
        self._metrics.count("upstream_bytes", by=len(piece))
        self._starts.append(self._received)
        self._pieces.append(piece)
        self._received += len(piece)
        self._wake()

    def _known(self, at: int, count: int) -> bytes:
        return self._reader.read(at, count) if self._reader else b""

    async def _write(self) -> None:
        """Write and hash what came, in order, off the event loop."""
        try:
            while True:
                batch = self._unwritten()
                if not batch:
                    await self._wait()
                    continue
                count = sum(map(len, batch))
                if count <= INLINE_BYTES:
                    _store(self._partial, batch)
                else:
                    await asyncio.to_thread(_store, self._partial, batch)
                self._written += count
                self._trim()
                self._wake()
        except StiltonError as error:
            self._error = error
            self._wake()

    async def _finish(self) -> None:
        while self._written < self._received and not self._error:
            await self._wait()
        await self._stop_writing()
        if self._error:
            raise self._error
        digests = self._partial.digests()
        best = best_hash(self.file.hashes)
        if best and digests[best[0]] != best[1]:
            raise UpstreamWrong(
                f"{self.file.filename} has {best[0]} {digests[best[0]]}, upstream promised {best[1]}; not kept"
            )
        self.size = self._received
        self._proved = True
        self._wake()
        digest = digests["sha256"]
        self._blob = await self._keep(lambda: self._partial.commit(digest), digest, self._received, self.last_modified)
        self._metrics.count("downloads", "kept")

    async def _stop_writing(self) -> None:
        if self._writing:
            self._writing.cancel()
            await asyncio.gather(self._writing, return_exceptions=True)
            self._writing = None

    # -- watching: another process downloads ----------------------------------------------

    async def _watch(self) -> None:
        if self._reader is None:
            head = self._partial.head()
            if head is not None:
                try:
                    self._reader = Reader(self._partial.path)
                except FileNotFoundError:
                    head = None
            if head is not None:
                self._start(head["size"], head["last_modified"])
        if self._reader is not None and self._reader.size() != self._received:
            self._received = self._written = self._reader.size()
            self._wake()
        await asyncio.sleep(WATCH_S)

    def _adopt(self, blob: Path) -> None:
        self._blob = blob
        reader, self._reader = self._reader, Reader(blob)
        if reader:
            reader.close()
        self._received = self._written = self._reader.size()
        self._start(self._received, self.last_modified)
        self._proved = True

    # -- what clients see -----------------------------------------------------------------

    def _start(self, size: int | None, modified: str | None) -> None:
        self.size = size
        self.last_modified = modified
        self._began = True
        self._wake()

    def _available(self) -> int:
        """How far clients may read: not to the last byte before it is proved."""
        if self._proved or self.size is None:
            return self._received
        return min(self._received, self.size - 1)

    def _read(self, at: int, end: int) -> bytes:
        if self._starts and at >= self._starts[0]:
            index = bisect.bisect_right(self._starts, at) - 1
            piece = self._pieces[index]
            offset = at - self._starts[index]
            if offset == 0 and at + len(piece) <= end:
                return piece
            return piece[offset : end - self._starts[index]]
        if self._reader is None:
            # The download ended before this client began to read.
            assert self._blob is not None
            self._reader = Reader(self._blob)
        return self._reader.read(at, min(end - at, SEND_BYTES))

    def _unwritten(self) -> list[bytes]:
        first = bisect.bisect_left(self._starts, self._written)
        return [self._pieces[index] for index in range(first, len(self._pieces))]

    def _trim(self) -> None:
        """Forget pieces that are on the disk, except the last few MiB."""
        keep_from = min(self._written, max(0, self._received - MEMORY_BYTES))
        while self._starts and self._starts[0] + len(self._pieces[0]) <= keep_from:
            self._starts.popleft()
            self._pieces.popleft()

    async def _wait(self) -> None:
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.add(waiter)
        try:
            await waiter
        finally:
            self._waiters.discard(waiter)

    def _wake(self) -> None:
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)
        self._waiters.clear()

    def _close_if_unused(self) -> None:
        if self._ended and not self._readers and self._reader:
            self._reader.close()
            self._reader = None
            self._pieces.clear()
            self._starts.clear()


def _store(partial: Partial, batch: list[bytes]) -> None:
    for piece in batch:
        partial.write(piece)
        partial.digest(piece)
