"""From what a door was given to a value of a parameter, or to a refusal that says what to do."""

from __future__ import annotations

import difflib
import math
import re
import struct
from collections.abc import Iterable, Mapping, Sequence
from enum import Enum
from typing import TypeAlias
from urllib.parse import urlsplit

import msgspec

from voiced.messages.pictures import CAMERA, camera_of
from voiced.parameters.row import Form, Kind, Row, Value

Argument: TypeAlias = int | float | str | bytes | bool | None
"""What a message brought: None for N and I."""

TEXT_LIMIT = 60_000
"""Bytes of UTF-8 that one string parameter holds at most."""
CHANNEL_LIMIT = 62
"""Highest device channel that can be named: one word of shared memory holds them."""
_INT_MAX = 2**31 - 1
_FLOAT_MAX = 3.4e38
"""What a parameter without a range holds: what every receiver can read."""
PULSE_THRESHOLD = 0.5
"""A float fires a pulse from here on."""


class Refusal(msgspec.Struct, frozen=True):
    """Nothing was changed, and why."""

    code: str
    """One of the codes of /voiced/error."""
    sentence: str


class Coerced(msgspec.Struct, frozen=True):
    """A value of the row's own type, within its range."""

    value: Value
    adjusted: bool = False
    """What was sent was clamped, rounded or spelled out: its sender is told."""


class PulseEdge(Enum):
    """What a message to a pulse means."""

    FIRE = "fire"
    """No argument, I or N: fires every time."""
    HIGH = "high"
    """A value that fires at its rising edge."""
    LOW = "low"
    """A button's release: never fires, re-arms."""


def nearest(word: str, known: Iterable[str]) -> str:
    """Return " Did you mean X?" with a leading blank, or "" where nothing is near."""
    names = list(known)
    lower = {name.lower(): name for name in names}
    if word.lower() in lower:
        return f" Did you mean {lower[word.lower()]}?"
    found = difflib.get_close_matches(word[:64].lower(), list(lower), n=1, cutoff=0.6)
    return f" Did you mean {lower[found[0]]}?" if found else ""


def shortest(number: float) -> float:
    """Return the float with the fewest digits that is the same 32 bit float.

    A number that is no 32 bit float comes back as it is: 0.30000001192092896 is 0.3.
    """
    try:
        if struct.unpack("f", struct.pack("f", number))[0] != number:
            return number
    except OverflowError:
        return number
    for digits in range(6, 9):
        short = float(f"{number:.{digits}g}")
        if struct.unpack("f", struct.pack("f", short))[0] == number:
            return short
    return number


def _plain(number: float) -> str:
    """Spell a number as an artist would: 3 rather than 3.0."""
    if number == math.floor(number) and abs(number) < 1e15:
        return str(int(number))
    return repr(shortest(number))


def _number(row: Row, argument: Argument) -> float | Refusal:
    """Return the finite number meant, as int where it was one; -0.0 becomes 0.0."""
    if argument is None or isinstance(argument, bytes):
        return Refusal("bad_type", f"{row.name} takes a number ({_range_text(row)})")
    if isinstance(argument, bool):
        return int(argument)
    if isinstance(argument, int):
        return argument
    if isinstance(argument, str):
        word = argument.strip()
        try:
            # int() and float() also read "1_000", which nobody types on purpose.
            if "_" in word or len(word) > 64:
                raise ValueError
            argument = int(word) if re.fullmatch(r"[+-]?\d+", word) else float(word)
        except ValueError:
            return Refusal(
                "bad_type", f"{row.name} takes a number ({_range_text(row)}), not {_show(word)}"
            )
    if not math.isfinite(argument):
        return Refusal("bad_value", f"{row.name} takes a finite number ({_range_text(row)})")
    return argument + 0.0 if isinstance(argument, float) else argument


def _show(word: str) -> str:
    short = word if len(word) <= 40 else word[:37] + "..."
    return repr(short)


