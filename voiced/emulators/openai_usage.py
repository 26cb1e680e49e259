"""What a response of OpenAI Realtime uses, counted in tokens, and what that costs.

The whole conversation is the input of every response; what an earlier one already had at its
beginning is cached. Source: the guide "Managing costs" and the model pages, November 2026.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from voiced.emulators.bill import Bill
from voiced.emulators.realtime_items import Tokens

CACHE_STEP: Final = 64
"""Cached input counts in steps of so many tokens."""


class Model(msgspec.Struct, frozen=True, kw_only=True):
    """A model as far as its limits and prices go; prices in USD per million tokens."""

    context: int
    max_output: int
    reasoning: bool
    text: tuple[float, float, float]
    """In, cached, out."""
    audio: tuple[float, float, float]
    image: tuple[float, float]
    """In, cached."""


def _model(context: int, max_output: int, *, mini: bool, text_out: float) -> Model:
    return Model(
        context=context,
        max_output=max_output,
        reasoning=context == 128_000,
        text=(0.6, 0.06, text_out) if mini else (4.0, 0.4, text_out),
        audio=(10.0, 0.3, 20.0) if mini else (32.0, 0.4, 64.0),
        image=(0.8, 0.08) if mini else (5.0, 0.5),
    )


_LARGE: Final = _model(128_000, 32_000, mini=False, text_out=24.0)
_LARGE_MINI: Final = _model(128_000, 32_000, mini=True, text_out=2.4)
_SMALL: Final = _model(32_000, 4_096, mini=False, text_out=16.0)
_SMALL_MINI: Final = _model(32_000, 4_096, mini=True, text_out=2.4)
MODELS: Final = {
    "gpt-realtime-2.1": _LARGE,
    "gpt-realtime-2.1-mini": _LARGE_MINI,
    "gpt-realtime-2": _LARGE,
    "gpt-realtime-1.5": _SMALL,
    "gpt-realtime": _SMALL,
    "gpt-realtime-2025-08-28": _SMALL,
    "gpt-realtime-mini": _SMALL_MINI,
    "gpt-realtime-mini-2025-10-06": _SMALL_MINI,
    "gpt-realtime-mini-2025-12-15": _SMALL_MINI,
}
TRANSCRIPTION_MODELS: Final[dict[str, float]] = {
    "gpt-transcribe": 0.0045,
    "gpt-live-transcribe": 0.017,
    "gpt-realtime-whisper": 0.017,
    "gpt-4o-transcribe": 0.0,
    "gpt-4o-transcribe-diarize": 0.0,
    "gpt-4o-mini-transcribe": 0.003,
    "gpt-4o-mini-transcribe-2025-12-15": 0.003,
    "whisper-1": 0.006,
}
"""USD for a minute; 0 where no source names one."""


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """What one response used."""

    input: Tokens
    cached: Tokens
    output: Tokens
    reasoning: int = 0
    """Tokens of thinking; part of what is put out."""

    def shown(self) -> dict[str, Any]:
        """Return it as response.done carries it."""
        cached, put_in, out = self.cached, self.input, self.output
        output_tokens = out.total + self.reasoning
        return {
            "total_tokens": put_in.total + output_tokens,
            "input_tokens": put_in.total,
            "output_tokens": output_tokens,
            "input_token_details": {
                "text_tokens": put_in.text,
                "audio_tokens": put_in.audio,
                "image_tokens": put_in.image,
                "cached_tokens": cached.total,
                "cached_tokens_details": {
                    "text_tokens": cached.text,
                    "audio_tokens": cached.audio,
                    "image_tokens": cached.image,
                },
            },
            "output_token_details": {
                "text_tokens": out.text + self.reasoning,
                "audio_tokens": out.audio,
            },
        }

    def book(self, bill: Bill, connection: int, model: Model) -> None:
        """Put it on the bill."""
        rows = (
            ("text_in", self.input.text - self.cached.text, model.text[0]),
            ("text_cached", self.cached.text, model.text[1]),
            ("audio_in", self.input.audio - self.cached.audio, model.audio[0]),
            ("audio_cached", self.cached.audio, model.audio[1]),
            ("image_in", self.input.image - self.cached.image, model.image[0]),
            ("image_cached", self.cached.image, model.image[1]),
            ("text_out", self.output.text + self.reasoning, model.text[2]),
            ("audio_out", self.output.audio, model.audio[2]),
        )
        for what, amount, price in rows:
            bill.add(connection, what, amount, "tokens", price / 1e6)


class Context:
    """What the model is shown for a response, and how much of it the last one already had.

    Args:
        model: whose limits hold.
    """

    def __init__(self, model: Model) -> None:
        self._model = model
        self._before: list[tuple[str, Tokens]] = []

    def ask(self, pieces: list[tuple[str, Tokens]], *, keep: bool = True) -> tuple[Tokens, Tokens]:
        """Return the input of a response and how much of it is cached.

        Args:
            pieces: what the context is made of, in order: a name for the content, and its tokens.
            keep: whether it becomes what the next response is held against.
        """
        pieces = self._fitting(pieces)
        same = 0
        while same < min(len(pieces), len(self._before)) and pieces[same] == self._before[same]:
            same += 1
        if keep:
            self._before = pieces
        cached = _down(_sum(pieces[:same]))
        return _sum(pieces), cached

    def _fitting(self, pieces: list[tuple[str, Tokens]]) -> list[tuple[str, Tokens]]:
        """Return the pieces without the oldest ones that do not fit; the instructions stay."""
        limit = self._model.context - self._model.max_output
        kept = list(pieces)
        while len(kept) > 2 and _sum(kept).total > limit:
            kept.pop(1)
        return kept


def _sum(pieces: list[tuple[str, Tokens]]) -> Tokens:
    total = Tokens()
    for _, tokens in pieces:
        total += tokens
    return total


def _down(tokens: Tokens) -> Tokens:
    """Return the tokens in whole steps of the cache."""
    return Tokens(
        text=tokens.text // CACHE_STEP * CACHE_STEP,
        audio=tokens.audio // CACHE_STEP * CACHE_STEP,
        image=tokens.image // CACHE_STEP * CACHE_STEP,
    )
