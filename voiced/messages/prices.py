"""What a service charges for a model, as its price list says it."""

from __future__ import annotations

import msgspec

from voiced.messages.framing import Message


class Rates(Message, frozen=True, kw_only=True):
    """USD that one model costs, by what is counted; None = the list has no such rate.

    The data file, the configuration and the message to network have these same names.
    """

    text_in: float | None = None
    """Per 1,000,000 tokens of text that were not cached."""
    text_cached: float | None = None
    text_out: float | None = None
    """Per 1,000,000 tokens of text; what a model thinks counts as such."""
    audio_in: float | None = None
    audio_cached: float | None = None
    audio_out: float | None = None
    image_in: float | None = None
    image_cached: float | None = None
    audio_minute: float | None = None
    """A minute of audio, sent or received."""
    text_item: float | None = None
    """One typed item."""
    session_minute: float | None = None
    """A minute of an open connection."""
    transcription_minute: float | None = None
    """A minute of speech, written down by a separate model."""
    measurement_minute: float | None = None
    """A minute of speech, measured for its expression."""
    search: float | None = None
    """One web search."""


PriceList = dict[str, dict[str, Rates]]
"""Provider -> model -> its rates. The model "*" stands for every model without its own."""


def laid_over(below: Rates, above: Rates) -> Rates:
    """Return the rates of `below` with those that `above` names in their place."""
    told = {
        name: rate
        for name in Rates.__struct_fields__
        if (rate := getattr(above, name)) is not None
    }
    return msgspec.structs.replace(below, **told)
