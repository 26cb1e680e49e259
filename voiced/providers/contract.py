"""What a provider module must be: the constants, the functions, and what it is given to talk to.

A provider is a plain module. It keeps no state of its own: everything about one connection lives on
the object that `start_session` returns (the *connection*). The network process calls the module's
functions; the module tells what the service says through `LegCallbacks`. Nothing outside branches
on a provider's name, only on its constants. `provider_echo.py` is the template, `check` tells the
author of a module everything that is wrong with it at once.

Samples everywhere are int16 little-endian, mono. Positions that a provider tells (`sample`) count
the samples that `send_audio_frame` was given on this connection, from 0.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import takewhile
from typing import NamedTuple, Protocol, runtime_checkable

import msgspec

from voiced.errors import ProviderError
from voiced.messages.inference import FromInference, ToInference
from voiced.messages.network import HistoryRow, Price, ProviderParameter, ToolDeclaration, Value
from voiced.providers.breaches import Breaches

PREROLL_MAX_MS = 300
"""No provider gets more of what came before the Talk edge, whatever it wishes."""


class Availability(NamedTuple):
    """Whether a provider can be used on this machine now."""

    available: bool
    reason: str = ""
    """Why not, with the command that mends it."""


class HeardItem(msgspec.Struct, frozen=True, kw_only=True):
    """How much of one item of a cut reply reached the loudspeaker."""

    response: str
    item: str
    ms: int
    """Milliseconds heard, floored, less the provider's HEARD_MARGIN_MS; 0 = nothing of it."""
    received_ms: int
    """Milliseconds of audio that the service had sent of it."""
    complete: bool
    """All of it was heard, and the service had sent all of it."""


class LocalWire(Protocol):
    """One conversation's place on the wire to the inference process (TRANSPORT 'inference')."""

    async def ready(self) -> int:
        """Wait until an inference process answers; return its process id."""

    async def send(self, message: ToInference) -> None:
        """Send, waiting while the wire is full.

        Raises:
            ValueError: the message is longer than a packet may be.
        """

    def attach(
        self, conversation: str, receive: Callable[[FromInference], None], lost: Callable[[], None]
    ) -> None:
        """Give `receive` every message about `conversation`; `lost` when its process is gone."""

    def detach(self, conversation: str) -> None:
        """Stop receiving for `conversation`."""


class SessionRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a provider needs to open one connection."""

    agent: str
    leg: int
    parameters: Mapping[str, Value]
    """The provider's page and the common names (Model, Voice, Systemprompt, ...)."""
    tools: Sequence[ToolDeclaration] = ()
    handle: str = ""
    """What `get_persistable_state` gave for the connection to resume; "" = a new conversation."""
    history: Sequence[HistoryRow] = ()
    """Rows that `prime_history` will be called with if the service does not resume by itself."""
    respond: bool = False
    """The last history row is the user's and waits for its answer; so may those before it."""
    push_to_talk: bool = False
    """`send_activity` tells where turns start and end; the service must not detect them."""
    api_key: str = ""
    """Of KEY_SERVER; never to be shown, logged or put into an exception."""
    wire: LocalWire | None = None
    """For TRANSPORT 'inference' alone."""

    def text(self, name: str, default: str = "") -> str:
        """Return a parameter as text."""
        return str(self.parameters.get(name, default))

    @property
    def unanswered(self) -> str:
        """What a resumed service may not have heard: the user's words behind the last reply."""
        if not self.respond:
            return ""
        last = takewhile(lambda row: row.role == "user", reversed(self.history))
        return "\n".join(row.text for row in reversed(list(last)))

    def __repr__(self) -> str:
        return f"SessionRequest(agent={self.agent!r}, leg={self.leg}, ...)"


