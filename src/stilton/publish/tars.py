"""A source archive streamed past: its members are judged, its PKG-INFO is kept, nothing is written.

Headers are read here rather than by `tarfile`, which takes what they promise: it reads
long names of any size into memory and follows negative sizes. Sizes are bytes; every
function raises Distrust.
"""

import re
import tarfile
from collections.abc import Iterator
from typing import BinaryIO

import msgspec

from stilton.domain.metadata import MAX_METADATA_BYTES
from stilton.publish.streams import Tape
from stilton.publish.zips import MAX_MEMBERS, MAX_PATH_BYTES, Distrust

_BLOCK = tarfile.BLOCKSIZE
# Extended attributes live there, too.
_MAX_PAX_BYTES = 1 << 20
_MAX_DEPTH = 100
_MAX_SYMLINKS = 10_000
# A long name, a long target, a pax header and the member itself.
_HEADERS_EACH = 4

_FILES = (tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.CONTTYPE)
_LONG = {tarfile.GNUTYPE_LONGNAME: "path", tarfile.GNUTYPE_LONGLINK: "linkpath"}
_PAX = (tarfile.XHDTYPE, tarfile.SOLARIS_XHDTYPE)
_ABSOLUTE = re.compile(r"[/\\]|[A-Za-z]:[/\\]")
_SEPARATOR = re.compile(r"[/\\]")


class PkgInfo(msgspec.Struct, frozen=True):
    """`content` of the file `folder`/PKG-INFO."""

    folder: str
    content: bytes


def pkg_info(file: BinaryIO, suffix: str, size: int, *, max_members: int = MAX_MEMBERS) -> PkgInfo:
    """The one PKG-INFO of an archive of `size` bytes; `suffix` is one of `streams.KINDS`."""
    tape = Tape(file, suffix, size)
    tree = _Tree()
    found: PkgInfo | None = None
    for count, member in enumerate(_members(tape, _HEADERS_EACH * max_members)):
        if count >= max_members:
            raise Distrust(f"it has more than {max_members} members")
        path = tree.place(member)
        if len(path) == 2 and path[1] == "PKG-INFO":
            if found:
                raise Distrust(f"it has two PKG-INFO: {found.folder}/PKG-INFO and {member.name}")
            found = PkgInfo(path[0], _kept(tape, member))
    if found is None:
        raise Distrust("it has no PKG-INFO in its top folder")
    return found


def _kept(tape: Tape, member: tarfile.TarInfo) -> bytes:
    if member.type not in _FILES:
        raise Distrust("its PKG-INFO is not a plain file")
    if member.size > MAX_METADATA_BYTES:
        raise Distrust(f"its PKG-INFO is larger than {MAX_METADATA_BYTES >> 20} MiB")
    return tape.read(member.size)


class _Tree:
    """Where members would be put, in their order: all below the folder they are unpacked to."""

    def __init__(self) -> None:
        self._symlinks: set[str] = set()

    def place(self, member: tarfile.TarInfo) -> list[str]:
        """The path of `member`, in segments."""
        path = _path(member.name)
        # So each symlink's own folder is real, and the leading `..` of its target go where they seem to.
        for depth in range(1, len(path) if self._symlinks else 0):
            if "/".join(path[:depth]) in self._symlinks:
                raise Distrust(f"{member.name} is put through a symlink")
        if member.issym():
            self._add(member, path)
        elif member.islnk():
            _path(member.linkname)
        elif member.type not in _FILES and not member.isdir():
            raise Distrust(f"{member.name} is a device, a pipe, sparse or of another kind that no sdist needs")
        if member.size < 0 or (member.size and member.type not in _FILES):
            raise Distrust(f"{member.name} has a size that it cannot have")
        return path

    def _add(self, member: tarfile.TarInfo, path: list[str]) -> None:
        target = [segment for segment in _SEPARATOR.split(member.linkname) if segment not in ("", ".")]
        ups = next((at for at, segment in enumerate(target) if segment != ".."), len(target))
        # The first segment is the archive's own folder, which installers strip.
        if _ABSOLUTE.match(member.linkname) or ups > max(0, len(path) - 2) or ".." in target[ups:]:
            raise Distrust(f"the symlink {member.name} leads out of the archive")
        self._symlinks.add("/".join(path))
        if len(self._symlinks) > _MAX_SYMLINKS:
            raise Distrust(f"it has more than {_MAX_SYMLINKS} symlinks")


