"""The JSON of protobuf services: spellings, numbers, bytes, and what is refused."""

from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voiced.emulators import protojson
from voiced.emulators.gemini_told import ServerMessage, SessionResumptionUpdate, UsageMetadata
from voiced.emulators.gemini_wire import ClientMessage, Setup
from voiced.emulators.protojson import Malformed


def read(value) -> ClientMessage:
    return protojson.read(json.dumps(value), ClientMessage)


@settings(max_examples=40)
@given(st.binary(max_size=200), st.booleans(), st.booleans())
def test_bytes_in_any_base64(data, url_safe, padded):
    text = (base64.urlsafe_b64encode if url_safe else base64.b64encode)(data).decode()
    text = text if padded else text.rstrip("=")
    for name in ("realtimeInput", "realtime_input"):
        got = read({name: {"audio": {"data": text}}})
        assert got.realtime_input.audio.data == data


@pytest.mark.parametrize("value", [5, "5", 5.0, "5.0"])
def test_integers_in_any_form(value):
    for spelling in ("triggerTokens", "trigger_tokens"):
        got = read({"setup": {"contextWindowCompression": {spelling: value}}})
        assert got.setup.context_window_compression.trigger_tokens == 5


def test_null_is_not_set_and_a_lone_value_is_a_list():
    got = read({"setup": {"model": None, "generationConfig": {"responseModalities": "AUDIO"}}})
    assert got.setup.model is None
    assert len(got.setup.generation_config.response_modalities) == 1


def test_maps_and_values_keep_their_names():
    schema = {"type": "object", "properties": {"some_Name": {"type": "string"}}}
    function = {"name": "f", "parametersJsonSchema": schema}
    native = {"name": "g", "parameters": {"type": "OBJECT", "properties": {"a_b": {}}}}
    got = read({"setup": {"tools": [{"functionDeclarations": [function, native]}]}})
    first, second = got.setup.tools[0].function_declarations
    assert first.parameters_json_schema == schema
    assert list(second.parameters.properties) == ["a_b"]


@pytest.mark.parametrize(
    ("value", "path"),
    [
        ({"setup": {"modell": "x"}}, "setup.modell"),
        ({"setup": {"model": "x", "generation_config": {}, "generationConfig": {}}},
         "setup.generation_config"),
        ({"setup": {"generationConfig": {"topP": True}}}, "setup.generation_config.top_p"),
        ({"setup": {"generationConfig": {"maxOutputTokens": 1.5}}},
         "setup.generation_config.max_output_tokens"),
        ({"setup": {"generationConfig": {"maxOutputTokens": 2**63}}},
         "setup.generation_config.max_output_tokens"),
        ({"setup": {"labels": []}}, "setup.labels"),
        ({"clientContent": {"turnComplete": "true"}}, "client_content.turn_complete"),
        ({"clientContent": {"turns": [{"parts": [{"text": 1}]}]}},
         "client_content.turns[0].parts[0].text"),
        ({"realtimeInput": {"audio": {"data": "é"}}}, "realtime_input.audio.data"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_with_its_place(value, path):
    with pytest.raises(Malformed) as error:
        read(value)
    assert error.value.path == path
    if "Unknown" not in str(error.value):
        assert path in str(error.value)


@settings(max_examples=60)
@given(st.one_of(st.binary(), st.text(), st.recursive(st.none() | st.text(max_size=3),
       lambda inner: st.lists(inner) | st.dictionaries(
           st.sampled_from(["setup", "tools", "parts", "x"]), inner)).map(json.dumps)))  # fmt: skip
def test_whatever_comes_is_a_message_or_malformed(frame):
    try:
        message = protojson.read(frame, ClientMessage)
    except Malformed:
        return
    assert isinstance(message, ClientMessage)


@pytest.mark.parametrize("frame", ["[" * 100_000, '{"setup":' * 200 + "{}" + "}" * 200])
def test_deep_nesting_is_malformed(frame):
    with pytest.raises(Malformed):
        protojson.read(frame, ClientMessage)


def test_defaults_are_not_on_the_wire():
    update = ServerMessage(session_resumption_update=SessionResumptionUpdate())
    assert protojson.write(update) == b'{"sessionResumptionUpdate":{}}'
    used = ServerMessage(usage_metadata=UsageMetadata(prompt_token_count=1))
    assert protojson.write(used) == b'{"usageMetadata":{"promptTokenCount":1}}'


def test_every_written_message_is_read_back():
    setup = Setup(model="m", labels={"a_b": "c"})
    message = ClientMessage(setup=setup)
    assert protojson.read(protojson.write(message), ClientMessage) == message
