"""Lock files: which files of which versions they want, on which machines. Pure: text in, pins out.

    pylock.toml, pylock.NAME.toml    PEP 751
    uv.lock, NAME.py.lock            uv; a graph, see `uvlocks`
    poetry.lock                      Poetry
    pdm.lock                         PDM
    Pipfile.lock                     Pipenv (JSON)

All extras and all groups of dependencies count: who works without a network wants the tests' tools, too.
"""

import json
import re
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from packaging.markers import Marker
from packaging.pylock import Pylock, PylockValidationError
from packaging.utils import canonicalize_name, parse_sdist_filename, parse_wheel_filename

from stilton_client import uvlocks
from stilton_client.errors import Failure
from stilton_client.pins import Pin, holds, spelled
from stilton_client.targets import Target


class Lock(Protocol):
    """A lock file that was read. `elsewhere`: what it takes from no index, with the reason."""

    @property
    def elsewhere(self) -> tuple[str, ...]:
        """Packages that come from no index."""

    def pins(self, target: Target) -> list[Pin]:
        """What it installs on a target. Raises Failure when it is not meant for that one."""


@dataclass(frozen=True)
class Entry:
    """A pin, and when it counts: one of the markers holds (none: always) and Python is right."""

    pin: Pin
    markers: tuple[str, ...] = ()
    requires_python: str | None = None

    def counts(self, target: Target) -> bool:
        """Whether the package is installed on a target."""
        fits = not self.markers or any(holds(marker, target) for marker in self.markers)
        return fits and target.suits(self.requires_python)


@dataclass(frozen=True)
class Listed:
    """A lock that is a list: each entry says for itself when it counts."""

    entries: tuple[Entry, ...]
    elsewhere: tuple[str, ...] = ()
    requires_python: str | None = None

    def pins(self, target: Target) -> list[Pin]:
        """See Lock."""
        if not target.suits(self.requires_python):
            raise Failure(f"it is for Python {self.requires_python}")
        return list(dict.fromkeys(entry.pin for entry in self.entries if entry.counts(target)))


@dataclass(frozen=True)
class Standard:
    """A lock by PEP 751, whose markers know extras and groups."""

    lock: Pylock

    @property
    def elsewhere(self) -> tuple[str, ...]:
        """See Lock."""
        kinds = ("vcs", "directory", "archive")
        found = (
            (each.name, next((kind for kind in kinds if getattr(each, kind)), None)) for each in self.lock.packages
        )
        return tuple(f"{name} ({kind})" for name, kind in found if kind)

    def pins(self, target: Target) -> list[Pin]:
        """See Lock."""
        self._check(target)
        return [_standard_pin(each) for each in self.lock.packages if not each.is_direct and self._counts(each, target)]

    def _check(self, target: Target) -> None:
        if not target.suits(str(self.lock.requires_python or "")):
            raise Failure(f"it is for Python {self.lock.requires_python}")
        environments = self.lock.environments or ()
        if environments and not any(holds(str(marker), target) for marker in environments):
            raise Failure("it is not for this platform")

    def _counts(self, package: Any, target: Target) -> bool:  # noqa: ANN401 - packaging has no name for it in __all__
        if package.marker is None:
            return True
        extras, groups = frozenset(self.lock.extras or ()), frozenset(self.lock.dependency_groups or ())
        # With all and with none: `'x' not in extras` is asked, too.
        for chosen in ({"extras": extras, "dependency_groups": groups}, {}):
            if package.marker.evaluate({**target.environment, **chosen}, context="lock_file"):
                return True
        return False


def is_lock(name: str) -> bool:
    """Whether a file of this name is a lock file."""
    return _reader(name) is not None


def read(name: str, text: str) -> Lock:
    """The lock file of that name. Raises Failure for what is not understood."""
    reader = _reader(name)
    assert reader is not None
    try:
        data = json.loads(text) if name == "Pipfile.lock" else tomllib.loads(text)
        lock = reader(data)
    except (ValueError, TypeError, KeyError, AttributeError, PylockValidationError) as error:
        # Errors of JSON, TOML, markers and versions are ValueErrors.
        raise Failure(
            f"{name} is not understood: {error}", "Lock again with the tool that wrote it, or take a newer devpi."
        ) from error
    if _is_empty(name, data):
        raise Failure(f"{name} has no packages", "Lock again with the tool that wrote it.")
    return lock


