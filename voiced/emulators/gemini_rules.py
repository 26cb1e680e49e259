"""What Gemini Live allows in a message, each rule with the close code and the words of its refusal.

Pure. Source: wire reference 1.2, 1.4, 1.5 and close_codes.json. The order of messages is the
session's own business (`gemini`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

import msgspec

from voiced.emulators.gemini_models import CONTEXT, MODELS, VOICES, Model, Thinking
from voiced.emulators.gemini_wire import (
    Behavior,
    Blob,
    ClientContent,
    Content,
    FunctionDeclaration,
    FunctionResponse,
    GenerationConfig,
    Modality,
    Part,
    RealtimeInput,
    Scheduling,
    Setup,
    Tool,
)

INVALID: Final = "Request contains an invalid argument."
UNSUPPORTED: Final = "Operation is not implemented, or supported, or enabled."
_FUNCTION: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.:-]{0,127}")
_LANGUAGE: Final = re.compile(r"[a-z]{2,3}(-[A-Za-z0-9]{2,8})*")
_PCM: Final = re.compile(r"audio/pcm(;\s*rate=(\d+))?")
_JPEG: Final = b"\xff\xd8\xff"
_RATE: Final = 16000
_ONE_OF: Final = ("text", "inline_data", "function_call", "function_response", "file_data")
_BUILT_IN: Final = (
    "code_execution", "url_context", "google_maps", "google_search_retrieval", "computer_use",
    "file_search",
)  # fmt: skip


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """Something in a client's message that is not allowed."""

    path: str
    rule: str
    """What is wrong, as a sentence."""
    code: int = 0
    """Close code; 0 = the service puts up with it."""
    reason: str = INVALID
    """Close reason: the service's own words."""


def check_setup(setup: Setup, version: str) -> Iterator[Finding]:
    """Yield what is wrong with a set-up on this version of the API ("v1beta")."""
    name = (setup.model or "").removeprefix("models/")
    model = MODELS.get(name)
    if not (setup.model or "").startswith("models/") or model is None:
        reason = (
            f"{setup.model} is not found for API version {version}, or is not supported for "
            "bidiGenerateContent. Call ListModels"
        )
        yield Finding(
            path="setup.model", rule=f"no model {setup.model!r}", code=1008, reason=reason
        )
        return
    config = setup.generation_config or GenerationConfig()
    yield from _generation(config, model, name)
    yield from _thinking(config, model)
    yield from _alpha(setup, config, model, version)
    yield from check_instruction(setup.system_instruction, "setup.system_instruction")
    yield from check_tools(setup.tools or [], model, "setup.tools")
    yield from _turn_taking(setup)
    yield from _window(setup)
    for field in ("input_audio_transcription", "output_audio_transcription"):
        wanted = getattr(setup, field)
        for code in (wanted and wanted.language_codes) or []:
            if not _LANGUAGE.fullmatch(code):
                path = f"setup.{field}.language_codes"
                yield Finding(path=path, rule=f"{code!r} is no BCP-47 code", code=1007)
    for at, setting in enumerate(setup.safety_settings or []):
        if setting.category is None or setting.threshold is None:
            path = f"setup.safety_settings[{at}]"
            yield Finding(path=path, rule="needs category and threshold", code=1007)


def _generation(config: GenerationConfig, model: Model, name: str) -> Iterator[Finding]:
    here = "setup.generation_config"
    modalities = config.response_modalities
    if modalities is not None and modalities != [Modality.AUDIO]:
        shown = ", ".join(one.value for one in modalities)
        yield Finding(
            path=f"{here}.response_modalities",
            rule="only AUDIO can be had",
            code=1007,
            reason=f"The requested combination of response modalities ({shown}) is not supported "
            f"by the model. models/{name}",
        )
    limits: list[tuple[str, float | None, float, float]] = [
        ("temperature", config.temperature, 0, 2),
        ("top_p", config.top_p, 0, 1),
        ("top_k", config.top_k, 1, 1000),
        ("max_output_tokens", config.max_output_tokens, 1, model.max_out),
        ("seed", config.seed, -(2**31), 2**31 - 1),
        ("candidate_count", config.candidate_count, 1, 1),
    ]
    for field, value, low, high in limits:
        if value is not None and not low <= value <= high:
            rule = f"{value} is not between {low} and {high}"
            yield Finding(path=f"{here}.{field}", rule=rule, code=1007)
    speech = config.speech_config
    if speech is None:
        return
    voice = speech.voice_config and speech.voice_config.prebuilt_voice_config
    if voice and voice.voice_name not in VOICES:
        yield Finding(
            path=f"{here}.speech_config.voice_config.prebuilt_voice_config.voice_name",
            rule=f"no voice {voice.voice_name!r}",
            code=1007,
            reason=f"Requested voice api_name '{voice.voice_name}' is not available for model "
            f"{name}",
        )
    if speech.language_code is not None and not _LANGUAGE.fullmatch(speech.language_code):
        path = f"{here}.speech_config.language_code"
        rule = f"{speech.language_code!r} is no BCP-47 code"
        reason = f"Unsupported language code '{speech.language_code}' for model models/{name}"
        yield Finding(path=path, rule=rule, code=1007, reason=reason)


