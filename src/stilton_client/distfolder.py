"""The folder `dist` of a project: emptied before a build, unless something is in it that no build made, then filled."""

import re
import shutil
from pathlib import Path

from stilton_client import archives
from stilton_client.errors import Failure
from stilton_client.forms import ATTESTATIONS_SUFFIX
from stilton_client.terminal import Terminal

_BESIDE = (".asc", ".sig", ATTESTATIONS_SUFFIX)
_RELEASE = re.compile(r".+-v?\d.*")


def cleaned(project: Path, out: Terminal) -> Path:
    """An empty `dist`. Raises Failure, nothing deleted, if there is something in it that no build made."""
    dist = project / "dist"
    out.note("pre-build: cleaning dist")
    found = sorted(dist.iterdir()) if dist.is_dir() else []
    for path in found:
        if path.is_dir() or not is_built(path.name):
            raise Failure(
                f"{path} is nothing that a build makes: dist is not cleaned", "Move it somewhere else, then try again."
            )
    for path in found:
        path.unlink()
    dist.mkdir(exist_ok=True)
    return dist


def is_built(name: str) -> bool:
    """Whether a file of this name comes from a build, or stands beside one that does."""
    for suffix in _BESIDE:
        name = name.removesuffix(suffix)
    return name == ".gitignore" or (archives.is_archive(name) and _RELEASE.fullmatch(name) is not None)


def placed(file: Path, dist: Path, out: Terminal, remark: str = "") -> Path:
    """Move what was built into it."""
    target = Path(shutil.move(file, dist / file.name))
    out.line(f"built: {dist.name}/{file.name}{remark} {target.stat().st_size / 1024:.0f}kb")
    return target
