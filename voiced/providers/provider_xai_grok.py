"""xAI Grok Voice (the Speech to Speech API) over a websocket: billed by the minute of audio.

Here are the service's constants and its table of errors; the protocol is `realtime_dialect`, the
page `xai_page`, the session's settings `xai_session`, push-to-talk `xai_turns`, money
`xai_account`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from urllib.parse import urlencode

import msgspec

from voiced.messages.network import HistoryRow, Price, ProviderParameter, ToolDeclaration, Value
from voiced.providers import prices, xai_page, xai_session
from voiced.providers.contract import Availability, LegCallbacks, SessionRequest
from voiced.providers.dial import Service, key_missing
from voiced.providers.realtime_dialect import leg
from voiced.providers.realtime_dialect.client import (
    ClientItem,
    ItemCreate,
    OutputText,
    SessionUpdate,
)
from voiced.providers.realtime_dialect.connection import Connection, connect
from voiced.providers.realtime_dialect.conversation import Conversation
from voiced.providers.realtime_dialect.dialect import Bill, Dialect
from voiced.providers.realtime_dialect.faults import Faults, Meaning, Row
from voiced.providers.realtime_dialect.server import TranscriptionCompleted
from voiced.providers.xai_account import NAME, Account, search
from voiced.providers.xai_turns import CommittedTurns

# --- constants -------------------------------------------------------------------------------

TITLE = "xAI Grok Voice"
PROVIDER_TYPE = "realtime"
SPEECH_TYPE = "voice-realtime"
TRANSPORT = "ws"
SAMPLE_RATE_IN = SAMPLE_RATE_OUT = xai_session.RATE
FRAME_MS: int | None = 20
MAX_SESSION_S: int | None = 3600
RESUMPTION = "replay"
SUPPORTS_VIDEO_IN = False
SUPPORTS_VOICE_CLONING = False
FULL_DUPLEX = True
KEY_SERVER: str | None = "xai"
DEPENDENCIES: list[str] = []
SIGNAL_CHANNELS: dict[str, str] = {}
METERING = "token"
CATCHUP_PACE = 4.0
PREROLL_MS = 300
HEARD_MARGIN_MS = 20
CONNECT_TIMEOUT_S = 15.0
BILLING_URL = "https://console.x.ai/usage"
PRICING_URL = "https://x.ai/api#pricing"

URL = "wss://api.x.ai/v1/realtime"
SERVICE = Service("xAI", "xai")

_ROWS = (
    Row(
        meaning=Meaning.FATAL,
        words=("invalid_api_key", "authentication_error"),
        texts=("incorrect api key", "invalid api key"),
        sentence="{title} refused the key: set it with voiced key set {server}",
    ),
    Row(
        meaning=Meaning.FATAL,
        words=("insufficient_quota", "credit_balance_exhausted", "billing_hard_limit_reached"),
        sentence="the credit with {title} is used up: look at {billing}",
    ),
    Row(
        meaning=Meaning.EXPIRED,
        words=("max_duration", "session_expired"),
        texts=("maximum duration",),
        sentence="the session with {title} has reached its longest duration",
    ),
    Row(
        meaning=Meaning.GOAWAY,
        texts=("due to inactivity",),
        sentence="{title} ended a session in which nobody spoke",
    ),
    Row(
        meaning=Meaning.NOT_RUNNING,
        words=("response_cancel_not_active",),
        texts=("no active response",),
    ),
    Row(
        meaning=Meaning.BUSY,
        words=("conversation_already_has_active_response",),
        texts=("already has an active response",),
    ),
    Row(meaning=Meaning.BENIGN, texts=("truncat", "already shorter than")),
    Row(
        meaning=Meaning.BACK_OFF,
        words=("rate_limit_exceeded",),
        sentence="the rate limit of the account with {title} is reached",
    ),
    Row(
        meaning=Meaning.RETRY,
        words=("internal_error", "server_error", "timeout"),
        sentence="{title} had an error of its own: {message}",
    ),
)  # fmt: skip

# --- what it offers --------------------------------------------------------------------------


def get_parameters() -> list[ProviderParameter]:
    """Return the provider's own page."""
    return xai_page.rows()


