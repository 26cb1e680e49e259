"""What a pedal means: bindings from MIDI messages to addresses. Pure: no port, no clock.

A binding watches one control of the ports that match its pattern and turns its movements into
inputs of the mind. Modes, by what they do at a press and at a release:

    momentary   press: hold                release: let go
    toggle      press: flip what the parameter is now
    latch       press: hold, and the next press lets go (the binding remembers, whatever others do)
    value       every movement writes a number, `min` to `max`

Rule 1: whoever holds Talk is one binding on one port (`Origin`), so two pedals never let go of
each other's. Rule 2: what can no longer be let go of (port gone, All Notes Off, bindings replaced)
is told as `HolderGone`, once, and what the map remembers of it is forgotten.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final, Literal, Protocol, TypeAlias

import mido
import msgspec

from voiced.mind.inputs import HolderGone, Origin, Press, SetMute, Write
from voiced.parameters import Coerced, Kind, Row, Value, coerce

PRESS_AT: Final = 64
"""A continuous pedal is pressed when it reaches this..."""
RELEASE_AT: Final = 60
"""...and released when it comes down to this; in between it stays what it was."""
ALL_NOTES_OFF: Final = 123
_TOP: Final = 127
_ALSA_NUMBERS: Final = re.compile(r"\s+\d+:\d+$")
_LOOP_BACK: Final = re.compile(r"midi\s*through|virtual raw midi|loopmidi|iac driver", re.I)

Mode: TypeAlias = Literal["momentary", "toggle", "latch", "value"]


class Binding(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One `[[midi.bind]]` of the configuration."""

    address: str
    """/<agent>/par/<Name>, /<agent>/<provider>/<Name> or /voiced/mute; agent `*` means all."""
    port: str = "*"
    """Part of the port's name in any case, "re:" and a pattern, or "*" for all but loop-backs."""
    message: Literal["note", "control_change", "program_change"] = "control_change"
    channel: int | None = None
    """1 to 16; None = any."""
    note: int | None = None
    control: int | None = None
    program: int | None = None
    mode: Mode | None = None
    """None = what suits the parameter: momentary for switches, value for numbers and menus."""
    value: Value | None = None
    """What a press writes; None = `max`. A program change writes it, or its own number."""
    min: float | None = None
    """What 0 (or a release) writes; None = the parameter's own lower end."""
    max: float | None = None
    """What 127 (or a press) writes; None = the parameter's own upper end."""
    invert: bool = False
    """The pedal rests at 127, or its plug is wired the other way round."""

    @property
    def number(self) -> int | None:
        """The note, controller or program that this binding watches; None = any."""
        return {
            "note": self.note,
            "control_change": self.control,
            "program_change": self.program,
        }[self.message]

    def __str__(self) -> str:
        number = "" if self.number is None else f" {self.number}"
        return f"{self.port} {self.message}{number} -> {self.address}"


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """What an address means to the map: one parameter, pulse or the mute."""

    agent: str
    """An agent's name, or "*"."""
    page: str
    name: str
    kind: Literal["pulse", "switch", "number", "words", "mute"]
    low: float = 0.0
    high: float = 1.0
    limits: tuple[float, float] = (-math.inf, math.inf)
    """What the parameter takes; `low` and `high` are finite even where it has none."""
    off: Value | None = None
    """What a release writes; None = `low`."""
    coerce: Callable[[Value], Value] = lambda value: value
    """Turns what the map made into the parameter's own type and range.

    Raises:
        ValueError: the parameter refuses it; the text is a sentence.
    """


class Aimed(msgspec.Struct, frozen=True, kw_only=True):
    """One input for one agent's mind, or for all of them (`*`)."""

    agent: str
    input: Write | Press | HolderGone | SetMute


class Reading(Protocol):
    """What a toggle flips: the parameter as it is now."""

    def __call__(self, agent: str, page: str, name: str) -> Value:
        """Return the value of a parameter (of any agent, for `*`); "voiced", "mute" too."""
        ...


