"""The responses of an emulated xAI session: half of them it begins by itself, some never end."""

from __future__ import annotations

import asyncio
import itertools
import math
from typing import TYPE_CHECKING, Any, Final

import msgspec

from voiced.emulators import xai_wire as wire
from voiced.emulators.realtime_input import encode_alaw, encode_mulaw, pcm
from voiced.emulators.realtime_items import Item, Tokens, text_tokens
from voiced.emulators.realtime_options import placed
from voiced.emulators.realtime_reply import Dialect, Encoding, Plan, Response, Wanted
from voiced.emulators.refusal import Refused
from voiced.emulators.script import Call

if TYPE_CHECKING:
    from voiced.emulators.xai_session import XAISession

DIALECT: Final = Dialect(
    audio_part="audio", announces_items=False, timed=True, streams_arguments=False
)
USD_PER_MINUTE: Final = 0.08
USD_PER_MINUTE_OF: Final = {"grok-voice-think-fast-1.0": 0.05}
"""Of the models that cost something else."""


class Running(msgspec.Struct, frozen=True):
    """A response that is being made."""

    response: Response
    task: asyncio.Task[None]
    to_speech: bool
    """It answers committed audio."""
    interruptible: bool


class Replies:
    """All responses of one session; at most one is active.

    Args:
        session: whose they are.
    """

    def __init__(self, session: XAISession) -> None:
        self._session = session
        self.active: Running | None = None
        self._serial = itertools.count(1)
        self._committed = asyncio.Event()
        self._committed.set()
        self._output_s = 0.0
        self._before = self._billed = session.emulator.totals.get(session.conversation_id, 0)
        self._collides = True

    # Beginning

    def create(self, asked: wire.ReplyConfig) -> None:
        """Start a response that the client asks for.

        Raises:
            Refused: one is active already.
        """
        self._refuse_second()
        missing = self._session.conversation.unanswered()
        if missing:
            self._session.link.violate(
                "response.create", "", f"asked for before the output of {', '.join(missing)}"
            )
        metadata = asked.metadata if isinstance(asked.metadata, dict) else None
        self._begin(self._wanted(metadata, by_client=True), None)

    def force(self, text: str, *, interruptible: bool) -> None:
        """Speak words as they are.

        Raises:
            Refused: a response is active.
        """
        self._refuse_second()
        self._begin(self._wanted(None), Plan(says=text), interruptible=interruptible)

    def to_speech(self, *, committed: bool) -> None:
        """Start the answer to the user's speech.

        Args:
            committed: the turn is an item already; otherwise nothing is said until it is.
        """
        self._begin(self._wanted(None), None, to_speech=True)
        if not committed:
            self._committed.clear()  # before its task runs for the first time

    def commit(self) -> None:
        """Note that the user's turn is an item now."""
        self._committed.set()

    def _refuse_second(self) -> None:
        if self.active is not None:
            raise Refused(
                f"Conversation already has an active response: {self.active.response.id}.",
                "",
                violation=self.active.response.wanted.by_client,
            )

    def _wanted(self, metadata: dict[str, str] | None, *, by_client: bool = False) -> Wanted:
        output = self._session.output
        return Wanted(
            metadata=metadata,
            by_client=by_client,
            encoding=_encoding(output),
            rate_of_speech=output.speed if isinstance(output.speed, float) else 1.0,
        )

    def _begin(
        self, wanted: Wanted, plan: Plan | None, *, to_speech: bool = False,
        interruptible: bool = True,
    ) -> None:  # fmt: skip
        session, number = self._session, next(self._serial)
        self.drop()  # a new one closes the one before, whether it was done or not
        response = Response(session, DIALECT, f"resp_{session.number}_{number}", number, wanted)
        task = session.link.spawn(self._make(response, plan), f"response {number}")
        self.active = Running(response, task, to_speech, interruptible)

    # Making

    async def _make(self, response: Response, plan: Plan | None) -> None:
        session = self._session
        running = self.active
        assert running is not None, "it is active from its beginning"
        if session.options.created:
            await session.say("response.created", response=self._shown(response, "in_progress"))
        await self._committed.wait()
        scripted = session.script.reply_at(response.number)
        if scripted.delay_s:
            await session.pause(scripted.delay_s)
        collision = self._collision()
        if scripted.fails or collision:
            await self._fail(running, scripted.fails or "internal_error")
            return
        status = await response.speak(plan or await self._plan(response))
        await self._end(running, status)

    def _collision(self) -> bool:
        """Whether a function has the name of a built-in tool that is on; said once."""
        tools = self._session.tools
        names = [t.called for t in tools if isinstance(t, wire.FunctionTool)]
        on = {type(tool) for tool in tools}
        found = self._collides and any(wire.RESERVED.get(name) in on for name in names)
        self._collides = self._collides and not found
        return found

    async def _plan(self, response: Response) -> Plan:
        session = self._session
        scripted = session.script.reply_at(response.number)
        if scripted.says is not None or scripted.calls:
            return Plan(says=scripted.says or "", calls=scripted.calls, gap_s=scripted.gap_s)
        last = session.conversation.last()
        said = await session.words_of(last) if last is not None else ""
        tool = session.emulator.script.called_by(said)
        names = {t.called for t in session.tools if isinstance(t, wire.FunctionTool)}
        if last is not None and last.role == "user" and tool is not None and tool.name in names:
            return Plan(says=tool.says, calls=[Call(name=tool.name, arguments=tool.arguments)])
        if last is not None and last.type == "function_call_output":
            return Plan(says=f"The tool says: {last.output[:200]}", gap_s=scripted.gap_s)
        answer = session.emulator.script.answer.format(heard=said or "something")
        return Plan(says=answer, gap_s=scripted.gap_s)

    # Ending

    def drop(self) -> bool:
        """End the active response without a word: there is no response.done; True = one was."""
        running, self.active = self.active, None
        if running is None:
            return False
        running.response.ended = True
        running.task.cancel()
        self._committed.set()
        self._book(running.response)
        return True

    async def stop(self, response_id: str | None = None) -> None:
        """End the active response with its response.done, cancelled.

        Raises:
            Refused: none is active, or it is not the one that is named.
        """
        running = self.active
        named = running is not None and response_id in (None, running.response.id)
        if running is None or running.response.ended or not named:
            raise Refused("Cancellation failed: no active response found", "", violation=False)
        running.response.ended = True
        running.task.cancel()
        self._committed.set()
        await self._end(running, "cancelled", close=False)

    async def _fail(self, running: Running, code: str) -> None:
        error = {
            "type": "server_error", "code": code, "message": "Internal server error",
            "param": None, "event_id": None,
        }  # fmt: skip
        await self._session.say("error", error=error)
        await self._end(running, "failed")

    async def _end(self, running: Running, status: str, *, close: bool = True) -> None:
        session, response = self._session, running.response
        response.ended = True
        if self.active is running:
            self.active = None
        if close:
            await response.finish(status)
        usage = self._book(response)
        session.ended(response, to_speech=running.to_speech)
        if session.loses_done(response.number):
            return
        shown = self._shown(response, status, "unimplemented")
        used = placed(usage, session.options.usage, shown)
        await session.say("response.done", **used, response_id=response.id, previous_item_id=None)
        if status != "cancelled":
            await session.sounded_all(response)

    def _book(self, response: Response) -> dict[str, Any]:
        """Return the usage of a response and put the audio on the bill."""
        session = self._session
        out_s = response.audio_ms / 1000
        self._output_s += out_s
        total = self._before + math.ceil(session.speech_s + self._output_s)
        price = USD_PER_MINUTE_OF.get(session.model_id, USD_PER_MINUTE) / 60
        session.emulator.bill.add(session.number, "audio", total - self._billed, "s", price)
        self._billed = session.emulator.totals[session.conversation_id] = total
        context = sum((item.tokens() for item in session.conversation), Tokens())
        put_in = context.text + text_tokens(session.instructions)
        out = response.tokens.audio
        return {
            "input_tokens": put_in + context.audio,
            "input_token_details": {
                "text_tokens": put_in, "audio_tokens": context.audio, "grok_tokens": 0,
            },
            "output_tokens": out,
            "output_token_details": {"text_tokens": 0, "audio_tokens": out, "grok_tokens": 0},
            "total_tokens": put_in + context.audio + out,
            "output_audio_seconds": out_s,
            "billable_audio_seconds": total,
        }  # fmt: skip

    @staticmethod
    def _shown(response: Response, status: str, details: str | None = None) -> dict[str, Any]:
        return {
            "id": response.id,
            "object": "realtime.response",
            "status": status,
            "status_details": details,
            "output": [item.shown() for item in response.output],
            "usage": None,
            "metadata": response.wanted.metadata,
        }


def _encoding(output: wire.Output) -> Encoding:
    binary = output.transport == "binary"
    match output.format:
        case wire.Pcmu(rate=rate):
            return Encoding(rate=rate, encode=encode_mulaw, binary=binary)
        case wire.Pcma(rate=rate):
            return Encoding(rate=rate, encode=encode_alaw, binary=binary)
        case wire.Pcm(rate=rate):
            return Encoding(rate=rate, encode=pcm, binary=binary)
        case _:
            raise AssertionError("the defaults have a format")


def heard_share(item: Item, end_ms: int) -> str:
    """Return the words of a reply that were heard by `end_ms`, by their share of its length."""
    words = item.words.split()
    return " ".join(words[: len(words) * end_ms // max(1, item.audio_ms)])
