"""The emulated Expression Measurement: by a raw client, by Hume's own, against Hume's types."""

from __future__ import annotations

import asyncio
import typing
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus

from tests.emulators.client import recorded, visitor
from tests.emulators.talk import Client, tone
from tests.emulators.vendors import package
from voiced.emulators.hume_expression import PATH, HumeExpression
from voiced.emulators.script import Connection, Fault, Script

sdk = package("hume_expression_measurement")
types = package("hume_expression_measurement.types")
environment = package("hume_expression_measurement.environment")
responses = package("hume_expression_measurement.audio.socket_client").AudioSocketClientResponse

KEY = {"X-Hume-Api-Key": "key"}
FAST = 1000.0
"""So fast that a whole recording is not ahead of real time."""
UNHURRIED = {"ahead_s": 60.0, "idle_s": 100_000.0}
"""Nobody waits 60 s of this clock in vain: that is 60 ms here, less than the ear takes to load."""
UPDATE = {"type": "session.update", "measurement_timer_ms": 3000}
CLOSE = {"type": "session.close"}


def play(test, script: Script | None = None, speed: float = FAST, **how):
    async def run():
        async with (
            HumeExpression(script or one(), speed=speed, **how) as hume,
            Client(hume.url + PATH, KEY, None) as client,
        ):
            return await test(hume, client)

    return asyncio.run(run())


def one(**fields) -> Script:
    return Script(connection=[Connection(options=UNHURRIED, **fields)])


def of(kind: str):
    return lambda message: message["type"] == kind


def frames(pcm: bytes) -> list[bytes]:
    return [pcm[at : at + 3200] for at in range(0, len(pcm), 3200)]


async def send_slowly(hume: HumeExpression, client: Client, pcm: bytes) -> None:
    """Send audio as it is recorded: no faster than the emulator's own time."""
    for frame in frames(pcm):
        await client.send(frame)
        await hume.pause(0.1)


def test_measurements_lie_as_the_service_describes_them():
    """One utterance from 98 to 26000 ms, which session.close ends (the vendor's own example)."""

    async def test(hume, client):
        await send_slowly(hume, client, tone(26000 * 32))
        await client.send(CLOSE)
        return await client.until(of("session.closed")), list(hume.violations)

    got, breaches = play(test, one(speech=[(98, 90_000)]))
    assert breaches == []
    assert got[0]["type"] == "session.created"
    assert got[1] == {"type": "utterance.start", "utterance_id": 0, "audio_start_ms": 98}
    rows = [m for m in got if m["type"] == "measurement.result"]
    assert [m["audio_end_ms"] for m in rows] == [98 + 3000 * n for n in range(1, 9)] + [26000]
    assert [m["audio_start_ms"] for m in rows[:4]] == [98, 98, 98, 2098]
    assert [m["trigger"] for m in rows] == ["interval"] * 8 + ["speech_ended"]
    assert [m["measurement_id"] for m in rows] == list(range(9))
    assert rows[-1]["audio_start_ms"] == 16000
    assert [m["type"] for m in got[-3:]] == [
        "measurement.result", "utterance.end", "session.closed"]  # fmt: skip
    assert got[-1]["produced"] == {"utterances": 1, "measurements": 9}
    assert got[-1]["received"] == {"audio_duration_ms": 26000, "frames": 260}
    for row in rows:
        found = [score["probability"] for score in row["expressions"]]
        assert found == sorted(found, reverse=True)


@pytest.mark.parametrize(
    ("end_ms", "ends"),
    [(2000, [2000]), (3900, [3100]), (4200, [3100, 4200])],
)
def test_a_last_measurement_where_one_is_due(end_ms, ends):
    async def test(hume, client):
        await send_slowly(hume, client, tone(6000 * 32))
        return await client.until(of("utterance.end"))

    got = play(test, one(speech=[(100, end_ms)]))
    rows = [m["audio_end_ms"] for m in got if m["type"] == "measurement.result"]
    assert rows == ends
    assert got[-1]["audio_end_ms"] == end_ms


def test_a_recorded_visitor_is_found_in_the_sound():
    async def test(hume, client):
        await send_slowly(hume, client, visitor("lv_0880.wav", 16_000))
        return await client.until(of("utterance.end"))

    got = play(test, one())
    assert 0 <= got[-1]["audio_start_ms"] < 1000
    assert 1500 < got[-1]["audio_end_ms"] < 4000


