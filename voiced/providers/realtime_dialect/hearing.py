"""The user's side of a conversation: sound to the service, turns and their words from it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from voiced.providers.realtime_dialect import client, server
from voiced.providers.realtime_dialect.turns import Turn, Turns

if TYPE_CHECKING:
    from voiced.providers.realtime_dialect.conversation import Conversation

COMMIT = "commit"
"""How the names of commits begin."""
ANSWER_COMES_S = 3.0
"""So long after a turn's end the service begins its reply, or it will not."""
SPEECH_HOLDS_S = 10.0
"""What waits for an answer waits no longer for somebody who speaks on and on."""


class Hearing:
    """What the service hears of the user.

    Args:
        conversation: whose side this is.

    Attributes:
        turns: where the turns lie, and their words.
        manual: how a turn by push-to-talk goes.
    """

    def __init__(self, conversation: Conversation) -> None:
        self._talk = conversation
        self.turns = Turns(conversation.dialect.rate_in)
        self.manual = conversation.dialect.manual_turns(conversation)
        self._commits: deque[tuple[str, int, int]] = deque()
        """(name, first sample, end) of commits that the service has not answered."""
        self._turn_start = 0
        self._speaking = False
        self.awaits_answer = False
        """The service is about to begin a reply by itself."""
        self._speech = 0
        """Counts the stretches of speech, so that a timer knows its own."""
        self.takes: dict[type[server.ServerEvent], Callable[..., None]] = {
            server.TranscriptionDelta: self._transcription_delta,
            server.TranscriptionUpdated: self._transcription_updated,
            server.TranscriptionCompleted: self._transcription_completed,
            server.TranscriptionFailed: self._transcription_failed,
            server.SpeechStarted: self._speech_started,
            server.SpeechStopped: self._speech_stopped,
            server.Committed: self._committed,
            server.TimeoutTriggered: self._timeout_triggered,
        }

    # --- sound ------------------------------------------------------------------------------

    def hear(self, chunk: bytes) -> None:
        """Take sound of the microphone."""
        if self._talk.terms.manual:
            self.manual.append(chunk)
        else:
            self.append(chunk)

    def activity(self, active: bool) -> None:
        """The gate opened or closed: a turn's border, or the microphone paused."""
        talk = self._talk
        if talk.terms.manual:
            if active:
                self._turn_start = self.turns.taken
                talk.callbacks.speech_started(self._turn_start)
                self.manual.press()
            else:
                talk.callbacks.speech_ended(self.turns.taken)
                self.manual.release()
        elif not active and self._speaking and talk.terms.trailing_ms:
            silence = talk.dialect.rate_in * talk.terms.trailing_ms // 1000
            self.turns.insert(silence)
            talk.send(client.AudioAppend(audio=bytes(2 * silence)))

    # --- for turns by push-to-talk

    def append(self, chunk: bytes) -> None:
        """Append sound to what the service hears."""
        self.turns.appended += len(chunk) // 2
        self._talk.send(client.AudioAppend(audio=chunk))

    def clear(self) -> None:
        """Have the service drop what was appended."""
        self._talk.send(client.AudioClear(event_id=self._talk.name("clear")))

    def commit(self) -> str:
        """Make what was appended the user's turn; return the name that a reply may be wanted by."""
        name = self._talk.name(COMMIT)
        self._commits.append((name, self._turn_start, self.turns.taken))
        self._talk.send(client.AudioCommit(event_id=name))
        return name

    def uncommitted(self, name: str) -> None:
        """The service refused a turn: too short, or its own detection was quicker."""
        self._commits = deque(commit for commit in self._commits if commit[0] != name)
        self._talk.responses.drop(name)
        if self._talk.terms.manual:
            self.drop_turn()

    def is_committed(self, name: str) -> bool:
        """Whether the service has taken a turn of ours."""
        return all(commit[0] != name for commit in self._commits)

    @property
    def blocked(self) -> bool:
        """Whether the service must not hear anything now."""
        return self._talk.terms.manual and self.manual.blocked

    def drop_turn(self) -> None:
        """Tell that the microphone's last turn held nothing."""
        self._talk.callbacks.user_turn_dropped(self._talk.name("empty"), self.turns.taken)

    # --- where the service hears turns

    def _speech_started(self, event: server.SpeechStarted) -> None:
        talk = self._talk
        start = self.turns.sample(event.audio_start_ms)
        goes_on = False
        if event.item_id:
            turn = self.turns.of(event.item_id)
            # A turn may be taken for over too early; it goes on under its name.
            goes_on, turn.begun, turn.running = turn.begun, True, True
            turn.start = start if turn.start is None else turn.start
        if talk.terms.manual:
            self.manual.speech_heard()
            return
        self._speaking = True
        self._speech += 1
        if not goes_on:
            talk.callbacks.speech_started(start)
        elif talk.dialect.forgets_replies:
            self.turns.goes_on(turn)
            talk.forgotten()
        if talk.terms.answers:
            self.awaits_answer = True
            # The answer to this turn covers what waits for one; a room that is never quiet does
            # not hold up what was typed.
            talk.responses.hold("turn")
            speech = self._speech
            talk.shell.after(SPEECH_HOLDS_S, lambda: self._go_on(speech))
        if talk.terms.bargein:
            running = talk.responses.active
            if not (talk.terms.interrupts and talk.dialect.stops_itself):
                talk.cancel()
            talk.shell.cut(running)
            talk.give_up_calls()

    def _speech_stopped(self, event: server.SpeechStopped) -> None:
        end = self.turns.sample(event.audio_end_ms)
        if event.item_id:
            turn = self.turns.of(event.item_id)
            turn.end, turn.running = end, False
        if self._talk.terms.manual:
            return
        self._speaking = False
        self._talk.callbacks.speech_ended(end)
        if self._talk.terms.answers:
            speech = self._speech
            self._talk.shell.after(ANSWER_COMES_S, lambda: self._unanswered(speech))
        else:
            # Nobody is to wait for an answer that is not wanted.
            name = self._talk.name("unanswered")
            self._talk.callbacks.response_started(name)
            self._talk.callbacks.response_done(name)

    def _unanswered(self, speech: int) -> None:
        if speech == self._speech:
            self.awaits_answer = False
        self._go_on(speech)

    def _go_on(self, speech: int) -> None:
        if speech == self._speech:
            self._talk.responses.release("turn")

    def reply_begins(self) -> None:
        """The service answers: nothing waits for its answer any more."""
        self.manual.reply_begins()
        self.turns.answer(running=self._talk.terms.manual and not self.manual.pressed)
        if not self._speaking:
            self.awaits_answer = False
            self._talk.responses.release("turn")

    def _committed(self, event: server.Committed) -> None:
        if self._commits:
            name, start, end = self._commits.popleft()
            self._talk.responses.ack(name)
            if event.item_id:
                turn = self.turns.of(event.item_id)
                turn.start, turn.end = start, end
        if event.item_id:
            turn = self.turns.of(event.item_id)
            turn.running = False
            turn.answered |= bool(self._talk.responses.active)

    def _timeout_triggered(self, event: server.TimeoutTriggered) -> None:
        self.awaits_answer = True
        if event.item_id:
            self.turns.of(event.item_id).spoken = False

    # --- words

    def _transcription_delta(self, event: server.TranscriptionDelta) -> None:
        turn = self.turns.of(event.item_id)
        if event.delta and not turn.settled:
            turn.text += event.delta
            self._tell(turn, event.delta, delta=True)

    def _transcription_updated(self, event: server.TranscriptionUpdated) -> None:
        turn = self.turns.of(event.item_id)
        if event.transcript and not turn.settled:
            turn.text = event.transcript.removeprefix(turn.earlier)
            self._tell(turn, turn.text)

    def _transcription_completed(self, event: server.TranscriptionCompleted) -> None:
        talk = self._talk
        turn = self.turns.of(event.item_id)
        bill = talk.dialect.bill_transcription(talk, event)
        if bill is not None:
            talk.callbacks.usage(event.item_id, bill.usd, bill.detail, aside=True)
        if turn.settled:
            return
        turn.text, turn.read = (event.transcript or "").removeprefix(turn.earlier), True
        if talk.dialect.finals_at_once or (turn.replied and event.status != "in_progress"):
            self._settle(turn)
        elif turn.text.strip():
            self._tell(turn, turn.text)

    def _transcription_failed(self, event: server.TranscriptionFailed) -> None:
        turn = self.turns.of(event.item_id)
        if not turn.settled:
            self._settle(turn)
            title = self._talk.dialect.service.title
            sentence = f"{title} could not write down what was said"
            self._talk.troubles.once("transcription", sentence)

    def reply_comes(self) -> None:
        """Something of a reply has come: words that were held are final."""
        if not self._talk.dialect.finals_at_once:
            for turn in self.turns.replied():
                self._settle(turn)

    def answered(self) -> None:
        """A whole reply has come: turns that nobody writes down are over."""
        if not self._talk.terms.transcription_model:
            for turn in self.turns.open():
                self._settle(turn)

    def _settle(self, turn: Turn) -> None:
        """Tell a turn's final words, or that it has none."""
        turn.settled = True
        if turn.text.strip():
            self._tell(turn, turn.text, final=True)
        elif turn.spoken:
            self._talk.callbacks.user_turn_dropped(turn.item, turn.end)

    def _tell(self, turn: Turn, text: str, *, delta: bool = False, final: bool = False) -> None:
        self._talk.callbacks.user_text(
            turn.item, text, delta=delta, final=final, start_sample=turn.start, end_sample=turn.end
        )