Resolve: TypeAlias = Callable[[str], "Target | str"]
"""Turns an address into its target, or into the sentence that says why there is none."""


RowOf: TypeAlias = Callable[[str, str, str], "Row | None"]
"""Returns the row of a name on a page ("par" or a provider) of an agent."""


OptionsOf: TypeAlias = Callable[[str, str, str], Sequence[str]]
"""Returns what a parameter offers now, as it is counted by a program change."""


def resolver(
    agents: Sequence[str], row_of: RowOf, options_of: OptionsOf = lambda *_: ()
) -> Resolve:
    """Return how addresses are looked up in a daemon with these agents."""

    def resolve(address: str) -> Target | str:
        if address == "/voiced/mute":
            return Target(agent="*", page="voiced", name="mute", kind="mute", coerce=_mute)
        parts = address.split("/")
        if len(parts) != 4 or parts[0]:
            return (
                f"address = {address!r}: it must look like /{agents[0]}/par/Talk, or be "
                "/voiced/mute"
            )
        _, agent, page, name = parts
        if agent != "*" and agent not in agents:
            return f"address = {address!r}: there is no agent {agent}, only {', '.join(agents)}"
        row = row_of(agents[0] if agent == "*" else agent, page, name)
        if row is None:
            return f"address = {address!r}: there is no parameter {name} on page {page}"
        if row.secret or row.kind is Kind.COLOR or not (row.writable or row.kind is Kind.PULSE):
            return f"address = {address!r}: {name} cannot be set by MIDI"
        first = agents[0] if agent == "*" else agent
        return _target(agent, page, row, lambda: options_of(first, page, row.name))

    return resolve


def _mute(value: Value) -> Value:
    return bool(value)


def _target(agent: str, page: str, row: Row, options: Callable[[], Sequence[str]]) -> Target:
    def coerced(value: Value) -> Value:
        result = coerce(row, [value], options() if row.listed else None)
        if not isinstance(result, Coerced):
            raise ValueError(result.sentence)
        return result.value

    match row.kind:
        case Kind.PULSE:
            return Target(agent=agent, page=page, name=row.name, kind="pulse")
        case Kind.TOGGLE:
            kind: Literal["switch", "number", "words"] = "switch"
        case Kind.INT | Kind.FLOAT:
            kind = "number"
        case _:
            kind = "words"
    low = 0.0 if row.minimum is None else row.minimum
    high = 1.0 if row.maximum is None else row.maximum
    if kind == "words":
        high = _TOP if row.listed else max(len(row.options) - 1, 0)
    return Target(
        agent=agent, page=page, name=row.name, kind=kind, low=low, high=high, coerce=coerced,
        limits=(
            -math.inf if row.minimum is None else row.minimum,
            math.inf if row.maximum is None else row.maximum,
        ),
        off="" if row.listed else None,
    )  # fmt: skip


def read_message(body: bytes) -> mido.Message | None:
    """Return the message in what a port gave; None where it is none: a half-plugged cable."""
    try:
        message = mido.Message.from_bytes(body)
    except (ValueError, LookupError):  # a pitch wheel that is too short is an IndexError to mido
        return None
    # One that is too long is a pitch wheel to mido.
    return message if bytes(message.bytes()) == body else None


def port_name(raw: str) -> str:
    """Return a port's name without the numbers that ALSA appends and changes at every plug-in."""
    return _ALSA_NUMBERS.sub("", raw)


def is_loop_back(port: str) -> bool:
    """Tell whether a port only hands on what other programs send."""
    return bool(_LOOP_BACK.search(port))


def matches(pattern: str, port: str) -> bool:
    """Tell whether a binding's port pattern means this port; "*" never means a loop-back."""
    name = port_name(port)
    if pattern == "*":
        return not is_loop_back(name)
    if pattern.startswith("re:"):
        return re.search(pattern[3:], name, re.IGNORECASE) is not None
    return pattern.lower() in name.lower()


