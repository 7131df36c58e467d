"""Transactions: a synchronous function per unit of work, one thread hop each.

    await db.read(mirrors.page, index, project)
    await db.write(mirrors.keep_page, index, page)
    await db.record(stages.put_file, stage, file)

The function gets a connection and cannot await, so no transaction is ever open
during network or disk streaming. Reads never write. Writers queue in one thread.
SQLite in WAL mode; `PRAGMA data_version` tells when another process committed.
Whatever is asked raises Damaged when the database cannot be read (`db.trouble`).
"""

import asyncio
import os
import sqlite3
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event, func, select
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.pool import ConnectionPoolEntry, QueuePool

from stilton import visits
from stilton.db import trouble
from stilton.db.schema import changes, upsert
from stilton.domain.errors import Damaged, StiltonError, StorageTrouble
from stilton.visits import Origin

P = ParamSpec("P")
T = TypeVar("T")

READERS = 4
BUSY_TIMEOUT_S = 30
UNITS_A_COMMIT = 100
_ONLY_READS = "only reads"
_LAST_SERIAL = select(func.max(changes.c.serial))
_CHANGE = upsert(changes)


class Transaction:
    """What a write function gets: the connection, and where to note what changed.

    `at`: when it is, Unix seconds. `origin`: who wanted it.
    """

    def __init__(self, connection: Connection, at: float, origin: Origin) -> None:
        self.sql = connection
        self.at = at
        self.origin = origin
        self.changed: list[str] = []

    def note(self, entity: str) -> None:
        """Record that `entity` (see `domain.changes`) is another after this commit."""
        self.changed.append(entity)


class _Unit:
    """One unit of work in the queue, who wants it and who waits for it."""

    __slots__ = ("_origin", "_work", "done", "lasting")

    def __init__(self, work: Callable[[Transaction], Any], done: asyncio.Future[Any], *, lasting: bool) -> None:
        self._work = work
        self._origin = visits.origin()
        self.done = done
        self.lasting = lasting

    def work(self, transaction: Transaction) -> Any:  # noqa: ANN401 - whatever the work returns
        """Do it, in a transaction that may be shared with others' work."""
        transaction.origin = self._origin
        return self._work(transaction)


