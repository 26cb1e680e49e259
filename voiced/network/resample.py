"""Streaming change of samplerate with exact counts, on libsamplerate (about 1 ms of look-ahead).

soxr's streaming resampler delivers in bursts of 20 to 38 ms; libsamplerate's sinc_fastest holds
back about a millisecond, always the same.
"""

from __future__ import annotations

import numpy as np
import samplerate
from numpy.typing import NDArray

Samples = NDArray[np.int16]

_TAIL_FRAMES = 256
"""Silence fed behind the last sample to push out what the filter holds back, at the lower rate."""
EMPTY: Samples = np.zeros(0, np.int16)


def count_out(frames: int, rate_in: int, rate_out: int) -> int:
    """Return how many samples `frames` become: exact, rounded half up."""
    return (frames * rate_out + rate_in // 2) // rate_in


class Resampler:
    """Turns one run of int16 samples into another rate; `finish` ends the run to the exact count.

    Output sample 0 is at the instant of input sample 0. Equal rates pass samples through untouched.
    """

    def __init__(self, rate_in: int, rate_out: int) -> None:
        self.rate_in, self.rate_out = rate_in, rate_out
        self.taken = 0
        """Samples fed so far."""
        self.given = 0
        """Samples returned so far."""
        self._converter = (
            None if rate_in == rate_out else samplerate.Resampler("sinc_fastest", channels=1)
        )

    def process(self, samples: Samples) -> Samples:
        """Feed samples; return what is ready."""
        self.taken += len(samples)
        if self._converter is None:
            self.given += len(samples)
            return samples
        return self._emit(self._convert(samples))

    def finish(self) -> Samples:
        """Return what was held back, so that all returned is `count_out` of all fed."""
        if self._converter is None:
            return EMPTY
        missing = count_out(self.taken, self.rate_in, self.rate_out) - self.given
        if missing <= 0:
            return EMPTY
        frames = _TAIL_FRAMES * max(1, self.rate_in // self.rate_out)
        tail = self._convert(np.zeros(frames, np.int16))[:missing]
        return self._emit(np.pad(tail, (0, missing - len(tail))))

    def _convert(self, samples: Samples) -> Samples:
        assert self._converter is not None
        ratio = self.rate_out / self.rate_in
        wide = self._converter.process(samples.astype(np.float32), ratio, end_of_input=False)
        narrow: Samples = np.clip(np.rint(wide), -32768, 32767).astype(np.int16)
        return narrow

    def _emit(self, samples: Samples) -> Samples:
        # The count for what was fed so far is a ceiling: float drift must not add up over hours.
        room = count_out(self.taken, self.rate_in, self.rate_out) - self.given
        samples = samples[:room]
        self.given += len(samples)
        return samples
