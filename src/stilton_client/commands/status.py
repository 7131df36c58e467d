"""`devpi status`: how the server is, how its upstreams are, and what this session may do on the current index.

What somebody may do is read from the index's configuration, as devpi's rules have it (`rights`, no I/O):

    read                acl_pkg_read (everybody, if it says nothing), the owner, root
    upload, push to     acl_upload, and nobody else; never on a mirror
    remove              acl_upload, the owner, root; not from an index with volatile=False unless forced
    change              the owner, root
    create indexes      everybody who is logged in, for himself

A server started with --restrict-modify changes the last three and tells nobody; the reasons say so.
"""

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import click

from stilton_client import urls
from stilton_client.command import command
from stilton_client.errors import EXIT_FAILED, Failure
from stilton_client.session import Index, Session
from stilton_client.terminal import Terminal, bytes_text

NOT_TOLD = "not told by this server"
MAY, MAY_NOT, UNKNOWN = "may", "may not", "unknown"
UNLESS = "unless the server restricts that (--restrict-modify)"
Config = Mapping[str, Any]


@dataclass(frozen=True)
class You:
    """Who asks, as the server knows him. `login`: valid, ended or none."""

    user: str | None
    login: str
    groups: tuple[str, ...] = ()

    @property
    def name(self) -> str | None:
        """Whom the server takes the person for; None: nobody."""
        return self.user if self.login == "valid" else None

    @property
    def principals(self) -> frozenset[str]:
        """All that he counts as in lists of rights."""
        if self.name is None:
            return frozenset({":ANONYMOUS:"})
        return frozenset({":ANONYMOUS:", ":AUTHENTICATED:", self.name, *(f":{group}" for group in self.groups)})


@dataclass(frozen=True)
class Right:
    """One thing that somebody may, may not, or may perhaps do on an index."""

    right: str
    answer: str
    because: str


@command(
    "status",
    example="""devpi status
               devpi status --index team/prod
               devpi status --json""",
    json=True,
)
@click.option("--index", "wanted", metavar="INDEX", help="another index than the current one: NAME, USER/NAME or URL")
def status_(session: Session, wanted: str | None) -> int:
    """Show the server's health, its upstreams and its cache, and what you may do on the current index.

    Ends with 1 if the server is not healthy.
    """
    index = _index(session, wanted)
    root = index.root if index is not None else session.root
    told = _told(session, root)
    healthy = _is_healthy(session, root)
    you = _you(session, root)
    config = None if index is None else _config(session, index)
    allowed = [] if index is None else rights(config, index.name.partition("/")[0], you)
    _show_server(session.terminal, root, told, healthy=healthy)
    _show_you(session.terminal, you, index, config, allowed)
    session.terminal.data({
        "server": root,
        "healthy": healthy,
        **facts(told),
        "index": None if index is None else {"name": index.name, "url": index.url, **_shown(config)},
        "you": {**asdict(you), "rights": [asdict(one) for one in allowed]},
    })  # fmt: skip
    return 0 if healthy else EXIT_FAILED


def facts(told: Config) -> dict[str, Any]:
    """What `+status` says, in words that stay; None for what it does not say. Times are Unix seconds."""
    versions = told.get("versioninfo") or {}
    return {
        "version": versions.get("stilton") or versions.get("devpi-server"),
        "versions": versions,
        "uuid": told.get("uuid"),
        "role": told.get("role"),
        "serial": told.get("serial"),
        "last_commit_at": told.get("last-commit-timestamp"),
        "started_at": told.get("started-at"),
        "primary_url": told.get("primary-url"),
        "in_sync_at": told.get("replica-in-sync-at"),
        "upstreams": told.get("upstreams"),
        "disk": told.get("disk"),
        "warnings": list(told.get("warnings") or ()),
    }


