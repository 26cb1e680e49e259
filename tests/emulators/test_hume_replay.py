"""The recorded chat with EVI: its client is taken, what its service said could be sent.

The recorded client is Hume's own; what its frames of audio were too few for, the script hears.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any

import msgspec
import pytest

from tests.emulators import hume_talk as h
from tests.emulators.client import recorded
from tests.emulators.talk import Client
from voiced.emulators.hume import Hume
from voiced.emulators.hume_wire import ServerMessage
from voiced.emulators.script import Call, Connection, Heard, Reply, Script

ROWS = recorded("hume_conversation.jsonl")
UNKNOWN = "brand_new_event"
"""Sent by the recorded service on purpose: it has no such message."""
SERVED = [row["msg"] for row in ROWS if row["dir"] == "s2c" and row["msg"]["type"] != UNKNOWN]
SCRIPT = Script(
    connection=[
        Connection(
            speech=[(0, 20)],
            heard=[Heard(text="What time is it in Oslo?", revisions=["What time"])],
            reply=[
                Reply(says="", calls=[Call(name="get_time", arguments={"city": "Oslo"})]),
                Reply(says="It is ten past nine in Oslo."),
                Reply(says="Once upon a time."),
                Reply(says="", calls=[Call(name="broken")]),
                Reply(),
            ],
        ),
        Connection(),
    ]
)


async def conversation() -> tuple[list[list[dict[str, Any]]], Hume]:
    heard = []
    async with Hume(SCRIPT, speed=4.0) as hume:
        group = ""
        for conn in (1, 2):
            (opening,) = [r for r in ROWS if r["dir"] == "open" and r["conn"] == conn]
            path = opening["path"].replace(SERVED[0]["chat_group_id"], group)
            async with Client(hume.url + path, {}, None) as client:
                await asyncio.wait_for(replay(client, conn), 20)
            group = client.seen[0]["chat_group_id"]
            heard.append(client.seen)
    return heard, hume


async def replay(client: Client, conn: int) -> None:
    """Send a connection's frames, each once what the client had waited for has come."""
    await client.until(h.of("chat_metadata"))
    for message in [r["msg"] for r in ROWS if r["dir"] == "c2s" and r["conn"] == conn]:
        kind = message["type"]
        if kind == "tool_error":
            # The recorded service called this one out of the blue; here it is asked for.
            await client.send(h.typed("go on"))
        if kind in ("tool_response", "tool_error"):
            call = (await client.until(h.of("tool_call")))[-1]
            message["tool_call_id"] = call["tool_call_id"]
        await client.send(message)
        if kind in ("tool_response", "tool_error", "assistant_input") or conn == 2:
            await client.until(h.of("assistant_end"))
        if kind == "user_input" and conn == 1:
            await client.until(h.of("audio_output"))


@pytest.fixture(scope="module")
def played():
    return asyncio.run(conversation())


def test_the_recorded_client_does_nothing_wrong(played):
    _, hume = played
    assert list(hume.violations) == []
    assert [record.received.get("user_input") for record in hume.records] == [2, 1]


def test_what_it_hears_has_the_recorded_shape_in_the_recorded_order(played):
    heard, _ = played
    for conn in (1, 2):
        was = [r["msg"] for r in ROWS if r["dir"] == "s2c" and r["conn"] == conn]
        wanted = [m["type"] for m in was if m["type"] not in (UNKNOWN, "error")]
        sent = [message["type"] for message in heard[conn - 1]]
        # How many pieces the sound has is nobody's promise.
        got = iter(once(sent))
        for at, kind in enumerate(once(wanted)):
            assert kind in got, f"connection {conn}: {kind} is missing behind {wanted[:at]}"


def once(kinds: list[str]) -> list[str]:
    return [kind for at, kind in enumerate(kinds) if not at or kind != kinds[at - 1]]


@pytest.mark.parametrize("number", range(len(SERVED)))
def test_every_recorded_message_of_the_service_is_one_the_emulator_has(number):
    frame = SERVED[number]
    if frame.get("models") == {}:
        frame = {**frame, "models": {"prosody": None}}  # the same thing in two spellings
    message = msgspec.convert(frame, ServerMessage)
    assert json.loads(msgspec.json.encode(message)) == frame
