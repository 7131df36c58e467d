"""`devpi`: finds the command that is asked for and imports only that."""

import contextlib
import difflib
import importlib
from collections.abc import Sequence
from typing import Any

import click

from stilton_client import __version__, urls
from stilton_client.command import SETTINGS, boundary, generic, session
from stilton_client.errors import Failure
from stilton_client.session import Session

# The version of this command is what was asked for; a server that hangs must not keep it.
VERSION_WITHIN_S = 2.0

# name -> (room in stilton_client.commands, what it does); the order is the help's.
COMMANDS = {
    "use": ("use", "show or choose the index, and configure pip, uv and others for it"),
    "login": ("login", "log in; the login lasts ten hours"),
    "logoff": ("login", "forget the login"),
    "logout": ("login", "the same as logoff"),
    "user": ("user", "create, change, list and delete users"),
    "passwd": ("user", "change a password"),
    "index": ("index", "create, change, list and delete indexes"),
    "upload": ("upload", "build and upload a project, or upload files"),
    "list": ("list", "list projects, or the files of a project"),
    "test": ("test", "download a release, run its tests with tox, post the result"),
    "push": ("push", "push a release to another index, or to PyPI"),
    "remove": ("remove", "remove a project, a release or a file"),
    "install": ("install", "install packages from the index with pip"),
    "refresh": ("refresh", "have mirrors ask upstream again about projects"),
    "prime": ("prime", "fill the server's cache for work without a network"),
    "cached": ("cached", "list what mirrors keep, and since when nobody used it"),
    "status": ("status", "show the server's health, and what you may do"),
    "explain": ("explain", "show which index serves a project, and why"),
    "doctor": ("doctor", "check that pip and uv get what they need from the index"),
    "getjson": ("json", "show the JSON of a URL"),
    "patchjson": ("json", "send JSON as a PATCH"),
    "completion": ("completion", "print shell completion"),
}


class Lazy(click.Group):
    """A group that imports a command when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names, in the help's order."""
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name."""
        del ctx
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"stilton_client.commands.{COMMANDS[cmd_name][0]}")
        command: click.Command = getattr(module, f"{cmd_name}_")
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that is typed, or say which one may be meant."""
        if args[0] not in COMMANDS:
            close = difflib.get_close_matches(args[0], COMMANDS, n=1)
            hint = f" Did you mean {close[0]!r}?" if close else ""
            raise click.UsageError(f"No such command {args[0]!r}.{hint}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The table above, so that help imports nothing."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


@click.group(cls=Lazy, invoke_without_command=True, context_settings=SETTINGS)
@click.option("--version", is_flag=True, help="show the versions of this command and of the server in use")
@generic
@click.pass_context
def devpi(ctx: click.Context, /, *, version: bool, **options: Any) -> None:  # noqa: ANN401
    """Drive an index server: choose an index, log in, upload, test, push, install, work offline."""
    ctx.obj = options
    if version:
        with boundary(debug=options["debug"]):
            _show_version(session({**options, "as_json": False}))
    elif ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


def _show_version(running: Session) -> None:
    running.terminal.line(f"devpi-client {__version__} (stilton)")
    root = running.state.root
    if root is None:
        return
    with contextlib.suppress(Failure):
        reply = running.http.api("GET", urls.child(root, "+status"), timeout_s=VERSION_WITHIN_S)
        if reply.ok and isinstance(reply.result, dict):
            running.terminal.line()
            running.terminal.info(f"current devpi server: {root}")
            for name, found in sorted((reply.result.get("versioninfo") or {}).items()):
                running.terminal.line(f"    {name} {found}")


def main(arguments: Sequence[str] | None = None) -> None:
    """The command's entry point."""
    devpi(list(arguments) if arguments is not None else None, prog_name="devpi")
