"""How visitors speak: whose row it is told with, what it costs, whose trouble it is."""

from __future__ import annotations

import pytest

from voiced.messages import network as wire
from voiced.mind import effects
from voiced.mind.turns import SLACK_FRAMES

from .hand import Hand
from .test_cost import leg, meter, usage


def affects(hand: Hand, **fields: object) -> list[tuple]:  # type: ignore[type-arg]
    return hand.callbacks("onAffect", hand.leg_event(wire.Affect, scores="{}", **fields))


def test_a_service_that_names_the_turn_is_believed() -> None:
    hand = Hand().start().connected()
    hand.user("hello")
    hand.reply("good evening")
    user, assistant = hand.agent.rows[0].id, hand.agent.rows[1].id
    assert affects(hand, item="u1") == [(user, "{}")]
    assert affects(hand, item="r1i") == [(assistant, "{}")]
    assert affects(hand, item="u9", frame=1500) == [("", "{}")]


def test_one_that_only_listens_is_told_with_the_turn_around_it() -> None:
    hand = Hand().start().connected()
    far = 10 * SLACK_FRAMES
    hand.user("one", "u1", far, far + 1000)
    hand.reply("yes")
    hand.user("two", "u2", 3 * far, 3 * far + 1000)
    one, _, two = (row.id for row in hand.agent.rows)
    assert affects(hand, item="", frame=-1) == [("", "{}")]
    assert affects(hand, item="", frame=far - 2 * SLACK_FRAMES) == [("", "{}")]
    assert affects(hand, item="", frame=far - SLACK_FRAMES) == [(one, "{}")]
    assert affects(hand, item="", frame=far + 500) == [(one, "{}")]
    assert affects(hand, item="", frame=2 * far) == [("", "{}")]
    assert affects(hand, item="", frame=3 * far + 900) == [(two, "{}")]
    hand.leg_event(wire.SpeechStarted, frame=5 * far)
    assert affects(hand, item="", frame=5 * far + 100) == [("", "{}")], "no words, no row yet"
    hand.leg_event(wire.UserText, item="u3", text="three", start_frame=5 * far)
    assert affects(hand, item="", frame=9 * far) == [(hand.agent.rows[-1].id, "{}")]


@pytest.mark.parametrize("wallclock", [False, True])
def test_what_it_costs_is_no_account_of_the_talk(wallclock: bool) -> None:
    one = leg(wallclock=wallclock, input_usd_min=0.06)
    one.meter(meter(sent=10))
    pending = one.pending
    aside = wire.Usage(agent="a", leg=1, response="", usd=0.25, aside=True)
    booked = one.booked
    assert one.usage(aside) == 0.25
    assert (one.booked, one.pending) == (pytest.approx(booked + 0.25), pending)
    one.end()
    assert one.usage(aside) == 0.25
    if not wallclock:
        assert one.usage(usage(pending)) == 0


def test_its_trouble_is_its_own() -> None:
    hand = Hand().start().connected()
    out = hand.leg_event(
        wire.LegTrouble, source="affect", code="expression_no_key", sentence="no key"
    )
    assert hand.callbacks("onError", out) == [("affect", "expression_no_key", "no key")]
    assert hand.state == "active"


def test_a_leg_is_told_whether_and_how_often() -> None:
    hand = Hand(values={("par", "Affectendpoint"): "ws://127.0.0.1:9"}).start()
    hand.write("Affect", "hume")
    hand.write("Affectinterval", 5000)
    hand.connected()
    told = hand.dialled[-1].parameters
    assert (told["Affect"], told["Affectinterval"]) == ("hume", 5000)
    assert told["Affectendpoint"] == "ws://127.0.0.1:9"
    out = hand.write("Affect", "off")
    assert ("pending", "Affect") in hand.callbacks("onStatus", out)
    assert not [e for e in out if isinstance(e, effects.Send)]
