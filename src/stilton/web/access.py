"""What the access log will say: noted with each answer, put into words later and many at a time (`logs`)."""

import time
from collections import deque
from collections.abc import Iterator
from typing import Any

from stilton.visits import Served, Visit
from stilton.web.http import Scope
from stilton.web.visitors import Visitors, peer, tell

MOST = 100_000
"""Lines that wait to be written; of more the oldest are lost."""
WENT_AWAY = 499
"""The client closed the connection before it had an answer (nginx' number)."""


class AccessLog:
    """Lines since the last time they were taken. `visitors`: knows who comes in."""

    def __init__(self, visitors: Visitors) -> None:
        self._visitors = visitors
        # Tuples of what is there anyway: an answer that was made before takes 20 µs in all.
        self._lines: deque[tuple[Any, ...]] = deque(maxlen=MOST)

    def ready(self, scope: Scope, status: int, size: int, began: float) -> None:
        """An answer that was made before. `began`: Unix seconds."""
        headers = scope["headers"]
        self._lines.append((
            began, scope["client"], headers if tell(headers) else None, scope["method"], scope["path"],
            scope["query_string"], status, size, time.time() - began,
        ))  # fmt: skip

    def visited(self, scope: Scope, visit: Visit, status: int | None, size: int, began: float) -> None:
        """Any other answer; None: there was none."""
        self._lines.append((
            time.time(), visit, None, scope["method"], scope["path"], scope["query_string"],
            status or WENT_AWAY, size, time.perf_counter() - began,
        ))  # fmt: skip

    def take(self) -> Iterator[Served]:
        """Lines since the last call, the oldest first."""
        lines, self._lines = self._lines, deque(maxlen=MOST)
        for at, who, headers, method, path, query, status, size, duration_s in lines:
            request: str | None = None
            actor = upstream_s = None
            cache: str | None = "hit"
            if isinstance(who, Visit):
                request, address, actor, cache, upstream_s = who.id, who.address, who.actor, who.cache, who.upstream_s
            elif headers:
                request, address = self._visitors.told(who, headers)
            else:
                address = peer(who)
            text = query.decode("latin-1") if query else ""
            yield Served(at, request, address, actor, method, path, text, status, size, duration_s, cache, upstream_s)
