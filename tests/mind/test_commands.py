"""The operator's commands, as surface.md has them in words."""

from __future__ import annotations

import pytest

from voiced.messages import network as wire
from voiced.mind import effects, inputs, journal

from .hand import OSC, PEDAL, Hand, card


def ended(hand: Hand) -> list[str]:
    return [args[1] for args in hand.callbacks("onSessionEnd")]


def lane(hand: Hand) -> effects.SetLane:
    (found,) = (e for e in hand.last if isinstance(e, effects.SetLane))
    return found


def test_connect_sets_active_and_a_second_one_is_refused() -> None:
    hand = Hand().start().connected()
    assert hand.told["par", "Active"] is True
    hand.press("Connect")
    (refused,) = hand.refused()
    assert (refused.code, refused.origin) == ("no_effect", OSC)
    assert "active" in refused.sentence


def test_connect_while_ending_is_remembered_and_disconnect_forgets_it() -> None:
    hand = Hand().start().connected()
    hand.press("Disconnect")
    hand.press("Connect")
    assert not hand.refused()
    assert hand.state == "ending"
    hand.press("Connect")
    assert hand.refused()
    hand.closed(asked=True)
    assert hand.state == "connecting"
    assert ended(hand) == ["disconnect"]
    hand.opened()
    assert len(hand.callbacks("onSessionStart")) == 2
    hand.press("Disconnect")
    hand.press("Connect")
    hand.press("Disconnect")
    assert not hand.refused()
    hand.press("Disconnect")
    assert hand.refused()
    hand.closed(asked=True)
    assert hand.state == "disconnected"


def test_ending_has_a_deadline() -> None:
    hand = Hand().start().connected()
    hand.press("Disconnect")
    hand.sleep(2.9)
    assert hand.state == "ending"
    hand.sleep(0.2)
    assert hand.state == "disconnected"
    hand.press("Connect")
    assert hand.leg == 2


def test_disconnect_cuts_at_once() -> None:
    hand = Hand().start().connected()
    hand.reply("long speech", heard=False)
    hand.press("Disconnect")
    assert any(isinstance(e, effects.StopSpeaker) for e in hand.last)
    (close,) = hand.sent_of(wire.CloseLeg)
    assert close == wire.CloseLeg(agent="a", leg=1, let_finish=False)


def test_disconnect_without_a_session_is_refused() -> None:
    hand = Hand().start()
    hand.press("Disconnect")
    assert hand.refused()[0].code == "no_effect"


def test_disconnect_between_attempts_needs_no_leg() -> None:
    hand = Hand().start()
    hand.press("Connect")
    for _ in range(2):
        hand.leg_event(wire.LegUnreachable, code="503", sentence="busy")
    assert hand.state == "connecting"
    hand.press("Disconnect")
    assert hand.state == "disconnected"
    assert hand.callbacks("onSessionEnd") == []
    assert hand.agent.next_deadline() is None


def test_restart_ends_applies_and_connects_fresh() -> None:
    hand = Hand().start().connected()
    hand.user("hello")
    hand.write("Voice", "bert")
    assert hand.callbacks("onStatus", hand.last) == [("pending", "Voice")]
    hand.press("Restart")
    hand.closed(asked=True)
    assert ended(hand) == ["restart"]
    assert hand.state == "connecting"
    assert hand.dialled[-1].parameters["Voice"] == "bert"
    assert hand.dialled[-1].history == []
    assert hand.agent.rows == []
    assert hand.agent.value("par", "Active") is True


def test_restart_without_a_session_connects() -> None:
    hand = Hand().start()
    hand.press("Restart")
    assert hand.state == "connecting"


def test_active_is_the_wish() -> None:
    hand = Hand().start()
    hand.write("Active", True)
    assert hand.state == "connecting"
    hand.opened()
    hand.write("Active", False)
    assert (hand.state, hand.gate) == ("armed", False)
    assert not hand.sent_of(wire.CloseLeg)
    hand.write("Active", True)
    assert (hand.state, hand.gate) == ("active", True)
    hand.write("Active", False)
    hand.press("Connect")
    assert hand.state == "active"
    assert not hand.refused()


