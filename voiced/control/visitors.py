"""Who speaks before the virtual card's microphones: a new audio process finds them speaking on.

In a room a visitor does not wait for a process to come back: neither does a played recording. What
was said meanwhile is gone, the rest is heard.
"""

from __future__ import annotations

from voiced.lane.seam import Clock
from voiced.messages.audio import PlayFile


class Visitors:
    """Recordings that play now, by agent.

    Args:
        clock: the daemon's.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._began: dict[str, tuple[str, int]] = {}

    def started(self, agent: str, path: str) -> bool:
        """Note that `path` plays; False = it was already playing, in a process that is gone."""
        if self._began.get(agent, ("", 0))[0] == path:
            return False
        self._began[agent] = path, self._clock.mono_ns()
        return True

    def ended(self, agent: str) -> None:
        """Note that the agent's visitor has said everything."""
        self._began.pop(agent, None)

    def resumed(self, samplerate: int) -> list[PlayFile]:
        """Return what a new audio process is to play: each recording from where it is by now."""
        now = self._clock.mono_ns()
        return [
            PlayFile(
                agent=agent,
                path=path,
                skip_frames=(now - began) * samplerate // 1_000_000_000,
            )
            for agent, (path, began) in self._began.items()
        ]
