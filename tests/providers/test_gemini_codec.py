"""What they send: the vendor's types, a recorded conversation, and bytes that nobody would send."""

from __future__ import annotations

import base64
import json
import os
import random
from pathlib import Path

import pytest
from google.genai import types
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic.alias_generators import to_camel

from tests.providers import gemini_oracle as oracle
from voiced.providers import gemini_codec as codec

PATH = Path(__file__).parent.parent / "wire/gemini_conversation.jsonl"
RECORDED = [json.loads(line) for line in PATH.read_text().splitlines()]
FROM_SERVICE = [row["msg"] for row in RECORDED if row["dir"] == "s2c"]


def decode(message):
    return codec.decode(json.dumps(message).encode())


def audio(pcm):
    return {
        "inlineData": {"mimeType": "audio/pcm;rate=24000", "data": base64.b64encode(pcm).decode()}
    }


def test_several_things_in_one_frame_come_in_the_order_they_must_be_taken():
    frame = {
        "usageMetadata": {"promptTokenCount": 5},
        "serverContent": {
            "turnComplete": True,
            "interactionStatus": "IDLE",
            "generationComplete": True,
            "modelTurn": {
                "parts": [audio(b"\1\0"), {"text": "hm", "thought": True}, audio(b"\2\0")]
            },
            "outputTranscription": {"text": "It is"},
            "inputTranscription": {"text": "What time?", "finished": True},
            "interrupted": True,
        },
        "toolCall": {
            "functionCalls": [{"id": "1", "name": "f", "args": {"x": [1]}}, {"name": "g"}]
        },
    }
    oracle.server_message(frame)
    assert decode(frame) == [
        codec.Interrupted(),
        codec.UserWords(text="What time?", finished=True),
        codec.ReplyWords(text="It is"),
        codec.Audio(pcm=b"\1\0"),
        codec.Audio(pcm=b"\2\0"),
        codec.Call(id="1", name="f", arguments='{"x":[1]}'),
        codec.Call(id="", name="g", arguments="{}"),
        codec.Usage(prompt_token_count=5),
        codec.GenerationComplete(),
        codec.TurnComplete(),
    ]


@pytest.mark.parametrize(
    ("message", "events"),
    [
        ({"setupComplete": {}}, [codec.SetupComplete()]),
        ({"setupComplete": {"sessionId": "s1"}}, [codec.SetupComplete(session_id="s1")]),
        ({"serverContent": {"interimInputTranscription": {"text": "Wha"}}},
         [codec.UserWords(text="Wha", interim=True)]),
        ({"serverContent": {"inputTranscription": {}}}, [codec.UserWords(text="")]),
        ({"serverContent": {"turnComplete": True, "interactionStatus": "IN_PROGRESS"}},
         [codec.TurnComplete(in_progress=True)]),
        ({"serverContent": {"turnComplete": True, "interactionStatus": "REQUIRES_ACTION"}},
         [codec.TurnComplete()]),
        ({"serverContent": {"turnComplete": True, "turnCompleteReason": "RESPONSE_REJECTED"}},
         [codec.TurnComplete(reason="RESPONSE_REJECTED")]),
        ({"serverContent": {"turnComplete": True,
                            "turnCompleteReason": "TURN_COMPLETE_REASON_UNSPECIFIED"}},
         [codec.TurnComplete()]),
        ({"serverContent": {"turnComplete": False, "interrupted": False}}, []),
        ({"serverContent": {"waitingForInput": True}}, []),
        ({"serverContent": {"modelTurn": {"parts": [{"executableCode": {"code": "x"}}]}}}, []),
        ({"serverContent": {"groundingMetadata": {"webSearchQueries": ["a", "b"]}}},
         [codec.Searched(queries=("a", "b"))]),
        ({"toolCallCancellation": {"ids": ["1", "2"]}}, [codec.CallsCancelled(ids=("1", "2"))]),
        ({"sessionResumptionUpdate": {}}, [codec.ResumptionUpdate(handle="")]),
        ({"sessionResumptionUpdate": {"newHandle": "h"}}, [codec.ResumptionUpdate(handle="")]),
        ({"sessionResumptionUpdate": {"newHandle": "h", "resumable": True}},
         [codec.ResumptionUpdate(handle="h")]),
        ({"goAway": {"timeLeft": "50s"}}, [codec.GoAway(time_left_s=50.0)]),
        ({"goAway": {"timeLeft": "9.5s"}}, [codec.GoAway(time_left_s=9.5)]),
        ({"goAway": {}}, [codec.GoAway(time_left_s=0.0)]),
        ({"voiceActivity": {"type": "ACTIVITY_START", "audioOffset": "1.2s"}},
         [codec.Activity(active=True, offset_s=1.2)]),
        ({"voiceActivity": {"type": "ACTIVITY_END"}},
         [codec.Activity(active=False, offset_s=None)]),
        ({"voiceActivityDetectionSignal": {"vadSignalType": "VAD_SIGNAL_TYPE_SOS"}}, []),
        ({"usageMetadata": {"promptTokenCount": "12", "promptTokensDetails": None}},
         [codec.Usage(prompt_token_count=12)]),
        ({"serverContent": None, "toolCall": None}, []),
    ],
)  # fmt: skip
def test_every_message(message, events):
    assert decode(message) == events


