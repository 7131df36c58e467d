"""What an upload takes along: the releases and the documentation among files and folders."""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from packaging.utils import canonicalize_name

from stilton_client import archives, forms, releases
from stilton_client.archives import Docs, Release, Unfit
from stilton_client.errors import Failure
from stilton_client.terminal import Terminal


@dataclass(frozen=True)
class Cargo:
    """What is to be sent, in this order; `left_out`: paths of files that cannot be, and why."""

    items: Sequence[Release | Docs]
    left_out: Mapping[str, str]


def found(
    paths: Iterable[Path], work: Path, out: Terminal, *, from_dir: bool = False, only_latest: bool = False
) -> Cargo:
    """Releases by file name, then documentation. Raises Failure when there is nothing, or a file cannot be uploaded.

    What cannot be uploaded and was found in a folder, nobody has named: it is left out. `work`: a folder for
    documentation that has to become a zip.
    """
    items: list[Release | Docs] = []
    left_out: dict[str, str] = {}
    for path, is_named in _files(paths, from_dir=from_dir).items():
        try:
            item = _loaded(path, work, out)
        except Unfit as unfit:
            if is_named:
                raise
            out.warn(f"{unfit.what}, skipping")
            left_out[str(path)] = unfit.why
            continue
        if item is not None:
            items.append(item)
        elif not path.name.endswith(forms.ATTESTATIONS_SUFFIX):
            out.warn(f"{path}: does not contain PKGINFO, skipping")
    if not items:
        raise Failure("there is nothing to upload", "Name files of releases, or folders with --from-dir.")
    if only_latest:
        items = _latest(items)
    items.sort(key=lambda item: (isinstance(item, Docs), item.path.name, item.path))
    return Cargo(items, left_out)


def _loaded(path: Path, work: Path, out: Terminal) -> Release | Docs | None:
    """None: it is no release and no documentation. Raises Unfit."""
    docs = archives.docs(path)
    return archives.release(path) if docs is None else _as_zip(docs, out, work)


def _as_zip(docs: Docs, out: Terminal, work: Path) -> Docs:
    zipped = archives.zipped_docs(docs, work)
    if zipped.path != docs.path:
        out.note(f"repackaged {docs.path.name} to {zipped.path.name}")
    return zipped


def _files(paths: Iterable[Path], *, from_dir: bool) -> dict[Path, bool]:
    """Each file once, and whether it was named itself. Raises Failure."""
    files: dict[Path, tuple[Path, bool]] = {}
    for path in paths:
        if path.is_dir() and not from_dir:
            raise Failure(f"{path}: is a directory but --from-dir not specified", "Add --from-dir.")
        if not path.exists():
            raise Failure(f"path does not exist: {path}", "Nothing was uploaded.")
        if not (path.is_dir() or path.is_file()):
            raise Failure(f"{path} is no regular file", "Nothing was uploaded.")
        for file in _archives_in(path) if path.is_dir() else [path]:
            first, is_named = files.get(file.resolve(), (file, False))
            files[file.resolve()] = first, is_named or file == path
    return dict(files.values())


def _archives_in(folder: Path) -> Iterator[Path]:
    """Through links, too, but into no folder twice."""
    seen = set()
    for here, folders, names in os.walk(folder, followlinks=True):
        place = Path(here).stat()
        if (place.st_dev, place.st_ino) in seen:
            folders.clear()
            continue
        seen.add((place.st_dev, place.st_ino))
        folders.sort()
        yield from (
            Path(here, name) for name in sorted(names) if archives.is_archive(name) and Path(here, name).is_file()
        )


def _latest(items: Iterable[Release | Docs]) -> list[Release | Docs]:
    newest: dict[str, Any] = {}
    items = list(items)
    for item in items:
        if item.version:
            name = canonicalize_name(item.name)
            newest[name] = max(newest.get(name, releases.version_key("")), releases.version_key(item.version))
    return [
        item
        for item in items
        if not item.version or releases.version_key(item.version)[:2] == newest[canonicalize_name(item.name)][:2]
    ]
