"""Long answers, a little at a time, so that no receiver drowns in them."""

from __future__ import annotations

import asyncio
from collections.abc import Hashable, Iterator
from typing import Final

BURST: Final = 32
"""Messages at once."""
PAUSE_S: Final = 0.004
MAX_WAITING: Final = 64
"""Answers at once over all receivers."""


class Pacer:
    """Sends sequences of messages, each receiver's own one after another.

    A sequence is an iterator whose steps send; what it tells is read when its turn comes.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._waiting: dict[Hashable, list[Iterator[None]]] = {}
        self._timer: asyncio.TimerHandle | None = None

    def add(self, receiver: Hashable, steps: Iterator[None]) -> bool:
        """Begin to send a sequence; False where too many wait already."""
        if sum(len(queue) for queue in self._waiting.values()) >= MAX_WAITING:
            return False
        self._waiting.setdefault(receiver, []).append(steps)
        if self._timer is None:
            self._timer = self._loop.call_later(0, self._turn)
        return True

    def close(self) -> None:
        """Drop what waits."""
        self._waiting.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _turn(self) -> None:
        self._timer = None
        for receiver in list(self._waiting):
            self._burst(receiver)
        if self._waiting:
            self._timer = self._loop.call_later(PAUSE_S, self._turn)

    def _burst(self, receiver: Hashable) -> None:
        queue = self._waiting[receiver]
        done = object()
        for _ in range(BURST):
            if next(queue[0], done) is done:
                queue.pop(0)
                if not queue:
                    del self._waiting[receiver]
                    return
