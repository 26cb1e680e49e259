"""The MIDI door: what the midi process hears, and what its pedals are shown.

What a message means is `midi_map`'s; the ports are `voiced.midi`'s, a program of its own that
control starts when there are bindings, and again whenever it ends.

No MIDI is a state with a sentence, never an error: `MidiDoor.status`.
"""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping
from typing import Final

from voiced.control.channel import Channel
from voiced.control.midi_map import Aimed, MidiMap, port_name, read_message
from voiced.messages.framing import Hello, Shutdown
from voiced.messages.midi import FromMidi, ListenTo, MidiReceived, PortNames, SendMidi

RESTART_S: Final = 1.0
SILENT_S: Final = 5.0
"""Its port names come once a second; without them for so long it hangs."""
_STOP_S: Final = 1.0


class MidiDoor:
    """Listens to every port that a binding means, and lights the lamps of their pedals.

    Args:
        deliver: takes each input for a mind, in the event loop's thread.
        told: takes a line for the log, whenever the state of MIDI changes.
        environment: the midi process's; it must hold no key. None = this process's own.
        backend: "" = what the machine has; tests say "UNIX_JACK".
    """

    def __init__(
        self,
        deliver: Callable[[Aimed], None],
        told: Callable[[str], None],
        *,
        environment: Mapping[str, str] | None = None,
        backend: str = "",
    ) -> None:
        self._deliver, self._told = deliver, told
        self._environment = dict(os.environ if environment is None else environment)
        self._backend = backend
        self._map: MidiMap | None = None
        self._channel: Channel[FromMidi] | None = None
        self._names = PortNames(inputs=(), outputs=(), listening=())
        self._wanted: tuple[str, ...] = ()
        self._gates: dict[str, bool] = {}
        self._heard = asyncio.Event()
        self._ended = asyncio.Event()
        self._configured = asyncio.Event()
        self.pid = 0
        """The midi process; 0 = there is none."""
        self.status = "no MIDI bindings"
        """How MIDI is, as a sentence."""

    def inputs(self) -> tuple[str, ...]:
        """Return the input ports there are; without bindings, the first question starts looking."""
        self._configured.set()
        return self._names.inputs

    def configure(self, midi_map: MidiMap, *, again: bool = False) -> None:
        """Put these bindings in force; what the former ones held is let go.

        Args:
            midi_map: the bindings.
            again: they are the same ones, looked up anew: what was told of them is not repeated.
        """
        told: list[str] = []
        if self._map is not None:
            self._hand_on(self._map.release_all())
            told = self._map.problems if again else []
        self._map = midi_map
        for problem in midi_map.problems:
            if problem not in told:
                self._told(f"! {problem}")
        if not midi_map.empty:
            self._configured.set()
        self._ask()

    def show_gate(self, agent: str, is_open: bool) -> None:
        """Show an agent's real gate on the pedals that are bound to its Talk."""
        self._gates[agent] = is_open
        self._light(self._names.outputs, agent)

    async def run(self) -> None:
        """Keep a midi process running until cancelled, from the first binding on."""
        await self._configured.wait()
        while True:
            process = self._spawn()
            try:
                await self._watch()
            finally:
                self._forget()
                await _end(process)
                self.pid = 0
            await asyncio.sleep(RESTART_S)

    # The process.

    def _spawn(self) -> subprocess.Popen[bytes]:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        with theirs:
            command = [sys.executable, "-m", "voiced.midi", "--control-fd", str(theirs.fileno())]
            process = subprocess.Popen(
                [*command, "--backend", self._backend],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=(theirs.fileno(),),
                env=self._environment,
                start_new_session=True,
            )
        self.pid = process.pid
        self._ended.clear()
        self._channel = Channel(
            asyncio.get_running_loop(),
            ours,
            FromMidi,  # type: ignore[arg-type]
            self._received,
            lambda sentence: self._over(f"the midi process broke its protocol: {sentence}"),
            lambda: self._over(""),
        )
        self._channel.send(Hello(pid=os.getpid()))
        return process

    async def _watch(self) -> None:
        """Return when the process is of no more use: it ended, or it hangs."""
        ended = asyncio.create_task(self._ended.wait())
        try:
            while not self._ended.is_set():
                self._heard.clear()
                heard = asyncio.create_task(self._heard.wait())
                try:
                    done, _ = await asyncio.wait(
                        {ended, heard}, timeout=SILENT_S, return_when=asyncio.FIRST_COMPLETED
                    )
                finally:
                    heard.cancel()
                if not done:
                    self._say("no MIDI: the system's MIDI service does not answer")
                    return
        finally:
            ended.cancel()

    def _over(self, sentence: str) -> None:
        if sentence:
            self._told(f"! {sentence}")
        self._ended.set()

    def _forget(self) -> None:
        """Let go of everything: whoever held a pedal has no way to tell any more."""
        if self._channel is not None:
            self._channel.send(Shutdown())
            self._channel.close()
            self._channel = None
        self._take(PortNames(inputs=(), outputs=(), listening=()))
        self._wanted = ()

    # What it says.

    def _received(self, message: FromMidi) -> None:
        match message:
            case Hello():
                pass
            case PortNames():
                self._heard.set()
                self._take(message)
                self._ask()
            case MidiReceived(input=port, message=body):
                heard = read_message(body)
                if self._map is not None and heard is not None:
                    self._hand_on(self._map.feed(port, heard))
                    while self._map.refusals:
                        self._told(f"! {self._map.refusals.pop(0)}")

    def _take(self, names: PortNames) -> None:
        before, self._names = self._names, names
        for port in before.listening:
            if port not in names.listening:
                self._told(f"! midi port lost: {port_name(port)}")
                if self._map is not None:
                    self._hand_on(self._map.port_lost(port))
        came = set(names.outputs) - set(before.outputs)
        self._light(tuple(port for port in names.outputs if port in came))
        if names.sentence:
            self._say(names.sentence)
        elif names.listening:
            self._say(f"listening to {', '.join(sorted(map(port_name, names.listening)))}")
        elif self._channel is not None:
            self._say("no MIDI port that a binding means is there")

    def _ask(self) -> None:
        if self._channel is None or self._map is None:
            return
        wanted = tuple(port for port in self._names.inputs if self._map.wants(port))
        if wanted != self._wanted:
            self._wanted = wanted
            self._channel.send(ListenTo(inputs=wanted))

    def _hand_on(self, aimed: list[Aimed]) -> None:
        for one in aimed:
            self._deliver(one)

    def _light(self, outputs: tuple[str, ...], only: str = "") -> None:
        if self._map is None or self._channel is None:
            return
        for agent, is_open in self._gates.items():
            if only in ("", agent):
                for port, lamp in self._map.lamps(agent, is_open, outputs):
                    self._channel.send(SendMidi(output=port, message=bytes(lamp.bytes())))

    def _say(self, status: str) -> None:
        if status != self.status:
            self.status = status
            self._told(f"= midi: {status}")


async def _end(process: subprocess.Popen[bytes]) -> None:
    """Wait for a process whose channel is closed, or kill it."""
    try:
        await asyncio.to_thread(process.wait, _STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        await asyncio.to_thread(process.wait)