def test_nobody_dials_without_a_wish() -> None:
    hand = Hand().start()
    hand.press("Connect")
    hand.write("Active", False)
    assert hand.state == "connecting"
    hand.leg_event(wire.LegUnreachable, code="503", sentence="busy")
    assert hand.state == "disconnected"


def test_active_while_ending_is_remembered_and_taken_back() -> None:
    hand = Hand().start().connected()
    hand.press("Disconnect")
    hand.write("Active", True)
    hand.write("Active", True)
    hand.write("Active", False)
    hand.closed(asked=True)
    assert hand.state == "disconnected"


@pytest.mark.parametrize("connect", [False, True])
def test_on_start(connect: bool) -> None:
    hand = Hand(kept={("par", "Active"): True, ("par", "Talk"): True}).start(connect=connect)
    assert hand.state == ("connecting" if connect else "disconnected")
    assert hand.agent.value("par", "Active") is connect
    assert hand.agent.value("par", "Talk") is False
    assert not hand.gate


def test_stopping_keeps_the_wish_and_waits_less_than_a_second() -> None:
    hand = Hand().start().connected()
    hand.give(inputs.Stopping())
    assert (hand.state, hand.gate) == ("ending", False)
    assert hand.agent.value("par", "Active") is True
    hand.press("Connect")
    assert hand.refused()
    hand.sleep(1.0)
    assert hand.state == "disconnected"
    assert ended(hand) == ["shutdown"]


def test_stopping_while_ending_hurries() -> None:
    hand = Hand().start().connected()
    hand.press("Disconnect")
    hand.give(inputs.Stopping())
    hand.sleep(1.0)
    assert hand.state == "disconnected"
    hand.give(inputs.Stopping())
    assert hand.state == "disconnected"


# --- one_turn


def one_turn(**fields: object) -> Hand:
    return Hand(card(**fields), values={("par", "Sessionmode"): "one_turn"}).start().connected()


def test_one_turn_holds_where_tokens_cost() -> None:
    hand = one_turn(metering="token")
    hand.user("hello")
    hand.reply("good day", heard=False)
    assert (hand.state, hand.gate) == ("armed", False)
    hand.leg_event(wire.ReplyHeard, response="r1", latency_s=0.3)
    assert hand.state == "armed"
    hand.press("Connect")
    assert not hand.refused()
    assert (hand.state, hand.gate) == ("active", True)
    assert len(hand.dialled) == 1
    hand.user("again", "u2")
    hand.reply("yes?", "r2")
    assert hand.state == "armed"


def test_one_turn_ends_where_time_costs_once_the_reply_was_heard() -> None:
    hand = one_turn(metering="wallclock")
    hand.user("hello")
    hand.reply("good day", heard=False)
    assert (hand.state, hand.gate) == ("armed", False)
    hand.leg_event(wire.ReplyHeard, response="r1", latency_s=0.3)
    assert hand.state == "ending"
    assert hand.sent_of(wire.CloseLeg)[-1].let_finish  # type: ignore[attr-defined]
    hand.closed(asked=True)
    assert ended(hand) == ["one_turn"]
    assert hand.agent.value("par", "Active") is False
    hand.press("Connect")
    assert hand.state == "connecting"


def test_one_turn_ends_by_a_deadline_if_nobody_tells_that_it_was_heard() -> None:
    hand = one_turn(metering="wallclock")
    hand.reply("good day", heard=False)
    hand.sleep(1.9)
    assert hand.state == "armed"
    hand.sleep(0.2)
    assert hand.state == "ending"


