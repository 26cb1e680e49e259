"""Google's own client holds a conversation with the emulated Gemini, unchanged, over TLS."""

from __future__ import annotations

import asyncio
import ssl

import pytest

from tests.emulators import gemini_talk as g
from tests.emulators.client import visitor
from tests.emulators.vendors import package
from voiced.emulators.gemini import Gemini
from voiced.emulators.script import Connection, Heard, Reply, Script, Tool

genai = package("google.genai")
package("google.genai.live")
types = genai.types

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

JPEG = b"\xff\xd8\xff\xe0 a picture of the sea"
SETTINGS = {
    "response_modalities": ["AUDIO"],
    "speech_config": {"voice_config": {"prebuilt_voice_config": {"voice_name": "Kore"}}},
    "system_instruction": "You are the lighthouse.",
    "input_audio_transcription": {},
    "output_audio_transcription": {},
    "context_window_compression": {"trigger_tokens": 100_000, "sliding_window": {}},
    "realtime_input_config": {"automatic_activity_detection": {"disabled": True}},
    "tools": [
        {"google_search": {}},
        {
            "function_declarations": [
                {
                    "name": "get_time",
                    "description": "the time of a town",
                    "behavior": "BLOCKING",
                    "parameters": {"type": "OBJECT", "properties": {"town": {"type": "STRING"}}},
                }
            ]
        },
    ],
}


def of(gemini: Gemini, version: str | None = "v1beta"):
    context = ssl.create_default_context(cafile=str(gemini.certificate))
    options = types.HttpOptions(
        base_url=gemini.url.replace("wss", "https"),
        api_version=version,
        async_client_args={"ssl": context},
    )
    return genai.Client(api_key="key", http_options=options)


def settings(handle: str | None = None, **more):
    return {**SETTINGS, "session_resumption": {"handle": handle} if handle else {}, **more}


async def say(session, pcm: bytes) -> None:
    await session.send_realtime_input(activity_start={})
    for at in range(0, len(pcm), 3200):
        chunk = types.Blob(data=pcm[at : at + 3200], mime_type="audio/pcm;rate=16000")
        await session.send_realtime_input(audio=chunk)
    await session.send_realtime_input(activity_end={})


class Exchange:
    """What one exchange brought."""

    def __init__(self) -> None:
        self.audio, self.user, self.model = b"", "", ""
        self.tokens, self.interrupted = 0, False

    def take(self, message) -> None:
        content = message.server_content
        if message.usage_metadata:
            self.tokens += message.usage_metadata.total_token_count or 0
        if content is None:
            return
        for part in (content.model_turn.parts if content.model_turn else None) or []:
            self.audio += part.inline_data.data if part.inline_data else b""
        if content.input_transcription:
            self.user += content.input_transcription.text or ""
        if content.output_transcription:
            self.model += content.output_transcription.text or ""
        self.interrupted |= bool(content.interrupted)


async def exchange(session, on_call=None) -> Exchange:
    """Listen until the exchange is over, as the vendor's `receive` means it."""
    heard = Exchange()
    async with asyncio.timeout(20):
        async for message in session.receive():
            heard.take(message)
            if message.tool_call:
                await on_call(message.tool_call.function_calls)
    return heard


