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
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

from stilton.blobs.incoming import Partial
from stilton.domain.errors import StiltonError, UpstreamUnavailable, UpstreamWrong
from stilton.domain.files import File, best_hash
from stilton.metrics import Metrics
from stilton.mirror.feed import Feed
from stilton.upstream.index import Stream, Upstream

log = logging.getLogger(__name__)

BACKLOG_BYTES = 4 << 20
"""Unwritten bytes at which reading from upstream pauses."""
INLINE_BYTES = 64 << 10
"""So much is written and hashed sooner than a thread would begin to."""
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
        self._feed = Feed()
        self._began = False
        self._proved = False
        self._ended = False
        self._error: StiltonError | None = None
        self._writing: asyncio.Task[None] | None = None
        self._readers = 0

    async def run(self) -> None:
        """Download, or watch another process do it; ends when the file is kept or given up."""
        try:
            # Two system calls; a thread would cost ten times as much before the first byte.
            while not self._partial.claim():
                await self._watch()
            # Ours now; perhaps because the other process is done.
            kept = await self._find_kept()
            if kept is not None:
                self._feed.adopt(kept)
                self._proved = True
                self._start(self._feed.received, self.last_modified)
            else:
                await self._lead()
        except StiltonError as error:
            self._error = error
            log.warning("Download of %s failed: %s", self.file.filename, error)
            self._metrics.count("downloads", "failed")
        finally:
            self._ended = True
            if not self._proved and self._error is None:
                self._error = UpstreamUnavailable(self._upstream.config.name, "the download was given up")
            self._feed.wake()
            self._partial.release()
            self._close_if_unused()

    @property
    def failed(self) -> bool:
        """Whether it came to nothing: who asks now must begin anew."""
        return self._error is not None

    @property
    def left_bytes(self) -> int:
        """How much it will still write, as far as is known."""
        return max(0, (self.size or self.file.size or 0) - self._feed.written)

    @property
    def is_proved(self) -> bool:
        """Whether the file is whole and right, if perhaps not recorded yet."""
        return self._proved

    async def begun(self) -> None:
        """Wait until `size` and the like are known. Raises what ended the download before that."""
        while not self._began:
            if self._error:
                raise self._error
            await self._feed.wait()

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
                    piece = self._feed.read(at, end)
                    at += len(piece)
                    yield piece
                elif self._error:
                    raise self._error
                elif self._proved and at >= self._feed.received:
                    return
                else:
                    await self._feed.wait()
        finally:
            self._readers -= 1
            self._close_if_unused()

    async def proved(self) -> None:
        """Wait until the file is whole and right. Raises what went wrong."""
        while not self._proved:
            if self._error:
                raise self._error
            await self._feed.wait()

    # -- leading: this process downloads ------------------------------------------------

    async def _lead(self) -> None:
        self._metrics.count("downloads", "started")
        pause_s = FIRST_PAUSE_S
        for attempt in range(RESUMES + 1):
            before = self._feed.received if self._writing else 0
            try:
                async with self._upstream.file(self.file.url, start=before) as stream:
                    if not self._writing:
                        self._begin(stream)
                    await self._take(stream)
                break
            except UpstreamUnavailable as trouble:
                await self._all_written()
                if attempt == RESUMES or not self._writing or trouble.retry_after_s is not None:
                    await self._stop_writing()
                    raise
                log.info("Resuming %s at byte %d: %s", self.file.filename, self._feed.received, trouble)
                self._metrics.count("downloads", "resumed")
                pause_s = FIRST_PAUSE_S if self._feed.received > before else pause_s * 2
                await asyncio.sleep(pause_s)
            except BaseException:
                await self._stop_writing()
                raise
        await self._finish()

    def _begin(self, stream: Stream) -> None:
        kind = stream.headers.get("Content-Type", "").split(";")[0].strip().lower()
        if kind in LIKELY_PAGE:
            # A captive portal or a login page, not a distribution.
            raise UpstreamWrong(f"upstream answers a web page in place of {self.file.filename}")
        size = stream.size
        if None not in (size, self.file.size) and size != self.file.size:
            raise UpstreamWrong(f"{self.file.filename} has {size} bytes, upstream promised {self.file.size}")
        modified = stream.headers.get("Last-Modified")
        best = best_hash(self.file.hashes)
        head = {"size": size, "last_modified": modified}
        self._partial.begin({best[0]} if best else set(), head)
        self._feed.begin(self._partial.path)
        self._writing = asyncio.ensure_future(self._write())
        self._start(size, modified)

    async def _take(self, stream: Stream) -> None:
        """Feed one stream's bytes; those we have already must be the same."""
        skip = self._feed.received - stream.start
        if skip < 0:
            raise UpstreamWrong(f"upstream answers from byte {stream.start}, asked for {self._feed.received}")
        at = stream.start
        async for received in stream.pieces():
            piece = received
            if skip:
                known = await asyncio.to_thread(self._feed.stored, at, min(skip, len(piece)))
                if not known or piece[: len(known)] != known:
                    raise UpstreamWrong(f"{self.file.filename} changed upstream while it was downloaded")
                at += len(known)
                skip -= len(known)
                piece = piece[len(known) :]
            if piece:
                at += len(piece)
                self._metrics.count("upstream_bytes", by=len(piece))
                self._feed.gather(piece)
                if self.file.size is not None and at > self.file.size:
                    raise UpstreamWrong(f"{self.file.filename} is longer than the {self.file.size} bytes promised")
                while self._feed.received - self._feed.written > BACKLOG_BYTES and not self._error:
                    await self._feed.wait()
            if self._error:
                raise self._error
        self._feed.hand_on()
        if self.size is not None and self._feed.received < self.size:
            raise UpstreamUnavailable(self._upstream.config.name, "it ended the transfer early")

    async def _write(self) -> None:
        """Write and hash what came, in order, off the event loop."""
        try:
            while True:
                batch = self._feed.unwritten()
                if not batch:
                    await self._feed.wait()
                    continue
                count = sum(map(len, batch))
                if count <= INLINE_BYTES:
                    _store(self._partial, batch)
                else:
                    await asyncio.to_thread(_store, self._partial, batch)
                self._feed.wrote(count)
        except StiltonError as error:
            self._error = error
            self._feed.wake()

    async def _finish(self) -> None:
        await self._all_written()
        await self._stop_writing()
        if self._error:
            raise self._error
        digests = self._partial.digests()
        best = best_hash(self.file.hashes)
        if best and digests[best[0]] != best[1]:
            raise UpstreamWrong(
                f"{self.file.filename} has {best[0]} {digests[best[0]]}, upstream promised {best[1]}; not kept"
            )
        self.size = self._feed.received
        self._proved = True
        self._feed.wake()
        digest = digests["sha256"]
        blob = await self._keep(lambda: self._partial.commit(digest), digest, self._feed.received, self.last_modified)
        self._feed.finished(blob)
        self._metrics.count("downloads", "kept")

    async def _all_written(self) -> None:
        self._feed.hand_on()
        while self._feed.written < self._feed.received and not self._error and self._writing:
            await self._feed.wait()

    async def _stop_writing(self) -> None:
        if self._writing:
            self._writing.cancel()
            await asyncio.gather(self._writing, return_exceptions=True)
            self._writing = None

    # -- watching: another process downloads ----------------------------------------------

    async def _watch(self) -> None:
        head = self._partial.head()
        if head is not None and self._feed.follow(self._partial.path) and not self._began:
            self._start(head["size"], head["last_modified"])
        await asyncio.sleep(WATCH_S)

    # -- what clients see -----------------------------------------------------------------

    def _start(self, size: int | None, modified: str | None) -> None:
        self.size = size
        self.last_modified = modified
        self._began = True
        self._feed.wake()

    def _available(self) -> int:
        """How far clients may read: not to the last byte before it is proved."""
        if self._proved or self.size is None:
            return self._feed.received
        return min(self._feed.received, self.size - 1)

    def _close_if_unused(self) -> None:
        if self._ended and not self._readers:
            self._feed.close()


def _store(partial: Partial, batch: list[bytes]) -> None:
    for piece in batch:
        partial.write(piece)
        partial.digest(piece)
