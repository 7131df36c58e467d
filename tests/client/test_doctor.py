"""`devpi doctor`: what pip and uv get from an index, and what they are configured for."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from bench.ports import free_port
from stilton_client import filechecks, listings, pagechecks, toolchecks, toolsettings
from stilton_client.findings import Finding, Level
from stilton_client.listings import Answer, Listed
from stilton_client.toolchecks import Run
from stilton_client.toolsettings import Tool
from tests.support.builders import Dist, a_wheel, an_sdist
from tests.support.devpi import Client
from tests.support.publish import PASSWORD
from tests.support.server import BIN
from tests.support.upstream import Body, FakeUpstream, Redirect, Status, Threaded

TOOLS = {"PATH": str(BIN)}
NO_TOOLS = {"PATH": "/nowhere"}
WHEEL = a_wheel("pkg", "1.0")
SIMPLE = "https://index.example/u/i/+simple/"


@pytest.fixture
def index() -> Iterator[FakeUpstream]:
    """An index that is no devpi server, with one wheel."""
    with Threaded() as upstream:
        upstream.add("pkg", WHEEL)
        yield upstream


def examined(devpi: Client, words: str, **env: str) -> tuple[int, list[dict[str, str]]]:
    """(exit code, findings)."""
    status, lines = devpi.run(f"devpi doctor --json {words}", **env)
    text = "\n".join(lines)
    return status, json.loads(text[text.index("{") :])["findings"]


def simple(devpi: Client, index: FakeUpstream, **env: str) -> tuple[int, dict[str, dict[str, str]]]:
    """(exit code, the worst finding about each thing) of a bare index, without pip and uv."""
    status, found = examined(devpi, f"--simple {index.url} pkg", **(env or NO_TOOLS))
    levels = [level.value for level in Level]
    return status, {one["about"]: one for one in sorted(found, key=lambda one: levels.index(one["level"]))}


# Real tools.


def test_our_server_gives_pip_and_uv_all_they_need(devpi: Client) -> None:
    here = f"{devpi.server.url}/{devpi.me}/dev/+simple/"

    status, found = examined(devpi, "dep", PIP_INDEX_URL=here, UV_DEFAULT_INDEX=f"ours={here}", **TOOLS)

    assert status == 0
    assert [one for one in found if one["level"] in ("warning", "problem")] == []
    said = [one["says"] for one in found]
    assert "pip found dep==1.5 through this index, with the sha256 of its page" in said
    assert "uv found dep==1.5 through this index, with the sha256 of its page" in said
    assert "pip is configured for this index (PIP_INDEX_URL)" in said


def test_a_private_index_needs_a_login_that_the_tools_have(devpi: Client) -> None:
    devpi.has(WHEEL, an_sdist("pkg", "1.0"))
    devpi.follow("""
        $ devpi upload --from-dir dist
        $ devpi index dev acl_pkg_read=ME
    """)

    status, lines = devpi.run("devpi doctor", **TOOLS)
    host = "Put a line `machine 127.0.0.1 login USER password PASSWORD` into ~/.netrc"
    assert status == 1
    assert any("problem  pip" in line and "pip cannot get pkg==1.0" in line for line in lines), lines
    assert any("problem  uv" in line and "uv cannot get pkg==1.0" in line for line in lines), lines
    assert sum(host in line for line in lines) == 2

    in_url = f"http://{devpi.me}:{PASSWORD.replace(' ', '%20')}@127.0.0.1:{devpi.server.port}/{devpi.me}/dev/+simple/"
    status, found = examined(devpi, "pkg", PIP_INDEX_URL=in_url, UV_INDEX_URL=in_url, **TOOLS)
    assert status == 0, found
    assert PASSWORD not in json.dumps(found)
    assert PASSWORD.replace(" ", "%20") not in json.dumps(found)


def test_tools_that_ask_elsewhere_are_told_apart(devpi: Client) -> None:
    elsewhere = f"http://ann:secret@127.0.0.1:{free_port()}/simple/"

    status, lines = devpi.run(
        "devpi doctor dep --debug", PIP_INDEX_URL=elsewhere, PIP_EXTRA_INDEX_URL=elsewhere, UV_INDEX=elsewhere, **TOOLS
    )

    said = "\n".join(lines)
    assert status == 0, said
    assert "pip is configured for http://127.0.0.1" in said
    assert "pip also asks http://127.0.0.1" in said
    assert "uv also asks http://127.0.0.1" in said
    assert "-> devpi use --set-cfg" in said
    assert "secret" not in said


def test_configuration_files_of_both_are_read(devpi: Client) -> None:
    here = f"{devpi.server.url}/{devpi.me}/dev/+simple/"
    (devpi.folder / "pip.conf").write_text(f"[global]\nindex-url = {here}\n")
    (devpi.folder / "pyproject.toml").write_text(f'[[tool.uv.index]]\nname = "ours"\nurl = "{here}"\ndefault = true\n')
    files = {"PIP_CONFIG_FILE": str(devpi.folder / "pip.conf"), "UV_NO_CONFIG": ""}

    status, lines = devpi.run("devpi doctor dep", **files, **TOOLS)

    said = "\n".join(lines)
    assert status == 0, said
    assert "pip is configured for this index (its configuration files)" in said
    assert f"uv is configured for this index ({devpi.folder / 'pyproject.toml'})" in said
    assert "uv found dep==1.5" in said


# An index that lacks things.


@pytest.mark.parametrize(
    ("lack", "about", "level", "code"),
    [
        pytest.param({"metadata": False}, "metadata files", "warning", 0, id="metadata files"),
        pytest.param({"hashes": False}, "hashes", "problem", 1, id="hashes"),
        pytest.param({"ranges": False}, "ranges", "warning", 0, id="ranges"),
        pytest.param({"speaks": "html"}, "page", "warning", 0, id="JSON"),
        pytest.param({"speaks": "html"}, "upload times", "warning", 0, id="upload times of HTML"),
        pytest.param({"speaks": "json"}, "html", "warning", 0, id="HTML"),
    ],
)
def test_what_an_index_lacks_is_found(devpi: Client, lack: dict[str, Any], about: str, level: str, code: int) -> None:
    with Threaded(**lack) as index:
        index.add("pkg", WHEEL)
        status, found = simple(devpi, index)

    assert (status, found[about]["level"]) == (code, level), found


@pytest.mark.parametrize(
    ("keys", "about", "level"),
    [
        pytest.param({"upload_time": None}, "upload times", "warning", id="no upload time"),
        pytest.param({"upload_time": "yesterday"}, "upload times", "problem", id="no time at all"),
        pytest.param({"hashes": {"sha256": "0" * 64}}, "content", "problem", id="a wrong hash"),
        pytest.param({"core_metadata": {"sha256": "0" * 64}}, "metadata", "problem", id="a wrong hash of metadata"),
        pytest.param({"core_metadata": True}, "metadata", "ok", id="metadata without a hash"),
        pytest.param({"size": 5}, "size", "problem", id="a wrong size"),
        pytest.param({"yanked": "broken"}, "yanked", "warning", id="yanked in JSON only"),
    ],
)
def test_what_is_wrong_about_a_file_is_found(
    devpi: Client, index: FakeUpstream, keys: dict[str, Any], about: str, level: str
) -> None:
    index.add("pkg", WHEEL, **keys)

    status, found = simple(devpi, index)

    assert found[about]["level"] == level, found
    assert status == (1 if any(one["level"] == "problem" for one in found.values()) else 0)


def test_a_good_bare_index_has_no_problem(devpi: Client, index: FakeUpstream) -> None:
    status, found = simple(devpi, index)

    assert status == 0
    assert {one["level"] for one in found.values()} == {"ok", "info"}
    assert found["content"]["says"] == "pkg-1.0-py3-none-any.whl is what its sha256 promises"
    assert found["metadata"]["says"].endswith("and is what the wheel contains")


@pytest.mark.parametrize(
    ("path", "fault", "about", "words"),
    [
        pytest.param("/simple/pkg/", Redirect("/simple/pkg/"), "connection", "redirect", id="redirects in a circle"),
        pytest.param("/simple/pkg/", Status(404), "access", "answered with 404", id="no project"),
        pytest.param("/simple/pkg/", Status(401), "access", "answered with 401", id="login"),
        pytest.param("/simple/pkg/", Status(500), "access", "answered with 500", id="broken"),
        pytest.param("/simple/pkg/", Body(b"{}", listings.JSON), "page", "lists no files", id="no page"),
        pytest.param("/simple/pkg/", Body(b"<", listings.JSON), "page", "JSON cannot be parsed", id="no JSON"),
        pytest.param("/simple/pkg/", Body(b"[" * 99_999, listings.JSON), "page", "cannot be parsed", id="deep JSON"),
        pytest.param("/simple/pkg/", Body(b"<h1>Hi</h1>", "text/html"), "page", "it is text/html without", id="HTML"),
        pytest.param(
            "/simple/pkg/", Body(b"{}", "application/json"), "page", "it is application/json", id="other JSON"
        ),
        pytest.param(
            "/simple/pkg/",
            Body(b'<a href="/about.html">x</a>', "text/html"),
            "page",
            "any file of pkg",
            id="other links",
        ),
        pytest.param(f"/files/{WHEEL.filename}", Status(404), "content", "cannot be had (404)", id="no file"),
        pytest.param(f"/files/{WHEEL.filename}.metadata", Status(404), "metadata", "had (404)", id="no metadata"),
        pytest.param(f"/files/{WHEEL.filename}", Body(b"ha"), "content", "has the sha256", id="another file"),
    ],
)
def test_what_fails_is_a_problem(
    devpi: Client, index: FakeUpstream, path: str, fault: Body | Status | Redirect, about: str, words: str
) -> None:
    index.faults[path] = fault

    status, found = simple(devpi, index)

    assert status == 1
    assert found[about]["level"] == "problem"
    assert words in found[about]["says"]


@pytest.mark.parametrize("where", ["variable", "files"])
def test_tools_that_ask_no_index_are_a_problem(devpi: Client, where: str) -> None:
    (devpi.folder / "pip.conf").write_text("[global]\nno-index = true\n")
    (devpi.folder / "uv.toml").write_text("no-index = true\n")
    files = {"PIP_CONFIG_FILE": str(devpi.folder / "pip.conf"), "UV_CONFIG_FILE": "uv.toml", "UV_NO_CONFIG": ""}
    env = {"PIP_NO_INDEX": "1"} if where == "variable" else files

    status, found = examined(devpi, "dep", **env, **TOOLS)

    said = {one["says"]: one["change"] for one in found if one["level"] == "problem"}
    assert status == 1
    assert said == (
        {"pip asks no index at all: no-index is set (PIP_NO_INDEX)": "unset PIP_NO_INDEX"}
        if where == "variable"
        else {
            "pip asks no index at all: no-index is set (its configuration files)": "Take it out there; `pip config debug` shows which file has it.",
            f"uv asks no index at all: no-index is set ({devpi.folder / 'uv.toml'})": "Take it out there.",
        }
    )


def test_a_page_by_way_of_a_redirect_is_a_warning(devpi: Client, index: FakeUpstream) -> None:
    index.faults["/old/pkg/"] = Redirect("/simple/pkg/")

    status, found = examined(devpi, f"--simple {index.url.replace('simple', 'old')} pkg", **NO_TOOLS)

    assert status == 0
    assert [one["change"] for one in found if one["about"] == "redirects"] == [f"Configure {index.url}pkg/ instead."]


def test_a_login_goes_to_a_bare_index_and_is_not_shown(devpi: Client, index: FakeUpstream) -> None:
    index.users = {"ann": "secret"}

    status, lines = devpi.run(
        f"devpi doctor --simple {index.url.replace('//', '//ann:secret@')} pkg --debug", **NO_TOOLS
    )

    assert status == 0, lines
    assert any("who reads has to log in" in line for line in lines)
    assert "secret" not in "\n".join(lines)


def test_a_login_does_not_follow_links_to_other_servers(devpi: Client, index: FakeUpstream) -> None:
    with Threaded() as other:
        other.add("pkg", WHEEL)
        index.users = {"ann": "secret"}
        index.add("pkg", WHEEL, url=other.file_url(WHEEL))
        examined(devpi, f"--simple {index.url.replace('//', '//ann:secret@')} pkg", **NO_TOOLS)

        assert other.seen
        assert all("Authorization" not in headers for _, _, headers in other.seen)


def test_a_tool_that_was_asked_for_has_to_be_there(devpi: Client, index: FakeUpstream) -> None:
    status, found = examined(devpi, f"--simple {index.url} pkg --tool uv", **NO_TOOLS)

    assert status == 1
    assert found[-1] == {
        "about": "uv", "level": "problem", "says": "uv is not installed here",
        "change": "Install uv, or activate its environment.",
    }  # fmt: skip
    assert not any(one["about"] == "pip" for one in found)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        pytest.param("", "ME/dev has no project of its own", id="empty index"),
        pytest.param("--index root/pypi", "root/pypi is a mirror", id="mirror"),
        pytest.param("--simple SERVER", "--simple takes the URL of an index, and a project", id="bare index"),
    ],
)
def test_without_a_project_somebody_has_to_name_one(devpi: Client, words: str, said: str) -> None:
    devpi.follow(f"""
        $ devpi doctor {words}
        {said}
        …devpi doctor …PROJECT
        [1]
    """)


def test_what_is_too_large_is_not_fetched(devpi: Client, index: FakeUpstream) -> None:
    index.add("pkg", WHEEL, size=1 << 30)

    _, found = simple(devpi, index)

    assert "too large to look into (1074 MB)" in found["content"]["says"]
    asked = [
        headers.get("Range")
        for method, path, headers in index.seen
        if (method, path) == ("GET", f"/files/{WHEEL.filename}")
    ]
    assert asked == ["bytes=0-99", "bytes=-100"]


def test_another_page_for_uv_is_a_problem(devpi: Client, index: FakeUpstream) -> None:
    page = b'<a href="/files/pkg-1.0-py3-none-any.whl">x</a>'
    index.faults["/simple/pkg/"] = [Body(page, "text/html"), Body(page, "text/html"), Body(b"", "text/html")]

    status, found = simple(devpi, index)

    assert status == 1
    assert found["page"]["says"] == "uv gets another page than pip"


def test_a_project_without_wheels_is_not_tried(devpi: Client) -> None:
    devpi.has(an_sdist("pkg", "1.0"))
    devpi.lines("devpi upload --from-dir dist")

    status, found = examined(devpi, "--tool uv", UV_CONFIG_FILE="uv.toml", UV_NO_CONFIG="", **TOOLS)

    assert status == 0
    assert found[-1]["says"] == "uv was not tried: pkg has no wheel that fits everywhere"
    assert found[-1]["level"] == "info"


# Decisions.


def a_page(
    body: bytes = b"", *, url: str = f"{SIMPLE}pkg/", kind: str = "text/html", headers: Mapping[str, str] | None = None
) -> Answer:
    return Answer(url=url, status=200, headers={"content-type": kind, **(headers or {})}, body=body)


def a_file(url: str = f"{SIMPLE}pkg-1.0.tar.gz", **more: Any) -> Listed:
    return Listed(filename=url.rpartition("/")[2], url=url, **more)


def levels(found: Iterator[Finding], about: str) -> list[Level]:
    return [one.level for one in found if one.about == about]


@pytest.mark.parametrize(
    ("page", "file", "level"),
    [
        pytest.param("https://h/s/", "https://h/f/a.whl", Level.OK, id="same server"),
        pytest.param("https://h/s/", "https://h:443/f/a.whl", Level.OK, id="same port"),
        pytest.param("https://h/s/", "http://h/f/a.whl", Level.PROBLEM, id="http on https"),
        pytest.param("https://h/s/", "https://localhost:3141/f/a.whl", Level.PROBLEM, id="loopback"),
        pytest.param("https://h/s/", "https://files/a.whl", Level.WARNING, id="another host"),
    ],
)
def test_links_lead_to_the_same_server(page: str, file: str, level: Level) -> None:
    found = pagechecks.of_page(a_page(url=page), [a_file(file, sha256="0")], bare=False)

    assert levels(found, "links") == [level]


@pytest.mark.parametrize(
    ("headers", "again", "about", "level"),
    [
        pytest.param({"etag": "x"}, 304, "revalidation", Level.OK, id="304"),
        pytest.param({"etag": "x"}, 200, "revalidation", Level.WARNING, id="no 304"),
        pytest.param({}, 200, "revalidation", Level.WARNING, id="no ETag"),
        pytest.param({"cache-control": "no-store"}, 304, "caching", Level.WARNING, id="not kept"),
        pytest.param({"cache-control": "max-age=3600"}, 304, "caching", Level.WARNING, id="kept too long"),
        pytest.param({"cache-control": "max-age=600, public"}, 304, "caching", Level.OK, id="kept a while"),
    ],
)
def test_pages_are_asked_again_cheaply(headers: dict[str, str], again: int, about: str, level: Level) -> None:
    found = pagechecks.of_transport(a_page(headers=headers), Answer("", again), a_page(b"x"))

    assert levels(found, about) == [level]


@pytest.mark.parametrize(
    ("size", "headers", "level"),
    [
        pytest.param(20, {}, Level.INFO, id="small"),
        pytest.param(2000, {"content-encoding": "gzip"}, Level.INFO, id="compressed"),
        pytest.param(2000, {}, Level.WARNING, id="not compressed"),
    ],
)
def test_large_pages_come_compressed(size: int, headers: dict[str, str], level: Level) -> None:
    warm = Answer("", 200, headers, b"x" * size)

    found = pagechecks.of_transport(a_page(), Answer("", 304), warm)

    assert levels(found, "speed") == [level]


def test_json_and_html_have_to_agree() -> None:
    html = a_page(
        b'<base href="https://index.example/u/i/+simple/"><a href="pkg-1.0.tar.gz#sha256=' + b"1" * 64 + b'">x</a>'
    )
    page = a_page(kind=listings.JSON)

    assert levels(pagechecks.of_html(page, html, [a_file(sha256="1" * 64)]), "html") == [Level.OK]
    assert levels(pagechecks.of_html(page, html, [a_file(sha256="2" * 64)]), "html") == [Level.PROBLEM]
    assert levels(pagechecks.of_html(page, html, []), "html") == [Level.PROBLEM]


def test_json_of_version_1_0_is_old() -> None:
    page = a_page(b'{"meta": {"api-version": "1.0"}, "files": [{}]}', kind=listings.JSON)

    found = [one for one in pagechecks.of_page(page, [a_file()], bare=True) if one.about == "page"]

    assert [(one.level, one.says) for one in found] == [
        (Level.WARNING, "JSON pages of version 1.0 lack versions, size")
    ]


def test_a_file_without_a_name_is_not_understood() -> None:
    with pytest.raises(ValueError, match="no filename"):
        listings.listed(a_page(b'{"files": [{"url": "x"}]}', kind=listings.JSON))


def test_an_empty_page_is_no_page_to_judge_by() -> None:
    page = a_page(b'{"files": []}', kind=listings.JSON)

    listings.check(page, [], "pkg")

    assert levels(pagechecks.of_page(page, [], bare=True), "files") == [Level.WARNING]


@pytest.mark.parametrize("filename", ["zope.interface-1.0.tar.gz", "Zope_Interface-1.0-py3-none-any.whl"])
def test_files_belong_to_a_project_however_it_is_spelt(filename: str) -> None:
    listings.check(a_page(), [a_file("s/other-1.0.zip"), a_file(f"s/{filename}")], "zope-interface")

    with pytest.raises(ValueError, match="without a link to any file of interface"):
        listings.check(a_page(), [a_file(f"s/{filename}")], "interface")


def test_a_metadata_file_has_to_be_what_the_wheel_contains() -> None:
    file = a_file(metadata=WHEEL.metadata_sha256)
    other = a_wheel("pkg", "1.0", requires=("evil",))
    promised = Answer("", 200, body=WHEEL.metadata)

    assert filechecks.of_metadata(file, promised, WHEEL.content).level is Level.OK
    assert filechecks.of_metadata(file, promised, other.content).level is Level.PROBLEM
    assert filechecks.of_metadata(file, promised, b"no wheel").level is Level.OK


def test_a_part_has_to_be_the_one_that_was_asked_for() -> None:
    first = Answer("", 206, {"content-range": "bytes 0-99/500"}, b"x" * 100)
    last = Answer("", 206, {"content-range": "bytes 400-499/500"}, b"x" * 100)

    assert filechecks.of_ranges(first, last, 500).level is Level.OK
    assert filechecks.of_ranges(first, first, 500).level is Level.PROBLEM


def test_the_sample_is_a_small_wheel_with_metadata_that_is_not_yanked() -> None:
    names = [a_file("s/a.whl", size=1, metadata="", yanked=True), a_file("s/b.whl", size=9, metadata=""),
             a_file("s/c.whl", size=2), a_file("s/d.zip", size=1)]  # fmt: skip

    sample = filechecks.sample(names)
    assert sample is not None
    assert sample.filename == "b.whl"
    assert filechecks.sample([]) is None


@pytest.mark.parametrize(
    ("dists", "python", "wanted"),
    [
        pytest.param([a_wheel("pkg", "9.0"), a_wheel("pkg", "10.0")], "3.11", "pkg==10.0", id="newest"),
        pytest.param([an_sdist("pkg", "1.0")], "3.11", None, id="no wheel"),
        pytest.param([], "3.11", None, id="nothing"),
    ],
)
def test_tools_try_the_newest_wheel_that_fits_everywhere(dists: list[Dist], python: str, wanted: str | None) -> None:
    files = [Listed(dist.filename, "") for dist in dists]

    assert toolchecks.requirement("pkg", files, python) == wanted


def test_tools_try_nothing_that_needs_another_python_or_platform() -> None:
    files = [
        Listed("pkg-3.0-py3-none-any.whl", "", requires_python=">=3.99"),
        Listed("pkg-2.0-cp311-cp311-linux_x86_64.whl", ""),
        Listed("pkg-2.0.whl", ""),
        Listed("pkg-1.0-py3-none-any.whl", "", requires_python=">=3.8"),
    ]

    assert toolchecks.requirement("pkg", files, "3.11.7") == "pkg==1.0"


def a_tool(name: str = "pip", version: str = "26.3", **more: Any) -> Tool:
    return Tool(name, f"bin/{name}", version, **{"index": SIMPLE, **more})


@pytest.mark.parametrize(
    ("tool", "url", "words", "level"),
    [
        pytest.param(a_tool(version="21.0"), SIMPLE, "lacks JSON pages, metadata files", Level.WARNING, id="old pip"),
        pytest.param(a_tool(version="25.0"), SIMPLE, "lacks --uploaded-prior-to", Level.WARNING, id="last year's pip"),
        pytest.param(a_tool("uv", "0.4.1"), SIMPLE, "lacks UV_DEFAULT_INDEX", Level.WARNING, id="old uv"),
        pytest.param(a_tool(version="x!"), SIMPLE, "says that its version is 'x!'", Level.WARNING, id="strange pip"),
        pytest.param(a_tool(index=None), SIMPLE, "not configured for any index", Level.WARNING, id="not configured"),
        pytest.param(a_tool(index=SIMPLE[:-1]), SIMPLE, "is configured for this index", Level.OK, id="without slash"),
        pytest.param(a_tool(), "http://h/s/", "pip refuses h, because it comes by http", Level.PROBLEM, id="http"),
        pytest.param(a_tool(trusted=("index.example:443",)), SIMPLE, "does not check", Level.WARNING, id="trusted"),
        pytest.param(a_tool(cut="P3D"), SIMPLE, "uploaded after P3D", Level.PROBLEM, id="cut without times"),
    ],
)
def test_tools_have_to_be_new_and_configured(tool: Tool, url: str, words: str, level: Level) -> None:
    found = list(toolchecks.of_tool(tool, url, has_times=False))

    assert [one.level for one in found if words in one.says] == [level]


@pytest.mark.parametrize(
    ("errors", "says", "change"),
    [
        ("ERROR: no //ann:secret@h/x\nWARNING: other", "no //****@h/x", "Run it to see more: pip -v"),
        ("error: invalid peer certificate", "invalid peer certificate", "SSL_CERT_FILE=FILE.pem"),
        ("error: No interpreter found", "No interpreter found", "UV_PYTHON=FILE"),
        ("", "it says nothing", "pip -v"),
    ],
    ids=["password", "certificate", "interpreter", "silence"],
)
def test_what_a_tool_complains_of_is_told_in_a_line(errors: str, says: str, change: str) -> None:
    found = toolchecks.of_run(a_tool(), "pkg==1.0", Run(1, "", errors), [])

    assert found.level is Level.PROBLEM
    assert found.says == f"pip cannot get pkg==1.0: {says}"
    assert change in found.change


def test_a_tool_that_gets_other_bytes_asks_somewhere_else() -> None:
    run = Run(0, f"pkg==1.0 --hash=sha256:{'2' * 64}", "")

    assert toolchecks.of_run(a_tool(), "pkg==1.0", run, [a_file(sha256="1" * 64)]).level is Level.PROBLEM
    assert toolchecks.of_run(a_tool(), "pkg==1.0", run, [a_file(sha256="2" * 64)]).level is Level.OK


def test_variables_count_more_for_pip_than_files() -> None:
    listing = "global.index-url='http://a/'\ninstall.index-url='http://b/'\n:env:.index-url='http://c/'\nbroken='\n"

    assert toolsettings.pip_settings(listing) == ({"index-url": "http://c/"}, {"index-url": "PIP_INDEX_URL"})
    assert toolsettings.pip_settings(listing.partition(":env:")[0])[1] == {"index-url": "its configuration files"}


@pytest.mark.parametrize(
    ("environ", "file", "expected"),
    [
        pytest.param({}, {}, {"index": None, "extra": ()}, id="nothing"),
        pytest.param({"UV_INDEX_URL": "http://a/"}, {"index-url": "http://b/"},
                     {"index": "http://a/", "where": "UV_INDEX_URL"}, id="variable"),
        pytest.param({}, {"pip": {"index-url": "http://a/"}, "index-url": "http://b/"},
                     {"index": "http://a/", "where": "uv.toml"}, id="pip section"),
        pytest.param({"UV_DEFAULT_INDEX": "ours=http://a/?x=y"}, {}, {"index": "http://a/?x=y", "label": "ours"},
                     id="named"),
        pytest.param({"UV_INDEX": "x=http://a/ http://b/"},
                     {"index": [{"url": "http://c/"}, {"url": "http://d/", "explicit": True}],
                      "extra-index-url": ["http://e/"]},
                     {"extra": ("http://a/", "http://b/", "http://c/", "http://e/")}, id="beside"),
        pytest.param({}, {"pip": {"no-index": False}, "no-index": True}, {"no_index": ""}, id="an index after all"),
        pytest.param({}, {"exclude-newer": "2024-01-01", "allow-insecure-host": ["h"], "native-tls": True},
                     {"cut": "2024-01-01", "trusted": ("h",),
                      "environ": {"UV_INSECURE_HOST": "h", "UV_NATIVE_TLS": "true"}}, id="others"),
    ],
)  # fmt: skip
def test_uv_is_configured_by_variables_and_files(
    environ: Mapping[str, str], file: Mapping[str, Any], expected: Mapping[str, Any]
) -> None:
    found = toolsettings.of_uv("uv", "0.9", environ, [("uv.toml", file)])

    assert {name: getattr(found, name) for name in expected} == expected
