"""Hume EVI: speech to speech with a measure of how it was said. Its service has ended.

Kept to its specification for emulators and for whoever still has access. EVI differs from the other
services in what follows:

- There is no truncation and no cancelling: what was heard of a cut reply is kept here, and what
  still comes of it is dropped by the ids of its messages.
- Only `user_interruption` interrupts; an interim `user_message` may be a cough.
- There is no sign for a turn's borders. With push-to-talk the microphone is gated, a second of
  silence behind it lets the service's own detection end the turn, and (`hold_replies`) EVI is
  paused while Talk is held, so that a visitor who thinks for a moment is not answered yet.
- Time on the wire is what costs. A chat ends after 1800 s, or when nobody spoke for as long as its
  Config says; both times the next connection resumes it by its chat group.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from typing import NamedTuple, assert_never

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from voiced.errors import ProviderError, ProviderRefused, ProviderUnavailable
from voiced.messages.network import HistoryRow, Price, ProviderParameter, ToolDeclaration, Value
from voiced.providers import hume_codec as wire
from voiced.providers import prices
from voiced.providers.contract import Availability, HeardItem, LegCallbacks, SessionRequest
from voiced.providers.dial import Closing, Service, closing, dial, key_missing
from voiced.providers.hume_chat import END_CONVERSATION, HANG_UP, RATE_IN, RATE_OUT, Chat, failed

ENDED = prices.ends("hume_evi", "evi-3")
"""The day on which Hume ended the service."""
TITLE = f"Hume EVI (service ended {ENDED})"
TELLS_SPEECH = False
PROVIDER_TYPE = "realtime"
SPEECH_TYPE = "voice-realtime"
TRANSPORT = "ws"
SAMPLE_RATE_IN = RATE_IN
SAMPLE_RATE_OUT = RATE_OUT
FRAME_MS: int | None = 20
MAX_SESSION_S: int | None = 1800
RESUMPTION = "native"
SUPPORTS_VIDEO_IN = False
SUPPORTS_VOICE_CLONING = True
FULL_DUPLEX = True
KEY_SERVER: str | None = "hume"
DEPENDENCIES: list[str] = []
SIGNAL_CHANNELS: dict[str, str] = {
    channel: f"{name} in the visitor's voice, 0 to 1" for name, channel in wire.AFFECT.items()
}
METERING = "wallclock"
CATCHUP_PACE = 2.0
PREROLL_MS = 300
TRAILING_SILENCE_MS = 1000
"""The service ends a turn after 500 to 3000 ms of silence, 800 where its Config says nothing."""
BILLING_URL = "https://beta.hume.ai/settings/billing"
PRICING_URL = "https://www.hume.ai/pricing"

SERVICE = Service("Hume", "hume")

logger = logging.getLogger(__name__)

# --- what it offers -------------------------------------------------------------------------


def get_parameters() -> list[ProviderParameter]:
    """Return the provider's own page."""
    return [
        ProviderParameter(
            name="Model",
            tag="s",
            default="evi-3",
            options=["evi-3", "evi-4-mini"],
            open_menu=True,
            doc="Names the EVI version for Pricing; which one answers is set in the Config",
        ),
        ProviderParameter(
            name="config_id",
            tag="s",
            default="",
            doc="Names the EVI Config (voice, language model, turn detection); empty is Hume's own",
        ),
        ProviderParameter(
            name="config_version",
            tag="i",
            default=0,
            minimum=0.0,
            maximum=1_000_000.0,
            doc="Version of the Config; 0 is the newest",
        ),
        ProviderParameter(
            name="verbose_transcription",
            tag="i",
            default=True,
            doc="Tells the visitor's words while they are spoken",
        ),
        ProviderParameter(
            name="variables",
            tag="s",
            default="",
            applies="turn",
            doc='Values for {{names}} in the system prompt, as JSON: {"name": "Ada"}',
        ),
        ProviderParameter(
            name="note_context",
            tag="s",
            default="temporary",
            options=["temporary", "persistent"],
            applies="turn",
            doc="Whether a note counts for the visitor's next words or for all that follow",
        ),
        ProviderParameter(
            name="hold_replies",
            tag="i",
            default=True,
            doc="Holds EVI's answer back while Talk is held in push_to_talk",
        ),
        ProviderParameter(
            name="hang_up",
            tag="i",
            default=False,
            doc="Uses Hume's own hang_up tool in place of end_conversation",
        ),
        ProviderParameter(
            name="assistant_affect",
            tag="i",
            default=False,
            applies="turn",
            doc="Tells onAffect of EVI's own voice too, with the row of its reply",
        ),
    ]


def pricing(model_id: str) -> Price | None:
    """Return what a model costs."""
    return prices.price("hume_evi", model_id)


