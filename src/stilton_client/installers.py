"""The configuration files of pip, uv and others: pointed at an index, shown, given back."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from stilton_client import configfiles, urls
from stilton_client.configbook import Book, Outcome
from stilton_client.configfiles import ConfigError, Settings, Target
from stilton_client.errors import EXIT_FAILED
from stilton_client.session import Index, Session

_OUTCOMES = {
    Outcome.RESTORED: "restored",
    Outcome.REMOVED: "removed, there was none before",
    Outcome.UNPICKED: "edited meanwhile, only our settings were taken out",
    Outcome.GONE: "deleted meanwhile",
}


def found(session: Session, venv: Path | None) -> list[Target]:
    """The files to change; tells about those in a place of old."""
    targets = configfiles.targets(session.environ, Path.home(), venv, sys.platform)
    for target in targets:
        if target.successor is not None:
            session.terminal.warn(
                f"Detected pip config at legacy location: {target.path}. You should move it to: {target.successor}"
            )
    return targets


def point_at(session: Session, place: Index, targets: Sequence[Target], trusted: str) -> int:
    """Make installers use the index; each file that cannot be changed is told. Returns the exit code.

    `trusted`: yes, no, or auto (for http beyond this machine).
    """
    out = session.terminal
    simple, index = place.simple, place.url
    basic = session.state.basic_auth(index)
    if basic is not None:
        simple, index = urls.with_login(simple, *basic), urls.with_login(index, *basic)
    settings = Settings(simple, index, _trust(session, simple, trusted))
    book = Book(session.state.clientdir)
    failed = False
    for target in targets:
        if target.is_off:
            out.error(f"PIP_CONFIG_FILE={target.path} switches pip's files off: {target.tool} was not configured.")
            failed = True
            continue
        try:
            applied = book.apply(target, settings)
        except ConfigError as error:
            out.error(f"{error.what} {error.advice}")
            failed = True
            continue
        if applied.changed and target.hint:
            out.note(f"{target.path}: {target.hint}")
    return EXIT_FAILED if failed else 0


def show(session: Session, targets: Sequence[Target]) -> list[dict[str, Any]]:
    """One line a file: which index it names."""
    found = []
    for target in targets:
        try:
            status = target.status()
        except ConfigError as error:
            session.terminal.warn(f"{error.what} {error.advice}")
            continue
        session.terminal.info(status.line)
        found.append({"tool": target.tool, "path": str(status.path), "exists": status.exists, "index": status.url})
    return found


def give_back(session: Session) -> tuple[int, list[dict[str, str]]]:
    """All files become what they were before us. Returns the exit code, and what became of each."""
    out = session.terminal
    restored = sorted(Book(session.state.clientdir).restore(), key=lambda each: each.path)
    for each in restored:
        if each.error is not None:
            out.error(f"{each.error.what} {each.error.advice}")
        else:
            out.info(f"{each.path}: {_OUTCOMES[each.outcome]}")
    code = EXIT_FAILED if any(each.error for each in restored) else 0
    return code, [{"path": str(each.path), "outcome": each.outcome.value} for each in restored]


def _trust(session: Session, simple: str, wanted: str) -> bool | None:
    if wanted != "auto":
        return wanted == "yes"
    if urls.is_plain(simple):
        session.terminal.note("Warning: insecure http host, trusted-host will be set for pip")
        return True
    return True if session.state.current.get("settrusted") else None
