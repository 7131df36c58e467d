"""What the server's commands share: flags made from settings, and the boundary where errors become words."""

import os
import signal
import sys
from collections.abc import Callable, Iterable
from typing import Any, NoReturn, TypeVar

import click

from stilton import __version__, config
from stilton.config import DEFAULT, Config, Given, Origin
from stilton.domain.errors import StiltonError
from stilton.settings import CONFIGFILE, IGNORED, REFUSED, SETTINGS, SWITCHES, Setting, variable

F = TypeVar("F", bound=Callable[..., Any])

CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 100}

configfile_option = click.option(
    "-c", f"--{CONFIGFILE}", metavar="FILE", envvar=variable(CONFIGFILE),
    help="YAML file with the same options, below devpi-server:",
)  # fmt: skip
version = click.version_option(__version__, message="%(version)s")


def options(*names: str) -> Callable[[F], F]:
    """The flags of these settings, of all without names; their values go to `named`."""
    wanted = [setting for setting in SETTINGS if not names or setting.name in names]

    def decorate(function: F) -> F:
        for name in (*IGNORED, *REFUSED):
            if names and name not in names:
                continue
            function = click.option(f"--{name}", is_flag=name in SWITCHES, default=None, hidden=True)(function)
        for setting in reversed(wanted):
            function = _option(setting)(function)
        return function

    return decorate


def first_data_option(name: str, **more: Any) -> Callable[[F], F]:  # noqa: ANN401 - click's
    """One of `FIRST_DATA`; in a variable a password is not in the list of processes."""
    return click.option(f"--{name}", envvar=variable(name), **more)


def gathered(configfile: str | None, flags: dict[str, Any]) -> Given:
    """All that somebody said; what is odd about it is told. Raises SetupError."""
    given = config.gathered(named(flags), os.environ, configfile)
    tell(config.oddities(given, configfile))
    return given


def settled(configfile: str | None, flags: dict[str, Any]) -> Config:
    """The settings of a command that does not serve; what is odd about them is told. Raises SetupError."""
    return config.checked(config.origins(gathered(configfile, flags)))


def tell(notices: Iterable[str]) -> None:
    """On stderr: stdout may be read by a program."""
    for notice in notices:
        click.echo(f"notice: {notice}", err=True)


def named(flags: dict[str, Any]) -> dict[str, Any]:
    """Flags by the name of their setting, as `config.load` wants them."""
    names = [*(setting.name for setting in SETTINGS), *IGNORED, *REFUSED]
    return {name: flags.get(name.replace("-", "_")) for name in names}


def run(work: Callable[[], None]) -> None:
    """The boundary of every command: one sentence on stderr, never a traceback."""
    try:
        work()
    except (StiltonError, BrokenPipeError) as error:
        if isinstance(error.__cause__ or error, BrokenPipeError):
            _leave_quietly()
        click.echo(f"fatal: {error}", err=True)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


def _leave_quietly() -> NoReturn:
    """Whoever read stdout has read enough, as `head` has: end as others do then, and say nothing."""
    # What is still buffered would be tried once more at the exit.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(128 + signal.SIGPIPE)


def _option(setting: Setting) -> Callable[[F], F]:
    shown = f"{setting.help}  [{Origin(setting, setting.default, DEFAULT).shown}]"
    if setting.kind == "switch":
        return click.option(f"--{setting.name}/--no-{setting.name}", default=None, help=shown)
    metavar = {"int": "N", "seconds": "SECONDS", "size": "SIZE", "room": "SIZE", "octal": "BITS"}.get(
        setting.kind, "VALUE"
    )
    return click.option(f"--{setting.name}", multiple=setting.kind == "list", default=None, help=shown, metavar=metavar)
