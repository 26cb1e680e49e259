"""One chat with an emulated EVI: what comes in, turns, tools, its end."""

from __future__ import annotations

import asyncio
import functools
import itertools
import time
from typing import TYPE_CHECKING, Any, Final, assert_never

import msgspec

from voiced.emulators import ear, hume_rules
from voiced.emulators import hume_wire as wire
from voiced.emulators.ear import Ear, SpeechStarted, SpeechStopped
from voiced.emulators.hume_options import Options
from voiced.emulators.hume_reply import Answering, Verbatim, Words
from voiced.emulators.hume_rules import Rejected
from voiced.emulators.hume_voice import prosody
from voiced.emulators.hume_wire import ChatMessage, Inference, SessionSettings
from voiced.emulators.link import Link
from voiced.emulators.script import Fault, Reply
from voiced.emulators.server import Session

if TYPE_CHECKING:
    from voiced.emulators.hume import Hume

LONGEST_S: Final = 1800.0
"""How long a chat lasts at most."""
_PRICE_MINUTE: Final = 0.07
"""USD a minute of an open chat: the dearer end of what is known."""
_SAME_ERRORS: Final = 10
"""Identical errors that end the chat."""
_GAP_S: Final = 1.0
"""A pause in the audio in the middle of speech that is too long: the turn stays open."""


class Turn(msgspec.Struct, frozen=True, kw_only=True):
    """Something said in a chat group."""

    role: str
    text: str


class _Close(msgspec.Struct, frozen=True, kw_only=True):
    """The goodbye, in its place behind what is still to be sent."""

    code: int
    reason: str


