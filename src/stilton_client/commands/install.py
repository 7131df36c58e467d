"""`devpi install`: pip, or uv where there is no pip, told to use the index."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from stilton_client import children, credentials, venvs
from stilton_client.children import Child
from stilton_client.command import command
from stilton_client.errors import Failure
from stilton_client.session import Session


@dataclass(frozen=True)
class Installer:
    """A program that installs: pip or uv, and the interpreter that it is for if that is not its own."""

    program: Path
    is_uv: bool = False
    python: Path | None = None

    @property
    def name(self) -> str:
        """What people call it."""
        return "uv pip" if self.is_uv else "pip"

    def line(self, verb: str, *arguments: str) -> list[str]:
        """Its command line."""
        python = ["--python", str(self.python)] if self.python else []
        if self.is_uv:
            return [str(self.program), "pip", verb, *python, *arguments]
        return [str(self.program), *python, verb, *arguments]


@command(
    "install",
    example="""devpi install mypkg
               devpi install --index team/prod 'mypkg>=2'
               devpi install -r requirements.txt
               devpi install --venv ./venv -e .
               devpi install -l""",
    json=True,
)
@click.argument("packages", nargs=-1, metavar="[PKG]...")
@click.option("--index", metavar="INDEX", help="NAME, USER/NAME or URL of the index to install from")
@click.option("-l", "listing", is_flag=True, help="list what is installed")
@click.option("-e", "editable", multiple=True, metavar="ARG", help="install a project in editable mode")
@click.option("--venv", metavar="DIR", help="install into this environment; a name is one in WORKON_HOME")
@click.option("-r", "--requirement", is_flag=True, help="each PKG is a requirements file")
def install_(
    session: Session,
    packages: tuple[str, ...],
    index: str | None,
    editable: tuple[str, ...],
    venv: str | None,
    *,
    listing: bool,
    requirement: bool,
) -> None:
    """Install packages from the index with pip, or with uv where there is no pip.

    It is the pip of --venv, of `devpi use --venv`, of the active environment, or else on PATH. Packages are upgraded
    (-U), and pre-releases count (PIP_PRE=1; set PIP_PRE=0 to leave them out). Your login goes along in a
    netrc file that is only yours to read and is gone in the end.
    """
    place = venvs.chosen(venv, session.state, session.environ, session.cwd)
    installer = find_installer(session, place)
    if listing:
        _list(session, installer, place)
    elif packages or editable:
        _install(session, installer, index, arguments(packages, editable, are_files=requirement))
    else:
        raise click.UsageError("Say what to install: devpi install PKG")


def arguments(packages: tuple[str, ...], editable: tuple[str, ...], *, are_files: bool) -> list[str]:
    """What pip is to install."""
    found = [word for each in editable for word in ("-e", each)]
    if are_files:
        return [*found, *(word for each in packages for word in ("-r", each))]
    return [*found, *packages]


def find_installer(session: Session, venv: Path | None) -> Installer:
    """What installs into an environment: never a pip that would install somewhere else. Raises Failure."""
    pip = children.find("pip", session.environ, venv)
    if pip is not None:
        return Installer(pip)
    python = _python(venv) if venv else None
    uv = children.find("uv", session.environ)
    if uv is not None:
        return Installer(uv, is_uv=True, python=python)
    pip = children.find("pip", session.environ)
    if pip is not None:
        return Installer(pip, python=python)
    raise Failure("no pip binary found", "Install pip (python -m ensurepip) or uv.")


def _python(venv: Path) -> Path:
    """Raises Failure when there is none: what is asked for must not land somewhere else."""
    found = children.find("python", {}, venv)
    if found is None:
        raise Failure(f"{venv} has neither pip nor python", f"Make it anew: python -m venv {venv}")
    return found


def _install(session: Session, installer: Installer, index: str | None, what: list[str]) -> None:
    out = session.terminal
    found = session.index(index)
    wishes = {"PIP_PRE": "1", "UV_PRERELEASE": "allow"}
    with credentials.lent(session, found) as lent:
        line = installer.line("install", "-U", *what)
        status = children.run(Child(line, session.cwd, {**wishes, **session.environ, **lent}), out)
    out.data({"index": found.url, "installer": str(installer.program), "exit_code": status})
    if status:
        raise Failure(f"{installer.name} install failed with exit code {status}", "What it says stands above.")


def _list(session: Session, installer: Installer, venv: Path | None) -> None:
    out = session.terminal
    out.info(f"list of installed packages on {venv or installer.program}")
    line = installer.line("list", *(["--format=json"] if out.as_json else []))
    child = Child(line, session.cwd, session.environ)
    if out.as_json:
        status, text = children.output(child, out)
    else:
        status, text = children.run(child, out), ""
    if status:
        raise Failure(f"{installer.name} list failed with exit code {status}", "What it says stands above.")
    if out.as_json:
        out.data({"venv": str(venv) if venv else None, "packages": _packages(text)})


def _packages(text: str) -> Any:  # noqa: ANN401 - pip's JSON
    try:
        return json.loads(text)
    except ValueError as error:
        raise Failure(f"pip's list is not JSON ({error})", "Try a newer pip.") from error
