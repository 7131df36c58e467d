"""Who may do what: every route, asked by every kind of person, of every kind of index.

`ROUTES` says which right a request needs, `RIGHTS` who has it (docs/guide/users.md). Both are written
by hand; the test knows the server's own table of routes only to see that none is missing here.
A refusal also proves that nothing changed, that nothing was told, and that upstream was not asked.
"""

import inspect
import itertools
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from stilton.domain.files import File, path_of
from tests.http.test_uploads import an_attestation
from tests.support.builders import Dist, a_wheel
from tests.support.client import Answer, Client
from tests.support.publish import BOUNDARY, PASSWORD, a_form, a_user, basic, fields_of, upload
from tests.support.team import LOOPBACK, bearer, root, settled, token_of
from tests.support.world import World, a_world

ACTORS = {
    "anonymous": "nobody",
    "wrong password of the owner": "nobody",
    "owner's token from before he changed his password": "nobody",
    "token of a removed user whom the index names": "nobody",
    "stranger": "stranger",
    "reader": "reader",
    "uploader": "uploader",
    "owner": "owner",
    "root": "root",
}
"""Kinds of people, and the column of `RIGHTS` that is about them."""

COLUMNS = ("nobody", "stranger", "reader", "uploader", "owner", "root")

OPEN: dict[str, Any] = {"acl_upload": "owner,uploader,gone"}
CLOSED: dict[str, Any] = {**OPEN, "acl_pkg_read": "reader,gone"}
MIRROR: dict[str, Any] = {"type": "mirror"}
KINDS: dict[str, dict[str, Any]] = {
    "public": OPEN,
    "stable": {**OPEN, "volatile": False},
    "restricted": CLOSED,
    "mirror": MIRROR,
    "hidden": {**MIRROR, "acl_pkg_read": "reader,gone"},
    "over": {**OPEN, "bases": "owner/restricted"},
}
"""Configurations. `over` is public and inherits from `restricted`: it is asked for what that one has."""

