"""Where log lines go and how they look: for people, for machines, or as a file of `logging.config` says.

    2026-01-31 12:00:00,123 INFO  [1a2b3c4d] alice uploaded pkg-1.0.whl to team/dev
    2026-01-31 12:00:00,125 INFO  [1a2b3c4d] POST /team/dev/ 200 0 B 12.3 ms alice@10.0.0.7
    {"time":"2026-01-31T12:00:00.123Z","level":"info","logger":"stilton.publish.upload","message":"…","request":"1a2b3c4d"}

Every record passes `domain.redaction`, whoever made it and whatever becomes of it. The lines of the access log are
made in batches, beside `logging`: a record costs as much as an answer.
"""

import contextlib
import json
import logging
import logging.config
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import yaml

from stilton import visits
from stilton.config import Config
from stilton.domain.errors import SetupError
from stilton.domain.redaction import one_line, redacted
from stilton.lines import ACCESS, Fields, HumanLine, JsonLine, Seconds
from stilton.visits import Served

HUMAN = "%(asctime)s %(levelname)-5.5s %(tag)s%(message)s"
MOST_CHARACTERS = 1 << 18
"""Of a file for --logger-cfg."""
NOISY = ("asyncio", "alembic", "granian")
OWN_HANDLERS = ("_granian", "granian.access")

MOST_CHARS = 4000
"""Of a message, and of a line of a traceback."""

COMPLAINTS_PAUSE_S = 60.0

_OF_EVERY_RECORD = frozenset({"time", "level", "logger", "message", "request"})
# What every record has (`logging` documents them); the rest are fields of the message.
_USUAL = frozenset(vars(logging.makeLogRecord({}))) | {"request", "tag", "asctime", "message"}


def set_up(config: Config) -> None:
    """Send all log records of this process where they belong. Raises SetupError."""
    logging.setLogRecordFactory(record)
    if config.logger_cfg is not None:
        _configure(config.logger_cfg, config.where("logger-cfg"))
    else:
        _configure_own(config)
    complain = Complaints()
    for handler in _handlers():
        _guard(handler, complain)


def access(config: Config) -> Callable[[Iterable[Served]], None]:
    """What writes the lines of the access log."""
    if not config.access_log:
        return _drop
    if config.logger_cfg is not None:
        return Records()
    line = JsonLine() if config.log_format == "json" else HumanLine()
    complain = Complaints()

    def write(served: Iterable[Served]) -> None:
        text = "".join(map(line, served))
        if text:
            try:
                sys.stdout.write(text)
                sys.stdout.flush()
            except (OSError, ValueError) as error:
                complain(error)

    return write


def record(*arguments: Any, **named: Any) -> logging.LogRecord:  # noqa: ANN401 - as `logging.LogRecord` has them
    """A line without secrets, with the id of the request that it is about (`request`, and `tag` for people)."""
    made = logging.LogRecord(*arguments, **named)
    visit = visits.current()
    made.request = None if visit is None else visit.id
    made.tag = "" if visit is None else f"[{visit.id}] "
    try:
        text = redacted(made.getMessage())
    except (TypeError, ValueError):
        text = f"{redacted(str(made.msg))} (its values cannot be shown)"
    made.msg, made.args = one_line(text, MOST_CHARS), None
    if made.exc_info and made.exc_info[0] is not None:
        traceback = redacted(logging.Formatter().formatException(made.exc_info))
        made.exc_text = "\n".join(one_line(line, MOST_CHARS) for line in traceback.split("\n"))
    return made


class Complaints:
    """What keeps lines from being written, told on standard error once a minute. It ends no request."""

    def __init__(self) -> None:
        self._quiet_until = 0.0

    def __call__(self, error: BaseException | None) -> None:
        """A line, or more, was lost."""
        now = time.monotonic()
        if now < self._quiet_until:
            return
        self._quiet_until = now + COMPLAINTS_PAUSE_S
        text = one_line(redacted(f"{type(error).__name__}: {error}"), MOST_CHARS)
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.write(f"The log cannot be written, lines are lost: {text}\n")
            sys.stderr.flush()


