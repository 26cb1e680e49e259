"""What the operator wants: pulses, writes, text. A useless command is refused with a sentence."""

from __future__ import annotations

from collections.abc import Callable

from voiced.messages import network as wire
from voiced.messages.network import Value
from voiced.mind import budget, machine, overlay, tools, watch
from voiced.mind.effects import ForgetSession, Install, RowsCleared, Told, WarmUp
from voiced.mind.gate import guards
from voiced.mind.inputs import (
    HolderGone,
    InstallTold,
    NoteText,
    Origin,
    Press,
    SayText,
    SetMute,
    Write,
)
from voiced.mind.parameters import FOR_LEG, PAR, PER_PROVIDER
from voiced.mind.session import Lifecycle, Trigger
from voiced.mind.state import AgentState
from voiced.parameters import Access, Applies, Row

Pulse = Callable[[AgentState, Press], None]

MS_FRAMES = 1000


# --- pulses


def press(s: AgentState, command: Press) -> None:
    """Fire a pulse."""
    row = s.parameters.row(PAR, command.name)
    pulse = _PULSES.get(command.name)
    if pulse is not None:
        pulse(s, command)
    elif row is not None and row.access is Access.PULSE:
        s.refuse(command.origin, command.name, "later", row.later or "this does nothing yet")
    else:
        s.refuse(
            command.origin, command.name, "unknown_address", f"there is no pulse {command.name}"
        )


def _connect(s: AgentState, command: Press) -> None:
    connect(s, command.origin, command.name)


def connect(s: AgentState, origin: Origin, name: str, press_frame: int = -1) -> None:
    """Connect: begin a session, or re-arm, or remember it while one is ending."""
    if s.stopping or s.hands.stopped:
        why = "voiced is stopping" if s.stopping else "the engine is stopped: pulse Initialize"
        s.refuse(origin, name, "no_effect", why)
        return
    changed = s.wish(True, origin)
    match s.lifecycle:
        case Lifecycle.DISCONNECTED:
            machine.connect(s, press_frame)
        case Lifecycle.ENDING if not s.remembered:
            s.remembered = True
        case _ if s.session is not None and s.session.disarmed:
            s.session.disarmed = False
        case _ if not changed:
            s.refuse(origin, name, "no_effect", f"there is a session already: it is {s.label}")


def _disconnect(s: AgentState, command: Press) -> None:
    changed = s.wish(False, command.origin)
    if s.lifecycle is Lifecycle.ENDING and s.remembered:
        s.remembered = False
    elif s.lifecycle in (Lifecycle.DISCONNECTED, Lifecycle.ENDING):
        if not changed:
            s.refuse(command.origin, command.name, "no_effect", f"the session is {s.label}")
    else:
        machine.end(s, Trigger.DISCONNECT, "disconnect", cut=True)


def _restart(s: AgentState, command: Press) -> None:
    if s.lifecycle in (Lifecycle.DISCONNECTED, Lifecycle.ENDING):
        connect(s, command.origin, command.name)
        return
    machine.end(s, Trigger.DISCONNECT, "restart", cut=True)
    s.remembered = True


def _stop(s: AgentState, command: Press) -> None:
    if not _sounds(s):
        s.refuse(command.origin, command.name, "no_effect", "nothing sounds")
        return
    machine.interrupt(s)


def _sounds(s: AgentState) -> bool:
    """Whether a reply sounds, or is held."""
    return s.reply.busy or s.paused or s.replaying


def _pause(s: AgentState, command: Press) -> None:
    if s.paused:
        s.refuse(command.origin, command.name, "no_effect", "the voice is paused already")
    elif s.lifecycle is Lifecycle.DISCONNECTED and not _sounds(s):
        s.refuse(command.origin, command.name, "no_effect", "nothing sounds")
    else:
        s.paused = True


def _play(s: AgentState, command: Press) -> None:
    if not s.paused:
        s.refuse(command.origin, command.name, "no_effect", "the voice is not paused")
    s.paused = False
    watch.paused(s)


def _replay(s: AgentState, command: Press) -> None:
    if not s.replayable:
        s.refuse(command.origin, command.name, "no_effect", "there is no complete reply to replay")
    elif s.reply.busy:
        s.refuse(command.origin, command.name, "busy", "a reply sounds; Stop it, or wait")
    else:
        s.replaying = True
        s.send(wire.Replay(agent=s.name))


