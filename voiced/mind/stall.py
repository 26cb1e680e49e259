"""What follows when a service owes an answer and says nothing: a new leg, and at last an end."""

from __future__ import annotations

from voiced.mind import machine, watch
from voiced.mind.session import Trigger
from voiced.mind.state import AgentState

REFRESHES = 2
"""So many legs are given up for one turn; then the turn is."""


def stalled(s: AgentState) -> bool:
    """Act on a silence that has lasted too long; return whether there was one."""
    session, due = s.session, watch.deadline(s)
    if session is None or due is None or s.now.mono_ns < due:
        return False
    if watch.holds_no_words(s):
        s.watch.owed, s.waiting = None, False
        return True
    what = _what(s)
    if s.reply.running and s.transcript.turns.said_to_end(s.leg, s.reply.response):
        _count_as_answer(s)
    if s.watch.refreshed >= REFRESHES:
        s.error("provider", "stall", f"{what}; the turn is given up: say it again")
        _give_up(s)
        return True
    s.watch.refreshed += 1
    s.watch.again_until = s.hands.near_frame
    s.error("provider", "stall", f"{what}; a new connection is opened")
    machine.exchange(s, session, Trigger.STALLED, "lost", what)
    return True


def _what(s: AgentState) -> str:
    card = s.card
    name, limit = ("the service", 0.0) if card is None else (card.title, card.response_timeout_s)
    owed = s.watch.owed
    if s.reply.running or owed is None:
        return f"{name} broke off in the middle of a reply: nothing came for {limit:g} s"
    return f"{name} did not answer {owed.value} within {limit:g} s"


def _count_as_answer(s: AgentState) -> None:
    """All words of the running reply are final and it has sounded: only its end got lost."""
    s.emit(*s.transcript.response_done(s.leg, s.reply.response, "completed", s.now))
    s.reply.running, s.reply.status, s.reply.heard = False, "completed", True
    s.reply.speaking = False


def _give_up(s: AgentState) -> None:
    """Expect nothing more of this turn; the leg stays for the next one."""
    if s.reply.running:
        machine.interrupt(s)
        s.emit(*s.transcript.leg_lost(s.leg, s.reply.response, s.now))
        s.reply.running, s.reply.status, s.reply.heard = False, "failed", True
        s.reply.speaking = False
    s.emit(*s.transcript.give_up(s.now))
    s.watch.owed, s.watch.refreshed, s.waiting = None, 0, False
    s.watch.again_until = -1
