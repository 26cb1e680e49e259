"""The arguments of a word, or a sentence that says what the word takes."""

from __future__ import annotations

from collections.abc import Sequence

from voiced.control.osc.codec import Argument


class Usage(Exception):
    """A message's arguments are not what its address takes; its text says what it does."""


def whole(argument: Argument, what: str, low: int, high: int) -> int:
    """Return an argument as a whole number, whatever number type it came in.

    Raises:
        Usage: It is none, or out of range.
    """
    if isinstance(argument, str):
        try:
            argument = float(argument)
        except ValueError:
            raise Usage(f"{what} is a number from {low} to {high}") from None
    if isinstance(argument, int | float) and low <= argument <= high and argument == int(argument):
        return int(argument)
    raise Usage(f"{what} is a whole number from {low} to {high}")


def words(args: Sequence[Argument], count: int, what: str) -> list[str]:
    """Return `count` texts.

    Raises:
        Usage: They are not so many, or not texts.
    """
    texts = [a for a in args if isinstance(a, str)]
    if len(args) != count or len(texts) != count:
        raise Usage(what)
    return texts


def none(args: Sequence[Argument]) -> None:
    """Take no argument.

    Raises:
        Usage: There is one.
    """
    if args:
        raise Usage("takes no argument")
