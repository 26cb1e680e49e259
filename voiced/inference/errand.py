"""Tool calls carried out within a reply: begun at once, waited for, and told in words."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from functools import partial
from typing import Final, Protocol

import msgspec

from voiced.inference.intent import Call
from voiced.inference.phrases import Speaker, speakable
from voiced.messages.inference import Declaration

END_CONVERSATION: Final = "end_conversation"
_SHORT_S: Final = 2.5
"""A result that comes so soon is waited for in silence."""
_LONG_S: Final = 12.0
"""Afterwards the reply ends without it: it waits for an approval, or is still at work."""


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a call."""

    ok: bool
    text: str


class Begun(msgspec.Struct, frozen=True, kw_only=True):
    """A call under way."""

    call_id: str
    result: asyncio.Future[Result]


class Toolbox(Protocol):
    """The tools of a conversation; arguments are JSON."""

    tools: tuple[Declaration, ...]

    async def call(self, name: str, arguments: str) -> str:
        """Call a tool and return what the model is told of it."""

    def tell(self, name: str, arguments: str) -> str:
        """Call a tool without waiting for what comes of it; return the call's id."""

    def begin(self, name: str, arguments: str) -> Begun:
        """Call a tool; its result comes by the future."""

    def drop(self, call_id: str) -> None:
        """Take a call back whose result has not come."""

    def announce(self, text: str) -> None:
        """Say something as soon as nobody speaks."""


async def carry_out(
    calls: Sequence[Call], toolbox: Toolbox, speaker: Speaker
) -> AsyncGenerator[str, None]:
    """Make the calls, and yield what is said about what came of them.

    Whoever ends this early takes back the calls that are not answered. A tool that is not to be
    waited for, or that takes very long, is answered to the visitor when its result comes.
    """
    blocking = {tool.name: tool.blocking for tool in toolbox.tools}
    ending = [call for call in calls if call.name == END_CONVERSATION]
    begun = [
        (call, toolbox.begin(call.name, json_of(call))) for call in calls if call not in ending
    ]
    late: set[str] = set()
    said: set[str] = set()
    between = ""
    try:
        for call, under_way in begun:
            if not await _within(under_way, _SHORT_S):
                if "working" not in said:
                    said.add("working")
                    between = ""
                    yield speaker.say("working") + " "  # a space, so that it is spoken at once
                if not blocking.get(call.name, True) or not await _within(under_way, _LONG_S):
                    late.add(under_way.call_id)
                    under_way.result.add_done_callback(partial(_announce, toolbox, speaker))
                    continue
            result = under_way.result.result()
            bare = f"{result.ok} {speakable(result.text)}"
            if bare not in said:
                said.add(bare)
                yield between + speaker.outcome(result.ok, result.text)
                between = " "
    finally:
        for _, under_way in begun:
            if not under_way.result.done() and under_way.call_id not in late:
                toolbox.drop(under_way.call_id)
    for call in ending[:1]:
        yield between + speaker.say("goodbye")
        toolbox.tell(call.name, json_of(call))


def json_of(call: Call) -> str:
    """Return a call's arguments as JSON."""
    return msgspec.json.encode(call.arguments).decode()


async def _within(under_way: Begun, seconds: float) -> bool:
    await asyncio.wait({under_way.result}, timeout=seconds)
    return under_way.result.done()


def _announce(toolbox: Toolbox, speaker: Speaker, result: asyncio.Future[Result]) -> None:
    if not result.cancelled():
        toolbox.announce(speaker.outcome(result.result().ok, result.result().text))
