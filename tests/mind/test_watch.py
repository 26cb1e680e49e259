"""A live link with a silent service: noticed, refreshed, at last given up; no false alarm."""

from __future__ import annotations

import pytest

from voiced.messages import network as wire
from voiced.mind import effects, inputs

from .hand import OSC, Hand, card

LIMIT_S = 30.0


def hand_with(mode: str = "continuous", **fields: object) -> Hand:
    hand = Hand(card(**fields), values={("par", "Sessionmode"): mode})
    return hand.start().connected()


def meter(
    hand: Hand, *, received: float = 0.0, rx_age: float = 0.2, buffered: float = 0.0
) -> list[effects.Effect]:
    return hand.leg_event(
        wire.Meter,
        seconds_sent=0.0,
        seconds_received=received,
        connected_s=1.0,
        response_running=True,
        rx_age_s=rx_age,
        buffered_s=buffered,
    )


def pass_by(hand: Hand, seconds: float, **figures: float) -> None:
    """Let time pass with a meter each second, as long as there is a leg."""
    for _ in range(int(seconds)):
        hand.sleep(1.0)
        if hand.open_legs:
            meter(hand, **figures)


def stalls(hand: Hand) -> list[str]:
    return [said[2] for said in hand.callbacks("onError") if said[:2] == ("provider", "stall")]


# --- what starts the clock, and what stops it


def test_typed_text_without_a_reply_is_put_to_a_new_leg() -> None:
    hand = hand_with()
    hand.press("Sendtext", "is anybody there")
    hand.sleep(LIMIT_S - 0.1)
    assert not stalls(hand)
    assert hand.state == "active"
    hand.sleep(0.1)
    assert stalls(hand) == [
        "Local did not answer the typed text within 30 s; a new connection is opened"
    ]
    assert hand.sent_of(wire.CloseLeg) == [wire.CloseLeg(agent="a", leg=1, let_finish=True)]
    dialled = hand.dialled[-1]
    assert (dialled.leg, dialled.respond, dialled.history) == (2, False, [])
    hand.opened("replay")
    assert hand.sent[-1] == wire.SendText(agent="a", leg=2, text="is anybody there")
    assert ("system", "▶ Refreshed session (replay) — reason: lost") in hand.words()
    hand.reply("here I am")
    hand.sleep(300)
    assert len(stalls(hand)) == 1
    assert hand.words()[-1] == ("assistant", "here I am")


def test_text_typed_into_a_long_reply_has_its_whole_time_behind_it() -> None:
    hand = hand_with()
    hand.press("Sendtext", "tell me a story")
    hand.leg_event(wire.ResponseStarted, response="r1", texts=1)
    hand.press("Sendtext", "and another one")
    for n in range(5):
        pass_by(hand, LIMIT_S / 3)
        word = f"{n} "
        hand.leg_event(wire.AssistantText, response="r1", item="i", text=word, delta=True)
    hand.leg_event(wire.ResponseDone, response="r1", status="completed")
    hand.sleep(LIMIT_S - 0.1)
    assert not stalls(hand)
    hand.sleep(0.2)
    assert "the typed text" in stalls(hand)[0]


def test_a_turn_is_given_up_after_two_legs_and_the_session_stays() -> None:
    hand = hand_with()
    hand.press("Sendtext", "hello")
    for leg in (2, 3):
        hand.sleep(LIMIT_S)
        assert hand.leg == leg
        hand.opened("replay")
    hand.sleep(LIMIT_S)
    assert len(stalls(hand)) == 3
    assert stalls(hand)[-1].endswith("the turn is given up: say it again")
    assert (hand.leg, hand.state) == (3, "active")
    hand.sleep(600)
    assert len(stalls(hand)) == 3
    # What was given up is not answered by a later leg, as if somebody had just said it.
    hand.closed()
    assert not hand.dialled[-1].respond
    hand.opened("replay")
    # The next turn has its own legs.
    hand.press("Sendtext", "hello again")
    hand.sleep(LIMIT_S)
    assert stalls(hand)[-1].endswith("a new connection is opened")


