"""What every answer has in common: headers, sending, errors turned into words."""

import logging
import math
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import msgspec

from stilton import __version__, visits
from stilton.domain import errors
from stilton.domain.redaction import redacted
from stilton.metrics import Metrics
from stilton.render import devpi_json

log = logging.getLogger(__name__)

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Header = tuple[bytes, bytes]

IN_VAIN = "stilton.in_vain"
"""Set in a scope whose credentials made nobody of the client (`web.auth`)."""
# Error type → (status, title). The first that fits counts.
STATUS: tuple[tuple[type[Exception], int, str], ...] = (
    (errors.Gone, 410, "Gone"),
    (errors.NotFound, 404, "Not Found"),
    (errors.BadName, 404, "Not Found"),
    (errors.TooLarge, 413, "Content Too Large"),
    (errors.Invalid, 400, "Bad Request"),
    (errors.BadArchive, 400, "Bad Request"),
    (errors.Conflict, 409, "Conflict"),
    (errors.Denied, 403, "Forbidden"),  # 401 when nobody is logged in: see `status_of`
    (errors.TooManyTries, 429, "Too Many Requests"),
    (errors.Busy, 503, "Service Unavailable"),
    (errors.NotAllowed, 405, "Method Not Allowed"),
    (errors.NotAcceptable, 406, "Not Acceptable"),
    (errors.Quarantined, 403, "Forbidden"),
    (errors.NotHeld, 503, "Service Unavailable"),
    (errors.UpstreamUnavailable, 503, "Service Unavailable"),
    (errors.UpstreamRefused, 502, "Bad Gateway"),
    (errors.UpstreamWrong, 502, "Bad Gateway"),
    (errors.StorageTrouble, 507, "Insufficient Storage"),
    (errors.Damaged, 500, "Internal Server Error"),
)


class Answers:
    """Makes and sends answers; `serial()` is the database's. `alarm`: told when the disk fails. One per worker."""

    def __init__(
        self, uuid: str, metrics: Metrics, serial: Callable[[], int], alarm: Callable[[errors.StiltonError], None]
    ) -> None:
        self._metrics = metrics
        self._alarm = alarm
        self._serial = serial
        self._common: tuple[Header, ...] = (
            (b"x-devpi-api-version", b"2"),
            (b"x-devpi-server-version", __version__.encode()),
            (b"x-devpi-uuid", uuid.encode()),
            (b"x-devpi-master-uuid", uuid.encode()),
            (b"x-devpi-primary-uuid", uuid.encode()),
        )

    def start(self, status: int, headers: list[Header]) -> dict[str, Any]:
        """The message that begins an answer; it is counted here."""
        self._metrics.counts["responses", str(status)] += 1
        headers = [*headers, *self._common, (b"x-devpi-serial", b"%d" % self._serial())]
        if (visit := visits.current()) is not None:
            headers.append((b"x-request-id", visit.id.encode()))
        return {"type": "http.response.start", "status": status, "headers": headers}

    async def send(self, scope: Scope, send: Send, status: int, headers: list[Header], body: bytes = b"") -> None:
        """A whole answer; of HEAD only the headers."""
        length = (b"content-length", b"%d" % len(body))
        await send(self.start(status, [*headers, length]))
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})

    async def not_modified(self, send: Send, headers: list[Header]) -> None:
        """304: the client has it."""
        await send(self.start(304, headers))
        await send({"type": "http.response.body", "body": b""})

    async def redirect(self, scope: Scope, send: Send, location: str, vary: bytes = b"Accept") -> None:
        """302 to `location`, which the caller made safe."""
        await self.send(scope, send, 302, [(b"location", location.encode("ascii", "ignore")), (b"vary", vary)])

    async def error(self, scope: Scope, send: Send, error: Exception) -> None:
        """Words and a status for `error`; of unknown ones only the log is told."""
        status, title = status_of(error)
        # Upstream may have sent us to a URL with a signature that is as good as a password.
        detail = redacted(str(error))
        if status == 500 and not isinstance(error, errors.StiltonError):
            log.error("Internal error on %s %s", scope["method"], scope["path"], exc_info=error)
            visit = visits.current()
            which = f", request {visit.id}" if visit else ""
            detail = f"Internal error{which}; the server's log has it."
        if isinstance(error, errors.StorageTrouble | errors.Damaged):
            self._alarm(error)
            detail = f"{detail}. {_advice(error)}"
        headers: list[Header] = [(b"vary", b"Accept"), (b"cache-control", b"no-store")]
        if isinstance(error, errors.UpstreamUnavailable | errors.TooManyTries | errors.Busy):
            wait_s = max(1, math.ceil(error.retry_after_s or 1))
            headers.append((b"retry-after", b"%d" % min(wait_s, 60)))
        if isinstance(error, errors.NotAllowed):
            headers.append((b"allow", ", ".join(error.allowed).encode()))
        if status == 401 and isinstance(error, errors.Denied):
            status, title, detail = self._login(scope, detail, headers)
        kind, body = problem(scope, status, title, detail)
        await self.send(scope, send, status, [(b"content-type", kind), *headers], body)

    def _login(self, scope: Scope, detail: str, headers: list[Header]) -> tuple[int, str, str]:
        """Status, title and words for one who should log in."""
        in_vain = scope.get(IN_VAIN, False)
        if in_vain:
            detail += ". The user name, password or token that was sent is not right, or not any more"
            if header(scope, b"x-devpi-auth"):
                # By this devpi-client 7 knows that it may forget its token.
                headers.append((b"location", b"/+login"))
        elif is_devpi_client(scope) and scope["method"] == "GET":
            # It takes 403 for "log in first" and goes on, 401 for the end.
            return 403, "Forbidden", detail
        headers.append((b"www-authenticate", b'Basic realm="pypi"'))
        return 401, "Unauthorized", detail


