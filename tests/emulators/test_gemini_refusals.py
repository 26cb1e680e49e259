"""Each rule of Gemini Live broken once, over the wire: what is written down, and how it ends."""

from __future__ import annotations

import asyncio
import base64
import json

import pytest

from tests.emulators import gemini_talk as g
from voiced.emulators.gemini import Gemini
from voiced.emulators.script import Script, Tool

UNKNOWN = "Invalid JSON payload received. Unknown name \"{}\" at '{}'"
LEVEL_MISSING = "Thinking level must be specified for this model"
LEVEL_REFUSED = "Thinking level is not supported for this model"
NO_TEXT = "The requested combination of response modalities (TEXT) is not supported by the model"
INVALID = "Request contains an invalid argument."
UNSUPPORTED = "Operation is not implemented, or supported, or enabled."
FUNCTION = g.WEATHER["functionDeclarations"][0]


def generation(model: str = g.LIVE, **fields):
    body = g.setup(model)
    body["setup"]["generationConfig"] |= fields
    return body


def tool(model: str = g.LIVE, **fields):
    return g.setup(model, tools=[{"functionDeclarations": [{**FUNCTION, **fields}]}])


def detection(**fields):
    return g.setup(realtimeInputConfig={"automaticActivityDetection": fields})


SETUPS = {
    "unknown model": (g.setup("gemini-9"), "v1beta", 1008, "models/gemini-9 is not found for API"),
    "retired model": (g.setup("gemini-2.0-flash-live-001"), "v1beta", 1008, "is not found"),
    "model without prefix": (g.setup() | {"setup": {"model": g.LIVE}}, "v1beta", 1008, "not found"),
    "no model": ({"setup": {}}, "v1beta", 1008, "is not found"),
    "thinking on 3.8": (
        generation(thinkingConfig={"thinkingLevel": "LOW"}), "v1beta", 1007, LEVEL_REFUSED),
    "empty thinking on 3.8": (generation(thinkingConfig={}), "v1beta", 1007, LEVEL_REFUSED),
    "no level": (generation(g.THINKING, thinkingConfig={}), "v1beta", 1007, LEVEL_MISSING),
    "minimal level": (
        generation(g.THINKING, thinkingConfig={"thinkingLevel": "MINIMAL"}),
        "v1beta", 1007, LEVEL_REFUSED),
    "budget where a level belongs": (
        generation(g.THINKING, thinkingConfig={"thinkingBudget": 100}), "v1beta", 1007, INVALID),
    "level where a budget belongs": (
        generation(g.NATIVE, thinkingConfig={"thinkingLevel": "LOW"}),
        "v1beta", 1007, LEVEL_REFUSED),
    "text": (generation(responseModalities=["TEXT"]), "v1beta", 1007, NO_TEXT),
    "text and audio": (generation(responseModalities=["TEXT", "AUDIO"]), "v1beta", 1007, "TEXT"),
    "temperature": (generation(temperature=2.1), "v1beta", 1007, INVALID),
    "top_p": (generation(topP=1.5), "v1beta", 1007, INVALID),
    "too long replies": (generation(g.NATIVE, maxOutputTokens=8193), "v1beta", 1007, INVALID),
    "voice": (
        generation(speechConfig={"voiceConfig": {"prebuiltVoiceConfig": {"voiceName": "Bob"}}}),
        "v1beta", 1007, "'Bob' is not available"),
    "language": (generation(speechConfig={"languageCode": "klingon!"}), "v1beta", 1007, "language"),
    "proactivity": (
        g.setup(proactivity={"proactiveAudio": True}),
        "v1beta", 1007, UNKNOWN.format("proactivity", "setup")),
    "proactivity on alpha": (
        g.setup(proactivity={"proactiveAudio": False}), "v1alpha", 1007, INVALID),
    "affective on 3.1": (
        generation(g.FLASH, enableAffectiveDialog=True), "v1beta", 1007, INVALID),
    "affective on 2.5": (
        generation(g.NATIVE, enableAffectiveDialog=True),
        "v1beta", 1007, UNKNOWN.format("enableAffectiveDialog", "setup.generation_config")),
    "padding beside disabled": (
        detection(disabled=True, prefixPaddingMs=300), "v1beta", 1007, INVALID),
    "silence beside disabled": (
        detection(disabled=True, silenceDurationMs=300), "v1beta", 1007, INVALID),
    "transparent resumption": (
        g.setup(sessionResumption={"transparent": True}),
        "v1beta", 1007, UNKNOWN.format("transparent", "setup.session_resumption")),
    "explicit vad signal": (
        g.setup(explicitVadSignal=True),
        "v1beta", 1007, UNKNOWN.format("explicitVadSignal", "setup")),
    "first resumption of the latest": (
        g.setup("gemini-2.5-flash-native-audio-latest"), "v1beta", 1008, UNSUPPORTED),
    "unknown handle": (g.setup(sessionResumption={"handle": "x"}), "v1beta", 1007, INVALID),
    "unknown name": (g.setup(toolConfig={}), "v1beta", 1007, UNKNOWN.format("toolConfig", "setup")),
    "wrong type": (generation(temperature="warm"), "v1beta", 1007, "Invalid value at 'setup."),
    "unknown enumeration": (generation(mediaResolution="HUGE"), "v1beta", 1007, "Invalid value"),
    "trigger": (
        g.setup(contextWindowCompression={"triggerTokens": 999_999, "slidingWindow": {}}),
        "v1beta", 1007, INVALID),
    "target above trigger": (
        g.setup(contextWindowCompression={
            "triggerTokens": "100", "slidingWindow": {"targetTokens": "100"}}),
        "v1beta", 1007, INVALID),
    "blocking on extended thinking": (
        tool(g.THINKING, behavior="BLOCKING"),
        "v1beta", 1007, "BLOCKING function calls are not supported"),
    "function without name": (tool(name=""), "v1beta", 1007, "Invalid function name"),
    "function with spaces": (tool(name="get weather"), "v1beta", 1007, "Invalid function name"),
    "function twice": (
        g.setup(tools=[{"functionDeclarations": [FUNCTION, FUNCTION]}]),
        "v1beta", 1007, "Duplicate function declaration"),
    "two schemas": (tool(parameters={"type": "OBJECT"}), "v1beta", 1007, INVALID),
    "schema of a string": (
        tool(parametersJsonSchema={"type": "string"}), "v1beta", 1007, INVALID),
    "schema with an unknown name": (
        tool(parametersJsonSchema=None, parameters={"type": "OBJECT", "additionalProperties": 1}),
        "v1beta", 1007, 'Unknown name "additionalProperties"'),
    "code execution": (g.setup(tools=[{"codeExecution": {}}]), "v1beta", 1007, UNSUPPORTED),
    "url context": (g.setup(tools=[{"urlContext": {}}]), "v1beta", 1007, UNSUPPORTED),
    "empty tool": (g.setup(tools=[{}]), "v1beta", 1007, INVALID),
    "safety without threshold": (
        g.setup(safetySettings=[{"category": "HARM_CATEGORY_HARASSMENT"}]),
        "v1beta", 1007, INVALID),
    "picture as instruction": (
        g.setup(systemInstruction={"parts": [{"inlineData": {"mimeType": "image/jpeg"}}]}),
        "v1beta", 1007, INVALID),
    "language of the transcript": (
        g.setup(inputAudioTranscription={"languageCodes": ["?"]}), "v1beta", 1007, INVALID),
    "avatar": (g.setup(avatarConfig={}), "v1beta", 1007, INVALID),
}  # fmt: skip


