"""A mirror's files: found by path, downloaded once, kept when whole and right."""

import asyncio
import hashlib
import logging
from collections.abc import Callable
from pathlib import Path

import msgspec

from stilton.blobs.incoming import Partial
from stilton.blobs.local import LocalBlobs
from stilton.db import mirrors
from stilton.db.database import Database
from stilton.db.mirrors import HeldFile
from stilton.domain.errors import (
    FileNotFound,
    NotFound,
    NotHeld,
    OfflineMode,
    Quarantined,
    StiltonError,
    StorageTrouble,
    UpstreamRefused,
)
from stilton.domain.files import File, path_of
from stilton.domain.holdings import Held
from stilton.domain.names import ProjectName, is_wheel, projects_of
from stilton.metrics import Metrics
from stilton.mirror.download import Download
from stilton.mirror.passing import Passing
from stilton.mirror.projects import Projects
from stilton.mirror.wheels import read_metadata
from stilton.upstream.index import Upstream

log = logging.getLogger(__name__)

MAX_CANDIDATES = 4
"""An sdist's name may be cut in several places; so many projects are looked at."""


class Stored(msgspec.Struct, frozen=True):
    """A file on the disk. `digest`: its sha256. `last_modified`: an HTTP date."""

    path: Path
    digest: str
    size: int
    last_modified: str | None


class Listed(msgspec.Struct, frozen=True):
    """A file that upstream has and this server has not."""

    project: ProjectName
    file: File


