"""`devpi test`: a release is downloaded, its own tests run with tox, the result goes back to the index.

Which files are tested: source distributions and wheels that are for every Python 3 (`py3-none-any`, also with `py2`);
`--select` takes any file by a regular expression. devpi-client wanted `py2.py3` of a wheel; nobody makes those any
more. The tests themselves always come from a source distribution.
"""

import configparser
import contextlib
import hashlib
import importlib.util
import json
import re
import shlex
import sys
import tempfile
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import click
from packaging.utils import InvalidWheelFilename, parse_wheel_filename

from stilton_client import children, releases, unpacking, urls, venvs
from stilton_client.children import Child
from stilton_client.command import command
from stilton_client.errors import Failure
from stilton_client.releases import Link, Wanted
from stilton_client.session import Index, Session

COULD_NOT_RUN = 2  # tox's exit code
_HASHES = ("sha512", "sha384", "sha256", "blake2b", "sha1", "md5")


@dataclass(frozen=True)
class Release:
    """What is to be tested of a version: its files, and the one that has the tests. `skipped`: wheels for some only."""

    project: str
    version: str
    source: Link
    tested: Sequence[Link]
    skipped: Sequence[Link] = ()


@dataclass(frozen=True)
class Ways:
    """How tox is run: what calls it, its options, and whether results are posted."""

    tox: Sequence[str]
    envname: str | None
    ini: str | None
    fallback_ini: str | None
    arguments: Sequence[str]
    upload: bool


@dataclass(frozen=True)
class Job:
    """One run of tox: for which file, with which command line, in which copy of the sources, and where it reports."""

    release: Release
    link: Link
    line: Sequence[str]
    sources: Path
    report: Path


@dataclass(frozen=True)
class Outcome:
    """How the test of one file ended. `result`: `posted`, `refused`, `missing` or `kept` (nobody wanted it posted)."""

    project: str
    version: str
    url: str
    exit_code: int
    result: str
    message: str = ""


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

    The tests run code of the package as you, and see the login that lets pip use the index.
    """
    place = session.index(index)
    selector = _selector(options["select"])
    found = [_release(session, place, spec, selector) for spec in specs]
    if listing:
        _list(session, found)
        return
    ways = _ways(session, **options)
    with tempfile.TemporaryDirectory(prefix="devpi-test-", ignore_cleanup_errors=True) as folder:
        jobs = []
        for number, release in enumerate(found):
            jobs += _prepare(session, release, ways, Path(folder) / str(number))
        outcomes = [_test(session, place, job, upload=ways.upload) for job in jobs]
    session.terminal.data([asdict(outcome) for outcome in outcomes])
    _conclude(outcomes)


# -- what is tested --------------------------------------------------------------------------------


def choose(wanted: Wanted, project: Mapping[str, Any], base: str, selector: re.Pattern[str] | None = None) -> Release:
    """The newest version that matches, of a project's JSON. Raises Failure when there is nothing to test."""
    version = next((each for each in releases.newest_first(project) if wanted.matches(each)), None)
    if version is None:
        spec = wanted.requirement or f"{wanted.name}=={wanted.literal}"
        raise Failure(f"could not find/receive links for {spec}", f"See what there is: devpi list {wanted.name} --all")
    links = releases.links(project[version], base, "releasefile")
    sources = [link for link in links if unpacking.can_unpack(link.basename)]
    if not sources:
        raise Failure(
            f"{wanted.name} {version}: need at least one sdist distribution", "Only a source distribution has tests."
        )
    if selector is not None:
        tested = [link for link in links if selector.search(link.basename)]
    else:
        tested = [link for link in links if link in sources or _is_for_every_python(link.basename)]
    if not tested:
        raise Failure(f"no file of {wanted.name} {version} matches", "See their names: devpi test --list")
    skipped = [link for link in links if link not in tested] if selector is None else []
    return Release(wanted.name, version, sources[0], tested, skipped)


