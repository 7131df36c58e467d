"""What is on a dumped index: releases and files in our terms (protocol reference 4.2). Pure.

Releases of one project under two spellings are one project's, spellings of one version one release;
what cannot be taken is listed, never dropped in silence.
"""

from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

import msgspec

from stilton.domain import metadata
from stilton.domain.errors import BadName, Invalid
from stilton.domain.files import HASH_CHARS
from stilton.domain.names import IndexName, ProjectName, project_name, version_of
from stilton.domain.publishing import DOCS_SUFFIX, Kind
from stilton.domain.versions import MAX_CHARS, canonical
from stilton.upkeep import extras
from stilton.upkeep.dump import DumpedFile, DumpedIndex, Entry, IndexExtra

_ORDER = {Kind.RELEASE: 0, Kind.DOCS: 1, Kind.TOXRESULT: 2}
"""Test results need their distributions to be there."""


class Incoming(msgspec.Struct, frozen=True):
    """A file that is to be taken. `hashes`: what it must have, lower-case hex by algorithm."""

    dumped: DumpedFile
    project: ProjectName
    version: str
    kind: Kind
    filename: str
    hashes: dict[str, str]

    @property
    def identity(self) -> tuple[str, str, str]:
        """One file of an index, whatever its hash is."""
        return self.project, self.kind.value, self.filename


class Catalogue(msgspec.Struct, frozen=True):
    """One index's contents. `releases`: metadata by project and version, versions as they will be spelled.

    `extra`: what devpi does not keep of the index, as far as it can be so.

    `notices`: what is another here than there. `left_out`: what cannot be taken, with the reason.
    """

    releases: dict[ProjectName, dict[str, dict[str, Any]]]
    files: list[Incoming]
    extra: IndexExtra
    notices: list[str]
    left_out: list[str]


def catalogue(name: IndexName, index: DumpedIndex) -> Catalogue:
    """What is on an index."""
    return _Cataloguing(name).done(index)


class _Cataloguing:
    """One index, while it is read. Versions are found by their canonical form: a project may have thousands."""

    def __init__(self, index: IndexName) -> None:
        self._index = index
        self._found = Catalogue({}, [], IndexExtra(projects={}, gone=[]), [], [])
        self._spelled: dict[ProjectName, dict[str, str]] = {}

    def done(self, index: DumpedIndex) -> Catalogue:
        for raw, versions in index.projects.items():
            try:
                project = project_name(raw)
            except BadName as error:
                self._found.left_out.append(f"{self._index}: {error}")
                continue
            self._found.releases.setdefault(project, {})
            for key, keys in versions.items():
                self._add_release(project, key, keys or {})
        self._add_files(index)
        if isinstance(index.extra, IndexExtra):
            self._add_extra(index.extra)
        self._found.files.sort(key=lambda file: _ORDER[file.kind])
        return self._found

    def _add_files(self, index: DumpedIndex) -> None:
        known: set[tuple[str, str, str]] = set()
        # Of a mirror there may be two of a name, when upstream changed one.
        several = index.indexconfig.get("type") == "mirror"
        for dumped in index.files:
            try:
                incoming = self._incoming(dumped)
            except (Invalid, BadName) as error:
                self._found.left_out.append(f"{dumped.relpath}: {error}")
                continue
            if incoming.identity in known and not several:
                self._found.left_out.append(f"{dumped.relpath}: another file of this name is on the index")
                continue
            known.add(incoming.identity)
            self._found.files.append(incoming)

    def _add_extra(self, extra: IndexExtra) -> None:
        for name, project in extra.projects.items():
            try:
                extras.check_project(name, project)
                self._found.extra.projects[name] = project
            except Invalid as error:
                self._found.notices.append(f"{self._index}: the state of {name[:50]!r} is left out: {error}")
        for file in extra.gone:
            try:
                extras.check_gone(file)
                self._found.extra.gone.append(file)
            except Invalid as error:
                self._found.notices.append(f"{self._index}: that {file.filename[:50]!r} is gone is left out: {error}")

    def _add_release(self, project: ProjectName, key: str, given: Mapping[str, Any]) -> None:
        version = _text(given.get("version"))
        if not version:
            version = key
            self._found.notices.append(f"{project}: version metadata has no explicit version, setting derived {key}")
        try:
            _check_version(version)
        except Invalid as error:
            self._found.left_out.append(f"{self._index}: {project}: {error}")
            return
        spelled = self._spelled.setdefault(project, {}).setdefault(canonical(version), version)
        releases = self._found.releases[project]
        if spelled != version:
            self._found.notices.append(
                f"{self._index}: {project} {version} is the same release as {spelled} here (PEP 440)"
            )
        keys = {name: value for name, value in given.items() if name != "version" and not name.startswith(("+", ":"))}
        for misfit in _misfits(keys, project):
            self._found.notices.append(
                f"{self._index}: {project} {spelled}: {misfit} cannot be {keys.pop(misfit)!r:.100}, it is left out"
            )
        releases[spelled] = {"name": project, **keys, **releases.get(spelled, {}), "version": spelled}

    def _incoming(self, dumped: DumpedFile) -> Incoming:
        """Raises Invalid, BadName."""
        place = PurePosixPath(dumped.relpath)
        if not extras.is_inside(dumped.relpath):
            raise Invalid("it is not inside the dump, or its name is none that a file can have")
        try:
            kind = Kind(dumped.type)
        except ValueError:
            raise Invalid(f"its type {dumped.type!r} is not known") from None
        project = project_name(dumped.projectname)
        if project not in self._found.releases:
            raise Invalid(f"its project {dumped.projectname!r} is not among the projects of its index")
        if dumped.extra is not None:
            extras.check_file(dumped.extra, place.name)
        version = _check_version(self._version(dumped, project, _stated(dumped, kind, project)))
        return Incoming(dumped, project, version, kind, place.name, _hashes(dumped.entrymapping))

    def _version(self, dumped: DumpedFile, project: ProjectName, stated: str) -> str:
        """As its release spells it."""
        spelled = self._spelled.get(project, {})
        if dumped.version or dumped.entrymapping.version:
            return spelled.get(canonical(stated), stated)
        for text in (stated, stated.replace("_", "-"), stated.replace("_", "+", 1)):
            if known := spelled.get(canonical(text)):
                return known
            if fitting := [version for version in spelled.values() if _begins(text, version)]:
                return max(fitting, key=len)
        return stated


