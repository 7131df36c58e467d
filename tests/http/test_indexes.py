"""Users and indexes over HTTP: made, changed, refused (protocol reference 2.2)."""

import asyncio
import base64
from typing import Any

import pytest

from stilton.accounts.passwords import hashed
from tests.support.builders import a_wheel
from tests.support.client import Answer, Client
from tests.support.publish import PASSWORD, a_user, an_index, basic, upload
from tests.support.upstream import FakeUpstream
from tests.support.world import World

JSON = "application/vnd.pypi.simple.v1+json"


async def send(world: World, method: str, url: str, document: Any = None, user: str | None = "team") -> Answer:
    return await world.client.send(method, url, document, user=user)


async def as_root(world: World, method: str, url: str, document: Any = None) -> Answer:
    token = f"Bearer {world.app.login.new_token('root')}"
    return await world.client.send(method, url, document, authorization=token)


async def test_a_new_user_is_shown_without_the_password(world: World) -> None:
    given = {"password": "pw", "email": "a@b.example", "title": "", "custom_data": {"x": [1]}}

    made = await send(world, "PUT", "/new.user@x", given, user=None)

    assert made.status == 201
    assert made.json == {
        "type": "userconfig",
        "result": {
            "username": "new.user@x", "email": "a@b.example", "custom_data": {"x": [1]},
            "created": "2025-06-15T15:06:40Z", "indexes": {},
        },
    }  # fmt: skip
    shown = await send(world, "GET", "/new.user@x")
    assert shown.json == made.json
    assert "pwhash" not in (await send(world, "GET", "/")).text


@pytest.mark.parametrize(
    ("name", "document", "status", "words"),
    [
        ("team", {"password": "x"}, 409, "user already exists"),
        ("new", {}, 400, "password needs to be set"),
        ("new", {"pwhash": "x"}, 400, "password needs to be set"),
        ("new", {"password": 5}, 400, "password is no text"),
        ("new", {"password": "x", "colour": "red", "age": 5}, 400, "Unknown keys in user config: age, colour"),
        ("new", {"password": "x", "email": ["a"]}, 400, "email is no text"),
        ("new", {"password": "x", "custom_data": "x" * 70_000}, 400, "bytes of user config"),
        ("a%20b", {"password": "x"}, 400, "username 'a b' contains characters that aren't allowed."),
        ("a:b", {"password": "x"}, 400, "Any ascii symbol besides -.@_ is blocked."),
        ("..%2e", {"password": "x"}, 400, "can't be used"),
        ("x" * 101, {"password": "x"}, 400, "can't be used"),
        ("favicon.ico", {"password": "x"}, 400, "can't be used"),
        ("__token__", {"password": "x"}, 400, "can't be used"),
        ("new", [], 400, "a JSON object is expected"),
    ],
)
async def test_a_user_that_cannot_be_made(world: World, name: str, document: Any, status: int, words: str) -> None:
    before = world.everything()

    answer = await send(world, "PUT", f"/{name}", document, user=None)

    assert answer.status == status, answer.text
    assert words in answer.text
    assert world.everything() == before


async def test_names_beyond_ascii_are_fine(world: World) -> None:
    await a_user(world.client, "%C3%A9mile")

    assert (await send(world, "GET", "/%C3%A9mile")).json["result"]["username"] == "émile"


async def test_a_password_needs_not_be_long(world: World) -> None:
    assert (await send(world, "PUT", "/new", {"password": ""}, user=None)).status == 201


async def test_a_user_is_changed_by_key_and_empty_values_drop_keys(world: World) -> None:
    await send(world, "PATCH", "/team", {"email": "a@b.example", "title": "T"})
    world.clock.pass_s(60)

    answer = await send(world, "PATCH", "/team", {"email": None, "description": "D"})

    assert (answer.status, answer.json["message"]) == (200, "user updated")
    keys = (await send(world, "GET", "/team")).json["result"]
    assert "email" not in keys
    assert (keys["title"], keys["description"]) == ("T", "D")
    assert keys["modified"] == "2025-06-15T15:07:40Z"
    assert keys["created"] == "2025-06-15T15:06:40Z"


