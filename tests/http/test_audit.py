"""The audit log: every change is in it, with who, when and from where; what did not happen is not."""

import asyncio
import contextlib
import json
import sqlite3
import subprocess
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlencode

import pytest

from stilton.accounts.login import FREE_TRIES
from stilton.domain.audit import ACTIONS
from stilton.serverdir import ServerDir
from tests.support.builders import a_wheel
from tests.support.client import Answer, Client
from tests.support.publish import PASSWORD, a_form, a_user, basic, post_form, upload
from tests.support.server import BIN, clean_env
from tests.support.team import log_in, root, settled
from tests.support.world import World, an_app

WHEEL = a_wheel()
OTHER = a_wheel(payload=b"x")
FILE = f"/team/dev/{WHEEL.path}"
STRANGER = ("198.51.100.7", 50000)


async def audit(world: World, **wanted: Any) -> list[dict[str, Any]]:
    """Entries, the newest first."""
    answer = await world.client.get(f"/+audit?{urlencode(wanted)}", accept="application/json", **root(world))
    assert answer.status == 200, answer.text
    assert answer.json["type"] == "list:audit"
    found: list[dict[str, Any]] = answer.json["result"]
    return found


async def newest(world: World) -> dict[str, Any]:
    return (await audit(world, limit=1))[0]


async def as_team(world: World, method: str, url: str, document: Any = None) -> Answer:
    return await world.client.send(method, url, document, user="team")


def a_change(method: str, url: str, document: Any = None) -> Callable[[World], Awaitable[Answer]]:
    return lambda world: as_team(world, method, url, document)


async def hold(world: World) -> None:
    """Let root/pypi hold a file of `idna`."""
    wheel = a_wheel("idna", "3.2")
    world.upstream.add("idna", wheel)
    for path in ("+simple/idna/", wheel.path):
        assert (await world.client.get(f"/root/pypi/{path}")).status == 200
    await settled(world)


async def remove_held(world: World, path: str) -> Answer:
    await hold(world)
    return await world.client.send("DELETE", f"/root/pypi/{path}?force", **root(world))


HELD = a_wheel("idna", "3.2")
CHANGES: dict[str, tuple[Callable[[World], Awaitable[Answer]], str, str, dict[str, Any]]] = {
    "a password": (a_change("PATCH", "/team", {"password": "another one"}), "user.password", "team", {}),
    "a user": (a_change("PATCH", "/team", {"email": "a@b.c"}), "user.modify", "team", {"keys": ["email"]}),
    "a removed user": (
        lambda world: world.client.send("DELETE", "/gone", user="gone"),
        "user.delete", "gone", {"indexes": [], "no_longer_named_by": ["team/dev"]},
    ),
    "an index": (
        a_change("PATCH", "/team/dev", {"title": "Development"}),
        "index.modify", "team/dev", {"title": [None, "Development"]},
    ),
    "an upload": (
        lambda world: upload(world.client, "team/dev", a_wheel("new"), "new"),
        "file.upload", f"team/dev/new/1.0/{a_wheel('new').filename}",
        {"sha256": a_wheel("new").sha256, "size": len(a_wheel("new").content)},
    ),
    "an overwritten file": (
        lambda world: upload(world.client, "team/dev", OTHER),
        "file.overwrite", f"team/dev/pkg/1.0/{WHEEL.filename}",
        {"sha256": OTHER.sha256, "size": len(OTHER.content)},
    ),
    "a registration": (
        lambda world: post_form(
            world.client, "team/dev", a_form({":action": "submit", "name": "pkg", "version": "2.0"})
        ),
        "release.register", "team/dev/pkg/2.0", {},
    ),
    "a push": (
        a_change("PUSH", "/team/dev", {"name": "pkg", "version": "1.0", "targetindex": "team/prod"}),
        "release.push", "team/prod/pkg/1.0", {"from": "team/dev", "files": [WHEEL.filename]},
    ),
    "a test result": (
        a_change("POST", FILE, {"testenvs": {}}), "result.upload", "team/dev/pkg/1.0/pkg-1.0", {},
    ),
    "a yanked release": (
        a_change("PATCH", "/team/dev/pkg/1.0", {"yanked": "broken"}),
        "release.yank", "team/dev/pkg/1.0", {"yanked": "broken"},
    ),
    "a yanked file": (
        a_change("PATCH", FILE, {"yanked": True}),
        "file.yank", f"team/dev/pkg/1.0/{WHEEL.filename}", {"yanked": True},
    ),
    "a status": (
        a_change("PATCH", "/team/dev/pkg", {"status": "archived", "reason": "old"}),
        "project.status", "team/dev/pkg", {"status": "archived", "reason": "old"},
    ),
    "a removed file": (a_change("DELETE", FILE), "file.remove", f"team/dev/pkg/1.0/{WHEEL.filename}", {}),
    "a removed release": (a_change("DELETE", "/team/dev/pkg/1.0"), "release.remove", "team/dev/pkg/1.0", {}),
    "a removed project": (a_change("DELETE", "/team/dev/pkg"), "project.remove", "team/dev/pkg", {"forget": False}),
    "a forgotten name": (
        a_change("DELETE", "/team/dev/pkg?forget"), "project.remove", "team/dev/pkg", {"forget": True},
    ),
    "a dropped file of a mirror": (
        lambda world: remove_held(world, HELD.path), "file.drop", f"root/pypi/idna/{HELD.filename}", {},
    ),
    "a dropped release of a mirror": (
        lambda world: remove_held(world, "idna/3.2"),
        "release.drop", "root/pypi/idna/3.2", {"files": [HELD.filename]},
    ),
    "a dropped project of a mirror": (lambda world: remove_held(world, "idna"), "project.drop", "root/pypi/idna", {}),
    "a login": (lambda world: log_in(world.client, "team"), "login", "team", {}),
}  # fmt: skip


