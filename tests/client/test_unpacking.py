"""What strangers put into an archive stays in its folder, or is not written at all."""

import io
import stat
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from stilton_client.errors import Failure
from stilton_client.members import LARGE_BYTES, SMALL_BYTES, Limits, Unsafe, can_unpack, limits
from stilton_client.unpacking import unpack

SMALL = Limits(members=10, size_bytes=10_000)
Entry = tuple[str, str, str]  # name, kind, content or target

KINDS = {
    "file": tarfile.REGTYPE, "folder": tarfile.DIRTYPE, "link": tarfile.SYMTYPE, "twin": tarfile.LNKTYPE,
    "device": tarfile.CHRTYPE, "pipe": tarfile.FIFOTYPE,
}  # fmt: skip
MODES = {
    "file": stat.S_IFREG | 0o644, "folder": stat.S_IFDIR | 0o755, "link": stat.S_IFLNK | 0o777,
    "device": stat.S_IFCHR | 0o644, "pipe": stat.S_IFIFO | 0o644,
}  # fmt: skip


def a_tar(path: Path, *entries: Entry) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for name, kind, content in entries:
            info = tarfile.TarInfo(name)
            info.type = KINDS[kind]
            info.mode = 0o755
            if kind in ("link", "twin"):
                info.linkname = content
                archive.addfile(info)
            else:
                info.size = len(content) if kind == "file" else 0
                archive.addfile(info, io.BytesIO(content.encode()))
    return path


def a_zip(path: Path, *entries: Entry) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, kind, content in entries:
            info = zipfile.ZipInfo(name + "/" * (kind == "folder"))
            info.external_attr = MODES[kind] << 16
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, content)
    return path


def inside(folder: Path) -> dict[str, str]:
    """What was written: path → content or target."""
    return {
        str(path.relative_to(folder)): f"-> {path.readlink()}" if path.is_symlink() else path.read_text()
        for path in folder.rglob("*")
        if path.is_symlink() or path.is_file()
    }


MAKERS = pytest.mark.parametrize(("make", "name"), [(a_tar, "pkg.tar.gz"), (a_zip, "pkg.zip")], ids=["tar", "zip"])
Maker = Callable[..., Path]

GOOD: tuple[Entry, ...] = (
    ("./", "folder", ""),
    ("./pkg-1.0", "folder", ""),
    ("pkg-1.0/tox.ini", "file", "[tox]"),
    ("pkg-1.0/deep/er/test.py", "file", "pass"),
    ("pkg-1.0/deep/link", "link", "er/../../tox.ini"),
    ("pkg-1.0/here", "link", "deep"),
)

BAD: dict[str, tuple[Entry, ...]] = {
    "absolute": (("/etc/evil", "file", "x"),),
    "upwards": (("pkg/../../evil", "file", "x"),),
    "backslash": (("pkg\\..\\..\\evil", "file", "x"),),
    "drive": (("C:evil", "file", "x"),),
    "link-away": (("pkg/out", "link", "../../evil"),),
    "link-absolute": (("pkg/out", "link", "/etc"),),
    "link-nowhere-with-backslash": (("pkg/out", "link", "a\\b/../.."),),
    "below-a-link": (("pkg/in", "link", "."), ("pkg/in/evil", "file", "x")),
    "below-a-link-of-another-case": (("pkg/In", "link", "."), ("pkg/iN/evil", "file", "x")),
    "by-way-of-a-link": (("a/b/c", "link", "../.."), ("out", "link", "a/b/c/../evil")),
    "by-way-of-a-later-link": (("out", "link", "a/b/c/../evil"), ("a/b/c", "link", "../..")),
    "file-in-place-of-a-link": (("pkg/a", "link", "b"), ("pkg/a", "file", "x")),
    "link-in-place-of-a-link": (("pkg/a", "link", "b"), ("pkg/a", "link", "c")),
    "device": (("pkg/null", "device", ""),),
    "pipe": (("pkg/pipe", "pipe", ""),),
    "too-many": tuple((f"pkg/{number}", "file", "") for number in range(11)),
    "too-large": (("pkg/zeros", "file", "0" * 10_001),),
    "too-large-together": (("pkg/one", "file", "0" * 6_000), ("pkg/two", "file", "0" * 6_000)),
}


@MAKERS
def test_files_folders_and_links_inside_are_unpacked(make: Maker, name: str, tmp_path: Path) -> None:
    unpack(make(tmp_path / name, *GOOD), tmp_path / "out", SMALL)

    assert inside(tmp_path / "out") == {
        "pkg-1.0/tox.ini": "[tox]",
        "pkg-1.0/deep/er/test.py": "pass",
        "pkg-1.0/deep/link": "-> er/../../tox.ini",
        "pkg-1.0/here": "-> deep",
    }


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("entries", BAD.values(), ids=BAD.keys())
@MAKERS
def test_a_harmful_archive_is_refused_by_name_and_nothing_is_written(
    make: Maker, name: str, entries: tuple[Entry, ...], tmp_path: Path
) -> None:
    archive = make(tmp_path / name, ("pkg/innocent", "file", "x"), *entries)

    with pytest.raises(Unsafe, match=f"^{name} is not unpacked: ") as refused:
        unpack(archive, tmp_path / "out", SMALL)

    assert refused.value.advice
    assert list((tmp_path / "out").rglob("*")) == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", name]


