"""`devpi getjson` and `devpi patchjson`: the server's JSON as it is."""

import json
import sys
from pathlib import Path

import click

from stilton_client import urls
from stilton_client.command import command
from stilton_client.errors import Failure, Refused
from stilton_client.http import JSON, Reply
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
    reply = _answered(session, session.http.api("GET", url))
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
@click.argument("jsonfile", type=click.Path(allow_dash=True))
def patchjson_(session: Session, path: str, jsonfile: str) -> None:
    """Send the JSON of a file (- for standard input) as a PATCH."""
    try:
        text = sys.stdin.read() if jsonfile == "-" else Path(jsonfile).expanduser().read_text(encoding="utf-8")
        data = json.loads(text)
    except OSError as error:
        raise Failure(
            f"{jsonfile} cannot be read ({error.strerror})", "Name a file, or - for standard input."
        ) from error
    except ValueError as error:
        raise Failure(f"{jsonfile} is not JSON ({error})", "Nothing was sent.") from error
    url = _url(session, path)
    reply = _answered(session, session.http.api("PATCH", url, data))
    session.terminal.line(f"PATCH REQUEST sent to {urls.hidden(url)}")
    print_json(reply.payload)


def _answered(session: Session, reply: Reply) -> Reply:
    """Raises Refused; Failure for an answer that is no JSON."""
    if not reply.ok:
        refused = session.refused(reply)
        raise Refused(refused.status, refused.what, refused.advice or _advice(reply))
    kind = (reply.header("content-type") or "nothing that has a type").partition(";")[0].strip()
    if kind != JSON:
        what = f"{urls.hidden(reply.url)} answers with {kind}, which is no JSON"
        raise Failure(what, "Is it the URL of an index server?")
    return reply


def _advice(reply: Reply) -> str:
    """What to do about a refusal that has nothing to do with logins."""
    if reply.status >= 500:
        return "See how the server is: devpi status"
    if reply.method == "PATCH":
        return "Nothing was changed. The reference of URLs says what each takes."
    return "See what there is: devpi getjson /"


def _url(session: Session, path: str) -> str:
    """Raises Failure for a relative path without an index."""
    if urls.is_http(path):
        return path
    if path.startswith("/"):
        return urls.join(session.root, path.lstrip("/") or ".")
    return urls.join(session.index().url + "/", path)
