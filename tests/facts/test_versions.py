"""Versions out of any text: never an error, whatever it is."""

import pytest

from stilton.domain.errors import Invalid
from stilton.domain.names import same_versions
from stilton.domain.publishing import check_version, same_version, version_rank
from stilton.domain.versions import MAX_CHARS, canonical, parsed

ENDLESS = "1" * 5_000
"""More digits than Python makes a number of."""


@pytest.mark.parametrize("text", ["", "x", "1.0-", ENDLESS, "1." * 200 + "0"], ids=["", "x", "dash", "endless", "long"])
def test_what_is_no_version_is_none_and_stays_as_it_is(text: str) -> None:
    assert parsed(text) is None
    assert canonical(text) == text


def test_spellings_of_one_version_have_one_canonical_form() -> None:
    assert canonical("1.0.0") == canonical("v1.0") == canonical("1")
    assert canonical("1" * MAX_CHARS + "x") == "1" * MAX_CHARS + "x"


def test_a_number_without_end_is_compared_ranked_and_refused_like_any_other_text() -> None:
    assert same_version(ENDLESS, ENDLESS)
    assert not same_version("1", ENDLESS)
    assert version_rank(ENDLESS) < version_rank("0.1")
    assert same_versions([ENDLESS], ["1.0", ENDLESS]) == ([ENDLESS], ["1.0"])
    with pytest.raises(Invalid, match="is no valid version"):
        check_version(ENDLESS)
