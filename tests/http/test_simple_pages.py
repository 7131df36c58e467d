"""Simple pages as clients ask for them: forms, codings, validators, URLs."""

import gzip
import sys
from urllib.parse import urljoin

import pytest

from tests.support.builders import a_wheel, an_sdist
from tests.support.world import World

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

PAGE = "/root/pypi/+simple/pkg/"
JSON = "application/vnd.pypi.simple.v1+json"
HTML = "application/vnd.pypi.simple.v1+html"


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        (None, "text/html; charset=utf-8"),
        ("*/*", "text/html; charset=utf-8"),
        ("text/html,application/xhtml+xml,*/*;q=0.8", "text/html; charset=utf-8"),
        (JSON, JSON),
        (f"{JSON}, {HTML}; q=0.1, text/html; q=0.01", JSON),
        (f"{JSON};q=0.1, text/html", "text/html; charset=utf-8"),
        (f"{JSON}, */*;q=0.1", JSON),
        ("application/vnd.pypi.simple.latest+json", JSON),
        (HTML, HTML),
    ],
)
async def test_the_form_is_the_one_that_is_liked_most(world: World, accept: str | None, kind: str) -> None:
    world.upstream.add("pkg", a_wheel())

    answer = await (world.client.get(PAGE, accept=accept) if accept else world.client.get(PAGE))

    assert answer.status == 200
    assert answer.headers["content-type"] == kind
    assert answer.headers["vary"] == "Accept, Accept-Encoding"
    assert answer.headers["cache-control"] == "no-cache"


async def test_a_form_that_cannot_be_given_is_406_in_words(world: World) -> None:
    world.upstream.add("pkg", a_wheel())

    answer = await world.client.get(PAGE, accept="application/pdf")

    assert answer.status == 406
    assert JSON in answer.text


async def test_the_query_beats_the_header(world: World) -> None:
    world.upstream.add("pkg", a_wheel())

    answer = await world.client.get(f"{PAGE}?format={JSON}", accept="text/html")

    assert answer.headers["content-type"] == JSON


async def test_every_form_and_coding_has_its_own_strong_etag_and_304(world: World) -> None:
    world.upstream.add("pkg", *(a_wheel(version=f"1.{n}") for n in range(20)))
    etags = set()
    for accept in (JSON, "text/html"):
        for coding in ("identity", "gzip", "zstd"):
            answer = await world.client.get(PAGE, accept=accept, accept_encoding=coding)
            again = await world.client.get(
                PAGE, accept=accept, accept_encoding=coding, if_none_match=answer.headers["etag"]
            )
            etags.add(answer.headers["etag"])

            assert (again.status, again.body) == (304, b"")
            assert again.headers["etag"] == answer.headers["etag"]

    assert len(etags) == 6
    assert not any(etag.startswith("W/") for etag in etags)


async def test_compressed_pages_are_the_same_page(world: World) -> None:
    world.upstream.add("pkg", *(a_wheel(version=f"1.{n}") for n in range(20)))

    plain = await world.client.get(PAGE, accept=JSON)
    zipped = await world.client.get(PAGE, accept=JSON, accept_encoding="gzip, deflate")
    packed = await world.client.get(PAGE, accept=JSON, accept_encoding="gzip, deflate, zstd")

    assert (zipped.headers["content-encoding"], packed.headers["content-encoding"]) == ("gzip", "zstd")
    assert plain.body == gzip.decompress(zipped.body) == zstd.decompress(packed.body)


async def test_head_has_the_headers_of_get_and_no_body(world: World) -> None:
    world.upstream.add("pkg", a_wheel())

    get = await world.client.get(PAGE, accept=JSON)
    head = await world.client.head(PAGE, accept=JSON)

    assert head.body == b""
    # The second was made before: no request's id is told.
    own = ("x-devpi-serial", "x-request-id")
    assert {k: v for k, v in head.headers.items() if k not in own} == {
        k: v for k, v in get.headers.items() if k not in own
    }


