"""The messages of Hume EVI, both ways: names and types.

Source: wire reference 2.2 (client) and 2.3 (service). All frames are text, told apart by `type`.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

SCORES = (
    "Admiration", "Adoration", "Aesthetic Appreciation", "Amusement", "Anger", "Anxiety", "Awe",
    "Awkwardness", "Boredom", "Calmness", "Concentration", "Confusion", "Contemplation", "Contempt",
    "Contentment", "Craving", "Desire", "Determination", "Disappointment", "Disgust", "Distress",
    "Doubt", "Ecstasy", "Embarrassment", "Empathic Pain", "Entrancement", "Envy", "Excitement",
    "Fear", "Guilt", "Horror", "Interest", "Joy", "Love", "Nostalgia", "Pain", "Pride",
    "Realization", "Relief", "Romance", "Sadness", "Satisfaction", "Shame", "Surprise (negative)",
    "Surprise (positive)", "Sympathy", "Tiredness", "Triumph",
)  # fmt: skip
"""The 48 dimensions of prosody."""


class _Record(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Part of a client's message."""


class Audio(_Record, frozen=True, kw_only=True):
    """What the raw audio is."""

    encoding: Literal["linear16"] = "linear16"
    sample_rate: int
    channels: int
    codec: str | None = None


class Context(_Record, frozen=True, kw_only=True):
    """Words put behind what the user says."""

    text: str
    type: Literal["persistent", "temporary"] | None = None


class Tool(_Record, frozen=True, kw_only=True):
    """A function of the client."""

    type: Literal["function"]
    name: str
    parameters: str
    """A JSON schema, as a string."""
    description: str | None = None
    fallback_content: str | None = None


class BuiltinTool(_Record, frozen=True, kw_only=True):
    """A function of the service."""

    name: Literal["web_search", "hang_up"]
    fallback_content: str | None = None


class Said(_Record, frozen=True, kw_only=True, tag_field="type"):
    """A client's message; any may name the client's own session."""

    custom_session_id: str | None = None


class SessionSettings(Said, frozen=True, kw_only=True, tag="session_settings"):
    """Changes of the settings; what is absent stays."""

    audio: Audio | None = None
    system_prompt: str | None = None
    voice_id: str | None = None
    context: Context | None = None
    tools: list[Tool] | None = None
    builtin_tools: list[BuiltinTool] | None = None
    variables: dict[str, str | float | bool] | None = None
    language_model_api_key: str | None = None
    metadata: dict[str, Any] | None = None


class AudioInput(Said, frozen=True, kw_only=True, tag="audio_input"):
    """Sound of the user."""

    data: str


class UserInput(Said, frozen=True, kw_only=True, tag="user_input"):
    """What the user typed."""

    text: str


class AssistantInput(Said, frozen=True, kw_only=True, tag="assistant_input"):
    """What the voice is to say, word for word."""

    text: str


class ToolResponse(Said, frozen=True, kw_only=True, tag="tool_response"):
    """What a function returned."""

    tool_call_id: str
    content: str
    tool_name: str | None = None
    tool_type: Literal["function", "builtin"] | None = None


class ToolError(Said, frozen=True, kw_only=True, tag="tool_error"):
    """That a function failed."""

    tool_call_id: str
    error: str
    code: str | None = None
    content: str | None = None
    level: Literal["warn"] | None = None
    tool_type: Literal["function", "builtin"] | None = None


class Pause(Said, frozen=True, kw_only=True, tag="pause_assistant_message"):
    """No answers from now on."""


class Resume(Said, frozen=True, kw_only=True, tag="resume_assistant_message"):
    """Answers again."""


ClientMessage = (
    SessionSettings
    | AudioInput
    | UserInput
    | AssistantInput
    | ToolResponse
    | ToolError
    | Pause
    | Resume
)


class Told(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", omit_defaults=True):
    """A message of the service; it names the client's own session where that has a name."""

    custom_session_id: str | None = None


class ChatMetadata(Told, frozen=True, kw_only=True, tag="chat_metadata"):
    """The first message: which chat this is."""

    chat_id: str
    chat_group_id: str
    """What `resumed_chat_group_id` takes."""
    request_id: str


class ChatMessage(msgspec.Struct, frozen=True, kw_only=True):
    """Words and whose they are."""

    role: Literal["user", "assistant"]
    content: str


class Prosody(msgspec.Struct, frozen=True, kw_only=True):
    """How something sounded."""

    scores: dict[str, float]


class Inference(msgspec.Struct, frozen=True, kw_only=True):
    """What was measured; null where there was no sound."""

    prosody: Prosody | None


class Interval(msgspec.Struct, frozen=True, kw_only=True):
    """Where in the audio, ms."""

    begin: int
    end: int


class UserMessage(Told, frozen=True, kw_only=True, tag="user_message"):
    """What the user said."""

    message: ChatMessage
    models: Inference
    time: Interval
    from_text: bool
    interim: bool
    language: str | None = None


class AssistantMessage(Told, frozen=True, kw_only=True, tag="assistant_message"):
    """A sentence of the answer."""

    id: str
    message: ChatMessage
    models: Inference
    from_text: bool
    is_quick_response: bool
    language: str | None = None


class AudioOutput(Told, frozen=True, kw_only=True, tag="audio_output"):
    """A piece of it as a whole WAV file."""

    id: str
    index: int
    data: str


class AssistantProsody(Told, frozen=True, kw_only=True, tag="assistant_prosody"):
    """How the voice sounded."""

    id: str
    models: Inference


class AssistantEnd(Told, frozen=True, kw_only=True, tag="assistant_end"):
    """The answer is over."""


class UserInterruption(Told, frozen=True, kw_only=True, tag="user_interruption"):
    """The user cut in: stop playing."""

    time: int
    """Unix ms."""


class ToolCall(Told, frozen=True, kw_only=True, tag="tool_call"):
    """A function that is to be called."""

    name: str
    parameters: str
    """JSON, as a string."""
    tool_call_id: str
    tool_type: Literal["function", "builtin"]
    response_required: bool


class ToldToolResponse(Told, frozen=True, kw_only=True, tag="tool_response"):
    """What a function of the service returned."""

    tool_call_id: str
    content: str
    tool_name: str
    tool_type: Literal["builtin"]


class ToldToolError(Told, frozen=True, kw_only=True, tag="tool_error"):
    """That a function of the service failed."""

    tool_call_id: str
    error: str
    content: str | None = None
    code: str | None = None
    level: Literal["warn"] | None = None
    tool_type: Literal["builtin"]


class ToldSettings(Told, frozen=True, kw_only=True, tag="session_settings"):
    """The settings as they are now."""

    audio: Audio | None = None
    system_prompt: str | None = None
    voice_id: str | None = None
    context: Context | None = None
    tools: list[Tool] | None = None
    builtin_tools: list[BuiltinTool] | None = None
    variables: dict[str, str | float | bool] | None = None
    metadata: dict[str, Any] | None = None


class Error(Told, frozen=True, kw_only=True, tag="error"):
    """Something is wrong."""

    code: str
    slug: str
    message: str
    request_id: str


ServerMessage = (
    ChatMetadata
    | UserMessage
    | AssistantMessage
    | AudioOutput
    | AssistantProsody
    | AssistantEnd
    | UserInterruption
    | ToolCall
    | ToldToolResponse
    | ToldToolError
    | ToldSettings
    | Error
)
