"""Legs that end, hands that die, limits that come: the session goes on, or says why not."""

from __future__ import annotations

import pytest

from voiced.messages import network as wire
from voiced.mind import effects, inputs, journal

from .hand import Hand, card

OFFLINE = inputs.AudioLost(sentence="the server died")

HALF_A_SECOND = 24_000
"""Frames: a detector needs what came before the first sound to notice its word."""


def status(hand: Hand) -> list[str]:
    return [word for word, _ in hand.callbacks("onStatus")]


def errors(hand: Hand) -> list[tuple[str, str]]:
    return [args[:2] for args in hand.callbacks("onError")]


def ended(hand: Hand) -> list[str]:
    return [args[1] for args in hand.callbacks("onSessionEnd")]


# --- connecting


def test_connecting_waits_for_the_network_process() -> None:
    hand = Hand()
    hand.give(inputs.Started(connect=True))
    assert hand.state == "connecting"
    assert hand.agent.enginestatus == "starting"
    assert hand.agent.next_deadline() is None
    hand.network(up=True)
    assert hand.dialled[0].attempt == 0


def test_unreachable_backs_off_and_never_gives_up() -> None:
    hand = Hand().start()
    hand.press("Connect")
    for _ in range(40):
        hand.leg_event(wire.LegUnreachable, code="503", sentence="busy")
        assert hand.agent.enginestatus == "retrying: busy"
        assert hand.state == "connecting"
        hand.sleep(61)
    assert len(hand.dialled) == 41
    assert errors(hand) == [("provider", "503")]
    hand.opened()
    assert hand.state == "active"
    assert hand.agent.enginestatus == "ready"


def test_at_most_six_attempts_a_minute() -> None:
    hand = Hand().start()
    hand.press("Connect")
    dialled = []
    until = hand.ns + 300_000_000_000
    while hand.ns < until:
        if hand.legs:
            dialled.append(hand.ns)
            hand.leg_event(wire.LegUnreachable, code="503", sentence="busy")
            assert 0 <= hand.agent.signals(hand.instant)["retry_in"] <= 60
        hand.sleep(0.25)
    for at in dialled:
        assert sum(at <= other < at + 60_000_000_000 for other in dialled) <= 7
    assert len(dialled) > 10


def test_a_flapping_link_is_no_storm() -> None:
    hand = Hand().start().connected()
    for _ in range(600):
        if hand.open_legs:
            hand.closed()
        elif hand.legs:
            hand.opened("replay")
        hand.sleep(1)
    assert len(hand.dialled) < 70


def test_refused_is_for_good() -> None:
    hand = Hand().start()
    hand.press("Connect")
    hand.leg_event(wire.LegRefused, code="1008", sentence="the key was refused")
    assert hand.state == "disconnected"
    assert hand.agent.value("par", "Active") is False
    assert hand.callbacks("onError") == [("provider", "1008", "the key was refused")]
    assert hand.words() == [("error", "the key was refused")]
    assert (hand.callbacks("onSessionStart"), hand.callbacks("onSessionEnd")) == ([], [])
    assert hand.agent.next_deadline() is None


def test_refused_while_open_ends_the_session() -> None:
    hand = Hand().start().connected()
    hand.leg_event(wire.LegRefused, code="quota", sentence="no money left")
    assert hand.state == "disconnected"
    assert ended(hand) == ["refused"]
    assert hand.agent.value("par", "Active") is False


def test_refused_while_refreshing() -> None:
    hand = Hand().start().connected()
    hand.closed()
    hand.sleep(1)
    hand.leg_event(wire.LegRefused, code="quota", sentence="no money left")
    assert hand.state == "disconnected"
    assert ended(hand) == ["refused"]


def test_an_end_before_the_opening() -> None:
    hand = Hand().start()
    hand.press("Connect")
    hand.closed()
    assert hand.state == "connecting"
    hand.sleep(1)
    hand.leg_event(wire.Expired, sentence="this conversation is over")
    assert hand.state == "disconnected"
    assert errors(hand)[-1] == ("provider", "expired")


def test_goaway_before_the_opening_means_nothing() -> None:
    hand = Hand().start()
    hand.press("Connect")
    hand.leg_event(wire.LegGoaway, reason="goaway", time_left_s=5)
    hand.leg_event(wire.SpeechStarted, frame=5)
    assert hand.state == "connecting"
    assert status(hand) == []


@pytest.mark.parametrize("kind", [wire.LegUnreachable, wire.LegRefused])
def test_a_leg_that_fails_while_ending_is_gone(kind: type[wire.LegMessage]) -> None:
    hand = Hand().start()
    hand.press("Connect")
    hand.press("Disconnect")
    assert hand.state == "ending"
    hand.leg_event(kind, code="x", sentence="y")
    assert hand.state == "disconnected"


def test_late_openings_and_expiries_while_ending() -> None:
    hand = Hand().start()
    hand.press("Connect")
    hand.press("Disconnect")
    hand.leg_event(wire.Expired)
    hand.leg_event(wire.LegOpened, resumed="fresh")
    assert hand.state == "ending"
    assert hand.callbacks("onSessionStart") == []