async def test_nothing_that_upstream_says_is_lost(world: World) -> None:
    wheel = a_wheel()
    world.upstream.add(
        "pkg",
        wheel,
        requires_python=">=3.8,<4",
        yanked="broken & <bad>",
        provenance="https://example.org/p",
        x_new={"a": [1]},
    )
    world.upstream.projects["pkg"].page.update(
        {"project-status": {"status": "archived", "reason": "done"}, "x-page": 1, "versions": ["1.0", "2.0"]}
    )

    page = (await world.client.get(PAGE, accept=JSON)).json
    html = (await world.client.get(PAGE, accept="text/html")).text

    file = page["files"][0]
    assert page["meta"]["api-version"] == "1.4"
    assert page["project-status"] == {"status": "archived", "reason": "done"}
    assert page["versions"] == ["1.0", "2.0"]
    assert page["x-page"] == 1
    assert file["x-new"] == {"a": [1]}
    assert file["yanked"] == "broken & <bad>"
    assert file["upload-time"] == "2024-05-06T07:08:09.123456Z"
    assert file["provenance"] == "https://example.org/p"
    assert file["size"] == len(wheel.content)
    assert file["core-metadata"] == file["dist-info-metadata"] == {"sha256": wheel.metadata_sha256}
    assert 'data-yanked="broken &amp; &lt;bad&gt;"' in html
    assert 'data-requires-python="&gt;=3.8,&lt;4"' in html
    assert '<meta name="pypi:repository-version" content="1.4">' in html


async def test_an_unknown_size_makes_the_page_say_one_point_nought(world: World) -> None:
    world.upstream.add("pkg", a_wheel(), size=None)

    page = (await world.client.get(PAGE, accept=JSON)).json

    assert page["meta"]["api-version"] == "1.0"
    assert "size" not in page["files"][0]
    assert "versions" not in page


@pytest.mark.parametrize("path", ["+simple/pkg/", "+simple/pkg", "pkg/", "pkg"])
async def test_installers_get_pages_whose_links_work_wherever_they_ask(world: World, path: str) -> None:
    wheel = a_wheel("pkg", "1.0+local")
    world.upstream.add("pkg", wheel)
    url = f"/root/pypi/{path}"

    page = await world.client.get(url, user_agent="pip/26.2 {}", accept=JSON)
    link = urljoin(f"http://h{url}", page.json["files"][0]["url"])
    body = await world.client.get(link.removeprefix("http://h"))

    assert page.status == 200
    assert (body.status, body.body) == (200, wheel.content)


@pytest.mark.parametrize("path", ["+simple/", "+simple", "", "/"])
async def test_installers_get_the_list_wherever_they_ask(world: World, path: str) -> None:
    world.upstream.add("pkg", a_wheel())
    url = f"/root/pypi/{path}".replace("//", "/").removesuffix("/") + ("/" if path.endswith("/") else "")

    answer = await world.client.get(url, user_agent="uv/0.12", accept=JSON)

    assert answer.status == 200
    assert answer.json["projects"] == [{"name": "pkg"}]


@pytest.mark.parametrize(
    ("path", "location"),
    [
        ("/root/pypi/+simple", "/root/pypi/+simple/"),
        ("/root/pypi/+simple/pkg", "/root/pypi/+simple/pkg/"),
        ("/root/pypi/+simple/My.Pkg/", "/root/pypi/+simple/my-pkg/"),
        ("/root/pypi/+simple/my__pkg", "/root/pypi/+simple/my-pkg/"),
        ("/root/pypi/My_Pkg", "/root/pypi/my-pkg"),
        ("/root/pypi/My_Pkg/1.0", "/root/pypi/my-pkg/1.0"),
    ],
)
async def test_people_are_sent_to_the_one_url_of_a_page(world: World, path: str, location: str) -> None:
    answer = await world.client.get(path, user_agent="Mozilla/5.0", accept="text/html")

    assert (answer.status, answer.headers["location"]) == (302, location)


async def test_sdists_are_listed_without_metadata_and_wheels_always_with(world: World) -> None:
    world.upstream.metadata = False
    world.upstream.add("pkg", an_sdist(), a_wheel())

    page = (await world.client.get(PAGE, accept=JSON)).json

    assert [file["core-metadata"] for file in page["files"]] == [False, True]


async def test_an_encoded_plus_is_a_plus(world: World) -> None:
    wheel = a_wheel()
    world.upstream.add("pkg", wheel)

    answer = await world.client.get(f"/root/pypi/{wheel.path.replace('+f', '%2Bf')}")

    assert answer.body == wheel.content


async def test_an_upload_time_that_is_none_is_left_out(world: World) -> None:
    world.upstream.add("pkg", a_wheel(), upload_time=None)

    file = (await world.client.get(PAGE, accept=JSON)).json["files"][0]

    assert "upload-time" not in file
