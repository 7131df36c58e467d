"""What a setting's value may be: the text of a flag, a variable or a file becomes a number, a path, networks.

Whatever is wrong with one value by itself is found here, while it is known who gave it; what does not go together
is found by `config.checked`. What a message shows of a value is never a secret (`shown`).
"""

import ipaddress
import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from stilton.domain.errors import SetupError
from stilton.domain.indexes import boolean
from stilton.domain.redaction import without_secrets
from stilton.domain.share import Share
from stilton.domain.urls import is_base
from stilton.settings import Setting

N = TypeVar("N", int, float)

LONGEST_SHOWN = 100
"""Characters of a wrong value that a message shows."""
MOST_PORT = 65535

_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
_SIZE = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,9})?)\s*([KMGT]?)(?:i?B)?", re.IGNORECASE)
_SHARE = re.compile(r"([0-9]{1,2}(?:\.[0-9]{1,9})?)\s*%")
_SECONDS = re.compile(r"(?:[0-9]{1,15}(?:\.[0-9]{0,9})?|\.[0-9]{1,9})(?:e\+?[0-9]{1,2})?")
_WHOLE = re.compile(r"[0-9]{1,15}")
_OCTAL = re.compile(r"(?:0o)?0*([0-7]{1,3})")
_ADDRESS = re.compile(r"(?:\*|\[[^\[\]\s]+\]|[^\[\]:\s]+):([0-9]{1,5})")


def read(setting: Setting, raw: object, *, where: str, folder: Path) -> Any:  # noqa: ANN401 - its kind decides
    """The value. `where` it was given; relative paths begin in `folder`. Raises SetupError that names all that."""
    if is_empty(raw):
        raise SetupError(f"{where} is empty: it takes {takes(setting)}. Leave it out if that is what you mean.")
    try:
        value = _READERS[setting.kind](setting, raw, folder)
    except _WrongError as wrong:
        raise SetupError(f"{where} is {shown(wrong.part)}: it takes {takes(setting)}.{_advice(wrong.part)}") from None
    return value


def takes(setting: Setting) -> str:
    """What this setting may be, in words."""
    match setting.item or setting.kind:
        case "int":
            return f"a whole number from {setting.least} to {setting.most}"
        case "seconds":
            return f"seconds, from {setting.least} to {setting.most}"
        case "size":
            return "bytes, or a number with K, M, G or T" + (f", {setting.least} or more" if setting.least else "")
        case "choice":
            return " or ".join(setting.choices)
        case kind:
            return _TAKES[kind]


def shown(raw: object) -> str:
    """A value for people: of one line, not too long, without passwords of URLs and what else looks secret."""
    if isinstance(raw, bool):
        return "yes" if raw else "no"
    if isinstance(raw, Mapping):
        return "a mapping"
    if isinstance(raw, Sequence) and not isinstance(raw, str):
        return "a list"
    text = without_secrets(str(raw))
    return repr(text if len(text) <= LONGEST_SHOWN else text[:LONGEST_SHOWN] + "…")


def is_empty(raw: object) -> bool:
    """Whether it says nothing: no text, or a list of that."""
    if isinstance(raw, str):
        return not raw.strip(" \t\r\n,")
    if isinstance(raw, Sequence):
        return all(is_empty(part) for part in raw)
    return raw is None


class _WrongError(ValueError):
    """`part` of the value is not what the setting takes."""

    def __init__(self, part: object) -> None:
        super().__init__(part)
        self.part = part


def _advice(part: object) -> str:
    if isinstance(part, bool):
        return " If it is meant as text, put it in quotes."
    if isinstance(part, str) and _has_control(part.strip()):
        return " There is a control character in it, or what is no UTF-8."
    if isinstance(part, str) and part.startswith("~"):
        return " That home folder is not known here: use a full path."
    if isinstance(part, str) and re.match("(tcp|udp)://", part):
        return " Kubernetes sets such variables for a service of this name; enableServiceLinks: false keeps them away."
    return ""


def _text(_: Setting, raw: object, _folder: Path) -> str:
    """One line of text. Control characters would end up in logs, a NUL in no path at all."""
    if not isinstance(raw, str) or _has_control(raw.strip()):
        raise _WrongError(raw)
    return raw.strip()


def _has_control(text: str) -> bool:
    """Control characters, or bytes that are no UTF-8."""
    return any(unicodedata.category(character) in ("Cc", "Cs") for character in text)


