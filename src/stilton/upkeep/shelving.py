"""Where an imported index's projects and files go: onto a private index, or into what a mirror holds.

Two shelves with one shape, so that `imports` need not know which it fills. Methods run in a transaction of
their own and may be run again.
"""

from collections.abc import Sequence
from typing import Protocol

import msgspec
from sqlalchemy import Connection

from stilton.db import inventory, mirrors, pins, stages, upkeep
from stilton.db.database import Transaction
from stilton.db.inventory import Identity
from stilton.db.mirrors import Page
from stilton.db.stages import HostedProject
from stilton.domain.errors import Missing
from stilton.domain.files import File, Project, Status
from stilton.domain.names import IndexName, ProjectName
from stilton.domain.publishing import Kind, Release, StageFile
from stilton.upkeep import rows
from stilton.upkeep.catalogues import Catalogue
from stilton.upkeep.dump import DumpedIndex, FileExtra, GoneFile, ProjectExtra
from stilton.upkeep.rows import Arrived

NEVER_CHECKED = 0.0
"""So upstream is asked as soon as somebody asks for the page."""


class Shelf(Protocol):
    """An index that is being filled."""

    def here(self, connection: Connection) -> set[Identity]:
        """Files that an earlier import put there."""

    def put_projects(self, tx: Transaction, projects: Sequence[ProjectName]) -> None:
        """Note projects and their releases."""

    def put_files(self, tx: Transaction, arrived: Sequence[Arrived]) -> list[str]:
        """Note files; why some could not be, as sentences."""

    def finish(self, tx: Transaction) -> None:
        """Note what needs all files to be there."""


def shelf(name: IndexName, index: DumpedIndex, catalogue: Catalogue, *, at: float) -> Shelf:
    """That of an index of the dump. `at`: when it is imported, Unix seconds."""
    if index.indexconfig.get("type") == "mirror":
        return MirrorShelf(name, catalogue, at)
    return StageShelf(name, catalogue, at)


class StageShelf:
    """A private index."""

    def __init__(self, name: IndexName, catalogue: Catalogue, at: float) -> None:
        self._name = name
        self._catalogue = catalogue
        self._extra = catalogue.extra
        self._at = at

    def here(self, connection: Connection) -> set[Identity]:
        """As `Shelf`."""
        return inventory.published(connection, self._name)

    def put_projects(self, tx: Transaction, projects: Sequence[ProjectName]) -> None:
        """As `Shelf`."""
        for project in projects:
            extra = self._extra.projects.get(project, ProjectExtra())
            stages.put_project(tx, self._name, HostedProject(project, _status(extra), gone=False), now=self._at)
            for version, keys in self._catalogue.releases[project].items():
                stages.put_release(tx, self._name, project, Release(version, keys, extra.yanked.get(version)))

    def put_files(self, tx: Transaction, arrived: Sequence[Arrived]) -> list[str]:
        """As `Shelf`."""
        refused: list[str] = []
        for one in arrived:
            project, version = one.incoming.project, one.incoming.version
            known = self._catalogue.releases[project]
            if version not in known:
                known[version] = {"name": project, "version": version}
                stages.put_release(tx, self._name, project, Release(version, known[version]))
            try:
                rows.put_published(tx, self._name, one, known[version])
            except Missing as error:
                refused.append(str(error))
        return refused

    def finish(self, tx: Transaction) -> None:
        """As `Shelf`."""
        for name, extra in self._extra.projects.items():
            if extra.gone_at is not None and name not in self._catalogue.releases:
                gone = HostedProject(ProjectName(name), _status(extra), gone=True)
                stages.put_project(tx, self._name, gone, now=extra.gone_at)
        live = inventory.paths(tx.sql, self._name)
        for file in self._extra.gone:
            if file.path not in live:
                stages.put_file(tx, self._name, _gone(file))


class MirrorShelf:
    """A mirror: its files, and pages that list them until upstream is asked again."""

    def __init__(self, name: IndexName, catalogue: Catalogue, at: float) -> None:
        self._name = name
        self._catalogue = catalogue
        self._at = at

    def here(self, connection: Connection) -> set[Identity]:
        """As `Shelf`."""
        return inventory.cached(connection, self._name)

    def put_projects(self, tx: Transaction, projects: Sequence[ProjectName]) -> None:
        """Nothing: pages come last."""

    def put_files(self, tx: Transaction, arrived: Sequence[Arrived]) -> list[str]:
        """As `Shelf`."""
        for one in arrived:
            entry = rows.held(one)
            extra = one.incoming.dumped.extra or FileExtra()
            mirrors.keep_file(tx, self._name, entry, extra.fetched_at or self._at)
            if extra.used_at is not None:
                upkeep.mark_used(tx, {(self._name, entry.path): extra.uses}, at=extra.used_at)
            if extra.pinned is not None:
                pins.put(tx, self._name, [entry.path], reason=extra.pinned, at=self._at)
        return []

    def finish(self, tx: Transaction) -> None:
        """As `Shelf`."""
        listed: dict[ProjectName, list[File]] = {}
        for file in self._catalogue.files:
            keys = self._catalogue.releases[file.project].get(file.version, {})
            listed.setdefault(file.project, []).append(rows.listed(file, keys))
        for name, files in listed.items():
            page = Project(name=name, files=tuple(files), versions=tuple(self._catalogue.releases[name]))
            mirrors.keep_page(tx, self._name, Page(project=page, etag=None, checked_at=NEVER_CHECKED))


def _status(extra: ProjectExtra) -> Status | None:
    return Status(extra.status, extra.reason) if extra.status else None


def _gone(file: GoneFile) -> StageFile:
    known = msgspec.structs.asdict(file)
    return StageFile(**{**known, "kind": Kind(file.kind), "project": ProjectName(file.project)})
