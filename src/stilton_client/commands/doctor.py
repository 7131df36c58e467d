"""`devpi doctor`: asks an index what pip and uv ask, then has both ask it themselves.

Only asks: nothing is changed, at most the server keeps one more file of a mirror. What the answers mean is decided in
`checks`; here are the requests, the installed tools and what they are configured for:

    pip   `pip config list`, which knows its files and PIP_* variables
    uv    UV_DEFAULT_INDEX, UV_INDEX_URL, UV_INDEX, UV_EXTRA_INDEX_URL; UV_CONFIG_FILE, or else uv.toml or
          pyproject.toml here or above, the user's uv.toml, the system's

The tools try one release without installing it, asking this index alone: with the URL and the login that they are
configured for, where that is this index. No login is ever on a command line.
"""

import ast
import contextlib
import dataclasses
import os
import platform
import re
import shutil
import subprocess
import time
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from packaging.utils import canonicalize_name

from stilton_client import checks, urls, venvs
from stilton_client.checks import Answer, Finding, Level, Listed, Run, Tool
from stilton_client.command import command
from stilton_client.errors import EXIT_FAILED, Failure, Unreachable
from stilton_client.http import Login
from stilton_client.session import Index, Session

TOOLS = ("pip", "uv")
PIP_AGENT, UV_AGENT, OLD_AGENT = "pip/26.0 (devpi doctor)", "uv/0.9.0 (devpi doctor)", "pip/20.0 (devpi doctor)"
NOBODY = Login()
MAX_PAGE = 64 << 20
# A file that is fetched to see whether it is right.
MAX_FILE = 32 << 20
RUN_S = 120.0
# What leads to an index, of all the variables that tools know. The others could hide a release from them.
_CONNECTION = re.compile(
    r"PIP_(CERT|CLIENT_CERT|PROXY|KEYRING_PROVIDER|TRUSTED_HOST|TIMEOUT|DEFAULT_TIMEOUT)"
    r"|UV_(NATIVE_TLS|SYSTEM_CERTS|INSECURE_HOST|KEYRING_PROVIDER|HTTP_TIMEOUT|PYTHON|CACHE_DIR)"
    r"|UV_INDEX_\w+_(USERNAME|PASSWORD)"
)
_NAMED = re.compile(r"^[A-Za-z0-9._-]+=(?=[a-z]+://)")
_UV_CARRIED = ("keyring-provider", "native-tls", "system-certs")
_PIP_CARRIED = ("cert", "client-cert", "proxy", "keyring-provider", "trusted-host", "timeout")


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


@command(
    "doctor",
    example="""devpi doctor
               devpi doctor requests --tool uv
               devpi doctor --index team/prod mypkg --json
               devpi doctor --simple http://localhost:8080/simple/ mypkg""",
    json=True,
)
@click.argument("project", required=False)
@click.option("--index", "wanted", metavar="INDEX", help="another index than the current one: NAME, USER/NAME or URL")
@click.option("--simple", metavar="URL", help="any index of which you know the URL that pip would be given")
@click.option("--tool", "tools", type=click.Choice(TOOLS), multiple=True, help="only this one  [pip and uv]")
def doctor_(
    session: Session, project: str | None, wanted: str | None, simple: str | None, tools: tuple[str, ...]
) -> int:
    """Check that pip and uv get what they need from the index, by the example of PROJECT, and say what to change.

    Looks at pages, hashes, upload times, metadata files, ranges and caching, at how the installed pip and uv are
    configured, and has both look for a release without installing it. Without PROJECT: the first one that the index
    has itself. Ends with 1 if there is a problem. Changes nothing.
    """
    patient = _patient(session, project, wanted, simple)
    session.terminal.note(f"examining {urls.hidden(patient.simple)} with {patient.project}")
    found = []
    with session.terminal.progress("examining", None) as bar:
        for finding in _examined(session, patient, tools):
            found.append(finding)
            bar.advance(1)
    _show(session, found)
    healthy = all(one.level is not Level.PROBLEM for one in found)
    session.terminal.data({
        "index": urls.hidden(patient.simple),
        "project": patient.project,
        "healthy": healthy,
        "findings": [dataclasses.asdict(one) for one in found],
    })  # fmt: skip
    return 0 if healthy else EXIT_FAILED


def _patient(session: Session, project: str | None, wanted: str | None, simple: str | None) -> Patient:
    if simple is not None:
        if not urls.is_http(simple) or project is None:
            raise Failure("--simple takes the URL of an index, and a project", "devpi doctor --simple URL PROJECT")
        bare, login = urls.without_login(simple)
        return Patient(bare, canonicalize_name(project), bare=True, login=Login(basic=login))
    index = session.index(wanted)
    named = project if project is not None else _first(session, index)
    return Patient(index.simple, canonicalize_name(named), bare=False, login=session.login_for(index.simple))


