"""What is in a recording: levels, gaps, the last loud frame, crosstalk. For every room's tests.

Samples are int16 or float arrays with full scale 32768 or 1.0: shape (frames,) or (frames,
channels). Levels are dBFS of the peak unless a name says RMS; silence is -inf, never a warning.
"""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

QUIET_DBFS = -60.0
"""What is below this counts as silent."""


def read_wav(path: str | Path) -> tuple[int, NDArray[np.int16]]:
    """Return samplerate and int16 samples of shape (frames, channels)."""
    with wave.open(str(path), "rb") as source:
        assert source.getsampwidth() == 2, f"{path} is not 16-bit"
        raw = source.readframes(source.getnframes())
        return source.getframerate(), np.frombuffer(raw, "<i2").reshape(-1, source.getnchannels())


def write_wav(path: str | Path, samplerate: int, samples: NDArray) -> None:
    """Write int16 samples, or floats of full scale 1.0."""
    if samples.dtype != np.int16:
        samples = np.clip(np.rint(samples * 32768.0), -32768, 32767).astype(np.int16)
    with wave.open(str(path), "wb") as target:
        target.setnchannels(1 if samples.ndim == 1 else samples.shape[1])
        target.setsampwidth(2)
        target.setframerate(samplerate)
        target.writeframes(np.ascontiguousarray(samples).astype("<i2").tobytes())


def unit(samples: NDArray) -> NDArray[np.float64]:
    """Return samples at full scale 1.0."""
    scale = 32768.0 if np.issubdtype(samples.dtype, np.integer) else 1.0
    return np.asarray(samples, np.float64) / scale


def dbfs(amplitude: float) -> float:
    """Return an amplitude of full scale 1.0 in dB; -inf for silence."""
    return 20.0 * float(np.log10(amplitude)) if amplitude > 0 else float("-inf")


def peak_dbfs(samples: NDArray) -> float:
    """Return the level of the loudest frame."""
    return dbfs(float(np.abs(unit(samples)).max(initial=0.0)))


def rms_dbfs(samples: NDArray) -> float:
    """Return the mean level."""
    whole = unit(samples)
    return dbfs(float(np.sqrt(np.mean(whole**2)))) if whole.size else float("-inf")


def loud(samples: NDArray, threshold_dbfs: float = QUIET_DBFS) -> NDArray[np.bool_]:
    """Return which frames are above the threshold; any channel counts."""
    whole = np.abs(unit(samples))
    if whole.ndim == 2:
        whole = whole.max(axis=1)
    return whole > 10 ** (threshold_dbfs / 20)


def first_loud(samples: NDArray, threshold_dbfs: float = QUIET_DBFS) -> int | None:
    """Return the first frame above the threshold."""
    frames = np.flatnonzero(loud(samples, threshold_dbfs))
    return int(frames[0]) if len(frames) else None


def last_loud(samples: NDArray, threshold_dbfs: float = QUIET_DBFS) -> int | None:
    """Return the last frame above the threshold."""
    frames = np.flatnonzero(loud(samples, threshold_dbfs))
    return int(frames[-1]) if len(frames) else None


def spans(
    samples: NDArray, samplerate: int, *, gap_s: float = 0.3, threshold_dbfs: float = QUIET_DBFS
) -> list[tuple[int, int]]:
    """Return the stretches [first, last + 1) of sound that silences of `gap_s` set apart."""
    frames = np.flatnonzero(loud(samples, threshold_dbfs))
    if not len(frames):
        return []
    cuts = np.flatnonzero(np.diff(frames) > gap_s * samplerate)
    starts = [frames[0], *frames[cuts + 1]]
    ends = [*frames[cuts], frames[-1]]
    return [(int(a), int(b) + 1) for a, b in zip(starts, ends, strict=True)]


def gaps(samples: NDArray, shortest: int) -> list[tuple[int, int]]:
    """Return the runs [start, end) of exact zeros within the sound, at least `shortest` long.

    A playout that ran dry is exactly zero; a pause in speech hardly ever is for long.
    """
    sounding = np.flatnonzero(unit(samples) if samples.ndim == 1 else unit(samples).any(axis=1))
    holes = np.flatnonzero(np.diff(sounding) > shortest)
    return [(int(sounding[h]) + 1, int(sounding[h + 1])) for h in holes]


def crosstalk_db(wanted: NDArray, leak: NDArray) -> float:
    """Return how far below `wanted` its linear copy in `leak` lies, at any delay up to a second.

    Both are one channel at 48 kHz. The copy's gain is what the best-fitting delay explains; -inf
    where `leak` is silent.
    """
    a, b = unit(wanted), unit(leak)
    size = 1 << int(np.ceil(np.log2(len(a) + len(b))))
    energy = float(np.sum(a**2))
    if energy == 0 or not np.any(b):
        return float("-inf")
    spectrum = np.conj(np.fft.rfft(a, size)) * np.fft.rfft(b, size)
    correlation = np.fft.irfft(spectrum, size)[:48_000]
    return dbfs(float(np.abs(correlation).max()) / energy)


def steps(samples: NDArray) -> float:
    """Return the largest step between neighbouring frames, full scale 1.0: a click is a big one."""
    return float(np.abs(np.diff(unit(samples), axis=0)).max(initial=0.0))