def test_the_count_begins_anew_with_a_reply() -> None:
    hand = hand_with()
    for n in range(4):
        hand.press("Sendtext", f"turn {n}")
        hand.sleep(LIMIT_S)
        hand.opened("replay")
        hand.reply("yes", f"r{n}")
    assert len(stalls(hand)) == 4
    assert not any("given up" in said for said in stalls(hand))


def test_a_spoken_turn_with_words_is_waited_for() -> None:
    hand = hand_with()
    hand.user("what time is it")
    pass_by(hand, LIMIT_S)
    assert len(stalls(hand)) == 1
    assert "the visitor's turn" in stalls(hand)[0]
    assert hand.dialled[-1].respond


def test_a_spoken_turn_is_heard_again_where_its_words_never_came() -> None:
    hand = hand_with()
    hand.leg_event(wire.SpeechStarted, frame=48_000)
    hand.leg_event(wire.SpeechEnded, frame=96_000)
    hand.give(inputs.NearAt(frame=200_000))
    hand.sleep(LIMIT_S)
    assert len(stalls(hand)) == 1
    assert hand.dialled[-1].from_frame == 24_000
    # It is the same turn when the new leg hears it: its legs are counted on.
    for leg in (2, 3):
        hand.opened("replay")
        hand.leg_event(wire.SpeechStarted, frame=48_000)
        hand.leg_event(wire.SpeechEnded, frame=96_000)
        hand.sleep(LIMIT_S)
        assert hand.leg == (3 if leg == 2 else 3)
    assert stalls(hand)[-1].endswith("say it again")
    assert hand.state == "active"


def test_noise_that_the_service_judged_to_be_no_speech_is_no_stall() -> None:
    hand = hand_with()
    hand.leg_event(wire.SpeechStarted, frame=0)
    hand.leg_event(wire.SpeechEnded, frame=9000)
    pass_by(hand, 100, rx_age=0.2)
    assert not stalls(hand)
    assert hand.agent.signals(hand.instant)["phase"] == 1


def test_a_dead_service_is_noticed_though_the_turn_has_no_words_yet() -> None:
    hand = hand_with()
    hand.leg_event(wire.SpeechStarted, frame=0)
    hand.leg_event(wire.SpeechEnded, frame=9000)
    for second in range(31):
        hand.sleep(1.0)
        if hand.open_legs:
            meter(hand, rx_age=second + 1.0)
    assert len(stalls(hand)) == 1


def test_without_transcription_every_turn_counts() -> None:
    hand = Hand(card(), values={("par", "Enableusertranscription"): False}).start().connected()
    hand.leg_event(wire.SpeechStarted, frame=0)
    hand.leg_event(wire.SpeechEnded, frame=9000)
    pass_by(hand, 31)
    assert len(stalls(hand)) == 1


def test_a_dropped_turn_is_owed_nothing() -> None:
    hand = hand_with()
    hand.leg_event(wire.SpeechStarted, frame=0)
    hand.leg_event(wire.SpeechEnded, frame=9000)
    hand.leg_event(wire.UserTurnDropped, item="u1")
    hand.sleep(600)
    assert not stalls(hand)


def test_a_service_may_decide_that_a_turn_needs_no_answer() -> None:
    hand = hand_with(answers_every_turn=False)
    hand.user("not meant for you")
    pass_by(hand, 100)
    assert not stalls(hand)
    hand.press("Sendtext", "but this is")
    hand.sleep(LIMIT_S)
    assert len(stalls(hand)) == 1


def test_the_pedal_asks_for_an_answer_of_any_service() -> None:
    hand = hand_with("push_to_talk", answers_every_turn=False)
    hand.user("this is meant for you")
    hand.sleep(LIMIT_S)
    assert len(stalls(hand)) == 1


