"""The folder that backups are in.

    DIR/blobs/sha256/ab/cdef0123…        bytes, shared by all snapshots; whole or absent (`blobs.local`)
    DIR/incoming                         copies on their way
    DIR/snapshots/NAME/stilton.sqlite    the database at the moment NAME (UTC)
    DIR/snapshots/NAME/blobs.txt         sha256 of every blob that it refers to, one a line, sorted
    DIR/snapshots/NAME/manifest.json     what these are; written last
    DIR/snapshots/NAME.partial           begun or half removed; the next backup clears it
    DIR/.lock                            held by a backup or a removal

What is in it can be read without this program's tables: blobs.txt is all that keeping, checking and
removing need, so snapshots of older and newer programs live side by side.
"""

import fcntl
import hashlib
import heapq
import itertools
import os
import shutil
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from stilton.blobs.local import LocalBlobs, sync
from stilton.domain.errors import SetupError

FORMAT = "stilton-backup-1"


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What a snapshot holds. `missing`: blobs that the database names and the server no longer had. Sizes in bytes.

    `number`: its place in the order, which clocks do not change; older programs wrote none.
    """

    format: str
    made_at: str
    uuid: str
    program: str
    schema: str
    mirrors: bool
    blobs: int
    bytes: int
    database_bytes: int
    database_sha256: str
    list_sha256: str
    missing: list[str]
    number: int = 0


class Snapshot(msgspec.Struct, frozen=True):
    """A finished snapshot."""

    path: Path
    manifest: Manifest

    @property
    def name(self) -> str:
        """The moment it is of, UTC."""
        return self.path.name

    @property
    def database(self) -> Path:
        """The copy of the database."""
        return self.path / "stilton.sqlite"

    @property
    def list(self) -> Path:
        """The digests that it refers to."""
        return self.path / "blobs.txt"

    def digests(self) -> Iterator[str]:
        """The sha256 of all blobs that it refers to and that were there, sorted."""
        missing = set(self.manifest.missing)
        return (digest for digest in listed(self.list) if digest not in missing)


class Vault:
    """A folder with backups of one server."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.blobs = LocalBlobs(path)
        self._snapshots = path / "snapshots"
        self._lock: int | None = None

    def create(self) -> None:
        """Make the folders, for the owner's eyes; leave what is there. Raises OSError."""
        if not self.path.exists():
            self.path.mkdir(parents=True)
            self.path.chmod(0o700)
        for folder in (self._snapshots, self.path / "blobs"):
            folder.mkdir(exist_ok=True)
            folder.chmod(0o700)
        self.blobs.create()

    def lock(self) -> None:
        """Become the only one who changes it, until the process ends. Raises SetupError, OSError."""
        lock = os.open(self.path / ".lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            raise SetupError(f"Another devpi-backup is at work in {self.path}: wait until it has ended.") from None
        self._lock = lock

    def unlock(self) -> None:
        """Let others change it."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def clear(self) -> None:
        """Remove what an interrupted command left. Raises OSError."""
        for partial in self._snapshots.glob("*.partial"):
            shutil.rmtree(partial)
        self.blobs.clear_incoming()

    def begin(self, now: float) -> Path:
        """A new folder for a snapshot of `now` (Unix seconds). Raises OSError."""
        moment = datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H-%M-%S")
        spelled = (moment if count == 1 else f"{moment}-{count}" for count in itertools.count(1))
        name = next(name for name in spelled if not (self._snapshots / name).exists())
        folder = self._snapshots / f"{name}.partial"
        folder.mkdir(mode=0o700)
        return folder

    def finish(self, folder: Path, manifest: Manifest) -> Snapshot:
        """Make what `begin` gave a snapshot: from now on it counts. Raises OSError."""
        write(folder / "manifest.json", msgspec.json.format(msgspec.json.encode(manifest), indent=2))
        sync(folder)
        final = folder.with_suffix("")
        folder.rename(final)
        sync(self._snapshots)
        return Snapshot(final, manifest)

    def remove(self, snapshot: Snapshot) -> None:
        """Remove a snapshot; its blobs stay. Raises OSError."""
        partial = snapshot.path.with_name(snapshot.name + ".partial")
        snapshot.path.rename(partial)
        shutil.rmtree(partial)

    def snapshots(self) -> list[Snapshot]:
        """All finished ones that can be read, the oldest first."""
        found = [Snapshot(path, manifest) for path in self._finished() if (manifest := _manifest(path)) is not None]
        return sorted(found, key=lambda one: (one.manifest.number, one.manifest.made_at, one.name))

    def unreadable(self) -> list[Path]:
        """Manifests of finished ones that are damaged, or of another format. What these need is not known."""
        return [path / "manifest.json" for path in self._finished() if _manifest(path) is None]

    def _finished(self) -> list[Path]:
        return sorted(path for path in self._snapshots.glob("*") if path.is_dir() and path.suffix != ".partial")


def at(path: Path) -> tuple[Vault, str | None]:
    """`DIR` or `DIR/snapshots/NAME` or `DIR/NAME`: the vault, and the snapshot's name if one was given."""
    if (path / "snapshots").is_dir():
        return Vault(path), None
    parent = path.parent.parent if path.parent.name == "snapshots" else path.parent
    if (parent / "snapshots").is_dir():
        return Vault(parent), path.name
    raise SetupError(f"{path} is no folder with backups: name the one that devpi-backup was given.")


def listed(path: Path) -> Iterator[str]:
    """The digests in a blobs.txt. Raises OSError."""
    with path.open() as lines:
        for line in lines:
            yield line.rstrip("\n")


def needed(snapshots: Iterable[Snapshot]) -> Iterator[str]:
    """The sha256 of all blobs that any of them refers to, once each, sorted."""
    return (digest for digest, _ in itertools.groupby(heapq.merge(*(one.digests() for one in snapshots))))


def sha256(path: Path) -> str:
    """Of a file, by reading it. Raises OSError."""
    with path.open("rb", buffering=0) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write(path: Path, data: bytes) -> None:
    """A small file, on the disk when this returns. Raises OSError."""
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _manifest(folder: Path) -> Manifest | None:
    try:
        manifest = msgspec.json.decode((folder / "manifest.json").read_bytes(), type=Manifest)
    except (OSError, msgspec.DecodeError):
        return None
    return manifest if manifest.format == FORMAT else None
