"""What configuration files say about one server: its command line, its user, its addresses. Of systemd: `cli.units`."""

import ipaddress
import os
import plistlib
import pwd
import re
import shutil
import stat
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from stilton import config
from stilton.cli import listening, quoting
from stilton.config import Config
from stilton.settings import SETTINGS, Setting

PATHS = frozenset({"serverdir", "unix-socket", "tls-cert", "tls-key", "secretfile", "logger-cfg"})
"""Settings whose value is a path: in a file it must not depend on where a command was typed."""
FORM_BYTES = 1 << 20
"""What an upload has beside the file, at most."""
BURST_S = 10
"""Installers ask for hundreds of pages at once, and then for a while for none."""
WAIT_S = 10
"""Less than pip's patience with a server (15 s). uv gives up on its fourth refusal, but it waits."""
_RATE_ZONE = "limit_req_zone $binary_remote_addr zone=devpi_clients:10m rate={rate}r/s;\n\n"
_RATE = """

    # {at_once} are answered at once, then {rate} a second: others wait, at most {wait_s} seconds.
    limit_req zone=devpi_clients burst={burst} delay={at_once};
    limit_req_status 429;
    # pip comes back after that, uv three times.
    error_page 429 @devpi_slower;
    location @devpi_slower {{
        add_header Retry-After 1 always;
        return 429 "Too many requests from your address, see --nginx-rate of devpi-gen-config.\\n";
    }}"""
MARGIN_S = 10
"""After --stop-timeout, until a supervisor loses its patience."""
ANY_ADDRESS = ("*", "0.0.0.0", "::", "[::]")  # noqa: S104 - compared, not bound


def command(settings: Config, configfile: str | None) -> list[str]:
    """The command line that serves with these settings; those of the configuration file stay in it."""
    program = Path(sys.executable).with_name("devpi-server")
    if not program.exists():
        program = Path(shutil.which("devpi-server") or program)
    words = [str(program)]
    if configfile is not None:
        words += ["-c", absolute(configfile)]
    bare = config.load({}, {}, configfile) if configfile is not None else None
    for setting in SETTINGS:
        value = getattr(settings, setting.key)
        usual = setting.default if bare is None else getattr(bare, setting.key)
        # The folder's default depends on who runs the command.
        if value != usual or setting.name == "serverdir":
            words += _flags(setting, value)
    return words


def owner(serverdir: Path) -> str:
    """Who is to run the server: the folder's owner, or who asks; root makes a user for it."""
    try:
        uid = serverdir.stat().st_uid
    except OSError:
        uid = os.geteuid()
        if uid == 0:
            return "devpi"
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def closed(path: Path, user: str) -> Path | None:
    """The folder above `path` that is root's alone, and so closed to `user`, if there is one."""
    above = path.absolute().parents if user != "root" else ()
    return next((folder for folder in reversed(above) if _is_roots_alone(folder)), None)


def _is_roots_alone(folder: Path) -> bool:
    try:
        found = folder.stat()
    except OSError:
        return False
    return found.st_uid == 0 and not found.st_mode & (stat.S_IXGRP | stat.S_IXOTH)


def stop_s(settings: Config) -> str:
    """Seconds to wait for the server's end."""
    return f"{int(settings.stop_timeout) + MARGIN_S}"


def for_nginx(settings: Config, rate: int | None) -> dict[str, str]:
    """Values of both templates for nginx. `rate`: requests a second from one address. Raises SetupError."""
    outside = urlsplit(settings.outside_url or "")
    mount = unquote(outside.path.rstrip("/"))
    port = outside.port if outside.scheme == "http" and outside.port else 80
    local = _is_loopback(outside.hostname)
    return {
        "server": _upstream(settings),
        "asking_port": str(_asking_port(settings, port)),
        "scheme": "https" if settings.tls_cert is not None else "http",
        "listen": f"{outside.hostname}:{port}" if local else str(port),
        "name": quoting.host(outside.hostname) if outside.hostname else "localhost $hostname",
        "mount": quoting.nginx(mount),
        "mount_pattern": quoting.nginx(re.escape(mount)),
        "outside": quoting.nginx(settings.outside_url) if settings.outside_url else "$scheme://$http_host",
        "rate_zone": _RATE_ZONE.format(rate=rate) if rate else "",
        "rate": _limit(rate) if rate else "",
        "max_body": str(settings.max_request_body_size + FORM_BYTES),
    }


def _limit(rate: int) -> str:
    return _RATE.format(rate=rate, at_once=rate * BURST_S, burst=rate * (BURST_S + WAIT_S), wait_s=WAIT_S)


def plist(settings: Config, words: Sequence[str]) -> bytes:
    """launchd's file (launchd.plist(5))."""
    log = str(macos_log())
    return plistlib.dumps(
        {
            "Label": "net.devpi",
            "ProgramArguments": list(words),
            "RunAtLoad": True,
            "KeepAlive": {"SuccessfulExit": False},
            "ExitTimeOut": int(stop_s(settings)),
            "ProcessType": "Interactive",
            "SoftResourceLimits": {"NumberOfFiles": 65536},
            "StandardOutPath": log,
            "StandardErrorPath": log,
        }
    )


def macos_log() -> Path:
    """Where launchd writes what the server says."""
    return home() / "Library" / "Logs" / "devpi-server.log"


def home() -> Path:
    """The home folder of who asks; `/` when there is none, as for a container's user."""
    try:
        return Path.home()
    except RuntimeError:
        return Path("/")


def _address(settings: Config) -> listening.Address:
    return listening.addresses(settings)[0]


def absolute(path: str) -> str:
    """A path that means the same wherever a command is typed."""
    return str(Path(path).expanduser().absolute())


def _upstream(settings: Config) -> str:
    """Where nginx finds the server: the socket if there is one, it costs least."""
    if settings.unix_socket is not None:
        return f'"unix:{quoting.nginx(absolute(settings.unix_socket))}"'
    address = _address(settings)
    host = "127.0.0.1" if address.host in (*ANY_ADDRESS, "localhost") else quoting.host(address.host)
    return f"{host}:{address.port}"


def _asking_port(settings: Config, port: int) -> int:
    """For nginx' second server: beside ours, and not the one that clients use."""
    ours = _address(settings).port or settings.port
    return next(free for free in (ours + 1, ours + 2, ours - 1) if free != port and free <= 65535)


def _is_loopback(host: str | None) -> bool:
    try:
        return ipaddress.IPv4Address(host or "").is_loopback
    except ValueError:
        return False


def _flags(setting: Setting, value: Any) -> list[str]:  # noqa: ANN401 - as the kind of the setting says
    if setting.kind == "switch":
        return [f"--{setting.name}" if value else f"--no-{setting.name}"]
    if setting.kind == "list":
        return [word for one in value for word in (f"--{setting.name}", one)]
    if value is None:
        return []
    return [f"--{setting.name}", _word(setting, value)]


def _word(setting: Setting, value: Any) -> str:  # noqa: ANN401
    if setting.kind == "octal":
        return f"{value:o}"
    if setting.kind == "seconds":
        return f"{value:g}"
    return absolute(str(value)) if setting.name in PATHS else str(value)
