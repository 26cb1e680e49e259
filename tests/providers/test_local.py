"""The local voice's provider against a wire that writes down what is sent."""

from __future__ import annotations

import asyncio

import pytest

from voiced.errors import ProviderRefused, ProviderUnavailable
from voiced.messages import inference as messages
from voiced.messages.network import HistoryRow, ToolDeclaration
from voiced.providers import provider_local as local
from voiced.providers.contract import HeardItem, SessionRequest


class Wire:
    """Always ready, never full; keeps the rule on the length of packets."""

    def __init__(self) -> None:
        self.sent: list = []
        self.places: dict = {}

    async def ready(self) -> int:
        return 1

    async def send(self, message) -> None:
        messages.decode_to_inference(messages.encode(message))
        self.sent.append(message)

    def attach(self, conversation, receive, lost) -> None:
        self.places[conversation] = receive, lost

    def detach(self, conversation) -> None:
        self.places.pop(conversation, None)


class Callbacks:
    """Writes down what it is told."""

    def __init__(self, heard=()) -> None:
        self.told: list = []
        self.heard = list(heard)

    def __getattr__(self, name):
        return lambda *args, **named: self.told.append((name, *args, *sorted(named.items())))

    async def interrupted(self):
        self.told.append(("interrupted",))
        return self.heard


def request(wire, **fields) -> SessionRequest:
    fields.setdefault("parameters", {})
    return SessionRequest(agent="a", leg=3, wire=wire, **fields)


def run(test):
    asyncio.run(test())


def test_a_session_is_an_open_with_settings_rows_and_tools():
    async def test():
        wire = Wire()
        parameters = {
            "Systemprompt": "You are a whale.",
            "Languagecode": "en-GB",
            "Endpointurl": "http://127.0.0.1:1/v1",
            "Enableusertranscription": 0,
            "hangover_ms": 700,
            "threshold": 0.6,
            "Volume": 0.5,
        }
        await local.start_session(
            request(
                wire,
                parameters=parameters,
                push_to_talk=True,
                history=[HistoryRow(role="user", text="good evening")],
                respond=True,
                tools=[ToolDeclaration(name="t", description="d", schema="{}")],
            ),
            Callbacks(),
        )
        opened, tools = wire.sent
        assert opened.conversation == "a.3"
        assert opened.settings == messages.Settings(
            systemprompt="You are a whale.",
            languagecode="en-GB",
            endpointurl="http://127.0.0.1:1/v1",
            transcribe=False,
            turn_detection=False,
            hangover_ms=700,
            threshold=0.6,
        )
        assert opened.rows == (messages.Row(role="user", text="good evening"),)
        assert opened.respond
        assert tools.declarations == (messages.Declaration(name="t", description="d"),)

    run(test)


@pytest.mark.parametrize("parameters", [{"threshold": 2.0}, {"speed": 9}, {"hangover_ms": "soon"}])
def test_a_value_out_of_range_is_refused_in_words(parameters):
    async def test():
        with pytest.raises(ProviderRefused, match=next(iter(parameters))):
            await local.start_session(request(Wire(), parameters=parameters), Callbacks())

    run(test)


def test_a_history_longer_than_a_packet_loses_its_oldest_rows():
    async def test():
        wire = Wire()
        rows = [HistoryRow(role="user", text=f"{n} " + "ä" * 2000) for n in range(20)]
        await local.start_session(request(wire, history=rows), Callbacks())
        kept = [int(row.text.split()[0]) for row in wire.sent[0].rows]
        assert kept == list(range(20 - len(kept), 20))
        assert 5 <= len(kept) < 20
        with pytest.raises(ProviderRefused, match="Systemprompt"):
            await local.start_session(
                request(Wire(), parameters={"Systemprompt": "x" * 40_000}), Callbacks()
            )

    run(test)


def test_speech_silences_the_reply_and_tells_inference_what_was_heard():
    async def test():
        heard = [
            HeardItem(response="r1", item="a", ms=700, received_ms=700, complete=True),
            HeardItem(response="r1", item="b", ms=50, received_ms=900, complete=False),
            HeardItem(response="r2", item="c", ms=0, received_ms=0, complete=False),
        ]
        wire, callbacks = Wire(), Callbacks(heard)
        conn = await local.start_session(request(wire), callbacks)
        wire.sent.clear()
        receive, _ = wire.places["a.3"]
        receive(messages.SpeechStarted(conversation="a.3", sample=160))
        await asyncio.gather(*conn.cuts)
        assert callbacks.told == [("speech_started", 160), ("interrupted",)]
        assert wire.sent == [
            messages.Interrupt(conversation="a.3", response="r1", heard_ms=750),
            messages.Interrupt(conversation="a.3", response="r2", heard_ms=0),
        ]
        wire.sent.clear()
        await local.interrupt(conn, [])
        assert wire.sent == [messages.Interrupt(conversation="a.3", response="", heard_ms=0)]

    run(test)


