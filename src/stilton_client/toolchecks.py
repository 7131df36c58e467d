"""Whether an installed pip or uv is new enough, configured for an index, and finds there what it should. Pure."""

import contextlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import InvalidWheelFilename, parse_wheel_filename
from packaging.version import InvalidVersion, Version

from stilton_client import urls
from stilton_client.findings import NO_TIMES, PIP_JSON, Finding, Level
from stilton_client.listings import Listed
from stilton_client.toolsettings import Tool

PIP_METADATA, PIP_CUT = Version("23.2"), Version("26.0")
UV_DEFAULT_INDEX = Version("0.4.23")
_REPORTED = re.compile(r"sha256\W{1,5}([0-9a-f]{64})")
_SECRET = re.compile(r"//[^/@\s]+@")
MOST_CHARS = 300
# What uv draws around its words: bars, arrows, crosses.
_FRAME = " \u2570\u2500\u25b6\u00d7\u2502\u251c"


@dataclass(frozen=True)
class Run:
    """How a tool ended."""

    status: int
    output: str
    errors: str


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
    if tool.no_index:
        says = f"{tool.name} asks no index at all: no-index is set ({tool.no_index})"
        yield Finding(tool.name, Level.PROBLEM, says, _without_no_index(tool))
    yield from _trust(tool, simple)
    if tool.cut and not has_times:
        says = f"{tool.name} leaves out what was uploaded after {tool.cut}, and this index tells no upload times"
        yield Finding(tool.name, Level.PROBLEM, says, NO_TIMES)


def _without_no_index(tool: Tool) -> str:
    if tool.no_index.startswith("PIP_"):
        return f"unset {tool.no_index}"
    return "Take it out there" + ("; `pip config debug` shows which file has it." if tool.name == "pip" else ".")


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
            (Version(PIP_JSON), "JSON pages"), (PIP_METADATA, "metadata files"), (PIP_CUT, "--uploaded-prior-to"),
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
