"""Consistency: every file that the database names is on the disk, whole, and what pages say of it is right.

Reading and hashing is done by some threads, in the order of `db.consistency`; whoever drives it gets one `Checked`
after the other and may stop anywhere and go on from there. Nothing is changed here: `upkeep.mend` does that.
"""

import contextlib
import enum
import hashlib
from collections.abc import Iterator
from contextlib import AbstractContextManager
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any, Protocol

import msgspec

from stilton.blobs.local import LocalBlobs
from stilton.db import consistency
from stilton.db.consistency import Key, Row
from stilton.domain import metadata
from stilton.domain.names import is_wheel
from stilton.mirror.wheels import read_metadata
from stilton.upkeep.threads import in_order

PAGE = 500
BEGIN: Key = ("", "", "")


class Flaw(enum.Enum):
    """What can be wrong; values are for scripts."""

    MISSING = "missing"
    CORRUPT = "corrupt"
    METADATA_MISSING = "metadata missing"
    METADATA_CORRUPT = "metadata corrupt"
    METADATA_DIFFERS = "metadata differs"
    REQUIRES_PYTHON = "requires-python differs"
    PROVENANCE_MISSING = "provenance missing"
    PROVENANCE_CORRUPT = "provenance corrupt"


_METADATA = (Flaw.METADATA_MISSING, Flaw.METADATA_CORRUPT, "its metadata file")
_PROVENANCE = (Flaw.PROVENANCE_MISSING, Flaw.PROVENANCE_CORRUPT, "its provenance")


class Problem(msgspec.Struct, frozen=True):
    """Something wrong with a file. `why`: for people. `right`: what the database should say, where that is known."""

    flaw: Flaw
    row: Row
    why: str
    right: str | None = None


class Place(msgspec.Struct, frozen=True):
    """How far a check got: all rows before are checked."""

    kind: int = 0
    after: Key = BEGIN


class Checked(msgspec.Struct, frozen=True):
    """Some rows were checked. `read_bytes`: what was hashed for it. `place`: where to go on."""

    rows: int
    read_bytes: int
    problems: list[Problem]
    place: Place


class Connects(Protocol):
    """What a check reads the database by: SQLAlchemy's Engine."""

    def connect(self) -> AbstractContextManager[Any]:
        """A connection for one page: no snapshot stays open while files are read."""


def check(engine: Connects, blobs: LocalBlobs, place: Place, *, checksum: bool, jobs: int) -> Iterator[Checked]:
    """Check everything from `place` on. `jobs`: threads. Without `checksum` only sizes are compared."""
    work = partial(_examine, blobs, checksum=checksum)
    # Closed with this one: what was handed out to threads is taken back.
    with contextlib.closing(in_order(work, _groups(engine, place), jobs)) as outcomes:
        for group, (problems, size) in outcomes:
            still = [problem for problem in problems if _is_so(engine, problem.row)]
            yield Checked(len(group.rows), size, still, Place(group.kind, group.rows[-1].key))


class _Group(msgspec.Struct, frozen=True):
    """Rows with one blob."""

    kind: int
    rows: list[Row]


def _groups(engine: Connects, place: Place) -> Iterator[_Group]:
    for kind in range(place.kind, consistency.KINDS):
        after = place.after if kind == place.kind else BEGIN
        while rows := _page(engine, kind, after):
            after = rows[-1].key
            yield from (_Group(kind, list(same)) for _, same in groupby(rows, lambda row: row.digest or row.name))


def _page(engine: Connects, kind: int, after: Key) -> list[Row]:
    with engine.connect() as connection:
        return consistency.page(connection, kind, after, PAGE)


def _is_so(engine: Connects, row: Row) -> bool:
    """Beside a running server: what was removed meanwhile is not missing."""
    with engine.connect() as connection:
        return consistency.is_so(connection, row)


def _examine(blobs: LocalBlobs, group: _Group, *, checksum: bool) -> tuple[list[Problem], int]:
    """What is wrong with these rows, bytes that were read."""
    rows = group.rows
    problems: list[Problem] = []
    size = 0
    digest = rows[0].digest
    if digest is not None:
        size, wrong = _examine_blob(blobs.path(digest), rows[0], checksum=checksum)
        if wrong is not None:
            return [Problem(wrong[0], row, wrong[1]) for row in rows], size
    for row in rows:
        problems += _examine_pages(blobs, row, checksum=checksum)
    return problems, size


def _examine_blob(blob: Path, row: Row, *, checksum: bool) -> tuple[int, tuple[Flaw, str] | None]:
    try:
        size = blob.stat().st_size
        if size != row.size:
            return 0, (Flaw.CORRUPT, f"it has {size} bytes, not {row.size}")
        if not checksum:
            return 0, None
        with blob.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        return 0, (Flaw.MISSING, "it is not on the disk")
    except OSError as error:
        return 0, (Flaw.CORRUPT, f"it cannot be read: {error.strerror}")
    return size, None if found == row.digest else (Flaw.CORRUPT, f"its sha256 is {found}")


def _examine_pages(blobs: LocalBlobs, row: Row, *, checksum: bool) -> list[Problem]:
    """What pages and URLs say beside the file itself."""
    provenance = _examine_beside(blobs, row, row.provenance_digest, _PROVENANCE, checksum=checksum)
    kept = row.metadata_digest
    problems = _examine_beside(blobs, row, kept, _METADATA, checksum=checksum)
    if not problems and kept and checksum and row.digest is not None and is_wheel(row.path):
        problems = _compared(blobs, row, row.digest, kept)
    return provenance + problems


def _examine_beside(
    blobs: LocalBlobs, row: Row, digest: str | None, wrong: tuple[Flaw, Flaw, str], *, checksum: bool
) -> list[Problem]:
    """A small blob beside a file, if it has one."""
    missing, corrupt, what = wrong
    if digest and not blobs.has(digest):
        return [Problem(missing, row, what)]
    if digest and checksum and not blobs.intact(digest):
        return [Problem(corrupt, row, what)]
    return []


def _compared(blobs: LocalBlobs, row: Row, digest: str, kept: str) -> list[Problem]:
    """The wheel's own metadata with what pages say."""
    with blobs.path(digest).open("rb") as wheel:
        raw = read_metadata(wheel, row.path.rpartition("/")[2])
    if raw is None:
        return []
    inside = hashlib.sha256(raw).hexdigest()
    if inside != kept:
        return [Problem(Flaw.METADATA_DIFFERS, row, "its metadata file is not what the wheel contains", inside)]
    requires = metadata.document(raw).get("requires_python") or None
    if not row.is_mirror and requires != row.requires_python:
        why = f"its page says {row.requires_python!r}, the wheel {requires!r}"
        return [Problem(Flaw.REQUIRES_PYTHON, row, why, requires)]
    return []
