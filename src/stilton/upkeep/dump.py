"""devpi's dump: its format as values (protocol reference 4.1).

`reading` makes them of a text, `stocktaking` of a server; `manifest` and `catalogues` say what they mean here.

DUMP/dataindex.json                                          everything but bytes; written last
DUMP/USER/INDEX/PROJECT/VERSION/FILE                         release files
DUMP/USER/INDEX/PROJECT-VERSION.doc.zip                      documentation
DUMP/USER/INDEX/PROJECT/sha256=…/FILE.toxresult-TIME-N       test results
DUMP/USER/INDEX/+stilton-1/SHA256.provenance                 ours, below the key `stilton-1`; devpi ignores both
DUMP/+stilton-1/audit.jsonl                                  ours (`trail`)
"""

from pathlib import Path
from typing import Any

import msgspec

INDEX_NAME = "dataindex.json"
OURS = "stilton-1"
"""The key, and the folder, of what devpi's format has no place for."""

Versions = dict[str, dict[str, Any] | None]
"""A project's metadata by version."""


class Entry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`entrymapping`: a file's hashes and dates. `url`: upstream's, on mirrors. `md5`: of old dumps."""

    url: str | None = None
    hash_spec: str | None = None
    hashes: dict[str, str] | None = None
    md5: str | None = None
    last_modified: str | None = None
    project: str | None = None
    version: str | None = None


class FileExtra(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What devpi does not keep of a file.

    `uploaded_at`, `fetched_at`, `used_at`: Unix seconds. `provenance`: where it is in the dump. Of mirrored
    files: `path` below the index, `hashes` as upstream's page has them, `uses`: how many, `pinned`: why it is
    (`db.pins`).
    """

    uploaded_at: float | None = None
    yanked: str | None = None
    provenance: str | None = None
    path: str | None = None
    hashes: dict[str, str] | None = None
    fetched_at: float | None = None
    used_at: float | None = None
    uses: int = 0
    pinned: str | None = None


class DumpedFile(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One file. `version`: absent in version 1."""

    type: str
    projectname: str
    version: str | None = None
    relpath: str
    entrymapping: Entry = Entry()
    log: list[dict[str, Any]] | None = None
    for_entrypath: str | None = None
    extra: FileExtra | None = msgspec.field(default=None, name=OURS)


class ProjectExtra(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """PEP 792's status, when the project went (Unix seconds), why which versions are yanked."""

    status: str | None = None
    reason: str | None = None
    gone_at: float | None = None
    yanked: dict[str, str] = {}


class GoneFile(msgspec.Struct, frozen=True, kw_only=True):
    """A removed file, whose URL says so and whose name may be taken for ever. Fields as in `db.schema`."""

    path: str
    project: str
    version: str
    kind: str
    filename: str
    digest: str
    size: int
    uploaded_at: float
    gone_at: float
    log: list[dict[str, Any]]


class IndexExtra(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What devpi does not keep of an index."""

    projects: dict[str, ProjectExtra] = {}
    gone: list[GoneFile] = []


class DumpedIndex(msgspec.Struct, frozen=True, kw_only=True):
    """One index."""

    indexconfig: dict[str, Any]
    projects: dict[str, Versions] = {}
    files: list[DumpedFile] = []
    extra: IndexExtra | msgspec.UnsetType = msgspec.field(default=msgspec.UNSET, name=OURS)


class DumpExtra(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What devpi does not keep of a server. `audit_sha256`: of the audit log beside (`trail`)."""

    audit_sha256: str | None = None


class Dump(msgspec.Struct, frozen=True, kw_only=True):
    """`dataindex.json`. Keys that are not read here (uuid, secret) mean nothing on another server."""

    dumpversion: str | int
    pythonversion: Any = ()
    devpi_server: Any = ""
    users: dict[str, dict[str, Any]]
    indexes: dict[str, DumpedIndex]
    extra: DumpExtra | msgspec.UnsetType = msgspec.field(default=msgspec.UNSET, name=OURS)


class Source(msgspec.Struct, frozen=True):
    """A dump in a folder.

    `left_out`: what has not the shape that it must have, with its place. `notices`: the same of what only we say.
    """

    folder: Path
    dump: Dump
    left_out: list[str]
    notices: list[str]

    @property
    def index_file(self) -> Path:
        """Where everything but bytes is."""
        return self.folder / INDEX_NAME


def written(dump: Dump) -> bytes:
    """The text of `dataindex.json`."""
    return msgspec.json.format(msgspec.json.encode(dump), indent=2) + b"\n"