async def test_a_client_may_send_back_what_it_got(world: World) -> None:
    shown = (await send(world, "GET", "/team")).json

    assert (await send(world, "PATCH", "/team", shown["result"])).status == 200
    assert (await send(world, "PATCH", "/team", shown)).status == 200
    index = (await send(world, "GET", "/team/dev")).json
    assert (await send(world, "PATCH", "/team/dev", index)).status == 200
    assert (await send(world, "GET", "/team/dev")).json == index


async def test_a_new_password_comes_with_a_new_token(world: World) -> None:
    answer = await send(world, "PATCH", "/team", {"password": "other"})

    assert answer.json["type"] == "userpassword"
    assert answer.json["message"] == "user updated, new proxy auth"
    token = answer.json["result"]["password"]
    assert answer.json["result"]["expiration"] == 36000
    api = await world.client.send("GET", "/+api", authorization=f"Bearer {token}")
    assert api.json["result"]["authstatus"] == ["ok", "team", []]


async def test_a_user_that_is_not_there_is_not_changed(world: World) -> None:
    for method in ("PATCH", "DELETE"):
        answer = await as_root(world, method, "/nobody", {})
        assert (answer.status, answer.json["message"]) == (404, "no user 'nobody'")


async def test_discovery_says_where_things_are(world: World) -> None:
    index = (await send(world, "GET", "/team/dev/+api")).json
    mirror = (await send(world, "GET", "/root/pypi/+api", user=None)).json["result"]

    assert index["type"] == "apiconfig"
    assert index["result"] == {
        "login": "http://testserver/+login",
        "authstatus": ["ok", "team", []],
        "features": ["push-no-docs", "push-only-docs", "push-register-project", "server-keyvalue-parsing"],
        "index": "http://testserver/team/dev",
        "simpleindex": "http://testserver/team/dev/+simple/",
        "pypisubmit": "http://testserver/team/dev/",
    }
    assert "pypisubmit" not in mirror
    assert mirror["authstatus"] == ["noauth", "", []]
    for url in ("/nobody/+api", "/team/nothing/+api"):
        assert (await send(world, "GET", url)).status == 404


async def test_an_index_is_made_from_texts_as_devpis_client_sends_them(world: World) -> None:
    answer = await send(world, "PUT", "/team/new", {"bases": "root/pypi,team/dev", "volatile": "False", "title": "New"})

    assert answer.status == 200
    assert answer.json["type"] == "indexconfig"
    assert answer.json["result"]["bases"] == ["root/pypi", "team/dev"]
    assert answer.json["result"]["volatile"] is False
    assert (await send(world, "GET", "/team/new?no_projects=")).json == answer.json


@pytest.mark.parametrize(
    ("url", "document", "status", "words"),
    [
        ("/team/dev", {}, 409, "index 'team/dev' exists"),
        ("/nobody/dev", {}, 403, "no permission to create index nobody/dev"),
        ("/root/dev", {}, 403, "no permission to create index root/dev"),
        ("/team/a+b", {}, 400, "indexname 'a+b' contains characters"),
        ("/team/new", {"bases": "no/thing"}, 400, "base index 'no/thing' does not exist"),
        ("/team/new", {"colour": 1, "volatile": "x"}, 400, "Unknown boolean value 'x'"),
        ("/team/new", {"type": "mirror"}, 400, "needs a mirror_url"),
        ("/team/new", [], 400, "a JSON object is expected"),
    ],
)
async def test_an_index_that_cannot_be_made(world: World, url: str, document: Any, status: int, words: str) -> None:
    before = world.everything()

    answer = await send(world, "PUT", url, document)

    assert answer.status == status, answer.text
    assert words in answer.json["message"]
    assert world.everything() == before


async def test_root_makes_indexes_for_users_that_are_there(world: World) -> None:
    assert (await as_root(world, "PUT", "/team/more", {})).status == 200
    assert (await as_root(world, "PUT", "/nobody/more", {})).json == {"message": "no user 'nobody'"}