def rights(config: Config | None, owner: str, you: You) -> list[Right]:
    """What `you` may do on an index of `owner`. `config` None: it was not told."""
    if config is None:
        names = ("read", "upload", "push to", "remove", "change")
        found = [Right(name, UNKNOWN, "the index's configuration is not told to you") for name in names]
    else:
        upload = _upload(config, you)
        push = Right("push to", upload.answer, upload.because)
        found = [_read(config, owner, you), upload, push, _remove(config, owner, you), _change(owner, you)]
    return [*found, _create(you)]


def _read(config: Config, owner: str, you: You) -> Right:
    readers = _names(config.get("acl_pkg_read", [":ANONYMOUS:"]))
    return _held("read", you, readers, "acl_pkg_read", also=(owner, "root"))


def _upload(config: Config, you: You) -> Right:
    if config.get("type") == "mirror":
        return Right("upload", MAY_NOT, "a mirror takes no uploads")
    return _held("upload", you, _names(config.get("acl_upload", [])), "acl_upload")


def _remove(config: Config, owner: str, you: You) -> Right:
    held = _held("remove", you, _names(config.get("acl_upload", [])), "acl_upload", also=(owner, "root"))
    if held.answer == MAY and config.get("volatile") is False:
        return Right("remove", MAY_NOT, "the index is not volatile; --force removes nevertheless")
    return held


def _change(owner: str, you: You) -> Right:
    if you.name in (owner, "root"):
        return Right("change", MAY, f"you are {you.name}, {UNLESS}")
    return Right("change", MAY_NOT, f"{owner} and root may")


def _create(you: You) -> Right:
    if you.name is None:
        return Right("create indexes", MAY_NOT, "nobody is logged in")
    return Right("create indexes", MAY, f"those of {you.name}, {UNLESS}")


def _held(right: str, you: You, holders: list[str], key: str, *, also: tuple[str, ...] = ()) -> Right:
    held = sorted(you.principals.intersection(holders))
    if held:
        return Right(right, MAY, f"{key} names {held[0]}")
    if you.name in also:
        return Right(right, MAY, f"you are {you.name}")
    return Right(right, MAY_NOT, f"{key} names {', '.join(holders) or 'nobody'}")


def _names(value: object) -> list[str]:
    """Old servers send lists as text with commas. Special names are upper case whatever case was given."""
    found = value.split(",") if isinstance(value, str) else value if isinstance(value, list) else []
    names = [str(name).strip() for name in found if str(name).strip()]
    return [name.upper() if name.upper() in (":ANONYMOUS:", ":AUTHENTICATED:") else name for name in names]


def _index(session: Session, wanted: str | None) -> Index | None:
    try:
        return session.index(wanted)
    except Failure:
        if wanted is not None:
            raise
        return None  # a server without an index has a state, too


def _told(session: Session, root: str) -> Config:
    reply = session.http.api("GET", urls.child(root, "+status"))
    return reply.result if reply.ok and isinstance(reply.result, dict) else {}


def _is_healthy(session: Session, root: str) -> bool:
    """devpi-server has no `+health`: one that answers is healthy."""
    return session.http.api("GET", urls.child(root, "+health")).status < 500


def _you(session: Session, root: str) -> You:
    sent = session.login_for(root).token
    status = session.discover(root).get("authstatus")
    if isinstance(status, list) and len(status) == 3 and status[0] == "ok":
        return You(str(status[1]), "valid", tuple(map(str, status[2])))
    return You(None, "none") if sent is None else You(sent[0], "ended")


def _config(session: Session, index: Index) -> Config | None:
    reply = session.http.api("GET", urls.with_query(index.url, no_projects=""))
    return reply.result if reply.ok and isinstance(reply.result, dict) else None


def _shown(config: Config | None) -> dict[str, Any]:
    """What rights depend on. The rest stays here: the `mirror_url` of devpi-server may carry a password."""
    return {key: (config or {}).get(key) for key in ("type", "bases", "volatile", "acl_upload", "acl_pkg_read")}


