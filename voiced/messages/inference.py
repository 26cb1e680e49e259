"""The wire between the network process and the inference process.

A datagram-preserving local socket (`AF_UNIX`, `SOCK_SEQPACKET`) carries one message a packet: the
msgpack of a tagged struct, at most `MAX_PACKET` bytes. The network process speaks `ToInference`,
the inference process answers in `FromInference`. Every sample number is an absolute index into the
16 kHz stream of its conversation, counted from its `Open`.

Both ends of the socket outlive the processes that use them, so what an older process left in it is
still there for its successor: a new network process starts with `Hello` and ignores everything it
reads before the `Ready` that carries its generation; a new inference process says `Ready` unasked.
"""

from __future__ import annotations

from typing import Annotated, Final, TypeVar

import msgspec

MAX_PACKET: Final = 32 * 1024
"""Largest packet on the wire, bytes."""
INPUT_RATE: Final = 16_000
"""Rate of `Audio`, samples a second."""
OUTPUT_RATE: Final = 24_000
"""Rate of `AssistantAudio`, samples a second."""
MAX_AUDIO_BYTES: Final = 9_600
"""Largest `AssistantAudio.pcm`: 200 ms."""

Probability = Annotated[float, msgspec.Meta(ge=0.0, le=1.0)]
Milliseconds = Annotated[int, msgspec.Meta(ge=0, le=600_000)]
Pcm = Annotated[bytes, msgspec.Meta(max_length=30_000)]


