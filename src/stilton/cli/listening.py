"""The sockets that the server listens on, and the worker processes behind them.

Sockets are opened here, once, and inherited: when workers are replaced (SIGHUP), connections that nobody has accepted
yet wait in the socket and not one is lost. Sockets that systemd opened (sd_listen_fds(3)) are used as they are.

`Workers` adjusts private methods of granian's server, which binds a socket of its own per worker; the lock file pins
granian, and tests/cli/test_listening.py holds what is promised here.
"""

import logging
import os
import socket
import ssl
import stat
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
from granian.constants import Interfaces, Loops, SSLProtocols
from granian.log import LogLevels
from granian.net import SocketHolder  # type: ignore[attr-defined] # its place, by granian's own imports
from granian.server.mp import MPServer, WorkerProcess

from stilton.config import Config
from stilton.domain.errors import SetupError

log = logging.getLogger("stilton")

BACKLOG = 2048
FIRST_INHERITED = 3
# For granian 0 means "wait for ever".
LEAST_STOP_S = 0.1
_OLD_KEYS = (b"BEGIN EC PRIVATE KEY", b"BEGIN RSA PRIVATE KEY", b"BEGIN DSA PRIVATE KEY")


class Address(msgspec.Struct, frozen=True):
    """Where to listen: a host (`*`: every address) and port, or the path of a unix socket."""

    host: str = ""
    port: int = 0
    path: Path | None = None
    permissions: int = 0o600

    def url(self, scheme: str) -> str:
        """As people type it."""
        if self.path is not None:
            return f"unix:{self.path}"
        host = "localhost" if self.host == "*" else self.host
        return f"{scheme}://[{host}]:{self.port}" if ":" in host else f"{scheme}://{host}:{self.port}"


def addresses(config: Config) -> list[Address]:
    """What the settings ask for."""
    found = [_address(text) for text in config.listen]
    if config.unix_socket is not None:
        found.append(
            Address(path=Path(config.unix_socket).expanduser().absolute(), permissions=config.unix_socket_perms)
        )
    return found or [Address(config.host, config.port)]


def inherited(environ: Mapping[str, str]) -> list[socket.socket]:
    """The sockets that systemd opened for this process."""
    if environ.get("LISTEN_PID") != str(os.getpid()):
        return []
    return [socket.socket(fileno=FIRST_INHERITED + number) for number in range(int(environ.get("LISTEN_FDS") or 0))]


def opened(address: Address) -> socket.socket:
    """A socket that listens there. Raises SetupError."""
    return _unix(address.path, address.permissions) if address.path is not None else _tcp(address)


def check_tls(config: Config) -> None:
    """Whether certificate and key can be read and fit. Raises SetupError."""
    if config.tls_cert is None or config.tls_key is None:
        return
    try:
        key = Path(config.tls_key).expanduser().read_bytes()
        if any(old in key for old in _OLD_KEYS):
            raise SetupError(
                f"--tls-key {config.tls_key} is in an old format. Convert it: "
                f"openssl pkcs8 -topk8 -nocrypt -in {config.tls_key} -out NEW.pem"
            )
        if b"ENCRYPTED" in key:
            raise SetupError(f"--tls-key {config.tls_key} is encrypted; nobody could type its password at a restart.")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(Path(config.tls_cert).expanduser(), Path(config.tls_key).expanduser())
    except (OSError, ssl.SSLError) as error:
        reason = error.strerror or str(error)
        raise SetupError(f"--tls-cert {config.tls_cert} with --tls-key {config.tls_key}: {reason}.") from error