def voices() -> list[str]:
    """Return the Config's own voice (empty); others are ids of the account's voice library."""
    return [""]


def is_available() -> Availability:
    """Tell that it can be used: against an emulator always, against Hume while it answers."""
    return Availability(True)


class Setup(NamedTuple):
    """The parameters as the wire wants them."""

    query: wire.Query
    system_prompt: str
    web_search: bool
    hang_up: bool
    hold_replies: bool


def _setup(request: SessionRequest) -> Setup:
    page = request.parameters
    declared = {tool.name for tool in request.tools}
    return Setup(
        query=wire.Query(
            sample_rate=SAMPLE_RATE_IN,
            config_id=request.text("config_id").strip(),
            config_version=int(page.get("config_version", 0)),
            voice_id=request.text("Voice").strip(),
            resumed_chat_group_id=request.handle,
            verbose_transcription=bool(page.get("verbose_transcription", True)),
        ),
        system_prompt=request.text("Systemprompt"),
        web_search=bool(page.get("Enablegrounding", False)),
        hang_up=bool(page.get("hang_up", False)) and END_CONVERSATION in declared,
        hold_replies=bool(page.get("hold_replies", True)) and request.push_to_talk,
    )


# --- one connection -------------------------------------------------------------------------


class Connection:
    """One chat and its socket.

    Attributes:
        handle: the chat group, by which the next connection resumes.
    """

    def __init__(
        self,
        request: SessionRequest,
        callbacks: LegCallbacks,
        setup: Setup,
        socket: ClientConnection,
        metadata: wire.ChatMetadata,
    ) -> None:
        self.callbacks, self.setup, self.socket = callbacks, setup, socket
        self.session_id = metadata.chat_id
        self.handle = metadata.chat_group_id
        self.resumed = bool(request.handle) and self.handle == request.handle
        self.push_to_talk = request.push_to_talk
        self.unanswered = request.unanswered
        self.chat = Chat(callbacks)
        self.set(request.parameters)
        self.errors: dict[str, int] = {}
        """Code -> how often the service told it."""
        self.over = False
        """Nothing more is told."""
        self.last: ProviderError | None = None
        """What the service said before it closes."""
        self.verdict: asyncio.Future[ProviderError] = asyncio.get_running_loop().create_future()
        self.reader: asyncio.Task[None] | None = None

    def set(self, parameters: Mapping[str, Value]) -> None:
        """Take parameters that count at once, those that are there."""
        chat = self.chat
        if "note_context" in parameters:
            chat.persistent_notes = parameters["note_context"] == "persistent"
        if "assistant_affect" in parameters:
            chat.assistant_affect = bool(parameters["assistant_affect"])

    async def send(self, event: wire.ClientEvent) -> None:
        """Send an event; returns when the transport has taken it.

        Raises:
            ProviderError: the connection is over, and why.
        """
        if self.over:
            return
        try:
            await self.socket.send(wire.encode(event), text=True)
        except ConnectionClosed:
            if not (self.over or self.chat.hung_up):
                # The reader knows best why.
                raise await asyncio.shield(self.verdict) from None

    async def context(self, text: str) -> None:
        """Lay words behind what the user says next, after those that already wait there."""
        notes = self.chat.notes
        notes.append(text)
        kind = "persistent" if self.chat.persistent_notes else "temporary"
        context = wire.Context(text="\n".join(notes), type=kind)
        await self.send(wire.SessionSettings(context=context))

    async def read(self) -> None:
        """Take frames until the connection is over, and tell how it ended."""
        try:
            while True:
                await self.take(wire.decode(await self.socket.recv(decode=False)))
        except ConnectionClosed as error:
            self.end(self.why(closing(error)))

    async def take(self, event: wire.ServerEvent | wire.Unreadable) -> None:
        """Take what a frame says."""
        chat = self.chat
        match event:
            case wire.Unreadable(what=what):
                chat.leave_out(what)
            case wire.UserMessage():
                chat.user(event)
            case wire.AssistantMessage():
                chat.assistant(event)
            case wire.AudioOutput():
                chat.audio(event)
            case wire.AssistantProsody():
                chat.prosody(event)
            case wire.AssistantEnd():
                chat.finish()
            case wire.UserInterruption():
                await chat.interrupted()
            case wire.ToolCall():
                chat.tool(event)
            case wire.BuiltinResponse(tool_call_id=call, tool_name=name):
                self.callbacks.alive()
                if name == HANG_UP:
                    chat.hang_up(call)
            case wire.BuiltinError():
                self.callbacks.trouble("tool_error", "one of Hume's own tools has failed")
            case wire.ServiceError():
                self.error(event)
            case wire.ChatMetadata(chat_group_id=group):
                self.handle = group or self.handle
                self.callbacks.alive()
            case wire.SettingsEcho():
                self.callbacks.alive()
            case _:
                assert_never(event)

    def error(self, error: wire.ServiceError) -> None:
        """Take that something is wrong."""
        kind, sentence = wire.meaning(error)
        code, told = error.code[: wire.CODE_KEPT], self.callbacks
        # Only the codes of the table are counted: the service's words must not grow without end.
        if code in wire.COUNTED:
            self.errors[code] = self.errors.get(code, 0) + 1
        match kind:
            case wire.Kind.TROUBLE | wire.Kind.SETTINGS:
                if self.errors.get(code, 1) == 1:
                    told.trouble(code, sentence)
                else:
                    told.alive()
            case wire.Kind.CAP | wire.Kind.INACTIVE:
                self.last = ProviderUnavailable(sentence, code)
                told.goaway("cap" if kind is wire.Kind.CAP else "goaway", 0.0)
            case wire.Kind.OUTAGE:
                self.end(ProviderUnavailable(sentence, code))
            case wire.Kind.REFUSED:
                self.end(ProviderRefused(sentence, code))
            case _:
                assert_never(kind)

    def why(self, how: Closing) -> ProviderError:
        """Return what the end of the socket means."""
        if self.last is not None:
            return self.last
        for code, count in self.errors.items():
            if count >= wire.SAME_ERRORS:
                sentence = f"Hume closed the chat after {count} errors {code}: look at the settings"
                return ProviderRefused(f"{sentence}, then Connect again", code)
        what = "ended the chat" if how.code == 1000 else f"closed the connection ({how.code})"
        return ProviderUnavailable(f"Hume {what}; it is resumed", str(how.code))

    def end(self, error: ProviderError) -> None:
        """The connection is over."""
        self.chat.quiet()
        if not self.verdict.done():
            self.verdict.set_result(error)
        # After a hang-up the closing words still sound; the mind ends the session behind them.
        if not (self.over or self.chat.hung_up):
            self.over = True
            self.callbacks.closed(error)


