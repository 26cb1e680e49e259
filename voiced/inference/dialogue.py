"""One conversation at work: its sound, its turns, its rows, its replies.

The decisions are `conversation`'s; here they are carried out. Sound and edges are taken strictly in
their order, so an edge lies exactly where it was sent, however long the engines took to load.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from functools import partial
from typing import Final, assert_never

import numpy as np

from voiced.inference import conversation as turns
from voiced.inference import recogniser
from voiced.inference.engines import Engines
from voiced.inference.models import EngineUnavailable
from voiced.inference.replies import Replies
from voiced.inference.vad import FRAME_BYTES, Detector, Frame
from voiced.inference.wire import Wire
from voiced.inference.worker import watched
from voiced.messages import inference as messages

_BATCH_BYTES: Final = 32 * FRAME_BYTES
"""Sound judged at one go: a second."""
_LONGEST_BACKLOG: Final = 120 * messages.INPUT_RATE * 2
"""Bytes of sound that may wait for the engines."""

logger = logging.getLogger(__name__)


class Dialogue:
    """One conversation, from its `Open` to its `Close`."""

    def __init__(self, opened: messages.Open, engines: Engines, wire: Wire) -> None:
        self._name = opened.conversation
        self._settings = opened.settings
        self._engines = engines
        self._wire = wire
        self._turns = turns.Conversation(opened.settings)
        self._sound = bytearray()
        self._sound_start = 0
        self._inbox: deque[bytes | bool] = deque()
        self._waiting = 0
        self._arrived = asyncio.Event()
        self._detector: Detector | None = None
        self._readings: dict[int, asyncio.Task[None]] = {}
        self._deaf = False
        self._replies = Replies(
            conversation=self._name,
            settings=opened.settings,
            rows=list(opened.rows),
            engines=engines,
            wire=wire,
            turns=self._turns,
            received=lambda: self._received,
        )
        self._ear = watched(asyncio.create_task(self._hear(), name=f"hear {self._name}"))
        if opened.respond and opened.rows and opened.rows[-1].role == "user":
            self._replies.take_up()

    # What the network process wants.

    def receive(self, message: messages.ToInference) -> None:
        """Take a message about this conversation."""
        match message:
            case messages.Audio(pcm=pcm):
                self._take(pcm)
            case messages.Activity(active=active):
                self._inbox.append(active)
                self._arrived.set()
            case messages.Text(text=text):
                self._replies.add("user", text)
                self._replies.cancel()
                self._turns.owe()
                self._carry_out(self._turns.due())
            case messages.Say(text=text):
                self._replies.say(text)
            case messages.Note(text=text):
                self._replies.add("system", text)
            case messages.Interrupt(response=response, heard_ms=heard_ms):
                self._replies.interrupt(response, heard_ms)
            case messages.Tools(declarations=declarations):
                self._replies.tools = declarations
            case messages.ToolResult(call_id=call_id, ok=ok, result=result):
                self._replies.tool_result(call_id, ok, result)
            case messages.Update(settings=settings):
                self._settings = settings
                self._turns.settings = settings
                self._replies.update(settings)
            case messages.Hello() | messages.Warm() | messages.Open() | messages.Close():
                raise TypeError(f"{type(message).__name__} is not for a conversation")
            case _:
                assert_never(message)

    def close(self) -> None:
        """End everything; nothing more is sent."""
        self._ear.cancel()
        for reading in self._readings.values():
            reading.cancel()
        self._replies.close()

    # The ear.

    def _take(self, pcm: bytes) -> None:
        if self._deaf:
            return
        if self._waiting + len(pcm) > _LONGEST_BACKLOG:
            self._trouble("slow", "the local voice is too slow for this machine: sound was dropped")
            return
        self._waiting += len(pcm)
        self._inbox.append(pcm)
        self._arrived.set()

    async def _hear(self) -> None:
        try:
            while True:
                await self._arrived.wait()
                self._arrived.clear()
                while self._inbox:
                    await self._next()
        except EngineUnavailable as missing:
            self._deaf = True
            self._inbox.clear()
            self._trouble("engine", str(missing), fatal=True)

    async def _next(self) -> None:
        """Take what came in: all the sound up to the next edge, or the edge."""
        first = self._inbox.popleft()
        if isinstance(first, bool):
            self._carry_out(self._turns.activity(first, self._received))
            return
        pieces = [first]
        size = len(first)
        while self._inbox and isinstance(self._inbox[0], bytes) and size < _BATCH_BYTES:
            piece = self._inbox.popleft()
            assert isinstance(piece, bytes)
            pieces.append(piece)
            size += len(piece)
        self._waiting -= size
        self._sound += b"".join(pieces)
        await self._judge()

    async def _judge(self) -> None:
        at = (self._turns.position - self._sound_start) * 2
        whole = (len(self._sound) - at) // FRAME_BYTES * FRAME_BYTES
        if not whole:
            return
        pcm = bytes(self._sound[at : at + whole])
        frames = await self._engines.detection.submit(lambda _: self._frames(pcm))
        for frame in frames:
            self._carry_out(self._turns.frame(frame.probability, frame.level))
        surplus = self._turns.oldest_needed() - self._sound_start
        if surplus > messages.INPUT_RATE:
            del self._sound[: surplus * 2]
            self._sound_start += surplus

    def _frames(self, pcm: bytes) -> list[Frame]:
        """Judge frames, in the detection thread; the detector's memory is this conversation's."""
        if self._detector is None:
            self._detector = Detector()
        return self._detector.judge(pcm)

    @property
    def _received(self) -> int:
        """Samples taken from the inbox since `Open`."""
        return self._sound_start + len(self._sound) // 2

    # What the turns decide.

    def _carry_out(self, actions: list[turns.Action]) -> None:
        for action in actions:
            match action:
                case turns.SpeechStarted(sample=sample):
                    self._send(messages.SpeechStarted(conversation=self._name, sample=sample))
                    self._replies.cancel()
                case turns.SpeechEnded(sample=sample):
                    self._send(messages.SpeechEnded(conversation=self._name, sample=sample))
                case turns.Recognise():
                    self._read(action)
                case turns.Forget(job=job):
                    reading = self._readings.pop(job, None)
                    if reading is not None:
                        reading.cancel()
                case turns.Transcript():
                    self._transcript(action)
                case turns.Dropped(item=item, start=start, end=end):
                    self._send(
                        messages.TurnDropped(
                            conversation=self._name, item=item, start_sample=start, end_sample=end
                        )
                    )
                case turns.Respond():
                    self._replies.respond()
                case _:
                    raise TypeError(f"{type(action).__name__} is no action of a conversation")

    def _transcript(self, words: turns.Transcript) -> None:
        if words.final:
            self._replies.add("user", words.text)
            logger.debug("< %s %s: %s", self._name, words.item, words.text)
        if self._settings.transcribe:
            self._send(
                messages.UserTranscript(
                    conversation=self._name,
                    item=words.item,
                    text=words.text,
                    final=words.final,
                    start_sample=words.start,
                    end_sample=words.end,
                )
            )

    def _read(self, wanted: turns.Recognise) -> None:
        at = (wanted.start - self._sound_start) * 2
        end = (wanted.end - self._sound_start) * 2
        sound = np.frombuffer(bytes(self._sound[at:end]), "<i2")
        task = asyncio.create_task(self._reading(wanted, sound), name=f"read {self._name}")
        self._readings[wanted.job] = watched(task)
        task.add_done_callback(lambda _: self._readings.pop(wanted.job, None))

    async def _reading(self, wanted: turns.Recognise, sound: recogniser.Sound) -> None:
        read = partial(recogniser.Recogniser.read, pcm=sound, language=self._settings.languagecode)
        try:
            heard = await self._engines.recognition.submit(read, wanted.purpose.value)
        except EngineUnavailable as missing:
            self._trouble("engine", str(missing), fatal=True)
            text = ""
        else:
            text = recogniser.words(heard, wanted.strong_ms)
        self._carry_out(self._turns.recognised(wanted.job, text))

    # Small things.

    def _send(self, message: messages.FromInference) -> None:
        self._wire.send(message)

    def _trouble(self, code: str, sentence: str, *, fatal: bool = False) -> None:
        logger.warning("! %s: %s", self._name, sentence)
        self._send(
            messages.Trouble(conversation=self._name, code=code, sentence=sentence, fatal=fatal)
        )
