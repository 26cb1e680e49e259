"""What we send, over all parameters: held against the vendor's types and the emulator's rules."""

from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.providers import gemini_oracle as oracle
from voiced.emulators import gemini_rules, protojson
from voiced.emulators.gemini_models import MODELS as KNOWN
from voiced.emulators.gemini_wire import ClientMessage
from voiced.errors import ProviderRefused
from voiced.messages.network import HistoryRow, ToolDeclaration
from voiced.providers import gemini_messages as messages
from voiced.providers import gemini_page, gemini_setup
from voiced.providers.gemini_closing import Attempt
from voiced.providers.gemini_models import MODELS, VOICES, bare, model_of, path_of

NAMES = [model.name for model in MODELS]
WORDS = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=40)
SCHEMAS = st.sampled_from(
    [
        "",
        "{}",
        '{"type": "object", "properties": {}, "required": []}',
        '{"type": "object", "properties": {"a_b": {"type": "string"}}, "required": ["a_b"]}',
        '{"properties": {"level": {"type": "number", "minimum": 0}}}',
        '{"type": "string"}',
        "[]",
        "{no json",
    ]
)


def _row(row):
    """Return a strategy for the value of a row of the page."""
    if row.options:
        return st.sampled_from(row.options)
    if row.tag == "s":
        return st.sampled_from(["", "Kraków, TouchDesigner", ", ,x"])
    low, high = row.minimum, row.maximum
    if row.tag == "f":
        return st.floats(low, high, allow_nan=False)
    return st.integers(int(low), int(high))


@st.composite
def pages(draw):
    page = {row.name: draw(_row(row)) for row in gemini_page.rows()}
    page["Model"] = draw(st.sampled_from(["", *NAMES, "models/" + NAMES[0]]))
    page["Voice"] = draw(st.sampled_from(["", *VOICES]))
    page["Languagecode"] = draw(st.sampled_from(["", "en-US", "pl"]))
    page["Systemprompt"] = draw(WORDS)
    page["Thinkingbudget"] = draw(st.integers(0, 8192))
    page["Bargein"] = draw(st.sampled_from(["auto", "on", "off"]))
    for name in (
        "Enableusertranscription",
        "Enableoutputtranscription",
        "Enablegrounding",
        "Enablesessionresumption",
    ):
        page[name] = draw(st.sampled_from([0, 1, True, False]))
    return page


TOOLS = st.lists(
    st.builds(
        ToolDeclaration,
        name=st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,20}", fullmatch=True),
        description=WORDS.filter(bool),
        schema=SCHEMAS,
        blocking=st.booleans(),
    ),
    max_size=4,
    unique_by=lambda tool: tool.name,
)


def findings(frame):
    """Return what the emulator's rules say of a set-up."""
    message = protojson.read(frame.decode(), ClientMessage)
    return list(gemini_rules.check_setup(message.setup, "v1beta"))


@settings(max_examples=150)
@given(pages(), TOOLS, st.booleans(), st.booleans(), st.sampled_from(["", "CihHandle"]))
def test_every_set_up_is_one_for_vendor_and_service(page, tools, talk, seeded, handle):
    if 0 < page["compression_trigger_tokens"] <= page["compression_kept_tokens"]:
        with pytest.raises(ProviderRefused, match="compression_kept_tokens"):
            gemini_page.page_of(page)
        return
    taken = gemini_page.page_of(page)
    attempt = Attempt(handle=handle, resumption=bool(page["Enablesessionresumption"]))
    plan = gemini_setup.plan(taken, tools, attempt, push_to_talk=talk, seeded=seeded)
    frame = messages.setup(plan.setup)
    setup = oracle.client_message(frame)["setup"]
    assert findings(frame) == []
    assert ("sessionResumption" in setup) is bool(page["Enablesessionresumption"])
    assert setup["contextWindowCompression"]["slidingWindow"] is not None
    detection = setup["realtimeInputConfig"]["automaticActivityDetection"]
    assert (detection == {"disabled": True}) is talk
    assert ("historyConfig" in setup) is seeded
    assert "proactivity" not in setup
    assert "enableAffectiveDialog" not in setup["generationConfig"]


