"""Every key of the configuration file: its type, range, default, and when a change counts.

This is the one declaration: the reader checks files against it, `config/voiced.toml` is checked
against it by a test, a reload asks it what a change costs. The docstring below a field is what the
sample says about it.
"""

from __future__ import annotations

import ipaddress
import re
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

import msgspec

from voiced.control.config.servers import McpConfig
from voiced.control.config.tools import ToolConfig, tool_settings
from voiced.control.midi_map import Binding
from voiced.control.osc.settings import OscConfig
from voiced.messages.network import Value
from voiced.messages.prices import PriceList
from voiced.mind.inputs import ToolSettings

LIVE = "live"
NEXT_SESSION = "next session"
RESTART = "restart"

RESERVED = ("voiced", "captions", "metrics", "health")
"""Names no agent may have: they are other addresses."""
_AGENT_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,31}")
_CAMERA_NAME = re.compile(r"[A-Za-z0-9_]{1,32}")
_TIME = re.compile(r"([01]\d|2[0-3]):[0-5]\d")


def _live(**constraints: Any) -> msgspec.Meta:
    return msgspec.Meta(extra={"applies": LIVE}, **constraints)


def _restart(**constraints: Any) -> msgspec.Meta:
    return msgspec.Meta(extra={"applies": RESTART}, **constraints)


def _next_session(**constraints: Any) -> msgspec.Meta:
    return msgspec.Meta(extra={"applies": NEXT_SESSION}, **constraints)


