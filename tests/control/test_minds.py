"""What the doors hear of the minds, and when."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from voiced.control.minds import Minds, Outside
from voiced.lane.seam import Clock
from voiced.lane.words import LaneSegment
from voiced.messages import network as wire
from voiced.messages.secrets import Secrets
from voiced.mind import effects
from voiced.mind.agent import Agent, AgentSetup, Attempts
from voiced.mind.effects import AgentEffect
from voiced.mind.inputs import (
    AudioReady,
    NetworkReady,
    Origin,
    Press,
    RegisterTool,
    Started,
    Tool,
    ToolAnswer,
)

from ..mind.hand import card

OSC = Origin(kind="osc", id="127.0.0.1:50000")


class Ear:
    """A door that notes the callbacks, errors and states that it is told."""

    def __init__(self) -> None:
        self.heard: list[str] = []
        self.errors: list[str] = []

    def perform(self, agent: str, effect: AgentEffect) -> None:
        match effect:
            case effects.Callback(name=("onSessionStart" | "onSessionEnd") as name):
                self.heard.append(name)
            case effects.Callback(name="onError", args=args):
                self.errors.append(str(args[2]))
            case effects.Told(name="Sessionstate", value=value):
                self.heard.append(str(value))


class House:
    """One agent; its traces are there when the test says so."""

    def __init__(self) -> None:
        self.ear, self.written = Ear(), list[Callable[[], None]]()
        given: dict[str, Any] = dict.fromkeys(Outside.__struct_fields__, _nothing)
        self.sent: list[wire.Message] = []
        secrets = Secrets()
        secrets.add("planted/key+77")
        given |= {"send": self.sent.append, "hide": secrets.hide}
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


def test_a_tool_that_quotes_a_key_tells_it_to_nobody() -> None:
    house = House()
    lamp = Tool(name="lamp", description="d", schema="{}", executor=OSC)
    house.minds.put("a", RegisterTool(tool=lamp, origin=OSC))
    house.minds.put("a", Press(name="Connect", origin=OSC))
    house.minds.put("a", wire.LegOpened(agent="a", leg=1, resumed="fresh"))
    house.minds.put("a", wire.ToolCall(agent="a", leg=1, call_id="c", name="lamp", arguments="{}"))
    quoted = "401 for key=planted/key+77 (planted%2Fkey%2B77)"
    house.minds.put("a", ToolAnswer(call_id="c", ok=False, result=quoted, origin=OSC))
    (result,) = (each for each in house.sent if isinstance(each, wire.ToolResult))
    assert result.result == "401 for key=[key] ([key])"
    house.minds.put("a", wire.NetworkTrouble(source="scripts", code="raised", sentence=quoted))
    assert house.ear.errors == ["401 for key=[key] ([key])"]
