"""Names of private projects: nobody's package takes their place, and nobody outside learns them."""

import gzip
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import pytest

from tests.support.builders import a_wheel, an_sdist
from tests.support.client import Answer
from tests.support.publish import a_team, a_user, an_index, basic, upload
from tests.support.team import bearer, root, settled, token_of
from tests.support.world import World, a_world

JSON = "application/vnd.pypi.simple.v1+json"
NAME = "acme-tools"
PRIVATE = a_wheel(NAME, "1.0")
PUBLIC = a_wheel(NAME, "99.0")

# Bases of each index of a team, in the order in which they are made; the last one is asked.
SHAPES: dict[str, dict[str, str]] = {
    "it hosts it itself": {"host": "root/pypi"},
    "its base does": {"host": "root/pypi", "leaf": "team/host"},
    "its base's base does": {"host": "root/pypi", "middle": "team/host", "leaf": "team/middle"},
    "its base does, after a mirror": {"host": "", "leaf": "root/pypi,team/host"},
    "its base's base does, after a mirror": {"host": "", "middle": "team/host", "leaf": "root/pypi,team/middle"},
    "its second base does": {"host": "", "first": "root/pypi", "leaf": "team/first,team/host"},
}


async def a_family(world: World, shape: str) -> str:
    """The indexes of a shape, with the private project on `team/host`; the one to ask."""
    for name, bases in SHAPES[shape].items():
        await an_index(world.client, "team", name, bases=bases)
    answer = await upload(world.client, "team/host", PRIVATE, NAME)
    assert answer.status == 200, answer.text
    return f"team/{list(SHAPES[shape])[-1]}"


async def every_way(world: World, index: str, name: str = NAME, **headers: str) -> dict[str, Answer]:
    """Whatever shows a project's files or versions through an index."""
    client = world.client
    pip = {"user_agent": "pip/26.0", **headers}
    return {
        "HTML": await client.get(f"/{index}/+simple/{name}/", accept="text/html", **headers),
        "JSON": await client.get(f"/{index}/+simple/{name}/", accept=JSON, **headers),
        "gzip": _unpacked(await client.get(f"/{index}/+simple/{name}/", accept_encoding="gzip", **headers)),
        "no slash": await client.get(f"/{index}/+simple/{name}", **pip),
        "short": await client.get(f"/{index}/{name}/", **pip),
        "short, no slash": await client.get(f"/{index}/{name}", accept=JSON, **pip),
        "absolute links": await client.get(f"/{index}/+simple/{name}/", x_devpi_absolute_urls="1", **headers),
        "projectconfig": await client.get(f"/{index}/{name}", accept="application/json", **headers),
        "projectconfig, slash": await client.get(f"/{index}/{name}/", accept="application/json", **headers),
    }


def _unpacked(answer: Answer) -> Answer:
    if answer.headers.get("content-encoding") == "gzip":
        answer.body = gzip.decompress(answer.body)
    return answer


async def versions(world: World, index: str, name: str = NAME, **headers: str) -> set[str]:
    """Which of the two versions can be seen; it is the same in every way."""
    seen = {
        way: frozenset(dist.filename for dist in (PRIVATE, PUBLIC) if dist.filename in answer.text)
        for way, answer in (await every_way(world, index, name, **headers)).items()
    }
    for version in ("1.0", "99.0"):
        answer = await world.client.get(f"/{index}/{name}/{version}", accept="application/json", **headers)
        shown = any(f"-{version}-" in filename for filename in seen["JSON"])
        assert (version, answer.status) == (version, 200 if shown else 404)
    assert len(set(seen.values())) == 1, seen
    return {filename.split("-")[1] for filename in seen["JSON"]}


def told(world: World, word: str = "acme") -> list[str]:
    """What upstream was asked that has the private name in it."""
    return [path for _, path, _ in world.upstream.seen if word in path]


async def remove(world: World, url: str) -> None:
    answer = await world.client.send("DELETE", url, user="team")
    assert answer.status == 200, answer.text


