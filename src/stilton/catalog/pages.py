"""Simple pages as bytes, rendered and compressed once, kept until something moved.

A kept page is valid until its project or its index changes (the log of changes
says so), upstream goes down or comes back, or the mirror's copy must be checked.
One flight per page: a hundred callers share one rendering.
"""

import asyncio
import gzip
import hashlib
import sys
from collections.abc import Callable

from stilton.catalog.indexes import Indexes
from stilton.db import mirrors
from stilton.db.database import Database
from stilton.domain.errors import UpstreamUnavailable
from stilton.domain.files import Project
from stilton.domain.holdings import shown
from stilton.domain.names import IndexName, ProjectName
from stilton.domain.negotiation import Coding
from stilton.mirror.flights import Flights
from stilton.mirror.lru import Lru
from stilton.mirror.mirror import Mirror
from stilton.render import simple

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

MEMORY_BYTES = 64 << 20
MIN_COMPRESSED_BYTES = 512
INLINE_FILES = 200
"""Pages with more files are rendered off the event loop."""
INLINE_BYTES = 16 << 10
"""Larger ones are compressed off the event loop."""
GZIP_LEVEL = 6
ZSTD_LEVEL = 3

Form = tuple[bool, str, Coding]
"""(is JSON, prefix of its links, coding)."""


class Standing:
    """Whether what was made from a page is still right. Small, so that many may hold it. Unix seconds."""

    __slots__ = ("fresh_until", "made_at", "valid")

    def __init__(self, made_at: float) -> None:
        self.made_at = made_at
        self.fresh_until = 0.0
        self.valid = True


class Rendered:
    """One representation of a page. `etag`: strong, quoted."""

    __slots__ = ("body", "coding", "etag", "serial", "standing")

    def __init__(self, page: "Page", body: bytes, coding: Coding, etag: str) -> None:
        self.standing = page.standing
        self.serial = page.project.serial
        self.body = body
        self.coding = coding
        self.etag = etag


class Page:
    """A project's page through an index: `source` as upstream has it, `project` as it is shown."""

    __slots__ = ("forms", "project", "source", "standing")

    def __init__(self, source: Project, project: Project, made_at: float) -> None:
        self.source = source
        self.project = project
        self.standing = Standing(made_at)
        self.forms: dict[Form, Rendered] = {}


class Pages:
    """Kept pages of all indexes."""

    def __init__(self, indexes: Indexes, db: Database, now: Callable[[], float]) -> None:
        self._indexes = indexes
        self._db = db
        self._now = now
        self._kept: Lru[tuple[IndexName, ProjectName], Page] = Lru(MEMORY_BYTES, _weight)
        self._flights: Flights[tuple[IndexName, ProjectName], Page] = Flights()
        self._renderings: Flights[tuple[IndexName, ProjectName, Form], Rendered] = Flights()

    async def get(
        self, user: str, index: str, project: ProjectName, *, form: Form, installer: bool = False
    ) -> Rendered:
        """The page in the form asked for. `installer`: look ahead for what it will want next.

        Raises IndexNotFound, ProjectNotFound, NotHeld, UpstreamTrouble.
        """
        mirror = await self._indexes.mirror(user, index)
        key = (mirror.config.name, project)
        page = self._kept.get(key)
        if page is None or not self.is_good(page.standing):
            page = await self._flights.join(key, lambda: self._make(mirror, project))
        if installer:
            mirror.read_ahead.wanted(project)
        rendered = page.forms.get(form)
        if rendered is None:
            rendered = await self._renderings.join((*key, form), lambda: self._render(key, page, form))
        return rendered

    async def project(self, user: str, index: str, project: ProjectName) -> Project:
        """What the page shows, as a value. Raises as `get` does."""
        mirror = await self._indexes.mirror(user, index)
        return (await self._make(mirror, project)).project

    async def refresh(self, user: str, index: str, project: ProjectName) -> None:
        """Ask upstream now. Raises as `get` does."""
        mirror = await self._indexes.mirror(user, index)
        await mirror.projects.refresh(project)

    async def names(self, user: str, index: str) -> list[ProjectName]:
        """All projects that can be had through an index, sorted. May be 900,000."""
        mirror = await self._indexes.mirror(user, index)
        return await mirror.names.all()

    def is_good(self, standing: Standing) -> bool:
        """Whether it may still be served. A clock set back does not keep it for ever."""
        return standing.valid and standing.made_at <= self._now() < standing.fresh_until

    def forget(self, index: IndexName, project: ProjectName) -> None:
        """Something about this project changed."""
        page = self._kept.get((index, project))
        if page is not None:
            page.standing.valid = False
            self._kept.pop((index, project))

    def forget_index(self, index: IndexName) -> None:
        """Something about the whole index changed."""
        for key in self._kept.keys():  # noqa: SIM118 - a list, the cache shrinks meanwhile
            if key[0] == index:
                self.forget(*key)

    async def _make(self, mirror: Mirror, project: ProjectName) -> Page:
        key = (mirror.config.name, project)
        try:
            seen = await mirror.projects.page(project)
        except UpstreamUnavailable:
            if mirror.held_only:
                raise mirror.missing(project) from None
            raise
        page = self._kept.get(key)
        if page is None or page.source != seen.project:
            held = self._db.glance(mirrors.held_files, mirror.config.name, project)
            view = shown(seen.project, held, held_only=mirror.held_only)
            if mirror.held_only and seen.project.files and not view.files and not view.is_quarantined:
                raise mirror.missing(project)
            page = Page(seen.project, view, self._now())
            self._kept.put(key, page)
        page.standing.made_at = min(page.standing.made_at, self._now())
        page.standing.fresh_until = seen.fresh_until
        if not seen.stale:
            mirror.refresh.used(seen)
        return page

    async def _render(self, key: tuple[IndexName, ProjectName], page: Page, form: Form) -> Rendered:
        is_json, prefix, coding = form
        if coding is Coding.IDENTITY:

            def render() -> bytes:
                if is_json:
                    return simple.page_json(page.project, prefix)
                return simple.page_html(page.project, prefix, key[0])

            body = render() if len(page.project.files) <= INLINE_FILES else await asyncio.to_thread(render)
            rendered = Rendered(page, body, coding, f'"{hashlib.sha256(body).hexdigest()[:32]}"')
        else:
            plain = await self._plain(key, page, (is_json, prefix, Coding.IDENTITY))
            rendered = await _packed(page, plain, coding)
        page.forms[form] = rendered
        if self._kept.get(key) is page:
            self._kept.put(key, page)  # it weighs more now
        return rendered

    async def _plain(self, key: tuple[IndexName, ProjectName], page: Page, form: Form) -> Rendered:
        return page.forms.get(form) or await self._render(key, page, form)


async def _packed(page: Page, plain: Rendered, coding: Coding) -> Rendered:
    if len(plain.body) < MIN_COMPRESSED_BYTES:
        return plain
    pack = _zstd if coding is Coding.ZSTD else _gzip
    small = len(plain.body) <= INLINE_BYTES
    body = pack(plain.body) if small else await asyncio.to_thread(pack, plain.body)
    return Rendered(page, body, coding, f'{plain.etag[:-1]}-{coding.value}"')


def _gzip(body: bytes) -> bytes:
    return gzip.compress(body, GZIP_LEVEL, mtime=0)


def _zstd(body: bytes) -> bytes:
    return zstd.compress(body, ZSTD_LEVEL)


def _weight(page: Page) -> int:
    # A file's facts weigh about 600 bytes beside the bytes of its page.
    return 1000 + 600 * len(page.project.files) + sum(len(form.body) for form in page.forms.values())
