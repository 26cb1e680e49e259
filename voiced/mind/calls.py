"""The records of tool calls: those that wait or run, and results that no leg has taken yet."""

from __future__ import annotations

from enum import Enum

import msgspec

from voiced.messages.network import ToolDeclaration
from voiced.mind.inputs import Tool
from voiced.mind.rate import Rate


class CallState(Enum):
    """Where a call is."""

    WAITING = "waiting"
    """For the operator's approval."""
    RUNNING = "running"
    """At its executor."""
    HELD = "held"
    """Refused, but not told so yet: the model had called too often."""


class Call(msgspec.Struct, kw_only=True):
    """One call of the model that has no result yet."""

    call_id: str
    """The service's name for it."""
    leg: int
    """The leg that waits for the result."""
    asked_as: str
    """The name its executor knows it by: that of the leg which called first."""
    name: str
    tool: Tool
    blocking: bool
    """The model waits for the result before it goes on."""
    arguments: str
    """JSON object, names in order: equal calls have equal text."""
    values: tuple[int | float | str, ...]
    since: int
    """When it was asked for, or when its executor last said anything, ns."""
    state: CallState = CallState.WAITING
    held_until: int = 0
    """When one that is held is told that it is refused, ns."""


class Finished(msgspec.Struct, kw_only=True):
    """A result whose leg is over."""

    ok: bool
    result: str
    note: str
    """The same in words, for the next leg."""
    until: int
    """It answers the same call made again until then, ns."""
    told: bool
    """The next leg has been told the note."""


class Over(msgspec.Struct, frozen=True, kw_only=True):
    """A call that has its result."""

    leg: int
    why: str


class Calls:
    """Everything about one session's calls."""

    def __init__(self) -> None:
        self.pending: dict[str, Call] = {}
        """By `asked_as`."""
        self.finished: dict[tuple[str, str], Finished] = {}
        """By name and arguments."""
        self.over: dict[str, Over] = {}
        """The last ones, by call id."""
        self.rate = Rate()
        self.declared: list[ToolDeclaration] = []
        """What the present leg was told of."""

    def begin(self) -> None:
        """A session begins."""
        self.pending.clear()
        self.finished.clear()
        self.over.clear()
        self.rate.begin()

    def known(self, leg: int, call_id: str) -> bool:
        """Whether this leg has made this call already."""
        over = self.over.get(call_id)
        return (over is not None and over.leg == leg) or self.of(leg, call_id) is not None

    def of(self, leg: int, call_id: str) -> Call | None:
        """Return the call that a leg waits for."""
        for call in self.pending.values():
            if (call.leg, call.call_id) == (leg, call_id):
                return call
        return None

    def hold(self, leg: int) -> bool:
        """Whether a leg's model waits for a result before it goes on."""
        return any(call.blocking and call.leg == leg for call in self.pending.values())

    def any_of(self, leg: int) -> bool:
        """Whether a call of a leg has no result yet."""
        return any(call.leg == leg for call in self.pending.values())

    def in_state(self, state: CallState) -> list[Call]:
        """Return the calls in a state, oldest first."""
        return [call for call in self.pending.values() if call.state is state]
