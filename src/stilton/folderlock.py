"""A server's folder has one writer: the process that holds its lock. Counterpart: `serverdir`."""

import fcntl
import logging
import os
import pwd
import shlex
from pathlib import Path

from stilton.domain.errors import SetupError

log = logging.getLogger(__name__)


class FolderLock:
    """The lock of `folder`, in `folder/.lock`; it ends with the process at the latest."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock: int | None = None

    def take(self) -> None:
        """Become the only writer; again is nothing. Raises SetupError when another process is, OSError."""
        if self._lock is not None:
            return
        lock = os.open(self._folder / ".lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = os.read(lock, 32).decode("ascii", "replace").strip() or "unknown"
            os.close(lock)
            raise SetupError(
                f"The folder {self._folder} is in use by process {owner}. Stop that one, or name another --serverdir."
            ) from None
        os.ftruncate(lock, 0)
        os.write(lock, f"{os.getpid()}\n".encode())
        self._lock = lock
        self._warn_root()

    def release(self) -> None:
        """Let others write."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _warn_root(self) -> None:
        """The usual slip of an administrator: a command without `sudo -u`, and the service does not start again."""
        owner = self._folder.stat().st_uid
        if os.geteuid() == 0 != owner:
            name = _name(owner)
            log.warning(
                "The folder %s belongs to %s, and this is root: %s cannot change what root makes in it. "
                "Better: sudo -u %s COMMAND. Afterwards: chown -R %s: %s",
                self._folder, name, name, name, name, shlex.quote(str(self._folder)),
            )  # fmt: skip


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"#{uid}"
