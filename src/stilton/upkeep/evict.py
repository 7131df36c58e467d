"""Eviction: mirrors' caches are kept below their limits (`domain.eviction` decides what goes).

The rows go first, in the writing thread, so that pages and files of every worker know; the bytes follow
(`upkeep.sweep`). Nothing is evicted that could not be fetched again: not offline, not while upstream is down.
"""

import logging
from collections.abc import Callable
from typing import Any

import msgspec

from stilton.blobs.local import LocalBlobs
from stilton.db import accounts, upkeep
from stilton.db.database import Database
from stilton.domain import eviction
from stilton.domain.indexes import Index
from stilton.domain.names import IndexName
from stilton.upkeep import sweep

log = logging.getLogger(__name__)

BATCH = 100
"""Files of which one transaction lets go."""


class Evicted(msgspec.Struct, frozen=True):
    """How many files a mirror let go, and their bytes."""

    files: int = 0
    bytes: int = 0


async def evict(
    db: Database, blobs: LocalBlobs, may_go: Callable[[IndexName], bool], now: Callable[[], float]
) -> dict[IndexName, Evicted]:
    """Bring every mirror below its limits; what went. `may_go(mirror)`: whether its files can be fetched again."""
    found: dict[IndexName, Evicted] = {}
    for index in await db.read(accounts.all_indexes):
        if not eviction.limits(index.keys).any or not index.is_mirror or not may_go(index.full_name):
            continue
        gone = await due(db, index, now())
        if gone:
            found[index.full_name] = await _let_go(db, blobs, index.full_name, gone, now)
    return found


async def due(db: Database, index: Index, now: float) -> list[eviction.Cached]:
    """What a mirror must let go now. The whole list is read only when something has to."""
    limits = eviction.limits(index.keys)
    held = await db.read(upkeep.cached_bytes, index.full_name) if limits.max_bytes is not None else 0
    oldest = await db.read(upkeep.used_least, index.full_name) if limits.max_age_s is not None else None
    fits = limits.max_bytes is None or held <= limits.max_bytes
    if fits and (limits.max_age_s is None or oldest is None or now - oldest <= limits.max_age_s):
        return []
    return await db.read(_decided, index.full_name, limits, now)


async def _let_go(
    db: Database, blobs: LocalBlobs, mirror: IndexName, gone: list[eviction.Cached], now: Callable[[], float]
) -> Evicted:
    went: list[eviction.Cached] = []
    for start in range(0, len(gone), BATCH):
        went += await db.write(upkeep.let_go, mirror, gone[start : start + BATCH])
    await sweep.remove(db, blobs, [file.digest for file in went if file.digest], now)
    evicted = Evicted(len(went), sum(file.size or 0 for file in went))
    if went:
        log.info(
            "Evicted %d files (%d bytes) of %s, not used for the longest time", evicted.files, evicted.bytes, mirror
        )
    return evicted


def _decided(
    connection: Any,  # noqa: ANN401 - a tool's type
    mirror: IndexName,
    limits: eviction.Limits,
    now: float,
) -> list[eviction.Cached]:
    return eviction.evicted(upkeep.cached(connection, mirror), limits, now=now)
