"""Speech by level: recorded people are found, noise is nobody, and a turn is told once."""

from __future__ import annotations

import numpy as np
import pytest
import soxr

from tests.analysis import read_wav
from tests.daemon.rig import ROOT
from voiced.network.speech import NO_WORDS_S, Dropped, Ended, Found, Speech, Started, speaks

RATE = 48_000
VISITORS = ROOT / "voiced" / "cli" / "visitors"


def recording(name: str, gain: float = 1.0) -> np.ndarray:
    rate, samples = read_wav(VISITORS / name)
    sound = soxr.resample(samples[:, 0].astype(np.float64), rate, RATE) * gain
    return np.clip(np.rint(sound), -32768, 32767).astype(np.int16)


def silence(seconds: float) -> np.ndarray:
    return np.zeros(int(seconds * RATE), np.int16)


def noise(seconds: float, rms: float, seed: int = 1) -> np.ndarray:
    found = np.random.default_rng(seed).normal(0, rms, int(seconds * RATE))
    return np.clip(np.rint(found), -32768, 32767).astype(np.int16)


def hear(sound: np.ndarray, speech: Speech | None = None, chunk: int = 480) -> list[Found]:
    speech = speech or Speech()
    found: list[Found] = []
    for at in range(0, len(sound), chunk):
        found += speech.hear(at, sound[at : at + chunk], RATE)
    return found


@pytest.mark.parametrize("name", ["lv_0880.wav", "lv_0930.wav", "lj_0001.wav", "jfk.wav"])
@pytest.mark.parametrize("room", [0.0, 30.0, 120.0])
def test_recorded_people_are_found_where_they_speak(name: str, room: float) -> None:
    spoken = recording(name)
    sound = np.concatenate([silence(4), spoken, silence(2)])
    murmur = noise(len(sound) / RATE + 1, room)[: len(sound)]
    sound = np.clip(sound.astype(np.int32) + murmur, -32768, 32767)
    found = hear(sound.astype(np.int16))
    begun = [one.frame for one in found if isinstance(one, Started)]
    ended = [one.frame for one in found if isinstance(one, Ended)]
    loud = np.flatnonzero(np.abs(spoken.astype(np.int32)) > 1500) + 4 * RATE
    assert len(set(begun)) == 1, "one turn"
    assert abs(begun[0] - loud[0]) < 0.4 * RATE
    assert abs(ended[-1] - loud[-1]) < 0.5 * RATE


@pytest.mark.parametrize("rms", [0.0, 50.0, 300.0, 1500.0])
def test_steady_noise_is_nobody(rms: float) -> None:
    assert hear(noise(20, rms)) == []


@pytest.mark.parametrize("hertz", [50, 60, 120])
def test_hum_is_nobody(hertz: int) -> None:
    hum = 3277 * np.sin(2 * np.pi * hertz * np.arange(20 * RATE) / RATE)
    found = hear(hum.astype(np.int16))
    assert [one for one in found if isinstance(one, Started)] == []


def test_a_click_is_nobody() -> None:
    sound = silence(3)
    sound[RATE : RATE + 2400] = 20_000
    assert hear(sound) == []


def test_what_is_cut_into_other_pieces_is_the_same() -> None:
    sound = np.concatenate([silence(1), recording("lv_0930.wav"), silence(2)])
    assert hear(sound) == hear(sound, chunk=4800) == hear(sound, chunk=777)


def test_a_pause_for_thought_is_the_same_turn() -> None:
    part = recording("lv_0880.wav")
    sound = np.concatenate([silence(1), part, silence(1.5), part, silence(2)])
    found = hear(sound)
    begun = {one.frame for one in found if isinstance(one, Started)}
    assert len(begun) == 1
    ends = [one.frame for one in found if isinstance(one, Ended)]
    assert len(ends) == 2
    assert ends == sorted(ends)


