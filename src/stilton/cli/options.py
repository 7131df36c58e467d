"""What the server's commands share: flags made from settings, and the boundary where errors become words."""

import sys
from collections.abc import Callable
from typing import Any, TypeVar

import click

from stilton import __version__
from stilton.config import DEFAULT, Origin
from stilton.domain.errors import SetupError
from stilton.settings import IGNORED, REFUSED, SETTINGS, SWITCHES, Setting

F = TypeVar("F", bound=Callable[..., Any])

CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 100}

configfile_option = click.option("-c", "--configfile", help="YAML file with the same options, below devpi-server:")
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


def named(flags: dict[str, Any]) -> dict[str, Any]:
    """Flags by the name of their setting, as `config.load` wants them."""
    names = [*(setting.name for setting in SETTINGS), *IGNORED, *REFUSED]
    return {name: flags.get(name.replace("-", "_")) for name in names}


def run(work: Callable[[], None]) -> None:
    """The boundary of every command: one sentence on stderr, never a traceback."""
    try:
        work()
    except SetupError as error:
        click.echo(f"fatal: {error}", err=True)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


def _option(setting: Setting) -> Callable[[F], F]:
    shown = f"{setting.help}  [{Origin(setting, setting.default, DEFAULT).shown}]"
    if setting.kind == "switch":
        return click.option(f"--{setting.name}/--no-{setting.name}", default=None, help=shown)
    metavar = {"int": "N", "seconds": "SECONDS", "size": "BYTES", "octal": "BITS"}.get(setting.kind, "VALUE")
    return click.option(f"--{setting.name}", multiple=setting.kind == "list", default=None, help=shown, metavar=metavar)
