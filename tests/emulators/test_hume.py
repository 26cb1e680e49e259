"""The emulated EVI by a raw client: turns, interruption, tools, ends, errors."""

from __future__ import annotations

import asyncio
import io
import time
import wave

import pytest
from websockets.exceptions import InvalidStatus

from tests.emulators import hume_talk as h
from tests.emulators.talk import Client, tone
from voiced.emulators.hume import PATH, Hume
from voiced.emulators.hume_wire import SCORES
from voiced.emulators.script import Call, Connection, Fault, Heard, Reply, Script, Tool

FAST = 50.0


def play(test, script: Script | None = None, speed: float = FAST, **how):
    async def run():
        async with Hume(script, speed=speed, **how) as hume:
            return await test(hume)

    return asyncio.run(run())


def one(**fields) -> Script:
    return Script(connection=[Connection(**fields)])


async def opened(client: Client, **fields) -> None:
    await client.until(h.of("chat_metadata"))
    assert len(client.seen) == 1
    await client.send(h.settings(**fields))
    await client.until(h.of("session_settings"))


def test_a_spoken_turn_is_written_down_measured_and_answered():
    async def test(hume: Hume):
        async with h.client(hume) as client:
            await opened(client)
            await client.send(*h.chunks(tone(48000)))
            got = await client.until(h.of("assistant_end"))
        assert list(hume.violations) == []
        return got

    script = one(
        speech=[(200, 1200)],
        heard=[Heard(text="Hello.")],
        reply=[Reply(says="Good morning. The sea is calm.")],
    )
    got = play(test, script)
    (user,) = [m for m in got if m["type"] == "user_message"]
    assert user["message"] == {"role": "user", "content": "Hello."}
    assert (user["interim"], user["from_text"]) == (False, False)
    assert user["time"] == {"begin": 200, "end": 1200}
    scores = user["models"]["prosody"]["scores"]
    assert tuple(scores) == SCORES
    assert all(0 <= score <= 1 for score in scores.values())
    sentences = [m for m in got if m["type"] == "assistant_message"]
    assert [m["message"]["content"] for m in sentences] == ["Good morning.", "The sea is calm."]
    for sentence in sentences:
        pieces = [m for m in got if m["type"] == "audio_output" and m["id"] == sentence["id"]]
        assert [m["index"] for m in pieces] == list(range(len(pieces)))
        (measured,) = [
            m for m in got if m["type"] == "assistant_prosody" and m["id"] == sentence["id"]
        ]
        assert len(measured["models"]["prosody"]["scores"]) == 48
    for data in h.wavs(got):
        with wave.open(io.BytesIO(data)) as file:
            assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (48000, 1, 2)
            assert file.getnframes() == (len(data) - 44) // 2


def test_interim_readings_come_only_with_verbose_transcription():
    async def test(hume: Hume):
        async with h.client(hume, verbose_transcription="true") as client:
            await opened(client)
            await client.send(*h.chunks(tone(48000)))
            got = await client.until(h.of("assistant_end"))
        return [m for m in got if m["type"] == "user_message"]

    heard = Heard(text="What time is it?", revisions=["What", "What time"])
    got = play(test, one(speech=[(200, 1200)], heard=[heard]))
    assert [(m["message"]["content"], m["interim"]) for m in got] == [
        ("What", True), ("What time", True), ("What time is it?", False)]  # fmt: skip
    assert got[0]["models"] == {"prosody": None}


@pytest.mark.parametrize(("spoken_ms", "interrupts"), [(1200, True), (400, False)])
def test_only_speech_that_lasts_interrupts(spoken_ms, interrupts):
    async def test(hume: Hume):
        async with h.client(hume) as client:
            await opened(client)
            await client.send(h.typed("tell me a story"))
            await client.until(h.of("audio_output"))
            await client.send(*h.chunks(tone(80000)))
            await client.until(
                lambda m: m["type"] == "user_message" and m["message"]["content"] == "Hm."
            )
            seen = [m["type"] for m in client.seen]
        assert list(hume.violations) == []
        return seen, client.seen

    script = one(
        speech=[(100, 100 + spoken_ms)],
        heard=[Heard(text="Hm.")],
        reply=[Reply(says="Once upon a time there was a sea.")],
    )
    kinds, seen = play(test, script, speed=2.0)
    assert ("user_interruption" in kinds) is interrupts
    if interrupts:
        (told,) = [m for m in seen if m["type"] == "user_interruption"]
        assert abs(told["time"] / 1000 - time.time()) < 60


