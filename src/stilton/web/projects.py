"""Projects, versions and files as devpi's JSON; what their owners do with them (protocol reference 2.2)."""

from typing import Any

import anyio.to_thread
import msgspec
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from stilton.catalog.files import Arriving, Files, InMemory, OnDisk
from stilton.catalog.indexes import Indexes
from stilton.catalog.pages import Pages
from stilton.catalog.versions import Published, Releases, Version
from stilton.domain.errors import Invalid
from stilton.domain.names import ProjectName, project_name
from stilton.domain.permission import Actor
from stilton.domain.publishing import http_date
from stilton.domain.redaction import Secret
from stilton.publish.curate import Curation
from stilton.publish.push import Pushes, Wish
from stilton.publish.remove import Removals
from stilton.publish.results import MAX_RESULT_BYTES, TestResults
from stilton.render import devpi_json
from stilton.web.answers import answer
from stilton.web.auth import Auth
from stilton.web.forms import body, json_object
from stilton.web.urls import Here, path_to

INLINE_VERSIONS = 100
"""More than these are put together off the event loop."""
NOT_REFRESHED = "X-Devpi-Not-Refreshed"
"""Why no upstream was asked; clients that do not know it follow the redirect as ever."""
_PUSH_KEYS = frozenset({
    "name", "version", "targetindex", "posturl", "username", "password", "register_project", "no_docs", "only_docs",
})  # fmt: skip


class Projects:
    """One method per kind of request."""

    def __init__(
        self,
        auth: Auth,
        here: Here,
        indexes: Indexes,
        pages: Pages,
        files: Files,
        releases: Releases,
        *,
        removals: Removals,
        curation: Curation,
        results: TestResults,
        pushes: Pushes,
    ) -> None:
        self._auth = auth
        self._here = here
        self._indexes = indexes
        self._pages = pages
        self._files = files
        self._releases = releases
        self._removals = removals
        self._curation = curation
        self._results = results
        self._pushes = pushes

    async def project(self, request: Request) -> Response:
        """All versions, or with `?explain` who contributes to them and why."""
        actor, user, name, project = await self._asked(request)
        if "explain" in request.query_params:
            sources = await self._releases.sources(actor, user, name, project)
            result = {"project": project, "index": f"{user}/{name}", "sources": sources}
            return answer("projectsources", msgspec.to_builtins(result))
        versions = await self._releases.all(
            actor, user, name, project, inherited="ignore_bases" not in request.query_params
        )
        base = self._here.base(request.scope)

        def made() -> Response:
            return answer("projectconfig", {text: _data(base, found) for text, found in versions.items()})

        return made() if len(versions) <= INLINE_VERSIONS else await anyio.to_thread.run_sync(made)

    async def version(self, request: Request) -> Response:
        """One version."""
        actor, user, name, project = await self._asked(request)
        found = await self._releases.one(actor, user, name, project, request.path_params["version"])
        return answer("versiondata", _data(self._here.base(request.scope), found))

    async def refresh(self, request: Request) -> Response:
        """Ask upstream now; a header says why it was not asked (offline mode, or it is known not to answer)."""
        actor, user, name, project = await self._asked(request)
        trouble = await self._pages.refresh(actor, user, name, project)
        location = self._here.mount(request.scope) + path_to(user, name, "+simple", project, "")
        response = RedirectResponse(location, 302)
        if trouble:
            response.headers[NOT_REFRESHED] = " ".join(trouble.encode("ascii", "replace").decode().split())
        return response

    async def delete_project(self, request: Request) -> Response:
        """Remove a project; `?force` also from a non-volatile index, `?forget` frees its name."""
        actor, user, name, project = await self._asked(request)
        force, forget = "force" in request.query_params, "forget" in request.query_params
        return answer(message=await self._removals.project(actor, user, name, project, force=force, forget=forget))

    async def delete_version(self, request: Request) -> Response:
        """Remove a version."""
        actor, user, name, project = await self._asked(request)
        version, force = request.path_params["version"], "force" in request.query_params
        return answer(message=await self._removals.release(actor, user, name, project, version, force=force))

    async def set_status(self, request: Request) -> Response:
        """`{"status": …, "reason": …}` of a project."""
        actor, user, name, project = await self._asked(request)
        document = await json_object(request)
        status, reason = document.get("status"), document.get("reason")
        if set(document) - {"status", "reason"} or not isinstance(status, str) or not isinstance(reason, str | None):
            raise Invalid('a project takes {"status": "archived", "reason": "…"}')
        await self._curation.set_status(actor, user, name, project, status, reason)
        return answer(message=f"project {project!r} is {status}")

    async def yank_version(self, request: Request) -> Response:
        """`{"yanked": true}`, `{"yanked": "the reason"}` or `{"yanked": false}` of a version."""
        actor, user, name, project = await self._asked(request)
        version, yanked = request.path_params["version"], await _yanked(request)
        await self._curation.yank_release(actor, user, name, project, version, yanked)
        return answer(message=f"version {version!r} of {project!r} is {_said(yanked)}")

    async def file(self, request: Request) -> Response:
        """What is known of a file. The file itself: `web.files`."""
        actor, user, name, path = await self._file_asked(request)
        index = await self._indexes.readable(actor, user, name)
        if not index.is_mirror:
            entry = self._files.entry(index, path)
            return answer("releasefilemeta", {
                "hash_spec": f"sha256={entry.digest}",
                "hashes": {"sha256": entry.digest},
                "last_modified": http_date(entry.uploaded_at),
                "project": entry.project,
                "version": entry.version,
                "size": entry.size,
            })  # fmt: skip
        found = await self._files.find(actor, user, name, path)
        match found:
            case OnDisk():
                digest = found.etag.strip('"')
                meta: dict[str, Any] = {"hashes": {"sha256": digest}, "last_modified": found.last_modified}
            case InMemory():
                meta = {"hashes": {"sha256": found.etag.strip('"')}}
            case Arriving():
                meta = {"hashes": found.listed.file.hashes, "url": found.listed.file.url}
            case _:
                meta = {"hashes": {}, "url": found.url}
        spec = next((f"{algorithm}={digest}" for algorithm, digest in meta["hashes"].items()), None)
        return answer("releasefilemeta", {"hash_spec": spec, **meta})

    async def delete_file(self, request: Request) -> Response:
        """Remove one file."""
        actor, user, name, path = await self._file_asked(request)
        force = "force" in request.query_params
        return answer(message=await self._removals.file(actor, user, name, path, force=force))

    async def yank_file(self, request: Request) -> Response:
        """As `yank_version`, for one file."""
        actor, user, name, path = await self._file_asked(request)
        yanked = await _yanked(request)
        await self._curation.yank_file(actor, user, name, path, yanked)
        return answer(message=f"{path.rpartition('/')[2]!r} is {_said(yanked)}")

    async def add_result(self, request: Request) -> Response:
        """A test result of a file."""
        actor, user, name, path = await self._file_asked(request)
        await self._results.begin(actor, user, name, path)
        stored = await self._results.add(actor, user, name, path, await body(request, MAX_RESULT_BYTES))
        return answer("toxresultpath", stored)

    async def push(self, request: Request) -> Response:
        """Push a release to another index, or to another server."""
        actor = await self._auth.actor(request.scope)
        user, name = request.path_params["user"], request.path_params["index"]
        document = await json_object(request)
        unknown = sorted(set(document) - _PUSH_KEYS)
        if unknown:
            raise Invalid(f"unknown additional options: {', '.join(unknown)}")
        if ("targetindex" in document) == ("posturl" in document):
            raise Invalid("say where to push to: targetindex (user/index), or posturl of another server")
        wish = _wish(document)
        if "targetindex" in document:
            done = await self._pushes.to_index(actor, user, name, wish, _text(document, "targetindex"))
            return answer("actionlog", done)
        credentials = (_text(document, "username"), Secret(_text(document, "password")))
        well, done = await self._pushes.to_server(actor, user, name, wish, _text(document, "posturl"), credentials)
        return answer("actionlog", done, status=200 if well else 502)

    async def _asked(self, request: Request) -> tuple[Actor, str, str, ProjectName]:
        """(who asks, user, index, project)."""
        parameters = request.path_params
        actor = await self._auth.actor(request.scope)
        return actor, parameters["user"], parameters["index"], project_name(parameters["project"])

    async def _file_asked(self, request: Request) -> tuple[Actor, str, str, str]:
        """(who asks, user, index, path below it)."""
        user, name, path = request.scope["path"][1:].split("/", 2)
        return await self._auth.actor(request.scope), user, name, path


