"""An upstream's simple pages, HTML or JSON, read into facts. Synchronous and without I/O.

Lenient in what it takes: a file with an odd key is kept, the key is not. Strict
in what it gives: every value is of the form `domain.files` promises. Upstream's
HTML is never passed on.
"""

import contextlib
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote, urljoin, urlsplit, urlunsplit

import msgspec
from selectolax.lexbor import LexborHTMLParser

from stilton.domain.errors import BadName, UpstreamWrong
from stilton.domain.files import HASH_CHARS, STATUSES, File, Project, Status
from stilton.domain.names import ProjectName, is_archive, is_safe_filename, project_name, projects_of

_KNOWN_FILE_KEYS = frozenset({
    "filename", "url", "hashes", "requires-python", "size", "upload-time", "yanked",
    "core-metadata", "dist-info-metadata", "data-dist-info-metadata", "provenance", "gpg-sig",
})  # fmt: skip
_KNOWN_PAGE_KEYS = frozenset({"meta", "name", "files", "versions", "project-status"})
_UPLOAD_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,6})?Z", re.ASCII)
_HEX = re.compile(r"[0-9a-f]+")
_FRAGMENT = re.compile(r"([a-z0-9_]+)=([0-9a-fA-F]+)")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
MAX_SIZE_BYTES = 1 << 50
MAX_SERIAL = 1 << 62
MAX_TEXT_CHARS = 4096
SUPPORTED_MAJOR = "1"


def parse_json(body: bytes, url: str, project: ProjectName) -> Project:
    """A PEP 691 page. `url`: its own, for relative links. Raises UpstreamWrong."""
    page = _object(body, url)
    meta = page.get("meta")
    meta = meta if isinstance(meta, dict) else {}
    _check_version(str(meta.get("api-version", "1.0")), url)
    files = page.get("files")
    if not isinstance(files, list):
        raise UpstreamWrong(f"{url} has no list of files")
    versions = page.get("versions")
    return Project(
        name=project,
        files=_unique(_json_files(files, url, project)),
        versions=tuple(v for v in versions if isinstance(v, str)) if isinstance(versions, list) else (),
        status=_status(page.get("project-status", meta.get("project-status"))),
        serial=_serial(meta.get("_last-serial")),
        meta=_keepable({key: value for key, value in meta.items() if not key.startswith("_")}),
        more=_keepable({key: value for key, value in page.items() if key not in _KNOWN_PAGE_KEYS}),
    )


def parse_html(body: bytes, url: str, project: ProjectName) -> Project:
    """A PEP 503 page. Raises UpstreamWrong."""
    tree = LexborHTMLParser(body)
    metas = {str(node.attributes.get("name")): node.attributes.get("content") or "" for node in tree.css("meta[name]")}
    _check_version(metas.get("pypi:repository-version") or "1.0", url)
    base = tree.css_first("base[href]")
    if base is not None:
        url = _absolute(url, base.attributes.get("href") or "") or url
    status = metas.get("pypi:project-status")
    anchors = (node.attributes for node in tree.css("a[href]"))
    return Project(
        name=project,
        files=_unique(_html_files(anchors, url, project)),
        status=_status({"status": status, "reason": metas.get("pypi:project-status-reason")}) if status else None,
    )


def names_json(body: bytes, url: str) -> list[ProjectName]:
    """All project names of a PEP 691 root page. Raises UpstreamWrong."""
    projects = _object(body, url).get("projects")
    if not isinstance(projects, list):
        raise UpstreamWrong(f"{url} has no list of projects")
    raw = (entry.get("name") for entry in projects if isinstance(entry, dict))
    return _names(name for name in raw if isinstance(name, str))


def names_html(body: bytes) -> list[ProjectName]:
    """All project names of a PEP 503 root page."""
    return _names(node.text().strip() for node in LexborHTMLParser(body).css("a[href]"))


def clean_url(url: str) -> str | None:
    """`url` without fragment and credentials; None when it is no http(s) URL."""
    try:
        parts = urlsplit(url)
        host = parts.hostname
        port = parts.port
    except ValueError:
        return None
    if parts.scheme not in ("http", "https") or not host or _CONTROL.search(url):
        return None
    netloc = f"[{host}]" if ":" in host else host
    if port is not None:
        netloc += f":{port}"
    return urlunsplit((parts.scheme, netloc, parts.path, parts.query, ""))


def _object(body: bytes, url: str) -> dict[str, Any]:
    try:
        page = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise UpstreamWrong(f"{url} is not JSON: {error}") from error
    if not isinstance(page, dict):
        raise UpstreamWrong(f"{url} is not a JSON object")
    return page


def _check_version(version: str, url: str) -> None:
    # PEP 629: a larger major version must not be guessed at.
    if version.split(".", 1)[0] != SUPPORTED_MAJOR:
        raise UpstreamWrong(f"{url} has API version {version[:20]}, this program reads 1.x")


def _unique(files: Iterator[File]) -> tuple[File, ...]:
    """The first of each name: a page that lists one twice means the same file."""
    found: dict[str, File] = {}
    for file in files:
        found.setdefault(file.filename, file)
    return tuple(found.values())


