"""Every URL that is not a simple page or a file's bytes (those: `web.asgi`), in one table.

GET  /                                   all users and indexes
GET  /+api /{u}/+api /{u}/{i}/+api       discovery
POST /+login                             a token for a password
GET  /+authcheck                         for a proxy in front: may this request pass?
GET  /+status                            this server, its upstreams
GET  /+audit                             who changed what, when, from where
GET  /+openapi                           this table, for machines
GET  /+health /+health/ready             200 when this server can answer
GET  /+health/live                       200 while this process runs
GET  /+metrics                           numbers for Prometheus
GET  /robots.txt                         nothing here is for crawlers
GET PUT PATCH DELETE  /{u}[/]            a user
GET PUT PATCH DELETE  /{u}/{i}[/]        an index
POST PUSH             /{u}/{i}[/]        upload to it, push from it
GET  /{u}/{i}/+cached                    files that mirrors keep
GET PUT DELETE        /{u}/{i}/+pins     files that eviction never takes
GET  /{u}/{i}/+retention                 what retention would remove
GET PATCH DELETE      /{u}/{i}/{p}[/]    a project
GET PATCH DELETE      /{u}/{i}/{p}/{v}[/]  a version
POST PATCH DELETE     /{u}/{i}/+f/{path} /{u}/{i}/+e/{path}  a file; GET with `Accept: application/json`: about it
POST /{u}/{i}/+simple/{p}/refresh        ask upstream now
"""

import functools
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route, Router

from stilton.domain.errors import Missing, NotAllowed
from stilton.domain.names import project_name
from stilton.web.accounts import Accounts
from stilton.web.api import Api
from stilton.web.audit import AuditAnswers
from stilton.web.http import Answers, Receive, Scope, Send
from stilton.web.openapi import description
from stilton.web.projects import Projects
from stilton.web.status import Status
from stilton.web.upkeep import UpkeepAnswers
from stilton.web.uploads import UploadAnswers
from stilton.web.urls import Here, path_to

App = Callable[[Scope, Receive, Send], Awaitable[None]]
Endpoint = Callable[[Request], Awaitable[Response]]
Table = list[tuple[str, dict[str, Endpoint]]]


