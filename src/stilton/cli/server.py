"""The serving process: checks the folder, says where it serves, keeps workers running."""

import functools
import logging
import os
import secrets
import signal
import socket
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from stilton import __version__, logs
from stilton.accounts import secret as secret_file
from stilton.cli import listening, workers
from stilton.config import Config
from stilton.domain import proxies
from stilton.domain.errors import SetupError
from stilton.serverdir import ServerDir

log = logging.getLogger("stilton")


def run(config: Config, notices: Sequence[str] = (), first_data: Callable[[], None] | None = None) -> None:
    """Serve until told to stop. `notices` are logged first; `first_data` makes the data if there is none.

    Raises SetupError when it cannot begin. All that could be wrong with the settings comes before the first change in
    the folder: nobody shall have half a server because of a port that is taken.
    """
    logs.set_up(config)
    for notice in notices:
        log.warning("%s", notice)
    secret = _secret(config)
    workers.check_tls(config)
    proxies.of_environment(urllib.request.getproxies())
    place = ServerDir(config.serverdir)
    is_there = place.has_data()
    if is_there:
        place.lock()  # whose folder it is tells people more than whose port it is
    given = listening.inherited(os.environ)
    wanted = [] if given else listening.addresses(config)
    with listening.opened(wanted) as own:
        if first_data is not None and not is_there:
            first_data()
        uuid = place.open(migrate_too=config.migrate)
        urls = [*_names(given), *(address.url(_scheme(config)) for address in wanted)]
        _work(config, secret, [*given, *own], uuid, urls)
    place.unlock()
    log.info("stopped")


def _work(config: Config, secret: bytes, sockets: Sequence[socket.socket], uuid: str, urls: Sequence[str]) -> None:
    server = workers.Workers(config, sockets)
    logs.set_up(config)  # once more: granian has set up its own meanwhile
    _say(config, uuid, urls, server.workers)
    # Workers of several sockets are several processes on one folder.
    config = msgspec.structs.replace(config, workers=server.workers)
    os.register_at_fork(after_in_child=_listen_to_parent)
    server.serve(target_loader=functools.partial(load_app, config, secret, os.getpid()), wrap_loader=False)


def load_app(config: Config, secret: bytes, parent: int) -> Any:  # noqa: ANN401 - granian calls it in the worker
    """The worker's app. `parent`: process id of the server, which may be gone by now."""
    from stilton.app import App  # noqa: PLC0415 - imported by workers only

    logs.set_up(config)
    return App(config, secret=secret, parent=parent)


def _say(config: Config, uuid: str, urls: Sequence[str], processes: int) -> None:
    log.info("devpi-server version: %s", __version__)
    log.info("serverdir: %s", config.serverdir)
    log.info("uuid: %s", uuid)
    if config.secretfile is None:
        log.warning("No --secretfile: logins end when this process ends; devpi-gen-secret makes one")
    if config.offline_mode:
        log.info("offline mode: no upstream is asked, what is held here is served")
    for url in [config.outside_url] if config.outside_url else urls:
        log.info("serving at url: %s", url)
    log.info("using %d worker process(es)", processes)
    log.info("Hit Ctrl-C to quit.")


def _scheme(config: Config) -> str:
    return "https" if config.tls_cert is not None else "http"


def _names(sockets: Sequence[socket.socket]) -> list[str]:
    return [f"socket {sock.getsockname()} of systemd" for sock in sockets]


def _secret(config: Config) -> bytes:
    """What signs logins in every worker. Raises SetupError."""
    if config.secretfile is None:
        return secrets.token_bytes(32)
    try:
        return secret_file.read(Path(config.secretfile))
    except SetupError as error:
        raise SetupError(f"{config.where('secretfile')}: {error}") from error


def _listen_to_parent() -> None:
    """Drop the main process's handlers, which came along and would swallow its order to stop."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
