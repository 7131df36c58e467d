"""What an index's JSON says about projects: versions in order, links of files, requirements that select. No I/O.

Versions that PEP 440 does not know come after all others, oldest guess: they never hide a real one.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from stilton_client import urls
from stilton_client.errors import Failure


@dataclass(frozen=True)
class Link:
    """A file of a release. `rel`: `releasefile`, `doczip` or `toxresult`, the last with `for_href`, the file's URL."""

    rel: str
    href: str
    for_href: str | None = None
    hashes: Mapping[str, str] = field(default_factory=dict)

    @property
    def basename(self) -> str:
        """The file's name."""
        return urls.basename(self.href)


@dataclass(frozen=True)
class Wanted:
    """What a person asks for: a project, or some of its versions."""

    name: str
    requirement: Requirement | None = None
    literal: str | None = None
    """A version that PEP 440 does not know, asked for with `==`."""

    @property
    def has_versions(self) -> bool:
        """Whether it asks for some versions and not for all."""
        return self.literal is not None or bool(self.requirement and self.requirement.specifier)

    def matches(self, version: str) -> bool:
        """Whether a version is asked for; pre-releases are versions like others."""
        if self.literal is not None:
            return version == self.literal
        if self.requirement is None or not self.requirement.specifier:
            return True
        try:
            return self.requirement.specifier.contains(Version(version), prereleases=True)
        except InvalidVersion:
            return False

    @property
    def exact(self) -> str | None:
        """The version of `name==version`, None for anything else."""
        if self.literal is not None:
            return self.literal
        specifiers = list(self.requirement.specifier) if self.requirement else []
        if len(specifiers) == 1 and specifiers[0].operator in ("==", "===") and "*" not in specifiers[0].version:
            return specifiers[0].version
        return None


def wanted(spec: str) -> Wanted:
    """`name`, `name==1.0`, `name>=2,<3`. Raises Failure."""
    try:
        requirement = Requirement(spec)
    except InvalidRequirement as error:
        name, equals, version = spec.partition("==")
        if equals and re.fullmatch(r"[A-Za-z0-9._-]+", name.strip()) and version.strip():
            return Wanted(name.strip(), literal=version.strip().lstrip("="))
        raise Failure(f"{spec!r} is no requirement", "Write name, name==1.0 or 'name>=2' (with quotes).") from error
    return Wanted(requirement.name, requirement)


def newest_first(versions: Iterable[str]) -> list[str]:
    """Versions in descending order, those that PEP 440 does not know last."""
    return sorted(versions, key=version_key, reverse=True)


def version_key(version: str) -> tuple[bool, Any, str]:
    """Sorts versions ascending."""
    try:
        return (True, Version(version), version)
    except InvalidVersion:
        return (False, 0, version)


def links(release: Mapping[str, Any], base: str, rel: str | None = None) -> list[Link]:
    """The links of a version's JSON, their URLs made absolute from `base`; only those of `rel` if it is given."""
    found = []
    for entry in release.get("+links") or ():
        if not isinstance(entry, Mapping) or not isinstance(entry.get("href"), str):
            continue
        link = Link(
            rel=str(entry.get("rel", "")),
            href=urls.without_fragment(urls.join(base, entry["href"])),
            for_href=urls.without_fragment(urls.join(base, entry["for_href"])) if entry.get("for_href") else None,
            hashes=dict(entry.get("hashes") or _hash(entry.get("hash_spec"))),
        )
        if rel is None or link.rel == rel:
            found.append(link)
    return found


def shadowed(release: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """The same version in later indexes, which this one hides."""
    return [entry for entry in release.get("+shadowing") or () if isinstance(entry, Mapping)]


def same_name(one: str, other: str) -> bool:
    """Whether both name one project (PEP 503)."""
    return canonicalize_name(one) == canonicalize_name(other)


def _hash(spec: object) -> dict[str, str]:
    algorithm, _, digest = str(spec or "").partition("=")
    return {algorithm: digest} if digest else {}
