"""The login that a child process gets, so that pip and uv can use an index as the person; and how it is hidden again.

A child gets it in a file (`netrcfile`): a command line is for everybody on the machine to read, and what stands in the
environment pip puts on the command lines of its own children.
"""

import base64
import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote, urlsplit

from stilton_client import netrcfile, urls
from stilton_client.http import Login
from stilton_client.session import Index, Session

# A shorter password is a word like others.
SHORT = 8


@contextlib.contextmanager
def lent(session: Session, index: Index) -> Iterator[dict[str, str]]:
    """Variables that make a child's pip and uv use an index as the person, while it lasts. Raises Failure."""
    ours = session.state.root is not None and urls.same_server(index.root, session.state.root)
    trusted = ours and bool(session.state.current.get("settrusted"))
    login = session.login_for(index.simple)
    with netrcfile.written(index.simple, login_of(login), session.environ) as named:
        yield {**index_environment(index.simple, login, session.environ, trusted=trusted), **named}


def login_of(login: Login) -> tuple[str, str] | None:
    """The one login that a request can carry: nothing gets past a web server in front without its own."""
    return login.basic or login.token


def index_environment(simple: str, login: Login, environ: Mapping[str, str], *, trusted: bool) -> dict[str, str]:
    """Variables that make pip and uv use an index; of the login only the user's name, for uv.

    `trusted`: without https, or with a certificate that nobody vouches for.
    """
    known = for_uv(simple, login)
    # UV_INDEX_URL is for uv before 0.4.23.
    added = {"PIP_INDEX_URL": simple, "UV_INDEX_URL": known, "UV_DEFAULT_INDEX": known}
    if login.cert:
        added |= {"PIP_CLIENT_CERT": login.cert, "SSL_CLIENT_CERT": login.cert}
    if trusted:
        host = urlsplit(simple).netloc.rpartition("@")[2]
        for name in ("PIP_TRUSTED_HOST", "UV_INSECURE_HOST"):
            added[name] = f"{environ.get(name, '')} {host}".strip()
    return added


def for_uv(simple: str, login: Login) -> str:
    """The URL with a user's name in it: else uv looks for a password only where it is turned away."""
    user, password = login_of(login) or ("", "")
    # Without a password the user may be the secret.
    if not (user and password):
        return simple
    parts = urlsplit(simple)
    return parts._replace(netloc=f"{quote(user, safe='')}@{parts.netloc}").geturl()


def without_login(document: Any, login: Login) -> Any:  # noqa: ANN401 - JSON
    """What a child wrote, the login that it knew replaced by stars."""
    pair = login_of(login)
    return _without(document, _spellings(*pair)) if pair else document


def _without(document: Any, secrets: Sequence[str]) -> Any:  # noqa: ANN401 - JSON
    if isinstance(document, str):
        for secret in secrets:
            document = document.replace(secret, "****")
        return document
    if isinstance(document, list):
        return [_without(each, secrets) for each in document]
    if isinstance(document, dict):
        return {_without(key, secrets): _without(value, secrets) for key, value in document.items()}
    return document


def _spellings(user: str, password: str) -> list[str]:
    """The ways in which a login may be written, longest first."""
    quoted = quote(password, safe="")
    basic = base64.b64encode(f"{user}:{password}".encode()).decode("ascii")
    found = [basic, f"{quote(user, safe='')}:{quoted}", f"{user}:{password}"]
    # A short one is only replaced where it is part of a login.
    return [*found, quoted, password] if len(password) >= SHORT else found