@given(
    st.one_of(
        st.builds(messages.audio, st.binary(min_size=2, max_size=640)),
        st.builds(messages.video, st.binary(min_size=3, max_size=40)),
        st.builds(messages.activity, st.booleans()),
        st.builds(messages.audio_stream_end),
        st.builds(messages.typed, WORDS, st.binary(max_size=20)),
        st.builds(messages.context, WORDS),
        st.builds(
            messages.history,
            st.lists(st.tuples(st.sampled_from(["user", "assistant"]), WORDS), min_size=1),
        ),
        st.builds(
            messages.tool_response,
            st.builds(
                messages.FunctionResponse,
                name=WORDS,
                id=st.one_of(st.none(), WORDS),
                response=st.dictionaries(WORDS, st.one_of(WORDS, st.integers(), st.booleans())),
                scheduling=st.sampled_from([None, "SILENT", "WHEN_IDLE", "INTERRUPT"]),
            ),
        ),
    )
)
def test_every_message_is_one_for_vendor_and_emulator(frame):
    oracle.client_message(frame)
    protojson.read(frame.decode(), ClientMessage)


def test_sound_and_pictures_arrive_as_they_were():
    pcm, jpeg = bytes(range(256)), b"\xff\xd8\xff\xfa\xfb\xfc"
    audio = json.loads(messages.audio(pcm))["realtimeInput"]["audio"]
    assert audio["mimeType"] == "audio/pcm;rate=16000"
    assert base64.b64decode(audio["data"], validate=True) == pcm
    turn = json.loads(messages.typed("what is this?", jpeg))["clientContent"]["turns"][0]
    assert turn["role"] == "user"
    picture, words = turn["parts"]
    assert base64.b64decode(picture["inlineData"]["data"], validate=True) == jpeg
    assert words == {"text": "what is this?"}


def test_history_alternates_and_is_not_answered():
    rows = [("user", "a"), ("user", "b"), ("assistant", "c"), ("user", "d")]
    content = json.loads(messages.history(rows))["clientContent"]
    assert content["turnComplete"] is True
    assert [turn["role"] for turn in content["turns"]] == ["user", "model", "user"]
    assert content["turns"][0]["parts"] == [{"text": "a"}, {"text": "b"}]
    assert json.loads(messages.context("x"))["clientContent"]["turnComplete"] is False


def test_what_waits_for_its_answer_is_no_history():
    rows = [HistoryRow(role="user", text="hello"), HistoryRow(role="user", text="are you there?")]
    assert gemini_setup.seed(rows, True) == [("user", "hello")]
    assert gemini_setup.seed(rows, False) == [("user", "hello"), ("user", "are you there?")]
    assert gemini_setup.seed([HistoryRow(role="user", text=" ")], False) == []


# --- the table of model differences ----------------------------------------------------------


def plan(model, tools=(), talk=False, **page):
    taken = gemini_page.page_of({"Model": model, **page})
    made = gemini_setup.plan(taken, tools, Attempt(), push_to_talk=talk, seeded=False)
    return json.loads(messages.setup(made.setup))["setup"], made.notes


LIVE, EXTENDED, FLASH, NATIVE = NAMES


@pytest.mark.parametrize(
    ("model", "page", "thinking"),
    [
        (LIVE, {}, None),
        (LIVE, {"thinking_level": "HIGH", "Thinkingbudget": 100}, None),
        (EXTENDED, {}, {"thinkingLevel": "LOW"}),
        (EXTENDED, {"thinking_level": "MEDIUM"}, {"thinkingLevel": "MEDIUM"}),
        (EXTENDED, {"thinking_level": "MINIMAL", "Thinkingbudget": 5}, {"thinkingLevel": "LOW"}),
        (FLASH, {"Thinkingbudget": 5}, None),
        (FLASH, {"thinking_level": "MINIMAL"}, {"thinkingLevel": "MINIMAL"}),
        (NATIVE, {}, {"thinkingBudget": 0}),
        (NATIVE, {"thinking_level": "HIGH", "Thinkingbudget": 512}, {"thinkingBudget": 512}),
    ],
)
def test_thinking_is_told_as_the_model_takes_it(model, page, thinking):
    setup, _ = plan(model, **page)
    assert setup["generationConfig"].get("thinkingConfig") == thinking


