"""The whole provider against the strict stand-in of the service."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from voiced.emulators.script import Call, Connection, Fault, Heard, Reply, Script
from voiced.emulators.xai import XAI
from voiced.messages.network import HistoryRow
from voiced.providers import provider_xai_grok as provider

from .openai_hand import LIGHT, Recorder
from .xai_hand import request

FRAME = 2 * 24000 * 20 // 1000
LONG = "This is a long answer that goes on for quite a while, so that it can be interrupted. " * 3


@asynccontextmanager
async def service(*connections: Connection, **options) -> AsyncIterator[XAI]:
    async with XAI(Script(connection=list(connections)), **options) as emulator:
        yield emulator
        assert list(emulator.violations) == []


@asynccontextmanager
async def talking(emulator: XAI, recorder: Recorder, *args, **named):
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


def booked(recorder: Recorder) -> float:
    return sum(call[2] for call in recorder.named("usage"))


def billed(emulator: XAI) -> float:
    return sum(line.usd for line in emulator.bill.lines)


def test_a_conversation_with_voice_detection_and_barge_in() -> None:
    first = Connection(
        speech=[(200, 1200), (6000, 7000)],
        heard=[
            Heard(text="Who are you, please?", revisions=["Who", "Who are"]),
            Heard(text="Stop it."),
        ],
        reply=[Reply(says=LONG, gap_s=0.02), Reply(says="Sorry, go on.")],
    )

    async def scene() -> None:
        recorder = Recorder()
        async with service(first) as emulator, talking(emulator, recorder) as conn:
            assert conn.session_id.startswith("sess_")
            await send(conn, 3000)
            await recorder.told("audio", 4)
            item = recorder.named("audio")[0][2]
            recorder.heard[item] = 620
            await send(conn, 5500)
            await recorder.told("response_done", 2)
            assert [c[2] for c in recorder.named("response_done")] == ["cancelled", "completed"]
            finals = [c[2] for c in recorder.named("user_text") if c[4]]
            assert finals == ["Who are you, please?", "Stop it."]
            await send(conn, 20)
            await recorder.until(
                lambda: emulator.sessions[0].conversation.find(item).audio_ms == 620
            )
            assert recorder.troubles == []
            assert booked(recorder) == pytest.approx(billed(emulator))

    run(scene)


@pytest.mark.parametrize(
    "options",
    [
        {}, {"old_names": True}, {"twice": True}, {"session_created": False},
        {"usage": "response"}, {"created": False},
    ],
)  # fmt: skip
def test_however_the_service_tells_it(options: dict) -> None:
    script = Connection(
        speech=[(200, 1200)],
        heard=[Heard(text="Make it blue.")],
        reply=[
            Reply(says="One moment.", calls=[
                Call(name="set_light", arguments={"colour": "blue"}),
                Call(name="set_light", arguments={"colour": "red"}),
            ]),
            Reply(says="It is blue."),
        ],
        options=options,
    )  # fmt: skip

    async def scene() -> None:
        recorder = Recorder()
        async with (
            service(script) as emulator,
            talking(emulator, recorder, tools=(LIGHT,)) as conn,
        ):
            await send(conn, 3000)
            first, second = await recorder.until(
                lambda: recorder.named("tool_call")[1:] and recorder.named("tool_call")
            )
            await provider.send_tool_response(conn, second[1], second[2], False, "no red here")
            await provider.send_tool_response(conn, first[1], first[2], True, '{"ok":true}')
            await recorder.told("response_done", 2)
            assert len(recorder.named("tool_call")) == 2
            assert set(recorder.words()) == {"Make it blue.", "One moment.", "It is blue."}
            assert recorder.troubles == []
            assert booked(recorder) == pytest.approx(billed(emulator))

    run(scene)


def test_who_speaks_on_is_answered_once() -> None:
    script = Connection(
        speech=[(200, 1200), (1850, 2600)],
        heard=[Heard(text="Make it blue please.")],
        reply=[Reply(says="Never heard."), Reply(says="It is blue.")],
    )

    async def scene() -> None:
        recorder = Recorder()
        async with service(script) as emulator, talking(emulator, recorder) as conn:
            await send(conn, 4000)
            await recorder.told("response_done", 2)
            assert [c[2] for c in recorder.named("response_done")] == ["cancelled", "completed"]
            assert recorder.words() == ["Make it blue please.", "It is blue."]
            assert len(recorder.named("speech_started")) == 1

    run(scene)


def test_push_to_talk() -> None:
    script = Connection(
        speech=[(500, 1000), (1100, 1600)],
        heard=[Heard(text="Hello."), Heard(text="And again.")],
        reply=[Reply(says="Hello to you."), Reply(says=LONG, gap_s=0.05), Reply(says="Yes.")],
    )

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
            # Silence: neither acknowledged nor answered.
            await provider.send_activity(conn, True)
            await send(conn, 400)
            await provider.send_activity(conn, False)
            await recorder.told("user_turn_dropped", 2)
            await provider.send_activity(conn, True)
            await send(conn, 600)
            await provider.send_activity(conn, False)
            await recorder.told("response_done")
            await recorder.until(lambda: [c for c in recorder.named("user_text") if c[4]])
            assert set(recorder.words()) == {"Hello.", "Hello to you."}
            # Pressed into a reply: it is over before any sound is sent.
            await provider.send_text(conn, "Tell me a story.")
            await recorder.told("response_started", 2)
            await provider.send_activity(conn, True)
            await send(conn, 600)
            assert recorder.named("response_done")[1][2] == "cancelled"
            await provider.send_activity(conn, False)
            await recorder.told("response_done", 3)
            assert recorder.words()[-1] == "Yes."
            assert recorder.troubles == []

    run(scene)


def test_typed_text_a_note_and_words_to_be_said() -> None:
    script = Connection(reply=[Reply(says=LONG), Reply(says="?"), Reply(says="Goodbye.")])

    async def scene() -> None:
        recorder = Recorder()
        async with service(script) as emulator, talking(emulator, recorder) as conn:
            await provider.note(conn, "It is raining outside.")
            await provider.send_text(conn, "What is the weather?")
            await recorder.told("response_started")
            await provider.say(conn, "We close in five minutes.")
            await recorder.told("response_done", 2)
            assert "We close in five minutes." in recorder.words()
            await provider.send_text(conn, "Goodbye.")
            await recorder.told("response_done", 3)
            assert [call[2] for call in recorder.named("response_done")] == ["completed"] * 3
            texts = [line for line in emulator.bill.lines if line.what == "text_item"]
            assert len(texts) == 4
            assert booked(recorder) == pytest.approx(billed(emulator))
            assert recorder.troubles == []

    run(scene)


ROWS = [
    HistoryRow(role="user", text="My name is Ada."),
    HistoryRow(role="assistant", text="Hello Ada."),
    HistoryRow(role="user", text="What is my name?"),
]


def test_history_is_told_for_the_price_of_one_text() -> None:
    async def scene() -> None:
        recorder = Recorder()
        async with (
            service(Connection(reply=[Reply(says="Ada.")])) as emulator,
            talking(emulator, recorder, {"Systemprompt": "You are a fountain."}) as conn,
        ):
            await provider.prime_history(conn, ROWS, True)
            await recorder.told("response_done")
            session = emulator.sessions[0]
            assert [item.role for item in session.conversation] == ["user", "assistant"]
            assert "You: Hello Ada." in session.instructions
            texts = [line for line in emulator.bill.lines if line.what == "text_item"]
            assert len(texts) == 1

    run(scene)


def test_a_conversation_is_taken_up_by_the_services_own_memory() -> None:
    native = {"resumption": "native"}

    async def scene() -> None:
        async with service(Connection(reply=[Reply(says="Hello.")])) as emulator:
            first = Recorder()
            async with talking(emulator, first, native) as conn:
                assert not conn.resumed
                await provider.send_text(conn, "Hello?")
                await first.told("response_done")
                handle = provider.get_persistable_state(conn)
            second = Recorder()
            async with talking(
                emulator, second, native, handle=handle, history=tuple(ROWS)
            ) as conn:
                assert conn.resumed
                await provider.prime_history(conn, [], True)
                await second.told("response_done")
                words = [item.words for item in emulator.sessions[1].conversation]
                assert words[:2] == ["Hello.", "What is my name?"]
            emulator.kept.clear()
            async with talking(emulator, Recorder(), native, handle=handle) as conn:
                assert not conn.resumed
            async with talking(emulator, Recorder(), handle=handle) as conn:
                assert not conn.resumed
            assert booked(first) + booked(second) == pytest.approx(billed(emulator))

    run(scene)


def test_a_reply_whose_end_is_lost_does_not_hold_up_the_next_turn() -> None:
    script = Connection(
        speech=[(3000, 4000)],
        heard=[Heard(text="Still there?")],
        reply=[Reply(says="Hello."), Reply(says="Yes.")],
        fault=[Fault(what="lost_done", reply=1)],
    )

    async def scene() -> None:
        recorder = Recorder()
        async with service(script) as emulator, talking(emulator, recorder) as conn:
            await provider.send_text(conn, "Hello?")
            await recorder.told("audio_done")
            await send(conn, 5500)
            await recorder.told("response_done", 2)
            assert [c[2] for c in recorder.named("response_done")] == ["cancelled", "completed"]
            assert "Yes." in recorder.words()

    run(scene)


def test_a_reply_that_fails_is_asked_for_once_more() -> None:
    script = Connection(reply=[Reply(fails="internal_error"), Reply(says="Hello.")])

    async def scene() -> None:
        recorder = Recorder()
        async with service(script) as emulator, talking(emulator, recorder) as conn:
            await provider.send_text(conn, "Hello?")
            await recorder.told("response_done", 2)
            assert [c[2] for c in recorder.named("response_done")] == ["failed", "completed"]
            assert recorder.troubles == ["internal_error"]

    run(scene)


def test_an_idle_session_ends_as_one_that_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(XAI, "idle_s", 0.2)

    async def scene() -> None:
        recorder = Recorder()
        async with service() as emulator, talking(emulator, recorder):
            error = (await recorder.told("closed"))[1]
            assert str(error) == "xAI ended a session in which nobody spoke"
            assert recorder.named("goaway") == [("goaway", "goaway", 0.0)]
            assert recorder.troubles == []

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
            update = {"speed": 1.25, "silence_duration_ms": 900, "Voice": "leo"}
            await provider.update_session(conn, update, [LIGHT])
            await provider.send_text(conn, "And?")
            await recorder.told("response_done", 2)
            session = emulator.sessions[0]
            assert session.output.speed == 1.25
            assert session.config.voice == "eve"
            assert session._detection.silence_duration_ms == 900
            assert [tool.called for tool in session.tools] == ["set_light"]
            assert recorder.troubles == ["voice"]

    run(scene)
