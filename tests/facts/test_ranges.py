"""The Range header."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stilton.domain import ranges
from stilton.domain.ranges import Choice, Part, Unsatisfiable, Whole


@pytest.mark.parametrize(
    ("header", "choice"),
    [
        (None, Whole()),
        ("bytes=0-9", Part(0, 9)),
        ("bytes=0-0", Part(0, 0)),
        ("bytes=90-", Part(90, 99)),
        ("bytes=-10", Part(90, 99)),
        ("bytes=-1000", Part(0, 99)),
        ("bytes=50-1000", Part(50, 99)),
        ("BYTES = 1 - 2 ", Part(1, 2)),
        ("bytes=99-", Part(99, 99)),
        ("bytes=100-", Unsatisfiable()),
        ("bytes=100-200", Unsatisfiable()),
        ("bytes=-0", Unsatisfiable()),
        ("bytes=5-4", Whole()),
        ("bytes=-", Whole()),
        ("bytes=", Whole()),
        ("bytes", Whole()),
        ("", Whole()),
        ("items=0-9", Whole()),
        ("bytes=0-1,4-5", Whole()),
        ("bytes=a-b", Whole()),
        ("bytes=+1-2", Whole()),
        ("bytes=\u0661-\u0662", Whole()),
        ("bytes=" + "9" * 19 + "-", Whole()),
        ("bytes=-" + "9" * 5000, Whole()),
    ],
)
def test_a_range_header_chooses_bytes_of_a_hundred(header: str | None, choice: Choice) -> None:
    assert ranges.choose(header, 100) == choice


@pytest.mark.parametrize("header", ["bytes=0-", "bytes=0-0", "bytes=-1"])
def test_no_range_of_an_empty_file_can_be_given(header: str) -> None:
    assert ranges.choose(header, 0) == Unsatisfiable()


@pytest.mark.parametrize(
    ("if_range", "etag", "choice"),
    [
        (None, '"a"', Part(0, 4)),
        ('"a"', '"a"', Part(0, 4)),
        ('"b"', '"a"', Whole()),
        ('W/"a"', '"a"', Whole()),
        ('"a"', None, Whole()),
        ("Wed, 21 Oct 2015 07:28:00 GMT", '"a"', Whole()),
    ],
)
def test_if_range_wants_the_very_same_file(if_range: str | None, etag: str | None, choice: Choice) -> None:
    assert ranges.choose("bytes=0-4", 10, if_range=if_range, etag=etag) == choice


@settings(deadline=None, max_examples=100)
@given(st.integers(0, 50), st.integers(0, 60), st.integers(0, 60))
def test_a_part_is_what_slicing_gives(size: int, first: int, last: int) -> None:
    content = bytes(range(size))

    match ranges.choose(f"bytes={first}-{last}", size):
        case Part() as part:
            assert content[part.first : part.last + 1] == content[first : last + 1]
            assert part.size == len(content[first : last + 1]) > 0
        case Whole():
            assert last < first
        case Unsatisfiable():
            assert content[first:] == b""


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 50), st.integers(0, 60))
def test_a_suffix_is_what_slicing_gives(size: int, count: int) -> None:
    content = bytes(range(size))

    choice = ranges.choose(f"bytes=-{count}", size)

    if isinstance(choice, Part):
        assert content[choice.first : choice.last + 1] == content[-count:]
    else:
        assert choice == Unsatisfiable()
        assert size == 0 or count == 0


@settings(deadline=None, max_examples=100)
@given(st.one_of(st.text(max_size=30), st.from_regex(r"bytes=[0-9,\- ]{0,40}", fullmatch=True)), st.integers(0, 1000))
def test_whatever_is_asked_stays_inside_the_file(header: str, size: int) -> None:
    choice = ranges.choose(header, size)

    if isinstance(choice, Part):
        assert 0 <= choice.first <= choice.last < size
