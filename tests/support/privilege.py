"""Commands run as somebody for whom the modes of files and folders hold: root reads everything."""

import os
import shutil

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
