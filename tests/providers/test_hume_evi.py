"""Hume EVI against a strict service: what it is told, what is told of it, how a chat ends."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path

import numpy as np
import pytest

from tests.providers.hume_service import (
    END,
    GROUP,
    INTERRUPTION,
    Chat,
    Recorder,
    Service,
    assistant,
    error_event,
    metadata,
    running,
    sound,
    user,
)
from voiced.errors import ProviderError, ProviderRefused, ProviderUnavailable
from voiced.messages.network import HistoryRow, ToolDeclaration
from voiced.providers import provider_hume_evi as evi
from voiced.providers.contract import SessionRequest

KEY = "hk-secret"
TOOL = ToolDeclaration(name="set_light", description="Turns the light", schema='{"type":"object"}')
BYE = ToolDeclaration(name="end_conversation", description="Ends it", schema='{"type":"object"}')
RECORDED = Path(__file__).parents[1] / "wire" / "hume_conversation.jsonl"


def request(service: Service, **fields) -> SessionRequest:
    page = {"endpoint": service.endpoint, **fields.pop("page", {})}
    fields.setdefault("api_key", KEY)
    return SessionRequest(agent="voice_agent", leg=1, parameters=page, **fields)


def talk(scene: Callable[[evi.Connection, Chat, Recorder], Awaitable[None]], **fields) -> Recorder:
    """Open a chat, play a scene, close it; return what was told."""
    told = Recorder()

    async def play() -> None:
        async with running() as service:
            conn = await evi.start_session(request(service, **fields), told)
            try:
                await scene(conn, await service.next(), told)
            finally:
                await evi.end_session(conn)

    asyncio.run(play())
    return told


# --- opening ----------------------------------------------------------------------------------


def test_the_address_has_the_settings_and_the_header_alone_the_key():
    async def scene(conn, chat, told):
        assert chat.headers["X-Hume-Api-Key"] == KEY
        assert KEY not in chat.path
        assert chat.query == {
            "config_id": "cfg 1/ä",
            "config_version": "3",
            "verbose_transcription": "true",
            "session_settings[audio][encoding]": "linear16",
            "session_settings[audio][sample_rate]": "16000",
            "session_settings[audio][channels]": "1",
            "session_settings[voice_id]": "5bb7de05",
        }
        assert await chat.hear() == {
            "type": "session_settings",
            "system_prompt": "You are Orb.",
            "tools": [
                {
                    "type": "function",
                    "name": "set_light",
                    "description": "Turns the light",
                    "parameters": '{"type":"object"}',
                }
            ],
            "builtin_tools": [{"name": "web_search"}],
            "variables": {"name": "Ada", "age": 30.0},
        }
        assert (conn.resumed, conn.session_id) == (False, "c1")
        assert evi.get_persistable_state(conn) == GROUP

    page = {
        "config_id": "cfg 1/ä", "config_version": 3, "Voice": "5bb7de05", "Enablegrounding": True,
        "Systemprompt": "You are Orb.", "variables": '{"name": "Ada", "age": 30}',
    }  # fmt: skip
    talk(scene, page=page, tools=[TOOL])


def test_a_chat_group_is_resumed():
    async def scene(conn, chat, told):
        assert chat.query["resumed_chat_group_id"] == GROUP
        assert conn.resumed
        await evi.prime_history(conn, [], True)
        assert await chat.hear() == {"type": "user_input", "text": "hello?\nwhere was I?"}

    rows = [
        HistoryRow(role="user", text="I am Ada."),
        HistoryRow(role="assistant", text="Hello Ada."),
        HistoryRow(role="user", text="hello?"),
        HistoryRow(role="user", text="where was I?"),
    ]
    talk(scene, handle=GROUP, history=rows, respond=True)


def test_a_chat_that_cannot_be_resumed_begins_afresh_and_is_told_what_was_said():
    async def play():
        async with running() as service:
            service.resumable = False
            conn = await evi.start_session(request(service, handle="gone"), Recorder())
            chat = await service.next()
            assert not conn.resumed
            assert [c.query.get("resumed_chat_group_id") for c in service.all] == ["gone", None]
            rows = [
                HistoryRow(role="user", text="I am Ada."),
                HistoryRow(role="assistant", text="Hello Ada."),
                HistoryRow(role="user", text="Who am I?"),
            ]
            await evi.prime_history(conn, rows, True)
            context = (await chat.hear("session_settings"))["context"]
            assert "I am Ada." in context["text"]
            assert "Who am I?" not in context["text"]
            assert await chat.hear() == {"type": "user_input", "text": "Who am I?"}
            await evi.end_session(conn)

    asyncio.run(play())


def failing(prepare: Callable[[Service], None], **fields) -> ProviderError:
    """Return how a chat fails to open."""

    async def play() -> ProviderError:
        async with running() as service:
            prepare(service)
            with pytest.raises(ProviderError) as caught:
                await evi.start_session(request(service, **fields), Recorder())
            return caught.value

    error = asyncio.run(play())
    assert KEY not in str(error)
    return error


def greeted_with(*frames: dict | str) -> Callable[[Service], None]:
    def prepare(service: Service) -> None:
        service.greeting = list(frames)

    return prepare


def test_no_key_and_a_bad_key_are_refused_with_the_command_that_sets_one():
    for key, code in (("", "no_key"), ("bad", "invalid_key")):
        error = failing(lambda service: None, api_key=key)
        assert isinstance(error, ProviderRefused)
        assert (error.code, "voiced key set hume" in str(error)) == (code, True)


def test_variables_that_are_no_object_are_refused_before_anything_is_sent():
    for text in ("Ada", "[1]", '{"a": {"b": 1}}', '{"a": '):
        error = failing(lambda service: None, page={"variables": text})
        assert isinstance(error, ProviderRefused)
        assert "JSON object" in str(error)


@pytest.mark.parametrize(
    ("event", "kind", "code"),
    [
        (error_event("E0704", "config_not_found"), ProviderRefused, "E0704"),
        (error_event("E0101", "bad_structure"), ProviderRefused, "E0101"),
        (error_event("E0300", "out_of_credits"), ProviderRefused, "E0300"),
        (error_event("E0700", "usage_limit_reached"), ProviderRefused, "E0700"),
        (error_event("I0100", "internal"), ProviderUnavailable, "I0100"),
    ],
)
def test_an_error_in_place_of_the_first_frame(event, kind, code):
    error = failing(greeted_with(event))
    assert (type(error), error.code) == (kind, code)


@pytest.mark.parametrize("why", ["cannot be reached: connection refused", "is it online?"])
def test_the_end_of_the_service_is_said_where_the_real_one_cannot_be_reached(monkeypatch, why):
    async def dial(*args, **kwargs):
        raise ProviderUnavailable(why, "connect")

    monkeypatch.setattr(evi, "dial", dial)

    async def play(endpoint: str) -> str:
        bare = SessionRequest(agent="a", leg=1, parameters={"endpoint": endpoint}, api_key=KEY)
        with pytest.raises(ProviderUnavailable) as caught:
            await evi.start_session(bare, Recorder())
        return str(caught.value)

    assert "2026-11-13" in asyncio.run(play(""))
    assert "?." not in asyncio.run(play(""))
    assert "2026-11-13" not in asyncio.run(play("ws://127.0.0.1:1"))
    assert "2026-11-13" in evi.TITLE
    assert evi.is_available().available


# --- talking ----------------------------------------------------------------------------------


def ramp(count: int) -> np.ndarray:
    return (np.arange(count) % 20000 - 10000).astype(np.int16)


def test_a_spoken_turn_and_its_answer():
    async def scene(conn, chat, told):
        pcm = ramp(16000).astype("<i2").tobytes()
        for at in range(0, len(pcm), 640):
            await evi.send_audio_frame(conn, pcm[at : at + 640])
        heard = b"".join(
            [base64.b64decode((await chat.hear("audio_input"))["data"]) for _ in range(50)]
        )
        assert heard == pcm
        await chat.say(
            user("What", interim=True, begin=100),
            user("What time", interim=True, begin=100, end=500),
            user("What time is it?", begin=100, end=900, scores={"Joy": 0.5, "Unheard of": 0.1}),
            assistant("a1", "It is ten."),
            sound("a1", ramp(4800)),
            sound("a1", ramp(4800), 1),
            assistant("a2", "Past nine."),
            sound("a2", ramp(480)),
            {
                "type": "assistant_prosody",
                "id": "a1",
                "models": {"prosody": {"scores": {"Joy": 1}}},
            },
            END,
        )
        await told.until("response_done")

    told = talk(scene)
    assert told.pcm.tolist() == [*ramp(4800), *ramp(4800), *ramp(480)]
    story = [call for call in told.story if call[0] != "audio"]
    assert story == [
        ("speech_started", None),
        ("user_text", "u1", "What", {"start_sample": None}),
        ("user_text", "u1", "What time", {"start_sample": 1600}),
        ("speech_ended", 14400),
        (
            "user_text", "u1", "What time is it?",
            {"final": True, "start_sample": 1600, "end_sample": 14400},
        ),
        ("signals", {"hume_evi_affect_joy": 0.5}),
        ("affect", "u1", '{"Joy":0.5,"Unheard of":0.1}'),
        ("response_started", "r1"),
        ("assistant_text", "r1", "a1", "It is ten."),
        ("assistant_text", "r1", "a2", "Past nine."),
        ("assistant_text", "r1", "a1", "", {"final": True}),
        ("assistant_text", "r1", "a2", "", {"final": True}),
        ("response_done", "r1", "completed"),
    ]  # fmt: skip
    assert [call[1:3] for call in told.named("audio")] == [("r1", "a1")] * 2 + [("r1", "a2")]


def test_prosody_of_the_voice_is_told_where_it_is_wanted():
    event = {"type": "assistant_prosody", "id": "a1", "models": {"prosody": {"scores": {"Joy": 1}}}}

    async def scene(conn, chat, told):
        await evi.update_session(conn, {"assistant_affect": True}, None)
        await chat.say(assistant("a1", "Ha."), event, END)
        await told.until("response_done")

    assert talk(scene).named("affect", "signals") == [("affect", "a1", '{"Joy":1.0}')]


def test_any_rate_becomes_48_kHz_without_seams():
    rate, seconds = 24000, 1.0
    t = np.arange(int(rate * seconds))
    tone = (9000 * np.sin(2 * np.pi * 440 * t / rate)).astype(np.int16)

    async def scene(conn, chat, told):
        chunks = np.array_split(tone, 7)
        await chat.say(*(sound("a1", part, n, rate) for n, part in enumerate(chunks)), END)
        await told.until("response_done")

    heard = talk(scene).pcm.astype(np.float64)
    assert abs(len(heard) - 48000) <= 2
    wanted = 9000 * np.sin(2 * np.pi * 440 * np.arange(len(heard)) / 48000)
    # The ends of the filter are left out; a seam between chunks would be a click of thousands.
    assert np.abs(heard - wanted)[200:-200].max() < 60


def test_an_interruption_cancels_and_what_comes_late_is_dropped():
    async def scene(conn, chat, told):
        await chat.say(
            assistant("a1", "A long story."),
            sound("a1", ramp(4800)),
            user("hm", interim=True),
            sound("a1", ramp(4800), 1),
            INTERRUPTION,
            sound("a1", ramp(4800), 2),
            assistant("a1", "It goes on."),
            END,
            user("Stop it."),
            assistant("a2", "As you wish."),
            sound("a2", ramp(480)),
            END,
        )
        await told.until("response_done", 2)

    told = talk(scene)
    names = [
        call[:3] for call in told.story if call[0] in
        {"interrupted", "response_started", "response_done", "audio", "assistant_text"}
    ]  # fmt: skip
    assert names == [
        ("response_started", "r1"),
        ("assistant_text", "r1", "a1"),
        ("audio", "r1", "a1"),
        ("audio", "r1", "a1"),
        ("interrupted",),
        ("response_done", "r1", "cancelled"),
        ("response_started", "r2"),
        ("assistant_text", "r2", "a2"),
        ("audio", "r2", "a2"),
        ("assistant_text", "r2", "a2"),
        ("response_done", "r2", "completed"),
    ]


def test_an_interruption_takes_back_the_calls_that_have_no_result():
    async def scene(conn, chat, told):
        await chat.say(tool_call(), tool_call(tool_call_id="call_02"))
        await told.until("tool_call", 2)
        await evi.send_tool_response(conn, "call_01", "set_light", True, "done")
        await chat.say(INTERRUPTION)
        await told.until("tool_cancelled")
        await evi.send_tool_response(conn, "call_02", "set_light", True, "late")
        await evi.send_text(conn, "go on")
        await chat.hear("session_settings")
        assert (await chat.hear())["tool_call_id"] == "call_01"
        assert (await chat.hear())["text"] == "go on"

    told = talk(scene, tools=[TOOL])
    assert told.named("tool_cancelled") == [("tool_cancelled", "call_02")]


def test_an_interruption_of_a_reply_that_only_sounds_still_reaches_the_loudspeaker():
    async def scene(conn, chat, told):
        await chat.say(
            assistant("a1", "Done."), sound("a1", ramp(480)), END, INTERRUPTION,
            sound("a1", ramp(480), 1), END,
        )  # fmt: skip
        await told.until("interrupted")
        await evi.note(conn, "x")
        await chat.hear("session_settings")
        await chat.say(assistant("a2", "Next."), END)
        await told.until("response_done", 2)

    told = talk(scene)
    assert len(told.named("audio")) == 1


def test_stop_by_hand_ends_the_reply_at_its_end_or_at_the_visitors_next_words():
    async def scene(conn, chat, told):
        await chat.say(assistant("a1", "One."))
        await told.until("assistant_text")
        await evi.interrupt(conn, [])
        await chat.say(assistant("a2", "Two."), END)
        await told.until("response_done")
        await chat.say(assistant("b1", "Three."))
        await told.until("response_started", 2)
        await evi.interrupt(conn, [])
        await chat.say(user("And now?"), sound("b1", ramp(480)), assistant("c1", "Four."), END)
        await told.until("response_done", 3)

    told = talk(scene)
    assert told.named("response_done") == [
        ("response_done", "r1", "cancelled"),
        ("response_done", "r2", "cancelled"),
        ("response_done", "r3", "completed"),
    ]
    assert told.named("audio") == []


def test_typed_words_are_echoed_once_and_those_of_others_are_told():
    async def scene(conn, chat, told):
        await evi.send_text(conn, "Tell me a story")
        assert await chat.hear() == {"type": "user_input", "text": "Tell me a story"}
        await chat.say(user("Tell me a story", typed=True), user("Tell me a story", typed=True))
        await told.until("user_text")

    told = talk(scene)
    assert told.named("user_text", "speech_started", "speech_ended") == [
        (
            "user_text", "u1", "Tell me a story",
            {"final": True, "start_sample": None, "end_sample": None},
        )
    ]  # fmt: skip


def test_a_turn_without_words_is_dropped():
    async def scene(conn, chat, told):
        await chat.say(user("uh", interim=True), user(" "))
        await told.until("user_turn_dropped")

    assert ("user_turn_dropped", "u1", None) in talk(scene).calls


def test_say_and_notes():
    async def scene(conn, chat, told):
        await evi.say(conn, "Goodbye!")
        assert await chat.hear() == {"type": "assistant_input", "text": "Goodbye!"}
        for text in ("It rains.", "We close soon."):
            await evi.note(conn, text)
        await chat.hear()
        both = {"text": "It rains.\nWe close soon.", "type": "temporary"}
        assert (await chat.hear())["context"] == both
        await chat.say(user("Hello"))
        await told.until("user_text")
        await evi.note(conn, "It is dry.")
        assert (await chat.hear())["context"] == {"text": "It is dry.", "type": "temporary"}
        await evi.update_session(conn, {"note_context": "persistent"}, None)
        await chat.say(user("Hello"))
        await told.until("user_text", 2)
        await evi.note(conn, "Still.")
        persistent = {"text": "It is dry.\nStill.", "type": "persistent"}
        assert (await chat.hear())["context"] == persistent

    talk(scene)


# --- tools ------------------------------------------------------------------------------------


def tool_call(**fields) -> dict:
    return {
        "type": "tool_call",
        "name": "set_light",
        "parameters": '{"colour":"blue"}',
        "tool_call_id": "call_01",
        "tool_type": "function",
        "response_required": True,
        **fields,
    }


def test_tools_answer_with_a_result_or_an_error():
    async def scene(conn, chat, told):
        await chat.hear("session_settings")
        await chat.say(tool_call(), tool_call(tool_call_id="call_02"))
        await told.until("tool_call", 2)
        await evi.send_tool_response(conn, "call_02", "set_light", False, "no lamp")
        await evi.send_tool_response(conn, "call_01", "set_light", True, "on")
        await evi.send_tool_response(conn, "call_01", "set_light", True, "twice")
        assert await chat.hear() == {
            "type": "tool_error",
            "tool_call_id": "call_02",
            "error": "the tool failed",
            "content": "no lamp",
            "level": "warn",
            "tool_type": "function",
        }
        assert await chat.hear() == {
            "type": "tool_response",
            "tool_call_id": "call_01",
            "content": "on",
            "tool_name": "set_light",
            "tool_type": "function",
        }
        await chat.say(tool_call(tool_call_id="call_03", parameters="{broken"))
        await told.until("tool_call", 3)
        await evi.send_tool_response(conn, "call_03", "set_light", False, "no object")
        assert (await chat.hear())["tool_call_id"] == "call_03"

    told = talk(scene, tools=[TOOL])
    assert told.named("tool_call") == [
        *(("tool_call", f"call_0{n}", "set_light", '{"colour":"blue"}') for n in (1, 2)),
        ("tool_call", "call_03", "set_light", '"{broken"'),
    ]
    assert told.named("trouble")[0][1] == "bad_arguments"


def test_tools_of_the_service_are_its_own_business():
    async def scene(conn, chat, told):
        await chat.say(
            tool_call(name="web_search", tool_type="builtin", response_required=False),
            {"type": "tool_response", "tool_call_id": "call_01", "content": "found"},
            {"type": "tool_error", "tool_call_id": "call_01", "error": "boom"},
        )
        await told.until("trouble")

    told = talk(scene)
    assert told.story == [("trouble", "tool_error", "one of Hume's own tools has failed")]


@pytest.mark.parametrize(
    "event",
    [
        tool_call(name="hang_up", tool_type="builtin", parameters="{}", response_required=False),
        {
            "type": "tool_response", "tool_call_id": "call_01", "tool_name": "hang_up",
            "content": "", "tool_type": "builtin",
        },
    ],
)  # fmt: skip
def test_hang_up_is_end_conversation_and_its_close_is_no_trouble(event):
    async def scene(conn, chat, told):
        declared = await chat.hear()
        assert [tool["name"] for tool in declared["tools"]] == ["set_light"]
        assert declared["builtin_tools"] == [{"name": "hang_up"}]
        await chat.say(event, assistant("a1", "Goodbye."), END)
        await told.until("response_done")
        await chat.socket.close(1000)
        await conn.reader
        await evi.send_tool_response(conn, "call_01", "end_conversation", True, "bye")
        await evi.send_audio_frame(conn, b"\0\0")

    told = talk(scene, page={"hang_up": True}, tools=[TOOL, BYE])
    assert told.named("tool_call") == [("tool_call", "call_01", "end_conversation", "{}")]
    assert told.named("closed") == []


# --- push-to-talk -----------------------------------------------------------------------------


def test_talk_pauses_the_answer_and_a_tap_holds_no_words(monkeypatch):
    monkeypatch.setattr("voiced.providers.hume_chat.NO_WORDS_S", 0.01)

    async def scene(conn, chat, told):
        await evi.send_activity(conn, True)
        assert await chat.hear() == {"type": "pause_assistant_message"}
        await evi.send_audio_frame(conn, bytes(2 * 20000))
        await evi.send_activity(conn, False)
        assert await chat.hear("resume_assistant_message") == {"type": "resume_assistant_message"}
        assert await told.until("user_turn_dropped") == ("user_turn_dropped", "u1", 4000)
        await evi.send_activity(conn, True)
        await chat.say(user("Blue, please."))
        await told.until("user_text")
        await evi.send_activity(conn, False)
        await chat.hear("resume_assistant_message")
        assert len(told.named("user_turn_dropped")) == 1

    talk(scene, push_to_talk=True)


def test_without_talk_or_hold_the_edges_are_silent():
    async def scene(conn, chat, told):
        await evi.send_activity(conn, True)
        await evi.send_activity(conn, False)
        await evi.say(conn, "x")
        assert (await chat.hear())["type"] == "assistant_input"

    talk(scene)
    talk(scene, push_to_talk=True, page={"hold_replies": False})
    assert evi.TRAILING_SILENCE_MS >= 1000


# --- ends -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("event", "goaway", "code"),
    [
        (error_event("E0708", "inactivity_timeout", "due to user inactivity"), "goaway", "E0708"),
        (error_event("E0709", "max_duration_timeout"), "cap", "E0709"),
    ],
)
def test_timeouts_are_announced_and_then_close(event, goaway, code):
    async def scene(conn, chat, told):
        await chat.say(event)
        await told.until("goaway")
        await chat.socket.close(1000)
        await told.until("closed")

    told = talk(scene)
    assert told.named("goaway") == [("goaway", goaway, 0.0)]
    ((_, error),) = told.named("closed")
    assert (type(error), error.code) == (ProviderUnavailable, code)
    assert "resumed" in str(error)


@pytest.mark.parametrize(
    ("event", "kind", "word"),
    [
        (error_event("I0100", "service_down"), ProviderUnavailable, "out of order"),
        (error_event("E0300", "out_of_credits"), ProviderRefused, "billing"),
        (error_event("E0700", "usage_limit_reached"), ProviderRefused, "billing"),
    ],
)
def test_errors_that_end_a_chat(event, kind, word):
    async def scene(conn, chat, told):
        await chat.say(event)
        await told.until("closed")

    ((_, error),) = talk(scene).named("closed")
    assert (type(error), error.code) == (kind, event["code"])
    assert word in str(error)


@pytest.mark.parametrize("code", ["E0100", "E0101", "E0200", "E0201", "E0202"])
def test_ten_configuration_errors_are_told_once_and_then_refuse(code):
    async def scene(conn, chat, told):
        await chat.say(*[error_event(code, "some_slug")] * 10)
        await chat.socket.close(1000)
        await told.until("closed")

    told = talk(scene)
    ((_, trouble, sentence),) = told.named("trouble")
    assert (trouble, code in sentence) == (code, True)
    ((_, error),) = told.named("closed")
    assert (type(error), error.code) == (ProviderRefused, code)


def test_another_error_is_told_and_the_chat_goes_on():
    async def scene(conn, chat, told):
        await chat.say(error_event("E0799", "something_new"), assistant("a1", "Yes?"), END)
        await told.until("response_done")

    ((_, code, sentence),) = talk(scene).named("trouble")
    assert (code, "E0799 something_new" in sentence) == ("E0799", True)


@pytest.mark.parametrize("code", [1000, 1001, 1006, 1011, 1012, 1013])
def test_a_close_is_worth_another_connection(code):
    async def scene(conn, chat, told):
        if code == 1006:
            chat.socket.transport.abort()
        else:
            await chat.socket.close(code)
        await told.until("closed")
        # What is sent meanwhile is neither lost in silence nor told twice.
        await evi.send_audio_frame(conn, b"\0\0")

    ((_, error),) = talk(scene).named("closed")
    assert (type(error), error.code) == (ProviderUnavailable, str(code))


def test_a_sender_learns_why_from_the_reader():
    async def scene(conn, chat, told):
        conn.verdict.set_result(ProviderRefused("no money", "E0300"))
        conn.reader.cancel()
        await chat.socket.close(1000)
        await chat.socket.wait_closed()
        await conn.socket.wait_closed()
        with pytest.raises(ProviderRefused, match="no money"):
            await evi.send_text(conn, "hello")

    talk(scene)


def test_frames_that_say_nothing_are_logged_once_and_survived(caplog):
    caplog.set_level(logging.WARNING, "voiced.providers")

    async def scene(conn, chat, told):
        for _ in range(3):
            await chat.say(
                {"type": "brand_new_event", "secret": "a visitor's words"},
                {"type": "user_message", "message": "a visitor's words"},
                "{not json", "[]", "3", '{"type": 3}', b"\xff\xfe", b"{}", "[" * 100_000,
                {"type": "audio_output", "id": "a", "index": 0, "data": "a visitor's words"},
                {"type": "audio_output", "id": "a", "index": 0, "data": "AAAA"},
            )  # fmt: skip
        await chat.say(assistant("a1", "Still here."), END)
        await told.until("response_done")

    told = talk(scene)
    assert told.named("closed", "trouble") == []
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == len(set(lines)) == 5
    assert "visitor" not in "".join(lines)


def test_the_key_is_in_no_line_of_the_log(caplog):
    caplog.set_level(logging.DEBUG)

    async def scene(conn, chat, told):
        await chat.say(error_event("E0300", "out_of_credits"))
        await told.until("closed")

    told = talk(scene)
    ours = [record for record in caplog.records if record.name != "websockets.server"]
    assert ours
    assert KEY not in "".join(record.getMessage() for record in ours)
    assert KEY not in repr(told.calls)


# --- money ------------------------------------------------------------------------------------


def test_what_a_minute_costs_is_wallclock_and_says_that_the_service_has_ended():
    price = evi.pricing("evi-3")
    assert price is not None
    assert (price.input_usd_min, price.output_usd_min) == (0.0, 0.0)
    assert 0.04 <= price.wallclock_usd_min <= 0.07
    assert "2026-11-13" in price.text
    assert evi.METERING == "wallclock"


# --- the recorded conversation ----------------------------------------------------------------


def recorded(number: int, direction: str) -> list[dict]:
    rows = [json.loads(line) for line in RECORDED.read_text().splitlines()]
    return [row["msg"] for row in rows if row["conn"] == number and row["dir"] == direction]


def test_the_recorded_service_is_understood():
    events = recorded(1, "s2c")[1:]

    async def scene(conn, chat, told):
        await evi.send_text(conn, "Tell me a story")
        await chat.say(*events)
        await told.until("goaway")

    told = talk(scene)
    assert told.named("response_done") == [
        ("response_done", "r1", "completed"), ("response_done", "r2", "cancelled")
    ]  # fmt: skip
    assert [call[1:3] for call in told.named("user_text")] == [
        ("u1", "What time"), ("u1", "What time is it in Oslo?")
    ]  # fmt: skip
    assert [call[2] for call in told.named("tool_call")] == ["get_time", "broken"]
    ((_, channels),) = told.named("signals")
    assert sorted(channels) == sorted(evi.SIGNAL_CHANNELS)
    assert len(channels) == 48
    assert told.named("closed", "trouble") == []


def test_what_the_recorded_client_sent_is_what_this_one_sends():
    """The vendor's own client and this one differ in nothing that the service could notice."""
    sent = recorded(1, "c2s")

    async def scene(conn, chat, told):
        ours = []
        await evi.send_audio_frame(conn, base64.b64decode(sent[1]["data"]))
        await chat.say(*(row for row in recorded(1, "s2c") if row["type"] == "tool_call"))
        await told.until("tool_call", 2)
        await evi.send_tool_response(conn, "call_01", "get_time", True, '{"time": "21:10"}')
        await evi.send_text(conn, "Tell me a story")
        await evi.send_tool_response(conn, "call_02", "broken", False, "Sorry, that failed.")
        await evi.send_activity(conn, True)
        await evi.send_activity(conn, False)
        await evi.say(conn, "Goodbye!")
        for _ in range(8):
            ours.append(await chat.hear())  # noqa: PERF401
        settings, *rest = ours
        theirs = sent[0]
        for tool in theirs["tools"]:
            del tool["fallback_content"]
        assert settings == {
            "type": "session_settings",
            "system_prompt": theirs["system_prompt"],
            "tools": theirs["tools"],
            "builtin_tools": [{"name": "web_search"}],
            "variables": theirs["variables"],
        }
        wanted = [dict(sent[n]) for n in (1, 3, 4, 5, 6, 7, 8)]
        wanted[3] |= {"error": "the tool failed"}
        del wanted[3]["code"]
        assert rest == wanted

    theirs = recorded(1, "c2s")[0]["tools"][0]
    tool = ToolDeclaration(
        name=theirs["name"], description=theirs["description"], schema=theirs["parameters"]
    )
    page = {
        "Systemprompt": "You are Orb.", "Enablegrounding": True, "variables": '{"name": "Ada"}'
    }  # fmt: skip
    talk(scene, page=page, tools=[tool], push_to_talk=True)


def test_a_late_chat_metadata_moves_the_handle():
    async def scene(conn, chat, told):
        await chat.say(metadata("another"), assistant("a1", "x"))
        await told.until("response_started")
        assert evi.get_persistable_state(conn) == "another"

    talk(scene)
