"""The first user and the first index, made by `devpi-init`."""

import time
from typing import Any
from urllib.parse import urljoin

from argon2 import PasswordHasher, extract_parameters
from argon2.exceptions import InvalidHashError, VerificationError, VerifyMismatchError

from stilton.db import accounts, audit
from stilton.db.database import Transaction
from stilton.domain.audit import Event
from stilton.domain.errors import SetupError
from stilton.domain.indexes import Index, default_mirror, public_keys

ROOT = "root"
MAX_MEMORY_KIB = 1 << 18
MAX_PASSES = 16
MAX_LANES = 16
_NO_HASH = "A password hash must be one of argon2, it begins with $argon2id$."


def bounded_hash(pwhash: str) -> str:
    """`pwhash` when it is an argon2 hash that can be checked in bounded time. Raises SetupError."""
    try:
        cost = extract_parameters(pwhash)
    except (InvalidHashError, ValueError):
        raise SetupError(_NO_HASH) from None
    if cost.memory_cost > MAX_MEMORY_KIB or cost.time_cost > MAX_PASSES or cost.parallelism > MAX_LANES:
        raise SetupError("The argon2 hash takes too much time or memory to check; make one with usual parameters.")
    return pwhash


def checked_hash(pwhash: str) -> str:
    """`bounded_hash`, and a password can be checked against it. Takes as long as that. Raises SetupError."""
    try:
        PasswordHasher().verify(bounded_hash(pwhash), "")
    except VerifyMismatchError:
        return pwhash
    except (InvalidHashError, VerificationError, ValueError):
        raise SetupError(_NO_HASH) from None
    return pwhash


def instant(now: float) -> str:
    """Unix seconds as devpi writes them in user data."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now))


def first_user(tx: Transaction, pwhash: str, *, now: float) -> None:
    """Create `root`."""
    accounts.put_user(tx, ROOT, pwhash, {"created": instant(now)})
    audit.note(tx, Event("user.create", ROOT))


def check_user(tx: Transaction, user: str) -> None:
    """Raises SetupError when there is no such user."""
    if accounts.pwhash(tx.sql, user) is None:
        known = ", ".join(keys["username"] for keys in accounts.all_users(tx.sql)[:20])
        raise SetupError(f"There is no user {user!r} here. Users are: {known}")


def set_password(tx: Transaction, user: str, pwhash: str, at: float) -> None:
    """Give a user another password; `at`: Unix seconds. Raises SetupError."""
    check_user(tx, user)
    keys = accounts.user_keys(tx.sql, user) or {}
    keys.pop("username", None)
    accounts.put_user(tx, user, pwhash, {**keys, "modified": instant(at)})
    audit.note(tx, Event("user.password", user))


def first_index(tx: Transaction, keys: dict[str, Any]) -> None:
    """Create `root/pypi`."""
    index = Index(ROOT, "pypi", keys)
    accounts.put_index(tx, index)
    audit.note(tx, Event("index.create", index.full_name, {"keys": public_keys(index)}))


def pypi_keys(mirror_url: str | None) -> dict[str, Any]:
    """Configuration of `root/pypi`; PyPI itself unless `mirror_url` says another index.

    PyPI's address is a library's public constant, read once and kept in the database.
    """
    from distlib.index import DEFAULT_INDEX  # noqa: PLC0415 - 0.2 s, needed once in a lifetime

    keys = default_mirror(urljoin(DEFAULT_INDEX, "/simple/"), urljoin(DEFAULT_INDEX, "/project/"))
    if mirror_url is not None:
        keys["mirror_url"] = mirror_url
        keys.pop("mirror_web_url_fmt")
        keys["title"] = "Mirror"
    return keys
