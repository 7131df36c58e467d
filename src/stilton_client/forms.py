"""The form of an upload: its fields, and a body that is read from the disk while it is sent.

Fields are those of PyPI's upload API as twine sends them; `provides_extras` is what devpi-server calls
`provides_extra`. md5 is not sent: nobody should believe it.
"""

import hashlib
import json
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stilton_client.archives import Docs, Release
from stilton_client.errors import Failure

ATTESTATIONS_SUFFIX = ".publish.attestation"
# Small: a connection that takes none of it within the time-out for connecting is given up.
PIECE_BYTES = 16 << 10
_HASH_BYTES = 1 << 20
MAX_ATTESTATIONS_BYTES = 4 << 20

Fields = list[tuple[str, str]]

# packaging's name of what is one text or several -> the field
_METADATA = {
    "metadata_version": "metadata_version",
    "summary": "summary",
    "description": "description",
    "description_content_type": "description_content_type",
    "home_page": "home_page",
    "download_url": "download_url",
    "author": "author",
    "author_email": "author_email",
    "maintainer": "maintainer",
    "maintainer_email": "maintainer_email",
    "license": "license",
    "license_expression": "license_expression",
    "license_files": "license_file",
    "platforms": "platform",
    "supported_platforms": "supported_platform",
    "classifiers": "classifiers",
    "requires_python": "requires_python",
    "requires_dist": "requires_dist",
    "requires_external": "requires_external",
    "provides_dist": "provides_dist",
    "obsoletes_dist": "obsoletes_dist",
    "provides_extra": "provides_extra",
    "requires": "requires",
    "provides": "provides",
    "obsoletes": "obsoletes",
    "dynamic": "dynamic",
    "import_names": "import_names",
    "import_namespaces": "import_namespaces",
}


@dataclass(frozen=True)
class Digests:
    """Of one file, in hexadecimal digits; `size` in bytes."""

    sha256: str
    blake2_256: str
    size: int


def digests(path: Path) -> Digests:
    """Read a file once. Raises Failure."""
    sha256, blake2, size = hashlib.sha256(), hashlib.blake2b(digest_size=32), 0
    try:
        with path.open("rb") as file:
            while piece := file.read(_HASH_BYTES):
                sha256.update(piece)
                blake2.update(piece)
                size += len(piece)
    except OSError as error:
        raise Failure(f"{path} cannot be read ({error.strerror})", "Is it still there, and may you read it?") from error
    return Digests(sha256.hexdigest(), blake2.hexdigest(), size)


def release_fields(release: Release, digests: Digests) -> Fields:
    """What is said about a file of a release. Raises Failure for attestations that are none."""
    fields = [
        (":action", "file_upload"),
        ("protocol_version", "1"),
        ("name", release.name),
        ("version", release.version),
        ("filetype", release.filetype),
        ("pyversion", release.pyversion),
        ("sha256_digest", digests.sha256),
        ("blake2_256_digest", digests.blake2_256),
        *_described(release),
    ]
    attested = attestations(release.path)
    return [*fields, ("attestations", attested)] if attested else fields


def docs_fields(docs: Docs) -> Fields:
    """What is said about documentation."""
    return [(":action", "doc_upload"), ("name", docs.name), *([("version", docs.version)] if docs.version else [])]


def attestations(path: Path) -> str | None:
    """What stands beside a file in `FILE.publish.attestation`, as a list (PEP 740). Raises Failure."""
    beside = path.with_name(path.name + ATTESTATIONS_SUFFIX)
    try:
        if beside.exists() and not beside.is_file():
            raise Failure(f"{beside} is no regular file", "Move it away, or sign the file again.")  # it might never end
        with beside.open("rb") as file:
            document = json.loads(file.read(MAX_ATTESTATIONS_BYTES))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError) as error:
        raise Failure(f"{beside} is no attestation ({error})", "Sign the file again, or move this one away.") from error
    return json.dumps(document if isinstance(document, list) else [document])


class Body:
    """A multipart body, each time it is gone through the same; the file is its last part.

    `advance` hears how many bytes of it have left. Raises Failure when the file is not as long as it was.
    """

    def __init__(self, fields: Fields, path: Path, size: int, advance: Callable[[float], object]) -> None:
        boundary = secrets.token_hex(16)
        self._head = _head(fields, path.name, boundary)
        self._tail = f"\r\n--{boundary}--\r\n".encode()
        self._path = path
        self._size = size
        self._advance = advance
        self.content_type = f"multipart/form-data; boundary={boundary}"
        self.length = len(self._head) + size + len(self._tail)

    def __iter__(self) -> Iterator[bytes]:
        for piece in self._pieces():
            yield piece
            self._advance(len(piece))

    def _pieces(self) -> Iterator[bytes]:
        yield self._head
        left = self._size
        with self._path.open("rb") as file:
            while left and (piece := file.read(min(PIECE_BYTES, left))):
                left -= len(piece)
                yield piece
            if left or file.read(1):
                raise Failure(f"{self._path} changed while it was sent", "Run it again when nobody writes to it.")
        yield self._tail


def _described(release: Release) -> Iterator[tuple[str, str]]:
    metadata: dict[str, Any] = dict(release.metadata)
    for known, field in _METADATA.items():
        value = metadata.get(known)
        for text in value if isinstance(value, list) else [value]:
            if text:
                yield field, text
    for extra in metadata.get("provides_extra") or ():
        yield "provides_extras", extra
    for label, url in (metadata.get("project_urls") or {}).items():
        yield "project_urls", f"{label}, {url}"
    if metadata.get("keywords"):
        yield "keywords", ",".join(metadata["keywords"])


def _head(fields: Fields, filename: str, boundary: str) -> bytes:
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{text}\r\n' for name, text in fields
    ]
    parts.append(
        f'--{boundary}\r\nContent-Disposition: form-data; name="content"; filename="{_quoted(filename)}"\r\n'
        "Content-Type: application/octet-stream\r\n\r\n"
    )
    return "".join(parts).encode("utf-8", "surrogateescape")


def _quoted(filename: str) -> str:
    """As browsers do it (HTML, multipart/form-data encoding algorithm)."""
    return filename.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")