def test_a_late_piece_of_what_was_cut_off():
    async def test(hume: Hume):
        async with h.client(hume) as client:
            await opened(client)
            await client.send(h.typed("a story"))
            first = (await client.until(h.of("audio_output")))[-1]
            await client.send(h.typed("stop"))
            await client.until(h.of("user_interruption"))
            late = await client.next()
        return first, late

    first, late = play(test, one(options={"late_audio": True}), speed=1.0)
    assert (late["type"], late["id"]) == ("audio_output", first["id"])
    assert late["index"] > first["index"]


def test_typed_words_have_no_prosody():
    async def test(hume: Hume):
        async with h.client(hume) as client:
            await opened(client)
            await client.send(h.typed("hello"))
            got = await client.until(h.of("assistant_end"))
        return got

    got = play(test)
    assert (got[0]["from_text"], got[0]["models"]) == (True, {"prosody": None})
    assert h.said(got) == "You said: hello"


def test_words_to_be_said_are_said_as_they_are():
    async def test(hume: Hume):
        async with h.client(hume) as client:
            await opened(client)
            await client.send({"type": "assistant_input", "text": "Closing in ten minutes."})
            got = await client.until(h.of("assistant_end"))
        return got

    got = play(test)
    assert h.said(got) == "Closing in ten minutes."
    assert got[0]["from_text"]


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ({"type": "tool_response", "content": "nine"}, "get_time says nine"),
        ({"type": "tool_error", "error": "boom", "content": "It broke."}, "It broke."),
        ({"type": "tool_error", "error": "boom"}, "The clock stopped."),
    ],
)
def test_a_tool_is_called_and_its_result_told(answer, said):
    async def test(hume: Hume):
        async with h.client(hume) as client:
            await opened(client, tools=[h.TOOL])
            await client.send(h.typed("what time is it?"))
            call = (await client.until(h.of("tool_call")))[-1]
            assert (call["name"], call["parameters"]) == ("get_time", '{"town":"Oslo"}')
            assert (call["tool_type"], call["response_required"]) == ("function", True)
            await client.send({**answer, "tool_call_id": call["tool_call_id"]})
            got = await client.until(h.of("assistant_end"))
        assert list(hume.violations) == []
        return h.said(got)

    tool = Tool(words=["time"], name="get_time", arguments={"town": "Oslo"})
    assert said in play(test, Script(tool=[tool]))


def test_parallel_calls_wait_for_each_other_and_arguments_may_be_broken():
    async def test(hume: Hume):
        async with h.client(hume) as client:
            await opened(client, tools=[h.TOOL])
            await client.send(h.typed("two"))
            calls = [(await client.until(h.of("tool_call")))[-1] for _ in range(2)]
            for call in calls:
                answer = {"type": "tool_response", "content": "yes"}
                await client.send({**answer, "tool_call_id": call["tool_call_id"]})
            got = await client.until(h.of("assistant_end"))
        return calls[1]["parameters"], h.said(got)

    calls = [Call(name="get_time"), Call(name="get_time", raw="{oops")]
    given, said = play(test, one(reply=[Reply(says="", calls=calls)]))
    assert given == "{oops"
    assert said == "get_time says yes and get_time says yes"


def test_the_services_own_tools_need_no_answer():
    async def test(hume: Hume):
        async with h.client(hume) as client:
            await opened(client, builtin_tools=[{"name": "web_search"}, {"name": "hang_up"}])
            await client.send(h.typed("search the tide"))
            got = await client.until(h.of("assistant_end"))
            await client.send(h.typed("goodbye"))
            end = await client.closed()
        assert list(hume.violations) == []
        return got, end, [m for m in client.seen if m["type"] == "tool_call"]

    got, end, calls = play(test)
    kinds = [m["type"] for m in got]
    assert (
        kinds.index("tool_call") < kinds.index("tool_response") < kinds.index("assistant_message")
    )
    assert [call["name"] for call in calls] == ["web_search", "hang_up"]
    assert not any(call["response_required"] for call in calls)
    assert end[0] == 1000


def test_a_pause_holds_answers_back_and_only_the_last_is_given():
    async def test(hume: Hume):
        async with h.client(hume) as client:
            await opened(client)
            await client.send({"type": "pause_assistant_message"})
            await client.send(h.typed("one"), h.typed("two"))
            await hume.pause(30.0)
            await client.send({"type": "resume_assistant_message"})
            got = await client.until(h.of("assistant_end"))
        return h.said(got)

    assert play(test) == "You said: two"


