"""What a client may send to OpenAI Realtime (GA): the eleven client events and what they hold.

Everything is refused that the service's types do not name. `UNSET` is an absent field, None a null.
Source: the Realtime API's reference, client events.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeVar

import msgspec
from msgspec import UNSET, Meta, UnsetType

Text = str | UnsetType
Flag = bool | UnsetType
Modalities = list[Literal["text", "audio"]] | UnsetType
MaxTokens = Annotated[int, Meta(ge=1, le=4096)] | Literal["inf"]
Status = Literal["completed", "incomplete", "in_progress"] | UnsetType
Tokens = Annotated[int, Meta(ge=0)]


class Strict(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A JSON object without room for anything else."""


class Pcm(Strict, frozen=True, kw_only=True, tag_field="type", tag="audio/pcm"):
    """s16le, mono."""

    rate: Literal[24000] = 24000


class Pcmu(Strict, frozen=True, kw_only=True, tag_field="type", tag="audio/pcmu"):
    """G.711 mu-law, 8 kHz."""


class Pcma(Strict, frozen=True, kw_only=True, tag_field="type", tag="audio/pcma"):
    """G.711 A-law, 8 kHz."""


Format = Pcm | Pcmu | Pcma


class NoiseReduction(Strict, frozen=True, kw_only=True):
    """`audio.input.noise_reduction`."""

    type: Literal["near_field", "far_field"]
    strength: Annotated[float, Meta(ge=0, le=1)] | UnsetType = UNSET


class Transcription(Strict, frozen=True, kw_only=True):
    """`audio.input.transcription`."""

    model: Text = UNSET
    language: Text = UNSET
    prompt: Text = UNSET
    keywords: list[str] | UnsetType = UNSET
    languages: list[str] | UnsetType = UNSET
    delay: Literal["minimal", "low", "medium", "high", "xhigh"] | UnsetType = UNSET


class ServerVad(Strict, frozen=True, kw_only=True, tag_field="type", tag="server_vad"):
    """Turns by silence."""

    threshold: Annotated[float, Meta(ge=0, le=1)] = 0.5
    prefix_padding_ms: Tokens = 300
    silence_duration_ms: Tokens = 500
    create_response: bool = True
    interrupt_response: bool = True
    idle_timeout_ms: Annotated[int, Meta(ge=5000, le=30000)] | None = None


class SemanticVad(Strict, frozen=True, kw_only=True, tag_field="type", tag="semantic_vad"):
    """Turns by what was said."""

    eagerness: Literal["auto", "low", "medium", "high"] = "auto"
    create_response: bool = True
    interrupt_response: bool = True


TurnDetection = ServerVad | SemanticVad


class Input(Strict, frozen=True, kw_only=True):
    """`audio.input`; null switches off what can be off."""

    format: Format | UnsetType = UNSET
    noise_reduction: NoiseReduction | None | UnsetType = UNSET
    transcription: Transcription | None | UnsetType = UNSET
    turn_detection: TurnDetection | None | UnsetType = UNSET


class VoiceId(Strict, frozen=True, kw_only=True):
    """A voice of one's own."""

    id: str


class Output(Strict, frozen=True, kw_only=True):
    """`audio.output`."""

    format: Format | UnsetType = UNSET
    voice: str | VoiceId | UnsetType = UNSET
    speed: Annotated[float, Meta(ge=0.25, le=1.5)] | UnsetType = UNSET


class Audio(Strict, frozen=True, kw_only=True):
    """`audio`."""

    input: Input | UnsetType = UNSET
    output: Output | UnsetType = UNSET


class FunctionTool(Strict, frozen=True, kw_only=True, tag_field="type", tag="function"):
    """A tool of the client's, flat."""

    name: Annotated[str, Meta(pattern=r"^[a-zA-Z0-9_-]{1,64}$")]
    description: Text = UNSET
    parameters: dict[str, Any] | UnsetType = UNSET


class McpTool(Strict, frozen=True, kw_only=True, tag_field="type", tag="mcp"):
    """A tool server that the service calls."""

    server_label: str
    server_url: Text = UNSET
    connector_id: Text = UNSET
    tunnel_id: Text = UNSET
    authorization: Text = UNSET
    headers: dict[str, str] | None | UnsetType = UNSET
    allowed_tools: Any = UNSET
    allowed_callers: Any = UNSET
    require_approval: Any = UNSET
    server_description: Text = UNSET
    defer_loading: Flag = UNSET


