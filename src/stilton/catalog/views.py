"""One project seen through an index: what its members have, put together by the rules of inheritance."""

import asyncio
import logging
from collections.abc import Callable, Sequence

import msgspec

from stilton.catalog.indexes import Indexes
from stilton.db import mirrors, stages
from stilton.db.database import Database
from stilton.domain import inheritance, publishing
from stilton.domain.errors import IndexNotFound, NotFound, ProjectNotFound, StiltonError, UpstreamUnavailable
from stilton.domain.files import Project
from stilton.domain.holdings import shown
from stilton.domain.indexes import Index
from stilton.domain.inheritance import Source
from stilton.domain.names import IndexName, ProjectName
from stilton.domain.permission import Actor

log = logging.getLogger(__name__)

ALWAYS = float("inf")
LACKING_S = 2.0
"""A page that lacks what a mirror would contribute is shown for so long."""


class Part(msgspec.Struct, frozen=True):
    """A member's contribution: `source` as it has it, `project` as it is shown.

    `fresh_until`: Unix seconds, until when it need not be looked at again.
    """

    index: IndexName
    source: Project
    project: Project
    fresh_until: float


class View(msgspec.Struct, frozen=True):
    """What a page shows. `notes`: for people, who contributed and what was kept out."""

    project: Project
    parts: tuple[Part, ...]
    fresh_until: float
    notes: tuple[str, ...] = ()

    @property
    def source(self) -> tuple[tuple[IndexName, Project], ...]:
        """What it was made of; equal ones make equal pages."""
        return tuple((part.index, part.source) for part in self.parts)


class Views:
    """Puts projects together."""

    def __init__(self, indexes: Indexes, db: Database, now: Callable[[], float]) -> None:
        self._indexes = indexes
        self._db = db
        self._now = now

    async def look(self, actor: Actor, index: Index, project: ProjectName) -> View:
        """The project as `actor` sees it through `index`.

        Raises ProjectNotFound, NotHeld, or UpstreamTrouble when nobody else contributes.
        """
        sources = self._indexes.sources(actor, index, project)
        wanted = [source for source in sources if source.contributes]
        found = await asyncio.gather(*(self._part(source, project) for source in wanted), return_exceptions=True)
        parts = [part for part in found if isinstance(part, Part)]
        troubles = [error for error in found if isinstance(error, BaseException) and not isinstance(error, NotFound)]
        for error in troubles:
            if not parts or not isinstance(error, StiltonError):
                raise error
            log.warning("%s of %s lacks files of a mirror: %s", project, index.full_name, error)
        if not parts:
            raise ProjectNotFound(project, index.full_name, _why_not(project, sources))
        fresh_until = min(part.fresh_until for part in parts)
        if troubles:
            fresh_until = min(fresh_until, self._now() + LACKING_S)
        hidden = self._indexes.hidden(actor, index)
        notes = inheritance.notes(source for source in sources if source.index not in hidden and not index.is_mirror)
        return View(_merged(index, project, parts), tuple(parts), fresh_until, tuple(notes))

    async def _part(self, source: Source, project: ProjectName) -> Part:
        if source.is_mirror:
            return await self._of_mirror(source.index, project)
        page = await self._stage_page(source.index, project)
        return Part(source.index, page, page, ALWAYS)

    async def _stage_page(self, stage: IndexName, project: ProjectName) -> Project:
        found = await self._db.read(stages.contents, stage, project, with_metadata=False)
        if found is None:
            raise ProjectNotFound(project, stage)
        return publishing.page(project, found.project.status, found.versions, found.files)

    async def _of_mirror(self, name: IndexName, project: ProjectName) -> Part:
        try:
            mirror = self._indexes.mirror(name)
        except IndexNotFound:
            raise ProjectNotFound(project, name, "This mirror's configuration is no good, see the log.") from None
        try:
            seen = await mirror.projects.page(project)
        except UpstreamUnavailable:
            if mirror.held_only:
                raise mirror.missing(project) from None
            raise
        held = self._db.glance(mirrors.held_files, name, project)
        view = shown(seen.project, held, held_only=mirror.held_only)
        if mirror.held_only and seen.project.files and not view.files and not view.is_quarantined:
            raise mirror.missing(project)
        if not seen.stale:
            mirror.refresh.used(seen)
        return Part(name, seen.project, view, seen.fresh_until)


def _merged(index: Index, project: ProjectName, parts: Sequence[Part]) -> Project:
    if len(parts) == 1 and parts[0].index == index.full_name:
        return parts[0].project
    return inheritance.merged(project, index.full_name, ((part.index, part.project) for part in parts))


def _why_not(project: ProjectName, sources: Sequence[Source]) -> str:
    """Tell the person who wonders why a public project is not there."""
    keeper = next((source for source in sources if source.keeps_name), None)
    if keeper is None:
        return ""
    return (
        f"It was removed from {keeper.index}, which keeps the name private; "
        f"its owner lets it go with DELETE /{keeper.index}/{project}?forget"
    )
