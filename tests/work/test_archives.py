"""What may be uploaded: archives in which every reader finds the same, and not too much."""

import bz2
import gzip
import io
import lzma
import stat
import struct
import tarfile
import tracemalloc
import zipfile
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from stilton.domain.errors import BadArchive
from stilton.domain.metadata import MAX_METADATA_BYTES
from stilton.publish import tars
from stilton.publish.archives import inspect, inspect_docs
from stilton.publish.zips import Distrust
from tests.support.builders import a_wheel, an_sdist, metadata_of

WHEEL = a_wheel()
NAME = WHEEL.filename
INFO = "pkg-1.0.dist-info"
SDIST = "pkg-1.0.tar.gz"
PKG_INFO = metadata_of("pkg", "1.0")
END, CENTRAL, LOCAL = b"PK\x05\x06", b"PK\x01\x02", b"PK\x03\x04"
Files = dict[str, bytes]


def looked_into(tmp_path: Path, content: bytes, filename: str) -> bytes | None:
    path = tmp_path / "upload"
    path.write_bytes(content)
    return inspect(path, filename).metadata


def refusal(tmp_path: Path, content: bytes, filename: str) -> str:
    path = tmp_path / "upload"
    path.write_bytes(content)
    with pytest.raises(BadArchive) as caught:
        inspect(path, filename)
    assert caught.value.filename == filename
    assert path.read_bytes() == content
    assert list(tmp_path.iterdir()) == [path]
    return caught.value.why


# --- building zips


def wheel_files(**changed: bytes | None) -> Files:
    files: dict[str, bytes | None] = {"METADATA": WHEEL.metadata, "WHEEL": b"Wheel-Version: 1.0\n", **changed}
    return {f"{INFO}/{name}": content for name, content in files.items() if content is not None}


def recorded(files: Files) -> Files:
    record = f"{INFO}/RECORD"
    return files | {record: "".join(f"{name},,\n" for name in [*files, record]).encode()}


