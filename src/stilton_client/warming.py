"""Reads an index's pages and files to their ends, several at once, so that its server has them afterwards.

What is read is counted, compared with its hashes and thrown away. Each worker has connections of its own. Workers are
daemons: whoever interrupts the command does not wait for a server that is slow.
"""

import hashlib
import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from queue import Empty, SimpleQueue
from typing import Generic, TypeVar

from stilton_client import simple, urls
from stilton_client.errors import Failure, Refused, Unreachable
from stilton_client.http import CHUNK, Http, Reply
from stilton_client.http import reply as http_reply
from stilton_client.pins import spelled
from stilton_client.session import Session
from stilton_client.simple import Page

J = TypeVar("J")
R = TypeVar("R")

# A transfer that breaks off is tried once more: what the server has of it already is not asked upstream again.
TRIES = 2
# Those whose sums have one length.
_SUMS = hashlib.algorithms_guaranteed - {"shake_128", "shake_256"}


@dataclass(frozen=True)
class Job:
    """A file to read; `name` is for people. `hashes` ("sha256:…"): of each kind that is named one has to be right.

    `is_counted`: its bytes are of those that the bar expects.
    """

    url: str
    name: str
    hashes: frozenset[str] = frozenset()
    is_counted: bool = True


@dataclass(frozen=True)
class Read:
    """What became of a job. `size` in bytes; `failure` is why the file cannot be had."""

    job: Job
    size: int
    failure: str | None = None


def pages(session: Session, index: str, projects: Collection[str], workers: int) -> dict[str, Page | Failure | None]:
    """The page of each project: None if the index has none, a Failure if it cannot be had now.

    Raises Unreachable when the server does not answer, Refused when it wants another login.
    """

    def one(http: Http, project: str, heard: Callable[[int], None]) -> tuple[str, Page | Failure | None]:
        del heard
        try:
            return project, simple.page(http, index, project)
        except Refused as refused:
            if refused.status in (401, 403):
                raise
            return project, refused

    found: dict[str, Page | Failure | None] = {}
    if not projects:
        return found
    try:
        with session.terminal.progress("pages", len(projects)) as bar:
            for project, page in _in_parallel(session, workers, sorted(projects), one, bar.advance):
                found[project] = page
                bar.advance(1)
    except Refused as refused:
        reason = HTTPStatus(refused.status).phrase
        raise session.refused(Reply("GET", index, refused.status, reason, {}, None)) from refused
    return found


def files(session: Session, jobs: Sequence[Job], size: int | None, workers: int) -> list[Read]:
    """Read files; `size` of all together in bytes, None if nobody knows. What cannot be had does not stop the rest."""
    with session.terminal.progress("files", size, in_bytes=True) as bar:
        return list(_in_parallel(session, workers, jobs, _read, bar.advance))


def _read(http: Http, job: Job, heard: Callable[[int], None]) -> Read:
    for left in reversed(range(TRIES)):
        try:
            return _read_once(http, job, heard)
        except Unreachable as failure:
            if not left:
                return Read(job, 0, failure.what)
    raise AssertionError  # pragma: no cover - the last try returns


def _read_once(http: Http, job: Job, heard: Callable[[int], None]) -> Read:
    kinds = {known.partition(":")[0] for known in job.hashes} & _SUMS
    sums = {kind: hashlib.new(kind, usedforsecurity=False) for kind in kinds}
    size = 0
    with http.open("GET", job.url, headers={"Accept": "*/*", "Accept-Encoding": "identity"}) as response:
        place = urls.join(job.url, response.geturl() or "")
        if response.status != 200:
            said = http_reply("GET", job.url, response).message
            return Read(job, 0, said or f"{response.status} {response.reason or ''}".rstrip())
        if not urls.same_server(place, job.url):
            return Read(job, 0, f"the server keeps no copy, it sends to {urls.host(place)}")
        for chunk in response.stream(CHUNK):
            size += len(chunk)
            if job.is_counted:
                heard(len(chunk))
            for each in sums.values():
                each.update(chunk)
    wrong = [kind for kind, each in sums.items() if spelled(kind, each.hexdigest()) not in job.hashes]
    return Read(job, size, f"its {wrong[0]} is not the one that was promised" if wrong else None)


@dataclass(frozen=True)
class _Done(Generic[R]):
    result: R


def _in_parallel(
    session: Session,
    workers: int,
    jobs: Collection[J],
    work: Callable[[Http, J, Callable[[int], None]], R],
    heard: Callable[[int], object],
) -> Iterator[R]:
    """Results as they come; `heard` (in this thread) of the bytes between. What `work` raises is raised here."""
    todo: SimpleQueue[J] = SimpleQueue()
    news: SimpleQueue[int | str | _Done[R] | Exception] = SimpleQueue()
    stop = threading.Event()
    for job in jobs:
        todo.put(job)
    for _ in range(min(workers, len(jobs))):
        # Only this thread speaks: one that writes while Python ends would crash it.
        http = Http(session.environ, session.login_for, debug=news.put)
        threading.Thread(target=_labour, args=(http, todo, news, work, stop), daemon=True).start()
    left = len(jobs)
    try:
        while left:
            match news.get():
                case _Done(result):
                    left -= 1
                    yield result
                case int(amount):
                    heard(amount)
                case str(text):
                    session.terminal.debug(text)
                case error:
                    raise error
    finally:
        stop.set()


def _labour(
    http: Http,
    todo: "SimpleQueue[J]",
    news: "SimpleQueue[int | str | _Done[R] | Exception]",
    work: Callable[[Http, J, Callable[[int], None]], R],
    stop: threading.Event,
) -> None:
    try:
        while not stop.is_set():
            news.put(_Done(work(http, todo.get_nowait(), news.put)))
    except Empty:
        pass
    except Exception as error:  # noqa: BLE001 - raised again in the thread that reads the results
        news.put(error)
