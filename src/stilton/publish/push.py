"""Releases moved between indexes, or to another server, with their documentation and test results.

Between indexes no byte is copied: the target gets names for the same blobs, all in one
transaction or none. To another server each file is one upload; the report has a line per step.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from stilton.blobs.local import LocalBlobs
from stilton.catalog.files import Files
from stilton.catalog.indexes import Indexes
from stilton.catalog.versions import Mirrored, Published, Releases
from stilton.db import audit, stages
from stilton.db.database import Database, Transaction
from stilton.domain import metadata, publishing
from stilton.domain.audit import Event
from stilton.domain.errors import Denied, Invalid, Missing, NotFound, Quarantined, UpstreamTrouble
from stilton.domain.files import File, path_of
from stilton.domain.holdings import Held
from stilton.domain.indexes import Index, without_credentials
from stilton.domain.names import IndexName, ProjectName
from stilton.domain.permission import Actor, Policy, Right
from stilton.domain.publishing import Kind, Release, StageFile
from stilton.domain.redaction import Secret, redacted
from stilton.metrics import Metrics
from stilton.publish import shelf
from stilton.upstream.publisher import Publisher, Sending

log = logging.getLogger(__name__)

Action = list[Any]
"""A line of devpi's `actionlog`: status, what, and with which thing."""


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """What to push. At most one of the two flags."""

    project: ProjectName
    version: str
    no_docs: bool = False
    only_docs: bool = False
    register_project: bool = False


class Cargo(msgspec.Struct, frozen=True):
    """A release as it is to be at its target."""

    source: IndexName
    release: Release
    files: tuple[StageFile, ...]


class Pushes:
    """Pushes releases."""

    def __init__(
        self,
        db: Database,
        blobs: LocalBlobs,
        indexes: Indexes,
        files: Files,
        releases: Releases,
        *,
        policy: Policy,
        publisher: Publisher,
        metrics: Metrics,
        now: Callable[[], float],
    ) -> None:
        self._db = db
        self._blobs = blobs
        self._indexes = indexes
        self._files = files
        self._releases = releases
        self._policy = policy
        self._publisher = publisher
        self._metrics = metrics
        self._now = now

    async def to_index(self, actor: Actor, user: str, name: str, wish: Wish, target: str) -> list[Action]:
        """Push to another index of this server; what was done.

        Raises IndexNotFound, Denied, Missing, Invalid, Conflict, UpstreamTrouble. Then nothing was done.
        """
        source = await self._indexes.readable(actor, user, name)
        to_user, slash, to_name = target.strip("/").partition("/")
        if not slash or not to_user or not to_name or "/" in to_name:
            raise Invalid("targetindex not in format user/index")
        to = await self._indexes.known(to_user, to_name)
        if not self._policy.may(actor, Right.UPLOAD, to):
            raise Denied(f"user {actor.name!r} cannot upload to {to.full_name!r}", login=True)
        cargo = await self._cargo(actor, source, wish)
        now = self._now()
        await asyncio.to_thread(self._touch, cargo)
        event = Event("release.push", f"{to.full_name}/{wish.project}/{cargo.release.version}", _said_of(cargo))
        store = audit.noting(event, _store)
        done = await self._db.record(store, self._blobs, to.full_name, wish, cargo, actor.name, now=now)
        self._metrics.count("published", "push")
        log.info("%s pushed %s %s from %s to %s", actor.name, wish.project, wish.version, cargo.source, to.full_name)
        return done

    async def to_server(
        self, actor: Actor, user: str, name: str, wish: Wish, url: str, credentials: tuple[str, Secret]
    ) -> tuple[bool, list[Action]]:
        """Upload to another server; (whether the last step went well, what was done).

        Raises IndexNotFound, Denied, Missing, Invalid, UpstreamTrouble.
        """
        source = await self._indexes.readable(actor, user, name)
        if actor.name is None:
            raise Denied("log in to push to another server", login=True)
        self._publisher.check(url, trusted=self._policy.is_admin(actor.name))
        cargo = await self._cargo(actor, source, wish)
        target, to = f"{source.full_name}/{wish.project}/{cargo.release.version}", redacted(without_credentials(url))
        # Before the first byte leaves; what came of it is the next row.
        await self._db.record(audit.note, Event("release.push-out", target, {"to": to, **_said_of(cargo)}))
        done = await self._sent(url, credentials, self._sendings(cargo, wish), self._policy.is_admin(actor.name))
        await self._db.record(audit.note, Event("release.pushed-out", target, {"to": to, "steps": done}))
        log.info(
            "%s pushed %s %s from %s to %s: %d steps, the last one %s",
            actor.name, wish.project, wish.version, cargo.source, to, len(done), done[-1][0],
        )  # fmt: skip
        return done[-1][0] in (200, 201), done

    async def _sent(
        self,
        url: str,
        credentials: tuple[str, Secret],
        sendings: Sequence[Sending],
        trusted: bool,
    ) -> list[Action]:
        done: list[Action] = []
        for sending in sendings:
            try:
                status, text = await self._publisher.send(url, credentials, sending, trusted=trusted)
            except UpstreamTrouble as trouble:
                done.append([-1, f"exception on {sending.what}:", str(trouble)])
                break
            done.append([status, *sending.label, *([] if status in (200, 201) else [text])])
            # PyPI does not know registering any more (410): files come all the same.
            if status not in (200, 201) and not (sending.label[0] == "register" and status == 410):
                break
        return done

    def _touch(self, cargo: Cargo) -> None:
        """Tell the sweep that these blobs are going to be referred to. Raises Missing when it was here first."""
        for file in cargo.files:
            for digest in file.digests:
                if not self._blobs.touch(digest):
                    raise Missing(f"{file.filename} was removed from {cargo.source} meanwhile, or its bytes are lost")

    def _check_offered(self, source: Index, wish: Wish) -> None:
        entry = None if source.is_mirror else self._db.glance(stages.project, source.full_name, wish.project)
        if entry is not None and entry.status is not None and entry.status.status == "quarantined":
            raise Quarantined(wish.project)

    async def _cargo(self, actor: Actor, source: Index, wish: Wish) -> Cargo:
        """The release, every byte of it here. Only the index's own: what it inherits is pushed from there."""
        if wish.no_docs and wish.only_docs:
            raise Invalid("can't use 'no_docs' and 'only_docs' together")
        self._check_offered(source, wish)
        nothing = Missing(f"no release/files found for {wish.project} {wish.version}")
        try:
            versions = await self._releases.one(actor, source.user, source.name, wish.project, wish.version)
        except NotFound:
            raise nothing from None
        own = next((version for version in versions if version.index == source.full_name), None)
        match own:
            case Published(index, release, files):
                wanted = tuple(file for file in files if _is_wanted(file.kind, wish))
                if not wanted:
                    raise Invalid(f"there are no files for {wish.project} {wish.version} on stage {index}")
                return Cargo(index, release, wanted)
            case Mirrored():
                return await self._fetched(own, wish)
            case _:
                raise nothing

    async def _fetched(self, version: Mirrored, wish: Wish) -> Cargo:
        """A mirror's release, held here whole. What its files say of themselves counts, not upstream's page."""
        keys: dict[str, Any] = {"name": version.project, "version": version.version}
        files: list[StageFile] = []
        for file in version.files if not wish.only_docs else ():
            held = await self._files.hold(version.index, version.project, file)
            if held.metadata_digest:
                raw = await asyncio.to_thread(self._blobs.path(held.metadata_digest).read_bytes)
                keys.update(metadata.document(raw))
            files.append(_of_mirror(version, file, held, self._now()))
        if not files:
            raise Invalid(f"there are no files for {version.project} {version.version} on stage {version.index}")
        return Cargo(version.index, Release(version.version, keys), tuple(files))

    def _sendings(self, cargo: Cargo, wish: Wish) -> Sequence[Sending]:
        keys = cargo.release.keys
        found: list[Sending] = []
        if wish.register_project:
            found.append(Sending("register", ("register", wish.project, cargo.release.version), "submit", keys))
        for file in sorted(cargo.files, key=lambda one: one.kind is Kind.DOCS):
            blob = self._blobs.path(file.digest)
            if file.kind is Kind.RELEASE:
                label = ("upload", f"{cargo.source}/{file.path}")
                found.append(Sending("release upload", label, "file_upload", keys, file.filename, blob, file.digest))
            elif file.kind is Kind.DOCS:
                name = f"{wish.project}.zip"
                found.append(Sending("documentation upload", ("docfile", name), "doc_upload", keys, name, blob, ""))
        return found


