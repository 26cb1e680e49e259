"""What each Gemini Live model takes and does: one row a model, nothing else branches on a name.

The rows are the wire reference's table of model differences. A model that is not listed is treated
as the listed one whose family it names; a name of no family at all as the newest.
"""

from __future__ import annotations

from enum import Enum

import msgspec

PREFIX = "models/"


class Thinking(Enum):
    """How a model is told to reason."""

    NONE = "none"
    """thinkingConfig is refused."""
    LEVEL = "level"
    """thinkingLevel, which may be left out."""
    LEVEL_REQUIRED = "level_required"
    BUDGET = "budget"
    """thinkingBudget."""


class Behavior(Enum):
    """How a model may be told to wait for a function."""

    EITHER = "either"
    UNSET = "unset"
    """It always waits; saying otherwise silences it."""
    NON_BLOCKING = "non_blocking"
    """It never waits; asking it to is refused."""


class Model(msgspec.Struct, frozen=True, kw_only=True):
    """What one model takes."""

    name: str
    thinking: Thinking = Thinking.NONE
    levels: tuple[str, ...] = ()
    """Thinking levels, the lowest first."""
    behavior: Behavior = Behavior.EITHER
    scheduling: bool = True
    """A function response may say when it is to be spoken of."""
    searches_with_tools: bool = True
    """Search grounding and functions go together in one session."""
    answers_lost_calls: bool = False
    """A call that a resumed session had open must be answered, or the next turn is swallowed."""
    longest_reply: int = 65536
    """Tokens."""
    turn_coverage: str = "TURN_INCLUDES_AUDIO_ACTIVITY_AND_ALL_VIDEO"
    """The model's own default."""


_LEVELS = ("LOW", "MEDIUM", "HIGH")

LIVE = Model(name="gemini-3.8-live", answers_lost_calls=True)
EXTENDED_THINKING = Model(
    name="gemini-3.8-live-extended-thinking",
    thinking=Thinking.LEVEL_REQUIRED,
    levels=_LEVELS,
    behavior=Behavior.NON_BLOCKING,
    scheduling=False,
    answers_lost_calls=True,
)
FLASH = Model(
    name="gemini-3.1-flash-live-preview",
    thinking=Thinking.LEVEL,
    levels=("MINIMAL", *_LEVELS),
    behavior=Behavior.UNSET,
    scheduling=False,
    searches_with_tools=False,
)
NATIVE_AUDIO = Model(
    name="gemini-2.5-flash-native-audio-preview-12-2025",
    thinking=Thinking.BUDGET,
    searches_with_tools=False,
    longest_reply=8192,
    turn_coverage="TURN_INCLUDES_ONLY_ACTIVITY",
)

HALF_CASCADE = Model(
    name="gemini-2.0-flash-live-001",
    searches_with_tools=False,
    longest_reply=8192,
    turn_coverage="TURN_INCLUDES_ONLY_ACTIVITY",
)

MODELS = (LIVE, EXTENDED_THINKING, FLASH, NATIVE_AUDIO)
"""The menu, the default first."""

_FAMILIES = (
    ("extended-thinking", EXTENDED_THINKING),
    ("gemini-3.1", FLASH),
    ("gemini-3-", FLASH),
    ("gemini-2.0", HALF_CASCADE),
    ("gemini-2", NATIVE_AUDIO),
)
"""Part of a free name -> the row it is treated as."""

VOICES = (
    "Kore", "Achernar", "Achird", "Algenib", "Algieba", "Alnilam", "Aoede", "Autonoe",
    "Callirrhoe", "Charon", "Despina", "Enceladus", "Erinome", "Fenrir", "Gacrux", "Iapetus",
    "Laomedeia", "Leda", "Orus", "Puck", "Pulcherrima", "Rasalgethi", "Sadachbia", "Sadaltager",
    "Schedar", "Sulafat", "Umbriel", "Vindemiatrix", "Zephyr", "Zubenelgenubi",
)  # fmt: skip
"""The same for every model, the default first."""


def bare(name: str) -> str:
    """Return a model's name as price lists know it; "" is the default model."""
    return name.strip().removeprefix(PREFIX) or LIVE.name


def model_of(name: str) -> Model:
    """Return the row of a model, of the family it names, or of the default."""
    name = bare(name)
    for model in MODELS:
        if name == model.name:
            return model
    for part, model in _FAMILIES:
        if part in name:
            return model
    return LIVE


def path_of(name: str) -> str:
    """Return a model's name as the service wants it."""
    name = bare(name)
    return name if "/" in name else PREFIX + name
