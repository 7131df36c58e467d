"""A consistency check from its beginning, or where it stopped, to its end: what `devpi-fsck` does.

Without `repair` it only reads, also beside a running server. With it the caller holds the serverdir's lock.
"""

import math
import time
from collections.abc import Generator
from typing import Any

import msgspec

from stilton.blobs import unused
from stilton.blobs.local import LocalBlobs
from stilton.db.database import write_now
from stilton.upkeep import sweep
from stilton.upkeep.bookmark import Bookmark, Finding, Progress
from stilton.upkeep.check import Checked, check
from stilton.upkeep.litter import Litter
from stilton.upkeep.mend import mend
from stilton.upkeep.sweep import Looked, Swept

REMEMBER_S = 1.0
"""How often it is noted how far the check is."""


def examine(
    engine: Any,  # noqa: ANN401 - SQLAlchemy's
    blobs: LocalBlobs,
    bookmark: Bookmark,
    progress: Progress,
    *,
    repair: bool,
    jobs: int,
) -> Generator[tuple[Progress, list[Finding]], None, None]:
    """Check files against the database; after each step how far it is, and what was found in it."""
    began_at, noted_at = time.monotonic() - progress.seconds, 0.0
    progress = msgspec.structs.replace(progress, repair=repair)
    try:
        for step in check(engine, blobs, progress.place, checksum=progress.checksum, jobs=jobs):
            found = [
                Finding(problem, write_now(engine, time.time, mend, blobs, problem) if repair else None)
                for problem in step.problems
            ]
            progress = _after(progress, step, found, time.monotonic() - began_at)
            if time.monotonic() - noted_at > REMEMBER_S:
                noted_at = time.monotonic()
                bookmark.write(progress)
            yield progress, found
    finally:
        # Also when somebody stops it.
        bookmark.write(progress)


def sweep_now(engine: Any, blobs: LocalBlobs, *, repair: bool) -> Swept:  # noqa: ANN401 - SQLAlchemy's
    """Blobs that nothing refers to: looked for, and with `repair` removed, however young: nobody else is at work."""
    older_than = math.inf if repair else time.time() - sweep.GRACE_S
    total = Swept()
    for part in sweep.PARTS:
        with engine.connect() as connection:
            looked = sweep.look(connection, blobs, part, older_than=older_than)
        total = total.plus(removed(engine, blobs, looked, older_than) if repair else _left(looked))
    return total


def report(progress: Progress, swept: Swept, litter: Litter) -> dict[str, Any]:
    """What was found, for machines. Sizes in bytes."""
    return {
        "ok": not progress.unmended,
        "files": progress.rows,
        "bytes_read": progress.read_bytes,
        "seconds": round(progress.seconds, 3),
        "mended": progress.mended,
        "unmended": progress.unmended,
        "problems": [_reported(finding) for finding in progress.findings],
        "unreferenced": {"blobs": swept.waiting, "bytes": swept.waiting_bytes},
        "removed": {"blobs": swept.removed, "bytes": swept.removed_bytes},
        "strange": litter.strange,
        "incoming": {"files": litter.begun, "bytes": litter.begun_bytes},
    }


def _reported(finding: Finding) -> dict[str, Any]:
    row = finding.problem.row
    return {
        "flaw": finding.problem.flaw.value,
        "file": row.name,
        "project": row.project,
        "mirror": row.is_mirror,
        "sha256": row.digest,
        "why": finding.problem.why,
        "mended": finding.mended,
    }


def removed(engine: Any, blobs: LocalBlobs, looked: Looked, older_than: float) -> Swept:  # noqa: ANN401 - as above
    """Remove what was found in one part of the store."""
    count = size = 0
    for batch in sweep.in_batches(list(looked.unreferenced)):
        write_now(engine, time.time, sweep.take, blobs, batch, older_than, looked.serial)
        files, freed = unused.unlink_aside(blobs, batch)
        count, size = count + files, size + freed
    return looked.without((count, size))


def _left(looked: Looked) -> Swept:
    """Those that may go are told as waiting, too."""
    return looked.without((0, 0)).plus(
        Swept(waiting=len(looked.unreferenced), waiting_bytes=sum(looked.unreferenced.values()))
    )


def _after(progress: Progress, step: Checked, found: list[Finding], seconds: float) -> Progress:
    after = msgspec.structs.replace(
        progress,
        place=step.place,
        rows=progress.rows + step.rows,
        read_bytes=progress.read_bytes + step.read_bytes,
        seconds=seconds,
    )
    return after.with_more(found) if found else after
