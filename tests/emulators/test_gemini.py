"""The emulated Gemini by a raw client: turns, order, calls, handles, ends, faults."""

from __future__ import annotations

import asyncio

import pytest
from websockets.exceptions import InvalidStatus

from tests.emulators import gemini_talk as g
from tests.emulators.talk import Client, tone
from voiced.emulators.gemini import Gemini
from voiced.emulators.script import Call, Connection, Fault, Heard, Reply, Script, Tool

FAST = 50.0
"""The emulator's time runs so fast that replies end as soon as they were said."""


def play(test, script: Script | None = None, speed: float = FAST, **how):
    """Run a test against a Gemini of its own and return what it returns."""

    async def run():
        async with Gemini(script, speed=speed, **how) as gemini:
            return await test(gemini)

    return asyncio.run(run())


def one(**fields) -> Script:
    return Script(connection=[Connection(**fields)])


async def opened(client: Client, **fields) -> None:
    await client.send(g.setup(**fields))
    await client.until(lambda message: "setupComplete" in message)


def test_a_spoken_turn_is_transcribed_answered_and_charged():
    async def test(gemini: Gemini):
        async with g.client(gemini) as client:
            await opened(client)
            await client.send(g.START, *g.chunks(tone(32000)), g.END)
            got = await client.until(g.complete)
            await client.until(g.handle)
        assert list(gemini.violations) == []
        return got, gemini.bill.usd

    got, usd = play(test, one(heard=[Heard(text="What is the tide?")]))
    assert g.words(got, "inputTranscription") == "What is the tide?"
    assert g.words(got) == "You said: What is the tide?"
    assert len(g.sound(got)) > 24000
    kinds = g.shapes(got)
    assert kinds.index("serverContent.generationComplete") < kinds.index(
        "serverContent.turnComplete"
    )
    used = got[-1]["usageMetadata"]
    # One second of audio in is 25 tokens; the reply's are those of what was sent.
    details = {row["modality"]: row["tokenCount"] for row in used["promptTokensDetails"]}
    assert details["AUDIO"] == 25
    assert used["responseTokenCount"] == -(-len(g.sound(got)) * 25 // 48000)
    text = used["promptTokenCount"] - details["AUDIO"]
    assert usd == pytest.approx(
        (text * 0.75 + 25 * 3 + used["thoughtsTokenCount"] * 4.5 + used["responseTokenCount"] * 12)
        / 1e6
    )
    assert used["totalTokenCount"] == used["promptTokenCount"] + used["responseTokenCount"]


def test_turn_complete_comes_about_when_the_reply_was_heard():
    async def test(gemini: Gemini):
        loop = asyncio.get_running_loop()
        async with g.client(gemini) as client:
            await opened(client)
            await client.send(g.typed("hi"))
            got = await client.until(lambda m: g.content(m).get("generationComplete"))
            generated = loop.time()
            await client.until(g.complete)
            return len(g.sound(got)) / 48000, loop.time() - generated

    spoken_s, waited_s = play(test, one(reply=[Reply(says="A little while.")]), speed=2.0)
    assert waited_s == pytest.approx(spoken_s / 2, abs=0.4)


def test_an_activity_while_the_model_speaks_cuts_it_off():
    async def test(gemini: Gemini):
        async with g.client(gemini) as client:
            await opened(client)
            await client.send(g.typed("tell me a story"))
            await client.until(lambda m: "modelTurn" in g.content(m))
            await client.send(g.START)
            got = await client.until(g.complete)
            await client.send(*g.chunks(tone(6400)), g.END)
            answer = await client.until(g.complete)
        assert list(gemini.violations) == []
        return g.shapes(got), answer

    script = one(reply=[Reply(says="Once upon a time. " * 20)], heard=[Heard(text="Stop!")])
    kinds, answer = play(test, script, speed=1.0)
    end = kinds[kinds.index("serverContent.interrupted") :]
    assert end[0] == "serverContent.interrupted"
    assert "serverContent.turnComplete" in end
    assert "serverContent.generationComplete" not in end
    assert g.words(answer) == "You said: Stop!"


def test_no_interruption_lets_it_speak_on():
    async def test(gemini: Gemini):
        async with g.client(gemini) as client:
            config = {
                "automaticActivityDetection": {"disabled": True},
                "activityHandling": "NO_INTERRUPTION",
            }
            await opened(client, realtimeInputConfig=config)
            await client.send(g.typed("tell me a story"))
            await client.until(lambda m: "modelTurn" in g.content(m))
            await client.send(g.START, *g.chunks(tone(6400)), g.END)
            first = await client.until(g.complete)
            second = await client.until(g.complete)
        return first, second

    script = one(reply=[Reply(says="Once upon a time.")], heard=[Heard(text="Stop!")])
    first, second = play(test, script, speed=5.0)
    assert not any(g.content(m).get("interrupted") for m in first)
    assert g.words(second) == "You said: Stop!"


@pytest.mark.parametrize(
    ("model", "behavior", "waits"),
    [
        (g.LIVE, None, False),
        (g.LIVE, "BLOCKING", True),
        (g.LIVE, "NON_BLOCKING", False),
        (g.FLASH, None, True),
        (g.NATIVE, None, True),
        (g.NATIVE, "NON_BLOCKING", False),
        (g.THINKING, None, False),
    ],
)
def test_whether_the_model_waits_for_a_function(model, behavior, waits):
    async def test(gemini: Gemini):
        tools = [{"functionDeclarations": [dict(g.WEATHER["functionDeclarations"][0])]}]
        if behavior:
            tools[0]["functionDeclarations"][0]["behavior"] = behavior
        async with g.client(gemini) as client:
            await opened(client, model=model, tools=tools)
            await client.send(g.typed("what is the weather?"))
            got = await client.until(lambda m: "toolCall" in m)
            (call,) = got[-1]["toolCall"]["functionCalls"]
            assert call["name"] == "get_weather"
            assert call["args"] == {"town": "Oslo"}
            if not waits:
                await client.until(g.complete)
            answer = {"id": call["id"], "name": call["name"], "response": {"output": "rain"}}
            await client.send({"toolResponse": {"functionResponses": [answer]}})
            got = await client.until(g.complete)
            if model == g.THINKING:
                assert any(
                    g.content(m).get("interactionStatus") == "IN_PROGRESS" for m in client.seen
                )
        assert list(gemini.violations) == []
        return g.words(got)

    tool = Tool(words=["weather"], name="get_weather", arguments={"town": "Oslo"}, says="A moment.")
    assert play(test, Script(tool=[tool])).endswith("get_weather says rain")


def test_a_non_blocking_call_leaves_the_old_flash_silent():
    async def test(gemini: Gemini):
        function = {**g.WEATHER["functionDeclarations"][0], "behavior": "NON_BLOCKING"}
        async with g.client(gemini) as client:
            await opened(client, model=g.FLASH, tools=[{"functionDeclarations": [function]}])
            await client.send(g.typed("what is the weather?"))
            await client.until(lambda m: "toolCall" in m)
            await gemini.pause(30.0)
            await client.send(g.typed("hello?"))
            return await client.until(g.complete)

    tool = Tool(words=["weather"], name="get_weather")
    got = play(test, Script(tool=[tool]))
    # Nothing but the end that the next input brought.
    assert "serverContent.interrupted" in g.shapes(got)
    assert "serverContent.generationComplete" not in g.shapes(got)


@pytest.mark.parametrize("scheduling", ["SILENT", "WHEN_IDLE", "INTERRUPT"])
def test_scheduling_of_a_late_result(scheduling):
    async def test(gemini: Gemini):
        async with g.client(gemini) as client:
            await opened(client, tools=[g.WEATHER])
            await client.send(g.typed("weather, and a story"))
            got = await client.until(lambda m: "toolCall" in m)
            id_ = got[-1]["toolCall"]["functionCalls"][0]["id"]
            answer = {"id": id_, "name": "get_weather", "response": {"output": "rain"}}
            responses = [{**answer, "scheduling": scheduling}]
            await client.send({"toolResponse": {"functionResponses": responses}})
            first = await client.until(g.complete)
            if scheduling == "SILENT":
                await client.send(g.typed("go on"))
            second = await client.until(g.complete)
        assert list(gemini.violations) == []
        return any(g.content(m).get("interrupted") for m in first), g.words(second)

    calls = [Call(name="get_weather")]
    script = one(reply=[Reply(says="A long story about the sea, the wind and ships.", calls=calls)])
    interrupted, said = play(test, script, speed=5.0)
    assert interrupted is (scheduling == "INTERRUPT")
    assert ("get_weather says rain" in said) is (scheduling != "SILENT")


def test_an_interruption_cancels_calls_and_their_answers_are_not_wanted():
    async def test(gemini: Gemini):
        async with g.client(gemini) as client:
            await opened(client, tools=[g.WEATHER])
            await client.send(g.typed("two calls"))
            got = await client.until(lambda m: "toolCall" in m)
            ids = [call["id"] for call in got[-1]["toolCall"]["functionCalls"]]
            await client.send(g.START)
            got = await client.until(g.complete)
            (cancelled,) = [
                m["toolCallCancellation"]["ids"] for m in got if "toolCallCancellation" in m
            ]
            assert cancelled == ids
            kinds = g.shapes(got)
            assert kinds.index("serverContent.interrupted") < kinds.index("toolCallCancellation")
            assert list(gemini.violations) == []
            answer = {"id": ids[0], "name": "get_weather", "response": {}}
            await client.send({"toolResponse": {"functionResponses": [answer]}}, g.END)
            await client.until(g.complete)
        return [row.path for row in gemini.violations]

    calls = [Call(name="get_weather"), Call(name="get_weather", arguments={"town": "Bergen"})]
    script = one(reply=[Reply(says="A long story about the sea and the wind.", calls=calls)])
    fields = play(test, script, speed=2.0)
    assert fields == ["tool_response.function_responses[0].id"]


def test_the_seed_is_history_and_not_answered():
    async def test(gemini: Gemini):
        async with g.client(gemini) as client:
            await opened(client, historyConfig={"initialHistoryInClientContent": True})
            turns = [
                {"role": "user", "parts": [{"text": "My name is Ada."}]},
                {"role": "model", "parts": [{"text": "Hello Ada."}]},
            ]
            await client.send({"clientContent": {"turns": turns, "turnComplete": True}})
            await client.send({"realtimeInput": {"text": "Do you remember?"}})
            got = await client.until(g.complete)
        assert list(gemini.violations) == []
        return g.words(got)

    assert play(test) == "Yes, I remember. You said: My name is Ada."


async def introduced(client: Client) -> str:
    """Open a conversation, say who speaks, and return the handle behind that."""
    await opened(client)
    await client.send(g.typed("My name is Ada."))
    await client.until(g.complete)
    await client.until(g.handle)
    return str(client.seen[-1]["sessionResumptionUpdate"]["newHandle"])


def test_a_handle_restores_the_conversation_once_the_old_socket_is_closed():
    async def test(gemini: Gemini):
        async with g.client(gemini) as client:
            token = await introduced(client)
            async with g.client(gemini) as early:
                await early.send(g.setup(sessionResumption={"handle": token}))
                assert (await early.closed())[0] == 1011
        gemini.violations.clear()
        async with g.client(gemini) as client:
            await opened(client, sessionResumption={"handle": token})
            await client.send(g.typed("Do you remember?"))
            got = await client.until(g.complete)
        assert list(gemini.violations) == []
        async with g.client(gemini) as client:
            await client.send(g.setup(g.FLASH, sessionResumption={"handle": token}))
            assert (await client.closed())[0] == 1007
        gemini.handles.drop()
        async with g.client(gemini) as client:
            await client.send(g.setup(sessionResumption={"handle": token}))
            assert (await client.closed())[0] == 1007
        return g.words(got)

    assert play(test) == "Yes, I remember. You said: My name is Ada."


def test_a_connection_that_its_client_broke_off_holds_nobody_up():
    """Its end is behind a thousand frames that nobody has read yet."""

    async def test(gemini: Gemini):
        async with g.client(gemini) as client:
            token = await introduced(client)
            client.break_off(*[g.audio(bytes(320))] * 1000)
        async with g.client(gemini) as client:
            await opened(client, sessionResumption={"handle": token})
            await client.send(g.typed("Do you remember?"))
            got = await client.until(g.complete)
        assert list(gemini.violations) == []
        assert gemini.records[0].received["realtime_input"] > 100
        return g.words(got)

    assert play(test) == "Yes, I remember. You said: My name is Ada."


def test_a_handle_dies_two_hours_after_its_session():
    async def test(gemini: Gemini):
        async with g.client(gemini) as client:
            await opened(client)
            await client.until(g.handle)
            token = client.seen[-1]["sessionResumptionUpdate"]["newHandle"]
        await gemini.pause(7300)
        async with g.client(gemini) as client:
            await client.send(g.setup(sessionResumption={"handle": token}))
            return await client.closed()

    # Compression, or the connection itself would end within the two hours.
    assert play(test, speed=20_000.0)[0] == 1007


def test_calls_lost_with_a_connection_swallow_the_next_input_unless_they_are_answered():
    async def test(gemini: Gemini):
        tools = [{"functionDeclarations": [
            {**g.WEATHER["functionDeclarations"][0], "behavior": "BLOCKING"}]}]  # fmt: skip
        async with g.client(gemini) as client:
            await opened(client, tools=tools)
            await client.until(g.handle)
            token = client.seen[-1]["sessionResumptionUpdate"]["newHandle"]
            await client.send(g.typed("weather?"))
            got = await client.until(lambda m: m.get("sessionResumptionUpdate") == {})
            ids = [c["id"] for m in got if "toolCall" in m for c in m["toolCall"]["functionCalls"]]
        async with g.client(gemini) as client:
            await opened(client, sessionResumption={"handle": token})
            lost = {"id": ids[0], "name": "get_weather", "response": {"error": "lost"}}
            await client.send({"toolResponse": {"functionResponses": [lost]}}, g.typed("hello"))
            answered = g.words(await client.until(g.complete))
        async with g.client(gemini) as client:
            await opened(client, sessionResumption={"handle": token})
            gemini.conversations[0].lost = frozenset(ids)  # as if nobody had answered them
            await client.send(g.typed("one"))
            await gemini.pause(30.0)
            await client.send(g.typed("two"))
            got = await client.until(g.complete)
        assert list(gemini.violations) == []
        return answered, g.words(got)

    script = Script(tool=[Tool(words=["weather"], name="get_weather")])
    assert play(test, script) == ("You said: hello", "You said: two")


@pytest.mark.parametrize("speech", [[(300, 900)]])
def test_automatic_detection_finds_the_turn_and_tells_its_edges(speech):
    async def test(gemini: Gemini):
        async with g.client(gemini) as client:
            await opened(client, model=g.FLASH, realtimeInputConfig=None)
            await client.send(*g.chunks(tone(38400)))
            got = await client.until(g.complete)
        assert list(gemini.violations) == []
        return [m["voiceActivity"] for m in got if "voiceActivity" in m]

    assert play(test, one(speech=speech, heard=[Heard(text="Hello there.")])) == [
        {"type": "ACTIVITY_START", "audioOffset": "0.300s"},
        {"type": "ACTIVITY_END", "audioOffset": "0.900s"},
    ]


def test_the_stream_end_closes_a_turn_that_is_open():
    async def test(gemini: Gemini):
        async with g.client(gemini) as client:
            await opened(client, realtimeInputConfig=None)
            await client.send(*g.chunks(tone(16000)), {"realtimeInput": {"audioStreamEnd": True}})
            got = await client.until(g.complete)
        return g.words(got, "inputTranscription")

    assert play(test, one(speech=[(100, 9000)], heard=[Heard(text="Hello.")])) == "Hello."


def test_order_of_activities_and_pace_of_video_are_watched():
    async def test(gemini: Gemini):
        jpeg = {"realtimeInput": {"video": {"data": "_9j_4AAA", "mimeType": "image/jpeg"}}}
        async with g.client(gemini) as client:
            await opened(client)
            await client.send(g.END, g.START, g.START, g.END, jpeg, jpeg)
            await client.send(g.typed("look"))
            await client.until(lambda m: "modelTurn" in g.content(m))
            await client.until(g.complete)
        return [row.path for row in gemini.violations]

    assert play(test, speed=1.0) == ["activity_end", "activity_start", "video"]


def test_audio_outside_an_activity_is_discarded_and_counted():
    async def test(gemini: Gemini):
        async with g.client(gemini) as client:
            await opened(client)
            await client.send(*g.chunks(tone(32000)), g.START, g.audio(tone(3200)), g.END)
            await client.until(g.complete)
        assert list(gemini.violations) == []
        return gemini.records[0]

    record = play(test, one(heard=[Heard(text="Hm.")]))
    assert record.received["audio outside an activity"] == 10
    assert record.audio_in_s == pytest.approx(0.1)


def test_a_tap_without_sound_ends_in_an_empty_turn():
    async def test(gemini: Gemini):
        async with g.client(gemini) as client:
            await opened(client)
            await client.send(g.START, g.END)
            return await client.until(g.complete)

    got = play(test)
    assert g.sound(got) == b""
    assert g.words(got, "inputTranscription") == ""


def test_search_brings_its_sources_and_its_price():
    async def test(gemini: Gemini):
        async with g.client(gemini) as client:
            await opened(client, tools=[{"googleSearch": {}}])
            await client.send(g.typed("search the tide"))
            got = await client.until(g.complete)
        return got, [line for line in gemini.bill.lines if line.what == "search"]

    got, lines = play(test)
    (found,) = [g.content(m)["groundingMetadata"] for m in got if "groundingMetadata" in str(m)]
    assert found["webSearchQueries"] == ["search the tide"]
    assert found["groundingChunks"][0]["web"]["uri"].startswith("https://")
    assert [line.usd for line in lines] == [0.014]
    assert got[-1]["usageMetadata"]["toolUsePromptTokenCount"] > 0
    assert any("executableCode" in str(message) for message in got)


def test_the_context_is_charged_again_with_every_turn_and_cut_by_compression():
    async def test(gemini: Gemini):
        async with g.client(gemini) as client:
            window = {"triggerTokens": 200, "slidingWindow": {"targetTokens": 100}}
            await opened(client, contextWindowCompression=window)
            used = []
            for _ in range(8):
                await client.send(g.typed("word " * 40))
                got = await client.until(g.complete)
                used.append(got[-1]["usageMetadata"]["promptTokenCount"])
        return used

    used = play(test, one(reply=[Reply(says="Yes.")] * 8))
    assert used[0] < used[1] < used[2]
    # What may be left, the turn that came on top of it, and the tokens that nobody claims.
    assert max(used) <= 200 + 50 + 25


def test_goaway_then_the_end():
    async def test(gemini: Gemini):
        async with g.client(gemini) as client:
            await opened(client)
            got = await client.until(lambda m: "goAway" in m)
            assert got[-1] == {"goAway": {"timeLeft": "20s"}}
            return await client.closed()

    fault = Fault(what="goaway", seconds=20.0)
    code, reason = play(test, one(fault=[fault]), speed=100.0)
    assert code == 1011
    assert reason == "Deadline expired before operation could complete."


@pytest.mark.parametrize(
    ("compressed", "ends_s", "notice"), [(True, 3480, False), (False, 600, True)]
)
def test_how_long_a_connection_lasts(compressed, ends_s, notice):
    async def test(gemini: Gemini):
        window = {"slidingWindow": {}} if compressed else None
        began = gemini.now_s
        async with g.client(gemini) as client:
            await opened(client, contextWindowCompression=window)
            code, _ = await client.closed()
        return code, gemini.now_s - began, any("goAway" in m for m in client.seen)

    code, lasted_s, told = play(test, speed=3000.0)
    assert (code, told) == (1011, notice)
    assert lasted_s >= ends_s


def test_video_without_compression_ends_after_two_minutes():
    async def test(gemini: Gemini):
        jpeg = {"realtimeInput": {"video": {"data": "/9j/4AAA", "mimeType": "image/jpeg"}}}
        began = gemini.now_s
        async with g.client(gemini) as client:
            await opened(client, contextWindowCompression=None)
            await client.send(jpeg)
            code, _ = await client.closed()
        assert list(gemini.violations) == []
        return code, gemini.now_s - began

    code, lasted_s = play(test, speed=1000.0)
    assert code == 1011
    assert 115 <= lasted_s < 600


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (Fault(what="close", code=1011, reason="The service is currently unavailable."), 1011),
        (Fault(what="close", code=1008, reason="no"), 1008),
        (Fault(what="cap"), 1011),
        (Fault(what="error", code=1007, reason="context exhausted"), 1007),
    ],
)
def test_faults_that_close(fault, code):
    async def test(gemini: Gemini):
        async with g.client(gemini) as client:
            await opened(client)
            return await client.closed()

    assert play(test, one(fault=[fault]))[0] == code


