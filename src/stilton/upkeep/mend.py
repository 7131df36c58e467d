"""Mending what a check found: what can be had again is let go, what the wheel says is believed, nothing is deleted.

A mirrored file that is missing or corrupt is dropped from the database, to be fetched again. A private one cannot be
made again: it stays in the database, so that it is not forgotten that it is missing. Corrupt bytes are moved to
SERVERDIR/quarantine.
"""

import logging

from stilton.blobs import unused
from stilton.blobs.local import LocalBlobs
from stilton.db import audit, consistency
from stilton.db.consistency import Row
from stilton.db.database import Transaction
from stilton.domain.audit import Event
from stilton.mirror.wheels import read_metadata
from stilton.upkeep.check import Flaw, Problem

log = logging.getLogger(__name__)


def mend(tx: Transaction, blobs: LocalBlobs, problem: Problem) -> str | None:
    """Mend one thing, in one transaction; what was done, None when it cannot be mended. Others stay out meanwhile."""
    done = _mend(tx, blobs, problem)
    if done is not None:
        audit.note(tx, Event("file.mend", problem.row.name, {"flaw": problem.flaw.value, "done": done}))
    return done


def _mend(tx: Transaction, blobs: LocalBlobs, problem: Problem) -> str | None:
    row = problem.row
    _quarantine(blobs, problem)
    match problem.flaw:
        case Flaw.MISSING | Flaw.CORRUPT:
            if not row.is_mirror:
                return None
            consistency.drop(tx, row)
            return "dropped, to be fetched again"
        case Flaw.METADATA_MISSING | Flaw.METADATA_CORRUPT | Flaw.METADATA_DIFFERS:
            return _mend_metadata(tx, blobs, row)
        case Flaw.REQUIRES_PYTHON:
            consistency.put_requires_python(tx, row, problem.right)
            return "the page says what the wheel says"
        case Flaw.PROVENANCE_MISSING | Flaw.PROVENANCE_CORRUPT:
            return None


def _mend_metadata(tx: Transaction, blobs: LocalBlobs, row: Row) -> str | None:
    if row.is_mirror:
        consistency.put_metadata(tx, row, None)
        return "to be made again"
    raw = None
    if row.digest is not None:
        with blobs.path(row.digest).open("rb") as wheel:
            raw = read_metadata(wheel, row.path.rpartition("/")[2])
    if raw is None:
        return None
    consistency.put_metadata(tx, row, blobs.put(raw, lasting=True))
    return "read out of the wheel"


def _quarantine(blobs: LocalBlobs, problem: Problem) -> None:
    row = problem.row
    corrupt = {
        Flaw.CORRUPT: row.digest,
        Flaw.METADATA_CORRUPT: row.metadata_digest,
        Flaw.PROVENANCE_CORRUPT: row.provenance_digest,
    }.get(problem.flaw)
    # Another row with the same bytes may have been first.
    place = unused.quarantine(blobs, corrupt) if corrupt is not None else None
    if place is not None:
        log.warning("The bytes of %s are not what they should be; they are in %s", row.name, place)
