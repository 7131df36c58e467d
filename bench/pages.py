"""Simple pages of the benchmark's upstream: one model, rendered as HTML (PEP 503) and JSON (PEP 691, API 1.1).

File links are relative, so that the same pages work on any port and behind the
latency proxy. What is served where: `bench.upstream`.
"""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from html import escape
from typing import Any

from bench.wheels import filename

REQUIRES_PYTHON = ">=3.8"
# One release in five minutes, from here on.
_FIRST_UPLOAD = datetime(2024, 1, 1, tzinfo=UTC)
MANY_FILES = 5_000
_TAGS = (
    "cp311-cp311-manylinux_2_17_x86_64",
    "cp312-cp312-manylinux_2_17_x86_64",
    "cp312-cp312-macosx_11_0_arm64",
    "cp312-cp312-win_amd64",
)


@dataclass(frozen=True)
class File:
    """A line of a page. `metadata_sha256` is None for files that have no METADATA, such as sdists."""

    name: str
    version: str
    sha256: str
    size_bytes: int
    metadata_sha256: str | None


def many(project: str) -> list[File]:
    """Five files per release, 5,000 in all; only the page is real."""
    return [file for number in range(MANY_FILES // 5) for file in _release(project, f"{number // 20}.{number % 20}")]


def as_json(project: str, files: Sequence[File]) -> bytes:
    """The page as PEP 691 and 700 have it."""
    page = {
        "meta": {"api-version": "1.1"},
        "name": project,
        "versions": list(dict.fromkeys(file.version for file in files)),
        "files": [_json_entry(number, file) for number, file in enumerate(files)],
    }
    return json.dumps(page, separators=(",", ":")).encode()


def as_html(project: str, files: Iterable[File]) -> bytes:
    """The page as PEP 503, 629 and 714 have it."""
    links = "".join(_html_link(file) for file in files)
    return _html(f"Links for {project}", links)


def list_as_json(projects: Iterable[str]) -> bytes:
    """The list of all projects."""
    page = {"meta": {"api-version": "1.1"}, "projects": [{"name": project} for project in projects]}
    return json.dumps(page, separators=(",", ":")).encode()


def list_as_html(projects: Iterable[str]) -> bytes:
    """The list of all projects."""
    return _html("Simple index", "".join(f'<a href="{project}/">{project}</a><br/>\n' for project in projects))


def _release(project: str, version: str) -> list[File]:
    sdist = f"{project.replace('-', '_')}-{version}.tar.gz"
    return [_imagined(sdist, version), *(_imagined(filename(project, version, tag), version) for tag in _TAGS)]


def _imagined(name: str, version: str) -> File:
    """A file that exists on the page only; its hashes compress as badly as real ones."""
    digest = hashlib.sha256(name.encode())
    metadata = hashlib.sha256(version.encode()).hexdigest() if name.endswith(".whl") else None
    return File(name, version, digest.hexdigest(), 1_000_000 + digest.digest()[0], metadata)


def _json_entry(number: int, file: File) -> dict[str, Any]:
    uploaded = _FIRST_UPLOAD + timedelta(minutes=5 * number, microseconds=number + 1)
    metadata = {"sha256": file.metadata_sha256} if file.metadata_sha256 else False
    return {
        "filename": file.name,
        "url": f"../../files/{file.name}",
        "hashes": {"sha256": file.sha256},
        "requires-python": REQUIRES_PYTHON,
        "size": file.size_bytes,
        "upload-time": uploaded.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "yanked": False,
        "core-metadata": metadata,
        "data-dist-info-metadata": metadata,
    }


def _html_link(file: File) -> str:
    metadata = f' data-core-metadata="sha256={file.metadata_sha256}"' if file.metadata_sha256 else ""
    url = f"../../files/{file.name}#sha256={file.sha256}"
    return f'<a href="{url}" data-requires-python="{escape(REQUIRES_PYTHON)}"{metadata}>{file.name}</a><br/>\n'


def _html(title: str, body: str) -> bytes:
    meta = '<meta name="pypi:repository-version" content="1.1">'
    head = f"<!DOCTYPE html>\n<html><head>{meta}<title>{title}</title></head>"
    return f"{head}<body>\n<h1>{title}</h1>\n{body}</body></html>\n".encode()