class HumeSession(Session):
    """One connection."""

    emulator: Hume

    def __init__(self, emulator: Hume, link: Link) -> None:
        super().__init__(emulator, link)
        self.options = msgspec.convert(link.script.options, Options)
        self.settings = SessionSettings()
        self.loses_done = False
        self.calls: dict[str, str] = {}
        """Names of the functions called, by the id of the call."""
        self.turns: list[Turn] = []
        self._out: asyncio.Queue[wire.ServerMessage | Fault | _Close] = asyncio.Queue()
        self._over = self._paused = False
        self._answering: Answering | None = None
        self._waiting: list[Words] = []
        self._unanswered = ""
        self._user_turns = self._replies = 0
        self._reading: asyncio.Task[str] | None = None
        self._call_ids = itertools.count(1)
        self._message_ids = itertools.count(1)
        self._errors: dict[str, int] = {}
        self._ear: Ear | None = None
        self._speech_from: int | None = None
        self._onset_ms = 0
        self._interrupted_in_speech = False
        self._last_audio_s = self._last_input_s = 0.0
        self.request_id = emulator.new_id(3)

    # What an answer uses.

    @property
    def now_s(self) -> float:
        """The chat's own time, seconds since it was opened."""
        return self.link.age_s * self.emulator.speed

    def tell(self, message: wire.ServerMessage | Fault | _Close) -> None:
        """Send this after all that was told before."""
        if isinstance(message, Fault) and message.what == "lost_done":
            self.loses_done = True  # at once: what it is about may be told before it is sent
        elif not self._over:
            self._out.put_nowait(message)

    def next_reply(self) -> tuple[int, Reply]:
        """Return number and script of the next reply."""
        self._replies += 1
        return self._replies, self.script.reply_at(self._replies)

    def next_message(self) -> str:
        """Return the id of the next assistant_message."""
        return f"{self.link.number:08x}-0000-4000-8000-{next(self._message_ids):012x}"

    def next_call(self) -> str:
        """Return the id of the next tool call."""
        return f"call_{next(self._call_ids):02d}"

    def declares(self, name: str) -> bool:
        """Whether the client has a tool of this name."""
        return any(tool.name == name for tool in self.settings.tools or [])

    def has_builtin(self, name: str) -> bool:
        """Whether a tool of the service is switched on."""
        return any(tool.name == name for tool in self.settings.builtin_tools or [])

    def measured(self, words: str) -> Inference:
        """Return the scores of something that was heard or said."""
        if not self.options.prosody:
            return Inference(prosody=None)
        return Inference(prosody=prosody(words, self.options.scores))

    def own_answer(self, prompt: str) -> str:
        """Return what is said where the script says nothing: it shows what is remembered."""
        earlier = [turn.text for turn in self.turns[:-1] if turn.role == "user"]
        if "remember" in prompt.lower() and earlier:
            return f"Yes, I remember. You said: {earlier[0]}"
        return self.emulator.script.answer.format(heard=prompt)

    def finished(self, answering: Answering) -> None:
        """Go on after an answer."""
        if self._answering is answering:
            self._answering = None
        if self._waiting and self._answering is None:
            self._begin(self._waiting.pop(0))

    def hang_up(self) -> None:
        """End the chat: the model wants to."""
        self._close(1000, "")

    # The connection.

    async def run(self) -> None:
        """Hold the chat until the connection ends."""
        self.link.spawn(self._write(), "outbox")
        try:
            self._open()
            while True:
                frame = await self.link.receive()
                if not self._over:
                    self._take_frame(frame)
        finally:
            self._let_go()

    async def play(self, fault: Fault) -> None:
        """Let something go wrong, now."""
        match fault.what:
            case "cap" | "goaway":
                # EVI announces nothing: the end is all there is.
                self._expire("E0709", "max_duration_timeout", "The chat reached its longest time.")
            case "error":
                self.tell_error(fault.error or "I0100", fault.kind or "fault", fault.reason)
            case "lost_done":
                self.loses_done = True
            case "drop_handles":
                self.emulator.groups.clear()
            case "close" | "reset" | "half_open":
                self._let_go()
                await super().play(fault)
            case _:
                await super().play(fault)

    async def _write(self) -> None:
        while True:
            match await self._out.get():
                case Fault() as fault:
                    await self.play(fault)
                case _Close(code=code, reason=reason):
                    await self.link.close(code, reason)
                    return
                case message:
                    named = msgspec.structs.replace(
                        message, custom_session_id=self.settings.custom_session_id
                    )
                    await self.link.send(named, str(message.__struct_config__.tag))

    def _open(self) -> None:
        group = self.link.query.get("resumed_chat_group_id", "")
        try:
            settings, wrong = hume_rules.settings_of(self.link.query)
            for name, rule in wrong:
                self.link.violate("query", name, rule)
            hume_rules.check_settings(settings)
        except Rejected as rejected:
            self._reject("query", rejected)
            self._close(1008, rejected.sentence)
            return
        if group and (self.options.gone_groups or group not in self.emulator.groups):
            # Not the client's fault: groups end.
            self.tell_error("E0712", "chat_group_not_found", f"There is no chat group {group}.")
            self._close(1008, "chat group not found")
            return
        group = group or self.emulator.new_id(1)
        self.turns = self.emulator.groups.setdefault(group, [])
        self.tell(
            wire.ChatMetadata(
                chat_id=self.emulator.new_id(2), chat_group_id=group, request_id=self.request_id
            )
        )
        self._set(settings)
        self.link.spawn(self._idle(), "inactivity")
        longest_s = LONGEST_S if self.script.longest_s is None else self.script.longest_s
        self.link.spawn(self._cap(longest_s), "cap")
        self.arm()

    async def _idle(self) -> None:
        while (left_s := self._last_input_s + self.options.inactivity_s - self.now_s) > 0:
            await self.emulator.pause(left_s)
        self._expire("E0708", "inactivity_timeout", "The chat ended: nobody said anything.")

    async def _cap(self, longest_s: float) -> None:
        await self.emulator.pause(longest_s)
        self._expire("E0709", "max_duration_timeout", "The chat reached its longest time.")

    def _expire(self, code: str, slug: str, sentence: str) -> None:
        self.tell_error(code, slug, sentence)
        self._close(1000, slug)

    def _close(self, code: int, reason: str) -> None:
        self.tell(_Close(code=code, reason=reason))
        self._let_go()

    def _let_go(self) -> None:
        if not self._over:
            self._over = True
            self.emulator.bill.add(self.link.number, "chat", self.now_s, "s", _PRICE_MINUTE / 60)

    def tell_error(self, code: str, slug: str, sentence: str) -> None:
        """Send an error."""
        self.tell(wire.Error(code=code, slug=slug, message=sentence, request_id=self.request_id))

    def _reject(self, event: str, rejected: Rejected) -> None:
        self.link.violate(event, rejected.path, rejected.sentence)
        self.tell_error(rejected.code, rejected.slug, rejected.sentence)
        self._errors[rejected.sentence] = self._errors.get(rejected.sentence, 0) + 1
        if self._errors[rejected.sentence] == _SAME_ERRORS:
            self._close(1008, rejected.slug)

    # What the client says.

    def _take_frame(self, frame: str | bytes) -> None:
        event = hume_rules.kind(frame)
        self.link.count(event)
        self._last_input_s = self.now_s
        try:
            self._take(hume_rules.read(frame))
        except Rejected as rejected:
            self._reject(event, rejected)

    def _take(self, message: wire.ClientMessage) -> None:
        match message:
            case wire.SessionSettings():
                hume_rules.check_settings(message)
                self._set(message)
                if self.options.echo:
                    self._echo(message)
            case wire.AudioInput(data=data):
                self._take_audio(hume_rules.sound(data, self.settings.audio))
            case wire.UserInput(text=text):
                self._take_text(text)
            case wire.AssistantInput(text=text):
                self._begin(Verbatim(text))
            case wire.ToolResponse(tool_call_id=id_, content=content):
                self._take_result(id_, content)
            case wire.ToolError(tool_call_id=id_, content=content, error=error):
                self._take_result(id_, content or self._fallback(id_) or error)
            case wire.Pause():
                self._paused = True
            case wire.Resume():
                self._resume()
            case _:
                assert_never(message)

    def _set(self, changes: SessionSettings) -> None:
        given: dict[str, Any] = {
            name: getattr(changes, name)
            for name in changes.__struct_fields__
            if getattr(changes, name) is not None
        }
        self.settings = msgspec.structs.replace(self.settings, **given)
        audio = changes.audio
        if audio is not None and (self._ear is None or self._ear.rate != audio.sample_rate):
            self._ear = Ear(
                audio.sample_rate,
                speech=self.script.speech,
                prefix_ms=self.options.prefix_padding_ms,
                silence_ms=self.options.end_of_turn_silence_ms,
                threshold=self.options.threshold,
            )

    def _echo(self, settings: SessionSettings) -> None:
        shown = {
            name: getattr(settings, name)
            for name in settings.__struct_fields__
            if name not in ("language_model_api_key", "custom_session_id")
        }
        self.tell(wire.ToldSettings(**shown))

    def _take_audio(self, pcm: bytes) -> None:
        hearing, audio = self._ear, self.settings.audio
        if hearing is None or audio is None:
            return  # a container: this one only looks at raw audio
        seconds = len(pcm) / (2 * audio.sample_rate)
        if seconds > hume_rules.LONGEST_CHUNK_S:
            rule = f"{seconds:.1f} s in one message: audio is a stream, no file"
            self.link.violate("audio_input", "data", rule)
        since_s = self.now_s - self._last_audio_s
        if hearing.speaking and since_s > _GAP_S * max(1.0, self.emulator.speed):
            rule = f"audio stopped for {since_s:.1f} s in the middle of speech"
            self.link.violate("audio_input", "", rule)
        self._last_audio_s = self.now_s
        self.link.record.audio_in_s += seconds
        for noticed in hearing.feed(pcm):
            self._notice(noticed, hearing)
        self._maybe_interrupt(hearing)

    def _notice(self, noticed: SpeechStarted | SpeechStopped, hearing: Ear) -> None:
        match noticed:
            case SpeechStarted(ms=ms):
                self._speech_from, self._interrupted_in_speech = ms, False
                self._onset_ms = hearing.ms
            case SpeechStopped(ms=ms):
                self._maybe_interrupt(hearing)
                start = ms if self._speech_from is None else self._speech_from
                self._speech_from = None
                self._end_turn(start, ms, hearing)

    def _maybe_interrupt(self, hearing: Ear) -> None:
        """Cut the answer off once the user spoke long enough."""
        if self._speech_from is None or self._answering is None or self._interrupted_in_speech:
            return
        if hearing.spoken_until_ms - self._onset_ms >= self.options.min_interruption_ms:
            self._interrupted_in_speech = True
            self._interrupt()

    def _interrupt(self) -> None:
        answering, self._answering = self._answering, None
        self._waiting.clear()
        if answering is not None:
            answering.cut()
            self.tell(wire.UserInterruption(time=time.time_ns() // 1_000_000))
            if self.options.late_audio:
                answering.send_late()

    def _end_turn(self, start_ms: int, end_ms: int, hearing: Ear) -> None:
        self._user_turns += 1
        sound = hearing.cut(start_ms, end_ms)
        hearing.drop(end_ms)
        span = wire.Interval(begin=start_ms, end=end_ms)
        # Read whatever becomes of its answer: transcription does not end with an interruption.
        listening = self._listen(self._user_turns, sound, span, hearing.rate, self._reading)
        self._reading = self.link.spawn(listening, f"turn {self._user_turns}")
        self._begin(functools.partial(asyncio.shield, self._reading))
        for fault in self.due_at_turn(self._user_turns):
            self.tell(fault)

    async def _listen(
        self,
        turn: int,
        sound: bytes,
        span: wire.Interval,
        rate: int,
        before: asyncio.Task[str] | None,
    ) -> str:
        """Return what was said in a turn, and tell the client; "" = nothing."""
        if before is not None:
            await asyncio.wait([before])
        scripted = self.script.heard_at(turn)
        text = (
            scripted.text if scripted else await ear.transcribe(self.emulator.hearing, sound, rate)
        )
        await self.emulator.pause(scripted.delay_s if scripted else 0.0)
        self.link.record.heard.append(text)
        if scripted and scripted.failed:
            return ""
        text = text or "something"
        if self.link.query.get("verbose_transcription", "").lower() == "true":
            half = text[: text.find(" ", len(text) // 2)] if " " in text else text
            for reading in (scripted.revisions if scripted else []) or [half]:
                self._tell_user(reading, span, Inference(prosody=None), interim=True)
        self._tell_user(text, span, self.measured(text))
        return text

    def _tell_user(
        self,
        text: str,
        span: wire.Interval,
        models: Inference,
        *,
        interim: bool = False,
        from_text: bool = False,
    ) -> None:
        self.tell(
            wire.UserMessage(
                message=ChatMessage(role="user", content=text),
                models=models,
                time=span,
                from_text=from_text,
                interim=interim,
                language=None if from_text else "en",
            )
        )
        if not interim:
            self.remember("user", text)

    def _take_text(self, text: str) -> None:
        if not text:
            raise Rejected("E0101", "invalid_message", "The text is empty.", "text")
        self._interrupt()
        nowhere = wire.Interval(begin=0, end=0)
        self._tell_user(text, nowhere, Inference(prosody=None), from_text=True)
        self._begin(text)

    def _begin(self, words: Words) -> None:
        if self._answering is not None:
            self._waiting.append(words)
        else:
            self._answering = Answering(self, words)

    def remember(self, role: str, text: str) -> None:
        """Take something said into the chat group."""
        self.turns.append(Turn(role=role, text=text))

    def holds_back(self, words: str) -> bool:
        """Whether an answer to these words waits for resume_assistant_message."""
        if self._paused:
            self._unanswered = words
        return self._paused

    def _resume(self) -> None:
        self._paused = False
        words, self._unanswered = self._unanswered, ""
        if words:
            self._begin(words)

    # Tools.

    def _fallback(self, id_: str) -> str | None:
        name = self.calls.get(id_)
        tools = self.settings.tools or []
        return next((tool.fallback_content for tool in tools if tool.name == name), None)

    def _take_result(self, id_: str, content: str) -> None:
        self.link.record.results.append((id_, content))
        name = self.calls.pop(id_, None)
        if name is None:
            sentence = f"No tool call {id_} is waiting."
            raise Rejected("E0101", "invalid_message", sentence, "tool_call_id")
        if self._answering is not None:
            self._answering.take_result(id_, f"{name} says {content}")
