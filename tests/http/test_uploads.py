"""Uploads: what is taken, what is refused and why, and that a refusal changes nothing."""

import asyncio
import base64
import hashlib
import json
from typing import Any

import pytest

from tests.support.builders import Dist, a_wheel, an_sdist, metadata_of
from tests.support.client import Client
from tests.support.publish import BOUNDARY, a_form, a_user, an_index, basic, fields_of, post_form, upload
from tests.support.world import World

JSON = "application/vnd.pypi.simple.v1+json"


async def page(world: World, index: str = "team/dev", project: str = "pkg") -> dict[str, Any]:
    answer = await world.client.get(f"/{index}/+simple/{project}/", accept=JSON)
    assert answer.status == 200, answer.text
    found: dict[str, Any] = answer.json
    return found


async def test_an_uploaded_wheel_is_on_the_next_page_with_all_that_is_known_of_it(world: World) -> None:
    wheel = a_wheel(requires=("six",))

    answer = await upload(world.client, "team/dev", wheel)

    assert (answer.status, answer.text) == (200, "")
    shown = await page(world)
    assert shown["meta"] == {"api-version": "1.4"}
    assert shown["versions"] == ["1.0"]
    (file,) = shown["files"]
    assert file["url"] == f"../../{wheel.path}"
    assert file["hashes"] == {"sha256": wheel.sha256}
    assert file["size"] == len(wheel.content)
    assert file["upload-time"] == "2025-06-15T15:06:40.000000Z"
    assert file["core-metadata"] == {"sha256": wheel.metadata_sha256}
    assert file["yanked"] is False
    assert "provenance" not in file


async def test_the_file_and_its_metadata_come_back_byte_for_byte(world: World) -> None:
    wheel = a_wheel(metadata=metadata_of("pkg", "1.0") + b"Odd: \xff bytes\n")

    await upload(world.client, "team/dev", wheel)

    got = await world.client.get(f"/team/dev/{wheel.path}")
    assert (got.status, got.body) == (200, wheel.content)
    assert got.headers["cache-control"] == "max-age=365000000, immutable, public"
    metadata = await world.client.get(f"/team/dev/{wheel.path}.metadata")
    assert (metadata.status, metadata.body) == (200, wheel.metadata)


async def test_requires_python_comes_from_the_archive_and_not_from_the_form(world: World) -> None:
    wheel = a_wheel(metadata=metadata_of("pkg", "1.0", requires_python=">=3.9"))

    await upload(world.client, "team/dev", wheel, requires_python=">=2.7")

    assert (await page(world))["files"][0]["requires-python"] == ">=3.9"


async def test_metadata_of_every_version_is_kept_whole(world: World) -> None:
    text = (
        "Metadata-Version: 2.6\nName: pkg\nVersion: 1.0\nImport-Name: pkg\nProvides-Extra: x\nClassifier: A\n"
        "Classifier: B\nLicense-File: LICENSE\nFuture-Field: kept\n\nThe body.\n"
    )

    await upload(world.client, "team/dev", a_wheel(metadata=text.encode()))

    data = (await world.client.get("/team/dev/pkg/1.0", accept="application/json")).json["result"]
    assert data["metadata_version"] == "2.6"
    assert data["import_name"] == ["pkg"]
    assert data["provides_extras"] == ["x"]
    assert data["classifiers"] == ["A", "B"]
    assert data["future_field"] == "kept"
    assert data["description"].strip() == "The body."


async def test_the_history_says_who_uploaded_what_when(world: World) -> None:
    await upload(world.client, "team/dev", an_sdist())

    (link,) = (await world.client.get("/team/dev/pkg/1.0", accept="application/json")).json["result"]["+links"]

    assert link["rel"] == "releasefile"
    assert link["log"] == [{"what": "upload", "who": "team", "when": [2025, 6, 15, 15, 6, 40], "dst": "team/dev"}]


@pytest.mark.parametrize("path", ["/team/dev", "/team/dev/"])
async def test_the_last_slash_does_not_matter(world: World, path: str) -> None:
    wheel = a_wheel()
    body = a_form(fields_of(wheel, "pkg", "1.0"), wheel.filename, wheel.content)
    kind = f"multipart/form-data; boundary={BOUNDARY}"

    answer = await world.client.request("POST", path, body, content_type=kind, authorization=basic("team"))

    assert answer.status == 200


async def test_all_digests_that_tools_send_are_checked(world: World) -> None:
    wheel = a_wheel()
    right = {
        "md5_digest": hashlib.md5(wheel.content).hexdigest(),
        "blake2_256_digest": hashlib.blake2b(wheel.content, digest_size=32).hexdigest().upper(),
    }

    assert (await upload(world.client, "team/dev", wheel, **right)).status == 200


