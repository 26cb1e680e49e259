"""How an emulator speaks: the local voice where it is installed, else a tone, in deltas."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Final, Literal

import msgspec
import numpy as np
import soxr
from numpy.typing import NDArray

from voiced.inference.engines import Engines
from voiced.inference.models import EngineUnavailable
from voiced.inference.speech import Clauses
from voiced.messages.inference import OUTPUT_RATE

Voice = Literal["auto", "tone"]
Pace = Literal["burst", "realtime"]
_CHARACTER_S: Final = 0.055
"""How long a tone lasts for each character: about the pace of speech."""
_TONES: Final = (220.0, 262.0, 294.0, 330.0, 392.0)
"""Hz; a word each, so that a reply can be told from silence and from another one."""
_LOUDNESS: Final = 8000
_FADE_S: Final = 0.005


class Delta(msgspec.Struct, frozen=True, kw_only=True):
    """A piece of a reply."""

    audio: bytes
    """s16le, mono, at the service's rate."""
    text: str
    """The words that begin in it; "" where none does."""
    start_ms: int
    """Where in the reply it begins."""
    ms: int
    """How long it is."""


class Mouth:
    """The voice of one emulator.

    Args:
        engines: the local voice; None = always tones.
        pace: burst: as fast as it can be made. realtime: no faster than it is heard.
        speed: how many times as fast as real the emulator's time runs.
    """

    def __init__(self, engines: Engines | None, pace: Pace = "burst", speed: float = 1.0) -> None:
        self._engines, self.pace, self._speed = engines, pace, speed

    @property
    def speaks(self) -> bool:
        """Whether it speaks words, as far as it is known; else tones."""
        return self._engines is not None

    async def speak(
        self, text: str, rate: int, *, rate_of_speech: float = 1.0, delta_ms: int = 200
    ) -> AsyncIterator[Delta]:
        """Yield `text` spoken, mono at `rate` Hz, in pieces of `delta_ms`; their texts add up.

        A clause is spoken at a time, so the first piece comes soon.
        """
        loop = asyncio.get_running_loop()
        began, done_ms = loop.time(), 0
        for clause in _clauses(text):
            sound = await self._sound(clause, rate, rate_of_speech)
            for audio, words in _cut(sound, clause, rate * delta_ms // 1000):
                if self.pace == "realtime":
                    due = began + done_ms / 1000 / self._speed
                    await asyncio.sleep(max(0.0, due - loop.time()))
                ms = len(audio) * 1000 // rate
                yield Delta(audio=audio.tobytes(), text=words, start_ms=done_ms, ms=ms)
                done_ms += ms
                await asyncio.sleep(0)  # a burst leaves the loop to those who read

    async def _sound(self, text: str, rate: int, speed: float) -> NDArray[np.int16]:
        if self._engines is not None:
            try:
                speaking = self._engines.speech.submit(
                    lambda voices: _at_rate(voices.of("").speak(text, speed), rate)
                )
                return np.asarray(await speaking, "<i2")
            except EngineUnavailable:
                self._engines = None  # told by the shell at the start; from now on tones
        return tone(text, rate, speed)


def tone(text: str, rate: int, speed: float = 1.0) -> NDArray[np.int16]:
    """Return what stands for `text` where nothing can speak: a tone for each word."""
    words = [_beep(word, n, rate, speed) for n, word in enumerate(text.split())]
    return np.concatenate([*words, np.zeros(0, "<i2")])


def _beep(word: str, number: int, rate: int, speed: float) -> NDArray[np.int16]:
    frames = int((len(word) + 1) * _CHARACTER_S / speed * rate)
    sounding = int(len(word) * _CHARACTER_S / speed * rate)
    wave = np.zeros(frames)
    t = np.arange(sounding) / rate
    fade = np.minimum(1.0, np.minimum(t, t[::-1]) / _FADE_S)
    wave[:sounding] = fade * np.sin(2 * np.pi * _TONES[number % len(_TONES)] * t)
    return (wave * _LOUDNESS).astype("<i2")


def _at_rate(sound: NDArray[np.int16], rate: int) -> NDArray[np.int16]:
    if rate == OUTPUT_RATE:
        return sound
    return np.asarray(soxr.resample(sound, OUTPUT_RATE, rate), np.int16)


def _clauses(text: str) -> list[str]:
    cutter = Clauses()
    return [*cutter.feed(text), *cutter.flush()]


def _cut(sound: NDArray[np.int16], text: str, size: int) -> list[tuple[NDArray[np.int16], str]]:
    """Return pieces of `size` samples, and the words of `text` that begin in each."""
    count = max(1, -(-len(sound) // size))
    words = _words(text)
    pieces, told = [], 0
    for n in range(count):
        until = -(-len(words) * (n + 1) // count)
        pieces.append((sound[n * size : (n + 1) * size], "".join(words[told:until])))
        told = until
    return pieces


def _words(text: str) -> list[str]:
    """Return the words of `text`, each with the space before it; together they are the text."""
    words: list[str] = []
    for letter in text:
        if not words or (letter.isspace() and not words[-1].isspace()):
            words.append(letter)
        else:
            words[-1] += letter
    return words
