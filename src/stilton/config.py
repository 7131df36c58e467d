"""Where the values of settings come from, and whether they are right. The table of them: `settings`.

Command line > `DEVPISERVER_*` > YAML file > default (protocol reference 1.1).
"""

import difflib
import ipaddress
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec
import yaml
from platformdirs import site_config_dir, user_config_dir

from stilton.domain.errors import SetupError
from stilton.domain.indexes import boolean
from stilton.settings import IGNORED, REFUSED, SERVERDIR, SETTINGS, Setting

SECTION = "devpi-server"
PREFIX = "DEVPISERVER_"
DEFAULT = "default"

_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
_TAKES = {
    "int": "a whole number",
    "size": "bytes, or a number with K, M, G or T",
    "seconds": "seconds, 0 or more",
    "switch": "yes or no",
    "octal": "permission bits like 660",
}


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """Effective settings of the server; attributes as in `SETTINGS`. Sizes in bytes."""

    serverdir: Path
    host: str
    port: int
    listen: tuple[str, ...]
    unix_socket: str | None
    unix_socket_perms: int
    tls_cert: str | None
    tls_key: str | None
    workers: int
    connection_limit: int
    stop_timeout: float
    outside_url: str | None
    absolute_urls: bool
    trusted_proxy: tuple[str, ...]
    x_accel_redirect: bool
    secretfile: str | None
    restrict_modify: tuple[str, ...]
    max_request_body_size: int
    internal_networks: tuple[str, ...]
    offline_mode: bool
    offline_fallback: bool
    mirror_cache_expiry: float
    request_timeout: float
    read_ahead: bool
    min_free_disk: int
    access_log: bool
    log_format: str
    logger_cfg: str | None
    debug: bool
    migrate: bool
    storage: str
    role: str


class Origin(msgspec.Struct, frozen=True):
    """The value of a setting, and where it was given: a flag, a variable, a key in a file, or `default`."""

    setting: Setting
    value: Any
    where: str

    @property
    def shown(self) -> str:
        """For people: no password of a URL, lists with commas."""
        value = self.value
        if value is None or value == ():
            return "none"
        if isinstance(value, bool):
            return "yes" if value else "no"
        if self.setting.kind == "octal":
            return f"{value:o}"
        text = ",".join(value) if isinstance(value, tuple) else str(value)
        return re.sub(r"//[^/@]*@", "//****@", text)


def load(flags: Mapping[str, Any], environ: Mapping[str, str], configfile: str | None = None) -> Config:
    """Put the sources together. `flags`: by setting name, None where not given. Raises SetupError."""
    return checked(origins(flags, environ, configfile))


def origins(flags: Mapping[str, Any], environ: Mapping[str, str], configfile: str | None = None) -> list[Origin]:
    """Each setting's value and where it comes from, in the order of `SETTINGS`. Raises SetupError."""
    path = _found(configfile)
    from_file = _read(path)
    _check_names(from_file, path)
    return [_origin(setting, flags, environ, from_file, str(path)) for setting in SETTINGS]


def notices(flags: Mapping[str, Any], environ: Mapping[str, str], configfile: str | None = None) -> list[str]:
    """What was given and has no effect, a sentence each. Raises SetupError for what is refused."""
    path = _found(configfile)
    given = {f"--{name}": name for name, value in flags.items() if value not in (None, (), False)}
    given |= {f"{name} in {path}": name for name in _read(path)}
    variables = {_variable(name): name for name in (*IGNORED, *REFUSED)}
    given |= {variable: name for variable, name in variables.items() if environ.get(variable)}
    for where, name in given.items():
        if name in REFUSED:
            raise SetupError(f"{where}: {REFUSED[name]}.")
    said = [f"{where} has no effect: {IGNORED[name]}." for where, name in given.items() if name in IGNORED]
    return [*said, *_strange_variables(environ, set(variables)), *_other_files(configfile)]


def checked(found: list[Origin]) -> Config:
    """The settings as one. Raises SetupError for values that cannot be, or not together."""
    values = {origin.setting.key: origin.value for origin in found}
    values["serverdir"] = Path(values["serverdir"]).expanduser().absolute()
    _check_addresses(values, {origin.setting.name: origin.where for origin in found})
    _check_range("--workers", values["workers"], 1, 256)
    _check_range("--connection-limit", values["connection_limit"], 1, 1_000_000)
    _check_choice("--role", values["role"], ("standalone", "auto"))
    _check_choice("--log-format", values["log_format"], ("human", "json"))
    _check_choice("--storage", values["storage"].partition(":")[0], ("sqlite",))
    outside = values["outside_url"]
    if outside is not None and not outside.startswith(("http://", "https://")):
        raise SetupError(f"--outside-url is {outside!r}: it takes a URL that begins with http:// or https://.")
    for setting in ("trusted-proxy", "internal-networks"):
        for network in values[setting.replace("-", "_")]:
            if not _is_network(network):
                raise SetupError(f"--{setting} is {network!r}: it takes an address, a network like 10.0.0.0/8, or *.")
    if values["max_request_body_size"] < 1:
        raise SetupError("--max-request-body-size takes a number of bytes, 1 or more.")
    if (values["tls_cert"] is None) != (values["tls_key"] is None):
        raise SetupError("--tls-cert and --tls-key are given together or not at all.")
    return Config(**values)


