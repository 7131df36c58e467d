"""Which virtual environment a command is about: `--venv`, what `devpi use --venv` remembered, the active one."""

import sys
from collections.abc import Mapping
from pathlib import Path

from stilton_client.errors import Failure
from stilton_client.state import State

BIN = "Scripts" if sys.platform == "win32" else "bin"
NONE = "-"


def chosen(named: str | None, state: State, environ: Mapping[str, str], cwd: Path) -> Path | None:
    """The environment's folder, None: there is none. Raises Failure when it is not one.

    `named` is a folder, or a name below WORKON_HOME. Does not change `state`.
    """
    if named is not None:
        return _existing(named, environ, cwd, "Create it: python -m venv DIR.")
    remembered = state.current.get("venvdir")
    if remembered:
        return _existing(str(remembered), environ, cwd, "You can unset it with 'devpi use --venv -'.")
    active = environ.get("VIRTUAL_ENV")
    if active:
        return _existing(active, environ, cwd, "Check your VIRTUAL_ENV environment variable.")
    return None


def _existing(named: str, environ: Mapping[str, str], cwd: Path, advice: str) -> Path:
    place = cwd / Path(named).expanduser()
    workon = environ.get("WORKON_HOME")
    if not (place / BIN).exists() and workon:
        place = cwd / workon / named
    if not (place / BIN).exists():
        raise Failure(f"No virtualenv found at: {str(cwd / named)!r}", advice)
    return place
