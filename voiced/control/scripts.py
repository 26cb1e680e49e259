"""Agents' Python files: what happens goes to the scripts process, what they want comes back.

Each agent whose Callbackdat names a file has a process of its own, so that a script costs neither
the daemon nor another agent's script. What a dead process was doing is known here: it is counted
against the function that did it, and whatever still waited goes to the successor.
"""

from __future__ import annotations

from collections.abc import Callable

from voiced.control.hands import Hands
from voiced.control.user_script import SOURCE, UserScript
from voiced.control.wishes import ScriptSurface
from voiced.messages.scripts import ParameterTold
from voiced.mind.effects import AgentEffect, Callback, DropCall, Refused, RunTool, Told
from voiced.mind.inputs import AgentInput


class Scripts:
    """A door of the minds: every agent's script.

    Args:
        surface: parameters, as doors see them.
        hands: makes the processes.
        put: gives an agent an input.
        limit_s: returns for how long an agent's callbacks may run.
        rates: returns how many of a kind a minute are taken.
    """

    def __init__(
        self,
        surface: ScriptSurface,
        hands: Hands,
        put: Callable[[str, AgentInput], None],
        limit_s: Callable[[str], float],
        rates: Callable[[str], int],
    ) -> None:
        self._surface = surface
        self._scripts: dict[str, UserScript] = {}
        for agent in surface.agents():
            self._scripts[agent] = UserScript(
                agent,
                surface,
                hands,
                lambda item, agent=agent: put(agent, item),  # type: ignore[misc]
                lambda agent=agent: limit_s(agent),  # type: ignore[misc]
                rates,
            )

    def start(self) -> None:
        """Start a process for every agent that has a file."""
        for agent, script in self._scripts.items():
            script.point_to(str(self._surface.value(agent, "par", "Callbackdat")))

    def restart(self) -> None:
        """Start every script afresh, with what was disabled enabled again: Initialize."""
        for script in self._scripts.values():
            script.restart()

    def finish(self) -> None:
        """Hand over everything that waits: the processes are about to be told to end."""
        for script in self._scripts.values():
            script.hand_over_all()

    def perform(self, agent: str, effect: AgentEffect) -> None:
        """Tell an agent's script what happened, and have it run its tools."""
        script = self._scripts[agent]
        match effect:
            case Callback(name="onError", args=(source, *_)) if source == SOURCE:
                pass  # A script that is told of its own faults might never end.
            case Callback():
                script.happened(effect.name, effect.args)
            case Told(name="Callbackdat", value=value, page="par"):
                script.point_to(str(value))
            case Told(name=name, page="par"):
                # As it is stored now: of a secret, whether there is one.
                value = self._surface.value(agent, "par", name)
                script.told(ParameterTold(name=name, value=value))
            case RunTool() if effect.executor == script.origin:
                script.call(effect)
            case DropCall() if effect.executor == script.origin:
                script.drop(effect.call_id)
            case Refused() if effect.origin == script.origin:
                script.refused(effect.name, effect.sentence)
            case _:
                pass

    def frames(self, agent: str, name: str, frames: int) -> None:
        """Tell of onAudioIn or onAudioOut."""
        self._scripts[agent].happened(name, (frames,))
