"""What a cache lets go, and which development releases; how their limits are written."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stilton.domain import configuration, eviction, retention
from stilton.domain.errors import Invalid
from stilton.domain.eviction import Cached, Limits

NOW = 1_000_000.0
HOUR = 3600.0
MIRROR = {"type": "mirror", "volatile": True, "mirror_url": "http://u.example/simple/"}
STAGE = configuration.defaults("team", "stage")


def a_file(name: str, size: int | None = 10, *, hours: float = 0, pinned: bool = False) -> Cached:
    """Not used for so many hours."""
    return Cached(name, "pkg", "d" if size else None, size, NOW - hours * HOUR, pinned)


def names(files: list[Cached]) -> list[str]:
    return [file.path for file in files]


def test_nothing_goes_without_a_limit() -> None:
    assert not Limits().any
    assert eviction.evicted([a_file("a", hours=1e6)], Limits(), now=NOW) == []


def test_a_cache_that_fits_keeps_everything() -> None:
    files = [a_file("a"), a_file("b", hours=1e6)]

    assert eviction.evicted(files, Limits(max_bytes=20), now=NOW) == []


def test_the_least_recently_used_goes_first_until_a_tenth_is_free() -> None:
    files = [a_file(name, hours=hours) for name, hours in (("new", 1), ("older", 3), ("old", 2), ("oldest", 4))]

    assert names(eviction.evicted(files, Limits(max_bytes=35), now=NOW)) == ["oldest"]
    assert names(eviction.evicted(files, Limits(max_bytes=33), now=NOW)) == ["oldest", "older"]


def test_what_nobody_used_for_too_long_goes_though_there_is_room() -> None:
    files = [a_file("a", hours=9), a_file("b", hours=11), a_file("metadata only", None, hours=12)]

    gone = eviction.evicted(files, Limits(max_age_s=10 * HOUR), now=NOW)

    assert names(gone) == ["metadata only", "b"]


def test_a_use_that_a_wrong_clock_noted_in_the_future_is_older_than_those_since() -> None:
    files = [
        a_file("future", hours=-9000),
        a_file("old", hours=20),
        a_file("new", hours=1),
        a_file("farther", hours=-9999),
    ]

    assert names(eviction.evicted(files, Limits(max_bytes=30), now=NOW)) == ["future", "farther"]
    assert names(eviction.evicted(files, Limits(max_age_s=10 * HOUR), now=NOW)) == ["old"]
    assert names(eviction.evicted(files, Limits(max_bytes=25, max_age_s=10 * HOUR), now=NOW)) == ["old", "future"]


def test_what_is_pinned_stays_and_counts() -> None:
    files = [a_file("pinned", 100, hours=9, pinned=True), a_file("a", hours=2), a_file("b", hours=1)]

    assert names(eviction.evicted(files, Limits(max_bytes=115), now=NOW)) == ["a", "b"]
    assert names(eviction.evicted(files, Limits(max_bytes=50, max_age_s=HOUR), now=NOW)) == ["a", "b"]


def test_letting_metadata_go_frees_no_room_so_it_stays() -> None:
    files = [a_file("metadata only", None, hours=9), a_file("a"), a_file("b", hours=1)]

    assert names(eviction.evicted(files, Limits(max_bytes=15), now=NOW)) == ["b"]


FILES = st.lists(
    st.builds(
        Cached,
        st.uuids().map(str),
        st.just("pkg"),
        st.just("d"),
        st.integers(1, 1000),
        st.floats(0, NOW, allow_nan=False),
        st.booleans(),
    ),
    max_size=30,
)


@given(FILES, st.integers(1, 10_000), st.one_of(st.none(), st.floats(HOUR, NOW)))
def test_what_stays_fits_unless_it_is_pinned(files: list[Cached], max_bytes: int, max_age_s: float | None) -> None:
    gone = eviction.evicted(files, Limits(max_bytes, max_age_s), now=NOW)

    left = [file for file in files if file not in gone]
    unpinned = [file for file in left if not file.pinned]
    assert not any(file.pinned for file in gone)
    assert len(gone) + len(left) == len(files)
    assert sum(file.size or 0 for file in left) <= max_bytes or not unpinned
    assert all(max_age_s is None or NOW - file.used_at <= max_age_s for file in unpinned)
    if gone and unpinned:
        assert max(file.used_at for file in gone) <= min(file.used_at for file in unpinned)


@pytest.mark.parametrize(
    ("sent", "stored"),
    [
        ({"mirror_cache_max_size": "50G"}, {"mirror_cache_max_size": 50 << 30}),
        ({"mirror_cache_max_size": "1.5 kib"}, {"mirror_cache_max_size": 1536}),
        ({"mirror_cache_max_size": 4096}, {"mirror_cache_max_size": 4096}),
        ({"mirror_cache_max_age": "90"}, {"mirror_cache_max_age": "90d"}),
        ({"mirror_cache_max_age": 7}, {"mirror_cache_max_age": "7d"}),
        ({"mirror_cache_max_age": "12H"}, {"mirror_cache_max_age": "12h"}),
        ({"mirror_cache_max_age": "3600s"}, {"mirror_cache_max_age": "3600s"}),
    ],
)
def test_limits_of_a_mirror_are_stored_in_one_spelling_and_taken_back_as_shown(
    sent: dict[str, Any], stored: dict[str, Any]
) -> None:
    once = configuration.updated(MIRROR, sent, lambda _: True)

    assert once == {**MIRROR, **stored}
    assert configuration.created("team", once, lambda _: True) == once
    assert eviction.limits(once).any


@pytest.mark.parametrize(
    "sent",
    [
        {"mirror_cache_max_size": "much"},
        {"mirror_cache_max_size": "0"},
        {"mirror_cache_max_size": "-1"},
        {"mirror_cache_max_file_size": "-1"},
        {"mirror_cache_max_file_size": "large"},
        {"mirror_cache_max_age": "soon"},
        {"mirror_cache_max_age": "59m"},
        {"mirror_cache_max_age": "0d"},
        {"mirror_cache_max_age": "9" * 13},
    ],
)
def test_limits_that_cannot_be_are_refused_by_their_name(sent: dict[str, Any]) -> None:
    with pytest.raises(Invalid, match=next(iter(sent))):
        configuration.updated(MIRROR, sent, lambda _: True)


def test_a_limit_is_lifted_by_removing_the_key() -> None:
    keys = configuration.patched(MIRROR, ["mirror_cache_max_size=1G", "mirror_cache_max_age=1d"], lambda _: True)

    assert eviction.limits(keys) == Limits(1 << 30, 86400.0)
    assert configuration.patched(keys, ["mirror_cache_max_size-=", "mirror_cache_max_age-="], lambda _: True) == MIRROR


VERSIONS = ["1.0.dev1", "1.0.dev2", "1.0", "1.1.dev1+gabc", "1.1a1.dev3", "2.0.dev1", "nonsense.dev1"]


def test_the_newest_development_releases_stay_the_oldest_go_first() -> None:
    assert retention.superseded(VERSIONS, 2) == ["1.0.dev1", "1.0.dev2", "1.1.dev1+gabc"]
    assert retention.superseded(reversed(VERSIONS), 4) == ["1.0.dev1"]
    assert retention.superseded(VERSIONS, 5) == []


def test_the_newest_release_stays_though_it_is_a_development_release_and_none_are_kept() -> None:
    assert "2.0.dev1" not in retention.superseded(VERSIONS, 0)
    assert retention.superseded(["1.0.dev1"], 0) == []
    assert retention.superseded([], 0) == []


def test_a_development_release_before_a_newer_final_one_does_not_count_as_the_newest() -> None:
    assert retention.superseded(["1.0.dev1", "1.0"], 0) == ["1.0.dev1"]
    assert retention.superseded(["1.0.dev1", "1.0"], 1) == []


@given(st.lists(st.sampled_from([*VERSIONS, *(f"3.0.dev{n}" for n in range(9))]), unique=True), st.integers(0, 9))
def test_only_development_releases_go_and_as_many_stay_as_are_to(versions: list[str], keep: int) -> None:
    gone = retention.superseded(versions, keep)

    development = [version for version in versions if retention.is_development(version)]
    assert set(gone) <= set(development)
    assert len(development) - len(gone) >= min(keep, len(development))
    assert len(development) - len(gone) <= max(keep, 1)


def test_only_volatile_indexes_have_a_rule() -> None:
    assert retention.kept({"retain_dev_releases": 3}) == 3
    assert retention.kept({"retain_dev_releases": 3, "volatile": False}) is None
    assert retention.kept({}) is None


def test_the_number_of_development_releases_comes_as_text_or_number() -> None:
    for sent in (5, "5", " 5 "):
        keys = configuration.updated(STAGE, {"retain_dev_releases": sent}, lambda _: True)
        assert keys == {**STAGE, "retain_dev_releases": 5}
    assert configuration.patched(keys, ["retain_dev_releases-="], lambda _: True) == STAGE


@pytest.mark.parametrize("sent", ["-1", "many", "", True, 1.5, "99999999"])
def test_a_number_of_development_releases_that_cannot_be_is_refused(sent: Any) -> None:
    with pytest.raises(Invalid, match="retain_dev_releases"):
        configuration.updated(STAGE, {"retain_dev_releases": sent}, lambda _: True)
