"""The recorded conversation with Gemini: its client is taken, what its service said could be sent.

The recorded client is Google's own, its frames as they were: mixed spellings, url-safe base64.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from tests.emulators import gemini_talk as g
from tests.emulators.client import recorded
from tests.emulators.talk import Client
from voiced.emulators import protojson
from voiced.emulators.gemini import Gemini
from voiced.emulators.gemini_told import ServerMessage
from voiced.emulators.script import Call, Connection, Heard, Reply, Script

ROWS = recorded("gemini_conversation.jsonl")
SERVED = [row["msg"] for row in ROWS if row["dir"] == "s2c"]
STORY = Reply(says="Once upon a time there was a sea.", calls=[Call(name="set_light")])
SCRIPT = Script(
    connection=[
        Connection(
            options={"interim": True},
            heard=[
                Heard(text="What time is it in Oslo?", revisions=["What time"]),
                Heard(text="Search the forecast."),
            ],
            reply=[Reply(says="", calls=[Call(name="get_time", arguments={"city": "Oslo"})]),
                   Reply(says="It is ten past nine in Oslo."), STORY, Reply()],
        ),
        Connection(),
    ]
)  # fmt: skip


async def conversation() -> tuple[list[list[dict[str, Any]]], Gemini]:
    """Send what the recorded client sent; return what came back, by connection."""
    heard: list[list[dict[str, Any]]] = []
    async with Gemini(SCRIPT, speed=3.0) as gemini:
        handle = ""
        for conn in (1, 2):
            async with g.client(gemini, "v1") as client:
                await asyncio.wait_for(replay(client, conn, handle), 20)
                heard.append(client.seen)
            handles = [m["sessionResumptionUpdate"] for m in client.seen if g.handle(m)]
            handle = handles[-1]["newHandle"]
    return heard, gemini


async def replay(client: Client, conn: int, handle: str) -> None:
    """Send a connection's frames, each once what the client had waited for has come."""
    sent = [row["msg"] for row in ROWS if row["dir"] == "c2s" and row["conn"] == conn]
    for message in sent:
        text = json.dumps(message)
        if '"handle"' in text:
            message["setup"]["sessionResumption"]["handle"] = handle
        if "tool_response" in message:
            message["tool_response"]["functionResponses"][0]["id"] = called(client)
        if client.seen and "activityStart" in text and "toolCall" not in str(client.seen):
            await client.until(g.handle)
        await client.send(message)
        if "activityEnd" in text and conn == 1 and "interrupted" not in str(client.seen):
            await client.until(lambda m: m.get("sessionResumptionUpdate") == {})
        elif "tool_response" in message or "client_content" in message:
            await client.until(g.complete)
        elif "Tell me a story" in text:
            await client.until(lambda m: "toolCall" in m)
        elif client.seen and "activityStart" in text:
            await client.until(g.complete)
    await client.until(g.complete if conn == 2 else g.handle)


def called(client: Client) -> str:
    (call,) = [m["toolCall"] for m in client.seen if "toolCall" in m]
    return str(call["functionCalls"][0]["id"])


@pytest.fixture(scope="module")
def played():
    return asyncio.run(conversation())


def test_the_recorded_client_does_nothing_wrong(played):
    _, gemini = played
    assert list(gemini.violations) == []
    assert len(gemini.records) == 2
    assert gemini.records[0].received["realtime_input"] == 9


def test_what_it_hears_has_the_recorded_shape_in_the_recorded_order(played):
    heard, _ = played
    for conn in (1, 2):
        was = [row["msg"] for row in ROWS if row["dir"] == "s2c" and row["conn"] == conn]
        # Of these the emulator sends one only where the model does, and the other at its own time.
        loose = {"voiceActivity", "goAway"}
        wanted = [kind for kind in g.shapes(was) if kind not in loose]
        got = iter(g.shapes(heard[conn - 1]))
        for at, kind in enumerate(wanted):
            assert kind in got, f"connection {conn}: {kind} is missing behind {wanted[:at]}"


@pytest.mark.parametrize("number", range(len(SERVED)))
def test_every_recorded_message_of_the_service_is_one_the_emulator_has(number):
    frame = SERVED[number]
    message = protojson.read(json.dumps(frame), ServerMessage)
    assert json.loads(protojson.write(message)) == without_defaults(frame)


def without_defaults(value: Any) -> Any:
    """Return a message without what proto3 leaves out: 0, false, ""."""
    if isinstance(value, list):
        return [without_defaults(each) for each in value]
    if not isinstance(value, dict):
        return value
    kept = {name: without_defaults(inner) for name, inner in value.items()}
    return {name: inner for name, inner in kept.items() if inner not in (0, False, "")}
