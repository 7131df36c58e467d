"""What pip and uv need of an index, and whether they get it: facts in, findings out. No I/O.

    what                        without it                                                    level
    JSON pages (PEP 691, 700)   no versions, sizes, upload times                              warning
    sha256 of every file        nobody knows whether the right bytes arrived                  problem
    metadata files (PEP 658)    whole wheels are fetched only to learn what they need         warning
    upload times (PEP 700)      `uv --exclude-newer`, `pip --uploaded-prior-to` find nothing  warning; problem if set
    ranges                      parts of wheels, broken downloads                             warning
    links to the same server    firewalls, logins, https                                      warning, problem
    304, gzip, Cache-Control    the same page again and again                                 warning

What is there but wrong (a hash, a size, a metadata file) is always a problem. The facts are gathered by
`commands.doctor`.
"""

import contextlib
import enum
import hashlib
import io
import json
import re
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urlsplit

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import InvalidWheelFilename, parse_wheel_filename
from packaging.version import InvalidVersion, Version

from stilton_client import urls

JSON = "application/vnd.pypi.simple.v1+json"
# What pip sends; uv says the same with other weights.
ACCEPT = f"{JSON}, application/vnd.pypi.simple.v1+html; q=0.1, text/html; q=0.01"
# uv looks again after ten minutes if nobody says otherwise.
LONG_S = 600
SMALL_BYTES = 1000
RANGE_BYTES = 100
RANGES = (f"bytes=0-{RANGE_BYTES - 1}", f"bytes=-{RANGE_BYTES}")
_UPLOAD_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?Z")
_SHA256 = re.compile(r"sha256=([0-9a-fA-F]{64})")
_MAX_AGE = re.compile(r"max-age=(\d+)")

PIP_JSON, PIP_METADATA, PIP_CUT = Version("22.2"), Version("23.2"), Version("26.0")
UV_DEFAULT_INDEX = Version("0.4.23")
_REPORTED = re.compile(r"sha256\W{1,5}([0-9a-f]{64})")
_SECRET = re.compile(r"//[^/@\s]+@")
MOST_CHARS = 300
# What uv draws around its words: bars, arrows, crosses.
_FRAME = " \u2570\u2500\u25b6\u00d7\u2502\u251c"
NO_TIMES = "The server has to tell when files came: Stilton does, and so does PyPI."


class Level(enum.StrEnum):
    """How bad it is. `INFO` is neither good nor bad: a number, or something that could not be tried."""

    OK = "ok"
    INFO = "info"
    WARNING = "warning"
    PROBLEM = "problem"


@dataclass(frozen=True)
class Finding:
    """One sentence about one thing, and what to change."""

    about: str
    level: Level
    says: str
    change: str = ""


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


@dataclass(frozen=True)
class Tool:
    """An installed pip or uv, and what it is configured for. URLs may carry passwords: show them hidden.

    `where`: what says so; `label`: uv's name for it. `cut`: the setting that leaves out what was uploaded later.
    `environ`: variables that say what its files say of connections.
    """

    name: str
    path: str
    version: str
    index: str | None = None
    where: str = ""
    label: str = ""
    extra: tuple[str, ...] = ()
    trusted: tuple[str, ...] = ()
    cut: str | None = None
    environ: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class Run:
    """How a tool ended."""

    status: int
    output: str
    errors: str


# Pages.


def listed(page: Answer) -> list[Listed]:
    """The files of a page, JSON or HTML. Raises ValueError for what is neither."""
    if is_json(page):
        document = json.loads(page.body)
        entries = document.get("files") if isinstance(document, dict) else None
        if not isinstance(entries, list):
            raise ValueError("it lists no files")
        return [_of_json(entry, page.final or page.url) for entry in entries]
    parser = _Anchors(page.final or page.url)
    parser.feed(page.body.decode("utf-8", "replace"))
    return parser.found


def is_json(page: Answer) -> bool:
    """Whether it is JSON of the simple API."""
    return page.headers.get("content-type", "").partition(";")[0].strip() == JSON


def of_page(page: Answer, files: Sequence[Listed], *, bare: bool) -> Iterator[Finding]:
    """What a page in the installers' favourite form says. `bare`: an index of which we know only the URL."""
    yield _form(page)
    if not files:
        yield Finding("files", Level.WARNING, "the page lists no files", "Name a project that has some.")
        return
    yield _hashes(files)
    yield _times(page, files)
    wheels = [file for file in files if file.is_wheel]
    if wheels:
        yield _metadata(wheels)
    yield _links(page, files, bare=bare)


