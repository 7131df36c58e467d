"""Wheels for the benchmark: small ones that require each other, and a huge one.

The same bytes on every machine: random numbers are seeded, times are fixed.
Knows nothing of pages (`bench.pages`) and servers.
"""

import base64
import hashlib
import itertools
import random
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

ROOT = "bench-root"
# Projects per layer under the root: ten layers, 299 projects.
LAYERS = (5, 10, 20, 30, 40, 44, 50, 50, 30, 20)
PAYLOAD_BYTES = 18_000
HUGE_BYTES = 200_000_000
_PIECE_BYTES = 4_000_000
_WHEEL = "Wheel-Version: 1.0\nGenerator: bench\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
_WHEN = (2024, 1, 1, 0, 0, 0)


@dataclass(frozen=True)
class Wheel:
    """A wheel and its METADATA."""

    project: str
    version: str
    content: bytes
    metadata: bytes

    @property
    def filename(self) -> str:
        """As PEP 427 spells it."""
        return filename(self.project, self.version)


def filename(project: str, version: str, tag: str = "py3-none-any") -> str:
    """The file name of a project's wheel."""
    return f"{project.replace('-', '_')}-{version}-{tag}.whl"


def requirements() -> dict[str, list[str]]:
    """What each of the 300 projects requires; together they are all that the root pulls in."""
    rng = random.Random(2)
    names = iter(f"bench-lib-{number:03}" for number in range(sum(LAYERS)))
    layers = [[next(names) for _ in range(width)] for width in LAYERS]
    found: dict[str, list[str]] = {ROOT: list(layers[0])}
    for upper, lower in itertools.pairwise(layers):
        for place, name in enumerate(upper):
            own = lower[place :: len(upper)]
            found[name] = sorted({*own, rng.choice(lower)})
    found.update((name, []) for name in layers[-1])
    return found


def small(project: str, version: str, requires: list[str]) -> Wheel:
    """A wheel of about 20 kB that installs."""
    package = project.replace("-", "_")
    metadata = metadata_of(project, version, requires)
    payload = random.Random(f"{project} {version}").randbytes(PAYLOAD_BYTES)
    members = [(f"{package}/__init__.py", f'VERSION = "{version}"\n'.encode()), (f"{package}/payload.bin", payload)]
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        record = [_add(archive, name, content) for name, content in members]
        _finish(archive, f"{package}-{version}.dist-info", metadata, record)
    return Wheel(project, version, buffer.getvalue(), metadata)


def write_huge(folder: Path, project: str, version: str) -> bytes:
    """Write a stored wheel of 200 MB; its METADATA is returned."""
    package = project.replace("-", "_")
    metadata = metadata_of(project, version, [])
    digest = hashlib.sha256()
    with zipfile.ZipFile(folder / filename(project, version), "w", zipfile.ZIP_STORED) as archive:
        with archive.open(zipfile.ZipInfo(f"{package}/payload.bin", _WHEN), "w") as member:
            for piece in _noise(HUGE_BYTES):
                digest.update(piece)
                member.write(piece)
        line = _record(f"{package}/payload.bin", digest.digest(), HUGE_BYTES)
        _finish(archive, f"{package}-{version}.dist-info", metadata, [line])
    return metadata


def metadata_of(project: str, version: str, requires: list[str]) -> bytes:
    """METADATA with the fields an installer reads, and as much prose as is usual."""
    lines = ["Metadata-Version: 2.1", f"Name: {project}", f"Version: {version}", "Summary: Made for a benchmark"]
    lines += ["Requires-Python: >=3.8", *(f"Requires-Dist: {name}>=1.0" for name in requires)]
    prose = f"{project} has no use but to be downloaded.\n" * 30
    return ("\n".join(lines) + "\n\n" + prose).encode()


def _noise(size_bytes: int) -> Iterator[bytes]:
    rng = random.Random(200)
    for start in range(0, size_bytes, _PIECE_BYTES):
        yield rng.randbytes(min(_PIECE_BYTES, size_bytes - start))


def _finish(archive: zipfile.ZipFile, info: str, metadata: bytes, record: list[str]) -> None:
    """Write the .dist-info folder; RECORD comes last and lists itself without a hash."""
    record.append(_add(archive, f"{info}/METADATA", metadata))
    record.append(_add(archive, f"{info}/WHEEL", _WHEEL.encode()))
    record.append(f"{info}/RECORD,,\n")
    _add(archive, f"{info}/RECORD", "".join(record).encode())


def _add(archive: zipfile.ZipFile, name: str, content: bytes) -> str:
    entry = zipfile.ZipInfo(name, _WHEN)
    entry.compress_type = archive.compression
    archive.writestr(entry, content)
    return _record(name, hashlib.sha256(content).digest(), len(content))


def _record(name: str, digest: bytes, size_bytes: int) -> str:
    return f"{name},sha256={base64.urlsafe_b64encode(digest).rstrip(b'=').decode()},{size_bytes}\n"