class ChosenFunction(Strict, frozen=True, kw_only=True, tag_field="type", tag="function"):
    """`tool_choice`: this function."""

    name: str


class ChosenMcp(Strict, frozen=True, kw_only=True, tag_field="type", tag="mcp"):
    """`tool_choice`: this server's tool."""

    server_label: str
    name: str | None | UnsetType = UNSET


ToolChoice = Literal["none", "auto", "required"] | ChosenFunction | ChosenMcp


class Reasoning(Strict, frozen=True, kw_only=True):
    """How much a reasoning model thinks."""

    effort: Literal["minimal", "low", "medium", "high", "xhigh"] | UnsetType = UNSET


class TokenLimits(Strict, frozen=True, kw_only=True):
    """`truncation.token_limits`."""

    post_instructions: Tokens | UnsetType = UNSET


class RetentionRatio(Strict, frozen=True, kw_only=True, tag_field="type", tag="retention_ratio"):
    """Cut the context to this share of what fits."""

    retention_ratio: Annotated[float, Meta(ge=0, le=1)]
    token_limits: TokenLimits | UnsetType = UNSET


class Tracing(Strict, frozen=True, kw_only=True):
    """`tracing`."""

    workflow_name: Text = UNSET
    group_id: Text = UNSET
    metadata: dict[str, Any] | UnsetType = UNSET


class Prompt(Strict, frozen=True, kw_only=True):
    """A prompt stored at the service."""

    id: str
    version: str | None | UnsetType = UNSET
    variables: dict[str, Any] | None | UnsetType = UNSET


class Config(Strict, frozen=True, kw_only=True):
    """`session` of session.update: what is present changes."""

    type: Literal["realtime"]
    model: Text = UNSET
    output_modalities: Modalities = UNSET
    instructions: Text = UNSET
    max_output_tokens: MaxTokens | UnsetType = UNSET
    tools: list[FunctionTool | McpTool] | UnsetType = UNSET
    tool_choice: ToolChoice | UnsetType = UNSET
    parallel_tool_calls: Flag = UNSET
    reasoning: Reasoning | UnsetType = UNSET
    truncation: Literal["auto", "disabled"] | RetentionRatio | UnsetType = UNSET
    tracing: Literal["auto"] | Tracing | None | UnsetType = UNSET
    include: list[Literal["item.input_audio_transcription.logprobs"]] | None | UnsetType = UNSET
    prompt: Prompt | None | UnsetType = UNSET
    audio: Audio | UnsetType = UNSET


class Part(Strict, frozen=True, kw_only=True):
    """One part of a message's content."""

    type: Literal["input_text", "input_audio", "input_image", "output_text", "output_audio"]
    text: Text = UNSET
    audio: Text = UNSET
    transcript: Text = UNSET
    image_url: Text = UNSET
    detail: Literal["auto", "low", "high"] | UnsetType = UNSET


Identity = Annotated[str, Meta(max_length=32)] | UnsetType


class Message(Strict, frozen=True, kw_only=True, tag_field="type", tag="message"):
    """Something said or shown."""

    role: Literal["user", "assistant", "system"]
    content: list[Part]
    id: Identity = UNSET
    object: Literal["realtime.item"] | UnsetType = UNSET
    status: Status = UNSET


class FunctionCall(Strict, frozen=True, kw_only=True, tag_field="type", tag="function_call"):
    """A call of a tool, from an earlier conversation."""

    name: str
    arguments: str
    call_id: Identity = UNSET
    id: Identity = UNSET
    object: Literal["realtime.item"] | UnsetType = UNSET
    status: Status = UNSET


class FunctionCallOutput(
    Strict, frozen=True, kw_only=True, tag_field="type", tag="function_call_output"
):
    """What a tool answered."""

    call_id: Annotated[str, Meta(max_length=32)]
    output: str
    id: Identity = UNSET
    object: Literal["realtime.item"] | UnsetType = UNSET
    status: Status = UNSET


class ApprovalResponse(
    Strict, frozen=True, kw_only=True, tag_field="type", tag="mcp_approval_response"
):
    """Whether a tool server's tool may run."""

    id: str
    approval_request_id: str
    approve: bool
    reason: str | None | UnsetType = UNSET


NewItem = Message | FunctionCall | FunctionCallOutput | ApprovalResponse


class ReplyOutput(Strict, frozen=True, kw_only=True):
    """`response.audio.output`."""

    format: Format | UnsetType = UNSET
    voice: str | VoiceId | UnsetType = UNSET


