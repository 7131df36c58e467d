"""Whether the server of these settings answers: the image's health check (`Containerfile`).

    python -m stilton.cli.health

Variables and files say where it listens, as they say it to `devpi-server`; flags of a running server are not seen.
"""

import contextlib
import http.client
import socket
import ssl

import click

from stilton.cli import listening
from stilton.cli.options import CONTEXT, configfile_option, run, settled
from stilton.config import Config
from stilton.domain.errors import SetupError

TIMEOUT_S = 4.0
"""Less than the image's own --timeout, so that the reason is still said."""
ANY = {"*", "0.0.0.0", "::"}  # noqa: S104 - compared, not bound


@click.command(context_settings=CONTEXT)
@configfile_option
def health(configfile: str | None) -> None:
    """Ask the server that has these settings whether it is well; the exit code is the answer."""
    run(lambda: click.echo(asked(settled(configfile, {}))))


def asked(config: Config) -> str:
    """What `/+health` says. Raises SetupError when it says anything but 200, or nothing in `TIMEOUT_S`."""
    address = listening.addresses(config)[0]
    url = address.url("http" if config.tls_cert is None else "https")
    try:
        with contextlib.closing(_connection(address, tls=config.tls_cert is not None)) as connection:
            connection.request("GET", "/+health", headers={"Host": "localhost"})
            answer = connection.getresponse()
            said = answer.read().decode("utf-8", "replace").strip()
    except (OSError, http.client.HTTPException) as error:
        raise SetupError(f"No answer from {url} ({error}). Is that where devpi-server listens?") from error
    if answer.status != http.HTTPStatus.OK:
        raise SetupError(f"{url} answers {answer.status}: {said}")
    return said


def _connection(address: listening.Address, *, tls: bool) -> http.client.HTTPConnection:
    """To the server itself: past all proxies, whatever name its certificate has. Raises OSError."""
    if address.path is not None:
        raw = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        raw.settimeout(TIMEOUT_S)
        raw.connect(str(address.path))
    else:
        host = "localhost" if address.host in ANY else address.host
        raw = socket.create_connection((host, address.port), TIMEOUT_S)
    connection = http.client.HTTPConnection("localhost", timeout=TIMEOUT_S)
    connection.sock = _unchecked().wrap_socket(raw) if tls else raw
    return connection


def _unchecked() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


if __name__ == "__main__":
    health()
