"""One agent in the network process: its loudspeaker, and its legs one after another."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from voiced.lane.seam import Clock
from voiced.lane.words import DeviceSegment, LaneSegment
from voiced.messages.network import (
    CloseLeg,
    Interrupt,
    LegClosed,
    LegEvent,
    LegRefused,
    Note,
    OpenLeg,
    ReplaySounds,
    Say,
    SendText,
    ShowPicture,
    ToolResult,
    TurnEnd,
    Unsent,
    UpdateLeg,
)
from voiced.network.expression import KEY_SERVER
from voiced.network.leg import Leg
from voiced.network.pump import Source
from voiced.network.sight import Roots
from voiced.network.speaker import Loudspeaker
from voiced.providers.contract import LocalWire, Provider

ForLeg = (
    CloseLeg | UpdateLeg | SendText | Say | Note | Interrupt | TurnEnd | ToolResult | ShowPicture
)  # fmt: skip


class Seat:
    """What one agent has here, for the life of the process.

    Args:
        agent: its name.
        lane: its shared memory.
        device: the sound card's.
        clock: the daemon's.
        tell: where messages go.
        watch: called with every task, so that none fails unseen.
        roots: where a watched picture may lie.
    """

    def __init__(
        self,
        agent: str,
        lane: LaneSegment,
        device: DeviceSegment,
        clock: Clock,
        tell: Callable[[LegEvent | ReplaySounds], None],
        watch: Callable[[asyncio.Task[None]], None],
        roots: Roots = tuple,
    ) -> None:
        self.agent, self._roots = agent, roots
        self._lane, self._device, self._clock = lane, device, clock
        self._tell, self._watch = tell, watch
        self.loudspeaker = Loudspeaker(agent, Source(lane, device), clock, tell)
        self._leg: Leg | None = None
        self._task: asyncio.Task[None] | None = None

    def open(
        self,
        message: OpenLeg,
        provider: Provider | str,
        keys: Mapping[str, str],
        wire: LocalWire | None,
    ) -> None:
        """Start a leg; the one before is closed first.

        Args:
            message: what control asked for.
            provider: the module, or why there is none.
            keys: server -> key.
            wire: to the inference process.
        """
        if isinstance(provider, str):
            self._tell(
                LegRefused(agent=self.agent, leg=message.leg, code="no_provider", sentence=provider)
            )
            return
        before, self._leg = self._leg, None
        if before is not None:
            # What it sent belongs to the same conversation and sounds on.
            before.receive(CloseLeg(agent=self.agent, leg=before.number, let_finish=True))
        leg = Leg(
            message,
            provider,
            source=Source(self._lane, self._device),
            loudspeaker=self.loudspeaker,
            clock=self._clock,
            tell=self._tell,
            api_key=keys.get(provider.KEY_SERVER or "", ""),
            affect_key=keys.get(KEY_SERVER, ""),
            wire=wire,
            watch=self._watch,
            roots=self._roots,
        )
        self._leg = leg
        self._task = asyncio.create_task(
            self._run(leg, self._task), name=f"leg {self.agent}.{leg.number}"
        )
        self._watch(self._task)

    def receive(self, message: ForLeg) -> None:
        """Take a message about a leg; one that is over answers what must be answered."""
        leg = self._leg
        if leg is not None and leg.number == message.leg:
            leg.receive(message)
            return
        match message:
            case CloseLeg():
                self._tell(LegClosed(agent=self.agent, leg=message.leg, asked=True))
            case SendText() | Say() | Note():
                sentence = "there is no connection; press Connect and send it again"
                self._tell(Unsent(agent=self.agent, leg=message.leg, sentence=sentence))
            case Interrupt():
                # Of a leg that is over the voice may still sound.
                self.loudspeaker.silence()
            case _:
                pass

    def wake(self) -> None:
        """Audio has appended."""
        if self._leg is not None:
            self._leg.appended()

    def pause(self, paused: bool) -> None:
        """Hold the upload while control does not stamp, or let it go on."""
        if self._leg is not None:
            self._leg.pause(paused)

    def abandon(self, code: str, sentence: str) -> None:
        """End the leg because of this machine, not of the service."""
        if self._leg is not None:
            self._leg.end(
                LegClosed(
                    agent=self.agent,
                    leg=self._leg.number,
                    asked=False,
                    code=code,
                    sentence=sentence,
                )
            )

    async def close(self) -> None:
        """End everything; the leg has its moment to hang up."""
        if self._leg is not None:
            self._leg.end(LegClosed(agent=self.agent, leg=self._leg.number, asked=True))
        if self._task is not None:
            await asyncio.wait([self._task])
        self.loudspeaker.close()

    async def _run(self, leg: Leg, before: asyncio.Task[None] | None) -> None:
        if before is not None:
            await asyncio.wait([before])
        await leg.run()
        if self._leg is leg:
            self._leg = None
