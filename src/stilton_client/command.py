"""What every subcommand shares: generic options, the session it works with, and the boundary where errors become words.

Exit codes: 0 done, 1 it did not work, 2 wrong usage, 130 interrupted, 143 terminated.
"""

import contextlib
import functools
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import click

from stilton_client.errors import EXIT_FAILED, EXIT_INTERRUPTED, EXIT_TERMINATED, Failure
from stilton_client.session import Session
from stilton_client.terminal import Terminal, printable

F = TypeVar("F", bound=Callable[..., Any])

SETTINGS = {"help_option_names": ["-h", "--help"], "max_content_width": 100}

SHARED = ("as_json", "verbose", "yes", "debug", "clientdir")
_GENERIC = (
    click.option("--clientdir", metavar="DIR", help="folder of logins and other state  [~/.devpi/client]"),
    click.option("-v", "--verbose", count=True, help="say more; twice: even more"),
    click.option("-y", "--yes", is_flag=True, help="assume yes on confirmation questions"),
    click.option("--debug", is_flag=True, help="show requests, and where an error came from"),
)


class Terminated(KeyboardInterrupt):
    """SIGTERM came: all that an interrupt ends, this ends, too."""


def generic(function: F) -> F:
    """The options that every command takes."""
    for option in _GENERIC:
        function = option(function)
    return function


def command(name: str, *, example: str, json: bool = False) -> Callable[[Callable[..., Any]], click.Command]:
    """A subcommand: its function takes the Session first. `example` ends its help; `json` adds `--json`."""

    def decorate(function: Callable[..., Any]) -> click.Command:
        @functools.wraps(function)
        def run(**given: Any) -> None:  # noqa: ANN401 - click passes options by name
            options = _merged(given, as_json=given.pop("as_json", False))
            with boundary(debug=options["debug"]):
                code = function(session(options), **given)
                if code:
                    sys.exit(code)

        wrapped = generic(run)
        if json:
            wrapped = click.option("--json", "as_json", is_flag=True, help="print JSON")(wrapped)
        epilog = "\b\nExamples:\n" + "\n".join(f"  {line.strip()}" for line in example.splitlines())
        made = click.command(name, context_settings=SETTINGS, epilog=epilog)(wrapped)
        made.params.sort(key=lambda param: param.name in SHARED)  # what is a command's own stands first in its help
        return made

    return decorate


def _merged(given: dict[str, Any], *, as_json: bool) -> dict[str, Any]:
    """Options may stand before the command's name or behind it."""
    before = click.get_current_context().obj or {}
    options = {name: given.pop(name) or before.get(name) for name in ("clientdir", "verbose", "yes", "debug")}
    return {**options, "as_json": as_json}


def session(options: dict[str, Any]) -> Session:
    """What a command works with, from the generic options and the environment."""
    terminal = Terminal(
        os.environ,
        verbose=options["verbose"] or 0,
        debug=bool(options["debug"]),
        yes=bool(options["yes"]),
        as_json=options["as_json"],
    )
    folder = options["clientdir"] or os.environ.get("DEVPI_CLIENTDIR") or "~/.devpi/client"
    return Session(terminal, Path(folder).expanduser(), os.environ, Path.cwd())


@contextlib.contextmanager
def boundary(*, debug: bool) -> Iterator[None]:
    """The one place where errors become words."""
    try:
        with _termination():
            yield
    except (click.ClickException, click.exceptions.Exit, click.Abort, SystemExit):
        raise
    except (Terminated, KeyboardInterrupt) as ended:
        click.echo("terminated" if isinstance(ended, Terminated) else "interrupted", err=True)
        sys.exit(EXIT_TERMINATED if isinstance(ended, Terminated) else EXIT_INTERRUPTED)
    except BrokenPipeError:
        # Whoever read us has enough: `devpi list | head`.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(EXIT_FAILED)
    except Exception as error:  # noqa: BLE001 - the boundary of every command
        failure = _failure(error)
        if debug:
            click.echo(printable("".join(traceback.format_exception(error))), err=True)
            sys.exit(failure.code)
        click.secho(printable(failure.what), err=True, fg="red")
        if failure.advice:
            click.echo(printable(failure.advice), err=True)
        sys.exit(failure.code)


def _failure(error: Exception) -> Failure:
    """What to say about an error."""
    if isinstance(error, Failure):
        return error
    if isinstance(error, OSError):
        return Failure(f"{error.filename or 'the output'} cannot be used: {error.strerror or error}")
    if isinstance(error, RuntimeError) and "home directory" in str(error):  # pathlib has no exception of its own for it
        return Failure("this user has no home folder", "Name one: HOME=/some/folder devpi …")
    return Failure(
        f"internal error: {type(error).__name__}: {error}",
        "This is a fault of devpi's client. Run it again with --debug and report what it prints.",
    )


@contextlib.contextmanager
def _termination() -> Iterator[None]:
    """SIGTERM raises Terminated, so that folders and children are tidied up; not if whoever started us ignores it."""

    def terminate(*_: object) -> NoReturn:
        raise Terminated

    if threading.current_thread() is not threading.main_thread() or signal.getsignal(signal.SIGTERM) is signal.SIG_IGN:
        yield
        return
    before = signal.signal(signal.SIGTERM, terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
