"""The data of the benchmark's upstream, as a folder that nginx serves (`bench.nginx`).

data/
  simple/index.{json,html}[.gz]         the list of projects
  simple/{project}/index.{json,html}    a page; .gz beside it
  files/{wheel}, {wheel}.metadata
  made                                  VERSION, once all of the above is there
"""

import gzip
import hashlib
import shutil
from dataclasses import dataclass
from pathlib import Path

from bench import pages, wheels
from bench.pages import File

ROOT = wheels.ROOT
SMALL = "bench-small"
MANY = "bench-many"
HUGE = "bench-huge"
HUGE_WHEEL = wheels.filename(HUGE, "1.0")
SMALL_RELEASES = 10
# Raised when the data change, so that a kept folder is made again.
VERSION = "upstream-v1"


@dataclass(frozen=True)
class Site:
    """Where the data are served. `hits` has a line for each answer with the huge wheel."""

    url: str
    hits: Path


def build(data: Path) -> None:
    """Make the folder unless it is there; takes some five seconds."""
    made = data / "made"
    if made.is_file() and made.read_text() == VERSION:
        return
    shutil.rmtree(data, ignore_errors=True)
    (data / "files").mkdir(parents=True)
    listed = {project: _small_files(data, project, [need]) for project, need in _wanted().items()}
    listed[SMALL] = _small_files(data, SMALL, [[] for _ in range(SMALL_RELEASES)])
    listed[HUGE] = [_huge_file(data)]
    listed[MANY] = _many_files(data)
    for project, files in listed.items():
        _write_page(data / "simple" / project, pages.as_json(project, files), pages.as_html(project, files))
    _write_page(data / "simple", pages.list_as_json(listed), pages.list_as_html(listed))
    made.write_text(VERSION)


def _wanted() -> dict[str, list[str]]:
    return wheels.requirements()


def _small_files(data: Path, project: str, releases: list[list[str]]) -> list[File]:
    """Write one wheel per release; `releases` says what each requires."""
    files = []
    for number, requires in enumerate(releases):
        wheel = wheels.small(project, f"1.{number}", requires)
        (data / "files" / wheel.filename).write_bytes(wheel.content)
        _write_metadata(data, wheel.filename, wheel.metadata)
        files.append(
            File(wheel.filename, wheel.version, _sha256(wheel.content), len(wheel.content), _sha256(wheel.metadata))
        )
    return files


def _huge_file(data: Path) -> File:
    metadata = wheels.write_huge(data / "files", HUGE, "1.0")
    _write_metadata(data, HUGE_WHEEL, metadata)
    path = data / "files" / HUGE_WHEEL
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return File(HUGE_WHEEL, "1.0", digest, path.stat().st_size, _sha256(metadata))


def _many_files(data: Path) -> list[File]:
    """Only the newest release has METADATA to fetch: that is what a cache may read ahead."""
    files = pages.many(MANY)
    newest = files[-1].version
    metadata = wheels.metadata_of(MANY, newest, [])
    for number, file in enumerate(files):
        if file.version == newest and file.metadata_sha256:
            _write_metadata(data, file.name, metadata)
            files[number] = File(file.name, file.version, file.sha256, file.size_bytes, _sha256(metadata))
    return files


def _write_metadata(data: Path, name: str, metadata: bytes) -> None:
    (data / "files" / f"{name}.metadata").write_bytes(metadata)


def _write_page(folder: Path, as_json: bytes, as_html: bytes) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, body in (("index.json", as_json), ("index.html", as_html)):
        (folder / name).write_bytes(body)
        (folder / f"{name}.gz").write_bytes(gzip.compress(body, 6, mtime=0))


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
