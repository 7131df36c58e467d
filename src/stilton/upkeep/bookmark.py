"""Where a check of consistency stopped, and what it had found: SERVERDIR/.fsck.json, gone when it came to its end."""

import contextlib
from pathlib import Path

import msgspec

from stilton.upkeep.check import Place, Problem

NAME = ".fsck.json"
FORMAT = "stilton-fsck-1"
MOST_FINDINGS = 10_000


class Finding(msgspec.Struct, frozen=True):
    """A problem, and what was done about it; `mended` None: nothing, or nothing can be."""

    problem: Problem
    mended: str | None = None


class Progress(msgspec.Struct, frozen=True):
    """What a check did so far. `seconds`: how long it took. `checksum`: whether bytes were read.

    `mended`, `unmended`: all problems in numbers; `findings`: the first of them. `repair`: were they to be mended.
    """

    checksum: bool
    place: Place = Place()
    rows: int = 0
    read_bytes: int = 0
    seconds: float = 0.0
    mended: int = 0
    unmended: int = 0
    findings: list[Finding] = []
    repair: bool = False
    format: str = FORMAT

    def with_more(self, findings: list[Finding]) -> "Progress":
        """The same with these found, too."""
        mended = sum(finding.mended is not None for finding in findings)
        return msgspec.structs.replace(
            self,
            mended=self.mended + mended,
            unmended=self.unmended + len(findings) - mended,
            findings=[*self.findings, *findings] if len(self.findings) < MOST_FINDINGS else self.findings,
        )


class Bookmark:
    """The file in the server's folder."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / NAME

    def read(self) -> Progress | None:
        """What an earlier check left; None when there is nothing to go on from."""
        try:
            found = msgspec.json.decode(self._path.read_bytes(), type=Progress)
        except (OSError, msgspec.DecodeError):
            return None
        return found if found.format == FORMAT else None

    def write(self, progress: Progress) -> None:
        """Remember how far it is. A folder that cannot be written to is not this check's business."""
        temporary = self._path.with_name(NAME + ".tmp")
        with contextlib.suppress(OSError):
            temporary.write_bytes(msgspec.json.encode(progress))
            temporary.replace(self._path)

    def drop(self) -> None:
        """The check is done."""
        with contextlib.suppress(OSError):
            self._path.unlink()
