"""The provider against the emulated service: conversations, refusals, drops, resumption."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging

import numpy as np
import pytest

from tests.providers.gemini_rig import KEY, PATIENCE_S, Callbacks, request
from voiced.emulators.gemini import Gemini
from voiced.emulators.script import Call, Connection, Fault, Heard, Reply, Script, Tool
from voiced.errors import ProviderRefused, ProviderUnavailable
from voiced.messages.network import HistoryRow, ToolDeclaration
from voiced.providers import contract
from voiced.providers import provider_gemini_live as gemini
from voiced.providers.registry import card_of

JPEG = b"\xff\xd8\xff\xe0 a picture"
LAMP = ToolDeclaration(
    name="set_light",
    description="Colour of the light",
    schema='{"type": "object", "properties": {"colour": {"type": "string"}}}',
)
FLASH, EXTENDED, NATIVE = (
    "gemini-3.1-flash-live-preview",
    "gemini-3.8-live-extended-thinking",
    "gemini-2.5-flash-native-audio-preview-12-2025",
)


def voice(ms: int) -> bytes:
    """Return sound that is no silence, int16 at the provider's rate."""
    t = np.arange(gemini.SAMPLE_RATE_IN * ms // 1000) / gemini.SAMPLE_RATE_IN
    return (8000 * np.sin(2 * np.pi * 220 * t)).astype("<i2").tobytes()


def service(*connections: Connection, **fields) -> Gemini:
    fields.setdefault("speed", 50.0)
    fields.setdefault("keys", frozenset({KEY}))
    script = Script(connection=list(connections), tool=fields.pop("tool", []))
    return Gemini(script, **fields)


@contextlib.asynccontextmanager
async def session(there: Gemini, **fields):
    """Open a session and close it."""
    callbacks = Callbacks()
    conn = await gemini.start_session(request(there.url, **fields), callbacks)
    try:
        yield conn, callbacks
    finally:
        await gemini.end_session(conn)


async def say(conn, ms: int = 400) -> None:
    """Speak while Talk is held."""
    await gemini.send_activity(conn, True)
    await speak(conn, ms)
    await gemini.send_activity(conn, False)


async def speak(conn, ms: int) -> None:
    sound = voice(ms)
    for at in range(0, len(sound), 640):
        await gemini.send_audio_frame(conn, sound[at : at + 640])


async def settled(condition) -> None:
    """Let the loop turn until something that tells nobody has happened."""
    async with asyncio.timeout(PATIENCE_S):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0)


def run(test) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(4 * PATIENCE_S):
            await test()

    asyncio.run(bounded())


def reasons(there: Gemini) -> list[str]:
    return [str(violation) for violation in there.violations]


# --- the module ------------------------------------------------------------------------------


def test_it_is_a_provider_as_the_contract_wants_it():
    assert contract.check(gemini) == []
    card = card_of("gemini_live", gemini)
    assert card.models[0] == "gemini-3.8-live"
    assert {FLASH, EXTENDED, NATIVE} < set(card.models)
    assert len(card.voices) == 30
    assert card.max_session_s == 900
    assert card.key_server == "gemini"
    assert not card.can_say
    assert set(card.models) <= set(card.pricing)


# --- conversations ---------------------------------------------------------------------------


def test_a_turn_by_push_to_talk():
    async def test():
        scripted = Connection(
            heard=[Heard(text="What time is it in Oslo?")], reply=[Reply(says="Ten past nine.")]
        )
        async with service(scripted) as there, session(there, push_to_talk=True) as (conn, told):
            await say(conn)
            await told.until("response_done")
            names = [what[0] for what in told.told if what[0] not in ("audio", "usage")]
            assert names.index("response_started") < names.index("assistant_text")
            assert told.rows() == [
                ("user", "What time is it in Oslo?"),
                ("assistant", "Ten past nine."),
            ]
            # Where the words lie is known by push-to-talk alone.
            _, item, _, final, start, end = told.of("user_text")[-1]
            assert (item, final, start, end) == ("u1", True, 0, 6400)
            assert told.of("response_done") == [("response_done", "r1", "completed")]
            assert told.of("audio_done") == [("audio_done", "r1", "a1")]
            assert told.of("speech_started", "speech_ended") == []
            samples = sum(what[3] for what in told.of("audio"))
            assert samples / gemini.SAMPLE_RATE_OUT == pytest.approx(
                there.records[0].audio_out_s, abs=0.01
            )
            assert there.records[0].received == {
                "setup": 1, "realtime_input": 22,
            }  # fmt: skip
            assert reasons(there) == []
        assert there.records[0].closed == 1000

    run(test)


