"""URLs as text: joined, shortened, split from what must not be shown. No I/O."""

import re
from collections.abc import Iterator
from urllib.parse import quote, unquote, urlencode, urljoin, urlsplit, urlunsplit

LOOPBACK = ("localhost", "127.0.0.1", "::1")
PORTS = {"http": 80, "https": 443}
# Who logs in with a token calls himself so; the token stands where the password would.
TOKEN_USER = "__token__"  # noqa: S105 - a user's name, not a secret


def is_http(text: str) -> bool:
    """Whether this is a whole http or https URL."""
    try:
        parts = urlsplit(text)
        return parts.scheme in PORTS and bool(parts.hostname) and parts.port != 0  # `port` checks its number
    except ValueError:
        return False


def parent(url: str) -> str:
    """The folder that a URL is in: `http://h/a/+login` gives `http://h/a/`."""
    return urljoin(url, ".")


def child(url: str, *segments: str) -> str:
    """A URL below this one; segments are quoted."""
    return "/".join([url.rstrip("/"), *(quote(segment, safe="+@:~!*,") for segment in segments)])


def join(base: str, url: str) -> str:
    """A link that stands at `base`, made absolute."""
    return urljoin(base, url)


def with_query(url: str, **query: str) -> str:
    """The URL with these added to its query."""
    parts = urlsplit(url)
    added = urlencode(query)
    return urlunsplit(parts._replace(query=f"{parts.query}&{added}" if parts.query else added))


def without_slash(url: str) -> str:
    """The URL without a slash at its end."""
    return url.rstrip("/")


def without_fragment(url: str) -> str:
    """The URL up to `#`."""
    return url.partition("#")[0]


def with_port(url: str) -> str:
    """The URL with its port always there."""
    parts = urlsplit(url)
    if parts.port is None and parts.scheme in PORTS:
        parts = parts._replace(netloc=f"{parts.netloc}:{PORTS[parts.scheme]}")
    return urlunsplit(parts)


def upwards(url: str) -> Iterator[str]:
    """The URL without query, then each folder above it, to the root of its host."""
    parts = urlsplit(url)._replace(query="", fragment="")
    path = parts.path or "/"
    yield urlunsplit(parts)
    while True:
        folder = path[: path.rstrip("/").rfind("/") + 1] if path.rstrip("/") else "/"
        if path != folder or path == "/":
            yield urlunsplit(parts._replace(path=folder))
        if folder == "/":
            return
        path = folder


def without_login(url: str) -> tuple[str, tuple[str, str] | None]:
    """The URL, and the user and password that stood in it, if any."""
    parts = urlsplit(url)
    login, at, host = parts.netloc.rpartition("@")
    if not at:
        return url, None
    user, _, password = login.partition(":")
    return urlunsplit(parts._replace(netloc=host)), (unquote(user), unquote(password))


def with_login(url: str, user: str, password: str) -> str:
    """The URL with user and password in it. What it returns is a secret."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=f"{quote(user, safe='')}:{quote(password, safe='')}@{parts.netloc}"))


def hidden(url: str) -> str:
    """The URL as it may be shown: a password in it becomes `****`, and so does a user whose name may be a token."""
    try:
        bare, login = without_login(url)
    except ValueError:  # it cannot be one
        return re.sub("//[^/]*@", "//****@", url)
    if login is None:
        return url
    user, password = login
    shown = f"{quote(user, safe='')}:****" if password and user != TOKEN_USER else "****"
    parts = urlsplit(bare)
    return urlunsplit(parts._replace(netloc=f"{shown}@{parts.netloc}"))


def host(url: str) -> str:
    """The host's name, without a port."""
    return urlsplit(url).hostname or ""


def is_plain(url: str) -> bool:
    """Whether installers must be told to trust its host: http beyond this machine."""
    return url.startswith("http:") and host(url) not in LOOPBACK


def unquoted(path: str) -> str:
    """A path without percent signs."""
    return unquote(path)


def basename(url: str) -> str:
    """The last part of the path, unquoted."""
    return unquote(urlsplit(url).path.rstrip("/").rpartition("/")[2])


def same_server(one: str, other: str) -> bool:
    """Whether both have one scheme, host and port."""
    a, b = urlsplit(with_port(one)), urlsplit(with_port(other))
    return (a.scheme, a.hostname, a.port) == (b.scheme, b.hostname, b.port)
