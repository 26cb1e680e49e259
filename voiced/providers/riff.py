"""The sound of a WAV file in memory: a pure RIFF reader that believes no size it is told."""

from __future__ import annotations

import struct
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

Samples: TypeAlias = NDArray[np.int16]


class Wave(NamedTuple):
    """The sound of a file, mono."""

    rate: int
    samples: Samples


_PCM, _FLOAT, _EXTENSIBLE = 1, 3, 0xFFFE


def wave(riff: bytes) -> Wave:
    """Return the sound of a file, walked chunk by chunk; several channels are averaged.

    Sizes that reach beyond the end (a streaming writer leaves them at their largest) are cut there.

    Raises:
        ValueError: it is no WAV file of 16-bit or float samples.
    """
    if riff[:4] != b"RIFF" or riff[8:12] != b"WAVE":
        raise ValueError("it is no WAV file")
    form: tuple[int, int, int, int] | None = None
    at = 12
    while at + 8 <= len(riff):
        name, size = struct.unpack_from("<4sI", riff, at)
        body = riff[at + 8 : at + 8 + size]
        if name == b"fmt " and len(body) >= 16:
            form = _form(body)
        elif name == b"data":
            if form is None:
                raise ValueError("it has sound before its format")
            return _sound(body, *form)
        at += 8 + size + size % 2
    raise ValueError("it has no sound")


def _form(body: bytes) -> tuple[int, int, int, int]:
    kind, channels, rate, _, _, bits = struct.unpack_from("<HHIIHH", body)
    if kind == _EXTENSIBLE and len(body) >= 26:
        (kind,) = struct.unpack_from("<H", body, 24)
    return kind, channels, rate, bits


def _sound(body: bytes, kind: int, channels: int, rate: int, bits: int) -> Wave:
    if not (1 <= channels <= 8 and 8000 <= rate <= 192_000):
        raise ValueError("it has an odd count of channels or samples a second")
    width = channels * bits // 8
    if (kind, bits) == (_PCM, 16):
        whole = np.frombuffer(body[: len(body) // width * width], "<i2").astype(np.int16)
        mono = whole if channels == 1 else _mixed(whole.astype(np.float64), channels)
    elif (kind, bits) == (_FLOAT, 32):
        wide = np.frombuffer(body[: len(body) // width * width], "<f4").astype(np.float64)
        mono = _mixed(np.nan_to_num(wide, posinf=1.0, neginf=-1.0) * 32767, channels)
    else:
        raise ValueError("it has neither 16-bit nor float samples")
    return Wave(rate, mono)


def _mixed(wide: NDArray[np.float64], channels: int) -> Samples:
    mean = wide.reshape(-1, channels).mean(axis=1)
    mono: Samples = np.clip(np.rint(mean), -32768, 32767).astype(np.int16)
    return mono