class LegCallbacks(Protocol):
    """Where a provider tells what its service says. All but `interrupted` return at once."""

    def alive(self) -> None:
        """The service said something that means nothing else (a ping, an acknowledgement)."""

    def speech_started(self, sample: int | None = None) -> None:
        """The user began to speak at `sample`; None = at the last one sent."""

    def speech_ended(self, sample: int | None = None) -> None:
        """The user's turn ended at `sample` and is now the service's.

        None = the service does not say where: the last one sent is taken, and no latency is told.
        """

    def user_text(
        self,
        item: str,
        text: str,
        *,
        delta: bool = False,
        final: bool = False,
        start_sample: int | None = None,
        end_sample: int | None = None,
    ) -> None:
        """The user's turn `item` as transcribed: the whole turn so far, or a delta of it."""

    def user_turn_dropped(self, item: str, end_sample: int | None = None) -> None:
        """The turn `item` held no words."""

    def response_started(self, response: str, *, waiting: int = 0) -> None:
        """The service began a reply.

        Args:
            response: its name.
            waiting: how many of the typed turns, the newest, wait for a reply of their own.
        """

    def assistant_text(
        self, response: str, item: str, text: str, *, delta: bool = True, final: bool = False
    ) -> None:
        """Words of a reply."""

    def audio(self, response: str, item: str, pcm: bytes, text_until: int | None = None) -> None:
        """Samples of a reply at SAMPLE_RATE_OUT, as they come.

        Args:
            response: the reply they belong to.
            item: the item of it; items of a reply sound one after the other.
            pcm: int16 little-endian mono; an odd byte is an error of the provider.
            text_until: characters of the item's text spoken by the end of `pcm`, where the service
                aligns them.
        """

    def audio_done(self, response: str, item: str) -> None:
        """The service has sent all audio of an item (where it says so before the reply's end)."""

    def response_done(self, response: str, status: str = "completed") -> None:
        """The service has sent all of a reply; status completed, cancelled or failed."""

    async def interrupted(self) -> list[HeardItem]:
        """The user interrupts (the service says so): silence the loudspeaker, tell what was heard.

        Returns within a few blocks of the sound card (150 ms at most). What still comes of the
        responses running now is dropped until they are done. The provider truncates by itself:
        `interrupt` is not called for this.
        """

    def tool_call(self, call_id: str, name: str, arguments: str) -> None:
        """The model calls a tool; `arguments` is JSON text."""

    def tool_cancelled(self, call_id: str) -> None:
        """The result of a call is no longer wanted."""

    def usage(
        self,
        response: str,
        usd: float,
        detail: str = "",
        *,
        aside: bool = False,
        again_usd: float = 0.0,
    ) -> None:
        """The service's own account of one response, as money.

        With `aside` it is of something beside the sound and words of responses (a transcription, a
        search, a typed text): it is added, and what the running response is estimated at stands.
        `again_usd` is what the next response costs before its first word, where the service takes
        the whole conversation for the input of each.
        """

    def handle(self, handle: str) -> None:
        """A resume handle; never an empty one."""

    def goaway(self, reason: str, time_left_s: float) -> None:
        """The service will end this connection; reason goaway or cap."""

    def expired(self, sentence: str) -> None:
        """The service ended the session for good."""

    def signals(self, channels: Mapping[str, float]) -> None:
        """Sparse channels named in SIGNAL_CHANNELS."""

    def affect(self, item: str, scores: str) -> None:
        """Prosody scores of a turn, as JSON text."""

    def trouble(self, code: str, sentence: str) -> None:
        """Something went wrong that does not end the connection."""

    def closed(self, error: ProviderError) -> None:
        """The connection is over without being asked to.

        ProviderRefused: for good, no retry. ProviderUnavailable: worth another connection.
        """


@runtime_checkable
class Connection(Protocol):
    """What every connection object shows; everything else on it is the provider's own."""

    resumed: bool
    """The service took `SessionRequest.handle` and remembers the conversation."""
    session_id: str
    """The service's own name for this session; "" if it has none."""


