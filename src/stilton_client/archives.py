"""What files on disk are: releases with their metadata, documentation, or neither. Nothing is ever extracted.

    release         the metadata is at
    *.whl           NAME-VERSION.dist-info/METADATA
    *.egg           EGG-INFO/PKG-INFO
    *.zip, *.tar*   FOLDER/PKG-INFO, of the archive's one folder
    documentation   its name says what it is for: NAME[-VERSION].doc.zip, .docs.zip, .doc.tar.gz, .doc.tgz

Whoever made an archive is not trusted: what is read of it into memory is bounded.
"""

import re
import shutil
import tarfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any

from packaging.metadata import parse_email
from packaging.version import InvalidVersion, Version

from stilton_client import tarstreams
from stilton_client.errors import Failure

SUFFIXES = (".egg", ".tar", ".tar.bz2", ".tar.gz", ".tgz", ".whl", ".zip")
MAX_METADATA_BYTES = 8 << 20
"""Descriptions are long; the longest on PyPI has less than 2 MB."""
MAX_MEMBERS = 1_000_000
_COPY_BYTES = 1 << 20
# `filetype` of an upload -> what people call it, and where its metadata is
_KINDS = {"bdist_wheel": "a wheel", "bdist_egg": "an egg", "sdist": "a source distribution"}
_METADATA = {"bdist_wheel": "METADATA", "bdist_egg": "PKG-INFO", "sdist": "PKG-INFO"}
_DOCS = re.compile(r"(?P<stem>.+)\.docs?\.(?P<kind>zip|tar\.gz|tgz)", re.IGNORECASE)
_BROKEN = (*tarstreams.BROKEN, zipfile.BadZipFile)


class Unfit(Failure):
    """A file has the name of a release, or of documentation, and cannot be uploaded. `why`: without its path."""

    def __init__(self, path: Path, why: str, advice: str) -> None:
        super().__init__(f"{path}: {why}", advice)
        self.why = why


class Damaged(Unfit):
    """It cannot be read as an archive."""

    def __init__(self, path: Path, reason: object) -> None:
        super().__init__(path, f"cannot be read as an archive ({reason})", "Is it whole? Build it again.")


class Incomplete(Unfit):
    """It is an archive, and its metadata is missing or does not say what it is."""

    def __init__(self, path: Path, lack: str) -> None:
        super().__init__(path, lack, "Build it again; `python -m build` writes all that is needed.")


@dataclass(frozen=True)
class Release:
    """A file of a release. `metadata`: as `packaging.metadata` names it; `filetype`, `pyversion`: as uploads do."""

    path: Path
    name: str
    version: str
    metadata: Mapping[str, Any]
    filetype: str
    pyversion: str


@dataclass(frozen=True)
class Docs:
    """Documentation. `version` is empty where its name says none: the index takes the newest."""

    path: Path
    name: str
    version: str


def is_archive(name: str) -> bool:
    """Whether a file of this name may be a release."""
    return name.lower().endswith(SUFFIXES)


def docs(path: Path) -> Docs | None:
    """The documentation that this is by its name."""
    found = _DOCS.fullmatch(path.name)
    return Docs(path, *_split(found["stem"])) if found else None


def release(path: Path) -> Release | None:
    """The release that a file belongs to, None if not even its name says that it is one. Raises Damaged, Incomplete."""
    if not is_archive(path.name):
        return None
    try:
        raw = _zipped(path) if path.suffix.lower() in (".whl", ".egg", ".zip") else _tarred(path)
    except _BROKEN as error:
        raise Damaged(path, error) from error
    filetype, pyversion = _kind(path.name)
    if raw is None:
        if filetype == "sdist" and not _split(_stem(path.name))[1]:
            return None
        raise Incomplete(path, f"{_KINDS[filetype]} without {_METADATA[filetype]}")
    metadata: Mapping[str, Any] = parse_email(raw)[0]
    lack = _lack(raw, metadata)
    if lack:
        raise Incomplete(path, f"its {_METADATA[filetype]} {lack}")
    return Release(path, metadata["name"], metadata["version"], metadata, filetype, pyversion)