def problems(binding: Binding, resolve: Resolve) -> list[str]:
    """Return what is wrong with a binding, a sentence each."""
    found = []
    if binding.channel is not None and not 1 <= binding.channel <= 16:
        found.append(f"channel = {binding.channel}: MIDI channels count from 1 to 16")
    for key in ("note", "control", "program"):
        number = getattr(binding, key)
        if number is not None and not 0 <= number <= _TOP:
            found.append(f"{key} = {number}: it must be 0 to 127")
        if number is not None and key != binding.message.split("_")[0]:
            found.append(f"{key} = {number}: a {binding.message} binding has no {key}")
    if binding.message == "program_change" and binding.mode == "momentary":
        found.append('mode = "momentary": a program change has no release; use toggle or value')
    if binding.port.startswith("re:"):
        try:
            re.compile(binding.port[3:])
        except re.error as error:
            found.append(f"port = {binding.port!r}: this is no regular expression ({error})")
    target = resolve(binding.address)
    if isinstance(target, str):
        found.append(target)
    elif target.kind not in ("pulse", "mute"):
        found += _not_taken(binding, target)
    return found


def _not_taken(binding: Binding, target: Target) -> Iterator[str]:
    """Yield which of a binding's own values the parameter refuses, or would clamp unsaid."""
    least, most = target.limits
    for key in ("value", "min", "max") if target.kind == "number" else ("value",):
        given = getattr(binding, key)
        if given is None:
            continue
        try:
            target.coerce(given)
        except ValueError as error:
            yield f"{key} = {given!r}: {error}"
            continue
        if isinstance(given, int | float) and not least <= given <= most:
            end, bound = ("least", least) if given < least else ("most", most)
            yield f"{key} = {given:g}: {target.name} is {bound:g} at {end}"


class _Rule(msgspec.Struct, frozen=True, kw_only=True):
    """A binding with its address looked up."""

    binding: Binding
    target: Target

    @property
    def mode(self) -> Mode:
        """The mode in force."""
        if self.binding.mode is not None:
            return self.binding.mode
        switch = self.target.kind in ("pulse", "switch", "mute")
        if self.binding.message == "program_change":
            return "toggle" if switch and self.binding.value is None else "value"
        return "momentary" if switch else "value"

    @property
    def named(self) -> bool:
        """Whether a press writes one of the words there are, and a release nothing."""
        return self.target.kind == "words" and self.binding.value is not None

    def watches(self, message: mido.Message) -> bool:
        """Tell whether this message moves the binding's control."""
        kind = "note" if message.type in ("note_on", "note_off") else message.type
        if kind != self.binding.message:
            return False
        if self.binding.channel is not None and message.channel + 1 != self.binding.channel:
            return False
        number = {"note": "note", "control_change": "control", "program_change": "program"}[kind]
        return self.binding.number is None or getattr(message, number) == self.binding.number


class _Control(msgspec.Struct, kw_only=True):
    """What is remembered of one binding on one port."""

    channel: int
    pressed: bool = False
    holds: bool = False
    """Whether it wrote a press that it has not taken back."""
    written: Value | None = None
    """The last number written: a knob that jitters inside one step writes nothing."""
    refused: str = ""
    """Why its last program was refused, as it was told."""


