"""The page of xAI Grok Voice: every parameter once, with its range, its default and its sentence.

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
    "grok-voice-3.0",
    "grok-voice-latest",
    "grok-voice-2.0",
    "grok-voice-think-fast-2.0",
    "grok-voice-think-fast-1.0",
    "grok-voice-fast-1.0",
]
"""Of the service's pages, 2026-11; grok-voice-latest is 3.0 under a name that will move on."""
VOICES = [
    "eve", "ara", "leo", "rex", "sal", "carina", "zagan", "helix", "orion", "luna", "iris",
    "altair", "zenith", "perseus", "helios", "lux", "kepler", "rigel", "cosmo", "celeste", "ursa",
    "sirius", "lumen", "castor", "naksh", "atlas", "aurora", "liora",
]  # fmt: skip
RECOGNISER = "grok-transcribe"
"""The only one, and the only way to words while they are spoken."""


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """The page's values."""

    turn_detection: Annotated[
        Literal["server_vad", "none"],
        page.row(
            "How a turn's end is found: by silence, or not at all (the gate's edges are the "
            "turns); push_to_talk needs neither",
            "session",
        ),
    ] = "server_vad"
    vad_threshold: Annotated[
        float,
        page.row("Loudness from which sound is speech: higher in noisy rooms", ge=0.1, le=0.9),
    ] = 0.85
    prefix_padding_ms: Annotated[
        int, page.row("Sound kept from before the speech, ms", ge=0, le=2000)
    ] = 333
    silence_duration_ms: Annotated[
        int, page.row("Silence that ends a turn, ms: longer for slow speakers", ge=50, le=5000)
    ] = 600
    idle_timeout_ms: Annotated[
        int,
        page.row(
            "Nobody spoke for so long after a reply: the voice speaks up, which costs; ms, "
            "0 = never",
            ge=0,
            le=60000,
        ),
    ] = 0
    reasoning_effort: Annotated[
        Literal["high", "none"],
        page.row("high thinks before it answers; none answers sooner"),
    ] = "high"
    keyterms: Annotated[
        str,
        page.row("Names to be spelt right, separated by commas; at most 100 of 50 characters"),
    ] = ""
    replace: Annotated[
        str,
        page.row("Words to be spoken as others, as Acme=Akmee, separated by commas"),
    ] = ""
    speed: Annotated[float, page.row("Pace of the voice", ge=0.7, le=1.5)] = 1.0
    resumption: Annotated[
        Literal["replay", "native"],
        page.row(
            "How a new connection learns of the conversation: replay tells it all again, free of "
            "charge; native leaves it to xAI, which forgets what visitors said and tools did, and "
            "everything after 30 minutes",
            "session",
        ),
    ] = "replay"
    web_allowed_domains: Annotated[
        str, page.row("Enablegrounding: searches these sites alone, separated by commas; at most 5")
    ] = ""
    web_excluded_domains: Annotated[
        str, page.row("Enablegrounding: never searches these sites; not beside web_allowed_domains")
    ] = ""
    x_search: Annotated[bool, page.row("Lets it search X; each search is billed")] = False
    x_allowed_handles: Annotated[
        str, page.row("x_search: what these accounts wrote alone, separated by commas; at most 20")
    ] = ""
    x_excluded_handles: Annotated[
        str, page.row("x_search: never what these accounts wrote; not beside x_allowed_handles")
    ] = ""
    x_from_date: Annotated[str, page.row("x_search: nothing older, as 2026-11-22")] = ""
    x_to_date: Annotated[str, page.row("x_search: nothing newer, as 2026-11-22")] = ""
    file_collections: Annotated[
        str,
        page.row("Lets it search these collections of documents, ids separated by commas; each "
              "search is billed"),
    ] = ""  # fmt: skip
    file_results: Annotated[
        int, page.row("file_collections: passages that a search finds at most", ge=1, le=50)
    ] = 10
    mcp_server_url: Annotated[
        str, page.row("Lets it use the tools of an open MCP server, which xAI calls by itself")
    ] = ""
    mcp_server_label: Annotated[str, page.row("mcp_server_url: what the model calls it")] = ""
    mcp_allowed_tools: Annotated[
        str, page.row("mcp_server_url: these tools alone, separated by commas")
    ] = ""


class Common(msgspec.Struct, frozen=True, kw_only=True, rename=str.capitalize):
    """What the service is told of the common parameters."""

    model: str = ""
    voice: str = ""
    systemprompt: str = ""
    languagecode: str = ""
    enableusertranscription: bool = True
    enablegrounding: bool = False
    bargein: str = "auto"


class Values(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that the session's settings follow from."""

    page: Page
    common: Common

    @property
    def model(self) -> str:
        """The model; the default where none is named."""
        return self.common.model.strip() or MODELS[0]

    @property
    def voice(self) -> str:
        """The voice as the service spells it; the default where none is named."""
        voice = self.common.voice.strip()
        return voice.lower() if voice.lower() in VOICES else voice or VOICES[0]

    @property
    def resumes(self) -> bool:
        """Whether the service is to remember the conversation for the next connection."""
        return self.page.resumption == "native"


def listed(text: str) -> list[str]:
    """Return what a row holds that is a list, separated by commas; each once."""
    return list(dict.fromkeys(word.strip() for word in text.split(",") if word.strip()))


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
            f"a parameter of xai_grok cannot be used: {error}", "bad_value"
        ) from None


def rows() -> list[ProviderParameter]:
    """Return the page as control shows it."""
    model = ProviderParameter(
        name="Model",
        tag="s",
        default=MODELS[0],
        options=MODELS,
        open_menu=True,
        doc="An unknown one is silently replaced by the service's default",
    )
    return [model, *page.rows(Page)]
