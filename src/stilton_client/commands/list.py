"""`devpi list`."""

import contextlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

import click

from stilton_client import releases, toxresults, urls
from stilton_client.command import command
from stilton_client.errors import Refused
from stilton_client.releases import Link, Wanted
from stilton_client.session import Index, Session
from stilton_client.toxresults import Command, Environment

SHOWN_VERSIONS = 3


@command(
    "list",
    example="""devpi list
               devpi list 'mypkg>=2' --all
               devpi list -t mypkg""",
    json=True,
)
@click.argument("spec", required=False)
@click.option("-f", "--failures", is_flag=True, help="show what failed in tests (implies -t)")
@click.option("--all", "everything", is_flag=True, help="show all versions and not only the newest three")
@click.option("-t", "--toxresults", "tests", is_flag=True, help="show results of tests")
@click.option("--index", metavar="INDEX", help="NAME, USER/NAME or URL  [the current index]")
@click.option("--ignore-bases", is_flag=True, help="leave out what is inherited")
def list_(session: Session, spec: str | None, *, index: str | None, **options: bool) -> None:
    """List the projects of the index, or with SPEC (mypkg, 'mypkg>=2.0') the files of a project.

    Newest versions come first. Red files are hidden by the same version in another index. With -v and without SPEC:
    each project with its newest version, with --all all of them.
    """
    place = session.index(index)
    if spec is None:
        _projects(session, place, options)
    else:
        _files(session, place, releases.wanted(spec), options)


def _projects(session: Session, place: Index, options: Mapping[str, bool]) -> None:
    out = session.terminal
    names = session.api("GET", place.url, type="indexconfig").result.get("projects") or []
    if not out.verbose:
        for name in sorted(names):
            out.info(name)
        out.data({"index": place.url, "projects": sorted(names)})
        return
    versions = {}
    for name in sorted(names):
        found = _releases(session, place, name, ignore_bases=options["ignore_bases"])
        shown = sorted(found, key=releases.version_key)
        versions[name] = shown if options["everything"] else shown[-1:]
        for version in versions[name]:
            out.info(f"{found[version].get('name') or name}=={version}")
    out.data({"index": place.url, "projects": versions})


def _releases(session: Session, place: Index, project: str, *, ignore_bases: bool) -> dict[str, Any]:
    url = place.project(project)
    if ignore_bases:
        url = urls.with_query(url, ignore_bases="")
    result: dict[str, Any] = session.api("GET", url, type="projectconfig").result
    return result


def _files(session: Session, place: Index, wanted: Wanted, options: Mapping[str, bool]) -> None:
    out = session.terminal
    found = _releases(session, place, wanted.name, ignore_bases=options["ignore_bases"])
    versions = [version for version in releases.newest_first(found) if wanted.matches(version)]
    with_files = [version for version in versions if _all_links(place, found[version])]
    shown = with_files if options["everything"] else with_files[:SHOWN_VERSIONS]
    printer = _Printer(session, place, tests=options["tests"] or options["failures"], failures=options["failures"])
    data = {version: printer.version(found[version]) for version in shown}
    if len(shown) < len(with_files):
        out.info(f"{len(with_files) - len(shown)} older versions not shown, use --all to see")
    out.data({"index": place.url, "project": wanted.name, "versions": data, "not_shown": with_files[len(shown) :]})


def _all_links(place: Index, release: Mapping[str, Any]) -> list[Link]:
    own = releases.links(release, place.url + "/", "releasefile")
    return own + [
        link for other in releases.shadowed(release) for link in releases.links(other, place.url + "/", "releasefile")
    ]


class _Printer:
    """Shows the files of versions, and returns what it showed."""

    def __init__(self, session: Session, place: Index, *, tests: bool, failures: bool) -> None:
        self._session = session
        self._place = place
        self._tests = tests
        self._failures = failures

    def version(self, release: Mapping[str, Any]) -> list[dict[str, Any]]:
        found = self._release(release, hidden=False)
        for other in releases.shadowed(release):
            found += self._release(other, hidden=True)
        return found

    def _release(self, release: Mapping[str, Any], *, hidden: bool) -> list[dict[str, Any]]:
        base = self._place.url + "/"
        files = releases.links(release, base, "releasefile")
        results = releases.links(release, base, "toxresult")
        data = []
        for link in sorted(files, key=lambda link: link.basename):
            self._line(link, hidden=hidden)
            entry: dict[str, Any] = {"url": link.href, "hashes": dict(link.hashes), "shadowed": hidden}
            if self._tests:
                entry["tests"] = self._test_lines([each for each in results if each.for_href == link.href])
            data.append(entry)
        return data

    def _line(self, link: Link, *, hidden: bool) -> None:
        out = self._session.terminal
        if hidden:
            out.flag(link.href)
        elif link.href.startswith(self._place.url + "/"):
            out.info(link.href)
        else:
            out.line(link.href)

    def _test_lines(self, links: Sequence[Link]) -> list[dict[str, Any]]:
        """The newest result of each environment."""
        seen: set[tuple[str, str, str]] = set()
        data = []
        for link in reversed(links):
            for environment in self._environments(link):
                if environment.key not in seen:
                    seen.add(environment.key)
                    self._verdicts(environment)
                    key = dict(zip(("host", "platform", "env"), environment.key, strict=True))
                    data.append({**key, "python": environment.python, "passed": environment.passed, "url": link.href})
        return data

    def _environments(self, link: Link) -> list[Environment]:
        text = bytearray()
        try:
            self._session.http.download(link.href, text.extend)
            return toxresults.environments(json.loads(text))
        except (Refused, ValueError) as error:
            self._session.terminal.error(f"corrupt toxresult, skipping: {link.href} ({error})")
            return []

    def _verdicts(self, environment: Environment) -> None:
        out = self._session.terminal
        for text, good, commands in environment.verdicts:
            if good:
                out.line(text)
                continue
            out.flag(text)
            if self._failures:
                self._commands(commands)

    def _commands(self, commands: Sequence[Command]) -> None:
        """All until the first that failed, and what that one printed."""
        out = self._session.terminal
        with contextlib.suppress(StopIteration):
            bad = next(number for number, each in enumerate(commands) if each.failed)
            for each in commands[:bad]:
                out.info(f"    OK:  {each.words}")
            out.flag(f"    FAIL: {commands[bad].words}")
            for line in commands[bad].output.split("\n"):
                out.flag(f"    {line}")
