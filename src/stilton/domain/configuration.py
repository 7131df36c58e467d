"""How an index's configuration is made and changed (protocol reference 3.3).

Keys come whole or as a list of operations (`key=value`, `key+=value`, `key-=value`, `key-=`). Each function returns
the new keys or raises Invalid; nothing is changed in place. What a key may be: `keytypes`.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from stilton.domain import keytypes
from stilton.domain.errors import Invalid
from stilton.domain.keytypes import MIRROR, STAGE, Exists
from stilton.domain.permission import ANONYMOUS

# What an index without the key means, so that adding to it takes nothing away.
_MEANT = {"acl_pkg_read": [ANONYMOUS], "acl_toxresult_upload": [ANONYMOUS]}
_OPERATION = re.compile(r"(?P<key>[^=+]+?)(?P<operator>\+=|-=|=)(?P<value>.*)", re.DOTALL)


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
    if kind not in keytypes.TYPES:
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


def _applied(keys: dict[str, Any], key: str, operator: str, value: str, exists: Exists) -> dict[str, Any]:
    if operator == "=":
        return updated(keys, {key: value}, exists)
    if operator == "-=" and not value:
        return _dropped(keys, key)
    if not keytypes.is_list(keys["type"], key):
        raise Invalid(f"The {key!r} setting is no list, say {key}=value")
    have = list(keys.get(key, _MEANT.get(key, [])))
    wanted = keytypes.listed(key, value, exists if operator == "+=" else lambda _: True)
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
        if keytypes.is_ignored(kind, key):
            continue
        if not keytypes.is_known(kind, key):
            unknown.append(f"{key}={str(value)[:100]}")
            continue
        try:
            keys[key] = keytypes.value_of(key, value, exists)
        except Invalid as error:
            wrong.append(str(error))
    if unknown:
        wrong.append(f"indexconfig got unexpected keyword arguments: {', '.join(unknown)}")
    if wrong:
        raise Invalid(", ".join(wrong))
    return keys
