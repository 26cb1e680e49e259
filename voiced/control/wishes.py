"""What a script wants set or fired, judged as any door's wish is, and turned into inputs."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Final, Protocol

from voiced.control.osc.limits import Window
from voiced.messages.network import Value
from voiced.messages.scripts import PressPulse, SetParameter, Utter
from voiced.mind.inputs import AgentInput, NoteText, Origin, Press, SayText, Write
from voiced.parameters import ROWS, Kind, Refusal, Row, coerce, expand, nearest

PAR: Final = "par"
_COUNTED: Final = {"Connect": "connect", "Restart": "connect", "Sendtext": "sendtext"}
MINUTE_S: Final = 60.0


class ScriptSurface(Protocol):
    """What scripts need of the daemon's surface."""

    def agents(self) -> Sequence[str]:
        """Return every agent's name."""

    def row(self, agent: str, page: str, name: str) -> Row | None:
        """Return a parameter's row."""

    def value(self, agent: str, page: str, name: str) -> Value:
        """Return what is stored; of a secret, whether there is something."""

    def options(self, agent: str, page: str, name: str) -> Sequence[str]:
        """Return what a menu offers now."""

    def allowed_path(self, row: Row, path: str) -> str | Refusal:
        """Return the resolved path that a parameter may name."""


class Wishes:
    """Judges what one agent's script wants.

    Args:
        rates: returns how many connect, sendtext, say and note a minute are taken.
    """

    def __init__(
        self, agent: str, surface: ScriptSurface, origin: Origin, rates: Callable[[str], int]
    ) -> None:
        self._agent, self._surface, self._origin, self._rates = agent, surface, origin, rates
        self._windows: dict[str, Window] = {}

    def judge(self, wish: SetParameter | PressPulse | Utter) -> list[AgentInput] | Refusal:
        """Return the inputs that a wish comes to, or why it is refused."""
        match wish:
            case SetParameter(name=name, value=value):
                return self._set(name, value)
            case PressPulse(name=name, text=text):
                row = self._surface.row(self._agent, PAR, name)
                if row is None or row.kind is not Kind.PULSE:
                    return _unknown(name)
                counted = _COUNTED.get(name)
                if counted and (refusal := self._too_often(counted)):
                    return refusal
                brought = text if row.takes_text else None
                return [Press(name=name, origin=self._origin, text=brought)]
            case Utter(text=text, aloud=aloud):
                if refusal := self._too_often("say" if aloud else "note"):
                    return refusal
                kind = SayText if aloud else NoteText
                return [kind(text=text, origin=self._origin)]

    def _set(self, name: str, value: Value) -> list[AgentInput] | Refusal:
        row = self._surface.row(self._agent, PAR, name)
        if row is None:
            return _unknown(name)
        if not row.writable:
            if row.config_only:
                return Refusal("read_only", f"{name} is set in the configuration file only")
            return Refusal("read_only", f"{name} tells something; it cannot be set")
        wanted = expand(row, [value], ROWS)
        if isinstance(wanted, Refusal):
            return wanted
        writes: list[AgentInput] = []
        for part, args in wanted:
            options = None
            if part.kind is Kind.MENU:
                options = self._surface.options(self._agent, PAR, part.name)
            outcome = coerce(part, args, options)
            if isinstance(outcome, Refusal):
                return outcome
            stored = outcome.value
            if part.is_path(stored):
                inside = self._surface.allowed_path(part, str(stored))
                if isinstance(inside, Refusal):
                    return inside
                stored = inside
            writes.append(Write(name=part.name, value=stored, origin=self._origin))
        return writes

    def _too_often(self, what: str) -> Refusal | None:
        window = self._windows.setdefault(what, Window(0, MINUTE_S))
        window.count = self._rates(what)
        if window.take(time.monotonic()):
            return None
        return Refusal("rate", f"{window.count} a minute are taken, see osc.rates")


def _unknown(name: str) -> Refusal:
    return Refusal("unknown_address", f"there is no parameter {name[:64]}.{nearest(name, ROWS)}")
