"""The operator's page of Gemini Live: its rows, and their values in their own types."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated

import msgspec

from voiced.errors import ProviderRefused
from voiced.messages.network import ProviderParameter, Value
from voiced.providers import gemini_models

TRIGGER_TOKENS = 25_600
KEPT_TOKENS = 12_800
INTERRUPTS, NO_INTERRUPTION = "START_OF_ACTIVITY_INTERRUPTS", "NO_INTERRUPTION"
TURN_COVERAGES = (
    "TURN_INCLUDES_AUDIO_ACTIVITY_AND_ALL_VIDEO",
    "TURN_INCLUDES_ONLY_ACTIVITY",
    "TURN_INCLUDES_ALL_INPUT",
)
OWN = -1
"""A number that leaves the choice to the service."""


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """The parameters that count here, in their own types."""

    Model: str = ""
    Voice: str = ""
    Bargein: str = "auto"
    Languagecode: str = ""
    Systemprompt: str = ""
    Enableusertranscription: bool = True
    Enableoutputtranscription: bool = True
    Enablegrounding: bool = False
    Enablesessionresumption: bool = True
    Thinkingbudget: Annotated[int, msgspec.Meta(ge=0)] = 0
    thinking_level: str = ""
    temperature: float = OWN
    top_p: float = OWN
    top_k: int = OWN
    max_output_tokens: int = OWN
    seed: int = OWN
    media_resolution: str = ""
    activity_handling: str = ""
    turn_coverage: str = ""
    start_sensitivity: str = ""
    end_sensitivity: str = ""
    prefix_padding_ms: int = OWN
    silence_duration_ms: int = OWN
    custom_vocabulary: str = ""
    compression_trigger_tokens: int = TRIGGER_TOKENS
    compression_kept_tokens: int = KEPT_TOKENS
    tool_scheduling: str = ""
    endpoint: str = ""

    @property
    def takes(self) -> gemini_models.Model:
        """What its model takes."""
        return gemini_models.model_of(self.Model)


def page_of(parameters: Mapping[str, Value]) -> Page:
    """Return the page.

    Raises:
        ProviderRefused: a value that is none of its kind, or does not go with another.
    """
    try:
        page = msgspec.convert(dict(parameters), Page, strict=False)
    except msgspec.ValidationError as error:
        raise ProviderRefused(f"Gemini cannot take that: {error}", "bad_value") from None
    trigger, kept = page.compression_trigger_tokens, page.compression_kept_tokens
    if 0 < trigger <= kept:
        raise ProviderRefused(
            f"compression_kept_tokens ({kept}) must be less than compression_trigger_tokens "
            f"({trigger})",
            "bad_value",
        )
    return page


def _menu(name: str, options: Sequence[str], doc: str) -> ProviderParameter:
    return ProviderParameter(name=name, tag="s", default="", options=["", *options], doc=doc)


def _number(
    name: str, default: float, low: float, high: float, doc: str, *, tag: str = "i"
) -> ProviderParameter:
    return ProviderParameter(
        name=name, tag=tag, default=default, minimum=low, maximum=high, doc=doc
    )


def rows() -> list[ProviderParameter]:
    """Return the provider's own page; empty and -1 leave the choice to the service."""
    own = OWN
    return [
        ProviderParameter(
            name="Model",
            tag="s",
            default=gemini_models.MODELS[0].name,
            options=[model.name for model in gemini_models.MODELS],
            open_menu=True,
            doc="What answers",
        ),
        _menu(
            "thinking_level",
            ("MINIMAL", "LOW", "MEDIUM", "HIGH"),
            "How much is thought before the reply, where the model takes a level",
        ),
        _number("temperature", float(own), own, 2.0, "How far replies wander; -1 = own", tag="f"),
        _number("top_p", float(own), own, 1.0, "Nucleus of words drawn from; -1 = own", tag="f"),
        _number("top_k", own, own, 1000, "How many words are drawn from; -1 = own"),
        _number("max_output_tokens", own, own, 65536, "Longest reply, tokens; -1 = own"),
        _number("seed", own, own, 2**31 - 1, "Same seed, same chance; -1 = none"),
        _menu("media_resolution", ("LOW", "MEDIUM", "HIGH"), "How closely pictures are looked at"),
        _menu(
            "activity_handling",
            (INTERRUPTS, NO_INTERRUPTION),
            "Whether speech cuts the reply; empty follows Bargein, Talk always cuts",
        ),
        _menu("turn_coverage", TURN_COVERAGES, "What of the input is in a turn"),
        _menu("start_sensitivity", ("HIGH", "LOW"), "How easily sound is taken for speech"),
        _menu("end_sensitivity", ("HIGH", "LOW"), "How easily a pause is taken for the turn's end"),
        _number("prefix_padding_ms", own, own, 5000, "Speech that starts a turn, ms; -1 = own"),
        _number("silence_duration_ms", own, own, 10000, "Silence that ends a turn, ms; -1 = own"),
        ProviderParameter(
            name="custom_vocabulary",
            tag="s",
            default="",
            doc="Names and rare words that visitors say, separated by commas",
        ),
        _number(
            "compression_trigger_tokens",
            TRIGGER_TOKENS,
            0,
            131072,
            "Context from which its oldest part is dropped, tokens; every turn pays for all of it",
        ),
        _number(
            "compression_kept_tokens",
            KEPT_TOKENS,
            0,
            131071,
            "What is kept of it then, tokens; 0 = half",
        ),
        _menu(
            "tool_scheduling",
            ("WHEN_IDLE", "INTERRUPT", "SILENT"),
            "When the result of a tool that is not waited for is spoken of",
        ),
    ]
