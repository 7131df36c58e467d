"""One upstream index: its pages, its list of projects, its files.

Knows HTTP's half of mirroring (conditional requests, retries, sizes, the circuit
breaker); what to do with the answers is `mirror`'s business.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Concatenate, ParamSpec, TypeVar

import aiohttp
import msgspec

from stilton.domain.circuit import Circuit
from stilton.domain.errors import OfflineMode, UpstreamRefused, UpstreamUnavailable, UpstreamWrong
from stilton.domain.files import Project
from stilton.domain.indexes import MirrorConfig, without_credentials
from stilton.domain.names import ProjectName
from stilton.metrics import Metrics
from stilton.upstream import pages
from stilton.upstream.breakers import AlwaysOpen, Breakers
from stilton.upstream.http import Network

P = ParamSpec("P")
T = TypeVar("T")

ACCEPT = "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.01"
MAX_PAGE_BYTES = 200 << 20
TRIES = 3
FIRST_PAUSE_S = 0.1
# Parsing more than this in the event loop would be felt by other clients.
INLINE_PARSE_BYTES = 64 << 10
LIST_TIMEOUT_S = 60.0
PIECE_BYTES = 1 << 18
_ABSENT = frozenset({404, 410})
_TRANSIENT = frozenset({429, 500, 502, 503, 504, 520, 527})


class Changed(msgspec.Struct, frozen=True):
    """The page as it is now."""

    project: Project
    etag: str | None


class Unchanged(msgspec.Struct, frozen=True):
    """304: what is kept is right."""


class Absent(msgspec.Struct, frozen=True):
    """404: upstream has no such project."""


Answer = Changed | Unchanged | Absent


class Stream:
    """A file's bytes on their way. `start`: the offset of the first; `size`: of the whole file, if told."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response
        self.status = response.status
        self.headers = response.headers
        self.start, self.size = _extent(response)

    async def pieces(self) -> AsyncIterator[bytes]:
        """The body, as it arrives. Raises aiohttp.ClientError when it ends early."""
        async for piece in self._response.content.iter_any():
            yield piece


