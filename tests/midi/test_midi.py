"""The MIDI door on real ports: a pedal is a JACK client of its own with a MIDI output and input."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from tests.midi.jack import Jack, jack_server
from voiced.control.midi import MidiDoor
from voiced.control.midi_map import Aimed, Binding, MidiMap, resolver
from voiced.mind.inputs import HolderGone, Write
from voiced.parameters import ROWS

rtmidi = pytest.importorskip("rtmidi", reason="python-rtmidi has no wheel for this Python")
pytestmark = pytest.mark.skipif(
    shutil.which("jackd") is None or rtmidi.API_UNIX_JACK not in rtmidi.get_compiled_api(),
    reason="jackd, or rtmidi's JACK backend, is not installed: no real ports to test on",
)

WITHIN_S = 15.0
DOWN, UP = [0xB0, 64, 127], [0xB0, 64, 0]
RESOLVE = resolver(["voice_agent"], lambda agent, page, name: ROWS.get(name))


class Pedal:
    """A pedal with a lamp, as another program sees it: rtmidi's virtual ports on JACK."""

    def __init__(self, lamps: Callable[[list[int]], None], client: str = "Stomp") -> None:
        self._out = rtmidi.MidiOut(rtmidi.API_UNIX_JACK, name=client)
        self._out.open_virtual_port("FS-1")
        self._in = rtmidi.MidiIn(rtmidi.API_UNIX_JACK, name=f"{client} lamps")
        self._in.set_callback(lambda event, _: lamps(event[0]))
        self._in.open_virtual_port("FS-1")

    def send(self, message: list[int]) -> None:
        self._out.send_message(message)

    def unplug(self) -> None:
        for port in (self._out, self._in):
            port.close_port()
            port.delete()


class Rig:
    """A door with a queue for everything it says."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.aimed: asyncio.Queue[Aimed] = asyncio.Queue()
        self.told: asyncio.Queue[str] = asyncio.Queue()
        self.lamps: asyncio.Queue[list[int]] = asyncio.Queue()
        self.door = MidiDoor(self.aimed.put_nowait, self.told.put_nowait, backend="UNIX_JACK")
        bindings = [Binding(port="fs-1", control=64, address="/voice_agent/par/Talk")]
        self.door.configure(MidiMap(bindings, RESOLVE, lambda *_: False))

    def pedal(self) -> Pedal:
        return Pedal(lambda lamp: self.loop.call_soon_threadsafe(self.lamps.put_nowait, lamp))

    async def line(self, part: str) -> str:
        while part not in (line := await asyncio.wait_for(self.told.get(), WITHIN_S)):
            pass
        return line

    async def next(self) -> Aimed:
        return await asyncio.wait_for(self.aimed.get(), WITHIN_S)

    async def lamp(self) -> list[int]:
        return await asyncio.wait_for(self.lamps.get(), WITHIN_S)


@asynccontextmanager
async def running() -> AsyncIterator[Rig]:
    rig = Rig()
    task = asyncio.create_task(rig.door.run())
    try:
        yield rig
    finally:
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


@pytest.fixture(scope="module")
def jack():
    with jack_server() as server:
        yield server


def write(value: bool, aimed: Aimed) -> None:
    assert aimed.agent == "voice_agent"
    assert isinstance(aimed.input, Write)
    assert (aimed.input.name, aimed.input.value) == ("Talk", value)
    assert aimed.input.origin.kind == "midi"


def test_a_pedal_talks_shows_the_gate_and_lets_go_when_it_is_unplugged(jack: Jack) -> None:
    async def scene() -> None:
        async with running() as rig:
            await rig.line("no MIDI port")
            pedal = rig.pedal()  # plugged in while the daemon runs
            await rig.line("listening to Stomp:FS-1")

            pedal.send(DOWN)
            write(True, await rig.next())
            rig.door.show_gate("voice_agent", True)
            assert await rig.lamp() == [0xB0, 64, 127]
            pedal.send(UP)
            write(False, await rig.next())
            rig.door.show_gate("voice_agent", False)
            assert await rig.lamp() == [0xB0, 64, 0]

            pedal.send(DOWN)
            write(True, press := await rig.next())
            pedal.unplug()
            gone = await rig.next()
            assert gone.input == HolderGone(origin=press.input.origin)
            await rig.line("no MIDI port")

            again = rig.pedal()
            await rig.line("listening to Stomp:FS-1")
            assert await rig.lamp() == [0xB0, 64, 0], "a pedal that comes back is shown the gate"
            again.send(DOWN)
            write(True, await rig.next())
            again.unplug()

    asyncio.run(scene())


def test_the_end_of_the_midi_server_lets_go_and_its_return_is_noticed() -> None:
    async def scene(server: Jack) -> None:
        async with running() as rig:
            pedal = rig.pedal()
            await rig.line("listening to Stomp:FS-1")
            pedal.send(DOWN)
            write(True, await rig.next())
            await asyncio.to_thread(server.stop)
            gone = await rig.next()
            assert isinstance(gone.input, HolderGone)
            pedal.unplug()
            await rig.line("no JACK server runs")
            await asyncio.to_thread(server.start)
            pedal = rig.pedal()
            await rig.line("listening to Stomp:FS-1")
            pedal.send(DOWN)
            write(True, await rig.next())
            pedal.unplug()

    with jack_server() as server:
        asyncio.run(scene(server))


def test_the_end_of_the_midi_process_lets_go_and_a_new_one_listens(jack: Jack) -> None:
    async def scene() -> None:
        async with running() as rig:
            pedal = rig.pedal()
            await rig.line("listening to Stomp:FS-1")
            pedal.send(DOWN)
            write(True, await rig.next())
            first = rig.door.pid
            os.kill(first, signal.SIGKILL)
            assert isinstance((await rig.next()).input, HolderGone)
            await rig.line("listening to Stomp:FS-1")
            assert rig.door.pid != first
            pedal.send(DOWN)
            write(True, await rig.next())
            pedal.unplug()

    asyncio.run(scene())


def test_the_end_of_the_daemon_lets_go(jack: Jack) -> None:
    async def scene() -> Aimed:
        async with running() as rig:
            pedal = rig.pedal()
            await rig.line("listening to Stomp:FS-1")
            pedal.send(DOWN)
            write(True, await rig.next())
        pedal.unplug()
        return await rig.next()

    assert isinstance(asyncio.run(scene()).input, HolderGone)


def test_garbage_from_a_port_means_nothing(jack: Jack) -> None:
    async def scene() -> None:
        async with running() as rig:
            pedal = rig.pedal()
            await rig.line("listening to Stomp:FS-1")
            for garbage in ([0xF0, 1, 0xF7], [0xE0, 0, 64], [0xC0, 5], [0xB0, 123, 0]):
                pedal.send(garbage)
            pedal.send(DOWN)
            write(True, await rig.next())
            pedal.unplug()

    asyncio.run(scene())


def test_without_any_midi_system_there_is_a_sentence(monkeypatch) -> None:
    monkeypatch.setenv("JACK_DEFAULT_SERVER", "voiced_nobody")
    monkeypatch.setenv("JACK_NO_START_SERVER", "1")

    async def scene() -> None:
        async with running() as rig:
            assert "modprobe snd-seq" in await rig.line("no MIDI")
            assert rig.door.inputs == ()

    asyncio.run(scene())
