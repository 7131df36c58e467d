"""`devpi push`."""

import re
from pathlib import Path
from typing import Any

import click

from stilton_client import keyrings, pypirc, releases
from stilton_client.command import command
from stilton_client.errors import EXIT_FAILED, EXIT_USAGE, Failure
from stilton_client.http import Reply
from stilton_client.session import Index, Session

# The server sends all files on before it answers.
WITHIN_S = 3600.0
_DONE = ("200", "201", "410")
_OLD_SPEC = re.compile(r"(?P<name>.+?)-(?P<version>\d[^-]*)")


@command(
    "push",
    example="""devpi push mypkg==1.0 team/prod
               devpi push mypkg==1.0 pypi:pypi
               devpi push --index team/dev --no-docs mypkg==1.0 team/prod""",
    json=True,
)
@click.argument("pkgspec", metavar="NAME==VERSION")
@click.argument("target", metavar="USER/NAME|pypi:REPOSITORY")
@click.option("--index", metavar="INDEX", help="push from NAME, USER/NAME or URL  [the current index]")
@click.option("--no-docs", is_flag=True, help="push files only, no documentation")
@click.option("--only-docs", is_flag=True, help="push documentation only, no files")
@click.option("--pypirc", "pypirc_path", metavar="FILE", help="where repositories are described  [~/.pypirc]")
@click.option("--register-project", is_flag=True, help="register the project first, for servers that want that")
def push_(session: Session, pkgspec: str, target: str, *, index: str | None, **options: Any) -> int:  # noqa: ANN401
    """Push a release with its files, documentation and test results to another index, or to PyPI.

    REPOSITORY is a section of .pypirc, or a URL; `pypi:pypi` needs no .pypirc. A password that is not in .pypirc
    comes from the keyring if the package `keyring` is installed and knows it, otherwise it is asked for.
    """
    name, version = _release(session, pkgspec)
    source = session.index(index)
    request: dict[str, Any] = {"name": name, "version": version, **_docs(source, options)}
    if target.startswith("pypi:"):
        request |= _outside(session, source, target.removeprefix("pypi:"), options)
    elif target.count("/") == 1:
        request["targetindex"] = target
    else:
        raise Failure(f"target {target!r} not of form USER/NAME or pypi:REPONAME", code=EXIT_USAGE)
    session.terminal.debug(f"pushing {name} {version} from {source.url} to {target}")
    return _report(session, session.http.api("PUSH", source.url, request, timeout_s=WITHIN_S))


def _release(session: Session, spec: str) -> tuple[str, str]:
    """Name and version. Raises Failure."""
    old = _OLD_SPEC.fullmatch(spec) if "==" not in spec else None
    if old is not None:
        session.terminal.warn(
            "Old style package specification is deprecated, use this form: your-pkg-name==your.version.specifier"
        )
        return old["name"], old["version"]
    wanted = releases.wanted(spec)
    if wanted.exact is None:
        raise Failure("The release specification needs to be of this form: name==version", code=EXIT_USAGE)
    return wanted.name, wanted.exact


def _docs(source: Index, options: dict[str, Any]) -> dict[str, bool]:
    if options["no_docs"] and options["only_docs"]:
        raise Failure("Can't use '--no-docs' and '--only-docs' together.", code=EXIT_USAGE)
    for key in ("no_docs", "only_docs"):
        if options[key]:
            _need(source, key)
            return {key: True}
    return {}


def _need(source: Index, key: str) -> None:
    """Raises Failure when the server does not know an option."""
    option = key.replace("_", "-")
    if f"push-{option}" not in source.features:
        raise Failure(f"The server doesn't support the '--{option}' option, 6.14.0 or newer required.")


def _outside(session: Session, source: Index, name: str, options: dict[str, Any]) -> dict[str, Any]:
    given = options["pypirc_path"]
    path = Path(given).expanduser() if given else Path("~/.pypirc").expanduser()
    repository = pypirc.repository(name, path, must_exist=given is not None)
    if path.is_file():
        session.terminal.note(f"using pypirc {path}")
    password = repository.password
    if password is None:
        password = keyrings.password(repository.url, repository.username, session.terminal.warn)
    if password is None:
        password = session.terminal.ask_secret(f"password for user {repository.username} at {repository.url}: ")
    request = {"posturl": repository.url, "username": repository.username, "password": password}
    if options["register_project"]:
        _need(source, "register_project")
        return {**request, "register_project": True}
    return request


def _report(session: Session, reply: Reply) -> int:
    """One line an action. Raises Refused when nothing was begun."""
    out = session.terminal
    if reply.type != "actionlog":
        if reply.ok:
            out.data({"actions": []})
            return 0
        raise session.refused(reply)
    actions: list[list[Any]] = reply.result or []
    failed = not reply.ok
    for action in actions:
        bad = str(action[0]) not in _DONE
        failed = failed or bad
        for line in " ".join(map(str, action)).split("\n"):
            (out.flag if bad else out.line)(f"   {line}")
    out.data({"actions": actions, "ok": not failed})
    if failed:
        out.error("Failure during upload")
    return EXIT_FAILED if failed else 0
