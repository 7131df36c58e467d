"""A server's data become a dump that this program's `devpi-import` reads, and devpi's.

The database is read in one snapshot, bytes never change: the server may run meanwhile. `dataindex.json` is
written last, so what is half there is never taken for a dump; run again, the export goes on.
"""

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from pathlib import Path

import msgspec
from sqlalchemy import Engine

from stilton.db import migrate, upkeep
from stilton.db.database import connect
from stilton.domain.errors import Invalid, Missing, SetupError
from stilton.domain.indexes import EVERYBODY
from stilton.domain.names import IndexName
from stilton.serverdir import ServerDir
from stilton.upkeep import apart, copies, dump, space, stocktaking, trail
from stilton.upkeep.dump import Dump, DumpedIndex
from stilton.upkeep.stocktaking import Shipment, Stocktaking
from stilton.upkeep.telling import Telling

MARKER = ".stilton-export"
"""Says that the folder is an export of ours that did not finish."""
THREADS = min(4, 1 + (os.cpu_count() or 1))
BATCH = 100


def export(serverdir: Path, folder: Path, *, mirrored: bool, link: bool, tell: Telling) -> None:
    """Write the dump. `mirrored`: also what mirrors hold; `link`: by hard links. Raises SetupError, StorageTrouble."""
    place = _opened(serverdir)
    try:
        _check_free(folder)
        apart.check_backup(folder, place.path, what="dump")
        _claim(folder, tell)
        engine = connect(place.database)
        try:
            with engine.connect() as connection:
                connection.exec_driver_sql("BEGIN")
                found = stocktaking.take(connection, mirrored=mirrored)
                found = msgspec.structs.replace(
                    found, dump=msgspec.structs.replace(found.dump, extra=trail.write(connection, folder))
                )
            if not link:
                space.check(folder, _needed_bytes(found, folder, place))
            _Export(folder, place, engine, link=link, tell=tell).run(found)
        finally:
            engine.dispose()
    except OSError as error:
        raise SetupError(f"The folder {folder} cannot be written: {error.strerror}.") from error


class _Export:
    """One export, from its folder's claim to its `dataindex.json`."""

    def __init__(self, folder: Path, place: ServerDir, engine: Engine, *, link: bool, tell: Telling) -> None:
        self._folder = folder
        self._place = place
        self._engine = engine
        self._link = link
        self._tell = tell
        self._copied_though_linking = False
        self._gone: set[str] = set()

    def run(self, found: Stocktaking) -> None:
        """Raises SetupError, StorageTrouble."""
        for user in found.dump.users:
            self._tell.line(f"dumped user {user!r}")
        if private := [name for name, index in found.dump.indexes.items() if _is_private(index)]:
            self._tell.notice(f"a devpi-server that takes the dump lets everybody read {', '.join(private)}")
        self._tell.begin("exporting files", sum(map(len, found.shipments.values())))
        pool = ThreadPoolExecutor(THREADS, "export")
        try:
            for index, shipments in found.shipments.items():
                self._index(index, shipments, pool.map)
        finally:
            pool.shutdown(cancel_futures=True)
            self._tell.end()
        if self._copied_though_linking:
            self._tell.notice("hard links cannot be made from here to there (another disk?): files were copied")
        self._write(_without(found.dump, self._gone))

    def _index(
        self, index: IndexName, shipments: Sequence[Shipment], run: "Callable[..., Iterator[str | None]]"
    ) -> None:
        for start in range(0, len(shipments), BATCH):
            batch = shipments[start : start + BATCH]
            for shipment, done in zip(batch, run(self._give, batch), strict=True):
                self._tell_file(shipment, done)
            self._tell.step(len(batch))
        self._tell.line(f"dumped index {str(index)!r}")

    def _give(self, shipment: Shipment) -> str | None:
        """In a thread: what was done; None when the file was removed from the server meanwhile."""
        target = self._folder / shipment.relpath
        if copies.is_whole(target, shipment.digest):
            return "keep"
        try:
            linked = copies.give(self._place.blobs.path(shipment.digest), target, shipment.digest, link=self._link)
        except Missing as missing:
            with self._engine.connect() as connection:
                if upkeep.referenced(connection, [shipment.digest]):
                    raise SetupError(
                        f"{missing} It is {shipment.relpath}; devpi-fsck says what else is missing."
                    ) from None
            return None
        except Invalid as rotten:
            raise SetupError(f"{rotten}. The disk has changed it: restore it from a backup.") from None
        return "link" if linked else "copy"

    def _tell_file(self, shipment: Shipment, done: str | None) -> None:
        if done is None:
            self._gone.add(shipment.relpath)
            self._tell.notice(f"{shipment.relpath} was removed from the server meanwhile, it is left out")
            return
        self._copied_though_linking |= self._link and done == "copy"
        self._tell.line(f"{done} file at {shipment.relpath}")
        self._tell.line(f"dumped {shipment.kind}: {shipment.relpath}")

    def _write(self, document: Dump) -> None:
        text = dump.written(document)
        self._tell.line(f"writing {dump.INDEX_NAME}, length {len(text)}")
        temporary = self._folder / f"{dump.INDEX_NAME}.part"
        # It has the hashes of passwords.
        temporary.unlink(missing_ok=True)
        temporary.touch(mode=0o600)
        with temporary.open("wb") as file:
            file.write(text)
        # Files were not synced one by one; this syncs all of them before the dump counts as one.
        os.sync()
        temporary.replace(self._folder / dump.INDEX_NAME)
        (self._folder / MARKER).unlink()


def _opened(serverdir: Path) -> ServerDir:
    """The server's folder, which may be in use. Raises SetupError."""
    place = ServerDir(serverdir)
    place.check_data()
    migrate.check(place.database)
    return place


def _check_free(folder: Path) -> None:
    """Raises SetupError when the folder holds something that is no unfinished export; OSError."""
    if folder.exists() and (not folder.is_dir() or (any(folder.iterdir()) and not (folder / MARKER).exists())):
        raise SetupError(f"export directory {folder} must not exist or be empty")


def _claim(folder: Path, tell: Telling) -> None:
    """Raises OSError."""
    if (folder / MARKER).exists():
        tell.notice("an export to this folder was interrupted: going on with it")
        (folder / dump.INDEX_NAME).unlink(missing_ok=True)
    elif not folder.exists():
        tell.line(f"creating {folder}")
        folder.mkdir(mode=0o700, parents=True)
    (folder / MARKER).touch()


def _needed_bytes(found: Stocktaking, folder: Path, place: ServerDir) -> int:
    """What copies take of the disk: of what is not there yet, whole or not."""
    sizes = 0
    for shipment in chain.from_iterable(found.shipments.values()):
        # What is missing here is told when it is its turn.
        with contextlib.suppress(OSError):
            if not (folder / shipment.relpath).exists():
                sizes += place.blobs.path(shipment.digest).stat().st_size
    return sizes


def _is_private(index: DumpedIndex) -> bool:
    """Whether only some may read it. devpi keeps `acl_pkg_read`, and does not know what it means."""
    return set(index.indexconfig.get("acl_pkg_read", EVERYBODY)).isdisjoint(EVERYBODY)


def _without(document: Dump, gone: set[str]) -> Dump:
    if not gone:
        return document
    indexes = {
        name: msgspec.structs.replace(index, files=[file for file in index.files if file.relpath not in gone])
        for name, index in document.indexes.items()
    }
    return msgspec.structs.replace(document, indexes=indexes)
