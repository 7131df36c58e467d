"""A share of something whose size is known later: a disk's."""

import msgspec


class Share(msgspec.Struct, frozen=True):
    """So many per cent."""

    percent: float

    def of(self, total: int) -> int:
        """That much of `total`, rounded down."""
        return int(total * self.percent / 100)

    def __str__(self) -> str:
        return f"{self.percent:g}%"