@pytest.fixture
async def team(world: World) -> World:
    """A team with a file, and a user who is named by its index."""
    await a_user(world.client, "gone")
    assert (await as_team(world, "PATCH", "/team/dev", ["acl_upload+=gone"])).status == 200
    assert (await upload(world.client, "team/dev", WHEEL)).status == 200
    return world


@pytest.mark.parametrize("change", CHANGES)
async def test_a_change_is_noted_with_who_when_and_from_where(team: World, change: str) -> None:
    make, action, target, detail = CHANGES[change]
    before = (await newest(team))["id"]
    team.clock.pass_s(60)

    answer = await make(team)

    assert answer.status in (200, 201), answer.text
    entry, *others = [entry for entry in await audit(team) if entry["id"] > before]
    assert others == []
    actor = {"gone": "gone", "root/pypi": "root"}.get(target.partition("/idna")[0], "team")
    assert (entry["actor"], entry["address"], entry["at"]) == (actor, "127.0.0.1", "2025-06-15T15:07:40.000Z")
    assert (entry["action"], entry["request"]) == (action, answer.headers["x-request-id"])
    assert entry["target"].startswith(target)
    if detail:
        assert entry["detail"] == detail


async def test_made_and_removed_users_and_indexes_are_noted(team: World) -> None:
    await as_team(team, "PUT", "/team/short", {"bases": "root/pypi"})
    await as_team(team, "DELETE", "/team/short")

    removed, made = (await audit(team, target="team/short"))[:2]

    assert (removed["action"], made["action"]) == ("index.delete", "index.create")
    assert made["detail"]["keys"]["bases"] == ["root/pypi"]
    assert removed["detail"] == made["detail"]
    assert [entry["target"] for entry in await audit(team, action="user.create")] == ["gone", "team", "root"]


async def test_a_push_to_another_server_is_noted_before_and_after(team: World) -> None:
    wish = {"name": "pkg", "version": "1.0", "posturl": "http://127.0.0.1:9/", "username": "u", "password": "push-pw"}

    answer = await team.client.send("PUSH", "/team/dev", wish, **root(team))

    assert answer.status == 502
    after, before = (await audit(team))[:2]
    assert (before["action"], before["target"]) == ("release.push-out", "team/dev/pkg/1.0")
    assert before["detail"] == {"to": "http://127.0.0.1:9/", "from": "team/dev", "files": [WHEEL.filename]}
    assert (after["action"], after["detail"]["steps"][0][0]) == ("release.pushed-out", -1)
    assert "push-pw" not in json.dumps(await audit(team))


REFUSED: dict[str, tuple[str, str, Any]] = {
    "another's index": ("PATCH", "/root/pypi", {"title": "mine"}),
    "an index that is there": ("PUT", "/team/dev", {}),
    "no index": ("DELETE", "/team/nothing", None),
    "a key that cannot be": ("PATCH", "/team/dev", {"volatile": "perhaps"}),
    "the same again": ("PATCH", "/team/dev", {"bases": "root/pypi"}),
    "no release": ("DELETE", "/team/dev/pkg/7", None),
    "a non-volatile index": ("DELETE", "/team/prod", None),
    "nothing of a mirror": ("DELETE", "/root/pypi/nothing?force", None),
    "the audit log": ("DELETE", "/+audit", None),
}


@pytest.mark.parametrize("refused", REFUSED)
async def test_what_did_not_happen_is_not_noted(team: World, refused: str) -> None:
    before = await audit(team)

    await as_team(team, *REFUSED[refused])

    assert await audit(team) == before


async def test_the_same_upload_again_is_no_change(team: World) -> None:
    before = await audit(team)

    again = await upload(team.client, "team/dev", WHEEL)

    assert again.status == 200
    assert await audit(team) == before


