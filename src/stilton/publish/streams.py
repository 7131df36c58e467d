"""The plain bytes of a compressed archive, in order, never more than bounds allow.

Memory: pieces of `_CHUNK_BYTES` and what the decompressor holds. Everything raises Distrust.
"""

import bz2
import lzma
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from typing import BinaryIO, Protocol

import msgspec

from stilton.publish.zips import MAX_RATIO, SMALL_BYTES, Distrust

_CHUNK_BYTES = 256 << 10
# xz -9 needs 65 MiB; a hostile file can ask for 4 GiB.
_XZ_MEMORY_BYTES = 128 << 20
# pbzip2 writes a stream per 900 kB.
_MAX_STREAMS = 10_000


class Tape:
    """What is inside `file`, of `size` bytes, read forwards only; `suffix` is one of KINDS."""

    def __init__(self, file: BinaryIO, suffix: str, size: int) -> None:
        self._pieces = _unpacked(file, KINDS[suffix])
        self._limit = max(SMALL_BYTES, MAX_RATIO * size)
        self._came = 0
        self._piece = b""
        self._at = 0

    @property
    def position(self) -> int:
        """How many bytes were read or skipped."""
        return self._came - len(self._piece) + self._at

    def read(self, size: int, *, to_end: bool = False) -> bytes:
        """Exactly `size` bytes; with `to_end`, none when there are no more."""
        parts = []
        wanted = size
        while wanted and (self._at < len(self._piece) or self._pull()):
            part = self._piece[self._at : self._at + wanted]
            self._at += len(part)
            wanted -= len(part)
            parts.append(part)
        if wanted and not (to_end and wanted == size):
            raise Distrust("it is cut off")
        return b"".join(parts)

    def skip(self, size: int) -> None:
        """Pass over `size` bytes."""
        self._at += size
        while self._at > len(self._piece):
            ahead = self._at - len(self._piece)
            if not self._pull():
                raise Distrust("it is cut off")
            self._at = ahead

    def wind(self) -> None:
        """To the end, so that checksums are seen, too."""
        while True:
            if self._piece.count(0, self._at) != len(self._piece) - self._at:
                raise Distrust("other data follows its end")
            if not self._pull():
                return

    def _pull(self) -> bool:
        self._piece = next(self._pieces, b"")
        self._at = 0
        self._came += len(self._piece)
        if self._came > self._limit:
            raise Distrust(f"it unpacks to more than {MAX_RATIO} times its size")
        return bool(self._piece)


class _Unpacker(Protocol):
    """As `bz2` and `lzma` have it. Raises what is in _BROKEN."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int) -> bytes: ...


_BROKEN = (zlib.error, lzma.LZMAError, OSError, EOFError, ValueError)


class _Gunzip:
    """`zlib`, with the manners of `bz2` and `lzma`."""

    def __init__(self) -> None:
        self._zlib = zlib.decompressobj(zlib.MAX_WBITS | 16)

    @property
    def eof(self) -> bool:
        return self._zlib.eof

    @property
    def needs_input(self) -> bool:
        return not self._zlib.unconsumed_tail

    @property
    def unused_data(self) -> bytes:
        return self._zlib.unused_data

    def decompress(self, data: bytes, max_length: int) -> bytes:
        return self._zlib.decompress(self._zlib.unconsumed_tail + data, max_length)


class _Kind(msgspec.Struct, frozen=True):
    """A compression: what its files begin with, and how many streams may follow each other."""

    name: str
    magic: bytes
    unpacker: Callable[[], _Unpacker] | None = None
    # Readers disagree about a second gzip stream, so there is none.
    max_streams: int = 1


_GZIP = _Kind("gzip", b"\x1f\x8b", _Gunzip)
KINDS = {
    ".tar.gz": _GZIP,
    ".tgz": _GZIP,
    ".tar.bz2": _Kind("bzip2", b"BZh", bz2.BZ2Decompressor, _MAX_STREAMS),
    ".tar.xz": _Kind(
        "xz",
        b"\xfd7zXZ\0",
        partial(lzma.LZMADecompressor, format=lzma.FORMAT_XZ, memlimit=_XZ_MEMORY_BYTES),
        _MAX_STREAMS,
    ),
    ".tar": _Kind("tar", b""),
}


def _unpacked(file: BinaryIO, kind: _Kind) -> Iterator[bytes]:
    """The plain bytes in pieces of at most _CHUNK_BYTES."""
    data = file.read(_CHUNK_BYTES)
    if not data.startswith(kind.magic):
        raise Distrust(f"is not a {kind.name} file")
    streams = 0
    while data and kind.unpacker:
        streams += 1
        if streams > kind.max_streams:
            raise Distrust(f"other data follows the end of the {kind.name} stream")
        unpacker = kind.unpacker()
        yield from _stream(file, data, unpacker, kind.name)
        data = unpacker.unused_data or file.read(_CHUNK_BYTES)
    while data:
        yield data
        data = file.read(_CHUNK_BYTES)


def _stream(file: BinaryIO, data: bytes, unpacker: _Unpacker, kind: str) -> Iterator[bytes]:
    while True:
        try:
            piece = unpacker.decompress(data, _CHUNK_BYTES)
        except _BROKEN as broken:
            raise Distrust(f"its {kind} stream is damaged") from broken
        if piece:
            yield piece
        if unpacker.eof:
            return
        data = b""
        # After a full piece there may be more without further input.
        if unpacker.needs_input and len(piece) < _CHUNK_BYTES:
            data = file.read(_CHUNK_BYTES)
            if not data:
                raise Distrust("it is cut off")