def _range_text(row: Row) -> str:
    if row.minimum is None and row.maximum is None:
        return "any"
    low = "" if row.minimum is None else _plain(row.minimum)
    high = "" if row.maximum is None else _plain(row.maximum)
    text = f"{'above ' if row.above_minimum else ''}{low} to {high}".strip()
    return f"{text} {row.unit}".strip()


def _clamp(row: Row, number: float) -> float:
    widest = _INT_MAX if row.kind is Kind.INT else _FLOAT_MAX
    number = max(-widest, min(number, widest))
    if row.minimum is not None and number < row.minimum:
        return row.minimum
    if row.maximum is not None and number > row.maximum:
        return row.maximum
    return number


def _out_of_range(row: Row, number: float) -> bool:
    too_low = row.minimum is not None and (
        number <= row.minimum if row.above_minimum else number < row.minimum
    )
    return too_low or (row.maximum is not None and number > row.maximum)


def _coerce_number(row: Row, argument: Argument) -> Coerced | Refusal:
    number = _number(row, argument)
    if isinstance(number, Refusal):
        return number
    if row.money and _out_of_range(row, number):
        return Refusal(
            "out_of_range",
            f"{row.name} takes {_range_text(row)}; {_plain(number)} was refused, nothing changed",
        )
    clamped = _clamp(row, number)
    if row.kind is Kind.FLOAT:
        value = shortest(float(clamped))
        return Coerced(value, adjusted=clamped != number)
    whole = math.floor(clamped + 0.5) if isinstance(clamped, float) else clamped
    return Coerced(int(_clamp(row, whole)), adjusted=whole != number)


_SWITCH_WORDS: Mapping[str, bool] = {
    "on": True, "true": True, "yes": True, "off": False, "false": False, "no": False,
}  # fmt: skip


def _coerce_toggle(row: Row, argument: Argument) -> Coerced | Refusal:
    if isinstance(argument, str) and argument.strip().lower() in _SWITCH_WORDS:
        return Coerced(_SWITCH_WORDS[argument.strip().lower()])
    number = _number(row, argument)
    if isinstance(number, Refusal):
        return number
    return Coerced(number >= PULSE_THRESHOLD, adjusted=number not in (0, 1))


def _text_refusal(row: Row, text: str) -> Refusal | None:
    if "\0" in text:
        return Refusal("bad_value", f"{row.name} takes text without zero bytes")
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        return Refusal("bad_value", f"{row.name} takes text in UTF-8")
    if size > TEXT_LIMIT:
        return Refusal(
            "too_long", f"{row.name} holds at most {TEXT_LIMIT} bytes of text, not {size}"
        )
    return None


_CHANNELS = re.compile(r"\d{1,3}(?: *, *\d{1,3})*")
_URL = re.compile(r"(?:https?|wss?)://[^\s/]+(?:/\S*)?", re.IGNORECASE)
_NAME = re.compile(r"[A-Za-z0-9_]*")
_CAMERA = re.compile(r"[A-Za-z0-9_]{1,32}")


def _formed(row: Row, text: str) -> str | Refusal:
    """Return the text in the row's own spelling, or why it has not its form."""
    word = text.strip()
    match row.form:
        case Form.FREE:
            return text
        case _ if word == "":
            return ""
        case Form.CHANNELS:
            numbers = [int(n) for n in word.split(",")] if _CHANNELS.fullmatch(word) else [0]
            if all(1 <= n <= CHANNEL_LIMIT for n in numbers):
                return ",".join(str(n) for n in numbers)
            return Refusal(
                "bad_value",
                f"{row.name} takes channels from 1 to {CHANNEL_LIMIT}, as 3 or 3,4; empty is the "
                "config's",
            )
        case Form.URL:
            if _is_url(word):
                return word
            return Refusal("bad_value", f"{row.name} takes an address as http://127.0.0.1:8080/v1")
        case Form.PICTURE:
            if not word.startswith(CAMERA):
                return text
            if _CAMERA.fullmatch(camera_of(word)):
                return CAMERA + camera_of(word)
            return Refusal("bad_value", f"{row.name} takes a camera as {CAMERA}0, or a file")
        case Form.PROVIDER_NAME:
            if _NAME.fullmatch(word):
                return word
            return Refusal("bad_value", f"{row.name} takes letters, digits and underscores")


