from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voiced.inference import mel
from voiced.inference.recogniser import Heard, quiet_cuts, split, stretches, words


@pytest.mark.parametrize(
    ("heard", "strong_ms", "expected"),
    [
        (Heard(text="Go forward.", no_speech=0.02, score=-0.2), 500, "Go forward."),
        (Heard(text="Go forward.", no_speech=0.7, score=-0.2), 500, ""),
        (Heard(text="Go forward to the gate.", no_speech=0.02, score=-1.3), 500, ""),
        (Heard(text="Red.", no_speech=0.2, score=-1.1), 250, "Red."),
        (Heard(text="Red.", no_speech=0.2, score=-1.1), 96, ""),
        (Heard(text="Red.", no_speech=0.4, score=-1.1), 250, ""),
        (Heard(text="Red.", no_speech=0.2, score=-1.5), 250, ""),
        (Heard(text="", no_speech=0.0, score=0.0), 500, ""),
        (Heard(text=" . ", no_speech=0.0, score=0.0), 500, ""),
        (Heard(text="[Music] (applause)", no_speech=0.1, score=-0.3), 500, ""),
        (Heard(text="[Music] Hello there", no_speech=0.1, score=-0.3), 500, "Hello there"),
        (Heard(text="you", no_speech=0.1, score=-0.3), 96, ""),
        (Heard(text="Thank you.", no_speech=0.4, score=-0.3), 500, ""),
        (Heard(text="Thank you.", no_speech=0.1, score=-0.3), 500, "Thank you."),
        (Heard(text="the end of " * 6, no_speech=0.1, score=-0.3), 900, ""),
        (Heard(text="no no no", no_speech=0.1, score=-0.3), 900, "no no no"),
    ],
)
def test_words(heard: Heard, strong_ms: int, expected: str) -> None:
    assert words([heard], strong_ms) == expected


def test_the_passes_over_one_sound_are_put_together_and_judged_each() -> None:
    spoken = Heard(text="Go forward.", no_speech=0.02, score=-0.2)
    noise = Heard(text="you", no_speech=0.95, score=-1.2)
    assert words([spoken, noise, spoken], 500) == "Go forward. Go forward."


@pytest.mark.parametrize(
    ("tokens", "text", "end"),
    [
        ([100, 1, 2, 150], [1, 2], 1.0),
        ([100, 1, 150, 150], [1], 1.0),
        ([100, 1, 150, 150, 2, 3, 200], [1, 2, 3], 2.0),
        ([100, 1, 150, 150, 2, 3], [1, 2, 3], None),
        ([1, 2], [1, 2], None),
        ([100], [], None),
        ([], [], None),
    ],
)
def test_split(tokens: list[int], text: list[int], end: float | None) -> None:
    assert split(tokens, 100) == (text, end)


@settings(max_examples=30, deadline=None)
@given(seconds=st.floats(0, 100), seed=st.integers(0, 9))
def test_cuts_cover_a_recording_without_gap_or_overlap(seconds: float, seed: int) -> None:
    pcm = np.random.default_rng(seed).integers(-999, 999, int(seconds * 16_000)).astype(np.int16)
    cuts = quiet_cuts(pcm)
    assert cuts[0][0] == 0
    assert cuts[-1][1] == len(pcm)
    assert all(end == start for (_, end), (start, _) in pairwise(cuts))
    assert all(end - start <= 20 * 16_000 for start, end in cuts)


def test_a_cut_lies_in_the_quiet() -> None:
    pcm = np.full(30 * 16_000, 3_000, np.int16)
    pcm[15 * 16_000 : 15 * 16_000 + 4_000] = 0
    (_, cut), _ = quiet_cuts(pcm)
    assert 15 * 16_000 <= cut <= 15 * 16_000 + 4_000


def test_a_tone_lies_in_its_mel_band() -> None:
    """1 kHz is mel 15 of 45.25 on Slaney's scale: band 15 / 45.25 * 81 - 1, counted from 0."""
    t = np.arange(16_000) / 16_000
    tone = (np.sin(2 * np.pi * 1_000 * t) * 8_000).astype(np.int16)
    picture = mel.spectrogram(tone, 100, 80)
    assert picture.shape == (80, 100)
    assert picture.dtype == np.float32
    assert int(picture[:, 50].argmax()) in {25, 26}


def test_silence_after_the_sound_is_at_the_floor() -> None:
    tone = (np.sin(np.arange(16_000) / 5) * 8_000).astype(np.int16)
    picture = mel.spectrogram(tone, 300, 80)
    assert picture.max() - picture.min() == pytest.approx(2.0)  # 8 decades, in quarters
    assert (picture[:, 110:] == picture.min()).all()


@given(st.lists(st.tuples(st.floats(0.1, 2.0), st.floats(0.0, 3.0)), max_size=5))
def test_stretches_hold_all_that_sounds_and_no_long_silence(parts: list[tuple[float, float]]):
    pieces = [np.zeros(mel.RATE, np.int16)]
    for sound_s, silence_s in parts:
        pieces.append(np.full(int(sound_s * mel.RATE), 3000, np.int16))
        pieces.append(np.zeros(int(silence_s * mel.RATE), np.int16))
    pcm = np.concatenate(pieces)
    covered = np.zeros(len(pcm), bool)
    for start, end in stretches(pcm):
        assert 0 <= start < end <= len(pcm)
        quiet = np.flatnonzero(np.diff(np.flatnonzero(pcm[start:end])) > 1.1 * mel.RATE)
        assert not len(quiet), "a second of silence within one reading"
        covered[start:end] = True
    assert covered[pcm != 0].all()
