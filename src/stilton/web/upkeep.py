"""What is kept, what goes, what stays: `+cached`, `+pins`, `+retention` and `?usage` of an index."""

from collections.abc import Mapping
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from stilton.catalog.indexes import Indexes
from stilton.domain import eviction, retention
from stilton.domain.errors import Invalid
from stilton.domain.names import project_name
from stilton.domain.permission import Actor
from stilton.upkeep.pins import Pins, Wish
from stilton.upkeep.report import Report
from stilton.upkeep.retain import Retention
from stilton.upkeep.stock import Stock, Wanted
from stilton.web.answers import answer
from stilton.web.auth import Auth
from stilton.web.forms import json_object


class UpkeepAnswers:
    """One method per kind of request."""

    def __init__(
        self, auth: Auth, indexes: Indexes, stock: Stock, pins: Pins, retention: Retention, report: Report
    ) -> None:
        self._auth = auth
        self._indexes = indexes
        self._stock = stock
        self._pins = pins
        self._retention = retention
        self._report = report

    async def cached(self, request: Request) -> Response:
        """Files that mirrors keep; `?project=`, `?unused_for=90d` and `?after=` choose."""
        asked = await self._asked(request)
        files, after = await self._stock.cached(*asked, _wanted(request.query_params))
        return answer("cachedfiles", {"files": files, "after": after})

    async def pins(self, request: Request) -> Response:
        """Files that eviction never takes."""
        found = await self._pins.all(*await self._asked(request))
        return answer("pins", [msgspec.structs.asdict(pin) for pin in found])

    async def put_pins(self, request: Request) -> Response:
        """Pin files by project, path or name."""
        asked = await self._asked(request)
        count = await self._pins.put(*asked, _wish(await json_object(request)))
        return answer("pinned", count)

    async def drop_pins(self, request: Request) -> Response:
        """Take pins away; `{"projects": ["*"]}` takes all."""
        asked = await self._asked(request)
        count = await self._pins.drop(*asked, _wish(await json_object(request)))
        return answer("unpinned", count)

    async def retention(self, request: Request) -> Response:
        """What retention would remove now; with `?keep=N` what it would with another rule."""
        keep = request.query_params.get("keep")
        index = await self._indexes.readable(*await self._asked(request))
        due = await self._retention.due(index, None if keep is None else retention.retained(keep))
        return answer("retention", msgspec.to_builtins(due))

    async def usage(self, actor: Actor, user: str, name: str) -> Response:
        """Bytes by project."""
        index = await self._indexes.readable(actor, user, name)
        found = await self._report.projects(index)
        return answer("indexusage", {one.name: {"files": one.files, "bytes": one.bytes} for one in found})

    async def _asked(self, request: Request) -> tuple[Actor, str, str]:
        actor = await self._auth.actor(request.scope)
        return actor, request.path_params["user"], request.path_params["index"]


def _wanted(query: Mapping[str, str]) -> Wanted:
    project, unused_for = query.get("project"), query.get("unused_for")
    return Wanted(
        project=project_name(project) if project else None,
        unused_for_s=eviction.age_s(eviction.max_age(unused_for, "unused_for")) if unused_for else 0.0,
        after=query.get("after", ""),
    )


def _wish(document: dict[str, Any]) -> Wish:
    if set(document) - {"projects", "files", "reason"}:
        raise Invalid('pins take {"projects": […], "files": […], "reason": "…"}')
    try:
        return msgspec.convert(document, Wish)
    except msgspec.ValidationError as error:
        raise Invalid(f"pins: {error}") from None
