"""Whose turn it is: Gemini names neither turns nor replies, so they are counted here.

    user's turn:  open --a reply began--> answered --generationComplete, turnComplete--> final
    reply:        running --generationComplete--> generated --turnComplete--> done
                  running or generated --interrupted--> cut --turnComplete--> done (cancelled)

Three things of the wire (reference 1.3 and 1.5) shape it. A transcript stands in no order to the
reply that it belongs to. `turnComplete` comes about when the reply has sounded, not when it was
sent; with `IN_PROGRESS` it ends a part of an exchange only. And an activityStart can bring an
`interrupted` and a `turnComplete` that belong to the reply before: neither ends the turn that has
just begun, since a user's turn ends by a reply that began after it, and by nothing else.

Where the service does not say when speech began and ended (3.8 does not), its beginning is told
with the first words of it and its end with the answer, both without a position: nobody knows it.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from voiced.providers import gemini_codec as wire
from voiced.providers.contract import LegCallbacks
from voiced.providers.gemini_messages import RATE_IN

NEED_MORE_INPUT = "NEED_MORE_INPUT"
"""The model waits for the user to go on: no trouble."""


class UserTurn(msgspec.Struct, kw_only=True):
    """One turn of the user."""

    item: str
    start: int | None = None
    """Sample of the activityStart; None = not known."""
    end: int | None = None
    said: str = ""
    """Words that stay."""
    guess: str = ""
    """Words that the next ones replace."""
    segment: str = ""
    """The last finished stretch of it, to tell a repetition."""
    told: bool = False
    """The mind knows that it began."""
    over: bool = False
    """The user has ended it."""
    answered: bool = False
    """A reply began after it."""
    final: bool = False

    @property
    def text(self) -> str:
        """The whole turn so far."""
        return (self.said + self.guess).strip()


class Reply(msgspec.Struct, kw_only=True):
    """One reply; its items are the parts between which the model went on thinking."""

    name: str
    number: int
    part: int = 0
    words: bool = False
    """This part has words."""
    sound: bool = False
    content: bool = False
    """Some part has words or sound."""
    called: bool = False
    """A tool was called since the last word: what follows brings no space of its own."""
    generated: bool = False
    cut: bool = False
    superseded: bool = False
    """The user has taken the next turn since it was generated or cut."""
    odd: bytes = b""
    """Half a sample that waits for its other half."""
    queries: set[str] = msgspec.field(default_factory=set)

    @property
    def item(self) -> str:
        """Name of the part that is being said."""
        return f"a{self.number}" if not self.part else f"a{self.number}.{self.part}"


class Turns:
    """What was said, told through the callbacks of one connection.

    Args:
        told: the callbacks.
        push_to_talk: the borders of the user's turns come from `activity`.
        sent: how many samples the service was given so far.
    """

    def __init__(self, told: LegCallbacks, *, push_to_talk: bool, sent: Callable[[], int]) -> None:
        self._told, self._push_to_talk, self._sent = told, push_to_talk, sent
        self._user: UserTurn | None = None
        self._reply: Reply | None = None
        self._users = self._replies = 0
        self._repeated = ""
        """The last final words, until the turn is over: some come twice."""
        self._stray = False
        """A reply that was over was interrupted: its turnComplete may come once more."""
        self._cuts_itself = False
        """What was sent interrupts the reply that runs: nobody speaks."""

    @property
    def response(self) -> str:
        """Name of the reply that runs, or of the last one."""
        return f"r{self._replies}"

    # --- what we do -------------------------------------------------------------------------

    def activity(self, active: bool) -> None:
        """Note a border of the user's turn that is being told to the service."""
        if active:
            self._leave_user()
            self._user = self._new_user()
            self._user.start, self._user.told = self._sent(), True
            return
        self._supersede()
        if self._user is not None and not self._user.over:
            self._user.over = True
            end = self._sent()
            if self._user.start is not None and end > self._user.start:
                self._user.end = end

    def typed(self) -> None:
        """Note a typed turn: it cuts the reply that runs, and what comes next answers it."""
        self._supersede()
        self._cuts_itself = True

    def result_cuts(self) -> None:
        """Note a tool's result that is to be spoken of at once."""
        self._cuts_itself = True

    # --- what they say ----------------------------------------------------------------------

    def user_words(self, event: wire.UserWords) -> None:
        """Take words of the user."""
        if self._is_repetition(event):
            if event.finished:
                self._finished()
            return
        user = self._user
        if user is None or user.final:
            if not event.text.strip():
                return
            user = self._user = self._new_user()
            self._supersede()
            self._speech_started(user)
        if event.interim:
            user.guess = event.text
        else:
            user.said, user.guess = user.said + self._gap(user, event.text) + event.text, ""
        if event.finished:
            user.segment = event.text.strip()
        if user.text:
            self._tell(user)
        if event.finished:
            self._finished()

    def activity_heard(self, event: wire.Activity) -> None:
        """Take where the service heard the user begin or end (3.1 alone tells)."""
        if self._push_to_talk:
            return
        sample = None if event.offset_s is None else round(event.offset_s * RATE_IN)
        if sample is not None and sample > self._sent():
            sample = None  # It counts from elsewhere: a resumed session's own beginning.
        if event.active:
            if self._user is None or self._user.answered or self._user.final:
                self._leave_user()
                self._user = self._new_user()
                self._user.told = True
                self._supersede()
                self._told.speech_started(sample)
        elif self._user is not None and self._user.told and not self._user.over:
            self._user.over = True
            self._told.speech_ended(sample)

    def sound(self, pcm: bytes) -> None:
        """Take sound of the reply."""
        reply = self._content()
        if reply.generated and not reply.cut:
            self._next_part(reply)
        pcm = reply.odd + pcm
        cut = len(pcm) & ~1
        reply.odd = pcm[cut:]
        reply.sound = reply.content = True
        if cut:
            self._told.audio(reply.name, reply.item, pcm[:cut])

    def reply_words(self, text: str) -> None:
        """Take words of the reply."""
        reply = self._content()
        if not reply.words:
            text = text.lstrip()
        elif reply.called and text[:1].isalnum():
            text = f" {text}"
        if text:
            reply.words = reply.content = True
            reply.called = False
            self._told.assistant_text(reply.name, reply.item, text)

    def called(self) -> None:
        """A tool is called: that is a reply, too."""
        self._content().called = True

    def searched(self, queries: tuple[str, ...]) -> int:
        """Take the searches of the reply; return how many are new."""
        reply = self._content()
        new = set(queries) - reply.queries
        reply.queries |= new
        return len(new)

    def interrupted(self) -> None:
        """The user spoke into the reply; the loudspeaker is the caller's."""
        if self._reply is not None:
            self._reply.cut = True
        else:
            self._stray = True
        user, expected = self._user, self._cuts_itself
        self._cuts_itself = False
        if self._push_to_talk or expected:
            return  # The turn that did it, if any, was begun by `activity`.
        if user is None or user.answered or user.final:
            self._leave_user()
            user = self._user = self._new_user()
        self._speech_started(user)

    def generation_complete(self) -> None:
        """All of the reply has come; the words that it answers are final."""
        reply = self._reply
        if reply is None or reply.generated:
            return
        self._end_part(reply)
        reply.generated = True
        self._settle_user(drop=False)

    def turn_complete(self, event: wire.TurnComplete) -> None:
        """The model's turn is over, or a part of it."""
        reply = self._reply
        refused = event.reason not in ("", NEED_MORE_INPUT)
        if refused and (reply is None or not reply.cut):
            self._told.trouble(
                event.reason.lower(), f"Gemini ended its turn without the rest: {event.reason}"
            )
        stray, self._stray = self._stray, False
        if reply is None and (stray or not self._has_begun_one(event)):
            return
        reply = self._reply or self._content()
        if event.in_progress and not reply.cut:
            self._next_part(reply)
            return
        empty = refused and not reply.content
        self._settle_user(drop=True)
        self._end(reply, "cancelled" if reply.cut or empty else "completed")
        self._settle_rest(reply)
        self._repeated = ""

    def closing(self) -> None:
        """The connection is over: a reply sent whole is complete, though it still sounds."""
        reply = self._reply
        if reply is not None and reply.generated and not reply.cut:
            self._settle_user(drop=False)
            self._end(reply, "completed")

    # --- the user ---------------------------------------------------------------------------

    def _new_user(self) -> UserTurn:
        self._users += 1
        return UserTurn(item=f"u{self._users}")

    def _speech_started(self, user: UserTurn) -> None:
        """Tell that the user speaks, unless these may be late words of what is being answered."""
        busy = self._reply is not None and not self._reply.cut
        if not self._push_to_talk and not user.told and not busy:
            user.told = True
            self._told.speech_started()

    def _speech_ended(self, user: UserTurn) -> None:
        if user.over:
            return
        user.over = True
        if not self._push_to_talk and user.told:
            self._told.speech_ended()

    def _finished(self) -> None:
        """A stretch of speech is transcribed; with Talk held more of them may follow."""
        user = self._user
        if user is None or (self._push_to_talk and not user.over and user.told):
            return
        self._speech_ended(user)
        self._finalise(user)

    def _is_repetition(self, event: wire.UserWords) -> bool:
        text, user = event.text.strip(), self._user
        if not text or event.interim:
            return False
        if user is not None and not user.final:
            whole = user.segment or (user.said.strip() if event.finished else "")
            return text == whole
        return text == self._repeated

    @staticmethod
    def _gap(user: UserTurn, text: str) -> str:
        """Return the space between two finished stretches, whose words bring none of their own."""
        stands = user.said.strip() == "" or user.said[-1].isspace() or text[:1].isspace()
        ended = bool(user.segment) and user.said.rstrip().endswith(user.segment)
        return "" if stands or not ended else " "

    def _tell(self, user: UserTurn, *, final: bool = False) -> None:
        start, end = user.start, user.end
        if end is None and start is not None and self._sent() <= start:
            start = None  # Nothing of it was sent: the position would be the next turn's.
        self._told.user_text(user.item, user.text, final=final, start_sample=start, end_sample=end)

    def _finalise(self, user: UserTurn) -> None:
        if user.final or not user.text:
            return
        user.said, user.guess, user.final = user.text, "", True
        self._repeated = user.text
        self._tell(user, final=True)

    def _settle_user(self, *, drop: bool) -> None:
        """End the user's turn that has been answered; `drop`: words would have come by now."""
        user = self._user
        if user is None or not user.answered or user.final:
            return
        self._finalise(user)
        if drop and not user.final:
            user.final = True
            if user.told:
                self._told.user_turn_dropped(user.item)

    def _settle_rest(self, reply: Reply) -> None:
        """End a turn of the user that this reply overlapped, if nothing more is to come of it."""
        user = self._user
        if user is None or user.answered:
            return
        # Late words of what was answered; or a reply that went on through the turn that it answers.
        late = not user.told
        overlapped = user.over and not reply.cut
        if overlapped if self._push_to_talk else late:
            self._finalise(user)

    def _leave_user(self) -> None:
        """The user begins another turn: the one before has all its words."""
        user, self._user = self._user, None
        self._repeated = ""
        if user is None or user.final:
            return
        self._speech_ended(user)
        self._finalise(user)
        if not user.final and user.told:
            self._told.user_turn_dropped(user.item)

    # --- the reply --------------------------------------------------------------------------

    def _supersede(self) -> None:
        if self._reply is not None and (self._reply.generated or self._reply.cut):
            self._reply.superseded = True

    def _content(self) -> Reply:
        """Return the reply that what has come belongs to; begin one where none runs."""
        reply = self._reply
        if reply is not None and reply.superseded:
            # Its turnComplete got lost; what comes now answers something newer.
            self._end(reply, "cancelled" if reply.cut else "completed")
            reply = None
        if reply is None:
            self._replies += 1
            self._stray = self._cuts_itself = False
            reply = self._reply = Reply(name=self.response, number=self._replies)
            if self._user is not None and (self._user.over or not self._push_to_talk):
                self._user.answered = True
                self._speech_ended(self._user)
            self._told.response_started(reply.name)
        return reply

    def _has_begun_one(self, event: wire.TurnComplete) -> bool:
        """Whether a turn that ends without any content is a reply all the same.

        It is one that only thinks so far; one that was refused; and, where the service finds the
        turns, one that leaves a turn unanswered on purpose. Else it belongs to a reply that is
        over, or it is the silence that the mind watches for.
        """
        user = self._user
        heard = user is not None and not user.answered and bool(user.text)
        return event.in_progress or bool(event.reason) or (heard and not self._push_to_talk)

    def _end_part(self, reply: Reply) -> None:
        if reply.words:
            self._told.assistant_text(reply.name, reply.item, "", final=True)
        if reply.sound:
            self._told.audio_done(reply.name, reply.item)

    def _next_part(self, reply: Reply) -> None:
        if not reply.generated:
            self._end_part(reply)
        if reply.words or reply.sound:
            reply.part += 1
        reply.words = reply.sound = reply.generated = False
        reply.odd = b""

    def _end(self, reply: Reply, status: str) -> None:
        if not reply.generated and not reply.cut:
            self._end_part(reply)
        self._reply = None
        self._told.response_done(reply.name, status)
