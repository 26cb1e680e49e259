"""Words that a recogniser writes for others: lights read, light screen, blew.

A likeness is 1 for the same word and less for one that sounds or is spelt like it; 0 for another.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from voiced.inference.lexicon import stem

ALIKE: Final = 0.75
"""Likeness of a word that was probably misheard."""
_HOMOPHONES: Final = {
    stem(word): frozenset(stem(other) for other in others.split())
    for word, others in {
        "read": "red", "blew": "blue", "write": "right", "sea": "see",
        "night": "knight", "son": "sun", "hole": "whole", "whole": "hall", "haul": "hall",
        "seen": "scene", "scream": "screen", "lamb": "lamp", "dore": "door",
        "grain": "green", "grey": "gray", "wide": "white", "yell": "yellow",
    }.items()
}  # fmt: skip
_VOWELS: Final = re.compile("[aeiouy]+")
_LEAST_CODE: Final = 5
"""Two words run together are compared by so many sounds at least."""


def likeness(heard: str, meant: str) -> float:
    """Return how much the stem that was heard is like the one that may have been meant."""
    if heard == meant:
        return 1.0
    if meant in _HOMOPHONES.get(heard, ()):
        return ALIKE
    if heard[:1] != meant[:1] or abs(len(heard) - len(meant)) > 2:
        return 0.0
    return _spelt_alike(heard, meant)


@lru_cache(maxsize=16_384)
def _spelt_alike(heard: str, meant: str) -> float:
    shorter = min(len(heard), len(meant))
    if shorter < 3:
        return 0.0
    distance = edits(heard, meant, 2)
    near = distance == 1 and (shorter >= 5 or sounds(heard) == sounds(meant))
    return ALIKE if near or (distance == 2 and shorter >= 8) else 0.0


@lru_cache(maxsize=16_384)
def run_together(first: str, then: str, meant: str) -> bool:
    """Whether `meant` was said after `first`, where the border between them was misheard.

    "Light screen" sounds as "lights green" does, "light spread" nearly as "lights red".

    Args:
        first: a word that was meant, as it was heard.
        then: the word heard behind it.
        meant: a word in full, in lower case.
    """
    heard = sounds(first + then)
    if len(heard) < _LEAST_CODE:
        return False
    for form in (stem(first) + meant, stem(first) + "s" + meant):
        slips = edits(heard, sounds(form), 1)
        if slips == 0 or (slips == 1 and _rhymes(then, meant)):
            return True
    return False


def _rhymes(one: str, other: str) -> bool:
    """Whether two words end alike: spread and red do, bright and red do not."""
    vowels = [_VOWELS.findall(word)[-1:] for word in (one, other)]
    same = bool(vowels[0] and vowels[1]) and vowels[0][0][0] == vowels[1][0][0]
    return same and sounds(one).endswith(sounds(other))


@lru_cache(maxsize=4096)
def sounds(word: str) -> str:
    """Return a word's consonants, those that are alike as one; a vowel counts where it begins."""
    code = re.sub(r"ph", "f", word)
    code = re.sub(r"gh(?=t|$)", "", code)
    code = re.sub(r"^kn|^gn", "n", code)
    code = re.sub(r"^wr", "r", code)
    code = re.sub(r"c(?=[eiy])", "s", code)
    code = re.sub(r"ck|[cqg]", "k", code)
    code = code.replace("x", "ks").replace("z", "s").replace("d", "t").replace("b", "p")
    code = code.replace("v", "f")
    begin = "a" if code[:1] in tuple("aeiou") else ""
    code = re.sub(r"[aeiouyhw]", "", code)
    return begin + re.sub(r"(.)\1+", r"\1", code)


def edits(a: str, b: str, most: int) -> int:
    """Return the letters to change, add, drop or swap (neighbours); `most` + 1 where more.

    Source: optimal string alignment (Damerau 1964, Wagner and Fischer 1974).
    """
    if abs(len(a) - len(b)) > most:
        return most + 1
    before: list[int] = []
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        last, before, row = before, row, [i]
        for j, y in enumerate(b, 1):
            row.append(min(before[j] + 1, row[-1] + 1, before[j - 1] + (x != y)))
            if i > 1 and j > 1 and x == b[j - 2] and y == a[i - 2]:
                row[j] = min(row[j], last[j - 2] + 1)
        if min(row) > most:
            return most + 1
    return min(row[-1], most + 1)