# What the statuses are, in the order of COLUMNS. A right without kinds has one line for all of them.
RIGHTS: dict[str, dict[str, str]] = {
    "everybody": {"": "200 200 200 200 200 200"},
    "nothing is there": {"": "404 404 404 404 404 404"},
    "create a user": {"": "201 201 201 201 201 201"},
    "change a user": {"": "401 403 403 403 200 200"},
    "remove a user": {"": "401 403 403 403 200 200"},
    "create an index": {"": "401 403 403 403 200 200"},
    "replace an index": {"": "401 403 403 403 409 409"},
    "read the audit log": {"": "401 403 403 403 403 200"},
    "read an index": {
        "public": "200 200 200 200 200 200",
        "stable": "200 200 200 200 200 200",
        "restricted": "401 403 200 403 200 200",
        "mirror": "200 200 200 200 200 200",
        "hidden": "401 403 200 403 200 200",
        "over": "200 200 200 200 200 200",
    },
    "read a project": {
        "public": "200 200 200 200 200 200",
        "stable": "200 200 200 200 200 200",
        "restricted": "401 403 200 403 200 200",
        "mirror": "200 200 200 200 200 200",
        "hidden": "401 403 200 403 200 200",
        "over": "404 404 200 404 200 200",
    },
    "read an own project": {
        "public": "200 200 200 200 200 200",
        "stable": "200 200 200 200 200 200",
        "restricted": "401 403 200 403 200 200",
        "mirror": "200 200 200 200 200 200",
        "hidden": "401 403 200 403 200 200",
        "over": "404 404 404 404 404 404",
    },
    # An index answers for its own files only.
    "read a file": {
        "public": "200 200 200 200 200 200",
        "stable": "200 200 200 200 200 200",
        "restricted": "401 403 200 403 200 200",
        "mirror": "200 200 200 200 200 200",
        "hidden": "401 403 200 403 200 200",
        "over": "404 404 404 404 404 404",
    },
    # Only what was uploaded here has a provenance.
    "read a provenance": {
        "public": "200 200 200 200 200 200",
        "stable": "200 200 200 200 200 200",
        "restricted": "401 403 200 403 200 200",
        "mirror": "404 404 404 404 404 404",
        "hidden": "401 403 404 403 404 404",
        "over": "404 404 404 404 404 404",
    },
    # Files that upstream lists without a hash: only mirrors have such.
    "read a file without hash": {
        "public": "404 404 404 404 404 404",
        "stable": "404 404 404 404 404 404",
        "restricted": "401 403 404 403 404 404",
        "mirror": "200 200 200 200 200 200",
        "hidden": "401 403 200 403 200 200",
        "over": "404 404 404 404 404 404",
    },
    "refresh": {
        "public": "302 302 302 302 302 302",
        "stable": "302 302 302 302 302 302",
        "restricted": "401 403 302 403 302 302",
        "mirror": "302 302 302 302 302 302",
        "hidden": "401 403 302 403 302 302",
        "over": "302 302 302 302 302 302",
    },
    "configure": {
        "public": "401 403 403 403 200 200",
        "stable": "401 403 403 403 200 200",
        "restricted": "401 404 403 404 200 200",
        "mirror": "401 403 403 403 200 200",
        "hidden": "401 404 403 404 200 200",
        "over": "401 403 403 403 200 200",
    },
    "pin": {
        "public": "401 403 403 403 400 400",
        "stable": "401 403 403 403 400 400",
        "restricted": "401 403 403 403 400 400",
        "mirror": "401 403 403 403 200 200",
        "hidden": "401 403 403 403 200 200",
        "over": "401 403 403 403 400 400",
    },
    "remove an index": {
        "public": "401 403 403 403 201 201",
        "stable": "401 403 403 403 403 403",
        "restricted": "401 404 403 404 201 201",
        "mirror": "401 403 403 403 201 201",
        "hidden": "401 404 403 404 201 201",
        "over": "401 403 403 403 201 201",
    },
    # Exactly whom the key names, so not root.
    "upload": {
        "public": "401 403 403 200 200 403",
        "stable": "401 403 403 200 200 403",
        "restricted": "401 403 403 200 200 403",
        "mirror": "404 404 404 404 404 404",
        "hidden": "404 404 404 404 404 404",
        "over": "401 403 403 200 200 403",
    },
    # To owner/target, whose acl_upload names owner and uploader. Who may not upload there is told 401, as by devpi.
    "push": {
        "public": "401 401 401 200 200 401",
        "stable": "401 401 401 200 200 401",
        "restricted": "401 403 401 403 200 401",
        "mirror": "401 401 401 200 200 401",
        "hidden": "401 403 401 403 200 401",
        "over": "401 401 401 404 404 401",
    },
    # To another server, where nobody answers: whoever may read and is logged in gets as far as that.
    "push out": {
        "public": "401 502 502 502 502 502",
        "stable": "401 502 502 502 502 502",
        "restricted": "401 403 502 403 502 502",
        "mirror": "401 502 502 502 502 502",
        "hidden": "401 403 502 403 502 502",
        "over": "401 404 404 404 404 404",
    },
    "remove": {
        "public": "401 403 403 200 200 200",
        "stable": "401 403 403 403 403 403",
        "restricted": "401 403 403 200 200 200",
        "mirror": "401 403 403 403 200 200",
        "hidden": "401 403 403 403 200 200",
        "over": "401 403 403 404 404 404",
    },
    "remove by force": {
        "public": "401 403 403 200 200 200",
        "stable": "401 403 403 200 200 200",
        "restricted": "401 403 403 200 200 200",
        "mirror": "401 403 403 403 200 200",
        "hidden": "401 403 403 403 200 200",
        "over": "401 403 403 404 404 404",
    },
    "remove a file without hash": {
        "public": "401 403 403 404 404 404",
        "stable": "401 403 403 404 404 404",
        "restricted": "401 403 403 404 404 404",
        "mirror": "401 403 403 403 200 200",
        "hidden": "401 403 403 403 200 200",
        "over": "401 403 403 404 404 404",
    },
    # What a mirror shows is its upstream's to say.
    "curate": {
        "public": "401 403 403 200 200 200",
        "stable": "401 403 403 200 200 200",
        "restricted": "401 403 403 200 200 200",
        "mirror": "400 400 400 400 400 400",
        "hidden": "401 403 400 403 400 400",
        "over": "401 403 403 404 404 404",
    },
    "curate a file without hash": {
        "public": "401 403 403 404 404 404",
        "stable": "401 403 403 404 404 404",
        "restricted": "401 403 403 404 404 404",
        "mirror": "400 400 400 400 400 400",
        "hidden": "401 403 400 403 400 400",
        "over": "401 403 403 404 404 404",
    },
    "add a test result": {
        "public": "200 200 200 200 200 200",
        "stable": "200 200 200 200 200 200",
        "restricted": "401 403 200 403 200 200",
        "mirror": "403 403 403 403 403 403",
        "hidden": "401 403 403 403 403 403",
        "over": "404 404 404 404 404 404",
    },
    "add a test result without hash": {
        "public": "404 404 404 404 404 404",
        "stable": "404 404 404 404 404 404",
        "restricted": "401 403 404 403 404 404",
        "mirror": "403 403 403 403 403 403",
        "hidden": "401 403 403 403 403 403",
        "over": "404 404 404 404 404 404",
    },
}


