"""EVI's messages against the vendor's own types, both ways; WAV chunks; error codes; a fuzz."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import random
import struct
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.providers import hume_oracle
from tests.providers.hume_service import Recorder, metadata, riff, sound
from voiced.messages.network import ToolDeclaration
from voiced.providers import hume_codec as wire
from voiced.providers import provider_hume_evi as evi
from voiced.providers.contract import SessionRequest
from voiced.providers.hume_chat import failed
from voiced.providers.riff import wave

FUZZ = int(os.environ.get("VOICED_FUZZ", "2000"))
RECORDED = Path(__file__).parents[1] / "wire" / "hume_conversation.jsonl"
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)

# --- names ------------------------------------------------------------------------------------


def test_the_dimensions_are_the_vendors():
    recorded = [json.loads(line).get("msg", {}) for line in RECORDED.read_text().splitlines()]
    prosody = next(row for row in recorded if row.get("type") == "assistant_prosody")
    assert tuple(prosody["models"]["prosody"]["scores"]) == wire.PROSODY
    assert wire.PROSODY == hume_oracle.DIMENSIONS
    assert len(wire.PROSODY) == len(set(wire.AFFECT.values())) == 48
    assert wire.AFFECT["Surprise (negative)"] == "hume_evi_affect_surprise_negative"
    assert wire.AFFECT["Aesthetic Appreciation"] == "hume_evi_affect_aesthetic_appreciation"
    assert list(evi.SIGNAL_CHANNELS) == list(wire.AFFECT.values())


@given(TEXT)
def test_a_slug_is_a_channels_name_or_nothing(name):
    slug = wire.slug(name)
    assert set(slug) <= set("abcdefghijklmnopqrstuvwxyz0123456789_")
    assert slug == slug.strip("_") == wire.slug(slug)


# --- what it is told --------------------------------------------------------------------------

SCHEMAS = st.just('{"type": "object"}')
EVENTS = {
    "session_settings": st.builds(
        wire.SessionSettings,
        audio=st.none() | st.builds(wire.AudioFormat, sample_rate=st.integers(8000, 48000)),
        system_prompt=st.none() | TEXT,
        voice_id=st.none() | TEXT,
        context=st.none()
        | st.builds(wire.Context, text=TEXT, type=st.sampled_from(["temporary", "persistent"])),
        tools=st.none()
        | st.lists(
            st.builds(ToolDeclaration, name=TEXT, description=TEXT, schema=SCHEMAS), max_size=3
        ).map(wire.functions),
        builtin_tools=st.none()
        | st.lists(
            st.builds(wire.Builtin, name=st.sampled_from(["web_search", "hang_up"])), max_size=2
        ),
        variables=st.none()
        | st.dictionaries(TEXT, TEXT | st.booleans() | st.floats(-1e9, 1e9), max_size=4),
    ),
    "audio_input": st.binary(max_size=640).map(wire.audio_input),
    "user_input": st.builds(wire.UserInput, text=TEXT),
    "assistant_input": st.builds(wire.AssistantInput, text=TEXT),
    "tool_response": st.builds(
        wire.ToolResponse, tool_call_id=TEXT, content=TEXT, tool_name=TEXT,
        tool_type=st.just("function"),
    ),
    "tool_error": st.builds(failed, TEXT, TEXT),
    "pause_assistant_message": st.just(wire.PauseAssistant()),
    "resume_assistant_message": st.just(wire.ResumeAssistant()),
}  # fmt: skip


def test_every_client_event_has_a_strategy():
    assert set(EVENTS) == set(hume_oracle.PUBLISH)


@pytest.mark.parametrize("kind", EVENTS)
def test_every_client_event_is_one_of_the_vendors(kind):
    @settings(max_examples=60)
    @given(EVENTS[kind])
    def holds(event):
        raw = hume_oracle.check(wire.encode(event), hume_oracle.PUBLISH)
        assert raw["type"] == kind
        assert {name: value for name, value in raw.items() if value is None} == {}
        assert msgspec.to_builtins(event) == raw

    holds()


QUERIES = st.builds(
    wire.Query,
    sample_rate=st.integers(8000, 48000),
    config_id=TEXT,
    config_version=st.integers(0, 9),
    voice_id=TEXT,
    resumed_chat_group_id=TEXT,
    verbose_transcription=st.booleans(),
)


@given(QUERIES)
def test_the_address_says_what_it_was_given(query):
    there = urlsplit(wire.address(query))
    assert (there.scheme, there.netloc, there.path) == ("wss", "api.hume.ai", "/v0/evi/chat")
    found = dict(parse_qsl(there.query, strict_parsing=True, keep_blank_values=True))
    assert found["session_settings[audio][sample_rate]"] == str(query.sample_rate)
    assert found.get("config_id", "") == query.config_id
    assert found.get("session_settings[voice_id]", "") == query.voice_id
    assert found.get("resumed_chat_group_id", "") == query.resumed_chat_group_id
    assert ("config_version" in found) == (query.config_id != "" and query.config_version > 0)


PAGE = st.fixed_dictionaries(
    {},
    optional={
        "config_id": TEXT,
        "config_version": st.integers(0, 1_000_000),
        "Voice": TEXT,
        "Systemprompt": TEXT,
        "Enablegrounding": st.booleans(),
        "verbose_transcription": st.booleans(),
        "hang_up": st.booleans(),
        "hold_replies": st.booleans(),
        "variables": st.just("") | st.dictionaries(TEXT, TEXT | st.booleans()).map(json.dumps),
    },
)


@given(PAGE, st.lists(st.sampled_from(["end_conversation", "set_light"]), unique=True), TEXT)
def test_whatever_the_parameters_are_the_opening_is_one_of_the_vendors(page, names, handle):
    tools = [ToolDeclaration(name=name, description=name, schema="{}") for name in names]
    request = SessionRequest(agent="a", leg=1, parameters=page, tools=tools, handle=handle)
    setup = evi._setup(request)
    made = evi._settings(setup, tools, wire.variables(str(page.get("variables", ""))))
    raw = hume_oracle.check(wire.encode(made), hume_oracle.PUBLISH)
    told = {tool["name"] for tool in raw.get("tools", [])}
    builtin = {tool["name"] for tool in raw.get("builtin_tools", [])}
    hangs_up = bool(page.get("hang_up")) and "end_conversation" in names
    assert told == set(names) - ({"end_conversation"} if hangs_up else set())
    wanted = {"hang_up": hangs_up, "web_search": bool(page.get("Enablegrounding"))}
    assert builtin == {name for name, on in wanted.items() if on}
    assert raw.get("system_prompt", "") == page.get("Systemprompt", "")
    query = dict(parse_qsl(urlsplit(wire.address(setup.query)).query, keep_blank_values=True))
    assert query.get("resumed_chat_group_id", "") == handle


# --- what it says -----------------------------------------------------------------------------


OURS = {
    "chat_metadata": wire.ChatMetadata,
    "user_message": wire.UserMessage,
    "assistant_message": wire.AssistantMessage,
    "audio_output": wire.AudioOutput,
    "assistant_prosody": wire.AssistantProsody,
    "assistant_end": wire.AssistantEnd,
    "user_interruption": wire.UserInterruption,
    "tool_call": wire.ToolCall,
    "tool_response": wire.BuiltinResponse,
    "tool_error": wire.BuiltinError,
    "session_settings": wire.SettingsEcho,
    "error": wire.ServiceError,
}


def test_every_server_event_is_known():
    assert set(OURS) == set(hume_oracle.SUBSCRIBE)
    assert len(OURS) == 12


@pytest.mark.parametrize("kind", OURS)
def test_every_server_event_of_the_vendors_is_read(kind):
    model = hume_oracle.SUBSCRIBE[kind]

    @settings(max_examples=60)
    @given(hume_oracle.strategy(model))
    def holds(raw):
        raw = {**raw, "type": kind}
        model.model_validate(raw)
        event = wire.decode(json.dumps(raw).encode())
        assert type(event) is OURS[kind]
        for name in type(event).__struct_fields__:
            if isinstance(raw.get(name), str | bool | int):
                assert getattr(event, name) == raw[name]

    holds()


def test_scores_are_bounded_and_those_unknown_make_no_channel():
    many = {f"Name {n}": n / 1000 for n in range(1000)} | {"Joy": 0.5}
    models = wire.Models(prosody=wire.Prosody(scores=many))
    assert len(wire.scores(models)) == wire.SCORES_KEPT
    assert wire.scores(None) == wire.scores(wire.Models()) == {}
    assert wire.channels({"Joy": 0.5, "Glee": 1.0}) == {"hume_evi_affect_joy": 0.5}


@pytest.mark.parametrize(
    ("frame", "word"),
    [
        (b'{"type": "news"}', "'news'"),
        (b'{"type": "error"}', "error with other fields"),
        (b'{"type": "error", "code": 3}', "error with other fields"),
        (b"", "no JSON"),
        (b"{", "no JSON"),
        (b"[" * 100_000, "no JSON"),
        (b'{"type": "x", "a": ' + b"[" * 100_000, "no JSON"),
        (b'{"type": "user_input"}', "unknown type"),
        (b'{"type": "\xff"}', "no JSON"),
        (b'{"type": "' + b"y" * 4_000_000 + b'"}', "unknown type"),
    ],
)
def test_what_cannot_be_read_is_named_and_never_quoted(frame, word):
    left = wire.decode(frame)
    assert isinstance(left, wire.Unreadable)
    assert word in left.what
    assert len(left.what) < 100


# --- audio ------------------------------------------------------------------------------------

SOUND = st.lists(st.integers(-32768, 32767), max_size=50).map(lambda s: np.array(s, np.int16))


@given(SOUND, st.sampled_from([8000, 22050, 44100, 48000]), st.binary(max_size=9))
def test_a_riff_is_walked_to_its_sound(samples, rate, junk):
    extra = struct.pack("<4sI", b"LIST", len(junk)) + junk + b"\0" * (len(junk) % 2)
    found = wave(riff(samples, rate, extra))
    assert (found.rate, found.samples.tolist()) == (rate, samples.tolist())


@given(SOUND, st.sampled_from([0, 0xFFFFFFFF]))
def test_sizes_that_a_streaming_writer_left_open_are_cut_at_the_end(samples, size):
    whole = bytearray(riff(samples))
    at = whole.index(b"data") + 4
    struct.pack_into("<I", whole, 4, size)
    if size:
        struct.pack_into("<I", whole, at, size)
    assert wave(bytes(whole)).samples.tolist() == samples.tolist()


def test_stereo_and_float_become_mono_of_16_bits():
    def file(kind: int, channels: int, bits: int, body: bytes, more: bytes = b"") -> bytes:
        width = channels * bits // 8
        form = struct.pack("<HHIIHH", kind, channels, 48000, 48000 * width, width, bits) + more
        chunks = struct.pack("<4sI", b"fmt ", len(form)) + form
        chunks += struct.pack("<4sI", b"data", len(body)) + body
        return struct.pack("<4sI", b"RIFF", 4 + len(chunks)) + b"WAVE" + chunks

    stereo = np.array([100, 300, -100, -300], "<i2").tobytes()
    assert wave(file(1, 2, 16, stereo + b"\0")).samples.tolist() == [200, -200]
    wide = np.array([0.5, -1.0, 7.0, np.nan], "<f4").tobytes()
    assert wave(file(3, 1, 32, wide)).samples.tolist() == [16384, -32767, 32767, 0]
    extensible = struct.pack("<HHIH14s", 22, 16, 4, 1, b"")
    assert wave(file(0xFFFE, 1, 16, stereo, extensible)).samples.tolist() == [100, 300, -100, -300]
    for kind, channels, bits in ((1, 1, 24), (1, 1, 8), (2, 1, 16), (1, 0, 16), (1, 9, 16)):
        with pytest.raises(ValueError, match="it has"):
            wave(file(kind, channels, bits, stereo))


@settings(max_examples=300)
@given(st.binary(max_size=80).map(lambda b: b"RIFF\0\0\0\0WAVE" + b) | st.binary(max_size=30))
def test_bytes_that_are_no_wav_are_an_error_and_nothing_else(data):
    try:
        wave(data)
    except ValueError:
        return


# --- errors -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "slug", "kind"),
    [
        ("E0100", "", wire.Kind.TROUBLE),
        ("E0101", "", wire.Kind.TROUBLE),
        ("E0102", "", wire.Kind.TROUBLE),
        ("E0200", "", wire.Kind.TROUBLE),
        ("E0201", "", wire.Kind.TROUBLE),
        ("E0202", "", wire.Kind.TROUBLE),
        ("E0300", "", wire.Kind.REFUSED),
        ("E0708", "inactivity_timeout", wire.Kind.INACTIVE),
        ("E0709", "max_duration_timeout", wire.Kind.CAP),
        ("E0710", "config_not_found", wire.Kind.SETTINGS),
        ("I0100", "", wire.Kind.OUTAGE),
        ("I0999", "", wire.Kind.OUTAGE),
        ("", "", wire.Kind.SETTINGS),
    ],
)
def test_every_code_of_the_table_has_its_meaning(code, slug, kind):
    found = wire.meaning(wire.ServiceError(code=code, slug=slug, message="a visitor's words"))
    assert found.kind is kind
    assert code in found.sentence
    assert "visitor" not in found.sentence


@given(TEXT, TEXT, TEXT)
def test_any_error_has_a_sentence_of_some_length(code, slug, message):
    found = wire.meaning(wire.ServiceError(code=code * 99, slug=slug * 99, message=message))
    assert 20 < len(found.sentence) < 300


# --- a fuzz -----------------------------------------------------------------------------------


class Nowhere:
    """A socket that takes everything."""

    async def send(self, frame: bytes, *, text: bool) -> None:
        hume_oracle.check(frame, hume_oracle.PUBLISH)


def mutated(chance: random.Random, frames: list[bytes]) -> bytes:
    frame = bytearray(chance.choice(frames))
    match chance.randrange(8):
        case 0:
            del frame[chance.randrange(len(frame)) :]
        case 1:
            for _ in range(chance.randrange(1, 6)):
                frame[chance.randrange(len(frame))] = chance.randrange(256)
        case 2:
            raw = json.loads(frame)
            raw[chance.choice(list(raw))] = chance.choice(
                [None, 3, -1e300, "", "x", [], {}, True, {"a": [{}]}, "a2", [[[]]]]
            )
            return json.dumps(raw).encode()
        case 3:
            raw = json.loads(frame)
            raw.pop(chance.choice(list(raw)))
            return json.dumps(raw).encode()
        case 4:
            raw, other = json.loads(frame), json.loads(chance.choice(frames))
            return json.dumps({**other, **raw, "type": other["type"]}).encode()
        case 5:
            return b'{"type":"news","x":' + b"[" * chance.randrange(5000)
    return bytes(frame)


def test_no_frame_ends_the_reader():
    rows = [json.loads(line) for line in RECORDED.read_text().splitlines()]
    told_by = [row["msg"] for row in rows if row["dir"] == "s2c"]
    told_by += [sound("a1", np.zeros(4, np.int16), rate=24000), metadata()]
    frames = [json.dumps(event).encode() for event in told_by]
    big = json.dumps(sound("a3", np.zeros(2_000_000, np.int16))).encode()
    chance = random.Random(FUZZ)

    async def play() -> int:
        ends = 0
        conn = None
        for n in range(FUZZ):
            if conn is None or conn.over:
                request = SessionRequest(agent="a", leg=1, parameters={})
                conn = evi.Connection(
                    request, Recorder(), evi._setup(request), Nowhere(),
                    wire.ChatMetadata(chat_group_id="g"),
                )  # fmt: skip
            frame = big if n % 5000 == 4999 else mutated(chance, frames)
            event = wire.decode(frame)
            await conn.take(event)
            if conn.over:
                assert isinstance(event, wire.ServiceError)
                kind = wire.meaning(event).kind
                assert kind in (wire.Kind.OUTAGE, wire.Kind.REFUSED)
                ends += 1
            if n % 64 == 0:
                await asyncio.sleep(0)
                conn.callbacks.calls.clear()
                await evi.interrupt(conn, [])
                await evi.send_text(conn, "What time is it in Oslo?")
        return ends

    asyncio.run(play())


def test_odd_audio_costs_half_a_sample_and_no_more():
    data = base64.b64encode(riff(np.arange(5, dtype=np.int16))[:-1]).decode()
    request = SessionRequest(agent="a", leg=1, parameters={})

    async def play() -> Recorder:
        told = Recorder()
        conn = evi.Connection(
            request, told, evi._setup(request), Nowhere(), wire.ChatMetadata(chat_group_id="g")
        )
        await conn.take(wire.AudioOutput(id="a", data=data))
        return told

    assert asyncio.run(play()).pcm.tolist() == [0, 1, 2, 3]