def _first(session: Session, index: Index) -> str:
    """A project that the index has itself. Raises Failure when nobody but the person can name one."""
    if index.submit is None:
        raise Failure(f"{index.name} is a mirror", "Name a project to look at: devpi doctor PROJECT")
    names = session.api("GET", index.url, type="indexconfig").result.get("projects") or []
    if not names:
        raise Failure(f"{index.name} has no project of its own", "Name one to look at: devpi doctor PROJECT")
    return str(min(names))


def _show(session: Session, found: Sequence[Finding]) -> None:
    rows = []
    for one in found:
        rows.append((one.level.value, one.about, one.says))
        if one.change:
            rows.append(("", "", f"-> {one.change}"))
    session.terminal.table(("", "about", "finding"), rows)
    problems = sum(one.level is Level.PROBLEM for one in found)
    warnings = sum(one.level is Level.WARNING for one in found)
    session.terminal.info(f"{_many(problems, 'problem')}, {_many(warnings, 'warning')}")


def _many(count: int, what: str) -> str:
    return f"{count or 'no'} {what}{'' if count == 1 else 's'}"


# The index.


def _examined(session: Session, patient: Patient, tools: Sequence[str]) -> Iterator[Finding]:
    files: list[Listed] = []
    try:
        page, access = _page(session, patient)
        yield access
        if access.level is Level.OK:
            patient = dataclasses.replace(patient, login=NOBODY)  # as pip and uv will ask
        if access.level is not Level.PROBLEM:
            files += checks.listed(page)
            yield from checks.of_page(page, files, bare=patient.bare)
            yield from _transport(session, patient, page, files)
            yield from _file(session, patient, files)
    except Unreachable as error:
        yield Finding("connection", Level.PROBLEM, error.what, error.advice)
    except ValueError as error:
        yield Finding("page", Level.PROBLEM, f"a page cannot be read: {error}", "Is this the URL of an index?")
    for name in tools or TOOLS:
        yield from _tool(session, patient, name, files, required=name in tools)


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


def _transport(session: Session, patient: Patient, page: Answer, files: Sequence[Listed]) -> Iterator[Finding]:
    etag = page.headers.get("etag")
    condition = {"If-None-Match": etag} if etag else {"If-Modified-Since": page.headers.get("last-modified", "")}
    again = _ask(session, "GET", patient.page, patient.login, **condition)
    uv = {"User-Agent": UV_AGENT, "Accept-Encoding": "gzip"}
    warm = _ask(session, "GET", patient.page, patient.login, **uv)
    yield from checks.of_transport(page, again, warm)
    if warm.status != 200 or checks.listed(warm) != list(files):
        yield Finding("page", Level.PROBLEM, "uv gets another page than pip", "A cache that ignores Vary may do that.")
    old = {"User-Agent": OLD_AGENT, "Accept": "text/html"}
    html = _ask(session, "GET", patient.page, patient.login, **old)
    yield from checks.of_html(page, html, files)


def _file(session: Session, patient: Patient, files: Sequence[Listed]) -> Iterator[Finding]:
    file = checks.sample(files)
    if file is None:
        return
    # A login goes to its own server only.
    login = patient.login if urls.same_server(file.url, patient.simple) else NOBODY
    head = _ask(session, "HEAD", file.url, login)
    yield checks.of_head(file, head)
    size = file.size or head.length or 0
    whole = None
    if size <= MAX_FILE:
        whole = _ask(session, "GET", file.url, login)
        size = len(whole.body)
        yield checks.of_content(file, whole)
    else:
        yield Finding("content", Level.INFO, f"{file.filename} is too large to look into ({size / 1e6:.0f} MB)")
    if whole is None or whole.status == 200:
        first, last = (_ask(session, "GET", file.url, login, Range=part) for part in checks.RANGES)
        yield checks.of_ranges(first, last, size)
    if file.metadata is not None:
        metadata = _ask(session, "GET", f"{file.url}.metadata", login)
        yield checks.of_metadata(file, metadata, whole.body if whole is not None else None)


def _ask(session: Session, method: str, url: str, login: Login, **headers: str) -> Answer:
    """An answer of any status, its body up to MAX_PAGE bytes. Raises Unreachable, also for redirects in a circle."""
    sent = {"User-Agent": PIP_AGENT, "Accept": checks.ACCEPT, "Accept-Encoding": "identity", **headers}
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


# The tools.


