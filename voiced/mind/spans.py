"""When the words of a turn sounded, between which near frames, and what of it is to be recorded.

A visitor's turn lies where the provider heard it, told when its words are final; a reply from when
its first frame sounds at the loudspeaker to its last one, or to where it was cut.
"""

from __future__ import annotations

from voiced.messages.network import Playing, ReplyHeard
from voiced.mind import journal, stamps
from voiced.mind.effects import Record, RecordOver, RecordTurn
from voiced.mind.inputs import Instant
from voiced.mind.session import SECOND
from voiced.mind.state import AgentState, Session
from voiced.mind.turns import Turn

OFF = "off"
TURNS = ("turns", "both")


def began(s: AgentState, session: Session) -> None:
    """Have the session recorded from here on, where that is wanted."""
    s.sounding.clear()
    what = s.parameters.text("Recording")
    if what != OFF:
        s.emit(
            Record(
                session_id=session.id,
                what=what,
                format=s.parameters.text("Recordingformat"),
                from_frame=max(0, s.hands.near_frame),
            )
        )


def over(s: AgentState, session: Session) -> None:
    """The session is over: nothing of it sounds any more."""
    for leg, item in tuple(s.sounding):
        _ended(s, leg, item)
    if s.parameters.text("Recording") != OFF:
        s.emit(RecordOver(session_id=session.id, to_frame=max(0, s.hands.near_frame)))


def user(s: AgentState, turn: Turn | None) -> None:
    """Tell where a visitor's turn lies, once it has its words and both its ends."""
    if turn is not None and turn.final and 0 <= turn.start_frame < turn.end_frame:
        _tell(s, turn)


def playing(s: AgentState, event: Playing) -> None:
    """An item begins to sound; one that sounded before it is over."""
    for leg, item in tuple(s.sounding):
        _ended(s, leg, item)
    s.sounding[event.leg, event.item] = s.hands.near_frame


def heard(s: AgentState, event: ReplyHeard) -> None:
    """A reply has sounded to its end, or to where it was cut."""
    items = [turn.item for turn in s.transcript.turns.of_response(event.leg, event.response)]
    for leg, item in tuple(s.sounding):
        if leg == event.leg and item in items:
            _ended(s, leg, item)


def _ended(s: AgentState, leg: int, item: str) -> None:
    start = s.sounding.pop((leg, item))
    turn = s.transcript.turns.named("assistant", leg, item)
    if turn is not None:
        turn.start_frame, turn.end_frame = start, s.hands.near_frame
        _tell(s, turn)


def _tell(s: AgentState, turn: Turn) -> None:
    if turn.placed or s.session is None:
        return
    turn.placed = True
    if turn.row_id:
        s.journal(
            journal.SpokenLine,
            id=turn.row_id,
            began=stamps.iso(_when(s, turn.start_frame)),
            ended=stamps.iso(_when(s, turn.end_frame)),
        )
    if s.parameters.text("Recording") in TURNS:
        s.emit(
            RecordTurn(
                session_id=s.session.id,
                role=turn.role,
                id=turn.row_id,
                start_frame=turn.start_frame,
                end_frame=turn.end_frame,
            )
        )


def _when(s: AgentState, frame: int) -> Instant:
    """Return when a near frame passed, reckoned back from the one that passes now."""
    ago_s = max(0, s.hands.near_frame - frame) / s.hands.samplerate
    now = s.now
    return Instant(now.mono_ns - int(ago_s * SECOND), now.wall - ago_s, now.utc_offset_s)