def _data(base: str, versions: list[Version]) -> dict[str, Any]:
    first, *others = versions
    data = _one(base, first)
    if others:
        data["+shadowing"] = [_one(base, other) for other in others]
    return data


def _one(base: str, version: Version) -> dict[str, Any]:
    if isinstance(version, Published):
        return devpi_json.published(base, version.index, version.release, version.files)
    return devpi_json.mirrored(base, version.index, version.project, version.version, version.files)


async def _yanked(request: Request) -> bool | str:
    document = await json_object(request)
    yanked = document.get("yanked")
    if set(document) != {"yanked"} or not isinstance(yanked, bool | str):
        raise Invalid('say {"yanked": true}, {"yanked": "the reason"} or {"yanked": false}')
    return yanked


def _said(yanked: bool | str) -> str:
    return "not yanked" if yanked is False else "yanked"


def _wish(document: dict[str, Any]) -> Wish:
    return Wish(
        project=project_name(_text(document, "name")),
        version=_text(document, "version"),
        no_docs=_flag(document, "no_docs"),
        only_docs=_flag(document, "only_docs"),
        register_project=_flag(document, "register_project"),
    )


def _flag(document: dict[str, Any], key: str) -> bool:
    value = document.get(key, False)
    if not isinstance(value, bool):
        raise Invalid(f"{key} is true or false")
    return value


def _text(document: dict[str, Any], key: str) -> str:
    value = document.get(key)
    if not isinstance(value, str) or (not value and key != "password"):
        raise Invalid(f"{key} is missing")
    return value