@pytest.mark.parametrize(
    "entries",
    [
        (("pkg/twin", "twin", "../evil"),),
        (("pkg/twin", "twin", "pkg/later"), ("pkg/later", "file", "x")),
        (("pkg/link", "link", "file"), ("pkg/twin", "twin", "pkg/link")),
        (("pkg/file", "file", "x"), ("pkg/twin", "twin", "pkg/file"), ("pkg/twin", "file", "y")),
    ],
    ids=["away", "later", "of-a-link", "overwritten"],
)
def test_a_hard_link_is_only_to_a_file_before_it(entries: tuple[Entry, ...], tmp_path: Path) -> None:
    archive = a_tar(tmp_path / "pkg.tar.gz", *entries)

    with pytest.raises(Unsafe):
        unpack(archive, tmp_path / "out", SMALL)

    assert list((tmp_path / "out").iterdir()) == []


def test_a_hard_link_to_a_file_before_it_is_unpacked(tmp_path: Path) -> None:
    unpack(a_tar(tmp_path / "p.tgz", ("p/a", "file", "x"), ("p/b", "twin", "p/a")), tmp_path / "out", SMALL)

    assert inside(tmp_path / "out") == {"p/a": "x", "p/b": "x"}


def test_a_header_that_is_a_bomb_is_refused_before_it_fills_the_memory(tmp_path: Path) -> None:
    info = tarfile.TarInfo("x")
    info.type = tarfile.XHDTYPE
    info.size = 1 << 40
    with (tmp_path / "pkg.tar").open("wb") as file:
        file.write(info.tobuf(tarfile.GNU_FORMAT))

    with pytest.raises(Unsafe, match="absurdly long"):
        unpack(tmp_path / "pkg.tar", tmp_path / "out")

    assert list((tmp_path / "out").iterdir()) == []


def test_names_alone_cannot_be_a_bomb(tmp_path: Path) -> None:
    long = [(f"{'d' * 200}/" * 20 + str(number), "file", "") for number in range(9)]

    with pytest.raises(Unsafe, match="bytes when unpacked"):
        unpack(a_tar(tmp_path / "pkg.tar.gz", *long), tmp_path / "out", Limits(members=9, size_bytes=1))

    assert list((tmp_path / "out").iterdir()) == []


def test_a_zip_with_a_link_of_absurd_length_is_refused(tmp_path: Path) -> None:
    archive = a_zip(tmp_path / "pkg.zip", ("link", "link", "a/" * 3000))

    with pytest.raises(Unsafe, match="absurdly long"):
        unpack(archive, tmp_path / "out")

    assert list((tmp_path / "out").iterdir()) == []


def test_programs_stay_programs(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "pkg.zip", "w") as archive:
        info = zipfile.ZipInfo("run.sh")
        info.external_attr = (stat.S_IFREG | 0o755) << 16
        archive.writestr(info, "#!/bin/sh\n")

    unpack(tmp_path / "pkg.zip", tmp_path / "out")

    assert (tmp_path / "out" / "run.sh").stat().st_mode & 0o100


@pytest.mark.parametrize("name", ["pkg.tar.gz", "pkg.tgz", "pkg.tar.bz2", "pkg.tar.xz", "pkg.tar", "pkg.zip"])
def test_what_is_no_archive_is_told(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"this is no archive")

    with pytest.raises(Failure, match=f"^{name} cannot be unpacked"):
        unpack(tmp_path / name, tmp_path / "out")

    assert can_unpack(name)
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize("suffix", ["tar.bz2", "tar.xz", "tar"])
def test_other_compressions_are_unpacked(suffix: str, tmp_path: Path) -> None:
    with tarfile.open(tmp_path / f"pkg.{suffix}", f"w:{suffix[4:]}") as archive:  # type: ignore[call-overload] # computed
        archive.addfile(tarfile.TarInfo("pkg/empty"))

    unpack(tmp_path / f"pkg.{suffix}", tmp_path / "out")

    assert inside(tmp_path / "out") == {"pkg/empty": ""}
    assert not can_unpack("pkg-1.0-py3-none-any.whl")


def test_a_large_archive_may_grow_fifty_times_and_none_beyond_a_gigabyte() -> None:
    assert limits(1).size_bytes == SMALL_BYTES == 64 * 2**20
    assert limits(4 * 2**20).size_bytes == 200 * 2**20
    assert limits(2**30).size_bytes == LARGE_BYTES == 2**30


def test_a_small_archive_that_becomes_a_large_one_is_refused(tmp_path: Path) -> None:
    info = tarfile.TarInfo("pkg/zeros")
    info.size = SMALL_BYTES + 1
    with tarfile.open(tmp_path / "pkg.tar.gz", "w:gz", compresslevel=1) as archive:
        archive.addfile(info, io.BytesIO(bytes(info.size)))

    with pytest.raises(Unsafe, match=f"it has more than {SMALL_BYTES} bytes when unpacked"):
        unpack(tmp_path / "pkg.tar.gz", tmp_path / "out")

    assert list((tmp_path / "out").iterdir()) == []