def _path(name: str) -> list[str]:
    if _ABSOLUTE.match(name):
        raise Distrust(f"the member name {name[:80]!r} is absolute")
    if ".." in _SEPARATOR.split(name):
        raise Distrust(f"the member name {name[:80]!r} has a '..' segment")
    path = [segment for segment in name.split("/") if segment not in ("", ".")]
    if len(path) > _MAX_DEPTH or len(name) > MAX_PATH_BYTES:
        raise Distrust(f"the member name {name[:80]!r}... is too long")
    return path


def _members(tape: Tape, max_headers: int) -> Iterator[tarfile.TarInfo]:
    """Each member with its final name; whoever asks may read its content before asking for the next."""
    said: dict[str, str] = {}
    for _ in range(max_headers):
        header = _header(tape)
        if header is None:
            return
        extension = _extension(tape, header)
        if extension is None:
            member = _told(header, said)
            end = tape.position + _padded(member.size)
            yield member
            tape.skip(end - tape.position)
            said = {}
        elif said.keys() & extension.keys():
            raise Distrust("it says the name or size of a member twice")
        else:
            said |= extension
    raise Distrust(f"it has more than {max_headers} headers")


def _header(tape: Tape) -> tarfile.TarInfo | None:
    """The next header; None at the end, which only zeros may follow."""
    block = tape.read(_BLOCK, to_end=True)
    if block.count(0) == len(block):
        tape.wind()
        return None
    try:
        return tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except tarfile.HeaderError as broken:
        what = "it has a broken tar header" if tape.position > _BLOCK else "is not a tar file"
        raise Distrust(what) from broken


def _extension(tape: Tape, header: tarfile.TarInfo) -> dict[str, str] | None:
    """What a header says of the member that comes after it; None when it is that of a member."""
    if header.type in _LONG:
        name, _, _ = _small(tape, header, MAX_PATH_BYTES + 1).partition(b"\0")
        return {_LONG[header.type]: _text(name)}
    if header.type in _PAX:
        return _pax(_small(tape, header, _MAX_PAX_BYTES))
    if header.type == tarfile.XGLTYPE:
        if _pax(_small(tape, header, _MAX_PAX_BYTES)):
            raise Distrust("it says one name or size for all its members")
        return {}
    return None


def _told(header: tarfile.TarInfo, said: dict[str, str]) -> tarfile.TarInfo:
    header.name = said.get("path", header.name)
    header.linkname = said.get("linkpath", header.linkname)
    # Readers that overlook the pax header would take content for headers.
    if said.get("size", str(header.size)) != str(header.size):
        raise Distrust(f"{header.name} has two sizes")
    return header


def _small(tape: Tape, header: tarfile.TarInfo, limit: int) -> bytes:
    if not 0 <= header.size <= limit:
        raise Distrust(f"it has a header of more than {limit} bytes")
    return tape.read(_padded(header.size))[: header.size]


def _pax(records: bytes) -> dict[str, str]:
    """The records about name, target and size; each is LENGTH, space, KEY=VALUE, newline."""
    said: dict[str, str] = {}
    at = 0
    while at < len(records):
        space = records.find(b" ", at, at + 20)
        digits = records[at : max(space, at)]
        end = at + int(digits) if digits.isdigit() else 0
        key, equals, value = records[space + 1 : end].partition(b"=")
        if end > len(records) or not equals or not value.endswith(b"\n"):
            raise Distrust("it has a broken pax header")
        if key.startswith(b"GNU.sparse"):
            raise Distrust("it has sparse members")
        if key in (b"path", b"linkpath", b"size"):
            if key.decode() in said:
                raise Distrust("it says the name or size of a member twice")
            said[key.decode()] = _text(value[:-1])
        at = end
    return said


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")


def _padded(size: int) -> int:
    return -(-size // _BLOCK) * _BLOCK
