"""What a running server writes: for people, for machines, and never a secret."""

import base64
import contextlib
import json
import re
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from stilton.lines import target
from stilton.serverdir import ServerDir
from tests.support.builders import a_wheel
from tests.support.deadline import until
from tests.support.publish import BOUNDARY, a_form, basic, fields_of
from tests.support.server import Server, a_server, run
from tests.support.upstream import FakeUpstream, Redirect, Status, Threaded
from tests.support.world import make_serverdir

PASSWORD = "pa55-of-team"
FORM = f"multipart/form-data; boundary={BOUNDARY}"
INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
HUMAN = re.compile(
    r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} INFO  \[(?P<request>[\w.-]+)\] GET /root/pypi/\+simple/idna/ 200 (?P<bytes>\d+) B "
    r"(?P<ms>\d+\.\d) ms(?P<cache> \w+)?(?P<upstream> upstream \d+ ms)? (?P<actor>\w*)@127\.0\.0\.1"
)


@pytest.fixture
def serverdir(tmp_path: Path) -> Path:
    make_serverdir(tmp_path / "server", "http://127.0.0.1:9/simple/")
    return tmp_path / "server"


def objects(server: Server) -> list[dict[str, Any]]:
    """Every line of a log in JSON; a line that is none fails the test."""
    return [json.loads(line) for line in server.log().splitlines()]


def of_path(server: Server, path: str) -> list[dict[str, Any]]:
    return [line for line in objects(server) if line.get("path") == path]


def a_team(server: Server) -> str:
    """User `team` with index `team/dev`; a login token."""
    assert server.send_json("PUT", "/team", {"password": PASSWORD})[0] == 201
    status, answer = server.send_json("POST", "/+login", {"user": "team", "password": PASSWORD})
    assert status == 200
    token: str = answer["result"]["password"]
    assert server.send_json("PUT", "/team/dev", {}, authorization=f"Bearer {token}")[0] == 200
    return token


def upload(server: Server, authorization: str, name: str = "pkg") -> int:
    wheel = a_wheel(name)
    body = a_form(fields_of(wheel, name, "1.0"), wheel.filename, wheel.content)
    return server.send("POST", "/team/dev/", body, content_type=FORM, authorization=authorization)[0]


def test_a_line_for_people_tells_size_time_cache_and_upstream(tmp_path: Path) -> None:
    with Threaded() as upstream:
        upstream.add("idna", a_wheel("idna", "3.2"))
        make_serverdir(tmp_path / "server", upstream.url)
        with a_server(tmp_path / "server", "--no-read-ahead") as server:
            sizes = [len(server.get("/root/pypi/+simple/idna/")[2]) for _ in range(2)]
            until(lambda: len(HUMAN.findall(server.log())) == 2, "both are logged")

    first, second = HUMAN.finditer(server.log())
    assert [int(line["bytes"]) for line in (first, second)] == sizes
    assert (first["cache"], bool(first["upstream"])) == (" miss", True)
    assert (second["cache"], second["upstream"]) == (" hit", None)


def test_a_line_for_machines_is_an_object_with_stable_names(tmp_path: Path) -> None:
    with Threaded() as upstream:
        upstream.add("idna", wheel := a_wheel("idna", "3.2"))
        make_serverdir(tmp_path / "server", upstream.url)
        with a_server(tmp_path / "server", "--log-format", "json", "--no-read-ahead") as server:
            _, headers, page = server.get("/root/pypi/+simple/idna/", x_request_id="from-the-proxy")
            server.get("/root/pypi/+simple/idna/")
            server.get(f"/root/pypi/{wheel.path}")
            server.get("/the-end")
            until(lambda: of_path(server, "/the-end"), "the last request is logged")

    first, second = of_path(server, "/root/pypi/+simple/idna/")
    assert INSTANT.fullmatch(first.pop("time"))
    assert first.pop("duration_ms") > 0
    assert first.pop("upstream_ms") > 0
    assert headers["x-request-id"] == "from-the-proxy"
    assert first == {
        "level": "info", "logger": "stilton.access", "message": "GET /root/pypi/+simple/idna/ 200",
        "request": "from-the-proxy", "address": "127.0.0.1", "actor": None, "method": "GET",
        "path": "/root/pypi/+simple/idna/", "index": "root/pypi", "project": "idna", "status": 200,
        "bytes": len(page), "cache": "miss",
    }  # fmt: skip
    assert (second["cache"], second["upstream_ms"], second["bytes"]) == ("hit", None, len(page))
    (file,) = of_path(server, f"/root/pypi/{wheel.path}")
    assert (file["project"], file["bytes"], file["cache"]) == ("idna", len(wheel.content), "miss")
    (start,) = [line for line in objects(server) if "Hit Ctrl-C" in line["message"]]
    assert (start["level"], start["logger"]) == ("info", "stilton")


