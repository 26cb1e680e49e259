"""Messages to OpenAI and xAI in any order, right ones and wrong ones: they refuse, never break."""

from __future__ import annotations

import base64
import copy
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.emulators.client import Client, run, silence
from voiced.emulators.openai import OpenAI
from voiced.emulators.script import Call, Connection, Fault, Heard, Reply, Script
from voiced.emulators.server import Emulator
from voiced.emulators.xai import XAI

AUDIO = base64.b64encode(silence(60)).decode()
WORDS = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "hi"}]}
COMMON: list[dict[str, Any]] = [
    {"type": "input_audio_buffer.append", "audio": AUDIO},
    {"type": "input_audio_buffer.commit"},
    {"type": "input_audio_buffer.clear"},
    {"type": "conversation.item.create", "item": WORDS},
    {"type": "conversation.item.create", "item": {**WORDS, "id": "a"}, "previous_item_id": "root"},
    {"type": "conversation.item.create", "item": {"type": "function_call_output",
                                                  "call_id": "call_000002", "output": "{}"}},
    {"type": "conversation.item.delete", "item_id": "a"},
    {"type": "conversation.item.delete", "item_id": "item_000001"},
    {"type": "conversation.item.truncate", "item_id": "item_000001", "content_index": 0,
     "audio_end_ms": 50},
    {"type": "response.create"},
    {"type": "response.create", "response": {"instructions": "Sing."}},
    {"type": "response.cancel"},
]  # fmt: skip
RIGHT = {
    OpenAI: [
        *COMMON,
        {"type": "conversation.item.retrieve", "item_id": "a"},
        {"type": "response.create", "response": {"conversation": "none"}},
        {"type": "response.create", "response": {"output_modalities": ["text"]}},
        *(
            {"type": "session.update",
             "session": {"type": "realtime", "audio": {"input": {"turn_detection": detection}}}}
            for detection in (None, {"type": "semantic_vad"}, {"type": "server_vad"})
        ),
        {"type": "session.update",
         "session": {"type": "realtime", "audio": {"input": {"format": {"type": "audio/pcmu"}}}}},
    ],
    XAI: [
        *COMMON,
        {"type": "conversation.item.create",
         "item": {"type": "force_message", "content": [{"type": "output_text", "text": "Now."}]}},
        *(
            {"type": "session.update", "session": {"turn_detection": detection}}
            for detection in (None, {"type": "server_vad"})
        ),
        {"type": "session.update", "session": {"resumption": {"enabled": True}}},
        {"type": "session.update", "session": {"audio": {"output": {"transport": "binary"}}}},
    ],
}  # fmt: skip
WILD = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["type", "session", "item", "audio", "id"]), inner)
    ),
    max_leaves=8,
)
SCRIPT = Script(
    connection=[
        Connection(
            speech=[(50, 100), (150, 200), (300, 400)],
            heard=[Heard(text="Yes."), Heard(failed=True)],
            reply=[
                Reply(says="One two.", calls=[Call(name="f")]),
                Reply(fails="server_error"),
                Reply(says="Three", gap_s=0.01),
            ],
            fault=[Fault(what="lost_done", reply=2)],
        )
    ]
)


def broken(event: dict[str, Any], path: list[int], value: Any) -> dict[str, Any]:
    """Return an event with one of its values replaced, chosen by `path`."""
    changed = copy.deepcopy(event)
    inside: Any = changed
    for step in path:
        keys = list(inside) if isinstance(inside, dict) else list(range(len(inside)))
        if not keys:
            break
        key = keys[step % len(keys)]
        if not isinstance(inside[key], dict | list):
            inside[key] = value
            break
        inside = inside[key]
    return changed


def frames(kind: type[Emulator]) -> st.SearchStrategy[list[str | bytes]]:
    right = st.sampled_from(RIGHT[kind])
    wrong = st.builds(broken, right, st.lists(st.integers(0, 9), min_size=4, max_size=4), WILD)
    return st.lists(
        (right | right | wrong | WILD).map(json.dumps)
        | st.text(max_size=9)
        | st.binary(max_size=9),
        max_size=25,
    )


@pytest.mark.parametrize(
    ("kind", "path"),
    [
        (OpenAI, "/v1/realtime?model=gpt-realtime-2.1"),
        (XAI, "/v1/realtime?model=grok-voice-3.0"),
    ],
)
@settings(max_examples=60)
@given(data=st.data())
def test_it_never_breaks(kind: type[Emulator], path: str, data: st.DataObject) -> None:
    sent = data.draw(frames(kind))

    async def talk() -> None:
        async with kind(SCRIPT, speed=50) as service:
            client = await Client.open(service.url, path)
            for frame in sent:
                await client.ws.send(frame)
            # What came before was answered, and this is too.
            await client.send("conversation.item.delete", item_id="the end", event_id="the end")
            while (await client.until("error"))["error"]["event_id"] != "the end":
                pass

    run(talk)