# -- nobody's package takes its place ------------------------------------------------------


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("known", ["unknown", "held", "asked through the index"])
async def test_a_private_project_hides_a_public_one_of_its_name(world: World, shape: str, known: str) -> None:
    world.upstream.add(NAME, PUBLIC)
    if known == "held":
        await world.client.get(f"/root/pypi/+simple/{NAME}/")
        await world.client.get(f"/root/pypi/{PUBLIC.path}")
        await world.client.get(f"/root/pypi/{PUBLIC.path}.metadata")
    if known == "asked through the index":
        await an_index(world.client, "team", "asked", bases="root/pypi")
        assert await versions(world, "team/asked") == {"99.0"}
        await world.client.send("PATCH", "/team/asked", ["bases=root/pypi"], user="team")
    await settled(world)
    index = await a_family(world, shape)

    seen = await versions(world, index)
    files = [
        await world.client.get(f"/{one}/{PUBLIC.path}{suffix}")
        for one in (index, "team/host")
        for suffix in ("", ".metadata", ".provenance")
    ]

    assert seen == {"1.0"}
    assert [file.status for file in files] == [404] * 6
    assert known != "unknown" or told(world) == []


async def test_what_was_seen_of_a_public_project_is_forgotten_when_it_becomes_private(world: World) -> None:
    world.upstream.add(NAME, PUBLIC)
    await an_index(world.client, "team", "leaf", bases="team/dev")
    before = [await versions(world, index) for index in ("team/dev", "team/leaf")]

    await upload(world.client, "team/dev", PRIVATE, NAME)

    assert before == [{"99.0"}, {"99.0"}]
    assert [await versions(world, index) for index in ("team/dev", "team/leaf")] == [{"1.0"}, {"1.0"}]
    assert await versions(world, "root/pypi") == {"99.0"}


@pytest.mark.parametrize("spelling", ["acme_tools", "Acme-Tools", "acme.tools", "ACME__tools", "acme-._tools"])
@pytest.mark.parametrize("uploaded", ["acme-tools", "Acme.Tools", "acme__tools"])
async def test_a_name_is_private_in_every_spelling(world: World, uploaded: str, spelling: str) -> None:
    world.upstream.add(NAME, PUBLIC)
    assert (await upload(world.client, "team/dev", PRIVATE, uploaded)).status == 200

    ways = await every_way(world, "team/dev", spelling)
    refresh = await world.client.request("POST", f"/team/dev/+simple/{spelling}/refresh")
    seen = [await world.client.get(answer.headers["location"], accept="*/*") for answer in ways.values()]

    assert {answer.status for answer in ways.values()} == {302}
    assert all(f"/{NAME}" in answer.headers["location"] for answer in ways.values())
    assert {(answer.status, PRIVATE.filename in answer.text, PUBLIC.filename in answer.text) for answer in seen} == {
        (200, True, False)
    }
    assert refresh.status == 302
    assert told(world) == []


@pytest.mark.parametrize("what", [f"{NAME}/1.0", NAME, PRIVATE.path])
async def test_a_removed_name_stays_private_until_it_is_let_go(world: World, what: str) -> None:
    world.upstream.add(NAME, PUBLIC)
    await an_index(world.client, "team", "leaf", bases="team/dev")
    await upload(world.client, "team/dev", PRIVATE, NAME)
    await remove(world, f"/team/dev/{what}")

    for index in ("team/dev", "team/leaf"):
        for way, answer in (await every_way(world, index)).items():
            assert (way, answer.status) == (way, 404)
            assert f"DELETE /team/dev/{NAME}?forget" in answer.text, way
        assert (await world.client.get(f"/{index}/{NAME}/99.0", accept="application/json")).status == 404
    assert (await world.client.get(f"/team/dev/{PUBLIC.path}")).status == 404
    assert told(world) == []

    await remove(world, f"/team/dev/{NAME}?forget")

    assert [await versions(world, index) for index in ("team/dev", "team/leaf")] == [{"99.0"}, {"99.0"}]


async def test_a_removed_name_stays_private_after_a_restart(world: World) -> None:
    world.upstream.add(NAME, PUBLIC)
    await upload(world.client, "team/dev", PRIVATE, NAME)
    await remove(world, f"/team/dev/{NAME}")

    await world.restart()

    assert {answer.status for answer in (await every_way(world, "team/dev")).values()} == {404}
    assert told(world) == []


