"""An index examined: asks it what pip and uv ask, then has both ask it themselves.

Only asks: nothing is changed, at most the server keeps one more file of a mirror. What the answers mean is decided in
`pagechecks`, `filechecks` and `toolchecks`.
"""

import dataclasses
import platform
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from stilton_client import filechecks, listings, pagechecks, toolchecks, tools, urls
from stilton_client.errors import Unreachable
from stilton_client.findings import Finding, Level
from stilton_client.http import Login
from stilton_client.listings import Answer, Listed
from stilton_client.session import Session
from stilton_client.toolsettings import Tool

PIP_AGENT, UV_AGENT, OLD_AGENT = "pip/26.0 (devpi doctor)", "uv/0.9.0 (devpi doctor)", "pip/20.0 (devpi doctor)"
NOBODY = Login()
MAX_PAGE = 64 << 20
# A file that is fetched to see whether it is right.
MAX_FILE = 32 << 20


@dataclass(frozen=True)
class Patient:
    """The index that is examined. `bare`: only its URL is known; `login`: what reading may need, if there is one."""

    simple: str
    project: str
    bare: bool
    login: Login

    @property
    def page(self) -> str:
        """URL of the project's page."""
        return urls.child(self.simple, self.project) + "/"


def examined(session: Session, patient: Patient, names: Sequence[str]) -> Iterator[Finding]:
    """All that is found, thing after thing. `names`: the tools that have to be there; none: those that are."""
    files: list[Listed] = []
    try:
        page, access = _page(session, patient)
        yield access
        if access.level is Level.OK:
            patient = dataclasses.replace(patient, login=NOBODY)  # as pip and uv will ask
        if access.level is not Level.PROBLEM:
            files += _files(page, patient.project)
            yield from pagechecks.of_page(page, files, bare=patient.bare)
            yield from _transport(session, patient, page, files)
            yield from _file(session, patient, files)
    except Unreachable as error:
        yield Finding("connection", Level.PROBLEM, error.what, error.advice)
    except ValueError as error:
        says = f"what comes as the page of {patient.project} is no page of an index: {error}"
        yield Finding("page", Level.PROBLEM, says, "Is this the URL of an index?")
    for name in names or tools.NAMES:
        yield from _tool(session, patient, name, files, required=name in names)


def _page(session: Session, patient: Patient) -> tuple[Answer, Finding]:
    """(the page as pip asks for it, whether everybody may read it)."""
    page = _ask(session, "GET", patient.page, NOBODY)
    if page.status in (401, 403) and patient.login != NOBODY:
        page = _ask(session, "GET", patient.page, patient.login)
        finding = Finding("access", Level.INFO, "who reads has to log in, so pip and uv need a login")
    else:
        finding = Finding("access", Level.OK, "anybody may read this index")
    if page.status != 200:
        says = f"the page of {patient.project} is answered with {page.status}"
        finding = Finding("access", Level.PROBLEM, says, _change(page.status, patient))
    return page, finding


def _change(status: int, patient: Patient) -> str:
    if status in (401, 403):
        return "devpi login USER, as somebody who may read it"
    if status == 404:
        return f"Name another project, or see why: devpi explain {patient.project}"
    return "See how the server is: devpi status"


def _files(page: Answer, project: str) -> list[Listed]:
    """Raises ValueError for what is no page of the project."""
    files = listings.listed(page)
    listings.check(page, files, project)
    return files


def _transport(session: Session, patient: Patient, page: Answer, files: Sequence[Listed]) -> Iterator[Finding]:
    etag = page.headers.get("etag")
    condition = {"If-None-Match": etag} if etag else {"If-Modified-Since": page.headers.get("last-modified", "")}
    again = _ask(session, "GET", patient.page, patient.login, **condition)
    uv = {"User-Agent": UV_AGENT, "Accept-Encoding": "gzip"}
    warm = _ask(session, "GET", patient.page, patient.login, **uv)
    yield from pagechecks.of_transport(page, again, warm)
    if warm.status != 200 or listings.listed(warm) != list(files):
        yield Finding("page", Level.PROBLEM, "uv gets another page than pip", "A cache that ignores Vary may do that.")
    old = {"User-Agent": OLD_AGENT, "Accept": "text/html"}
    html = _ask(session, "GET", patient.page, patient.login, **old)
    yield from pagechecks.of_html(page, html, files)


def _file(session: Session, patient: Patient, files: Sequence[Listed]) -> Iterator[Finding]:
    file = filechecks.sample(files)
    if file is None:
        return
    # A login goes to its own server only.
    login = patient.login if urls.same_server(file.url, patient.simple) else NOBODY
    head = _ask(session, "HEAD", file.url, login)
    yield filechecks.of_head(file, head)
    size = file.size or head.length or 0
    whole = None
    if size <= MAX_FILE:
        whole = _ask(session, "GET", file.url, login)
        size = len(whole.body)
        yield filechecks.of_content(file, whole)
    else:
        yield Finding("content", Level.INFO, f"{file.filename} is too large to look into ({size / 1e6:.0f} MB)")
    if whole is None or whole.status == 200:
        first, last = (_ask(session, "GET", file.url, login, Range=part) for part in filechecks.RANGES)
        yield filechecks.of_ranges(first, last, size)
    if file.metadata is not None:
        metadata = _ask(session, "GET", f"{file.url}.metadata", login)
        yield filechecks.of_metadata(file, metadata, whole.body if whole is not None else None)


def _ask(session: Session, method: str, url: str, login: Login, **headers: str) -> Answer:
    """An answer of any status, its body up to MAX_PAGE bytes. Raises Unreachable, also for redirects in a circle."""
    sent = {"User-Agent": PIP_AGENT, "Accept": listings.ACCEPT, "Accept-Encoding": "identity", **headers}
    began = time.perf_counter()
    with session.http.open(method, url, headers=sent, login=login) as response:
        body = response.read(MAX_PAGE, decode_content=True)
        history = response.retries.history if response.retries is not None else ()
        return Answer(
            url=url,
            status=response.status,
            headers={name.lower(): value for name, value in response.headers.items()},
            body=body,
            final=urls.join(url, response.geturl() or ""),
            redirects=sum(step.redirect_location is not None for step in history),
            seconds=time.perf_counter() - began,
        )


def _tool(
    session: Session, patient: Patient, name: str, files: Sequence[Listed], *, required: bool
) -> Iterator[Finding]:
    tool = tools.installed(session, name)
    if tool is None:
        level = Level.PROBLEM if required else Level.INFO
        yield Finding(name, level, f"{name} is not installed here", f"Install {name}, or activate its environment.")
        return
    has_times = all(file.uploaded is not None for file in files)
    yield from toolchecks.of_tool(tool, patient.simple, has_times=has_times)
    wanted = toolchecks.requirement(patient.project, files, platform.python_version())
    if not files:
        return
    if wanted is None:
        yield Finding(name, Level.INFO, f"{name} was not tried: {patient.project} has no wheel that fits everywhere")
        return
    run = tools.attempt(session, tool, _index_for(tool, patient), wanted)
    yield toolchecks.of_run(tool, wanted, run, files, login_at=patient.simple if patient.login != NOBODY else None)


def _index_for(tool: Tool, patient: Patient) -> str:
    """What the tool is to ask. May carry a password: for its environment only."""
    if tool.index is not None and toolchecks.same_index(tool.index, patient.simple):
        return tool.index
    login = patient.login.basic if patient.bare else None
    return patient.simple if login is None else urls.with_login(patient.simple, *login)