# --- losing a leg


def test_a_dropped_leg_is_dialled_again_at_once_with_the_history() -> None:
    hand = Hand().start().connected()
    hand.user("hello")
    hand.reply("good day")
    hand.sleep(10)
    hand.closed()
    assert hand.state == "refreshing"
    assert hand.gate
    assert errors(hand) == [("provider", "1006")]
    assert len(hand.dialled) == 2
    dial = hand.dialled[1]
    assert [(row.role, row.text) for row in dial.history] == [
        ("user", "hello"), ("assistant", "good day")
    ]  # fmt: skip
    assert not dial.respond
    hand.opened("replay")
    assert hand.state == "active"
    assert hand.words()[-1] == ("system", "▶ Refreshed session (replay) — reason: lost")
    readout = "Replayed 2 messages (replay, cost grows with history)"
    assert hand.agent.value("par", "Sessionresume") == readout
    assert status(hand) == ["refreshing"]
    assert len(hand.callbacks("onSessionStart")) == 1


def test_a_lost_network_process_is_waited_for() -> None:
    hand = Hand().start().connected()
    hand.network(up=False)
    assert hand.state == "refreshing"
    assert errors(hand) == [("network", "lost")]
    assert hand.agent.enginestatus.startswith("degraded: the network process")
    hand.network(up=False)
    assert errors(hand) == [("network", "lost")]
    hand.network(up=True)
    assert hand.dialled[-1].leg == 2
    hand.opened("replay")
    assert hand.agent.enginestatus == "ready"
    assert errors(hand) == [("network", "lost")]


def test_twenty_lost_processes_in_a_row_are_no_failures() -> None:
    hand = Hand().start().connected()
    for _ in range(20):
        hand.network(up=False)
        hand.sleep(0.5)
        hand.network(up=True)
        hand.opened("replay")
        hand.sleep(0.5)
    assert len(hand.dialled) == 21
    assert hand.state == "active"


def test_network_lost_in_other_states() -> None:
    hand = Hand().start()
    hand.network(up=False)
    assert hand.state == "disconnected"
    hand.network(up=True)
    hand.press("Connect")
    hand.network(up=False)
    assert hand.state == "connecting"
    hand.network(up=True)
    hand.opened()
    hand.press("Disconnect")
    hand.network(up=False)
    assert hand.state == "disconnected"
    assert ended(hand) == ["disconnect"]


def test_the_users_unfinished_sentence_is_heard_again_and_keeps_its_row() -> None:
    hand = Hand().start().connected()
    hand.leg_event(wire.SpeechStarted, frame=700_000)
    hand.leg_event(wire.UserText, item="x", text="I would like", start_frame=700_000)
    row = hand.agent.rows[0].id
    hand.give(inputs.NearAt(frame=800_000))
    hand.network(up=False)
    hand.network(up=True)
    dial = hand.dialled[-1]
    assert dial.from_frame == 700_000 - HALF_A_SECOND
    assert dial.history == []
    assert not dial.respond
    hand.opened("replay")
    hand.leg_event(wire.SpeechStarted, frame=700_400)
    hand.leg_event(wire.UserText, item="x", text="I would like a tea", start_frame=700_400)
    hand.leg_event(wire.SpeechEnded, frame=900_000)
    hand.leg_event(wire.UserText, item="x", text="I would like a tea please", final=True,
                   start_frame=700_400, end_frame=900_000)  # fmt: skip
    users = [r for r in hand.agent.rows if r.role == "user"]
    assert [(r.id, r.message) for r in users] == [(row, "I would like a tea please")]
    assert hand.callbacks("onUserText")[-1] == ("I would like a tea please", 1, row)


def test_a_sentence_without_a_row_yet_is_heard_again() -> None:
    hand = Hand().start().connected()
    hand.leg_event(wire.SpeechStarted, frame=700_000)
    hand.closed()
    assert hand.dialled[-1].from_frame == 700_000 - HALF_A_SECOND


def test_several_unfinished_turns_keep_their_rows() -> None:
    hand = Hand().start().connected()
    for item, start in (("x", 100_000), ("y", 400_000)):
        hand.leg_event(wire.SpeechStarted, frame=start)
        hand.leg_event(wire.SpeechEnded, frame=start + 90_000)
        hand.leg_event(wire.UserText, item=item, text=item, start_frame=start)
    ids = [row.id for row in hand.agent.rows]
    hand.closed()
    assert hand.dialled[-1].from_frame == 100_000 - HALF_A_SECOND
    hand.opened("replay")
    for item, start in (("p", 100_100), ("q", 400_200)):
        hand.leg_event(wire.SpeechStarted, frame=start)
        hand.leg_event(wire.SpeechEnded, frame=start + 90_000)
        hand.leg_event(wire.UserText, item=item, text=item * 3, start_frame=start, final=True)
    users = [r for r in hand.agent.rows if r.role == "user"]
    assert [(r.id, r.message) for r in users] == list(zip(ids, ("ppp", "qqq"), strict=True))


