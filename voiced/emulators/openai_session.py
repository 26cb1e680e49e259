"""One session of an emulated OpenAI Realtime: what each client event does.

Source: the Realtime API's reference (GA), client and server events, and the guide on conversations.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, assert_never

import msgspec
from msgspec import UNSET

from voiced.emulators import openai_rules as rules
from voiced.emulators import openai_wire as wire
from voiced.emulators import realtime_input as audio
from voiced.emulators.ear import Ear, SpeechStarted, SpeechStopped, transcribe
from voiced.emulators.link import Link
from voiced.emulators.openai_replies import Replies, heard_audio
from voiced.emulators.openai_usage import MODELS, TRANSCRIPTION_MODELS, Context
from voiced.emulators.realtime_input import InputBuffer
from voiced.emulators.realtime_items import USER_TOKENS_PER_S, Content, Conversation, Item
from voiced.emulators.realtime_options import OpenAIOptions
from voiced.emulators.realtime_reply import Response
from voiced.emulators.realtime_session import RealtimeSession
from voiced.emulators.refusal import INVALID, Refused, mistyped
from voiced.emulators.script import Fault, Heard

if TYPE_CHECKING:
    from voiced.emulators.openai import OpenAI

EXPIRED: Final = "Your session hit the maximum duration of {minutes} minutes."
_KEPT_MS: Final = 5_000
"""Audio kept while nobody speaks and the service detects turns."""
_EAGER_SILENCE_MS: Final = {"low": 1200, "medium": 600, "auto": 600, "high": 300}
"""What stands for understanding whether somebody has finished."""
_DIARIZING: Final = "gpt-4o-transcribe-diarize"
_UNREADABLE: Final = "audio_unintelligible"


class OpenAISession(RealtimeSession):
    """What one client talks to.

    Args:
        emulator: whose it is.
        link: its connection.
        model: the model that the address names.
    """

    emulator: OpenAI

    def __init__(self, emulator: OpenAI, link: Link, model: str) -> None:
        super().__init__(emulator, link)
        self.model_id, self.model = model, MODELS[model]
        self.options = msgspec.convert(link.script.options, OpenAIOptions)
        self.config = wire.defaults(model)
        self.conversation, self.mouth = Conversation(), emulator.mouth
        self.conversation_id = f"conv_{link.number:06d}"
        self.replies = Replies(self, Context(self.model))
        self._longest_s = self.script.longest_s or emulator.longest_s
        self._expires_at = int(time.time() + self._longest_s / emulator.speed)
        self._events = itertools.count(1)
        self._turns = itertools.count(1)
        self._voice_heard: object = None
        self._input = self._buffer()
        self._speaking: str | None = None
        """Id of the item that the user speaks into, while turns are detected."""
        self._speech_ms = 0
        self._reading: dict[str, asyncio.Task[None]] = {}
        self._read: dict[str, str] = {}
        self._idle: asyncio.Task[None] | None = None

    # Reading

    async def run(self) -> None:
        """Hold the conversation."""
        if "OpenAI-Beta" in self.link.headers:
            self.link.violate("", "OpenAI-Beta", "the header of the beta is not for this service")
        await self.say("session.created", session=self._shown())
        self.link.spawn(self._expire(), "cap")
        self.arm()
        while True:
            await self._take(await self.link.receive())

    async def _take(self, frame: str | bytes) -> None:
        event_id: str | None = None
        kind = ""
        try:
            try:
                raw = msgspec.json.decode(frame) if isinstance(frame, str) else None
            except msgspec.DecodeError:
                raw = None
            if not isinstance(raw, dict):
                raise Refused(
                    "We could not parse the JSON body of your message: text frames with one JSON "
                    "object each are expected.",
                    "invalid_json",
                )
            kind, event_id = str(raw.get("type", "")), _text(raw.get("event_id"))
            self.link.count(kind)
            try:
                event = msgspec.convert(raw, wire.ClientEvent)
            except msgspec.ValidationError as error:
                raise mistyped(error) from None
            await self._do(event)
        except Refused as refused:
            if refused.violation:
                self.link.violate(kind, refused.param or "", refused.message)
            await self._refuse(refused, event_id)

    async def _refuse(self, refused: Refused, event_id: str | None) -> None:
        error = {
            "type": refused.kind, "code": refused.code, "message": refused.message,
            "param": refused.param, "event_id": event_id,
        }  # fmt: skip
        await self.say("error", error=error)

    async def _do(self, event: wire.ClientEvent) -> None:
        match event:
            case wire.SessionUpdate():
                await self._update(event.session)
            case wire.Append():
                await self._append(event)
            case wire.Commit():
                await self._commit()
            case wire.Clear():
                self._input.clear()
                self._speaking = None
                await self.say("input_audio_buffer.cleared")
            case wire.ItemCreate():
                await self._create_item(event)
            case wire.ItemDelete():
                self.conversation.delete(event.item_id)
                await self.say("conversation.item.deleted", item_id=event.item_id)
            case wire.ItemRetrieve():
                item = self.conversation.retrieve(event.item_id)
                await self.say("conversation.item.retrieved", item=item.shown())
            case wire.ItemTruncate():
                await self._truncate(event)
            case wire.ReplyCreate():
                self._ask(event.response)
            case wire.ReplyCancel():
                self.replies.cancel(None if event.response_id is UNSET else event.response_id)
            case wire.OutputClear():
                raise Refused(
                    "output_audio_buffer.clear is only supported over WebRTC and SIP.", param="type"
                )
            case _:
                assert_never(event)

    # Session

    async def _update(self, config: wire.Config) -> None:
        rules.session(config, self.model_id, self.model, self._voice_heard)
        output = config.audio.output if config.audio is not UNSET else UNSET
        changes_speed = output is not UNSET and output.speed not in (UNSET, self.output.speed)
        if changes_speed and self.replies.active is not None:
            raise Refused(
                "The speed can only be changed between responses.",
                param="session.audio.output.speed",
            )
        before = self._hearing
        self.config = wire.merged(self.config, config)
        if self._hearing != before:
            self._input = self._buffer()
            self._speaking = None
        await self.say("session.updated", session=self._shown())

    def _ask(self, asked: wire.ReplyConfig | msgspec.UnsetType) -> None:
        asked = wire.ReplyConfig() if asked is UNSET else asked
        rules.modalities(asked.output_modalities, "response.output_modalities")
        rules.reasoning(
            asked.reasoning, asked.parallel_tool_calls, self.model_id, self.model, "response"
        )
        rules.tools(asked.tools, asked.tool_choice, "response")
        rules.metadata(asked.metadata)
        output = asked.audio.output if asked.audio is not UNSET else UNSET
        if output is not UNSET:
            rules.spoken(output.voice, self._voice_heard, "response.audio.output.voice")
        self.replies.create(asked)

    @property
    def _input_config(self) -> wire.Input:
        assert self.config.audio is not UNSET  # the defaults have one
        assert self.config.audio.input is not UNSET
        return self.config.audio.input

    @property
    def output(self) -> wire.Output:
        """`session.audio.output`."""
        assert self.config.audio is not UNSET
        assert self.config.audio.output is not UNSET
        return self.config.audio.output

    @property
    def _detection(self) -> wire.TurnDetection | None:
        found = self._input_config.turn_detection
        return None if found is UNSET else found

    @property
    def _hearing(self) -> tuple[Any, Any]:
        """What the ear depends on."""
        return self._input_config.format, self._detection

    def _shown(self) -> dict[str, Any]:
        shown: dict[str, Any] = msgspec.to_builtins(self.config)
        return {
            **shown, "object": "realtime.session", "id": f"sess_{self.number:06d}",
            "expires_at": self._expires_at,
        }  # fmt: skip

    # Listening

    def _buffer(self) -> InputBuffer:
        decode: Callable[[bytes], bytes]
        match self._input_config.format:
            case wire.Pcmu():
                rate, decode, described = 8000, audio.decode_mulaw, "mono G.711 mu-law at 8kHz"
            case wire.Pcma():
                rate, decode, described = 8000, audio.decode_alaw, "mono G.711 A-law at 8kHz"
            case _:
                rate, decode, described = 24_000, audio.pcm, "mono PCM16 at 24kHz"
        prefix_ms, silence_ms, threshold = 300, 500, 0.5
        match self._detection:
            case wire.ServerVad() as vad:
                prefix_ms, silence_ms = vad.prefix_padding_ms, vad.silence_duration_ms
                threshold = vad.threshold
            case wire.SemanticVad(eagerness=eagerness):
                silence_ms = _EAGER_SILENCE_MS[eagerness]
        ear = Ear(
            rate,
            speech=self.script.speech,
            prefix_ms=prefix_ms,
            silence_ms=silence_ms,
            threshold=threshold,
            detecting=self._detection is not None,
        )
        return InputBuffer(ear, decode, described)

    async def _append(self, event: wire.Append) -> None:
        before = self._input.ear.ms
        noticed = self._input.append(event.audio)
        self.link.record.audio_in_s += (self._input.ear.ms - before) / 1000
        for one in noticed:
            match one:
                case SpeechStarted(ms=ms):
                    await self._speech_started(ms)
                case SpeechStopped(ms=ms):
                    await self._speech_stopped(ms)
        if self._detection is not None and self._speaking is None:
            self._input.ear.drop(self._input.ear.ms - _KEPT_MS)

    async def _speech_started(self, ms: int) -> None:
        self._speaking, self._speech_ms = self.conversation.new_id(), ms
        self._forget_idle()
        await self.say(
            "input_audio_buffer.speech_started", audio_start_ms=ms, item_id=self._speaking
        )
        detection = self._detection
        if detection is not None and detection.interrupt_response:
            self.replies.interrupt()

    async def _speech_stopped(self, ms: int) -> None:
        item_id = self._speaking
        if item_id is None:
            return
        self._speaking = None
        await self.say("input_audio_buffer.speech_stopped", audio_end_ms=ms, item_id=item_id)
        pcm = self._input.commit(start_ms=self._speech_ms, end_ms=ms)
        await self._turn(item_id, pcm)
        detection = self._detection
        if detection is not None and detection.create_response:
            self.replies.by_itself()

    async def _commit(self) -> None:
        if self._detection is not None:
            self.link.violate(
                "input_audio_buffer.commit", "", "turns are detected: a commit races the service's"
            )
        pcm = self._input.manual_commit()
        item_id, self._speaking = self._speaking or self.conversation.new_id(), None
        await self._turn(item_id, pcm)

    async def _turn(self, item_id: str, pcm: bytes) -> None:
        """Make the user's turn an item, and have it read."""
        last = self.conversation.last()
        content = Content(type="input_audio", audio=None, transcript=None)
        item = Item(
            id=item_id, type="message", role="user", content=[content],
            audio_ms=len(pcm) * 500 // self._input.ear.rate,
        )  # fmt: skip
        await self.say(
            "input_audio_buffer.committed",
            previous_item_id=None if last is None else last.id, item_id=item_id,
        )  # fmt: skip
        self.conversation.append(item)
        await self._announce(item)
        turn = next(self._turns)
        self._reading[item_id] = self.link.spawn(self._listen(item, pcm, turn), f"turn {turn}")
        for fault in self.due_at_turn(turn):
            await self.play(fault)

    async def _listen(self, item: Item, pcm: bytes, turn: int) -> None:
        """Read the user's turn; tell the client if it wants to know."""
        scripted = self.script.heard_at(turn)
        if scripted is None:
            scripted = Heard(
                text=await transcribe(self.emulator.hearing, pcm, self._input.ear.rate)
            )
        self._read[item.id] = scripted.text
        self.link.record.heard.append(scripted.text)
        wanted = self._input_config.transcription
        if not isinstance(wanted, wire.Transcription):
            return
        if scripted.delay_s:
            await self.pause(scripted.delay_s)
        event = "conversation.item.input_audio_transcription"
        at = {"item_id": item.id, "content_index": 0}
        if scripted.failed:
            error = {
                "type": "server_error", "code": _UNREADABLE, "message": "Transcription failed",
                "param": None,
            }  # fmt: skip
            await self.say(f"{event}.failed", **at, error=error)
            return
        # The final reading may differ from what its pieces said.
        for piece in _pieces((scripted.revisions or [scripted.text])[-1]):
            await self.say(f"{event}.delta", **at, delta=piece)
        if wanted.model == _DIARIZING and scripted.text:
            await self.say(
                f"{event}.segment", **at, id=f"seg_{turn}", text=scripted.text, speaker="speaker_0",
                start=0.0, end=item.audio_ms / 1000,
            )  # fmt: skip
        item.content[0].transcript = scripted.text
        usage = self._book_reading(wanted, item)
        await self.say(f"{event}.completed", **at, transcript=scripted.text, usage=usage)

    def _book_reading(self, wanted: wire.Transcription, item: Item) -> dict[str, Any]:
        model = wanted.model if isinstance(wanted.model, str) else "gpt-transcribe"
        price = TRANSCRIPTION_MODELS[model] / 60
        seconds = item.audio_ms / 1000
        self.emulator.bill.add(self.number, "transcription", seconds, "s", price)
        if "4o" not in model:
            return {"type": "duration", "seconds": seconds}
        heard = -(-item.audio_ms * USER_TOKENS_PER_S // 1000)
        written = -(-len(self._read[item.id]) // 4)
        return {
            "type": "tokens", "total_tokens": heard + written, "input_tokens": heard,
            "output_tokens": written,
            "input_token_details": {"audio_tokens": heard, "text_tokens": 0},
        }  # fmt: skip

    async def words_of(self, item: Item) -> str:
        """Return what an item says; of the user's speech, once it was read."""
        if not heard_audio(item):
            return item.words
        if item.id in self._reading and item.id not in self._read:
            await asyncio.wait({self._reading[item.id]})
        return self._read.get(item.id, "")

    # Items

    async def _create_item(self, event: wire.ItemCreate) -> None:
        new, previous = event.item, event.previous_item_id
        item = self._made(new)
        self.conversation.insert(item, None if previous is UNSET else previous)
        await self._announce(item)

    def _made(self, new: wire.NewItem) -> Item:
        item_id = new.id if isinstance(new.id, str) else self.conversation.new_id()
        match new:
            case wire.Message():
                rules.message(new)
                self.link.record.pictures += sum(p.type == "input_image" for p in new.content)
                return self._message(new, item_id)
            case wire.FunctionCall():
                call_id = new.call_id
                return Item(
                    id=item_id, type="function_call", name=new.name, arguments=new.arguments,
                    call_id=call_id if isinstance(call_id, str) else self.conversation.new_id(),
                )  # fmt: skip
            case wire.FunctionCallOutput():
                self.link.record.results.append((new.call_id, new.output))
                self._check_output(new)
                return Item(
                    id=item_id, type="function_call_output", call_id=new.call_id, output=new.output
                )
            case wire.ApprovalResponse():
                raise Refused(
                    f"Approval request '{new.approval_request_id}' not found in conversation.",
                    param="item.approval_request_id",
                )
            case _:
                assert_never(new)

    def _message(self, new: wire.Message, item_id: str) -> Item:
        content, audio_ms = [], 0
        for part in new.content:
            if part.type == "input_audio":
                scratch = self._buffer()
                assert isinstance(part.audio, str)  # the rules saw to it
                scratch.append(part.audio)
                audio_ms += scratch.ear.ms
            content.append(
                Content(
                    type=part.type,
                    text=part.text,
                    image_url=part.image_url,
                    detail=part.detail,
                    transcript=part.transcript,
                )  # fmt: skip
            )
        return Item(id=item_id, type="message", role=new.role, content=content, audio_ms=audio_ms)

    def _check_output(self, new: wire.FunctionCallOutput) -> None:
        if new.call_id not in self.conversation.calls():
            raise Refused(
                f"Tool call ID '{new.call_id}' not found in conversation.",
                "invalid_tool_call_id",
                "item.call_id",
            )
        if self.conversation.answered(new.call_id):
            raise Refused(
                f"Tool call ID '{new.call_id}' already has its output.",
                "invalid_tool_call_id",
                "item.call_id",
            )

    async def _announce(self, item: Item) -> None:
        before = self.conversation.before(item)
        await self.say("conversation.item.added", previous_item_id=before, item=item.shown())
        await self.say("conversation.item.done", previous_item_id=before, item=item.shown())

    async def _truncate(self, event: wire.ItemTruncate) -> None:
        self.conversation.truncate(event.item_id, event.content_index, event.audio_end_ms)
        await self.say(
            "conversation.item.truncated",
            item_id=event.item_id, content_index=event.content_index,
            audio_end_ms=event.audio_end_ms,
        )  # fmt: skip

    # What a response needs

    async def say(self, event: str, **fields: Any) -> None:
        """Send one event."""
        event_id = f"event_{self.number}_{next(self._events):06d}"
        await self.link.send({"type": event, "event_id": event_id, **fields}, event)

    async def sound(self, frame: bytes) -> None:
        """Audio goes in events here."""
        raise NotImplementedError

    async def sounded(self, reply: Response, before_ms: int) -> None:
        """Play the faults that lie in the audio sent since `before_ms`."""
        self._voice_heard = self.output.voice
        await super().sounded(reply, before_ms)

    async def sounded_all(self, reply: Response) -> None:
        """Play the reply's faults that its audio was too short for, and wait for the idle user."""
        await super().sounded_all(reply)
        match self._detection:
            case wire.ServerVad(idle_timeout_ms=int(idle_ms)):
                self._forget_idle()
                waiting = self._time_out(reply.audio_ms / 1000, idle_ms / 1000)
                self._idle = self.link.spawn(waiting, "idle")

    def said(self, reply: Response) -> None:
        """Put a reply into the record."""
        self.link.record.said.append(reply.text)

    # Endings

    async def play(self, fault: Fault) -> None:
        """Let something go wrong, in this service's own form."""
        match fault.what:
            case "cap":
                await self._cap()
            case "error":
                refused = Refused(
                    fault.reason or "The server had an error while processing your request.",
                    fault.error or "server_error",
                    kind=fault.kind or _kind(fault.error or "server_error"),
                )
                await self._refuse(refused, None)
            case "lost_done" | "goaway" | "drop_handles":
                pass  # the first plays in its reply; this service has no such thing as the others
            case _:
                await super().play(fault)

    async def _expire(self) -> None:
        await self.pause(self._longest_s)
        await self._cap()

    async def _cap(self) -> None:
        text = EXPIRED.format(minutes=round(self._longest_s / 60) or 1)
        await self._refuse(Refused(text, "session_expired"), None)
        await self.link.close(1001, text)

    async def _time_out(self, playing_s: float, idle_s: float) -> None:
        """Say something into the silence (`idle_timeout_ms`): it counts as a turn of the user."""
        await self.pause(playing_s + idle_s)
        start_ms, end_ms = self._input.start_ms, self._input.ear.ms
        item_id = self.conversation.new_id()
        await self.say(
            "input_audio_buffer.timeout_triggered",
            audio_start_ms=start_ms, audio_end_ms=end_ms, item_id=item_id,
        )  # fmt: skip
        await self._turn(item_id, self._input.commit())
        self.replies.by_itself()

    def _forget_idle(self) -> None:
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None


def _pieces(text: str) -> list[str]:
    """Return a reading in the two pieces it comes in; together they are the text."""
    words = text.split(" ")
    half = -(-len(words) // 2)
    first, rest = " ".join(words[:half]), " ".join(words[half:])
    return [piece for piece in (first, f" {rest}" if rest else "") if piece]


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _kind(code: str) -> str:
    return code if code in {"server_error", "insufficient_quota"} else INVALID