def test_a_level_that_a_model_does_not_take_is_told():
    _, notes = plan(LIVE, thinking_level="HIGH")
    assert notes == [
        ("thinking_level", f"thinking_level HIGH is left out: {LIVE} takes none"),
    ]
    _, notes = plan(EXTENDED, thinking_level="MINIMAL")
    assert "only LOW, MEDIUM, HIGH" in notes[0][1]
    assert plan(NATIVE, thinking_level="HIGH")[1] == []


def test_a_reply_is_no_longer_than_the_model_can_speak():
    setup, notes = plan(NATIVE, max_output_tokens=20_000)
    assert setup["generationConfig"]["maxOutputTokens"] == 8192
    assert notes[0][0] == "max_output_tokens"
    setup, notes = plan(LIVE, max_output_tokens=20_000)
    assert setup["generationConfig"]["maxOutputTokens"] == 20_000
    assert notes == []


@pytest.mark.parametrize(
    ("model", "waits", "runs_on"),
    [
        (LIVE, "BLOCKING", "NON_BLOCKING"),
        (EXTENDED, "NON_BLOCKING", "NON_BLOCKING"),
        (FLASH, None, None),
        (NATIVE, "BLOCKING", "NON_BLOCKING"),
    ],
)
def test_whether_the_model_waits_for_a_tool(model, waits, runs_on):
    tools = [
        ToolDeclaration(name="a", description="x", schema="{}", blocking=True),
        ToolDeclaration(name="b", description="x", schema="{}", blocking=False),
    ]
    setup, _ = plan(model, tools)
    declared = setup["tools"][0]["functionDeclarations"]
    assert [function.get("behavior") for function in declared] == [waits, runs_on]


@pytest.mark.parametrize(("model", "together"), [(LIVE, 1), (EXTENDED, 1), (FLASH, 0), (NATIVE, 0)])
def test_search_beside_tools(model, together):
    tools = [ToolDeclaration(name="a", description="x", schema="{}")]
    setup, notes = plan(model, tools, Enablegrounding=1)
    kinds = [key for tool in setup["tools"] for key in tool]
    assert kinds == (["googleSearch", "functionDeclarations"] if together else ["googleSearch"])
    assert [code for code, _ in notes] == ([] if together else ["grounding_conflict"])
    assert "tools" not in plan(model)[0]
    assert plan(model, Enablegrounding=1) == plan(model, Enablegrounding=True)


@pytest.mark.parametrize("schema", ['{"type": "string"}', "[1]", "{no json", "[" * 100_000])
def test_a_tool_without_a_schema_of_an_object_is_left_out_and_told(schema):
    tools = [
        ToolDeclaration(name="lamp", description="x", schema=schema),
        ToolDeclaration(name="ok", description="x", schema="{}"),
    ]
    setup, notes = plan(LIVE, tools)
    assert [f["name"] for f in setup["tools"][0]["functionDeclarations"]] == ["ok"]
    assert notes[0][0] == "bad_schema"
    assert "lamp" in notes[0][1]


@pytest.mark.parametrize(
    ("page", "talk", "handling"),
    [
        ({}, False, "START_OF_ACTIVITY_INTERRUPTS"),
        ({"Bargein": "off"}, False, "NO_INTERRUPTION"),
        ({"Bargein": "off", "activity_handling": "START_OF_ACTIVITY_INTERRUPTS"}, False,
         "START_OF_ACTIVITY_INTERRUPTS"),
        ({"activity_handling": "NO_INTERRUPTION"}, False, "NO_INTERRUPTION"),
        ({"activity_handling": "NO_INTERRUPTION", "Bargein": "off"}, True,
         "START_OF_ACTIVITY_INTERRUPTS"),
    ],
)  # fmt: skip
def test_who_may_cut_whom(page, talk, handling):
    assert plan(LIVE, talk=talk, **page)[0]["realtimeInputConfig"]["activityHandling"] == handling


