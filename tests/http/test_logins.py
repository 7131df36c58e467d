"""Logins: what counts as credentials, how long, and what it costs to be wrong."""

import base64
import json
from typing import Any

import anyio
import pytest

from tests.support.builders import a_wheel
from tests.support.client import Answer, Client
from tests.support.publish import PASSWORD, a_user, an_index, basic, upload
from tests.support.team import bearer, log_in, root, token_of, whoami
from tests.support.world import World

TEN_HOURS_S = 36_000
FREE_TRIES = 8


def pair(user: str, secret: str) -> str:
    return base64.b64encode(f"{user}:{secret}".encode()).decode()


def elsewhere(world: World, address: str = "203.0.113.7") -> Client:
    """A client at another address."""
    return Client(world.app, client=(address, 40000))


async def change_password(world: World, user: str, password: str, **headers: str) -> Answer:
    return await world.client.send("PATCH", f"/{user}", {"password": password}, **headers)


# -- what counts ---------------------------------------------------------------------------


async def test_a_login_gives_a_token_for_ten_hours(world: World) -> None:
    answer = await log_in(world.client, "team")

    assert answer.status == 200
    assert answer.json["type"] == "proxyauth"
    assert answer.json["message"] == "login successful"
    assert answer.json["result"]["expiration"] == TEN_HOURS_S
    assert PASSWORD not in answer.text


@pytest.mark.parametrize(
    "headers",
    [
        {"authorization": "Bearer TOKEN"},
        {"authorization": "bearer  TOKEN "},
        {"authorization": ("Basic", "team", "TOKEN")},
        {"authorization": ("Basic", "__token__", "TOKEN")},
        {"authorization": ("Basic", "team", PASSWORD)},
        {"authorization": ("BASIC ", "team", PASSWORD)},
        {"x_devpi_auth": ("", "team", "TOKEN")},
        {"x_devpi_auth": ("", "__token__", "TOKEN")},
        {"x_devpi_auth": ("", "team", PASSWORD)},
    ],
    ids=range(9),
)
async def test_a_token_or_a_password_is_taken_in_every_form(world: World, headers: dict[str, Any]) -> None:
    token = await token_of(world.client, "team")
    sent = {}
    for name, value in headers.items():
        if isinstance(value, tuple):
            kind, user, secret = value
            sent[name] = f"{kind} {pair(user, secret.replace('TOKEN', token))}".lstrip()
        else:
            sent[name] = value.replace("TOKEN", token)

    assert await whoami(world.client, **sent) == "team"


async def test_devpis_header_counts_before_the_other(world: World) -> None:
    await a_user(world.client, "other")
    token = await token_of(world.client, "team")

    both = await whoami(world.client, x_devpi_auth=pair("other", PASSWORD), **bearer(token))
    wrong = await whoami(world.client, x_devpi_auth=pair("other", "wrong"), **bearer(token))
    broken = await whoami(world.client, x_devpi_auth="?", **bearer(token))

    assert (both, wrong, broken) == ("other", None, None)


async def test_a_password_may_hold_colons_and_any_letter(world: World) -> None:
    password = "a:b::ç\u00a0💥"
    await world.client.send("PUT", "/odd", {"password": password})

    assert await whoami(world.client, authorization=basic("odd", password)) == "odd"
    assert await whoami(world.client, authorization=basic("odd", "a")) is None
    assert await whoami(world.client, **bearer(await token_of(world.client, "odd", password))) == "odd"


async def test_a_token_is_its_users_alone(world: World) -> None:
    await a_user(world.client, "other")
    token = await token_of(world.client, "team")

    assert await whoami(world.client, authorization=basic("other", token)) is None
    assert await whoami(world.client, authorization=basic("root", token)) is None
    assert await whoami(world.client, authorization=basic("", token)) is None
    assert await whoami(world.client, authorization=basic("TEAM", token)) is None


async def test_a_token_is_no_password_to_log_in_with(world: World) -> None:
    answer = await log_in(world.client, "team", await token_of(world.client, "team"))

    assert answer.status == 401


