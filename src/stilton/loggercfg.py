"""The operator's file for `logging.config.dictConfig`: `--logger-cfg`. What else is done to lines: `logs`."""

import contextlib
import json
import logging.config
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from stilton.domain.errors import SetupError

MOST_CHARACTERS = 1 << 18


def configure(path: str, where: str) -> None:
    """Loggers and handlers as the file says; `where` its path was given. Raises SetupError."""
    with _worded(path, where):
        # Loggers of modules that are loaded already are ours: without this they would fall silent.
        logging.config.dictConfig({"disable_existing_loggers": False, **_read(path)})


def files(path: str, where: str) -> list[Path]:
    """The files that it writes to, as they stand there. Raises SetupError."""
    with _worded(path, where):
        handlers = _read(path).get("handlers")
    named = handlers.values() if isinstance(handlers, dict) else ()
    return [Path(one["filename"]) for one in named if isinstance(one, dict) and isinstance(one.get("filename"), str)]


@contextlib.contextmanager
def _worded(path: str, where: str) -> Iterator[None]:
    """What is wrong with such a file, as SetupError."""
    try:
        yield
    except OSError as error:
        raise SetupError(f"{where} is {path}, which cannot be read: {error.strerror}.") from error
    except (ValueError, TypeError, AttributeError, LookupError, ImportError, RecursionError, yaml.YAMLError) as error:
        cause = error.__cause__
        if isinstance(cause, OSError) and cause.filename:
            # Nothing is wrong with the file: it is a place that this user may not write, or that is not there.
            raise SetupError(f"{where} is {path}: {error}: {cause.filename}: {cause.strerror}.") from error
        why = " ".join(f"{error} ({cause})".split()) if cause else " ".join(str(error).split())
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