def test_without_an_open_turn_the_next_leg_hears_a_little_earlier() -> None:
    hand = Hand().start().connected()
    hand.user("hello", start=1000, end=20_000)
    hand.reply("yes")
    hand.give(inputs.NearAt(frame=480_000))
    hand.closed()
    assert hand.dialled[-1].from_frame == 480_000 - 24_000
    hand.opened("replay")
    hand.user("more", "u2", start=500_000, end=590_000)
    hand.reply("yes", "r2")
    hand.give(inputs.NearAt(frame=600_000))
    hand.sleep(10)
    hand.closed()
    assert hand.dialled[-1].from_frame == 590_000


def test_refreshkeep_zero_drops_what_was_not_answered() -> None:
    hand = Hand(values={("par", "Refreshkeep"): 0}).start().connected()
    hand.leg_event(wire.SpeechStarted, frame=100)
    hand.leg_event(wire.SpeechEnded, frame=200)
    hand.leg_event(wire.UserText, item="x", text="half a sen", start_frame=100)
    hand.give(inputs.NearAt(frame=1000))
    hand.closed()
    assert hand.dialled[-1].from_frame == -1
    assert hand.dialled[-1].max_backlog_s == 0
    hand.opened("replay")
    hand.user("a new one", "y", 5000, 6000)
    users = [r.message for r in hand.agent.rows if r.role == "user"]
    assert users == ["half a sen", "a new one"]


def test_turns_too_old_for_refreshkeep_are_told_once() -> None:
    hand = Hand().start().connected()
    hand.leg_event(wire.SpeechStarted, frame=100)
    hand.leg_event(wire.UserText, item="x", text="half", start_frame=100)
    hand.closed()
    hand.opened("replay")
    hand.leg_event(wire.TurnsSkipped, seconds=21.0, to_frame=90_000)
    assert status(hand).count("skipped") == 1
    assert '"partial":"skipped"' in hand.agent.rows[0].metadata
    hand.user("new", "x", 100_000, 110_000)
    assert [r.message for r in hand.agent.rows if r.role == "user"] == ["half", "new"]


# --- a reply under way


def begin_reply(hand: Hand) -> None:
    hand.user("tell me all")
    hand.leg_event(wire.ResponseStarted, response="r1")
    hand.leg_event(wire.AssistantText, response="r1", item="i", text="once upon")
    hand.leg_event(wire.Playing, response="r1", item="i")


def test_half_a_reply_is_silenced_marked_and_asked_for_again() -> None:
    hand = Hand().start().connected()
    begin_reply(hand)
    hand.leg_event(wire.Heard, response="r1", item="i", ms=300, chars=5, cut=False)
    out = hand.network(up=False)
    assert any(isinstance(e, effects.StopSpeaker) for e in out)
    assert hand.words() == [("user", "tell me all"), ("assistant", "once ")]
    assert hand.agent.rows[1].metadata == '{"cut":"lost"}'
    assert hand.agent.signals(hand.instant)["assistant_speaking"] == 0
    hand.network(up=True)
    dial = hand.dialled[-1]
    assert dial.respond
    assert [row.text for row in dial.history] == ["tell me all"]
    hand.opened("replay")
    assert hand.agent.signals(hand.instant)["phase"] == 3
    hand.leg_event(wire.ResponseStarted, response="r1")
    hand.leg_event(wire.AssistantText, response="r1", item="i", text="once upon a time")
    assert [m for role, m in hand.words() if role == "assistant"] == [
        "once ", "once upon a time"
    ]  # fmt: skip


def test_a_complete_reply_is_let_finish() -> None:
    hand = Hand().start().connected()
    begin_reply(hand)
    hand.leg_event(wire.ResponseDone, response="r1", status="completed")
    hand.leg_event(
        wire.Meter, seconds_sent=1.0, seconds_received=9.0, connected_s=1.0,
        response_running=False, rx_age_s=0.1, buffered_s=4.0,
    )  # fmt: skip
    out = hand.network(up=False)
    assert not any(isinstance(e, effects.StopSpeaker) for e in out)
    assert hand.agent.signals(hand.instant)["assistant_speaking"] == 1
    hand.sleep(5.9)
    assert hand.agent.signals(hand.instant)["assistant_speaking"] == 1
    hand.sleep(0.2)
    assert hand.agent.signals(hand.instant)["assistant_speaking"] == 0
    hand.network(up=True)
    assert not hand.dialled[-1].respond
    assert len(hand.dialled[-1].history) == 2


def test_what_was_heard_of_an_older_leg_is_kept_and_nothing_else() -> None:
    hand = Hand().start().connected()
    begin_reply(hand)
    hand.leg_event(wire.ResponseDone, response="r1", status="completed")
    hand.closed()
    hand.opened("replay")
    rows = hand.agent.rows
    hand.leg_event(wire.AssistantText, leg=1, response="r1", item="i", text=" late")
    hand.leg_event(wire.ToolCall, leg=1, call_id="c", name="x", arguments="{}")
    hand.leg_event(wire.LegClosed, leg=1, asked=False)
    assert hand.agent.rows == rows
    assert hand.state == "active"
    hand.leg_event(wire.Heard, leg=1, response="r1", item="i", ms=400, chars=4, cut=True)
    assert ("assistant", "once") in hand.words()
    hand.leg_event(wire.ReplyHeard, leg=1, response="r1", latency_s=0.2)
    assert hand.agent.signals(hand.instant)["assistant_speaking"] == 0
    before = hand.told["par", "Conversationcost"]
    hand.leg_event(wire.Usage, leg=1, response="r1", usd=0.5)
    assert hand.told["par", "Conversationcost"] != before


