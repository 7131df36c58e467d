"""The bounded dictionary."""

from collections import OrderedDict

from hypothesis import given, settings
from hypothesis import strategies as st

from stilton.lru import Lru


def test_the_least_recently_used_goes_first() -> None:
    lru: Lru[str, int] = Lru(2)
    lru.put("a", 1)
    lru.put("b", 2)

    lru.get("a")
    lru.put("c", 3)

    assert lru.keys() == ["a", "c"]
    assert lru.get("b") is None


def test_what_is_heavier_than_the_limit_is_not_kept_and_its_old_value_is_gone() -> None:
    lru: Lru[str, bytes] = Lru(10, weigh=len)
    lru.put("a", b"small")
    lru.put("b", b"b")

    lru.put("a", b"far too large")

    assert lru.get("a") is None
    assert lru.get("b") == b"b"


def test_a_heavy_value_drops_as_many_as_it_needs() -> None:
    lru: Lru[str, bytes] = Lru(10, weigh=len)
    for key in "abcde":
        lru.put(key, b"xx")

    lru.put("f", b"x" * 7)

    assert lru.keys() == ["e", "f"]


def test_forgetting_what_is_not_there_is_no_error() -> None:
    lru: Lru[str, int] = Lru(2)
    lru.put("a", 1)

    lru.pop("b")

    assert len(lru) == 1


def test_forgetting_all_makes_room_for_as_much_as_ever() -> None:
    lru: Lru[str, int] = Lru(2)
    lru.put("a", 1)
    lru.put("b", 2)

    lru.clear()
    lru.put("c", 3)
    lru.put("d", 4)

    assert lru.keys() == ["c", "d"]


steps = st.lists(st.tuples(st.sampled_from(["put", "get", "pop"]), st.integers(0, 5), st.integers(0, 7)), max_size=40)


@settings(deadline=None, max_examples=80)
@given(steps)
def test_it_agrees_with_a_plain_model(steps: list[tuple[str, int, int]]) -> None:
    limit = 6
    lru: Lru[int, int] = Lru(limit, weigh=lambda weight: weight)
    model: OrderedDict[int, int] = OrderedDict()

    for step, key, weight in steps:
        if step == "put":
            lru.put(key, weight)
            model.pop(key, None)
            if weight <= limit:
                model[key] = weight
                while sum(model.values()) > limit:
                    model.popitem(last=False)
        elif step == "get":
            assert lru.get(key) == model.get(key)
            if key in model:
                model.move_to_end(key)
        else:
            lru.pop(key)
            model.pop(key, None)

        assert lru.keys() == list(model)
        assert len(lru) == len(model)
