"""Backups and servers live apart: neither folder is within the other, by whatever links one gets there.

A backup within the server's folder goes with it when that is removed. In the folder itself both would write `blobs`
and empty `incoming`; a server within the backups would be taken for one of them.
"""

import os
from pathlib import Path

from stilton.domain.errors import SetupError

MARK = ".serverversion"
"""What every server's folder has, devpi-server's too (`serverdir`)."""


def check_backup(folder: Path, serverdir: Path, *, what: str = "backup") -> None:
    """Raises SetupError when `folder` is no place for backups of `serverdir`. Neither has to exist."""
    for outer in _upwards(folder):
        if (outer / MARK).exists() or any(_is_same(outer, ours) for ours in (serverdir, serverdir / "blobs")):
            raise SetupError(
                f"{folder} is in {outer}, a server's folder: a {what} there would be lost with it. "
                "Name a folder elsewhere, best on another disk."
            )
    check_restore(folder, serverdir)


def check_restore(folder: Path, serverdir: Path) -> None:
    """Raises SetupError when `serverdir` is within the backups in `folder`."""
    if any(_is_same(outer, folder) for outer in _upwards(serverdir)):
        raise SetupError(
            f"The --serverdir {serverdir} is in {folder}, which is the folder for backups: keep one out of the other."
        )


def _upwards(path: Path) -> list[Path]:
    """The folder that this path leads to, and those that it is in."""
    real = Path(os.path.realpath(path))
    return [real, *real.parents]


def _is_same(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except OSError:
        # What does not exist yet is in what does.
        return False