def _tool(
    session: Session, patient: Patient, name: str, files: Sequence[Listed], *, required: bool
) -> Iterator[Finding]:
    path = _which(session, name)
    if path is None:
        level = Level.PROBLEM if required else Level.INFO
        yield Finding(name, level, f"{name} is not installed here", f"Install {name}, or activate its environment.")
        return
    tool = (_pip if name == "pip" else _uv)(session, path)
    has_times = all(file.uploaded is not None for file in files)
    yield from checks.of_tool(tool, patient.simple, has_times=has_times)
    wanted = checks.requirement(patient.project, files, platform.python_version())
    if not files:
        return
    if wanted is None:
        yield Finding(name, Level.INFO, f"{name} was not tried: {patient.project} has no wheel that fits everywhere")
        return
    run = (_try_pip if name == "pip" else _try_uv)(session, tool, _index_for(tool, patient), wanted)
    yield checks.of_run(tool, wanted, run, files, login_at=patient.simple if patient.login != NOBODY else None)


def _which(session: Session, name: str) -> str | None:
    """The tool of the environment in use, else of PATH."""
    venv = venvs.chosen(None, session.state, session.environ, session.cwd)
    path = session.environ.get("PATH", os.defpath)
    return shutil.which(name, path=path if venv is None else f"{venv / venvs.BIN}{os.pathsep}{path}")


def _index_for(tool: Tool, patient: Patient) -> str:
    """What the tool is to ask. May carry a password: for its environment only."""
    if tool.index is not None and checks.same_index(tool.index, patient.simple):
        return tool.index
    login = patient.login.basic if patient.bare else None
    return patient.simple if login is None else urls.with_login(patient.simple, *login)


def _pip(session: Session, path: str) -> Tool:
    version = _run(session, [path, "--version"], session.environ)
    quiet = {"PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    settings, origin = pip_settings(_run(session, [path, "config", "list"], {**session.environ, **quiet}).output)
    carried = {f"PIP_{key.upper().replace('-', '_')}": settings[key] for key in _PIP_CARRIED if key in settings}
    return Tool(
        name="pip",
        path=path,
        version=(version.output.split() or ["", "nothing"])[1],
        index=settings.get("index-url"),
        where=origin.get("index-url", ""),
        extra=tuple(settings.get("extra-index-url", "").split()),
        trusted=tuple(settings.get("trusted-host", "").split()),
        cut=settings.get("uploaded-prior-to"),
        environ=carried,
    )


def pip_settings(listing: str) -> tuple[dict[str, str], dict[str, str]]:
    """What counts of `pip config list`, and where it stands: variables, then [install], then [global]."""
    settings, origin = {}, {}
    for section in ("global", "install", ":env:"):
        for line in listing.splitlines():
            key, _, value = line.partition("=")
            if key.startswith(f"{section}."):
                with contextlib.suppress(ValueError, SyntaxError):
                    name = key.removeprefix(f"{section}.")
                    settings[name] = str(ast.literal_eval(value))
                    variable = f"PIP_{name.upper().replace('-', '_')}"
                    origin[name] = variable if section == ":env:" else "its configuration files"
    return settings, origin


def _try_pip(session: Session, tool: Tool, index: str, wanted: str) -> Run:
    words = ["install", "--dry-run", "--ignore-installed", "--no-deps", "--only-binary", ":all:", "--no-input"]
    words += ["--no-cache-dir", "--disable-pip-version-check", "--quiet", "--report", "-", wanted]
    alone = {"PIP_CONFIG_FILE": os.devnull, "PIP_INDEX_URL": index}
    return _run(session, [tool.path, *words], {**_connection(session), **tool.environ, **alone})


def _uv(session: Session, path: str) -> Tool:
    version = _run(session, [path, "--version"], session.environ)
    return uv_settings(path, (version.output.split() or ["", "nothing"])[1], session.environ, _uv_files(session))


def uv_settings(
    path: str, version: str, environ: Mapping[str, str], files: Sequence[tuple[str, Mapping[str, Any]]]
) -> Tool:
    """What counts for uv of variables and of files: (path, content), the strongest first."""
    defaults, extra = _uv_indexes(environ, files)
    where, named = defaults[0] if defaults else ("", "")
    label, _, url = named.partition("=") if _NAMED.match(named) else ("", "", named)
    trusted = [*environ.get("UV_INSECURE_HOST", "").split(), *_flat(files, "allow-insecure-host")]
    carried = {"UV_INSECURE_HOST": " ".join(trusted)} if trusted else {}
    for key in _UV_CARRIED:
        carried |= {f"UV_{key.upper().replace('-', '_')}": value.lower() for value in _flat(files, key)[:1]}
    return Tool(
        name="uv",
        path=path,
        version=version,
        index=url or None,
        where=where,
        label=label,
        extra=tuple(_NAMED.sub("", one) for one in extra),
        trusted=tuple(trusted),
        cut=environ.get("UV_EXCLUDE_NEWER") or next(iter(_flat(files, "exclude-newer")), None),
        environ=carried,
    )


def _uv_indexes(
    environ: Mapping[str, str], files: Sequence[tuple[str, Mapping[str, Any]]]
) -> tuple[list[tuple[str, str]], list[str]]:
    """((where, URL or NAME=URL) of default indexes, the strongest first; those that are asked beside it)."""
    defaults = [(name, environ[name]) for name in ("UV_DEFAULT_INDEX", "UV_INDEX_URL") if environ.get(name)]
    extra = [*environ.get("UV_INDEX", "").split(), *environ.get("UV_EXTRA_INDEX_URL", "").split()]
    for where, file in files:
        for one in file.get("index", ()):
            url = f"{one['name']}={one.get('url')}" if one.get("name") else str(one.get("url"))
            if one.get("default") is True:
                defaults.append((where, url))
            elif not one.get("explicit"):
                extra.append(url)
    defaults += [(where, url) for where, file in files for url in _flat([(where, file)], "index-url")]
    return defaults, extra + _flat(files, "extra-index-url")


def _flat(files: Sequence[tuple[str, Mapping[str, Any]]], key: str) -> list[str]:
    """All values of a key, of [pip] before the others, lists taken apart."""
    found: list[str] = []
    for _, file in files:
        for table in (file.get("pip", {}), file):
            value = table.get(key)
            found += map(str, value if isinstance(value, list) else [] if value is None else [value])
    return found


def _uv_files(session: Session) -> list[tuple[str, Mapping[str, Any]]]:
    """Its configuration files that are there, the strongest first. What is broken uv complains of itself."""
    environ = session.environ
    if environ.get("UV_NO_CONFIG"):
        return []
    home = Path(environ.get("XDG_CONFIG_HOME") or Path(environ.get("HOME", "")) / ".config")
    user = Path(environ["APPDATA"]) if environ.get("APPDATA") else home
    places = [user / "uv" / "uv.toml", Path("/etc/uv/uv.toml")]
    near = (_near(folder) for folder in (session.cwd, *session.cwd.parents))
    places = [*filter(None, [next(filter(None, near), None)]), *places]
    if environ.get("UV_CONFIG_FILE"):
        places = [session.cwd / environ["UV_CONFIG_FILE"]]
    return [(str(place), content) for place in places if (content := _toml(place))]


def _near(folder: Path) -> Path | None:
    """What configures uv in a folder."""
    for name in ("uv.toml", "pyproject.toml"):
        if _toml(folder / name):
            return folder / name
    return None


def _toml(path: Path) -> Mapping[str, Any]:
    """uv's settings in a file; nothing if it has none."""
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError):
        return {}
    if path.name != "pyproject.toml":
        return content
    settings: Mapping[str, Any] = content.get("tool", {}).get("uv", {})
    return settings


