"""What a script raises has words that can be sent, whatever they are."""

from __future__ import annotations

from voiced.scripts.text import described, sendable


class Wordless(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words either")


def test_half_a_character_is_spelled_out() -> None:
    assert sendable("as it is, ü 🔥") == "as it is, ü 🔥"
    assert sendable("caf\udce9") == r"caf\udce9"


def test_whatever_is_raised_has_words() -> None:
    assert described(ValueError("no such hall")) == "ValueError: no such hall"
    assert described(KeyboardInterrupt()) == "KeyboardInterrupt"
    assert described(Wordless()) == "Wordless"
    assert described(OSError("caf\udce9")) == r"OSError: caf\udce9"
