"""The circuit breaker."""

from hypothesis import given, settings
from hypothesis import strategies as st

from stilton.domain import circuit
from stilton.domain.circuit import CLOSED, OPEN_AFTER, Circuit


def after(failures: int, *, start: float = 100.0, step: float = 1.0) -> Circuit:
    """A circuit after so many failures in a row."""
    now, state = start, CLOSED
    for _ in range(failures):
        state = circuit.failed(state, "refused", now=now)
        now += step
    return state


def test_fewer_failures_than_the_limit_leave_it_closed() -> None:
    state = after(OPEN_AFTER - 1)

    assert not state.is_open
    assert state.failures == OPEN_AFTER - 1
    assert state.why == "refused"


def test_failures_in_a_row_open_it_and_a_probe_is_due_soon() -> None:
    state = after(OPEN_AFTER)

    assert state.is_open
    assert state.opened_at == 102.0
    assert state.probe_at == 102.0 + circuit.FIRST_WAIT_S


def test_each_failed_probe_doubles_the_wait() -> None:
    opened = after(OPEN_AFTER)

    once = circuit.failed(opened, "still", now=200.0)
    twice = circuit.failed(once, "still", now=300.0)

    assert once.probe_at == 202.0
    assert twice.probe_at == 304.0
    assert twice.why == "still"


def test_it_remembers_since_when_it_is_open() -> None:
    assert after(OPEN_AFTER + 40).opened_at == 102.0


def test_an_answer_forgets_every_failure() -> None:
    assert Circuit(failures=0, opened_at=None, probe_at=0.0, why="") == CLOSED
    assert not CLOSED.is_open


@settings(deadline=None, max_examples=50)
@given(st.integers(OPEN_AFTER, 5_000), st.floats(0, 1e9))
def test_a_probe_is_never_further_away_than_the_longest_wait(failures: int, now: float) -> None:
    state = circuit.failed(Circuit(failures=failures, opened_at=0.0), "down", now=now)

    assert now < state.probe_at <= now + circuit.LONGEST_WAIT_S