# --- planned refreshes


def meterless(**fields: object) -> Hand:
    return Hand(card(max_session_s=60, **fields)).start().connected()


def test_the_cap_expiring_then_refreshing() -> None:
    hand = meterless(resumption="native")
    hand.leg_event(wire.Handle, handle="opaque-1")
    hand.sleep(29.9)
    assert status(hand) == []
    hand.sleep(0.2)
    assert status(hand) == ["expiring"]
    hand.sleep(24.8)
    assert hand.state == "active"
    hand.sleep(0.2)
    assert status(hand) == ["expiring", "refreshing"]
    assert hand.sent_of(wire.CloseLeg) == [wire.CloseLeg(agent="a", leg=1, let_finish=True)]
    assert hand.dialled[-1].handle == "opaque-1"
    assert hand.gate
    hand.opened("native")
    assert hand.words() == [("system", "▶ Refreshed session (native) — reason: cap")]
    assert hand.agent.value("par", "Sessionresume") == "Resumed via native handle (local)"
    hand.sleep(54.9)
    assert status(hand).count("expiring") == 2


def test_no_handle_where_it_is_not_wanted() -> None:
    hand = Hand(values={("par", "Enablesessionresumption"): False}).start().connected()
    hand.leg_event(wire.Handle, handle="opaque-1")
    hand.closed()
    assert hand.dialled[-1].handle == ""


def test_a_refresh_waits_for_the_running_reply() -> None:
    hand = meterless()
    hand.sleep(50)
    begin_reply(hand)
    hand.sleep(8)
    assert hand.state == "active"
    hand.leg_event(wire.ResponseDone, response="r1", status="completed")
    hand.leg_event(wire.ReplyHeard, response="r1")
    assert hand.state == "refreshing"


def test_a_refresh_does_not_wait_beyond_the_cap() -> None:
    hand = meterless()
    hand.sleep(50)
    begin_reply(hand)
    hand.sleep(9.2)
    assert hand.state == "refreshing"
    assert hand.dialled[-1].respond


def test_no_warning_is_told_with_refreshwarning_zero() -> None:
    hand = Hand(card(max_session_s=60), values={("par", "Refreshwarning"): 0}).start().connected()
    hand.sleep(56)
    assert status(hand) == ["refreshing"]


@pytest.mark.parametrize("how", ["off", "none"])
def test_without_refresh_the_cap_ends_the_session(how: str) -> None:
    fields = {"resumption": "none"} if how == "none" else {}
    values = {("par", "Autosessionrefresh"): how != "off"}
    hand = Hand(card(max_session_s=60, **fields), values=values).start().connected()
    hand.sleep(58)
    assert hand.state == "active"
    hand.sleep(1.5)
    assert hand.state == "ending"
    hand.closed(asked=True)
    assert ended(hand) == ["cap"]
    assert status(hand) == ["expiring", "expired"]
    names = [e.name for e in hand.last if isinstance(e, effects.Callback)]
    assert names.index("onSessionEnd") < names.index("onStatus")
    assert hand.agent.value("par", "Active") is False


def test_goaway_is_told_and_refreshes_at_once_when_idle() -> None:
    hand = Hand().start().connected()
    hand.leg_event(wire.LegGoaway, reason="goaway", time_left_s=50)
    assert status(hand) == ["goaway", "refreshing"]
    hand.opened("replay")
    assert hand.words() == [("system", "▶ Refreshed session (replay) — reason: goaway")]


def test_goaway_waits_for_a_reply_and_is_told_when_refresh_is_off() -> None:
    hand = Hand(values={("par", "Autosessionrefresh"): False}).start().connected()
    begin_reply(hand)
    hand.leg_event(wire.LegGoaway, reason="goaway", time_left_s=10)
    assert status(hand) == ["goaway"]
    hand.sleep(8.9)
    assert hand.state == "active"
    hand.sleep(0.2)
    assert hand.state == "ending"
    hand.closed(asked=True)
    assert ended(hand) == ["goaway"]
    assert status(hand) == ["goaway", "expired"]


def test_the_service_ends_the_session_for_good() -> None:
    hand = Hand().start().connected()
    hand.leg_event(wire.Expired)
    assert hand.state == "ending"
    hand.leg_event(wire.LegGoaway, reason="cap", time_left_s=1)
    hand.closed(asked=True)
    assert (ended(hand), status(hand)) == (["cap"], ["expired"])


def test_no_history_where_nothing_can_be_resumed() -> None:
    hand = Hand(card(resumption="none")).start().connected()
    hand.user("hello")
    hand.closed()
    assert (hand.dialled[-1].history, hand.dialled[-1].respond) == ([], False)
    hand.opened("fresh")
    assert hand.words()[-1] == ("system", "▶ Refreshed session (fresh) — reason: lost")
    assert hand.agent.value("par", "Sessionresume") == "Fresh session"


