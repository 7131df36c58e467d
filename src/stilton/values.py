"""What a setting's value may be: the text of a flag, a variable or a file becomes a number, a path, networks.

Whatever is wrong with one value by itself is found here, while it is known who gave it; what does not go together
is found by `config.checked`. How a message speaks of it: `wordings`.
"""

import ipaddress
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from stilton.domain.errors import Invalid, SetupError
from stilton.domain.indexes import boolean
from stilton.domain.names import check_account_name
from stilton.domain.share import Share
from stilton.domain.urls import is_base
from stilton.settings import Setting
from stilton.wordings import advice, has_control, shown, takes

N = TypeVar("N", int, float)

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
        raise SetupError(f"{where} is {shown(wrong.part)}: it takes {takes(setting)}.{advice(wrong.part)}") from None
    return value


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


def _text(_: Setting, raw: object, _folder: Path) -> str:
    """One line of text. Control characters would end up in logs, a NUL in no path at all."""
    if not isinstance(raw, str) or has_control(raw.strip()):
        raise _WrongError(raw)
    return raw.strip()


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


def _name(setting: Setting, raw: object, folder: Path) -> str:
    text = _text(setting, raw, folder)
    try:
        check_account_name("username", text.strip(":"))
    except Invalid:
        raise _WrongError(raw) from None
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
    "name": _name,
    "choice": _choice,
    "storage": _storage,
    "path": _path,
    "url": _url,
    "network": _network,
    "address": _address,
}
