"""A pin: one version of a project that has to be there, and which of its files count.

Lock files pin, and so does a resolution. Pure.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from packaging.markers import Marker, UndefinedComparison
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from stilton_client.errors import Failure
from stilton_client.simple import File, Page
from stilton_client.targets import Target


@dataclass(frozen=True)
class Pin:
    """`hashes` ("sha256:…"): only files with one of them count; `named`: files that are wanted in any case."""

    project: str
    version: str
    hashes: frozenset[str] = frozenset()
    named: frozenset[str] = frozenset()

    def __str__(self) -> str:
        return f"{self.project} {self.version}"


class Missing(Exception):
    """There is no file for a pin; says why."""


def spelled(algorithm: str, digest: str) -> str:
    """A hash as pins spell it."""
    return f"{algorithm}:{digest}".lower()


def holds(marker: str, target: Target) -> bool:
    """Whether a marker is true on a target, with any extra that it asks for; an empty one is. Raises Failure."""
    if not marker:
        return True
    asked = re.findall(r"extra\s*==\s*['\"]([^'\"]+)", marker)
    try:
        parsed = Marker(marker)
        return any(
            parsed.evaluate({**target.environment, "extra": extra}, context="requirement") for extra in ("", *asked)
        )
    except (ValueError, UndefinedComparison) as error:
        raise Failure(f"the marker {marker!r} is not understood") from error


def choose(pin: Pin, page: Page, target: Target, *, every: bool = False) -> list[File]:
    """The files of a page that a pin wants on a target; with `every` all that count. Raises Missing."""
    files = [file for file in page if file.version == _version(pin.version)]
    if not files:
        raise Missing("no such version")
    files = [file for file in files if _is_allowed(file, pin)]
    if not files:
        raise Missing("no file with a locked hash")
    if every:
        return files
    named = [file for file in files if file.filename in pin.named]
    fitting = _installable(files, target) if not named or len(target.platforms) > 1 else []
    if not named and not fitting:
        raise Missing(f"no wheel for {target}, and no sdist")
    return list({file.url: file for file in (*named, *fitting)}.values())


def newest(asked: Requirement, page: Page, target: Target, hashes: frozenset[str] = frozenset()) -> Pin:
    """The newest version that a requirement allows and a target can have; yanked ones only by name. Raises Missing."""
    exact = any(each.operator in ("==", "===") for each in asked.specifier)
    offered = {file.version for file in page if file.version is not None and (exact or not file.is_yanked)}
    why = Missing("no such version")
    for version in sorted(asked.specifier.filter(offered), reverse=True):
        pin = Pin(canonicalize_name(asked.name), str(version), hashes)
        try:
            choose(pin, page, target)
        except Missing as missing:
            why = missing
            continue
        return pin
    raise why


def _version(text: str) -> Version | None:
    try:
        return Version(text)
    except InvalidVersion:
        return None


def _is_allowed(file: File, pin: Pin) -> bool:
    """Whether a file may have a locked hash: where the page tells no hash of that kind, its bytes will."""
    kinds = {known.partition(":")[0] for known in pin.hashes}
    comparable = {spelled(name, digest) for name, digest in file.hashes.items() if name.lower() in kinds}
    return not comparable or bool(comparable & pin.hashes)


def _installable(files: Iterable[File], target: Target) -> list[File]:
    """The best wheels of one version, else its sdist."""
    suited = [file for file in files if target.suits(file.requires_python)]
    wheels = {file.filename: file for file in sorted(suited, key=lambda file: file.build, reverse=True)}
    best = target.best({name: file.tags for name, file in wheels.items() if file.is_wheel})
    return [wheels[name] for name in best] or [file for file in suited if not file.is_wheel][:1]