@pytest.mark.parametrize(
    ("message", "bad", "kept"),
    [
        ({"goAway": {"timeLeft": "soon"}, "setupComplete": {}}, "goAway", 1),
        ({"goAway": {"timeLeft": "nans"}}, "goAway", 0),
        ({"usageMetadata": {"promptTokenCount": -1}, "setupComplete": {}}, "usageMetadata", 1),
        ({"usageMetadata": {"promptTokensDetails": [3]}}, "usageMetadata", 0),
        ({"serverContent": {"modelTurn": {"parts": [7, audio(b"\1\0")]}}}, "part", 1),
        ({"serverContent": {"modelTurn": {"parts": [
            {"inlineData": {"mimeType": "audio/pcm;rate=48000", "data": "AAA="}}]}}}, "part", 0),
        ({"serverContent": {"modelTurn": {"parts": [
            {"inlineData": {"mimeType": "audio/pcm", "data": "A*"}}]}}}, "part", 0),
        ({"serverContent": [], "setupComplete": {}}, "serverContent", 1),
        ({"toolCall": {"functionCalls": [{"args": {}}, {"name": "f"}]}}, "functionCall", 1),
        ({"toolCall": {"functionCalls": [{"name": "f", "args": []}]}}, "functionCall", 0),
        ({"serverContent": {"interrupted": "perhaps"}}, "interrupted", 0),
        ({"serverContent": {"inputTranscription": {"text": 5}}}, "inputTranscription", 0),
    ],
)  # fmt: skip
def test_what_cannot_be_read_leaves_the_rest(message, bad, kept):
    events = decode(message)
    assert codec.Malformed(key=bad) in events
    assert len(events) == 1 + kept


@pytest.mark.parametrize(
    "frame",
    [b"", b"null", b"[]", b"3", b"{", b"\xff\xfe", b'{"a":}', b"[" * 200_000, b'"' + b"x" * 50],
)
def test_what_is_no_frame_at_all(frame):
    assert codec.decode(frame) == [codec.Malformed(key="frame")]


def test_a_deep_frame_and_a_long_one():
    deep = b'{"toolCall":{"functionCalls":[{"name":"f","args":' + b'{"a":' * 50_000
    assert codec.decode(deep) == [codec.Malformed(key="frame")]
    closed = deep + b"1" + b"}" * 50_000 + b"}]}}"
    # How deep Python goes is another matter in each version.
    assert codec.decode(closed)[0] in [codec.Malformed(key=k) for k in ("frame", "functionCall")]
    (words,) = decode({"serverContent": {"outputTranscription": {"text": "x" * (4 << 20)}}})
    assert len(words.text) == codec.LONGEST_TEXT
    (sound,) = decode({"serverContent": {"modelTurn": {"parts": [audio(bytes(3 << 20))]}}})
    assert len(sound.pcm) == 3 << 20


def test_unknown_fields_are_named_and_nothing_else_of_them():
    events = decode({"songCue": {"words": "secret"}, "serverContent": {"mood": 3}})
    assert events == [codec.Unknown(key="mood"), codec.Unknown(key="songCue")]


