"""What every emulated service stands on: ear, mouth, script, bill, violations, sound formats."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.emulators.client import run, silence, visitor
from voiced.emulators import ear as ears
from voiced.emulators import realtime_input as sound
from voiced.emulators.bill import Bill
from voiced.emulators.ear import Ear, SpeechStarted, SpeechStopped
from voiced.emulators.mouth import Mouth, tone
from voiced.emulators.realtime_items import Content, Conversation, Item
from voiced.emulators.refusal import Refused
from voiced.emulators.script import Connection, Fault, Script, load
from voiced.emulators.violations import Violation, Violations
from voiced.errors import ConfigError

# Ear


@pytest.mark.parametrize("rate", [16_000, 24_000, 48_000])
@pytest.mark.parametrize("piece", [320, 4_801])
def test_a_visitor_is_one_turn_at_any_rate_and_in_any_pieces(rate: int, piece: int) -> None:
    pcm = visitor("lv_0930.wav", rate, silence_s=1.0)
    ear, noticed = Ear(rate, silence_ms=600), []
    for at in range(0, len(pcm), 2 * piece):
        noticed += ear.feed(pcm[at : at + 2 * piece])
    started, stopped = noticed
    assert isinstance(started, SpeechStarted)
    assert isinstance(stopped, SpeechStopped)
    assert ear.ms == len(pcm) * 500 // rate
    assert stopped.ms - started.ms > 2000
    assert len(ear.cut(started.ms, stopped.ms)) == (stopped.ms - started.ms) * rate // 1000 * 2


def test_without_a_detector_the_level_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> None:
        raise ears.EngineUnavailable("not here")

    monkeypatch.setattr(ears, "Detector", missing)
    ear = Ear(24_000, prefix_ms=0)
    loud = tone("hello", 24_000).tobytes()
    noticed = ear.feed(silence(1000) + loud + silence(1000))
    assert [type(one) for one in noticed] == [SpeechStarted, SpeechStopped]
    assert abs(noticed[0].ms - 1000) <= 64


def test_the_dither_of_silence_is_not_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    """The model takes longer than everything else: at twenty times real time it must rest."""

    class Model:
        def judge(self, pcm: bytes) -> list[Any]:
            raise AssertionError("a frame of silence was judged")

    monkeypatch.setattr(ears, "Detector", Model)
    ear = Ear(24_000)
    assert [one for _ in range(100) for one in ear.feed(silence(20))] == []


def test_a_script_says_where_speech_is() -> None:
    ear = Ear(24_000, speech=[(100, 300), (400, 500)])
    noticed = [one for _ in range(12) for one in ear.feed(silence(50))]
    assert noticed == [
        SpeechStarted(ms=100), SpeechStopped(ms=300), SpeechStarted(ms=400), SpeechStopped(ms=500)
    ]  # fmt: skip


@given(st.lists(st.tuples(*[st.integers(0, 700)] * 4), max_size=8))
def test_what_is_kept_is_cut_at_the_positions_it_came_at(steps: list[tuple[int, ...]]) -> None:
    ear, whole, dropped = Ear(1000, detecting=False, speech=[]), b"", 0
    for number, (size, until, one, other) in enumerate(steps):
        pcm = np.arange(number * 1000, number * 1000 + size, dtype="<i2").tobytes()
        ear.feed(pcm)
        whole += pcm
        ear.drop(until)
        dropped = max(dropped, min(until, ear.ms))
        start, end = sorted((one, other))
        assert ear.cut(start, end) == whole[2 * max(start, dropped) : 2 * end]
        assert ear.ms == len(whole) // 2


# Mouth


@given(st.text(max_size=80), st.sampled_from([16_000, 24_000, 48_000]))
def test_the_pieces_of_a_reply_are_the_reply(text: str, rate: int) -> None:
    async def speak() -> None:
        deltas = [delta async for delta in Mouth(None).speak(text, rate)]
        assert "".join(delta.text for delta in deltas) == text
        ends = [delta.start_ms + delta.ms for delta in deltas]
        assert [delta.start_ms for delta in deltas][1:] == ends[:-1]
        assert all(0 < len(delta.audio) <= rate // 5 * 2 or not delta.ms for delta in deltas)

    run(speak)


def test_a_tone_sounds_and_is_the_same_every_time() -> None:
    first = tone("The light is blue", 24_000)
    assert np.array_equal(first, tone("The light is blue", 24_000))
    assert 7000 < np.abs(first).max() <= 8000
    assert len(tone("The light is blue", 24_000, speed=2.0)) == pytest.approx(len(first) / 2, abs=9)


# Formats


def test_mulaw_and_alaw_keep_what_they_can() -> None:
    wave = np.linspace(-32_000, 32_000, 4001).astype("<i2")
    for encode, decode in (
        (sound.encode_mulaw, sound.decode_mulaw),
        (sound.encode_alaw, sound.decode_alaw),
    ):
        back = np.frombuffer(decode(encode(wave.tobytes())), "<i2").astype(int)
        assert np.all(np.abs(back - wave) <= np.abs(wave.astype(int)) / 16 + 24)
    # ITU-T G.711, tables 1a and 2a: the codes of silence.
    assert sound.decode_mulaw(b"\xff") == b"\0\0"
    assert sound.decode_alaw(b"\xd5") == (8).to_bytes(2, "little")


# Script


def test_a_script_in_toml_and_json(tmp_path: Path) -> None:
    toml = tmp_path / "evening.toml"
    toml.write_text(
        '[[connection]]\nspeech = [[1, 2]]\n[[connection.fault]]\nwhat = "close"\ncode = 1007\n'
    )
    fault = Fault(what="close", code=1007)
    assert load(toml) == Script(connection=[Connection(speech=[(1, 2)], fault=[fault])])
    json = tmp_path / "evening.json"
    json.write_text('{"tool": [{"words": ["Light"], "name": "set_light"}]}')
    found = load(json).called_by("turn the LIGHT blue")
    assert found is not None
    assert found.name == "set_light"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[[connection]]\nspeach = 1", "speach"),
        ('[[connection]]\n[[connection.fault]]\nwhat = "explode"', "explode"),
        ("not toml", "is none"),
        (None, "cannot be read"),
    ],
)
def test_a_script_that_is_none_is_told_with_its_place(
    tmp_path: Path, text: str | None, says: str
) -> None:
    path = tmp_path / "script.toml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(ConfigError, match=says):
        load(path)


def test_the_last_connection_repeats() -> None:
    rows = [Connection(refuse=503), Connection(longest_s=1.0)]
    script = Script(connection=rows)
    assert [script.connection_at(n) for n in (1, 2, 3)] == [rows[0], rows[1], rows[1]]
    assert Script().connection_at(1) == Connection()


# Items


@given(st.lists(st.tuples(st.sampled_from(["end", "root", "behind"]), st.integers(0, 9))))
def test_items_stand_where_they_were_put(steps: list[tuple[str, int]]) -> None:
    conversation, model = Conversation(), []
    for number, (where, at) in enumerate(steps):
        item = Item(id=f"i{number}", type="message", role="user")
        if where == "root":
            conversation.insert(item, "root")
            model.insert(0, item.id)
        elif where == "behind" and model:
            behind = at % len(model)
            conversation.insert(item, model[behind])
            model.insert(behind + 1, item.id)
        else:
            conversation.insert(item, None)
            model.append(item.id)
        assert [item.id for item in conversation] == model
        assert conversation.before(item) == ([None, *model])[model.index(item.id)]


@given(st.integers(0, 5000), st.integers(0, 5000))
def test_a_truncation_never_makes_an_item_longer(length: int, end: int) -> None:
    conversation = Conversation()
    spoken = Content(type="output_audio", transcript="One two")
    item = Item(id="a", type="message", role="assistant", content=[spoken], audio_ms=length)
    conversation.append(item)
    if end > length or not length:
        with pytest.raises(Refused):
            conversation.truncate("a", 0, end)
        assert item.audio_ms == length
    else:
        conversation.truncate("a", 0, end)
        assert (item.audio_ms, item.words) == (end, "")


# Books


def test_a_bill_adds_up_by_connection() -> None:
    bill = Bill()
    bill.add(1, "audio", 30, "s", 0.08 / 60)
    bill.add(2, "text_item", 1, "items", 0.004)
    bill.add(2, "audio", 0, "s", 1.0)
    assert (bill.usd, bill.of(1), bill.of(2)) == (pytest.approx(0.044), pytest.approx(0.04), 0.004)
    assert len(bill.lines) == 2


def test_violations_read_like_sentences() -> None:
    violations = Violations()
    assert not violations
    violations.note(
        Violation(connection=1, at_s=0.25, event="response.create", path="a.b", rule="no")
    )
    assert repr(violations) == "connection 1, 0.250 s, response.create a.b: no"
    violations.clear()
    assert repr(violations) == "no violations"
