"""The daemon as its doors see it: agents, values, inputs, the mute, paths, how everything is."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import msgspec

from voiced import __version__
from voiced.control.config import Config
from voiced.control.hands import Hands
from voiced.control.minds import Minds
from voiced.control.osc.surface import PAR, MidiBinding, Status
from voiced.control.passed import PassedFrames
from voiced.lane.words import MILLION, Device, DeviceSegment, Lane, LaneSegment
from voiced.mind import effects
from voiced.mind.inputs import AgentInput, SetMute
from voiced.mind.toolbox import ShownTool
from voiced.parameters import ROWS, Kind, Refusal, Row, Value

log = logging.getLogger("voiced")

_LEVELS = logging.getLevelNamesMapping()
_ENGINE_ORDER = ("stopped", "no_device", "retrying", "starting", "degraded", "ready")
"""Enginestatus, worst first."""


class DaemonSurface:
    """Implements `voiced.control.osc.surface.Surface`.

    Args:
        configuration: returns the configuration in force.
        roots: returns the folders that file and folder parameters may point into.
        muted: whether the mute was on when the daemon last ended.
        keep_mute: called with a new mute.
        set_device: sets the "input" or "output" device; returns its name or why not.
    """

    def __init__(
        self,
        minds: Minds,
        hands: Hands,
        configuration: Callable[[], Config],
        roots: Callable[[], Sequence[Path]],
        muted: bool,
        keep_mute: Callable[[bool], None],
        set_device: Callable[[str, str | None], str | Refusal],
    ) -> None:
        self._minds, self._hands = minds, hands
        self._configuration, self._roots = configuration, roots
        self._muted, self._keep_mute, self._set_device = muted, keep_mute, set_device
        self._passed = PassedFrames(hands.lanes)
        self._started = time.monotonic()
        self.say: Callable[[str, int | float | str], None] = lambda address, value: None
        """Tells all targets something that belongs to no agent."""
        self.ports: Callable[[], Sequence[str]] = tuple
        """The MIDI input ports."""
        self.forget_kept: Callable[[str, str, str], None] = lambda agent, page, name: None
        """Lets the configuration's value of a parameter count again."""
        self.play: Callable[[str, str], Refusal | None] = lambda agent, path: None
        """Hands a wav file to the virtual card."""

    def agents(self) -> Sequence[str]:
        """Return every agent's name, in the configuration's order."""
        return tuple(self._minds.agents)

    def pages(self, agent: str) -> Sequence[str]:
        """Return "par" and then every provider that has a page of its own."""
        return (PAR, *self._minds.agents[agent].pages())

    def names(self, agent: str, page: str) -> Sequence[str]:
        """Return the names of a page's rows; empty for a page that is not there."""
        if page == PAR:
            return tuple(ROWS)
        return tuple(self._minds.agents[agent].pages().get(page, ()))

    def row(self, agent: str, page: str, name: str) -> Row | None:
        """Return the row as it is now: with budget.max_costbudget as Costbudget's maximum."""
        row = self._minds.agents[agent].row(page, name)
        cap = self._configuration().budget.max_costbudget
        if row is not None and page == PAR and name == "Costbudget" and cap > 0:
            return msgspec.structs.replace(row, maximum=cap, above_minimum=True)
        return row

    def value(self, agent: str, page: str, name: str) -> Value:
        """Return what is stored."""
        return self._minds.agents[agent].value(page, name)

    def has_secret(self, agent: str, page: str, name: str) -> bool:
        """Return whether a secret row holds something."""
        return bool(self._minds.agents[agent].value(page, name))

    def options(self, agent: str, page: str, name: str) -> Sequence[str]:
        """Return what a menu offers now."""
        return self._minds.agents[agent].options(page, name)

    def rows(self, agent: str) -> Sequence[effects.Row]:
        """Return the conversation, oldest first."""
        return self._minds.agents[agent].rows

    def tools(self, agent: str) -> Sequence[ShownTool]:
        """Return the tools that were declared, with the mode in force."""
        return self._minds.agents[agent].tools

    def signals(self, agent: str) -> Mapping[str, float]:
        """Return every channel by its name: the mind's, and what the hands measure."""
        channels = dict(self._minds.agents[agent].signals(self._minds.instant()))
        channels.update(_measured(self._hands.lanes[agent], self._hands.device))
        return channels

    def passed(self, agent: str) -> tuple[int, int]:
        """Return the frames of microphone sent and of voice played since this was last asked."""
        mind = self._minds.agents[agent].signals(self._minds.instant())
        return self._passed.since_last(agent, mic_open=mind["mic_open"] > 0)

    def put(self, agent: str, item: AgentInput) -> None:
        """Give the agent an input and act on what it wants, before returning."""
        self._minds.put(agent, item)

    def mute(self, on: bool) -> None:
        """Mute or unmute every agent, and tell all."""
        changed, self._muted = on != self._muted, on
        self._minds.put_all(SetMute(on=on))
        if changed:
            self._keep_mute(on)
            self.say("/voiced/mute", int(on))

    def muted(self) -> bool:
        """Return whether /voiced/mute is on."""
        return self._muted

    def status(self) -> Status:
        """Return how the daemon is."""
        return Status(
            version=__version__, engine=self.engine(), uptime_s=time.monotonic() - self._started
        )

    def engine(self) -> str:
        """Return the worst Enginestatus of all agents."""
        return min((agent.enginestatus for agent in self._minds.agents.values()), key=_rank)

    def sentence(self) -> str:
        """Return one line about every agent, for the service manager."""
        return "; ".join(
            f"{name} {agent.sessionstate}, engine {agent.enginestatus}"
            for name, agent in self._minds.agents.items()
        )

    def audio_device(self, direction: str, name: str | None) -> str | Refusal:
        """Return the "input" or "output" device's name, after setting it where `name` is given."""
        return self._set_device(direction, name)

    def forget(self, agent: str, page: str, name: str) -> None:
        """Let what the configuration says of a parameter count again, now and after a restart."""
        self.forget_kept(agent, page, name)

    def play_file(self, agent: str, path: str) -> Refusal | None:
        """Let the virtual card's visitor speak a wav file; why not, where it cannot."""
        if agent not in self._minds.agents:
            return Refusal("bad_value", f"there is no agent {agent}")
        return self.play(agent, path)

    def midi_ports(self) -> Sequence[str]:
        """Return the names of the MIDI input ports that are there now."""
        return tuple(self.ports())

    def midi_bindings(self) -> Sequence[MidiBinding]:
        """Return the bindings in force."""
        return tuple(
            MidiBinding(
                port=binding.port,
                message=binding.message,
                address=binding.address,
                number=-1 if binding.number is None else binding.number,
            )
            for binding in self._configuration().midi.bind
        )

    def allowed_path(self, row: Row, path: str) -> str | Refusal:
        """Return the resolved path that a parameter may name: inside the roots, and of its kind."""
        sentence = f"{row.name} takes what lies inside storage.roots; see the config file"
        outside = Refusal("denied", sentence)
        try:
            resolved = Path(path).expanduser().resolve()
            if not any(resolved.is_relative_to(root.resolve()) for root in self._roots()):
                return outside
            if resolved.exists() and resolved.is_dir() != (row.kind is Kind.FOLDER):
                there, wanted = ("folder", "file") if resolved.is_dir() else ("file", "folder")
                return Refusal("bad_value", f"{row.name} takes a {wanted}; {path} is a {there}")
        except (OSError, RuntimeError, ValueError):
            return outside
        return str(resolved)

    def log(self, level: str, line: str) -> None:
        """Write a line to the service's log."""
        log.log(_LEVELS.get(level.upper(), logging.INFO), "%s", line)


def _measured(lane: LaneSegment, device: DeviceSegment) -> dict[str, float]:
    """Return the channels that are words of the shared memory."""
    return {
        "level_in": lane.get(Lane.LEVEL_IN) / MILLION,
        "level_out": lane.get(Lane.LEVEL_OUT) / MILLION,
        "gaps": lane.get(Lane.GAPS),
        "xruns": device.words[Device.INPUT_XRUNS] + device.words[Device.OUTPUT_XRUNS],
    }


def _rank(status: str) -> int:
    """Return where an Enginestatus stands, worst first; it may carry a sentence."""
    word = status.split(maxsplit=1)[0].rstrip(":,.") if status else ""
    return _ENGINE_ORDER.index(word) if word in _ENGINE_ORDER else len(_ENGINE_ORDER)
