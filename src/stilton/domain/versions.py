"""Versions (PEP 440) out of texts that anybody may have written: one that is none is never an error here."""

from packaging.utils import canonicalize_version
from packaging.version import InvalidVersion, Version

MAX_CHARS = 255
"""No file name has a longer one. Beyond some thousand digits Python reads no number either."""


def parsed(text: str) -> Version | None:
    """The version; None when it is none."""
    if len(text) > MAX_CHARS:
        return None
    try:
        return Version(text)
    except InvalidVersion:
        return None


def canonical(text: str) -> str:
    """Equal for all spellings of one version; the text itself when it is none."""
    return text if len(text) > MAX_CHARS else canonicalize_version(text)
