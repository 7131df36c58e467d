"""`devpi index`."""

from typing import Any

import click

from stilton_client import keyvalues, urls
from stilton_client.command import command
from stilton_client.errors import EXIT_USAGE, Failure
from stilton_client.session import Session

_FIRST = ("type", "bases", "volatile", "acl_upload")
_WITH_LOGIN = ("mirror_url", "mirror_proxy")
SERVER_PARSES = "server-keyvalue-parsing"


@command(
    "index",
    example="""devpi index -c dev bases=root/pypi
               devpi index team/dev acl_upload+=bob mirror_whitelist-=django
               devpi index --delete dev
               devpi index -l""",
    json=True,
)
@click.argument("indexname", required=False, metavar="[NAME|USER/NAME]")
@click.argument("words", nargs=-1, metavar="[KEY=VALUE|KEY+=VALUE|KEY-=VALUE|KEY-=]...")
@click.option("-c", "--create", is_flag=True, help="create an index")
@click.option("--delete", is_flag=True, help="delete an index and everything in it")
@click.option("-l", "--list", "listing", is_flag=True, help="list the indexes of the user who is logged in, or of USER")
@click.option("--no-projects", is_flag=True, help="do not ask for the index's projects")
def index_(
    session: Session, indexname: str | None, words: tuple[str, ...], *, no_projects: bool, **action: bool
) -> None:
    """Create, change, list and delete indexes; without an option or keys, show one (the current one).

    KEY=VALUE sets, KEY+=VALUE adds to a list, KEY-=VALUE removes from it, KEY-= drops a key. Lists are separated by
    commas: bases=team/prod,root/pypi.
    """
    if sum(action.values()) > 1:
        raise Failure("one of --create, --delete and --list at a time", code=EXIT_USAGE)
    if indexname is not None and "=" in indexname:
        words = (indexname, *words)
        indexname = None
    keyvalues.check(words)
    if action["listing"]:
        _list(session, indexname)
        return
    if (action["create"] or action["delete"]) and indexname is None:
        raise Failure("need to explicitly specify index for deletion/creation", code=EXIT_USAGE)
    if action["delete"] and words:
        raise Failure("cannot delete if you specify key=values", code=EXIT_USAGE)
    url = session.index_url(indexname) if indexname is not None else session.index().url
    if action["create"]:
        session.require_user()
        session.api("PUT", url, keyvalues.pairs(words))
        _show(session, urls.with_query(url, no_projects=""))
    elif action["delete"]:
        _delete(session, url)
    elif words:
        _modify(session, url, words)
    else:
        _show(session, urls.with_query(url, no_projects="") if no_projects else url)


def _list(session: Session, user: str | None) -> None:
    name = user or session.require_user()
    config = session.api("GET", urls.child(session.root, name), type="userconfig").result
    found = [f"{config.get('username', name)}/{index}" for index in sorted(config.get("indexes") or ())]
    for index in found:
        session.terminal.info(index)
    session.terminal.data(found)


def _delete(session: Session, url: str) -> None:
    out = session.terminal
    session.require_user()
    config = session.api("GET", url, type="indexconfig").result
    out.info(f"About to remove: {url}")
    if config.get("type") != "mirror" and config.get("projects"):
        out.note(f"  with {len(config['projects'])} projects: {_some(config['projects'])}")
    if not out.confirm("Are you sure"):
        raise Failure("not deleting anything")
    session.api("DELETE", url)
    out.info(f"index deleted: {url}")
    out.data({"deleted": url})


def _some(names: list[str], limit: int = 5) -> str:
    return ", ".join(names[:limit]) + (", ..." if len(names) > limit else "")


def _modify(session: Session, url: str, words: tuple[str, ...]) -> None:
    session.require_user()
    without_projects = urls.with_query(url, no_projects="")
    config = session.api("GET", without_projects, type="indexconfig").result
    path = "/" + url[len(session.root) :].strip("/")
    if _parses(session, url):
        for word in words:
            key, equals, value = word.partition("=")
            session.terminal.info(f"{path} {key}{equals}{_without_login(key, value)}")
        session.api("PATCH", url, list(words))
    else:
        # devpi-server before 5: no operations, only whole configurations.
        changed = keyvalues.pairs(words)
        for name in sorted(changed):
            session.terminal.info(f"{path} changing {name}: {_without_login(name, changed[name])}")
        session.api("PATCH", url, {**config, **changed})
    _show(session, without_projects)


def _without_login(key: str, value: str) -> str:
    """What may be shown, and kept in a log of CI, of a value that somebody typed."""
    if key not in _WITH_LOGIN or "@" not in value:
        return value
    return urls.hidden(value) if "://" in value else f"****@{value.rpartition('@')[2]}"


def _parses(session: Session, url: str) -> bool:
    """Whether the server takes operations like `bases+=`."""
    result = session.discover(url)
    return SERVER_PARSES in (result.get("features") or ())


def _show(session: Session, url: str) -> None:
    out = session.terminal
    config: dict[str, Any] = session.api("GET", url, type="indexconfig").result
    out.info(f"{url}:")
    for name in [*_FIRST, *sorted(config.keys() - {*_FIRST, "projects"})]:
        if name in config:
            out.line(f"  {name}={keyvalues.shown(config[name])}")
    out.data(config)
