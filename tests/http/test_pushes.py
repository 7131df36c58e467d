"""Releases moved to another index or another server."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import BodyPartReader, web

from tests.http.test_uploads import a_doc_zip, page
from tests.support.builders import a_wheel, an_sdist
from tests.support.client import Answer
from tests.support.publish import a_form, a_user, an_index, post_form, upload
from tests.support.world import World


async def push(world: World, source: str = "team/dev", *, user: str | None = "team", **wish: object) -> Answer:
    document = {"name": "pkg", "version": "1.0", **wish}
    return await world.client.send("PUSH", f"/{source}", document, user=user)


async def released(world: World) -> tuple[str, str]:
    """A release with two files, documentation and a test result; paths of the wheel and the result."""
    wheel = a_wheel()
    await upload(world.client, "team/dev", wheel)
    await upload(world.client, "team/dev", an_sdist())
    docs = {":action": "doc_upload", "name": "pkg", "version": "1.0"}
    await post_form(world.client, "team/dev", a_form(docs, "d.zip", a_doc_zip()))
    answer = await world.client.send("POST", f"/team/dev/{wheel.path}", {"testenvs": {}}, user="team")
    assert answer.status == 200, answer.text
    return wheel.path, answer.json["result"]


async def links(world: World, index: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (
        await world.client.get(f"/{index}/pkg/1.0?ignore_bases", accept="application/json")
    ).json["result"]["+links"]
    return found


async def test_a_release_is_pushed_with_everything_and_no_bytes_are_copied(world: World) -> None:
    wheel, _ = await released(world)
    blobs = world.blobs

    answer = await push(world, targetindex="team/prod")

    assert answer.status == 200, answer.text
    assert answer.json["type"] == "actionlog"
    steps = answer.json["result"]
    assert steps[0] == [200, "register", "pkg", "1.0", "->", "team/prod"]
    assert [200, "store_releasefile", f"team/prod/{wheel}"] in steps
    assert [200, "store_doczip", "pkg", "1.0", "->", "team/prod"] in steps
    assert [step[1] for step in steps].count("store_toxresult") == 1
    assert world.blobs == blobs
    assert sorted(link["rel"] for link in await links(world, "team/prod")) == [
        "doczip", "releasefile", "releasefile", "toxresult",
    ]  # fmt: skip


async def test_history_and_upload_time_come_along(world: World) -> None:
    await upload(world.client, "team/dev", a_wheel())
    before = (await page(world))["files"][0]
    world.clock.pass_s(1000)

    await push(world, targetindex="team/prod")

    (link,) = await links(world, "team/prod")
    assert [(line["what"], line.get("src"), line["dst"]) for line in link["log"]] == [
        ("upload", None, "team/dev"),
        ("push", "team/dev", "team/prod"),
    ]
    assert (await page(world, "team/prod"))["files"] == [before]


async def test_a_test_result_still_belongs_to_its_file(world: World) -> None:
    wheel, _ = await released(world)

    await push(world, targetindex="team/prod")

    (result,) = [link for link in await links(world, "team/prod") if link["rel"] == "toxresult"]
    assert result["for_href"] == f"http://testserver/team/prod/{wheel}"


@pytest.mark.parametrize(
    ("wish", "rels"),
    [({"no_docs": True}, {"releasefile", "toxresult"}), ({"only_docs": True}, {"doczip"})],
)
async def test_documentation_may_stay_or_go_alone(world: World, wish: dict[str, Any], rels: set[str]) -> None:
    await released(world)

    answer = await push(world, targetindex="team/prod", **wish)

    assert answer.status == 200
    assert {link["rel"] for link in await links(world, "team/prod")} == rels


async def test_the_same_push_again_changes_nothing(world: World) -> None:
    await released(world)
    await push(world, targetindex="team/prod")
    before = world.everything()

    assert (await push(world, targetindex="team/prod")).status == 200
    assert world.everything() == before


async def test_a_push_is_done_in_whole_or_not_at_all(world: World) -> None:
    await upload(world.client, "team/prod", an_sdist("pkg", "1.0"))
    await upload(world.client, "team/dev", a_wheel())
    other = an_sdist("pkg", "1.0")
    changed = type(other)(other.filename, other.content[:4] + b"\0\0\0\1" + other.content[8:], other.metadata)
    await upload(world.client, "team/dev", changed)
    before = world.everything()

    answer = await push(world, targetindex="team/prod")

    assert answer.status == 409
    assert answer.json == {"message": "pkg-1.0.tar.gz already exists in non-volatile index"}
    assert world.everything() == before


async def test_a_yanked_release_stays_yanked(world: World) -> None:
    await upload(world.client, "team/dev", a_wheel())
    await world.client.send("PATCH", "/team/dev/pkg/1.0", {"yanked": "broken"}, user="team")

    await push(world, targetindex="team/prod")

    assert (await page(world, "team/prod"))["files"][0]["yanked"] == "broken"


async def test_a_mirrors_release_is_fetched_and_pushed(world: World) -> None:
    wheel = a_wheel("pub", "2.0", requires=("six",))
    world.upstream.add("pub", wheel, upload_time="2024-05-06T07:08:09Z")

    answer = await push(world, "root/pypi", name="pub", version="2.0", targetindex="team/prod")

    assert answer.status == 200, answer.text
    (file,) = (await page(world, "team/prod", "pub"))["files"]
    assert file["upload-time"] == "2024-05-06T07:08:09.000000Z"
    assert file["core-metadata"] == {"sha256": wheel.metadata_sha256}
    data = (await world.client.get("/team/prod/pub/2.0", accept="application/json")).json["result"]
    assert data["requires_dist"] == ["six"]


REFUSED: list[tuple[dict[str, Any], int, str]] = [
    ({"targetindex": "team"}, 400, "targetindex not in format user/index"),
    ({"targetindex": "team/nothing"}, 404, "could not be found"),
    ({"targetindex": "team/prod", "version": "9"}, 404, "no release/files found for pkg 9"),
    ({"targetindex": "team/prod", "name": "other"}, 404, "no release/files found for other 1.0"),
    ({"targetindex": "team/prod", "no_docs": True, "only_docs": True}, 400, "can't use 'no_docs' and 'only_docs'"),
    ({"targetindex": "team/prod", "only_docs": True}, 400, "there are no files for pkg 1.0 on stage team/dev"),
    ({"targetindex": "team/prod", "x": 1}, 400, "unknown additional options: x"),
    ({"targetindex": "root/pypi"}, 401, "cannot upload to 'root/pypi'"),
    ({"targetindex": 5}, 400, "targetindex is missing"),
    ({}, 400, "say where to push to"),
    ({"targetindex": "team/prod", "posturl": "http://x.example/"}, 400, "say where to push to"),
    ({"targetindex": "team/prod", "no_docs": "maybe"}, 400, "no_docs is true or false"),
    ({"posturl": "http://x.example/"}, 400, "username is missing"),
]


@pytest.mark.parametrize(("wish", "status", "words"), REFUSED)
async def test_what_cannot_be_pushed_is_refused_in_words(
    world: World, wish: dict[str, Any], status: int, words: str
) -> None:
    await upload(world.client, "team/dev", a_wheel())
    before = world.everything()

    answer = await push(world, **wish)

    assert answer.status == status, answer.text
    assert words in answer.json["message"]
    assert world.everything() == before


async def test_inherited_releases_are_pushed_from_where_they_are(world: World) -> None:
    await an_index(world.client, "team", "leaf", bases="team/dev")
    await upload(world.client, "team/dev", a_wheel())

    answer = await push(world, "team/leaf", targetindex="team/prod")

    assert answer.status == 404


async def test_whoever_may_not_upload_there_may_not_push_there(world: World) -> None:
    await a_user(world.client, "stranger")
    await upload(world.client, "team/dev", a_wheel())
    before = world.everything()

    answer = await push(world, targetindex="team/prod", user="stranger")

    assert answer.status == 401
    assert answer.json["message"].startswith("user 'stranger' cannot upload to 'team/prod'")
    assert world.everything() == before


async def test_whoever_may_not_read_the_source_learns_nothing(world: World) -> None:
    await a_user(world.client, "stranger")
    await an_index(world.client, "stranger", "own")
    await an_index(world.client, "team", "secret", acl_pkg_read="team")
    await upload(world.client, "team/secret", a_wheel())

    answer = await push(world, "team/secret", targetindex="stranger/own", user="stranger")

    assert answer.status == 403
    assert (await world.client.get("/stranger/own/pkg", accept="application/json")).status == 404


async def test_pushes_and_uploads_of_one_file_at_once_have_one_winner(world: World) -> None:
    await upload(world.client, "team/dev", a_wheel())

    answers = await asyncio.gather(
        push(world, targetindex="team/prod"),
        upload(world.client, "team/prod", a_wheel(payload=b"x")),
        push(world, targetindex="team/prod"),
    )

    assert {answer.status for answer in answers} <= {200, 409}
    assert len((await page(world, "team/prod"))["files"]) == 1


class Elsewhere:
    """Another server's upload URL on loopback. `answers`: one per upload, then 200."""

    def __init__(self) -> None:
        self.seen: list[dict[str, Any]] = []
        self.answers: list[web.Response] = []
        self.url = ""

    async def take(self, request: web.Request) -> web.StreamResponse:
        form: dict[str, Any] = {}
        async for part in await request.multipart():
            assert isinstance(part, BodyPartReader)
            data = await part.read()
            name = str(part.name)
            form.setdefault(name, []).append(data if name == "content" else data.decode())
        self.seen.append({**form, "authorization": request.headers.get("authorization")})
        return self.answers.pop(0) if self.answers else web.Response(text="")