async def test_without_its_note_there_is_no_change(team: World) -> None:
    with contextlib.closing(sqlite3.connect(ServerDir(team.path).database)) as database:
        database.execute("CREATE TRIGGER no_notes BEFORE INSERT ON audit BEGIN SELECT RAISE(ABORT, 'no'); END")
    before = team.everything()

    answers = [
        await upload(team.client, "team/dev", a_wheel("new"), "new"),
        await as_team(team, "DELETE", "/team/dev/pkg"),
        await as_team(team, "PATCH", "/team/dev", {"title": "other"}),
    ]

    assert [answer.status for answer in answers] == [500, 500, 500]
    after = team.everything()
    assert {**after, "blobs": before["blobs"]} == before


async def test_changes_in_one_commit_are_noted_each_with_its_own_actor(team: World) -> None:
    people = [f"user{number}" for number in range(12)]

    answers = await asyncio.gather(
        *(
            Client(team.app, client=(f"198.51.100.{number}", 1)).send("PUT", f"/{name}", {"password": PASSWORD})
            for number, name in enumerate(people)
        )
    )
    changed = await asyncio.gather(
        *(
            Client(team.app, client=(f"198.51.100.{number}", 1)).send("PUT", f"/{name}/dev", {}, user=name)
            for number, name in enumerate(people)
        )
    )

    assert {answer.status for answer in (*answers, *changed)} == {200, 201}
    noted = {entry["target"]: entry for entry in await audit(team, action="index.create")}
    for number, (name, answer) in enumerate(zip(people, changed, strict=True)):
        entry = noted[f"{name}/dev"]
        told = (entry["actor"], entry["address"], entry["request"])
        assert told == (name, f"198.51.100.{number}", answer.headers["x-request-id"])


SENT = {
    "X-Real-IP": ({"x_real_ip": "203.0.113.9"}, "203.0.113.9"),
    "X-Forwarded-For": ({"x_forwarded_for": "6.6.6.6, 203.0.113.9, 127.0.0.1"}, "203.0.113.9"),
    "only proxies": ({"x_forwarded_for": "127.0.0.3, 127.0.0.2"}, "127.0.0.3"),
    "no address": ({"x_real_ip": "nonsense", "x_forwarded_for": "203.0.113.9, <b>"}, "127.0.0.1"),
}


@pytest.mark.parametrize("sent", SENT)
async def test_behind_a_trusted_proxy_the_clients_address_is_noted(team: World, sent: str) -> None:
    headers, address = SENT[sent]

    await team.client.send("PATCH", "/team/dev", {"title": sent}, user="team", **headers)

    assert (await newest(team))["address"] == address


@pytest.mark.parametrize("sent", SENT)
async def test_others_cannot_say_where_they_are_nor_which_request_it_is(team: World, sent: str) -> None:
    headers, _ = SENT[sent]
    client = Client(team.app, client=STRANGER)

    answer = await client.send("PATCH", "/team/dev", {"title": sent}, user="team", x_request_id="chosen-id", **headers)

    entry = await newest(team)
    assert (entry["address"], entry["request"]) == (STRANGER[0], answer.headers["x-request-id"])
    assert entry["request"] != "chosen-id"


@pytest.mark.parametrize(
    ("given", "taken"), [("proxys-id-17", True), ("x", False), ("a b\x1b", False), ("i" * 65, False)]
)
async def test_a_trusted_proxys_request_id_is_taken_when_it_is_sane(team: World, given: str, taken: bool) -> None:
    answer = await team.client.send("PATCH", "/team/dev", {"title": "new"}, user="team", x_request_id=given)

    entry = await newest(team)
    assert entry["request"] == answer.headers["x-request-id"]
    assert (entry["request"] == given) is taken


async def test_credentials_of_a_mirror_are_never_noted(team: World) -> None:
    hidden = "mirror-secret"
    url = team.upstream.url.replace("://", f"://somebody:{hidden}@")

    for method, document in (("PUT", {"type": "mirror", "mirror_url": url}), ("PATCH", {"mirror_url": url + "x/"})):
        answer = await team.client.send(method, "/root/other", document, **root(team))
        assert answer.status == 200, answer.text
    other = {"mirror_url": url.replace(hidden, "mirror-secret-2") + "x/"}
    await team.client.send("PATCH", "/root/other", other, **root(team))

    changed = await newest(team)
    plain = team.upstream.url + "x/"
    assert changed["detail"] == {"mirror_url": [plain, plain]}
    assert hidden not in json.dumps(await audit(team))


