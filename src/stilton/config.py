"""Every setting, once: its default, unit and reason; where its value comes from.

Command line > `DEVPISERVER_*` > YAML file > default (protocol reference 1.1).
"""

import ipaddress
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import yaml
from platformdirs import site_config_dir, user_config_dir

from stilton.domain.errors import SetupError
from stilton.domain.indexes import DEFAULT_CACHE_EXPIRY_S, boolean

SECTION = "devpi-server"


class Setting(msgspec.Struct, frozen=True, kw_only=True):
    """One setting. `name` as in the YAML file; the flag is `--name`, the variable `DEVPISERVER_NAME`."""

    name: str
    default: Any
    kind: str  # text, int, seconds, switch, list
    help: str

    @property
    def variable(self) -> str:
        """The environment variable."""
        return "DEVPISERVER_" + self.name.upper().replace("-", "_")

    @property
    def key(self) -> str:
        """The attribute of `Config`."""
        return self.name.replace("-", "_")


SERVERDIR = Setting(
    name="serverdir", default="~/.devpi/server", kind="text", help="folder that holds all data of the server"
)
SETTINGS: tuple[Setting, ...] = (
    SERVERDIR,
    Setting(name="host", default="localhost", kind="text", help="address or name to listen on"),
    Setting(name="port", default=3141, kind="int", help="port to listen on"),
    Setting(name="workers", default=1, kind="int", help="worker processes; one is enough for most"),
    Setting(name="outside-url", default=None, kind="text", help="URL under which clients reach this server"),
    Setting(
        name="trusted-proxy", default=(), kind="list",
        help="address or network of a proxy whose X-Outside-Url is believed; this machine always is",
    ),
    Setting(
        name="secretfile", default=None, kind="text",
        help="file with the secret that signs logins; without it they end with the process",
    ),
    Setting(
        name="restrict-modify", default=(), kind="list",
        help="users and :groups who alone may create and change users and indexes",
    ),
    Setting(
        name="max-request-body-size", default=1 << 30, kind="int", help="bytes of the largest upload that is taken"
    ),
    Setting(
        name="internal-networks", default=(), kind="list",
        help="networks, beside public addresses, where everybody's mirrors and pushes may go; root's may go anywhere",
    ),
    Setting(name="offline-mode", default=False, kind="switch", help="never ask an upstream; serve what is held here"),
    Setting(
        name="offline-fallback", default=True, kind="switch",
        help="while an upstream does not answer, list only files that are held here",
    ),
    Setting(
        name="mirror-cache-expiry", default=DEFAULT_CACHE_EXPIRY_S, kind="seconds",
        help="seconds after which a mirrored page is checked again",
    ),
    Setting(
        name="request-timeout", default=5, kind="seconds",
        help="seconds to wait for an upstream before a kept page is served instead",
    ),
    Setting(name="read-ahead", default=True, kind="switch", help="fetch what an installer will ask for next"),
    Setting(name="access-log", default=True, kind="switch", help="log each request"),
    Setting(name="debug", default=False, kind="switch", help="log what the server decides"),
    Setting(name="role", default="auto", kind="text", help="standalone or auto; replication comes later"),
)  # fmt: skip


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """Effective settings of the server; attributes as in `SETTINGS`."""

    serverdir: Path
    host: str
    port: int
    workers: int
    outside_url: str | None
    trusted_proxy: tuple[str, ...]
    secretfile: str | None
    restrict_modify: tuple[str, ...]
    max_request_body_size: int
    internal_networks: tuple[str, ...]
    offline_mode: bool
    offline_fallback: bool
    mirror_cache_expiry: float
    request_timeout: float
    read_ahead: bool
    access_log: bool
    debug: bool
    role: str


