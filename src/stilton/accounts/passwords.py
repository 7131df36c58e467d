"""Password hashes: made and checked, a few at a time, so that a flood of logins leaves the server its work.

argon2id (RFC 9106). A check costs about 30 ms of a core on purpose; that is done in one
thread of low priority, and those who would wait too long are sent away.
"""

import asyncio
import contextlib
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from stilton.domain.errors import Busy

T = TypeVar("T")

# OWASP's least: 19 MiB, two passes, one lane.
MEMORY_KIB = 19 << 10
PASSES = 2
LANES = 1
LONGEST_WAIT_S = 3.0
"""Whoever waited so long for his turn is told to come back. Not at once: a flood would come back at once, too."""
NICE = 10

_HASHER = PasswordHasher(time_cost=PASSES, memory_cost=MEMORY_KIB, parallelism=LANES)
# Of no password that anybody has: unknown users cost the same time as known ones.
_NOBODYS = "$argon2id$v=19$m=19456,t=2,p=1$t+81s51WJAizE71ppPkeag$Gcb+0mKZ0zrag8tyisJ7omxYGLgN9SZMU58BV6KSBdg"


def hashed(password: str) -> str:
    """The hash of a password. Blocks for about 30 ms."""
    return _HASHER.hash(_bytes(password))


def is_right(pwhash: str | None, password: str) -> bool:
    """Whether `password` is the one of `pwhash`; of no user (None) it never is. Blocks as long either way."""
    try:
        _HASHER.verify(pwhash or _NOBODYS, _bytes(password))
    except (VerificationError, InvalidHashError, ValueError):
        return False
    return pwhash is not None


def is_outdated(pwhash: str) -> bool:
    """Whether the hash was made with other parameters than today's."""
    return _HASHER.check_needs_rehash(pwhash)


class Bench:
    """Where checks wait their turn."""

    def __init__(self, *, longest_wait_s: float = LONGEST_WAIT_S) -> None:
        self._longest_wait_s = longest_wait_s
        self._thread = ThreadPoolExecutor(1, "password", initializer=_step_back)
        self._turn = asyncio.Semaphore(1)

    async def check(self, pwhash: str | None, password: str) -> bool:
        """As `is_right`. Raises Busy."""
        return await self._do(is_right, pwhash, password)

    async def hash(self, password: str) -> str:
        """As `hashed`. Raises Busy."""
        return await self._do(hashed, password)

    async def _do(self, work: Callable[..., T], *arguments: object) -> T:
        try:
            async with asyncio.timeout(self._longest_wait_s):
                await self._turn.acquire()
        except TimeoutError:
            raise Busy("many people are logging in") from None
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, work, *arguments)
        finally:
            self._turn.release()

    def close(self) -> None:
        """Let the thread end."""
        self._thread.shutdown(wait=False, cancel_futures=True)


def _bytes(password: str) -> bytes:
    return password.encode("utf-8", "surrogatepass")


def _step_back() -> None:
    # On Linux a thread has a priority of its own; where it has not, nothing is lost.
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICE)
