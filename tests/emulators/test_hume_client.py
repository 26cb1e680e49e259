"""Hume's own client holds a conversation with the emulated EVI, unchanged."""

from __future__ import annotations

import asyncio
import base64
import io
import wave

import pytest

from tests.emulators.client import visitor
from tests.emulators.vendors import package
from voiced.emulators.hume import Hume
from voiced.emulators.hume_wire import SCORES
from voiced.emulators.script import Connection, Heard, Reply, Script, Tool

client = package("hume.client")
types = package("hume.empathic_voice.types")

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

LINEAR = types.AudioConfiguration(encoding="linear16", sample_rate=16_000, channels=1)


def of(hume: Hume, **how):
    vendor = client.AsyncHumeClient(api_key="key", base_url=hume.url.replace("ws", "http", 1))
    return vendor.empathic_voice.chat.connect(**how)


async def until(socket, *kinds: str) -> list:
    """Return messages up to the first of one of these types."""
    found = []
    async with asyncio.timeout(20):
        while True:
            found.append(await socket.recv())
            if found[-1].type in kinds:
                return found


async def say(socket, pcm: bytes) -> None:
    for at in range(0, len(pcm), 3200):
        data = base64.b64encode(pcm[at : at + 3200]).decode()
        await socket.send_audio_input(types.AudioInput(data=data))


def said(messages) -> str:
    return " ".join(m.message.content for m in messages if m.type == "assistant_message")


def test_a_conversation_of_six_turns_with_humes_own_client():
    script = Script(
        tool=[Tool(words=["time"], name="get_time", arguments={"town": "Oslo"})],
        connection=[
            Connection(
                heard=[Heard(text="He was not ill disposed."), Heard(text="Stop, please.")],
                reply=[Reply(), Reply(), Reply(), Reply(says="Once upon a time. " * 20)],
            ),
            Connection(),
        ],
    )

    async def play():
        async with Hume(script, speed=4.0) as hume:
            settings = types.ConnectSessionSettings(
                audio=types.ConnectSessionSettingsAudio(
                    encoding="linear16", sample_rate=16_000, channels=1
                ),
                system_prompt="You are the lighthouse.",
                variables={"name": "Ada", "age": 30},
            )
            tool = types.Tool(
                type="function",
                name="get_time",
                parameters='{"type": "object", "properties": {}}',
            )
            async with of(hume, api_key="key", verbose_transcription=True,
                          session_settings=settings) as socket:  # fmt: skip
                (first,) = await until(socket, "chat_metadata")
                await socket.send_session_settings(types.SessionSettings(tools=[tool]))
                await say(socket, visitor("lv_0880.wav", 16_000, silence_s=1.5))
                spoken = await until(socket, "assistant_end")
                (user,) = [m for m in spoken if m.type == "user_message" and not m.interim]
                assert user.message.content == "He was not ill disposed."
                scores = user.models.prosody.scores.model_dump(by_alias=True)
                assert tuple(sorted(scores)) == SCORES
                assert said(spoken) == "You said: He was not ill disposed."
                for message in spoken:
                    if message.type == "audio_output":
                        with wave.open(io.BytesIO(base64.b64decode(message.data))) as file:
                            assert file.getframerate() == 48_000

                await socket.send_user_input(types.UserInput(text="What time is it?"))
                (*_, call) = await until(socket, "tool_call")
                await socket.send_tool_response(
                    types.ToolResponseMessage(tool_call_id=call.tool_call_id, content="nine")
                )
                assert said(await until(socket, "assistant_end")) == "get_time says nine"

                await socket.send_user_input(types.UserInput(text="Tell me a story."))
                await until(socket, "audio_output")
                await say(socket, visitor("lv_0890.wav", 16_000, silence_s=1.5))
                await until(socket, "user_interruption")
                assert said(await until(socket, "assistant_end")) == "You said: Stop, please."

                await socket.send_pause_assistant(types.PauseAssistantMessage())
                await socket.send_resume_assistant(types.ResumeAssistantMessage())
                await socket.send_assistant_input(types.AssistantInput(text="Good night."))
                assert said(await until(socket, "assistant_end")) == "Good night."
            async with of(hume, resumed_chat_group_id=first.chat_group_id) as socket:
                (again,) = await until(socket, "chat_metadata")
                assert again.chat_group_id == first.chat_group_id
                await socket.send_user_input(types.UserInput(text="Do you remember?"))
                heard = said(await until(socket, "assistant_end"))
                assert heard == "Yes, I remember. You said: He was not ill disposed."
            assert list(hume.violations) == []

    asyncio.run(play())


def test_a_wrong_key_is_an_api_error():
    error = package("hume.core.api_error").ApiError

    async def play():
        async with Hume(keys=frozenset({"right"})) as hume:
            with pytest.raises(error) as refused:
                async with of(hume):
                    pass
            return refused.value.status_code

    assert asyncio.run(play()) == 401
