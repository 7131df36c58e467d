"""The real commands as processes, ended by process id whatever happens."""

import contextlib
import http.client
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.ports import free_port

BIN = Path(sys.executable).parent
START_WITHIN_S = 20.0
# Root without this may do what the owner may; others are without it anyway.
PLAIN = ["setpriv", "--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-dac_override,-dac_read_search"]
# What no server of this suite may ever write into its log: passwords of its users, login tokens, a URL's login.
SECRETS = re.compile(
    r"a good password|the password of root|stilton-login-\w[\w.-]{8,}|X-Devpi-Auth: *\w{8,}|://[^/\s:@*]+:(?!\*\*\*\*@)[^/\s@]+@"
)


@dataclass
class Server:
    """A running `devpi-server`. `log()` is all it wrote so far."""

    url: str
    port: int
    process: subprocess.Popen[bytes]
    logfile: Path

    def log(self) -> str:
        return self.logfile.read_text()

    def get(self, path: str, **headers: str) -> tuple[int, dict[str, str], bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.request("GET", path, headers={k.replace("_", "-"): v for k, v in headers.items()})
            response = connection.getresponse()
            return response.status, {k.lower(): v for k, v in response.getheaders()}, response.read()
        finally:
            connection.close()

    def send(self, method: str, path: str, body: bytes = b"", **headers: str) -> tuple[int, bytes]:
        """Any request: (status, body). Raises OSError or HTTPException when the server dies meanwhile."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.request(method, path, body, headers={k.replace("_", "-"): v for k, v in headers.items()})
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    def send_json(self, method: str, path: str, document: object, **headers: str) -> tuple[int, dict[str, Any]]:
        """A JSON request: (status, the answer)."""
        body = json.dumps(document).encode()
        status, answer = self.send(method, path, body, accept="application/json", **headers)
        return status, json.loads(answer)

    def workers(self) -> list[int]:
        """Process ids of the workers."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        return [int(pid) for pid in children.split()]

    def kill(self) -> None:
        """kill -9, of the server and its workers."""
        for pid in [self.process.pid, *self.workers()]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait(10)


def run(
    command: str | Path,
    *arguments: str,
    env: dict[str, str] | None = None,
    timeout: float = 60,
    cwd: Path | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run a command of ours to its end."""
    # Two tests at once must not both begin on the port that is the default.
    says_where = bool({"--port", "--listen", "--print-config"} & set(arguments))
    port = {"DEVPISERVER_PORT": str(free_port())} if command == "devpi-server" and not says_where else {}
    return subprocess.run(
        [BIN / command, *arguments], capture_output=True, text=True, timeout=timeout, check=False,
        env=clean_env(**{**port, **(env or {})}), cwd=cwd,
    )  # fmt: skip


def clean_env(**more: str) -> dict[str, str]:
    """The environment without what would lead tools or the server elsewhere."""
    drop = re.compile(r"(PIP_|UV_|DEVPI|.*_proxy$|.*_PROXY$)")
    kept = {k: v for k, v in os.environ.items() if not drop.match(k)}
    return {**kept, "PIP_CONFIG_FILE": os.devnull, "UV_NO_CONFIG": "1", "PYTHONWARNINGS": "", **more}


@contextlib.contextmanager
def a_server(
    serverdir: Path,
    *arguments: str,
    env: dict[str, str] | None = None,
    command: Path = BIN / "devpi-server",
    ready: str = "/+health",
) -> Iterator[Server]:
    """Start `devpi-server` on an existing folder, wait until `ready` answers; end it after."""
    port = free_port()
    logfile = serverdir.parent / f"server-{port}.log"
    with logfile.open("wb") as out:
        process = subprocess.Popen(
            [command, "--serverdir", serverdir, "--host", "127.0.0.1", "--port", str(port), *arguments],
            stdout=out, stderr=subprocess.STDOUT, env=clean_env(**(env or {})),
        )  # fmt: skip
    server = Server(f"http://127.0.0.1:{port}", port, process, logfile)
    try:
        _wait(server, ready)
        yield server
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                server.kill()
    told = SECRETS.findall(server.log())
    assert not told, f"secrets in the log: {told}"


def _wait(server: Server, ready: str) -> None:
    end = time.monotonic() + START_WITHIN_S
    while time.monotonic() < end:
        if server.process.poll() is not None:
            raise AssertionError(f"devpi-server ended with {server.process.returncode}:\n{server.log()}")
        with contextlib.suppress(OSError):
            if server.get(ready)[0] == 200:
                return
        time.sleep(0.02)
    raise AssertionError(f"devpi-server did not answer within {START_WITHIN_S} s:\n{server.log()}")
