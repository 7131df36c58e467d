"""A server with its upstream, in this process: what most tests of behaviour stand in.

async with a_world(tmp_path) as world:
    world.upstream.add("pkg", a_wheel())
    page = await world.client.get("/root/pypi/+simple/pkg/")
"""

import contextlib
import sqlite3
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stilton import config
from stilton.accounts import setup
from stilton.app import App
from stilton.db.database import Transaction
from stilton.serverdir import ServerDir
from tests.support.client import Client
from tests.support.upstream import FakeUpstream

START = 1_750_000_000.0
NO_CHANGE = ("login.failed", "release.push-out", "release.pushed-out")
"""Actions of the audit log."""


class Clock:
    """A clock that stands until told otherwise. Unix seconds."""

    def __init__(self, at: float = START) -> None:
        self.at = at

    def __call__(self) -> float:
        return self.at

    def pass_s(self, seconds: float) -> None:
        self.at += seconds


@dataclass
class World:
    """`restart()` closes the app and opens another one on the same folder, with other settings."""

    path: Path
    upstream: FakeUpstream
    clock: Clock
    app: App
    client: Client
    settings: dict[str, Any] = field(default_factory=dict)

    async def restart(self, **settings: Any) -> None:
        await self.app.close()
        self.settings.update(settings)
        self.app = an_app(self.path, self.clock, self.settings)
        await self.app.open()
        self.client = Client(self.app)

    def another_app(self, **settings: Any) -> App:
        """A second worker on the same folder."""
        return an_app(self.path, self.clock, {**self.settings, "workers": 2, **settings})

    def everything(self) -> dict[str, Any]:
        """All rows of the database and all files: equal before and after means that nothing changed.

        That somebody tried a password, or to send a release away, is noted and changes nothing here.
        """
        with contextlib.closing(sqlite3.connect(ServerDir(self.path).database)) as database:
            names = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
            rows = {name: sorted(map(repr, database.execute(f'SELECT * FROM "{name}"'))) for name in names}
        rows["audit"] = [row for row in rows["audit"] if not any(f"'{tried}'" in row for tried in NO_CHANGE)]
        incoming = [path.name for path in (self.path / "incoming").iterdir()]
        return {**rows, "blobs": [path.name for path in self.blobs], "incoming": sorted(incoming)}

    @property
    def blobs(self) -> list[Path]:
        return sorted(path for path in (self.path / "blobs").rglob("*") if path.is_file())


def make_serverdir(path: Path, mirror_url: str, **keys: Any) -> None:
    """What `devpi-init` does; `keys`: more of root/pypi's configuration."""

    def fill(tx: Transaction) -> None:
        setup.first_user(tx, "no-hash", now=START)
        setup.first_index(tx, {**setup.pypi_keys(mirror_url), **keys})

    place = ServerDir(path)
    place.create(fill, now=lambda: START)
    place.unlock()
    place.run.mkdir(exist_ok=True)


def an_app(path: Path, clock: Clock, settings: dict[str, Any]) -> App:
    named = {
        "serverdir": str(path),
        "access-log": "no",
        "read-ahead": "no",
        **{k.replace("_", "-"): v for k, v in settings.items()},
    }
    return App(config.load(named, {}), now=clock)


@contextlib.asynccontextmanager
async def a_world(
    path: Path, *, upstream: FakeUpstream | None = None, keys: dict[str, Any] | None = None, **settings: Any
) -> AsyncIterator[World]:
    """`keys`: configuration of root/pypi; `settings`: of the server."""
    async with upstream or FakeUpstream() as fake:
        folder = path / "server"
        make_serverdir(folder, fake.url, **(keys or {}))
        clock = Clock()
        app = an_app(folder, clock, settings)
        await app.open()
        world = World(folder, fake, clock, app, Client(app), dict(settings))
        try:
            yield world
        finally:
            await world.app.close()
