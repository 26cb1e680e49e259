"""From a Python function to what a model is told of it: a JSON schema, by its signature.

The description is the docstring up to `Args:`; below it stand the arguments' own, one a line, as
`color: which one`. Types are str, int, float, bool, Literal, list and dict, with msgspec.Meta for
bounds; an argument with a default may be left out.
"""

from __future__ import annotations

import asyncio
import inspect
import re
import typing
from collections.abc import Callable
from typing import Any

import msgspec

from voiced.messages.scripts import LONGEST_TEXT, OfferedTool
from voiced.scripts.text import sendable

DONE = "done"
"""The result of a function that returns nothing."""
_ARGS = re.compile(r"^(Args|Arguments|Parameters):?\s*$", re.MULTILINE)
_ARG = re.compile(r"^ *(\w+)(?: *\([^)]*\))? *: *(.+)$")
_SECTION = re.compile(r"^[A-Z]\w+:\s*$")


class DeclarationError(ValueError):
    """A function cannot be offered; its text says what to change."""


class Offer(msgspec.Struct, frozen=True, kw_only=True):
    """A function that is offered to the model."""

    declared: OfferedTool
    function: Callable[..., Any]
    hints: dict[str, Any]

    def call(self, arguments: str) -> str:
        """Call it with a JSON object of arguments; return its result as text.

        Raises:
            Exception: whatever the function raises.
        """
        given = msgspec.json.decode(arguments)
        values = {
            name: msgspec.convert(value, self.hints[name], strict=False)
            for name, value in given.items()
            if name in self.hints
        }
        return result_text(run(self.function, **values))


def run(function: Callable[..., Any], *args: Any, **named: Any) -> Any:
    """Call a function, a coroutine function to its end."""
    returned = function(*args, **named)
    if inspect.iscoroutine(returned):
        return asyncio.run(returned)
    return returned


def result_text(returned: Any) -> str:
    """Return what the model is told of a returned value."""
    match returned:
        case None:
            return DONE
        case str():
            return sendable(str(returned))[:LONGEST_TEXT]
    try:
        text = msgspec.json.encode(returned).decode()
    except (TypeError, ValueError, RecursionError):
        text = str(returned)
    return sendable(text)[:LONGEST_TEXT]


def offer(
    function: Callable[..., Any],
    *,
    name: str = "",
    description: str = "",
    mode: str = "enabled",
    confirm: bool = False,
    timeout: float = 0.0,
) -> Offer:
    """Return a function as a tool.

    Raises:
        DeclarationError: it cannot be one, and why.
    """
    name = name or getattr(function, "__name__", "")
    text, about = _docstring(inspect.getdoc(function) or "")
    hints = _hints(function, name)
    properties: dict[str, Any] = {}
    required = []
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            raise DeclarationError(f"{name}: a tool's arguments have names; *args has none")
        if parameter.kind is parameter.POSITIONAL_ONLY:
            raise DeclarationError(f"{name}: {parameter.name} must not be positional-only")
        hint = hints.setdefault(parameter.name, str)
        schema = _schema(f"{name}: {parameter.name}", hint)
        if parameter.name in about:
            schema["description"] = about[parameter.name]
        if parameter.default is parameter.empty:
            required.append(parameter.name)
        elif isinstance(parameter.default, bool | int | float | str):
            schema["default"] = parameter.default
        properties[parameter.name] = schema
    whole = {
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": False,
    }
    return Offer(
        declared=OfferedTool(
            name=name,
            description=description or text,
            schema=msgspec.json.encode(whole).decode(),
            mode=mode,
            confirm=bool(confirm),
            timeout_s=float(timeout),
        ),
        function=function,
        hints=hints,
    )


def _hints(function: Callable[..., Any], name: str) -> dict[str, Any]:
    try:
        hints = typing.get_type_hints(function, include_extras=True)
    except (NameError, TypeError, SyntaxError, AttributeError) as error:
        raise DeclarationError(f"{name}: its annotations cannot be read: {error}") from None
    hints.pop("return", None)
    return hints


def _schema(where: str, hint: Any) -> dict[str, Any]:
    try:
        (schema,), named = msgspec.json.schema_components([hint])
    except (TypeError, ValueError) as error:
        raise DeclarationError(f"{where} has a type that JSON cannot carry: {error}") from None
    if named:
        raise DeclarationError(
            f"{where} must be made of str, int, float, bool, Literal, list and dict"
        )
    words = schema.get("enum", ())
    if words and "type" not in schema and all(isinstance(word, str) for word in words):
        # In the order they were written: models tend to take the first.
        args = [arg for arg in typing.get_args(hint) if isinstance(arg, str)]
        schema = {"type": "string", **schema}
        if sorted(args) == sorted(words):
            schema["enum"] = args
    return dict(schema)


def _docstring(text: str) -> tuple[str, dict[str, str]]:
    """Return the description, and what is said of each argument."""
    found = _ARGS.search(text)
    if found is None:
        return text.strip(), {}
    about: dict[str, str] = {}
    last = ""
    for line in text[found.end() :].splitlines():
        if _SECTION.match(line):
            break
        if match := _ARG.match(line):
            last = match[1]
            about[last] = match[2].strip()
        elif last and line.strip():
            about[last] += f" {line.strip()}"
    return text[: found.start()].strip(), about
