"""One response of a realtime service, from `response.created` to `response.done`.

OpenAI and xAI tell of a response with the same events, in the same order; what differs stands in
`Dialect`. The task that speaks may be ended at any moment; whoever ends it calls `finish`, which
closes what is open, so that a cancelled response ends as properly as a completed one.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any, Final, Protocol

import msgspec

from voiced.emulators.mouth import Mouth
from voiced.emulators.realtime_items import (
    ASSISTANT_TOKENS_PER_S,
    Content,
    Conversation,
    Item,
    Kind,
    Tokens,
    text_tokens,
)
from voiced.emulators.script import Call

_ARGUMENT_PIECES: Final = 2


class Dialect(msgspec.Struct, frozen=True, kw_only=True):
    """What the services do differently."""

    audio_part: Kind
    """Type of the content of a spoken item."""
    announces_items: bool
    """Whether an item of a response is told as conversation.item.added and .done too."""
    timed: bool
    """Whether deltas carry `audio_duration_ms` and `start_time`."""
    streams_arguments: bool
    """Whether a call's arguments come in deltas."""


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What a response is to be."""

    says: str = ""
    calls: list[Call] = []
    gap_s: float = 0.0


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """How a response was asked for."""

    metadata: dict[str, str] | None = None
    text_only: bool = False
    in_conversation: bool = True
    by_client: bool = False
    max_tokens: int | None = None
    """None = as many as the model has."""
    encoding: Encoding
    rate_of_speech: float = 1.0


class Encoding(msgspec.Struct, frozen=True, kw_only=True):
    """What the audio of a response is sent as."""

    rate: int
    """Hz."""
    encode: Callable[[bytes], bytes] = bytes
    """From s16le to the bytes that go over the wire."""
    binary: bool = False
    """As binary frames in place of events."""


class Stage(Protocol):
    """What a response needs of its session."""

    conversation: Conversation
    mouth: Mouth

    async def say(self, event: str, **fields: Any) -> None:
        """Send one event."""

    async def pause(self, seconds: float) -> None:
        """Wait in the emulator's time."""

    async def sound(self, frame: bytes) -> None:
        """Send audio as a binary frame."""

    async def sounded(self, reply: Response, before_ms: int) -> None:
        """Play the faults that lie in the audio sent since `before_ms`."""


