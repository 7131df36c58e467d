"""A file passed through to one client, and not kept: too large for the mirror, or for what room the disk has.

The last byte is withheld until the hash is proved, as of a download that is kept (`mirror.download`). Each client
has an upstream transfer of its own, and none is resumed.
"""

import hashlib
from collections.abc import AsyncIterator

from stilton.domain.errors import UpstreamRefused, UpstreamUnavailable, UpstreamWrong
from stilton.domain.files import File, best_hash
from stilton.metrics import Metrics
from stilton.mirror.download import LIKELY_PAGE
from stilton.upstream.index import Stream, Upstream


class Passing:
    """`file` on its way from upstream to a client. `size`: bytes of the whole; None when upstream does not tell."""

    def __init__(self, file: File, upstream: Upstream, metrics: Metrics) -> None:
        self.file = file
        self.size = file.size
        self.last_modified: str | None = None
        self._upstream = upstream
        self._metrics = metrics
        self._asked = False

    async def begun(self) -> None:
        """Ask upstream, once, whether it has the file. Raises UpstreamUnavailable, UpstreamRefused."""
        if self._asked:
            return
        try:
            size = await self._upstream.size(self.file.url)
        except UpstreamRefused as refused:
            if refused.status in (404, 410):
                raise
            size = None  # one that knows no HEAD
        self._asked = True
        self.size = size if size is not None else self.size

    async def pieces(self, first: int, last: int | None) -> AsyncIterator[bytes]:
        """Bytes `first` to `last` (None: to the end), as they come. Raises the StiltonError that ended it."""
        self._metrics.count("downloads", "passed")
        best = best_hash(self.file.hashes)
        running = hashlib.new(best[0] if best else "sha256", usedforsecurity=False)
        at, withheld = 0, b""
        async with self._upstream.file(self.file.url) as stream:
            self._check(stream)
            async for piece in stream.pieces():
                self._metrics.count("upstream_bytes", by=len(piece))
                running.update(piece)
                wanted = piece[max(0, first - at) : None if last is None else max(0, last + 1 - at)]
                at += len(piece)
                if wanted:
                    yield withheld + wanted[:-1]
                    withheld = wanted[-1:]
        self._prove(at, running.hexdigest() if best else None)
        yield withheld

    def _check(self, stream: Stream) -> None:
        kind = stream.headers.get("Content-Type", "").split(";")[0].strip().lower()
        if kind in LIKELY_PAGE or stream.start:
            raise UpstreamWrong(f"upstream does not answer with {self.file.filename}")

    def _prove(self, received: int, digest: str | None) -> None:
        if self.size is not None and received < self.size:
            raise UpstreamUnavailable(self._upstream.config.name, "it ended the transfer early")
        best = best_hash(self.file.hashes)
        if best is not None and digest != best[1]:
            raise UpstreamWrong(f"{self.file.filename} has {best[0]} {digest}, upstream promised {best[1]}")
