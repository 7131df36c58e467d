"""Spellings of `devpi-server` before devpi-server 6 that people's scripts still carry. They end with Stilton 8.

What has a successor does what that does, with a notice; the rest says what to do in its place.
"""

from collections.abc import Callable
from typing import Any, TypeVar

import click

from stilton.cli import quoting
from stilton.domain.errors import SetupError

F = TypeVar("F", bound=Callable[..., Any])

SUCCESSORS = {"gen_config": "devpi-gen-config", "passwd_of": "devpi-passwd"}
_GONE = {
    "start": "run it as a service: devpi-gen-config writes what systemd, supervisor and launchd want",
    "stop": "stop the service, or send SIGTERM to the process",
    "status": "ask the service manager, or the server: /+status",
    "log": "the server writes its log to standard output",
    "recreate-search-index": "there is no search index",
    "bypass-cdn": "mirrors revalidate their pages by themselves",
}


def spellings(function: F) -> F:
    """The hidden flags, to stand on `devpi-server`."""
    for option in (
        click.option("--gen-config", is_flag=True, hidden=True),
        click.option("--passwd", "passwd_of", hidden=True),
        click.option("--import", "import_from", hidden=True),
        click.option("--export", "export_to", hidden=True),
        *(click.option(f"--{name}", _key(name), is_flag=True, hidden=True) for name in _GONE),
    ):
        function = option(function)
    return function


def asked(flags: dict[str, Any]) -> str | None:
    """The key of the successor that is asked for, told to the person. Raises SetupError for what has none."""
    for name, instead in _GONE.items():
        if flags.pop(_key(name), None):
            raise SetupError(f"devpi-server --{name} is gone: {instead}.")
    for name, instead in (("import_from", "devpi-import"), ("export_to", "devpi-export")):
        if folder := flags.pop(name, None):
            raise SetupError(f"devpi-server --{name.partition('_')[0]} is gone: {instead} {quoting.shell([folder])}")
    for name, successor in SUCCESSORS.items():
        if flags.get(name):
            flag = "passwd" if name == "passwd_of" else name.replace("_", "-")
            click.echo(f"notice: devpi-server --{flag} is {successor} now", err=True)
            return name
    return None


def _key(name: str) -> str:
    """As click passes it; `--status` and others must not be taken for anything else."""
    return f"former_{name.replace('-', '_')}"
