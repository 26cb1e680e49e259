"""The agents' minds on the loop: one input in, its effects performed in order, one deadline out.

An input that comes while effects are being performed waits for its turn, so that no mind is ever
asked from within itself.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import Protocol, TypeAlias, assert_never

import msgspec

from voiced.control.allowance import Left
from voiced.lane.seam import Clock
from voiced.lane.words import MILLION, Lane, LaneSegment, Playback
from voiced.messages.network import NetworkTrouble, ToNetwork
from voiced.mind import effects
from voiced.mind.agent import Agent
from voiced.mind.effects import AgentEffect
from voiced.mind.inputs import AgentInput, Instant, NearAt, Press, SetAllowance, Tick, ToolAnswer
from voiced.mind.session import Lifecycle

log = logging.getLogger("voiced")

OF_ALL = ("Initialize", "Shutdown")
"""Pulses of one agent that concern the hands of all."""
Recording: TypeAlias = effects.Record | effects.RecordTurn | effects.RecordOver
_PLAYBACK = {"play": Playback.PLAY, "pause": Playback.PAUSE, "silent": Playback.SILENT}


class Door(Protocol):
    """A door to the outside, as the minds see it."""

    def perform(self, agent: str, effect: AgentEffect) -> None:
        """Tell listeners what happened; effects that concern no listener are left alone."""


class Outside(msgspec.Struct, frozen=True, kw_only=True):
    """Where effects go that are not for the doors or the lane."""

    send: Callable[[ToNetwork], None]
    warm_up: Callable[[], None]
    stop_hands: Callable[[], None]
    inputs: Callable[[str, int], None]
    """So many input channels of the device are wanted by an agent."""
    keep: Callable[[str, effects.Keep], None]
    journal: Callable[[str, effects.Journal], None]
    close_trace: Callable[[effects.TraceClosed, Callable[[], None]], None]
    """Tells when the trace is there."""
    recall: Callable[[str, effects.Recall], None]
    forget: Callable[[str, effects.ForgetSession], None]
    scan: Callable[[str, effects.ScanFolder], None]
    install: Callable[[str, effects.Install], None]
    record: Callable[[str, Recording], None]
    spend: Callable[[str, effects.Spend], None]
    changed: Callable[[], None]
    """Deadlines may have changed."""
    hide: Callable[[str], str]
    """Takes the keys out of a text."""


class Minds:
    """Every agent, and the one place where they are given inputs.

    Args:
        doors: told every effect; may be added to until the first input.
    """

    def __init__(
        self,
        agents: Mapping[str, Agent],
        lanes: Mapping[str, LaneSegment],
        clock: Clock,
        outside: Outside,
    ) -> None:
        self.agents = agents
        self.doors: list[Door] = []
        self._lanes, self._clock, self._outside = lanes, clock, outside
        self._waiting: deque[tuple[str, AgentInput]] = deque()
        self._performing = False
        self._held: dict[str, deque[AgentEffect]] = {}
        """Agent -> what its doors hear once its traces are there."""
        self._closing: dict[str, int] = {}
        """Agent -> how many of its traces are being written."""
        self._allowed: dict[str, Left] = {}
        self._warm_up = False
        """Fresh hands are wanted, once for all agents that want them now."""

    def instant(self) -> Instant:
        """Return now, by both clocks."""
        wall = time.time()
        offset = time.localtime(wall).tm_gmtoff
        return Instant(self._clock.mono_ns(), wall, offset)

    def put(self, agent: str, item: AgentInput) -> None:
        """Give an agent an input; its effects are performed before this returns.

        From within `Door.perform` the input waits until the running effects are done.
        """
        # A program's error may quote what it was given: the model, doors and trace need no key.
        if isinstance(item, ToolAnswer):
            item = msgspec.structs.replace(item, result=self._outside.hide(item.result))
        elif isinstance(item, NetworkTrouble):
            item = msgspec.structs.replace(item, sentence=self._outside.hide(item.sentence))
        self._waiting.append((agent, item))
        if isinstance(item, Press) and item.name in OF_ALL:
            # There is one pair of hands: who starts or stops it does so for everybody.
            wanted = item.name == "Shutdown"
            others = (n for n, each in self.agents.items() if n != agent)
            self._waiting.extend((n, item) for n in others if self.agents[n].stopped != wanted)
        if self._performing:
            return
        self._performing = True
        try:
            while self._waiting:
                name, happened = self._waiting.popleft()
                now = self.instant()
                self.agents[name].handle(NearAt(frame=self._lanes[name].near.write_position), now)
                for effect in self.agents[name].handle(happened, now):
                    self._perform(name, effect)
        finally:
            self._performing = False
        if self._warm_up:
            self._warm_up = False
            self._outside.warm_up()
        self._outside.changed()

    def put_all(self, item: AgentInput) -> None:
        """Give every agent the same input."""
        for name in self.agents:
            self.put(name, item)

    def allow(self, left: Callable[[float], Left]) -> None:
        """Tell every agent what the common budgets leave it, where that has changed.

        Args:
            left: of what is pending elsewhere, USD, makes what is left.
        """
        pending = {name: agent.pending_usd for name, agent in self.agents.items()}
        whole = sum(pending.values())
        for name in self.agents:
            now = left(whole - pending[name])
            if self._allowed.get(name) != now:
                self._allowed[name] = now
                self.put(name, SetAllowance(left_usd=now.usd, sentence=now.sentence))

    @property
    def holding(self) -> bool:
        """Whether an agent's end of session is not told yet, for the sake of its trace."""
        return bool(self._held)

    @property
    def in_session(self) -> bool:
        """Whether any agent has a session, or is opening or ending one."""
        return any(agent.lifecycle is not Lifecycle.DISCONNECTED for agent in self.agents.values())

    def next_deadline_ns(self) -> int | None:
        """When the first agent wants a tick, ns of the daemon's clock; None = never."""
        deadlines = [agent.next_deadline() for agent in self.agents.values()]
        return min((at for at in deadlines if at is not None), default=None)

    def tick(self) -> None:
        """Give a Tick to every agent whose deadline has come."""
        now = self._clock.mono_ns()
        for name, agent in self.agents.items():
            deadline = agent.next_deadline()
            if deadline is not None and deadline <= now:
                self.put(name, Tick())

    def _perform(self, name: str, effect: AgentEffect) -> None:
        outside, lane = self._outside, self._lanes[name]
        match effect:
            case effects.Send():
                outside.send(effect.message)
            case effects.SetGate():
                lane.set_gate(effect.open)
            case effects.SetLane():
                _set_lane(lane, effect)
                if effect.inputs is not None:
                    outside.inputs(name, effect.inputs.bit_length())
            case effects.StopSpeaker():
                lane.put(Lane.STOP_TO, lane.speaker.write_position)
            case effects.WarmUp():
                self._warm_up = True
            case effects.StopHands():
                if not self.in_session:  # Else the last agent's end brings another.
                    outside.stop_hands()
            case effects.Keep():
                outside.keep(name, effect)
            case effects.Journal():
                outside.journal(name, effect)
            case effects.TraceClosed():
                self._close_trace(name, effect)
            case effects.Recall():
                outside.recall(name, effect)
            case effects.ScanFolder():
                outside.scan(name, effect)
            case effects.ForgetSession():
                outside.forget(name, effect)
            case effects.Install():
                outside.install(name, effect)
            case effects.Record() | effects.RecordTurn() | effects.RecordOver():
                outside.record(name, effect)
            case effects.Spend():
                outside.spend(name, effect)
            case effects.Log():
                log.log(_LEVELS.get(effect.level, logging.INFO), "%s", effect.line)
            case (
                effects.Told() | effects.Callback() | effects.SignalNow() | effects.RowWritten()
                | effects.RowRemoved() | effects.RowsCleared() | effects.Caption()
                | effects.Refused() | effects.ShowText() | effects.RunTool() | effects.DropCall()
            ):  # fmt: skip
                if name in self._held:
                    self._held[name].append(effect)
                else:
                    self._tell_doors(name, effect)
            case _:
                assert_never(effect)

    def _tell_doors(self, name: str, effect: AgentEffect) -> None:
        for door in self.doors:
            door.perform(name, effect)

    def _close_trace(self, name: str, effect: effects.TraceClosed) -> None:
        """Have a trace written; the doors hear of the session's end, and all after it, then."""
        self._held.setdefault(name, deque())
        self._closing[name] = self._closing.get(name, 0) + 1
        self._outside.close_trace(effect, lambda: self._trace_there(name))

    def _trace_there(self, name: str) -> None:
        self._closing[name] -= 1
        # What a door brings about while it is told comes behind what waits.
        held = self._held[name]
        while held and not self._closing[name]:
            self._tell_doors(name, held.popleft())
        if not self._closing[name]:
            del self._held[name]
            self._outside.changed()


_LEVELS = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}


def _set_lane(lane: LaneSegment, effect: effects.SetLane) -> None:
    """Publish the words that are not None."""
    if effect.volume is not None:
        lane.put(Lane.VOLUME, round(effect.volume * MILLION))
    if effect.micgain is not None:
        lane.put(Lane.MICGAIN, round(effect.micgain * MILLION))
    if effect.playback is not None:
        lane.put(Lane.PLAYBACK, _PLAYBACK[effect.playback])
    if effect.guard is not None:
        lane.put(Lane.GUARD, int(effect.guard))
    if effect.inputs is not None:
        lane.put(Lane.INPUTS, effect.inputs)


def edges_of(
    lanes: Mapping[str, LaneSegment], seen: dict[str, int]
) -> Iterable[tuple[str, int, bool, int]]:
    """Yield (agent, frame, open, serial) of the gate edges since last time.

    `seen` counts them, by agent.
    """
    for name, lane in lanes.items():
        for number, edge in lane.edges_since(seen.get(name, 0)):
            seen[name] = number + 1
            yield name, edge.frame, edge.open, edge.serial