async def test_no_password_or_token_is_ever_noted(team: World) -> None:
    await as_team(team, "PATCH", "/team", {"password": "the new password", "title": "x"})
    answer = await log_in(team.client, "team", "the new password")

    rows = json.dumps(team.everything()["audit"])

    assert answer.status == 200
    for secret in ("the new password", PASSWORD, answer.json["result"]["password"], "$argon2id"):
        assert secret not in rows


async def test_a_wrong_password_is_noted_once_a_minute(team: World) -> None:
    async def guess(number: int, client: Client) -> None:
        assert (await log_in(client, "team", f"guess {number}")).status in (401, 429)
        await client.get("/+api", authorization=basic("team", f"other guess {number}"))

    far = Client(team.app, client=STRANGER)
    for number in range(3):
        await guess(number, team.client)
        await guess(number, far)
    team.clock.pass_s(61)
    await guess(4, far)

    failed = await audit(team, action="login.failed")
    assert [(entry["actor"], entry["target"], entry["address"]) for entry in failed] == [
        (None, "team", STRANGER[0]), (None, "team", STRANGER[0]), (None, "team", "127.0.0.1"),
    ]  # fmt: skip


async def test_a_password_in_the_field_of_the_user_is_written_nowhere(
    team: World, caplog: pytest.LogCaptureFixture
) -> None:
    before = team.everything()
    for number in range(FREE_TRIES + 1):
        await log_in(team.client, PASSWORD, f"the next field {number}")
        await team.client.get("/+api", authorization=basic(f"{PASSWORD} {number}", "x"))

    (failed,) = await audit(team, action="login.failed")
    assert (failed["actor"], failed["target"]) == (None, "(unknown user)")
    assert "wrong passwords for user (unknown user) from 127.0.0.1" in caplog.text
    assert PASSWORD not in caplog.text + json.dumps(await audit(team))
    assert team.everything() == before


async def test_a_command_is_noted_as_one(team: World) -> None:
    await team.app.close()
    done = subprocess.run(
        [BIN / "devpi-passwd", "--serverdir", team.path, "team"], input="a new one\n" * 2,
        capture_output=True, text=True, timeout=60, check=False, env=clean_env(),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    team.app = an_app(team.path, team.clock, team.settings)
    await team.app.open()
    team.client = Client(team.app)

    entry = await newest(team)

    told = (entry["actor"], entry["address"], entry["action"], entry["target"], entry["request"])
    assert told == (None, "command", "user.password", "team", None)


async def test_pages_go_back_to_the_first_change(team: World) -> None:
    everything = await audit(team)

    pages: list[dict[str, Any]] = []
    while page := await audit(team, limit=2, **({"before": pages[-1]["id"]} if pages else {})):
        assert len(page) <= 2
        pages += page

    assert pages == everything
    assert [entry["id"] for entry in pages] == sorted((entry["id"] for entry in pages), reverse=True)
    assert pages[-1]["action"] == "user.create"


async def test_it_is_filtered(team: World) -> None:
    team.clock.pass_s(3600)
    await as_team(team, "PATCH", "/team/dev", {"title": "later"})
    hour = "2025-06-15T16:00:00"

    async def count(**wanted: Any) -> int:
        return len(await audit(team, **wanted))

    assert await count() == 9
    assert await count(actor="team") == 5
    assert await count(actor="") == 4
    assert await count(target="team/dev/pkg") == 1
    assert await count(target="/team/dev/pkg") == 1
    assert await count(target="team/%") == 0
    assert await count(action="index.modify", target="team/dev") == 2
    for text in (hour, hour + "Z", "2025-06-15T18:00:00+02:00"):
        assert await count(since=text) == 1
    assert await count(until=hour) == 8
    assert await count(since="2025-06-16") == 0


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=1001",
        "limit=x",
        "before=-1",
        "since=yesterday",
        "until=",
        "who=me",
        "before=1e3",
        "action=",
        "action=bogus",
        "actor=a/b",
        "actor=%1b",
        "since=2026-02-30",
        "since=2026-02-01&until=2026-02-01",
    ],
)
async def test_a_question_that_cannot_be_answered_is_refused_with_the_reason(team: World, query: str) -> None:
    answer = await team.client.get(f"/+audit?{query}", accept="application/json", **root(team))

    assert answer.status == 400
    assert query.partition("=")[0] in answer.json["message"]


async def test_an_unknown_action_is_refused_with_those_that_there_are(team: World) -> None:
    answer = await team.client.get("/+audit?action=bogus", accept="application/json", **root(team))

    assert answer.json["message"] == f"action is 'bogus': it takes one of {', '.join(ACTIONS)}"


async def test_it_is_for_those_who_run_the_server(team: World) -> None:
    nobody = await team.client.get("/+audit", accept="application/json")
    someone = await team.client.send("GET", "/+audit", user="team")

    assert (nobody.status, someone.status) == (401, 403)
    assert "team/dev" not in nobody.text + someone.text
