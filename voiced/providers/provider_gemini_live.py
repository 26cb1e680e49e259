"""Gemini Live: one websocket to Google's Developer API, v1beta.

What goes over the wire is in `gemini_messages` and `gemini_codec`, what a model takes in
`gemini_models` and `gemini_setup`, whose turn it is in `gemini_turns`, what a close means in
`gemini_closing`; here is the connection.

Gemini has no message that stops a reply without beginning a turn, so there is no `interrupt`: a
reply cut by hand is silenced here, and what still comes of it is dropped. Nor can it speak words as
they are (`say`) or change its settings while the socket is open.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Sequence
from typing import Any, assert_never

import msgspec
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from voiced.errors import ProviderError, ProviderUnavailable
from voiced.messages.network import HistoryRow, Price, ProviderParameter
from voiced.providers import gemini_codec as wire
from voiced.providers import gemini_messages as messages
from voiced.providers import gemini_page, gemini_setup, prices
from voiced.providers.contract import Availability, LegCallbacks, SessionRequest
from voiced.providers.dial import closing, dial, key_missing
from voiced.providers.gemini_closing import (
    INVALID,
    POLICY,
    SERVICE,
    Attempt,
    ending,
    next_attempt,
)
from voiced.providers.gemini_models import VOICES, bare
from voiced.providers.gemini_turns import Turns
from voiced.providers.gemini_usage import sent_again, tokens

TITLE = "Gemini Live"
TELLS_SPEECH = False
PROVIDER_TYPE = "realtime"
SPEECH_TYPE = "voice-realtime"
TRANSPORT = "ws"
SAMPLE_RATE_IN = messages.RATE_IN
SAMPLE_RATE_OUT = wire.RATE_OUT
FRAME_MS: int | None = 20
MAX_SESSION_S: int | None = 900
RESUMPTION = "native"
SUPPORTS_VIDEO_IN = True
SUPPORTS_VOICE_CLONING = False
FULL_DUPLEX = True
KEY_SERVER: str | None = SERVICE.key_server
DEPENDENCIES: list[str] = []
SIGNAL_CHANNELS: dict[str, str] = {}
METERING = "token"
CATCHUP_PACE = 4.0
PREROLL_MS = 250
CONNECT_TIMEOUT_S = 15.0
ANSWERS_EVERY_TURN = False
"""3.8 stays silent, without a word, at speech that is not meant for it."""
UPDATES_TOOLS = False
BILLING_URL = "https://aistudio.google.com/usage"
PRICING_URL = "https://ai.google.dev/gemini-api/docs/pricing"

NAME = "gemini_live"
URL = (
    "wss://generativelanguage.googleapis.com/ws/"
    "google.ai.generativelanguage.v1beta.GenerativeService.BidiGenerateContent"
)
PAUSE_S = 1.0
"""A microphone that pauses for longer is told to the service, which waits for silence else."""
AGAIN_S = 0.5
"""The service needs so long to notice that the connection before this one is closed."""
FRAME_EVERY_S = 1.0
"""It takes one picture a second."""
STRANGE_KEPT = 64
LOST_CALL = "the connection was lost before there was a result; do not wait for it"

logger = logging.getLogger(__name__)

# --- what it offers -------------------------------------------------------------------------


def get_parameters() -> list[ProviderParameter]:
    """Return the provider's own page; the row `Model` names its models, the default first."""
    return gemini_page.rows()


def pricing(model_id: str) -> Price | None:
    """Return what a model costs."""
    return prices.price(NAME, bare(model_id))


def voices() -> list[str]:
    """Return the voices, the default first."""
    return list(VOICES)


def is_available() -> Availability:
    """Tell that nothing but the key is needed."""
    return Availability(True)


# --- what outlives a connection -------------------------------------------------------------


class State(msgspec.Struct, frozen=True, kw_only=True):
    """The resume handle as the mind keeps it: the service's own, and what goes with it."""

    handle: str = ""
    """"" = none, or one that was refused."""
    model: str = ""
    """Only this model can take the handle."""
    calls: tuple[tuple[str, str], ...] = ()
    """(id, name) of calls without a result: a resumed session waits for them."""
    closed: int = 0
    """The close code for which the next connection is the second try; 0 = none."""


_NO_STATE = State()


def _read_state(handle: str) -> State:
    """Return the state in a handle; text that holds none is the service's own handle."""
    if not handle:
        return _NO_STATE
    try:
        return msgspec.json.decode(handle, type=State)
    except (msgspec.MsgspecError, RecursionError):
        return State(handle=handle)


# --- one connection -------------------------------------------------------------------------


