"""Files as seen through an index: on the disk, on their way, elsewhere, or not to be had."""

from pathlib import Path

import msgspec

from stilton.catalog.indexes import Indexes
from stilton.domain.errors import UpstreamTrouble
from stilton.domain.files import best_hash
from stilton.domain.names import IndexName, ProjectName, projects_of
from stilton.domain.ranges import Part
from stilton.mirror.download import Download
from stilton.mirror.files import Listed, Stored
from stilton.mirror.lru import Lru
from stilton.mirror.mirror import Mirror

REMEMBERED = 20_000
METADATA_SUFFIX = ".metadata"
PART_LIMIT_BYTES = 4 << 20
"""Ranges up to this size are passed through while the file is not here."""


class OnDisk(msgspec.Struct, frozen=True):
    """Whole and right, at `path`. `etag`: strong, quoted."""

    path: Path
    size: int
    etag: str
    last_modified: str | None


class Arriving(msgspec.Struct, frozen=True):
    """Upstream has it: `arrivals` gets it. `etag` None: its hash is not known yet."""

    mirror: Mirror
    listed: Listed
    etag: str | None
    size: int | None


class Elsewhere(msgspec.Struct, frozen=True):
    """This index keeps no files: the client is sent to `url`."""

    url: str


class Files:
    """Files of all indexes."""

    def __init__(self, indexes: Indexes) -> None:
        self._indexes = indexes
        self._stored: Lru[tuple[IndexName, str], OnDisk] = Lru(REMEMBERED)
        self._paths: dict[tuple[IndexName, ProjectName], set[str]] = {}

    def ready(self, index: str, path: str) -> OnDisk | None:
        """What was found before and did not change since. No I/O."""
        return self._stored.get((IndexName(index), path))

    async def find(self, user: str, index: str, path: str) -> OnDisk | Arriving | Elsewhere:
        """The file, or metadata file, at `path` below the index (decoded).

        Raises IndexNotFound, FileNotFound, Quarantined, NotHeld, UpstreamTrouble.
        """
        mirror = await self._indexes.mirror(user, index)
        if path.endswith(METADATA_SUFFIX):
            wheel = path.removesuffix(METADATA_SUFFIX)
            mirror.read_ahead.considered(wheel)
            found: Stored | Listed = await mirror.metadata.find(wheel)
        else:
            found = await mirror.files.find(path)
        if isinstance(found, Stored):
            return self._remember(mirror.config.name, path, found)
        if mirror.config.use_external_urls:
            return Elsewhere(found.file.url)
        best = best_hash(found.file.hashes)
        etag = f'"{best[1]}"' if best and best[0] == "sha256" else None
        return Arriving(mirror, found, etag, found.file.size)

    def forget(self, index: IndexName, project: ProjectName) -> None:
        """Something about this project changed."""
        for path in self._paths.pop((index, project), ()):
            self._stored.pop((index, path))

    def _remember(self, index: IndexName, path: str, stored: Stored) -> OnDisk:
        on_disk = OnDisk(stored.path, stored.size, f'"{stored.digest}"', stored.last_modified)
        if len(self._paths) > REMEMBERED:
            self._paths.clear()
            self._stored.clear()
        for project in projects_of(path.rsplit("/", 1)[-1].removesuffix(METADATA_SUFFIX)):
            self._paths.setdefault((index, project), set()).add(path)
        self._stored.put((index, path), on_disk)
        return on_disk


async def download(arriving: Arriving) -> Download:
    """Begin, or join, the download; it knows its size if upstream told. Raises as `Files.find`."""
    return await arriving.mirror.files.begin(arriving.listed)


async def size(arriving: Arriving) -> int | None:
    """Size of the whole in bytes; None when upstream does not tell. Raises as `Files.find`.

    Asks for headers only; an upstream that refuses HEAD is asked for the file itself.
    """
    if arriving.size is not None:
        return arriving.size
    try:
        return await arriving.mirror.upstream.size(arriving.listed.file.url)
    except UpstreamTrouble:
        return (await download(arriving)).size


async def passed_through(arriving: Arriving, part: Part) -> bytes | None:
    """A small range, straight from upstream and not kept; None when that cannot be done.

    A client that reads a wheel's directory must not wait for the whole wheel.
    """
    if part.size > PART_LIMIT_BYTES:
        return None
    try:
        got = await arriving.mirror.upstream.part(
            arriving.listed.file.url, f"bytes={part.first}-{part.last}", PART_LIMIT_BYTES
        )
    except UpstreamTrouble:
        return None
    if got is None or got[1] != part.first or len(got[0]) != part.size:
        return None
    return got[0]
