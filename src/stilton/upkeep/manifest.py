"""Who and which indexes a dump has, in our terms (protocol reference 4.2). What is on them: `catalogues`. Pure."""

from collections.abc import Collection, Mapping
from typing import Any

import msgspec

from stilton.domain import configuration
from stilton.domain.errors import Invalid
from stilton.domain.names import IndexName, check_account_name
from stilton.upkeep.dump import Dump, DumpedIndex

TYPES = ("stage", "mirror")
LONG_AGO = "1970-01-01T00:00:00Z"
_USER_KEYS = ("created", "modified", "email", "title", "description", "custom_data")


class User(msgspec.Struct, frozen=True):
    """A user as he is to be, and what people should know of that, as sentences."""

    name: str
    pwhash: str
    keys: dict[str, Any]
    notices: list[str]


def wrong(dump: Dump, skipped: Collection[str]) -> list[str]:
    """What keeps the dump from being imported, as sentences. `skipped`: index types that are left out."""
    found = [text for user in dump.users if (text := _bad_name("username", user, user))]
    for name, index in dump.indexes.items():
        kind = _type(index)
        if kind in skipped:
            continue
        user, _, own = name.partition("/")
        if kind not in TYPES:
            found.append(
                f"Unknown index type {kind!r}. Did you forget to install the necessary plugin? "
                f"You can also skip these with '--skip-import-type {kind}'."
            )
        elif text := _bad_name("indexname", own, name):
            found.append(text)
        elif user not in dump.users and user != "root":
            found.append(f"index {name!r} is of user {user!r}, who is not among the users of the dump.")
    return list(dict.fromkeys(found))


def users(dump: Dump) -> list[User]:
    """Everybody in the dump. Root's date of creation may be missing: he is here already."""
    return [_user(name, keys) for name, keys in dump.users.items()]


def indexes(dump: Dump, skipped: Collection[str]) -> dict[IndexName, DumpedIndex]:
    """The indexes that are to be made."""
    return {IndexName(name): index for name, index in dump.indexes.items() if _type(index) not in skipped}


def index_keys(name: IndexName, index: DumpedIndex, standing: Mapping[str, Any]) -> dict[str, Any]:
    """An index's configuration: unknown keys and missing bases stay, names of old versions are replaced.

    `standing`: the keys of the index when it is here already; what the dump says counts.
    """
    kind = _type(index)
    given = dict(index.indexconfig)
    whitelist = given.pop("pypi_whitelist", None)
    if whitelist is not None:
        given.setdefault("mirror_whitelist", whitelist)
    if not given.get("uploadtrigger_jenkins", True):
        del given["uploadtrigger_jenkins"]
    defaults = configuration.defaults(name.partition("/")[0], kind)
    # Without the key everybody may read, as with it; devpi does not know it.
    defaults.pop("acl_pkg_read", None)
    return {**defaults, **standing, **given, "type": kind}


def missing_bases(dump: Dump, *, here: Collection[str] = ()) -> list[str]:
    """Bases that are not in the dump, sorted. `here`: what is on this server without it."""
    wanted = {base for index in dump.indexes.values() for base in index.indexconfig.get("bases") or ()}
    return sorted(wanted - set(dump.indexes) - set(here))


def _type(index: DumpedIndex) -> str:
    return str(index.indexconfig.get("type", "stage"))


def _bad_name(what: str, name: str, shown: str) -> str | None:
    try:
        check_account_name(what, name)
    except Invalid as error:
        return str(error).replace(repr(name), repr(shown), 1)
    return None


def _user(name: str, given: Mapping[str, Any]) -> User:
    keys = {key: given[key] for key in _USER_KEYS if given.get(key)}
    if name != "root":
        keys.setdefault("created", LONG_AGO)
    notices: list[str] = []
    if given.get("pwsalt"):
        notices.append(
            f"the password of user {name!r} is kept in a way of before devpi 4.2 and cannot be checked: "
            f"set a new one with devpi-passwd {name}"
        )
    if unknown := sorted(set(given) - {*_USER_KEYS, "username", "pwhash", "pwsalt"}):
        notices.append(f"keys of user {name!r} that mean nothing here are left out: {', '.join(unknown)}")
    return User(name, str(given.get("pwhash") or ""), keys, notices)