def zipped(files: Files | Iterable[tuple[str | zipfile.ZipInfo, bytes]], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, content in files.items() if isinstance(files, dict) else files:
            archive.writestr(name, content)
    return out.getvalue()


def with_member(name: str | zipfile.ZipInfo, content: bytes = b"x") -> bytes:
    files = wheel_files()
    text = name if isinstance(name, str) else name.filename
    record = recorded({**files, text: b""})[f"{INFO}/RECORD"]
    return zipped([*files.items(), (name, content), (f"{INFO}/RECORD", record)])


def a_zip_info(name: str, mode: int) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.create_system = 3
    info.external_attr = mode << 16
    return info


def patched(content: bytes, mark: bytes, offset: int, layout: str, *values: int | bytes, nth: int = 0) -> bytes:
    """`content` with other values `offset` bytes after the `nth` time `mark` is there."""
    at = -1
    for _ in range(nth + 1):
        at = content.index(mark, at + 1)
    changed = bytearray(content)
    struct.pack_into(layout, changed, at + offset, *values)
    return bytes(changed)


def grown(content: bytes, where: int, extra: bytes) -> bytes:
    """`extra` put in at `where`, before the directory, whose place the end record is told."""
    at = content.rindex(END)
    offset = struct.unpack_from("<L", content, at + 16)[0]
    grown = bytearray(content[:where] + extra + content[where:])
    struct.pack_into("<L", grown, at + len(extra) + 16, offset + len(extra))
    return bytes(grown)


def with_zip64_end(content: bytes, **lies: int) -> bytes:
    at = content.rindex(END)
    _, _, _, here, count, size, offset, _ = struct.unpack("<4s4H2LH", content[at:])
    told = {"size": 44, "count": count, "directory": size, "offset": offset, "at": at, "disks": 1} | lies
    record = struct.pack(
        "<4sQ2H2L4Q", b"PK\x06\x06", told["size"], 45, 45, 0, 0, here, told["count"], told["directory"], told["offset"]
    )
    locator = struct.pack("<4sLQL", b"PK\x06\x07", 0, told["at"], told["disks"])
    end = struct.pack("<4s4H2LH", END, 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0)
    return content[:at] + record + locator + end


class Unseekable(io.BytesIO):
    """Makes `zipfile` write data descriptors."""

    def seekable(self) -> bool:
        return False

    def seek(self, *_: int) -> int:
        raise io.UnsupportedOperation

    def tell(self) -> int:
        raise io.UnsupportedOperation


def streamed(files: Files, *, zip64: bool = False) -> bytes:
    out = Unseekable()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            with archive.open(zipfile.ZipInfo(name), "w", force_zip64=zip64) as member:
                member.write(content)
    return out.getvalue()


def one_member(
    *,
    name: bytes = b"a",
    content: bytes = b"x",
    local_extra: bytes = b"",
    extra: bytes = b"",
    local: tuple[int, int] | None = None,
    central: tuple[int, int, int] | None = None,
    flags: int = 0,
    descriptor: bytes = b"",
) -> bytes:
    """A zip of one stored member, with whatever its headers are to say. `local`: packed, size; `central`: and offset."""
    crc, size = zlib.crc32(content), len(content)
    packed_l, size_l = local or (size, size)
    packed_c, size_c, offset = central or (size, size, 0)
    head = struct.pack("<4s5H3L2H", LOCAL, 20, flags, 0, 0, 0, crc, packed_l, size_l, len(name), len(local_extra))
    body = head + name + local_extra + content + descriptor
    entry = struct.pack(
        "<4s6H3L5H2L",
        CENTRAL, 20, 20, flags, 0, 0, 0, crc, packed_c, size_c, len(name), len(extra), 0, 0, 0, 0, offset,
    )  # fmt: skip
    directory = entry + name + extra
    return body + directory + struct.pack("<4s4H2LH", END, 0, 0, 1, 1, len(directory), len(body), 0)


def wide(*values: int) -> bytes:
    return struct.pack(f"<2H{len(values)}Q", 1, 8 * len(values), *values)


MAX = 0xFFFFFFFF
NESTED = zipped({"inner.txt": b"inner"}, zipfile.ZIP_STORED)
ZIP_BOMB = zipped(recorded(wheel_files() | {f"zeros{at}": bytes(17 << 20) for at in range(4)}))


def lying_metadata(size: int = 2 << 20) -> bytes:
    """METADATA of `size` bytes that claims to be small."""
    content = zipped(recorded(wheel_files(METADATA=bytes(size))))
    return patched(patched(content, LOCAL, 22, "<L", 4000), CENTRAL, 24, "<L", 4000)


def lying_stored_metadata() -> bytes:
    content = zipped(recorded(wheel_files()), zipfile.ZIP_STORED)
    return content.replace(b"Metadata-Version: 2.1", b"Metadata-Version: 2.2")


def broken_metadata() -> bytes:
    content = zipped(recorded(wheel_files()))
    return patched(content, b"METADATA", 8, "<B", 0xFF)


HOSTILE_WHEELS: list[tuple[str, Callable[[], bytes], str]] = [
    ("empty", lambda: b"", "is empty"),
    ("text", lambda: b"<html>log in</html>" * 9, "is not a zip file"),
    ("cut off", lambda: WHEEL.content[:-30], "cut off"),
    ("nothing in it", lambda: zipped({}), "no .dist-info"),
    # the ends
    ("trailing data", lambda: WHEEL.content + b"x", "follows the end"),
    ("much trailing data", lambda: WHEEL.content + bytes(70_000), "followed by other data"),
    ("an end cut in half", lambda: WHEEL.content + END + b"xx", "follows the end"),
    ("a comment that is too short", lambda: patched(WHEEL.content, END, 20, "<H", 3), "follows the end"),
    ("two end records", lambda: WHEEL.content + WHEEL.content[WHEEL.content.rindex(END) :], "two end records"),
    (
        "an end record in the comment",
        lambda: patched(WHEEL.content, END, 20, "<H", 22) + WHEEL.content[-22:],
        "two end records",
    ),
    ("a second wheel behind", lambda: WHEEL.content + a_wheel("other").content, "data in front"),
    ("prefix", lambda: b"#!/bin/sh\n" + WHEEL.content, "data in front"),
    ("prefix with right offsets", lambda: zip_with_front(b"#!/bin/sh\n"), "data in front of the first"),
    ("split", lambda: patched(WHEEL.content, END, 4, "<H", 1), "split"),
    ("count here", lambda: patched(WHEEL.content, END, 8, "<H", 1), "split"),
    ("too few", lambda: patched(WHEEL.content, END, 8, "<2H", 2, 2), "more in it"),
    ("too many", lambda: patched(WHEEL.content, END, 8, "<2H", 9, 9), "fewer members"),
    ("far too many", lambda: with_zip64_end(WHEEL.content, count=300_000), "split"),
    ("a directory of gigabytes", lambda: patched(WHEEL.content, END, 12, "<L", 1 << 31), "more than 200000 members"),
    ("a directory larger than the file", lambda: patched(WHEEL.content, END, 12, "<L", 60 << 20), "does not fit"),
    # zip64
    ("zip64 end: size", lambda: with_zip64_end(WHEEL.content, size=50), "zip64 end record contradicts"),
    ("zip64 end: place", lambda: with_zip64_end(WHEEL.content, at=0), "locator"),
    ("zip64 end: disks", lambda: with_zip64_end(WHEEL.content, disks=2), "locator"),
    ("zip64 end: offset", lambda: with_zip64_end(WHEEL.content, offset=3), "locator"),
    (
        "zip64 end: other count",
        lambda: patched(with_zip64_end(WHEEL.content), END, 8, "<2H", 1, 1),
        "zip64 end record contradicts",
    ),
    ("zip64 end: none", lambda: with_zip64_end(WHEEL.content).replace(b"PK\x06\x06", b"PK\x06\x05"), "zip64 end record is missing"),
    ("zip64 end: before the file", lambda: struct.pack("<4sLQL", b"PK\x06\x07", 0, 0, 1) + zipped({}), "is missing"),
    ("zip64 without field", lambda: one_member(central=(MAX, MAX, 0)), "zip64 field of a"),
    ("zip64 too short", lambda: one_member(central=(MAX, MAX, 0), extra=wide(1)), "zip64 field of a"),
    ("zip64 other size", lambda: one_member(extra=wide(1, 2)), "zip64 field of a"),
    ("zip64 no offset", lambda: one_member(central=(1, 1, MAX), extra=wide(1, 1)), "zip64 field of a"),
    ("zip64 odd", lambda: one_member(extra=wide(1, 1, 0, 0)), "zip64 field of a"),
    ("zip64 twice", lambda: one_member(extra=wide() + wide(1, 1)), "two zip64 fields"),
    ("zip64 local", lambda: one_member(local=(MAX, MAX), local_extra=wide(1, 9)), "local header of a has another size"),
    ("zip64 far away", lambda: one_member(central=(1, 1, MAX), extra=wide(1 << 63)), "data in front"),
    ("member behind the directory", lambda: patched(WHEEL.content, CENTRAL, 42, "<L", 1 << 31, nth=1), "is not in front of the zip directory"),
    ("extra cut off", lambda: one_member(extra=b"\x01\x00\x10\x00"), "extra fields of a"),
    # members
    ("directory cut off", lambda: patched(WHEEL.content, CENTRAL, 32, "<H", 9999), "directory is cut off"),
    ("member larger than the file", lambda: patched(patched(WHEEL.content, CENTRAL, 20, "<2L", 9999, 9999), LOCAL, 18, "<2L", 9999, 9999), "overlaps"),
    ("no local header", lambda: patched(WHEEL.content, LOCAL, 0, "<4s", b"PK\x03\x05"), "no local header"),
    ("local name", lambda: WHEEL.content.replace(b"pkg/__init__.py", b"pkg/__evil__.py", 1), "has another name"),
    ("local name size", lambda: patched(WHEEL.content, LOCAL, 26, "<H", 3), "has another name"),
    ("local method", lambda: patched(WHEEL.content, LOCAL, 8, "<H", 8), "another compression"),
    ("local descriptor flag", lambda: patched(WHEEL.content, LOCAL, 6, "<H", 8), "another compression"),
    ("local size", lambda: patched(WHEEL.content, LOCAL, 22, "<L", 5), "another size"),
    ("local checksum", lambda: patched(WHEEL.content, LOCAL, 14, "<L", 5), "another size or checksum"),
    ("unicode path", lambda: one_member(local_extra=struct.pack("<2HBL", 0x7075, 6, 1, 0) + b"b"), "another name in its extra"),
    ("late size", lambda: one_member(flags=8, local=(0, 7), descriptor=struct.pack("<3L", 0, 1, 1)), "another size"),
    ("descriptor", lambda: one_member(flags=8, descriptor=struct.pack("<3L", 0, 1, 1)), "data descriptor"),
    ("no descriptor", lambda: one_member(flags=8), "data descriptor"),
    ("long descriptor", lambda: one_member(flags=8, descriptor=bytes(99)), "data descriptor"),
    ("a gap", lambda: one_member(descriptor=b"hidden"), "belong to no member"),
    ("overlap", lambda: patched(patched(WHEEL.content, CENTRAL, 20, "<2L", 99, 99), LOCAL, 18, "<2L", 99, 99), "overlaps"),
    ("the same bytes twice", lambda: patched(WHEEL.content, CENTRAL, 42, "<L", 0, nth=1), "overlaps"),
    ("duplicate", lambda: doubled("pkg/a.py", "pkg/a.py"), "two members of the same name"),
    ("file and folder", lambda: doubled("pkg/a", "pkg/a/"), "two members of the same name"),
    ("encrypted", lambda: patched(WHEEL.content, CENTRAL, 8, "<H", 1), "encrypted"),
    ("encrypted locally", lambda: patched(WHEEL.content, LOCAL, 6, "<H", 1), "another compression"),
    ("lzma", lambda: zipped(recorded(wheel_files()), zipfile.ZIP_LZMA), "method other than"),
    ("of a zip to come", lambda: patched(WHEEL.content, CENTRAL, 6, "<H", 64), "method other than"),
    ("patch", lambda: patched(WHEEL.content, CENTRAL, 8, "<H", 0x20), "method other than"),
    ("symlink", lambda: with_member(a_zip_info("pkg/link", stat.S_IFLNK | 0o777), b"/etc/passwd"), "symlink"),
    ("fifo", lambda: with_member(a_zip_info("pkg/pipe", stat.S_IFIFO | 0o777), b""), "symlink or device"),
    ("on another disk", lambda: patched(WHEEL.content, CENTRAL, 34, "<H", 1), "contradict"),
    ("stored, but smaller", lambda: patched(WHEEL.content, CENTRAL, 24, "<L", 1), "contradict"),
    ("folder with content", lambda: with_member("pkg/folder/", b"x"), "contradict"),
    ("absolute", lambda: with_member("/etc/passwd"), "absolute"),
    ("drive", lambda: with_member("C:/windows"), "absolute"),
    ("dots", lambda: with_member("pkg/../../evil"), "'..' segment"),
    ("dot", lambda: with_member("./pkg/x"), "'.' or"),
    ("empty segment", lambda: with_member("pkg//x"), "empty"),
    ("backslash", lambda: with_member("pkg\\x"), "backslash"),
    ("newline", lambda: with_member("pkg/x\ny"), "control character"),
    ("NUL", lambda: one_member(name=b"a\0b"), "control character"),
    ("not UTF-8", lambda: one_member(name=b"\xff\xfe"), "not UTF-8"),
    ("long name", lambda: one_member(name=b"a" * 2000), "longer than 1024 bytes"),
    ("bomb", lambda: ZIP_BOMB, "50 times"),
    # what makes a wheel
    ("no dist-info", lambda: zipped({"pkg/__init__.py": b""}), "no .dist-info"),
    ("nested dist-info", lambda: zipped({f"pkg/{name}": content for name, content in recorded(wheel_files()).items()}), "no .dist-info"),
    ("two dist-infos", lambda: with_member("other-1.0.dist-info/METADATA"), "more than one .dist-info"),
    ("of another version", lambda: a_wheel(version="1.1").content, "pkg-1.1.dist-info is not that of pkg 1.0"),
    ("of another project", lambda: a_wheel("other").content, "other-1.0.dist-info is not that of pkg 1.0"),
    ("odd dist-info", lambda: WHEEL.content.replace(b"pkg-1.0.dist", b"pkg-!.0.dist"), "pkg-!.0.dist-info"),
    ("nameless dist-info", lambda: WHEEL.content.replace(b"pkg-1.0.dist", b"!pg-1.0.dist"), "!pg-1.0.dist-info"),
    ("no METADATA", lambda: zipped(recorded(wheel_files(METADATA=None))), "no pkg-1.0.dist-info/METADATA"),
    ("no WHEEL", lambda: zipped(recorded(wheel_files(WHEEL=None))), "no pkg-1.0.dist-info/WHEEL"),
    ("no RECORD", lambda: zipped(wheel_files()), "no pkg-1.0.dist-info/RECORD"),
    ("not recorded", lambda: zipped(recorded(wheel_files()) | {"pkg/evil.py": b""}), "RECORD does not list pkg/evil.py"),
    ("not there", lambda: zipped(wheel_files(RECORD=recorded(wheel_files())[f"{INFO}/RECORD"] + b"gone.py,,\n")), "'gone.py', which is not"),
    ("RECORD is no CSV", lambda: zipped(wheel_files(RECORD=b'"x"y,,')), "RECORD is not a CSV"),
    ("RECORD is no UTF-8", lambda: zipped(wheel_files(RECORD=b"\xff,,")), "RECORD is not UTF-8"),
    ("entry points", lambda: zipped(recorded(wheel_files() | {f"{INFO}/entry_points.txt": b"no section"})), "entry_points.txt cannot be read"),
    ("large METADATA", lambda: zipped(recorded(wheel_files(METADATA=bytes(MAX_METADATA_BYTES + 1)))), "larger than 16 MiB"),
    ("METADATA larger than it says", lying_metadata, "METADATA is not what"),
    ("METADATA much larger than it says", lambda: lying_metadata(64 << 20), "METADATA is packed to more"),
    ("METADATA with another checksum", lying_stored_metadata, "METADATA is not what"),
    ("METADATA that cannot be unpacked", broken_metadata, "METADATA cannot be unpacked"),
]  # fmt: skip


def doubled(one: str, other: str) -> bytes:
    """A zip with two members, the second renamed behind the back of `zipfile`."""
    other_content = b"" if other.endswith("/") else b"2"
    plain = "?" * len(other)
    content = zipped([(one, b"1"), (plain, other_content)], zipfile.ZIP_STORED)
    return content.replace(plain.encode(), other.encode())


def zip_with_front(front: bytes, files: Files | None = None) -> bytes:
    """A zip behind something else, with offsets from the start of the file."""
    out = io.BytesIO(front)
    with zipfile.ZipFile(out, "a") as archive:
        for name, content in (files or recorded(wheel_files())).items():
            archive.writestr(name, content)
    return out.getvalue()


@pytest.mark.parametrize(
    ("make", "why"), [case[1:] for case in HOSTILE_WHEELS], ids=[case[0] for case in HOSTILE_WHEELS]
)
def test_a_wheel_that_could_harm_or_be_read_in_two_ways_is_refused(
    tmp_path: Path, make: Callable[[], bytes], why: str
) -> None:
    assert why in refusal(tmp_path, make(), NAME)


@pytest.mark.parametrize("filename", ["pkg.whl", "pkg-1.0.whl", "pkg-x-py3-none-any.whl", "pkg-1.0-py3-none-any.WHL"])
def test_a_wheel_needs_the_name_of_a_wheel(tmp_path: Path, filename: str) -> None:
    assert "not that of a wheel" in refusal(tmp_path, WHEEL.content, filename)


def test_more_members_than_the_bound_are_not_even_read(tmp_path: Path) -> None:
    content = with_zip64_end(WHEEL.content, count=300_000)
    content = patched(content, b"PK\x06\x06", 24, "<Q", 300_000)

    assert "more than 200000 members" in refusal(tmp_path, content, NAME)


@pytest.mark.parametrize("make", [lying_metadata, lambda: ZIP_BOMB], ids=["lie", "bomb"])
def test_a_bomb_costs_little_memory(tmp_path: Path, make: Callable[[], bytes]) -> None:
    path = tmp_path / "upload"
    path.write_bytes(make())

    tracemalloc.start()
    with pytest.raises(BadArchive):
        inspect(path, NAME)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert peak < 1 << 20


def with_folders() -> bytes:
    files = recorded(wheel_files() | {"pkg/é.py": b""})
    return zipped([("pkg/", b""), (f"{INFO}/", b""), *files.items()])


def zip64_members() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, content in recorded(wheel_files()).items():
            with archive.open(name, "w", force_zip64=True) as member:
                member.write(content)
    return out.getvalue()


def signed() -> bytes:
    return zipped(recorded(wheel_files()) | {f"{INFO}/RECORD.jws": b"{}", f"{INFO}/RECORD.p7s": b"x"})


def with_comment() -> bytes:
    return patched(WHEEL.content, END, 20, "<H", 5) + b"hello"


def with_large_extra() -> bytes:
    """As `zipalign` leaves it: padding in the local header only."""
    head_end = 30 + len("pkg/__init__.py")
    content = patched(WHEEL.content, LOCAL, 28, "<H", 200)
    content = grown(content, head_end, struct.pack("<2H", 0xD935, 196) + bytes(196))
    for nth in range(1, 4):
        content = patched(
            content, CENTRAL, 42, "<L", struct.unpack_from("<L", content, place(content, nth) + 42)[0] + 200, nth=nth
        )
    return content


def place(content: bytes, nth: int) -> int:
    at = -1
    for _ in range(nth + 1):
        at = content.index(CENTRAL, at + 1)
    return at


def vendoring() -> bytes:
    return zipped(
        recorded(wheel_files() | {"pkg/_vendor/other-1.0.dist-info/METADATA": b"x", "pkg/data.zip": NESTED}), 0
    )


ENTRY_POINTS = b"[console_scripts]\na = pkg:main\nA = pkg:main\na = pkg:main\n\n[x:y]\n"
GOOD_WHEELS: list[tuple[str, Callable[[], bytes]]] = [
    ("stored", lambda: WHEEL.content),
    ("deflated", lambda: zipped(recorded(wheel_files()))),
    ("large", lambda: a_wheel(payload=bytes(range(256)) * 4000).content),
    ("small and squeezed hard", lambda: zipped(recorded(wheel_files() | {"zeros": bytes(8 << 20)}))),
    ("data descriptors", lambda: streamed(recorded(wheel_files()))),
    ("wide data descriptors", lambda: streamed(recorded(wheel_files()), zip64=True)),
    ("folders and UTF-8", with_folders),
    ("zip64 members", zip64_members),
    ("zip64 end", lambda: with_zip64_end(WHEEL.content)),
    ("signatures", signed),
    ("comment", with_comment),
    ("padding", with_large_extra),
    ("vendored wheels and zips", vendoring),
    ("entry points", lambda: zipped(recorded(wheel_files() | {f"{INFO}/entry_points.txt": ENTRY_POINTS}))),
]


@pytest.mark.parametrize("make", [case[1] for case in GOOD_WHEELS], ids=[case[0] for case in GOOD_WHEELS])
def test_a_wheel_gives_its_metadata_byte_for_byte(tmp_path: Path, make: Callable[[], bytes]) -> None:
    assert looked_into(tmp_path, make(), NAME) == WHEEL.metadata


def test_names_and_versions_of_a_wheel_are_compared_normalised(tmp_path: Path) -> None:
    wheel = a_wheel("My.Pkg", "1.0.0")

    assert looked_into(tmp_path, wheel.content, "my_pkg-1.0-py3-none-any.whl") == wheel.metadata


@pytest.mark.parametrize(
    ("central", "extra"),
    [
        ((1, 1, 0), b""),
        ((1, 1, 0), wide()),
        ((MAX, MAX, 0), wide(1, 1)),
        ((MAX, MAX, MAX), wide(1, 1, 0)),
        ((1, 1, MAX), wide(0)),
        ((MAX, MAX, 0), wide(1, 1, 0)),
        ((1, 1, 0), wide(1, 1)),
        ((MAX, MAX, 0), struct.pack("<2H3QL", 1, 28, 1, 1, 0, 0)),
        ((1, 1, 0), struct.pack("<2HBL", 0x7075, 6, 1, 0) + b"a"),
        ((1, 1, 0), b"\0\0\0"),
    ],
)
def test_the_zip64_fields_that_tools_write_are_understood(
    tmp_path: Path, central: tuple[int, int, int], extra: bytes
) -> None:
    assert looked_into(tmp_path, one_member(central=central, extra=extra), "pkg-1.0-py3.11.egg") is None


@pytest.mark.parametrize("layout", ["<L2L", "<L2Q"])
@pytest.mark.parametrize("mark", [b"", b"PK\x07\x08"])
@pytest.mark.parametrize("local", [(0, 0), (1, 1)])
def test_every_form_of_data_descriptor_is_understood(
    tmp_path: Path, layout: str, mark: bytes, local: tuple[int, int]
) -> None:
    descriptor = mark + struct.pack(layout, zlib.crc32(b"x"), 1, 1)

    assert looked_into(tmp_path, one_member(flags=8, local=local, descriptor=descriptor), "pkg-1.0.egg") is None


# --- eggs, zip sdists, documentation


@pytest.mark.parametrize("front", [b"", b"#!/bin/sh\nexec python\n"])
def test_an_egg_may_begin_with_a_script(tmp_path: Path, front: bytes) -> None:
    files = {"EGG-INFO/PKG-INFO": PKG_INFO}

    assert looked_into(tmp_path, front + zipped(files), "pkg-1.0-py3.11.egg") is None
    assert looked_into(tmp_path, zip_with_front(front, files), "pkg-1.0-py3.11.egg") is None


@pytest.mark.parametrize(
    ("front", "why"),
    [(NESTED, "another zip in front"), (b"#" * 70_000, "data in front")],
)
def test_what_is_in_front_of_an_egg_is_short_and_no_zip(tmp_path: Path, front: bytes, why: str) -> None:
    assert why in refusal(tmp_path, front + zipped({"a": b"x"}), "pkg-1.0.egg")


def test_a_zip_sdist_gives_its_pkg_info(tmp_path: Path) -> None:
    content = zipped({"pkg-1.0/": b"", "pkg-1.0/PKG-INFO": PKG_INFO, "pkg-1.0/pkg.egg-info/PKG-INFO": b"other"})

    assert looked_into(tmp_path, content, "pkg-1.0.zip") == PKG_INFO


@pytest.mark.parametrize(
    ("files", "why"),
    [
        ({}, "0 top folders"),
        ({"pkg-1.0/setup.py": b""}, "no PKG-INFO"),
        ({"PKG-INFO": b""}, "no PKG-INFO"),
        ({"pkg-1.0/PKG-INFO": b"", "other/PKG-INFO": b""}, "2 top folders"),
        ({"other-1.0/PKG-INFO": PKG_INFO}, "another project"),
    ],
)
def test_a_zip_sdist_has_one_folder_with_pkg_info(tmp_path: Path, files: Files, why: str) -> None:
    assert why in refusal(tmp_path, zipped(files), "pkg-1.0.zip")


def test_a_zip_sdist_has_nothing_in_front(tmp_path: Path) -> None:
    assert "in front" in refusal(tmp_path, b"#" + zipped({"pkg-1.0/PKG-INFO": PKG_INFO}), "pkg-1.0.zip")


def test_a_documentation_zip_is_taken(tmp_path: Path) -> None:
    path = tmp_path / "docs.zip"
    path.write_bytes(zipped({"index.html": b"<html>", "_static/a.css": b""}))

    inspect_docs(path, "pkg-1.0.doc.zip")


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "is empty"),
        (b"<html>", "is not a zip file"),
        (zipped({}), "nothing in it"),
        (zipped({"../index.html": b""}), "'..' segment"),
        (zipped([(a_zip_info("a", stat.S_IFLNK), b"/etc")]), "symlink"),
        (ZIP_BOMB, "50 times"),
    ],
    ids=["empty", "no zip", "no members", "dots", "symlink", "bomb"],
)
def test_a_documentation_zip_is_checked_like_any_other(tmp_path: Path, content: bytes, why: str) -> None:
    path = tmp_path / "docs.zip"
    path.write_bytes(content)

    with pytest.raises(BadArchive) as caught:
        inspect_docs(path, "pkg-1.0.doc.zip")

    assert why in caught.value.why
    assert str(caught.value) == f"pkg-1.0.doc.zip: {caught.value.why}"