def test_lines_of_one_request_have_its_id_and_its_actor(serverdir: Path) -> None:
    with a_server(serverdir, "--log-format", "json") as server:
        token = a_team(server)
        assert upload(server, f"Bearer {token}") == 200
        until(lambda: of_path(server, "/team/dev/"), "the upload is logged")

    (access,) = of_path(server, "/team/dev/")
    (said,) = [line for line in objects(server) if line["message"].startswith("team uploaded pkg")]
    assert (access["actor"], access["index"], access["status"]) == ("team", "team/dev", 200)
    assert access["request"] == said["request"]
    assert said["logger"] == "stilton.publish.upload"


def test_requests_at_the_same_time_keep_their_ids_apart(serverdir: Path) -> None:
    with a_server(serverdir, "--log-format", "json") as server:
        token = a_team(server)
        names = [f"pkg{number}" for number in range(12)]
        threads = [threading.Thread(target=upload, args=(server, f"Bearer {token}", name)) for name in names]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        until(lambda: len(of_path(server, "/team/dev/")) == 12, "all are logged")

    ids = [line["request"] for line in objects(server) if "uploaded" in line["message"]]
    assert len(set(ids)) == 12
    assert set(ids) == {line["request"] for line in of_path(server, "/team/dev/")}


def test_who_reports_an_internal_error_can_name_the_request(serverdir: Path) -> None:
    with a_server(serverdir) as server:
        token = a_team(server)
        with contextlib.closing(sqlite3.connect(ServerDir(serverdir).database)) as database:
            database.execute("CREATE TRIGGER broken BEFORE INSERT ON users BEGIN SELECT RAISE(ABORT, 'broken'); END")
        status, answer = server.send_json("PATCH", "/team", {"title": "x"}, authorization=f"Bearer {token}")

    request = answer["message"].removeprefix("Internal error, request ").removesuffix("; the server's log has it.")
    assert status == 500
    assert re.fullmatch("[0-9a-f]{8}", request)
    assert f" ERROR [{request}] Internal error on PATCH /team\n" in server.log()
    assert re.search(rf"INFO  \[{request}\] PATCH /team 500 ", server.log())


@pytest.fixture(scope="module")
def refusing() -> Iterator[FakeUpstream]:
    """An upstream that wants credentials, and a server that takes no uploads."""
    with Threaded() as upstream:
        upstream.users = {"nobody": "here"}
        yield upstream


