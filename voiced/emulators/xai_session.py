"""One session of an emulated xAI Grok Voice: what each client event does, and its own turn rules.

Source: xAI's Speech to Speech API, and what others measured against the live service (2026).
"""

from __future__ import annotations

import asyncio
import itertools
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, assert_never

import msgspec
from msgspec import UNSET

from voiced.emulators import realtime_input as audio
from voiced.emulators import xai_wire as wire
from voiced.emulators.ear import Ear, SpeechStarted, SpeechStopped, transcribe
from voiced.emulators.link import Link
from voiced.emulators.openai_wire import merged
from voiced.emulators.realtime_input import InputBuffer
from voiced.emulators.realtime_items import Content, Conversation, Item
from voiced.emulators.realtime_options import XAIOptions
from voiced.emulators.realtime_reply import Response
from voiced.emulators.realtime_session import RealtimeSession
from voiced.emulators.refusal import Refused, mistyped
from voiced.emulators.script import Fault, Heard
from voiced.emulators.xai_replies import Replies, heard_share

if TYPE_CHECKING:
    from voiced.emulators.xai import XAI

VOICES: Final = (
    "ara", "eve", "leo", "rex", "sal", "carina", "zagan", "helix", "orion", "luna", "iris",
    "altair", "zenith", "perseus", "helios", "lux", "kepler", "rigel", "cosmo", "celeste", "ursa",
    "sirius", "lumen", "castor", "naksh", "atlas", "aurora", "liora",
)  # fmt: skip
TIMED_OUT: Final = "Conversation timed out after {seconds} seconds due to inactivity"
EXPIRED: Final = "Session has reached the maximum duration of {minutes} minutes"
USD_PER_ITEM: Final = 0.004
_GRACE_S: Final = 0.3
"""How long after the silence a turn is committed: until then the user may speak on."""
_PING_S: Final = 15.0
_KEPT_MS: Final = 5_000
_OLD_NAME: Final = re.compile(r"^response\.output_(?=audio|text)")
_RECOGNISER: Final = "grok-transcribe"