@dataclass(frozen=True)
class Case:
    """A request. `fresh`: what it asks for is another thing after it. `form`: it uploads."""

    right: str
    document: Any = None
    query: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    fresh: bool = False
    form: bool = False


JSON = {"accept": "application/json"}
SIMPLE = {"accept": "application/vnd.pypi.simple.v1+json"}
INSTALLER = {"user_agent": "pip/26.0"}
YANKED = {"yanked": "it is broken"}

_VERSION = "/{user}/{index}/{project}/{version}"
_API = (Case("everybody"),)
_ANYBODY = (Case("everybody", headers=JSON),)
_NOWHERE = (Case("nothing is there", headers=JSON),)
_FORM = (Case("upload", form=True),)
_PUSHES = (
    Case("push", {"targetindex": "owner/target"}),
    Case("push out", {"posturl": "http://127.0.0.1:9/", "username": "u", "password": "p"}),
)
_PROJECT = (
    Case("read a project", headers=JSON),
    Case("read an own project", query="ignore_bases", headers=JSON),
    Case("read an index", query="explain", headers=JSON),
    Case("read a project", headers=INSTALLER),
    Case("read a project", headers=SIMPLE),
)
_REMOVALS = (
    Case("remove", fresh=True),
    Case("remove by force", query="force", fresh=True),
)
_SIMPLE_PAGE = (
    Case("read a project"),
    Case("read a project", headers=SIMPLE),
    Case("read a project", headers=INSTALLER),
)
_SIMPLE_LIST = (Case("read an index", headers=INSTALLER), Case("read an index", headers=SIMPLE))