def test_an_empty_reply_is_an_answer() -> None:
    hand = hand_with()
    hand.user("hm")
    hand.leg_event(wire.ResponseStarted, response="r1")
    hand.leg_event(wire.ResponseDone, response="r1", status="completed")
    pass_by(hand, 100)
    assert not stalls(hand)


def test_nothing_is_owed_while_the_visitor_speaks_on() -> None:
    hand = hand_with()
    hand.user("first of all")
    hand.sleep(20)
    hand.leg_event(wire.SpeechStarted, frame=50_000)
    pass_by(hand, 200)
    assert not stalls(hand)
    hand.leg_event(wire.SpeechEnded, frame=60_000)
    hand.leg_event(wire.UserText, item="u2", text="and then", final=True)
    hand.sleep(LIMIT_S)
    assert len(stalls(hand)) == 1


def test_the_limit_is_the_provider_s_and_zero_is_none() -> None:
    slow, never = hand_with(response_timeout_s=120.0), hand_with(response_timeout_s=0.0)
    for hand in (slow, never):
        hand.press("Sendtext", "think hard")
        hand.sleep(119)
        assert not stalls(hand)
        hand.sleep(1000)
    assert "within 120 s" in stalls(slow)[0]
    assert not stalls(never)


def test_a_session_that_says_goodbye_waits_for_no_reply() -> None:
    hand = hand_with()
    hand.press("Sendtext", "goodbye")
    hand.leg_event(wire.ToolCall, call_id="c", name="end_conversation", arguments="{}")
    hand.sleep(1.0)
    hand.leg_event(wire.ResponseStarted, response="r")
    hand.sleep(100)
    assert not stalls(hand)


def test_a_service_without_memory_is_refreshed_and_starts_fresh() -> None:
    hand = hand_with(resumption="none")
    hand.press("Sendtext", "hello")
    hand.sleep(LIMIT_S)
    assert not hand.dialled[-1].respond
    hand.opened("fresh")
    assert hand.sent[-1] == wire.SendText(agent="a", leg=2, text="hello")
    hand.reply("here I am")
    hand.sleep(600)
    assert len(stalls(hand)) == 1


def test_a_dropped_leg_is_no_stall() -> None:
    hand = hand_with()
    hand.press("Sendtext", "hello")
    hand.sleep(20)
    hand.closed()
    hand.sleep(20)
    hand.opened("replay")
    hand.sleep(LIMIT_S - 1)
    assert not stalls(hand)
    hand.sleep(1)
    assert len(stalls(hand)) == 1


# --- in the middle of a reply


def begun(hand: Hand, text: str = "once upon", *, final: bool = False) -> None:
    hand.user("tell me a story")
    hand.leg_event(wire.ResponseStarted, response="r1")
    hand.leg_event(wire.AssistantText, response="r1", item="i", text=text, final=final)
    hand.leg_event(wire.Playing, response="r1", item="i")


def test_a_reply_that_neither_sends_nor_ends_is_asked_for_again() -> None:
    hand = hand_with()
    begun(hand)
    pass_by(hand, 29)
    assert not stalls(hand)
    pass_by(hand, 2)
    assert "broke off in the middle of a reply" in stalls(hand)[0]
    assert any(isinstance(e, effects.StopSpeaker) for e in hand.all)
    assert hand.dialled[-1].respond
    assert hand.dialled[-1].history == [wire.HistoryRow(role="user", text="tell me a story")]
    assert '"cut":"lost"' in next(r.metadata for r in hand.agent.rows if r.role == "assistant")


def test_what_still_sounds_or_comes_is_no_stall() -> None:
    hand = hand_with()
    begun(hand)
    for second in range(120):  # A long reply that came at once.
        hand.sleep(1.0)
        meter(hand, buffered=120.0 - second)
    for second in range(120):  # Sound that comes at its own pace, with no word.
        hand.sleep(1.0)
        meter(hand, received=second + 1.0)
    for _ in range(10):  # Words that come slowly.
        pass_by(hand, 25)
        hand.leg_event(wire.AssistantText, response="r1", item="i", text="and ")
    assert not stalls(hand)


