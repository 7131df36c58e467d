"""Lines of the access log, made in batches: a record of `logging` would cost as much as the answer that it is about."""

import functools
import time
from collections.abc import Callable
from typing import Any

import msgspec

from stilton.domain.names import projects_of
from stilton.domain.redaction import one_line, redacted
from stilton.visits import Served

ACCESS = "stilton.access"
PLACES = 2000
"""Paths that are remembered with what was found out of them."""
MOST_CHARS = 2000
"""Of a path with its query; longer ones are cut, and not remembered: a client may send 64 kB."""


class Seconds:
    """Moments as text. Thousands of lines are of one second: its text is made once."""

    def __init__(self, pattern: str, broken_down: Callable[[float], time.struct_time]) -> None:
        self._pattern = pattern
        self._broken_down = broken_down
        self._second = -1
        self._text = ""

    def __call__(self, at: float) -> tuple[str, int]:
        """(the second, milliseconds of it)."""
        second = int(at)
        if second != self._second:
            self._second, self._text = second, time.strftime(self._pattern, self._broken_down(second))
        return self._text, int((at - second) * 1000)


class HumanLine:
    """A line of the access log for people."""

    def __init__(self) -> None:
        self._seconds = Seconds("%Y-%m-%d %H:%M:%S", time.localtime)

    def __call__(self, served: Served) -> str:
        """With its line feed."""
        text, ms = self._seconds(served.at)
        cache = f" {served.cache}" if served.cache else ""
        upstream = f" upstream {served.upstream_s * 1000:.0f} ms" if served.upstream_s is not None else ""
        return (
            f"{text},{ms:03d} INFO  [{served.request or '-'}] {served.method} {target(served.path, served.query)} "
            f"{served.status} {served.bytes} B {served.duration_s * 1000:.1f} ms{cache}{upstream} "
            f"{served.actor or ''}@{served.address}\n"
        )


class JsonLine:
    """A line of the access log for machines."""

    def __init__(self) -> None:
        self._fields = Fields()
        self._encode = msgspec.json.Encoder().encode

    def __call__(self, served: Served) -> str:
        """With its line feed."""
        return self._encode(self._fields(served)).decode() + "\n"


class Fields:
    """What a line of the access log says. Times in milliseconds."""

    def __init__(self) -> None:
        self._seconds = Seconds("%Y-%m-%dT%H:%M:%S", time.gmtime)

    def __call__(self, served: Served) -> dict[str, Any]:
        """In the order of docs/guide/logs.md."""
        text, ms = self._seconds(served.at)
        path = target(served.path, served.query)
        index, project = place(served.path)
        return {
            "time": f"{text}.{ms:03d}Z",
            "level": "info",
            "logger": ACCESS,
            "message": f"{served.method} {path} {served.status}",
            "request": served.request,
            "address": served.address,
            "actor": served.actor,
            "method": served.method,
            "path": path,
            "index": index,
            "project": project,
            "status": served.status,
            "bytes": served.bytes,
            "duration_ms": round(served.duration_s * 1000, 3),
            "cache": served.cache,
            "upstream_ms": None if served.upstream_s is None else round(served.upstream_s * 1000, 1),
        }


def target(path: str, query: str) -> str:
    """Path and query in printable characters, without secrets, not longer than `MOST_CHARS` and a word."""
    if len(path) + len(query) < MOST_CHARS:
        return _target(path, query)
    return one_line(_target.__wrapped__(path, query), MOST_CHARS)


@functools.lru_cache(PLACES)
def _target(path: str, query: str) -> str:
    text = redacted(f"{path}?{query}" if query else path)
    return text if text.isprintable() else ascii(text)


def place(path: str) -> tuple[str | None, str | None]:
    """(index, project) that a path is about, without secrets; None where it is about none."""
    return _place(path) if len(path) < MOST_CHARS and path.isprintable() else (None, None)


@functools.lru_cache(PLACES)
def _place(path: str) -> tuple[str | None, str | None]:
    user, _, rest = redacted(path)[1:].partition("/")
    name, _, rest = rest.partition("/")
    if not user or not name or user.startswith("+") or name.startswith("+"):
        return None, None
    index = f"{user}/{name}"
    kind, _, rest = rest.partition("/")
    match kind:
        case "+simple":
            return index, rest.partition("/")[0] or None
        case "+f" | "+e":
            found = projects_of(rest.rpartition("/")[2].removesuffix(".metadata").removesuffix(".provenance"))
            return index, found[0] if found else None
        case _:
            return index, None if kind.startswith("+") else kind or None
