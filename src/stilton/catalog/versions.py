"""Versions of a project seen through an index, with their metadata and every file: devpi's JSON is made of it."""

import msgspec

from stilton.catalog.indexes import Indexes
from stilton.catalog.views import Part, Views
from stilton.db import stages
from stilton.db.database import Database
from stilton.domain.errors import ProjectNotFound, VersionNotFound
from stilton.domain.files import File, by_version
from stilton.domain.inheritance import Source
from stilton.domain.names import IndexName, ProjectName
from stilton.domain.permission import Actor
from stilton.domain.publishing import Release, StageFile, same_version


class Published(msgspec.Struct, frozen=True):
    """A version on a private index, with its files of every kind."""

    index: IndexName
    release: Release
    files: tuple[StageFile, ...]


class Mirrored(msgspec.Struct, frozen=True):
    """A version on a mirror: only what pages say."""

    index: IndexName
    project: ProjectName
    version: str
    files: tuple[File, ...]


Version = Published | Mirrored
Versions = dict[str, list[Version]]
"""By version: the one that counts, then those that it shadows, in resolution order."""


class Releases:
    """Reads versions."""

    def __init__(self, indexes: Indexes, views: Views, db: Database) -> None:
        self._indexes = indexes
        self._views = views
        self._db = db

    async def all(
        self, actor: Actor, user: str, name: str, project: ProjectName, *, inherited: bool = True
    ) -> Versions:
        """Every version. `inherited` False: of the index itself only.

        Raises IndexNotFound, Denied, ProjectNotFound, UpstreamTrouble.
        """
        index = await self._indexes.readable(actor, user, name)
        if not inherited and not index.is_mirror:
            versions = await self._published(index.full_name, project)
            if versions is None:
                raise ProjectNotFound(project, index.full_name)
            return {version.release.version: [version] for version in versions}
        view = await self._views.look(actor, index, project)
        found: Versions = {}
        for part in view.parts:
            for text, version in await self._of_part(part, project):
                found.setdefault(text, []).append(version)
        return found

    async def one(self, actor: Actor, user: str, name: str, project: ProjectName, version: str) -> list[Version]:
        """One version, however it is spelled, and those that it shadows. Raises VersionNotFound, else as `all`."""
        versions = await self.all(actor, user, name, project)
        for text in (version, *(known for known in versions if same_version(known, version))):
            if text in versions:
                return versions[text]
        raise VersionNotFound(project, version)

    async def sources(self, actor: Actor, user: str, name: str, project: ProjectName) -> list[Source]:
        """Who contributes to a project and who does not, with the reasons. Raises IndexNotFound, Denied."""
        index = await self._indexes.readable(actor, user, name)
        hidden = self._indexes.hidden(actor, index)
        return [one for one in self._indexes.sources(actor, index, project) if one.index not in hidden]

    async def _of_part(self, part: Part, project: ProjectName) -> list[tuple[str, Version]]:
        if self._indexes.is_mirror(part.index):
            grouped = by_version(part.project).items()
            return [(text, Mirrored(part.index, project, text, tuple(files))) for text, files in grouped]
        versions = await self._published(part.index, project) or []
        return [(version.release.version, version) for version in versions]

    async def _published(self, stage: IndexName, project: ProjectName) -> list[Published] | None:
        found = await self._db.read(stages.contents, stage, project, with_metadata=True)
        if found is None:
            return None
        files: dict[str, list[StageFile]] = {}
        for file in found.files:
            files.setdefault(file.version, []).append(file)
        return [Published(stage, release, tuple(files.get(release.version, ()))) for release in found.releases]
