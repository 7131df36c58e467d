"""What configuration files say about one server: its command line, addresses, folders and user."""

import getpass
import ipaddress
import plistlib
import pwd
import re
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from stilton import config
from stilton.cli import listening, quoting
from stilton.config import Config
from stilton.domain.errors import SetupError
from stilton.settings import SETTINGS, Setting

PATHS = frozenset({"serverdir", "unix-socket", "tls-cert", "tls-key", "secretfile", "logger-cfg"})
"""Settings whose value is a path: in a file it must not depend on where a command was typed."""
FORM_BYTES = 1 << 20
"""What an upload has beside the file, at most."""
MARGIN_S = 10
"""After --stop-timeout, until a supervisor loses its patience."""
STATE = Path("/var/lib")
RUNTIME = Path("/run")
ANY_ADDRESS = ("*", "0.0.0.0", "::", "[::]")  # noqa: S104 - compared, not bound


def command(settings: Config, configfile: str | None) -> list[str]:
    """The command line that serves with these settings; those of the configuration file stay in it."""
    program = Path(sys.executable).with_name("devpi-server")
    if not program.exists():
        program = Path(shutil.which("devpi-server") or program)
    words = [str(program)]
    if configfile is not None:
        words += ["-c", _absolute(configfile)]
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
        user = getpass.getuser()
        return "devpi" if user == "root" else user
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def stop_s(settings: Config) -> str:
    """Seconds to wait for the server's end."""
    return f"{int(settings.stop_timeout) + MARGIN_S}"


def for_nginx(settings: Config, cache: str) -> dict[str, str]:
    """Values of both templates for nginx. Raises SetupError."""
    outside = urlsplit(settings.outside_url or "")
    mount = outside.path.rstrip("/")
    port = outside.port if outside.scheme == "http" and outside.port else 80
    local = _is_loopback(outside.hostname)
    return {
        "server": _upstream(settings),
        "asking_port": str(_asking_port(settings, port)),
        "scheme": "https" if settings.tls_cert is not None else "http",
        "listen": f"{outside.hostname}:{port}" if local else str(port),
        "name": quoting.nginx(outside.hostname) if outside.hostname else "localhost $hostname",
        "mount": quoting.nginx(mount),
        "mount_pattern": re.escape(mount),
        "outside": quoting.nginx(settings.outside_url) if settings.outside_url else "$scheme://$http_host",
        "max_body": str(settings.max_request_body_size + FORM_BYTES),
        "blobs": quoting.nginx(str(settings.serverdir / "blobs")),
        "cache": quoting.nginx(_absolute(cache)),
    }


def for_systemd(settings: Config) -> dict[str, str]:
    """Values of the unit that follow from the settings."""
    paths = [Path(_absolute(str(value))) for name in PATHS if (value := getattr(settings, name.replace("-", "_")))]
    homes = [Path("/home"), Path("/root"), Path.home()]
    at_home = any(path.is_relative_to(home) for path in (*paths, Path(sys.executable)) for home in homes)
    low = any(0 < address.port < 1024 for address in listening.addresses(settings))
    return {
        "mounts": quoting.systemd_path(str(settings.serverdir)),
        "writes": _writes(settings),
        # nginx reads blobs as a member of the user's group.
        "umask": "0027" if settings.x_accel_redirect else "0077",
        "home": "read-only" if at_home else "yes",
        "capabilities": "CAP_NET_BIND_SERVICE" if low else "",
    }


def sockets(settings: Config) -> str:
    """The lines of a socket unit."""
    return "\n".join(line for address in listening.addresses(settings) for line in _listens(address))


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
    return Path.home() / "Library" / "Logs" / "devpi-server.log"


def _writes(settings: Config) -> str:
    lines = []
    if settings.serverdir != STATE and settings.serverdir.is_relative_to(STATE):
        lines = [f"StateDirectory={quoting.systemd_path(str(settings.serverdir.relative_to(STATE)))}"]
        lines.append(f"StateDirectoryMode={'0750' if settings.x_accel_redirect else '0700'}")
    else:
        lines.append(f"ReadWritePaths={quoting.systemd_path(str(settings.serverdir))}")
    if settings.unix_socket is not None:
        lines.append(_socket_folder(Path(_absolute(settings.unix_socket)).parent))
    return "\n".join(lines)


def _socket_folder(folder: Path) -> str:
    """What is below /run is gone after each boot, and made anew by systemd."""
    if folder != RUNTIME and folder.is_relative_to(RUNTIME):
        return f"RuntimeDirectory={quoting.systemd_path(str(folder.relative_to(RUNTIME)))}"
    return f"ReadWritePaths={quoting.systemd_path(str(folder))}"


def _listens(address: listening.Address) -> list[str]:
    if address.path is not None:
        return [f"ListenStream={str(address.path).replace('%', '%%')}", f"SocketMode={address.permissions:04o}"]
    if address.host in ANY_ADDRESS:
        return [f"ListenStream={address.port}"]
    try:
        host = listening.resolved(address.host)
    except SetupError:
        # Written for another machine, where the name means something.
        note = f"# {address.host}: no address here; put it in its place."
        return [note, f"ListenStream={address.host}:{address.port}"]
    return [f"ListenStream=[{host}]:{address.port}" if ":" in host else f"ListenStream={host}:{address.port}"]


def _address(settings: Config) -> listening.Address:
    return listening.addresses(settings)[0]


def _upstream(settings: Config) -> str:
    """Where nginx finds the server: the socket if there is one, it costs least."""
    if settings.unix_socket is not None:
        return f'"unix:{quoting.nginx(_absolute(settings.unix_socket))}"'
    address = _address(settings)
    host = "127.0.0.1" if address.host in (*ANY_ADDRESS, "localhost") else quoting.nginx(address.host)
    return f"[{host}]:{address.port}" if ":" in host else f"{host}:{address.port}"


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
    return _absolute(str(value)) if setting.name in PATHS else str(value)


def _absolute(path: str) -> str:
    return str(Path(path).expanduser().absolute())
