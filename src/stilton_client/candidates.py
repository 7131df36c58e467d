"""What of a project is tested: the newest version that matches, which of its files, and which one has the tests. Pure.

Source distributions, and wheels that are for every Python 3 (`py3-none-any`, also with `py2`); a regular expression
takes any file. devpi-client wanted `py2.py3` of a wheel; nobody makes those any more. The tests themselves always come
from a source distribution.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from packaging.utils import InvalidWheelFilename, parse_wheel_filename

from stilton_client import releases
from stilton_client.errors import Failure
from stilton_client.members import can_unpack
from stilton_client.releases import Link, Wanted


@dataclass(frozen=True)
class Candidate:
    """What is to be tested of a version: its files, and the one that has the tests. `skipped`: wheels for some only."""

    project: str
    version: str
    source: Link
    tested: Sequence[Link]
    skipped: Sequence[Link] = ()


def choose(wanted: Wanted, project: Mapping[str, Any], base: str, selector: re.Pattern[str] | None = None) -> Candidate:
    """The newest version that matches, of a project's JSON. Raises Failure when there is nothing to test."""
    version = next((each for each in releases.newest_first(project) if wanted.matches(each)), None)
    if version is None:
        spec = wanted.requirement or f"{wanted.name}=={wanted.literal}"
        raise Failure(f"could not find/receive links for {spec}", f"See what there is: devpi list {wanted.name} --all")
    links = releases.links(project[version], base, "releasefile")
    sources = [link for link in links if can_unpack(link.basename)]
    if not sources:
        raise Failure(
            f"{wanted.name} {version}: need at least one sdist distribution", "Only a source distribution has tests."
        )
    if selector is not None:
        tested = [link for link in links if selector.search(link.basename)]
    else:
        tested = [link for link in links if link in sources or _is_for_every_python(link.basename)]
    if not tested:
        raise Failure(f"no file of {wanted.name} {version} matches", "See their names: devpi test --list")
    skipped = [link for link in links if link not in tested] if selector is None else []
    return Candidate(wanted.name, version, sources[0], tested, skipped)


def _is_for_every_python(filename: str) -> bool:
    try:
        tags = parse_wheel_filename(filename)[3]
    except InvalidWheelFilename:
        return False
    return any(str(tag) == "py3-none-any" for tag in tags)
