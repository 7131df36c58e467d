"""The serving process: checks the folder, says where it serves, keeps workers running."""

import functools
import logging
import os
import secrets
import signal
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from stilton import __version__, logs
from stilton.accounts import secret as secret_file
from stilton.cli import listening
from stilton.config import Config
from stilton.serverdir import ServerDir

log = logging.getLogger("stilton")


def run(config: Config, notices: Sequence[str] = ()) -> None:
    """Serve until told to stop. `notices` are logged first. Raises SetupError when it cannot begin."""
    logs.set_up(config)
    for notice in notices:
        log.warning("%s", notice)
    secret = _secret(config)
    place = ServerDir(config.serverdir)
    uuid = place.open(migrate_too=config.migrate)
    listening.check_tls(config)
    given = listening.inherited(os.environ)
    wanted = [] if given else listening.addresses(config)
    sockets = given or [listening.opened(address) for address in wanted]
    server = listening.Workers(config, sockets)
    logs.set_up(config)  # once more: granian has set up its own meanwhile
    _say(config, uuid, [*_names(given), *(address.url(_scheme(config)) for address in wanted)], server.workers)
    # Workers of several sockets are several processes on one folder.
    config = msgspec.structs.replace(config, workers=server.workers)
    os.register_at_fork(after_in_child=_listen_to_parent)
    server.serve(target_loader=functools.partial(load_app, config, secret, os.getpid()), wrap_loader=False)
    for address in wanted:
        if address.path is not None:
            address.path.unlink(missing_ok=True)
    place.unlock()
    log.info("stopped")


def load_app(config: Config, secret: bytes, parent: int) -> Any:  # noqa: ANN401 - granian calls it in the worker
    """The worker's app. `parent`: process id of the server, which may be gone by now."""
    from stilton.app import App  # noqa: PLC0415 - imported by workers only

    logs.set_up(config)
    return App(config, secret=secret, parent=parent)


def _say(config: Config, uuid: str, urls: Sequence[str], workers: int) -> None:
    log.info("devpi-server version: %s", __version__)
    log.info("serverdir: %s", config.serverdir)
    log.info("uuid: %s", uuid)
    if config.secretfile is None:
        log.warning("No --secretfile: logins end when this process ends; devpi-gen-secret makes one")
    if config.offline_mode:
        log.info("offline mode: no upstream is asked, what is held here is served")
    for url in [config.outside_url] if config.outside_url else urls:
        log.info("serving at url: %s", url)
    log.info("using %d worker process(es)", workers)
    log.info("Hit Ctrl-C to quit.")


def _scheme(config: Config) -> str:
    return "https" if config.tls_cert is not None else "http"


def _names(sockets: Sequence[socket.socket]) -> list[str]:
    return [f"socket {sock.getsockname()} of systemd" for sock in sockets]


def _secret(config: Config) -> bytes:
    """What signs logins in every worker. Raises SetupError."""
    if config.secretfile is None:
        return secrets.token_bytes(32)
    return secret_file.read(Path(config.secretfile))


def _listen_to_parent() -> None:
    """Drop the main process's handlers, which came along and would swallow its order to stop."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
