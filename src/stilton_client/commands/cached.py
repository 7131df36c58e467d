"""`devpi cached`: which files mirrors keep, so what is there without a network and what nobody uses. Stilton only."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

import click
from packaging.utils import (
    InvalidSdistFilename,
    InvalidWheelFilename,
    canonicalize_name,
    parse_sdist_filename,
    parse_wheel_filename,
)

from stilton_client import urls
from stilton_client.command import command
from stilton_client.errors import Refused
from stilton_client.session import Index, Session
from stilton_client.terminal import Terminal, bytes_text

NOT_FOUND = 404
File = Mapping[str, Any]


@command(
    "cached",
    example="""devpi cached
               devpi cached numpy scipy
               devpi cached --unused-for 90d
               devpi cached --requirements > cached.txt""",
    json=True,
)
@click.argument("projects", nargs=-1, metavar="[PROJECT]...")
@click.option("--unused-for", metavar="AGE", help="only what nobody asked for in so long: 90d, 12w, 36h")
@click.option("--requirements", is_flag=True, help="print a requirement file with hashes")
@click.option("--index", metavar="INDEX", help="NAME, USER/NAME or URL  [the current index]")
def cached_(
    session: Session, projects: tuple[str, ...], unused_for: str | None, index: str | None, *, requirements: bool
) -> None:
    """List the files that the mirrors behind the index keep, the longest unused first.

    Uses are written once an hour, the last is known to the hour; a file that nobody asked for since it was fetched
    counts from then.
    A requirement file may have several versions of a project; another server takes them all with
    devpi prime --no-deps --all-files -r FILE.
    """
    place = session.index(index)
    names: list[str | None] = [canonicalize_name(project) for project in projects]
    files = [file for name in dict.fromkeys(names or [None]) for file in _files(session, place, name, unused_for)]
    files.sort(key=lambda file: (_last_use(file), file["project"], file["path"]))
    if requirements:
        _print_requirements(session.terminal, files)
    else:
        _show(session.terminal, files)
    session.terminal.data({"index": place.name, "files": files})


def pinned_by_hash(files: Sequence[File]) -> tuple[list[str], list[str]]:
    """Lines of a requirement file, and names of files whose version cannot be read from them. No I/O."""
    hashes: dict[tuple[str, str], dict[str, None]] = {}
    strange = []
    for file in files:
        version = _version(_basename(file))
        if version is None:
            strange.append(_basename(file))
        else:
            hashes.setdefault((file["project"], version), {})[file["sha256"]] = None
    lines = [
        " \\\n    ".join([f"{project}=={version}", *(f"--hash=sha256:{digest}" for digest in sorted(digests))])
        for (project, version), digests in sorted(hashes.items())
    ]
    return lines, strange


def _files(session: Session, place: Index, project: str | None, unused_for: str | None) -> list[File]:
    wanted = {"project": project, "unused_for": unused_for}
    query = {key: value for key, value in wanted.items() if value is not None}
    found: list[File] = []
    after: str | None = ""
    while after is not None:
        url = urls.with_query(urls.child(place.url, "+cached"), **query, after=after)
        try:
            result = session.api("GET", url, type="cachedfiles").result
        except Refused as error:
            advice = "devpi-server does not tell what it caches." if error.status == NOT_FOUND else error.advice
            raise Refused(error.status, error.what, advice) from None
        found += result["files"]
        after = result["after"] if result["files"] else None
    return found


def _show(out: Terminal, files: Sequence[File]) -> None:
    rows = [
        (
            _day(_last_use(file)),
            str(file.get("uses", "")),
            bytes_text(file["size"]),
            _basename(file),
            file["index"],
            _pinned(file),
        )
        for file in files
    ]
    if rows:
        out.table(("last used", "uses", "size", "file", "index", "pinned"), rows)
    total = bytes_text(sum(file["size"] or 0 for file in files))
    out.info(f"{len(files)} file{'s' * (len(files) != 1)}, {total}")


def _print_requirements(out: Terminal, files: Sequence[File]) -> None:
    lines, strange = pinned_by_hash(files)
    for line in lines:
        out.line(line)
    for filename in strange:
        out.warn(f"{filename} is left out: its name does not say which version it is")


def _basename(file: File) -> str:
    return str(file["path"]).rpartition("/")[2]


def _version(filename: str) -> str | None:
    try:
        parse = parse_wheel_filename if filename.endswith(".whl") else parse_sdist_filename
        return str(parse(filename)[1])
    except (InvalidWheelFilename, InvalidSdistFilename):
        return None


def _last_use(file: File) -> float:
    at: float = file["fetched_at"] if file["used_at"] is None else file["used_at"]
    return at


def _day(moment: float) -> str:
    return time.strftime("%Y-%m-%d", time.gmtime(moment))


def _pinned(file: File) -> str:
    return "" if file["pinned"] is None else str(file["pinned"]) or "yes"
