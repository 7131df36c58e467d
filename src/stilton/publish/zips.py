"""The directory of a zip file, believed only where all readers would agree (APPNOTE 6.3.10).

Some installers find members from the back, by the directory; some from the front, by
the headers before each member. So every byte must have one meaning, in this order:

    [local header, data, descriptor?] for each member
    [directory]
    [zip64 end record, zip64 locator]?
    [end record, comment]

Nothing is between, in front or behind. Only headers are read; `content` unpacks the
one member it is asked for. Sizes and offsets are bytes; every function raises Distrust.
"""

import os
import re
import stat
import struct
import zlib
from collections.abc import Iterable, Iterator, Sequence

import msgspec

MAX_MEMBERS = 200_000
MAX_PATH_BYTES = 1024
# As PyPI does: small archives may be squeezed as hard as they like.
SMALL_BYTES = 64 << 20
MAX_RATIO = 50
# 200 000 members with paths of 300 characters.
_MAX_DIRECTORY_BYTES = 64 << 20
# Old eggs begin with a shell script that runs them.
_MAX_FRONT_BYTES = 64 << 10
_MAX_32 = 0xFFFFFFFF
_MAX_16 = 0xFFFF

_END = struct.Struct("<4s4H2LH")
_END64 = struct.Struct("<4sQ2H2L4Q")
_LOCATOR = struct.Struct("<4sLQL")
_CENTRAL = struct.Struct("<4s6H3L5H2L")
_LOCAL = struct.Struct("<4s5H3L2H")
_LOCAL_MARK, _CENTRAL_MARK, _END_MARK = b"PK\x03\x04", b"PK\x01\x02", b"PK\x05\x06"
_END64_MARK, _LOCATOR_MARK, _DESCRIPTOR_MARK = b"PK\x06\x06", b"PK\x06\x07", b"PK\x07\x08"

_STORED, _DEFLATED = 0, 8
_WITH_DESCRIPTOR = 0x08
# Encrypted, strongly encrypted, hidden headers.
_SECRET = 0x01 | 0x40 | 0x2000
_PATCH = 0x20
# 6.3, the last there is; Python opens no zip that needs more.
_NEWEST_VERSION = 63
_ZIP64, _UNICODE_PATH = 0x0001, 0x7075
_PLAIN_KINDS = (0, stat.S_IFREG, stat.S_IFDIR)

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_ABSOLUTE = re.compile("/|[A-Za-z]:")


class Distrust(Exception):
    """This archive is not taken. `str()` is one short sentence, without the file's name."""


class Member(msgspec.Struct, frozen=True, gc=False):
    """What the directory says of one member; `offset` is where its local header begins."""

    name: str
    flags: int
    method: int
    crc: int
    packed: int
    size: int
    offset: int

    @property
    def is_folder(self) -> bool:
        """Names of folders end with a slash."""
        return self.name.endswith("/")


class _Ends(msgspec.Struct, frozen=True):
    """Where the directory is, `shift` being what must be added to the offsets it holds."""

    count: int
    start: int
    size: int
    shift: int


def members(fd: int, *, may_have_front: bool = False) -> dict[str, Member]:
    """All members by name, checked against their local headers.

    `may_have_front`: a script in front of the archive is tolerated.
    """
    ends = _ends(fd, os.fstat(fd).st_size)
    if ends.shift and not may_have_front:
        raise Distrust("its zip directory is not where its end record says: data in front, or two end records")
    directory = os.pread(fd, ends.size, ends.start)
    found = list(_directory(directory, ends))
    _check_layout(fd, found, ends, may_have_front=may_have_front)
    _check_bomb(found, os.fstat(fd).st_size)
    named = {member.name: member for member in found}
    if len({name.rstrip("/") for name in named}) != len(found):
        raise Distrust("it has two members of the same name")
    return named


