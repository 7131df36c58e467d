"""Simple pages: the hot path. Plain ASGI, in front of any routing.

A request that was answered before (same path, Accept and Accept-Encoding) costs one
dictionary look-up; the page says itself whether it is still good.
"""

import re
import tempfile
from pathlib import Path
from urllib.parse import parse_qs

import anyio.to_thread

from stilton import visits
from stilton.catalog.pages import Pages, Rendered
from stilton.domain import negotiation
from stilton.domain.errors import BadName, ProjectNotFound
from stilton.domain.names import project_name
from stilton.domain.permission import ANYBODY, Actor
from stilton.lru import Lru
from stilton.render import simple
from stilton.web.auth import Auth
from stilton.web.http import Answers, Header, Scope, Send, header, matches
from stilton.web.urls import Here

INSTALLER = re.compile(r"(?:[^ ]* )*(?:distribute|setuptools|pip|pex|uv|poetry|pdm|unearth)/")
MEMORY_BYTES = 48 << 20
"""Answers that were given before, at most; mostly the same bytes as the catalogue keeps."""
USUAL_CHARS = 400
"""Of the headers that choose a form; answers to requests with longer ones are not kept."""
ANSWER_BYTES = 2000
"""What an answer weighs beside its body."""
VARY: Header = (b"vary", b"Accept, Accept-Encoding")
# Where people and installers get different things from one URL.
VARY_AGENT: Header = (b"vary", b"Accept, Accept-Encoding, User-Agent")
FULL_PREFIX = "../../"
"""Of the one URL of a page that is the same for everybody."""
# Revalidated each time, which costs microseconds: a new release is seen at once.
CACHE: Header = (b"cache-control", b"no-cache")
# Where what is shown depends on who asks.
PRIVATE: Header = (b"cache-control", b"private, no-cache")
ABSOLUTE = b"x-devpi-absolute-urls"
"""A request header of devpi's: links are to be absolute."""
CORS: Header = (b"access-control-allow-origin", b"*")
NOSNIFF: Header = (b"x-content-type-options", b"nosniff")


class Ready:
    """An answer as bytes, and what tells whether it is still right."""

    __slots__ = ("body", "etag", "headers", "length", "standing")

    def __init__(self, rendered: Rendered, headers: list[Header]) -> None:
        self.standing = rendered.standing
        self.body = rendered.body
        self.etag = rendered.etag
        self.headers = headers
        self.length: Header = (b"content-length", b"%d" % len(rendered.body))


