"""One leg: one connection to a provider, from `OpenLeg` to the message that it is over.

    connecting --start_session--> open --closed, CloseLeg, an error--> over

While it is open these tasks run in one group: the pump, the commands in their order, the meter, the
pictures, and where Affect is on the service that only listens, which is never a reason to end. The
first reason to end wins; then the tasks are cancelled, the connection is closed, and the last
message is told. Whatever a provider module raises ends its leg with a sentence, never the process.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import traceback
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, assert_never

from voiced.errors import ProviderError, ProviderRefused, ProviderUnavailable
from voiced.lane.seam import Clock
from voiced.messages.network import (
    CloseLeg,
    Handle,
    Interrupt,
    LegClosed,
    LegEvent,
    LegOpened,
    LegRefused,
    LegTrouble,
    LegUnreachable,
    Meter,
    Note,
    OpenLeg,
    Say,
    SendText,
    ShowPicture,
    TalkSlipped,
    ToolResult,
    TurnEnd,
    TurnsSkipped,
    Unsent,
    UpdateLeg,
)
from voiced.network.expression import Expression
from voiced.network.pump import Pump, Source
from voiced.network.resample import Samples
from voiced.network.sight import LOOK_S, Roots, Sight
from voiced.network.speaker import Cut, Loudspeaker
from voiced.network.told import Told, ending
from voiced.network.upload import Rules
from voiced.providers.contract import (
    PREROLL_MAX_MS,
    Connection,
    LocalWire,
    Provider,
    SessionRequest,
    constant,
)

METER_S = 0.2
CLOSE_S = 1.5
"""Longest wait for a provider to close its connection; what is left of it is the system's."""

Command = SendText | Say | Note | ToolResult | UpdateLeg | Interrupt

logger = logging.getLogger(__name__)

TURN_LEAST_MS = 450
"""A turn by Talk, Talktail (200 ms) included, that is shorter is one only if somebody speaks in it:
a foot that slips on the pedal is no visitor."""


