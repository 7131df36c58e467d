"""Filling a server's cache: from what a person wants to files that were read, and what could not be had.

sources ── lock files ──────────────► pins ┐
        └─ names, requirement files ─► pins ┤ (an installer resolves; or the newest versions, without dependencies)
                                           ▼
                      pages of all projects ─► files that the targets install ─► read to their ends
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import product

from packaging.utils import canonicalize_name

from stilton_client import pins, resolvers, warming
from stilton_client.errors import Failure
from stilton_client.pins import Missing, Pin
from stilton_client.requirements import Asked
from stilton_client.resolvers import Question
from stilton_client.session import Session
from stilton_client.simple import File, Page
from stilton_client.sources import Sources
from stilton_client.targets import Target
from stilton_client.warming import Job, Read


@dataclass(frozen=True)
class Wish:
    """A file that has to be there."""

    pin: Pin
    file: File


@dataclass
class Priming:
    """One run. `lacks`: what could not be had -> why; `elsewhere`: what comes from no index; both grow."""

    session: Session
    simple: str
    targets: Sequence[Target]
    workers: int
    all_files: bool = False
    lacks: dict[tuple[str, str], None] = field(default_factory=dict)
    elsewhere: dict[str, None] = field(default_factory=dict)
    _pages: dict[str, Page | Failure | None] = field(default_factory=dict)

    def wishes(self, sources: Sources, *, deps: bool) -> list[Wish]:
        """The files to fetch. Asks the index for pages, and an installer to resolve if `deps`. Raises Failure."""
        wanted = list(self._locked(sources))
        if sources.names or sources.files:
            wanted += self._resolved(sources) if deps else self._newest(sources.asked())
        self._see(pin.project for pin, _ in wanted)
        found: dict[str, Wish] = {}
        for pin, target in wanted:
            for file in self._files(pin, target):
                found.setdefault(file.url, Wish(pin, file))
        return sorted(found.values(), key=lambda wish: (wish.pin.project, wish.file.filename))

    def fetch(self, wishes: Sequence[Wish]) -> list[Read]:
        """Read files and the metadata beside them; what cannot be had is a lack, too."""
        jobs = {job: wish for wish in wishes for job in _jobs(wish)}
        sizes = [wish.file.size for wish in wishes]
        total = None if None in sizes else sum(size or 0 for size in sizes)
        done = warming.files(self.session, list(jobs), total, self.workers)
        for read in done:
            if read.failure is not None:
                self._lack(read.job.name, read.failure)
        return [read for read in done if read.failure is None]

    def _locked(self, sources: Sources) -> Iterator[tuple[Pin, Target]]:
        for (name, lock), target in product(sources.locks, self.targets):
            self.elsewhere |= dict.fromkeys(lock.elsewhere)
            try:
                found = lock.pins(target)
            except Failure as failure:
                self._lack(f"{name} for {target}", failure.what)
                continue
            yield from ((pin, target) for pin in found)

    def _resolved(self, sources: Sources) -> Iterator[tuple[Pin, Target]]:
        self._see(each.name for each in sources.names)
        # pip stops at the first name that is not there; the others go on without it.
        names = [each for each in sources.names if self._is_offered(Asked(each))]
        if not names and not sources.files:
            return
        question = Question(tuple(map(str, names)), sources.files)
        with (
            resolvers.resolver(self.session, self.simple) as installer,
            self.session.terminal.progress("resolving", len(self.targets)) as bar,
        ):
            for target in self.targets:
                try:
                    answer = installer.resolve(question, target)
                except Failure as failure:
                    self._lack(f"what is needed for {target}", failure.what)
                else:
                    self.elsewhere |= dict.fromkeys(answer.elsewhere)
                    yield from ((pin, target) for pin in answer.pins)
                bar.advance(1)

    def _newest(self, asked: Sequence[Asked]) -> Iterator[tuple[Pin, Target]]:
        counting = [
            (each, target)
            for each, target in product(asked, self.targets)
            if pins.holds(str(each.requirement.marker or ""), target)
        ]
        self._see(each.requirement.name for each, _ in counting)
        for each, target in counting:
            requirement, page = each.requirement, self._page(each.requirement.name)
            if page is None:
                continue
            try:
                yield pins.newest(requirement, page, target, each.hashes), target
            except Missing as missing:
                self._lack(str(requirement), str(missing))

    def _files(self, pin: Pin, target: Target) -> list[File]:
        page = self._page(pin.project)
        if page is None:
            return []
        try:
            return pins.choose(pin, page, target, every=self.all_files)
        except Missing as missing:
            self._lack(str(pin), str(missing))
            return []

    def _is_offered(self, asked: Asked) -> bool:
        page = self._page(asked.requirement.name)
        if page is None:
            return False
        versions = (str(file.version) for file in page)
        if any(asked.requirement.specifier.contains(version, prereleases=True) for version in versions):
            return True
        self._lack(str(asked.requirement), "no such version")
        return False

    def _see(self, projects: Iterable[str]) -> None:
        """Fetch the pages that were not fetched yet."""
        missing = set(map(canonicalize_name, projects)) - self._pages.keys()
        self._pages |= warming.pages(self.session, self.simple, missing, self.workers)

    def _page(self, project: str) -> Page | None:
        """A page that was seen; where there is none, that is a lack."""
        found = self._pages[canonicalize_name(project)]
        if found is None:
            self._lack(project, "no such project")
        elif isinstance(found, Failure):
            self._lack(project, found.what.splitlines()[-1])
        else:
            return found
        return None

    def _lack(self, what: str, why: str) -> None:
        self.lacks[what, why] = None


def _jobs(wish: Wish) -> Iterator[Job]:
    file = wish.file
    said = {name.lower(): pins.spelled(name, digest) for name, digest in file.hashes.items()}
    locked = (known for known in wish.pin.hashes if known.partition(":")[0] not in said)
    yield Job(file.url, file.filename, frozenset((*said.values(), *locked)))
    if file.metadata is not None:
        hashes = frozenset(pins.spelled(name, digest) for name, digest in file.metadata.items())
        yield Job(f"{file.url}.metadata", f"{file.filename}.metadata", hashes, is_counted=False)
