"""What a client may send to xAI's Speech to Speech API: nine client events and what they hold.

The skeleton is OpenAI's; voice and turn detection stand at the top of the session.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from msgspec import UNSET, Meta, UnsetType

from voiced.emulators.openai_wire import Strict, Text

RATES = Literal[8000, 16000, 22050, 24000, 32000, 44100, 48000]
Few = Annotated[list[str], Meta(max_length=5)]
Handles = Annotated[list[str], Meta(max_length=20)]

IGNORED: Final = {
    "output_modalities": "it always speaks",
    "modalities": "it always speaks",
    "max_output_tokens": "there is no limit",
    "parallel_tool_calls": "calls are parallel as the model likes",
    "model": "the model stands in the address",
    "type": "the schema has no such field",
    "tool_choice": "the schema has no such field",
    "noise_reduction": "the schema has no such field",
    "truncation": "the schema has no such field",
    "temperature": "the schema has no such field",
}
"""Fields of a session that are accepted and do nothing, and why."""


class Pcm(Strict, frozen=True, kw_only=True, tag_field="type", tag="audio/pcm"):
    """s16le, mono."""

    rate: RATES = 24000


class Pcmu(Strict, frozen=True, kw_only=True, tag_field="type", tag="audio/pcmu"):
    """G.711 mu-law."""

    rate: Literal[8000] = 8000


class Pcma(Strict, frozen=True, kw_only=True, tag_field="type", tag="audio/pcma"):
    """G.711 A-law."""

    rate: Literal[8000] = 8000


Format = Pcm | Pcmu | Pcma
Transport = Literal["json", "binary"]


class ServerVad(Strict, frozen=True, kw_only=True, tag_field="type", tag="server_vad"):
    """Turns by silence; there is no other detection."""

    threshold: Annotated[float, Meta(ge=0.1, le=0.9)] = 0.85
    silence_duration_ms: Annotated[int, Meta(ge=0, le=10_000)] = 600
    prefix_padding_ms: Annotated[int, Meta(ge=0, le=10_000)] = 333
    idle_timeout_ms: Annotated[int, Meta(ge=0)] | None | UnsetType = UNSET
    create_response: bool | UnsetType = UNSET
    interrupt_response: bool | UnsetType = UNSET


class Transcription(Strict, frozen=True, kw_only=True):
    """`audio.input.transcription`."""

    model: Text = UNSET
    language_hint: Text = UNSET
    keyterms: (
        Annotated[list[Annotated[str, Meta(max_length=50)]], Meta(max_length=100)] | UnsetType
    ) = UNSET


class Input(Strict, frozen=True, kw_only=True):
    """`audio.input`."""

    format: Format | UnsetType = UNSET
    transport: Transport | UnsetType = UNSET
    transcription: Transcription | None | UnsetType = UNSET


class Output(Strict, frozen=True, kw_only=True):
    """`audio.output`."""

    format: Format | UnsetType = UNSET
    transport: Transport | UnsetType = UNSET
    speed: Annotated[float, Meta(ge=0.7, le=1.5)] | UnsetType = UNSET


class Audio(Strict, frozen=True, kw_only=True):
    """`audio`."""

    input: Input | UnsetType = UNSET
    output: Output | UnsetType = UNSET


class Reasoning(Strict, frozen=True, kw_only=True):
    """How much the model thinks."""

    effort: Literal["high", "none"]


class Resumption(Strict, frozen=True, kw_only=True):
    """Whether the conversation is kept for a later connection."""

    enabled: bool


class Function(Strict, frozen=True, kw_only=True):
    """A function as the official schema nests it."""

    name: str
    description: Text = UNSET
    parameters: dict[str, Any] | UnsetType = UNSET


class FunctionTool(Strict, frozen=True, kw_only=True, tag_field="type", tag="function"):
    """A tool of the client's, flat or nested."""

    name: Text = UNSET
    description: Text = UNSET
    parameters: dict[str, Any] | UnsetType = UNSET
    function: Function | UnsetType = UNSET

    @property
    def called(self) -> str:
        """Its name, wherever it stands; "" = it has none."""
        if isinstance(self.function, Function):
            return self.function.name
        return self.name if isinstance(self.name, str) else ""


class WebSearch(Strict, frozen=True, kw_only=True, tag_field="type", tag="web_search"):
    """Built in: the service searches the web."""

    allowed_domains: Few | UnsetType = UNSET
    excluded_domains: Few | UnsetType = UNSET


class XSearch(Strict, frozen=True, kw_only=True, tag_field="type", tag="x_search"):
    """Built in: the service searches X."""

    allowed_x_handles: Handles | UnsetType = UNSET
    excluded_x_handles: Handles | UnsetType = UNSET
    from_date: Text = UNSET
    to_date: Text = UNSET


