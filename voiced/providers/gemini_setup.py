"""From the operator's page to the first frame: what this model takes, and a sentence for the rest.

Source: the wire reference 1.2 and 1.4. A model refuses a whole session for one field too many, so
nothing is sent that it does not take, and nothing that the operator left at the service's default.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from voiced.messages.network import HistoryRow, ToolDeclaration
from voiced.providers import gemini_messages as wire
from voiced.providers.gemini_closing import Attempt
from voiced.providers.gemini_models import VOICES, Behavior, Model, Thinking, path_of
from voiced.providers.gemini_page import INTERRUPTS, NO_INTERRUPTION, Page


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """A setup, and what could not be taken into it."""

    setup: wire.Setup
    notes: list[tuple[str, str]]
    """(code, sentence) for the operator."""


def seed(history: Sequence[HistoryRow], respond: bool) -> list[tuple[str, str]]:
    """Return the rows that are history; the last one is not where it waits for its answer."""
    rows = history[:-1] if respond else history
    return [(row.role, row.text) for row in rows if row.text.strip()]


def plan(
    page: Page,
    tools: Sequence[ToolDeclaration],
    attempt: Attempt,
    *,
    push_to_talk: bool,
    seeded: bool,
) -> Plan:
    """Return the first frame of a session.

    Args:
        page: the parameters.
        tools: what the model may call.
        attempt: with or without handle.
        push_to_talk: the client says where turns begin and end.
        seeded: the conversation so far will be sent next.
    """
    notes: list[tuple[str, str]] = []
    system = page.Systemprompt.strip()
    languages = [page.Languagecode] if page.Languagecode else None
    vocabulary = [word.strip() for word in page.custom_vocabulary.split(",") if word.strip()]
    heard = wire.Transcription(language_codes=languages, custom_vocabulary=vocabulary or None)
    return Plan(
        setup=wire.Setup(
            model=path_of(page.Model),
            generation_config=_generation(page, notes),
            system_instruction=(
                wire.Content(role="user", parts=[wire.Part(text=system)]) if system else None
            ),
            tools=_tools(page, tools, notes) or None,
            realtime_input_config=_input(page, push_to_talk),
            session_resumption=(
                wire.SessionResumption(handle=attempt.handle or None)
                if attempt.resumption
                else None
            ),
            context_window_compression=_compression(page),
            input_audio_transcription=heard if page.Enableusertranscription else None,
            output_audio_transcription=(
                wire.Transcription() if page.Enableoutputtranscription else None
            ),
            history_config=(
                wire.HistoryConfig(initial_history_in_client_content=True) if seeded else None
            ),
        ),
        notes=notes,
    )


def _generation(page: Page, notes: list[tuple[str, str]]) -> wire.GenerationConfig:
    return wire.GenerationConfig(
        response_modalities=["AUDIO"],
        temperature=_set(page.temperature),
        top_p=_set(page.top_p),
        top_k=page.top_k if page.top_k > 0 else None,
        max_output_tokens=_longest(page, notes),
        seed=_set(page.seed),
        media_resolution=(
            f"MEDIA_RESOLUTION_{page.media_resolution}" if page.media_resolution else None
        ),
        speech_config=wire.SpeechConfig(
            voice_config=wire.VoiceConfig(
                prebuilt_voice_config=wire.PrebuiltVoice(voice_name=page.Voice or VOICES[0])
            ),
            language_code=page.Languagecode or None,
        ),
        thinking_config=_thinking(page, notes),
    )


def _set(value: Any) -> Any:
    """Return a number that the operator chose, None where it is the service's own choice."""
    return value if value >= 0 else None


def _longest(page: Page, notes: list[tuple[str, str]]) -> int | None:
    wanted, most = page.max_output_tokens, page.takes.longest_reply
    if wanted > most:
        notes.append(
            (
                "max_output_tokens",
                f"{page.takes.name} speaks {most} tokens at most: it is told {most}",
            )
        )
    return min(wanted, most) if wanted > 0 else None


