"""Back up a server, running or not: first the database at one moment, then every blob that it refers to.

The order is what makes it consistent: blobs are there before rows refer to them, so a snapshot's blobs
are all there at its moment. Between the snapshot and the turn of a blob somebody may remove its file, and
the sweep the blob: then a new snapshot is taken. A blob that two snapshots in a row refer to and that is
not there was not removed but lost; the manifest names it, and the backup does not count as complete.
Where backups are: `upkeep.vault`; the way back: `upkeep.restore`.
"""

import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from stilton import __version__
from stilton.blobs import unused
from stilton.blobs.local import LocalBlobs
from stilton.db import migrate, snapshots
from stilton.domain.errors import SetupError
from stilton.upkeep.carrier import Carrier
from stilton.upkeep.telling import Telling
from stilton.upkeep.vault import FORMAT, Manifest, Snapshot, Vault, listed, needed, sha256

TRIES = 5
"""Snapshots until a backup gives up to find a moment at which nobody removes what it is about to take."""


class Source(msgspec.Struct, frozen=True):
    """The server that is backed up."""

    database: Path
    blobs: LocalBlobs
    uuid: str


class Wish(msgspec.Struct, frozen=True):
    """`mirrors`: also what can be fetched again. `copy`: never a hard link, which shares its bytes with the server."""

    mirrors: bool = False
    copy: bool = False


class Made(msgspec.Struct, frozen=True):
    """A backup. `linked`, `copied`: blobs that are new in the vault. `left`: files of mirrors, and their bytes."""

    snapshot: Snapshot
    linked: int
    copied: int
    left: tuple[int, int]


class Pruned(msgspec.Struct, frozen=True):
    """What `prune` removed."""

    snapshots: int
    blobs: int
    bytes: int


def make(source: Source, vault: Vault, wish: Wish, *, now: Callable[[], float], telling: Telling) -> Made:
    """One more snapshot in a locked vault. Raises SetupError, StorageTrouble and OSError; run again, it goes on."""
    _check_server(source, vault)
    vault.clear()
    folder = vault.begin(now())
    carrier = Carrier(source.blobs, vault.blobs, copy=wish.copy, doubt=False)
    before: set[str] = set()
    for _ in range(TRIES):
        made_at = now()
        left = _snapshot(source, folder, mirrors=wish.mirrors)
        wanted = folder / "blobs.txt"
        missing = carrier.carry(listed(wanted), sum(1 for _ in listed(wanted)), telling)
        if missing <= before:
            break
        before = missing
    carrier.sync()
    number = 1 + max((one.manifest.number for one in vault.snapshots()), default=0)
    manifest = _manifest(folder, source, wish, made_at, carrier, sorted(missing))
    manifest = msgspec.structs.replace(manifest, number=number)
    return Made(vault.finish(folder, manifest), carrier.linked, carrier.copied, left)


def prune(vault: Vault, keep: int) -> Pruned:
    """Remove snapshots older than the newest `keep` complete ones, then blobs of no snapshot.

    The vault is locked. Raises SetupError and OSError.
    """
    for manifest in vault.unreadable():
        raise SetupError(f"{manifest} cannot be read, so nothing was removed: remove that snapshot, or mend it.")
    known = vault.snapshots()
    complete = [snapshot for snapshot in known if not snapshot.manifest.missing]
    gone = known[: known.index(complete[-keep])] if len(complete) >= keep else []
    for snapshot in gone:
        vault.remove(snapshot)
    count = size = 0
    for blob in _unneeded(vault, known[len(gone) :]):
        size += blob.stat().st_size
        blob.unlink()
        count += 1
    return Pruned(len(gone), count, size)


def _check_server(source: Source, vault: Vault) -> None:
    for snapshot in vault.snapshots()[-1:]:
        if snapshot.manifest.uuid != source.uuid:
            raise SetupError(
                f"The folder {vault.path} has backups of another server (uuid {snapshot.manifest.uuid}, "
                f"this one is {source.uuid}): name another folder."
            )


def _snapshot(source: Source, folder: Path, *, mirrors: bool) -> tuple[int, int]:
    """The database and the list of its blobs; files and bytes of mirrors that were left out."""
    database = folder / "stilton.sqlite"
    snapshots.take(source.database, database)
    left = (0, 0) if mirrors else snapshots.leave_mirrors(database)
    with (folder / "blobs.txt").open("w") as out:
        out.writelines(f"{digest}\n" for digest in snapshots.blobs(database))
        out.flush()
        os.fsync(out.fileno())
    return left


def _manifest(
    folder: Path, source: Source, wish: Wish, made_at: float, carrier: Carrier, missing: list[str]
) -> Manifest:
    database = folder / "stilton.sqlite"
    return Manifest(
        format=FORMAT,
        made_at=datetime.fromtimestamp(made_at, UTC).isoformat(),
        uuid=source.uuid,
        program=__version__,
        schema=migrate.version(database) or "",
        mirrors=wish.mirrors,
        blobs=carrier.count,
        bytes=carrier.bytes,
        database_bytes=database.stat().st_size,
        database_sha256=sha256(database),
        list_sha256=sha256(folder / "blobs.txt"),
        missing=missing,
    )


def _unneeded(vault: Vault, kept: list[Snapshot]) -> Iterator[Path]:
    """Blobs that no snapshot refers to. Both sides are sorted, so no more than a folder is in memory."""
    digests = needed(kept)
    ahead = next(digests, "")
    for folder in unused.FOLDERS:
        wanted = set()
        while ahead.startswith(folder):
            wanted.add(ahead)
            ahead = next(digests, "")
        for digest in unused.listed(vault.blobs, folder).keys() - wanted:
            yield vault.blobs.path(digest)
