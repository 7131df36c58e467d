"""Servers that lie, hang or talk to the terminal, and people who mistype."""

import json
import os
import ssl
import subprocess
from pathlib import Path

import pytest
import trustme

from bench.ports import free_port
from stilton_client.terminal import printable
from tests.client.test_http import Place, a_place, says
from tests.support.devpi import Client, Yard
from tests.support.publish import PASSWORD

ESCAPES = "\x1b[2J\x1b]0;title\x07\x9b1m\u202e"


def an_api(**urls: str) -> object:
    return says({"type": "apiconfig", "result": {"authstatus": ["noauth", "", []], "features": [], **urls}})


@pytest.fixture
def fresh(yard: Yard, tmp_path: Path) -> Client:
    """Nothing is chosen yet."""
    (tmp_path / "home").mkdir()
    return Client(yard.server, yard.upstream, tmp_path / "home")


def answers(fresh: Client, place: Place, **env: str) -> tuple[int, str]:
    status, lines = fresh.run(f"devpi use {place.url}/a/b", **env)
    return status, "\n".join(lines)


def test_a_login_never_goes_from_https_to_http(fresh: Client, tmp_path: Path) -> None:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    answer = an_api(login="http://127.0.0.1/+login", index="http://127.0.0.1/a/b")
    with a_place(answer, context) as place:  # type: ignore[arg-type] # an Answer
        status, said = answers(fresh, place, REQUESTS_CA_BUNDLE=str(tmp_path / "ca.pem"), HTTPS_PROXY="")

    assert status == 1
    assert "logins go to http://127.0.0.1/+login, in the clear" in said
    assert "--outside-url" in said
    assert not (fresh.folder / ".devpi").exists()


@pytest.mark.parametrize(
    ("urls", "said"),
    [
        ({"login": "http://elsewhere.invalid/+login", "index": "/a/b"}, ""),
        ({"login": "/+login", "index": "http://elsewhere.invalid/a/b"}, "contradicts itself"),
        ({"login": "/+login", "index": "/a/b", "simpleindex": "/a\n/b"}, "is no index server"),
        ({"login": "/+login", "index": "/a/b", "pypisubmit": "http://elsewhere.invalid/"}, "contradicts itself"),
        ({"index": "/a/b"}, "is no index server"),
    ],
    ids=["login", "index", "newline", "submit", "no login"],
)
def test_a_server_that_contradicts_itself_is_not_chosen(fresh: Client, urls: dict[str, str], said: str) -> None:
    with a_place(an_api(**urls)) as place:  # type: ignore[arg-type] # an Answer
        status, lines = answers(fresh, place)

    if said:
        assert status == 1
        assert said in lines
        assert not (fresh.folder / ".devpi").exists()
    else:
        assert "The server has rewritten the url to: http://elsewhere.invalid/a/b" in lines


def test_nothing_that_a_server_says_drives_the_terminal(fresh: Client) -> None:
    with a_place(says({"message": f"no{ESCAPES}"}, 404)) as place:
        status, said = answers(fresh, place)
        _, debugged = fresh.run(f"devpi --debug getjson {place.url}/{ESCAPES[:4]}")

    assert status == 1
    assert "404 Not Found: no\ufffd[2J\ufffd]0;title\ufffd\ufffd1m\ufffd" in said
    assert not set("\x1b\x07\x9b\u202e") & set(said + "".join(debugged))
    assert printable("a\tb\nc ünï 日本") == "a\tb\nc ünï 日本"


@pytest.mark.parametrize(
    "body", [b"[" * 100_000, b'{"result": ' * 50_000, b"\xff\xfe", b""], ids=["lists", "dicts", "bytes", "none"]
)
def test_json_that_cannot_be_is_no_fault_of_ours(fresh: Client, body: bytes) -> None:
    with a_place(lambda _: (200, {"content-type": "application/json"}, body)) as place:
        status, said = answers(fresh, place)

    assert status == 1
    assert "is no index server: its answer is not understood" in said


@pytest.mark.parametrize(
    ("typed", "code", "said"),
    [
        ("localhost:3141", 2, "Write http://localhost:3141 or https://localhost:3141."),
        ("http://[::1", 2, "invalid URL"),
        ("http://host:99999/", 2, "invalid URL"),
        ("http://me:word@[::1", 2, "invalid URL: http://****@[::1"),
    ],
)
def test_a_url_that_cannot_be_is_refused_with_how_to_write_it(fresh: Client, typed: str, code: int, said: str) -> None:
    status, lines = fresh.run(f"devpi use '{typed}'")

    assert status == code
    assert said in "\n".join(lines)
    assert "internal error" not in "\n".join(lines)


