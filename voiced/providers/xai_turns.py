"""Push-to-talk with xAI: a commit of speech is answered by itself, and no reply may be spoken into.

Sound that reaches the service during a reply ends that reply without a word, so a press stops what
runs and keeps the microphone waiting until it is over. A request beside a commit would be answered
before the speech is part of the conversation, so the commit alone is sent; only where no reply
begins is one asked for. A commit of silence is neither acknowledged nor answered, and a clear right
behind a commit takes the reply away, so what was left over is cleared with the next turn's first
sound.
"""

from __future__ import annotations

from voiced.providers.realtime_dialect.conversation import Conversation
from voiced.providers.realtime_dialect.dialect import ManualTurns

ANSWERS_WITHIN_S = 0.7
"""A commit that no reply has taken up by then is not going to be answered by itself."""
STOPS_WITHIN_S = 1.5
"""So long a press waits for the reply that it stops; then the microphone goes on all the same."""
ANSWER = "answer"
"""Why nothing is asked for: the service is about to answer a commit."""


class CommittedTurns(ManualTurns):
    """Turns of push-to-talk that the service answers without being asked.

    Args:
        conversation: whose turns.
    """

    def __init__(self, conversation: Conversation) -> None:
        super().__init__(conversation)
        self._pressed = 0
        """Counts the presses, so that a timer knows its own."""
        self._impatient = False
        self._heard = False
        """The service has heard speech in this turn."""
        self._left_over = False
        """The service holds sound that is no turn."""
        self._committed = ""
        """Name of the commit that no reply has taken up yet."""

    @property
    def blocked(self) -> bool:
        """Whether a reply is being stopped: nothing may be appended."""
        if not self.pressed or self._impatient:
            return False
        return self.conversation.responses.busy or bool(self._committed)

    def press(self) -> None:
        """The turn begins; what runs is stopped, what still sounds is cut."""
        self.pressed, self.appended = True, 0
        self._heard = self._impatient = False
        self._pressed += 1
        press = self._pressed
        self.conversation.responses.hold("user")
        self.conversation.shell.after(STOPS_WITHIN_S, lambda: self._wait_no_longer(press))
        self.conversation.interrupt()

    def _wait_no_longer(self, press: int) -> None:
        if press == self._pressed:
            self._impatient = True

    def append(self, chunk: bytes) -> None:
        """Sound of the turn."""
        if self._left_over:
            self._left_over = False
            self.conversation.hearing.clear()
        super().append(chunk)

    def speech_heard(self) -> None:
        """The service hears speech."""
        self._heard = True

    def reply_begins(self) -> None:
        """A reply begins: to the commit, or into a turn, where it is stopped."""
        self._committed = ""
        self.conversation.responses.release(ANSWER)
        if self.pressed:
            self.conversation.interrupt()

    def release(self) -> None:
        """The turn is over; the service answers it by itself."""
        if not self.pressed:
            return
        self.pressed = False
        talk = self.conversation
        if self.appended * 1000 < self.SHORTEST_MS * 2 * talk.dialect.rate_in:
            self._left_over |= self.appended > 0
            talk.hearing.drop_turn()
        else:
            self._committed = name = talk.hearing.commit()
            talk.responses.hold(ANSWER)
            talk.shell.after(ANSWERS_WITHIN_S, lambda: self._unanswered(name))
        talk.responses.release("user")

    def _unanswered(self, name: str) -> None:
        """No reply has begun by itself: it is asked for, if there is anything to be answered."""
        if name != self._committed:
            return
        self._committed = ""
        talk = self.conversation
        if self._heard or talk.hearing.is_committed(name):
            talk.responses.want(name, acked=True)
        else:
            self._left_over = True
            talk.hearing.uncommitted(name)
        talk.responses.release(ANSWER)