def zipped_docs(given: Docs, folder: Path) -> Docs:
    """The same documentation as a zip in `folder`; as it is, if it is one already. Raises Damaged.

    The same tar gives the same bytes each time, so that an index sees that it has them.
    """
    found = _DOCS.fullmatch(given.path.name)
    if found is None or found["kind"].lower() == "zip":
        return given
    target = folder / f"{found['stem']}.doc.zip"
    try:
        with tarstreams.opened(given.path) as source, zipfile.ZipFile(target, "w") as archive:
            for member in source:
                if member.isfile():
                    _copy(source, member, archive)
    except _BROKEN as error:
        raise Damaged(given.path, error) from error
    return Docs(target, given.name, given.version)


def _split(stem: str) -> tuple[str, str]:
    """`my-pkg-1.0` is `my-pkg` and `1.0`: what comes after a dash and is a version (PEP 440), the longest."""
    parts = stem.split("-")
    for cut in range(1, len(parts)):
        version = "-".join(parts[cut:])
        try:
            Version(version)
        except InvalidVersion:
            continue
        return "-".join(parts[:cut]), version
    return stem, ""


def _stem(name: str) -> str:
    """The name without what says that it is an archive."""
    suffix = max((suffix for suffix in SUFFIXES if name.lower().endswith(suffix)), key=len)
    return name[: -len(suffix)]


def _lack(raw: bytes, metadata: Mapping[str, Any]) -> str:
    """What keeps metadata from saying which release it is of; nothing if it does."""
    lacking = [field.title() for field in ("name", "version") if not metadata.get(field)]
    if not lacking:
        return ""
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        return "is not text"
    return "is not text" if "\0" in text else f"has no {' and no '.join(lacking)}"


def _kind(name: str) -> tuple[str, str]:
    """`filetype` and `pyversion` of an upload."""
    parts = name.rsplit(".", 1)[0].split("-")
    match name.lower().rpartition(".")[2]:
        case "whl":
            return "bdist_wheel", parts[-3] if len(parts) >= 5 else "py3"
        case "egg":
            return "bdist_egg", parts[2].removeprefix("py") if len(parts) >= 3 else "any"
        case _:
            return "sdist", "source"


def _is_metadata(name: str, suffix: str) -> bool:
    folder, slash, file = name.removeprefix("./").partition("/")
    match suffix:
        case ".whl":
            return folder.endswith(".dist-info") and file == "METADATA"
        case ".egg":
            return (folder, file) == ("EGG-INFO", "PKG-INFO")
        case _:
            return bool(folder and slash) and file == "PKG-INFO"


def _zipped(path: Path) -> bytes | None:
    with zipfile.ZipFile(path) as archive:
        for info in archive.infolist():
            if _is_metadata(info.filename, path.suffix.lower()):
                with archive.open(info) as file:
                    return _bounded(file)
    return None


def _tarred(path: Path) -> bytes | None:
    with tarstreams.opened(path) as archive:
        for count, member in enumerate(archive):
            if count > MAX_MEMBERS:
                raise ValueError("too many members")
            if member.isfile() and _is_metadata(member.name, ".tar"):
                file = archive.extractfile(member)
                return _bounded(file) if file else None
            archive.members.clear()  # type: ignore[attr-defined] # it would remember them all
    return None


def _bounded(file: IO[bytes]) -> bytes:
    raw = file.read(MAX_METADATA_BYTES + 1)
    if len(raw) > MAX_METADATA_BYTES:
        raise ValueError(f"its metadata has more than {MAX_METADATA_BYTES >> 20} MB")
    return raw


def _copy(source: tarfile.TarFile, member: tarfile.TarInfo, archive: zipfile.ZipFile) -> None:
    path = PurePosixPath(member.name)
    if path.is_absolute() or ".." in path.parts:
        raise ValueError(f"{member.name!r} is outside of it")
    info = zipfile.ZipInfo(str(path))
    info.compress_type = zipfile.ZIP_DEFLATED
    info.external_attr = 0o644 << 16
    content = source.extractfile(member)
    if content is not None:
        with content, archive.open(info, "w", force_zip64=True) as target:
            shutil.copyfileobj(content, target, _COPY_BYTES)
