"""`devpi-server` and `devpi-init`.

Heavy rooms are imported by the worker, not here: the command itself starts fast.
"""

import os
import sys
import time
from collections.abc import Callable
from typing import Any, TypeVar

import click

from stilton import __version__, config
from stilton.config import SETTINGS, Setting
from stilton.domain.errors import SetupError
from stilton.domain.indexes import mirror_url as checked_mirror_url

F = TypeVar("F", bound=Callable[..., Any])

_CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


def _option(setting: Setting) -> Callable[[F], F]:
    shown = f"{setting.help}  [{setting.default if setting.default not in (None, ()) else 'none'}]"
    if setting.kind == "switch":
        return click.option(f"--{setting.name}/--no-{setting.name}", default=None, help=shown)
    metavar = {"int": "N", "seconds": "SECONDS"}.get(setting.kind, "VALUE")
    return click.option(f"--{setting.name}", multiple=setting.kind == "list", default=None, help=shown, metavar=metavar)


def _options(*names: str) -> Callable[[F], F]:
    wanted = [setting for setting in SETTINGS if not names or setting.name in names]

    def decorate(function: F) -> F:
        for setting in reversed(wanted):
            function = _option(setting)(function)
        return function

    return decorate


def _first_data(function: F) -> F:
    for option in (
        click.option("--mirror-url", help="index to mirror as root/pypi, in place of PyPI"),
        click.option("--root-passwd-hash", help="argon2 hash of root's password"),
        click.option("--root-passwd", default="", help="password of user root  [empty]"),
        click.option("--no-root-pypi", is_flag=True, help="do not create the index root/pypi"),
    ):
        function = option(function)
    return function


_configfile = click.option("-c", "--configfile", help="YAML file with the same options, below devpi-server:")
_version = click.version_option(__version__, message="%(version)s")


@click.command(context_settings=_CONTEXT, epilog="Example: devpi-server --serverdir /srv/devpi --host 0.0.0.0")
@_configfile
@click.option("--init", "init_first", is_flag=True, help="create the data first if there is none")
@_first_data
@_options()
@_version
def serve(configfile: str | None, *, init_first: bool, **flags: Any) -> None:  # noqa: ANN401
    """Serve a caching mirror of PyPI (and other indexes)."""
    _run(lambda: _serve(configfile, flags, init_first=init_first))


@click.command(context_settings=_CONTEXT, epilog="Example: devpi-init --serverdir /srv/devpi --root-passwd SECRET")
@_configfile
@_first_data
@click.option("--storage", default="sqlite", help="where metadata is kept: sqlite  [sqlite]")
@_options("serverdir", "role")
@_version
def init(configfile: str | None, storage: str, **flags: Any) -> None:  # noqa: ANN401
    """Create the data of a new server: user root and the mirror root/pypi."""

    def work() -> None:
        if storage.partition(":")[0] != "sqlite":
            raise SetupError(f"--storage is {storage!r}: this version keeps its data in sqlite.")
        settings = config.load(_named(flags), os.environ, configfile)
        _initialise(settings, flags)

    _run(work)


def _serve(configfile: str | None, flags: dict[str, Any], *, init_first: bool) -> None:
    from stilton.cli.server import run  # noqa: PLC0415 - commands that do not serve start without it
    from stilton.serverdir import ServerDir  # noqa: PLC0415

    settings = config.load(_named(flags), os.environ, configfile)
    place = ServerDir(settings.serverdir)
    if init_first and not place.has_data():
        _initialise(settings, flags)
    run(settings)


def _initialise(settings: config.Config, flags: dict[str, Any]) -> None:
    from stilton.accounts import setup  # noqa: PLC0415
    from stilton.db.database import Transaction  # noqa: PLC0415
    from stilton.serverdir import ServerDir  # noqa: PLC0415

    url = flags["mirror_url"]
    if url is not None:
        checked_mirror_url(url, "root/pypi")
    given = flags["root_passwd_hash"]
    pwhash = setup.checked_hash(given) if given else setup.hash_password(flags["root_passwd"])
    keys = None if flags["no_root_pypi"] else setup.pypi_keys(url)

    def fill(tx: Transaction) -> None:
        setup.first_user(tx, pwhash, now=time.time())
        if keys is not None:
            setup.first_index(tx, keys)

    place = ServerDir(settings.serverdir)
    uuid = place.create(fill, now=time.time)
    place.unlock()
    click.echo(f"generated uuid: {uuid}")
    click.echo(f"wrote nodeinfo to: {settings.serverdir / '.nodeinfo'}")
    click.echo("created root user")
    if keys is not None:
        click.echo("created root/pypi index")
    if not flags["root_passwd"] and not flags["root_passwd_hash"]:
        click.echo("warning: user root has an empty password; set one before others can reach this server", err=True)


def _named(flags: dict[str, Any]) -> dict[str, Any]:
    return {setting.name: flags.get(setting.key) for setting in SETTINGS}


def _run(work: Callable[[], None]) -> None:
    """The boundary of every command: one sentence on stderr, never a traceback."""
    try:
        work()
    except SetupError as error:
        click.echo(f"fatal: {error}", err=True)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
