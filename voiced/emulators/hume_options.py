"""What a script may ask of an emulated EVI beyond what every service does."""

from __future__ import annotations

import msgspec


class Options(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`options` of a connection with Hume EVI; the first four stand for its Config."""

    min_interruption_ms: int = 800
    """Speech that interrupts; a Config's `interruption.min_interruption_ms`, 50 to 2000."""
    end_of_turn_silence_ms: int = 800
    """Silence that ends a turn, 500 to 3000."""
    prefix_padding_ms: int = 300
    """How much before the first speech belongs to the turn."""
    threshold: float = 0.5
    """The probability above which a frame is speech."""
    inactivity_s: float = 120.0
    """How long the client may be silent, 30 to 1800."""
    echo: bool = True
    """Whether session_settings are sent back."""
    prosody: bool = True
    """Whether anything is measured."""
    scores: dict[str, float] = {}
    """Scores in place of the made-up ones."""
    chunk_ms: int = 1000
    """Length of one audio_output."""
    list_chunk: bool = False
    """Whether the WAV files have a chunk between header and samples."""
    quick: bool = False
    """Whether the first sentence of an answer is a quick response."""
    late_audio: bool = False
    """Whether one more audio_output comes after user_interruption."""
    search_fails: bool = False
    """Whether the service's own search fails."""
    gone_groups: bool = False
    """Whether data retention is off: nothing can be resumed."""
