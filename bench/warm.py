"""Warm cases: what the server holds already, against nginx sending the very same bytes."""

from collections.abc import Iterator
from urllib.parse import urlsplit

from bench import load, report, upstream
from bench.lab import Lab
from bench.processes import BenchError
from bench.report import Row
from bench.server import HTML, JSON, Server
from bench.wheels import filename

# What pip says; uv adds zstd.
GZIP = "gzip, deflate"
IDENTITY = "identity"
SMALL_PAGE_SHARE = 0.35
BIG_PAGE_SHARE = 0.5
SMALL_WHEEL_SHARE = 0.25
HUGE_WHEEL_SHARE = 0.8
RANGES = 4
_FORMS = {"JSON": JSON, "HTML": HTML}


def small_pages(lab: Lab) -> Iterator[Row]:
    """A page of ten files, in both forms, compressed and not."""
    for form in _FORMS:
        for encoding in (IDENTITY, GZIP):
            yield small_page(lab, lab.warm(), form, encoding, SMALL_PAGE_SHARE)


def small_page(lab: Lab, server: Server, form: str, encoding: str, limit: float | None) -> Row:
    """One of the four."""
    case = f"warm small page, {form}, {_short(encoding)}"
    return _page(lab, server, case, upstream.SMALL, {"Accept": _FORMS[form], "Accept-Encoding": encoding}, limit)


def big_pages(lab: Lab) -> Iterator[Row]:
    """A page of 5,000 files, as pip asks for it."""
    for form, accept in _FORMS.items():
        case = f"warm 5,000-file page, {form}, gzip"
        headers = {"Accept": accept, "Accept-Encoding": GZIP}
        yield _page(lab, lab.warm(), case, upstream.MANY, headers, BIG_PAGE_SHARE)


def small_wheels(lab: Lab) -> Iterator[Row]:
    """The newest wheel of that small page."""
    yield small_wheel(lab, lab.warm(), SMALL_WHEEL_SHARE)


def small_wheel(lab: Lab, server: Server, limit: float | None) -> Row:
    """A wheel of 20 kB."""
    url = server.file_url(upstream.SMALL, filename(upstream.SMALL, f"1.{upstream.SMALL_RELEASES - 1}"))
    static = lab.nginx.keep("small.whl", load.get(url))
    return _loads(lab, server, "warm 20 kB wheel", (static, url), {"Accept-Encoding": IDENTITY}, limit)


def huge_wheel(lab: Lab) -> Iterator[Row]:
    """A wheel of 200 MB, in one request and in four for a quarter each."""
    nginx, server = lab.nginx, lab.warm()
    url, static = server.file_url(upstream.HUGE, upstream.HUGE_WHEEL), nginx.keep_file("huge.whl", lab.huge)
    load.transfer(url, lab.huge_bytes)
    server.settle()
    yield _transfers(lab, "warm 200 MB wheel, whole", (static, url), 1)
    yield _transfers(lab, f"warm 200 MB wheel, {RANGES} ranges", (static, url), RANGES)


def _transfers(lab: Lab, case: str, urls: tuple[str, str], pieces: int) -> Row:
    """Fetch from nginx and the server in turn."""
    server, size = lab.warm(), lab.huge_bytes
    theirs, ours, cpu_s = [], [], 0.0
    for _ in range(lab.effort.transfers):
        theirs.append(size / 1e6 / load.transfer(urls[0], size, pieces=pieces).total_s)
        cpu_s -= server.cpu_s()
        ours.append(size / 1e6 / load.transfer(urls[1], size, pieces=pieces).total_s)
        cpu_s += server.cpu_s()
    cpu = report.per_gigabyte(cpu_s, size * len(ours))
    return report.at_least(case, HUGE_WHEEL_SHARE, baseline=theirs, stilton=ours, cpu=cpu, unit="MB/s")


def _page(lab: Lab, server: Server, case: str, project: str, headers: dict[str, str], limit: float | None) -> Row:
    return page_at(lab, server, case, server.page_url(project), headers, limit)


def page_at(lab: Lab, server: Server, case: str, url: str, headers: dict[str, str], limit: float | None) -> Row:
    """nginx is given the server's own answer, with its content type."""
    accept, encoding = headers["Accept"], headers["Accept-Encoding"]
    # The first answer may be of a page whose compressed form is still being made.
    load.get(url, headers)
    server.settle()
    answer = load.get(url, headers)
    if answer.status != 200:
        raise BenchError(f"the server answered {answer.status} for {url}: {answer.body[:200]!r}")
    name = f"{'-'.join(urlsplit(url).path.split('/')[1:]).strip('-')}-{_short(encoding)}"
    static = lab.nginx.keep(f"{name}.{'json' if accept == JSON else 'html'}", answer)
    if load.get(static, headers).body != answer.body:
        raise BenchError(f"nginx does not send the server's bytes for {name}")
    return _loads(lab, server, case, (static, url), headers, limit)


def _loads(
    lab: Lab, server: Server, case: str, urls: tuple[str, str], headers: dict[str, str], limit: float | None
) -> Row:
    """Press nginx and the server in turn."""
    theirs, ours, requests, cpu_s = [], [], 0, 0.0
    for _ in range(lab.effort.loads):
        theirs.append(load.press(urls[0], headers, lab.effort.load_s).per_s)
        cpu_s -= server.cpu_s()
        own = load.press(urls[1], headers, lab.effort.load_s)
        cpu_s += server.cpu_s()
        ours.append(own.per_s)
        requests += own.requests
    cpu = report.per_request(cpu_s, requests)
    return report.at_least(case, limit, baseline=theirs, stilton=ours, cpu=cpu, unit="requests/s")


def _short(encoding: str) -> str:
    return encoding.partition(",")[0]
