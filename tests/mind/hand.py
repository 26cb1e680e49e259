"""A simulated pair of hands for one agent: answers what the mind sends, and checks its protocol.

Unrealistic: nothing takes time unless a test lets it, samples do not exist, and every message
arrives.
"""

from __future__ import annotations

from voiced.messages import network as wire
from voiced.mind import effects, inputs
from voiced.mind.agent import Agent, AgentSetup, Attempts
from voiced.mind.inputs import Instant, Origin

OSC = Origin(kind="osc", id="127.0.0.1:50000")
PEDAL = Origin(kind="midi", id="FS-1")
SECOND = 1_000_000_000
WALL = 1_795_395_723.456  # 2026-11-23T01:02:03.456Z


def card(name: str = "local", **fields: object) -> wire.ProviderCard:
    given: dict[str, object] = {
        "title": name.title(),
        "available": True,
        "resumption": "replay",
        "models": ["small", "large"],
        "voices": ["anna", "bert"],
        "pricing": {
            "small": wire.Price(input_usd_min=0.06, output_usd_min=0.6),
            "large": wire.Price(input_usd_min=0.6, output_usd_min=6.0, text="~dear"),
        },
    }
    return wire.ProviderCard(name=name, **{**given, **fields})  # type: ignore[arg-type]


