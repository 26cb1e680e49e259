"""One timer for the first of many deadlines, which no flood can put off."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class Alarm:
    """Rings once for whatever is set; the ring sets the next.

    Args:
        loop: on whose clock deadlines are.
        ring: called when the first deadline has come. It may come too early, if that was moved.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, ring: Callable[[], None]) -> None:
        self._loop, self._ring = loop, ring
        self._timer: asyncio.TimerHandle | None = None

    def set(self, due: float) -> None:
        """Ring at `due`, seconds of the loop's clock, or before it.

        A timer that comes first stays. Were it taken back and set anew, whoever does so in every
        turn of the loop, before the timers' turn, would keep it from ringing for ever.
        """
        if self._timer is not None:
            if self._timer.when() <= due:
                return
            self._timer.cancel()
        self._timer = self._loop.call_at(due, self._rings)

    def cancel(self) -> None:
        """Ring no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _rings(self) -> None:
        self._timer = None
        self._ring()
