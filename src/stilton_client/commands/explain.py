"""`devpi explain`: which index serves a project through the current one, which rule keeps others out, what changes it.

Our server says itself which rule counts (`?explain`). devpi-server does not: then its rules are read here from the
configurations (`reading`, no I/O), and the answer says that it is this command's reading:

    order       the index itself, its bases breadth first, all mirrors last
    private     a mirror adds nothing to a project that a private index before it hosts
    whitelist   unless `mirror_whitelist` names the project or `*`: of the index asked (`intersection`, where every
                further index narrows the list), or of any index on the way (`union`)
"""

import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import click
from packaging.utils import canonicalize_name

from stilton_client import releases, urls
from stilton_client.command import command
from stilton_client.errors import EXIT_FAILED, Failure, Refused
from stilton_client.session import Index, Session
from stilton_client.terminal import Terminal

ANY = "*"
UNION = "union"
NARROW_COLUMNS = 80
_ILL = ("failing", "down")
BY_SERVER, BY_CLIENT = "the server", "this command"


@dataclass(frozen=True)
class Source:
    """An index's part in a project: whether rules let it contribute, and which rule says so."""

    index: str
    is_mirror: bool
    contributes: bool
    why: str
    keeps_name: bool = False


@dataclass(frozen=True)
class Member:
    """What the rules want to know of an index. `hosts`: it has the project itself."""

    index: str
    is_mirror: bool
    hosts: bool
    whitelist: frozenset[str] = frozenset()


@dataclass
class Part:
    """What comes from an index: versions, newest first, and how many files."""

    versions: list[str] = field(default_factory=list)
    files: int = 0


@command(
    "explain",
    example="""devpi explain requests
               devpi explain mypkg 1.5
               devpi explain mypkg --index team/prod --json""",
    json=True,
)
@click.argument("project")
@click.argument("version", required=False)
@click.option("--index", "wanted", metavar="INDEX", help="another index than the current one: NAME, USER/NAME or URL")
def explain_(session: Session, project: str, version: str | None, wanted: str | None) -> int:
    """Show which index serves PROJECT, which rule keeps others out, and what to do to change that.

    Ends with 1 if nobody serves it.
    """
    spec = releases.wanted(project)
    version = version or spec.exact
    name = canonicalize_name(spec.name)
    index = session.index(wanted)
    sources, told_by = _sources(session, index, name)
    versions, said = _versions(session, index, name)
    served = parts(versions, index.root, version)
    states = _states(session, index.root, sources, served)
    rows = [_row(source, served.get(source.index, Part()), states.get(source.index), name, index) for source in sources]
    _show(session.terminal, _summary(name, version, index, rows), rows)
    if said:
        session.terminal.line(f"the server says: {said}")
    if told_by == BY_CLIENT:
        session.terminal.note("This server does not explain itself: this is what this command reads from its indexes.")
    session.terminal.data({
        "index": index.name, "project": name, "version": version, "told_by": told_by, "said": said or None,
        "sources": rows,
    })  # fmt: skip
    return 0 if any(row["files"] for row in rows) else EXIT_FAILED


