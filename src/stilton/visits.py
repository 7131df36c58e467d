"""The request that is being served, for those who note what happens: the log, the audit log.

A visit is set at the door (`web.asgi`) and found through a contextvar, so that nobody in between hands it on.
Work that a request sets off and does not wait for has its visit, too. Answers that were made before
(`web.simple`) are no visit: they change nothing and write no line but that of the access log.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import msgspec


class Origin(msgspec.Struct, frozen=True):
    """Where a change comes from. `request`: the id of the request, None when it is none of a client's."""

    actor: str | None
    address: str
    request: str | None


SERVER = Origin(None, "server", None)
"""What the server does of itself."""
COMMAND = Origin(None, "command", None)
"""What an operator does on the server's machine."""


class Visit:
    """`id`: of the request. `cache`: hit, miss, revalidated, stale. `upstream_s`: seconds until upstreams answered."""

    __slots__ = ("actor", "address", "cache", "id", "upstream_s")

    def __init__(self, id: str, address: str) -> None:  # noqa: A002 - what it is
        self.id = id
        self.address = address
        self.actor: str | None = None
        self.cache: str | None = None
        self.upstream_s: float | None = None


class Served(msgspec.Struct, frozen=True):
    """A request and its answer, for the access log.

    `at`: Unix seconds. `request`: its id; None for an answer that was made before, unless a proxy gave it one.
    `query`: as sent. `bytes`: of the body, as far as it was handed to the HTTP server. Times in seconds.
    """

    at: float
    request: str | None
    address: str
    actor: str | None
    method: str
    path: str
    query: str
    status: int
    bytes: int
    duration_s: float
    cache: str | None
    upstream_s: float | None


_current: ContextVar[Visit | None] = ContextVar("visit", default=None)

current = _current.get
"""The visit that is going on; None when there is none."""


@contextmanager
def going_on(visit: Visit) -> Iterator[None]:
    """`visit` is the current one inside."""
    token = _current.set(visit)
    try:
        yield
    finally:
        _current.reset(token)


def origin() -> Origin:
    """Where a change that is made now comes from."""
    visit = current()
    return SERVER if visit is None else Origin(visit.actor, visit.address, visit.id)


def is_by(actor: str | None) -> None:
    """Note who asks."""
    if (visit := current()) is not None:
        visit.actor = actor


def cached(how: str) -> None:
    """Note where the answer comes from; the first note counts."""
    if (visit := current()) is not None and visit.cache is None:
        visit.cache = how


def waited(seconds: float) -> None:
    """Note that an upstream was waited for."""
    if (visit := current()) is not None:
        visit.upstream_s = (visit.upstream_s or 0.0) + seconds
