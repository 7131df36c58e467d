"""Every URL that is not a simple page or a file (those: `web.asgi`), in one table.

GET  /                                   all users and indexes
GET  /+api /{u}/+api /{u}/{i}/+api       discovery
GET  /+status                            this server, its upstreams
GET  /+health /+health/ready             200 when this server can answer
GET  /+health/live                       200 while this process runs
GET  /+metrics                           numbers for Prometheus
GET  /robots.txt                         nothing here is for crawlers
GET  /{u}[/]  /{u}/{i}[/]                a user, an index
GET  /{u}/{i}/{p}[/]  /{u}/{i}/{p}/{v}   a project, a version
POST /{u}/{i}/+simple/{p}/refresh        ask upstream now
"""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route, Router

from stilton.catalog.pages import Pages
from stilton.domain.names import project_name
from stilton.web.api import Api
from stilton.web.http import Answers, Receive, Scope, Send
from stilton.web.status import Status
from stilton.web.urls import path_to

App = Callable[[Scope, Receive, Send], Awaitable[None]]
Endpoint = Callable[[Request], Awaitable[Response]]


def build(api: Api, status: Status, pages: Pages, answers: Answers, mount: Callable[[Request], str]) -> App:
    """The app behind `web.asgi.Front`. `mount`: the path that `/` has outside."""

    def normalised(endpoint: Endpoint) -> Endpoint:
        """GET with another spelling of the project's name: 302 to the normalised one."""

        async def endpoint_or_redirect(request: Request) -> Response:
            parameters = request.path_params
            name = project_name(parameters["project"])
            if name == parameters["project"]:
                return await endpoint(request)
            rest = [parameters["version"]] if "version" in parameters else []
            location = mount(request) + path_to(parameters["user"], parameters["index"], name, *rest)
            return RedirectResponse(location, 302)

        return endpoint_or_redirect

    async def refresh(request: Request) -> Response:
        user, index = request.path_params["user"], request.path_params["index"]
        name = project_name(request.path_params["project"])
        await pages.refresh(user, index, name)
        return RedirectResponse(mount(request) + path_to(user, index, "+simple", name, ""), 302)

    async def robots(request: Request) -> Response:
        del request
        return PlainTextResponse("User-agent: *\nDisallow: /\n")

    table: list[tuple[str, Endpoint, str]] = [
        ("/", api.root, "GET"),
        ("/+api", api.api, "GET"),
        ("/+status", api.status, "GET"),
        ("/+health", status.ready, "GET"),
        ("/+health/ready", status.ready, "GET"),
        ("/+health/live", status.live, "GET"),
        ("/+metrics", status.metrics, "GET"),
        ("/robots.txt", robots, "GET"),
        ("/{user}/+api", api.api, "GET"),
        ("/{user}/{index}/+api", api.api, "GET"),
        ("/{user}/{index}/+simple/{project}/refresh", refresh, "POST"),
        ("/{user}/{index}/{project}/{version}", normalised(api.version), "GET"),
        ("/{user}/{index}/{project}/", normalised(api.project), "GET"),
        ("/{user}/{index}/{project}", normalised(api.project), "GET"),
        ("/{user}/{index}/", api.index, "GET"),
        ("/{user}/{index}", api.index, "GET"),
        ("/{user}/", api.user, "GET"),
        ("/{user}", api.user, "GET"),
    ]

    # A bare router: errors pass through it to `web.asgi.Front`, which knows what to say.
    router = Router(
        [Route(path, endpoint, methods=[method]) for path, endpoint, method in table], redirect_slashes=False
    )
    router.default = _nothing_here

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        async def with_common(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                message = answers.start(scope, message["status"], message["headers"])
            await send(message)

        await router(scope, receive, with_common if scope["type"] == "http" else send)

    return app


async def _nothing_here(scope: Scope, receive: Receive, send: Send) -> None:
    text = f"Nothing is at {scope['path'][:200]!r}. The indexes of this server are listed at /\n"
    await PlainTextResponse(text, 404)(scope, receive, send)