async def test_a_name_that_is_let_go_at_once_is_public_at_once(world: World) -> None:
    world.upstream.add(NAME, PUBLIC)
    await upload(world.client, "team/dev", PRIVATE, NAME)
    assert await versions(world, "team/dev") == {"1.0"}

    await remove(world, f"/team/dev/{NAME}?forget")

    assert await versions(world, "team/dev") == {"99.0"}


async def test_a_removed_index_lets_its_names_go(world: World) -> None:
    world.upstream.add(NAME, PUBLIC)
    await an_index(world.client, "team", "leaf", bases="team/dev,root/pypi")
    await upload(world.client, "team/dev", PRIVATE, NAME)
    assert await versions(world, "team/leaf") == {"1.0"}

    answer = await world.client.send("DELETE", "/team/dev", user="team")

    assert answer.status == 201
    assert await versions(world, "team/leaf") == {"99.0"}


# -- unless mirrors are let in -------------------------------------------------------------


@pytest.mark.parametrize("whitelist", [NAME, "*", "Acme_Tools", f"other,{NAME}"])
async def test_a_whitelist_lets_mirrors_in_and_takes_effect_at_once(world: World, whitelist: str) -> None:
    world.upstream.add(NAME, PUBLIC)
    await upload(world.client, "team/dev", PRIVATE, NAME)
    before = await versions(world, "team/dev")

    await world.client.send("PATCH", "/team/dev", {"mirror_whitelist": whitelist}, user="team")
    open_now = await versions(world, "team/dev")
    await world.client.send("PATCH", "/team/dev", {"mirror_whitelist": ""}, user="team")

    assert (before, open_now) == ({"1.0"}, {"1.0", "99.0"})
    assert await versions(world, "team/dev") == {"1.0"}


async def test_a_whitelist_of_another_name_lets_nothing_in(world: World) -> None:
    world.upstream.add(NAME, PUBLIC)
    await world.client.send("PATCH", "/team/dev", ["mirror_whitelist=acme,acme-tools2"], user="team")
    await upload(world.client, "team/dev", PRIVATE, NAME)

    assert await versions(world, "team/dev") == {"1.0"}


async def test_a_whitelist_lets_a_removed_name_go(world: World) -> None:
    world.upstream.add(NAME, PUBLIC)
    await upload(world.client, "team/dev", PRIVATE, NAME)
    await remove(world, f"/team/dev/{NAME}")

    await world.client.send("PATCH", "/team/dev", [f"mirror_whitelist+={NAME}"], user="team")

    assert await versions(world, "team/dev") == {"99.0"}


@pytest.mark.parametrize(
    ("mode", "of_the_leaf", "of_the_host", "expected"),
    [
        ("intersection", "", "", {"1.0"}),
        ("intersection", "", NAME, {"1.0"}),
        ("intersection", "", "*", {"1.0"}),
        ("intersection", NAME, NAME, {"1.0", "99.0"}),
        ("intersection", "*", "*", {"1.0", "99.0"}),
        ("intersection", "other", NAME, {"1.0"}),
        ("union", "", "", {"1.0"}),
        ("union", "", NAME, {"1.0", "99.0"}),
        ("union", "other", "*", {"1.0", "99.0"}),
        ("union", NAME, "", {"1.0", "99.0"}),
        ("union", "other", "another", {"1.0"}),
    ],
)
async def test_whitelists_of_bases_narrow_or_widen(
    world: World, mode: str, of_the_leaf: str, of_the_host: str, expected: set[str]
) -> None:
    world.upstream.add(NAME, PUBLIC)
    await an_index(world.client, "team", "host", bases="root/pypi", mirror_whitelist=of_the_host)
    await an_index(
        world.client, "team", "leaf",
        bases="team/host", mirror_whitelist=of_the_leaf, mirror_whitelist_inheritance=mode,
    )  # fmt: skip
    await upload(world.client, "team/host", PRIVATE, NAME)

    assert await versions(world, "team/leaf") == expected


# -- nobody outside learns it --------------------------------------------------------------