def _json_files(entries: list[Any], base: str, project: ProjectName) -> Iterator[File]:
    for entry in entries:
        if not isinstance(entry, dict):
            continue
        filename, link = entry.get("filename"), entry.get("url")
        if not isinstance(filename, str) or not isinstance(link, str) or not _belongs(filename, project):
            continue
        url = clean_url(_absolute(base, link) or "")
        if url is None:
            continue
        hashes = entry.get("hashes")
        yield File(
            filename=filename,
            url=url,
            hashes=_hashes(hashes) if isinstance(hashes, dict) else {},
            requires_python=_text(entry.get("requires-python")),
            size=_size(entry.get("size")),
            upload_time=_time(entry.get("upload-time")),
            yanked=_yanked(entry.get("yanked")),
            core_metadata=_json_metadata(entry),
            provenance=_https(entry.get("provenance")),
            gpg_sig=entry["gpg-sig"] if isinstance(entry.get("gpg-sig"), bool) else None,
            more=_keepable({key: value for key, value in entry.items() if key not in _KNOWN_FILE_KEYS}),
        )


def _html_files(anchors: Iterator[dict[str, str | None]], base: str, project: ProjectName) -> Iterator[File]:
    for attributes in anchors:
        absolute = _absolute(base, attributes.get("href") or "")
        url = clean_url(absolute or "")
        if absolute is None or url is None:
            continue
        filename = unquote(urlsplit(url).path.rsplit("/", 1)[-1])
        if not is_archive(filename) or not _belongs(filename, project):
            continue
        metadata = attributes.get("data-core-metadata", attributes.get("data-dist-info-metadata"))
        signed = attributes.get("data-gpg-sig")
        yield File(
            filename=filename,
            url=url,
            hashes=_hashes(dict(_FRAGMENT.findall(urlsplit(absolute).fragment))),
            requires_python=_text(attributes.get("data-requires-python")),
            # An empty attribute means yanked without a reason (PEP 592).
            yanked=(_text(attributes["data-yanked"]) or True) if "data-yanked" in attributes else False,
            core_metadata=_html_metadata(metadata),
            provenance=_https(attributes.get("data-provenance")),
            gpg_sig=signed == "true" if signed in ("true", "false") else None,
        )


def _absolute(base: str, link: str) -> str | None:
    try:
        return urljoin(base, link)
    except ValueError:
        return None


def _keepable(unknown: dict[str, Any]) -> dict[str, Any]:
    """`unknown` without values that the database's documents cannot hold, such as huge numbers."""
    kept = {}
    for key, value in unknown.items():
        with contextlib.suppress(OverflowError, RecursionError):
            msgspec.msgpack.encode(value)
            kept[key] = value
    return kept


def _belongs(filename: str, project: ProjectName) -> bool:
    return is_safe_filename(filename) and project in projects_of(filename)


def _hashes(raw: dict[Any, Any]) -> dict[str, str]:
    found = {}
    for name, digest in raw.items():
        if isinstance(name, str) and isinstance(digest, str):
            algorithm, hexadecimal = name.lower(), digest.lower()
            if len(hexadecimal) == HASH_CHARS.get(algorithm) and _HEX.fullmatch(hexadecimal):
                found[algorithm] = hexadecimal
    return found


def _json_metadata(entry: dict[str, Any]) -> bool | dict[str, str] | None:
    for key in ("core-metadata", "dist-info-metadata", "data-dist-info-metadata"):
        value = entry.get(key)
        if isinstance(value, bool):
            return value
        if isinstance(value, dict):
            hashes = _hashes(value)
            return hashes if "sha256" in hashes else True
    return None


def _html_metadata(value: str | None) -> bool | dict[str, str] | None:
    if value is None:
        return None
    match = _FRAGMENT.fullmatch(value)
    hashes = _hashes({match[1]: match[2]}) if match else {}
    return hashes if "sha256" in hashes else True


def _text(value: object) -> str | None:
    if not isinstance(value, str):
        return None
    # A line break in an attribute is never meant, and splits what others log.
    text = _CONTROL.sub(" ", value).strip()[:MAX_TEXT_CHARS]
    return text or None


def _yanked(value: object) -> bool | str:
    # JSON: a string is a reason, and the empty one is falsy, so not yanked (PEP 691).
    return value if isinstance(value, bool) else _text(value) or False


def _size(value: object) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MAX_SIZE_BYTES:
        return None
    return value


def _serial(value: object) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MAX_SERIAL:
        return None
    return value


def _time(value: object) -> str | None:
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value)
        if moment.tzinfo is None:
            return None
        if _UPLOAD_TIME.fullmatch(value):
            return value
        return moment.astimezone(UTC).replace(tzinfo=None).isoformat() + "Z"
    except (ValueError, OverflowError):
        return None


def _https(value: object) -> str | None:
    text = _text(value)
    return text if text and text.startswith("https://") else None


def _status(value: object) -> Status | None:
    status = value.get("status") if isinstance(value, dict) else None
    if not isinstance(value, dict) or not isinstance(status, str) or status not in STATUSES:
        return None
    return Status(status, _text(value.get("reason")))


def _names(raw: Iterator[str]) -> list[ProjectName]:
    names: dict[ProjectName, None] = {}
    for name in raw:
        try:
            names[project_name(name)] = None
        except BadName:
            continue
    return sorted(names)
