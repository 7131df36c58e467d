"""`devpi test`: a release is downloaded, its own tests run with tox, the result goes back to the index."""

import re
import shlex
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from stilton_client import candidates, releases, testruns, urls
from stilton_client.candidates import Candidate
from stilton_client.command import command
from stilton_client.errors import Failure
from stilton_client.session import Index, Session
from stilton_client.testruns import Outcome, Ways


@command(
    "test",
    example="""devpi test mypkg
               devpi test -e py313 --no-upload 'mypkg==2.0'
               devpi test --tox-args='-v -- -k fast' mypkg
               devpi test --select 'manylinux.*x86_64' --index team/staging mypkg
               devpi test --list mypkg""",
    json=True,
)
@click.argument("specs", nargs=-1, required=True, metavar="PKGSPEC...")
@click.option("-e", "envname", metavar="ENVNAME", help="environment of tox to run; several with commas")
@click.option("-c", "ini", metavar="PATH", help="configuration of tox: a file here, or else in the package")
@click.option("--fallback-ini", metavar="PATH", help="the same, for a package that has none")
@click.option("--tox-args", metavar="ARGS", default="", help="more arguments for tox, in one word: --tox-args='-v'")
@click.option("--no-upload", is_flag=True, help="do not post the results")
@click.option("--index", metavar="INDEX", help="NAME, USER/NAME or URL of the index")
@click.option("-s", "--select", metavar="REGEX", help="test the files whose names match")
@click.option("-l", "--list", "listing", is_flag=True, help="only say which files would be tested")
def test_(session: Session, specs: tuple[str, ...], *, index: str | None, listing: bool, **options: Any) -> None:  # noqa: ANN401 - click's
    """Download the newest version that matches, run its tests with tox, post the result to the index.

    The tests run code of the package as you, and can read the login that lets pip use the index.
    """
    place = session.index(index)
    selector = _selector(options["select"])
    found = [_candidate(session, place, spec, selector) for spec in specs]
    if listing:
        _list(session, found)
        return
    ways = _ways(session, **options)
    with tempfile.TemporaryDirectory(prefix="devpi-test-", ignore_cleanup_errors=True) as folder:
        jobs = []
        for number, candidate in enumerate(found):
            jobs += testruns.prepared(session, candidate, ways, Path(folder) / str(number))
        outcomes = [testruns.tested(session, place, job, upload=ways.upload) for job in jobs]
    session.terminal.data([asdict(outcome) for outcome in outcomes])
    _conclude(outcomes)


def _candidate(session: Session, index: Index, spec: str, selector: re.Pattern[str] | None) -> Candidate:
    wanted = releases.wanted(spec)
    reply = session.api("GET", index.project(wanted.name), type="projectconfig")
    candidate = candidates.choose(wanted, reply.result, reply.url, selector)
    for link in candidate.skipped:
        session.terminal.note(f"only universal wheels supported, found {link.basename}; --select takes others")
    return candidate


def _selector(text: str | None) -> re.Pattern[str] | None:
    try:
        return re.compile(text) if text else None
    except re.error as error:
        raise click.UsageError(f"--select {text!r} is no regular expression: {error}") from error


def _list(session: Session, found: Sequence[Candidate]) -> None:
    out = session.terminal
    out.info("would test:")
    for candidate in found:
        for link in candidate.tested:
            out.line(f"   {urls.hidden(link.href)}")
    out.data(
        [{"project": each.project, "version": each.version, "url": link.href} for each in found for link in each.tested]
    )


def _ways(session: Session, *, tox_args: str, no_upload: bool, select: str | None, **options: Any) -> Ways:  # noqa: ANN401
    del select
    try:
        arguments = shlex.split(tox_args)
    except ValueError as error:
        raise click.UsageError(f"--tox-args {tox_args!r}: {error}") from error
    return Ways(tox=testruns.tox(session), arguments=arguments, upload=not no_upload, **options)


def _conclude(outcomes: Sequence[Outcome]) -> None:
    """Raises Failure unless every test passed and every result arrived."""
    failed = [outcome for outcome in outcomes if outcome.exit_code]
    lost = [outcome for outcome in outcomes if outcome.result in ("refused", "missing")]
    if failed:
        names = ", ".join(urls.basename(outcome.url) for outcome in failed)
        raise Failure(f"tox command failed {failed[0].exit_code}", f"Tests that failed: {names}.")
    if lost:
        names = ", ".join(urls.basename(outcome.url) for outcome in lost)
        raise Failure(f"{len(lost)} of {len(outcomes)} results did not reach the index", f"They are of: {names}.")
