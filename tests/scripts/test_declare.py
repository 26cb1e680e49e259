"""From a function's signature and docstring to the schema that the model is told."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voiced.mind import schema as schemas
from voiced.mind.inputs import Origin, Tool
from voiced.mind.toolbox import problem_of
from voiced.scripts.declare import DeclarationError, offer, result_text


def lights(
    color: Literal["red", "green"],
    level: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.5,
    lamps: list[int] | None = None,
    quick: bool = False,
    words="none",
) -> str:
    """Turn the lights to a colour.

    All of them at once.

    Args:
        color: which one
        level (float): from dark
            to bright

    Returns:
        nothing: of interest
    """
    return json.dumps([color, level, lamps, quick, words])


def declared(function: Any, **more: Any) -> dict[str, Any]:
    schema = json.loads(offer(function, **more).declared.schema)
    schemas.read(json.dumps(schema))
    return dict(schema)


def test_a_function_is_declared_by_its_signature_and_docstring() -> None:
    one = offer(lights)
    assert one.declared.name == "lights"
    assert one.declared.description == "Turn the lights to a colour.\n\nAll of them at once."
    schema = declared(lights)
    assert schema["required"] == ["color"]
    assert schema["additionalProperties"] is False
    about = schema["properties"]
    assert list(about) == ["color", "level", "lamps", "quick", "words"]
    assert about["color"] == {
        "type": "string", "enum": ["red", "green"], "description": "which one",
    }  # fmt: skip
    assert about["level"] == {
        "type": "number", "minimum": 0, "maximum": 1, "default": 0.5,
        "description": "from dark to bright",
    }  # fmt: skip
    assert about["quick"] == {"type": "boolean", "default": False}
    assert about["words"] == {"type": "string", "default": "none"}


def test_the_mind_takes_what_is_declared() -> None:
    told = offer(lights, confirm=True, timeout=3).declared
    tool = Tool(
        name=told.name, description=told.description, schema=told.schema,
        executor=Origin(kind="script", id="a"), mode=told.mode, confirm=told.confirm,
        silence_s=told.timeout_s,
    )  # fmt: skip
    assert problem_of(tool) == ""
    assert tool.confirm
    assert tool.silence_s == 3.0


def test_it_is_called_with_what_its_annotations_say() -> None:
    one = offer(lights)
    assert json.loads(one.call('{"color": "red", "level": 1, "lamps": [1, 2]}')) == [
        "red", 1.0, [1, 2], False, "none",
    ]  # fmt: skip


async def later(what: str) -> str:
    """Say it later."""
    return what


def test_a_coroutine_function_is_run_to_its_end() -> None:
    assert offer(later).call('{"what": "now"}') == "now"


class Lamp:
    pass


def with_rest(*colors: str) -> None: ...
def with_names(**colors: str) -> None: ...
def by_place(color: str, /) -> None: ...
def by_class(lamp: Lamp) -> None: ...
def by_struct(lamp: schemas_struct) -> None: ...  # noqa: F821
def by_bytes(lamp: complex) -> None: ...


@pytest.mark.parametrize(
    ("function", "sentence"),
    [
        (with_rest, "a tool's arguments have names"),
        (with_names, "a tool's arguments have names"),
        (by_place, "color must not be positional-only"),
        (by_class, "lamp has a type that JSON cannot carry"),
        (by_struct, "its annotations cannot be read"),
        (by_bytes, "lamp has a type that JSON cannot carry"),
    ],
)
def test_what_cannot_be_declared_says_why(function: Any, sentence: str) -> None:
    with pytest.raises(DeclarationError, match=sentence):
        offer(function)


class Point(msgspec.Struct):
    x: int


def by_point(point: Point) -> None:
    """Go."""


def test_records_are_refused_since_the_schema_would_refer_elsewhere() -> None:
    with pytest.raises(DeclarationError, match="must be made of str, int"):
        offer(by_point)


def test_results_are_text() -> None:
    assert result_text(None) == "done"
    assert result_text("as it is") == "as it is"
    assert result_text({"a": [1, 2.5, None]}) == '{"a":[1,2.5,null]}'
    assert result_text(Lamp()).startswith("<tests.scripts")
    assert len(result_text("x" * 10**6)) == 64_000
    assert result_text("caf\udce9") == r"caf\udce9"


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(),
                    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))  # fmt: skip
def test_any_returned_value_becomes_text(value: Any) -> None:
    assert isinstance(result_text(value), str)
