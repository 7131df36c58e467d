"""What lies about in a server's folder: things among the blobs that are none, and files that never became blobs.

Nothing refers to them, and the sweep does not see them. Only what is surely ours is removed: `incoming`, by whoever
holds the serverdir's lock, since nobody else is at work then.
"""

import msgspec

from stilton.blobs import unused
from stilton.serverdir import ServerDir


class Litter(msgspec.Struct, frozen=True):
    """`strange`: paths below the serverdir. `begun`: how many files of `incoming`, and their bytes."""

    strange: list[str]
    begun: int
    begun_bytes: int


def look(place: ServerDir, *, repair: bool) -> Litter:
    """What there is, and with `repair` was: `incoming` is emptied then."""
    strange = [str(path.relative_to(place.path)) for path in unused.strangers(place.blobs)]
    begun, size = unused.begun(place.blobs)
    if repair:
        place.blobs.clear_incoming()
    return Litter(sorted(strange), begun, size)
