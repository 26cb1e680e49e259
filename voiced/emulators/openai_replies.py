"""The responses of an emulated OpenAI Realtime session: who may start one, how it goes and ends."""

from __future__ import annotations

import asyncio
import itertools
from typing import TYPE_CHECKING, Any, Final

import msgspec
from msgspec import UNSET

from voiced.emulators import openai_wire as wire
from voiced.emulators.openai_usage import Context, Usage
from voiced.emulators.realtime_input import encode_alaw, encode_mulaw
from voiced.emulators.realtime_items import Item, Tokens, text_tokens
from voiced.emulators.realtime_options import placed
from voiced.emulators.realtime_reply import Dialect, Encoding, Plan, Response, Wanted
from voiced.emulators.refusal import INVALID, Refused
from voiced.emulators.script import Call

if TYPE_CHECKING:
    from voiced.emulators.openai_session import OpenAISession

DIALECT: Final = Dialect(
    audio_part="output_audio", announces_items=True, timed=False, streams_arguments=True
)
_REASONING_TOKENS: Final = {"minimal": 0, "low": 16, "medium": 64, "high": 160, "xhigh": 320}
_QUOTA: Final = {"insufficient_quota", "credit_balance_exhausted", "billing_hard_limit_reached"}


class Running(msgspec.Struct, frozen=True):
    """A response that is being made."""

    response: Response
    task: asyncio.Task[None]
    put_in: Tokens
    cached: Tokens
    config: dict[str, Any]
    """What the service shows of how it was asked for."""


