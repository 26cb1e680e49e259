"""The steps of a session's life: each pulls one trigger and does what follows from it."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence

import msgspec

from voiced.messages.network import (
    CloseLeg,
    HistoryRow,
    Interrupt,
    LegOpened,
    OpenLeg,
    Price,
    SendText,
    ToolDeclaration,
    TurnEnd,
    Value,
)
from voiced.mind import journal, overlay, refresh, spans, stamps, tools, watch
from voiced.mind.cost import LegCost, dearest, price_of, told_usd
from voiced.mind.effects import Recall, RowsCleared, Spend, StopSpeaker, TraceClosed
from voiced.mind.inputs import Recalled
from voiced.mind.session import (
    SECOND,
    STABLE_S,
    Lifecycle,
    Trigger,
    jitter,
    retry_delay_s,
)
from voiced.mind.state import HEARD_GRACE_S, AgentState, Metered, Reply, Session

END_S = 3.0
"""A leg that does not say that it closed is given up after so long."""
RECALL_S = 5.0
"""A past conversation that was not read by then is not gone on with."""
STOP_S = 0.8
"""The same while the daemon stops."""
_BY_HAND = ("disconnect", "restart", "shutdown", "inactive")
"""How a session ends because somebody wants it to."""
_SPENT = (
    "the conversation that broke off has spent Costbudget ({:g} USD): raise it, or pulse Connect "
    "for another one"
)


def session_id(s: AgentState, provider: str, model: str) -> str:
    """Return a new Sessionid: the stem of its trace."""
    fact = f"{s.name}/{s.now.wall!r}/{s.now.mono_ns}/{s.leg}"
    digest = hashlib.sha256(fact.encode()).hexdigest()[:8]
    words = (re.sub(r"[^A-Za-z0-9.-]+", "-", word).strip("-.") for word in (provider, model))
    return "_".join((stamps.compact(s.now), *(word or "default" for word in words), digest))


def connect(s: AgentState, press_frame: int = -1) -> None:
    """Begin a session. Its first leg is dialled as soon as it can be (`dial`)."""
    overlay.put_on(s)
    provider_changed(s)
    s.fire(Trigger.CONNECT)
    s.remembered = False
    s.parameters.freeze()
    provider, model = s.parameters.text("Provider"), s.parameters.model()
    s.session = Session(
        id=session_id(s, provider, model),
        provider=provider,
        model=model,
        press_frame=press_frame,
        from_frame=press_frame,
    )
    if s.transcript.rows:
        s.emit(RowsCleared())
    s.transcript.begin(s.session.id)
    s.restyle()
    s.cost.start_conversation(s.leg + 1)
    s.wish(True)
    s.reply, s.waiting, s.paused, s.metered = Reply(), False, False, Metered()
    s.watch = watch.Watch()
    s.calls.begin()
    s.dial_at, s.failures, s.trouble = s.now.mono_ns, 0, ""


def provider_changed(s: AgentState) -> bool:
    """Tell that another provider is chosen for the next session, once there is none any more."""
    chosen = s.parameters.provider
    if s.lifecycle is not Lifecycle.DISCONNECTED or chosen == s.provider_told:
        return False
    old, s.provider_told = s.provider_told, chosen
    if old:
        s.callback("onProviderChange", old, chosen)
    return True


def _name(s: AgentState, session: Session) -> None:
    """Name the model, and the session by it, that nobody knew before network told what there is."""
    session.model = s.parameters.model()
    if not s.transcript.rows:
        session.id = session_id(s, session.provider, session.model)
        s.transcript.begin(session.id)


def _recall(s: AgentState, session: Session) -> None:
    """Have the conversation found that this one goes on with, if it shall go on with any."""
    within_s, s.resume_within_s = s.resume_within_s, 0.0
    file = s.parameters.text("Loadsessionfile")
    if file:
        s.store("Loadsessionfile", "")
    elif not s.parameters.flag("Resumelast") and within_s <= 0:
        return
    s.emit(
        Recall(
            session_id=session.id,
            provider=session.provider,
            model=session.model,
            file=file,
            within_s=0.0 if file or s.parameters.flag("Resumelast") else within_s,
        )
    )
    session.recalls = True
    s.dial_at = s.after(RECALL_S)


def recalled(s: AgentState, event: Recalled) -> None:
    """Take the past conversation, or that there is none, and dial."""
    session = s.session
    if session is None or not session.recalls or session.id != event.session_id:
        return
    session.recalls = False
    if s.lifecycle is Lifecycle.CONNECTING:
        s.dial_at = s.now.mono_ns
    if event.sentence:
        s.error("session", "resume", event.sentence)
    past = event.past
    if past is None:
        return
    session.past = past
    s.cost.go_on(past.usd)
    card = s.card
    if card is not None and card.resumption == "native" and past.provider == session.provider:
        session.handle = past.handle
    s.transcript.recall(past.rows)


def dial(s: AgentState, session: Session) -> None:
    """Open the next leg, or put it off to when an attempt is free."""
    card = s.card
    if card is None:
        refuse(
            s,
            "unknown_provider",
            f"there is no provider {session.provider} here: `voiced providers` lists what there is",
        )
        return
    if not card.available:
        refuse(s, "not_available", card.reason or f"{session.provider} cannot be used here")
        return
    if s.allowance.left_usd <= 0:
        refuse(s, "exceeded", s.allowance.sentence, source="budget")
        return
    if not session.sought:
        session.sought = True
        if session.model != s.parameters.model():
            _name(s, session)
        _recall(s, session)
        if session.recalls:
            return
    budget = s.parameters.number("Costbudget")
    if session.opened_ns < 0 and 0 < budget <= s.cost.conversation:
        refuse(s, "exceeded", _SPENT.format(budget), source="budget")
        return
    if s.failures > 0:
        free_at = s.setup.attempts.free_at(s.now.mono_ns)
        # A leg that had stayed is dialled again at once, and counted: the cap is against storms.
        if s.failures > 1 and free_at > s.now.mono_ns:
            s.dial_at = free_at
            return
        s.setup.attempts.record(s.now.mono_ns)
    s.dial_at, session.recalls = None, False
    s.leg += 1
    s.leg_alive, s.leg_opened_ns = True, None
    turns = s.transcript.turns
    replays = card.resumption != "none"
    history = turns.history(int(s.parameters.number("Maxreplayrows"))) if replays else []
    session.primed = len(history)
    session.respond = replays and turns.unanswered()
    keep_s = s.parameters.number("Refreshkeep")
    declared, parameters = tools.declare(s), s.parameters.for_leg()
    session.told_bytes = _told_bytes(parameters, declared, history)
    s.send(
        OpenLeg(
            agent=s.name,
            leg=s.leg,
            provider=session.provider,
            parameters=parameters,
            tools=declared,
            from_frame=session.from_frame,
            not_before_frame=session.opened_frame,
            pressed_frame=session.press_frame,
            handle=session.handle if s.parameters.flag("Enablesessionresumption") else "",
            history=history,
            respond=session.respond,
            max_backlog_s=keep_s,
            push_to_talk=s.mode == "push_to_talk",
            attempt=s.failures,
        )
    )


def _told_bytes(
    parameters: Mapping[str, Value], declared: Sequence[ToolDeclaration], rows: Sequence[HistoryRow]
) -> int:
    told = [str(parameters.get("Systemprompt", "")), *(row.text for row in rows)]
    told += [text for tool in declared for text in (tool.name, tool.description, tool.schema)]
    return sum(len(text.encode(errors="replace")) for text in told)


def opened(s: AgentState, session: Session, event: LegOpened) -> None:
    """The leg is there."""
    s.fire(Trigger.OPENED)
    s.leg_opened_ns, s.trouble = s.now.mono_ns, ""
    s.hands.inference_lost = ""
    _meter_leg(s, session)
    first = session.opened_ns < 0
    if first:
        session.opened_ns = s.now.mono_ns
        session.opened_frame = (
            session.press_frame if session.press_frame >= 0 else s.hands.near_frame
        )
        s.restyle()
        began(s, session)
        s.emit(*s.transcript.show_recalled(s.now))
        s.callback("onSessionStart", session.id, session.provider, session.model)
        if event.resumed == "native":
            # The service tells a handle where it changes; this one came from another trace.
            s.journal(journal.HandleLine, leg=s.leg, handle=session.handle)
    s.journal(
        journal.LegBegan,
        leg=s.leg,
        resumed=event.resumed,
        reason=session.reason,
        service_session=event.service_session,
    )
    if not first:
        text = refresh.row_text(event.resumed, session.reason)
        s.emit(*s.transcript.add(s.leg, "system", "status", text, s.now))
    s.tell("Sessionresume", refresh.resume_text(event.resumed, session.provider, session.primed))
    card = s.card
    s.warned = False
    s.plan = None
    if card is not None and card.max_session_s > 0:
        s.plan = refresh.cap_plan(s.now.mono_ns, card.max_session_s)
    for turn in s.transcript.take_unsent(s.leg):
        s.send(SendText(agent=s.name, leg=s.leg, text=turn.text))
        watch.text_sent(s, again=turn.sendings > 1)
        s.waiting = True
    if session.respond:
        watch.asked_again(s)
        s.waiting = True
    if first:
        tools.session_opened(s)
    tools.leg_opened(s)
    if session.turn_end_leg == s.leg:
        session.turn_end = -1
    session.press_frame = session.from_frame = -1
    session.respond = False


def began(s: AgentState, session: Session) -> None:
    """Write the journal's first line, and have the session recorded where that is wanted."""
    s.journal(
        journal.Began,
        agent=s.name,
        session_id=session.id,
        provider=session.provider,
        model=session.model,
        mode=s.mode,
        before_usd=s.cost.before,
    )
    spans.began(s, session)


