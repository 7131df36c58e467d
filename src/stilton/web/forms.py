"""Reading request bodies, within bounds: JSON documents, and forms with one file that goes to disk as it comes."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any, Protocol

import msgspec
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import ClientDisconnect, Request

from stilton.domain.errors import Invalid, TooLarge

MAX_JSON_BYTES = 1 << 20
MAX_DEPTH = 20
"""Answers are indented: depth costs bytes by its square."""
SILENCE_S = 60.0
"""A client that sends nothing for so long is given up."""
DRAIN_S = 60.0
MAX_FIELD_BYTES = 16 << 20
"""All fields of a form together: descriptions are long, attestations too."""
MAX_PARTS = 5_000
MAX_PART_HEADER_BYTES = 16 << 10
PIECE_BYTES = 1 << 20
"""The file is written and hashed in pieces of about this size, in a thread while the next one comes."""
INLINE_BYTES = 64 << 10
"""So little is written here and now: a thread hop costs more."""


class Sink(Protocol):
    """Where a form's file goes."""

    def write(self, data: bytes) -> None:
        """Append; called in a thread."""

    def discard(self) -> None:
        """Drop everything."""


class Form:
    """A form's fields, each with all its values; the file's name and content where one came."""

    def __init__(self) -> None:
        self.fields: dict[str, list[str]] = {}
        self.filename: str | None = None
        self.file: Any = None


async def body(request: Request, limit_bytes: int) -> bytes:
    """The whole body. Raises TooLarge."""
    data = bytearray()
    async with _patience() as renew:
        async for piece in request.stream():
            renew()
            data += piece
            if len(data) > limit_bytes:
                raise TooLarge(f"the request has more than {limit_bytes} bytes")
    return bytes(data)


async def json_body(request: Request) -> Any:  # noqa: ANN401 - JSON
    """The body as JSON; `{}` when it is empty. Raises Invalid, TooLarge."""
    data = await body(request, MAX_JSON_BYTES)
    if not data.strip():
        return {}
    try:
        document = msgspec.json.decode(data)
    except (msgspec.DecodeError, RecursionError):
        raise Invalid("Bad request: could not decode json") from None
    if _is_deep(document):
        raise Invalid(f"Bad request: json nested deeper than {MAX_DEPTH} levels")
    return document


def _is_deep(document: object) -> bool:
    level = [document]
    for _ in range(MAX_DEPTH):
        level = [
            inner
            for one in level
            if isinstance(one, dict | list)
            for inner in (one.values() if isinstance(one, dict) else one)
        ]
        if not level:
            return False
    return True


async def json_object(request: Request) -> dict[str, Any]:
    """The body as a JSON object. Raises Invalid, TooLarge."""
    document = await json_body(request)
    if not isinstance(document, dict):
        raise Invalid("Bad request: a JSON object is expected")
    return document


async def drain(request: Request, limit_bytes: int) -> None:
    """Read what a client is still sending, so that it comes to read the answer."""
    if "100-continue" in request.headers.get("expect", "").lower():
        return
    count = 0
    with contextlib.suppress(ClientDisconnect, RuntimeError, TimeoutError):
        async with asyncio.timeout(DRAIN_S):
            async for piece in request.stream():
                count += len(piece)
                if count > limit_bytes:
                    return


async def form(request: Request, open_file: Callable[[], Sink], limit_bytes: int) -> Form:
    """A multipart form. `open_file()` is called when its file begins; only the part `content` may be one.

    The caller discards `Form.file`; when this raises nothing is left. Raises Invalid, TooLarge, StorageTrouble.
    """
    kind, options = parse_options_header(request.headers.get("content-type", ""))
    if kind != b"multipart/form-data" or not options.get(b"boundary"):
        raise Invalid("an upload is a form: content type multipart/form-data with a boundary")
    try:
        reader = _Reader(options[b"boundary"], open_file)
    except FormParserError as error:
        raise Invalid(f"the form cannot be read: {error}") from None
    try:
        async with _patience() as renew:
            async for piece in _limited(request.stream(), limit_bytes):
                renew()
                await reader.feed(piece)
        return await reader.end()
    except FormParserError as error:
        reader.discard()
        raise Invalid(f"the form cannot be read: {error}") from None
    except BaseException:
        reader.discard()
        raise


@contextlib.asynccontextmanager
async def _patience() -> AsyncIterator[Callable[[], None]]:
    """Gives up a client that sends nothing for too long; call what it yields at each piece. Raises Invalid."""
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(SILENCE_S) as limit:
            yield lambda: limit.reschedule(loop.time() + SILENCE_S)
    except TimeoutError:
        raise Invalid(f"the request stopped in the middle for {SILENCE_S:.0f} s") from None


