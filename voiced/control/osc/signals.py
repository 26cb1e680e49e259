"""When signals are sent: a timer an agent, at its Signalrate."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

EVERYTHING_S: Final = 1.0
"""All channels go out so often, changed or not."""


class SignalClock:
    """Calls `tick(agent, everything)` at each agent's own rate."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        agents: Callable[[], Sequence[str]],
        rate: Callable[[str], float],
        tick: Callable[[str, bool], None],
    ) -> None:
        self._loop = loop
        self._agents = agents
        self._rate = rate
        self._tick = tick
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._full_at: dict[str, float] = {}

    def start(self) -> None:
        """Begin with every agent there is; called again, with new ones too."""
        for agent in self._agents():
            if agent not in self._timers:
                self._turn(agent, self._loop.time())

    def close(self) -> None:
        """Stop."""
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()

    def _turn(self, agent: str, due: float) -> None:
        if agent not in self._agents():
            self._timers.pop(agent, None)
            return
        now = self._loop.time()
        everything = now >= self._full_at.get(agent, 0.0)
        if everything:
            self._full_at[agent] = now + EVERYTHING_S
        self._tick(agent, everything)
        # Late ticks are skipped, not made up for.
        following = max(due + 1.0 / self._rate(agent), now)
        self._timers[agent] = self._loop.call_at(following, self._turn, agent, following)
