"""What a visitor said, as words: their stems, what kind of sentence it is, and what is negated."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from enum import Enum
from typing import Final

import msgspec

from voiced.inference import lexicon
from voiced.inference.lexicon import stem

_TOKEN: Final = re.compile(
    r"(?<!\w)[-−]?\d+(?:[.,]\d+)*(?:\s?%)?|[.,]\d+|[^\W\d_]+(?:'[^\W\d_]+)*|\d+"
)
_SENTENCE: Final = re.compile(r"(?:[.!?;:。！？]+(?=\s|$)|\n)+|\bbut\b", re.IGNORECASE)
_PART: Final = re.compile(r",(?=\s)|\b(?:and then|and also|and|then)\b", re.IGNORECASE)
_CAMEL: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|[_\W]+|(?<=[A-Za-z])(?=\d)")
_MOST_SENTENCES: Final = 8
_MOST_PARTS: Final = 8
_APOSTROPHES: Final = str.maketrans("’‘ʼ`´", "'''''")


class Mood(Enum):
    """What kind of sentence it is."""

    COMMAND = "command"
    """"Turn it on", "can you turn it on", "I want it on"."""
    ELLIPSIS = "ellipsis"
    """"Lights on"."""
    QUESTION = "question"
    """Also "if ...", "tell me about ..."."""
    STATEMENT = "statement"


class Word(msgspec.Struct, frozen=True, kw_only=True):
    """One word."""

    text: str
    """In lower case."""
    stem: str
    start: int
    end: int
    """Its place in the text that `tidy` gave."""


def tidy(said: str) -> str:
    """Return a text in the form that places count in."""
    return unicodedata.normalize("NFKC", said).translate(_APOSTROPHES)


def words_of(text: str) -> list[Word]:
    """Return the words of a tidy text; contractions are written out."""
    found: list[Word] = []
    for match in _TOKEN.finditer(text):
        start, end = match.span()
        for word in _written_out(match[0].lower()):
            found.append(Word(text=word, stem=stem(word), start=start, end=end))
    return found


def _written_out(word: str) -> list[str]:
    if word in lexicon.CONTRACTIONS:
        return lexicon.CONTRACTIONS[word].split()
    if word.endswith("n't"):
        return [word[:-3], "not"]
    head, apostrophe, tail = word.rpartition("'")
    if not apostrophe or not head:
        return [word]
    if tail == "s":
        return [head, "is"] if head in lexicon.BEFORE_IS else [head]
    return [head, lexicon.SUFFIXES[tail]] if tail in lexicon.SUFFIXES else [head + tail]


def stems_of_name(name: str) -> list[str]:
    """Return the stems in a name such as set_lights, setLights or set-lights."""
    return [stem(part.lower()) for part in _CAMEL.split(tidy(name)) if part]


def spoken_name(name: str) -> str:
    """Return a name as one says it: fade_time is "fade time"."""
    return " ".join(part for part in _CAMEL.split(tidy(name)) if part).lower() or name


def sentences(text: str) -> list[str]:
    """Return the last sentences of a tidy text; what follows "but" is one of its own."""
    return [part for part in _SENTENCE.split(text) if part.strip()][-_MOST_SENTENCES:]


def parts(sentence: str) -> list[str]:
    """Return what stands between commas and "and", unless that is a long enumeration."""
    found = [part for part in _PART.split(sentence) if part.strip()]
    return found if len(found) <= _MOST_PARTS else [sentence]


def negation(words: Sequence[Word], negations: frozenset[str]) -> int | None:
    """Return where a sentence begins to be negated: the word of negation, or the "do" before it.

    Args:
        words: of one sentence.
        negations: the words that negate.
    """
    for n, word in enumerate(words):
        follows = words[n + 1].text if n + 1 < len(words) else ""
        determines = word.text == "no" and n > 0 and follows not in lexicon.LEADS | {""}
        if word.text in negations or determines:
            begins = (
                n - 1 if n and words[n - 1].text in lexicon.AUXILIARIES | lexicon.REQUESTS else n
            )
            return begins
    return None


def mood(words: Sequence[Word], verbs: frozenset[str]) -> Mood:
    """Return what kind of sentence this is.

    Args:
        words: of one sentence that is not negated.
        verbs: stems that begin the names and descriptions of tools.
    """
    verbs = verbs | lexicon.VERBS
    rest, asked = _begun(words)
    if not rest:
        return Mood.ELLIPSIS
    first, second = rest[0], rest[1] if len(rest) > 1 else None
    if asked:
        return Mood.QUESTION if first.stem in lexicon.TALK else Mood.COMMAND
    if first.text in lexicon.CONDITIONS | lexicon.QUESTIONS or _about(rest):
        return Mood.QUESTION
    if first.text in lexicon.AUXILIARIES and (
        second is None or second.text in lexicon.SUBJECTS | lexicon.ARTICLES
    ):
        return Mood.QUESTION
    if first.text in lexicon.SUBJECTS | lexicon.ARTICLES | lexicon.PREPOSITIONS:
        return Mood.STATEMENT
    if first.stem in verbs and not first.text.endswith(("ing", "ed")):
        return Mood.COMMAND
    told = any(w.text in lexicon.COPULAS for w in rest) or any(
        w.text in lexicon.SUBJECTS and w.text not in ("it", "this", "that") for w in rest
    )
    past = any(w.text.endswith(("ed", "ing")) and w.stem in verbs for w in rest)
    return Mood.STATEMENT if told or past else Mood.ELLIPSIS


def is_told(words: Sequence[Word]) -> bool:
    """Whether a sentence begins with its subject, as "I do not know" does."""
    first = next((word.text for word in words if word.text not in lexicon.LEADS), "")
    return first in lexicon.SUBJECTS | lexicon.ARTICLES


def _about(words: Sequence[Word]) -> bool:
    """Whether a sentence asks to be told about something."""
    telling = words[0].stem in lexicon.TALK | lexicon.TELL
    return words[0].stem in lexicon.TALK or (telling and any(w.text == "about" for w in words))


def _begun(words: Sequence[Word]) -> tuple[Sequence[Word], bool]:
    """Return a sentence behind its polite beginning, and whether that asked for something."""
    n, asked = 0, False
    texts = [word.text for word in words]
    while n < len(texts):
        if texts[n] in lexicon.LEADS:
            n += 1
        elif (
            texts[n] in lexicon.REQUESTS
            and texts[n + 1 : n + 2]
            and texts[n + 1] in ("you", "we", "i")
        ):
            n, asked = n + 2, True
            if texts[n : n + 1] in (["have"], ["get"], ["mind"]):
                n += 1
        elif texts[n] == "i" and texts[n + 1 : n + 2] == ["said"]:
            n += 2
        elif texts[n] in ("i", "we") and _wishes(texts[n + 1 : n + 3]):
            n, asked = n + 1 + _wishes(texts[n + 1 : n + 3]), True
            n += texts[n : n + 1] == ["you"]
            n += texts[n : n + 1] == ["to"]
        elif texts[n : n + 2] == ["let", "us"]:
            n, asked = n + 2, True
        else:
            break
    return words[n:], asked


def _wishes(texts: Sequence[str]) -> int:
    """Return how many words of "want", "need", "would like" stand here."""
    if texts[:1] and texts[0] in ("want", "need"):
        return 1
    return 2 if len(texts) == 2 and texts[0] == "would" and texts[1] in lexicon.WISHES else 0
