"""What follows from a joint state, run to a fixed point after every input."""

from __future__ import annotations

from collections.abc import Iterator

from voiced.mind import budget, commands, events, machine, refresh, stall, tools, watch
from voiced.mind.effects import SetGate, StopHands
from voiced.mind.gate import is_open
from voiced.mind.session import Lifecycle, Trigger
from voiced.mind.state import AgentState, Session

DIALLING = (Lifecycle.CONNECTING, Lifecycle.REFRESHING)


def settle(s: AgentState) -> None:
    """Apply every coupling until none moves anything."""
    while _step(s):
        pass


def _step(s: AgentState) -> bool:
    """Apply the first coupling that has something to do."""
    return any(coupling(s) for coupling in COUPLINGS)


def deadlines(s: AgentState) -> Iterator[int]:
    """Yield when something is due, in ns."""
    talk_max = s.talk.max_at(int(s.parameters.number("Talkmax")))
    talk_tail = s.talk.tail_at(s.now.mono_ns)
    yield from (at for at in (talk_max, talk_tail, s.reply.heard_by) if at is not None)
    if s.dial_at is not None and s.hands.network_up:
        yield s.dial_at
    if s.session is None:
        return
    if s.lifecycle is Lifecycle.ENDING:
        yield s.session.end_by
    if s.lifecycle is Lifecycle.OPEN:
        if s.session.closing:
            yield s.session.closing_by
        yield from _plan_deadlines(s)
        stall_at = watch.deadline(s)
        if stall_at is not None:
            yield stall_at
    yield from tools.deadlines(s)


def _plan_deadlines(s: AgentState) -> Iterator[int]:
    if s.plan is None:
        return
    warn_at = _warn_at(s)
    if warn_at is not None and not s.warned and s.plan.reason == "cap":
        yield warn_at
    goes_on = refresh.possible(s.card, s.parameters.flag("Autosessionrefresh"))
    if goes_on and s.now.mono_ns < s.plan.due_ns:
        yield s.plan.due_ns
    yield s.plan.latest_ns


# --- the couplings, in the order they are tried


def _heard_by(s: AgentState) -> bool:
    """A reply whose end nobody told counts as heard after its deadline."""
    if s.reply.heard_by is None or s.now.mono_ns < s.reply.heard_by:
        return False
    events.reply_heard(s)
    return True


def _talk_max(s: AgentState) -> bool:
    over_at = s.talk.max_at(int(s.parameters.number("Talkmax")))
    if over_at is None or s.now.mono_ns < over_at:
        return False
    commands.talk_over(s)
    return True


def _no_wish(s: AgentState) -> bool:
    """Nobody wants a session that is not there: no further attempt."""
    if s.lifecycle not in DIALLING or s.leg_alive or s.active or s.stopping:
        return False
    machine.end(s, Trigger.DISCONNECT, "inactive", cut=True)
    return True


def _one_turn(s: AgentState) -> bool:
    """A one_turn exchange is over at the turn-final: hold, or end once it was heard."""
    session, reply = s.session, s.reply
    if (
        session is None
        or s.lifecycle is not Lifecycle.OPEN
        or s.mode != "one_turn"
        or session.disarmed
        or session.closing
        or reply.exchanged
        or not (reply.status == "completed" and reply.words)
        or reply.calls
    ):
        return False
    reply.exchanged = True
    card = s.card
    if card is not None and card.metering == "wallclock":
        session.closing = "one_turn"
        session.closing_by = max(s.now.mono_ns, reply.heard_by or 0)
    else:
        session.disarmed = True
    return True


def _closing(s: AgentState) -> bool:
    """The closing words were heard, or their time is over, or their leg is gone."""
    session = s.session
    if session is None or not session.closing:
        return False
    reason = session.closing
    if s.lifecycle is Lifecycle.REFRESHING:
        s.wish(False)
        machine.end(s, Trigger.DISCONNECT, reason, cut=False)
        return True
    if s.lifecycle is not Lifecycle.OPEN or _still_closing(s, session):
        return False
    s.wish(False)
    machine.end(s, Trigger.END_CALL, reason, cut=False)
    return True


def _still_closing(s: AgentState, session: Session) -> bool:
    if s.now.mono_ns >= session.closing_by:
        return False
    # The goodbye may come behind the call: only words that were heard after it end the wait.
    return s.reply.busy or session.awaits_goodbye


