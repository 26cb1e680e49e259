"""What the network process tells of a leg, event by event."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from voiced.messages import network as wire
from voiced.mind import journal, machine, refresh, spans, tools, watch
from voiced.mind.session import Lifecycle, Trigger
from voiced.mind.state import HEARD_GRACE_S, AgentState, Reply, Session

E = TypeVar("E", bound=wire.LegMessage)
Take = Callable[[AgentState, Session, Any], None]

OLD_LEG_FACTS = (wire.Usage, wire.Heard, wire.ReplyHeard)
"""What is still taken of a leg that is over: money, and what was heard of it."""
BEFORE_OPEN = (
    wire.LegOpened,
    wire.LegUnreachable,
    wire.LegRefused,
    wire.LegClosed,
    wire.Expired,
    wire.LegTrouble,
    wire.LegGoaway,
)
"""What a leg can tell while it is being dialled."""


def take(s: AgentState, event: wire.LegMessage) -> None:
    """Take an event of a leg: the one place that drops what is of an older one."""
    current = event.leg == s.leg and s.leg_alive
    if isinstance(event, OLD_LEG_FACTS):
        _fact(s, event)
        return
    if not current or s.session is None:
        s.log("debug", f"% {type(event).__name__} of leg {event.leg} came too late")
        return
    if s.leg_opened_ns is None and not isinstance(event, BEFORE_OPEN):
        s.log("warning", f"! {type(event).__name__} before leg {event.leg} opened")
        return
    _TAKES[type(event)](s, s.session, event)


def _fact(s: AgentState, event: wire.LegMessage) -> None:
    match event:
        case wire.Usage():
            leg = s.cost.leg(event.leg)
            if leg is not None:
                machine.book(
                    s, leg, leg.usage(event), event.detail, "" if event.aside else event.response
                )
        case wire.Heard() if event.cut and s.hands.audio == "absent":
            pass  # Where there is no loudspeaker the words stand as text.
        case wire.Heard():
            s.emit(*s.transcript.heard(event, s.now))
            turn = s.transcript.turns.named("assistant", event.leg, event.item)
            if turn is not None and s.parameters.flag("Enableoutputtranscription"):
                s.emit(*s.captions.heard(turn, s.now.mono_ns))
        case wire.ReplyHeard():
            _reply_heard(s, event)


# --- the leg itself


def _opened(s: AgentState, session: Session, event: wire.LegOpened) -> None:
    if s.lifecycle in (Lifecycle.CONNECTING, Lifecycle.REFRESHING):
        machine.opened(s, session, event)


def _unreachable(s: AgentState, session: Session, event: wire.LegUnreachable) -> None:
    _gone(s, session, event.code, event.sentence, asked=False)


def _closed(s: AgentState, session: Session, event: wire.LegClosed) -> None:
    _gone(s, session, event.code, event.sentence, asked=event.asked)


def _gone(s: AgentState, session: Session, code: str, sentence: str, *, asked: bool) -> None:
    match s.lifecycle:
        case Lifecycle.OPEN:
            if code != wire.INFERENCE_LOST:
                s.error(
                    "provider", code or "closed", sentence or "the service closed the connection"
                )
            machine.exchange(
                s, session, Trigger.CLOSED, "lost", sentence or "the connection was lost"
            )
        case Lifecycle.ENDING:
            s.leg_alive = False  # `couplings` takes it from here.
        case _:
            machine.unreachable(s, Trigger.UNREACHABLE, code, sentence)


def _refused(s: AgentState, session: Session, event: wire.LegRefused) -> None:
    s.leg_alive = False
    if s.lifecycle is not Lifecycle.ENDING:  # There `couplings` takes it from here.
        machine.refuse(s, event.code, event.sentence or "the service refuses this connection")


def _expired(s: AgentState, session: Session, event: wire.Expired) -> None:
    match s.lifecycle:
        case Lifecycle.OPEN:
            expire(s, session, "cap")
        case Lifecycle.ENDING:
            pass  # It will close, as it was told.
        case _:
            machine.refuse(s, "expired", event.sentence or "the service has ended this session")


def expire(s: AgentState, session: Session, reason: str) -> None:
    """End an open session at the service's limit; what sounds is let finish."""
    session.expired = True
    s.wish(False)
    machine.end(s, Trigger.EXPIRED, reason, cut=False)


