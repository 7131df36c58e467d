"""Decide what to do with a mirrored page: serve it, or ask upstream first.

Pure: the caller passes the clock in, and carries the decision out
(`mirror.projects`). Times are seconds on the Unix clock.
"""

import enum


class Plan(enum.Enum):
    """What to do about a page."""

    SERVE = "serve"  # fresh enough; upstream is not asked
    REVALIDATE = "revalidate"  # ask upstream; the old page may stand in on failure
    FETCH = "fetch"  # ask upstream; nothing can stand in


def plan(checked_at: float | None, *, now: float, max_age_s: float) -> Plan:
    """`checked_at`: when upstream last confirmed the page; None when none is kept."""
    if checked_at is None:
        return Plan.FETCH
    # A clock set backwards must not keep a page fresh for ever.
    fresh = 0 <= now - checked_at < max_age_s
    return Plan.SERVE if fresh else Plan.REVALIDATE


def refresh_at(checked_at: float, *, max_age_s: float, jitter: float) -> float:
    """When to revalidate in the background: in the last fifth of its life.

    `jitter`: 0..1, so that pages fetched together are not all refreshed together.
    """
    return checked_at + max_age_s * (0.8 + 0.15 * jitter)
