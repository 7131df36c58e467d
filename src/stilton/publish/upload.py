"""Uploads: distributions, documentation, bare registrations (PyPI's legacy upload API, protocol reference 2.2).

The door has streamed the file to disk (`begin`, `receive`); what it means is decided here. Digests
that the client sends are checked, the archive is opened and believed before the form.
"""

import asyncio
import hmac
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from stilton.blobs.local import LocalBlobs
from stilton.blobs.uploads import Upload
from stilton.catalog.indexes import Indexes
from stilton.db import audit, stages
from stilton.db.database import Database, Transaction
from stilton.domain import metadata, publishing
from stilton.domain.audit import Event
from stilton.domain.errors import BadArchive, BadName, Denied, IndexNotFound, Invalid
from stilton.domain.files import File, path_of
from stilton.domain.indexes import Index
from stilton.domain.names import IndexName, ProjectName, is_wheel, project_name
from stilton.domain.permission import Actor, Policy, Right
from stilton.domain.publishing import Kind, StageFile, Verdict
from stilton.metrics import Metrics
from stilton.publish import archives, provenance, shelf

log = logging.getLogger(__name__)

Fields = Mapping[str, Sequence[str]]
"""A form's fields, each with all its values."""

DIGESTS = {"sha256_digest": "sha256", "blake2_256_digest": "blake2b_256", "md5_digest": "md5"}
"""Form field → algorithm."""


class Uploads:
    """Uploads to private indexes."""

    def __init__(
        self,
        db: Database,
        blobs: LocalBlobs,
        indexes: Indexes,
        policy: Policy,
        metrics: Metrics,
        now: Callable[[], float],
    ) -> None:
        self._db = db
        self._blobs = blobs
        self._indexes = indexes
        self._policy = policy
        self._metrics = metrics
        self._now = now

    async def begin(self, actor: Actor, user: str, name: str) -> Index:
        """Whether `actor` may upload there; asked before the first byte is read.

        Raises IndexNotFound, also for a mirror, and Denied.
        """
        index = await self._indexes.known(user, name)
        if not self._policy.may(actor, Right.UPLOAD, index):
            if index.is_mirror:
                raise IndexNotFound(index.full_name, "cannot submit to mirror index")
            raise Denied(f"no permission to submit to {index.full_name}", login=actor.name is None)
        return index

    def receive(self) -> Upload:
        """Where the bytes go. Raises StorageTrouble."""
        return Upload(self._blobs, "the upload")

    async def register(self, actor: Actor, index: Index, fields: Fields) -> None:
        """`submit`: note a release; its metadata becomes exactly what is given. Raises Invalid, Conflict."""
        index = await self.begin(actor, index.user, index.name)
        project, version = _release(fields)
        keys = metadata.form(fields)
        event = Event("release.register", f"{index.full_name}/{project}/{version}")
        register = audit.noting(event, shelf.register)
        await self._db.record(register, index.full_name, project, version, keys, replace=True, now=self._now())
        self._metrics.count("published", "submit")

    async def file(self, actor: Actor, index: Index, fields: Fields, filename: str, upload: Upload) -> Verdict:
        """`file_upload`: put a distribution on the index. Raises Invalid, BadArchive, Conflict, StorageTrouble."""
        index = await self.begin(actor, index.user, index.name)
        project, version = _release(fields)
        publishing.check_version(version)
        publishing.check_filename(filename, project, version)
        verdict = self._judged(index, project, version, filename, upload.digest)
        if verdict is Verdict.SAME:
            await asyncio.to_thread(_check_digests, upload, fields)
            if not self._blobs.has(upload.digest):
                # Its bytes were lost (`devpi-fsck`): this is how they come back.
                await asyncio.to_thread(upload.adopt)
            return verdict
        keys, metadata_digest, provenance_digest = await asyncio.to_thread(
            self._settle, actor, project, version, fields, filename, upload
        )
        now = self._now()
        entry = StageFile(
            path=path_of(File(filename=filename, hashes={"sha256": upload.digest})),
            project=project,
            version=version,
            kind=Kind.RELEASE,
            filename=filename,
            digest=upload.digest,
            size=upload.size,
            uploaded_at=now,
            metadata_digest=metadata_digest,
            provenance_digest=provenance_digest,
            requires_python=keys.get("requires_python") or None,
            log=[publishing.entry("upload", actor.name, now, dst=index.full_name)],
        )
        return await self._put(index, entry, keys, upload)

    async def docs(self, actor: Actor, index: Index, fields: Fields, upload: Upload) -> Verdict:
        """`doc_upload`: documentation of a release, the newest when none is named. Raises as `file` does."""
        index = await self.begin(actor, index.user, index.name)
        project = _project(fields)
        version = _one(fields, "version") or self._newest(index, project)
        filename = f"{project}-{version}{publishing.DOCS_SUFFIX}"
        await asyncio.to_thread(archives.inspect_docs, upload.path, filename)
        now = self._now()
        entry = StageFile(
            path=path_of(File(filename=filename, hashes={"sha256": upload.digest})),
            project=project,
            version=publishing.check_version(version),
            kind=Kind.DOCS,
            filename=filename,
            digest=upload.digest,
            size=upload.size,
            uploaded_at=now,
            log=[publishing.entry("upload", actor.name, now, dst=index.full_name)],
        )
        if self._judged(index, project, version, filename, upload.digest) is Verdict.SAME:
            return Verdict.SAME
        return await self._put(index, entry, {"name": project, "version": version}, upload)

    async def _put(self, index: Index, entry: StageFile, keys: Mapping[str, Any], upload: Upload) -> Verdict:
        await asyncio.to_thread(upload.adopt)
        verdict = await self._db.record(_put, self._blobs, index.full_name, entry, keys)
        log.info("%s uploaded %s to %s", entry.log[-1]["who"], entry.filename, index.full_name)
        self._metrics.count("published", entry.kind.value)
        return verdict

    def _judged(self, index: Index, project: ProjectName, version: str, filename: str, digest: str) -> Verdict:
        """The verdict as of now, before anything is kept; `shelf.put` asks again when it counts."""
        entry = self._db.glance(stages.project, index.full_name, project)
        publishing.check_open(project, entry.status if entry else None)
        named = self._db.glance(stages.namesakes, index.full_name, project, version, filename)
        return publishing.judge(filename, digest, named, volatile=index.is_volatile)

    def _settle(
        self, actor: Actor, project: ProjectName, version: str, fields: Fields, filename: str, upload: Upload
    ) -> tuple[dict[str, Any], str | None, str | None]:
        """(metadata keys, digest of the metadata file, of the provenance); all is checked before any is kept.

        Runs in a thread.
        """
        _check_digests(upload, fields)
        raw = archives.inspect(upload.path, filename).metadata
        if raw is not None:
            _check_metadata(raw, filename)
        keys = {**metadata.form(fields), **({} if raw is None else metadata.document(raw))}
        _check_same_release(keys, project, version, filename)
        proof = provenance.document(_one(fields, "attestations"), actor, filename, upload.digest)
        metadata_digest = None
        if raw is not None and is_wheel(filename):
            # Not of an sdist: that may change when it is built (PEP 643), and pip believes what it is given.
            metadata_digest = self._blobs.put(raw, lasting=True)
        return keys, metadata_digest, None if proof is None else self._blobs.put(proof, lasting=True)

    def _newest(self, index: Index, project: ProjectName) -> str:
        newest = publishing.newest(self._db.glance(stages.versions, index.full_name, project))
        if newest is None:
            raise Invalid(f"doczip has no version and {project!r} has no releases to derive one from")
        return newest


