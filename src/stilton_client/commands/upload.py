"""`devpi upload`: builds a project (`building`) or takes files (`cargo`), and sends what is new (`sending`)."""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from stilton_client import building, cargo, projectconfig, urls
from stilton_client.command import command
from stilton_client.errors import EXIT_FAILED, Failure
from stilton_client.projectconfig import Defaults
from stilton_client.sending import Sender
from stilton_client.session import LOGIN_ADVICE, Index, Session
from stilton_client.terminal import Terminal


@dataclass(frozen=True)
class Options:
    """What was typed."""

    python: str | None
    no_vcs: bool
    setupdir_only: bool
    formats: str | None
    sdist: bool
    wheel: bool
    no_isolation: bool
    with_docs: bool
    only_docs: bool
    index: str | None
    from_dir: bool
    only_latest: bool
    dry_run: bool


@command(
    "upload",
    example="""devpi upload
               devpi upload --sdist --with-docs
               devpi upload dist/pkg-1.0-py3-none-any.whl dist/pkg-1.0.tar.gz
               devpi upload --from-dir --only-latest --index team/dev wheelhouse
               devpi upload --dry-run --from-dir dist""",
    json=True,
)
@click.argument("paths", metavar="[PATH]...", nargs=-1, type=click.Path(path_type=Path))
@click.option("-p", "--python", metavar="EXE", help="interpreter to build with  [the active environment's]")
@click.option("--no-vcs", is_flag=True, help="build in this folder, not in a copy of what git or hg tracks")
@click.option("--setupdir-only", is_flag=True, help="copy only this folder, without .git or .hg")
@click.option("--formats", metavar="CSV", help="deprecated: use --sdist, --wheel")
@click.option("--sdist", is_flag=True, help="build a source distribution")
@click.option("--wheel", is_flag=True, help="build a wheel")
@click.option("--no-isolation", is_flag=True, help="build with what is installed, not in a fresh environment")
@click.option("--with-docs", is_flag=True, help="build documentation with Sphinx, too")
@click.option("--only-docs", is_flag=True, help="build documentation only")
@click.option("--index", metavar="INDEX", help="NAME, USER/NAME or URL  [the current index]")
@click.option("--from-dir", is_flag=True, help="look for files in folders, and the folders in them")
@click.option("--only-latest", is_flag=True, help="of each project, only files of the newest version found")
@click.option("--dry-run", is_flag=True, help="send nothing, say what would be sent")
def upload_(session: Session, paths: Sequence[Path], **given: Any) -> int:  # noqa: ANN401 - see Options
    """Build the project in this folder and upload it, or upload files.

    Without PATH, a source distribution and, out of that, a wheel are built from what git or hg tracks. Files that
    the index has already are not sent again, so a list that stopped can be run again.

    A file that is named and cannot be uploaded ends the command before anything is sent. One that --from-dir finds is
    left out: the others are sent, and the command ends with 1.

    Defaults for --no-vcs, --setupdir-only, --sdist and --wheel may stand in pyproject.toml, [tool.devpi.upload], or
    in setup.cfg, [devpi:upload].
    """
    options = Options(**given)
    index = session.index(options.index)
    if index.submit is None:
        raise Failure(
            f"The current index {index.url} does not support upload.\nMost likely, it is a mirror.",
            "Choose another: --index USER/NAME",
        )
    if not options.dry_run:
        check_login(session, index)
    out, here = session.terminal, session.cwd
    if not paths:
        wished = wish(options, projectconfig.defaults(here, out), out)
        paths = building.build_project(wished, here, out, session.environ)
    with tempfile.TemporaryDirectory(prefix="devpi-") as folder:
        found = cargo.found(paths, Path(folder), out, from_dir=options.from_dir, only_latest=options.only_latest)
        Sender(session, index, index.submit, dry_run=options.dry_run).send(found.items, found.left_out)
    return EXIT_FAILED if found.left_out else 0


def wish(options: Options, defaults: Defaults, out: Terminal) -> building.Wish:
    """What the options and the project's own files ask for. Raises Failure."""
    sdist, wheel = options.sdist or defaults.sdist, options.wheel or defaults.wheel
    formats = options.formats or defaults.formats
    if formats and not (sdist or wheel):
        sdist, wheel = projectconfig.of_formats(formats, out)
    return building.Wish(
        sdist=sdist,
        wheel=wheel,
        releases=not options.only_docs,
        docs=options.with_docs or options.only_docs,
        python=options.python,
        isolated=not options.no_isolation,
        exported=not (options.no_vcs or defaults.no_vcs),
        setupdir_only=options.setupdir_only or defaults.setupdir_only,
    )


def check_login(session: Session, index: Index) -> None:
    """Raises Failure when the server knows nobody and the index is not for everybody."""
    status = session.discover(index.url).get("authstatus")
    if not isinstance(status, list) or not status or status[0] == "ok":
        return
    config = session.http.api("GET", urls.with_query(index.url, no_projects=""))
    allowed = config.result.get("acl_upload") if isinstance(config.result, dict) else None
    if isinstance(allowed, list) and ":ANONYMOUS:" in allowed:
        return
    sent = session.login_for(index.url).token
    if sent is None:
        raise Failure("you need to be logged in (use 'devpi login USER')", LOGIN_ADVICE)
    session.state.log_off(index.root, sent[0])
    raise Failure(f"The login of {sent[0]!r} has ended", f"Log in again: devpi login {sent[0]}")