class Replies:
    """All responses of one session.

    Args:
        session: whose they are.
        context: what the model is shown.
    """

    def __init__(self, session: OpenAISession, context: Context) -> None:
        self._session, self._context = session, context
        self._running: dict[str, Running] = {}
        self._serial = itertools.count(1)
        self._owed = False

    @property
    def active(self) -> Running | None:
        """The response that speaks into the conversation."""
        return next((r for r in self._running.values() if r.response.wanted.in_conversation), None)

    # Beginning

    def create(self, asked: wire.ReplyConfig) -> None:
        """Start a response that the client asks for.

        Raises:
            Refused: one is active already, or the request asks for what cannot be.
        """
        wanted = self._wanted(asked)
        if wanted.in_conversation and (active := self.active) is not None:
            raise Refused(
                "Conversation already has an active response in progress: "
                f"{active.response.id}. Wait until the response is finished before creating a new "
                "one.",
                "conversation_already_has_active_response",
                # One that the service began by itself may be news to the client.
                violation=active.response.wanted.by_client,
            )
        missing = self._session.conversation.unanswered()
        if wanted.in_conversation and missing:
            self._session.link.violate(
                "response.create", "", f"asked for before the output of {', '.join(missing)}"
            )
        self._begin(wanted, asked)

    def by_itself(self) -> None:
        """Start a response because the user's turn is over; after the active one, if one is."""
        if self.active is not None:
            self._owed = True
            return
        asked = wire.ReplyConfig()
        self._begin(self._wanted(asked, by_client=False), asked)

    def _wanted(self, asked: wire.ReplyConfig, *, by_client: bool = True) -> Wanted:
        config = self._session.config
        modalities = _first(asked.output_modalities, config.output_modalities)
        limit = _first(asked.max_output_tokens, config.max_output_tokens)
        output = self._session.output
        own = asked.audio.output if asked.audio is not UNSET else UNSET
        audio_format = _first(own.format if own is not UNSET else UNSET, output.format)
        metadata = asked.metadata
        return Wanted(
            metadata=metadata if isinstance(metadata, dict) else None,
            text_only=modalities == ["text"],
            in_conversation=asked.conversation != "none",
            by_client=by_client,
            max_tokens=limit if isinstance(limit, int) else None,
            encoding=_encoding(audio_format),
            rate_of_speech=1.0 if output.speed is UNSET else output.speed,
        )

    def _begin(self, wanted: Wanted, asked: wire.ReplyConfig) -> None:
        session, number = self._session, next(self._serial)
        response = Response(session, DIALECT, f"resp_{session.number}_{number}", number, wanted)
        put_in, cached = self._context.ask(self._pieces(asked), keep=wanted.in_conversation)
        task = session.link.spawn(self._make(response, asked), f"response {number}")
        self._running[response.id] = Running(
            response, task, put_in, cached, self._shown_config(wanted, asked)
        )

    def _pieces(self, asked: wire.ReplyConfig) -> list[tuple[str, Tokens]]:
        config = self._session.config
        instructions = _first(asked.instructions, config.instructions)
        tools = _first(asked.tools, config.tools)
        set_up = f"{instructions}{msgspec.json.encode(tools).decode()}"
        pieces = [(f"set-up {hash(set_up)}", Tokens(text=text_tokens(set_up)))]
        if asked.input is not UNSET:
            text = msgspec.json.encode(asked.input).decode()
            return [*pieces, ("input", Tokens(text=text_tokens(text)))]
        return pieces + [(item.id, item.tokens()) for item in self._session.conversation]

    # Making

    async def _make(self, response: Response, asked: wire.ReplyConfig) -> None:
        session = self._session
        running = self._running[response.id]
        if session.options.created_after_s:
            await session.pause(session.options.created_after_s)
        response.begun = True
        if session.options.created:
            await session.say("response.created", response=self._shown(running, "in_progress"))
        await session.say("rate_limits.updated", rate_limits=_limits(running.put_in.total))
        scripted = session.script.reply_at(response.number)
        if scripted.delay_s:
            await session.pause(scripted.delay_s)
        if scripted.fails:
            await self._end(running, "failed", error=scripted.fails)
            return
        try:
            plan = await self._plan(response, asked)
            status = await response.speak(plan)
        except BaseException:
            if not response.ended:
                # The connection is over, as a cancel or a failing send tells: what was made until
                # then is paid for.
                self._usage(running).book(session.emulator.bill, session.link.number, session.model)
            raise
        await self._end(running, status)

    async def _plan(self, response: Response, asked: wire.ReplyConfig) -> Plan:
        session = self._session
        scripted = session.script.reply_at(response.number)
        if scripted.says is not None or scripted.calls:
            return Plan(says=scripted.says or "", calls=scripted.calls, gap_s=scripted.gap_s)
        choice = _first(asked.tool_choice, session.config.tool_choice)
        names = _names(_first(asked.tools, session.config.tools))
        if isinstance(choice, wire.ChosenFunction):
            return Plan(calls=[Call(name=choice.name)])
        last = session.conversation.last()
        if choice == "required" and names:
            return Plan(calls=[Call(name=names[0])])
        said = await session.words_of(last) if last is not None else ""
        tool = session.emulator.script.called_by(said)
        by_user = last is not None and last.role == "user"
        if tool is not None and by_user and tool.name in names and choice != "none":
            return Plan(says=tool.says, calls=[Call(name=tool.name, arguments=tool.arguments)])
        if last is not None and last.type == "function_call_output":
            return Plan(says=f"The tool says: {last.output[:200]}", gap_s=scripted.gap_s)
        answer = session.emulator.script.answer.format(heard=said or "something")
        return Plan(says=answer, gap_s=scripted.gap_s)

    # Ending

    def cancel(self, response_id: str | None) -> None:
        """Cancel for the client: this response, or the active one.

        Raises:
            Refused: it is not active.
        """
        running = self.active if response_id is None else self._running.get(response_id)
        if running is None or running.response.ended or not running.response.begun:
            raise Refused(
                "Cancellation failed: no active response found",
                "response_cancel_not_active",
                violation=False,
            )
        self._stop(running, "client_cancelled")

    def interrupt(self) -> None:
        """End the active response because the user speaks."""
        self._owed = False
        running = self.active
        if running is not None and not running.response.ended:
            self._stop(running, "turn_detected")

    def _stop(self, running: Running, reason: str) -> None:
        running.response.ended = True
        running.task.cancel()
        ending = self._end(running, "cancelled", reason=reason)
        self._session.link.spawn(ending, f"end of {running.response.id}")

    async def _end(
        self, running: Running, status: str, *, reason: str | None = None, error: str = ""
    ) -> None:
        session, response = self._session, running.response
        response.ended = True
        # Taken out first: from here on the slot is free for the next one.
        del self._running[response.id]
        try:
            await response.finish(status)
        finally:  # Nobody may be there to be told; it is paid for.
            usage = self._usage(running) if not error else None
            if usage is not None:
                usage.book(session.emulator.bill, session.link.number, session.model)
        session.said(response)
        if status == "incomplete":
            reason = "max_output_tokens"
        details: dict[str, Any] = {"type": status}
        if reason:
            details["reason"] = reason
        if error:
            details["error"] = _error(error)
        if not session.loses_done(response.number):
            shown = self._shown(running, status, details)
            used = None if usage is None else usage.shown()
            await session.say("response.done", **placed(used, session.options.usage, shown))
        if status != "cancelled":
            await session.sounded_all(response)
        if self._owed and self.active is None and reason != "turn_detected":
            self._owed = False
            self.by_itself()

    def _usage(self, running: Running) -> Usage:
        reasoning = self._session.config.reasoning
        effort = reasoning.effort if reasoning is not UNSET else UNSET
        thought = _REASONING_TOKENS[effort] if isinstance(effort, str) else 0
        return Usage(
            input=running.put_in,
            cached=running.cached,
            output=running.response.tokens,
            reasoning=thought,
        )

    # Shown

    def _shown_config(self, wanted: Wanted, asked: wire.ReplyConfig) -> dict[str, Any]:
        config = self._session.config
        output = self._session.output
        own = asked.audio.output if asked.audio is not UNSET else UNSET
        audio = {
            "format": _first(own.format if own is not UNSET else UNSET, output.format),
            "voice": _first(own.voice if own is not UNSET else UNSET, output.voice),
        }
        return {
            "conversation_id": self._session.conversation_id if wanted.in_conversation else None,
            "output_modalities": ["text"] if wanted.text_only else ["audio"],
            "max_output_tokens": _first(asked.max_output_tokens, config.max_output_tokens),
            "audio": {"output": audio},
            "metadata": wanted.metadata,
        }

    def _shown(
        self,
        running: Running,
        status: str,
        details: dict[str, Any] | None = None,
    ) -> dict[str, Any]:
        response = running.response
        return {
            "object": "realtime.response",
            "id": response.id,
            "status": status,
            "status_details": details,
            "output": [item.shown() for item in response.output],
            "usage": None,
            **running.config,
        }


