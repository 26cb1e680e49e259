"""What is recorded of a lane: near between open edges on the left, far on the right, by position.

Nothing of the room while the gate was closed: a frame of near is silence unless the edge log says
that it lies behind an open edge and before the next closed one. Where the log cannot tell, because
more edges passed than it keeps, the gate counts as closed.
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Iterator
from typing import NamedTuple

from voiced.lane.ring import LAP_MARGIN
from voiced.lane.words import DeviceSegment, Epoch, LaneSegment

CHUNK_S = 0.25
"""Longest stretch read at once."""
FAR_LAG_S = 1.0
"""Far may be this much behind near before what is missing of it counts as silent."""
_PAIR = 2


class Chunk(NamedTuple):
    """Frames of both sides."""

    start: int
    """Near position of the first one."""
    pairs: bytes
    """Little-endian int16, left and right in turn."""

    @property
    def stop(self) -> int:
        """Near position behind the last one."""
        return self.start + len(self.pairs) // (2 * _PAIR)


class Lost(NamedTuple):
    """The ring has gone over these frames before they were read."""

    start: int
    stop: int


class Turned(NamedTuple):
    """A new stream begins here."""

    before: Epoch
    now: Epoch


class Gate:
    """Where the gate was open, as far as the edge log was read."""

    def __init__(self, lane: LaneSegment) -> None:
        self._lane = lane
        self._seen = 0
        self._edges: list[tuple[int, bool]] = [(-1, False)]

    def learn(self, position: int) -> None:
        """Read the log; `position` is the first frame that is still to be judged."""
        for number, edge in self._lane.edges_since(self._seen):
            if number > self._seen:
                self._edges.append((position, False))  # Some edges were missed: closed till this.
            self._seen = number + 1
            self._edges.append((edge.frame, edge.open))
        while len(self._edges) > 1 and self._edges[1][0] <= position:
            del self._edges[0]

    def closed(self, start: int, stop: int) -> Iterator[tuple[int, int]]:
        """Yield the stretches between `start` and `stop` in which the gate was closed."""
        ends = [frame for frame, _ in self._edges[1:]]
        for (begin, is_open), end in zip(self._edges, [*ends, stop], strict=True):
            first, last = max(start, begin), min(stop, end)
            if not is_open and first < last:
                yield first, last


class Reader:
    """Reads one lane from a position on.

    Args:
        lane: mapped for reading.
        device: for the epochs.
        position: first near frame to read.
        delay: frames of near that right is held back by.

    Attributes:
        position: first near frame not yet read.
        delay: as given; may be set anew between two reads.
    """

    def __init__(
        self, lane: LaneSegment, device: DeviceSegment, position: int, delay: int = 0
    ) -> None:
        self.position, self.delay = position, delay
        self._lane, self._device = lane, device
        self._gate = Gate(lane)
        self._generation = 0
        """Of the stream that is being read; 0 = there was none yet."""

    def resume(self, position: int) -> None:
        """Go on at `position`, of which the frame before was read: in that one's stream."""
        self.position = position
        before = self._epoch_of(position - 1)
        self._generation = before.generation if before else 0

    def epoch(self) -> Epoch | None:
        """Return the input epoch of the position; of one too old the oldest kept."""
        return self._epoch_of(self.position)

    def _epoch_of(self, frame: int) -> Epoch | None:
        epochs = self._device.epochs("input")
        found = epochs[0] if epochs else None
        for epoch in epochs:
            if epoch.frame <= frame:
                found = epoch
        return found

    def echo_delay(self) -> int:
        """Return the frames from a far frame passing the callback to its sound passing it."""
        heard, played = self.epoch(), self._device.epoch("output")
        if heard is None or played is None or not played.samplerate:
            return 0
        output = played.output_latency * heard.samplerate // played.samplerate
        return output + heard.input_latency

    def next(self, stop: int | None = None) -> Chunk | Lost | Turned | None:
        """Read on, at most to `stop`; None = there is nothing more yet."""
        epoch = self.epoch()
        if epoch is None:
            return None
        before, self._generation = self._generation, epoch.generation
        if before and epoch.generation != before:
            return Turned(self._last_of(before) or epoch, epoch)
        reach = self._reach(epoch.samplerate)
        # Positions first, then the log: it is complete up to them.
        self._gate.learn(self.position)
        if stop is not None:
            reach = min(reach, stop)
        oldest = self._oldest()
        if self.position < oldest:
            lost = Lost(self.position, min(oldest, reach))
            self.position = lost.stop
            return lost
        reach = min(reach, self._end_of(epoch.generation, reach))
        frames = min(reach - self.position, int(CHUNK_S * epoch.samplerate))
        if frames <= 0:
            return None
        return self._read(frames)

    def _reach(self, samplerate: int) -> int:
        near, far = self._lane.near.write_position, self._lane.far.write_position
        return min(near, max(far, near - int(FAR_LAG_S * samplerate)))

    def _oldest(self) -> int:
        """Oldest near frame whose both sides are safe to read."""
        ring = self._lane.near
        return max(0, ring.write_position - ring.capacity + LAP_MARGIN + self.delay)

    def _last_of(self, generation: int) -> Epoch | None:
        """Return the last record of a stream: the truest about its times."""
        records = [e for e in self._device.epochs("input") if e.generation == generation]
        return records[-1] if records else None

    def _end_of(self, generation: int, reach: int) -> int:
        """Return the first frame of the stream after this one, `reach` where it is the last."""
        later = (e.frame for e in self._device.epochs("input") if e.generation > generation)
        return min(later, default=reach)

    def _read(self, frames: int) -> Chunk | Lost:
        start, stop = self.position, self.position + frames
        left = array("h", self._lane.near.load(start, frames))
        right = array("h", self._far(start - self.delay, stop - self.delay))
        if self._lane.near.lapped(start - self.delay) or self._lane.far.lapped(start - self.delay):
            # Written over while it was copied.
            lost = Lost(start, stop)
            self.position = stop
            return lost
        for first, last in self._gate.closed(start, stop):
            left[first - start : last - start] = array("h", bytes(2 * (last - first)))
        pairs = array("h", bytes(2 * _PAIR * frames))
        pairs[0::2], pairs[1::2] = left, right
        if sys.byteorder == "big":
            pairs.byteswap()
        self.position = stop
        return Chunk(start, pairs.tobytes())

    def _far(self, start: int, stop: int) -> bytes:
        """Return this lane's playout; what is not there is silence."""
        ring = self._lane.far
        first, last = max(start, 0), min(stop, ring.write_position)
        if last <= first:
            return bytes(2 * (stop - start))
        return (
            bytes(2 * (first - start)) + ring.load(first, last - first) + bytes(2 * (stop - last))
        )
