"""How many words were understood: word error rate over normalised words. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

import msgspec

_ONES: Final = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
]
_TENS: Final = [
    "_",
    "_",
    "twenty",
    "thirty",
    "forty",
    "fifty",
    "sixty",
    "seventy",
    "eighty",
    "ninety",
]
_SHORT: Final = {
    "mr": "mister", "mrs": "missus", "dr": "doctor", "st": "saint", "&": "and", "%": "percent",
    "ok": "okay", "metre": "meter", "metres": "meters", "colour": "color", "honour": "honor",
}  # fmt: skip
_ORDINAL: Final = re.compile(r"(\d+)(st|nd|rd|th)\b")
_ORDINALS: Final = {
    "one": "first", "two": "second", "three": "third", "five": "fifth", "eight": "eighth",
    "nine": "ninth", "twelve": "twelfth",
}  # fmt: skip


def spelled(number: int) -> str:
    """Return a number from 0 to 999,999,999 in words, without hyphens and `and`."""
    if number < 20:
        return _ONES[number]
    if number < 100:
        rest = f" {_ONES[number % 10]}" if number % 10 else ""
        return _TENS[number // 10] + rest
    for size, name in ((1_000_000, "million"), (1_000, "thousand"), (100, "hundred")):
        if number >= size:
            rest = f" {spelled(number % size)}" if number % size else ""
            return f"{spelled(number // size)} {name}{rest}"
    raise AssertionError(number)


def _ordinal(found: re.Match[str]) -> str:
    words = spelled(int(found[1]) % 1_000_000_000).split()
    last = words[-1]
    words[-1] = _ORDINALS.get(last, f"{last[:-1]}ieth" if last.endswith("y") else f"{last}th")
    return " ".join(words)


def normalised(text: str) -> list[str]:
    """Return the words of a text as they sound: no case, punctuation, digits or short forms."""
    text = text.lower().replace("’", "'").replace("-", " ")
    text = re.sub(r"(?<=\d),(?=\d{3}\b)", "", text)
    text = _ORDINAL.sub(_ordinal, text)
    text = re.sub(r"\d+", lambda found: f" {spelled(int(found[0]) % 1_000_000_000)} ", text)
    words = re.findall(r"[a-z']+|[&%]", text)
    return [_SHORT.get(word, word) for raw in words if (word := raw.replace("'", ""))]


class WordErrors(msgspec.Struct, frozen=True):
    """How many words were wrong, of how many."""

    errors: int
    """Substitutions, insertions and deletions."""
    words: int
    """Of the reference."""

    @property
    def rate(self) -> float:
        """Errors a word; 0 where nothing was to be understood and nothing was."""
        if not self.words:
            return float(bool(self.errors))
        return self.errors / self.words

    def __add__(self, other: WordErrors) -> WordErrors:
        return WordErrors(self.errors + other.errors, self.words + other.words)


def word_errors(reference: str, heard: str) -> WordErrors:
    """Return the word errors of what was heard: Levenshtein's distance between words."""
    meant, got = normalised(reference), normalised(heard)
    return WordErrors(_distance(meant, got), len(meant))


def _distance(a: Sequence[str], b: Sequence[str]) -> int:
    row = list(range(len(b) + 1))
    for i, word in enumerate(a, 1):
        before, row[0] = row[0], i
        for j, other in enumerate(b, 1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (word != other))
    return row[-1]