def content(fd: int, member: Member, limit: int) -> bytes:
    """The bytes of one member, of at most `limit` bytes."""
    if member.size > limit:
        raise Distrust(f"{member.name} is larger than {limit >> 20} MiB")
    # Deflate adds a fraction at worst; more would be read for nothing.
    if member.packed > 2 * member.size + 1024:
        raise Distrust(f"{member.name} is packed to more than it is said to be")
    header = _LOCAL.unpack(os.pread(fd, _LOCAL.size, member.offset))
    start = member.offset + _LOCAL.size + header[-2] + header[-1]
    data = os.pread(fd, member.packed, start)
    if member.method == _DEFLATED:
        data = _inflated(data, member)
    if len(data) != member.size or zlib.crc32(data) != member.crc:
        raise Distrust(f"the content of {member.name} is not what the zip directory says")
    return data


def _inflated(packed: bytes, member: Member) -> bytes:
    unpacker = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        # One byte more than promised: enough to see a lie.
        data = unpacker.decompress(packed, member.size + 1)
    except zlib.error as broken:
        raise Distrust(f"{member.name} cannot be unpacked") from broken
    if not unpacker.eof or unpacker.unused_data:
        raise Distrust(f"the content of {member.name} is not what the zip directory says")
    return data


def _ends(fd: int, file_size: int) -> _Ends:
    tail_size = min(file_size, _END.size + _MAX_16)
    tail_start = file_size - tail_size
    tail = os.pread(fd, tail_size, tail_start)
    at = tail.rfind(_END_MARK)
    if at < 0 and os.pread(fd, 4, 0) == _LOCAL_MARK:
        raise Distrust("its zip directory is missing: it is cut off, or followed by other data")
    if at < 0:
        raise Distrust("is not a zip file")
    if not _is_end(tail, at):
        raise Distrust("other data follows the end of the zip")
    earlier = tail.find(_END_MARK)
    while earlier < at:
        if _is_end(tail, earlier):
            raise Distrust("it has two end records, so readers may disagree about what is in it")
        earlier = tail.find(_END_MARK, earlier + 1)
    return _placed(fd, _END.unpack_from(tail, at), tail_start + at)


def _is_end(tail: bytes, at: int) -> bool:
    """Whether an end record there, with its comment, would end with the file."""
    return at + _END.size <= len(tail) and at + _END.size + _END.unpack_from(tail, at)[-1] == len(tail)


def _placed(fd: int, end: Sequence[int], at: int) -> _Ends:
    """The directory is what lies just before the end records, the first of which is `at`."""
    said = list(end[1:7])
    locator = os.pread(fd, _LOCATOR.size, at - _LOCATOR.size) if at >= _LOCATOR.size else b""
    has_zip64 = locator.startswith(_LOCATOR_MARK)
    if has_zip64:
        at -= _LOCATOR.size + _END64.size
        said = _zip64_end(fd, at, said)
    disk, first_disk, count_here, count, size, offset = said
    if disk or first_disk or count_here != count:
        raise Distrust("it is one part of a split zip")
    if count > MAX_MEMBERS or size > _MAX_DIRECTORY_BYTES:
        raise Distrust(
            f"it has more than {MAX_MEMBERS} members, or more than {_MAX_DIRECTORY_BYTES >> 20} MiB of names"
        )
    start = at - size
    shift = start - offset
    if shift < 0:
        raise Distrust("its zip directory does not fit in the file")
    if has_zip64 and _LOCATOR.unpack(locator)[1:] not in ((0, at - shift, 0), (0, at - shift, 1)):
        raise Distrust("its zip64 locator does not point to its zip64 end record")
    return _Ends(count, start, size, shift)


def _zip64_end(fd: int, at: int, said: list[int]) -> list[int]:
    record = os.pread(fd, _END64.size, at) if at >= 0 else b""
    if not record.startswith(_END64_MARK) or len(record) < _END64.size:
        raise Distrust("its zip64 end record is missing")
    _, size, _, _, *wide = _END64.unpack(record)
    highest = (_MAX_16,) * 4 + (_MAX_32,) * 2
    if size != _END64.size - 12 or any(
        narrow not in (top, value) for narrow, top, value in zip(said, highest, wide, strict=True)
    ):
        raise Distrust("its zip64 end record contradicts its end record")
    return wide


