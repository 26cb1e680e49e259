"""The emulated xAI: its own rules of turns, what it ignores, refuses, bills and remembers."""

from __future__ import annotations

import asyncio
import base64
import json
from collections import Counter
from typing import Any, NamedTuple

import openai
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from tests.emulators.client import DEADLINE_S, Client, run, silence
from voiced.emulators.script import Call, Connection, Fault, Heard, Reply, Script
from voiced.emulators.xai import XAI

PATH = "/v1/realtime?model=grok-voice-3.0"
SPEECH_MS = 400
MANUAL = {"turn_detection": None}
WORDS = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hello"}]}
TOOL = {"type": "function", "name": "f", "parameters": {"type": "object"}}


def script(*replies: Reply, speech: int = 3, **fields: Any) -> Script:
    """Return one whose user speaks in the first 400 ms of every second."""
    stretches = [(n * 1000 + 100, n * 1000 + 100 + SPEECH_MS) for n in range(speech)]
    return Script(connection=[Connection(speech=stretches, reply=list(replies), **fields)])


async def opened(service: XAI, path: str = PATH, **session: Any) -> Client:
    client = await Client.open(service.url, path)
    await client.send("session.update", session=session)
    await client.until("session.updated")
    return client


def rules(service: XAI) -> list[tuple[str, str]]:
    return [(v.event, v.path) for v in service.violations]


async def calm(client: Client) -> list[str]:
    """Return the kinds of what still comes until the service has answered a plain event."""
    start = client.taken
    await client.send("conversation.item.delete", item_id="nothing")
    while (event := await client.next())["type"] != "error" or "nothing" not in str(event):
        pass
    return [event["type"] for event in client.events[start : client.taken - 1]]


def test_a_pressed_turn_is_answered_without_being_asked() -> None:
    async def talk() -> None:
        async with XAI(script(Reply(says="Yes."), heard=[Heard(text="Is it open?")])) as service:
            client = await opened(service, **MANUAL)
            await client.append(silence(600))
            await client.until("input_audio_buffer.speech_started")
            await client.send("input_audio_buffer.commit")
            await client.until("input_audio_buffer.committed")
            done = await client.until("response.done")
            assert (done["response"]["metadata"], done["response"]["usage"]) == (None, {})
            assert done["response"]["status_details"] == "unimplemented"
            assert done["usage"]["billable_audio_seconds"] == 1  # 0.6 s and 0.275 s
            # Twice for the same item, each time the whole of it.
            readings = [e for e in client.events if e["type"].endswith("transcription.completed")]
            assert [r["transcript"] for r in readings] == ["Is it", "Is it open?"]
            assert [r["status"] for r in readings] == ["in_progress", "completed"]
            assert not service.violations

    run(talk)


def test_a_commit_of_silence_says_nothing() -> None:
    async def talk() -> None:
        async with XAI(script(speech=0)) as service:
            client = await opened(service, **MANUAL)
            await client.append(silence(600))
            await client.send("input_audio_buffer.commit")
            assert await calm(client) == []

    run(talk)


def test_a_bare_response_create_after_the_answer_is_dropped() -> None:
    async def talk() -> None:
        async with XAI(script(Reply(says="Yes."), Reply(says="And?"))) as service:
            client = await opened(service, **MANUAL)
            await client.append(silence(600))
            await client.send("input_audio_buffer.commit")
            await client.until("response.done")
            await client.send("response.create")
            assert "response.created" not in await calm(client)
            assert rules(service)[0] == ("response.create", "")
            await client.send("conversation.item.create", item=WORDS)
            await client.send("response.create")
            await client.until("response.done")

    run(talk)


def test_asking_beside_a_commit_is_wrong() -> None:
    async def talk() -> None:
        async with XAI(script(Reply(says="Yes.", delay_s=0.2))) as service:
            client = await opened(service, **MANUAL)
            await client.append(silence(600))
            await client.send("input_audio_buffer.commit")
            await client.send("response.create")
            error = (await client.until("error"))["error"]
            assert "already has an active response" in error["message"]
            assert error["code"] == ""
            assert rules(service) == [("response.create", "")]

    run(talk)


