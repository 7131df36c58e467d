"""Logging in; users and indexes, shown and changed (protocol reference 2.2)."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from stilton.accounts.indexes import IndexAdmin
from stilton.accounts.login import TOKEN_LIFE_S, Credentials, Login
from stilton.accounts.users import Users
from stilton.catalog.indexes import Indexes
from stilton.catalog.pages import Pages
from stilton.domain.errors import Invalid
from stilton.domain.indexes import public_keys
from stilton.domain.permission import Actor
from stilton.domain.redaction import Secret
from stilton.render import devpi_json
from stilton.web.answers import answer
from stilton.web.auth import Auth
from stilton.web.forms import json_body, json_object


class Accounts:
    """One method per kind of request. `usage(actor, user, index)`: what an index keeps."""

    def __init__(
        self,
        auth: Auth,
        login: Login,
        users: Users,
        admin: IndexAdmin,
        indexes: Indexes,
        pages: Pages,
        *,
        usage: Callable[[Actor, str, str], Awaitable[Response]],
    ) -> None:
        self._auth = auth
        self._login = login
        self._users = users
        self._admin = admin
        self._indexes = indexes
        self._pages = pages
        self._usage = usage

    async def login(self, request: Request) -> Response:
        """A token for a user's password."""
        document = await json_object(request)
        user, password = document.get("user"), document.get("password")
        if not isinstance(user, str) or not isinstance(password, str):
            raise Invalid("Bad request: no user/password specified")
        token = await self._login.token(Credentials(user, Secret(password), self._auth.peer(request.scope)))
        return answer("proxyauth", _proxy_auth(token), message="login successful")

    async def users(self, request: Request) -> Response:
        """All users, with those of their indexes that may be read."""
        everybody = await self._users.all(await self._auth.actor(request.scope))
        found = {keys["username"]: devpi_json.user_config(keys, indexes) for keys, indexes in everybody}
        return answer("list:userconfig", found)

    async def user(self, request: Request) -> Response:
        """One user."""
        keys, indexes = await self._users.one(await self._auth.actor(request.scope), request.path_params["user"])
        return answer("userconfig", devpi_json.user_config(keys, indexes))

    async def create_user(self, request: Request) -> Response:
        """A new user."""
        given = await json_object(request)
        keys = await self._users.create(await self._auth.actor(request.scope), request.path_params["user"], given)
        return answer("userconfig", devpi_json.user_config(keys, []), status=201)

    async def modify_user(self, request: Request) -> Response:
        """Other keys of a user; a new password gives a new token, the old ones are dead."""
        actor, user = await self._auth.actor(request.scope), request.path_params["user"]
        given = _unwrapped(await json_object(request), "userconfig")
        keys = await self._users.modify(actor, user, given)
        if "password" in given:
            token = self._login.new_token(user)
            return answer("userpassword", _proxy_auth(token), message="user updated, new proxy auth")
        return answer("userconfig", devpi_json.user_config(keys, []), message="user updated")

    async def delete_user(self, request: Request) -> Response:
        """Remove a user."""
        user = request.path_params["user"]
        await self._users.delete(await self._auth.actor(request.scope), user)
        return answer(message=f"user {user!r} deleted")

    async def index(self, request: Request) -> Response:
        """One index: its configuration, and the names of its own projects unless `?no_projects`; `?usage`: bytes."""
        actor, (user, name) = await self._auth.actor(request.scope), _index(request)
        if "usage" in request.query_params:
            return await self._usage(actor, user, name)
        index = await self._indexes.readable(actor, user, name)
        keys = public_keys(index)
        if "no_projects" not in request.query_params:
            keys["projects"] = await self._pages.names(actor, user, name, inherited=False)
        return answer("indexconfig", keys)

    async def create_index(self, request: Request) -> Response:
        """A new index."""
        actor, (user, name) = await self._auth.actor(request.scope), _index(request)
        given = _unwrapped(await json_object(request), "indexconfig")
        index = await self._admin.create(actor, user, name, given)
        return answer("indexconfig", public_keys(index))

    async def modify_index(self, request: Request) -> Response:
        """Other keys of an index: an object, or a list of operations."""
        actor, (user, name) = await self._auth.actor(request.scope), _index(request)
        change = await json_body(request)
        if isinstance(change, dict):
            change = _unwrapped(change, "indexconfig")
        elif not isinstance(change, list):
            raise Invalid('Bad request: an object with keys, or a list like ["key=value", "key+=value"]')
        index = await self._admin.modify(
            actor, user, name, change, error_on_noop="error_on_noop" in request.query_params
        )
        return answer("indexconfig", public_keys(index))

    async def delete_index(self, request: Request) -> Response:
        """Remove an index. 201, as devpi-client checks it."""
        user, name = _index(request)
        await self._admin.delete(await self._auth.actor(request.scope), user, name)
        return answer(message=f"index {user}/{name} deleted", status=201)


def _index(request: Request) -> tuple[str, str]:
    return request.path_params["user"], request.path_params["index"]


def _proxy_auth(token: str) -> dict[str, Any]:
    return {"password": token, "expiration": TOKEN_LIFE_S}


def _unwrapped(document: Mapping[str, Any], kind: str) -> dict[str, Any]:
    """What a client got as an answer may be sent back as it is."""
    inner = document.get("result")
    return dict(inner) if document.get("type") == kind and isinstance(inner, dict) else dict(document)
