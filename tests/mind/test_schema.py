"""Schemas of tools: what is known is checked, what is not known is refused, nothing raises."""

from __future__ import annotations

import json
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given

from voiced.mind.schema import (
    LONGEST_ARGUMENTS,
    LONGEST_SCHEMA,
    SchemaError,
    arguments,
    in_order,
    problems,
    read,
)


def fits(schema: Any, value: Any) -> str:
    return next(problems(schema, value), "")


# --- what a schema may be


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("", "no JSON"),
        ("{", "no JSON"),
        ("[1]", "is an object"),
        ('{"type": "string"}', '"type": "object"'),
        ('{"type": "object", "pattern": "(a+)+$"}', "$.pattern"),
        ('{"properties": {"a": {"$ref": "#/x"}}}', "$.properties.a.$ref"),
        ('{"properties": {"a": {"type": "text"}}}', "$.properties.a.type"),
        ('{"properties": {"a": 3}}', "$.properties.a must be a schema"),
        ('{"properties": [1]}', "$.properties"),
        ('{"properties": {"a": {"enum": []}}}', "$.properties.a.enum"),
        ('{"properties": {"a": {"minLength": -1}}}', "minLength"),
        ('{"properties": {"a": {"minimum": "0"}}}', "minimum"),
        ('{"required": "a"}', "$.required"),
        ('{"anyOf": {}}', "$.anyOf"),
        ('{"items": "x"}', "$.items must be a schema"),
        ("[" * 2000, "no JSON"),
        ('{"items":' * 20 + "{}" + "}" * 20, "deep at most"),
        (json.dumps({"description": "x" * LONGEST_SCHEMA}), "longer than"),
    ],
)
def test_a_schema_that_cannot_be_used_says_why(text: str, part: str) -> None:
    with pytest.raises(SchemaError) as raised:
        read(text)
    assert part in str(raised.value)


def test_words_for_the_model_alone_are_taken() -> None:
    text = (
        '{"title": "t", "$schema": "x", "properties": {"a": {"description": "d", "format": "x"}}}'
    )
    assert read(text)["title"] == "t"


# --- what fits


@pytest.mark.parametrize(
    ("schema", "value", "problem"),
    [
        ({"type": "string"}, "a", ""),
        ({"type": "string"}, 1, "$ must be string"),
        ({"type": "integer"}, 1.0, ""),
        ({"type": "integer"}, 1.5, "$ must be integer"),
        ({"type": "integer"}, True, "$ must be integer"),
        ({"type": "number"}, True, "$ must be number"),
        ({"type": "number"}, 1, ""),
        ({"type": "boolean"}, 1, "$ must be boolean"),
        ({"type": "boolean"}, False, ""),
        ({"type": ["string", "null"]}, None, ""),
        ({"type": ["string", "null"]}, 1, "$ must be string or null"),
        ({"type": "array"}, {}, "$ must be array"),
        ({"enum": ["red", 1]}, "red", ""),
        ({"enum": ["red", 1]}, True, '$ must be one of ["red",1]'),
        ({"enum": [1]}, 1.0, ""),
        ({"const": "x"}, "y", '$ must be "x"'),
        ({"minimum": 0, "maximum": 1}, 0.5, ""),
        ({"minimum": 0, "maximum": 1}, -0.1, "$ must be at least 0"),
        ({"minimum": 0, "maximum": 1}, 1.1, "$ must be at most 1"),
        ({"exclusiveMinimum": 0}, 0, "$ must be above 0"),
        ({"exclusiveMaximum": 1}, 1, "$ must be below 1"),
        ({"minLength": 2}, "a", "$ must have at least 2 characters"),
        ({"maxLength": 2}, "abc", "$ must have at most 2 characters"),
        ({"minItems": 1}, [], "$ must have at least 1 items"),
        ({"maxItems": 1}, [1, 2], "$ must have at most 1 items"),
        ({"items": {"type": "string"}}, ["a", 1], "$[1] must be string"),
        ({"properties": {"a": {"type": "string"}}}, {"a": 1}, "$.a must be string"),
        ({"required": ["a"]}, {}, "$.a is missing"),
        ({"properties": {"a": True}, "additionalProperties": False}, {"b": 1},
         "$.b is not known; there are a"),
        ({"properties": {}}, {"b": 1}, ""),
        ({"additionalProperties": {"type": "string"}}, {"b": 1}, "$.b must be string"),
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, 3, "$ fits none of its forms"),
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, None, ""),
        (False, 1, "$ must not be given"),
        (True, 1, ""),
        # A rule for another type says nothing.
        ({"minimum": 5}, "a", ""),
        ({"minLength": 5}, 1, ""),
    ],
)  # fmt: skip
def test_what_fits_and_what_does_not(schema: Any, value: Any, problem: str) -> None:
    assert fits(schema, value) == problem