def _try_uv(session: Session, tool: Tool, index: str, wanted: str) -> Run:
    words = ["pip", "compile", "--no-deps", "--generate-hashes", "--no-header", "--no-annotate", "--quiet"]
    words += ["--no-cache", "--only-binary", ":all:", "--prerelease", "allow", "-"]
    named = f"{tool.label}={index}" if tool.label and index == tool.index else index
    alone = {"UV_NO_CONFIG": "1", "UV_PYTHON_DOWNLOADS": "never", "UV_DEFAULT_INDEX": named}
    return _run(session, [tool.path, *words], {**_connection(session), **tool.environ, **alone}, f"{wanted}\n")


def _connection(session: Session) -> dict[str, str]:
    """The environment, without what would hide a release from a tool or lead it elsewhere."""
    return {
        name: value
        for name, value in session.environ.items()
        if not name.startswith(("PIP_", "UV_")) or _CONNECTION.fullmatch(name)
    }


def _run(session: Session, words: Sequence[str], environ: Mapping[str, str], typed: str = "") -> Run:
    """Run a tool to its end. There is no terminal: it asks nobody."""
    session.terminal.debug(" ".join(words))
    try:
        done = subprocess.run(  # noqa: S603 - the tool that the person would run
            words, input=typed, capture_output=True, text=True, errors="replace", check=False, timeout=RUN_S,
            env=dict(environ), cwd=session.cwd,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return Run(EXIT_FAILED, "", f"error: no answer in {RUN_S:.0f} seconds")
    except OSError as error:
        return Run(EXIT_FAILED, "", f"error: it cannot be started ({error.strerror})")
    return Run(done.returncode, done.stdout, done.stderr)