def test_a_conversation_of_six_turns_with_googles_own_client():
    script = Script(
        tool=[Tool(words=["time"], name="get_time", arguments={"town": "Oslo"}, says="A moment.")],
        connection=[
            Connection(
                heard=[
                    Heard(text="He was not an ill disposed young man."),
                    Heard(text="What time is it?"),
                    Heard(text="Stop."),
                ],
                reply=[
                    Reply(), Reply(), Reply(), Reply(says="Once upon a time there was a sea. " * 9)
                ],
            ),
            Connection(),
        ],
    )  # fmt: skip

    async def answer(session, calls) -> None:
        (call,) = calls
        assert (call.name, call.args) == ("get_time", {"town": "Oslo"})
        response = types.FunctionResponse(
            id=call.id, name=call.name, response={"output": "ten past nine"}
        )
        await session.send_tool_response(function_responses=[response])

    async def play():
        async with Gemini(script, tls=True, speed=10.0) as gemini:
            client = of(gemini)
            async with client.aio.live.connect(model=g.LIVE, config=settings()) as session:
                await say(session, visitor("lv_0880.wav", 16_000))
                first = await exchange(session)
                assert first.user == "He was not an ill disposed young man."
                assert first.model == f"You said: {first.user}"
                assert len(first.audio) > 24_000
                assert first.tokens > 25 * 3  # the visitor's three seconds alone

                await say(session, visitor("lv_0930.wav", 16_000))
                second = await exchange(session, lambda calls: answer(session, calls))
                assert second.model.endswith("get_time says ten past nine")

                turn = types.Content(
                    role="user",
                    parts=[
                        types.Part(text="Tell me a story about this."),
                        types.Part.from_bytes(data=JPEG, mime_type="image/jpeg"),
                    ],
                )
                await session.send_client_content(turns=turn, turn_complete=True)
                received = session.receive()
                async with asyncio.timeout(20):
                    async for message in received:
                        if message.server_content and message.server_content.model_turn:
                            break
                await say(session, visitor("lv_0890.wav", 16_000))
                cut = await exchange(session)
                assert cut.interrupted
                assert (await exchange(session)).model == "You said: Stop."

                image = types.Blob(data=JPEG, mime_type="image/jpeg")
                await session.send_realtime_input(video=image)
                await session.send_realtime_input(text="Please search the tide.")
                assert (await exchange(session)).model == "You said: Please search the tide."
                handle = gemini.handles.give(gemini.conversations[0])
            async with client.aio.live.connect(model=g.LIVE, config=settings(handle)) as session:
                await session.send_realtime_input(text="Do you remember?")
                last = await exchange(session)
                assert last.model == f"Yes, I remember. You said: {first.user}"
            assert list(gemini.violations) == []
            assert gemini.bill.of(1) > gemini.bill.of(2) > 0

    asyncio.run(play())


def test_automatic_detection_with_a_recorded_visitor():
    """Nothing scripted: the visitor's speech is found in the sound."""

    async def play():
        async with Gemini(tls=True, speed=10.0) as gemini:
            config = settings(realtime_input_config=None)
            async with of(gemini).aio.live.connect(model=g.LIVE, config=config) as session:
                for at in range(0, len(pcm := visitor("lv_0880.wav", 16_000)), 3200):
                    chunk = types.Blob(data=pcm[at : at + 3200], mime_type="audio/pcm;rate=16000")
                    await session.send_realtime_input(audio=chunk)
                heard = await exchange(session)
                await session.send_realtime_input(audio_stream_end=True)
            assert list(gemini.violations) == []
            return heard

    assert len(asyncio.run(play()).audio) > 10_000


def test_a_seed_and_a_change_of_context_with_googles_own_client():
    async def play():
        async with Gemini(tls=True, speed=50.0) as gemini:
            config = settings(history_config={"initial_history_in_client_content": True})
            async with of(gemini).aio.live.connect(model=g.LIVE, config=config) as session:
                turns = [
                    {"role": "user", "parts": [{"text": "My name is Ada."}]},
                    {"role": "model", "parts": [{"text": "Hello Ada."}]},
                ]
                await session.send_client_content(turns=turns, turn_complete=True)
                await session.send_context_update(system_instruction="Be brief.", tools=[])
                await session.send_realtime_input(text="Do you remember?")
                heard = await exchange(session)
            assert list(gemini.violations) == []
            return heard.model

    assert asyncio.run(play()) == "Yes, I remember. You said: My name is Ada."


def test_a_refused_set_up_is_an_api_error_with_the_close_code():
    async def play(model: str, config):
        async with Gemini(tls=True) as gemini:
            with pytest.raises(genai.errors.APIError) as refused:
                async with of(gemini).aio.live.connect(model=model, config=config):
                    pass
            return refused.value.code

    assert asyncio.run(play("gemini-9", settings())) == 1008
    thinking = settings(thinking_config={"thinking_level": "LOW"})
    assert asyncio.run(play(g.LIVE, thinking)) == 1007


def test_extended_thinking_ends_an_exchange_only_when_it_is_idle():
    async def play():
        async with Gemini(tls=True, speed=50.0) as gemini:
            config = settings(tools=[], thinking_config={"thinking_level": "HIGH"})
            async with of(gemini).aio.live.connect(model=g.THINKING, config=config) as session:
                await session.send_realtime_input(text="Why?")
                heard = await exchange(session)
            assert list(gemini.violations) == []
            return heard.model

    assert asyncio.run(play()) == "Let me think.You said: Why?"