def pricing(model_id: str) -> Price | None:
    """Return what a minute with a model costs."""
    return prices.price(NAME, model_id or xai_page.MODELS[0])


def voices() -> list[str]:
    """Return the voices, the default first; a custom one is named by its id."""
    return list(xai_page.VOICES)


def is_available() -> Availability:
    """Tell that nothing beside voiced's own packages is needed."""
    return Availability(True)


# --- the dialect -----------------------------------------------------------------------------


class ForceMessage(ClientItem, frozen=True, kw_only=True, tag="force_message"):
    """Words that are spoken as they are, without the model; a reply of its own."""

    role: str = "assistant"
    interruptible: bool = True
    content: list[OutputText]


def said(text: str) -> ItemCreate:
    """Return the event that has words spoken as they are."""
    return ItemCreate(item=ForceMessage(content=[OutputText(text=text)]))


def bill_transcription(
    conversation: Conversation, completed: TranscriptionCompleted
) -> Bill | None:
    """Bill nothing: words are part of the minute of audio."""
    return None


def dialect(live: Live) -> Dialect:
    """Return the service's way of speaking, as it is billed on one connection."""
    return Dialect(
        service=SERVICE,
        rate_in=SAMPLE_RATE_IN,
        rate_out=SAMPLE_RATE_OUT,
        faults=FAULTS,
        bill=live.account.reply,
        bill_item=live.account.item,
        bill_transcription=bill_transcription,
        serves=live.serves,
        manual_turns=CommittedTurns,
        said=said,
        stops_itself=False,
        truncates_at_once=False,
        finals_at_once=False,
        forgets_replies=True,
        answers_bare=False,
        waits_to_go_on=True,
        taken_within_s=3.0,
        done_within_s=1.0,
    )


FAULTS = Faults(SERVICE, BILLING_URL, _ROWS)

# --- one connection --------------------------------------------------------------------------