NO_CREDENTIALS: list[dict[str, str]] = [
    {"authorization": "Basic"},
    {"authorization": "Basic "},
    {"authorization": "Basic not base64!"},
    {"authorization": "Basic " + base64.b64encode(b"no colon").decode()},
    {"authorization": "Basic " + base64.b64encode(b"\xff\xfe:\xff").decode()},
    {"authorization": "Basic " + base64.b64encode(b":").decode()},
    {"authorization": basic("team", "\0")},
    {"authorization": basic("\0", PASSWORD)},
    {"authorization": basic("team") + "===="},
    {"authorization": basic("team", "x" * 5000)},
    {"authorization": basic("team", "x" * 500_000)},
    {"authorization": basic("x" * 5000)},
    {"authorization": "Bearer"},
    {"authorization": "Bearer  "},
    {"authorization": "Bearer .."},
    {"authorization": "Bearer a.b.c"},
    {"authorization": "Bearer " + "x" * 500_000},
    {"authorization": "Bearer \xe9\xff"},
    {"authorization": "Digest username=team"},
    {"authorization": "\xff" * 100},
    {"authorization": ""},
    {"authorization": PASSWORD},
    {"x_devpi_auth": ""},
    {"x_devpi_auth": "team:" + PASSWORD},
    {"x_devpi_auth": basic("team")},
    {"x_devpi_auth": "\xe9" * 100_000},
]


async def test_credentials_that_are_none_make_nobody_of_the_client(world: World) -> None:
    await an_index(world.client, "team", "closed", acl_pkg_read="team")
    before = world.everything()

    for number, headers in enumerate(NO_CREDENTIALS):
        page = await world.client.get("/team/closed/+simple/pkg/", **headers)
        refused = await world.client.request("DELETE", "/team", b"", **headers)

        assert (number, await whoami(world.client, **headers)) == (number, None)
        assert (number, page.status, refused.status) == (number, 401, 401)
        assert refused.headers["www-authenticate"] == 'Basic realm="pypi"'
    assert world.everything() == before


NO_LOGINS = [
    b"", b"{}", b"[]", b"null", b'"team"', b"{", b"\xff",
    b'{"user": "team"}', b'{"password": "x"}', b'{"user": null, "password": null}',
    b'{"user": ["team"], "password": "x"}', b'{"user": "team", "password": 1}',
    b'{"user": "team", "password": "\\ud800"}', b"[" * 100_000,
]  # fmt: skip


async def test_a_login_that_is_none_is_refused_in_words(world: World) -> None:
    for body in NO_LOGINS:
        answer = await world.client.request("POST", "/+login", body, accept="application/json")

        assert (body[:50], answer.status) == (body[:50], 400)
        assert answer.json["message"].startswith("Bad request")


@pytest.mark.parametrize("size", [5_000, 1_000_000])
async def test_a_huge_password_is_just_wrong(world: World, size: int) -> None:
    answer = await log_in(world.client, "team", "x" * size)

    assert answer.status == 401
    assert len(answer.text) < 500


@pytest.mark.parametrize("at", [0, 20, 40, -20, -1])
async def test_a_token_that_was_changed_anywhere_is_none(world: World, at: int) -> None:
    token = await token_of(world.client, "team")
    at %= len(token)
    changed = token[:at] + ("A" if token[at] != "A" else "Q") + token[at + 1 :]

    assert await whoami(world.client, **bearer(changed)) is None


async def test_a_token_of_another_server_is_none(world: World) -> None:
    other = world.another_app()
    await other.open()
    try:
        token = await token_of(Client(other), "team")
    finally:
        await other.close()

    assert await whoami(world.client, **bearer(token)) is None


# -- how long ------------------------------------------------------------------------------


async def test_a_token_ends_after_ten_hours(world: World) -> None:
    headers = bearer(await token_of(world.client, "team"))

    world.clock.pass_s(TEN_HOURS_S - 1)
    before = await whoami(world.client, **headers)
    world.clock.pass_s(2)
    after = await whoami(world.client, **headers)

    assert (before, after) == ("team", None)


async def test_a_token_that_ended_is_told_about(world: World) -> None:
    headers = bearer(await token_of(world.client, "team"))
    world.clock.pass_s(TEN_HOURS_S + 1)

    answer = await world.client.send("PUT", "/team/new", {}, **headers)

    assert answer.status == 401
    assert "not right, or not any more" in answer.json["message"]


