"""Passwords that the person keeps in a keyring, where the package `keyring` is installed."""

import contextlib

from stilton_client import urls


def password(url: str, user: str) -> str | None:
    """What the keyring holds, if there is one. A keyring that is locked or broken is none."""
    try:
        import keyring  # noqa: PLC0415 - optional
        import keyring.errors  # noqa: PLC0415
    except ImportError:
        return None
    for place in (url, urls.without_slash(url)):
        with contextlib.suppress(keyring.errors.KeyringError):
            found = keyring.get_password(place, user)
            if found is not None:
                return str(found)
    return None