def test_audio_during_a_pressed_turns_reply_ends_it_without_done() -> None:
    async def talk() -> None:
        async with XAI(script(Reply(says="A long answer to it.", gap_s=5.0))) as service:
            client = await opened(service, **MANUAL)
            await client.append(silence(600))
            await client.send("input_audio_buffer.commit")
            await client.until("response.output_audio.delta")
            await client.append(silence(900))
            await client.until("input_audio_buffer.speech_started")
            assert "response.done" not in await calm(client)
            assert rules(service)[0] == ("input_audio_buffer.append", "")
            # The slot is free: what is asked for now is answered.
            await client.send("conversation.item.create", item=WORDS)
            await client.send("response.create")
            await client.until("response.done")

    run(talk)


def test_a_clear_behind_a_commit_cancels_the_reply() -> None:
    async def talk() -> None:
        async with XAI(script(Reply(says="A long answer to it.", gap_s=5.0))) as service:
            client = await opened(service, **MANUAL)
            await client.append(silence(600))
            await client.send("input_audio_buffer.commit")
            await client.until("response.output_audio.delta")
            await client.send("input_audio_buffer.clear")
            assert (await client.done())["status"] == "cancelled"
            assert rules(service) == [("input_audio_buffer.clear", "")]

    run(talk)


def test_who_speaks_on_gets_one_item_and_one_answer() -> None:
    async def talk() -> None:
        hearing = Connection(speech=[(100, 300), (400, 600)], reply=[Reply(says="")])
        async with XAI(Script(connection=[hearing])) as service:
            client = await opened(service)
            await client.append(silence(700))
            await client.until("input_audio_buffer.committed")
            await client.until("response.done")
            kinds = Counter(client.kinds())
            assert kinds["input_audio_buffer.speech_started"] == 2
            assert kinds["response.created"] == 2
            assert kinds["response.done"] == 1
            starts = [e for e in client.events if e["type"].endswith("speech_started")]
            assert starts[0]["item_id"] == starts[1]["item_id"]

    run(talk)


def test_an_interruption_and_a_late_truncation() -> None:
    async def talk() -> None:
        says = Reply(says="The light is blue now like the deep sea", gap_s=0.05)
        async with XAI(script(says, heard=[Heard(text="Blue"), Heard(text="Wait")])) as service:
            client = await opened(service)
            await client.append(silence(900))
            item_id = (await client.until("response.output_audio.delta"))["item_id"]
            truncation = {"item_id": item_id, "content_index": 0, "audio_end_ms": 100}
            await client.send("conversation.item.truncate", **truncation)
            refused = (await client.until("error"))["error"]["message"]
            assert "truncat" in refused, "it only lands once the response has ended"
            await client.append(silence(400))
            assert (await client.done())["status"] == "cancelled"
            await client.send("conversation.item.truncate", **truncation)
            told = await client.until("conversation.item.truncated")
            assert told["transcript"] in "The light is blue now like the deep sea"
            assert not service.violations

    run(talk)


def test_words_are_spoken_as_they_are_and_paid_for() -> None:
    async def talk() -> None:
        async with XAI(script(Reply(says="never said"))) as service:
            client = await opened(service)
            await client.send(
                "conversation.item.create",
                item={
                    "type": "force_message",
                    "role": "assistant",
                    "interruptible": False,
                    "content": [{"type": "output_text", "text": "We close."}],
                },
            )
            done = await client.done()
            assert done["output"][0]["content"] == [{"type": "audio", "transcript": "We close."}]
            rows = [(line.what, line.amount) for line in service.bill.lines]
            assert rows == [("text_item", 1), ("audio", 1)]
            assert service.bill.usd == pytest.approx(0.004 + 0.08 / 60)

    run(talk)


def test_what_was_said_until_the_client_hung_up_is_paid_for() -> None:
    async def talk() -> None:
        played = Connection(reply=[Reply(says="A long story " * 40, gap_s=0.001)])
        async with XAI(Script(connection=[played])) as service:
            client = await opened(service)
            await client.send("conversation.item.create", item=WORDS)
            await client.send("response.create")
            await client.until("response.output_audio.delta")
            client.ws.transport.abort()
            async with asyncio.timeout(DEADLINE_S):
                while not service.records[0].closed:  # noqa: ASYNC110
                    await asyncio.sleep(0)
            assert {line.what for line in service.bill.lines} == {"text_item", "audio"}

    run(talk)


class Wrong(NamedTuple):
    sent: dict[str, Any]
    param: str | None
    says: str = ""
    kind: str = "invalid_request_error"


