"""Distributions to test with: small, real, installable."""

import hashlib
import io
import tarfile
import zipfile
from dataclasses import dataclass


@dataclass(frozen=True)
class Dist:
    """A distribution file; `metadata` is what its METADATA or PKG-INFO says."""

    filename: str
    content: bytes
    metadata: bytes

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.content).hexdigest()

    @property
    def metadata_sha256(self) -> str:
        return hashlib.sha256(self.metadata).hexdigest()

    @property
    def path(self) -> str:
        """Where an index offers it, by its sha256."""
        return f"+f/{self.sha256[:3]}/{self.sha256[3:16]}/{self.filename}"


def metadata_of(name: str, version: str, requires: tuple[str, ...] = (), requires_python: str | None = None) -> bytes:
    lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
    lines += [f"Requires-Dist: {requirement}" for requirement in requires]
    if requires_python:
        lines.append(f"Requires-Python: {requires_python}")
    return ("\n".join(lines) + "\n\nA description.\n").encode()


def a_wheel(
    name: str = "pkg",
    version: str = "1.0",
    *,
    requires: tuple[str, ...] = (),
    payload: bytes = b"",
    metadata: bytes | None = None,
) -> Dist:
    """A pure wheel that installs. `payload`: bytes of a data file inside, to make it large."""
    safe = name.replace("-", "_")
    folder = f"{safe}-{version}.dist-info"
    metadata = metadata if metadata is not None else metadata_of(name, version, requires)
    members = {
        f"{safe}/__init__.py": f'__version__ = "{version}"\n'.encode(),
        f"{folder}/METADATA": metadata,
        f"{folder}/WHEEL": b"Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    if payload:
        members[f"{safe}/payload.bin"] = payload
    record = "".join(f"{member},,\n" for member in [*members, f"{folder}/RECORD"])
    members[f"{folder}/RECORD"] = record.encode()
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        for member, content in members.items():
            archive.writestr(zipfile.ZipInfo(member, (2020, 1, 1, 0, 0, 0)), content)
    return Dist(f"{safe}-{version}-py3-none-any.whl", out.getvalue(), metadata)


def an_sdist(name: str = "pkg", version: str = "1.0") -> Dist:
    """A source distribution with only PKG-INFO inside."""
    metadata = metadata_of(name, version)
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        info = tarfile.TarInfo(f"{name}-{version}/PKG-INFO")
        info.size = len(metadata)
        archive.addfile(info, io.BytesIO(metadata))
    return Dist(f"{name}-{version}.tar.gz", out.getvalue(), metadata)