@pytest.mark.parametrize("form", ["human", "json"])
def test_no_secret_is_ever_written(tmp_path: Path, refusing: FakeUpstream, form: str) -> None:
    """Whatever is done with secrets, well or badly, at the most talkative level."""
    secrets = {
        "mirror": "s3cret-of-mirror", "push": "s3cret-of-push", "root": "s3cret-of-root", "wrong": "s3cret-but-wrong",
        "new": "s3cret-made-new", "query": "s3cret-in-query", "bearer": "s3cret-bearer-that-is-none",
    }  # fmt: skip
    make_serverdir(tmp_path / "server", refusing.url.replace("://", f"://mirror-user:{secrets['mirror']}@"))
    with a_server(tmp_path / "server", "--debug", "--log-format", form, "--request-timeout", "1") as server:
        token = a_team(server)
        assert upload(server, basic("team", PASSWORD)) == 200
        upload(server, basic("team", secrets["wrong"]))
        devpi = base64.b64encode(f"team:{token}".encode()).decode()
        server.get("/team/dev", x_devpi_auth=devpi)
        server.get("/team/dev", authorization=f"Bearer {secrets['bearer']}")
        server.get(f"/+login/{token}")
        server.get(f"/?token={token}&password={secrets['query']}&x_api_key={secrets['query']}")
        server.get(f"/x/http://me:{secrets['query']}@host/")
        for body in (b'{"user": "team", "password": ', json.dumps({"user": "team", "password": 5}).encode()):
            server.send("POST", "/+login", body, accept="application/json")
        server.send_json("POST", "/+login", {"user": "team", "password": secrets["wrong"]})
        for name in ("secretive", "unknown"):
            server.get(f"/root/pypi/+simple/{name}/")
        wish = {"name": "pkg", "version": "1.0", "username": "push-user", "password": secrets["push"]}
        for url in (
            f"{refusing.url.removesuffix('simple/')}legacy/",
            "http://127.0.0.1:9/",
            f"http://u:{secrets['push']}@127.0.0.1:9/",
        ):
            server.send_json("PUSH", "/team/dev", {**wish, "posturl": url}, authorization=basic("team", PASSWORD))
        mirror = {"type": "mirror", "mirror_url": f"http://u:{secrets['mirror']}@127.0.0.1:9/simple/"}
        server.send_json("PUT", "/team/other", mirror, authorization=basic("team", PASSWORD))
        server.send_json("PUT", "/team/wrong", {**mirror, "mirror_url": f"u:{secrets['mirror']}@x"}, x_devpi_auth=devpi)
        server.get("/team/other/+simple/pkg/")
        status, changed = server.send_json("PATCH", "/team", {"password": secrets["new"]}, x_devpi_auth=devpi)
        assert status == 200
        server.get(f"/{token}/dev")  # a slip of the hand: it looks like an index
        server.get("/the-end")
        until(lambda: "/the-end" in server.log(), "the last request is logged")

    log = server.log()
    tokens = (token, changed["result"]["password"])
    encoded = [
        base64.b64encode(f"{user}:{secret}".encode()).decode()
        for user in ("team", "mirror-user", "push-user", "u") for secret in (*secrets.values(), PASSWORD, *tokens)
    ]  # fmt: skip
    assert [secret for secret in (*secrets.values(), PASSWORD, *tokens, *encoded) if secret in log] == []
    assert "$argon2id" not in log
    assert "Traceback" not in log
    assert "password=****" in log
    if form == "json":
        assert objects(server)


def test_nobody_writes_lines_of_the_log_or_on_the_terminal_of_who_reads_it(serverdir: Path) -> None:
    forged = "%0a2026-01-31%2012:00:00,123%20INFO%20forged%1b%5B2J%0d%c2%85%e2%80%a8"
    secret = "s3cret-of-a-header"
    with a_server(serverdir, "--debug") as server:
        with contextlib.closing(sqlite3.connect(ServerDir(serverdir).database)) as database:
            database.execute("ALTER TABLE held RENAME TO elsewhere")  # what nobody foresaw: a traceback
        for path in (f"/{forged}", f"/root/pypi/+f/{forged}", f"/root/pypi/+simple/{forged}/", f"/+api?{forged}"):
            server.get(path, user_agent=f"x {secret}", referer=f"http://me:{secret}@host/", x_forwarded_for=secret)
            server.send_json("PUT", path, {})
        server.send_json("POST", "/+login", {"user": "a\nb\x1b[2J", "password": "c\nd"})
        server.get("/+api", authorization=basic("a\nb", "c"), x_request_id="a b")
        server.get("/the-end")
        until(lambda: "/the-end" in server.log(), "the last request is logged")

    log = server.logfile.read_bytes().decode()
    assert "Internal error on GET /root/pypi/+f/" in log
    assert [line for line in log.split("\n") if line.startswith("2026-01-31")] == []
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028]", log)
    assert secret not in log


