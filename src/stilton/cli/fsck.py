"""`devpi-fsck`: is everything that the database names on the disk, and right? What is checked: `upkeep.check`.

Ends with 0 when all is well, or was mended; with 1 when something is wrong, or when it cannot be checked.
"""

import asyncio
import contextlib
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import click
import msgspec

from stilton.cli import findings
from stilton.cli.options import CONTEXT, configfile_option, options, run, settled, version
from stilton.cli.progress import Teller, Words
from stilton.config import Config
from stilton.db import consistency, migrate
from stilton.db.consistency import Row
from stilton.db.database import connect
from stilton.domain.errors import SetupError, StiltonError
from stilton.serverdir import ServerDir
from stilton.upkeep import fsck, litter
from stilton.upkeep.bookmark import Bookmark, Finding, Progress
from stilton.upkeep.check import Flaw
from stilton.upkeep.telling import Telling

SAY_EVERY_S = 10.0
FETCHED_AGAIN = (Flaw.MISSING, Flaw.CORRUPT)


class Wish(msgspec.Struct, frozen=True):
    """The flags."""

    checksum: bool
    repair: bool
    refetch: bool
    resume: bool
    jobs: int
    json: str | None


@click.command(context_settings=CONTEXT, epilog="Example: devpi-fsck --serverdir /srv/devpi --json report.json")
@configfile_option
@click.option("--checksum/--no-checksum", default=True, help="read every file and compare its sha256  [yes]")
@click.option("--repair", is_flag=True, help="mend what can be mended, while the server is stopped")
@click.option("--refetch", is_flag=True, help="with --repair: fetch mirrored files that were dropped at once")
@click.option("--resume", is_flag=True, help="go on where an earlier check was interrupted")
@click.option("--jobs", type=click.IntRange(1, 64), default=2, help="threads that read files  [2]")
@click.option("--json", "json_to", metavar="FILE", help="write a report as JSON; - is stdout, words go to stderr then")
@options("serverdir", "storage")
@version
def check(configfile: str | None, *, json_to: str | None, **flags: Any) -> None:  # noqa: ANN401
    """Check that files, hashes and metadata are as the database says. The server may run, unless --repair is given."""
    wish = Wish(json=json_to, **{name: flags.pop(name) for name in ("checksum", "repair", "refetch", "resume", "jobs")})

    def work() -> None:
        _check(settled(configfile, flags), wish)

    run(work)


def _check(settings: Config, wish: Wish) -> None:
    place = ServerDir(settings.serverdir)
    _prepare(place, wish)
    telling: Telling = Words() if wish.json == "-" else Teller()
    bookmark = Bookmark(place.path)
    engine = connect(place.database)
    try:
        progress = _examine(telling, engine, place, bookmark, _begin(telling, bookmark, wish), wish)
        swept = fsck.sweep_now(engine, place.blobs, repair=wish.repair)
        left = litter.look(place, repair=wish.repair)
    finally:
        engine.dispose()
    bookmark.drop()
    for sentence in findings.summary(progress, swept, left, repair=wish.repair):
        telling.line(sentence)
    if wish.refetch:
        asyncio.run(_refetch(telling, settings, place, _dropped(progress)))
    if wish.json is not None:
        report = msgspec.json.encode(fsck.report(progress, swept, left))
        _write_report(wish.json, msgspec.json.format(report, indent=2) + b"\n", anew=True)
    if progress.unmended:
        advice = findings.advice(progress, repair=wish.repair)
        raise SetupError(f"There have been errors during consistency check.\n{advice}")


def _prepare(place: ServerDir, wish: Wish) -> None:
    place.check_data()
    if wish.refetch and not wish.repair:
        raise SetupError("--refetch goes with --repair: nothing is fetched again that was not dropped.")
    if wish.json is not None:
        # Known before hours of reading, and nothing is lost of an older report.
        _write_report(wish.json, b"")
    migrate.check(place.database)
    migrate.check_whole(place.database)
    if wish.repair:
        place.lock()


def _begin(telling: Telling, bookmark: Bookmark, wish: Wish) -> Progress:
    found = bookmark.read()
    if not wish.resume:
        if found is not None:
            telling.notice(f"An earlier check stopped after {found.rows} files; --resume would go on there.")
        return Progress(wish.checksum)
    if found is None or found.checksum != wish.checksum:
        telling.notice("No check of this kind was interrupted, this one begins at the beginning.")
        return Progress(wish.checksum)
    if wish.repair and found.unmended and not found.repair:
        telling.notice("What the interrupted check found is to be mended, too: this one begins at the beginning.")
        return Progress(wish.checksum)
    telling.notice(f"Going on after {found.rows} files.")
    return found


def _examine(
    telling: Telling,
    engine: Any,  # noqa: ANN401 - SQLAlchemy's
    place: ServerDir,
    bookmark: Bookmark,
    progress: Progress,
    wish: Wish,
) -> Progress:
    with engine.connect() as connection:
        serial, total = consistency.serial(connection), consistency.count(connection)
    telling.line(f"Checking at serial {serial}")
    shown: Counter[Flaw] = Counter()
    telling.begin("Checking", total)
    telling.step(progress.rows)
    said_at = time.monotonic()
    try:
        steps = fsck.examine(engine, place.blobs, bookmark, progress, repair=wish.repair, jobs=wish.jobs)
        # Closed at once, it notes how far it is; left to itself it might not.
        with contextlib.closing(steps):
            for state, found in steps:
                telling.step(state.rows - progress.rows)
                progress = state
                if time.monotonic() - said_at > SAY_EVERY_S:
                    said_at = time.monotonic()
                    telling.line(f"Processed a total of {state.rows} files (serial {serial}/{serial}) so far.")
                for finding in found:
                    _tell_one(telling, finding, shown)
    except KeyboardInterrupt:
        telling.notice(f"Stopped after {progress.rows} files; devpi-fsck --resume goes on there.")
        raise
    finally:
        telling.end()
    return progress


def _tell_one(telling: Telling, finding: Finding, shown: Counter[Flaw]) -> None:
    flaw = finding.problem.flaw
    shown[flaw] += 1
    if shown[flaw] == findings.SHOWN + 1:
        telling.line(findings.further(flaw))
    if shown[flaw] <= findings.SHOWN:
        telling.line(findings.line(finding))


def _dropped(progress: Progress) -> list[Row]:
    return [
        finding.problem.row
        for finding in progress.findings
        if finding.mended and finding.problem.row.is_mirror and finding.problem.flaw in FETCHED_AGAIN
    ]


async def _refetch(telling: Telling, settings: Config, place: ServerDir, rows: list[Row]) -> None:
    """Fetch files again, by the mirrors as they are configured."""
    from stilton.app import App  # noqa: PLC0415 - a second of imports that few checks need

    place.run.mkdir(mode=0o700, exist_ok=True)
    app = App(msgspec.structs.replace(settings, read_ahead=False))
    await app.open()
    count = 0
    try:
        for row in rows:
            try:
                await app.files.fetch(row.index, row.path)
            except StiltonError as error:
                telling.line(f"Not fetched again {row.name}: {error}")
            else:
                count += 1
    finally:
        await app.close()
    telling.line(f"Fetched {count} of {len(rows)} files again.")


def _write_report(target: str, text: bytes, *, anew: bool = False) -> None:
    """Raises SetupError."""
    if target == "-":
        sys.stdout.buffer.write(text)
        return
    try:
        with Path(target).open("wb" if anew else "ab") as file:
            file.write(text)
    except OSError as error:
        raise SetupError(f"The report {target} cannot be written: {error.strerror}.") from error