def test_a_fault_in_a_reply_comes_after_so_much_audio():
    async def test(gemini: Gemini):
        async with g.client(gemini) as client:
            await opened(client)
            await client.send(g.typed("hi"))
            code, _ = await client.closed()
            return code, len(g.sound(client.seen)) // 48

    fault = Fault(what="close", reply=1, audio_ms=600)
    script = one(reply=[Reply(says="A rather long answer to a short word.")], fault=[fault])
    assert play(test, script) == (1011, 600)


def test_a_stall_a_lost_end_garbage_and_an_unknown_message():
    async def test(gemini: Gemini):
        async with g.client(gemini) as client:
            await opened(client)
            await client.until(g.handle)
            await client.send(g.typed("one"))
            got = await client.until(g.handle)
            assert not any(g.complete(message) for message in got)
            await gemini.play(Fault(what="send", frame='{"newThing":{}}', binary=True))
            assert "newThing" in (await client.until(lambda m: "newThing" in m))[-1]
            await gemini.play(Fault(what="stall", seconds=50.0))
            await client.send(g.typed("two"))
            return await client.until(g.complete)

    script = one(fault=[Fault(what="lost_done", reply=1)])
    assert g.words(play(test, script)) == "You said: two"


def test_options_of_the_field():
    options = {
        "usage": "alone", "transcript": "behind", "interim": True, "twice": True,
        "thoughts": 136, "unlabelled": 25, "cached": 10,
    }  # fmt: skip

    async def test(gemini: Gemini):
        async with g.client(gemini) as client:
            await opened(client)
            await client.send(g.START, g.audio(tone(6400)), g.END)
            return await client.until(g.complete)

    heard = Heard(text="What is it?", revisions=["What", "What is"])
    got = play(test, one(options=options, heard=[heard]))
    assert g.words(got, "interimInputTranscription") == "WhatWhat is"
    finished = [m for m in got if g.content(m).get("inputTranscription", {}).get("finished")]
    assert len(finished) == 2
    assert "usageMetadata" not in got[-1]
    (used,) = [m["usageMetadata"] for m in got if "usageMetadata" in m]
    assert used["thoughtsTokenCount"] == 136
    assert used["cachedContentTokenCount"] > 0


