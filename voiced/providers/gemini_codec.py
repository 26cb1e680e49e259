"""What Gemini Live sends: what of a frame can be understood, in the order it must be taken.

Source: the wire reference 1.3. JSON is proto3's: a field that is left out has its default, int64
may be text, durations are text ("50s"). `decode` never raises: what it cannot read becomes
`Malformed`, what it does not know `Unknown`, and the rest of the same frame is still told.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from typing import Annotated, Any, TypeAlias, TypeVar

import msgspec

RATE_OUT = 24000
LONGEST_TEXT = 100_000
"""Characters of one transcript or one call's arguments; more is nobody's speech."""
LONGEST_NAME = 200

T = TypeVar("T")
Count: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=1 << 40)]


class _Told(msgspec.Struct, frozen=True, kw_only=True):
    pass


class SetupComplete(_Told, frozen=True, kw_only=True):
    """The session is open."""

    session_id: str = ""


class Audio(_Told, frozen=True, kw_only=True):
    """Sound of the reply."""

    pcm: bytes


class UserWords(_Told, frozen=True, kw_only=True):
    """What the user said: words to append, or (`interim`) a guess that the next one replaces."""

    text: str
    finished: bool = False
    interim: bool = False


class ReplyWords(_Told, frozen=True, kw_only=True):
    """Words of the reply, to append."""

    text: str


class Interrupted(_Told, frozen=True, kw_only=True):
    """The user spoke into the reply."""


class GenerationComplete(_Told, frozen=True, kw_only=True):
    """All of the reply has been sent; it still sounds."""


class TurnComplete(_Told, frozen=True, kw_only=True):
    """The model's turn is over."""

    reason: str = ""
    """Why, where it is not by itself."""
    in_progress: bool = False
    """The exchange goes on: more is being thought."""


class Searched(_Told, frozen=True, kw_only=True):
    """The reply rests on a search of the web."""

    queries: tuple[str, ...]


class Call(_Told, frozen=True, kw_only=True):
    """The model calls a function."""

    id: str
    """"" where the service gave none."""
    name: str
    arguments: str
    """JSON of an object."""


class CallsCancelled(_Told, frozen=True, kw_only=True):
    """The results of these calls are not wanted any more."""

    ids: tuple[str, ...]


class ResumptionUpdate(_Told, frozen=True, kw_only=True):
    """A handle; "" = the session cannot be resumed at this moment."""

    handle: str


class GoAway(_Told, frozen=True, kw_only=True):
    """The service will close this connection."""

    time_left_s: float


class Activity(_Told, frozen=True, kw_only=True):
    """The service heard the user begin (True) or end."""

    active: bool
    offset_s: float | None
    """Since the first sample sent; None = not told."""