def test_a_chat_group_is_resumed_with_what_was_said():
    async def test(hume: Hume):
        async with h.client(hume) as client:
            await opened(client)
            group = client.seen[0]["chat_group_id"]
            await client.send(h.typed("My name is Ada."))
            await client.until(h.of("assistant_end"))
        async with h.client(hume, resumed_chat_group_id=group) as client:
            await opened(client)
            assert client.seen[0]["chat_group_id"] == group
            await client.send(h.typed("Do you remember?"))
            got = await client.until(h.of("assistant_end"))
        await hume.play(Fault(what="drop_handles"))
        async with h.client(hume, resumed_chat_group_id=group) as client:
            code, _ = await client.closed()
            assert client.seen[0]["type"] == "error"
        assert list(hume.violations) == []
        return h.said(got), code

    assert play(test) == ("Yes, I remember. You said: My name is Ada.", 1008)


@pytest.mark.parametrize(
    ("fields", "slug", "lasts_s"),
    [
        ({}, "inactivity_timeout", 120),
        ({"options": {"inactivity_s": 30.0}}, "inactivity_timeout", 30),
        ({"longest_s": 20.0}, "max_duration_timeout", 20),
        ({"options": {"inactivity_s": 9000.0}}, "max_duration_timeout", 1800),
        ({"fault": [Fault(what="cap", after_s=10.0)]}, "max_duration_timeout", 10),
    ],
)
def test_how_a_chat_ends_by_itself_and_what_it_cost(fields, slug, lasts_s):
    async def test(hume: Hume):
        async with h.client(hume) as client:
            end = await client.closed()
        return end, client.seen[-1], hume.bill.usd

    (code, _), error, usd = play(test, one(**fields), speed=1500.0)
    assert (code, error["slug"]) == (1000, slug)
    assert usd >= lasts_s / 60 * 0.07
    assert usd < (lasts_s + 1500) / 60 * 0.07


REJECTED = {
    "no JSON": ("{nope", "E0100"),
    "no object": ("[]", "E0101"),
    "unknown type": ({"type": "hello"}, "E0101"),
    "no type": ({"text": "x"}, "E0101"),
    "missing field": ({"type": "user_input"}, "E0101"),
    "unknown field": ({"type": "user_input", "text": "x", "words": 1}, "E0101"),
    "empty text": ({"type": "user_input", "text": ""}, "E0101"),
    "binary frame": (b"\0\0", "E0100"),
    "no base64": ({"type": "audio_input", "data": "*"}, "E0201"),
    "url-safe base64": ({"type": "audio_input", "data": "_-8="}, "E0201"),
    "no audio": ({"type": "audio_input", "data": ""}, "E0202"),
    "odd audio": (h.audio(b"\0\0\0"), "E0200"),
    "two channels": (h.settings(audio={**h.LINEAR, "channels": 2}), "E0101"),
    "a rate nobody has": (h.settings(audio={**h.LINEAR, "sample_rate": 1}), "E0101"),
    "another encoding": (h.settings(audio={**h.LINEAR, "encoding": "mulaw"}), "E0101"),
    "schema as an object": (h.settings(tools=[{**h.TOOL, "parameters": {}}]), "E0101"),
    "schema that is none": (h.settings(tools=[{**h.TOOL, "parameters": "x"}]), "E0101"),
    "tool with a space": (h.settings(tools=[{**h.TOOL, "name": "get time"}]), "E0101"),
    "tool without type": (h.settings(tools=[{"name": "x", "parameters": "{}"}]), "E0101"),
    "builtin nobody has": (h.settings(builtin_tools=[{"name": "cook"}]), "E0101"),
    "context of no type": (h.settings(context={"text": "x", "type": "old"}), "E0101"),
    "response to no call": (
        {"type": "tool_response", "tool_call_id": "x", "content": "y"}, "E0101"),
    "response that is no text": (
        {"type": "tool_response", "tool_call_id": "x", "content": {}}, "E0101"),
    "error of no level": (
        {"type": "tool_error", "tool_call_id": "x", "error": "y", "level": "info"}, "E0101"),
}  # fmt: skip


@pytest.mark.parametrize("name", REJECTED)
def test_what_is_wrong_is_answered_by_an_error_and_the_chat_goes_on(name):
    message, code = REJECTED[name]

    async def test(hume: Hume):
        async with h.client(hume) as client:
            await opened(client)
            await client.send(message)
            error = (await client.until(h.of("error")))[-1]
            await client.send(h.typed("hello"))
            await client.until(h.of("assistant_end"))
        return error, len(hume.violations)

    error, breaches = play(test)
    assert (error["code"], breaches) == (code, 1)
    assert error["slug"]
    assert error["message"]


def test_raw_audio_needs_its_settings_first():
    async def test(hume: Hume):
        async with h.client(hume) as client:
            await client.until(h.of("chat_metadata"))
            await client.send(h.audio(tone(640)))
            error = (await client.until(h.of("error")))[-1]
            await client.send(h.audio(b"RIFF" + bytes(100)), h.typed("hi"))
            await client.until(h.of("assistant_end"))
        return error["code"], len(hume.violations)

    assert play(test) == ("E0200", 1)


