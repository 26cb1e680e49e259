"""The processes that do things, the shared memory between them, and what each is told at its start.

Control makes the segments, the wake-ups and the wire between network and inference once and keeps
them for life: a successor finds what its predecessor left. Audio and network run from the start,
inference from the first need of the local provider.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from voiced.control.children import Child, Program, Stamps
from voiced.control.config import Blocks, Config
from voiced.control.keys import FoundKey, scrubbed
from voiced.control.supervision import ENGINE_STALE_S, STALE_S, State
from voiced.control.web import TOKEN
from voiced.lane.seam import Wake, datagram_pair
from voiced.lane.words import DeviceSegment, LaneSegment, Owner
from voiced.messages.audio import FromAudio, LaneChannels, OpenDevice, VirtualCard
from voiced.messages.camera import FromCamera
from voiced.messages.framing import Attach, Hello, LaneSeat, Message
from voiced.messages.network import FromNetwork, SetKey, SetPrices, SetRoots
from voiced.messages.recorder import FromRecorder
from voiced.messages.scripts import FromScripts
from voiced.messages.secrets import Secrets
from voiced.messages.tools import FromTools

APPEND_MS = 5
"""The near wake is set once per so many milliseconds of microphone."""
UNHURRIED = (Owner.INFERENCE, Owner.RECORDER, Owner.TOOLS, Owner.CAMERA)
"""Children whose silence nobody hears: an engine loads its model, a disk is slow, a server sends
megabytes, a picture is large."""
STALLED_S = 1.0
"""If control itself did not run for so long, stamps are old through nobody's fault."""


class Events(msgspec.Struct, frozen=True, kw_only=True):
    """Whom the hands report to."""

    from_audio: Callable[[FromAudio], None]
    from_network: Callable[[FromNetwork], None]
    exited: Callable[[Owner, str, bool], None]
    """A process is gone, a sentence why, and whether it was asked to go."""
    from_recorder: Callable[[FromRecorder], None]
    recorder_greeting: Callable[[], Iterable[Message]]
    """What a fresh recorder must know besides the shared memory."""
    from_tools: Callable[[FromTools], None]
    tools_greeting: Callable[[], Iterable[Message]]
    """The same for a fresh tools process."""
    from_camera: Callable[[FromCamera], None]
    camera_greeting: Callable[[], Iterable[Message]]
    """The same for a fresh camera process."""
    inference_ready: Callable[[], None]
    """Inference says Hello."""
    changed: Callable[[], None]
    """A deadline or a state may have changed."""
    roots: Callable[[], Sequence[Path]]
    """Returns the folders that files of parameters may lie in."""