def test_sound_that_is_stuck_is_a_stall_and_a_pause_is_none() -> None:
    hand = hand_with()
    begun(hand)
    hand.press("Pause")
    pass_by(hand, 300, buffered=4.0)
    assert not stalls(hand)
    hand.press("Play")
    pass_by(hand, 29, buffered=4.0)
    assert not stalls(hand)
    pass_by(hand, 2, buffered=4.0)
    assert len(stalls(hand)) == 1


def test_a_reply_said_to_its_end_is_not_said_twice() -> None:
    hand = hand_with()
    begun(hand, "once upon a time", final=True)
    pass_by(hand, 31)
    assert len(stalls(hand)) == 1
    assert not hand.dialled[-1].respond
    assert hand.words()[-1] == ("assistant", "once upon a time")
    assert "cut" not in hand.agent.rows[-1].metadata
    hand.opened("replay")
    hand.sleep(600)
    assert len(stalls(hand)) == 1


def test_a_reply_that_breaks_off_each_time_is_given_up() -> None:
    hand = hand_with()
    begun(hand)
    for leg in (2, 3):
        pass_by(hand, 31)
        assert hand.leg == leg
        hand.opened("replay")
        hand.leg_event(wire.ResponseStarted, response=f"r{leg}")
    pass_by(hand, 31)
    assert stalls(hand)[-1].endswith("say it again")
    assert hand.sent_of(wire.Interrupt)
    assert hand.leg == 3
    assert hand.agent.signals(hand.instant)["phase"] == 1
    pass_by(hand, 300)
    assert len(stalls(hand)) == 3


@pytest.mark.parametrize("status", ["cancelled", "failed"])
def test_a_reply_that_ended_badly_has_ended(status: str) -> None:
    hand = hand_with()
    begun(hand)
    hand.leg_event(wire.ResponseDone, response="r1", status=status)
    pass_by(hand, 200)
    assert not stalls(hand)


def test_stop_leaves_nothing_owed() -> None:
    hand = hand_with()
    begun(hand)
    hand.press("Stop")
    hand.leg_event(wire.ResponseDone, response="r1", status="cancelled")
    hand.leg_event(wire.ReplyHeard, response="r1")
    pass_by(hand, 200)
    assert not stalls(hand)


# --- tools


LIGHTS = inputs.Tool(
    name="set_lights",
    description="Turn the lights to a colour",
    schema='{"type":"object","properties":{"color":{"type":"string"}},"required":["color"]}',
    executor=OSC,
)


def calling(hand: Hand, *, words: str = "") -> None:
    """The service calls a tool in a reply of its own, with or without words before it."""
    hand.give(inputs.RegisterTool(tool=LIGHTS, origin=OSC))
    hand.user("make it red")
    hand.leg_event(wire.ResponseStarted, response="r1")
    if words:
        hand.leg_event(wire.AssistantText, response="r1", item="i", text=words, final=True)
    hand.leg_event(wire.ToolCall, call_id="c1", name="set_lights", arguments='{"color": "red"}')
    hand.leg_event(wire.ResponseDone, response="r1", status="completed")
    hand.leg_event(wire.ReplyHeard, response="r1")


def test_a_tool_at_work_is_no_stall_and_its_result_wants_a_reply() -> None:
    hand = hand_with(response_timeout_s=5.0)
    calling(hand)
    for _ in range(10):
        pass_by(hand, 9)
        hand.give(inputs.ToolProgress(call_id="c1", text="", origin=OSC))
    assert not stalls(hand)
    hand.give(inputs.ToolAnswer(call_id="c1", ok=True, result="done", origin=OSC))
    hand.sleep(4.9)
    assert not stalls(hand)
    hand.sleep(0.1)
    assert "did not answer the tool's result within 5 s" in stalls(hand)[0]
    assert hand.dialled[-1].respond


