"""What a script may ask of an emulated Expression Measurement beyond what every service does."""

from __future__ import annotations

import msgspec


class Options(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`options` of a connection with Expression Measurement."""

    expressions: list[tuple[str, float]] | None = None
    """What every measurement finds; absent = made up, now and then nothing."""
    voice_attributes: list[tuple[str, float]] | None = None
    """The same for the voice."""
    silence_ms: int = 500
    """Silence that ends an utterance."""
    idle_s: float = 60.0
    """How long nobody may send anything."""
    ahead_s: float = 1.5
    """How far audio may run ahead of real time."""
