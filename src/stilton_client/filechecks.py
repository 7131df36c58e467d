"""Whether the files of an index are what its pages promise: answers in, findings out. Pure."""

import hashlib
import io
import re
import zipfile
from collections.abc import Sequence

from stilton_client.findings import Finding, Level
from stilton_client.listings import Answer, Listed

RANGE_BYTES = 100
RANGES = (f"bytes=0-{RANGE_BYTES - 1}", f"bytes=-{RANGE_BYTES}")


def sample(files: Sequence[Listed]) -> Listed | None:
    """The file to look at: the smallest wheel that is not yanked, with metadata if there is one, else any file."""
    candidates = [file for file in files if not file.yanked] or list(files)

    def rank(file: Listed) -> tuple[bool, bool, int]:
        return not file.is_wheel, file.metadata is None, file.size if file.size is not None else 1 << 60

    return min(candidates, key=rank, default=None)


def of_head(file: Listed, head: Answer) -> Finding:
    """HEAD tells a file's size."""
    length = head.length
    if head.status != 200 or length is None:
        says = f"HEAD of a file is answered with {head.status} and {'no' if length is None else 'a'} size"
        return Finding("ranges", Level.WARNING, says, "A proxy in front of the index must let HEAD through.")
    if file.size is not None and length != file.size:
        says = f"{file.filename} has {file.size} bytes on the page and {length} when it is asked for"
        return Finding("size", Level.PROBLEM, says, "A cache between you and the index may be broken: empty it.")
    return Finding("size", Level.OK, "HEAD of a file tells its size")


def of_ranges(first: Answer, last: Answer, size: int) -> Finding:
    """Answers of `bytes=0-99` and `bytes=-100` for a file of `size` bytes."""
    count = min(size, RANGE_BYTES)
    wanted = (f"bytes 0-{count - 1}/{size}", f"bytes {size - count}-{size - 1}/{size}")
    parts = (first, last)
    if any(part.status != 206 for part in parts):
        says = "parts of files cannot be asked for: broken downloads start again, wheels are fetched whole"
        return Finding(
            "ranges", Level.WARNING, says, "The server has to know Range, and a proxy in front of it to let it through."
        )
    if [part.headers.get("content-range") for part in parts] != list(wanted) or len(first.body) != count:
        says = f"the server sends other parts of a file than asked for ({last.headers.get('content-range')})"
        return Finding("ranges", Level.PROBLEM, says, "Have the proxy in front of the index pass Range on unchanged.")
    return Finding("ranges", Level.OK, "parts of files can be asked for (206)")


def of_content(file: Listed, whole: Answer) -> Finding:
    """Whether a file is what the page promises."""
    if whole.status != 200:
        says = f"{file.filename} is on the page and cannot be had ({whole.status})"
        return Finding("content", Level.PROBLEM, says, "See what its index says: devpi status")
    found = hashlib.sha256(whole.body).hexdigest()
    if file.sha256 is None:
        return Finding("content", Level.INFO, f"{file.filename} came, with nothing to compare it with")
    if found != file.sha256:
        says = f"{file.filename} has the sha256 {found[:12]}… and not {file.sha256[:12]}… of the page"
        return Finding("content", Level.PROBLEM, says, "A cache between you and the index may be broken: empty it.")
    return Finding("content", Level.OK, f"{file.filename} is what its sha256 promises")


def of_metadata(file: Listed, metadata: Answer, wheel: bytes | None) -> Finding:
    """Whether a promised metadata file is there and right. `wheel`: the wheel's bytes, if they were fetched."""
    name = f"{file.filename}.metadata"
    if metadata.status != 200:
        says = f"{name} is promised and cannot be had ({metadata.status}): pip and uv fail"
        return Finding("metadata", Level.PROBLEM, says, "See the server's log, or have a proxy let .metadata through.")
    found = hashlib.sha256(metadata.body).hexdigest()
    if file.metadata and found != file.metadata:
        says = f"{name} has the sha256 {found[:12]}… and not {file.metadata[:12]}… of the page: pip and uv refuse it"
        return Finding("metadata", Level.PROBLEM, says, "The index lists a wrong hash: devpi refresh PROJECT")
    inside = None if wheel is None else metadata_in(wheel)
    if inside is not None and inside != metadata.body:
        says = f"{name} is not the METADATA inside the wheel: pip and uv may install the wrong dependencies"
        return Finding("metadata", Level.PROBLEM, says, "Report it to whoever runs the index.")
    same = " and is what the wheel contains" if inside is not None else ""
    return Finding("metadata", Level.OK, f"{name} has the hash of the page{same}")


def metadata_in(wheel: bytes) -> bytes | None:
    """METADATA of a wheel; None if it has none that can be read."""
    try:
        with zipfile.ZipFile(io.BytesIO(wheel)) as archive:
            name = next(name for name in archive.namelist() if re.fullmatch(r"[^/]+\.dist-info/METADATA", name))
            return archive.read(name)
    except (zipfile.BadZipFile, StopIteration, OSError, RuntimeError):
        return None
