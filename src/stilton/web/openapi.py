"""The API described for machines: OpenAPI 3.1, made from the table of routes."""

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from stilton import __version__

Endpoint = Callable[[Request], Awaitable[Response]]
_PARAMETER = re.compile(r"\{(\w+)(?::path)?\}")
# OpenAPI knows the methods of HTTP itself; PUSH is devpi's.
_METHODS = ("GET", "PUT", "PATCH", "DELETE", "POST")

_TEXT: dict[str, Any] = {"type": "string"}
_FLAG: dict[str, Any] = {"type": "boolean"}
_YANKED = {
    "type": "object",
    "properties": {"yanked": {"type": ["boolean", "string"]}},
    "required": ["yanked"],
    "additionalProperties": False,
}
_USER = {
    "type": "object",
    "properties": {
        "password": _TEXT, "email": _TEXT, "title": _TEXT, "description": _TEXT, "custom_data": {},
    },
}  # fmt: skip
_INDEX = {
    "type": "object",
    "properties": {"type": {"enum": ["stage", "mirror"]}, "bases": {"type": ["array", "string"]}},
}

_PINS = {
    "type": "object",
    "properties": {
        "projects": {"type": "array", "items": _TEXT}, "files": {"type": "array", "items": _TEXT}, "reason": _TEXT,
    },
    "additionalProperties": False,
}  # fmt: skip

BODIES: Mapping[tuple[str, str], dict[str, Any]] = {
    ("POST", "/+login"): {
        "type": "object",
        "properties": {"user": _TEXT, "password": _TEXT},
        "required": ["user", "password"],
    },
    ("PUT", "/{user}"): {**_USER, "required": ["password"]},
    ("PATCH", "/{user}"): _USER,
    ("PUT", "/{user}/{index}"): _INDEX,
    ("PATCH", "/{user}/{index}"): {"anyOf": [_INDEX, {"type": "array", "items": _TEXT}]},
    ("PUT", "/{user}/{index}/+pins"): _PINS,
    ("DELETE", "/{user}/{index}/+pins"): _PINS,
    ("PATCH", "/{user}/{index}/{project}"): {
        "type": "object",
        "properties": {
            "status": {"enum": ["active", "archived", "deprecated", "quarantined"]},
            "reason": {"type": ["string", "null"]},
        },
        "required": ["status"],
        "additionalProperties": False,
    },
    ("PATCH", "/{user}/{index}/{project}/{version}"): _YANKED,
    ("PATCH", "/{user}/{index}/+f/{path}"): _YANKED,
    ("PATCH", "/{user}/{index}/+e/{path}"): _YANKED,
    ("POST", "/{user}/{index}/+f/{path}"): {},
    ("POST", "/{user}/{index}/+e/{path}"): {},
}
"""JSON bodies by method and path, without a last slash."""

QUERIES: Mapping[tuple[str, str], Sequence[str]] = {
    ("GET", "/+audit"): ("before", "limit", "actor", "target", "action", "since", "until"),
    ("GET", "/{user}/{index}"): ("no_projects", "usage"),
    ("GET", "/{user}/{index}/+cached"): ("project", "unused_for", "after"),
    ("GET", "/{user}/{index}/+retention"): ("keep",),
    ("PATCH", "/{user}/{index}"): ("error_on_noop",),
    ("GET", "/{user}/{index}/{project}"): ("ignore_bases", "explain"),
    ("DELETE", "/{user}/{index}/{project}"): ("force", "forget"),
    ("DELETE", "/{user}/{index}/{project}/{version}"): ("force",),
    ("DELETE", "/{user}/{index}/+f/{path}"): ("force",),
    ("DELETE", "/{user}/{index}/+e/{path}"): ("force",),
}
"""Parameters of the query. Most are flags: being there is enough."""

_FORM = {
    "multipart/form-data": {
        "schema": {
            "type": "object",
            "properties": {
                ":action": {"enum": ["file_upload", "doc_upload", "submit"]},
                "name": _TEXT,
                "version": _TEXT,
                "content": {"type": "string", "format": "binary"},
            },
            "required": [":action", "name"],
        }
    }
}
_PUSH = {
    "type": "object",
    "properties": {
        "name": _TEXT, "version": _TEXT, "targetindex": _TEXT, "posturl": _TEXT, "username": _TEXT,
        "password": _TEXT, "register_project": _FLAG, "no_docs": _FLAG, "only_docs": _FLAG,
    },
    "required": ["name", "version"],
    "additionalProperties": False,
}  # fmt: skip


def description(routes: Sequence[tuple[str, Mapping[str, Endpoint]]], base: str, *, unsaid: Endpoint) -> Response:
    """The document. `base`: absolute URL of `/`, without slash. `unsaid`: an endpoint that only refuses."""
    paths: dict[str, Any] = {}
    for route, endpoints in routes:
        path = route.replace(":path}", "}")
        paths[path] = {
            method.lower(): _operation(method, path, endpoint)
            for method, endpoint in endpoints.items()
            if method in _METHODS and endpoint != unsaid
        }
    document = {
        "openapi": "3.1.0",
        "info": {"title": "stilton", "version": __version__, "description": "A Python package index, in devpi's API."},
        "servers": [{"url": base}],
        "paths": {path: operations for path, operations in paths.items() if operations},
        "components": {"securitySchemes": {"basic": {"type": "http", "scheme": "basic"}}},
        "security": [{}, {"basic": []}],
    }
    return Response(msgspec.json.encode(document), headers={"content-type": "application/json"})


def _operation(method: str, path: str, endpoint: Endpoint) -> dict[str, Any]:
    key = (method, path.rstrip("/") or "/")
    parameters: list[dict[str, Any]] = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
        for name in _PARAMETER.findall(path)
    ]
    parameters += [{"name": name, "in": "query", "schema": _TEXT} for name in QUERIES.get(key, ())]
    operation: dict[str, Any] = {
        "summary": (endpoint.__doc__ or "").split("\n")[0],
        "operationId": f"{method.lower()} {path}",
        "parameters": parameters,
        "responses": {
            "2XX": {"description": "done"},
            "3XX": {"description": "elsewhere"},
            "4XX": {"description": "refused, with the reason"},
            "5XX": {"description": "an upstream or the disk failed"},
        },
    }
    content = _content(key)
    if content:
        operation["requestBody"] = {"content": content, "required": True}
    return operation


def _content(key: tuple[str, str]) -> dict[str, Any]:
    if key == ("POST", "/{user}/{index}"):
        return {**_FORM, "application/json": {"schema": _PUSH}}
    return {"application/json": {"schema": BODIES[key]}} if key in BODIES else {}
