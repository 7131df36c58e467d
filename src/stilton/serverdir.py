"""The server's folder: made once, locked while somebody writes, never mistaken for another.

SERVERDIR/.nodeinfo         who this server is (JSON)
SERVERDIR/.serverversion    `stilton-1`: whose format this is
SERVERDIR/.lock             held by the running server or command
SERVERDIR/stilton.sqlite    the database
SERVERDIR/before-N.sqlite   as it was before it was brought to version N; the newest two
SERVERDIR/blobs, incoming   bytes (`blobs.local`)
SERVERDIR/run               scratch of the running server; emptied at start
SERVERDIR/.nodeinfo.begun   in place of .nodeinfo while an import or a restore is not done
"""

import contextlib
import json
import logging
import os
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from stilton.blobs.local import LocalBlobs, empty
from stilton.db import migrate
from stilton.domain.errors import SetupError, StorageTrouble
from stilton.folderlock import FolderLock

if TYPE_CHECKING:
    from stilton.db.database import Transaction

log = logging.getLogger(__name__)

FORMAT = "stilton-1"
_NOT_DATA = {".lock", ".nodeinfo.begun.tmp", "lost+found"}


class ServerDir:
    """A folder that holds, or will hold, a server's data."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.database = path / "stilton.sqlite"
        self.run = path / "run"
        self.blobs = LocalBlobs(path)
        self._nodeinfo = path / ".nodeinfo"
        self._begun = path / ".nodeinfo.begun"
        self._version = path / ".serverversion"
        self._lock = FolderLock(path)

    def has_data(self) -> bool:
        """Whether a server was made here. Raises SetupError when it cannot be read, or is another program's."""
        try:
            if not self._version.exists():
                # Without both, an init was interrupted.
                return self.database.exists() and self._nodeinfo.exists()
            found = self._version.read_bytes()[:100].decode("utf-8", "replace").strip()
        except OSError as error:
            raise self._refused("read", error) from error
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

    def check_data(self) -> None:
        """For commands that need a server's data. Raises SetupError when there is none."""
        if self.has_data():
            return
        self._check_not_begun()
        raise SetupError(
            f"The path '{self.path}' contains no devpi-server data. "
            "If it should: is the volume mounted? Or name another --serverdir."
        )

    def create(self, fill: "Callable[[Transaction], None]", *, now: Callable[[], float]) -> str:
        """Make the data; `fill` writes the first rows. Returns the uuid. Raises SetupError.

        The version file comes last: what is interrupted before it is made anew.
        """
        # The process that only watches workers never needs SQLAlchemy: 20 MB.
        from stilton.db.database import connect, write_now  # noqa: PLC0415

        if self.has_data() and self._version.exists():
            raise SetupError(f"The path '{self.path}' already contains devpi-server data.")
        self._check_not_begun()
        with self._writing():
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
        return node["uuid"]

    def open(self, *, migrate_too: bool = False) -> str:
        """Lock it, clear scratch. Returns the uuid. Raises SetupError.

        `migrate_too`: bring an older database up to date, after a snapshot of it; without, it is refused.
        """
        if not self.has_data():
            self._check_not_begun()
            raise SetupError(
                f"The path '{self.path}' contains no devpi-server data, use devpi-init to initialize.\n"
                "If it should: is the volume mounted? If this is the first start: devpi-server --init makes it."
            )
        with self._writing():
            self.lock()
            if migrate_too:
                self._migrate()
            migrate.check(self.database)
            self.blobs.create()
            self._check_writable()
            if not self._version.exists():
                # The init was interrupted before its last word; from now on there is something to lose.
                _write(self._version, FORMAT + "\n")
            self.blobs.clear_incoming()
            self._clear_run()
        return self.uuid()

    def _check_not_begun(self) -> None:
        """Raises SetupError."""
        if self._begun.exists():
            raise SetupError(
                f"The folder {self.path} holds an import or a restore that is not done: "
                "if it was interrupted, run the same command again to end it, or name another --serverdir."
            )

    def _clear_run(self) -> None:
        self.run.mkdir(mode=0o700, exist_ok=True)
        owner = self.path.stat()
        if os.geteuid() == 0 != owner.st_uid:
            # Made by root it would keep the server of the folder's owner from starting. A container's root may not.
            with contextlib.suppress(PermissionError):
                os.chown(self.run, owner.st_uid, owner.st_gid)
        empty(self.run)

    def _check_writable(self) -> None:
        """A server that takes no change is found out now, and not by the first who makes one. Raises SetupError."""
        if not _may(self.database, os.W_OK):
            raise SetupError(f"The database {self.database} cannot be written. {migrate.WHOSE}")
        for folder in self.blobs.folders:
            if not _may(folder, os.W_OK | os.X_OK):
                raise SetupError(f"The folder {folder} cannot be written. {migrate.WHOSE}")

    def uuid(self) -> str:
        """Who this server is. Raises SetupError."""
        try:
            return str(json.loads(self._nodeinfo.read_text())["uuid"])
        except (OSError, ValueError, KeyError) as error:
            raise SetupError(f"{self._nodeinfo} cannot be read ({error}); restore it from a backup.") from error

    def check_begin(self, task: str) -> None:
        """Whether `begin` could, now. Nothing is made. Raises SetupError."""
        self._check_no_data()
        try:
            free = self._is_free_for(task)
        except OSError as error:
            raise self._refused("read", error) from error
        if not free:
            self._check_no_data()  # another process may have ended this very moment
            raise SetupError(
                f"The folder {self.path} is not empty, and what is in it is not an interrupted {task}: "
                "name another --serverdir."
            )
        if (self.path / ".lock").exists():
            self.lock()
        above = next(folder for folder in (self.path, *self.path.absolute().parents) if folder.exists())
        if not above.is_dir():
            raise SetupError(f"The folder {self.path} cannot be written: {above} is no folder.")
        if not _may(above, os.W_OK | os.X_OK):
            raise SetupError(f"The folder {self.path} cannot be written: {above} takes no files of this user.")

    def _check_no_data(self) -> None:
        """Raises SetupError."""
        if self.has_data():
            raise SetupError(
                f"The path '{self.path}' already contains devpi-server data: "
                "name another --serverdir, or move that one away."
            )

    def begin(self, task: str, uuid: str) -> None:
        """Lock a new or empty folder to fill it; or one where the same `task` was interrupted. Raises SetupError.

        It is a server's folder, that of `uuid`, from `finish` on.
        """
        self.check_begin(task)
        with self._writing():
            self.path.mkdir(parents=True, exist_ok=True)
            self.lock()
            _write(self._begun, json.dumps({"uuid": uuid, "role": "standalone", "task": task}) + "\n")

    def finish(self) -> None:
        """What `begin` began is a server's folder. Raises OSError."""
        self._begun.replace(self._nodeinfo)
        _write(self._version, FORMAT + "\n")

    def _is_free_for(self, task: str) -> bool:
        names = {path.name for path in self.path.iterdir()} if self.path.exists() else set()
        if self._begun.name not in names:
            return names <= _NOT_DATA
        try:
            return bool(json.loads(self._begun.read_text())["task"] == task)
        except (OSError, ValueError, KeyError):
            return False

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        """What the disk refuses meanwhile, as SetupError."""
        try:
            yield
        except OSError as error:
            raise self._refused("written", error) from error

    def _refused(self, done: str, error: OSError) -> SetupError:
        advice = "."
        if isinstance(error, PermissionError):
            # One file of another user's is enough.
            named = f" ({error.filename})" if error.filename and str(error.filename) != str(self.path) else ""
            advice = f"{named}. {migrate.WHOSE}"
        return SetupError(f"The folder {self.path} cannot be {done}: {error.strerror}{advice}")

    def _migrate(self) -> None:
        try:
            older = migrate.bring_up(self.database)
        except StorageTrouble as error:
            raise SetupError(f"The database is as it was, it could not be brought up to date: {error}.") from error
        if older is not None:
            log.info(
                "The database was brought from version %s to %s; as it was before, it is in %s",
                older, migrate.HEAD, migrate.kept_before(self.database),
            )  # fmt: skip

    def lock(self) -> None:
        """Become the only writer, until the process ends. Raises SetupError when another is."""
        with self._writing():
            self._lock.take()

    def unlock(self) -> None:
        """Let others write."""
        self._lock.release()


def _may(path: Path, mode: int) -> bool:
    """Whether this process may, as `open` would find: with the rights that it was given beside its user's."""
    return os.access(path, mode, effective_ids=os.access in os.supports_effective_ids)


def _write(path: Path, text: str) -> None:
    temporary = path.with_name(path.name + ".tmp")
    with temporary.open("w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
