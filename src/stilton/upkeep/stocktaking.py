"""What is on this server as a dump describes it (`dump`), and which blob goes where in it. Reads, never writes."""

import sys
from collections.abc import Iterable
from typing import Any

import msgspec
from sqlalchemy import Connection

from stilton import __version__
from stilton.db import accounts, inventory, mirrors
from stilton.db.inventory import Cached, Listed
from stilton.domain.files import File, path_of
from stilton.domain.indexes import Index
from stilton.domain.names import IndexName, ProjectName, is_safe_filename, version_of
from stilton.domain.publishing import Kind, Release, StageFile, http_date
from stilton.upkeep.dump import (
    OURS,
    Dump,
    DumpedFile,
    DumpedIndex,
    Entry,
    FileExtra,
    GoneFile,
    IndexExtra,
    ProjectExtra,
)

_NO_VERSION = "0"
"""Of a mirrored file whose name says none; devpi wants one."""


class Shipment(msgspec.Struct, frozen=True):
    """A blob and where it goes, below the dump's folder. `kind`: as its line on the screen says it."""

    digest: str
    relpath: str
    kind: str


class Stocktaking(msgspec.Struct, frozen=True):
    """A dump that is to be written: its text, and its files by index."""

    dump: Dump
    shipments: dict[IndexName, list[Shipment]]


def take(connection: Connection, *, mirrored: bool) -> Stocktaking:
    """Everything on the server as of one snapshot. `mirrored`: also what mirrors hold."""
    users = {
        keys["username"]: {"pwhash": accounts.pwhash(connection, keys["username"]), **keys}
        for keys in accounts.all_users(connection)
    }
    indexes: dict[str, DumpedIndex] = {}
    shipments: dict[IndexName, list[Shipment]] = {}
    for index in accounts.all_indexes(connection):
        sent: list[Shipment] = []
        if not index.is_mirror:
            indexes[index.full_name] = _stage(connection, index, sent)
        elif mirrored:
            indexes[index.full_name] = _mirror(connection, index, sent)
        else:
            indexes[index.full_name] = DumpedIndex(indexconfig=index.keys, projects={}, files=[])
        shipments[index.full_name] = sent
    dump = Dump(
        dumpversion="2", pythonversion=list(sys.version_info), devpi_server=__version__, users=users, indexes=indexes
    )
    return Stocktaking(dump, shipments)


def _stage(connection: Connection, index: Index, sent: list[Shipment]) -> DumpedIndex:
    stage = index.full_name
    known = inventory.projects_of(connection, stage)
    releases = inventory.releases_of(connection, stage)
    files = inventory.files_of(connection, stage)
    there = [file for file in files if file.gone_at is None]
    digests = {file.path: file.digest for file in there}
    return DumpedIndex(
        indexconfig=index.keys,
        projects={
            project.name: {release.version: release.keys for release in releases.get(project.name, ())}
            for project in known
            if project.gone_at is None
        },
        files=[_published(stage, file, digests, sent) for file in there],
        extra=_extra(known, releases, [file for file in files if file.gone_at is not None]),
    )


def _published(stage: IndexName, file: StageFile, digests: dict[str, str], sent: list[Shipment]) -> DumpedFile:
    """`digests`: of the index's files by path."""
    relpath = f"{stage}/{_place(file, digests)}"
    sent.append(Shipment(file.digest, relpath, file.kind.value))
    provenance = None
    if file.provenance_digest is not None:
        provenance = f"{stage}/+{OURS}/{file.provenance_digest}.provenance"
        sent.append(Shipment(file.provenance_digest, provenance, "provenance"))
    return DumpedFile(
        type=file.kind.value,
        projectname=file.project,
        version=file.version,
        relpath=relpath,
        entrymapping=_entry(file.digest, file.project, file.version, last_modified=http_date(file.uploaded_at)),
        log=file.log,
        for_entrypath=None if file.for_path is None else f"{stage}/{file.for_path}",
        extra=FileExtra(uploaded_at=file.uploaded_at, yanked=file.yanked, provenance=provenance),
    )


def _place(file: StageFile, digests: dict[str, str]) -> str:
    """Below the index, as devpi arranges a dump."""
    match file.kind:
        case Kind.DOCS:
            return file.filename
        case Kind.TOXRESULT:
            return f"{file.project}/sha256={digests.get(file.for_path or '', file.digest)}/{file.filename}"
        case Kind.RELEASE:
            return f"{file.project}/{_segment(file.version)}/{file.filename}"