def test_final_words_end_the_turn_and_the_next_is_another() -> None:
    speech, part = Speech(), recording("lv_0880.wav")
    whole = np.concatenate([silence(1), part, silence(2)])
    hear(whole, speech)
    assert speech.words(final=True) == []
    found = speech.hear(len(whole), np.concatenate([silence(1), part]), RATE)
    assert [type(one) for one in found] == [Started]
    assert found[0].frame > len(whole)


def test_words_that_come_while_the_next_turn_is_spoken_begin_it() -> None:
    speech, part = Speech(), recording("lv_0880.wav")
    whole = np.concatenate([silence(1), part, silence(2), part])
    first = hear(whole, speech)[0]
    (second,) = speech.words(final=True)
    assert isinstance(second, Started)
    assert second.frame > first.frame + len(part)


def test_final_words_before_the_silence_is_long_leave_no_turn_behind() -> None:
    """A connection lost then would have the next one hear, and answer, the same words again."""
    speech, part = Speech(), recording("lv_0880.wav")
    begun = hear(np.concatenate([silence(1), part, silence(0.3)]), speech)
    (ended,) = speech.words(final=True)
    assert [type(one) for one in begun] == [Started]
    assert isinstance(ended, Ended)
    assert begun[0].frame < ended.frame < RATE + len(part) + 0.1 * RATE
    after = np.concatenate([silence(NO_WORDS_S + 1), part])
    (following,) = speech.hear(RATE + len(part) + int(0.3 * RATE), after, RATE)
    assert isinstance(following, Started)
    assert following.frame > RATE + len(part) + NO_WORDS_S * RATE


def test_the_next_turn_begins_behind_the_pause_that_ended_the_last() -> None:
    speech, part = Speech(), recording("lv_0880.wav")
    hear(np.concatenate([silence(1), part, silence(0.4), part[: 2 * RATE]]), speech)
    (second,) = speech.words(final=True)
    assert isinstance(second, Started)
    assert second.frame > RATE + len(part) * 0.9


def test_what_no_words_follow_was_no_speech() -> None:
    part = recording("lv_0880.wav")
    found = hear(np.concatenate([silence(1), part, silence(NO_WORDS_S + 1), part]))
    assert [type(one) for one in found] == [Started, Ended, Dropped, Started]


def test_words_on_their_way_keep_the_turn() -> None:
    speech, part = Speech(), recording("lv_0880.wav")
    sound = np.concatenate([silence(1), part, silence(NO_WORDS_S - 1)])
    assert [type(one) for one in hear(sound, speech)] == [Started, Ended]
    assert speech.words(final=False) == []
    assert speech.hear(len(sound), silence(NO_WORDS_S - 1), RATE) == []


def test_a_gate_that_closes_ends_it() -> None:
    speech, part = Speech(), recording("lv_0880.wav")
    sound = np.concatenate([silence(1), part[: 2 * RATE]])
    hear(sound, speech)
    assert speech.closed(len(sound)) == [Ended(len(sound))]
    assert speech.closed(len(sound) + 1) == []


def test_a_syllable_in_a_short_sound_is_speech_and_a_click_hum_or_hush_is_not() -> None:
    rate = 48_000
    noise = np.random.default_rng(7).normal(0, 150, 2 * rate)
    loud = np.zeros(2 * rate)
    loud[rate + 2_000 : rate + 2_000 + int(0.15 * rate)] = 3_000
    tone = loud * np.sin(np.arange(2 * rate) * 0.05)
    click = np.zeros(2 * rate)
    click[rate + 5_000 : rate + 5_000 + rate // 50] = 20_000

    def told(sound: np.ndarray) -> bool:
        return speaks(np.clip(sound, -32768, 32767).astype(np.int16), rate, rate)

    assert told(tone)
    assert told(noise + tone)
    assert not told(noise)
    assert not told(noise + click)
    assert not told(np.zeros(2 * rate))
    assert not told(3_000 * np.sin(np.arange(2 * rate) * 0.05)), "hum was there before"
    assert not told(np.zeros(0))
