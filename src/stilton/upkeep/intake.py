"""Release files from folders put on a private index, each as if it were uploaded; duplicates are skipped.

What an upload would not take is left out and listed. Only a file for whose bytes its folder vouches by a
hash (`folders`: bandersnatch) is taken whatever its archive looks like, as another index took it before.
"""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import Engine

from stilton.blobs.local import LocalBlobs
from stilton.db import accounts, audit, stages
from stilton.db.database import Transaction, write_now
from stilton.domain import configuration, keytypes, metadata, publishing
from stilton.domain.audit import Event
from stilton.domain.errors import BadArchive, BadName, Conflict, Invalid, Missing, SetupError
from stilton.domain.files import File, path_of
from stilton.domain.indexes import Index
from stilton.domain.names import (
    IndexName,
    ProjectName,
    check_account_name,
    is_wheel,
    project_name,
    projects_of,
    version_of,
)
from stilton.domain.publishing import Kind, StageFile, Verdict
from stilton.publish import archives, shelf
from stilton.upkeep import rows
from stilton.upkeep.copies import Copier
from stilton.upkeep.folders import Found, Loose
from stilton.upkeep.imports import THREADS, batches
from stilton.upkeep.telling import Telling


class Ready(msgspec.Struct, frozen=True):
    """A file that is a blob, and the metadata keys of its release. `source`: where it was."""

    source: Path
    file: StageFile
    keys: dict[str, Any]


def open_index(engine: Engine, name: str, *, create: bool, now: Callable[[], float]) -> IndexName:
    """The private index that files go to; it is made when it may be. Raises SetupError."""
    user, slash, own = name.strip("/").partition("/")
    if not slash or not own or "/" in own:
        raise SetupError(f"--index is {name!r}: say USER/NAME.")

    def work(tx: Transaction) -> IndexName:
        index = accounts.index(tx.sql, user, own)
        if index is None:
            index = _created(tx, user, own, create=create)
        if index.is_mirror:
            raise SetupError(f"{index.full_name} is a mirror: files can only be added to a private index.")
        return index.full_name

    return write_now(engine, now, work)


