"""Bring blobs from one store to another: linked where that is possible, else copied and hashed on the way."""

import contextlib
import enum
import errno
import os
from collections.abc import Iterable
from pathlib import Path

from stilton.blobs.local import LocalBlobs, sync
from stilton.blobs.uploads import READ_BYTES, Upload
from stilton.upkeep import threads
from stilton.upkeep.telling import Telling
from stilton.upkeep.vault import sha256

_NO_LINK = (errno.EXDEV, errno.EPERM, errno.EMLINK, errno.EOPNOTSUPP, errno.ENOSYS)


class _How(enum.Enum):
    """How a blob got into the target."""

    NOT = "not"
    WAS_THERE = "was there"
    LINKED = "linked"
    COPIED = "copied"


class Carrier:
    """Counts what it brings. `doubt`: whether what lies in the target, or is linked, is hashed too. Sizes in bytes."""

    def __init__(
        self, source: LocalBlobs, target: LocalBlobs, *, copy: bool, doubt: bool, jobs: int = threads.JOBS
    ) -> None:
        self._source = source
        self._target = target
        self._copy = copy
        self._doubt = doubt
        self._jobs = jobs
        self._linked_into: set[Path] = set()
        self.count = self.bytes = self.linked = self.copied = 0

    def carry(self, digests: Iterable[str], total: int, telling: Telling) -> set[str]:
        """Bring these; returns those that are nowhere, or not what their name says. Raises StorageTrouble, OSError."""
        missing: set[str] = set()
        self.count = self.bytes = 0
        telling.begin("files", total)
        try:
            with contextlib.closing(threads.in_order(self._carry, digests, self._jobs)) as brought:
                for digest, how in brought:
                    if how is _How.NOT:
                        missing.add(digest)
                    else:
                        self._count(digest, how)
                    telling.step()
        finally:
            telling.end()
        return missing

    def sync(self) -> None:
        """What was linked outlives a power cut, as copies do. Raises OSError."""
        for folder in self._linked_into:
            sync(folder)

    def _count(self, digest: str, how: _How) -> None:
        target = self._target.path(digest)
        self.count += 1
        self.bytes += target.stat().st_size
        self.linked += how is _How.LINKED
        self.copied += how is _How.COPIED
        if how is _How.LINKED:
            self._linked_into.add(target.parent)

    def _carry(self, digest: str) -> _How:
        """In a thread."""
        if self._is_there(digest):
            return _How.WAS_THERE
        if self._link(digest):
            return _How.LINKED
        if self._take(digest):
            return _How.COPIED
        # It may be right all the same, and the source's damaged.
        target = self._target.path(digest)
        return _How.WAS_THERE if target.exists() and sha256(target) == digest else _How.NOT

    def _is_there(self, digest: str) -> bool:
        ours = _status(self._target.path(digest))
        if ours is None:
            return False
        if self._doubt:
            return sha256(self._target.path(digest)) == digest
        theirs = _status(self._source.path(digest))
        if theirs is None:
            return True
        if self._copy and os.path.samestat(theirs, ours):
            return False
        # Another size: one of them is damaged. Copying finds out which.
        return theirs.st_size == ours.st_size

    def _link(self, digest: str) -> bool:
        """Whether it could be linked. A blob never changes, so sharing its bytes is safe."""
        source, target = self._source.path(digest), self._target.place(digest)
        if self._copy or target.exists():
            return False
        try:
            if self._doubt and sha256(source) != digest:
                return False
            os.link(source, target)
        except FileNotFoundError:
            return False
        except OSError as error:
            if error.errno not in _NO_LINK:
                raise
            self._copy = error.errno == errno.EXDEV
            return False
        return True

    def _take(self, digest: str) -> bool:
        """Whether a copy has the right hash."""
        with contextlib.suppress(FileNotFoundError), self._source.path(digest).open("rb", buffering=0) as file:
            upload = Upload(self._target)
            try:
                while data := file.read(READ_BYTES):
                    upload.write(data)
                if upload.digest == digest:
                    upload.adopt()
                    return True
            finally:
                upload.discard()
        return False


def _status(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except FileNotFoundError:
        return None
