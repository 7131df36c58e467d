"""The keys of an index's configuration: which there are for each type of index, and what each may be.

Values come as JSON or as devpi-client's texts (`bases=a/b,c/d`). How they are changed: `configuration`.
"""

from collections.abc import Callable
from typing import Any

import msgspec

from stilton.domain import eviction, retention
from stilton.domain.errors import BadName, Invalid, SetupError
from stilton.domain.indexes import boolean, mirror_proxy, mirror_url
from stilton.domain.names import IndexName, project_name
from stilton.domain.permission import principal

STAGE = "stage"
MIRROR = "mirror"
TYPES = (STAGE, MIRROR)
INHERITANCES = ("intersection", "union")
MAX_VALUES = 10_000
MAX_TEXT_CHARS = 100_000
MAX_SECONDS = 10**10

_ACLS = frozenset({"acl_upload", "acl_toxresult_upload", "acl_pkg_read"})
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

Exists = Callable[[IndexName], bool]


def is_known(kind: str, key: str) -> bool:
    """Whether the key means something on an index of this type."""
    return key in _KEYS[kind]


def is_ignored(kind: str, key: str) -> bool:
    """Whether the key is one that an index of this type never has, although others do."""
    return key in _IGNORED[kind]


def is_list(kind: str, key: str) -> bool:
    """Whether the key is a list on an index of this type."""
    return key in _LISTS and is_known(kind, key)


def value_of(key: str, value: Any, exists: Exists) -> Any:  # noqa: ANN401 - the key decides
    """A known key's value in its type. Raises Invalid."""
    try:
        return listed(key, value, exists) if key in _LISTS else _CONVERSIONS.get(key, _text)(value)
    except (SetupError, BadName) as error:
        raise Invalid(str(error)) from error


def listed(key: str, value: object, exists: Exists) -> list[str]:
    """A list's parts in their type; bases must be there. Raises Invalid, BadName."""
    found = _values(value)
    if key in _ACLS:
        return list(dict.fromkeys(principal(name) for name in found))
    if key == "bases":
        return list(dict.fromkeys(_base(name, exists) for name in found))
    return list(dict.fromkeys(name if name == "*" else project_name(name) for name in found))


def _values(value: object) -> list[str]:
    """A list that may have come as a text with commas. Raises Invalid."""
    if value is None or value == "":
        return []
    parts = value.split(",") if isinstance(value, str) else value
    if not isinstance(parts, list | tuple | set) or not all(isinstance(part, str) for part in parts):
        raise Invalid(f"{value!r} is no list of names")
    if len(parts) > MAX_VALUES:
        raise Invalid(f"a list of more than {MAX_VALUES} names")
    return [part.strip() for part in parts if part.strip()]


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
