"""The mind of one agent: one input in, the effects it has out. No clock, no chance, no I/O."""

from __future__ import annotations

from collections.abc import Mapping
from typing import assert_never

from voiced.messages.network import LegMessage, NetworkTrouble, ReplaySounds, Value
from voiced.messages.network import WarmUp as WarmUpProvider
from voiced.mind import (
    commands,
    couplings,
    events,
    inputs,
    machine,
    overlay,
    readouts,
    sight,
    toolbox,
    tools,
)
from voiced.mind.effects import AgentEffect, Callback, Row, SignalNow
from voiced.mind.inputs import AgentInput, Instant, Origin
from voiced.mind.session import Attempts, Lifecycle, Trigger
from voiced.mind.state import AgentSetup, AgentState
from voiced.parameters import Row as ParameterRow

__all__ = ["Agent", "AgentSetup", "Attempts"]


class Agent:
    """One agent: its parameters, its session, its transcript, its meter.

    Args:
        setup: its name, its first values, the attempts it shares with the other agents.
    """

    def __init__(self, setup: AgentSetup) -> None:
        self._state = AgentState(setup)

    # --- the whole of it

    def handle(self, event: AgentInput, instant: Instant) -> list[AgentEffect]:
        """Take one input and return what it has for effects, to be performed in this order.

        The caller must then ask `next_deadline` and come back with a `Tick` at that time. Instants
        never go back by `mono_ns`.
        """
        s = self._state
        if isinstance(event, inputs.NearAt):
            s.hands.near_frame = event.frame  # Many times a second, and nothing follows from it.
            return []
        s.now, s.out = instant, []
        s.restyle()
        _take(s, event)
        couplings.settle(s)
        readouts.publish(s)
        if s.parameters.flag("Printcallbacks"):
            # Names only: visitors' words do not go into the log.
            for effect in tuple(s.out):
                if isinstance(effect, Callback):
                    s.log("info", f"> {effect.name}")
        out, s.out = s.out, []
        return out

    def next_deadline(self) -> int | None:
        """Return the `mono_ns` at which a `Tick` must come, None while nothing is due."""
        return min(couplings.deadlines(self._state), default=None)

    # --- reading it

    @property
    def name(self) -> str:
        """The agent's name: its OSC root."""
        return self._state.name

    @property
    def lifecycle(self) -> Lifecycle:
        """Where its session is."""
        return self._state.lifecycle

    @property
    def sessionstate(self) -> str:
        """One of operator.txt's six words."""
        return self._state.label

    @property
    def enginestatus(self) -> str:
        """A word of surface.md, and a sentence behind a colon where there is something to say."""
        return readouts.enginestatus(self._state)

    @property
    def stopped(self) -> bool:
        """Whether Shutdown has stopped the hands; until Initialize."""
        return self._state.hands.stopped

    @property
    def session_id(self) -> str:
        """The running session's id, else the last one's; "" before the first."""
        return str(self._state.parameters.value("par", "Sessionid"))

    @property
    def pending_usd(self) -> float:
        """What the running response costs, and is not booked yet."""
        return self._state.cost.pending

    @property
    def rows(self) -> list[Row]:
        """The conversation's table, oldest row first."""
        return self._state.transcript.rows

    @property
    def tools(self) -> list[toolbox.ShownTool]:
        """Every tool that was declared, with the mode in force."""
        return toolbox.shown(self._state.toolbox, self._state.parameters)

    def seeing(self) -> sight.Sight:
        """Return who would see a picture now, and what gives it."""
        return sight.of(self._state)

    def value(self, page: str, name: str) -> Value:
        """Return a stored value; of a secret 1 or 0, whether there is one.

        Raises:
            KeyError: there is no such parameter, or it is a pulse.
        """
        return self._state.parameters.value(page, name)

    def row(self, page: str, name: str) -> ParameterRow | None:
        """Return the row of a parameter, None if there is no such."""
        return self._state.parameters.row(page, name)

    def options(self, page: str, name: str) -> tuple[str, ...]:
        """Return what a menu offers now."""
        return self._state.parameters.options(page, name)

    def pages(self) -> Mapping[str, Mapping[str, ParameterRow]]:
        """Return the providers' own pages: provider -> name -> row."""
        return self._state.parameters.pages()

    def signals(self, instant: Instant) -> dict[str, float]:
        """Return every channel of /sig that the mind knows."""
        return readouts.signals(self._state, instant.mono_ns)


