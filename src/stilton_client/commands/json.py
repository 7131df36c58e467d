"""`devpi getjson` and `devpi patchjson`: the server's JSON as it is."""

import json
import sys
from pathlib import Path

import click

from stilton_client import urls
from stilton_client.command import command
from stilton_client.errors import Failure
from stilton_client.http import JSON
from stilton_client.session import Session
from stilton_client.terminal import print_json


@command(
    "getjson",
    example="""devpi getjson /
               devpi getjson '/team/dev?no_projects='
               devpi getjson mypkg""",
)
@click.argument("path_or_url", metavar="PATH[?QUERY]")
def getjson_(session: Session, path_or_url: str) -> None:
    """Show the JSON of a path or URL; a path without a slash at its start is below the current index.

    With -v also the request and the answer's headers.
    """
    url = _url(session, path_or_url)
    reply = session.api("GET", url)
    kind = (reply.header("content-type") or "nothing that has a type").partition(";")[0]
    if kind != JSON:
        raise Failure(f"{urls.hidden(url)} answers with {kind}, which is no JSON", "Is it the URL of an index server?")
    if session.terminal.verbose:
        session.terminal.line(f"GET REQUEST sent to {urls.hidden(url)}")
        for name in sorted(reply.headers):
            session.terminal.line(f"{name.upper()}: {reply.headers[name]}")
        session.terminal.line()
    print_json(reply.payload)


@command(
    "patchjson",
    example="""devpi patchjson /team/dev changes.json
               echo '["volatile=False"]' | devpi patchjson /team/dev -""",
)
@click.argument("path")
@click.argument("jsonfile")
def patchjson_(session: Session, path: str, jsonfile: str) -> None:
    """Send the JSON of a file (- for standard input) as a PATCH."""
    try:
        text = sys.stdin.read() if jsonfile == "-" else Path(jsonfile).expanduser().read_text(encoding="utf-8")
        data = json.loads(text)
    except OSError as error:
        raise Failure(f"{jsonfile} cannot be read ({error.strerror})") from error
    except ValueError as error:
        raise Failure(f"{jsonfile} is not JSON ({error})") from error
    url = _url(session, path)
    reply = session.api("PATCH", url, data)
    session.terminal.line(f"PATCH REQUEST sent to {urls.hidden(url)}")
    print_json(reply.payload)


def _url(session: Session, path: str) -> str:
    """Raises Failure for a relative path without an index."""
    if urls.is_http(path):
        return path
    if path.startswith("/"):
        return urls.join(session.root, path.lstrip("/") or ".")
    return urls.join(session.index().url + "/", path)