class Hand:
    """Drives an agent: time, inputs, and what its effects have come to."""

    def __init__(self, *cards: wire.ProviderCard, **setup: object) -> None:
        self.catalogue = wire.Catalogue(providers=list(cards or (card(),)))
        self.attempts = Attempts()
        self.agent = Agent(
            AgentSetup(name="a", attempts=self.attempts, **setup)  # type: ignore[arg-type]
        )
        self.ns = 1000 * SECOND
        self.wall_set = 0.0
        """By how much somebody has set the wall clock, s."""
        self.network_up = False
        self.legs: set[int] = set()
        """Legs that the network process holds."""
        self.open_legs: set[int] = set()
        self.dialled: list[wire.OpenLeg] = []
        self.sent: list[wire.Message] = []
        self.all: list[effects.Effect] = []
        self.last: list[effects.Effect] = []
        self.gate = False
        self.told: dict[tuple[str, str], object] = {}

    # --- time and input

    @property
    def instant(self) -> Instant:
        return Instant(mono_ns=self.ns, wall=WALL + self.wall_set + self.ns / 1e9 - 1000.0)

    def give(self, event: inputs.AgentInput) -> list[effects.Effect]:
        out = self.agent.handle(event, self.instant)
        for effect in out:
            self._perform(effect)
        self.last = list(out)
        self.all += out
        deadline = self.agent.next_deadline()
        assert deadline is None or deadline > self.ns, "what is due now was not done"
        return self.last

    def sleep(self, seconds: float) -> list[effects.Effect]:
        """Let time pass, with every tick the agent asked for."""
        until, out = self.ns + int(seconds * SECOND), []
        while (deadline := self.agent.next_deadline()) is not None and deadline <= until:
            self.ns = deadline
            out += self.give(inputs.Tick())
        self.ns = until
        self.last = out
        return out

    def _perform(self, effect: effects.Effect) -> None:
        match effect:
            case effects.Send(message=message):
                assert self.network_up, f"{message} was sent to no process"
                self.sent.append(message)
                self._network(message)
            case effects.SetGate(open=is_open):
                assert is_open != self.gate, "the gate word was written without a change"
                self.gate = is_open
            case effects.Told():
                self.told[effect.page, effect.name] = effect.value

    def _network(self, message: wire.Message) -> None:
        match message:
            case wire.OpenLeg():
                assert not self.legs, "a second leg was opened"
                assert not self.dialled or message.leg > self.dialled[-1].leg
                assert self.agent._state.allowance.left_usd > 0, "dialled without money"
                limit = self.agent._state.parameters.number("Maxreplayrows")
                assert len(message.history) <= limit, "more rows than Maxreplayrows"
                self.dialled.append(message)
                self.legs.add(message.leg)
            case wire.CloseLeg():
                assert message.leg in self.legs, "a leg was closed that is not there"
                self.legs.discard(message.leg)
                self.open_legs.discard(message.leg)
            case wire.TurnEnd():
                assert message.leg in self.legs, "a turn ended on a leg that is not there"
            case wire.LegMessage():
                assert message.leg in self.open_legs, f"{message} for a leg that is not open"

    # --- the usual events

    def start(self, *, connect: bool = False) -> Hand:
        self.give(inputs.Started(connect=connect))
        self.give(inputs.AudioReady(device="virtual", samplerate=48_000, echo_free=True))
        self.network(up=True)
        return self

    def network(self, *, up: bool) -> list[effects.Effect]:
        self.network_up = up
        if up:
            return self.give(inputs.NetworkReady(catalogue=self.catalogue))
        self.legs.clear()
        self.open_legs.clear()
        return self.give(inputs.NetworkLost(sentence="killed by signal 9"))

    @property
    def leg(self) -> int:
        return self.dialled[-1].leg

    def press(self, name: str, text: str | None = None) -> list[effects.Effect]:
        return self.give(inputs.Press(name=name, origin=OSC, text=text))

    def write(
        self, name: str, value: wire.Value, origin: Origin = OSC, page: str = "par"
    ) -> list[effects.Effect]:
        return self.give(inputs.Write(name=name, value=value, origin=origin, page=page))

    def leg_event(self, kind: type[wire.LegMessage], **fields: object) -> list[effects.Effect]:
        fields = {"leg": self.leg, **fields}
        event = kind(agent="a", **fields)  # type: ignore[arg-type]
        if isinstance(event, wire.LegOpened):
            self.open_legs.add(event.leg)
        if isinstance(event, wire.LegUnreachable | wire.LegRefused | wire.LegClosed):
            self.legs.discard(event.leg)
            self.open_legs.discard(event.leg)
        return self.give(event)  # type: ignore[arg-type]

    def opened(self, resumed: str = "fresh") -> list[effects.Effect]:
        return self.leg_event(wire.LegOpened, resumed=resumed)

    def closed(self, *, asked: bool = False) -> list[effects.Effect]:
        return self.leg_event(
            wire.LegClosed, asked=asked, code="" if asked else "1006", sentence="dropped"
        )

    def connected(self) -> Hand:
        self.press("Connect")
        self.opened()
        return self

    def user(self, text: str, item: str = "u1", start: int = 1000, end: int = 2000) -> None:
        self.leg_event(wire.SpeechStarted, frame=start)
        self.leg_event(wire.SpeechEnded, frame=end)
        self.leg_event(
            wire.UserText, item=item, text=text, final=True, start_frame=start, end_frame=end
        )

    def reply(self, text: str, response: str = "r1", *, heard: bool = True) -> None:
        item = f"{response}i"
        self.leg_event(wire.ResponseStarted, response=response)
        self.leg_event(wire.AssistantText, response=response, item=item, text=text, final=True)
        self.leg_event(wire.Playing, response=response, item=item)
        self.leg_event(wire.ResponseDone, response=response, status="completed")
        if heard:
            self.leg_event(wire.ReplyHeard, response=response, latency_s=0.4)

    # --- looking

    def callbacks(self, name: str, among: list[effects.Effect] | None = None) -> list[tuple]:  # type: ignore[type-arg]
        found = self.all if among is None else among
        return [e.args for e in found if isinstance(e, effects.Callback) and e.name == name]

    def sent_of(self, kind: type[wire.Message]) -> list[wire.Message]:
        return [m for m in self.sent if isinstance(m, kind)]

    def refused(self) -> list[effects.Refused]:
        return [e for e in self.last if isinstance(e, effects.Refused)]

    @property
    def state(self) -> str:
        return self.agent.sessionstate

    def words(self) -> list[tuple[str, str]]:
        return [(row.role, row.message) for row in self.agent.rows]
