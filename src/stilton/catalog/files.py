"""Files as seen through an index: on the disk, on their way, elsewhere, or not to be had."""

import os
from hashlib import sha256
from pathlib import Path

import msgspec

from stilton.blobs.local import LocalBlobs
from stilton.catalog.indexes import Indexes
from stilton.db import mirrors, stages
from stilton.db.database import Database
from stilton.domain.errors import Damaged, FileNotFound, Gone, Quarantined, StorageTrouble, UpstreamTrouble
from stilton.domain.files import File, best_hash, path_of
from stilton.domain.holdings import Held
from stilton.domain.indexes import Index
from stilton.domain.names import IndexName, ProjectName, projects_of
from stilton.domain.permission import Actor
from stilton.domain.publishing import Kind, StageFile, http_date
from stilton.domain.ranges import Part
from stilton.lru import Lru
from stilton.mirror.download import Download
from stilton.mirror.files import Listed, Stored
from stilton.mirror.metadata import Unkept
from stilton.mirror.mirror import Mirror
from stilton.mirror.passing import Passing

REMEMBERED = 20_000
METADATA_SUFFIX = ".metadata"
PROVENANCE_SUFFIX = ".provenance"
PART_LIMIT_BYTES = 4 << 20
"""Ranges up to this size are passed through while the file is not here."""


class OnDisk(msgspec.Struct, frozen=True):
    """Whole and right, at `path`. `etag`: strong, quoted. `public`: everybody may have it."""

    path: Path
    size: int
    etag: str
    last_modified: str | None
    public: bool = True


class InMemory(msgspec.Struct, frozen=True):
    """Whole and right, and on no disk. `etag`: strong, quoted. `public`: everybody may have it."""

    content: bytes
    etag: str
    public: bool = True


class Arriving(msgspec.Struct, frozen=True):
    """Upstream has it: `arrivals` gets it. `etag` None: its hash is not known yet."""

    mirror: Mirror
    listed: Listed
    etag: str | None
    size: int | None
    public: bool = True


class Elsewhere(msgspec.Struct, frozen=True):
    """This index keeps no files: the client is sent to `url`."""

    url: str