def refused(*messages, version="v1beta"):
    """Return close code, reason and violations after these messages."""

    async def run():
        async with Gemini(speed=50.0) as gemini, g.client(gemini, version) as client:
            await client.send(*messages)
            return (*await client.closed(), list(gemini.violations))

    return asyncio.run(run())


@pytest.mark.parametrize("name", SETUPS)
def test_set_ups_that_are_refused(name):
    message, version, code, words = SETUPS[name]
    got, reason, violations = refused(message, version=version)
    assert (got, words in reason) == (code, True), reason
    assert len(reason.encode()) <= 123
    assert violations


@pytest.mark.parametrize("model", [g.LIVE, g.THINKING])
def test_affective_dialog_is_refused_at_the_first_content(model):
    async def run():
        async with Gemini() as gemini, g.client(gemini) as client:
            message = g.setup(model)
            message["setup"]["generationConfig"]["enableAffectiveDialog"] = True
            await client.send(message)
            await client.until(lambda m: "setupComplete" in m)
            await client.send(g.typed("hi"))
            return await client.closed()

    assert asyncio.run(run())[0] == 1007


def blob(data: bytes, mime: str):
    return {"data": base64.b64encode(data).decode(), "mimeType": mime}


def turn(*parts, role="user"):
    turns = [{"role": role, "parts": list(parts)}]
    return {"clientContent": {"turns": turns, "turnComplete": True}}


