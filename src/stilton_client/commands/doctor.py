"""`devpi doctor`: an index examined by the example of a project (`examination`), and what is found told."""

import dataclasses
from collections.abc import Sequence

import click
from packaging.utils import canonicalize_name

from stilton_client import examination, tools, urls
from stilton_client.command import command
from stilton_client.errors import EXIT_FAILED, Failure
from stilton_client.examination import Patient
from stilton_client.findings import Finding, Level
from stilton_client.http import Login
from stilton_client.session import Index, Session


@command(
    "doctor",
    example="""devpi doctor
               devpi doctor requests --tool uv
               devpi doctor --index team/prod mypkg --json
               devpi doctor --simple http://localhost:8080/simple/ mypkg""",
    json=True,
)
@click.argument("project", required=False)
@click.option("--index", "wanted", metavar="INDEX", help="another index than the current one: NAME, USER/NAME or URL")
@click.option("--simple", metavar="URL", help="any index of which you know the URL that pip would be given")
@click.option("--tool", "named", type=click.Choice(tools.NAMES), multiple=True, help="only this one  [pip and uv]")
def doctor_(
    session: Session, project: str | None, wanted: str | None, simple: str | None, named: tuple[str, ...]
) -> int:
    """Check that pip and uv get what they need from the index, by the example of PROJECT, and say what to change.

    Looks at pages, hashes, upload times, metadata files, ranges and caching, at how the installed pip and uv are
    configured, and has both look for a release without installing it. Without PROJECT: the first one that the index
    has itself. Ends with 1 if there is a problem. Changes nothing.
    """
    patient = _patient(session, project, wanted, simple)
    session.terminal.note(f"examining {urls.hidden(patient.simple)} with {patient.project}")
    found = []
    with session.terminal.progress("examining", None) as bar:
        for finding in examination.examined(session, patient, named):
            found.append(finding)
            bar.advance(1)
    _show(session, found)
    healthy = all(one.level is not Level.PROBLEM for one in found)
    session.terminal.data({
        "index": urls.hidden(patient.simple),
        "project": patient.project,
        "healthy": healthy,
        "findings": [dataclasses.asdict(one) for one in found],
    })  # fmt: skip
    return 0 if healthy else EXIT_FAILED


def _patient(session: Session, project: str | None, wanted: str | None, simple: str | None) -> Patient:
    if simple is not None:
        if not urls.is_http(simple) or project is None:
            raise Failure("--simple takes the URL of an index, and a project", "devpi doctor --simple URL PROJECT")
        bare, login = urls.without_login(simple)
        return Patient(bare, canonicalize_name(project), bare=True, login=Login(basic=login))
    index = session.index(wanted)
    named = project if project is not None else _first(session, index)
    return Patient(index.simple, canonicalize_name(named), bare=False, login=session.login_for(index.simple))


def _first(session: Session, index: Index) -> str:
    """A project that the index has itself. Raises Failure when nobody but the person can name one."""
    if index.submit is None:
        raise Failure(f"{index.name} is a mirror", "Name a project to look at: devpi doctor PROJECT")
    names = session.api("GET", index.url, type="indexconfig").result.get("projects") or []
    if not names:
        raise Failure(f"{index.name} has no project of its own", "Name one to look at: devpi doctor PROJECT")
    return str(min(names))


def _show(session: Session, found: Sequence[Finding]) -> None:
    rows = []
    for one in found:
        rows.append((one.level.value, one.about, one.says))
        if one.change:
            rows.append(("", "", f"-> {one.change}"))
    session.terminal.table(("", "about", "finding"), rows)
    problems = sum(one.level is Level.PROBLEM for one in found)
    warnings = sum(one.level is Level.WARNING for one in found)
    session.terminal.info(f"{_many(problems, 'problem')}, {_many(warnings, 'warning')}")


def _many(count: int, what: str) -> str:
    return f"{count or 'no'} {what}{'' if count == 1 else 's'}"