async def test_tokens_that_ended_are_no_wrong_passwords(world: World) -> None:
    headers = bearer(await token_of(world.client, "team"))
    world.clock.pass_s(TEN_HOURS_S + 1)

    answers = [await whoami(world.client, **headers) for _ in range(3 * FREE_TRIES)]

    assert set(answers) == {None}
    assert (await log_in(world.client, "team")).status == 200


@pytest.mark.parametrize("who", ["team", "root"])
async def test_a_new_password_ends_every_login_and_gives_a_new_one(world: World, who: str) -> None:
    tokens = [await token_of(world.client, "team") for _ in range(2)]
    headers = bearer(tokens[0]) if who == "team" else root(world)
    await whoami(world.client, authorization=basic("team"))

    answer = await change_password(world, "team", "another", **headers)

    assert answer.json["type"] == "userpassword"
    assert await whoami(world.client, **bearer(answer.json["result"]["password"])) == "team"
    assert [await whoami(world.client, **bearer(token)) for token in tokens] == [None, None]
    assert await whoami(world.client, authorization=basic("team")) is None
    assert await whoami(world.client, authorization=basic("team", "another")) == "team"


async def test_the_same_password_again_ends_every_login_too(world: World) -> None:
    token = await token_of(world.client, "team")

    await change_password(world, "team", PASSWORD, **bearer(token))

    assert await whoami(world.client, **bearer(token)) is None


async def test_other_changes_end_no_login(world: World) -> None:
    token = await token_of(world.client, "team")

    answer = await world.client.send("PATCH", "/team", {"title": "The team"}, **bearer(token))

    assert answer.json["type"] == "userconfig"
    assert await whoami(world.client, **bearer(token)) == "team"


async def test_a_removed_users_login_ends_and_is_not_his_successors(world: World) -> None:
    await a_user(world.client, "mayfly")
    token = await token_of(world.client, "mayfly")
    await whoami(world.client, authorization=basic("mayfly"))

    await world.client.send("DELETE", "/mayfly", **bearer(token))
    gone = (await whoami(world.client, **bearer(token)), await whoami(world.client, authorization=basic("mayfly")))
    await a_user(world.client, "mayfly")

    assert gone == (None, None)
    assert await whoami(world.client, **bearer(token)) is None
    assert await whoami(world.client, authorization=basic("mayfly")) == "mayfly"


async def test_a_login_ends_with_the_process_unless_the_secret_is_kept(world: World) -> None:
    token = await token_of(world.client, "team")

    await world.restart()

    assert await whoami(world.client, **bearer(token)) is None
    assert (await log_in(world.client, "team")).status == 200


async def test_another_worker_takes_a_new_password_at_once(world: World) -> None:
    other = world.another_app()
    await other.open()
    try:
        client = Client(other)
        old = await token_of(client, "team")
        assert await whoami(client, authorization=basic("team")) == "team"

        await change_password(world, "team", "another", **bearer(await token_of(world.client, "team")))

        assert await whoami(client, **bearer(old)) is None
        assert await whoami(client, authorization=basic("team")) is None
        assert await whoami(client, authorization=basic("team", "another")) == "team"
    finally:
        await other.close()


# -- what it costs to be wrong -------------------------------------------------------------


@pytest.fixture
async def world(world: World) -> World:
    """With `mate`, whose password nobody used yet: what is remembered does not wait."""
    await a_user(world.client, "mate")
    return world


async def wrong(world: World, times: int, user: str = "mate") -> list[int]:
    return [(await log_in(world.client, user, f"wrong {n}")).status for n in range(times)]


@pytest.mark.parametrize("user", ["mate", "nobody-here"])
async def test_too_many_wrong_passwords_have_to_wait(world: World, user: str) -> None:
    statuses = await wrong(world, FREE_TRIES + 2, user)
    answer = await log_in(world.client, user)

    assert statuses == [401] * FREE_TRIES + [429] * 2
    assert (answer.status, answer.headers["retry-after"]) == (429, "1")
    assert answer.json["message"] == f"too many wrong passwords for user {user!r}; try again in 1 s"


async def test_waiting_is_enough(world: World) -> None:
    await wrong(world, FREE_TRIES + 1)

    world.clock.pass_s(1.5)

    assert (await log_in(world.client, "mate")).status == 200
    assert await wrong(world, FREE_TRIES) == [401] * FREE_TRIES


