"""Core metadata files for every wheel (PEP 658/714), made when they are asked for.

In this order: what is kept · upstream's own file, checked by its hash and by what
it says · read out of the wheel that is held · read out of upstream's wheel by
ranges · read out of the whole wheel. The bytes are never rewritten.
"""

import asyncio
import logging
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO, cast
from urllib.parse import urlsplit

import msgspec

from stilton.blobs.local import LocalBlobs
from stilton.db import mirrors
from stilton.db.database import Database
from stilton.db.mirrors import HeldFile
from stilton.domain.errors import (
    FileNotFound,
    NotHeld,
    OfflineMode,
    StorageTrouble,
    UpstreamTrouble,
    UpstreamUnavailable,
)
from stilton.domain.files import File
from stilton.domain.holdings import Held
from stilton.domain.metadata import MAX_METADATA_BYTES, fits
from stilton.domain.names import is_wheel
from stilton.flights import Flights
from stilton.mirror.files import Files, Listed, Stored
from stilton.mirror.wheels import Remote, read_metadata
from stilton.upstream.index import Upstream

log = logging.getLogger(__name__)

TAIL_BYTES = 64 << 10
MAX_RANGE_BYTES = 8 << 20
GIVE_UP_AFTER = 3
"""So many wheels without a metadata file upstream, and it is not asked for more of them."""


class Unkept(msgspec.Struct, frozen=True):
    """A metadata file that the disk did not take; the next one who asks has it made anew."""

    content: bytes


class Metadata:
    """Metadata files of one mirror."""

    def __init__(
        self, upstream: Upstream, files: Files, db: Database, blobs: LocalBlobs, now: Callable[[], float]
    ) -> None:
        self._upstream = upstream
        self._mirror = upstream.config.name
        self._files = files
        self._db = db
        self._blobs = blobs
        self._now = now
        self._flights: Flights[str, str | Unkept] = Flights()
        self._misses = 0
        self._no_ranges = False

    async def find(self, path: str) -> Stored | Unkept:
        """The metadata file of the distribution at `path`.

        Raises FileNotFound when the file has none, else as `Files.find` does.
        """
        entry = self._db.glance(mirrors.held_file, self._mirror, path)
        digest = entry.held.metadata_digest if entry else None
        if entry is not None:
            await self._files.check_offered(entry.project)
        if digest is None or (digest and not self._blobs.intact(digest)):
            made = await self._flights.join(path, lambda: self._make(path))
            if isinstance(made, Unkept):
                return made
            digest = made
        if not digest:
            raise FileNotFound(path + ".metadata", "this file has no core metadata")
        blob = self._blobs.path(digest)
        return Stored(blob, digest, blob.stat().st_size, None)

    async def close(self) -> None:
        """Give up what is in progress."""
        await self._flights.drain()

    async def _make(self, path: str) -> str | Unkept:
        found = await self._files.find(path)
        if isinstance(found, Stored):
            entry = self._db.glance(mirrors.held_file, self._mirror, path)
            assert entry is not None
            listed = Listed(entry.project, File(filename=path.rsplit("/", 1)[-1]))
            metadata = await asyncio.to_thread(_from_wheel, found.path, listed.file.filename)
        else:
            listed = found
            metadata = await self._get(found)
        try:
            return await self._kept(path, listed, metadata)
        except StorageTrouble:
            # Whoever runs the server is told by others; who installs needs it all the same.
            return "" if metadata is None else Unkept(metadata)

    async def _kept(self, path: str, listed: Listed, metadata: bytes | None) -> str:
        # Some kilobytes, not synced: a thread would cost more than the write.
        digest = self._blobs.put(metadata) if metadata is not None else ""
        entry = HeldFile(path=path, project=listed.project, held=Held(metadata_digest=digest))
        await self._db.write(mirrors.keep_file, self._mirror, entry, self._now())
        return digest

    async def _get(self, listed: Listed) -> bytes | None:
        try:
            metadata = await self._upstreams(listed.file)
            if metadata is None and is_wheel(listed.file.filename):
                metadata = await self._by_ranges(listed.file) or await self._by_whole(listed)
        except OfflineMode as offline:
            raise NotHeld(f"the metadata of {listed.file.filename}", self._mirror) from offline
        return metadata

    async def _upstreams(self, file: File) -> bytes | None:
        """Upstream's metadata file; None when it has none or one that must not be believed."""
        advertised = file.core_metadata not in (None, False)
        if not advertised and (file.core_metadata is False or self._misses >= GIVE_UP_AFTER):
            return None
        parts = urlsplit(file.url)
        url = parts._replace(path=parts.path + ".metadata").geturl()
        try:
            metadata = await self._upstream.small(url, MAX_METADATA_BYTES)
        except UpstreamUnavailable:
            raise
        except UpstreamTrouble as trouble:
            self._misses += not advertised
            if advertised:
                log.warning("Upstream advertises metadata of %s but: %s", file.filename, trouble)
            return None
        self._misses = 0 if not advertised else self._misses
        wanted = file.core_metadata.get("sha256") if isinstance(file.core_metadata, dict) else None
        if wanted and sha256(metadata).hexdigest() != wanted:
            log.error("Upstream's metadata of %s does not have the hash it promised", file.filename)
            return None
        if not wanted and not fits(metadata, file.filename):
            log.warning("Upstream's metadata of %s is not of that file", file.filename)
            return None
        return metadata

    async def _by_ranges(self, file: File) -> bytes | None:
        if self._no_ranges:
            return None
        try:
            tail = await self._upstream.part(file.url, f"bytes=-{TAIL_BYTES}", TAIL_BYTES)
        except UpstreamTrouble:
            return None
        if tail is None:
            self._no_ranges = True
            return None
        data, start, size = tail
        if start + len(data) != size:
            return None
        loop = asyncio.get_running_loop()

        def fetch(first: int, last: int) -> bytes:
            coming = self._upstream.part(file.url, f"bytes={first}-{last}", MAX_RANGE_BYTES)
            part = asyncio.run_coroutine_threadsafe(coming, loop).result()
            if part is None or part[1] != first:
                raise ValueError("upstream gave another range than was asked for")
            return part[0]

        try:
            archive = cast("BinaryIO", Remote(size, data, fetch))
            return await asyncio.to_thread(read_metadata, archive, file.filename)
        except UpstreamTrouble:
            return None

    async def _by_whole(self, listed: Listed) -> bytes | None:
        blob = await self._files.whole(listed)
        return await asyncio.to_thread(_from_wheel, blob, listed.file.filename)


def _from_wheel(blob: Path, filename: str) -> bytes | None:
    if not is_wheel(filename):
        return None
    with blob.open("rb") as archive:
        return read_metadata(archive, filename)