def test_what_is_queued_moves_the_deadline() -> None:
    hand = one_turn(metering="wallclock")
    hand.reply("good day", heard=False)
    for _ in range(5):
        hand.sleep(1.0)
        hand.leg_event(
            wire.Meter, seconds_sent=1.0, seconds_received=1.0, connected_s=1.0,
            response_running=False, rx_age_s=0.1, buffered_s=6.0,
        )  # fmt: skip
    hand.sleep(7.9)
    assert hand.state == "armed"
    hand.sleep(0.2)
    assert hand.state == "ending"


def test_an_interrupted_reply_is_no_exchange() -> None:
    hand = one_turn()
    hand.user("hello")
    hand.leg_event(wire.ResponseStarted, response="r1")
    hand.leg_event(wire.AssistantText, response="r1", item="i", text="good")
    hand.leg_event(wire.ResponseDone, response="r1", status="cancelled")
    assert hand.state == "active"


# --- push to talk


def pedal_hand(**values: wire.Value) -> Hand:
    given = {("par", name): value for name, value in values.items()}
    return Hand(values={("par", "Sessionmode"): "push_to_talk", **given}).start()


def test_talk_opens_and_its_tail_closes() -> None:
    hand = pedal_hand(Talktail=200).connected()
    assert hand.dialled[0].push_to_talk
    assert hand.state == "armed"
    hand.write("Talk", True, PEDAL)
    assert (hand.state, hand.gate) == ("active", True)
    hand.write("Talk", False, PEDAL)
    assert hand.gate
    hand.sleep(0.199)
    assert hand.gate
    hand.sleep(0.002)
    assert (hand.state, hand.gate) == ("armed", False)


def test_talk_is_the_or_of_its_holders() -> None:
    hand = pedal_hand(Talktail=0).connected()
    hand.write("Talk", True, PEDAL)
    hand.write("Talk", True, OSC)
    hand.write("Talk", False, OSC)
    (told,) = (e for e in hand.last if isinstance(e, effects.Told) and e.name == "Talk")
    assert (told.value, told.adjusted, told.origin) == (True, True, OSC)
    assert hand.gate
    hand.give(inputs.HolderGone(origin=OSC))
    assert hand.gate
    hand.give(inputs.HolderGone(origin=PEDAL))
    assert not hand.gate
    assert hand.told["par", "Talk"] is False
    assert hand.agent.value("par", "Talk") is False


def test_repeating_a_held_talk_echoes_nothing() -> None:
    hand = pedal_hand().connected()
    hand.write("Talk", True)
    hand.write("Talk", True)
    assert hand.last == []


def test_talkmax_closes_and_tells() -> None:
    hand = pedal_hand(Talkmax=5).connected()
    hand.write("Talk", True, PEDAL)
    hand.sleep(4.9)
    assert hand.gate
    out = hand.sleep(0.2)
    assert not hand.gate
    assert hand.callbacks("onStatus", out)[0][0] == "talkmax"
    assert hand.told["par", "Talk"] is False
    hand.write("Talk", True, PEDAL)
    assert not hand.gate
    hand.write("Talk", False, PEDAL)
    hand.write("Talk", True, PEDAL)
    assert hand.gate


def test_a_press_while_the_voice_sounds_interrupts() -> None:
    hand = pedal_hand().connected()
    hand.reply("long speech", heard=False)
    hand.write("Talk", True, PEDAL)
    kinds = [type(e.message) if isinstance(e, effects.Send) else type(e) for e in hand.last]
    assert kinds.index(effects.StopSpeaker) < kinds.index(wire.Interrupt)
    assert hand.gate


def test_a_press_does_not_interrupt_with_bargein_off() -> None:
    hand = pedal_hand(Bargein="off").connected()
    hand.reply("long speech", heard=False)
    hand.write("Talk", True, PEDAL)
    assert not hand.sent_of(wire.Interrupt)


