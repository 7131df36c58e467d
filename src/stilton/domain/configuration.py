"""How an index's configuration is made and changed (protocol reference 3.3).

Keys come as JSON or as devpi-client's texts (`bases=a/b,c/d`), whole or as a list of
operations (`key=value`, `key+=value`, `key-=value`, `key-=`). Each function returns the
new keys or raises Invalid; nothing is changed in place.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from stilton.domain import eviction, retention
from stilton.domain.errors import BadName, Invalid, SetupError
from stilton.domain.indexes import boolean, mirror_proxy, mirror_url
from stilton.domain.names import IndexName, project_name
from stilton.domain.permission import ANONYMOUS, principal

STAGE = "stage"
MIRROR = "mirror"
INHERITANCES = ("intersection", "union")
MAX_VALUES = 10_000
MAX_TEXT_CHARS = 100_000
MAX_SECONDS = 10**10

_ACLS = frozenset({"acl_upload", "acl_toxresult_upload", "acl_pkg_read"})
# What an index without the key means, so that adding to it takes nothing away.
_MEANT = {"acl_pkg_read": [ANONYMOUS], "acl_toxresult_upload": [ANONYMOUS]}
_LISTS = _ACLS | {"bases", "mirror_whitelist"}
_FREE = frozenset({"title", "description", "custom_data"})
_KEYS = {
    STAGE: _LISTS | _FREE | {"type", "volatile", "mirror_whitelist_inheritance", "retain_dev_releases"},
    MIRROR: _FREE
    | {
        "type", "volatile", "acl_pkg_read", "mirror_url", "mirror_cache_expiry", "mirror_no_project_list",
        "mirror_use_external_urls", "mirror_ignore_serial_header", "mirror_web_url_fmt",
        "mirror_proxy", "mirror_cache_max_size", "mirror_cache_max_file_size", "mirror_cache_max_age",
    },
}  # fmt: skip
_BOOLEANS = frozenset({
    "volatile", "mirror_no_project_list", "mirror_use_external_urls", "mirror_ignore_serial_header",
})  # fmt: skip
# Sent along by old scripts, without effect there too.
_IGNORED = {STAGE: {"projects", "pypi_whitelist"}, MIRROR: {"projects", "pypi_whitelist"} | _LISTS - {"acl_pkg_read"}}
_OPERATION = re.compile(r"(?P<key>[^=+]+?)(?P<operator>\+=|-=|=)(?P<value>.*)", re.DOTALL)

Exists = Callable[[IndexName], bool]


def defaults(owner: str, kind: str) -> dict[str, Any]:
    """Keys of a new index of `owner` of which nothing is said."""
    if kind == MIRROR:
        return {"type": MIRROR, "volatile": True}
    return {
        "type": STAGE,
        "volatile": True,
        "acl_upload": [owner],
        "acl_toxresult_upload": [ANONYMOUS],
        "acl_pkg_read": [ANONYMOUS],
        "bases": [],
        "mirror_whitelist": [],
        "mirror_whitelist_inheritance": "intersection",
    }


def created(owner: str, given: Mapping[str, Any], exists: Exists) -> dict[str, Any]:
    """Keys of a new index. `exists(index)`: whether it may be a base. Raises Invalid."""
    kind = given.get("type", STAGE)
    if kind not in _KEYS:
        raise Invalid(f"unknown index type {kind!r}")
    if kind == MIRROR and not given.get("mirror_url"):
        raise Invalid("a mirror needs a mirror_url: the address of the index that it mirrors")
    said = {key: value for key, value in given.items() if value is not None}
    return {**defaults(owner, kind), **_normalised(kind, said, exists)}


def updated(keys: Mapping[str, Any], given: Mapping[str, Any], exists: Exists) -> dict[str, Any]:
    """`keys` with those of `given` in place; absent ones stay. Raises Invalid."""
    if "type" in given and given["type"] != keys["type"]:
        raise Invalid("the 'type' of an index can't be changed")
    dropped = {k for k, v in given.items() if v is None and k not in defaults("", keys["type"]) and k != "mirror_url"}
    kept = {k: v for k, v in given.items() if k not in dropped and (k not in keys or v != keys[k])}
    new = {**keys, **_normalised(keys["type"], kept, exists)}
    return {k: v for k, v in new.items() if k not in dropped}


def patched(keys: Mapping[str, Any], operations: Sequence[object], exists: Exists) -> dict[str, Any]:
    """`keys` after the operations, in order. Raises Invalid, naming the first that is wrong."""
    new = dict(keys)
    for operation in operations:
        match = _OPERATION.fullmatch(operation) if isinstance(operation, str) else None
        if match is None:
            raise Invalid(f"{operation!r} is no change: say key=value, key+=value, key-=value or key-=")
        new = _applied(new, match["key"].strip(), match["operator"], match["value"], exists)
    return new


def values(value: object) -> list[str]:
    """A list that may have come as a text with commas. Raises Invalid."""
    if value is None or value == "":
        return []
    parts = value.split(",") if isinstance(value, str) else value
    if not isinstance(parts, list | tuple | set) or not all(isinstance(part, str) for part in parts):
        raise Invalid(f"{value!r} is no list of names")
    if len(parts) > MAX_VALUES:
        raise Invalid(f"a list of more than {MAX_VALUES} names")
    return [part.strip() for part in parts if part.strip()]


def is_known(kind: str, key: str) -> bool:
    """Whether the key means something on an index of this type."""
    return key in _KEYS[kind]


def is_ignored(kind: str, key: str) -> bool:
    """Whether the key is one that an index of this type never has, although others do."""
    return key in _IGNORED[kind]


def value_of(key: str, value: Any, exists: Exists) -> Any:  # noqa: ANN401 - the key decides
    """A known key's value in its type. Raises Invalid."""
    try:
        return _list(key, value, exists) if key in _LISTS else _CONVERSIONS.get(key, _text)(value)
    except (SetupError, BadName) as error:
        raise Invalid(str(error)) from error


