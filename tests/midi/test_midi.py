"""The MIDI door on real ports: a pedal is a JACK client of its own with a MIDI output and input."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest

from tests.midi.pedal import DOWN, PORT, UP, Pedal
from tests.servers import JackServer
from voiced.control.midi import MidiDoor
from voiced.control.midi_map import Aimed, Binding, MidiMap, resolver
from voiced.mind.inputs import HolderGone, Write
from voiced.parameters import ROWS

rtmidi = pytest.importorskip("rtmidi", reason="python-rtmidi has no wheel for this Python")
pytestmark = pytest.mark.skipif(
    shutil.which("jackd") is None or rtmidi.API_UNIX_JACK not in rtmidi.get_compiled_api(),
    reason="jackd, or rtmidi's JACK backend, is not installed: no real ports to test on",
)

WITHIN_S = 20.0
LISTENING = f"listening to {PORT}"
RESOLVE = resolver(["voice_agent"], lambda agent, page, name: ROWS.get(name))


class Rig:
    """A door with a queue for everything it says."""

    def __init__(self, env: dict[str, str]) -> None:
        self.env = {**os.environ, **env}
        self.aimed: asyncio.Queue[Aimed] = asyncio.Queue()
        self.told: asyncio.Queue[str] = asyncio.Queue()
        self.door = MidiDoor(
            self.aimed.put_nowait,
            self.told.put_nowait,
            environment=self.env,
            backend="UNIX_JACK",
        )
        bindings = [Binding(port="fs-1", control=64, address="/voice_agent/par/Talk")]
        self.door.configure(MidiMap(bindings, RESOLVE, lambda *_: False))

    async def pedal(self) -> Pedal:
        pedal = await asyncio.to_thread(Pedal, self.env)
        await self.line(LISTENING)
        return pedal

    async def line(self, part: str) -> str:
        while part not in (line := await asyncio.wait_for(self.told.get(), WITHIN_S)):
            pass
        return line

    async def next(self) -> Aimed:
        return await asyncio.wait_for(self.aimed.get(), WITHIN_S)

    async def lamp(self, pedal: Pedal) -> bytes:
        return bytes.fromhex(await asyncio.wait_for(asyncio.to_thread(pedal.line), WITHIN_S))


@asynccontextmanager
async def running(env: dict[str, str]) -> AsyncIterator[Rig]:
    rig = Rig(env)
    task = asyncio.create_task(rig.door.run())
    try:
        yield rig
    finally:
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


@pytest.fixture(scope="module")
def jack() -> Iterator[JackServer]:
    with JackServer() as server:
        yield server


def test_its_end_leaves_no_task_behind(jack: JackServer) -> None:
    async def scene() -> None:
        async with running(jack.env) as rig:
            await rig.line("no MIDI port")
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(scene())


def write(value: bool, aimed: Aimed) -> None:
    assert aimed.agent == "voice_agent"
    assert isinstance(aimed.input, Write)
    assert (aimed.input.name, aimed.input.value) == ("Talk", value)
    assert aimed.input.origin.kind == "midi"


def test_a_pedal_talks_shows_the_gate_and_lets_go_when_it_is_unplugged(jack: JackServer) -> None:
    async def scene() -> None:
        async with running(jack.env) as rig:
            await rig.line("no MIDI port")
            pedal = await rig.pedal()  # plugged in while the daemon runs

            pedal.send(DOWN)
            write(True, await rig.next())
            rig.door.show_gate("voice_agent", True)
            assert await rig.lamp(pedal) == DOWN
            pedal.send(UP)
            write(False, await rig.next())
            rig.door.show_gate("voice_agent", False)
            assert await rig.lamp(pedal) == UP

            pedal.send(DOWN)
            write(True, press := await rig.next())
            pedal.unplug()
            gone = await rig.next()
            assert gone.input == HolderGone(origin=press.input.origin)
            await rig.line("no MIDI port")

            again = await rig.pedal()
            assert await rig.lamp(again) == UP, "a pedal that comes back is shown the gate"
            again.send(DOWN)
            write(True, await rig.next())
            again.unplug()

    asyncio.run(scene())


def test_the_end_of_the_midi_server_lets_go_and_its_return_is_noticed() -> None:
    async def scene(server: JackServer) -> None:
        async with running(server.env) as rig:
            pedal = await rig.pedal()
            pedal.send(DOWN)
            write(True, await rig.next())
            await asyncio.to_thread(server.stop)
            assert isinstance((await rig.next()).input, HolderGone)
            pedal.unplug()
            await rig.line("no JACK server runs")
            await asyncio.to_thread(server.start)
            pedal = await rig.pedal()
            pedal.send(DOWN)
            write(True, await rig.next())
            pedal.unplug()

    with JackServer() as server:
        asyncio.run(scene(server))


def test_the_end_of_the_midi_process_lets_go_and_a_new_one_listens(jack: JackServer) -> None:
    async def scene() -> None:
        async with running(jack.env) as rig:
            pedal = await rig.pedal()
            pedal.send(DOWN)
            write(True, await rig.next())
            first = rig.door.pid
            os.kill(first, signal.SIGKILL)
            assert isinstance((await rig.next()).input, HolderGone)
            await rig.line(LISTENING)
            assert rig.door.pid != first
            pedal.send(DOWN)
            write(True, await rig.next())
            pedal.unplug()

    asyncio.run(scene())


def test_the_end_of_the_daemon_lets_go(jack: JackServer) -> None:
    async def scene() -> Aimed:
        async with running(jack.env) as rig:
            pedal = await rig.pedal()
            pedal.send(DOWN)
            write(True, await rig.next())
        pedal.unplug()
        return await rig.next()

    assert isinstance(asyncio.run(scene()).input, HolderGone)


def test_garbage_from_a_port_means_nothing(jack: JackServer) -> None:
    async def scene() -> None:
        async with running(jack.env) as rig:
            pedal = await rig.pedal()
            for garbage in ("f001f7", "e00040", "c005", "b07b00"):
                pedal.send(bytes.fromhex(garbage))
            pedal.send(DOWN)
            write(True, await rig.next())
            pedal.unplug()

    asyncio.run(scene())


def test_without_any_midi_system_there_is_a_sentence() -> None:
    async def scene() -> None:
        env = {"JACK_DEFAULT_SERVER": "voiced_nobody", "JACK_NO_START_SERVER": "1"}
        async with running(env) as rig:
            assert "modprobe snd-seq" in await rig.line("no MIDI")
            assert rig.door.inputs() == ()

    asyncio.run(scene())


def test_a_mistake_is_told_once_though_the_bindings_are_looked_up_anew() -> None:
    async def scene() -> list[str]:
        told: list[str] = []
        door = MidiDoor(lambda aimed: None, told.append)
        wrong = [Binding(channel=17, address="/voice_agent/par/Talk")]
        for resolve, again in ((RESOLVE, False), (RESOLVE, True), (lambda _: "gone", True)):
            door.configure(MidiMap(wrong, resolve, lambda *_: False), again=again)
        return [line for line in told if line.startswith("!")]

    lines = asyncio.run(scene())
    assert [line.rpartition(": ")[2] for line in lines] == [
        "MIDI channels count from 1 to 16", "gone"
    ]  # fmt: skip