PCM = "audio/pcm;rate=16000"
JPEG = b"\xff\xd8\xff\xe0"
AFTER = {
    "no JSON": (g.LIVE, "{not json", 1007, "Invalid JSON payload"),
    "no object": (g.LIVE, "[]", 1007, "Invalid value"),
    "unknown message": (g.LIVE, {"hello": {}}, 1007, 'Unknown name "hello"'),
    "two messages": (g.LIVE, {**g.typed("x"), **g.START}, 1007, INVALID),
    "no message": (g.LIVE, {}, 1007, INVALID),
    "second set-up": (g.LIVE, g.setup(), 1007, "setup must be the first message and only the"),
    "no role on 3.8": (g.LIVE, g.typed("x", role=None), 1007, INVALID),
    "no role on 3.1": (g.FLASH, g.typed("x", role=None), 1007, INVALID),
    "system role": (g.LIVE, g.typed("x", role="system"), 1007, "Please use a valid role"),
    "turn without parts": (g.LIVE, turn(), 1007, INVALID),
    "part with two contents": (
        g.LIVE, turn({"text": "x", "inlineData": blob(JPEG, "image/jpeg")}), 1007, INVALID),
    "seed at 24 kHz": (
        g.LIVE, turn({"inlineData": blob(b"\0\0", "audio/pcm;rate=24000")}), 1008, INVALID),
    "seed with sound on 2.5": (
        g.NATIVE, turn({"inlineData": blob(b"\0\0", PCM)}), 1007, "Precondition check failed"),
    "picture that is none": (
        g.LIVE, turn({"inlineData": blob(b"GIF89a", "image/jpeg")}), 1007, "input image"),
    "odd audio": (g.LIVE, {"realtimeInput": {"audio": blob(b"\0\0\0", PCM)}}, 1007, INVALID),
    "wav audio": (
        g.LIVE, {"realtimeInput": {"audio": blob(b"\0\0", "audio/wav")}}, 1007, INVALID),
    "no base64": (
        g.LIVE, {"realtimeInput": {"audio": {"data": "*", "mimeType": PCM}}}, 1007, "TYPE_BYTES"),
    "two inputs": (
        g.LIVE, {"realtimeInput": {"text": "x", "activityStart": {}}}, 1007, INVALID),
    "no input": (g.LIVE, {"realtimeInput": {}}, 1007, INVALID),
    "video that is no JPEG": (
        g.LIVE, {"realtimeInput": {"video": blob(b"BM", "image/jpeg")}}, 1007, "input image"),
    "video as PNG": (
        g.LIVE, {"realtimeInput": {"video": blob(JPEG, "image/png")}}, 1007, INVALID),
    "stream end by hand": (
        g.LIVE, {"realtimeInput": {"audioStreamEnd": True}}, 1007, INVALID),
    "answer to no call": (
        g.LIVE,
        {"toolResponse": {"functionResponses": [{"id": "x", "name": "y", "response": {}}]}},
        1007, INVALID),
    "answer without id": (
        g.LIVE, {"toolResponse": {"functionResponses": [{"name": "y", "response": {}}]}},
        1007, INVALID),
    "no answers": (g.LIVE, {"toolResponse": {}}, 1007, INVALID),
    "update on 3.1": (g.FLASH, {"contextUpdate": {"tools": {}}}, 1007, "contextUpdate"),
    "update with a bad tool": (
        g.LIVE, {"contextUpdate": {"tools": {"tools": [{"codeExecution": {}}]}}},
        1007, UNSUPPORTED),
}  # fmt: skip


