"""Which development releases a volatile index lets go (`retain_dev_releases`). Pure.

A development release is what PEP 440 calls one: its version has a `.devN`, whatever follows. Others are never
touched, and neither is a project's newest release, whatever it is.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from stilton.domain.errors import Invalid
from stilton.domain.indexes import boolean
from stilton.domain.publishing import version_rank

MOST = 1_000_000


def kept(keys: Mapping[str, Any]) -> int | None:
    """How many development releases an index keeps of each project; None: all, as of every non-volatile one."""
    number = keys.get("retain_dev_releases")
    return None if number is None or not boolean(keys.get("volatile", True)) else retained(number)


def superseded(versions: Iterable[str], keep: int) -> list[str]:
    """What goes, the oldest first: all development releases but the `keep` newest of the project (PEP 440's order)."""
    newest_first = sorted(versions, key=version_rank, reverse=True)
    behind = [text for place, text in enumerate(newest_first) if is_development(text) and place > 0]
    # The newest release counts among those that are kept when it is a development release itself.
    left = keep - 1 if newest_first and is_development(newest_first[0]) else keep
    return behind[max(0, left) :][::-1]


def is_development(text: str) -> bool:
    """Whether a version has a `.devN` (PEP 440); texts that are no versions have none."""
    is_version, version, _ = version_rank(text)
    return is_version and version.is_devrelease


def retained(value: object) -> int:
    """`retain_dev_releases` as it is kept: a number, 0 or more. Raises Invalid."""
    text = str(value).strip()
    if isinstance(value, bool) or not text.isascii() or not text.isdigit() or len(text) > len(str(MOST)):
        raise Invalid(f"retain_dev_releases is {value!r}: it takes a number, 0 or more")
    return min(int(text), MOST)
