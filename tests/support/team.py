"""People with rights, and what they send: tokens, headers, files that are held for sure."""

import asyncio

from stilton.domain.names import IndexName
from tests.support.client import Answer, Client
from tests.support.publish import PASSWORD
from tests.support.world import World

LOOPBACK = ("127.0.0.0/8",)
"""As `internal_networks`: whoever is not root may mirror this machine's upstream."""


def bearer(token: str) -> dict[str, str]:
    """Headers of somebody with a login token."""
    return {"authorization": f"Bearer {token}"}


async def log_in(client: Client, user: str, password: str = PASSWORD) -> Answer:
    """POST to `/+login`."""
    return await client.send("POST", "/+login", {"user": user, "password": password})


async def token_of(client: Client, user: str, password: str = PASSWORD) -> str:
    """A new login token."""
    answer = await log_in(client, user, password)
    assert answer.status == 200, answer.text
    return str(answer.json["result"]["password"])


def root(world: World) -> dict[str, str]:
    """Headers of root, who has no password in tests."""
    return bearer(world.app.login.new_token("root"))


async def whoami(client: Client, **headers: str) -> str | None:
    """Whom the server takes the sender of these headers for."""
    answer = await client.get("/+api", **headers)
    assert answer.status == 200, answer.text
    state, name, _ = answer.json["result"]["authstatus"]
    return str(name) if state == "ok" else None


async def settled(world: World, index: str = "root/pypi") -> None:
    """Wait until what a mirror served is held: downloads and pages are stored a moment after their last byte."""
    mirror = world.app.indexes.mirror(IndexName(index))
    while tasks := list(mirror.files._tasks.values()):
        await asyncio.wait(tasks)
        await asyncio.sleep(0)
    await mirror.projects.stored()
