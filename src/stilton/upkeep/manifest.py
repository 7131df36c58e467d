"""Who and which indexes a dump has, in our terms (protocol reference 4.2). Pure.

What is on the indexes: `catalogues`; how they are configured: `indexkeys`.
"""

import re
from collections.abc import Callable, Collection, Mapping
from typing import Any

import msgspec

from stilton.domain import profiles
from stilton.domain.errors import Invalid, SetupError
from stilton.domain.names import IndexName, check_account_name
from stilton.upkeep import indexkeys
from stilton.upkeep.dump import Dump, DumpedIndex
from stilton.upkeep.indexkeys import Keys

TYPES = ("stage", "mirror")
LONG_AGO = "1970-01-01T00:00:00Z"
_KNOWN = profiles.KEYS | {"created", "modified", "username", "pwhash", "pwsalt"}
_INSTANT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z")


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


def users(dump: Dump, bounded: Callable[[str], str]) -> list[User]:
    """Everybody in the dump. Root's date of creation may be missing: he is here already.

    `bounded(pwhash)` raises SetupError for what passwords cannot be checked against.
    """
    return [_user(name, keys, bounded) for name, keys in dump.users.items()]


def indexes(dump: Dump, skipped: Collection[str]) -> dict[IndexName, DumpedIndex]:
    """The indexes that are to be made."""
    return {IndexName(name): index for name, index in dump.indexes.items() if _type(index) not in skipped}


def index_keys(indexes: Mapping[IndexName, DumpedIndex]) -> dict[IndexName, Keys]:
    """How they are to be configured."""
    return {name: indexkeys.read(name, _type(index), index.indexconfig) for name, index in indexes.items()}


def missing_bases(indexes: Mapping[IndexName, Keys], *, here: Collection[str]) -> list[str]:
    """Bases that are not there, sorted. `here`: every index that is."""
    return sorted({base for keys in indexes.values() for base in keys.given.get("bases", ())} - set(here))


def _type(index: DumpedIndex) -> str:
    return str(index.indexconfig.get("type", "stage"))


def _bad_name(what: str, name: str, shown: str) -> str | None:
    try:
        check_account_name(what, name)
    except Invalid as error:
        return str(error).replace(repr(name), repr(shown), 1)
    return None


def _user(name: str, given: Mapping[str, Any], bounded: Callable[[str], str]) -> User:
    notices: list[str] = []
    keys = {**_profile(name, given, notices), **_dates(name, given, notices)}
    if name != "root":
        keys.setdefault("created", LONG_AGO)
    if unknown := sorted(set(given) - _KNOWN):
        notices.append(f"keys of user {name!r} that mean nothing here are left out: {', '.join(unknown)}")
    return User(name, _pwhash(name, given, bounded, notices), keys, notices)


def _profile(name: str, given: Mapping[str, Any], notices: list[str]) -> dict[str, Any]:
    keys: dict[str, Any] = {}
    for key in sorted(profiles.KEYS):
        if not given.get(key):
            continue
        try:
            keys = profiles.checked({**keys, key: given[key]})
        except Invalid as error:
            notices.append(f"user {name!r}: {key} is left out: {error}")
    return keys


def _dates(name: str, given: Mapping[str, Any], notices: list[str]) -> dict[str, str]:
    said = {key: given[key] for key in ("created", "modified") if given.get(key)}
    wrong = [key for key, value in said.items() if not (isinstance(value, str) and _INSTANT.fullmatch(value))]
    notices += [f"user {name!r}: {key} is left out: it is no date like {LONG_AGO}" for key in wrong]
    return {key: value for key, value in said.items() if key not in wrong}


def _pwhash(name: str, given: Mapping[str, Any], bounded: Callable[[str], str], notices: list[str]) -> str:
    """Empty when no password can be checked against it: then nobody logs in by one."""
    pwhash = given.get("pwhash")
    if not pwhash:
        return ""
    try:
        # Beside a salt it is a hash of before devpi 4.2.
        return bounded(pwhash if isinstance(pwhash, str) and not given.get("pwsalt") else "")
    except SetupError as error:
        notices.append(
            f"the password of user {name!r} cannot be checked: set a new one with devpi-passwd {name}. {error}"
        )
        return ""