def test_maxreplayrows() -> None:
    hand = Hand(values={("par", "Maxreplayrows"): 3}).start().connected()
    for n in range(5):
        hand.user(f"q{n}", f"u{n}", n * 1000, n * 1000 + 10)
        hand.reply(f"a{n}", f"r{n}")
    hand.closed()
    assert [row.text for row in hand.dialled[-1].history] == ["a3", "q4", "a4"]


# --- sound card and inference


def test_a_gate_that_closes_without_audio_tells_where_the_turn_ends() -> None:
    values: dict[tuple[str, str], wire.Value] = {
        ("par", "Sessionmode"): "push_to_talk", ("par", "Talktail"): 0
    }  # fmt: skip
    hand = Hand(values=values).start().connected()
    hand.write("Talk", True)
    hand.give(inputs.GateMoved(frame=1000, open=True, serial=1))
    assert hand.last == [effects.SignalNow(channels=("mic_open",))]
    assert hand.agent.signals(hand.instant)["mic_open"] == 1
    hand.give(inputs.NearAt(frame=5000))
    hand.give(OFFLINE)
    assert hand.agent.signals(hand.instant)["mic_open"] == 0
    hand.write("Talk", False)
    assert hand.sent_of(wire.TurnEnd) == [wire.TurnEnd(agent="a", leg=1, frame=5000)]
    hand.write("Talk", True)
    hand.write("Talk", False)
    assert len(hand.sent_of(wire.TurnEnd)) == 1


def test_a_turn_that_ended_without_audio_and_without_a_leg_is_told_to_the_next() -> None:
    values: dict[tuple[str, str], wire.Value] = {
        ("par", "Sessionmode"): "push_to_talk", ("par", "Talktail"): 0
    }  # fmt: skip
    hand = Hand(values=values).start().connected()
    hand.write("Talk", True)
    hand.give(inputs.GateMoved(frame=1000, open=True, serial=1))
    hand.give(OFFLINE)
    hand.network(up=False)
    hand.write("Talk", False)
    assert not hand.sent_of(wire.TurnEnd)
    hand.network(up=True)
    hand.opened("replay")
    assert hand.sent_of(wire.TurnEnd) == [wire.TurnEnd(agent="a", leg=2, frame=1000)]


def test_audio_in_words() -> None:
    hand = Hand()
    hand.give(inputs.Started(connect=False))
    hand.network(up=True)
    assert hand.agent.enginestatus == "starting"
    hand.give(OFFLINE)
    hand.give(inputs.AudioAbsent(sentence="there is no card"))
    assert errors(hand) == [("audio", "lost")], "it died before it ever had a card"
    hand.give(inputs.AudioReady(device="d", samplerate=48_000, echo_free=True))
    hand.give(inputs.AudioAbsent(sentence="there is no card"))
    assert hand.agent.enginestatus == "no_device: there is no card"
    assert errors(hand)[1:] == [("audio", "no_device")]
    hand.give(OFFLINE)
    hand.give(inputs.AudioReady(device="d", samplerate=48_000, echo_free=True))
    hand.give(OFFLINE)
    hand.give(OFFLINE)
    assert hand.agent.enginestatus.startswith("degraded: the audio process")
    hand.give(inputs.AudioAbsent(sentence="there is no card"))
    assert errors(hand)[1:] == [("audio", "no_device"), ("audio", "lost")]
    hand.give(inputs.AudioReady(device="d", samplerate=48_000, echo_free=True))
    assert hand.agent.enginestatus == "ready"


def test_inference_in_words() -> None:
    hand = Hand().start()
    hand.give(inputs.InferenceLost(sentence="killed"))
    hand.give(inputs.InferenceLost(sentence="killed"))
    assert errors(hand) == [("inference", "lost")]
    assert hand.agent.enginestatus.startswith("degraded: the inference process")
    hand.give(inputs.InferenceReady())
    assert hand.agent.enginestatus == "ready"


def test_no_audio_means_no_waiting_for_it() -> None:
    hand = Hand(card(metering="wallclock"), values={("par", "Sessionmode"): "one_turn"})
    hand.start().connected()
    hand.give(inputs.AudioAbsent(sentence="there is no card"))
    hand.leg_event(wire.ResponseStarted, response="r")
    hand.leg_event(wire.AssistantText, response="r", item="i", text="yes")
    hand.leg_event(wire.ResponseDone, response="r", status="completed")
    assert hand.state == "ending"


# --- the end of a call


def hang_up(hand: Hand) -> None:
    hand.leg_event(wire.ToolCall, call_id="c", name="end_conversation", arguments="{}")


