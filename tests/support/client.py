"""An ASGI client: talks to the app without a socket, takes files by path as granian does."""

import asyncio
import base64
import json
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

App = Callable[
    [MutableMapping[str, Any], Callable[[], Awaitable[Any]], Callable[[Any], Awaitable[None]]],
    Awaitable[None],
]


@dataclass
class Answer:
    """`broken`: the body stopped half way, as a client would see a cut connection."""

    status: int
    headers: dict[str, str]
    body: bytes
    broken: bool = False
    by_path: bool = False

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Client:
    """`client`: (address, port) of the peer that the app sees."""

    def __init__(self, app: App, *, paths: bool = True, client: tuple[str, int] = ("127.0.0.1", 50000)) -> None:
        self._app = app
        self._paths = paths
        self._client = client

    async def get(self, url: str, **headers: str) -> Answer:
        return await self.request("GET", url, b"", **headers)

    async def head(self, url: str, **headers: str) -> Answer:
        return await self.request("HEAD", url, b"", **headers)

    async def send(
        self, method: str, url: str, document: Any = None, *, user: str | None = None, **headers: str
    ) -> Answer:
        """A JSON request as devpi's client makes it, as `user` with the password of `tests.support.publish`."""
        if user is not None:
            pair = f"{user}:a good password"
            headers = {"authorization": "Basic " + base64.b64encode(pair.encode()).decode(), **headers}
        body = b"" if document is None else json.dumps(document).encode()
        return await self.request(method, url, body, accept="application/json", **headers)

    async def request(self, method: str, url: str, body: bytes = b"", **headers: str) -> Answer:
        """`url`: path and query, percent-encoded. Header names with `_` for `-`."""
        parts = urlsplit(url)
        scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": unquote(parts.path),
            "raw_path": parts.path.encode(),
            "query_string": parts.query.encode(),
            "root_path": "",
            "headers": [
                (b"host", b"testserver"),
                *((k.lower().replace("_", "-").encode(), v.encode("latin-1")) for k, v in headers.items()),
            ],
            "client": self._client,
            "server": ("testserver", 80),
            "extensions": {"http.response.pathsend": {}} if self._paths else {},
        }
        answer = Answer(0, {}, b"")
        sent = False

        async def receive() -> dict[str, Any]:
            nonlocal sent
            if sent:
                await asyncio.Event().wait()
            sent = True
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: dict[str, Any]) -> None:
            match message["type"]:
                case "http.response.start":
                    answer.status = message["status"]
                    answer.headers = {k.decode(): v.decode("latin-1") for k, v in message["headers"]}
                case "http.response.body":
                    answer.body += message.get("body", b"")
                case "http.response.pathsend":
                    answer.by_path = True
                    answer.body += Path(message["path"]).read_bytes()

        try:
            await self._app(scope, receive, send)
        except Exception:
            if not answer.status:
                raise
            answer.broken = True
        return answer