async def test_a_list_of_operations_is_carried_out_in_whole_or_not_at_all(world: World) -> None:
    before = world.everything()

    refused = await send(world, "PATCH", "/team/dev", ["title=Dev", "acl_upload-=nobody"])
    assert refused.json["message"] == "The 'acl_upload' setting doesn't have value 'nobody'"
    assert world.everything() == before

    done = await send(world, "PATCH", "/team/dev", ["acl_upload+=bob", "title=Dev"])
    assert done.json["result"]["acl_upload"] == ["team", "bob"]
    assert done.json["result"]["title"] == "Dev"


async def test_changes_at_once_do_not_undo_each_other(world: World) -> None:
    await asyncio.gather(*(send(world, "PATCH", "/team/dev", [f"acl_upload+=u{n}"]) for n in range(10)))

    shown = (await send(world, "GET", "/team/dev")).json["result"]["acl_upload"]
    assert sorted(shown) == sorted(["team", *(f"u{n}" for n in range(10))])


async def test_a_change_that_changes_nothing_may_be_an_error(world: World) -> None:
    before = world.everything()

    quiet = await send(world, "PATCH", "/team/dev", ["volatile=True"])
    told = await send(world, "PATCH", "/team/dev?error_on_noop", {"volatile": True})

    assert quiet.status == 200
    assert (told.status, told.json["message"]) == (400, "The requested modifications resulted in no changes")
    assert world.everything() == before


@pytest.mark.parametrize("document", ["text", 5, None])
async def test_what_is_no_change_is_refused(world: World, document: Any) -> None:
    answer = await send(world, "PATCH", "/team/dev", document)

    assert answer.status == (200 if document is None else 400)


async def test_an_index_of_somebody_else_is_not_changed(world: World) -> None:
    await a_user(world.client, "stranger")
    before = world.everything()

    for method, document in (("PATCH", ["title=x"]), ("DELETE", None)):
        answer = await send(world, method, "/team/dev", document, user="stranger")
        assert answer.status == 403
    assert world.everything() == before


async def test_whoever_may_not_read_an_index_cannot_inherit_from_it(world: World) -> None:
    await a_user(world.client, "stranger")
    await an_index(world.client, "team", "secret", acl_pkg_read="team")

    answer = await send(world, "PUT", "/stranger/own", {"bases": "team/secret"}, user="stranger")

    assert answer.json["message"] == "base index 'team/secret' does not exist"


async def test_an_index_lists_its_own_projects_only(world: World) -> None:
    world.upstream.add("public", a_wheel("public"))
    await upload(world.client, "team/dev", a_wheel())

    index = (await send(world, "GET", "/team/dev")).json["result"]
    listed = (await world.client.get("/team/dev/+simple/", accept=JSON)).json

    assert index["projects"] == ["pkg"]
    assert [project["name"] for project in listed["projects"]] == ["pkg", "public"]


async def test_a_mirrors_credentials_are_shown_to_nobody(world: World) -> None:
    url = world.upstream.url.replace("http://", "http://me:s3cret@")
    await as_root(world, "PUT", "/root/other", {"type": "mirror", "mirror_url": url})

    for asked in ("/", "/root", "/root/other", "/root/other?no_projects", "/+status", "/root/other/pkg"):
        assert "s3cret" not in (await as_root(world, "GET", asked)).text
    patched = await as_root(world, "PATCH", "/root/other", ["title=T"])
    assert "s3cret" not in patched.text
    back = await as_root(world, "PATCH", "/root/other", patched.json["result"])
    assert back.status == 200
    world.upstream.users = {"me": "s3cret"}
    world.upstream.add("found", a_wheel("found"))
    assert (await world.client.get("/root/other/+simple/found/")).status == 200


async def test_a_mirror_that_gets_another_upstream_forgets_what_the_old_one_said(world: World) -> None:
    world.upstream.add("pkg", a_wheel("pkg", "1.0"))
    assert (await world.client.get("/root/pypi/+simple/pkg/")).status == 200

    async with FakeUpstream() as other:
        other.add("pkg", a_wheel("pkg", "2.0"))
        await as_root(world, "PATCH", "/root/pypi", [f"mirror_url={other.url}"])
        shown = (await world.client.get("/root/pypi/+simple/pkg/", accept=JSON)).json

    assert shown["versions"] == ["2.0"]


