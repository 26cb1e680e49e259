"""The half-duplex guard: near is silence where this lane's own loudspeaker sounds, and a while on.

Pure: which frames are silenced follows from the samples of far alone, frame by frame, never from
when somebody looked.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from voiced.network.resample import Samples

THRESHOLD = 33
"""A far sample above this (-60 dBFS) sounds."""
HOLD_S = 0.2
"""Seconds that near stays silent after the last sounding frame: the room's echo."""
NEVER = -(1 << 62)
"""The position of the last sounding frame where none is known."""


def guarded(
    far: Samples, last_sounding: int, start: int, hold_frames: int
) -> tuple[NDArray[np.bool_], int]:
    """Tell which frames of near are to be silenced.

    Args:
        far: this lane's playout in frames `start` and on.
        last_sounding: the last frame before `start` that sounded, or NEVER.
        start: position of the first frame.
        hold_frames: how many frames after a sounding one are silenced too.

    Returns:
        A mask as long as `far`, and the last sounding frame by its end.
    """
    if not len(far):
        return np.zeros(0, np.bool_), last_sounding
    frames = np.arange(start, start + len(far), dtype=np.int64)
    # abs() of -32768 does not fit int16; two comparisons need no wider copy.
    sounding = (far > THRESHOLD) | (far < -THRESHOLD)
    if not sounding.any():
        return frames <= last_sounding + hold_frames, last_sounding
    last = np.maximum.accumulate(np.where(sounding, frames, last_sounding))
    return frames <= last + hold_frames, int(last[-1])


def sounds(far: Samples) -> bool:
    """Tell whether any frame of this stretch of far sounds."""
    return bool(((far > THRESHOLD) | (far < -THRESHOLD)).any())
