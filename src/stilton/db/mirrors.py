"""SQL for mirrors: what upstream said, and what is held of its files.

Documents are zstd-compressed MessagePack of `domain.files.Project`, behind one
byte that names the format, so that a later program can read or refuse them.
"""

import sys
from collections.abc import Sequence

import msgspec
from sqlalchemy import Connection, RowMapping, bindparam, delete, select, update

from stilton.db.database import Transaction
from stilton.db.schema import held, mirrored, project_lists, upsert
from stilton.domain import changes
from stilton.domain.files import Project
from stilton.domain.holdings import Held
from stilton.domain.names import IndexName, ProjectName

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

_FORMAT = b"\x01"
_LEVEL = 1

# The hottest statements, put together once.
_PAGE = select(mirrored.c.document, mirrored.c.etag, mirrored.c.checked_at).where(
    mirrored.c.mirror == bindparam("m"), mirrored.c.project == bindparam("p")
)
_HELD_FILES = select(held).where(held.c.mirror == bindparam("m"), held.c.project == bindparam("p"))
_HELD_FILE = select(held).where(held.c.mirror == bindparam("m"), held.c.path == bindparam("p"))
_KEEP_PAGE = upsert(mirrored)
_KEEP_FILE = upsert(held, keep=frozenset({"digest", "size", "metadata_digest", "last_modified"}))
_KEEP_LIST = upsert(project_lists)
_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Project)


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """A project page as upstream last confirmed it at `checked_at`."""

    project: Project
    etag: str | None
    checked_at: float


class Packed(msgspec.Struct, frozen=True):
    """A `Page` as it is stored; see `unpack`."""

    document: bytes
    etag: str | None
    checked_at: float


class HeldFile(msgspec.Struct, frozen=True, kw_only=True):
    """A kept file, and what is needed to decide whether and how to serve it."""

    path: str
    project: ProjectName
    held: Held
    last_modified: str | None = None


class ProjectList(msgspec.Struct, frozen=True, kw_only=True):
    """All names upstream, compressed."""

    names: bytes
    etag: str | None
    serial: int | None
    checked_at: float


def page(connection: Connection, mirror: IndexName, project: ProjectName) -> Packed | None:
    """What upstream last said of `project`; None when it was never asked, or had nothing."""
    row = connection.execute(_PAGE, {"m": mirror, "p": project}).first()
    if row is None or row.document[:1] != _FORMAT:
        return None
    return Packed(row.document, row.etag, row.checked_at)


def unpack(packed: Packed) -> Page:
    """The page itself. 26 ms for the largest there are; needs no database."""
    document = _decoder.decode(zstd.decompress(packed.document[1:]))
    return Page(project=document, etag=packed.etag, checked_at=packed.checked_at)


def keep_page(tx: Transaction, mirror: IndexName, kept: Page) -> None:
    """Replace what upstream said of a project."""
    status = kept.project.status
    row = {
        "mirror": mirror,
        "project": kept.project.name,
        "document": _FORMAT + zstd.compress(_encoder.encode(kept.project), _LEVEL),
        "etag": kept.etag,
        "serial": kept.project.serial,
        "status": status.status if status else None,
        "checked_at": kept.checked_at,
    }
    tx.sql.execute(_KEEP_PAGE, row)
    tx.note(changes.of_project(mirror, kept.project.name))


def confirm_page(tx: Transaction, mirror: IndexName, project: ProjectName, checked_at: float) -> None:
    """Upstream said "not modified": nothing changed but the time. Not in the log of changes."""
    tx.sql.execute(
        update(mirrored).where(mirrored.c.mirror == mirror, mirrored.c.project == project).values(checked_at=checked_at)
    )


def known_projects(connection: Connection, mirror: IndexName) -> list[ProjectName]:
    """Names of all projects of which a page is kept, sorted."""
    statement = select(mirrored.c.project).where(mirrored.c.mirror == mirror).order_by(mirrored.c.project)
    return [ProjectName(name) for (name,) in connection.execute(statement)]


def held_files(connection: Connection, mirror: IndexName, project: ProjectName) -> dict[str, Held]:
    """What is kept of a project's files, by path."""
    return {row["path"]: _held(row) for row in connection.execute(_HELD_FILES, {"m": mirror, "p": project}).mappings()}


def held_file(connection: Connection, mirror: IndexName, path: str) -> HeldFile | None:
    """What is kept of the file at `path`."""
    row = connection.execute(_HELD_FILE, {"m": mirror, "p": path}).mappings().first()
    if row is None:
        return None
    return HeldFile(
        path=path,
        project=ProjectName(row["project"]),
        held=_held(row),
        last_modified=row["last_modified"],
    )


def keep_file(tx: Transaction, mirror: IndexName, entry: HeldFile, fetched_at: float) -> None:
    """Note a file, its metadata, or both; what is not known of it now stays as it was."""
    row = {
        "mirror": mirror,
        "path": entry.path,
        "project": entry.project,
        **msgspec.structs.asdict(entry.held),
        "last_modified": entry.last_modified,
        "fetched_at": fetched_at,
    }
    tx.sql.execute(_KEEP_FILE, row)
    tx.note(changes.of_project(mirror, entry.project))


def forget_blob(tx: Transaction, mirror: IndexName, entry: HeldFile) -> None:
    """The file's blob is not on the disk any more: it must be fetched again."""
    tx.sql.execute(
        update(held).where(held.c.mirror == mirror, held.c.path == entry.path).values(digest=None, size=None)
    )
    tx.note(changes.of_project(mirror, entry.project))


def drop_files(tx: Transaction, mirror: IndexName, project: ProjectName, paths: Sequence[str]) -> None:
    """Hold these files no more; they are fetched again when somebody asks."""
    for path in paths:
        tx.sql.execute(delete(held).where(held.c.mirror == mirror, held.c.path == path))
    tx.note(changes.of_project(mirror, project))


def drop_project(tx: Transaction, mirror: IndexName, project: ProjectName) -> bool:
    """Forget a project's page and hold its files no more; False when nothing was known of it."""
    pages = tx.sql.execute(delete(mirrored).where(mirrored.c.mirror == mirror, mirrored.c.project == project))
    files = tx.sql.execute(delete(held).where(held.c.mirror == mirror, held.c.project == project))
    tx.note(changes.of_project(mirror, project))
    return bool(pages.rowcount or files.rowcount)


def forget_pages(tx: Transaction, mirror: IndexName) -> None:
    """Forget what upstream said, as it is another one now. Files stay: they are known by their hashes."""
    for table in (mirrored, project_lists):
        tx.sql.execute(delete(table).where(table.c.mirror == mirror))


def project_list(connection: Connection, mirror: IndexName) -> ProjectList | None:
    """Names of all projects upstream, as of the last time they were asked for."""
    row = connection.execute(select(project_lists).where(project_lists.c.mirror == mirror)).mappings().first()
    if row is None:
        return None
    return ProjectList(names=row["names"], etag=row["etag"], serial=row["serial"], checked_at=row["checked_at"])


def keep_project_list(tx: Transaction, mirror: IndexName, kept: ProjectList) -> None:
    """Replace the list of names."""
    row = {"mirror": mirror, **msgspec.structs.asdict(kept)}
    tx.sql.execute(_KEEP_LIST, row)


def _held(row: RowMapping) -> Held:
    return Held(digest=row["digest"], size=row["size"], metadata_digest=row["metadata_digest"])
