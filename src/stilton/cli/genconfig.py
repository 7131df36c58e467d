"""`devpi-gen-config`: files that run this server as a service, with nginx in front.

Their texts are in `stilton/templates`; what stands in them for nginx and systemd is decided in `cli.services`,
how it is quoted in `cli.quoting`. Nothing is installed: each file says on top where it goes.
"""

import string
from importlib import resources
from pathlib import Path
from typing import Any

import click

from stilton import __version__
from stilton.cli import quoting, services
from stilton.cli.options import CONTEXT, configfile_option, options, run, settled, version
from stilton.config import Config
from stilton.domain.errors import SetupError

FOLDER = "gen-config"
CACHE = "/var/cache/nginx-devpi"
"""Where nginx keeps its copies, unless told; nginx makes the folder."""
EXAMPLE = "Example: devpi-gen-config -c /etc/devpi/devpi-server.yml --x-accel-redirect"


class _Text(string.Template):
    """`@{name}` is replaced, `@@` is an at sign: dollars and percent signs are what these files are made of."""

    delimiter = "@"


@click.command(context_settings=CONTEXT, epilog=EXAMPLE)
@configfile_option
@click.option("--nginx-cache", default=CACHE, metavar="PATH", help=f"folder of nginx-devpi-caching.conf  [{CACHE}]")
@options()
@version
def gen_config(configfile: str | None, nginx_cache: str, **flags: Any) -> None:  # noqa: ANN401
    """Write files for nginx, systemd, supervisor, launchd and cron into ./gen-config, for these options."""

    def work() -> None:
        settings = settled(configfile, flags)
        write(settings, Path(FOLDER), configfile, nginx_cache=nginx_cache)
        if configfile is None:
            click.secho(
                "The options stand in each of these files. With -c FILE they stand there, once.", fg="red", err=True
            )
        if settings.serverdir.is_dir() and services.owner(settings.serverdir) == "root":
            click.secho(
                f"{settings.serverdir} is root's, and so the service runs as root. Better: a user of its own, "
                f"chown -R devpi: {settings.serverdir}, and devpi-gen-config again.",
                fg="red", err=True,
            )  # fmt: skip

    run(work)


def write(settings: Config, folder: Path, configfile: str | None = None, *, nginx_cache: str = CACHE) -> None:
    """Write all files into `folder` and say so. What was there and differs is kept as NAME.old. Raises SetupError."""
    made = texts(settings, configfile, nginx_cache=nginx_cache)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in made.items():
            old = _replace(folder / name, content)
            click.echo(f"wrote {folder / name}" + (f" (what was there is {old} now)" if old else ""))
    except OSError as error:
        raise SetupError(f"The folder {folder} cannot be written: {error.strerror}.") from error


def texts(settings: Config, configfile: str | None = None, *, nginx_cache: str = CACHE) -> dict[str, bytes]:
    """File name → content. Raises SetupError for values that a kind of file cannot hold."""
    command = services.command(settings, configfile)
    quoting.check(command)
    nginx = services.for_nginx(settings, nginx_cache)
    known = {"version": __version__, "stop_s": services.stop_s(settings), "user": services.owner(settings.serverdir)}
    systemd = {**known, **services.for_systemd(settings), "command": quoting.systemd(command)}
    return {
        "crontab": _filled("crontab", {**known, "command": quoting.cron(command)}),
        "net.devpi.plist": services.plist(settings, command),
        "launchd-macos.txt": _filled("launchd-macos.txt", {**known, "log": str(services.macos_log())}),
        "nginx-devpi.conf": _filled("nginx-devpi.conf", {**known, **nginx}),
        "nginx-devpi-caching.conf": _filled("nginx-devpi-caching.conf", {**known, **nginx}),
        "supervisor-devpi.conf": _filled("supervisor-devpi.conf", {**known, "command": quoting.supervisor(command)}),
        "supervisord.conf": _filled("supervisord.conf", known),
        "devpi.service": _filled("devpi.service", systemd),
        "devpi.socket": _filled("devpi.socket", {**known, "sockets": services.sockets(settings)}),
        "windows-service.txt": _filled("windows-service.txt", {**known, "command": quoting.shell(command)}),
    }


def _filled(name: str, values: dict[str, str]) -> bytes:
    template = resources.files("stilton").joinpath("templates", name).read_text(encoding="utf-8")
    return _Text(template).substitute(values).encode()


def _replace(path: Path, content: bytes) -> str:
    """Put `content` there; the name that another content of that file has now, if there was one."""
    before = path.read_bytes() if path.exists() else content
    fresh = path.with_name(f".{path.name}.new")
    fresh.write_bytes(content)
    old = path.with_name(f"{path.name}.old")
    if before != content:
        path.replace(old)
    fresh.replace(path)
    return old.name if before != content else ""
