"""The sockets that the server listens on: opened once, here, and inherited by the workers (`workers`).

Sockets that systemd opened (sd_listen_fds(3)) are used as they are.
"""

import contextlib
import errno
import os
import re
import socket
import stat
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from stilton.config import Config
from stilton.domain.errors import SetupError

BACKLOG = 2048
FIRST_INHERITED = 3


class Address(msgspec.Struct, frozen=True):
    """Where to listen: a host (`*`: every address) and port, or the path of a unix socket.

    `where`, and of the port `port_where`: who said so.
    """

    where: str
    port_where: str = ""
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
    found = [_address(config.where("listen"), text) for text in config.listen]
    if config.unix_socket is not None:
        where, path = config.where("unix-socket"), Path(config.unix_socket)
        found.append(Address(where, path=path, permissions=config.unix_socket_perms))
    return found or [Address(config.where("host"), config.where("port"), _bare(config.host), config.port)]


def inherited(environ: Mapping[str, str]) -> list[socket.socket]:
    """The sockets that systemd opened for this process. Raises SetupError."""
    if environ.get("LISTEN_PID") != str(os.getpid()):
        return []
    count = environ.get("LISTEN_FDS") or "0"
    try:
        return [socket.socket(fileno=FIRST_INHERITED + number) for number in range(int(count))]
    except (ValueError, OSError) as error:
        raise SetupError(f"LISTEN_FDS is {count[:20]!r}, but there are not so many sockets of systemd.") from error


@contextlib.contextmanager
def opened(wanted: Sequence[Address]) -> Iterator[list[socket.socket]]:
    """Sockets that listen there; in the end they are closed, and none of a path stays. Raises SetupError."""
    with contextlib.ExitStack() as stack:
        sockets = []
        for address in wanted:
            sockets.append(stack.enter_context(_tcp(address) if address.path is None else _unix(address)))
            if address.path is not None:
                stack.callback(address.path.unlink, missing_ok=True)
        yield sockets


def _address(where: str, text: str) -> Address:
    host, _, port = text.rpartition(":")
    return Address(where, where, _bare(host), int(port))


def _bare(host: str) -> str:
    """`[::1]` is `::1`."""
    return host[1:-1] if host.startswith("[") and host.endswith("]") else host


def _tcp(address: Address) -> socket.socket:
    host = resolved(address.host, address.where)
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
            f"Port {address.port} on {address.host} cannot be used ({error.strerror}). {_way_out(address, error)}"
        ) from error
    return sock


def _way_out(address: Address, error: OSError) -> str:
    match error.errno:
        case errno.EADDRNOTAVAIL:
            return f"This machine has no such address: {address.where} takes one that it has, or * for all."
        case errno.EACCES:
            return (
                "Ports below 1024 are for root: take another, or let nginx or systemd listen there (devpi-gen-config)."
            )
        case _:
            return f"Another server may be running; {address.port_where} takes another."


def resolved(host: str, where: str = "--host") -> str:
    """The address to bind for a name. `where` it was given. Raises SetupError."""
    if host == "*":
        return "::" if socket.has_dualstack_ipv6() else "0.0.0.0"  # noqa: S104 - that is what was asked for
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        hint = " Host and port together are for --listen." if re.fullmatch("[^:]*:[0-9]*", host) else ""
        raise SetupError(f"{where} is {host!r}: no address has that name ({error}).{hint}") from error
    # `localhost` means 127.0.0.1 to most clients' first try.
    return str(min(found, key=lambda entry: entry[0] != socket.AF_INET)[4][0])


def _unix(address: Address) -> socket.socket:
    path = Path(str(address.path))
    _remove_stale(path, address.where)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o777 & ~address.permissions)  # never wider, not even for a moment
    try:
        sock.bind(str(path))
        path.chmod(address.permissions)
        sock.listen(BACKLOG)
    except OSError as error:
        sock.close()
        # A path too long for a socket has words, but no errno.
        raise SetupError(f"{address.where} is {path}: it cannot be made ({error.strerror or error}).") from error
    finally:
        os.umask(before)
    return sock


def _remove_stale(path: Path, where: str) -> None:
    """What a server that died left behind. Raises SetupError when it is something else, or in use."""
    try:
        mode = path.lstat().st_mode
    except OSError:
        return
    if not stat.S_ISSOCK(mode):
        raise SetupError(f"{where} is {path}: that is there and no socket. Name another path.")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(str(path))
        except OSError:
            path.unlink(missing_ok=True)
            return
    raise SetupError(f"{where} is {path}: that socket is in use, another server may be running.")