def _said_of(cargo: Cargo) -> dict[str, Any]:
    return {"from": cargo.source, "files": sorted(file.filename for file in cargo.files)}


def _is_wanted(kind: Kind, wish: Wish) -> bool:
    if wish.only_docs:
        return kind is Kind.DOCS
    return kind is not Kind.DOCS or not wish.no_docs


def _of_mirror(version: Mirrored, file: File, held: Held, now: float) -> StageFile:
    assert held.digest is not None
    assert held.size is not None
    yanked = None if file.yanked is False else ("" if file.yanked is True else file.yanked)
    return StageFile(
        path=path_of(File(filename=file.filename, hashes={"sha256": held.digest})),
        project=version.project,
        version=version.version,
        kind=Kind.RELEASE,
        filename=file.filename,
        digest=held.digest,
        size=held.size,
        uploaded_at=publishing.moment(file.upload_time) or now,
        metadata_digest=held.metadata_digest or None,
        requires_python=file.requires_python,
        yanked=yanked,
        log=[],
    )


def _store(
    tx: Transaction, blobs: LocalBlobs, target: IndexName, wish: Wish, cargo: Cargo, who: str | None, *, now: float
) -> list[Action]:
    done: list[Action] = []
    pushed = publishing.entry("push", who, now, src=cargo.source, dst=target)
    keys = {key: value for key, value in cargo.release.keys.items() if key != "version"}
    version = cargo.release.version
    if not wish.only_docs:
        done.append([200, "register", wish.project, version, "->", target])
    # Distributions first: test results need theirs to be there.
    for file in sorted(cargo.files, key=lambda one: one.kind is Kind.TOXRESULT):
        log = [line for line in file.log if line.get("what") != "overwrite"]
        shelf.put(tx, target, msgspec.structs.replace(file, log=[*log, pushed]), keys, blobs=blobs, now=now)
        if file.kind is Kind.DOCS:
            done.append([200, "store_doczip", wish.project, version, "->", target])
        else:
            step = "store_releasefile" if file.kind is Kind.RELEASE else "store_toxresult"
            done.append([200, step, f"{target}/{file.path}"])
    if cargo.release.yanked is not None:
        shelf.yank(tx, target, wish.project, version, cargo.release.yanked)
    return done
