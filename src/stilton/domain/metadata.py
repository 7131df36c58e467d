"""Core metadata: reading the few fields that decisions need. Bytes are never rewritten."""

from email.message import Message
from email.parser import HeaderParser

from packaging.markers import UndefinedComparison, UndefinedEnvironmentName
from packaging.requirements import InvalidRequirement, Requirement
from packaging.version import InvalidVersion, Version

from stilton.domain.errors import BadName
from stilton.domain.names import ProjectName, is_wheel, project_name, version_of

# What a line of somebody else's can make `packaging` raise.
_UNREADABLE = (
    InvalidRequirement,
    InvalidVersion,
    UndefinedComparison,
    UndefinedEnvironmentName,
    RecursionError,
    BadName,
)
MAX_METADATA_BYTES = 16 << 20
"""Larger than any real one by two orders; a bomb stops here."""


def fits(metadata: bytes, filename: str) -> bool:
    """Whether `metadata` is of the wheel `filename`: same project, same version.

    Catches login pages and error pages served as 200, and swapped files.
    """
    headers = _headers(metadata)
    name, version = headers.get("Name"), headers.get("Version")
    if not name or not version:
        return False
    try:
        stated = version_of(filename, project_name(name.strip()))
    except BadName:
        return False
    return stated is not None and (not is_wheel(filename) or _same_version(stated, version.strip()))


def requirements(metadata: bytes) -> list[ProjectName]:
    """Projects that an installer will probably ask for next: unconditional on extras."""
    wanted: dict[ProjectName, None] = {}
    for line in _headers(metadata).get_all("Requires-Dist") or []:
        try:
            requirement = Requirement(line)
            if requirement.url or (requirement.marker and not requirement.marker.evaluate({"extra": ""})):
                continue
            wanted[project_name(requirement.name)] = None
        except _UNREADABLE:
            continue
    return list(wanted)


def _headers(metadata: bytes) -> Message:
    return HeaderParser().parsestr(metadata.decode("utf-8", "replace"))


def _same_version(one: str, other: str) -> bool:
    # Wheel file names spell `+` and `-` of a version as `_` (PEP 427).
    if one.replace("_", "-").replace("+", "-") == other.replace("_", "-").replace("+", "-"):
        return True
    try:
        return Version(one.replace("_", "+", 1)) == Version(other)
    except InvalidVersion:
        return False
