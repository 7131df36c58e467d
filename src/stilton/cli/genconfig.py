"""`devpi-gen-config`: files that run this server as a service, with nginx in front.

Their texts are in `stilton/templates`; what stands in them is decided in `cli.services` and `cli.units`, how it is
quoted in `cli.quoting`. Nothing is installed: each file says on top where it goes.
"""

import itertools
import string
import sys
from collections.abc import Callable, Iterator
from importlib import resources
from pathlib import Path
from typing import Any

import click
import msgspec

from stilton import __version__
from stilton.cli import quoting, services, units
from stilton.cli.options import CONTEXT, configfile_option, options, run, settled, version
from stilton.config import Config
from stilton.domain.errors import SetupError

FOLDER = "gen-config"
CACHE = "/var/cache/nginx-devpi"
"""Where nginx keeps its copies, unless told; nginx makes the folder."""
EXAMPLE = "Example: devpi-gen-config -c /etc/devpi/devpi-server.yml --x-accel-redirect"


class Front(msgspec.Struct, frozen=True):
    """What nginx's files say beside the server's settings. `rate`: requests a second from one address; None: any."""

    cache: str = CACHE
    rate: int | None = None


class _Text(string.Template):
    """`@{name}` is replaced, `@@` is an at sign: dollars and percent signs are what these files are made of."""

    delimiter = "@"


@click.command(context_settings=CONTEXT, epilog=EXAMPLE)
@configfile_option
@click.option("--nginx-cache", default=CACHE, metavar="PATH", help=f"folder of nginx-devpi-caching.conf  [{CACHE}]")
@click.option(
    "--nginx-rate",
    type=click.IntRange(1, 100_000),
    metavar="N",
    help="requests a second that nginx takes from one address, ten times as many at once; then they wait, then 429"
    "  [no limit]",
)
@options()
@version
def gen_config(configfile: str | None, nginx_cache: str, nginx_rate: int | None, **flags: Any) -> None:  # noqa: ANN401
    """Write files for nginx, systemd, supervisor, launchd and cron into ./gen-config, for these options."""
    run(lambda: generate(settled(configfile, flags), configfile, Front(nginx_cache, nginx_rate)))


def generate(settings: Config, configfile: str | None = None, front: Front | None = None) -> None:
    """Write all files that can be written into ./gen-config, and say so. Raises SetupError, at last for the others."""
    made = texts(settings, configfile, front)
    for line in write(made, Path(FOLDER)):
        click.echo(line)
    for text in _advice(settings, configfile):
        click.secho(text, fg="red", err=True)
    if made.left_out:
        left = "".join(f"\n  {name}: {why}" for name, why in made.left_out.items())
        raise SetupError(f"Not written, all others are:{left}")


class Made(msgspec.Struct, frozen=True):
    """File name → content; file name → why there is none: that kind of file cannot hold a value."""

    files: dict[str, bytes]
    left_out: dict[str, str]


