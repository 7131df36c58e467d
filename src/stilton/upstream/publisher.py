"""Uploads to another server: PyPI, or any that speaks its legacy upload API."""

import contextlib
import ipaddress
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import urlsplit

import aiohttp
import msgspec

from stilton.domain.errors import Invalid, UpstreamUnavailable, UpstreamWrong
from stilton.domain.indexes import without_credentials
from stilton.domain.names import is_wheel
from stilton.domain.reach import may_reach
from stilton.domain.redaction import Secret, one_line, redacted, without
from stilton.upstream.connections import Connections, known_proxies, words
from stilton.upstream.guard import Guard

ANSWER_BYTES = 4096
"""So much of an answer is read: people want the sentence that says why not."""
SENTENCE_CHARS = 500
CONNECT_S = 10.0
SILENCE_S = 300.0
"""A server may think for long about a large file."""


class Sending(msgspec.Struct, frozen=True):
    """One upload. `what`: for sentences. `label`: for the report. `digest`: sha256 of the file at `path`."""

    what: str
    label: tuple[str, ...]
    action: str
    keys: Mapping[str, Any]
    filename: str | None = None
    path: Path | None = None
    digest: str = ""


class Publisher:
    """Sends uploads. `networks`: where everybody may send to, beside public addresses."""

    def __init__(self, networks: Sequence[str], *, offline: bool) -> None:
        self._networks = networks
        self._offline = offline

    def check(self, url: str, *, trusted: bool) -> None:
        """Raises Invalid when nothing can be sent to `url`. `trusted`: by one who runs this server."""
        try:
            parts = urlsplit(url)
            host, _ = parts.hostname, parts.port
        except ValueError:
            host = None
            parts = urlsplit("")
        if parts.scheme not in ("http", "https") or not host:
            raise Invalid("posturl must be a URL that begins with http:// or https://")
        if parts.username is not None:
            raise Invalid("posturl names a user: say username and password by themselves")
        if self._offline:
            raise Invalid("this server is in offline mode: nothing is sent to others")
        try:
            ipaddress.ip_address(host)
        except ValueError:
            return
        if not may_reach(host, self._reach(trusted=trusted)):
            raise Invalid(f"pushing to {host} is for those who run this server; see --internal-networks")

    async def send(
        self, url: str, credentials: tuple[str, Secret], sending: Sending, *, trusted: bool
    ) -> tuple[int, str]:
        """(HTTP status, the first line of the answer). Redirects are not followed: they would lose the file.

        Raises UpstreamUnavailable, UpstreamWrong.
        """
        shown = without_credentials(url)
        timeout = aiohttp.ClientTimeout(total=None, connect=CONNECT_S, sock_read=SILENCE_S)
        user, password = credentials
        login = aiohttp.encode_basic_auth(user, password.reveal())
        headers = {"Authorization": login}
        proxies = known_proxies()
        guard = Guard(url, self._reach(trusted=trusted), proxies)
        try:
            async with contextlib.aclosing(Connections(guard, proxies)) as connections:
                with _opened(sending.path) as file:
                    form = _form(sending, file)
                    async with await connections.request(
                        "POST", url, data=form, headers=headers, timeout=timeout
                    ) as response:
                        body = await response.content.read(ANSWER_BYTES)
                        return response.status, _sentence(
                            body, response.reason or "", (login.removeprefix("Basic "), password.reveal())
                        )
        except (TimeoutError, aiohttp.ClientConnectionError, OSError) as error:
            raise UpstreamUnavailable(shown, words(error)) from error
        except (aiohttp.ClientError, ValueError) as error:
            raise UpstreamWrong(f"{shown}: {words(error)}") from error

    def _reach(self, *, trusted: bool) -> Sequence[str]:
        return ("*",) if trusted else self._networks


@contextlib.contextmanager
def _opened(path: Path | None) -> Iterator[BinaryIO | None]:
    if path is None:
        yield None
        return
    with path.open("rb") as file:
        yield file


def _form(sending: Sending, file: BinaryIO | None) -> aiohttp.FormData:
    """The fields in the order that servers read them: what it is, metadata, digests, the file last."""
    form = aiohttp.FormData(default_to_multipart=True)
    form.add_field(":action", sending.action)
    form.add_field("protocol_version", "1")
    for key, value in sending.keys.items():
        for text in value if isinstance(value, list) else [value]:
            # PyPI takes empty fields for values.
            if isinstance(text, str) and text:
                form.add_field(key, text)
    if file is not None and sending.filename is not None:
        if sending.action == "file_upload":
            form.add_field("filetype", "bdist_wheel" if is_wheel(sending.filename) else "sdist")
            form.add_field("pyversion", _python_of(sending.filename))
            form.add_field("sha256_digest", sending.digest)
        form.add_field("content", file, filename=sending.filename, content_type="application/octet-stream")
    return form


def _python_of(filename: str) -> str:
    return filename.split("-")[-3] if is_wheel(filename) and filename.count("-") >= 4 else "source"


def _sentence(body: bytes, reason: str, sent: Sequence[str]) -> str:
    """What to show of an answer: its own words when they are plain, else the reason phrase; nothing of what was `sent`.

    It goes to who pushed and into the audit log, and the other server may repeat what it was told.
    """
    text = body.decode("utf-8", "replace").strip()
    line = reason if not text or text.startswith("<") else text.splitlines()[0]
    return one_line(redacted(without(line, sent)), SENTENCE_CHARS)
