"""What `devpi-fsck` says of what it finds: a line about each, a sentence about each kind. Pure."""

from collections.abc import Iterator

import msgspec

from stilton.upkeep.bookmark import Finding, Progress
from stilton.upkeep.check import Flaw
from stilton.upkeep.litter import Litter
from stilton.upkeep.sweep import Swept

SHOWN = 9
"""So many lines of each kind are shown; the JSON report has more."""

_UPLOAD = "private ones have to be restored from a backup, or uploaded again"
_AGAIN = "restore them from a backup, or upload the file again"
_COPY = "the copy of its metadata beside it"
_READ = "--repair takes it out of the wheel again."


class Words(msgspec.Struct, frozen=True):
    """`one`: before a file's name. `many`: all of the kind. `means`: what is wrong, what `--repair` does about it."""

    one: str
    many: str
    means: str


def _of(how: str, what: str, means: str) -> Words:
    """What is wrong beside a file that is well."""
    return Words(f"{how.capitalize()} {what} of", f"files with {how} {what}", means)


WORDS = {
    Flaw.MISSING: Words(
        "Missing file", "missing files",
        "the database names them, the disk has them not. --repair forgets mirrored ones, to be fetched again; "
        f"{_UPLOAD}.",
    ),
    Flaw.CORRUPT: Words(
        "Corrupt file", "corrupt files",
        "their bytes are not those that came once. --repair moves them to quarantine and forgets mirrored ones, "
        f"to be fetched again; {_UPLOAD}.",
    ),
    Flaw.METADATA_MISSING: _of("missing", "metadata", f"the wheel is well, {_COPY} is not on the disk. {_READ}"),
    Flaw.METADATA_CORRUPT: _of("corrupt", "metadata", f"the wheel is well, {_COPY} is damaged. {_READ}"),
    Flaw.METADATA_DIFFERS: _of("wrong", "metadata", f"{_COPY}, for installers, is not what the wheel has. {_READ}"),
    Flaw.REQUIRES_PYTHON: _of(
        "wrong", "Requires-Python",
        "pages say another one than the wheel. --repair makes them say what the wheel says.",
    ),
    Flaw.PROVENANCE_MISSING: _of(
        "missing", "provenance",
        f"the file is well, its attestations are not on the disk. --repair cannot make them again: {_AGAIN}.",
    ),
    Flaw.PROVENANCE_CORRUPT: _of(
        "corrupt", "provenance",
        "the file is well, its attestations are damaged. --repair moves them to quarantine and cannot make them again: "
        f"{_AGAIN}.",
    ),
}  # fmt: skip
_SAYS_WHY = (Flaw.CORRUPT, Flaw.REQUIRES_PYTHON)


def line(finding: Finding) -> str:
    """About one file; scripts that watched devpi's know `Missing file NAME`."""
    problem = finding.problem
    why = f": {problem.why}" if problem.flaw in _SAYS_WHY else ""
    done = f" ({finding.mended})" if finding.mended else ""
    return f"{WORDS[problem.flaw].one} {problem.row.name}{why}{done}"


def further(flaw: Flaw) -> str:
    """In place of those that are one too many."""
    return f"Further {WORDS[flaw].many} will be omitted."


def summary(progress: Progress, swept: Swept, litter: Litter, *, repair: bool) -> Iterator[str]:
    """All the rest, when everything was looked at."""
    yield f"Finished with a total of {progress.rows} files."
    if progress.checksum:
        mb = progress.read_bytes / 1e6
        yield f"Read {mb:.0f} MB in {progress.seconds:.1f} s ({mb / max(progress.seconds, 0.001):.0f} MB/s)."
    if swept.removed:
        yield f"Removed {_blobs(swept.removed, swept.removed_bytes)} that nothing refers to."
    if swept.waiting:
        size = _blobs(swept.waiting, swept.waiting_bytes)
        yield f"Nothing refers to {size}; the running server, or --repair, removes them."
    yield from _littered(litter, repair=repair)
    if progress.mended:
        yield f"Mended {progress.mended} of {progress.mended + progress.unmended}."
    for flaw in dict.fromkeys(one.problem.flaw for one in progress.findings if one.mended is None):
        many = WORDS[flaw].many
        yield f"{many[0].upper()}{many[1:]}: {WORDS[flaw].means}"


def advice(progress: Progress, *, repair: bool) -> str:
    """What to do now."""
    if repair:
        return (
            f"{progress.unmended} things of private indexes cannot be mended: "
            "restore these files from a backup, or upload them again."
        )
    return f"{progress.unmended} things are wrong. Stop the server and run devpi-fsck --repair to mend what can be."


def _littered(litter: Litter, *, repair: bool) -> Iterator[str]:
    yield from (f"Strange {path}" for path in litter.strange[:SHOWN])
    if litter.strange:
        yield (
            f"{len(litter.strange)} things in the folder of the blobs were not put there by this server; --repair "
            "leaves them alone. Look at them, and remove what nobody needs."
        )
    size = f"{litter.begun} files ({litter.begun_bytes / 1e6:.1f} MB) of incoming"
    if litter.begun and repair:
        yield f"Removed {size}, which uploads and downloads left that were cut off."
    elif litter.begun:
        yield f"There are {size}, on their way or left by a crash: the server's next start, or --repair, removes them."


def _blobs(count: int, size_bytes: int) -> str:
    return f"{count} blobs ({size_bytes / 1e6:.1f} MB)"
