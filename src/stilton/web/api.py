"""devpi's JSON about users, indexes, projects, and this server (protocol reference 2.2)."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from stilton import __version__
from stilton.accounts.users import Users
from stilton.catalog.indexes import Indexes
from stilton.catalog.pages import Pages
from stilton.domain.errors import VersionNotFound
from stilton.domain.indexes import public_keys
from stilton.domain.names import project_name
from stilton.render import devpi_json
from stilton.web.urls import base_url


class About(msgspec.Struct, frozen=True, kw_only=True):
    """What does not change while the server runs."""

    uuid: str
    serverdir: str
    host: str
    port: int
    outside_url: str | None
    role: str = "MASTER"


class Api:
    """One method per kind of question; all answer JSON."""

    def __init__(
        self,
        users: Users,
        indexes: Indexes,
        pages: Pages,
        about: About,
        serial: Callable[[], int],
        last_commit_at: Callable[[], float | None],
        trusted: Callable[[Request], bool],
    ) -> None:
        self._users = users
        self._indexes = indexes
        self._pages = pages
        self._about = about
        self._serial = serial
        self._last_commit_at = last_commit_at
        self._trusted = trusted

    async def root(self, request: Request) -> Response:
        """All users and their indexes."""
        del request
        found = {keys["username"]: devpi_json.user_config(keys, indexes) for keys, indexes in await self._users.all()}
        return answer("list:userconfig", found)

    async def user(self, request: Request) -> Response:
        """One user."""
        keys, indexes = await self._users.one(request.path_params["user"])
        return answer("userconfig", devpi_json.user_config(keys, indexes))

    async def index(self, request: Request) -> Response:
        """One index: its configuration, and the names of its projects unless `?no_projects`."""
        user, name = request.path_params["user"], request.path_params["index"]
        index = await self._users.index(user, name)
        keys = public_keys(index)
        if "no_projects" not in request.query_params:
            keys["projects"] = await self._pages.names(user, name)
        return answer("indexconfig", keys)

    async def project(self, request: Request) -> Response:
        """All versions of a project."""
        project = await self._project(request)
        return answer("projectconfig", project)

    async def version(self, request: Request) -> Response:
        """One version of a project."""
        versions = await self._project(request)
        version = request.path_params["version"]
        if version not in versions:
            raise VersionNotFound(project_name(request.path_params["project"]), version)
        return answer("versiondata", versions[version])

    async def api(self, request: Request) -> Response:
        """Where to log in, and, of an index, where its pages are."""
        base = self._base(request)
        result: dict[str, Any] = {
            "login": f"{base}/+login",
            "authstatus": ["noauth", "", []],
            "features": ["server-keyvalue-parsing"],
        }
        if "user" in request.path_params:
            await self._users.one(request.path_params["user"])
        if "index" in request.path_params:
            user, name = request.path_params["user"], request.path_params["index"]
            index = await self._users.index(user, name)
            result["index"] = f"{base}/{user}/{name}"
            result["simpleindex"] = f"{base}/{user}/{name}/+simple/"
            if not index.is_mirror:
                result["pypisubmit"] = f"{base}/{user}/{name}/"
        return answer("apiconfig", result)

    async def status(self, request: Request) -> Response:
        """How this server and its upstreams are."""
        del request
        serial, committed_at = self._serial(), self._last_commit_at()
        about = self._about
        return answer("status", {
            "serverdir": about.serverdir,
            "uuid": about.uuid,
            "versioninfo": {"devpi-server": __version__, "stilton": __version__},
            "server-code": str(Path(__file__).parents[1]),
            "host": about.host,
            "port": about.port,
            "outside-url": about.outside_url,
            "serial": serial,
            "last-commit-timestamp": committed_at,
            "event-serial": serial,
            "event-serial-timestamp": committed_at,
            "event-serial-in-sync-at": committed_at,
            "metrics": [],
            "role": about.role,
            "polling_replicas": {},
            "upstreams": {m.config.name: upstream_state(m) for m in await self._indexes.all()},
        })  # fmt: skip

    async def _project(self, request: Request) -> dict[str, Any]:
        user, index = request.path_params["user"], request.path_params["index"]
        name = project_name(request.path_params["project"])
        project = await self._pages.project(user, index, name)
        return devpi_json.project_config(project, f"{self._base(request)}/{user}/{index}/")

    def _base(self, request: Request) -> str:
        return base_url(request.scope, self._about.outside_url, trusted=self._trusted(request))


def upstream_state(mirror: Any) -> dict[str, Any]:  # noqa: ANN401
    """`up`, `failing` or `down`, why and since when."""
    circuit = mirror.upstream.circuit
    if not circuit.is_open:
        return {"state": "failing" if circuit.failures else "up", "why": circuit.why or None}
    since = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(circuit.opened_at))
    return {"state": "down", "why": circuit.why, "since": since, "held-only": mirror.held_only}


def answer(kind: str | None = None, result: object = None, message: str | None = None, status: int = 200) -> Response:
    """devpi's JSON; the content type must be exactly this, clients compare it."""
    body = devpi_json.reply(kind, result, message)
    return Response(body, status, headers={"content-type": "application/json", "vary": "Accept"})
