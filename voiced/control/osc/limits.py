"""How much of what within which time: windows, and memories that never grow."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

KeyT = TypeVar("KeyT", bound=Hashable)
ValueT = TypeVar("ValueT")


class Window:
    """At most `count` in any `seconds`."""

    def __init__(self, count: int, seconds: float) -> None:
        self.count = count
        self._seconds = seconds
        self._times: deque[float] = deque()
        self.refused = 0
        """Refused since the last one that was let through."""

    def take(self, now: float) -> bool:
        """Return whether one more may pass at `now` (monotonic seconds), and count it if so."""
        while self._times and now - self._times[0] >= self._seconds:
            self._times.popleft()
        if len(self._times) >= self.count:
            self.refused += 1
            return False
        self._times.append(now)
        self.refused = 0
        return True


class Recent(Generic[KeyT, ValueT]):
    """What is known of the last `size` keys; the one not asked for longest is forgotten."""

    def __init__(self, size: int, make: Callable[[KeyT], ValueT]) -> None:
        self._size = size
        self._make = make
        self._known: OrderedDict[KeyT, ValueT] = OrderedDict()

    def __len__(self) -> int:
        return len(self._known)

    def known(self, key: KeyT) -> ValueT | None:
        """Return what is known of a key, None where nothing is."""
        return self._known.get(key)

    def __getitem__(self, key: KeyT) -> ValueT:
        if key in self._known:
            self._known.move_to_end(key)
            return self._known[key]
        value = self._known[key] = self._make(key)
        if len(self._known) > self._size:
            self._known.popitem(last=False)
        return value

    def clear(self) -> None:
        """Forget all."""
        self._known.clear()
