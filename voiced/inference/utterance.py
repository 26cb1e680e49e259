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
_EXCEPT: Final = re.compile(
    rf"\b((?:{'|'.join(sorted(lexicon.ALL_BUT))})(?: \w+)?) but\b", re.IGNORECASE
)
_QUOTED: Final = re.compile(
    r"\b(said|says|say|told|shouted|asked|wrote|reads|repeat|repeat after me)\s*:", re.IGNORECASE
)
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
    """Return the last sentences of a tidy text; what follows "but" is one of its own.

    Of the marks at their ends a question mark is kept.
    """
    text = _QUOTED.sub(r"\1", exceptions(text))
    found, begin = [], 0
    for end in _SENTENCE.finditer(text):
        asked = "?" if {"?", "？"} & set(end[0]) else ""
        found.append((text[begin : end.start()], asked))
        begin = end.end()
    found.append((text[begin:], ""))
    return [part + asked for part, asked in found if part.strip()][-_MOST_SENTENCES:]


def exceptions(text: str) -> str:
    """Return a text in which "anything but" is "anything except"."""
    return _EXCEPT.sub(r"\1 except", text)


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
        replaced = (word.text, follows) in lexicon.REPLACED
        if word.text in negations or replaced or (word.text == "no" and _denies(words, n)):
            begins = (
                n - 1 if n and words[n - 1].text in lexicon.AUXILIARIES | lexicon.REQUESTS else n
            )
            return begins
    return None


def _denies(words: Sequence[Word], n: int) -> bool:
    """Whether a "no" denies: "no red lights", "red lights no thanks"; "no, red lights" does not."""
    rest = words[n + 1 :]
    if not rest or all(word.text in lexicon.LEADS | lexicon.THANKS for word in rest):
        return n > 0
    follows = rest[0]
    if follows.text in lexicon.LEADS | lexicon.EASE:
        return False
    if any(word.text not in lexicon.LEADS for word in words[:n]):
        return True
    answers = follows.start - words[n].end > 1  # a comma stands between
    commands = follows.stem in lexicon.VERBS and not is_inflected(follows) and len(rest) > 1
    asks = follows.text in lexicon.SUBJECTS | lexicon.REQUESTS | lexicon.QUESTIONS | {"let"}
    return not (answers or commands or asks)


def is_inflected(word: Word) -> bool:
    """Whether it is a form such as "opening" or "opened"; "ring" and "feed" are none."""
    return word.text.endswith(("ing", "ed")) and not word.stem.endswith(("ing", "ed"))


def retracts(words: Sequence[Word], no: frozenset[str]) -> bool:
    """Whether a sentence takes back what was said before it: "No!", "I was joking".

    Args:
        words: of one sentence.
        no: the words by which a visitor says no.
    """
    if takes_back(words):
        return True
    meant = [word for word in words if word.text not in lexicon.LEADS - no]
    if not meant or meant[0].text not in no:
        return False
    if all(word.text in no | lexicon.STOP for word in meant):
        return True
    # "No, the green ones" is told from "no hurry" and from "stop the music".
    return meant[0].text in ("no", "nope", "nah") and meant[1].start - meant[0].end > 1


def takes_back(words: Sequence[Word]) -> bool:
    """Whether words such as "I was joking" take back what they stand beside."""
    texts = [word.text for word in words]
    return any(
        tuple(texts[n : n + len(said)]) == said
        for said in lexicon.RETRACTIONS
        for n in range(len(texts))
    )


def is_remark(words: Sequence[Word], verbs: frozenset[str] = frozenset()) -> bool:
    """Whether a sentence begins as a remark and with no verb of a tool."""
    rest, _ = _begun(words)
    return bool(rest) and rest[0].text in lexicon.REMARKS and rest[0].stem not in verbs


def mood(words: Sequence[Word], verbs: frozenset[str]) -> Mood:
    """Return what kind of sentence this is.

    Args:
        words: of one sentence that is not negated.
        verbs: stems that begin the names and descriptions of tools.
    """
    remarked = is_remark(words, verbs)
    verbs = verbs | lexicon.VERBS
    rest, asked = _begun(words)
    if not rest:
        return Mood.ELLIPSIS
    first, second = rest[0], rest[1] if len(rest) > 1 else None
    if _asks_within(rest):
        return Mood.QUESTION
    if remarked:
        return Mood.STATEMENT
    if asked:
        return Mood.QUESTION if first.stem in lexicon.TALK else Mood.COMMAND
    if first.text in lexicon.REQUESTS and (second is None or second.stem not in verbs):
        return Mood.QUESTION
    if first.text in lexicon.CONDITIONS | lexicon.QUESTIONS or _about(rest):
        return Mood.QUESTION
    if first.text in lexicon.AUXILIARIES and (
        second is None or second.text in lexicon.SUBJECTS | lexicon.ARTICLES
    ):
        return Mood.QUESTION
    if first.text in lexicon.SUBJECTS | lexicon.ARTICLES | lexicon.PREPOSITIONS:
        return Mood.STATEMENT
    if first.stem in verbs and not is_inflected(first):
        return Mood.COMMAND
    told = any(w.text in lexicon.COPULAS for w in rest) or any(
        w.text in lexicon.SUBJECTS and w.text not in ("it", "this", "that") for w in rest
    )
    past = any(w.text.endswith(("ed", "ing")) and w.stem in verbs for w in rest)
    return Mood.STATEMENT if told or past else Mood.ELLIPSIS


def is_echo(text: str, words: Sequence[Word]) -> bool:
    """Whether a command is asked back and not polite: "Open the door?"."""
    polite = lexicon.REQUESTS | {"please", "kindly"}
    commands = mood(words, frozenset()) in (Mood.COMMAND, Mood.ELLIPSIS)
    return text.endswith("?") and commands and not any(word.text in polite for word in words)


def is_told(words: Sequence[Word]) -> bool:
    """Whether a sentence begins with its subject, as "I do not know" does."""
    first = next((word.text for word in words if word.text not in lexicon.LEADS), "")
    return first in lexicon.SUBJECTS | lexicon.ARTICLES


def _asks_within(words: Sequence[Word]) -> bool:
    """Whether a question stands in a request: "tell me why", "know who"."""
    inner = lexicon.QUESTIONS | {"whether", "if"}
    return words[0].stem in lexicon.KNOW and any(word.text in inner for word in words[1:3])


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
            and not _ponders(texts[n:])
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


def _ponders(texts: Sequence[str]) -> bool:
    """Whether "would you", "may I" asks what might be, or leave, and not for something."""
    follows = next((text for text in texts[2:] if text not in lexicon.LEADS), "")
    if texts[1] == "i":
        return follows not in ("have", "get", "see", "hear")
    if follows == "have":
        return any(
            text in lexicon.PAST or (text[-2:] == "ed" and len(text) > 4) for text in texts[3:5]
        )
    return follows in lexicon.PONDERED


def _wishes(texts: Sequence[str]) -> int:
    """Return how many words of "want", "need", "would like" stand here."""
    if texts[:1] and texts[0] in ("want", "need"):
        return 1
    return 2 if len(texts) == 2 and texts[0] == "would" and texts[1] in lexicon.WISHES else 0
