"""Everything the emulated Gemini sends, held against the types of Google's own package."""

from __future__ import annotations

import asyncio
import json
import typing
import warnings
from typing import Any

import pytest

from tests.emulators import gemini_talk as g
from tests.emulators.talk import tone
from tests.emulators.vendors import package
from voiced.emulators.gemini import Gemini
from voiced.emulators.script import Call, Connection, Fault, Heard, Reply, Script

types = package("google.genai").types
converters = package("google.genai._live_converters")

THOUGHTS = {"responseModalities": ["AUDIO"], "thinkingConfig": {"includeThoughts": True}}
SPOKEN = Connection(
    options={"interim": True, "cached": 20, "session_id": True, "waiting": True},
    heard=[Heard(text="What is it?", revisions=["What"])],
    speech=[(100, 500)],
    fault=[Fault(what="goaway", seconds=3000.0)],
)
CALL = Call(name="get_weather", arguments={"town": "Oslo"})
CALLING = Connection(
    reply=[
        Reply(says="A long story of the sea.", calls=[CALL]),
        Reply(fails="GENERATED_OTHER"),
    ]
)

MISSING = {
    "LiveServerMessage.voice_activity_detection_signal": "only on an allowlist of accounts",
    "LiveServerSetupComplete.voice_consent_signature": "for cloned voices, which Live has not",
    "LiveServerContent.url_context_metadata": "url context is no tool of a live session",
    "LiveServerSessionResumptionUpdate.last_consumed_client_message_index":
        "belongs to transparent resumption, which the Developer API has not",
    "UsageMetadata.traffic_type": "of the enterprise platform",
    "UsageMetadata.service_tier": "nothing follows from it",
    "FunctionCall.partial_args": "of the enterprise platform",
    "FunctionCall.will_continue": "belongs to partial arguments",
    "Transcription.speaker_label": "only with diarization",
    "Transcription.words": "only with word timestamps",
    "Transcription.start_offset": "only with word timestamps",
    "Transcription.end_offset": "only with word timestamps",
    "Blob.display_name": "of the enterprise platform",
    "ExecutableCode.id": "of code execution, which Live has not",
    "CodeExecutionResult.id": "of code execution, which Live has not",
    "GroundingMetadata.image_search_queries": "only of image search",
    "GroundingMetadata.retrieval_metadata": "of dynamic retrieval, which Live has not",
    "GroundingMetadata.google_maps_widget_context_token": "only of maps",
    "GroundingMetadata.retrieval_queries": "only of retrieval",
    "GroundingMetadata.source_flagging_uris": "only of maps",
    "GroundingChunk.image": "only of image search",
    "GroundingChunk.maps": "only of maps",
    "GroundingChunk.retrieved_context": "only of retrieval",
    "GroundingSupport.rendered_parts": "only of the enterprise platform",
    "Segment.part_index": "always 0, which is not on the wire",
    "Segment.start_index": "always 0, which is not on the wire",
    "SearchEntryPoint.sdk_blob": "a search app's own, never used here",
    **{
        f"Part.{name}": "no part of a live reply"
        for name in (
            "media_resolution", "file_data", "function_call", "function_response",
            "thought_signature", "video_metadata", "tool_call", "tool_response", "part_metadata",
            "audio_transcription", "media_processing", "speech_metadata", "document_metadata",
            "spreadsheet_metadata", "audio_metadata",
        )
    },
}  # fmt: skip
"""Fields of the vendor's types that the emulator never sends, and why."""


async def play() -> list[dict[str, Any]]:
    """Return all that is sent in conversations of every kind."""
    seen: list[dict[str, Any]] = []
    script = Script(connection=[SPOKEN, CALLING])
    async with Gemini(script, speed=20.0) as gemini:
        async with g.client(gemini) as client:
            said = g.setup(
                g.FLASH,
                tools=[{"googleSearch": {}}],
                generationConfig=THOUGHTS,
                realtimeInputConfig=None,
                inputAudioTranscription={"languageCodes": ["en-US"]},
            )
            await client.send(said, *g.chunks(tone(32000)))
            await client.until(g.complete)
            await client.send(g.typed("search the sea"))
            await client.until(g.complete)
        seen += client.seen
        async with g.client(gemini) as client:
            jpeg = {"realtimeInput": {"video": {"data": "/9j/4AAA", "mimeType": "image/jpeg"}}}
            await client.send(g.setup(tools=[g.WEATHER]), jpeg, g.typed("weather"))
            await client.until(lambda m: "toolCall" in m)
            await client.send(g.START)
            await client.until(g.complete)
            await client.send(g.END, g.typed("fail"))
            await client.until(lambda m: "turnCompleteReason" in g.content(m))
        seen += client.seen
        assert list(gemini.violations) == []
    return seen


