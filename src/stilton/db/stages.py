"""SQL for private indexes: projects, releases, files. What is decided with it: `publish`, `catalog`."""

import json
from typing import Any

import msgspec
from sqlalchemy import Connection, RowMapping, bindparam, delete, select

from stilton.db.database import Transaction
from stilton.db.schema import files, projects, releases, upsert
from stilton.domain import changes
from stilton.domain.files import Status
from stilton.domain.names import IndexName, ProjectName, identity
from stilton.domain.publishing import DOCS_SUFFIX, Kind, Release, StageFile
from stilton.domain.versions import canonical

# The hottest statements, put together once.
_HOSTING = select(projects.c.stage, projects.c.gone_at).where(projects.c.project == bindparam("p"))
_PROJECT = select(projects).where(projects.c.stage == bindparam("s"), projects.c.project == bindparam("p"))
_RELEASES = select(releases).where(releases.c.stage == bindparam("s"), releases.c.project == bindparam("p"))
_RELEASE = _RELEASES.where(releases.c.canonical == bindparam("c"))
_VERSIONS = (
    select(releases.c.version, releases.c.yanked)
    .where(releases.c.stage == bindparam("s"), releases.c.project == bindparam("p"))
    .order_by(releases.c.version)
)
_FILES = (
    select(files)
    .where(files.c.stage == bindparam("s"), files.c.project == bindparam("p"), files.c.gone_at.is_(None))
    .order_by(files.c.uploaded_at, files.c.path)
)
_NAMED = select(files).where(
    files.c.stage == bindparam("s"), files.c.project == bindparam("p"), files.c.filename == bindparam("f")
)
_OF_RELEASE = select(files).where(
    files.c.stage == bindparam("s"), files.c.project == bindparam("p"), files.c.version == bindparam("v")
)
_FILE = select(files).where(files.c.stage == bindparam("s"), files.c.path == bindparam("f"))
_PUT_PROJECT = upsert(projects)
_PUT_RELEASE = upsert(releases)
_PUT_FILE = upsert(files)


class HostedProject(msgspec.Struct, frozen=True):
    """A project that a private index has, or had (`gone`) and keeps the name of."""

    name: ProjectName
    status: Status | None
    gone: bool


def hosting(connection: Connection, project: ProjectName) -> dict[IndexName, bool]:
    """Which private indexes know the project: True those that have it, False those that had it."""
    return {IndexName(row.stage): row.gone_at is None for row in connection.execute(_HOSTING, {"p": project})}


def project(connection: Connection, stage: IndexName, name: ProjectName) -> HostedProject | None:
    """What a private index knows of a project; None when it never had it."""
    row = connection.execute(_PROJECT, {"s": stage, "p": name}).mappings().first()
    if row is None:
        return None
    status = Status(row["status"], row["status_reason"]) if row["status"] else None
    return HostedProject(name, status, gone=row["gone_at"] is not None)


def names(connection: Connection, stage: IndexName) -> list[ProjectName]:
    """Projects that a private index has, sorted."""
    statement = select(projects.c.project).where(projects.c.stage == stage, projects.c.gone_at.is_(None))
    return [ProjectName(name) for (name,) in connection.execute(statement.order_by(projects.c.project))]


def project_releases(connection: Connection, stage: IndexName, name: ProjectName) -> list[Release]:
    """All releases of a project."""
    return [_release(row) for row in connection.execute(_RELEASES, {"s": stage, "p": name}).mappings()]


def release(connection: Connection, stage: IndexName, name: ProjectName, version: str) -> Release | None:
    """One release, however its version is spelled."""
    named = {"s": stage, "p": name, "c": canonical(version)}
    row = connection.execute(_RELEASE, named).mappings().first()
    return None if row is None else _release(row)


def versions(connection: Connection, stage: IndexName, name: ProjectName) -> dict[str, str | None]:
    """A project's versions, without their metadata: version → why it is yanked, None when it is not."""
    return {row.version: row.yanked for row in connection.execute(_VERSIONS, {"s": stage, "p": name})}


def project_files(connection: Connection, stage: IndexName, name: ProjectName) -> list[StageFile]:
    """All files of a project that are there, of every kind, the oldest first."""
    return [_file(row) for row in connection.execute(_FILES, {"s": stage, "p": name}).mappings()]


class Contents(msgspec.Struct, frozen=True):
    """A project as it was at one moment. `releases`: by version; their metadata only when it was asked for."""

    project: HostedProject
    versions: dict[str, str | None]
    releases: list[Release]
    files: list[StageFile]