def test_an_interruption_that_comes_after_the_turn_it_belongs_to():
    async def test(gemini: Gemini):
        async with g.client(gemini) as client:
            await opened(client)
            await client.send(g.typed("one"))
            await client.until(g.complete)
            await client.until(g.handle)
            await client.send(g.START, g.audio(tone(6400)))
            old = await client.until(lambda m: g.content(m).get("turnComplete"))
            await client.send(g.END)
            return old, await client.until(g.complete)

    script = one(options={"late_interrupted": True}, heard=[Heard(text="Two.")])
    old, new = play(test, script)
    assert g.shapes(old) == ["serverContent.interrupted", "serverContent.turnComplete"]
    assert g.words(new) == "You said: Two."


def test_a_call_without_an_id_is_answered_without_one():
    async def test(gemini: Gemini):
        async with g.client(gemini) as client:
            await opened(client, tools=[g.WEATHER])
            await client.send(g.typed("weather"))
            got = await client.until(lambda m: "toolCall" in m)
            assert "id" not in got[-1]["toolCall"]["functionCalls"][0]
            answer = {"name": "get_weather", "response": {"output": "rain"}}
            await client.send({"toolResponse": {"functionResponses": [answer]}})
            got = await client.until(lambda m: g.words(client.seen).endswith("says rain"))
        assert list(gemini.violations) == []

    calls = [Call(name="get_weather")]
    play(test, one(options={"unnumbered": True}, reply=[Reply(says="Hm.", calls=calls)]))


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("/nowhere", {"x-goog-api-key": "right"}, 404),
        (g.path("v9"), {"x-goog-api-key": "right"}, 404),
        (g.path(), {}, 403),
        (g.path(), {"x-goog-api-key": "wrong"}, 400),
        (g.path() + "?key=wrong", {}, 400),
        (g.path("v1alpha") + "Constrained", {"Authorization": "Bearer x"}, 401),
    ],
)
def test_upgrades_that_are_refused(path, headers, status):
    async def test(gemini: Gemini):
        with pytest.raises(InvalidStatus) as refused:
            async with Client(gemini.url + path, headers, None):
                pass
        body = refused.value.response.body or b""
        if "wrong" in str(headers) + path:
            assert b"API key not valid" in body
        return refused.value.response.status_code

    assert play(test, keys=frozenset({"right"})) == status


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        (g.path() + "?key=right", {}),
        (g.path("v1alpha") + "Constrained", {"Authorization": "Token auth_tokens/abc"}),
    ],
)
def test_other_ways_to_show_a_key(path, headers):
    async def test(gemini: Gemini):
        async with Client(gemini.url + path, headers, None) as client:
            await opened(client)
        assert "right" not in str(gemini.records)

    play(test, keys=frozenset({"right"}))
