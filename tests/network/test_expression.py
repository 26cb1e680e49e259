"""The side channel that measures how visitors speak: what it hears and tells, what it costs."""

from __future__ import annotations

import asyncio
import json
import os
import random
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.network.expression_rig import (
    SPEED,
    Stage,
    await_true,
    closed,
    created,
    error,
    result,
    stage,
)
from tests.network.rig import tone
from tests.providers import hume_oracle
from voiced.emulators.hume_expression import HumeExpression
from voiced.emulators.script import Connection, Fault, Script
from voiced.lane.words import Lane
from voiced.network import expression
from voiced.network.resample import Resampler
from voiced.providers import expression_codec as wire

FUZZ = int(os.environ.get("VOICED_FUZZ", "2000"))
RECORDED = Path(__file__).parents[1] / "wire" / "hume_expression_audio.jsonl"
TRAIL = 16000
"""Samples of silence behind a closed gate."""


def play(scene, rate: int = 48000) -> None:
    async def run() -> None:
        async with stage(rate) as made:
            await scene(made)

    asyncio.run(run())


def resampled(samples: np.ndarray, rate: int = 48000) -> list[int]:
    made = Resampler(rate, 16000)
    return [*made.process(samples).tolist(), *made.finish().tolist()]


# --- what it hears ----------------------------------------------------------------------------


@pytest.mark.parametrize("rate", [48000, 44100, 16000])
def test_it_hears_what_lies_between_the_edges_and_then_silence(rate):
    loud, quiet = tone(0.5, rate), tone(0.25, rate, 880)

    async def scene(s: Stage):
        s.start()
        session = await s.next()
        s.mic.speak(tone(0.3, rate, 100))
        s.mic.gate(True)
        s.mic.speak(loud)
        s.mic.gate(False)
        s.mic.speak(tone(0.4, rate, 200))
        first = len(resampled(loud, rate)) + TRAIL
        await session.until(lambda: len(session.samples) >= first)
        s.mic.gate(True)
        s.mic.speak(quiet)
        s.mic.gate(False)
        s.mic.hush(0.01)
        whole = [*resampled(loud, rate), *[0] * TRAIL, *resampled(quiet, rate), *[0] * TRAIL]
        await session.until(lambda: len(session.samples) >= len(whole))
        assert session.samples.tolist() == whole
        assert session.path == "/v1/expression/audio/realtime"
        assert session.headers["X-Hume-Api-Key"] == "hk-secret"
        assert session.updates == []

    play(scene, rate)


def test_a_gate_that_is_open_already_is_heard_from_now_on():
    async def scene(s: Stage):
        s.mic.gate(True)
        s.mic.speak(tone(0.5))
        s.start()
        session = await s.next()
        await session.socket.ping()
        s.mic.speak(tone(0.2, hz=880))
        await session.until(lambda: len(session.samples) >= 1600)
        held = [*Resampler(48000, 16000).process(tone(0.2, hz=880)).tolist()][:1600]
        assert session.samples[:1600].tolist() == held

    # The walk begins where near is when the session is served: at the latest behind the ping.
    play(scene)


def test_while_the_guard_is_on_its_own_voice_is_silence():
    async def scene(s: Stage):
        s.mic.lane.put(Lane.GUARD, 1)
        s.start()
        session = await s.next()
        s.mic.gate(True)
        s.mic.speak(tone(0.3), far=tone(0.3, hz=300))
        s.mic.gate(False)
        s.mic.hush(0.01)
        await session.until(lambda: len(session.samples) >= 4800 + TRAIL)
        assert not session.samples.any()

    play(scene)


def test_nothing_leaves_while_it_is_paused():
    async def scene(s: Stage):
        s.start()
        session = await s.next()
        s.mic.channel.pause(True)
        s.mic.gate(True)
        s.mic.speak(tone(0.5))
        s.mic.gate(False)
        s.mic.hush(0.5)
        s.mic.hush(0.5)
        s.mic.hush(0.5)
        s.mic.channel.pause(False)
        s.mic.gate(True)
        s.mic.speak(tone(0.1, hz=880))
        s.mic.gate(False)
        s.mic.hush(0.01)
        await session.until(lambda: len(session.samples) >= 1600 + TRAIL)
        assert session.samples[:1600].tolist() == resampled(tone(0.1, hz=880))

    play(scene)


