"""How many frames of speech and of voice have passed since last time: onAudioIn and onAudioOut."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from voiced.lane.words import Lane, LaneSegment


class _Mark(msgspec.Struct, kw_only=True):
    """Where a lane stood."""

    near: int
    played: int
    flushed: int


class PassedFrames:
    """Counts by the lanes' own positions, so that nothing is told twice or left out.

    Args:
        lanes: by agent.
    """

    def __init__(self, lanes: Mapping[str, LaneSegment]) -> None:
        self._lanes = lanes
        self._marks: dict[str, _Mark] = {}

    def since_last(self, agent: str, mic_open: bool) -> tuple[int, int]:
        """Return frames of the microphone that left, and frames of the voice that were played.

        Args:
            agent: whose.
            mic_open: the real gate now; what the microphone took while it was shut does not count.
        """
        lane = self._lanes[agent]
        now = _Mark(
            near=lane.near.write_position,
            played=lane.speaker.read_position,
            flushed=lane.get(Lane.FLUSH_DONE),
        )
        before = self._marks.get(agent, now)
        self._marks[agent] = now
        # A flush jumps over what was queued: that was not played.
        jumped = now.flushed - lane.get(Lane.SILENT_AT) if now.flushed != before.flushed else 0
        heard = max(0, now.played - before.played - max(0, jumped))
        return (now.near - before.near if mic_open else 0), heard
