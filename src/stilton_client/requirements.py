"""Requirement files: their lines, what each asks for, and which would lead pip to another index. Pure.

pip reads the files itself where it resolves; this room reads them where nobody resolves, and for what pip would not
refuse: an index that is named in the file would be used in place of ours, now and in every install later.
"""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass

from packaging.requirements import InvalidRequirement, Requirement

from stilton_client.errors import Failure

_LONG = {"-r": "--requirement", "-c": "--constraint", "-i": "--index-url", "-f": "--find-links", "-e": "--editable"}
_LONG |= {"--pypi-url": "--index-url"}
_INDEXES = ("--index-url", "--extra-index-url", "--no-index")


@dataclass(frozen=True)
class Line:
    """A line that says something, with continuations joined. `option` and `value`: of `--option value`, in full."""

    number: int
    text: str
    option: str | None = None
    value: str = ""

    @property
    def names_index(self) -> bool:
        """Whether pip would ask another index because of it."""
        return self.option in _INDEXES


@dataclass(frozen=True)
class Asked:
    """A project that is asked for. `hashes`: "sha256:…" of the files that may be taken, none: any."""

    requirement: Requirement
    hashes: frozenset[str] = frozenset()


def lines(text: str) -> Iterator[Line]:
    """The lines of a requirement file, without comments."""
    joined, first = "", 1
    for number, raw in enumerate([*text.splitlines(), ""], 1):
        first = number if not joined else first
        if raw.endswith("\\") and not raw.lstrip().startswith("#"):
            joined += raw[:-1]
            continue
        said = re.sub(r"(^|\s+)#.*$", "", joined + raw).strip()
        joined = ""
        if said:
            yield _line(first, said)


def asked(line: Line) -> Asked | None:
    """What a line asks of an index; None: nothing (an option, a path, a URL). Raises Failure."""
    if line.option is not None:
        return None
    spec, *options = re.split(r"\s+--", line.text)
    if _is_place(spec):
        return None
    try:
        requirement = Requirement(spec)
    except InvalidRequirement as error:
        raise Failure(f"line {line.number}: {spec!r} is no requirement") from error
    found = (re.fullmatch(r"hash[=\s]\s*(\w+):([0-9a-fA-F]+)", option.strip()) for option in options)
    return None if requirement.url else Asked(requirement, frozenset(f"{m[1]}:{m[2]}".lower() for m in found if m))


def _is_place(spec: str) -> bool:
    return bool(re.match(r"\w+(\+\w+)?://|\.|/|file:", spec)) or spec.endswith((".whl", ".gz", ".zip"))


def _line(number: int, said: str) -> Line:
    if not said.startswith("-"):
        return Line(number, said)
    found = re.match(r"(--[\w-]+|-\w)[=\s]*(.*)", said)
    if found is None:
        return Line(number, said, said)
    try:
        value = " ".join(shlex.split(found[2]))
    except ValueError:
        value = found[2]
    return Line(number, said, _LONG.get(found[1], found[1]), value)
