"""The measuring tools measure what they say: each on a sound that is known."""

from __future__ import annotations

import numpy as np
import pytest

from tests import analysis

RATE = 48_000
TONE = 0.5 * np.sin(2 * np.pi * 440 * np.arange(RATE) / RATE)


def test_levels_of_a_tone() -> None:
    assert analysis.peak_dbfs(TONE) == pytest.approx(-6.02, abs=0.01)
    assert analysis.rms_dbfs(TONE) == pytest.approx(-9.03, abs=0.01)
    assert analysis.peak_dbfs((TONE * 32768).astype(np.int16)) == pytest.approx(-6.02, abs=0.01)
    assert analysis.peak_dbfs(np.zeros(10)) == float("-inf")
    assert analysis.rms_dbfs(np.zeros(0)) == float("-inf")


def test_where_sound_begins_and_ends() -> None:
    sound = np.concatenate([np.zeros(1000), TONE, np.full(500, 0.0009), np.zeros(20_000), TONE])
    assert analysis.first_loud(sound) == 1001, "the tone's own first frame is zero"
    first, second = analysis.spans(sound, RATE)
    assert abs(first[1] - (1000 + RATE)) < 5, "what is below -60 dBFS is no sound"
    assert second[1] == analysis.last_loud(sound) + 1
    assert analysis.first_loud(np.zeros(5)) is None
    assert analysis.last_loud(np.zeros(5)) is None
    assert analysis.spans(np.zeros(5), RATE) == []


def test_gaps_are_runs_of_exact_zeros() -> None:
    sound = np.concatenate([np.ones(100), np.zeros(480), np.ones(50), np.zeros(20), np.ones(9)])
    assert analysis.gaps(sound, 100) == [(100, 580)]
    assert analysis.gaps(sound, 10) == [(100, 580), (630, 650)]


@pytest.mark.parametrize("delay", [0, 100, 5000])
def test_crosstalk_finds_a_delayed_copy(delay: int) -> None:
    random = np.random.default_rng(1)
    wanted = random.normal(0, 0.1, RATE)
    leak = np.concatenate([np.zeros(delay), wanted])[:RATE] * 10 ** (-60 / 20)
    assert analysis.crosstalk_db(wanted, leak) == pytest.approx(-60, abs=1.5)
    assert analysis.crosstalk_db(wanted, np.zeros(RATE)) == float("-inf")


def test_wav_files_come_back_as_they_were(tmp_path) -> None:
    pair = np.stack([TONE, -TONE], axis=1)
    analysis.write_wav(tmp_path / "a.wav", RATE, pair)
    rate, samples = analysis.read_wav(tmp_path / "a.wav")
    assert rate == RATE
    assert np.abs(analysis.unit(samples) - pair).max() < 1 / 32768


def test_a_click_is_a_step() -> None:
    assert analysis.steps(TONE) < 0.03
    assert analysis.steps(np.concatenate([TONE[:100], [0.9], TONE[100:]])) > 0.3