def _is_for_every_python(filename: str) -> bool:
    try:
        tags = parse_wheel_filename(filename)[3]
    except InvalidWheelFilename:
        return False
    return any(str(tag) == "py3-none-any" for tag in tags)


def _release(session: Session, index: Index, spec: str, selector: re.Pattern[str] | None) -> Release:
    wanted = releases.wanted(spec)
    reply = session.api("GET", index.project(wanted.name), type="projectconfig")
    release = choose(wanted, reply.result, reply.url, selector)
    for link in release.skipped:
        session.terminal.note(f"only universal wheels supported, found {link.basename}; --select takes others")
    return release


def _selector(text: str | None) -> re.Pattern[str] | None:
    try:
        return re.compile(text) if text else None
    except re.error as error:
        raise click.UsageError(f"--select {text!r} is no regular expression: {error}") from error


def _list(session: Session, found: Sequence[Release]) -> None:
    out = session.terminal
    out.info("would test:")
    for release in found:
        for link in release.tested:
            out.line(f"   {urls.hidden(link.href)}")
    out.data([{"project": r.project, "version": r.version, "url": link.href} for r in found for link in r.tested])


# -- running it ------------------------------------------------------------------------------------


def _ways(session: Session, *, tox_args: str, no_upload: bool, select: str | None, **options: Any) -> Ways:  # noqa: ANN401
    del select
    try:
        arguments = shlex.split(tox_args)
    except ValueError as error:
        raise click.UsageError(f"--tox-args {tox_args!r}: {error}") from error
    return Ways(tox=_tox(session), arguments=arguments, upload=not no_upload, **options)


def _tox(session: Session) -> list[str]:
    """Raises Failure when there is no tox."""
    venv = venvs.chosen(None, session.state, session.environ, session.cwd)
    found = (children.find("tox", session.environ, venv) if venv else None) or children.find("tox", session.environ)
    if found is not None:
        return [str(found)]
    if importlib.util.find_spec("tox") is not None:
        return [sys.executable, "-m", "tox"]
    raise Failure("no tox binary found", "Install it: pip install tox, or this command with it: stilton[test]")


def _prepare(session: Session, release: Release, ways: Ways, folder: Path) -> list[Job]:
    """A fresh copy of the sources for each file. Raises Failure for files that are not what the index says."""
    paths: dict[str, Path] = {}
    for link in (release.source, *release.tested):
        if link.href not in paths:
            paths[link.href] = _download(session, link, folder / f"download{len(paths)}")
    jobs = []
    for number, link in enumerate(release.tested):
        source = link if unpacking.can_unpack(link.basename) else release.source
        room = folder / f"test{number}"
        session.terminal.note(f"unpacking {paths[source.href]} to {room}")
        unpacking.unpack(paths[source.href], room)
        report = folder / f"toxreport{number}.json"
        line = _line(ways, _top(room), paths[link.href], report, session.cwd)
        jobs.append(Job(release, link, line, _top(room), report))
    return jobs


def _test(session: Session, index: Index, job: Job, *, upload: bool) -> Outcome:
    login = session.login_for(index.simple)
    ours = session.state.root is not None and urls.same_server(index.root, session.state.root)
    trusted = ours and bool(session.state.current.get("settrusted"))
    added = children.index_environment(index.simple, login, session.environ, trusted=trusted)
    status = children.run(Child(job.line, job.sources, {**session.environ, **added}), session.terminal)
    result, message = "kept", ""
    if upload and status == COULD_NOT_RUN:
        session.terminal.note("tox could not run: there is no result to post")
    elif upload:
        result, message = _hand_in(session, index, job)
    return Outcome(job.release.project, job.release.version, job.link.href, status, result, message)