async def test_users_mirrors_reach_public_addresses_only(world: World) -> None:
    world.upstream.add("pkg", a_wheel())
    await an_index(world.client, "team", "near", type="mirror", mirror_url=world.upstream.url)
    await an_index(
        world.client, "team", "local", type="mirror", mirror_url=world.upstream.url.replace("127.0.0.1", "localhost")
    )

    for index in ("near", "local"):
        answer = await world.client.get(f"/team/{index}/+simple/pkg/")
        assert answer.status in (502, 503)
        assert "--internal-networks" in answer.text
    assert world.upstream.seen == []

    await world.restart(internal_networks="127.0.0.0/8,::1")
    assert (await world.client.get("/team/near/+simple/pkg/")).status == 200


async def test_requests_in_progress_outlive_a_change_of_their_mirror(world: World) -> None:
    from tests.support.upstream import Wait

    gate = asyncio.Event()
    world.upstream.add("pkg", a_wheel())
    world.upstream.faults["/simple/pkg/"] = [Wait(gate)]
    page = asyncio.ensure_future(world.client.get("/root/pypi/+simple/pkg/"))
    while not world.upstream.seen:
        await asyncio.sleep(0.001)

    await as_root(world, "PATCH", "/root/pypi", ["mirror_use_external_urls=True"])
    await world.client.get("/root/pypi/+api")
    gate.set()

    assert (await page).status == 200


async def test_external_urls_send_clients_to_upstream(world: World) -> None:
    wheel = a_wheel()
    world.upstream.add("pkg", wheel)
    await as_root(world, "PATCH", "/root/pypi", ["mirror_use_external_urls=True"])

    answer = await world.client.get(f"/root/pypi/{wheel.path}")

    assert answer.status == 302
    assert answer.headers["location"].startswith(world.upstream.url.removesuffix("/simple/"))


async def test_a_proxy_may_ask_whether_a_request_may_pass(world: World) -> None:
    await a_user(world.client, "stranger")
    await an_index(world.client, "team", "secret", acl_pkg_read="team")

    async def asked(uri: str, user: str | None = None, **headers: str) -> int:
        auth = {"authorization": basic(user)} if user else {}
        return (await world.client.get("/+authcheck", x_original_uri=uri, **auth, **headers)).status

    assert await asked("/team/secret/+simple/pkg/") == 401
    assert await asked("/team/secret/+simple/pkg/?x=1", "stranger") == 403
    assert await asked("/team/secret/+f/a/b/c.whl", "team") == 200
    assert await asked("/team/secret/+simple/", user_agent="devpi-client/7.3") == 403
    for open_to_all in ("/", "/+login", "/+api", "/team/secret/+api", "/team/dev/pkg", "/no/thing", "/team"):
        assert await asked(open_to_all) == 200


async def test_a_path_in_front_of_everything_is_taken_off(world: World) -> None:
    await upload(world.client, "team/dev", a_wheel())
    await world.restart(outside_url="https://x.example/pypi")

    page = await world.client.get("/pypi/team/dev/+simple/pkg/", accept=JSON)
    api = await world.client.get("/pypi/team/dev/+api")
    redirect = await world.client.get("/pypi/team/dev/+simple/PKG/")

    assert page.json["files"][0]["filename"] == "pkg-1.0-py3-none-any.whl"
    assert api.json["result"]["pypisubmit"] == "https://x.example/pypi/team/dev/"
    assert redirect.headers["location"] == "/pypi/team/dev/+simple/pkg/"


async def test_links_are_absolute_when_the_client_wants_them(world: World) -> None:
    wheel = a_wheel()
    world.upstream.add("public", a_wheel("public"))
    await upload(world.client, "team/dev", wheel)

    own = await world.client.get("/team/dev/+simple/pkg/", accept=JSON, x_devpi_absolute_urls="1")
    relative = await world.client.get("/team/dev/+simple/pkg/", accept=JSON)

    assert own.json["files"][0]["url"] == f"http://testserver/team/dev/{wheel.path}"
    assert relative.json["files"][0]["url"] == f"../../{wheel.path}"


async def test_files_of_bases_have_the_url_of_their_own_index(world: World) -> None:
    wheel = a_wheel("public")
    world.upstream.add("public", wheel)

    (file,) = (await world.client.get("/team/dev/+simple/public/", accept=JSON)).json["files"]

    assert file["url"] == f"../../../../root/pypi/{wheel.path}"
    assert (await world.client.get(f"/root/pypi/{wheel.path}")).body == wheel.content
    assert (await world.client.get(f"/team/dev/{wheel.path}")).status == 404