def test_a_turn_that_the_service_finds():
    async def test():
        scripted = Connection(
            speech=[(100, 400)], heard=[Heard(text="Good evening.")], reply=[Reply(says="Hello!")]
        )
        async with service(scripted) as there, session(there) as (conn, told):
            await speak(conn, 1200)
            await told.until("response_done")
            assert told.rows() == [("user", "Good evening."), ("assistant", "Hello!")]
            # No position: the service does not say where the turn lay.
            assert told.of("speech_started", "speech_ended") == [
                ("speech_started",),
                ("speech_ended",),
            ]
            order = [what[0] for what in told.told]
            assert order.index("speech_started") < order.index("user_text")
            assert order.index("speech_ended") < order.index("response_started")
            assert reasons(there) == []

    run(test)


def test_the_model_that_tells_where_speech_lies():
    async def test():
        scripted = Connection(
            speech=[(100, 400)], heard=[Heard(text="Hi.")], reply=[Reply(says="Hello!")]
        )
        async with service(scripted) as there, session(there, Model=FLASH) as (conn, told):
            await speak(conn, 1200)
            await told.until("response_done")
            started, ended = told.of("speech_started", "speech_ended")
            assert started == ("speech_started", 1600)
            assert ended[0] == "speech_ended"
            assert 6400 <= ended[1] <= 16000
            assert reasons(there) == []

    run(test)


def test_a_barge_in_ends_the_reply_and_begins_the_next():
    async def test():
        scripted = Connection(
            heard=[Heard(text="Tell me a story."), Heard(text="Stop it.")],
            reply=[Reply(says="Once upon a time there was a very long story. " * 6)],
        )
        there = service(scripted, speed=4.0, pace="realtime")
        async with there, session(there, push_to_talk=True) as (conn, told):
            await say(conn)
            await told.until("audio", 2)
            await say(conn)
            await told.until("response_done", 2)
            assert told.of("response_done") == [
                ("response_done", "r1", "cancelled"),
                ("response_done", "r2", "completed"),
            ]
            assert told.of("interrupted") == [("interrupted",)]
            assert [row for row in told.rows() if row[0] == "user"] == [
                ("user", "Tell me a story."),
                ("user", "Stop it."),
            ]
            finals = [what for what in told.of("user_text") if what[3]]
            assert [what[1] for what in finals] == ["u1", "u2"]
            assert finals[1][4:] == (6400, 12800)
            assert reasons(there) == []

    run(test)


def test_the_ends_of_an_old_reply_do_not_end_the_new_turn():
    async def test():
        scripted = Connection(
            heard=[Heard(text="One."), Heard(text="Two.")], options={"late_interrupted": True}
        )
        async with service(scripted) as there, session(there, push_to_talk=True) as (conn, told):
            await say(conn)
            await told.until("response_done")
            await gemini.send_activity(conn, True)
            await told.until("interrupted")
            await speak(conn, 200)
            await gemini.send_activity(conn, False)
            await told.until("response_done", 2)
            assert told.rows() == [
                ("user", "One."),
                ("assistant", "You said: One."),
                ("user", "Two."),
                ("assistant", "You said: Two."),
            ]
            assert told.of("user_turn_dropped") == []
            assert [what[2] for what in told.of("response_done")] == ["completed"] * 2
            assert reasons(there) == []

    run(test)


