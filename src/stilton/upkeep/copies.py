"""Bytes of other programs' files made blobs, and blobs made files again: each is hashed on the way, in one pass.

A copy whose hash is not the one that was promised is never kept. With hard links the bytes are read
and hashed all the same, only the second copy on the disk is saved.
"""

import contextlib
import hashlib
import os
import stat
import uuid
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import msgspec

from stilton.blobs.local import LocalBlobs, trouble
from stilton.blobs.uploads import Upload
from stilton.domain.errors import Invalid, Missing

READ_BYTES = 1 << 20


class Copied(msgspec.Struct, frozen=True):
    """A file that is a blob now. `digest`: its sha256; `size` in bytes. `changed_at`: of the file, Unix seconds."""

    digest: str
    size: int
    changed_at: float


class Copier:
    """Makes files blobs. `link`: by hard links where the disk can. May be used by several threads.

    `within`: the folder that no symbolic link may lead out of: whoever made a dump does not choose what is read here.
    """

    def __init__(self, blobs: LocalBlobs, *, link: bool = False, within: Path | None = None) -> None:
        self._within = within.resolve() if within is not None else None
        self._blobs = blobs
        self._link = link
        self.could_not_link = False
        """Whether a file was copied because it is on another disk."""

    def bring(self, source: Path, hashes: Mapping[str, str]) -> Copied:
        """Make `source` a blob. `hashes`: what it must have, lower-case hex by algorithm.

        Raises Missing, Invalid when it has another hash, StorageTrouble. Then nothing is kept of it.
        """
        try:
            status = self._looked_at(source)
            known = hashes.get("sha256")
            if self._link or (known is not None and self._blobs.has(known)):
                digest = _checked(source, hashes, _read(source))["sha256"]
                if not self._blobs.has(digest) and not self._linked(source, digest):
                    digest = self._copied(source, {"sha256": digest})
            else:
                digest = self._copied(source, hashes)
        except FileNotFoundError:
            raise Missing(f"The file at {source} is missing.") from None
        except OSError as error:
            raise Invalid(f"The file at {source} cannot be read: {error.strerror}.") from error
        return Copied(digest, status.st_size, status.st_mtime)

    def _looked_at(self, source: Path) -> os.stat_result:
        """Raises Invalid for what is no regular file (a pipe would be waited for), or elsewhere; OSError."""
        if self._within is not None and not source.resolve(strict=True).is_relative_to(self._within):
            raise Invalid(f"The file at {source} is a link that leads out of {self._within}.")
        status = source.stat()
        if not stat.S_ISREG(status.st_mode):
            raise Invalid(f"The file at {source} is no regular file.")
        return status

    def _copied(self, source: Path, hashes: Mapping[str, str]) -> str:
        upload = Upload(self._blobs)
        try:
            _checked(source, hashes, _through(source, upload))
            upload.adopt()
        finally:
            upload.discard()
        return upload.digest

    def _linked(self, source: Path, digest: str) -> bool:
        if not self._link or self.could_not_link:
            return False
        temporary = self._blobs.incoming / f"{uuid.uuid4().hex}.link"
        try:
            os.link(source, temporary)
        except OSError:
            # Another disk, or one without hard links.
            self.could_not_link = True
            return False
        self._blobs.adopt(temporary, digest, lasting=True)
        return True


def give(blob: Path, target: Path, digest: str, *, link: bool) -> bool:
    """Make `target` a copy of the blob, whole or not at all; whether it is a hard link, as `link` asks if it can be.

    Raises Missing, Invalid when the blob has rotted, StorageTrouble.
    """
    temporary = target.with_name(f".{uuid.uuid4().hex}.part")
    linked = False
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if link:
            with contextlib.suppress(OSError):
                os.link(blob, temporary)
                linked = True
        pieces = _read(blob) if linked else _copy(blob, temporary)
        _checked(blob, {"sha256": digest}, pieces)
        temporary.replace(target)
    except FileNotFoundError:
        raise Missing(f"The file at {blob} is missing.") from None
    except OSError as error:
        if error.filename == str(blob):
            raise Missing(f"The file at {blob} cannot be read: {error.strerror}.") from error
        raise trouble(error, target.name) from error
    finally:
        temporary.unlink(missing_ok=True)
    return linked


def is_whole(file: Path, digest: str) -> bool:
    """Whether the file is there and has this sha256."""
    try:
        return _digests(_read(file), ("sha256",))["sha256"] == digest
    except OSError:
        return False


def _checked(source: Path, hashes: Mapping[str, str], pieces: Iterator[bytes]) -> dict[str, str]:
    """Its digests, sha256 among them. Raises Invalid."""
    got = _digests(pieces, {"sha256", *hashes})
    for algorithm, expected in sorted(hashes.items(), reverse=True):
        if got[algorithm] != expected:
            raise Invalid(f"{source}: {algorithm} mismatch, got {got[algorithm]}, expected {expected}")
    return got


def _digests(pieces: Iterator[bytes], algorithms: Iterable[str]) -> dict[str, str]:
    running = {name: hashlib.new(name, usedforsecurity=False) for name in algorithms}
    for piece in pieces:
        for each in running.values():
            each.update(piece)
    return {name: each.hexdigest() for name, each in running.items()}


def _read(source: Path) -> Iterator[bytes]:
    with source.open("rb", buffering=0) as file:
        while piece := file.read(READ_BYTES):
            yield piece


def _through(source: Path, upload: Upload) -> Iterator[bytes]:
    for piece in _read(source):
        upload.write(piece)
        yield piece


def _copy(source: Path, target: Path) -> Iterator[bytes]:
    with target.open("wb") as out:
        for piece in _read(source):
            out.write(piece)
            yield piece