def of_html(page: Answer, html: Answer, files: Sequence[Listed]) -> Iterator[Finding]:
    """Whether old installers, which read HTML, get the same."""
    if html.status != 200 or is_json(html):
        yield Finding("html", Level.WARNING, f"pages come as {JSON} only: pip before {PIP_JSON} cannot read them")
        return
    plain = {file.filename: file for file in listed(html)}
    other = sorted({file.filename for file in files}.symmetric_difference(plain))
    other += [one.filename for one in files if one.filename in plain and one.sha256 != plain[one.filename].sha256]
    if other:
        says = f"the HTML page and the JSON page do not agree about {other[0]}"
        yield Finding("html", Level.PROBLEM, says, f"Report it to whoever runs {urls.hidden(page.url)}")
        return
    yanked = {file.filename for file in files if file.yanked}
    if yanked != {name for name, file in plain.items() if file.yanked}:
        yield Finding("yanked", Level.WARNING, "the HTML page and the JSON page do not agree about what is yanked")
        return
    yield Finding("html", Level.OK, f"old installers get the same files as HTML ({len(files)})")
    yield Finding("yanked", Level.OK, f"{len(yanked)} of {len(files)} files are yanked, in JSON and HTML alike")


def of_transport(page: Answer, again: Answer, warm: Answer) -> Iterator[Finding]:
    """How pages travel. `again`: asked with the condition of `page`; `warm`: asked once more, with gzip allowed."""
    if page.redirects:
        says = f"each look at a page takes {page.redirects + 1} requests, because of redirects"
        yield Finding("redirects", Level.WARNING, says, f"Configure {urls.hidden(page.final)} instead.")
    if again.status == 304:
        yield Finding("revalidation", Level.OK, "a page that did not change is not sent again (304)")
    else:
        why = "the page has no ETag" if "etag" not in page.headers else f"If-None-Match is answered with {again.status}"
        says = f"{why}: every look at a page sends all of it"
        yield Finding(
            "revalidation",
            Level.WARNING,
            says,
            "The server has to send an ETag, and a proxy in front of it to pass it on.",
        )
    caching = page.headers.get("cache-control", "")
    age = _MAX_AGE.search(caching)
    if "no-store" in caching:
        says, change = "pages may not be kept (no-store)", "The server or a proxy in front of it sends that header."
        yield Finding("caching", Level.WARNING, says, change)
    elif age and int(age[1]) > LONG_S:
        says = f"a new release may go unseen for {age[1]} seconds (Cache-Control: {caching})"
        yield Finding("caching", Level.WARNING, says, "Have the server or the proxy send a max-age of 600 or less.")
    else:
        yield Finding("caching", Level.OK, "new releases are seen within ten minutes")
    yield _packed(warm)


def _form(page: Answer) -> Finding:
    if not is_json(page):
        kind = page.headers.get("content-type", "no type")
        says = f"pages come as {kind} only, and not as JSON (PEP 691): no versions, sizes, upload times"
        return Finding("page", Level.WARNING, says, "The server, or a proxy that drops the Accept header, is too old.")
    document = json.loads(page.body)
    meta = document.get("meta")
    version = str(meta.get("api-version")) if isinstance(meta, dict) else "none"
    lacking = [key for key in ("versions",) if key not in document]
    lacking += ["size"] if any("size" not in entry for entry in document["files"]) else []
    if version == "1.0" or lacking:
        says = f"JSON pages of version {version} lack {', '.join(lacking) or 'what version 1.1 has'}"
        return Finding("page", Level.WARNING, says, "The server has to speak version 1.1 of the simple API (PEP 700).")
    return Finding("page", Level.OK, f"JSON pages of version {version}, with versions and sizes")


def _times(page: Answer, files: Sequence[Listed]) -> Finding:
    wrong = [file for file in files if file.uploaded is not None and not _UPLOAD_TIME.fullmatch(file.uploaded)]
    if wrong:
        says = f"the upload time of {wrong[0].filename} is {wrong[0].uploaded!r}, which is no time of PEP 700"
        return Finding("upload times", Level.PROBLEM, says, f"Report it to whoever runs {urls.hidden(page.url)}")
    without = [file for file in files if file.uploaded is None]
    lack = "`uv --exclude-newer` and `pip --uploaded-prior-to` cannot use them"
    return _everywhere("upload times", Level.WARNING, (len(without), len(files)), ("files", lack), NO_TIMES)


