"""The watch over a service that owes an answer: a link may live while nobody speaks at its end.

Theory of operation: the service owes something from the moment on that a turn is its own (a spoken
turn ended, a typed text or a tool's result was sent, a new leg was asked to answer), until it
begins a reply. A reply that has begun owes its end. Neither clock runs while it is somebody else's
move: the visitor speaks, a tool runs, the voice still sounds. What happens when it has run out is
in `stall`.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

import msgspec

from voiced.messages.network import Meter, ProviderCard
from voiced.mind.session import SECOND, Lifecycle

if TYPE_CHECKING:
    from voiced.mind.state import AgentState

QUIET_NS = SECOND // 2
"""What a service says so soon after a turn's end says nothing about the turn."""


class Owed(Enum):
    """What the service has been given, and not answered."""

    TURN = "the visitor's turn"
    TEXT = "the typed text"
    RESULT = "the tool's result"


class Watch(msgspec.Struct, kw_only=True):
    """What the service owes, since when, and what it last did."""

    owed: Owed | None = None
    since: int = 0
    """When that was given to it, ns."""
    words: bool = False
    """The visitor's last turn is known to hold words."""
    received: int = 0
    """When the service last said anything, ns."""
    moved: int = 0
    """When the running reply last grew, or last sounded, ns."""
    metered: int = 0
    """When the figures of the leg last came, ns."""
    seconds: float = 0.0
    """Audio received on this leg."""
    buffered: float = 0.0
    """Audio that waits to sound: what stays the same is stuck, not sounding."""
    refreshed: int = 0
    """How many legs were given up for the present turn."""
    again_until: int = -1
    """A turn that ends before this near frame is the one of the leg that was given up."""


def deadline(s: AgentState) -> int | None:
    """Return when the service will have been silent for too long; None while it owes nothing."""
    limit = _limit(s.card)
    busy = s.user_speaking or s.paused or waits_for_tool(s)
    if s.lifecycle is not Lifecycle.OPEN or s.session is None or s.session.closing:
        return None
    if limit == 0 or busy:
        return None
    w = s.watch
    if s.reply.running:
        due = limit + max(w.moved, w.since if w.owed is not None else 0)
        # Sound that comes is told by the meter alone: what it has not looked at is not silence.
        return due if due <= w.metered else None
    return None if w.owed is None else w.since + limit


def waits_for_tool(s: AgentState) -> bool:
    """Whether nothing is to come before a tool has answered, or may not be."""
    return s.tool_holds or (s.reply.running and s.reply.called and s.calls.any_of(s.leg))


def _limit(card: ProviderCard | None) -> int:
    return 0 if card is None else int(card.response_timeout_s * SECOND)


def holds_no_words(s: AgentState) -> bool:
    """Whether what is owed is a turn that the service has probably judged to be no speech.

    It transcribes, has brought no word of this turn, and has said other things since.
    """
    w = s.watch
    return (
        w.owed is Owed.TURN
        and not s.reply.running
        and not w.words
        and s.parameters.flag("Enableusertranscription")
        and w.received > w.since + QUIET_NS
    )


# --- what starts the clock


def turn_ended(s: AgentState, frame: int) -> None:
    """A spoken turn is the service's now."""
    w = s.watch
    w.moved = s.now.mono_ns
    if frame > w.again_until:
        w.refreshed = 0
    card = s.card
    if card is not None and (card.answers_every_turn or s.mode == "push_to_talk"):
        _owe(s, Owed.TURN)


def text_sent(s: AgentState, *, again: bool = False) -> None:
    """A typed text was sent, or `again` to another leg."""
    if not again:
        s.watch.refreshed = 0
    _owe(s, Owed.TEXT)


def result_sent(s: AgentState) -> None:
    """The last result that the model waits for was sent."""
    _owe(s, Owed.RESULT)


def asked_again(s: AgentState) -> None:
    """A new leg was asked to answer what the last one left unanswered."""
    s.watch.words = True
    _owe(s, Owed.TURN)


def _owe(s: AgentState, owed: Owed) -> None:
    s.watch.owed, s.watch.since = owed, s.now.mono_ns


# --- what stops it


def turn_began(s: AgentState) -> None:
    """The visitor speaks: whatever was owed, the turn that follows counts."""
    s.watch.owed, s.watch.words = None, False


def turn_dropped(s: AgentState) -> None:
    """The spoken turn held no words."""
    if s.watch.owed is Owed.TURN:
        s.watch.owed = None


def reply_began(s: AgentState) -> None:
    """A reply is an answer to everything so far, but for text that has one of its own to come."""
    s.watch.moved = s.now.mono_ns
    s.watch.owed = None
    if s.transcript.turns.waiting_texts():
        _owe(s, Owed.TEXT)


def reply_moved(s: AgentState) -> None:
    """The running reply has more words; one that goes on after a tool's result has taken it."""
    s.watch.moved = s.now.mono_ns
    if s.watch.owed is Owed.RESULT:
        s.watch.owed, s.reply.calls = None, False


def reply_done(s: AgentState, status: str, words: bool) -> None:
    """The reply has ended."""
    completed = status == "completed"
    if completed:
        s.watch.refreshed = 0
    if s.watch.owed is Owed.RESULT and (words or not completed):
        # Some services go on, or not, in the reply that called; none goes on after a cut one.
        s.watch.owed = None
    # What waited for this reply's end has its whole time from here on.
    s.watch.since = s.now.mono_ns


def paused(s: AgentState) -> None:
    """Something that the service waited for is over: it has its whole time again."""
    s.watch.moved = s.now.mono_ns


def metered(s: AgentState, event: Meter) -> None:
    """Take the figures of the leg."""
    w = s.watch
    w.metered = s.now.mono_ns
    w.received = max(w.received, s.now.mono_ns - int(event.rx_age_s * SECOND))
    if (event.seconds_received, event.buffered_s) != (w.seconds, w.buffered):
        w.moved = s.now.mono_ns
    w.seconds, w.buffered = event.seconds_received, event.buffered_s


def leg_over(s: AgentState) -> None:
    """Nothing more is to be expected of this leg."""
    s.watch.owed, s.watch.seconds = None, 0.0
