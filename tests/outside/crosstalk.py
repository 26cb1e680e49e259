"""What of a recording is not the sound that belongs there.

Two programs on a busy machine now and then miss a block of a sound server, which shifts one against
the other by a block. So a recording is compared block by block at the shift that fits, and blocks
that fit at none are counted: a leak makes every block of its length such a one.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tests.analysis import dbfs

BLOCK = 1024
LEAK_DBFS = -90.0
_REACH = 1 << 15
"""How far a recording may have shifted since the block before, frames."""
_KEY = 256
"""Frames that are enough to recognise a place of a recording."""


class Compared(NamedTuple):
    """How a recording compares with what it should be."""

    leak_dbfs: float
    """The loudest of what is left where the sound was taken away, without the torn blocks."""
    torn: int
    """Blocks with something in them that is no shifted piece of the sound."""
    blocks: int
    shifts: int
    """Times that the recording was found at another shift than before."""

    def __str__(self) -> str:
        return (
            f"at most {self.leak_dbfs:.1f} dBFS beside it, "
            f"{self.torn} of {self.blocks} blocks torn, {self.shifts} shifts"
        )


def shift_of(sound: NDArray[np.float64], recorded: NDArray[np.float64]) -> tuple[int, float]:
    """Return where `sound` begins in a recording, and how much of its energy is found there."""
    size = 1 << int(np.ceil(np.log2(len(sound) + len(recorded))))
    spectrum = np.conj(np.fft.rfft(sound, size)) * np.fft.rfft(recorded, size)
    correlation = np.fft.irfft(spectrum, size)
    at = int(np.argmax(correlation))
    energy = float(np.sum(sound**2)) or 1.0
    return (at if at < len(recorded) else at - size), float(correlation[at]) / energy


def compare(sound: NDArray[np.float64], recorded: NDArray[np.float64]) -> Compared:
    """Take `sound` away from a recording, block by block; both are of full scale 1.0."""
    limit = 10 ** (LEAK_DBFS / 20)
    shift, _ = shift_of(sound, recorded)
    pad = _REACH + BLOCK + len(recorded)
    long = np.concatenate([np.zeros(pad), sound, np.zeros(pad)])
    leak, torn, shifts = 0.0, 0, 0
    starts = range(0, len(recorded) - BLOCK + 1, BLOCK)
    for start in starts:
        block = recorded[start : start + BLOCK]
        place = min(max(pad + start - shift, _REACH), len(long) - _REACH - BLOCK)
        rest = float(np.abs(block - long[place : place + BLOCK]).max())
        if rest > limit:
            found = _find(block, long[place - _REACH : place + _REACH + BLOCK])
            if found is not None:
                place += found - _REACH
                moved = float(np.abs(block - long[place : place + BLOCK]).max())
                if moved <= limit:
                    rest, shift, shifts = moved, pad + start - place, shifts + 1
        # Where nothing is recorded nothing leaks, whatever was lost there.
        rest = min(rest, float(np.abs(block).max()))
        if rest > limit:
            torn += 1
        else:
            leak = max(leak, rest)
    return Compared(dbfs(leak), torn, len(starts), shifts)


def _find(block: NDArray[np.float64], within: NDArray[np.float64]) -> int | None:
    """Return where a block begins in a stretch of sound, by its last frames; None if nowhere."""
    key = block[-_KEY:]
    if not key.any():
        return None
    size = 1 << int(np.ceil(np.log2(len(within) + _KEY)))
    product = np.fft.irfft(np.conj(np.fft.rfft(key, size)) * np.fft.rfft(within, size), size)
    energy = np.concatenate([[0.0], np.cumsum(within**2)])
    there = energy[_KEY:] - energy[:-_KEY]
    distance = there - 2 * product[: len(there)]
    at = int(np.argmin(distance)) - (len(block) - _KEY)
    return at if 0 <= at <= len(within) - len(block) else None