def _reset_playback(s: AgentState, command: Press) -> None:
    if not (_sounds(s) or s.replayable):
        sentence = "nothing sounds, and there is no reply to forget"
        s.refuse(command.origin, command.name, "no_effect", sentence)
        return
    machine.interrupt(s)
    s.replayable = False
    if s.hands.network_up:
        s.send(wire.ForgetReply(agent=s.name))


def _send_text(s: AgentState, command: Press) -> None:
    if command.text is not None:
        s.store("Inputtext", command.text, command.origin, keep=False)
    text = s.parameters.text("Inputtext")
    if not text.strip():
        s.refuse(command.origin, command.name, "no_effect", "Inputtext is empty: nothing was sent")
        return
    match s.lifecycle:
        case Lifecycle.OPEN if s.session is not None and s.session.closing:
            _no_session(s, command.origin, command.name, "it is saying goodbye; Connect afterwards")
        case Lifecycle.OPEN:
            held = budget.holds_text(s)
            s.emit(*s.transcript.typed(s.leg, text, s.now, unsent=held))
            if held or not budget.pays_for_text(s):
                return
            s.send(wire.SendText(agent=s.name, leg=s.leg, text=text))
            watch.text_sent(s)
            s.waiting = True
        case Lifecycle.REFRESHING:
            s.emit(*s.transcript.typed(s.leg, text, s.now, unsent=True))
        case Lifecycle.CONNECTING:
            _no_session(s, command.origin, command.name, "wait until Sessionstate is active")
        case _:
            _no_session(s, command.origin, command.name, "pulse Connect first")


def _no_session(s: AgentState, origin: Origin, name: str, remedy: str) -> None:
    s.refuse(
        origin, name, "no_effect",
        f"the session is {s.label}: {remedy}, then send again; nothing was sent",
    )  # fmt: skip


def _reset_cost(s: AgentState, command: Press) -> None:
    s.cost.reset_readouts()


def _scan_providers(s: AgentState, command: Press) -> None:
    if s.hands.network_up:
        s.send(wire.ScanProviders(folder=s.parameters.text("Providersfolder")))
    else:
        s.refuse(command.origin, command.name, "busy", "the network process is starting; try again")


def _install(s: AgentState, command: Press) -> None:
    provider = s.parameters.provider
    card = s.parameters.card(provider)
    if card is None:
        s.refuse(command.origin, command.name, "busy", "the network process is starting; try again")
    elif not card.missing:
        s.refuse(command.origin, command.name, "no_effect", f"{provider} lacks no packages")
    else:
        s.emit(
            Install(
                origin=command.origin, provider=provider, packages=tuple(card.missing),
                command=card.install,
            )
        )  # fmt: skip


def install_told(s: AgentState, told: InstallTold) -> None:
    """Tell what becomes of Installdependencies; what was installed is looked for at once."""
    match told.word:
        case "denied" if told.origin is not None:
            s.refuse(told.origin, "Installdependencies", "denied", told.sentence)
        case "failed":
            s.error("install", "failed", told.sentence)
        case word:
            s.status(word, told.sentence)
    if told.word == "installed" and s.hands.network_up:
        s.send(wire.ScanProviders(folder=s.parameters.text("Providersfolder")))


def _initialize(s: AgentState, command: Press) -> None:
    if s.hands.stopped:
        s.hands.network_up = False  # Its end may not have been told yet.
    s.hands.stopped, s.hands.stop_owed, s.hands.warm_owed = False, False, True
    s.hands.audio, s.hands.audio_sentence = "starting", ""
    s.emit(WarmUp())


def _shutdown(s: AgentState, command: Press) -> None:
    if s.hands.stopped:
        s.refuse(command.origin, command.name, "no_effect", "the engine is stopped already")
        return
    s.hands.stopped = s.hands.stop_owed = True
    s.wish(False, command.origin)
    s.remembered = False
    if s.lifecycle not in (Lifecycle.DISCONNECTED, Lifecycle.ENDING):
        machine.end(s, Trigger.DISCONNECT, "shutdown", cut=True)


def _forget(s: AgentState, command: Press) -> None:
    forgotten = s.transcript.session_id
    if not forgotten:
        s.refuse(command.origin, command.name, "no_effect", "there is no conversation to forget")
        return
    s.transcript.clear()
    s.emit(RowsCleared(), ForgetSession(session_id=forgotten), *s.captions.clear())
    s.replayable = False
    if s.hands.network_up:
        s.send(wire.ForgetReply(agent=s.name))
    if s.session is None:
        s.transcript.begin("")
    else:
        # What the service remembers under its handle is the forgotten conversation.
        s.session.handle = ""
        machine.began(s, s.session)


