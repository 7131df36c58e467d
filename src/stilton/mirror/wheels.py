"""A wheel's METADATA, byte for byte, without unpacking it (PEP 427, PEP 658).

The archive is hostile until proved otherwise: members are counted, sizes are
bounded while reading, and an archive that could be read in two ways is not read.
"""

import io
import re
import zipfile
import zlib
from collections.abc import Callable
from typing import BinaryIO

from stilton.domain.metadata import MAX_METADATA_BYTES, fits

MAX_MEMBERS = 200_000
# Others are not in use, and their decoders can be told to take gigabytes.
_COMPRESSIONS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_METADATA = re.compile(r"[^/]+\.dist-info/METADATA")


def read_metadata(archive: BinaryIO, filename: str) -> bytes | None:
    """METADATA of the wheel in `archive`; None when it has none that can be trusted."""
    try:
        with zipfile.ZipFile(archive) as wheel:
            members = wheel.infolist()
            found = [member for member in members if _METADATA.fullmatch(member.filename)]
            # Two of them: installers may disagree about which counts.
            if len(members) > MAX_MEMBERS or len(found) != 1 or found[0].file_size > MAX_METADATA_BYTES:
                return None
            if found[0].compress_type not in _COMPRESSIONS:
                return None
            with wheel.open(found[0]) as member:
                data = member.read(MAX_METADATA_BYTES + 1)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError, OverflowError):
        return None
    if len(data) > MAX_METADATA_BYTES or not fits(data, filename):
        return None
    return data


class Remote(io.RawIOBase):
    """A file elsewhere, of which `read_metadata` needs only a little.

    `fetch(first, last)` gets a range, both ends included; it is asked for at least
    `READ_AHEAD_BYTES` and what it gave is kept.
    """

    READ_AHEAD_BYTES = 32 << 10

    def __init__(self, size_bytes: int, tail: bytes, fetch: Callable[[int, int], bytes]) -> None:
        self._size = size_bytes
        self._fetch = fetch
        self._have = [(size_bytes - len(tail), tail)]
        self._at = 0

    def readable(self) -> bool:
        """Yes."""
        return True

    def seekable(self) -> bool:
        """Yes."""
        return True

    def tell(self) -> int:
        """Position in bytes."""
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """As in `io.IOBase`."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        self._at = max(0, base + offset)
        return self._at

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]  # typeshed: WriteableBuffer
        """As in `io.RawIOBase`."""
        data = self._piece(self._at, min(self._size, self._at + len(buffer)))
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)

    def _piece(self, first: int, end: int) -> bytes:
        if first >= end:
            return b""
        for start, data in self._have:
            if start <= first < start + len(data):
                return data[first - start : end - start]
        last = min(self._size, max(end, first + self.READ_AHEAD_BYTES)) - 1
        data = self._fetch(first, last)
        self._have.append((first, data))
        return data[: end - first]