@pytest.fixture(scope="module")
def frames():
    return asyncio.run(play())


def fields(model) -> dict[str, Any]:
    return model.model_fields


def inner(annotation) -> list[type]:
    """Return the vendor's models in an annotation."""
    if isinstance(annotation, type) and hasattr(annotation, "model_fields"):
        return [annotation]
    return [model for part in typing.get_args(annotation) for model in inner(part)]


def used(model, value: dict[str, Any], found: set[str]) -> None:
    """Note which fields of a vendor's model a message fills; fail on a name it does not have."""
    for name, filled in value.items():
        assert name in fields(model), f"{model.__name__} has no {name}"
        found.add(f"{model.__name__}.{name}")
        models = inner(fields(model)[name].annotation)
        for each in filled if isinstance(filled, list) else [filled]:
            if models and isinstance(each, dict):
                used(models[0], each, found)


def snaked(value: Any, model) -> Any:
    """Return a message with the names of the vendor's model, which spells them in snake case."""
    if isinstance(value, list):
        return [snaked(each, model) for each in value]
    if not isinstance(value, dict) or model is None:
        return value
    names = {info.alias or name: name for name, info in fields(model).items()}
    made = {}
    for name, filled in value.items():
        own = names.get(name, name)
        models = inner(fields(model)[own].annotation) if own in fields(model) else []
        made[own] = snaked(filled, models[0] if models else None)
    return made


def vendor(frame: dict[str, Any]):
    """Return the frame as the vendor's client makes it, and with its names."""
    converted = converters._LiveServerMessage_from_mldev(frame)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # an unknown enumeration only warns
        message = types.LiveServerMessage._from_response(response=converted, kwargs={})
    return message, snaked(converted, types.LiveServerMessage)


@pytest.fixture(scope="module")
def filled(frames) -> set[str]:
    found: set[str] = set()
    for frame in frames:
        used(types.LiveServerMessage, vendor(frame)[1], found)
    return found


def test_every_frame_is_the_vendors_message_and_nothing_is_lost(frames):
    for frame in frames:
        message, _ = vendor(frame)
        again = json.loads(message.model_dump_json(by_alias=True, exclude_none=True))
        assert keys(again) >= keys(frame) - {"type"}, frame


def keys(value: Any) -> set[str]:
    if isinstance(value, list):
        return set().union(*map(keys, value))
    if not isinstance(value, dict):
        return set()
    return set(value) | set().union(*map(keys, value.values()))


def reachable() -> list[str]:
    """Return the fields of all the vendor's models that a frame of the emulator may hold."""
    found, todo = [], [types.LiveServerMessage]
    done = set()
    while todo:
        model = todo.pop()
        if model in done:
            continue
        done.add(model)
        for name, info in fields(model).items():
            field = f"{model.__name__}.{name}"
            found.append(field)
            if field not in MISSING:
                todo += inner(info.annotation)
    return sorted(found)


@pytest.mark.parametrize("field", reachable())
def test_every_field_of_the_vendors_types_is_sent_or_named_with_its_reason(field, filled):
    assert (field in filled) is not (field in MISSING), MISSING.get(field, "never sent")


def test_how_many_there_are(filled, capsys):
    assert set(MISSING) <= set(reachable())
    members = fields(types.LiveServerMessage)
    sent = [name for name in members if f"LiveServerMessage.{name}" in filled]
    with capsys.disabled():
        print(
            f"\nGemini: {len(sent)} of {len(members)} kinds of message, "
            f"{len(filled)} of {len(reachable())} fields; {len(MISSING)} missing, each with its "
            "reason"
        )
    assert len(sent) == len(members) - 1
