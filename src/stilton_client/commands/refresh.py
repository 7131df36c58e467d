"""`devpi refresh`."""

import click

from stilton_client import urls
from stilton_client.command import command
from stilton_client.errors import EXIT_FAILED, Refused
from stilton_client.session import Session


@command("refresh", example="devpi refresh requests urllib3", json=True)
@click.argument("packages", nargs=-1, required=True, metavar="PROJECT...")
@click.option("--index", metavar="INDEX", help="NAME, USER/NAME or URL  [the current index]")
def refresh_(session: Session, packages: tuple[str, ...], index: str | None) -> int:
    """Have the mirrors behind the index ask upstream again about projects, whatever the age of what they hold."""
    simple = session.index(index).simple
    refused: dict[str, str] = {}
    for package in packages:
        url = urls.child(simple, package, "refresh")
        try:
            _refresh(session, url)
        except Refused as error:
            answer = error.what.rpartition("\n")[2]
            session.terminal.error(f"Couldn't refresh {package} via {url}: {answer}")
            refused[package] = answer
        else:
            session.terminal.info(f"Refreshed {package}")
    session.terminal.data({"refreshed": [name for name in packages if name not in refused], "failed": refused})
    return EXIT_FAILED if refused else 0


def _refresh(session: Session, url: str) -> None:
    """The server does it and leads to the new page. Raises Refused."""
    reply = session.http.api("POST", url)
    if reply.status in (302, 303):
        reply = session.http.api("GET", urls.join(url, reply.headers.get("location", ".")))
    if not reply.ok:
        raise session.refused(reply)