def contents(connection: Connection, stage: IndexName, name: ProjectName, *, with_metadata: bool) -> Contents | None:
    """Everything of a project; None when the index does not have it (any more). May be thousands of rows."""
    entry = project(connection, stage, name)
    if entry is None or entry.gone:
        return None
    known = project_releases(connection, stage, name) if with_metadata else []
    return Contents(entry, versions(connection, stage, name), known, project_files(connection, stage, name))


def files_named(connection: Connection, stage: IndexName, name: ProjectName, filename: str) -> list[StageFile]:
    """Every file of this name that the project has or had."""
    return [_file(row) for row in connection.execute(_NAMED, {"s": stage, "p": name, "f": filename}).mappings()]


def release_files(connection: Connection, stage: IndexName, name: ProjectName, version: str) -> list[StageFile]:
    """Every file that a release has or had, by its version as it is stored."""
    named = {"s": stage, "p": name, "v": version}
    return [_file(row) for row in connection.execute(_OF_RELEASE, named).mappings()]


def namesakes(
    connection: Connection, stage: IndexName, project: ProjectName, version: str, filename: str
) -> list[StageFile]:
    """Every file of this name that the index has or had, however the name is spelled."""
    found = {file.path: file for file in files_named(connection, stage, project, filename)}
    if not filename.endswith(DOCS_SUFFIX):
        wanted = identity(filename, project)
        known = release(connection, stage, project, version)
        for file in release_files(connection, stage, project, known.version if known else version):
            if file.kind is Kind.RELEASE and identity(file.filename, project) == wanted:
                found[file.path] = file
    return list(found.values())


def results_for(connection: Connection, stage: IndexName, of: StageFile) -> list[StageFile]:
    """Test results of a distribution that are there."""
    return [
        one for one in project_files(connection, stage, of.project)
        if one.kind is Kind.TOXRESULT and one.for_path == of.path
    ]  # fmt: skip


def file(connection: Connection, stage: IndexName, path: str) -> StageFile | None:
    """The file at `path`, or what is remembered of it."""
    row = connection.execute(_FILE, {"s": stage, "f": path}).mappings().first()
    return None if row is None else _file(row)


def put_project(tx: Transaction, stage: IndexName, entry: HostedProject, *, now: float) -> None:
    """Note a project as it is now."""
    tx.sql.execute(_PUT_PROJECT, {
        "stage": stage,
        "project": entry.name,
        "status": entry.status.status if entry.status else None,
        "status_reason": entry.status.reason if entry.status else None,
        "gone_at": now if entry.gone else None,
    })  # fmt: skip
    tx.note(changes.of_project(stage, entry.name))


def forget_project(tx: Transaction, stage: IndexName, name: ProjectName) -> None:
    """Remove what is known of a project, the claim on its name included. Its files' URLs stay gone."""
    tx.sql.execute(delete(projects).where(projects.c.stage == stage, projects.c.project == name))
    tx.note(changes.of_project(stage, name))


def put_release(tx: Transaction, stage: IndexName, name: ProjectName, entry: Release) -> None:
    """Note a release as it is now."""
    tx.sql.execute(_PUT_RELEASE, {
        "stage": stage,
        "project": name,
        "version": entry.version,
        "canonical": canonical(entry.version),
        "keys": json.dumps(entry.keys),
        "yanked": entry.yanked,
    })  # fmt: skip
    tx.note(changes.of_project(stage, name))


def drop_release(tx: Transaction, stage: IndexName, name: ProjectName, version: str) -> None:
    """Remove a release. What becomes of its files: `put_file`."""
    tx.sql.execute(
        delete(releases).where(releases.c.stage == stage, releases.c.project == name, releases.c.version == version)
    )
    tx.note(changes.of_project(stage, name))


def put_file(tx: Transaction, stage: IndexName, entry: StageFile) -> None:
    """Note a file as it is now."""
    row = msgspec.structs.asdict(entry)
    tx.sql.execute(_PUT_FILE, {**row, "stage": stage, "kind": entry.kind.value, "log": json.dumps(entry.log)})
    tx.note(changes.of_project(stage, entry.project))


def drop_index(tx: Transaction, stage: IndexName) -> None:
    """Remove everything of a private index. Nothing stays of it, and no name stays private."""
    for name in names(tx.sql, stage):
        tx.note(changes.of_project(stage, name))
    for table in (projects, releases, files):
        tx.sql.execute(delete(table).where(table.c.stage == stage))


def _release(row: RowMapping) -> Release:
    return Release(row["version"], json.loads(row["keys"]), row["yanked"])


def _file(row: RowMapping) -> StageFile:
    known: dict[str, Any] = {key: row[key] for key in row if key != "stage"}
    return StageFile(**{**known, "kind": Kind(row["kind"]), "log": json.loads(row["log"])})
