"""The end of a session whose money is spent, or does not pay for what is asked next."""

from __future__ import annotations

import math

from voiced.messages.network import SendText
from voiced.mind import machine, watch
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


def holds_text(s: AgentState) -> bool:
    """Return whether typed text waits here for the account of the reply before it.

    A service that answers it behind the running reply would begin in the very moment that one ends,
    before anybody has seen what it cost.
    """
    if s.card is None or not s.card.text_waits or math.isinf(s.budget_left):
        return False
    return s.reply.running or bool(s.transcript.turns.waiting_texts())


def send_held(s: AgentState) -> bool:
    """Send the first typed text that waited for an account, if it is there and leaves enough."""
    if s.lifecycle is not Lifecycle.OPEN or s.session is None or s.session.closing:
        return False
    if s.card is None or not s.card.text_waits or holds_text(s):
        return False
    texts = s.transcript.take_unsent(s.leg, 1)  # Of several sent now, the next one would queue.
    if texts and pays_for_text(s):
        s.send(SendText(agent=s.name, leg=s.leg, text=texts[0].text))
        watch.text_sent(s)
        s.waiting = True
    return bool(texts)


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
