"""A dump's text becomes values, part by part: what has a wrong shape is listed with its place, the rest is read.

Only a text that is no JSON, or has no users and indexes at all, is no dump. Places are written as `jq` takes them.
"""

import hashlib
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from stilton.domain.errors import SetupError
from stilton.upkeep.dump import (
    INDEX_NAME,
    OURS,
    Dump,
    DumpedFile,
    DumpedIndex,
    DumpExtra,
    GoneFile,
    IndexExtra,
    ProjectExtra,
    Source,
    Versions,
)

T = TypeVar("T")

VERSIONS = ("1", "2")
MAX_DEPTH = 100
"""Of lists in lists: far below what Python can write again."""
ROOT = "root"
_NULL = msgspec.Raw(b"null")
_UNREADABLE = (msgspec.DecodeError, RecursionError, UnicodeDecodeError)


def text(folder: Path) -> bytes:
    """What is in the `dataindex.json` of a dump whose version is known. Raises SetupError."""
    file = folder / INDEX_NAME
    if folder.is_file():
        raise SetupError(f"{folder} is a file: name the folder that {INDEX_NAME} is in.")
    try:
        found = file.read_bytes()
    except FileNotFoundError:
        raise SetupError(
            f"There is no {file}: {folder} is no dump, or its export did not finish. "
            "For a folder of release files say --index USER/NAME."
        ) from None
    except OSError as error:
        raise SetupError(f"{file} cannot be read: {error.strerror}.") from error
    version = _decoded(file, found, _Version).dumpversion
    if str(version) not in VERSIONS:
        raise SetupError(f"incompatible dumpversion: {version!r}")
    return found


def identity(found: bytes) -> str:
    """The same for the same text, so that an import can be taken up again."""
    return hashlib.sha256(found).hexdigest()


def read(folder: Path, found: bytes) -> Source:
    """The dump in `folder`, of its `text`. Raises SetupError."""
    reading = _Reading()
    dump = reading.dump(_decoded(folder / INDEX_NAME, found, _Outline))
    if not _is_flat(_free_parts(dump), MAX_DEPTH):
        raise SetupError(f"{folder / INDEX_NAME} is no dump: something in it is nested more than {MAX_DEPTH} deep.")
    return Source(folder, dump, reading.left_out, reading.notices)


class _Version(msgspec.Struct):
    dumpversion: str | int | None = None


class _Outline(msgspec.Struct):
    """`dataindex.json`, its parts unread."""

    users: dict[str, msgspec.Raw]
    indexes: dict[str, msgspec.Raw]
    dumpversion: str | int
    extra: msgspec.Raw = msgspec.field(default=_NULL, name=OURS)


class _IndexOutline(msgspec.Struct):
    """An index, its parts unread."""

    indexconfig: dict[str, Any]
    projects: msgspec.Raw = _NULL
    files: msgspec.Raw = _NULL
    extra: msgspec.Raw = msgspec.field(default=_NULL, name=OURS)


class _ExtraOutline(msgspec.Struct):
    """What devpi does not keep of an index, unread."""

    projects: dict[str, msgspec.Raw] = {}
    gone: list[msgspec.Raw] = []


