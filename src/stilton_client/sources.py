"""What a person wants to be there: names, requirement files and lock files, read and checked.

A file is known by its name. Requirement files are read with the files that they include; one that names an index of
its own is refused, because pip would ask that index in place of ours: now, and when there is no network.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from stilton_client import locks, requirements, urls
from stilton_client.errors import EXIT_USAGE, Failure
from stilton_client.locks import Lock
from stilton_client.requirements import Asked, Line

# What ends so is meant as a file.
_SUFFIXES = (".txt", ".in", ".toml", ".lock")


@dataclass(frozen=True)
class Sources:
    """`names`: requirements of the command line; `files`: requirement files; `locks`: file name and content."""

    names: tuple[Requirement, ...]
    files: tuple[Path, ...]
    locks: tuple[tuple[str, Lock], ...]

    def asked(self) -> list[Asked]:
        """Each project that is asked for by itself, in names and files, with the files' constraints. Raises Failure."""
        said = [line for path in self.files for line in _tree(path)]
        limits: dict[str, SpecifierSet] = {}
        for each in _asked(line for line in said if line.is_constraint):
            name = canonicalize_name(each.requirement.name)
            limits[name] = limits.get(name, SpecifierSet()) & each.requirement.specifier
        found = [*map(Asked, self.names), *_asked(line for line in said if not line.is_constraint)]
        return [_limited(each, limits.get(canonicalize_name(each.requirement.name))) for each in found]


@dataclass(frozen=True)
class _Said:
    """A line in its file."""

    path: Path
    line: Line
    is_constraint: bool


def read(words: Sequence[str], files: Sequence[str], cwd: Path, index: str) -> Sources:
    """Sort what a person named. `index`: URL that a requirement file may name. Raises Failure."""
    named, paths = [], [cwd / file for file in files]
    for word in words:
        path = cwd / word
        if _is_known(path) and path.is_file():
            paths.append(path)
        else:
            named.append(_name(word, path))
    plain = tuple(path for path in paths if not locks.is_lock(path.name))
    for path in plain:
        _check(path, index)
    locked = tuple((path.name, locks.read(path.name, _text(path))) for path in paths if path not in plain)
    if not (named or plain or locked):
        raise Failure("Nothing is named", "Name projects, or files: devpi prime -r requirements.txt", code=EXIT_USAGE)
    return Sources(tuple(named), plain, locked)


def _is_known(path: Path) -> bool:
    is_listing = path.suffix in (".txt", ".in") and ("requirements" in path.name or path.parent.name == "requirements")
    return is_listing or locks.is_lock(path.name)


def _name(word: str, path: Path) -> Requirement:
    if path.suffix and path.is_file():
        raise Failure(f"{word!r} is a file of unknown kind", "For a requirement file: -r FILE.", code=EXIT_USAGE)
    if path.suffix in _SUFFIXES:
        raise Failure(f"{word}: no such file", "Name a file that exists; a project of that name as 'NAME>=0'.")
    try:
        found = Requirement(word)
    except InvalidRequirement as error:
        raise Failure(
            f"{word!r} is no requirement", "Write name, name==1.0 or 'name>=2' (with quotes).", code=EXIT_USAGE
        ) from error
    if found.url:
        raise Failure(f"{word!r} is not from an index", "Name what it needs from the index.", code=EXIT_USAGE)
    return found


def _check(path: Path, index: str) -> None:
    if path.suffix == ".toml":
        raise Failure(f"{path.name} is no lock file", "Lock it first: uv lock, poetry lock, pip lock.", code=EXIT_USAGE)
    for said in _tree(path):
        line = said.line
        if line.names_index and not (line.option == "--index-url" and _is_index(line.value, index)):
            raise Failure(
                f"{said.path.name}, line {line.number}: {urls.hidden(line.value) or line.text}: pip would ask another"
                " index than this one, now and in each install to come",
                "Take the line out; `devpi use --set-cfg` makes pip and uv ask this index.",
            )


def _is_index(url: str, index: str) -> bool:
    bare = urls.without_login(url)[0].rstrip("/")
    return bare in {index, f"{index}/+simple"}


def _tree(path: Path, *, is_constraint: bool = False, above: tuple[Path, ...] = ()) -> Iterator[_Said]:
    """The lines of a file and of those that it includes, but for those at URLs."""
    if path in above:
        return
    for line in requirements.lines(_text(path)):
        if line.option in ("--requirement", "--constraint"):
            if not urls.is_http(line.value):
                limits = is_constraint or line.option == "--constraint"
                yield from _tree(path.parent / line.value, is_constraint=limits, above=(*above, path))
        else:
            yield _Said(path, line, is_constraint)


def _asked(said: Iterable[_Said]) -> Iterator[Asked]:
    for each in said:
        try:
            found = requirements.asked(each.line)
        except Failure as failure:
            raise Failure(f"{each.path.name}, {failure.what}", failure.advice) from failure
        if found is not None:
            yield found


def _limited(asked: Asked, limit: SpecifierSet | None) -> Asked:
    if limit is None:
        return asked
    requirement = Requirement(str(asked.requirement))
    requirement.specifier &= limit
    return Asked(requirement, asked.hashes)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise Failure(f"{path} cannot be read ({error.strerror})", "Name a file that exists.") from error
    except UnicodeDecodeError as error:
        raise Failure(f"{path} cannot be read: it is not UTF-8", "Save it as UTF-8.") from error
