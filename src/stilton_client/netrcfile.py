"""A login for a child's pip and uv in a netrc file of its own: neither on a command line nor in its environment.

What stands in PIP_INDEX_URL pip repeats on the command line of the pip that makes an environment to build in, for all
on the machine to read. A netrc file, which the variable NETRC names, is read by pip, by uv and by their children.

An entry is for a host, whatever the port and the path: other indexes on that host get the login, too, and an entry of
the person's own for the same host does not count meanwhile. All other entries of the person's own file stay.
"""

import contextlib
import netrc
import re
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import urlsplit

from stilton_client import urls
from stilton_client.errors import Failure

_OWN = (".netrc", "_netrc")
_PLAIN = re.compile(r"[!$-&(-\[\]-~][!#-\[\]-~]*")


@contextlib.contextmanager
def written(url: str, pair: tuple[str, str] | None, environ: Mapping[str, str]) -> Iterator[dict[str, str]]:
    """The variable that makes children log in at the host of a URL; none if there is no login.

    The file is only the person's to read, and gone in the end. Raises Failure for a login that no netrc can carry.
    """
    if pair is None:
        yield {}
        return
    text = _entries(url, *pair)
    with tempfile.TemporaryDirectory(prefix="devpi-login-", ignore_cleanup_errors=True) as folder:  # mode 0700
        path = Path(folder) / "netrc"
        path.touch(mode=0o600)
        # Of two entries for one host pip and uv take the last.
        path.write_text(f"{_own(environ)}\n\n{text}", encoding="utf-8")
        if not _is_understood(path, urls.host(url), pair):
            # A mistake in the person's own file would take our entry along.
            path.write_text(text, encoding="utf-8")
        yield {"NETRC": str(path)}


def _entries(url: str, user: str, password: str) -> str:
    login, secret = (_word(each, urls.host(url)) for each in (user, password))
    return "".join(f"machine {machine}\nlogin {login}\npassword {secret}\n" for machine in _machines(url))


def _machines(url: str) -> list[str]:
    """The host as Python calls it, and as uv and older pips do: with brackets, in its own case."""
    spelled = re.sub(r":\d*$", "", urlsplit(url).netloc.rpartition("@")[2])
    return sorted({urls.host(url), spelled})


def _word(text: str, host: str) -> str:
    """As netrc has it. Python knows quotes since 3.11 only: what needs none has none. Raises Failure."""
    if _PLAIN.fullmatch(text):
        return text
    if not text.isprintable():
        raise Failure(
            f"the login for {host} has a character that pip and uv cannot be told",
            "Take a password without line breaks, tabs and the like.",
        )
    escaped = re.sub(r'(["\\])', r"\\\1", text)
    return f'"{escaped}"'


def _own(environ: Mapping[str, str]) -> str:
    """The person's own entries."""
    named = environ.get("NETRC")
    home = Path(environ.get("HOME") or "~").expanduser()
    for path in [Path(named).expanduser()] if named else [home / name for name in _OWN]:
        if path.is_file():
            with contextlib.suppress(OSError, ValueError):
                return path.read_text(encoding="utf-8")
            return ""
    return ""


def _is_understood(path: Path, host: str, pair: tuple[str, str]) -> bool:
    with contextlib.suppress(netrc.NetrcParseError):
        found = netrc.netrc(str(path)).authenticators(host)
        return found is not None and (found[0], found[2]) == pair
    return False
