"""JSON schemas of tools' arguments: the part of JSON Schema that is known, and nothing beside it.

Known: `type` (one or a list), `properties`, `required`, `additionalProperties`, `items`, `enum`,
`const`, `minimum`, `maximum`, `exclusiveMinimum`, `exclusiveMaximum`, `minLength`, `maxLength`,
`minItems`, `maxItems`, `anyOf`; as words for the model alone `title`, `description`, `default`,
`examples`, `format`, `$schema`, `$comment`. A schema with anything else is refused when the tool is
declared: what is not checked must not look as if it were. There are no references and no regular
expressions on purpose: schemas come from outside, and checking takes time in proportion to the
arguments.

Source: JSON Schema, draft 2020-12, Validation.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

import msgspec

Json: TypeAlias = None | bool | int | float | str | list[Any] | dict[str, Any]

LONGEST_SCHEMA = 16_384
"""Bytes."""
LONGEST_ARGUMENTS = 65_536
DEEPEST = 8
MOST_PROPERTIES = 64

TYPES = ("object", "array", "string", "number", "integer", "boolean", "null")
_WORDS = frozenset(
    {"title", "description", "default", "examples", "format", "$schema", "$comment", "deprecated"}
)
_COUNTS = frozenset({"minLength", "maxLength", "minItems", "maxItems"})
_BOUNDS = frozenset({"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"})
_RULES = frozenset(
    {"type", "properties", "required", "additionalProperties", "items", "enum", "const", "anyOf"}
)


class SchemaError(ValueError):
    """A schema cannot be used; its text says what to change."""


def read(text: str) -> dict[str, Any]:
    """Return a tool's schema.

    Raises:
        SchemaError: it is no schema of an object, or has parts that are not known.
    """
    if len(text) > LONGEST_SCHEMA:
        raise SchemaError(f"the schema is longer than {LONGEST_SCHEMA} bytes")
    try:
        schema = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError, UnicodeError) as error:
        raise SchemaError(f"the schema is no JSON: {error}") from None
    if not isinstance(schema, dict):
        raise SchemaError('a tool\'s schema is an object: {"type": "object", "properties": {...}}')
    if schema.get("type", "object") != "object":
        raise SchemaError('a tool\'s schema has "type": "object", since arguments have names')
    _check(schema, "$", 0)
    return schema


def _check(schema: Any, path: str, depth: int) -> None:
    if isinstance(schema, bool):
        return
    if not isinstance(schema, dict):
        raise SchemaError(f"{path} must be a schema, {{...}}")
    if depth > DEEPEST:
        raise SchemaError(f"{path}: schemas nest {DEEPEST} deep at most")
    for key, value in schema.items():
        _check_keyword(key, value, f"{path}.{key}", depth)


def _check_keyword(key: str, value: Any, path: str, depth: int) -> None:
    fits = True
    match key:
        case "type":
            names = value if isinstance(value, list) else [value]
            fits = bool(names) and all(name in TYPES for name in names)
        case "properties":
            fits = isinstance(value, dict) and len(value) <= MOST_PROPERTIES
            for name, inner in value.items() if fits else ():
                _check(inner, f"{path}.{name}", depth + 1)
        case "required":
            fits = isinstance(value, list) and all(isinstance(name, str) for name in value)
        case "enum":
            fits = isinstance(value, list) and bool(value)
        case "anyOf":
            fits = isinstance(value, list) and bool(value)
            for n, inner in enumerate(value if fits else ()):
                _check(inner, f"{path}[{n}]", depth + 1)
        case "items" | "additionalProperties":
            _check(value, path, depth + 1)
        case _ if key in _COUNTS:
            fits = isinstance(value, int) and not isinstance(value, bool) and value >= 0
        case _ if key in _BOUNDS:
            fits = isinstance(value, int | float) and not isinstance(value, bool)
        case _ if key not in _WORDS and key not in _RULES:
            known = ", ".join(sorted(_RULES | _COUNTS | _BOUNDS))
            raise SchemaError(f"{path}: this keyword is not checked here; leave it out. {known}")
    if not fits:
        raise SchemaError(f"{path}: this is no value for {key}")


def arguments(schema: Mapping[str, Any], text: str) -> tuple[dict[str, Any], str]:
    """Return a call's arguments, and what is wrong with them ("" = they fit).

    Args:
        schema: as `read` gave it.
        text: JSON of the arguments as the model wrote it; "" = none.
    """
    if len(text) > LONGEST_ARGUMENTS:
        return {}, f"the arguments are longer than {LONGEST_ARGUMENTS} bytes"
    try:
        given = msgspec.json.decode(text) if text.strip() else {}
    except (msgspec.DecodeError, RecursionError, UnicodeError) as error:
        return {}, f"the arguments are no JSON: {error}"
    if not isinstance(given, dict):
        return {}, "the arguments must be an object with a name for each"
    return given, next(problems(schema, given), "")


def problems(schema: Any, value: Json, path: str = "$") -> Iterator[str]:
    """Yield a sentence for each way in which a value does not fit a schema."""
    if schema is True or isinstance(schema, Mapping) and not schema:
        return
    if schema is False:
        yield f"{path} must not be given"
        return
    names = schema.get("type")
    if names is not None:
        wanted = names if isinstance(names, list) else [names]
        if not any(_is_type(value, name) for name in wanted):
            yield f"{path} must be {' or '.join(wanted)}"
            return
    if "enum" in schema and not any(_equal(value, one) for one in schema["enum"]):
        yield f"{path} must be one of {_json(schema['enum'])}"
    if "const" in schema and not _equal(value, schema["const"]):
        yield f"{path} must be {_json(schema['const'])}"
    if "anyOf" in schema and not any(
        next(problems(inner, value, path), None) is None for inner in schema["anyOf"]
    ):
        yield f"{path} fits none of its forms"
    match value:
        case bool() | None:
            pass
        case int() | float():
            yield from _number(schema, value, path)
        case str():
            yield from _count(schema, len(value), "Length", "characters", path)
        case list():
            yield from _count(schema, len(value), "Items", "items", path)
            for n, item in enumerate(value):
                yield from problems(schema.get("items", True), item, f"{path}[{n}]")
        case dict():
            yield from _object(schema, value, path)


def _number(schema: Mapping[str, Any], value: float, path: str) -> Iterator[str]:
    if value < schema.get("minimum", -math.inf):
        yield f"{path} must be at least {schema['minimum']:g}"
    if value > schema.get("maximum", math.inf):
        yield f"{path} must be at most {schema['maximum']:g}"
    if "exclusiveMinimum" in schema and value <= schema["exclusiveMinimum"]:
        yield f"{path} must be above {schema['exclusiveMinimum']:g}"
    if "exclusiveMaximum" in schema and value >= schema["exclusiveMaximum"]:
        yield f"{path} must be below {schema['exclusiveMaximum']:g}"


def _count(schema: Mapping[str, Any], count: int, what: str, unit: str, path: str) -> Iterator[str]:
    if count < schema.get(f"min{what}", 0):
        yield f"{path} must have at least {schema[f'min{what}']} {unit}"
    if f"max{what}" in schema and count > schema[f"max{what}"]:
        yield f"{path} must have at most {schema[f'max{what}']} {unit}"


def _object(schema: Mapping[str, Any], value: dict[str, Any], path: str) -> Iterator[str]:
    known = schema.get("properties", {})
    for name in schema.get("required", ()):
        if name not in value:
            yield f"{path}.{name} is missing"
    for name, inner in value.items():
        if name in known:
            yield from problems(known[name], inner, f"{path}.{name}")
        elif schema.get("additionalProperties", True) is False:
            yield f"{path}.{name} is not known; there are {', '.join(known) or 'no arguments'}"
        else:
            yield from problems(schema.get("additionalProperties", True), inner, f"{path}.{name}")


def _is_type(value: Json, name: str) -> bool:
    match name:
        case "object":
            return isinstance(value, dict)
        case "array":
            return isinstance(value, list)
        case "string":
            return isinstance(value, str)
        case "boolean":
            return isinstance(value, bool)
        case "null":
            return value is None
        case "integer":
            whole = isinstance(value, float) and value.is_integer()
            return whole or (isinstance(value, int) and not isinstance(value, bool))
        case _:
            return isinstance(value, int | float) and not isinstance(value, bool)


def _equal(a: Json, b: Json) -> bool:
    """Compare as JSON does: true is not 1, and 1 is 1.0."""
    if isinstance(a, bool) is not isinstance(b, bool):
        return False
    return a == b


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()[:200]


def in_order(schema: Mapping[str, Any], given: Mapping[str, Any]) -> tuple[int | float | str, ...]:
    """Return arguments by position, in the schema's order, for receivers that know no JSON.

    What was not given is its default, or 0 for numbers and "" for everything else; at the end it is
    left out. Numbers of a `number` are floats and of an `integer` ints, whatever the model wrote; a
    bool is 0 or 1; lists and objects are JSON text.
    """
    rows = [
        (name, inner if isinstance(inner, dict) else {})
        for name, inner in schema.get("properties", {}).items()
    ]
    while rows and rows[-1][0] not in given and "default" not in rows[-1][1]:
        rows.pop()
    return tuple(_plain(inner, given.get(name)) for name, inner in rows)


def _plain(schema: Mapping[str, Any], value: Json) -> int | float | str:
    if value is None:
        value = schema.get("default")
    kind = schema.get("type")
    match value:
        case None:
            return {"number": 0.0, "integer": 0, "boolean": 0}.get(str(kind), "")
        case bool():
            return int(value)
        case str():
            return value
        case int() | float() if kind == "number":
            return float(value)
        case int() | float() if kind == "integer" or isinstance(value, int):
            whole = int(value)
            return whole if -(2**31) <= whole < 2**31 else str(whole)
        case float():
            return value
        case _:
            return msgspec.json.encode(value).decode()
