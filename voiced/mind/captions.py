"""The line on show: what a visitor said, and what the voice has said so far, as it is heard.

The voice's words appear when they sound at the loudspeaker, not when the service sends them:
`Heard` tells how far the ear is. A word is on show from its first sound on; one that a visitor's
voice cut off before it began never is.
"""

from __future__ import annotations

from voiced.mind.effects import AgentEffect, Caption
from voiced.mind.session import SECOND
from voiced.mind.turns import Turn

WIDTH = 80
"""Characters of a line; longer text goes on in the next one."""
LEAST_NS = SECOND // 15
"""Lines of one speaker come at most so often; a turn's last one always comes."""

USER, ASSISTANT, WORD = "user", "assistant", "word"


class Captions:
    """What stands on show of one agent."""

    def __init__(self) -> None:
        self._lines: dict[str, str] = {}
        self._shown_ns: dict[str, int] = {}
        self._item = (-1, "")
        self._until = 0
        """Characters of `_item` whose words were told."""

    def user(self, turn: Turn, mono_ns: int) -> list[AgentEffect]:
        """Show what a visitor has said so far."""
        return self._show(USER, line_of(turn.text), mono_ns, due=turn.final)

    def sounds(self) -> list[AgentEffect]:
        """Take the visitor's line away: the answer begins to sound."""
        return self._clear(USER)

    def heard(self, turn: Turn, mono_ns: int) -> list[AgentEffect]:
        """Show the voice's words up to the one that sounds now; none of a reply that was cut."""
        if turn.heard_chars is not None:
            return self._clear(ASSISTANT)
        return self._speak(turn, begun_until(turn.text, turn.sounded_chars), mono_ns)

    def ended(self, turns: list[Turn], mono_ns: int) -> list[AgentEffect]:
        """Take the voice's line away: all of a reply was heard, words that came late among it."""
        out: list[AgentEffect] = []
        for turn in turns:
            if turn.heard_chars is None and (turn.leg, turn.item) == self._item:
                out += self._speak(turn, len(turn.text), mono_ns)
        return out + self._clear(ASSISTANT)

    def clear(self) -> list[AgentEffect]:
        """Take everything away: the session is over."""
        return self._clear(USER) + self._clear(ASSISTANT)

    def _speak(self, turn: Turn, until: int, mono_ns: int) -> list[AgentEffect]:
        if (turn.leg, turn.item) != self._item:
            self._item, self._until = (turn.leg, turn.item), 0
        words = turn.text[self._until : until].split()
        if not words:
            return []
        self._until = until
        out: list[AgentEffect] = [Caption(who=WORD, line=word) for word in words]
        # Every word that begins is a line: network tells how far the ear is at the same pace.
        return self._show(ASSISTANT, line_of(turn.text[:until]), mono_ns, due=True) + out

    def _show(self, who: str, line: str, mono_ns: int, *, due: bool) -> list[AgentEffect]:
        early = mono_ns - self._shown_ns.get(who, -LEAST_NS) < LEAST_NS
        if line == self._lines.get(who, "") or (early and not due):
            return []
        self._lines[who], self._shown_ns[who] = line, mono_ns
        return [Caption(who=who, line=line)]

    def _clear(self, who: str) -> list[AgentEffect]:
        return [Caption(who=who, line="")] if self._lines.pop(who, "") else []


def begun_until(text: str, chars: int) -> int:
    """Return where the word ends that the last of `chars` heard characters belongs to."""
    if chars <= 0:
        return 0
    until = min(chars, len(text))
    while until < len(text) and not text[until - 1].isspace() and not text[until].isspace():
        until += 1
    return until


def line_of(text: str) -> str:
    """Return the last line of `text`, folded between words at WIDTH characters.

    A line that has begun keeps its beginning while text is added to it.
    """
    line = ""
    for word in text.split():
        longer = f"{line} {word}" if line else word
        line = longer if len(longer) <= WIDTH else word
    return line