class SimplePages:
    """Answers for pages of projects and lists of projects."""

    def __init__(
        self, auth: Auth, here: Here, pages: Pages, answers: Answers, scratch: Path, *, absolute: bool = False
    ) -> None:
        self._absolute = absolute
        self._auth = auth
        self._here = here
        self._pages = pages
        self._answers = answers
        self._scratch = scratch
        self._ready: Lru[tuple[str, bytes, bytes, bytes], Ready] = Lru(
            MEMORY_BYTES, lambda ready: ANSWER_BYTES + len(ready.body)
        )

    def ready(self, scope: Scope) -> tuple[Ready, bytes] | None:
        """(a good answer that was given before, If-None-Match); None when there is none."""
        accept = encoding = condition = b""
        for key, value in scope["headers"]:
            if key == b"accept":
                accept = value
            elif key == b"accept-encoding":
                encoding = value
            elif key == b"if-none-match":
                condition = value
            elif key == ABSOLUTE:
                return None
        ready = self._ready.get((scope["path"], scope["query_string"], accept, encoding))
        if ready is None or not self._pages.is_good(ready.standing):
            return None
        return ready, condition

    async def send_ready(self, scope: Scope, send: Send, ready: Ready, condition: bytes) -> tuple[int, int]:
        """Send what `ready` found; (status, bytes of the body)."""
        if condition and matches(condition.decode("latin-1"), ready.etag):
            await self._answers.not_modified(send, ready.headers)
            return 304, 0
        await send(self._answers.start(200, [*ready.headers, ready.length]))
        body = b"" if scope["method"] == "HEAD" else ready.body
        await send({"type": "http.response.body", "body": body})
        return 200, len(body)

    async def project(self, scope: Scope, send: Send, user: str, index: str, name: str, prefix: str) -> None:
        """One project. `prefix`: from this URL to the index."""
        try:
            project = project_name(name)
        except BadName:
            raise ProjectNotFound(name[:200], f"{user}/{index}") from None
        form = negotiation.simple_format(header(scope, b"accept"), _query(scope, "format"))
        coding = negotiation.coding(header(scope, b"accept-encoding"))
        actor = await self._actor(scope, user, index)
        if self._absolute or header(scope, ABSOLUTE) is not None:
            prefix = f"{self._here.base(scope)}/{user}/{index}/"
        rendered = await self._pages.get(
            actor, user, index, project,
            form=(form.is_json, prefix, coding), installer=is_installer(scope),
        )  # fmt: skip
        visits.cached("hit")  # unless the mirror said otherwise
        public = self._pages.is_public(user, index)
        headers = _headers(form.content_type, rendered, VARY if prefix == FULL_PREFIX else VARY_AGENT, public=public)
        ready = Ready(rendered, headers)
        accept, encoding = (header(scope, b"accept") or "", header(scope, b"accept-encoding") or "")
        usual = len(accept) + len(encoding) + len(scope["query_string"]) <= USUAL_CHARS
        if prefix == FULL_PREFIX and public and usual:
            key = (scope["path"], scope["query_string"], accept.encode("latin-1"), encoding.encode("latin-1"))
            self._ready.put(key, ready)
        await self.send_ready(scope, send, ready, (header(scope, b"if-none-match") or "").encode("latin-1"))

    async def _actor(self, scope: Scope, user: str, index: str) -> Actor:
        """Who asks, where that makes a difference: an outdated password must not keep anybody from what is public."""
        return ANYBODY if self._pages.is_public(user, index) else await self._auth.actor(scope)

    async def names(self, scope: Scope, send: Send, user: str, index: str) -> None:
        """The list of all projects, by way of a file: it may have tens of megabytes."""
        form = negotiation.simple_format(header(scope, b"accept"), _query(scope, "format"))
        names = await self._pages.names(await self._actor(scope, user, index), user, index)
        pieces = simple.list_json(names) if form.is_json else simple.list_html(names, f"{user}/{index}")
        vary, cache = (VARY, CACHE) if self._pages.is_public(user, index) else (_with_auth(VARY), PRIVATE)
        headers = [(b"content-type", form.content_type.encode()), vary, cache, CORS, NOSNIFF]
        with tempfile.TemporaryFile(dir=self._scratch) as page:
            await anyio.to_thread.run_sync(page.writelines, pieces)
            size = page.tell()
            page.seek(0)
            await send(self._answers.start(200, [*headers, (b"content-length", b"%d" % size)]))
            if scope["method"] != "HEAD":
                while piece := await anyio.to_thread.run_sync(page.read, 1 << 20):
                    await send({"type": "http.response.body", "body": piece, "more_body": True})
            await send({"type": "http.response.body", "body": b""})


def is_installer(scope: Scope) -> bool:
    """Whether a program that installs is asking: by its name, or by the types it takes."""
    agent = header(scope, b"user-agent") or ""
    return bool(INSTALLER.match(agent)) or negotiation.wants_simple_json(header(scope, b"accept"))


def _headers(content_type: str, rendered: Rendered, vary: Header, *, public: bool) -> list[Header]:
    headers: list[Header] = [
        (b"content-type", content_type.encode()),
        (b"etag", rendered.etag.encode()),
        vary if public else _with_auth(vary),
        CACHE if public else PRIVATE,
        CORS,
        NOSNIFF,
    ]
    if rendered.coding is not negotiation.Coding.IDENTITY:
        headers.append((b"content-encoding", rendered.coding.value.encode()))
    if rendered.serial is not None:
        headers.append((b"x-pypi-last-serial", b"%d" % rendered.serial))
    return headers


def _with_auth(vary: Header) -> Header:
    return vary[0], vary[1] + b", Authorization, X-Devpi-Auth"


def _query(scope: Scope, name: str) -> str | None:
    if not scope["query_string"]:
        return None
    values = parse_qs(scope["query_string"].decode("latin-1"), max_num_fields=20).get(name)
    # A media type's plus, sent as it is, was read as a space.
    return values[0].replace(" ", "+") if values else None