async def test_a_plain_question_is_answered_in_json(world: World) -> None:
    for url in ("/", "/team", "/team/dev"):
        answer = await world.client.get(url)
        assert answer.headers["content-type"] == "application/json"
    assert PASSWORD not in (await world.client.get("/")).text


async def test_a_version_on_several_indexes_shows_the_first_and_those_it_shadows(world: World) -> None:
    await an_index(world.client, "team", "leaf", bases="team/dev,root/pypi")
    await upload(world.client, "team/dev", a_wheel(payload=b"base"))
    await upload(world.client, "team/dev", a_wheel("pkg", "0.9"), version="0.9")
    await upload(world.client, "team/leaf", a_wheel())

    versions = (await world.client.get("/team/leaf/pkg", accept="application/json")).json["result"]
    own = (await world.client.get("/team/leaf/pkg?ignore_bases", accept="application/json")).json["result"]

    assert set(versions) == {"1.0", "0.9"}
    assert "/team/leaf/+f/" in versions["1.0"]["+links"][0]["href"]
    (shadowed,) = versions["1.0"]["+shadowing"]
    assert "/team/dev/+f/" in shadowed["+links"][0]["href"]
    assert set(own) == {"1.0"}
    assert "+shadowing" not in own["1.0"]


async def test_who_contributes_is_explained(world: World) -> None:
    await upload(world.client, "team/dev", a_wheel())

    answer = await world.client.get("/team/dev/pkg?explain", accept="application/json")

    assert answer.json["type"] == "projectsources"
    assert [(one["index"], one["contributes"]) for one in answer.json["result"]["sources"]] == [
        ("team/dev", True),
        ("root/pypi", False),
    ]
    assert "kept out: team/dev hosts the project" in answer.json["result"]["sources"][1]["why"]
    assert "kept out: team/dev hosts the project" in (await world.client.get("/team/dev/+simple/pkg/")).text
    redirect = await world.client.get("/team/dev/PKG?explain", accept="application/json")
    assert redirect.headers["location"] == "/team/dev/pkg?explain"


async def test_a_version_is_found_however_it_is_spelled(world: World) -> None:
    await upload(world.client, "team/dev", a_wheel())

    answer = await world.client.get("/team/dev/pkg/1.0.0", accept="application/json")
    missing = await world.client.get("/team/dev/pkg/2", accept="application/json")

    assert answer.json["result"]["version"] == "1.0"
    assert (missing.status, missing.json["message"]) == (404, "The version 2 of project pkg does not exist.")


async def test_a_hash_that_was_made_elsewhere_is_taken_from_root(world: World) -> None:
    pwhash = hashed("from elsewhere")

    made = await as_root(world, "PUT", "/moved", {"password": "", "pwhash": pwhash})
    changed = await as_root(world, "PATCH", "/team", {"pwhash": pwhash})

    assert (made.status, changed.status) == (201, 200)
    for user in ("moved", "team"):
        login = await world.client.send("POST", "/+login", {"user": user, "password": "from elsewhere"})
        assert login.status == 200


@pytest.mark.parametrize(
    "pwhash",
    [
        "md5:x",
        "$argon2id$v=19$m=8,t=4294967295,p=1$YWFhYWFhYWE$YWFhYWFhYWFhYWFhYWFhYQ",
        "$argon2id$v=19$m=4294967295,t=1,p=1$YWFhYWFhYWE$YWFhYWFhYWFhYWFhYWFhYQ",
        "$argon2id$v=19$m=8,t=1,p=1$\u00e9$\u00e9",
        "$argon2id$v=19$m=8,t=1,p=1$YWE$YWE",
    ],
)
async def test_a_hash_that_cannot_be_checked_in_bounded_time_is_refused(world: World, pwhash: str) -> None:
    before = world.everything()

    answer = await as_root(world, "PATCH", "/team", {"pwhash": pwhash})

    assert answer.status == 400
    assert "argon2" in answer.json["message"]
    assert world.everything() == before