def test_talk_means_nothing_in_continuous() -> None:
    hand = Hand().start().connected()
    hand.reply("long speech", heard=False)
    hand.write("Talk", True)
    assert not hand.sent_of(wire.Interrupt)
    assert hand.agent.value("par", "Talk") is True


def test_a_press_connects_and_its_words_wait() -> None:
    hand = pedal_hand(Talkconnects=True)
    hand.give(inputs.NearAt(frame=48_000))
    hand.write("Talk", True, PEDAL)
    assert hand.state == "connecting"
    assert not hand.gate
    assert (hand.dialled[0].from_frame, hand.dialled[0].pressed_frame) == (48_000, 48_000)
    hand.opened()
    assert hand.gate
    assert not hand.sent_of(wire.TurnEnd)


def test_a_press_released_before_the_session_opens_is_still_a_turn() -> None:
    hand = pedal_hand(Talkconnects=True, Talktail=0)
    hand.give(inputs.NearAt(frame=48_000))
    hand.write("Talk", True, PEDAL)
    hand.give(inputs.NearAt(frame=96_000))
    hand.write("Talk", False, PEDAL)
    assert hand.sent_of(wire.TurnEnd) == [wire.TurnEnd(agent="a", leg=1, frame=96_000)]
    hand.leg_event(wire.LegUnreachable, code="503", sentence="busy")
    assert hand.dialled[1].pressed_frame == 48_000
    hand.write("Talk", True, PEDAL)
    hand.write("Talk", False, PEDAL)
    hand.opened()
    assert not hand.gate
    assert hand.sent_of(wire.TurnEnd)[1:] == [wire.TurnEnd(agent="a", leg=2, frame=96_000)]
    hand.closed()
    hand.sleep(2)
    assert hand.dialled[2].pressed_frame == -1
    assert len(hand.sent_of(wire.TurnEnd)) == 2


def test_a_press_without_talkconnects_does_not_connect() -> None:
    hand = pedal_hand()
    hand.write("Talk", True, PEDAL)
    assert hand.state == "disconnected"


def test_mute_closes_fades_and_keeps_the_session() -> None:
    hand = Hand().start().connected()
    hand.give(inputs.SetMute(on=True))
    assert (hand.state, hand.gate) == ("armed", False)
    assert lane(hand).volume == 0.0
    assert hand.agent.signals(hand.instant)["phase"] == 6
    hand.write("Volume", 0.5)
    assert not any(isinstance(e, effects.SetLane) for e in hand.last)
    hand.give(inputs.SetMute(on=False))
    assert lane(hand).volume == 0.5
    assert hand.gate


def test_mute_outlives_a_restart() -> None:
    hand = Hand()
    hand.give(inputs.Started(connect=True, muted=True))
    assert lane(hand).volume == 0.0
    hand.network(up=True)
    hand.opened()
    assert not hand.gate


# --- playback


def test_stop_is_a_barge_in_by_hand() -> None:
    hand = Hand().start().connected()
    hand.press("Stop")
    assert hand.refused()[0].code == "no_effect"
    hand.leg_event(wire.ResponseStarted, response="r1")
    hand.leg_event(wire.AssistantText, response="r1", item="i", text="one two three")
    hand.leg_event(wire.Playing, response="r1", item="i")
    hand.press("Stop")
    assert hand.sent_of(wire.Interrupt) == [wire.Interrupt(agent="a", leg=1)]
    hand.leg_event(wire.Heard, response="r1", item="i", ms=500, chars=7, cut=True)
    assert hand.words() == [("assistant", "one two")]
    assert '"interrupted":true' in hand.agent.rows[0].metadata
    assert hand.callbacks("onAssistantText")[-1] == ("one two", 1, hand.agent.rows[0].id)
    assert hand.state == "active"


def test_pause_holds_and_play_goes_on() -> None:
    hand = Hand().start().connected()
    hand.press("Play")
    assert hand.refused()
    hand.press("Pause")
    assert lane(hand).playback == "pause"
    hand.press("Pause")
    assert hand.refused()
    hand.press("Play")
    assert lane(hand).playback == "play"
    hand.write("Playbackactive", False)
    assert lane(hand).playback == "silent"