def _thinking(config: GenerationConfig, model: Model) -> Iterator[Finding]:
    given = config.thinking_config
    level = given.thinking_level if given else None
    budget = given.thinking_budget if given else None
    here = "setup.generation_config.thinking_config"
    must, cannot = (
        "Thinking level must be specified for this model",
        "Thinking level is not supported for this model",
    )

    def refused(rule: str, reason: str) -> Finding:
        return Finding(path=here, rule=rule, code=1007, reason=reason)

    match model.thinking:
        case Thinking.NEVER:
            if given is not None:
                yield refused("must be left out", cannot)
        case Thinking.REQUIRED:
            if budget is not None:
                yield refused("takes a level, no budget", INVALID)
            elif level is None:
                yield refused("a level is required", must)
            elif level not in model.levels:
                yield refused(f"no level {level.value}", cannot)
        case Thinking.LEVEL:
            if level is not None and level not in model.levels:
                yield refused(f"no level {level.value}", cannot)
            if budget is not None:
                yield Finding(path=here, rule="takes a level; the budget is ignored")
        case Thinking.BUDGET:
            if level is not None:
                yield refused("takes a budget, no level", cannot)
            if budget is not None and not -1 <= budget <= 24576:
                yield refused(f"no budget {budget}", INVALID)


def _alpha(setup: Setup, config: GenerationConfig, model: Model, version: str) -> Iterator[Finding]:
    """Yield what only v1alpha knows, and there only some models."""

    def unknown(name: str, where: str) -> Finding:
        return Finding(
            path=f"{where}.{name}",
            rule=f"{version} does not know it",
            code=1007,
            reason=f"Invalid JSON payload received. Unknown name \"{name}\" at '{where}': Cannot "
            "find field.",
        )

    if setup.proactivity is not None:
        if version != "v1alpha":
            yield unknown("proactivity", "setup")
        elif not model.proactive_on_alpha:
            rule = "this model takes no proactivity"
            yield Finding(path="setup.proactivity", rule=rule, code=1007)
    if config.enable_affective_dialog is not None:
        path = "setup.generation_config.enable_affective_dialog"
        if model.affective_at_handshake:
            yield Finding(path=path, rule="this model takes no affective dialog", code=1007)
        elif model.affective_on_alpha and version != "v1alpha":
            yield unknown("enableAffectiveDialog", "setup.generation_config")
        elif not model.affective_on_alpha:
            # The set-up passes; the first content is refused: `refuses_content`.
            yield Finding(path=path, rule="this model takes no affective dialog")
    if setup.session_resumption is not None and setup.session_resumption.transparent is not None:
        yield unknown("transparent", "setup.session_resumption")
    if setup.avatar_config is not None:
        yield Finding(path="setup.avatar_config", rule="no model here has an avatar", code=1007)


def refuses_content(setup: Setup, model: Model) -> bool:
    """Whether the first content after this set-up is refused with 1007."""
    config = setup.generation_config
    removed = not (model.affective_on_alpha or model.affective_at_handshake)
    return removed and config is not None and config.enable_affective_dialog is not None


def check_tools(tools: list[Tool], model: Model, here: str) -> Iterator[Finding]:
    """Yield what is wrong with tools at `here`."""
    names: set[str] = set()
    for at, tool in enumerate(tools):
        path = f"{here}[{at}]"
        for field in _BUILT_IN:
            if getattr(tool, field) is not None:
                rule = "search is the only built-in tool of a live session"
                yield Finding(path=f"{path}.{field}", rule=rule, code=1007, reason=UNSUPPORTED)
        if tool.function_declarations is None and tool.google_search is None:
            yield Finding(path=path, rule="an empty tool", code=1007)
        for n, function in enumerate(tool.function_declarations or []):
            yield from _function(function, names, model, f"{path}.function_declarations[{n}]")