@pytest.mark.parametrize(
    "filename", ["pkg-1.0.win32.exe", "pkg-1.0.msi", "pkg-1.0.rpm", "pkg-1.0.bz2", "pkg-1.0.tar.Z"]
)
def test_other_kinds_are_taken_as_they_are_unless_empty(tmp_path: Path, filename: str) -> None:
    assert looked_into(tmp_path, b"MZ", filename) is None
    assert refusal(tmp_path, b"", filename) == "is empty"


# --- tars


def tarred(
    *members: tuple[tarfile.TarInfo | str, bytes], form: int = tarfile.PAX_FORMAT, pkg_info: bool = True
) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as archive:
        for name, content in (*((("pkg-1.0/PKG-INFO", PKG_INFO),) if pkg_info else ()), *members):
            info = tarfile.TarInfo(name) if isinstance(name, str) else name
            info.size = info.size or len(content)
            archive.addfile(info, io.BytesIO(content) if content else None)
    return out.getvalue()


def special(name: str, kind: bytes, target: str = "", size: int = 0) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.size = kind, target, size
    return info, b""


def symlink(name: str, target: str) -> tuple[tarfile.TarInfo, bytes]:
    return special(name, tarfile.SYMTYPE, target)


def block(name: str, kind: bytes, content: bytes = b"", size: int | None = None) -> bytes:
    """One header with its padded content, whatever its kind; `size`: what it claims."""
    info = tarfile.TarInfo(name)
    info.type, info.size = kind, len(content) if size is None else size
    return info.tobuf(tarfile.GNU_FORMAT) + content + bytes(-len(content) % 512)