def test_words_before_the_call_are_no_answer() -> None:
    hand = hand_with()
    calling(hand, words="let me see")
    hand.closed()
    assert hand.dialled[-1].respond
    assert hand.dialled[-1].history[-1] == wire.HistoryRow(role="user", text="make it red")


def test_the_reply_to_a_result_is_the_answer() -> None:
    hand = hand_with()
    calling(hand, words="let me see")
    hand.give(inputs.ToolAnswer(call_id="c1", ok=True, result="done", origin=OSC))
    hand.reply("it is red", "r2")
    hand.sleep(300)
    hand.closed()
    assert not stalls(hand)
    assert not hand.dialled[-1].respond


def test_a_service_that_goes_on_in_the_reply_that_called_has_answered() -> None:
    hand = hand_with()
    hand.give(inputs.RegisterTool(tool=LIGHTS, origin=OSC))
    hand.user("make it red")
    hand.leg_event(wire.ResponseStarted, response="r1")
    hand.leg_event(wire.ToolCall, call_id="c1", name="set_lights", arguments='{"color": "red"}')
    hand.give(inputs.ToolAnswer(call_id="c1", ok=True, result="done", origin=OSC))
    hand.leg_event(wire.AssistantText, response="r1", item="i", text="it is red", final=True)
    hand.leg_event(wire.ResponseDone, response="r1", status="completed")
    hand.leg_event(wire.ReplyHeard, response="r1")
    hand.sleep(300)
    assert not stalls(hand)
    hand.closed()
    assert not hand.dialled[-1].respond


def test_one_turn_ends_with_the_answer_and_not_with_the_words_before_a_call() -> None:
    hand = hand_with("one_turn")
    calling(hand, words="let me see")
    assert hand.state == "active"
    hand.give(inputs.ToolAnswer(call_id="c1", ok=True, result="done", origin=OSC))
    assert hand.state == "active"
    hand.reply("it is red", "r2")
    assert hand.state == "armed"


def test_a_service_that_calls_on_the_way_owes_no_reply_to_a_result() -> None:
    hand = hand_with(answers_results=False)
    calling(hand, words="it will be red")
    hand.sleep(5)
    hand.give(inputs.ToolAnswer(call_id="c1", ok=True, result="done", origin=OSC))
    assert hand.agent.signals(hand.instant)["phase"] == 1
    hand.sleep(300)
    assert not stalls(hand)
    hand.closed()
    assert not hand.dialled[-1].respond


@pytest.mark.parametrize("status", ["cancelled", "failed"])
def test_no_reply_follows_a_result_of_a_reply_that_was_cut(status: str) -> None:
    hand = hand_with()
    hand.give(inputs.RegisterTool(tool=LIGHTS, origin=OSC))
    hand.user("make it red")
    hand.leg_event(wire.ResponseStarted, response="r1")
    hand.leg_event(wire.ToolCall, call_id="c1", name="set_lights", arguments='{"color": "red"}')
    hand.give(inputs.ToolAnswer(call_id="c1", ok=True, result="done", origin=OSC))
    hand.leg_event(wire.ResponseDone, response="r1", status=status)
    hand.sleep(300)
    assert not stalls(hand)


def test_a_call_between_two_replies_belongs_to_none() -> None:
    hand = hand_with("one_turn")
    hand.user("make it red")
    hand.reply("as you like")
    assert hand.state == "armed"
    hand.press("Connect")
    hand.give(inputs.RegisterTool(tool=LIGHTS, origin=OSC))
    hand.leg_event(wire.ToolCall, call_id="c1", name="set_lights", arguments='{"color": "red"}')
    hand.give(inputs.ToolAnswer(call_id="c1", ok=True, result="done", origin=OSC))
    hand.reply("it is red", "r2")
    assert hand.state == "armed"
