"""The Range header (RFC 9110 §14), as a decision. One range only; several are answered whole (§14.2)."""

import re

import msgspec

_BYTES = re.compile(r"bytes\s*=\s*(\d*)\s*-\s*(\d*)\s*", re.IGNORECASE | re.ASCII)
MAX_DIGITS = 18


class Whole(msgspec.Struct, frozen=True):
    """No range asked for, or one that is to be ignored: answer 200."""


class Part(msgspec.Struct, frozen=True):
    """Answer 206 with bytes `first` to `last`, both included."""

    first: int
    last: int

    @property
    def size(self) -> int:
        """How many bytes that is."""
        return self.last - self.first + 1


class Unsatisfiable(msgspec.Struct, frozen=True):
    """Answer 416: the range begins behind the end."""


Choice = Whole | Part | Unsatisfiable


def choose(header: str | None, size_bytes: int, *, if_range: str | None = None, etag: str | None = None) -> Choice:
    """What to send of `size_bytes` bytes. `if_range` must equal the strong `etag` (§13.1.5)."""
    if header is None or (if_range is not None and if_range != etag):
        return Whole()
    match = _BYTES.fullmatch(header.strip())
    # A malformed or multiple range is ignored, as §14.2 allows.
    if not match or match.groups() == ("", "") or max(map(len, match.groups())) > MAX_DIGITS:
        return Whole()
    first, last = match.groups()
    if not first:
        return _suffix(int(last), size_bytes)
    start = int(first)
    if last and int(last) < start:
        return Whole()
    if start >= size_bytes:
        return Unsatisfiable()
    return Part(start, min(int(last), size_bytes - 1) if last else size_bytes - 1)


def _suffix(count: int, size_bytes: int) -> Choice:
    if count == 0 or size_bytes == 0:
        return Unsatisfiable()
    return Part(max(0, size_bytes - count), size_bytes - 1)