def _directory(directory: bytes, ends: _Ends) -> Iterator[Member]:
    at = 0
    for _ in range(ends.count):
        if directory[at : at + 4] != _CENTRAL_MARK or at + _CENTRAL.size > len(directory):
            raise Distrust("its zip directory has fewer members than it says")
        fields = _CENTRAL.unpack_from(directory, at)
        name_at = at + _CENTRAL.size
        extra_at = name_at + fields[10]
        at = extra_at + fields[11] + fields[12]
        if at > len(directory):
            raise Distrust("its zip directory is cut off")
        name, extra = directory[name_at:extra_at], directory[extra_at : extra_at + fields[11]]
        yield _member(fields, name, extra, ends.shift)
    if at != len(directory):
        raise Distrust("its zip directory has more in it than its members")


def _member(fields: Sequence[int], raw_name: bytes, extra: bytes, shift: int) -> Member:
    _, _, needed, flags, method, _, _, crc, packed, size, _, _, _, disk, _, attributes, offset = fields
    name = _checked_name(raw_name)
    size, packed, offset = _wide(name, extra, [size, packed, offset])
    if flags & _SECRET:
        raise Distrust(f"{name} is encrypted")
    if method not in (_STORED, _DEFLATED) or flags & _PATCH or needed & 0xFF > _NEWEST_VERSION:
        raise Distrust(f"{name} is packed by a method other than stored or deflated")
    if stat.S_IFMT(attributes >> 16) not in _PLAIN_KINDS:
        raise Distrust(f"{name} is a symlink or device")
    if disk or (method == _STORED and packed != size) or (size and name.endswith("/")):
        raise Distrust(f"the sizes of {name} contradict each other")
    return Member(name=name, flags=flags, method=method, crc=crc, packed=packed, size=size, offset=offset + shift)


def _checked_name(raw: bytes) -> str:
    if len(raw) > MAX_PATH_BYTES:
        raise Distrust(f"the member name {raw[:80]!r}... is longer than {MAX_PATH_BYTES} bytes")
    try:
        name = raw.decode()
    except UnicodeDecodeError as wrong:
        raise Distrust(f"the member name {raw[:80]!r} is not UTF-8") from wrong
    if _CONTROL.search(name) or "\\" in name:
        raise Distrust(f"the member name {name[:80]!r} has a control character or backslash")
    if _ABSOLUTE.match(name):
        raise Distrust(f"the member name {name[:80]!r} is absolute")
    if not {"", ".", ".."}.isdisjoint(name.removesuffix("/").split("/")):
        raise Distrust(f"the member name {name[:80]!r} has an empty, '.' or '..' segment")
    return name


