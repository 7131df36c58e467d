"""Which configuration file tox takes: the one that was asked for, the package's own, the one to fall back on."""

import configparser
import contextlib
import tomllib
from pathlib import Path

from stilton_client.errors import Failure


def chosen(sources: Path, cwd: Path, *, named: str | None, fallback: str | None) -> Path:
    """The file for the tests in `sources`. Raises Failure.

    `named`, `fallback` (for sources that have none): a file here, or else one in the package.
    """
    own = tox_config(sources)
    wanted = named or (None if own else fallback)
    found = _existing(wanted, cwd, sources) if wanted else own
    if found is None:
        raise Failure(
            f"no tox.ini/pyproject.toml/setup.cfg/tox.toml file found in {sources.name}", "--fallback-ini gives one."
        )
    return found


def tox_config(folder: Path) -> Path | None:
    """The file that tox would take, in tox's own order."""
    if (folder / "tox.ini").is_file():
        return folder / "tox.ini"
    if _has_section(folder / "setup.cfg"):
        return folder / "setup.cfg"
    if _has_table(folder / "pyproject.toml"):
        return folder / "pyproject.toml"
    return folder / "tox.toml" if (folder / "tox.toml").is_file() else None


def _has_section(path: Path) -> bool:
    parser = configparser.RawConfigParser(strict=False)
    with contextlib.suppress(OSError, UnicodeDecodeError, configparser.Error):
        parser.read_string(path.read_text(encoding="utf-8"))
        return parser.has_section("tox:tox")
    return False


def _has_table(path: Path) -> bool:
    with contextlib.suppress(OSError, ValueError):
        tool = tomllib.loads(path.read_text(encoding="utf-8")).get("tool")
        return isinstance(tool, dict) and "tox" in tool
    return False


def _existing(named: str, cwd: Path, sources: Path) -> Path:
    """A file here, or else in the package. Raises Failure."""
    for place in (cwd / Path(named).expanduser(), sources / named):
        if place.is_file():
            return place
    raise Failure(f"file does not exist: {named}", f"It is neither in {cwd} nor in the package.")