def table(
    api: Api,
    status: Status,
    accounts: Accounts,
    projects: Projects,
    uploads: UploadAnswers,
    upkeep: UpkeepAnswers,
    audit: AuditAnswers,
    *,
    here: Here,
) -> Table:
    """(path, endpoint by method), in the order that counts."""

    def normalised(endpoint: Endpoint) -> Endpoint:
        """GET with another spelling of the project's name: 302 to the normalised one."""

        @functools.wraps(endpoint)
        async def endpoint_or_redirect(request: Request) -> Response:
            parameters = request.path_params
            name = project_name(parameters["project"])
            if name == parameters["project"]:
                return await endpoint(request)
            rest = [parameters["version"]] if "version" in parameters else []
            location = here.mount(request.scope) + path_to(parameters["user"], parameters["index"], name, *rest)
            query = request.url.query
            return RedirectResponse(f"{location}?{query}" if query else location, 302)

        return endpoint_or_redirect

    async def openapi(request: Request) -> Response:
        """This API, as OpenAPI describes one."""
        return description(routes, here.base(request.scope), unsaid=uploads.wrong_place)

    user: dict[str, Endpoint] = {
        "GET": accounts.user, "PUT": accounts.create_user, "PATCH": accounts.modify_user,
        "DELETE": accounts.delete_user, "POST": uploads.wrong_place,
    }  # fmt: skip
    index: dict[str, Endpoint] = {
        "GET": accounts.index, "PUT": accounts.create_index, "PATCH": accounts.modify_index,
        "DELETE": accounts.delete_index, "POST": uploads.post, "PUSH": projects.push,
    }  # fmt: skip
    project: dict[str, Endpoint] = {
        "GET": normalised(projects.project), "PATCH": projects.set_status, "DELETE": projects.delete_project,
        "POST": uploads.wrong_place,
    }  # fmt: skip
    version: dict[str, Endpoint] = {
        "GET": normalised(projects.version), "PATCH": projects.yank_version, "DELETE": projects.delete_version,
    }  # fmt: skip
    file: dict[str, Endpoint] = {
        "GET": projects.file, "PATCH": projects.yank_file, "DELETE": projects.delete_file, "POST": projects.add_result,
    }  # fmt: skip
    pins: dict[str, Endpoint] = {"GET": upkeep.pins, "PUT": upkeep.put_pins, "DELETE": upkeep.drop_pins}
    routes: Table = [
        ("/", {"GET": accounts.users, "POST": uploads.wrong_place}),
        ("/+api", {"GET": api.api}),
        ("/+login", {"POST": accounts.login}),
        ("/+authcheck", {"GET": api.authcheck}),
        ("/+status", {"GET": api.status}),
        ("/+audit", {"GET": audit.page}),
        ("/+openapi", {"GET": openapi}),
        ("/+health", {"GET": status.ready}),
        ("/+health/ready", {"GET": status.ready}),
        ("/+health/live", {"GET": status.live}),
        ("/+metrics", {"GET": status.metrics}),
        ("/robots.txt", {"GET": _robots}),
        ("/{user}/+api", {"GET": api.api}),
        ("/{user}/{index}/+api", {"GET": api.api}),
        ("/{user}/{index}/+cached", {"GET": upkeep.cached}),
        ("/{user}/{index}/+pins", pins),
        ("/{user}/{index}/+retention", {"GET": upkeep.retention}),
        ("/{user}/{index}/+f/{path:path}", file),
        ("/{user}/{index}/+e/{path:path}", file),
        ("/{user}/{index}/+simple/{project}/refresh", {"POST": projects.refresh}),
        ("/{user}/{index}/+simple/{project}/", {"POST": uploads.wrong_place}),
        ("/{user}/{index}/+simple/", {"POST": uploads.wrong_place}),
        ("/{user}/{index}/+simple", {"POST": uploads.wrong_place}),
        ("/{user}/{index}/{project}/{version}/", version),
        ("/{user}/{index}/{project}/{version}", version),
        ("/{user}/{index}/{project}/", project),
        ("/{user}/{index}/{project}", project),
        ("/{user}/{index}/", index),
        ("/{user}/{index}", index),
        ("/{user}/", user),
        ("/{user}", user),
    ]
    return routes


def build(routes: Table, answers: Answers) -> App:
    """The app behind `web.asgi.Front`."""
    # A bare router: errors pass through it to `web.asgi.Front`, which knows what to say. One route
    # a path, so that 405 names every method in Allow.
    router = Router(
        [Route(path, _by_method(endpoints), methods=list(endpoints)) for path, endpoints in routes],
        redirect_slashes=False,
    )
    router.default = _nothing_here

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        async def with_common(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                message = answers.start(message["status"], message["headers"])
            await send(message)

        # With an app in its scope Starlette raises what it would else answer in plain text.
        scope["app"] = router
        try:
            await router(scope, receive, with_common if scope["type"] == "http" else send)
        except HTTPException as error:
            allowed = sorted((error.headers or {}).get("Allow", "").replace(" ", "").split(","))
            raise NotAllowed(scope["method"], tuple(allowed)) from None

    return app


def _by_method(endpoints: dict[str, Endpoint]) -> Endpoint:
    async def endpoint(request: Request) -> Response:
        return await endpoints["GET" if request.method == "HEAD" else request.method](request)

    return endpoint


async def _robots(request: Request) -> Response:
    """Crawlers are to stay away."""
    del request
    return PlainTextResponse("User-agent: *\nDisallow: /\n")


async def _nothing_here(scope: Scope, receive: Receive, send: Send) -> None:
    del receive, send
    raise Missing(f"Nothing is at {scope['path'][:200]!r}. The indexes of this server are listed at /")