def test_a_tap_of_talk_ends_its_turn_and_leaves_no_row():
    async def test():
        async with service() as there, session(there, push_to_talk=True) as (conn, told):
            await gemini.send_activity(conn, True)
            await gemini.send_activity(conn, False)
            await gemini.send_activity(conn, True)
            await told.until("user_turn_dropped")
            await gemini.send_activity(conn, False)
            assert told.of("user_turn_dropped") == [("user_turn_dropped", "u1")]
            assert reasons(there) == []

    run(test)


@pytest.mark.parametrize("transcript", ["beside", "ahead", "behind"])
@pytest.mark.parametrize("options", [{"interim": True}, {"twice": True}])
def test_words_come_once_wherever_they_lie(transcript, options):
    async def test():
        scripted = Connection(
            heard=[
                Heard(text="Turn the light blue.", revisions=["Turn", "Turn the night"]),
                Heard(text="Turn the light blue."),
            ],
            reply=[Reply(says="The light is blue now."), Reply(says="It is blue already.")],
            options={"transcript": transcript, **options},
        )
        async with service(scripted) as there, session(there, push_to_talk=True) as (conn, told):
            for turn in (1, 2):
                await say(conn, 100)
                await told.until("response_done", turn)
            assert [(who, text.strip()) for who, text in told.rows()] == [
                ("user", "Turn the light blue."),
                ("assistant", "The light is blue now."),
                ("user", "Turn the light blue."),
                ("assistant", "It is blue already."),
            ]
            finals = [what[1] for what in told.of("user_text") if what[3]]
            assert finals == ["u1", "u2"]
            if "interim" in options:
                assert ("user_text", "u1", "Turn the night", False, 0, 1600) in told.told

    run(test)


def test_a_model_that_thinks_at_length_goes_on_after_its_turn():
    async def test():
        scripted = Connection(reply=[Reply(says="Forty-two.")])
        async with service(scripted) as there, session(there, Model=EXTENDED) as (conn, told):
            await gemini.send_text(conn, "What is the answer?")
            await told.until("response_done")
            assert told.of("response_started") == [("response_started", "r1")]
            assert told.rows() == [("assistant", "Let me think."), ("assistant", "Forty-two.")]
            assert told.of("audio_done") == [
                ("audio_done", "r1", "a1"),
                ("audio_done", "r1", "a1.1"),
            ]
            assert reasons(there) == []

    run(test)


def test_typed_text_cuts_the_reply_and_brings_the_newest_picture(monkeypatch):
    monkeypatch.setattr(gemini, "FRAME_EVERY_S", 0.25)  # a second of the service's own time

    async def test():
        long = "A long answer that goes on and on for quite a while. " * 6
        there = service(Connection(reply=[Reply(says=long)]), speed=4.0, pace="realtime")
        async with there, session(there) as (conn, told):
            await gemini.send_video_frame(conn, JPEG)
            await gemini.send_video_frame(conn, JPEG + b" in a hurry")
            await gemini.send_text(conn, "What do you see?")
            await told.until("audio")
            await gemini.note(conn, "The visitor points at the lamp.")
            await gemini.send_text(conn, "And now?")
            await told.until("response_done", 2)
            assert [what[2] for what in told.of("response_done")] == ["cancelled", "completed"]
            assert told.rows()[-1] == ("assistant", "You said: And now?")
            assert told.of("speech_started", "user_turn_dropped") == []
            record = there.records[0]
            assert record.received == {"setup": 1, "realtime_input": 2, "client_content": 3}
            # Two as video, and the newer one in each typed turn.
            tokens = there.conversations[0].tokens
            assert (tokens.video, tokens.image) == (2 * 258, 2 * 258)
            assert reasons(there) == []

    run(test)