@pytest.mark.parametrize("field", ["sha256_digest", "md5_digest", "blake2_256_digest"])
async def test_a_wrong_digest_is_refused(world: World, field: str) -> None:
    before = world.everything()

    answer = await upload(world.client, "team/dev", a_wheel(), **{field: "0" * 64})

    assert answer.status == 400
    assert field in answer.text
    assert "damaged" in answer.text
    assert world.everything() == before


REFUSED: dict[str, tuple[Dist, dict[str, Any], str]] = {
    "no action": (a_wheel(), {":action": []}, ":action field not found"),
    "another action": (a_wheel(), {":action": "explode"}, "action 'explode' not supported"),
    "no name": (a_wheel(), {"name": ""}, "name is missing"),
    "a bad name": (a_wheel(), {"name": "../pkg"}, "is not a project name"),
    "no version": (a_wheel(), {"version": ""}, "version is missing"),
    "a version that is none": (a_wheel(), {"version": "one"}, "no valid version"),
    "another version": (a_wheel(), {"version": "2.0"}, "does not contain version '2.0'"),
    "another project": (a_wheel(), {"name": "other"}, "does not match project name 'other'"),
    "metadata of another version": (
        a_wheel(metadata=metadata_of("pkg", "2.0")), {}, "",
    ),
    "metadata of another project": (a_wheel(metadata=metadata_of("other", "1.0")), {}, ""),
    "metadata without a name": (a_wheel(metadata=b"Metadata-Version: 2.1\nVersion: 1.0\n"), {}, "must say Name once"),
    "metadata with two versions": (
        a_wheel(metadata=metadata_of("pkg", "1.0").replace(b"Version: 1.0", b"Version: 1.0\nVersion: 2")), {}, "once",
    ),
    "metadata of an unknown version": (
        a_wheel(metadata=metadata_of("pkg", "1.0").replace(b"2.1", b"9.0", 1)), {}, "known are 1.0 to 2.x",
    ),
    "a requirement that is none": (a_wheel(requires=("!!!",)), {}, "no requirement"),
    "a Python that is none": (a_wheel(metadata=metadata_of("pkg", "1.0", requires_python="bogus")), {}, "no specifier"),
    "no archive": (Dist("pkg-1.0.txt", b"text", b""), {}, "not a valid archive name"),
    "a path": (Dist("..\\pkg-1.0.tar.gz", b"text", b""), {}, ""),
    "an empty file": (Dist("pkg-1.0.tar.gz", b"", b""), {}, ""),
    "attestations that are none": (a_wheel(), {"attestations": "[{}]"}, "attestations"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
async def test_what_cannot_be_taken_is_refused_in_words(world: World, case: str) -> None:
    dist, fields, words = REFUSED[case]
    before = world.everything()

    body = a_form({**fields_of(dist, "pkg", "1.0"), **fields}, dist.filename, dist.content)
    answer = await post_form(world.client, "team/dev", body)

    assert answer.status == 400, answer.text
    assert words in answer.text
    assert "Traceback" not in answer.text
    assert world.everything() == before


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"no form at all", 400),
        (a_form({":action": "file_upload", "name": "pkg", "version": "1.0"}), 400),
        (a_form({":action": "file_upload"}, "pkg-1.0.tar.gz", b"x" * 100)[:-60], 400),
        (a_form({f"f{n}": "x" for n in range(6000)}), 413),
        (a_form({"description": "x" * (17 << 20)}), 413),
    ],
    ids=["empty", "garbage", "no file", "cut", "too many fields", "too large a field"],
)
async def test_a_broken_form_is_refused(world: World, body: bytes, status: int) -> None:
    before = world.everything()

    answer = await post_form(world.client, "team/dev", body)

    assert answer.status == status, answer.text
    assert world.everything() == before


async def test_an_upload_larger_than_allowed_is_refused(world: World) -> None:
    await world.restart(max_request_body_size=10_000)
    before = world.everything()

    answer = await upload(world.client, "team/dev", a_wheel(payload=bytes(20_000)))

    assert answer.status == 413
    assert "--max-request-body-size" in answer.text
    assert world.everything() == before