def _first(asked: Any, otherwise: Any) -> Any:
    """Return what the response itself asks for, else what the session has."""
    return otherwise if asked is UNSET else asked


def _encoding(audio_format: wire.Format) -> Encoding:
    match audio_format:
        case wire.Pcmu():
            return Encoding(rate=8000, encode=encode_mulaw)
        case wire.Pcma():
            return Encoding(rate=8000, encode=encode_alaw)
        case wire.Pcm(rate=rate):
            return Encoding(rate=rate)


def _names(tools: Any) -> list[str]:
    declared = tools if isinstance(tools, list) else []
    return [tool.name for tool in declared if isinstance(tool, wire.FunctionTool)]


def _limits(used: int) -> list[dict[str, Any]]:
    limit = 40_000
    return [
        {"name": "requests", "limit": 1_000, "remaining": 999, "reset_seconds": 0.06},
        {"name": "tokens", "limit": limit, "remaining": max(0, limit - used),
         "reset_seconds": round(used * 60 / limit, 3)},
    ]  # fmt: skip


def _error(code: str) -> dict[str, str]:
    kind = code if code in _QUOTA else INVALID
    if "rate_limit" in code:
        kind = "tokens"
    if code == "server_error":
        kind = code
    return {"type": kind, "code": code, "message": f"The response failed: {code}."}


def heard_audio(item: Item) -> bool:
    """Whether an item is something the user said aloud."""
    return item.role == "user" and any(part.type == "input_audio" for part in item.content)