def _scan_profiles(s: AgentState, command: Press) -> None:
    overlay.scan(s, command, "profiles")


def _scan_skills(s: AgentState, command: Press) -> None:
    overlay.scan(s, command, "skills")


def _approve_tools(s: AgentState, command: Press) -> None:
    tools.decide_all(s, command, approve=True)


def _deny_tools(s: AgentState, command: Press) -> None:
    tools.decide_all(s, command, approve=False)


_PULSES: dict[str, Pulse] = {
    "Connect": _connect,
    "Disconnect": _disconnect,
    "Restart": _restart,
    "Stop": _stop,
    "Pause": _pause,
    "Play": _play,
    "Replay": _replay,
    "Resetplayback": _reset_playback,
    "Sendtext": _send_text,
    "Resetcostmeter": _reset_cost,
    "Scanproviders": _scan_providers,
    "Installdependencies": _install,
    "Initialize": _initialize,
    "Shutdown": _shutdown,
    "Forget": _forget,
    "Approvetools": _approve_tools,
    "Denytools": _deny_tools,
    "Scanprofiles": _scan_profiles,
    "Scanskills": _scan_skills,
    "Applyprofiles": overlay.apply,
}


# --- writes


def write(s: AgentState, command: Write) -> None:
    """Set a parameter."""
    row = s.parameters.row(command.page, command.name)
    name = command.name
    if row is None and name in PER_PROVIDER and command.origin.kind == "config":
        # Of a provider that is not chosen: nobody is shown it.
        s.parameters.write_below(command.page, name, command.value)
    elif row is None or not row.stored:
        s.refuse(command.origin, name, "unknown_address", f"there is no parameter {name}")
    elif row.access is Access.READ and not row.config_only:
        s.refuse(command.origin, name, "read_only", f"{name} can only be read")
    elif row.secret:
        _write_key(s, command, row)
    elif command.page == PAR and name == "Talk":
        _write_talk(s, command.origin, bool(command.value))
    elif command.page == PAR and name == "Active":
        _write_active(s, command.origin, bool(command.value))
    else:
        _write_plain(s, command, row)


def _write_plain(s: AgentState, command: Write, row: Row) -> None:
    before_model: dict[str, Value] = {}
    if command.page == PAR and command.name == "Provider":
        before_model = {n: s.parameters.value(PAR, n) for n in ("Model", "Voice")}
    keep = row.persists and command.origin.kind != "config"
    if not s.store(command.name, command.value, command.origin, command.page, keep=keep):
        return
    for name, before in before_model.items():
        after = s.parameters.value(PAR, name)
        if after != before:
            s.emit(Told(name=name, value=after, origin=command.origin))
    if command.page == PAR and command.name in _FOLLOWED:
        _FOLLOWED[command.name](s, command)
    elif row.applies is Applies.SESSION:
        if s.session is not None:
            s.status("pending", command.name)
    elif s.leg_open and (command.page == s.parameters.text("Provider") or command.name in FOR_LEG):
        s.send(wire.UpdateLeg(agent=s.name, leg=s.leg, parameters={command.name: command.value}))


_FOLLOWED: dict[str, Callable[[AgentState, Write], None]] = {
    "Profile": overlay.chosen,
    "Skillscomp": overlay.skills_chosen,
    "Profilesfolder": lambda s, command: overlay.scan(s, command, "profiles"),
    "Skillsfolder": lambda s, command: overlay.scan(s, command, "skills"),
}
"""What a written value leads to beside being kept."""


def _write_key(s: AgentState, command: Write, row: Row) -> None:
    provider = s.parameters.provider if command.page == PAR else command.page
    card = s.parameters.card(provider)
    if not s.hands.network_up or card is None:
        s.refuse(
            command.origin, command.name, "busy",
            "the network process is starting; write the key again in a second",
        )  # fmt: skip
        return
    server = card.key_server
    if command.page == PAR and not server:
        s.refuse(command.origin, command.name, "no_effect", f"{provider} needs no key")
        return
    name = s.parameters.key_name(command.page, command.name)
    s.send(wire.SetKey(server=name, key=str(command.value)))
    if command.value:
        s.parameters.keys.add(name)
    else:
        s.parameters.keys.discard(name)
    s.emit(
        Told(
            name=command.name, page=command.page, origin=command.origin,
            value=s.parameters.value(command.page, command.name),
        )
    )  # fmt: skip