@pytest.mark.parametrize(
    "path", ["/", "/team", "/team/dev/+simple", "/team/dev/+simple/", "/team/dev/+simple/pkg/", "/team/dev/pkg/"]
)
async def test_an_upload_to_a_wrong_url_is_told_the_right_one(world: World, path: str) -> None:
    wheel = a_wheel()
    before = world.everything()

    body = a_form(fields_of(wheel, "pkg", "1.0"), wheel.filename, wheel.content)
    kind = f"multipart/form-data; boundary={BOUNDARY}"
    answer = await world.client.request("POST", path, body, content_type=kind, authorization=basic("team"))

    assert answer.status == 404
    assert "upload to http://testserver/" in answer.text
    assert world.everything() == before


async def test_a_mirror_takes_no_uploads(world: World) -> None:
    answer = await upload(world.client, "root/pypi", a_wheel())

    assert answer.status == 404
    assert "mirror" in answer.text


async def test_whoever_is_not_logged_in_is_asked_to(world: World) -> None:
    before = world.everything()

    answer = await upload(world.client, "team/dev", a_wheel(), user=None)

    assert answer.status == 401
    assert answer.headers["www-authenticate"] == 'Basic realm="pypi"'
    assert world.everything() == before


async def test_a_client_shows_its_user_the_sentence(world: World) -> None:
    body = a_form({":action": "explode"})

    twine = await post_form(world.client, "team/dev", body, user_agent="twine/7.0.0")
    uv = await post_form(world.client, "team/dev", body, user_agent="uv/0.13", accept="application/json;q=0.9")
    devpi = await post_form(world.client, "team/dev", body, user_agent="devpi-client/7.3.0 (py3.11)")

    assert twine.text == "action 'explode' not supported\n"
    assert uv.headers["content-type"] == "application/problem+json"
    assert uv.json["detail"] == "action 'explode' not supported"
    assert devpi.headers["content-type"] == "application/json"
    assert (devpi.json["type"], devpi.json["result"]) == ("actionlog", ["action 'explode' not supported"])


async def test_the_same_file_again_changes_nothing(world: World) -> None:
    wheel = a_wheel()
    for index in ("team/dev", "team/prod"):
        await upload(world.client, index, wheel)
    before = world.everything()

    dev = await upload(world.client, "team/dev", wheel)
    prod = await upload(world.client, "team/prod", wheel)

    assert (dev.status, prod.status) == (200, 200)
    assert prod.text == "Upload of identical file to non volatile index."
    assert world.everything() == before


async def test_a_volatile_index_replaces_a_file_and_its_old_url_is_gone(world: World) -> None:
    old, new = a_wheel(), a_wheel(payload=b"another")
    await upload(world.client, "team/dev", old)
    assert (await world.client.get(f"/team/dev/{old.path}")).status == 200

    answer = await upload(world.client, "team/dev", new)

    assert answer.status == 200
    assert [file["hashes"]["sha256"] for file in (await page(world))["files"]] == [new.sha256]
    assert (await world.client.get(f"/team/dev/{old.path}")).status == 410
    data = (await world.client.get("/team/dev/pkg/1.0", accept="application/json")).json["result"]
    assert [line["what"] for line in data["+links"][0]["log"]] == ["overwrite", "upload"]
    assert data["+links"][0]["log"][0]["count"] == 1


async def test_a_non_volatile_index_never_gives_a_name_other_bytes(world: World) -> None:
    await upload(world.client, "team/prod", a_wheel())
    before = world.everything()

    answer = await upload(world.client, "team/prod", a_wheel(payload=b"another"))

    assert answer.status == 409
    assert answer.text == "pkg-1.0-py3-none-any.whl already exists in non-volatile index\n"
    assert world.everything() == before


async def test_not_even_after_the_file_was_removed(world: World) -> None:
    wheel = a_wheel()
    await upload(world.client, "team/prod", wheel)
    await world.client.send("DELETE", "/team/prod/pkg/1.0?force", user="team")

    other = await upload(world.client, "team/prod", a_wheel(payload=b"another"))
    same = await upload(world.client, "team/prod", wheel)

    assert other.status == 409
    assert "already existed" in other.text
    assert same.status == 200
    assert (await world.client.get(f"/team/prod/{wheel.path}")).status == 200


@pytest.mark.parametrize(
    "filename", ["pkg-1.0.0-py3-none-any.whl", "PKG-1.0-py3-none-any.whl", "pkg-1.0-py3-none-ANY.whl"]
)
async def test_another_spelling_of_a_file_name_is_the_same_file(world: World, filename: str) -> None:
    wheel, other = a_wheel(), a_wheel(payload=b"other")
    spelled = Dist(filename, other.content, other.metadata)
    for index in ("team/dev", "team/prod"):
        await upload(world.client, index, wheel)
    before = world.everything()

    refused = await upload(world.client, "team/prod", spelled)
    assert (refused.status, world.everything() == before) == (409, True), refused.text

    replaced = await upload(world.client, "team/dev", spelled)
    assert replaced.status == 200, replaced.text
    assert [file["filename"] for file in (await page(world))["files"]] == [filename]