def _thinking(page: Page, notes: list[tuple[str, str]]) -> wire.ThinkingConfig | None:
    model, level = page.takes, page.thinking_level.upper()
    if model.thinking is Thinking.BUDGET:
        return wire.ThinkingConfig(thinking_budget=page.Thinkingbudget)
    if level and level not in model.levels:
        takes = f"only {', '.join(model.levels)}" if model.levels else "none"
        notes.append(
            ("thinking_level", f"thinking_level {level} is left out: {model.name} takes {takes}")
        )
        level = ""
    if model.thinking is Thinking.LEVEL_REQUIRED and not level:
        level = model.levels[0]
    return wire.ThinkingConfig(thinking_level=level) if level else None


def _input(page: Page, push_to_talk: bool) -> wire.RealtimeInputConfig:
    handling = page.activity_handling
    if push_to_talk:
        # A press of Talk is a barge-in, whatever the page says of sound.
        detection, handling = wire.ActivityDetection(disabled=True), INTERRUPTS
    else:
        detection = wire.ActivityDetection(
            start_of_speech_sensitivity=_sensitivity("START", page.start_sensitivity),
            end_of_speech_sensitivity=_sensitivity("END", page.end_sensitivity),
            prefix_padding_ms=_set(page.prefix_padding_ms),
            silence_duration_ms=_set(page.silence_duration_ms),
        )
        handling = handling or (NO_INTERRUPTION if page.Bargein == "off" else INTERRUPTS)
    return wire.RealtimeInputConfig(
        automatic_activity_detection=detection,
        activity_handling=handling,
        turn_coverage=page.turn_coverage or page.takes.turn_coverage,
    )


def _sensitivity(edge: str, value: str) -> str | None:
    return f"{edge}_SENSITIVITY_{value}" if value else None


def _compression(page: Page) -> wire.Compression:
    """Always asked for: it lifts the service's limit of minutes, and bounds every turn's bill."""
    if page.compression_trigger_tokens <= 0:
        return wire.Compression(sliding_window=wire.SlidingWindow())
    return wire.Compression(
        trigger_tokens=page.compression_trigger_tokens,
        sliding_window=wire.SlidingWindow(
            target_tokens=page.compression_kept_tokens if page.compression_kept_tokens > 0 else None
        ),
    )


def _tools(
    page: Page, tools: Sequence[ToolDeclaration], notes: list[tuple[str, str]]
) -> list[wire.Tool]:
    found: list[wire.Tool] = []
    model = page.takes
    if page.Enablegrounding:
        found.append(wire.Tool(google_search=wire.Empty()))
        if tools and not model.searches_with_tools:
            notes.append(
                (
                    "grounding_conflict",
                    f"{model.name} cannot search and call tools in one session: the tools are "
                    "left out; switch Enablegrounding off to have them",
                )
            )
            return found
    declared = [_declaration(tool, model, notes) for tool in tools]
    functions = [function for function in declared if function is not None]
    if functions:
        found.append(wire.Tool(function_declarations=functions))
    return found


def _declaration(
    tool: ToolDeclaration, model: Model, notes: list[tuple[str, str]]
) -> wire.FunctionDeclaration | None:
    try:
        schema = msgspec.json.decode(tool.schema or "{}", type=dict[str, Any])
    except (msgspec.MsgspecError, RecursionError):
        notes.append(("bad_schema", f"the tool {tool.name} is left out: its schema is no object"))
        return None
    if schema.setdefault("type", "object") != "object":
        notes.append(("bad_schema", f"the tool {tool.name} is left out: its schema is no object's"))
        return None
    return wire.FunctionDeclaration(
        name=tool.name,
        description=tool.description,
        behavior=_behavior(tool, model),
        parameters_json_schema=schema if schema.get("properties") else None,
    )


def _behavior(tool: ToolDeclaration, model: Model) -> str | None:
    match model.behavior:
        case Behavior.EITHER:
            return "BLOCKING" if tool.blocking else "NON_BLOCKING"
        case Behavior.NON_BLOCKING:
            return "NON_BLOCKING"
        case Behavior.UNSET:
            return None
