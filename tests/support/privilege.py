"""Commands run as somebody else than root, who reads everything, and whom every system knows."""

import os
import shutil
from pathlib import Path

import pytest

from tests.support.server import BIN

_SETPRIV = shutil.which("setpriv")
_TAKEN = "-dac_override,-dac_read_search"

needs_a_reader = pytest.mark.skipif(os.geteuid() == 0 and _SETPRIV is None, reason="no setpriv, and root reads all")


def as_anybody(command: str, *arguments: str) -> list[str]:
    """The words that run a command of ours without root's right to read what modes forbid."""
    words = [str(BIN / command), *arguments]
    if os.geteuid() != 0:
        return words
    assert _SETPRIV is not None
    return [_SETPRIV, "--bounding-set", _TAKEN, "--inh-caps", _TAKEN, *words]


def homeless(script: Path, command: Path) -> Path:
    """Make `script` run a command as a user without name or home, as containers have, who may read and write here."""
    if os.geteuid() != 0 or _SETPRIV is None:
        pytest.skip("only root can become another user")
    rights = "+dac_override,+dac_read_search"
    become = f"{_SETPRIV} --reuid 54321 --regid 54321 --clear-groups --inh-caps={rights} --ambient-caps={rights}"
    script.write_text(f'#!/bin/sh\nexec {become} env -u HOME -u XDG_CONFIG_HOME "{command}" "$@"\n')
    script.chmod(0o755)
    return script
