"""How much room the disk has. Below the watermark mirrors keep nothing new, so that uploads still find room."""

import logging
import os
from pathlib import Path

import msgspec

from stilton.domain.errors import SetupError
from stilton.domain.share import Share

log = logging.getLogger(__name__)


class Room(msgspec.Struct, frozen=True):
    """Bytes that this server may still fill, and bytes of the whole disk."""

    free: int
    total: int
    read_only: bool


def check(folder: Path, needed_bytes: int) -> None:
    """Whether the disk of a folder, which may not be there yet, has room for so much. Raises SetupError."""
    there = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    free = room_of(there).free
    if needed_bytes > free:
        raise SetupError(
            f"The files take {_megabytes(needed_bytes)}, the disk of {folder} has {_megabytes(free)} free: "
            "make room there, or name another disk. Nothing was copied."
        )


def room_of(folder: Path) -> Room:
    """As of now. One system call."""
    status = os.statvfs(folder)
    is_read_only = bool(status.f_flag & os.ST_RDONLY)
    return Room(status.f_bavail * status.f_frsize, status.f_blocks * status.f_frsize, is_read_only)


class Space:
    """The disk that `folder` is on. `min_free`: what mirrors leave free, in bytes or a share; 0: they fill it."""

    def __init__(self, folder: Path, min_free: int | Share) -> None:
        self._folder = folder
        self._min_free = min_free
        self._was_low = False

    def room(self) -> Room:
        """As of now. One system call."""
        return room_of(self._folder)

    @property
    def min_free_bytes(self) -> int:
        """What mirrors leave free of the disk as it is now."""
        return self._min_free.of(self.room().total) if isinstance(self._min_free, Share) else self._min_free

    def has_room(self, size_bytes: int | None = None) -> bool:
        """Whether a mirror may keep a file of this size, or a small one."""
        room = self.room()
        return not room.read_only and room.free - (size_bytes or 0) >= self.min_free_bytes

    @property
    def is_low(self) -> bool:
        """Whether mirrors keep nothing new; a disk without a free byte is low also where they may fill it."""
        return not self.has_room() or self.room().free == 0

    def warning(self) -> str | None:
        """What an operator should know; None when there is room."""
        if not self.is_low:
            return None
        room = self.room()
        if room.read_only:
            return "The disk is read-only: mirrors keep nothing new, changes are refused. The system's log says why."
        if room.free == 0:
            return "The disk is full: changes are refused, what mirrors do not hold is passed on. Make room."
        free_mb = room.free // 1_000_000
        return (
            f"Low disk: {free_mb} MB are free, fewer than --min-free-disk. Mirrors keep nothing new, "
            "uploads work until it is full. Make room, or give mirrors a mirror_cache_max_size."
        )

    def look(self) -> None:
        """Log when it becomes low, and when it is no more."""
        text = self.warning()
        if (text is not None) == self._was_low:
            return
        self._was_low = text is not None
        log.warning("%s", text or "The disk has room again, mirrors keep files")


def _megabytes(size: int) -> str:
    return f"{size / 1_000_000:.1f} MB"
