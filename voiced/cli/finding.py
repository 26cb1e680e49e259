"""One line of `voiced check`: what was looked at, how it stands, and what mends it."""

from __future__ import annotations

from enum import Enum

import msgspec


class Verdict(Enum):
    """How one matter stands."""

    GOOD = "ok"
    NOTE = "note"
    """Fine without, but know it."""
    BAD = "FAIL"


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the report."""

    matter: str
    verdict: Verdict
    sentence: str
    fix: str = ""


def good(matter: str, sentence: str) -> Finding:
    """Return that a matter is as it should be."""
    return Finding(matter=matter, verdict=Verdict.GOOD, sentence=sentence)


def note(matter: str, sentence: str, fix: str = "") -> Finding:
    """Return that a matter is worth knowing."""
    return Finding(matter=matter, verdict=Verdict.NOTE, sentence=sentence, fix=fix)


def bad(matter: str, sentence: str, fix: str) -> Finding:
    """Return that a matter is wrong, and what mends it."""
    return Finding(matter=matter, verdict=Verdict.BAD, sentence=sentence, fix=fix)