def test_the_conversation_so_far_comes_first_and_its_open_end_is_answered():
    async def test():
        rows = [
            HistoryRow(role="user", text="My name is Ada."),
            HistoryRow(role="assistant", text="Hello Ada."),
            HistoryRow(role="user", text="Do you remember my name?"),
        ]
        async with (
            service() as there,
            session(there, history=rows, respond=True) as (conn, told),
        ):
            assert not conn.resumed
            await gemini.prime_history(conn, rows, True)
            await told.until("response_done")
            assert told.rows() == [("assistant", "Yes, I remember. You said: My name is Ada.")]
            assert there.records[0].received["client_content"] == 2
            assert reasons(there) == []
        async with service() as there, session(there, history=rows[:2]) as (conn, told):
            await gemini.prime_history(conn, rows[:2], False)
            await gemini.send_text(conn, "Do you remember?")
            await told.until("response_done")
            assert told.rows() == [("assistant", "Yes, I remember. You said: My name is Ada.")]
            assert reasons(there) == []
        # Nothing but the open end: no history is announced, or it would be eaten as such.
        async with service() as there, session(there, history=rows[2:], respond=True) as (c, told):
            await gemini.prime_history(c, rows[2:], True)
            await told.until("response_done")
            assert reasons(there) == []

    run(test)


# --- tools -----------------------------------------------------------------------------------


@pytest.mark.parametrize("model", ["gemini-3.8-live", EXTENDED, FLASH, NATIVE])
@pytest.mark.parametrize("blocking", [True, False])
def test_a_tool_is_called_and_its_result_spoken_of(model, blocking):
    if model == FLASH and not blocking:
        blocking = True  # it always waits; asked not to, it would fall silent

    async def test():
        call = Call(name="set_light", arguments={"colour": "blue"})
        lamp = ToolDeclaration(
            name=LAMP.name, description=LAMP.description, schema=LAMP.schema, blocking=blocking
        )
        there = service(Connection(reply=[Reply(says="So.", calls=[call])]))
        fields = {"tools": [lamp], "Model": model, "tool_scheduling": "INTERRUPT"}
        async with there, session(there, **fields) as (conn, told):
            await gemini.send_text(conn, "Turn the light blue.")
            _, call_id, name, arguments = await told.until("tool_call")
            assert (name, json.loads(arguments)) == ("set_light", {"colour": "blue"})
            await gemini.send_tool_response(conn, call_id, name, True, '{"colour": "blue"}')
            waited = blocking and model != EXTENDED
            await told.until("response_done", 1 if waited else 2)
            said = " ".join(text for _, text in told.rows())
            assert 'set_light says {"colour":"blue"}' in said
            assert reasons(there) == []
            assert conn.calls == {}
            # What cut the reply was a result, or nothing: nobody spoke.
            assert told.of("speech_started", "user_turn_dropped") == []

    run(test)


def test_calls_in_parallel_one_of_them_without_result():
    async def test():
        calls = [Call(name="set_light", arguments={"colour": c}) for c in ("red", "blue")]
        scripted = Connection(reply=[Reply(calls=calls)])
        async with service(scripted) as there, session(there, tools=[LAMP]) as (conn, told):
            await gemini.send_text(conn, "Both lights.")
            await told.until("tool_call", 2)
            (_, one, *_), (_, two, *_) = told.of("tool_call")
            await gemini.send_tool_response(conn, two, "set_light", False, "no such lamp")
            await gemini.send_tool_response(conn, one, "set_light", True, "done")
            await gemini.send_tool_response(conn, one, "set_light", True, "twice")
            await told.until("response_done")
            assert told.rows() == [
                ("assistant", "set_light says no such lamp and set_light says done")
            ]
            assert reasons(there) == []

    run(test)


def test_a_call_without_id_is_answered_without():
    async def test():
        scripted = Connection(
            reply=[Reply(calls=[Call(name="set_light")])], options={"unnumbered": True}
        )
        fields = {"tools": [LAMP], "Model": NATIVE}
        async with service(scripted) as there, session(there, **fields) as (conn, told):
            await gemini.send_text(conn, "Light!")
            _, call_id, *_ = await told.until("tool_call")
            assert call_id
            await gemini.send_tool_response(conn, call_id, "set_light", True, "done")
            await told.until("response_done")
            assert reasons(there) == []

    run(test)


