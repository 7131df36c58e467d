"""A dictionary that forgets what was least recently used, bounded by weight."""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Lru(Generic[K, V]):
    """At most `limit` in all, by `weigh(value)` (1 each unless told). Not for several threads."""

    def __init__(self, limit: int, weigh: Callable[[V], int] = lambda _: 1) -> None:
        self._limit = limit
        self._weigh = weigh
        self._items: OrderedDict[K, tuple[V, int]] = OrderedDict()
        self._weight = 0

    def __len__(self) -> int:
        return len(self._items)

    def get(self, key: K) -> V | None:
        """The value, now the most recently used; None when it is not (or no longer) here."""
        item = self._items.get(key)
        if item is None:
            return None
        self._items.move_to_end(key)
        return item[0]

    def put(self, key: K, value: V) -> None:
        """Keep `value`, forget others until all fit. One heavier than the limit is not kept."""
        self.pop(key)
        weight = self._weigh(value)
        if weight > self._limit:
            return
        self._items[key] = (value, weight)
        self._weight += weight
        while self._weight > self._limit:
            _, (_, dropped) = self._items.popitem(last=False)
            self._weight -= dropped

    def pop(self, key: K) -> None:
        """Forget one; no error when it is not here."""
        item = self._items.pop(key, None)
        if item is not None:
            self._weight -= item[1]

    def keys(self) -> list[K]:
        """All keys, the least recently used first."""
        return list(self._items)

    def clear(self) -> None:
        """Forget all."""
        self._items.clear()
        self._weight = 0