def order(start: str, configs: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Indexes in the order in which devpi asks them; those that are not in `configs` are passed over."""
    found: dict[str, None] = {}
    waiting = [start]
    while waiting:
        name = waiting.pop(0)
        if name in configs and name not in found:
            found[name] = None
            waiting += bases(configs[name])
    return sorted(found, key=lambda name: configs[name].get("type") == "mirror")


def bases(config: Mapping[str, Any]) -> list[str]:
    """The bases of an index; old servers send text with commas."""
    return _listed(config.get("bases"))


def reading(project: str, members: Sequence[Member], *, inheritance: str) -> list[Source]:
    """Who contributes to a project, by the rules above. `members`: in devpi's order."""
    whitelist: frozenset[str] | None = None
    opened = False
    hidden_by: str | None = None
    found = []
    for member in members:
        if member.is_mirror:
            found.append(_of_mirror(member, opened=opened, hidden_by=hidden_by))
            continue
        if whitelist is None or inheritance == UNION:
            whitelist = (whitelist or frozenset()) | member.whitelist
        else:
            whitelist &= member.whitelist
        opened = opened or bool(whitelist & {ANY, project})
        hidden_by = hidden_by or (member.index if member.hosts else None)
        why = "hosts the project" if member.hosts else "does not host the project"
        found.append(Source(member.index, is_mirror=False, contributes=member.hosts, why=why))
    return found


def _of_mirror(member: Member, *, opened: bool, hidden_by: str | None) -> Source:
    if hidden_by is None:
        why, contributes = "a mirror, and no private index hosts the project", True
    elif opened:
        why, contributes = f"{hidden_by} hosts the project, and a mirror_whitelist lets mirrors in", True
    else:
        why, contributes = f"kept out: {hidden_by} hosts the project, and no mirror_whitelist names it", False
    return Source(member.index, is_mirror=True, contributes=contributes, why=why)


def parts(versions: Mapping[str, Mapping[str, Any]], root: str, wanted: str | None) -> dict[str, Part]:
    """What each index (`user/name`) serves, from a project's JSON; only of the version `wanted` if it is given."""
    found: dict[str, Part] = {}
    for version in releases.newest_first(versions):
        if wanted is not None and releases.version_key(version)[:2] != releases.version_key(wanted)[:2]:
            continue
        for data in (versions[version], *releases.shadowed(versions[version])):
            for link in releases.links(data, root, "releasefile"):
                part = found.setdefault(_index_of(link.href, root), Part())
                part.files += 1
                if version not in part.versions:
                    part.versions.append(version)
    return found


def change_of(source: Source, part: Part, state: str | None, project: str, index: str) -> str:
    """What to do for another answer; nothing where there is nothing to do."""
    if source.is_mirror and not source.contributes:
        return f"If you trust what it has under this name: devpi index {index} mirror_whitelist+={project}"
    if source.keeps_name:
        return f"To open the name to mirrors again: devpi remove --forget --index {source.index} {project}"
    if state in _ILL:
        return "Wait, or see what is wrong: devpi status"
    if source.is_mirror and not part.files:
        return f"If it should be there: devpi refresh {project}"
    return ""


def _sources(session: Session, index: Index, project: str) -> tuple[list[Source], str]:
    """(every index in order, who told so). Raises Refused."""
    reply = session.http.api("GET", urls.with_query(urls.child(index.url, project), explain=""))
    if reply.ok and reply.type == "projectsources":
        listed = reply.result.get("sources") or ()
        return [_source(one) for one in listed if isinstance(one, Mapping)], BY_SERVER
    if not reply.ok and reply.status not in (404, 502):
        raise _advised(session.refused(reply))
    return _read(session, index, project), BY_CLIENT


def _source(told: Mapping[str, Any]) -> Source:
    return Source(
        index=str(told.get("index")),
        is_mirror=bool(told.get("is_mirror")),
        contributes=bool(told.get("contributes")),
        why=str(told.get("why")),
        keeps_name=bool(told.get("keeps_name")),
    )


def _read(session: Session, index: Index, project: str) -> list[Source]:
    configs = _configs(session, index)
    members = []
    for name in order(index.name, configs):
        config = configs[name]
        is_mirror = config.get("type") == "mirror"
        hosts = not is_mirror and _hosts(session, urls.child(index.root, *name.split("/")), project)
        members.append(Member(name, is_mirror, hosts, frozenset(_listed(config.get("mirror_whitelist")))))
    # Data of very old servers has no such key, and their rule was union.
    return reading(project, members, inheritance=configs[index.name].get("mirror_whitelist_inheritance", UNION))


def _configs(session: Session, index: Index) -> dict[str, dict[str, Any]]:
    """Of the index and all that it inherits from. Raises Refused when the index itself is not told."""
    found: dict[str, dict[str, Any]] = {}
    waiting = [index.name]
    while waiting:
        name = waiting.pop(0)
        if name in found or name.count("/") != 1:
            continue
        reply = session.http.api("GET", urls.with_query(urls.child(index.root, *name.split("/")), no_projects=""))
        if reply.ok and isinstance(reply.result, dict):
            found[name] = reply.result
            waiting += bases(reply.result)
        elif name == index.name:
            raise _advised(session.refused(reply))
    return found


def _hosts(session: Session, url: str, project: str) -> bool:
    """Whether an index has a project itself, also one without files."""
    reply = session.http.api("GET", url)
    names = reply.result.get("projects") if reply.ok and isinstance(reply.result, dict) else None
    return any(releases.same_name(str(name), project) for name in names or ())


def _versions(session: Session, index: Index, project: str) -> tuple[dict[str, Any], str]:
    """(what is served, why nothing is as the server says it). Raises Refused."""
    reply = session.http.api("GET", index.project(project))
    if reply.ok and isinstance(reply.result, dict):
        return reply.result, ""
    if reply.status in (404, 502, 503, 504):
        return {}, reply.message or reply.reason
    raise _advised(session.refused(reply))


def _advised(refused: Refused) -> Refused:
    """With what to do, where the session knows nothing."""
    advice = (
        "See which indexes there are: devpi use -l" if refused.status == 404 else "See how the server is: devpi status"
    )
    return Refused(refused.status, refused.what, refused.advice or advice)


def _states(session: Session, root: str, sources: Iterable[Source], served: Mapping[str, Part]) -> dict[str, str]:
    """How mirrors are that should contribute and do not; nothing where the server does not tell."""
    if all(source.index in served for source in sources if source.is_mirror and source.contributes):
        return {}
    reply = session.http.api("GET", urls.child(root, "+status"))
    told = reply.result.get("upstreams") if reply.ok and isinstance(reply.result, dict) else None
    return {name: str(one.get("state")) for name, one in told.items()} if isinstance(told, dict) else {}


def _row(source: Source, part: Part, state: str | None, project: str, index: Index) -> dict[str, Any]:
    why = source.why
    if source.contributes and source.is_mirror and not part.files:
        why += "; its upstream does not answer" if state in _ILL else "; it has no file of it"
    change = change_of(source, part, state, project, index.name)
    return {**asdict(source), "why": why, "versions": part.versions, "files": part.files, "change": change}


def _summary(project: str, version: str | None, index: Index, rows: Sequence[Mapping[str, Any]]) -> str:
    what = project if version is None else f"{project} {version}"
    serving = [str(row["index"]) for row in rows if row["files"]]
    if not serving:
        return f"nobody serves {what} through {index.name}"
    return f"{what} comes through {index.name} from {', then '.join(serving)}"


def _show(out: Terminal, summary: str, rows: Sequence[Mapping[str, Any]]) -> None:
    if not rows:
        raise Failure(f"{summary}: there is no index that you may read", "Log in as somebody who may.")
    out.info(summary)
    cells = [
        (
            row["index"],
            "mirror" if row["is_mirror"] else "private",
            str(len(row["versions"])),
            str(row["files"]),
            row["versions"][0] if row["versions"] else "",
            row["why"],
        )
        for row in rows
    ]
    headers = ("index", "kind", "versions", "files", "newest", "why")
    if sys.stdout.isatty() and shutil.get_terminal_size().columns < NARROW_COLUMNS:
        _list(out, headers, cells)
    else:
        out.table(headers, cells)
    for row in rows:
        if row["change"]:
            out.line(f"{row['index']}: {row['change']}")


def _list(out: Terminal, headers: Sequence[str], cells: Sequence[Sequence[str]]) -> None:
    """What a table would show, for a terminal that has no room for one."""
    for index, *others in cells:
        out.line(index)
        for header, cell in zip(headers[1:], others, strict=True):
            if cell:
                out.line(f"  {header}: {cell}")


def _index_of(href: str, root: str) -> str:
    return "/".join(href.removeprefix(root).split("/")[:2])


def _listed(value: object) -> list[str]:
    found = value.split(",") if isinstance(value, str) else value if isinstance(value, list) else []
    return [str(one).strip() for one in found if str(one).strip()]
