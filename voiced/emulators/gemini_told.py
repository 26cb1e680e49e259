"""The messages of Gemini Live that the service sends: names and types.

Source: wire reference 1.3 and 1.8, fields of the Developer API. A frame is a `ServerMessage` with
one or several of its fields; what is false, 0 or empty is not on the wire.
"""

from __future__ import annotations

from enum import Enum
from typing import Any

from voiced.emulators.protojson import Message


class InteractionStatus(Enum):
    """Whether the exchange goes on after this turn."""

    IN_PROGRESS = "IN_PROGRESS"
    REQUIRES_ACTION = "REQUIRES_ACTION"
    IDLE = "IDLE"


class ActivityType(Enum):
    """What the service's own detection noticed."""

    ACTIVITY_START = "ACTIVITY_START"
    ACTIVITY_END = "ACTIVITY_END"


class SetupComplete(Message, frozen=True, kw_only=True):
    """The session is open."""

    session_id: str = ""


class Blob(Message, frozen=True, kw_only=True):
    """Audio of the reply, s16le mono."""

    mime_type: str
    data: bytes


class ExecutableCode(Message, frozen=True, kw_only=True):
    """A status line of a search, written as code."""

    language: str
    code: str


class CodeExecutionResult(Message, frozen=True, kw_only=True):
    """How that search went."""

    outcome: str
    output: str = ""


class Part(Message, frozen=True, kw_only=True):
    """A piece of the model's turn."""

    text: str = ""
    thought: bool = False
    """The text is reasoning, not speech."""
    inline_data: Blob | None = None
    executable_code: ExecutableCode | None = None
    code_execution_result: CodeExecutionResult | None = None


class Content(Message, frozen=True, kw_only=True):
    """The model's turn."""

    role: str = ""
    parts: list[Part] = []


class Transcription(Message, frozen=True, kw_only=True):
    """Words that were spoken."""

    text: str = ""
    finished: bool = False
    language_code: str = ""


class Web(Message, frozen=True, kw_only=True):
    """A page."""

    uri: str
    title: str = ""
    domain: str = ""


class GroundingChunk(Message, frozen=True, kw_only=True):
    """A source."""

    web: Web


class Segment(Message, frozen=True, kw_only=True):
    """A stretch of the reply's words."""

    start_index: int = 0
    end_index: int = 0
    part_index: int = 0
    text: str = ""


class GroundingSupport(Message, frozen=True, kw_only=True):
    """What a source supports."""

    segment: Segment
    grounding_chunk_indices: list[int] = []
    confidence_scores: list[float] = []


class SearchEntryPoint(Message, frozen=True, kw_only=True):
    """What has to be shown where results are shown."""

    rendered_content: str = ""


class GroundingMetadata(Message, frozen=True, kw_only=True):
    """What was searched for and found."""

    web_search_queries: list[str] = []
    grounding_chunks: list[GroundingChunk] = []
    grounding_supports: list[GroundingSupport] = []
    search_entry_point: SearchEntryPoint | None = None


class ServerContent(Message, frozen=True, kw_only=True):
    """What happens in the conversation; several fields at once are usual."""

    model_turn: Content | None = None
    input_transcription: Transcription | None = None
    interim_input_transcription: Transcription | None = None
    output_transcription: Transcription | None = None
    grounding_metadata: GroundingMetadata | None = None
    interrupted: bool = False
    generation_complete: bool = False
    turn_complete: bool = False
    turn_complete_reason: str = ""
    interaction_status: InteractionStatus | None = None
    waiting_for_input: bool = False


class FunctionCall(Message, frozen=True, kw_only=True):
    """A function that the model wants called."""

    id: str = ""
    name: str
    args: dict[str, Any] = {}


class ToolCall(Message, frozen=True, kw_only=True):
    """Functions that are to be called."""

    function_calls: list[FunctionCall]


class ToolCallCancellation(Message, frozen=True, kw_only=True):
    """Calls whose answers are not wanted any more."""

    ids: list[str]


class ModalityTokenCount(Message, frozen=True, kw_only=True):
    """How many tokens of one kind."""

    modality: str
    token_count: int = 0


class UsageMetadata(Message, frozen=True, kw_only=True):
    """What a turn used; the total leaves the thoughts out."""

    prompt_token_count: int = 0
    cached_content_token_count: int = 0
    response_token_count: int = 0
    tool_use_prompt_token_count: int = 0
    thoughts_token_count: int = 0
    total_token_count: int = 0
    prompt_tokens_details: list[ModalityTokenCount] = []
    cache_tokens_details: list[ModalityTokenCount] = []
    response_tokens_details: list[ModalityTokenCount] = []
    tool_use_prompt_tokens_details: list[ModalityTokenCount] = []


class GoAway(Message, frozen=True, kw_only=True):
    """The connection ends soon."""

    time_left: str
    """A duration: "50s"."""


class SessionResumptionUpdate(Message, frozen=True, kw_only=True):
    """What to resume with; empty = not resumable now."""

    new_handle: str = ""
    resumable: bool = False


class VoiceActivity(Message, frozen=True, kw_only=True):
    """The service's own detection of speech."""

    type: ActivityType
    audio_offset: str = ""
    """A duration from the start of the audio: "1.200s"."""


class ServerMessage(Message, frozen=True, kw_only=True):
    """A frame."""

    setup_complete: SetupComplete | None = None
    server_content: ServerContent | None = None
    tool_call: ToolCall | None = None
    tool_call_cancellation: ToolCallCancellation | None = None
    usage_metadata: UsageMetadata | None = None
    go_away: GoAway | None = None
    session_resumption_update: SessionResumptionUpdate | None = None
    voice_activity: VoiceActivity | None = None


def kind(message: ServerMessage) -> str:
    """Return what a frame holds, as the record of a connection counts it."""
    fields = message.__struct_fields__
    return "+".join(name for name in fields if getattr(message, name) is not None)


def duration(seconds: float) -> str:
    """Return a duration as proto3 JSON writes it: "50s", "9.500s"."""
    return f"{seconds:.0f}s" if seconds == int(seconds) else f"{seconds:.3f}s"