def _take(s: AgentState, event: AgentInput) -> None:  # noqa: C901 - one line a kind
    match event:
        case inputs.Write():
            commands.write(s, event)
        case inputs.Press():
            commands.press(s, event)
        case inputs.HolderGone():
            commands.holder_gone(s, event)
        case inputs.SetMute():
            commands.mute(s, event)
        case inputs.SayText():
            commands.say(s, event)
        case inputs.NoteText():
            commands.note(s, event)
        case inputs.RegisterTool():
            tools.register(s, event)
        case inputs.UnregisterTool():
            tools.unregister(s, event)
        case inputs.SetTools():
            tools.configure(s, event)
        case inputs.ToolAnswer():
            tools.answered(s, event)
        case inputs.ToolProgress():
            tools.progress(s, event)
        case inputs.DecideTool():
            tools.decide(s, event)
        case inputs.ExecutorGone():
            tools.executor_gone(s, event)
        case inputs.Started():
            _started(s, event)
        case inputs.SetAllowance():
            s.allowance = event
        case inputs.KeysFound(there=there, gone=gone):
            s.parameters.keys |= there
            s.parameters.keys -= gone
        case inputs.InstallTold():
            commands.install_told(s, event)
        case inputs.FilesFound():
            overlay.found(s, event)
        case inputs.Recalled():
            machine.recalled(s, event)
        case inputs.Stopping():
            _stopping(s)
        case inputs.NetworkReady():
            _network_ready(s, event)
        case inputs.NetworkLost():
            _network_lost(s, event)
        case inputs.InferenceLost():
            _inference_lost(s, event)
        case inputs.InferenceReady():
            s.hands.inference_lost = ""
        case inputs.AudioReady():
            _audio_ready(s, event)
        case inputs.AudioAbsent():
            _audio_absent(s, event)
        case inputs.AudioLost():
            _audio_lost(s, event)
        case inputs.GateMoved():
            _gate_moved(s, event)
        case inputs.NearAt() | inputs.Tick():
            pass  # Time alone: `couplings` look at it.
        case NetworkTrouble():
            s.error(event.source, event.code, event.sentence)
        case ReplaySounds(on=on):
            s.replaying = s.replay_sounds = on
        case LegMessage():
            events.take(s, event)
        case _:
            assert_never(event)


def _started(s: AgentState, event: inputs.Started) -> None:
    s.muted = event.muted
    s.provider_told = s.parameters.provider
    if event.connect:
        s.resume_within_s = event.resume_within_s
        commands.connect(s, Origin(kind="state"), "Connect")
    else:
        s.wish(False, Origin(kind="state"))


def _stopping(s: AgentState) -> None:
    """End cleanly; Active stays as it is, so that the piece goes on after a restart."""
    s.stopping, s.remembered = True, False
    if s.lifecycle is Lifecycle.ENDING and s.session is not None:
        s.session.end_by = min(s.session.end_by, s.after(machine.STOP_S))
    elif s.lifecycle is not Lifecycle.DISCONNECTED:
        machine.end(s, Trigger.DISCONNECT, "shutdown", cut=True)


def _network_ready(s: AgentState, event: inputs.NetworkReady) -> None:
    s.parameters.take_catalogue(event.catalogue)
    overlay.learned(s)
    if not s.hands.network_up:
        s.hands.network_up, s.hands.network_lost = True, ""
        if s.hands.warm_owed:
            s.hands.warm_owed = False
            s.send(WarmUpProvider(provider=s.parameters.provider))


def _network_lost(s: AgentState, event: inputs.NetworkLost) -> None:
    """Every leg is gone with it; the session is not."""
    told = event.asked or bool(s.hands.network_lost) or s.hands.stopped or s.stopping
    s.hands.network_up, s.replayable = False, False
    s.replaying = s.replay_sounds = False
    # One that was asked to go and does come back is starting, nothing worse.
    s.hands.network_lost = "" if event.asked else event.sentence or "it ended"
    if not told:
        s.error("network", "lost", s.hands.network_lost)
    session = s.session
    if not s.leg_alive or session is None:
        return
    match s.lifecycle:
        case Lifecycle.OPEN:
            machine.exchange(s, session, Trigger.NETWORK_LOST, "lost", "the network process ended")
        case Lifecycle.ENDING:
            s.fire(Trigger.NETWORK_LOST)
            s.leg_alive = False
            machine.over(s)
        case _:
            machine.unreachable(s, Trigger.NETWORK_LOST, "lost", s.hands.network_lost)


def _inference_lost(s: AgentState, event: inputs.InferenceLost) -> None:
    told = bool(s.hands.inference_lost) or s.hands.stopped or s.stopping
    s.hands.inference_lost = event.sentence or "it ended"
    if not told:
        s.error("inference", "lost", s.hands.inference_lost)


def _audio_ready(s: AgentState, event: inputs.AudioReady) -> None:
    s.hands.audio, s.hands.audio_sentence = "ready", ""
    s.hands.samplerate, s.hands.echo_free = event.samplerate, event.echo_free
    s.log("info", f"< audio {event.device} at {event.samplerate} Hz")
    absent = [n for n in sorted(readouts.channels(s.parameters.text("Micin"))) if n > event.inputs]
    if absent and event.inputs:
        s.error(
            "audio", "channels",
            f"Micin names channel {absent[0]}, but {event.device} gives {event.inputs}: those that "
            "it has are heard, or without any the configuration's",
        )  # fmt: skip


def _audio_absent(s: AgentState, event: inputs.AudioAbsent) -> None:
    if s.hands.audio in ("starting", "ready"):
        s.error("audio", "no_device", event.sentence)
    s.hands.audio, s.hands.audio_sentence = "absent", event.sentence


def _audio_lost(s: AgentState, event: inputs.AudioLost) -> None:
    if s.hands.audio in ("starting", "ready") and not (s.hands.stopped or s.stopping):
        s.error("audio", "lost", event.sentence)
    if s.hands.audio != "absent":
        s.hands.audio, s.hands.audio_sentence = "lost", event.sentence or "it ended"


def _gate_moved(s: AgentState, event: inputs.GateMoved) -> None:
    before = readouts.mic_open(s)
    s.hands.mic_open = event.open
    s.hands.near_frame = max(s.hands.near_frame, event.frame)
    if readouts.mic_open(s) != before:
        s.emit(SignalNow(channels=("mic_open",)))
