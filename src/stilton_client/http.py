"""Requests to an index server: logins go along, JSON comes back. How the server is reached: `connections`.

What a server may see: the login token of that server (X-Devpi-Auth) and the password of a web server in front of it
(Authorization); redirects to another host carry neither.
"""

import base64
import contextlib
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import urljoin

import urllib3

from stilton_client import __version__, connections, urls
from stilton_client.connections import AGAIN, Connections
from stilton_client.errors import Failure, Refused

JSON = "application/json"
CONNECT_S = 10.0
# A server may fetch from its upstream before it answers, and push to another server.
READ_S = 60.0
# From then on the person is told what is waited for.
PATIENCE_S = 5.0
MAX_JSON = 512 * 1024 * 1024
CHUNK = 1 << 16


@dataclass(frozen=True)
class Login:
    """What one server gets: user and login token, what a web server in front wants, path of a certificate."""

    token: tuple[str, str] | None = None
    basic: tuple[str, str] | None = None
    cert: str | None = None


@dataclass(frozen=True)
class Reply:
    """An answer. `url`: where it came from in the end; `payload`: its JSON object, empty if it had none.

    `text`: its body, if that is plain text.
    """

    method: str
    url: str
    status: int
    reason: str
    headers: Mapping[str, str]
    payload: Any
    text: str = ""

    @property
    def ok(self) -> bool:
        """Whether it was done."""
        return self.status in (200, 201)

    @property
    def type(self) -> str | None:
        """What `result` is."""
        found = self._get("type")
        return found if isinstance(found, str) else None

    @property
    def result(self) -> Any:  # noqa: ANN401 - the server's JSON
        """The object that was asked for."""
        return self._get("result")

    @property
    def message(self) -> str:
        """What the server says to the person."""
        return str(self._get("message") or "").strip()

    @property
    def words(self) -> str:
        """All that the server says, as text: its message, what it did, or what stands in the reason or in the body.

        devpi-server 6 has messages of blank lines only, and says what is wrong in the reason. HTML is for browsers.
        """
        if self.type == "actionlog" and isinstance(self.result, list):
            return "\n".join(" ".join(map(str, each)) if isinstance(each, list) else str(each) for each in self.result)
        said = self.reason if self.reason.lower() != _phrase(self.status).lower() else ""
        line = next((line.strip() for line in self.text.splitlines() if line.strip()), "")
        return self.message or said or line

    def header(self, name: str) -> str | None:
        """A header, whatever the case of its name."""
        return next((value for key, value in self.headers.items() if key.lower() == name.lower()), None)

    def refusal(self) -> str:
        """Two lines: what was asked, what was answered."""
        said = f": {self.message}" if self.message else ""
        return f"{self.method} {urls.hidden(self.url)}\n{self.status} {self.reason}{said}"

    def _get(self, key: str) -> Any:  # noqa: ANN401
        return self.payload.get(key) if isinstance(self.payload, dict) else None


