"""devpi's spelling of users, indexes, projects and versions (protocol reference 2.2)."""

from typing import Any

import msgspec

from stilton.domain.files import File, Project, best_hash, path_of, quoted
from stilton.domain.indexes import Index, public_keys
from stilton.domain.names import version_of


def reply(kind: str | None = None, result: object = None, message: str | None = None) -> bytes:
    """devpi's envelope: `type` and `result` together, or a `message`, indented."""
    body: dict[str, Any] = {}
    if kind is not None:
        body["type"] = kind
        body["result"] = result
    if message is not None:
        body["message"] = message
    return msgspec.json.format(msgspec.json.encode(body), indent=2) + b"\n"


def user_config(keys: dict[str, Any], indexes: list[Index]) -> dict[str, Any]:
    """`userconfig`: what is known of a user, never the password's hash."""
    shown = {key: value for key, value in keys.items() if key not in ("pwhash", "password")}
    return {**shown, "indexes": {index.name: public_keys(index) for index in indexes}}


def project_config(project: Project, base: str) -> dict[str, Any]:
    """`projectconfig`: version → version data. `base`: absolute URL of the index, with slash."""
    by_version: dict[str, list[File]] = {}
    for file in project.files:
        version = version_of(file.filename, project.name)
        if version:
            by_version.setdefault(version, []).append(file)
    return {version: _version_data(project, version, files, base) for version, files in by_version.items()}


def _version_data(project: Project, version: str, files: list[File], base: str) -> dict[str, Any]:
    data: dict[str, Any] = {"name": project.name, "version": version}
    requires = next((file.requires_python for file in files if file.requires_python), None)
    if requires:
        data["requires_python"] = requires
    yanked = next((file.yanked for file in files if file.yanked is not False), None)
    if yanked is not None:
        data["yanked"] = yanked
    data["+links"] = [_link(file, base) for file in files]
    return data


def _link(file: File, base: str) -> dict[str, Any]:
    link: dict[str, Any] = {"rel": "releasefile", "href": base + quoted(path_of(file))}
    best = best_hash(file.hashes)
    if best:
        link["hash_spec"] = f"{best[0]}={best[1]}"
        link["hashes"] = dict(file.hashes)
    return link