class Handle(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """What a later connection needs to take up the conversation."""

    conversation: str
    seconds: float = 0.0
    """Paid for so far."""


class Live:
    """One conversation with the service.

    Attributes:
        resumed: the service remembers the conversation of the handle.
        link: the protocol and its socket.
        history: the conversation so far, as the instructions tell it.
    """

    def __init__(self, request: SessionRequest, callbacks: LegCallbacks) -> None:
        self.resumed = False
        self.link: Connection
        self.parameters: dict[str, Value] = dict(request.parameters)
        self.values = xai_page.read(self.parameters)
        self.tools = tuple(request.tools)
        self.push_to_talk = request.push_to_talk
        self.history: tuple[HistoryRow, ...] = ()
        self.last = request.history[-1] if request.history else None
        """What waits for an answer where the service remembers the rest."""
        self.asked = _handle(request.handle) if self.values.resumes else None
        """The conversation that is to be taken up."""
        self.account = Account(self.values.model, self.asked.seconds if self.asked else 0.0)
        self.declared = {tool.name for tool in request.tools} - xai_session.RESERVED
        """Names that calls of ours have had."""
        self.sent = self.wanted()
        """The session object that the service has."""
        self.conversation = Conversation(
            dialect(self),
            xai_session.terms(self.values, push_to_talk=self.push_to_talk),
            callbacks,
            nonblocking=[tool.name for tool in request.tools if not tool.blocking],
        )
        self._objected: set[xai_session.Objection] = set()

    @property
    def session_id(self) -> str:
        """The service's name for the session."""
        return self.conversation.session_id

    @property
    def address(self) -> str:
        """The service's address for this conversation."""
        query = {"model": self.values.model}
        if self.asked is not None:
            query["conversation_id"] = self.asked.conversation
        return f"{URL}?{urlencode(query)}"

    def wanted(self) -> xai_session.Settings:
        """Return the session object that the parameters ask for."""
        return xai_session.settings(
            self.values, self.tools, self.history, push_to_talk=self.push_to_talk
        )

    def object(self) -> None:
        """Tell what cannot be set as it is asked for, each thing once."""
        for objection in xai_session.objections(self.values, self.tools):
            if objection not in self._objected:
                self._objected.add(objection)
                self.conversation.callbacks.trouble(*objection)

    def serves(self, conversation: Conversation, name: str) -> Bill | None:
        """Return what a call of the service's own costs; None = the call is ours."""
        own = any(
            isinstance(tool, dict) and tool.get("type") != "function"
            for tool in _list(self.sent.get("tools"))
        )
        return search(name) if own and name not in self.declared else None

    def update(self) -> None:
        """Have the service take what is wanted now."""
        wanted = self.wanted()
        wanted["voice"] = self.sent["voice"]
        if update := xai_session.changed(self.sent, wanted):
            self.sent = wanted
            self.conversation.update(update)


# What needs nothing of this service.
send_activity = leg.send_activity
say = leg.say
note = leg.note
send_tool_response = leg.send_tool_response
interrupt = leg.interrupt
end_session = leg.end_session


async def start_session(request: SessionRequest, callbacks: LegCallbacks) -> Live:
    """Open a connection that is ready for audio."""
    live = Live(request, callbacks)
    if not request.api_key:
        raise key_missing(SERVICE)
    live.object()
    live.link = await connect(
        live.conversation,
        live.address,
        {"Authorization": f"Bearer {request.api_key}"},
        SessionUpdate(event_id="su_0", session=live.sent),
        endpoint=request.text("endpoint"),
    )
    named = live.conversation.conversation_id
    live.resumed = live.asked is not None and named == live.asked.conversation
    if not live.resumed:
        live.account.seconds = 0.0
    return live


def get_persistable_state(conn: Live) -> str:
    """Return the handle of the conversation; "" where the service is not to keep it."""
    name = conn.conversation.conversation_id
    if not (conn.values.resumes and name):
        return ""
    return msgspec.json.encode(Handle(conversation=name, seconds=conn.account.seconds)).decode()


async def prime_history(conn: Live, rows: Sequence[HistoryRow], respond: bool) -> None:
    """Give the conversation so far within the instructions; what waits for an answer as an item."""
    last = rows[-1] if rows else conn.last
    conn.history = tuple(rows[:-1] if respond else rows)
    conn.update()
    await conn.link.prime([last] if respond and last is not None else [], respond)


async def send_audio_frame(conn: Live, chunk: bytes) -> None:
    """Send a chunk; by push-to-talk it waits until the reply that it stops is over."""
    await conn.link.hear(chunk)


async def send_text(conn: Live, text: str) -> None:
    """Send a typed turn."""
    conn.conversation.text(text)
    await conn.link.flush()


async def update_session(
    conn: Live, parameters: Mapping[str, Value], tools: Sequence[ToolDeclaration] | None
) -> None:
    """Change settings; voice and model stay as they are until the next session."""
    conn.parameters.update(parameters)
    before, conn.values = conn.values, xai_page.read(conn.parameters)
    talk = conn.conversation
    if tools is not None:
        conn.tools = tuple(tools)
        conn.declared |= {tool.name for tool in tools} - xai_session.RESERVED
        talk.nonblocking = frozenset(tool.name for tool in tools if not tool.blocking)
    conn.object()
    model = talk.terms.model
    talk.terms = xai_session.terms(conn.values, push_to_talk=conn.push_to_talk)
    talk.terms.model = model
    if conn.values.voice != before.voice:
        talk.callbacks.trouble(
            "voice", "xAI keeps its voice for a whole session: it changes with the next one"
        )
    conn.update()
    await conn.link.flush()


def _handle(text: str) -> Handle | None:
    try:
        return msgspec.json.decode(text, type=Handle) if text else None
    except msgspec.DecodeError:
        return None


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []
