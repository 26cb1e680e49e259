"""Text and sound of a reply, put side by side by pace and pauses."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from voiced.network.spread import PAUSE_BLOCKS, anchors, chars_at, marks_of, pauses_of

# Stretches of (speech, silence), in blocks.
stretches = st.lists(st.tuples(st.integers(1, 60), st.integers(0, 40)), max_size=12)


def blocks(rows: list[tuple[int, int]]) -> list[int]:
    """Return blocks of speech up to each block."""
    speaks = [on for speech, silence in rows for on in [1] * speech + [0] * silence]
    return [0, *itertools.accumulate(speaks)]


def test_a_voice_pauses_at_marks():
    assert marks_of("Good evening. I am here, he said (so be it.) At 3.14 or 10,5 o'clock!") == [
        13, 24, 44,
    ]  # fmt: skip


def test_pauses_lie_between_speech():
    assert pauses_of(blocks([(10, PAUSE_BLOCKS), (5, PAUSE_BLOCKS - 1), (5, 20)])) == [
        (10, 10 + PAUSE_BLOCKS)
    ]


def test_the_next_word_waits_for_the_end_of_the_pause():
    # "Oh," is slow and "and this is the rest" quick: by pace alone "and" would come too early.
    text = "Oh, well, and this is the rest of it."
    spoken = blocks([(40, 30), (40, 0)])
    pairs = anchors(marks_of(text), len(text), spoken, spoken[-1])
    at = [chars_at(block, pairs, len(text), spoken, spoken[-1]) for block in range(len(spoken))]
    pause = at[40:70]
    assert len(set(pause)) == 1, "nothing is said in a pause"
    assert pause[0] in marks_of(text)
    assert at[-1] == len(text)


@given(
    stretches, st.lists(st.integers(1, 400), max_size=20), st.integers(0, 400), st.integers(0, 99)
)
def test_what_was_spoken_only_grows(
    rows: list[tuple[int, int]], marks: list[int], chars: int, more: int
):
    spoken = blocks(rows)
    whole = spoken[-1] + more
    known = sorted({mark for mark in marks if mark < chars})
    pairs = anchors(known, chars, spoken, whole)
    assert pairs == sorted(pairs)
    assert [c for _, c in pairs] == sorted(c for _, c in pairs)
    if not whole:
        return
    told = [chars_at(block, pairs, chars, spoken, whole) for block in range(-2, len(spoken) + 3)]
    assert told == sorted(told)
    assert all(0 <= each <= chars for each in told)
