"""Unpack archives that strangers made: every member stays inside of one folder, or nothing is written.

What an archive tells about its members is judged as a whole (`members`) before the first byte is written, and counted
again while it is read, whatever the archive declares. tarfile's own `data` filter comes on top, and alone would not
do: until Python 3.11.13 chains of links lead it astray (CVE-2025-4517).
"""

import stat
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

from stilton_client import members, tarstreams
from stilton_client.errors import Failure
from stilton_client.members import Kind, Limits, Member, Unsafe, judge
from stilton_client.tarstreams import TooMuch

CHUNK = 1 << 16
MAX_TARGET = 4096  # PATH_MAX
_BROKEN = (*tarstreams.BROKEN, zipfile.BadZipFile)
_HARM = "Somebody may want to do harm with it: look at it before you use it."


def unpack(archive: Path, folder: Path, limits: Limits | None = None) -> None:
    """Write the members of a tar or zip below `folder`; `limits`: if none, those for its size.

    Raises Unsafe, and Failure when the archive is damaged.
    """
    folder.mkdir(parents=True, exist_ok=True)
    limits = limits or members.limits(archive.stat().st_size)
    refused = f"{archive.name} is not unpacked"
    try:
        (_unpack_zip if archive.name.endswith(".zip") else _unpack_tar)(archive, folder, limits)
    except Failure as failure:
        raise type(failure)(f"{refused}: {failure.what}", failure.advice or _HARM) from failure
    except (TooMuch, tarfile.FilterError) as error:
        raise Unsafe(f"{refused}: {error}", _HARM) from error
    except _BROKEN as error:
        raise Failure(f"{archive.name} cannot be unpacked ({error})", "It may be damaged: upload it again.") from error


# -- tar -------------------------------------------------------------------------------------------


def _unpack_tar(archive: Path, folder: Path, limits: Limits) -> None:
    if not hasattr(tarfile, "data_filter"):
        raise Failure("this Python cannot unpack a tar safely", "Take Python 3.11.4 or a newer one.")
    # Each member has headers and is filled up to whole blocks.
    most_bytes = limits.size_bytes + limits.members * 8 * tarfile.BLOCKSIZE
    with tarstreams.opened(archive, most_bytes=most_bytes) as tar:
        judge(map(_of_tar, tar), limits)
        tar.extractall(folder, filter="data")


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
