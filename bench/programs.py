"""Programs the benchmark needs beside the server: found, or installed from Debian's packages."""

import os
import shutil
import sys
from pathlib import Path

from bench.processes import BenchError, run

INSTALL_WITHIN_S = 120.0
# The second keeps the package from starting nginx as a service.
_QUIET = {"DEBIAN_FRONTEND": "noninteractive", "SYSTEMD_OFFLINE": "1"}
# Debian keeps nginx where only root's PATH looks.
_SYSTEM_PLACE = "/usr/sbin"


def find(name: str, package: str | None = None) -> Path:
    """Path of the program. Raises BenchError when it is missing and cannot be installed."""
    found = _which(name)
    if found is None and package is not None:
        _install(name, package)
        found = _which(name)
    if found is None:
        raise BenchError(f"{name} is not installed")
    return found


def _which(name: str) -> Path | None:
    beside_python = str(Path(sys.executable).parent)
    places = os.pathsep.join([beside_python, os.environ.get("PATH", os.defpath), _SYSTEM_PLACE])
    found = shutil.which(name, path=places)
    return Path(found) if found else None


def _install(name: str, package: str) -> None:
    apt = _which("apt-get")
    if apt is None or os.geteuid() != 0:
        raise BenchError(f"{name} is not installed (root on Debian would get it: apt-get install {package})")
    print(f"installing {package} for {name} ...", file=sys.stderr)
    run(
        [apt, "install", "-y", "--no-install-recommends", package],
        within_s=INSTALL_WITHIN_S, env=_QUIET,
    )  # fmt: skip
