"""The circuit breaker of one upstream, as a value.

    CLOSED ── `OPEN_AFTER` failures in a row ──► OPEN ── a probe succeeds ──► CLOSED
                                                  │ ▲
                                                  └─┘ a probe fails: the next waits twice as long

Pure: `upstream.index` holds the current value, passes times in (seconds on any
steady clock) and sends the probes. While it is open nobody waits for upstream.
"""

import msgspec

OPEN_AFTER = 3
FIRST_WAIT_S = 1.0
LONGEST_WAIT_S = 60.0


class Circuit(msgspec.Struct, frozen=True):
    """`failures` in a row so far; `opened_at` None while closed; `probe_at` when to ask again.

    `reached`: upstream did answer, only nothing usable (5xx); its files may still be had.
    """

    failures: int = 0
    opened_at: float | None = None
    probe_at: float = 0.0
    why: str = ""
    reached: bool = False

    @property
    def is_open(self) -> bool:
        """Whether requests are to be refused at once."""
        return self.opened_at is not None


def failed(circuit: Circuit, why: str, *, now: float, reached: bool = False) -> Circuit:
    """One request or probe got no usable answer."""
    failures = circuit.failures + 1
    if not circuit.is_open and failures < OPEN_AFTER:
        return Circuit(failures=failures, why=why, reached=reached)
    opened_at = now if circuit.opened_at is None else circuit.opened_at
    doublings = max(0, failures - OPEN_AFTER)
    wait_s = min(LONGEST_WAIT_S, FIRST_WAIT_S * 2.0 ** min(doublings, 16))
    return Circuit(failures=failures, opened_at=opened_at, probe_at=now + wait_s, why=why, reached=reached)


CLOSED = Circuit()
"""Upstream answered: whatever was, it is reachable."""