def pax(**records: str) -> bytes:
    lines = b""
    for key, value in records.items():
        line = f" {key.replace('__', '.')}={value}\n".encode()
        size = len(line) + 1
        while len(f"{size}".encode() + line) != size:
            size += 1
        lines += f"{size}".encode() + line
    return lines


PLAIN = tarred()
EXTENDED = tarfile.XHDTYPE
HOSTILE_TARS: list[tuple[str, Callable[[], bytes], str]] = [
    ("text", lambda: b"<html>" * 200, "not a tar file"),
    ("one line", lambda: b"<html>", "cut off"),
    ("cut in a header", lambda: PLAIN[:1224], "cut off"),
    ("cut in a member", lambda: PLAIN[:700], "cut off"),
    ("cut in another member", lambda: tarred(("pkg-1.0/big", bytes(9000)))[:4000], "cut off"),
    ("broken header", lambda: block("pkg-1.0/a", b"0") + b"x" * 512, "broken tar header"),
    ("a tar behind", lambda: PLAIN + tarred(), "follows its end"),
    ("no PKG-INFO", lambda: tarred(("pkg-1.0/setup.py", b"x"), pkg_info=False), "no PKG-INFO"),
    ("no members", lambda: tarred(pkg_info=False), "no PKG-INFO"),
    ("deep PKG-INFO", lambda: tarred(("pkg-1.0/a/PKG-INFO", b"x"), pkg_info=False), "no PKG-INFO"),
    ("PKG-INFO twice", lambda: tarred(("pkg-1.0/PKG-INFO", b"x")), "two PKG-INFO"),
    ("PKG-INFO in two spellings", lambda: tarred(("./pkg-1.0//PKG-INFO", b"x")), "two PKG-INFO"),
    ("PKG-INFO in two folders", lambda: tarred(("other-1.0/PKG-INFO", b"x")), "two PKG-INFO"),
    ("PKG-INFO is a link", lambda: tarred(symlink("pkg-1.0/PKG-INFO", "a"), pkg_info=False), "not a plain file"),
    ("large PKG-INFO", lambda: tarred(("pkg-1.0/PKG-INFO", bytes(MAX_METADATA_BYTES + 1)), pkg_info=False), "larger than 16 MiB"),
    ("another project", lambda: tarred(("other-1.0/PKG-INFO", b"x"), pkg_info=False), "another project"),
    ("dots", lambda: tarred(("pkg-1.0/../../evil", b"x")), "'..' segment"),
    ("dots for Windows", lambda: tarred(("pkg-1.0\\..\\..\\evil", b"x")), "'..' segment"),
    ("absolute", lambda: tarred(("/etc/passwd", b"x")), "absolute"),
    ("drive", lambda: tarred(("C:\\windows", b"x")), "absolute"),
    ("deep", lambda: tarred(("a/" * 200, b"")), "too long"),
    ("long", lambda: tarred(("a" * 3000, b"")), "too long"),
    ("symlink up", lambda: tarred(symlink("pkg-1.0/out", "../evil")), "symlink pkg-1.0/out leads out"),
    ("symlink far up", lambda: tarred(symlink("pkg-1.0/a/out", "../../..")), "leads out"),
    ("symlink down and up", lambda: tarred(symlink("pkg-1.0/a/b", "c/../../../..")), "leads out"),
    ("symlink to the root", lambda: tarred(symlink("pkg-1.0/out", "/etc")), "leads out"),
    ("top symlink", lambda: tarred(symlink("out", "../evil")), "leads out"),
    ("through a symlink", lambda: tarred(symlink("pkg-1.0/a", "b"), ("pkg-1.0/a/evil", b"x")), "through a symlink"),
    ("many symlinks", lambda: tarred(*[symlink(f"p/{at}", "a") for at in range(10_001)]), "more than 10000 symlinks"),
    ("hard link out", lambda: tarred(special("pkg-1.0/a", tarfile.LNKTYPE, "../../etc/passwd")), "'..' segment"),
    ("hard link to the root", lambda: tarred(special("pkg-1.0/a", tarfile.LNKTYPE, "/etc/passwd")), "absolute"),
    ("character device", lambda: tarred(special("pkg-1.0/a", tarfile.CHRTYPE)), "device"),
    ("block device", lambda: tarred(special("pkg-1.0/a", tarfile.BLKTYPE)), "device"),
    ("pipe", lambda: tarred(special("pkg-1.0/a", tarfile.FIFOTYPE)), "pipe"),
    ("sparse", lambda: block("pkg-1.0/a", tarfile.GNUTYPE_SPARSE), "sparse"),
    ("pax sparse", lambda: block("x", EXTENDED, pax(GNU__sparse__major="1")), "sparse"),
    ("unknown kind", lambda: block("pkg-1.0/a", b"V"), "another kind"),
    ("folder with content", lambda: block("pkg-1.0", tarfile.DIRTYPE, b"x"), "size that it cannot have"),
    ("negative size", lambda: block("pkg-1.0/a", b"0", size=-512), "size that it cannot have"),
    ("endless size", lambda: block("pkg-1.0/a", b"0", size=1 << 60), "cut off"),
    ("long name of gigabytes", lambda: block("x", b"L", size=1 << 31), "header of more than 1025 bytes"),
    ("pax of gigabytes", lambda: block("x", EXTENDED, size=1 << 31), "header of more than 1048576 bytes"),
    ("negative pax", lambda: block("x", EXTENDED, size=-512), "header of more than"),
    ("two sizes", lambda: block("x", EXTENDED, pax(size="9")) + block("pkg-1.0/a", b"0"), "two sizes"),
    ("two names", lambda: block("x", EXTENDED, pax(path="a")) + block("x", b"L", b"b\0"), "twice"),
    ("two names in one", lambda: block("x", EXTENDED, pax(path="a") + pax(path="b")), "twice"),
    ("a name for all", lambda: block("x", tarfile.XGLTYPE, pax(path="a")), "for all its members"),
    ("pax without numbers", lambda: block("x", EXTENDED, b"xx path=a\n"), "broken pax"),
    ("pax without space", lambda: block("x", EXTENDED, b"1" * 99), "broken pax"),
    ("pax without progress", lambda: block("x", EXTENDED, b"0 path=a\n"), "broken pax"),
    ("pax beyond its end", lambda: block("x", EXTENDED, b"99 path=a\n"), "broken pax"),
    ("pax without newline", lambda: block("x", EXTENDED, b"9 path=a!"), "broken pax"),
    ("pax dots", lambda: block("x", EXTENDED, pax(path="../evil")) + block("a", b"0"), "'..' segment"),
    ("long name with dots", lambda: block("x", b"L", b"../evil\0") + block("a", b"0"), "'..' segment"),
]  # fmt: skip