async def test_hashes_of_users_are_refused(world: World) -> None:
    before = world.everything()

    for user, method, url in (("team", "PATCH", "/team"), (None, "PUT", "/new")):
        answer = await send(world, method, url, {"password": "x", "pwhash": hashed("x")}, user=user)
        assert answer.status in (401, 403)
    assert world.everything() == before


@pytest.mark.parametrize("password", ["stilton-login-x", "x" * 5000])
async def test_a_password_that_looks_like_a_token_is_refused(world: World, password: str) -> None:
    before = world.everything()

    for method, url in (("PUT", "/new"), ("PATCH", "/team")):
        assert (await send(world, method, url, {"password": password})).status == 400
    assert world.everything() == before


async def test_a_password_may_come_in_latin_1(world: World) -> None:
    await world.client.send("PUT", "/pete", {"password": "w\u00f6rt"})

    for encoding in ("utf-8", "latin-1"):
        pair = base64.b64encode("pete:w\u00f6rt".encode(encoding)).decode()
        api = await world.client.get("/+api", authorization=f"Basic {pair}")
        assert api.json["result"]["authstatus"] == ["ok", "pete", []]


async def test_devpis_client_is_told_to_log_in_the_way_it_understands(world: World) -> None:
    await an_index(world.client, "team", "secret", acl_pkg_read="team")
    client = {"user_agent": "devpi-client/7.3.0 (py3.11)", "accept": "application/json"}

    nobody = await world.client.get("/team/secret?no_projects=", **client)
    dead = base64.b64encode(b"team:stilton-login-dead").decode()
    expired = await world.client.get("/team/secret?no_projects=", x_devpi_auth=dead, **client)
    pip = await world.client.get("/team/secret/+simple/", user_agent="pip/26.0")

    assert nobody.status == 403
    assert (expired.status, expired.headers["location"]) == (401, "/+login")
    assert "not right, or not any more" in expired.json["message"]
    assert (pip.status, pip.headers["www-authenticate"]) == (401, 'Basic realm="pypi"')


async def test_who_is_known_is_not_told_that_he_is_not(world: World) -> None:
    await upload(world.client, "team/dev", a_wheel())

    answer = await send(world, "PUSH", "/team/dev", {"name": "pkg", "version": "1.0", "targetindex": "root/pypi"})

    assert answer.status == 401
    assert answer.json["message"] == "user 'team' cannot upload to 'root/pypi'"


async def test_a_version_has_its_url_with_and_without_a_slash(world: World) -> None:
    await upload(world.client, "team/dev", a_wheel())

    for url in ("/team/dev/pkg/1.0", "/team/dev/pkg/1.0/"):
        assert (await world.client.get(url)).status == 200


async def test_about_a_mirrors_file_before_and_after_it_is_here(world: World) -> None:
    wheel = a_wheel()
    world.upstream.add("pkg", wheel)
    url = f"/root/pypi/{wheel.path}"

    before = (await world.client.get(url, accept="application/json")).json
    await world.client.get(url)
    after = (await world.client.get(url, accept="application/json")).json
    await as_root(world, "PATCH", "/root/pypi", ["mirror_use_external_urls=True"])

    assert before["type"] == after["type"] == "releasefilemeta"
    for shown in (before, after):
        assert shown["result"]["hash_spec"] == f"sha256={wheel.sha256}"
        assert shown["result"]["hashes"] == {"sha256": wheel.sha256}
    assert before["result"]["url"].startswith("http://127.0.0.1")


async def test_a_refresh_asks_every_mirror_that_contributes(world: World) -> None:
    world.upstream.add("public", a_wheel("public"))
    await world.client.get("/team/dev/+simple/public/")
    await upload(world.client, "team/dev", a_wheel())
    seen = len(world.upstream.seen)

    public = await world.client.request("POST", "/team/dev/+simple/public/refresh")
    private = await world.client.request("POST", "/team/dev/+simple/pkg/refresh")
    missing = await world.client.request("POST", "/root/pypi/+simple/nothing/refresh")

    assert (public.status, public.headers["location"]) == (302, "/team/dev/+simple/public/")
    assert (private.status, private.headers["location"]) == (302, "/team/dev/+simple/pkg/")
    assert missing.status == 404
    assert [path for _, path, _ in world.upstream.seen[seen:]] == ["/simple/public/", "/simple/nothing/"]


