"""Files and metadata files: whole, by range, while they arrive. Plain ASGI, before any routing."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from stilton import visits
from stilton.catalog import files as catalog
from stilton.catalog.files import Arriving, Elsewhere, Files, InMemory, OnDisk
from stilton.domain import ranges
from stilton.domain.errors import StiltonError
from stilton.domain.files import quoted
from stilton.domain.permission import ANYBODY
from stilton.domain.ranges import Part, Unsatisfiable, Whole
from stilton.lru import Lru
from stilton.metrics import Metrics
from stilton.web.auth import Auth
from stilton.web.http import Answers, Header, Scope, Send, header, matches

READ_BYTES = 1 << 20
SMALL_BYTES = 64 << 10
"""Files up to this size are sent as bytes, from memory: cheaper than handing a path to the server."""
REMEMBERED_BYTES = 8 << 20
"""Of small files, in each worker."""
IMMUTABLE = b"max-age=365000000, immutable, public"
INTERNAL = "/+internal-blobs/"
"""Where nginx has the blobs for itself (`templates/nginx-devpi.conf`). No user has a name with a plus."""
_TYPES = {
    ".metadata": b"text/plain; charset=utf-8",
    ".provenance": b"application/vnd.pypi.integrity.v1+json",
    ".json": b"application/json",
    ".tar.gz": b"application/gzip",
    ".tgz": b"application/gzip",
    ".tar.bz2": b"application/x-bzip2",
    ".tar.xz": b"application/x-xz",
    ".tar": b"application/x-tar",
    ".zip": b"application/zip",
    ".egg": b"application/zip",
}


class Handover:
    """Leaves files that may be read to nginx: an empty answer names the blob, nginx sends it.

    Only to a trusted proxy that says it can (`X-Sendfile-Type`, as Rack calls it): a client on this machine, as
    trusted as nginx is, gets its bytes. `blobs`: the folder that nginx knows as `INTERNAL`.
    """

    def __init__(self, blobs: Path, trusts: Callable[[Scope], bool]) -> None:
        self._blobs = blobs
        self._trusts = trusts

    def header(self, scope: Scope, file: OnDisk) -> Header | None:
        """What tells nginx to send `file`; None when this client is answered with the bytes."""
        if scope["method"] != "GET" or header(scope, b"x-sendfile-type") != "X-Accel-Redirect":
            return None
        if not self._trusts(scope):
            return None
        return (b"x-accel-redirect", f"{INTERNAL}{file.path.relative_to(self._blobs).as_posix()}".encode())


class FileAnswers:
    """Answers for `/{user}/{index}/+f/…` and `+e/…`. `handover`: None when no nginx sends files.

    `used(index, path)` hears of every file that is here and asked for.
    """

    def __init__(
        self,
        auth: Auth,
        files: Files,
        answers: Answers,
        metrics: Metrics,
        handover: Handover | None = None,
        *,
        used: Callable[[str, str], None],
    ) -> None:
        self._auth = auth
        self._files = files
        self._answers = answers
        self._metrics = metrics
        self._handover = handover
        self._used = used
        self._small: Lru[Path, bytes] = Lru(REMEMBERED_BYTES, len)

    async def get(self, scope: Scope, send: Send, user: str, index: str, path: str) -> None:
        """The file at `path` (below the index, decoded)."""
        name = f"{user}/{index}"
        on_disk = self._files.ready(name, path)
        if on_disk is not None and _is_there(on_disk):
            self._used(name, path)
            await self._on_disk(scope, send, path, on_disk)
            return
        # An outdated password must not keep anybody from what is public.
        actor = ANYBODY if self._files.is_public(user, index) else await self._auth.actor(scope)
        found = await self._files.find(actor, user, index, path)
        match found:
            case OnDisk():
                self._used(name, path)
                await self._on_disk(scope, send, path, found)
            case InMemory():
                headers = _headers(path, found.etag, None, public=found.public)
                await self._answers.send(scope, send, 200, headers, found.content)
            case Elsewhere(url):
                await self._answers.redirect(scope, send, quoted_url(url), vary=b"Accept-Encoding")
            case Arriving():
                await self._arriving(scope, send, path, found)

    async def _on_disk(self, scope: Scope, send: Send, path: str, file: OnDisk) -> None:
        headers = _headers(path, file.etag, file.last_modified, public=file.public)
        if matches(header(scope, b"if-none-match"), file.etag):
            await self._answers.not_modified(send, headers)
            return
        self._metrics.counts["files", "hit"] += 1
        visits.cached("hit")
        handed = self._handover.header(scope, file) if self._handover is not None else None
        if handed is not None:
            # Ranges are nginx's then, and it says so itself.
            self._metrics.counts["bytes", "cache"] += file.size
            kept = [row for row in headers if row[0] != b"accept-ranges"]
            await self._answers.send(scope, send, 200, [*kept, handed])
            return
        choice = _choose(scope, file.size, file.etag)
        if isinstance(choice, Unsatisfiable):
            await self._unsatisfiable(scope, send, file.size)
            return
        first, last = (choice.first, choice.last) if isinstance(choice, Part) else (0, file.size - 1)
        if scope["method"] == "HEAD":
            await send(self._start(choice, headers, file.size))
            await send({"type": "http.response.body", "body": b""})
            return
        self._metrics.counts["bytes", "cache"] += last - first + 1
        if file.size <= SMALL_BYTES:
            body = self._remembered(file)[first : last + 1]
            await send(self._start(choice, headers, file.size))
            await send({"type": "http.response.body", "body": body})
            return
        await send(self._start(choice, headers, file.size))
        if isinstance(choice, Whole) and _can_send_paths(scope):
            await send({"type": "http.response.pathsend", "path": str(file.path)})
            return
        await _send_pieces(send, _read(file, first, last))

    def _remembered(self, file: OnDisk) -> bytes:
        """All of a small file. A blob never changes, so neither do bytes that were read of it. Raises OSError."""
        body = self._small.get(file.path)
        if body is None:
            body = file.path.read_bytes()
            if len(body) != file.size:
                raise OSError(f"{file.path.name} has {len(body)} bytes, not {file.size}")
            self._small.put(file.path, body)
        return body

    async def _arriving(self, scope: Scope, send: Send, path: str, file: Arriving) -> None:
        self._metrics.counts["files", "miss"] += 1
        visits.cached("miss")
        if scope["method"] == "HEAD":
            size = await catalog.size(file)
            length = [(b"content-length", b"%d" % size)] if size is not None else []
            await send(self._answers.start(200, [*_headers(path, file.etag, None, public=file.public), *length]))
            await send({"type": "http.response.body", "body": b""})
            return
        if header(scope, b"range") is not None and await self._passed(scope, send, path, file):
            return
        download = await catalog.download(file)
        headers = _headers(path, file.etag, download.last_modified, public=file.public)
        if download.size is None:
            # Upstream did not say how long it is: neither can we, and ranges must wait.
            await send(self._answers.start(200, headers))
            await _send_pieces(send, download.pieces(0, None))
            return
        choice = _choose(scope, download.size, file.etag)
        if isinstance(choice, Unsatisfiable):
            await self._unsatisfiable(scope, send, download.size)
            return
        first, last = (choice.first, choice.last) if isinstance(choice, Part) else (0, download.size - 1)
        await send(self._start(choice, headers, download.size))
        self._metrics.counts["bytes", "miss"] += last - first + 1
        await _send_pieces(send, download.pieces(first, last))

    async def _passed(self, scope: Scope, send: Send, path: str, file: Arriving) -> bool:
        """Answer a small range of a file that is not here straight from upstream, if that works."""
        size = await catalog.size(file)
        choice = _choose(scope, size, file.etag) if size is not None else Whole()
        if size is None or not isinstance(choice, Part) or choice.size > size // 2:
            return False
        body = await catalog.passed_through(file, choice)
        if body is None:
            return False
        await send(self._start(choice, _headers(path, file.etag, None, public=file.public), size))
        await send({"type": "http.response.body", "body": body})
        return True

    def _start(self, choice: Whole | Part, headers: list[Header], size: int) -> dict[str, object]:
        if isinstance(choice, Part):
            extent = (b"content-range", b"bytes %d-%d/%d" % (choice.first, choice.last, size))
            length = (b"content-length", b"%d" % choice.size)
            return self._answers.start(206, [*headers, extent, length])
        return self._answers.start(200, [*headers, (b"content-length", b"%d" % size)])

    async def _unsatisfiable(self, scope: Scope, send: Send, size: int) -> None:
        headers = [(b"content-range", b"bytes */%d" % size), (b"content-type", b"text/plain; charset=utf-8")]
        await self._answers.send(scope, send, 416, headers, f"The file has {size} bytes.\n".encode())


def quoted_url(url: str) -> str:
    """`url` fit for a header: what is not ASCII or not printable is percent-encoded."""
    return "".join(char if "!" <= char <= "~" else quoted(char) for char in url)


def _choose(scope: Scope, size: int, etag: str | None) -> ranges.Choice:
    if scope["method"] != "GET":
        return Whole()  # RFC 9110 §14.2: of other methods Range is ignored
    return ranges.choose(header(scope, b"range"), size, if_range=header(scope, b"if-range"), etag=etag)


def _headers(path: str, etag: str | None, last_modified: str | None, *, public: bool) -> list[Header]:
    name = path.rsplit("/", 1)[-1]
    changes = path.startswith("+e/") or name.endswith(("-variants.json", ".provenance"))
    keep = b"no-cache" if changes else IMMUTABLE
    headers: list[Header] = [
        (b"content-type", _content_type(name)),
        (b"accept-ranges", b"bytes"),
        (b"cache-control", keep if public else keep.removesuffix(b", public") + b", private"),
        (b"x-content-type-options", b"nosniff"),
        (b"content-disposition", b"attachment"),
        (b"access-control-allow-origin", b"*"),
    ]
    if not public:
        headers.append((b"vary", b"Authorization, X-Devpi-Auth"))
    if etag is not None:
        headers.append((b"etag", etag.encode()))
    if last_modified is not None and last_modified.isascii() and last_modified.isprintable():
        headers.append((b"last-modified", last_modified.encode()))
    return headers


def _content_type(name: str) -> bytes:
    lower = name.lower()
    return next((kind for suffix, kind in _TYPES.items() if lower.endswith(suffix)), b"application/octet-stream")


def _is_there(file: OnDisk) -> bool:
    try:
        return os.stat(file.path).st_size == file.size  # noqa: PTH116 - half the cost of Path.stat, on the hot path
    except OSError:
        return False


def _can_send_paths(scope: Scope) -> bool:
    return "http.response.pathsend" in (scope.get("extensions") or ())


async def _read(file: OnDisk, first: int, last: int) -> AsyncIterator[bytes]:
    descriptor = os.open(file.path, os.O_RDONLY)
    try:
        if last - first < SMALL_BYTES:
            yield os.pread(descriptor, last - first + 1, first)
            return
        while first <= last:
            piece = await asyncio.to_thread(os.pread, descriptor, min(READ_BYTES, last - first + 1), first)
            if not piece:
                raise OSError(f"{file.path.name} ends early")
            first += len(piece)
            yield piece
    finally:
        os.close(descriptor)


async def _send_pieces(send: Send, pieces: AsyncIterator[bytes]) -> None:
    """Send a body; an error breaks the transfer off, so that nobody takes it for whole."""
    try:
        async for piece in pieces:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
    except StiltonError as error:
        raise Broken(str(error)) from error
    await send({"type": "http.response.body", "body": b""})


class Broken(Exception):
    """The body stopped half way: the server must close the connection."""
