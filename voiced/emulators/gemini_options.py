"""What a script may ask of an emulated Gemini beyond what every service does."""

from __future__ import annotations

from typing import Literal

import msgspec


class Options(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`options` of a connection with Gemini: what was met in the field."""

    thoughts: int = 20
    """Tokens of thinking in every reply."""
    unlabelled: int = 25
    """Prompt tokens that no modality claims."""
    cached: int = 0
    """Prompt tokens that were cached."""
    usage: Literal["beside", "alone", "none"] | None = None
    """Where usageMetadata comes: beside turnComplete, in a frame of its own, never; absent = as
    the model does."""
    interrupted_usage: bool = True
    """Whether an interrupted turn has usage."""
    transcript: Literal["beside", "ahead", "behind"] = "beside"
    """Where outputTranscription lies to the audio."""
    interim: bool = False
    """Whether interimInputTranscription comes before the final words."""
    twice: bool = False
    """Whether the final input transcription is sent a second time."""
    filler: str = "Let me think."
    """What a model that thinks at length says first, in a turn of its own."""
    searches: bool = False
    """Whether every reply searches; else one that is asked to "search" or "look up"."""
    unnumbered: bool = False
    """Whether function calls come without id."""
    late_interrupted: bool = False
    """Whether an activityStart after turnComplete is answered by `interrupted` and `turnComplete`
    of the turn before."""
    session_id: bool = False
    """Whether setupComplete carries an id."""
    waiting: bool = False
    """Whether turnComplete says that the model waits for input."""
    setup_delay_s: float = 0.0
    """How long setupComplete takes."""
    notice_s: float = 50.0
    """How long before the connection's end goAway comes."""
