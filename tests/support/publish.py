"""Uploads and users, as tests want them: one call each."""

import base64
from typing import Any

from tests.support.builders import Dist
from tests.support.client import Answer, Client

BOUNDARY = "a-boundary-that-no-test-file-contains"
PASSWORD = "a good password"


def basic(user: str, secret: str = PASSWORD) -> str:
    """The value of an Authorization header."""
    return "Basic " + base64.b64encode(f"{user}:{secret}".encode()).decode()


def a_form(fields: dict[str, Any], filename: str | None = None, content: bytes = b"") -> bytes:
    """A multipart body; lists are sent as several fields of one name; the file goes last, as tools do it."""
    parts: list[bytes] = []
    for name, value in fields.items():
        for text in value if isinstance(value, list) else [value]:
            parts.append(f'Content-Disposition: form-data; name="{name}"\r\n\r\n{text}\r\n'.encode())
    if filename is not None:
        head = f'Content-Disposition: form-data; name="content"; filename="{filename}"\r\n'
        parts.append(f"{head}Content-Type: application/octet-stream\r\n\r\n".encode() + content + b"\r\n")
    body = b"".join(f"--{BOUNDARY}\r\n".encode() + part for part in parts)
    return body + f"--{BOUNDARY}--\r\n".encode()


def fields_of(dist: Dist, name: str, version: str, **more: Any) -> dict[str, Any]:
    """What twine sends beside the file."""
    kind = "bdist_wheel" if dist.filename.endswith(".whl") else "sdist"
    known = {":action": "file_upload", "protocol_version": "1", "name": name, "version": version, "filetype": kind}
    return {**known, "sha256_digest": dist.sha256, **more}


async def upload(
    client: Client,
    index: str,
    dist: Dist,
    name: str = "pkg",
    version: str = "1.0",
    *,
    user: str | None = "team",
    **more: Any,
) -> Answer:
    """Upload a distribution as `user`."""
    return await post_form(
        client, index, a_form(fields_of(dist, name, version, **more), dist.filename, dist.content), user=user
    )


async def post_form(client: Client, index: str, body: bytes, *, user: str | None = "team", **headers: str) -> Answer:
    """POST a form made by `a_form`."""
    sent = {"content_type": f"multipart/form-data; boundary={BOUNDARY}", **headers}
    if user is not None:
        sent["authorization"] = basic(user)
    return await client.request("POST", f"/{index}/", body, **sent)


async def a_user(client: Client, name: str) -> None:
    """Make a user with the password `PASSWORD`."""
    answer = await client.send("PUT", f"/{name}", {"password": PASSWORD})
    assert answer.status == 201, answer.text


async def an_index(client: Client, user: str, name: str, **keys: Any) -> None:
    """Make a user's index."""
    answer = await client.send("PUT", f"/{user}/{name}", keys, user=user)
    assert answer.status == 200, answer.text


async def a_team(client: Client, **keys: Any) -> None:
    """User `team` with index `team/dev` over root/pypi, and non-volatile `team/prod`."""
    await a_user(client, "team")
    await an_index(client, "team", "dev", bases="root/pypi", **keys)
    await an_index(client, "team", "prod", bases="root/pypi", volatile=False)