async def ask_everything(world: World, index: str, headers: dict[str, str]) -> None:
    """Every route that a project's name, a version or a file of it can be put into."""
    client = world.client
    wheel, sdist = a_wheel(NAME, "5.0"), an_sdist(NAME, "5.0")
    await every_way(world, index, **headers)
    for path in (
        f"{NAME}/5.0", f"{NAME}?explain", f"{NAME}?ignore_bases", "+simple/", "", f"+simple/{NAME}",
        wheel.path, f"{wheel.path}.metadata", f"{wheel.path}.provenance",
        sdist.path, "+f/abc/0123456789abc/acme_tools-5.0.zip", f"+e/https_x/{wheel.filename}",
        f"+e/https_x/{sdist.filename}", f"+e/https_x/{wheel.filename}.metadata",
    ):  # fmt: skip
        for method in ("GET", "HEAD"):
            for accept in ("*/*", "application/json", JSON):
                await client.request(method, f"/{index}/{path}", b"", accept=accept, **headers)
    for method, path, document in (
        ("POST", f"+simple/{NAME}/refresh", None),
        ("DELETE", NAME, None),
        ("DELETE", f"{NAME}/5.0?force", None),
        ("DELETE", f"{wheel.path}?force", None),
        ("PATCH", NAME, {"status": "deprecated"}),
        ("PATCH", f"{NAME}/5.0", {"yanked": True}),
        ("PATCH", wheel.path, {"yanked": True}),
        ("POST", wheel.path, {}),
        ("PUSH", "", {"name": NAME, "version": "5.0", "targetindex": "team/target"}),
        ("POST", "", {"name": NAME, "version": "5.0", "targetindex": "team/target"}),
    ):
        await client.send(method, f"/{index}/{path}", document, **headers)


@pytest.mark.parametrize("state", ["hosted", "removed", "restricted"])
@pytest.mark.parametrize("who", ["anonymous", "root"])
async def test_no_route_tells_upstream_a_private_name(world: World, state: str, who: str) -> None:
    world.upstream.add("public-thing", a_wheel("public-thing"))
    await an_index(world.client, "team", "target")
    await an_index(world.client, "team", "apart", bases="root/pypi")
    await an_index(world.client, "team", "leaf", bases="team/dev")
    if state == "restricted":
        await world.client.send("PATCH", "/team/dev", ["acl_pkg_read=team"], user="team")
    await upload(world.client, "team/dev", PRIVATE, NAME)
    if state == "removed":
        await remove(world, f"/team/dev/{NAME}")
    headers = root(world) if who == "root" else {}

    # The index itself, one that inherits it, the mirror, and one that has nothing to do with it.
    for index in ("team/leaf", "root/pypi", "team/apart", "team/dev"):
        await ask_everything(world, index, headers)

    assert told(world) == []
    assert world.upstream.count("/simple/") > 0


@pytest.mark.parametrize("way", ["+simple/{}/", "{}", "{}/5.0"])
async def test_the_mirror_asks_for_a_private_name_only_when_upstream_lists_it(world: World, way: str) -> None:
    await upload(world.client, "team/dev", PRIVATE, NAME)
    answer = await world.client.get(f"/root/pypi/{way.format(NAME)}", accept="application/json, text/html")
    assert answer.status == 404
    assert told(world) == []

    world.upstream.add(NAME, PUBLIC)
    world.clock.pass_s(2000)

    assert await versions(world, "root/pypi") == {"99.0"}
    assert await versions(world, "team/dev") == {"1.0"}


async def test_a_mirror_without_a_list_is_never_asked_for_a_private_name(world: World) -> None:
    world.upstream.add(NAME, PUBLIC)
    await world.client.send("PATCH", "/root/pypi", ["mirror_no_project_list=True"], **root(world))
    await upload(world.client, "team/dev", PRIVATE, NAME)

    through = await versions(world, "team/dev")
    answer = await world.client.get(f"/root/pypi/+simple/{NAME}/")

    assert (through, answer.status, told(world)) == ({"1.0"}, 404, [])


async def test_a_list_of_projects_tells_upstream_nothing_and_has_private_names(world: World) -> None:
    world.upstream.add("public-thing", a_wheel("public-thing"))
    await upload(world.client, "team/dev", PRIVATE, NAME)

    lists = [(await world.client.get(f"/{index}/+simple/", accept=JSON)).json for index in ("team/dev", "root/pypi")]

    assert [[one["name"] for one in listed["projects"]] for listed in lists] == [
        [NAME, "public-thing"],
        ["public-thing"],
    ]
    assert told(world) == []


async def until_asked(world: World, path: str) -> None:
    """Wait until upstream is asked for something."""
    with anyio.fail_after(20):
        while not world.upstream.count(path):
            await world.client.get("/+health/live")
            await anyio.lowlevel.checkpoint()