async def test_nobody_waits_for_a_clock_that_was_set_back(world: World) -> None:
    await wrong(world, FREE_TRIES + 1)

    world.clock.pass_s(-86_400)

    assert (await log_in(world.client, "mate")).status == 200


async def test_each_further_wrong_password_doubles_the_wait_up_to_a_minute(world: World) -> None:
    await wrong(world, FREE_TRIES)
    waits = []
    for number in range(9):
        refused = await log_in(world.client, "mate")
        waits.append(int(refused.headers["retry-after"]))
        world.clock.pass_s(waits[-1])
        assert (await log_in(world.client, "mate", f"wrong again {number}")).status == 401

    assert waits == [1, 2, 4, 8, 16, 32, 60, 60, 60]


async def test_asking_while_one_has_to_wait_makes_it_no_longer(world: World) -> None:
    await wrong(world, FREE_TRIES + 50)

    world.clock.pass_s(1.5)

    assert (await log_in(world.client, "mate")).status == 200


async def test_others_and_other_places_do_not_wait(world: World) -> None:
    await a_user(world.client, "other")
    await wrong(world, FREE_TRIES + 1)

    still = await log_in(world.client, "mate")
    here = await log_in(world.client, "other")
    there = await log_in(elsewhere(world), "mate")
    behind_a_proxy = await world.client.send(
        "POST", "/+login", {"user": "mate", "password": PASSWORD}, x_real_ip="203.0.113.9"
    )

    assert (still.status, here.status, there.status, behind_a_proxy.status) == (429, 200, 200, 200)


async def test_an_address_that_is_made_up_is_not_believed(world: World) -> None:
    client = elsewhere(world)

    statuses = [
        (
            await client.send(
                "POST", "/+login", {"user": "mate", "password": f"wrong {n}"}, x_real_ip=f"198.51.100.{n}"
            )
        ).status
        for n in range(FREE_TRIES + 1)
    ]

    assert statuses == [401] * FREE_TRIES + [429]


async def test_an_old_password_in_some_job_locks_nobody_out(world: World) -> None:
    statuses = [(await log_in(world.client, "mate", "wrong")).status for _ in range(3 * FREE_TRIES)]

    assert set(statuses) == {401}
    assert (await log_in(world.client, "mate")).status == 200


async def test_wrong_passwords_in_headers_count_too_where_somebody_is_asked_for(world: World) -> None:
    await an_index(world.client, "team", "closed", acl_pkg_read="team")

    pages = [
        await world.client.get("/team/closed/+simple/pkg/", authorization=basic("mate", f"wrong {number}"))
        for number in range(FREE_TRIES + 1)
    ]

    # Reading is never answered 429: what is public must stay readable with an old password.
    assert {page.status for page in pages} == {401}
    assert (await log_in(world.client, "mate")).status == 429


async def test_wrong_passwords_do_not_keep_anybody_from_what_is_public(world: World) -> None:
    world.upstream.add("pkg", a_wheel())

    pages = [
        await world.client.get("/root/pypi/+simple/pkg/", authorization=basic("mate", f"wrong {number}"))
        for number in range(2 * FREE_TRIES)
    ]

    assert {page.status for page in pages} == {200}
    assert (await log_in(world.client, "mate")).status == 200


async def test_tokens_and_remembered_passwords_are_taken_while_others_have_to_wait(world: World) -> None:
    token = await token_of(world.client, "mate")
    assert await whoami(world.client, authorization=basic("mate")) == "mate"

    statuses = await wrong(world, FREE_TRIES + 1)

    assert statuses[-1] == 429
    assert await whoami(world.client, **bearer(token)) == "mate"
    assert await whoami(world.client, authorization=basic("mate")) == "mate"


async def test_a_right_password_sets_the_count_back(world: World) -> None:
    await wrong(world, FREE_TRIES - 1)

    assert (await log_in(world.client, "mate")).status == 200
    assert await wrong(world, FREE_TRIES) == [401] * FREE_TRIES


