"""An imported file's rows: on a private index as its upload made them, on a mirror as its download did.

Synchronous functions for one transaction; the bytes are blobs already.
"""

from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import msgspec

from stilton.blobs.local import LocalBlobs
from stilton.db import stages
from stilton.db.database import Transaction
from stilton.db.mirrors import HeldFile
from stilton.domain import metadata, publishing
from stilton.domain.errors import Missing
from stilton.domain.files import File, path_of
from stilton.domain.holdings import Held
from stilton.domain.names import IndexName, is_wheel
from stilton.domain.publishing import Kind, Log, StageFile
from stilton.domain.urls import is_web
from stilton.mirror.wheels import read_metadata
from stilton.upkeep.catalogues import Incoming
from stilton.upkeep.copies import Copied
from stilton.upkeep.dump import FileExtra

IMPORTER = "<import>"


class Arrived(msgspec.Struct, frozen=True):
    """An incoming file whose bytes are here, with what its archive says. Digests are sha256 of blobs.

    `unreadable`: a wheel that says nothing.
    """

    incoming: Incoming
    copied: Copied
    metadata_digest: str | None = None
    provenance_digest: str | None = None
    requires_python: str | None = None
    unreadable: bool = False


def inspected(incoming: Incoming, copied: Copied, blobs: LocalBlobs, provenance: Copied | None) -> Arrived:
    """Read a wheel's metadata, so that installers get it without the wheel (PEP 658). Raises StorageTrouble."""
    found = Arrived(incoming, copied, provenance_digest=provenance.digest if provenance else None)
    if incoming.kind is not Kind.RELEASE or not is_wheel(incoming.filename):
        return found
    raw = wheel_metadata(blobs.path(copied.digest), incoming.filename)
    if raw is None:
        return msgspec.structs.replace(found, unreadable=True)
    requires = metadata.document(raw).get("requires_python") or None
    digest = blobs.put(raw, lasting=True)
    return msgspec.structs.replace(found, metadata_digest=digest, requires_python=requires)


def wheel_metadata(wheel: Path, filename: str) -> bytes | None:
    """METADATA of a wheel; None when it has none that can be trusted."""
    with wheel.open("rb") as archive:
        return read_metadata(archive, filename)


def put_published(tx: Transaction, stage: IndexName, arrived: Arrived, keys: Mapping[str, Any]) -> None:
    """Note a private index's file. `keys`: its release's metadata. Raises Missing when a result's distribution is."""
    incoming, dumped = arrived.incoming, arrived.incoming.dumped
    extra = dumped.extra or FileExtra()
    of = _distribution(tx, stage, incoming) if incoming.kind is Kind.TOXRESULT else None
    uploaded_at = extra.uploaded_at or _moment(dumped.entrymapping.last_modified) or arrived.copied.changed_at
    log = dumped.log
    stages.put_file(tx, stage, StageFile(
        path=_path(incoming.filename, arrived.copied.digest, of),
        project=incoming.project,
        version=incoming.version,
        kind=incoming.kind,
        filename=incoming.filename,
        digest=arrived.copied.digest,
        size=arrived.copied.size,
        uploaded_at=uploaded_at,
        metadata_digest=arrived.metadata_digest,
        provenance_digest=arrived.provenance_digest,
        requires_python=_requires(arrived, keys),
        yanked=extra.yanked,
        for_path=None if of is None else of.path,
        log=[publishing.entry("upload", IMPORTER, uploaded_at, dst=stage)] if log is None else _counted(log),
    ))  # fmt: skip


def held(arrived: Arrived) -> HeldFile:
    """A mirror's file."""
    file = listed(arrived.incoming, {})
    extra = arrived.incoming.dumped.extra or FileExtra()
    return HeldFile(
        path=extra.path or path_of(file),
        project=arrived.incoming.project,
        held=Held(digest=arrived.copied.digest, size=arrived.copied.size, metadata_digest=arrived.metadata_digest),
        last_modified=arrived.incoming.dumped.entrymapping.last_modified,
    )


def listed(incoming: Incoming, keys: Mapping[str, Any]) -> File:
    """A mirror's file as upstream's page had it, as far as devpi knows. `keys`: of its version."""
    entry = incoming.dumped.entrymapping
    yanked = keys.get("yanked")
    return File(
        filename=incoming.filename,
        url=entry.url if entry.url and is_web(entry.url) else "",
        hashes=_upstreams_hashes(incoming),
        requires_python=keys.get("requires_python") or None,
        yanked=yanked if isinstance(yanked, str) else bool(yanked),
    )


def _upstreams_hashes(incoming: Incoming) -> dict[str, str]:
    """They decide about the file's path. devpi says them first in `hash_spec`, before what it found out itself."""
    extra = incoming.dumped.extra
    if extra is not None and extra.hashes is not None:
        return extra.hashes
    algorithm = (incoming.dumped.entrymapping.hash_spec or "").partition("=")[0]
    digest = incoming.hashes.get(algorithm)
    return {algorithm: digest} if digest else dict(incoming.hashes)


def _distribution(tx: Transaction, stage: IndexName, result: Incoming) -> StageFile:
    """What a test result is of, by the base name of its path: the path itself may have been by another hash."""
    wanted = (result.dumped.for_entrypath or result.filename.partition(".toxresult")[0]).rpartition("/")[2]
    for file in stages.files_named(tx.sql, stage, result.project, wanted):
        if file.kind is Kind.RELEASE and file.gone_at is None:
            return file
    raise Missing(f"{result.dumped.relpath}: the file that it is a test result of is not here: {wanted}")


def _path(filename: str, digest: str, of: StageFile | None) -> str:
    if of is None:
        return path_of(File(filename=filename, hashes={"sha256": digest}))
    # Beside its distribution, as devpi does: several results may have the same bytes.
    return f"{of.path.rpartition('/')[0]}/{filename}"


def _requires(arrived: Arrived, keys: Mapping[str, Any]) -> str | None:
    if arrived.incoming.kind is not Kind.RELEASE:
        return None
    return arrived.requires_python or keys.get("requires_python") or None


def _counted(log: Log) -> Log:
    """Without lines whose count of overwrites is no number: the next overwrite adds to it."""
    return [line for line in log if isinstance(line.get("count", 0), int)]


def _moment(date: str | None) -> float | None:
    """Unix seconds of an HTTP date; None when it is none."""
    try:
        return None if date is None else parsedate_to_datetime(date).timestamp()
    except (ValueError, OverflowError):
        return None
