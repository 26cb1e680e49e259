"""What the service says: a struct for every event that means something here, and the decoder.

Dispatch is on `type` alone. Fields that nothing here needs are not read; what a service may leave
out, send as null or in another shape is optional or kept raw, so that an odd detail never costs the
event. Names follow the GA interface of OpenAI Realtime; the names of its beta, which others still
send, lead to the same structs.
"""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

import msgspec

LONGEST_TYPE = 80
"""Characters of an event's name that are worth showing."""
NOTHING = msgspec.Raw()


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """Anything the service sends."""


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """What is read of a session object."""

    id: str | None = None
    expires_at: float | None = None
    """Unix time, s."""


class SessionCreated(Event, frozen=True, kw_only=True):
    """The connection has a session, with the service's defaults."""

    session: Session = Session()


class SessionUpdated(Event, frozen=True, kw_only=True):
    """Our settings are in force."""

    session: Session = Session()


class ConversationNamed(msgspec.Struct, frozen=True, kw_only=True):
    """What is read of a conversation object."""

    id: str | None = None


class ConversationCreated(Event, frozen=True, kw_only=True):
    """xAI names the conversation, which a later connection may take up."""

    conversation: ConversationNamed = ConversationNamed()


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """What is read of a conversation item."""

    id: str | None = None
    type: str | None = None
    """message, function_call, function_call_output, ..."""
    status: str | None = None
    role: str | None = None
    call_id: str | None = None
    name: str | None = None
    arguments: str | None = None
    content: msgspec.Raw = NOTHING


class ItemAdded(Event, frozen=True, kw_only=True):
    """An item is in the conversation: ours as an acknowledgement, or the service's."""

    item: Item = Item()


class ItemCreated(Event, frozen=True, kw_only=True):
    """Beta's `ItemAdded`; xAI repeats a resumed conversation by it."""

    item: Item = Item()


class ItemDone(Event, frozen=True, kw_only=True):
    """An item is final."""

    item: Item = Item()


class ItemDeleted(Event, frozen=True, kw_only=True):
    """An item is gone."""

    item_id: str | None = None


class ItemTruncated(Event, frozen=True, kw_only=True):
    """An item was cut to what was heard."""

    item_id: str | None = None
    audio_end_ms: float | None = None
    transcript: str | None = None
    """xAI: the words that were heard."""


class TranscriptionDelta(Event, frozen=True, kw_only=True):
    """More of what the user said."""

    item_id: str
    delta: str | None = None


class TranscriptionUpdated(Event, frozen=True, kw_only=True):
    """xAI: all that the user said so far, revised."""

    item_id: str
    transcript: str | None = None


class TranscriptionCompleted(Event, frozen=True, kw_only=True):
    """All that the user said."""

    item_id: str
    transcript: str | None = None
    status: str | None = None
    """xAI: in_progress while the turn may still grow."""
    usage: msgspec.Raw = NOTHING


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """An error object."""

    type: str | None = None
    code: str | None = None
    message: str | None = None
    param: str | None = None
    event_id: str | None = None
    """The client event that caused it, where the service says so."""


class TranscriptionFailed(Event, frozen=True, kw_only=True):
    """What the user said could not be written down."""

    item_id: str
    error: Fault = Fault()


class SpeechStarted(Event, frozen=True, kw_only=True):
    """The user speaks."""

    item_id: str | None = None
    audio_start_ms: float | None = None
    """Of all audio appended in this session, ms."""


class SpeechStopped(Event, frozen=True, kw_only=True):
    """The user's turn has ended."""

    item_id: str | None = None
    audio_end_ms: float | None = None


class Committed(Event, frozen=True, kw_only=True):
    """What was heard has become the item `item_id`."""

    item_id: str | None = None


class Cleared(Event, frozen=True, kw_only=True):
    """What was heard is dropped."""


class TimeoutTriggered(Event, frozen=True, kw_only=True):
    """Nobody spoke for the idle timeout: the service commits silence and speaks by itself."""

    item_id: str | None = None


class RateLimit(msgspec.Struct, frozen=True, kw_only=True):
    """What is left of one limit."""

    name: str = ""
    """requests or tokens."""
    limit: float | None = None
    remaining: float | None = None
    reset_seconds: float | None = None