async def test_equal_versions_are_one_release(world: World) -> None:
    await upload(world.client, "team/dev", a_wheel("pkg", "1.0"))

    await upload(world.client, "team/dev", an_sdist("pkg", "1.0.0"), version="1.0.0")

    versions = (await world.client.get("/team/dev/pkg", accept="application/json")).json["result"]
    assert {version: len(data["+links"]) for version, data in versions.items()} == {"1.0": 2}


async def test_of_two_clients_with_one_file_name_one_wins(world: World) -> None:
    wheels = [a_wheel(payload=bytes([n])) for n in range(8)]

    answers = await asyncio.gather(*(upload(world.client, "team/prod", wheel) for wheel in wheels))

    assert sorted(answer.status for answer in answers) == [200] + [409] * 7
    (file,) = (await page(world, "team/prod"))["files"]
    winner = next(wheel for wheel, answer in zip(wheels, answers, strict=True) if answer.status == 200)
    assert file["hashes"]["sha256"] == winner.sha256
    assert (await world.client.get(f"/team/prod/{winner.path}")).body == winner.content


async def test_two_workers_have_one_winner_and_show_the_same(world: World) -> None:
    await world.restart(workers=2)
    other = world.another_app()
    await other.open()
    try:
        wheels = [a_wheel(payload=b"one"), a_wheel(payload=b"two")]
        clients = [world.client, Client(other)]
        answers = await asyncio.gather(
            *(upload(client, "team/prod", wheel) for client, wheel in zip(clients, wheels, strict=True))
        )

        assert sorted(answer.status for answer in answers) == [200, 409]
        pages = [(await client.get("/team/prod/+simple/pkg/", accept=JSON)).body for client in clients]
        assert pages[0] == pages[1]

        await upload(clients[1], "team/prod", a_wheel("pkg", "2.0"), version="2.0")
        shown = await world.client.get("/team/prod/+simple/pkg/", accept=JSON)
        assert len(shown.json["files"]) == 2
    finally:
        await other.close()


async def test_an_upload_whose_index_is_removed_meanwhile_leaves_nothing(world: World) -> None:
    await upload(world.client, "team/dev", a_wheel())

    await world.client.send("DELETE", "/team/dev", user="team")
    before = world.everything()
    answer = await upload(world.client, "team/dev", a_wheel("pkg", "2.0"), version="2.0")

    assert answer.status == 404
    assert world.everything() == before


async def test_a_registration_replaces_the_metadata_of_its_release(world: World) -> None:
    first = {":action": "submit", "name": "Pkg.Name", "version": "1.0", "summary": "one", "keywords": "k"}
    await post_form(world.client, "team/dev", a_form(first))

    answer = await post_form(world.client, "team/dev", a_form({**first, "keywords": [], "summary": "UNKNOWN"}))

    assert answer.status == 200
    data = (await world.client.get("/team/dev/pkg-name/1.0", accept="application/json")).json["result"]
    assert data["name"] == "Pkg.Name"
    assert data["summary"] == ""
    assert "keywords" not in data


async def test_a_registered_name_is_private_though_it_has_no_files(world: World) -> None:
    world.upstream.add("pkg", a_wheel("pkg", "99.0"))

    await post_form(world.client, "team/dev", a_form({":action": "submit", "name": "pkg", "version": "1.0"}))

    assert (await page(world))["files"] == []
    assert world.upstream.seen == []


def a_doc_zip() -> bytes:
    import io
    import zipfile

    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("index.html", "<h1>docs</h1>")
    return out.getvalue()


async def test_documentation_is_kept_beside_its_release(world: World) -> None:
    await upload(world.client, "team/dev", a_wheel())
    docs = a_doc_zip()

    fields = {":action": "doc_upload", "name": "pkg", "version": "1.0"}
    answer = await post_form(world.client, "team/dev", a_form(fields, "whatever.zip", docs))

    assert answer.status == 200, answer.text
    links = (await world.client.get("/team/dev/pkg/1.0", accept="application/json")).json["result"]["+links"]
    (link,) = [link for link in links if link["rel"] == "doczip"]
    assert link["href"].endswith("/pkg-1.0.doc.zip")
    assert (await world.client.get(link["href"].removeprefix("http://testserver"))).body == docs
    assert len((await page(world))["files"]) == 1


