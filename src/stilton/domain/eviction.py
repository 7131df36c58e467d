"""Which files a mirror's cache lets go when it is to be smaller, or holds what nobody uses any more. Pure.

`mirror_cache_max_size` is kept as bytes, `mirror_cache_max_age` as a text with its unit. What is pinned stays,
and counts; what goes is fetched again when somebody asks for it.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from stilton.domain.errors import Invalid

LEAVE = 0.9
"""A cache that is too large shrinks to this part of its limit, so that not every new file evicts another."""
SKEW_S = 3600
LEAST_AGE_S = 3600
"""When a file was last used is known to the hour."""

_SIZE_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
_AGE_UNITS = {"w": 604800, "d": 86400, "h": 3600, "m": 60, "s": 1}
_SIZE = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,6})?)\s*([KMGT]?)(?:i?B)?", re.IGNORECASE)
_AGE = re.compile(r"([0-9]{1,12})\s*([wdhms]?)", re.IGNORECASE)


class Limits(msgspec.Struct, frozen=True):
    """What a mirror's cache may hold: bytes in all, and seconds since a file was last used. None: no limit."""

    max_bytes: int | None = None
    max_age_s: float | None = None

    @property
    def any(self) -> bool:
        """Whether there is a limit at all."""
        return self.max_bytes is not None or self.max_age_s is not None


class Cached(msgspec.Struct, frozen=True):
    """A held file. `digest` and `size` (bytes): None when only its metadata is here. `used_at`: Unix seconds."""

    path: str
    project: str
    digest: str | None
    size: int | None
    used_at: float
    pinned: bool = False


def limits(keys: Mapping[str, Any]) -> Limits:
    """The limits in an index's configuration."""
    size, age = keys.get("mirror_cache_max_size"), keys.get("mirror_cache_max_age")
    return Limits(None if size is None else max_size(size), None if age is None else age_s(max_age(age)))


def evicted(files: Iterable[Cached], limits: Limits, *, now: float) -> list[Cached]:
    """What goes: all that was not used for too long, then the least recently used until the rest fits.

    A use in the future was noted by a clock that was wrong, or is one now; either way what was noted since is newer.
    """
    ordered = sorted(files, key=lambda file: (file.used_at <= now + SKEW_S, file.used_at, file.path))
    free = [file for file in ordered if not file.pinned]
    gone = [file for file in free if limits.max_age_s is not None and now - file.used_at > limits.max_age_s]
    left = sum(file.size or 0 for file in ordered) - sum(file.size or 0 for file in gone)
    if limits.max_bytes is None or left <= limits.max_bytes:
        return gone
    aged = {file.path for file in gone}
    for file in free:
        if left <= limits.max_bytes * LEAVE:
            break
        if file.size and file.path not in aged:
            gone.append(file)
            left -= file.size
    return gone


def max_size(value: object) -> int:
    """`mirror_cache_max_size` as it is kept: bytes; `50G` is 50 GiB. Raises Invalid."""
    size = _bytes(value)
    if not size:
        raise Invalid(
            f"mirror_cache_max_size is {value!r}: it takes bytes, or a number with K, M, G or T; "
            "a mirror that is to keep nothing has mirror_cache_max_file_size=0"
        )
    return size


def max_file_size(value: object) -> int:
    """`mirror_cache_max_file_size` as it is kept: bytes; 0 is kept, too. Raises Invalid."""
    size = _bytes(value)
    if size is None:
        raise Invalid(
            f"mirror_cache_max_file_size is {value!r}: it takes bytes, or a number with K, M, G or T; "
            "larger files are passed on and not kept, with 0 all"
        )
    return size


def max_age(value: object, key: str = "mirror_cache_max_age") -> str:
    """An age as it is kept: `90d`, also for `90`. Raises Invalid, which names `key`."""
    match = _AGE.fullmatch(str(value).strip())
    count, unit = (int(match[1]), match[2].lower() or "d") if match else (0, "d")
    if count * _AGE_UNITS[unit] < LEAST_AGE_S:
        raise Invalid(f"{key} is {value!r}: it takes days, or a number with w, d or h; an hour or more")
    return f"{count}{unit}"


def _bytes(value: object) -> int | None:
    match = _SIZE.fullmatch(str(value).strip())
    return int(float(match[1]) * _SIZE_UNITS[match[2].upper()]) if match else None


def age_s(kept: str) -> float:
    """Seconds of what `max_age` gives."""
    return float(int(kept[:-1]) * _AGE_UNITS[kept[-1]])