def _hashes(files: Sequence[Listed]) -> Finding:
    without = [file for file in files if file.sha256 is None]
    lack, change = "nothing proves that the right bytes arrive", "The server has to list the sha256 of every file."
    return _everywhere("hashes", Level.PROBLEM, (len(without), len(files)), ("files", lack), change)


def _metadata(wheels: Sequence[Listed]) -> Finding:
    without = [file for file in wheels if file.metadata is None]
    lack = "pip and uv fetch whole wheels only to learn what they need"
    change = "The server has to offer metadata files (PEP 658); a mirror offers those of its upstream."
    return _everywhere("metadata files", Level.WARNING, (len(without), len(wheels)), ("wheels", lack), change)


def _links(page: Answer, files: Sequence[Listed], *, bare: bool) -> Finding:
    url = page.final or page.url
    away = [file for file in files if not urls.same_server(url, file.url)]
    outside = "Start the server with --outside-url, or have the proxy in front of it send X-Outside-Url."
    if any(url.startswith("https:") and file.url.startswith("http:") for file in away):
        return Finding("links", Level.PROBLEM, "a page that comes by https links to files by http", outside)
    hosts = sorted({urlsplit(file.url).netloc.rpartition("@")[2] for file in away})
    if any(urls.host(file.url) in urls.LOOPBACK and urls.host(url) not in urls.LOOPBACK for file in away):
        return Finding("links", Level.PROBLEM, f"links lead to {hosts[0]}, which is another computer for you", outside)
    if not away:
        return Finding("links", Level.OK, "files come from the same server as pages")
    says = f"files come from {', '.join(hosts)}: it must be reachable, and gets no login"
    return Finding("links", Level.INFO if bare else Level.WARNING, says, "" if bare else outside)


def _packed(page: Answer) -> Finding:
    size = len(page.body)
    took = f"came in {page.seconds * 1000:.0f} ms"
    if page.headers.get("content-encoding") or size < SMALL_BYTES:
        return Finding("speed", Level.INFO, f"a page of {size} bytes {took}")
    says = f"pages come without compression ({size} bytes, {took})"
    return Finding("speed", Level.WARNING, says, "Have the server or the proxy in front of it use gzip.")


def _everywhere(about: str, level: Level, counts: tuple[int, int], words: tuple[str, str], change: str) -> Finding:
    """`counts`: (how many lack it, how many there are); `words`: (what they are, what is bad about it)."""
    (without, total), (kind, lack) = counts, words
    if not without:
        return Finding(about, Level.OK, f"{total} of {total} {kind} have {about}")
    return Finding(about, level, f"{without} of {total} {kind} have no {about}: {lack}", change)


# Files.


def sample(files: Sequence[Listed]) -> Listed | None:
    """The file to look at: the smallest wheel that is not yanked, with metadata if there is one, else any file."""
    candidates = [file for file in files if not file.yanked] or list(files)

    def rank(file: Listed) -> tuple[bool, bool, int]:
        return not file.is_wheel, file.metadata is None, file.size if file.size is not None else 1 << 60

    return min(candidates, key=rank, default=None)


def of_head(file: Listed, head: Answer) -> Finding:
    """HEAD tells a file's size."""
    length = head.length
    if head.status != 200 or length is None:
        says = f"HEAD of a file is answered with {head.status} and {'no' if length is None else 'a'} size"
        return Finding("ranges", Level.WARNING, says, "A proxy in front of the index must let HEAD through.")
    if file.size is not None and length != file.size:
        says = f"{file.filename} has {file.size} bytes on the page and {length} when it is asked for"
        return Finding("size", Level.PROBLEM, says, "A cache between you and the index may be broken: empty it.")
    return Finding("size", Level.OK, "HEAD of a file tells its size")


def of_ranges(first: Answer, last: Answer, size: int) -> Finding:
    """Answers of `bytes=0-99` and `bytes=-100` for a file of `size` bytes."""
    count = min(size, RANGE_BYTES)
    wanted = (f"bytes 0-{count - 1}/{size}", f"bytes {size - count}-{size - 1}/{size}")
    parts = (first, last)
    if any(part.status != 206 for part in parts):
        says = "parts of files cannot be asked for: broken downloads start again, wheels are fetched whole"
        return Finding(
            "ranges", Level.WARNING, says, "The server has to know Range, and a proxy in front of it to let it through."
        )
    if [part.headers.get("content-range") for part in parts] != list(wanted) or len(first.body) != count:
        says = f"the server sends other parts of a file than asked for ({last.headers.get('content-range')})"
        return Finding("ranges", Level.PROBLEM, says, "Have the proxy in front of the index pass Range on unchanged.")
    return Finding("ranges", Level.OK, "parts of files can be asked for (206)")


