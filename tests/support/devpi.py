"""A `devpi` command, ours or devpi-client, in a home of its own, against a running server.

A transcript is commands after `$ ` and below each the lines that have to be in its output, in this
order; others may be between them. `…` stands for anything, SERVER for the server's URL, ME for the
user who is logged in, `[1]` for the status of a command that fails. `(ours)` and `(theirs)` begin lines
that only one of the commands writes. Each test has a user of its own.
"""

import contextlib
import itertools
import json
import re
import shlex
import subprocess
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.builders import Dist, a_wheel
from tests.support.publish import PASSWORD, basic
from tests.support.server import BIN, Server, a_server, clean_env, run
from tests.support.upstream import FakeUpstream, Threaded

DEVPI_BIN = Path(__file__).parents[2] / ".venv-devpi" / "bin"
THEIRS = Path(__file__).parents[2] / ".venv-clients" / "bin" / "devpi"
OURS = BIN / "devpi"
OLD = "2024-01-01T00:00:00Z"
ROOT = "the password of root"


@dataclass
class Client:
    """devpi in a folder of its own, which is its home, too."""

    server: Server
    upstream: FakeUpstream
    folder: Path
    me: str = "root"
    tool: Path = OURS
    without: tuple[str, ...] = ()
    """Variables that are left out of its environment."""

    def run(self, command: str, *, typed: str = "", **env: str) -> tuple[int, list[str]]:
        """Run a command: its status and the lines it wrote. There is no terminal: it reads what is `typed`."""
        words = shlex.split(self._named(command))
        tool = self.tool if words[0] == "devpi" else words[0]
        done = subprocess.run(
            [tool, *words[1:]], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, input=typed, text=True, timeout=60,
            check=False, cwd=self.folder, start_new_session=True, env={**self.env, **env},
        )  # fmt: skip
        return done.returncode, [line.rstrip() for line in done.stdout.splitlines()]

    def lines(self, command: str, **env: str) -> list[str]:
        """The lines that a command writes which has to succeed."""
        status, lines = self.run(command, **env)
        assert status == 0, (command, lines)
        return lines

    def follow(self, transcript: str, *, typed: str = "", **env: str) -> None:
        """Type what a transcript says and compare the answers."""
        for part in re.split(r"^\s*\$ ", transcript, flags=re.MULTILINE)[1:]:
            command, *expected = [line for line in map(self._mine, part.splitlines()) if line]
            status, lines = self.run(command, typed=typed, **env)
            wanted = 1 if expected and expected[-1] == "[1]" else 0
            answer = "\n".join(lines)
            assert status == wanted, f"{command}\n{answer}"
            rest = iter(lines)
            for line in expected[: len(expected) - wanted]:
                pattern = ".*".join(map(re.escape, self._named(line).split("…")))
                assert any(re.fullmatch(pattern, each.strip()) for each in rest), f"no {line!r}:\n{command}\n{answer}"

    def _mine(self, line: str) -> str:
        """A line of a transcript without `(ours)` or `(theirs)`; nothing if it is not for this command."""
        other = "(theirs)" if self.tool == OURS else "(ours)"
        line = line.strip()
        return "" if line.startswith(other) else re.sub(r"^\((ours|theirs)\) ?", "", line)

    def has(self, *dists: Dist, folder: str = "dist") -> None:
        """Files to upload, in `folder`."""
        (self.folder / folder).mkdir(exist_ok=True)
        for dist in dists:
            (self.folder / folder / dist.filename).write_bytes(dist.content)

    def href(self, index: str, dist: Dist) -> str:
        return f"{self.server.url}/{index}/{dist.path}"

    def get(self, path: str) -> dict[str, Any]:
        """What the server says to root."""
        status, _, body = self.server.get(path, accept="application/json", authorization=basic("root", ROOT))
        assert status == 200, body
        answer: dict[str, Any] = json.loads(body)["result"]
        return answer

    @property
    def env(self) -> dict[str, str]:
        kept = {name: value for name, value in clean_env().items() if not re.match("XDG|VIRTUAL_ENV|WORKON", name)}
        made = {
            **kept,
            "HOME": str(self.folder),
            "HTTPS_PROXY": "http://127.0.0.1:1",
            "PYTHON_KEYRING_BACKEND": "keyring.backends.null.Keyring",
            "UV_CACHE_DIR": str(self.folder / "uv-cache"),
            "UV_PYTHON_DOWNLOADS": "never",
        }
        return {name: value for name, value in made.items() if name not in self.without}

    def _named(self, text: str) -> str:
        names = {"SERVER": self.server.url, "ME": self.me, "UPSTREAM": self.upstream.url}
        return re.sub(r"\b(SERVER|ME|UPSTREAM)\b", lambda found: names[found[0]], text)


@dataclass
class Yard:
    """A server, as `devpi-init` made it, over an upstream that has two releases of `dep`."""

    server: Server
    upstream: FakeUpstream
    numbers: Iterator[int]

    def client(self, folder: Path, tool: Path = OURS) -> Client:
        """A client whose user is new and logged in; he has a volatile index `dev`, in use, and a firm `prod`."""
        me = f"user{next(self.numbers)}"
        self.send("PUT", f"/{me}", {"password": PASSWORD})
        self.send("PUT", f"/{me}/dev", {"bases": "root/pypi"})
        self.send("PUT", f"/{me}/prod", {"bases": "root/pypi", "volatile": False})
        folder.mkdir(exist_ok=True)
        client = Client(self.server, self.upstream, folder, me, tool)
        client.lines("devpi use SERVER/ME/dev")
        client.lines(f"devpi login ME --password '{PASSWORD}'")
        return client

    def send(self, method: str, path: str, document: object) -> None:
        """As root, whatever the client does."""
        status, answer = self.server.send_json(method, path, document, authorization=basic("root", ROOT))
        assert status in (200, 201), answer


@contextlib.contextmanager
def a_yard(folder: Path) -> Iterator[Yard]:
    """`folder` does not exist yet."""
    with Threaded() as upstream:
        upstream.add("dep", a_wheel("dep", "1.0"), a_wheel("dep", "1.5"), upload_time=OLD)
        made = run("devpi-init", "--serverdir", str(folder), "--mirror-url", upstream.url, "--root-passwd", ROOT)
        assert made.returncode == 0, made.stderr
        with a_server(folder) as server:
            yield Yard(server, upstream, itertools.count(1))


@contextlib.contextmanager
def their_yard(folder: Path) -> Iterator[Yard]:
    """The same on a devpi-server, which `make .venv-devpi/.done` installs. `folder` does not exist yet."""
    with Threaded() as upstream:
        upstream.add("dep", a_wheel("dep", "1.0"), a_wheel("dep", "1.5"), upload_time=OLD)
        made = run(DEVPI_BIN / "devpi-init", "--serverdir", str(folder), "--root-passwd", ROOT)
        assert made.returncode == 0, made.stderr
        with a_server(folder, command=DEVPI_BIN / "devpi-server", ready="/+api") as server:
            yard = Yard(server, upstream, itertools.count(1))
            yard.send("PATCH", "/root/pypi", [f"mirror_url={upstream.url}"])
            yield yard


def a_doc_zip(folder: Path, name: str) -> None:
    folder.mkdir(exist_ok=True)
    with zipfile.ZipFile(folder / name, "w") as archive:
        archive.writestr("index.html", "<h1>How to</h1>")
