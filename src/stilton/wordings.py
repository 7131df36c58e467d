"""What a message says of a value: how it shows it, what would be right, what may have been meant. Read by `values`."""

import re
import unicodedata
from collections.abc import Mapping, Sequence

from stilton.domain.redaction import without_secrets
from stilton.settings import Setting

LONGEST_SHOWN = 100
"""Characters of a wrong value that a message shows."""

_TAKES = {
    "room": "bytes, a number with K, M, G or T, or a share of the disk like 5%",
    "switch": "yes or no",
    "octal": "permission bits like 660",
    "text": "a text",
    "name": "names of users, or :groups, with commas between",
    "storage": "sqlite, this version knows no other",
    "path": "a path",
    "url": "a URL that begins with http:// or https://, without login, query or anything to be quoted",
    "network": "an address, a network like 10.0.0.0/8, or *",
    "address": "HOST:PORT, *:PORT or [IPv6]:PORT, ports from 1 to 65535",
}


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


def advice(part: object) -> str:
    """What to do about a wrong value, if that can be guessed; begins with a space."""
    if isinstance(part, bool):
        return " If it is meant as text, put it in quotes."
    if isinstance(part, str) and has_control(part.strip()):
        return " There is a control character in it, or what is no UTF-8."
    if isinstance(part, str) and part.startswith("~"):
        return " That home folder is not known here: use a full path."
    if isinstance(part, str) and re.match("(tcp|udp)://", part):
        return " Kubernetes sets such variables for a service of this name; enableServiceLinks: false keeps them away."
    return ""


def has_control(text: str) -> bool:
    """Control characters, or bytes that are no UTF-8."""
    return any(unicodedata.category(character) in ("Cc", "Cs") for character in text)
