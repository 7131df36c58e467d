"""Discovery, this server's state, and questions of proxies in front (protocol reference 2.2)."""

import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from stilton import __version__
from stilton.accounts.users import Users
from stilton.catalog.indexes import Indexes
from stilton.domain.errors import Damaged, Denied, IndexNotFound, UserNotFound
from stilton.domain.names import IndexName
from stilton.domain.permission import Actor
from stilton.upkeep.report import Report
from stilton.web.answers import answer
from stilton.web.auth import Auth
from stilton.web.urls import Here
from stilton.web.wall import Wall

_HOST = re.compile(r"^https?://[^/?#]+", re.IGNORECASE)
FEATURES = ("push-no-docs", "push-only-docs", "push-register-project", "server-keyvalue-parsing")


class About(msgspec.Struct, frozen=True, kw_only=True):
    """What does not change while the server runs."""

    uuid: str
    serverdir: str
    host: str
    port: int
    outside_url: str | None
    started_at: float
    """Unix seconds; of the worker that answers."""
    role: str = "MASTER"


class Api:
    """One method per kind of question; all answer JSON."""

    def __init__(
        self,
        auth: Auth,
        wall: Wall,
        here: Here,
        users: Users,
        indexes: Indexes,
        about: About,
        *,
        serial: Callable[[], int],
        last_commit_at: Callable[[], float | None],
        warnings: Callable[[], list[str]],
        report: Report,
    ) -> None:
        self._auth = auth
        self._wall = wall
        self._here = here
        self._users = users
        self._indexes = indexes
        self._about = about
        self._serial = serial
        self._last_commit_at = last_commit_at
        self._warnings = warnings
        self._report = report

    async def api(self, request: Request) -> Response:
        """Where to log in, and, of an index, where its pages are. Also for those who may not read it."""
        base = self._here.base(request.scope)
        actor = await self._auth.actor(request.scope)
        status: list[Any] = ["noauth", "", []] if actor.name is None else ["ok", actor.name, sorted(actor.groups)]
        result: dict[str, Any] = {"login": f"{base}/+login", "authstatus": status, "features": list(FEATURES)}
        # Whoever is kept out does not learn which users and indexes there are either.
        unknown = await self._wall.keeps_out(request.scope)
        if "index" in request.path_params:
            user, name = request.path_params["user"], request.path_params["index"]
            takes_uploads = unknown or not (await self._indexes.known(user, name)).is_mirror
            result["index"] = f"{base}/{user}/{name}"
            result["simpleindex"] = f"{base}/{user}/{name}/+simple/"
            if takes_uploads:
                result["pypisubmit"] = f"{base}/{user}/{name}/"
        elif "user" in request.path_params and not unknown and not self._users.exists(request.path_params["user"]):
            raise UserNotFound(request.path_params["user"])
        return answer("apiconfig", result)

    async def status(self, request: Request) -> Response:
        """How this server and its upstreams are."""
        actor = await self._auth.actor(request.scope)

        def may_read(name: IndexName) -> bool:
            return self._indexes.is_readable(actor, name)

        # First: `may_read` goes by what is known of the indexes after it.
        mirrors = await self._indexes.mirrors()
        disk, warnings = None, self._warnings()
        try:
            disk = await self._report.disk(may_read)
        except Damaged as error:
            # Whoever wants to know what is wrong looks here.
            warnings = [*warnings, str(error)]
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
            "started-at": about.started_at,
            "warnings": warnings,
            "upstreams": {
                mirror.config.name: upstream_state(mirror)
                for mirror in mirrors
                if may_read(mirror.config.name)
            },
            "disk": disk,
        })  # fmt: skip

    async def authcheck(self, request: Request) -> Response:
        """For a proxy that asks whether a request may pass: its URL is in `X-Original-URI`."""
        raw = _HOST.sub("", request.headers.get("x-original-uri", ""), count=1).partition("?")[0]
        segments = unquote(raw).split("/")[1:]
        if not _is_clean(raw, segments):
            raise Denied("this URL is none of an index")
        await self._wall.check(request.scope, "/".join(["", *segments]))
        actor = await self._auth.actor(request.scope)
        match segments:
            case [""] | ["+api" | "+audit" | "+login" | "+status" | "+openapi" | "robots.txt"]:
                pass
            case ["+health" | "+metrics", *_]:
                pass
            case [user] | [user, ""] | [user, "+api"] | [user, _, "+api"] if not user.startswith("+"):
                pass
            case [user, index, *_] if not user.startswith("+"):
                await self._check(request, actor, user, index)
            case _:
                raise Denied("this URL is none of an index")
        return answer(message="ok")

    async def _check(self, request: Request, actor: Actor, user: str, name: str) -> None:
        try:
            await self._indexes.readable(actor, user, name)
        except IndexNotFound:
            return  # it will be told so when it passes
        except Denied as denied:
            # devpi-client takes 401 for an expired login.
            is_devpi = request.headers.get("user-agent", "").startswith("devpi-client/")
            raise Denied(str(denied), login=denied.login and not is_devpi) from None


def _is_clean(raw: str, segments: list[str]) -> bool:
    """Whether a proxy and this server read the path alike: nothing is left to be normalised."""
    hidden = any(mark in raw.lower() for mark in ("%2f", "%5c", "%00", "\\"))
    inner = segments[:-1] if len(segments) > 1 else []
    return raw.startswith("/") and not hidden and "" not in inner and not {".", ".."} & set(segments)


def upstream_state(mirror: Any) -> dict[str, Any]:  # noqa: ANN401
    """`up`, `failing` or `down`, why and since when."""
    circuit = mirror.upstream.circuit
    if not circuit.is_open:
        return {"state": "failing" if circuit.failures else "up", "why": circuit.why or None}
    since = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(circuit.opened_at))
    return {"state": "down", "why": circuit.why, "since": since, "held-only": mirror.held_only}
