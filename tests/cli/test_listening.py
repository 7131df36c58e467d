"""Addresses, unix sockets, TLS, sockets of systemd, and workers that are replaced while people use them."""

import contextlib
import http.client
import os
import signal
import socket
import ssl
import stat
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme
from cryptography.hazmat.primitives import serialization

from bench.ports import free_port
from tests.support.builders import a_wheel
from tests.support.deadline import until
from tests.support.server import BIN, Server, a_server, clean_env, run
from tests.support.upstream import FakeUpstream, Threaded
from tests.support.world import make_serverdir

PAGE = "/root/pypi/+simple/pkg/"
CLIENTS = 4


@pytest.fixture
def upstream() -> Iterator[FakeUpstream]:
    with Threaded() as upstream:
        upstream.add("pkg", a_wheel("pkg", "1.0"))
        yield upstream


@pytest.fixture
def serverdir(tmp_path: Path, upstream: FakeUpstream) -> Path:
    make_serverdir(tmp_path / "server", upstream.url)
    return tmp_path / "server"


class UnixConnection(http.client.HTTPConnection):
    """HTTP over a socket in the file system."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=20)
        self._path = str(path)

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(20)
        self.sock.connect(self._path)


def got(connection: http.client.HTTPConnection, path: str = "/+health") -> int:
    with contextlib.closing(connection):
        connection.request("GET", path)
        response = connection.getresponse()
        response.read()
        return response.status


@contextlib.contextmanager
def started(serverdir: Path, *arguments: str, env: dict[str, str] | None = None) -> Iterator[tuple[Server, Path]]:
    """A server that is not on its usual port: (what can be asked of its process, its log)."""
    log = serverdir.parent / "server.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [BIN / "devpi-server", "--serverdir", serverdir, *arguments],
            stdout=out, stderr=subprocess.STDOUT, env=clean_env(**(env or {})),
        )  # fmt: skip
    server = Server("", 0, process, log)
    try:
        until(lambda: process.poll() is not None or "Hit Ctrl-C" in log.read_text(), "it runs")
        yield server, log
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait(20)


def refused(serverdir: Path, *arguments: str, **env: str) -> str:
    done = run("devpi-server", "--serverdir", str(serverdir), *arguments, timeout=30, env=env)
    assert done.returncode == 1
    return done.stderr


def test_it_listens_on_every_address_that_is_named(serverdir: Path, tmp_path: Path) -> None:
    ports = free_port(), free_port()
    path = tmp_path / "it.sock"
    listen = [f"--listen=127.0.0.1:{ports[0]}", f"--listen=*:{ports[1]}"]
    with started(serverdir, *listen, "--unix-socket", str(path), "--unix-socket-perms", "660") as (server, log):
        answers = [got(http.client.HTTPConnection("127.0.0.1", port, timeout=20), PAGE) for port in ports]
        answers.append(got(UnixConnection(path), PAGE))
        mode = stat.S_IMODE(path.stat().st_mode)
        workers = len(server.workers())
        said = log.read_text()

    assert answers == [200, 200, 200]
    assert mode == 0o660
    assert workers == 3
    assert f"serving at url: http://127.0.0.1:{ports[0]}" in said
    assert f"serving at url: unix:{path}" in said
    assert not path.exists()


def test_a_socket_alone_takes_the_place_of_host_and_port(serverdir: Path, tmp_path: Path) -> None:
    path = tmp_path / "it.sock"
    with started(serverdir, "--unix-socket", str(path)) as (server, _):
        assert got(UnixConnection(path)) == 200
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert len(server.workers()) == 1


def test_a_socket_that_a_dead_server_left_is_replaced_and_anything_else_is_not(serverdir: Path, tmp_path: Path) -> None:
    path = tmp_path / "it.sock"
    with started(serverdir, "--unix-socket", str(path)) as (server, _):
        server.kill()
    assert path.exists()
    with started(serverdir, "--unix-socket", str(path)):
        assert got(UnixConnection(path)) == 200

    path.write_text("mine")
    assert "is there and no socket" in refused(serverdir, "--unix-socket", str(path))
    assert path.read_text() == "mine"

    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(tmp_path / "other.sock"))
        other.listen()
        assert "is in use" in refused(serverdir, "--unix-socket", str(tmp_path / "other.sock"))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--listen", "127.0.0.1:1", "--port", "2"], "either --listen or --host/--port"),
        (["--listen", "nonsense"], "--listen is 'nonsense': it takes HOST:PORT"),
        (["--listen", "127.0.0.1:99999"], "it takes HOST:PORT, *:PORT or [IPv6]:PORT, ports from 1 to 65535"),
        (["--tls-cert", "x.pem"], "--tls-cert and --tls-key are given together"),
        (["--tls-cert", "x.pem", "--tls-key", "y.pem"], "No such file"),
        (["--unix-socket-perms", "999"], "it takes permission bits like 660"),
    ],
)
def test_addresses_that_cannot_be_are_refused(serverdir: Path, arguments: list[str], said: str) -> None:
    assert said in refused(serverdir, *arguments)


def test_a_port_that_another_has_is_named(serverdir: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]

        config = serverdir.parent / "server.yml"
        config.write_text(f"devpi-server:\n  listen: 127.0.0.1:{port}\n")
        ways = {
            "--listen": ("--listen", f"127.0.0.1:{port}"),
            "--port": ("--port", str(port)),
            f"listen in {config}": ("-c", str(config)),
        }
        for name, arguments in ways.items():
            said = refused(serverdir, *arguments, DEVPISERVER_PORT="")
            assert f"Port {port} on " in said
            assert f"Another server may be running; {name} takes another." in said


def test_sockets_of_systemd_are_used(serverdir: Path) -> None:
    with socket.socket() as given:
        given.bind(("127.0.0.1", 0))
        given.listen()
        port = given.getsockname()[1]
        # What systemd does: the socket is file 3, and the process id is the server's own.
        script = f"exec {BIN / 'devpi-server'} --serverdir {serverdir} 3<&{given.fileno()}"
        log = serverdir.parent / "server.log"
        with log.open("wb") as out:
            process = subprocess.Popen(
                ["bash", "-c", f"export LISTEN_FDS=1 LISTEN_PID=$$; {script}"],
                stdout=out, stderr=subprocess.STDOUT, pass_fds=[given.fileno()], env=clean_env(),
            )  # fmt: skip
        try:
            status = got(http.client.HTTPConnection("127.0.0.1", port, timeout=20))
        finally:
            process.terminate()
            process.wait(20)

    assert status == 200
    assert "of systemd" in log.read_text()


# -- TLS ------------------------------------------------------------------------------------------


def certificate(authority: trustme.CA, folder: Path) -> tuple[Path, Path]:
    """Files of a certificate for 127.0.0.1 and of its key, in the form that is wanted."""
    issued = authority.issue_cert("127.0.0.1")
    issued.cert_chain_pems[0].write_to_path(folder / "cert.pem")
    issued.private_key_pem.write_to_path(folder / "old.pem")
    private = serialization.load_pem_private_key(issued.private_key_pem.bytes(), None)
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "key.pem").write_bytes(private.private_bytes(*form))
    return folder / "cert.pem", folder / "key.pem"


def serial_of(port: int, authority: trustme.CA) -> object:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=20, context=context)
    with contextlib.closing(connection):
        connection.request("GET", "/+health")
        assert connection.getresponse().status == 200
        found = connection.sock.getpeercert()
        assert found
        return found["serialNumber"]


def test_it_speaks_https_and_takes_a_new_certificate_on_sighup(serverdir: Path, tmp_path: Path) -> None:
    authority, port = trustme.CA(), free_port()
    cert, key = certificate(authority, tmp_path)
    arguments = [f"--listen=127.0.0.1:{port}", "--tls-cert", str(cert), "--tls-key", str(key)]
    with started(serverdir, *arguments) as (server, log):
        assert f"serving at url: https://127.0.0.1:{port}" in log.read_text()
        first = serial_of(port, authority)

        certificate(authority, tmp_path)
        server.process.send_signal(signal.SIGHUP)
        until(lambda: "SIGHUP: done" in log.read_text(), "workers are replaced")
        second = serial_of(port, authority)

        cert.write_text("broken")
        server.process.send_signal(signal.SIGHUP)
        until(lambda: "the workers stay as they are" in log.read_text(), "the broken certificate is noticed")
        third = serial_of(port, authority)

    assert first != second == third


def test_a_key_in_an_old_format_is_refused_with_the_command_that_converts_it(serverdir: Path, tmp_path: Path) -> None:
    cert, _ = certificate(trustme.CA(), tmp_path)

    said = refused(serverdir, "--tls-cert", str(cert), "--tls-key", str(tmp_path / "old.pem"))

    assert "openssl pkcs8 -topk8 -nocrypt" in said


def test_a_key_of_another_certificate_is_refused(serverdir: Path, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    cert, _ = certificate(trustme.CA(), tmp_path)
    _, key = certificate(trustme.CA(), tmp_path / "other")

    assert "--tls-key" in refused(serverdir, "--tls-cert", str(cert), "--tls-key", str(key))


# -- replacing workers ----------------------------------------------------------------------------


def test_workers_are_replaced_without_a_failed_request(serverdir: Path) -> None:
    trouble: list[object] = []
    counts = [0] * CLIENTS
    done = threading.Event()

    def ask(number: int, server: Server) -> None:
        while not done.is_set():
            try:
                status, _, _ = server.get(PAGE)
            except (OSError, http.client.HTTPException) as error:
                trouble.append(error)
            else:
                if status != 200:
                    trouble.append(status)
                counts[number] += 1

    with a_server(serverdir) as server:
        before = set(server.workers())
        threads = [threading.Thread(target=ask, args=(number, server)) for number in range(CLIENTS)]
        for thread in threads:
            thread.start()
        for round_ in (1, 2):
            until(lambda: min(counts) > 0, "every client is served")
            counts[:] = [0] * CLIENTS
            server.process.send_signal(signal.SIGHUP)
            until(lambda: server.log().count("SIGHUP: done") == round_, "workers are replaced")  # noqa: B023
            until(lambda: min(counts) > 0, "every client is served after it")
        after = set(server.workers())
        done.set()
        for thread in threads:
            thread.join()

    assert trouble == []
    assert not before & after
    assert len(after) == 1


def test_a_stop_waits_no_longer_than_it_is_told(serverdir: Path, upstream: FakeUpstream) -> None:
    wheel = a_wheel("big", "1.0", payload=os.urandom(8 << 20))
    upstream.add("big", wheel)
    with a_server(serverdir, "--stop-timeout", "0.5") as server:
        status, _, _ = server.get("/root/pypi/+simple/big/")
        assert status == 200
        with socket.socket() as reader:
            reader.settimeout(30)
            reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)  # or the kernel takes all of it
            reader.connect(("127.0.0.1", server.port))
            reader.sendall(f"GET /root/pypi/{wheel.path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            assert reader.recv(1000)  # it runs, and is read no further
            server.process.terminate()
            assert server.process.wait(15) == 0
    assert "--stop-timeout is over: a worker process is ended, its transfers are cut off" in server.log()
