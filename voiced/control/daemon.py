"""The daemon: doors, minds and hands on one loop with one timer, from its start to its end."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import signal
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from voiced import __version__
from voiced.control.alarm import Alarm
from voiced.control.books import Books
from voiced.control.config import LAST_GOOD, AgentConfig, Loaded
from voiced.control.config.values import unknown_pages
from voiced.control.config_tools import ConfigTools
from voiced.control.eyes import Eyes
from voiced.control.hands import Events, Hands
from voiced.control.in_force import InForce
from voiced.control.installs import Installs
from voiced.control.instance import RUN_FILE
from voiced.control.key_command import options_of
from voiced.control.keys import find_keys
from voiced.control.midi import MidiDoor
from voiced.control.midi_map import Aimed, MidiMap, resolver
from voiced.control.minds import Minds, Outside
from voiced.control.osc.door import OscDoor
from voiced.control.profiles import Folders
from voiced.control.recordings import SOURCE, Recordings
from voiced.control.reload import CONFIG, Reload
from voiced.control.reports import Reports
from voiced.control.rounds import Rounds
from voiced.control.scripts import Scripts
from voiced.control.sdnotify import Notify
from voiced.control.surface import DaemonSurface
from voiced.control.tool_servers import ToolServers
from voiced.control.visitors import Visitors
from voiced.errors import ConfigError, ExitCode
from voiced.lane.seam import Clock
from voiced.lane.words import Owner
from voiced.messages.audio import PlayFile
from voiced.messages.network import (
    Catalogue,
    NetworkTrouble,
    OpenLeg,
    SetKey,
    ToNetwork,
    Value,
)
from voiced.messages.secrets import Secrets
from voiced.mind import effects
from voiced.mind.agent import Agent, AgentSetup, Attempts
from voiced.mind.inputs import KeysFound, SetMute, Started, Stopping, Write
from voiced.mind.overlay import FOLDERS
from voiced.mind.parameters import PAR, PER_PROVIDER, Place
from voiced.parameters import ROWS, Refusal

log = logging.getLogger("voiced")

SESSIONS_END_S = 0.6
"""What sessions get to end in at SIGTERM."""
HANDS_END_S = 1.0
"""What the children get after that, before they are killed."""
_NO_DOOR = {
    errno.EADDRNOTAVAIL: "set osc.bind to an address that this machine has",
    errno.EACCES: "set an osc.port from 1024 on",
}
"""What mends a door that does not open; anything else is a port in use."""


class Daemon:
    """One running voiced.

    Args:
        loaded: the configuration.
        state_dir: locked by the caller.
        reread: reads the configuration anew; ConfigError where it cannot be used.
        secrets: what the log never shows; every key that is found or given is added.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        loaded: Loaded,
        state_dir: Path,
        environment: Mapping[str, str],
        notify: Notify,
        reread: Callable[[], Loaded],
        secrets: Secrets,
    ) -> None:
        self._loop, self._state_dir, self._notify = loop, state_dir, notify
        self._in_force = InForce(loaded, reread, state_dir)
        self._environment, self._secrets = environment, secrets
        self._stopped = self._learned = self._midi_left_out = False
        self._happened = asyncio.Event()
        self._clock = Clock(loaded.config.speed)
        self._alarm = Alarm(loop, self._due)
        self._ending: asyncio.Future[None] = loop.create_future()
        self._attempts = Attempts()
        self._books = Books(loop, state_dir, self._trouble)
        keys, key_problems = find_keys(state_dir, environment)
        self._hands = Hands(
            loop, loaded.config, loaded.folder, state_dir, keys, environment, secrets,
            Events(
                from_audio=lambda message: self._reports.from_audio(message),
                from_network=lambda message: self._reports.from_network(message),
                from_recorder=lambda message: self._recordings.take(message),
                recorder_greeting=lambda: self._recordings.greeting(),
                from_tools=lambda message: self._tool_servers.take(message),
                tools_greeting=lambda: self._tool_servers.greeting(),
                from_camera=lambda message: self._eyes.cameras.take(message),
                camera_greeting=lambda: self._eyes.cameras.greeting(),
                exited=self._exited,
                inference_ready=lambda: self._reports.inference_ready(),
                changed=self._arm,
                roots=self._in_force.roots,
            ),
        )  # fmt: skip
        self._recordings = Recordings(
            self._hands.recorder, self._hands.device, self._clock, self._books,
            lambda agent, path: self._door.said(f"/{agent}/audio/file", path),
            lambda agent, code, sentence: self._minds.put(
                agent, NetworkTrouble(source=SOURCE, code=code, sentence=sentence)
            ),
        )  # fmt: skip
        self._minds = Minds(
            {agent.name: self._agent(agent) for agent in loaded.config.agent},
            self._hands.lanes,
            self._clock,
            self._outside(),
        )
        self.surface = DaemonSurface(
            self._minds,
            self._hands,
            lambda: self._in_force.config,
            self._in_force.roots,
            self._books.state.muted,
            self._books.keep_mute,
            self._set_device,
        )
        self._folders = Folders(self._folders_of_files, self._minds.put)
        self._door = OscDoor(
            self.surface,
            loaded.config.osc,
            saved=self._books.state.subscriptions,
            keep=self._books.keep_subscriptions,
        )
        self._config_tools = ConfigTools(loop, self._door.send, self._minds.put)
        self._config_tools.configure(loaded.config)
        self._tool_servers = ToolServers(
            self._hands.tools, self._minds.put, environment, lambda: self._hands.keys
        )
        self._scripts = Scripts(
            self.surface, self._hands, self._minds.put,
            lambda agent: self._in_force.config.of(agent).callback_limit,
            lambda what: int(getattr(self._in_force.config.osc.rates, what)),
        )  # fmt: skip
        self._door.share_frames(self._scripts.frames)
        self._eyes = Eyes(self._hands, self._minds, self._send)
        self._installs = Installs(
            loop, self._hands.environment, lambda: self._in_force.config.install.allow,
            self._minds.put, self._fresh_engines,
        )  # fmt: skip
        self._minds.doors += [
            self._door, self._config_tools, self._tool_servers, self._scripts, self._eyes.pictures,
        ]  # fmt: skip
        self.surface.say = self._door.said
        self._midi = MidiDoor(
            self._from_midi,
            log.info,
            environment=self._hands.environment,
        )
        self._midi_running: asyncio.Task[None] | None = None
        self.surface.ports = self._midi.inputs
        self.surface.play = self._play_file
        self.surface.forget_kept = self._forget_kept
        self._reports = Reports(
            self._hands, self._minds, self._door, self._midi, Visitors(self._clock),
            lambda: self._in_force.config.audio.backend == "virtual", self._learn,
            options_of(loaded, state_dir, environment),
        )  # fmt: skip
        self._rounds = Rounds(
            self._hands, self._minds, self._books, self._in_force, self.surface, notify,
            lambda: (self._door.port, self._eyes.web.port), self._trace_folders,
            lambda: self._recordings.sessions,
        )  # fmt: skip
        self._books.allowance.configure(loaded.config.budget)
        self._start_problems = [
            *(("config", problem) for problem in loaded.broken),
            *(("keys", problem) for problem in key_problems),
            *(("state", problem) for problem in self._books.problems),
        ]

    # --- its life

    async def serve(self) -> ExitCode:
        """Open the doors, run until told to stop, close up."""
        loop = self._loop
        try:
            await self._door.start()
        except OSError as error:
            osc = self._in_force.config.osc
            log.error(
                "! osc %s:%d cannot be opened: %s; %s",
                osc.bind, osc.port, error.strerror or error,
                _NO_DOOR.get(error.errno or 0, "set another osc.port, or stop what uses it"),
            )  # fmt: skip
            self._close()
            return ExitCode.FAILED
        # Targets with an address in numbers are found in the door's first turn on the loop: what is
        # said from here on reaches them.
        await asyncio.sleep(0)
        await self._folders.start()
        if problem := await self._eyes.web.start(self._in_force.config.web):
            self._start_problems.append(("web", problem))
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop)
        loop.add_signal_handler(signal.SIGHUP, self.reload)
        loop.add_signal_handler(signal.SIGCHLD, self._hands.reap)
        loop.add_reader(self._hands.edge_wake.fd, self._reports.edges)
        self._start()
        try:
            await self._ending
        finally:
            await self._stop()
        return ExitCode.DONE

    def stop(self) -> None:
        """Have `serve` end."""
        if not self._ending.done():
            self._ending.set_result(None)

    def _start(self) -> None:
        left = sum(self._books.close_leftovers(folder) for folder in self._trace_folders())
        if left:
            log.info("= %d sessions had broken off; their traces are being written", left)
        self._hands.start()
        self._scripts.start()
        self._configure_midi()
        for name in self._minds.agents:
            self._midi.show_gate(name, False)  # a pedal's lamp may have been left lit
        self._midi_running = self._loop.create_task(self._midi.run(), name="midi")
        self._rounds.allow()
        self._minds.put_all(KeysFound(there=self._hands.key_servers))
        for agent in self._in_force.config.agent:
            self._minds.put(
                agent.name,
                Started(
                    connect=self._connects(agent),
                    muted=self.surface.muted(),
                    resume_within_s=agent.resume_within if agent.on_start == "last" else 0.0,
                ),
            )
        for source, sentence in self._start_problems:
            self._trouble(source, sentence)
        self._tool_servers.configure(self._in_force.config, self._in_force.folder)
        self._eyes.cameras.configure(self._in_force.config.cameras, self._in_force.folder)
        self._due()
        self._notify.ready(self._rounds.status)
        self._door.said("/voiced/startup", __version__)
        log.info(
            "= voiced %s runs, configuration %s, osc %s:%d",
            __version__,
            self._in_force.loaded.origin,
            self._in_force.config.osc.bind,
            self._door.port,
        )

    async def _stop(self) -> None:
        """Sessions, then children, then the disk, each with its deadline."""
        log.info("= stops")
        self._notify.stopping("stops")
        self._door.said("/voiced/shutdown", "voiced was told to stop")
        self._reports.stopping = True
        self._minds.put_all(Stopping())
        await self._until(
            lambda: not (self._minds.in_session or self._minds.holding), SESSIONS_END_S
        )
        self._scripts.finish()
        self._hands.stop()
        await self._until(lambda: self._hands.gone, HANDS_END_S)
        self._hands.kill()
        await self._until(lambda: self._hands.gone, HANDS_END_S)
        await self._folders.close()
        await self._installs.close()
        if self._midi_running is not None:
            self._midi_running.cancel()
            await asyncio.gather(self._midi_running, return_exceptions=True)
        await self._door.close()
        await self._eyes.web.close()
        self._close()

    async def _until(self, reached: Callable[[], bool], seconds: float) -> None:
        """Wait for a state that some event leads to, at most so long."""
        deadline = self._loop.time() + seconds
        while not reached() and (left := deadline - self._loop.time()) > 0:
            self._happened.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(left):
                    await self._happened.wait()

    def _close(self) -> None:
        self._alarm.cancel()
        self._stopped = True
        self._loop.remove_reader(self._hands.edge_wake.fd)
        self._hands.close()
        if not self._books.close():
            log.error("! the last lines could not be written in time")
        (self._state_dir / RUN_FILE).unlink(missing_ok=True)
        self._notify.close()

    # --- the one timer

    def _arm(self) -> None:
        """Set the timer to the first deadline of all; tell whoever waits for a state."""
        self._happened.set()
        if self._stopped:
            return
        due = self._rounds.due
        agents = self._minds.next_deadline_ns()
        if agents is not None:
            left = self._clock.real_s((agents - self._clock.mono_ns()) / 1e9)
            due = min(due, self._loop.time() + left)
        children = self._hands.next_deadline()
        if children is not None:
            due = min(due, children)
        self._alarm.set(due)

    def _due(self) -> None:
        """Do what the deadlines ask for."""
        self._rounds.go(self._loop.time())
        try:
            self._hands.tick()
            self._minds.tick()
        finally:
            # Whatever went wrong in a mind: the stamps, and so the hands, go on.
            self._arm()

    def _trace_folders(self) -> list[Path]:
        """Return every folder that traces are, or ever were, written into."""
        pairs = ((self._trace_folder(n), self._books.folder(n)) for n in self._minds.agents)
        present = (folder for pair in pairs for folder in pair)
        return list(dict.fromkeys([*present, *self._books.folders()]))

    # --- from the hands and the pedals

    def _exited(self, owner: Owner, sentence: str, asked: bool) -> None:
        if owner is Owner.RECORDER and not (asked or self._reports.stopping):
            self._recordings.exited(sentence)
        if owner is Owner.TOOLS and not self._reports.stopping:
            self._tool_servers.exited(sentence, asked)
        if owner is Owner.CAMERA and not (asked or self._reports.stopping):
            self._eyes.cameras.exited(sentence)
        self._reports.exited(owner, sentence, asked)

    def _learn(self, catalogue: Catalogue) -> None:
        """Judge, once, what the configuration says of providers, now that there are any."""
        if self._learned:
            return
        self._learned = True
        for sentence in unknown_pages(self._in_force.config, catalogue):
            self._trouble("config", sentence)
        if self._midi_left_out:
            self._configure_midi(again=True)

    def _from_midi(self, aimed: Aimed) -> None:
        if isinstance(aimed.input, SetMute):
            self.surface.mute(aimed.input.on)
        elif aimed.agent == "*":
            self._minds.put_all(aimed.input)
        else:
            self._minds.put(aimed.agent, aimed.input)

    def _configure_midi(self, *, again: bool = False) -> None:
        resolve = resolver(self.surface.agents(), self.surface.row, self.surface.options)
        midi_map = MidiMap(self._in_force.config.midi.bind, resolve, self._reading)
        self._midi_left_out = bool(midi_map.problems)
        self._midi.configure(midi_map, again=again)

    def _reading(self, agent: str, page: str, name: str) -> Value:
        """Return what a toggle flips."""
        if page == "voiced":
            return self.surface.muted()
        return self.surface.value(self.surface.agents()[0] if agent == "*" else agent, page, name)

    # --- from the minds

    def _outside(self) -> Outside:
        books = self._books
        return Outside(
            send=self._send,
            warm_up=self._warm_up,
            stop_hands=self._hands.stop,
            inputs=self._hands.want_inputs,
            keep=lambda agent, keep: books.keep(agent, keep, self._configured(agent, keep)),
            journal=lambda agent, line: books.journal(self._trace_folder(agent), line),
            close_trace=books.close_trace,
            recall=lambda agent, past: books.recall(
                agent, self._trace_folder(agent), past, lambda found: self._minds.put(agent, found)
            ),
            forget=self._forget_session,
            scan=lambda agent, effect: self._folders.scan(agent, effect.what, asked=effect.asked),
            record=lambda agent, effect: self._recordings.perform(
                agent, effect, books.folder_of(effect.session_id, self._trace_folder(agent))
            ),
            install=lambda agent, wanted: self._installs.install(agent, wanted),
            spend=books.spend,
            changed=self._arm,
            hide=self._secrets.hide,
        )

    def _forget_session(self, agent: str, effect: effects.ForgetSession) -> None:
        erased = self._recordings.drop(agent, effect.session_id)
        self._books.forget(self._trace_folder(agent), effect, recordings=not erased)

    def _send(self, message: ToNetwork) -> None:
        if isinstance(message, SetKey):
            self._hands.set_key(message.server, message.key)
        else:
            self._hands.network.send(message)
        if isinstance(message, OpenLeg):
            self._eyes.pictures.opened(message)

    def _fresh_engines(self) -> None:
        """Packages were installed: the engines' process looks for its own when it starts."""
        if self._hands.inference.running and not self._minds.in_session:
            self._hands.inference.restart()

    def _warm_up(self) -> None:
        """Initialize: fresh hands; the provider in use is warmed up once network is back."""
        self._hands.restart()
        self._tool_servers.restart()
        self._scripts.restart()

    def _configured(self, agent: str, keep: effects.Keep) -> Value | None:
        return self._in_force.first_values(agent).get((keep.page, keep.name))

    def _agent(self, agent: AgentConfig) -> Agent:
        config = self._in_force.first_values(agent.name)
        return Agent(
            AgentSetup(
                name=agent.name,
                attempts=self._attempts,
                tools=agent.tools(),
                values=config,
                kept=self._books.kept(agent.name, config),
                trace_dir=str(self._books.folder(agent.name)),
            )
        )

    def _trace_folder(self, agent: str) -> Path:
        named = str(self._minds.agents[agent].value("par", "Sessiontracedir"))
        return self._books.folder(agent, named)

    def _folders_of_files(self) -> Iterable[tuple[str, str, str]]:
        """Yield every agent's folders of profiles and skills."""
        for name, agent in self._minds.agents.items():
            for what, parameter in FOLDERS.items():
                yield name, what, str(agent.value("par", parameter))

    def _connects(self, agent: AgentConfig) -> bool:
        match agent.on_start:
            case "connect":
                return True
            case "last":
                return bool(self._books.was_active(agent.name))
            case "wait":
                return False

    # --- for the doors

    def _set_device(self, direction: str, name: str | None) -> str | Refusal:
        audio = self._in_force.config.audio
        if name is None:
            return audio.input if direction == "input" else audio.output
        if self._minds.in_session:
            return Refusal(
                "busy", "the device pair can be changed while no session is open; Disconnect first"
            )
        self._in_force.choose_device(direction, name)
        self._hands.reconfigure(self._in_force.config, self._in_force.folder)
        return name

    def _play_file(self, agent: str, path: str) -> Refusal | None:
        if self._in_force.config.audio.backend != "virtual":
            return Refusal("no_effect", 'files are played on audio.backend = "virtual" only')
        if not self._hands.audio.send(PlayFile(agent=agent, path=path)):
            return Refusal("no_effect", "the audio process is not running now; try again")
        return None

    def _trouble(self, source: str, sentence: str) -> None:
        """Tell trouble that belongs to no session."""
        log.error("! %s", sentence)
        if not self._stopped:
            self._minds.put_all(NetworkTrouble(source=source, code=source, sentence=sentence))

    def _forget_kept(self, agent: str, page: str, name: str) -> None:
        """Let the configuration's value count again; without one, the row's default."""
        row = self.surface.row(agent, page, name)
        if row is None:
            return
        first = self._in_force.first_values(agent)
        if page == PAR and name in PER_PROVIDER:
            self._forget_of_providers(agent, name, first)
            return
        value = first.get((page, name), row.default)
        self._minds.put(agent, Write(name=name, value=value, origin=CONFIG, page=page))
        self._books.forget_value(agent, page, name)

    def _forget_of_providers(self, agent: str, name: str, first: Mapping[Place, Value]) -> None:
        """Forget a Model or Voice: one is kept for each provider, and none may come back."""
        configured = first.get((PAR, "Provider"), ROWS["Provider"].default)
        chosen = str(self.surface.value(agent, PAR, "Provider"))
        for provider in {chosen, *self._books.state.providers(agent, name)}:
            shared = first.get((PAR, name), "") if provider == configured else ""
            value = first.get((provider, name), shared)
            page = PAR if provider == chosen else provider
            self._minds.put(agent, Write(name=name, value=value, origin=CONFIG, page=page))
            self._books.forget_value(agent, provider, name)

    # --- reload

    def reload(self) -> None:
        """SIGHUP: read keys and configuration again; a broken one changes nothing."""
        self._notify.reloading(time.monotonic_ns() // 1000)
        self._find_keys()
        try:
            fresh, wanted = self._in_force.read_again()
        except ConfigError as error:
            for problem in error.problems:
                self._trouble("config", problem)
            self._notify.ready("a reload was refused: the configuration is broken")
            return
        self._books.replace(LAST_GOOD, fresh.text.encode())
        self._follow(wanted)
        self._notify.ready(self.surface.sentence())

    def _find_keys(self) -> None:
        found, problems = find_keys(self._state_dir, self._environment)
        for problem in problems:
            self._trouble("keys", problem)
        if changed := self._hands.find_keys_again(found):
            log.info("= keys changed: %s", ", ".join(changed))
            there = frozenset(key.server for key in found)
            self._minds.put_all(KeysFound(there=there, gone=frozenset(changed) - there))

    def _follow(self, wanted: Reload) -> None:
        """Do what a configuration that was read again asks for."""
        folder = self._in_force.folder
        if wanted.audio or wanted.prices:
            self._hands.reconfigure(wanted.config, folder)
        self._rounds.expire_next()  # retention_days may have changed
        if wanted.osc:
            self._door.reload(wanted.config.osc)
        if wanted.midi:
            self._configure_midi()
        self._config_tools.configure(wanted.config)
        self._tool_servers.configure(wanted.config, folder)
        self._eyes.cameras.configure(wanted.config.cameras, folder)
        self._hands.tell_roots()
        self._books.allowance.configure(wanted.config.budget)
        for agent, write in wanted.writes:
            self._minds.put(agent, write)
        log.info("= reloaded, changed: %s", ", ".join(wanted.changed) or "nothing")
        if wanted.restart:
            log.warning("! counts from the next start on: %s", ", ".join(wanted.restart))
