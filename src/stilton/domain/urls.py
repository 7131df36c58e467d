"""URLs of the web: what is one, and from which ours may be built."""

import re
from urllib.parse import urlsplit

MOST_CHARS = 2000
_HOST = re.compile(r"[A-Za-z0-9._:\[\]-]+")


def is_web(url: str) -> bool:
    """Whether it is an address of the web that names a host."""
    if not url.isprintable() or " " in url or "\\" in url:
        return False
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:  # a port that is no number, a bracket without its other
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname) and port != 0


def is_base(url: str) -> bool:
    """Whether URLs of ours may begin with it, in links and headers: no login, no query, nothing to be quoted."""
    if len(url) > MOST_CHARS or not url.isascii() or not is_web(url):
        return False
    parts = urlsplit(url)
    return is_host(parts.netloc) and not parts.query and not parts.fragment


def is_host(text: str) -> bool:
    """Whether it looks like a host, with or without a port."""
    return _HOST.fullmatch(text) is not None