def _matched(pattern: re.Pattern[str], raw: object) -> re.Match[str]:
    found = None if isinstance(raw, bool) else pattern.fullmatch(str(raw).strip())
    if found is None:
        raise _WrongError(raw)
    return found


def _ranged(setting: Setting, value: N, raw: object) -> N:
    if not setting.least <= value <= setting.most:
        raise _WrongError(raw)
    return value


def _int(setting: Setting, raw: object, _: Path) -> int:
    return _ranged(setting, int(_matched(_WHOLE, raw)[0]), raw)


def _seconds(setting: Setting, raw: object, _: Path) -> float:
    return _ranged(setting, float(_matched(_SECONDS, raw)[0]), raw)


def _size(setting: Setting, raw: object, _: Path) -> int:
    match = _matched(_SIZE, raw)
    return _ranged(setting, int(float(match[1]) * _UNITS[match[2].upper()]), raw)


def _room(setting: Setting, raw: object, folder: Path) -> int | Share:
    match = _SHARE.fullmatch(str(raw).strip())
    return Share(float(match[1])) if match is not None else _size(setting, raw, folder)


def _octal(_: Setting, raw: object, _folder: Path) -> int:
    return int(_matched(_OCTAL, raw)[1], 8)


def _switch(_: Setting, raw: object, _folder: Path) -> bool:
    try:
        return boolean(raw)
    except SetupError:
        raise _WrongError(raw) from None


def _choice(setting: Setting, raw: object, folder: Path) -> str:
    text = _text(setting, raw, folder)
    if text not in setting.choices:
        raise _WrongError(raw)
    return text


def _storage(setting: Setting, raw: object, folder: Path) -> str:
    # devpi's `storage: {name: sqlite, …}` and `sqlite:fsbackend=…`: how files are kept is ours to know.
    name = raw.get("name") if isinstance(raw, Mapping) else raw
    if not isinstance(name, str) or name.partition(":")[0].strip() != "sqlite":
        raise _WrongError(name or raw)
    return _text(setting, name, folder)


def _path(setting: Setting, raw: object, folder: Path) -> str:
    try:
        path = Path(_text(setting, raw, folder)).expanduser()
        return str(path if path.is_absolute() else folder.absolute() / path)
    except RuntimeError:  # ~somebody
        raise _WrongError(raw) from None
    except FileNotFoundError as error:
        raise SetupError(f"The current folder is gone, and {shown(raw)} is relative to it: use a full path.") from error


def _url(setting: Setting, raw: object, folder: Path) -> str:
    text = _text(setting, raw, folder)
    if not is_base(text):
        raise _WrongError(raw)
    return text


def _network(setting: Setting, raw: object, folder: Path) -> str:
    text = _text(setting, raw, folder)
    try:
        ipaddress.ip_network(text, strict=False)
    except ValueError:
        if text != "*":
            raise _WrongError(raw) from None
    return text


def _address(_: Setting, raw: object, _folder: Path) -> str:
    match = _matched(_ADDRESS, raw)
    if not 0 < int(match[1]) <= MOST_PORT:
        raise _WrongError(raw)
    return match[0]


def _list(setting: Setting, raw: object, folder: Path) -> tuple[str, ...]:
    if not isinstance(raw, Sequence):
        raise _WrongError(raw)
    given = [raw] if isinstance(raw, str) else raw
    parts = [part for one in given for part in (one.split(",") if isinstance(one, str) else [one])]
    return tuple(_READERS[setting.item](setting, part, folder) for part in parts if not is_empty(part))


_READERS: dict[str, Callable[[Setting, Any, Path], Any]] = {
    "int": _int,
    "size": _size,
    "room": _room,
    "seconds": _seconds,
    "switch": _switch,
    "octal": _octal,
    "list": _list,
    "text": _text,
    "name": _text,
    "choice": _choice,
    "storage": _storage,
    "path": _path,
    "url": _url,
    "network": _network,
    "address": _address,
}
_TAKES = {
    "room": "bytes, a number with K, M, G or T, or a share of the disk like 5%",
    "switch": "yes or no",
    "octal": "permission bits like 660",
    "text": "a text",
    "name": "names, with commas between",
    "storage": "sqlite, this version knows no other",
    "path": "a path",
    "url": "a URL that begins with http:// or https://, without login, query or anything to be quoted",
    "network": "an address, a network like 10.0.0.0/8, or *",
    "address": "HOST:PORT, *:PORT or [IPv6]:PORT, ports from 1 to 65535",
}