class Http:
    """Connections to servers. `login_for` says what a URL may get; `debug` hears of requests, `note` of long waits."""

    def __init__(
        self,
        environ: Mapping[str, str],
        login_for: Callable[[str], Login],
        *,
        debug: Callable[[str], None],
        note: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._login_for = login_for
        self._debug = debug
        self._note = note
        self._connections = Connections(environ, debug)

    def api(
        self, method: str, url: str, data: object = None, *, login: Login | None = None, timeout_s: float = READ_S
    ) -> Reply:
        """Send JSON, get JSON. Every HTTP status comes back; raises Unreachable when none came."""
        body = None if data is None else json.dumps(data).encode()
        headers = {"Accept": JSON, "Content-Type": JSON}
        with (
            self._patience(url),
            self.open(method, url, body=body, headers=headers, login=login, timeout_s=timeout_s) as response,
        ):
            return reply(method, url, response)

    @contextlib.contextmanager
    def _patience(self, url: str) -> Iterator[None]:
        """Say what is waited for when it takes long."""
        timer = threading.Timer(PATIENCE_S, self._note, [f"waiting for {urls.host(url)}; Ctrl-C ends it"])
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    @contextlib.contextmanager
    def open(
        self,
        method: str,
        url: str,
        *,
        body: Any = None,  # noqa: ANN401 - bytes or a file
        headers: Mapping[str, str] | None = None,
        login: Login | None = None,
        timeout_s: float = READ_S,
    ) -> Iterator[urllib3.BaseHTTPResponse]:
        """The response, its body not read yet. Raises Unreachable; also when the body breaks off inside the `with`."""
        login = login if login is not None else self._login_for(url)
        sent = {"User-Agent": f"devpi-client/{__version__} (stilton)", **(headers or {}), **_credentials(login)}
        method = method.upper()
        try:
            response = self._connections.to(url, login.cert).request(
                method,
                url,
                body=body,
                headers=sent,
                preload_content=False,
                timeout=urllib3.Timeout(connect=min(CONNECT_S, timeout_s), read=timeout_s),
                retries=connections.retries(method),
                redirect=method in AGAIN,  # what changes something goes where the person said, or nowhere
            )
            self._debug(f"{method} {urls.hidden(url)} -> {response.status} {response.reason}")
            try:
                yield response
            finally:
                response.release_conn()
                response.close()
        except (urllib3.exceptions.HTTPError, ValueError) as error:
            raise connections.unreachable(url, error, self._connections.proxy(url)) from error

    def download(
        self,
        url: str,
        write: Callable[[bytes], object],
        *,
        sized: Callable[[int | None], object] | None = None,
        login: Login | None = None,
    ) -> Reply:
        """Hand a file's bytes to `write` as they come. Raises Unreachable, Refused.

        `sized` hears before the first of them how many there will be; None: the server does not say.
        """
        with self.open("GET", url, headers={"Accept": "*/*", "Accept-Encoding": "identity"}, login=login) as response:
            if response.status != 200:
                answer = reply("GET", url, response)
                raise Refused(answer.status, answer.refusal())
            if sized is not None:
                sized(_size(response))
            for chunk in response.stream(CHUNK):
                write(chunk)
            return Reply("GET", url, response.status, response.reason or "", dict(response.headers), None)


def reply(method: str, url: str, response: urllib3.BaseHTTPResponse) -> Reply:
    """Read an answer to its end. Raises Failure for an answer of absurd size."""
    raw = response.read(MAX_JSON + 1, decode_content=True)
    if len(raw) > MAX_JSON:
        raise Failure(f"The answer of {urls.hidden(url)} has more than {MAX_JSON // 2**20} MB.")
    kind = (response.headers.get("content-type") or "").partition(";")[0].strip()
    payload: object = {}
    if kind == JSON:
        with contextlib.suppress(ValueError, RecursionError):
            payload = json.loads(raw)
    text = raw.decode("utf-8", "replace") if kind == "text/plain" else ""
    final = urljoin(url, response.geturl() or "")
    return Reply(method.upper(), final, response.status, response.reason or "", dict(response.headers), payload, text)


def _size(response: urllib3.BaseHTTPResponse) -> int | None:
    """Bytes of the body; what comes compressed has another length here."""
    length = response.headers.get("content-length") or ""
    return int(length) if length.isdecimal() and "content-encoding" not in response.headers else None


def _phrase(status: int) -> str:
    """What HTTP says of a status."""
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""


def _credentials(login: Login) -> dict[str, str]:
    headers = {}
    if login.token is not None:
        headers["X-Devpi-Auth"] = _base64(login.token)
    if login.basic is not None:
        headers["Authorization"] = f"Basic {_base64(login.basic)}"
    return headers


def _base64(pair: tuple[str, str]) -> str:
    return base64.b64encode(":".join(pair).encode()).decode("ascii")