def _applied(keys: dict[str, Any], key: str, operator: str, value: str, exists: Exists) -> dict[str, Any]:
    if operator == "=":
        return updated(keys, {key: value}, exists)
    if operator == "-=" and not value:
        return _dropped(keys, key)
    if key not in _LISTS or key not in _KEYS[keys["type"]]:
        raise Invalid(f"The {key!r} setting is no list, say {key}=value")
    have = list(keys.get(key, _MEANT.get(key, [])))
    wanted = _list(key, value, exists if operator == "+=" else lambda _: True)
    if operator == "+=":
        return {**keys, key: [*have, *(name for name in wanted if name not in have)]}
    missing = [name for name in wanted if name not in have]
    if missing:
        raise Invalid(f"The {key!r} setting doesn't have value {missing[0]!r}")
    return {**keys, key: [name for name in have if name not in wanted]}


def _dropped(keys: dict[str, Any], key: str) -> dict[str, Any]:
    if key in defaults("", keys["type"]) or (keys["type"], key) == (MIRROR, "mirror_url"):
        raise Invalid("Default values can't be removed.")
    if key not in keys:
        raise Invalid(f"The {key!r} setting is not there")
    return {k: v for k, v in keys.items() if k != key}


def _normalised(kind: str, given: Mapping[str, Any], exists: Exists) -> dict[str, Any]:
    """Every given key in its type; all that is wrong is told at once."""
    keys: dict[str, Any] = {}
    wrong: list[str] = []
    unknown: list[str] = []
    for key, value in given.items():
        if is_ignored(kind, key):
            continue
        if not is_known(kind, key):
            unknown.append(f"{key}={str(value)[:100]}")
            continue
        try:
            keys[key] = value_of(key, value, exists)
        except Invalid as error:
            wrong.append(str(error))
    if unknown:
        wrong.append(f"indexconfig got unexpected keyword arguments: {', '.join(unknown)}")
    if wrong:
        raise Invalid(", ".join(wrong))
    return keys


def _list(key: str, value: object, exists: Exists) -> list[str]:
    found = values(value)
    if key in _ACLS:
        return list(dict.fromkeys(principal(name) for name in found))
    if key == "bases":
        return list(dict.fromkeys(_base(name, exists) for name in found))
    return list(dict.fromkeys(name if name == "*" else project_name(name) for name in found))


def _base(text: str, exists: Exists) -> IndexName:
    name = text.strip("/")
    if name.count("/") != 1 or not all(name.split("/")):
        raise Invalid(f"invalid base index spec: {text!r}")
    if not exists(IndexName(name)):
        raise Invalid(f"base index {name!r} does not exist")
    return IndexName(name)


def _seconds(value: object) -> int:
    try:
        seconds = int(str(value))
    except ValueError:
        seconds = -1
    if not 0 <= seconds <= MAX_SECONDS:
        raise Invalid(f"mirror_cache_expiry is {str(value)[:100]!r}: it takes seconds, 0 or more")
    return seconds


def _inheritance(value: object) -> object:
    if value not in INHERITANCES:
        raise Invalid(f"mirror_whitelist_inheritance is {value!r}: say intersection or union")
    return value


def _text(value: object) -> str:
    text = str(value)
    if len(text) > MAX_TEXT_CHARS:
        raise Invalid(f"a text of more than {MAX_TEXT_CHARS} characters")
    return text


def _data(value: object) -> object:
    if len(msgspec.json.encode(value)) > MAX_TEXT_CHARS:
        raise Invalid(f"custom_data has more than {MAX_TEXT_CHARS} bytes")
    return value


_CONVERSIONS: dict[str, Callable[[Any], Any]] = {
    **dict.fromkeys(_BOOLEANS, boolean),
    "mirror_whitelist_inheritance": _inheritance,
    "mirror_url": lambda value: mirror_url(value, "this index"),
    "mirror_proxy": mirror_proxy,
    "mirror_cache_expiry": _seconds,
    "mirror_cache_max_size": eviction.max_size,
    "mirror_cache_max_file_size": eviction.max_file_size,
    "mirror_cache_max_age": eviction.max_age,
    "retain_dev_releases": retention.retained,
    "custom_data": _data,
}
