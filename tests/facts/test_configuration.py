"""An index's configuration: made, changed, patched."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stilton.domain import configuration
from stilton.domain.errors import Invalid
from stilton.domain.indexes import Index

STAGE = configuration.defaults("team", "stage")
MIRROR = {"type": "mirror", "volatile": True, "mirror_url": "http://u.example/simple/"}


def anything(_: str) -> bool:
    return True


def nothing(_: str) -> bool:
    return False


def test_a_new_stage_belongs_to_its_owner_and_is_open_to_readers() -> None:
    assert configuration.created("team", {}, anything) == {
        "type": "stage",
        "volatile": True,
        "acl_upload": ["team"],
        "acl_toxresult_upload": [":ANONYMOUS:"],
        "acl_pkg_read": [":ANONYMOUS:"],
        "bases": [],
        "mirror_whitelist": [],
        "mirror_whitelist_inheritance": "intersection",
    }


def test_a_new_mirror_has_only_what_was_given() -> None:
    given = {"type": "mirror", "mirror_url": "http://u.example/simple/", "title": "U", "volatile": "False"}

    assert configuration.created("root", given, anything) == {
        "type": "mirror", "volatile": False, "mirror_url": "http://u.example/simple/", "title": "U",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("sent", "stored"),
    [
        ({"volatile": "no"}, {"volatile": False}),
        ({"volatile": True}, {"volatile": True}),
        ({"bases": "/a/b/, c/d,a/b"}, {"bases": ["a/b", "c/d"]}),
        ({"bases": ["a/b"]}, {"bases": ["a/b"]}),
        ({"bases": ""}, {"bases": []}),
        ({"acl_upload": "bob,:authenticated:"}, {"acl_upload": ["bob", ":AUTHENTICATED:"]}),
        ({"acl_pkg_read": [":anonymous:", "x"]}, {"acl_pkg_read": [":ANONYMOUS:", "x"]}),
        ({"mirror_whitelist": "*,My.Pkg,my_pkg"}, {"mirror_whitelist": ["*", "my-pkg"]}),
        ({"mirror_whitelist_inheritance": "union"}, {"mirror_whitelist_inheritance": "union"}),
        ({"title": 5}, {"title": "5"}),
        ({"custom_data": {"any": ["thing"]}}, {"custom_data": {"any": ["thing"]}}),
        ({"projects": ["x"], "pypi_whitelist": "x"}, {}),
    ],
)
def test_values_come_in_any_spelling_and_are_stored_in_one(sent: dict[str, Any], stored: dict[str, Any]) -> None:
    assert configuration.created("team", sent, anything) == {**STAGE, **stored}
    assert configuration.updated(STAGE, sent, anything) == {**STAGE, **stored}


@pytest.mark.parametrize(
    ("sent", "words"),
    [
        ({"type": "constrained"}, "unknown index type 'constrained'"),
        ({"type": ["stage"]}, "unknown index type ['stage']"),
        ({"mirror_whitelist_inheritance": {}}, "say intersection or union"),
        ({"type": "mirror"}, "a mirror needs a mirror_url"),
        ({"type": "mirror", "mirror_url": "ftp://x/"}, "mirror_url of this index is 'ftp://x/'"),
        ({"type": "mirror", "mirror_url": "http://u.example/", "mirror_cache_expiry": "-1"}, "mirror_cache_expiry"),
        ({"type": "mirror", "mirror_url": "http://u.example/", "mirror_cache_expiry": "soon"}, "mirror_cache_expiry"),
        ({"volatile": "perhaps"}, "Unknown boolean value 'perhaps'"),
        ({"bases": "nothing"}, "invalid base index spec: 'nothing'"),
        ({"bases": "a/b/c"}, "invalid base index spec: 'a/b/c'"),
        ({"bases": 5}, "5 is no list of names"),
        ({"acl_upload": [5]}, "[5] is no list of names"),
        ({"mirror_whitelist": "../x"}, "is not a project name"),
        ({"mirror_whitelist_inheritance": "xor"}, "say intersection or union"),
        ({"unknown": 1, "other": "x"}, "indexconfig got unexpected keyword arguments: unknown=1, other=x"),
        ({"volatile": "perhaps", "unknown": 1}, "Unknown boolean value"),
        ({"title": "x" * 100_001}, "a text of more than"),
        ({"acl_upload": ["x"] * 10_001}, "a list of more than"),
    ],
)
def test_what_is_wrong_is_said(sent: dict[str, Any], words: str) -> None:
    with pytest.raises(Invalid) as caught:
        configuration.created("team", sent, anything)

    assert words in str(caught.value)


def test_a_base_that_is_not_there_is_refused() -> None:
    with pytest.raises(Invalid, match="base index 'a/b' does not exist"):
        configuration.created("team", {"bases": "a/b"}, nothing)


def test_a_base_may_be_taken_away_though_it_is_not_there() -> None:
    keys = {**STAGE, "bases": ["a/b", "c/d"]}

    assert configuration.patched(keys, ["bases-=a/b"], nothing)["bases"] == ["c/d"]


def test_what_is_sent_back_unchanged_is_not_looked_at_again() -> None:
    keys = {**STAGE, "bases": ["gone/base"]}

    assert configuration.updated(keys, keys, nothing) == keys


def test_the_type_stays() -> None:
    with pytest.raises(Invalid, match="can't be changed"):
        configuration.updated(STAGE, {"type": "mirror"}, anything)
    assert configuration.updated(STAGE, {"type": "stage"}, anything) == STAGE


@pytest.mark.parametrize(
    ("operations", "changed"),
    [
        (["title=Dev"], {"title": "Dev"}),
        (["title=a=b+=c"], {"title": "a=b+=c"}),
        (["acl_upload+=bob", "acl_upload+=bob,eve"], {"acl_upload": ["team", "bob", "eve"]}),
        (["acl_upload-=team"], {"acl_upload": []}),
        (["mirror_whitelist+=My.Pkg"], {"mirror_whitelist": ["my-pkg"]}),
        (["volatile=False"], {"volatile": False}),
        (["title=x", "title-="], {}),
        (["bases=a/b,c/d"], {"bases": ["a/b", "c/d"]}),
        ([], {}),
    ],
)
def test_operations_are_carried_out_in_order(operations: list[str], changed: dict[str, Any]) -> None:
    assert configuration.patched(STAGE, operations, anything) == {**STAGE, **changed}


@pytest.mark.parametrize(
    ("operation", "words"),
    [
        ("nonsense", "is no change"),
        (5, "is no change"),
        ("=x", "is no change"),
        ("acl_upload-=bob", "The 'acl_upload' setting doesn't have value 'bob'"),
        ("volatile-=", "Default values can't be removed."),
        ("title-=", "The 'title' setting is not there"),
        ("title+=x", "The 'title' setting is no list"),
        ("unknown+=x", "The 'unknown' setting is no list"),
        ("type=mirror", "can't be changed"),
        ("unknown=x", "unexpected keyword arguments"),
    ],
)
def test_an_operation_that_cannot_be_carried_out_is_refused(operation: object, words: str) -> None:
    with pytest.raises(Invalid) as caught:
        configuration.patched(STAGE, [operation], anything)

    assert words in str(caught.value)


def test_a_mirrors_url_cannot_be_dropped_and_its_lists_are_not_there() -> None:
    for operation in ("mirror_url-=", "acl_upload+=x", "bases+=a/b"):
        with pytest.raises(Invalid):
            configuration.patched(MIRROR, [operation], anything)
    assert configuration.updated(MIRROR, {"bases": "x/y", "acl_upload": "x"}, nothing) == MIRROR


def test_adding_a_reader_to_a_mirror_that_everybody_may_read_locks_nobody_out() -> None:
    assert configuration.patched(MIRROR, ["acl_pkg_read+=bob"], anything)["acl_pkg_read"] == [":ANONYMOUS:", "bob"]
    assert configuration.patched(MIRROR, ["acl_pkg_read-=:anonymous:"], anything)["acl_pkg_read"] == []


accounts = st.lists(st.sampled_from(["ann", "bob", "eve", "dan"]), unique=True)


@given(accounts, accounts)
def test_adding_never_doubles_and_keeps_the_order(have: list[str], more: list[str]) -> None:
    keys = {**STAGE, "acl_upload": have}

    new = configuration.patched(keys, [f"acl_upload+={','.join(more)}"], anything)["acl_upload"]

    assert new == [*have, *(name for name in more if name not in have)]


@given(accounts, accounts)
def test_adding_and_taking_away_again_changes_nothing(have: list[str], more: list[str]) -> None:
    fresh = [name for name in more if name not in have]
    keys = {**STAGE, "acl_upload": have}
    operations = [f"acl_upload+={','.join(fresh)}", f"acl_upload-={','.join(fresh)}"] if fresh else []

    assert configuration.patched(keys, operations, anything) == keys


@given(st.lists(st.sampled_from(["acl_upload+=bob", "title=x", "volatile=no", "acl_upload=ann", "title=y"])))
def test_operations_one_by_one_are_operations_at_once(operations: list[str]) -> None:
    at_once = configuration.patched(STAGE, operations, anything)

    stepwise: dict[str, Any] = STAGE
    for operation in operations:
        stepwise = configuration.patched(stepwise, [operation], anything)

    assert at_once == stepwise


@given(st.text(max_size=40))
def test_any_text_is_a_change_or_refused(text: str) -> None:
    before = {**STAGE}
    try:
        changed = configuration.patched(before, [text], anything)
    except Invalid:
        changed = STAGE

    assert before == STAGE
    assert changed["type"] == "stage"


def test_an_index_reads_its_keys_with_defaults_for_what_old_data_lack() -> None:
    bare = Index("u", "i", {"type": "stage"})

    assert bare.is_volatile
    assert bare.bases == ()
    assert bare.whitelist == frozenset()
    assert bare.whitelist_inheritance == "union"
    assert bare.readers == bare.testers == {":ANONYMOUS:"}
    assert bare.uploaders == frozenset()
    assert Index("u", "m", {**MIRROR, "acl_upload": ["x"]}).uploaders == frozenset()
