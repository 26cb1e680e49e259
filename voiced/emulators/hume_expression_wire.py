"""The messages of Expression Measurement, both ways: names and types.

Source: wire reference, part 3. Audio goes as binary frames, all else as text told apart by `type`.
"""

from __future__ import annotations

from typing import Final, Literal

import msgspec

RATE: Final = 16000
"""Hz of the audio, the only one that is taken."""


class _Message(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Part of a client's message."""


class AudioUpdate(_Message, frozen=True, kw_only=True):
    """What the audio is; only what it is anyway is taken."""

    type: str | None = None
    encoding: str | None = None
    sample_rate: int | None = None
    channels: int | None = None


class SessionUpdate(_Message, frozen=True, kw_only=True, tag_field="type", tag="session.update"):
    """The configuration; what is absent goes back to its default."""

    audio: AudioUpdate | None = None
    measurement_timer_ms: int = 3000


class SessionClose(_Message, frozen=True, kw_only=True, tag_field="type", tag="session.close"):
    """The client's goodbye."""


class Audio(msgspec.Struct, frozen=True, kw_only=True):
    """What the audio is."""

    type: Literal["audio/pcm"] = "audio/pcm"
    encoding: Literal["s16le"] = "s16le"
    sample_rate: int = RATE
    channels: int = 1


class Told(msgspec.Struct, frozen=True, kw_only=True, tag_field="type"):
    """A message of the service."""


class SessionCreated(Told, frozen=True, kw_only=True, tag="session.created"):
    """The first message."""

    session_id: str
    audio: Audio = Audio()
    measurement_timer_ms: int = 3000


class SessionUpdated(Told, frozen=True, kw_only=True, tag="session.updated"):
    """The configuration as it is now."""

    audio: Audio = Audio()
    measurement_timer_ms: int


class UtteranceStart(Told, frozen=True, kw_only=True, tag="utterance.start"):
    """Somebody speaks."""

    utterance_id: int
    audio_start_ms: int


class Score(msgspec.Struct, frozen=True, kw_only=True):
    """How likely something is."""

    name: str
    probability: float


class MeasurementResult(Told, frozen=True, kw_only=True, tag="measurement.result"):
    """What was measured in a stretch of an utterance; absent = not present."""

    measurement_id: int
    utterance_id: int
    audio_start_ms: int
    audio_end_ms: int
    trigger: Literal["interval", "speech_ended"]
    expressions: list[Score]
    voice_attributes: list[Score]


class UtteranceEnd(Told, frozen=True, kw_only=True, tag="utterance.end"):
    """Nobody speaks any more."""

    utterance_id: int
    audio_start_ms: int
    audio_end_ms: int


class Error(Told, frozen=True, kw_only=True, tag="error"):
    """Something is wrong; what cannot be tried again ends the session."""

    code: str
    message: str
    retryable: bool


class Received(msgspec.Struct, frozen=True, kw_only=True):
    """What was accepted."""

    audio_duration_ms: int
    frames: int


class Produced(msgspec.Struct, frozen=True, kw_only=True):
    """What was made of it."""

    utterances: int
    measurements: int


class SessionClosed(Told, frozen=True, kw_only=True, tag="session.closed"):
    """The last message."""

    session_id: str
    reason: Literal["client_request", "server_shutdown", "idle_timeout", "error"]
    received: Received
    produced: Produced


ClientMessage = SessionUpdate | SessionClose