def test_a_cancelled_call_is_not_answered():
    async def test():
        scripted = Connection(reply=[Reply(calls=[Call(name="set_light")])])
        fields = {"tools": [LAMP], "push_to_talk": True}
        async with service(scripted) as there, session(there, **fields) as (conn, told):
            await gemini.send_text(conn, "Light!")
            _, call_id, *_ = await told.until("tool_call")
            await gemini.send_activity(conn, True)
            assert await told.until("tool_cancelled") == ("tool_cancelled", call_id)
            await gemini.send_tool_response(conn, call_id, "set_light", True, "late")
            await gemini.send_activity(conn, False)
            assert reasons(there) == []
            assert "tool_response" not in there.records[0].received

    run(test)


def test_a_search_is_paid_for():
    async def test():
        async with service() as there, session(there, Enablegrounding=1) as (conn, told):
            await gemini.send_text(conn, "Please search for the aurora.")
            await told.until("response_done")
            usd = [what[2] for what in told.of("usage")]
            assert 0.014 in usd
            assert sum(usd) == pytest.approx(there.bill.usd, rel=1e-9)
            assert reasons(there) == []

    run(test)


# --- money -----------------------------------------------------------------------------------


@pytest.mark.parametrize("model", ["gemini-3.8-live", EXTENDED, FLASH, NATIVE])
def test_what_is_told_is_what_the_service_would_charge(model):
    async def test():
        tool = Tool(words=["light"], name="set_light", says="Wait.")
        there = service(Connection(options={"cached": 7}), tool=[tool])
        async with (
            there,
            session(there, Model=model, tools=[LAMP], Systemprompt="You are Orb.") as (
                conn,
                told,
            ),
        ):
            await gemini.send_video_frame(conn, JPEG)
            await gemini.send_text(conn, "Hello there, how are you?")
            await told.until("response_done")
            await gemini.send_text(conn, "Now the light, please.")
            _, call_id, *_ = await told.until("tool_call")
            await gemini.send_tool_response(conn, call_id, "set_light", True, "ok")
            await told.until("response_done", 3 if model == EXTENDED else 2)
            assert there.bill.usd > 0
            assert sum(what[2] for what in told.of("usage")) == pytest.approx(
                there.bill.usd, rel=1e-9
            )

    run(test)


# --- resumption, goodbyes, drops -------------------------------------------------------------


async def left_behind(there, *, words="My name is Ada.", fault=None, **fields):
    """Hold a short conversation; return what it leaves for the next connection."""
    async with session(there, **fields) as (conn, told):
        await gemini.send_text(conn, words)
        await told.until("response_done")
        await settled(lambda: gemini.get_persistable_state(conn))
        if fault is not None:
            await there.play(fault)
            await told.until("closed")
        return gemini.get_persistable_state(conn), told


def test_a_handle_brings_the_conversation_back():
    async def test():
        async with service() as there:
            handle, _ = await left_behind(there)
            async with session(there, handle=handle) as (conn, told):
                assert conn.resumed
                await gemini.send_text(conn, "Do you remember?")
                await told.until("response_done")
                assert "My name is Ada." in told.rows()[-1][1]
            assert reasons(there) == []

    run(test)


def test_what_a_resumed_session_left_unanswered_is_asked_again():
    async def test():
        rows = [
            HistoryRow(role="user", text="What a day."),
            HistoryRow(role="user", text="Do you remember me?"),
        ]
        async with service() as there:
            handle, _ = await left_behind(there)
            async with session(there, handle=handle, history=rows, respond=True) as (conn, told):
                assert conn.resumed
                await gemini.prime_history(conn, [], True)
                await told.until("response_done")
                assert "My name is Ada." in told.rows()[-1][1]
                said = [row.text for row in there.sessions[-1].conversation.rows]
                assert "What a day.\nDo you remember me?" in said
            assert reasons(there) == []

    run(test)