def _download(session: Session, link: Link, folder: Path) -> Path:
    """Raises Failure when its bytes are not those that the index promised."""
    name = link.basename
    if name != Path(name).name or name in ("", ".", ".."):
        raise Failure(f"{urls.hidden(link.href)} has no name for a file", "Something is wrong with the index.")
    hashes = {algorithm: hashlib.new(algorithm) for algorithm in _HASHES if algorithm in link.hashes}
    folder.mkdir(parents=True)
    with (folder / name).open("wb") as file, session.terminal.progress(name, None, in_bytes=True) as bar:

        def take(chunk: bytes) -> None:
            file.write(chunk)
            bar.advance(len(chunk))
            for each in hashes.values():
                each.update(chunk)

        session.http.download(link.href, take)
    for algorithm, each in hashes.items():
        if each.hexdigest() != link.hashes[algorithm].lower():
            what = f"{urls.hidden(link.href)}: {algorithm} is {each.hexdigest()}, expected {link.hashes[algorithm]}"
            raise Failure(what, "Somebody changed it on its way, or on the server's disk: do not use it.")
    session.terminal.note(f"received {urls.hidden(link.href)}")
    return folder / name


def _top(folder: Path) -> Path:
    """The one folder that sources are in."""
    inside = [path for path in folder.iterdir() if path.is_dir() and not path.is_symlink()]
    return inside[0] if len(inside) == 1 else folder


def _line(ways: Ways, sources: Path, archive: Path, report: Path, cwd: Path) -> list[str]:
    """tox's command line. A configuration from elsewhere works on the sources, not on what is around it."""
    own = tox_config(sources)
    named = ways.ini or (None if own else ways.fallback_ini)
    ini = _named_config(named, cwd, sources) if named else own
    if ini is None:
        raise Failure(
            f"no tox.ini/pyproject.toml/setup.cfg/tox.toml file found in {sources.name}", "--fallback-ini gives one."
        )
    line = [*ways.tox, "--installpkg", str(archive), "--recreate", "--result-json", str(report), "-c", str(ini)]
    if not ini.is_relative_to(sources):
        line += ["--root", str(sources)]
    return [*line, *(["-e", ways.envname] if ways.envname else []), *ways.arguments]


def tox_config(folder: Path) -> Path | None:
    """The file that tox would take, in tox's own order."""
    if (folder / "tox.ini").is_file():
        return folder / "tox.ini"
    if _has_section(folder / "setup.cfg"):
        return folder / "setup.cfg"
    if _has_table(folder / "pyproject.toml"):
        return folder / "pyproject.toml"
    return folder / "tox.toml" if (folder / "tox.toml").is_file() else None


def _has_section(path: Path) -> bool:
    parser = configparser.RawConfigParser(strict=False)
    with contextlib.suppress(OSError, UnicodeDecodeError, configparser.Error):
        parser.read_string(path.read_text(encoding="utf-8"))
        return parser.has_section("tox:tox")
    return False


def _has_table(path: Path) -> bool:
    with contextlib.suppress(OSError, ValueError):
        tool = tomllib.loads(path.read_text(encoding="utf-8")).get("tool")
        return isinstance(tool, dict) and "tox" in tool
    return False


def _named_config(named: str, cwd: Path, sources: Path) -> Path:
    """A file here, or else in the package. Raises Failure."""
    for place in (cwd / Path(named).expanduser(), sources / named):
        if place.is_file():
            return place
    raise Failure(f"file does not exist: {named}", f"It is neither in {cwd} nor in the package.")


# -- the result ------------------------------------------------------------------------------------


def _hand_in(session: Session, index: Index, job: Job) -> tuple[str, str]:
    """What became of the result, and the server's words about it."""
    out = session.terminal
    link = job.link
    try:
        result = json.loads(job.report.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        out.error(f"tox left no result that can be read ({error})")
        return "missing", ""
    out.note(f"posting tox result data to {urls.hidden(link.href)}")
    try:
        reply = session.api("POST", link.href, children.without_login(result, session.login_for(index.simple)))
    except Failure as failure:
        out.error("\n".join(filter(None, (failure.what, failure.advice))))
        return "refused", failure.what
    out.info(f"success {reply.message}".strip())
    return "posted", reply.message


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