@pytest.fixture
async def elsewhere() -> AsyncIterator[Elsewhere]:
    made = Elsewhere()
    app = web.Application(client_max_size=1 << 30)
    app.router.add_post("/legacy/", made.take)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    made.url = f"http://127.0.0.1:{runner.addresses[0][1]}/legacy/"
    yield made
    await runner.cleanup()


async def outside(world: World, url: str, *, root: bool = True, **more: Any) -> Answer:
    wish = {"name": "pkg", "version": "1.0", "posturl": url, "username": "me", "password": "pw", **more}
    if not root:
        return await world.client.send("PUSH", "/team/dev", wish, user="team")
    token = f"Bearer {world.app.login.new_token('root')}"
    return await world.client.send("PUSH", "/team/dev", wish, authorization=token)


async def test_a_release_is_pushed_to_another_server_with_a_report(world: World, elsewhere: Elsewhere) -> None:
    wheel = a_wheel(requires=("six", "attrs"))
    await upload(world.client, "team/dev", wheel)
    await post_form(world.client, "team/dev", a_form({":action": "doc_upload", "name": "pkg"}, "d.zip", a_doc_zip()))

    answer = await outside(world, elsewhere.url, register_project=True)

    assert answer.status == 200, answer.text
    assert answer.json["result"] == [
        [200, "register", "pkg", "1.0"],
        [200, "upload", f"team/dev/{wheel.path}"],
        [200, "docfile", "pkg.zip"],
    ]
    register, file, docs = elsewhere.seen
    assert register[":action"] == ["submit"]
    assert file[":action"] == ["file_upload"]
    assert file["content"] == [wheel.content]
    assert file["sha256_digest"] == [wheel.sha256]
    assert (file["filetype"], file["pyversion"]) == (["bdist_wheel"], ["py3"])
    assert file["requires_dist"] == ["six", "attrs"]
    assert file["metadata_version"] == ["2.1"]
    assert file["authorization"] == "Basic bWU6cHc="
    assert docs[":action"] == ["doc_upload"]