class Intake:
    """Puts files on an index of a server that does not run."""

    def __init__(
        self,
        stage: IndexName,
        engine: Engine,
        blobs: LocalBlobs,
        *,
        link: bool,
        tell: Telling,
        now: Callable[[], float],
    ) -> None:
        self._stage = stage
        self._engine = engine
        self._blobs = blobs
        self._copier = Copier(blobs, link=link)
        self._tell = tell
        self._now = now

    def run(self, found: Found) -> list[str]:
        """Everything in the folder; what was left out. Raises StorageTrouble."""
        left_out = list(found.left_out)
        added = 0
        self._tell.line(f"{found.layout}: {len(found.files)} release files for {self._stage}")
        if found.overlooked:
            self._tell.notice(f"{found.overlooked} other files are not looked at")
        if not found.files and not found.left_out:
            self._tell.notice("nothing to add: is it the right folder, and the right --layout?")
        self._tell.begin("importing files", len(found.files))
        pool = ThreadPoolExecutor(THREADS, "import")
        try:
            for batch in batches(found.files):
                outcome = self._added(found, pool.map(self._prepared, batch))
                left_out += [one for one in outcome if isinstance(one, str)]
                added += outcome.count(Verdict.NEW)
                self._tell.step(len(batch))
        finally:
            pool.shutdown(cancel_futures=True)
            self._tell.end()
        there = len(found.files) + len(found.left_out) - added - len(left_out)
        self._tell.line(f"{added} files added to {self._stage}, {there} were there already, {len(left_out)} left out")
        return left_out

    def _added(self, found: Found, prepared: Iterable[Ready | str]) -> list[Verdict | str]:
        """What became of each, a sentence where it could not be taken. Raises StorageTrouble."""
        every = list(prepared)
        ready = [one for one in every if isinstance(one, Ready)]
        put: list[Verdict | str] = write_now(self._engine, self._now, self._put, found, ready)
        return [*put, *(one for one in every if isinstance(one, str))]

    def _prepared(self, loose: Loose) -> Ready | str:
        """In a thread: a file that is a blob, or why it cannot be taken. Raises StorageTrouble."""
        try:
            return self._ready(loose)
        except (BadArchive, BadName, Invalid, Missing) as error:
            text = error.why if isinstance(error, BadArchive) else str(error)
            return text if str(loose.path) in text else f"{loose.path}: {text}"

    def _ready(self, loose: Loose) -> Ready:
        """Raises BadArchive, BadName, Invalid, Missing, StorageTrouble."""
        filename = loose.path.name
        raw = _metadata(loose)
        keys = {} if raw is None else metadata.document(raw)
        project, version = _release(loose, keys)
        if not loose.sha256:
            publishing.check_version(version)
            publishing.check_filename(filename, project, version)
        copied = self._copier.bring(loose.path, {"sha256": loose.sha256} if loose.sha256 else {})
        uploaded_at = loose.uploaded_at or copied.changed_at
        file = StageFile(
            path=path_of(File(filename=filename, hashes={"sha256": copied.digest})),
            project=project,
            version=version,
            kind=Kind.RELEASE,
            filename=filename,
            digest=copied.digest,
            size=copied.size,
            uploaded_at=uploaded_at,
            metadata_digest=self._blobs.put(raw, lasting=True) if raw is not None and is_wheel(filename) else None,
            requires_python=keys.get("requires_python") or None,
            yanked=loose.yanked,
            log=[publishing.entry("upload", rows.IMPORTER, uploaded_at, dst=self._stage)],
        )
        return Ready(loose.path, file, {"name": project, **keys})

    def _put(self, tx: Transaction, found: Found, ready: list[Ready]) -> list[Verdict | str]:
        outcome = [self._put_one(tx, one) for one in ready]
        if added := outcome.count(Verdict.NEW):
            detail = {"folder": found.folder, "layout": found.layout, "files": added}
            audit.note(tx, Event("import", self._stage, detail))
        return outcome

    def _put_one(self, tx: Transaction, one: Ready) -> Verdict | str:
        file = one.file
        named = stages.namesakes(tx.sql, self._stage, file.project, file.version, file.filename)
        if any(other.gone_at is None and other.digest != file.digest for other in named):
            return f"{one.source}: {file.filename} is on {self._stage} already with other content: remove one of them"
        try:
            return shelf.put(tx, self._stage, file, one.keys, blobs=self._blobs, now=self._now())
        except Conflict as error:
            return f"{one.source}: {error}"


def _created(tx: Transaction, user: str, own: str, *, create: bool) -> Index:
    """Raises SetupError."""
    if not create:
        known = ", ".join(index.full_name for index in accounts.all_indexes(tx.sql) if not index.is_mirror)
        raise SetupError(f"There is no index {user}/{own}: say --create to make it. Indexes are: {known or 'none'}")
    if accounts.pwhash(tx.sql, user) is None:
        raise SetupError(f"There is no user {user!r}: make one with devpi user -c {user}, or name another one.")
    try:
        check_account_name("indexname", own)
    except Invalid as error:
        raise SetupError(f"{error}") from None
    index = Index(user, own, configuration.defaults(user, keytypes.STAGE))
    accounts.put_index(tx, index)
    return index


def _metadata(loose: Loose) -> bytes | None:
    """What the archive says; None when it says nothing. Raises BadArchive, Missing."""
    try:
        return archives.inspect(loose.path, loose.path.name).metadata
    except FileNotFoundError:
        raise Missing(f"The file at {loose.path} is missing.") from None
    except OSError as error:
        raise Invalid(f"it cannot be read: {error.strerror}") from error
    except BadArchive:
        if not loose.sha256:
            raise
        return rows.wheel_metadata(loose.path, loose.path.name) if is_wheel(loose.path.name) else None


def _release(loose: Loose, keys: dict[str, Any]) -> tuple[ProjectName, str]:
    """Project and version: as the folder says, else the archive, else the file's name. Raises BadName, Invalid."""
    filename = loose.path.name
    possible = projects_of(filename)
    stated = project_name(str(keys["name"])) if keys.get("name") else None
    project = loose.project or stated or next(iter(possible), None)
    if project is None or (stated is not None and stated != project):
        raise Invalid(f"its metadata is of project {stated}, not {project}")
    version = str(keys.get("version") or version_of(filename, project) or "")
    if not version:
        raise Invalid(f"its name is not that of a file of {project}")
    return project, version