def _write_active(s: AgentState, origin: Origin, on: bool) -> None:
    """Active is the wish: 1 while there is no session connects, 0 while open closes the gate."""
    if on and s.lifecycle in (Lifecycle.DISCONNECTED, Lifecycle.ENDING):
        if not (s.active and s.remembered):
            connect(s, origin, "Active")
        return
    s.wish(on, origin)
    if not on and s.lifecycle is Lifecycle.ENDING:
        s.remembered = False


# --- Talk


def _write_talk(s: AgentState, origin: Origin, on: bool) -> None:
    before = s.talk.held
    if on:
        if s.talk.press(origin, s.now.mono_ns):
            _talk_down(s, origin)
    elif s.talk.release(origin, s.now.mono_ns, int(s.parameters.number("Talktail"))):
        _talk_up(s)
    _tell_talk(s, origin, before, on)


def _tell_talk(s: AgentState, origin: Origin, before: bool, sent: bool) -> None:
    held = s.talk.held
    if held != before or held != sent:
        s.parameters.tell("Talk", held)
        s.emit(Told(name="Talk", value=held, origin=origin, adjusted=held != sent))


def _talk_down(s: AgentState, origin: Origin) -> None:
    if s.mode != "push_to_talk" or s.muted:
        return
    if s.session is None or s.lifecycle is Lifecycle.ENDING:
        if s.parameters.flag("Talkconnects") and not s.remembered:
            connect(s, origin, "Talk", s.hands.near_frame)
    elif (
        s.leg_open
        and s.reply.busy
        and not guards(s.parameters.text("Bargein"), s.hands.echo_free, s.mode)
    ):
        machine.interrupt(s)


def _talk_up(s: AgentState) -> None:
    """The press that connected ends before the session is open: its turn ends here."""
    session = s.session
    waits = session is not None and s.lifecycle is Lifecycle.CONNECTING
    if session is not None and waits and session.press_frame >= 0 and session.turn_end < 0:
        tail_ms = int(s.parameters.number("Talktail"))
        session.turn_end = s.hands.near_frame + tail_ms * s.hands.samplerate // MS_FRAMES


def holder_gone(s: AgentState, command: HolderGone) -> None:
    """Whatever this origin holds, it lets go of: its port is gone."""
    before = s.talk.held
    if s.talk.release(command.origin, s.now.mono_ns, 0):
        _talk_up(s)
    if s.talk.held != before:
        _tell_talk(s, command.origin, before, s.talk.held)


def talk_over(s: AgentState) -> None:
    """Talkmax: every hold ends."""
    s.talk.take_away()
    _talk_up(s)
    s.parameters.tell("Talk", False)
    s.emit(Told(name="Talk", value=False, origin=Origin(kind="mind"), adjusted=True))
    s.status("talkmax", "Talk was held for Talkmax seconds: the microphone is closed")


# --- words


def mute(s: AgentState, command: SetMute) -> None:
    """/voiced/mute: gate closed, loudspeaker faded, session kept."""
    s.muted = command.on


def say(s: AgentState, command: SayText) -> None:
    """/<agent>/say."""
    if not command.text.strip():
        s.refuse(command.origin, "say", "no_effect", "there was no text to say")
    elif s.leg_open:
        s.send(wire.Say(agent=s.name, leg=s.leg, text=command.text))
    else:
        _no_session(s, command.origin, "say", _remedy(s))


def note(s: AgentState, command: NoteText) -> None:
    """/<agent>/note."""
    if not command.text.strip():
        s.refuse(command.origin, "note", "no_effect", "there was no text to note")
    elif s.leg_open:
        s.emit(*s.transcript.add(s.leg, "system", "text", command.text, s.now, note=True))
        s.send(wire.Note(agent=s.name, leg=s.leg, text=command.text))
    else:
        _no_session(s, command.origin, "note", _remedy(s))


def _remedy(s: AgentState) -> str:
    waits = s.lifecycle in (Lifecycle.CONNECTING, Lifecycle.REFRESHING)
    return "wait until Sessionstate is active" if waits else "pulse Connect first"
