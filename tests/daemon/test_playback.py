"""Volume, Stop, Pause, Play, Replay, Resetplayback, Playbackactive: measured in what was played."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.daemon.stage import BLOCK, RAMP_WORDS, RATE, A, Stage

FADE = round(0.005 * RATE)
SLOPE = 2 * np.pi * 440 / RATE * 32768
"""Largest step of a full 440 Hz tone."""


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with Stage(tmp_path_factory.mktemp("playback")) as running:
        yield running


@pytest.fixture
def stage(one: Stage) -> Iterator[Stage]:
    one.forget_tape()
    yield one
    one.rest()


def far(stage: Stage, first: int, last: int | None = None) -> NDArray[np.float64]:
    """Return what was played from one near frame to another, or to now."""
    end = stage.now() if last is None else last
    return stage.both(first, end)[:, 1].astype(float)


def sounding(sound: NDArray[np.float64]) -> NDArray[np.intp]:
    return np.flatnonzero(np.abs(sound) > 33)


def heights(sound: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the whole heights of a ramp in what was played, without what fades."""
    return np.unique(sound[sound >= 1000])


def test_volume_moves_without_a_click(stage: Stage) -> None:
    stage._before[f"{A}/par/Volume"] = (1.0,)
    stage.connect()
    first = stage.now()
    stage.speak("r1", 1500, share=0.9)
    for volume in (0.1, 1.0, 0.0, 0.5):
        stage.par("Volume", volume)
        stage.pass_by(RATE // 20)
    stage.quiet()
    sound = far(stage, first)
    # Beside the tone's own slope, 20 ms for the whole way from 0 to 1.
    ramp = 0.9 * 32768 / (0.02 * RATE)
    assert np.abs(np.diff(sound)).max() <= 0.9 * SLOPE + ramp + 1
    tone = sound[sounding(sound)[0] : sounding(sound)[-1]]
    peaks = [np.abs(part).max() / 32768 for part in np.split(tone, range(220, len(tone), 220))]
    for level in (0.9, 0.09, 0.0, 0.45):
        assert min(abs(peak - level) for peak in peaks) < 0.01, (level, peaks)
    # What the microphone's neighbour hears is what /sig/level_out tells.
    assert stage.wait(f"{A}/sig/level_out", lambda level: 0.8 < level <= 0.9)


def test_volume_is_set_for_the_next_reply_too(stage: Stage) -> None:
    stage.put("Volume", 0.25)
    stage.connect()
    first = stage.now()
    stage.speak("r1", 1000, share=0.8)
    stage.quiet()
    assert np.abs(far(stage, first)).max() == pytest.approx(0.2 * 32768, rel=0.01)


def test_stop_interrupts_and_keeps_the_words_heard(stage: Stage) -> None:
    stage.connect()
    first = stage.now()
    since = stage.mark()
    stage.climb("r1", 72_000)
    stage.pass_by(RATE // 10)
    before = stage.now()
    stage.par("Stop")
    stage.quiet()
    heard = stage.call("interrupt").args[0]
    after = stage.now()
    sound = far(stage, first)
    start, end = np.flatnonzero(sound)[[0, -1]]
    assert before - BLOCK <= first + end <= after
    assert np.abs(np.diff(sound[start + 1 :])).max() <= 19_000 / FADE + 1, "no click"
    # From the last full sample to silence it takes 5 ms.
    whole = np.flatnonzero(np.diff(sound) < -2)[0]
    assert end - whole <= FADE + 1
    assert [item[0] for item in heard] == ["r1"]
    # At least as long as at full height, no longer than until silence.
    assert (whole - start) * 1000 // RATE - 1 <= heard[0][1] <= (end + 2 - start) * 1000 // RATE
    assert heard[0][2] == 1500
    assert stage.ask(f"{A}/par/Sessionstate") == ("active",), "the session stays"
    row = stage.wait(f"{A}/conv/row", lambda *row: '"interrupted":true' in row[6], since=since).args
    assert row[1] == "assistant"
    assert f'"heard_ms":{heard[0][1]}' in row[6]
    assert RAMP_WORDS.startswith(row[2])
    assert 0 < len(row[2]) < len(RAMP_WORDS)

    stage.climb("r2", 9600)
    stage.quiet()
    got = heights(far(stage, after))
    assert np.array_equal(got, np.arange(1000, 1000 + 9600 // 4)), "the next reply is whole"
    since = stage.mark()
    stage.par("Stop")
    assert "nothing sounds" in stage.refused(f"{A}/par/Stop", "no_effect", since)


def test_pause_holds_at_the_sample_and_play_goes_on(stage: Stage) -> None:
    stage.connect()
    first = stage.now()
    since = stage.mark()
    stage.climb("r1", 48_000)
    stage.par("Pause")
    stage.sync()
    held = stage.pass_by(2 * BLOCK)
    taken = len(stage.pcm())
    released = stage.pass_by(RATE // 5)
    assert len(stage.pcm()) > taken, "the microphone stays as it is"
    assert stage.ask(f"{A}/sig/buffer")[0] > 0.1
    stage.par("Pause")
    assert "paused already" in stage.refused(f"{A}/par/Pause", "no_effect", since)
    assert stage.client.all(f"{A}/cb/onAssistantText", since=since)[-1].args[1] == 1
    mark = stage.mark()
    stage.par("Play")
    stage.wait(f"{A}/sig/assistant_speaking", 0.0, since=mark)
    sound = far(stage, first)
    pause = sound[held - first : released - first]
    assert not pause.any()
    # Both halves together are the whole reply, and 5 ms in which its last sample decays.
    assert 48_000 - 4 <= np.count_nonzero(sound) <= 48_000 + FADE
    got = heights(sound)
    assert (got[0], got[-1]) == (1000, 1000 + 48_000 // 4 - 1)
    edge = np.flatnonzero(sound[: held - first] > 33)[-1]
    resumed = released - first + np.flatnonzero(sound[released - first :] > 33)[0]
    # 5 ms before the hold and 5 ms after: full height, 10 ms of ramp apart.
    assert sound[resumed + FADE] - sound[edge - FADE - 1] == pytest.approx(2 * FADE / 4, abs=3)
    since = stage.mark()
    stage.par("Play")
    assert "not paused" in stage.refused(f"{A}/par/Play", "no_effect", since)


def test_replay_is_local_and_leaves_no_row(stage: Stage) -> None:
    since = stage.mark()
    stage.par("Resetplayback")
    stage.par("Replay")
    assert "no complete reply" in stage.refused(f"{A}/par/Replay", "no_effect", since)
    stage.connect()
    stage.climb("r1", 14_400)
    since = stage.mark()
    stage.par("Replay")
    stage.refused(f"{A}/par/Replay", "busy", since)
    stage.quiet()
    stage.sync()
    since, first, texts = stage.mark(), stage.now(), len(stage.calls("text"))
    stage.par("Replay")
    stage.pass_by(RATE // 2)
    assert np.array_equal(heights(far(stage, first)), np.arange(1000, 1000 + 14_400 // 4))
    assert len(stage.calls("text")) == texts
    stage.signal("phase", 4, since)
    stage.reads("phase", 1)
    for address in ("conv/row", "cb/onAssistantText", "cb/onError"):
        assert not stage.client.all(f"{A}/{address}", since=since)

    stage.disconnect()
    first = stage.now()
    stage.par("Replay")
    stage.pass_by(RATE // 10)
    stage.par("Stop")
    stage.pass_by(RATE // 2)
    sound = far(stage, first)
    assert 0.05 * RATE < len(sounding(sound)) < 0.28 * RATE, "Stop ends a replay too"
    since = stage.mark()
    stage.par("Resetplayback")
    stage.par("Replay")
    stage.refused(f"{A}/par/Replay", "no_effect", since)


def test_resetplayback_stops(stage: Stage) -> None:
    stage.connect()
    stage.climb("r1", 72_000)
    stage.par("Resetplayback")
    stage.call("interrupt")
    stage.quiet()
    since, silent = stage.mark(), stage.now()
    stage.par("Replay")
    stage.refused(f"{A}/par/Replay", "no_effect", since)
    stage.pass_by(RATE // 10)
    assert not far(stage, silent).any()
    assert stage.ask(f"{A}/par/Sessionstate") == ("active",)


def test_playbackactive_off_is_silent_at_real_pace_and_counts_as_heard(stage: Stage) -> None:
    stage.put("Sessionmode", "one_turn")
    stage.put("Provider", "meter")
    stage.put("Playbackactive", 0)
    first = stage.now()
    since = stage.connect()
    stage.climb("r1", 28_800)
    ended = stage.wait(f"{A}/cb/onSessionEnd", since=since)
    assert ended.args[1] == "one_turn", "it counted as heard"
    last = stage.now()
    assert last - first >= 28_800
    assert not far(stage, first, last).any()
    row = stage.wait(f"{A}/conv/row", lambda *row: row[1] == "assistant", since=since).args
    assert row[2] == RAMP_WORDS
    assert "interrupted" not in row[6]


def test_playbackactive_on_again_goes_on_where_the_reply_is_by_then(stage: Stage) -> None:
    stage.connect()
    stage.put("Playbackactive", 0)
    first = stage.now()
    stage.climb("r1", 48_000)
    stage.pass_by(RATE // 5)
    on = stage.now()
    stage.par("Playbackactive", 1)
    stage.quiet()
    sound = far(stage, first)
    played = sounding(sound)
    assert played[0] >= on - first
    assert sound[played[0] + FADE] > 1000 + RATE // 5 // 4, "what was silent is past"
    assert heights(sound)[-1] == 1000 + 48_000 // 4 - 1
    assert np.abs(np.diff(sound[: played[-1]])).max() <= 13_000 / FADE + 1, "it fades in"


def test_disconnect_cuts_at_once(stage: Stage) -> None:
    stage.connect()
    first = stage.now()
    stage.climb("r1", 72_000)
    before = stage.now()
    stage.disconnect()
    after = stage.now()
    stage.pass_by(RATE // 10)
    sound = far(stage, first)
    assert before - BLOCK <= first + sounding(sound)[-1] <= after + FADE
    assert np.abs(np.diff(sound[sounding(sound)[0] + 1 :])).max() <= 19_000 / FADE + 1