def _goaway(s: AgentState, session: Session, event: wire.LegGoaway) -> None:
    if s.lifecycle is not Lifecycle.OPEN:
        return
    left_s = round(max(0.0, event.time_left_s))
    when = f"in {left_s} s" if left_s else "now"
    s.status("goaway", f"the service ends this connection {when}")
    s.plan = refresh.goaway_plan(event.reason, s.now.mono_ns, event.time_left_s)


def _handle(s: AgentState, session: Session, event: wire.Handle) -> None:
    session.handle = event.handle
    s.journal(journal.HandleLine, leg=event.leg, handle=event.handle)


def _trouble(s: AgentState, session: Session, event: wire.LegTrouble) -> None:
    s.error(event.source, event.code, event.sentence)


def _unsent(s: AgentState, session: Session, event: wire.Unsent) -> None:
    s.error("provider", "unsent", event.sentence)


# --- the user


def _speech_started(s: AgentState, session: Session, event: wire.SpeechStarted) -> None:
    s.transcript.speech_started(event.leg, event.frame)
    s.waiting = False
    if not s.user_speaking:
        watch.turn_began(s)
        s.user_speaking = True
        s.callback("onUserSpeechStarted", 1)


def _speech_ended(s: AgentState, session: Session, event: wire.SpeechEnded) -> None:
    spans.user(s, s.transcript.speech_ended(event.leg, event.frame))
    if s.user_speaking:
        s.user_speaking = False
        s.waiting = True
        watch.turn_ended(s, event.frame)
        s.callback("onUserSpeechEnded", 1)


def _user_text(s: AgentState, session: Session, event: wire.UserText) -> None:
    s.emit(*s.transcript.user_text(event, s.now))
    turn = s.transcript.turns.named("user", event.leg, event.item)
    if turn is not None and s.parameters.flag("Enableusertranscription"):
        s.emit(*s.captions.user(turn, s.now.mono_ns))
    spans.user(s, turn)
    if event.text.strip():
        s.watch.words = True


def _dropped(s: AgentState, session: Session, event: wire.UserTurnDropped) -> None:
    s.emit(*s.transcript.user_dropped(event, s.now))
    watch.turn_dropped(s)
    if not s.reply.busy:
        s.waiting = False


def _slipped(s: AgentState, session: Session, event: wire.TalkSlipped) -> None:
    s.status("slip", f"Talk was held for {event.seconds:.1f} s and nobody spoke: that is no turn")


def _skipped(s: AgentState, session: Session, event: wire.TurnsSkipped) -> None:
    s.emit(*s.transcript.skip_to(event.to_frame, event.leg, s.now))
    s.status("skipped", f"{event.seconds:.0f} s of speech were older than Refreshkeep and not sent")


# --- the reply


def _response_started(s: AgentState, session: Session, event: wire.ResponseStarted) -> None:
    s.reply = Reply(leg=event.leg, response=event.response, running=True, heard=False)
    s.transcript.turns.reply_began(event.leg, event.response, event.texts)
    watch.reply_began(s)
    s.waiting = True
    if session.closing:
        session.awaits_goodbye = False
        session.closing_by = s.after(tools.CLOSING_S)


def _assistant_text(s: AgentState, session: Session, event: wire.AssistantText) -> None:
    s.emit(*s.transcript.assistant_text(event, s.now))
    if event.response == s.reply.response and event.text.strip():
        s.reply.words = s.reply.words_last = True
        session.awaits_goodbye = False
        watch.reply_moved(s)


def _playing(s: AgentState, session: Session, event: wire.Playing) -> None:
    spans.playing(s, event)
    if event.response == s.reply.response and not s.reply.heard:
        s.reply.speaking = s.reply.words = True
        s.reply.paused = False
        s.waiting = False
        s.emit(*s.captions.sounds())


def _response_done(s: AgentState, session: Session, event: wire.ResponseDone) -> None:
    reply = s.reply
    own = event.response == reply.response
    if own:
        reply.calls = reply.calls and tools.answer_follows(s)
    s.emit(
        *s.transcript.response_done(
            event.leg, event.response, event.status, s.now, leads=own and reply.calls
        )
    )
    s.journal(
        journal.ReplyLine,
        leg=event.leg,
        response=event.response,
        status=event.status,
        rows=tuple(
            turn.rows[0].id
            for turn in s.transcript.turns.of_response(event.leg, event.response)
            if turn.rows
        ),
    )
    if not own:
        return
    reply.running, reply.status = False, event.status
    watch.reply_done(s, event.status, reply.words)
    s.waiting = s.watch.owed is not None or s.tool_holds
    if event.status == "completed" and reply.words:
        s.replayable = True
    if event.status == "failed":
        s.error("provider", "response_failed", "the service could not finish its reply")
    if not reply.speaking and (event.status != "completed" or s.hands.audio == "absent"):
        reply.heard = True
    else:
        reply.heard_by = s.after(s.metered.buffered_s + HEARD_GRACE_S)
    if session.awaits_goodbye:
        session.closing_by = s.after(tools.GOODBYE_S)
    elif session.closing:
        session.closing_by = max(session.closing_by, reply.heard_by or 0)


