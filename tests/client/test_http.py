"""What leaves for a server, and what comes back: secrets, certificates, proxies, retries."""

import contextlib
import gzip
import json
import ssl
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import trustme

from bench.ports import free_port
from stilton_client.errors import Failure, Refused, Unreachable
from stilton_client.http import Http, Login, Reply

Answer = Callable[[BaseHTTPRequestHandler], tuple[int, dict[str, str], bytes]]
LOGIN = Login(token=("alice", "her-token"), basic=("front", "door"))


class Place:
    """A server of one answer, which remembers what it was asked."""

    def __init__(self, answer: Answer, context: ssl.SSLContext | None) -> None:
        seen: list[tuple[str, str, dict[str, str]]] = []

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_one(self) -> None:
                seen.append((self.command, self.path, {k.lower(): v for k, v in self.headers.items()}))
                self.rfile.read(int(self.headers.get("content-length") or 0))
                status, headers, body = answer(self)
                self.send_response(status)
                for name, value in {"content-length": str(len(body)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_POST = do_PUSH = do_PUT = handle_one  # noqa: N815 - names of http.server

            def log_message(self, *arguments: object) -> None:
                pass

        self.seen = seen
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        if context is not None:
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.url = f"{'https' if context else 'http'}://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@contextlib.contextmanager
def a_place(answer: Answer, context: ssl.SSLContext | None = None) -> Iterator[Place]:
    place = Place(answer, context)
    try:
        yield place
    finally:
        place.close()


def says(document: Any, status: int = 200, **headers: str) -> Answer:
    body = json.dumps(document).encode()
    return lambda _: (status, {"content-type": "application/json", **headers}, body)


def a_client(environ: dict[str, str] | None = None, *, heard: list[str] | None = None) -> Http:
    return Http(environ or {}, lambda _: LOGIN, debug=(heard if heard is not None else []).append)


def test_the_login_and_what_the_front_server_wants_are_sent() -> None:
    with a_place(says({"result": 1})) as place:
        reply = a_client().api("GET", f"{place.url}/x")

    assert (reply.ok, reply.result) == (True, 1)
    headers = place.seen[0][2]
    assert headers["x-devpi-auth"] == "YWxpY2U6aGVyLXRva2Vu"
    assert headers["authorization"].startswith("Basic ")
    assert headers["accept"] == "application/json"
    assert headers["user-agent"].startswith("devpi-client/")


def test_a_redirect_to_another_server_takes_no_secret_along() -> None:
    with a_place(says({"result": "there"})) as other:
        away = says({}, 302, location=f"{other.url}/new")
        with a_place(away) as place:
            reply = a_client().api("GET", f"{place.url}/old")

    assert reply.result == "there"
    assert reply.url == f"{other.url}/new"
    assert not {"x-devpi-auth", "authorization"} & other.seen[0][2].keys()


@pytest.mark.parametrize("method", ["POST", "PUT", "PUSH"])
def test_what_changes_something_is_not_led_elsewhere(method: str) -> None:
    with a_place(says({})) as other, a_place(says({}, 307, location=f"{other.url}/new")) as place:
        reply = a_client().api(method, f"{place.url}/old", {"password": "secret"})

    assert reply.status == 307
    assert other.seen == []
    assert len(place.seen) == 1


def test_a_question_is_asked_again_when_the_server_is_busy_and_a_change_is_not() -> None:
    answers = iter([(503, "later"), (200, "now")])

    def answer(handler: BaseHTTPRequestHandler) -> tuple[int, dict[str, str], bytes]:
        status, text = next(answers) if handler.command == "GET" else (503, "later")
        body = json.dumps({"result": text}).encode()
        return status, {"content-type": "application/json", "retry-after": "0"}, body

    with a_place(answer) as place:
        asked = a_client().api("GET", f"{place.url}/x")
        changed = a_client().api("POST", f"{place.url}/x", {})

    assert asked.result == "now"
    assert changed.status == 503
    assert [method for method, _, _ in place.seen] == ["GET", "GET", "POST"]


def test_a_server_that_is_not_there_is_named_with_what_to_do() -> None:
    url = f"http://127.0.0.1:{free_port()}/root/pypi"

    with pytest.raises(Unreachable, match=rf"^could not connect to '{url}': Connection refused$") as caught:
        a_client().api("GET", url)
    assert "devpi use URL" in caught.value.advice


def test_a_host_without_an_address_is_named() -> None:
    with pytest.raises(Unreachable, match=r"could not connect to 'http://no-such-host.invalid/'"):
        a_client().api("GET", "http://no-such-host.invalid/")


def test_a_password_in_a_url_is_never_shown() -> None:
    heard: list[str] = []

    with pytest.raises(Unreachable) as caught:
        a_client(heard=heard).api("GET", f"http://me:hidden-word@127.0.0.1:{free_port()}/x")
    with a_place(says({"message": "no"}, 403)) as place:
        reply = a_client(heard=heard).api("GET", place.url.replace("//", "//me:hidden-word@"))

    assert "hidden-word" not in caught.value.what + reply.refusal() + "".join(heard)
    assert "****" in caught.value.what


def test_a_certificate_that_nobody_vouches_for_is_refused_and_one_of_the_named_authority_is_not(tmp_path: Path) -> None:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")

    with a_place(says({"result": "safe"}), context) as place:
        with pytest.raises(Unreachable, match=r"(?i)certificate") as caught:
            a_client().api("GET", place.url)
        replies = [
            a_client({name: str(tmp_path / "ca.pem")}).api("GET", place.url)
            for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "PIP_CERT", "SSL_CERT_FILE")
        ]

    assert "REQUESTS_CA_BUNDLE" in caught.value.advice
    assert [reply.result for reply in replies] == ["safe"] * 4
    assert len(place.seen) == 4


def test_a_bundle_of_authorities_that_is_not_there_is_named() -> None:
    with pytest.raises(Failure, match="REQUESTS_CA_BUNDLE is '/no/such/file'"):
        a_client({"REQUESTS_CA_BUNDLE": "/no/such/file"}).api("GET", "https://127.0.0.1:1/")


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy", "ALL_PROXY"])
def test_a_proxy_is_used_where_the_environment_names_one(variable: str) -> None:
    with a_place(says({"result": "by proxy"})) as proxy:
        named = proxy.url.replace("//", "//user:pass@") if variable == "HTTP_PROXY" else proxy.url
        reply = a_client({variable: named}).api("GET", "http://packages.example.com/x")

    assert reply.result == "by proxy"
    assert proxy.seen[0][1] == "http://packages.example.com/x"
    assert ("proxy-authorization" in proxy.seen[0][2]) == (variable == "HTTP_PROXY")


@pytest.mark.parametrize("exempt", ["127.0.0.1", "localhost,127.0.0.1", "*"])
def test_no_proxy_is_used_for_hosts_that_are_exempt(exempt: str) -> None:
    with a_place(says({"result": "direct"})) as place, a_place(says({"result": "by proxy"})) as proxy:
        reply = a_client({"HTTP_PROXY": proxy.url, "NO_PROXY": exempt}).api("GET", place.url)

    assert reply.result == "direct"


def test_text_that_is_no_json_is_no_answer_of_an_index_server() -> None:
    with a_place(lambda _: (502, {"content-type": "text/html"}, b"<h1>Bad Gateway</h1>")) as place:
        reply = a_client().api("PUSH", f"{place.url}/x", {})

    assert (reply.payload, reply.message) == ({}, "")
    assert reply.refusal() == f"PUSH {place.url}/x\n502 Bad Gateway"


def test_a_file_is_handed_on_in_pieces_and_a_refusal_is_not_taken_for_a_file() -> None:
    content = bytes(range(256)) * 1000
    pieces: list[bytes] = []
    with a_place(lambda _: (200, {"content-type": "application/zip"}, content)) as place:
        a_client().download(f"{place.url}/f.zip", pieces.append)
    assert b"".join(pieces) == content

    with a_place(says({"message": "gone"}, 410)) as place, pytest.raises(Refused, match="410 Gone: gone"):
        a_client().download(f"{place.url}/f.zip", pieces.append)
    assert b"".join(pieces) == content


def test_a_body_that_breaks_off_is_no_file() -> None:
    short: Answer = lambda _: (200, {"content-length": "1000", "connection": "close"}, b"only this")  # noqa: E731
    with a_place(short) as place, pytest.raises(Unreachable, match="could not"):
        a_client().download(f"{place.url}/f.zip", lambda _: None)


@pytest.mark.parametrize(
    ("compressed", "size"), [(False, 1000), (True, None)], ids=["length of the file", "length of something else"]
)
def test_the_size_of_a_file_is_told_before_its_bytes(*, compressed: bool, size: int | None) -> None:
    body = gzip.compress(bytes(1000)) if compressed else bytes(1000)
    headers = {"content-encoding": "gzip"} if compressed else {}
    heard: list[object] = []
    with a_place(lambda _: (200, headers, body)) as place:
        a_client().download(f"{place.url}/f.zip", lambda chunk: heard.append(len(chunk)), sized=heard.append)

    assert heard[0] == size
    assert heard[1:] == [1000]


def a_reply(status: int = 409, reason: str = "Conflict", payload: object = None, text: str = "") -> Reply:
    return Reply("POST", "http://h/", status, reason, {}, payload if payload is not None else {}, text)


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (a_reply(reason="gone", payload={"message": " it is there\n"}, text="no"), "it is there"),
        (a_reply(payload={"type": "actionlog", "result": [[400, "register"], "stop"]}), "400 register\nstop"),
        (a_reply(reason="pkg-1.0 exists", payload={"message": "\n\n\n"}), "pkg-1.0 exists"),
        (a_reply(reason="CONFLICT", text="\n \n it is there \nand more"), "it is there"),
        (a_reply(), ""),
        (a_reply(799, "Own"), "Own"),
    ],
    ids=["message", "actions", "reason", "text", "nothing", "strange status"],
)
def test_what_a_server_says_is_found_wherever_it_says_it(reply: Reply, words: str) -> None:
    assert reply.words == words


def test_html_is_not_for_people_at_a_terminal() -> None:
    with a_place(lambda _: (409, {"content-type": "text/html"}, b"<h1>no</h1>")) as place:
        reply = a_client().api("PUT", place.url, {})

    assert reply.words == ""
