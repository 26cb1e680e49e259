"""What a script lets go wrong, as a client meets it."""

from __future__ import annotations

import asyncio
import json
import socket
import sys
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.emulators.client import KEY, Client, run, silence
from voiced.emulators.openai import OpenAI
from voiced.emulators.script import Call, Connection, Fault, Heard, Reply, Script
from voiced.emulators.server import Emulator
from voiced.emulators.xai import XAI
from voiced.errors import ConfigError
from voiced.inference.models import EngineUnavailable

PATH = "/v1/realtime?model=gpt-realtime-2.1"
LONG = Reply(says="One two three four five six seven eight nine ten")


def script(*faults: Fault, reply: Reply = LONG, **fields: Any) -> Script:
    return Script(connection=[Connection(fault=list(faults), reply=[reply], **fields)])


@pytest.mark.parametrize("code", [1000, 1001, 1007, 1008, 1011, 1012])
def test_a_close_with_its_code_and_reason_within_a_reply(code: int) -> None:
    fault = Fault(what="close", code=code, reason="Internal error encountered.", reply=1,
                  audio_ms=500)  # fmt: skip

    async def talk() -> None:
        async with OpenAI(script(fault)) as service:
            client = await Client.open(service.url, PATH)
            await client.send("response.create")
            assert await client.closed() == (code, fault.reason)
            # 200 ms at a time: the third piece holds the 500th.
            assert client.kinds().count("response.output_audio.delta") == 3
            assert service.records[0].closed == code

    run(talk)


def test_a_long_reason_is_cut_as_a_frame_cuts_it() -> None:
    async def talk() -> None:
        async with OpenAI(script(Fault(what="close", reason="é" * 200))) as service:
            client = await Client.open(service.url, PATH)
            _, reason = await client.closed()
            assert reason == "é" * 61

    run(talk)


def test_a_link_that_breaks() -> None:
    async def talk() -> None:
        async with OpenAI(script(Fault(what="reset", turn=1), speech=[(100, 300)])) as service:
            client = await Client.open(service.url, PATH)
            await client.append(silence(500))
            with pytest.raises(ConnectionClosed) as broken:
                await client.until("response.done")
            assert broken.value.rcvd is None

    run(talk)


@pytest.mark.skipif(sys.platform != "linux", reason="the filter that drops packets is Linux's")
def test_a_link_whose_other_side_vanished_is_found_dead_by_keepalive() -> None:
    """Not by a close, and not at once: only what probes the link can tell."""

    async def talk() -> None:
        async with OpenAI() as service:
            client = await Client.open(service.url, PATH, ping_interval=None)
            await client.until("session.created")
            link = client.ws.transport.get_extra_info("socket")
            link.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            for option, value in ((socket.TCP_KEEPIDLE, 1), (socket.TCP_USER_TIMEOUT, 1500)):
                link.setsockopt(socket.IPPROTO_TCP, option, value)
            await service.play(Fault(what="half_open"))
            await client.send("response.create")
            began = asyncio.get_running_loop().time()
            with pytest.raises(ConnectionClosed) as dead:
                await client.next()
            assert dead.value.rcvd is None
            assert asyncio.get_running_loop().time() - began > 1.0
            assert "response.create" not in service.records[0].received

    run(talk)


def test_a_service_that_says_nothing_any_more_and_goes_on() -> None:
    async def talk() -> None:
        async with OpenAI(script(Fault(what="stall", seconds=3600.0)), speed=3600 * 5) as service:
            client = await Client.open(service.url, PATH)
            await client.until("session.created")
            await client.send("input_audio_buffer.clear")
            pong = await client.ws.ping()
            await pong  # it lives
            await client.until("input_audio_buffer.cleared")

    run(talk)


def test_frames_that_are_none() -> None:
    faults = [
        Fault(what="send", frame="{not json"),
        Fault(what="send", frame='{"type": "later.than.this"}'),
        Fault(what="send", frame="\x00\x01", binary=True),
    ]

    async def talk() -> None:
        async with OpenAI(script(*faults)) as service:
            ws = await connect(service.url + PATH, additional_headers=KEY)
            frames = [await ws.recv() for _ in range(4)]
            assert json.loads(frames[0])["type"] == "session.created"
            assert set(frames[1:]) == {"{not json", '{"type": "later.than.this"}', b"\x00\x01"}

    run(talk)


def test_the_cap_within_a_reply() -> None:
    fault = Fault(what="cap", reply=1, audio_ms=300)

    async def talk() -> None:
        async with OpenAI(script(fault)) as service:
            client = await Client.open(service.url, PATH)
            await client.send("response.create")
            code, reason = await client.closed()
            assert (code, client.events[-1]["error"]["code"]) == (1001, "session_expired")
            assert reason == client.events[-1]["error"]["message"]

    run(talk)


