"""Between control and the network process.

Every message about a conversation carries `agent` and `leg`: one leg is one provider connection of
a session. Frames are near positions of the agent's lane, milliseconds are of the item's own audio.
"""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from voiced.messages.framing import Attach, Hello, Message, Shutdown
from voiced.messages.prices import PriceList

Value: TypeAlias = bool | int | float | str


class ToolDeclaration(Message, frozen=True, kw_only=True):
    """One tool as the model sees it."""

    name: str
    description: str
    schema: str
    """JSON schema of its arguments, as text."""
    blocking: bool = True


class HistoryRow(Message, frozen=True, kw_only=True):
    """One row of the conversation so far, to prime a new leg."""

    role: str
    """"user" or "assistant"."""
    text: str


# --- control -> network ---------------------------------------------------------------------


class LegMessage(Message, frozen=True, kw_only=True):
    """Something about one leg of one agent."""

    agent: str
    leg: int


class OpenLeg(LegMessage, frozen=True, kw_only=True):
    """Connect: a new leg; an older one of this agent is closed first if it still runs."""

    provider: str
    parameters: dict[str, Value]
    """The provider's page and the common names, by the operator's spelling."""
    tools: list[ToolDeclaration] = []
    from_frame: int = -1
    """First near frame that belongs to this leg (an unanswered turn); -1 = what comes next."""
    not_before_frame: int = -1
    """The opening of the session: no pre-roll reaches before it; -1 = the leg's first frame."""
    pressed_frame: int = -1
    """Talkconnects: near frame of the press that asked for this session; from there on the gate
    counts as open, although no edge says so; -1 = there was none."""
    handle: str = ""
    """The provider's own resume handle (opaque text); "" = none."""
    history: list[HistoryRow] = []
    """To prime the leg with where there is no handle."""
    respond: bool = False
    """The last history row is the user's and was never answered: ask for a reply."""
    max_backlog_s: float = 20.0
    """Refreshkeep: whole turns older than this are dropped and told."""
    push_to_talk: bool = False
    attempt: int = 0
    """0 = first try of this connect; told for the log only."""


class CloseLeg(LegMessage, frozen=True, kw_only=True):
    """Disconnect; answered by LegClosed(asked=True)."""

    let_finish: bool = False
    """Keep playing what is queued (end_conversation, refresh); else the speaker is flushed."""


class UpdateLeg(LegMessage, frozen=True, kw_only=True):
    """Parameters with `applies` now or turn have changed."""

    parameters: dict[str, Value]
    tools: list[ToolDeclaration] | None = None


class SendText(LegMessage, frozen=True, kw_only=True):
    """Typed text from the user; the service answers it."""

    text: str


class Say(LegMessage, frozen=True, kw_only=True):
    """Speak this word for word, without a model turn where the service can."""

    text: str


class Note(LegMessage, frozen=True, kw_only=True):
    """Context for the model, without a reply."""

    text: str


class Interrupt(LegMessage, frozen=True, kw_only=True):
    """Barge in by hand (Stop, Talk): cancel the running reply, flush, tell the service."""


class TurnEnd(LegMessage, frozen=True, kw_only=True):
    """No edge says that the gate closed: the user's turn ended before `frame`.

    Audio was down, or the leg was still being opened (Talkconnects). May come before LegOpened.
    """

    frame: int


class ToolResult(LegMessage, frozen=True, kw_only=True):
    """The result of a tool call."""

    call_id: str
    name: str
    ok: bool
    result: str


class ShowPicture(LegMessage, frozen=True, kw_only=True):
    """What the model is to see now: a posted picture or a camera's; the newest counts."""

    jpeg: bytes
    """At most MAX_PICTURE bytes, whole."""

    def __repr__(self) -> str:
        return f"ShowPicture(agent={self.agent!r}, leg={self.leg}, {len(self.jpeg)} bytes)"


class Replay(Message, frozen=True, kw_only=True):
    """Play the last complete reply of this agent again, locally; no row, no cost."""

    agent: str


class ForgetReply(Message, frozen=True, kw_only=True):
    """Drop the reply that Replay would play."""

    agent: str


class SetKey(Message, frozen=True, kw_only=True):
    """An API key that came through a door; network alone keeps it, in memory."""

    server: str
    key: str = msgspec.field()

    def __repr__(self) -> str:
        return f"SetKey(server={self.server!r}, key=…)"


class SetPrices(Message, frozen=True, kw_only=True):
    """The operator's own prices, all of them; before Attach, or answered by Catalogue."""

    prices: PriceList


class SetRoots(Message, frozen=True, kw_only=True):
    """The folders that a watched picture may lie in; before the first leg, and when they change."""

    folders: list[str]


class ScanProviders(Message, frozen=True, kw_only=True):
    """Look at the providers again, and at the drop-in folder; answered by Catalogue."""

    folder: str


class WarmUp(Message, frozen=True, kw_only=True):
    """Initialize: load models and resolve names now, not at the first Connect."""

    provider: str