async def test_a_refusal_of_the_other_server_ends_the_push_and_is_told(world: World, elsewhere: Elsewhere) -> None:
    await upload(world.client, "team/dev", a_wheel())
    await upload(world.client, "team/dev", an_sdist())
    elsewhere.answers = [web.Response(status=400, text="File already exists.\nMore text")]

    answer = await outside(world, elsewhere.url)

    assert answer.status == 502
    (step,) = answer.json["result"]
    assert (step[0], step[1], step[3]) == (400, "upload", "File already exists.")
    assert len(elsewhere.seen) == 1


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("wrong password push-pw for me", "wrong password **** for me"),
        ('you sent "Authorization": "Basic bWU6cHVzaC1wdw=="', 'you sent "Authorization": "****"'),
        ("me:push-pw is bWU6cHVzaC1wdw==", "me:**** is ****"),
        ("see https://you:and-me@example.com/?token=abc", "see https://****@example.com/?token=****"),
        ("\x1b[2Jgone", r"\x1b[2Jgone"),
    ],
    ids=["password", "header", "both", "url", "terminal"],
)
async def test_what_the_other_server_says_is_told_and_noted_without_secrets(
    world: World, elsewhere: Elsewhere, said: str, shown: str
) -> None:
    await upload(world.client, "team/dev", a_wheel())
    elsewhere.answers = [web.Response(status=403, text=said)]

    answer = await outside(world, elsewhere.url, password="push-pw")

    assert answer.json["result"][0][3] == shown
    token = f"Bearer {world.app.login.new_token('root')}"
    noted = await world.client.send("GET", "/+audit?action=release.pushed-out", authorization=token)
    assert noted.json["result"][0]["detail"]["steps"][0][3] == shown