def _is_url(word: str) -> bool:
    """Tell an address with a host and, if it names one, a port there can be."""
    if not _URL.fullmatch(word):
        return False
    try:
        parts = urlsplit(word)
        return bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _coerce_text(row: Row, argument: Argument) -> Coerced | Refusal:
    if isinstance(argument, bool | bytes) or argument is None:
        return Refusal("bad_type", f"{row.name} takes text")
    if isinstance(argument, int | float):
        if not math.isfinite(argument):
            return Refusal("bad_value", f"{row.name} takes text, not {argument}")
        argument = _plain(argument)
    refusal = _text_refusal(row, argument)
    if refusal is not None:
        return refusal
    formed = _formed(row, argument)
    if isinstance(formed, Refusal):
        return formed
    return Coerced(formed, adjusted=formed != argument)


def _coerce_menu(row: Row, argument: Argument, options: Sequence[str]) -> Coerced | Refusal:
    if isinstance(argument, bool | bytes) or argument is None:
        return Refusal("bad_type", f"{row.name} takes {_choices(options)}")
    if isinstance(argument, str):
        if argument in options:
            return Coerced(argument)
        same = [option for option in options if option.lower() == argument.strip().lower()]
        if len(same) == 1:
            return Coerced(same[0], adjusted=True)
        if row.open_menu:
            return _coerce_text(row, argument)
    number = _number(row, argument)
    if isinstance(number, Refusal):
        if isinstance(argument, str):
            return Refusal(
                "bad_value",
                f"{row.name} takes {_choices(options)}, not {_show(argument)}."
                f"{nearest(argument, options)}".rstrip("."),
            )
        return number
    if number == math.floor(number) and 0 <= number < len(options):
        return Coerced(options[int(number)], adjusted=True)
    return Refusal(
        "bad_value",
        f"{row.name} takes {_choices(options)}, by name or by index from 0 to "
        f"{max(len(options) - 1, 0)}, not {_plain(number)}",
    )


def _choices(options: Sequence[str]) -> str:
    if not options:
        return "a name"
    shown = [option or '""' for option in options[:12]]
    return "one of " + " ".join(shown) + (" ..." if len(options) > 12 else "")


def _coerce_names(row: Row, args: Sequence[Argument], options: Sequence[str]) -> Coerced | Refusal:
    names: list[str] = []
    for argument in args:
        if isinstance(argument, int | float) and not isinstance(argument, bool):
            if argument not in range(len(options)):
                return Refusal(
                    "bad_value",
                    f"{row.name} takes names, or an index from 0 on: there are {len(options)}",
                )
            names.append(options[int(argument)])
            continue
        one = _coerce_text(row, argument)
        if isinstance(one, Refusal):
            return one
        names += [name.strip() for name in str(one.value).split(",")]
    names = [name for name in names if name]
    if row.maximum is not None and len(names) > row.maximum:
        return Refusal(
            "bad_value", f"{row.name} takes up to {int(row.maximum)} names, not {len(names)}"
        )
    return Coerced(",".join(names))


