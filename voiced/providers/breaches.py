"""How a module's names are looked at: each question notes a sentence when the answer is no."""

from __future__ import annotations

import inspect
import math
import re
from typing import Protocol

_CHANNEL = re.compile(r"[a-z][a-z0-9_]{0,63}")


class _Call(Protocol):
    @property
    def arguments(self) -> int: ...
    @property
    def is_async(self) -> bool: ...
    @property
    def does(self) -> str: ...


class _Missing:
    """Marks a name that a module does not have."""


_MISSING = _Missing()


class Breaches:
    """Collects what is wrong with a module.

    Attributes:
        sentences: one for each breach, in the order they were looked for.
    """

    def __init__(self, module: object) -> None:
        self._module = module
        self.sentences: list[str] = []

    def one_of(self, name: str, *allowed: str) -> None:
        """Ask for one of a few words."""
        value = self._required(name, "one of " + ", ".join(repr(word) for word in allowed))
        if value is not _MISSING and value not in allowed:
            self._wrong(name, value, "one of " + ", ".join(repr(word) for word in allowed))

    def number(
        self,
        name: str,
        lowest: float,
        highest: float,
        *,
        or_none: bool = False,
        fractional: bool = False,
    ) -> None:
        """Ask for a number in a range."""
        wanted = f"a number from {lowest} to {highest}" + (" or None" if or_none else "")
        value = self._required(name, wanted)
        if value is not _MISSING and not (or_none and value is None):
            self._number(name, value, lowest, highest, wanted, fractional)

    def optional_number(self, name: str, lowest: float, highest: float) -> None:
        """Ask for a number in a range where the module sets one."""
        value = getattr(self._module, name, _MISSING)
        if value is not _MISSING:
            wanted = f"a number from {lowest} to {highest}"
            self._number(name, value, lowest, highest, wanted, fractional=True)

    def flag(self, name: str) -> None:
        """Ask for True or False."""
        value = self._required(name, "True or False")
        if value is not _MISSING and not isinstance(value, bool):
            self._wrong(name, value, "True or False")

    def optional_flag(self, name: str) -> None:
        """Ask for True or False where the module sets one."""
        value = getattr(self._module, name, _MISSING)
        if value is not _MISSING and not isinstance(value, bool):
            self._wrong(name, value, "True or False")

    def text_or_none(self, name: str) -> None:
        """Ask for a text that is not empty, or None."""
        value = self._required(name, "a name or None")
        if value is not _MISSING and value is not None and not (value and isinstance(value, str)):
            self._wrong(name, value, "a name or None")

    def optional_text(self, name: str) -> None:
        """Ask for a text where the module sets one."""
        value = getattr(self._module, name, _MISSING)
        if value is not _MISSING and not isinstance(value, str):
            self._wrong(name, value, "a text")

    def texts(self, name: str) -> None:
        """Ask for a list of texts."""
        value = self._required(name, "a list of names")
        if value is _MISSING:
            return
        if not isinstance(value, list | tuple) or not all(isinstance(v, str) for v in value):
            self._wrong(name, value, "a list of names")

    def channels(self, name: str) -> None:
        """Ask for a dict of channel names and what they tell."""
        wanted = "a dict of channel names (a-z, 0-9, _) and what they tell"
        value = self._required(name, wanted)
        if value is _MISSING:
            return
        good = isinstance(value, dict) and all(
            isinstance(k, str) and _CHANNEL.fullmatch(k) and isinstance(v, str)
            for k, v in value.items()
        )
        if not good:
            self._wrong(name, value, wanted)

    def function(self, name: str, call: _Call, *, required: bool) -> None:
        """Ask for a function that can be called as the contract calls it."""
        value = getattr(self._module, name, _MISSING)
        kind = "async def" if call.is_async else "def"
        if value is _MISSING:
            if required:
                self.sentences.append(f"{name} is missing: {kind}, to {call.does}")
            return
        if not callable(value):
            self._wrong(name, value, f"a function to {call.does}")
            return
        if inspect.iscoroutinefunction(value) is not call.is_async:
            self.sentences.append(f"{name} must be {kind}")
        try:
            inspect.signature(value).bind(*range(call.arguments))
        except TypeError:
            self.sentences.append(
                f"{name} must take {call.arguments} positional arguments, to {call.does}"
            )
        except ValueError:
            self.sentences.append(f"{name} has no signature that can be looked at")

    def goes_with(self, name: str, value: object, function: str) -> None:
        """Ask for a function that a constant's value promises."""
        if getattr(self._module, name, _MISSING) == value and not hasattr(self._module, function):
            self.sentences.append(f"{name} is {value!r}, so {function} must be there")

    def _required(self, name: str, wanted: str) -> object:
        value: object = getattr(self._module, name, _MISSING)
        if value is _MISSING:
            self.sentences.append(f"{name} is missing: {wanted}")
        return value

    def _number(
        self,
        name: str,
        value: object,
        lowest: float,
        highest: float,
        wanted: str,
        fractional: bool,
    ) -> None:
        kinds = (int, float) if fractional else (int,)
        good = isinstance(value, kinds) and not isinstance(value, bool)
        if not (good and math.isfinite(value) and lowest <= value <= highest):  # type: ignore[arg-type, operator]
            self._wrong(name, value, wanted)

    def _wrong(self, name: str, value: object, wanted: str) -> None:
        try:
            shown = repr(value)
        except Exception:  # a drop-in's own __repr__ may do anything
            shown = f"a {type(value).__name__}"
        self.sentences.append(f"{name} is {shown[:60]}: it must be {wanted}")