class MidiMap:
    """All bindings, and what is held by them now.

    Args:
        bindings: those of the configuration; the unusable ones are in `problems`.
        resolve: see `Resolve`.
        reading: see `Reading`.
    """

    def __init__(self, bindings: Sequence[Binding], resolve: Resolve, reading: Reading) -> None:
        self._reading = reading
        self._rules: list[_Rule] = []
        self.problems: list[str] = []
        """Bindings that were left out, a sentence each."""
        for number, binding in enumerate(bindings, 1):
            wrong = problems(binding, resolve)
            target = resolve(binding.address)
            if wrong or isinstance(target, str):
                self.problems += [f"midi.bind {number} ({binding}): {each}" for each in wrong]
            else:
                self._rules.append(_Rule(binding=binding, target=target))
        self.refusals: list[str] = []
        """Programs that their parameters did not take, a sentence each; the teller empties it."""
        self._controls: dict[tuple[int, str], _Control] = {}

    @property
    def empty(self) -> bool:
        """Whether no binding is in force."""
        return not self._rules

    def wants(self, port: str) -> bool:
        """Tell whether any binding listens to this port."""
        return any(matches(rule.binding.port, port) for rule in self._rules)

    def feed(self, port: str, message: mido.Message) -> list[Aimed]:
        """Take a message of a port; return what it means to the minds, in order."""
        port = port_name(port)
        aimed: list[Aimed] = []
        if message.type == "control_change" and message.control == ALL_NOTES_OFF:
            aimed += self._let_go(
                key
                for key, control in self._controls.items()
                if key[1] == port and control.channel == message.channel
            )
        for number, rule in enumerate(self._rules):
            if not matches(rule.binding.port, port) or not rule.watches(message):
                continue
            control = self._controls.setdefault((number, port), _Control(channel=message.channel))
            control.channel = message.channel
            try:
                aimed += self._move(rule, control, self._origin(number, port), message)
                control.refused = ""
            except ValueError as error:
                # A knob turned too far changes nothing; a program is meant.
                if message.type == "program_change" and control.refused != str(error):
                    control.refused = str(error)
                    self.refusals.append(f"midi: program {message.program + 1}: {error}")
        return aimed

    def port_lost(self, port: str) -> list[Aimed]:
        """Take that a port disappeared; return the holders that are gone with it."""
        port = port_name(port)
        return self._let_go(key for key in list(self._controls) if key[1] == port)

    def release_all(self) -> list[Aimed]:
        """Take that no binding of this map will move again."""
        return self._let_go(list(self._controls))

    def lamps(
        self, agent: str, gate_open: bool, outputs: Iterable[str]
    ) -> list[tuple[str, mido.Message]]:
        """Return the lamp messages that show an agent's real gate on the pedals bound to its Talk.

        Args:
            agent: whose gate it is.
            gate_open: what the callback applied, not what anybody wished.
            outputs: names of the output ports there are.
        """
        velocity = _TOP if gate_open else 0
        found: list[tuple[str, mido.Message]] = []
        for number, rule in enumerate(self._rules):
            target, binding = rule.target, rule.binding
            if target.name != "Talk" or target.page != "par" or target.agent not in (agent, "*"):
                continue
            if binding.number is None or binding.message == "program_change":
                continue
            for port in outputs:
                if not matches(binding.port, port):
                    continue
                known = self._controls.get((number, port_name(port)))
                channel = (binding.channel or 1) - 1 if known is None else known.channel
                lamp = (
                    mido.Message("note_on", channel=channel, note=binding.number, velocity=velocity)
                    if binding.message == "note"
                    else mido.Message(
                        "control_change", channel=channel, control=binding.number, value=velocity
                    )
                )
                if (port, lamp) not in found:
                    found.append((port, lamp))
        return found

    # One movement.

    def _move(
        self, rule: _Rule, control: _Control, origin: Origin, message: mido.Message
    ) -> list[Aimed]:
        slides = rule.mode == "value" and not rule.named
        position = _position(message, exact=slides)
        if position is None:  # a program change: a press that is over at once
            return self._program(rule, control, origin, message.program)
        if rule.binding.invert:
            position = _TOP - position
        if slides and rule.target.kind in ("number", "words", "switch"):
            return self._slide(rule, control, origin, position)
        was = control.pressed
        if position >= PRESS_AT:
            control.pressed = True
        elif position <= RELEASE_AT:
            control.pressed = False
        if control.pressed == was:
            return []
        return (
            self._pressed(rule, control, origin)
            if control.pressed
            else self._released(rule, control, origin)
        )

    def _program(self, rule: _Rule, control: _Control, origin: Origin, program: int) -> list[Aimed]:
        if rule.mode != "value" or rule.target.kind in ("pulse", "mute"):
            return self._pressed(rule, control, origin)
        value = program if rule.binding.value is None else rule.binding.value
        return [_write(rule.target, rule.target.coerce(value), origin)]

    def _slide(self, rule: _Rule, control: _Control, origin: Origin, position: int) -> list[Aimed]:
        low, high = _ends(rule)
        number = (low * (_TOP - position) + high * position) / _TOP
        value = rule.target.coerce(round(number) if rule.target.kind != "number" else number)
        if value == control.written:
            return []
        control.written = value
        return [_write(rule.target, value, origin)]

    def _pressed(self, rule: _Rule, control: _Control, origin: Origin) -> list[Aimed]:
        target = rule.target
        if target.kind == "pulse":
            text = rule.binding.value if isinstance(rule.binding.value, str) else None
            return [
                Aimed(agent=target.agent, input=Press(name=target.name, origin=origin, text=text))
            ]
        if rule.mode == "toggle":
            now = self._reading(target.agent, target.page, target.name)
            return [_write(target, _off(rule) if _is_on(rule, now) else _on(rule), origin)]
        if rule.mode == "latch" and control.holds:
            control.holds = False
            return [_write(target, _off(rule), origin)]
        control.holds = True
        return [_write(target, _on(rule), origin)]

    def _released(self, rule: _Rule, control: _Control, origin: Origin) -> list[Aimed]:
        if rule.target.kind == "pulse" or rule.mode != "momentary" or not control.holds:
            return []
        control.holds = False
        return [_write(rule.target, _off(rule), origin)]

    def _let_go(self, keys: Iterable[tuple[int, str]]) -> list[Aimed]:
        aimed = []
        for key in list(keys):
            self._controls.pop(key)
            rule = self._rules[key[0]]
            if rule.target.kind == "switch":
                gone = HolderGone(origin=self._origin(*key))
                aimed.append(Aimed(agent=rule.target.agent, input=gone))
        return aimed

    def _origin(self, number: int, port: str) -> Origin:
        return Origin(kind="midi", id=f"{port} {number + 1}")