# --- network -> control ---------------------------------------------------------------------


class ProviderParameter(Message, frozen=True, kw_only=True):
    """One row of a provider's own page, in the form of `voiced.parameters.Row`."""

    name: str
    tag: str
    """"i", "f" or "s"."""
    default: Value
    minimum: float | None = None
    maximum: float | None = None
    options: list[str] = []
    open_menu: bool = False
    applies: str = "session"
    doc: str = ""
    secret: bool = False


class ProviderCard(Message, frozen=True, kw_only=True):
    """What control may know of a provider: its constants, never its code."""

    name: str
    title: str
    available: bool
    reason: str = ""
    """Why it is not available, with the command that mends it."""
    samplerate_in: int = 0
    samplerate_out: int = 0
    max_session_s: int = 0
    """0 = no cap."""
    resumption: str = "none"
    """"native", "replay" or "none"."""
    metering: str = "token"
    """"token" or "wallclock"."""
    key_server: str = ""
    """"" = needs no key (and so takes Endpointurl)."""
    full_duplex: bool = True
    supports_video_in: bool = False
    supports_voice_cloning: bool = False
    user_deltas: bool = True
    """Whether user transcripts come while they are spoken; else live degrades to coalesce."""
    can_say: bool = False
    response_timeout_s: float = 30.0
    """The service has stalled when a reply is due and nothing of it came for so long; 0 = never."""
    answers_every_turn: bool = True
    """False: its turn detection may decide that a spoken turn needs no answer."""
    answers_results: bool = True
    """False: no reply of its own follows a tool's result."""
    text_waits: bool = False
    """Text typed into a running reply is answered behind it, by a reply of its own."""
    updates_tools: bool = True
    """False: other tools are taken with the next connection alone."""
    models: list[str] = []
    voices: list[str] = []
    parameters: list[ProviderParameter] = []
    signals: list[str] = []
    pricing: dict[str, Price] = {}
    """Model, or EVERY_MODEL -> price."""
    billing_url: str = ""
    pricing_url: str = ""
    dependencies: list[str] = []
    missing: list[str] = []
    """Those of `dependencies` that are not installed."""
    install: str = ""
    """The command that installs them; "" = none is missing."""


class Price(Message, frozen=True, kw_only=True):
    """What a model costs; 0 where it is free."""

    input_usd_min: float = 0.0
    output_usd_min: float = 0.0
    wallclock_usd_min: float = 0.0
    told_usd_million: float = 0.0
    """1,000,000 tokens of the text that each reply reads first: prompt, tools, history."""
    text: str = ""
    """As the Pricing readout shows it: "~in 0.005 USD/min out 0.018 USD/min"."""
    verified: bool = True
    """False: nobody has read it at the service; a `text` of one's own says so itself."""


class Catalogue(Message, frozen=True, kw_only=True):
    """Everything there is to choose from, also what cannot be used and why."""

    providers: list[ProviderCard]


class LegOpened(LegMessage, frozen=True, kw_only=True):
    """The service is ready for audio."""

    resumed: str
    """"native", "replay" or "fresh": what really happened."""
    service_session: str = ""


class LegUnreachable(LegMessage, frozen=True, kw_only=True):
    """Connecting failed in a way that may pass."""

    code: str
    sentence: str


class LegRefused(LegMessage, frozen=True, kw_only=True):
    """The service refuses for good: key, quota, model, configuration."""

    code: str
    sentence: str


INFERENCE_LOST = "inference_lost"
"""Code of a LegClosed whose reason is the inference process's end, which control tells itself."""


class LegClosed(LegMessage, frozen=True, kw_only=True):
    """The leg is over; nothing of it follows but late Usage."""

    asked: bool
    """Whether CloseLeg was its reason."""
    code: str = ""
    sentence: str = ""


class LegGoaway(LegMessage, frozen=True, kw_only=True):
    """The service will end this leg soon."""

    reason: str
    """"goaway" or "cap"."""
    time_left_s: float


class Expired(LegMessage, frozen=True, kw_only=True):
    """The service ended the session for good."""

    sentence: str = ""


class SpeechStarted(LegMessage, frozen=True, kw_only=True):
    """The user began to speak at near frame `frame`."""

    frame: int


class SpeechEnded(LegMessage, frozen=True, kw_only=True):
    """The user's turn ended at near frame `frame`; the turn is now the service's."""

    frame: int


class UserText(LegMessage, frozen=True, kw_only=True):
    """The user's turn `item` as transcribed so far."""

    item: str
    text: str
    """The whole turn so far, or only what is new: see `delta`."""
    delta: bool = False
    final: bool = False
    start_frame: int = -1
    end_frame: int = -1


class UserTurnDropped(LegMessage, frozen=True, kw_only=True):
    """The turn `item` turned out to hold no words; its partial row, if any, goes."""

    item: str
    end_frame: int = -1


