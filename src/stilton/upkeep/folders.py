"""Release files in folders of other programs: which there are, and what their layout says of them.

plain          FOLDER/FILE
pypiserver     FOLDER/FILE, FOLDER/any/folders/FILE
bandersnatch   FOLDER[/web]/packages/aa/bb/…/FILE, its pages FOLDER[/web]/simple/PROJECT/index.html (or .v1_json)

What the archives say is asked by `intake`.
"""

import os
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

import msgspec

from stilton.domain.errors import BadName, SetupError, UpstreamWrong
from stilton.domain.files import File
from stilton.domain.names import ProjectName, is_archive, is_safe_filename, project_name
from stilton.domain.publishing import DOCS_SUFFIX, moment
from stilton.upstream import pages

PAGES = {"index.v1_json": pages.parse_json, "index.html": pages.parse_html}
"""The one that says more comes first."""
_BASE = "http://127.0.0.1/simple/"
"""Only so that relative links have something to be relative to."""


class Loose(msgspec.Struct, frozen=True, kw_only=True):
    """A release file. What its layout does not say is None. `uploaded_at`: Unix seconds."""

    path: Path
    project: ProjectName | None = None
    sha256: str | None = None
    yanked: str | None = None
    uploaded_at: float | None = None


class Found(msgspec.Struct, frozen=True):
    """What is in a folder of this name.

    `overlooked`: files that are no release files, and hidden ones. `left_out`: what cannot be read, with why.
    """

    folder: str
    layout: str
    files: list[Loose]
    overlooked: int
    left_out: list[str]


def look(folder: Path, layout: str | None) -> Found:
    """What is in `folder`; its layout is found out when it is None. Raises SetupError."""
    if not folder.is_dir():
        what = (
            f"{folder} is a file: name the folder that it is in."
            if folder.exists()
            else f"There is no folder {folder}."
        )
        raise SetupError(what)
    layout = layout or _layout(folder)
    try:
        if layout == "bandersnatch":
            return _bandersnatch(_web(folder), folder.absolute().name)
        return _loose(folder, layout)
    except OSError as error:
        raise SetupError(f"The folder {folder} cannot be read: {error.strerror}.") from error


def _layout(folder: Path) -> str:
    web = _web(folder)
    if (web / "simple").is_dir() and (web / "packages").is_dir():
        return "bandersnatch"
    unread: list[str] = []
    nested = any(_is_release(path) for path in _walk(folder, unread) if path.parent != folder)
    # What is in a folder that cannot be read nobody knows: whoever looks there says so.
    return "pypiserver" if nested or unread else "plain"


def _web(folder: Path) -> Path:
    return folder / "web" if (folder / "web" / "simple").is_dir() else folder


def _loose(folder: Path, layout: str) -> Found:
    unread: list[str] = []
    nested = layout == "pypiserver"
    every = list(_walk(folder, unread)) if nested else [path for path in sorted(folder.iterdir()) if path.is_file()]
    files = [Loose(path=path) for path in every if _is_release(path)]
    return Found(folder.absolute().name, layout, files, len(every) - len(files), unread)


def _bandersnatch(web: Path, name: str) -> Found:
    """Raises SetupError when there are no pages."""
    if not (web / "simple").is_dir():
        raise SetupError(f"There is no folder {web / 'simple'}: {web} is no mirror that bandersnatch made.")
    files: list[Loose] = []
    left_out: list[str] = []
    for page in _pages(web / "simple", left_out):
        try:
            project = project_name(page.parent.name)
            parsed = PAGES[page.name](page.read_bytes(), f"{_BASE}{project}/", project)
        except OSError as error:
            left_out.append(_unreadable(page, error))
            continue
        except (BadName, UpstreamWrong) as error:
            left_out.append(f"{page}: {error}")
            continue
        for file in parsed.files:
            place = _place(web, file)
            if place is None:
                left_out.append(f"{page}: {file.filename} is not below packages/")
            else:
                files.append(_vouched(place, project, file))
    return Found(name, "bandersnatch", files, 0, left_out)


def _pages(simple: Path, unread: list[str]) -> Iterator[Path]:
    """One page a project; with `hash-index` they are a folder further down. `unread`: as `_walk`."""
    for folder, folders, names in os.walk(simple, onerror=_noting(unread)):
        folders.sort()
        best = next((name for name in PAGES if name in names), None)
        if best is not None and Path(folder) != simple:
            yield Path(folder) / best


def _place(web: Path, file: File) -> Path | None:
    """Links may be absolute: only what follows `/packages/` is looked at."""
    _, found, rest = unquote(urlsplit(file.url).path).partition("/packages/")
    inside = PurePosixPath(rest)
    if not found or inside.is_absolute() or ".." in inside.parts:
        return None
    return web / "packages" / inside


def _vouched(place: Path, project: ProjectName, file: File) -> Loose:
    return Loose(
        path=place,
        project=project,
        sha256=file.hashes.get("sha256"),
        yanked=None if file.yanked is False else (file.yanked if isinstance(file.yanked, str) else ""),
        uploaded_at=moment(file.upload_time),
    )


def _walk(folder: Path, unread: list[str]) -> Iterator[Path]:
    """All files but those in hidden folders. `unread` gets a sentence for each folder that cannot be read."""
    for place, folders, names in os.walk(folder, onerror=_noting(unread)):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            yield Path(place) / name


def _noting(unread: list[str]) -> Callable[[OSError], None]:
    """`os.walk` goes past what it cannot read in silence."""
    return lambda error: unread.append(_unreadable(error.filename, error))


def _unreadable(what: Path | str, error: OSError) -> str:
    return f"{what} cannot be read: {error.strerror}"


def _is_release(path: Path) -> bool:
    name = path.name
    return (
        not name.startswith(".")
        and is_archive(name)
        and not name.endswith(DOCS_SUFFIX)
        and is_safe_filename(name)
        and path.is_file()
    )