@pytest.mark.parametrize("name", AFTER)
def test_messages_that_are_refused(name):
    model, message, code, words = AFTER[name]
    got, reason, violations = refused(g.setup(model), message)
    assert (got, words in reason) == (code, True), reason
    assert violations


def test_nothing_comes_before_the_set_up():
    code, reason, violations = refused(g.typed("hi"))
    assert (code, reason) == (1007, "setup must be the first message and only the first")
    assert violations[0].event == "client_content"


def test_activities_belong_to_manual_detection():
    for message in (g.START, g.END):
        code, reason, _ = refused(g.setup(realtimeInputConfig=None), message)
        assert code == 1007
        assert reason.startswith("Explicit activity control is not supported when automatic")


@pytest.mark.parametrize(
    ("model", "answer", "code", "reason"),
    [
        (g.THINKING, {"scheduling": "WHEN_IDLE"}, 1007, "Function response scheduling is not"),
        (g.LIVE, {"name": "other"}, 1007, INVALID),
        (g.LIVE, {"response": None}, 1007, INVALID),
        (g.LIVE, {"response": "rain"}, 1007, "Invalid value"),
    ],
)
def test_answers_that_are_refused(model, answer, code, reason):
    got, words, violations = asyncio.run(called(model, answer))
    assert (got, reason in words) == (code, True), words
    assert violations


@pytest.mark.parametrize(
    ("model", "answer", "path"),
    [
        (g.LIVE, {"name": None}, "name"),
        (g.THINKING, {"name": None}, "name"),
        (g.FLASH, {"scheduling": "SILENT"}, "scheduling"),
    ],
)
def test_answers_that_are_put_up_with_are_still_breaches(model, answer, path):
    _, words, violations = asyncio.run(called(model, answer, closes=False))
    assert [row.path.rpartition(".")[2] for row in violations] == [path]
    if answer == {"name": None}:
        assert "a system error occurred" in words


async def called(model, answer, *, closes=True):
    """Answer a call; return close code, reason or what was said, and violations."""
    script = Script(tool=[Tool(words=["weather"], name="get_weather", says="A moment.")])
    async with Gemini(script, speed=50.0) as gemini, g.client(gemini) as client:
        await client.send(g.setup(model, tools=[g.WEATHER]), g.typed("weather"))
        got = await client.until(lambda m: "toolCall" in m)
        id_ = got[-1]["toolCall"]["functionCalls"][0]["id"]
        response = {"id": id_, "name": "get_weather", "response": {}} | answer
        response = {name: value for name, value in response.items() if value is not None}
        await client.send({"toolResponse": {"functionResponses": [response]}})
        if closes:
            return (*await client.closed(), list(gemini.violations))
        told = ("get_weather says {}", "a system error occurred")
        await client.until(lambda m: g.words(client.seen).endswith(told))
        return 0, g.words(client.seen), list(gemini.violations)


@pytest.mark.parametrize(
    "message",
    [
        {"realtimeInput": {"mediaChunks": [blob(b"\0\0", PCM)]}},
        {"realtimeInput": {"audio": blob(b"\0\0", "audio/pcm;rate=24000")}},
        {"realtimeInput": {"audio": blob(b"", PCM)}},
        {"realtimeInput": {"text": ""}},
        json.dumps(g.typed("hi", complete=False)).encode(),
    ],
)
def test_what_the_service_puts_up_with_is_a_breach_all_the_same(message):
    async def run():
        async with Gemini(speed=50.0) as gemini, g.client(gemini) as client:
            await client.send(g.setup(), message, g.typed("hi"))
            await client.until(g.complete)
            return len(gemini.violations)

    assert asyncio.run(run()) == 1
