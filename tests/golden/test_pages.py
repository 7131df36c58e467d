"""Rendered pages, byte for byte: a change that clients can see is seen here first."""

import pytest

from tests.golden.cases import CASES, FOLDER


@pytest.mark.parametrize("name", sorted(CASES))
def test_a_page_is_rendered_byte_for_byte_as_before(name: str) -> None:
    assert CASES[name]() == (FOLDER / name).read_bytes()


def test_no_golden_file_is_left_over() -> None:
    assert sorted(path.name for path in FOLDER.iterdir()) == sorted(CASES)