def write(made: Made, folder: Path) -> list[str]:
    """Write the files into `folder`; a line about each. What was there and differs is kept as NAME.old.

    Of what is left out none of an earlier run stays under its name. Raises SetupError.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        kept = {name: _replace(folder / name, content) for name, content in made.files.items()}
        away = {name: _put_away(folder / name) for name in made.left_out if (folder / name).exists()}
    except OSError as error:
        raise SetupError(f"{error.filename or folder} cannot be written: {error.strerror}.") from error
    wrote = [
        f"wrote {folder / name}" + (f" (what was there is {old} now)" if old else "") for name, old in kept.items()
    ]
    return wrote + [f"{folder / name} of an earlier run is {old} now" for name, old in away.items()]


def texts(settings: Config, configfile: str | None = None, front: Front | None = None) -> Made:
    """What the files say. Raises SetupError for values that no file can hold."""
    files: dict[str, bytes] = {}
    left_out: dict[str, str] = {}
    for name, make in _makers(settings, configfile, front or Front()).items():
        try:
            files[name] = make()
        except SetupError as error:
            left_out[name] = str(error)
    return Made(files, left_out)


def _makers(settings: Config, configfile: str | None, front: Front) -> dict[str, Callable[[], bytes]]:
    command = services.command(settings, configfile)
    quoting.check(*command)
    known = {"version": __version__, "stop_s": services.stop_s(settings), "user": services.owner(settings.serverdir)}

    def filled(name: str, values: Callable[[], dict[str, str]]) -> Callable[[], bytes]:
        return lambda: _filled(name, {**known, **values()})

    def nginx() -> dict[str, str]:
        return services.for_nginx(settings, front.rate)

    kinds: dict[str, Callable[[], dict[str, str]]] = {
        "crontab": lambda: {"command": quoting.cron(command)},
        "launchd-macos.txt": lambda: {"log": str(services.macos_log())},
        "nginx-devpi.conf": lambda: {**nginx(), "blobs": quoting.nginx(str(settings.serverdir / "blobs"))},
        "nginx-devpi-caching.conf": lambda: {**nginx(), "cache": quoting.nginx(services.absolute(front.cache))},
        "supervisor-devpi.conf": lambda: {"command": quoting.supervisor(command)},
        "supervisord.conf": dict,
        "devpi.service": lambda: {**units.service(settings), "command": quoting.systemd(command)},
        "devpi.socket": lambda: {"sockets": units.sockets(settings)},
        "windows-service.txt": lambda: {"command": quoting.shell(command)},
    }
    made = {name: filled(name, values) for name, values in kinds.items()}
    return {**made, "net.devpi.plist": lambda: services.plist(settings, command)}


def _advice(settings: Config, configfile: str | None) -> Iterator[str]:
    if configfile is None:
        yield "The options stand in each of these files. With -c FILE they stand there, once."
    if settings.serverdir.is_dir() and services.owner(settings.serverdir) == "root":
        yield (
            f"{settings.serverdir} is root's, and so the service runs as root. Better: a user of its own, "
            f"chown -R devpi: {quoting.shell([str(settings.serverdir)])}, and devpi-gen-config again."
        )
    yield from _advice_on_users(settings)
    yield from _advice_on_logs(settings)


def _advice_on_users(settings: Config) -> Iterator[str]:
    if settings.unix_socket is not None and settings.unix_socket_perms & 0o006 != 0o006:
        yield (
            f"A socket with permissions {settings.unix_socket_perms:o} is not for nginx, unless nginx runs as the same "
            "user or group: --unix-socket-perms 666."
        )
    user = services.owner(settings.serverdir)
    for path in (Path(services.command(settings, None)[0]), Path(sys.executable).resolve(), settings.serverdir):
        if closed := services.closed(path, user):
            yield (
                f"The service runs as {user}, who cannot enter {closed}, and needs {path}: move that to where the user "
                "can go, such as /opt or /var/lib."
            )
            return


def _advice_on_logs(settings: Config) -> Iterator[str]:
    try:
        files = units.log_files(settings)
    except SetupError as error:
        yield f"{error} If it names files, devpi.service needs a line ReadWritePaths=FOLDER."
        return
    for file in files:
        if not file.is_absolute():
            yield f"--logger-cfg has the file {file}: a service starts in /. Write its whole path there."


def _filled(name: str, values: dict[str, str]) -> bytes:
    template = resources.files("stilton").joinpath("templates", name).read_text(encoding="utf-8")
    return _Text(template).substitute(values).encode()


def _replace(path: Path, content: bytes) -> str:
    """Put `content` there; the name that another content of that file has now, if there was one."""
    before = path.read_bytes() if path.exists() else content
    fresh = path.with_name(f".{path.name}.new")
    fresh.write_bytes(content)
    old = _put_away(path) if before != content else ""
    fresh.replace(path)
    return old


def _put_away(path: Path) -> str:
    """Rename it to NAME.old, or NAME.old2 when there is one already: that may be somebody's work."""
    names = (path.with_name(f"{path.name}.old{number if number > 1 else ''}") for number in itertools.count(1))
    content = path.read_bytes()
    old = next(name for name in names if not name.exists() or name.read_bytes() == content)
    path.replace(old)
    return old.name