class Database:
    """One SQLite file, for one worker process. `alarm`: is told of each change that the disk did not take."""

    def __init__(
        self, path: Path, *, now: Callable[[], float] = time.time, alarm: Callable[[StiltonError], None] | None = None
    ) -> None:
        self.path = path
        self._alarm = alarm
        self._now = now
        self._engine = connect(path)
        self._readers = ThreadPoolExecutor(READERS, "db-read")
        self._writer = ThreadPoolExecutor(1, "db-write")
        self._queue: deque[_Unit] = deque()
        self._writing = False
        self._listeners: list[Callable[[list[str]], None]] = []
        # Autocommit: each statement sees the newest commit, and none holds a snapshot open.
        self._here = self._engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        self._watch = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._version = self._data_version()
        self._serial = self._read_serial()

    def glance(self, work: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run one point read here and now, on the event loop: a thread hop costs more than the read.

        For statements by primary key or a short index range only.
        """
        return work(self._here, *args, **kwargs)

    async def read(self, work: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run `work(connection, …)` in a snapshot."""

        def run() -> T:
            with self._engine.connect() as connection:
                connection.exec_driver_sql("BEGIN")
                return work(connection, *args, **kwargs)

        return await asyncio.get_running_loop().run_in_executor(self._readers, run)

    async def write(self, work: Callable[Concatenate[Transaction, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run `work(transaction, …)` and commit; on any exception nothing of it happened.

        For what can be had again: the death of the process loses nothing, a power cut the last moments.
        Raises StorageTrouble when the database cannot be written.
        """
        return await self._do(lambda transaction: work(transaction, *args, **kwargs), lasting=False)

    async def record(self, work: Callable[Concatenate[Transaction, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """`write` for what people entrusted to us: when it returns, a power cut loses nothing of it."""
        return await self._do(lambda transaction: work(transaction, *args, **kwargs), lasting=True)

    async def _do(self, work: Callable[[Transaction], T], *, lasting: bool) -> T:
        loop = asyncio.get_running_loop()
        done: asyncio.Future[T] = loop.create_future()
        self._queue.append(_Unit(work, done, lasting=lasting))
        if not self._writing:
            self._writing = True
            loop.run_in_executor(self._writer, self._write_queued, loop)
        try:
            result = await done
        except (StorageTrouble, Damaged) as refusal:
            # Here, since not every change is somebody's request.
            if self._alarm is not None:
                self._alarm(refusal)
            raise
        self.news()
        return result

    def _write_queued(self, loop: asyncio.AbstractEventLoop) -> None:
        """In the writing thread: everything that queued up meanwhile becomes one commit."""
        while self._queue:
            units = [self._queue.popleft() for _ in range(min(len(self._queue), UNITS_A_COMMIT))]
            outcomes = _commit(self._engine, self._now, units)
            loop.call_soon_threadsafe(_tell, units, outcomes)
        loop.call_soon_threadsafe(self._wrote, loop)

    def _wrote(self, loop: asyncio.AbstractEventLoop) -> None:
        self._writing = bool(self._queue)
        if self._writing:
            loop.run_in_executor(self._writer, self._write_queued, loop)

    def on_commit(self, listener: Callable[[list[str]], None]) -> None:
        """Call `listener(entities)` in the event loop after commits, of other processes too."""
        self._listeners.append(listener)

    @property
    def serial(self) -> int:
        """Number of the last commit that this process knows of."""
        return self._serial

    def last_commit_at(self) -> float | None:
        """When something last changed that a reader can see; None before that. Unix seconds."""
        at = self._watched("SELECT max(at) FROM changes")[0][0]
        return None if at is None else float(at)

    def news(self) -> int:
        """Tell the listeners what was committed since last asked; returns the serial. Microseconds."""
        version = self._data_version()
        if version != self._version:
            self._version = version
            rows = self._watched("SELECT entity, serial FROM changes WHERE serial > ? ORDER BY serial", self._serial)
            if rows:
                self._serial = rows[-1][1]
                entities = [row[0] for row in rows]
                for listener in self._listeners:
                    listener(entities)
        return self._serial

    def close(self) -> None:
        """Finish what is queued and close."""
        self._writer.shutdown()
        self._readers.shutdown()
        self._watch.close()
        self._here.close()
        self._engine.dispose()

    def _data_version(self) -> int:
        version: int = self._watched("PRAGMA data_version")[0][0]
        return version

    def _read_serial(self) -> int:
        serial: int = self._watched("SELECT coalesce(max(serial), 0) FROM changes")[0][0]
        return serial

    def _watched(self, statement: str, *values: int) -> list[Any]:
        """All rows, by the connection that is cheaper than SQLAlchemy's."""
        try:
            return self._watch.execute(statement, values).fetchall()
        except sqlite3.Error as error:
            meant = trouble.meaning(error, self.path.name)
            if meant is None:
                raise
            raise meant from error


def connect(path: Path) -> Engine:
    """An engine for the SQLite file at `path`, set up for several processes; its errors are those of `db.trouble`."""
    # Parameters may be secrets, and errors are logged.
    engine = create_engine(f"sqlite:///{path}", poolclass=QueuePool, pool_size=READERS + 2, hide_parameters=True)
    event.listen(engine, "connect", _set_up)

    def translated(context: ExceptionContext) -> StiltonError | None:
        return trouble.meaning(context.original_exception, path.name)

    event.listen(engine, "handle_error", translated, retval=True)
    _drop_those_that_only_read(engine, path)
    return engine


def _drop_those_that_only_read(engine: Engine, path: Path) -> None:
    """What SQLite opened while the disk was read-only can never write: the pool keeps none of these."""

    def opened(_connection: object, record: ConnectionPoolEntry) -> None:
        record.info[_ONLY_READS] = not os.access(path, os.W_OK)

    def given_back(_connection: object, record: ConnectionPoolEntry) -> None:
        if record.info.get(_ONLY_READS):
            record.invalidate()

    event.listen(engine, "connect", opened)
    event.listen(engine, "checkin", given_back)


def write_now(
    engine: Engine,
    now: Callable[[], float],
    work: Callable[Concatenate[Transaction, P], T],
    *args: P.args,
    **kwargs: P.kwargs,
) -> T:
    """`Database.record` for commands, without an event loop."""
    return _write(engine, now, lambda transaction: work(transaction, *args, **kwargs), lasting=True)


def _write(engine: Engine, now: Callable[[], float], work: Callable[[Transaction], T], *, lasting: bool) -> T:
    with engine.connect() as connection:
        # In WAL mode FULL syncs the log at each commit, NORMAL only now and then.
        connection.exec_driver_sql(f"PRAGMA synchronous = {'FULL' if lasting else 'NORMAL'}")
        # The write lock is taken at once: no reader turns into a writer half way.
        connection.exec_driver_sql("BEGIN IMMEDIATE")
        transaction = Transaction(connection, now(), visits.COMMAND)
        result = work(transaction)
        _log_changes(transaction, now())
        connection.commit()
    return result


def _commit(engine: Engine, now: Callable[[], float], units: list[_Unit]) -> list[Any]:
    """Run the units in one transaction, or, when one of them fails, each in its own.

    Per unit its result, or the exception that undid it alone.
    """
    lasting = any(unit.lasting for unit in units)
    try:
        return _write(engine, now, lambda transaction: [unit.work(transaction) for unit in units], lasting=lasting)
    except Exception as error:  # noqa: BLE001 - it reaches everybody who waits
        if len(units) == 1:
            return [error]
        return [outcome for unit in units for outcome in _commit(engine, now, [unit])]


def _tell(units: list[_Unit], outcomes: list[Any]) -> None:
    for unit, outcome in zip(units, outcomes, strict=True):
        if unit.done.done():
            continue
        if isinstance(outcome, Exception):
            unit.done.set_exception(outcome)
        else:
            unit.done.set_result(outcome)


def _log_changes(transaction: Transaction, now: float) -> None:
    if not transaction.changed:
        return
    serial = transaction.sql.scalar(_LAST_SERIAL) or 0
    entities = dict.fromkeys(transaction.changed)
    rows = [{"entity": entity, "serial": serial + place, "at": now} for place, entity in enumerate(entities, 1)]
    transaction.sql.execute(_CHANGE, rows)


def _set_up(connection: Any, _record: object) -> None:  # noqa: ANN401 - DBAPI connections have no common type
    connection.isolation_level = None  # SQLAlchemy's BEGIN is ours to send
    cursor = connection.cursor()
    for pragma in (
        "journal_mode = WAL",
        # WAL + NORMAL: a crash of the process loses nothing, one of the machine the last moments.
        "synchronous = NORMAL",
        f"busy_timeout = {BUSY_TIMEOUT_S * 1000}",
        "foreign_keys = ON",
        "cache_size = -8000",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()
