from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voiced.inference.numbers import mentions
from voiced.inference.utterance import tidy, words_of


def numbers(said: str) -> list[tuple[float, bool]]:
    return [(m.value, m.share) for m in mentions(words_of(tidy(said)))]


@pytest.mark.parametrize(
    ("said", "value"),
    [
        ("30", 30),
        ("-3", -3),
        ("minus three", -3),
        ("0.25", 0.25),
        ("0,25", 0.25),
        ("1,000", 1000),
        ("seven", 7),
        ("seventeen", 17),
        ("forty two", 42),
        ("forty-two", 42),
        ("a hundred", 100),
        ("two hundred and fifty-five", 255),
        ("nine hundred ninety nine", 999),
        ("three thousand", 3000),
        ("zero point five", 0.5),
        ("point two five", 0.25),
        ("the third", 3),
        ("number one", 1),
        ("ten.", 10),
        ("two and a half", 2.5),
        ("minus 3 and a quarter", -3.25),
    ],
)
def test_a_number(said: str, value: float) -> None:
    assert numbers(said) == [(value, False)]


@pytest.mark.parametrize(
    ("said", "value"),
    [
        ("30%", 0.3),
        ("30 %", 0.3),
        ("thirty percent", 0.3),
        ("12.5 per cent", 0.125),
        ("half", 0.5),
        ("a quarter", 0.25),
        ("three quarters", 0.75),
        ("a hundred percent", 1.0),
    ],
)
def test_a_share(said: str, value: float) -> None:
    assert numbers(said) == [(value, True)]


@pytest.mark.parametrize("said", ["the one", "which one", "and", "a", "point", "minus", "tomorrow"])
def test_no_number(said: str) -> None:
    assert numbers(said) == []


def test_several() -> None:
    assert numbers("from 2 to twenty at half") == [(2, False), (20, False), (0.5, True)]
    assert numbers("one two three") == [(1, False), (2, False), (3, False)]


@given(st.integers(0, 999))
def test_every_number_to_999_in_words(n: int) -> None:
    assert numbers(spelt(n)) == [(n, False)]


@given(st.text(max_size=80))
def test_whatever_is_said_has_finite_numbers_in_order(said: str) -> None:
    words = words_of(tidy(said))
    last = 0
    for mention in mentions(words):
        assert math.isfinite(mention.value)
        assert last <= mention.first < mention.until <= len(words)
        last = mention.until


def spelt(n: int) -> str:
    ones = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]
    ones += ["eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen"]
    ones += ["eighteen", "nineteen"]
    tens = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
    if n >= 100:
        rest = f" and {spelt(n % 100)}" if n % 100 else ""
        return f"{ones[n // 100]} hundred{rest}"
    if n >= 20:
        return tens[n // 10 - 2] + (f"-{ones[n % 10]}" if n % 10 else "")
    return ones[n]