@pytest.mark.parametrize(
    ("asked", "sent"), [(3000, []), (5000, [5000]), (99, []), (99999, [10000])]
)
def test_the_interval_is_set_before_the_first_audio(asked, sent):
    async def scene(s: Stage):
        s.start(Affectinterval=asked)
        session = await s.next()
        s.mic.gate(True)
        s.mic.speak(tone(0.2))
        await session.until(lambda: len(session.frames) > 0)
        assert session.updates == sent

    play(scene)


# --- what it tells ----------------------------------------------------------------------------


def test_results_are_told_at_their_place_in_near_and_absent_names_go_to_0():
    async def scene(s: Stage):
        s.start()
        session = await s.next()
        s.mic.hush(0.5)
        s.mic.gate(True)
        s.mic.speak(tone(0.5))
        s.mic.gate(False)
        s.mic.hush(0.5)
        await session.until(lambda: len(session.samples) >= 8000 + TRAIL)
        second = s.mic.gate(True)
        s.mic.speak(tone(0.5))
        await session.until(lambda: len(session.samples) >= 8000 + TRAIL + 1600)
        await session.say(
            {"type": "utterance.start", "utterance_id": 0, "audio_start_ms": 20},
            result({"joy": 0.62, "surprise (positive)": 0.31}, {"fast": 0.8}, begin=100, end=300),
            result({"joy": 0.5}, begin=1500, end=1700),
            result({}, begin=1500, end=1700),
            {"type": "utterance.end", "utterance_id": 0, "audio_start_ms": 0, "audio_end_ms": 9},
        )
        await s.told.until(lambda: len(s.told.results) == 3)
        assert s.told.results == [
            (
                24000 + 9600,
                {
                    "hume_affect_joy": 0.62,
                    "hume_affect_surprise_positive": 0.31,
                    "hume_voice_fast": 0.8,
                },
                '{"joy":0.62,"surprise (positive)":0.31}',
            ),
            (
                second + 4800,
                {
                    "hume_affect_joy": 0.5,
                    "hume_affect_surprise_positive": 0.0,
                    "hume_voice_fast": 0.0,
                },
                '{"joy":0.5}',
            ),
            (second + 4800, {"hume_affect_joy": 0.0}, "{}"),
        ]

    play(scene)


SCORES = st.lists(
    st.builds(
        wire.Score,
        name=st.text(max_size=80) | st.sampled_from(["joy", "Joy", "joy!", "喜び"]),
        probability=st.floats(-1e308, 1e308),
    ),
    max_size=8,
)


RESULTS = st.builds(wire.Measurement, expressions=SCORES, voice_attributes=SCORES)


@settings(max_examples=50)
@given(st.lists(RESULTS, max_size=5))
def test_channels_hold_what_was_present_last(results):
    vocabulary, shown = wire.Vocabulary(), {}
    for measured in results:
        shown.update(vocabulary.measured(measured))
        for prefix, scores in (
            ("hume_affect_", measured.expressions),
            ("hume_voice_", measured.voice_attributes),
        ):
            mine = {c: v for c, v in shown.items() if c.startswith(prefix)}
            assert all(0.0 <= value <= 1.0 and len(name) <= 64 for name, value in mine.items())
            present = {f"{prefix}{wire.slug(s.name)}"[:64] for s in scores if wire.slug(s.name)}
            assert {c for c, v in mine.items() if v > 0} <= present
            assert present <= set(mine) or not present


def test_the_vocabulary_does_not_grow_without_end():
    vocabulary, shown = wire.Vocabulary(), {}
    for n in range(3000):
        scores = [wire.Score(name=f"name {n}", probability=1.0)]
        shown.update(vocabulary.measured(wire.Measurement(expressions=scores)))
    assert len(shown) == wire.CHANNELS_KEPT


def test_a_flood_of_results_is_left_out():
    async def scene(s: Stage):
        s.start(speed=1.0)
        session = await s.next()
        s.mic.gate(True)
        s.mic.speak(tone(0.2))
        await session.until(lambda: len(session.frames) > 0)
        await session.say(*[result({"joy": 0.5})] * 500)
        await session.socket.close(1008)
        await s.told.until(lambda: len(s.told.troubles) == 1)
        assert 1 <= len(s.told.results) <= 10 * expression.RESULTS_PER_S

    play(scene)


