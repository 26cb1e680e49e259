"""One answer of an emulated EVI: its sentences as messages, sound and scores, its tool calls."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final

import msgspec

from voiced.emulators import hume_wire as wire
from voiced.emulators.hume_voice import RATE_OUT, sentences, wav
from voiced.emulators.script import Call, Reply
from voiced.emulators.server import END_MS

if TYPE_CHECKING:
    from voiced.emulators.hume_session import HumeSession

_GOODBYES: Final = ("goodbye", "good bye", "hang up")
_SEARCHES: Final = ("search", "look up")


class Verbatim(msgspec.Struct, frozen=True):
    """Words that are said as they are."""

    text: str


Words = str | Verbatim | Callable[[], Awaitable[str]]
"""What is answered: typed words, words to say, or a function that returns what was heard."""


class Answering:
    """One answer, running as a task until it was about heard; so long it can be interrupted.

    Args:
        session: the chat.
        words: what it answers.
    """

    def __init__(self, session: HumeSession, words: Words) -> None:
        self._session, self._words = session, words
        self._began_s = self._audio_ms = 0.0
        self._id, self._index = "", 0
        self._open: set[str] = set()
        self._results: list[str] = []
        self._answered = asyncio.Event()
        self._task = session.link.spawn(self._run(), "answer")

    def cut(self) -> None:
        """End it where it is: what was not sent never is."""
        self._task.cancel()
        for id_ in self._open:
            self._session.calls.pop(id_, None)

    def send_late(self) -> None:
        """Send one more piece of what was cut off."""
        if self._id:
            self._send_audio(bytes(RATE_OUT // 5))

    def take_result(self, id_: str, text: str) -> None:
        """Go on with what a tool returned, once none is missing."""
        self._open.discard(id_)
        self._results.append(text)
        if not self._open:
            self._answered.set()

    async def _run(self) -> None:
        session = self._session
        hangs_up = await self._answer()
        if self._began_s:
            left_s = self._began_s + self._audio_ms / 1000 - session.now_s
            await session.emulator.pause(max(0.0, left_s))
        if hangs_up:
            session.hang_up()
        session.finished(self)

    async def _answer(self) -> bool:
        """Say it; return whether the chat ends with it."""
        session = self._session
        match self._words:
            case Verbatim(text=text):
                await self._speak(text, 0, Reply(), from_text=True)
                self._end()
                return False
            case str() as prompt:
                pass
            case listen:
                prompt = await listen()
        if not prompt or session.holds_back(prompt):
            return False
        asked = prompt.lower()
        if session.has_builtin("web_search") and any(word in asked for word in _SEARCHES):
            self._use_builtin("web_search", {"query": prompt}, "Found: nothing new.")
        if await self._reply(prompt):
            self._end()
        if session.has_builtin("hang_up") and any(word in asked for word in _GOODBYES):
            self._use_builtin("hang_up", {}, "The chat ends.")
            return True
        return False

    async def _reply(self, prompt: str) -> bool:
        """Speak and call until there is nothing to call; return whether it came to its end."""
        session = self._session
        while True:
            number, reply = session.next_reply()
            await session.emulator.pause(reply.delay_s)
            if reply.fails:
                session.tell_error(reply.fails, "answer_failed", "The answer failed.")
                return False
            says, calls = self._plan(reply, prompt)
            await self._speak(says, number, reply)
            if not calls:
                return True
            self._results.clear()
            self._answered.clear()
            for call in calls:
                self._call(call)
            await self._answered.wait()
            prompt = " and ".join(self._results)

    def _plan(self, reply: Reply, prompt: str) -> tuple[str, list[Call]]:
        session = self._session
        if reply.says is not None or reply.calls:
            return reply.says or "", reply.calls
        if self._results:
            return prompt, []
        tool = session.emulator.script.called_by(prompt)
        if tool is not None and session.declares(tool.name):
            return tool.says, [Call(name=tool.name, arguments=tool.arguments)]
        return session.own_answer(prompt), []

    def _call(self, call: Call) -> None:
        session, id_ = self._session, self._session.next_call()
        session.calls[id_] = call.name
        self._open.add(id_)
        given = call.raw
        if given is None:
            given = msgspec.json.encode(call.arguments).decode()
        session.tell(
            wire.ToolCall(
                name=call.name,
                parameters=given,
                tool_call_id=id_,
                tool_type="function",
                response_required=True,
            )
        )

    def _use_builtin(self, name: str, arguments: dict[str, str], result: str) -> None:
        session, id_ = self._session, self._session.next_call()
        session.tell(
            wire.ToolCall(
                name=name,
                parameters=msgspec.json.encode(arguments).decode(),
                tool_call_id=id_,
                tool_type="builtin",
                response_required=False,
            )
        )
        if name == "web_search" and session.options.search_fails:
            failed = wire.ToldToolError(
                tool_call_id=id_,
                error="search_failed",
                content="The search failed.",
                code="I0300",
                level="warn",
                tool_type="builtin",
            )
            session.tell(failed)
            return
        session.tell(
            wire.ToldToolResponse(
                tool_call_id=id_, content=result, tool_name=name, tool_type="builtin"
            )
        )

    async def _speak(
        self, text: str, number: int, reply: Reply, *, from_text: bool = False
    ) -> None:
        """Send each sentence: its words, its sound, its scores."""
        session, done_ms, checked_ms = self._session, 0, -1
        for at, sentence in enumerate(sentences(text)):
            self._id, self._index = session.next_message(), 0
            session.link.record.said.append(sentence)
            models = session.measured(sentence)
            session.tell(
                wire.AssistantMessage(
                    id=self._id,
                    message=wire.ChatMessage(role="assistant", content=sentence),
                    models=models,
                    from_text=from_text,
                    is_quick_response=session.options.quick and at == 0,
                    language="en",
                )
            )
            chunk_ms = session.options.chunk_ms
            begins_ms = done_ms
            async for delta in session.emulator.mouth.speak(sentence, RATE_OUT, delta_ms=chunk_ms):
                now_ms = begins_ms + delta.start_ms
                done_ms = now_ms + delta.ms
                if now_ms:
                    await session.emulator.pause(reply.gap_s)
                for fault in session.due_in_reply(number, checked_ms + 1, now_ms + 1):
                    session.tell(fault)
                checked_ms = now_ms
                self._began_s = self._began_s or session.now_s
                self._send_audio(delta.audio)
            session.tell(wire.AssistantProsody(id=self._id, models=models))
            session.remember("assistant", sentence)
        for fault in session.due_in_reply(number, checked_ms + 1, END_MS + 1):
            session.tell(fault)

    def _send_audio(self, pcm: bytes) -> None:
        session = self._session
        self._audio_ms += len(pcm) * 500 / RATE_OUT
        session.link.record.audio_out_s += len(pcm) / (2 * RATE_OUT)
        data = wav(pcm, extra=session.options.list_chunk)
        session.tell(wire.AudioOutput(id=self._id, index=self._index, data=data))
        self._index += 1

    def _end(self) -> None:
        if self._session.loses_done:
            self._session.loses_done = False
        else:
            self._session.tell(wire.AssistantEnd())
