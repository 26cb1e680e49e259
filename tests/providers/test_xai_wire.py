"""Whatever the parameters: every client event is one that xAI takes, and means something there."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voiced.emulators import xai_wire
from voiced.emulators.xai import MODELS
from voiced.emulators.xai_session import VOICES
from voiced.errors import ProviderRefused
from voiced.messages.network import HistoryRow, ToolDeclaration
from voiced.parameters.row import row_of
from voiced.providers import provider_xai_grok as provider
from voiced.providers import xai_page, xai_session
from voiced.providers.contract import HeardItem, check
from voiced.providers.registry import card_of

from .openai_hand import LIGHT, Recorder
from .xai_hand import Scene, check_sent, check_session, merge, request

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
WORDS = TEXT.filter(str.strip)
NAMES = st.one_of(
    st.from_regex(r"[a-z_]{1,20}", fullmatch=True), st.sampled_from(sorted(xai_wire.RESERVED))
)
TOOL = st.builds(
    ToolDeclaration,
    name=NAMES,
    description=TEXT,
    schema=st.sampled_from([LIGHT.schema, '{"type":"object","properties":{}}', "no json"]),
    blocking=st.booleans(),
)  # fmt: skip
TOOLS = st.lists(TOOL, max_size=3, unique_by=lambda tool: tool.name).map(tuple)
LISTS = st.sampled_from(
    ["", ",", "a", "a, b,a", "Acme=Akmee,=x,y=", "x" * 60, "\U0001f600,\x00,\u2028", "https://a.org/b",
     ",".join(f"n{number}" for number in range(120)), " 2026-11-22 "]
)  # fmt: skip
DATES = st.sampled_from(["", "2026-11-22", "2026-1-2", "20261122", "yesterday", "2026-02-30"])
ROWS = st.lists(
    st.builds(HistoryRow, role=st.sampled_from(["user", "assistant"]), text=TEXT), max_size=4
)


def _value(row) -> st.SearchStrategy:
    match row.tag:
        case "i" if isinstance(row.default, bool):
            return st.booleans()
        case "i":
            return st.integers(int(row.minimum), int(row.maximum))
        case "f":
            return st.floats(row.minimum, row.maximum)
        case _ if row.options:
            return st.sampled_from(row.options)
    return DATES if row.name.endswith("_date") else LISTS


PARAMETERS = st.fixed_dictionaries(
    {},
    optional={row.name: _value(row) for row in xai_page.rows() if row.name != "Model"}
    | {
        "Model": st.sampled_from(["", "grok-voice-9", *xai_page.MODELS]),
        "Voice": st.sampled_from(["", "EVE", "my-own", *xai_page.VOICES]),
        "Systemprompt": TEXT,
        "Languagecode": st.sampled_from(["", "en", "de-DE", "pt_BR", "es", "es-mx"]),
        "Enableusertranscription": st.booleans(),
        "Enablegrounding": st.booleans(),
        "Bargein": st.sampled_from(["auto", "on", "off"]),
    },
)


def test_it_is_a_provider() -> None:
    assert check(provider) == []
    card = card_of("xai_grok", provider)
    assert card.models[0] == "grok-voice-3.0"
    assert set(card.models) == set(MODELS)
    assert card.voices[0] == "eve"
    assert set(card.voices) == set(VOICES)
    assert len(card.voices) == 28
    assert card.can_say
    assert not card.supports_video_in
    assert card.metering == "token"
    price = card.pricing["grok-voice-3.0"]
    assert (price.input_usd_min, price.output_usd_min, price.wallclock_usd_min) == (0.08, 0.08, 0)
    assert card.pricing["grok-voice-think-fast-1.0"].input_usd_min == 0.05
    for parameter in card.parameters:
        row = row_of(parameter, card.title)
        assert row.doc
        assert not row.options or row.default in row.options


def test_the_reserved_names_are_the_services() -> None:
    assert set(xai_wire.RESERVED) == xai_session.RESERVED


@given(PARAMETERS, TOOLS, ROWS, st.booleans())
def test_every_session_is_taken(parameters, tools, rows, push_to_talk: bool) -> None:
    values = xai_page.read(parameters)
    session = xai_session.settings(values, tools, rows, push_to_talk=push_to_talk)
    check_session(msgspec.json.decode(msgspec.json.encode(session)))
    if push_to_talk:
        assert session["turn_detection"] is None
    for row in rows:
        assert " ".join(row.text.split()) in str(session.get("instructions", ""))


@given(PARAMETERS, PARAMETERS, TOOLS, TOOLS, st.booleans())
def test_every_change_is_taken_and_leads_there(before, after, tools, more, talk: bool) -> None:
    old = xai_session.settings(xai_page.read(before), tools, push_to_talk=talk)
    new = xai_session.settings(xai_page.read(after), more, push_to_talk=talk)
    update = xai_session.changed(old, new)
    if not update:
        assert old == new
        return
    check_session(update)
    blank = {"instructions": ""}
    assert merge({**blank, **old}, update) == msgspec.convert({**blank, **new}, xai_wire.Config)


@given(PARAMETERS, TOOLS)
def test_what_is_left_out_is_said_and_nothing_else(parameters, tools) -> None:
    values = xai_page.read(parameters)
    session = xai_session.settings(values, tools, push_to_talk=False)
    codes = [objection.code for objection in xai_session.objections(values, tools)]
    declared = session["tools"]
    assert isinstance(declared, list)
    ours = sum(tool["type"] == "function" for tool in declared)
    assert len(tools) - ours == codes.count("reserved_tool") + codes.count("bad_tool")
    assert ("voice" in codes) == (session["voice"] == "my-own")
    assert ("model" in codes) == (values.model == "grok-voice-9")
    assert ("Languagecode" in codes) == (parameters.get("Languagecode") == "es")


def test_the_defaults_are_today_s() -> None:
    session = xai_session.settings(xai_page.read({}), [LIGHT], push_to_talk=False)
    pcm = {"type": "audio/pcm", "rate": 24000}
    assert session == {
        "voice": "eve",
        "turn_detection": {
            "type": "server_vad", "threshold": 0.85, "silence_duration_ms": 600,
            "prefix_padding_ms": 333, "idle_timeout_ms": None,
        },
        "reasoning": {"effort": "high"},
        "resumption": {"enabled": False},
        "replace": {},
        "audio": {
            "input": {
                "format": pcm, "transport": "json", "transcription": {"model": "grok-transcribe"},
            },
            "output": {"format": pcm, "transport": "json", "speed": 1.0},
        },
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
    }  # fmt: skip


def test_the_searches() -> None:
    page = {
        "Enablegrounding": 1, "web_allowed_domains": "a.org, b.org", "x_search": 1,
        "x_excluded_handles": "@spam", "x_from_date": "2026-11-01", "x_to_date": "yesterday",
        "file_collections": "col_1,col_2", "file_results": 3,
        "mcp_server_url": "https://mcp.example/x", "mcp_server_label": "house",
        "mcp_allowed_tools": "open",
    }  # fmt: skip
    values = xai_page.read(page)
    assert xai_session.settings(values, [], push_to_talk=False)["tools"] == [
        {"type": "web_search", "allowed_domains": ["a.org", "b.org"]},
        {"type": "x_search", "excluded_x_handles": ["@spam"], "from_date": "2026-11-01"},
        {"type": "file_search", "vector_store_ids": ["col_1", "col_2"], "max_num_results": 3},
        {"type": "mcp", "server_url": "https://mcp.example/x", "server_label": "house",
         "allowed_tools": ["open"]},
    ]  # fmt: skip
    (objection,) = xai_session.objections(values, [])
    assert objection == ("x_to_date", "x_to_date yesterday is no date: write it as 2026-11-22")


@pytest.mark.parametrize(
    ("page", "code", "sentence"),
    [
        ({"web_allowed_domains": "a.org", "web_excluded_domains": "b.org"}, "web_excluded_domains",
         "xAI takes web_allowed_domains or web_excluded_domains, not both: the excluded ones were "
         "left out"),
        ({"web_allowed_domains": "a,b,c,d,e,f"}, "web_allowed_domains",
         "xAI takes 5 web_allowed_domains: the others were left out"),
        ({"x_excluded_handles": ",".join(f"h{n}" for n in range(21))}, "x_excluded_handles",
         "xAI takes 20 x_excluded_handles: the others were left out"),
        ({"keyterms": "x" * 51}, "keyterms",
         "xAI takes 100 keyterms of 50 characters: the others were left out"),
        ({"replace": "Acme"}, "replace", "Acme in replace is no pair: write it as Acme=Akmee"),
        ({"mcp_server_url": "https://x"}, "mcp_server_label",
         "the MCP server was left out: give it an mcp_server_label"),
        ({"Languagecode": "es"}, "Languagecode",
         "xAI takes es with a region alone, as es-MX or pt-BR: it finds the language out by "
         "itself"),
        ({"Model": "grok-9"}, "model",
         "xAI may not know the model grok-9: it then takes its default without a word"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_said(page, code: str, sentence: str) -> None:
    (objection,) = xai_session.objections(xai_page.read(page), [])
    assert objection == (code, sentence)


@pytest.mark.parametrize("name", sorted(xai_wire.RESERVED))
def test_reserved_names_are_refused_in_words_whatever_is_on(name: str) -> None:
    tool = msgspec.structs.replace(LIGHT, name=name)
    scene = Scene(request(tools=(tool, LIGHT)))
    scene.live.object()
    scene.live.object()
    (told,) = scene.recorder.named("trouble")
    assert told[1:] == (
        "reserved_tool",
        f"xAI keeps the name {name} for a tool of its own: it was left out; register yours under "
        "another name",
    )
    assert [tool["name"] for tool in scene.live.sent["tools"]] == ["set_light"]


@pytest.mark.parametrize(
    ("code", "hint"),
    [("en", "en"), ("de-DE", "de"), ("pt_BR", "pt-BR"), ("es-mx", "es-MX"), ("es", None),
     ("", None)],
)  # fmt: skip
def test_a_language_is_hinted_as_the_recogniser_takes_it(code: str, hint: str | None) -> None:
    session = xai_session.settings(
        xai_page.read({"Languagecode": code, "keyterms": "Ada, Grok"}), [], push_to_talk=False
    )
    assert isinstance(session["audio"], dict)
    heard = session["audio"]["input"]["transcription"]
    assert heard.get("language_hint") == hint
    assert heard["keyterms"] == ["Ada", "Grok"]


def test_words_are_replaced_in_pairs() -> None:
    values = xai_page.read({"replace": "Acme=Akmee, GIF = jif,=x,y="})
    session = xai_session.settings(values, [], push_to_talk=False)
    assert session["replace"] == {"Acme": "Akmee", "GIF": "jif"}


@pytest.mark.parametrize(
    ("wrong", "place"), [({"speed": "9"}, "speed"), ({"reasoning_effort": "low"}, "reasoning"),
                         ({"Voice": 3}, "Voice")],
)  # fmt: skip
def test_a_value_that_cannot_be_used_is_named(wrong, place: str) -> None:
    with pytest.raises(ProviderRefused, match=place) as refused:
        xai_page.read(wrong)
    assert refused.value.code == "bad_value"


def test_the_model_and_the_conversation_stand_in_the_address() -> None:
    live = provider.Live(request({"Model": "grok-voice-2.0"}), Recorder())
    assert live.address == "wss://api.x.ai/v1/realtime?model=grok-voice-2.0"
    native = {"resumption": "native"}
    live = provider.Live(request(native, handle='["conv 1",12.0]'), Recorder())
    assert live.address.endswith("?model=grok-voice-3.0&conversation_id=conv+1")
    for handle in ("", "nonsense", "[]", '{"conversation":3}'):
        live = provider.Live(request(native, handle=handle), Recorder())
        assert live.address.endswith("?model=grok-voice-3.0")
    # A handle of earlier days, when replay is what is wanted now.
    live = provider.Live(request(handle='["conv_1",12.0]'), Recorder())
    assert live.address.endswith("?model=grok-voice-3.0")
    assert live.sent["resumption"] == {"enabled": False}


ACTIONS = st.one_of(
    st.tuples(st.just("text"), WORDS),
    st.tuples(st.just("say"), WORDS),
    st.tuples(st.just("note"), WORDS),
    st.tuples(st.just("result"), st.booleans(), TEXT),
    st.tuples(st.just("hear"), st.binary(min_size=1, max_size=200).map(lambda b: b * 2)),
    st.tuples(st.just("press"), st.booleans()),
    st.tuples(st.just("interrupt"), st.integers(0, 5000)),
    st.tuples(st.just("history"), ROWS, st.booleans()),
    st.tuples(st.just("time")),
    st.tuples(st.just("reply")),
    st.tuples(st.just("done")),
)


@given(st.lists(ACTIONS, max_size=14), st.booleans())
def test_every_client_event_is_one_of_xais(actions: Sequence[tuple], talk: bool) -> None:
    scene = Scene(request(tools=(LIGHT,), push_to_talk=talk))
    conversation, replies = scene.talk, 0
    for action in actions:
        match action:
            case ("text", text):
                conversation.text(text)
            case ("say", text):
                conversation.say(text)
            case ("note", text):
                conversation.note(text)
            case ("result", ok, text):
                conversation.result("call_1", "set_light", ok, text)
            case ("hear", chunk):
                conversation.hearing.hear(chunk)
            case ("press", active):
                conversation.hearing.activity(active)
            case ("history", rows, respond):
                scene.live.history = tuple(rows)
                scene.live.update()
                conversation.prime(rows[-1:] if respond else [], respond)
                conversation.release_answer()
            case ("time",):
                scene.bench.pass_time()
            case ("reply",):
                replies += 1
                scene.begins(f"resp_{replies}")
                scene.speaks(f"resp_{replies}", f"item_{replies}")
            case ("done",):
                scene.done(f"resp_{replies}")
            case ("interrupt", ms):
                heard = HeardItem(
                    response=f"resp_{replies}",
                    item=f"item_{replies}",
                    ms=ms,
                    received_ms=100,
                    complete=False,
                )
                conversation.interrupted([heard])
    for event in scene.bench.sent():
        assert check_sent(event).get("audio_end_ms", 0) <= 100


@pytest.mark.parametrize(
    "wrong",
    [
        {"type": "conversation.item.retrieve", "item_id": "x"},
        {"type": "output_audio_buffer.clear"},
        {"type": "session.update", "session": {"type": "realtime"}},
        {"type": "session.update", "session": {"temperature": 1.0}},
        {"type": "session.update", "session": {"audio": {"output": {"voice": "eve"}}}},
        {"type": "session.update", "session": {"turn_detection": {"type": "semantic_vad"}}},
    ],
)
def test_the_judge_is_strict(wrong) -> None:
    with pytest.raises((AssertionError, msgspec.ValidationError)):
        check_sent(wrong)
