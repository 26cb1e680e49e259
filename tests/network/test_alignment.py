"""Text and sound of a reply, put side by side by what the letters sound like."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from voiced.network.alignment import Alignment, features
from voiced.network.spelling import Sound, units_of

RATE, BLOCK = 24_000, 480
TEXTS = st.text("aestmh n,.é声1-\n", max_size=120)
BLOCKS = st.lists(
    st.tuples(st.sampled_from([0.0, 30.0, 300.0, 4000.0]), st.sampled_from([0.0, 500.0, 6000.0])),
    max_size=120,
)
HERTZ = {Sound.VOWEL: 700.0, Sound.SONORANT: 400.0, Sound.SIBILANT: 6500.0, Sound.FRICATIVE: 2500.0}
LEVEL = {Sound.VOWEL: 4000.0, Sound.SONORANT: 2000.0, Sound.SIBILANT: 900.0, Sound.FRICATIVE: 400.0}


def said(
    text: str, pace: dict[int, float], pause: int = 20
) -> tuple[list[tuple[float, float]], list[int]]:
    """Return blocks as a voice would speak `text`, and the block at which each word begins.

    Args:
        text: what is said.
        pace: of each word by its number: how many times as long as ordinary; else 1.
        pause: blocks of one at a mark.
    """
    blocks: list[tuple[float, float]] = []
    begins, word, fresh, left = [], 0, True, 0.0
    for unit in units_of(text):
        if unit.sound >= Sound.JOIN:
            blocks += [(0.0, 0.0)] * (pause if unit.sound > Sound.JOIN else 0)
            word, fresh = word + 1, True
            continue
        if fresh and unit.ms:
            begins.append(len(blocks))
            fresh = False
        left += unit.ms * pace.get(word, 1.0) / 20.0
        count = round(left)
        left -= count
        blocks += [(LEVEL.get(unit.sound, 60.0), HERTZ.get(unit.sound, 1000.0))] * count
    return blocks, begins


def way(text: str, blocks: list[tuple[float, float]], pace: float = 1.0) -> list[int]:
    """Return the characters begun at each block, all text and sound known."""
    alignment = Alignment(pace)
    alignment.read(text)
    alignment.hear([level for level, _ in blocks], [hertz for _, hertz in blocks])
    return [alignment.chars_at(block, complete=True) for block in range(len(blocks))]


def test_a_hiss_is_higher_than_a_vowel():
    t = np.arange(RATE) / RATE
    for hertz in (300.0, 1000.0, 5000.0):
        wave = (8000 * np.sin(2 * np.pi * hertz * t)).astype(np.int16)
        level, found = features(wave, BLOCK, RATE)
        assert np.allclose(found, hertz, rtol=0.05)
        assert np.allclose(level, 8000 * 2 / np.pi, rtol=0.05)
    silence: NDArray[np.int16] = np.zeros(BLOCK, np.int16)
    assert features(silence, BLOCK, RATE) == ([0.0], [0.0])


def test_words_begin_where_they_sound_at_whatever_pace():
    text = "She asks us, at times, to see it. Is this a mistake? Some say so, most assume it is."
    blocks, begins = said(text, {1: 1.6, 2: 1.6, 8: 0.7, 9: 0.7, 10: 1.5, 15: 0.7, 16: 1.5})
    chars = way(text, blocks)
    starts = [n for n, sign in enumerate(text) if n == 0 or text[n - 1] == " "]
    shown = [next(b for b, c in enumerate(chars) if c > start) for start in starts]
    late = [at - begin for at, begin in zip(shown, begins, strict=True)]
    assert max(map(abs, late)) <= 4, late


def test_a_mark_without_a_pause_and_a_pause_without_a_mark_do_no_harm():
    text = "Yes. No, so it is said, it seems, at last. She set it aside and left the house, sadly."
    blocks, begins = said(text, {})
    no = begins[1]
    without = blocks[: no - 20] + blocks[no:]
    middle = begins[14]
    rows = without[: middle - 20] + [(0.0, 0.0)] * 15 + without[middle - 20 :]
    chars = way(text, rows)
    starts = [n for n, sign in enumerate(text) if n == 0 or text[n - 1] == " "]
    for n, (start, begin) in enumerate(zip(starts, begins, strict=True)):
        moved = begin - (20 if n else 0) + (15 if n >= 14 else 0)
        shown = next(b for b, c in enumerate(chars) if c > start)
        assert abs(shown - moved) <= 6, (text[start:][:8], shown, moved)


@settings(max_examples=60)
@given(TEXTS, BLOCKS)
def test_it_only_grows_and_never_beyond_the_text(text: str, blocks: list[tuple[float, float]]):
    told = way(text, blocks)
    assert all(0 <= chars <= len(text) for chars in told)
    assert told == sorted(told)


@settings(max_examples=60)
@given(
    st.lists(
        st.one_of(st.text("ast m,.", max_size=30), BLOCKS, st.integers(-3, 300), st.just(None)),
        max_size=30,
    )
)
def test_text_and_sound_come_in_any_order(events: list[object]):
    alignment, text = Alignment(), ""
    for event in events:
        match event:
            case str():
                text += event
                alignment.read(text)
            case None:
                text = text[::-1]  # It was revised.
                alignment.read(text)
            case list():
                alignment.hear([level for level, _ in event], [hertz for _, hertz in event])
            case int():
                assert 0 <= alignment.chars_at(event) <= len(text)


def test_text_that_comes_in_words_ends_as_the_whole():
    text = "She asks us, at times, to see it. Is this a mistake? Some say so, most assume it is."
    blocks, _ = said(text, {})
    whole = way(text, blocks)
    alignment = Alignment()
    words = [*text.replace(" ", " |").split("|")]
    alignment.hear([level for level, _ in blocks], [hertz for _, hertz in blocks])
    for n in range(len(words)):
        alignment.read("".join(words[: n + 1]))
        alignment.chars_at(0)
    # A block's states are remembered: what was compared with half of the text is compared anew.
    told = [alignment.chars_at(block, complete=True) for block in range(len(blocks))]
    assert sum(a != b for a, b in zip(told, whole, strict=True)) <= len(told) // 20


def test_a_slow_voice_is_followed_once_its_pace_is_known():
    text = "Is this a seat, or a stone? She sat on it as if it were mist, and it shone at noon."
    slow = dict.fromkeys(range(30), 1.7)
    blocks, begins = said(text, slow)
    whole = Alignment()
    whole.read(text)
    pace = whole.pace(20.0 * sum(level > 200 for level, _ in blocks))
    assert 1.4 < pace < 2.0
    starts = [n for n, sign in enumerate(text) if n == 0 or text[n - 1] == " "]
    chars = way(text, blocks, pace)
    late = [
        next(b for b, c in enumerate(chars) if c > start) - begin
        for start, begin in zip(starts, begins, strict=True)
    ]
    assert max(map(abs, late)) <= 5, late