@pytest.mark.parametrize(("make", "why"), [case[1:] for case in HOSTILE_TARS], ids=[case[0] for case in HOSTILE_TARS])
@pytest.mark.parametrize("suffix", [".tar", ".tar.gz"])
def test_a_tar_that_could_harm_or_be_read_in_two_ways_is_refused(
    tmp_path: Path, make: Callable[[], bytes], why: str, suffix: str
) -> None:
    pack = gzip.compress if suffix == ".tar.gz" else bytes

    assert why in refusal(tmp_path, pack(make()), f"pkg-1.0{suffix}")


PACKED: list[tuple[str, Callable[[bytes], bytes]]] = [
    (".tar.gz", gzip.compress),
    (".tgz", gzip.compress),
    (".tar.bz2", bz2.compress),
    (".tar.xz", lzma.compress),
]


@pytest.mark.parametrize(("suffix", "pack"), PACKED)
@pytest.mark.parametrize("form", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT])
def test_an_sdist_gives_its_pkg_info_byte_for_byte(
    tmp_path: Path, suffix: str, pack: Callable[[bytes], bytes], form: int
) -> None:
    noise = b"".join(zlib.crc32(bytes([at % 256, at >> 8])).to_bytes(4, "big") for at in range(65536)) * 4
    content = tarred(
        special("pkg-1.0", tarfile.DIRTYPE),
        ("pkg-1.0/noise.bin", noise),
        ("pkg-1.0/zeros.bin", bytes(3 << 20)),
        (f"pkg-1.0/{'long/' * 18}" + "name" * 18, b"x"),
        ("pkg-1.0/pkg.egg-info/PKG-INFO", b"other"),
        symlink("pkg-1.0/a/link", "../b/./c"),
        symlink("latest", "pkg-1.0"),
        special("pkg-1.0/hard", tarfile.LNKTYPE, "pkg-1.0/noise.bin"),
        form=form,
    )

    assert looked_into(tmp_path, pack(content), f"pkg-1.0{suffix}") == PKG_INFO


