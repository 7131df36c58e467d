"""Blobs that nothing refers to: found, and taken away. What refers to them is the database's business.

Safe while others bring blobs: a blob is taken only as old as the caller saw it, under the lock that `adopt`,
`put` and `touch` share. It is moved aside first, which is quick, and unlinked later; `incoming` is emptied at start.
"""

import contextlib
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from stilton.blobs.local import LocalBlobs

FOLDERS = tuple(f"{first:02x}" for first in range(256))
QUARANTINE = "quarantine"
_DIGEST = re.compile(r"[0-9a-f]{64}")


def listed(blobs: LocalBlobs, folder: str) -> dict[str, os.stat_result]:
    """Every blob whose digest begins with `folder` (two hex digits)."""
    found: dict[str, os.stat_result] = {}
    try:
        with os.scandir(_folder(blobs, folder)) as entries:
            for entry in entries:
                if _is_blob(folder, entry):
                    found[folder + entry.name] = entry.stat()
    except FileNotFoundError:
        pass  # the folder, or a file that went while we looked
    return found


def strangers(blobs: LocalBlobs) -> Iterator[Path]:
    """What is among the blobs and is none: other names, folders, links. Of a folder only itself."""
    root = _folder(blobs, "00").parent
    yield from (Path(entry) for entry in _entries(root.parent) if entry.name != root.name)
    for entry in _entries(root):
        if entry.name not in FOLDERS or not entry.is_dir():
            yield Path(entry)
            continue
        yield from (Path(inner) for inner in _entries(Path(entry)) if not _is_blob(entry.name, inner))


def begun(blobs: LocalBlobs) -> tuple[int, int]:
    """How many files are in `incoming`, and their bytes."""
    files = [entry for entry in _entries(blobs.incoming) if entry.is_file(follow_symlinks=False)]
    return len(files), sum(_size(entry) for entry in files)


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


def _folder(blobs: LocalBlobs, folder: str) -> Path:
    return blobs.path(folder.ljust(64, "0")).parent


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except FileNotFoundError:
        return []


def _is_blob(folder: str, entry: os.DirEntry[str]) -> bool:
    # Another name of that length is not ours to remove.
    return _DIGEST.fullmatch(folder + entry.name) is not None and entry.is_file(follow_symlinks=False)


def _size(entry: os.DirEntry[str]) -> int:
    try:
        return entry.stat(follow_symlinks=False).st_size
    except FileNotFoundError:
        return 0  # it arrived meanwhile


def _aside(blobs: LocalBlobs, digest: str) -> Path:
    return blobs.incoming / f"{digest}.swept"
