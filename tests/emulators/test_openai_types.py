"""The emulated OpenAI Realtime held against the vendor's own types, both ways.

Every kind of server event is provoked and read strictly by the package's type of it; every field
that the emulator takes from a client is a field of the package's type, and the other way round.
"""

from __future__ import annotations

from typing import Any, get_args

import msgspec
import pydantic
import pytest
from msgspec.inspect import StructType, type_info
from openai.types import realtime
from openai.types.realtime import realtime_server_event

from tests.emulators.client import Client, run, silence
from voiced.emulators import openai_wire as wire
from voiced.emulators.openai import OpenAI
from voiced.emulators.script import Call, Connection, Heard, Reply, Script


def members(union: Any) -> dict[str, type[pydantic.BaseModel]]:
    """Return the members of one of the package's unions, by the type they are tagged with."""
    models = get_args(get_args(union)[0])
    return {get_args(model.model_fields["type"].annotation)[0]: model for model in models}


SERVER = members(realtime_server_event.RealtimeServerEvent)
CLIENT = members(realtime.RealtimeClientEvent)

NEVER = {
    "conversation.created": "of the beta; the service sends none since",
    "conversation.item.created": "the beta's name of conversation.item.added",
    "input_audio_buffer.dtmf_event_received": "of telephone calls (SIP)",
    "output_audio_buffer.started": "of WebRTC and SIP",
    "output_audio_buffer.stopped": "of WebRTC and SIP",
    "output_audio_buffer.cleared": "of WebRTC and SIP",
    "mcp_list_tools.in_progress": "tool servers that the service calls are not emulated",
    "mcp_list_tools.completed": "tool servers that the service calls are not emulated",
    "mcp_list_tools.failed": "tool servers that the service calls are not emulated",
    "response.mcp_call_arguments.delta": "tool servers that the service calls are not emulated",
    "response.mcp_call_arguments.done": "tool servers that the service calls are not emulated",
    "response.mcp_call.in_progress": "tool servers that the service calls are not emulated",
    "response.mcp_call.completed": "tool servers that the service calls are not emulated",
    "response.mcp_call.failed": "tool servers that the service calls are not emulated",
}

SCRIPT = Script(
    connection=[
        Connection(
            speech=[(100, 900), (1500, 2300), (2500, 3300)],
            heard=[Heard(text="Turn the light blue."), Heard(failed=True), Heard(text="Yes.")],
            reply=[
                Reply(says="One moment.", calls=[Call(name="f", arguments={"a": 1})]),
                Reply(says="The light is blue now, at last.", gap_s=0.1),
                Reply(says="Sorry."),
                Reply(says="So it is two of you."),
                Reply(says="Written."),
                Reply(fails="rate_limit_exceeded"),
                Reply(says="A little long for so few tokens"),
            ],
        )
    ]
)


async def _converse(client: Client) -> None:
    await client.send(
        "session.update",
        session={
            "type": "realtime",
            "tools": [{"type": "function", "name": "f", "parameters": {"type": "object"}}],
            "audio": {"input": {"transcription": {"model": "gpt-4o-mini-transcribe"}}},
        },
    )
    await client.append(silence(1000))
    call = (await client.done())["output"][1]["call_id"]
    output = {"type": "function_call_output", "call_id": call, "output": "{}"}
    await client.send("conversation.item.create", item=output)
    await client.send("response.create", response={"metadata": {"src": "tool"}})
    heard = (await client.until("response.output_audio.delta"))["item_id"]
    await client.append(silence(700))  # the user interrupts
    await client.send(
        "conversation.item.truncate", item_id=heard, content_index=0, audio_end_ms=100
    )
    assert (await client.done())["status_details"]["reason"] == "turn_detected"
    await client.append(silence(700))
    await client.done()
    diarizing = {"transcription": {"model": "gpt-4o-transcribe-diarize"}}
    await client.send("session.update", session={"type": "realtime", "audio": {"input": diarizing}})
    await client.append(silence(1000))
    await client.until("conversation.item.input_audio_transcription.completed")
    await client.done()
    await client.send("conversation.item.retrieve", item_id=heard)
    await client.send("conversation.item.delete", item_id=heard)
    await client.send("input_audio_buffer.clear")
    await client.send("response.cancel")
    await client.send("response.create", response={"output_modalities": ["text"]})
    await client.done()
    await client.send("response.create", response={"conversation": "none"})
    assert (await client.done())["status"] == "failed"
    turns = {"turn_detection": {"type": "server_vad", "idle_timeout_ms": 5000}}
    await client.send("session.update", session={"type": "realtime", "audio": {"input": turns}})
    await client.send("response.create", response={"max_output_tokens": 5})
    assert (await client.done())["status_details"]["reason"] == "max_output_tokens"
    await client.until("input_audio_buffer.timeout_triggered")


