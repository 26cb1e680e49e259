"""Everything that OpenAI Realtime refuses, each once: its code, its param, and the violation."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from tests.emulators.client import KEY, Client, run, silence
from voiced.emulators.openai import OpenAI
from voiced.emulators.script import Call, Connection, Reply, Script

PATH = "/v1/realtime?model="
ODD = "AAAA"  # three bytes
MS50, MS200 = ("A" * (ms * 64) for ms in (50, 200))


def session(**fields: Any) -> dict[str, Any]:
    return {"type": "session.update", "session": {"type": "realtime", **fields}}


def spoken(**fields: Any) -> dict[str, Any]:
    return session(audio={"input": fields})


def item(**fields: Any) -> dict[str, Any]:
    return {"type": "conversation.item.create", "item": fields}


def message(role: str, *content: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return item(type="message", role=role, content=list(content), **fields)


WORDS = {"type": "input_text", "text": "hello"}
TOOL = {"type": "function", "name": "f", "parameters": {"type": "object"}}


class Case(NamedTuple):
    sent: Any
    code: str
    param: str | None
    says: str = ""
    before: tuple[dict[str, Any], ...] = ()
    """What the client sent before, properly."""
    model: str = "gpt-realtime-2.1"
    violation: bool = True


NO_TURNS = spoken(turn_detection=None)
REASONS = {"reasoning": {"effort": "low"}}
OLD = "gpt-realtime-1.5"
LONG = "x" * 33

CASES = {
    "no json": Case("{", "invalid_json", None),
    "no object": Case("[]", "invalid_json", None),
    "no type": Case({"x": 1}, "missing_required_parameter", "type"),
    "unknown type": Case({"type": "session.start"}, "invalid_value", "type"),
    "session without type": Case(
        {"type": "session.update", "session": {}}, "missing_required_parameter", "session.type"
    ),
    "beta's voice": Case(
        session(voice="marin"), "unknown_parameter", "session.voice",
        "Unknown parameter: 'session.voice'.",
    ),
    "beta's temperature": Case(
        session(temperature=0.8), "unknown_parameter", "session.temperature"
    ),
    "nested tool": Case(
        session(tools=[{"type": "function", "function": {"name": "f"}}]),
        "unknown_parameter", "session.tools[0].function",
    ),
    "wrong type": Case(
        session(audio={"output": {"speed": "fast"}}),
        "invalid_type", "session.audio.output.speed", "expected a number, but got a string",
    ),
    "too fast": Case(
        session(audio={"output": {"speed": 1.6}}), "invalid_value", "session.audio.output.speed"
    ),
    "wrong rate": Case(
        spoken(format={"type": "audio/pcm", "rate": 16000}),
        "invalid_value", "session.audio.input.format.rate",
    ),
    "unknown detection": Case(
        spoken(turn_detection={"type": "client_vad"}),
        "invalid_value", "session.audio.input.turn_detection.type",
    ),
    "eagerness of silence": Case(
        spoken(turn_detection={"type": "server_vad", "eagerness": "low"}),
        "unknown_parameter", "session.audio.input.turn_detection.eagerness",
    ),
    "both modalities": Case(
        session(output_modalities=["text", "audio"]), "invalid_value", "session.output_modalities"
    ),
    "too many tokens": Case(
        session(max_output_tokens=4097), "invalid_value", "session.max_output_tokens"
    ),
    "another model": Case(session(model=OLD), "invalid_value", "session.model"),
    "unknown voice": Case(
        session(audio={"output": {"voice": "darth"}}),
        "invalid_value", "session.audio.output.voice", "'marin'",
    ),
    "reasoning of a model without": Case(
        session(**REASONS), "unsupported_parameter", "session.reasoning", OLD, model=OLD
    ),
    "reasoning of a response": Case(
        {"type": "response.create", "response": REASONS},
        "unsupported_parameter", "response.reasoning", model=OLD,
    ),
    "unknown recogniser": Case(
        spoken(transcription={"model": "ear-1"}),
        "invalid_value", "session.audio.input.transcription.model",
    ),
    "keywords for the old recogniser": Case(
        spoken(transcription={"model": "whisper-1", "keywords": ["x"]}),
        "unsupported_parameter", "session.audio.input.transcription.keywords",
    ),
    "schema that is none": Case(
        session(tools=[{**TOOL, "parameters": {"type": "string"}}]),
        "invalid_function_parameters", "session.tools[0].parameters",
    ),
    "two tools of one name": Case(
        session(tools=[TOOL, TOOL]), "invalid_value", "session.tools[1].name"
    ),
    "name of a tool": Case(
        session(tools=[{**TOOL, "name": "set light"}]), "invalid_value", "session.tools[0].name"
    ),
    "choice without the tool": Case(
        session(tools=[TOOL], tool_choice={"type": "function", "name": "g"}),
        "invalid_value", "session.tool_choice",
    ),
    "no base64": Case(
        {"type": "input_audio_buffer.append", "audio": "%%%%"}, "invalid_value", "audio"
    ),
    "odd length": Case(
        {"type": "input_audio_buffer.append", "audio": ODD}, "invalid_value", "audio",
        "mono PCM16 at 24kHz",
    ),
    "a tap": Case(
        {"type": "input_audio_buffer.commit"}, "input_audio_buffer_commit_empty", None,
        "Expected at least 100ms of audio, but buffer only has 50.00ms of audio.",
        (NO_TURNS, {"type": "input_audio_buffer.append", "audio": MS50}),
    ),
    "nothing to commit": Case(
        {"type": "input_audio_buffer.commit"}, "input_audio_buffer_commit_empty", None,
        "0.00ms", (NO_TURNS,), violation=False,
    ),
    "message without role": Case(
        item(type="message", content=[WORDS]), "missing_required_parameter", "item.role"
    ),
    "message without content": Case(message("user"), "empty_array", "item.content"),
    "assistant with input_text": Case(
        message("assistant", WORDS), "invalid_value", "item.content[0].type"
    ),
    "assistant's audio": Case(
        message("assistant", {"type": "output_audio", "audio": MS200}),
        "invalid_value", "item.content[0].type",
    ),
    "text without text": Case(
        message("user", {"type": "input_text"}),
        "missing_required_parameter", "item.content[0].text",
    ),
    "picture by address": Case(
        message("user", {"type": "input_image", "image_url": "https://example.org/a.png"}),
        "invalid_value", "item.content[0].image_url",
    ),
    "too long an id": Case(message("user", WORDS, id=LONG), "invalid_value", "item.id"),
    "the same id twice": Case(
        message("user", WORDS, id="a"), "item_create_duplicate_item_id", "item.id", "'a'",
        (message("user", WORDS, id="a"),),
    ),
    "behind an unknown item": Case(
        {**message("user", WORDS), "previous_item_id": "b"},
        "item_create_invalid_previous_item_id", "previous_item_id",
    ),
    "output of an unknown call": Case(
        item(type="function_call_output", call_id="c", output=""),
        "invalid_tool_call_id", "item.call_id", "'c' not found",
    ),
    "output that is no text": Case(
        item(type="function_call_output", call_id="c", output={"ok": True}),
        "invalid_type", "item.output",
    ),
    "deleting what is not there": Case(
        {"type": "conversation.item.delete", "item_id": "x"}, "item_delete_invalid_item_id",
        "item_id",
    ),
    "deleting twice": Case(
        {"type": "conversation.item.delete", "item_id": "a"}, "item_delete_invalid_item_id",
        "item_id", "", (message("user", WORDS, id="a"),
        {"type": "conversation.item.delete", "item_id": "a"}), violation=False,
    ),
    "retrieving what is not there": Case(
        {"type": "conversation.item.retrieve", "item_id": "x"}, "item_retrieve_invalid_item_id",
        "item_id",
    ),
    "truncating what is not there": Case(
        {"type": "conversation.item.truncate", "item_id": "x", "content_index": 0,
         "audio_end_ms": 0}, "item_truncate_invalid_item_id", "item_id",
    ),
    "truncating the user": Case(
        {"type": "conversation.item.truncate", "item_id": "a", "content_index": 0,
         "audio_end_ms": 0}, "invalid_value", "item_id", "Only model output",
        (message("user", WORDS, id="a"),),
    ),
    "truncating by a fraction": Case(
        {"type": "conversation.item.truncate", "item_id": "a", "content_index": 0,
         "audio_end_ms": 1.5}, "invalid_type", "audio_end_ms",
    ),
    "cancelling nothing": Case(
        {"type": "response.cancel"}, "response_cancel_not_active", None,
        "Cancellation failed: no active response found", violation=False,
    ),
    "a response's temperature": Case(
        {"type": "response.create", "response": {"temperature": 1}},
        "unknown_parameter", "response.temperature",
    ),
    "seventeen pairs": Case(
        {"type": "response.create", "response": {"metadata": {str(n): "" for n in range(17)}}},
        "invalid_value", "response.metadata",
    ),
    "too long a value": Case(
        {"type": "response.create", "response": {"metadata": {"k": "x" * 513}}},
        "string_above_max_length", "response.metadata.k",
    ),
    "the loudspeaker of WebRTC": Case(
        {"type": "output_audio_buffer.clear"}, "invalid_value", "type", "WebRTC"
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_it_refuses(case: Case) -> None:
    async def talk() -> None:
        async with OpenAI() as service:
            client = await Client.open(service.url, PATH + case.model)
            for event in case.before:
                await client.ws.send(json.dumps(event))
            if isinstance(case.sent, str):
                await client.ws.send(case.sent)
            else:
                await client.ws.send(json.dumps({**case.sent, "event_id": "mine"}))
            error = (await client.until("error"))["error"]
            assert error["type"] == "invalid_request_error"
            assert (error["code"], error["param"]) == (case.code, case.param)
            assert case.says in error["message"]
            assert error["event_id"] == (None if isinstance(case.sent, str) else "mine")
            noted = [(v.path, v.rule) for v in service.violations]
            expected = [(case.param or "", error["message"])] if case.violation else []
            assert noted == expected
            # And the conversation goes on.
            await client.send("input_audio_buffer.clear")
            await client.until("input_audio_buffer.cleared")

    run(talk)


SLOW = Script(connection=[Connection(reply=[Reply(says="One two three four five", gap_s=5.0)])])


async def speaking(service: OpenAI) -> tuple[Client, str]:
    """Return a client whose reply has begun, and the reply's item."""
    client = await Client.open(service.url, PATH + "gpt-realtime-2.1")
    await client.send("response.create")
    return client, (await client.until("response.output_audio.delta"))["item_id"]