class FileSearch(Strict, frozen=True, kw_only=True, tag_field="type", tag="file_search"):
    """Built in: the service searches collections."""

    vector_store_ids: list[str]
    max_num_results: Annotated[int, Meta(ge=1)] | UnsetType = UNSET


class Mcp(Strict, frozen=True, kw_only=True, tag_field="type", tag="mcp"):
    """A tool server that the service calls."""

    server_url: str
    server_label: str
    server_description: Text = UNSET
    allowed_tools: list[str] | None | UnsetType = UNSET
    authorization: Text = UNSET
    headers: dict[str, str] | None | UnsetType = UNSET


Tool = FunctionTool | WebSearch | XSearch | FileSearch | Mcp
RESERVED: Final = {
    "web_search": WebSearch,
    "browse_page": WebSearch,
    "x_keyword_search": XSearch,
    "x_semantic_search": XSearch,
    "x_user_search": XSearch,
    "x_thread_fetch": XSearch,
    "collections_search": FileSearch,
    "file_search": FileSearch,
}
"""Names of functions that collide with a built-in tool, where that is on."""


class Config(Strict, frozen=True, kw_only=True):
    """`session` of session.update: what is present changes."""

    instructions: Text = UNSET
    voice: Text = UNSET
    turn_detection: ServerVad | None | UnsetType = UNSET
    reasoning: Reasoning | UnsetType = UNSET
    resumption: Resumption | UnsetType = UNSET
    replace: dict[str, str] | UnsetType = UNSET
    audio: Audio | UnsetType = UNSET
    tools: list[Tool] | UnsetType = UNSET


class Part(Strict, frozen=True, kw_only=True):
    """One part of a message's content."""

    type: Literal["input_text", "text", "output_text", "input_audio", "input_image"]
    text: Text = UNSET
    audio: Text = UNSET
    transcript: Text = UNSET
    image_url: Text = UNSET
    detail: Text = UNSET


class Message(Strict, frozen=True, kw_only=True, tag_field="type", tag="message"):
    """Something said."""

    role: Literal["user", "assistant", "system"]
    content: Annotated[list[Part], Meta(min_length=1)]
    id: Text = UNSET
    object: Text = UNSET
    status: Text = UNSET


class FunctionCallOutput(
    Strict, frozen=True, kw_only=True, tag_field="type", tag="function_call_output"
):
    """What a tool answered."""

    call_id: str
    output: str
    id: Text = UNSET
    object: Text = UNSET
    status: Text = UNSET


class ForceMessage(Strict, frozen=True, kw_only=True, tag_field="type", tag="force_message"):
    """Words that are spoken as they are, without the model."""

    content: Annotated[list[Part], Meta(min_length=1)]
    role: Literal["assistant"] = "assistant"
    interruptible: bool = True
    id: Text = UNSET


NewItem = Message | FunctionCallOutput | ForceMessage


class ReplyConfig(Strict, frozen=True, kw_only=True):
    """`response` of response.create."""

    modalities: list[str] | UnsetType = UNSET
    instructions: Text = UNSET
    metadata: dict[str, str] | None | UnsetType = UNSET


class Event(Strict, frozen=True, kw_only=True, tag_field="type"):
    """What every client event may carry."""

    event_id: Text = UNSET


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
    """Put an item into the conversation."""

    item: NewItem
    previous_item_id: str | None | UnsetType = UNSET


class ItemDelete(Event, frozen=True, kw_only=True, tag="conversation.item.delete"):
    """Take an item out."""

    item_id: str


class ItemTruncate(Event, frozen=True, kw_only=True, tag="conversation.item.truncate"):
    """Cut what the user did not hear off a reply."""

    item_id: str
    content_index: Annotated[int, Meta(ge=0)] = 0
    audio_end_ms: Annotated[int, Meta(ge=0)]


class ReplyCreate(Event, frozen=True, kw_only=True, tag="response.create"):
    """Ask for a reply."""

    response: ReplyConfig | UnsetType = UNSET


class ReplyCancel(Event, frozen=True, kw_only=True, tag="response.cancel"):
    """Stop a reply."""

    response_id: Text = UNSET


ClientEvent = (
    SessionUpdate
    | Append
    | Commit
    | Clear
    | ItemCreate
    | ItemDelete
    | ItemTruncate
    | ReplyCreate
    | ReplyCancel
)


def defaults() -> Config:
    """Return a session as the service makes it before the client said anything."""
    return Config(
        instructions="",
        voice="eve",
        turn_detection=ServerVad(),
        reasoning=Reasoning(effort="high"),
        audio=Audio(
            input=Input(format=Pcm(), transport="json"),
            output=Output(format=Pcm(), transport="json", speed=1.0),
        ),
        tools=[],
    )
