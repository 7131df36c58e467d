"""The table of rights."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stilton.domain.indexes import Index
from stilton.domain.permission import ANYBODY, OVER_USERS, Actor, Policy, Right, policy, principal

OPEN = Policy()
LISTED = policy(["admin", ":ops"])
INDEX = Index("owner", "dev", {"type": "stage", "acl_upload": ["up"], "acl_pkg_read": ["reader", ":staff"]})
PUBLIC = Index("owner", "pub", {"type": "stage", "acl_upload": [":AUTHENTICATED:"], "acl_toxresult_upload": ["tester"]})
ROOT, OWNER, UP, READER, STRANGER = (Actor(name) for name in ("root", "owner", "up", "reader", "stranger"))
ADMIN, OPS, STAFF = Actor("admin"), Actor("x", frozenset({"ops"})), Actor("y", frozenset({"staff"}))


@pytest.mark.parametrize(
    ("right", "everybody", "listed"),
    [
        (Right.MODIFY_INDEX, {ROOT, OWNER}, {ADMIN, OPS}),
        (Right.DELETE_INDEX, {ROOT, OWNER}, {ADMIN, OPS}),
        (Right.READ, {ROOT, OWNER, READER, STAFF}, {ADMIN, OPS, OWNER, READER, STAFF}),
        (Right.UPLOAD, {UP}, {UP}),
        (Right.UPLOAD_TOXRESULT, {ROOT, OWNER, READER, STAFF}, {ADMIN, OPS, OWNER, READER, STAFF}),
        (Right.DELETE, {ROOT, OWNER, UP}, {ADMIN, OPS, UP}),
    ],
)
def test_rights_over_an_index(right: Right, everybody: set[Actor], listed: set[Actor]) -> None:
    actors = {ANYBODY, ROOT, OWNER, UP, READER, STRANGER, ADMIN, OPS, STAFF}

    assert {actor for actor in actors if OPEN.may(actor, right, INDEX)} == everybody
    assert {actor for actor in actors if LISTED.may(actor, right, INDEX)} == listed


@pytest.mark.parametrize(
    ("right", "everybody", "listed"),
    [
        (Right.CREATE_USER, {ANYBODY, ROOT, OWNER, STRANGER, ADMIN, OPS}, {ADMIN, OPS}),
        (Right.MODIFY_USER, {ROOT, OWNER}, {ADMIN, OPS}),
        (Right.CHANGE_PASSWORD, {ROOT, OWNER}, {ADMIN, OPS, OWNER}),
        (Right.DELETE_USER, {ROOT, OWNER}, {ADMIN, OPS}),
        (Right.CREATE_INDEX, {ROOT, OWNER}, {ADMIN, OPS}),
        (Right.READ, set(), set()),
    ],
)
def test_rights_over_a_user(right: Right, everybody: set[Actor], listed: set[Actor]) -> None:
    actors = {ANYBODY, ROOT, OWNER, STRANGER, ADMIN, OPS}

    assert {actor for actor in actors if OPEN.may_user(actor, right, "owner")} == everybody
    assert {actor for actor in actors if LISTED.may_user(actor, right, "owner")} == listed


def test_root_is_never_removed_and_who_is_listed_not_by_himself() -> None:
    assert not OPEN.may_user(ROOT, Right.DELETE_USER, "root")
    assert not LISTED.may_user(ADMIN, Right.DELETE_USER, "root")
    assert not LISTED.may_user(ADMIN, Right.DELETE_USER, "admin")


def test_root_is_not_an_admin_unless_he_is_listed() -> None:
    assert OPEN.is_admin("root")
    assert not LISTED.is_admin("root")
    assert policy(["root"]).is_admin("root")


def test_special_principals_mean_everybody_and_whoever_is_logged_in() -> None:
    assert OPEN.is_public(PUBLIC)
    assert not OPEN.is_public(INDEX)
    assert OPEN.may(ANYBODY, Right.READ, PUBLIC)
    assert OPEN.may(STRANGER, Right.UPLOAD, PUBLIC)
    assert not OPEN.may(ANYBODY, Right.UPLOAD, PUBLIC)
    assert not OPEN.may(OWNER, Right.UPLOAD_TOXRESULT, PUBLIC)
    assert not OPEN.may(Actor(), Right.UPLOAD, PUBLIC)


@pytest.mark.parametrize(
    ("text", "stored"),
    [(":anonymous:", ":ANONYMOUS:"), (" bob ", "bob"), (":Authenticated:", ":AUTHENTICATED:"), ("Bob", "Bob")],
)
def test_special_principals_are_stored_in_upper_case(text: str, stored: str) -> None:
    assert principal(text) == stored


@given(st.sampled_from([right for right in Right if right not in OVER_USERS]), st.text(max_size=8))
def test_a_stranger_holds_no_right_that_nobody_gave_him(right: Right, name: str) -> None:
    closed = Index("owner", "dev", {"type": "stage", "acl_upload": [], "acl_pkg_read": []})
    if name in ("root", "owner", "admin"):
        return

    assert not OPEN.may(Actor(name), right, closed)
    assert not LISTED.may(Actor(name), right, closed)


def test_a_user_named_like_a_group_is_no_member_of_it() -> None:
    grouped = Index("owner", "dev", {"type": "stage", "acl_pkg_read": [":staff"]})

    assert not OPEN.may(Actor("staff"), Right.READ, grouped)
