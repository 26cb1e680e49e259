"""The messages of Gemini Live that a client sends: names and types; the rules are elsewhere.

Source: wire reference 1.2, fields of the Developer API. A field that only another version of the
API knows is here too; `gemini_rules` says which version takes it.
"""

from __future__ import annotations

from enum import Enum
from typing import Any

from voiced.emulators.protojson import Message


class Modality(Enum):
    """What a reply may be."""

    MODALITY_UNSPECIFIED = "MODALITY_UNSPECIFIED"
    TEXT = "TEXT"
    IMAGE = "IMAGE"
    AUDIO = "AUDIO"
    VIDEO = "VIDEO"


class MediaResolution(Enum):
    """How closely images are looked at."""

    MEDIA_RESOLUTION_UNSPECIFIED = "MEDIA_RESOLUTION_UNSPECIFIED"
    MEDIA_RESOLUTION_LOW = "MEDIA_RESOLUTION_LOW"
    MEDIA_RESOLUTION_MEDIUM = "MEDIA_RESOLUTION_MEDIUM"
    MEDIA_RESOLUTION_HIGH = "MEDIA_RESOLUTION_HIGH"


class ThinkingLevel(Enum):
    """How much is thought before the reply."""

    THINKING_LEVEL_UNSPECIFIED = "THINKING_LEVEL_UNSPECIFIED"
    MINIMAL = "MINIMAL"
    LOW = "LOW"
    MEDIUM = "MEDIUM"
    HIGH = "HIGH"
    XHIGH = "XHIGH"


class Behavior(Enum):
    """Whether the model waits for a function."""

    UNSPECIFIED = "UNSPECIFIED"
    BLOCKING = "BLOCKING"
    NON_BLOCKING = "NON_BLOCKING"


class Scheduling(Enum):
    """What a late function response does to the reply under way."""

    SCHEDULING_UNSPECIFIED = "SCHEDULING_UNSPECIFIED"
    SILENT = "SILENT"
    WHEN_IDLE = "WHEN_IDLE"
    INTERRUPT = "INTERRUPT"


class ActivityHandling(Enum):
    """Whether the visitor may cut in."""

    ACTIVITY_HANDLING_UNSPECIFIED = "ACTIVITY_HANDLING_UNSPECIFIED"
    START_OF_ACTIVITY_INTERRUPTS = "START_OF_ACTIVITY_INTERRUPTS"
    NO_INTERRUPTION = "NO_INTERRUPTION"


class TurnCoverage(Enum):
    """What of the input belongs to a turn."""

    TURN_COVERAGE_UNSPECIFIED = "TURN_COVERAGE_UNSPECIFIED"
    TURN_INCLUDES_ONLY_ACTIVITY = "TURN_INCLUDES_ONLY_ACTIVITY"
    TURN_INCLUDES_ALL_INPUT = "TURN_INCLUDES_ALL_INPUT"
    TURN_INCLUDES_AUDIO_ACTIVITY_AND_ALL_VIDEO = "TURN_INCLUDES_AUDIO_ACTIVITY_AND_ALL_VIDEO"


class StartSensitivity(Enum):
    """How easily speech is taken for a start."""

    START_SENSITIVITY_UNSPECIFIED = "START_SENSITIVITY_UNSPECIFIED"
    START_SENSITIVITY_HIGH = "START_SENSITIVITY_HIGH"
    START_SENSITIVITY_LOW = "START_SENSITIVITY_LOW"


class EndSensitivity(Enum):
    """How easily silence is taken for an end."""

    END_SENSITIVITY_UNSPECIFIED = "END_SENSITIVITY_UNSPECIFIED"
    END_SENSITIVITY_HIGH = "END_SENSITIVITY_HIGH"
    END_SENSITIVITY_LOW = "END_SENSITIVITY_LOW"


class SchemaType(Enum):
    """Type of a function parameter in Gemini's own schema."""

    TYPE_UNSPECIFIED = "TYPE_UNSPECIFIED"
    STRING = "STRING"
    NUMBER = "NUMBER"
    INTEGER = "INTEGER"
    BOOLEAN = "BOOLEAN"
    ARRAY = "ARRAY"
    OBJECT = "OBJECT"
    NULL = "NULL"