async def start_session(request: SessionRequest, callbacks: LegCallbacks) -> Connection:
    """Open a chat; one that cannot be resumed is begun afresh."""
    if not request.api_key:
        raise key_missing(SERVICE)
    setup, names = _setup(request), _names(request.text("variables"))
    endpoint = request.text("endpoint")
    try:
        try:
            socket, metadata = await _open(request, setup.query, endpoint)
        except _NotResumed:
            logger.info("% hume_evi: the chat cannot be resumed, a new one begins")
            fresh = setup.query._replace(resumed_chat_group_id="")
            socket, metadata = await _open(request, fresh, endpoint)
    except ProviderError as error:
        if endpoint:
            raise
        said = str(error)
        stop = "" if said.endswith((".", "?", "!")) else "."
        sentence = f"{said}{stop} Hume ended this service on {ENDED}: choose another Provider"
        raise type(error)(sentence, error.code) from None
    conn = Connection(request, callbacks, setup, socket, metadata)
    conn.reader = asyncio.create_task(conn.read(), name=f"hume_evi {request.agent}")
    conn.reader.add_done_callback(lambda task: _reader_over(conn, task))
    try:
        settings = _settings(setup, request.tools, names)
        if settings != wire.SessionSettings():
            await conn.send(settings)
    except BaseException:
        await end_session(conn)
        raise
    return conn


class _NotResumed(ProviderRefused):
    """The service does not take the handle."""


async def _open(
    request: SessionRequest, query: wire.Query, endpoint: str
) -> tuple[ClientConnection, wire.ChatMetadata]:
    """Open a socket and wait for the chat's first frame."""
    headers = {"X-Hume-Api-Key": request.api_key}
    socket = await dial(SERVICE, wire.address(query), headers, endpoint=endpoint)
    try:
        return socket, await _greeting(socket, bool(query.resumed_chat_group_id))
    except BaseException:
        await socket.close()
        raise


async def _greeting(socket: ClientConnection, resuming: bool) -> wire.ChatMetadata:
    while True:
        try:
            event = wire.decode(await socket.recv(decode=False))
        except ConnectionClosed as error:
            code = closing(error).code
            if resuming and code != 1006:
                raise _NotResumed("Hume does not resume this chat", str(code)) from None
            raise ProviderUnavailable(
                f"Hume closed the connection ({code}) before the chat began", str(code)
            ) from None
        if isinstance(event, wire.ChatMetadata):
            return event
        if isinstance(event, wire.ServiceError):
            kind, sentence = wire.meaning(event)
            if kind in (wire.Kind.SETTINGS, wire.Kind.TROUBLE):
                if resuming:
                    raise _NotResumed(sentence, event.code[: wire.CODE_KEPT])
                raise ProviderRefused(sentence, event.code[: wire.CODE_KEPT])
            refused = kind is wire.Kind.REFUSED
            raise (ProviderRefused if refused else ProviderUnavailable)(
                sentence, event.code[: wire.CODE_KEPT]
            )