def coerce(
    row: Row, args: Sequence[Argument], options: Sequence[str] | None = None
) -> Coerced | Refusal:
    """Return the value that `args` mean for this row, or why they mean none.

    Numbers become the row's type whatever type they came in; out of range is clamped, except
    money; NaN and infinities, wrong types and extra arguments are refused. `options` are a menu's
    (or those names that can be given by index) as they are now, where they differ from the row's.
    Pulses go to `press`, colours to `expand`. Who may write is the door's matter.
    """
    if row.kind is Kind.NAMES and args:
        return _coerce_names(row, args, row.options if options is None else options)
    if len(args) != 1:
        return Refusal("bad_type", f"{row.name} takes one argument, not {len(args)}")
    argument = args[0]
    match row.kind:
        case Kind.PULSE:
            return Refusal("no_effect", f"{row.name} is a pulse: it fires and holds no value")
        case Kind.COLOR:
            return Refusal("bad_type", f"{row.name} takes three numbers: red, green and blue")
        case Kind.TOGGLE:
            return _coerce_toggle(row, argument)
        case Kind.INT | Kind.FLOAT:
            return _coerce_number(row, argument)
        case Kind.MENU:
            return _coerce_menu(row, argument, row.options if options is None else options)
        case Kind.STRING | Kind.FILE | Kind.FOLDER | Kind.NAMES:
            return _coerce_text(row, argument)


def expand(
    row: Row, args: Sequence[Argument], rows: Mapping[str, Row]
) -> list[tuple[Row, Sequence[Argument]]] | Refusal:
    """Return which rows a write means, each with its arguments: a colour means its three parts."""
    if row.kind is not Kind.COLOR:
        return [(row, args)]
    if len(args) != len(row.parts):
        return Refusal("bad_type", f"{row.name} takes three numbers: red, green and blue")
    return [(rows[name], [argument]) for name, argument in zip(row.parts, args, strict=True)]


def spread(row: Row, value: Value) -> tuple[int | float | str, ...]:
    """Return a value as OSC arguments: bools are 0 or 1, names one string each."""
    if row.kind is Kind.NAMES:
        return tuple(str(value).split(",")) if value else ("",)
    match row.tag:
        case "i":
            return (int(value),)
        case "f":
            return (float(value),)
        case _:
            return (str(value),)


def press(row: Row, args: Sequence[Argument]) -> tuple[PulseEdge, str | None] | Refusal:
    """Return what a message to a pulse means, and the text it brought along.

    `args` are as decoded, None for N and I. Edges are the door's to compare: it knows the sender.
    """
    if not args:
        return PulseEdge.FIRE, None
    if len(args) > 1:
        return Refusal("bad_type", f"{row.name} takes one argument at most, not {len(args)}")
    argument = args[0]
    if argument is None:
        return PulseEdge.FIRE, None
    if row.takes_text and isinstance(argument, str):
        refusal = _text_refusal(row, argument)
        return refusal if refusal is not None else (PulseEdge.FIRE, argument)
    number = _number(row, argument)
    if isinstance(number, Refusal):
        return Refusal(number.code, f"{row.name} is a pulse: send it nothing, or 1")
    fires = number >= PULSE_THRESHOLD if isinstance(number, float) else number != 0
    return (PulseEdge.HIGH if fires else PulseEdge.LOW), None


def to_norm(row: Row, value: Value) -> float:
    """Return where in its range a value lies, 0 to 1; the row must have a norm."""
    assert row.minimum is not None
    assert row.maximum is not None
    return (float(value) - row.minimum) / (row.maximum - row.minimum)


def from_norm(row: Row, args: Sequence[Argument]) -> Coerced | Refusal:
    """Return the value at 0..1 of the row's range; the row must have a norm."""
    if len(args) != 1:
        return Refusal("bad_type", f"{row.name}/norm takes one number from 0 to 1")
    number = _number(row, args[0])
    if isinstance(number, Refusal):
        return Refusal(number.code, f"{row.name}/norm takes one number from 0 to 1")
    assert row.minimum is not None
    assert row.maximum is not None
    part = min(max(shortest(float(number)), 0.0), 1.0)
    value = row.minimum + part * (row.maximum - row.minimum)
    if row.kind is Kind.INT:
        return Coerced(math.floor(value + 0.5), adjusted=part != number)
    return Coerced(min(max(float(value), row.minimum), row.maximum), adjusted=part != number)


def toggled(row: Row, value: Value) -> Value | Refusal:
    """Return the other state of a toggle."""
    if row.kind is not Kind.TOGGLE:
        return Refusal("unknown_address", f"{row.name} is not a 0/1 parameter: it has no /toggle")
    return not value