@pytest.mark.parametrize("text", ["{", "[]", "1", '"a"', "null", "[" * 3000, '{"a": NaN}'])
def test_arguments_that_are_none_say_so(text: str) -> None:
    _given, problem = arguments({}, text)
    assert problem


def test_no_text_is_no_arguments() -> None:
    assert arguments({"required": ["a"]}, "  ") == ({}, "$.a is missing")
    assert arguments({}, "") == ({}, "")


def test_long_arguments_are_not_read() -> None:
    assert "longer" in arguments({}, '{"a": "' + "x" * LONGEST_ARGUMENTS + '"}')[1]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-10, 10) | st.floats(-1e3, 1e3) | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=8,
)  # fmt: skip
KEYWORDS = st.sampled_from(
    ["type", "properties", "required", "items", "enum", "const", "anyOf", "minimum", "maxLength",
     "additionalProperties", "maxItems", "exclusiveMinimum", "title"]
)  # fmt: skip


@given(st.dictionaries(KEYWORDS, JSON | st.sampled_from(["object", "string"]), max_size=4), JSON)
def test_whatever_is_read_can_be_checked_against(schema: dict[str, Any], value: Any) -> None:
    try:
        known = read(json.dumps(schema))
    except SchemaError:
        return
    assert all(isinstance(one, str) and one for one in problems(known, value))


@given(st.text(max_size=40), st.text(max_size=40))
def test_no_text_from_outside_raises_anything_else(schema: str, given_text: str) -> None:
    try:
        known = read(schema)
    except SchemaError:
        known = {}
    arguments(known, given_text)


@given(JSON)
def test_equal_values_fit_their_own_enum_and_const(value: Any) -> None:
    value = json.loads(json.dumps(value))
    assert fits({"enum": [value]}, value) == ""
    assert fits({"const": value}, value) == ""


# --- by position


def test_arguments_by_position_are_typed_by_the_schema() -> None:
    schema = {
        "properties": {
            "color": {"type": "string"}, "level": {"type": "number"}, "n": {"type": "integer"},
            "on": {"type": "boolean"}, "list": {"type": "array"}, "big": {"type": "integer"},
            "unsaid": {"type": "string"}, "five": {"type": "number", "default": 5},
            "none": {"type": "number"}, "free": True, "whole": {"type": "number"},
        }
    }  # fmt: skip
    values = {
        "on": True, "color": "red", "level": 1, "n": 2.0, "list": [1, "a"], "big": 2**40,
        "free": 0.5, "whole": 3,
    }  # fmt: skip
    found = in_order(schema, values)
    assert found == ("red", 1.0, 2, 1, '[1,"a"]', str(2**40), "", 5.0, 0.0, 0.5, 3.0)
    assert [type(each) for each in found[:4]] == [str, float, int, int]
    assert type(found[-1]) is float
    # A light that was given no level must not be told 0.
    assert in_order(schema, {"color": "red"}) == ("red", 0.0, 0, 0, "", 0, "", 5.0)
    assert in_order({"properties": {"a": {}, "b": {"type": "number"}}}, {"a": "x"}) == ("x",)