@pytest.mark.parametrize("wanted", [0, 1])
def test_without_resumption_nothing_is_kept(wanted):
    async def test():
        async with service() as there, session(there, Enablesessionresumption=wanted) as (c, told):
            await gemini.send_text(c, "Hello.")
            await told.until("response_done")
            await gemini.send_text(c, "Hello.")
            await told.until("response_done", 2)
            assert bool(gemini.get_persistable_state(c)) is bool(wanted)

    run(test)


def test_a_handle_that_is_refused_gives_way_to_the_transcript():
    async def test():
        rows = [HistoryRow(role="user", text="My name is Ada.")]
        async with service() as there:
            handle, _ = await left_behind(there)
            there.handles.drop()
            async with session(there, handle=handle, history=rows) as (conn, told):
                assert not conn.resumed
                await gemini.prime_history(conn, rows, False)
                await gemini.send_text(conn, "Do you remember?")
                await told.until("response_done")
                assert "My name is Ada." in told.rows()[-1][1]
            assert len(there.sessions) == 3
            assert [line for line in reasons(there) if "unknown or too old" not in line] == []

    run(test)


def test_a_connection_that_seems_open_still_is_waited_for():
    async def test():
        async with service() as there, session(there) as (conn, told):
            await gemini.send_text(conn, "My name is Ada.")
            await told.until("response_done")
            handle = gemini.get_persistable_state(conn)
            opening = asyncio.create_task(
                gemini.start_session(request(there.url, handle=handle), Callbacks())
            )
            await settled(lambda: len(list(there.violations)) == 1)
            await gemini.end_session(conn)
            second = await opening
            assert second.resumed
            await gemini.end_session(second)
            assert len(there.sessions) == 3

    run(test)


def test_what_could_not_be_taken_is_told_once_a_conversation():
    async def test():
        async with service() as there:
            async with session(there, thinking_level="HIGH") as (conn, told):
                assert [what[1] for what in told.of("trouble")] == ["thinking_level"]
                await gemini.send_text(conn, "Hello.")
                await told.until("response_done")
                await settled(lambda: gemini.get_persistable_state(conn))
                handle = gemini.get_persistable_state(conn)
            async with session(there, thinking_level="HIGH", handle=handle) as (_, told):
                assert told.of("trouble") == []

    run(test)


def test_a_handle_is_for_its_model_alone():
    async def test():
        async with service() as there:
            handle, _ = await left_behind(there)
            async with session(there, handle=handle, Model=FLASH) as (conn, _):
                assert not conn.resumed
            assert reasons(there) == []

    run(test)


def test_lost_calls_are_answered_once_after_a_resume():
    async def test():
        tool = Tool(words=["light"], name="set_light")
        async with service(tool=[tool]) as there:
            async with session(there, tools=[LAMP]) as (conn, told):
                await gemini.send_text(conn, "Hello.")
                await told.until("response_done")
                await gemini.send_text(conn, "The light, please.")
                _, call_id, *_ = await told.until("tool_call")
                await there.play(Fault(what="close", code=1011))
                await told.until("closed")
                handle = gemini.get_persistable_state(conn)
            async with session(there, handle=handle, tools=[LAMP]) as (conn, told):
                assert conn.resumed
                # The result of the lost call is nobody's any more.
                await gemini.send_tool_response(conn, call_id, "set_light", True, "late")
                await gemini.send_text(conn, "Are you there?")
                await told.until("response_done")
                assert told.rows()[-1] == ("assistant", "You said: Are you there?")
                state = json.loads(gemini.get_persistable_state(conn))
                assert state["calls"] == []
            assert there.records[1].received["tool_response"] == 1
            assert reasons(there) == []

    run(test)


def test_a_goodbye_is_told_with_the_time_left():
    async def test():
        async with service() as there, session(there) as (_, told):
            await there.play(Fault(what="goaway", seconds=50))
            assert await told.until("goaway") == ("goaway", "goaway", 50.0)

    run(test)