class Table(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What every table of the configuration is."""


class WebConfig(Table, frozen=True, kw_only=True):
    """[web]: panel, captions, OSCQuery, metrics, health."""

    bind: Annotated[str, _restart()] = "127.0.0.1"
    port: Annotated[int, _restart(ge=0, le=65535)] = 9371

    def __post_init__(self) -> None:
        """Refuse what is no IP address."""
        ipaddress.ip_address(self.bind)


class Blocks(Table, frozen=True, kw_only=True):
    """A block size for each direction, frames."""

    input: Annotated[int, _live(ge=0, le=8192)] = 0
    output: Annotated[int, _live(ge=0, le=8192)] = 0


class VirtualConfig(Table, frozen=True, kw_only=True):
    """[audio.virtual]: the clock-driven card."""

    input: Annotated[str | dict[str, str], _live()] = ""
    """"" silence, a wav, or one per agent; paths relative to this file."""
    output: Annotated[str, _live()] = "heard.wav"
    """Wav file that gets what the loudspeakers play; "" = nowhere."""
    conversation: Annotated[str, _live()] = ""
    """Wav file of the first agent's conversation: left the visitor, right the voice as played."""
    speed: Annotated[float, _restart(ge=0.1, le=100.0)] = 1.0
    """Every clock of the daemon runs by this factor."""


class AudioConfig(Table, frozen=True, kw_only=True):
    """[audio]: the device pair."""

    backend: Annotated[Literal["portaudio", "virtual"], _restart()] = "portaudio"
    input: Annotated[str, _live()] = ""
    """Name or part of it; "" = the system's default, "-" = none."""
    output: Annotated[str, _live()] = ""
    samplerate: Annotated[int, _live(ge=8000, le=192_000)] = 48_000
    blocksize: Annotated[Annotated[int, msgspec.Meta(ge=0, le=8192)] | Blocks, _live()] = 0
    """0 = what suits the host API and direction; or frames, or one for each direction."""
    missing: Annotated[Literal["wait", "default"], _live()] = "wait"
    virtual: VirtualConfig = VirtualConfig()


class MidiConfig(Table, frozen=True, kw_only=True):
    """[midi]: what pedals and knobs do."""

    bind: Annotated[tuple[Binding, ...], _live()] = ()


class InstallConfig(Table, frozen=True, kw_only=True):
    """[install]: what Installdependencies may do."""

    allow: Annotated[bool, _live()] = False


class BudgetConfig(Table, frozen=True, kw_only=True):
    """[budget]: USD over all agents."""

    day: Annotated[float, _live(ge=0, le=1e6)] = 0.0
    month: Annotated[float, _live(ge=0, le=1e6)] = 0.0
    day_ends: Annotated[str, _live()] = "04:00"
    max_costbudget: Annotated[float, _live(ge=0, le=1e6)] = 0.0

    def __post_init__(self) -> None:
        """Refuse a time of day that is none."""
        if not _TIME.fullmatch(self.day_ends):
            raise ValueError('day_ends must be a time of day such as "04:00"')


Values: TypeAlias = dict[str, Value]


class DefaultsConfig(Table, frozen=True, kw_only=True):
    """[defaults]: what all agents begin with."""

    par: Annotated[Values, _live()] = {}
    """First values of parameters, by their names."""


class AgentConfig(Table, frozen=True, kw_only=True):
    """[[agent]]: one voice, with its own session, conversation and OSC root."""

    name: Annotated[str, _restart()] = "voice_agent"
    input_channels: Annotated[
        tuple[Annotated[int, msgspec.Meta(ge=1, le=256)], ...], _live(min_length=1)
    ] = (1,)
    output_channels: Annotated[
        tuple[Annotated[int, msgspec.Meta(ge=1, le=256)], ...], _live(min_length=1)
    ] = (1, 2)
    on_start: Annotated[Literal["wait", "connect", "last"], _restart()] = "last"
    resume_within: Annotated[float, _restart(ge=0, le=86_400)] = 120.0
    par: Annotated[Values, _live()] = {}
    """First values of parameters, by their names."""
    tool: Annotated[tuple[ToolConfig, ...], _live()] = ()
    """Tools that send an OSC message or an HTTP request; executors may register more."""
    mcp: Annotated[tuple[McpConfig, ...], _live()] = ()
    """Servers of the Model Context Protocol, whose tools the model may call."""
    tool_silence: Annotated[float, _live(ge=0.1, le=3600)] = 10.0
    """s; a tool's executor that says nothing for so long has failed, and the model is told."""
    tool_rate: Annotated[int, _live(ge=1, le=10_000)] = 30
    """Tool calls a minute; of more, one a minute is refused and the others wait."""
    tool_confirm: Annotated[tuple[str, ...], _live()] = ()
    """Names of tools whose calls wait for approval, whoever declared them; "*" = all."""
    callback_limit: Annotated[float, _live(ge=0.1, le=3600)] = 5.0
    """s; a callback of the Python file that runs longer has its process ended."""
    pages: Annotated[dict[str, Values], _next_session()] = {}
    """Tables with a provider's name: the provider's own page."""

    def tools(self) -> ToolSettings:
        """Return what the mind is told of tools."""
        return tool_settings(self.tool, self.tool_silence, self.tool_rate, self.tool_confirm)

    def __post_init__(self) -> None:
        """Refuse names that cannot be an OSC root, and two tools of one name."""
        if not _AGENT_NAME.fullmatch(self.name):
            raise ValueError(
                "name must begin with a letter and have at most 32 letters, digits and underscores"
            )
        for what, named in (("tools", self.tool), ("MCP servers", self.mcp)):
            names = [each.name for each in named]
            if len(set(names)) < len(names):
                twice = ", ".join(sorted({name for name in names if names.count(name) > 1}))
                raise ValueError(f"two {what} are named {twice}; rename one")
        if self.name in RESERVED:
            raise ValueError(f"name must not be one of {', '.join(RESERVED)}: they are taken")


class StorageConfig(Table, frozen=True, kw_only=True):
    """[storage]: where state, traces and the ledger are."""

    state_dir: Annotated[str, _restart()] = ""
    """"" = $STATE_DIRECTORY, else ~/.local/state/voiced."""
    roots: Annotated[tuple[str, ...], _live()] = ()
    retention_days: Annotated[int, _live(ge=0, le=36_500)] = 0


def _camera_problem(name: str, place: str) -> str:
    if not _CAMERA_NAME.fullmatch(name):
        return "a name has at most 32 letters, digits and underscores"
    if not place.strip():
        return "give a number, a device as /dev/video2, a stream's address or a film"
    if "://" in place and "@" in place.split("://", 1)[1].split("/", 1)[0]:
        return "a password never stands in this file: give the stream without one to this machine"
    return ""


class Config(Table, frozen=True, kw_only=True):
    """The whole configuration, checked."""

    osc: OscConfig = OscConfig()
    web: WebConfig = WebConfig()
    audio: AudioConfig = AudioConfig()
    midi: MidiConfig = MidiConfig()
    budget: BudgetConfig = BudgetConfig()
    defaults: DefaultsConfig = DefaultsConfig()
    agent: tuple[AgentConfig, ...] = (AgentConfig(),)
    prices: Annotated[PriceList, _live()] = {}
    """[prices.<provider>."<model>"]: what a model costs you, where it is not what is known."""
    install: InstallConfig = InstallConfig()
    cameras: Annotated[dict[str, str], _live()] = {}
    """[cameras]: a name for `Videoin`, and where the camera is."""
    storage: StorageConfig = StorageConfig()

    def __post_init__(self) -> None:
        """Refuse what only shows when the tables are seen together."""
        names = [agent.name for agent in self.agent]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"agent: two agents are named {', '.join(twice)}; rename one")
        if not names:
            raise ValueError("agent: there must be at least one [[agent]]")
        for name, place in self.cameras.items():
            if problem := _camera_problem(name, place):
                raise ValueError(f"cameras.{name}: {problem}")

    def of(self, name: str) -> AgentConfig:
        """Return an agent's table by its name."""
        return next(agent for agent in self.agent if agent.name == name)

    def first_values(self, agent: AgentConfig) -> Values:
        """Return an agent's first values: its own over everybody's."""
        return {**self.defaults.par, **agent.par}

    def providers_folder(self, folder: Path) -> str:
        """Return the folder of drop-in providers, from `folder` on: one for all agents, or ""."""
        for agent in self.agent:
            named = self.first_values(agent).get("Providersfolder", "")
            if named:
                return str(folder / Path(str(named)).expanduser())
        return ""

    @property
    def variables(self) -> frozenset[str]:
        """Return the environment variables that hold keys of tools."""
        servers = [server for agent in self.agent for server in agent.mcp]
        given = [one for server in servers for one in (server.env, server.headers)]
        given += [tool.http.headers for a in self.agent for tool in a.tool if tool.http is not None]
        values = [value for one in given for value in one.values() if not isinstance(value, str)]
        return frozenset(value.variable for value in values if value.variable)

    @property
    def speed(self) -> float:
        """By what factor the daemon's clocks run."""
        return self.audio.virtual.speed if self.audio.backend == "virtual" else 1.0