# --- how it ends ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "code", "again", "word"),
    [
        ([], 1001, True, "1001"),
        ([], 1006, True, "1006"),
        ([], 1011, True, "1011"),
        ([], 1012, True, "1012"),
        ([], 1013, True, "1013"),
        ([closed("server_shutdown")], 1000, True, "server_shutdown"),
        ([error("internal_error", False), closed("error")], 1008, True, "internal_error"),
        ([], 1000, False, "1000"),
        ([], 1008, False, "1008"),
        ([error("config_invalid", False), closed("error")], 1008, False, "config_invalid"),
        ([error("message_too_large", False), closed("error")], 1009, False, "message_too_large"),
        ([error("brand_new", False)], 1011, False, "brand_new"),
        ([error("invalid_audio_frame", True)], 1011, True, "1011"),
        ([error("message_invalid", True)], 1000, False, "1000"),
    ],
)
def test_an_end_is_told_once_and_tried_again_where_that_helps(before, code, again, word):
    async def scene(s: Stage):
        s.start()
        for _ in range(3):
            session = await s.service.next()
            await session.say(*before)
            if code == 1006:
                session.socket.transport.abort()
            else:
                await session.socket.close(code)
            await s.told.until(lambda: len(s.told.troubles) > 0)
            if not again:
                await asyncio.wait_for(s.run, 5)
                break
        ((trouble, sentence),) = s.told.troubles
        assert trouble == f"expression_{word}"
        assert ("tried again" in sentence) is again
        assert "talk goes on" in sentence

    play(scene)


def test_after_an_idle_timeout_it_comes_back_when_somebody_speaks():
    async def scene(s: Stage):
        s.start()
        session = await s.next()
        await session.say(closed("idle_timeout"))
        await session.socket.close(1000)
        s.mic.hush(0.5)
        await session.socket.wait_closed()
        assert s.service.fresh.empty()
        s.mic.gate(True)
        s.mic.speak(tone(0.3))
        again = await s.next()
        s.mic.speak(tone(0.3))
        await again.until(lambda: len(again.frames) > 0)
        assert s.told.troubles == []

    play(scene)


@pytest.mark.parametrize(
    ("status", "again", "code"),
    [
        (401, False, "expression_invalid_key"),
        (403, False, "expression_invalid_key"),
        (404, False, "expression_not_found"),
        (429, True, "expression_rate_limit"),
        (503, True, "expression_http_503"),
    ],
)
def test_a_refused_connection_is_told_once(status, again, code):
    async def scene(s: Stage):
        s.service.status = status
        s.start()
        await s.told.until(lambda: len(s.told.troubles) > 0)
        if again:
            s.service.status = 0
            await s.next()
        else:
            await asyncio.wait_for(s.run, 5)
        assert [trouble for trouble, _ in s.told.troubles] == [code]

    play(scene)


def test_without_a_key_it_says_which_command_sets_one():
    async def scene(s: Stage):
        s.start(key="")
        await asyncio.wait_for(s.run, 5)
        ((code, sentence),) = s.told.troubles
        assert code == "expression_no_key"
        assert "voiced key set hume" in sentence

    play(scene)


def test_a_dead_address_is_tried_again_with_growing_pauses(monkeypatch):
    waits = []
    monkeypatch.setattr(expression.random, "uniform", lambda a, b: waits.append((a, b)) or 0.0)

    async def scene(s: Stage):
        s.start(Affectendpoint="ws://127.0.0.1:1")

        await await_true(lambda: len(waits) >= 8)
        assert [b for _, b in waits[:8]] == [1, 2, 4, 8, 16, 30, 30, 30]
        assert len(s.told.troubles) == 1

    play(scene)


def test_a_service_that_says_nothing_is_given_up(monkeypatch):
    monkeypatch.setattr(expression, "CONNECT_S", 0.05)

    async def scene(s: Stage):
        s.service.greeting = []
        s.start()
        await s.told.until(lambda: len(s.told.troubles) > 0)
        assert s.told.troubles[0][0] == "expression_connect_timeout"
        s.service.greeting = [created()]
        await s.next()

    play(scene)


class Stalled:
    """A connection that takes nothing more after so many frames."""

    def __init__(self, frames: list[bytes]) -> None:
        self.frames, self.taken = frames, []
        self.closing = asyncio.Event()

    async def recv(self, decode=False):
        if self.frames:
            return self.frames.pop(0)
        await asyncio.Event().wait()

    async def send(self, frame, text=False):
        self.taken.append(frame)
        await asyncio.Event().wait()

    async def close(self):
        self.closing.set()


