"""A wheel's metadata out of archives that nobody should trust."""

import io
import struct
import zipfile
import zlib
from collections.abc import Callable
from typing import cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stilton.domain.metadata import MAX_METADATA_BYTES
from stilton.mirror.wheels import Remote, read_metadata
from tests.support.builders import a_wheel, metadata_of

FILENAME = "pkg-1.0-py3-none-any.whl"
METADATA = "pkg-1.0.dist-info/METADATA"
GOOD = metadata_of("pkg", "1.0")


def zipped(*members: tuple[str, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, content in members:
            archive.writestr(zipfile.ZipInfo(name, (2020, 1, 1, 0, 0, 0)), content, method)
    return out.getvalue()


def read(content: bytes, filename: str = FILENAME) -> bytes | None:
    return read_metadata(io.BytesIO(content), filename)


def two_of(name: str) -> bytes:
    """An archive that lists `name` twice: `zipfile` warns when it writes one, so a byte is changed after."""
    other = name[:-1] + "_"
    return zipped((name, GOOD), (other, GOOD)).replace(other.encode(), name.encode())


def field(content: bytes, signature: bytes, at: int, format_: str, value: int) -> bytes:
    """`content` with one number behind `signature` (its last occurrence) changed."""
    start = content.rindex(signature) + at
    return content[:start] + struct.pack(format_, value) + content[start + struct.calcsize(format_) :]


CENTRAL, END, LOCAL = b"PK\x01\x02", b"PK\x05\x06", b"PK\x03\x04"


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_metadata_is_read_byte_for_byte(method: int) -> None:
    odd = GOOD + "ü\r\n\x00 no end of line".encode()

    assert read(zipped(("pkg/__init__.py", b""), (METADATA, odd), method=method)) == odd


def test_the_metadata_of_a_wheel_that_installs_is_read() -> None:
    wheel = a_wheel("my-pkg", "2.0", requires=("a>=1",))

    assert read(wheel.content, wheel.filename) == wheel.metadata


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"PK",
        b"<html>Please log in</html>",
        zipped(),
        zipped(("pkg/METADATA", GOOD)),
        zipped(("METADATA", GOOD)),
        zipped(("a/pkg-1.0.dist-info/METADATA", GOOD)),
        zipped((METADATA, b"")),
        zipped((METADATA, metadata_of("other", "1.0"))),
        zipped((METADATA, metadata_of("pkg", "2.0"))),
        zipped((METADATA, GOOD), ("other-1.0.dist-info/METADATA", GOOD)),
        zipped((METADATA, GOOD), ("PKG-1.0.dist-info/METADATA", GOOD)),
        two_of(METADATA),
    ],
    ids=[
        "empty", "two bytes", "login page", "no members", "no dist-info", "at the top", "too deep", "empty metadata",
        "other name", "other version", "two dist-info", "two spellings", "listed twice",
    ],
)  # fmt: skip
def test_an_archive_that_could_mean_something_else_has_no_metadata(content: bytes) -> None:
    assert read(content) is None


def test_a_bomb_that_admits_its_size_is_not_unpacked() -> None:
    bomb = zipped((METADATA, GOOD + b" " * MAX_METADATA_BYTES), method=zipfile.ZIP_DEFLATED)

    assert len(bomb) < 100_000
    assert read(bomb) is None


def test_a_bomb_that_lies_about_its_size_is_not_believed() -> None:
    bomb = zipped((METADATA, GOOD + b" " * (1 << 20)), method=zipfile.ZIP_DEFLATED)

    lying = field(bomb, CENTRAL, 24, "<I", len(GOOD))

    found = read(lying)
    assert found is None or len(found) <= len(GOOD)


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_compression_that_no_wheel_uses_is_not_unpacked(method: int) -> None:
    content = zipped((METADATA, GOOD * 10), method=method)

    start = content.index(METADATA.encode()) + len(METADATA)
    broken = content[:start] + b"\xff" * 20 + content[start + 20 :]

    assert read(content) is None
    assert read(broken) is None


def test_an_unknown_compression_is_not_unpacked() -> None:
    assert read(field(zipped((METADATA, GOOD)), CENTRAL, 10, "<H", 97)) is None


def test_an_encrypted_member_is_not_read() -> None:
    assert read(field(zipped((METADATA, GOOD)), CENTRAL, 8, "<H", 1)) is None


def test_bytes_that_do_not_have_their_checksum_are_not_believed() -> None:
    assert read(zipped((METADATA, GOOD)).replace(b"A description", b"B description")) is None


def test_a_local_header_that_says_another_name_is_not_believed() -> None:
    content = zipped((METADATA, GOOD))
    start = content.index(LOCAL)

    changed = content[:start] + content[start:].replace(METADATA.encode(), METADATA.replace("pkg", "gkp").encode(), 1)

    assert read(changed) is None


@pytest.mark.parametrize(
    ("signature", "at", "format_"),
    [
        (CENTRAL, 20, "<I"),  # compressed size
        (CENTRAL, 24, "<I"),  # size
        (CENTRAL, 28, "<H"),  # length of the name
        (CENTRAL, 30, "<H"),  # length of the extra field
        (CENTRAL, 42, "<I"),  # where the local header is
        (LOCAL, 26, "<H"),  # length of the name, in the local header
        (LOCAL, 28, "<H"),  # length of the extra field, in the local header
        (END, 10, "<H"),  # members in all
        (END, 12, "<I"),  # size of the directory
        (END, 16, "<I"),  # where the directory is
        (END, 20, "<H"),  # length of the comment
    ],
)
def test_a_lie_in_a_header_gives_nothing_or_the_truth(signature: bytes, at: int, format_: str) -> None:
    for value in (0, 1, 0xFFFE, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFE, 0xFFFFFFFF):
        limit = (1 << 8 * struct.calcsize(format_)) - 1

        lying = field(zipped((METADATA, GOOD)), signature, at, format_, min(value, limit))

        assert read(lying) in (None, GOOD), hex(value)


