"""What a script sees of its agent: `agent.par.Volume = 0.4`, `agent.par.Connect.pulse()`.

A value that is read is a plain number or text that knows its parameter as well, so that
`agent.par.Volume * 2`, `agent.par.Volume.eval()` and `agent.par.Volume.val = 0.4` all do what
TouchDesigner's users expect of them.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from voiced.messages.network import Value
from voiced.messages.scripts import (
    LONGEST_TEXT,
    FromScripts,
    FunctionProgress,
    PressPulse,
    SetParameter,
    Utter,
)
from voiced.parameters import nearest


class _Held:
    """The parameter's side of a value: mixed into number and text."""

    name: str
    _page: Parameters
    _plain: Value

    def eval(self) -> Value:
        """Return the plain value."""
        return self._plain

    @property
    def val(self) -> Value:
        """The plain value; setting it sets the parameter."""
        return self._plain

    @val.setter
    def val(self, value: Value) -> None:
        self._page._set(self.name, value)


class HeldInt(_Held, int):
    """A whole number or a toggle, 0 or 1."""


class HeldFloat(_Held, float):
    """A number."""


class HeldText(_Held, str):
    """A text or a menu's choice."""


class Pulse:
    """A parameter that fires."""

    def __init__(self, page: Parameters, name: str) -> None:
        self.name, self._page = name, page

    def pulse(self, text: str | None = None) -> None:
        """Fire it; Sendtext takes its text along."""
        self._page._press(self.name, text)


class Parameters:
    """`agent.par`: every parameter by its name."""

    def __init__(self, send: Callable[[FromScripts], None]) -> None:
        vars(self).update(_send=send, _values={}, _pulses=frozenset())

    def __getattr__(self, name: str) -> Any:
        if name in vars(self)["_pulses"]:
            return Pulse(self, name)
        try:
            value = vars(self)["_values"][name]
        except KeyError:
            raise AttributeError(self._no_such(name)) from None
        match value:
            case str():
                held: Any = HeldText(value)
            case float():
                held = HeldFloat(value)
            case _:
                held = HeldInt(value)
        held.name, held._page, held._plain = name, self, value
        return held

    def __setattr__(self, name: str, value: Value) -> None:
        self._set(name, value)

    def __getitem__(self, name: str) -> Any:
        return getattr(self, name)

    def __setitem__(self, name: str, value: Value) -> None:
        self._set(name, value)

    def __iter__(self) -> Iterator[str]:
        return iter(sorted({*vars(self)["_values"], *vars(self)["_pulses"]}))

    def _no_such(self, name: str) -> str:
        return f"there is no parameter {name}.{nearest(name, list(self))}"

    def _set(self, name: str, value: Value) -> None:
        own = vars(self)
        if name in own["_pulses"]:
            if value:
                self._press(name, value if isinstance(value, str) else None)
            return
        if name not in own["_values"]:
            raise AttributeError(self._no_such(name))
        plain = _plain(name, value)
        # Read back in the same callback it is there already; control has the last word. A text is
        # no number before control has taken it for one.
        if isinstance(plain, str) == isinstance(own["_values"][name], str):
            own["_values"][name] = plain
        own["_send"](SetParameter(name=name, value=plain))

    def _press(self, name: str, text: str | None) -> None:
        brought = None if text is None else str(_plain(name, str(text)))
        vars(self)["_send"](PressPulse(name=name, text=brought))


def _plain(name: str, value: Any) -> Value:
    match value:
        case bool():
            return value
        case int():
            if not -(2**53) <= value <= 2**53:
                raise ValueError(f"{name} takes no number so large")
            return int(value)
        case float():
            return float(value)
        case str() if len(value) <= LONGEST_TEXT:
            return str(value)
        case str():
            raise ValueError(f"{name} takes {LONGEST_TEXT} characters at most")
        case _:
            raise TypeError(f"{name} takes a number or a text, not {type(value).__name__}")


class Agent:
    """`agent`, and `info["ownerComp"]`: the agent whose script this is.

    Attributes:
        name: its OSC root.
        par: its parameters.
    """

    def __init__(self, name: str, send: Callable[[FromScripts], None]) -> None:
        self.name = name
        self.par = Parameters(send)
        self._send = send
        self._call = threading.local()

    def say(self, text: str) -> None:
        """Have the voice say this, word for word where the service can."""
        self._send(Utter(text=str(text)[:LONGEST_TEXT], aloud=True))

    def note(self, text: str) -> None:
        """Tell the model something that it does not answer."""
        self._send(Utter(text=str(text)[:LONGEST_TEXT], aloud=False))

    def progress(self, text: str = "") -> None:
        """Say from within a tool that it is still at work: the wait for its result begins anew."""
        call_id = getattr(self._call, "id", "")
        if not call_id:
            raise RuntimeError("progress() is for tools, while they are called")
        self._send(FunctionProgress(call_id=call_id, text=str(text)[:LONGEST_TEXT]))

    def __repr__(self) -> str:
        return f"<agent {self.name}>"

    # --- for the process

    def calls(self, call_id: str) -> None:
        """Note that this thread answers a call."""
        self._call.id = call_id

    def know(self, values: Mapping[str, Value], pulses: frozenset[str]) -> None:
        """Take what all parameters hold."""
        vars(self.par).update(_values=dict(values), _pulses=pulses)

    def told(self, name: str, value: Value) -> None:
        """Take what one parameter holds now."""
        vars(self.par)["_values"][name] = value
