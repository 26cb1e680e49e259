"""Frames from near to a provider through the real process: exact to the sample, once, in order."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests.network.rig import AGENT, NetworkRig, await_true
from voiced.lane.words import Lane
from voiced.messages.network import (
    CloseLeg,
    Heard,
    Interrupt,
    LegClosed,
    Meter,
    Playing,
    ReplyHeard,
    ResponseStarted,
    SendText,
    SpeechEnded,
    SpeechStarted,
    TurnEnd,
    TurnsSkipped,
)

DROPINS = Path(__file__).parent / "dropins"


class Tape:
    """What the provider was given."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def samples(self) -> np.ndarray:
        file = Path(f"{self.path}.pcm")
        return np.frombuffer(file.read_bytes(), "<i2") if file.exists() else np.zeros(0, "<i2")

    def lines(self, what: str) -> list:
        file = Path(f"{self.path}.log")
        lines = (
            [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
        )
        return [[line[0], *line[2:]] for line in lines if line[1] == what]

    def await_samples(self, count: int) -> np.ndarray:
        await_true(lambda: len(self.samples) >= count, what=f"{count} samples, {len(self.samples)}")
        return self.samples

    def await_line(self, what: str, count: int = 1) -> list:
        await_true(lambda: len(self.lines(what)) >= count, what=f"{count} lines of {what}")
        return self.lines(what)


def payload(frames) -> np.ndarray:
    """What the rig's microphone hears: every frame is its own number."""
    return (np.asarray(frames, np.int64) % 30011).astype(np.int16)


def speak(rig: NetworkRig, frames: int, far: np.ndarray | None = None, block: int = 480) -> None:
    rig.speak(payload(np.arange(rig.near, rig.near + frames)), far, block)


@pytest.fixture
def rig():
    with NetworkRig(folder=DROPINS, near_s=20) as made:
        made.spawn()
        yield made


def tape_of(tmp_path: Path, name: str = "tape") -> tuple[Tape, dict]:
    return Tape(tmp_path / name), {"parameters": {"tape": str(tmp_path / name)}}


def test_a_turn_leaves_from_its_preroll_to_its_last_frame(rig, tmp_path):
    tape, opening = tape_of(tmp_path)
    speak(rig, 20_000)
    rig.open_leg("tape", push_to_talk=True, not_before_frame=0, **opening)
    speak(rig, 1234, block=100)
    first = rig.gate(True)
    speak(rig, 4321, block=77)
    first_end = rig.gate(False)
    speak(rig, 5000)
    second = rig.gate(True)
    speak(rig, 1, block=1)
    second_end = rig.gate(False)
    speak(rig, 480)
    edges = tape.await_line("activity", 4)
    wanted = [
        *range(first - 14_400, first_end),
        *range(first_end, second_end),  # 5000 frames between the turns are less than the pre-roll
    ]
    assert np.array_equal(tape.samples, payload(wanted))
    cut = first_end - first + 14_400
    assert edges == [[0, True], [cut, False], [cut, True], [len(wanted), False]]
    assert rig.receive(SpeechStarted).frame == first - 14_400
    assert rig.receive(SpeechEnded).frame == first_end
    assert rig.receive(SpeechStarted).frame == first_end
    assert rig.receive(SpeechEnded).frame == second_end
    assert second < second_end


def test_no_preroll_before_the_session_or_while_the_loudspeaker_sounds(rig, tmp_path):
    tape, opening = tape_of(tmp_path)
    speak(rig, 5000)
    rig.open_leg("tape", push_to_talk=True, **opening)
    opened = rig.near
    speak(rig, 1000)
    rig.gate(True)
    speak(rig, 1000)
    end = rig.gate(False)
    tape.await_line("activity", 2)
    assert np.array_equal(tape.samples, payload(range(opened, end)))
    speak(rig, 30_000, far=np.r_[np.zeros(20_000), np.full(100, 2000), np.zeros(9_900)])
    second = rig.gate(True)
    speak(rig, 1000)
    second_end = rig.gate(False)
    tape.await_line("activity", 4)
    assert np.array_equal(tape.samples[end - opened :], payload(range(second, second_end)))


def test_killed_in_the_middle_of_a_sentence_the_turn_is_sent_again_once(rig, tmp_path):
    first, opening = tape_of(tmp_path, "first")
    rig.open_leg("tape", leg=1, push_to_talk=True, not_before_frame=0, **opening)
    speak(rig, 30_000)
    start = rig.gate(True)
    speak(rig, 48_000)
    first.await_samples(14_400 + 30_000)
    begun = rig.receive(SpeechStarted).frame
    rig.kill()
    speak(rig, 24_000)
    second, opening = tape_of(tmp_path, "second")
    rig.spawn()
    rig.open_leg("tape", leg=2, push_to_talk=True, from_frame=begun, **opening)
    speak(rig, 24_000)
    end = rig.gate(False)
    speak(rig, 4_800)
    assert second.await_line("activity", 2) == [[0, True], [end - begun, False]]
    assert begun == start - 14_400
    assert np.array_equal(second.samples, payload(range(begun, end)))
    assert rig.receive(SpeechStarted).frame == begun
    assert rig.receive(SpeechEnded, skip=[TurnsSkipped]).frame == end


def test_a_turn_that_ended_before_the_new_leg_is_sent_at_the_catch_up_pace(rig, tmp_path):
    rig.gate(True)
    speak(rig, 96_000)
    end = rig.gate(False)
    speak(rig, 4_800)
    tape, opening = tape_of(tmp_path)
    rig.open_leg("tape", push_to_talk=True, from_frame=0, **opening)
    meter = rig.receive(Meter, where=lambda message: message.seconds_sent > 0)
    tape.await_line("activity", 2)
    assert np.array_equal(tape.samples, payload(range(end)))
    # 2 s at 20 times real time take a tenth of a second.
    assert meter.seconds_sent <= 0.1 + (meter.connected_s + 0.02) * 20


def test_turns_older_than_refreshkeep_are_dropped_whole_and_told(rig, tmp_path):
    rig.gate(True)
    speak(rig, 10_000)
    rig.gate(False)
    speak(rig, 96_000)
    second = rig.gate(True)
    speak(rig, 10_000)
    end = rig.gate(False)
    speak(rig, 480)
    tape, opening = tape_of(tmp_path)
    rig.open_leg("tape", push_to_talk=True, from_frame=0, max_backlog_s=1.0, **opening)
    skipped = rig.receive(TurnsSkipped)
    assert skipped.seconds == pytest.approx(10_000 / 48_000)
    tape.await_line("activity", 2)
    assert np.array_equal(tape.samples, payload(range(second - 14_400, end)))


def test_a_turn_ended_while_audio_was_down_ends_at_its_last_frame(rig, tmp_path):
    tape, opening = tape_of(tmp_path)
    rig.open_leg("tape", push_to_talk=True, **opening)
    rig.gate(True)
    # Longer than a slip of the foot, which is judged by what has come when it is looked at.
    speak(rig, 24_000)
    tape.await_samples(24_000)
    rig.send(TurnEnd(agent=AGENT, leg=1, frame=rig.near))
    assert rig.receive(SpeechEnded).frame == rig.near
    assert tape.await_line("activity", 2)[1] == [24_000, False]


def test_the_guard_is_silence_by_frames(rig, tmp_path):
    tape, opening = tape_of(tmp_path)
    rig.lane.put(Lane.GUARD, 1)
    rng = np.random.default_rng(3)
    far = np.zeros(96_000, np.int16)
    for at in (5_000, 5_100, 30_000, 60_001):
        far[at : at + 333] = rng.integers(40, 20_000, 333)
    far[80_000:80_100] = 33  # -60 dBFS itself does not sound
    rig.open_leg("tape", **opening)
    rig.gate(True)
    speak(rig, 40_000, far[:40_000], block=441)
    speak(rig, 56_000, far[40_000:], block=128)
    end = rig.gate(False)
    tape.await_line("activity", 2)
    sounding = np.flatnonzero(np.abs(far.astype(int)) > 33)
    wanted = payload(range(end)).copy()
    for at in sounding:
        wanted[at : at + 9_601] = 0
    assert np.array_equal(tape.samples, wanted)


def test_with_latency_the_guard_lasts_until_the_echo_has_come_back(tmp_path):
    with NetworkRig(folder=DROPINS, latency=1000) as rig:
        rig.spawn()
        tape, opening = tape_of(tmp_path)
        rig.lane.put(Lane.GUARD, 1)
        far = np.zeros(24_000, np.int16)
        far[2_000] = 1_000
        rig.open_leg("tape", **opening)
        rig.gate(True)
        speak(rig, 24_000, far)
        rig.gate(False)
        tape.await_line("activity", 2)
        wanted = payload(range(24_000)).copy()
        wanted[2_000 : 2_000 + 9_600 + 2_000 + 1] = 0
        assert np.array_equal(tape.samples, wanted)


def test_a_new_stream_in_the_middle_loses_and_doubles_nothing(rig, tmp_path):
    tape, opening = tape_of(tmp_path)
    rig.open_leg("tape", **opening)
    rig.gate(True)
    speak(rig, 10_000)
    rig.new_epoch(48_000)
    speak(rig, 10_000)
    rig.new_epoch(24_000)
    at = rig.near
    speak(rig, 12_000)
    rig.gate(False)
    tape.await_line("activity", 2)
    samples = tape.samples
    assert np.array_equal(samples[:20_000], payload(range(20_000)))
    assert len(samples) == 20_000 + 24_000  # 12,000 frames at 24 kHz are half a second
    assert abs(int(samples[30_000]) - (at + 5_000) % 30_011) < 40


def test_the_ring_is_the_only_queue_while_the_provider_takes_nothing(rig, tmp_path):
    tape, opening = tape_of(tmp_path)
    hold = tmp_path / "tape.hold"
    rig.open_leg("tape", **opening)
    rig.gate(True)
    speak(rig, 4_800)
    tape.await_samples(4_800)
    hold.touch()
    speak(rig, 240_000)
    rig.receive(Meter)
    rig.receive(Meter)
    assert rig.lane.get(Lane.NEAR_READ) - len(tape.samples) <= 9_600
    hold.unlink()
    assert np.array_equal(tape.await_samples(244_800), payload(range(244_800)))


def test_lapped_by_the_microphone_it_goes_on_and_says_so(rig, tmp_path):
    tape, opening = tape_of(tmp_path)
    hold = tmp_path / "tape.hold"
    rig.open_leg("tape", **opening)
    rig.gate(True)
    speak(rig, 4_800)
    tape.await_samples(4_800)
    hold.touch()
    speak(rig, 4_800)
    speak(rig, 30 * 48_000, block=8_000)
    end = rig.near
    hold.unlink()
    skipped = rig.receive(TurnsSkipped)
    rest = end - skipped.to_frame
    await_true(lambda: np.array_equal(tape.samples[-rest:], payload(range(skipped.to_frame, end))))


def test_while_control_does_not_stamp_nothing_leaves_and_then_the_leg_is_closed(rig, tmp_path):
    tape, opening = tape_of(tmp_path)
    rig.open_leg("tape", **opening)
    rig.gate(True)
    speak(rig, 4_800)
    tape.await_samples(4_800)
    rig.stale_ns = 3_000_000_000
    pause = [rig.receive(Meter) for _ in range(3)]
    speak(rig, 4_800)
    assert rig.receive(Meter).seconds_sent == pause[-1].seconds_sent
    rig.stale_ns = 0
    tape.await_samples(9_600)
    rig.stale_ns = 11_000_000_000
    closed = rig.receive(LegClosed)
    assert (closed.asked, closed.code) == (False, "control_lost")
    tape.await_line("end")


def ask(rig: NetworkRig, text: str, leg: int = 1) -> None:
    rig.send(SendText(agent=AGENT, leg=leg, text=text))


@pytest.mark.parametrize("by", ["hand", "service"])
@pytest.mark.parametrize("fade", [0, 240])
def test_an_interruption_tells_what_was_heard_to_the_sample(rig, tmp_path, by, fade):
    tape, opening = tape_of(tmp_path)
    rig.open_leg("tape", **opening)
    ask(rig, "speak r1 96000 4")
    rig.receive(ResponseStarted)
    played = rig.play_out(31_234)
    rig.receive(Playing)
    if by == "hand":
        rig.send(Interrupt(agent=AGENT, leg=1))
    else:
        ask(rig, "interrupted")
    await_true(lambda: rig.lane.get(Lane.FLUSH_TO) == rig.lane.speaker.write_position)
    played = np.r_[played, rig.play(480, fade)]
    heard = rig.receive(Heard, where=lambda message: message.cut)
    assert heard.ms == len(played) * 1000 // 48_000
    assert heard.chars == 10 * len(played) // 96_000
    rig.receive(ReplyHeard)
    (line,) = tape.await_line("interrupt" if by == "hand" else "heard")
    assert line[1] == [["i", heard.ms - 20, 2000]]
    # Late deltas of the dead response never sound, the next reply does from its first frame.
    ask(rig, "speak r1 9600 2")
    ask(rig, "done r1")
    ask(rig, "speak r2 4800 1")
    ask(rig, "done r2")
    assert np.array_equal(rig.play_out(4800), np.arange(1, 4801))


def test_disconnect_cuts_and_an_ending_that_may_finish_does_not(rig, tmp_path):
    tape, opening = tape_of(tmp_path)
    rig.open_leg("tape", **opening)
    ask(rig, "speak r1 48000 2")
    rig.play_out(480)
    rig.send(CloseLeg(agent=AGENT, leg=1, let_finish=True))
    assert rig.receive(LegClosed).asked
    assert np.array_equal(rig.play_out(47_520), np.arange(481, 48_001) % 30_000)
    assert rig.receive(ReplyHeard).leg == 1
    rig.open_leg("tape", leg=2, **opening)
    ask(rig, "speak r1 48000 2", leg=2)
    rig.play_out(480)
    rig.send(CloseLeg(agent=AGENT, leg=2))
    await_true(lambda: rig.lane.get(Lane.FLUSH_TO) == rig.lane.speaker.write_position)
    assert rig.play(480).size == 0
    # The mind's books close with the leg: what was heard comes first.
    cut = rig.receive(Heard, where=lambda message: message.cut, skip=[LegClosed])
    assert cut.ms == 10
    assert rig.receive(LegClosed).asked
    tape.await_line("end", 2)