def load(flags: Mapping[str, Any], environ: Mapping[str, str], configfile: str | None = None) -> Config:
    """Put the sources together. `flags`: by setting name, None where not given. Raises SetupError."""
    from_file = _read(configfile)
    known = {setting.name for setting in SETTINGS}
    unknown = sorted(set(from_file) - known)
    if unknown:
        raise SetupError(f"Unknown devpi-server option {unknown[0]!r} in {_found(configfile)}.")
    values: dict[str, Any] = {}
    for setting in SETTINGS:
        flag = flags.get(setting.name)
        variable = environ.get(setting.variable)
        if setting is SERVERDIR and not variable:
            variable = environ.get("DEVPI_SERVERDIR")
        if flag not in (None, ()):
            values[setting.key] = _value(setting, flag, f"--{setting.name}")
        elif variable:
            values[setting.key] = _value(setting, variable, setting.variable)
        elif setting.name in from_file:
            values[setting.key] = _value(setting, from_file[setting.name], f"{setting.name} in {_found(configfile)}")
        else:
            values[setting.key] = setting.default
    return _checked(values)


def _checked(values: dict[str, Any]) -> Config:
    values["serverdir"] = Path(values["serverdir"]).expanduser().absolute()
    if not 1 <= values["port"] <= 65535:
        raise SetupError(f"--port is {values['port']}: it takes a number from 1 to 65535.")
    if not 1 <= values["workers"] <= 256:
        raise SetupError(f"--workers is {values['workers']}: it takes a number from 1 to 256.")
    if values["role"] not in ("auto", "standalone"):
        raise SetupError(f"--role is {values['role']!r}: this version takes standalone or auto.")
    outside = values["outside_url"]
    if outside is not None and not outside.startswith(("http://", "https://")):
        raise SetupError(f"--outside-url is {outside!r}: it takes a URL that begins with http:// or https://.")
    for setting in ("trusted-proxy", "internal-networks"):
        for network in values[setting.replace("-", "_")]:
            if not _is_network(network):
                raise SetupError(f"--{setting} is {network!r}: it takes an address, a network like 10.0.0.0/8, or *.")
    if values["max_request_body_size"] < 1:
        raise SetupError("--max-request-body-size takes a number of bytes, 1 or more.")
    return Config(**values)


def _is_network(text: str) -> bool:
    try:
        ipaddress.ip_network(text, strict=False)
    except ValueError:
        return text == "*"
    return True


def _value(setting: Setting, raw: Any, where: str) -> Any:  # noqa: ANN401 - the kind of a setting decides
    try:
        match setting.kind:
            case "int":
                return int(str(raw))
            case "seconds":
                return _seconds(raw)
            case "switch":
                return boolean(raw)
            case "list":
                parts = raw.split(",") if isinstance(raw, str) else raw
                return tuple(str(part).strip() for part in parts)
            case _:
                return str(raw)
    except (ValueError, SetupError):
        takes = {"int": "a whole number", "seconds": "seconds, 0 or more", "switch": "yes or no"}
        raise SetupError(f"{where} is {raw!r}: it takes {takes.get(setting.kind, 'text')}.") from None


def _seconds(raw: object) -> float:
    seconds = float(str(raw))
    if not 0 <= seconds < float("inf"):
        raise ValueError
    return seconds


def _found(configfile: str | None) -> str | None:
    """The file to read: the one named, else the last of the usual places that exists."""
    if configfile is not None:
        return configfile
    places = [
        Path(site_config_dir("devpi-server", "devpi")) / "devpi-server.yml",
        Path(user_config_dir("devpi-server", "devpi")) / "devpi-server.yml",
    ]
    found = [place for place in places if place.is_file()]
    return str(found[-1]) if found else None


def _read(configfile: str | None) -> dict[str, Any]:
    path = _found(configfile)
    if path is None:
        return {}
    try:
        with open(os.path.expanduser(path), encoding="utf-8") as file:  # noqa: PTH111, PTH123 - a text from a person
            document = yaml.load(file, Loader=yaml.BaseLoader)  # noqa: S506 - BaseLoader makes texts only
    except OSError as error:
        raise SetupError(f"The configuration file {path} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise SetupError(f"The configuration file {path} cannot be read: it is not UTF-8.") from error
    except yaml.YAMLError as error:
        raise SetupError(f"Error in config file {path!r}: {error}") from error
    if not isinstance(document, dict) and document not in (None, ""):
        raise SetupError(f"Error in config file {path!r}: it takes {SECTION}: with option names and values below.")
    section = document.get(SECTION) if isinstance(document, dict) else None
    if section is None or section == "":
        return {}
    if not isinstance(section, dict):
        raise SetupError(f"Error in config file {path!r}: {SECTION} takes a mapping of option names to values.")
    return section
