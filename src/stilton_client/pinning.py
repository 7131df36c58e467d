"""Pins on mirrors: what was fetched is never evicted there, until somebody takes the pin away.

Stilton only: `PUT {mirror}/+pins`; the owner of the mirror and root may.
"""

from collections import defaultdict
from collections.abc import Sequence

from stilton_client import urls
from stilton_client.errors import Refused
from stilton_client.session import Session

MOST = 5_000  # the server takes 10,000 at once
_FILES = ("/+f/", "/+e/")


def by_index(files: Sequence[str]) -> dict[str, list[str]]:
    """Paths below each index (`+f/...`) of the files' URLs."""
    found = defaultdict(list)
    for url in files:
        for mark in _FILES:
            index, there, path = urls.without_fragment(url).partition(mark)
            if there:
                found[index].append(mark.strip("/") + "/" + urls.unquoted(path))
                break
    return dict(found)


def pin(session: Session, files: Sequence[str], reason: str) -> tuple[int, dict[str, str]]:
    """Pin these files; how many were, and why not those of other indexes. Private indexes need no pins."""
    done = 0
    refused: dict[str, str] = {}
    for index, paths in sorted(by_index(files).items()):
        if session.api("GET", urls.with_query(index, no_projects="")).result.get("type") != "mirror":
            continue
        try:
            for start in range(0, len(paths), MOST):
                wish = {"files": paths[start : start + MOST], "reason": reason}
                session.api("PUT", urls.child(index, "+pins"), wish)
            done += len(paths)
        except Refused as error:
            refused[index] = " ".join([error.what.rpartition("\n")[2], error.advice]).strip()
    return done, refused
