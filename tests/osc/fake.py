"""A daemon behind the door: stores what is written and tells what changed, as the mind does.

Unrealistic: one process, no session, signals that only the test moves. It checks that the door
keeps to `Surface`: no put from within perform, no value of a secret or a pulse, no raw types.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from voiced.control.osc.door import OscDoor
from voiced.control.osc.settings import OscConfig
from voiced.control.osc.surface import MidiBinding, Status
from voiced.messages.network import ProviderParameter
from voiced.mind import effects
from voiced.mind.inputs import (
    AgentInput,
    HolderGone,
    NoteText,
    Press,
    RegisterTool,
    SayText,
    ToolSettings,
    UnregisterTool,
    Write,
)
from voiced.mind.parameters import Parameters
from voiced.mind.toolbox import ShownTool, Toolbox, shown
from voiced.parameters import ROWS, Kind, Refusal, Row, Value, row_of

PAGE = {
    row.name: row
    for row in (
        row_of(
            ProviderParameter(name="Pitch", tag="f", default=0.0, minimum=-12, maximum=12), "local"
        ),
        row_of(ProviderParameter(name="Tempo", tag="f", default=1.0, doc="How fast"), "local"),
        row_of(ProviderParameter(name="Key", tag="s", default="", secret=True), "local"),
    )
}


class FakeSurface:
    def __init__(self, agents: Sequence[str] = ("voice_agent",)) -> None:
        self._agents = tuple(agents)
        self.stored: dict[tuple[str, str, str], Value] = {}
        self.secrets: dict[tuple[str, str, str], str] = {}
        self.puts: list[tuple[float, str, AgentInput]] = []
        self.lines: list[str] = []
        self.table: list[effects.Row] = []
        self.channels: dict[str, float] = {"level_in": 0.0, "phase": 1.0}
        self.is_muted = False
        self.toolbox = Toolbox(ToolSettings())
        self.device = "card"
        self.played: list[tuple[str, str]] = []
        self.max_costbudget = 0.0
        self.door: OscDoor | None = None
        self._performing = False
        self.learned = True

    def agents(self) -> Sequence[str]:
        return self._agents

    def pages(self, agent: str) -> Sequence[str]:
        return ("par", "local") if self.learned else ("par",)

    def names(self, agent: str, page: str) -> Sequence[str]:
        return tuple({"par": ROWS, "local": PAGE}.get(page, {}))

    def row(self, agent: str, page: str, name: str) -> Row | None:
        row = {"par": ROWS, "local": PAGE}.get(page, {}).get(name)
        if row is not None and name == "Micin":
            # Of the real ones every row does what it says; here one comes later.
            return msgspec.structs.replace(row, later="this does nothing yet: set input_channels")
        if row is not None and name == "Costbudget" and self.max_costbudget:
            return msgspec.structs.replace(row, maximum=self.max_costbudget, above_minimum=True)
        return row

    def value(self, agent: str, page: str, name: str) -> Value:
        row = self.row(agent, page, name)
        assert row is not None
        assert row.stored
        assert not row.secret
        return self.stored.get((agent, page, name), row.default)

    def has_secret(self, agent: str, page: str, name: str) -> bool:
        row = self.row(agent, page, name)
        assert row is not None
        assert row.secret
        return bool(self.secrets.get((agent, page, name)))

    def options(self, agent: str, page: str, name: str) -> Sequence[str]:
        row = self.row(agent, page, name)
        assert row is not None
        assert row.kind is Kind.MENU
        return ("small", "large") if name == "Model" else row.options

    def rows(self, agent: str) -> Sequence[effects.Row]:
        return self.table

    def tools(self, agent: str) -> Sequence[ShownTool]:
        box, parameters = self.toolbox, Parameters({}, {})
        return shown(box, parameters)

    def signals(self, agent: str) -> Mapping[str, float]:
        return self.channels

    def passed(self, agent: str) -> tuple[int, int]:
        return 480, 0

    def put(self, agent: str, item: AgentInput) -> None:
        assert agent in self._agents
        assert not self._performing, "put from within perform"
        if not isinstance(item, HolderGone):
            self.puts.append((time.monotonic(), agent, item))
        if isinstance(item, Write):
            self._store(agent, item)
        if isinstance(item, RegisterTool) and self.toolbox.register(item.tool)[0] == "":
            assert item.tool.executor == item.origin
        if isinstance(item, UnregisterTool):
            self.toolbox.unregister(item.name)

    def _store(self, agent: str, item: Write) -> None:
        row = self.row(agent, item.page, item.name)
        assert row is not None
        assert row.stored
        types = {Kind.TOGGLE: bool, Kind.INT: int, Kind.FLOAT: float}
        assert type(item.value) is types.get(row.kind, str), item
        if isinstance(item.value, float):
            assert item.value == item.value
        key = (agent, item.page, item.name)
        if row.secret:
            self.secrets[key] = str(item.value)
        elif self.value(*key) == item.value:
            return
        else:
            self.stored[key] = item.value
        self.perform(
            agent,
            effects.Told(name=item.name, value=item.value, origin=item.origin, page=item.page),
        )

    def perform(self, agent: str, effect: effects.AgentEffect) -> None:
        assert self.door is not None
        self._performing = True
        self.door.perform(agent, effect)
        self._performing = False

    def mute(self, on: bool) -> None:
        assert self.door is not None
        if on != self.is_muted:
            self.is_muted = on
            self.door.said("/voiced/mute", int(on))

    def muted(self) -> bool:
        return self.is_muted

    def status(self) -> Status:
        return Status(version="1.2.3", engine="ready", uptime_s=4.5)

    def audio_device(self, direction: str, name: str | None) -> str | Refusal:
        if name == "taken":
            return Refusal("busy", "a session is open: disconnect first")
        if name is not None:
            self.device = name
        return self.device

    def play_file(self, agent: str, path: str) -> Refusal | None:
        if agent not in self._agents:
            return Refusal("bad_value", f"there is no agent {agent}")
        self.played.append((agent, path))
        return None

    def midi_ports(self) -> Sequence[str]:
        return ("FS-1",)

    def midi_bindings(self) -> Sequence[MidiBinding]:
        return (
            MidiBinding(port="FS-1", message="control_change", address="/a/par/Talk", number=64),
        )

    def allowed_path(self, row: Row, path: str) -> str | Refusal:
        inside = path.startswith("/inside/") and ".." not in path
        return path if inside else Refusal("denied", "it takes what lies inside storage.roots")

    def log(self, level: str, line: str) -> None:
        self.lines.append(line)

    # --- what a test looks at

    def pressed(self, name: str) -> list[float]:
        return [at for at, _, item in self.puts if isinstance(item, Press) and item.name == name]

    def said(self) -> list[str]:
        return [i.text for _, _, i in self.puts if isinstance(i, SayText | NoteText)]


class Running:
    """A door in an event loop of its own, in a thread of its own."""

    def __init__(self, surface: FakeSurface, config: OscConfig, **more: Any) -> None:
        self.surface = surface
        self.lag = 0.0
        """The longest the loop did not get to its own 1 ms timer, seconds."""
        self._config = config
        self._more = more
        self._ready = threading.Event()
        self._failure: BaseException | None = None
        self.trouble: list[dict[str, Any]] = []
        self._thread = threading.Thread(target=lambda: asyncio.run(self._main()))
        self._thread.start()
        assert self._ready.wait(10)
        if self._failure is not None:
            raise self._failure

    async def _main(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.loop.set_exception_handler(lambda _loop, context: self.trouble.append(context))
        self._stop = asyncio.Event()
        self.door = OscDoor(self.surface, self._config, **self._more)
        self.surface.door = self.door
        try:
            await self.door.start()
        except OSError as error:
            self._failure = error
            self._ready.set()
            return
        self.port = self.door.port
        self._ready.set()
        pulse = asyncio.create_task(self._measure())
        await self._stop.wait()
        pulse.cancel()
        await self.door.close()

    async def _measure(self) -> None:
        while True:
            before = time.monotonic()
            await asyncio.sleep(0.001)
            self.lag = max(self.lag, time.monotonic() - before)

    def waited_s(self) -> float:
        """Return for how long the door's thread was ready to run and was not let, in all."""
        try:
            stat = Path(f"/proc/self/task/{self._thread.native_id}/schedstat").read_text()
        except OSError:
            return 0.0
        return int(stat.split()[1]) / 1e9

    def call(self, work: Any) -> Any:
        """Run something in the door's loop and return what it returns."""

        async def inside() -> Any:
            return work()

        return asyncio.run_coroutine_threadsafe(inside(), self.loop).result(10)

    def close(self) -> None:
        self.loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)
        assert not self._thread.is_alive()
        assert self.trouble == []