def _meter_leg(s: AgentState, session: Session) -> None:
    card = s.card
    price, wallclock = None, False
    if card is not None:
        price = price_of(card, session.model) or dearest(card)
        wallclock = card.metering == "wallclock"
    price = price or Price()
    s.cost.open_leg(
        LegCost(
            leg=s.leg,
            session_id=session.id,
            provider=session.provider,
            model=session.model,
            price=price,
            wallclock=wallclock,
            again=0.0 if wallclock else told_usd(price, session.told_bytes),
        )
    )


def book(
    s: AgentState, leg: LegCost, usd: float, detail: str = "", response: str | None = None
) -> None:
    """Tell the ledger and the journal what was booked; without a name it is the running reply's."""
    if usd <= 0:
        return
    s.emit(Spend(session_id=leg.session_id, provider=leg.provider, model=leg.model, usd=usd))
    # Until the shell tells the next one: no Connect comes in between.
    left = s.allowance.left_usd - usd
    s.allowance = msgspec.structs.replace(s.allowance, left_usd=left)
    if s.session is not None and s.session.id == leg.session_id:
        s.journal(
            journal.CostLine,
            leg=leg.leg,
            usd=usd,
            conversation_usd=s.cost.since_connect,
            detail=detail,
            response=running_response(s) if response is None else response,
        )