def test_a_request_of_any_length_is_a_short_line(serverdir: Path) -> None:
    with a_server(serverdir, "--log-format", "json") as server:
        for number in range(3):
            server.get(f"/+api?{number}&x=1&{'pass' * 12_000}")
        server.get("/" + "a" * 50_000)
        server.get("/the-end")
        until(lambda: of_path(server, "/the-end"), "the last request is logged")

    lines = [line for line in objects(server) if line["logger"] == "stilton.access"]
    assert [line["status"] for line in lines[-5:]] == [200, 200, 200, 400, 404]
    assert max(map(len, server.log().splitlines())) < 5000
    assert lines[-2]["path"].endswith("… (50001 characters)")


def test_a_signature_to_which_upstream_redirects_is_not_told(tmp_path: Path) -> None:
    with Threaded() as upstream:
        wheel = a_wheel("idna", "3.2")
        upstream.add("idna", wheel, core_metadata=False)
        for path in ("/simple/idna/", f"/files/{wheel.filename}"):
            upstream.faults[path] = Redirect(f"/refused?X-Amz-Signature={PASSWORD}&Expires=1")
        upstream.faults["/refused"] = Status(403)
        make_serverdir(tmp_path / "server", upstream.url)
        with a_server(tmp_path / "server", "--debug") as server:
            page = server.get("/root/pypi/+simple/idna/")
            del upstream.faults["/simple/idna/"]
            server.get("/root/pypi/+simple/idna/")
            file = server.get(f"/root/pypi/{wheel.path}")
            state = server.get("/+status")

    assert page[0] >= 400
    assert file[0] >= 400
    for told in (page[2], file[2], state[2], server.log().encode()):
        assert PASSWORD.encode() not in told


def test_an_operators_own_configuration_is_used(serverdir: Path, tmp_path: Path) -> None:
    written = tmp_path / "own.log"
    document = {
        "version": 1,
        "formatters": {"own": {"format": "%(levelname)s|%(name)s|%(request)s|%(message)s"}},
        "handlers": {"file": {"class": "logging.FileHandler", "filename": str(written), "formatter": "own"}},
        "root": {"level": "INFO", "handlers": ["file"]},
    }
    for suffix, text in ((".json", json.dumps(document)), (".yaml", json.dumps(document))):
        config = tmp_path / f"logging{suffix}"
        config.write_text(text)
        written.write_text("")
        with a_server(serverdir, "--logger-cfg", str(config)) as server:
            server.get("/+api?token=s3cret")
            until(lambda: "/+api" in written.read_text(), "the request is logged")
            server.get("/the-end")

        assert "INFO|stilton|None|Hit Ctrl-C to quit." in written.read_text()
        assert re.search(r"INFO\|stilton\.access\|\w+\|.*GET /\+api\?token=\*\*\*\* 200", written.read_text())
        assert "GET" not in server.log()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "cannot be read"),
        ("{", "no configuration"),
        ("[]", "no configuration"),
        ('{"version": 7}', "no configuration"),
        ('{"version": 1, "handlers": {"x": {"class": "nowhere.Handler"}}}', "no configuration"),
    ],
    ids=["missing", "cut", "list", "version", "class"],
)
def test_a_configuration_that_cannot_be_used_stops_the_start(
    serverdir: Path, tmp_path: Path, content: str | None, words: str
) -> None:
    config = tmp_path / "logging.json"
    if content is not None:
        config.write_text(content)

    done = run("devpi-server", "--serverdir", str(serverdir), "--logger-cfg", str(config))

    assert done.returncode == 1
    assert done.stderr.startswith(f"fatal: --logger-cfg is {config}")
    assert words in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("path", "query", "shown"),
    [
        ("/a", "x=1&token=abc&y=2", "/a?x=1&token=****&y=2"),
        ("/a", "X-Amz-Signature=abc", "/a?X-Amz-Signature=****"),
        ("/a", "passwd=a%26b", "/a?passwd=****"),
        ("/a/stilton-login-abc.def_g-h/b", "", "/a/stilton-login-****/b"),
        ("/a\n2026", "", "'/a\\n2026'"),
        ("/a", "explain", "/a?explain"),
    ],
)
def test_a_path_is_shown_without_secrets_on_one_line(path: str, query: str, shown: str) -> None:
    assert target(path, query) == shown
