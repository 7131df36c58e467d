"""`devpi prime`: fills the server's cache, so that installs go on without a network."""

from collections.abc import Sequence

import click

from stilton_client import pinning, sources
from stilton_client.command import command
from stilton_client.errors import EXIT_FAILED
from stilton_client.priming import Priming, Wish
from stilton_client.session import Session
from stilton_client.targets import targets
from stilton_client.terminal import Terminal, bytes_text
from stilton_client.warming import Read

WORKERS = 4
MAX_WORKERS = 32


@command(
    "prime",
    example="""devpi prime -r requirements.txt
               devpi prime uv.lock --python 3.12 --platform linux --platform macos
               devpi prime 'django>=5' --platform windows --dry-run
               devpi prime --no-deps --all-files pip uv setuptools
               devpi prime -r requirements.txt --pin 'release 7'""",
    json=True,
)
@click.argument("what", nargs=-1, metavar="[NAME|REQUIREMENT|FILE]...")
@click.option("-r", "--requirement", "files", multiple=True, metavar="FILE", help="a requirement file or a lock file")
@click.option("--python", "pythons", multiple=True, metavar="VERSION", help="for this Python, such as 3.12  [ours]")
@click.option(
    "--platform",
    "platforms",
    multiple=True,
    metavar="PLATFORM",
    help="for linux, linux-aarch64, musllinux, macos, macos-x86_64, windows, windows-arm64,"
    " or a tag such as manylinux_2_28_x86_64  [this one]",
)
@click.option("--all-files", is_flag=True, help="every file of each version, whatever it is for")
@click.option("--no-deps", is_flag=True, help="only what is named, not what it needs")
@click.option("--index", metavar="INDEX", help="the index to fill, USER/NAME or URL  [the one in use]")
@click.option(
    "--jobs",
    type=click.IntRange(1, MAX_WORKERS),
    default=WORKERS,
    show_default=True,
    metavar="N",
    help="files to fetch at once",
)
@click.option("--pin", "reason", metavar="REASON", help="also keep the mirrors from evicting it; yours, or as root")
@click.option("--dry-run", is_flag=True, help="only list what would be fetched")
def prime_(
    session: Session,
    what: Sequence[str],
    files: Sequence[str],
    pythons: Sequence[str],
    platforms: Sequence[str],
    *,
    all_files: bool,
    no_deps: bool,
    index: str | None,
    jobs: int,
    reason: str | None,
    dry_run: bool,
) -> int:
    """Fill the server's cache with what is named and all it needs, for work without a network.

    FILE is requirements.txt, pylock.toml, uv.lock, poetry.lock, pdm.lock or Pipfile.lock. Of a lock file the files
    with the locked hashes are fetched that the chosen Pythons and platforms install; for names and requirement files
    pip resolves what is needed first (or uv, where there is no pip). Nothing is installed.

    It may be interrupted and run again: what the server has is not fetched from its upstream again. Ends with a list
    of what could not be had, and then with exit code 1.
    """
    chosen = targets(pythons, platforms)
    place = session.index(index)
    wanted = sources.read(what, files, session.cwd, place.url)
    priming = Priming(session, place.simple, chosen, jobs, all_files)
    session.terminal.note(f"filling {place.url} for {', '.join(map(str, chosen))}")
    wishes = priming.wishes(wanted, deps=not no_deps)
    done = [] if dry_run else priming.fetch(wishes)
    _report(session.terminal, priming, wishes, done, dry_run=dry_run)
    failed = bool(priming.lacks)
    if reason is not None and not dry_run:
        fetched = {read.job.url for read in done}
        failed |= _pin(session, [wish.file.url for wish in wishes if wish.file.url in fetched], reason)
    return EXIT_FAILED if failed else 0


def _pin(session: Session, files: Sequence[str], reason: str) -> bool:
    """Whether some could not be pinned."""
    count, refused = pinning.pin(session, files, reason)
    session.terminal.info(f"{count} file{'s' * (count != 1)} pinned")
    for index, why in refused.items():
        session.terminal.error(f"files of {index} are not pinned: {why}")
    return bool(refused)


def _report(out: Terminal, priming: Priming, wishes: Sequence[Wish], done: Sequence[Read], *, dry_run: bool) -> None:
    """What is there, and each thing that could not be had with the reason."""
    sizes = {read.job.url: read.size for read in done}
    there = wishes if dry_run else [wish for wish in wishes if wish.file.url in sizes]
    if dry_run:
        _list(out, there, [wish.file.size for wish in there])
        out.info(f"{_files(there)} would be fetched")
    else:
        if out.verbose:
            _list(out, there, [sizes[wish.file.url] for wish in there])
        out.info(f"{_files(there)} {'is' if len(there) == 1 else 'are'} there, {bytes_text(sum(sizes.values()))}")
    _tell_builds(out, priming, there)
    for each in priming.elsewhere:
        out.line(f"not from an index: {each}")
    if priming.lacks:
        out.line()
        out.table(("could not be had", "why"), sorted(priming.lacks))
    out.data(_data(priming, there, sizes, dry_run=dry_run))


def _list(out: Terminal, wishes: Sequence[Wish], sizes: Sequence[int | None]) -> None:
    rows = [(wish.pin.project, wish.file.filename, bytes_text(size)) for wish, size in zip(wishes, sizes, strict=True)]
    if rows:
        out.table(("project", "file", "size"), rows)


def _tell_builds(out: Terminal, priming: Priming, there: Sequence[Wish]) -> None:
    """Of what pip resolved it fetched the tools that build it, of a lock's sdists nobody knows them."""
    built = [wish.file.filename for wish in there if not wish.file.is_wheel and not wish.pin.named]
    if built and not priming.all_files:
        out.warn(f"{', '.join(built)} will have to be built: name what builds it, too (setuptools, hatchling, …)")


def _data(priming: Priming, there: Sequence[Wish], sizes: dict[str, int], *, dry_run: bool) -> dict[str, object]:
    files = [
        {
            "project": wish.pin.project,
            "version": wish.pin.version,
            "file": wish.file.filename,
            "url": wish.file.url,
            "bytes": sizes.get(wish.file.url, wish.file.size),
        }
        for wish in there
    ]
    return {
        "fetched": [] if dry_run else files,
        "would_fetch": files if dry_run else [],
        "failed": [{"what": what, "why": why} for what, why in sorted(priming.lacks)],
        "elsewhere": list(priming.elsewhere),
        "bytes": sum(sizes.values()),
    }


def _files(wishes: Sequence[Wish]) -> str:
    projects = len({wish.pin.project for wish in wishes})
    return f"{len(wishes)} file{'s' * (len(wishes) != 1)} of {projects} project{'s' * (projects != 1)}"
