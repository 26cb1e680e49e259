"""Everything the emulated EVI sends, held against the types of Hume's own package."""

from __future__ import annotations

import asyncio
import typing
from typing import Any

import pytest

from tests.emulators import hume_talk as h
from tests.emulators.talk import Client, tone
from tests.emulators.vendors import package
from voiced.emulators.hume import Hume
from voiced.emulators.script import Connection, Fault, Heard, Script, Tool

types = package("hume.empathic_voice.types")
parse = package("hume.core.pydantic_utilities").parse_obj_as

MEMBERS = {
    member.model_fields["type"].default: member for member in typing.get_args(types.SubscribeEvent)
}
MISSING = {
    "ChatMessage.tool_call": "never seen in a message",
    "ChatMessage.tool_result": "never seen in a message",
    "AudioConfiguration.codec": "linear16 has none",
    "SessionSettings.language_model_api_key": "a key is not sent back",
}
FAILING = Connection(options={"search_fails": True})
SCRIPT = Script(
    tool=[Tool(words=["time"], name="get_time")],
    connection=[
        Connection(
            speech=[(200, 1200), (3000, 5000)],
            heard=[Heard(text="Hello.", revisions=["Hell"]), Heard(text="Stop.")],
            fault=[Fault(what="error", error="I0100", kind="fault", reason="down", after_s=1.0)],
        ),
        FAILING,
    ],
)


async def play() -> list[dict[str, Any]]:
    """Return all that is sent in a chat with everything in it."""
    query = {
        "verbose_transcription": "true",
        "session_settings[custom_session_id]": "mine",
    }
    async with Hume(SCRIPT, speed=5.0) as hume:
        async with h.client(hume, **query) as client:
            await everything(client)
        async with h.client(hume, **query) as other:
            await other.send(h.settings(builtin_tools=[{"name": "web_search"}]), h.typed("search"))
            await other.until(h.of("assistant_end"))
        assert list(hume.violations) == []
    return client.seen + other.seen


async def everything(client: Client) -> None:
    await client.send(
        h.settings(
            tools=[h.TOOL],
            builtin_tools=[{"name": "web_search", "fallback_content": "No web."}],
            context={"text": "It is late.", "type": "persistent"},
            variables={"name": "Ada", "age": 30, "old": False},
            system_prompt="You are the lighthouse.",
            voice_id="5bb7de05-c8fe-426a-8fcc-ba4fc4ce9f9c",
            metadata={"segment": "a"},
            language_model_api_key="secret",
        ),
        *h.chunks(tone(64000)),
    )
    await client.until(h.of("assistant_end"))
    await client.send(h.typed("what time is it?"))
    call = (await client.until(h.of("tool_call")))[-1]
    answer = {"type": "tool_response", "tool_call_id": call["tool_call_id"], "content": "9"}
    await client.send(answer)
    await client.until(h.of("assistant_end"))
    await client.send(h.typed("search a long story, a very long story of the sea"))
    await client.until(h.of("audio_output"))
    await client.send(*h.chunks(tone(128000)))
    await client.until(h.of("user_interruption"))
    await client.until(lambda m: any(e["type"] == "error" for e in client.seen))


@pytest.fixture(scope="module")
def frames():
    return asyncio.run(play())


def inner(annotation) -> list[type]:
    if isinstance(annotation, type) and hasattr(annotation, "model_fields"):
        return [annotation]
    return [model for part in typing.get_args(annotation) for model in inner(part)]


def filled(model, value: dict[str, Any], found: set[str]) -> None:
    """Note which fields of a vendor's model a message fills; fail on a name it does not have."""
    names = {info.alias or name: name for name, info in model.model_fields.items()}
    for name, held in value.items():
        assert name in names, f"{model.__name__} has no {name}"
        if held is not None:
            found.add(f"{model.__name__}.{names[name]}")
        models = inner(model.model_fields[names[name]].annotation)
        for each in held if isinstance(held, list) else [held]:
            if models and isinstance(each, dict):
                filled(models[0], each, found)


@pytest.fixture(scope="module")
def found(frames) -> set[str]:
    fields: set[str] = set()
    for frame in frames:
        filled(MEMBERS[frame["type"]], frame, fields)
    return fields


def reachable() -> list[str]:
    fields: list[str] = []
    todo: list[Any] = [member for kind, member in MEMBERS.items() if kind not in MISSING]
    done = set()
    while todo:
        model = todo.pop()
        if model in done or model.__name__ == "EmotionScores":
            continue
        done.add(model)
        for name, info in model.model_fields.items():
            fields.append(f"{model.__name__}.{name}")
            if fields[-1] not in MISSING:
                todo += inner(info.annotation)
    return sorted(fields)


def test_every_frame_is_a_message_of_the_vendors(frames):
    for frame in frames:
        message = parse(types.SubscribeEvent, frame)
        assert message.type == frame["type"]
        assert type(message) is MEMBERS[frame["type"]]


@pytest.mark.parametrize("kind", sorted(MEMBERS))
def test_every_kind_is_sent_or_named_with_its_reason(kind, frames):
    sent = any(frame["type"] == kind for frame in frames)
    assert sent is not (kind in MISSING), MISSING.get(kind, "never sent")


@pytest.mark.parametrize("field", reachable())
def test_every_field_is_sent_or_named_with_its_reason(field, found):
    assert (field in found) is not (field in MISSING), MISSING.get(field, "never sent")


def test_how_many_there_are(found, capsys):
    kinds = [kind for kind in MEMBERS if kind not in MISSING]
    with capsys.disabled():
        print(
            f"\nHume EVI: {len(kinds)} of {len(MEMBERS)} kinds of message, {len(found)} fields; "
            f"{len(MISSING)} missing, each with its reason"
        )
    assert len(kinds) == 12
