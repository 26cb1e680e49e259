"""The ear without a process: detector, turns and recogniser put together, as fast as they go."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from voiced.inference import recogniser
from voiced.inference.conversation import (
    Action,
    Conversation,
    Dropped,
    Recognise,
    Transcript,
)
from voiced.inference.vad import FRAME, Detector
from voiced.messages.inference import Settings

Pcm = NDArray[np.int16]
RATE = 16_000


def hear(blocks: Iterable[Pcm], settings: Settings | None = None) -> list[Action]:
    """Return all that the turns decided while the blocks, each whole frames, were heard.

    Unrealistic: every reading is there at once, so a partial never comes too late.
    """
    turns = Conversation(settings or Settings(transcribe=False))
    detector = Detector()
    engine = recogniser.shared()
    told: list[Action] = []
    sound = np.zeros(0, np.int16)
    start = 0

    def carry_out(actions: list[Action]) -> None:
        for action in actions:
            told.append(action)
            if isinstance(action, Recognise):
                heard = engine.read(sound[action.start - start : action.end - start])
                text = recogniser.words(heard, action.strong_ms)
                carry_out(turns.recognised(action.job, text))

    for block in blocks:
        sound = np.concatenate([sound, block])
        for frame in detector.judge(block.tobytes()):
            carry_out(turns.frame(frame.probability, frame.level))
        surplus = turns.oldest_needed() - start
        sound, start = sound[surplus:], start + surplus
    return told


def rows(told: list[Action]) -> list[str]:
    """Return the user rows of a listening."""
    return [a.text for a in told if isinstance(a, Transcript) and a.final]


def dropped(told: list[Action]) -> int:
    return sum(isinstance(a, Dropped) for a in told)


# Noises, in blocks of one second (rounded to frames), by a fixed seed.

BLOCK = RATE // FRAME * FRAME


def _blocks(seconds: float) -> Iterator[NDArray[np.float64]]:
    for at in range(0, int(seconds * RATE), BLOCK):
        yield np.arange(at, at + BLOCK) / RATE


def still(seconds: float) -> Iterator[Pcm]:
    for t in _blocks(seconds):
        yield np.zeros(len(t), np.int16)


def hum(hertz: float, seconds: float) -> Iterator[Pcm]:
    """Yield a mains hum with its first harmonics, -20 dBFS RMS."""
    parts = (1.0, 0.4, 0.25, 0.1)
    scale = 0.1 / np.sqrt(sum(p * p for p in parts) / 2)
    for t in _blocks(seconds):
        wave = sum(p * np.sin(2 * np.pi * hertz * (n + 1) * t) for n, p in enumerate(parts))
        yield (wave * scale * 32_767).astype(np.int16)


def pink(seconds: float) -> Iterator[Pcm]:
    """Yield pink noise, -30 dBFS RMS, each block shaped in the frequency domain."""
    chance = np.random.default_rng(1)
    for t in _blocks(seconds):
        spectrum = np.fft.rfft(chance.normal(size=len(t)))
        spectrum[1:] /= np.sqrt(np.arange(1, len(spectrum)))
        spectrum[0] = 0
        noise = np.fft.irfft(spectrum, len(t))
        yield (noise / np.sqrt(np.mean(noise**2)) * 10 ** (-30 / 20) * 32_767).astype(np.int16)


def applause(seconds: float, hands: int = 40) -> Iterator[Pcm]:
    """Yield a hall that claps, coming and going: bursts of noise that decay within milliseconds."""
    chance = np.random.default_rng(2)
    clap_length = RATE // 25
    decay = np.exp(-np.arange(clap_length) / (RATE * 0.004))
    tail = np.zeros(clap_length)
    for second, t in enumerate(_blocks(seconds)):
        sound = np.zeros(len(t) + clap_length)
        sound[:clap_length] += tail
        swell = 0.5 - 0.5 * np.cos(2 * np.pi * second / 12)
        for _ in range(int(hands * 4 * swell)):
            at = int(chance.integers(0, len(t)))
            burst = chance.normal(size=clap_length) * decay
            burst[1:] -= 0.7 * burst[:-1]
            sound[at : at + clap_length] += burst * chance.uniform(0.2, 1.0)
        tail = sound[len(t) :].copy()
        yield np.clip(sound[: len(t)] * 2_500, -32_768, 32_767).astype(np.int16)
