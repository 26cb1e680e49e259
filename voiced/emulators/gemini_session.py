"""One connection to an emulated Gemini: its set-up, its order of messages, its end.

    setup -> setupComplete -> input (`gemini_input`), answers (`gemini_exchange`) and function calls
    (`gemini_calls`) until somebody closes

Everything sent goes through one queue, so a goodbye has its place behind what was said before.
"""

from __future__ import annotations

import asyncio
import itertools
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final, assert_never

import msgspec

from voiced.emulators import gemini_memory, gemini_rules, protojson
from voiced.emulators import gemini_told as told
from voiced.emulators.gemini_calls import Calls
from voiced.emulators.gemini_exchange import Exchange, Words
from voiced.emulators.gemini_input import Input
from voiced.emulators.gemini_memory import Conversation
from voiced.emulators.gemini_models import CONTEXT, MODELS, Model
from voiced.emulators.gemini_options import Options
from voiced.emulators.gemini_rules import INVALID, Finding
from voiced.emulators.gemini_told import ServerMessage
from voiced.emulators.gemini_wire import (
    ClientContent,
    ClientMessage,
    ContextUpdate,
    RealtimeInput,
    SessionResumption,
    Setup,
    ToolResponse,
)
from voiced.emulators.link import Link
from voiced.emulators.script import Fault, Reply
from voiced.emulators.server import Session

if TYPE_CHECKING:
    from voiced.emulators.gemini import Gemini

DEADLINE: Final = "Deadline expired before operation could complete."
UNAVAILABLE: Final = "The service is currently unavailable."
_LIFE_S: Final = 600.0
"""How long a connection lasts."""
_COMPRESSED_LIFE_S: Final = 58 * 60.0
"""How long one with compression lasts on the 3.8 models, which send no goAway."""
_AUDIO_CAP_S: Final = 15 * 60.0
"""How long a conversation without compression lasts."""


class _Close(msgspec.Struct, frozen=True, kw_only=True):
    """The goodbye, in its place behind what is still to be sent."""

    code: int
    reason: str


