"""A project's page of the simple API: which files an index offers, with what it says about each.

JSON (PEP 691) where the server has it, else HTML (PEP 503, 592, 658). Files whose names nobody can read
(installers of Windows, eggs) are left out: no installer takes them.
"""

import contextlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from html.parser import HTMLParser
from typing import Any

from packaging.tags import Tag
from packaging.utils import BuildTag, InvalidWheelFilename, canonicalize_name, parse_wheel_filename
from packaging.version import InvalidVersion, Version

from stilton_client import urls
from stilton_client.errors import Failure, Refused
from stilton_client.http import MAX_JSON, Http

JSON = "application/vnd.pypi.simple.v1+json"
PROBLEM = "application/problem+json"
ACCEPT = f"{JSON}, application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.1"
SDISTS = (".tar.gz", ".zip", ".tar.bz2", ".tgz", ".tar.xz", ".tar")


@dataclass(frozen=True)
class File:
    """A file on a page. `hashes`: algorithm -> hex; `size` in bytes, None when the server does not say.

    `metadata`: hashes of its METADATA, which lies beside it (PEP 658); None if it does not.
    """

    filename: str
    url: str
    hashes: Mapping[str, str] = field(default_factory=dict)
    size: int | None = None
    requires_python: str | None = None
    is_yanked: bool = False
    metadata: Mapping[str, str] | None = None

    @property
    def is_wheel(self) -> bool:
        """Whether it installs without being built."""
        return self.filename.endswith(".whl")

    @cached_property
    def version(self) -> Version | None:
        """The version in its name."""
        if self.is_wheel:
            return self._wheel[0] if self._wheel else None
        suffix = next((end for end in SDISTS if self.filename.endswith(end)), None)
        if suffix is None:
            return None
        try:
            return Version(self.filename.removesuffix(suffix).rpartition("-")[2])
        except InvalidVersion:
            return None

    @property
    def tags(self) -> frozenset[Tag]:
        """Where a wheel runs."""
        return self._wheel[2] if self._wheel else frozenset()

    @property
    def build(self) -> BuildTag:
        """Of two wheels that are else alike, the higher one is newer."""
        return self._wheel[1] if self._wheel else ()

    @cached_property
    def _wheel(self) -> tuple[Version, BuildTag, frozenset[Tag]] | None:
        try:
            _, version, build, tags = parse_wheel_filename(self.filename)
        except InvalidWheelFilename:
            return None
        return version, build, tags


Page = tuple[File, ...]


def page(http: Http, simple: str, project: str) -> Page | None:
    """What an index offers of a project; None: it has no such project, and says no more. `simple`: the index's pages.

    Raises Refused for any other answer, Unreachable for none, Failure for one that is not understood.
    """
    url = urls.child(simple, canonicalize_name(project)) + "/"
    with http.open("GET", url, headers={"Accept": ACCEPT}) as response:
        body = response.read(MAX_JSON, decode_content=True)
        status, reason = response.status, response.reason or ""
        kind = (response.headers.get("content-type") or "").partition(";")[0].strip().lower()
        base = urls.join(url, response.geturl() or "")
    said = _detail(kind, body)
    if status == 404 and not said:
        return None
    if status != 200:
        raise Refused(status, f"GET {urls.hidden(url)}\n{said or f'{status} {reason}'}")
    try:
        return read(kind, body.decode("utf-8", "replace"), base)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise Failure(f"{urls.hidden(url)}: the page is not understood", "Is this the URL of an index?") from error


def read(kind: str, text: str, base: str) -> Page:
    """The files of a page of this media type that stands at `base`. Raises ValueError, TypeError and the like."""
    found = _json(json.loads(text), base) if kind == JSON else _html(text, base)
    return tuple(file for file in found if file.version is not None)


def _detail(kind: str, body: bytes) -> str:
    """Why there is no page, in the server's words (RFC 9457)."""
    if kind != PROBLEM:
        return ""
    with contextlib.suppress(ValueError, RecursionError, AttributeError):
        return " ".join(str(json.loads(body).get("detail") or "").split())
    return ""


def _json(page: Any, base: str) -> list[File]:  # noqa: ANN401 - what a server sent
    return [
        File(
            str(entry["filename"]),
            urls.without_fragment(urls.join(base, str(entry["url"]))),
            {str(name): str(value) for name, value in (entry.get("hashes") or {}).items()},
            entry["size"] if isinstance(entry.get("size"), int) else None,
            entry.get("requires-python") or None,
            entry.get("yanked") not in (None, False),
            _metadata(entry.get("core-metadata", entry.get("dist-info-metadata"))),
        )
        for entry in page["files"]
    ]


def _metadata(said: object) -> dict[str, str] | None:
    if isinstance(said, Mapping):
        return {str(name): str(value) for name, value in said.items()}
    return {} if said else None


def _html(text: str, base: str) -> list[File]:
    parser = _Links(base)
    parser.feed(text)
    parser.close()
    return parser.files


class _Links(HTMLParser):
    def __init__(self, base: str) -> None:
        super().__init__()
        self._base = base
        self.files: list[File] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        said = {name: value or "" for name, value in attrs}
        if tag == "base" and said.get("href"):
            self._base = urls.join(self._base, said["href"])
        elif tag == "a" and said.get("href"):
            self.files.append(self._file(said))

    def _file(self, said: Mapping[str, str]) -> File:
        url, _, fragment = urls.join(self._base, said["href"]).partition("#")
        metadata = said.get("data-core-metadata", said.get("data-dist-info-metadata"))
        return File(
            urls.basename(url),
            url,
            _pair(fragment),
            requires_python=said.get("data-requires-python") or None,
            is_yanked="data-yanked" in said,
            metadata=_pair(metadata) if metadata is not None and metadata != "false" else None,
        )


def _pair(text: str) -> dict[str, str]:
    """`sha256=…` as a hash; anything else says nothing."""
    algorithm, equals, digest = text.partition("=")
    return {algorithm: digest} if equals else {}