class HarmCategory(Enum):
    """What a safety setting is about."""

    HARM_CATEGORY_UNSPECIFIED = "HARM_CATEGORY_UNSPECIFIED"
    HARM_CATEGORY_HARASSMENT = "HARM_CATEGORY_HARASSMENT"
    HARM_CATEGORY_HATE_SPEECH = "HARM_CATEGORY_HATE_SPEECH"
    HARM_CATEGORY_SEXUALLY_EXPLICIT = "HARM_CATEGORY_SEXUALLY_EXPLICIT"
    HARM_CATEGORY_DANGEROUS_CONTENT = "HARM_CATEGORY_DANGEROUS_CONTENT"
    HARM_CATEGORY_CIVIC_INTEGRITY = "HARM_CATEGORY_CIVIC_INTEGRITY"


class HarmThreshold(Enum):
    """From where a safety setting blocks."""

    HARM_BLOCK_THRESHOLD_UNSPECIFIED = "HARM_BLOCK_THRESHOLD_UNSPECIFIED"
    BLOCK_LOW_AND_ABOVE = "BLOCK_LOW_AND_ABOVE"
    BLOCK_MEDIUM_AND_ABOVE = "BLOCK_MEDIUM_AND_ABOVE"
    BLOCK_ONLY_HIGH = "BLOCK_ONLY_HIGH"
    BLOCK_NONE = "BLOCK_NONE"
    OFF = "OFF"


class Empty(Message, frozen=True, kw_only=True):
    """A message whose presence is all it says."""


class Blob(Message, frozen=True, kw_only=True):
    """Bytes and what they are."""

    data: bytes | None = None
    mime_type: str | None = None
    display_name: str | None = None


class FunctionCall(Message, frozen=True, kw_only=True):
    """A call in the history."""

    id: str | None = None
    name: str | None = None
    args: dict[str, Any] | None = None


class FunctionResponse(Message, frozen=True, kw_only=True):
    """What a function returned."""

    id: str | None = None
    name: str | None = None
    response: dict[str, Any] | None = None
    scheduling: Scheduling | None = None
    will_continue: bool | None = None
    parts: list[Any] | None = None


class Part(Message, frozen=True, kw_only=True):
    """One piece of a turn: exactly one of its fields, but for the thought marks."""

    text: str | None = None
    inline_data: Blob | None = None
    function_call: FunctionCall | None = None
    function_response: FunctionResponse | None = None
    file_data: dict[str, Any] | None = None
    thought: bool | None = None
    thought_signature: bytes | None = None


class Content(Message, frozen=True, kw_only=True):
    """A turn, or an instruction."""

    role: str | None = None
    parts: list[Part] | None = None


class PrebuiltVoice(Message, frozen=True, kw_only=True):
    """A voice by its name."""

    voice_name: str | None = None


class VoiceConfig(Message, frozen=True, kw_only=True):
    """Which voice."""

    prebuilt_voice_config: PrebuiltVoice | None = None


class SpeechConfig(Message, frozen=True, kw_only=True):
    """How the reply sounds."""

    voice_config: VoiceConfig | None = None
    language_code: str | None = None


class ThinkingConfig(Message, frozen=True, kw_only=True):
    """How much is thought."""

    include_thoughts: bool | None = None
    thinking_budget: int | None = None
    thinking_level: ThinkingLevel | None = None


class TranslationConfig(Message, frozen=True, kw_only=True):
    """Into which language the reply goes."""

    echo_target_language: bool | None = None
    target_language_code: str | None = None


class GenerationConfig(Message, frozen=True, kw_only=True):
    """How replies are made."""

    response_modalities: list[Modality] | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: float | None = None
    candidate_count: int | None = None
    max_output_tokens: int | None = None
    seed: int | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    stop_sequences: list[str] | None = None
    media_resolution: MediaResolution | None = None
    speech_config: SpeechConfig | None = None
    thinking_config: ThinkingConfig | None = None
    enable_affective_dialog: bool | None = None
    translation_config: TranslationConfig | None = None


class Schema(Message, frozen=True, kw_only=True):
    """A function's parameters in Gemini's own schema."""

    type: SchemaType | None = None
    title: str | None = None
    description: str | None = None
    format: str | None = None
    pattern: str | None = None
    ref: str | None = None
    nullable: bool | None = None
    enum: list[str] | None = None
    items: Schema | None = None
    properties: dict[str, Schema] | None = None
    required: list[str] | None = None
    property_ordering: list[str] | None = None
    any_of: list[Schema] | None = None
    min_items: int | None = None
    max_items: int | None = None
    min_length: int | None = None
    max_length: int | None = None
    min_properties: int | None = None
    max_properties: int | None = None
    minimum: float | None = None
    maximum: float | None = None
    default: Any = None
    example: Any = None


class FunctionDeclaration(Message, frozen=True, kw_only=True):
    """A function that the model may call."""

    name: str | None = None
    description: str | None = None
    behavior: Behavior | None = None
    parameters: Schema | None = None
    parameters_json_schema: Any = None
    response: Schema | None = None
    response_json_schema: Any = None


