"""What the doors hear of the minds, and when."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from voiced.control.minds import Minds, Outside
from voiced.lane.seam import Clock
from voiced.lane.words import LaneSegment
from voiced.messages import network as wire
from voiced.mind import effects
from voiced.mind.agent import Agent, AgentSetup, Attempts
from voiced.mind.effects import AgentEffect
from voiced.mind.inputs import AudioReady, NetworkReady, Origin, Press, Started

from ..mind.hand import card

OSC = Origin(kind="osc", id="127.0.0.1:50000")


class Ear:
    """A door that notes the callbacks and states that it is told."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    def perform(self, agent: str, effect: AgentEffect) -> None:
        match effect:
            case effects.Callback(name=("onSessionStart" | "onSessionEnd") as name):
                self.heard.append(name)
            case effects.Told(name="Sessionstate", value=value):
                self.heard.append(str(value))


class House:
    """One agent; its traces are there when the test says so."""

    def __init__(self) -> None:
        self.ear, self.written = Ear(), list[Callable[[], None]]()
        given: dict[str, Any] = dict.fromkeys(Outside.__struct_fields__, _nothing)
        given["close_trace"] = lambda _, done: self.written.append(done)
        agent = Agent(AgentSetup(name="a", attempts=Attempts()))
        self.minds = Minds(
            {"a": agent}, {"a": LaneSegment.create(48_000)[1]}, Clock(1.0), Outside(**given)
        )
        self.minds.doors.append(self.ear)
        for event in (
            Started(connect=False),
            AudioReady(device="virtual", samplerate=48_000, echo_free=True),
            NetworkReady(catalogue=wire.Catalogue(providers=[card()])),
        ):
            self.minds.put("a", event)
        self.ear.heard.clear()
        self.leg = 0

    def session(self) -> None:
        """Hold one from its beginning to its end."""
        self.leg += 1
        self.minds.put("a", Press(name="Connect", origin=OSC))
        self.minds.put("a", wire.LegOpened(agent="a", leg=self.leg, resumed="fresh"))
        self.minds.put("a", Press(name="Disconnect", origin=OSC))
        self.minds.put("a", wire.LegClosed(agent="a", leg=self.leg, asked=True))


def _nothing(*_: object) -> None:
    pass


ONE = ["connecting", "onSessionStart", "active", "ending", "onSessionEnd", "disconnected"]


def test_the_end_of_a_session_is_told_once_its_trace_is_there() -> None:
    house = House()
    house.session()
    assert house.ear.heard == ONE[:4]
    assert house.minds.holding
    house.written.pop()()
    assert house.ear.heard == ONE
    assert not house.minds.holding


def test_what_follows_while_a_trace_is_written_is_told_behind_it_in_order() -> None:
    house = House()
    house.session()
    house.session()
    assert house.ear.heard == ONE[:4]
    for done in house.written:
        assert house.ear.heard == ONE[:4]
        done()
    assert house.ear.heard == ONE + ONE
