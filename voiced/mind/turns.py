"""Turns of a conversation: who said what, from which frame on, and whether it was answered."""

from __future__ import annotations

import re

import msgspec

from voiced.messages.network import HistoryRow
from voiced.mind.effects import Row

TURNS_KEPT = 600
"""Finished turns remembered for priming: more than Maxreplayrows can ask for."""
OPEN_KEPT = 64
"""User turns that may wait for their words at once."""
SENDINGS = 3
"""Legs that one typed text is sent to at most."""
SLACK_FRAMES = 24_000
"""Two services place the start of one turn differently; half a second at 48 kHz."""

_BROKEN_WORD = re.compile(r"[\w'’]+\Z")


class Turn(msgspec.Struct, kw_only=True):
    """One turn of one speaker; its row or rows follow from it."""

    role: str
    leg: int
    item: str = ""
    """The provider's name for it; "" until the provider names it."""
    response: str = ""
    mode: str = "live"
    """Streamingmode when it began."""
    text: str = ""
    """Everything received."""
    final: bool = False
    answered: bool = False
    """Of a user's turn: a complete reply followed."""
    heard_chars: int | None = None
    """Of a cut reply: characters that were heard."""
    sounded_chars: int = 0
    """Of a reply that sounds: characters heard so far."""
    lost: bool = False
    """Of a reply: its leg was lost before it was complete; it is asked for again."""
    leads: bool = False
    """Of a reply: it called a tool, and the answer follows with the result."""
    placed: bool = False
    """It was told between which near frames it sounded."""
    typed: bool = False
    """Of a user's turn: it was typed, so that a reply that begins behind it answers it."""
    unsent: bool = False
    """Of typed text: it waits for the next leg."""
    number: int = 0
    """Of typed text: which one it was of those sent on its leg."""
    sendings: int = 0
    """Of typed text: how many legs it was sent to."""
    taken: tuple[int, str] | None = None
    """Of typed text: leg and name of the last reply that began behind it."""
    start_frame: int = -1
    """Near frame at which it began; of a reply, at which it began to sound."""
    end_frame: int = -1
    metadata: dict[str, str | int | float | bool] = {}
    rows: list[Row] = []

    @property
    def shown(self) -> str:
        """The words that count: all, or those that were heard to their end."""
        if self.heard_chars is None or self.heard_chars >= len(self.text):
            return self.text
        heard, cut = self.text[: self.heard_chars], self.text[self.heard_chars]
        return _BROKEN_WORD.sub("", heard) if cut.isalnum() else heard

    @property
    def waits(self) -> bool:
        """Whether this is typed text that was sent, and no reply has begun behind it."""
        return self.typed and not (self.unsent or self.answered) and self.taken is None

    @property
    def row_id(self) -> str:
        """The id callbacks name; "" while nothing was written."""
        return self.rows[0].id if self.rows else ""


