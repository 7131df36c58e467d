"""`devpi remove`: what goes is shown before it goes.

A name that a private index has hosted stays closed to mirrors when its last file is gone (ours; a devpi-server opens
it at once). `--forget` opens it: see docs/guide/inheritance.md.
"""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

import click

from stilton_client import releases, urls
from stilton_client.command import command
from stilton_client.errors import EXIT_USAGE, Failure, Refused
from stilton_client.releases import Link, Wanted
from stilton_client.session import Index, Session


@command(
    "remove",
    example="""devpi remove mypkg==1.0
               devpi remove -y 'mypkg<2'
               devpi remove --forget mypkg
               devpi remove https://packages.example.com/team/dev/+f/1cf/3d6eaa6cbc5fa/mypkg-1.0.zip""",
    json=True,
)
@click.argument("spec_or_url", metavar="SPEC|URL")
@click.option("--index", metavar="INDEX", help="NAME, USER/NAME or URL  [the current index]")
@click.option("-f", "--force", is_flag=True, help="remove from a non-volatile index, too")
@click.option("--forget", is_flag=True, help="open the name of a private project to mirrors again, too")
def remove_(session: Session, spec_or_url: str, *, index: str | None, force: bool, forget: bool) -> None:
    """Remove a project, some of its versions, or one file. What goes is shown first, and you are asked.

    Only what the index itself holds is removed; what it inherits stays. The name of a removed project stays private:
    no mirror answers for it until --forget opens it, which also works when nothing else is left of the project.
    """
    query = {"force": ""} if force else {}
    if forget:
        _forget(session, spec_or_url, index, query)
        return
    if urls.is_http(spec_or_url):
        _file(session, urls.without_fragment(spec_or_url), query)
        return
    place = session.index(index)
    wanted = releases.wanted(spec_or_url)
    versions = _own(session, place, wanted)
    if not versions:
        raise Failure(f"No releases or distributions found matching '{spec_or_url}'.", f"See: devpi list {wanted.name}")
    _show(session, versions)
    _confirm(session)
    project = place.project(wanted.name)
    if wanted.has_versions:
        for version in versions:
            session.terminal.info(f"deleting release {version} of {wanted.name}")
            session.api("DELETE", urls.with_query(urls.child(project, version), **query))
    else:
        session.api("DELETE", urls.with_query(project, **query))
    session.terminal.data({"index": place.url, "project": wanted.name, "deleted": list(versions)})


def _forget(session: Session, name: str, index: str | None, query: Mapping[str, str]) -> None:
    """Remove what is left of a project, and open its name. Raises Failure where there is nothing to open."""
    if urls.is_http(name) or (wanted := releases.wanted(name)).has_versions:
        raise Failure(f"--forget opens the whole name of a project, and {name} is not one", code=EXIT_USAGE)
    place = session.index(index)
    if place.submit is None or not _is_private(session, place, wanted):
        what = f"{place.name} is a mirror" if place.submit is None else f"{wanted.name} is not private on {place.name}"
        raise Failure(f"{what}: there is no name to forget", f"See who has it: devpi explain {wanted.name}")
    versions = _own(session, place, wanted, may_lack=True)
    out = session.terminal
    if versions:
        _show(session, versions)
    out.info(f"About to open the name {wanted.name}: whoever asks {place.name} for it may get what mirrors have")
    _confirm(session)
    session.api("DELETE", urls.with_query(place.project(wanted.name), forget="", **query))
    out.info(f"{wanted.name} is open to mirrors again")
    out.data({"index": place.url, "project": wanted.name, "deleted": list(versions), "forgotten": True})


def _is_private(session: Session, place: Index, wanted: Wanted) -> bool:
    """Whether the index keeps mirrors out of a name. Raises Refused, Failure for servers that open names at once."""
    reply = session.http.api("GET", urls.with_query(place.project(wanted.name), explain=""))
    if not reply.ok and reply.status != HTTPStatus.NOT_FOUND:
        raise session.refused(reply)
    if reply.type != "projectsources":
        session.api("GET", urls.with_query(place.url, no_projects=""))
        what = f"the server {place.root} keeps no names: when a project is gone, mirrors answer for it at once"
        raise Failure(what, f"Remove it without --forget: devpi remove {wanted.name}")
    sources = [one for one in reply.result.get("sources") or () if isinstance(one, Mapping)]
    return any(one.get("keeps_name") or one.get("contributes") for one in sources if one.get("index") == place.name)


def _file(session: Session, url: str, query: Mapping[str, str]) -> None:
    session.terminal.info("About to remove the following file:")
    session.terminal.info(url)
    _confirm(session)
    session.api("DELETE", urls.with_query(url, **query))
    session.terminal.data({"deleted": url})


def _confirm(session: Session) -> None:
    if not session.terminal.confirm("Are you sure"):
        raise Failure("not deleting anything")


def _own(session: Session, place: Index, wanted: Wanted, *, may_lack: bool = False) -> dict[str, Sequence[Link]]:
    """The versions that are asked for and that the index holds itself, oldest first, with their files.

    Raises Refused when it has no such project, unless it `may_lack` that.
    """
    url = urls.with_query(place.project(wanted.name), ignore_bases="")
    try:
        found: dict[str, Any] = session.api("GET", url, type="projectconfig").result
    except Refused as refused:
        if may_lack and refused.status == HTTPStatus.NOT_FOUND:
            return {}
        raise
    own: dict[str, Sequence[Link]] = {}
    for version in sorted(found, key=releases.version_key):
        files = [
            link for link in releases.links(found[version], place.url + "/") if link.href.startswith(place.url + "/")
        ]
        if wanted.matches(version) and files:
            own[version] = sorted(files, key=lambda link: link.basename)
    return own


def _show(session: Session, versions: Mapping[str, Sequence[Link]]) -> None:
    out = session.terminal
    out.info("About to remove the following releases and distributions")
    for version, links in versions.items():
        out.info(f"version: {version}")
        for link in links:
            out.info(f"  - {link.href}")
