"""Core metadata: reading the few fields that decisions need. Bytes are never rewritten."""

import re
from collections.abc import Mapping, Sequence
from email.message import Message
from email.parser import HeaderParser
from typing import Any

from packaging.markers import UndefinedComparison, UndefinedEnvironmentName
from packaging.requirements import Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet

from stilton.domain.errors import BadName
from stilton.domain.names import ProjectName, is_wheel, project_name, version_of
from stilton.domain.versions import parsed

# What a line of somebody else's can make `packaging` raise.
_UNREADABLE = (
    # InvalidRequirement, and what Python says of a number without end.
    ValueError,
    UndefinedComparison,
    UndefinedEnvironmentName,
    RecursionError,
    BadName,
)
MAX_METADATA_BYTES = 16 << 20
"""Larger than any real one by two orders; a bomb stops here."""


_METADATA_VERSION = re.compile(r"1\.[0-2]|2\.\d")
# devpi's names for the fields of core metadata. `description` may be the body, too.
SINGLE = frozenset({
    "name", "version", "metadata_version", "summary", "home_page", "author", "author_email", "maintainer",
    "maintainer_email", "license", "description", "keywords", "download_url", "comment", "requires_python",
    "description_content_type", "license_expression",
})  # fmt: skip
MULTIPLE = frozenset({
    "platform", "classifiers", "supported_platform", "provides", "requires", "obsoletes", "project_urls",
    "provides_dist", "obsoletes_dist", "requires_dist", "requires_external", "provides_extras", "dynamic",
    "license_file", "import_name", "import_namespace",
})  # fmt: skip
_PLURAL = {
    "classifier": "classifiers",
    "project_url": "project_urls",
    "provides_extra": "provides_extras",
    "import_names": "import_name",
    "import_namespaces": "import_namespace",
    "license_files": "license_file",
}


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


def flaw(metadata: bytes) -> str | None:
    """What in an archive's metadata installers would stumble over, as a sentence; None when there is nothing."""
    headers = _headers(metadata)
    for name in ("Metadata-Version", "Name", "Version"):
        found = headers.get_all(name) or []
        if len(found) != 1 or not str(found[0]).strip():
            return f"its metadata must say {name} once"
    if not _METADATA_VERSION.fullmatch(str(headers["Metadata-Version"]).strip()):
        return f"its metadata has version {str(headers['Metadata-Version'])[:20]!r}, known are 1.0 to 2.x"
    for line in headers.get_all("Requires-Dist") or []:
        try:
            Requirement(str(line))
        except _UNREADABLE:
            return f"its metadata requires {str(line)[:100]!r}, which is no requirement (PEP 508)"
    requires = headers.get("Requires-Python")
    try:
        SpecifierSet(str(requires or ""))
    except InvalidSpecifier:
        return f"its metadata requires Python {str(requires)[:100]!r}, which is no specifier (PEP 440)"
    return None


def document(metadata: bytes) -> dict[str, Any]:
    """Core metadata as devpi's API spells it: lower case, `_` for `-`, lists for what may repeat.

    Every field is kept, also ones of versions to come. Names that devpi has in the plural get it.
    """
    headers = _headers(metadata)
    keys: dict[str, Any] = {}
    for header, value in headers.items():
        name = header.lower().replace("-", "_")
        name = _PLURAL.get(name, name)
        text = str(value).strip()
        if name in MULTIPLE:
            keys.setdefault(name, []).append(text)
        else:
            keys.setdefault(name, "" if text == "UNKNOWN" else text)
    body = headers.get_payload()
    if isinstance(body, str) and body.strip():
        keys.setdefault("description", body)
    return keys


def form(fields: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """The metadata among an upload form's fields, in the same spelling. What is no metadata is left out."""
    keys: dict[str, Any] = {}
    for field, texts in fields.items():
        name = _PLURAL.get(field, field)
        if name in MULTIPLE:
            keys.setdefault(name, []).extend(text for text in texts if text and text != "UNKNOWN")
        elif name in SINGLE and texts:
            keys[name] = "" if texts[-1] == "UNKNOWN" else texts[-1]
    return keys


def misfits(keys: Mapping[str, Any]) -> list[str]:
    """Known keys, sorted, that have another type than `document` gives them; None says nothing and may be anywhere."""
    return sorted(
        name
        for name, value in keys.items()
        if value is not None
        and ((name in SINGLE and not isinstance(value, str)) or (name in MULTIPLE and not _is_text_or_texts(value)))
    )


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


def _is_text_or_texts(value: object) -> bool:
    # Old forms sent what may repeat once, as a text.
    return isinstance(value, str) or (isinstance(value, list) and all(isinstance(each, str) for each in value))


def _headers(metadata: bytes) -> Message:
    return HeaderParser().parsestr(metadata.decode("utf-8", "replace"))


def _same_version(one: str, other: str) -> bool:
    # Wheel file names spell `+` and `-` of a version as `_` (PEP 427).
    if one.replace("_", "-").replace("+", "-") == other.replace("_", "-").replace("+", "-"):
        return True
    found = parsed(one.replace("_", "+", 1))
    return found is not None and found == parsed(other)
