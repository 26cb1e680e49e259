"""Where a visitor speaks, for services that do not say so: by level alone, over the room's noise.

Nothing of it decides what is sent or answered; that is the service's. It tells the mind that words
are on their way which nobody has read yet, so that a connection that ends just then loses none of
them, and from when on a reply is late. What was no speech is taken back when no words follow.

The noise floor is the quietest 20 ms of the last seconds (minimum statistics: R. Martin, 2001), so
that hum, a fan or a street become silence, and speech in them stands out.
"""

from __future__ import annotations

from collections import deque
from typing import TypeAlias

import msgspec
import numpy as np

from voiced.network.resample import EMPTY, Samples

BLOCK_S = 0.02
FLOOR_S = 3.0
"""Within so long everybody who speaks pauses once."""
OVER_FLOOR = 4.0
"""Speech is as much louder than the floor, as a ratio of amplitudes (12 dB) ..."""
LEAST = 100.0
"""... and never quieter than this, RMS of int16 (-50 dBFS)."""
HOLDS = 0.7
"""Once begun it goes on down to this part of the threshold."""
ONSET_BLOCKS, ONSET_OF = 7, 10
"""So many loud blocks of so many begin speech: 140 ms, which a click or a step is not."""
SYLLABLE_BLOCKS = 5
"""So many loud blocks are a syllable at least: 100 ms, which the click of a pedal is not."""
END_S = 0.6
"""Silence that ends it."""
PAUSE_S = 0.2
"""Shorter silence lies within words. Longer: whoever has the last turn's final words has heard all
of it, though END_S is not over."""
NO_WORDS_S = 6.0
"""Without words so long after its end it was none."""


class Started(msgspec.Struct, frozen=True):
    """Somebody began to speak at a near frame; or speaks on, in the turn that began there."""

    frame: int


class Ended(msgspec.Struct, frozen=True):
    """Nobody speaks since a near frame. May come again, later, for the same turn."""

    frame: int


class Dropped(msgspec.Struct, frozen=True):
    """No words came of it."""


Found: TypeAlias = Started | Ended | Dropped


class Speech:
    """Turns of one leg, as far as the ear can tell them; fed with what is sent, in its order."""

    def __init__(self) -> None:
        self._rate = self._block = 0
        self._next = -1
        """The frame behind what was heard."""
        self._rest: Samples = EMPTY
        self._levels: deque[float] = deque(maxlen=int(FLOOR_S / BLOCK_S))
        self._loud: deque[bool] = deque(maxlen=ONSET_OF)
        self._began = -1
        """Where present speech began; -1 = nobody speaks."""
        self._last_loud = 0
        self._resumed = 0
        """Where present speech went on after its last pause; with none, where it began."""
        self._turn = -1
        """Where the turn began that was told and has no final words; -1 = none."""
        self._ended = -1
        """Where it ended last; -1 = it goes on."""

    def hear(self, start: int, near: Samples, rate: int) -> list[Found]:
        """Take what is sent: `near` int16 mono from frame `start` on, at `rate` Hz."""
        if start != self._next or rate != self._rate:
            self._restart(rate)
        self._next = start + len(near)
        sound = np.concatenate([self._rest, near]) if len(self._rest) else near
        first = self._next - len(sound)
        whole = len(sound) // self._block * self._block
        self._rest = sound[whole:].copy()
        found: list[Found] = []
        blocks = sound[:whole].reshape(-1, self._block).astype(np.float32)
        for n, level in enumerate(np.sqrt(np.mean(blocks * blocks, axis=1)).tolist()):
            found += self._hear(first + n * self._block, level)
        return found

    def closed(self, frame: int) -> list[Found]:
        """Nothing more is sent, from this frame on."""
        if self._began < 0:
            return []
        self._began = -1
        return self._end(frame)

    def words(self, *, final: bool) -> list[Found]:
        """Words of a turn have come; with the final ones the turn is over."""
        if not final:
            if self._ended >= 0:
                self._ended = self._next  # They come: the time for them begins anew.
            return []
        self._turn = self._ended = -1
        if self._began < 0:
            return []
        if self._pauses(self._next):
            self._began = -1
            self._loud.clear()
            return [Ended(self._last_loud)]
        # Whoever speaks by now speaks the next turn, and what lies before the pause was the last.
        self._turn = self._began = self._resumed
        return [Started(self._began)]

    def _pauses(self, frame: int) -> bool:
        return frame - self._last_loud >= PAUSE_S * self._rate

    def _restart(self, rate: int) -> None:
        self._rate, self._block = rate, max(1, int(rate * BLOCK_S))
        self._rest = EMPTY
        self._loud.clear()

    def _hear(self, frame: int, level: float) -> list[Found]:
        # A stream that is exactly silent (the guard, a muted card) tells nothing of the room.
        if level > 0:
            self._levels.append(level)
        floor = min(self._levels, default=0.0)
        threshold = max(LEAST, OVER_FLOOR * floor)
        loud = level > threshold * (HOLDS if self._began >= 0 else 1.0)
        if loud:
            if self._pauses(frame):
                self._resumed = frame
            self._last_loud = frame + self._block
        self._loud.append(loud)
        if self._began < 0:
            if sum(self._loud) >= ONSET_BLOCKS:
                return self._begin(frame)
            return self._wait(frame)
        if frame + self._block - self._last_loud < END_S * self._rate:
            return []
        self._began = -1
        self._loud.clear()
        return self._end(self._last_loud)

    def _begin(self, frame: int) -> list[Found]:
        back = len(self._loud) - list(self._loud).index(True) - 1
        self._began = self._resumed = max(0, frame - back * self._block)
        if self._turn >= 0:
            # No final words yet: the same turn goes on.
            self._ended = -1
            return [Started(self._turn)]
        self._turn = self._began
        return [Started(self._began)]

    def _end(self, frame: int) -> list[Found]:
        if self._turn < 0:
            return []
        self._ended = frame
        return [Ended(frame)]

    def _wait(self, frame: int) -> list[Found]:
        if self._ended < 0 or frame - self._ended < NO_WORDS_S * self._rate:
            return []
        self._turn = self._ended = -1
        return [Dropped()]


def speaks(near: Samples, start: int, rate: int) -> bool:
    """Tell whether somebody speaks in a short sound, from sample `start` on.

    Args:
        near: int16 mono; before `start` lies what the room was like.
        start: where the part begins that is asked for.
        rate: samples a second.
    """
    block = max(1, int(rate * BLOCK_S))
    skip = start % block
    sound = near[skip : skip + (len(near) - skip) // block * block].astype(np.float32)
    levels = np.sqrt(np.mean(sound.reshape(-1, block) ** 2, axis=1))
    before = levels[: start // block]
    # A stream that is exactly silent tells nothing of the room.
    floor = float(before[before > 0].min(initial=np.inf))
    threshold = max(LEAST, OVER_FLOOR * floor) if np.isfinite(floor) else LEAST
    return int(np.count_nonzero(levels[start // block :] > threshold)) >= SYLLABLE_BLOCKS