def test_a_second_response_of_the_clients_own_is_refused() -> None:
    async def talk() -> None:
        async with OpenAI(SLOW) as service:
            client, _ = await speaking(service)
            await client.send("response.create")
            error = (await client.until("error"))["error"]
            assert error["code"] == "conversation_already_has_active_response"
            assert len(service.violations) == 1

    run(talk)


def test_a_voice_that_was_heard_stays() -> None:
    async def talk() -> None:
        async with OpenAI(SLOW) as service:
            client, _ = await speaking(service)
            for voice in ("marin", "cedar"):
                await client.send(
                    "session.update",
                    session={"type": "realtime", "audio": {"output": {"voice": voice}}},
                )
            await client.until("session.updated")  # the same one is no change
            assert (await client.until("error"))["error"]["code"] == "cannot_update_voice"

    run(talk)


def test_the_speed_stays_within_a_response() -> None:
    async def talk() -> None:
        async with OpenAI(SLOW) as service:
            client, _ = await speaking(service)
            await client.send(
                "session.update", session={"type": "realtime", "audio": {"output": {"speed": 1.2}}}
            )
            error = (await client.until("error"))["error"]
            assert error["param"] == "session.audio.output.speed"

    run(talk)


def test_a_truncation_behind_the_end_is_refused_and_one_at_the_end_is_not() -> None:
    async def talk() -> None:
        async with OpenAI(Script(connection=[Connection(reply=[Reply(says="Hello")])])) as service:
            client, item_id = await speaking(service)
            await client.done()
            # Six characters of a tone, 55 ms each.
            for end, kind in ((331, "error"), (330, "conversation.item.truncated")):
                await client.send(
                    "conversation.item.truncate",
                    item_id=item_id, content_index=0, audio_end_ms=end,
                )  # fmt: skip
                event = await client.until(kind)
                if kind == "error":
                    text = "Audio content of 330ms is already shorter than 331ms"
                    assert event["error"]["message"] == text
            await client.send("conversation.item.retrieve", item_id=item_id)
            item = (await client.until("conversation.item.retrieved"))["item"]
            assert "transcript" not in item["content"][0], "truncation deletes the transcript"

    run(talk)


