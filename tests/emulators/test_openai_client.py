"""The vendor's own client holds a conversation with the emulated OpenAI Realtime, unchanged."""

from __future__ import annotations

import base64

import openai
import pytest

from tests.emulators.client import run, silence, visitor
from voiced.emulators.openai import OpenAI
from voiced.emulators.script import Script, Tool
from voiced.inference import models

LIGHT = {
    "type": "function",
    "name": "set_light",
    "description": "Set the colour of the room light.",
    "parameters": {"type": "object", "properties": {"colour": {"type": "string"}}},
}
LAMPS = Tool(words=["young"], name="set_light", arguments={"colour": "blue"}, says="One moment.")
RECOGNISER_THERE = next(e for e in models.available() if e.kind == "recogniser").available


async def speak(connection, pcm: bytes) -> None:
    for at in range(0, len(pcm), 4800):
        audio = base64.b64encode(pcm[at : at + 4800]).decode()
        await connection.input_audio_buffer.append(audio=audio)


async def until(connection, kind: str):
    async for event in connection:
        assert event.type != "error", event
        if event.type == kind:
            return event
    raise AssertionError(f"the connection ended before {kind}")


@pytest.mark.skipif(not RECOGNISER_THERE, reason="the local recogniser is not installed")
def test_a_conversation_by_voice_tool_text_and_pedal() -> None:
    async def talk() -> None:
        async with OpenAI(Script(tool=[LAMPS]), hearing=True) as service:
            client = openai.AsyncOpenAI(api_key="k", websocket_base_url=f"{service.url}/v1")
            async with client.realtime.connect(model="gpt-realtime-2.1") as connection:
                assert (await until(connection, "session.created")).session.model
                await connection.session.update(
                    session={
                        "type": "realtime",
                        "instructions": "You are the voice of the fountain.",
                        "tools": [LIGHT],
                        "reasoning": {"effort": "low"},
                        "audio": {"input": {"transcription": {"model": "gpt-transcribe"}}},
                    }
                )
                updated = await until(connection, "session.updated")
                assert updated.session.tools[0].name == "set_light"

                await speak(connection, visitor("lv_0880.wav"))
                said = await until(
                    connection, "conversation.item.input_audio_transcription.completed"
                )
                assert "young man" in said.transcript.lower()
                reply = (await until(connection, "response.done")).response
                spoken, call = reply.output
                assert (spoken.type, call.type, call.name) == (
                    "message",
                    "function_call",
                    "set_light",
                )
                await connection.conversation.item.create(
                    item={
                        "type": "function_call_output",
                        "call_id": call.call_id,
                        "output": '{"ok":true}',
                    }
                )
                await connection.response.create()
                assert (await until(connection, "response.done")).response.status == "completed"

                await connection.conversation.item.create(
                    item={
                        "type": "message",
                        "role": "user",
                        "content": [{"type": "input_text", "text": "Write to me."}],
                    }
                )
                await connection.response.create(response={"output_modalities": ["text"]})
                written = await until(connection, "response.output_text.done")
                assert written.text == "You said: Write to me."

                await connection.session.update(
                    session={"type": "realtime", "audio": {"input": {"turn_detection": None}}}
                )
                await speak(connection, visitor("lv_0930.wav", silence_s=0.1))
                await connection.input_audio_buffer.commit()
                await connection.response.create()
                audio = await until(connection, "response.output_audio.delta")
                truncated = audio.item_id
                assert len(base64.b64decode(audio.delta)) == 9600  # 200 ms at 24 kHz
                await until(connection, "response.done")
                await connection.conversation.item.truncate(
                    item_id=truncated, content_index=0, audio_end_ms=150
                )
                cut = await until(connection, "conversation.item.truncated")
                assert cut.audio_end_ms == 150
            assert not service.violations, service.violations
            assert len(service.records[0].heard) == 2

    run(talk)


def test_who_asks_for_the_models_gets_them_and_a_wrong_key_is_refused() -> None:
    async def ask() -> None:
        async with OpenAI(keys=frozenset({"right"})) as service:
            place = service.url.replace("ws", "http") + "/v1"
            async with openai.AsyncOpenAI(api_key="right", base_url=place) as client:
                names = [model.id async for model in client.models.list()]
                assert "gpt-realtime-2.1" in names
            async with openai.AsyncOpenAI(api_key="wrong", base_url=place) as client:
                with pytest.raises(openai.AuthenticationError):
                    await client.models.list()

    run(ask)


def test_the_hour_ends_the_vendors_loop_as_the_service_does() -> None:
    """1001 with the sentence of the cap; an `error` before it."""

    async def talk() -> None:
        async with OpenAI(speed=36_000) as service:
            client = openai.AsyncOpenAI(api_key="k", websocket_base_url=f"{service.url}/v1")
            async with client.realtime.connect(model="gpt-realtime-2.1") as connection:
                events = [event async for event in connection]
                assert events[-1].error.code == "session_expired"
                assert connection._connection.close_code == 1001
                assert "60 minutes" in connection._connection.close_reason

    run(talk)


def test_silence_begins_no_turn() -> None:
    async def talk() -> None:
        async with OpenAI() as service:
            client = openai.AsyncOpenAI(api_key="k", websocket_base_url=f"{service.url}/v1")
            async with client.realtime.connect(model="gpt-realtime-2.1") as connection:
                await speak(connection, silence(3000))
                await connection.input_audio_buffer.clear()
                await until(connection, "input_audio_buffer.cleared")
            assert set(service.records[0].sent) == {
                "session.created",
                "input_audio_buffer.cleared",
            }

    run(talk)