def _reply_heard(s: AgentState, event: wire.ReplyHeard) -> None:
    if event.latency_s >= 0 and event.leg == s.leg and s.session is not None:
        s.metered.latency_s = event.latency_s
        s.journal(
            journal.LatencyLine, leg=event.leg, response=event.response, seconds=event.latency_s
        )
    spans.heard(s, event)
    turns = s.transcript.turns.of_response(event.leg, event.response)
    s.emit(*s.captions.ended(turns, s.now.mono_ns))
    if (event.leg, event.response) == (s.reply.leg, s.reply.response):
        reply_heard(s)


def reply_heard(s: AgentState) -> None:
    """The loudspeaker has said everything of this reply that it will say."""
    s.reply.speaking, s.reply.heard, s.reply.heard_by = False, True, None


# --- figures


def _meter(s: AgentState, session: Session, event: wire.Meter) -> None:
    s.metered.buffered_s, s.metered.rx_age_s = event.buffered_s, event.rx_age_s
    watch.metered(s, event)
    if s.reply.running:
        _pause(s, sounds=event.buffered_s > 0)
    if s.reply.heard_by is not None and event.buffered_s > 0:
        s.reply.heard_by = s.after(event.buffered_s + HEARD_GRACE_S)
        if session.closing:
            session.closing_by = max(session.closing_by, s.reply.heard_by)
    if session.said_goodbye:
        _goodbye_sounds(s, session, event.buffered_s > 0)
    leg = s.cost.leg(event.leg)
    if leg is not None:
        idle = not (s.user_speaking or s.waiting or s.reply.running or event.response_running)
        machine.book(s, leg, leg.meter(event, idle=idle))


def _pause(s: AgentState, *, sounds: bool) -> None:
    """A service may wait for a tool within a reply: the voice is silent, and not at its end."""
    reply = s.reply
    if reply.speaking and not sounds and watch.waits_for_tool(s):
        reply.speaking, reply.paused, s.waiting = False, True, True
    elif reply.paused and sounds:
        reply.speaking, reply.paused, s.waiting = True, False, False


def _goodbye_sounds(s: AgentState, session: Session, sounds: bool) -> None:
    """A reply whose call is not answered may never be told to be over: it is, once all sounded."""
    if not s.reply.running:
        return
    if sounds:
        session.closing_by = s.after(tools.CLOSING_S)
    elif s.reply.speaking or s.reply.paused or s.hands.audio == "absent":
        session.closing_by = min(session.closing_by, s.after(HEARD_GRACE_S))


def _signal(s: AgentState, session: Session, event: wire.ProviderSignal) -> None:
    s.metered.provider.update(event.channels)


def _affect(s: AgentState, session: Session, event: wire.Affect) -> None:
    turns = s.transcript.turns
    if event.item:
        turn = turns.named("user", event.leg, event.item)
        turn = turn or turns.named("assistant", event.leg, event.item)
    else:
        turn = turns.around(event.frame)
    s.callback("onAffect", turn.row_id if turn is not None else "", event.scores)


_TAKES: dict[type[wire.LegMessage], Take] = {
    wire.LegOpened: _opened,
    wire.LegUnreachable: _unreachable,
    wire.LegRefused: _refused,
    wire.LegClosed: _closed,
    wire.LegGoaway: _goaway,
    wire.Expired: _expired,
    wire.SpeechStarted: _speech_started,
    wire.SpeechEnded: _speech_ended,
    wire.UserText: _user_text,
    wire.UserTurnDropped: _dropped,
    wire.TalkSlipped: _slipped,
    wire.TurnsSkipped: _skipped,
    wire.ResponseStarted: _response_started,
    wire.AssistantText: _assistant_text,
    wire.Playing: _playing,
    wire.ResponseDone: _response_done,
    wire.Meter: _meter,
    wire.Handle: _handle,
    wire.ToolCall: tools.call,
    wire.ToolCancelled: tools.cancelled,
    wire.ProviderSignal: _signal,
    wire.Affect: _affect,
    wire.LegTrouble: _trouble,
    wire.Unsent: _unsent,
}