ROUTES: dict[tuple[str, str], tuple[Case, ...]] = {
    ("GET", "/"): _ANYBODY,
    ("POST", "/"): _NOWHERE,
    ("GET", "/+api"): _API,
    ("POST", "/+login"): (Case("everybody", {"user": "reader", "password": PASSWORD}),),
    ("GET", "/+authcheck"): (
        Case("everybody", headers={"x_original_uri": "/"}),
        Case("everybody", headers={"x_original_uri": "/{user}/{index}/+api"}),
        Case("read an index", headers={"x_original_uri": "/{user}/{index}/+simple/{project}/"}),
        Case("read an index", headers={"x_original_uri": "http://host/{user}/{index}/+f/x?y"}),
        Case("read an index", headers={"x_original_uri": "/{user}/{encoded index}/x"}),
    ),
    ("GET", "/+status"): _API,
    ("GET", "/+audit"): (Case("read the audit log", headers=JSON),),
    ("GET", "/+openapi"): _API,
    ("GET", "/+health"): _API,
    ("GET", "/+health/ready"): _API,
    ("GET", "/+health/live"): _API,
    ("GET", "/+metrics"): _API,
    ("GET", "/robots.txt"): _API,
    ("GET", "/{user}/+api"): _API,
    ("GET", "/{user}/{index}/+api"): _API,
    # -- users
    **{("GET", f"/{{user}}{slash}"): _ANYBODY for slash in ("", "/")},
    **{("POST", f"/{{user}}{slash}"): _NOWHERE for slash in ("", "/")},
    **{("PUT", f"/{{user}}{slash}"): (Case("create a user", {"password": "x"}, fresh=True),) for slash in ("", "/")},
    **{
        ("PATCH", f"/{{user}}{slash}"): (
            Case("change a user", {"title": "changed"}, fresh=True),
            Case("change a user", {"password": "another"}, fresh=True),
        )
        for slash in ("", "/")
    },
    **{("DELETE", f"/{{user}}{slash}"): (Case("remove a user", fresh=True),) for slash in ("", "/")},
    # -- indexes
    **{
        ("GET", f"/{{user}}/{{index}}{slash}"): (
            Case("read an index", headers=JSON),
            Case("read an index", query="no_projects", headers=JSON),
            Case("read an index", query="usage", headers=JSON),
            *_SIMPLE_LIST,
        )
        for slash in ("", "/")
    },
    **{
        ("PUT", f"/{{user}}/{{index}}{slash}"): (
            Case("replace an index", {"title": "replaced"}),
            Case("create an index", {"title": "new"}, fresh=True),
        )
        for slash in ("", "/")
    },
    **{
        ("PATCH", f"/{{user}}/{{index}}{slash}"): (
            Case("configure", {"title": "changed"}),
            Case("configure", ["title=changed"]),
            Case("configure", {"acl_pkg_read": "stranger"}, fresh=True),
        )
        for slash in ("", "/")
    },
    **{("DELETE", f"/{{user}}/{{index}}{slash}"): (Case("remove an index", fresh=True),) for slash in ("", "/")},
    **{("POST", f"/{{user}}/{{index}}{slash}"): (*_FORM, *_PUSHES) for slash in ("", "/")},
    **{("PUSH", f"/{{user}}/{{index}}{slash}"): _PUSHES for slash in ("", "/")},
    ("GET", "/{user}/{index}/+cached"): (Case("read an index", headers=JSON),),
    ("GET", "/{user}/{index}/+pins"): (Case("read an index", headers=JSON),),
    ("PUT", "/{user}/{index}/+pins"): (Case("pin", {"projects": ["*"]}),),
    ("DELETE", "/{user}/{index}/+pins"): (Case("pin", {"projects": ["*"]}),),
    ("GET", "/{user}/{index}/+retention"): (
        Case("read an index", headers=JSON),
        Case("read an index", query="keep=1", headers=JSON),
    ),
    # -- projects and versions
    **{("GET", f"/{{user}}/{{index}}/{{project}}{slash}"): _PROJECT for slash in ("", "/")},
    **{("POST", f"/{{user}}/{{index}}/{{project}}{slash}"): _NOWHERE for slash in ("", "/")},
    **{
        ("PATCH", f"/{{user}}/{{index}}/{{project}}{slash}"): (Case("curate", {"status": "deprecated"}),)
        for slash in ("", "/")
    },
    **{
        ("DELETE", f"/{{user}}/{{index}}/{{project}}{slash}"): (
            *_REMOVALS,
            Case("remove by force", query="force&forget", fresh=True),
        )
        for slash in ("", "/")
    },
    **{("GET", f"{_VERSION}{slash}"): (Case("read a project", headers=JSON),) for slash in ("", "/")},
    **{("PATCH", f"{_VERSION}{slash}"): (Case("curate", YANKED),) for slash in ("", "/")},
    **{("DELETE", f"{_VERSION}{slash}"): _REMOVALS for slash in ("", "/")},
    # -- files
    ("GET", "/{user}/{index}/+f/{path:path}"): (Case("read a file", headers=JSON), Case("read a file")),
    ("POST", "/{user}/{index}/+f/{path:path}"): (Case("add a test result", {"testenvs": {}}),),
    ("PATCH", "/{user}/{index}/+f/{path:path}"): (Case("curate", YANKED),),
    ("DELETE", "/{user}/{index}/+f/{path:path}"): _REMOVALS,
    ("GET", "/{user}/{index}/+e/{path:path}"): (
        Case("read a file without hash", headers=JSON),
        Case("read a file without hash"),
    ),
    ("POST", "/{user}/{index}/+e/{path:path}"): (Case("add a test result without hash", {"testenvs": {}}),),
    ("PATCH", "/{user}/{index}/+e/{path:path}"): (Case("curate a file without hash", YANKED),),
    ("DELETE", "/{user}/{index}/+e/{path:path}"): (Case("remove a file without hash", query="force", fresh=True),),
    # -- simple pages
    ("POST", "/{user}/{index}/+simple"): _NOWHERE,
    ("POST", "/{user}/{index}/+simple/"): _NOWHERE,
    ("POST", "/{user}/{index}/+simple/{project}/"): _NOWHERE,
    ("POST", "/{user}/{index}/+simple/{project}/refresh"): (Case("refresh"),),
}