def _show_server(out: Terminal, root: str, told: Config, *, healthy: bool) -> None:
    known = facts(told)
    out.info(f"{root} is {'healthy' if healthy else 'NOT healthy: its log says why'}")
    if not told:
        out.line("  It tells you nothing more; whoever is logged in may learn more: devpi login USER")
        return
    out.line(f"  version:     {known['version'] or NOT_TOLD}")
    out.line(f"  role:        {known['role'] or NOT_TOLD}")
    if known["primary_url"]:
        out.line(f"  primary:     {urls.hidden(str(known['primary_url']))}, in sync {_at(known['in_sync_at'])}")
    out.line(f"  uuid:        {known['uuid'] or NOT_TOLD}")
    out.line(f"  serial:      {_or_not(known['serial'])}, committed {_at(known['last_commit_at'])}")
    out.line(f"  started:     {_at(known['started_at'])}")
    _show_disk(out, known["disk"])
    _show_upstreams(out, known["upstreams"])
    for warning in known["warnings"]:
        out.warn(str(warning))


def _show_upstreams(out: Terminal, upstreams: Config | None) -> None:
    if not upstreams:
        out.line(f"  upstreams:   {NOT_TOLD if upstreams is None else 'none'}")
        return
    out.line("  upstreams:")
    for name, one in sorted(upstreams.items()):
        details = [str(one[key]) for key in ("why",) if one.get(key)]
        details += [f"since {one['since']}"] if one.get("since") else []
        details += ["only what is cached is served"] if one.get("held-only") else []
        details += [f"last answer {_at(one['contacted-at'])}"] if one.get("contacted-at") else []
        out.line(f"    {name:<18} {one.get('state')}{': ' if details else ''}{', '.join(details)}")


def _show_you(out: Terminal, you: You, index: Index | None, config: Config | None, allowed: list[Right]) -> None:
    out.line()
    ended = f"the login of {you.user} has ended: devpi login {you.user}"
    out.info({"valid": f"you are {you.user}", "ended": ended}.get(you.login, "you are not logged in"))
    if index is None:
        out.line("  no index in use: devpi use USER/NAME")
        return
    kind = (
        "" if config is None else f" ({config.get('type')}, bases {', '.join(_names(config.get('bases'))) or 'none'})"
    )
    out.line(f"  on {index.name}{kind}:")
    out.table(("  you", "what", "why"), [(f"  {one.answer}", one.right, one.because) for one in allowed])


def _show_disk(out: Terminal, disk: Config | None) -> None:
    """Free space, and what each index keeps, the largest first."""
    if not isinstance(disk, dict):
        out.line(f"  disk:        {NOT_TOLD}")
        return
    low = ", LOW: mirrors keep nothing new" if disk.get("low") else ""
    out.line(f"  disk:        {bytes_text(disk.get('free'))} of {bytes_text(disk.get('total'))} free{low}")
    blobs = disk.get("blobs")
    if isinstance(blobs, dict):
        # Counted by the sweep, once an hour; what each index has is counted now.
        at = f", as of {disk['swept_at']}" if disk.get("swept_at") else ""
        out.line(f"  kept:        {blobs.get('files')} files, {bytes_text(blobs.get('bytes'))}{at}")
    out.line(f"  would free:  {bytes_text(disk.get('would_free'))}")
    for name, one in (disk.get("indexes") or {}).items():
        freed = f", would free {bytes_text(one['would_free'])}" if one.get("would_free") else ""
        out.line(f"    {name:<18} {one.get('files')} files, {bytes_text(one.get('bytes'))}{freed}")


def _at(moment: object) -> str:
    """A moment in Unix seconds, for people."""
    if not isinstance(moment, int | float):
        return NOT_TOLD
    return time.strftime("%Y-%m-%d %H:%M:%SZ", time.gmtime(moment))


def _or_not(value: object) -> str:
    return NOT_TOLD if value is None else str(value)
