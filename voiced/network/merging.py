"""Words that control has no time for yet, put together until it has: nothing is lost or reordered.

A service may send thousands of pieces a second. Control tells each of them to everybody, with the
whole text so far; while it is behind, the pieces of one text are one.
"""

from __future__ import annotations

from msgspec.structs import replace

from voiced.messages.network import AssistantText, UserText

LONGEST = 64 * 1024
"""Characters of a text put together; from there on it is told, behind or not."""
MOST = 256
"""Texts that wait at once."""

Words = AssistantText | UserText


class Merging:
    """The words that wait, in the order in which their texts first had some. None is final."""

    def __init__(self) -> None:
        self._waiting: dict[tuple[object, ...], Words] = {}

    def __bool__(self) -> bool:
        """Tell whether anything waits."""
        return bool(self._waiting)

    def add(self, words: Words) -> bool:
        """Have words wait, behind those of the same text or in their place.

        Returns:
            False where so much waits that it must be told now.
        """
        key = _text_of(words)
        before = self._waiting.get(key)
        both = self._waiting[key] = words if before is None else _both(before, words)
        return len(both.text) < LONGEST and len(self._waiting) < MOST

    def take(self) -> list[Words]:
        """Return what waits; it waits no more."""
        taken = list(self._waiting.values())
        self._waiting.clear()
        return taken


def _text_of(words: Words) -> tuple[object, ...]:
    response = words.response if isinstance(words, AssistantText) else ""
    return type(words), words.agent, words.leg, response, words.item


def _both(before: Words, words: Words) -> Words:
    """Return two messages of one text as one."""
    if words.delta:
        words = replace(words, text=before.text + words.text, delta=before.delta)
    if isinstance(words, UserText) and isinstance(before, UserText):
        # A place that only the first one knew.
        start = before.start_frame if words.start_frame < 0 else words.start_frame
        end = before.end_frame if words.end_frame < 0 else words.end_frame
        words = replace(words, start_frame=start, end_frame=end)
    return words
