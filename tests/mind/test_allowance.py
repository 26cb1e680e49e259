"""The budgets over all agents, as one agent meets them."""

from __future__ import annotations

import math

from voiced.messages import network as wire
from voiced.mind import inputs

from .hand import Hand, card

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


def test_a_text_that_the_budget_does_not_pay_for_is_not_sent():
    hand = Hand().start().connected()
    hand.write("Costbudget", 0.1)
    hand.leg_event(wire.ResponseStarted, response="r1")
    hand.leg_event(wire.Usage, response="r1", usd=0.05, again_usd=0.03)
    sounding = {"seconds_sent": 0.0, "seconds_received": 0.0, "connected_s": 1.0, "rx_age_s": 0.0}
    hand.leg_event(wire.Meter, response_running=False, buffered_s=9.0, **sounding)
    hand.press("Sendtext", "one")
    assert [text.text for text in hand.sent_of(wire.SendText)] == ["one"], "0.08 of 0.1"
    hand.press("Sendtext", "two")
    assert [text.text for text in hand.sent_of(wire.SendText)] == ["one"], "0.11 of 0.1"
    assert hand.state == "ending"
    assert "does not pay for another reply" in hand.callbacks("onError")[-1][2]
    assert [text for role, text in hand.words() if role == "user"] == ["one", "two"], (
        "nothing typed is lost"
    )


def test_text_typed_into_a_reply_waits_for_its_account():
    hand = Hand(card(text_waits=True)).start().connected()
    hand.write("Costbudget", 0.1)
    hand.press("Sendtext", "one")
    hand.press("Sendtext", "two")
    assert sent(hand) == ["one"], "nobody knows yet what it costs"
    hand.leg_event(wire.ResponseStarted, response="r1", texts=1)
    hand.press("Sendtext", "three")
    hand.leg_event(wire.Usage, response="r1", usd=0.01, again_usd=0.005)
    assert sent(hand) == ["one"]
    hand.leg_event(wire.ResponseDone, response="r1", status="completed")
    assert sent(hand) == ["one", "two"], "the third would queue behind the second"
    hand.press("Sendtext", "four")
    hand.leg_event(wire.ResponseStarted, response="r2", texts=2)
    hand.leg_event(wire.Usage, response="r2", usd=0.08, again_usd=0.02)
    hand.leg_event(wire.ResponseDone, response="r2", status="completed")
    assert sent(hand) == ["one", "two"], "0.11 of 0.1"
    assert hand.state == "ending"
    assert "does not pay for another reply" in hand.callbacks("onError")[-1][2]
    assert [text for role, text in hand.words() if role == "user"] == [
        "one", "two", "three", "four",
    ]  # fmt: skip


def test_without_a_budget_text_waits_for_nothing():
    hand = Hand(card(text_waits=True)).start().connected()
    hand.leg_event(wire.ResponseStarted, response="r1")
    hand.press("Sendtext", "one")
    hand.press("Sendtext", "two")
    assert sent(hand) == ["one", "two"]


def test_text_that_waits_for_an_account_outlives_its_connection():
    hand = Hand(card(text_waits=True)).start().connected()
    hand.write("Costbudget", 0.1)
    hand.leg_event(wire.ResponseStarted, response="r1")
    hand.press("Sendtext", "one")
    hand.closed()
    hand.opened()
    assert sent(hand) == ["one"]


def sent(hand: Hand) -> list[str]:
    return [text.text for text in hand.sent_of(wire.SendText)]


def test_what_does_not_pay_for_another_reply_is_not_spent_on_half_of_one():
    hand = Hand().start().connected()
    hand.write("Costbudget", 0.1)
    hand.leg_event(wire.ResponseStarted, response="r1")
    hand.leg_event(wire.Usage, response="r1", usd=0.04, again_usd=0.03)
    meter(hand, 0.0)
    assert abs(hand.agent.signals(hand.instant)["budget_left"] - 0.03) < 1e-9, "it runs: 0.03 more"
    hand.leg_event(wire.Usage, response="r1", usd=0.03, again_usd=0.04)
    sounding = {"seconds_sent": 0.0, "seconds_received": 0.0, "connected_s": 1.0, "rx_age_s": 0.0}
    hand.leg_event(wire.Meter, response_running=False, buffered_s=2.0, **sounding)
    assert hand.state == "active", "what is paid for is heard"
    hand.leg_event(wire.Meter, response_running=False, **sounding)
    assert hand.state == "ending"
    assert "does not pay for another reply" in hand.callbacks("onError")[-1][2]
    hand.closed(asked=True)
    assert abs(hand.callbacks("onSessionEnd")[-1][3] - 0.07) < 1e-9, "what was held back is no cost"


def test_what_a_first_reply_reads_counts_though_no_account_of_it_ever_comes():
    told = wire.Price(output_usd_min=0.6, told_usd_million=4.0)
    hand = Hand(card(pricing={"small": told}), values={("par", "Systemprompt"): "Be kind. " * 2000})
    hand.start().connected()
    hand.leg_event(wire.ResponseStarted, response="r1")
    hand.leg_event(
        wire.Meter, response_running=True, seconds_sent=0.0, seconds_received=0.0,
        connected_s=1.0, rx_age_s=0.0,
    )  # fmt: skip
    hand.press("Disconnect")
    hand.closed(asked=True)
    # 18,000 letters are about 4,500 tokens at 4 USD a million; the built-in tool is told too.
    assert 0.018 <= hand.callbacks("onSessionEnd")[-1][3] < 0.02
