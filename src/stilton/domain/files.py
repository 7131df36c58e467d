"""One project as an index shows it: its files and what is known about each.

The shapes follow the simple repository API (PEP 503, 592, 658/714, 691, 700,
740, 792). `None` means "not known", which is never the same as "no".
"""

import re
from typing import Any
from urllib.parse import quote, urlsplit

import msgspec

from stilton.domain.names import IndexName, ProjectName, is_wheel, version_of

STATUSES = frozenset({"active", "archived", "quarantined", "deprecated"})
# Hex digits of a digest; one of another length is no digest of that algorithm.
HASH_CHARS = {
    "sha256": 64, "sha512": 128, "sha384": 96, "blake2b": 128, "blake2s": 64,
    "sha3_256": 64, "sha224": 56, "sha1": 40, "md5": 32,
}  # fmt: skip
# Strongest first; sha256 leads because paths and clients are built on it.
HASH_PREFERENCE = ("sha256", "sha512", "sha384", "blake2b", "blake2s", "sha3_256", "sha224", "sha1", "md5")

_NOT_IN_HOST_PATH = re.compile(r"[^a-zA-Z0-9_.-]")


class Status(msgspec.Struct, frozen=True, omit_defaults=True):
    """Project status markers (PEP 792)."""

    status: str
    reason: str | None = None


class File(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One distribution file.

    `url`: absolute, without fragment and credentials. `size`: bytes.
    `upload_time`: as in PEP 700 (UTC, `Z`). `yanked`: False, True, or the reason.
    `core_metadata`: True, the metadata file's hashes, False, or None (not said).
    `provenance`: its URL; one that begins with a dot is a suffix of the file's own.
    `index`: the index that has it, where that is not the one whose page shows it.
    `more`: keys of upstream that this program does not know, passed on as they are.
    """

    filename: str
    url: str = ""
    hashes: dict[str, str] = {}
    requires_python: str | None = None
    size: int | None = None
    upload_time: str | None = None
    yanked: bool | str = False
    core_metadata: bool | dict[str, str] | None = None
    provenance: str | None = None
    gpg_sig: bool | None = None
    index: IndexName | None = None
    more: dict[str, Any] = {}


class Project(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A project page. `serial`: upstream's `X-PyPI-Last-Serial`."""

    name: ProjectName
    files: tuple[File, ...] = ()
    versions: tuple[str, ...] = ()
    status: Status | None = None
    serial: int | None = None
    meta: dict[str, Any] = {}
    more: dict[str, Any] = {}

    @property
    def is_quarantined(self) -> bool:
        """Whether its files must not be offered (PEP 792)."""
        return self.status is not None and self.status.status == "quarantined"


def best_hash(hashes: dict[str, str]) -> tuple[str, str] | None:
    """The (algorithm, lower-case hex digest) to check a file by; None when there is none."""
    for algorithm in HASH_PREFERENCE:
        if digest := hashes.get(algorithm):
            return algorithm, digest
    return None


def by_version(project: Project) -> dict[str, list[File]]:
    """Its files by the version in their names; those whose names say none are left out."""
    found: dict[str, list[File]] = {}
    for file in project.files:
        version = version_of(file.filename, project.name)
        if version:
            found.setdefault(version, []).append(file)
    return found


def path_of(file: File) -> str:
    """Where an index offers `file`, below the index: `+f/abc/0123456789def/NAME` by its hash.

    Without a hash `+e/HOST_PATH/NAME`, so that the same URL always gets the same path.
    """
    best = best_hash(file.hashes)
    if best:
        digest = best[1]
        return f"+f/{digest[:3]}/{digest[3:16]}/{file.filename}"
    parts = urlsplit(file.url)
    folder = parts.path.rsplit("/", 1)[0]
    place = _NOT_IN_HOST_PATH.sub("_", f"{parts.scheme}_{parts.netloc}{folder}")
    return f"+e/{place}/{file.filename}"


def reference(file: File) -> str:
    """Relative URL of `file` from the index whose page shows it, which ends in a slash."""
    return quoted(path_of(file) if file.index is None else f"../../{file.index}/{path_of(file)}")


def quoted(path: str) -> str:
    """`path` as a URL reference; `+` stays, so that the text equals devpi's."""
    return quote(path, safe="/+!*'(),;=:@$~")


def offers_metadata(file: File) -> bool:
    """Whether a metadata file can be asked for: every wheel's, and what upstream says it has."""
    if file.core_metadata is None:
        return is_wheel(file.filename)
    return file.core_metadata is not False
