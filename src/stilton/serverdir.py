"""The server's folder: made once, locked while somebody writes, never mistaken for another.

SERVERDIR/.nodeinfo         who this server is (JSON)
SERVERDIR/.serverversion    `stilton-1`: whose format this is
SERVERDIR/.lock             held by the running server or command
SERVERDIR/stilton.sqlite    the database
SERVERDIR/blobs, incoming   bytes (`blobs.local`)
SERVERDIR/run               scratch of the running server; emptied at start
"""

import fcntl
import json
import os
import shutil
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from stilton.blobs.local import LocalBlobs
from stilton.db import migrate
from stilton.domain.errors import SetupError

if TYPE_CHECKING:
    from stilton.db.database import Transaction

FORMAT = "stilton-1"


class ServerDir:
    """A folder that holds, or will hold, a server's data."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.database = path / "stilton.sqlite"
        self.run = path / "run"
        self.blobs = LocalBlobs(path)
        self._nodeinfo = path / ".nodeinfo"
        self._version = path / ".serverversion"
        self._lock: int | None = None

    def has_data(self) -> bool:
        """Whether a server was made here. Raises SetupError when another program's data is here."""
        if not self._version.exists():
            # Without both, an init was interrupted.
            return self.database.exists() and self._nodeinfo.exists()
        found = self._version.read_text().strip()
        if found == FORMAT:
            return True
        if found.startswith("stilton-"):
            raise SetupError(
                f"The folder {self.path} has format {found}, this program reads {FORMAT}: run the newer one."
            )
        raise SetupError(
            f"The folder {self.path} holds data of devpi-server (format {found}). "
            "Export it there with devpi-export and name another --serverdir here."
        )

    def create(self, fill: "Callable[[Transaction], None]", *, now: Callable[[], float]) -> str:
        """Make the data; `fill` writes the first rows. Returns the uuid. Raises SetupError.

        The version file comes last: what is interrupted before it is made anew.
        """
        # The process that only watches workers never needs SQLAlchemy: 20 MB.
        from stilton.db.database import connect, write_now  # noqa: PLC0415

        if self.has_data() and self._version.exists():
            raise SetupError(f"The path '{self.path}' already contains devpi-server data.")
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self.lock()
            self.database.unlink(missing_ok=True)
            self.blobs.create()
            migrate.upgrade(self.database)
            engine = connect(self.database)
            write_now(engine, now, fill)
            engine.dispose()
            node = {"uuid": uuid.uuid4().hex, "role": "standalone"}
            _write(self._nodeinfo, json.dumps(node) + "\n")
            _write(self._version, FORMAT + "\n")
        except OSError as error:
            raise SetupError(f"The folder {self.path} cannot be written: {error.strerror}.") from error
        return node["uuid"]

    def open(self) -> str:
        """Lock it, bring the database up to date, clear scratch. Returns the uuid. Raises SetupError."""
        if not self.has_data():
            raise SetupError(
                f"The path '{self.path}' contains no devpi-server data, use devpi-init to initialize.\n"
                "If it should: is the volume mounted? If this is the first start: devpi-server --init makes it."
            )
        try:
            self.lock()
            if not self._version.exists():
                # The init was interrupted before its last word; from now on there is something to lose.
                _write(self._version, FORMAT + "\n")
            migrate.upgrade(self.database)
            self.blobs.create()
            self.blobs.clear_incoming()
            shutil.rmtree(self.run, ignore_errors=True)
            self.run.mkdir(mode=0o700)
        except OSError as error:
            raise SetupError(f"The folder {self.path} cannot be written: {error.strerror}.") from error
        return self.uuid()

    def uuid(self) -> str:
        """Who this server is. Raises SetupError."""
        try:
            return str(json.loads(self._nodeinfo.read_text())["uuid"])
        except (OSError, ValueError, KeyError) as error:
            raise SetupError(f"{self._nodeinfo} cannot be read ({error}); restore it from a backup.") from error

    def lock(self) -> None:
        """Become the only writer, until the process ends. Raises SetupError when another is."""
        if self._lock is not None:
            return
        lock = os.open(self.path / ".lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = os.read(lock, 32).decode("ascii", "replace").strip() or "unknown"
            os.close(lock)
            raise SetupError(
                f"The folder {self.path} is in use by process {owner}. Stop that one, or name another --serverdir."
            ) from None
        os.ftruncate(lock, 0)
        os.write(lock, f"{os.getpid()}\n".encode())
        self._lock = lock

    def unlock(self) -> None:
        """Let others write."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def _write(path: Path, text: str) -> None:
    temporary = path.with_name(path.name + ".tmp")
    with temporary.open("w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
