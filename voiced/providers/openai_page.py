"""The page of OpenAI Realtime: every parameter once, with its range, its default and its sentence.

`Page` is the page as values; the rows that control shows are made from its fields.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

import msgspec

from voiced.errors import ProviderRefused
from voiced.messages.network import ProviderParameter, Value
from voiced.providers import page

MODELS = [
    "gpt-realtime-2.1",
    "gpt-realtime-2.1-mini",
    "gpt-realtime-2",
    "gpt-realtime-1.5",
    "gpt-realtime",
    "gpt-realtime-mini",
    "gpt-realtime-2025-08-28",
    "gpt-realtime-mini-2025-12-15",
    "gpt-realtime-mini-2025-10-06",
]
"""Of the service's page of models, 2026-11; Pricing tells which of them end, and when."""
VOICES = [
    "marin", "cedar", "alloy", "ash", "ballad", "coral", "echo", "sage", "shimmer", "verse",
]  # fmt: skip
TRANSCRIPTION_MODELS = [
    "gpt-transcribe",
    "gpt-live-transcribe",
    "gpt-realtime-whisper",
    "gpt-4o-transcribe",
    "gpt-4o-mini-transcribe",
    "whisper-1",
    "off",
]
"""Those from gpt-4o-transcribe on end on 2027-02-26."""


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """The page's values."""

    turn_detection: Annotated[
        Literal["server_vad", "semantic_vad", "none"],
        page.row(
            "How the service finds a turn's end: by silence, by sense, or not at all (the gate's "
            "edges are the turns); push_to_talk needs none of them",
            "session",
        ),
    ] = "server_vad"
    vad_threshold: Annotated[
        float,
        page.row(
            "server_vad: loudness from which sound is speech: higher in noisy rooms", ge=0, le=1
        ),
    ] = 0.5
    prefix_padding_ms: Annotated[
        int, page.row("server_vad: sound kept from before the speech, ms", ge=0, le=2000)
    ] = 300
    silence_duration_ms: Annotated[
        int,
        page.row(
            "server_vad: silence that ends a turn, ms: longer for slow speakers", ge=50, le=5000
        ),
    ] = 500
    eagerness: Annotated[
        Literal["auto", "low", "medium", "high"],
        page.row("semantic_vad: how soon it answers; low waits up to 8 s, medium 4 s, high 2 s"),
    ] = "auto"
    create_response: Annotated[
        bool, page.row("Answers spoken turns by itself; 0 only listens, and answers what is typed")
    ] = True
    interrupt_response: Annotated[
        bool,
        page.row(
            "The service stops its reply when a visitor speaks; 0 leaves that to this machine"
        ),
    ] = True
    idle_timeout_ms: Annotated[
        int,
        page.row(
            "server_vad: nobody spoke for so long after a reply: the voice speaks up, which "
            "costs; 5000 to 30000 ms, 0 = never",
            ge=0,
            le=30000,
        ),
    ] = 0
    noise_reduction: Annotated[
        Literal["far_field", "near_field", "off"],
        page.row("Cleans the microphone: near_field for a headset, far_field for one in the room"),
    ] = "far_field"
    noise_reduction_strength: Annotated[
        float, page.row("How much noise_reduction takes away", ge=0, le=1)
    ] = 1.0
    transcription_model: Annotated[
        str,
        page.row(
            "Writes down what visitors say, billed apart; off = nothing is written",
            options=TRANSCRIPTION_MODELS,
        ),
    ] = "gpt-transcribe"
    transcription_prompt: Annotated[
        str, page.row("Tells the transcription what to expect; not for gpt-realtime-whisper")
    ] = ""
    transcription_keywords: Annotated[
        str,
        page.row("Names to be spelt right, separated by commas; gpt-transcribe and -live alone"),
    ] = ""
    transcription_delay: Annotated[
        Literal["", "minimal", "low", "medium", "high", "xhigh"],
        page.row("gpt-realtime-whisper: longer is more exact; empty is the service's own"),
    ] = ""
    reasoning_effort: Annotated[
        Literal["minimal", "low", "medium", "high", "xhigh"],
        page.row("How long models from gpt-realtime-2 on think before they answer"),
    ] = "low"
    parallel_tool_calls: Annotated[
        bool, page.row("Lets models from gpt-realtime-2 on call several tools at once")
    ] = True
    tool_choice: Annotated[
        str,
        page.row(
            "auto, none, required, or the name of the tool that a turn calls; behind its result "
            "the voice is free",
            options=["auto", "none", "required"],
        ),
    ] = "auto"
    speed: Annotated[
        float, page.row("Pace of the voice, from the next reply on", ge=0.25, le=1.5)
    ] = 1.0
    max_output_tokens: Annotated[
        int, page.row("Longest reply, tokens (20 a second of voice); 0 = no limit", ge=0, le=4096)
    ] = 0
    output: Annotated[
        Literal["audio", "text"], page.row("audio speaks; text answers in writing alone")
    ] = "audio"
    truncation: Annotated[
        Literal["auto", "disabled", "retention_ratio"],
        page.row("What is forgotten when the conversation outgrows the model: the oldest, nothing "
              "(an error), or down to retention_ratio at once, which is cheaper"),
    ] = "auto"  # fmt: skip
    retention_ratio: Annotated[
        float, page.row("truncation retention_ratio: the part that is kept", ge=0, le=1)
    ] = 0.8
    token_limit: Annotated[
        int,
        page.row(
            "truncation retention_ratio: tokens of conversation re-sent with each reply at most: "
            "lower is cheaper; 0 = the model's own",
            ge=0,
            le=128000,
        ),
    ] = 0
    image_detail: Annotated[
        Literal["auto", "low", "high"],
        page.row("How closely a picture is looked at; low costs least", "now"),
    ] = "auto"
    tracing: Annotated[
        bool, page.row("Lets the service keep a trace of the session in its dashboard", "session")
    ] = False
    safety_identifier: Annotated[
        str, page.row("Names this installation to the service's abuse monitoring", "session")
    ] = ""
    organization: Annotated[str, page.row("OpenAI organization that is billed", "session")] = ""
    project: Annotated[str, page.row("OpenAI project that is billed", "session")] = ""


