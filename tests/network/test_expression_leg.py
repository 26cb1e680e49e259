"""The side channel within the real process: the talk hears every sample, whatever befalls it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest
from websockets.asyncio.server import serve

from tests.network.expression_rig import Service, Session, result
from tests.network.rig import AGENT, NetworkRig, await_true, tone
from tests.network.test_edges import DROPINS, tape_of
from voiced.messages.network import (
    Affect,
    CloseLeg,
    LegClosed,
    LegTrouble,
    ProviderSignal,
    SetKey,
    Usage,
)


class Answering(Service):
    """Answers the first audio of a session with a result, or is deaf."""

    deaf = False

    async def _serve(self, socket) -> None:
        session = Session(socket)
        self.sessions.append(session)
        await session.say(*self.greeting)
        if self.deaf:
            socket.transport.pause_reading()
            await socket.wait_closed()
            return
        async for frame in socket:
            session._take(frame)
            if len(session.frames) == 1:
                await session.say(result({"joy": 0.5}, begin=0, end=100))


@contextmanager
def beside() -> Iterator[Answering]:
    """Run the service on a loop of its own."""
    service, ready, loop = Answering(), threading.Event(), asyncio.new_event_loop()
    done = asyncio.Event()

    async def run() -> None:
        async with serve(
            service._serve, "127.0.0.1", 0, process_request=service.answer, close_timeout=0.2
        ) as server:
            service.endpoint = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"
            ready.set()
            await done.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(run()), daemon=True)
    thread.start()
    assert ready.wait(10)
    try:
        yield service
    finally:
        loop.call_soon_threadsafe(done.set)
        thread.join(10)
        loop.close()


@pytest.fixture(scope="module")
def process():
    with NetworkRig(folder=DROPINS) as made:
        made.spawn()
        made.send(SetKey(server="hume", key="hk-secret"))
        yield made


@pytest.fixture
def rig(process):
    yield process
    process.send(CloseLeg(agent=AGENT, leg=1))
    process.receive(LegClosed)
    process.take_all()


def opened(rig: NetworkRig, tmp_path, service: Service, **more):
    tape, opening = tape_of(tmp_path)
    opening["parameters"] |= {"Affect": "hume", "Affectendpoint": service.endpoint, **more}
    rig.open_leg("tape", **opening)
    return tape


def said(rig: NetworkRig, tape, seconds: float = 0.5) -> None:
    """Speak, and see that the provider hears every sample of it."""
    before, spoken = len(tape.samples), tone(seconds)
    rig.gate(True)
    rig.speak(spoken)
    rig.gate(False)
    rig.hush(0.01)
    await_true(lambda: len(tape.samples) >= before + len(spoken), what="all samples")
    assert np.array_equal(tape.samples[before:], spoken)


def test_what_it_measures_is_told_beside_the_talk(rig, tmp_path):
    with beside() as service:
        tape = opened(rig, tmp_path, service)
        await_true(lambda: bool(service.sessions))
        start = rig.near
        heard: list = []
        while not any(isinstance(message, Affect) for message in heard):
            said(rig, tape)
            heard += rig.take_all()
        (signal,) = [message for message in heard if isinstance(message, ProviderSignal)]
        (affect,) = [message for message in heard if isinstance(message, Affect)]
        assert signal.channels == {"hume_affect_joy": 0.5}
        assert (affect.item, affect.scores) == ("", '{"joy":0.5}')
        assert affect.frame >= start
        rig.send(CloseLeg(agent=AGENT, leg=1))
        assert rig.receive(Usage).aside


@pytest.mark.parametrize("fault", ["deaf", "silent", "refused", "nobody"])
def test_nothing_that_befalls_it_disturbs_the_talk(rig, tmp_path, fault):
    with beside() as service:
        service.deaf = fault == "deaf"
        if fault == "silent":
            service.greeting = []
        if fault == "refused":
            service.status = 401
        if fault == "nobody":
            service.endpoint = "ws://127.0.0.1:1"
        tape = opened(rig, tmp_path, service)
        if fault in {"refused", "nobody"}:
            trouble = rig.receive(LegTrouble)
            assert trouble.source == "affect"
        for _ in range(3):
            said(rig, tape)
        assert not [message for message in rig.take_all() if isinstance(message, LegClosed)]
