"""What systemd's units say about one server: where it may write, where it listens."""

import sys
from collections.abc import Iterator
from pathlib import Path

from stilton import loggercfg
from stilton.cli import listening, quoting, services
from stilton.config import Config
from stilton.domain.errors import SetupError

STATE, RUNTIME, LOGS = Path("/var/lib"), Path("/run"), Path("/var/log")
"""What is below these systemd makes, and gives to the service's user."""
DEVICES = (Path("/dev"), Path("/proc"))


def service(settings: Config) -> dict[str, str]:
    """Values of the unit that follow from the settings. Raises SetupError."""
    paths = [
        Path(services.absolute(str(value)))
        for name in services.PATHS
        if (value := getattr(settings, name.replace("-", "_")))
    ]
    paths += _log_folders(settings)
    homes = {Path("/home"), Path("/root"), services.home()} - {Path("/")}
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
    """The lines of a socket unit. Raises SetupError."""
    return "\n".join(line for address in listening.addresses(settings) for line in _listens(address))


def log_files(settings: Config) -> list[Path]:
    """The files that --logger-cfg names. Raises SetupError when it cannot be read here."""
    if settings.logger_cfg is None:
        return []
    return loggercfg.files(settings.logger_cfg, settings.where("logger-cfg"))


def _writes(settings: Config) -> str:
    return "\n".join(dict.fromkeys(_writable(settings)))


def _writable(settings: Config) -> Iterator[str]:
    yield _folder(settings.serverdir, "StateDirectory", STATE)
    if _is_made(settings.serverdir, STATE):
        yield f"StateDirectoryMode={'0750' if settings.x_accel_redirect else '0700'}"
    if settings.unix_socket is not None:
        # What is below /run is gone after each boot, and made anew.
        yield _folder(Path(services.absolute(settings.unix_socket)).parent, "RuntimeDirectory", RUNTIME)
    for folder in _log_folders(settings):
        if not folder.is_relative_to(settings.serverdir):
            yield _folder(folder, "LogsDirectory", LOGS)


def _log_folders(settings: Config) -> list[Path]:
    try:
        files = [file for file in log_files(settings) if file.is_absolute()]
    except SetupError:
        # It may be written for another machine.
        return []
    return sorted({file.parent for file in files if not any(file.is_relative_to(folder) for folder in DEVICES)})


def _folder(folder: Path, directive: str, usual: Path) -> str:
    if _is_made(folder, usual):
        return f"{directive}={quoting.systemd_path(str(folder.relative_to(usual)))}"
    return f"ReadWritePaths={quoting.systemd_path(str(folder))}"


def _is_made(folder: Path, usual: Path) -> bool:
    """Whether systemd makes it: there a colon begins another name (systemd.exec(5)), and no escape is known."""
    return folder != usual and folder.is_relative_to(usual) and not set(':"\\') & set(str(folder))


def _listens(address: listening.Address) -> list[str]:
    if address.path is not None:
        return [f"ListenStream={quoting.systemd_socket(str(address.path))}", f"SocketMode={address.permissions:04o}"]
    if address.host in services.ANY_ADDRESS:
        return [f"ListenStream={address.port}"]
    name = quoting.host(address.host)
    try:
        host = listening.resolved(address.host)
    except SetupError:
        # Written for another machine, where the name means something.
        return [f"# {name}: no address here; put it in its place.", f"ListenStream={name}:{address.port}"]
    return [f"ListenStream=[{host}]:{address.port}" if ":" in host else f"ListenStream={host}:{address.port}"]
