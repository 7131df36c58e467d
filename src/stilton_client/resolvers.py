"""Resolution: an installer says which versions it would take from an index, and installs nothing.

pip is asked, as a child: what it will want later is what it wants now. Where there is no pip, uv. The login
is lent to the child in a file (`netrcfile`), never on a command line, its own or that of a child of its own.

pip can be told other platform tags but not other markers (pip's issue 11198): for another target it is started with
the target's values of the markers.
"""

import contextlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from packaging.utils import canonicalize_name

from stilton_client import credentials, netrcfile, urls, uvcompile
from stilton_client.errors import Failure
from stilton_client.pins import Pin
from stilton_client.session import Session
from stilton_client.targets import Target

_KEPT = ("PIP_CERT", "PIP_PROXY", "UV_CACHE_DIR")
_CA_VARIABLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "PIP_CERT", "SSL_CERT_FILE")
_AS_IF = """
import json, runpy, sys
from pip._vendor.packaging import markers
environment = json.loads(sys.argv.pop(1))
markers.default_environment = lambda: dict(environment)
runpy.run_module("pip", run_name="__main__", alter_sys=True)
"""


@dataclass(frozen=True)
class Question:
    """What to resolve together: requirements, and requirement files."""

    requirements: tuple[str, ...]
    files: tuple[Path, ...]


@dataclass(frozen=True)
class Answer:
    """What an installer would take. `elsewhere`: what comes from no index."""

    pins: tuple[Pin, ...]
    elsewhere: tuple[str, ...] = ()


class Resolver(Protocol):
    """Something that resolves."""

    def resolve(self, question: Question, target: Target) -> Answer:
        """What a target would get. Raises Failure with the installer's own reason."""


@contextlib.contextmanager
def resolver(session: Session, simple: str) -> Iterator[Resolver]:
    """pip, or uv, for an index's pages, which has the login while it lasts. Raises Failure when there is neither."""
    pair = credentials.login_of(session.login_for(simple))
    with netrcfile.written(simple, pair, session.environ) as named:
        yield _found(session, {**_environment(session, simple), **named})


def _found(session: Session, environment: Mapping[str, str]) -> Resolver:
    if importlib.util.find_spec("pip") is not None:
        return Pip(environment, session.cwd)
    uv = shutil.which("uv", path=session.environ.get("PATH"))
    if uv is not None:
        return Uv(environment, session.cwd, uv)
    raise Failure(
        "There is neither pip nor uv to find out what is needed",
        "Install one of them beside devpi, or name a lock file, or say --no-deps.",
    )


@dataclass(frozen=True)
class Pip:
    """`pip install --dry-run --report`."""

    environment: Mapping[str, str]
    cwd: Path

    def resolve(self, question: Question, target: Target) -> Answer:
        """See Resolver."""
        with tempfile.TemporaryDirectory() as folder:
            report = Path(folder) / "report.json"
            done = self._run([*_pip(target), *_PIP_INSTALL, f"--report={report}", *_foreign(target), *_words(question)])
            if done.returncode != 0:
                raise Failure(_pips_reason(done.stdout + done.stderr))
            return _reported(json.loads(report.read_text(encoding="utf-8")))

    def _run(self, command: Sequence[str]) -> subprocess.CompletedProcess[str]:
        return _run(command, self.environment, self.cwd)


@dataclass(frozen=True)
class Uv:
    """`uv pip compile`."""

    environment: Mapping[str, str]
    cwd: Path
    uv: str

    def resolve(self, question: Question, target: Target) -> Answer:
        """See Resolver."""
        with tempfile.TemporaryDirectory() as folder:
            names = Path(folder) / "requirements.in"
            names.write_text("".join(f"{each}\n" for each in question.requirements), encoding="utf-8")
            files = [*([names] if question.requirements else []), *question.files]
            command = [
                self.uv,
                "pip",
                "compile",
                "--no-header",
                "--no-annotate",
                *uvcompile.options(target),
                *map(str, files),
            ]
            done = _run(command, self.environment, self.cwd)
        if done.returncode != 0:
            raise Failure(uvcompile.reason(done.stderr))
        return Answer(*uvcompile.read(done.stdout))


_PIP_REPEATS = ("ResolutionImpossible", "No matching distribution")
_PIP_INSTALL = ("install", "--dry-run", "--ignore-installed", "--no-cache-dir", "--progress-bar=off")


def _environment(session: Session, simple: str) -> dict[str, str]:
    """Of the child: nothing that leads it to another index."""
    login = session.login_for(simple)
    kept = {name: value for name, value in session.environ.items() if not name.startswith(("PIP_", "UV_"))}
    kept |= {name: session.environ[name] for name in _KEPT if name in session.environ}
    bundle = next((session.environ[name] for name in _CA_VARIABLES if session.environ.get(name)), None)
    more = {"PIP_CERT": bundle, "SSL_CERT_FILE": bundle, "PIP_CLIENT_CERT": login.cert, "SSL_CLIENT_CERT": login.cert}
    if urls.is_plain(simple):
        more["PIP_TRUSTED_HOST"] = urls.host(simple)
    return {
        **kept,
        **{name: value for name, value in more.items() if value is not None},
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PIP_NO_INPUT": "1",
        "PIP_INDEX_URL": simple,
        "UV_DEFAULT_INDEX": credentials.for_uv(simple, login),
        "UV_NO_CONFIG": "1",
        "UV_PYTHON_DOWNLOADS": "never",
        "NO_COLOR": "1",
    }


def _run(command: Sequence[str], environment: Mapping[str, str], cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 - pip or uv, with what the person asked for
        command,
        env=dict(environment),
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )


def _pip(target: Target) -> list[str]:
    # -P: no module of the current folder takes the place of one of Python's.
    if target.is_native:
        return [sys.executable, "-P", "-m", "pip"]
    return [sys.executable, "-P", "-c", _AS_IF, json.dumps(dict(target.environment))]


def _foreign(target: Target) -> list[str]:
    """Options for what does not run us: nothing can be built for it."""
    if target.is_native:
        return []
    platforms = [f"--platform={tag}" for tag in target.platforms[0]]
    return ["--only-binary=:all:", f"--python-version={target.version}", "--implementation=cp", *platforms]


def _words(question: Question) -> list[str]:
    return [*(f"--requirement={path}" for path in question.files), "--", *question.requirements]


def _reported(report: Mapping[str, Any]) -> Answer:
    pins, elsewhere = [], []
    for each in report["install"]:
        url, metadata = str(each["download_info"]["url"]), each["metadata"]
        if each.get("is_direct") or not urls.is_http(url):
            elsewhere.append(f"{metadata['name']} ({urls.hidden(url)})")
            continue
        named = frozenset({urls.basename(url)})
        pins.append(Pin(canonicalize_name(metadata["name"]), metadata["version"], named=named))
    return Answer(tuple(pins), tuple(elsewhere))


def _pips_reason(output: str) -> str:
    """The first lines of pip's own explanation, without where to read more."""
    said = [line.partition("ERROR: ")[2].strip() for line in output.splitlines() if "ERROR: " in line]
    useful = [line for line in dict.fromkeys(said) if line and not line.startswith(_PIP_REPEATS)]
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    return "; ".join(useful[:2]) or (lines[-1] if lines else "pip says nothing about it")