def test_detection_and_coverage():
    setup, _ = plan(
        LIVE,
        start_sensitivity="HIGH",
        end_sensitivity="LOW",
        prefix_padding_ms=0,
        silence_duration_ms=700,
    )
    assert setup["realtimeInputConfig"]["automaticActivityDetection"] == {
        "startOfSpeechSensitivity": "START_SENSITIVITY_HIGH",
        "endOfSpeechSensitivity": "END_SENSITIVITY_LOW",
        "prefixPaddingMs": 0,
        "silenceDurationMs": 700,
    }
    assert setup["realtimeInputConfig"]["turnCoverage"].endswith("ALL_VIDEO")
    assert plan(NATIVE)[0]["realtimeInputConfig"]["turnCoverage"] == "TURN_INCLUDES_ONLY_ACTIVITY"
    chosen = plan(NATIVE, turn_coverage="TURN_INCLUDES_ALL_INPUT")[0]["realtimeInputConfig"]
    assert chosen["turnCoverage"] == "TURN_INCLUDES_ALL_INPUT"


def test_the_context_is_always_bounded():
    window = plan(LIVE)[0]["contextWindowCompression"]
    assert window == {"triggerTokens": 25600, "slidingWindow": {"targetTokens": 12800}}
    window = plan(LIVE, compression_trigger_tokens=0)[0]["contextWindowCompression"]
    assert window == {"slidingWindow": {}}
    with pytest.raises(ProviderRefused, match="compression_kept_tokens"):
        plan(LIVE, compression_trigger_tokens=100, compression_kept_tokens=100)


def test_nothing_is_sent_that_was_left_to_the_service():
    setup, notes = plan(LIVE)
    assert notes == []
    assert setup["generationConfig"] == {
        "responseModalities": ["AUDIO"],
        "speechConfig": {"voiceConfig": {"prebuiltVoiceConfig": {"voiceName": "Kore"}}},
    }
    assert sorted(setup) == [
        "contextWindowCompression",
        "generationConfig",
        "inputAudioTranscription",
        "model",
        "outputAudioTranscription",
        "realtimeInputConfig",
        "sessionResumption",
    ]
    heard = plan(LIVE, Languagecode="de-DE", custom_vocabulary="Orb, , Lissajous")[0]
    assert heard["inputAudioTranscription"] == {
        "languageCodes": ["de-DE"],
        "customVocabulary": ["Orb", "Lissajous"],
    }


@pytest.mark.parametrize("page", [{"top_k": "many"}, {"temperature": "warm"}, {"seed": 1.5}])
def test_a_value_of_the_wrong_kind_is_refused_in_words(page):
    with pytest.raises(ProviderRefused, match=next(iter(page))):
        gemini_page.page_of(page)


@pytest.mark.parametrize(
    ("name", "row", "path"),
    [
        ("", LIVE, f"models/{LIVE}"),
        ("models/" + LIVE, LIVE, f"models/{LIVE}"),
        ("gemini-3.9-live", LIVE, "models/gemini-3.9-live"),
        ("gemini-4-extended-thinking", EXTENDED, "models/gemini-4-extended-thinking"),
        ("gemini-3.1-flash-live-002", FLASH, "models/gemini-3.1-flash-live-002"),
        ("gemini-2.5-flash-native-audio-latest", NATIVE,
         "models/gemini-2.5-flash-native-audio-latest"),
        ("gemini-2.0-flash-live-001", "gemini-2.0-flash-live-001",
         "models/gemini-2.0-flash-live-001"),
        ("tunedModels/mine", LIVE, "tunedModels/mine"),
    ],
)  # fmt: skip
def test_a_free_name_is_treated_as_its_family(name, row, path):
    assert model_of(name).name == row
    assert path_of(name) == path
    assert bare("models/x") == "x"


def test_the_emulator_knows_the_same_models():
    assert set(NAMES) <= set(KNOWN)