def test_an_error_with_its_own_code() -> None:
    fault = Fault(what="error", error="insufficient_quota", reason="You exceeded your quota.")

    async def talk() -> None:
        async with OpenAI(script(fault)) as service:
            client = await Client.open(service.url, PATH)
            error = (await client.until("error"))["error"]
            assert (error["type"], error["code"]) == ("insufficient_quota", "insufficient_quota")

    run(talk)


def test_a_lost_end_of_a_reply() -> None:
    async def talk() -> None:
        async with OpenAI(script(Fault(what="lost_done", reply=1), reply=Reply(says="A"))) as e:
            client = await Client.open(e.url, PATH)
            await client.send("response.create")
            await client.until("response.output_item.done")
            await client.send("response.create")  # to the service the first one is over
            await client.until("response.done")
            assert client.kinds().count("response.created") == 2
            assert client.kinds().count("response.done") == 1

    run(talk)


def test_connections_in_a_row_play_their_own_parts() -> None:
    rows = [
        Connection(refuse=503),
        Connection(heard=[Heard(text="first")], speech=[(0, 100)]),
        Connection(heard=[Heard(text="second")], speech=[(0, 100)]),
    ]

    async def heard(service: OpenAI) -> str:
        client = await Client.open(service.url, PATH)
        await client.append(silence(200))
        await client.done()
        return service.records[-1].heard[0]

    async def talk() -> None:
        async with OpenAI(Script(connection=rows)) as service:
            with pytest.raises(InvalidStatus) as refused:
                await Client.open(service.url, PATH)
            assert refused.value.response.status_code == 503
            assert [await heard(service) for _ in range(3)] == ["first", "second", "second"]

    run(talk)


def test_a_connection_on_which_nothing_is_ever_said() -> None:
    async def talk() -> None:
        async with OpenAI(Script(connection=[Connection(silent=True)])) as service:
            client = await Client.open(service.url, PATH)
            await (await client.ws.ping())
            await client.ws.close()
            assert [frame async for frame in client.ws] == []

    run(talk)


@pytest.mark.parametrize("place", ["response", "top", "none"])
@pytest.mark.parametrize(
    ("kind", "path"), [(OpenAI, PATH), (XAI, "/v1/realtime?model=grok-voice-3.0")]
)
def test_usage_in_the_other_services_place(kind: type[Emulator], path: str, place: str) -> None:
    row = Connection(reply=[Reply(says="Yes.")], options={"usage": place, "created": False})

    async def talk() -> None:
        async with kind(Script(connection=[row])) as service:
            client = await Client.open(service.url, path)
            await client.send("response.create")
            done = await client.until("response.done")
            assert bool(done.get("usage")) == (place == "top")
            assert bool(done["response"]["usage"]) == (place == "response")
            assert "response.created" not in client.kinds()
            assert service.bill.usd > 0, "it is billed wherever it is told"

    run(talk)


def test_old_names_and_calls_told_twice() -> None:
    reply = Reply(says="Yes.", calls=[Call(name="f")])
    options = {"old_names": True, "twice": True, "session_created": False}

    async def talk() -> None:
        async with XAI(Script(connection=[Connection(reply=[reply], options=options)])) as service:
            client = await Client.open(service.url, "/v1/realtime?model=grok-voice-3.0")
            await client.send("response.create")
            await client.done()
            kinds = client.kinds()
            assert kinds[0] == "conversation.created"
            assert "response.audio.delta" in kinds
            assert "response.audio_transcript.delta" in kinds
            assert "response.output_item.added" in kinds
            assert kinds.count("response.function_call_arguments.done") == 2

    run(talk)


def test_a_script_for_another_service_is_told_at_the_start() -> None:
    script = Script(connection=[Connection(options={"old_names": True})])
    with pytest.raises(ConfigError, match="old_names"):
        OpenAI(script)


def test_what_is_not_installed_is_told_and_done_without(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: object) -> None:
        raise EngineUnavailable("it is not installed")

    monkeypatch.setattr("voiced.inference.recogniser.shared", missing)
    monkeypatch.setattr("voiced.inference.speech.shared", missing)

    async def talk() -> None:
        row = Connection(speech=[(0, 100)], reply=[Reply(says="Hello")])
        async with OpenAI(Script(connection=[row]), hearing=True, voice="auto") as service:
            assert await service.warm() == ["it is not installed"] * 2
            client = await Client.open(service.url, PATH)
            await client.append(silence(200))
            await client.done()
            # A tone for six characters, and a turn that nobody could read.
            assert service.records[0].audio_out_s == pytest.approx(0.33)
            assert service.records[0].heard == [""]

    run(talk)
