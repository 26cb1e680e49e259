"""How the realtime services refuse a message: an `error` event with type, code, message and param.

A message that does not fit the service's types is refused with the words the service has for it:
unknown parameter, wrong type, missing parameter, value not allowed.
"""

from __future__ import annotations

import re
from typing import Final

import msgspec

INVALID: Final = "invalid_request_error"
_AT: Final = re.compile(r"^(?P<what>.*?)(?: - at `\$(?P<where>.*)`)?$", re.DOTALL)
_UNKNOWN: Final = re.compile(r"Object contains unknown field `(.*)`")
_MISSING: Final = re.compile(r"Object missing required field `(.*)`")
_TYPE: Final = re.compile(r"Expected `(.*)`, got `(.*)`")
_VALUE: Final = re.compile(r"Invalid (?:enum )?value '?(.*?)'?")


class Refused(Exception):
    """The service refuses a client's message.

    Args:
        message: the service's sentence.
        code: the service's word for it.
        param: the JSON path of what is wrong.
        kind: `error.type`.
        violation: whether the client did wrong; False where it could not know (a race).
    """

    def __init__(
        self,
        message: str,
        code: str | None = "invalid_value",
        param: str | None = None,
        *,
        kind: str = INVALID,
        violation: bool = True,
    ) -> None:
        super().__init__(message)
        self.message, self.code, self.param = message, code, param
        self.kind, self.violation = kind, violation


def mistyped(error: msgspec.ValidationError) -> Refused:
    """Return the refusal of a message that does not fit the types."""
    found = _AT.match(str(error))
    what, where = (found["what"], found["where"] or "") if found else (str(error), "")
    place = where.lstrip(".")
    if match := _UNKNOWN.fullmatch(what):
        param = _joined(place, match[1])
        return Refused(f"Unknown parameter: '{param}'.", "unknown_parameter", param)
    if match := _MISSING.fullmatch(what):
        param = _joined(place, match[1])
        return Refused(
            f"Missing required parameter: '{param}'.", "missing_required_parameter", param
        )
    if match := _VALUE.fullmatch(what):
        return Refused(f"Invalid value: '{match[1]}'.", "invalid_value", place)
    if (match := _TYPE.fullmatch(what)) and not re.search(r"[<>=]", match[1]):
        sentence = f"expected {_words(match[1])}, but got {_words(match[2])} instead"
        return Refused(f"Invalid type for '{place}': {sentence}.", "invalid_type", place)
    return Refused(f"Invalid value for '{place}': {what}.", "invalid_value", place)


def _joined(place: str, field: str) -> str:
    return f"{place}.{field}" if place else field


def _words(types: str) -> str:
    names = {"str": "a string", "int": "an integer", "float": "a number", "bool": "a boolean"}
    return " or ".join(names.get(name.strip(), f"an {name.strip()}") for name in types.split("|"))
