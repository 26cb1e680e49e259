"""The settings of an OpenAI Realtime session (GA), made from the page. Pure."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from voiced.messages.network import ToolDeclaration
from voiced.providers.openai_page import VOICES, Values
from voiced.providers.realtime_dialect.dialect import Terms

RATE = 24000
"""Hz of PCM in both directions: the service takes no other."""
IDLE_LEAST_MS = 5000
_SEMANTIC_WAIT_MS = {"low": 8000, "auto": 4000, "medium": 4000, "high": 2000}
_SPARE_MS = 300
"""Silence beyond what ends a turn, so that it surely does."""

Settings = dict[str, object]
"""A session object, or part of one, as JSON values."""


def terms(values: Values, *, push_to_talk: bool) -> Terms:
    """Return what the settings mean for the conversation."""
    page = values.page
    semantic = page.turn_detection == "semantic_vad"
    ends_after = _SEMANTIC_WAIT_MS[page.eagerness] if semantic else page.silence_duration_ms
    bargein = values.common.bargein != "off"
    return Terms(
        model=values.model,
        transcription_model=values.transcription,
        manual=push_to_talk or page.turn_detection == "none",
        answers=page.create_response,
        interrupts=page.interrupt_response and bargein,
        bargein=bargein,
        forces_calls=page.tool_choice.strip() not in ("", "auto", "none"),
        trailing_ms=ends_after + _SPARE_MS,
    )


def settings(values: Values, tools: Sequence[ToolDeclaration], *, push_to_talk: bool) -> Settings:
    """Return the whole session object, everything explicit.

    Args:
        values: the page.
        tools: what the model may call; one whose schema is no JSON object is left out.
        push_to_talk: turns are told by us.
    """
    page = values.page
    declared = [tool for each in tools if (tool := _tool(each)) is not None]
    whole: Settings = {
        "type": "realtime",
        "model": values.model,
        "output_modalities": [page.output],
        "max_output_tokens": page.max_output_tokens or "inf",
        "tools": declared,
        "tool_choice": _tool_choice(page.tool_choice.strip(), declared),
        "truncation": _truncation(values),
        "tracing": "auto" if page.tracing else None,
        "audio": {
            "input": {
                "format": {"type": "audio/pcm", "rate": RATE},
                "noise_reduction": _noise_reduction(values),
                "transcription": _transcription(values),
                "turn_detection": None if push_to_talk else _turn_detection(values),
            },
            "output": {
                "format": {"type": "audio/pcm", "rate": RATE},
                "voice": _voice(values.common.voice),
                "speed": page.speed,
            },
        },
    }
    if values.common.systemprompt:
        # Without words of our own the service's own instructions stay.
        whole["instructions"] = values.common.systemprompt
    if values.reasons:
        whole["reasoning"] = {"effort": page.reasoning_effort}
        whole["parallel_tool_calls"] = page.parallel_tool_calls
    return whole


def changed(before: Settings, after: Settings) -> Settings:
    """Return what an update must say to get from one session object to the other; {} = nothing.

    Objects that are one of several kinds go whole, the others key by key. The model stays: it
    cannot be changed.
    """
    update = _difference(before, after, ("audio", "input", "output"))
    update.pop("model", None)
    if "instructions" in before and "instructions" not in after:
        update["instructions"] = ""
    return {"type": "realtime", **update} if update else {}


def _difference(before: Settings, after: Settings, parts: tuple[str, ...]) -> Settings:
    update: Settings = {}
    for key, value in after.items():
        old = before.get(key)
        if key in parts and isinstance(value, dict) and isinstance(old, dict):
            if inner := _difference(old, value, parts):
                update[key] = inner
        elif key not in before or old != value:
            update[key] = value
    return update


def keep_voice(before: Settings, after: Settings) -> bool:
    """Give `after` the voice of `before`; return whether it had another."""
    old, new = _output(before), _output(after)
    if old.get("voice") == new.get("voice"):
        return False
    new["voice"] = old.get("voice")
    return True


def changes_output(update: Settings) -> bool:
    """Whether an update changes what is taken between replies alone."""
    return bool(_output(update))


def _output(session: Settings) -> Settings:
    audio = session.get("audio")
    output = audio.get("output") if isinstance(audio, dict) else None
    return output if isinstance(output, dict) else {}


def _voice(voice: str) -> object:
    voice = voice.strip() or VOICES[0]
    return {"id": voice} if voice.startswith("voice_") else voice


def _turn_detection(values: Values) -> Settings | None:
    page = values.page
    bargein = values.common.bargein != "off"
    common: Settings = {
        "create_response": page.create_response,
        "interrupt_response": page.interrupt_response and bargein,
    }
    if page.turn_detection == "semantic_vad":
        return {"type": "semantic_vad", "eagerness": page.eagerness, **common}
    if page.turn_detection == "none":
        return None
    idle = page.idle_timeout_ms
    return {
        "type": "server_vad",
        "threshold": page.vad_threshold,
        "prefix_padding_ms": page.prefix_padding_ms,
        "silence_duration_ms": page.silence_duration_ms,
        "idle_timeout_ms": max(IDLE_LEAST_MS, idle) if idle else None,
        **common,
    }


def _noise_reduction(values: Values) -> Settings | None:
    page = values.page
    if page.noise_reduction == "off":
        return None
    return {"type": page.noise_reduction, "strength": page.noise_reduction_strength}


def _transcription(values: Values) -> Settings | None:
    page, model = values.page, values.transcription
    if not model:
        return None
    told: Settings = {"model": model}
    language = values.common.languagecode.strip().replace("_", "-").split("-")[0].lower()
    if language:
        told["language"] = language
    if page.transcription_prompt.strip() and model != "gpt-realtime-whisper":
        told["prompt"] = page.transcription_prompt.strip()
    keywords = [word.strip() for word in page.transcription_keywords.split(",") if word.strip()]
    if keywords and model in ("gpt-transcribe", "gpt-live-transcribe"):
        told["keywords"] = keywords
    if page.transcription_delay and model == "gpt-realtime-whisper":
        told["delay"] = page.transcription_delay
    return told


def _truncation(values: Values) -> object:
    page = values.page
    if page.truncation != "retention_ratio":
        return page.truncation
    ratio: Settings = {"type": "retention_ratio", "retention_ratio": page.retention_ratio}
    if page.token_limit:
        ratio["token_limits"] = {"post_instructions": page.token_limit}
    return ratio


def _tool(tool: ToolDeclaration) -> Settings | None:
    try:
        schema = msgspec.json.decode(tool.schema, type=dict[str, object])
    except (msgspec.DecodeError, RecursionError):
        return None
    return {
        "type": "function",
        "name": tool.name,
        "description": tool.description,
        "parameters": schema,
    }


def _tool_choice(choice: str, declared: Sequence[Settings]) -> object:
    if not declared or choice in ("", "auto"):
        return "auto"
    if choice in ("none", "required"):
        return choice
    if any(tool["name"] == choice for tool in declared):
        return {"type": "function", "name": choice}
    return "auto"
