"""The numbers in what somebody said: 30%, 0.5, thirty percent, minus two, a quarter, the third."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Final

import msgspec

from voiced.inference.lexicon import word_set
from voiced.inference.utterance import Word


def _counted(text: str, begin: int, step: int = 1) -> dict[str, int]:
    return {word: begin + step * n for n, word in enumerate(text.split())}


_ONES: Final = _counted(
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen "
    "fifteen sixteen seventeen eighteen nineteen",
    0,
)
_TENS: Final = _counted("twenty thirty forty fifty sixty seventy eighty ninety", 20, 10)
_ORDINALS: Final = _counted(
    "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth", 1
)
_SHARES: Final = {"half": 0.5, "halfway": 0.5, "quarter": 0.25, "third": 1 / 3}
_SIZES: Final = {"hundred": 100, "thousand": 1_000}
_NO_NUMBER: Final = word_set("the this that which another each every any no")
"""Before "one", which is then no number."""
_THOUSANDS: Final = re.compile(r"-?\d{1,3}(,\d{3})+(\.\d+)?")
_DIGITS: Final = re.compile(r"-?\d+([.,]\d+)?|[.,]\d+")


class Mention(msgspec.Struct, frozen=True, kw_only=True):
    """One number, and the words it stands in."""

    value: float
    """Of a share, 0 to 1."""
    share: bool
    """Percent, half, a quarter."""
    first: int
    until: int
    """Words first to until, this one not among them."""


def mentions(words: Sequence[Word]) -> list[Mention]:
    """Return the numbers in the order in which they were said."""
    found: list[Mention] = []
    n = 0
    while n < len(words):
        mention = _at(words, n)
        if mention is None:
            n += 1
        else:
            found.append(mention)
            n = mention.until
    return found


def _at(words: Sequence[Word], n: int) -> Mention | None:
    """Return the number that begins with this word."""
    texts = [word.text for word in words]
    at = n
    sign = 1.0
    if texts[at] in ("minus", "negative") and at + 1 < len(texts):
        sign, at = -1.0, at + 1
    share = False
    read = _figures(texts[at])
    if read is not None:
        value, at = read, at + 1
        share = texts[at - 1].endswith("%")
    else:
        spelt = _spelt(texts, at)
        if spelt is None:
            return _share(texts, n) if sign > 0 else None
        value, at = spelt
        quarters = texts[at : at + 1] in (["quarters"], ["thirds"], ["halves"])
        if quarters and not share:
            part = {"quarters": 4, "thirds": 3, "halves": 2}[texts[at]]
            return Mention(value=sign * value / part, share=True, first=n, until=at + 1)
    more = texts[at : at + 3]
    if more[:2] == ["and", "a"] and more[2:] in (["half"], ["quarter"]):
        value, at = value + _SHARES[more[2]], at + 3
    if texts[at : at + 1] == ["percent"]:
        share, at = True, at + 1
    elif texts[at : at + 2] == ["per", "cent"]:
        share, at = True, at + 2
    value = sign * value / (100 if share else 1)
    return Mention(value=value, share=share, first=n, until=at) if math.isfinite(value) else None


def _share(texts: Sequence[str], n: int) -> Mention | None:
    """Return a half, a quarter, an ordinal."""
    word = texts[n]
    if word in _ORDINALS and texts[n + 1 : n + 2] != ["of"]:
        return Mention(value=float(_ORDINALS[word]), share=False, first=n, until=n + 1)
    if word in _SHARES:
        return Mention(value=_SHARES[word], share=True, first=n, until=n + 1)
    return None


def _figures(text: str) -> float | None:
    """Return the number that digits write."""
    text = text.replace("−", "-").removesuffix("%").strip()
    if _THOUSANDS.fullmatch(text):
        text = text.replace(",", "")
    elif not _DIGITS.fullmatch(text):
        return None
    value = float(text.replace(",", "."))
    return value if math.isfinite(value) else None


def _spelt(texts: Sequence[str], n: int) -> tuple[float, int] | None:
    """Return the number that words write, and where it ends; None where there is none."""
    total = current = 0.0
    at = n
    if texts[at] == "a" and texts[at + 1 : at + 2] and texts[at + 1] in _SIZES:
        current, at = 1.0, at + 1
    last = ""
    while at < len(texts):
        word = texts[at]
        if word in _TENS and last in ("", "hundred"):
            current, last = current + _TENS[word], "tens"
        elif word in _ONES and _fits(texts, at, last, n):
            current, last = current + _ONES[word], "ones"
        elif word == "hundred" and (last in ("ones", "tens") or at > n):
            current, last = current * 100, "hundred"
        elif word == "thousand" and at > n:
            total, current, last = total + current * 1_000, 0.0, ""
        elif word == "and" and last == "hundred" and _counts(texts, at + 1):
            pass
        else:
            break
        at += 1
    digits = ""
    if texts[at : at + 1] == ["point"]:
        begin = at + 1
        while texts[begin : begin + 1] and _ONES.get(texts[begin], 10) < 10:
            digits += str(_ONES[texts[begin]])
            begin += 1
        if digits:
            at = begin
    if at == n:
        return None
    return total + current + (float(f"0.{digits}") if digits else 0.0), at


def _fits(texts: Sequence[str], at: int, last: str, first: int) -> bool:
    """Whether a number below twenty goes on with what was read before it."""
    value = _ONES[texts[at]]
    if texts[at] == "one" and at == first and at > 0 and texts[at - 1] in _NO_NUMBER:
        return False
    return last in ("", "hundred") or (last == "tens" and 0 < value < 10)


def _counts(texts: Sequence[str], at: int) -> bool:
    return at < len(texts) and (texts[at] in _ONES or texts[at] in _TENS)
