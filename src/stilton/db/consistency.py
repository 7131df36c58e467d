"""SQL for checking files against the database: what should be on the disk, page by page, and how rows are mended.

Three kinds of rows, each in an order that a check can be resumed in: private files, mirrored files (both by digest,
so that a blob with several names is read once), and mirrored files of which only the metadata is here.
"""

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import BindParameter, Connection, Select, bindparam, delete, func, literal, null, select, tuple_, update

from stilton.db.database import Transaction
from stilton.db.schema import changes as changes_table
from stilton.db.schema import files, held
from stilton.domain import changes
from stilton.domain.names import IndexName, ProjectName

Key = tuple[str, str, str]
"""Where a row stands in the order: digest, index, path."""

_STAGE_FILES = select(
    files.c.stage, files.c.path, files.c.project, literal(value=False), files.c.digest, files.c.size,
    files.c.metadata_digest, files.c.provenance_digest, files.c.requires_python,
).where(files.c.gone_at.is_(None))  # fmt: skip
_MIRROR_FILES = select(
    held.c.mirror, held.c.path, held.c.project, literal(value=True), held.c.digest, held.c.size,
    held.c.metadata_digest, null(), null(),
)  # fmt: skip
_AFTER: tuple[BindParameter[str], ...] = (bindparam("digest"), bindparam("index"), bindparam("path"))


def _ordered(statement: Select[*tuple[object, ...]], *columns: object) -> Select[*tuple[object, ...]]:
    return statement.where(tuple_(*columns) > tuple_(*_AFTER)).order_by(*columns).limit(bindparam("most"))  # type: ignore[arg-type]  # columns


_PAGES = (
    _ordered(_STAGE_FILES, files.c.digest, files.c.stage, files.c.path),
    _ordered(_MIRROR_FILES.where(held.c.digest.is_not(None)), held.c.digest, held.c.mirror, held.c.path),
    _ordered(
        _MIRROR_FILES.where(held.c.digest.is_(None), held.c.metadata_digest > ""),
        literal(""), held.c.mirror, held.c.path,
    ),
)  # fmt: skip
KINDS = len(_PAGES)


class Row(msgspec.Struct, frozen=True):
    """A file that should be here. `digest` None: only its metadata; digests are of blobs. `size`: bytes."""

    index: IndexName
    path: str
    project: ProjectName
    is_mirror: bool
    digest: str | None
    size: int | None
    metadata_digest: str | None
    provenance_digest: str | None
    requires_python: str | None

    @property
    def key(self) -> Key:
        """Its place in the order."""
        return self.digest or "", self.index, self.path

    @property
    def name(self) -> str:
        """Its URL below `/`."""
        return f"{self.index}/{self.path}"


def page(connection: Connection, kind: int, after: Key, most: int) -> list[Row]:
    """The next rows of a kind (0 to `KINDS` - 1) after a place in its order; `("", "", "")` begins."""
    digest, index, path = after
    named = {"digest": digest, "index": index, "path": path, "most": most}
    return [_row(row) for row in connection.execute(_PAGES[kind], named)]


def serial(connection: Connection) -> int:
    """Number of the last commit."""
    return connection.scalar(select(func.max(changes_table.c.serial))) or 0


def count(connection: Connection) -> int:
    """How many rows there are in all."""
    of_stages = select(func.count()).select_from(files).where(files.c.gone_at.is_(None))
    of_mirrors = (
        select(func.count()).select_from(held).where(held.c.digest.is_not(None) | (held.c.metadata_digest > ""))
    )
    return (connection.scalar(of_stages) or 0) + (connection.scalar(of_mirrors) or 0)


def is_so(connection: Connection, row: Row) -> bool:
    """Whether the database still says what the row says."""
    if row.is_mirror:
        statement = _MIRROR_FILES.where(held.c.mirror == row.index, held.c.path == row.path)
    else:
        statement = _STAGE_FILES.where(files.c.stage == row.index, files.c.path == row.path)
    now = connection.execute(statement).first()
    return now is not None and _row(now) == row


def drop(tx: Transaction, row: Row) -> None:
    """A mirrored file is not held any more: it is fetched again when somebody asks."""
    tx.sql.execute(delete(held).where(held.c.mirror == row.index, held.c.path == row.path))
    tx.note(changes.of_project(row.index, row.project))


def put_metadata(tx: Transaction, row: Row, digest: str | None) -> None:
    """Which metadata file it has; None for a mirrored one: it is made when somebody asks."""
    if row.is_mirror:
        rows = update(held).where(held.c.mirror == row.index, held.c.path == row.path)
    else:
        rows = update(files).where(files.c.stage == row.index, files.c.path == row.path)
    tx.sql.execute(rows.values(metadata_digest=digest))
    tx.note(changes.of_project(row.index, row.project))


def put_requires_python(tx: Transaction, row: Row, value: str | None) -> None:
    """What a private file's page says of Python."""
    tx.sql.execute(
        update(files).where(files.c.stage == row.index, files.c.path == row.path).values(requires_python=value)
    )
    tx.note(changes.of_project(row.index, row.project))


def _row(values: Sequence[Any]) -> Row:
    return Row(*[*values[:3], bool(values[3]), *values[4:]])
