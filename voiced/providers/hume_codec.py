"""What Hume EVI says and is told, as bytes: messages, the query, error codes. No socket.

Every frame is a JSON object with a `type`. Structs of the service take what they need and ignore
the rest, so that a new field hurts nobody; an unknown `type` is told apart from a broken frame.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence
from enum import Enum
from typing import NamedTuple, TypeAlias
from urllib.parse import quote, urlencode

import msgspec

from voiced.messages.network import ToolDeclaration

Variable: TypeAlias = bool | float | str

SCORES_KEPT = 128
"""Most prosody scores taken from one message; the service sends 48."""

# --- the 48 dimensions ------------------------------------------------------------------------

PROSODY = (
    "Admiration", "Adoration", "Aesthetic Appreciation", "Amusement", "Anger", "Anxiety", "Awe",
    "Awkwardness", "Boredom", "Calmness", "Concentration", "Confusion", "Contemplation", "Contempt",
    "Contentment", "Craving", "Desire", "Determination", "Disappointment", "Disgust", "Distress",
    "Doubt", "Ecstasy", "Embarrassment", "Empathic Pain", "Entrancement", "Envy", "Excitement",
    "Fear", "Guilt", "Horror", "Interest", "Joy", "Love", "Nostalgia", "Pain", "Pride",
    "Realization", "Relief", "Romance", "Sadness", "Satisfaction", "Shame", "Surprise (negative)",
    "Surprise (positive)", "Sympathy", "Tiredness", "Triumph",
)  # fmt: skip
"""The dimensions of EVI's prosody model, in the spelling of the wire."""

_NOT_IN_A_CHANNEL = re.compile(r"[^a-z0-9]+")


def slug(name: str) -> str:
    """Return a name as a channel spells it: `Surprise (negative)` is `surprise_negative`."""
    return _NOT_IN_A_CHANNEL.sub("_", name.lower()).strip("_")


AFFECT = {name: f"hume_evi_affect_{slug(name)}" for name in PROSODY}
"""Dimension -> channel."""


# --- what it is told --------------------------------------------------------------------------


