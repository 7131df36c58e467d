"""What the disk refused, told to whoever runs this server: in the log, and as a warning of `/+status`.

One line of the log a minute at most: a full disk is not filled by its own alarm.
"""

import logging
import time
from collections.abc import Callable

log = logging.getLogger(__name__)

PAUSE_S = 60.0
LASTS_S = 600.0
"""A warning stays for so long after the last time."""


class Alarm:
    """Of one worker. `now`: Unix seconds."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._last: Exception | None = None
        self._last_at = 0.0
        self._quiet_until = 0.0
        self._unsaid = 0

    def raised(self, trouble: Exception) -> None:
        """The disk did not take, or give, something. The same trouble may be told by all who meet it."""
        if trouble is self._last:
            return
        self._last, self._last_at = trouble, self._now()
        # A clock that was set back is no reason to be quiet for longer.
        if 0 < self._quiet_until - self._last_at <= PAUSE_S:
            self._unsaid += 1
            return
        more = f" ({self._unsaid} more since the line before)" if self._unsaid else ""
        self._quiet_until, self._unsaid = self._last_at + PAUSE_S, 0
        log.error("Storage trouble: %s%s", trouble, more)

    def warning(self) -> str | None:
        """What an operator should know; None when nothing was refused lately."""
        if self._last is None or not 0 <= self._now() - self._last_at <= LASTS_S:
            return None
        at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self._last_at))
        return f"Storage trouble at {at}: {self._last}. See the log."