class Provider(Protocol):
    """The module, as the network process sees it. Optional names are in `OPTIONAL`."""

    PROVIDER_TYPE: str
    """'realtime'."""
    SPEECH_TYPE: str
    """'voice-realtime'."""
    TRANSPORT: str
    """'ws', 'inference' (the wire to the inference process) or 'none' (needs no service)."""
    SAMPLE_RATE_IN: int
    """Hz of what `send_audio_frame` gets."""
    SAMPLE_RATE_OUT: int
    """Hz of what the service speaks."""
    FRAME_MS: int | None
    """Length of every chunk but a turn's first and last, ms; None = as the microphone delivers."""
    MAX_SESSION_S: int | None
    """The service's own cap on one connection, s; None = none."""
    RESUMPTION: str
    """'native' (handle), 'replay' (`prime_history`) or 'none'."""
    SUPPORTS_VIDEO_IN: bool
    SUPPORTS_VOICE_CLONING: bool
    FULL_DUPLEX: bool
    """Whether the user may speak while the reply sounds."""
    KEY_SERVER: str | None
    """Name under which its API key is kept; None = needs no key, takes Endpointurl."""
    DEPENDENCIES: list[str]
    """Packages beside voiced's own, as pip names them."""
    SIGNAL_CHANNELS: dict[str, str]
    """Channel -> what it tells; names start with the provider's."""
    METERING: str
    """'token' (a silent connection costs nothing) or 'wallclock'."""
    CATCHUP_PACE: float
    """How many times faster than real time kept speech may be sent; above 1."""

    def get_parameters(self) -> list[ProviderParameter]:
        """Return the provider's own page; a row `Model` names its models, the default first."""

    def pricing(self, model_id: str) -> Price | None:
        """Return what a model costs; None = not known."""

    def voices(self) -> list[str]:
        """Return the voices, the default first."""

    def is_available(self) -> Availability:
        """Tell whether this machine has what the provider needs; no network, no model loaded."""

    async def start_session(self, request: SessionRequest, callbacks: LegCallbacks) -> Connection:
        """Open a connection that is ready for audio.

        Raises:
            ProviderRefused: key, quota, model or configuration: trying again is useless.
            ProviderUnavailable: everything that may pass.
        """

    async def send_audio_frame(self, conn: Connection, chunk: bytes) -> None:
        """Send a chunk at SAMPLE_RATE_IN; return when the transport has taken it.

        Waiting here is what keeps the microphone's ring the only queue: hold nothing back.
        """

    async def send_text(self, conn: Connection, text: str) -> None:
        """Send a user's turn in writing, to be answered."""

    async def send_tool_response(
        self, conn: Connection, call_id: str, name: str, ok: bool, result: str
    ) -> None:
        """Send the result of a tool call."""

    async def end_session(self, conn: Connection) -> None:
        """Close the connection; it may already be closed."""


class Call(NamedTuple):
    """A function of the contract: how many positional arguments it takes and how it is called."""

    arguments: int
    is_async: bool
    does: str


REQUIRED: dict[str, Call] = {
    "get_parameters": Call(0, False, "return the provider's page"),
    "pricing": Call(1, False, "return the Price of a model or None"),
    "voices": Call(0, False, "return the voices"),
    "is_available": Call(0, False, "return an Availability"),
    "start_session": Call(2, True, "open a connection: (request, callbacks)"),
    "send_audio_frame": Call(2, True, "send a chunk: (conn, chunk)"),
    "send_text": Call(2, True, "send a typed turn: (conn, text)"),
    "send_tool_response": Call(5, True, "answer a call: (conn, call_id, name, ok, result)"),
    "end_session": Call(1, True, "close: (conn)"),
}
"""Functions every provider has."""

OPTIONAL: dict[str, Call] = {
    "send_video_frame": Call(2, True, "send a JPEG: (conn, jpeg)"),
    "prime_history": Call(3, True, "rehydrate a conversation: (conn, rows, respond)"),
    "get_persistable_state": Call(1, False, "return the resume handle: (conn)"),
    "send_activity": Call(2, True, "an edge of the gate, between two chunks: (conn, active)"),
    "interrupt": Call(2, True, "stop the reply: (conn, heard), heard a list of HeardItem"),
    "say": Call(2, True, "speak word for word: (conn, text)"),
    "note": Call(2, True, "context without a reply: (conn, text)"),
    "update_session": Call(3, True, "changed settings: (conn, parameters, tools or None)"),
    "warm_up": Call(1, True, "load models, resolve names: (wire)"),
}
"""Functions a provider may have.

`send_activity` is called at every edge of the gate, exactly between the chunks that lie before and
behind it. With `request.push_to_talk` these are the borders of the user's turn; without, the
microphone paused (False) or goes on (True).
"""