def test_end_conversation_waits_until_the_closing_words_were_heard() -> None:
    hand = Hand().start().connected()
    assert [tool.name for tool in hand.dialled[0].tools] == ["end_conversation"]
    begin_reply(hand)
    hang_up(hand)
    assert not hand.sent_of(wire.ToolResult), "the model has said goodbye and is not asked on"
    assert [row[0] for row in hand.callbacks("onToolResult")] == ["c"]
    assert not hand.gate
    hand.leg_event(wire.ResponseDone, response="r1", status="completed")
    hand.sleep(1)
    assert hand.state == "armed"
    hand.leg_event(wire.ReplyHeard, response="r1")
    assert hand.state == "ending"
    assert hand.sent_of(wire.CloseLeg)[-1].let_finish  # type: ignore[attr-defined]
    hand.closed(asked=True)
    assert ended(hand) == ["end_conversation"]
    assert hand.agent.value("par", "Active") is False


def test_the_goodbye_may_come_behind_the_call() -> None:
    hand = Hand().start().connected()
    hang_up(hand)
    hand.sleep(1)
    hand.leg_event(wire.ResponseStarted, response="bye")
    hand.sleep(5)
    assert hand.state == "armed"
    hand.leg_event(wire.AssistantText, response="bye", item="i", text="bye")
    hand.leg_event(wire.Playing, response="bye", item="i")
    hand.leg_event(wire.ResponseDone, response="bye", status="completed")
    hand.leg_event(wire.ReplyHeard, response="bye")
    assert hand.state == "ending"


def test_a_reply_that_only_hangs_up_is_followed_by_a_goodbye() -> None:
    hand = Hand().start().connected()
    hand.user("I have to go")
    hand.leg_event(wire.ResponseStarted, response="r1")
    hang_up(hand)
    assert hand.sent_of(wire.ToolResult)[0].ok  # type: ignore[attr-defined]
    hand.leg_event(wire.ResponseDone, response="r1", status="completed")
    hand.leg_event(wire.ReplyHeard, response="r1")
    hand.sleep(3)
    assert hand.state == "armed"
    hand.reply("farewell")
    assert hand.state == "ending"


def test_a_goodbye_ends_where_the_service_waits_for_a_result_to_end_it() -> None:
    hand = Hand().start().connected()
    begin_reply(hand)
    hang_up(hand)
    for buffered in (1.5, 0.5, 0.0, 0.3, 0.0):
        hand.leg_event(
            wire.Meter, seconds_sent=1.0, seconds_received=3.0, connected_s=4.0,
            response_running=True, rx_age_s=0.1, buffered_s=buffered,
        )  # fmt: skip
        hand.sleep(1.9)
        assert hand.state == "armed"
    hand.sleep(0.1)
    assert hand.state == "ending"
    hand.closed(asked=True)
    assert ended(hand) == ["end_conversation"]


def test_what_sounds_before_another_tool_s_result_is_no_goodbye() -> None:
    hand = Hand().start().connected()
    begin_reply(hand)
    hand.leg_event(wire.ToolCall, call_id="d", name="set_lights", arguments="{}")
    hang_up(hand)
    assert len(hand.sent_of(wire.ToolResult)) == 2
    hand.leg_event(wire.AssistantText, response="r1", item="i", text=" goodbye")
    hand.leg_event(wire.ResponseDone, response="r1", status="completed")
    assert hand.state == "armed"
    hand.leg_event(wire.ReplyHeard, response="r1")
    assert hand.state == "ending"


def test_end_conversation_has_a_deadline() -> None:
    hand = Hand().start().connected()
    hang_up(hand)
    hang_up(hand)
    hand.sleep(4.9)
    assert hand.state == "armed"
    hand.sleep(0.1)
    assert hand.state == "ending"
    running = Hand().start().connected()
    begin_reply(running)
    hang_up(running)
    running.sleep(29)
    assert running.state == "armed"
    running.sleep(2)
    assert running.state == "ending"


def test_a_leg_lost_while_closing_ends_the_session() -> None:
    hand = Hand().start().connected()
    hang_up(hand)
    hand.closed()
    assert hand.state == "disconnected"
    assert ended(hand) == ["end_conversation"]


def test_any_other_call_is_answered() -> None:
    hand = Hand(values={("par", "Allowendconversation"): False}).start().connected()
    assert hand.dialled[0].tools == []
    hang_up(hand)
    hand.leg_event(wire.ToolCall, call_id="d", name="set_lights", arguments='{"level": 1}')
    hand.leg_event(wire.ToolCancelled, call_id="d")
    results = hand.sent_of(wire.ToolResult)
    assert [r.ok for r in results] == [False, False]  # type: ignore[attr-defined]
    assert hand.state == "active"
    assert hand.callbacks("onToolCall")[1] == ("d", "set_lights", '{"level": 1}')
    assert [args[:3] for args in hand.callbacks("onToolResult")][1] == ("d", "set_lights", 0)
    assert [(r.role, r.type) for r in hand.agent.rows] == [
        ("tool", "tool_call"), ("tool", "tool_result")
    ] * 2  # fmt: skip


# --- money


def meter(hand: Hand, sent: float, received: float = 0.0, connected: float = 0.0) -> None:
    hand.leg_event(
        wire.Meter, seconds_sent=sent, seconds_received=received, connected_s=connected,
        response_running=True, rx_age_s=0.5,
    )  # fmt: skip