def _put(tx: Transaction, blobs: LocalBlobs, stage: IndexName, entry: StageFile, keys: Mapping[str, Any]) -> Verdict:
    verdict = shelf.put(tx, stage, entry, keys, blobs=blobs, now=entry.uploaded_at)
    if verdict is not Verdict.SAME:
        action = "file.overwrite" if verdict is Verdict.REPLACE else "file.upload"
        target = f"{stage}/{entry.project}/{entry.version}/{entry.filename}"
        audit.note(tx, Event(action, target, {"sha256": entry.digest, "size": entry.size}))
    return verdict


def _check_digests(upload: Upload, fields: Fields) -> None:
    """Raises Invalid when a digest that the client sent is not that of the bytes that came."""
    for field, algorithm in DIGESTS.items():
        wanted = _one(fields, field).lower()
        if not wanted:
            continue
        got = upload.digest if algorithm == "sha256" else upload.other_digest(algorithm)
        if not hmac.compare_digest(got.encode(), wanted.encode("utf-8", "replace")):
            raise Invalid(f"the file that arrived has {field} {got}, not {wanted[:128]!r}: it was damaged on the way")


def _check_same_release(keys: Mapping[str, Any], project: ProjectName, version: str, filename: str) -> None:
    """Raises Invalid when the archive says it is another release than the form."""
    try:
        name = project_name(str(keys.get("name", "")))
    except BadName:
        name = ProjectName("")
    if name != project:
        raise Invalid(f"the metadata in {filename} is of project {str(keys.get('name'))[:100]!r}, not {project!r}")
    if not publishing.same_version(str(keys.get("version", "")), version):
        raise Invalid(f"the metadata in {filename} is of version {str(keys.get('version'))[:100]!r}, not {version!r}")


def _check_metadata(raw: bytes, filename: str) -> None:
    """Raises BadArchive when installers would stumble over the archive's metadata."""
    wrong = metadata.flaw(raw)
    if wrong is not None:
        raise BadArchive(filename, wrong)


def _release(fields: Fields) -> tuple[ProjectName, str]:
    project, version = _project(fields), _one(fields, "version")
    if not version:
        raise Invalid("invalid metadata: version is missing")
    return project, publishing.check_version(version)


def _project(fields: Fields) -> ProjectName:
    name = _one(fields, "name")
    try:
        return project_name(name)
    except BadName as error:
        raise Invalid(f"invalid metadata: {error if name else 'name is missing'}") from None


def _one(fields: Fields, name: str) -> str:
    found = fields.get(name)
    return found[-1].strip() if found else ""
