"""The audit log beside a dump: `+stilton-1/audit.jsonl`, an entry a line, the oldest first. devpi ignores it.

`dataindex.json` has its hash, and is written after it: one without the other is noticed.
"""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import msgspec
from sqlalchemy import Connection

from stilton.db import audit
from stilton.db.database import Transaction
from stilton.domain.audit import Entry, Event
from stilton.domain.errors import Invalid
from stilton.upkeep.dump import OURS, DumpExtra, Source

PLACE = f"+{OURS}/audit.jsonl"
_BATCH = 1000


def write(connection: Connection, folder: Path) -> DumpExtra:
    """Write what the log has as of the connection's snapshot; what the dump says of it. Raises OSError."""
    target = folder / PLACE
    target.parent.mkdir(exist_ok=True)
    digest = hashlib.sha256()
    with target.open("wb") as file:
        for entry in audit.all_entries(connection):
            line = msgspec.json.encode(entry) + b"\n"
            digest.update(line)
            file.write(line)
        file.flush()
        os.fsync(file.fileno())
    return DumpExtra(audit_sha256=digest.hexdigest())


def looked_at(source: Source) -> tuple[bool, list[str]]:
    """(whether there is a log that can be taken, why there is one that cannot be)."""
    extra = source.dump.extra
    if not isinstance(extra, DumpExtra) or extra.audit_sha256 is None:
        return False, []
    try:
        _check(source.folder, extra.audit_sha256)
    except Invalid as error:
        return False, [f"the audit log: {error}"]
    return True, []


def put(tx: Transaction, folder: Path) -> None:
    """Note all entries, each as it was. Raises Invalid."""
    batch: list[Entry] = []
    for line in _lines(folder):
        batch.append(_entry(line))
        if len(batch) == _BATCH:
            audit.put(tx, batch)
            batch = []
    audit.put(tx, batch)


def imported(name: str, users: int, indexes: int, files: int) -> Event:
    """That a dump of this folder's name was imported."""
    return Event("import", "", {"dump": name, "users": users, "indexes": indexes, "files": files})


def _check(folder: Path, sha256: str) -> None:
    """Raises Invalid unless the log is there and what it was."""
    digest = hashlib.sha256()
    for line in _lines(folder):
        digest.update(line)
        _entry(line)
    if digest.hexdigest() != sha256:
        raise Invalid(f"{folder / PLACE}: sha256 mismatch, got {digest.hexdigest()}, expected {sha256}")


def _lines(folder: Path) -> Iterator[bytes]:
    """Raises Invalid, also for what is not a file inside the dump."""
    place = folder / PLACE
    try:
        if not place.resolve(strict=True).is_relative_to(folder.resolve()) or not place.is_file():
            raise Invalid(f"{place} is no file of the dump")
        with place.open("rb") as file:
            yield from file
    except OSError as error:
        raise Invalid(f"{place} cannot be read: {error.strerror}") from error


def _entry(line: bytes) -> Entry:
    try:
        entry = msgspec.json.decode(line, type=Entry)
        # What Python cannot write again it does not take.
        audit.row(entry)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Invalid(f"{PLACE} has a line that is no entry: {error}") from error
    return entry