def test_the_url_of_pages_is_taken_for_that_of_its_index(devpi: Client) -> None:
    devpi.follow("$ devpi use SERVER/root/pypi/+simple/\ncurrent devpi index: SERVER/root/pypi (logged in as ME)")


def test_what_is_not_there_leads_to_what_is(devpi: Client) -> None:
    devpi.follow("""
        $ devpi use no/such
        404 Not Found: The stage no/such could not be found.
        See what there is: devpi use -l
        [1]
        $ devpi use -u nobody
        no login of 'nobody' is stored for SERVER/
        Log in: devpi login nobody
        [1]
        $ devpi login ME --password wrong
        401 Unauthorized: user 'ME' could not be authenticated…
        The name or the password is not right. Names: devpi user -l (at SERVER/).
        [1]
        $ devpi use
        current devpi index: SERVER/ME/dev (logged in as ME)
    """)


def test_a_proxy_that_does_not_answer_is_named(fresh: Client) -> None:
    proxy = f"http://user:secret-word@127.0.0.1:{free_port()}"

    status, lines = fresh.run("devpi use http://packages.example.com/", HTTP_PROXY=proxy)

    said = "\n".join(lines)
    assert status == 1
    assert f"through {proxy.replace('user:secret-word@', '')}: " in said
    assert "HTTP_PROXY" in said
    assert "secret-word" not in said


def test_tls_where_there_is_none_is_told(fresh: Client) -> None:
    url = fresh.server.url.replace("http:", "https:")

    status, lines = fresh.run(f"devpi use {url}", HTTPS_PROXY="")

    assert status == 1
    assert "does not speak TLS there: try http://" in "\n".join(lines)


@pytest.mark.parametrize("backend", ["no_such_module.Ring", "ringbackend.Raising"])
def test_a_keyring_that_is_broken_is_told_and_the_password_asked_for(devpi: Client, backend: str) -> None:
    (devpi.folder / "ringbackend.py").write_text(
        "from keyring.backend import KeyringBackend\n"
        "class Raising(KeyringBackend):\n    priority = 1\n"
        "    def get_password(self, service, username):\n        raise RuntimeError('broken')\n"
    )
    ring = {"PYTHONPATH": str(devpi.folder), "PYTHON_KEYRING_BACKEND": backend}

    status, lines = devpi.run("devpi login ME", typed=f"{PASSWORD}\n", **ring)

    assert status == 0
    assert lines[0].startswith("warning: the keyring cannot be asked (")


def test_a_state_that_somebody_spoilt_is_named(devpi: Client) -> None:
    path = devpi.folder / ".devpi/client/current.json"
    path.write_text(json.dumps({"index": 5, "login": []}))

    status, lines = devpi.run("devpi use")

    assert status == 1
    assert lines[0].endswith("current.json is damaged: index is no text")
    assert json.loads(path.read_text())["index"] == 5


def test_an_output_that_takes_nothing_is_told(devpi: Client) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [devpi.tool, "getjson", "/"], stdout=full, stderr=subprocess.PIPE, text=True, check=False, env=devpi.env,
            cwd=devpi.folder, timeout=30,
        )  # fmt: skip

    assert done.returncode == 1
    assert "the output cannot be used: No space left on device" in done.stderr


def test_a_configuration_to_paste_is_there_as_json(devpi: Client) -> None:
    found = json.loads("\n".join(devpi.lines("devpi use --show-config uv --json")))

    assert found["tool"] == "uv"
    assert f"/{devpi.me}/dev/+simple/" in found["text"]


def test_a_page_for_people_is_not_taken_for_json(fresh: Client) -> None:
    with a_place(lambda _: (200, {"content-type": "text/html; charset=utf-8"}, b"<h1>Hello</h1>")) as place:
        status, lines = fresh.run(f"devpi getjson {place.url}/")

    assert status == 1
    assert f"{place.url}/ answers with text/html, which is no JSON" in lines


def test_a_pipe_given_as_a_file_is_refused_at_once(devpi: Client) -> None:
    os.mkfifo(devpi.folder / "pipe-1.0.tar.gz")

    devpi.follow("$ devpi upload pipe-1.0.tar.gz\npipe-1.0.tar.gz is no regular file\n[1]")
