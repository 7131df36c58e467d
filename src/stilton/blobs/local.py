"""Blobs on the local disk.

    SERVERDIR/blobs/sha256/ab/cdef0123…    one file per content; whole or absent
    SERVERDIR/incoming/ID.upload           being sent by a client (`blobs.uploads`)
    SERVERDIR/incoming/KEY.part            being downloaded; emptied at start
    SERVERDIR/incoming/KEY.lock            held by the process that downloads it; what upstream said (JSON)

A blob appears by rename of a synced file, so a crash at any point
leaves it whole or absent. Who may see it, under which name, is the
database's business. Counterparts: `blobs.incoming`, `blobs.uploads`.

Blobs that nothing refers to are removed (`blobs.unused`) unless they are young. So
whoever is going to refer to one makes it young before: `adopt`, `put`, or `touch`.
"""

import contextlib
import errno
import fcntl
import hashlib
import os
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

from stilton.domain.errors import StorageFull, StorageTrouble

_NO_SPACE = (errno.ENOSPC, errno.EDQUOT)


class LocalBlobs:
    """Content-addressed files below `root`. Synchronous: call it in a thread."""

    def __init__(self, root: Path) -> None:
        self._root = root / "blobs" / "sha256"
        self.incoming = root / "incoming"

    @property
    def folders(self) -> tuple[Path, Path]:
        """Where blobs are put, and where they grow."""
        return self._root, self.incoming

    def create(self) -> None:
        """Make the folders that blobs and their folders are put into; leave what is there."""
        for folder in self.folders:
            folder.mkdir(parents=True, exist_ok=True)

    def clear_incoming(self) -> None:
        """Drop what an earlier process left half done. Only the owner of the serverdir may."""
        with contextlib.suppress(OSError):
            empty(self.incoming)

    def path(self, digest: str) -> Path:
        """Where the blob with this sha256 (lower-case hex) is, or would be."""
        return self._root / digest[:2] / digest[2:]

    def place(self, digest: str) -> Path:
        """Like `path`, and its folder is there. Raises OSError."""
        place = self.path(digest)
        with contextlib.suppress(FileExistsError):
            place.parent.mkdir()
            sync(self._root)
        return place

    def has(self, digest: str) -> bool:
        """Whether the blob is here."""
        return self.path(digest).is_file()

    def adopt(self, file: Path, digest: str, *, lasting: bool) -> Path:
        """Make `file`, whose sha256 the caller computed, the blob `digest`; `file` is gone then.

        `lasting`: sync its folder too, so that it outlives a power cut; what can be fetched
        again is only never wrong.

        Raises StorageTrouble.
        """
        try:
            target = self.place(digest)
            sync(file)
            # As young as it can be, however long it lay in `incoming`. Not for the owner of a linked file to forbid.
            with contextlib.suppress(PermissionError):
                os.utime(file)
            with self.unswept():
                file.replace(target)
            if lasting:
                sync(target.parent)
        except OSError as error:
            raise trouble(error, digest) from error
        return target

    def put(self, data: bytes, *, lasting: bool = False) -> str:
        """Keep small `data`; returns its sha256. Raises StorageTrouble.

        Unless it is to last it is not synced: it can be had again, and whoever reads it asks `intact` first.
        """
        digest = hashlib.sha256(data).hexdigest()
        temporary = self.incoming / f"{digest}.{os.getpid()}.{threading.get_ident()}.put"
        try:
            temporary.write_bytes(data)
            if lasting:
                self.adopt(temporary, digest, lasting=True)
                return digest
            target = self.place(digest)
            with self.unswept():
                temporary.replace(target)
        except OSError as error:
            with contextlib.suppress(OSError):
                temporary.unlink()
            raise trouble(error, digest) from error
        return digest

    def touch(self, digest: str) -> bool:
        """Make the blob young: somebody is going to refer to it. False when it is not here."""
        with self.unswept():
            try:
                os.utime(self.path(digest))
            except FileNotFoundError:
                return False
            except PermissionError:
                return self.has(digest)
        return True

    @contextlib.contextmanager
    def unswept(self, *, alone: bool = False) -> Iterator[None]:
        """Nobody removes a blob meanwhile, in no process. `alone`: nobody brings one either. Microseconds."""
        # A lock of the folder itself, per open file: it holds between threads too, and ends with the process.
        folder = os.open(self._root, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(folder, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
            yield
        finally:
            os.close(folder)

    def intact(self, digest: str) -> bool:
        """Whether the blob is here and has its hash. For small ones: it is read."""
        try:
            return hashlib.sha256(self.path(digest).read_bytes()).hexdigest() == digest
        except OSError:
            return False


def empty(folder: Path) -> None:
    """Remove what is in it. The folder itself stays, and stays its owner's when root does this. Raises OSError."""
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


def append(descriptor: int, data: bytes, what: str) -> None:
    """Write all of `data` to an open file; `what`: its name in an error. Raises StorageTrouble."""
    view = memoryview(data)
    try:
        while view:
            view = view[os.write(descriptor, view) :]
    except OSError as error:
        raise trouble(error, what) from error


def trouble(error: OSError, what: str) -> StorageTrouble:
    """What `error`, met while storing `what`, means."""
    if error.errno in _NO_SPACE:
        return StorageFull(what)
    return StorageTrouble(what, error.strerror or type(error).__name__)


def sync(path: Path) -> None:
    """A file's bytes, or what was made and renamed in a folder, outlive a power cut. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