def test_edges_of_talk_are_sent_and_those_of_a_pause_only_where_they_end_a_turn():
    async def test():
        for push_to_talk, wanted in ((True, [True, False]), (False, [False])):
            wire = Wire()
            conn = await local.start_session(request(wire, push_to_talk=push_to_talk), Callbacks())
            wire.sent.clear()
            await local.send_activity(conn, True)
            await local.send_activity(conn, False)
            assert [message.active for message in wire.sent] == wanted

    run(test)


def test_every_message_of_inference_becomes_a_callback():
    async def test():
        wire, callbacks = Wire(), Callbacks()
        await local.start_session(request(wire), callbacks)
        receive, lost = wire.places["a.3"]
        of = {"conversation": "a.3"}
        for message in (
            messages.SpeechEnded(sample=5, **of),
            messages.UserTranscript(
                item="u", text="hi", final=True, start_sample=1, end_sample=5, **of
            ),
            messages.TurnDropped(item="u2", start_sample=6, end_sample=7, **of),
            messages.ResponseStarted(response="r", **of),
            messages.AssistantTranscript(response="r", item="i", delta="Hello", final=False, **of),
            messages.AssistantAudio(response="r", item="i", pcm=b"\1\0", text_until=5, **of),
            messages.ResponseDone(response="r", status="completed", **of),
            messages.ToolCall(response="r", call_id="c", name="n", arguments="{}", **of),
            messages.ToolCancelled(call_id="c", **of),
            messages.Trouble(code="voice", sentence="no voice", fatal=False, **of),
        ):
            receive(message)
        assert callbacks.told == [
            ("speech_ended", 5),
            ("user_text", "u", "hi", ("end_sample", 5), ("final", True), ("start_sample", 1)),
            ("user_turn_dropped", "u2", 7),
            ("response_started", "r"),
            ("assistant_text", "r", "i", "Hello", ("final", False)),
            ("audio", "r", "i", b"\1\0"),
            ("response_done", "r", "completed"),
            ("tool_call", "c", "n", "{}"),
            ("tool_cancelled", "c"),
            ("trouble", "voice", "no voice"),
        ]
        callbacks.told.clear()
        lost()
        receive(messages.Trouble(code="not_open", sentence="open it", fatal=True, **of))
        receive(messages.Trouble(code="engine", sentence="install it", fatal=True, **of))
        errors = [error for _, error in callbacks.told]
        assert [(type(error), error.code) for error in errors] == [
            (ProviderUnavailable, "inference_lost"),
            (ProviderUnavailable, "inference_lost"),
            (ProviderRefused, "engine"),
        ]

    run(test)


def test_words_and_results_that_are_too_long_do_not_end_the_conversation():
    async def test():
        wire, callbacks = Wire(), Callbacks()
        conn = await local.start_session(request(wire), callbacks)
        wire.sent.clear()
        await local.send_text(conn, "x" * 40_000)
        assert callbacks.told[0][:2] == ("trouble", "too_long")
        await local.send_tool_response(conn, "c", "n", True, "ü" * 40_000)
        assert len(wire.sent[0].result) == 8192
        await local.say(conn, "welcome")
        await local.note(conn, "it rains")
        await local.update_session(conn, {"speed": 1.5}, [])
        await local.end_session(conn)
        assert [type(message).__name__ for message in wire.sent[1:]] == [
            "Say",
            "Note",
            "Update",
            "Tools",
            "Close",
        ]
        assert wire.sent[3].settings.speed == 1.5
        assert wire.places == {}

    run(test)


def test_tools_that_are_too_many_are_told_once():
    async def test():
        wire, callbacks = Wire(), Callbacks()
        conn = await local.start_session(request(wire), callbacks)
        callbacks.told.clear()
        tools = [
            ToolDeclaration(name=f"t{n}", description="d" * 3_000, schema="{}") for n in range(12)
        ]
        for _ in range(3):
            await local.update_session(conn, {}, tools)
        assert [told[1] for told in callbacks.told] == ["too_long"]
        await local.update_session(conn, {}, tools[:2])
        await local.update_session(conn, {}, tools)
        assert len(callbacks.told) == 2
        await local.end_session(conn)

    run(test)


def test_a_daemon_without_a_wire_refuses():
    async def test():
        with pytest.raises(ProviderRefused):
            await local.start_session(request(None), Callbacks())

    run(test)