@pytest.mark.parametrize("accept", ["application/json", "text/html", "application/problem+json"])
async def test_nobody_can_tell_whether_a_user_exists_by_logging_in(world: World, accept: str) -> None:
    answers = []
    for user in ("mate", "nada"):
        tries = [
            await world.client.request(
                "POST", "/+login", json.dumps({"user": user, "password": "wrong"}).encode(), accept=accept
            )
            for _ in range(FREE_TRIES + 2)
        ]
        answers.append([(one.status, one.text.replace(user, "?"), one.headers.get("retry-after")) for one in tries])

    assert answers[0] == answers[1]


async def test_a_right_password_is_checked_once_and_remembered(world: World) -> None:
    headers = {"authorization": basic("team")}
    assert await whoami(world.client, **headers) == "team"

    # Nobody can check a password any more.
    world.app.login.close()

    assert await whoami(world.client, **headers) == "team"
    assert (await log_in(world.client, "team")).status == 200
    world.clock.pass_s(301)
    assert (await world.client.get("/+api", **headers)).status == 500


async def test_a_wrong_password_is_checked_once_and_remembered(world: World) -> None:
    headers = {"authorization": basic("team", "wrong")}
    assert await whoami(world.client, **headers) is None

    world.app.login.close()

    assert await whoami(world.client, **headers) is None
    assert (await world.client.get("/+api", authorization=basic("team", "wrong too"))).status == 500


async def test_a_password_that_becomes_right_is_right_at_once(world: World) -> None:
    headers = {"authorization": basic("team", "another")}
    assert await whoami(world.client, **headers) is None

    await change_password(world, "team", "another", **root(world))

    assert await whoami(world.client, **headers) == "team"


async def test_no_password_is_in_the_database(world: World) -> None:
    await world.client.send("PUT", "/odd", {"password": "sesame-open", "email": "odd@example.com"})
    token = await token_of(world.client, "odd", "sesame-open")

    rows = json.dumps(world.everything(), default=str)

    assert "odd@example.com" in rows
    assert "sesame-open" not in rows
    assert token not in rows


# -- root without a password ---------------------------------------------------------------


async def warnings(world: World, *, some: bool) -> list[str]:
    """The server's warnings, as soon as there are some, or none any more."""
    with anyio.fail_after(20):
        while True:
            found: list[str] = (await world.client.get("/+status")).json["result"]["warnings"]
            if bool(found) is some:
                return found
            await anyio.lowlevel.checkpoint()


async def test_an_empty_password_of_root_is_complained_about_until_it_is_changed(world: World) -> None:
    assert (await change_password(world, "root", "", **root(world))).status == 200

    complaint = await warnings(world, some=True)
    token = await token_of(world.client, "root", "")
    await change_password(world, "root", "a secret", **bearer(token))

    assert complaint == ["User root has an empty password."]
    assert await warnings(world, some=False) == []
    assert (await log_in(world.client, "root", "")).status == 401


async def test_a_server_beyond_this_machine_complains_louder(world: World) -> None:
    await change_password(world, "root", "", **root(world))

    await world.restart(host="0.0.0.0")

    assert "everybody who reaches it is its administrator" in (await warnings(world, some=True))[0]


# -- restrict-modify -----------------------------------------------------------------------

PEOPLE = ("anonymous", "root", "admin", "owner", "other", "g")

# Method, path, document; status of each of PEOPLE.
RESTRICTED: list[tuple[str, str, Any, str]] = [
    ("PUT", "/new", {"password": "x"}, "401 403 201 403 403 403"),
    ("PATCH", "/owner", {"title": "x"}, "401 403 200 403 403 403"),
    ("PATCH", "/owner", {"password": PASSWORD}, "401 403 200 200 403 403"),
    ("PATCH", "/owner", {"password": PASSWORD, "title": "x"}, "401 403 200 403 403 403"),
    ("DELETE", "/owner", None, "401 403 200 403 403 403"),
    ("DELETE", "/admin", None, "401 403 403 403 403 403"),
    ("DELETE", "/root", None, "401 403 403 403 403 403"),
    ("PUT", "/owner/new", {}, "401 403 200 403 403 403"),
    ("PATCH", "/owner/dev", {"title": "x"}, "401 403 200 403 403 403"),
    ("PATCH", "/owner/dev", {"acl_upload": "owner,other"}, "401 403 200 403 403 403"),
    ("DELETE", "/owner/dev", None, "401 403 201 403 403 403"),
    ("GET", "/owner/closed", None, "401 403 200 200 403 403"),
    ("GET", "/owner/closed/pkg", None, "401 403 200 200 403 403"),
    ("DELETE", "/owner/dev/pkg", None, "401 403 200 200 403 403"),
    ("DELETE", "/owner/given/pkg", None, "401 403 200 403 200 403"),
    ("PATCH", "/owner/given/pkg/1.0", {"yanked": True}, "401 403 200 403 200 403"),
    ("PATCH", "/owner/given/pkg", {"status": "deprecated"}, "401 403 200 403 200 403"),
]