def _position(message: mido.Message, *, exact: bool) -> int | None:
    """Return where the control stands, 0 to 127; None for a program change.

    However softly a key is struck, it is down: only `exact` asks for its velocity. A note_on with
    velocity 0 is a note_off.
    """
    match message.type:
        case "note_on":
            velocity = int(message.velocity)
            return velocity if exact or velocity == 0 else _TOP
        case "note_off":
            return 0
        case "control_change":
            return int(message.value)
        case _:
            return None


def _ends(rule: _Rule) -> tuple[float, float]:
    low = rule.target.low if rule.binding.min is None else rule.binding.min
    high = rule.target.high if rule.binding.max is None else rule.binding.max
    return low, high


def _on(rule: _Rule) -> Value:
    return rule.target.coerce(_ends(rule)[1] if rule.binding.value is None else rule.binding.value)


def _off(rule: _Rule) -> Value:
    if rule.target.off is not None and rule.binding.min is None:
        return rule.target.off
    return rule.target.coerce(_ends(rule)[0])


def _is_on(rule: _Rule, now: Value) -> bool:
    return now == _on(rule) if rule.target.kind != "switch" else bool(now)


def _write(target: Target, value: Value, origin: Origin) -> Aimed:
    if target.kind == "mute":
        return Aimed(agent="*", input=SetMute(on=bool(value)))
    write = Write(name=target.name, value=value, origin=origin, page=target.page)
    return Aimed(agent=target.agent, input=write)