def of_content(file: Listed, whole: Answer) -> Finding:
    """Whether a file is what the page promises."""
    if whole.status != 200:
        says = f"{file.filename} is on the page and cannot be had ({whole.status})"
        return Finding("content", Level.PROBLEM, says, "See what its index says: devpi status")
    found = hashlib.sha256(whole.body).hexdigest()
    if file.sha256 is None:
        return Finding("content", Level.INFO, f"{file.filename} came, with nothing to compare it with")
    if found != file.sha256:
        says = f"{file.filename} has the sha256 {found[:12]}… and not {file.sha256[:12]}… of the page"
        return Finding("content", Level.PROBLEM, says, "A cache between you and the index may be broken: empty it.")
    return Finding("content", Level.OK, f"{file.filename} is what its sha256 promises")


def of_metadata(file: Listed, metadata: Answer, wheel: bytes | None) -> Finding:
    """Whether a promised metadata file is there and right. `wheel`: the wheel's bytes, if they were fetched."""
    name = f"{file.filename}.metadata"
    if metadata.status != 200:
        says = f"{name} is promised and cannot be had ({metadata.status}): pip and uv fail"
        return Finding("metadata", Level.PROBLEM, says, "See the server's log, or have a proxy let .metadata through.")
    found = hashlib.sha256(metadata.body).hexdigest()
    if file.metadata and found != file.metadata:
        says = f"{name} has the sha256 {found[:12]}… and not {file.metadata[:12]}… of the page: pip and uv refuse it"
        return Finding("metadata", Level.PROBLEM, says, "The index lists a wrong hash: devpi refresh PROJECT")
    inside = None if wheel is None else metadata_in(wheel)
    if inside is not None and inside != metadata.body:
        says = f"{name} is not the METADATA inside the wheel: pip and uv may install the wrong dependencies"
        return Finding("metadata", Level.PROBLEM, says, "Report it to whoever runs the index.")
    same = " and is what the wheel contains" if inside is not None else ""
    return Finding("metadata", Level.OK, f"{name} has the hash of the page{same}")


def metadata_in(wheel: bytes) -> bytes | None:
    """METADATA of a wheel; None if it has none that can be read."""
    try:
        with zipfile.ZipFile(io.BytesIO(wheel)) as archive:
            name = next(name for name in archive.namelist() if re.fullmatch(r"[^/]+\.dist-info/METADATA", name))
            return archive.read(name)
    except (zipfile.BadZipFile, StopIteration, OSError, RuntimeError):
        return None


# Installers.


def of_tool(tool: Tool, simple: str, *, has_times: bool) -> Iterator[Finding]:
    """Whether an installed tool is new enough, and configured for the index whose pages are at `simple`."""
    yield _age(tool)
    change = "devpi use --set-cfg"
    if tool.index is None:
        yield Finding(tool.name, Level.WARNING, f"{tool.name} is not configured for any index: it asks PyPI", change)
    elif not same_index(tool.index, simple):
        says = f"{tool.name} is configured for {_shown(tool.index)} ({tool.where}), not for this index"
        yield Finding(tool.name, Level.WARNING, says, change)
    else:
        yield Finding(tool.name, Level.OK, f"{tool.name} is configured for this index ({tool.where})")
    if tool.extra:
        says = f"{tool.name} also asks {', '.join(map(_shown, tool.extra))}: whoever has a name there can be chosen"
        change = "Take it out, and add that index to the bases of this one: devpi index INDEX bases+=USER/MIRROR"
        yield Finding(tool.name, Level.WARNING, says, change)
    yield from _trust(tool, simple)
    if tool.cut and not has_times:
        says = f"{tool.name} leaves out what was uploaded after {tool.cut}, and this index tells no upload times"
        yield Finding(tool.name, Level.PROBLEM, says, NO_TIMES)


def same_index(one: str, other: str) -> bool:
    """Whether two URLs are one index, whatever logins stand in them."""
    a, b = urls.without_login(one)[0], urls.without_login(other)[0]
    return urls.same_server(a, b) and urlsplit(a).path.rstrip("/") == urlsplit(b).path.rstrip("/")


