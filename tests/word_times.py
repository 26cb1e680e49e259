"""Where each word of a known text sounds in a recording: Whisper's cross-attention, aligned.

The recogniser is not asked what is said, only where: the text is given. A word begins where its
first token does; the steps are 20 ms, and the error is some of them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from voiced.inference import mel
from voiced.inference.recogniser import shared

LEAD_S = 0.2
"""Silence put before: a word at the very first sample is misplaced."""

LOUD = 150.0
"""RMS of int16 above which 20 ms are no pause."""


def word_times(pcm: NDArray[np.int16], text: str) -> list[tuple[str, float, float]]:
    """Return (word, begin, end) of each word of `text`, seconds.

    Args:
        pcm: mono, 16 kHz, at most 28 s, beginning with the text.
        text: what is said.
    """
    engine = shared()
    tokenizer, model = engine._tokenizer, engine._model
    sound = np.concatenate([np.zeros(int(LEAD_S * mel.RATE), np.int16), pcm])
    frames = int(30.0 * mel.RATE) // mel.HOP
    features = mel.spectrogram(sound, frames, int(model.n_mels))
    words = text.split()
    tokens: list[int] = []
    owner: list[int] = []
    for n, word in enumerate(words):
        ids = tokenizer.encode(f" {word}", add_special_tokens=False).ids
        tokens += ids
        owner += [n] * len(ids)
    prompt = [tokenizer.token_to_id(token) for token in engine._prompt("en")]
    prompt.append(tokenizer.token_to_id("<|notimestamps|>"))
    found = model.align(
        engine._storage.from_array(features[None]),
        prompt, [tokens], [len(sound) // mel.HOP], median_filter_width=7,
    )[0]  # fmt: skip
    begin = [float("inf")] * len(words)
    end = [0.0] * len(words)
    for token, at in found.alignments:
        if token >= len(owner):
            continue  # the end of the text
        second = at * 0.02 - LEAD_S
        begin[owner[token]] = min(begin[owner[token]], second)
        end[owner[token]] = max(end[owner[token]], second + 0.02)
    begin = [_sounds_from(pcm, max(0.0, at)) for at in begin]
    return list(zip(words, begin, end, strict=True))


def _sounds_from(pcm: NDArray[np.int16], second: float) -> float:
    """Return the first second that sounds from `second` on: attention begins in the pause before.

    A pause is at least 60 ms long: a stop within a word is shorter.
    """
    block = mel.RATE // 50
    first = max(0, int(second * mel.RATE)) // block
    blocks = pcm[first * block :][: mel.RATE * 2]
    blocks = blocks[: len(blocks) // block * block].reshape(-1, block).astype(np.float64)
    loud = np.sqrt(np.mean(blocks**2, axis=1)) > LOUD
    silent = np.flatnonzero(~loud)
    for at in silent[silent < 4]:
        run = int(np.argmax(loud[at:])) if loud[at:].any() else 0
        if run >= 5:
            return float((first + at + run) * block / mel.RATE)
    return second
