"""Requests to an index server: connection, TLS, proxies, retries, logins, and the JSON that comes back.

What a server may see: the login token of that server (X-Devpi-Auth) and the password of a web server in front of it
(Authorization); redirects to another host carry neither. Certificates are always verified.

TLS: the system's certificates, or those of REQUESTS_CA_BUNDLE, CURL_CA_BUNDLE, PIP_CERT or SSL_CERT_FILE.
Proxies: HTTP_PROXY, HTTPS_PROXY, ALL_PROXY, NO_PROXY.
"""

import base64
import contextlib
import json
import ssl
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin, urlsplit

import urllib3
from urllib3.util.retry import Retry

from stilton_client import __version__, urls
from stilton_client.errors import Failure, Refused, Unreachable

JSON = "application/json"
API_VERSION = "2"
CONNECT_S = 10.0
# A server may fetch from its upstream before it answers, and push to another server.
READ_S = 300.0
TRIES = 3
# What is safe to send again when a connection broke, or the server said that it is busy.
_AGAIN = frozenset({"GET", "HEAD", "OPTIONS"})
_BUSY = frozenset({429, 502, 503, 504})
_SECRETS = ("Authorization", "X-Devpi-Auth", "Cookie")
_CA_VARIABLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "PIP_CERT", "SSL_CERT_FILE")
MAX_JSON = 512 * 1024 * 1024
CHUNK = 1 << 16


@dataclass(frozen=True)
class Login:
    """What is sent along to one server: user and login token, what a web server in front wants, path of a certificate."""

    token: tuple[str, str] | None = None
    basic: tuple[str, str] | None = None
    cert: str | None = None


@dataclass(frozen=True)
class Reply:
    """An answer. `url`: where it came from in the end; `payload`: its JSON object, empty if it had none."""

    method: str
    url: str
    status: int
    reason: str
    headers: Mapping[str, str]
    payload: Any

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
        return str(self._get("message") or "")

    def refusal(self) -> str:
        """Two lines: what was asked, what was answered."""
        said = f": {self.message}" if self.message else ""
        return f"{self.method} {urls.hidden(self.url)}\n{self.status} {self.reason}{said}"

    def _get(self, key: str) -> Any:  # noqa: ANN401
        return self.payload.get(key) if isinstance(self.payload, dict) else None


class Http:
    """Connections to servers. `login_for` says what may be sent to a URL; `debug` hears of each request."""

    def __init__(
        self,
        environ: Mapping[str, str],
        login_for: Callable[[str], Login],
        *,
        debug: Callable[[str], None],
    ) -> None:
        self._environ = environ
        self._login_for = login_for
        self._debug = debug
        self._pools: dict[tuple[str | None, str | None], urllib3.PoolManager] = {}

    def api(
        self, method: str, url: str, data: object = None, *, login: Login | None = None, timeout_s: float = READ_S
    ) -> Reply:
        """Send JSON, get JSON. Every HTTP status comes back; raises Unreachable when none came."""
        body = None if data is None else json.dumps(data).encode()
        headers = {"Accept": JSON, "Content-Type": JSON}
        with self.open(method, url, body=body, headers=headers, login=login, timeout_s=timeout_s) as response:
            return reply(method, url, response)

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
            response = self._pool(url, login.cert).request(
                method,
                url,
                body=body,
                headers=sent,
                preload_content=False,
                timeout=urllib3.Timeout(connect=min(CONNECT_S, timeout_s), read=timeout_s),
                retries=_retries(method),
                redirect=method in _AGAIN,  # what changes something goes where the person said, or nowhere
            )
            self._debug(f"{method} {urls.hidden(url)} -> {response.status} {response.reason}")
            try:
                yield response
            finally:
                response.release_conn()
                response.close()
        except (urllib3.exceptions.HTTPError, ValueError) as error:
            raise _unreachable(url, error) from error

    def download(self, url: str, write: Callable[[bytes], object], *, login: Login | None = None) -> Reply:
        """Hand a file's bytes to `write` as they come. Raises Unreachable, Refused."""
        with self.open("GET", url, headers={"Accept": "*/*", "Accept-Encoding": "identity"}, login=login) as response:
            if response.status != 200:
                answer = reply("GET", url, response)
                raise Refused(answer.status, answer.refusal())
            for chunk in response.stream(CHUNK):
                write(chunk)
            return Reply("GET", url, response.status, response.reason or "", dict(response.headers), None)

    def _pool(self, url: str, cert: str | None) -> urllib3.PoolManager:
        proxy = _proxy(url, self._environ)
        key = (proxy, cert)
        if key not in self._pools:
            context = self._tls(cert)
            if proxy is None:
                self._pools[key] = urllib3.PoolManager(ssl_context=context)
            else:
                bare, login = urls.without_login(proxy)
                headers = urllib3.make_headers(proxy_basic_auth=":".join(login)) if login else None
                self._debug(f"through the proxy {bare}")
                self._pools[key] = urllib3.ProxyManager(bare, proxy_headers=headers, ssl_context=context)
        return self._pools[key]

    def _tls(self, cert: str | None) -> ssl.SSLContext:
        variable = next((name for name in _CA_VARIABLES if self._environ.get(name)), None)
        bundle = self._environ[variable] if variable else None
        try:
            context = ssl.create_default_context(cafile=bundle)
        except OSError as error:
            raise Failure(f"{variable} is {bundle!r}, which cannot be read ({error})", "Name a PEM file.") from error
        if cert is not None:
            try:
                context.load_cert_chain(cert)
            except OSError as error:
                raise Failure(f"The client certificate {cert!r} cannot be used ({error})") from error
        return context