class Workers(MPServer):
    """Worker processes: `config.workers` for each of the sockets."""

    def __init__(self, config: Config, sockets: Sequence[socket.socket]) -> None:
        self._config = config
        self._sockets = sockets
        tls = config.tls_cert is not None
        super().__init__(
            "stilton.app:App",
            interface=Interfaces.ASGI,
            workers=config.workers * len(sockets),
            loop=Loops.auto,
            websockets=False,
            log_enabled=config.debug,
            log_level=LogLevels.warning,
            respawn_failed_workers=True,
            respawn_interval=0.1,
            workers_kill_timeout=max(LEAST_STOP_S, config.stop_timeout),  # type: ignore[arg-type] # seconds are seconds
            backlog=BACKLOG,
            backpressure=config.connection_limit,
            ssl_cert=Path(str(config.tls_cert)).expanduser() if tls else None,
            ssl_key=Path(str(config.tls_key)).expanduser() if tls else None,
            ssl_protocol_min=SSLProtocols.tls12,
        )

    def _init_shared_socket(self) -> None:
        self._ssp = None
        self._sso = None

    def _drop_shared_socket(self) -> None:
        """From now on nobody can connect; what is connected is finished."""
        for sock in self._sockets:
            sock.close()

    def _spawn_worker(self, idx: int, target: Any, callback_loader: Callable[..., Any]) -> WorkerProcess:  # type: ignore[override] # noqa: ANN401 - as granian's own subclass has it
        sock = self._sockets[idx % len(self._sockets)]
        holder: Any = SocketHolder  # its parameters are in granian.net, not in its types
        self._shd = holder(sock.fileno(), sock.family == socket.AF_UNIX, BACKLOG)
        return super()._spawn_worker(idx, target, callback_loader)

    def signal_handler_reload(self, *_: Any) -> None:  # noqa: ANN401
        """SIGHUP."""
        if _has_terminal():
            self.signal_handler_interrupt()  # type: ignore[no-untyped-call] # granian's
            return
        super().signal_handler_reload()  # type: ignore[no-untyped-call] # granian's

    def _reload(self, spawn_target: Any, target_loader: Any) -> None:  # noqa: ANN401
        """SIGHUP: new workers take over one by one; with a certificate that cannot be used the old ones stay."""
        try:
            check_tls(self._config)
        except SetupError as error:
            log.error("SIGHUP: the workers stay as they are. %s", error)  # noqa: TRY400 - the sentence says it all
            self.reload_signal = False
            self.main_loop_interrupt.clear()
            return
        log.info("SIGHUP: replacing %d worker process(es)", self.workers)
        super()._reload(spawn_target, target_loader)  # type: ignore[no-untyped-call] # granian's
        log.info("SIGHUP: done")


def _address(text: str) -> Address:
    host, _, port = text.rpartition(":")
    return Address(host.removeprefix("[").removesuffix("]"), int(port))


def _tcp(address: Address) -> socket.socket:
    host = resolved(address.host)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if address.host == "*" and family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        sock.bind((host, address.port))
        sock.listen(BACKLOG)
    except OSError as error:
        sock.close()
        raise SetupError(
            f"Port {address.port} on {address.host} cannot be used ({error.strerror}). "
            "Another server may be running; --port takes another."
        ) from error
    return sock


def resolved(host: str) -> str:
    """The address to bind for a name. Raises SetupError."""
    if host == "*":
        return "::" if socket.has_dualstack_ipv6() else "0.0.0.0"  # noqa: S104 - that is what was asked for
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError as error:
        raise SetupError(f"--host is {host!r}: no address has that name ({error}).") from error
    # `localhost` means 127.0.0.1 to most clients' first try.
    return str(min(found, key=lambda entry: entry[0] != socket.AF_INET)[4][0])


def _unix(path: Path, permissions: int) -> socket.socket:
    _remove_stale(path)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o777 & ~permissions)  # never wider, not even for a moment
    try:
        sock.bind(str(path))
        path.chmod(permissions)
        sock.listen(BACKLOG)
    except OSError as error:
        sock.close()
        raise SetupError(f"The socket {path} cannot be made ({error.strerror}).") from error
    finally:
        os.umask(before)
    return sock


def _remove_stale(path: Path) -> None:
    """What a server that died left behind. Raises SetupError when it is something else, or in use."""
    try:
        mode = path.lstat().st_mode
    except OSError:
        return
    if not stat.S_ISSOCK(mode):
        raise SetupError(f"--unix-socket {path} is there and no socket. Name another path.")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(str(path))
        except OSError:
            path.unlink(missing_ok=True)
            return
    raise SetupError(f"The socket {path} is in use: another server may be running.")


def _has_terminal() -> bool:
    """Whether SIGHUP means that the terminal was closed, and not that workers are to be replaced."""
    try:
        return sys.stdin is not None and sys.stdin.isatty()
    except ValueError:  # closed
        return False
