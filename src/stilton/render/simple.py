"""The simple repository API, HTML and JSON from one model.

Sources: PEP 503, 592, 629, 658/714, 691, 700, 740, 792, 833. JSON says version
1.4 only when everything that 1.1+ demands is known, else 1.0; HTML stays 1.4
for ever (PEP 833).
"""

from collections.abc import Iterable, Iterator
from html import escape
from typing import Any

import msgspec

from stilton.domain.files import File, Project, best_hash, offers_metadata, reference
from stilton.domain.names import ProjectName, same_versions, version_of

API_VERSION = "1.4"
DOWNGRADED = "1.0"
# Meta keys are upstream's; these two are said anew.
_OWN_META = ("api-version", "_last-serial")


def page_json(project: Project, prefix: str) -> bytes:
    """One project as PEP 691 JSON. `prefix`: from the page's URL to the index, e.g. `../../`."""
    complete = all(file.size is not None for file in project.files)
    meta: dict[str, Any] = {k: v for k, v in project.meta.items() if k not in _OWN_META}
    meta["api-version"] = API_VERSION if complete else DOWNGRADED
    if project.serial is not None:
        meta["_last-serial"] = project.serial
    page: dict[str, Any] = {
        **project.more,
        "meta": meta,
        "name": project.name,
        "files": [_file(file, prefix) for file in project.files],
    }
    if complete:
        page["versions"] = _versions(project)
        if project.status:
            page["project-status"] = project.status
    return msgspec.json.encode(page)


def page_html(project: Project, prefix: str, index: str, notes: Iterable[str] = ()) -> bytes:
    """One project as PEP 503 HTML. `notes`: sentences for people, installers pass them over."""
    head = [_meta("pypi:repository-version", API_VERSION)]
    if project.status:
        head.append(_meta("pypi:project-status", project.status.status))
        if project.status.reason:
            head.append(_meta("pypi:project-status-reason", project.status.reason))
    if project.serial is not None:
        head.append(_meta("pypi:last-serial", str(project.serial)))
    title = escape(f"{index}: links for {project.name}")
    body = [*(f"<p>{escape(note)}</p>" for note in notes), *(_anchor(file, prefix) for file in project.files)]
    return "".join(_document(title, head, body)).encode()


def list_json(names: Iterable[ProjectName], serial: int | None = None) -> Iterator[bytes]:
    """All project names as JSON, in pieces: lists have 900,000 entries."""
    meta: dict[str, Any] = {"api-version": API_VERSION}
    if serial is not None:
        meta["_last-serial"] = serial
    yield b'{"meta":' + msgspec.json.encode(meta) + b',"projects":['
    for at, batch in enumerate(_batches(names)):
        body = ",".join(f'{{"name":"{name}"}}' for name in batch)
        yield (("," if at else "") + body).encode()
    yield b"]}"


def list_html(names: Iterable[ProjectName], index: str) -> Iterator[bytes]:
    """All project names as HTML, in pieces."""
    title = escape(f"{index}: simple list (including inherited indices)")
    batches = ("\n".join(f'<a href="{name}/">{name}</a><br>' for name in batch) for batch in _batches(names))
    for line in _document(title, [_meta("pypi:repository-version", API_VERSION)], batches):
        yield line.encode()


def _file(file: File, prefix: str) -> dict[str, Any]:
    url = prefix + reference(file)
    entry: dict[str, Any] = {
        **file.more,
        "filename": file.filename,
        "url": url,
        "hashes": file.hashes,
    }
    if file.requires_python:
        entry["requires-python"] = file.requires_python
    if file.size is not None:
        entry["size"] = file.size
    if file.upload_time:
        entry["upload-time"] = file.upload_time
    entry["yanked"] = file.yanked
    metadata = file.core_metadata if offers_metadata(file) else False
    # PEP 714: the old name says the same, for clients that know only it.
    entry["core-metadata"] = entry["dist-info-metadata"] = True if metadata is None else metadata
    if file.provenance is not None:
        entry["provenance"] = _provenance(file, url)
    if file.gpg_sig is not None:
        entry["gpg-sig"] = file.gpg_sig
    return entry


def _versions(project: Project) -> list[str]:
    """What upstream lists, and whatever its files show beyond that (PEP 700: a superset)."""
    found = (version_of(file.filename, project.name) for file in project.files)
    _, new = same_versions(project.versions, (version for version in found if version))
    return [*dict.fromkeys(project.versions), *new]


def _anchor(file: File, prefix: str) -> str:
    url = plain = prefix + reference(file)
    best = best_hash(file.hashes)
    if best:
        url += f"#{best[0]}={best[1]}"
    attributes = [f'href="{escape(url)}"']
    if file.requires_python:
        attributes.append(f'data-requires-python="{escape(file.requires_python)}"')
    if file.yanked is not False:
        reason = "" if file.yanked is True else escape(file.yanked)
        attributes.append(f'data-yanked="{reason}"')
    if offers_metadata(file):
        metadata = "true"
        if isinstance(file.core_metadata, dict) and "sha256" in file.core_metadata:
            metadata = f"sha256={file.core_metadata['sha256']}"
        attributes += [f'data-core-metadata="{metadata}"', f'data-dist-info-metadata="{metadata}"']
    if file.provenance:
        attributes.append(f'data-provenance="{escape(_provenance(file, plain))}"')
    if file.gpg_sig is not None:
        attributes.append(f'data-gpg-sig="{str(file.gpg_sig).lower()}"')
    return f"<a {' '.join(attributes)}>{escape(file.filename)}</a><br>"


def _provenance(file: File, url: str) -> str:
    said = file.provenance or ""
    return url + said if said.startswith(".") else said


def _document(title: str, head: list[str], body: Iterable[str]) -> Iterator[str]:
    metas = "\n".join(head)
    yield f"<!DOCTYPE html>\n<html>\n<head>\n{metas}\n<title>{title}</title>\n</head>\n<body>\n<h1>{title}</h1>\n"
    for line in body:
        yield line + "\n"
    yield "</body>\n</html>\n"


def _meta(name: str, content: str) -> str:
    return f'<meta name="{name}" content="{escape(content)}">'


def _batches(names: Iterable[ProjectName], size: int = 10_000) -> Iterator[list[ProjectName]]:
    batch: list[ProjectName] = []
    for name in names:
        batch.append(name)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch
