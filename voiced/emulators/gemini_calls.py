"""The function calls of one connection to an emulated Gemini.

A BLOCKING call is waited for by its exchange; what a NON_BLOCKING one returns becomes an answer of
its own, at once (INTERRUPT), after the reply under way (WHEN_IDLE) or never (SILENT). Source: wire
reference 1.2 and 1.4.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import msgspec

from voiced.emulators import gemini_rules
from voiced.emulators import gemini_told as told
from voiced.emulators.gemini_exchange import Returned
from voiced.emulators.gemini_rules import Finding
from voiced.emulators.gemini_told import ServerMessage
from voiced.emulators.gemini_wire import (
    Behavior,
    FunctionDeclaration,
    FunctionResponse,
    Scheduling,
    ToolResponse,
)
from voiced.emulators.script import Call

if TYPE_CHECKING:
    from voiced.emulators.gemini_exchange import Exchange
    from voiced.emulators.gemini_session import GeminiSession


class OpenCall(msgspec.Struct, frozen=True, kw_only=True):
    """A function call without its final response."""

    name: str
    behavior: Behavior
    exchange: Exchange


class Calls:
    """Calls that were made and what came back.

    Args:
        session: the connection.
    """

    def __init__(self, session: GeminiSession) -> None:
        self._session = session
        self.open: dict[str, OpenCall] = {}
        self._cancelled: set[str] = set()
        self._ids = itertools.count(1001)

    def make(self, calls: list[Call], exchange: Exchange) -> None:
        """Send calls."""
        session, sent = self._session, []
        for call in calls:
            id_, behavior = self._next_id(), self._behavior(call.name)
            self.open[id_] = OpenCall(name=call.name, behavior=behavior, exchange=exchange)
            shown = "" if session.options.unnumbered else id_
            sent.append(told.FunctionCall(id=shown, name=call.name, args=call.arguments))
        session.tell(ServerMessage(tool_call=told.ToolCall(function_calls=sent)))
        session.tell_handle()

    def waits(self, exchange: Exchange) -> bool:
        """Whether an exchange waits for a function."""
        mine = (call for call in self.open.values() if call.exchange is exchange)
        return any(call.behavior is Behavior.BLOCKING for call in mine)

    def cancel(self, exchange: Exchange) -> None:
        """Take back the calls of an exchange that was cut off."""
        ids = [id_ for id_, call in self.open.items() if call.exchange is exchange]
        for id_ in ids:
            del self.open[id_]
        if ids:
            self._cancelled.update(ids)
            cancellation = told.ToolCallCancellation(ids=ids)
            self._session.tell(ServerMessage(tool_call_cancellation=cancellation))

    def _next_id(self) -> str:
        """Return the id of the next function call."""
        return f"function-call-{next(self._ids)}"

    def declared(self, name: str) -> FunctionDeclaration | None:
        """Return how the client declared a function; None = not at all."""
        tools = self._session.setup.tools or []
        functions = (f for tool in tools for f in tool.function_declarations or [])
        return next((f for f in functions if f.name == name), None)

    def _behavior(self, name: str) -> Behavior:
        """Return whether the model waits for a function."""
        function = self.declared(name)
        told_ = function.behavior if function else None
        if told_ is None or told_ is Behavior.UNSPECIFIED:
            return self._session.model.default_behavior
        return told_

    def take(self, message: ToolResponse) -> None:
        """Take what functions returned."""
        if not message.function_responses:
            rule = "holds no response"
            self._session.note(
                "tool_response", [Finding(path="tool_response", rule=rule, code=1007)]
            )
        for at, response in enumerate(message.function_responses or []):
            self._take_response(response, f"tool_response.function_responses[{at}]")

    def _take_response(self, response: FunctionResponse, here: str) -> None:
        given = msgspec.json.encode(response.response or {}).decode()
        self._session.link.record.results.append((response.id or "", given))
        if response.id in self._session.conversation.lost:
            self._session.conversation.lost -= {response.id or ""}
            if "error" not in (response.response or {}):
                self._session.link.violate(
                    "tool_response", here, "a lost call is answered by an error"
                )
            return
        if response.id in self._cancelled:
            self._session.link.violate(
                "tool_response", f"{here}.id", "was cancelled: is not answered"
            )
            return
        if self._session.options.unnumbered:
            named = (id_ for id_, call in self.open.items() if call.name == response.name)
            if response.id:
                rule = "the call had no id: neither has its response"
                self._session.link.violate("tool_response", f"{here}.id", rule)
            response = msgspec.structs.replace(response, id=next(named, None))
        call = self.open.get(response.id or "")
        name = call.name if call else None
        checks = gemini_rules.check_response(response, name, self._session.model, here)
        if not self._session.note("tool_response", checks) or call is None:
            return
        if not response.will_continue:
            del self.open[response.id or ""]
        self._use(call, response)

    def _use(self, call: OpenCall, response: FunctionResponse) -> None:
        """Let the model use what a function returned."""
        given = response.response or {}
        shown = given.get("output", given.get("error", given))
        said = shown if isinstance(shown, str) else msgspec.json.encode(shown).decode()
        words = f"{call.name} says {said}" if response.name else "a system error occurred"
        self._session.conversation.add("user", words)
        if not self.open:
            self._session.tell_handle()
        if call.behavior is Behavior.BLOCKING:
            call.exchange.take_result(words)
            return
        match response.scheduling:
            case Scheduling.SILENT:
                return
            case Scheduling.INTERRUPT:
                self._session.interrupt()
        if not response.will_continue:
            self._session.begin(Returned(words))
