"""How an emulated EVI sounds: WAV files, and 48 scores made from the words."""

from __future__ import annotations

import base64
import hashlib
import re
import struct
from typing import Final

from voiced.emulators.hume_wire import SCORES, Prosody

RATE_OUT: Final = 48000
_SENTENCE: Final = re.compile(r"(?<=[.!?])\s+")
_LIST: Final = b"LIST" + struct.pack("<I", 4) + b"INFO"


def wav(pcm: bytes, *, extra: bool = False) -> str:
    """Return mono s16le at 48 kHz as a whole WAV file, in base64.

    Args:
        pcm: the samples.
        extra: with a chunk between header and samples, as the format allows.
    """
    chunk = _LIST if extra else b""
    layout = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, RATE_OUT, RATE_OUT * 2, 2, 16)
    body = b"WAVE" + layout + chunk + b"data" + struct.pack("<I", len(pcm)) + pcm
    return base64.b64encode(b"RIFF" + struct.pack("<I", len(body)) + body).decode()


def prosody(words: str, given: dict[str, float]) -> Prosody:
    """Return 48 scores: the same for the same words, three of them high; `given` ones as they are.

    Unlike the real ones they say nothing about the sound.
    """
    seed = hashlib.sha256(words.encode()).digest()
    high = {seed[at] % len(SCORES): 0.4 + seed[at + 3] / 512 for at in range(3)}
    scores = {name: high.get(at, (seed[at % 32] ^ at) / 5120) for at, name in enumerate(SCORES)}
    return Prosody(scores={name: round(score, 6) for name, score in (scores | given).items()})


def sentences(text: str) -> list[str]:
    """Return the sentences of a text."""
    return [one for one in _SENTENCE.split(text.strip()) if one]
