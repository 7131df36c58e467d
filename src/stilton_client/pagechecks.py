"""Whether the pages of an index are what pip and uv need, and travel well: answers in, findings out. Pure."""

import json
import re
from collections.abc import Iterator, Sequence
from urllib.parse import urlsplit

from stilton_client import urls
from stilton_client.findings import NO_TIMES, PIP_JSON, Finding, Level
from stilton_client.listings import JSON, Answer, Listed, is_json, listed

# uv looks again after ten minutes if nobody says otherwise.
LONG_S = 600
SMALL_BYTES = 1000
_UPLOAD_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?Z")
_MAX_AGE = re.compile(r"max-age=(\d+)")


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
