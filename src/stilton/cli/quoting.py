"""How a command, or a word, is written in each kind of configuration file. Pure."""

import re
import shlex
from collections.abc import Sequence

from stilton.domain.errors import SetupError

# In no file is there a way to write these that every program understands; two of them cannot stand in XML.
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufffe\uffff]")
_PLAIN = re.compile(r"[A-Za-z0-9_@+=:,./-]+")
_COMMENT = re.compile(r"(\s)([;#])")
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*")


def check(*words: str) -> None:
    """Raises SetupError for a word that fits into no file."""
    for word in words:
        if _CONTROL.search(word):
            raise SetupError(f"{word!r} has a character in it that configuration files cannot hold.")


def shell(command: Sequence[str]) -> str:
    """For sh."""
    return shlex.join(command)


def cron(command: Sequence[str]) -> str:
    """For a crontab, where a percent sign ends the line (crontab(5))."""
    return shlex.join(command).replace("%", r"\%")


def supervisor(command: Sequence[str]) -> str:
    """For supervisord, which expands `%(…)s`, and takes a space and `;` or `#` for the begin of a comment."""
    # Only between single quotes are these in a line; two more are nothing, and stand in between.
    return _COMMENT.sub(r"\1''\2", shlex.join(command)).replace("%", "%%")


def systemd(command: Sequence[str]) -> str:
    """For `ExecStart=` (systemd.service(5), COMMAND LINES)."""
    return " ".join(_systemd_word(word).replace("$", "$$") for word in command)


def systemd_path(path: str) -> str:
    """For settings that take paths: `$` means nothing there. Raises SetupError."""
    check(path)
    return _systemd_word(path)


def systemd_socket(path: str) -> str:
    """For `ListenStream=`, which takes the rest of its line as it is (systemd.socket(5)). Raises SetupError."""
    check(path)
    if path.endswith("\\"):
        raise SetupError(f"{path!r}: systemd takes no socket whose path ends with a backslash.")
    return path.replace("%", "%%")


def nginx(text: str) -> str:
    """For between double quotes in nginx, which has no way to write a dollar. Raises SetupError."""
    check(text)
    if "$" in text:
        raise SetupError(f"{text!r}: nginx's configuration cannot hold a dollar there.")
    return text.replace("\\", "\\\\").replace('"', '\\"')


def host(name: str) -> str:
    """A host as programs look it up and clients ask for it: ASCII (IDNA), IPv6 in brackets. Raises SetupError."""
    try:
        plain = name.encode("idna").decode()
    except UnicodeError:
        plain = ""
    if not _HOST.fullmatch(plain):
        raise SetupError(f"{name!r} is no host name.")
    return f"[{plain}]" if ":" in plain else plain


def _systemd_word(word: str) -> str:
    word = word.replace("%", "%%")
    if _PLAIN.fullmatch(word.replace("%", "").replace("$", "")):
        return word
    return '"' + word.replace("\\", "\\\\").replace('"', '\\"') + '"'
