"""What we send to Gemini Live: the messages of a client, as frames.

Source: the wire reference 1.2 (v1beta, fields of the Developer API). camelCase and standard base64,
exactly one top-level key a frame; what a model does not take is left out by `gemini_setup`.
"""

from __future__ import annotations

import base64
from typing import Any, Literal

import msgspec

RATE_IN = 16000


class _Sent(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    pass


class Empty(_Sent, frozen=True, kw_only=True):
    """A message whose presence is all it says."""


class Blob(_Sent, frozen=True, kw_only=True):
    """Bytes in base64."""

    data: str
    mime_type: str


class Part(_Sent, frozen=True, kw_only=True):
    """A piece of a turn: words or a picture."""

    text: str | None = None
    inline_data: Blob | None = None


class Content(_Sent, frozen=True, kw_only=True):
    """A turn. `role` is never left out: without it the service closes with 1007."""

    role: Literal["user", "model"]
    parts: list[Part]


class PrebuiltVoice(_Sent, frozen=True, kw_only=True):
    """A voice by its name."""

    voice_name: str


class VoiceConfig(_Sent, frozen=True, kw_only=True):
    """Which voice."""

    prebuilt_voice_config: PrebuiltVoice


class SpeechConfig(_Sent, frozen=True, kw_only=True):
    """How the reply sounds."""

    voice_config: VoiceConfig
    language_code: str | None = None


class ThinkingConfig(_Sent, frozen=True, kw_only=True):
    """How much is thought: one of the two, by the model."""

    thinking_level: str | None = None
    thinking_budget: int | None = None


class GenerationConfig(_Sent, frozen=True, kw_only=True):
    """How replies are made; what is None is the model's own."""

    response_modalities: list[str]
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    max_output_tokens: int | None = None
    seed: int | None = None
    media_resolution: str | None = None
    speech_config: SpeechConfig | None = None
    thinking_config: ThinkingConfig | None = None


class FunctionDeclaration(_Sent, frozen=True, kw_only=True):
    """A function that the model may call."""

    name: str
    description: str
    behavior: str | None = None
    parameters_json_schema: dict[str, Any] | None = None


class Tool(_Sent, frozen=True, kw_only=True):
    """Functions, or the search."""

    function_declarations: list[FunctionDeclaration] | None = None
    google_search: Empty | None = None


class ActivityDetection(_Sent, frozen=True, kw_only=True):
    """How the service finds turns. `disabled` stands alone: 1007 beside anything else."""

    disabled: bool | None = None
    start_of_speech_sensitivity: str | None = None
    end_of_speech_sensitivity: str | None = None
    prefix_padding_ms: int | None = None
    silence_duration_ms: int | None = None


class RealtimeInputConfig(_Sent, frozen=True, kw_only=True):
    """How input becomes turns."""

    automatic_activity_detection: ActivityDetection | None = None
    activity_handling: str | None = None
    turn_coverage: str | None = None


class SessionResumption(_Sent, frozen=True, kw_only=True):
    """Wishes for handles; `handle` continues a conversation."""

    handle: str | None = None


class SlidingWindow(_Sent, frozen=True, kw_only=True):
    """What is left after compression, tokens."""

    target_tokens: int | None = None


class Compression(_Sent, frozen=True, kw_only=True):
    """When the context is cut, tokens."""

    sliding_window: SlidingWindow
    trigger_tokens: int | None = None


class Transcription(_Sent, frozen=True, kw_only=True):
    """How speech is written down."""

    language_codes: list[str] | None = None
    custom_vocabulary: list[str] | None = None


class HistoryConfig(_Sent, frozen=True, kw_only=True):
    """The first clientContent is history, and is not answered."""

    initial_history_in_client_content: bool | None = None


class Setup(_Sent, frozen=True, kw_only=True):
    """The first message, and only the first."""

    model: str
    generation_config: GenerationConfig
    context_window_compression: Compression
    realtime_input_config: RealtimeInputConfig
    system_instruction: Content | None = None
    tools: list[Tool] | None = None
    session_resumption: SessionResumption | None = None
    input_audio_transcription: Transcription | None = None
    output_audio_transcription: Transcription | None = None
    history_config: HistoryConfig | None = None


class FunctionResponse(_Sent, frozen=True, kw_only=True):
    """What a function returned. Without its name one model takes it for a failure."""

    name: str
    response: dict[str, Any]
    id: str | None = None
    scheduling: str | None = None


_encode = msgspec.json.Encoder().encode
_AUDIO_BEFORE = b'{"realtimeInput":{"audio":{"data":"'
_AUDIO_BEHIND = b'","mimeType":"audio/pcm;rate=%d"}}}' % RATE_IN


def setup(message: Setup) -> bytes:
    """Return the first frame."""
    return _encode({"setup": message})


def audio(pcm: bytes) -> bytes:
    """Return a frame of sound: int16 little-endian mono at RATE_IN."""
    return _AUDIO_BEFORE + base64.b64encode(pcm) + _AUDIO_BEHIND


def video(jpeg: bytes) -> bytes:
    """Return a frame with a picture; the service looks at one a second."""
    return _encode({"realtimeInput": {"video": _jpeg(jpeg)}})


def activity(active: bool) -> bytes:
    """Return a border of the user's turn; only where the service does not detect turns itself."""
    return _encode({"realtimeInput": {"activityStart" if active else "activityEnd": Empty()}})


def audio_stream_end() -> bytes:
    """Return that the microphone pauses; only where the service detects turns itself."""
    return _encode({"realtimeInput": {"audioStreamEnd": True}})


def typed(text: str, jpeg: bytes = b"") -> bytes:
    """Return a typed turn that is answered; it sees no picture but the one it carries."""
    parts = [Part(inline_data=_jpeg(jpeg))] if jpeg else []
    turn = Content(role="user", parts=[*parts, Part(text=text)])
    return _content([turn], complete=True)


def context(text: str) -> bytes:
    """Return words of the user's side that are not answered."""
    return _content([Content(role="user", parts=[Part(text=text)])], complete=False)


def history(rows: list[tuple[str, str]]) -> bytes:
    """Return the conversation so far, (role, text), as turns of alternating roles.

    Only behind a setup that asked for it (`HistoryConfig`): else it would be answered.
    """
    turns: list[Content] = []
    for role, text in rows:
        side: Literal["user", "model"] = "user" if role == "user" else "model"
        if turns and turns[-1].role == side:
            turns[-1].parts.append(Part(text=text))
        else:
            turns.append(Content(role=side, parts=[Part(text=text)]))
    return _content(turns, complete=True)


def tool_response(*responses: FunctionResponse) -> bytes:
    """Return what functions returned."""
    return _encode({"toolResponse": {"functionResponses": responses}})


def _content(turns: list[Content], *, complete: bool) -> bytes:
    return _encode({"clientContent": {"turns": turns, "turnComplete": complete}})


def _jpeg(jpeg: bytes) -> Blob:
    return Blob(data=base64.b64encode(jpeg).decode(), mime_type="image/jpeg")
