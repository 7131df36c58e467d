"""The front door: recognises pages and files before any routing, hands the rest to Starlette.

/{user}/{index}/+f/…, +e/…                       files            web.files
/{user}/{index}/+simple[/[{project}[/]]]         simple pages     web.simple
/{user}/{index}[/[{project}[/]]]                 the same, when an installer asks
everything else                                  web.routes
"""

import logging
import re
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from starlette.requests import ClientDisconnect

from stilton import visits
from stilton.domain.errors import BadName
from stilton.domain.files import quoted
from stilton.domain.names import project_name
from stilton.web.access import AccessLog
from stilton.web.files import Broken, FileAnswers
from stilton.web.http import Answers, Header, Receive, Scope, Send, header
from stilton.web.simple import FULL_PREFIX, VARY_AGENT, SimplePages, is_installer
from stilton.web.urls import Here, path_to
from stilton.web.visitors import Visitors
from stilton.web.wall import Wall

log = logging.getLogger(__name__)

App = Callable[[Scope, Receive, Send], Awaitable[None]]

# What no path of ours ever contains, encoded or not.
_FORBIDDEN = re.compile(rb"%2f|%5c|%00|\\", re.IGNORECASE)
MAX_PATH_CHARS = 4096


class Front:
    """`routes`: the app for everything else.

    `notice()`: look whether another worker committed something; None when there is no other.
    """

    def __init__(
        self,
        pages: SimplePages,
        files: FileAnswers,
        answers: Answers,
        routes: App,
        here: Here,
        *,
        visitors: Visitors,
        wall: Wall,
        access: AccessLog,
        timed: Callable[[str, float], None],
        notice: Callable[[], object] | None,
    ) -> None:
        self._visitors = visitors
        self._wall = wall
        self._access = access
        self._pages = pages
        self._files = files
        self._answers = answers
        self._routes = routes
        self._here = here
        self._timed = timed
        self._notice = notice

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI's entry."""
        if scope["type"] != "http":
            await self._routes(scope, receive, send)
            return
        if self._notice is not None:
            self._notice()
        if scope["method"] in ("GET", "HEAD"):
            ready = self._pages.ready(scope)
            if ready is not None:
                began = time.time()
                status, size = await self._pages.send_ready(scope, send, *ready)
                self._access.ready(scope, status, size, began)
                return
        scope = self._below_mount(scope)
        visit = self._visitors.visit(scope)
        reply = _Reply(send)
        started = time.perf_counter()
        try:
            with visits.going_on(visit):
                await self._answered(scope, receive, reply)
        finally:
            self._timed("request", time.perf_counter() - started)
            self._access.visited(scope, visit, reply.status, reply.size, started)

    async def _answered(self, scope: Scope, receive: Receive, reply: "_Reply") -> None:
        try:
            await self._dispatch(scope, receive, reply)
        except Broken:
            raise
        except ClientDisconnect:
            log.debug("%s %s: the client went away", scope["method"], scope["path"])
        except Exception as error:
            if reply.status is not None:
                raise
            await self._answers.error(scope, reply, error)

    async def _dispatch(self, scope: Scope, receive: Receive, send: Send) -> None:
        path: str = scope["path"]
        if len(path) > MAX_PATH_CHARS or _FORBIDDEN.search(scope.get("raw_path") or b""):
            await self._bad_path(scope, send)
            return
        if scope["method"] not in ("GET", "HEAD") and header(scope, b"sec-fetch-site") == "cross-site":
            # A page of somebody else's, in the browser of one who is logged in here.
            await self._bad_path(scope, send, status=403)
            return
        await self._wall.check(scope, path)
        segments = path.split("/")[1:]
        if scope["method"] in ("GET", "HEAD") and len(segments) >= 2 and "+" not in segments[0] + segments[1]:
            user, index, *rest = segments
            kind = rest[0] if rest else ""
            if kind in ("+f", "+e") and not _asks_about_a_file(scope, path):
                await self._files.get(scope, send, user, index, "/".join(rest))
                return
            if kind == "+simple":
                await self._simple(scope, send, user, index, rest[1:])
                return
            if len(rest) <= 2 and not any(rest[1:]) and not kind.startswith("+") and is_installer(scope):
                await self._short(scope, send, user, index, rest)
                return
        await self._routes(scope, receive, send)

    def _below_mount(self, scope: Scope) -> Scope:
        """Without the path that `/` has outside, for proxies that pass it on."""
        prefix = self._here.mount(scope)
        path: str = scope["path"]
        if not prefix or not path.startswith(prefix + "/"):
            return scope
        raw = (scope.get("raw_path") or b"").removeprefix(quoted(prefix).encode())
        return {**scope, "path": path.removeprefix(prefix), "raw_path": raw}

    async def _simple(self, scope: Scope, send: Send, user: str, index: str, rest: list[str]) -> None:
        """`+simple` with what follows it; people are sent to the URL with a slash."""
        name = rest[0] if rest else ""
        slash = len(rest) == (2 if name else 1)
        if len(rest) > 2 or (len(rest) == 2 and (rest[1] or not name)):
            await self._bad_path(scope, send, status=404)
            return
        if not name:
            if slash or is_installer(scope):
                await self._pages.names(scope, send, user, index)
            else:
                await self._redirect(scope, send, user, index, "+simple", "")
            return
        normal = _normal(name)
        if normal != name or not (slash or is_installer(scope)):
            await self._redirect(scope, send, user, index, "+simple", normal, "")
            return
        await self._pages.project(scope, send, user, index, name, FULL_PREFIX if slash else "../")

    async def _short(self, scope: Scope, send: Send, user: str, index: str, rest: list[str]) -> None:
        """Installers' pages without `+simple`."""
        name = rest[0] if rest else ""
        if not name:
            await self._pages.names(scope, send, user, index)
            return
        normal = _normal(name)
        if normal != name:
            await self._redirect(scope, send, user, index, normal, "")
            return
        await self._pages.project(scope, send, user, index, name, "../" if len(rest) > 1 else "")

    async def _redirect(self, scope: Scope, send: Send, *segments: str) -> None:
        base = self._here.mount(scope)
        query = scope["query_string"].decode("latin-1")
        location = base + path_to(*segments) + (f"?{query}" if query.isprintable() and query else "")
        await self._answers.redirect(scope, send, location, vary=VARY_AGENT[1])

    async def _bad_path(self, scope: Scope, send: Send, status: int = 400) -> None:
        text = b"This path is not one of an index: see / for the indexes that are here.\n"
        headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"x-content-type-options", b"nosniff")]
        await self._answers.send(scope, send, status, headers, text)


class _Reply:
    """Passes messages on. `status`: of the answer that began, so no other can be given. `size`: of its body so far."""

    __slots__ = ("_headers", "_send", "size", "status")

    def __init__(self, send: Send) -> None:
        self._send = send
        self._headers: list[Header] = []
        self.status: int | None = None
        self.size = 0

    def __call__(self, message: MutableMapping[str, Any]) -> Awaitable[None]:
        if self.status is None:
            self.status, self._headers = message["status"], message["headers"]
        elif "path" in message:
            # The server sends the file; what its length is we said before.
            self.size = next((int(value) for name, value in self._headers if name == b"content-length"), 0)
        else:
            self.size += len(message["body"])
        return self._send(message)


def _asks_about_a_file(scope: Scope, path: str) -> bool:
    return "application/json" in (header(scope, b"accept") or "") and not path.endswith((".metadata", ".provenance"))


def _normal(name: str) -> str:
    """The normalised name; one that no project can have stays, and is not found."""
    try:
        return project_name(name)
    except BadName:
        return name
