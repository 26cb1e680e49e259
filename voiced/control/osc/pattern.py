"""OSC address patterns, matched in time linear in the address whatever the pattern.

A pattern becomes a nondeterministic automaton of at most as many positions as it has bytes; the
set of positions it may be in is one int, a bit each. There is nothing to backtrack.

    ?       one character          [a-z]  one of these     [!a-z]  none of these
    *       any number of them     {a,b}  one of these     //      any number of levels

`?`, `*` and `[!...]` stop at "/" unless `crossing`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Final, TypeAlias

from voiced.control.osc.codec import PacketError

MAX_PATTERN: Final = 256
_WILD: Final = frozenset("?*[]{}")

_Test: TypeAlias = Callable[[str], bool]


def is_pattern(address: str) -> bool:
    """Whether an address is a pattern rather than itself."""
    return not _WILD.isdisjoint(address) or "//" in address


class Pattern:
    """One compiled pattern.

    Raises:
        PacketError: It is too long, or a bracket is not closed.
    """

    def __init__(self, text: str, *, crossing: bool = False) -> None:
        if len(text.encode("utf-8", "replace")) > MAX_PATTERN:
            raise PacketError(f"a pattern has at most {MAX_PATTERN} bytes")
        self.text = text
        self._crossing = crossing
        self._tests: list[_Test] = []
        """What position n eats to reach what `_next[n]` says."""
        self._next: list[int] = []
        self._skips: list[list[int]] = []
        """Where position n leads without eating anything."""
        last = self._parse(text)
        self._accept = 1 << last
        self._closed = [self._closure(n) for n in range(len(self._tests))]

    def __repr__(self) -> str:
        return f"Pattern({self.text!r})"

    def matches(self, address: str) -> bool:
        """Whether the whole of `address` matches."""
        states = self._closed[0]
        for character in address:
            reached = 0
            while states:
                low = states & -states
                position = low.bit_length() - 1
                if self._next[position] >= 0 and self._tests[position](character):
                    reached |= self._closed[self._next[position]]
                states ^= low
            if not reached:
                return False
            states = reached
        return bool(states & self._accept)

    # --- compiling

    def _position(self) -> int:
        self._tests.append(_never)
        self._next.append(-1)
        self._skips.append([])
        return len(self._tests) - 1

    def _eat(self, at: int, test: _Test) -> int:
        after = self._position()
        self._tests[at] = test
        self._next[at] = after
        return after

    def _star(self, at: int, test: _Test) -> int:
        """Eat any number of characters, then go on."""
        loop = self._position()
        after = self._position()
        self._skips[at].append(loop)
        self._skips[loop].append(after)
        self._tests[loop] = test
        self._next[loop] = loop
        return after

    def _any(self) -> _Test:
        return _always if self._crossing else _not_slash

    def _parse(self, text: str) -> int:
        at = self._position()
        n = 0
        while n < len(text):
            character = text[n]
            if character == "*":
                at = self._star(at, self._any())
            elif character == "?":
                at = self._eat(at, self._any())
            elif character == "[":
                stop = text.find("]", n + 1)
                if stop < 0:
                    raise PacketError(f"the pattern {text[:64]!r} has a [ without its ]")
                at = self._eat(at, _one_of(text[n + 1 : stop], self._crossing))
                n = stop
            elif character == "{":
                stop = text.find("}", n + 1)
                if stop < 0:
                    raise PacketError(f"the pattern {text[:64]!r} has a {{ without its }}")
                at = self._either(at, text[n + 1 : stop].split(","))
                n = stop
            elif text.startswith("//", n):
                at = self._levels(at)
                n += 1
            else:
                at = self._eat(at, character.__eq__)
            n += 1
        return at

    def _either(self, at: int, words: list[str]) -> int:
        after = self._position()
        for word in words:
            end = self._position()
            self._skips[at].append(end)
            for character in word:
                end = self._eat(end, character.__eq__)
            self._skips[end].append(after)
        return after

    def _levels(self, at: int) -> int:
        """`//`: one slash, then any number of whole levels, each with its slash."""
        slash = self._eat(at, "/".__eq__)
        inside = self._position()
        after = self._position()
        self._skips[slash] += [inside, after]
        self._tests[inside] = _always
        self._next[inside] = inside
        # A level ends at a slash: eaten from `inside` by a twin position that leads on.
        twin = self._position()
        self._skips[inside].append(twin)
        self._tests[twin] = "/".__eq__
        self._next[twin] = after
        return after

    def _closure(self, position: int) -> int:
        states = 0
        todo = [position]
        while todo:
            one = todo.pop()
            if not states >> one & 1:
                states |= 1 << one
                todo += self._skips[one]
        return states


def _never(_character: str) -> bool:
    return False


def _always(_character: str) -> bool:
    return True


def _not_slash(character: str) -> bool:
    return character != "/"


def _one_of(inside: str, crossing: bool) -> _Test:
    negated = inside.startswith("!")
    if negated:
        inside = inside[1:]
    spans: list[tuple[str, str]] = []
    n = 0
    while n < len(inside):
        if n + 2 < len(inside) and inside[n + 1] == "-":
            spans.append((inside[n], inside[n + 2]))
            n += 3
        else:
            spans.append((inside[n], inside[n]))
            n += 1

    def test(character: str) -> bool:
        found = any(low <= character <= high for low, high in spans)
        if negated:
            return not found and (crossing or character != "/")
        return found

    return test


@lru_cache(maxsize=256)
def compiled(text: str, crossing: bool = False) -> Pattern:
    """Return the pattern, compiled once while it is in use."""
    return Pattern(text, crossing=crossing)