def reply(method: str, url: str, response: urllib3.BaseHTTPResponse) -> Reply:
    """Read an answer to its end. Raises Failure for an answer of absurd size."""
    raw = response.read(MAX_JSON + 1, decode_content=True)
    if len(raw) > MAX_JSON:
        raise Failure(f"The answer of {urls.hidden(url)} has more than {MAX_JSON // 2**20} MB.")
    payload: object = {}
    if (response.headers.get("content-type") or "").partition(";")[0].strip() == JSON:
        with contextlib.suppress(ValueError):
            payload = json.loads(raw)
    final = urljoin(url, response.geturl() or "")
    return Reply(method.upper(), final, response.status, response.reason or "", dict(response.headers), payload)


def _credentials(login: Login) -> dict[str, str]:
    headers = {}
    if login.token is not None:
        headers["X-Devpi-Auth"] = _base64(login.token)
    if login.basic is not None:
        headers["Authorization"] = f"Basic {_base64(login.basic)}"
    return headers


def _base64(pair: tuple[str, str]) -> str:
    return base64.b64encode(":".join(pair).encode()).decode("ascii")


def _retries(method: str) -> Retry:
    again = TRIES if method in _AGAIN else 0
    return Retry(
        total=None,
        connect=TRIES - 1,
        read=again,
        status=again,
        redirect=5,
        other=0,
        allowed_methods=None if again else _AGAIN,
        status_forcelist=_BUSY,
        backoff_factor=0.2,
        raise_on_status=False,
        raise_on_redirect=True,
        respect_retry_after_header=True,
        retry_after_max=10,
        remove_headers_on_redirect=_SECRETS,
    )


def _proxy(url: str, environ: Mapping[str, str]) -> str | None:
    """The proxy for a URL, as curl and pip understand the variables."""
    parts = urlsplit(url)
    named = {
        key.lower(): value
        for key, value in environ.items()
        if key.lower() in ("http_proxy", "https_proxy", "all_proxy", "no_proxy") and value
    }
    proxies = {"no": named.get("no_proxy", "")}
    if parts.hostname is None or _bypassed(parts.netloc.rpartition("@")[2], proxies):
        return None
    proxy = named.get(f"{parts.scheme}_proxy") or named.get("all_proxy")
    if proxy is None:
        return None
    return proxy if "://" in proxy else f"http://{proxy}"


def _bypassed(host: str, proxies: dict[str, str]) -> bool:
    # Of urllib since Python 2.7, and in nobody's list of types.
    return bool(urllib.request.proxy_bypass_environment(host, proxies))  # type: ignore[attr-defined]


def _unreachable(url: str, error: Exception) -> Unreachable:
    """In one sentence, with the reason under urllib3's layers."""
    reason: BaseException = error
    while True:
        inner = getattr(reason, "reason", None) or reason.__cause__
        if not isinstance(inner, BaseException) or inner is reason:
            break
        reason = inner
    host = urlsplit(url).netloc.rpartition("@")[2]
    what = f"could not connect to {urls.hidden(url)!r}: {_words(reason)}"
    if isinstance(reason, (ssl.SSLError, urllib3.exceptions.SSLError)) or "certificate" in str(reason).lower():
        return Unreachable(
            what, f"Name the authority that signed the certificate of {host}: REQUESTS_CA_BUNDLE=FILE.pem"
        )
    return Unreachable(what, f"Is the server running? Is {host} right? Try `devpi use URL` with its URL.")


def _words(reason: BaseException) -> str:
    if isinstance(reason, urllib3.exceptions.TimeoutError):
        return "no answer in time"
    if isinstance(reason, OSError) and reason.strerror:
        return reason.strerror
    text = str(reason)
    # urllib3 puts the connection object before the words.
    return text.rpartition(">: ")[2] or type(reason).__name__
