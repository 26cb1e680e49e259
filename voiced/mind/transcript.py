"""The conversation's table: rows with stable ids, written as Streamingmode wants them."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from voiced.messages.network import AssistantText, Heard, UserText, UserTurnDropped
from voiced.mind import journal, stamps
from voiced.mind.effects import AgentEffect, Callback, Journal, Row, RowRemoved, RowWritten
from voiced.mind.inputs import Instant
from voiced.mind.turns import OPEN_KEPT, Turn, Turns

ROWS_KEPT = 2000
"""Rows that can still be asked for; all of them are in the journal."""

PAST_LEG = -1
"""Of what was said in a conversation that this one goes on with."""

_CALLBACKS = {"user": "onUserText", "assistant": "onAssistantText"}


class Style(msgspec.Struct, frozen=True, kw_only=True):
    """What the operator wants of the table."""

    mode: str = "live"
    """live, coalesce or append."""
    rows: bool = True
    """Enableconvdat."""
    user: bool = True
    """Enableusertranscription."""
    assistant: bool = True
    """Enableoutputtranscription."""
    journal: bool = True
    """Sessiontracing."""


class Transcript:
    """All that was said, typed, called and told in one conversation.

    Every method returns the effects of what it noted, in order.
    """

    def __init__(self) -> None:
        self.turns = Turns()
        self._rows: dict[str, Row] = {}
        self.session_id = ""
        self.style = Style()
        self._count = 0
        self._recalled: tuple[Row, ...] = ()

    def begin(self, session_id: str) -> None:
        """Start an empty table for a new conversation."""
        self.session_id = session_id
        self.clear()
        self._count, self._recalled = 0, ()

    def clear(self) -> None:
        """Forget every row and turn; ids are not given twice."""
        self.turns.clear()
        self._rows.clear()

    @property
    def rows(self) -> list[Row]:
        """The table, oldest row first."""
        # A row has its place from its first word on, and is written once there is something in it.
        return sorted(self._rows.values(), key=lambda row: row.index)

    # --- a past conversation

    def recall(self, rows: Sequence[Row]) -> None:
        """Go on from the rows of a past conversation: they prime the leg that is dialled next."""
        self._recalled = tuple(rows[-ROWS_KEPT:])
        for n, row in enumerate(self._recalled):
            if row.role in _CALLBACKS and row.type == "text":
                self.turns.add(
                    Turn(
                        role=row.role, leg=PAST_LEG, item=f"past.{n}", text=row.message,
                        final=True, answered=True, sounded_chars=len(row.message),
                    )
                )  # fmt: skip

    def show_recalled(self, now: Instant) -> list[AgentEffect]:
        """Write the rows of the past conversation before those of this one."""
        out: list[AgentEffect] = []
        for row in self._recalled:
            fresh = self._new_row(PAST_LEG, row.role, row.type, now)
            out += self._put(
                msgspec.structs.replace(row, id=f"past.{fresh.index + 1}", index=fresh.index), now
            )
        self._recalled = ()
        return out

    # --- writing rows

    def _put(self, row: Row, now: Instant) -> list[AgentEffect]:
        """Write a row, new or rewritten."""
        out: list[AgentEffect] = []
        if self.style.rows or row.id in self._rows:  # What stands there already is kept true.
            self._rows[row.id] = row
            if len(self._rows) > ROWS_KEPT:
                del self._rows[next(iter(self._rows))]
            out.append(RowWritten(row=row))
        return out + self._journal(
            journal.RowLine(at=stamps.iso(now), mono_ns=now.mono_ns, row=row)
        )

    def _journal(self, line: journal.AnyLine) -> list[AgentEffect]:
        if not self.style.journal:
            return []
        return [Journal(session_id=self.session_id, line=journal.encode(line))]

    def _new_row(self, leg: int, role: str, kind: str, now: Instant) -> Row:
        self._count += 1
        return Row(
            index=self._count - 1,
            role=role,
            message="",
            id=f"{leg}.{self._count}",
            timestamp=stamps.iso(now),
            type=kind,
            metadata="{}",
            session_id=self.session_id,
        )

    def add(
        self, leg: int, role: str, kind: str, message: str, now: Instant, **metadata: str | bool
    ) -> list[AgentEffect]:
        """Write a row that is no turn: status, error, tool call, note."""
        row = self._new_row(leg, role, kind, now)
        row = msgspec.structs.replace(row, message=message, metadata=_json(dict(metadata)))
        return self._put(row, now)

    def _show(self, turn: Turn, now: Instant) -> list[AgentEffect]:
        """Bring the rows of a turn in line with its words, and tell the callback."""
        text = turn.shown
        out: list[AgentEffect] = []
        if turn.mode == "append":
            out += self._append(turn, text, now)
        else:
            if not turn.rows:
                turn.rows = [self._new_row(turn.leg, turn.role, "text", now)]
            wanted = msgspec.structs.replace(
                turn.rows[0], message=text, metadata=_json(turn.metadata)
            )
            if (turn.final or turn.mode == "live") and (
                wanted != turn.rows[0] or (turn.final and turn.mode == "coalesce")
            ):
                turn.rows = [wanted]
                out += self._put(wanted, now)
        out.append(Callback(name=_CALLBACKS[turn.role], args=(text, int(turn.final), turn.row_id)))
        return out

    def _append(self, turn: Turn, text: str, now: Instant) -> list[AgentEffect]:
        """One row a piece: write the piece that is new, or spread changed words over the pieces."""
        out: list[AgentEffect] = []
        written = "".join(row.message for row in turn.rows)
        if not text.startswith(written):
            if not turn.final:
                return out  # Words were revised; the final text puts it right.
            at = 0
            for n, row in enumerate(turn.rows):
                last = n == len(turn.rows) - 1
                share = text[at:] if last else text[at : at + len(row.message)]
                at += len(share)
                if share != row.message:
                    turn.rows[n] = msgspec.structs.replace(row, message=share)
                    out += self._put(turn.rows[n], now)
        elif len(text) > len(written) or not turn.rows:
            piece = self._new_row(turn.leg, turn.role, "text", now)
            turn.rows.append(msgspec.structs.replace(piece, message=text[len(written) :]))
        else:
            if not turn.final:
                return out
            piece = turn.rows[-1]
        last_row = turn.rows[-1]
        metadata = {**turn.metadata, "turn": turn.rows[0].id}
        if turn.final:
            metadata["final"] = True
        wanted = msgspec.structs.replace(last_row, metadata=_json(metadata))
        if wanted != last_row or not out:
            turn.rows[-1] = wanted
            out += self._put(wanted, now)
        return out

    # --- the user

    def speech_started(self, leg: int, frame: int) -> None:
        """Note where a user's turn begins; it may be one that an older leg left behind."""
        turn = self.turns.carried(leg, frame)
        if turn is not None:
            turn.leg, turn.item, turn.end_frame = leg, "", -1
            return
        open_turns = self.turns.open
        for turn in open_turns:
            if turn.leg == leg and not turn.item and turn.start_frame == frame:
                turn.end_frame = -1  # It goes on after a pause.
                return
        if len(open_turns) >= OPEN_KEPT:
            open_turns[0].final = True
        self.turns.add(Turn(role="user", leg=leg, start_frame=frame, mode=self.style.mode, rows=[]))

    def speech_ended(self, leg: int, frame: int) -> Turn | None:
        """Note where the running turn of the user ends; return the turn that ends there."""
        for turn in reversed(self.turns.open):
            if turn.leg == leg and turn.end_frame < 0:
                turn.end_frame = frame
                return turn
        # Its words may have been final before its end was told.
        for turn in reversed(self.turns.all):
            if turn.role == "user" and turn.leg == leg and 0 <= turn.start_frame < frame:
                if turn.end_frame < 0:
                    turn.end_frame = frame
                return turn
        return None

    def user_text(self, event: UserText, now: Instant) -> list[AgentEffect]:
        """Take the user's words as transcribed so far."""
        turn = self._user_turn(event.leg, event.item, event.start_frame)
        if turn.final:
            return []  # The service told the end of this turn before.
        turn.text = turn.text + event.text if event.delta else event.text
        turn.final = event.final
        if event.start_frame >= 0 and turn.start_frame < 0:
            turn.start_frame = event.start_frame
        if event.end_frame >= 0:
            turn.end_frame = event.end_frame
        return self._show(turn, now) if self.style.user else []

    def _user_turn(self, leg: int, item: str, start_frame: int) -> Turn:
        turn = self.turns.named("user", leg, item) or self.turns.waiting(leg, start_frame)
        if turn is None:
            turn = self.turns.add(
                Turn(role="user", leg=leg, start_frame=start_frame, mode=self.style.mode, rows=[])
            )
        if turn.leg != leg:
            turn.leg, turn.text, turn.end_frame = leg, "", -1
        turn.item = item
        return turn

    def user_dropped(self, event: UserTurnDropped, now: Instant) -> list[AgentEffect]:
        """Take back a turn that held no words."""
        turn = self.turns.named("user", event.leg, event.item)
        if turn is None:
            turn = self.turns.waiting(event.leg, -1)
        if turn is None or turn.final:
            return []
        self.turns.remove(turn)
        out: list[AgentEffect] = []
        for row in turn.rows:
            if not row.message and row.id not in self._rows:
                continue  # It has its place, and was never written.
            empty = msgspec.structs.replace(row, message="")
            if self._rows.pop(row.id, None) is not None:
                out.append(RowRemoved(row=empty))
            out += self._journal(
                journal.RowGone(at=stamps.iso(now), mono_ns=now.mono_ns, id=row.id)
            )
        if turn.rows:
            out.append(Callback(name="onUserText", args=("", 1, turn.row_id)))
        return out

    def typed(self, leg: int, text: str, now: Instant, *, unsent: bool) -> list[AgentEffect]:
        """Write what the user typed: a whole turn at once."""
        turn = Turn(
            role="user", leg=leg, text=text, final=True, typed=True, unsent=True,
            mode="coalesce", metadata={"typed": True}, rows=[],
        )  # fmt: skip
        self.turns.add(turn)
        if not unsent:
            self.turns.sent(turn, leg)
        return self._show(turn, now)

    def take_unsent(self, leg: int, most: int | None = None) -> list[Turn]:
        """Return the first `most` texts that wait; they count as sent to `leg` from now on."""
        waiting = [t for t in self.turns.all if t.unsent][:most]
        for turn in waiting:
            self.turns.sent(turn, leg)
        return waiting

    def skip_to(self, frame: int, leg: int, now: Instant) -> list[AgentEffect]:
        """Give up what older legs than `leg` left open before `frame`: it is not heard again."""
        out: list[AgentEffect] = []
        for turn in self.turns.open:
            if turn.leg < leg and turn.start_frame < frame:
                out += self._give_up(turn, "skipped", now)
        return out

    def _give_up(self, turn: Turn, why: str, now: Instant) -> list[AgentEffect]:
        """End an open turn of the user with the words there are."""
        turn.final = True
        if not turn.text:
            return []
        turn.metadata = {**turn.metadata, "partial": why}
        return self._show(turn, now) if self.style.user else []

    # --- the assistant

    def assistant_text(self, event: AssistantText, now: Instant) -> list[AgentEffect]:
        """Take words of a reply."""
        turn = self.turns.named("assistant", event.leg, event.item)
        if turn is None:
            turn = self.turns.add(
                Turn(
                    role="assistant", leg=event.leg, item=event.item, response=event.response,
                    mode=self.style.mode, rows=[],
                )
            )  # fmt: skip
        before = turn.shown, turn.final
        turn.text = turn.text + event.text if event.delta else event.text
        turn.final = turn.final or event.final
        if (turn.shown, turn.final) == before and turn.rows:
            return []
        return self._show(turn, now) if self.style.assistant else []

    def heard(self, event: Heard, now: Instant) -> list[AgentEffect]:
        """Keep the words of a cut item that were heard."""
        turn = self.turns.named("assistant", event.leg, event.item)
        if turn is None:
            return []
        turn.sounded_chars = max(0, event.chars)
        if not event.cut:
            return []
        turn.heard_chars, turn.final = turn.sounded_chars, True
        turn.metadata = {**turn.metadata, "interrupted": True, "heard_ms": event.ms}
        return self._show(turn, now) if self.style.assistant else []

    def response_done(
        self, leg: int, response: str, status: str, now: Instant, *, leads: bool = False
    ) -> list[AgentEffect]:
        """End the items of a reply; a complete one answers what was said before it.

        Args:
            leg: its leg.
            response: its name.
            status: completed, cancelled or failed.
            now: the instant.
            leads: it called a tool; the answer follows with the result.
        """
        out: list[AgentEffect] = []
        for turn in self.turns.of_response(leg, response):
            turn.leads = leads and status == "completed"
            if not turn.final:
                turn.final = True
                out += self._show(turn, now) if self.style.assistant else []
        if status == "completed" and not leads:
            for turn in self.turns.all:
                if turn.role != "user" or (turn.typed and turn.taken != (leg, response)):
                    continue
                if turn.final or turn.end_frame >= 0:
                    turn.answered = True
                    if not self.style.user:
                        turn.final = True  # No words will come.
        return out

    # --- legs and ends

    def leg_lost(self, leg: int, response: str, now: Instant) -> list[AgentEffect]:
        """Mark the reply that a lost leg left incomplete; open user turns wait for the next leg.

        Args:
            leg: the leg that is over.
            response: its incomplete reply, "" if there was none.
            now: the instant.
        """
        out: list[AgentEffect] = []
        for turn in self.turns.of_response(leg, response) if response else []:
            if turn.heard_chars is None:
                turn.lost = turn.final = True
                turn.heard_chars = turn.sounded_chars
                turn.metadata = {**turn.metadata, "cut": "lost"}
                out += self._show(turn, now) if self.style.assistant else []
        return out

    def give_up(self, now: Instant) -> list[AgentEffect]:
        """Expect no answer to anything said so far, and no words of turns that have ended."""
        out: list[AgentEffect] = []
        for turn in self.turns.all:
            if turn.role == "user" and not turn.unsent:
                turn.answered = True
                if not turn.final and turn.end_frame >= 0:
                    out += self._give_up(turn, "unanswered", now)
        return out

    def end(self, now: Instant) -> list[AgentEffect]:
        """Close the table: what is still open keeps the words there are."""
        out: list[AgentEffect] = []
        for turn in self.turns.all:
            if turn.final:
                continue
            if turn.role == "user":
                out += self._give_up(turn, "ended", now)
            else:
                turn.final = True
                out += self._show(turn, now) if self.style.assistant else []
        return out


def _json(metadata: dict[str, str | int | float | bool]) -> str:
    return msgspec.json.encode(metadata, order="sorted").decode()