@pytest.fixture(scope="module")
def told() -> list[dict[str, Any]]:
    """Return everything the emulator said in one conversation that has something of everything."""
    events: list[dict[str, Any]] = []

    async def talk() -> None:
        async with OpenAI(SCRIPT, speed=20) as service:
            client = await Client.open(service.url, "/v1/realtime?model=gpt-realtime-2.1")
            client.events = events
            await _converse(client)

    run(talk)
    return events


WIRE_ONLY = {"session.id", "session.object", "session.expires_at"}
"""On the wire, and in the package's type of the answer to a POST, but not in its events."""


def unknown(value: Any, path: str = "") -> set[str]:
    """Return what a value holds that the package's model of it has no field for."""
    if isinstance(value, pydantic.BaseModel):
        found = {f"{path}{name}" for name in value.model_extra or ()}
        for name in type(value).model_fields:
            found |= unknown(getattr(value, name), f"{path}{name}.")
        return found
    if isinstance(value, list):
        return {extra for one in value for extra in unknown(one, path)}
    return set()


@pytest.mark.parametrize("kind", SERVER)
def test_a_server_event_is_what_the_vendors_types_say(
    told: list[dict[str, Any]], kind: str
) -> None:
    sent = [event for event in told if event["type"] == kind]
    if kind in NEVER:
        assert not sent
        pytest.skip(f"{kind} is never sent: {NEVER[kind]}")
    assert sent, f"{kind} was not provoked"
    for event in sent:
        read = pydantic.TypeAdapter(SERVER[kind]).validate_python(event, strict=True)
        assert unknown(read) <= WIRE_ONLY


def test_how_many_of_them_there_are(
    told: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    sent = {event["type"] for event in told}
    assert sent <= SERVER.keys(), sent - SERVER.keys()
    assert sent | NEVER.keys() == SERVER.keys()
    with capsys.disabled():
        print(f"\n{len(sent)} of {len(SERVER)} server events are emulated; not: ")
        print("\n".join(f"  {kind}: {reason}" for kind, reason in NEVER.items()))


def structs(kind: type[msgspec.Struct]) -> set[str]:
    """Return the JSON paths of all fields that a struct takes."""
    found: set[str] = set()
    for field in msgspec.structs.fields(kind):
        found.add(field.encode_name)
        found |= {f"{field.encode_name}.{inner}" for inner in _inner(type_info(field.type))}
    return found


def _inner(info: Any) -> set[str]:
    if isinstance(info, StructType):
        return structs(info.cls)
    parts = getattr(info, "types", None) or filter(None, [getattr(info, "item_type", None)])
    return {path for part in parts for path in _inner(part)}


def models(model: type[pydantic.BaseModel]) -> set[str]:
    """Return the JSON paths of all fields that a pydantic model has, less the tags."""
    found: set[str] = set()
    for name, field in model.model_fields.items():
        found.add(name)
        found |= {f"{name}.{inner}" for inner in _under(field.annotation)}
    return found


def _under(annotation: Any) -> set[str]:
    if isinstance(annotation, type) and issubclass(annotation, pydantic.BaseModel):
        return models(annotation)
    return {path for part in get_args(annotation) for path in _under(part)}


OURS = {
    "session.update": wire.SessionUpdate,
    "input_audio_buffer.append": wire.Append,
    "input_audio_buffer.commit": wire.Commit,
    "input_audio_buffer.clear": wire.Clear,
    "conversation.item.create": wire.ItemCreate,
    "conversation.item.delete": wire.ItemDelete,
    "conversation.item.retrieve": wire.ItemRetrieve,
    "conversation.item.truncate": wire.ItemTruncate,
    "response.create": wire.ReplyCreate,
    "response.cancel": wire.ReplyCancel,
    "output_audio_buffer.clear": wire.OutputClear,
}
LOOSE = (
    # A response's own input is taken as it comes.
    "response.input",
    # What the service itself writes about tool servers; a client only answers their requests.
    "item.error",
    "item.server_label",
    "item.tools",
    # Of a tool server's declaration the emulator takes any.
    "allowed_",
    "require_approval",
    "variables",
)


def test_the_client_events_are_the_vendors() -> None:
    assert OURS.keys() == CLIENT.keys()
    assert len(CLIENT) == 11


@pytest.mark.parametrize("kind", OURS)
def test_what_a_client_may_send_is_what_the_vendors_types_have(kind: str) -> None:
    theirs = {p for p in models(CLIENT[kind]) if p.rpartition(".")[2] != "type"}
    mine = {p for p in structs(OURS[kind]) if p.rpartition(".")[2] != "type"}
    strange = {path for path in mine ^ theirs if not any(part in path for part in LOOSE)}
    assert not strange, f"ours only: {strange & mine}; theirs only: {strange & theirs}"