def test_with_nothing_to_hold_or_forget_it_is_said() -> None:
    hand = Hand().start()
    hand.press("Pause")
    assert "nothing sounds" in hand.refused()[0].sentence
    assert not any(isinstance(effect, effects.SetLane) for effect in hand.last)
    hand.press("Resetplayback")
    assert "no reply to forget" in hand.refused()[0].sentence
    assert not hand.sent_of(wire.ForgetReply)


def test_replay_needs_a_complete_reply() -> None:
    hand = Hand().start().connected()
    hand.press("Replay")
    assert hand.refused()
    hand.reply("good day", heard=False)
    hand.press("Replay")
    assert hand.refused()[0].code == "busy"
    hand.leg_event(wire.ReplyHeard, response="r1")
    rows = hand.agent.rows
    hand.press("Replay")
    assert hand.sent_of(wire.Replay) == [wire.Replay(agent="a")]
    assert hand.agent.rows == rows
    hand.give(wire.ReplaySounds(agent="a", on=True))
    signals = hand.agent.signals(hand.instant)
    assert (signals["phase"], signals["assistant_speaking"]) == (4, 1), "a mouth moves with it"
    hand.give(wire.ReplaySounds(agent="a", on=False))
    signals = hand.agent.signals(hand.instant)
    assert (signals["phase"], signals["assistant_speaking"]) == (1, 0)
    hand.press("Stop")
    assert "nothing sounds" in hand.refused()[0].sentence, "it has sounded to its end"
    hand.press("Resetplayback")
    assert hand.sent_of(wire.ForgetReply)
    hand.press("Replay")
    assert hand.refused()


def test_volume_and_gain_go_to_the_lane() -> None:
    hand = Hand().start()
    hand.write("Volume", 0.25)
    assert lane(hand) == effects.SetLane(volume=0.25)
    hand.write("Micgain", 2.0)
    assert lane(hand) == effects.SetLane(micgain=2.0)
    hand.write("Micgain", 2.0)
    assert hand.last == []


def test_micin_chooses_channels_from_the_next_session_on() -> None:
    hand = Hand().start()
    hand.write("Micin", "3,4")
    assert lane(hand) == effects.SetLane(inputs=0b1100)
    hand.connected()
    hand.write("Micin", "")
    assert not any(isinstance(e, effects.SetLane) for e in hand.last)
    assert hand.callbacks("onStatus")[-1] == ("pending", "Micin")
    hand.press("Disconnect")
    hand.closed(asked=True)
    assert lane(hand) == effects.SetLane(inputs=0)


def test_a_channel_that_the_device_has_not_is_told() -> None:
    hand = Hand().start()
    hand.write("Micin", "2,7")
    hand.give(inputs.AudioReady(device="room", samplerate=48_000, echo_free=True, inputs=2))
    (told,) = [args for args in hand.callbacks("onError") if args[0] == "audio"]
    assert "channel 7, but room gives 2" in told[2]


def test_the_guard_follows_the_card() -> None:
    hand = Hand().start()
    hand.give(inputs.AudioReady(device="room", samplerate=48_000, echo_free=False))
    assert lane(hand) == effects.SetLane(guard=True)
    hand.write("Bargein", "on")
    assert lane(hand) == effects.SetLane(guard=False)


# --- text