def _warning(s: AgentState) -> bool:
    warn_at = _warn_at(s)
    if s.lifecycle is not Lifecycle.OPEN or s.warned or warn_at is None:
        return False
    if s.now.mono_ns < warn_at or s.plan is None or s.plan.reason != "cap":
        return False
    s.warned = True
    s.status("expiring", "the service ends this session soon: its limit is near")
    return True


def _warn_at(s: AgentState) -> int | None:
    card = s.card
    if card is None or card.max_session_s <= 0 or s.leg_opened_ns is None:
        return None
    warning_s = int(s.parameters.number("Refreshwarning"))
    return refresh.warning_at(s.leg_opened_ns, card.max_session_s, warning_s)


def _exchange(s: AgentState) -> bool:
    """The leg will end: exchange it when nobody speaks, or at the latest moment; or expire."""
    session, plan = s.session, s.plan
    if s.lifecycle is not Lifecycle.OPEN or plan is None or session is None:
        return False
    goes_on = refresh.possible(s.card, s.parameters.flag("Autosessionrefresh"))
    idle = not (s.reply.busy or s.user_speaking or s.waiting or s.tool_holds)
    due = plan.due_ns if goes_on and idle else plan.latest_ns
    if s.now.mono_ns < due:
        return False
    if not goes_on:
        events.expire(s, session, plan.reason)
        return True
    trigger = Trigger.CAP_REACHED if plan.reason == "cap" else Trigger.GOAWAY
    machine.exchange(s, session, trigger, plan.reason, f"a new connection follows ({plan.reason})")
    return True


def _ended(s: AgentState) -> bool:
    """Ending without a leg, or without an answer in time: disconnected."""
    if s.lifecycle is not Lifecycle.ENDING:
        return False
    if s.leg_alive and s.session is not None and s.now.mono_ns < s.session.end_by:
        return False
    s.fire(Trigger.END_TIMEOUT if s.leg_alive else Trigger.CLOSED)
    machine.over(s)
    return True


def _stop_hands(s: AgentState) -> bool:
    if s.lifecycle is not Lifecycle.DISCONNECTED or not s.hands.stop_owed:
        return False
    s.hands.stop_owed = False
    s.emit(StopHands())
    return True


def _remembered(s: AgentState) -> bool:
    """A Connect that came while ending."""
    if s.lifecycle is not Lifecycle.DISCONNECTED or not s.remembered:
        return False
    machine.connect(s)
    return True


def _dial(s: AgentState) -> bool:
    if s.lifecycle not in DIALLING or s.leg_alive or s.session is None:
        return False
    if not s.hands.network_up or s.dial_at is None or s.now.mono_ns < s.dial_at:
        return False
    before = s.lifecycle, s.leg
    machine.dial(s, s.session)
    return (s.lifecycle, s.leg) != before


def _turn_end(s: AgentState) -> bool:
    session = s.session
    if session is None or session.turn_end < 0 or not s.leg_alive:
        return False
    if session.turn_end_leg == s.leg or s.lifecycle is Lifecycle.ENDING:
        return False
    machine.tell_turn_end(s, session)
    return True


def _gate(s: AgentState) -> bool:
    """The gate follows from all of the above and moves none of it."""
    wanted = is_open(s.intent)
    if wanted == s.gate_open:
        return False
    s.gate_open = wanted
    s.emit(SetGate(open=wanted))
    lost_edge = not wanted and s.hands.mic_open and s.hands.audio != "ready"
    if lost_edge and s.session is not None and s.lifecycle in (Lifecycle.OPEN, *DIALLING):
        # No callback is there to mark the edge: the turn ends where near stopped.
        s.session.turn_end, s.session.turn_end_leg = s.hands.near_frame, 0
        s.hands.mic_open = False
    return True


COUPLINGS = (
    _heard_by,
    _talk_max,
    budget.spent,
    budget.send_held,
    _no_wish,
    _one_turn,
    _closing,
    tools.overdue,
    stall.stalled,
    _warning,
    _exchange,
    _ended,
    machine.provider_changed,
    _stop_hands,
    _remembered,
    _dial,
    tools.tell_leg,
    _turn_end,
    _gate,
)
