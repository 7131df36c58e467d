"""`devpi refresh`."""

import click

from stilton_client import urls
from stilton_client.command import command
from stilton_client.errors import EXIT_FAILED, Refused
from stilton_client.session import Session

NOT_REFRESHED = "X-Devpi-Not-Refreshed"
"""How our server says why no upstream was asked. devpi-server does not tell."""
_ADVICE = "What is held stays as it is. See how mirrors are: devpi status"


@command("refresh", example="devpi refresh requests urllib3", json=True)
@click.argument("packages", nargs=-1, required=True, metavar="PROJECT...")
@click.option("--index", metavar="INDEX", help="NAME, USER/NAME or URL  [the current index]")
def refresh_(session: Session, packages: tuple[str, ...], index: str | None) -> int:
    """Have the mirrors behind the index ask upstream again about projects, whatever the age of what they hold.

    Ends with 1 if a project could not be asked about, as in the server's offline mode.
    """
    simple = session.index(index).simple
    refused: dict[str, str] = {}
    advised: dict[str, None] = {}
    for package in packages:
        url = urls.child(simple, package, "refresh")
        try:
            trouble, advice = _refresh(session, url), _ADVICE
        except Refused as error:
            trouble, advice = error.what.rpartition("\n")[2], error.advice or _ADVICE
        if trouble:
            session.terminal.error(f"Couldn't refresh {package} via {urls.hidden(url)}: {trouble}")
            refused[package] = trouble
            advised[advice] = None
        else:
            session.terminal.info(f"Refreshed {package}")
    for advice in advised:
        session.terminal.note(advice)
    session.terminal.data({"refreshed": [name for name in packages if name not in refused], "failed": refused})
    return EXIT_FAILED if refused else 0


def _refresh(session: Session, url: str) -> str:
    """The server does it and leads to the new page; returns why no upstream was asked, if none was. Raises Refused."""
    reply = session.http.api("POST", url)
    trouble = reply.header(NOT_REFRESHED)
    if trouble is not None:
        return trouble
    if reply.status in (302, 303):
        reply = session.http.api("GET", urls.join(url, reply.headers.get("location", ".")))
    if not reply.ok:
        raise session.refused(reply)
    return ""
