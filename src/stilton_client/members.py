"""What an archive says that is inside of it, and whether all of that stays inside of one folder. No I/O.

Refused by name:

    names     absolute, with `..`, a drive letter or a backslash; one name for two kinds of things
    links     to somewhere else, or by way of another link; members below a link; hard links to anything but a file
              that came before
    devices, pipes and whatever else is neither a file, a folder nor a link
    bombs     more members or bytes than its Limits
"""

import enum
import ntpath
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

from stilton_client.errors import Failure

_ARCHIVES = (".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".tar", ".zip")


@dataclass(frozen=True)
class Limits:
    """What an archive may become."""

    members: int
    size_bytes: int


# The largest source distributions have tens of thousands of files and some hundred megabytes; a server of ours takes
# none that grows more than fifty times, but for small ones.
MAX_MEMBERS = 100_000
MAX_RATIO = 50
SMALL_BYTES = 64 * 2**20
LARGE_BYTES = 2**30


def limits(archive_bytes: int) -> Limits:
    """What an archive of so many bytes may become."""
    return Limits(MAX_MEMBERS, min(max(SMALL_BYTES, MAX_RATIO * archive_bytes), LARGE_BYTES))


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
    """Whether this is the name of an archive that `unpacking` knows."""
    return filename.endswith(_ARCHIVES)


def judge(members: Iterable[Member], limits: Limits) -> None:
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
    if name.startswith("/") or ".." in parts or "\\" in name or ntpath.splitdrive(name)[0]:
        raise Unsafe(f"{name!r} may be outside of the folder")
    return tuple(_same(part) for part in parts if part not in ("", "."))


def _same(part: str) -> str:
    return unicodedata.normalize("NFC", part).casefold()


def _follow(path: tuple[str, ...], link: Member, links: set[tuple[str, ...]]) -> None:
    """Walk to a link's target. What `..` means behind another link is not in the words: no such step is taken."""
    here = list(path[:-1])
    target = link.target
    if not target or target.startswith("/") or "\\" in target or ntpath.splitdrive(target)[0]:
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
