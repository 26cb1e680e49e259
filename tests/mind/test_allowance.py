"""The budgets over all agents, as one agent meets them."""

from __future__ import annotations

import math

from voiced.messages import network as wire
from voiced.mind import inputs

from .hand import Hand

SPENT = "budget.day (5 USD) is spent: it begins anew at 04:00"


def allow(hand: Hand, usd: float) -> None:
    hand.give(inputs.SetAllowance(left_usd=usd, sentence=SPENT))


def meter(hand: Hand, received_s: float) -> None:
    hand.leg_event(
        wire.Meter, seconds_sent=0.0, seconds_received=received_s, connected_s=1.0,
        response_running=True, rx_age_s=0.0,
    )  # fmt: skip


def test_no_session_begins_when_the_day_is_spent():
    hand = Hand().start()
    allow(hand, 0.0)
    hand.press("Connect")
    assert hand.dialled == []
    assert hand.state == "disconnected"
    assert hand.callbacks("onError") == [("budget", "exceeded", SPENT)]
    assert hand.told["par", "Active"] is False
    allow(hand, 1.0)
    hand.press("Connect")
    assert len(hand.dialled) == 1


def test_what_is_pending_here_counts_at_once():
    hand = Hand().start().connected()
    allow(hand, 0.5)
    meter(hand, 49.0)
    assert hand.state == "active", "49 s at 0.6 USD a minute"
    assert abs(hand.agent.signals(hand.instant)["budget_left"] - 0.01) < 1e-9
    meter(hand, 51.0)
    assert hand.state == "ending"
    assert ("budget", "exceeded", SPENT) in hand.callbacks("onError")


def test_what_others_spend_ends_this_session_too():
    hand = Hand().start().connected()
    allow(hand, -0.01)
    assert hand.state == "ending"
    hand.closed(asked=True)
    assert hand.callbacks("onSessionEnd")[-1][1] == "budget"


def test_without_a_budget_the_signal_says_so():
    hand = Hand().start()
    allow(hand, math.inf)
    assert hand.agent.signals(hand.instant)["budget_left"] == -1.0


def test_resetcostmeter_brings_no_money():
    hand = Hand().start().connected()
    allow(hand, 0.5)
    meter(hand, 49.0)
    hand.press("Resetcostmeter")
    assert hand.agent.signals(hand.instant)["budget_left"] < 0.011
