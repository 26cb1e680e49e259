"""Schemas as servers write them, in the part of JSON Schema that voiced checks and services take.

Servers check their arguments themselves, so what is not known here is left out without harm: what a
model can use of it is put into the description. References are written out where they are used.
Source: JSON Schema, draft 2020-12; Model Context Protocol, Tools, inputSchema.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

DEEPEST = 6
"""Levels that are kept; below, anything fits. The mind's own limit lies higher."""
MOST_PARTS = 400
"""Schemas within a schema, written out; beyond, anything fits."""
_KEPT = frozenset(
    {
        "type", "enum", "const", "required", "minimum", "maximum", "exclusiveMinimum",
        "exclusiveMaximum", "minLength", "maxLength", "minItems", "maxItems", "description",
        "default",
    }
)  # fmt: skip
_TOLD = ("pattern", "format", "multipleOf", "uniqueItems")
"""What is not checked here, but worth a word to the model."""
_TYPES = frozenset({"object", "array", "string", "number", "integer", "boolean", "null"})
_NUMBERS = frozenset({"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"})
_COUNTS = frozenset({"minLength", "maxLength", "minItems", "maxItems"})


def plain(schema: Mapping[str, Any]) -> str:
    """Return a tool's schema as JSON text, in known keywords only."""
    kept = _Plain(schema).of(schema, 0)
    kept["type"] = "object"
    kept.setdefault("properties", {})
    known = kept["properties"]
    if "required" in kept:
        kept["required"] = [name for name in kept["required"] if name in known]
    kept.pop("description", None)
    return msgspec.json.encode(kept).decode()


class _Plain:
    """Writes out one schema, of which references may name any part."""

    def __init__(self, root: Mapping[str, Any]) -> None:
        self._root, self._parts = root, 0

    def of(self, schema: Any, depth: int, seen: tuple[str, ...] = ()) -> dict[str, Any]:
        self._parts += 1
        if not isinstance(schema, Mapping) or depth > DEEPEST or self._parts > MOST_PARTS:
            return {}
        named = schema.get("$ref")
        if isinstance(named, str):
            if named in seen:  # A schema within itself: anything fits.
                return {}
            schema = {**self._named(named), **{k: v for k, v in schema.items() if k != "$ref"}}
            seen = (*seen, named)
            if "$ref" in schema:
                return self.of(schema, depth, seen)
        schema = self._merged(schema, depth, seen)
        kept = {key: value for key, value in schema.items() if key in _KEPT and _fits(key, value)}
        told = [f"{key} {schema[key]}" for key in _TOLD if key in schema]
        if told:
            kept["description"] = f"{kept.get('description', '')} ({', '.join(told)})".strip()
        self._inner(schema, kept, depth, seen)
        return kept

    def _inner(
        self, schema: Mapping[str, Any], kept: dict[str, Any], depth: int, seen: tuple[str, ...]
    ) -> None:
        """Write out the schemas within a schema."""
        if isinstance(properties := schema.get("properties"), Mapping):
            kept["properties"] = {
                str(name): self.of(inner, depth + 1, seen) for name, inner in properties.items()
            }
        if isinstance(items := schema.get("items"), Mapping):
            kept["items"] = self.of(items, depth + 1, seen)
        more = schema.get("additionalProperties")
        if isinstance(more, bool):
            kept["additionalProperties"] = more
        elif isinstance(more, Mapping):
            kept["additionalProperties"] = self.of(more, depth + 1, seen)
        choices = schema.get("anyOf", schema.get("oneOf"))
        if not isinstance(choices, list):
            return
        forms = [self.of(inner, depth + 1, seen) for inner in choices]
        # `X or null` of an argument that may be left out is X.
        forms = [form for form in forms if form.get("type") != "null"] or forms
        if len(forms) == 1:
            kept.update({key: value for key, value in forms[0].items() if key not in kept})
            if kept.get("default", "") is None:
                del kept["default"]
        elif forms:
            kept["anyOf"] = forms

    def _merged(
        self, schema: Mapping[str, Any], depth: int, seen: tuple[str, ...]
    ) -> Mapping[str, Any]:
        """Lay the parts of `allOf` over each other."""
        parts = schema.get("allOf")
        if not isinstance(parts, list):
            return schema
        whole: dict[str, Any] = {}
        for part in (*parts, {k: v for k, v in schema.items() if k != "allOf"}):
            kept = self.of(part, depth + 1, seen)
            properties = {**whole.get("properties", {}), **kept.get("properties", {})}
            required = [*whole.get("required", ()), *kept.get("required", ())]
            whole |= kept
            if properties:
                whole["properties"] = properties
            if required:
                whole["required"] = list(dict.fromkeys(required))
        return whole

    def _named(self, reference: str) -> Mapping[str, Any]:
        """Return what a reference within the schema names; an empty one for every other."""
        if not reference.startswith("#"):
            return {}
        at: Any = self._root
        for step in reference.removeprefix("#").split("/")[1:]:
            step = step.replace("~1", "/").replace("~0", "~")
            at = at.get(step) if isinstance(at, Mapping) else None
        return at if isinstance(at, Mapping) else {}


def _fits(key: str, value: Any) -> bool:
    """Tell whether a keyword's value is of the kind that the mind takes."""
    match key:
        case "type":
            names = value if isinstance(value, list) else [value]
            return bool(names) and all(isinstance(n, str) and n in _TYPES for n in names)
        case "enum":
            return isinstance(value, list) and bool(value)
        case "required":
            return isinstance(value, list) and all(isinstance(name, str) for name in value)
        case "description":
            return isinstance(value, str)
        case _ if key in _COUNTS:
            return isinstance(value, int) and not isinstance(value, bool) and value >= 0
        case _ if key in _NUMBERS:
            return isinstance(value, int | float) and not isinstance(value, bool)
        case _:
            return True