class Usage(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What a response took, in tokens, as the service counts it."""

    prompt_token_count: Count | None = None
    cached_content_token_count: Count | None = None
    response_token_count: Count | None = None
    tool_use_prompt_token_count: Count | None = None
    thoughts_token_count: Count | None = None
    prompt_tokens_details: list[Detail] | None = None
    cache_tokens_details: list[Detail] | None = None
    response_tokens_details: list[Detail] | None = None
    tool_use_prompt_tokens_details: list[Detail] | None = None


class Detail(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Tokens of one modality."""

    modality: str | None = None
    token_count: Count | None = None


class Unknown(_Told, frozen=True, kw_only=True):
    """A field that nobody here knows."""

    key: str


class Malformed(_Told, frozen=True, kw_only=True):
    """A field that is known and cannot be read; "frame" = all of it."""

    key: str


Event: TypeAlias = (
    SetupComplete | Audio | UserWords | ReplyWords | Interrupted | GenerationComplete | TurnComplete
    | Searched | Call | CallsCancelled | ResumptionUpdate | GoAway | Activity | Usage | Unknown
    | Malformed
)  # fmt: skip


class _Words(msgspec.Struct, rename="camel"):
    text: str | None = None
    finished: bool | None = None


class _InlineData(msgspec.Struct, rename="camel"):
    mime_type: str | None = None
    data: str | None = None


class _Part(msgspec.Struct, rename="camel"):
    inline_data: _InlineData | None = None


class _ModelTurn(msgspec.Struct, rename="camel"):
    parts: list[msgspec.Raw] | None = None


class _Grounding(msgspec.Struct, rename="camel"):
    web_search_queries: list[str] | None = None


class _FunctionCall(msgspec.Struct, rename="camel"):
    name: str
    id: str | None = None
    args: dict[str, Any] | None = None


class _ToolCall(msgspec.Struct, rename="camel"):
    function_calls: list[msgspec.Raw] | None = None


class _Cancellation(msgspec.Struct):
    ids: list[str] | None = None


class _Resumption(msgspec.Struct, rename="camel"):
    new_handle: str | None = None
    resumable: bool | None = None


class _GoAway(msgspec.Struct, rename="camel"):
    time_left: str | None = None


class _Activity(msgspec.Struct, rename="camel"):
    type: str | None = None
    audio_offset: str | None = None


class _SetupComplete(msgspec.Struct, rename="camel"):
    session_id: str | None = None


class _Unreadable(Exception):
    """A value that is not what its field says."""


_Fields: TypeAlias = dict[str, msgspec.Raw]
_fields = msgspec.json.Decoder(_Fields)
_NULL = b"null"


def decode(frame: bytes) -> list[Event]:
    """Return everything a frame says, in the order it must be taken.

    A reply that is cut comes first, then what was said, then the rest, then usage, and the ends of
    generation and turn last: one frame may carry all of them.
    """
    try:
        keys = _fields.decode(frame)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return [Malformed(key="frame")]
    events: list[Event] = []
    content: _Fields = {}
    if "serverContent" in keys:
        content = _taken(keys.pop("serverContent"), "serverContent", _content_fields, events) or {}
    for key in ("interrupted", *_CONTENT):
        _take(content, key, events)
    for key in _TOP:
        _take(keys, key, events)
    _ending(content, events)
    events += [Unknown(key=key[:LONGEST_NAME]) for key in (*content, *keys)]
    return events


def _take(fields: _Fields, key: str, events: list[Event]) -> None:
    raw = fields.pop(key, None)
    if raw is not None:
        made = _taken(raw, key, _READERS[key], events)
        events += made or ()


def _taken(
    raw: msgspec.Raw, key: str, reader: Callable[[msgspec.Raw], T], events: list[Event]
) -> T | None:
    """Return what a field says; null is a field left out, trouble becomes an event."""
    if bytes(raw) == _NULL:
        return None
    try:
        return reader(raw)
    except (msgspec.MsgspecError, ValueError, OverflowError, RecursionError, _Unreadable):
        events.append(Malformed(key=key))
        return None


def _ending(content: _Fields, events: list[Event]) -> None:
    """Tell the ends of generation and turn, with why and whether the exchange goes on."""
    reason = _taken(content.pop("turnCompleteReason", _none), "turnCompleteReason", _text, events)
    status = _taken(content.pop("interactionStatus", _none), "interactionStatus", _text, events)
    for key in _SILENT:
        content.pop(key, None)
    generated = content.pop("generationComplete", _none)
    if _taken(generated, "generationComplete", _flag, events):
        events.append(GenerationComplete())
    if _taken(content.pop("turnComplete", _none), "turnComplete", _flag, events):
        why = "" if reason is None or reason.endswith("_UNSPECIFIED") else reason
        events.append(TurnComplete(reason=why, in_progress=status == "IN_PROGRESS"))


def _read(raw: msgspec.Raw, kind: type[T]) -> T:
    return msgspec.json.decode(raw, type=kind, strict=False)


def _content_fields(raw: msgspec.Raw) -> _Fields:
    return _fields.decode(raw)


def _flag(raw: msgspec.Raw) -> bool:
    return _read(raw, bool)


def _text(raw: msgspec.Raw) -> str:
    return _read(raw, str)[:LONGEST_NAME]


def _interrupted(raw: msgspec.Raw) -> list[Event]:
    return [Interrupted()] if _flag(raw) else []


def _user_words(raw: msgspec.Raw) -> list[Event]:
    words = _read(raw, _Words)
    return [UserWords(text=(words.text or "")[:LONGEST_TEXT], finished=bool(words.finished))]


def _interim(raw: msgspec.Raw) -> list[Event]:
    return [UserWords(text=(_read(raw, _Words).text or "")[:LONGEST_TEXT], interim=True)]


def _reply_words(raw: msgspec.Raw) -> list[Event]:
    text = _read(raw, _Words).text
    return [ReplyWords(text=text[:LONGEST_TEXT])] if text else []


def _model_turn(raw: msgspec.Raw) -> list[Event]:
    """Parts of the reply. Only sound is of use: text is reasoning, code is the search's own."""
    events: list[Event] = []
    for part in _read(raw, _ModelTurn).parts or ():
        pcm = _taken(part, "part", _sound, events)
        if pcm:
            events.append(Audio(pcm=pcm))
    return events


def _sound(raw: msgspec.Raw) -> bytes:
    blob = _read(raw, _Part).inline_data
    if blob is None or not blob.data:
        return b""
    mime = (blob.mime_type or "").replace(" ", "").lower()
    if not mime.startswith("audio/pcm"):
        raise _Unreadable
    if "rate=" in mime and mime.split("rate=")[1].split(";")[0] != str(RATE_OUT):
        raise _Unreadable
    return from_base64(blob.data)


def from_base64(text: str) -> bytes:
    """Return the bytes of base64 in either alphabet, padded or not.

    Raises:
        ValueError: it is none.
    """
    plain = text.translate(_URL_SAFE).rstrip("=")
    try:
        return base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
    except binascii.Error as error:
        raise ValueError("no base64") from error


_URL_SAFE = str.maketrans("-_", "+/")


def _grounding(raw: msgspec.Raw) -> list[Event]:
    queries = _read(raw, _Grounding).web_search_queries or ()
    return [Searched(queries=tuple(query[:LONGEST_NAME] for query in queries))] if queries else []


def _tool_call(raw: msgspec.Raw) -> list[Event]:
    events: list[Event] = []
    for each in _read(raw, _ToolCall).function_calls or ():
        call = _taken(each, "functionCall", _call, events)
        if call is not None:
            events.append(call)
    return events


def _call(raw: msgspec.Raw) -> Call:
    call = _read(raw, _FunctionCall)
    arguments = msgspec.json.encode(call.args or {}).decode()
    if not call.name or max(len(call.name), len(call.id or "")) > LONGEST_NAME:
        raise _Unreadable
    if len(arguments) > LONGEST_TEXT:
        raise _Unreadable
    return Call(id=call.id or "", name=call.name, arguments=arguments)


def _cancellation(raw: msgspec.Raw) -> list[Event]:
    return [CallsCancelled(ids=tuple(_read(raw, _Cancellation).ids or ()))]


def _resumption(raw: msgspec.Raw) -> list[Event]:
    update = _read(raw, _Resumption)
    return [ResumptionUpdate(handle=(update.new_handle or "") if update.resumable else "")]


def _go_away(raw: msgspec.Raw) -> list[Event]:
    left = _read(raw, _GoAway).time_left
    return [GoAway(time_left_s=seconds(left) if left else 0.0)]


def _activity(raw: msgspec.Raw) -> list[Event]:
    told = _read(raw, _Activity)
    if told.type not in ("ACTIVITY_START", "ACTIVITY_END"):
        return []
    offset = seconds(told.audio_offset) if told.audio_offset else None
    return [Activity(active=told.type == "ACTIVITY_START", offset_s=offset)]


def _setup_complete(raw: msgspec.Raw) -> list[Event]:
    return [SetupComplete(session_id=(_read(raw, _SetupComplete).session_id or "")[:LONGEST_NAME])]


def _usage(raw: msgspec.Raw) -> list[Event]:
    return [_read(raw, Usage)]


def _nothing(raw: msgspec.Raw) -> list[Event]:
    return []


def seconds(duration: str) -> float:
    """Return proto3's text of a duration, "9.5s", in seconds.

    Raises:
        ValueError: it is none.
    """
    number = float(duration.removesuffix("s"))
    if not duration.endswith("s") or not 0 <= number < 1e9:
        raise ValueError("no duration")
    return number


_none = msgspec.Raw(_NULL)
_CONTENT = (
    "inputTranscription",
    "interimInputTranscription",
    "outputTranscription",
    "modelTurn",
    "groundingMetadata",
)
_SILENT = ("waitingForInput", "urlContextMetadata")
"""Of no use here, and no news."""
_TOP = (
    "setupComplete",
    "voiceActivity",
    "voiceActivityDetectionSignal",
    "toolCall",
    "toolCallCancellation",
    "sessionResumptionUpdate",
    "goAway",
    "usageMetadata",
)
_READERS: dict[str, Callable[[msgspec.Raw], list[Event]]] = {
    "interrupted": _interrupted,
    "inputTranscription": _user_words,
    "interimInputTranscription": _interim,
    "outputTranscription": _reply_words,
    "modelTurn": _model_turn,
    "groundingMetadata": _grounding,
    "setupComplete": _setup_complete,
    "voiceActivity": _activity,
    "voiceActivityDetectionSignal": _nothing,
    "toolCall": _tool_call,
    "toolCallCancellation": _cancellation,
    "sessionResumptionUpdate": _resumption,
    "goAway": _go_away,
    "usageMetadata": _usage,
}
