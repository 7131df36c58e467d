"""Secrets: a type that never shows itself, and the last net for what slips into a text all the same."""

import re
from collections.abc import Iterable, Mapping

HIDDEN = "****"

# A password may hold an `@`; a `/`, `?` or `#` ends the part of a URL in which it could be.
_USERINFO = re.compile(r"://[^/?#\s\"'<>]*@")
# As in `Authorization: Basic …`, `X-Devpi-Auth=…` and a pair of bytes in the repr of a request's headers.
_HEADER = re.compile(
    r"\b((?:proxy-)?authorization|x-devpi-auth)(['\"]?\s*[:=,]\s*(?:b(?=['\"]))?['\"]?)(?:(?:basic|bearer|token)\s+)?[^\s'\",;)}]+",
    re.IGNORECASE,
)
_TOKEN = re.compile(r"stilton-login-[\w.~-]+")
# Two steps: a name and a word in it at once would take time by the square of a long name's length.
_QUERY = re.compile(r"([?&;]([\w.\[\]-]+)=)[^&;\s\"'<>]+")
_SECRET_NAME = re.compile("pass|pwd|secret|token|key|auth|sig|cred", re.IGNORECASE)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")

# Of what is not even a URL, all that could be a login.
_BEFORE_AT = re.compile(r"^(\w+://)?[^/@:\s]*(?::.*)?@", re.DOTALL)
# As in `pg8000:user=me,password=word`, which somebody may bring along from another devpi. Begins where a name begins
# only, or a long name would take time by its square.
_ASSIGNED = re.compile(
    r"((?<![\w-])(?=[\w-]*(?:pass|pwd|secret|token|key|cred))[\w-]+\s*[=:]\s*)[^,;&\s]+", re.IGNORECASE
)


class Secret:
    """A password or token on its way through. Whoever needs the text says so: `reveal()`."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The text itself."""
        return self._text

    def __len__(self) -> int:
        """Characters."""
        return len(self._text)

    def __bool__(self) -> bool:
        """Whether there is one at all."""
        return bool(self._text)

    def __eq__(self, other: object) -> bool:
        """The same secret."""
        return isinstance(other, Secret) and self._text == other._text

    def __hash__(self) -> int:
        """As of its text."""
        return hash(self._text)

    def __repr__(self) -> str:
        """Nothing of it; `str`, `format` and `%` come here, too."""
        return HIDDEN


def without(text: str, secrets: Iterable[str]) -> str:
    """`text` without these secrets: others may repeat what they were told."""
    for secret in filter(None, secrets):
        text = text.replace(secret, HIDDEN)
    return text


def one_line(text: str, most: int) -> str:
    """`text` without what begins a line or steers a terminal, and bounded. Redact first: half a secret is one.

    `most`: characters.
    """
    text = _CONTROL.sub(_escaped, text)
    return text if len(text) <= most else f"{text[:most]}… ({len(text)} characters)"


def _escaped(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape").decode()


def _hidden_value(found: re.Match[str]) -> str:
    return found[1] + HIDDEN if _SECRET_NAME.search(found[2]) else found[0]


def redacted(text: str) -> str:
    """`text` without credentials of URLs, values of headers and queries that carry secrets, and login tokens."""
    if "://" in text:
        text = _USERINFO.sub(f"://{HIDDEN}@", text)
    if "auth" in text.lower():
        text = _HEADER.sub(rf"\1\2{HIDDEN}", text)
    if "=" in text:
        text = _QUERY.sub(_hidden_value, text)
    return _TOKEN.sub(f"stilton-login-{HIDDEN}", text)


def redacted_parts(value: object) -> object:
    """A value of JSON, `redacted` in each of its texts, before backslashes come in between."""
    match value:
        case str():
            return redacted(value)
        case Mapping():
            return {key: redacted_parts(part) for key, part in value.items()}
        case list() | tuple():
            return [redacted_parts(part) for part in value]
        case _:
            return value


def without_secrets(text: str) -> str:
    """`text` without what looks like a password, a token or a private key: for a value that nobody understands."""
    if "PRIVATE KEY" in text:
        return HIDDEN
    return _ASSIGNED.sub(rf"\1{HIDDEN}", _BEFORE_AT.sub(rf"\g<1>{HIDDEN}@", redacted(text)))
