"""When words sounded, as the journal tells it, and what is asked of the recorder."""

from __future__ import annotations

import datetime

import pytest

from voiced.messages import network as wire
from voiced.mind import effects, inputs, journal

from .hand import WALL, Hand

RATE = 48_000


def at(hand: Hand, frame: int, seconds: float) -> None:
    """Let time pass; near stands at `frame` then."""
    hand.sleep(seconds)
    hand.give(inputs.NearAt(frame=frame))


def spoken(hand: Hand) -> list[journal.SpokenLine]:
    lines = [journal.decode(e.line) for e in hand.all if isinstance(e, effects.Journal)]
    return [line for line in lines if isinstance(line, journal.SpokenLine)]


def of(hand: Hand, *kinds: type[effects.Effect]) -> list[effects.Effect]:
    return [e for e in hand.all if isinstance(e, kinds)]


def unix(stamp: str) -> float:
    return datetime.datetime.fromisoformat(stamp).timestamp()


def recorded(what: str) -> Hand:
    hand = Hand().start()
    hand.write("Recording", what)
    hand.give(inputs.NearAt(frame=7 * RATE))
    return hand.connected()


def test_a_visitors_turn_is_told_by_its_frames_not_by_when_its_words_came() -> None:
    hand = Hand().start().connected()
    at(hand, 10 * RATE, 10.0)
    hand.user("hello", start=6 * RATE, end=8 * RATE)
    [line] = spoken(hand)
    now = WALL + hand.ns / 1e9 - 1000.0
    assert line.id == hand.agent.rows[0].id
    assert unix(line.began) == pytest.approx(now - 4, abs=0.002)
    assert unix(line.ended) == pytest.approx(now - 2, abs=0.002)


def test_words_that_are_final_before_the_end_is_told_wait_for_it() -> None:
    hand = Hand().start().connected()
    at(hand, 10 * RATE, 1.0)
    hand.leg_event(wire.SpeechStarted, frame=8 * RATE)
    hand.leg_event(wire.UserText, item="u", text="hello", final=True)
    assert spoken(hand) == []
    hand.leg_event(wire.SpeechEnded, frame=9 * RATE)
    assert len(spoken(hand)) == 1
    hand.leg_event(wire.SpeechEnded, frame=9 * RATE)
    assert len(spoken(hand)) == 1, "once"


def test_a_reply_lasts_from_its_first_sound_to_its_last() -> None:
    hand = Hand().start().connected()
    hand.leg_event(wire.ResponseStarted, response="r")
    at(hand, 20 * RATE, 1.0)
    hand.leg_event(wire.Playing, response="r", item="one")
    hand.leg_event(wire.AssistantText, response="r", item="one", text="good day", final=True)
    hand.leg_event(wire.AssistantText, response="r", item="two", text="sir", final=True)
    at(hand, 22 * RATE, 2.0)
    hand.leg_event(wire.Playing, response="r", item="two")
    hand.leg_event(wire.ResponseDone, response="r", status="completed")
    at(hand, 23 * RATE, 1.0)
    hand.leg_event(wire.ReplyHeard, response="r", latency_s=0.5)
    first, second = spoken(hand)
    assert [first.id, second.id] == [row.id for row in hand.agent.rows]
    assert unix(first.ended) - unix(first.began) == pytest.approx(2.0, abs=0.002)
    assert first.ended == second.began
    assert unix(second.ended) - unix(second.began) == pytest.approx(1.0, abs=0.002)


def test_a_reply_that_sounds_when_the_session_ends_ends_there() -> None:
    hand = Hand().start().connected()
    hand.reply("good day", heard=False)
    at(hand, 5 * RATE, 1.0)
    hand.press("Disconnect")
    hand.closed(asked=True)
    assert len(spoken(hand)) == 1


def test_nothing_is_recorded_unless_it_is_wanted() -> None:
    hand = Hand().start().connected()
    hand.user("hello")
    hand.reply("good day")
    hand.press("Disconnect")
    hand.closed(asked=True)
    assert of(hand, effects.Record, effects.RecordTurn, effects.RecordOver) == []


@pytest.mark.parametrize(("what", "turns"), [("session", 0), ("turns", 2), ("both", 2)])
def test_a_session_is_recorded_from_its_opening_to_its_end(what: str, turns: int) -> None:
    hand = recorded(what)
    session = hand.agent.session_id
    at(hand, 9 * RATE, 2.0)
    hand.user("hello", start=8 * RATE, end=9 * RATE)
    hand.reply("good day", heard=False)
    at(hand, 11 * RATE, 2.0)
    hand.leg_event(wire.ReplyHeard, response="r1")
    hand.press("Disconnect")
    hand.closed(asked=True)
    begun, *marks, over = of(hand, effects.Record, effects.RecordTurn, effects.RecordOver)
    assert begun == effects.Record(session_id=session, what=what, format="wav", from_frame=7 * RATE)
    assert over == effects.RecordOver(session_id=session, to_frame=11 * RATE)
    assert len(marks) == turns
    if turns:
        user, reply = marks
        assert isinstance(user, effects.RecordTurn)
        assert isinstance(reply, effects.RecordTurn)
        assert (user.role, user.start_frame, user.end_frame) == ("user", 8 * RATE, 9 * RATE)
        assert (reply.role, reply.start_frame, reply.end_frame) == (
            "assistant", 9 * RATE, 11 * RATE,
        )  # fmt: skip
        assert [user.id, reply.id] == [row.id for row in hand.agent.rows]


def test_a_refresh_is_one_recording() -> None:
    hand = recorded("session")
    hand.closed()
    hand.sleep(1.0)
    hand.opened("replay")
    assert len(of(hand, effects.Record)) == 1
    assert of(hand, effects.RecordOver) == []


def test_forget_begins_the_recording_anew() -> None:
    hand = recorded("session")
    hand.give(inputs.NearAt(frame=30 * RATE))
    hand.press("Forget")
    kinds = [type(effect) for effect in hand.last]
    assert kinds.index(effects.ForgetSession) < kinds.index(effects.Record)
    assert of(hand, effects.Record)[-1] == effects.Record(
        session_id=hand.agent.session_id, what="session", format="wav", from_frame=30 * RATE
    )


def test_switching_it_while_a_session_is_open_counts_for_the_next() -> None:
    hand = Hand().start().connected()
    hand.write("Recording", "both")
    hand.user("hello")
    hand.press("Disconnect")
    hand.closed(asked=True)
    assert of(hand, effects.Record, effects.RecordTurn, effects.RecordOver) == []
    hand.connected()
    assert len(of(hand, effects.Record)) == 1
