"""The installed pip and uv: found, asked what they are configured for, and made to look for a release.

They look without installing anything, and ask one index alone: with the URL and the login that they are configured
for, where that is the index. No login is ever on a command line.
"""

import os
import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from stilton_client import children, toolsettings, venvs
from stilton_client.children import Child
from stilton_client.errors import EXIT_FAILED, Failure
from stilton_client.session import Session
from stilton_client.toolchecks import Run
from stilton_client.toolsettings import Tool

NAMES = ("pip", "uv")
RUN_S = 120.0
# What leads to an index, of all the variables that tools know. The others could hide a release from them.
_CONNECTION = re.compile(
    r"PIP_(CERT|CLIENT_CERT|PROXY|KEYRING_PROVIDER|TRUSTED_HOST|TIMEOUT|DEFAULT_TIMEOUT)"
    r"|UV_(NATIVE_TLS|SYSTEM_CERTS|INSECURE_HOST|KEYRING_PROVIDER|HTTP_TIMEOUT|PYTHON|CACHE_DIR)"
    r"|UV_INDEX_\w+_(USERNAME|PASSWORD)"
)


def installed(session: Session, name: str) -> Tool | None:
    """The tool of the environment in use, else of PATH."""
    venv = venvs.chosen(None, session.state, session.environ, session.cwd)
    path = session.environ.get("PATH", os.defpath)
    found = children.find(name, {"PATH": path if venv is None else f"{venv / venvs.BIN}{os.pathsep}{path}"})
    if found is None:
        return None
    program = str(found)
    words = _run(session, [program, "--version"], session.environ).output.split() or ["", "nothing"]
    if name == "uv":
        return toolsettings.of_uv(program, words[1], session.environ, _uv_files(session))
    quiet = {**session.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    return toolsettings.of_pip(program, words[1], _run(session, [program, "config", "list"], quiet).output)


def attempt(session: Session, tool: Tool, index: str, wanted: str) -> Run:
    """Have it look for `wanted` at `index`, which may carry a password."""
    return (_try_uv if tool.name == "uv" else _try_pip)(session, tool, index, wanted)


def _try_pip(session: Session, tool: Tool, index: str, wanted: str) -> Run:
    words = ["install", "--dry-run", "--ignore-installed", "--no-deps", "--only-binary", ":all:", "--no-input"]
    words += ["--no-cache-dir", "--disable-pip-version-check", "--quiet", "--report", "-", wanted]
    alone = {"PIP_CONFIG_FILE": os.devnull, "PIP_INDEX_URL": index}
    return _run(session, [tool.path, *words], {**_connection(session), **tool.environ, **alone})


def _try_uv(session: Session, tool: Tool, index: str, wanted: str) -> Run:
    words = ["pip", "compile", "--no-deps", "--generate-hashes", "--no-header", "--no-annotate", "--quiet"]
    words += ["--no-cache", "--only-binary", ":all:", "--prerelease", "allow", "-"]
    named = f"{tool.label}={index}" if tool.label and index == tool.index else index
    alone = {"UV_NO_CONFIG": "1", "UV_PYTHON_DOWNLOADS": "never", "UV_DEFAULT_INDEX": named}
    return _run(session, [tool.path, *words], {**_connection(session), **tool.environ, **alone}, f"{wanted}\n")


def _uv_files(session: Session) -> toolsettings.Files:
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
        answer = children.answer(Child(words, session.cwd, environ), typed=typed, within_s=RUN_S)
    except Failure as failure:
        return Run(EXIT_FAILED, "", f"error: {failure.what}")
    return Run(answer.status, answer.printed.decode(errors="replace"), answer.complaint.decode(errors="replace"))
