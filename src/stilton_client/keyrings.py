"""Passwords that the person keeps in a keyring, where the package `keyring` is installed."""

from collections.abc import Callable

from stilton_client import urls


def password(url: str, user: str, warn: Callable[[str], None]) -> str | None:
    """What the keyring holds, if there is one. One that is locked or broken is none, and said to be so."""
    try:
        import keyring  # noqa: PLC0415 - optional
    except ImportError:
        return None
    try:
        for place in (url, urls.without_slash(url)):
            found = keyring.get_password(place, user)
            if found is not None:
                return str(found)
    except Exception as error:  # noqa: BLE001 - backends are other people's code, and raise what they like
        warn(f"the keyring cannot be asked ({type(error).__name__}: {error})")
    return None