def test_long_names_and_targets_are_followed(tmp_path: Path) -> None:
    long = "pkg-1.0/" + "x" * 300
    content = tarred((long, b"x"), symlink(long + "y", "z" * 300), form=tarfile.GNU_FORMAT)
    content = block("x", EXTENDED, pax(path="./pkg-1.0/a", mtime="1.5")) + block("b", b"0", b"x") + content
    content = block("pax_global_header", tarfile.XGLTYPE, pax(comment="abc")) + content

    assert looked_into(tmp_path, gzip.compress(block("pkg-1.0/b", b"7", b"x") + content), SDIST) == PKG_INFO


def test_the_folder_of_an_sdist_may_be_spelled_otherwise(tmp_path: Path) -> None:
    sdist = an_sdist("my-pkg", "1.0")

    assert looked_into(tmp_path, sdist.content, "my_pkg-1.0.tar.gz") == sdist.metadata


def test_a_tar_without_end_marks_is_taken(tmp_path: Path) -> None:
    assert looked_into(tmp_path, PLAIN[:1024], "pkg-1.0.tar") == PKG_INFO


@pytest.mark.parametrize("suffix", [suffix for suffix, _ in PACKED])
def test_an_sdist_is_packed_as_its_suffix_says(tmp_path: Path, suffix: str) -> None:
    assert "is not a" in refusal(tmp_path, WHEEL.content, f"pkg-1.0{suffix}")
    assert refusal(tmp_path, b"", f"pkg-1.0{suffix}") == "is empty"


