"""What a project says about its own uploads.

pyproject.toml   [tool.devpi.upload]   no-vcs, setupdir-only, sdist, wheel
setup.cfg        [devpi:upload]        the same, and formats
"""

import configparser
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stilton_client.errors import Failure
from stilton_client.terminal import Terminal

_FLAGS = {"no-vcs": "no_vcs", "setupdir-only": "setupdir_only", "sdist": "sdist", "wheel": "wheel"}
_TRUE, _FALSE = ("1", "true", "yes", "on"), ("", "0", "false", "no", "off")


@dataclass(frozen=True)
class Defaults:
    """What holds where no option says otherwise. `formats`: of setup.cfg, from before there were flags."""

    no_vcs: bool = False
    setupdir_only: bool = False
    sdist: bool = False
    wheel: bool = False
    formats: str | None = None


def defaults(project: Path, out: Terminal) -> Defaults:
    """What the project says; each setting is told. Raises Failure when two files say it, or for what is no boolean."""
    ini, toml = _setup_cfg(project / "setup.cfg"), _pyproject(project / "pyproject.toml")
    if ini is not None and toml is not None:
        raise Failure("Got configuration in pyproject.toml and setup.cfg, choose one.", "Remove one of both sections.")
    origin = "setup.cfg [devpi:upload]" if ini is not None else "pyproject.toml [tool.devpi.upload]"
    found: dict[str, Any] = {}
    for name, value in (ini if ini is not None else toml or {}).items():
        if name in _FLAGS:
            found[_FLAGS[name]] = _flag(value, f"{origin}: {name}")
        elif name == "formats" and ini is not None:
            found[name] = str(value)
        else:
            out.warn(f"{origin}: there is no setting {name!r}")
            continue
        out.note(f"Got {name}={value!r} from {origin}.")
    return Defaults(**found)


def of_formats(formats: str, out: Terminal) -> tuple[bool, bool]:
    """Whether a list of formats asks for (sdist, wheel); neither means both. Raises Failure."""
    names = [name.strip() for name in formats.split(",") if name.strip()]
    sdist, wheel = any(name.startswith("sdist") for name in names), "bdist_wheel" in names
    for name in names:
        if not name.startswith("sdist") and name != "bdist_wheel":
            out.warn(f"{name} is a format of the past: it is not built")
    if not (sdist or wheel):
        raise Failure(f"--formats {formats} asks for nothing that can be built", "Use --sdist, --wheel, or neither.")
    instead = "remove it" if sdist and wheel else f"replace it with {'--sdist' if sdist else '--wheel'}"
    out.warn(f"The --formats option is deprecated, {instead}.")
    return (False, False) if sdist and wheel else (sdist, wheel)


def _setup_cfg(path: Path) -> Mapping[str, Any] | None:
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read(path, encoding="utf-8")
    except (configparser.Error, UnicodeDecodeError) as error:
        raise Failure(f"{path} is not understood ({error})") from error
    return dict(parser["devpi:upload"]) if "devpi:upload" in parser else None


def _pyproject(path: Path) -> Mapping[str, Any] | None:
    try:
        document: Any = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise Failure(f"{path} is not understood ({error})") from error
    for name in ("tool", "devpi", "upload"):
        document = document.get(name) if isinstance(document, dict) else None
    return document if isinstance(document, dict) else None


def _flag(value: object, where: str) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.strip().lower() in _TRUE + _FALSE:
        return value.strip().lower() in _TRUE
    raise Failure(f"{where} is {value!r}", "Write true or false.")