def test_the_budget_cuts_at_once() -> None:
    hand = Hand(values={("par", "Costbudget"): 0.5}).start().connected()
    begin_reply(hand)
    meter(hand, 10.0, 40.0)  # 0.01 + 0.4 USD
    assert hand.state == "active"
    assert hand.agent.signals(hand.instant)["budget_left"] == pytest.approx(0.09)
    meter(hand, 10.0, 50.0)
    assert hand.state == "ending"
    assert any(isinstance(e, effects.StopSpeaker) for e in hand.last)
    assert not hand.sent_of(wire.CloseLeg)[-1].let_finish  # type: ignore[attr-defined]
    assert errors(hand) == [("budget", "exceeded")]
    assert hand.agent.rows[-1].role == "error"
    assert hand.agent.value("par", "Active") is False
    hand.closed(asked=True)
    ((_, reason, _, cost),) = hand.callbacks("onSessionEnd")
    assert (reason, cost) == ("budget", pytest.approx(0.51))
    spent = sum(e.usd for e in hand.all if isinstance(e, effects.Spend))
    assert spent == pytest.approx(0.51)


def test_the_budget_goes_over_refreshes_and_over_resets() -> None:
    hand = Hand(values={("par", "Costbudget"): 0.5}).start().connected()
    hand.leg_event(wire.Usage, response="r", usd=0.4)
    hand.sleep(10)
    hand.closed()
    hand.press("Resetcostmeter")
    hand.opened("replay")
    assert hand.told["par", "Sessioncost"] == "$0.00000"
    hand.leg_event(wire.Usage, response="r", usd=0.2)
    assert hand.state == "ending"


def test_the_budget_is_kept_while_refreshing() -> None:
    hand = Hand(values={("par", "Costbudget"): 0.5}).start().connected()
    hand.closed()
    hand.leg_event(wire.Usage, leg=1, response="r", usd=0.6)
    assert hand.state == "ending"


def test_an_unpriced_model_counts_as_the_dearest() -> None:
    hand = Hand(values={("par", "Model"): "unheard-of"}).start().connected()
    meter(hand, 60.0, 60.0)
    assert hand.told["par", "Conversationcost"] == "$6.60000"


def test_time_on_the_wire_is_spent_as_it_passes() -> None:
    price = wire.Price(wallclock_usd_min=0.06)
    hand = Hand(card(metering="wallclock", pricing={"small": price})).start().connected()
    for second in range(1, 11):
        meter(hand, 0.0, connected=float(second))
    spent = [e.usd for e in hand.all if isinstance(e, effects.Spend)]
    assert spent == pytest.approx([0.001] * 10)
    assert hand.told["par", "Conversationcost"] == "$0.01000"


def test_connect_begins_a_new_conversations_cost() -> None:
    hand = Hand().start().connected()
    hand.leg_event(wire.Usage, response="r", usd=0.4)
    hand.press("Disconnect")
    hand.closed(asked=True)
    hand.leg_event(wire.Usage, leg=1, response="r", usd=0.1)
    assert hand.told["par", "Conversationcost"] == "$0.50000"
    hand.press("Connect")
    assert hand.told["par", "Conversationcost"] == "$0.00000"


# --- the journal


def test_the_journal_rebuilds_the_session() -> None:
    hand = Hand(trace_dir="/traces/a").start().connected()
    hand.user("hello")
    hand.reply("good day")
    hand.leg_event(wire.Handle, handle="opaque")
    hand.leg_event(wire.Usage, response="r1", usd=0.01, detail="12 tokens")
    rows = hand.agent.rows
    hand.press("Disconnect")
    hand.closed(asked=True)
    session = hand.agent.session_id
    written = [e for e in hand.all if isinstance(e, effects.Journal)]
    assert {e.session_id for e in written} == {session}
    lines = [journal.decode(e.line) for e in written]
    assert isinstance(lines[0], journal.Began)
    assert isinstance(lines[1], journal.LegBegan)
    assert isinstance(lines[-1], journal.Ended)
    assert lines[-1].handle == "opaque"
    by_id = {line.row.id: line.row for line in lines if isinstance(line, journal.RowLine)}
    assert list(by_id.values()) == rows
    assert {type(line) for line in lines} >= {
        journal.HandleLine, journal.CostLine, journal.LatencyLine
    }  # fmt: skip
    assert hand.callbacks("onSessionEnd")[0][2] == f"/traces/a/{session}.json"
    assert any(isinstance(e, effects.TraceClosed) for e in hand.last)


def test_no_journal_without_sessiontracing() -> None:
    hand = Hand(values={("par", "Sessiontracing"): False}).start().connected()
    hand.user("hello")
    hand.press("Disconnect")
    hand.closed(asked=True)
    assert not [e for e in hand.all if isinstance(e, effects.Journal | effects.TraceClosed)]
    assert hand.callbacks("onSessionEnd")[0][2] == ""


# --- the rest of what is told


