"""The serving process: checks the folder, says where it serves, keeps workers running."""

import functools
import logging
import os
import secrets
import signal
import socket
import sys
from pathlib import Path
from typing import Any

from granian.constants import Interfaces, Loops
from granian.log import LogLevels
from granian.server.mp import MPServer

from stilton import __version__
from stilton.accounts import secret as secret_file
from stilton.config import Config
from stilton.domain.errors import SetupError
from stilton.serverdir import ServerDir

log = logging.getLogger("stilton")

LOG_FORMAT = "%(asctime)s %(levelname)-5.5s %(message)s"
STOP_WITHIN_S = 10


def run(config: Config) -> None:
    """Serve until told to stop. Raises SetupError when it cannot begin."""
    set_up_log(debug=config.debug)
    secret = _secret(config)
    place = ServerDir(config.serverdir)
    uuid = place.open()
    _check_address(config)
    server = MPServer(
        "stilton.app:App",
        address=_address(config.host),
        port=config.port,
        interface=Interfaces.ASGI,
        workers=config.workers,
        loop=Loops.auto,
        websockets=False,
        log_enabled=config.debug,
        log_level=LogLevels.warning,
        respawn_failed_workers=True,
        respawn_interval=0.1,
        workers_kill_timeout=STOP_WITHIN_S,
        backlog=2048,
        backpressure=4096,
    )
    log.info("devpi-server version: %s", __version__)
    log.info("serverdir: %s", config.serverdir)
    log.info("uuid: %s", uuid)
    if config.secretfile is None:
        log.warning("No --secretfile: logins end when this process ends; devpi-gen-secret makes one")
    if config.offline_mode:
        log.info("offline mode: no upstream is asked, what is held here is served")
    log.info("serving at url: %s", config.outside_url or f"http://{config.host}:{config.port}")
    log.info("using %d worker process(es)", config.workers)
    log.info("Hit Ctrl-C to quit.")
    os.register_at_fork(after_in_child=_listen_to_parent)
    server.serve(target_loader=functools.partial(load_app, config, secret, os.getpid()), wrap_loader=False)
    place.unlock()
    log.info("stopped")


def load_app(config: Config, secret: bytes, parent: int) -> Any:  # noqa: ANN401 - granian calls it in the worker
    """The worker's app. `parent`: process id of the server, which may be gone by now."""
    from stilton.app import App  # noqa: PLC0415 - imported by workers only

    set_up_log(debug=config.debug)
    return App(config, secret=secret, parent=parent)


def _secret(config: Config) -> bytes:
    """What signs logins in every worker. Raises SetupError."""
    if config.secretfile is None:
        return secrets.token_bytes(32)
    return secret_file.read(Path(config.secretfile))


def _listen_to_parent() -> None:
    """Drop the main process's handlers, which came along and would swallow its order to stop."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def set_up_log(*, debug: bool) -> None:
    """Lines for people on stdout."""
    logging.basicConfig(
        level=logging.DEBUG if debug else logging.INFO, format=LOG_FORMAT, stream=sys.stdout, force=True
    )
    for noisy in ("asyncio", "alembic", "granian"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


def _address(host: str) -> str:
    """The address to bind for a name. Raises SetupError."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError as error:
        raise SetupError(f"--host is {host!r}: no address has that name ({error}).") from error
    # `localhost` means 127.0.0.1 to most clients' first try.
    return str(min(found, key=lambda entry: entry[0] != socket.AF_INET)[4][0])


def _check_address(config: Config) -> None:
    """Find out now, in words, whether the port can be had."""
    address = _address(config.host)
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, config.port))
        except OSError as error:
            raise SetupError(
                f"Port {config.port} on {config.host} cannot be used ({error.strerror}). "
                "Another server may be running; --port takes another."
            ) from error
