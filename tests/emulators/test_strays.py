"""Messages in any order, right ones and wrong ones: an emulator refuses, it never breaks."""

from __future__ import annotations

import asyncio
import contextlib
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from websockets.exceptions import ConnectionClosed

from tests.emulators import gemini_talk as g
from tests.emulators import hume_talk as h
from tests.emulators.talk import Client, tone
from voiced.emulators.gemini import Gemini
from voiced.emulators.hume import Hume
from voiced.emulators.hume_expression import PATH, HumeExpression
from voiced.emulators.script import Call, Connection, Heard, Reply, Script
from voiced.errors import ConfigError

ANSWER = {"id": "function-call-1001", "name": "get_weather", "response": {"output": "x"}}
GEMINI = [
    g.START, g.END, g.audio(tone(3200)), g.typed("hello"), g.typed("more", complete=False),
    {"realtimeInput": {"text": "hi"}}, {"toolResponse": {"functionResponses": [ANSWER]}},
    {"realtimeInput": {"video": {"data": "/9j/4AAA", "mimeType": "image/jpeg"}}},
    {"contextUpdate": {"tools": {"tools": []}}}, {"clientContent": {"turnComplete": True}},
]  # fmt: skip
HUME = [
    h.audio(tone(3200)), h.typed("hello"), {"type": "assistant_input", "text": "Bye."},
    {"type": "pause_assistant_message"}, {"type": "resume_assistant_message"}, h.settings(),
    {"type": "tool_response", "tool_call_id": "call_01", "content": "x"},
    {"type": "tool_error", "tool_call_id": "call_01", "error": "x"}, {"type": "user_input"},
]  # fmt: skip
EXPRESSION = [
    tone(3200), b"\0", {"type": "session.update", "measurement_timer_ms": 3000}, {"type": "x"},
]  # fmt: skip
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["type", "setup", "realtimeInput", "audio"]), inner)
    ),
)
CALLS = [Call(name="get_weather")]
SCRIPT = Script(
    connection=[
        Connection(
            speech=[(0, 50), (100, 250)],
            heard=[Heard(text="Yes.")],
            reply=[Reply(says="One.", calls=CALLS), Reply(says="Two."), Reply(calls=CALLS)],
        )
    ]
)


def strays(vocabulary):
    wild = st.binary(max_size=20) | st.text(max_size=20) | JSON.map(json.dumps)
    right = st.sampled_from(vocabulary)
    return st.lists(right, max_size=12) | st.lists(right | wild, max_size=12)


async def survive(emulator, path: str, headers: dict[str, str], messages, last) -> None:
    """Send what comes; the end is the service's own: never the 1011 of a broken program."""
    async with emulator, Client(emulator.url + path, headers, None) as client:
        with contextlib.suppress(ConnectionClosed):
            await client.send(*messages, last)
        code, reason = await client.closed()
    assert (code, reason) != (1011, ""), "the emulator broke"
    assert code != 1006


@settings(max_examples=25)
@given(strays(GEMINI), st.sampled_from([g.LIVE, g.FLASH, g.NATIVE, g.THINKING]), st.booleans())
def test_gemini(messages, model, manual):
    first = g.setup(model, tools=[g.WEATHER])
    if not manual:
        del first["setup"]["realtimeInputConfig"]
    emulator = Gemini(SCRIPT, speed=200.0)
    # Setting up twice is refused: so every conversation ends.
    asyncio.run(survive(emulator, g.path(), {"x-goog-api-key": "k"}, [first, *messages], first))


@settings(max_examples=25)
@given(strays(HUME))
def test_hume(messages):
    script = Script(connection=[Connection(**{**vars_of(SCRIPT.connection[0]), "longest_s": 15.0})])
    emulator = Hume(script, speed=200.0)
    path = (
        f"{h.PATH}?session_settings[audio][sample_rate]=16000&session_settings[audio][channels]=1"
    )
    asyncio.run(survive(emulator, path, h.KEY, messages, h.typed("end")))


def vars_of(connection: Connection) -> dict[str, object]:
    return {name: getattr(connection, name) for name in ("speech", "heard", "reply")}


@settings(max_examples=25)
@given(strays(EXPRESSION))
def test_hume_expression(messages):
    emulator = HumeExpression(Script(connection=[Connection(speech=[(0, 150)])]), speed=50.0)
    asyncio.run(survive(emulator, PATH, h.KEY, messages, {"type": "session.close"}))


@pytest.mark.parametrize("emulator", [Gemini, Hume, HumeExpression])
def test_a_script_with_an_option_nobody_knows_is_no_script(emulator):
    script = Script(connection=[Connection(options={"thougths": 1})])
    with pytest.raises(ConfigError, match="thougths"):
        emulator(script)
