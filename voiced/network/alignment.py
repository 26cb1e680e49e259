"""Where in its sound a reply's text is, for services that do not say: pure.

A text is a row of states, each `STEP_MS` of one kind of sound (`voiced.network.spelling`); a sound
is a row of blocks, of which loudness and frequency are known. The cheapest way through both is
sought block by block (dynamic time warping): a state may last for several blocks or be left out, at
a price; a block that does not sound like its state costs; between words a voice may pause, at a
mark it most likely does. Neither the voice's pace nor the end of the reply has to be known: what is
looked at is the text so far and little more of the sound than is asked for.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from voiced.network.spelling import Sound, last_word, units_of

Costs = NDArray[np.float64]

STEP_MS: Final = 19.0
"""Of ordinary read speech in a state: a block is 20 ms, and to leave a state out is cheap."""
PACE: Final = 0.93
"""Of the voice with which `STEP_MS` was found: its speech against the ms of its text."""
SLOWEST, QUICKEST = 2.0, 0.6
"""No pace beyond these is believed."""
AHEAD: Final = 120
"""Blocks behind the one asked for that are looked at: what follows tells where a word was."""
WIDTH: Final = 256
"""States that a block is compared with: five seconds of text."""
LEAD: Final = 64
"""Of them before the likeliest one."""
KEPT_EVERY: Final = 10
KEPT: Final = 30
"""Columns kept, one in `KEPT_EVERY`: text that comes late is fitted in six seconds back."""
SETTLED: Final = 50
"""States between the likeliest one and a change of the text that make the change harmless."""

STALL, SKIP = 0.55, 0.5
"""What it costs that a state lasts for another block, or is left out."""
FEWEST: Final = 4
"""A block goes on by at most so many states."""
SKIPPED_PLACE: Final = {Sound.JOIN: 0.0, Sound.COMMA: 1.2, Sound.END: 2.4}
_PRICES: Final = np.array([SKIPPED_PLACE.get(kind, SKIP) for kind in Sound])
NEVER: Final = 1e9

SILENT_DB, LOUD_DB = -32.0, -16.0
"""Against the mean loudness of what is speech."""
SLOPE_DB: Final = 8.0
HISS_HZ: Final = 1800.0
HISS_OCTAVES: Final = 0.8
SPEECH: Final = 200.0
"""Mean amplitude, of int16, above which a block counts into that mean."""


def features(samples: NDArray[np.int16], block: int, rate: int) -> tuple[list[float], list[float]]:
    """Return the mean amplitude, of int16, and the mean frequency, Hz, of each block.

    Args:
        samples: a whole number of blocks.
        block: samples of one.
        rate: Hz of the samples.
    """
    rows = samples.reshape(-1, block).astype(np.float64)
    level = np.abs(rows).mean(axis=1)
    slope = np.abs(np.diff(rows, axis=1)).mean(axis=1)
    # That of a sine with as steep a slope: a vowel's is about 700 Hz, an s has 7 kHz.
    steep = np.minimum(1.0, slope / (2.0 * (level + 1.0)))
    return level.tolist(), (rate / np.pi * np.arcsin(steep)).tolist()


def costs(level_db: float, hertz: float) -> Costs:
    """Return what it costs to take a block for each kind of sound.

    Args:
        level_db: its loudness against the mean of what is speech.
        hertz: its mean frequency.
    """
    quiet = _within((SILENT_DB - level_db) / SLOPE_DB)
    loud = _within((level_db - LOUD_DB) / SLOPE_DB)
    hiss = _within(math.log2(max(hertz, 50.0) / HISS_HZ) / HISS_OCTAVES)
    is_quiet, is_weak, is_hiss = max(0.0, quiet), max(0.0, -loud), max(0.0, hiss) * (quiet < 1)
    voiced_loud = max(0.0, loud) * (hiss < 0)
    pause = 2.8 * (quiet < 0)
    out = np.empty(len(Sound))
    out[Sound.VOWEL] = 1.4 * is_quiet + 1.3 * is_hiss + 0.45 * is_weak
    out[Sound.SONORANT] = 1.2 * is_quiet + 1.8 * is_hiss + 0.1 * is_weak
    out[Sound.SIBILANT] = 2.5 * max(0.0, -hiss) * (quiet <= 0) + 1.6 * is_quiet
    out[Sound.FRICATIVE] = 0.3 * voiced_loud + 0.75 * is_quiet
    out[Sound.STOP] = 0.8 * voiced_loud
    out[Sound.UNKNOWN] = 0.2 * is_quiet
    out[Sound.JOIN], out[Sound.COMMA], out[Sound.END] = pause + 0.6, pause, pause
    return out


def _within(value: float) -> float:
    return min(1.0, max(-1.0, value))


class _Column(NamedTuple):
    """One block, compared with the states from `low` on."""

    block: int
    low: int
    cost: Costs
    heard: tuple[float, int]
    """Sum of the amplitudes of what is speech so far, and the number of its blocks."""


class Alignment:
    """The way of one text through its sound.

    Args:
        pace: how many times as long as an ordinary voice this one takes, as far as it is known: a
            voice half as quick or as slow is followed as well, one slower than that may be lost.
    """

    def __init__(self, pace: float = 1.0) -> None:
        self._step_ms = STEP_MS / min(SLOWEST, max(QUICKEST, pace))
        self._ms = 0.0
        """Of the whole text, spoken by an ordinary voice."""
        self._text = ""
        self._kept = (0, 0, 0.0)
        """Characters, states and ms up to the last word: what comes before it stays."""
        self._begun = np.zeros(1, np.int64)
        """Characters begun in each state; the first state is the silence before the text."""
        self._sound = np.full(1, int(Sound.END), np.int64)
        self._prices = np.zeros((FEWEST + 1, 1))
        """What it costs to come to each state by so many steps: those between are left out."""
        self._levels: list[float] = []
        self._hertz: list[float] = []
        self._back: list[tuple[int, NDArray[np.int8]]] = []
        """Of each block: its lowest state, and how many states each came on by."""
        self._column: _Column | None = None
        self._columns: list[_Column] = []

    def read(self, text: str) -> None:
        """Take the whole text so far."""
        if text == self._text:
            return
        chars, states, ms = self._kept
        if text[:chars] != self._text[:chars]:
            chars, states, ms = 0, 1, 0.0
        states = max(states, 1)
        self._text = text
        until = max(chars, last_word(text))
        begun, sound = self._begun[:states].tolist(), self._sound[:states].tolist()
        step_ms = self._step_ms
        begun, sound, ms = _extended(begun, sound, ms, chars, text[chars:until], step_ms)
        self._kept = (until, len(begun), ms)
        begun, sound, self._ms = _extended(begun, sound, ms, until, text[until:], step_ms)
        self._begun, self._sound = np.array(begun, np.int64), np.array(sound, np.int64)
        self._prices = _prices(self._sound)
        self._return_before(states)

    def hear(self, levels: Sequence[float], hertz: Sequence[float]) -> None:
        """Take further blocks; see `features`."""
        self._levels += levels
        self._hertz += hertz

    def pace(self, speech_ms: float) -> float:
        """Return how many times as long as an ordinary voice this one took.

        Args:
            speech_ms: of the whole sound, its pauses left out.
        """
        return speech_ms / (self._ms * PACE) if self._ms else 1.0

    def chars_at(self, block: int, *, complete: bool = False) -> int:
        """Return the characters of the text begun before the end of `block`.

        Args:
            block: what is asked for; before the first nothing has begun.
            complete: neither text nor sound will grow.
        """
        block = min(block, len(self._levels) - 1)
        if block < 0:
            return 0
        last = min(block + AHEAD, len(self._levels) - 1)
        if self._column is None or self._column.block < last:
            self._go_on(last)
        elif self._column.block > last:
            last = self._column.block
        assert self._column is not None
        low, cost = self._column.low, self._column.cost
        at = low + int(cost.argmin())
        final = len(self._begun) - 1
        if complete and last == len(self._levels) - 1 and low <= final < low + len(cost):
            at = final if cost[final - low] < NEVER / 2 else at
        for n in range(last, block, -1):
            lowest, steps = self._back[n]
            if not 0 <= at - lowest < len(steps):
                break  # The text has become another one since.
            at -= int(steps[at - lowest])
        return int(self._begun[at])

    # --- inside -----------------------------------------------------------------------------

    def _return_before(self, changed: int) -> None:
        """Forget what was found with states from `changed` on: they are other ones now."""
        column = self._column
        if column is None:
            return
        if self._likeliest(column) >= changed - SETTLED:
            while len(self._columns) > 1 and (
                self._likeliest(self._columns[-1]) >= changed - SETTLED
            ):
                self._columns.pop()
            column = self._columns[-1]
            del self._back[column.block + 1 :]
        cost = column.cost.copy()
        cost[max(0, changed - column.low) :] = NEVER
        if cost.min() >= NEVER:
            # All of it was in words that are none now: on from the last that is left.
            column, cost = column._replace(low=changed - 1), np.zeros(1)
        self._column = column._replace(cost=cost)

    @staticmethod
    def _likeliest(column: _Column) -> int:
        return column.low + int(column.cost.argmin())

    def _go_on(self, last: int) -> None:
        """Compare all blocks up to `last`."""
        column = self._column
        if column is None:
            level = self._levels[0]
            heard = (level, 1) if level > SPEECH else (0.0, 0)
            # It begins with silence, or at once.
            cost = self._price(0, heard)[self._sound[:2]]
            column = _Column(0, 0, cost, heard)
            self._back = [(0, np.zeros(len(cost), np.int8))]
            self._columns = [column]
        while column.block < last:
            column = self._next(column)
            if column.block % KEPT_EVERY == 0:
                self._columns.append(column)
                del self._columns[:-KEPT]
        self._column = column

    def _price(self, block: int, heard: tuple[float, int]) -> Costs:
        mean = heard[0] / heard[1] if heard[1] else SPEECH
        level_db = 20.0 * math.log10((self._levels[block] + 1.0) / (mean + 1.0))
        return costs(level_db, self._hertz[block])

    def _next(self, column: _Column) -> _Column:
        """Return the column of the next block, and note how each of its states was reached."""
        block = column.block + 1
        level = self._levels[block]
        heard = column.heard
        if level > SPEECH:
            heard = (heard[0] + level, heard[1] + 1)
        low = max(column.low, self._likeliest(column) - LEAD)
        high = min(len(self._begun), low + WIDTH, _top(column) + FEWEST)
        size = high - low
        # The states of the block before, from FEWEST below `low` on.
        before = np.full(size + FEWEST, NEVER)
        first = max(column.low, low - FEWEST)
        until = min(_top(column), high)
        before[first - low + FEWEST : until - low + FEWEST] = column.cost[
            first - column.low : until - column.low
        ]
        ways = np.empty((FEWEST + 1, size))
        for steps in range(FEWEST + 1):
            np.add(
                before[FEWEST - steps : FEWEST - steps + size],
                self._prices[steps, low:high],
                out=ways[steps],
            )
        steps_of = ways.argmin(axis=0)
        cost = ways.min(axis=0) + self._price(block, heard)[self._sound[low:high]]
        self._back.append((low, steps_of.astype(np.int8)))
        return _Column(block, low, cost, heard)


def _prices(sound: NDArray[np.int64]) -> Costs:
    out = np.zeros((FEWEST + 1, len(sound)))
    out[0] = np.where(sound < Sound.JOIN, STALL, 0.0)
    left_out = np.concatenate([[0.0], np.cumsum(_PRICES[sound])])
    for steps in range(2, FEWEST + 1):
        out[steps, :steps] = NEVER
        out[steps, steps:] = left_out[steps:-1] - left_out[1 : 1 - steps][: len(sound) - steps]
    return out


def _top(column: _Column) -> int:
    return column.low + len(column.cost)


def _extended(
    begun: list[int], sound: list[int], ms: float, chars: int, text: str, step_ms: float
) -> tuple[list[int], list[int], float]:
    """Return the states with those of `text` added, and the ms of all of it.

    Args:
        begun: characters begun in each state so far.
        sound: its kind.
        ms: of ordinary speech so far.
        chars: characters so far.
        text: what follows.
        step_ms: of ordinary speech in a state.
    """
    for unit in units_of(text):
        if unit.sound >= Sound.JOIN:
            begun.append(chars)
            sound.append(unit.sound)
            continue
        states = round((ms + unit.ms) / step_ms) - round(ms / step_ms)
        begun += [chars + 1] * states
        sound += [int(unit.sound)] * states
        ms += unit.ms
        chars += unit.chars
    return begun, sound, ms
