"""The bytes of a tar, out of their compression: no more of them, at a time or in all, than anything honest needs.

tarfile reads the headers of one member in one piece, as long as the archive says they are: names and headers may be
bombs as well as files.
"""

import bz2
import contextlib
import gzip
import io
import lzma
import os
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO

MAX_PIECE_BYTES = 16 << 20
BROKEN = (tarfile.TarError, zlib.error, lzma.LZMAError, EOFError, OSError, RuntimeError, ValueError)
"""What reading a tar that is damaged raises."""


class TooMuch(ValueError):
    """An archive that grows beyond its bounds."""


@contextlib.contextmanager
def opened(path: Path, *, most_bytes: int | None = None) -> Iterator[tarfile.TarFile]:
    """A tar to read; what is read of it raises TooMuch, or one of BROKEN.

    `most_bytes`: how long it may be without its compression, headers and all; None: nobody wants all of it.
    """
    with _plain(path) as plain, tarfile.open(fileobj=Bounded(plain, most_bytes), mode="r:") as archive:
        yield archive


class Bounded(io.BufferedIOBase):
    """What comes out of a decompressor, up to a limit."""

    def __init__(self, plain: IO[bytes] | io.BufferedIOBase, most_bytes: int | None) -> None:
        self._plain = plain
        self._most_bytes = most_bytes

    def read(self, size: int | None = -1, /) -> bytes:
        """Up to `size` bytes. Raises TooMuch for a piece of absurd size."""
        if size is None or not 0 <= size <= MAX_PIECE_BYTES:
            raise TooMuch("a header in it is absurdly long")
        self._check(self._plain.tell() + size)
        return self._plain.read(size)

    def seek(self, position: int, whence: int = os.SEEK_SET, /) -> int:
        """Go to a place; backwards, all before it is decompressed again."""
        self._check(position)
        return self._plain.seek(position, whence)

    def tell(self) -> int:
        """Where it is, without compression."""
        return self._plain.tell()

    def _check(self, position: int) -> None:
        if self._most_bytes is not None and position > self._most_bytes:
            raise TooMuch(f"it has more than {self._most_bytes} bytes when unpacked")


def _plain(path: Path) -> IO[bytes] | io.BufferedIOBase:
    name = path.name.lower()
    if name.endswith((".gz", ".tgz")):
        return gzip.open(path)
    if name.endswith(".bz2"):
        return bz2.open(path)
    return lzma.open(path) if name.endswith(".xz") else path.open("rb")