def status_of(error: Exception) -> tuple[int, str]:
    """HTTP status and title for `error`; 500 for what nobody foresaw."""
    if isinstance(error, errors.NotHeld) and error.is_page:
        return 404, "Not Found"
    if isinstance(error, errors.Denied) and error.login:
        return 401, "Unauthorized"
    for kind, status, title in STATUS:
        if isinstance(error, kind):
            return status, title
    return 500, "Internal Server Error"


def _advice(error: errors.StorageTrouble | errors.Damaged) -> str:
    """What a client may do: there is somebody who can do more."""
    match error:
        case errors.StorageFull():
            return "Nothing changed; try again when whoever runs this server has made room."
        case errors.StorageTrouble():
            return "Nothing changed; tell whoever runs this server, its log says more."
        case _:
            return "Tell whoever runs this server."


def problem(scope: Scope, status: int, title: str, detail: str) -> tuple[bytes, bytes]:
    """(content type, body) of an error, in the form that this client shows to its user."""
    accept = header(scope, b"accept") or ""
    if "vnd.pypi.simple" in accept or "problem+json" in accept or _is_uv(scope):
        # uv prints title and detail of exactly this type (RFC 9457).
        body = {"type": "about:blank", "title": title, "status": status, "detail": detail}
        return b"application/problem+json", msgspec.json.encode(body)
    if "application/json" in accept:
        said = {"message": detail}
        if status in (401, 403):
            said |= {"code": f"{status} {title}", "title": title}
        return b"application/json", msgspec.json.encode(said) + b"\n"
    if is_devpi_client(scope):
        # Of a failed upload devpi-client 7 shows the reason phrase, which HTTP/2 and this server
        # have not, or the lines of an action log. Ends with that client.
        return b"application/json", devpi_json.reply("actionlog", [detail], detail)
    if scope["method"] == "POST":
        # Upload tools show the whole body.
        return b"text/plain; charset=utf-8", f"{detail}\n".encode()
    return b"text/plain; charset=utf-8", f"{status} {title}\n\n{detail}\n".encode()


def is_devpi_client(scope: Scope) -> bool:
    """Whether devpi's client is asking."""
    return (header(scope, b"user-agent") or "").startswith("devpi-client/")


def _is_uv(scope: Scope) -> bool:
    return scope["method"] == "POST" and (header(scope, b"user-agent") or "").startswith("uv/")


def header(scope: Scope, name: bytes) -> str | None:
    """A request header by its lower-case name; None when it was not sent."""
    for key, value in scope["headers"]:
        if key == name:
            text: str = value.decode("latin-1")
            return text
    return None


def matches(if_none_match: str | None, etag: str) -> bool:
    """Whether `If-None-Match` names this entity tag (RFC 9110 §13.1.2, weak comparison)."""
    if if_none_match is None:
        return False
    tags = [tag.strip().removeprefix("W/") for tag in if_none_match.split(",")]
    return etag in tags or tags == ["*"]
