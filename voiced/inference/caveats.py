"""What holds a wish back that sounds like a command: a condition, another time, another's words.

A daemon that acts cannot wait until the music stops, and cannot know whether "open the door"
was meant for it or was read from a sign. A call that should not have happened is worse than one
that is missing. A tool whose own description has the word ("remind a visitor tomorrow") is called
nevertheless.
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from typing import Final

from voiced.inference import lexicon
from voiced.inference.lexicon import word_set
from voiced.inference.utterance import Word

_LATER: Final = word_set("tomorrow later yesterday someday oclock")
_SPANS: Final = word_set("week month year day hour minute weekend time morning evening")
_CLAUSES: Final = word_set("when once after before while whenever until till as")
"""Words that begin a condition where somebody or something follows."""
_POLITE: Final = word_set("please can could like want would wish may will do possible must")
"""What follows an "if" that is none: if you can, if you please, if possible."""
_SAYING: Final = word_set("say repeat translate spell pronounce recite quote")
_CLOSERS: Final = word_set("is was would sounds means costs")
"""Verbs of which a command is the subject: "open the door" is what he said."""
_OWNERS: Final = word_set(
    "my your his her their our him them me nobody everybody everyone somebody"
)
_PASSING_ON: Final = word_set("tell ask let help teach remind")


def held(words: Sequence[Word]) -> frozenset[str]:
    """Return the stems that hold a sentence back; empty where it is meant here and now."""
    texts = [word.text for word in words]
    found = {n for n in range(len(texts)) if _holds(texts, n)}
    first = next((n for n, text in enumerate(texts) if text not in lexicon.LEADS), None)
    if first is not None:
        follows = texts[first + 1 : first + 2]
        if (
            texts[first] in _SAYING
            or (
                texts[first] in ("should", "were", "had")
                and follows
                and follows[0] in lexicon.SUBJECTS | lexicon.ARTICLES
            )
            or texts[first] in _PASSING_ON
            and follows
            and _passes_on(texts[first:])
        ):
            found.add(first)
    return frozenset(words[n].stem for n in found)


def goes_on(words: Sequence[Word]) -> bool:
    """Whether the next sentence belongs to this one, cut by a pause: "When I clap." "He said."."""
    texts = [word.text for word in words if word.text not in lexicon.LEADS]
    if not texts:
        return False
    begins = texts[0] in lexicon.CONDITIONS | _CLAUSES | {"in", "should"}
    return texts[-1] in ("said", "says", "shouted") or (begins and bool(held(words)))


def is_spoken_of(words: Sequence[Word], used: set[int]) -> bool:
    """Whether words that begin as a command are what a sentence is about.

    Args:
        words: of one sentence.
        used: places of those that fill an argument: a title may be any words.
    """
    texts = [word.text for word in words]
    for n, text in enumerate(texts[1:], start=1):
        if (
            text in _CLOSERS
            and n not in used
            and texts[n - 1] not in lexicon.SUBJECTS | lexicon.QUESTIONS | {"not", "here"}
        ):
            return True
    return False


def is_answer(words: Sequence[Word], used: Container[int], stems: Container[str]) -> bool:
    """Whether a sentence is an answer, and no talk in which its words happen to stand.

    Args:
        words: of what was said after a question.
        used: places of the words that name what was asked for.
        stems: those of what the question was about.
    """
    if held(words) or _tells(words):
        return False
    known = lexicon.STOP | lexicon.LEADS | lexicon.YES | lexicon.ANSWERING
    return all(
        n in used or word.text in known or word.stem in stems for n, word in enumerate(words)
    )


def _tells(words: Sequence[Word]) -> bool:
    """Whether somebody is told of: "we are three", "she said red"; not "it is red"."""
    texts = [word.text for word in words if word.text not in lexicon.LEADS]
    if not texts or texts[0] not in lexicon.SUBJECTS - {"it", "that", "this"}:
        return False
    return texts[0] not in ("i", "we") or texts[1:2] in (["am"], ["are"], ["was"], ["were"])


def _holds(texts: Sequence[str], n: int) -> bool:
    text, follows = texts[n], texts[n + 1 : n + 3]
    before = texts[n - 1] if n else ""
    someone = bool(follows) and follows[0] in (
        (lexicon.SUBJECTS | lexicon.ARTICLES) - {"this", "that"}
    )
    if text in _LATER:
        return before != "not"
    if text in ("if", "unless"):
        polite = [word for word in follows if word not in lexicon.SUBJECTS]
        return text == "unless" or not (polite and polite[0] in _POLITE)
    if text == "as":
        return follows == ["soon", "as"]
    if text in _CLAUSES:
        # "When does it begin?" and "when I came in it was dark" are told from "when I clap".
        return someone and not any(word in lexicon.PAST for word in texts[n + 1 : n + 5])
    if text in _SPANS:
        return before == "next"
    if text in ("minutes", "hours", "days", "weeks"):
        return "in" in texts[max(n - 4, 0) : n]
    return text == "emergency" or (text == "case" and before == "in")


def _passes_on(texts: Sequence[str]) -> bool:
    """Whether somebody else is to do it: tell my wife to call, let him open."""
    if texts[1] == "me":
        return texts[0] in ("let", "help")
    return texts[1] in _OWNERS
