"""Which form of a page a client gets."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stilton.domain import negotiation
from stilton.domain.errors import NotAcceptable
from stilton.domain.negotiation import HTML, HTML_V1, JSON_V1, Coding

HTML_TYPE = "text/html; charset=utf-8"
LATEST_JSON = "application/vnd.pypi.simple.latest+json"
LATEST_HTML = "application/vnd.pypi.simple.latest+html"
PIP = f"{JSON_V1}, {HTML_V1}; q=0.1, text/html; q=0.01"
UV = f"{JSON_V1}, {HTML_V1};q=0.2, text/html;q=0.01"
BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/webp,*/*;q=0.8"

header_texts = st.one_of(st.text(max_size=60), st.from_regex(r"[a-z*/+.;=,q01 ]{0,80}", fullmatch=True))


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        (None, HTML_TYPE),
        ("", HTML_TYPE),
        ("  ", HTML_TYPE),
        ("*/*", HTML_TYPE),
        ("text/*", HTML_TYPE),
        (PIP, JSON_V1),
        (UV, JSON_V1),
        (f"{JSON_V1}, */*;q=0.1", JSON_V1),
        (BROWSER, HTML_TYPE),
        ("application/*", JSON_V1),
        (HTML_V1, HTML_V1),
        (LATEST_JSON, JSON_V1),
        (LATEST_HTML, HTML_V1),
        (JSON_V1.upper(), JSON_V1),
        ("text/html;charset=utf-8", HTML_TYPE),
        (f"text/html, {JSON_V1}", JSON_V1),
        (f"text/html, {HTML_V1}", HTML_V1),
        (f"text/html;q=0.9, {JSON_V1};q=0.8", HTML_TYPE),
        (f"{JSON_V1};q=0, */*", HTML_TYPE),
        ("text/html;q=0, */*", JSON_V1),
        (f"{JSON_V1};Q=0.1, {HTML_V1};q=0.2", HTML_V1),
        (f"{JSON_V1};q=2, {HTML_V1};q=0.2", HTML_V1),
        (f"{JSON_V1};q=x, text/html;q=1.000", HTML_TYPE),
        (f"{JSON_V1};q=0.1, {JSON_V1};q=0.9, text/html;q=0.5", JSON_V1),
        (f"image/png, ,;, {HTML_V1}", HTML_V1),
    ],
)
def test_the_best_form_that_the_client_takes_is_sent(accept: str | None, content_type: str) -> None:
    assert negotiation.simple_format(accept).content_type == content_type


@pytest.mark.parametrize(
    "accept",
    ["application/xml", "image/*", "text/html;q=0", "*/*;q=0", "application/vnd.pypi.simple.v2+json", ";;;", ","],
)
def test_what_cannot_be_given_is_refused_with_what_can(accept: str) -> None:
    with pytest.raises(NotAcceptable) as refusal:
        negotiation.simple_format(accept)

    assert refusal.value.asked == accept
    assert all(offer in str(refusal.value) for offer in (JSON_V1, HTML_V1, HTML))


@pytest.mark.parametrize(
    ("query", "content_type"),
    [(JSON_V1, JSON_V1), (LATEST_JSON, JSON_V1), (HTML_V1, HTML_V1), (LATEST_HTML, HTML_V1), (HTML, HTML_TYPE)],
)
def test_the_format_in_the_query_beats_the_header(query: str, content_type: str) -> None:
    assert negotiation.simple_format("image/png", query).content_type == content_type


def test_an_unknown_format_in_the_query_is_refused_whatever_the_header_says() -> None:
    with pytest.raises(NotAcceptable):
        negotiation.simple_format(PIP, "json")


@settings(deadline=None, max_examples=100)
@given(header_texts)
def test_every_accept_header_is_answered_or_refused(accept: str) -> None:
    try:
        chosen = negotiation.simple_format(accept)
    except NotAcceptable:
        return

    assert chosen.content_type in (JSON_V1, HTML_V1, HTML_TYPE)
    assert chosen.is_json == (chosen.content_type == JSON_V1)


@settings(deadline=None, max_examples=60)
@given(st.permutations([(JSON_V1, 0.5), (HTML_V1, 0.9), (HTML, 0.7), ("*/*", 0.2)]))
def test_the_order_of_an_accept_header_means_nothing(parts: list[tuple[str, float]]) -> None:
    accept = ", ".join(f"{name};q={weight}" for name, weight in parts)

    assert negotiation.simple_format(accept).content_type == HTML_V1


def test_a_header_beyond_any_sense_is_read_only_so_far() -> None:
    accept = "image/png," * negotiation.MAX_ACCEPT_CHARS + HTML

    with pytest.raises(NotAcceptable):
        negotiation.simple_format(accept)


@pytest.mark.parametrize(
    ("accept_encoding", "coding"),
    [
        (None, Coding.IDENTITY),
        ("", Coding.IDENTITY),
        ("identity", Coding.IDENTITY),
        ("gzip", Coding.GZIP),
        ("GZIP", Coding.GZIP),
        ("gzip, deflate, br, zstd", Coding.ZSTD),
        ("gzip, deflate", Coding.GZIP),
        ("zstd;q=0, gzip;q=0.1", Coding.GZIP),
        ("gzip;q=0", Coding.IDENTITY),
        ("br", Coding.IDENTITY),
        ("*", Coding.ZSTD),
        ("*;q=0", Coding.IDENTITY),
        ("zstd;q=0, *", Coding.GZIP),
        ("gzip;q=nonsense", Coding.IDENTITY),
    ],
)
def test_the_best_coding_that_the_client_takes_is_sent(accept_encoding: str | None, coding: Coding) -> None:
    assert negotiation.coding(accept_encoding) is coding


@settings(deadline=None, max_examples=60)
@given(header_texts)
def test_no_accept_encoding_breaks_the_answer(accept_encoding: str) -> None:
    assert negotiation.coding(accept_encoding) in Coding


@pytest.mark.parametrize(
    ("accept", "simple"),
    [(None, False), ("*/*", False), ("application/json", False), (PIP, True), (UV, True), (LATEST_JSON, True)],
)
def test_an_installer_is_told_by_naming_the_simple_api(accept: str | None, simple: bool) -> None:
    assert negotiation.wants_simple_json(accept) is simple
