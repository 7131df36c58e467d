"""`devpi remove`."""

from collections.abc import Mapping, Sequence
from typing import Any

import click

from stilton_client import releases, urls
from stilton_client.command import command
from stilton_client.errors import Failure
from stilton_client.releases import Link, Wanted
from stilton_client.session import Index, Session


@command(
    "remove",
    example="""devpi remove mypkg==1.0
               devpi remove -y 'mypkg<2'
               devpi remove https://packages.example.com/team/dev/+f/1cf/3d6eaa6cbc5fa/mypkg-1.0.zip""",
    json=True,
)
@click.argument("spec_or_url", metavar="SPEC|URL")
@click.option("--index", metavar="INDEX", help="NAME, USER/NAME or URL  [the current index]")
@click.option("-f", "--force", is_flag=True, help="remove from a non-volatile index, too")
def remove_(session: Session, spec_or_url: str, *, index: str | None, force: bool) -> None:
    """Remove a project, some of its versions, or one file. What goes is shown first, and you are asked.

    Only what the index itself holds is removed; what it inherits stays.
    """
    query = {"force": ""} if force else {}
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


def _file(session: Session, url: str, query: Mapping[str, str]) -> None:
    session.terminal.info("About to remove the following file:")
    session.terminal.info(url)
    _confirm(session)
    session.api("DELETE", urls.with_query(url, **query))
    session.terminal.data({"deleted": url})


def _confirm(session: Session) -> None:
    if not session.terminal.confirm("Are you sure"):
        raise Failure("not deleting anything")


def _own(session: Session, place: Index, wanted: Wanted) -> dict[str, Sequence[Link]]:
    """The versions that are asked for and that the index holds itself, oldest first, with their files."""
    url = urls.with_query(place.project(wanted.name), ignore_bases="")
    found: dict[str, Any] = session.api("GET", url, type="projectconfig").result
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