async def test_a_server_that_knows_no_registering_is_no_failure(world: World, elsewhere: Elsewhere) -> None:
    await upload(world.client, "team/dev", a_wheel())
    elsewhere.answers = [web.Response(status=410, text="gone")]

    answer = await outside(world, elsewhere.url, register_project=True)

    assert answer.status == 200
    assert [step[0] for step in answer.json["result"]] == [410, 200]


async def test_a_redirect_is_not_followed(world: World, elsewhere: Elsewhere) -> None:
    await upload(world.client, "team/dev", a_wheel())
    elsewhere.answers = [web.Response(status=302, headers={"location": "/other"})]

    answer = await outside(world, elsewhere.url)

    assert answer.status == 502
    assert answer.json["result"][0][0] == 302


async def test_a_server_that_does_not_answer_is_told_as_such(world: World) -> None:
    await upload(world.client, "team/dev", a_wheel())

    answer = await outside(world, "http://127.0.0.1:9/legacy/")
    named = await outside(world, "http://me:secret@127.0.0.1:9/legacy/")

    assert answer.status == 502
    assert answer.json["result"][0][:2] == [-1, "exception on release upload:"]
    assert named.status == 400
    assert "secret" not in named.text


@pytest.mark.parametrize(
    "url",
    ["http://127.0.0.1:9/", "http://localhost:9/", "http://169.254.169.254/", "http://[::1]:9/", "http://10.0.0.1/"],
)
async def test_users_cannot_make_the_server_talk_to_its_own_network(world: World, url: str) -> None:
    await upload(world.client, "team/dev", a_wheel())

    answer = await outside(world, url, root=False)

    assert answer.status in (400, 502)
    assert "--internal-networks" in answer.text


async def test_the_operator_may_allow_a_network(world: World, elsewhere: Elsewhere) -> None:
    await upload(world.client, "team/dev", a_wheel())
    await world.restart(internal_networks="127.0.0.0/8")

    answer = await outside(world, elsewhere.url, root=False)

    assert answer.status == 200, answer.text


@pytest.mark.parametrize("url", ["ftp://example.com/", "file:///etc/passwd", "no url", "http://", "http://a:b:c/"])
async def test_a_url_that_is_none_is_refused(world: World, url: str) -> None:
    await upload(world.client, "team/dev", a_wheel())

    answer = await outside(world, url)

    assert answer.status == 400
    assert "posturl must be a URL" in answer.json["message"]


async def test_offline_nothing_is_sent(world: World, elsewhere: Elsewhere) -> None:
    await upload(world.client, "team/dev", a_wheel())
    await world.restart(offline_mode="yes")

    answer = await outside(world, elsewhere.url)

    assert answer.status == 400
    assert "offline" in answer.json["message"]
    assert elsewhere.seen == []
