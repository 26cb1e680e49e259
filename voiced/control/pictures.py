"""Pictures on their way to the model: what is posted, and what cameras give.

They go past the minds, which only say who would see them, straight to the network process. The
newest of a session is kept here, in memory alone, for the leg that follows a refresh or a crash;
it is forgotten with the session.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from voiced.messages.network import OpenLeg, ShowPicture
from voiced.mind.agent import Agent
from voiced.mind.effects import AgentEffect, Callback, Told


class Pictures:
    """A door of the minds that pictures come in by.

    Args:
        agents: the minds, by name.
        send: gives network a message.
        changed: called when another source may be wanted.
    """

    def __init__(
        self,
        agents: Mapping[str, Agent],
        send: Callable[[ShowPicture], None],
        changed: Callable[[], None],
    ) -> None:
        self._agents, self._send, self._changed = agents, send, changed
        self._newest: dict[str, bytes] = {}

    def problem(self, agent: str) -> str:
        """Return why the model would not see a posted picture, "" where it will."""
        seeing = self._agents[agent].seeing()
        if seeing.problem or not seeing.source:
            return seeing.problem
        return (
            f"Videoin is set, so posted pictures are not shown: write an empty text to "
            f"/{agent}/par/Videoin"
        )

    def post(self, agent: str, jpeg: bytes) -> str:
        """Show a posted picture, whole and of MAX_PICTURE at most; return why not, "" if so."""
        if problem := self.problem(agent):
            return problem
        self._show(agent, jpeg)
        return ""

    def give(self, agent: str, source: str, jpeg: bytes) -> None:
        """Show a camera's picture, as long as `source` is what `Videoin` names."""
        seeing = self._agents[agent].seeing()
        if seeing.source == source and not seeing.problem:
            self._show(agent, jpeg)

    def opened(self, message: OpenLeg) -> None:
        """Take that a leg was asked for: it sees what the one before it saw."""
        jpeg = self._newest.get(message.agent)
        if jpeg is not None:
            self._send(ShowPicture(agent=message.agent, leg=message.leg, jpeg=jpeg))
        self._changed()

    def perform(self, agent: str, effect: AgentEffect) -> None:
        """Forget the picture with its session, and with its source."""
        match effect:
            case Callback(name="onSessionEnd") | Told(name="Videoin", page="par"):
                self._newest.pop(agent, None)
                self._changed()
            case Told(name="Sessionstate"):
                self._changed()
            case _:
                pass

    def _show(self, agent: str, jpeg: bytes) -> None:
        self._newest[agent] = jpeg
        leg = self._agents[agent].seeing().leg
        self._send(ShowPicture(agent=agent, leg=leg, jpeg=jpeg))