class XAISession(RealtimeSession):
    """What one client talks to.

    Args:
        emulator: whose it is.
        link: its connection.
        model: the model that it got.
    """

    emulator: XAI

    def __init__(self, emulator: XAI, link: Link, model: str) -> None:
        super().__init__(emulator, link)
        self.model_id = model
        self.options = msgspec.convert(link.script.options, XAIOptions)
        self.config = wire.defaults()
        self.conversation, self.mouth = Conversation(), emulator.mouth
        asked = link.query.get("conversation_id", "")
        self._kept = emulator.kept.get(asked)
        self.conversation_id = asked if self._kept is not None else f"conv_{link.number:06d}"
        self.replies = Replies(self)
        self.speech_s = 0.0
        """Committed speech, seconds."""
        self._longest_s = self.script.longest_s or emulator.longest_s
        self._events, self._turn_number = itertools.count(1), 0
        self._configured = self._voice_heard = False
        self._input = self._buffer()
        self._speaking: str | None = None
        """Id of the item that the user speaks into."""
        self._speech_ms = 0
        self._heard_in_buffer = False
        self._committing: asyncio.Task[None] | None = None
        self._fresh = True
        """There is input that no reply has answered."""
        self._told_late = False
        self._reading: dict[str, asyncio.Task[None]] = {}
        self._read: dict[str, str] = {}
        self._active = asyncio.Event()

    # Reading

    async def run(self) -> None:
        """Hold the conversation."""
        if self.link.query.get("model") != self.model_id:
            self.link.violate("", "model", "no model that is known: the service takes its default")
        session = {
            "id": f"sess_{self.number:06d}", "object": "realtime.session",
            "model": self.model_id, "voice": "eve",
        }  # fmt: skip
        if self.options.session_created:
            await self.say("session.created", session=session)
        conversation = {"id": self.conversation_id, "object": "realtime.conversation"}
        await self.say("conversation.created", conversation=conversation)
        for work in (self._expire(), self._idle(), self._ping()):
            self.link.spawn(work)
        self.arm()
        try:
            while True:
                frame = await self.link.receive()
                self._active.set()
                await self._take(frame)
        finally:
            self.replies.drop()  # What was said until then is paid for.

    async def _take(self, frame: str | bytes) -> None:
        event_id: str | None = None
        kind = ""
        try:
            if isinstance(frame, bytes):  # raw audio is taken beside the JSON events
                kind = "audio"
                await self._hear(self._input.take(frame), len(frame))
                return
            raw = _decoded(frame)
            kind, given = str(raw.get("type", "")), raw.get("event_id")
            event_id = given if isinstance(given, str) else None
            self.link.count(kind)
            self._strip(kind, raw)
            try:
                event = msgspec.convert(raw, wire.ClientEvent)
            except msgspec.ValidationError as error:
                raise mistyped(error) from None
            await self._do(event)
        except Refused as refused:
            if refused.violation:
                self.link.violate(kind, refused.param or "", refused.message)
            await self._refuse(refused, event_id)

    def _strip(self, kind: str, raw: dict[str, Any]) -> None:
        """Take out what the service accepts and ignores, and write it down."""
        session = raw.get("session")
        if kind != "session.update" or not isinstance(session, dict):
            return
        for name in list(session):
            if name in wire.IGNORED:
                del session[name]
                self.link.violate(kind, f"session.{name}", f"ignored: {wire.IGNORED[name]}")

    async def _refuse(self, refused: Refused, event_id: str | None) -> None:
        error = {
            "type": refused.kind, "code": "", "message": refused.message, "param": refused.param,
            "event_id": event_id,
        }  # fmt: skip
        await self.say("error", error=error)

    async def _do(self, event: wire.ClientEvent) -> None:
        match event:
            case wire.SessionUpdate():
                await self._update(event.session)
            case wire.Append():
                await self._append(event.audio)
            case wire.Commit():
                await self._commit_by_client()
            case wire.Clear():
                await self._clear()
            case wire.ItemCreate():
                await self._create_item(event)
            case wire.ItemDelete():
                self.conversation.delete(event.item_id)
                await self.say("conversation.item.deleted", item_id="")
            case wire.ItemTruncate():
                await self._truncate(event)
            case wire.ReplyCreate():
                self._ask(event)
            case wire.ReplyCancel(response_id=name):
                await self.replies.stop(name if isinstance(name, str) else None)
            case _:
                assert_never(event)

    # Session

    async def _update(self, config: wire.Config) -> None:
        if isinstance(config.turn_detection, wire.ServerVad):
            for name in ("create_response", "interrupt_response"):
                if getattr(config.turn_detection, name) is False:
                    self.link.violate(
                        "session.update", f"session.turn_detection.{name}", "ignored: it answers"
                    )
        for number, tool in enumerate(config.tools if isinstance(config.tools, list) else ()):
            if isinstance(tool, wire.FunctionTool) and not tool.called:
                raise Refused("Tool without a name.", param=f"session.tools[{number}].name")
        voice = config.voice
        if isinstance(voice, str):
            known = voice.lower() in VOICES or voice.startswith("voice_")
            if self._voice_heard and voice != self.config.voice:
                self.link.violate("session.update", "session.voice", "it cannot change any more")
                voice = self.config.voice
            config = msgspec.structs.replace(config, voice=voice if known else "eve")
        before = self._hearing
        self.config = merged(self.config, config)
        self._configured = True
        if self._hearing != before:
            self._input = self._buffer()
            self._speaking, self._heard_in_buffer = None, False
        await self.say("session.updated", session=self._shown())
        if self._resumes:
            await self._replay()

    def _shown(self) -> dict[str, Any]:
        shown: dict[str, Any] = msgspec.to_builtins(self.config)
        return {"id": f"sess_{self.number:06d}", "model": self.model_id, **shown}

    @property
    def _resumes(self) -> bool:
        found = self.config.resumption
        return isinstance(found, wire.Resumption) and found.enabled

    async def _replay(self) -> None:
        """Tell what was kept; the user's words and the tools' are not (measured by others)."""
        kept, self._kept = self._kept or [], None
        for item in kept:
            before = self.conversation.last()
            self.conversation.append(item)
            await self.say(
                "conversation.item.created",
                previous_item_id=None if before is None else before.id,
                item={**item.shown(), "replayed": True},
            )  # fmt: skip
        self.emulator.kept[self.conversation_id] = list(kept)

    @property
    def tools(self) -> list[wire.Tool]:
        """What the client declared."""
        return self.config.tools if isinstance(self.config.tools, list) else []

    @property
    def instructions(self) -> str:
        """The session's instructions."""
        return self.config.instructions if isinstance(self.config.instructions, str) else ""

    @property
    def output(self) -> wire.Output:
        """`audio.output`."""
        assert self.config.audio is not UNSET  # the defaults have one
        assert self.config.audio.output is not UNSET
        return self.config.audio.output

    @property
    def _input_config(self) -> wire.Input:
        assert self.config.audio is not UNSET
        assert self.config.audio.input is not UNSET
        return self.config.audio.input

    @property
    def _detection(self) -> wire.ServerVad | None:
        found = self.config.turn_detection
        return found if isinstance(found, wire.ServerVad) else None

    @property
    def _hearing(self) -> tuple[Any, Any]:
        """What the ear depends on."""
        return self._input_config.format, self._detection

    # Listening

    def _buffer(self) -> InputBuffer:
        vad = self._detection or wire.ServerVad()
        decode: Callable[[bytes], bytes] = audio.pcm
        match self._input_config.format:
            case wire.Pcmu(rate=rate):
                decode = audio.decode_mulaw
            case wire.Pcma(rate=rate):
                decode = audio.decode_alaw
            case wire.Pcm(rate=rate):
                pass
            case _:
                raise AssertionError("the defaults have a format")
        ear = Ear(
            rate,
            speech=self.script.speech,
            prefix_ms=vad.prefix_padding_ms,
            silence_ms=vad.silence_duration_ms,
            # Its scale is its own: the local detector is surer of itself than this default.
            threshold=min(vad.threshold, 0.5),
        )
        return InputBuffer(ear, decode, f"at {rate} Hz")

    async def _append(self, encoded: str) -> None:
        if not self._configured:
            self._configured = True
            self.link.violate(
                "input_audio_buffer.append", "", "audio before the first session.update"
            )
        before = self._input.ear.ms
        noticed = self._input.append(encoded)
        await self._hear(noticed, self._input.ear.ms - before)

    async def _hear(self, noticed: list[SpeechStarted | SpeechStopped], ms: int) -> None:
        self.link.record.audio_in_s += ms / 1000
        manual = self._detection is None
        if manual and self.replies.active is not None and not self._told_late:
            self._told_late = True
            self.link.violate(
                "input_audio_buffer.append", "", "audio during a reply, turns being manual"
            )
        for one in noticed:
            match one:
                case SpeechStarted(ms=at):
                    await self._speech_started(at)
                case SpeechStopped(ms=at) if not manual:
                    await self._speech_stopped(at)
                case SpeechStopped():
                    pass  # in manual turns only the beginning is told
        if not manual and self._speaking is None:
            self._input.ear.drop(self._input.ear.ms - _KEPT_MS)

    async def _speech_started(self, ms: int) -> None:
        manual, again = self._detection is None, self._committing is not None
        self._heard_in_buffer = True
        if self._committing is not None:  # the user speaks on: same item, its reply is dropped
            self._committing.cancel()
            self._committing = None
            self.replies.drop()
        elif self._speaking is None:
            self._speaking, self._speech_ms = self.conversation.new_id(), ms
        assert self._speaking is not None
        await self.say(
            "input_audio_buffer.speech_started", item_id=self._speaking, audio_start_ms=ms
        )
        if again:
            return
        active = self.replies.active
        if active is not None and active.interruptible:
            if manual:
                self.replies.drop()  # and no response.done
            elif not active.response.ended:
                await self.replies.stop()
        scripted = self.script.heard_at(self._turn_number + 1)
        if scripted is not None and self._tells_partials:
            for text in scripted.revisions:
                await self._partial(self._speaking, text)

    @property
    def _tells_partials(self) -> bool:
        wanted = self._input_config.transcription
        return isinstance(wanted, wire.Transcription) and wanted.model == _RECOGNISER

    async def _partial(self, item_id: str, text: str) -> None:
        await self.say(
            "conversation.item.input_audio_transcription.updated", item_id=item_id, transcript=text
        )

    async def _speech_stopped(self, ms: int) -> None:
        item_id = self._speaking
        if item_id is None:
            return
        await self.say("input_audio_buffer.speech_stopped", item_id=item_id, audio_end_ms=ms)
        self.replies.to_speech(committed=False)
        self._committing = self.link.spawn(self._commit_soon(item_id, ms), "commit")

    async def _commit_soon(self, item_id: str, ms: int) -> None:
        await self.pause(_GRACE_S)
        self._committing, self._speaking = None, None
        await self._turn(item_id, self._input.commit(start_ms=self._speech_ms, end_ms=ms))
        self.replies.commit()

    async def _commit_by_client(self) -> None:
        if self._detection is not None:
            self.link.violate(
                "input_audio_buffer.commit", "", "turns are detected: a commit is ignored"
            )
            return
        if not self._heard_in_buffer:
            self._input.clear()  # silence: no acknowledgement and no reply
            return
        item_id, self._speaking = self._speaking or self.conversation.new_id(), None
        self._heard_in_buffer = False
        self._input.ear.reset()
        await self._turn(item_id, self._input.commit())
        self.replies.to_speech(committed=True)

    async def _clear(self) -> None:
        if self._detection is None and not self._input.ms and self.replies.active is not None:
            self.link.violate(
                "input_audio_buffer.clear", "", "nothing to clear: it cancels the reply"
            )
            await self.replies.stop()
        self._input.clear()
        self._speaking, self._heard_in_buffer, self._fresh = None, False, True
        await self.say("input_audio_buffer.cleared")

    async def _turn(self, item_id: str, pcm: bytes) -> None:
        """Make the user's turn an item, and have it read."""
        last = self.conversation.last()
        before = None if last is None else last.id
        ms = len(pcm) * 500 // self._input.ear.rate
        self.speech_s += ms / 1000
        await self.say("input_audio_buffer.committed", item_id=item_id, previous_item_id=before)
        item = Item(
            id=item_id, type="message", role="user", audio_ms=ms,
            content=[Content(type="input_audio", transcript=None)],
        )  # fmt: skip
        self.conversation.append(item)
        await self.say("conversation.item.added", previous_item_id=before, item=item.shown())
        self._turn_number += 1
        turn, self._fresh = self._turn_number, True
        self._reading[item_id] = self.link.spawn(self._listen(item, pcm, turn), f"turn {turn}")
        for fault in self.due_at_turn(turn):
            await self.play(fault)

    async def _listen(self, item: Item, pcm: bytes, turn: int) -> None:
        """Read the user's turn; it is told twice, as it grows."""
        scripted = self.script.heard_at(turn)
        if scripted is None:
            scripted = Heard(
                text=await transcribe(self.emulator.hearing, pcm, self._input.ear.rate)
            )
            if self._tells_partials and scripted.text:
                await self._partial(item.id, scripted.text)
        self._read[item.id] = scripted.text
        self.link.record.heard.append(scripted.text)
        if scripted.delay_s:
            await self.pause(scripted.delay_s)
        item.content[0].transcript = scripted.text
        event = "conversation.item.input_audio_transcription.completed"
        begun = " ".join(scripted.text.split()[:-1])
        if begun:
            await self.say(event, item_id=item.id, transcript=begun, status="in_progress")
        await self.say(event, item_id=item.id, transcript=scripted.text, status="completed")

    async def words_of(self, item: Item) -> str:
        """Return what an item says; of the user's speech, once it was read."""
        if item.id in self._reading and item.id not in self._read:
            await asyncio.wait({self._reading[item.id]})
        return self._read.get(item.id) or item.words

    # Items

    async def _create_item(self, event: wire.ItemCreate) -> None:
        new = event.item
        previous = event.previous_item_id if isinstance(event.previous_item_id, str) else None
        spoken = isinstance(new, wire.Message) and any(p.type == "input_audio" for p in new.content)
        if not isinstance(new, wire.FunctionCallOutput) and not spoken:
            self.emulator.bill.add(self.number, "text_item", 1, "items", USD_PER_ITEM)
        item_id = new.id if isinstance(new.id, str) else self.conversation.new_id()
        match new:
            case wire.ForceMessage():
                text = " ".join(p.text for p in new.content if isinstance(p.text, str))
                self.replies.force(text, interruptible=new.interruptible)
                return
            case wire.FunctionCallOutput():
                self.link.record.results.append((new.call_id, new.output))
                self._check_output(new)
                item = Item(
                    id=item_id, type="function_call_output", call_id=new.call_id, output=new.output
                )
            case wire.Message():
                if any(part.type == "input_image" for part in new.content):
                    self.link.violate(
                        "conversation.item.create", "item.content", "pictures are paid and not seen"
                    )
                content = [_content(part) for part in new.content]
                item = Item(id=item_id, type="message", role=new.role, content=content)
            case _:
                assert_never(new)
        self.conversation.insert(item, previous)
        self._fresh = True
        before = self.conversation.before(item)
        await self.say("conversation.item.added", previous_item_id=before, item=item.shown())

    def _check_output(self, new: wire.FunctionCallOutput) -> None:
        if new.call_id not in self.conversation.calls():
            raise Refused(f"No function call with the id '{new.call_id}'.", param="item.call_id")
        if self.conversation.answered(new.call_id):
            raise Refused(f"The call '{new.call_id}' has its output.", param="item.call_id")

    async def _truncate(self, event: wire.ItemTruncate) -> None:
        item = self.conversation.retrieve(event.item_id)
        active = self.replies.active
        if active is not None and item in active.response.output:
            raise Refused("Cannot truncate an item of a response in progress.", "", violation=False)
        heard = heard_share(item, event.audio_end_ms)
        self.conversation.truncate(event.item_id, event.content_index, event.audio_end_ms)
        item.content[event.content_index].transcript = heard
        await self.say(
            "conversation.item.truncated",
            item_id=item.id, content_index=event.content_index, audio_end_ms=event.audio_end_ms,
            transcript=heard,
        )  # fmt: skip

    def _ask(self, event: wire.ReplyCreate) -> None:
        if self._detection is None and not self._fresh:
            self.link.violate("response.create", "", "dropped: nothing new since the last reply")
            return
        active = self.replies.active
        if self._detection is None and active is not None and active.to_speech:
            self.link.violate("response.create", "", "a commit of speech is answered by itself")
        self.replies.create(wire.ReplyConfig() if event.response is UNSET else event.response)

    # What a response needs

    async def say(self, event: str, **fields: Any) -> None:
        """Send one event."""
        told = _OLD_NAME.sub("response.", event) if self.options.old_names else event
        event_id = f"evt_{self.number}_{next(self._events):06d}"
        again = self.options.twice and event == "response.function_call_arguments.done"
        for _ in range(1 + again):
            await self.link.send({"type": told, "event_id": event_id, **fields}, told)

    async def sound(self, frame: bytes) -> None:
        """Send audio as a binary frame."""
        self.link.record.sent["audio"] = self.link.record.sent.get("audio", 0) + 1
        await self.link.send_raw(frame)

    async def sounded(self, reply: Response, before_ms: int) -> None:
        """Play the faults that lie in the audio sent since `before_ms`."""
        self._voice_heard = True
        await super().sounded(reply, before_ms)

    def ended(self, reply: Response, *, to_speech: bool) -> None:
        """Put a reply into the record, and keep it for who comes back."""
        self.link.record.said.append(reply.text)
        self._told_late = False
        if to_speech:
            self._fresh = False
        if self._resumes:
            spoken = [item for item in reply.output if item.type == "message"]
            self.emulator.kept.setdefault(self.conversation_id, []).extend(spoken)

    # Endings

    async def play(self, fault: Fault) -> None:
        """Let something go wrong, in this service's own form."""
        match fault.what:
            case "cap":
                await self._cap()
            case "error":
                text = fault.reason or "Internal error"
                await self._refuse(Refused(text, "", kind=fault.kind or "internal_error"), None)
            case "drop_handles":
                self.emulator.kept.clear()
            case "lost_done" | "goaway":
                pass  # the first plays in its reply; this service announces nothing
            case _:
                await super().play(fault)

    async def _expire(self) -> None:
        await self.pause(self._longest_s)
        await self._cap()

    async def _cap(self) -> None:
        text = EXPIRED.format(minutes=round(self._longest_s / 60) or 1)
        await self._refuse(Refused(text, "", kind="max_duration"), None)
        await self.link.close(1000, text)

    async def _idle(self) -> None:
        """End the session once nothing came for long enough."""
        limit = self.emulator.idle_s
        while True:
            self._active.clear()
            try:
                async with asyncio.timeout(limit / self.emulator.speed):
                    await self._active.wait()
            except TimeoutError:
                text = TIMED_OUT.format(seconds=limit)
                await self._refuse(Refused(text, "", kind="timeout"), None)
                await self.link.close(1000, text)
                return

    async def _ping(self) -> None:
        for serial in itertools.count(1):
            await self.pause(_PING_S)
            await self.say("ping", timestamp=int(serial * _PING_S * 1000))


def _decoded(frame: str) -> dict[str, Any]:
    try:
        raw = msgspec.json.decode(frame)
    except msgspec.DecodeError:
        raw = None
    if not isinstance(raw, dict):
        raise Refused("Frames are JSON objects, or audio in binary ones.", kind="invalid_event")
    return raw


def _content(part: wire.Part) -> Content:
    kind = "input_text" if part.type == "text" else part.type
    return Content(type=kind, text=part.text, transcript=part.transcript, image_url=part.image_url)
