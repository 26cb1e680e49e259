"""Echo: says back what was said, when the turn has ended. The template of a provider module.

It needs no service, no key and no package, and does everything a provider does: turns by silence or
by Talk, a reply of text and audio, interruption, typed text, history, tools (none). Copy it, give
the copy a name `provider_<yours>.py`, put it into the folder that `Providersfolder` names, and
replace the part between "the service" marks by a connection to yours.

What the network process does with a module is in `voiced.providers.contract`; that page is the
reference, this one the example. Three rules matter most:

- All state is on the connection object; the module may serve several agents at once.
- `send_audio_frame` returns when the transport has taken the chunk, and holds nothing back.
- A task of the module that ends by an error calls `callbacks.closed`; else nobody would know.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

import numpy as np

from voiced.messages.network import HistoryRow, Price, ProviderParameter, ToolDeclaration, Value
from voiced.providers.contract import Availability, HeardItem, LegCallbacks, SessionRequest

# --- constants: what the network process branches on, never the name -------------------------

TITLE = "Echo (test)"
PROVIDER_TYPE = "realtime"
SPEECH_TYPE = "voice-realtime"
TRANSPORT = "none"
SAMPLE_RATE_IN = 24000
SAMPLE_RATE_OUT = 24000
FRAME_MS: int | None = None
MAX_SESSION_S: int | None = None
RESUMPTION = "replay"
SUPPORTS_VIDEO_IN = False
SUPPORTS_VOICE_CLONING = False
FULL_DUPLEX = True
KEY_SERVER: str | None = None
DEPENDENCIES: list[str] = []
SIGNAL_CHANNELS: dict[str, str] = {}
METERING = "token"
CATCHUP_PACE = 8.0
PREROLL_MS = 200
USER_DELTAS = False

DELTA_MS = 100
"""Length of the audio deltas of a reply."""
KEEP_S = 60
"""Most of one turn that is said back."""

# --- what it offers -------------------------------------------------------------------------


def get_parameters() -> list[ProviderParameter]:
    """Return the provider's own page; the row `Model` names the models, the default first."""
    return [
        ProviderParameter(
            name="Model", tag="s", default="echo", options=["echo"], open_menu=True, doc="One model"
        ),
        ProviderParameter(
            name="threshold_db",
            tag="f",
            default=-40.0,
            minimum=-80.0,
            maximum=0.0,
            applies="turn",
            doc="Level from which sound is speech, dBFS",
        ),
        ProviderParameter(
            name="hangover_ms",
            tag="i",
            default=500,
            minimum=100.0,
            maximum=5000.0,
            applies="turn",
            doc="Silence that ends a turn, ms",
        ),
    ]


def pricing(model_id: str) -> Price | None:
    """Return what a model costs."""
    return Price(text="free (echo)")


def voices() -> list[str]:
    """Return the voices, the default first."""
    return ["yours"]


def is_available() -> Availability:
    """Tell whether this machine has what the provider needs."""
    return Availability(True)


# --- one connection -------------------------------------------------------------------------


