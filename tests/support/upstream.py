"""An upstream index on loopback: real HTTP, real faults.

    async with FakeUpstream() as upstream:
        upstream.add("pkg", a_wheel())
        upstream.faults["/simple/pkg/"] = Status(500)

Pages are at `/simple/{project}/`, files at `/files/{filename}`, metadata beside them.
Every request is recorded. `Threaded` runs one for tests that start servers as processes.
"""

import asyncio
import threading
from collections import Counter
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

import msgspec
from aiohttp import web

from tests.support.builders import Dist

JSON = "application/vnd.pypi.simple.v1+json"


@dataclass(frozen=True)
class Status:
    """Answer with this status; `times` None: always."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b"fault"


@dataclass(frozen=True)
class Cut:
    """Send headers for the whole file, `after` bytes of it, then drop the connection."""

    after: int


@dataclass(frozen=True)
class Body:
    """Answer 200 with these bytes in place of the right ones."""

    body: bytes
    content_type: str = "application/octet-stream"
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Wait:
    """Do not answer before `until` is set (an event of the upstream's loop), then answer normally."""

    until: asyncio.Event


@dataclass(frozen=True)
class Redirect:
    """302 to `location`."""

    location: str


@dataclass(frozen=True)
class Drip:
    """Send `first` bytes, wait for `until`, send the rest."""

    first: int
    until: asyncio.Event


Fault = Status | Cut | Body | Wait | Redirect | Drip


@dataclass
class Project:
    dists: list[Dist] = field(default_factory=list)
    extra: dict[str, dict[str, Any]] = field(default_factory=dict)  # filename → JSON keys
    page: dict[str, Any] = field(default_factory=dict)  # top-level JSON keys
    serial: int | None = None


class FakeUpstream:
    """See the module. `speaks`: "json", "html" or "both". `faults`: path → fault, or a list of
    them that is used up one a request (then normal)."""

    def __init__(
        self, *, speaks: str = "both", metadata: bool = True, hashes: bool = True, ranges: bool = True
    ) -> None:
        self.speaks = speaks
        self.metadata = metadata
        self.hashes = hashes
        self.ranges = ranges
        self.projects: dict[str, Project] = {}
        self.faults: dict[str, Fault | list[Fault]] = {}
        self.seen: list[tuple[str, str, dict[str, str]]] = []
        self.users: dict[str, str] = {}  # when not empty, Basic authentication is demanded
        self.etags = True
        self._runner: web.AppRunner | None = None
        self.port = 0

    # -- what it has -----------------------------------------------------------------------

    def add(self, project: str, *dists: Dist, **extra: Any) -> None:
        """Put files on a project's page; `extra`: JSON keys of each (`_` for `-`)."""
        entry = self.projects.setdefault(project, Project())
        for dist in dists:
            entry.dists = [d for d in entry.dists if d.filename != dist.filename] + [dist]
            entry.extra[dist.filename] = {key.replace("_", "-"): value for key, value in extra.items()}

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/simple/"

    def file_url(self, dist: Dist) -> str:
        return f"http://127.0.0.1:{self.port}/files/{dist.filename}"

    def paths(self, method: str = "GET") -> list[str]:
        """Paths asked for so far."""
        return [path for verb, path, _ in self.seen if verb == method]

    def count(self, path: str, method: str = "GET") -> int:
        return Counter(self.paths(method))[path]

    # -- running ----------------------------------------------------------------------------

    async def start(self, port: int = 0) -> Self:
        app = web.Application()
        app.router.add_route("*", "/{tail:.*}", self._handle)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", port or self.port)
        await site.start()
        self.port = self._runner.addresses[0][1]
        return self

    async def stop(self) -> None:
        """Go away; `start` again comes back on the same port."""
        if self._runner:
            await self._runner.cleanup()
            self._runner = None

    async def __aenter__(self) -> Self:
        return await self.start()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        await self.stop()

    # -- answering --------------------------------------------------------------------------

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        self.seen.append((request.method, request.path, dict(request.headers)))
        if self.users and not self._knows(request):
            return web.Response(status=401, headers={"WWW-Authenticate": 'Basic realm="x"'})
        fault = self.faults.get(request.path)
        if isinstance(fault, list):
            fault = fault.pop(0) if fault else None
        match fault:
            case Status(status, headers, body):
                return web.Response(status=status, headers=headers, body=body)
            case Body(body, content_type, headers):
                return web.Response(body=body, headers={"Content-Type": content_type, **headers})
            case Redirect(location):
                return web.Response(status=302, headers={"Location": location})
            case Wait(until):
                await until.wait()
        return await self._answer(request, fault)

    def _knows(self, request: web.Request) -> bool:
        import base64

        kind, _, secret = request.headers.get("Authorization", "").partition(" ")
        if kind != "Basic":
            return False
        user, _, password = base64.b64decode(secret).decode().partition(":")
        return self.users.get(user) == password

    async def _answer(self, request: web.Request, fault: Fault | None) -> web.StreamResponse:
        parts = request.path.strip("/").split("/")
        if parts[0] == "simple" and len(parts) == 1:
            return self._list(request)
        if parts[0] == "simple" and len(parts) == 2 and parts[1] in self.projects:
            return self._page(request, parts[1])
        if parts[0] == "files" and len(parts) == 2:
            for project in self.projects.values():
                for dist in project.dists:
                    if parts[1] == dist.filename:
                        return await self._file(request, dist.content, fault)
                    if parts[1] == dist.filename + ".metadata" and self.metadata:
                        return await self._file(request, dist.metadata, fault)
        return web.Response(status=404, text="not here")

    def _wants_json(self, request: web.Request) -> bool:
        return self.speaks == "json" or (self.speaks == "both" and JSON in request.headers.get("Accept", ""))

    def _list(self, request: web.Request) -> web.Response:
        if self._wants_json(request):
            body = {"meta": {"api-version": "1.1"}, "projects": [{"name": name} for name in self.projects]}
            return web.Response(body=msgspec.json.encode(body), headers={"Content-Type": JSON})
        links = "".join(f'<a href="{name}/">{name}</a>\n' for name in self.projects)
        return web.Response(text=f"<!DOCTYPE html><html><body>{links}</body></html>", content_type="text/html")

    def _page(self, request: web.Request, name: str) -> web.Response:
        project = self.projects[name]
        headers = {"X-PyPI-Last-Serial": str(project.serial)} if project.serial is not None else {}
        if self._wants_json(request):
            body, kind = self._json(name, project), JSON
        else:
            body, kind = self._html(project), "text/html"
        if self.etags:
            import hashlib

            headers["ETag"] = f'"{hashlib.md5(body).hexdigest()}"'
            if request.headers.get("If-None-Match") == headers["ETag"]:
                return web.Response(status=304, headers=headers)
        return web.Response(body=body, headers={"Content-Type": kind, **headers})

    def _json(self, name: str, project: Project) -> bytes:
        files = []
        for dist in project.dists:
            entry: dict[str, Any] = {
                "filename": dist.filename,
                "url": self.file_url(dist),
                "hashes": {"sha256": dist.sha256} if self.hashes else {},
                "size": len(dist.content),
                "upload-time": "2024-05-06T07:08:09.123456Z",
                "yanked": False,
            }
            if self.metadata and dist.filename.endswith(".whl"):
                entry["core-metadata"] = {"sha256": dist.metadata_sha256}
            entry.update(project.extra.get(dist.filename, {}))
            files.append(entry)
        versions = list(dict.fromkeys(dist.filename.split("-")[1].removesuffix(".tar.gz") for dist in project.dists))
        page = {
            "meta": {"api-version": "1.1"},
            "name": name,
            "files": files,
            "versions": versions,
            **project.page,
        }
        return msgspec.json.encode(page)

    def _html(self, project: Project) -> bytes:
        lines = []
        for dist in project.dists:
            fragment = f"#sha256={dist.sha256}" if self.hashes else ""
            attribute = (
                f' data-core-metadata="sha256={dist.metadata_sha256}"'
                if self.metadata and dist.filename.endswith(".whl")
                else ""
            )
            lines.append(f'<a href="../../files/{dist.filename}{fragment}"{attribute}>{dist.filename}</a><br>')
        return ("<!DOCTYPE html><html><body>" + "\n".join(lines) + "</body></html>").encode()

    async def _file(self, request: web.Request, content: bytes, fault: Fault | None) -> web.StreamResponse:
        headers = {"Accept-Ranges": "bytes", "Last-Modified": "Mon, 06 May 2024 07:08:09 GMT"} if self.ranges else {}
        status, first, last = 200, 0, len(content) - 1
        asked = request.headers.get("Range")
        if asked and self.ranges and content:
            low, _, high = asked.removeprefix("bytes=").partition("-")
            first = int(low) if low else max(0, len(content) - int(high))
            last = min(int(high), last) if low and high else last
            status = 206
            headers["Content-Range"] = f"bytes {first}-{last}/{len(content)}"
        part = content[first : last + 1]
        response = web.StreamResponse(status=status, headers={**headers, "Content-Type": "application/octet-stream"})
        response.content_length = len(part)
        await response.prepare(request)
        if request.method == "HEAD":
            return response
        if isinstance(fault, Cut):
            await response.write(part[: fault.after])
            assert request.transport is not None
            request.transport.close()
            return response
        if isinstance(fault, Drip):
            await response.write(part[: fault.first])
            await fault.until.wait()
            part = part[fault.first :]
        await response.write(part)
        return response


class Threaded:
    """A FakeUpstream in a thread of its own, for tests whose server is another process."""

    def __init__(self, **options: Any) -> None:
        self.upstream = FakeUpstream(**options)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> FakeUpstream:
        self._thread.start()
        self.call(self.upstream.start())
        return self.upstream

    def __exit__(self, *_: object) -> None:
        self.call(self.upstream.stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()

    def call(self, work: Any) -> Any:
        """Run a coroutine in the upstream's loop."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)
