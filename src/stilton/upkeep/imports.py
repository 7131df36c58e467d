"""A dump becomes a new server: users, indexes, then index by index releases and files (protocol reference 4.2).

Bytes are copied and hashed by some threads, rows written a batch at a time. Whatever interrupts it, the next
run goes on with the first file that has no row: a row is written after its bytes are on the disk.
"""

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from pathlib import Path
from typing import TypeVar

import msgspec
from sqlalchemy import Engine

from stilton.blobs.local import LocalBlobs
from stilton.db import accounts, audit, inventory
from stilton.db.database import Transaction, write_now
from stilton.domain.errors import Invalid, Missing, SetupError
from stilton.domain.indexes import Index
from stilton.domain.names import IndexName
from stilton.upkeep import catalogues, manifest, rows, shelving, trail
from stilton.upkeep.catalogues import Catalogue, Incoming
from stilton.upkeep.copies import Copier
from stilton.upkeep.dump import DumpedIndex, Source
from stilton.upkeep.indexkeys import Keys
from stilton.upkeep.manifest import User
from stilton.upkeep.rows import Arrived
from stilton.upkeep.telling import Telling

T = TypeVar("T")

THREADS = min(4, 1 + (os.cpu_count() or 1))
BATCH = 100
"""Files, or releases, that are committed together."""


class Plan(msgspec.Struct, frozen=True):
    """What is to be done. `skipped`: index types. `keep_going`: files that cannot be taken are left out."""

    source: Source
    skipped: frozenset[str]
    keep_going: bool
    catalogues: dict[IndexName, Catalogue]
    indexes: dict[IndexName, DumpedIndex]
    keys: dict[IndexName, Keys]
    users: list[User]
    has_trail: bool
    left_out: list[str]


def plan(
    source: Source, bounded: Callable[[str], str], *, skipped: frozenset[str], keep_going: bool, tell: Telling
) -> Plan:
    """Look through the whole dump before anything is written. `bounded`: as `manifest.users`. Raises SetupError."""
    if wrong := manifest.wrong(source.dump, skipped):
        hint = f"You could also try to edit {source.index_file} manually to fix the above errors."
        raise SetupError("\n".join([*wrong, hint]))
    indexes = manifest.indexes(source.dump, skipped)
    found = {name: catalogues.catalogue(name, index) for name, index in indexes.items()}
    has_trail, left_out = trail.looked_at(source)
    left_out += source.left_out + [text for catalogue in found.values() for text in catalogue.left_out]
    if left_out and not keep_going:
        raise SetupError(
            "\n".join([f"Some files weren't imported: {left_out[0]}", *left_out[1:]])
            + "\nNothing was imported. With --keep-going they are left out and listed at the end."
        )
    wanted = Plan(
        source, skipped, keep_going, found, indexes, manifest.index_keys(indexes),
        manifest.users(source.dump, bounded), has_trail, left_out,
    )  # fmt: skip
    tell.line(f"******** Importing packages from {source.folder} **********")
    _tell_numbers(source, tell)
    notices = [user.notices for user in wanted.users] + [keys.notices for keys in wanted.keys.values()]
    for notice in chain(source.notices, *notices, *(catalogue.notices for catalogue in found.values())):
        tell.notice(notice)
    return wanted


def needed_bytes(wanted: Plan, blobs: LocalBlobs) -> int:
    """What copies of the files take of the disk, at least: of those whose hash is known and that are not here."""
    sizes: dict[str, int] = {}
    for file in chain.from_iterable(catalogue.files for catalogue in wanted.catalogues.values()):
        digest = file.hashes.get("sha256")
        if digest is not None and digest not in sizes and not blobs.has(digest):
            # What is missing is told when it is its turn.
            with contextlib.suppress(OSError):
                sizes[digest] = (wanted.source.folder / file.dumped.relpath).lstat().st_size
    return sum(sizes.values())


def begin(tx: Transaction, wanted: Plan) -> None:
    """Before all else, once: the audit log of the server that the dump is of, and that it came here.

    Raises SetupError when the log was changed meanwhile.
    """
    if wanted.has_trail:
        try:
            trail.put(tx, wanted.source.folder)
        except Invalid as error:
            raise SetupError(f"The audit log: {error}") from error
    files = sum(len(catalogue.files) for catalogue in wanted.catalogues.values())
    name = wanted.source.folder.absolute().name
    audit.note(tx, trail.imported(name, len(wanted.users), len(wanted.indexes), files))