def _extras(name: str, extra: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    # Up to three bytes of padding are in use.
    while len(extra) - at >= 4:
        kind, size = struct.unpack_from("<2H", extra, at)
        at += 4 + size
        if at > len(extra):
            raise Distrust(f"the extra fields of {name} are cut off")
        yield kind, extra[at - size : at]


def _wide(name: str, extra: bytes, narrow: list[int]) -> list[int]:
    """`narrow` (sizes, then perhaps an offset) with what the zip64 field says in its place."""
    found: bytes | None = None
    for kind, data in _extras(name, extra):
        if kind == _ZIP64:
            if found is not None:
                raise Distrust(f"{name} has two zip64 fields")
            found = data
        elif kind == _UNICODE_PATH and data[5:] != name.encode():
            raise Distrust(f"{name} has another name in its extra fields")
    if found is None and _MAX_32 not in narrow:
        return narrow
    wide = _zip64_values(found or b"", narrow)
    if wide is None:
        raise Distrust(f"the zip64 field of {name} contradicts its header")
    return wide


def _zip64_values(data: bytes, narrow: list[int]) -> list[int] | None:
    """Only what does not fit the header is in the field (the rule), or all in order (Go and others)."""
    missing = narrow.count(_MAX_32)
    if len(data) == 8 * missing:
        values = iter(struct.unpack(f"<{missing}Q", data))
        return [next(values) if value == _MAX_32 else value for value in narrow]
    if len(data) not in (16, 24, 28) or any(data[24:]):
        return None
    values_in_order = struct.unpack_from(f"<{min(len(data) // 8, len(narrow))}Q", data)
    wide = [*values_in_order, *narrow[len(values_in_order) :]]
    agrees = all(small in (_MAX_32, big) for small, big in zip(narrow, wide, strict=True))
    return wide if agrees and not (len(data) == 16 and narrow[2:] == [_MAX_32]) else None


def _check_layout(fd: int, found: Iterable[Member], ends: _Ends, *, may_have_front: bool) -> None:
    ordered = sorted(found, key=lambda member: member.offset)
    starts = [member.offset for member in ordered]
    front = starts[0] if starts else ends.start
    if front:
        _check_front(fd, front, tolerated=may_have_front)
    if not starts:
        return
    if starts[-1] >= ends.start:
        raise Distrust(f"{ordered[-1].name} is not in front of the zip directory")
    for member, next_start in zip(ordered, [*starts[1:], ends.start], strict=True):
        _check_local(fd, member, next_start)


def _check_front(fd: int, size: int, *, tolerated: bool) -> None:
    if not tolerated or size > _MAX_FRONT_BYTES:
        raise Distrust("there is data in front of the first member")
    front = os.pread(fd, size, 0)
    if _LOCAL_MARK in front or _END_MARK in front:
        raise Distrust("there is another zip in front of the first member")


def _check_local(fd: int, member: Member, end: int) -> None:
    """The header in front of a member agrees with the directory, and the member ends where the next thing begins."""
    raw_name = member.name.encode()
    name_end = _LOCAL.size + len(raw_name)
    # 64 bytes: as much extra data as most have, so that one read is enough.
    header = os.pread(fd, name_end + 64, member.offset)
    if len(header) < name_end or not header.startswith(_LOCAL_MARK):
        raise Distrust(f"{member.name} has no local header")
    _, _, flags, method, _, _, crc, packed, size, name_size, extra_size = _LOCAL.unpack_from(header)
    if name_size != len(raw_name) or header[_LOCAL.size : name_end] != raw_name:
        raise Distrust(f"the local header of {member.name} has another name")
    if method != member.method or (flags ^ member.flags) & (_SECRET | _WITH_DESCRIPTOR | _PATCH):
        raise Distrust(f"the local header of {member.name} has another compression")
    if extra_size:
        extra = header[name_end : name_end + extra_size]
        if len(extra) < extra_size:
            extra = os.pread(fd, extra_size, member.offset + name_end)
        size, packed = _wide(member.name, extra, [size, packed])
    _check_sizes(member, (crc, packed, size))
    _check_end(fd, member, member.offset + name_end + extra_size + member.packed, end)


def _check_sizes(member: Member, local: tuple[int, int, int]) -> None:
    central = (member.crc, member.packed, member.size)
    if local == central:
        return
    # With a descriptor, the header was written before the sizes were known.
    is_late = member.flags & _WITH_DESCRIPTOR
    if not is_late or any(value not in (0, right) for value, right in zip(local, central, strict=True)):
        raise Distrust(f"the local header of {member.name} has another size or checksum")


def _check_end(fd: int, member: Member, data_end: int, end: int) -> None:
    between = end - data_end
    if between < 0:
        raise Distrust(f"{member.name} overlaps what follows it")
    if not member.flags & _WITH_DESCRIPTOR:
        if between:
            raise Distrust(f"behind {member.name} are bytes that belong to no member")
        return
    wide = struct.pack("<L2Q", member.crc, member.packed, member.size)
    known = {wide, _DESCRIPTOR_MARK + wide}
    if max(member.packed, member.size) <= _MAX_32:
        narrow = struct.pack("<3L", member.crc, member.packed, member.size)
        known |= {narrow, _DESCRIPTOR_MARK + narrow}
    if between > 24 or os.pread(fd, between, data_end) not in known:
        raise Distrust(f"the data descriptor of {member.name} contradicts the zip directory")


def _check_bomb(found: Iterable[Member], file_size: int) -> None:
    total = sum(member.size for member in found)
    if total > max(SMALL_BYTES, MAX_RATIO * file_size):
        raise Distrust(f"it unpacks to more than {MAX_RATIO} times its size")