class GeminiSession(Session):
    """One connection."""

    emulator: Gemini
    setup: Setup
    model: Model
    conversation: Conversation

    def __init__(self, emulator: Gemini, link: Link) -> None:
        super().__init__(emulator, link)
        self.options = msgspec.convert(link.script.options, Options)
        self.calls = Calls(self)
        self.loses_done = False
        self._version = link.path.split(".")[3]
        self._out: asyncio.Queue[ServerMessage | Fault | _Close] = asyncio.Queue()
        self._is_set_up = self._over = False
        self._exchange: Exchange | None = None
        self._waiting: list[Words] = []
        self._replies = 0

    # What its parts use.

    @property
    def now_s(self) -> float:
        """The emulator's own time, seconds."""
        return self.emulator.now_s

    @property
    def transcribes_output(self) -> bool:
        """Whether the client wants the reply's words."""
        return self.setup.output_audio_transcription is not None

    def tell(self, message: ServerMessage | Fault | _Close) -> None:
        """Send this after all that was told before."""
        if isinstance(message, Fault) and message.what == "lost_done":
            self.loses_done = True  # at once: what it is about may be told before it is sent
        elif not self._over:
            self._out.put_nowait(message)

    @property
    def idle(self) -> bool:
        """Whether nothing is being answered."""
        return self._exchange is None

    def tell_handle(self) -> None:
        """Send what to resume with, or that there is nothing now, if the client wants handles."""
        if self.setup.session_resumption is None:
            return
        mid_turn = self._exchange is not None and not self.model.resumable_mid_turn
        if self.calls.open or mid_turn:
            update = told.SessionResumptionUpdate()
        else:
            handle = self.emulator.handles.give(self.conversation)
            update = told.SessionResumptionUpdate(new_handle=handle, resumable=True)
        self.tell(ServerMessage(session_resumption_update=update))

    def next_reply(self) -> tuple[int, Reply]:
        """Return number and script of the next reply."""
        self._replies += 1
        return self._replies, self.script.reply_at(self._replies)

    def searches_for(self, words: str) -> bool:
        """Whether these words make the model search the web."""
        if not any(tool.google_search is not None for tool in self.setup.tools or []):
            return False
        return (
            self.options.searches or re.search(r"\b(search|look up)\b", words.lower()) is not None
        )

    def own_answer(self, prompt: str) -> str:
        """Return what is said where the script says nothing: it shows what is remembered."""
        earlier = [row.text for row in self.conversation.rows[:-1] if row.role == "user"]
        if "remember" in prompt.lower() and earlier:
            return f"Yes, I remember. You said: {earlier[0]}"
        return self.emulator.script.answer.format(heard=prompt)

    def swallows(self) -> bool:
        """Whether this input is lost to calls of a connection before that nobody answered."""
        stale = self.conversation.lost and self.conversation.model.startswith("gemini-3.8")
        self.conversation.lost = frozenset()
        if stale:
            self._exchange = None
        return bool(stale)

    def book(self, used: told.UsageMetadata, searches: int) -> None:
        """Put a turn on the bill."""
        gemini_memory.book(
            self.emulator.bill, self.link.number, self.conversation.model, used, searches
        )

    def finished(self, exchange: Exchange) -> None:
        """Go on after an exchange: a handle, the context's size, what waited for its end."""
        if self._exchange is exchange:
            self._exchange = None
        self._fit_context()
        self.tell_handle()
        if self._waiting and self._exchange is None:
            self.begin(self._waiting.pop(0))

    # The connection.

    async def run(self) -> None:
        """Hold the conversation until the connection ends."""
        self.link.spawn(self._write(), "outbox")
        try:
            while True:
                frame = await self.link.receive()
                if not self._is_set_up:
                    await self.emulator.catch_up()
                if not self._over:
                    self._take_frame(frame)
        finally:
            self._let_go()

    async def play(self, fault: Fault) -> None:
        """Let something go wrong, now."""
        match fault.what:
            case "goaway":
                left_s = fault.seconds or self.options.notice_s
                self._go_away(left_s)
            case "cap":
                self._close(1011, DEADLINE)
            case "error":
                self._close(fault.code, fault.reason or fault.error)
            case "lost_done":
                self.loses_done = True
            case "drop_handles":
                self.emulator.handles.drop()
            case "close" | "reset" | "half_open":
                self._let_go()
                await super().play(fault)
            case _:
                await super().play(fault)

    async def _write(self) -> None:
        while True:
            match await self._out.get():
                case ServerMessage() as message:
                    kind = told.kind(message)
                    self.link.record.sent[kind] = self.link.record.sent.get(kind, 0) + 1
                    await self.link.send_raw(protojson.write(message), binary=True)
                case Fault() as fault:
                    await self.play(fault)
                case _Close(code=code, reason=reason):
                    await self.link.close(code, reason)
                    return

    def _take_frame(self, frame: str | bytes) -> None:
        if isinstance(frame, bytes):
            self.link.violate("", "", "a client sends text frames, not binary ones")
        try:
            message = protojson.read(frame, ClientMessage)
        except protojson.Malformed as error:
            event = error.path.split(".")[0]
            self.note(
                event, [Finding(path=error.path, rule=str(error), code=1007, reason=str(error))]
            )
            return
        given = [name for name in message.__struct_fields__ if getattr(message, name) is not None]
        if len(given) != 1:
            rule = f"a frame holds exactly one message, not {len(given)}"
            self.note("+".join(given), [Finding(path="", rule=rule, code=1007)])
            return
        (event,) = given
        if (event == "setup") is self._is_set_up:
            reason = "setup must be the first message and only the first"
            self.note(event, [Finding(path=event, rule=reason, code=1007, reason=reason)])
            return
        self._take(event, getattr(message, event))

    def _take(
        self,
        event: str,
        body: Setup | ClientContent | RealtimeInput | ToolResponse | ContextUpdate,
    ) -> None:
        self.link.count(event)
        if not isinstance(body, Setup) and gemini_rules.refuses_content(self.setup, self.model):
            rule = "nothing can be said after enableAffectiveDialog"
            self.note(event, [Finding(path=event, rule=rule, code=1007)])
            return
        match body:
            case Setup():
                self._take_setup(body)
            case ClientContent():
                self._input.take_content(body)
            case RealtimeInput():
                self._input.take_realtime(body)
            case ToolResponse():
                self.calls.take(body)
            case ContextUpdate():
                self._take_update(body)
            case _:
                assert_never(body)

    def note(self, event: str, findings: Iterable[Finding]) -> bool:
        """Write down what is wrong, close for the first of it that is not put up with.

        Returns:
            Whether the message may be used.
        """
        refusal: Finding | None = None
        for finding in findings:
            self.link.violate(event, finding.path, finding.rule)
            refusal = refusal or (finding if finding.code else None)
        if refusal is not None:
            self._close(refusal.code, refusal.reason)
        return refusal is None

    def _close(self, code: int, reason: str) -> None:
        self.tell(_Close(code=code, reason=reason))
        self._let_go()

    def _let_go(self) -> None:
        """Let the conversation be resumed by another connection."""
        if self._over:
            return
        self._over = True
        if self._is_set_up:
            known = self.conversation
            known.link, known.ended_s = None, self.now_s
            known.lost = frozenset(self.calls.open)
            known.connected_s += self.link.age_s * self.emulator.speed

    # The set-up.

    def _take_setup(self, setup: Setup) -> None:
        if not self.note("setup", gemini_rules.check_setup(setup, self._version)):
            return
        name = (setup.model or "").removeprefix("models/")
        self.setup, self.model = setup, MODELS[name]
        wanted = setup.session_resumption
        if not self.note("setup", self._not_resumable(wanted, name)):
            return
        if wanted is not None and wanted.handle:
            self.conversation = self.emulator.handles.resume(wanted.handle)
        else:
            self.conversation = Conversation(len(self.emulator.conversations) + 1, name)
            self.emulator.conversations.append(self.conversation)
        self.conversation.link, self._is_set_up = self.link, True
        self._input = Input(self)
        self.link.spawn(self._ready(), "ready")

    def _not_resumable(self, wanted: SessionResumption | None, name: str) -> Iterable[Finding]:
        path = "setup.session_resumption"
        if wanted is None:
            return
        if not wanted.handle:
            if not self.model.first_resumption:
                reason = gemini_rules.UNSUPPORTED
                rule = "this model takes no resumption at the first connection"
                yield Finding(path=path, rule=rule, code=1008, reason=reason)
            return
        known = self.emulator.handles.find(wanted.handle, self.now_s)
        if known is None:
            yield Finding(path=f"{path}.handle", rule="unknown or too old", code=1007)
        elif known.model != name:
            rule = f"continues a conversation with {known.model}"
            yield Finding(path=f"{path}.handle", rule=rule, code=1007)
        elif known.link is not None:
            rule = "the connection before is still open: close it first"
            yield Finding(path=f"{path}.handle", rule=rule, code=1011, reason=UNAVAILABLE)

    async def _ready(self) -> None:
        await self.emulator.pause(self.options.setup_delay_s)
        name = f"session-{self.link.number}" if self.options.session_id else ""
        self.tell(ServerMessage(setup_complete=told.SetupComplete(session_id=name)))
        self.tell_handle()
        self.arm()
        compression = self.setup.context_window_compression
        compressed = compression is not None and compression.sliding_window is not None
        if self.script.longest_s is not None:
            self.end_after(self.script.longest_s, self.options.notice_s)
        elif compressed and self.conversation.model.startswith("gemini-3.8"):
            self.end_after(_COMPRESSED_LIFE_S, 0.0)
        else:
            self.end_after(_LIFE_S, self.options.notice_s)
        if not compressed:
            self.end_after(_AUDIO_CAP_S - self.conversation.connected_s, 0.0)

    def end_after(self, life_s: float, notice_s: float) -> None:
        """Let the connection die in `life_s` seconds; `notice_s` before it a goAway, 0 = none."""
        self.link.spawn(self._expire(max(0.0, life_s), min(notice_s, life_s / 2)), "deadline")

    async def _expire(self, life_s: float, notice_s: float) -> None:
        await self.emulator.pause(life_s - notice_s)
        if notice_s:
            self._go_away(notice_s)
        else:
            self._close(1011, DEADLINE)

    def _go_away(self, left_s: float) -> None:
        self.tell(ServerMessage(go_away=told.GoAway(time_left=told.duration(left_s))))
        self.link.spawn(self._expire(left_s, 0.0), "goaway")

    def _fit_context(self) -> None:
        window = self.setup.context_window_compression
        if window is not None and window.sliding_window is not None:
            trigger = window.trigger_tokens or CONTEXT * 8 // 10
            target = window.sliding_window.target_tokens or trigger // 2
            self.conversation.compress(trigger, target)
        elif self.conversation.tokens.all > CONTEXT:
            self._close(1007, INVALID)

    # Exchanges, and changes of the set-up.

    def begin(self, words: Words) -> None:
        """Answer words, or what will turn out to have been said, once nothing else is answered."""
        if self._exchange is not None:
            self._waiting.append(words)
            return
        self._exchange = Exchange(self, words)
        if not self.model.resumable_mid_turn:
            self.tell_handle()

    def interrupt(self) -> None:
        """Cut off what is being answered, and forget what waited."""
        self._waiting.clear()
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            exchange.interrupt()
            self.tell_handle()

    def _take_update(self, update: ContextUpdate) -> None:
        if not self.model.context_update:
            reason = (
                'Invalid JSON payload received. Unknown name "contextUpdate": Cannot find field.'
            )
            finding = Finding(path="context_update", rule=reason, code=1007, reason=reason)
            self.note("context_update", [finding])
            return
        tools = update.tools.tools or [] if update.tools is not None else None
        here = "context_update"
        checks = itertools.chain(
            gemini_rules.check_instruction(update.system_instruction, f"{here}.system_instruction"),
            gemini_rules.check_tools(tools or [], self.model, f"{here}.tools.tools"),
        )
        if not self.note(here, checks):
            return
        self.setup = msgspec.structs.replace(
            self.setup,
            system_instruction=update.system_instruction or self.setup.system_instruction,
            tools=self.setup.tools if tools is None else tools,
        )