IN_FRONT: dict[tuple[str, str], tuple[Case, ...]] = {
    ("GET", "/{user}/{index}/+simple"): _SIMPLE_LIST,
    ("GET", "/{user}/{index}/+simple/"): (Case("read an index"), *_SIMPLE_LIST),
    ("GET", "/{user}/{index}/+simple/{project}"): _SIMPLE_PAGE[1:],
    ("GET", "/{user}/{index}/+simple/{project}/"): _SIMPLE_PAGE,
    ("GET", "/{user}/{index}/+f/{path:path}.metadata"): (Case("read a file"),),
    ("GET", "/{user}/{index}/+f/{path:path}.provenance"): (Case("read a provenance"),),
    ("GET", "/{user}/{index}/+e/{path:path}.metadata"): (Case("read a file without hash"),),
}
"""What `web.asgi` answers before any routing; the files' bytes and the short URLs are among `ROUTES`."""


def is_of_an_index(path: str, case: Case) -> bool:
    """Whether a request is about an index at all."""
    return "index}" in path + case.headers.get("x_original_uri", "")


def requests(*, of_indexes: bool) -> list[Any]:
    """Every case, as parameters of a test."""
    return [
        pytest.param(method, path, case, id=f"{method} {path} {number}")
        for (method, path), cases in {**ROUTES, **IN_FRONT}.items()
        for number, case in enumerate(cases)
        if is_of_an_index(path, case) is of_indexes
    ]


@dataclass(frozen=True)
class Target:
    """What a request asks for. `file`: the wheel's path below the index."""

    user: str
    index: str
    project: str
    version: str
    wheel: Dist
    file: str

    def url(self, path: str, query: str = "") -> str:
        parts = {
            "user": self.user,
            "index": self.index,
            "encoded index": "".join(f"%{ord(char):x}" for char in self.index),
            "project": self.project,
            "version": self.version,
            "path:path": self.file[3:],
        }
        for name, value in parts.items():
            path = path.replace(f"{{{name}}}", value)
        return f"{path}?{query}" if query else path