class RateLimitsUpdated(Event, frozen=True, kw_only=True):
    """What is left of the account's limits."""

    rate_limits: list[RateLimit] = []


class Response(msgspec.Struct, frozen=True, kw_only=True):
    """What is read of a response object; the rest is looked at where it is needed."""

    id: str | None = None
    status: str | None = None
    status_details: msgspec.Raw = NOTHING
    metadata: msgspec.Raw = NOTHING
    output: msgspec.Raw = NOTHING
    usage: msgspec.Raw = NOTHING


class ResponseCreated(Event, frozen=True, kw_only=True):
    """A reply begins."""

    response: Response = Response()


class ResponseDone(Event, frozen=True, kw_only=True):
    """A reply has ended, one way or the other."""

    response: Response = Response()
    response_id: str | None = None
    """xAI tells it here too."""
    usage: msgspec.Raw = NOTHING
    """xAI tells it here."""


class OutputItemAdded(Event, frozen=True, kw_only=True):
    """An item of a reply begins."""

    response_id: str
    item: Item = Item()


class OutputItemDone(Event, frozen=True, kw_only=True):
    """An item of a reply has ended; a call is to be carried out where its status is completed."""

    response_id: str
    item: Item = Item()


class PartAdded(Event, frozen=True, kw_only=True):
    """A part of an item begins."""

    response_id: str
    item_id: str
    content_index: int = 0


class AudioDelta(Event, frozen=True, kw_only=True):
    """Sound of a reply."""

    response_id: str
    item_id: str
    content_index: int = 0
    delta: bytes = b""
    """Base64 on the wire."""


class AudioDone(Event, frozen=True, kw_only=True):
    """All sound of an item has been sent."""

    response_id: str
    item_id: str
    content_index: int = 0


class TranscriptDelta(Event, frozen=True, kw_only=True):
    """Words of what a reply says."""

    response_id: str
    item_id: str
    content_index: int = 0
    delta: str | None = None
    start_time: float | None = None
    """xAI: where in the item's sound they begin, s."""


class TranscriptDone(Event, frozen=True, kw_only=True):
    """All words of what an item says."""

    response_id: str
    item_id: str
    content_index: int = 0
    transcript: str | None = None


class TextDelta(Event, frozen=True, kw_only=True):
    """Words of a written reply."""

    response_id: str
    item_id: str
    content_index: int = 0
    delta: str | None = None


class TextDone(Event, frozen=True, kw_only=True):
    """All words of a written item."""

    response_id: str
    item_id: str
    content_index: int = 0
    text: str | None = None


class ArgumentsDone(Event, frozen=True, kw_only=True):
    """A call is written out; whether it is to be carried out, its item's end tells."""

    response_id: str | None = None
    item_id: str | None = None
    call_id: str | None = None
    name: str | None = None
    arguments: str | None = None


class ErrorEvent(Event, frozen=True, kw_only=True):
    """Something was wrong; only the close of the connection ends it."""

    error: Fault = Fault()


class Ignored(Event, frozen=True, kw_only=True):
    """Known, and nothing to do."""


ServerEvent: TypeAlias = (
    SessionCreated | SessionUpdated | ConversationCreated | ItemAdded | ItemCreated | ItemDone
    | ItemDeleted | ItemTruncated | TranscriptionDelta | TranscriptionUpdated
    | TranscriptionCompleted | TranscriptionFailed | SpeechStarted | SpeechStopped | Committed
    | Cleared | TimeoutTriggered | RateLimitsUpdated | ResponseCreated | ResponseDone
    | OutputItemAdded | OutputItemDone | PartAdded | AudioDelta | AudioDone | TranscriptDelta
    | TranscriptDone | TextDelta | TextDone | ArgumentsDone | ErrorEvent | Ignored
)  # fmt: skip


class Unknown(NamedTuple):
    """An event of a type that is not in the table."""

    type: str


class Malformed(NamedTuple):
    """A frame that cannot be read."""

    type: str
    """As far as it could be read; "" if not even that."""
    why: str
    """Where it is wrong; never what it holds."""


