"""What keeps log lines from being written: told on standard error, of each once a minute. It ends no request.

`logging` itself lets what a filter raises through to whoever wrote the line, and of handlers what they do not catch.
"""

import contextlib
import functools
import logging
import sys
import time
from collections.abc import Callable, Iterator

from stilton.domain.redaction import one_line, redacted

PAUSE_S = 60.0
MOST_CHARS = 4000
"""Of what is told."""


class Complaints:
    """Told on standard error, of the same one not again within `PAUSE_S`."""

    def __init__(self) -> None:
        self._quiet_until: dict[str, float] = {}

    def __call__(self, who: str, error: BaseException | None) -> None:
        """`who` lost a line, or more."""
        now = time.monotonic()
        if now < self._quiet_until.get(who, now):
            return
        self._quiet_until[who] = now + PAUSE_S
        text = one_line(redacted(f"{who}: {type(error).__name__}: {error}"), MOST_CHARS)
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.write(f"The log cannot be written, lines are lost: {text}\n")
            sys.stderr.flush()


def guard() -> None:
    """From now on nothing that is wrong with a logger or handler of this process reaches who writes a line."""
    complain = Complaints()
    loggers = list(_loggers())
    for logger in loggers:
        if logger.filters:
            name = "the root logger" if logger is logging.root else f"the logger {logger.name}"
            handle = functools.partial(type(logger).handle, logger)
            logger.handle = _guarded(handle, name, complain)  # type: ignore[method-assign,assignment] # of this one
    for handler in {handler for logger in loggers for handler in logger.handlers}:
        _guard_handler(handler, complain)


def _loggers() -> Iterator[logging.Logger]:
    yield logging.root
    yield from (one for one in list(logging.root.manager.loggerDict.values()) if isinstance(one, logging.Logger))


def _guard_handler(handler: logging.Handler, complain: Complaints) -> None:
    name = f"the handler {handler.name or type(handler).__name__}"
    handle = functools.partial(type(handler).handle, handler)
    handler.handle = _guarded(handle, name, complain)  # type: ignore[method-assign,assignment] # of this one
    handler.handleError = lambda record: complain(name, sys.exc_info()[1])  # type: ignore[method-assign] # noqa: ARG005


def _guarded(
    handle: Callable[[logging.LogRecord], object], name: str, complain: Complaints
) -> Callable[[logging.LogRecord], bool]:
    def handled(record: logging.LogRecord) -> bool:
        try:
            return bool(handle(record))
        except Exception as error:  # noqa: BLE001 - it is an operator's class
            complain(name, error)
            return False

    return handled