def test_a_service_that_takes_nothing_is_given_up_and_costs_nobody_else_time(monkeypatch):
    monkeypatch.setattr(expression, "STALL_S", 0.05)
    made = []

    async def dial(*args, **kwargs):
        made.append(Stalled([json.dumps(created()).encode()]))
        return made[-1]

    monkeypatch.setattr(expression, "dial", dial)

    async def scene(s: Stage):
        s.start()
        await asyncio.sleep(0)
        s.mic.gate(True)
        while not s.told.troubles:
            s.mic.speak(tone(0.02))
            await asyncio.sleep(0)
        assert s.told.troubles[0][0] == "expression_stalled"
        loop = asyncio.get_running_loop()
        began = loop.time()
        s.run.cancel()
        await asyncio.wait([s.run])
        assert loop.time() - began < 0.5
        async with asyncio.timeout(5):
            await made[0].closing.wait()

    play(scene)


def test_what_was_refused_as_too_fast_is_sent_again():
    noise = np.random.default_rng(7).integers(-9000, 9000, 20160).astype(np.int16)

    async def scene(s: Stage):
        s.start()
        session = await s.next()
        s.mic.gate(True)
        s.mic.speak(noise[:5760])
        await session.until(lambda: len(session.frames) == 1)
        await session.say(error("rate_limited", True))
        s.mic.speak(noise[5760:])
        # The error may come while the next chunk is on its way: that one or the first comes again.
        await session.until(lambda: len(session.frames) - len(set(session.frames)) == 1)
        assert s.told.troubles == []

    play(scene)


def test_its_end_is_polite_and_waits_for_nobody():
    async def scene(s: Stage):
        s.start()
        session = await s.next()
        s.mic.gate(True)
        s.mic.speak(tone(0.3))
        await session.until(lambda: len(session.frames) > 0)
        s.run.cancel()
        await asyncio.wait([s.run])
        await session.until(lambda: session.closed)
        assert s.told.usd == pytest.approx(len(session.pcm) / 32000 / 60 * 0.0639)

    play(scene)


def test_a_slip_in_it_ends_it_alone(monkeypatch):
    async def scene(s: Stage):
        monkeypatch.setattr(wire, "scores_text", lambda result: 1 / 0)
        s.start()
        session = await s.next()
        s.mic.gate(True)
        s.mic.speak(tone(0.2))
        await session.until(lambda: len(session.frames) > 0)
        await session.say(result({"joy": 1.0}))
        await asyncio.wait_for(s.run, 5)
        assert s.told.troubles == [
            ("expression_expression", "affect is not measured: ZeroDivisionError")
        ]

    play(scene)


# --- the wire ---------------------------------------------------------------------------------

OURS = {
    "session.created": wire.SessionCreated,
    "session.updated": wire.SessionUpdated,
    "utterance.start": wire.UtteranceStart,
    "measurement.result": wire.Measurement,
    "utterance.end": wire.UtteranceEnd,
    "error": wire.ServiceError,
    "session.closed": wire.SessionClosed,
}


@pytest.mark.parametrize("kind", OURS)
def test_every_server_event_of_the_vendors_is_read(kind):
    assert set(OURS) == set(hume_oracle.EXPRESSION_SAYS)
    model = hume_oracle.EXPRESSION_SAYS[kind]

    @settings(max_examples=60)
    @given(hume_oracle.strategy(model))
    def holds(raw):
        raw = {**raw, "type": kind}
        model.model_validate(raw)
        event = wire.decode(json.dumps(raw).encode())
        assert type(event) is OURS[kind]

    holds()


@given(st.integers(3000, 10000))
def test_every_client_event_is_one_of_the_vendors(interval):
    for event in (wire.SessionUpdate(measurement_timer_ms=interval), wire.SessionClose()):
        hume_oracle.check(wire.encode(event), hume_oracle.EXPRESSION_TOLD)


def test_the_recorded_session_is_understood_and_sent_as_the_vendors_client_does():
    rows = [json.loads(line) for line in RECORDED.read_text().splitlines()]
    said = [row["msg"] for row in rows if row["dir"] == "s2c"]
    theirs = [row["msg"] for row in rows if row["dir"] == "c2s" and "msg" in row]
    assert json.loads(wire.encode(wire.SessionUpdate(measurement_timer_ms=3000))) == theirs[0]
    assert json.loads(wire.encode(wire.SessionClose())) == theirs[1]

    async def scene(s: Stage):
        s.service.greeting = [said[0]]
        s.start(Affectinterval=4000)
        session = await s.next()
        s.mic.gate(True)
        s.mic.speak(tone(0.2))
        await session.until(lambda: len(session.frames) > 0)
        await session.say(*said[1:-1])
        await s.told.until(lambda: len(s.told.results) == 2)
        assert session.updates == [4000]
        assert s.told.results[0][1] == {
            "hume_affect_joy": 0.62, "hume_affect_surprise_positive": 0.31, "hume_voice_fast": 0.81
        }  # fmt: skip
        assert s.told.results[1][2] == "{}"
        assert s.told.troubles == []

    play(scene)


