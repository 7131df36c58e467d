"""Simple pages as bytes, rendered and compressed once, kept until something moved.

A kept page is valid until a project of that name or an index changes (the log of changes
says so), an upstream goes down or comes back, or a mirror's copy must be checked.
One flight per page: a hundred callers share one rendering.
"""

import asyncio
import gzip
import hashlib
import sys
from collections.abc import Callable

from stilton.catalog.indexes import Indexes
from stilton.catalog.views import View, Views
from stilton.db import stages
from stilton.db.database import Database
from stilton.domain.errors import StiltonError
from stilton.domain.indexes import Index
from stilton.domain.names import IndexName, ProjectName
from stilton.domain.negotiation import Coding
from stilton.domain.permission import Actor
from stilton.flights import Flights
from stilton.lru import Lru
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
Place = tuple[IndexName, tuple[IndexName, ...]]
"""(the index whose page it is, those it inherits from that may not be read)."""


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
    """A project's page through an index, as some may see it. `source`: what it was made of."""

    __slots__ = ("forms", "name", "notes", "project", "source", "standing")

    def __init__(self, index: Index, view: View, made_at: float) -> None:
        self.name = index.full_name
        self.notes = view.notes
        self.source = view.source
        self.project = view.project
        self.standing = Standing(made_at)
        self.forms: dict[Form, Rendered] = {}


class Pages:
    """Kept pages of all indexes."""

    def __init__(self, indexes: Indexes, views: Views, db: Database, now: Callable[[], float]) -> None:
        self._indexes = indexes
        self._views = views
        self._db = db
        self._now = now
        # By project: a change of it, on whatever index, concerns all pages of that name.
        self._kept: Lru[ProjectName, dict[Place, Page]] = Lru(MEMORY_BYTES, _weight)
        self._flights: Flights[tuple[ProjectName, Place], Page] = Flights()
        self._renderings: Flights[tuple[ProjectName, Place, Form], Rendered] = Flights()

    async def get(
        self, actor: Actor, user: str, name: str, project: ProjectName, *, form: Form, installer: bool = False
    ) -> Rendered:
        """The page in the form asked for. `installer`: look ahead for what it will want next.

        Raises IndexNotFound, Denied, ProjectNotFound, NotHeld, UpstreamTrouble.
        """
        index = await self._indexes.readable(actor, user, name)
        # Whoever may read the same indexes sees the same page.
        place = (index.full_name, self._indexes.hidden(actor, index))
        page = (self._kept.get(project) or {}).get(place)
        if page is None or not self.is_good(page.standing):
            page = await self._flights.join((project, place), lambda: self._make(actor, index, place, project))
        if installer and index.is_mirror:
            self._indexes.mirror(index.full_name).read_ahead.wanted(project)
        rendered = page.forms.get(form)
        if rendered is None:
            rendered = await self._renderings.join(
                (project, place, form), lambda: self._render((project, place), page, form)
            )
        return rendered

    async def refresh(self, actor: Actor, user: str, name: str, project: ProjectName) -> str:
        """Ask the upstreams of every mirror that contributes now. Raises as `get` does.

        Returns why none of them was asked (offline mode, or known not to answer); nothing if one was. That is said of
        the upstream and never of the project: nobody learns which names are private here.
        """
        index = await self._indexes.readable(actor, user, name)
        sources = [one for one in self._indexes.sources(actor, index, project) if one.is_mirror and one.contributes]
        trouble: StiltonError | None = None
        asked = False
        for source in sources:
            try:
                await self._indexes.mirror(source.index).projects.refresh(project)
                asked = True
            except StiltonError as error:
                trouble = error
        if trouble is not None and not asked and len(self._indexes.order(index)) == 1:
            raise trouble
        mirrors = [self._indexes.mirror(source.index) for source in sources]
        return "" if asked else next((mirror.upstream.circuit.why for mirror in mirrors if mirror.is_down), "")

    async def names(self, actor: Actor, user: str, name: str, *, inherited: bool = True) -> list[ProjectName]:
        """All projects that can be had through an index, sorted. May be 900,000.

        `inherited` False: only the index's own. Raises IndexNotFound, Denied.
        """
        index = await self._indexes.readable(actor, user, name)
        if not inherited or len(self._indexes.order(index)) == 1:
            return await self._own_names(index)
        hidden = self._indexes.hidden(actor, index)
        members = [one for one in self._indexes.order(index) if one.full_name not in hidden]
        found = await asyncio.gather(*(self._own_names(one) for one in members))
        return await asyncio.to_thread(lambda: sorted(set().union(*found)))

    def is_public(self, user: str, name: str) -> bool:
        """Whether everybody sees the same pages of this index; False as long as nobody asked for one."""
        return self._indexes.is_public(IndexName(f"{user}/{name}"))

    def is_good(self, standing: Standing) -> bool:
        """Whether it may still be served. A clock set back does not keep it for ever."""
        return standing.valid and standing.made_at <= self._now() < standing.fresh_until

    def forget(self, project: ProjectName) -> None:
        """Something about a project of this name changed, on some index."""
        for page in (self._kept.get(project) or {}).values():
            page.standing.valid = False
        self._kept.pop(project)

    def forget_all(self) -> None:
        """Something about an index changed, which others may inherit from."""
        for project in self._kept.keys():  # noqa: SIM118 - a list, the cache shrinks meanwhile
            self.forget(project)

    async def _own_names(self, index: Index) -> list[ProjectName]:
        if index.is_mirror:
            return await self._indexes.mirror(index.full_name).names.all()
        return await self._db.read(stages.names, index.full_name)

    async def _make(self, actor: Actor, index: Index, place: Place, project: ProjectName) -> Page:
        view = await self._views.look(actor, index, project)
        family = self._kept.get(project) or {}
        page = family.get(place)
        if page is None or (page.source, page.notes) != (view.source, view.notes):
            page = Page(index, view, self._now())
            self._kept.put(project, {**family, place: page})
        page.standing.made_at = min(page.standing.made_at, self._now())
        page.standing.fresh_until = view.fresh_until
        return page

    async def _render(self, key: tuple[ProjectName, Place], page: Page, form: Form) -> Rendered:
        is_json, prefix, coding = form
        if coding is Coding.IDENTITY:

            def render() -> bytes:
                if is_json:
                    return simple.page_json(page.project, prefix)
                return simple.page_html(page.project, prefix, page.name, page.notes)

            body = render() if len(page.project.files) <= INLINE_FILES else await asyncio.to_thread(render)
            rendered = Rendered(page, body, coding, f'"{hashlib.sha256(body).hexdigest()[:32]}"')
        else:
            plain = await self._plain(key, page, (is_json, prefix, Coding.IDENTITY))
            rendered = await _packed(page, plain, coding)
        page.forms[form] = rendered
        family = self._kept.get(key[0])
        if family is not None and family.get(key[1]) is page:
            self._kept.put(key[0], family)  # it weighs more now
        return rendered

    async def _plain(self, key: tuple[ProjectName, Place], page: Page, form: Form) -> Rendered:
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


def _weight(family: dict[Place, Page]) -> int:
    # A file's facts weigh about 600 bytes beside the bytes of its page.
    return sum(
        1000 + 600 * len(page.project.files) + sum(len(form.body) for form in page.forms.values())
        for page in family.values()
    )
