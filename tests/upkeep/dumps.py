"""Dumps as devpi writes them, made by hand; the two commands, in this process; what is in a serverdir after."""

import contextlib
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result
from sqlalchemy import Connection

from stilton.cli.transfer import export, import_
from stilton.db import accounts, inventory
from stilton.db.database import connect
from stilton.domain.names import IndexName
from stilton.domain.publishing import StageFile
from stilton.serverdir import ServerDir
from tests.support.builders import Dist, a_wheel

LAST_MODIFIED = "Fri, 12 Sep 2014 13:18:55 GMT"
MODIFIED_AT = 1410527935.0
WHEEL = a_wheel("pkg", "1.0")
DEV = IndexName("ann/dev")
LOG = [{"what": "upload", "who": "ann", "when": [2014, 9, 12, 13, 18, 55], "dst": "ann/dev"}]


@dataclass
class Done:
    """What a command wrote, and its status."""

    status: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()


def do_import(serverdir: Path, folder: Path, *arguments: str) -> Done:
    return _done(CliRunner().invoke(import_, ["--serverdir", str(serverdir), *arguments, str(folder)]))


def do_export(serverdir: Path, folder: Path, *arguments: str) -> Done:
    return _done(CliRunner().invoke(export, ["--serverdir", str(serverdir), *arguments, str(folder)]))


def _done(result: Result) -> Done:
    """Raises what would have been a traceback."""
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return Done(result.exit_code, result.stdout, result.stderr)


@dataclass
class ADump:
    """`write(folder)` makes it. Users root and ann are there unless others are named."""

    indexes: dict[str, dict[str, Any]] = field(default_factory=dict)
    users: dict[str, dict[str, Any]] = field(default_factory=lambda: {"root": a_user("root"), "ann": a_user("ann")})
    content: dict[str, bytes] = field(default_factory=dict)
    more: dict[str, Any] = field(default_factory=dict)

    def write(self, folder: Path) -> Path:
        for relpath, content in self.content.items():
            file = folder / relpath
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
        folder.mkdir(exist_ok=True)
        document = {"dumpversion": "2", "users": self.users, "indexes": self.indexes, **self.more}
        (folder / "dataindex.json").write_text(json.dumps(document))
        return folder


def a_user(name: str, **keys: Any) -> dict[str, Any]:
    return {"username": name, "pwhash": "", "created": "2020-01-02T03:04:05Z", **keys}


def a_stage(projects: Any = None, files: list[dict[str, Any]] | None = None, **keys: Any) -> dict[str, Any]:
    known = {"type": "stage", "volatile": True, "bases": [], "acl_upload": ["ann"], **keys}
    return {"indexconfig": known, "projects": {} if projects is None else projects, "files": files or []}


def a_project(name: str = "pkg", *versions: str) -> dict[str, Any]:
    return {name: {version: {"name": name, "version": version} for version in versions or ("1.0",)}}


def a_file(
    dist: Dist = WHEEL, project: str = "pkg", version: str = "1.0", *, index: str = "ann/dev", **more: Any
) -> dict[str, Any]:
    entry = {
        "hash_spec": f"sha256={dist.sha256}",
        "hashes": {"sha256": dist.sha256},
        "last_modified": LAST_MODIFIED,
        "project": project,
        "version": version,
    }
    return {
        "type": "releasefile",
        "projectname": project,
        "version": version,
        "relpath": f"{index}/{project}/{version}/{dist.filename}",
        "entrymapping": entry,
        "log": LOG,
        **more,
    }


def with_wheel(**more: Any) -> ADump:
    """One wheel on ann/dev."""
    file = a_file(**more)
    return ADump(indexes={DEV: a_stage(a_project(), [file])}, content={file["relpath"]: WHEEL.content})


def md5(content: bytes) -> str:
    return hashlib.md5(content).hexdigest()


@contextlib.contextmanager
def reading(serverdir: Path) -> Iterator[Connection]:
    engine = connect(ServerDir(serverdir).database)
    try:
        with engine.connect() as connection:
            yield connection
    finally:
        engine.dispose()


def files_in(serverdir: Path, index: str = DEV) -> list[StageFile]:
    """Files of a private index, also removed ones."""
    with reading(serverdir) as connection:
        return inventory.files_of(connection, IndexName(index))


def keys_in(serverdir: Path, index: str = DEV) -> dict[str, Any] | None:
    with reading(serverdir) as connection:
        found = accounts.index(connection, *index.split("/"))
        return None if found is None else found.keys


def user_in(serverdir: Path, name: str) -> tuple[str | None, dict[str, Any] | None]:
    """A user's hash and keys."""
    with reading(serverdir) as connection:
        return accounts.pwhash(connection, name), accounts.user_keys(connection, name)


def releases_in(serverdir: Path, index: str = DEV) -> dict[str, dict[str, dict[str, Any]]]:
    """Metadata by project and version."""
    with reading(serverdir) as connection:
        found = inventory.releases_of(connection, IndexName(index))
    return {name: {release.version: release.keys for release in releases} for name, releases in found.items()}


def blob(serverdir: Path, digest: str) -> bytes:
    return ServerDir(serverdir).blobs.path(digest).read_bytes()
