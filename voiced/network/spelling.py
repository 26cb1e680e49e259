"""What a spelled text sounds like, as far as its letters tell: pure.

Not a pronunciation: only the kind of each sound (a vowel, a hiss, a stop) and about how long it
lasts, which is what a loudness and a frequency can be held against. The letters are read the
English way where languages differ; what all languages written in Latin letters share weighs most: a
vowel letter sounds loud, an s hisses, a p is silent for a moment, doubled letters are one sound.
The durations are of ordinary read speech; the groups' means, ms, lie within 10 % of those of the
sounds that they stand for.
"""

from __future__ import annotations

import enum
import re
import unicodedata
from collections.abc import Iterator
from typing import Final, NamedTuple


class Sound(enum.IntEnum):
    """A kind of sound."""

    VOWEL = 0
    SONORANT = 1
    """m n l r w y: voiced, weaker than a vowel."""
    SIBILANT = 2
    FRICATIVE = 3
    """f v th h: weak, often hardly to be heard."""
    STOP = 4
    UNKNOWN = 5
    """It sounds; nobody knows how: a digit, a letter of another script."""
    JOIN = 6
    """Between two words: perhaps a pause."""
    COMMA = 7
    """A mark within a sentence: probably a pause."""
    END = 8
    """The end of a sentence: a pause."""


class Unit(NamedTuple):
    """One sound, or a place where a voice may pause."""

    chars: int
    """Characters that spell it."""
    sound: Sound
    ms: int


_UNITS: Final = re.compile(
    r"""
      (?P<mute> (?<=[aeiouy][^\W\daeiouy])e\b | (?<=[^\W\daeiouy]{2})e\b
              | (?<=[^\W\dtdaeiou])e(?=d\b) | gh(?=t|s?\b) )
    | (?P<lisp> th | ph )
    | (?P<hush> tch | sch | sh | ch | ti(?=on|al|ent|ous) | ci(?=al|an|ous|ent) )
    | (?P<click> [qg]ue\b | qu | ck )
    | (?P<glide> wh | \bkn(?=[aeiou]) | \bwr )
    | (?P<flap> (?<=[aeiou])[dt](?=[aiouy]|e\B) )
    | (?P<ring> ng )
    | (?P<long> [aeiou]{2,}[wy]? | [aeo][wy](?![aeiou]) )
    | (?P<vowel> [aeiou] | (?<=\w)y(?![aeiou]) )
    | (?P<hiss> (?P<hiss_1>[szxj])(?P=hiss_1)? | c(?=[eiy]) )
    | (?P<stop> (?P<stop_1>[bdgptkcq])(?P=stop_1)? )
    | (?P<blow> (?P<blow_1>[fv])(?P=blow_1)? )
    | (?P<breath> h )
    | (?P<hum> (?P<hum_1>[mn])(?P=hum_1)? )
    | (?P<liquid> (?P<liquid_1>[lrwy])(?P=liquid_1)? )
    | (?P<digit> \d )
    | (?P<letter> [^\W_] )
    | (?P<sign> [%&+=$€£°] )
    | (?P<mark> . )
    """,
    re.VERBOSE | re.DOTALL,
)
_SOUNDS: Final = {
    "mute": (Sound.UNKNOWN, 20),
    "lisp": (Sound.FRICATIVE, 50),
    "hush": (Sound.SIBILANT, 105),
    "click": (Sound.STOP, 40),
    "glide": (Sound.SONORANT, 40),
    "flap": (Sound.SONORANT, 40),
    "ring": (Sound.SONORANT, 90),
    "long": (Sound.VOWEL, 120),
    "vowel": (Sound.VOWEL, 72),
    "hiss": (Sound.SIBILANT, 75),
    "stop": (Sound.STOP, 54),
    "blow": (Sound.FRICATIVE, 62),
    "breath": (Sound.FRICATIVE, 20),
    "hum": (Sound.SONORANT, 58),
    "liquid": (Sound.SONORANT, 40),
    "digit": (Sound.UNKNOWN, 250),
    "letter": (Sound.UNKNOWN, 75),
    "sign": (Sound.UNKNOWN, 300),
    "mark": (Sound.UNKNOWN, 0),
}
SPELLED_MS: Final = 170
"""A letter by its name, as in "TV"."""
FINAL_MS: Final = 120
"""The last vowel before a mark lasts so much longer."""

_WORDS: Final = re.compile(r"\S+\s*|\s+")
_QUOTES: Final = "\"'”’»)]*_"
_VOWELS: Final = re.compile(r"[aeiouy]")
_ALIKE: Final = {
    "ß": "s", "æ": "a", "œ": "o", "ø": "o", "ð": "d", "þ": "t", "ł": "l", "ı": "i", "đ": "d",
}  # fmt: skip


def folded(text: str) -> str:
    """Return `text` in plain small Latin letters, a character for each of its own."""
    if text.isascii():
        return text.lower()
    plain = (unicodedata.normalize("NFD", letter)[0].lower()[0] for letter in text)
    return "".join(_ALIKE.get(letter, letter) for letter in plain)


def is_latin(text: str) -> bool:
    """Return whether most letters of `text` are Latin ones: only those are read here."""
    letters = [letter for letter in folded(text) if letter.isalpha()]
    return 2 * sum(letter.isascii() for letter in letters) >= len(letters)


def last_word(text: str) -> int:
    """Return where the last word of `text` begins: what follows may change how it sounds."""
    return len(text.rstrip()) - len((text.rstrip().split() or [""])[-1])


def units_of(text: str) -> Iterator[Unit]:
    """Yield the sounds of `text` and the places between its words; their characters add up."""
    for found in _WORDS.finditer(text):
        yield from _word(found.group())


def _word(word: str) -> Iterator[Unit]:
    plain = folded(word)
    place = _place(plain.rstrip())
    spelled = _VOWELS.search(plain) is None
    units: list[Unit] = []
    last = -1
    for found in _UNITS.finditer(plain):
        kind = found.lastgroup or "mark"
        sound, ms = _SOUNDS[kind]
        chars = len(found.group())
        if spelled and found.group().isascii() and found.group().isalpha():
            sound, ms = Sound.UNKNOWN, SPELLED_MS * chars
        if ms >= SPELLED_MS or sound is Sound.VOWEL:
            last = len(units)
        units.append(Unit(chars, sound, ms))
    if place is not Sound.JOIN and last >= 0:
        units[last] = units[last]._replace(ms=units[last].ms + FINAL_MS)
    yield from units
    yield Unit(0, place, 0)


def _place(word: str) -> Sound:
    """Return what follows a word, by its last mark."""
    mark = word.rstrip(_QUOTES)[-1:]
    if mark and mark in ".!?…":
        return Sound.END
    return Sound.COMMA if mark and mark in ",;:—–" else Sound.JOIN