REFUSED = {
    "odd": (b"\0\0\0", "invalid_audio_frame", True, None),
    "empty": (b"", "invalid_audio_frame", True, None),
    "longer than ten seconds": (bytes(320_002), "invalid_audio_frame", True, None),
    "faster than real time": (bytes(64_000), "rate_limited", True, None),
    "no JSON": ("{nope", "message_invalid", True, None),
    "unknown": ('{"type":"hello"}', "message_invalid", True, None),
    "unknown field": ('{"type":"session.close","now":1}', "message_invalid", True, None),
    "above 1 MiB": (bytes(1_048_578), "message_too_large", False, 1008),
    "timer too short": (
        '{"type":"session.update","measurement_timer_ms":2999}', "config_invalid", False, 1008),
    "timer too long": (
        '{"type":"session.update","measurement_timer_ms":10001}', "config_invalid", False, 1008),
    "another rate": (
        '{"type":"session.update","audio":{"sample_rate":48000}}', "config_invalid", False, 1008),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused_and_what_of_it_ends_the_session(name):
    frame, code, retryable, closes = REFUSED[name]

    async def test(hume, client):
        await client.send(frame)
        error = (await client.until(of("error")))[-1]
        if closes is None:
            await client.send(CLOSE)
        end = await client.closed()
        return error, end, client.seen[-1], len(hume.violations)

    error, end, last, breaches = play(test, Script(), speed=1.0)
    assert (error["code"], error["retryable"], breaches) == (code, retryable, 1)
    assert end[0] == (closes or 1000)
    assert last["reason"] == ("client_request" if closes is None else "error")


def test_the_configuration_comes_before_the_audio():
    async def test(hume, client):
        await client.send(UPDATE)
        updated = (await client.until(of("session.updated")))[-1]
        await client.send(bytes(3200), UPDATE)
        end = await client.closed()
        return updated, end, [m for m in client.seen if m["type"] == "error"], hume.bill.usd

    updated, end, errors, usd = play(test)
    assert updated["measurement_timer_ms"] == 3000
    assert [error["code"] for error in errors] == ["config_invalid"]
    assert end[0] == 1008
    assert usd in (0, pytest.approx(0.1 / 60 * 0.0639))


@pytest.mark.parametrize(
    ("fault", "code", "reason"),
    [
        (Fault(what="cap"), 1001, "server_shutdown"),
        (Fault(what="error"), 1008, "error"),
        (Fault(what="close", code=1012), 1012, None),
    ],
)
def test_how_it_ends_by_itself(fault, code, reason):
    async def test(hume, client):
        end = await client.closed()
        return end[0], client.seen[-1].get("reason")

    assert play(test, one(fault=[fault])) == (code, reason)


def test_it_ends_when_nobody_sends():
    async def test(hume, client):
        await client.closed()
        return client.seen[-1]["reason"]

    assert play(test, Script()) == "idle_timeout"


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [("/nowhere", KEY, 404), (PATH, {}, 401), (PATH, {"X-Hume-Api-Key": "wrong"}, 401)],
)
def test_upgrades_that_are_refused(path, headers, status):
    async def run():
        async with HumeExpression(keys=frozenset({"key"})) as hume:
            with pytest.raises(InvalidStatus) as refused:
                async with Client(hume.url + path, headers, None):
                    pass
            return refused.value.response.status_code

    assert asyncio.run(run()) == status


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_humes_own_client_measures_a_recorded_visitor():
    async def run():
        async with HumeExpression(one(), speed=FAST) as hume:
            where = environment.ExpressionMeasurementClientEnvironment(
                base=hume.url.replace("ws", "http", 1), production=hume.url
            )
            client = sdk.AsyncExpressionMeasurementClient(api_key="key", environment=where)
            got = []
            async with asyncio.timeout(20), client.audio.connect() as socket:
                await socket.send_audio_session_update(
                    types.AudioSessionUpdate(type="session.update", measurement_timer_ms=4000)
                )
                for frame in frames(visitor("lv_0890.wav", 16_000)):
                    await socket.send_audio_frame(frame)
                await socket.send_audio_session_close(types.SessionClose(type="session.close"))
                while not got or got[-1].type != "session.closed":
                    got.append(await socket.recv())
            assert list(hume.violations) == []
            return got

    got = asyncio.run(run())
    kinds = [message.type for message in got]
    assert kinds[:3] == ["session.created", "session.updated", "utterance.start"]
    assert kinds.count("utterance.start") == kinds.count("utterance.end")
    assert got[-1].produced.measurements == kinds.count("measurement.result") > 0


KINDS = {
    "session.created": types.AudioSessionCreated,
    "session.updated": types.AudioSessionUpdated,
    "utterance.start": types.UtteranceStart,
    "measurement.result": types.AudioMeasurementResult,
    "utterance.end": types.UtteranceEnd,
    "error": types.Error,
    "session.closed": types.AudioSessionClosed,
}


@pytest.fixture(scope="module")
def seen() -> list[dict[str, Any]]:
    async def test(hume, client):
        await client.send(UPDATE, b"")
        await send_slowly(hume, client, tone(4000 * 32))
        await client.send(CLOSE)
        await client.closed()
        return client.seen

    return play(test, one(speech=[(100, 3500)]))


def test_the_vendors_union_has_the_members_that_are_checked():
    assert set(typing.get_args(responses)) == set(KINDS.values())


@pytest.mark.parametrize("kind", KINDS)
def test_every_message_is_the_vendors_with_every_field(kind, seen):
    found = [message for message in seen if message["type"] == kind]
    assert found
    for message in found:
        model = KINDS[kind].model_validate(message, strict=True)
        assert not model.model_extra
        assert set(message) == set(KINDS[kind].model_fields)


def test_how_many_there_are(seen, capsys):
    kinds = {message["type"] for message in seen}
    with capsys.disabled():
        print(f"\nHume Expression: {len(kinds)} of {len(KINDS)} kinds of message, none missing")
    assert kinds == set(KINDS)


ROWS = recorded("hume_expression_audio.jsonl")


def test_the_recorded_client_does_nothing_wrong_and_hears_what_it_once_heard():
    async def test(hume, client):
        for row in ROWS:
            if row["dir"] == "c2s":
                await client.send(row["msg"] if "msg" in row else tone(row["bytes"]))
        await client.closed()
        return client.seen, list(hume.violations)

    # Its few frames stand for three seconds of speech.
    heard, breaches = play(test, one(speech=[(20, 40)]))
    assert breaches == []
    was = [row["msg"] for row in ROWS if row["dir"] == "s2c"]
    shapes = {message["type"]: shape(message) for message in heard}
    for message in was:
        if message["type"] != "error":  # the recorded client had been too fast
            assert shape(message) == shapes[message["type"]]


def shape(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: shape(inner) for name, inner in value.items()}
    return "list" if isinstance(value, list) else type(value).__name__
