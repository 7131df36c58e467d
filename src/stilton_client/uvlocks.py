"""uv.lock: a graph of packages; which of them a target needs is found by walking it from the project.

    [[package]]  name, version, source = {registry | editable | virtual | directory | git | path | url}
                 dependencies = [{name, version?, extra?, marker?}, …]
                 optional-dependencies, dev-dependencies = {name = [the same]}
                 sdist = {url, hash}, wheels = [{url, hash}, …], resolution-markers = […]
    [manifest]   members = […], requirements = [{name}]  (of a workspace, of a script)

The walk begins at the packages that are worked on here and takes all their extras and groups. Pure.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

from packaging.utils import canonicalize_name

from stilton_client import urls
from stilton_client.errors import Failure
from stilton_client.pins import Pin, holds
from stilton_client.targets import Target

VERSION = 1
_OWN = ("editable", "virtual")
_Table = Mapping[str, Any]


@dataclass(frozen=True)
class Graph:
    """A `locks.Lock`."""

    packages: tuple[_Table, ...]
    roots: tuple[_Table, ...]
    requires_python: str | None

    @property
    def elsewhere(self) -> tuple[str, ...]:
        """Packages that come from no index."""
        found = {each["name"]: _kind(each) for each in self.packages}
        return tuple(f"{name} ({kind})" for name, kind in sorted(found.items()) if kind not in ("registry", *_OWN))

    def pins(self, target: Target) -> list[Pin]:
        """What a target needs. Raises Failure when the lock is not for its Python."""
        if not target.suits(self.requires_python):
            raise Failure(f"it is for Python {self.requires_python}")
        return [_pin(each) for each in self._needed(target) if _kind(each) == "registry"]

    def _needed(self, target: Target) -> Iterator[_Table]:
        edges = deque(self.roots)
        walked: set[tuple[str, str, str]] = set()
        seen: set[tuple[str, str]] = set()
        while edges:
            edge = edges.popleft()
            if not holds(edge.get("marker") or "", target):
                continue
            for package in self._meant(edge, target):
                key = (package["name"], str(package.get("version")))
                if key not in seen:
                    seen.add(key)
                    yield package
                for part in ("", *_extras(edge)):
                    if (*key, part) not in walked:
                        walked.add((*key, part))
                        edges.extend(_edges(package, part))

    def _meant(self, edge: _Table, target: Target) -> list[_Table]:
        """The package of an edge; where a lock has several versions, those for the target."""
        return [
            package
            for package in self.packages
            if package["name"] == edge["name"]
            and edge.get("version", package.get("version")) == package.get("version")
            and _applies(package.get("resolution-markers", ()), target)
        ]


def read(data: _Table) -> Graph:
    """A parsed uv.lock. Raises ValueError, KeyError, TypeError and the like when it is none."""
    if data.get("version") != VERSION:
        raise ValueError(f"its version is {data.get('version')}, only {VERSION} is known here")
    packages = tuple(data.get("package", ()))
    manifest = data.get("manifest", {})
    roots = [{"name": each["name"]} for each in packages if _kind(each) in _OWN]
    roots += [{"name": name} for name in manifest.get("members", ())]
    roots += [{"name": each["name"], "extra": each.get("extras", ())} for each in manifest.get("requirements", ())]
    # Without a project everything is wanted.
    found = roots or [{"name": each["name"], "version": each.get("version")} for each in packages]
    return Graph(packages, tuple(found), data.get("requires-python"))


def _kind(package: _Table) -> str:
    """Where it comes from; a folder of files is no index."""
    kind, place = next(iter(package["source"].items()))
    return "folder" if kind == "registry" and not urls.is_http(place) else str(kind)


def _extras(edge: _Table) -> Sequence[str]:
    return tuple(edge.get("extra", ()))


def _edges(package: _Table, extra: str) -> Iterable[_Table]:
    if extra:
        found: Iterable[_Table] = package.get("optional-dependencies", {}).get(extra, ())
        return found
    edges = [package.get("dependencies", ())]
    if _kind(package) in _OWN:
        for kind in ("optional-dependencies", "dev-dependencies"):
            edges.extend(package.get(kind, {}).values())
    return chain.from_iterable(edges)


def _applies(markers: Sequence[str], target: Target) -> bool:
    return not markers or any(holds(marker, target) for marker in markers)


def _pin(package: _Table) -> Pin:
    files = [*package.get("wheels", ()), *([package["sdist"]] if "sdist" in package else [])]
    hashes = frozenset(str(file["hash"]).lower() for file in files if file.get("hash"))
    return Pin(canonicalize_name(package["name"]), str(package["version"]), hashes)