def _reader_over(conn: Connection, task: asyncio.Task[None]) -> None:
    """A slip in the reader must not leave a deaf connection behind."""
    if not task.cancelled() and (error := task.exception()) is not None:
        conn.chat.hung_up = False
        conn.end(ProviderUnavailable(f"hume_evi failed: {type(error).__name__}", "provider_failed"))


def _names(text: str) -> dict[str, wire.Variable]:
    try:
        return wire.variables(text)
    except ValueError as error:
        raise ProviderRefused(
            f"variables of hume_evi cannot be used: {error}", "bad_value"
        ) from None


def _settings(
    setup: Setup, tools: Sequence[ToolDeclaration], names: Mapping[str, wire.Variable]
) -> wire.SessionSettings:
    """Return what only a message can say."""
    builtin = [
        wire.Builtin(name=name)
        for name, wanted in (("web_search", setup.web_search), (HANG_UP, setup.hang_up))
        if wanted
    ]
    return wire.SessionSettings(
        system_prompt=setup.system_prompt or None,
        tools=_declared(setup, tools) or None,
        builtin_tools=builtin or None,
        variables=dict(names) or None,
    )


def _declared(setup: Setup, tools: Sequence[ToolDeclaration]) -> list[wire.Function]:
    return wire.functions(
        [tool for tool in tools if not (setup.hang_up and tool.name == END_CONVERSATION)]
    )


async def prime_history(conn: Connection, rows: Sequence[HistoryRow], respond: bool) -> None:
    """Tell a chat that could not be resumed what was said, and have what is open answered."""
    told = rows[:-1] if respond else rows
    if told:
        said = "\n".join(f"{row.role}: {row.text}" for row in told)
        await conn.context(f"The conversation so far:\n{said}")
    if respond:
        # Of a resumed chat the service may have these words; then it reads them twice.
        text = rows[-1].text if rows else conn.unanswered
        if text:
            await send_text(conn, text)


def get_persistable_state(conn: Connection) -> str:
    """Return the chat group."""
    return conn.handle


async def send_audio_frame(conn: Connection, chunk: bytes) -> None:
    """Send a chunk."""
    await conn.send(wire.audio_input(chunk))
    conn.chat.sent += len(chunk) // 2


async def send_activity(conn: Connection, active: bool) -> None:
    """Hold the answer back while Talk is held; the silence behind it ends the turn."""
    if not conn.push_to_talk:
        return
    conn.chat.talk(active, TRAILING_SILENCE_MS * SAMPLE_RATE_IN // 1000)
    if conn.setup.hold_replies:
        await conn.send(wire.PauseAssistant() if active else wire.ResumeAssistant())


async def send_text(conn: Connection, text: str) -> None:
    """Send a typed turn."""
    conn.chat.typed.append(text)
    await conn.send(wire.UserInput(text=text))


async def say(conn: Connection, text: str) -> None:
    """Have words spoken as they are."""
    await conn.send(wire.AssistantInput(text=text))


async def note(conn: Connection, text: str) -> None:
    """Give context without a reply."""
    await conn.context(text)


async def send_tool_response(
    conn: Connection, call_id: str, name: str, ok: bool, result: str
) -> None:
    """Send the result of a tool call, where the service wants one."""
    if not conn.chat.answered(call_id):
        return
    if ok:
        await conn.send(
            wire.ToolResponse(
                tool_call_id=call_id, content=result, tool_name=name, tool_type="function"
            )
        )
    else:
        await conn.send(failed(call_id, result))


async def interrupt(conn: Connection, heard: Sequence[HeardItem]) -> None:
    """Note that the reply was cut; EVI cannot be told, what still comes of it is dropped."""
    conn.chat.cut = conn.chat.replying


async def update_session(
    conn: Connection, parameters: Mapping[str, Value], tools: Sequence[ToolDeclaration] | None
) -> None:
    """Change what can change while a chat is open."""
    conn.set(parameters)
    names: dict[str, wire.Variable] | None = None
    if "variables" in parameters:
        try:
            names = wire.variables(str(parameters["variables"]))
        except ValueError as error:
            conn.callbacks.trouble("bad_value", f"variables of hume_evi cannot be used: {error}")
    declared = None if tools is None else _declared(conn.setup, tools)
    settings = wire.SessionSettings(variables=names, tools=declared)
    if settings != wire.SessionSettings():
        await conn.send(settings)


async def end_session(conn: Connection) -> None:
    """Close the connection."""
    conn.over = True
    conn.chat.quiet()
    if conn.reader is not None:
        conn.reader.cancel()
    await conn.socket.close()
