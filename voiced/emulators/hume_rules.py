"""What Hume EVI allows: its query, its settings, its audio. Pure.

Source: wire reference 2.1 to 2.3. Of the error codes only the families are published (E01xx, E02xx:
configuration and media; I0xxx: an outage); slugs, and the codes from E07xx on, are made up here.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from voiced.emulators.hume_wire import Audio, ClientMessage, SessionSettings

QUERY: Final = frozenset(
    {
        "config_id", "config_version", "resumed_chat_group_id", "verbose_transcription",
        "event_limit", "allow_connection", "api_key", "access_token",
    }
)  # fmt: skip
"""Plain names of the query."""
SETTINGS: Final = frozenset(
    {
        "audio", "context", "custom_session_id", "event_limit", "language_model_api_key",
        "system_prompt", "voice_id", "variables",
    }
)  # fmt: skip
"""What a query may set; tools and metadata go by message alone."""
LONGEST_CHUNK_S: Final = 1.0
_BRACKETS: Final = re.compile(r"session_settings(\[[^\[\]]+\])+")
_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
_AT: Final = re.compile(r"`\$\.?(.*)`")
_CONTAINERS: Final = (b"RIFF", b"\x1aE\xdf\xa3", b"OggS", b"ID3", b"fLaC", b"\xff\xfb")


class Rejected(Exception):
    """A message the service answers with an error.

    Args:
        code: of the error.
        slug: its short name.
        sentence: its words.
        path: what in the message is wrong.
    """

    def __init__(self, code: str, slug: str, sentence: str, path: str = "") -> None:
        super().__init__(sentence)
        self.code, self.slug, self.sentence, self.path = code, slug, sentence, path


def read(frame: str | bytes) -> ClientMessage:
    """Return the message in a frame.

    Raises:
        Rejected: E0100, no JSON; E0101, no message of the service.
    """
    if isinstance(frame, bytes):
        raise Rejected("E0100", "invalid_json", "Frames are JSON text, not binary.")
    try:
        message: ClientMessage = msgspec.json.decode(frame, type=ClientMessage)
    except msgspec.ValidationError as error:
        found = _AT.search(str(error))
        path = found.group(1) if found else ""
        raise Rejected("E0101", "invalid_message", str(error), path) from None
    except (msgspec.DecodeError, RecursionError) as error:
        raise Rejected("E0100", "invalid_json", f"The message is no JSON: {error}") from None
    return message


def kind(frame: str | bytes) -> str:
    """Return the type a frame names, as far as one can be read."""
    try:
        value = json.loads(frame)
    except (ValueError, RecursionError):
        return ""
    return str(value.get("type", "")) if isinstance(value, dict) else ""


def settings_of(query: Mapping[str, str]) -> tuple[SessionSettings, list[tuple[str, str]]]:
    """Return the settings that a query makes, and what is wrong in it as (name, rule).

    Raises:
        Rejected: a setting has a wrong value.
    """
    made: dict[str, Any] = {}
    wrong: list[tuple[str, str]] = []
    for name, value in query.items():
        if _BRACKETS.fullmatch(name):
            keys = name.removeprefix("session_settings[").removesuffix("]").split("][")
            if keys[0] not in SETTINGS:
                wrong.append((name, "goes by message alone" if keys[0] != "type" else "is no name"))
            elif keys[0] != "event_limit":
                _put(made, keys, value)
        elif name not in QUERY:
            wrong.append((name, "the service knows no such name"))
    try:
        return msgspec.convert(
            {"type": "session_settings", **made}, SessionSettings, strict=False
        ), wrong
    except msgspec.ValidationError as error:
        raise Rejected("E0101", "invalid_message", str(error), "query") from None


def _put(into: dict[str, Any], keys: list[str], value: str) -> None:
    for key in keys[:-1]:
        into = into.setdefault(key, {})
    into[keys[-1]] = value


def check_settings(settings: SessionSettings) -> None:
    """Look at what types cannot say.

    Raises:
        Rejected: it cannot be used.
    """
    audio = settings.audio
    if audio is not None and not 8000 <= audio.sample_rate <= 48000:
        sentence = f"audio.sample_rate {audio.sample_rate} is not supported."
        raise Rejected("E0101", "invalid_message", sentence, "audio.sample_rate")
    if audio is not None and audio.channels != 1:
        sentence = f"audio.channels {audio.channels} is not supported."
        raise Rejected("E0101", "invalid_message", sentence, "audio.channels")
    for at, tool in enumerate(settings.tools or []):
        path = f"tools[{at}]"
        if not _NAME.fullmatch(tool.name):
            sentence = f"Tool name {tool.name!r} is not valid."
            raise Rejected("E0101", "invalid_message", sentence, f"{path}.name")
        if not _is_schema(tool.parameters):
            sentence = f"Parameters of {tool.name} are no JSON schema of an object, as a string."
            raise Rejected("E0101", "invalid_message", sentence, f"{path}.parameters")


def _is_schema(text: str) -> bool:
    try:
        schema = json.loads(text)
    except (ValueError, RecursionError):
        return False
    return isinstance(schema, dict) and schema.get("type") == "object"


def sound(data: str, audio: Audio | None) -> bytes:
    """Return the PCM in an audio_input.

    Raises:
        Rejected: E0200, no audio of the kind that was announced; E0201, no base64; E0202, empty.
    """
    try:
        pcm = base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError):
        raise Rejected("E0201", "invalid_base64", "Audio is no base64.", "data") from None
    if not pcm:
        raise Rejected("E0202", "no_audio", "The message holds no audio.", "data")
    if audio is None and not pcm.startswith(_CONTAINERS):
        sentence = "Raw audio needs session_settings.audio before it."
        raise Rejected("E0200", "invalid_media", sentence, "data")
    if audio is not None and len(pcm) % 2:
        sentence = "Half a sample: the audio has an odd length."
        raise Rejected("E0200", "invalid_media", sentence, "data")
    return pcm
