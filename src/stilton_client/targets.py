"""Pythons and platforms to install for: which wheels fit, which markers hold. Pure, but for the question what runs us.

The names of platforms are in `platforms`.
"""

import re
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product

from packaging import tags
from packaging.markers import default_environment
from packaging.specifiers import SpecifierSet
from packaging.tags import Tag

from stilton_client import platforms
from stilton_client.errors import EXIT_USAGE, Failure

# A minor version alone means its newest patch: "3.9" has to satisfy ">=3.9.2".
NEWEST_PATCH = 99
OLDEST_PYTHON = (3, 8)
HERE = "this platform"


@dataclass(frozen=True)
class Target:
    """One Python on one platform.

    `environment`: what markers ask; `platforms`: platform tags, best first, a list for each age of machine;
    `is_native`: it is the Python that runs us, here.
    """

    python: str
    platform: str
    environment: Mapping[str, str]
    platforms: tuple[tuple[str, ...], ...]
    is_native: bool = False

    def __str__(self) -> str:
        return f"Python {self.python} on {self.platform}"

    @property
    def version(self) -> str:
        """The whole version of Python, as requirements on it are asked."""
        return self.environment["python_full_version"].rstrip("+")

    def suits(self, requires_python: str | None) -> bool:
        """Whether something with this Requires-Python may be installed; what is not understood may."""
        try:
            return SpecifierSet(requires_python or "").contains(self.version, prereleases=True)
        except ValueError:
            return True

    def best(self, wheels: Mapping[str, Collection[Tag]]) -> list[str]:
        """Of wheels (name -> tags) those that installers take here: one for each age of machine, if it is another.

        Of wheels that fit equally well the first is taken.
        """
        found: dict[str, None] = {}
        for rank in self._ranks:
            fitting = {
                name: min(rank[tag] for tag in has if tag in rank)
                for name, has in wheels.items()
                if any(tag in rank for tag in has)
            }
            if fitting:
                found[min(fitting, key=lambda name: fitting[name])] = None
        return list(found)

    @cached_property
    def _ranks(self) -> tuple[Mapping[Tag, int], ...]:
        if self.is_native:
            return (_ranked(tags.sys_tags()),)
        return tuple(_ranked(_tags(self.python, each)) for each in self.platforms)


def native() -> Target:
    """What runs us."""
    environment = {key: str(value) for key, value in default_environment().items()}
    return Target(_minor(), HERE, environment, (tuple(tags.platform_tags()),), is_native=True)


def targets(pythons: Sequence[str], places: Sequence[str]) -> list[Target]:
    """Each Python on each platform; without any, what runs us. Raises Failure for names that nobody knows."""
    if not pythons and not places:
        return [native()]
    versions = dict.fromkeys(pythons or (_minor(),))
    named: Iterable[str | None] = dict.fromkeys(map(platforms.known, places)) or (None,)
    return [_target(version, place) for version, place in product(versions, named)]


def _target(python: str, platform: str | None) -> Target:
    full = _full(python)
    if platform is None:
        here = native()
        if python == here.python or full == here.version:
            return here
        return Target(python, here.platform, {**here.environment, **_python(full)}, here.platforms)
    markers = {**platforms.markers(platform), **_python(full)}
    return Target(python, platform, markers, platforms.tags(platform))


def _minor() -> str:
    return f"{sys.version_info[0]}.{sys.version_info[1]}"


def _full(python: str) -> str:
    """`3.12` and `3.12.4` as whole versions. Raises Failure."""
    parts = re.fullmatch(r"3\.(\d{1,3})(?:\.(\d{1,3}))?", python)
    if parts is None or (3, int(parts[1])) < OLDEST_PYTHON:
        oldest = ".".join(map(str, OLDEST_PYTHON))
        raise Failure(f"{python!r} is no version of Python that is known", f"Write {oldest} or later.", code=EXIT_USAGE)
    return f"3.{parts[1]}.{parts[2] or NEWEST_PATCH}"


def _python(full: str) -> dict[str, str]:
    return {
        "implementation_name": "cpython",
        "implementation_version": full,
        "platform_python_implementation": "CPython",
        "python_full_version": full,
        "python_version": ".".join(full.split(".")[:2]),
    }


def _tags(python: str, wanted: Sequence[str]) -> Iterator[Tag]:
    version = tuple(map(int, python.split(".")[:2]))
    interpreter = f"cp{version[0]}{version[1]}"
    yield from tags.cpython_tags(version, [interpreter], wanted)
    yield from tags.compatible_tags(version, interpreter, wanted)


def _ranked(ordered: Iterable[Tag]) -> dict[Tag, int]:
    ranks: dict[Tag, int] = {}
    for rank, tag in enumerate(ordered):
        ranks.setdefault(tag, rank)
    return ranks