@pytest.mark.parametrize(("suffix", "pack"), PACKED)
def test_a_damaged_stream_is_refused(tmp_path: Path, suffix: str, pack: Callable[[bytes], bytes]) -> None:
    good = pack(PLAIN)

    assert refusal(tmp_path, good[:-1], f"pkg-1.0{suffix}") == "it is cut off"
    assert "damaged" in refusal(tmp_path, good[:20] + b"\xff" * 30 + good[50:], f"pkg-1.0{suffix}")


def test_the_checksum_at_the_end_of_a_stream_counts(tmp_path: Path) -> None:
    good = gzip.compress(PLAIN)

    assert "damaged" in refusal(tmp_path, good[:-8] + b"0000" + good[-4:], SDIST)


@pytest.mark.parametrize("behind", [b"x", gzip.compress(b"", mtime=0)])
def test_nothing_follows_a_gzip_stream(tmp_path: Path, behind: bytes) -> None:
    assert "follows the end of the gzip stream" in refusal(tmp_path, gzip.compress(PLAIN) + behind, SDIST)


@pytest.mark.parametrize(("suffix", "pack"), PACKED[2:])
def test_parallel_tools_may_write_several_streams_but_not_endlessly_many(
    tmp_path: Path, suffix: str, pack: Callable[[bytes], bytes]
) -> None:
    assert looked_into(tmp_path, pack(PLAIN[:700]) + pack(PLAIN[700:]), f"pkg-1.0{suffix}") == PKG_INFO
    assert "follows the end" in refusal(tmp_path, pack(PLAIN) + pack(b"") * 10_000, f"pkg-1.0{suffix}")