class Leg:
    """One connection to a provider.

    Args:
        opened: what control asked for.
        provider: the module.
        source: the lane's near and far, and the device.
        loudspeaker: the lane's way out.
        clock: the daemon's.
        tell: where messages go.
        api_key: of the provider's KEY_SERVER.
        affect_key: of the service that Affect names.
        wire: to the inference process.
        watch: called with every task that outlives the leg.
        roots: where a watched picture may lie.
    """

    def __init__(
        self,
        opened: OpenLeg,
        provider: Provider,
        *,
        source: Source,
        loudspeaker: Loudspeaker,
        clock: Clock,
        tell: Callable[[LegEvent], None],
        api_key: str,
        affect_key: str,
        wire: LocalWire | None,
        watch: Callable[[asyncio.Task[None]], None],
        roots: Roots,
    ) -> None:
        self.agent, self.number = opened.agent, opened.leg
        self._opened, self._provider = opened, provider
        self._source, self._loudspeaker, self._clock = source, loudspeaker, clock
        self._tell = tell
        self._over: asyncio.Future[LegEvent] = asyncio.get_running_loop().create_future()
        self._commands: asyncio.Queue[Command] = asyncio.Queue()
        self._cuts: deque[asyncio.Future[Cut]] = deque()
        """What was heard, for each Interrupt among the commands."""
        self._silenced: asyncio.Future[Cut] | None = None
        """What was heard when the session's end cut the voice off."""
        self._conn: Connection | None = None
        self._since_ns = 0
        self._handle = opened.handle
        """The resume handle that the mind has."""
        self.pump = Pump(
            source,
            self,
            clock,
            rate=provider.SAMPLE_RATE_IN,
            frame_ms=provider.FRAME_MS,
            catchup_pace=provider.CATCHUP_PACE,
            trailing_silence_ms=self._number("TRAILING_SILENCE_MS"),
        )
        self.told = Told(
            agent=self.agent,
            leg=self.number,
            tell=tell,
            loudspeaker=loudspeaker,
            clock=clock,
            samples=self.pump.samples,
            sent=lambda: self.pump.samples_sent,
            rate_out=provider.SAMPLE_RATE_OUT,
            margin_ms=self._number("HEARD_MARGIN_MS"),
            push_to_talk=opened.push_to_talk,
            tells_speech=bool(constant(provider, "TELLS_SPEECH")),
            end=self.end,
        )
        self._expression: Expression | None = None
        if opened.parameters.get("Affect") == "hume":
            self._expression = Expression(
                source.lane,
                source.device,
                clock,
                key=affect_key,
                parameters=opened.parameters,
                teller=self.told,
                watch=watch,
            )
        self._request = SessionRequest(
            agent=self.agent,
            leg=self.number,
            parameters=opened.parameters,
            tools=opened.tools,
            handle=opened.handle,
            history=opened.history,
            respond=opened.respond,
            push_to_talk=opened.push_to_talk,
            api_key=api_key,
            wire=wire,
        )
        self._sight = Sight(
            str(opened.parameters.get("Videoin", "")), self._show, self._cannot_see, clock, roots,
            float(opened.parameters.get("Videointerval", LOOK_S)),
        )  # fmt: skip
        self._begin()

    def _number(self, name: str) -> int:
        value = constant(self._provider, name)
        assert isinstance(value, int | float)
        return int(value)

    def _begin(self) -> None:
        """Fix where the upload begins: at the turn to be sent again, or at what comes next."""
        opened, write = self._opened, self._source.write()
        position = min(opened.from_frame, write) if opened.from_frame >= 0 else write
        rate = self._source.near_rate(position)
        preroll = min(self._number("PREROLL_MS"), PREROLL_MAX_MS) * rate // 1000
        floor = opened.not_before_frame if opened.not_before_frame >= 0 else position
        source, least = self._source, TURN_LEAST_MS * rate // 1000
        rules = Rules(opened.push_to_talk, preroll, floor, source.sounds, least, source.speaks)
        self.pump.start(position, rules)
        if opened.pressed_frame >= 0:
            self.pump.begin_turn(max(opened.pressed_frame, position))

    # --- from outside -----------------------------------------------------------------------

    async def run(self) -> None:
        """Connect, serve, and tell the end; returns when the leg is over."""
        reason = await self._connect()
        if reason is None:
            reason = await self._serve()
            self._tell_handle()
        self.told.over = True
        self._loudspeaker.left(self.number)
        await self._hang_up()
        if self._silenced is not None:
            # The mind closes its books at the end: what was heard is told before it.
            await self._silenced
        logger.info("> %s leg=%d %s", self.agent, self.number, _shown(reason))
        self._tell(reason)

    def receive(self, message: Command | CloseLeg | TurnEnd | ShowPicture) -> None:
        """Take a message about this leg."""
        match message:
            case CloseLeg(let_finish=let_finish):
                if not let_finish:
                    self._silenced = self._loudspeaker.cut()
                self.end(LegClosed(agent=self.agent, leg=self.number, asked=True))
            case TurnEnd(frame=frame):
                self.pump.end_turn(frame)
            case ShowPicture(jpeg=jpeg):
                self._sight.take(jpeg)
            case _:
                if isinstance(message, Interrupt):
                    # The reflex first; telling the service may wait behind other words.
                    self._cuts.append(self._loudspeaker.cut())
                self._commands.put_nowait(message)

    def appended(self) -> None:
        """Audio has appended."""
        self.pump.appended()
        if self._expression is not None:
            self._expression.appended()

    def pause(self, paused: bool) -> None:
        """Hold everything that leaves, or let it go on."""
        self.pump.pause(paused)
        if self._expression is not None:
            self._expression.pause(paused)

    def end(self, reason: LegEvent) -> None:
        """End the leg; the first reason counts."""
        if not self._over.done():
            self._over.set_result(reason)

    # --- what the pump calls ----------------------------------------------------------------

    async def take_chunk(self, chunk: bytes) -> None:
        """Give a chunk to the provider."""
        assert self._conn is not None
        await self._guarded(self._provider.send_audio_frame(self._conn, chunk), "send_audio_frame")

    async def take_edge(self, frame: int, is_open: bool) -> None:
        """Tell an edge of the gate to the provider and, where it is a turn's, to the mind."""
        if self._opened.push_to_talk:
            if is_open:
                self.told.turn_started(frame)
            else:
                self.told.turn_ended(frame)
        elif not is_open:
            self.told.paused(frame)
        await self._optional("send_activity", is_open)

    def heard(self, start: int, near: Samples, rate: int) -> None:
        """Listen for a visitor, where the service does not tell."""
        self.told.sent_on(start, near, rate)

    def slipped(self, seconds: float) -> None:
        """Tell that Talk was held and nobody spoke."""
        self.told.tell(TalkSlipped(agent=self.agent, leg=self.number, seconds=seconds))

    def skipped(self, seconds: float, to_frame: int, lapped: bool) -> None:
        """Tell what was not sent."""
        self.told.tell(
            TurnsSkipped(agent=self.agent, leg=self.number, seconds=seconds, to_frame=to_frame)
        )
        if lapped:
            sentence = (
                f"{seconds:.1f} s of speech were lost: the service took nothing for as long as the "
                "microphone's memory lasts"
            )
            self.told.tell(
                LegTrouble(agent=self.agent, leg=self.number, code="near_lapped", sentence=sentence)
            )

    # --- connecting -------------------------------------------------------------------------

    async def _connect(self) -> LegEvent | None:
        """Open the connection; return why not, or None."""
        timeout_s = self._number("CONNECT_TIMEOUT_S")
        start = asyncio.create_task(self._start(timeout_s), name=f"connect {self.agent}")
        either: set[asyncio.Future[Any]] = {start, self._over}
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        if not start.done():
            start.cancel()
            await asyncio.wait([start], timeout=CLOSE_S)
            return self._over.result()
        error = start.exception()
        if error is None:
            return self._over.result() if self._over.done() else None
        if isinstance(error, ProviderRefused):
            return LegRefused(
                agent=self.agent, leg=self.number, code=error.code, sentence=str(error)
            )
        if isinstance(error, ProviderError):
            return LegUnreachable(
                agent=self.agent, leg=self.number, code=error.code, sentence=str(error)
            )
        raise error

    async def _start(self, timeout_s: float) -> None:
        try:
            async with asyncio.timeout(timeout_s):
                conn = await self._guarded(
                    self._provider.start_session(self._request, self.told), "start_session"
                )
                self._conn = _checked(conn, self._opened.provider)
                resumed = await self._prime()
        except TimeoutError:
            raise ProviderUnavailable(
                f"{self._opened.provider} did not answer within {timeout_s:g} s", "connect_timeout"
            ) from None
        self._since_ns = self._clock.mono_ns()
        self.told.alive()
        self._tell(
            LegOpened(
                agent=self.agent,
                leg=self.number,
                resumed=resumed,
                service_session=self._conn.session_id,
            )
        )

    async def _prime(self) -> str:
        """Give the service the conversation so far where it does not remember it itself."""
        assert self._conn is not None
        history, respond = self._opened.history, self._opened.respond
        if self._conn.resumed:
            if respond:
                await self._optional("prime_history", [], True)
            return "native"
        if not history:
            return "fresh"
        return "replay" if await self._optional("prime_history", history, respond) else "fresh"

    # --- open -------------------------------------------------------------------------------

    async def _serve(self) -> LegEvent:
        parts: list[tuple[str, Coroutine[Any, Any, None]]] = [
            ("pump", self.pump.run(self._opened.max_backlog_s)),
            ("commands", self._obey()),
            ("meter", self._measure()),
            ("sight", self._sight.run()),
        ]
        if self._expression is not None:
            parts.append(("expression", self._expression.run()))
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(self._ending(part), name=f"{name} {self.agent}.{self.number}")
                for name, part in parts
            ]
            reason = await self._over
            for task in tasks:
                task.cancel()
        return reason

    async def _ending(self, part: Coroutine[Any, Any, None]) -> None:
        """Run a part of the leg; an error of the provider ends the leg."""
        try:
            await part
        except ProviderError as error:
            self.end(ending(self.agent, self.number, error))

    async def _measure(self) -> None:
        while True:
            self._tell_handle()
            now_ns = self._clock.mono_ns()
            self.told.tell(
                Meter(
                    agent=self.agent,
                    leg=self.number,
                    seconds_sent=self.pump.seconds_sent,
                    seconds_received=self.told.seconds_received,
                    connected_s=(now_ns - self._since_ns) / 1e9,
                    response_running=self._loudspeaker.is_running(self.number),
                    rx_age_s=max(0, now_ns - self.told.received_at_ns) / 1e9,
                    buffered_s=self._loudspeaker.buffered_s(),
                )
            )
            await asyncio.sleep(self._clock.real_s(METER_S))

    def _tell_handle(self) -> None:
        """Tell the resume handle where it has changed: it must outlive this process."""
        ask = getattr(self._provider, "get_persistable_state", None)
        if ask is None or self._conn is None:
            return
        try:
            handle = ask(self._conn)
        except Exception as error:
            # Anybody's code: without a handle the next leg begins afresh, and that is all.
            logger.error("! %s: get_persistable_state: %s", self._opened.provider, type(error))
            return
        if isinstance(handle, str) and handle not in ("", self._handle):
            self._handle = handle
            self.told.tell(Handle(agent=self.agent, leg=self.number, handle=handle))

    async def _obey(self) -> None:
        """Carry out what control sends, in its order."""
        while True:
            await self._carry_out(await self._commands.get())

    async def _carry_out(self, message: Command) -> None:
        assert self._conn is not None
        match message:
            case SendText(text=text):
                self.told.turn_end_frame = -1
                # What is typed about what is seen is about the newest picture.
                await self._sight.refresh()
                self.told.texts += 1
                await self._guarded(self._provider.send_text(self._conn, text), "send_text")
            case Say(text=text):
                if not await self._optional("say", text):
                    self._unsent("speak word for word; use Sendtext to have it answer")
            case Note(text=text):
                if not await self._optional("note", text):
                    self._unsent("take a note without answering; use Sendtext")
            case ToolResult():
                await self._guarded(
                    self._provider.send_tool_response(
                        self._conn, message.call_id, message.name, message.ok, message.result
                    ),
                    "send_tool_response",
                )
            case UpdateLeg(parameters=parameters, tools=tools):
                if "Videoin" in parameters:
                    self._sight.look_at(str(parameters["Videoin"]))
                if "Videointerval" in parameters:
                    self._sight.pace(float(parameters["Videointerval"]))
                await self._optional("update_session", parameters, tools)
            case Interrupt():
                heard = self.told.heard(await self._cuts.popleft())
                await self._optional("interrupt", heard)
            case _:
                assert_never(message)

    async def _show(self, jpeg: bytes) -> None:
        if not await self._optional("send_video_frame", jpeg):
            self._cannot_see(f"{self._opened.provider} takes no pictures: Videoin does nothing")
            self._sight.close()

    def _cannot_see(self, sentence: str) -> None:
        self.told.tell(
            LegTrouble(agent=self.agent, leg=self.number, code="videoin", sentence=sentence)
        )

    def _unsent(self, what: str) -> None:
        sentence = f"{self._opened.provider} cannot {what}"
        self.told.tell(Unsent(agent=self.agent, leg=self.number, sentence=sentence))

    async def _hang_up(self) -> None:
        """Close the connection, within a deadline and whatever the provider says to it."""
        if self._conn is None:
            return
        # The leg is over anyway; how badly its connection closed changes nothing.
        with contextlib.suppress(TimeoutError, ProviderError):
            async with asyncio.timeout(CLOSE_S):
                await self._guarded(self._provider.end_session(self._conn), "end_session")

    # --- the provider's code ----------------------------------------------------------------

    async def _optional(self, name: str, *arguments: object) -> bool:
        """Call an optional function; tell whether the provider has it."""
        function = getattr(self._provider, name, None)
        if function is None:
            return False
        await self._guarded(function(self._conn, *arguments), name)
        return True

    async def _guarded(self, call: Awaitable[Any], name: str) -> Any:
        try:
            return await call
        except ProviderError:
            raise
        except Exception as error:
            # A module may come from anybody: its mistake ends its leg, not the process. The text
            # of the error may hold a key or a visitor's words, so only its kind and place are told.
            place = traceback.extract_tb(error.__traceback__)[-1]
            what = f"{type(error).__name__} in {name} ({place.name}, line {place.lineno})"
            logger.error("! %s: %s", self._opened.provider, what)
            raise ProviderUnavailable(
                f"{self._opened.provider} failed: {what}", "provider_failed"
            ) from None


def _checked(conn: object, provider: str) -> Connection:
    resumed, session_id = getattr(conn, "resumed", None), getattr(conn, "session_id", None)
    if not (isinstance(conn, Connection) and isinstance(resumed, bool)) or not isinstance(
        session_id, str
    ):
        raise ProviderUnavailable(
            f"{provider} failed: start_session must return an object with `resumed` (True or "
            "False) and `session_id` (a str)",
            "provider_failed",
        )
    return conn


def _shown(reason: LegEvent) -> str:
    code = getattr(reason, "code", "")
    return f"{type(reason).__name__} {code}".strip()
