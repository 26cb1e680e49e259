"""Wav files: visitors' recordings in, what was played out."""

from __future__ import annotations

import contextlib
import struct
import wave
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soxr

from voiced.errors import DeviceError

Float32 = npt.NDArray[np.float32]
Int16 = npt.NDArray[np.int16]

_HEADER = 44
_MAX_BYTES = 0xFFFFFFFF - 64


def read_wav(path: str, samplerate: int) -> Float32:
    """Return a PCM wav file as mono float samples at `samplerate`, full scale 1.0.

    Raises:
        DeviceError: the file cannot be read; the sentence says why.
    """
    try:
        with contextlib.closing(wave.open(path, "rb")) as source:
            rate, width, channels = (
                source.getframerate(),
                source.getsampwidth(),
                source.getnchannels(),
            )
            raw = source.readframes(source.getnframes())
    except (OSError, EOFError, wave.Error) as error:
        raise DeviceError(f"cannot read the wav file {path}: {error}") from error
    if width not in (2, 3, 4):
        raise DeviceError(
            f"cannot read the wav file {path}: it has {8 * width} bits, save it as 16-bit PCM"
        )
    samples = _to_float(raw, width).reshape(-1, channels).mean(axis=1, dtype=np.float32)
    if rate != samplerate:
        samples = soxr.resample(samples, rate, samplerate, quality="HQ")
    return np.asarray(samples, np.float32)


def _to_float(raw: bytes, width: int) -> Float32:
    if width == 2:
        return np.frombuffer(raw, "<i2").astype(np.float32) / np.float32(1 << 15)
    if width == 4:
        return (np.frombuffer(raw, "<i4") / (1 << 31)).astype(np.float32)
    triples = np.frombuffer(raw, np.uint8).reshape(-1, 3)
    padded = np.zeros((len(triples), 4), np.uint8)
    padded[:, 1:] = triples
    return (padded.view("<i4")[:, 0] / (1 << 31)).astype(np.float32)


class WavFile:
    """A 16-bit wav file that may be read at any moment while it grows.

    Frame n of the file is frame n of a counter: a successor of a killed process goes on in the
    same file at the counter it finds, with silence where nothing was written.

    Args:
        path: the file; its folder is made.
        samplerate: Hz.
        channels: number of channels.
        frame: counter at which writing goes on; 0 makes the file anew.
    """

    def __init__(self, path: str, samplerate: int, channels: int, frame: int = 0) -> None:
        self._samplerate, self._channels = samplerate, channels
        self._step = 2 * channels
        target = Path(path)
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            go_on = frame > 0 and target.exists() and target.stat().st_size >= _HEADER
            # Unbuffered: a killed process has written all that it counted as played.
            self._file = target.open("r+b" if go_on else "w+b", buffering=0)
        except OSError as error:
            raise DeviceError(f"cannot write the wav file {path}: {error}") from error
        self.frame = frame if go_on else 0
        self._file.truncate(_HEADER + self.frame * self._step)
        self._file.seek(_HEADER + self.frame * self._step)
        self.update()

    def write(self, samples: Int16, frame: int) -> None:
        """Write samples of shape (frames, channels) at counter `frame`, at or after the last."""
        if frame != self.frame:
            self._file.seek(_HEADER + frame * self._step)
        self._file.write(samples.astype("<i2", copy=False).tobytes())
        self.frame = frame + len(samples)

    def update(self) -> None:
        """Bring the header up to what was written."""
        data = min(self.frame * self._step, _MAX_BYTES)
        self._file.seek(0)
        self._file.write(
            struct.pack(
                "<4sI4s4sIHHIIHH4sI",
                b"RIFF",
                data + _HEADER - 8,
                b"WAVE",
                b"fmt ",
                16,
                1,
                self._channels,
                self._samplerate,
                self._samplerate * self._step,
                self._step,
                16,
                b"data",
                data,
            )
        )
        self._file.seek(_HEADER + self.frame * self._step)

    def close(self) -> None:
        """Finish the file."""
        self.update()
        self._file.close()
