"""The real network process, with control and audio played by the rig."""

from __future__ import annotations

import numpy as np
import pytest

from tests.network.rig import AGENT, NetworkRig, await_true, tone
from voiced.errors import ExitCode
from voiced.lane.words import Lane, Owner
from voiced.messages.framing import Hello, Shutdown
from voiced.messages.network import (
    AssistantText,
    CloseLeg,
    Heard,
    LegClosed,
    LegOpened,
    LegRefused,
    Meter,
    Playing,
    ReplyHeard,
    ResponseDone,
    ResponseStarted,
    Say,
    SendText,
    SpeechEnded,
    SpeechStarted,
    Unsent,
    UserText,
)


@pytest.fixture
def rig():
    with NetworkRig() as made:
        made.spawn()
        yield made


def test_echo_says_back_what_was_said_with_push_to_talk(rig):
    rig.hush(0.5)
    opened = rig.open_leg("echo", push_to_talk=True, not_before_frame=0)
    assert opened.resumed == "fresh"
    said = tone(1.0)
    start = rig.gate(True)
    rig.speak(said)
    end = rig.gate(False)
    rig.hush(0.1)
    preroll = 200 * 48
    assert rig.receive(SpeechStarted).frame == start - preroll
    assert rig.receive(SpeechEnded).frame == end
    row = rig.receive(UserText)
    assert (row.final, row.text) == (True, "(1.2 s of sound)")
    assert (row.start_frame, row.end_frame) == (start - preroll, end)
    assert rig.receive(ResponseStarted).response == "r1"
    assert rig.receive(AssistantText).text == "(echo of 1.2 s)"
    assert rig.receive(ResponseDone, skip=[Playing]).status == "completed"
    played = rig.play_out(preroll + len(said))
    playing = rig.receive(Playing)
    assert (playing.response, playing.item) == ("r1", "a1")
    heard = rig.receive(Heard, where=lambda message: message.ms >= 1200)
    assert (heard.ms, heard.chars, heard.cut) == (1200, len("(echo of 1.2 s)"), False)
    assert rig.receive(ReplyHeard).latency_s >= 0
    # 48 kHz -> 24 kHz -> 48 kHz: a 440 Hz tone comes back as it was, after the silent pre-roll.
    assert np.abs(played[: preroll - 200]).max() == 0
    assert np.abs(played[preroll + 500 : -500] - said[500:-500].astype(int)).max() < 200
    assert rig.lane.get(Lane.GAPS) == 0
    assert rig.lane.get(Lane.SPEAKER_COMPLETE) == rig.lane.speaker.write_position
    await_true(lambda: rig.lane.get(Lane.NEAR_READ) == rig.near)


def test_echo_finds_turns_by_itself_when_the_gate_stays_open(rig):
    rig.open_leg("echo")
    rig.gate(True)
    rig.hush(0.3)
    start = rig.near
    rig.speak(tone(0.8))
    rig.hush(1.0)
    assert rig.receive(SpeechStarted).frame == pytest.approx(start, abs=4800)
    assert rig.receive(SpeechEnded).frame == pytest.approx(start + 0.8 * 48000, abs=4800)
    assert rig.receive(UserText).final
    rig.receive(ResponseDone)
    meter = rig.receive(Meter, where=lambda message: message.seconds_sent > 2.09)
    assert meter.seconds_sent == pytest.approx(2.1, abs=0.01)
    assert not meter.response_running
    assert meter.seconds_received > 0.8


def test_nothing_leaves_while_the_gate_is_closed(rig):
    rig.open_leg("echo")
    rig.speak(tone(1.0))
    await_true(lambda: rig.lane.get(Lane.NEAR_READ) == rig.near)
    assert rig.receive(Meter, skip=[SpeechStarted]).seconds_sent == 0
    rig.send(CloseLeg(agent=AGENT, leg=1))
    closed = rig.receive(LegClosed, skip=[SpeechStarted])
    assert closed.asked


def test_typed_text_is_answered_and_what_cannot_be_done_is_said(rig):
    rig.open_leg("echo")
    rig.send(SendText(agent=AGENT, leg=1, text="good evening"))
    assert rig.receive(AssistantText).text == "(echo of: good evening)"
    assert rig.receive(ReplyHeard).latency_s == -1
    rig.send(Say(agent=AGENT, leg=1, text="word for word"))
    assert "cannot speak word for word" in rig.receive(Unsent).sentence
    rig.send(CloseLeg(agent=AGENT, leg=1))
    assert rig.receive(LegClosed).asked
    rig.send(SendText(agent=AGENT, leg=1, text="too late"))
    assert "Connect" in rig.receive(Unsent).sentence


def test_a_provider_that_is_not_there_is_refused_with_those_that_are(rig):
    rig.send(rig.leg("no_such"))
    refused = rig.receive(LegRefused)
    assert refused.code == "no_provider"
    assert "echo" in refused.sentence


def test_a_new_leg_closes_the_one_before(rig):
    rig.open_leg("echo", leg=1)
    rig.send(rig.leg("echo", leg=2))
    closed = rig.receive(LegClosed, skip=[LegOpened])
    assert (closed.leg, closed.asked) == (1, True)
    assert rig.receive(LegOpened).leg == 2


def test_it_stamps_and_ends_when_told(rig):
    await_true(lambda: rig.device.age_s(Owner.NETWORK) < 0.3)
    rig.open_leg("echo")
    rig.send(Shutdown())
    assert rig.wait() == ExitCode.DONE


def test_it_ends_when_control_is_gone(rig):
    rig.socket.close()
    assert rig.wait() == ExitCode.CONTROL_GONE


def test_another_version_of_control_is_refused(rig):
    rig.kill()
    rig.spawn()
    rig.send(Hello(pid=1))
    assert rig.wait() == ExitCode.PROTOCOL


def test_a_reply_that_no_loudspeaker_takes_is_given_up_and_never_heard_late():
    with NetworkRig(speed=20) as rig:
        rig.spawn()
        rig.open_leg("echo", push_to_talk=True)
        rig.gate(True)
        rig.speak(tone(1.0))
        rig.gate(False)
        rig.hush(0.01)
        rig.receive(ResponseDone)
        rig.play_out(480)
        rig.receive(Playing)
        heard = rig.receive(Heard, where=lambda message: message.cut)
        assert heard.ms == 10
        rig.receive(ReplyHeard)
        assert rig.play(480).size == 0


def test_what_an_older_process_had_published_plays_on(rig):
    rig.open_leg("echo", push_to_talk=True)
    rig.gate(True)
    rig.speak(tone(1.0))
    rig.gate(False)
    rig.hush(0.01)
    rig.receive(ResponseDone)
    await_true(lambda: rig.lane.get(Lane.SPEAKER_COMPLETE) == 48_000)
    rig.play_out(9_600)
    rig.kill()
    rig.spawn()
    assert len(rig.play_out(38_400)) == 38_400
    rig.open_leg("echo", leg=2, push_to_talk=True)
    rig.gate(True)
    rig.speak(tone(0.5))
    rig.gate(False)
    rig.hush(0.01)
    rig.receive(ResponseDone)
    assert np.abs(rig.play_out(24_000)).max() > 5_000
    assert rig.lane.get(Lane.GAPS) == 0
