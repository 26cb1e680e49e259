"""How an emulator hears: where speech begins and ends, and what was said."""

from __future__ import annotations

from typing import Any, Final

import msgspec
import numpy as np
import soxr
from numpy.typing import NDArray

from voiced.inference import recogniser
from voiced.inference.engines import Engines
from voiced.inference.models import EngineUnavailable
from voiced.inference.vad import FRAME, FRAME_BYTES, Detector
from voiced.messages.inference import INPUT_RATE

_FRAME_MS: Final = FRAME * 1000 // INPUT_RATE
_ONSET_FRAMES: Final = 3
"""Frames of speech in a row that begin a turn: a click is none."""
_LOUD: Final = 32768 * 10 ** (-45 / 20)
"""RMS in int16 steps above which a frame counts as speech where there is no detector."""


_HUSH: Final = 4.0
"""RMS in int16 steps below which no detector is asked: the resampler's own dither is louder than
nothing, and the model takes a millisecond a frame."""


class SpeechStarted(msgspec.Struct, frozen=True, kw_only=True):
    """The user began to speak."""

    ms: int
    """Where in the audio received, the prefix taken off."""


class SpeechStopped(msgspec.Struct, frozen=True, kw_only=True):
    """The user stopped."""

    ms: int
    """Where in the audio received, the silence behind the words included."""


class Ear:
    """Speech detection in one stream of audio, which it keeps until it is dropped.

    Args:
        rate: of the audio, Hz; mono s16le.
        speech: where speech lies, ms, in place of detection.
        prefix_ms: how much before the first speech belongs to the turn.
        silence_ms: the silence that ends a turn.
        threshold: the probability above which a frame is speech, 0 to 1.
        detecting: False = only keep the audio (push-to-talk).
    """

    def __init__(
        self,
        rate: int,
        *,
        speech: list[tuple[int, int]] | None = None,
        prefix_ms: int = 300,
        silence_ms: int = 500,
        threshold: float = 0.5,
        detecting: bool = True,
    ) -> None:
        self.rate, self.prefix_ms, self.silence_ms = rate, prefix_ms, silence_ms
        self.threshold, self.detecting = threshold, detecting
        self.speaking = False
        self._scripted = None if speech is None else list(speech)
        self._audio = bytearray()
        self._dropped = 0
        self._judge = None if speech is not None else _Judge(rate)
        self._judged = self._run = 0
        self._last_speech_ms = 0

    @property
    def ms(self) -> int:
        """How much audio came so far, ms."""
        return (self._dropped + len(self._audio)) * 500 // self.rate

    @property
    def spoken_until_ms(self) -> int:
        """Where speech was last heard, ms."""
        return self._last_speech_ms

    def feed(self, pcm: bytes) -> list[SpeechStarted | SpeechStopped]:
        """Take audio (whole samples); return what was noticed in it."""
        self._audio += pcm
        if self._scripted is not None:
            return self._follow(self._scripted)
        verdicts = self._judge.feed(pcm) if self._judge is not None else []
        noticed = (self._notice(verdict) for verdict in verdicts)
        return [one for one in noticed if one is not None]

    def cut(self, start_ms: int, end_ms: int) -> bytes:
        """Return the audio between two positions, as far as it is still kept."""
        start, end = (
            max(0, ms * self.rate // 1000 * 2 - self._dropped) for ms in (start_ms, end_ms)
        )
        return bytes(self._audio[start:end])

    def drop(self, until_ms: int) -> None:
        """Forget the audio before a position."""
        size = min(len(self._audio), max(0, until_ms * self.rate // 1000 * 2 - self._dropped))
        del self._audio[:size]
        self._dropped += size

    def reset(self) -> None:
        """Take what comes next as a new beginning: nobody is speaking."""
        self.speaking, self._run = False, 0

    def _follow(self, rows: list[tuple[int, int]]) -> list[SpeechStarted | SpeechStopped]:
        noticed: list[SpeechStarted | SpeechStopped] = []
        while self.detecting and rows:
            start, end = rows[0]
            if not self.speaking and self.ms > start:
                self.speaking = True
                noticed.append(SpeechStarted(ms=start))
            if self.speaking:
                self._last_speech_ms = min(self.ms, end)
            if not self.speaking or self.ms < end:
                break
            rows.pop(0)
            self.speaking = False
            noticed.append(SpeechStopped(ms=end))
        return noticed

    def _notice(self, probability: float) -> SpeechStarted | SpeechStopped | None:
        self._judged += 1
        now = self._judged * _FRAME_MS
        if probability >= self.threshold:
            self._run += 1
            self._last_speech_ms = now
        else:
            self._run = 0
        if not self.detecting:
            return None
        if not self.speaking and self._run >= _ONSET_FRAMES:
            self.speaking = True
            return SpeechStarted(ms=max(0, now - self._run * _FRAME_MS - self.prefix_ms))
        if self.speaking and now - self._last_speech_ms >= self.silence_ms:
            self.speaking = False
            return SpeechStopped(ms=now)
        return None


class _Judge:
    """Silero where it is installed, else the level; both at 16 kHz, 32 ms at a time."""

    def __init__(self, rate: int) -> None:
        self._stream: Any = (
            None
            if rate == INPUT_RATE
            else soxr.ResampleStream(rate, INPUT_RATE, 1, dtype="int16", quality="LQ")
        )
        self._rest = b""
        try:
            self._detector: Detector | None = Detector()
        except EngineUnavailable:
            self._detector = None

    def feed(self, pcm: bytes) -> list[float]:
        """Return how likely each frame completed by `pcm` holds speech."""
        sound = np.frombuffer(pcm, "<i2")
        if self._stream is not None:
            sound = self._stream.resample_chunk(sound)
        self._rest += sound.astype("<i2").tobytes()
        whole = len(self._rest) // FRAME_BYTES * FRAME_BYTES
        frames, self._rest = self._rest[:whole], self._rest[whole:]
        blocks = np.frombuffer(frames, "<i2").reshape(-1, FRAME).astype(np.float32)
        levels = np.sqrt(np.mean(blocks**2, axis=1))
        if self._detector is None:
            return [float(level > _LOUD) for level in levels]
        if not (levels > _HUSH).any():
            return [0.0] * len(levels)
        return [frame.probability for frame in self._detector.judge(frames)]


async def transcribe(engines: Engines | None, pcm: bytes, rate: int) -> str:
    """Return what was said in `pcm` (mono s16le), read beside the loop; "" without a recogniser."""
    if engines is None or not pcm:
        return ""
    sound = np.frombuffer(pcm, "<i2")

    def read(_: object) -> str:
        at_16k = sound if rate == INPUT_RATE else soxr.resample(sound, rate, INPUT_RATE)
        return recogniser.transcribe(np.asarray(at_16k, np.int16))

    try:
        return str(await engines.recognition.submit(read))
    except EngineUnavailable:
        return ""


def silent(pcm: bytes) -> bool:
    """Whether `pcm` (s16le) is too quiet to hold speech."""
    sound: NDArray[np.float32] = np.frombuffer(pcm, "<i2").astype(np.float32)
    return not len(sound) or float(np.sqrt(np.mean(sound**2))) < recogniser.SILENT