class _Shut(Exception):
    """The service closed the connection before the session was open."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(code)
        self.code, self.reason = code, reason


class Connection:
    """One session of the service."""

    def __init__(
        self, request: SessionRequest, page: gemini_page.Page, callbacks: LegCallbacks
    ) -> None:
        self.resumed = False
        self.session_id = ""
        self.request, self.page, self.told = request, page, callbacks
        self.model = bare(page.Model)
        self.push_to_talk = request.push_to_talk
        self.socket: ClientConnection | None = None
        self.reader: asyncio.Task[None] | None = None
        self.ended = False
        """end_session was called."""
        self.samples = 0
        """Sent so far."""
        self.active = False
        """Between activityStart and activityEnd."""
        self.turns = Turns(callbacks, push_to_talk=self.push_to_talk, sent=lambda: self.samples)
        self.seeds = False
        """The setup announced the conversation so far."""
        self.handle = ""
        self.before = _NO_STATE
        """What the connection before this one left behind."""
        self.closed = 0
        self.turned = False
        """A turn was completed on this connection."""
        self.calls: dict[str, wire.Call] = {}
        """Calls without a result, by the id that the mind knows."""
        self.call_count = 0
        self.pause: asyncio.TimerHandle | None = None
        self.tasks: set[asyncio.Task[None]] = set()
        self.jpeg, self.jpeg_due = b"", 0.0
        self.strange: set[str] = set()

    # --- opening

    async def open(self) -> None:
        """Dial, down the ladder of `gemini_closing` where the service refuses."""
        self.before = _read_state(self.request.handle)
        wanted = self.page.Enablesessionresumption
        fits = self.before.model in ("", self.model)
        attempt = Attempt(handle=self.before.handle if wanted and fits else "", resumption=wanted)
        while True:
            try:
                await self._dial(attempt)
                break
            except _Shut as shut:
                after = next_attempt(attempt, shut.code, shut.reason)
                reason = self._safe(shut.reason)
                if after is None:
                    raise ending(shut.code, reason, before_open=True) from None
                logger.info("= gemini closed the setup code=%d: another one is tried", shut.code)
                if after.again and after.handle:
                    await asyncio.sleep(AGAIN_S)
                attempt = after
        self.resumed, self.handle = bool(attempt.handle), attempt.handle
        self.reader = asyncio.create_task(self._read(), name=f"gemini {self.request.agent}")
        self.reader.add_done_callback(self._read_over)
        if self.resumed:
            await self._answer_lost_calls()

    async def _dial(self, attempt: Attempt) -> None:
        request = self.request
        self.seeds = not attempt.handle and bool(
            gemini_setup.seed(request.history, request.respond)
        )
        plan = gemini_setup.plan(
            self.page,
            request.tools,
            attempt,
            push_to_talk=self.push_to_talk,
            seeded=self.seeds,
        )
        headers = {"x-goog-api-key": request.api_key}
        socket = await dial(SERVICE, URL, headers, endpoint=self.page.endpoint)
        try:
            await socket.send(messages.setup(plan.setup), text=True)
            while not await self._is_open(await socket.recv(decode=False)):
                pass
        except ConnectionClosed as error:
            code, reason, _ = closing(error)
            raise _Shut(code, reason) from None
        except BaseException:
            socket.transport.abort()
            raise
        self.socket = socket
        if not (request.handle or request.history):  # else it was told when all began
            for word, sentence in plan.notes:
                self.told.trouble(word, sentence)

    async def _is_open(self, frame: bytes) -> bool:
        """Whether a frame answers the setup; what else it says is taken too."""
        is_open = False
        for event in wire.decode(frame):
            if isinstance(event, wire.SetupComplete):
                is_open, self.session_id = True, event.session_id
            elif is_open or isinstance(event, wire.ResumptionUpdate):
                await self.take(event)
            else:
                self._note_strange(f"{type(event).__name__} before the session")
        return is_open

    async def _answer_lost_calls(self) -> None:
        """Answer what the session still waits for: it would swallow the next turn."""
        lost = [(call, name) for call, name in self.before.calls if call]
        if lost and self.page.takes.answers_lost_calls:
            responses = [
                messages.FunctionResponse(id=call, name=name, response={"error": LOST_CALL})
                for call, name in lost
            ]
            await self.send(messages.tool_response(*responses))

    # --- both ways

    async def send(self, frame: bytes) -> None:
        """Send a frame; return when the transport has taken it."""
        assert self.socket is not None
        try:
            await self.socket.send(frame, text=True)
        except ConnectionClosed as error:
            if self.reader is not None:
                # It tells how the connection ended, with the reason and what was complete.
                await asyncio.wait([self.reader])
            code, reason, _ = closing(error)
            raise ending(code, self._safe(reason), before_open=False) from None

    async def _read(self) -> None:
        assert self.socket is not None
        try:
            while True:
                frame = await self.socket.recv(decode=False)
                self.told.alive()
                for event in wire.decode(frame):
                    await self.take(event)
        except ConnectionClosed as error:
            if not self.ended:
                code, reason, _ = closing(error)
                self.turns.closing()
                self.told.closed(self._ending(code, self._safe(reason)))

    def _read_over(self, task: asyncio.Task[None]) -> None:
        if task.cancelled() or (error := task.exception()) is None:
            return
        logger.error("! gemini: the reader failed with %s", type(error).__name__)
        self.told.closed(
            ProviderUnavailable(
                f"what Gemini sent could not be taken ({type(error).__name__})", "provider_failed"
            )
        )

    def _ending(self, code: int, reason: str) -> ProviderError:
        """Return how the open connection ended, and keep what the next one must know."""
        if code == INVALID and self.resumed and not self.turned:
            # What it resumed is refused after all: the next one begins anew, with the transcript.
            self.handle = ""
            return ProviderUnavailable(
                f"Gemini could not go on with the resumed session ({reason}): a new one follows",
                str(code),
            )
        error = ending(
            code,
            reason,
            before_open=False,
            resumed_after=0 if self.turned else self.before.closed,
        )
        if code == POLICY and isinstance(error, ProviderUnavailable):
            self.closed = code
        return error

    def _safe(self, reason: str) -> str:
        """Return a reason of the service's without the key, should it quote it."""
        key = self.request.api_key
        return reason.replace(key, "…") if key else reason

    def state(self) -> str:
        """Return what the next connection needs, "" where that is nothing."""
        closed = self.closed or (0 if self.turned else self.before.closed)
        if not (self.handle or closed or self.before.handle):
            return ""
        calls = tuple((call.id, call.name) for call in self.calls.values() if call.id)
        state = State(handle=self.handle, model=self.model, calls=calls, closed=closed)
        return msgspec.json.encode(state).decode()

    async def take(self, event: wire.Event) -> None:
        """Carry out one thing that the service says."""
        turns = self.turns
        match event:
            case wire.Audio(pcm=pcm):
                turns.sound(pcm)
            case wire.ReplyWords(text=text):
                turns.reply_words(text)
            case wire.UserWords():
                turns.user_words(event)
            case wire.Interrupted():
                turns.interrupted()
                await self.told.interrupted()
            case wire.GenerationComplete():
                turns.generation_complete()
            case wire.TurnComplete():
                self.turned = True
                turns.turn_complete(event)
            case wire.Activity():
                turns.activity_heard(event)
            case wire.Call():
                self._called(event)
            case wire.CallsCancelled(ids=ids):
                self._cancelled(ids)
            case wire.ResumptionUpdate(handle=handle):
                self.handle = handle or self.handle
            case wire.GoAway(time_left_s=left):
                self.told.goaway("goaway", left)
            case wire.Usage():
                self._bill(event)
            case wire.Searched(queries=queries):
                self._bill_searches(turns.searched(queries))
            case wire.SetupComplete():
                self._note_strange("a second setupComplete")
            case wire.Unknown(key=key):
                self._note_strange(f"unknown field {key}")
            case wire.Malformed(key=key):
                self._note_strange(f"{key} that cannot be read")
            case _:
                assert_never(event)

    def _called(self, call: wire.Call) -> None:
        self.call_count += 1
        own = call.id or f"call-{self.call_count}"
        self.calls[own] = call
        self.turns.called()
        self.told.tool_call(own, call.name, call.arguments)

    def _cancelled(self, ids: tuple[str, ...]) -> None:
        for each in ids:
            if self.calls.pop(each, None) is not None:
                self.told.tool_cancelled(each)

    def _bill(self, usage: wire.Usage) -> None:
        took = tokens(usage)
        usd = prices.cost(NAME, self.model, took)
        if usd is not None:
            detail = " ".join(f"{k}={v}" for k, v in msgspec.structs.asdict(took).items() if v)
            again = prices.cost(NAME, self.model, sent_again(took)) or 0.0
            self.told.usage(self.turns.response, usd, detail, again_usd=again)

    def _bill_searches(self, count: int) -> None:
        rate = prices.gemini_search(self.model)
        if count and rate is not None:
            self.told.usage(self.turns.response, count * rate, f"searches={count}", aside=True)

    def _note_strange(self, what: str) -> None:
        """Log what is not understood, each kind once, never what it holds."""
        if what not in self.strange and len(self.strange) < STRANGE_KEPT:
            self.strange.add(what)
            logger.warning("! gemini sent %s", ascii(what)[1:-1])

    # --- the microphone's pauses

    def paused(self, active: bool) -> None:
        """Note that the microphone pauses or goes on, in a session that detects turns itself."""
        if self.pause is not None:
            self.pause.cancel()
            self.pause = None
        if not active:
            self.pause = asyncio.get_running_loop().call_later(PAUSE_S, self._tell_pause)

    def _tell_pause(self) -> None:
        self.pause = None
        task = asyncio.create_task(self._send_pause(), name=f"gemini pause {self.request.agent}")
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def _send_pause(self) -> None:
        # A connection that is over has been told of by the reader.
        with contextlib.suppress(ProviderError):
            await self.send(messages.audio_stream_end())

    async def close(self) -> None:
        """Close the connection, whatever state it is in."""
        self.ended = True
        if self.pause is not None:
            self.pause.cancel()
        for task in list(self.tasks):
            task.cancel()
        if self.socket is not None:
            await self.socket.close()
        if self.reader is not None:
            self.reader.cancel()
            await asyncio.wait([self.reader])


