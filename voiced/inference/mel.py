"""The log-mel spectrogram Whisper was trained on, in numpy.

Radford et al., "Robust Speech Recognition via Large-Scale Weak Supervision" (2022), section 2.2:
25 ms windows every 10 ms, Slaney's mel scale to 8 kHz, log10 within 8 decades of the loudest bin.
"""

from __future__ import annotations

import functools

import numpy as np
from numpy.typing import NDArray

RATE = 16_000
"""Samples a second."""
HOP = 160
"""Samples from one spectrogram frame to the next."""
_WINDOW = 400
_LINEAR_HZ = 200.0 / 3.0
_LOG_FROM_HZ = 1_000.0
_LOG_FROM_MEL = _LOG_FROM_HZ / _LINEAR_HZ
_LOG_STEP = np.log(6.4) / 27.0


def spectrogram(pcm: NDArray[np.int16], frames: int, mels: int) -> NDArray[np.float32]:
    """Return the log-mel spectrogram of `pcm`, shape (mels, frames), silence where it has ended."""
    sound = np.zeros(frames * HOP, np.float32)
    taken = pcm[: len(sound)]
    sound[: len(taken)] = taken
    sound /= 32_768.0
    sound = np.pad(sound, _WINDOW // 2, mode="reflect")
    windows = np.lib.stride_tricks.sliding_window_view(sound, _WINDOW)[::HOP][:frames]
    power = np.abs(np.fft.rfft(windows * _hann(), axis=1)).astype(np.float32) ** 2
    level = np.log10(np.maximum(_filters(mels) @ power.T, 1e-10))
    level = np.maximum(level, level.max() - 8.0)
    return np.ascontiguousarray((level + 4.0) / 4.0, dtype=np.float32)


@functools.cache
def _hann() -> NDArray[np.float32]:
    return np.hanning(_WINDOW + 1)[:-1].astype(np.float32)


@functools.cache
def _filters(mels: int) -> NDArray[np.float32]:
    """Return triangular filters of equal area, shape (mels, bins)."""
    bins = np.linspace(0.0, RATE / 2, _WINDOW // 2 + 1)
    corners = _hertz(np.linspace(0.0, _mel(RATE / 2), mels + 2))
    width = np.diff(corners)
    ramps = corners[:, None] - bins
    rising = -ramps[:-2] / width[:-1, None]
    falling = ramps[2:] / width[1:, None]
    area = 2.0 / (corners[2:] - corners[:-2])
    return (np.maximum(0.0, np.minimum(rising, falling)) * area[:, None]).astype(np.float32)


def _mel(hertz: float) -> float:
    if hertz < _LOG_FROM_HZ:
        return hertz / _LINEAR_HZ
    return float(_LOG_FROM_MEL + np.log(hertz / _LOG_FROM_HZ) / _LOG_STEP)


def _hertz(mel: NDArray[np.float64]) -> NDArray[np.float64]:
    above = _LOG_FROM_HZ * np.exp(_LOG_STEP * (mel - _LOG_FROM_MEL))
    return np.where(mel < _LOG_FROM_MEL, mel * _LINEAR_HZ, above)
