"""What OpenAI Realtime refuses though its types would allow it."""

from __future__ import annotations

import re
from typing import Final

from msgspec import UNSET

from voiced.emulators import openai_wire as wire
from voiced.emulators.openai_usage import TRANSCRIPTION_MODELS, Model
from voiced.emulators.refusal import Refused

VOICES: Final = (
    "alloy", "ash", "ballad", "coral", "echo", "sage", "shimmer", "verse", "marin", "cedar",
)  # fmt: skip
_HINTED: Final = ("gpt-transcribe", "gpt-live-transcribe")
"""Models of transcription that take keywords and languages."""
_DELAYED: Final = "gpt-realtime-whisper"
_PAIRS, _KEY, _VALUE = 16, 64, 512
_PICTURE: Final = re.compile(r"data:image/(png|jpe?g);base64,[A-Za-z0-9+/]+={0,2}")
_CONTENT: Final = {
    "user": {"input_text", "input_audio", "input_image"},
    "system": {"input_text"},
    # Audio of the model's own cannot be put in (the guide on conversations).
    "assistant": {"output_text"},
}


def session(config: wire.Config, model_id: str, model: Model, voice: object) -> None:
    """Check what session.update asks for.

    Args:
        config: what is to change.
        model_id: the connection's model.
        model: what it can do.
        voice: the voice that was heard already; None = nothing was said yet.

    Raises:
        Refused: the service would say no.
    """
    if config.model is not UNSET and config.model != model_id:
        raise Refused(
            "Cannot update the model of a session: open another connection.", param="session.model"
        )
    modalities(config.output_modalities, "session.output_modalities")
    reasoning(config.reasoning, config.parallel_tool_calls, model_id, model, "session")
    tools(config.tools, config.tool_choice, "session")
    audio = config.audio
    if audio is UNSET:
        return
    if audio.input is not UNSET and isinstance(audio.input.transcription, wire.Transcription):
        transcription(audio.input.transcription)
    if audio.output is not UNSET:
        spoken(audio.output.voice, voice, "session.audio.output.voice")


def modalities(wanted: object, param: str) -> None:
    """Check output_modalities: sound (with its transcript) or text, never both."""
    if wanted is not UNSET and wanted not in (["audio"], ["text"]):
        raise Refused(
            f"Invalid modalities: {wanted}. Supported combinations are: ['text'] and ['audio'].",
            param=param,
        )


def reasoning(wanted: object, parallel: object, model_id: str, model: Model, place: str) -> None:
    """Check that only a model that reasons is told how to."""
    for name, value in (("reasoning", wanted), ("parallel_tool_calls", parallel)):
        if value is not UNSET and not model.reasoning:
            raise Refused(
                f"Unsupported parameter: '{name}' is not supported with the '{model_id}' model.",
                "unsupported_parameter",
                f"{place}.{name}",
            )


def tools(declared: object, choice: object, place: str) -> None:
    """Check the tools' names and schemas, and that the chosen one is there."""
    names: list[str] = []
    for number, tool in enumerate(declared if isinstance(declared, list) else ()):
        if not isinstance(tool, wire.FunctionTool):
            continue
        at = f"{place}.tools[{number}]"
        if tool.name in names:
            raise Refused(f"Duplicate tool name: '{tool.name}'.", param=f"{at}.name")
        names.append(tool.name)
        if tool.parameters is not UNSET and tool.parameters.get("type") != "object":
            raise Refused(
                f"Invalid schema for function '{tool.name}': schema must be a JSON Schema of "
                "'type: \"object\"'.",
                "invalid_function_parameters",
                f"{at}.parameters",
            )
    chosen = choice.name if isinstance(choice, wire.ChosenFunction) else None
    if chosen is not None and declared is not UNSET and chosen not in names:
        raise Refused(
            f"Tool choice '{chosen}' not found in 'tools' parameter.",
            param=f"{place}.tool_choice",
        )


def transcription(wanted: wire.Transcription) -> None:
    """Check the model of transcription and what only some of them take."""
    place = "session.audio.input.transcription"
    if wanted.model is UNSET:
        return
    if wanted.model not in TRANSCRIPTION_MODELS:
        known = ", ".join(f"'{name}'" for name in TRANSCRIPTION_MODELS)
        raise Refused(
            f"Invalid value: '{wanted.model}'. Supported values are: {known}.",
            param=f"{place}.model",
        )
    for name, models in (
        ("keywords", _HINTED),
        ("languages", _HINTED),
        ("delay", (_DELAYED,)),
    ):
        if getattr(wanted, name) is not UNSET and wanted.model not in models:
            raise Refused(
                f"Unsupported parameter: '{name}' is not supported with the '{wanted.model}' "
                "model.",
                "unsupported_parameter",
                f"{place}.{name}",
            )


def spoken(wanted: object, heard: object, param: str) -> None:
    """Check the voice: known, and not changed once it was heard."""
    if wanted is UNSET:
        return
    if heard is not None and wanted != heard:
        raise Refused(
            "Cannot update a conversation's voice if assistant audio is present.",
            "cannot_update_voice",
            param,
        )
    if isinstance(wanted, str) and wanted not in VOICES:
        known = ", ".join(f"'{name}'" for name in VOICES)
        raise Refused(f"Invalid value: '{wanted}'. Supported values are: {known}.", param=param)


def metadata(pairs: object) -> None:
    """Check what is to be handed back with a response."""
    if not isinstance(pairs, dict):
        return
    if len(pairs) > _PAIRS:
        raise Refused(f"Too many metadata pairs: at most {_PAIRS}.", param="response.metadata")
    for key, value in pairs.items():
        if len(key) > _KEY or len(value) > _VALUE:
            raise Refused(
                f"Metadata keys have at most {_KEY} characters, values {_VALUE}.",
                "string_above_max_length",
                f"response.metadata.{key}",
            )


def message(item: wire.Message) -> None:
    """Check that every part of a message is one that its role can have, with what it needs."""
    if not item.content:
        raise Refused("Invalid 'item.content': empty array.", "empty_array", "item.content")
    for number, part in enumerate(item.content):
        at = f"item.content[{number}]"
        allowed = _CONTENT[item.role]
        if part.type not in allowed:
            raise Refused(
                f"Invalid value: '{part.type}'. Supported values are: {sorted(allowed)}.",
                param=f"{at}.type",
            )
        needed = {"input_audio": "audio", "input_image": "image_url"}.get(part.type, "text")
        if getattr(part, needed) is UNSET:
            raise Refused(
                f"Missing required parameter: '{at}.{needed}'.",
                "missing_required_parameter",
                f"{at}.{needed}",
            )
        if part.image_url is not UNSET and not _PICTURE.fullmatch(part.image_url):
            raise Refused(
                f"Invalid '{at}.image_url': a data URI of a PNG or JPEG in base64 is expected.",
                param=f"{at}.image_url",
            )
