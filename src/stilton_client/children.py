"""Child processes: which program, what its environment adds, how its command line is shown, how it ends.

Secrets go to a child in its environment only: a command line is for everybody on the machine to read. What is shown
of a command line has no login in it.
"""

import base64
import contextlib
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from stilton_client import urls
from stilton_client.errors import Failure
from stilton_client.http import Login
from stilton_client.terminal import Terminal

# How long an interrupted child may tidy up before it is told again, and then ended.
PATIENCE_S = 10.0
SHORT = 8
_LOGIN = re.compile(r"(https?://)[^/\s]+@")


@dataclass(frozen=True)
class Child:
    """What is to be run: a program with its arguments, a folder, a whole environment."""

    command: Sequence[str]
    cwd: Path
    environ: Mapping[str, str]

    @property
    def shown(self) -> str:
        """The command line as people may see it."""
        line = _LOGIN.sub(r"\1****@", shlex.join(self.command))
        return f"--> {self.cwd}$ {line}"


def run(child: Child, out: Terminal) -> int:
    """Its exit status; what it says goes to the person, to standard error where `--json` has the other.

    Raises Failure when it cannot be started. Interrupted, it is given time to end first.
    """
    out.note(child.shown)
    with _started(child, stdout=sys.stderr.fileno() if out.as_json else None) as process:
        return process.wait()


def output(child: Child, out: Terminal) -> tuple[int, str]:
    """Its exit status and what it wrote to standard output. Raises Failure when it cannot be started."""
    out.note(child.shown)
    with _started(child, stdout=subprocess.PIPE) as process:
        text, _ = process.communicate()
        return process.returncode, text


def find(name: str, environ: Mapping[str, str], venv: Path | None = None) -> Path | None:
    """The program of that name in an environment, without one: on PATH."""
    folders = environ.get("PATH", os.defpath) if venv is None else os.pathsep.join((f"{venv}/bin", f"{venv}/Scripts"))
    found = shutil.which(name, path=folders)
    return Path(found) if found else None


def login_of(login: Login) -> tuple[str, str] | None:
    """The one login that fits into a URL: nothing gets past a web server in front without its own."""
    return login.basic or login.token


def index_environment(simple: str, login: Login, environ: Mapping[str, str], *, trusted: bool) -> dict[str, str]:
    """Variables that make pip and uv use an index as the person; they are secrets.

    `trusted`: without https, or with a certificate that nobody vouches for.
    """
    pair = login_of(login)
    url = urls.with_login(simple, *pair) if pair else simple
    # UV_INDEX_URL is for uv before 0.4.23.
    added = {"PIP_INDEX_URL": url, "UV_INDEX_URL": url, "UV_DEFAULT_INDEX": url}
    if login.cert:
        added |= {"PIP_CLIENT_CERT": login.cert, "SSL_CLIENT_CERT": login.cert}
    if trusted:
        host = urlsplit(simple).netloc.rpartition("@")[2]
        for name in ("PIP_TRUSTED_HOST", "UV_INSECURE_HOST"):
            added[name] = f"{environ.get(name, '')} {host}".strip()
    return added


def without_login(document: Any, login: Login) -> Any:  # noqa: ANN401 - JSON
    """What a child wrote, the login that it knew replaced by stars."""
    pair = login_of(login)
    return _without(document, _spellings(*pair)) if pair else document


def _without(document: Any, secrets: Sequence[str]) -> Any:  # noqa: ANN401 - JSON
    if isinstance(document, str):
        for secret in secrets:
            document = document.replace(secret, "****")
        return document
    if isinstance(document, list):
        return [_without(each, secrets) for each in document]
    if isinstance(document, dict):
        return {_without(key, secrets): _without(value, secrets) for key, value in document.items()}
    return document


def _spellings(user: str, password: str) -> list[str]:
    """The ways in which a login may be written, longest first."""
    quoted = quote(password, safe="")
    basic = base64.b64encode(f"{user}:{password}".encode()).decode("ascii")
    found = [basic, f"{quote(user, safe='')}:{quoted}", f"{user}:{password}"]
    # A short password is a word like others: it is only replaced where it is part of a login.
    return [*found, quoted, password] if len(password) >= SHORT else found


@contextlib.contextmanager
def _started(child: Child, stdout: int | None) -> Iterator["subprocess.Popen[str]"]:
    try:
        process = subprocess.Popen(  # noqa: S603 - what the person asked for, without a shell
            list(child.command), cwd=child.cwd, env=dict(child.environ), stdout=stdout, text=True
        )
    except OSError as error:
        raise Failure(f"{child.command[0]} cannot be run ({error.strerror})") from error
    try:
        yield process
    except BaseException:
        _end(process)
        raise


def _end(process: "subprocess.Popen[str]") -> None:
    """Wait for a child that is interrupted; a second interrupt ends it at once."""
    with contextlib.suppress(KeyboardInterrupt):
        # A terminal interrupts all of its processes, anything else only us.
        if not os.isatty(0):
            process.send_signal(signal.SIGINT)
        for tell in (process.terminate, process.kill):
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(PATIENCE_S)
                return
            tell()
    process.kill()
    process.wait()
