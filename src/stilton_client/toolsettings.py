"""What pip and uv are configured for: what counts of their variables and files. No I/O.

pip   `pip config list`, which knows its files and PIP_* variables
uv    UV_DEFAULT_INDEX, UV_INDEX_URL, UV_INDEX, UV_EXTRA_INDEX_URL, and its files, the strongest first
"""

import ast
import contextlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Files = Sequence[tuple[str, Mapping[str, Any]]]
"""Path and content of each, the strongest first."""

_NAMED = re.compile(r"^[A-Za-z0-9._-]+=(?=[a-z]+://)")
# What pip takes for yes.
_TRUE = ("y", "yes", "t", "true", "on", "1")
_UV_CARRIED = ("keyring-provider", "native-tls", "system-certs")
_PIP_CARRIED = ("cert", "client-cert", "proxy", "keyring-provider", "trusted-host", "timeout")


@dataclass(frozen=True)
class Tool:
    """An installed pip or uv, and what it is configured for. URLs may carry passwords: show them hidden.

    `where`: what says so; `label`: uv's name for it. `cut`: the setting that leaves out what was uploaded later.
    `no_index`: what says that no index is to be asked, if anything does.
    `environ`: variables that say what its files say of connections.
    """

    name: str
    path: str
    version: str
    index: str | None = None
    where: str = ""
    label: str = ""
    extra: tuple[str, ...] = ()
    trusted: tuple[str, ...] = ()
    cut: str | None = None
    no_index: str = ""
    environ: Mapping[str, str] = field(default_factory=dict, repr=False)


def of_pip(path: str, version: str, listing: str) -> Tool:
    """What counts for pip of `pip config list`."""
    settings, origin = pip_settings(listing)
    carried = {f"PIP_{key.upper().replace('-', '_')}": settings[key] for key in _PIP_CARRIED if key in settings}
    return Tool(
        name="pip",
        path=path,
        version=version,
        index=settings.get("index-url"),
        where=origin.get("index-url", ""),
        extra=tuple(settings.get("extra-index-url", "").split()),
        trusted=tuple(settings.get("trusted-host", "").split()),
        cut=settings.get("uploaded-prior-to"),
        no_index=origin["no-index"] if settings.get("no-index", "").lower() in _TRUE else "",
        environ=carried,
    )


def pip_settings(listing: str) -> tuple[dict[str, str], dict[str, str]]:
    """What counts of `pip config list`, and where it stands: variables, then [install], then [global]."""
    settings, origin = {}, {}
    for section in ("global", "install", ":env:"):
        for line in listing.splitlines():
            key, _, value = line.partition("=")
            if key.startswith(f"{section}."):
                with contextlib.suppress(ValueError, SyntaxError):
                    name = key.removeprefix(f"{section}.")
                    settings[name] = str(ast.literal_eval(value))
                    variable = f"PIP_{name.upper().replace('-', '_')}"
                    origin[name] = variable if section == ":env:" else "its configuration files"
    return settings, origin


def of_uv(path: str, version: str, environ: Mapping[str, str], files: Files) -> Tool:
    """What counts for uv of variables and of files, the strongest first."""
    defaults, extra = _uv_indexes(environ, files)
    where, named = defaults[0] if defaults else ("", "")
    label, _, url = named.partition("=") if _NAMED.match(named) else ("", "", named)
    trusted = [*environ.get("UV_INSECURE_HOST", "").split(), *_flat(files, "allow-insecure-host")]
    carried = {"UV_INSECURE_HOST": " ".join(trusted)} if trusted else {}
    for key in _UV_CARRIED:
        carried |= {f"UV_{key.upper().replace('-', '_')}": value.lower() for value in _flat(files, key)[:1]}
    return Tool(
        name="uv",
        path=path,
        version=version,
        index=url or None,
        where=where,
        label=label,
        extra=tuple(_NAMED.sub("", one) for one in extra),
        trusted=tuple(trusted),
        no_index=_uv_no_index(files),
        cut=environ.get("UV_EXCLUDE_NEWER") or next(iter(_flat(files, "exclude-newer")), None),
        environ=carried,
    )


def _uv_indexes(environ: Mapping[str, str], files: Files) -> tuple[list[tuple[str, str]], list[str]]:
    """((where, URL or NAME=URL) of default indexes, the strongest first; those that are asked beside it)."""
    defaults = [(name, environ[name]) for name in ("UV_DEFAULT_INDEX", "UV_INDEX_URL") if environ.get(name)]
    extra = [*environ.get("UV_INDEX", "").split(), *environ.get("UV_EXTRA_INDEX_URL", "").split()]
    for where, file in files:
        for one in file.get("index", ()):
            url = f"{one['name']}={one.get('url')}" if one.get("name") else str(one.get("url"))
            if one.get("default") is True:
                defaults.append((where, url))
            elif not one.get("explicit"):
                extra.append(url)
    defaults += [(where, url) for where, file in files for url in _flat([(where, file)], "index-url")]
    return defaults, extra + _flat(files, "extra-index-url")


def _uv_no_index(files: Files) -> str:
    """The file that says so. uv has no variable for it; the strongest file that says anything counts."""
    for where, file in files:
        for value in _flat([(where, file)], "no-index")[:1]:
            return where if value.lower() in _TRUE else ""
    return ""


def _flat(files: Files, key: str) -> list[str]:
    """All values of a key, of [pip] before the others, lists taken apart."""
    found: list[str] = []
    for _, file in files:
        for table in (file.get("pip", {}), file):
            value = table.get(key)
            found += map(str, value if isinstance(value, list) else [] if value is None else [value])
    return found
