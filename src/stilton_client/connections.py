"""How a server is reached: TLS, proxies, what is tried again, and why it could not be.

TLS: the system's certificates, or those of REQUESTS_CA_BUNDLE, CURL_CA_BUNDLE, PIP_CERT or SSL_CERT_FILE; they are
always verified. Proxies: HTTP_PROXY, HTTPS_PROXY, ALL_PROXY, NO_PROXY.
"""

import ssl
import urllib.request
from collections.abc import Callable, Mapping
from urllib.parse import urlsplit

import urllib3
from urllib3.util.retry import Retry

from stilton_client import urls
from stilton_client.errors import Failure, Unreachable

TRIES = 3
# What is safe to send again when a connection broke, or the server said that it is busy.
AGAIN = frozenset({"GET", "HEAD", "OPTIONS"})
BUSY = frozenset({429, 502, 503, 504})
_SECRETS = ("Authorization", "X-Devpi-Auth", "Cookie")
_CA_VARIABLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "PIP_CERT", "SSL_CERT_FILE")


class Connections:
    """They stay open for the next request. `debug` hears of proxies."""

    def __init__(self, environ: Mapping[str, str], debug: Callable[[str], None]) -> None:
        self._environ = environ
        self._debug = debug
        self._pools: dict[tuple[str | None, str | None], urllib3.PoolManager] = {}

    def to(self, url: str, cert: str | None) -> urllib3.PoolManager:
        """Connections to a URL's server. `cert`: path of the certificate that it wants to see. Raises Failure."""
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

    def proxy(self, url: str) -> str | None:
        """The proxy on the way to a URL, without its login."""
        found = _proxy(url, self._environ)
        return None if found is None else urls.without_login(found)[0]

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


def retries(method: str) -> Retry:
    """How often a request is sent again, and after what."""
    again = TRIES if method in AGAIN else 0
    return Retry(
        total=None,
        connect=TRIES - 1,
        read=min(again, 1),  # a server that hangs once hangs again
        status=again,
        redirect=5,
        other=0,
        allowed_methods=None if again else AGAIN,
        status_forcelist=BUSY,
        backoff_factor=0.2,
        raise_on_status=False,
        raise_on_redirect=True,
        respect_retry_after_header=True,
        retry_after_max=10,
        remove_headers_on_redirect=_SECRETS,
    )


def unreachable(url: str, error: Exception, proxy: str | None = None) -> Unreachable:
    """Why no answer came, in one sentence, with the reason under urllib3's layers. `proxy`: the one on the way."""
    reason: BaseException = error
    while True:
        inner = getattr(reason, "reason", None) or reason.__cause__
        if not isinstance(inner, BaseException) or inner is reason:
            break
        reason = inner
    host = urlsplit(url).netloc.rpartition("@")[2]
    what = f"could not connect to {urls.hidden(url)!r}{f' through {proxy}' if proxy else ''}: {_words(reason)}"
    if "WRONG_VERSION_NUMBER" in str(reason):
        return Unreachable(what, f"{host} does not speak TLS there: try http://")
    if isinstance(reason, (ssl.SSLError, urllib3.exceptions.SSLError)) or "certificate" in str(reason).lower():
        return Unreachable(
            what, f"Name the authority that signed the certificate of {host}: REQUESTS_CA_BUNDLE=FILE.pem"
        )
    if proxy:
        return Unreachable(what, "Is the proxy right? HTTP_PROXY, HTTPS_PROXY and NO_PROXY say which are used.")
    return Unreachable(what, f"Is the server running? Is {host} right? Try `devpi use URL` with its URL.")


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


def _words(reason: BaseException) -> str:
    if isinstance(reason, urllib3.exceptions.TimeoutError):
        return "no answer in time"
    if isinstance(reason, OSError) and reason.strerror:
        return reason.strerror
    text = str(reason)
    # urllib3 puts the connection object before the words.
    return text.rpartition(">: ")[2] or type(reason).__name__