async def test_a_removed_users_name_has_no_rights_left(world: World) -> None:
    await a_user(world.client, "ci")
    await send(world, "PATCH", "/team/dev", ["acl_upload+=ci", "acl_pkg_read=team,ci"])

    await as_root(world, "DELETE", "/ci")
    await a_user(world.client, "ci")

    keys = (await send(world, "GET", "/team/dev")).json["result"]
    assert (keys["acl_upload"], keys["acl_pkg_read"]) == (["team"], ["team"])
    assert (await upload(world.client, "team/dev", a_wheel(), user="ci")).status == 403


async def test_an_owner_is_let_in_at_once_after_he_made_his_index_private(world: World) -> None:
    wheel = a_wheel()
    await upload(world.client, "team/dev", wheel)
    await an_index(world.client, "team", "over", bases="team/dev")
    await world.restart(workers=2)
    other = world.another_app()
    await other.open()
    try:
        client = Client(other)
        urls = ("/team/dev/+simple/pkg/", "/team/over/+simple/pkg/", f"/team/dev/{wheel.path}")
        for url in urls:
            assert (await client.get(url)).status == 200

        await send(world, "PATCH", "/team/dev", ["acl_pkg_read=team"])

        for url in urls:
            assert (await client.get(url, authorization=basic("team"))).status == 200
            assert (await client.get(url)).status in (401, 404)
    finally:
        await other.close()


async def test_a_quarantined_release_is_not_pushed(world: World) -> None:
    await upload(world.client, "team/dev", a_wheel())
    await send(world, "PATCH", "/team/dev/pkg", {"status": "quarantined"})
    before = world.everything()

    answer = await send(world, "PUSH", "/team/dev", {"name": "pkg", "version": "1.0", "targetindex": "team/prod"})

    assert answer.status == 403
    assert world.everything() == before


async def test_json_that_is_nested_too_deep_is_refused(world: World) -> None:
    deep = "[" * 30 + "]" * 30
    before = world.everything()

    answer = await world.client.request(
        "PATCH", "/team/dev", f'{{"custom_data": {deep}}}'.encode(), authorization=basic("team")
    )

    assert answer.status == 400
    assert "nested" in answer.text
    assert world.everything() == before


async def test_a_method_that_is_not_for_a_url_is_told_those_that_are(world: World) -> None:
    answer = await send(world, "PUT", "/team/dev/pkg", {})
    unknown = await send(world, "GET", "/a/b/c/d/e/f")

    assert answer.status == 405
    assert set(answer.headers["allow"].split(", ")) == {"HEAD", "GET", "PATCH", "DELETE", "POST"}
    assert answer.json["message"].startswith("PUT is not for this URL")
    assert (unknown.status, unknown.json["message"][:13]) == (404, "Nothing is at")


@pytest.mark.parametrize(
    "uri",
    [
        "//team/secret/+f/x",
        "/team/dev/../secret/+f/x",
        "/./team/secret/x",
        "garbage",
        "",
        "/+unknown",
        "/team%2fsecret/x",
    ],
)
async def test_a_proxys_question_that_could_be_read_in_two_ways_is_answered_no(world: World, uri: str) -> None:
    assert (await world.client.get("/+authcheck", x_original_uri=uri)).status == 403


async def test_a_null_drops_a_key(world: World) -> None:
    await send(world, "PATCH", "/team/dev", {"title": "T"})

    answer = await send(world, "PATCH", "/team/dev", {"title": None, "description": None})

    assert "title" not in answer.json["result"]
    assert "description" not in answer.json["result"]


async def test_a_token_of_a_server_whose_clock_is_ahead_is_taken(world: World) -> None:
    token = world.app.login.new_token("team")

    world.clock.pass_s(-20)
    close = await world.client.send("GET", "/+api", authorization=f"Bearer {token}")
    world.clock.pass_s(-3600)
    far = await world.client.send("GET", "/+api", authorization=f"Bearer {token}")

    assert close.json["result"]["authstatus"][1] == "team"
    assert far.json["result"]["authstatus"][1] == ""
