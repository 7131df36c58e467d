"""Unpack archives that strangers made: every member stays inside of one folder, or nothing is written.

Refused by name, before the first byte is written:

    names     absolute, with `..`, a drive letter or a backslash; one name for two kinds of things
    links     to somewhere else, or by way of another link; members below a link; hard links to anything but a file
              that came before
    devices, pipes and whatever else is neither a file, a folder nor a link
    bombs     more members or bytes than LIMITS, counted again while they are read, whatever the archive declares

`judge` decides and does no I/O; the readers of tar and zip tell it what is inside. tarfile's own `data` filter comes
on top, and alone would not do: until Python 3.11.13 chains of links lead it astray (CVE-2025-4517).
"""

import bz2
import enum
import gzip
import io
import lzma
import os
import stat
import tarfile
import unicodedata
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath
from typing import IO

from stilton_client.errors import Failure

CHUNK = 1 << 16
# Names and headers are read whole into memory; no honest one has more bytes.
MAX_HEADER = 1 << 24
MAX_TARGET = 4096  # PATH_MAX
_BROKEN = (
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    OSError,
    RuntimeError,
    ValueError,
)
_TARS = (".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".tar")


@dataclass(frozen=True)
class Limits:
    """What an archive may become."""

    members: int
    size_bytes: int


# The largest source distributions have tens of thousands of files and some hundred megabytes.
LIMITS = Limits(members=100_000, size_bytes=4 * 2**30)


class Kind(enum.Enum):
    """What a member becomes."""

    FILE = "file"
    FOLDER = "folder"
    LINK = "link"  # symbolic
    TWIN = "hard link"
    OTHER = "device or pipe"


@dataclass(frozen=True)
class Member:
    """What an archive says about one of its members; `target` is a link's."""

    name: str
    kind: Kind
    size_bytes: int = 0
    target: str = ""


class Unsafe(Failure):
    """An archive that would do harm; nothing of it was written."""


def can_unpack(filename: str) -> bool:
    """Whether this is the name of an archive that `unpack` knows."""
    return filename.endswith((*_TARS, ".zip"))


def unpack(archive: Path, folder: Path, limits: Limits = LIMITS) -> None:
    """Write the members of a tar or zip below `folder`. Raises Unsafe, and Failure when the archive is damaged."""
    folder.mkdir(parents=True, exist_ok=True)
    try:
        if archive.name.endswith(".zip"):
            _unpack_zip(archive, folder, limits)
        else:
            _unpack_tar(archive, folder, limits)
    except Failure as failure:
        advice = "Somebody may want to do harm with it: look at it before you use it."
        raise type(failure)(f"{archive.name} is not unpacked: {failure.what}", failure.advice or advice) from failure
    except tarfile.FilterError as error:
        raise Unsafe(f"{archive.name} is not unpacked: {error}") from error
    except _BROKEN as error:
        raise Failure(f"{archive.name} cannot be unpacked ({error})", "It may be damaged: upload it again.") from error


def judge(members: Iterable[Member], limits: Limits = LIMITS) -> None:
    """Raises Unsafe unless all members together stay in their folder. Reads no further than the first bad one."""
    seen: dict[tuple[str, ...], Member] = {}
    total = 0
    for count, member in enumerate(members, 1):
        total += member.size_bytes
        if count > limits.members:
            raise Unsafe(f"it has more than {limits.members} members")
        if total > limits.size_bytes:
            raise Unsafe(f"it has more than {limits.size_bytes} bytes when unpacked")
        _take(member, seen)
    links = {path for path, member in seen.items() if member.kind is Kind.LINK}
    for path, member in seen.items():
        if any(path[:depth] in links for depth in range(1, len(path))):
            raise Unsafe(f"{member.name!r} is below a link")
        if member.kind is Kind.LINK:
            _follow(path, member, links)


def _take(member: Member, seen: dict[tuple[str, ...], Member]) -> None:
    path = _path(member.name)
    if member.kind is Kind.OTHER:
        raise Unsafe(f"{member.name!r} is a device, a pipe or the like")
    if not path and member.kind is not Kind.FOLDER:
        raise Unsafe(f"{member.name!r} takes the place of the folder")
    if member.kind is Kind.TWIN:
        twin = seen.get(_path(member.target))
        if twin is None or twin.kind is not Kind.FILE:
            raise Unsafe(f"{member.name!r} is a hard link to {member.target!r}, which is no file before it")
    other = seen.setdefault(path, member)
    if other.kind is not member.kind or (other is not member and member.kind in (Kind.LINK, Kind.TWIN)):
        raise Unsafe(f"{member.name!r} is there twice")


def _path(name: str) -> tuple[str, ...]:
    """A name's parts, as a disk compares them that knows no case. Raises Unsafe when it leads away."""
    parts = name.split("/")
    if name.startswith("/") or ".." in parts or "\\" in name or PureWindowsPath(name).drive:
        raise Unsafe(f"{name!r} may be outside of the folder")
    return tuple(_same(part) for part in parts if part not in ("", "."))


def _same(part: str) -> str:
    return unicodedata.normalize("NFC", part).casefold()


def _follow(path: tuple[str, ...], link: Member, links: set[tuple[str, ...]]) -> None:
    """Walk to a link's target. What `..` means behind another link is not in the words: no such step is taken."""
    here = list(path[:-1])
    target = link.target
    if not target or target.startswith("/") or "\\" in target or PureWindowsPath(target).drive:
        raise Unsafe(f"{link.name!r} links to {target!r}, outside of the folder")
    for part in target.split("/"):
        if tuple(here) in links:
            raise Unsafe(f"{link.name!r} links to {target!r}, by way of another link")
        if part == ".." and not here:
            raise Unsafe(f"{link.name!r} links to {target!r}, outside of the folder")
        if part == "..":
            here.pop()
        elif part not in ("", "."):
            here.append(_same(part))


# -- tar -------------------------------------------------------------------------------------------


def _unpack_tar(archive: Path, folder: Path, limits: Limits) -> None:
    if not hasattr(tarfile, "data_filter"):
        raise Failure("this Python cannot unpack a tar safely", "Take Python 3.11.4 or a newer one.")
    with _plain(archive) as plain, tarfile.open(fileobj=_Bounded(plain, limits), mode="r:") as tar:
        judge(map(_of_tar, tar), limits)
        tar.extractall(folder, filter="data")


def _plain(archive: Path) -> IO[bytes] | io.BufferedIOBase:
    if archive.name.endswith((".gz", ".tgz")):
        return gzip.open(archive)
    if archive.name.endswith(".bz2"):
        return bz2.open(archive)
    return lzma.open(archive) if archive.name.endswith(".xz") else archive.open("rb")


def _of_tar(info: tarfile.TarInfo) -> Member:
    kind = Kind.OTHER
    if info.isreg():
        kind = Kind.FILE
    elif info.isdir():
        kind = Kind.FOLDER
    elif info.issym():
        kind = Kind.LINK
    elif info.islnk():
        kind = Kind.TWIN
    return Member(info.name, kind, info.size, info.linkname)


class _Bounded(io.BufferedIOBase):
    """What comes out of a decompressor, up to a limit: names and headers may be bombs, too."""

    def __init__(self, plain: IO[bytes] | io.BufferedIOBase, limits: Limits) -> None:
        self._plain = plain
        self._limit_bytes = limits.size_bytes + limits.members * 8 * tarfile.BLOCKSIZE

    def read(self, size: int | None = -1, /) -> bytes:
        if size is None or not 0 <= size <= MAX_HEADER:
            raise Unsafe("a header in it is absurdly long")
        self._check(self._plain.tell() + size)
        return self._plain.read(size)

    def seek(self, position: int, whence: int = os.SEEK_SET, /) -> int:
        self._check(position)
        return self._plain.seek(position, whence)

    def tell(self) -> int:
        return self._plain.tell()

    def _check(self, position: int) -> None:
        if position > self._limit_bytes:
            raise Unsafe(f"it has more than {self._limit_bytes} bytes when unpacked")


# -- zip -------------------------------------------------------------------------------------------


def _unpack_zip(archive: Path, folder: Path, limits: Limits) -> None:
    with zipfile.ZipFile(archive) as packed:
        judge(_of_zip(packed), limits)
        left = limits.size_bytes
        for info in packed.infolist():
            left -= _write(packed, info, folder / info.filename, left)


def _of_zip(packed: zipfile.ZipFile) -> Iterator[Member]:
    for info in packed.infolist():
        kind = _kind(info)
        yield Member(info.filename, kind, info.file_size, _target(packed, info) if kind is Kind.LINK else "")


def _target(packed: zipfile.ZipFile, info: zipfile.ZipInfo) -> str:
    if info.file_size > MAX_TARGET:
        raise Unsafe(f"{info.filename!r} is an absurdly long link")
    return packed.read(info).decode("utf-8", "surrogateescape")


def _kind(info: zipfile.ZipInfo) -> Kind:
    """By the mode of Unix in the upper half of its attributes; archives from elsewhere have none."""
    mode = stat.S_IFMT(info.external_attr >> 16)
    if mode == stat.S_IFLNK:
        return Kind.LINK
    if info.is_dir():
        return Kind.FOLDER
    return Kind.FILE if mode in (0, stat.S_IFREG) else Kind.OTHER


def _write(packed: zipfile.ZipFile, info: zipfile.ZipInfo, place: Path, left: int) -> int:
    """One member; how many bytes it had."""
    kind = _kind(info)
    if kind is Kind.FOLDER:
        place.mkdir(parents=True, exist_ok=True)
        return 0
    place.parent.mkdir(parents=True, exist_ok=True)
    if kind is Kind.LINK:
        place.symlink_to(_target(packed, info))
        return 0
    written = 0
    with packed.open(info) as source, place.open("wb") as file:
        while chunk := source.read(CHUNK):
            written += file.write(chunk)
            if written > left:
                raise Unsafe(f"{info.filename!r} has more bytes than it says")
    if info.external_attr >> 16 & stat.S_IXUSR:
        place.chmod(place.stat().st_mode | stat.S_IXUSR)
    return written