def _function(
    function: FunctionDeclaration, names: set[str], model: Model, here: str
) -> Iterator[Finding]:
    name = function.name or ""
    if not _FUNCTION.fullmatch(name):
        reason = (
            "Invalid function name. Must start with a letter or an underscore. Must be "
            "alphameric, underscores, dots, colons or dashes"
        )
        yield Finding(path=f"{here}.name", rule=f"no name: {name!r}", code=1007, reason=reason)
    if name in names:
        reason = f"Duplicate function declaration found: {name}"
        yield Finding(path=f"{here}.name", rule="is there twice", code=1007, reason=reason)
    names.add(name)
    if not function.description:
        yield Finding(path=f"{here}.description", rule="a function needs a description")
    schema = function.parameters_json_schema
    if schema is not None and function.parameters is not None:
        rule = "parameters and parametersJsonSchema exclude each other"
        yield Finding(path=here, rule=rule, code=1007)
    if schema is not None and not (isinstance(schema, dict) and schema.get("type") == "object"):
        rule = "must be a JSON schema of an object"
        yield Finding(path=f"{here}.parameters_json_schema", rule=rule, code=1007)
    if function.parameters is not None and function.parameters.type is None:
        yield Finding(path=f"{here}.parameters.type", rule="a schema needs a type", code=1007)
    if function.behavior is Behavior.BLOCKING and not model.blocking:
        reason = "BLOCKING function calls are not supported for this model"
        path = f"{here}.behavior"
        yield Finding(path=path, rule="only NON_BLOCKING here", code=1007, reason=reason)


def _turn_taking(setup: Setup) -> Iterator[Finding]:
    config = setup.realtime_input_config
    detection = config.automatic_activity_detection if config else None
    if detection is None:
        return
    here = "setup.realtime_input_config.automatic_activity_detection"
    for field in ("prefix_padding_ms", "silence_duration_ms"):
        value = getattr(detection, field)
        if value is not None and detection.disabled:
            yield Finding(path=f"{here}.{field}", rule="stands beside disabled", code=1007)
        elif value is not None and value < 0:
            yield Finding(path=f"{here}.{field}", rule="is negative", code=1007)
    for field in ("start_of_speech_sensitivity", "end_of_speech_sensitivity"):
        if getattr(detection, field) is not None and detection.disabled:
            yield Finding(path=f"{here}.{field}", rule="disabled must stand alone")


def _window(setup: Setup) -> Iterator[Finding]:
    window = setup.context_window_compression
    if window is None:
        return
    here = "setup.context_window_compression"
    trigger = CONTEXT * 8 // 10 if window.trigger_tokens is None else window.trigger_tokens
    if not 0 < trigger <= CONTEXT:
        path = f"{here}.trigger_tokens"
        yield Finding(path=path, rule=f"is not between 1 and {CONTEXT}", code=1007)
    if window.sliding_window is None:
        yield Finding(path=f"{here}.sliding_window", rule="is missing: nothing is compressed")
        return
    target = window.sliding_window.target_tokens
    if target is not None and not 0 <= target < trigger:
        path = f"{here}.sliding_window.target_tokens"
        yield Finding(path=path, rule="is not below triggerTokens", code=1007)


def check_instruction(content: Content | None, here: str) -> Iterator[Finding]:
    """Yield what is wrong with a system instruction at `here`."""
    for at, part in enumerate((content and content.parts) or []):
        if part.text is None:
            yield Finding(path=f"{here}.parts[{at}]", rule="takes text alone", code=1007)


def check_content(content: ClientContent, model: Model, *, history: bool) -> Iterator[Finding]:
    """Yield what is wrong with turns; `history` = they are read as the conversation so far."""
    roles: list[str | None] = []
    for at, turn in enumerate(content.turns or []):
        here = f"client_content.turns[{at}]"
        roles.append(turn.role)
        if turn.role is None:
            code = 1007 if model.role_required else 0
            yield Finding(path=f"{here}.role", rule="every turn needs a role", code=code)
        elif turn.role not in ("user", "model"):
            yield Finding(
                path=f"{here}.role",
                rule=f"no role {turn.role!r}",
                code=1007,
                reason="Please use a valid role: user, model.",
            )
        if not turn.parts:
            yield Finding(path=f"{here}.parts", rule="a turn needs parts", code=1007)
        for n, part in enumerate(turn.parts or []):
            yield from _part(part, model, f"{here}.parts[{n}]")
    alternating = all(one != other for one, other in zip(roles, roles[1:], strict=False))
    if history and not alternating:
        yield Finding(path="client_content.turns", rule="roles of a history alternate")


