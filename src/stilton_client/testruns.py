"""Test runs: files and sources fetched and unpacked, tox run on them, what it reports handed to the index."""

import hashlib
import importlib.util
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from stilton_client import children, credentials, toxconfig, unpacking, urls, venvs
from stilton_client.candidates import Candidate
from stilton_client.children import Child
from stilton_client.errors import Failure
from stilton_client.members import can_unpack
from stilton_client.releases import Link
from stilton_client.session import Index, Session

_HASHES = ("sha512", "sha384", "sha256", "blake2b", "sha1", "md5")


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

    candidate: Candidate
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


def tox(session: Session) -> list[str]:
    """What calls tox: of the environment in use, of PATH, ours. Raises Failure when there is none."""
    venv = venvs.chosen(None, session.state, session.environ, session.cwd)
    found = (children.find("tox", session.environ, venv) if venv else None) or children.find("tox", session.environ)
    if found is not None:
        return [str(found)]
    if importlib.util.find_spec("tox") is not None:
        return [sys.executable, "-m", "tox"]
    raise Failure("no tox binary found", "Install it: pip install tox, or beside this: pip install 'stilton[test]'")


def prepared(session: Session, candidate: Candidate, ways: Ways, folder: Path) -> list[Job]:
    """A fresh copy of the sources for each file. Raises Failure for files that are not what the index says."""
    paths: dict[str, Path] = {}
    for link in (candidate.source, *candidate.tested):
        if link.href not in paths:
            paths[link.href] = _download(session, link, folder / f"download{len(paths)}")
    jobs = []
    for number, link in enumerate(candidate.tested):
        source = link if can_unpack(link.basename) else candidate.source
        room = folder / f"test{number}"
        session.terminal.note(f"unpacking {paths[source.href]} to {room}")
        unpacking.unpack(paths[source.href], room)
        report = folder / f"toxreport{number}.json"
        line = _line(ways, _top(room), paths[link.href], report, session.cwd)
        jobs.append(Job(candidate, link, line, _top(room), report))
    return jobs


def tested(session: Session, index: Index, job: Job, *, upload: bool) -> Outcome:
    """Run tox, then post what it reports, however it ended: tox ends with 2 also when the tests' command does."""
    with credentials.lent(session, index) as lent:
        # tox 3 hands NETRC on to pip if it is told so, tox 4 by itself since 4.23; overriding its pass_env would undo
        # what a configuration says under the older name, passenv.
        passed = {"TOX_TESTENV_PASSENV": f"{session.environ.get('TOX_TESTENV_PASSENV', '')} NETRC".strip()}
        environ = {**session.environ, **passed, **lent}
        status = children.run(Child(job.line, job.sources, environ), session.terminal)
    result, message = _hand_in(session, index, job) if upload else ("kept", "")
    return Outcome(job.candidate.project, job.candidate.version, job.link.href, status, result, message)


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

        session.http.download(link.href, take, sized=bar.expect)
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
    ini = toxconfig.chosen(sources, cwd, named=ways.ini, fallback=ways.fallback_ini)
    line = [*ways.tox, "--installpkg", str(archive), "--recreate", "--result-json", str(report), "-c", str(ini)]
    if not ini.is_relative_to(sources):
        line += ["--root", str(sources)]
    return [*line, *(["-e", ways.envname] if ways.envname else []), *ways.arguments]


def _hand_in(session: Session, index: Index, job: Job) -> tuple[str, str]:
    """What became of the result, and the server's words about it."""
    out = session.terminal
    link = job.link
    try:
        result = json.loads(job.report.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        out.error(f"tox left no result that can be read ({error}): nothing is posted")
        return "missing", ""
    out.note(f"posting tox result data to {urls.hidden(link.href)}")
    try:
        reply = session.api("POST", link.href, credentials.without_login(result, session.login_for(index.simple)))
    except Failure as failure:
        out.error("\n".join(filter(None, (failure.what, failure.advice))))
        return "refused", failure.what
    out.info(f"success {reply.message}".strip())
    return "posted", reply.message