def _reader(name: str) -> Callable[[Mapping[str, Any]], Lock] | None:
    for pattern, reader in _READERS.items():
        if re.fullmatch(pattern, name):
            return reader
    return None


def _is_empty(name: str, data: Mapping[str, Any]) -> bool:
    """Whether it has nothing, not even a project of its own."""
    if name == "Pipfile.lock":
        return not any(data[group] for group in data if group != "_meta")
    return not (data.get("package") or data.get("packages"))


def _standard(data: Mapping[str, Any]) -> Lock:
    return Standard(Pylock.from_dict(data))


def _standard_pin(package: Any) -> Pin:  # noqa: ANN401 - see above
    files = [*(package.wheels or ()), *([package.sdist] if package.sdist else [])]
    version = str(package.version or _version(files[0].filename))
    hashes = frozenset(spelled(name, value) for file in files for name, value in file.hashes.items())
    return Pin(package.name, version, hashes)


def _version(filename: str) -> object:
    return (parse_wheel_filename if filename.endswith(".whl") else parse_sdist_filename)(filename)[1]


def _poetry(data: Mapping[str, Any]) -> Lock:
    former = data.get("metadata", {}).get("files", {})  # before Poetry 1.3
    packages = [{**each, "files": each.get("files") or former.get(each["name"], [])} for each in data["package"]]
    elsewhere = {each["name"]: each["source"]["type"] for each in packages if _is_direct(each)}
    entries = (
        Entry(_pin(each), _markers(each.get("markers")), _python(each.get("python-versions")))
        for each in packages
        if each["name"] not in elsewhere
    )
    return Listed(tuple(entries), _named(elsewhere))


def _is_direct(package: Mapping[str, Any]) -> bool:
    # "legacy" is another index, whose files ours may have.
    return bool(package.get("source", {}).get("type", "legacy") != "legacy")


def _python(versions: str | None) -> str | None:
    # Poetry's own "or" and caret are no standard; markers say the same.
    return None if versions is None or versions == "*" or re.search(r"\|\||\^", versions) else versions


def _markers(said: str | Mapping[str, str] | None) -> tuple[str, ...]:
    """A marker, or one for each group."""
    if said is None:
        return ()
    found = tuple(said.values()) if isinstance(said, Mapping) else (said,)
    return () if "" in found else tuple(str(Marker(marker)) for marker in found)


def _pdm(data: Mapping[str, Any]) -> Lock:
    kinds = ("git", "hg", "svn", "bzr", "path", "url")
    direct = {each["name"]: kind for each in data["package"] for kind in kinds if kind in each}
    entries = (
        Entry(_pin(each), _markers(each.get("marker")), each.get("requires_python"))
        for each in data["package"]
        if each["name"] not in direct
    )
    return Listed(tuple(entries), _named(direct), data.get("metadata", {}).get("requires_python"))


def _pin(package: Mapping[str, Any]) -> Pin:
    """Of Poetry and PDM, which both list `{file|url, hash}`."""
    hashes = frozenset(str(file["hash"]).lower() for file in package.get("files", ()) if file.get("hash"))
    return Pin(canonicalize_name(package["name"]), str(package["version"]), hashes)


def _pipfile(data: Mapping[str, Any]) -> Lock:
    packages = [(name, each) for group in data if group != "_meta" for name, each in data[group].items()]
    direct = {name: _first(each, ("git", "path", "file")) for name, each in packages if "version" not in each}
    entries = (
        Entry(
            Pin(
                canonicalize_name(name),
                each["version"].removeprefix("=="),
                frozenset(map(str.lower, each.get("hashes", ()))),
            ),
            _markers(each.get("markers")),
        )
        for name, each in packages
        if name not in direct
    )
    return Listed(tuple(entries), _named(direct))


def _first(package: Mapping[str, Any], kinds: Iterable[str]) -> str:
    return next((kind for kind in kinds if kind in package), "no version")


def _named(direct: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(f"{name} ({kind})" for name, kind in sorted(direct.items()))


_READERS: dict[str, Callable[[Mapping[str, Any]], Lock]] = {
    r"pylock(\.[^.]+)?\.toml": _standard,
    r"uv\.lock|.+\.py\.lock": uvlocks.read,
    r"poetry\.lock": _poetry,
    r"pdm\.lock": _pdm,
    r"Pipfile\.lock": _pipfile,
}
