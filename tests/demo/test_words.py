"""Word error rates: what counts as a word, and how many are wrong."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voiced.cli.demo.words import WordErrors, normalised, spelled, word_errors


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Go forward 10 meters.", "go forward ten meters"),
        ("Mr. Dashwood's ill-disposed, isn't he?", "mister dashwoods ill disposed isnt he"),
        ("It cost 1,250 dollars; 21%", "it cost one thousand two hundred fifty dollars twenty one "
         "percent"),
        ("the 1st, 3rd, 20th and 42nd", "the first third twentieth and forty second"),
        ("", ""),
        ("…", ""),
    ],
)  # fmt: skip
def test_texts_are_compared_as_they_sound(text: str, words: str) -> None:
    assert normalised(text) == words.split()


@pytest.mark.parametrize(
    ("number", "words"),
    [(0, "zero"), (13, "thirteen"), (40, "forty"), (105, "one hundred five"),
     (999_999, "nine hundred ninety nine thousand nine hundred ninety nine")],
)  # fmt: skip
def test_numbers_in_words(number: int, words: str) -> None:
    assert spelled(number) == words


@pytest.mark.parametrize(
    ("meant", "heard", "errors"),
    [
        ("a b c d", "a b c d", 0),
        ("a b c d", "a x c d", 1),
        ("a b c d", "a c d", 1),
        ("a b c d", "a b b c d", 1),
        ("a b c d", "", 4),
        ("", "a b", 2),
        ("a b c d", "d c b a", 4),
    ],
)
def test_errors_are_counted_by_hand(meant: str, heard: str, errors: int) -> None:
    assert word_errors(meant, heard) == WordErrors(errors, len(meant.split()))


WORDS = st.lists(st.sampled_from("abcd"), max_size=8)


@given(WORDS, WORDS, WORDS)
def test_it_is_a_distance(a: list[str], b: list[str], c: list[str]) -> None:
    def between(x: list[str], y: list[str]) -> int:
        return word_errors(" ".join(x), " ".join(y)).errors

    assert (between(a, b) == 0) == (a == b)
    assert between(a, b) == between(b, a)
    assert between(a, c) <= between(a, b) + between(b, c)
    assert abs(len(a) - len(b)) <= between(a, b) <= max(len(a), len(b))


def test_rates_add_up_by_words() -> None:
    total = WordErrors(1, 4) + WordErrors(0, 6)
    assert total.rate == 0.1
    assert WordErrors(0, 0).rate == 0.0
    assert WordErrors(3, 0).rate == 1.0
