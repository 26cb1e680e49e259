"""Tool calls: parallel ones answered together, cancelled ones not left hanging.

The service takes results only when the reply that called is over; the call may be carried out
earlier. When all calls of a reply are answered, one more reply is wanted.
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

CANCELLED = "CANCELLED"
"""Result of a call that the user did not wait for."""
STARTED = '{"status":"started"}'
"""Result of a call that the model need not wait for; the real one follows as a message."""
KEPT = 256


@dataclass
class Call:
    """One call of the model."""

    id: str
    name: str
    response: str
    waits: bool = True
    """The model waits for the result."""
    output: str | None = None
    sent: bool = False
    later: str = ""
    """The result of a call that is not waited for, where it came before the answer could go."""


class Calls:
    """The calls of one connection."""

    def __init__(self) -> None:
        self._calls: dict[str, Call] = {}
        self._over: dict[str, bool] = {}
        """Replies that are over -> whether they were interrupted."""

    def begin(self, call: Call) -> bool:
        """Take a call; return False for one that was taken already."""
        if call.id in self._calls:
            return False
        self._calls[call.id] = call
        while len(self._calls) > KEPT:
            del self._calls[next(iter(self._calls))]
        return True

    def find(self, call_id: str) -> Call | None:
        """Return a call; None = not one of this connection."""
        return self._calls.get(call_id)

    def is_over(self, response: str) -> bool:
        """Whether results for the calls of this reply may be sent."""
        return response in self._over

    def over(self, response: str, *, interrupted: bool) -> list[Call]:
        """The reply is over; return its calls whose results nobody waits for any more."""
        self._over[response] = interrupted
        while len(self._over) > KEPT:
            del self._over[next(iter(self._over))]
        if not interrupted:
            return []
        gone = [c for c in self._of(response) if c.output is None]
        for call in gone:
            call.output = CANCELLED
        return gone

    @property
    def open(self) -> bool:
        """Whether a result is missing."""
        return bool(self._unanswered())

    @property
    def waited_for(self) -> bool:
        """Whether the model waits for results of a reply that is over."""
        return any(call.response in self._over for call in self._unanswered())

    def give_up(self) -> list[Call]:
        """Answer the calls that the model waits for, since the user does not; return them."""
        gone = self._unanswered()
        for call in gone:
            call.output = CANCELLED
            if call.response in self._over:
                self._over[call.response] = True
        return gone

    def _unanswered(self) -> list[Call]:
        ours = (call for call in self._calls.values() if call.response)
        return [call for call in ours if call.output is None]

    def ready(self, response: str) -> tuple[list[Call], bool]:
        """Return the results to be sent now, and whether the model is to go on after them."""
        if response not in self._over:
            return [], False
        calls = self._of(response)
        ready = [call for call in calls if call.output is not None and not call.sent]
        for call in ready:
            call.sent = True
        complete = bool(ready) and all(call.sent for call in calls)
        return ready, complete and not self._over[response]

    def _of(self, response: str) -> list[Call]:
        return [call for call in self._calls.values() if call.response == response]


def result_text(ok: bool, result: str) -> str:
    """Return a tool's result as the model reads it."""
    return result if ok else msgspec.json.encode({"error": result}).decode()


def is_object(arguments: str) -> bool:
    """Whether arguments are a JSON object, as every tool wants."""
    try:
        msgspec.json.decode(arguments or "{}", type=dict[str, object])
    except (msgspec.DecodeError, RecursionError):
        return False
    return True


def as_json(text: str) -> str:
    """Return what is no JSON as JSON text: as a string."""
    return msgspec.json.encode(text).decode()