class Files:
    """Files of one mirror. `has_room(bytes)`: whether the disk takes so many more."""

    def __init__(
        self,
        upstream: Upstream,
        projects: Projects,
        db: Database,
        blobs: LocalBlobs,
        metrics: Metrics,
        now: Callable[[], float],
        keeps_private: Callable[[ProjectName], bool],
        *,
        has_room: Callable[[int], bool],
    ) -> None:
        self._keeps_private = keeps_private
        self._has_room = has_room
        self._upstream = upstream
        self._mirror = upstream.config.name
        self._projects = projects
        self._db = db
        self._blobs = blobs
        self._metrics = metrics
        self._now = now
        self._downloads: dict[str, Download] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}

    async def find(self, path: str) -> Stored | Listed:
        """The file at `path` (below the index, decoded).

        Raises FileNotFound, Quarantined, NotHeld (offline), UpstreamTrouble.
        """
        entry = self._db.glance(mirrors.held_file, self._mirror, path)
        if entry is not None:
            await self.check_offered(entry.project)
            stored = await self._stored(entry)
            if stored is not None:
                return stored
        return await self._listed(path)

    async def check_offered(self, project: ProjectName) -> None:
        """Raises Quarantined when upstream forbids to offer the project's files."""
        kept = await self._projects.kept(project)
        if kept is not None and kept.project.is_quarantined:
            raise Quarantined(project)

    def download(self, listed: Listed) -> Download:
        """The download of a file that is not here; the one in progress, or a new one."""
        path = path_of(listed.file)
        running = self._downloads.get(path)
        if running is not None and not running.failed:
            return running
        key = hashlib.sha256(f"{self._mirror}/{path}".encode()).hexdigest()[:40]

        async def keep(commit: Callable[[], Path], digest: str, size: int, last_modified: str | None) -> Path:
            held = Held(digest=digest, size=size)
            entry = HeldFile(path=path, project=listed.project, held=held, last_modified=last_modified)
            return await self._keep(listed, entry, commit)

        async def find_kept() -> Path | None:
            entry = self._db.glance(mirrors.held_file, self._mirror, path)
            stored = await self._stored(entry) if entry else None
            return stored.path if stored else None

        download = Download(listed.file, Partial(self._blobs, key), self._upstream, self._metrics, keep, find_kept)
        self._downloads[path] = download
        task = asyncio.ensure_future(download.run())
        self._tasks[path] = task

        def ended(done: asyncio.Task[None]) -> None:
            if self._downloads.get(path) is download:
                self._tasks.pop(path, None)
                self._downloads.pop(path, None)
            if not done.cancelled() and (error := done.exception()):
                log.error("Download of %s broke down", path, exc_info=error)

        task.add_done_callback(ended)
        return download

    def can_keep(self, listed: Listed, size: int | None) -> bool:
        """Whether a file of so many bytes (None: nobody knows) is small enough for this mirror, and for the disk.

        Beside those that are on their way.
        """
        if path_of(listed.file) in self._downloads:
            return True
        coming = sum(download.left_bytes for download in self._downloads.values())
        return self._is_small(size or 0) and self._has_room((size or 0) + coming)

    async def begin(self, listed: Listed) -> Download | Passing:
        """Like `download`, and wait until upstream answered; only passed on when it cannot be kept.

        Raises what upstream answered, as `find` does.
        """
        passing = Passing(listed.file, self._upstream, self._metrics)
        if passing.size is None and self._upstream.config.max_file_bytes:
            await self._begun(listed, passing)
        transfer = self.download(listed) if self.can_keep(listed, passing.size) else passing
        await self._begun(listed, transfer)
        return transfer

    async def whole(self, listed: Listed) -> Path:
        """Download to the end; where the blob is. Raises as `begin` does, and when it goes wrong."""
        download = self.download(listed)
        await self._begun(listed, download)
        await download.proved()
        if task := self._tasks.get(path_of(listed.file)):
            await asyncio.wait([task])
        found = await self.find(path_of(listed.file))
        if isinstance(found, Listed):
            raise StorageTrouble(listed.file.filename, "see the log")
        return found.path

    async def close(self) -> None:
        """Keep what is whole; give up the rest."""
        tasks = dict(self._tasks)
        for path, task in tasks.items():
            if not self._downloads[path].is_proved:
                task.cancel()
        await asyncio.gather(*tasks.values(), return_exceptions=True)

    def _is_small(self, size: int) -> bool:
        most = self._upstream.config.max_file_bytes
        return most is None or (most > 0 and size <= most)

    async def _begun(self, listed: Listed, transfer: Download | Passing) -> None:
        try:
            await transfer.begun()
        except OfflineMode as offline:
            raise NotHeld(listed.file.filename, self._mirror) from offline
        except UpstreamRefused as refused:
            if refused.status in (404, 410):
                raise FileNotFound(path_of(listed.file), "upstream lists this file but does not have it") from refused
            raise

    async def _stored(self, entry: HeldFile) -> Stored | None:
        digest, size = entry.held.digest, entry.held.size
        if digest is None or size is None:
            return None
        blob = self._blobs.path(digest)
        if not await asyncio.to_thread(_is_whole, blob, size):
            log.error("The file of %s is missing or cut on the disk, fetching it again", entry.path)
            await self._db.write(mirrors.forget_blob, self._mirror, entry)
            return None
        return Stored(blob, digest, size, entry.last_modified)

    async def _listed(self, path: str) -> Listed:
        filename = path.rsplit("/", 1)[-1]
        candidates = projects_of(filename)[:MAX_CANDIDATES]
        for project in candidates:
            kept = await self._projects.kept(project)
            if kept and (file := _at(kept.project.files, path, filename)):
                return _offered(Listed(project, file), quarantined=kept.project.is_quarantined)
        if any(map(self._keeps_private, candidates)):
            # No other cut of a private name may be asked upstream either.
            raise FileNotFound(path)
        trouble: StiltonError | None = None
        for project in candidates:
            try:
                seen = await self._projects.page(project)
            except NotFound:
                continue
            except StiltonError as error:
                trouble = error
                continue
            if file := _at(seen.project.files, path, filename):
                return _offered(Listed(project, file), quarantined=seen.project.is_quarantined)
        raise trouble or FileNotFound(path)

    async def _keep(self, listed: Listed, entry: HeldFile, commit: Callable[[], Path]) -> Path:
        blob, metadata_digest = await asyncio.to_thread(self._commit, listed.file, commit)
        held = msgspec.structs.replace(entry.held, metadata_digest=metadata_digest)
        entry = msgspec.structs.replace(entry, held=held)
        await self._db.write(mirrors.keep_file, self._mirror, entry, self._now())
        return blob

    def _commit(self, file: File, commit: Callable[[], Path]) -> tuple[Path, str | None]:
        blob = commit()
        return blob, self._metadata_digest(blob, file) if is_wheel(file.filename) else None

    def _metadata_digest(self, blob: Path, file: File) -> str:
        """Keep the wheel's own metadata, which is the truth (threat: a swapped metadata file)."""
        with blob.open("rb") as archive:
            metadata = read_metadata(archive, file.filename)
        if metadata is None:
            log.warning("%s has no readable metadata", file.filename)
            return ""
        digest = self._blobs.put(metadata)
        if isinstance(file.core_metadata, dict) and file.core_metadata.get("sha256", digest) != digest:
            self._metrics.count("metadata_mismatches")
            log.error("Upstream's metadata file of %s is not what the wheel contains", file.filename)
        return digest


def _at(files: tuple[File, ...], path: str, filename: str) -> File | None:
    for file in files:
        if file.filename == filename and path_of(file) == path:
            return file
    return None


def _offered(listed: Listed, *, quarantined: bool) -> Listed:
    if quarantined:
        raise Quarantined(listed.project)
    return listed


def _is_whole(blob: Path, size: int) -> bool:
    try:
        return blob.stat().st_size == size
    except FileNotFoundError:
        return False
