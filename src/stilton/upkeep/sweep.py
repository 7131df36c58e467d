"""Garbage collection: blobs that nothing refers to are removed, safely while uploads, pushes and downloads run.

Nothing that is referred to is ever lost, whatever the clocks say:

1. The database is read at one moment, its serial is noted; a reference made before it is seen.
2. Blobs are moved aside inside a write transaction. When anything was committed since that moment, they are looked
   up once more in it: a reference made meanwhile is seen.
3. A reference made later finds its blob gone: `publish.shelf` looks, in the transaction that makes it, and refuses.
   A mirror's file is not looked after: what is not there when somebody asks is fetched again.

So that hardly anybody is refused, blobs are spared that are younger than `GRACE_S`: whoever is going to refer to
one makes it young before (`blobs.local`: adopt, put, touch), under a lock that is held here while ages are looked at.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from stilton.blobs import unused
from stilton.blobs.local import LocalBlobs
from stilton.db import consistency, upkeep
from stilton.db.database import Database, Transaction

GRACE_S = 3600.0
BATCH = 100
"""Blobs that are moved aside in one transaction: about a millisecond of the writing thread. To look them up once more
takes 60 ms with 200,000 files."""
PARTS = "0123456789abcdef"
"""The store is looked at in parts, so that neither digests fill the memory nor a snapshot stays open for long."""


class Swept(msgspec.Struct, frozen=True):
    """What a sweep found and did. `waiting`: nothing refers to them, but they are too young to go. Sizes in bytes."""

    blobs: int = 0
    bytes: int = 0
    removed: int = 0
    removed_bytes: int = 0
    waiting: int = 0
    waiting_bytes: int = 0

    def plus(self, other: "Swept") -> "Swept":
        """Both together."""
        pairs = zip(msgspec.structs.astuple(self), msgspec.structs.astuple(other), strict=True)
        return Swept(*(one + another for one, another in pairs))


class Looked(msgspec.Struct, frozen=True):
    """One part of the store. `waiting`: as in `Swept`; `unreferenced`: those that may go; both size by digest.

    `serial`: of the last commit before it was looked at.
    """

    serial: int
    blobs: int
    bytes: int
    waiting: dict[str, int]
    unreferenced: dict[str, int]

    def without(self, removed: tuple[int, int]) -> Swept:
        """After so many, with so many bytes, were removed."""
        count, size = removed
        left = len(self.waiting), sum(self.waiting.values())
        return Swept(self.blobs - count, self.bytes - size, count, size, *left)


def look(connection: Any, blobs: LocalBlobs, part: str, *, older_than: float) -> Looked:  # noqa: ANN401 - a tool's type
    """Look at the blobs whose digests begin with the hex digit `part`. `older_than`: Unix seconds."""
    serial, known = consistency.serial(connection), upkeep.references(connection, part)
    count = size = 0
    waiting: dict[str, int] = {}
    unreferenced: dict[str, int] = {}
    for folder in unused.FOLDERS:
        for digest, status in unused.listed(blobs, folder).items() if folder[0] == part else ():
            count += 1
            size += status.st_size
            if digest not in known:
                (unreferenced if status.st_mtime < older_than else waiting)[digest] = status.st_size
    return Looked(serial, count, size, waiting, unreferenced)


def take(tx: Transaction, blobs: LocalBlobs, digests: Sequence[str], older_than: float, serial: int) -> None:
    """Move blobs aside that nothing referred to at `serial`, except those that something refers to now."""
    # Others' work in this very transaction has no serial yet.
    changed = bool(tx.changed) or consistency.serial(tx.sql) != serial
    known = upkeep.referenced(tx.sql, digests) if changed else set()
    unused.set_aside(blobs, [digest for digest in digests if digest not in known], older_than=older_than)


def in_batches(digests: Sequence[str]) -> list[Sequence[str]]:
    """As many as one transaction takes."""
    return [digests[start : start + BATCH] for start in range(0, len(digests), BATCH)]


async def sweep(db: Database, blobs: LocalBlobs, now: Callable[[], float]) -> Swept:
    """Remove all that nothing refers to."""
    total = Swept()
    for part in PARTS:
        older_than = now() - GRACE_S
        looked = await db.read(look, blobs, part, older_than=older_than)
        removed = await _remove(db, blobs, list(looked.unreferenced), older_than, looked.serial)
        total = total.plus(looked.without(removed))
    return total


async def remove(db: Database, blobs: LocalBlobs, digests: Sequence[str], now: Callable[[], float]) -> tuple[int, int]:
    """Of these blobs remove those that nothing refers to; how many, how many bytes."""
    older_than = now() - GRACE_S
    serial = await db.read(consistency.serial)
    known: set[str] = set()
    for batch in in_batches(digests):
        known |= await db.read(upkeep.referenced, batch)
    return await _remove(db, blobs, [digest for digest in digests if digest not in known], older_than, serial)


async def _remove(
    db: Database, blobs: LocalBlobs, digests: Sequence[str], older_than: float, serial: int
) -> tuple[int, int]:
    count = size = 0
    for batch in in_batches(digests):
        await db.write(take, blobs, batch, older_than, serial)
        removed = await asyncio.to_thread(unused.unlink_aside, blobs, batch)
        count, size = count + removed[0], size + removed[1]
    return count, size