def _shown(url: str) -> str:
    """Without any login: a user's name alone may be a token."""
    return urls.without_login(url)[0]


def _age(tool: Tool) -> Finding:
    try:
        version = Version(tool.version)
    except InvalidVersion:
        return Finding(tool.name, Level.WARNING, f"{tool.path} says that its version is {tool.version!r}")
    lacks = []
    if tool.name == "pip":
        lacks = [text for since, text in (
            (PIP_JSON, "JSON pages"), (PIP_METADATA, "metadata files"), (PIP_CUT, "--uploaded-prior-to"),
        ) if version < since]  # fmt: skip
    elif version < UV_DEFAULT_INDEX:
        lacks = ["UV_DEFAULT_INDEX and [[index]]"]
    if not lacks:
        return Finding(tool.name, Level.OK, f"{tool.name} {version} ({tool.path}) knows all that this index can do")
    update = "python -m pip install -U pip" if tool.name == "pip" else "uv self update"
    return Finding(tool.name, Level.WARNING, f"{tool.name} {version} ({tool.path}) lacks {', '.join(lacks)}", update)


def _trust(tool: Tool, simple: str) -> Iterator[Finding]:
    host = urls.host(simple)
    trusted = any(entry.partition(":")[0] == host for entry in tool.trusted)
    if tool.name == "pip" and urls.is_plain(simple) and not trusted:
        says = f"pip refuses {host}, because it comes by http"
        yield Finding("pip", Level.PROBLEM, says, "devpi use --set-cfg --pip-set-trusted yes, or better use https")
    elif trusted and simple.startswith("https:"):
        says = f"{tool.name} does not check the certificate of {host}"
        yield Finding(tool.name, Level.WARNING, says, "Name the authority that signed it (SSL_CERT_FILE) instead.")


def requirement(project: str, files: Sequence[Listed], python: str) -> str | None:
    """`project==version` that pip and uv can take anywhere, the newest; None: it has no such wheel for `python`."""
    versions = []
    for file in files:
        with contextlib.suppress(InvalidWheelFilename, InvalidVersion, InvalidSpecifier):
            _, version, _, tags = parse_wheel_filename(file.filename)
            fits = python in SpecifierSet(file.requires_python or "", prereleases=True)
            if fits and not file.yanked and any(tag.abi == "none" and tag.platform == "any" for tag in tags):
                versions.append(version)
    return f"{project}=={max(versions)}" if versions else None


def login_advice(simple: str) -> str:
    """How pip and uv get a login for an index."""
    host = urls.host(simple)
    line = f"machine {host} login USER password PASSWORD"
    return f"Put a line `{line}` into ~/.netrc, the login into the keyring, or USER:PASSWORD@ into the index URL."


def of_run(tool: Tool, wanted: str, run: Run, files: Sequence[Listed], *, login_at: str | None = None) -> Finding:
    """Whether the tool found `wanted`, with a hash that the page lists. `login_at`: the index, if it wants a login."""
    if run.status != 0:
        says = f"{tool.name} cannot get {wanted}: {reason(run.errors)}"
        advice = _advice(tool, run.errors) if login_at is None else login_advice(login_at)
        return Finding(tool.name, Level.PROBLEM, says, advice)
    known = {file.sha256 for file in files}
    found = set(_REPORTED.findall(run.output))
    if found - known and None not in known:
        says = f"{tool.name} gets {wanted} from somewhere else: its sha256 is not on this index's page"
        return Finding(tool.name, Level.PROBLEM, says, f"See what {tool.name} asks: {tool.name} -v")
    hashed = ", with the sha256 of its page" if found else ""
    return Finding(tool.name, Level.OK, f"{tool.name} found {wanted} through this index{hashed}")


def reason(errors: str) -> str:
    """What a tool complains of, in one line, without passwords."""
    lines = [_SECRET.sub("//****@", line).strip(_FRAME) for line in errors.splitlines() if line.strip()]
    said = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR:")] or lines
    return " ".join(said[:3]).removeprefix("error: ")[:MOST_CHARS] or "it says nothing"


def _advice(tool: Tool, errors: str) -> str:
    words = errors.lower()
    if "certificate" in words:
        return "Name the authority that signed the certificate: SSL_CERT_FILE=FILE.pem"
    if "no interpreter" in words or "no python" in words:
        return "Name a Python for uv: UV_PYTHON=FILE"
    return f"Run it to see more: {tool.name} -v"


# Parsing.


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
