"""A base image out of what this machine has installed: Python, a shell and what the recipe calls. No registry is asked."""

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
from collections.abc import Iterable, Iterator
from pathlib import Path

PROGRAMS = ("sh", "sed", "install", "groupadd", "useradd", "id", "cat", "ls", "env", "rm")
DATA = ("/etc/ssl/certs", "/etc/nsswitch.conf", "/etc/login.defs", "/etc/localtime", "/usr/share/python-wheels")
MANYLINUX = (
    "libpthread.so.0",
    "libdl.so.2",
    "librt.so.1",
    "libutil.so.1",
    "libresolv.so.2",
    "libgcc_s.so.1",
    "libstdc++.so.6",
)
"""Beside libc and libm, what wheels of the lock file may count on (PEP 600)."""
PIPS = ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_TRUSTED_HOST", "PIP_CERT")
"""How pip of this machine finds its packages is how pip of the build finds them, too."""
ACCOUNTS = {
    "etc/passwd": "root:x:0:0:root:/root:/bin/sh\n",
    "etc/group": "root:x:0:\n",
    "etc/shadow": "root:*:19000:0:99999:7:::\n",
    "etc/gshadow": "root:*::\n",
}
_NOT_NEEDED = re.compile(r"/(__pycache__|test|tests|site-packages|idlelib|tkinter|turtledemo|config-[^/]+)(/|$)")


def lacking() -> list[str]:
    """Programs that a base would need and that are not here."""
    return [name for name in (*PROGRAMS, "ldd") if _which(name) is None]


def write(folder: Path) -> None:
    """`folder` becomes a build context whose image is the base: its recipe, and its files in `base.tar`."""
    folder.mkdir(parents=True)
    with tarfile.open(folder / "base.tar", "w") as tar:
        for path in sorted(set(_files())):
            tar.add(path, arcname=path.lstrip("/"), recursive=False, filter=_roots)
        for name, text in ACCOUNTS.items():
            (folder / "account").write_text(text)
            tar.add(folder / "account", arcname=name, filter=_roots)
        for name in ("tmp", "var/tmp", "root", "run"):
            tar.add(folder, arcname=name, recursive=False, filter=_roots)
        for alias in ("python3", "python"):
            _link(tar, f"usr/local/bin/{alias}", _python())
    settings = {name: os.environ[name] for name in PIPS if name in os.environ}
    said = [f"ENV {name}={json.dumps(value)}" for name, value in settings.items()]
    (folder / "Containerfile").write_text("\n".join(["FROM scratch", "ADD base.tar /", *said, "RUN id", ""]))


def _files() -> Iterator[str]:
    """Whole names of all files, directories and links."""
    yield from ("/bin", "/sbin", "/lib", "/lib64") if Path("/bin").is_symlink() else ("/bin/sh",)
    programs = [str(_which(name)) for name in PROGRAMS]
    library = sysconfig.get_path("stdlib")
    modules = list(_below(library))
    binaries = [*programs, _python(), *(name for name in modules if name.endswith(".so"))]
    for name in (*binaries, *modules, *_libraries(binaries), *(found for top in DATA for found in _below(top))):
        yield from _with_links(name)


def _python() -> str:
    """The program behind the environment that the tests run in."""
    return str(Path(sys.executable).resolve())


def _below(top: str) -> Iterator[str]:
    if os.path.lexists(top):
        yield top
    for folder, folders, files in os.walk(top):
        yield from (name for name in (f"{folder}/{one}" for one in (*folders, *files)) if not _NOT_NEEDED.search(name))


def _libraries(binaries: Iterable[str]) -> set[str]:
    said = subprocess.run(["ldd", *binaries], capture_output=True, text=True, timeout=60, check=False).stdout
    found = set(re.findall(r"^\s+(?:\S+ => )?(/\S+) \(0x", said, re.MULTILINE))
    beside = {Path(name).parent for name in found if "/libc.so" in name}
    return found | {str(folder / name) for folder in beside for name in MANYLINUX if (folder / name).exists()}


def _with_links(name: str) -> Iterator[str]:
    """`name`, the links on the way to it, and what they lead to."""
    above = Path(name)
    for part in [*reversed(above.parents[:-1]), above]:
        if part.is_symlink() and part != above:
            yield str(part)
            yield from _with_links(str(part.parent / part.readlink() / above.relative_to(part)))
            return
    yield name
    if above.is_symlink():
        yield from _with_links(os.path.normpath(above.parent / above.readlink()))


def _roots(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    """Everybody may read it, as in an image of Python."""
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = "root"
    entry.mode |= 0o755 if entry.isdir() else 0o644
    if entry.name in ("tmp", "var/tmp"):
        entry.mode = 0o1777
    return entry


def _link(tar: tarfile.TarFile, name: str, target: str) -> None:
    entry = tarfile.TarInfo(name)
    entry.type, entry.linkname = tarfile.SYMTYPE, target
    tar.addfile(entry)


def _which(name: str) -> str | None:
    return shutil.which(name, path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin")
