"""One agent from Connect to the end of its session."""

from __future__ import annotations

from voiced.messages import network as wire

from .hand import Hand


def test_a_session_from_connect_to_its_end() -> None:
    hand = Hand().start()
    assert hand.state == "disconnected"
    hand.press("Connect")
    assert hand.state == "connecting"
    assert hand.agent.value("par", "Active") is True
    assert not hand.gate
    hand.opened()
    assert hand.state == "active"
    assert hand.gate
    ((session_id, provider, model),) = hand.callbacks("onSessionStart")
    assert (provider, model) == ("local", "small")
    assert session_id.startswith("20261123_010203_local_small_")
    hand.user("what is the time")
    hand.reply("it is one")
    assert hand.words() == [("user", "what is the time"), ("assistant", "it is one")]
    hand.press("Disconnect")
    assert hand.state == "ending"
    assert not hand.gate
    hand.closed(asked=True)
    assert hand.state == "disconnected"
    ((ended_id, reason, trace, cost),) = hand.callbacks("onSessionEnd")
    assert (ended_id, reason) == (session_id, "disconnect")
    assert trace == f"{session_id}.json"
    assert cost == 0.0
    assert hand.agent.next_deadline() is None
    assert len(hand.sent_of(wire.CloseLeg)) == 1
