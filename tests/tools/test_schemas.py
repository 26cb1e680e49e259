"""Whatever a server calls a schema becomes one that the mind takes."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voiced.mind import schema as schemas
from voiced.tools.schemas import plain

WORD = {"type": "string"}


def object_of(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties}


@pytest.mark.parametrize(
    ("schema", "kept"),
    [
        ({}, object_of()),
        ({"$schema": "x", "title": "T", "type": "object"}, object_of()),
        (
            {**object_of(a=WORD), "required": ["a", "gone"], "additionalProperties": False},
            {**object_of(a=WORD), "required": ["a"], "additionalProperties": False},
        ),
        # A reference is written out, wherever it leads.
        (
            {**object_of(a={"$ref": "#/$defs/W"}), "$defs": {"W": {"enum": ["x", "y"]}}},
            object_of(a={"enum": ["x", "y"]}),
        ),
        (
            {**object_of(a={"$ref": "#/$defs/a~1b", "description": "d"}), "$defs": {"a/b": WORD}},
            object_of(a={"type": "string", "description": "d"}),
        ),
        ({**object_of(a={"$ref": "http://elsewhere/x"})}, object_of(a={})),
        ({**object_of(a={"$ref": "#/nowhere"})}, object_of(a={})),
        # A schema within itself: below, anything fits.
        (
            {
                **object_of(a={"$ref": "#/$defs/N"}),
                "$defs": {"N": object_of(n={"$ref": "#/$defs/N"})},
            },
            object_of(a=object_of(n={})),
        ),
        ({**object_of(a={"$ref": "#"})}, object_of(a=object_of(a={}))),
        # X or null is X.
        (
            object_of(a={"anyOf": [{"type": "integer"}, {"type": "null"}], "default": None}),
            object_of(a={"type": "integer"}),
        ),
        (object_of(a={"oneOf": [WORD, {"type": "number"}]}),
         object_of(a={"anyOf": [WORD, {"type": "number"}]})),
        # All of several.
        (
            {"allOf": [object_of(a=WORD), {**object_of(b=WORD), "required": ["b"]}]},
            {**object_of(a=WORD, b=WORD), "required": ["b"]},
        ),
        # What is not checked is told to the model.
        (
            object_of(a={"type": "string", "pattern": "^x", "description": "an x"}),
            object_of(a={"type": "string", "description": "an x (pattern ^x)"}),
        ),
        (object_of(a={"type": "string", "minLength": -1, "maxLength": True}), object_of(a=WORD)),
        (object_of(a={"type": "array", "items": {"type": "string", "title": "T"}}),
         object_of(a={"type": "array", "items": WORD})),
        (object_of(a=True, b="nonsense"), object_of(a={}, b={})),
    ],
)  # fmt: skip
def test_what_becomes_of_a_schema(schema: dict[str, Any], kept: dict[str, Any]) -> None:
    assert json.loads(plain(schema)) == kept


def test_what_is_too_deep_or_too_wide_has_an_end() -> None:
    deep: dict[str, Any] = WORD
    for _ in range(60):
        deep = object_of(a=deep)
    schemas.read(plain(deep))
    # Each level names the next one twice: 2^40 parts if all were written out.
    definitions: dict[str, Any] = {
        f"d{n}": object_of(a={"$ref": f"#/$defs/d{n + 1}"}, b={"$ref": f"#/$defs/d{n + 1}"})
        for n in range(40)
    }
    schemas.read(plain({**object_of(a={"$ref": "#/$defs/d0"}), "$defs": definitions}))


NAMES = st.sampled_from(["a", "b", "$ref", "c d"])
LEAVES: st.SearchStrategy[Any] = st.one_of(
    st.none(), st.booleans(), st.integers(-3, 3), st.text(max_size=3),
    st.sampled_from(["string", "object", "#", "#/$defs/a", "#/properties/b"]),
)  # fmt: skip
KEYS = st.sampled_from(
    [
        "type", "properties", "required", "items", "anyOf", "oneOf", "allOf", "$ref", "$defs",
        "enum", "const", "minimum", "maxLength", "additionalProperties", "description", "default",
        "pattern", "not", "if", "title", "a", "b",
    ]
)  # fmt: skip
JUNK = st.recursive(
    LEAVES,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(KEYS, inner, max_size=5)),
    max_leaves=25,
)


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(KEYS, JUNK, max_size=6))
def test_nothing_that_a_server_sends_is_refused_or_breaks_it(schema: dict[str, Any]) -> None:
    kept = schemas.read(plain(schema))
    # What was written out stays as it is.
    assert json.loads(plain(kept)) == kept
    next(schemas.problems(kept, {"a": 1, "b": ["x"]}), None)