class TalkSlipped(LegMessage, frozen=True, kw_only=True):
    """Talk was held for a moment, `Talktail` included, and nobody spoke: that is no turn."""

    seconds: float


class TurnsSkipped(LegMessage, frozen=True, kw_only=True):
    """Whole turns older than Refreshkeep were not sent to the new leg."""

    seconds: float
    to_frame: int


class ResponseStarted(LegMessage, frozen=True, kw_only=True):
    """The service began a reply."""

    response: str
    texts: int = -1
    """How many of the texts typed on this leg it and those before it answer; -1 = all of them."""


class AssistantText(LegMessage, frozen=True, kw_only=True):
    """Words of item `item` of a reply."""

    response: str
    item: str
    text: str
    delta: bool = True
    final: bool = False


class Playing(LegMessage, frozen=True, kw_only=True):
    """The first frame of `item` sounds now."""

    response: str
    item: str


class Heard(LegMessage, frozen=True, kw_only=True):
    """So much of `item` was heard at the loudspeaker when it was cut, or is heard so far."""

    response: str
    item: str
    ms: int
    chars: int
    """Characters of the item's text that were heard: exact where the service aligns text and
    audio, else in proportion."""
    cut: bool
    """True: the item was interrupted here; False: progress (captions)."""


class ResponseDone(LegMessage, frozen=True, kw_only=True):
    """The service has sent everything of a reply."""

    response: str
    status: str
    """"completed", "cancelled" or "failed"."""


class ReplyHeard(LegMessage, frozen=True, kw_only=True):
    """The last frame of the reply has left the loudspeaker (or was cut)."""

    response: str
    latency_s: float = -1.0
    """User's turn end -> first sound of this reply; -1 = not known (typed text)."""


class ReplaySounds(Message, frozen=True, kw_only=True):
    """A replay begins to sound (1), has sounded or was cut (0); it is of no leg."""

    agent: str
    on: bool


class Meter(LegMessage, frozen=True, kw_only=True):
    """Five times a second: what the leg has used so far."""

    seconds_sent: float
    seconds_received: float
    connected_s: float
    response_running: bool
    rx_age_s: float
    """Seconds since the service last said anything."""
    buffered_s: float = 0.0


class Usage(LegMessage, frozen=True, kw_only=True):
    """The service's own account of one response."""

    response: str
    usd: float
    detail: str = ""
    aside: bool = False
    """Of something beside the responses (another service, a search, a transcription): it is added,
    and is no account of the leg's own audio."""
    again_usd: float = 0.0
    """What the next response costs before its first word: the conversation that is sent again."""
    seconds_received: float = 0.0
    """Audio that the leg had received by then: the account covers it, metered yet or not."""


class Handle(LegMessage, frozen=True, kw_only=True):
    """A resume handle for the next leg."""

    handle: str


class ToolCall(LegMessage, frozen=True, kw_only=True):
    """The model calls a tool."""

    call_id: str
    name: str
    arguments: str
    """JSON."""


class ToolCancelled(LegMessage, frozen=True, kw_only=True):
    """The model no longer wants this result."""

    call_id: str


class ProviderSignal(LegMessage, frozen=True, kw_only=True):
    """Sparse channels of a provider: name -> number."""

    channels: dict[str, float]


class Affect(LegMessage, frozen=True, kw_only=True):
    """How a turn was spoken, as JSON."""

    item: str
    """"" = the user's turn around `frame`."""
    scores: str
    frame: int = -1
    """Near frame of the middle of what was measured."""


class LegTrouble(LegMessage, frozen=True, kw_only=True):
    """Something went wrong that does not end the leg."""

    code: str
    sentence: str
    source: str = "provider"
    """"provider", or "affect": the service that only listens."""


class NetworkTrouble(Message, frozen=True, kw_only=True):
    """Trouble that belongs to no leg (a drop-in that does not load, a model absent)."""

    source: str
    code: str
    sentence: str


class Unsent(LegMessage, frozen=True, kw_only=True):
    """The text could not be given to the service; nothing was lost silently."""

    sentence: str


ToNetwork: TypeAlias = (
    Hello | Attach | OpenLeg | CloseLeg | UpdateLeg | SendText | Say | Note | Interrupt | TurnEnd
    | ToolResult | ShowPicture | Replay | ForgetReply | SetKey | SetPrices | SetRoots
    | ScanProviders | WarmUp | Shutdown
)  # fmt: skip
LegEvent: TypeAlias = (
    LegOpened | LegUnreachable | LegRefused | LegClosed | LegGoaway | Expired | SpeechStarted
    | SpeechEnded | UserText | UserTurnDropped | TalkSlipped | TurnsSkipped | ResponseStarted
    | AssistantText | Playing | Heard | ResponseDone | ReplyHeard | Meter | Usage | Handle
    | ToolCall | ToolCancelled | ProviderSignal | Affect | LegTrouble | Unsent
)  # fmt: skip
FromNetwork: TypeAlias = Hello | Catalogue | NetworkTrouble | ReplaySounds | LegEvent