def test_troubles_signals_and_affects() -> None:
    hand = Hand().start().connected()
    hand.give(wire.NetworkTrouble(source="provider", code="broken", sentence="it does not load"))
    hand.leg_event(wire.LegTrouble, code="odd", sentence="an unknown event")
    hand.leg_event(wire.Unsent, sentence="the text was not sent")
    assert [code for _, code in errors(hand)] == ["broken", "odd", "unsent"]
    hand.leg_event(wire.ProviderSignal, channels={"local_affect_joy": 0.7})
    assert hand.agent.signals(hand.instant)["local_affect_joy"] == 0.7
    hand.user("hello", "u1")
    hand.leg_event(wire.Affect, item="u1", scores="{}")
    hand.leg_event(wire.Affect, item="u9", scores="{}")
    assert hand.callbacks("onAffect") == [(hand.agent.rows[0].id, "{}"), ("", "{}")]
    hand.leg_event(wire.ResponseStarted, response="r")
    hand.leg_event(wire.ResponseDone, response="r", status="failed")
    assert errors(hand)[-1] == ("provider", "response_failed")


def test_phases_of_a_conversation() -> None:
    hand = Hand().start()

    def phase() -> float:
        return hand.agent.signals(hand.instant)["phase"]

    assert phase() == 0
    hand.press("Connect")
    assert phase() == 5
    hand.opened()
    assert phase() == 1
    assert effects.SignalNow(channels=("phase",)) in hand.last
    hand.leg_event(wire.SpeechStarted, frame=1)
    hand.leg_event(wire.SpeechStarted, frame=2)
    assert phase() == 2
    hand.leg_event(wire.SpeechEnded, frame=3)
    hand.leg_event(wire.SpeechEnded, frame=3)
    assert phase() == 3
    assert hand.callbacks("onUserSpeechStarted") == [(1,)]
    assert hand.callbacks("onUserSpeechEnded") == [(1,)]
    hand.leg_event(wire.UserTurnDropped, item="u")
    assert phase() == 1
    hand.reply("yes", heard=False)
    assert phase() == 4
    hand.leg_event(wire.ReplyHeard, response="r1", latency_s=0.7)
    assert phase() == 1
    assert hand.agent.signals(hand.instant)["latency"] == 0.7
    hand.sleep(3)
    assert hand.agent.signals(hand.instant)["session_seconds"] == pytest.approx(3.0)
    hand.press("Disconnect")
    assert phase() == 0


def test_no_preroll_reaches_before_the_session() -> None:
    hand = Hand().start()
    hand.press("Connect")
    assert hand.dialled[0].not_before_frame == -1
    hand.give(inputs.NearAt(frame=50_000))
    hand.opened()
    hand.give(inputs.NearAt(frame=60_000))
    hand.closed()
    assert hand.dialled[1].not_before_frame == 50_000
    assert hand.dialled[1].from_frame == 50_000


def test_a_network_process_that_was_asked_to_go_is_no_error() -> None:
    hand = Hand().start().connected()
    hand.network_up = False
    hand.legs.clear()
    hand.open_legs.clear()
    hand.give(inputs.NetworkLost(sentence="restarted", asked=True))
    assert errors(hand) == []
    assert hand.state == "refreshing"


def test_goaway_with_a_reply_running_waits_beyond_the_warning() -> None:
    hand = meterless()
    begin_reply(hand)
    hand.leg_event(wire.LegGoaway, reason="goaway", time_left_s=50)
    hand.sleep(45)
    assert hand.state == "active"
    hand.sleep(5)
    assert status(hand) == ["goaway", "refreshing"]


def test_printcallbacks_logs_names_only() -> None:
    hand = Hand(values={("par", "Printcallbacks"): True}).start().connected()
    hand.press("Sendtext", "my name is Ada")
    lines = [e.line for e in hand.last if isinstance(e, effects.Log)]
    assert lines == ["a: > onUserText"]
    logged = [e.line for e in hand.all if isinstance(e, effects.Log)]
    assert not any("Ada" in line for line in logged)


def test_stop_ends_a_replay() -> None:
    hand = Hand().start().connected()
    hand.reply("good day")
    hand.press("Replay")
    hand.press("Stop")
    assert not hand.refused()
    hand.press("Stop")
    assert hand.refused()


def test_a_connect_remembered_when_the_network_process_is_lost() -> None:
    hand = Hand().start().connected()
    hand.press("Disconnect")
    hand.press("Connect")
    hand.network(up=False)
    assert hand.state == "connecting"
    hand.network(up=True)
    hand.opened()
    assert hand.state == "active"


def test_an_inference_process_that_ends_is_told_once() -> None:
    hand = Hand().start().connected()
    hand.leg_event(wire.LegClosed, asked=False, code=wire.INFERENCE_LOST, sentence="gone")
    hand.give(inputs.InferenceLost(sentence="killed"))
    assert errors(hand) == [("inference", "lost")]
    assert hand.state == "refreshing"


def test_without_a_loudspeaker_the_words_stand_as_text() -> None:
    hand = Hand().start().connected()
    hand.give(inputs.AudioAbsent(sentence="there is no card"))
    begin_reply(hand)
    hand.leg_event(wire.AssistantText, response="r1", item="i", text=" a time", final=True)
    hand.leg_event(wire.Heard, response="r1", item="i", ms=0, chars=0, cut=True)
    assert hand.words()[-1] == ("assistant", "once upon a time")
