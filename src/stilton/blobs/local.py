"""Blobs on the local disk.

    SERVERDIR/blobs/sha256/ab/cdef0123…    one file per content; whole or absent
    SERVERDIR/incoming/KEY.part            being downloaded; emptied at start
    SERVERDIR/incoming/KEY.head            what upstream said about it (JSON)
    SERVERDIR/incoming/KEY.lock            held by the process that downloads it

A blob appears by rename of a synced file, and its folder is synced, so a crash
at any point leaves it whole or absent. Who may see it, under which name, is the
database's business. Counterpart: `blobs.incoming`.
"""

import errno
import hashlib
import os
import shutil
import tempfile
from pathlib import Path

from stilton.domain.errors import StorageFull, StorageTrouble

_NO_SPACE = (errno.ENOSPC, errno.EDQUOT)


class LocalBlobs:
    """Content-addressed files below `root`. Synchronous: call it in a thread."""

    def __init__(self, root: Path) -> None:
        self._root = root / "blobs" / "sha256"
        self.incoming = root / "incoming"

    def create(self) -> None:
        """Make the folders; leave what is there."""
        self._root.mkdir(parents=True, exist_ok=True)
        self.incoming.mkdir(exist_ok=True)

    def clear_incoming(self) -> None:
        """Drop what an earlier process left half done. Only the owner of the serverdir may."""
        shutil.rmtree(self.incoming, ignore_errors=True)
        self.incoming.mkdir(exist_ok=True)

    def path(self, digest: str) -> Path:
        """Where the blob with this sha256 (lower-case hex) is, or would be."""
        return self._root / digest[:2] / digest[2:]

    def has(self, digest: str) -> bool:
        """Whether the blob is here."""
        return self.path(digest).is_file()

    def adopt(self, file: Path, digest: str) -> Path:
        """Make `file`, whose sha256 the caller computed, the blob `digest`; `file` is gone then.

        Raises StorageTrouble.
        """
        target = self.path(digest)
        try:
            _sync(file)
            target.parent.mkdir(exist_ok=True)
            file.replace(target)
            _sync(target.parent)
        except OSError as error:
            raise trouble(error, target.name) from error
        return target

    def put(self, data: bytes) -> str:
        """Keep small `data`; returns its sha256. Raises StorageTrouble."""
        digest = hashlib.sha256(data).hexdigest()
        if self.has(digest):
            return digest
        descriptor, name = tempfile.mkstemp(dir=self.incoming, suffix=".put")
        temporary = Path(name)
        try:
            with os.fdopen(descriptor, "wb") as out:
                out.write(data)
            temporary.chmod(0o644)
            self.adopt(temporary, digest)
        except OSError as error:
            raise trouble(error, digest) from error
        finally:
            temporary.unlink(missing_ok=True)
        return digest


def trouble(error: OSError, what: str) -> StorageTrouble:
    """What `error`, met while storing `what`, means."""
    if error.errno in _NO_SPACE:
        return StorageFull(what)
    return StorageTrouble(what, error.strerror or type(error).__name__)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