async def _limited(stream: AsyncIterator[bytes], limit_bytes: int) -> AsyncIterator[bytes]:
    count = 0
    async for piece in stream:
        count += len(piece)
        if count > limit_bytes:
            raise TooLarge(f"uploads of more than {limit_bytes} bytes are not taken; see --max-request-body-size")
        yield piece


class _Reader:
    """Turns a parser's callbacks into a `Form`."""

    def __init__(self, boundary: bytes, open_file: Callable[[], Sink]) -> None:
        self._open_file = open_file
        self._form = Form()
        self._pending = bytearray()
        self._writing: asyncio.Task[None] | None = None
        self._parts = 0
        self._field_bytes = 0
        self._header = bytearray()
        self._header_value = bytearray()
        self._disposition = b""
        self._name = ""
        self._is_file = False
        self._value = bytearray()
        self._ended = False
        self._parser = MultipartParser(boundary, {
            "on_part_begin": self._begin,
            "on_header_field": lambda data, start, end: self._add(self._header, data, start, end),
            "on_header_value": lambda data, start, end: self._add(self._header_value, data, start, end),
            "on_header_end": self._header_end,
            "on_headers_finished": self._headers_finished,
            "on_part_data": self._data,
            "on_part_end": self._part_end,
            "on_end": self._end,
        })  # fmt: skip

    async def feed(self, data: bytes) -> None:
        """Parse a piece; hand on what belongs to the file when enough of it is there."""
        self._parser.write(data)
        if len(self._pending) >= PIECE_BYTES:
            await self._written()
            piece = bytes(self._pending)
            self._pending.clear()
            self._writing = asyncio.ensure_future(asyncio.to_thread(self._form.file.write, piece))

    async def end(self) -> Form:
        """The whole form. Raises Invalid when it was cut."""
        self._parser.finalize()
        if not self._ended:
            raise Invalid("the form ends in the middle")
        await self._written()
        if self._pending:
            piece = bytes(self._pending)
            if len(piece) <= INLINE_BYTES:
                self._form.file.write(piece)
            else:
                await asyncio.to_thread(self._form.file.write, piece)
        return self._form

    def discard(self) -> None:
        """Drop the file; what a thread is writing at this moment ends first."""
        file = self._form.file
        if file is None:
            return
        if self._writing is not None and not self._writing.done():
            self._writing.add_done_callback(lambda task: (task.cancelled() or task.exception(), file.discard()))
        else:
            file.discard()

    async def _written(self) -> None:
        if self._writing is not None:
            writing, self._writing = self._writing, None
            try:
                await asyncio.shield(writing)
            except asyncio.CancelledError:
                self._writing = writing
                raise

    def _begin(self) -> None:
        self._parts += 1
        if self._parts > MAX_PARTS:
            raise TooLarge(f"a form of more than {MAX_PARTS} fields")
        self._disposition = b""
        self._value = bytearray()

    def _add(self, to: bytearray, data: bytes, start: int, end: int) -> None:
        to += data[start:end]
        if len(to) > MAX_PART_HEADER_BYTES:
            raise TooLarge("a form field with too long a header")

    def _header_end(self) -> None:
        if bytes(self._header).lower() == b"content-disposition":
            self._disposition = bytes(self._header_value)
        self._header.clear()
        self._header_value.clear()

    def _headers_finished(self) -> None:
        _, options = parse_options_header(self._disposition)
        self._name = options.get(b"name", b"").decode("utf-8", "replace")
        filename = options.get(b"filename")
        self._is_file = filename is not None and self._name == "content"
        if self._is_file and filename is not None:
            if self._form.file is not None:
                raise Invalid("a form has one file, in the field 'content'")
            self._form.filename = filename.decode("utf-8", "replace")
            self._form.file = self._open_file()

    def _data(self, data: bytes, start: int, end: int) -> None:
        if self._is_file:
            self._pending += memoryview(data)[start:end]
            return
        self._field_bytes += end - start
        if self._field_bytes > MAX_FIELD_BYTES:
            raise TooLarge(f"the fields of a form have more than {MAX_FIELD_BYTES} bytes")
        self._value += data[start:end]

    def _part_end(self) -> None:
        if not self._is_file and self._name:
            self._form.fields.setdefault(self._name, []).append(self._value.decode("utf-8", "replace"))

    def _end(self) -> None:
        self._ended = True
