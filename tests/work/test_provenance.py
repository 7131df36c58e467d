"""Attestations made into provenance: what is taken and what is not (PEP 740)."""

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stilton.domain.errors import Invalid
from stilton.domain.permission import Actor
from stilton.publish import provenance

NAME, DIGEST = "my_pkg-1.0-py3-none-any.whl", "ab" * 32


def an_attestation(statement: Any = None, **changes: Any) -> dict[str, Any]:
    if statement is None:
        statement = {"subject": [{"name": "My.Pkg-1.0-py3-none-any.whl", "digest": {"sha256": DIGEST}}]}
    encoded = base64.b64encode(json.dumps(statement).encode()).decode()
    return {
        "version": 1,
        "verification_material": {"certificate": "Y2VydA==", "transparency_entries": [{}]},
        "envelope": {"statement": encoded, "signature": "c2ln"},
        **changes,
    }


def document(*attestations: Any) -> bytes | None:
    return provenance.document(json.dumps(attestations), Actor("team"), NAME, DIGEST)


def test_attestations_are_kept_as_they_came_with_who_published() -> None:
    attestation = {**an_attestation(), "more": {"kept": True}}

    made = document(attestation)

    assert made is not None
    assert json.loads(made) == {
        "version": 1,
        "attestation_bundles": [{"publisher": {"kind": "Stilton", "user": "team"}, "attestations": [attestation]}],
    }


@pytest.mark.parametrize("text", ["", "  "])
def test_none_sent_is_none_made(text: str) -> None:
    assert provenance.document(text, Actor("team"), NAME, DIGEST) is None


SUBJECT = {"name": NAME, "digest": {"sha256": DIGEST}}


@pytest.mark.parametrize(
    ("attestations", "words"),
    [
        ([], "between 1 and 20"),
        ([an_attestation()] * 21, "between 1 and 20"),
        ([an_attestation(version=2)], "version 2 is not known"),
        ([an_attestation({"subject": []})], "not about exactly one file"),
        ([an_attestation({"subject": [SUBJECT, SUBJECT]})], "not about exactly one file"),
        ([an_attestation({"subject": [{**SUBJECT, "name": "other-1.0.tar.gz"}]})], "'other-1.0.tar.gz'"),
        ([an_attestation({"subject": [{**SUBJECT, "digest": {"sha256": "00"}}]})], "with another content"),
        ([an_attestation({"subject": [{**SUBJECT, "digest": {"md5": "00"}}]})], "with another content"),
        ([an_attestation("a text")], "no in-toto statement"),
        ([an_attestation(envelope={"statement": "%%%", "signature": "x"})], "no in-toto statement"),
        ([{}], "attestations:"),
        (["text"], "attestations:"),
    ],
)
def test_what_is_no_attestation_of_this_file_is_refused(attestations: list[Any], words: str) -> None:
    with pytest.raises(Invalid) as caught:
        document(*attestations)

    assert words in str(caught.value)


@given(st.text(min_size=1).filter(str.strip))
def test_any_text_is_refused_in_words(text: str) -> None:
    with pytest.raises(Invalid):
        provenance.document(text, Actor("team"), NAME, DIGEST)
