"""What a service charges for a model, as its price list says it."""

from __future__ import annotations

from typing import Annotated, TypeAlias

import msgspec

from voiced.messages.framing import Message

EVERY_MODEL = "*"
"""Stands for every model of a provider that has no rates of its own."""
Usd: TypeAlias = Annotated[float, msgspec.Meta(ge=0, le=1e6)] | None


class Rates(Message, frozen=True, kw_only=True):
    """USD that one model costs, by what is counted; None = the list has no such rate.

    The data file, the configuration and the message to network have these same names.
    """

    text_in: Usd = None
    """Per 1,000,000 tokens of text that were not cached."""
    text_cached: Usd = None
    text_out: Usd = None
    """Per 1,000,000 tokens of text; what a model thinks counts as such."""
    audio_in: Usd = None
    audio_cached: Usd = None
    audio_out: Usd = None
    image_in: Usd = None
    image_cached: Usd = None
    audio_minute: Usd = None
    """A minute of audio, sent or received."""
    text_item: Usd = None
    """One typed item."""
    session_minute: Usd = None
    """A minute of an open connection."""
    transcription_minute: Usd = None
    """A minute of speech, written down by a separate model."""
    measurement_minute: Usd = None
    """A minute of speech, measured for its expression."""
    search: Usd = None
    """One web search."""


PriceList: TypeAlias = dict[str, dict[str, Rates]]
"""Provider -> model, or EVERY_MODEL -> rates."""


def laid_over(below: Rates, above: Rates) -> Rates:
    """Return the rates of `below` with those that `above` names in their place."""
    told = {
        name: rate for name in Rates.__struct_fields__ if (rate := getattr(above, name)) is not None
    }
    return msgspec.structs.replace(below, **told)
