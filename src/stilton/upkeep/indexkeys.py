"""An index's configuration out of a dump, by the rules of the HTTP API (`domain.configuration`). Pure.

Unknown keys and missing bases stay, names of old versions are replaced (protocol reference 4.2). What a key
cannot be is told and replaced by what gives nobody anything: a broken list of names never means everybody.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from stilton.domain import configuration, keytypes
from stilton.domain.errors import Invalid
from stilton.domain.names import IndexName

_NOBODY: tuple[Any, str] = ([], "nobody has this right")
_CLOSED: dict[str, tuple[Any, str]] = {
    "acl_upload": _NOBODY,
    "acl_toxresult_upload": _NOBODY,
    "acl_pkg_read": ([], "only its owner and root may read"),
    "bases": ([], "it has no bases"),
    "mirror_whitelist": ([], "no project is open to mirrors"),
    "mirror_whitelist_inheritance": ("intersection", "it is intersection"),
    "volatile": (False, "it is not volatile, nothing on it can be replaced"),
    "mirror_url": (None, "it asks no upstream"),
}
"""What a broken key becomes, and what that means. Others are left out, as if nothing was said."""
_NEVER_USUAL = frozenset({"acl_upload", "acl_toxresult_upload", "acl_pkg_read", "mirror_url"})
"""Where null is no way to say nothing: what is usual would open the index, or ask PyPI."""
_SHOWN_CHARS = 200


class Keys(msgspec.Struct, frozen=True):
    """What a dump says of an index. `missing`: keys that it must not get from elsewhere. `notices`: sentences."""

    kind: str
    given: dict[str, Any]
    missing: frozenset[str]
    notices: list[str]

    def beside(self, owner: str, standing: Mapping[str, Any]) -> dict[str, Any]:
        """The whole configuration; `standing`: that of the index when it is here already. What the dump says counts."""
        defaults = configuration.defaults(owner, self.kind)
        # Without the key everybody may read, as with it; devpi does not know it.
        defaults.pop("acl_pkg_read", None)
        known = standing if standing.get("type") == self.kind else {}
        keys = {**defaults, **known, **self.given, "type": self.kind}
        return {key: value for key, value in keys.items() if key not in self.missing}


def read(name: IndexName, kind: str, given: Mapping[str, Any]) -> Keys:
    """The keys of an index of this type, each as it is to be."""
    found = Keys(kind, {}, frozenset(), [])
    missing: set[str] = set()
    for key, value in _renamed(given).items():
        if key == "type" or keytypes.is_ignored(kind, key):
            continue
        if not keytypes.is_known(kind, key):
            found.given[key] = value
            continue
        if value is None and key not in _NEVER_USUAL:
            continue
        try:
            found.given[key] = _value(key, value)
        except Invalid as error:
            safe, means = _CLOSED.get(key, (None, "it is as if nothing was said"))
            if safe is None:
                missing.add(key)
            else:
                found.given[key] = safe
            found.notices.append(
                f"index {name}: {key} cannot be taken: {str(error)[:_SHOWN_CHARS]}. Until it is set, {means}"
            )
            continue
        if type(found.given[key]) is not type(value):
            found.notices.append(f"index {name}: {key} is taken as {str(found.given[key])[:_SHOWN_CHARS]}")
    return msgspec.structs.replace(found, missing=frozenset(missing))


def _renamed(given: Mapping[str, Any]) -> dict[str, Any]:
    keys = dict(given)
    whitelist = keys.pop("pypi_whitelist", None)
    if whitelist is not None:
        keys.setdefault("mirror_whitelist", whitelist)
    if not keys.get("uploadtrigger_jenkins", True):
        del keys["uploadtrigger_jenkins"]
    return keys


def _value(key: str, value: object) -> Any:  # noqa: ANN401 - the key decides
    """Raises Invalid."""
    if value is None:
        raise Invalid("it says nothing")
    return keytypes.value_of(key, value, lambda _: True)
