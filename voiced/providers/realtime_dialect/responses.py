"""The one place that a running reply takes, and who waits for it.

A service answers one thing at a time. The place is taken from the moment `response.create` is sent,
not from `response.created` on; what wants an answer meanwhile waits, and is answered by one
`response.create` when the place is free. Whether a reply that the service begins by itself covers
what waits is told by the order of its events: an item that it has acknowledged before
`response.created` is part of what that reply answers.

No clock, no socket: client events go to `send`, in order.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import msgspec
from msgspec import UNSET, UnsetType

from voiced.providers.realtime_dialect.client import (
    ClientEvent,
    ResponseCancel,
    ResponseCreate,
    ResponseParameters,
)

REQUEST = "rc"
"""How the names of our requests begin."""
TOKEN = "voiced"
"""Key in a reply's metadata that holds which of our requests it answers."""
CLOSED_KEPT = 64
"""Replies whose stragglers are known."""
RESULT, LATE = "out", "late"
"""How the names of items begin that bring a tool's result: the call's own, and one in words."""
UNKNOWN = "?"
"""Stands for a reply of which only the service knows."""


@dataclass
class _Want:
    acked: bool = False
    request: str = ""
    """The request that will answer it; "" = none was sent yet."""


class Responses:
    """The slot of replies.

    Args:
        send: takes client events.
        incomplete: whether results are missing without which nothing can be answered.
        forced: whether the session makes every reply call a tool.

    Attributes:
        active: the reply that runs; "" = none.
        requested: token of the `response.create` that was sent and not taken up yet; "" = none.
    """

    def __init__(
        self,
        send: Callable[[ClientEvent], None],
        incomplete: Callable[[], bool] = lambda: False,
        forced: Callable[[], bool] = lambda: False,
    ) -> None:
        self.active = ""
        self.requested = ""
        self._send, self._incomplete, self._forced = send, incomplete, forced
        self._wants: dict[str, _Want] = {}
        self._says: deque[ResponseParameters | ClientEvent] = deque()
        self._said: dict[str, ResponseParameters | ClientEvent] = {}
        """Word for word requests that were sent, by token."""
        self._holds: set[str] = set()
        self._cancelled: set[str] = set()
        """Tokens to be cancelled as soon as their replies have names."""
        self._stopped: set[str] = set()
        """Replies that a cancel was sent for."""
        self._closed: deque[str] = deque(maxlen=CLOSED_KEPT)
        self._muted: set[str] = set()
        self._count = 0
        self._collisions = 0
        self._losses = 0

    # --- what wants an answer

    @property
    def busy(self) -> bool:
        """Whether a reply runs or was asked for."""
        return bool(self.active or self.requested)

    @property
    def owed(self) -> bool:
        """Whether something waits for an answer that was not asked for yet."""
        return bool(self._says) or any(not want.request for want in self._wants.values())

    def waiting(self, kind: str) -> int:
        """Return how many items whose names begin with `kind_` wait for a reply."""
        return sum(item.startswith(f"{kind}_") for item in self._wants)

    def want(self, item: str, *, acked: bool = False) -> None:
        """Have the item answered, as soon as that can be.

        Args:
            item: its name; a turn of the microphone has any name of the caller's.
            acked: the service has it already.
        """
        self._wants[item] = _Want(acked=acked)
        self.go()

    def want_said(self, said: ResponseParameters | ClientEvent) -> None:
        """Have one particular reply, as soon as that can be; an event asks for it by itself."""
        self._says.append(said)
        self.go()

    def ack(self, item: str) -> None:
        """The service has the item."""
        if item in self._wants:
            self._wants[item].acked = True

    def waits(self, item: str) -> bool:
        """Whether the item wants an answer that was not asked for yet."""
        return item in self._wants and not self._wants[item].request

    def drop(self, item: str) -> None:
        """The item wants no answer any more: the service has refused it."""
        self._wants.pop(item, None)

    def hold(self, why: str) -> None:
        """Ask for nothing until `release(why)`: the user is speaking, or a limit is reached."""
        self._holds.add(why)

    def release(self, why: str) -> None:
        """Stop holding for this reason."""
        self._holds.discard(why)
        self.go()

    def go(self) -> None:
        """Ask for a reply if one is wanted and the place is free."""
        if self.busy or self._holds:
            return
        if self._says:
            self._request(self._says.popleft())
        elif any(not w.request for w in self._wants.values()) and not self._incomplete():
            self._request(None)

    def _request(self, said: ResponseParameters | ClientEvent | None) -> None:
        self._count += 1
        token = f"{REQUEST}_{self._count}"
        if isinstance(said, ClientEvent):
            self._said[token] = said
            self.requested = token
            self._send(msgspec.structs.replace(said, event_id=token))
            return
        metadata = {TOKEN: token}
        if said is None:
            parameters = ResponseParameters(metadata=metadata, tool_choice=self._choice())
            for want in self._wants.values():
                want.request = want.request or token
        else:
            self._said[token] = said
            parameters = ResponseParameters(
                instructions=said.instructions,
                input=said.input,
                tool_choice=said.tool_choice,
                metadata=metadata,
            )
        self.requested = token
        self._send(ResponseCreate(event_id=token, response=parameters))

    def _choice(self) -> str | UnsetType:
        """Return whether the reply is free to speak where the session's would have to call.

        A reply to results alone that had to call again would bring the next result, without end
        and without a word.
        """
        owed = (item for item, want in self._wants.items() if not want.request)
        free = self._forced() and all(item.split("_")[0] in (RESULT, LATE) for item in owed)
        return "auto" if free else UNSET

    # --- what the service says of replies

    def is_over(self, response: str) -> bool:
        """Whether what comes of this reply is a straggler, or was never to be heard."""
        return response in self._muted or response in self._closed

    def created(self, response: str, token: str = "") -> bool:
        """A reply has begun; return whether it is to be heard."""
        ours = token != "" and token == self.requested
        self.active = response
        if ours:
            self.requested = ""
            self._collisions = self._losses = 0
        self._said.pop(token, None)
        for item, want in list(self._wants.items()):
            if (want.acked and not ours) or (token and want.request == token):
                del self._wants[item]
        if token and token in self._cancelled:
            self._cancelled.discard(token)
            self._muted.add(response)
            self._cancel(response)
            return False
        return True

    def done(self, response: str, *, waits: bool = False, token: str = "") -> None:
        """A reply is over, by its own end or because the service forgot it.

        Args:
            response: which.
            waits: another reply follows without our doing, as where the user spoke into this one:
                it covers what is owed.
            token: of its metadata, for a reply whose beginning was never told.
        """
        if response and response not in self._closed:
            self._closed.append(response)
        self._muted.discard(response)
        self._stopped.discard(response)
        if token and token == self.requested:
            self.created(response, token)
        if self.active in (response, UNKNOWN):
            self.active = ""
        if not waits:
            self.go()

    def is_done(self, response: str) -> bool:
        """Whether the end of this reply was told already."""
        return response in self._closed

    def is_muted(self, response: str) -> bool:
        """Whether this reply is not to be heard: it was stopped before it began."""
        return response in self._muted

    def collided(self, token: str) -> None:
        """Our request met a reply that runs: ask again when that one is done."""
        self._restore(token)
        if self.active:
            return
        # The reply that it met is over already as far as we have heard, or will never be told.
        self._collisions += 1
        if self._collisions > 1:
            self.active = UNKNOWN
        self.go()

    def lost(self, token: str) -> None:
        """Our request was neither taken up nor refused in all this time: it is made once more."""
        if token != self.requested:
            return
        if self.active:
            # Another reply took the place: what was asked for is asked for behind it.
            self._restore(token)
            return
        self._losses += 1
        if self._losses > 1 or isinstance(self._said.get(token), ClientEvent):
            self._losses = 0
            self.refused(token)
        else:
            self.postponed(token)

    def refused(self, token: str) -> None:
        """Our request was refused for good: what it was for stays unanswered."""
        self._said.pop(token, None)
        self._cancelled.discard(token)
        if token == self.requested:
            self.requested = ""
        for item in [i for i, want in self._wants.items() if want.request == token]:
            del self._wants[item]
        self.go()

    def postponed(self, token: str) -> None:
        """Our request was refused for now: it waits again."""
        self._restore(token)
        self.go()

    def _restore(self, token: str) -> None:
        if token == self.requested:
            self.requested = ""
        said = self._said.pop(token, None)
        if token in self._cancelled:
            self._cancelled.discard(token)
            for item in [i for i, want in self._wants.items() if want.request == token]:
                del self._wants[item]
            return
        if said is not None:
            self._says.appendleft(said)
        for want in self._wants.values():
            if want.request == token:
                want.request = ""

    # --- stopping

    def cancel(self) -> str:
        """Stop the reply that runs, or that was asked for; return the running one's name."""
        self._says.clear()
        if self.active and self.active != UNKNOWN:
            self._cancel(self.active)
        elif self.requested:
            # A cancel now would find nothing to stop, and the reply would come all the same.
            self._cancelled.add(self.requested)
        return self.active

    def _cancel(self, response: str) -> None:
        if response not in self._stopped:
            self._stopped.add(response)
            self._send(ResponseCancel(event_id=f"cancel_{response}"[:32], response_id=response))

    def was_stopped(self, response: str) -> bool:
        """Whether a cancel was sent for this reply and its end has not come."""
        return response in self._stopped
