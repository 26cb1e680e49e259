"""How often a model may call tools: so many times a minute, and one refusal a minute beyond it."""

from __future__ import annotations

from collections import deque

from voiced.mind.session import SECOND

MINUTE = 60 * SECOND


class Rate:
    """The last minute of one session's calls."""

    def __init__(self) -> None:
        self._times: deque[int] = deque()
        self._refused_at: int | None = None

    def begin(self) -> None:
        """A session begins."""
        self._times.clear()
        self._refused_at = None

    def take(self, mono_ns: int, most: int) -> bool:
        """Count a call; False where the last minute has had all it may."""
        while self._times and self._times[0] <= mono_ns - MINUTE:
            self._times.popleft()
        if len(self._times) >= most:
            return False
        self._times.append(mono_ns)
        return True

    def refuse(self, mono_ns: int) -> bool:
        """Note that a call is told that it is refused; True for the first one of a minute."""
        first = self.held_until(mono_ns) is None
        self._refused_at = mono_ns
        return first

    def held_until(self, mono_ns: int) -> int | None:
        """Return when the next call may be told that it is refused, ns; None = at once."""
        if self._refused_at is None or mono_ns >= self._refused_at + MINUTE:
            return None
        return self._refused_at + MINUTE