def _origin(
    setting: Setting, flags: Mapping[str, Any], environ: Mapping[str, str], from_file: Mapping[str, Any], path: str
) -> Origin:
    flag = flags.get(setting.name)
    variable = setting.variable
    if setting is SERVERDIR and not environ.get(variable):
        variable = "DEVPI_SERVERDIR"
    if flag not in (None, ()):
        where, raw = f"--{setting.name}", flag
    elif environ.get(variable):
        where, raw = variable, environ[variable]
    elif setting.name in from_file:
        where, raw = f"{setting.name} in {path}", from_file[setting.name]
    else:
        return Origin(setting, setting.default, DEFAULT)
    return Origin(setting, _value(setting, raw, where), where)


def _check_addresses(values: Mapping[str, Any], where: Mapping[str, str]) -> None:
    _check_range("--port", values["port"], 1, 65535)
    if values["listen"] and (where["host"], where["port"]) != (DEFAULT, DEFAULT):
        raise SetupError("You can use either --listen or --host/--port, not both together.")
    for address in values["listen"]:
        host, colon, port = address.rpartition(":")
        if not colon or not host or not port.isascii() or not port.isdigit():
            raise SetupError(f"--listen is {address!r}: it takes HOST:PORT, *:PORT or [IPv6]:PORT.")
        _check_range(f"The port of --listen {address}", int(port), 1, 65535)


def _check_range(name: str, value: int, least: int, most: int) -> None:
    if not least <= value <= most:
        raise SetupError(f"{name} is {value}: it takes a number from {least} to {most}.")


def _check_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise SetupError(f"{name} is {value!r}: this version takes {' or '.join(choices)}.")


def _is_network(text: str) -> bool:
    try:
        ipaddress.ip_network(text, strict=False)
    except ValueError:
        return text == "*"
    return True


def _value(setting: Setting, raw: Any, where: str) -> Any:  # noqa: ANN401 - the kind of a setting decides
    try:
        return _PARSERS[setting.kind](raw)
    except (ValueError, SetupError):
        raise SetupError(f"{where} is {raw!r}: it takes {_TAKES.get(setting.kind, 'text')}.") from None


def _text(raw: object) -> str:
    if isinstance(raw, Mapping):
        return str(raw.get("name", ""))  # devpi's `storage: {name: sqlite, ...}`
    if isinstance(raw, list):
        raise ValueError("a list")  # noqa: TRY004 - one error for whatever a person may have written
    return str(raw)


def _list(raw: Any) -> tuple[str, ...]:  # noqa: ANN401
    parts = raw.split(",") if isinstance(raw, str) else raw
    return tuple(str(part).strip() for part in parts)


def _size(raw: object) -> int:
    match = re.fullmatch(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([KMGT]?)(?:i?B)?\s*", str(raw), re.IGNORECASE)
    if match is None:
        raise ValueError
    return int(float(match[1]) * _UNITS[match[2].upper()])


def _octal(raw: object) -> int:
    bits = int(str(raw), 8)
    if not 0 <= bits <= 0o777:
        raise ValueError
    return bits


def _seconds(raw: object) -> float:
    seconds = float(str(raw))
    if not 0 <= seconds < float("inf"):
        raise ValueError
    return seconds


_PARSERS: dict[str, Callable[[Any], Any]] = {
    "int": lambda raw: int(str(raw)),
    "size": _size,
    "seconds": _seconds,
    "switch": boolean,
    "octal": _octal,
    "list": _list,
    "text": _text,
}


def _variable(name: str) -> str:
    return PREFIX + name.upper().replace("-", "_")


def _strange_variables(environ: Mapping[str, str], without_effect: set[str]) -> list[str]:
    known = {setting.variable for setting in SETTINGS} | without_effect
    strange = sorted(name for name in environ if name.startswith(PREFIX) and name not in known)
    return [f"The variable {name} is not known.{_hint(name, known)}" for name in strange]


def _hint(name: str, known: set[str]) -> str:
    close = difflib.get_close_matches(name, sorted(known), n=1)
    return f" Did you mean {close[0]}?" if close else ""


def _check_names(from_file: Mapping[str, Any], path: str | None) -> None:
    known = {setting.name for setting in SETTINGS} | IGNORED.keys() | REFUSED.keys()
    for name in sorted(map(str, from_file)):
        if name not in known:
            value = from_file[name]
            raise SetupError(f"Unknown devpi-server option {name!r} (with {value!r}) in {path}.{_hint(name, known)}")


def _usual_files() -> list[str]:
    places = [
        Path(site_config_dir("devpi-server", "devpi")) / "devpi-server.yml",
        Path(user_config_dir("devpi-server", "devpi")) / "devpi-server.yml",
    ]
    return [str(place) for place in places if place.is_file()]


def _found(configfile: str | None) -> str | None:
    """The file to read: the one named, else the last of the usual places that exists."""
    if configfile is not None:
        return configfile
    usual = _usual_files()
    return usual[-1] if usual else None


def _other_files(configfile: str | None) -> list[str]:
    usual = _usual_files()
    if configfile is not None or len(usual) < 2:
        return []
    return [f"Multiple configuration files found: {', '.join(usual)}; {usual[-1]} is used."]


def _read(path: str | None) -> dict[str, Any]:
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