def restricted() -> list[Any]:
    """Each line once for everybody who may, and once if nobody may."""
    return [
        pytest.param(method, path, document, statuses, person, id=f"{method} {path} {number} {person}")
        for number, (method, path, document, statuses) in enumerate(RESTRICTED)
        for person in [name for name, status in zip(PEOPLE, statuses.split(), strict=True) if status < "4"] or [""]
    ]


@pytest.mark.parametrize(("method", "path", "document", "statuses", "person"), restricted())
async def test_restrict_modify_names_who_alone_may_change_users_and_indexes(
    world: World, method: str, path: str, document: Any, statuses: str, person: str
) -> None:
    for name in PEOPLE[2:]:
        await a_user(world.client, name)
    await an_index(world.client, "owner", "dev")
    await an_index(world.client, "owner", "given", acl_upload="other")
    await an_index(world.client, "owner", "closed", acl_pkg_read="owner", acl_upload="owner")
    for name, uploader in (("dev", "owner"), ("given", "other"), ("closed", "owner")):
        assert (await upload(world.client, f"owner/{name}", a_wheel(), user=uploader)).status == 200
    await world.restart(restrict_modify="admin,:g")
    headers = {name: bearer(world.app.login.new_token(name)) for name in PEOPLE[1:]}
    expected = dict(zip(PEOPLE, map(int, statuses.split()), strict=True))
    before = world.everything()

    for name, status in expected.items():
        if status >= 400:
            answer = await world.client.send(method, path, document, **headers.get(name, {}))
            assert (name, answer.status) == (name, status), answer.text
    assert world.everything() == before

    if person:
        answer = await world.client.send(method, path, document, **headers[person])
        assert answer.status == expected[person], answer.text
        assert (world.everything() == before) is (method == "GET")


async def test_uploads_go_by_the_index_also_with_restrict_modify(world: World) -> None:
    for name in ("admin", "other"):
        await a_user(world.client, name)
    await an_index(world.client, "team", "given", acl_upload="other")
    await world.restart(restrict_modify="admin")

    statuses = {
        person: (await upload(world.client, "team/given", a_wheel(), user=person)).status
        for person in ("team", "admin", "other")
    }

    assert statuses == {"team": 403, "admin": 403, "other": 200}


async def test_somebody_alone_may_be_named_though_he_has_to_be_made_first(world: World) -> None:
    await world.restart(restrict_modify="root")

    refused = await world.client.send("PUT", "/new", {"password": "x"})
    made = await world.client.send("PUT", "/new", {"password": "x"}, **root(world))

    assert (refused.status, made.status) == (401, 201)


async def test_an_administrator_who_does_not_exist_is_complained_about_until_he_does(world: World) -> None:
    await world.restart(restrict_modify="root,boss,:group")

    complaint = await warnings(world, some=True)
    made = await world.client.send("PUT", "/boss", {"password": "x"}, **root(world))

    assert complaint == ["--restrict-modify names 'boss', who is no user here."]
    assert made.status == 201
    assert await warnings(world, some=False) == []


@pytest.mark.parametrize(
    ("settings", "is_reached"),
    [
        ({}, False), ({"host": "::1"}, False), ({"listen": "127.0.0.1:1,[::1]:2"}, False), ({"host": "0.0.0.0"}, True),
        ({"listen": "localhost:1,*:2"}, True), ({"outside_url": "https://packages.example.com"}, True),
    ],
)  # fmt: skip
async def test_an_empty_password_is_worse_where_others_reach_the_server(
    world: World, settings: dict[str, str], *, is_reached: bool
) -> None:
    assert (await change_password(world, "root", "", **root(world))).status == 200
    await world.restart(**settings)

    (complaint,) = await warnings(world, some=True)

    assert ("reached from other machines" in complaint) is is_reached
