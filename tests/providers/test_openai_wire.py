"""Whatever the parameters: every client event is one that the vendor and the stand-in take."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voiced.emulators import openai_rules, openai_wire
from voiced.emulators.openai_usage import MODELS
from voiced.errors import ProviderRefused
from voiced.messages.network import HistoryRow, ToolDeclaration
from voiced.parameters.row import row_of
from voiced.providers import openai_page, openai_session
from voiced.providers import provider_openai_realtime as provider
from voiced.providers.contract import HeardItem, check
from voiced.providers.realtime_dialect import server
from voiced.providers.realtime_dialect.client import SessionUpdate
from voiced.providers.registry import card_of

from . import openai_oracle as oracle
from .openai_hand import LIGHT, Bench, Recorder, kinds, request

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
WORDS = TEXT.filter(str.strip)
TOOL = st.builds(
    ToolDeclaration,
    name=st.from_regex(r"[a-z_]{1,20}", fullmatch=True),
    description=TEXT,
    schema=st.sampled_from([LIGHT.schema, '{"type":"object","properties":{}}', "no json"]),
    blocking=st.booleans(),
)
TOOLS = st.lists(TOOL, max_size=3, unique_by=lambda tool: tool.name).map(tuple)


def _value(row) -> st.SearchStrategy:
    match row.tag:
        case "i" if isinstance(row.default, bool):
            return st.booleans()
        case "i":
            return st.integers(int(row.minimum), int(row.maximum))
        case "f":
            return st.floats(row.minimum, row.maximum)
        case _ if row.options and row.name != "tool_choice":
            return st.sampled_from(row.options)
    return TEXT


PARAMETERS = st.fixed_dictionaries(
    {},
    optional={row.name: _value(row) for row in openai_page.rows() if row.name != "Model"}
    | {
        "Model": st.sampled_from(["", *openai_page.MODELS]),
        "Voice": st.sampled_from(["", "voice_1234", *openai_page.VOICES]),
        "Systemprompt": TEXT,
        "Languagecode": st.sampled_from(["", "en", "de-DE", "pt_BR"]),
        "Enableusertranscription": st.booleans(),
        "Bargein": st.sampled_from(["auto", "on", "off"]),
    },
)


def taken(session: dict[str, object], model: str, voice: object = None) -> None:
    """Hold a session object to the vendor's types and to what the stand-in refuses."""
    raw = oracle.check_sent(SessionUpdate(event_id="su_1", session=session))
    event = msgspec.convert(raw, openai_wire.ClientEvent)
    openai_rules.session(event.session, model, MODELS[model], voice)


@pytest.mark.parametrize(
    "wrong",
    [
        {"type": "realtime", "audio": {"output": {"pace": 1.0}}},
        {"type": "realtime", "audio": {"input": {"noise_reduction": {"type": "loud"}}}},
        {"audio": {"output": {"speed": 1.0}}},
    ],
)
def test_the_judge_is_strict(wrong: dict[str, object]) -> None:
    with pytest.raises((AssertionError, ValueError)):
        oracle.check_sent(SessionUpdate(session=wrong))


def test_it_is_a_provider() -> None:
    assert check(provider) == []
    card = card_of("openai_realtime", provider)
    assert card.models[0] == "gpt-realtime-2.1"
    assert card.voices[0] == "marin"
    assert {"gpt-realtime", "gpt-realtime-mini"} <= set(card.models) == set(card.pricing)
    assert card.pricing["gpt-realtime-2.1"].input_usd_min == pytest.approx(0.0192)
    assert card.pricing["gpt-realtime-2.1"].output_usd_min == pytest.approx(0.0768)
    for parameter in card.parameters:
        row = row_of(parameter, card.title)
        assert row.doc
        assert not row.options or row.default in row.options


