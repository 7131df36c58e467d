"""When upstream is asked."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stilton.domain import freshness
from stilton.domain.freshness import Plan


@pytest.mark.parametrize(
    ("checked_at", "now", "max_age_s", "plan"),
    [
        (None, 1000.0, 1800.0, Plan.FETCH),
        (1000.0, 1000.0, 1800.0, Plan.SERVE),
        (1000.0, 2799.9, 1800.0, Plan.SERVE),
        (1000.0, 2800.0, 1800.0, Plan.REVALIDATE),
        (1000.0, 9999.0, 1800.0, Plan.REVALIDATE),
        (1000.0, 1000.0, 0.0, Plan.REVALIDATE),
        (1000.0, 999.9, 1800.0, Plan.REVALIDATE),
    ],
    ids=["never seen", "just now", "nearly old", "old", "very old", "never fresh", "clock set backwards"],
)
def test_a_page_is_served_only_while_it_is_fresh(
    checked_at: float | None, now: float, max_age_s: float, plan: Plan
) -> None:
    assert freshness.plan(checked_at, now=now, max_age_s=max_age_s) is plan


@settings(deadline=None, max_examples=50)
@given(st.floats(0, 2e9), st.floats(1, 1e6), st.floats(0, 1))
def test_a_page_is_refreshed_in_the_last_fifth_of_its_life(checked_at: float, max_age_s: float, jitter: float) -> None:
    at = freshness.refresh_at(checked_at, max_age_s=max_age_s, jitter=jitter)

    assert checked_at + max_age_s * 0.79 <= at < checked_at + max_age_s