@pytest.fixture
async def ahead(tmp_path: Path) -> AsyncIterator[World]:
    """A server that reads ahead."""
    async with a_world(tmp_path, read_ahead="yes") as made:
        await a_team(made.client)
        yield made


@pytest.mark.parametrize("listed", [False, True])
async def test_reading_ahead_stops_at_private_names(ahead: World, listed: bool) -> None:
    # What comes after the private name takes longer: by then that one had its turn.
    ahead.upstream.add("front", a_wheel("front", requires=(f"{NAME}>=1", "behind")))
    for name, behind in (("behind", "farther"), ("farther", "farthest")):
        ahead.upstream.add(name, a_wheel(name, requires=(behind,)))
    ahead.upstream.add("farthest", a_wheel("farthest"))
    if listed:
        ahead.upstream.add(NAME, PUBLIC)
    await upload(ahead.client, "team/dev", PRIVATE, NAME)
    await ahead.client.get("/root/pypi/+simple/")

    await ahead.client.get("/root/pypi/+simple/front/", user_agent="pip/26.0")
    await until_asked(ahead, "/simple/farthest/")
    await until_asked(ahead, "/files/farthest-1.0-py3-none-any.whl.metadata")

    assert ahead.upstream.count("/simple/behind/") == 1
    assert told(ahead) == []


# -- who may not read a base ---------------------------------------------------------------


HOSTED = a_wheel("shared", "1.0")
SECRET = a_wheel("shared", "2.0", payload=b"secret" * 200)


@pytest.fixture
async def over(world: World) -> dict[str, dict[str, str]]:
    """Public `team/over` inherits from `team/closed`; both have the project. Headers of people by name."""
    for name in ("reader", "stranger"):
        await a_user(world.client, name)
    await an_index(world.client, "team", "closed", bases="root/pypi", acl_pkg_read="reader")
    await an_index(world.client, "team", "over", bases="team/closed")
    await upload(world.client, "team/over", HOSTED, "shared")
    await upload(world.client, "team/closed", SECRET, "shared", "2.0")
    await upload(world.client, "team/closed", PRIVATE, NAME)
    token = await token_of(world.client, "reader")
    return {
        "reader": bearer(token),
        "reader by password": {"authorization": basic("reader")},
        "owner": {"authorization": basic("team")},
        "root": root(world),
        "anonymous": {},
        "stranger": bearer(await token_of(world.client, "stranger")),
        "wrong": bearer(f"{token[:-4]}AAAA"),
    }


MAY = ("reader", "owner", "root", "reader by password")
MAY_NOT = ("anonymous", "stranger", "wrong")


@pytest.mark.parametrize("order", ["readers first", "others first"])
async def test_pages_of_those_who_may_read_a_base_and_of_others_are_not_mixed_up(
    world: World, over: dict[str, dict[str, str]], order: str
) -> None:
    people = [*MAY, *MAY_NOT] if order == "readers first" else [*MAY_NOT, *MAY]

    for person in [*people, *people]:
        may = person in MAY
        for way, answer in (await every_way(world, "team/over", "shared", **over[person])).items():
            assert (person, way, answer.status) == (person, way, 200)
            assert (HOSTED.filename in answer.text, SECRET.filename in answer.text) == (True, may), (person, way)
            assert may or SECRET.sha256 not in answer.text
            assert may or "team/closed" not in answer.text
            if "projectconfig" not in way:
                assert "private" in answer.headers["cache-control"]
                assert "Authorization" in answer.headers["vary"]
        version = await world.client.get("/team/over/shared/2.0", accept="application/json", **over[person])
        assert version.status == (200 if may else 404)
        hidden = {answer.status for answer in (await every_way(world, "team/over", NAME, **over[person])).values()}
        assert hidden == ({200} if may else {404})


@pytest.mark.parametrize("suffix", ["", ".metadata"])
async def test_files_of_a_base_are_for_those_who_may_read_it(
    world: World, over: dict[str, dict[str, str]], suffix: str
) -> None:
    for person in [*MAY_NOT, *MAY, *MAY_NOT]:
        refused = 401 if person in ("anonymous", "wrong") else 403

        direct = await world.client.get(f"/team/closed/{SECRET.path}{suffix}", **over[person])
        through = await world.client.get(f"/team/over/{SECRET.path}{suffix}", **over[person])

        assert (person, direct.status) == (person, 200 if person in MAY else refused)
        assert person not in MAY or "private" in direct.headers["cache-control"]
        assert through.status == 404