class Import:
    """Carries out a plan, on a database and blobs that nobody else uses."""

    def __init__(
        self, wanted: Plan, engine: Engine, blobs: LocalBlobs, *, link: bool, tell: Telling, now: Callable[[], float]
    ) -> None:
        self._plan = wanted
        self._engine = engine
        self._blobs = blobs
        self._copier = Copier(blobs, link=link, within=wanted.source.folder)
        self._tell = tell
        self._now = now
        self._left_out = list(wanted.left_out)

    def run(self) -> list[str]:
        """Everything; what was left out. Raises SetupError, StorageTrouble."""
        self._everything()
        if self._copier.could_not_link:
            self._tell.notice("hard links cannot be made from there to here (another disk?): files were copied")
        return self._left_out

    def _everything(self) -> None:
        write_now(self._engine, self._now, self._people_and_indexes)
        total = sum(len(catalogue.files) for catalogue in self._plan.catalogues.values())
        self._tell.begin("importing files", total)
        pool = ThreadPoolExecutor(THREADS, "import")
        try:
            for name, catalogue in self._plan.catalogues.items():
                self._index(name, catalogue, pool)
        finally:
            # Whoever interrupts it does not wait for a batch of large files.
            pool.shutdown(cancel_futures=True)
            self._tell.end()

    def last_serial(self) -> int:
        """Number of the last commit."""
        with self._engine.connect() as connection:
            return inventory.last_serial(connection)

    def _people_and_indexes(self, tx: Transaction) -> None:
        for user in self._plan.users:
            here = accounts.user_keys(tx.sql, user.name) or {}
            keys = {key: value for key, value in {**here, **user.keys}.items() if key != "username"}
            accounts.put_user(tx, user.name, user.pwhash, keys)
        for name, said in self._plan.keys.items():
            owner, _, own = name.partition("/")
            standing = accounts.index(tx.sql, owner, own)
            accounts.put_index(tx, Index(owner, own, said.beside(owner, standing.keys if standing else {})))
        known = [index.full_name for index in accounts.all_indexes(tx.sql)]
        if missing := manifest.missing_bases(self._plan.keys, here=known):
            self._tell.notice(
                f"The following indexes are in bases, but don't exist in the import data: {', '.join(missing)}"
            )

    def _index(self, name: IndexName, catalogue: Catalogue, pool: ThreadPoolExecutor) -> None:
        shelf = shelving.shelf(name, self._plan.indexes[name], catalogue, at=self._now())
        for projects in batches(sorted(catalogue.releases)):
            write_now(self._engine, self._now, shelf.put_projects, projects)
        with self._engine.connect() as connection:
            here = shelf.here(connection)
        todo = [file for file in catalogue.files if file.identity not in here]
        self._tell.step(len(catalogue.files) - len(todo))
        for batch in batches(todo):
            brought = list(pool.map(self._bring, batch))
            self._refuse([one for one in brought if isinstance(one, str)])
            arrived = [one for one in brought if isinstance(one, Arrived)]
            for one in arrived:
                if one.unreadable:
                    relpath = one.incoming.dumped.relpath
                    self._tell.notice(f"{relpath} is no wheel that can be read: it has no metadata of its own")
            self._refuse(write_now(self._engine, self._now, shelf.put_files, arrived))
            self._tell.step(len(batch))
        write_now(self._engine, self._now, shelf.finish)

    def _bring(self, incoming: Incoming) -> Arrived | str:
        """In a thread: copy and look at one file; a sentence when it cannot be taken. Raises StorageTrouble."""
        folder = self._plan.source.folder
        extra = incoming.dumped.extra
        try:
            copied = self._copier.bring(folder / incoming.dumped.relpath, incoming.hashes)
            relpath = extra.provenance if extra else None
            # Its name is its hash.
            proof = self._copier.bring(folder / relpath, {"sha256": Path(relpath).stem}) if relpath else None
        except (Missing, Invalid) as error:
            return str(error)
        return rows.inspected(incoming, copied, self._blobs, proof)

    def _refuse(self, why: list[str]) -> None:
        """Raises SetupError unless the import is to keep going."""
        if why and not self._plan.keep_going:
            raise SetupError(
                f"{why[0]}\nRepair it and run the same command again, it goes on where it stopped; "
                "with --keep-going such files are left out and listed at the end."
            )
        self._left_out += why


def batches(items: Sequence[T]) -> Iterator[Sequence[T]]:
    """As many as are committed together."""
    for start in range(0, len(items), BATCH):
        yield items[start : start + BATCH]


def _tell_numbers(source: Source, tell: Telling) -> None:
    dump = source.dump
    tell.line(f"Number of users: {len(dump.users)}")
    tell.line(f"Number of indexes: {len(dump.indexes)}")
    for name, index in dump.indexes.items():
        tell.line(f"Index {name} has {len(index.projects)} projects and {len(index.files)} files")
    tell.line(f"Total number of projects: {sum(len(index.projects) for index in dump.indexes.values())}")
    tell.line(f"Total number of files: {sum(len(index.files) for index in dump.indexes.values())}")
