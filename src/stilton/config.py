"""Where the values of settings come from, and whether they go together.

Command line > `DEVPISERVER_*` > YAML file > default (protocol reference 1.1). The table of settings is in `settings`,
what a single value may be in `values`, how the file is read in `configfile`.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from stilton import configfile, values, wordings
from stilton.configfile import ConfigFile
from stilton.domain.errors import SetupError
from stilton.domain.indexes import boolean
from stilton.domain.redaction import redacted
from stilton.domain.share import Share
from stilton.settings import CONFIGFILE, FIRST_DATA, IGNORED, REFUSED, SERVERDIR, SETTINGS, SWITCHES, Setting, variable

DEFAULT = "default"
KNOWN = frozenset({setting.name for setting in SETTINGS} | IGNORED.keys() | REFUSED.keys())
"""Names that may stand in the file."""
ELSEWHERE = frozenset({*FIRST_DATA, CONFIGFILE})
"""Names of options that may not."""
_NEARLY = re.compile(r"DEVPI_?SERVER_", re.IGNORECASE)


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """Effective settings of the server; attributes as in `SETTINGS`. Sizes in bytes, paths absolute.

    `given`: name of each setting that has not its default → where it was given.
    """

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
    require_login: bool
    max_request_body_size: int
    internal_networks: tuple[str, ...]
    offline_mode: bool
    offline_fallback: bool
    mirror_cache_expiry: float
    request_timeout: float
    read_ahead: bool
    min_free_disk: int | Share
    access_log: bool
    log_format: str
    logger_cfg: str | None
    debug: bool
    migrate: bool
    storage: str
    role: str
    given: Mapping[str, str] = {}

    def where(self, name: str) -> str:
        """Where the setting of this name was given, as a message names it; its flag when it was not."""
        return self.given.get(name, f"--{name}")


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
        return redacted(",".join(value) if isinstance(value, tuple) else str(value))


class Given(msgspec.Struct, frozen=True):
    """All that somebody said, not looked at yet. `flags`: by setting name, None where not given."""

    flags: Mapping[str, Any]
    environ: Mapping[str, str]
    file: ConfigFile


def load(flags: Mapping[str, Any], environ: Mapping[str, str], named: str | None = None) -> Config:
    """Put the sources together; `named`: the configuration file. Raises SetupError."""
    return checked(origins(gathered(flags, environ, named)))


def gathered(flags: Mapping[str, Any], environ: Mapping[str, str], named: str | None = None) -> Given:
    """Read the file, once: it may be a pipe. Raises SetupError, also for names in it that nobody knows."""
    file = configfile.read(configfile.found(named), KNOWN)
    for name, entry in file.entries.items():
        if name not in KNOWN:
            # Its value is not shown: it could be anything, even a password.
            what = f"option {wordings.shown(name)} in {file.path}, line {entry.line}"
            if name in ELSEWHERE:
                raise SetupError(f"The {what}, cannot stand in the file: it is --{name} or {variable(name)}.")
            raise SetupError(f"Unknown devpi-server {what}." + _hint(configfile.nearest(name, KNOWN)))
    return Given(flags, environ, file)


def origins(given: Given) -> list[Origin]:
    """Each setting's value and where it comes from, in the order of `SETTINGS`. Raises SetupError."""
    return [_origin(setting, given) for setting in SETTINGS]


def notices(given: Given) -> list[str]:
    """What was given and has no effect, a sentence each. Raises SetupError for what is refused."""
    for where, name in _without_effect(given):
        if name in REFUSED:
            raise SetupError(f"{where}: {REFUSED[name]}.")
    return [f"{where} has no effect: {IGNORED[name]}." for where, name in _without_effect(given)]


def oddities(given: Given, named: str | None) -> list[str]:
    """What somebody may have meant in another way: unknown variables, more files than one, one without our section."""
    usual = configfile.usual_files() if named is None else []
    several = [f"Multiple configuration files found: {', '.join(usual)}; {usual[-1]} is used."] if usual[1:] else []
    others = [f"{given.file.path} has no {configfile.SECTION}: in it, and nothing of it is used."]
    return [*_strange_variables(given.environ), *several, *(others if given.file.is_others else [])]


def checked(found: list[Origin]) -> Config:
    """The settings as one. Raises SetupError for values that do not go together."""
    value = {origin.setting.key: origin.value for origin in found}
    where = {origin.setting.name: origin.where for origin in found if origin.where != DEFAULT}
    for name in ("host", "port"):
        if value["listen"] and name in where:
            raise SetupError(
                f"You can use either --listen or --host/--port, not both together: here are {where['listen']} "
                f"and {where[name]}."
            )
    if len(set(value["listen"])) < len(value["listen"]):
        raise SetupError(f"{where['listen']} names an address twice: {', '.join(value['listen'])}.")
    for name, other in (("tls-cert", "tls-key"), ("tls-key", "tls-cert")):
        if name in where and other not in where:
            raise SetupError(f"--tls-cert and --tls-key are given together or not at all: here is only {where[name]}.")
    return Config(**{**value, "serverdir": Path(value["serverdir"])}, given=where)


def _origin(setting: Setting, given: Given) -> Origin:
    here = Path()
    flag = given.flags.get(setting.name)
    if flag not in (None, ()):
        return _from(setting, flag, f"--{setting.name}", here)
    # An empty variable is none: that is how containers leave one out.
    for name in _variables(setting):
        if given.environ.get(name):
            return _from(setting, given.environ[name], name, here)
    if setting.name in given.file.entries:
        raw = given.file.entries[setting.name].value
        return _from(setting, raw, f"{setting.name} in {given.file.path}", given.file.folder)
    if setting.default is None or setting.kind != "path":
        return Origin(setting, setting.default, DEFAULT)
    usual = values.read(setting, setting.default, where=f"The default of --{setting.name}", folder=here)
    return Origin(setting, usual, DEFAULT)


def _from(setting: Setting, raw: object, where: str, folder: Path) -> Origin:
    return Origin(setting, values.read(setting, raw, where=where, folder=folder), where)


def _variables(setting: Setting) -> tuple[str, ...]:
    return (setting.variable, "DEVPI_SERVERDIR") if setting is SERVERDIR else (setting.variable,)


def _without_effect(given: Given) -> Iterator[tuple[str, str]]:
    """(where, name) of what is in `IGNORED` or `REFUSED` and was given, switched on if it is a switch."""
    for name in (*IGNORED, *REFUSED):
        entry = given.file.entries.get(name)
        for where, raw in (
            (f"--{name}", given.flags.get(name)),
            (variable(name), given.environ.get(variable(name))),
            (f"{name} in {given.file.path}", None if entry is None else entry.value),
        ):
            if not values.is_empty(raw) and not (name in SWITCHES and _is_off(raw)):
                yield where, name


def _is_off(raw: object) -> bool:
    try:
        return not boolean(raw)
    except SetupError:
        return False


def _strange_variables(environ: Mapping[str, str]) -> Iterator[str]:
    names = KNOWN | ELSEWHERE
    known = {variable(name) for name in names}
    for name in sorted(filter(_NEARLY.match, environ)):
        if name not in known:
            near = configfile.nearest(_NEARLY.sub("", name, count=1), names)
            shown = name if name.isprintable() else ascii(name)
            yield f"The variable {shown} is not known.{_hint(near and variable(near))}"


def _hint(name: str | None) -> str:
    return f" Did you mean {name}?" if name else ""
