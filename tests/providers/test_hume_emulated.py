"""Hume EVI against its strict stand-in, which must find nothing wrong with what it is told."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from hypothesis import given, settings

from tests.providers.hume_service import Recorder
from tests.providers.test_hume_codec import EVENTS, QUERIES
from tests.providers.test_hume_evi import BYE, TOOL
from voiced.emulators import hume_rules
from voiced.emulators.hume import Hume
from voiced.emulators.link import parts
from voiced.emulators.script import Connection, Fault, Heard, Reply, Script, Tool
from voiced.errors import ProviderError, ProviderRefused, ProviderUnavailable
from voiced.messages.network import HistoryRow
from voiced.providers import hume_codec as wire
from voiced.providers import provider_hume_evi as evi
from voiced.providers.contract import SessionRequest

SPEED = 20.0
STORY = "Once upon a time there was a lighthouse. " * 8


class Visit:
    """A chat with the stand-in, from the network's side."""

    def __init__(self, hume: Hume, told: Recorder, conn: evi.Connection) -> None:
        self.hume, self.told, self.conn = hume, told, conn

    async def speak(self, ms: int) -> None:
        """Send so much of the microphone; the script says where in it speech is."""
        for _ in range(ms // 20):
            await evi.send_audio_frame(self.conn, bytes(640))

    async def replies(self, count: int) -> list[str]:
        """Wait for so many replies in all; return how each ended."""
        await self.told.until("response_done", count)
        return [call[2] for call in self.told.named("response_done")]

    @property
    def said(self) -> str:
        return " ".join(call[3] for call in self.told.named("assistant_text") if call[3])


def visit(
    scene: Callable[[Visit], Awaitable[None]], script: Script, *, speed: float = SPEED, **fields
) -> tuple[Hume, Recorder]:
    told = Recorder()

    async def run() -> Hume:
        async with Hume(script, speed=speed) as hume:
            page = {"endpoint": hume.url, **fields.pop("page", {})}
            request = SessionRequest(
                agent="a", leg=1, parameters=page, **{"api_key": "hk-secret", **fields}
            )
            conn = await evi.start_session(request, told)
            await scene(Visit(hume, told, conn))
            await evi.end_session(conn)
            assert list(hume.violations) == []
            return hume

    return asyncio.run(run()), told


def heard(*texts: str) -> list[Heard]:
    return [Heard(text=text, revisions=[text.split()[0]]) for text in texts]


def test_a_conversation_with_a_tool_an_interruption_typed_words_and_a_note():
    async def scene(v: Visit):
        await v.speak(2400)
        assert await v.replies(1) == ["completed"]
        await v.speak(2400)
        call = await v.told.until("tool_call")
        assert call[2:] == ("set_light", '{"colour":"blue"}')
        await evi.send_tool_response(v.conn, call[1], "set_light", True, "It is blue.")
        await v.replies(2)
        await evi.send_text(v.conn, "Tell me a story.")
        await v.told.until("response_started", 3)
        await v.told.until("audio", len(v.told.named("audio")) + 1)
        await v.speak(2800)
        assert (await v.replies(4))[2:] == ["cancelled", "completed"]
        await evi.note(v.conn, "It rains.")
        await evi.say(v.conn, "We close now.")
        await v.replies(5)
        await evi.send_text(v.conn, "Do you remember me?")
        assert await v.replies(6) == ["completed"] * 2 + ["cancelled"] + ["completed"] * 3

    script = Script(
        tool=[Tool(words=["light"], name="set_light", arguments={"colour": "blue"})],
        connection=[
            Connection(
                speech=[(200, 1200), (2600, 3600), (5000, 6500)],
                heard=heard("My name is Ada.", "Make the light blue.", "Stop that, please."),
                reply=[Reply(), Reply(), Reply(), Reply(says=STORY, gap_s=2.0)],
                options={"late_audio": True, "list_chunk": True, "scores": {"Joy": 0.75}},
            )
        ],
    )  # fmt: skip
    hume, told = visit(scene, script, tools=[TOOL], page={"Systemprompt": "You are Orb."})
    rows = [call[2] for call in told.named("user_text") if call[-1].get("final")]
    assert rows == ["My name is Ada.", "Make the light blue.", "Stop that, please."]
    assert len(told.named("speech_started")) == len(told.named("speech_ended")) == 3
    assert all(call[1]["hume_evi_affect_joy"] == 0.75 for call in told.named("signals"))
    assert len(told.named("affect")) == 3
    # What came after the interruption is nobody's.
    at = told.calls.index(("response_done", "r3", "cancelled"))
    assert ("interrupted",) in told.calls[:at]
    late = [call for call in told.calls[at:] if call[0] == "audio" and call[1] == "r3"]
    assert late == []
    assert told.named("trouble", "closed") == []
    assert "We close now." in " ".join(c[3] for c in told.named("assistant_text"))
    assert sum(record.audio_in_s for record in hume.records) == pytest.approx(7.6)


def test_push_to_talk_holds_the_answer_until_talk_is_let_go():
    async def scene(v: Visit):
        await evi.send_activity(v.conn, True)
        await v.speak(4000)
        await v.told.until("user_text", 2)
        assert v.told.named("response_started") == []
        await v.speak(evi.TRAILING_SILENCE_MS)
        await evi.send_activity(v.conn, False)
        assert await v.replies(1) == ["completed"]

    script = Script(
        connection=[Connection(speech=[(200, 1200), (2600, 3900)], heard=heard("One.", "Two."))]
    )
    _, told = visit(scene, script, push_to_talk=True)
    final = [call[2] for call in told.named("user_text") if call[-1].get("final")]
    assert final == ["One.", "Two."]
    assert "Two." in " ".join(call[3] for call in told.named("assistant_text"))


def test_hang_up_closes_without_trouble():
    async def scene(v: Visit):
        await evi.send_text(v.conn, "Goodbye then.")
        await v.told.until("tool_call")
        await asyncio.wait([v.conn.reader], timeout=10)

    _, told = visit(scene, Script(), tools=[TOOL, BYE], page={"hang_up": True})
    assert [call[2] for call in told.named("tool_call")] == ["end_conversation"]
    assert told.named("closed") == []


@pytest.mark.parametrize(
    ("connection", "goaway", "code"),
    [
        (Connection(longest_s=5.0), "cap", "E0709"),
        (Connection(fault=[Fault(what="cap", after_s=1.0)]), "cap", "E0709"),
        (Connection(options={"inactivity_s": 30.0}), "goaway", "E0708"),
    ],
)
def test_a_limit_is_a_refresh_and_the_next_chat_remembers(connection, goaway, code):
    async def run():
        told, again = Recorder(), Recorder()
        async with Hume(Script(connection=[connection, Connection()]), speed=SPEED) as hume:
            page = {"endpoint": hume.url}
            request = SessionRequest(agent="a", leg=1, parameters=page, api_key="hk")
            conn = await evi.start_session(request, told)
            await evi.send_text(conn, "My name is Ada.")
            assert await told.until("goaway") == ("goaway", goaway, 0.0)
            error = (await told.until("closed"))[1]
            assert (type(error), error.code) == (ProviderUnavailable, code)
            handle = evi.get_persistable_state(conn)
            await evi.end_session(conn)
            resumed = SessionRequest(agent="a", leg=2, parameters=page, api_key="hk", handle=handle)
            conn = await evi.start_session(resumed, again)
            assert conn.resumed
            await evi.send_text(conn, "Do you remember?")
            await again.until("response_done")
            await evi.end_session(conn)
            assert list(hume.violations) == []
        assert "My name is Ada." in " ".join(c[3] for c in again.named("assistant_text"))

    asyncio.run(run())


def test_a_group_that_is_gone_begins_afresh():
    async def scene(v: Visit):
        assert not v.conn.resumed
        rows = [HistoryRow(role="user", text="I am Ada."), HistoryRow(role="user", text="Who?")]
        await evi.prime_history(v.conn, rows, True)
        assert await v.replies(1) == ["completed"]

    script = Script(connection=[Connection(options={"gone_groups": True})] * 2)
    visit(scene, script, handle="00000000-0000-4000-8000-000000000000")


@pytest.mark.parametrize(
    ("fault", "kind", "code"),
    [
        (Fault(what="close", code=1011, after_s=0.5), ProviderUnavailable, "1011"),
        (Fault(what="close", code=1000, after_s=0.5), ProviderUnavailable, "1000"),
        (Fault(what="reset", after_s=0.5), ProviderUnavailable, "1006"),
        (Fault(what="error", error="I0100", after_s=0.5), ProviderUnavailable, "I0100"),
        (Fault(what="error", error="E0300", after_s=0.5), ProviderRefused, "E0300"),
    ],
)
def test_faults_end_a_chat_as_they_should(fault, kind, code):
    async def scene(v: Visit):
        await v.told.until("closed")

    _, told = visit(scene, Script(connection=[Connection(fault=[fault])]))
    error: ProviderError = told.named("closed")[0][1]
    assert (type(error), error.code) == (kind, code)


@pytest.mark.parametrize(
    "frame", ["{not json", "[]", '{"type":"news"}', '{"type":"audio_output","id":"x"}', ""]
)
def test_garbage_is_survived(frame):
    async def scene(v: Visit):
        await evi.send_text(v.conn, "Hello?")
        assert await v.replies(1) == ["completed"]

    visit(scene, Script(connection=[Connection(fault=[Fault(what="send", frame=frame)])]))


def test_a_reply_that_loses_its_end_is_ended_by_the_next_words():
    async def scene(v: Visit):
        await evi.send_text(v.conn, "Hello?")
        await v.told.until("audio")
        await evi.interrupt(v.conn, [])
        await v.speak(2400)
        assert await v.replies(2) == ["cancelled", "completed"]

    connection = Connection(
        speech=[(200, 1200)],
        heard=heard("And now?"),
        fault=[Fault(what="lost_done", reply=1)],
        options={"min_interruption_ms": 2000},
    )
    visit(scene, Script(connection=[connection]))


@pytest.mark.parametrize("kind", EVENTS)
def test_the_stand_in_takes_every_client_event(kind):
    @settings(max_examples=40)
    @given(EVENTS[kind])
    def holds(event):
        read = hume_rules.read(wire.encode(event).decode())
        assert read.__struct_config__.tag == kind

    holds()


@given(QUERIES)
def test_the_stand_in_takes_every_address(query):
    path, pairs = parts(wire.address(query).removeprefix("wss://api.hume.ai"))
    found, wrong = hume_rules.settings_of(pairs)
    assert (path, wrong) == ("/v0/evi/chat", [])
    assert found.audio is not None
    assert (found.audio.sample_rate, found.audio.channels) == (query.sample_rate, 1)