@given(PARAMETERS, TOOLS, st.booleans())
def test_every_session_is_taken(parameters, tools, push_to_talk: bool) -> None:
    values = openai_page.read(parameters)
    session = openai_session.settings(values, tools, push_to_talk=push_to_talk)
    taken(session, values.model)
    audio = session["audio"]
    assert isinstance(audio, dict)
    if push_to_talk:
        assert audio["input"]["turn_detection"] is None
    assert ("reasoning" in session) == MODELS[values.model].reasoning


@given(PARAMETERS, PARAMETERS, TOOLS, TOOLS, st.booleans())
def test_every_change_is_taken_and_leads_there(before, after, tools, more, talk: bool) -> None:
    after = {**after, "Model": before.get("Model", "")}
    old = openai_session.settings(openai_page.read(before), tools, push_to_talk=talk)
    new = openai_session.settings(openai_page.read(after), more, push_to_talk=talk)
    update = openai_session.changed(old, new)
    if not update:
        assert old == new
        return
    model = openai_page.read(before).model
    raw = oracle.check_sent(SessionUpdate(session=update))
    event = msgspec.convert(raw, openai_wire.ClientEvent)
    if "tools" in update or "tool_choice" not in update:
        openai_rules.session(event.session, model, MODELS[model], None)
    assert "model" not in update
    first = msgspec.convert(
        {**old, "instructions": old.get("instructions", "")}, openai_wire.Config
    )
    merged = openai_wire.merged(first, event.session)
    wanted = msgspec.convert(
        {**new, "instructions": new.get("instructions", "")}, openai_wire.Config
    )
    assert merged == wanted


def test_the_defaults_are_today_s() -> None:
    session = openai_session.settings(openai_page.read({}), [LIGHT], push_to_talk=False)
    assert session == {
        "type": "realtime",
        "model": "gpt-realtime-2.1",
        "output_modalities": ["audio"],
        "max_output_tokens": "inf",
        "tools": [
            {
                "type": "function",
                "name": "set_light",
                "description": "Sets the colour of the light.",
                "parameters": {
                    "type": "object",
                    "properties": {"colour": {"type": "string"}},
                    "required": ["colour"],
                },
            }
        ],
        "tool_choice": "auto",
        "truncation": "auto",
        "tracing": None,
        "reasoning": {"effort": "low"},
        "parallel_tool_calls": True,
        "audio": {
            "input": {
                "format": {"type": "audio/pcm", "rate": 24000},
                "noise_reduction": {"type": "far_field", "strength": 1.0},
                "transcription": {"model": "gpt-transcribe"},
                "turn_detection": {
                    "type": "server_vad",
                    "threshold": 0.5,
                    "prefix_padding_ms": 300,
                    "silence_duration_ms": 500,
                    "idle_timeout_ms": None,
                    "create_response": True,
                    "interrupt_response": True,
                },
            },
            "output": {
                "format": {"type": "audio/pcm", "rate": 24000},
                "voice": "marin",
                "speed": 1.0,
            },
        },
    }


@pytest.mark.parametrize("model", openai_page.MODELS)
def test_only_models_that_reason_are_told_how(model: str) -> None:
    assert openai_page.read({"Model": model}).reasons == MODELS[model].reasoning


@pytest.mark.parametrize(
    ("wrong", "place"),
    [({"speed": "9"}, "speed"), ({"eagerness": "very"}, "eagerness"), ({"Voice": 3}, "Voice")],
)
def test_a_value_that_cannot_be_used_is_named(wrong, place: str) -> None:
    with pytest.raises(ProviderRefused, match=place) as refused:
        openai_page.read(wrong)
    assert refused.value.code == "bad_value"