TUNABLE: dict[str, object] = {
    "TITLE": "",
    "PREROLL_MS": 0,
    "HEARD_MARGIN_MS": 0,
    "TRAILING_SILENCE_MS": 0,
    "CONNECT_TIMEOUT_S": 10.0,
    "USER_DELTAS": True,
    "TELLS_SPEECH": True,
    "RESPONSE_TIMEOUT_S": 30.0,
    "ANSWERS_EVERY_TURN": True,
    "ANSWERS_RESULTS": True,
    "TEXT_WAITS": False,
    "UPDATES_TOOLS": True,
    "BILLING_URL": "",
    "PRICING_URL": "",
}
"""Constants a module may set, with their defaults.

TITLE is what menus show. PREROLL_MS: how much of what was spoken before the Talk edge the service
wants. HEARD_MARGIN_MS is taken off every heard position (services refuse a truncation beyond their
own count). TRAILING_SILENCE_MS is sent after a closing edge, for services that end turns by silence
alone. USER_DELTAS: user transcripts come while they are spoken. TELLS_SPEECH False: the service
does not say when a visitor begins and ends to speak, so the network process listens for it, and
`speech_started` and `speech_ended` count for nothing.

RESPONSE_TIMEOUT_S: so long after a turn's end, a typed text or a tool's result without a
`response_started`, and so long within a reply that neither grows nor ends, the service counts as
stalled: the operator is told, and the turn is put to a new connection. It must be generous for
models that think; 0 = never. A service that hears a turn and decides not to answer it tells so by
`user_turn_dropped`, or by an empty reply (`response_started`, `response_done`). One that says
nothing at all sets ANSWERS_EVERY_TURN False: then only typed text, tool results and turns by
push-to-talk are waited for. ANSWERS_RESULTS False: a tool is called on the way, and no reply
follows its result. TEXT_WAITS: what is typed into a reply is answered behind it, by a reply of its
own; under a budget it is then sent once that reply's account is known. UPDATES_TOOLS False: an open
connection keeps the tools that it was opened with; the operator is told that others count from the
next one on.
"""


def check(module: object) -> list[str]:
    """Return everything that keeps `module` from being a provider, a sentence each."""
    found = Breaches(module)
    found.one_of("PROVIDER_TYPE", "realtime")
    found.one_of("SPEECH_TYPE", "voice-realtime")
    found.one_of("TRANSPORT", "ws", "inference", "none")
    found.one_of("RESUMPTION", "native", "replay", "none")
    found.one_of("METERING", "token", "wallclock")
    found.number("SAMPLE_RATE_IN", 8000, 48000)
    found.number("SAMPLE_RATE_OUT", 8000, 48000)
    found.number("FRAME_MS", 5, 200, or_none=True)
    found.number("MAX_SESSION_S", 10, 86400, or_none=True)
    found.number("CATCHUP_PACE", 1.1, 50, fractional=True)
    for name in ("SUPPORTS_VIDEO_IN", "SUPPORTS_VOICE_CLONING", "FULL_DUPLEX"):
        found.flag(name)
    found.text_or_none("KEY_SERVER")
    found.texts("DEPENDENCIES")
    found.channels("SIGNAL_CHANNELS")
    found.optional_number("PREROLL_MS", 0, PREROLL_MAX_MS)
    found.optional_number("HEARD_MARGIN_MS", 0, 500)
    found.optional_number("TRAILING_SILENCE_MS", 0, 5000)
    found.optional_number("CONNECT_TIMEOUT_S", 1, 60)
    for name in ("TITLE", "BILLING_URL", "PRICING_URL"):
        found.optional_text(name)
    found.optional_number("RESPONSE_TIMEOUT_S", 0, 600)
    found.optional_flag("USER_DELTAS")
    found.optional_flag("TELLS_SPEECH")
    found.optional_flag("ANSWERS_EVERY_TURN")
    found.optional_flag("ANSWERS_RESULTS")
    found.optional_flag("TEXT_WAITS")
    found.optional_flag("UPDATES_TOOLS")
    for name, call in REQUIRED.items():
        found.function(name, call, required=True)
    for name, call in OPTIONAL.items():
        found.function(name, call, required=False)
    found.goes_with("RESUMPTION", "native", "get_persistable_state")
    found.goes_with("RESUMPTION", "replay", "prime_history")
    found.goes_with("SUPPORTS_VIDEO_IN", True, "send_video_frame")
    return found.sentences


def constant(module: object, name: str) -> object:
    """Return a constant of `TUNABLE`, or its default where the module does not set it."""
    return getattr(module, name, TUNABLE[name])