@pytest.mark.parametrize("lie", [0, 1, 1 << 32, (1 << 63) - 1, 1 << 63, (1 << 64) - 1])
@pytest.mark.parametrize("which", range(3))
def test_a_lie_in_a_zip64_extra_field_gives_nothing_or_the_truth(which: int, lie: int) -> None:
    numbers = [len(GOOD), len(GOOD), 0]
    numbers[which] = lie
    info = zipfile.ZipInfo(METADATA, (2020, 1, 1, 0, 0, 0))
    info.extra = struct.pack("<HHQQQ", 1, 24, *numbers)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr(info, GOOD)

    lying = out.getvalue()
    for at in (20, 24, 42):
        lying = field(lying, CENTRAL, at, "<I", 0xFFFFFFFF)

    assert read(lying) in (None, GOOD)


def test_a_zip64_end_that_points_nowhere_is_not_believed() -> None:
    content = zipped((METADATA, GOOD))
    end = content.rindex(END)
    locator = struct.pack("<4sIQI", b"PK\x06\x07", 0, (1 << 64) - 1, 1)
    record = struct.pack("<4sQHHIIQQQQ", b"PK\x06\x06", 44, 45, 45, 0, 0, 1 << 60, 1 << 60, 1 << 62, 1 << 63)

    assert read(content[:end] + record + locator + content[end:]) is None


def test_a_truncated_wheel_has_no_metadata() -> None:
    whole = a_wheel().content

    for cut in range(len(whole)):
        assert read(whole[:cut]) is None, cut


wheel = zipped(("pkg/__init__.py", b"x = 1\n"), (METADATA, GOOD), method=zipfile.ZIP_DEFLATED)


@settings(deadline=None, max_examples=150)
@given(st.lists(st.tuples(st.integers(0, len(wheel) - 1), st.integers(0, 255)), min_size=1, max_size=6))
def test_no_changed_byte_gives_other_metadata(changes: list[tuple[int, int]]) -> None:
    content = bytearray(wheel)
    for at, value in changes:
        content[at] = value

    assert read(bytes(content)) in (None, GOOD)


@settings(deadline=None, max_examples=80)
@given(st.binary(max_size=300), st.binary(max_size=60))
def test_no_bytes_break_the_reading_of_a_wheel(body: bytes, tail: bytes) -> None:
    assert read(body) is None
    assert read(body + END + tail) is None


def remote(content: bytes, tail: int, asked: list[tuple[int, int]]) -> Remote:
    def fetch(first: int, last: int) -> bytes:
        asked.append((first, last))
        return content[first : last + 1]

    return Remote(len(content), content[len(content) - tail :], fetch)


def test_a_small_wheel_is_read_from_its_tail_alone() -> None:
    asked: list[tuple[int, int]] = []
    content = a_wheel().content

    found = read_metadata(cast("io.BytesIO", remote(content, len(content), asked)), FILENAME)

    assert found == a_wheel().metadata
    assert asked == []


def test_of_a_large_wheel_only_what_is_needed_is_fetched() -> None:
    asked: list[tuple[int, int]] = []
    content = zipped((METADATA, GOOD), ("pkg/data.bin", bytes(1 << 20)))

    found = read_metadata(cast("io.BytesIO", remote(content, 1 << 10, asked)), FILENAME)

    assert found == GOOD
    assert asked == [(0, Remote.READ_AHEAD_BYTES - 1)]


@settings(deadline=None, max_examples=60)
@given(
    st.integers(0, 100),
    st.lists(
        st.tuples(st.sampled_from([io.SEEK_SET, io.SEEK_CUR, io.SEEK_END]), st.integers(-120, 120), st.integers(0, 50))
    ),
)
def test_a_remote_file_reads_like_one_in_memory(tail: int, steps: list[tuple[int, int, int]]) -> None:
    content = bytes(range(100))
    there = remote(content, tail, [])
    place = 0

    for whence, offset, count in steps:
        place = max(0, {io.SEEK_SET: 0, io.SEEK_CUR: place, io.SEEK_END: 100}[whence] + offset)

        assert there.seek(offset, whence) == there.tell() == place
        piece = there.read(count)

        assert piece is not None
        assert content[place : place + count].startswith(piece)
        assert piece or count == 0 or place >= 100
        place += len(piece)

    assert there.readable()
    assert there.seekable()


@pytest.mark.parametrize("spoil", [lambda _: b"", lambda data: data[:-1], lambda data: data[::-1], zlib.compress])
def test_an_upstream_that_gives_other_bytes_than_asked_for_gives_no_metadata(spoil: Callable[[bytes], bytes]) -> None:
    content = zipped((METADATA, GOOD + b"x" * 4000), ("pkg/data.bin", bytes(1 << 16)))

    def fetch(first: int, last: int) -> bytes:
        return spoil(content[first : min(last + 1, 3000)])

    there = Remote(len(content), content[-1000:], fetch)

    assert read_metadata(cast("io.BytesIO", there), FILENAME) is None
