"""What Hume Expression Measurement says and is told, and what follows from it. No socket.

JSON text frames with a `type` both ways, the microphone as binary frames. Which expressions there
are is open: a result lists those that are present, each by a lowercase name, and names may come.
"""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple, TypeAlias

import msgspec

from voiced.providers.hume_codec import slug

URL = "wss://api.cloud.hume.ai/v1/expression/audio/realtime"
RATE = 16000
INTERVAL_MS = (3000, 10000)
"""Least and most of `measurement_timer_ms`."""
LONGEST_SAID = 256 * 1024
"""Bytes of a frame of the service that is read: a result of every name there is has about 40 kB."""
CHANNELS_KEPT = 1024
"""Names that become channels; the service has about 600."""
CHANNEL_CHARS = 64

# --- what it is told --------------------------------------------------------------------------


class SessionUpdate(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="session.update"
):
    """How often speech is measured; only before the first audio."""

    measurement_timer_ms: int


class SessionClose(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="session.close"
):
    """The end."""


_encoder = msgspec.json.Encoder()


def encode(event: SessionUpdate | SessionClose) -> bytes:
    """Return the text frame of an event."""
    return _encoder.encode(event)


# --- what it says -----------------------------------------------------------------------------


class _Said(msgspec.Struct, frozen=True, kw_only=True, tag_field="type"):
    pass


class SessionCreated(_Said, frozen=True, kw_only=True, tag="session.created"):
    """The first frame."""

    session_id: str = ""
    measurement_timer_ms: int = 0


class SessionUpdated(_Said, frozen=True, kw_only=True, tag="session.updated"):
    """The settings in force."""


class UtteranceStart(_Said, frozen=True, kw_only=True, tag="utterance.start"):
    """Speech begins."""


class UtteranceEnd(_Said, frozen=True, kw_only=True, tag="utterance.end"):
    """Speech has ended."""


class Score(msgspec.Struct, frozen=True, kw_only=True):
    """One name that is present."""

    name: str
    probability: float


class Measurement(_Said, frozen=True, kw_only=True, tag="measurement.result"):
    """What a stretch of speech expresses; a name that is absent is not present."""

    audio_start_ms: int = 0
    """From the first audio that the session took."""
    audio_end_ms: int = 0
    expressions: list[Score] = []
    voice_attributes: list[Score] = []


class ServiceError(_Said, frozen=True, kw_only=True, tag="error"):
    """Something is wrong."""

    code: str
    retryable: bool = False


class SessionClosed(_Said, frozen=True, kw_only=True, tag="session.closed"):
    """The session is over."""

    reason: str = ""


ServerEvent: TypeAlias = (
    SessionCreated | SessionUpdated | UtteranceStart | UtteranceEnd | Measurement | ServiceError
    | SessionClosed
)  # fmt: skip

_decoder: msgspec.json.Decoder[ServerEvent] = msgspec.json.Decoder(ServerEvent)


def decode(frame: bytes) -> ServerEvent | None:
    """Return what a frame says; None = nothing that is known."""
    if len(frame) > LONGEST_SAID:
        return None
    try:
        return _decoder.decode(frame)
    except (msgspec.MsgspecError, RecursionError, UnicodeError):
        return None


# --- channels ---------------------------------------------------------------------------------


class Vocabulary:
    """From the names that come to channels: `hume_affect_<slug>` and `hume_voice_<slug>`.

    A channel exists from the first time that its name was present; a later result without the name
    sets it to 0. Names beyond CHANNELS_KEPT, and those of which no letter or digit is left, have no
    channel and are told as scores alone.
    """

    def __init__(self) -> None:
        self._channels: dict[str, float] = {}

    def measured(self, result: Measurement) -> dict[str, float]:
        """Return the channels that a result changes."""
        now = dict.fromkeys(self._channels, 0.0)
        for prefix, scores in (
            ("hume_affect_", result.expressions),
            ("hume_voice_", result.voice_attributes),
        ):
            for score in scores:
                name = slug(score.name)
                channel = f"{prefix}{name}"[:CHANNEL_CHARS]
                if name and (channel in now or len(now) < CHANNELS_KEPT):
                    probability = min(max(score.probability, 0.0), 1.0)
                    now[channel] = max(probability, now.get(channel, 0.0))
        changed = {c: value for c, value in now.items() if self._channels.get(c) != value}
        self._channels = now
        return changed


def scores_text(result: Measurement) -> str:
    """Return the expressions as `onAffect` tells them: name -> probability, the likeliest first."""
    kept = result.expressions[:CHANNELS_KEPT]
    return _encoder.encode({score.name: score.probability for score in kept}).decode()


# --- ends -------------------------------------------------------------------------------------


class Next(Enum):
    """What follows the end of a session."""

    AGAIN = "again"
    """Another one, after a while."""
    WHEN_HEARD = "when heard"
    """Another one when there is something to measure."""
    NEVER = "never"


class End(NamedTuple):
    """How a session ended."""

    code: int
    """Of the websocket; 1006 = without a close frame."""
    error: str = ""
    """The last error that ends a session."""
    reason: str = ""
    """Of `session.closed`."""


_AGAIN = frozenset({1001, 1006, 1011, 1012, 1013})


def after(end: End) -> Next:
    """Return what follows: another session where the service restarts, was lost or failed."""
    if end.reason == "server_shutdown" or end.error == "internal_error":
        return Next.AGAIN
    if end.error:
        return Next.NEVER
    if end.reason == "idle_timeout":
        return Next.WHEN_HEARD
    return Next.AGAIN if end.code in _AGAIN else Next.NEVER