@pytest.mark.parametrize("accept", ["text/html", JSON])
@pytest.mark.parametrize("coding", ["identity", "gzip"])
async def test_a_readers_validator_is_not_confirmed_to_others(
    world: World, over: dict[str, dict[str, str]], accept: str, coding: str
) -> None:
    asked = {"accept": accept, "accept_encoding": coding}
    etags = {}
    for person in ("reader", "stranger"):
        page = await world.client.get("/team/over/+simple/shared/", **asked, **over[person])
        etags[person] = page.headers["etag"]

    crossed = {
        (person, whose): await world.client.get(
            "/team/over/+simple/shared/", if_none_match=etags[whose], **asked, **over[person]
        )
        for person in ("reader", "stranger")
        for whose in ("reader", "stranger")
    }

    assert etags["reader"] != etags["stranger"]
    assert {who: answer.status for who, answer in crossed.items()} == {
        ("reader", "reader"): 304,
        ("stranger", "stranger"): 304,
        ("reader", "stranger"): 200,
        ("stranger", "reader"): 200,
    }
    assert SECRET.filename not in _unpacked(crossed["stranger", "reader"]).text


async def test_a_stranger_gets_no_public_package_in_place_of_a_hidden_one(
    world: World, over: dict[str, dict[str, str]]
) -> None:
    world.upstream.add(NAME, PUBLIC)

    strangers = await every_way(world, "team/over", **over["stranger"])

    assert {answer.status for answer in strangers.values()} == {404}
    assert not any("team/closed" in answer.text for answer in strangers.values())
    assert await versions(world, "team/over", **over["reader"]) == {"1.0"}
    assert told(world) == []


async def test_an_explanation_does_not_name_what_may_not_be_read(world: World, over: dict[str, dict[str, str]]) -> None:
    ask = {"accept": "application/json"}

    to_others = await world.client.get(f"/team/over/{NAME}?explain", **ask, **over["stranger"])
    to_readers = await world.client.get(f"/team/over/{NAME}?explain", **ask, **over["reader"])

    assert "closed" not in to_others.text
    assert "team/closed hosts the project" in to_readers.text


async def test_a_page_does_not_name_a_mirror_that_may_not_be_read(world: World) -> None:
    await upload(world.client, "team/dev", PRIVATE, NAME)
    before = await world.client.get(f"/team/dev/+simple/{NAME}/")

    await world.client.send("PATCH", "/root/pypi", ["acl_pkg_read=root"], **root(world))
    after = await world.client.get(f"/team/dev/+simple/{NAME}/")
    to_root = await world.client.get(f"/team/dev/+simple/{NAME}/", **root(world))

    assert ["root/pypi" in page.text for page in (before, after, to_root)] == [True, False, True]


async def test_who_loses_the_right_to_read_loses_the_page(world: World, over: dict[str, dict[str, str]]) -> None:
    for person in ("reader", "stranger"):
        await every_way(world, "team/over", "shared", **over[person])

    await world.client.send("PATCH", "/team/closed", ["acl_pkg_read=stranger"], user="team")

    for person, may in (("reader", False), ("stranger", True)):
        for way, answer in (await every_way(world, "team/over", "shared", **over[person])).items():
            assert (SECRET.filename in answer.text) is may, (person, way)


async def test_an_index_that_becomes_private_is_not_served_from_memory(world: World) -> None:
    await upload(world.client, "team/dev", PRIVATE, NAME)
    await an_index(world.client, "team", "leaf", bases="team/dev")
    await every_way(world, "team/dev")
    await every_way(world, "team/leaf")
    await world.client.get(f"/team/dev/{PRIVATE.path}")

    await world.client.send("PATCH", "/team/dev", ["acl_pkg_read=team"], user="team")

    assert {answer.status for answer in (await every_way(world, "team/dev")).values()} == {401}
    assert {answer.status for answer in (await every_way(world, "team/leaf")).values()} == {404}
    assert (await world.client.get(f"/team/dev/{PRIVATE.path}")).status == 401