class _Told(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", omit_defaults=True):
    pass


class AudioFormat(msgspec.Struct, frozen=True, kw_only=True):
    """Raw PCM, as `audio_input` carries it."""

    encoding: str = "linear16"
    sample_rate: int
    channels: int = 1


class Context(msgspec.Struct, frozen=True, kw_only=True):
    """Words laid behind the user's next message ("temporary") or behind each ("persistent")."""

    text: str
    type: str


class Function(msgspec.Struct, frozen=True, kw_only=True):
    """A tool that is executed here."""

    type: str = "function"
    name: str
    description: str
    parameters: str
    """JSON schema, as text."""


class Builtin(msgspec.Struct, frozen=True, kw_only=True):
    """A tool that the service executes: web_search or hang_up."""

    name: str


class SessionSettings(_Told, frozen=True, kw_only=True, tag="session_settings"):
    """Settings of this chat; what is left out stays as it is."""

    audio: AudioFormat | None = None
    system_prompt: str | None = None
    voice_id: str | None = None
    context: Context | None = None
    tools: list[Function] | None = None
    builtin_tools: list[Builtin] | None = None
    variables: dict[str, Variable] | None = None


class AudioInput(_Told, frozen=True, kw_only=True, tag="audio_input"):
    """A chunk of the microphone, base64."""

    data: str


class UserInput(_Told, frozen=True, kw_only=True, tag="user_input"):
    """The user's turn in writing."""

    text: str


class AssistantInput(_Told, frozen=True, kw_only=True, tag="assistant_input"):
    """Words to speak as they are."""

    text: str


class ToolResponse(_Told, frozen=True, kw_only=True, tag="tool_response"):
    """What a tool returned."""

    tool_call_id: str
    content: str
    tool_name: str | None = None
    tool_type: str | None = None


class ToolError(_Told, frozen=True, kw_only=True, tag="tool_error"):
    """That a tool failed; the model is shown `content`."""

    tool_call_id: str
    error: str
    content: str | None = None
    level: str | None = None
    tool_type: str | None = None


class PauseAssistant(_Told, frozen=True, kw_only=True, tag="pause_assistant_message"):
    """Listen and transcribe, but do not answer."""


class ResumeAssistant(_Told, frozen=True, kw_only=True, tag="resume_assistant_message"):
    """Answer again; the last message of a pause is answered, the others are remembered."""


ClientEvent: TypeAlias = (
    SessionSettings | AudioInput | UserInput | AssistantInput | ToolResponse | ToolError
    | PauseAssistant | ResumeAssistant
)  # fmt: skip

_encoder = msgspec.json.Encoder()


def encode(event: ClientEvent) -> bytes:
    """Return the text frame of an event."""
    return _encoder.encode(event)


def audio_input(chunk: bytes) -> AudioInput:
    """Return the event of a chunk: int16 little-endian mono."""
    return AudioInput(data=base64.b64encode(chunk).decode())


def functions(tools: Sequence[ToolDeclaration]) -> list[Function]:
    """Return tools as EVI declares them."""
    return [
        Function(name=tool.name, description=tool.description, parameters=tool.schema)
        for tool in tools
    ]


def variables(text: str) -> dict[str, Variable]:
    """Return the dynamic variables of a system prompt.

    Args:
        text: a JSON object of texts, numbers and booleans; "" = none.

    Raises:
        ValueError: it is none.
    """
    if not text.strip():
        return {}
    try:
        return msgspec.json.decode(text, type=dict[str, Variable])
    except (msgspec.MsgspecError, RecursionError, UnicodeError) as error:
        raise ValueError(
            'it must be a JSON object of texts, numbers and booleans, as {"name": "Ada"}: '
            f"{error}"
        ) from None


class Query(NamedTuple):
    """What the address of a chat says."""

    sample_rate: int
    config_id: str = ""
    config_version: int = 0
    """0 = the newest."""
    voice_id: str = ""
    resumed_chat_group_id: str = ""
    verbose_transcription: bool = True


URL = "wss://api.hume.ai/v0/evi/chat"


def address(query: Query) -> str:
    """Return the address of a chat; the key is not in it, it travels in a header."""
    settings = "session_settings[{}]".format
    pairs = [
        ("verbose_transcription", "true" if query.verbose_transcription else "false"),
        (settings("audio][encoding"), "linear16"),
        (settings("audio][sample_rate"), str(query.sample_rate)),
        (settings("audio][channels"), "1"),
    ]
    if query.config_id:
        pairs.append(("config_id", query.config_id))
        if query.config_version > 0:
            pairs.append(("config_version", str(query.config_version)))
    if query.voice_id:
        pairs.append((settings("voice_id"), query.voice_id))
    if query.resumed_chat_group_id:
        pairs.append(("resumed_chat_group_id", query.resumed_chat_group_id))
    return f"{URL}?{urlencode(pairs, quote_via=quote)}"


# --- what it says -----------------------------------------------------------------------------


class _Said(msgspec.Struct, frozen=True, kw_only=True, tag_field="type"):
    pass


class Words(msgspec.Struct, frozen=True, kw_only=True):
    """A message's words; None where it is a tool's."""

    content: str | None = None


class Prosody(msgspec.Struct, frozen=True, kw_only=True):
    """Scores of the dimensions, 0 to 1."""

    scores: dict[str, float] = {}


class Models(msgspec.Struct, frozen=True, kw_only=True):
    """What the models measured; nothing for typed and interim messages."""

    prosody: Prosody | None = None


class Interval(msgspec.Struct, frozen=True, kw_only=True):
    """Where a message lies in the audio sent, ms."""

    begin: int = 0
    end: int = 0


class ChatMetadata(_Said, frozen=True, kw_only=True, tag="chat_metadata"):
    """The first frame. `chat_group_id` is what the next connection resumes by."""

    chat_group_id: str
    chat_id: str = ""


class UserMessage(_Said, frozen=True, kw_only=True, tag="user_message"):
    """The user's turn as transcribed; an interim one is replaced by the next."""

    message: Words
    interim: bool = False
    from_text: bool = False
    time: Interval = Interval()
    models: Models | None = None


class AssistantMessage(_Said, frozen=True, kw_only=True, tag="assistant_message"):
    """A message of the reply; its audio comes under the same id."""

    message: Words
    id: str | None = None
    from_text: bool = False


class AudioOutput(_Said, frozen=True, kw_only=True, tag="audio_output"):
    """A chunk of a message's audio: a whole WAV file, base64."""

    id: str
    data: str


class AssistantProsody(_Said, frozen=True, kw_only=True, tag="assistant_prosody"):
    """How EVI's own voice sounds."""

    models: Models
    id: str | None = None


class AssistantEnd(_Said, frozen=True, kw_only=True, tag="assistant_end"):
    """The reply is complete."""


class UserInterruption(_Said, frozen=True, kw_only=True, tag="user_interruption"):
    """The user speaks into the reply: the only sign that counts as an interruption."""


class ToolCall(_Said, frozen=True, kw_only=True, tag="tool_call"):
    """The model calls a tool."""

    name: str
    tool_call_id: str
    parameters: str = "{}"
    tool_type: str = "function"
    response_required: bool = True


class BuiltinResponse(_Said, frozen=True, kw_only=True, tag="tool_response"):
    """A tool of the service's own has returned."""

    tool_call_id: str = ""
    tool_name: str | None = None


class BuiltinError(_Said, frozen=True, kw_only=True, tag="tool_error"):
    """A tool of the service's own has failed."""

    tool_call_id: str = ""


class SettingsEcho(_Said, frozen=True, kw_only=True, tag="session_settings"):
    """The settings in force."""


class ServiceError(_Said, frozen=True, kw_only=True, tag="error"):
    """Something is wrong."""

    code: str
    slug: str = ""
    message: str = ""


ServerEvent: TypeAlias = (
    ChatMetadata | UserMessage | AssistantMessage | AudioOutput | AssistantProsody | AssistantEnd
    | UserInterruption | ToolCall | BuiltinResponse | BuiltinError | SettingsEcho | ServiceError
)  # fmt: skip


class Unreadable(NamedTuple):
    """A frame that is left out."""

    what: str
    """Never its content: the type where it has one, and what is wrong with it."""


class _Head(msgspec.Struct):
    type: str


_decoder: msgspec.json.Decoder[ServerEvent] = msgspec.json.Decoder(ServerEvent)
_head_decoder = msgspec.json.Decoder(_Head)
_TYPES = frozenset(
    {
        "chat_metadata", "user_message", "assistant_message", "audio_output", "assistant_prosody",
        "assistant_end", "user_interruption", "tool_call", "tool_response", "tool_error",
        "session_settings", "error",
    }
)  # fmt: skip


def decode(frame: bytes) -> ServerEvent | Unreadable:
    """Return what a frame says, or why it is left out."""
    try:
        return _decoder.decode(frame)
    except (msgspec.MsgspecError, RecursionError, UnicodeError):
        return Unreadable(_flaw(frame))


def _flaw(frame: bytes) -> str:
    try:
        kind = _head_decoder.decode(frame).type
    except (msgspec.MsgspecError, RecursionError, UnicodeError):
        return "a frame that is no JSON object with a type"
    if kind in _TYPES:
        return f"a {kind} with other fields than it has"
    # The type is the service's own word, but nothing says that it is a short one.
    return f"an unknown type {kind[:40]!r}"


def scores(models: Models | None) -> dict[str, float]:
    """Return the scores of a message, {} where there are none."""
    if models is None or models.prosody is None:
        return {}
    return dict(list(models.prosody.scores.items())[:SCORES_KEPT])


def scores_text(measured: Mapping[str, float]) -> str:
    """Return scores as `onAffect` tells them."""
    return _encoder.encode(measured).decode()


def is_json_object(text: str) -> bool:
    """Tell whether the parameters of a tool call are a JSON object."""
    try:
        return isinstance(msgspec.json.decode(text), dict)
    except (msgspec.MsgspecError, RecursionError, UnicodeError):
        return False


# --- error codes ------------------------------------------------------------------------------


class Kind(Enum):
    """What an error means for the connection."""

    TROUBLE = "trouble"
    """It goes on; told."""
    CAP = "cap"
    """The chat's longest duration is over; the next connection resumes it."""
    INACTIVE = "inactive"
    """Nobody spoke for too long; the next connection resumes the chat."""
    OUTAGE = "outage"
    """The service is out of order; worth another connection."""
    REFUSED = "refused"
    """For good."""
    SETTINGS = "settings"
    """For good before the chat is open (after a resume: worth one without it); trouble later."""


class Meaning(NamedTuple):
    """An error, as the operator is told of it."""

    kind: Kind
    sentence: str


SAME_ERRORS = 10
"""So many identical configuration errors, and the service closes the connection."""

CODE_KEPT = 16
"""Characters of a code that are told."""

COUNTED = {
    "E0100": "it could not read a message as JSON",
    "E0101": "it did not accept the form of a message",
    "E0200": "it could not read the sound that it was sent",
    "E0201": "it could not decode the sound that it was sent",
    "E0202": "it found no sound in what it was sent",
}
"""What the service's configuration and media errors say."""


def meaning(error: ServiceError) -> Meaning:
    """Return what an error means and the sentence that says so.

    The codes are grouped by their first digits; timeouts are known by their words alone, since the
    list of E07 codes is not published.
    """
    said = f"{error.slug} {error.message}".lower().replace("_", " ")
    code = error.code
    known = f"({code[:CODE_KEPT]}{' ' + error.slug[:40] if error.slug else ''})"
    if "inactiv" in said:
        return Meaning(
            Kind.INACTIVE,
            f"Hume ended the chat because nobody spoke {known}; it is resumed. Its Config sets "
            "after how long (30 to 1800 s)",
        )
    if "max duration" in said or "maximum duration" in said or "max session" in said:
        return Meaning(
            Kind.CAP, f"the longest duration of a Hume chat is over {known}; it is resumed"
        )
    if code.startswith("E03") or "credit" in said or "usage limit" in said:
        return Meaning(
            Kind.REFUSED,
            f"Hume wants to be paid {known}: look at the account's billing page",
        )
    if code.startswith("I"):
        return Meaning(Kind.OUTAGE, f"Hume is out of order {known}; it is tried again")
    if code.startswith(("E01", "E02")):
        what = COUNTED.get(code, "it did not accept what it was sent")
        return Meaning(
            Kind.TROUBLE,
            f"Hume says that {what} {known}; the chat goes on, the tenth such error closes it",
        )
    return Meaning(
        Kind.SETTINGS,
        f"Hume does not accept the settings {known}: look at config_id, config_version, Voice and "
        "variables",
    )


def channels(measured: Mapping[str, float]) -> dict[str, float]:
    """Return the channels of the known dimensions among scores, each within 0 and 1."""
    return {
        AFFECT[name]: min(max(value, 0.0), 1.0)
        for name, value in measured.items()
        if name in AFFECT
    }
