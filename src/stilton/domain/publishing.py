"""What an upload means for the index it comes to; releases and files of private indexes as values. Pure."""

import enum
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any

import msgspec
from packaging.version import Version

from stilton.domain.errors import Conflict, Invalid
from stilton.domain.files import File, Project, Status
from stilton.domain.names import ProjectName, is_archive, is_safe_filename, is_wheel, project_name, stem, version_of
from stilton.domain.versions import parsed

Log = list[dict[str, Any]]
"""devpi's list of what was done with a file: `what`, `who`, `when` (UTC, six numbers), `dst` …"""


DOCS_SUFFIX = ".doc.zip"
_NO_VERSION = Version("0")


class Kind(enum.Enum):
    """What a file is to its release; values are devpi's `rel`."""

    RELEASE = "releasefile"
    DOCS = "doczip"
    TOXRESULT = "toxresult"


class Release(msgspec.Struct, frozen=True):
    """One version. `keys`: metadata as in devpi's API. `yanked`: the reason, None when it is not."""

    version: str
    keys: dict[str, Any]
    yanked: str | None = None


class StageFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file of a private index; `db.schema` says what each field is."""

    path: str
    project: ProjectName
    version: str
    kind: Kind
    filename: str
    digest: str
    size: int
    uploaded_at: float
    metadata_digest: str | None = None
    provenance_digest: str | None = None
    requires_python: str | None = None
    yanked: str | None = None
    for_path: str | None = None
    log: Log
    gone_at: float | None = None

    @property
    def digests(self) -> list[str]:
        """The sha256 of the blobs that it needs: its own, its metadata's, its provenance's."""
        return [digest for digest in (self.digest, self.metadata_digest, self.provenance_digest) if digest]


class Verdict(enum.Enum):
    """What to do with an uploaded file."""

    NEW = "new"
    SAME = "same"  # these bytes are there under this name: nothing changes, 200
    REPLACE = "replace"


def judge(filename: str, digest: str, known: Iterable[StageFile], *, volatile: bool) -> Verdict:
    """What an upload of `filename` means, given every file of that name that is or was there.

    Raises Conflict: on a non-volatile index a name never gets other bytes, not even after a removal.
    """
    known = list(known)
    there = next((file for file in known if file.gone_at is None), None)
    if there is not None and there.digest == digest:
        return Verdict.SAME
    if not volatile and any(file.digest != digest for file in known):
        if there is not None:
            raise Conflict(f"{filename} already exists in non-volatile index")
        raise Conflict(
            f"{filename} already existed in this non-volatile index with other content; "
            "a file name is not used twice, release a new version"
        )
    return Verdict.NEW if there is None else Verdict.REPLACE


def check_open(project: ProjectName, status: Status | None) -> None:
    """Raises Conflict when the project takes no files (PEP 792 §archived, §quarantined)."""
    if status is not None and status.status in ("archived", "quarantined"):
        raise Conflict(f"{project} is {status.status}: it takes no uploads. Its owner can make it active again")


def check_version(text: str) -> str:
    """A version that may be uploaded, as it was written (PEP 440). Raises Invalid."""
    if parsed(text) is None:
        raise Invalid(f"{text[:100]!r} is no valid version: see PEP 440, e.g. 1.0, 1.0rc1, 1.0.post1")
    return text


def check_filename(filename: str, name: str, version: str) -> None:
    """Whether the file is one of this release, by its name. Raises Invalid, in devpi's words."""
    if not is_safe_filename(filename):
        raise Invalid(f"{filename[:200]!r} is not a valid file name")
    if not is_archive(filename) or not stem(filename):
        raise Invalid(f"{filename!r} is not a valid archive name")
    stated = version_of(filename, project_name(name))
    if stated is None:
        raise Invalid(f"filename {filename!r} does not match project name {name!r}")
    if not is_wheel(filename):
        stated = _without_platform(stated, version)
    if not same_version(stated.replace("_", "+", 1) if is_wheel(filename) else stated, version):
        raise Invalid(f"filename {filename!r} does not contain version {version!r}")


def same_version(one: str, other: str) -> bool:
    """Whether two spellings are one version (PEP 440)."""
    found = parsed(one)
    return one == other if found is None else found == parsed(other)


def newest(versions: Iterable[str]) -> str | None:
    """The newest of these versions, final ones or not; None when there are none."""
    return max(versions, key=version_rank, default=None)


def version_rank(text: str) -> tuple[bool, Version, str]:
    """What to sort versions by; texts that are none (PEP 440) come before all others."""
    version = parsed(text)
    return version is not None, version or _NO_VERSION, text


def page(
    project: ProjectName, status: Status | None, versions: Mapping[str, str | None], files: Iterable[StageFile]
) -> Project:
    """The simple page of a private index's project. `versions`: with the reason of those that are yanked.

    A quarantined one shows no files (PEP 792).
    """
    if status is not None and status.status == "quarantined":
        files = ()
    return Project(
        name=project,
        files=tuple(_listed(file, versions) for file in files if file.kind is Kind.RELEASE),
        versions=tuple(versions),
        status=status,
    )


def entry(what: str, who: str | None, now: float, **more: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    """A line of a file's log."""
    return {"what": what, "who": who, "when": list(datetime.fromtimestamp(now, UTC).timetuple()[:6]), **more}


def instant(at: float) -> str:
    """Unix seconds as PEP 700 writes them."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def moment(text: str | None) -> float | None:
    """Unix seconds of what `instant` writes; None when it is nothing like that."""
    try:
        return None if text is None else datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError):
        return None


def http_date(at: float) -> str:
    """Unix seconds as HTTP writes them (RFC 9110 §5.6.7), whatever the locale."""
    return format_datetime(datetime.fromtimestamp(int(at), UTC), usegmt=True)


def _listed(file: StageFile, versions: Mapping[str, str | None]) -> File:
    yanked = file.yanked if file.yanked is not None else versions.get(file.version)
    return File(
        filename=file.filename,
        hashes={"sha256": file.digest},
        requires_python=file.requires_python,
        size=file.size,
        upload_time=instant(file.uploaded_at),
        yanked=False if yanked is None else (yanked or True),
        core_metadata={"sha256": file.metadata_digest} if file.metadata_digest else False,
        provenance=".provenance" if file.provenance_digest else None,
    )


def _without_platform(stated: str, version: str) -> str:
    """Eggs and installers name a platform behind the version: `1.0-py3.11`, `1.0.win32`."""
    for mark in ("-py", ".linux", ".win", ".macosx", "-1."):
        start, found, _ = stated.partition(mark)
        if found and same_version(start, version):
            return start
    return stated