def test_ten_identical_errors_end_the_chat():
    async def test(hume: Hume):
        async with h.client(hume) as client:
            await client.send(*["{nope"] * 9, {"type": "user_input"}, "{nope")
            code, _ = await client.closed()
        return code, sum(m["type"] == "error" for m in client.seen)

    assert play(test) == (1008, 11)


def test_audio_is_a_stream():
    async def test(hume: Hume):
        async with h.client(hume) as client:
            await opened(client)
            await client.send(h.audio(tone(40000)))  # a file
            await hume.pause(1.2)
            await client.send(h.audio(tone(640)), h.typed("hi"))
            await client.until(h.of("assistant_end"))
        return [row.rule for row in hume.violations]

    rules = play(test, one(speech=[(100, 5000)]), speed=1.0)
    assert [rule.split(":")[0] for rule in rules] == [
        "1.2 s in one message",
        rules[1],
    ]
    assert rules[1].startswith("audio stopped for")


def test_settings_of_the_query():
    async def test(hume: Hume):
        query = {
            "session_settings[audio][encoding]": "linear16",
            "session_settings[audio][sample_rate]": "16000",
            "session_settings[audio][channels]": "1",
            "session_settings[variables][age]": "30.0",
            "session_settings[custom_session_id]": "mine",
            "session_settings[event_limit]": "50",
            "config_version": "3",
        }
        async with h.client(hume, **query) as client:
            await client.until(h.of("chat_metadata"))
            await client.send(*h.chunks(tone(48000)))
            got = await client.until(h.of("assistant_end"))
        assert list(hume.violations) == []
        return {m.get("custom_session_id") for m in got}

    script = one(speech=[(200, 1200)], heard=[Heard(text="Hello.")])
    assert play(test, script) == {"mine"}


@pytest.mark.parametrize(
    ("query", "closes"),
    [
        ({"session_settings[audio][sample_rate]": "fast"}, True),
        ({"session_settings[audio][sample_rate]": "16000"}, True),  # channels are missing
        ({"session_settings[tools]": "[]"}, False),
        ({"colour": "blue"}, False),
    ],
)
def test_queries_that_are_wrong(query, closes):
    async def test(hume: Hume):
        async with h.client(hume, **query) as client:
            if closes:
                assert (await client.closed())[0] == 1008
            else:
                await client.until(h.of("chat_metadata"))
        return len(hume.violations)

    assert play(test) == 1


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("/nowhere", h.KEY, 404),
        (PATH, {}, 401),
        (PATH, {"X-Hume-Api-Key": "wrong"}, 401),
        (PATH + "?api_key=wrong", {}, 401),
        (PATH + "?api_key=key", {}, None),
        (PATH + "?access_token=key", {}, None),
        (PATH, h.KEY, None),
    ],
)
def test_keys(path, headers, status):
    async def test(hume: Hume):
        try:
            async with Client(hume.url + path, headers, None) as client:
                await client.until(h.of("chat_metadata"))
        except InvalidStatus as refused:
            return refused.response.status_code
        assert "'key'" not in str(hume.records)
        return None

    assert play(test, keys=frozenset({"key"})) == status


@pytest.mark.parametrize(
    ("fault", "kinds"),
    [
        (Fault(what="error", error="I0100", kind="fault", reason="down"), {"error"}),
        (Fault(what="send", frame='{"type":"brand_new","x":1}'), {"brand_new"}),
        (Fault(what="send", frame='{"x":1}'), {None}),
    ],
)
def test_faults_that_do_not_end_the_chat(fault, kinds):
    async def test(hume: Hume):
        async with h.client(hume) as client:
            await client.until(lambda m: m["type"] == "chat_metadata")
            await hume.play(fault)
            got = await client.next()
            await client.send(h.typed("hi"))
            await client.until(h.of("assistant_end"))
        return {got.get("type")}

    assert play(test) == kinds


def test_a_lost_end_and_a_failed_answer():
    async def test(hume: Hume):
        async with h.client(hume) as client:
            await client.send(h.typed("one"))
            await client.until(h.of("assistant_prosody"))
            await client.send(h.typed("two"))
            got = await client.until(h.of("error"))
        return [m["type"] for m in got], got[-1]["code"]

    script = one(reply=[Reply(), Reply(fails="I0200")], fault=[Fault(what="lost_done", reply=1)])
    kinds, code = play(test, script)
    assert "assistant_end" not in kinds
    assert code == "I0200"