class Hands:
    """Audio, network, inference, the recorder, and an agent's scripts.

    Attributes:
        device: the device segment.
        lanes: agent -> its lane segment.
        environment: of every child: no key is in it.
        edge_wake: set by audio at a gate edge, a flush and an epoch.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        config: Config,
        folder: Path,
        state_dir: Path,
        keys: Iterable[FoundKey],
        environment: Mapping[str, str],
        secrets: Secrets,
        events: Events,
    ) -> None:
        self._loop, self._config, self._folder = loop, config, folder
        self._state_dir, self._events = state_dir, events
        self._found = {found.server: found.key for found in keys}
        # Keys of tools reach the tools process by its channel, and nobody else.
        self.environment = scrubbed(environment, self._found.values(), config.variables)
        self._keys = dict(self._found)
        self._secrets = secrets
        for key in self._found.values():
            secrets.add(key)
        self.device_fd, self.device = DeviceSegment.create()
        self._lane_fds: dict[str, int] = {}
        self.lanes: dict[str, LaneSegment] = {}
        for agent in config.agent:
            fd, lane = LaneSegment.create(config.audio.samplerate)
            self._lane_fds[agent.name], self.lanes[agent.name] = fd, lane
        self._near_wake, self.edge_wake = Wake.create(), Wake.create()
        self._network_wire, self._inference_wire = datagram_pair()
        self._watched_at = time.monotonic()
        self._scripts: list[Child[Any]] = []
        self._inputs_wanted: dict[str, int] = {}
        self.inputs_open = 0
        """Input channels of the device that are open; 0 = none, or not known yet."""
        self.audio = self._child(Owner.AUDIO, FromAudio, self._greet_audio, events.from_audio, ())
        self.network = self._child(
            Owner.NETWORK, FromNetwork, self._greet_network, events.from_network,
            (self._network_wire.fileno(),),
        )  # fmt: skip
        self.inference = self._child(
            Owner.INFERENCE, Hello, self._greet_inference, self._from_inference,
            (self._inference_wire.fileno(),),
        )  # fmt: skip
        self.recorder = self._child(
            Owner.RECORDER, FromRecorder, self._greet_recorder, events.from_recorder, ()
        )
        self.tools = self._child(Owner.TOOLS, FromTools, self._greet_tools, events.from_tools, ())
        self.camera = self._child(
            Owner.CAMERA, FromCamera, self._greet_camera, events.from_camera, ()
        )

    @property
    def children(self) -> tuple[Child[Any], ...]:
        """All children, wanted or not."""
        return (
            self.audio, self.network, self.inference, self.recorder, self.tools, self.camera,
            *self._scripts,
        )  # fmt: skip

    def start(self) -> None:
        """Start what always runs; inference starts when network first speaks to it."""
        self.audio.start()
        self.network.start()
        self._await_first_word()

    def restart(self) -> None:
        """Replace audio and network by fresh ones; start those that were stopped."""
        self.audio.restart()
        self.network.restart()
        if self.inference.supervision.wanted:
            self.inference.restart()
        else:
            self._await_first_word()

    def stop(self) -> None:
        """Ask every child to go."""
        self._loop.remove_reader(self._inference_wire)
        for child in self.children:
            child.stop()

    def _await_first_word(self) -> None:
        self._loop.add_reader(self._inference_wire, self._wire_readable)

    def _wire_readable(self) -> None:
        """Network spoke to inference, which does not run yet: what it said waits in the wire."""
        self._loop.remove_reader(self._inference_wire)
        self.inference.start()

    def reconfigure(self, config: Config, folder: Path) -> None:
        """Take a new configuration; a changed device pair takes a new audio process."""
        changed = self._open_device(self._config, self._folder) != self._open_device(config, folder)
        if config.prices != self._config.prices:
            self.network.send(SetPrices(prices=config.prices))
        self._config, self._folder = config, folder
        if changed:
            self.audio.restart()

    def want_inputs(self, agent: str, channels: int) -> None:
        """Have so many input channels open for an agent; more of them take a new audio process."""
        self._inputs_wanted[agent] = channels
        if self.audio.running and 0 < self.inputs_open < channels:
            self.audio.restart()

    def set_key(self, server: str, key: str) -> None:
        """Give network a key now and after each of its restarts."""
        self._secrets.add(key)
        self._keys[server] = key
        if server != TOKEN:
            self.network.send(SetKey(server=server, key=key))

    @property
    def web_token(self) -> str:
        """What senders from elsewhere must know to use the web door, "" = there is none."""
        return self._keys.get(TOKEN, "")

    def tell_roots(self) -> None:
        """Tell network where watched pictures may lie: the folders have changed."""
        self.network.send(self._set_roots())

    def _set_roots(self) -> SetRoots:
        return SetRoots(folders=[str(root) for root in self._events.roots()])

    @property
    def keys(self) -> frozenset[str]:
        """The keys themselves, to be held against what somebody else is given."""
        return frozenset(key for key in self._keys.values() if key)

    @property
    def key_servers(self) -> frozenset[str]:
        """For which servers there is a key."""
        return frozenset(server for server, key in self._keys.items() if key)

    def find_keys_again(self, keys: Iterable[FoundKey]) -> list[str]:
        """Give network the keys that are new or gone since they were last looked for.

        A key that came through a door stays, unless its file or variable has changed since.

        Returns:
            The servers whose key changed.
        """
        before, self._found = self._found, {found.server: found.key for found in keys}
        changed = sorted(
            server
            for server in {**before, **self._found}
            if before.get(server) != self._found.get(server)
        )
        for server in changed:
            self.set_key(server, self._found.get(server, ""))
        return changed

    def next_deadline(self) -> float | None:
        """When a child's machine wants a tick, real monotonic seconds; None = never."""
        deadlines = [child.supervision.next_deadline() for child in self.children]
        return min((at for at in deadlines if at is not None), default=None)

    def tick(self) -> None:
        """Let each child see whether its deadline has come."""
        for child in self.children:
            child.tick()

    def watch(self) -> None:
        """Look for hung children, unless control itself was held up."""
        now = time.monotonic()
        held_up, self._watched_at = now - self._watched_at > STALLED_S, now
        if not held_up:
            for child in self.children:
                child.watch()

    def reap(self) -> None:
        """Take what has exited (SIGCHLD)."""
        for child in self.children:
            child.reap()

    @property
    def gone(self) -> bool:
        """Whether no process is left."""
        return all(child.supervision.state is State.STOPPED for child in self.children)

    def kill(self) -> None:
        """SIGKILL what is left."""
        for child in self.children:
            child.kill()

    def close(self) -> None:
        """Let go of the shared memory; the children are gone."""
        self._loop.remove_reader(self._inference_wire)
        self._near_wake.close()
        self.edge_wake.close()
        self._network_wire.close()
        self._inference_wire.close()

    def _child(
        self,
        owner: Owner,
        union: Any,
        greet: Callable[[], Iterable[Message]],
        on_message: Callable[[Any], None],
        wires: tuple[int, ...],
    ) -> Child[Any]:
        fds = {self.device_fd, *self._lane_fds.values(), *self._near_wake.fds, *wires}
        program = Program[Any](
            owner=owner,
            module=f"voiced.{owner.value}",
            union=union,
            environment=self.environment,
            pass_fds=tuple(sorted(fds | set(self.edge_wake.fds))),
            stale_s=ENGINE_STALE_S if owner in UNHURRIED else STALE_S,
        )
        exited = self._events.exited
        return Child(
            self._loop,
            program,
            self.device,
            greet,
            on_message,
            lambda sentence, asked: exited(owner, sentence, asked),
            self._events.changed,
        )

    def script_child(
        self,
        agent: str,
        stamps: Stamps,
        greet: Callable[[], Iterable[Message]],
        on_message: Callable[[FromScripts], None],
        on_exit: Callable[[str, bool], None],
    ) -> Child[Any]:
        """Return an agent's scripts process, not started yet.

        It inherits no descriptor but its channel's and no key: what a script does is its own.
        """
        program = Program[Any](
            owner=Owner.SCRIPTS,
            module="voiced.scripts",
            union=FromScripts,  # type: ignore[arg-type]
            environment=self.environment,
            pass_fds=(),
            title=f"{Owner.SCRIPTS.value} of {agent}",
            takes_along=True,
        )
        child = Child(self._loop, program, stamps, greet, on_message, on_exit, self._events.changed)
        self._scripts.append(child)
        return child

    def _attach(self, wire_fd: int = -1, providers_folder: str = "") -> Attach:
        return Attach(
            device_fd=self.device_fd,
            lanes=[LaneSeat(agent=name, fd=fd) for name, fd in self._lane_fds.items()],
            near_wake=self._near_wake.fds,
            edge_wake=self.edge_wake.fds,
            wire_fd=wire_fd,
            speed=self._config.speed,
            state_dir=str(self._state_dir),
            providers_folder=providers_folder,
        )

    def _greet_audio(self) -> Iterable[Message]:
        yield self._attach()
        opened = self._open_device(self._config, self._folder)
        wanted = max(self._inputs_wanted.values(), default=0)
        yield msgspec.structs.replace(opened, inputs_wanted=wanted)

    def _greet_network(self) -> Iterable[Message]:
        # The first catalogue is whole: a session that waits for a drop-in dials when it comes, and
        # its estimate starts from the operator's own prices.
        yield SetPrices(prices=self._config.prices)
        yield self._attach(self._network_wire.fileno(), self._config.providers_folder(self._folder))
        yield self._set_roots()
        for server, key in self._keys.items():
            if server != TOKEN:
                yield SetKey(server=server, key=key)

    def _greet_inference(self) -> Iterable[Message]:
        yield self._attach(self._inference_wire.fileno())
        self._events.inference_ready()

    def _greet_recorder(self) -> Iterable[Message]:
        yield self._attach()
        yield from self._events.recorder_greeting()

    def _greet_tools(self) -> Iterable[Message]:
        yield self._attach()
        yield from self._events.tools_greeting()

    def _greet_camera(self) -> Iterable[Message]:
        yield self._attach()
        yield from self._events.camera_greeting()

    def _from_inference(self, message: Hello) -> None:
        """Inference says nothing after Hello; its words go over the wire to network."""

    @staticmethod
    def _open_device(config: Config, folder: Path) -> OpenDevice:
        audio = config.audio
        blocks = audio.blocksize
        if not isinstance(blocks, Blocks):
            blocks = Blocks(input=blocks, output=blocks)
        virtual = None
        if audio.backend == "virtual":
            named = audio.virtual.input
            if isinstance(named, str):
                named = {agent.name: named for agent in config.agent} if named else {}
            virtual = VirtualCard(
                inputs={name: str(folder / wav) for name, wav in named.items() if wav},
                output=str(folder / audio.virtual.output) if audio.virtual.output else "",
                conversation=(
                    str(folder / audio.virtual.conversation) if audio.virtual.conversation else ""
                ),
            )
        return OpenDevice(
            backend=audio.backend,
            input=audio.input,
            output=audio.output,
            samplerate=audio.samplerate,
            input_block=blocks.input,
            output_block=blocks.output,
            missing=audio.missing,
            append_frames=audio.samplerate * APPEND_MS // 1000,
            lanes=[
                LaneChannels(
                    agent=agent.name, inputs=agent.input_channels, outputs=agent.output_channels
                )
                for agent in config.agent
            ],
            virtual=virtual,
        )