def test_missing_outputs_and_second_outputs_are_violations() -> None:
    calls = [Call(name="f"), Call(name="g")]

    async def talk() -> None:
        async with OpenAI(Script(connection=[Connection(reply=[Reply(calls=calls)])])) as service:
            client = await Client.open(service.url, PATH + "gpt-realtime-2.1")
            await client.send("response.create")
            first, second = [i["call_id"] for i in (await client.done())["output"]]
            answer = {"type": "function_call_output", "output": "{}"}
            await client.send("conversation.item.create", item={**answer, "call_id": first})
            await client.send("response.create")
            await client.done()
            assert [v.rule for v in service.violations] == [
                f"asked for before the output of {second}"
            ]
            await client.send("conversation.item.create", item={**answer, "call_id": first})
            assert (await client.until("error"))["error"]["code"] == "invalid_tool_call_id"

    run(talk)


def test_a_commit_while_turns_are_detected_is_a_violation() -> None:
    async def talk() -> None:
        async with OpenAI() as service:
            client = await Client.open(service.url, PATH + "gpt-realtime-2.1")
            await client.append(silence(200))
            await client.send("input_audio_buffer.commit")
            await client.until("input_audio_buffer.committed")
            assert [v.event for v in service.violations] == ["input_audio_buffer.commit"]

    run(talk)


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        (PATH + "gpt-realtime-2.1", {}, 401),
        (PATH + "gpt-realtime-2.1", {"Authorization": "Bearer another"}, 401),
        (PATH + "gpt-9", KEY, 404),
        ("/v1/realtime", KEY, 400),
        ("/v1/live", KEY, 404),
    ],
)
def test_the_upgrade_is_refused(path: str, headers: dict[str, str], status: int) -> None:
    async def ask() -> None:
        async with OpenAI(keys=frozenset({"a-key"})) as service:
            with pytest.raises(InvalidStatus) as refused:
                await connect(service.url + path, additional_headers=headers)
            assert refused.value.response.status_code == status
            assert "error" in json.loads(bytes(refused.value.response.body))

    run(ask)


def test_the_betas_header_is_a_violation() -> None:
    async def ask() -> None:
        async with OpenAI() as service:
            client = await Client.open(
                service.url, PATH + "gpt-realtime", {**KEY, "OpenAI-Beta": "realtime=v1"}
            )
            await client.until("session.created")
            assert [v.path for v in service.violations] == ["OpenAI-Beta"]

    run(ask)
