"""devpi's spelling of users, indexes, projects and versions (protocol reference 2.2)."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from stilton.domain.files import File, best_hash, path_of, quoted
from stilton.domain.indexes import Index, public_keys
from stilton.domain.names import IndexName, ProjectName
from stilton.domain.publishing import Release, StageFile


def reply(kind: str | None = None, result: object = None, message: str | None = None) -> bytes:
    """devpi's envelope: `type` and `result` together, or a `message`, indented."""
    body: dict[str, Any] = {}
    if kind is not None:
        body["type"] = kind
        body["result"] = result
    if message is not None:
        body["message"] = message
    return msgspec.json.format(msgspec.json.encode(body), indent=2) + b"\n"


def user_config(keys: Mapping[str, Any], indexes: Sequence[Index]) -> dict[str, Any]:
    """`userconfig`: what is known of a user, never the password's hash."""
    shown = {key: value for key, value in keys.items() if key not in ("pwhash", "password")}
    return {**shown, "indexes": {index.name: public_keys(index) for index in indexes}}


def published(base: str, index: IndexName, release: Release, files: Sequence[StageFile]) -> dict[str, Any]:
    """Version data of a private index. `base`: absolute URL of `/`, without slash."""
    data: dict[str, Any] = dict(release.keys)
    if release.yanked is not None:
        data["yanked"] = release.yanked or True
    data["+links"] = [stage_link(base, index, file) for file in files]
    return data


def mirrored(base: str, index: IndexName, project: ProjectName, version: str, files: Sequence[File]) -> dict[str, Any]:
    """Version data of a mirror: what its pages say."""
    data: dict[str, Any] = {"name": project, "version": version}
    requires = next((file.requires_python for file in files if file.requires_python), None)
    if requires:
        data["requires_python"] = requires
    yanked = next((file.yanked for file in files if file.yanked is not False), None)
    if yanked is not None:
        data["yanked"] = yanked
    data["+links"] = [_mirror_link(base, index, file) for file in files]
    return data


def stage_link(base: str, index: IndexName, file: StageFile) -> dict[str, Any]:
    """One of `+links`: a private index's file and what was done with it."""
    link: dict[str, Any] = {
        "rel": file.kind.value,
        "href": f"{base}/{index}/{quoted(file.path)}",
        "hash_spec": f"sha256={file.digest}",
        "hashes": {"sha256": file.digest},
        "log": file.log,
    }
    if file.for_path is not None:
        link["for_href"] = f"{base}/{index}/{quoted(file.for_path)}"
    if file.yanked is not None:
        link["yanked"] = file.yanked or True
    return link


def _mirror_link(base: str, index: IndexName, file: File) -> dict[str, Any]:
    link: dict[str, Any] = {"rel": "releasefile", "href": f"{base}/{index}/{quoted(path_of(file))}"}
    best = best_hash(file.hashes)
    if best:
        link["hash_spec"] = f"{best[0]}={best[1]}"
        link["hashes"] = dict(file.hashes)
    return link
