"""Where log lines go and how they look: for people, for machines, or as a file of `logging.config` says.

    2026-01-31 12:00:00,123 INFO  [1a2b3c4d] alice uploaded pkg-1.0.whl to team/dev
    2026-01-31 12:00:00,125 INFO  [1a2b3c4d] POST /team/dev/ 200 0 B 12.3 ms alice@10.0.0.7
    {"time":"2026-01-31T12:00:00.123Z","level":"info","logger":"stilton.publish.upload","message":"…","request":"1a2b3c4d"}

Every record passes `domain.redaction`, whoever made it and whatever becomes of it. The lines of the access log are
made in batches, beside `logging`: a record costs as much as an answer.
"""

import json
import logging
import sys
import time
from collections.abc import Callable, Iterable
from typing import Any

from stilton import complaints, loggercfg, visits
from stilton.config import Config
from stilton.domain.redaction import one_line, redacted, redacted_parts
from stilton.lines import ACCESS, Fields, HumanLine, JsonLine, Seconds
from stilton.visits import Served

HUMAN = "%(asctime)s %(levelname)-5.5s %(tag)s%(message)s"
NOISY = ("asyncio", "alembic", "granian")
OWN_HANDLERS = ("_granian", "granian.access")

MOST_CHARS = 4000
"""Of a message, and of a line of a traceback."""

_OF_EVERY_RECORD = frozenset({"time", "level", "logger", "message", "request"})
# What every record has (`logging` documents them); the rest are fields of the message.
_USUAL = frozenset(vars(logging.makeLogRecord({}))) | {"request", "tag", "asctime", "message"}


def set_up(config: Config) -> None:
    """Send all log records of this process where they belong. Raises SetupError."""
    logging.setLogRecordFactory(record)
    if config.logger_cfg is not None:
        loggercfg.configure(config.logger_cfg, config.where("logger-cfg"))
    else:
        _configure_own(config)
    complaints.guard()


def access(config: Config) -> Callable[[Iterable[Served]], None]:
    """What writes the lines of the access log."""
    if not config.access_log:
        return _drop
    if config.logger_cfg is not None:
        return Records()
    line = JsonLine() if config.log_format == "json" else HumanLine()
    complain = complaints.Complaints()

    def write(served: Iterable[Served]) -> None:
        text = "".join(map(line, served))
        if text:
            try:
                sys.stdout.write(text)
                sys.stdout.flush()
            except (OSError, ValueError) as error:
                complain("standard output", error)

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
        return redacted(json.dumps(redacted_parts({**line, **extra}), default=str, separators=(",", ":")))


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
