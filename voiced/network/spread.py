"""Where in its sound a reply's text is, for services that do not say: pure.

Nobody aligns words here. Two things are known of a voice: it speaks its characters at about one
pace, and it pauses where the text has a mark (a comma, an end of a sentence). So the pauses that
were found in the sound are paired with the marks of the text, and between two pairs the characters
are spread evenly over what is speech.
"""

from __future__ import annotations

import bisect
import re
from collections.abc import Sequence

PAUSE_BLOCKS = 6
"""So many silent blocks of 20 ms in a row are a pause; a stop within a word is shorter."""
NEAR = 0.12
"""A pause belongs to a mark when both lie about as far into the reply: share of the whole."""
NEAR_CHARS = 14
"""The same in characters, for short replies."""

_MARK = re.compile(r"[.,;:!?…—–]+[\"'”’)\]]*(?=\s)")


def marks_of(text: str) -> list[int]:
    """Return where a voice pauses in `text`: the number of characters up to each mark."""
    return [found.end() for found in _MARK.finditer(text)]


def pauses_of(spoken: Sequence[int]) -> list[tuple[int, int]]:
    """Return (first, end) block of each pause between two stretches of speech.

    Args:
        spoken: blocks of speech up to each block, one longer than there are blocks.
    """
    found: list[tuple[int, int]] = []
    begin = 0
    for block in range(1, len(spoken)):
        if spoken[block] == spoken[block - 1]:
            continue
        if block - 1 - begin >= PAUSE_BLOCKS and spoken[begin] > 0:
            found.append((begin, block - 1))
        begin = block
    return found


def anchors(
    marks: Sequence[int], chars: int, spoken: Sequence[int], whole: int
) -> list[tuple[int, int]]:
    """Return (block, characters spoken by then), growing in both, where they are known.

    Args:
        marks: characters up to each mark of the text.
        chars: of the text.
        spoken: blocks of speech up to each block.
        whole: blocks of speech that the text will take.
    """
    found: list[tuple[int, int]] = []
    if not chars or not whole:
        return found
    near = max(NEAR * chars, NEAR_CHARS)
    left = list(marks)
    at_chars = at_spoken = 0
    for first, end in pauses_of(spoken):
        if not left:
            break
        # From the last pair on: an error does not add up.
        rest_chars, rest_spoken = chars - at_chars, max(1, whole - at_spoken)
        expected = at_chars + (spoken[first] - at_spoken) * rest_chars / rest_spoken
        n = min(range(len(left)), key=lambda n: abs(left[n] - expected))
        if abs(left[n] - expected) > near:
            continue
        at_chars, at_spoken = left[n], spoken[first]
        # Behind the mark and its space, at the end of the pause, the next word begins.
        found += [(first, at_chars), (end, min(chars, at_chars + 1))]
        del left[: n + 1]
    return found


def chars_at(
    block: int, pairs: Sequence[tuple[int, int]], chars: int, spoken: Sequence[int], whole: int
) -> int:
    """Return the characters spoken before `block`; see `anchors`."""
    block = min(max(block, 0), len(spoken) - 1)
    n = bisect.bisect_right(pairs, (block, chars)) - 1
    low_block, low = pairs[n] if n >= 0 else (0, 0)
    if n + 1 < len(pairs):
        high_spoken, high = spoken[pairs[n + 1][0]], pairs[n + 1][1]
    else:
        high_spoken, high = whole, chars
    span = high_spoken - spoken[low_block]
    if span <= 0:
        return low
    return low + (high - low) * min(spoken[block] - spoken[low_block], span) // span