class Record(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What messages are made of."""


class Settings(Record, frozen=True, kw_only=True):
    """How one conversation is held; `Update` replaces all of it, from the next turn on."""

    model: str = ""
    """What answers: "" or a persona's name, "smollm2", or the model name for `endpointurl`."""
    voice: str = ""
    """What speaks: "" (the packaged voice), "espeak", "espeak:<voice>" or the path of an .onnx."""
    languagecode: str = ""
    """Language of the visitors, as "en" or "en-US"; "" leaves it to the recogniser."""
    systemprompt: str = ""
    """Instructions for a language model; personas read their opening facts from it."""
    persona: str = ""
    """Path of a persona file; "" takes the packaged one that `model` names."""
    endpointurl: str = ""
    """Base of an OpenAI-compatible service, such as http://127.0.0.1:8080/v1; "" for none."""
    transcribe: bool = True
    """Whether `UserTranscript` is sent; turns are recognised and answered all the same."""
    turn_detection: bool = True
    """Whether speech in the stream starts and ends turns; False leaves that to `Activity` alone."""
    hangover_ms: Milliseconds = 480
    """Silence that ends a turn, ms."""
    threshold: Probability = 0.5
    """Speech probability from which a turn starts."""
    bargein: bool = True
    """Whether speech starts a turn while a reply is running or sounding."""
    speed: Annotated[float, msgspec.Meta(ge=0.5, le=2.0)] = 1.0
    """Pace of the voice; 1.0 is its own."""


class Row(Record, frozen=True, kw_only=True):
    """One row of the conversation so far."""

    role: str
    """user, assistant or system."""
    text: str


class Declaration(Record, frozen=True, kw_only=True):
    """A tool the conversation may call."""

    name: str
    description: str = ""
    parameters: str = "{}"
    """JSON Schema of the arguments."""
    blocking: bool = True
    """Whether the reply waits for the result."""


class Engine(Record, frozen=True, kw_only=True):
    """One engine of the inference process, as found at its start."""

    kind: str
    """vad, recogniser, speech or reply."""
    name: str
    available: bool
    sentence: str = ""
    """What is missing and what to do about it; "" where nothing is."""


# Network to inference.


class Hello(Record, frozen=True, kw_only=True, tag="hello"):
    """A new network process: every older conversation is dropped, and `Ready` answers."""

    generation: int


class Warm(Record, frozen=True, kw_only=True, tag="warm"):
    """Load the engines now, so that the first turn does not wait for them."""


class Open(Record, frozen=True, kw_only=True, tag="open"):
    """Start a conversation; one of the same name is dropped first."""

    conversation: str
    settings: Settings = Settings()
    rows: tuple[Row, ...] = ()
    """What was said before."""
    respond: bool = False
    """Whether the last user row waits for its answer."""


class Update(Record, frozen=True, kw_only=True, tag="update"):
    """New settings for a conversation."""

    conversation: str
    settings: Settings


class Close(Record, frozen=True, kw_only=True, tag="close"):
    """End a conversation; nothing more is said about it."""

    conversation: str


class Audio(Record, frozen=True, kw_only=True, tag="audio"):
    """The visitor's sound: int16 little-endian, mono, 16 kHz."""

    conversation: str
    pcm: Pcm


class Activity(Record, frozen=True, kw_only=True, tag="activity"):
    """An edge of push to talk: the turn starts, or ends and is committed, exactly here.

    "Here" is the number of samples sent so far. False ends a turn that speech had started, too.
    """

    conversation: str
    active: bool


class Text(Record, frozen=True, kw_only=True, tag="text"):
    """A user's turn in writing; it is answered."""

    conversation: str
    text: str


class Say(Record, frozen=True, kw_only=True, tag="say"):
    """Words to speak as they are."""

    conversation: str
    text: str


class Note(Record, frozen=True, kw_only=True, tag="note"):
    """Context without a reply."""

    conversation: str
    text: str


class Interrupt(Record, frozen=True, kw_only=True, tag="interrupt"):
    """Stop this response; what was heard of it stays in the conversation."""

    conversation: str
    response: str
    heard_ms: int


class Tools(Record, frozen=True, kw_only=True, tag="tools"):
    """The tools this conversation may call from now on."""

    conversation: str
    declarations: tuple[Declaration, ...]


class ToolResult(Record, frozen=True, kw_only=True, tag="tool_result"):
    """What came of a `ToolCall`."""

    conversation: str
    call_id: str
    ok: bool
    result: str


ToInference = (
    Hello
    | Warm
    | Open
    | Update
    | Close
    | Audio
    | Activity
    | Text
    | Say
    | Note
    | Interrupt
    | Tools
    | ToolResult
)


# Inference to network.


class Ready(Record, frozen=True, kw_only=True, tag="ready"):
    """The inference process is listening; no conversation is open."""

    generation: int
    """The `Hello` this answers; 0 where none came yet."""
    instance: int
    """Process id of the inference process: another one means every conversation is gone."""
    engines: tuple[Engine, ...]


class SpeechStarted(Record, frozen=True, kw_only=True, tag="speech_started"):
    """The visitor began to speak at this sample."""

    conversation: str
    sample: int


class SpeechEnded(Record, frozen=True, kw_only=True, tag="speech_ended"):
    """The visitor's turn is over; the speech in it ended at this sample."""

    conversation: str
    sample: int


class UserTranscript(Record, frozen=True, kw_only=True, tag="user_transcript"):
    """The whole turn so far; a final one is never empty."""

    conversation: str
    item: str
    text: str
    final: bool
    start_sample: int
    end_sample: int


class TurnDropped(Record, frozen=True, kw_only=True, tag="turn_dropped"):
    """There was nothing in this turn: noise, or silence. A partial transcript of it is void."""

    conversation: str
    item: str
    start_sample: int
    end_sample: int


class ResponseStarted(Record, frozen=True, kw_only=True, tag="response_started"):
    """A reply, or words to say, began."""

    conversation: str
    response: str


class AssistantTranscript(Record, frozen=True, kw_only=True, tag="assistant_transcript"):
    """Words about to be spoken, to be appended to the item's text."""

    conversation: str
    response: str
    item: str
    delta: str
    final: bool


class AssistantAudio(Record, frozen=True, kw_only=True, tag="assistant_audio"):
    """A chunk of the voice: int16 little-endian, mono, 24 kHz."""

    conversation: str
    response: str
    item: str
    pcm: Pcm
    text_until: int
    """Characters of the item's transcript spoken by the end of this chunk."""


class ResponseDone(Record, frozen=True, kw_only=True, tag="response_done"):
    """Nothing more of this response follows."""

    conversation: str
    response: str
    status: str
    """completed, cancelled or failed."""


class ToolCall(Record, frozen=True, kw_only=True, tag="tool_call"):
    """The reply engine wants a tool called; `ToolResult` answers."""

    conversation: str
    response: str
    call_id: str
    name: str
    arguments: str
    """JSON."""


class ToolCancelled(Record, frozen=True, kw_only=True, tag="tool_cancelled"):
    """The result of this call is no longer wanted."""

    conversation: str
    call_id: str


class Trouble(Record, frozen=True, kw_only=True, tag="trouble"):
    """Something is wrong, in a sentence for the operator."""

    conversation: str
    """"" where it concerns the whole process."""
    code: str
    sentence: str
    fatal: bool
    """Whether the conversation cannot go on until this is put right."""


FromInference = (
    Ready
    | SpeechStarted
    | SpeechEnded
    | UserTranscript
    | TurnDropped
    | ResponseStarted
    | AssistantTranscript
    | AssistantAudio
    | ResponseDone
    | ToolCall
    | ToolCancelled
    | Trouble
)

T = TypeVar("T")

_encoder = msgspec.msgpack.Encoder()
_to_inference: msgspec.msgpack.Decoder[ToInference] = msgspec.msgpack.Decoder(ToInference)
_from_inference: msgspec.msgpack.Decoder[FromInference] = msgspec.msgpack.Decoder(FromInference)


def encode(message: ToInference | FromInference) -> bytes:
    """Return the packet of a message.

    Raises:
        ValueError: the packet would be longer than `MAX_PACKET`; nothing was sent.
    """
    packet = _encoder.encode(message)
    if len(packet) > MAX_PACKET:
        raise ValueError(
            f"a {type(message).__name__} of {len(packet)} bytes is longer than a packet may be "
            f"({MAX_PACKET}); send it in parts"
        )
    return packet


def decode_to_inference(packet: bytes) -> ToInference:
    """Return the message in a packet from the network process.

    Raises:
        ValueError: the packet is no such message; the text says where it is wrong.
    """
    return _decode(_to_inference, packet)


def decode_from_inference(packet: bytes) -> FromInference:
    """Return the message in a packet from the inference process.

    Raises:
        ValueError: the packet is no such message; the text says where it is wrong.
    """
    return _decode(_from_inference, packet)


def _decode(decoder: msgspec.msgpack.Decoder[T], packet: bytes) -> T:
    if len(packet) > MAX_PACKET:
        raise ValueError(f"a packet of {len(packet)} bytes is longer than {MAX_PACKET}")
    try:
        return decoder.decode(packet)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        # The message of the error may quote the content; its first line names the place only.
        raise ValueError(f"not a message of this wire: {error}") from None
