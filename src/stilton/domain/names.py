"""Names of projects, indexes and distribution files, and what a file name says.

A `ProjectName` is always normalised (PEP 503 §Normalized Names); only
`project_name` makes one from outside text.
"""

import re
from collections.abc import Iterable
from typing import NewType

from stilton.domain.errors import BadName, Invalid
from stilton.domain.versions import canonical

ProjectName = NewType("ProjectName", str)
IndexName = NewType("IndexName", str)
"""`user/index`."""

ARCHIVE_SUFFIXES = (
    ".whl", ".tar.gz", ".zip", ".tar.bz2", ".tgz", ".tar.xz", ".tar.z", ".tar",
    ".egg", ".exe", ".msi", ".rpm", ".deb", ".dmg", ".bz2",
)  # fmt: skip
MAX_NAME_CHARS = 200
MAX_FILENAME_BYTES = 255

_VALID = re.compile(r"[a-z0-9](?:[a-z0-9._-]*[a-z0-9])?", re.IGNORECASE | re.ASCII)
# devpi's rule for users and indexes: of ASCII only letters, digits and -.@_
_NOT_IN_ACCOUNT = re.compile(r"[\x00-\x20!\"#$%&'()*+,/:;<=>?\[\\\]^`{|}~\x7f-\x9f\u2028\u2029]")
_RESERVED_USERS = frozenset({"robots.txt", "favicon.ico", "__token__"})
MAX_ACCOUNT_CHARS = 100
_RUN = re.compile(r"[-_.]+")
# Control characters, separators of either kind and the ends of lines: never part of a file name.
_UNSAFE = re.compile(r"[\x00-\x1f\x7f-\x9f/\\\u2028\u2029]")


def project_name(raw: str) -> ProjectName:
    """Normalise `raw`. Raises BadName when no project can be called that (PEP 508)."""
    if len(raw) > MAX_NAME_CHARS or not _VALID.fullmatch(raw):
        raise BadName(raw)
    return ProjectName(_RUN.sub("-", raw).lower())


def check_account_name(what: str, name: str) -> None:
    """`what` is `username` or `indexname`. Raises Invalid when nothing can be called `name`."""
    if _NOT_IN_ACCOUNT.search(name):
        raise Invalid(
            f"{what} {name[:MAX_ACCOUNT_CHARS]!r} contains characters that aren't allowed. "
            "Any ascii symbol besides -.@_ is blocked."
        )
    if not name.strip(".") or len(name) > MAX_ACCOUNT_CHARS or not name.isprintable() or name in _RESERVED_USERS:
        raise Invalid(f"{what} {name[:MAX_ACCOUNT_CHARS]!r} can't be used: say another one")


def is_safe_filename(filename: str) -> bool:
    """Whether `filename` may be offered: one path segment, printable, of a length disks take."""
    return (
        filename not in ("", ".", "..")
        and len(filename.encode("utf-8", "surrogatepass")) <= MAX_FILENAME_BYTES
        and not _UNSAFE.search(filename)
        and filename.isprintable()
    )


def is_archive(filename: str) -> bool:
    """Whether the name ends like something that installers install."""
    return filename.lower().endswith(ARCHIVE_SUFFIXES)


def is_wheel(filename: str) -> bool:
    """Wheels (PEP 427) are told by their suffix."""
    return filename.endswith(".whl")


def stem(filename: str) -> str:
    """`filename` without its archive suffix; unchanged when it has none."""
    lower = filename.lower()
    for suffix in ARCHIVE_SUFFIXES:
        if lower.endswith(suffix):
            return filename[: -len(suffix)]
    return filename


def projects_of(filename: str) -> list[ProjectName]:
    """Which projects a file of this name can belong to, the likeliest first.

    A wheel's is certain. `a-b-1.0.tar.gz` is of `a-b` by PEP 625, but old files
    with dashes in their version may be of `a`.
    """
    base = stem(filename)
    if is_wheel(filename):
        starts = [base.split("-", 1)[0]]
    else:
        dashes = [at for at, char in enumerate(base) if char == "-"]
        starts = [base[:at] for at in reversed(dashes)] or [base]
    found: dict[ProjectName, None] = {}
    for start in starts:
        if len(start) <= MAX_NAME_CHARS and _VALID.fullmatch(start):
            found[project_name(start)] = None
    return list(found)


def version_of(filename: str, project: ProjectName) -> str | None:
    """The version in `filename`, as written there; None when the name does not fit `project`."""
    base = stem(filename)
    if is_wheel(filename):
        parts = base.split("-")
        return parts[1] if len(parts) >= 5 and _is(parts[0], project) else None
    for at, char in enumerate(base):
        if char == "-" and _is(base[:at], project):
            return base[at + 1 :] or None
    return None


def identity(filename: str, project: ProjectName) -> str:
    """Equal for file names that differ in spelling only: installers take them for one file (PEP 427, PEP 625)."""
    base = stem(filename)
    suffix = filename[len(base) :].lower()
    if is_wheel(filename):
        _, version, *tags = base.split("-")
        return f"{project}-{canonical(version.replace('_', '+', 1))}-{'-'.join(tags).lower()}{suffix}"
    return f"{project}-{canonical(version_of(filename, project) or base)}{suffix}"


def same_versions(known: Iterable[str], found: Iterable[str]) -> tuple[list[str], list[str]]:
    """(those of `known` that are among `found`, those of `found` that are not among `known`).

    Compared as versions (PEP 440): `1.0.0-beta1` in a file name is release `1.0.0b1`.
    """
    spelled = dict.fromkeys(found)
    listed = dict.fromkeys(known)
    missing = [version for version in spelled if version not in listed]
    absent = [version for version in listed if version not in spelled]
    if not missing:
        return [version for version in listed if version in spelled], []
    canonical_absent = {canonical(version): version for version in absent}
    also = {canonical_absent[key] for key in map(canonical, missing) if key in canonical_absent}
    new = [version for version in missing if canonical(version) not in canonical_absent]
    return [version for version in listed if version in spelled or version in also], new


def _is(start: str, project: ProjectName) -> bool:
    return _RUN.sub("-", start).lower() == project