def _segment(version: str) -> str:
    """A folder's name; versions of old releases may be any text."""
    return version if is_safe_filename(version) else version.encode("utf-8", "surrogatepass").hex()


def _extra(
    known: Iterable[Listed], releases: dict[ProjectName, list[Release]], gone: Iterable[StageFile]
) -> IndexExtra:
    projects = {
        project.name: ProjectExtra(
            status=project.status.status if project.status else None,
            reason=project.status.reason if project.status else None,
            gone_at=project.gone_at,
            yanked={one.version: one.yanked for one in releases.get(project.name, ()) if one.yanked is not None},
        )
        for project in known
    }
    nothing = ProjectExtra()
    return IndexExtra(
        projects={name: extra for name, extra in projects.items() if extra != nothing},
        gone=[_gone(file) for file in gone],
    )


def _gone(file: StageFile) -> GoneFile:
    known = {**msgspec.structs.asdict(file), "kind": file.kind.value}
    return GoneFile(**{name: known[name] for name in GoneFile.__struct_fields__})


def _mirror(connection: Connection, index: Index, sent: list[Shipment]) -> DumpedIndex:
    mirror = index.full_name
    projects: dict[str, dict[str, Any]] = {}
    files: list[DumpedFile] = []
    listed: dict[ProjectName, dict[str, File]] = {}
    for cached in sorted(inventory.cached_of(connection, mirror), key=_by_name):
        if cached.project not in listed:
            listed[cached.project] = _listed(connection, mirror, cached.project)
        filename = _by_name(cached)[1]
        file = listed[cached.project].get(cached.path) or File(filename=filename, url=_url(index, cached))
        version = version_of(filename, cached.project) or _NO_VERSION
        projects.setdefault(cached.project, {})[version] = _version(cached.project, version, file)
        files.append(_held(mirror, cached, file, version, sent))
    return DumpedIndex(indexconfig=index.keys, projects=projects, files=files)


def _listed(connection: Connection, mirror: IndexName, project: ProjectName) -> dict[str, File]:
    packed = mirrors.page(connection, mirror, project)
    return {} if packed is None else {path_of(file): file for file in mirrors.unpack(packed).project.files}


def _by_name(cached: Cached) -> tuple[str, str]:
    return cached.project, cached.path.rpartition("/")[2]


def _url(index: Index, cached: Cached) -> str:
    """Of a file that upstream's page does not list any more: about where it was."""
    return f"{str(index.keys.get('mirror_url', '')).rstrip('/')}/{'/'.join(_by_name(cached))}"


def _version(project: ProjectName, version: str, file: File) -> dict[str, Any]:
    keys: dict[str, Any] = {"name": project, "version": version}
    if file.requires_python:
        keys["requires_python"] = file.requires_python
    if file.yanked is not False:
        keys["yanked"] = file.yanked
    return keys


def _held(mirror: IndexName, cached: Cached, file: File, version: str, sent: list[Shipment]) -> DumpedFile:
    digest = cached.held.digest
    assert digest is not None
    relpath = f"{mirror}/{cached.project}/{_segment(version)}/{file.filename}"
    if sent and sent[-1].relpath == relpath:
        # Upstream changed the file's bytes, and both are here.
        relpath = f"{mirror}/{cached.project}/{_segment(version)}/+{digest}/{file.filename}"
    sent.append(Shipment(digest, relpath, Kind.RELEASE.value))
    last_modified = cached.last_modified or http_date(cached.fetched_at)
    entry = _entry(digest, cached.project, version, last_modified=last_modified)
    return DumpedFile(
        type=Kind.RELEASE.value,
        projectname=cached.project,
        version=version,
        relpath=relpath,
        entrymapping=msgspec.structs.replace(entry, url=file.url),
        log=[],
        extra=FileExtra(
            path=cached.path,
            hashes=file.hashes,
            fetched_at=cached.fetched_at,
            used_at=cached.used_at,
            uses=cached.uses,
            pinned=cached.pinned,
        ),
    )


def _entry(digest: str, project: str, version: str, *, last_modified: str) -> Entry:
    return Entry(
        hash_spec=f"sha256={digest}",
        hashes={"sha256": digest},
        last_modified=last_modified,
        project=project,
        version=version,
    )