class Scene:
    """One server with all kinds of people and indexes; things to ask for are on the one of `kind`."""

    def __init__(self, world: World, kind: str) -> None:
        self.world = world
        self.kind = kind
        self.tokens: dict[str, str] = {}
        self._numbers = itertools.count()

    async def set(self) -> None:
        client = self.world.client
        for name in ("owner", "reader", "uploader", "stranger", "gone"):
            await a_user(client, name)
            self.tokens[name] = await token_of(client, name)
        self.tokens["dead"] = self.tokens["owner"]
        changed = await client.send("PATCH", "/owner", {"password": "changed"}, **bearer(self.tokens["owner"]))
        self.tokens["owner"] = changed.json["result"]["password"]
        for kind in KINDS:
            await self.index(kind, kind)
        await self.send_as("owner", "PUT", "/owner/target", {"acl_upload": "owner,uploader"})
        removed = await client.send("DELETE", "/gone", **bearer(self.tokens["gone"]))
        assert removed.status == 200, removed.text

    async def index(self, name: str, kind: str) -> None:
        keys = dict(KINDS[kind])
        if keys.get("type") == "mirror":
            keys["mirror_url"] = self.world.upstream.url
        answer = await self.send_as("owner", "PUT", f"/owner/{name}", keys)
        assert answer.status == 200, answer.text

    def headers(self, actor: str) -> dict[str, str]:
        match actor:
            case "anonymous":
                return {}
            case "wrong password of the owner":
                return {"authorization": basic("owner", "wrong")}
            case "owner's token from before he changed his password":
                return bearer(self.tokens["dead"])
            case "token of a removed user whom the index names":
                return bearer(self.tokens["gone"])
            case "root":
                return root(self.world)
            case _:
                return bearer(self.tokens[actor])

    async def send_as(self, actor: str, method: str, url: str, document: Any = None) -> Answer:
        return await self._client().send(method, url, document, **self.headers(actor))

    async def target(self, path: str, case: Case, *, held: bool) -> Target:
        """Something new to ask for: nobody asked for it before. `held`: a mirror has fetched it."""
        if not is_of_an_index(path, case):
            return await self._user(case)
        number, kind = next(self._numbers), self.kind
        project, version = f"thing{number}", f"7.6.5.post{number}"
        wheel = a_wheel(project, version)
        unhashed = "hash" in case.right
        url = self.world.upstream.file_url(wheel)
        file = path_of(File(filename=wheel.filename, url=url)) if unhashed else wheel.path
        target = Target("owner", kind, project, version, wheel, file)
        if case.right == "create an index":
            return replace(target, index=f"new{number}")
        if case.fresh and case.right in ("configure", "remove an index"):
            target = replace(target, index=f"{kind}{number}")
            await self.index(target.index, kind)
            return target
        if "type" in KINDS[kind]:
            self.world.upstream.add(project, wheel, **({"hashes": {}} if unhashed else {}))
            if held:
                await self._hold(target)
            return target
        stage = "restricted" if kind == "over" else target.index
        attestations = json.dumps([an_attestation(wheel.filename, wheel.sha256)])
        answer = await upload(
            self.world.client, f"owner/{stage}", wheel, project, version, user="uploader", attestations=attestations
        )
        assert answer.status == 200, answer.text
        return target

    async def _user(self, case: Case) -> Target:
        """The owner; or a user of his own who is the owner now, or who is not there yet."""
        name = f"user{next(self._numbers)}" if case.fresh else "owner"
        if case.fresh and case.right != "create a user":
            await a_user(self.world.client, name)
            self.tokens["owner"] = await token_of(self.world.client, name)
        return Target(name, "", "", "", a_wheel(), "+f/")

    async def _hold(self, target: Target) -> None:
        for path in (f"+simple/{target.project}/", target.file):
            answer = await self.world.client.get(f"/owner/{target.index}/{path}", **self.headers("owner"))
            assert answer.status == 200, answer.text
        await settled(self.world, f"{target.user}/{target.index}")

    async def ask(self, actor: str, method: str, path: str, case: Case, target: Target) -> Answer:
        number = next(self._numbers)
        headers = {**case.headers, **self.headers(actor)}
        if "x_original_uri" in headers:
            headers["x_original_uri"] = target.url(headers["x_original_uri"])
        document = case.document
        if case.form:
            wheel = a_wheel(f"sent{number}")
            body = a_form(fields_of(wheel, f"sent{number}", "1.0"), wheel.filename, wheel.content)
            headers["content_type"] = f"multipart/form-data; boundary={BOUNDARY}"
        else:
            if case.right.startswith("push"):
                document = {"name": target.project, "version": target.version, **document}
            body = b"" if document is None else json.dumps(document).encode()
        return await self._client().request(method, target.url(path, case.query), body, **headers)

    def _client(self) -> Client:
        """From another address each time: eight wrong passwords from one are too many."""
        number = next(self._numbers)
        return Client(self.world.app, client=(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}", 50000))


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    """One server for the whole module."""
    return "asyncio"


@pytest.fixture(scope="module")
async def scene(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Scene]:
    async with a_world(tmp_path_factory.mktemp("permissions"), internal_networks=LOOPBACK) as world:
        made = Scene(world, request.param)
        await made.set()
        yield made


@pytest.mark.parametrize("scene", ["public"], indirect=True)
async def test_every_route_of_the_server_is_in_the_matrix(scene: Scene) -> None:
    assert scene.world.app._front is not None
    router = inspect.getclosurevars(scene.world.app._front._routes).nonlocals["router"]
    served = {
        (method, route.path)
        for route in router.routes
        for method in inspect.getclosurevars(route.endpoint).nonlocals["endpoints"]
    }

    assert served == set(ROUTES)


def test_every_line_of_the_matrix_is_about_every_kind_and_column() -> None:
    for right, lines in RIGHTS.items():
        assert set(lines) in ({""}, set(KINDS)), right
        assert all(len(line.split()) == len(COLUMNS) for line in lines.values()), right
    assert {case.right for cases in (*ROUTES.values(), *IN_FRONT.values()) for case in cases} == set(RIGHTS)
    assert set(ACTORS.values()) == set(COLUMNS)


def expected(case: Case, kind: str) -> dict[str, int]:
    """Status by actor."""
    lines = RIGHTS[case.right]
    statuses = dict(zip(COLUMNS, (lines.get(kind) or lines[""]).split(), strict=True))
    return {actor: int(statuses[column]) for actor, column in ACTORS.items()}


def told(answer: Answer, target: Target) -> list[str]:
    """What an answer says of its target that the request did not."""
    said = (answer.text + repr(answer.headers)).replace(target.file, "")
    wheel = target.wheel
    return [
        secret for secret in (wheel.filename, wheel.sha256, wheel.sha256[3:16], wheel.metadata_sha256) if secret in said
    ]


async def check_refusals(
    scene: Scene, method: str, path: str, case: Case, target: Target, refused: Mapping[str, int]
) -> None:
    """Who is refused is told nothing; nothing changed, and upstream was not asked."""
    changes = method not in ("GET", "HEAD")
    before, asked = scene.world.everything() if changes else None, len(scene.world.upstream.seen)
    for actor, status in refused.items():
        answer = await scene.ask(actor, method, path, case, target)
        assert (actor, method, answer.status) == (actor, method, status), answer.text
        assert told(answer, target) == []
    assert not changes or scene.world.everything() == before
    assert len(scene.world.upstream.seen) == asked


async def check_everybody(scene: Scene, method: str, path: str, case: Case) -> None:
    """Everybody gets what the matrix says: first those who are refused, when nothing is cached yet."""
    changes = method != "GET"
    statuses = expected(case, scene.kind)
    refused = {
        actor: status for actor, status in statuses.items() if status in (401, 403) or (changes and status > 403)
    }
    target = await scene.target(path, case, held=changes)

    await check_refusals(scene, method, path, case, target, refused)
    for actor in statuses.keys() - refused.keys():
        answer = await scene.ask(actor, method, path, case, target)
        assert (actor, answer.status) == (actor, statuses[actor]), answer.text
        if not changes:
            head = await scene.ask(actor, "HEAD", path, case, target)
            assert (actor, head.status) == (actor, answer.status)
        if answer.status == 404:
            assert told(answer, target) == []
        if case.fresh:
            target = await scene.target(path, case, held=changes)
    # What others were given in between is not given to those who may not have it.
    for verb in () if changes else ("GET", "HEAD"):
        await check_refusals(scene, verb, path, case, target, refused)


@pytest.mark.parametrize("scene", KINDS, indirect=True)
@pytest.mark.parametrize(("method", "path", "case"), requests(of_indexes=True))
async def test_a_request_about_an_index_is_answered_as_the_matrix_says(
    scene: Scene, method: str, path: str, case: Case
) -> None:
    await check_everybody(scene, method, path, case)


@pytest.mark.parametrize("scene", ["public"], indirect=True)
@pytest.mark.parametrize(("method", "path", "case"), requests(of_indexes=False))
async def test_a_request_about_no_index_is_answered_as_the_matrix_says(
    scene: Scene, method: str, path: str, case: Case
) -> None:
    tokens = dict(scene.tokens)

    await check_everybody(scene, method, path, case)

    scene.tokens = tokens


LISTED = "public stable mirror over target"
UNLISTED = "restricted hidden"


@pytest.mark.parametrize("scene", ["over"], indirect=True)
@pytest.mark.parametrize("actor", ACTORS)
@pytest.mark.parametrize("path", ["/", "/owner", "/owner/"])
async def test_indexes_are_listed_for_those_who_may_read_them(scene: Scene, actor: str, path: str) -> None:
    result = (await scene.send_as(actor, "GET", path)).json["result"]

    listed = set((result["owner"] if path == "/" else result)["indexes"])
    assert set(LISTED.split()) <= listed
    assert (set(UNLISTED.split()) & listed == set(UNLISTED.split())) is (ACTORS[actor] in ("reader", "owner", "root"))
    if ACTORS[actor] not in ("reader", "owner", "root"):
        assert not set(UNLISTED.split()) & listed


@pytest.mark.parametrize("scene", ["over"], indirect=True)
@pytest.mark.parametrize("actor", ACTORS)
async def test_upstreams_are_told_to_those_who_may_read_the_mirror(scene: Scene, actor: str) -> None:
    upstreams = (await scene.send_as(actor, "GET", "/+status")).json["result"]["upstreams"]

    assert "owner/mirror" in upstreams
    assert ("owner/hidden" in upstreams) is (ACTORS[actor] in ("reader", "owner", "root"))


@pytest.mark.parametrize("scene", ["over"], indirect=True)
@pytest.mark.parametrize("actor", ACTORS)
async def test_a_list_of_projects_has_what_a_restricted_base_has_for_its_readers_only(scene: Scene, actor: str) -> None:
    target = await scene.target("/{user}/{index}", Case("read an index"), held=False)

    pages = [
        await scene.ask(actor, "GET", path, Case("read an index", headers=headers), target)
        for path in ("/{user}/{index}/+simple/", "/{user}/{index}/")
        for headers in (SIMPLE, INSTALLER)
    ]
    own = await scene.send_as(actor, "GET", "/owner/over")

    for page in pages:
        assert (target.project in page.text) is (ACTORS[actor] in ("reader", "owner", "root"))
    assert target.project not in own.json["result"]["projects"]