# --- the contract's functions ---------------------------------------------------------------


async def start_session(request: SessionRequest, callbacks: LegCallbacks) -> Connection:
    """Open a connection that is ready for audio."""
    page = gemini_page.page_of(request.parameters)
    if not request.api_key:
        raise key_missing(SERVICE)
    conn = Connection(request, page, callbacks)
    try:
        await conn.open()
    except BaseException:
        if conn.socket is not None:
            conn.ended = True
            conn.socket.transport.abort()
        raise
    return conn


async def send_audio_frame(conn: Connection, chunk: bytes) -> None:
    """Send a chunk."""
    if len(chunk) % 2:
        raise ValueError("half a sample: the service would close the session")
    await conn.send(messages.audio(chunk))
    conn.samples += len(chunk) // 2


async def send_activity(conn: Connection, active: bool) -> None:
    """Send a border of the user's turn; without Talk, that the microphone pauses."""
    if not conn.push_to_talk:
        conn.paused(active)
    elif active != conn.active:
        conn.active = active
        conn.turns.activity(active)
        await conn.send(messages.activity(active))


async def send_text(conn: Connection, text: str) -> None:
    """Send a typed turn, with the newest picture: typed turns see none that went before them."""
    conn.turns.typed()
    await conn.send(messages.typed(text, conn.jpeg))


