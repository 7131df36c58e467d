"""One file that a client sends: written and hashed as it comes, in constant memory.

Until it is adopted it lies in `incoming`, which is emptied at start; whoever began it
discards it when something is wrong.
"""

import contextlib
import hashlib
import os
import uuid
from pathlib import Path

from stilton.blobs.local import LocalBlobs, append, trouble

READ_BYTES = 1 << 20


class Upload:
    """Synchronous: call it in a thread. `size` in bytes, so far. `what` it is, for people."""

    def __init__(self, blobs: LocalBlobs, what: str = "") -> None:
        self._blobs = blobs
        self.path: Path = blobs.incoming / f"{uuid.uuid4().hex}.upload"
        self._what = what or self.path.name
        self.size = 0
        self._sha256 = hashlib.sha256()
        try:
            self._out: int | None = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o644)
        except OSError as error:
            raise trouble(error, self._what) from error

    def write(self, data: bytes) -> None:
        """Append. Raises StorageTrouble."""
        assert self._out is not None
        append(self._out, data, self._what)
        self._sha256.update(data)
        self.size += len(data)

    @property
    def digest(self) -> str:
        """sha256 of what came so far, lower-case hex."""
        return self._sha256.hexdigest()

    def other_digest(self, algorithm: str) -> str:
        """Its `md5` or `blake2b_256`, by reading it again."""
        running = hashlib.blake2b(digest_size=32) if algorithm == "blake2b_256" else hashlib.md5(usedforsecurity=False)
        with self.path.open("rb") as file:
            while piece := file.read(READ_BYTES):
                running.update(piece)
        return running.hexdigest()

    def adopt(self) -> Path:
        """Make it a blob that outlives a power cut. Raises StorageTrouble."""
        self._close()
        return self._blobs.adopt(self.path, self.digest, lasting=True)

    def discard(self) -> None:
        """Drop it, unless it was adopted. May be called twice. On a disk that is read-only now it stays."""
        self._close()
        with contextlib.suppress(OSError):
            self.path.unlink()

    def _close(self) -> None:
        if self._out is not None:
            os.close(self._out)
            self._out = None
