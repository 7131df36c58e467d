"""Whether an uploaded file is what its name says, and safe to hand to installers.

The file is hostile until proved otherwise. Nothing is unpacked to disk; of a zip only
headers and a few small members are read (`zips`), a tar is streamed past (`tars`).
Whether the metadata fits the upload's form is not asked here but in `upload`.
"""

import configparser
import csv
import io
import os
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

import msgspec
from packaging.utils import InvalidWheelFilename, parse_wheel_filename
from packaging.version import Version

from stilton.domain import names
from stilton.domain.errors import BadArchive, BadName
from stilton.domain.metadata import MAX_METADATA_BYTES
from stilton.domain.versions import parsed
from stilton.publish import streams, tars, zips
from stilton.publish.zips import Distrust

# 200 000 members with paths of 100 characters and their hashes.
_MAX_RECORD_BYTES = 32 << 20
_MAX_ENTRY_POINTS_BYTES = 1 << 20

Members = Mapping[str, zips.Member]


class Inspected(msgspec.Struct, frozen=True):
    """An archive that may be taken.

    `metadata`: a wheel's METADATA or an sdist's PKG-INFO, byte for byte; None where the kind has none.
    """

    metadata: bytes | None


def inspect(path: Path, filename: str) -> Inspected:
    """Look into the file at `path`, uploaded as `filename`. Raises BadArchive."""
    try:
        with path.open("rb", buffering=0) as file:
            return Inspected(_metadata(file, filename))
    except Distrust as why:
        raise BadArchive(filename, str(why)) from why


def inspect_docs(path: Path, filename: str) -> None:
    """Look into a documentation zip. Raises BadArchive."""
    try:
        with path.open("rb", buffering=0) as file:
            _documentation(file)
    except Distrust as why:
        raise BadArchive(filename, str(why)) from why


def _metadata(file: BinaryIO, filename: str) -> bytes | None:
    size = _size(file)
    lower = filename.lower()
    if lower.endswith(".whl"):
        return _wheel(file.fileno(), filename)
    if lower.endswith(".zip"):
        return _zip_sdist(file.fileno(), filename)
    if lower.endswith(".egg"):
        zips.members(file.fileno(), may_have_front=True)
        return None
    for suffix in streams.KINDS:
        if lower.endswith(suffix):
            found = tars.pkg_info(file, suffix, size)
            _check_folder(found.folder, filename)
            return found.content
    return None


def _documentation(file: BinaryIO) -> None:
    _size(file)
    if not zips.members(file.fileno()):
        raise Distrust("there is nothing in it")


def _size(file: BinaryIO) -> int:
    size = os.fstat(file.fileno()).st_size
    if not size:
        raise Distrust("is empty")
    return size


def _wheel(fd: int, filename: str) -> bytes:
    """METADATA of a wheel that keeps the rules of PEP 427."""
    try:
        name, version, _, _ = parse_wheel_filename(filename)
    except InvalidWheelFilename as wrong:
        raise Distrust("its name is not that of a wheel: name-version-python-abi-platform.whl") from wrong
    members = zips.members(fd)
    folder = _dist_info(members)
    if not _is_of(folder, names.ProjectName(name), version):
        raise Distrust(f"its folder {folder} is not that of {name} {version}")
    for needed in ("METADATA", "WHEEL", "RECORD"):
        if f"{folder}/{needed}" not in members:
            raise Distrust(f"it has no {folder}/{needed}")
    _check_record(fd, members, f"{folder}/RECORD")
    _check_entry_points(fd, members.get(f"{folder}/entry_points.txt"))
    return zips.content(fd, members[f"{folder}/METADATA"], MAX_METADATA_BYTES)


def _dist_info(members: Members) -> str:
    """The only top folder that ends so. Those further down are vendored."""
    tops = {member.partition("/")[0] for member in members}
    found = sorted(top for top in tops if top.endswith(".dist-info"))
    if not found:
        raise Distrust("it has no .dist-info folder at its top")
    if len(found) > 1:
        raise Distrust(f"it has more than one .dist-info folder: {found[0]}, {found[1]}")
    return found[0]


def _is_of(folder: str, project: names.ProjectName, version: Version) -> bool:
    its_name, _, its_version = folder.removesuffix(".dist-info").rpartition("-")
    try:
        return names.project_name(its_name) == project and parsed(its_version) == version
    except BadName:
        return False


def _check_record(fd: int, members: Members, record: str) -> None:
    """RECORD names all files and no others (binary distribution format §The .dist-info directory)."""
    text = _text(fd, members[record], _MAX_RECORD_BYTES)
    try:
        listed = {row[0] for row in csv.reader(io.StringIO(text, newline=""), strict=True) if row}
    except csv.Error as wrong:
        raise Distrust(f"{record} is not a CSV file") from wrong
    files = {name for name, member in members.items() if not member.is_folder}
    unlisted = files - listed - {record, f"{record}.jws", f"{record}.p7s"}
    if unlisted:
        raise Distrust(f"{record} does not list {min(unlisted)}")
    absent = {name for name in listed - files if not name.endswith("/")}
    if absent:
        raise Distrust(f"{record} lists {min(absent)[: zips.MAX_PATH_BYTES]!r}, which is not in the wheel")


def _check_entry_points(fd: int, member: zips.Member | None) -> None:
    if member is None:
        return
    text = _text(fd, member, _MAX_ENTRY_POINTS_BYTES)
    try:
        # Not strict: wheels that say the same entry point twice are in use.
        configparser.RawConfigParser(delimiters=("=",), strict=False).read_string(text)
    except configparser.Error as wrong:
        raise Distrust(f"{member.name} cannot be read") from wrong


def _text(fd: int, member: zips.Member, limit: int) -> str:
    try:
        return zips.content(fd, member, limit).decode()
    except UnicodeDecodeError as wrong:
        raise Distrust(f"{member.name} is not UTF-8") from wrong


def _zip_sdist(fd: int, filename: str) -> bytes:
    members = zips.members(fd)
    tops = {name.partition("/")[0] for name in members}
    if len(tops) != 1:
        raise Distrust(f"it has {len(tops)} top folders, an sdist has one")
    folder = tops.pop()
    member = members.get(f"{folder}/PKG-INFO")
    if member is None:
        raise Distrust("it has no PKG-INFO in its top folder")
    _check_folder(folder, filename)
    return zips.content(fd, member, MAX_METADATA_BYTES)


def _check_folder(folder: str, filename: str) -> None:
    """Only the project counts: tools differ in how they write versions."""
    if set(names.projects_of(folder)).isdisjoint(names.projects_of(filename)):
        raise Distrust(f"its folder {folder[:80]!r} is of another project")