def _part(part: Part, model: Model, here: str) -> Iterator[Finding]:
    given = [name for name in _ONE_OF if getattr(part, name) is not None]
    if len(given) != 1:
        rule = "a part holds exactly one of text, inlineData and the like"
        yield Finding(path=here, rule=rule, code=1007)
    blob = part.inline_data
    if blob is None:
        return
    mime = blob.mime_type or ""
    if mime.startswith("audio/"):
        if not model.seed_audio:
            reason = "Precondition check failed."
            yield Finding(path=here, rule="no audio here", code=1007, reason=reason)
        elif _rate(mime) != _RATE:
            yield Finding(path=here, rule=f"audio must be {_RATE} Hz", code=1008)
    elif mime == "image/jpeg":
        yield from _jpeg(blob, f"{here}.inline_data")
    elif not mime.startswith("image/"):
        yield Finding(path=f"{here}.inline_data.mime_type", rule=f"no type {mime!r}", code=1007)


def check_realtime(message: RealtimeInput) -> Iterator[Finding]:
    """Yield what is wrong with one realtime input, apart from its place in the order."""
    here = "realtime_input"
    given = [name for name in message.__struct_fields__ if getattr(message, name) is not None]
    if len(given) != 1:
        rule = f"holds exactly one field, not {len(given)}"
        yield Finding(path=here, rule=rule, code=1007)
    if message.audio is not None:
        yield from _audio(message.audio, f"{here}.audio")
    if message.media_chunks is not None:
        yield Finding(path=f"{here}.media_chunks", rule="is the old form: use audio or video")
        for at, blob in enumerate(message.media_chunks):
            yield from _audio(blob, f"{here}.media_chunks[{at}]")
    if message.video is not None:
        if message.video.mime_type != "image/jpeg":
            path = f"{here}.video.mime_type"
            rule = f"no type {message.video.mime_type!r}: image/jpeg"
            yield Finding(path=path, rule=rule, code=1007)
        yield from _jpeg(message.video, f"{here}.video")


def _audio(blob: Blob, here: str) -> Iterator[Finding]:
    rate = _rate(blob.mime_type or "")
    if rate is None:
        rule = f"no type {blob.mime_type!r}: audio/pcm;rate={_RATE}"
        yield Finding(path=f"{here}.mime_type", rule=rule, code=1007)
    elif rate != _RATE:
        yield Finding(path=f"{here}.mime_type", rule=f"rate is {rate}, not {_RATE}")
    if not blob.data:
        yield Finding(path=f"{here}.data", rule="is empty")
    elif len(blob.data) % 2:
        yield Finding(path=f"{here}.data", rule="half a sample: odd length", code=1007)


def _rate(mime: str) -> int | None:
    """Return the rate a type names; None = it is no PCM."""
    found = _PCM.fullmatch(mime)
    return int(found.group(2) or _RATE) if found else None


def _jpeg(blob: Blob, here: str) -> Iterator[Finding]:
    if not (blob.data or b"").startswith(_JPEG):
        yield Finding(
            path=f"{here}.data",
            rule="is no JPEG: it does not begin with FF D8 FF",
            code=1007,
            reason="Unable to process input image. Please retry or report in https://"
            "developers.generativeai.google/guide/troubleshooting",
        )


def check_response(
    response: FunctionResponse, called: str | None, model: Model, here: str
) -> Iterator[Finding]:
    """Yield what is wrong with a function response.

    Args:
        response: it.
        called: name of the function that was called under its id; None = no such call is open.
        model: that called.
        here: its path.
    """
    if not response.id:
        yield Finding(path=f"{here}.id", rule="is required", code=1007)
    elif called is None:
        rule = f"no call {response.id} is waiting"
        yield Finding(path=f"{here}.id", rule=rule, code=1007)
    if not response.name:
        yield Finding(path=f"{here}.name", rule="is required: unnamed counts as failed")
    elif called is not None and response.name != called:
        rule = f"{response.id} called {called}, not {response.name}"
        yield Finding(path=f"{here}.name", rule=rule, code=1007)
    if response.response is None:
        yield Finding(path=f"{here}.response", rule="must be an object", code=1007)
    if response.scheduling in (None, Scheduling.SCHEDULING_UNSPECIFIED):
        return
    if model.refuses_scheduling:
        yield Finding(
            path=f"{here}.scheduling",
            rule="this model takes none",
            code=1007,
            reason="Function response scheduling is not supported for this model",
        )
    elif not model.scheduling:
        # With a BLOCKING call it means nothing either, but the vendor's own client sends it there.
        yield Finding(path=f"{here}.scheduling", rule="this model ignores it")
