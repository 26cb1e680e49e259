"""The assistant's side of one conversation: rows, answers, speech, and what was heard of it."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
from collections.abc import AsyncGenerator, Callable, Iterator
from functools import partial
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from voiced.inference.conversation import Conversation
from voiced.inference.engines import Engines, Voices
from voiced.inference.errand import Begun, Result
from voiced.inference.models import EngineUnavailable
from voiced.inference.reply import Answerer
from voiced.inference.speech import Clauses
from voiced.inference.wire import Wire
from voiced.inference.worker import watched
from voiced.messages import inference as messages

_CHUNK: Final = messages.MAX_AUDIO_BYTES // 2
"""Samples of one chunk of voice."""
_LATENCY: Final = messages.INPUT_RATE * 3 // 10
"""From here to the loudspeaker and back to the microphone, samples: how long a reply echoes on."""

_REMEMBERED: Final = 8
"""Responses that may still be interrupted: they can be heard long after they were made."""

logger = logging.getLogger(__name__)


class _Response(msgspec.Struct, kw_only=True):
    """One reply: its words, and when each was spoken."""

    name: str
    item: str
    text: str = ""
    voice_samples: int = 0
    marks: list[tuple[int, int]] = []
    """(samples of voice, characters spoken by then), growing."""
    row: int = -1
    """Its place among the rows; -1 before its first word."""

    def heard(self, heard_ms: int) -> str:
        """Return the words that were spoken within `heard_ms` of the voice."""
        samples = heard_ms * messages.OUTPUT_RATE // 1_000
        spoken = max((until for at, until in self.marks if at <= samples), default=0)
        if spoken < len(self.text) and not self.text[spoken].isspace():
            # Half a word was not heard.
            spoken = max(self.text.rfind(" ", 0, spoken), 0)
        return self.text[:spoken].rstrip()


class Replies:
    """Answers, speaks, and keeps the rows.

    Args:
        conversation: its name, on every message.
        settings: as they stand; `update` replaces them.
        rows: what was said before.
        engines: the voices.
        wire: where the events go.
        turns: told when a reply runs and how long it will sound.
        received: samples of the visitor's stream so far.
    """

    def __init__(
        self,
        *,
        conversation: str,
        settings: messages.Settings,
        rows: list[messages.Row],
        engines: Engines,
        wire: Wire,
        turns: Conversation,
        received: Callable[[], int],
    ) -> None:
        self.tools: tuple[messages.Declaration, ...] = ()
        self._name = conversation
        self._settings = settings
        self._rows = rows
        self._engines = engines
        self._wire = wire
        self._turns = turns
        self._received = received
        self._numbers = itertools.count(1)
        self._calls = itertools.count(1)
        self._responses: dict[str, _Response] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._results: dict[str, asyncio.Future[Result]] = {}
        self._unsaid: list[str] = []
        self._sounding_until = 0
        self._closed = False
        self._mute: set[str] = set()
        self._answerer = Answerer(settings, rows, engines.small_model, self._trouble)

    def update(self, settings: messages.Settings) -> None:
        """Take new settings, from the next reply on."""
        self._settings = settings
        self._answerer.update(settings, self._rows)

    def add(self, role: str, text: str) -> None:
        """Add a row to the conversation."""
        self._rows.append(messages.Row(role=role, text=text))

    def respond(self) -> None:
        """Answer what the visitor said since the last answer."""
        self._start(self._answer)

    def take_up(self) -> None:
        """Answer what the rows that this conversation began with leave unanswered."""
        self._answerer.take_up()
        self.respond()

    def say(self, text: str) -> None:
        """Speak `text` as it is, after what is being said."""
        self._start(lambda: _verbatim(text))

    def cancel(self) -> None:
        """Stop whatever is running or waiting to be said."""
        self._sounding_until = 0
        self._turns.sounding(0)
        for task in self._tasks.values():
            task.cancel()

    def interrupt(self, response: str, heard_ms: int) -> None:
        """Stop one response, and keep of it what was heard; "" stops them all as they stand."""
        if not response:
            self.cancel()
            return
        self._sounding_until = 0
        self._turns.sounding(0)
        if response in self._tasks:
            self._tasks[response].cancel()
        spoken = self._responses.get(response)
        if spoken is None or spoken.row < 0:
            return
        row = self._rows[spoken.row]
        self._rows[spoken.row] = msgspec.structs.replace(row, text=spoken.heard(heard_ms))

    def tool_result(self, call_id: str, ok: bool, result: str) -> None:
        """Take what came of a tool call; one that nobody waits for is ignored."""
        waiting = self._results.pop(call_id, None)
        if waiting is not None and not waiting.done():
            waiting.set_result(Result(ok=ok, text=result))

    def close(self) -> None:
        """Stop everything without a word."""
        self._closed = True
        for task in self._tasks.values():
            task.cancel()

    # One response after another.

    def _start(self, answer: Callable[[], AsyncGenerator[str, None]]) -> None:
        number = next(self._numbers)
        response = _Response(name=f"r{number}", item=f"a{number}")
        before = list(self._tasks.values())
        task = asyncio.create_task(
            self._run(response, answer, before), name=f"respond {self._name} {response.name}"
        )
        self._tasks[response.name] = watched(task)
        task.add_done_callback(lambda _: self._tasks.pop(response.name, None))

    async def _run(
        self,
        response: _Response,
        answer: Callable[[], AsyncGenerator[str, None]],
        before: list[asyncio.Task[None]],
    ) -> None:
        status = "cancelled"  # unless it gets to its end
        started = False
        try:
            if before:
                await asyncio.wait(before)
            self._responses[response.name] = response
            while len(self._responses) > _REMEMBERED:
                del self._responses[next(iter(self._responses))]
            started = True
            self._turns.responding(True)
            self._send(messages.ResponseStarted(conversation=self._name, response=response.name))
            await self._speak(response, answer())
            status = "completed"
        finally:
            if started:
                self._turns.responding(False)
                self._send(
                    messages.ResponseDone(
                        conversation=self._name, response=response.name, status=status
                    )
                )

    async def _speak(self, response: _Response, words: AsyncGenerator[str, None]) -> None:
        clauses = Clauses()
        async with contextlib.aclosing(words):  # a cancelled reply hangs up on its service at once
            async for delta in words:
                for clause in clauses.feed(delta):
                    await self._clause(response, clause)
        for clause in clauses.flush():
            await self._clause(response, clause)
        self._transcript(response, "", final=True)
        logger.debug("> %s %s: %s", self._name, response.item, response.text)

    async def _clause(self, response: _Response, clause: str) -> None:
        """Tell a clause's words, then speak them."""
        begin = len(response.text)
        response.text += clause
        if response.row < 0:
            response.row = len(self._rows)
            self.add("assistant", response.text)
        else:
            row = self._rows[response.row]
            self._rows[response.row] = msgspec.structs.replace(row, text=response.text)
        self._transcript(response, clause, final=False)
        sound = await self._spoken(clause)
        for chunk, share in _chunks(sound):
            await self._wire.drain()
            until = begin + round(share * len(clause))
            response.voice_samples += len(chunk)
            response.marks.append((response.voice_samples, until))
            self._sounds(len(chunk))
            self._send(
                messages.AssistantAudio(
                    conversation=self._name,
                    response=response.name,
                    item=response.item,
                    pcm=chunk.astype("<i2").tobytes(),
                    text_until=until,
                )
            )

    async def _spoken(self, clause: str) -> NDArray[np.int16]:
        """Return a clause in the voice that was asked for, else in the packaged one, else silent.

        A voice that cannot be had is told once; the words stand in the transcript all the same.
        """
        speed = self._settings.speed
        for voice in dict.fromkeys((self._settings.voice, "")):
            if voice in self._mute:
                continue
            speak = partial(_speak, voice=voice, text=clause, speed=speed)
            try:
                sound: NDArray[np.int16] = await self._engines.speech.submit(speak)
            except EngineUnavailable as missing:
                self._mute.add(voice)
                self._trouble("voice", str(missing))
            else:
                return sound
        return np.zeros(0, np.int16)

    def _sounds(self, samples: int) -> None:
        """Reckon how long the loudspeaker will sound, in samples of the visitor's stream."""
        now = self._received() + _LATENCY
        length = samples * messages.INPUT_RATE // messages.OUTPUT_RATE
        self._sounding_until = max(self._sounding_until, now) + length
        self._turns.sounding(self._sounding_until)

    # Tools.

    def tell(self, name: str, arguments: str) -> str:
        """Call a tool without waiting for it; return the call's id."""
        call_id = f"c{next(self._calls)}"
        running = next(
            (key for key, task in self._tasks.items() if task is asyncio.current_task()), ""
        )
        self._send(
            messages.ToolCall(
                conversation=self._name,
                response=running,
                call_id=call_id,
                name=name,
                arguments=arguments,
            )
        )
        return call_id

    def begin(self, name: str, arguments: str) -> Begun:
        """Call a tool; its result comes by the future."""
        call_id = self.tell(name, arguments)
        result: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._results[call_id] = result
        return Begun(call_id=call_id, result=result)

    def drop(self, call_id: str) -> None:
        """Take a call back whose result has not come."""
        if self._results.pop(call_id, None) is not None:
            self._send(messages.ToolCancelled(conversation=self._name, call_id=call_id))

    async def call(self, name: str, arguments: str) -> str:
        """Call a tool and return what it said."""
        begun = self.begin(name, arguments)
        try:
            result = await begun.result
        except asyncio.CancelledError:
            self.drop(begun.call_id)
            raise
        return result.text if result.ok else f"error: {result.text}"

    def announce(self, text: str) -> None:
        """Say something of its own accord, but not into what the visitor is saying."""
        if self._turns.speaking or self._turns.settling:
            self._unsaid.append(text)
        elif not self._closed:
            self.say(text)

    async def _answer(self) -> AsyncGenerator[str, None]:
        unsaid, self._unsaid = self._unsaid, []
        for text in unsaid:
            yield f"{text} "
        async with contextlib.aclosing(self._answerer.answer(self._rows, self)) as words:
            async for delta in words:
                yield delta

    # Small things.

    def _transcript(self, response: _Response, delta: str, *, final: bool) -> None:
        self._send(
            messages.AssistantTranscript(
                conversation=self._name,
                response=response.name,
                item=response.item,
                delta=delta,
                final=final,
            )
        )

    def _send(self, message: messages.FromInference) -> None:
        if not self._closed:
            self._wire.send(message)

    def _trouble(self, code: str, sentence: str) -> None:
        logger.warning("! %s: %s", self._name, sentence)
        self._send(
            messages.Trouble(conversation=self._name, code=code, sentence=sentence, fatal=False)
        )


def _speak(voices: Voices, voice: str, text: str, speed: float) -> NDArray[np.int16]:
    return voices.of(voice).speak(text, speed)


async def _verbatim(text: str) -> AsyncGenerator[str, None]:
    yield text


def _chunks(sound: NDArray[np.int16]) -> Iterator[tuple[NDArray[Any], float]]:
    """Yield chunks and the share of the whole that has passed with each."""
    for at in range(0, len(sound), _CHUNK):
        chunk = sound[at : at + _CHUNK]
        yield chunk, (at + len(chunk)) / len(sound)
