"""The input audio buffer of a realtime service: what was appended and is no turn yet."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from typing import Final

import numpy as np

from voiced.emulators.ear import Ear, SpeechStarted, SpeechStopped
from voiced.emulators.refusal import Refused

LEAST_MS: Final = 100
"""Of audio in a commit."""
LONGEST_APPEND: Final = 15 * 1024 * 1024
"""Bytes of one append."""


class InputBuffer:
    """The audio of one connection.

    Args:
        ear: keeps it and notices speech.
        decode: from the bytes on the wire to s16le.
        described: the format, as the service speaks of it.
    """

    def __init__(self, ear: Ear, decode: Callable[[bytes], bytes], described: str) -> None:
        self.ear, self._decode, self._described = ear, decode, described
        self.start_ms = ear.ms
        """Where the turn that is not committed yet begins."""

    @property
    def ms(self) -> int:
        """How much audio is not committed."""
        return self.ear.ms - self.start_ms

    def append(self, audio: str) -> list[SpeechStarted | SpeechStopped]:
        """Take an append in base64; return what was noticed.

        Raises:
            Refused: it is no audio, or too much at once.
        """
        try:
            raw = base64.b64decode(audio, validate=True)
        except (binascii.Error, ValueError):
            raise self._invalid() from None
        return self.take(raw)

    def take(self, raw: bytes) -> list[SpeechStarted | SpeechStopped]:
        """Take bytes of audio; return what was noticed.

        Raises:
            Refused: they are no whole samples, or too many at once.
        """
        if len(raw) > LONGEST_APPEND:
            raise Refused(
                f"Invalid 'audio': at most {LONGEST_APPEND} bytes at once.",
                "string_above_max_length",
                "audio",
            )
        pcm = self._decode(raw)
        if len(pcm) % 2 or not raw:
            raise self._invalid()
        return self.ear.feed(pcm)

    def commit(self, *, start_ms: int | None = None, end_ms: int | None = None) -> bytes:
        """Return the turn's audio and begin the next one.

        Args:
            start_ms: where it begins, by the ear; absent = behind the last commit.
            end_ms: where it ends; absent = all that came.
        """
        start = self.start_ms if start_ms is None else max(start_ms, self.start_ms)
        end = self.ear.ms if end_ms is None else end_ms
        pcm = self.ear.cut(start, end)
        self.start_ms = end
        self.ear.drop(end)
        return pcm

    def manual_commit(self) -> bytes:
        """Commit for the client.

        Raises:
            Refused: there is less than the service takes.
        """
        if self.ms < LEAST_MS:
            raise Refused(
                "Error committing input audio buffer: buffer too small. Expected at least "
                f"{LEAST_MS}ms of audio, but buffer only has {self.ms:.2f}ms of audio.",
                "input_audio_buffer_commit_empty",
                # An empty one may have been committed by the service's own detection meanwhile.
                violation=self.ms > 0,
            )
        self.ear.reset()
        return self.commit()

    def clear(self) -> None:
        """Forget what is not committed."""
        self.ear.reset()
        self.start_ms = self.ear.ms
        self.ear.drop(self.start_ms)

    def _invalid(self) -> Refused:
        return Refused(
            f"Invalid 'audio'. Expected base64-encoded audio bytes ({self._described}) but got an "
            "invalid value.",
            param="audio",
        )


def pcm(raw: bytes) -> bytes:
    """Return s16le as it is."""
    return raw


def decode_mulaw(raw: bytes) -> bytes:
    """Return G.711 mu-law as s16le."""
    code = ~np.frombuffer(raw, np.uint8)
    magnitude = (((code & 0x0F).astype(np.int32) << 3) + 0x84) << ((code >> 4) & 7)
    return bytes(np.where(code & 0x80, 0x84 - magnitude, magnitude - 0x84).astype("<i2"))


def encode_mulaw(raw: bytes) -> bytes:
    """Return s16le as G.711 mu-law."""
    sound = np.frombuffer(raw, "<i2").astype(np.int32)
    biased = np.minimum(np.abs(sound), 32_635) + 0x84
    exponent = np.floor(np.log2(biased)).astype(np.int32) - 7
    mantissa = (biased >> (exponent + 3)) & 0x0F
    sign = np.where(sound < 0, 0x80, 0)
    return bytes((~(sign | (exponent << 4) | mantissa)).astype(np.uint8))


def decode_alaw(raw: bytes) -> bytes:
    """Return G.711 A-law as s16le."""
    code = np.frombuffer(raw, np.uint8) ^ 0x55
    exponent, mantissa = ((code >> 4) & 7).astype(np.int32), (code & 0x0F).astype(np.int32) << 4
    magnitude = np.where(
        exponent == 0, mantissa + 8, (mantissa + 0x108) << np.maximum(exponent - 1, 0)
    )
    return bytes(np.where(code & 0x80, magnitude, -magnitude).astype("<i2"))


def encode_alaw(raw: bytes) -> bytes:
    """Return s16le as G.711 A-law."""
    sound = np.frombuffer(raw, "<i2").astype(np.int32)
    magnitude = np.minimum(np.abs(sound), 32_767)
    exponent = np.maximum(np.floor(np.log2(np.maximum(magnitude, 1))).astype(np.int32) - 7, 0)
    mantissa = (magnitude >> np.where(exponent == 0, 4, exponent + 3)) & 0x0F
    sign = np.where(sound < 0, 0, 0x80)
    return bytes(((sign | (exponent << 4) | mantissa) ^ 0x55).astype(np.uint8))