class Upstream:
    """One index. `request_timeout_s`: how long to wait for an answer to begin, or to go on.

    `offline`: refuse everything at once, in place of asking.
    """

    def __init__(
        self, config: MirrorConfig, metrics: Metrics, *, request_timeout_s: float, offline: bool = False
    ) -> None:
        self.config = config
        self._client = Network(config, connect_timeout_s=request_timeout_s)
        self._metrics = metrics
        self._timeout_s = request_timeout_s
        self._breakers = AlwaysOpen() if offline else Breakers(self._probe)
        self.on_change = self._breakers.on_change

    @property
    def circuit(self) -> Circuit:
        """The state of the host that serves the pages."""
        return self._breakers.of(self.config.url)

    @property
    def down_s(self) -> float:
        """For how many seconds that host does not answer; inf when nobody knows."""
        return self._breakers.open_s(self.config.url)

    async def page(self, project: ProjectName, *, etag: str | None, serial: int | None) -> Answer:
        """Ask for a project page. `etag`, `serial`: of the kept one.

        Raises UpstreamUnavailable, UpstreamRefused, UpstreamWrong (also when the
        page is older than the kept one by its serial).
        """
        url = self.config.page_url(project)
        async with self._asked(url, etag, self._timeout_s) as response:
            if response.status == 304:
                return Unchanged()
            if response.status in _ABSENT:
                return Absent()
            _refuse(response, url)
            body = await self._body(response)
            found = await _off_loop(body, _parse_page, response, project)
        header = response.headers.get("X-PyPI-Last-Serial", "")
        if header.isascii() and header.isdigit():
            found = msgspec.structs.replace(found, serial=int(header[:18]))
        if not self.config.ignore_serial and found.serial is not None and found.serial < (serial or 0):
            raise UpstreamWrong(f"{without_credentials(url)} went back from serial {serial} to {found.serial}")
        return Changed(found, response.headers.get("ETag"))

    async def names(self, *, etag: str | None) -> tuple[list[ProjectName], str | None] | None:
        """All project names and the list's ETag; None when it did not change."""
        url = self.config.url.rstrip("/") + "/"
        async with self._asked(url, etag, max(LIST_TIMEOUT_S, self._timeout_s)) as response:
            if response.status == 304:
                return None
            _refuse(response, url)
            body = await self._body(response)
            names = await _off_loop(body, _parse_names, response)
        return names, response.headers.get("ETag")

    @contextlib.asynccontextmanager
    async def file(self, url: str, *, start: int = 0, if_range: str | None = None) -> AsyncIterator[Stream]:
        """Open a file from byte `start` on; the stream says where it really starts.

        Raises UpstreamUnavailable, UpstreamRefused, UpstreamWrong.
        """
        headers = {"Accept-Encoding": "identity"}
        if start:
            headers["Range"] = f"bytes={start}-"
            if if_range:
                headers["If-Range"] = if_range
        async with self._sent("GET", url, headers, self._timeout_s * 6) as response:
            _refuse(response, url)
            self._metrics.count("upstream_requests", "file")
            yield Stream(response)

    async def part(self, url: str, range_header: str, limit_bytes: int) -> tuple[bytes, int, int] | None:
        """A range of a file: (bytes, offset of the first, size of the whole); None when not supported."""
        headers = {"Accept-Encoding": "identity", "Range": range_header}
        async with self._sent("GET", url, headers, self._timeout_s) as response:
            if response.status != 206 or "Content-Encoding" in response.headers:
                return None
            start, size = _extent(response)
            if size is None or (response.content_length or limit_bytes + 1) > limit_bytes:
                return None
            self._metrics.count("upstream_requests", "range")
            return await self._body(response), start, size

    async def size(self, url: str) -> int | None:
        """Size of a file in bytes, by HEAD; None when upstream does not tell."""
        async with self._sent("HEAD", url, {"Accept-Encoding": "identity"}, self._timeout_s) as response:
            _refuse(response, url)
            return None if "Content-Encoding" in response.headers else response.content_length

    async def small(self, url: str, limit_bytes: int) -> bytes:
        """A whole small file. Raises UpstreamRefused when it is not there, UpstreamWrong when too large."""
        headers = {"Accept-Encoding": "identity"}
        async with self._sent("GET", url, headers, self._timeout_s) as response:
            _refuse(response, url)
            self._metrics.count("upstream_requests", "metadata")
            return await self._body(response, limit_bytes)

    async def close(self) -> None:
        """Drop connections and probes."""
        await self._breakers.close()
        await self._client.close()

    @contextlib.asynccontextmanager
    async def _asked(self, url: str, etag: str | None, timeout_s: float) -> AsyncIterator[aiohttp.ClientResponse]:
        """A page, with retries and backoff for what may pass."""
        headers = {"Accept": ACCEPT, **({"If-None-Match": etag} if etag else {})}
        async with contextlib.AsyncExitStack() as stack:
            for attempt in range(TRIES):
                if attempt:
                    await asyncio.sleep(FIRST_PAUSE_S * 3 ** (attempt - 1))
                last = attempt == TRIES - 1
                try:
                    response = await stack.enter_async_context(self._sent("GET", url, headers, timeout_s, last=last))
                except OfflineMode:
                    raise
                except UpstreamUnavailable as trouble:
                    if last or trouble.retry_after_s is not None:
                        raise
                    continue
                if response.status not in _TRANSIENT or last:
                    break
                await stack.aclose()
            self._metrics.count("upstream_requests", "page")
            yield response

    @contextlib.asynccontextmanager
    async def _sent(
        self, method: str, url: str, headers: Mapping[str, str], timeout_s: float, *, last: bool = True
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """One request through the circuit breaker. `last`: no other try follows, a 5xx counts."""
        self._breakers.check(url)
        try:
            async with self._client.request(method, url, headers, read_timeout_s=timeout_s) as response:
                if response.status < 500:
                    self._breakers.succeeded(url)
                elif last:
                    self._breakers.failed(url, f"HTTP status {response.status}", reached=True)
                yield response
        except UpstreamUnavailable as trouble:
            self._metrics.count("upstream_failures")
            self._breakers.failed(url, trouble.why)
            raise

    async def _body(self, response: aiohttp.ClientResponse, limit_bytes: int = MAX_PAGE_BYTES) -> bytes:
        pieces: list[bytes] = []
        size = 0
        async for piece in response.content.iter_any():
            size += len(piece)
            if size > limit_bytes:
                raise UpstreamWrong(f"{without_credentials(str(response.url))} is larger than {limit_bytes} bytes")
            pieces.append(piece)
        self._metrics.count("upstream_bytes", by=size)
        return b"".join(pieces)

    async def _probe(self, url: str) -> None:
        async with self._client.request("HEAD", url, {}, read_timeout_s=self._timeout_s) as response:
            if response.status >= 500:
                raise UpstreamWrong(f"HTTP status {response.status}")


def _refuse(response: aiohttp.ClientResponse, url: str) -> None:
    if response.status >= 500:
        raise UpstreamUnavailable(without_credentials(url), f"HTTP status {response.status}")
    if response.status not in (200, 206):
        raise UpstreamRefused(without_credentials(url), response.status)


def _extent(response: aiohttp.ClientResponse) -> tuple[int, int | None]:
    """(offset of the first byte, size of the whole file or None)."""
    if response.status == 206:
        unit, _, rest = response.headers.get("Content-Range", "").partition(" ")
        first, _, tail = rest.partition("-")
        total = tail.partition("/")[2]
        if unit == "bytes" and first.isdigit() and total.isdigit():
            return int(first), int(total)
        raise UpstreamWrong(f"{without_credentials(str(response.url))} answers 206 without a usable Content-Range")
    return (0, None if "Content-Encoding" in response.headers else response.content_length)


async def _off_loop(
    body: bytes,
    parse: Callable[Concatenate[bytes, aiohttp.ClientResponse, P], T],
    response: aiohttp.ClientResponse,
    *args: P.args,
    **kwargs: P.kwargs,
) -> T:
    if len(body) <= INLINE_PARSE_BYTES:
        return parse(body, response, *args, **kwargs)
    return await asyncio.to_thread(parse, body, response, *args, **kwargs)


def _parse_page(body: bytes, response: aiohttp.ClientResponse, project: ProjectName) -> Project:
    url = without_credentials(str(response.url))
    if _is_json(response):
        return pages.parse_json(body, url, project)
    return pages.parse_html(body, url, project)


def _parse_names(body: bytes, response: aiohttp.ClientResponse) -> list[ProjectName]:
    if _is_json(response):
        return pages.names_json(body, without_credentials(str(response.url)))
    return pages.names_html(body)


def _is_json(response: aiohttp.ClientResponse) -> bool:
    kind = response.content_type
    if kind.endswith("json"):
        return True
    if kind in ("text/html", "application/xhtml+xml") or kind.endswith("+html"):
        return False
    raise UpstreamWrong(f"{without_credentials(str(response.url))} answers {kind}, not a simple page")
