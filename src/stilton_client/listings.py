"""A page of an index as `devpi doctor` looks at it: every file with all that is said of it, right or wrong. Pure.

Installers read pages more kindly (`simple`): here what nobody can read is an error.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urlsplit

from stilton_client import urls

JSON = "application/vnd.pypi.simple.v1+json"
# What pip sends; uv says the same with other weights.
ACCEPT = f"{JSON}, application/vnd.pypi.simple.v1+html; q=0.1, text/html; q=0.01"
_SEPARATORS = re.compile("[-_.]+")
_SHA256 = re.compile(r"sha256=([0-9a-fA-F]{64})")


@dataclass(frozen=True)
class Answer:
    """What came for a request. `headers` in lower case; `final`: where it came from after `redirects`."""

    url: str
    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    final: str = ""
    redirects: int = 0
    seconds: float = 0.0

    @property
    def length(self) -> int | None:
        """Content-Length, in bytes."""
        text = self.headers.get("content-length", "")
        return int(text) if text.isdigit() else None


@dataclass(frozen=True)
class Listed:
    """A file as a page lists it. `metadata`: its sha256, or "" for one of unknown hash; None: there is none."""

    filename: str
    url: str
    sha256: str | None = None
    size: int | None = None
    uploaded: str | None = None
    metadata: str | None = None
    yanked: bool = False
    requires_python: str | None = None

    @property
    def is_wheel(self) -> bool:
        """Whether it is a wheel."""
        return self.filename.endswith(".whl")


def listed(page: Answer) -> list[Listed]:
    """The files of a page, JSON or HTML. Raises ValueError for what is neither."""
    if is_json(page):
        try:
            document = json.loads(page.body)
        except (ValueError, RecursionError) as error:
            raise ValueError("its JSON cannot be parsed") from error
        entries = document.get("files") if isinstance(document, dict) else None
        if not isinstance(entries, list):
            raise ValueError("it lists no files")
        return [_of_json(entry, page.final or page.url) for entry in entries]
    parser = _Anchors(page.final or page.url)
    parser.feed(page.body.decode("utf-8", "replace"))
    return parser.found


def check(page: Answer, files: Sequence[Listed], project: str) -> None:
    """Raises ValueError for a page that cannot be of `project`. JSON may list no files; such HTML may be anything."""
    if is_json(page) and not files:
        return
    if not any(_SEPARATORS.sub("-", file.filename).lower().startswith(f"{project}-") for file in files):
        kind = page.headers.get("content-type", "something without a type").partition(";")[0]
        raise ValueError(f"it is {kind} without a link to any file of {project}")


def is_json(page: Answer) -> bool:
    """Whether it is JSON of the simple API."""
    return page.headers.get("content-type", "").partition(";")[0].strip() == JSON


def _of_json(entry: Any, base: str) -> Listed:  # noqa: ANN401 - whatever the server sent
    if (
        not isinstance(entry, dict)
        or not isinstance(entry.get("filename"), str)
        or not isinstance(entry.get("url"), str)
    ):
        raise ValueError("an entry has no filename or no url")  # noqa: TRY004 - the page is wrong, not our types
    hashes = entry.get("hashes")
    size = entry.get("size")
    uploaded = entry.get("upload-time")
    return Listed(
        filename=entry["filename"],
        url=urls.without_fragment(urls.join(base, entry["url"])),
        sha256=hashes.get("sha256") if isinstance(hashes, dict) else None,
        size=size if isinstance(size, int) else None,
        uploaded=None if uploaded is None else str(uploaded),
        metadata=_promised(entry.get("core-metadata", entry.get("dist-info-metadata"))),
        yanked=entry.get("yanked") not in (None, False),
        requires_python=entry.get("requires-python"),
    )


def _promised(value: object) -> str | None:
    if isinstance(value, dict):
        return str(value.get("sha256", ""))
    return "" if value is True else None


class _Anchors(HTMLParser):
    """Links of an HTML page (PEP 503)."""

    def __init__(self, base: str) -> None:
        super().__init__()
        self._base = base
        self.found: list[Listed] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """A link to a file is an anchor whose path has a file's name."""
        given = dict(attrs)
        href = given.get("href")
        if tag == "base" and href:
            self._base = urls.join(self._base, href)
        if tag != "a" or not href or urlsplit(href).path.endswith("/"):
            return
        url = urls.join(self._base, href)
        promised = given.get("data-core-metadata", given.get("data-dist-info-metadata"))
        sha256 = _SHA256.search(urlsplit(url).fragment)
        metadata = _SHA256.fullmatch(promised or "")
        self.found.append(
            Listed(
                filename=urls.basename(url),
                url=urls.without_fragment(url),
                sha256=sha256[1].lower() if sha256 else None,
                metadata=metadata[1].lower() if metadata else "" if promised else None,
                yanked="data-yanked" in given,
                requires_python=given.get("data-requires-python"),
            )
        )
