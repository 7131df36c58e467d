"""What the audit log says of a change, and how it is asked. Kept by `db.audit`."""

from collections.abc import Mapping
from typing import Any

import msgspec

ACTIONS = (
    "user.create", "user.modify", "user.delete", "user.password",
    "index.create", "index.modify", "index.delete",
    "file.upload", "file.overwrite", "file.remove", "file.drop", "file.yank", "file.mend",
    "release.register", "release.push", "release.push-out", "release.pushed-out",
    "release.remove", "release.drop", "release.yank",
    "project.remove", "project.drop", "project.status",
    "result.upload", "pins.put", "pins.drop",
    "login", "login.failed", "import",
)  # fmt: skip
"""Everything that an event can be about; docs/guide/logs.md says what their details have."""

UNKNOWN_USER = "(unknown user)"
"""In place of a name that no user has: it may be a password, typed into the wrong field. None can be called so."""


class Event(msgspec.Struct, frozen=True):
    """A change. `target`: a path below `/`, e.g. `team/dev/pkg/1.0`. `detail`: JSON, never a secret."""

    action: str
    target: str
    detail: Mapping[str, Any] = {}


class Entry(msgspec.Struct, frozen=True):
    """An event as it was noted. `at`: Unix seconds. `address`: `command` or `server` when nobody asked over HTTP."""

    id: int
    at: float
    actor: str | None
    address: str | None
    action: str
    target: str
    detail: dict[str, Any]
    request: str | None


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """Which entries. Those before an id; times in Unix seconds, `until` itself is not in; `actor` empty: nobody's."""

    before: int | None = None
    limit: int = 100
    actor: str | None = None
    target: str = ""
    action: str | None = None
    since: float | None = None
    until: float | None = None


def difference(
    old: Mapping[str, Any], new: Mapping[str, Any], shown: tuple[Mapping[str, Any], Mapping[str, Any]]
) -> dict[str, Any]:
    """Key → [old value, new value], None where there is none; `shown`: both as they may be seen."""
    changed = sorted(key for key in {*old, *new} if old.get(key) != new.get(key))
    return {key: [shown[0].get(key), shown[1].get(key)] for key in changed}
