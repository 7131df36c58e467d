"""Blobs that nothing refers to: found, and taken away. What refers to them is the database's business.

Safe while others bring blobs: a blob is taken only as old as the caller saw it, under the lock that `adopt`,
`put` and `touch` share. It is moved aside first, which is quick, and unlinked later; `incoming` is emptied at start.
"""

import contextlib
import os
from collections.abc import Iterable
from pathlib import Path

from stilton.blobs.local import LocalBlobs

FOLDERS = tuple(f"{first:02x}" for first in range(256))
QUARANTINE = "quarantine"
_DIGEST_CHARS = 64


def listed(blobs: LocalBlobs, folder: str) -> dict[str, os.stat_result]:
    """Every blob whose digest begins with `folder` (two hex digits)."""
    found: dict[str, os.stat_result] = {}
    try:
        with os.scandir(blobs.path(folder.ljust(_DIGEST_CHARS, "0")).parent) as entries:
            for entry in entries:
                digest = folder + entry.name
                if len(digest) == _DIGEST_CHARS and entry.is_file(follow_symlinks=False):
                    found[digest] = entry.stat()
    except FileNotFoundError:
        pass  # the folder, or a file that went while we looked
    return found


def set_aside(blobs: LocalBlobs, digests: Iterable[str], *, older_than: float) -> None:
    """Take blobs from their place that nobody touched since `older_than` (Unix seconds); `unlink_aside` ends them."""
    with blobs.unswept(alone=True):
        for digest in digests:
            blob = blobs.path(digest)
            with contextlib.suppress(FileNotFoundError):
                if blob.stat().st_mtime < older_than:
                    blob.replace(_aside(blobs, digest))


def unlink_aside(blobs: LocalBlobs, digests: Iterable[str]) -> tuple[int, int]:
    """Remove what was set aside of these: how many, how many bytes. Large files take their time."""
    count = size = 0
    for digest in digests:
        aside = _aside(blobs, digest)
        with contextlib.suppress(FileNotFoundError):
            size += aside.stat().st_size
            aside.unlink()
            count += 1
    return count, size


def quarantine(blobs: LocalBlobs, digest: str) -> Path | None:
    """Move a blob that is not what its name says out of the way, for somebody to look at; where it is then."""
    folder = blobs.incoming.parent / QUARANTINE
    folder.mkdir(mode=0o700, exist_ok=True)
    place = folder / digest
    count = 0
    while place.exists():
        count += 1
        place = folder / f"{digest}.{count}"
    try:
        blobs.path(digest).replace(place)
    except FileNotFoundError:
        return None
    return place


def _aside(blobs: LocalBlobs, digest: str) -> Path:
    return blobs.incoming / f"{digest}.swept"