def update(**fields: Any) -> dict[str, Any]:
    return {"type": "session.update", "session": fields}


REFUSED = {
    "unknown field": Wrong(update(language="en"), "session.language"),
    "semantic detection": Wrong(
        update(turn_detection={"type": "semantic_vad"}), "session.turn_detection.type"
    ),
    "threshold": Wrong(
        update(turn_detection={"type": "server_vad", "threshold": 0.95}),
        "session.turn_detection.threshold",
    ),
    "rate": Wrong(
        update(audio={"input": {"format": {"type": "audio/pcm", "rate": 11025}}}),
        "session.audio.input.format.rate",
    ),
    "speed": Wrong(update(audio={"output": {"speed": 0.5}}), "session.audio.output.speed"),
    "effort": Wrong(update(reasoning={"effort": "low"}), "session.reasoning.effort"),
    "key terms": Wrong(
        update(audio={"input": {"transcription": {"keyterms": ["x" * 51]}}}),
        "session.audio.input.transcription.keyterms[0]",
    ),
    "tool without a name": Wrong(update(tools=[{"type": "function"}]), "session.tools[0].name"),
    "six domains": Wrong(
        update(tools=[{"type": "web_search", "allowed_domains": list("abcdef")}]),
        "session.tools[0].allowed_domains",
    ),
    "retrieving": Wrong({"type": "conversation.item.retrieve", "item_id": "x"}, "type"),
    "loudspeaker": Wrong({"type": "output_audio_buffer.clear"}, "type"),
    "odd length": Wrong({"type": "input_audio_buffer.append", "audio": "AAAA"}, "audio"),
    "choice of a response": Wrong(
        {"type": "response.create", "response": {"tool_choice": "none"}}, "response.tool_choice"
    ),
    "no role": Wrong(
        {"type": "conversation.item.create",
         "item": {"type": "message", "content": WORDS["content"]}},
        "item.role",
    ),
    "unknown call": Wrong(
        {"type": "conversation.item.create",
         "item": {"type": "function_call_output", "call_id": "c", "output": ""}},
        "item.call_id",
    ),
    "no object": Wrong({}, None, kind="invalid_event"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED.values(), ids=REFUSED)
def test_it_refuses(case: Wrong) -> None:
    async def talk() -> None:
        async with XAI() as service:
            client = await opened(service)
            await client.ws.send(json.dumps(case.sent) if case.sent else "[]")
            error = (await client.until("error"))["error"]
            assert (error["type"], error["code"]) == (case.kind, "")
            assert error["param"] == case.param
            assert [v.path for v in service.violations] == [case.param or ""]

    run(talk)


@pytest.mark.parametrize(
    ("sent", "path"),
    [
        (update(type="realtime"), "session.type"),
        (update(tool_choice="auto"), "session.tool_choice"),
        (update(output_modalities=["text"]), "session.output_modalities"),
        (
            update(turn_detection={"type": "server_vad", "create_response": False}),
            "session.turn_detection.create_response",
        ),
    ],
)
def test_what_it_takes_and_ignores_is_a_violation(sent: dict[str, Any], path: str) -> None:
    async def talk() -> None:
        async with XAI() as service:
            client = await opened(service)
            await client.ws.send(json.dumps(sent))
            await client.until("session.updated")
            assert [v.path for v in service.violations] == [path]

    run(talk)


def test_a_wrong_model_and_a_wrong_voice_are_replaced_in_silence() -> None:
    async def talk() -> None:
        async with XAI() as service:
            client = await Client.open(service.url, "/v1/realtime?model=grok-9")
            created = await client.until("session.created")
            assert created["session"]["model"] == "grok-voice-latest"
            await client.send("session.update", session={"voice": "darth"})
            assert (await client.until("session.updated"))["session"]["voice"] == "eve"
            assert rules(service) == [("", "model")]

    run(talk)


def test_a_functions_name_that_is_built_in_fails_the_first_response() -> None:
    async def talk() -> None:
        async with XAI() as service:
            tools = [{"type": "web_search"}, {**TOOL, "name": "browse_page"}]
            client = await opened(service, tools=tools)
            await client.send("response.create")
            assert (await client.until("error"))["error"]["code"] == "internal_error"
            assert (await client.done())["status"] == "failed"

    run(talk)


def test_calls_come_whole_and_their_outputs_are_waited_for() -> None:
    calls = [Call(name="f", arguments={"a": 1}), Call(name="f", arguments={"a": 2})]

    async def talk() -> None:
        async with XAI(script(Reply(calls=calls), Reply(says="Done."))) as service:
            client = await opened(service, tools=[TOOL])
            await client.send("response.create")
            output = (await client.done())["output"]
            assert "response.function_call_arguments.delta" not in client.kinds()
            for call in output:
                result = {
                    "type": "function_call_output",
                    "call_id": call["call_id"],
                    "output": "{}",
                }
                await client.send("conversation.item.create", item=result)
            await client.send("response.create")
            await client.done()
            assert not service.violations
            assert all(line.what == "audio" for line in service.bill.lines), "outputs are free"

    run(talk)


def test_raw_audio_goes_both_ways() -> None:
    async def talk() -> None:
        async with XAI(script(Reply(says="Yes."))) as service:
            audio = {
                "input": {"transport": "binary"},
                "output": {"transport": "binary", "format": {"type": "audio/pcm", "rate": 48000}},
            }
            client = await opened(service, audio=audio)
            await client.ws.send(silence(900))
            await client.done()
            assert "response.output_audio.delta" not in client.kinds()
            assert sum(map(len, client.frames)) == 5 * 55 * 48 * 2
            assert not service.violations

    run(talk)


def test_a_conversation_is_resumed_without_the_users_words() -> None:
    keeping = {"resumption": {"enabled": True}}

    async def talk() -> None:
        async with XAI(Script(connection=[Connection(reply=[Reply(says="Hello Ada.")])])) as e:
            first = await opened(e, **keeping)
            found = next(c for c in first.events if c["type"] == "conversation.created")
            name = found["conversation"]["id"]
            await first.send("conversation.item.create", item=WORDS)
            await first.send("response.create")
            await first.done()
            await first.ws.close()
            again = await opened(e, f"{PATH}&conversation_id={name}", **keeping)
            told = await again.until("conversation.item.created")
            assert told["item"]["replayed"] is True
            assert told["item"]["content"] == [{"type": "audio", "transcript": "Hello Ada."}]
            assert again.events[1]["conversation"]["id"] == name
            await e.play(Fault(what="drop_handles"))
            await again.ws.close()
            third = await opened(e, f"{PATH}&conversation_id={name}", **keeping)
            assert third.events[1]["conversation"]["id"] != name
            assert await calm(third) == []

    run(talk)


def test_the_longest_duration_ends_the_session() -> None:
    async def talk() -> None:
        async with XAI(Script(connection=[Connection(longest_s=60.0)]), speed=300) as service:
            client = await opened(service)
            error = (await client.until("error"))["error"]
            assert error["type"] == "max_duration"
            assert (await client.closed())[0] == 1000
            assert "ping" in client.kinds()

    run(talk)


def test_a_wrong_key_is_refused_and_a_secret_may_be_a_subprotocol() -> None:
    async def talk() -> None:
        async with XAI(keys=frozenset({"right"})) as service:
            with pytest.raises(InvalidStatus) as refused:
                await connect(service.url + PATH, additional_headers={"Authorization": "Bearer x"})
            assert refused.value.response.status_code == 401
            async with connect(
                service.url + PATH,
                subprotocols=["xai-client-secret.right"],  # type: ignore[list-item]
            ) as ws:
                assert json.loads(await ws.recv())["type"] == "session.created"

    run(talk)


def test_the_client_of_the_other_service_drives_it_too() -> None:
    """OpenAI's package talks to xAI when it is pointed there (it reads the events loosely)."""

    async def talk() -> None:
        async with XAI(script(Reply(says="Yes."), heard=[Heard(text="Open?")])) as service:
            client = openai.AsyncOpenAI(api_key="k", websocket_base_url=f"{service.url}/v1")
            async with client.realtime.connect(model="grok-voice-3.0") as connection:
                await connection.send({"type": "session.update", "session": {"voice": "ara"}})
                async for event in connection:
                    if event.type == "session.updated":
                        break
                audio = base64.b64encode(silence(900)).decode()
                await connection.input_audio_buffer.append(audio=audio)
                async for event in connection:
                    if event.type == "response.done":
                        assert event.usage["billable_audio_seconds"] == 1
                        break
            assert not service.violations

    run(talk)