def test_no_frame_disturbs_it():
    rows = [json.loads(line) for line in RECORDED.read_text().splitlines()]
    frames = [json.dumps(row["msg"]).encode() for row in rows if row["dir"] == "s2c"]
    chance = random.Random(FUZZ)

    def mutated() -> bytes:
        frame = bytearray(chance.choice(frames))
        match chance.randrange(6):
            case 0:
                del frame[chance.randrange(len(frame)) :]
            case 1:
                frame[chance.randrange(len(frame))] = chance.randrange(256)
            case 2:
                raw = json.loads(frame)
                raw[chance.choice(list(raw))] = chance.choice(
                    [None, 1e300, -(2**70), "x", [{}], {}]
                )
                return json.dumps(raw).encode()
            case 3:
                return b'{"type":"measurement.result","expressions":' + b"[" * 50_000
            case 4:
                return b'{"type":"news","x":"' + b"y" * 1000 + b'"}'
        return bytes(frame)

    async def scene(s: Stage):
        s.start()
        session = await s.next()
        s.mic.gate(True)
        s.mic.speak(tone(0.2))
        await session.until(lambda: len(session.frames) > 0)
        channel = s.mic.channel
        for n in range(FUZZ):
            match wire.decode(mutated()):
                case wire.Measurement() as measured:
                    channel._window = (0, 0)
                    channel._measured(measured)
                case wire.ServiceError() as said:
                    channel._error(said)
                case _:
                    pass
            if n % 100 == 0:
                await session.say(mutated().decode("utf-8", "replace"))
                for frame, channels, scores in s.told.results:
                    assert -1 <= frame < 2**62
                    assert all(0 <= value <= 1 for value in channels.values())
                    assert isinstance(json.loads(scores), dict)
                s.told.results.clear()
        await session.say(b"x" * 4_000_000)
        while not any("awe" in scores for _, _, scores in s.told.results):
            # One a while: what comes too fast is left out.
            await session.say(result({"awe": 0.25}))
            await asyncio.sleep(1 / SPEED)

    play(scene)


# --- against the stand-in ---------------------------------------------------------------------


def speech(ms: int, spoken: list[tuple[int, int]], **options) -> Connection:
    return Connection(speech=spoken, options={"expressions": [("joy", 0.5)], **options})


def emulated(script: Script, scene) -> HumeExpression:
    async def run() -> HumeExpression:
        async with HumeExpression(script, speed=SPEED) as service, stage() as s:
            s.start(Affectendpoint=service.url)
            await scene(s, service)
            await s.stop()
            assert list(service.violations) == []
            return service

    return asyncio.run(run())


async def talk(s: Stage, seconds: float, done) -> None:
    """Speak until `done`, at the pace of speech."""
    s.mic.gate(True)
    for _ in range(int(seconds / 0.1)):
        s.mic.speak(tone(0.1))
        await asyncio.sleep(0.1 / SPEED)
        if done():
            break
    s.mic.gate(False)
    s.mic.hush(0.1)


def test_the_stand_in_measures_what_it_is_sent():
    async def scene(s: Stage, service: HumeExpression):
        await await_true(lambda: s.mic.channel._feed is not None)
        await talk(s, 8.0, lambda: False)
        await s.told.until(lambda: len(s.told.results) >= 2)

    script = Script(connection=[speech(0, [(200, 6000)])])
    service = emulated(script, scene)
    assert service.sessions


def test_the_stand_in_restarts_and_is_found_again():
    async def scene(s: Stage, service: HumeExpression):
        await s.told.until(lambda: len(s.told.troubles) > 0)
        await await_true(lambda: len(service.sessions) == 2 and s.mic.channel._feed is not None)
        await talk(s, 8.0, lambda: len(s.told.results) > 0)
        await s.told.until(lambda: len(s.told.results) > 0)
        assert [code for code, _ in s.told.troubles] == ["expression_server_shutdown"]

    fault = Fault(what="cap", after_s=1.0)
    emulated(Script(connection=[Connection(fault=[fault]), speech(0, [(200, 6000)])]), scene)
