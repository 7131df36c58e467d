"""One file on its way in: written, hashed and watched while it grows.

The writer is one process (it holds the lock file); everybody else, in this
process or another, reads what is there. A `Partial` whose writer died can be
taken over: its lock is free and its bytes are dropped.
"""

import contextlib
import fcntl
import hashlib
import json
import os
from pathlib import Path
from typing import Any

from stilton.blobs.local import LocalBlobs, append, trouble


class Partial:
    """The files of one download, by `key` (safe as a file name)."""

    def __init__(self, blobs: LocalBlobs, key: str) -> None:
        self._blobs = blobs
        self.path = blobs.incoming / f"{key}.part"
        self._lock_path = blobs.incoming / f"{key}.lock"
        self._lock: int | None = None
        self._out: int | None = None
        self._hashes: dict[str, Any] = {}
        self.size = 0

    def claim(self) -> bool:
        """Become the writer; False when another process is. Raises StorageTrouble."""
        while True:
            try:
                lock = os.open(self._lock_path, os.O_RDWR | os.O_CREAT, 0o644)
            except OSError as error:
                raise trouble(error, self.path.name) from error
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(lock)
                return False
            # The last writer may have removed the file between our open and our lock.
            try:
                ours = self._lock_path.stat().st_ino == os.fstat(lock).st_ino
            except FileNotFoundError:
                ours = False
            if ours:
                # What a writer that died said is not what we will say.
                os.ftruncate(lock, 0)
                self._lock = lock
                return True
            os.close(lock)

    def begin(self, algorithms: set[str], head: dict[str, Any]) -> None:
        """Start with no bytes. `head`: what readers need to answer a client. Raises StorageTrouble."""
        assert self._lock is not None
        try:
            self._out = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o644)
            self._hashes = {name: hashlib.new(name, usedforsecurity=False) for name in algorithms | {"sha256"}}
            self.size = 0
            # In the lock file, which others look at anyway; its line end says that it is whole.
            os.pwrite(self._lock, json.dumps(head).encode() + b"\n", 0)
        except OSError as error:
            raise trouble(error, self.path.name) from error

    def head(self) -> dict[str, Any] | None:
        """What the writer said in `begin`; None before that."""
        try:
            text = self._lock_path.read_bytes()
        except FileNotFoundError:
            return None
        head: dict[str, Any] | None = json.loads(text) if text.endswith(b"\n") else None
        return head

    def write(self, data: bytes) -> None:
        """Append, so that readers can have it; hash it with `digest`. Raises StorageTrouble."""
        assert self._out is not None
        append(self._out, data, self.path.name)
        self.size += len(data)

    def digest(self, data: bytes) -> None:
        """Feed the hashes; each byte once, in order. Releases the GIL for large pieces."""
        for running in self._hashes.values():
            running.update(data)

    def digests(self) -> dict[str, str]:
        """Algorithm → hex digest of all that was fed."""
        return {name: running.hexdigest() for name, running in self._hashes.items()}

    def commit(self, digest: str) -> Path:
        """Turn the whole file into the blob `digest` (sha256). Raises StorageTrouble."""
        return self._blobs.adopt(self.path, digest, lasting=False)

    def release(self) -> None:
        """Stop being the writer; drop what was not committed. May be called twice."""
        if self._out is not None:
            os.close(self._out)
            self._out = None
        if self._lock is not None:
            for path in (self.path, self._lock_path):
                with contextlib.suppress(OSError):  # it is the blob now, or the disk is read-only
                    path.unlink()
            os.close(self._lock)
            self._lock = None


class Reader:
    """Reads a partial or finished file by position, also after it was renamed or removed."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_RDONLY)

    def size(self) -> int:
        """Bytes there are by now."""
        return os.fstat(self._file).st_size

    def read(self, at: int, count: int) -> bytes:
        """Up to `count` bytes from `at`; fewer at the present end."""
        return os.pread(self._file, count, at)

    def close(self) -> None:
        """Free the descriptor."""
        os.close(self._file)
