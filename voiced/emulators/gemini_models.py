"""What each model of Gemini Live can do: one table, from the wire reference's 1.4."""

from __future__ import annotations

from enum import Enum
from typing import Final

import msgspec

from voiced.emulators.gemini_wire import Behavior, ThinkingLevel


class Thinking(Enum):
    """What a model wants to be told about thinking."""

    NEVER = "thinkingConfig must be left out"
    REQUIRED = "thinkingLevel must be given"
    LEVEL = "thinkingLevel may be given"
    BUDGET = "thinkingBudget may be given"


class Model(msgspec.Struct, frozen=True, kw_only=True):
    """What one model takes and does."""

    thinking: Thinking
    levels: frozenset[ThinkingLevel] = frozenset()
    default_behavior: Behavior = Behavior.NON_BLOCKING
    blocking: bool = True
    """Whether behavior BLOCKING is taken; else it closes the connection."""
    silent_non_blocking: bool = False
    """Whether a NON_BLOCKING call is taken and never answered by speech."""
    scheduling: bool = True
    refuses_scheduling: bool = False
    """Whether the field closes the connection."""
    affective_on_alpha: bool = False
    affective_at_handshake: bool = False
    """Whether enableAffectiveDialog is refused in the set-up, not at the first content."""
    proactive_on_alpha: bool = False
    voice_activity: bool = False
    """Whether voiceActivity messages are sent."""
    in_progress: bool = False
    """Whether an exchange has turns that end with interactionStatus IN_PROGRESS."""
    idle: bool = True
    """Whether the last turn carries interactionStatus IDLE."""
    role_required: bool = True
    text_cuts_off: bool = True
    always_transcribes: bool = True
    """Whether inputTranscription comes without having been asked for."""
    seed_audio: bool = True
    context_update: bool = True
    first_resumption: bool = True
    """Whether sessionResumption without a handle is taken at the first connection."""
    resumable_mid_turn: bool = True
    max_out: int = 65536


CONTEXT: Final = 131072
"""Tokens that any model keeps."""
_LOW_TO_HIGH: Final = frozenset({ThinkingLevel.LOW, ThinkingLevel.MEDIUM, ThinkingLevel.HIGH})
_NATIVE_25: Final = Model(
    thinking=Thinking.BUDGET,
    default_behavior=Behavior.BLOCKING,
    affective_on_alpha=True,
    proactive_on_alpha=True,
    idle=False,
    role_required=False,
    text_cuts_off=False,
    always_transcribes=False,
    seed_audio=False,
    context_update=False,
    resumable_mid_turn=False,
    max_out=8192,
)

MODELS: Final = {
    "gemini-3.8-live": Model(thinking=Thinking.NEVER),
    "gemini-3.8-live-extended-thinking": Model(
        thinking=Thinking.REQUIRED,
        levels=_LOW_TO_HIGH,
        blocking=False,
        scheduling=False,
        refuses_scheduling=True,
        in_progress=True,
    ),
    "gemini-3.1-flash-live-preview": Model(
        thinking=Thinking.LEVEL,
        levels=_LOW_TO_HIGH | {ThinkingLevel.MINIMAL},
        default_behavior=Behavior.BLOCKING,
        silent_non_blocking=True,
        scheduling=False,
        affective_at_handshake=True,
        voice_activity=True,
        idle=False,
        context_update=False,
    ),
    "gemini-2.5-flash-native-audio-preview-12-2025": _NATIVE_25,
    "gemini-2.5-flash-native-audio-latest": msgspec.structs.replace(
        _NATIVE_25, first_resumption=False
    ),
}

VOICES: Final = frozenset(
    {
        "Achernar", "Achird", "Algenib", "Algieba", "Alnilam", "Aoede", "Autonoe", "Callirrhoe",
        "Charon", "Despina", "Enceladus", "Erinome", "Fenrir", "Gacrux", "Iapetus", "Kore",
        "Laomedeia", "Leda", "Orus", "Pulcherrima", "Puck", "Rasalgethi", "Sadachbia",
        "Sadaltager", "Schedar", "Sulafat", "Umbriel", "Vindemiatrix", "Zephyr", "Zubenelgenubi",
    }
)  # fmt: skip
"""Prebuilt voices, the same for all models."""