def test_sendtext_in_every_state() -> None:
    hand = Hand().start()
    hand.press("Sendtext", "hello")
    (refused,) = hand.refused()
    assert "Connect" in refused.sentence
    assert hand.agent.value("par", "Inputtext") == "hello"
    hand.press("Connect")
    hand.press("Sendtext")
    assert "wait" in hand.refused()[0].sentence
    hand.opened()
    hand.press("Sendtext")
    assert hand.words() == [("user", "hello")]
    assert hand.sent_of(wire.SendText) == [wire.SendText(agent="a", leg=1, text="hello")]
    assert hand.callbacks("onUserText") == [("hello", 1, "1.1")]
    assert hand.agent.signals(hand.instant)["phase"] == 3
    hand.press("Sendtext", "  ")
    assert hand.refused()[0].code == "no_effect"
    hand.press("Disconnect")
    hand.press("Sendtext", "late")
    assert hand.refused()


def test_text_typed_during_a_refresh_is_sent_by_the_next_leg() -> None:
    hand = Hand().start().connected()
    hand.closed()
    hand.press("Sendtext", "still there?")
    assert not hand.refused()
    assert hand.words()[-1] == ("user", "still there?")
    hand.sleep(1.0)
    assert hand.dialled[-1].history == []
    hand.opened("replay")
    assert hand.sent_of(wire.SendText) == [wire.SendText(agent="a", leg=2, text="still there?")]


def test_text_that_three_connections_did_not_outlive_is_not_sent_to_a_fourth() -> None:
    """It may be what ends them: the next one knows of it as of anything that was said."""
    hand = Hand().start().connected()
    hand.press("Sendtext", "poison")
    for leg in (2, 3, 4):
        hand.sleep(6.0)
        hand.closed()
        hand.sleep(1.0)
        hand.opened("replay")
        assert hand.leg == leg
    sent = [m.leg for m in hand.sent_of(wire.SendText)]  # type: ignore[attr-defined]
    assert sent == [1, 2, 3]
    assert [row.text for row in hand.dialled[-1].history] == ["poison"]
    assert hand.dialled[-1].respond


def test_text_that_could_not_be_sent_any_more_is_told() -> None:
    hand = Hand().start().connected()
    hand.closed()
    hand.press("Sendtext", "still there?")
    hand.press("Disconnect")
    hand.closed(asked=True)
    assert ("session", "unsent") in [args[:2] for args in hand.callbacks("onError")]


def told_next(hand: Hand) -> tuple[list[str], list[str]]:
    """Lose the leg; return the rows that the next one is given, and the texts sent to it."""
    hand.sleep(6.0)
    hand.closed()
    hand.sleep(1.0)
    assert not hand.dialled[-1].respond
    hand.opened("replay")
    sent = [m.text for m in hand.sent_of(wire.SendText) if m.leg == hand.leg]  # type: ignore[attr-defined]
    return [row.text for row in hand.dialled[-1].history], sent


def test_text_typed_into_a_reply_is_sent_to_the_next_leg() -> None:
    """The reply that runs does not answer it, wherever its own words stand in the table."""
    hand = Hand().start().connected()
    hand.press("Sendtext", "first")
    hand.leg_event(wire.ResponseStarted, response="r1", texts=1)
    hand.press("Sendtext", "second")
    hand.leg_event(wire.AssistantText, response="r1", item="i", text="one", final=True)
    hand.leg_event(wire.ResponseDone, response="r1", status="completed")
    assert told_next(hand) == (["first", "one"], ["second"])
    hand.reply("two", "r2")
    assert told_next(hand) == (["first", "second", "one", "two"], [])


def test_of_two_texts_at_once_each_is_answered() -> None:
    """The service answers them one by one, and is lost between the two replies, or in one."""
    hand = Hand().start().connected()
    hand.press("Sendtext", "first")
    hand.press("Sendtext", "second")
    assert told_next(hand) == ([], ["first", "second"])
    hand.leg_event(wire.ResponseStarted, response="r1", texts=1)
    hand.leg_event(wire.AssistantText, response="r1", item="i", text="one", final=True)
    assert told_next(hand) == ([], ["first", "second"])
    hand.reply("one", "r2")
    assert [row for row in hand.words() if row[0] == "user"] == [
        ("user", "first"), ("user", "second")
    ]  # fmt: skip
    assert told_next(hand) == (["first", "second", "one"], [])