_STRUCTS: dict[str, type[ServerEvent]] = {
    "session.created": SessionCreated,
    "session.updated": SessionUpdated,
    "conversation.created": ConversationCreated,
    "conversation.item.added": ItemAdded,
    "conversation.item.created": ItemCreated,
    "conversation.item.done": ItemDone,
    "conversation.item.deleted": ItemDeleted,
    "conversation.item.truncated": ItemTruncated,
    "conversation.item.input_audio_transcription.delta": TranscriptionDelta,
    "conversation.item.input_audio_transcription.updated": TranscriptionUpdated,
    "conversation.item.input_audio_transcription.completed": TranscriptionCompleted,
    "conversation.item.input_audio_transcription.failed": TranscriptionFailed,
    "input_audio_buffer.speech_started": SpeechStarted,
    "input_audio_buffer.speech_stopped": SpeechStopped,
    "input_audio_buffer.committed": Committed,
    "input_audio_buffer.cleared": Cleared,
    "input_audio_buffer.timeout_triggered": TimeoutTriggered,
    "rate_limits.updated": RateLimitsUpdated,
    "response.created": ResponseCreated,
    "response.done": ResponseDone,
    "response.output_item.added": OutputItemAdded,
    "response.output_item.done": OutputItemDone,
    "response.content_part.added": PartAdded,
    "response.output_audio.delta": AudioDelta,
    "response.output_audio.done": AudioDone,
    "response.output_audio_transcript.delta": TranscriptDelta,
    "response.output_audio_transcript.done": TranscriptDone,
    "response.output_text.delta": TextDelta,
    "response.output_text.done": TextDone,
    "response.function_call_arguments.done": ArgumentsDone,
    "error": ErrorEvent,
}
_OLD_NAMES = {
    "response.audio.delta": "response.output_audio.delta",
    "response.audio.done": "response.output_audio.done",
    "response.audio_transcript.delta": "response.output_audio_transcript.delta",
    "response.audio_transcript.done": "response.output_audio_transcript.done",
    "response.text.delta": "response.output_text.delta",
    "response.text.done": "response.output_text.done",
}
"""OpenAI's beta, and xAI now and then."""
_IGNORED = (
    "conversation.item.retrieved",
    "conversation.item.input_audio_transcription.segment",
    "input_audio_buffer.dtmf_event_received",
    "output_audio_buffer.started",
    "output_audio_buffer.stopped",
    "output_audio_buffer.cleared",
    "response.content_part.done",
    "response.function_call_arguments.delta",
    "mcp_list_tools.in_progress",
    "mcp_list_tools.completed",
    "mcp_list_tools.failed",
    "response.mcp_call_arguments.delta",
    "response.mcp_call_arguments.done",
    "response.mcp_call.in_progress",
    "response.mcp_call.completed",
    "response.mcp_call.failed",
    "ping",
)
"""Only asked for, only with WebRTC or SIP, only with tools that the service itself calls, or only a
sign of life."""


class _Envelope(msgspec.Struct):
    type: str


_envelope = msgspec.json.Decoder(_Envelope)
_decoders: dict[str, msgspec.json.Decoder[ServerEvent]] = {
    name: msgspec.json.Decoder(struct) for name, struct in _STRUCTS.items()
}
_decoders |= {old: _decoders[new] for old, new in _OLD_NAMES.items()}
_decoders |= dict.fromkeys(_IGNORED, msgspec.json.Decoder(Ignored))

KNOWN = frozenset(_decoders)
"""Every type that the decoder knows."""


def decode(frame: str | bytes) -> ServerEvent | Unknown | Malformed:
    """Return what a frame says; never raises."""
    kind = ""
    try:
        kind = _envelope.decode(frame).type
        decoder = _decoders.get(kind)
        if decoder is None:
            return Unknown(_shown(kind))
        return decoder.decode(frame)
    except msgspec.ValidationError as error:
        return Malformed(_shown(kind), str(error))
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        # These may quote what could not be read.
        return Malformed(_shown(kind), type(error).__name__)


def _shown(kind: str) -> str:
    return "".join(c if c.isprintable() else "?" for c in kind[:LONGEST_TYPE])