def test_an_xz_file_cannot_ask_for_gigabytes(tmp_path: Path) -> None:
    greedy = lzma.compress(PLAIN, filters=[{"id": lzma.FILTER_LZMA2, "dict_size": 256 << 20, "preset": 0}])

    assert "damaged" in refusal(tmp_path, greedy, "pkg-1.0.tar.xz")


@pytest.mark.parametrize(("suffix", "pack"), PACKED)
def test_a_tar_bomb_is_left_as_soon_as_it_is_one(tmp_path: Path, suffix: str, pack: Callable[[bytes], bytes]) -> None:
    bomb = pack(tarred(("pkg-1.0/zeros", bytes(80 << 20))))
    path = tmp_path / "upload"
    path.write_bytes(bomb)

    tracemalloc.start()
    with pytest.raises(BadArchive, match="50 times"):
        inspect(path, f"pkg-1.0{suffix}")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    # The window of xz is 8 MiB.
    assert peak < 16 << 20


def test_a_tar_has_a_bounded_number_of_members() -> None:
    members = tarred(*[(f"pkg-1.0/{at}", b"") for at in range(20)])

    with pytest.raises(Distrust, match="more than 10 members"):
        tars.pkg_info(io.BytesIO(members), ".tar", len(members), max_members=10)


def test_a_tar_has_a_bounded_number_of_headers() -> None:
    headers = block("x", tarfile.XGLTYPE, pax(comment="abc")) * 50

    with pytest.raises(Distrust, match="more than 40 headers"):
        tars.pkg_info(io.BytesIO(headers), ".tar", len(headers), max_members=10)