def test_text_does_not_wait_for_a_visitor_who_has_said_nothing() -> None:
    hand = Hand().start().connected()
    hand.press("Sendtext", "hello")
    hand.leg_event(wire.SpeechStarted, frame=1000)
    assert told_next(hand) == ([], ["hello"])


def test_a_reply_that_was_cut_is_not_made_up_for_by_a_later_leg() -> None:
    hand = Hand().start().connected()
    hand.press("Sendtext", "first")
    hand.leg_event(wire.ResponseStarted, response="r1", texts=1)
    hand.leg_event(wire.AssistantText, response="r1", item="i", text="one")
    hand.leg_event(wire.ResponseDone, response="r1", status="cancelled")
    assert told_next(hand) == (["first", "one"], [])


def test_text_typed_while_the_session_says_goodbye_is_refused() -> None:
    hand = Hand().start().connected()
    hand.leg_event(wire.ToolCall, call_id="c", name="end_conversation", arguments="{}")
    hand.press("Sendtext", "one more thing")
    assert "goodbye" in hand.refused()[0].sentence
    assert hand.words()[-1][0] != "user"


def test_text_that_was_not_answered_any_more_is_told() -> None:
    hand = Hand().start().connected()
    hand.press("Sendtext", "still there?")
    hand.leg_event(wire.LegRefused, code="insufficient_quota", sentence="no credit")
    hand.closed()
    told = [args[:2] for args in hand.callbacks("onError")]
    assert told == [("provider", "insufficient_quota"), ("session", "unanswered")]


def test_who_ends_a_session_knows_that_nothing_is_answered() -> None:
    hand = Hand().start().connected()
    hand.press("Sendtext", "still there?")
    hand.press("Disconnect")
    hand.closed(asked=True)
    assert hand.callbacks("onError") == []


def test_say_and_note() -> None:
    hand = Hand().start()
    hand.give(inputs.SayText(text="welcome", origin=OSC))
    assert "Connect" in hand.refused()[0].sentence
    hand.press("Connect")
    hand.give(inputs.NoteText(text="it rains", origin=OSC))
    assert "wait" in hand.refused()[0].sentence
    hand.opened()
    hand.give(inputs.SayText(text="welcome", origin=OSC))
    hand.give(inputs.NoteText(text="it rains", origin=OSC))
    assert hand.sent_of(wire.Say) == [wire.Say(agent="a", leg=1, text="welcome")]
    assert hand.sent_of(wire.Note) == [wire.Note(agent="a", leg=1, text="it rains")]
    assert hand.words() == [("system", "it rains")]
    for empty in (inputs.SayText(text=" ", origin=OSC), inputs.NoteText(text="", origin=OSC)):
        hand.give(empty)
        assert hand.refused()


# --- the engine


def test_initialize_and_shutdown() -> None:
    hand = Hand().start().connected()
    hand.press("Shutdown")
    assert hand.state == "ending"
    assert not any(isinstance(e, effects.StopHands) for e in hand.last)
    hand.closed(asked=True)
    assert any(isinstance(e, effects.StopHands) for e in hand.last)
    assert hand.agent.enginestatus.startswith("stopped")
    hand.network(up=False)
    assert hand.callbacks("onError") == []
    hand.press("Connect")
    assert "Initialize" in hand.refused()[0].sentence
    hand.press("Shutdown")
    assert hand.refused()
    hand.press("Initialize")
    assert any(isinstance(e, effects.WarmUp) for e in hand.last)
    hand.network(up=True)
    assert hand.sent_of(wire.WarmUp) == [wire.WarmUp(provider="local")]
    assert hand.agent.enginestatus == "starting"
    hand.give(inputs.AudioReady(device="virtual", samplerate=48_000, echo_free=True))
    assert hand.agent.enginestatus == "ready"
    hand.press("Connect")
    assert hand.state == "connecting"