async def note(conn: Connection, text: str) -> None:
    """Send context without a reply."""
    await conn.send(messages.context(text))


async def send_video_frame(conn: Connection, jpeg: bytes) -> None:
    """Send a picture, no sooner than the service takes the next one."""
    clock = asyncio.get_running_loop().time
    conn.jpeg = bytes(jpeg)
    if conn.jpeg_due > clock():
        await asyncio.sleep(conn.jpeg_due - clock())
    conn.jpeg_due = clock() + FRAME_EVERY_S
    await conn.send(messages.video(jpeg))


async def send_tool_response(
    conn: Connection, call_id: str, name: str, ok: bool, result: str
) -> None:
    """Send the result of a call; of one that was cancelled or lost, none is wanted."""
    call = conn.calls.pop(call_id, None)
    if call is None:
        logger.debug("< the result of a call that nobody waits for is left out")
        return
    waits = any(tool.blocking for tool in conn.request.tools if tool.name == call.name)
    speaks = conn.page.takes.scheduling and not waits
    scheduling = (conn.page.tool_scheduling or None) if speaks else None
    if scheduling == "INTERRUPT":
        conn.turns.result_cuts()
    await conn.send(
        messages.tool_response(
            messages.FunctionResponse(
                id=call.id or None,
                name=call.name,
                response={"output": _parsed(result)} if ok else {"error": result},
                scheduling=scheduling,
            )
        )
    )


def _parsed(result: str) -> Any:
    """Return a result as the JSON it is, or as text."""
    try:
        return msgspec.json.decode(result)
    except (msgspec.MsgspecError, RecursionError):
        return result


async def prime_history(conn: Connection, rows: Sequence[HistoryRow], respond: bool) -> None:
    """Send the conversation so far; have its last row answered if that was left unanswered."""
    if conn.seeds:
        await conn.send(messages.history(gemini_setup.seed(rows, respond)))
    # A resumed session may or may not have heard its last turns: they are asked again in writing.
    words = rows[-1].text if rows else conn.request.unanswered
    if respond and words:
        await send_text(conn, words)


def get_persistable_state(conn: Connection) -> str:
    """Return the resume handle, and what goes with it."""
    return conn.state()


async def end_session(conn: Connection) -> None:
    """Close the connection."""
    await conn.close()