class Tool(Message, frozen=True, kw_only=True):
    """Functions, or one built-in tool."""

    function_declarations: list[FunctionDeclaration] | None = None
    google_search: dict[str, Any] | None = None
    code_execution: dict[str, Any] | None = None
    url_context: dict[str, Any] | None = None
    google_maps: dict[str, Any] | None = None
    google_search_retrieval: dict[str, Any] | None = None
    computer_use: dict[str, Any] | None = None
    file_search: dict[str, Any] | None = None


class ActivityDetection(Message, frozen=True, kw_only=True):
    """How the service finds the turns, or that it does not."""

    disabled: bool | None = None
    start_of_speech_sensitivity: StartSensitivity | None = None
    end_of_speech_sensitivity: EndSensitivity | None = None
    prefix_padding_ms: int | None = None
    silence_duration_ms: int | None = None


class RealtimeInputConfig(Message, frozen=True, kw_only=True):
    """How input becomes turns."""

    automatic_activity_detection: ActivityDetection | None = None
    activity_handling: ActivityHandling | None = None
    turn_coverage: TurnCoverage | None = None
    interim_transcript_timestamp_enabled: bool | None = None


class SessionResumption(Message, frozen=True, kw_only=True):
    """Wishes for handles; `handle` continues a conversation."""

    handle: str | None = None
    transparent: bool | None = None


class SlidingWindow(Message, frozen=True, kw_only=True):
    """What is left after compression."""

    target_tokens: int | None = None


class Compression(Message, frozen=True, kw_only=True):
    """When the context is cut."""

    trigger_tokens: int | None = None
    sliding_window: SlidingWindow | None = None


class Transcription(Message, frozen=True, kw_only=True):
    """How speech is written down."""

    language_codes: list[str] | None = None
    custom_vocabulary: list[str] | None = None
    adaptation_phrases: list[str] | None = None
    word_timestamp: bool | None = None
    diarization: bool | None = None
    mode: str | None = None
    language_auto: dict[str, Any] | None = None
    language_hints: dict[str, Any] | None = None


class HistoryConfig(Message, frozen=True, kw_only=True):
    """Whether the first clientContent is history."""

    initial_history_in_client_content: bool | None = None


class Proactivity(Message, frozen=True, kw_only=True):
    """Whether the model may stay silent."""

    proactive_audio: bool | None = None
    proactive_video: bool | None = None


class SafetySetting(Message, frozen=True, kw_only=True):
    """What is blocked."""

    category: HarmCategory | None = None
    threshold: HarmThreshold | None = None


class Setup(Message, frozen=True, kw_only=True):
    """The first message, and only the first."""

    model: str | None = None
    generation_config: GenerationConfig | None = None
    system_instruction: Content | None = None
    tools: list[Tool] | None = None
    realtime_input_config: RealtimeInputConfig | None = None
    session_resumption: SessionResumption | None = None
    context_window_compression: Compression | None = None
    input_audio_transcription: Transcription | None = None
    output_audio_transcription: Transcription | None = None
    history_config: HistoryConfig | None = None
    safety_settings: list[SafetySetting] | None = None
    labels: dict[str, str] | None = None
    proactivity: Proactivity | None = None
    avatar_config: dict[str, Any] | None = None


class ClientContent(Message, frozen=True, kw_only=True):
    """Turns for the context; complete ones are answered."""

    turns: list[Content] | None = None
    turn_complete: bool | None = None


class RealtimeInput(Message, frozen=True, kw_only=True):
    """What just happens: exactly one field a frame."""

    audio: Blob | None = None
    video: Blob | None = None
    text: str | None = None
    activity_start: Empty | None = None
    activity_end: Empty | None = None
    audio_stream_end: bool | None = None
    media_chunks: list[Blob] | None = None


class ToolResponse(Message, frozen=True, kw_only=True):
    """What functions returned."""

    function_responses: list[FunctionResponse] | None = None


class ContextTools(Message, frozen=True, kw_only=True):
    """The tools from now on; none clears them."""

    tools: list[Tool] | None = None


class ContextUpdate(Message, frozen=True, kw_only=True):
    """A change of the set-up on an open socket."""

    system_instruction: Content | None = None
    tools: ContextTools | None = None


class ClientMessage(Message, frozen=True, kw_only=True):
    """A frame: exactly one field."""

    setup: Setup | None = None
    client_content: ClientContent | None = None
    realtime_input: RealtimeInput | None = None
    tool_response: ToolResponse | None = None
    context_update: ContextUpdate | None = None