class Turns:
    """The turns of one conversation, in the order they began."""

    def __init__(self) -> None:
        self.all: list[Turn] = []
        self._texts_leg, self._texts = -1, 0
        """How many typed texts were sent on which leg."""

    def clear(self) -> None:
        """Forget everything."""
        self.all.clear()

    def add(self, turn: Turn) -> Turn:
        """Append a turn; the oldest finished ones go beyond TURNS_KEPT."""
        self.all.append(turn)
        if len(self.all) > TURNS_KEPT:
            del self.all[: len(self.all) - TURNS_KEPT]
        return turn

    def remove(self, turn: Turn) -> None:
        """Drop a turn that held nothing."""
        self.all.remove(turn)

    @property
    def open(self) -> list[Turn]:
        """User turns without a final text, oldest first."""
        return [t for t in self.all if t.role == "user" and not t.final]

    def named(self, role: str, leg: int, item: str) -> Turn | None:
        """Return the turn that a provider calls `item`."""
        for turn in reversed(self.all):
            if turn.role == role and turn.leg == leg and turn.item == item:
                return turn
        return None

    def of_response(self, leg: int, response: str) -> list[Turn]:
        """Return the assistant turns of one response."""
        return [
            t for t in self.all if t.role == "assistant" and t.leg == leg and t.response == response
        ]

    def waiting(self, leg: int, frame: int) -> Turn | None:
        """Return the open, unnamed turn that something beginning at `frame` belongs to.

        First a turn of this leg that has no name yet; then one that an older leg left behind, which
        this leg hears again from its start: it keeps its row. A turn that lies whole behind the
        frame is not meant.

        Args:
            leg: the leg that tells.
            frame: near frame where it began; -1 = not told: the oldest one is meant.
        """
        unnamed = [t for t in self.open if t.leg == leg and not t.item]
        if frame < 0:
            carried = [t for t in self.open if t.leg < leg]
            return next(iter(unnamed or carried), None)
        if unnamed:
            return min(unnamed, key=lambda t: abs(t.start_frame - frame))
        return self.carried(leg, frame)

    def carried(self, leg: int, frame: int) -> Turn | None:
        """Return the turn of an older leg that is heard again from `frame` on."""
        meant = [t for t in self.open if t.leg < leg and t.start_frame <= frame + SLACK_FRAMES]
        turn = meant[-1] if meant else None
        if turn is not None and 0 <= turn.end_frame < frame:
            return None
        return turn

    def around(self, frame: int) -> Turn | None:
        """Return the user's turn that was spoken around a near frame, None if there is none."""
        for turn in reversed(self.all):
            if turn.role == "user" and 0 <= turn.start_frame <= frame + SLACK_FRAMES:
                over = 0 <= turn.end_frame < frame - SLACK_FRAMES
                return None if over else turn
        return None

    def oldest_open_frame(self) -> int:
        """Return the first near frame of the oldest turn without final words, -1 if none is."""
        frames = [t.start_frame for t in self.open if t.start_frame >= 0]
        return min(frames, default=-1)

    def last_end_frame(self) -> int:
        """Return the near frame behind the last finished user turn, -1 if there is none."""
        ends = (t.end_frame for t in self.all if t.role == "user" and t.final)
        return max(ends, default=-1)

    def history(self, limit: int) -> list[HistoryRow]:
        """Return the last rows that prime a new leg: user's and assistant's words only."""
        told = [t for t in self._said() if t.final]
        while told and told[-1].leads:
            told.pop()  # The turn before it waits for its answer, and must stand last.
        return [HistoryRow(role=t.role, text=t.shown) for t in told][-limit:]

    def unanswered(self) -> bool:
        """Whether the last words of all are the user's, final, and nobody answered them yet."""
        if self.open:
            return False
        said = [t for t in self._said() if not t.leads]
        return bool(said) and said[-1].role == "user" and not said[-1].answered

    def waiting_texts(self) -> list[Turn]:
        """Return the typed texts that were sent and that no reply has begun behind."""
        return [t for t in self.all if t.waits]

    def reply_began(self, leg: int, response: str, texts: int) -> None:
        """Note that a reply began, which answers the first `texts` typed on its leg (-1 = all)."""
        for turn in self.all:
            if not turn.typed or turn.unsent or turn.answered:
                continue
            if turn.leg < leg or texts < 0 or turn.number <= texts:
                turn.taken = leg, response

    def sent(self, turn: Turn, leg: int) -> None:
        """Note that typed text goes to a leg now."""
        if leg != self._texts_leg:
            self._texts_leg, self._texts = leg, 0
        self._texts += 1
        turn.unsent, turn.leg, turn.number = False, leg, self._texts
        turn.sendings += 1

    def leg_lost(self, leg: int, response: str) -> None:
        """Have typed text that no whole reply has answered sent to the next leg.

        Not left to `unanswered`: a visitor may speak meanwhile, and have said nothing in the end.
        What so many legs did not outlive is told to the next one as history alone: it may be what
        ended them.
        """
        for turn in self.all:
            if turn.taken == (leg, response):
                turn.taken = None
            turn.unsent |= turn.waits and turn.sendings < SENDINGS

    def _said(self) -> list[Turn]:
        return [t for t in self.all if not t.lost and not t.unsent and t.shown.strip()]

    def said_to_end(self, leg: int, response: str) -> bool:
        """Whether every item of a reply has its last word, and none was cut."""
        turns = self.of_response(leg, response)
        return bool(turns) and all(
            t.final and t.heard_chars is None and t.shown.strip() for t in turns
        )