class ReplyAudio(Strict, frozen=True, kw_only=True):
    """`response.audio`."""

    output: ReplyOutput | UnsetType = UNSET


class ReplyConfig(Strict, frozen=True, kw_only=True):
    """`response` of response.create."""

    output_modalities: Modalities = UNSET
    instructions: Text = UNSET
    tools: list[FunctionTool | McpTool] | UnsetType = UNSET
    tool_choice: ToolChoice | UnsetType = UNSET
    max_output_tokens: MaxTokens | UnsetType = UNSET
    metadata: dict[str, str] | None | UnsetType = UNSET
    conversation: Literal["auto", "none"] | UnsetType = UNSET
    input: list[Any] | UnsetType = UNSET
    audio: ReplyAudio | UnsetType = UNSET
    reasoning: Reasoning | UnsetType = UNSET
    parallel_tool_calls: Flag = UNSET
    prompt: Prompt | None | UnsetType = UNSET


class Event(Strict, frozen=True, kw_only=True, tag_field="type"):
    """What every client event may carry."""

    event_id: Annotated[str, Meta(max_length=512)] | UnsetType = UNSET


class SessionUpdate(Event, frozen=True, kw_only=True, tag="session.update"):
    """Change the session."""

    session: Config


class Append(Event, frozen=True, kw_only=True, tag="input_audio_buffer.append"):
    """Audio, base64."""

    audio: str


class Commit(Event, frozen=True, kw_only=True, tag="input_audio_buffer.commit"):
    """The audio so far is the user's turn."""


class Clear(Event, frozen=True, kw_only=True, tag="input_audio_buffer.clear"):
    """Forget the audio so far."""


class ItemCreate(Event, frozen=True, kw_only=True, tag="conversation.item.create"):
    """Put an item into the conversation; `previous_item_id` null = at its end, "root" = first."""

    item: NewItem
    previous_item_id: str | None | UnsetType = UNSET


class ItemDelete(Event, frozen=True, kw_only=True, tag="conversation.item.delete"):
    """Take an item out."""

    item_id: str


class ItemRetrieve(Event, frozen=True, kw_only=True, tag="conversation.item.retrieve"):
    """Ask for an item."""

    item_id: str


class ItemTruncate(Event, frozen=True, kw_only=True, tag="conversation.item.truncate"):
    """Cut what the user did not hear off a reply."""

    item_id: str
    content_index: Annotated[int, Meta(ge=0)]
    audio_end_ms: Annotated[int, Meta(ge=0)]


class ReplyCreate(Event, frozen=True, kw_only=True, tag="response.create"):
    """Ask for a reply."""

    response: ReplyConfig | UnsetType = UNSET


class ReplyCancel(Event, frozen=True, kw_only=True, tag="response.cancel"):
    """Stop a reply."""

    response_id: Text = UNSET


class OutputClear(Event, frozen=True, kw_only=True, tag="output_audio_buffer.clear"):
    """WebRTC and SIP only."""


ClientEvent = (
    SessionUpdate
    | Append
    | Commit
    | Clear
    | ItemCreate
    | ItemDelete
    | ItemRetrieve
    | ItemTruncate
    | ReplyCreate
    | ReplyCancel
    | OutputClear
)

S = TypeVar("S", bound=Strict)
_MERGED = ("audio", "input", "output")


def merged(old: S, new: S) -> S:
    """Return `old` with what `new` says; `audio` is merged, everything else is replaced."""
    changes = {}
    for field in msgspec.structs.fields(new):
        before, after = getattr(old, field.name), getattr(new, field.name)
        if after is UNSET:
            continue
        merging = field.name in _MERGED and before is not UNSET
        changes[field.name] = merged(before, after) if merging else after
    return msgspec.structs.replace(old, **changes)


def defaults(model: str) -> Config:
    """Return a session as the service makes it before the client said anything."""
    return Config(
        type="realtime",
        model=model,
        output_modalities=["audio"],
        instructions="You are a helpful voice of a stand-in.",
        max_output_tokens="inf",
        tools=[],
        tool_choice="auto",
        truncation="auto",
        tracing=None,
        include=None,
        prompt=None,
        audio=Audio(
            input=Input(
                format=Pcm(), noise_reduction=None, transcription=None, turn_detection=ServerVad()
            ),
            output=Output(format=Pcm(), voice="marin", speed=1.0),
        ),
    )