class Files:
    """Files of all indexes."""

    def __init__(self, indexes: Indexes, db: Database, blobs: LocalBlobs) -> None:
        self._indexes = indexes
        self._db = db
        self._blobs = blobs
        self._stored: Lru[tuple[IndexName, str], OnDisk] = Lru(REMEMBERED)
        self._paths: dict[tuple[IndexName, ProjectName], set[str]] = {}

    def ready(self, index: str, path: str) -> OnDisk | None:
        """What was found before, did not change since and is for everybody. No I/O."""
        return self._stored.get((IndexName(index), path))

    def is_public(self, user: str, name: str) -> bool:
        """Whether everybody may have this index's files; False as long as nobody asked for one."""
        return self._indexes.is_public(IndexName(f"{user}/{name}"))

    async def find(self, actor: Actor, user: str, name: str, path: str) -> OnDisk | InMemory | Arriving | Elsewhere:
        """The file at `path` below the index (decoded), or what belongs to one: its metadata or provenance.

        An index answers for its own files only: those that it inherits have the URL of the index
        that has them. Raises IndexNotFound, Denied, FileNotFound, Gone, Quarantined, NotHeld, UpstreamTrouble.
        """
        index = await self._indexes.readable(actor, user, name)
        public = self._indexes.is_public(index.full_name)
        if not index.is_mirror:
            return self._published(index, path, public=public)
        mirror = self._indexes.mirror(index.full_name)
        if path.endswith(PROVENANCE_SUFFIX):
            raise FileNotFound(path, "a mirror's pages say where upstream has it")
        if path.endswith(METADATA_SUFFIX):
            wheel = path.removesuffix(METADATA_SUFFIX)
            mirror.read_ahead.considered(wheel)
            found: Stored | Listed | Unkept = await mirror.metadata.find(wheel)
        else:
            found = await mirror.files.find(path)
        if isinstance(found, Stored):
            on_disk = OnDisk(found.path, found.size, f'"{found.digest}"', found.last_modified, public)
            self._remember(index.full_name, path, on_disk)
            return on_disk
        if isinstance(found, Unkept):
            return InMemory(found.content, f'"{sha256(found.content).hexdigest()}"', public)
        if mirror.config.use_external_urls:
            return Elsewhere(found.file.url)
        best = best_hash(found.file.hashes)
        etag = f'"{best[1]}"' if best and best[0] == "sha256" else None
        return Arriving(mirror, found, etag, found.file.size, public)

    async def hold(self, mirror: IndexName, project: ProjectName, file: File) -> Held:
        """Fetch a mirror's file whole, if it is not here; what is held of it then. Raises as `find`."""
        await self._indexes.mirror(mirror).files.whole(Listed(project, file))
        entry = self._db.glance(mirrors.held_file, mirror, path_of(file))
        if entry is None or entry.held.digest is None:
            raise StorageTrouble(file.filename, "see the log")
        return entry.held

    async def fetch(self, mirror: IndexName, path: str) -> None:
        """Fetch the mirror's file at `path`, if it is not here. Raises as `find`."""
        files = self._indexes.mirror(mirror).files
        found = await files.find(path)
        if isinstance(found, Listed):
            await files.whole(found)

    def entry(self, index: Index, path: str) -> StageFile:
        """What a private index knows of the file at `path`. Raises FileNotFound, Gone."""
        entry = self._db.glance(stages.file, index.full_name, path)
        if entry is None:
            raise FileNotFound(path)
        if entry.gone_at is not None:
            raise Gone(path)
        return entry

    def forget(self, index: IndexName, project: ProjectName) -> None:
        """Something about this project changed."""
        for path in self._paths.pop((index, project), ()):
            self._stored.pop((index, path))

    def forget_all(self) -> None:
        """Something about an index changed: who may read it, perhaps."""
        self._paths.clear()
        self._stored.clear()

    def _published(self, index: Index, path: str, *, public: bool) -> OnDisk:
        suffix = next((one for one in (METADATA_SUFFIX, PROVENANCE_SUFFIX) if path.endswith(one)), "")
        entry = self.entry(index, path.removesuffix(suffix))
        project = self._db.glance(stages.project, index.full_name, entry.project)
        if project is not None and project.status is not None and project.status.status == "quarantined":
            raise Quarantined(entry.project)
        digest = {
            "": entry.digest, METADATA_SUFFIX: entry.metadata_digest, PROVENANCE_SUFFIX: entry.provenance_digest,
        }[suffix]  # fmt: skip
        if digest is None:
            raise FileNotFound(path, f"this file has no {suffix.removeprefix('.')}")
        blob = self._blobs.path(digest)
        try:
            size = os.stat(blob).st_size  # noqa: PTH116 - on a hot path
        except OSError:
            raise Damaged(path, "its bytes are missing on the server's disk") from None
        on_disk = OnDisk(blob, size, f'"{digest}"', http_date(entry.uploaded_at), public)
        # What may change under its URL is looked up each time.
        if suffix != PROVENANCE_SUFFIX and entry.kind is Kind.RELEASE:
            self._remember(index.full_name, path, on_disk)
        return on_disk

    def _remember(self, index: IndexName, path: str, on_disk: OnDisk) -> None:
        if not on_disk.public:
            return
        if len(self._paths) > REMEMBERED:
            self.forget_all()
        for project in projects_of(path.rsplit("/", 1)[-1].removesuffix(METADATA_SUFFIX)):
            self._paths.setdefault((index, project), set()).add(path)
        self._stored.put((index, path), on_disk)


async def download(arriving: Arriving) -> Download | Passing:
    """Begin, or join, the download, or have it passed on when the disk has no room.

    It knows its size if upstream told. Raises as `Files.find`.
    """
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