@pytest.mark.parametrize(
    ("fault", "kind", "says"),
    [
        (Fault(what="cap"), ProviderUnavailable, "Deadline expired"),
        (Fault(what="close", code=1000), ProviderUnavailable, "1000"),
        (Fault(what="close", code=1001), ProviderUnavailable, "1001"),
        (Fault(what="close", code=1011, reason="Internal error encountered."),
         ProviderUnavailable, "Internal error"),
        (Fault(what="close", code=1012), ProviderUnavailable, "1012"),
        (Fault(what="close", code=1013), ProviderUnavailable, "1013"),
        (Fault(what="close", code=1014), ProviderUnavailable, "1014"),
        (Fault(what="reset"), ProviderUnavailable, "broke"),
        (Fault(what="error", code=1008, reason="Operation is not implemented"),
         ProviderUnavailable, "1008"),
        (Fault(what="error", code=1007, reason="Request contains an invalid argument."),
         ProviderRefused, "Connect starts a new one"),
    ],
)  # fmt: skip
def test_the_end_of_an_open_session(fault, kind, says):
    async def test():
        async with service() as there:
            _, told = await left_behind(there, fault=fault)
            (_, error) = told.of("closed")[0]
            assert type(error) is kind
            assert says in str(error)
            assert KEY not in str(error)

    run(test)


def test_a_resumed_session_that_is_refused_later_begins_anew():
    async def test():
        async with service() as there:
            handle, _ = await left_behind(there)
            async with session(there, handle=handle) as (conn, told):
                assert conn.resumed
                await there.play(Fault(what="error", code=1007, reason="Precondition failed"))
                _, error = await told.until("closed")
                assert isinstance(error, ProviderUnavailable)
                assert "a new one follows" in str(error)
                state = gemini.get_persistable_state(conn)
            async with session(there, handle=state) as (conn, _):
                assert not conn.resumed
            # Again at once: now it is not the handle.
            async with session(there, handle=state) as (conn, told):
                await there.play(Fault(what="error", code=1007, reason="Precondition failed"))
                _, error = await told.until("closed")
                assert isinstance(error, ProviderRefused)

    run(test)


def test_a_1008_in_a_session_is_tried_once_more_and_no_more():
    fault = Fault(what="error", code=1008, reason="Operation is not implemented")

    async def test():
        async with service() as there:
            state, told = await left_behind(there, fault=fault)
            assert isinstance(told.of("closed")[0][1], ProviderUnavailable)
            async with session(there, handle=state) as (conn, told):
                assert conn.resumed
                await there.play(fault)
                _, error = await told.until("closed")
                assert isinstance(error, ProviderRefused)
            # A turn in between, and it has a second try again.
            async with session(there, handle=state) as (conn, told):
                await gemini.send_text(conn, "Hello.")
                await told.until("response_done")
                await there.play(fault)
                _, error = await told.until("closed")
                assert isinstance(error, ProviderUnavailable)

    run(test)


def test_a_reply_that_was_sent_whole_is_complete_when_the_link_breaks():
    async def test():
        there = service(
            Connection(reply=[Reply(says="A sentence that sounds a while.")]), speed=1.0
        )
        async with there, session(there) as (conn, told):
            await gemini.send_text(conn, "Hello.")
            await told.until("audio_done")
            await there.play(Fault(what="reset"))
            await told.until("closed")
            assert told.of("response_done") == [("response_done", "r1", "completed")]
            assert told.told[-1][0] == "closed"

    run(test)


def test_sending_on_a_broken_link_tells_how_it_broke():
    async def test():
        async with service() as there, session(there, push_to_talk=True) as (conn, told):
            await there.play(Fault(what="close", code=1011, reason="Internal error encountered."))
            await told.until("closed")
            with pytest.raises(ProviderUnavailable, match="Internal error"):
                await gemini.send_audio_frame(conn, voice(20))
            assert len(told.of("closed")) == 1

    run(test)