ACTIONS = st.one_of(
    st.tuples(st.just("text"), WORDS),
    st.tuples(st.just("say"), WORDS),
    st.tuples(st.just("note"), WORDS),
    st.tuples(st.just("picture"), st.binary(min_size=1, max_size=20)),
    st.tuples(st.just("result"), st.booleans(), TEXT),
    st.tuples(st.just("hear"), st.binary(min_size=1, max_size=200).map(lambda b: b * 2)),
    st.tuples(st.just("press"), st.booleans()),
    st.tuples(st.just("interrupt"), st.integers(0, 5000)),
    st.tuples(st.just("history"), st.lists(st.tuples(st.sampled_from(["user", "assistant"]), TEXT),
                                           max_size=3), st.booleans()),
    st.tuples(st.just("reply")),
)  # fmt: skip


@given(st.lists(ACTIONS, max_size=12), st.booleans())
def test_every_client_event_is_one_of_the_vendors(actions: Sequence[tuple], talk: bool) -> None:
    recorder = Recorder()
    live = provider.Live(request(tools=(LIGHT,), push_to_talk=talk), recorder)
    bench = Bench(live.conversation)
    conversation, replies = live.conversation, 0
    for action in actions:
        match action:
            case ("text", text):
                image, live.frame = live.frame, None
                conversation.text(text, image)
            case ("say", text):
                conversation.say(text)
            case ("note", text):
                conversation.note(text)
            case ("picture", data):
                run = provider.send_video_frame(live, b"\xff\xd8\xff" + data)
                with pytest.raises(StopIteration):
                    run.send(None)
            case ("result", ok, text):
                conversation.result("call_1", "set_light", ok, text)
            case ("hear", chunk):
                conversation.hearing.hear(chunk)
            case ("press", active):
                conversation.hearing.activity(active)
            case ("history", rows, respond):
                conversation.prime([HistoryRow(role=r, text=t) for r, t in rows], respond)
            case ("reply",):
                replies += 1
                spoken(conversation, f"resp_{replies}", f"item_{replies}")
            case ("interrupt", ms):
                heard = HeardItem(
                    response=f"resp_{replies}",
                    item=f"item_{replies}",
                    ms=ms,
                    received_ms=100,
                    complete=False,
                )
                conversation.interrupted([heard])
    for event in bench.sent():
        raw = oracle.check_sent(event)
        assert len(raw.get("event_id", "")) <= 32
        assert raw.get("audio_end_ms", 0) <= 100


def spoken(conversation, response: str, item: str) -> None:
    """Let a reply begin and say 100 ms, with a call in it."""
    ids = {"response_id": response, "item_id": item, "output_index": 0, "content_index": 0}
    for event in (
        {"type": "response.created", "response": {"id": response}},
        {"type": "response.output_audio.delta", **ids, "delta": "AAAA" * 1600},
        {"type": "response.output_item.done", **ids,
         "item": {"type": "function_call", "status": "completed", "call_id": f"c_{response}",
                  "name": "set_light", "arguments": "{}"}},
    ):  # fmt: skip
        conversation.take(msgspec.json.encode(event))


def test_custom_voices_go_by_their_id() -> None:
    session = openai_session.settings(
        openai_page.read({"Voice": "voice_abc"}), [], push_to_talk=False
    )
    assert isinstance(session["audio"], dict)
    assert session["audio"]["output"]["voice"] == {"id": "voice_abc"}


def test_a_picture_goes_once_and_only_as_what_it_is() -> None:
    recorder = Recorder()
    live = provider.Live(request(), recorder)
    bench = Bench(live.conversation)
    for data in (b"\xff\xd8\xff old", b"\x89PNG\r\n\x1a\n new", b"GIF89a no", b""):
        with pytest.raises(StopIteration):
            provider.send_video_frame(live, data).send(None)
    assert recorder.troubles == ["bad_image"] * 2
    assert bench.sent() == []
    assert live.frame is not None
    assert live.frame.image_url.startswith("data:image/png;base64,")


def test_kinds_name_what_is_sent() -> None:
    live = provider.Live(request(), Recorder())
    bench = Bench(live.conversation)
    live.conversation.text("Hello.")
    assert kinds(bench.sent()) == ["conversation.item.create", "response.create"]
    assert isinstance(server.decode(b"{}"), server.Malformed)