def _stated(dumped: DumpedFile, kind: Kind, project: ProjectName) -> str:
    """What the dump says of a file's version, or its name where the dump says nothing (version 1). Raises Invalid."""
    filename = PurePosixPath(dumped.relpath).name.removesuffix(DOCS_SUFFIX)
    if kind is Kind.TOXRESULT:
        filename = filename.partition(".toxresult")[0]
    stated = dumped.version or dumped.entrymapping.version or version_of(filename, project)
    if stated is None:
        raise Invalid("neither the dump nor its name says its version")
    return stated


def _check_version(version: str) -> str:
    """A version as releases may have it, also one that is none by PEP 440. Raises Invalid."""
    if len(version) > MAX_CHARS or not version.isprintable():
        raise Invalid(f"version {version[:20]!r} (of {len(version)} characters) is none that a release can have")
    return version


def _misfits(keys: Mapping[str, Any], project: ProjectName) -> list[str]:
    """Which of a release's keys cannot be what they are; the name is another project's, or none."""
    wrong = metadata.misfits(keys)
    try:
        others = "name" in keys and "name" not in wrong and project_name(keys["name"]) != project
    except BadName:
        others = True
    return [*wrong, "name"] if others else wrong


def _text(value: object) -> str:
    """What a number written without quotes was meant to be, too."""
    return str(value) if isinstance(value, str | int | float) and value else ""


def _begins(text: str, version: str) -> bool:
    """`1.0-py3.11` and `1.0.win32` are files of 1.0; `1.01` is not."""
    return text.startswith(version) and not text[len(version) : len(version) + 1].isalnum()


def _hashes(entry: Entry) -> dict[str, str]:
    """Those that can be checked; not digests of a wrong length, or of an algorithm not known here."""
    found = dict(entry.hashes or {})
    algorithm, _, digest = (entry.hash_spec or "").partition("=")
    found.setdefault(algorithm, digest)
    found.setdefault("md5", entry.md5 or "")
    return {name: text.lower() for name, text in found.items() if len(text) == HASH_CHARS.get(name)}
