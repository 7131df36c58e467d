"""The login that a child process gets, so that pip and uv can use an index as the person; and how it is hidden again.

A child gets it in its environment only: a command line is for everybody on the machine to read.
"""

import base64
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote, urlsplit

from stilton_client import urls
from stilton_client.http import Login
from stilton_client.session import Index, Session

# A shorter password is a word like others.
SHORT = 8


def lent(session: Session, index: Index) -> dict[str, str]:
    """What makes a child's pip and uv use an index as the person; it is a secret."""
    ours = session.state.root is not None and urls.same_server(index.root, session.state.root)
    trusted = ours and bool(session.state.current.get("settrusted"))
    return index_environment(index.simple, session.login_for(index.simple), session.environ, trusted=trusted)


def login_of(login: Login) -> tuple[str, str] | None:
    """The one login that fits into a URL: nothing gets past a web server in front without its own."""
    return login.basic or login.token


def index_environment(simple: str, login: Login, environ: Mapping[str, str], *, trusted: bool) -> dict[str, str]:
    """Variables that make pip and uv use an index as the person; they are secrets.

    `trusted`: without https, or with a certificate that nobody vouches for.
    """
    pair = login_of(login)
    url = urls.with_login(simple, *pair) if pair else simple
    # UV_INDEX_URL is for uv before 0.4.23.
    added = {"PIP_INDEX_URL": url, "UV_INDEX_URL": url, "UV_DEFAULT_INDEX": url}
    if login.cert:
        added |= {"PIP_CLIENT_CERT": login.cert, "SSL_CLIENT_CERT": login.cert}
    if trusted:
        host = urlsplit(simple).netloc.rpartition("@")[2]
        for name in ("PIP_TRUSTED_HOST", "UV_INSECURE_HOST"):
            added[name] = f"{environ.get(name, '')} {host}".strip()
    return added


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