class Connection:
    """One conversation with the echo."""

    def __init__(self, request: SessionRequest, callbacks: LegCallbacks) -> None:
        self.resumed = False
        self.session_id = f"echo-{request.agent}-{request.leg}"
        self.callbacks = callbacks
        self.push_to_talk = request.push_to_talk
        self.set(request.parameters)
        self.received = 0
        """Samples taken so far: every position told is one of these."""
        self.turn = bytearray()
        """What was said in the turn that is open."""
        self.speaking = False
        self.last_loud = 0
        self.turn_start = 0
        self.turns = 0
        self.interruption: asyncio.Task[None] | None = None

    def set(self, parameters: Mapping[str, Value]) -> None:
        """Take parameters, those that are there."""
        self.threshold = 32768 * 10 ** (float(parameters.get("threshold_db", -40.0)) / 20)
        self.hangover = SAMPLE_RATE_IN * int(parameters.get("hangover_ms", 500)) // 1000

    # "the service" begins here.

    def hear(self, chunk: bytes) -> None:
        """Take sound; find where speech starts and ends, unless Talk says so."""
        samples = np.frombuffer(chunk, "<i2").astype(np.float64)
        self.received += len(samples)
        level = float(np.sqrt(np.mean(samples**2))) if len(samples) else 0.0
        loud = level >= self.threshold
        if loud and not self.push_to_talk:
            self.last_loud = self.received
            if not self.speaking:
                self.start(self.received - len(samples))
                self.callbacks.speech_started(self.turn_start)
                self.interruption = asyncio.create_task(self.interrupt())
        if self.speaking and len(self.turn) < 2 * KEEP_S * SAMPLE_RATE_IN:
            self.turn += chunk
        silent = self.received - self.last_loud >= self.hangover
        if self.speaking and silent and not self.push_to_talk:
            self.callbacks.speech_ended(self.last_loud)
            self.commit(self.last_loud)

    def start(self, sample: int) -> None:
        """A turn starts."""
        self.speaking, self.turn_start = True, sample
        self.turn.clear()

    async def interrupt(self) -> None:
        """Silence the reply that may still sound; a real service would be told what was heard."""
        await self.callbacks.interrupted()

    def commit(self, end: int) -> None:
        """The turn is over: tell its row, and say it back."""
        said = bytes(self.turn[: 2 * (end - self.turn_start)])
        self.speaking = False
        self.turns += 1
        item, seconds = f"u{self.turns}", len(said) / 2 / SAMPLE_RATE_IN
        if not said:
            self.callbacks.user_turn_dropped(item, end)
            return
        self.callbacks.user_text(
            item,
            f"({seconds:.1f} s of sound)",
            final=True,
            start_sample=self.turn_start,
            end_sample=end,
        )
        self.reply(f"(echo of {seconds:.1f} s)", said)

    def reply(self, text: str, said: bytes = b"") -> None:
        """Send a reply: words, then audio in deltas, then that it is done."""
        response, item = f"r{self.turns}", f"a{self.turns}"
        self.callbacks.response_started(response)
        self.callbacks.assistant_text(response, item, text)
        step = 2 * SAMPLE_RATE_OUT * DELTA_MS // 1000
        for at in range(0, len(said), step):
            self.callbacks.audio(response, item, said[at : at + step])
        self.callbacks.assistant_text(response, item, "", final=True)
        self.callbacks.response_done(response)

    # "the service" ends here.


async def start_session(request: SessionRequest, callbacks: LegCallbacks) -> Connection:
    """Open a connection that is ready for audio."""
    return Connection(request, callbacks)


async def send_audio_frame(conn: Connection, chunk: bytes) -> None:
    """Send a chunk."""
    conn.hear(chunk)


async def send_activity(conn: Connection, active: bool) -> None:
    """Take an edge of the gate: a turn's border with push to talk, else a pause of the sound."""
    if active and conn.push_to_talk:
        conn.start(conn.received)
    elif not active and conn.speaking:
        if not conn.push_to_talk:
            conn.callbacks.speech_ended(conn.received)
        conn.commit(conn.received)


async def send_text(conn: Connection, text: str) -> None:
    """Answer a typed turn, in writing: an echo has no voice of its own."""
    conn.turns += 1
    conn.reply(f"(echo of: {text})")


async def send_tool_response(
    conn: Connection, call_id: str, name: str, ok: bool, result: str
) -> None:
    """Take the result of a tool call; the echo calls none."""


async def interrupt(conn: Connection, heard: Sequence[HeardItem]) -> None:
    """Stop the reply; it was sent at once, so there is nothing to stop."""


async def note(conn: Connection, text: str) -> None:
    """Take context without a reply; the echo needs none."""


async def prime_history(conn: Connection, rows: Sequence[HistoryRow], respond: bool) -> None:
    """Take the conversation so far; answer its last row if that was left unanswered."""
    if respond and rows:
        await send_text(conn, rows[-1].text)


async def update_session(
    conn: Connection, parameters: Mapping[str, Value], tools: Sequence[ToolDeclaration] | None
) -> None:
    """Take changed parameters, from the next turn on."""
    conn.set(parameters)


async def end_session(conn: Connection) -> None:
    """Close the connection."""
    if conn.interruption is not None:
        conn.interruption.cancel()
