"""What a user says of himself: which keys there are and what they may hold (protocol reference 3.1)."""

from collections.abc import Mapping
from typing import Any

import msgspec

from stilton.domain.errors import Invalid

KEYS = frozenset({"email", "title", "description", "custom_data"})
MAX_BYTES = 64 << 10


def checked(given: Mapping[str, Any]) -> dict[str, Any]:
    """Those of `given` that are a profile's. Raises Invalid when one of them cannot be."""
    keys = {key: value for key, value in given.items() if key in KEYS}
    for key in keys.keys() - {"custom_data"}:
        if keys[key] is not None and not isinstance(keys[key], str):
            raise Invalid(f"{key} is no text")
    if len(msgspec.json.encode(keys)) > MAX_BYTES:
        raise Invalid(f"more than {MAX_BYTES} bytes of user config")
    return keys