def running_response(s: AgentState) -> str:
    """Return the name of the reply that runs; "" = none does."""
    return s.reply.response if s.reply.running else ""


def leg_over(s: AgentState) -> None:
    """The present leg takes nothing any more: book what was pending."""
    s.leg_alive, s.leg_opened_ns, s.plan = False, None, None
    leg = s.cost.leg(s.leg)
    if leg is not None and not leg.ended:
        book(s, leg, leg.end(), "leg ended")
    s.user_speaking = False
    watch.leg_over(s)


def exchange(s: AgentState, session: Session, trigger: Trigger, reason: str, why: str) -> None:
    """From open to refreshing: the leg is lost, or given up before the service ends it."""
    planned = trigger in (Trigger.GOAWAY, Trigger.CAP_REACHED)
    s.fire(trigger)
    if planned or trigger is Trigger.STALLED:
        s.send(CloseLeg(agent=s.name, leg=s.leg, let_finish=True))
    lived_s = (s.now.mono_ns - (s.leg_opened_ns or 0)) / SECOND
    leg_over(s)
    s.transcript.turns.leg_lost(s.leg, running_response(s))
    if s.reply.running:
        # Half a reply is no reply: it is silenced, marked, and asked for again.
        s.emit(StopSpeaker())
        s.emit(*s.transcript.leg_lost(s.leg, s.reply.response, s.now))
        s.reply = Reply()
    elif not s.reply.heard:
        s.reply.heard_by = s.after(s.metered.buffered_s + HEARD_GRACE_S)
    if s.parameters.number("Refreshkeep") > 0:
        session.from_frame = refresh.first_frame(
            s.transcript.turns, session.opened_frame, s.hands.near_frame, s.hands.samplerate
        )
    else:
        s.emit(*s.transcript.skip_to(1 << 62, s.leg + 1, s.now))
    session.reason = reason
    s.waiting = False
    s.status("refreshing", why)
    if planned:
        s.failures = 0
        s.dial_at = s.now.mono_ns
    else:
        s.trouble = why
        if lived_s >= STABLE_S:
            s.failures = 0
        retry(s, counts=trigger is not Trigger.NETWORK_LOST)


