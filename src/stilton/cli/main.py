"""`devpi-server`, `devpi-init`, `devpi-passwd` and `devpi-gen-secret`.

Heavy rooms are imported by the worker, not here: the command itself starts fast.
"""

import functools
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from stilton import config
from stilton.cli import former
from stilton.cli.options import (
    CONTEXT,
    configfile_option,
    first_data_option,
    gathered,
    options,
    run,
    settled,
    tell,
    version,
)
from stilton.domain.errors import SetupError
from stilton.domain.indexes import mirror_url as checked_mirror_url

F = TypeVar("F", bound=Callable[..., Any])

PASSWORD_TRIES = 3


def _first_data(function: F) -> F:
    for option in (
        first_data_option("mirror-url", help="index to mirror as root/pypi, in place of PyPI"),
        first_data_option("root-passwd-hash", help="argon2 hash of root's password"),
        first_data_option("root-passwd", default="", help="password of user root  [empty]"),
        first_data_option("no-root-pypi", is_flag=True, help="do not create the index root/pypi"),
    ):
        function = option(function)
    return function


@click.command(context_settings=CONTEXT, epilog="Example: devpi-server --serverdir /srv/devpi --host 0.0.0.0")
@configfile_option
@click.option("--init", "init_first", is_flag=True, help="create the data first if there is none")
@click.option("--print-config", is_flag=True, help="show each setting's value and where it comes from, and end")
@_first_data
@former.spellings
@options()
@version
def serve(configfile: str | None, *, init_first: bool, print_config: bool, **flags: Any) -> None:  # noqa: ANN401
    """Serve a caching mirror of PyPI (and other indexes), and private indexes."""

    def work() -> None:
        if print_config:
            _print_config(configfile, flags)
            return
        match former.asked(flags):
            case "gen_config":
                from stilton.cli import genconfig  # noqa: PLC0415

                genconfig.generate(settled(configfile, flags), configfile)
            case "passwd_of":
                _change_password(settled(configfile, flags), flags["passwd_of"])
            case _:
                _serve(configfile, flags, init_first=init_first)

    run(work)


@click.command(context_settings=CONTEXT, epilog="Example: devpi-init --serverdir /srv/devpi --root-passwd SECRET")
@configfile_option
@_first_data
@options("serverdir", "role", "storage", "keyfs-cache-size", "primary-url", "master-url")
@version
def init(configfile: str | None, **flags: Any) -> None:  # noqa: ANN401
    """Create the data of a new server: user root and the mirror root/pypi."""

    def work() -> None:
        given = gathered(configfile, flags)
        tell(config.notices(given))
        _initialise(config.checked(config.origins(given)), flags)

    run(work)


@click.command(context_settings=CONTEXT, epilog="Example: devpi-passwd --serverdir /srv/devpi root")
@configfile_option
@options("serverdir", "storage", "keyfs-cache-size")
@click.argument("user", default="root")
@version
def passwd(configfile: str | None, user: str, **flags: Any) -> None:  # noqa: ANN401
    """Set the password of USER (root), while the server is stopped."""
    run(lambda: _change_password(settled(configfile, flags), user))


@click.command(context_settings=CONTEXT, epilog="Example: devpi-gen-secret --secretfile /etc/devpi/secret")
@configfile_option
@click.option("--secretfile", required=True, metavar="PATH", help="where to write the new secret")
@version
def gen_secret(configfile: str | None, secretfile: str) -> None:
    """Write a new secret for devpi-server --secretfile."""

    def work() -> None:
        from stilton.accounts import secret  # noqa: PLC0415

        # Read as the server will read it; what the file says of it counts less.
        path = Path(str(settled(configfile, {"secretfile": secretfile}).secretfile))
        secret.create(path)
        click.echo(f"New secret written to {secretfile!r}")
        click.echo(f"Changed file mode to 0600 of {secretfile!r}")
        secret.read(path)
        click.echo("Permissions of secret file look good.")

    run(work)


def _print_config(configfile: str | None, flags: dict[str, Any]) -> None:
    """A line a setting, as the YAML file has it, with its source."""
    given = gathered(configfile, flags)
    tell(config.notices(given))
    found = config.origins(given)
    config.checked(found)
    width = max(len(origin.setting.name) for origin in found)
    for origin in found:
        click.echo(f"{origin.setting.name:<{width}}  {origin.shown}  ({origin.where})")


def _change_password(settings: config.Config, user: str) -> None:
    from stilton.accounts import passwords, setup  # noqa: PLC0415
    from stilton.db.database import connect, write_now  # noqa: PLC0415
    from stilton.serverdir import ServerDir  # noqa: PLC0415

    place = ServerDir(settings.serverdir)
    place.open()
    engine = connect(place.database)
    try:
        write_now(engine, time.time, setup.check_user, user)
        pwhash = passwords.hashed(_new_password(user))
        write_now(engine, time.time, setup.set_password, user, pwhash, time.time())
    finally:
        engine.dispose()
        place.unlock()
    click.echo(f"password of user {user!r} changed, its logins have ended")


def _new_password(user: str) -> str:
    """Asked for twice; three times. Raises SetupError."""
    for _ in range(PASSWORD_TRIES):
        first = click.prompt(f"enter password for {user}", hide_input=True, default="", show_default=False)
        second = click.prompt(f"repeat password for {user}", hide_input=True, default="", show_default=False)
        if first == second:
            return str(first)
        click.echo("password don't match", err=True)
    raise SetupError("No new password was set.")


def _serve(configfile: str | None, flags: dict[str, Any], *, init_first: bool) -> None:
    from stilton.cli import server  # noqa: PLC0415 - commands that do not serve start without it

    given = gathered(configfile, flags)
    settings = config.checked(config.origins(given))
    first_data = functools.partial(_initialise, settings, flags) if init_first else None
    server.run(settings, config.notices(given), first_data)


def _initialise(settings: config.Config, flags: dict[str, Any]) -> None:
    from stilton.accounts import passwords, setup  # noqa: PLC0415
    from stilton.db.database import Transaction  # noqa: PLC0415
    from stilton.serverdir import ServerDir  # noqa: PLC0415

    url = flags["mirror_url"]
    if url is not None:
        checked_mirror_url(url, "root/pypi")
    given = flags["root_passwd_hash"]
    pwhash = setup.checked_hash(given) if given is not None else passwords.hashed(flags["root_passwd"])
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
    if not flags["root_passwd"] and given is None:
        click.echo("warning: user root has an empty password; set one before others can reach this server", err=True)
