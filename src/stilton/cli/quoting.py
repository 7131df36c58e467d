"""How a command, or a word, is written in each kind of configuration file. Pure."""

import re
import shlex
from collections.abc import Sequence

from stilton.domain.errors import SetupError

# In no file is there a way to write these that every program understands.
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_PLAIN = re.compile(r"[A-Za-z0-9_@+=:,./-]+")


def check(command: Sequence[str]) -> None:
    """Raises SetupError for a word that fits into no file."""
    for word in command:
        if _CONTROL.search(word):
            raise SetupError(f"{word!r} has a control character in it; configuration files cannot hold that.")


def shell(command: Sequence[str]) -> str:
    """For sh."""
    return shlex.join(command)


def cron(command: Sequence[str]) -> str:
    """For a crontab, where a percent sign ends the line (crontab(5))."""
    return shlex.join(command).replace("%", r"\%")


def supervisor(command: Sequence[str]) -> str:
    """For supervisord, which expands `%(…)s` and takes ` ;` for a comment. Raises SetupError."""
    line = shlex.join(command)
    if " ;" in line:
        raise SetupError("A space before a semicolon: supervisord would take the rest for a comment. Use another path.")
    return line.replace("%", "%%")


def systemd(command: Sequence[str]) -> str:
    """For `ExecStart=` (systemd.service(5), COMMAND LINES)."""
    return " ".join(_systemd_word(word).replace("$", "$$") for word in command)


def systemd_path(path: str) -> str:
    """For settings that take paths: `$` means nothing there."""
    return _systemd_word(path)


def nginx(text: str) -> str:
    """For between double quotes in nginx, which has no way to write a dollar. Raises SetupError."""
    if _CONTROL.search(text) or set(text) & set('$"\\'):
        raise SetupError(f"{text!r}: nginx's configuration cannot hold a dollar, a quote or a backslash there.")
    return text


def _systemd_word(word: str) -> str:
    word = word.replace("%", "%%")
    if _PLAIN.fullmatch(word.replace("%", "").replace("$", "")):
        return word
    return '"' + word.replace("\\", "\\\\").replace('"', '\\"') + '"'
