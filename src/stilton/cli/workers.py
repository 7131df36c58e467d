"""The worker processes behind the sockets of `listening`, and the certificate that they show.

Sockets are inherited: when workers are replaced (SIGHUP), connections that nobody has accepted yet wait in the socket
and not one is lost.

`Workers` adjusts private methods of granian's server, which binds a socket of its own per worker; the lock file pins
granian, and tests/cli/test_listening.py holds what is promised here.
"""

import functools
import logging
import socket
import ssl
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from granian.constants import Interfaces, Loops, SSLProtocols
from granian.log import LogLevels
from granian.net import SocketHolder  # type: ignore[attr-defined] # its place, by granian's own imports
from granian.server.mp import MPServer, WorkerProcess

from stilton import logs
from stilton.cli import quoting
from stilton.cli.listening import BACKLOG
from stilton.config import Config
from stilton.domain.errors import SetupError

log = logging.getLogger("stilton")

MOST_PEM_BYTES = 1 << 20
# For granian 0 means "wait for ever".
LEAST_STOP_S = 0.1
_OLD_KEYS = (b"BEGIN EC PRIVATE KEY", b"BEGIN RSA PRIVATE KEY", b"BEGIN DSA PRIVATE KEY")


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
            ssl_cert=Path(str(config.tls_cert)) if tls else None,
            ssl_key=Path(str(config.tls_key)) if tls else None,
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
        worker = super()._spawn_worker(idx, target, callback_loader)
        worker.kill = functools.partial(_end, worker.kill)  # type: ignore[method-assign] # of this one
        return worker

    def signal_handler_reload(self, *_: Any) -> None:  # noqa: ANN401
        """SIGHUP."""
        if _has_terminal():
            self.signal_handler_interrupt()  # type: ignore[no-untyped-call] # granian's
            return
        super().signal_handler_reload()  # type: ignore[no-untyped-call] # granian's

    def _reload(self, spawn_target: Any, target_loader: Any) -> None:  # noqa: ANN401
        """SIGHUP: new workers take over one by one; with a certificate or a log that cannot be used the old ones stay.

        Log files that were moved away are opened anew, here and in the workers.
        """
        try:
            check_tls(self._config)
            logs.set_up(self._config)
        except SetupError as error:
            log.error("SIGHUP: the workers stay as they are. %s", error)  # noqa: TRY400 - the sentence says it all
            self.reload_signal = False
            self.main_loop_interrupt.clear()
            return
        log.info("SIGHUP: replacing %d worker process(es)", self.workers)
        super()._reload(spawn_target, target_loader)  # type: ignore[no-untyped-call] # granian's
        log.info("SIGHUP: done")


def _end(kill: Callable[[], None]) -> None:
    """A worker that is killed was still sending; how much of it arrived, nobody knows."""
    log.warning("--stop-timeout is over: a worker process is ended, its transfers are cut off")
    kill()


def check_tls(config: Config) -> None:
    """Whether certificate and key can be read and fit. Raises SetupError."""
    if config.tls_cert is None or config.tls_key is None:
        return
    cert_is, key_is = (
        f"{config.where('tls-cert')} is {config.tls_cert}",
        f"{config.where('tls-key')} is {config.tls_key}",
    )
    _pem(config.tls_cert, cert_is)
    key = _pem(config.tls_key, key_is)
    if any(old in key for old in _OLD_KEYS):
        raise SetupError(
            f"{key_is}: an old format. Convert it: "
            f"openssl pkcs8 -topk8 -nocrypt -in {quoting.shell([str(config.tls_key)])} -out NEW.pem"
        )
    if b"ENCRYPTED" in key:
        raise SetupError(f"{key_is}: it is encrypted, and nobody could type its password at a restart.")
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(config.tls_cert, config.tls_key)
    except (OSError, ssl.SSLError) as error:
        apart = getattr(error, "reason", None) == "KEY_VALUES_MISMATCH"
        why = "the key is that of another certificate" if apart else "PEM files of a certificate and its key are wanted"
        raise SetupError(f"{cert_is}, {key_is}: {why}.") from error


def _pem(path: str, said: str) -> bytes:
    try:
        with Path(path).open("rb") as file:
            return file.read(MOST_PEM_BYTES)
    except OSError as error:
        raise SetupError(f"{said}, which cannot be read: {error.strerror}.") from error


def _has_terminal() -> bool:
    """Whether SIGHUP means that the terminal was closed, and not that workers are to be replaced."""
    try:
        return sys.stdin is not None and sys.stdin.isatty()
    except ValueError:  # closed
        return False