class Response:
    """A response that is being made.

    Args:
        stage: the session.
        dialect: how the service tells of it.
        response_id: its id.
        number: which of the connection, counted from 1.
        wanted: how it was asked for.
    """

    def __init__(
        self, stage: Stage, dialect: Dialect, response_id: str, number: int, wanted: Wanted
    ) -> None:
        self.id, self.number, self.wanted = response_id, number, wanted
        self.output: list[Item] = []
        self.audio_ms = 0
        """How much audio was sent, of all items."""
        self.text = ""
        self.begun = False
        """Its beginning was told: before that there is nothing to cancel."""
        self.ended = False
        """Its end is being told: nothing can cancel it any more."""
        self._stage, self._dialect = stage, dialect
        self._open: Item | None = None
        self._part_open = False
        self._said = ""
        """What the open part was spoken as; the item forgets it when it is truncated."""

    async def speak(self, plan: Plan) -> str:
        """Say and call what is planned; return the status that it ends with."""
        if plan.says:
            if not await self._message(plan.says, plan.gap_s):
                return "incomplete"
            await self._close_item("completed")
        for call in plan.calls:
            await self._call(call)
        return "completed"

    async def finish(self, status: str) -> None:
        """Close what is open, for a status other than completed too."""
        self.ended = True
        if self._open is not None:
            await self._close_item("completed" if status == "completed" else "incomplete")

    @property
    def tokens(self) -> Tokens:
        """What was put out so far."""
        calls = "".join(i.name + i.arguments for i in self.output if i.type == "function_call")
        audio = 0 if self.wanted.text_only else -(-self.audio_ms * ASSISTANT_TOKENS_PER_S // 1000)
        return Tokens(text=text_tokens(self.text) + text_tokens(calls), audio=audio)

    # Messages

    async def _message(self, text: str, gap_s: float) -> bool:
        """Say something; False = the response is as long as it may be."""
        item = Item(
            id=self._stage.conversation.new_id(), type="message", role="assistant",
            status="in_progress",
        )  # fmt: skip
        await self._open_item(item)
        empty = {"type": "text", "text": ""} if self._text else {"type": "audio", "transcript": ""}
        await self._tell("response.content_part.added", content_index=0, part=empty)
        kind: Kind = "output_text" if self._text else self._dialect.audio_part
        item.content.append(Content(type=kind))
        self._part_open = True
        if self._text:
            return await self._write(item, text)
        return await self._sound(item, text, gap_s)

    @property
    def _text(self) -> bool:
        return self.wanted.text_only

    async def _write(self, item: Item, text: str) -> bool:
        for word in text.split(" "):
            piece = word if not self.text else f" {word}"
            self.text += piece
            item.content[0].text = self.text
            await self._tell("response.output_text.delta", content_index=0, delta=piece)
            if self._too_long():
                return False
        return True

    async def _sound(self, item: Item, text: str, gap_s: float) -> bool:
        encoding, self._said, size = self.wanted.encoding, "", 0
        before_ms = self.audio_ms
        speaking = self._stage.mouth.speak(
            text, encoding.rate, rate_of_speech=self.wanted.rate_of_speech
        )
        async for delta in speaking:
            if gap_s and delta.start_ms:
                await self._stage.pause(gap_s)
            if delta.text:
                self._said, self.text = self._said + delta.text, self.text + delta.text
                if not item.truncated:
                    item.content[0].transcript = self._said
                timed = {"start_time": delta.start_ms / 1000} if self._dialect.timed else {}
                await self._tell(
                    "response.output_audio_transcript.delta",
                    content_index=0, delta=delta.text, **timed,
                )  # fmt: skip
            size += len(delta.audio)
            before, item_ms = self.audio_ms, size * 500 // encoding.rate
            self.audio_ms = before_ms + item_ms
            if not item.truncated:
                item.audio_ms = item_ms
            await self._send_audio(encoding.encode(delta.audio), delta.ms)
            await self._stage.sounded(self, before)
            if self._too_long():
                return False
        return True

    async def _send_audio(self, audio: bytes, ms: int) -> None:
        if self.wanted.encoding.binary:
            await self._stage.sound(audio)
            return
        timed = {"audio_duration_ms": ms} if self._dialect.timed else {}
        await self._tell(
            "response.output_audio.delta",
            content_index=0, delta=base64.b64encode(audio).decode(), **timed,
        )  # fmt: skip

    def _too_long(self) -> bool:
        limit = self.wanted.max_tokens
        return limit is not None and self.tokens.total >= limit

    # Calls

    async def _call(self, call: Call) -> None:
        conversation = self._stage.conversation
        item = Item(
            id=conversation.new_id(), type="function_call", status="in_progress",
            call_id=conversation.new_id("call"), name=call.name,
        )  # fmt: skip
        await self._open_item(item)
        arguments = json.dumps(call.arguments) if call.raw is None else call.raw
        if self._dialect.streams_arguments:
            size = max(1, -(-len(arguments) // _ARGUMENT_PIECES))
            for at in range(0, len(arguments), size):
                item.arguments += arguments[at : at + size]
                await self._tell(
                    "response.function_call_arguments.delta",
                    call_id=item.call_id, delta=arguments[at : at + size],
                )  # fmt: skip
        item.arguments = arguments
        await self._close_item("completed")

    # Items

    async def _open_item(self, item: Item) -> None:
        self.output.append(item)
        self._open = item
        index = len(self.output) - 1
        await self._stage.say(
            "response.output_item.added",
            response_id=self.id, output_index=index, item=item.shown(),
        )  # fmt: skip
        if not self.wanted.in_conversation:
            return
        self._stage.conversation.append(item)
        if self._dialect.announces_items:
            await self._told("conversation.item.added", item)

    async def _close_item(self, status: str) -> None:
        item, self._open = self._open, None
        assert item is not None, "only an open item is closed"
        item.status = status
        if self._part_open:
            self._part_open = False
            await self._close_part(item)
        elif item.type == "function_call":
            await self._of(
                item, "response.function_call_arguments.done",
                call_id=item.call_id, name=item.name, arguments=item.arguments,
            )  # fmt: skip
        if self._dialect.announces_items and self.wanted.in_conversation:
            await self._told("conversation.item.done", item)
        index = self.output.index(item)
        await self._stage.say(
            "response.output_item.done",
            response_id=self.id, output_index=index, item=item.shown(),
        )  # fmt: skip

    async def _close_part(self, item: Item) -> None:
        part = item.content[0]
        if self._text:
            text = part.text if isinstance(part.text, str) else ""
            await self._of(item, "response.output_text.done", content_index=0, text=text)
            shown = {"type": "text", "text": text}
        else:
            said = self._said
            await self._of(item, "response.output_audio.done", content_index=0)
            await self._of(
                item, "response.output_audio_transcript.done", content_index=0, transcript=said
            )
            shown = {"type": "audio", "transcript": said}
        await self._of(item, "response.content_part.done", content_index=0, part=shown)

    async def _told(self, event: str, item: Item) -> None:
        conversation = self._stage.conversation
        # A client may have deleted it meanwhile.
        before = conversation.before(item) if conversation.find(item.id) is item else None
        await self._stage.say(event, previous_item_id=before, item=item.shown())

    async def _tell(self, event: str, **fields: Any) -> None:
        assert self._open is not None, "deltas belong to an open item"
        await self._of(self._open, event, **fields)

    async def _of(self, item: Item, event: str, **fields: Any) -> None:
        await self._stage.say(
            event,
            response_id=self.id, item_id=item.id, output_index=self.output.index(item), **fields,
        )  # fmt: skip