# --- refusals before it opens ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "code", "says"),
    [
        ({"api_key": ""}, "no_key", "voiced key set gemini"),
        ({"api_key": "wrong-key-0815"}, "invalid_key", "voiced key set gemini"),
        ({"Model": "gemini-9"}, "1008", "choose another Model"),
        ({"Voice": "Bob"}, "1007", "Voice"),
        ({"Languagecode": "klingon!"}, "1007", "Gemini refused"),
    ],
)
def test_what_is_refused_is_refused_with_what_to_do(fields, code, says):
    async def test():
        async with service() as there:
            with pytest.raises(ProviderRefused, match=says) as caught:
                await gemini.start_session(request(there.url, **fields), Callbacks())
            assert caught.value.code == code
            assert fields.get("api_key", KEY) == "" or fields.get("api_key", KEY) not in str(
                caught.value
            )
            assert len(there.sessions) <= 1

    run(test)


@pytest.mark.parametrize(
    ("status", "kind"),
    [(401, ProviderRefused), (403, ProviderRefused), (404, ProviderRefused),
     (429, ProviderUnavailable), (500, ProviderUnavailable), (503, ProviderUnavailable)],
)  # fmt: skip
def test_a_refused_handshake(status, kind):
    async def test():
        async with service(Connection(refuse=status)) as there:
            with pytest.raises(kind):
                await gemini.start_session(request(there.url), Callbacks())

    run(test)


def test_a_silent_service_is_left_when_the_leg_gives_up():
    async def test():
        async with service(Connection(silent=True)) as there:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.3):
                    await gemini.start_session(request(there.url), Callbacks())

    run(test)


def test_a_model_that_takes_no_resumption_at_first_is_asked_without():
    async def test():
        async with (
            service() as there,
            session(there, Model="gemini-2.5-flash-native-audio-latest") as (conn, told),
        ):
            await gemini.send_text(conn, "Hello.")
            await told.until("response_done")
            assert gemini.get_persistable_state(conn) == ""
            assert len(there.sessions) == 2

    run(test)


# --- the microphone's pauses -----------------------------------------------------------------


def test_a_pause_of_the_microphone_is_told_when_it_lasts(monkeypatch):
    monkeypatch.setattr(gemini, "PAUSE_S", 0.02)

    async def test():
        scripted = Connection(speech=[(100, 60_000)], heard=[Heard(text="Hello.")])
        async with service(scripted) as there, session(there) as (conn, told):
            await gemini.send_activity(conn, True)
            await speak(conn, 300)
            await gemini.send_activity(conn, False)
            await gemini.send_activity(conn, True)  # a blink: nothing is told of it
            await speak(conn, 300)
            await gemini.send_activity(conn, False)
            await told.until("response_done")
            assert told.rows()[0] == ("user", "Hello.")
            assert there.records[0].received["realtime_input"] == 31
            assert reasons(there) == []

    run(test)


# --- strange frames --------------------------------------------------------------------------


@pytest.mark.parametrize("binary", [True, False])
@pytest.mark.parametrize(
    "frame",
    [
        "{not json",
        '{"newThing": {"words": "secret"}}',
        '{"serverContent": {"modelTurn": 3}}',
        "[" * 20_000,
        '{"setupComplete": {}}',
        '{"usageMetadata": {"promptTokenCount": "many"}}',
        '{"serverContent": {"outputTranscription": {"text": "' + "x" * 1_500_000 + '"}}}',
    ],
    ids=lambda frame: frame[:20],
)
def test_a_strange_frame_is_logged_once_and_survived(frame, binary, caplog):
    caplog.set_level(logging.INFO)

    async def test():
        async with service() as there, session(there) as (conn, told):
            for _ in range(3):
                await there.play(Fault(what="send", frame=frame, binary=binary))
            await gemini.send_text(conn, "Hello.")
            await told.until("response_done")
            assert told.of("closed") == []

    run(test)
    lines = [record.message for record in caplog.records if "gemini sent" in record.message]
    assert len(lines) == (0 if "outputTranscription" in frame else 1)
    assert "secret" not in caplog.text
    assert KEY not in caplog.text