class Common(msgspec.Struct, frozen=True, kw_only=True, rename=str.capitalize):
    """What the service is told of the common parameters."""

    model: str = ""
    voice: str = ""
    systemprompt: str = ""
    languagecode: str = ""
    enableusertranscription: bool = True
    bargein: str = "auto"


class Values(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that the session's settings follow from."""

    page: Page
    common: Common

    @property
    def model(self) -> str:
        """The model; the default where none is named."""
        return self.common.model or MODELS[0]

    @property
    def reasons(self) -> bool:
        """Whether the model thinks before it answers, and takes what only such models take."""
        return "gpt-realtime-2" in self.model.replace("gpt-realtime-2025", "")

    @property
    def transcription(self) -> str:
        """The model that writes down what visitors say; "" = none."""
        chosen = self.page.transcription_model.strip()
        wanted = self.common.enableusertranscription and chosen not in ("", "off")
        return chosen if wanted else ""


def read(parameters: Mapping[str, Value]) -> Values:
    """Return the parameters as values.

    Raises:
        ProviderRefused: one that cannot be used; a configuration may hold anything.
    """
    try:
        return Values(
            page=msgspec.convert(dict(parameters), Page, strict=False),
            common=msgspec.convert(dict(parameters), Common, strict=False),
        )
    except msgspec.ValidationError as error:
        raise ProviderRefused(
            f"a parameter of openai_realtime cannot be used: {error}", "bad_value"
        ) from None


def rows() -> list[ProviderParameter]:
    """Return the page as control shows it."""
    model = ProviderParameter(
        name="Model",
        tag="s",
        default=MODELS[0],
        options=MODELS,
        open_menu=True,
        doc="From gpt-realtime-2 on they think before they answer; Pricing tells which end",
    )
    return [model, *page.rows(Page)]
