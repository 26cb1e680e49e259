"""What the doors and the lane are shown of the state: derived, told where it changed."""

from __future__ import annotations

import math

from voiced.mind import cost, overlay, tools
from voiced.mind.effects import SetLane, SignalNow
from voiced.mind.gate import guards
from voiced.mind.parameters import PAR
from voiced.mind.session import LABELS, Lifecycle
from voiced.mind.state import AgentState

PHASES = ("off", "idle", "listening", "thinking", "speaking", "waiting", "muted")


def enginestatus(s: AgentState) -> str:
    """Return Enginestatus: a word, and a sentence where there is something to say."""
    hands = s.hands
    if hands.stopped:
        return "stopped: pulse Initialize to start the engine"
    if hands.network_lost:
        return f"degraded: the network process is being started again ({hands.network_lost})"
    if hands.audio == "lost":
        return f"degraded: the audio process is being started again ({hands.audio_sentence})"
    if hands.inference_lost:
        return f"degraded: the inference process is being started again ({hands.inference_lost})"
    if s.trouble and s.lifecycle in (Lifecycle.CONNECTING, Lifecycle.REFRESHING):
        return f"retrying: {s.trouble}"
    if hands.audio == "absent":
        return f"no_device: {hands.audio_sentence}"
    if not hands.network_up or hands.audio == "starting":
        return "starting"
    return "ready"


def phase(s: AgentState) -> int:
    """Return the number of the signal `phase`."""
    if s.lifecycle is Lifecycle.DISCONNECTED:
        return 4 if _speaking(s) else 0
    if s.muted:
        return 6
    if _speaking(s):
        return 4
    if s.lifecycle is not Lifecycle.OPEN:
        return 0 if s.lifecycle is Lifecycle.ENDING else 5
    if s.user_speaking or (s.mode == "push_to_talk" and s.gate_open):
        return 2
    return 3 if s.waiting else 1


def _speaking(s: AgentState) -> bool:
    """Return whether the voice sounds: a mouth that it moves knows no replay from a reply."""
    return s.reply.speaking or s.replay_sounds


def publish(s: AgentState) -> None:
    """Tell what changed, set the lane's words, fire the signals that may not wait."""
    _lane(s)
    s.tell("Sessionstate", s.label)
    s.tell("Enginestatus", enginestatus(s))
    s.tell("Pricing", _pricing(s))
    s.tell("Conversationcost", cost.usd_text(s.cost.conversation_shown))
    s.tell("Sessioncost", cost.usd_text(s.cost.session_shown))
    s.tell("Pendingtools", tools.pending_text(s))
    s.tell("Skillscount", overlay.skills_text(s))
    if s.transcript.session_id:  # A session may have been refused before this is told.
        s.tell("Sessionid", s.transcript.session_id)
    now = phase(s)
    if now != s.phase:
        s.phase = now
        s.emit(SignalNow(channels=("phase",)))


def _pricing(s: AgentState) -> str:
    """For the provider and model that are chosen, whether in force yet or not."""
    card = s.parameters.card(s.parameters.provider)
    if card is None:
        return ""
    model = str(s.parameters.value(PAR, "Model")) or next(iter(card.models), "")
    return cost.pricing_text(card, model)


def _lane(s: AgentState) -> None:
    """Bring the words that control owns in line; only what changed is written."""
    playback = "play" if s.parameters.flag("Playbackactive") else "silent"
    if s.paused:
        playback = "pause"
    volume = 0.0 if s.muted else s.parameters.number("Volume")
    micgain = s.parameters.number("Micgain")
    guard = guards(s.parameters.text("Bargein"), s.hands.echo_free, s.mode)
    inputs = sum(1 << (channel - 1) for channel in channels(s.parameters.text("Micin")))
    before, s.lane = s.lane, {
        "volume": volume, "micgain": micgain, "playback": playback, "guard": guard, "inputs": inputs
    }  # fmt: skip
    if before != s.lane:
        s.emit(
            SetLane(
                volume=None if before.get("volume") == volume else volume,
                micgain=None if before.get("micgain") == micgain else micgain,
                playback=None if before.get("playback") == playback else playback,
                guard=None if before.get("guard") is guard else guard,
                inputs=None if before.get("inputs", 0) == inputs else inputs,
            )
        )


def channels(micin: str) -> set[int]:
    """Return the channels that a value of Micin names; empty = the configuration's."""
    return {int(word) for word in micin.split(",") if word.strip()}


def signals(s: AgentState, mono_ns: int) -> dict[str, float]:
    """Return every channel of /sig that the mind knows; levels and xruns are the shell's."""
    card = s.card
    sent, received = s.cost.seconds
    session = s.session
    seconds = 0.0
    if session is not None and session.opened_ns >= 0:
        seconds = (mono_ns - session.opened_ns) / 1e9
    retry_in = 0.0
    if s.dial_at is not None and s.trouble:
        retry_in = max(0.0, (s.dial_at - mono_ns) / 1e9)
    return {
        **s.metered.provider,
        "connected": float(s.leg_open),
        "model_ready": float(s.hands.network_up and card is not None and card.available),
        "worker_active": float(s.hands.network_up),
        "cost_in_seconds": sent,
        "cost_out_seconds": received,
        "mic_open": float(mic_open(s)),
        "talk": float(s.talk.held),
        "user_speaking": float(s.user_speaking),
        "assistant_speaking": float(_speaking(s)),
        "phase": float(phase(s)),
        "state": float(LABELS.index(s.label)),
        "ok": float(enginestatus(s) == "ready"),
        "muted": float(s.muted),
        "session_seconds": seconds,
        "session_cost": s.cost.session_shown,
        "conversation_cost": s.cost.conversation_shown,
        "budget_left": _budget_left(s),
        "latency": max(0.0, s.metered.latency_s),
        "buffer": s.metered.buffered_s,
        "rx_age": s.metered.rx_age_s if s.leg_open else 0.0,
        "retry_in": retry_in,
    }


def mic_open(s: AgentState) -> bool:
    """Whether the microphone really leaves the machine: by the edge log, while audio runs."""
    return s.hands.mic_open and s.hands.audio == "ready"


def _budget_left(s: AgentState) -> float:
    """Return the smallest remainder of all budgets, USD; -1 = there is none."""
    own, left = s.parameters.number("Costbudget"), s.budget_left
    if s.session is None and own > 0:
        left = min(left, max(0.0, own - s.cost.conversation))
    return -1.0 if left == math.inf else max(0.0, left)
