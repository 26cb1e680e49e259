"""Accounts that the service gives: tokens of a reply, tokens or seconds of a transcription."""

from __future__ import annotations

import msgspec

from voiced.providers.prices import Tokens
from voiced.providers.realtime_dialect.server import ResponseDone


class Cached(msgspec.Struct, frozen=True, kw_only=True):
    """Cached tokens by kind."""

    text_tokens: int | None = None
    audio_tokens: int | None = None
    image_tokens: int | None = None


class InputDetails(msgspec.Struct, frozen=True, kw_only=True):
    """What went in, by kind; cached tokens are among them."""

    text_tokens: int | None = None
    audio_tokens: int | None = None
    image_tokens: int | None = None
    cached_tokens: int | None = None
    cached_tokens_details: Cached | None = None


class OutputDetails(msgspec.Struct, frozen=True, kw_only=True):
    """What came out, by kind; thoughts count as text."""

    text_tokens: int | None = None
    audio_tokens: int | None = None


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """The account of one reply or of one transcription."""

    type: str | None = None
    """Of a transcription: tokens or duration."""
    input_tokens: int | None = None
    output_tokens: int | None = None
    input_token_details: InputDetails | None = None
    output_token_details: OutputDetails | None = None
    seconds: float | None = None
    """Of a transcription that is paid by time."""
    billable_audio_seconds: float | None = None
    """xAI: a running total of the conversation."""


_decoder = msgspec.json.Decoder(Usage | None)


def read(raw: msgspec.Raw) -> Usage | None:
    """Return an account; None where there is none, or none that can be read."""
    try:
        return _decoder.decode(raw) if bytes(raw) not in (b"", b"{}") else None
    except (msgspec.DecodeError, RecursionError):
        return None


def of_response(done: ResponseDone) -> Usage | None:
    """Return the account of a reply, wherever the service puts it."""
    return read(done.usage) or read(done.response.usage)


def tokens(usage: Usage) -> Tokens:
    """Return an account as the price list counts: cached tokens apart from the others.

    Output that is not audio is text, thoughts included. Without details everything is text; cached
    tokens without details are taken for text first, since instructions and history are text.
    """
    into = usage.input_token_details or InputDetails(text_tokens=usage.input_tokens)
    text, audio, image = (
        _least(into.text_tokens),
        _least(into.audio_tokens),
        _least(into.image_tokens),
    )
    if into.cached_tokens_details is not None:
        kinds = into.cached_tokens_details
        cached = (
            min(text, _least(kinds.text_tokens)),
            min(audio, _least(kinds.audio_tokens)),
            min(image, _least(kinds.image_tokens)),
        )
    else:
        total = _least(into.cached_tokens)
        of_text = min(text, total)
        of_audio = min(audio, total - of_text)
        cached = (of_text, of_audio, min(image, total - of_text - of_audio))
    out = usage.output_token_details or OutputDetails()
    audio_out = _least(out.audio_tokens)
    total_out = (
        usage.output_tokens
        if usage.output_tokens is not None
        else audio_out + _least(out.text_tokens)
    )
    return Tokens(
        text_in=text - cached[0],
        text_cached=cached[0],
        audio_in=audio - cached[1],
        audio_cached=cached[1],
        image_in=image - cached[2],
        image_cached=cached[2],
        audio_out=audio_out,
        text_out=max(0, total_out - audio_out),
    )


def _least(count: int | None) -> int:
    return max(0, count or 0)
