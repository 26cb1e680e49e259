"""The whole provider against the strict stand-in of the service."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import numpy as np
import pytest

from voiced.emulators.openai import OpenAI
from voiced.emulators.script import Call, Connection, Fault, Heard, Reply, Script
from voiced.errors import ProviderRefused, ProviderUnavailable
from voiced.messages.network import HistoryRow
from voiced.providers import provider_openai_realtime as provider

from .openai_hand import LIGHT, Recorder, request

FRAME = 2 * 24000 * 20 // 1000
NOISE = (np.random.default_rng(1).normal(0, 6000, 24000 * 20 // 1000)).astype("<i2").tobytes()
LONG = "This is a long answer that goes on for quite a while, so that it can be interrupted. " * 3


@asynccontextmanager
async def service(*connections: Connection, **options) -> AsyncIterator[OpenAI]:
    async with OpenAI(Script(connection=list(connections)), **options) as emulator:
        yield emulator
        assert list(emulator.violations) == []


@asynccontextmanager
async def talking(emulator: OpenAI, recorder: Recorder, *args, **named):
    conn = await provider.start_session(request(*args, endpoint=emulator.url, **named), recorder)
    try:
        yield conn
    finally:
        await provider.end_session(conn)


async def send(conn, ms: int, chunk: bytes = bytes(FRAME)) -> None:
    for _ in range(ms // 20):
        await provider.send_audio_frame(conn, chunk)
        await asyncio.sleep(0)  # a microphone leaves time between its frames


def run(scene) -> None:
    asyncio.run(asyncio.wait_for(scene(), 60))


def test_a_conversation_with_voice_detection_and_barge_in() -> None:
    first = Connection(
        speech=[(200, 1200), (3000, 4000)],
        heard=[
            Heard(text="Who are you?", revisions=["Who"]),
            Heard(text="Stop it."),
        ],
        reply=[Reply(says=LONG), Reply(says="Sorry, go on.")],
    )

    async def scene() -> None:
        recorder = Recorder()
        async with service(first) as emulator, talking(emulator, recorder) as conn:
            assert conn.session_id.startswith("sess_")
            await send(conn, 2000)
            await recorder.told("response_done")
            assert recorder.named("speech_started")[0][1] is not None
            item = recorder.named("audio")[0][2]
            recorder.heard[item] = 620
            await send(conn, 1200)
            await recorder.told("interrupted", 2)
            await send(conn, 1800)
            await recorder.told("response_done", 2)
            await recorder.until(lambda: "Stop it." in recorder.words())
            assert recorder.words()[0] == "Who are you?"
            assert emulator.sessions[0].conversation.find(item).audio_ms == 620
            assert recorder.troubles == []
            assert len(recorder.named("usage")) == 4

    run(scene)


def test_push_to_talk() -> None:
    script = Connection(heard=[Heard(text="Hello.")], reply=[Reply(says="Hello to you.")])

    async def scene() -> None:
        recorder = Recorder()
        async with (
            service(script) as emulator,
            talking(emulator, recorder, push_to_talk=True) as conn,
        ):
            await provider.send_activity(conn, True)
            await send(conn, 60)
            await provider.send_activity(conn, False)
            await recorder.told("user_turn_dropped")
            await provider.send_activity(conn, True)
            await send(conn, 400)
            await provider.send_activity(conn, False)
            await recorder.told("response_done")
            assert set(recorder.words()) == {"Hello.", "Hello to you."}
            # Pressed into a reply that still sounds, of which everything was sent.
            await provider.send_activity(conn, True)
            await send(conn, 400)
            await provider.send_activity(conn, False)
            await recorder.told("response_done", 2)
            assert recorder.troubles == []

    run(scene)


def test_a_tool_typed_text_a_picture_a_note_and_words_to_be_said() -> None:
    script = Connection(
        reply=[
            Reply(says="One moment.", calls=[
                Call(name="set_light", arguments={"colour": "blue"}),
                Call(name="set_light", arguments={"colour": "red"}),
            ]),
            Reply(says="It is blue."),
            Reply(says="I see a square."),
            Reply(says="We close in five minutes."),
        ]
    )  # fmt: skip

    async def scene() -> None:
        recorder = Recorder()
        async with (
            service(script) as emulator,
            talking(emulator, recorder, tools=(LIGHT,)) as conn,
        ):
            await provider.send_text(conn, "Make it blue.")
            first, second = await recorder.until(
                lambda: recorder.named("tool_call")[1:] and recorder.named("tool_call")
            )
            await provider.send_tool_response(conn, second[1], second[2], False, "no red here")
            await provider.send_tool_response(conn, first[1], first[2], True, '{"ok":true}')
            await recorder.told("response_done", 2)
            await provider.send_video_frame(conn, b"\xff\xd8\xff\xe0 a picture")
            await provider.note(conn, "It is raining outside.")
            await provider.send_text(conn, "What do you see?")
            await recorder.told("response_done", 3)
            await provider.say(conn, "We close in five minutes.")
            await recorder.told("response_done", 4)
            items = list(emulator.sessions[0].conversation)
            parts = [part.type for item in items if item.role == "user" for part in item.content]
            assert parts == ["input_text", "input_text", "input_image"]
            assert [call[2] for call in recorder.named("response_done")] == ["completed"] * 4
            assert recorder.troubles == []

    run(scene)


@pytest.mark.parametrize("choice", ["set_light", "required"])
def test_a_turn_that_must_call_a_tool_is_answered_after_it(choice: str) -> None:
    async def scene() -> None:
        recorder = Recorder()
        async with (
            service(Connection()) as emulator,
            talking(emulator, recorder, {"tool_choice": choice}, tools=(LIGHT,)) as conn,
        ):
            for turn in (1, 2):
                await provider.send_text(conn, "Make it blue.")
                await recorder.told("tool_call", turn)
                call = recorder.named("tool_call")[-1]
                await provider.send_tool_response(conn, call[1], call[2], True, "it is blue")
                await recorder.told("response_done", 2 * turn)
            assert len(recorder.named("tool_call")) == 2
            assert recorder.words().count("The tool says: it is blue") == 2

    run(scene)


def test_history_is_primed_and_its_last_row_answered() -> None:
    rows = [
        HistoryRow(role="user", text="My name is Ada."),
        HistoryRow(role="assistant", text="Hello Ada."),
        HistoryRow(role="user", text="What is my name?"),
    ]

    async def scene() -> None:
        recorder = Recorder()
        async with (
            service(Connection(reply=[Reply(says="Ada.")])) as emulator,
            talking(emulator, recorder) as conn,
        ):
            await provider.prime_history(conn, rows, True)
            await recorder.told("response_done")
            assert [item.role for item in emulator.sessions[0].conversation] == [
                "user", "assistant", "user", "assistant",
            ]  # fmt: skip

    run(scene)


def test_the_cap() -> None:
    async def scene() -> None:
        recorder = Recorder()
        async with (
            service(Connection(fault=[Fault(what="cap", after_s=0.1)])) as emulator,
            talking(emulator, recorder),
        ):
            error = (await recorder.told("closed"))[1]
            assert isinstance(error, ProviderUnavailable)
            assert error.code == "session_expired"
            assert recorder.named("goaway") == [("goaway", "cap", 0.0)]

    run(scene)


def test_a_wrong_key_is_refused_with_what_to_do() -> None:
    async def scene() -> None:
        async with service(keys=frozenset({"sk-right"})) as emulator:
            with pytest.raises(ProviderRefused) as refused:
                await provider.start_session(request(endpoint=emulator.url), Recorder())
        assert str(refused.value) == "OpenAI refused the key: set it with voiced key set openai"
        assert refused.value.code == "invalid_key"

    run(scene)


def test_settings_change_while_it_talks() -> None:
    async def scene() -> None:
        recorder = Recorder()
        async with (
            service(Connection(reply=[Reply(says=LONG), Reply(says="Yes.")])) as emulator,
            talking(emulator, recorder) as conn,
        ):
            await provider.send_text(conn, "Talk.")
            await recorder.told("audio")
            update = {"speed": 1.25, "silence_duration_ms": 900, "Voice": "cedar"}
            await provider.update_session(conn, update, [LIGHT])
            await provider.send_text(conn, "And?")
            await recorder.told("response_done", 2)
            session = emulator.sessions[0]
            assert session.output.speed == 1.25
            assert session.output.voice == "marin"
            assert session._detection.silence_duration_ms == 900
            assert recorder.troubles == ["voice"]

    run(scene)
