"""Make a server's folder out of a backup, and check backups: every byte is hashed on the way.

The folder counts as a server's only when all is there; until then a restore that was interrupted
goes on where it was (`serverdir.begin`). Where backups are: `upkeep.vault`.
"""

import contextlib
import os
import uuid
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import msgspec

from stilton.blobs import unused
from stilton.blobs.local import sync
from stilton.db import migrate, snapshots
from stilton.domain.errors import SetupError
from stilton.serverdir import ServerDir
from stilton.upkeep import apart, space
from stilton.upkeep.carrier import Carrier
from stilton.upkeep.telling import Telling
from stilton.upkeep.threads import JOBS, in_order
from stilton.upkeep.vault import Snapshot, Vault, needed, sha256

SHOWN = 20
"""Files that are not as they should be, named one by one; after these only counted."""


class Wish(msgspec.Struct, frozen=True):
    """`hard_links`: share the backup's bytes. `new_uuid`: be another server. `incomplete`: also without all files."""

    hard_links: bool = False
    new_uuid: bool = False
    incomplete: bool = False


class Verified(msgspec.Struct, frozen=True):
    """`wrong`: what is not as it was written; paths below the vault."""

    snapshots: int
    blobs: int
    wrong: list[str]


def chosen(vault: Vault, name: str | None) -> Snapshot:
    """The snapshot of that name; without one the newest complete one. Raises SetupError."""
    known = vault.snapshots()
    if name is not None:
        for snapshot in known:
            if snapshot.name == name:
                return snapshot
        raise SetupError(f"{vault.path} has no snapshot {name}. There are: {_names(vault)}.")
    complete = [snapshot for snapshot in known if not snapshot.manifest.missing]
    if not complete:
        raise SetupError(f"{vault.path} has no complete snapshot. There are: {_names(vault)}.")
    return complete[-1]


def check(vault: Vault, snapshot: Snapshot, place: ServerDir, wish: Wish) -> None:
    """What can be known before anything is written. Raises SetupError."""
    migrate.refuse_newer(snapshot.database, snapshot.manifest.schema)
    apart.check_restore(vault.path, place.path)
    place.check_begin(_task(snapshot))
    if snapshot.manifest.missing and not wish.incomplete:
        raise SetupError(_of_lost(vault, snapshot, snapshot.manifest.missing))
    _check_room(vault, snapshot, place, wish)
    for path in _unsound(snapshot):
        raise SetupError(f"{path} is not what the backup wrote: the disk is damaged. Try another snapshot.")


def restore(vault: Vault, snapshot: Snapshot, place: ServerDir, wish: Wish, telling: Telling) -> str:
    """Make `place`, which passed `check`, the server that was backed up; returns its uuid.

    Raises SetupError, StorageTrouble and OSError.
    """
    manifest = snapshot.manifest
    name = uuid.uuid4().hex if wish.new_uuid else manifest.uuid
    place.begin(_task(snapshot), name)
    place.blobs.create()
    place.blobs.clear_incoming()
    carrier = Carrier(vault.blobs, place.blobs, copy=not wish.hard_links, doubt=True)
    wrong = carrier.carry(snapshot.digests(), manifest.blobs, telling)
    carrier.sync()
    lost = [*manifest.missing, *sorted(wrong)]
    if lost and not wish.incomplete:
        raise SetupError(_of_lost(vault, snapshot, lost))
    _copy_database(snapshot, place)
    place.finish()
    return name


def verify(vault: Vault, wanted: Sequence[Snapshot], telling: Telling) -> Verified:
    """Hash everything that these snapshots consist of. Raises OSError."""
    wrong = [_below(vault, path) for path in vault.unreadable()]
    for snapshot in wanted:
        wrong += [_below(vault, path) for path in _unsound(snapshot)]
    count = sum(1 for _ in needed(wanted))
    telling.begin("files", count)
    try:
        with contextlib.closing(in_order(partial(_holds, vault), needed(wanted), JOBS)) as outcomes:
            for digest, holds in outcomes:
                wrong += [] if holds else [_below(vault, vault.blobs.path(digest))]
                telling.step()
    finally:
        telling.end()
    return Verified(len(wanted), count, wrong)


def is_sound(path: Path, digest: str) -> bool:
    """Whether the file is there and has this sha256."""
    try:
        return sha256(path) == digest
    except OSError:
        return False


def _task(snapshot: Snapshot) -> str:
    return f"restore of {snapshot.manifest.database_sha256}"


def _check_room(vault: Vault, snapshot: Snapshot, place: ServerDir, wish: Wish) -> None:
    """What an interrupted restore left counts. Links take no room where links can be."""
    real = Path(os.path.realpath(place.path))
    disk = next(folder for folder in (real, *real.parents) if folder.is_dir())
    is_linked = wish.hard_links and disk.stat().st_dev == vault.path.stat().st_dev
    needed = snapshot.manifest.database_bytes
    if not is_linked:
        needed += max(snapshot.manifest.bytes - (_brought(snapshot, place) if disk == real else 0), 0)
    space.check(place.path, needed)


def _brought(snapshot: Snapshot, place: ServerDir) -> int:
    """Bytes that are there by now, those of copies that were cut off too: they are removed first."""
    return sum(_size(place.blobs.path(digest)) for digest in snapshot.digests()) + unused.begun(place.blobs)[1]


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _holds(vault: Vault, digest: str) -> bool:
    return is_sound(vault.blobs.path(digest), digest)


def _unsound(snapshot: Snapshot) -> list[Path]:
    """Which of a snapshot's own files are not as they were written."""
    manifest = snapshot.manifest
    pairs = ((snapshot.database, manifest.database_sha256), (snapshot.list, manifest.list_sha256))
    return [path for path, digest in pairs if not is_sound(path, digest)]


def _copy_database(snapshot: Snapshot, place: ServerDir) -> None:
    snapshots.take(snapshot.database, place.database)
    sync(place.path)


def _of_lost(vault: Vault, snapshot: Snapshot, lost: Sequence[str]) -> str:
    named = [", ".join(snapshots.names(snapshot.database, digest)) or digest for digest in lost[:SHOWN]]
    more = f"\n  and {len(lost) - SHOWN} more" if len(lost) > SHOWN else ""
    return (
        f"{len(lost)} files of {vault.path} are missing or damaged; the server is not complete without them:\n  "
        + "\n  ".join(named)
        + f"{more}\nTry another snapshot, or take what there is with --incomplete."
    )


def _names(vault: Vault) -> str:
    said = [
        one.name + (f" (lacks {len(lost)} files)" if (lost := one.manifest.missing) else "")
        for one in vault.snapshots()
    ]
    said += [f"{manifest.parent.name} (cannot be read)" for manifest in vault.unreadable()]
    return ", ".join(said) or "none; one that was interrupted counts when devpi-backup was run again"


def _below(vault: Vault, path: Path) -> str:
    return str(path.relative_to(vault.path))