async def test_documentation_without_a_version_belongs_to_the_newest(world: World) -> None:
    for version in ("1.0", "1.10", "1.9"):
        await upload(world.client, "team/dev", a_wheel("pkg", version), version=version)

    await post_form(world.client, "team/dev", a_form({":action": "doc_upload", "name": "pkg"}, "d.zip", a_doc_zip()))

    links = (await world.client.get("/team/dev/pkg/1.10", accept="application/json")).json["result"]["+links"]
    assert {link["rel"] for link in links} == {"releasefile", "doczip"}


async def test_documentation_of_nothing_is_refused(world: World) -> None:
    body = a_form({":action": "doc_upload", "name": "pkg"}, "d.zip", a_doc_zip())

    answer = await post_form(world.client, "team/dev", body)

    assert answer.status == 400
    assert "has no releases to derive one from" in answer.text


def an_attestation(filename: str, sha256: str) -> dict[str, Any]:
    statement = {
        "_type": "https://in-toto.example/Statement/v1",
        "subject": [{"name": filename, "digest": {"sha256": sha256}}],
    }
    return {
        "version": 1,
        "verification_material": {"certificate": "Y2VydA==", "transparency_entries": [{}]},
        "envelope": {"statement": base64.b64encode(json.dumps(statement).encode()).decode(), "signature": "c2ln"},
    }


async def test_attestations_are_served_as_provenance(world: World) -> None:
    wheel = a_wheel()
    attestation = an_attestation(wheel.filename, wheel.sha256)

    answer = await upload(world.client, "team/dev", wheel, attestations=json.dumps([attestation]))

    assert answer.status == 200, answer.text
    (file,) = (await page(world))["files"]
    assert file["provenance"] == f"../../{wheel.path}.provenance"
    provenance = await world.client.get(f"/team/dev/{wheel.path}.provenance")
    assert provenance.headers["content-type"] == "application/vnd.pypi.integrity.v1+json"
    assert provenance.json["version"] == 1
    assert provenance.json["attestation_bundles"][0]["attestations"] == [attestation]


async def test_an_attestation_of_another_file_is_refused(world: World) -> None:
    wheel = a_wheel()
    attestation = an_attestation(wheel.filename, "0" * 64)
    before = world.everything()

    answer = await upload(world.client, "team/dev", wheel, attestations=json.dumps([attestation]))

    assert answer.status == 400
    assert "attestations" in answer.text
    assert world.everything() == before


async def test_an_archived_project_takes_no_uploads(world: World) -> None:
    await upload(world.client, "team/dev", a_wheel())
    await world.client.send("PATCH", "/team/dev/pkg", {"status": "archived"}, user="team")
    before = world.everything()

    answer = await upload(world.client, "team/dev", a_wheel("pkg", "2.0"), version="2.0")

    assert answer.status == 409
    assert "archived" in answer.text
    assert world.everything() == before


async def test_a_download_goes_on_while_the_file_is_removed(world: World) -> None:
    wheel = a_wheel(payload=bytes(200_000))
    await upload(world.client, "team/dev", wheel)
    streaming = Client(world.app, paths=False)

    got, removed = await asyncio.gather(
        streaming.get(f"/team/dev/{wheel.path}"), world.client.send("DELETE", "/team/dev/pkg", user="team")
    )

    assert removed.status == 200
    assert got.status == 410 or got.body == wheel.content


async def test_an_upload_from_a_page_of_somebody_else_in_a_browser_is_refused(world: World) -> None:
    wheel = a_wheel()
    before = world.everything()

    body = a_form(fields_of(wheel, "pkg", "1.0"), wheel.filename, wheel.content)
    answer = await post_form(world.client, "team/dev", body, sec_fetch_site="cross-site")

    assert answer.status == 403
    assert world.everything() == before


async def test_uploads_go_where_acl_upload_says(world: World) -> None:
    await a_user(world.client, "ci")
    await an_index(world.client, "team", "shared", acl_upload="ci")

    owner = await upload(world.client, "team/shared", a_wheel())
    ci = await upload(world.client, "team/shared", a_wheel(), user="ci")

    assert (owner.status, ci.status) == (403, 200)


async def test_an_sdist_promises_no_metadata_because_building_it_may_change_them(world: World) -> None:
    await upload(world.client, "team/dev", an_sdist())

    (file,) = (await page(world))["files"]

    assert file["core-metadata"] is False
    assert (await world.client.get(f"/team/dev/{an_sdist().path}.metadata")).status == 404


async def test_a_hostile_boundary_is_refused(world: World) -> None:
    kind = "multipart/form-data; boundary=" + "x" * 5000

    answer = await world.client.request("POST", "/team/dev/", b"x", content_type=kind, authorization=basic("team"))

    assert answer.status == 400
