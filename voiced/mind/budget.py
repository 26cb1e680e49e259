"""The end of a session whose money is spent, or does not pay for what is asked next."""

from __future__ import annotations

from voiced.mind import machine
from voiced.mind.session import Lifecycle, Trigger
from voiced.mind.state import AgentState


def spent(s: AgentState) -> bool:
    """More is spent than Costbudget or the day's or month's budget: cut at once."""
    if s.lifecycle not in (Lifecycle.OPEN, Lifecycle.REFRESHING) or s.budget_left >= 0:
        return False
    own = s.parameters.number("Costbudget")
    sentence = s.allowance.sentence
    if 0 < own < s.cost.conversation:
        sentence = f"the conversation has cost more than Costbudget ({own:g} USD): it is ended"
    elif 0 < own < s.cost.conversation + s.cost.reserve:
        sentence = _too_little(own)
    _end(s, sentence)
    return True


def pays_for_text(s: AgentState) -> bool:
    """Return whether typed text may be sent that is answered at once; end the session otherwise.

    A voice that still sounds is paid for and is heard to its end; but each text has the service
    read the whole conversation again, those that wait for their reply too.
    """
    texts = len(s.transcript.turns.waiting_texts())
    if s.budget_left + s.cost.reserve >= texts * s.cost.again:
        return True
    own = s.parameters.number("Costbudget")
    short = 0 < own < s.cost.conversation + texts * s.cost.again
    _end(s, _too_little(own) if short else s.allowance.sentence)
    return False


def _too_little(budget: float) -> str:
    return (
        f"what is left of Costbudget ({budget:g} USD) does not pay for another reply: the "
        "conversation is ended"
    )


def _end(s: AgentState, sentence: str) -> None:
    s.wish(False)
    s.error("budget", "exceeded", sentence)
    s.emit(*s.transcript.add(s.leg, "error", "error", sentence, s.now, code="budget"))
    machine.end(s, Trigger.BUDGET_EXCEEDED, "budget", cut=True)
