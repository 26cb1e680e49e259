"""Errors: what the service's words mean, and what the operator is told.

A fault is known by its code or its type, whichever the service kept (they have changed the one and
kept the other), or by a piece of its message. The table of a dialect is read from the top; what is
in no row is told with the service's own words and ends nothing.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import Enum

import msgspec

from voiced.providers.dial import Service
from voiced.providers.realtime_dialect.server import Fault

LONGEST = 240
"""Characters of the service's own message that are told."""


class Meaning(Enum):
    """What a fault leads to."""

    BENIGN = "benign"
    """A race that both sides have survived: a line in the log."""
    WARN = "warn"
    """Told once; nothing else happens."""
    BUSY = "busy"
    """A reply was asked for while one runs: asked again when that one is done."""
    NOT_RUNNING = "not running"
    """A reply was to be stopped that does not run (any more)."""
    BACK_OFF = "back off"
    """Told; nothing is asked for until the limit allows it."""
    RETRY = "retry"
    """Told; the reply is asked for once more."""
    EXPIRED = "expired"
    """This connection has reached its longest duration: another one follows."""
    GOAWAY = "goaway"
    """The service ends this connection for another reason: another one follows."""
    FATAL = "fatal"
    """Trying again is useless."""
    TOLD = "told"
    """Told each time; nothing else happens."""


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One row of a dialect's table of errors."""

    meaning: Meaning
    words: tuple[str, ...] = ()
    """Codes and types."""
    texts: tuple[str, ...] = ()
    """Pieces of messages and of closing reasons, in lower case."""
    sentence: str = ""
    """What the operator is told; {title}, {server}, {billing} and {message} are filled in."""


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What one fault means."""

    meaning: Meaning
    code: str
    """The service's own word."""
    sentence: str


class Faults:
    """A dialect's table of errors.

    Args:
        service: whose.
        billing: the account's page, for sentences.
        rows: the table.
    """

    def __init__(self, service: Service, billing: str, rows: Sequence[Row]) -> None:
        self._service, self._billing, self._rows = service, billing, tuple(rows)

    def judge(self, fault: Fault) -> Verdict:
        """Return what a fault means."""
        words = {word for word in (fault.code, fault.type) if word}
        message = fault.message or ""
        for row in self._rows:
            known = words.intersection(row.words)
            if known or any(text in message.lower() for text in row.texts):
                code = fault.code or fault.type or next(iter(row.words), "error")
                return self._verdict(row, code, message)
        row = Row(meaning=Meaning.TOLD, sentence="{title} reports: {message}")
        return self._verdict(row, fault.code or fault.type or "error", message)

    def closing(self, reason: str) -> Verdict | None:
        """Return what a close frame's reason means; None = nothing that is known."""
        lowered = reason.lower()
        for row in self._rows:
            for word in row.words:
                if word in lowered:
                    return self._verdict(row, word, reason)
            if any(text in lowered for text in row.texts):
                return self._verdict(row, next(iter(row.words), "closed"), reason)
        return None

    def stale(self, verdict: Verdict) -> Verdict:
        """Return the verdict on a truncation or deletion that came too late for its item."""
        return msgspec.structs.replace(verdict, meaning=Meaning.WARN)

    def _verdict(self, row: Row, code: str, message: str) -> Verdict:
        sentence = row.sentence.format(
            title=self._service.title,
            server=self._service.key_server,
            billing=self._billing,
            message=shown(message) or code,
        )
        return Verdict(meaning=row.meaning, code=code, sentence=sentence)


_KEY = re.compile(r"\b(?:sk|ek|xai)-[\w*.-]{4,}", re.IGNORECASE)


def shown(message: str) -> str:
    """Return a service's message as it may be shown: one line, short, without anything key-like."""
    line = " ".join(_KEY.sub("(key)", message).split())
    return line if len(line) <= LONGEST else line[: LONGEST - 1] + "…"