class Json(logging.Formatter):
    """An object a line; what was given as `extra` are fields of it."""

    def __init__(self) -> None:
        super().__init__()
        self._seconds = Seconds("%Y-%m-%dT%H:%M:%S", time.gmtime)

    def format(self, record: logging.LogRecord) -> str:
        """Stable names: see docs/guide/logs.md."""
        text, ms = self._seconds(record.created)
        line = {
            "time": f"{text}.{ms:03d}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        # Records that were made elsewhere have no `request`.
        if request := getattr(record, "request", None):
            line["request"] = request
        extra = {key: value for key, value in vars(record).items() if key not in _USUAL}
        if record.exc_info:
            extra["exception"] = record.exc_text or self.formatException(record.exc_info)
        return redacted(json.dumps({**line, **extra}, default=str))


class Records:
    """A log record each: where they go is for the operator's file to say."""

    def __init__(self) -> None:
        self._fields = Fields()

    def __call__(self, served: Iterable[Served]) -> None:
        """The fields are attributes of the record."""
        log = logging.getLogger(ACCESS)
        for one in served:
            known = self._fields(one)
            extra = {key: value for key, value in known.items() if key not in _OF_EVERY_RECORD}
            log.info("[%s] %s", one.request or "-", known["message"], extra=extra)


def _drop(served: Iterable[Served]) -> None:
    """Nobody wants to read it."""
    for _ in served:
        pass


def _configure_own(config: Config) -> None:
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(Json() if config.log_format == "json" else logging.Formatter(HUMAN))
    logging.basicConfig(level=logging.DEBUG if config.debug else logging.INFO, handlers=[handler], force=True)
    for noisy in NOISY:
        logging.getLogger(noisy).setLevel(logging.WARNING)
    for name in OWN_HANDLERS:
        logging.getLogger(name).handlers.clear()
        logging.getLogger(name).propagate = True


def files(path: str, where: str) -> list[Path]:
    """The files that such a configuration writes to, as they stand there. Raises SetupError."""
    with _worded(path, where):
        handlers = _read(path).get("handlers")
    named = handlers.values() if isinstance(handlers, dict) else ()
    return [Path(one["filename"]) for one in named if isinstance(one, dict) and isinstance(one.get("filename"), str)]


def _configure(path: str, where: str) -> None:
    """As `logging.config.dictConfig` takes it; `where` the path was given. Raises SetupError."""
    with _worded(path, where):
        # Loggers of modules that are loaded already are ours: without this they would fall silent.
        logging.config.dictConfig({"disable_existing_loggers": False, **_read(path)})


@contextlib.contextmanager
def _worded(path: str, where: str) -> Iterator[None]:
    """What is wrong with such a file, as SetupError."""
    try:
        yield
    except OSError as error:
        raise SetupError(f"{where} is {path}, which cannot be read: {error.strerror}.") from error
    except (ValueError, TypeError, AttributeError, LookupError, ImportError, RecursionError, yaml.YAMLError) as error:
        why = " ".join(f"{error} ({error.__cause__})".split()) if error.__cause__ else " ".join(str(error).split())
        raise SetupError(f"{where} is {path}: that is no configuration of Python's logging: {why}.") from error


def _read(path: str) -> dict[str, Any]:
    with Path(path).open(encoding="utf-8") as file:
        text = file.read(MOST_CHARACTERS + 1)
    document = {} if len(text) > MOST_CHARACTERS else _document(path, text)
    if not isinstance(document, dict) or not document:
        raise TypeError("it takes a mapping")
    return document


def _document(path: str, text: str) -> object:
    return json.loads(text) if path.endswith(".json") else yaml.safe_load(text)


def _handlers() -> Iterator[logging.Handler]:
    """Every handler that a logger of this process has, once."""
    loggers = [
        logging.root,
        *(one for one in logging.root.manager.loggerDict.values() if isinstance(one, logging.Logger)),
    ]
    yield from {id(handler): handler for logger in loggers for handler in logger.handlers}.values()


def _guard(handler: logging.Handler, complain: Complaints) -> None:
    """Whatever is wrong with a handler, its filters or its place is a complaint; not all see to it themselves."""
    handle = handler.handle

    def handled(record: logging.LogRecord) -> bool:
        try:
            return bool(handle(record))
        except Exception as error:  # noqa: BLE001 - it is an operator's class
            complain(error)
            return False

    handler.handle = handled  # type: ignore[method-assign] # of this one
    handler.handleError = lambda record: complain(sys.exc_info()[1])  # type: ignore[method-assign] # noqa: ARG005
