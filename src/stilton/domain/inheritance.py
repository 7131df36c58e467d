"""Inheritance between indexes, and who may contribute to a project (protocol reference 3.4).

One function decides (`sources`), for pages, versions, JSON, metadata, files and searches
alike. A name that a private index hosts, or hosted once, is private: mirrors are not even
asked for it, unless a `mirror_whitelist` names it. Pure.
"""

from collections.abc import Callable, Iterable, Sequence

import msgspec

from stilton.domain.files import File, Project
from stilton.domain.names import IndexName, ProjectName

ANY = "*"
UNION = "union"


class Member(msgspec.Struct, frozen=True, kw_only=True):
    """One index of the resolution order, and what counts about it for one project.

    `hosts`: it has the project. `had`: it does not any more, and its owner keeps the name.
    """

    index: IndexName
    is_mirror: bool
    hosts: bool = False
    had: bool = False
    readable: bool = True
    whitelist: frozenset[str] = frozenset()


class Source(msgspec.Struct, frozen=True):
    """A member's part in a project: whether it contributes, and the rule that says so.

    `keeps_name`: it had the project, has it no more, and keeps mirrors out of it.
    """

    index: IndexName
    is_mirror: bool
    contributes: bool
    why: str
    keeps_name: bool = False


def order(
    start: IndexName, bases: Callable[[IndexName], Sequence[IndexName] | None], is_mirror: Callable[[IndexName], bool]
) -> list[IndexName]:
    """The resolution order: breadth first from `start`, first visit wins, all mirrors last.

    `bases(index)` is None for an index that does not exist (any more); it is passed over.
    Cycles are fine.
    """
    found: dict[IndexName, None] = {}
    waiting = [start]
    while waiting:
        index = waiting.pop(0)
        if index in found:
            continue
        its_bases = bases(index)
        if its_bases is None:
            continue
        found[index] = None
        waiting += its_bases
    return sorted(found, key=is_mirror)


def sources(project: ProjectName, members: Sequence[Member], *, inheritance: str) -> list[Source]:
    """Who contributes to `project`. `inheritance`: how whitelists combine, `intersection` or `union`."""
    whitelist: frozenset[str] | None = None
    # By name, unless whoever asks may not know of them.
    opened_by: str | None = None
    hidden_by: str | None = None
    found: list[Source] = []
    for member in members:
        if member.is_mirror:
            found.append(_of_mirror(member, opened_by=opened_by, hidden_by=hidden_by))
            continue
        if whitelist is None or inheritance == UNION:
            whitelist = (whitelist or frozenset()) | member.whitelist
        else:
            whitelist &= member.whitelist
        if opened_by is None and whitelist & {ANY, project}:
            opened_by = _name(member)
        if hidden_by is None and (member.hosts or member.had):
            hidden_by = _name(member)
        found.append(_of_stage(member))
    return found


def merged(project: ProjectName, own: IndexName, parts: Iterable[tuple[IndexName, Project]]) -> Project:
    """One project out of its parts, in resolution order: of two files with one name the first counts.

    `own`: the index whose page it will be; `File.index` says where the files of others are.
    Upstream's serial and keys are of one index only and do not pass.
    """
    files: dict[str, File] = {}
    versions: dict[str, None] = {}
    status = None
    for index, part in parts:
        status = status or part.status
        versions.update(dict.fromkeys(part.versions))
        for file in part.files:
            if file.filename not in files:
                files[file.filename] = file if index == own else msgspec.structs.replace(file, index=index)
    return Project(name=project, files=tuple(files.values()), versions=tuple(versions), status=status)


def notes(found: Iterable[Source]) -> list[str]:
    """What people who look at a page should know: who contributed, and what a rule kept out."""
    return [f"{source.index}: {source.why}" for source in found if source.contributes or source.is_mirror]


def _name(member: Member) -> str:
    return member.index if member.readable else "a private index"


def _of_stage(member: Member) -> Source:
    if not member.readable:
        return Source(member.index, is_mirror=False, contributes=False, why="you may not read this index")
    if member.hosts:
        return Source(member.index, is_mirror=False, contributes=True, why="hosts the project")
    if member.had:
        why = "hosted the project once and keeps its name private"
        return Source(member.index, is_mirror=False, contributes=False, why=why, keeps_name=True)
    return Source(member.index, is_mirror=False, contributes=False, why="does not host the project")


def _of_mirror(member: Member, *, opened_by: str | None, hidden_by: str | None) -> Source:
    if not member.readable:
        return Source(member.index, is_mirror=True, contributes=False, why="you may not read this index")
    if hidden_by is None:
        return Source(
            member.index, is_mirror=True, contributes=True, why="a mirror, and no private index hosts the project"
        )
    if opened_by is not None:
        why = f"{hidden_by} hosts the project, and the mirror_whitelist of {opened_by} lets mirrors in"
        return Source(member.index, is_mirror=True, contributes=True, why=why)
    why = f"kept out: {hidden_by} hosts the project, and no mirror_whitelist names it"
    return Source(member.index, is_mirror=True, contributes=False, why=why)