class _Reading:
    """One dump, while it is read. What it cannot read it says in `left_out`, or in `notices`."""

    def __init__(self) -> None:
        self.left_out: list[str] = []
        self.notices: list[str] = []

    def dump(self, outline: _Outline) -> Dump:
        """All that can be read."""
        users = {name: user for name, raw in outline.users.items() if (user := self._user(name, raw)) is not None}
        indexes = {name: index for name, raw in outline.indexes.items() if (index := self._index(name, raw))}
        extra = self._part(outline.extra, DumpExtra | None, f'["{OURS}"]', "the audit log is left out")
        return Dump(dumpversion=outline.dumpversion, users=users, indexes=indexes, extra=extra or msgspec.UNSET)

    def _user(self, name: str, raw: msgspec.Raw) -> dict[str, Any] | None:
        """Without keys when they cannot be read: indexes may be his. Root is then whom the command's options make."""
        so = "his password is that of --root-passwd" if name == ROOT else f"set a password with devpi-passwd {name}"
        keys = self._part(raw, dict[str, Any], f'users["{name}"]', so)
        return {} if keys is None and name != ROOT else keys

    def _index(self, name: str, raw: msgspec.Raw) -> DumpedIndex | None:
        """None when its configuration cannot be read: nobody knows then who may read what is on it."""
        place = f'indexes["{name}"]'
        outline = self._part(raw, _IndexOutline, place, "the index is left out with all that is on it")
        if outline is None:
            return None
        return DumpedIndex(
            indexconfig=outline.indexconfig,
            projects=self._projects(outline.projects, f"{place}.projects"),
            files=self._files(outline.files, f"{place}.files"),
            extra=self._extra(outline.extra, f'{place}["{OURS}"]'),
        )

    def _projects(self, raw: msgspec.Raw, place: str) -> dict[str, Versions]:
        """An empty list in some old dumps."""
        if bytes(raw) in (b"[]", b"null"):
            return {}
        known = self._part(raw, dict[str, msgspec.Raw], place) or {}
        return {name: self._versions(each, f'{place}["{name}"]') for name, each in known.items()}

    def _versions(self, raw: msgspec.Raw, place: str) -> Versions:
        known = self._part(raw, dict[str, msgspec.Raw], place) or {}
        return {
            version: self._part(each, dict[str, Any] | None, f'{place}["{version}"]', "its metadata is left out")
            for version, each in known.items()
        }

    def _files(self, raw: msgspec.Raw, place: str) -> list[DumpedFile]:
        files: list[DumpedFile] = []
        for number, each in enumerate(self._part(raw, list[msgspec.Raw] | None, place) or []):
            try:
                files.append(msgspec.json.decode(each, type=DumpedFile))
            except _UNREADABLE as error:
                self.left_out.append(_why(f"{place}[{number}]", error, f"{_name(each)} is left out"))
        return files

    def _extra(self, raw: msgspec.Raw, place: str) -> IndexExtra | msgspec.UnsetType:
        outline = self._part(raw, _ExtraOutline | None, place, told=self.notices)
        if outline is None:
            return msgspec.UNSET
        projects = {
            name: self._part(each, ProjectExtra, f'{place}.projects["{name}"]', told=self.notices)
            for name, each in outline.projects.items()
        }
        gone = [
            self._part(each, GoneFile, f"{place}.gone[{number}]", told=self.notices)
            for number, each in enumerate(outline.gone)
        ]
        return IndexExtra(
            projects={name: project for name, project in projects.items() if project is not None},
            gone=[file for file in gone if file is not None],
        )

    def _part(
        self,
        raw: msgspec.Raw,
        kind: Any,  # noqa: ANN401 - types and unions of them
        place: str,
        so: str = "it is left out",
        *,
        told: list[str] | None = None,
    ) -> Any:  # noqa: ANN401 - a value of `kind`
        """None when it cannot be read; `so`: what that means, told among what is left out unless elsewhere."""
        try:
            return msgspec.json.decode(raw, type=kind)
        except _UNREADABLE as error:
            (self.left_out if told is None else told).append(_why(place, error, so))
            return None


def _why(place: str, error: Exception, so: str) -> str:
    what, _, inside = str(error).partition(" - at `$")
    return f"{place}{inside.rstrip('`')}: {what[:1].lower()}{what[1:]}; {so}"


class _Named(msgspec.Struct):
    relpath: str


def _name(raw: msgspec.Raw) -> str:
    """Which file it is, if that can be told."""
    try:
        return msgspec.json.decode(raw, type=_Named).relpath
    except _UNREADABLE:
        return "a file"


def _decoded(file: Path, found: bytes, kind: type[T]) -> T:
    """Raises SetupError."""
    try:
        return msgspec.json.decode(found, type=kind)
    except _UNREADABLE as error:
        raise SetupError(f"{file} is no dump: {error}. Was it edited by hand?") from error


def _free_parts(dump: Dump) -> list[Any]:
    """What may be any JSON."""
    indexes = dump.indexes.values()
    logs = [file.log for index in indexes for file in index.files]
    return [dump.users, [(index.indexconfig, index.projects) for index in indexes], logs]


def _is_flat(value: object, depth: int) -> bool:
    inside = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ()
    return depth > 0 and all(_is_flat(each, depth - 1) for each in inside if not isinstance(each, str))
