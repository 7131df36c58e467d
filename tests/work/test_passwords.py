"""Password hashes and the bench where checks wait their turn."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator

import pytest

from stilton.accounts import passwords
from stilton.accounts.passwords import Bench
from stilton.domain.errors import Busy

PASSWORD = "right"
HASH = passwords.hashed(PASSWORD)


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    made = Bench()
    yield made
    made.close()


def test_a_hash_is_argon2id_and_never_the_same_twice() -> None:
    assert HASH.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert passwords.hashed(PASSWORD) != HASH


@pytest.mark.parametrize(
    ("pwhash", "password", "right"),
    [
        (HASH, PASSWORD, True),
        (HASH, "wrong", False),
        (HASH, "", False),
        (passwords.hashed(""), "", True),
        (None, PASSWORD, False),
        ("no hash", PASSWORD, False),
        (HASH, "\udcff", False),
    ],
    ids=["right", "wrong", "empty", "empty and right", "no user", "no hash", "surrogate"],
)
def test_a_password_is_right_or_not(pwhash: str | None, password: str, right: bool) -> None:
    assert passwords.is_right(pwhash, password) is right


def test_a_hash_with_other_parameters_is_outdated() -> None:
    devpis = "$argon2id$v=19$m=102400,t=2,p=8$" + HASH.split("$", 4)[4]

    assert not passwords.is_outdated(HASH)
    assert passwords.is_outdated(devpis)


async def test_checks_take_turns(bench: Bench) -> None:
    answers = await asyncio.gather(*(bench.check(HASH, PASSWORD if n % 2 else "wrong") for n in range(6)))

    assert answers == [False, True] * 3


async def test_whoever_waits_too_long_is_sent_away_and_the_others_are_not() -> None:
    bench = Bench(longest_wait_s=0.05)

    outcomes = await asyncio.gather(*(bench.check(HASH, PASSWORD) for _ in range(60)), return_exceptions=True)

    kinds = Counter(type(outcome) for outcome in outcomes)
    assert set(kinds) == {bool, Busy}
    assert await bench.check(HASH, PASSWORD)
    bench.close()


async def test_somebody_who_leaves_the_queue_holds_nobody_up(bench: Bench) -> None:
    waiting = [asyncio.ensure_future(bench.check(HASH, PASSWORD)) for _ in range(4)]
    await asyncio.sleep(0)
    for task in waiting[:3]:
        task.cancel()

    assert await waiting[3]
    assert await bench.check(HASH, PASSWORD)