def test_the_vendor_knows_no_field_that_is_unknown_here():
    """Each field of the vendor's server messages, alone in a frame, is one that is handled."""
    for model, wrap in (
        (types.LiveServerMessage, lambda key: {key: {}}),
        (types.LiveServerContent, lambda key: {"serverContent": {key: None}}),
    ):
        for name in model.model_fields:
            key = to_camel(name)
            events = decode(wrap(key))
            assert not [e for e in events if isinstance(e, codec.Unknown)], key


@given(st.binary(max_size=50))
def test_base64_of_either_alphabet(data):
    assert codec.from_base64(base64.b64encode(data).decode()) == data
    assert codec.from_base64(base64.urlsafe_b64encode(data).decode().rstrip("=")) == data


def test_the_recorded_conversation_is_understood_to_the_last_field():
    kinds = []
    for message in FROM_SERVICE:
        oracle.server_message(message)
        events = decode(message)
        assert not [e for e in events if isinstance(e, codec.Unknown | codec.Malformed)]
        kinds += [type(event).__name__ for event in events]
    counted = {kind: kinds.count(kind) for kind in sorted(set(kinds))}
    assert counted == {
        "Activity": 1, "Audio": 5, "Call": 2, "CallsCancelled": 1, "GenerationComplete": 2,
        "GoAway": 1, "Interrupted": 1, "ReplyWords": 5, "ResumptionUpdate": 4, "Searched": 1,
        "SetupComplete": 2, "TurnComplete": 4, "Usage": 4, "UserWords": 2,
    }  # fmt: skip


def test_the_recorded_client_is_one_for_the_oracle_too():
    """The oracle is no stricter than the vendor's own client, whose frames these are."""
    for row in RECORDED:
        if row["dir"] == "c2s":
            frame = json.dumps(oracle.camel(row["msg"])).encode()
            message = json.loads(frame)
            setup = message.get("setup", {})
            # What the client left in snake_case inside a schema is its user's own.
            setup.pop("tools", None)
            oracle.client_message(json.dumps(message).encode())


# --- fuzz ------------------------------------------------------------------------------------

EVENTS = (
    codec.SetupComplete, codec.Audio, codec.UserWords, codec.ReplyWords, codec.Interrupted,
    codec.GenerationComplete, codec.TurnComplete, codec.Searched, codec.Call, codec.CallsCancelled,
    codec.ResumptionUpdate, codec.GoAway, codec.Activity, codec.Usage, codec.Unknown,
    codec.Malformed,
)  # fmt: skip
ODD = [
    None,
    True,
    -1,
    1e400,
    2**70,
    "",
    "x" * 300,
    [],
    {},
    [[]],
    {"a": {}},
    "\ud800",
    "50s",
    "AA==",
]


def mutated(rng, value, depth=0):
    """Return a message with something in it that does not belong there."""
    if rng.random() < 0.08 or depth > 8:
        return rng.choice(ODD)
    if isinstance(value, dict):
        items = [(k, mutated(rng, v, depth + 1)) for k, v in value.items() if rng.random() > 0.03]
        rng.shuffle(items)
        if rng.random() < 0.05:
            items.append((rng.choice(["what", "modelTurn", "goAway", "usageMetadata"]), {}))
        return dict(items)
    if isinstance(value, list):
        return [
            mutated(rng, each, depth + 1) for each in value for _ in range(rng.choice([1, 1, 2]))
        ]
    return value


def fuzzed(rng):
    """Return one frame."""
    message = rng.choice(FROM_SERVICE)
    if rng.random() < 0.3:
        message = {**message, **rng.choice(FROM_SERVICE)}
    if rng.random() < 0.8:
        message = mutated(rng, message)
    frame = bytearray(json.dumps(message).encode())
    if rng.random() < 0.3 and frame:
        kind = rng.randrange(3)
        at = rng.randrange(len(frame))
        if kind == 0:
            del frame[at:]
        elif kind == 1:
            frame[at] = rng.randrange(256)
        else:
            frame[at:at] = frame[: rng.randrange(1, 40)]
    return bytes(frame)


def test_no_frame_is_too_strange():
    rng = random.Random(20261122)
    for _ in range(int(os.environ.get("VOICED_FUZZ", "3000"))):
        for event in codec.decode(fuzzed(rng)):
            assert isinstance(event, EVENTS)


@settings(max_examples=100)
@given(st.binary(max_size=200))
def test_no_bytes_are_too_strange(frame):
    for event in codec.decode(frame):
        assert isinstance(event, EVENTS)
