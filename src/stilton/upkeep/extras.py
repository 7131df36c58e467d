"""Whether what only our own dumps say (`dump.OURS`) can be so. Pure: nothing of a dump reaches the database unseen."""

import re
from collections.abc import Iterable

from stilton.domain.errors import BadName, Invalid
from stilton.domain.files import HASH_CHARS, STATUSES
from stilton.domain.names import is_safe_filename, project_name
from stilton.domain.publishing import Kind
from stilton.domain.versions import MAX_CHARS
from stilton.upkeep.dump import FileExtra, GoneFile, ProjectExtra

_LATEST = 253_402_300_799.0
"""The end of the year 9999 in Unix seconds: no date is later."""
_MAX_USES = 1 << 53
_SHA256 = re.compile(r"[0-9a-f]{64}")
_HEX = re.compile(r"[0-9a-f]+")


def is_inside(relpath: str) -> bool:
    """Whether a file's path leads nowhere out of the folder that it is below."""
    return bool(relpath) and all(map(is_safe_filename, relpath.split("/")))


def check_file(extra: FileExtra, filename: str) -> None:
    """Raises Invalid when a file of this name cannot have it."""
    _check_moments((extra.uploaded_at, extra.fetched_at, extra.used_at))
    if not 0 <= extra.uses <= _MAX_USES:
        raise Invalid("it cannot have been used so often")
    if extra.provenance is not None and not is_inside(extra.provenance):
        raise Invalid("its provenance is not inside the dump")
    if extra.path is not None:
        _check_path(extra.path, filename)
    for algorithm, digest in (extra.hashes or {}).items():
        if algorithm in HASH_CHARS and not (len(digest) == HASH_CHARS[algorithm] and _HEX.fullmatch(digest)):
            raise Invalid(f"its {algorithm} is none")


def check_project(name: str, extra: ProjectExtra) -> None:
    """Raises Invalid when a project cannot be called that or have it."""
    _check_project_name(name)
    _check_moments((extra.gone_at,))
    if extra.status is not None and extra.status not in STATUSES:
        raise Invalid(f"its status {extra.status[:20]!r} is none of {', '.join(sorted(STATUSES))}")


def check_gone(file: GoneFile) -> None:
    """Raises Invalid when there cannot have been such a file."""
    _check_project_name(file.project)
    _check_moments((file.uploaded_at, file.gone_at))
    _check_path(file.path, file.filename)
    if file.kind not in {kind.value for kind in Kind}:
        raise Invalid(f"its kind {file.kind[:20]!r} is not known")
    if not _SHA256.fullmatch(file.digest) or not 0 <= file.size < 1 << 63:
        raise Invalid("its digest or its size is none")
    if not file.version.isprintable() or not 0 < len(file.version) <= MAX_CHARS:
        raise Invalid("its version is none that a release can have")


def _check_project_name(name: str) -> None:
    try:
        normal = project_name(name) == name
    except BadName:
        normal = False
    if not normal:
        raise Invalid(f"no project is called {name[:50]!r}")


def _check_path(path: str, filename: str) -> None:
    if not is_inside(path) or not path.startswith(("+f/", "+e/")) or path.rpartition("/")[2] != filename:
        raise Invalid(f"its path {path[:50]!r} is none that a file of its name can have")


def _check_moments(moments: Iterable[float | None]) -> None:
    if not all(at is None or 0 <= at <= _LATEST for at in moments):
        raise Invalid("one of its dates is none")