def test_forget_erases_the_open_conversation() -> None:
    hand = Hand().start()
    hand.press("Forget")
    assert hand.refused()
    hand.connected()
    hand.user("my name is Ada")
    hand.reply("hello Ada")
    session = hand.agent.session_id
    hand.press("Forget")
    assert hand.agent.rows == []
    kinds = [type(e) for e in hand.last]
    assert effects.RowsCleared in kinds
    assert effects.ForgetSession(session_id=session) in hand.last
    assert kinds.index(effects.ForgetSession) < kinds.index(effects.Journal)
    hand.closed()
    hand.sleep(1.0)
    assert hand.dialled[-1].history == []
    hand.press("Disconnect")
    hand.closed(asked=True)
    hand.press("Forget")
    assert effects.ForgetSession(session_id=session) in hand.last
    hand.press("Forget")
    assert hand.refused()


def test_what_was_forgotten_is_resumed_by_no_handle() -> None:
    hand = Hand(card(resumption="native")).start().connected()
    hand.user("my name is Ada")
    hand.leg_event(wire.Handle, handle="all about Ada")
    hand.press("Forget")
    hand.closed()
    hand.sleep(1.0)
    assert hand.dialled[-1].handle == ""
    hand.opened("fresh")
    hand.press("Disconnect")
    hand.closed(asked=True)
    lines = [journal.decode(e.line) for e in hand.all if isinstance(e, effects.Journal)]
    assert [line.handle for line in lines if isinstance(line, journal.Ended)] == [""]


def test_scanproviders_and_pulses_that_come_later() -> None:
    hand = Hand()
    hand.give(inputs.Started(connect=False))
    hand.press("Scanproviders")
    assert hand.refused()[0].code == "busy"
    hand.network(up=True)
    hand.press("Scanproviders")
    assert hand.sent_of(wire.ScanProviders) == [wire.ScanProviders(folder="")]
    hand.press("Nonsense")
    assert hand.refused()[0].code == "unknown_address"


def test_what_a_provider_lacks_is_installed_and_looked_for() -> None:
    hand = Hand()
    hand.press("Installdependencies")
    assert hand.refused()[0].code == "busy", "nobody knows yet what there is"
    hand.start()
    hand.press("Installdependencies")
    assert hand.refused()[0].code == "no_effect"
    lacking = card("local", missing=["alpha"], install="pip install alpha")
    hand.give(inputs.NetworkReady(catalogue=wire.Catalogue(providers=[lacking])))
    hand.press("Installdependencies")
    (asked,) = [effect for effect in hand.last if isinstance(effect, effects.Install)]
    assert (asked.packages, asked.command) == (("alpha",), "pip install alpha")

    hand.give(inputs.InstallTold(word="denied", sentence="ask the house", origin=asked.origin))
    (refused,) = hand.refused()
    assert (refused.code, refused.sentence) == ("denied", "ask the house")
    hand.give(inputs.InstallTold(word="installing", sentence="alpha, 1 of 1"))
    assert hand.callbacks("onStatus")[-1] == ("installing", "alpha, 1 of 1")
    hand.give(inputs.InstallTold(word="failed", sentence="no line"))
    assert hand.callbacks("onError")[-1] == ("install", "failed", "no line")
    assert hand.sent_of(wire.ScanProviders) == []
    hand.give(inputs.InstallTold(word="installed", sentence="alpha"))
    assert hand.sent_of(wire.ScanProviders) == [wire.ScanProviders(folder="")]


def test_resetcostmeter_zeroes_the_readouts() -> None:
    hand = Hand().start().connected()
    hand.leg_event(wire.Usage, response="r", usd=0.25)
    assert hand.told["par", "Conversationcost"] == "$0.25000"
    hand.press("Resetcostmeter")
    assert hand.told["par", "Conversationcost"] == "$0.00000"
    assert hand.told["par", "Sessioncost"] == "$0.00000"