def retry(s: AgentState, *, counts: bool) -> None:
    """Set when the next leg is dialled; a leg lost with its process counts as no failure."""
    s.failures += counts
    delay_s = retry_delay_s(s.failures, jitter(s.name, s.now.mono_ns, s.failures))
    s.dial_at = s.after(delay_s)


def unreachable(s: AgentState, trigger: Trigger, code: str, sentence: str) -> None:
    """The leg being dialled did not come: dial again later."""
    s.fire(trigger)
    s.leg_alive = False
    first = not s.trouble
    s.trouble = sentence or "the service cannot be reached"
    if first and trigger is not Trigger.NETWORK_LOST:
        s.error("provider", code or "unreachable", s.trouble)
    retry(s, counts=trigger is not Trigger.NETWORK_LOST)


def refuse(s: AgentState, code: str, sentence: str, *, source: str = "provider") -> None:
    """The service refuses for good: the session is over, and so is the wish for one."""
    s.wish(False)
    s.error(source, code or "refused", sentence)
    s.emit(*s.transcript.add(s.leg, "error", "error", sentence, s.now, code=code or "refused"))
    if s.lifecycle is Lifecycle.OPEN:
        end(s, Trigger.REFUSED, "refused", cut=False)
        return
    s.fire(Trigger.REFUSED)
    if s.session is not None:
        s.session.end_reason = "refused"
    leg_over(s)
    over(s)


def end(s: AgentState, trigger: Trigger, reason: str, *, cut: bool) -> None:
    """End the session: the leg is told, and has END_S to say that it closed."""
    s.fire(trigger)
    s.dial_at = None
    tools.session_over(s)
    if s.session is not None:
        s.session.end_reason = reason
        s.session.end_by = s.after(STOP_S if s.stopping else END_S)
    if cut:
        silence(s)
    if s.leg_alive:
        s.send(CloseLeg(agent=s.name, leg=s.leg, let_finish=not cut))


def silence(s: AgentState) -> None:
    """Drop everything queued for the loudspeaker."""
    s.emit(StopSpeaker())
    s.paused = s.replaying = s.replay_sounds = False


def interrupt(s: AgentState) -> None:
    """Barge in by hand: silent at once, the service is told, the row keeps the words heard."""
    silence(s)
    if s.leg_open:
        s.send(Interrupt(agent=s.name, leg=s.leg))


def over(s: AgentState) -> None:
    """The session has ended (disconnected was reached): close its books and tell."""
    session = s.session
    leg_over(s)
    tools.session_over(s)
    if session is None:
        return
    s.emit(*s.transcript.end(s.now))
    if s.reply.running:
        s.reply = Reply()
    s.waiting = False
    _tell_unanswered(s, session)
    if session.opened_ns >= 0:
        spans.over(s, session)
        s.journal(
            journal.Ended,
            end_reason=session.end_reason,
            conversation_usd=s.cost.since_connect,
            handle=session.handle,
        )
        trace = ""
        if s.tracing:
            folder = s.parameters.text("Sessiontracedir") or s.setup.trace_dir
            trace = f"{folder}/{session.id}.json" if folder else f"{session.id}.json"
            s.emit(TraceClosed(session_id=session.id, end_reason=session.end_reason))
        s.callback("onSessionEnd", session.id, session.end_reason, trace, s.cost.since_connect)
    if session.expired:
        s.status("expired", "the service's limit for one session was reached")
    s.emit(*s.captions.clear())
    s.session, s.plan, s.dial_at, s.trouble, s.failures = None, None, None, "", 0
    s.parameters.thaw()


def _tell_unanswered(s: AgentState, session: Session) -> None:
    """Tell of typed text that nobody will answer; who ends a session by hand knows it."""
    waiting = s.transcript.turns.waiting_texts()
    if s.transcript.take_unsent(s.leg):
        s.error("session", "unsent", "the session ended before a typed text could be sent")
    elif waiting and session.end_reason not in _BY_HAND:
        s.error("session", "unanswered", "the session ended before a typed text was answered")


def tell_turn_end(s: AgentState, session: Session) -> None:
    """Tell the present leg where a turn ended whose gate edge nobody could see."""
    s.send(TurnEnd(agent=s.name, leg=s.leg, frame=session.turn_end))
    session.turn_end_leg = s.leg
    if s.leg_open:
        session.turn_end = -1
