"""One conversation, event by event: what the service says becomes callbacks and answers.

No clock and no socket: client events wait in `outbox`, and what needs either is asked of the
`Shell`. Every method returns at once.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec

from voiced.errors import ProviderError, ProviderRefused, ProviderUnavailable
from voiced.messages.network import HistoryRow
from voiced.providers.contract import HeardItem, LegCallbacks
from voiced.providers.dial import Closing
from voiced.providers.realtime_dialect import client, server
from voiced.providers.realtime_dialect.calls import STARTED, Call, Calls, is_object, result_text
from voiced.providers.realtime_dialect.client import ClientEvent
from voiced.providers.realtime_dialect.dialect import Dialect, Terms
from voiced.providers.realtime_dialect.faults import Meaning, Verdict
from voiced.providers.realtime_dialect.items import Items, named
from voiced.providers.realtime_dialect.responses import TOKEN, Responses
from voiced.providers.realtime_dialect.turns import Turn, Turns

ANSWER_COMES_S = 3.0
"""So long after a turn's end the service begins its reply, or it will not."""
LIMIT_S = 5.0
"""Waited where a limit is reached and the service does not say until when."""
LIMIT_MOST_S = 60.0
TYPES_TOLD = 100
"""Unknown and malformed types that are logged; a service that sends more of them is broken."""

logger = logging.getLogger(__name__)


class Shell(Protocol):
    """What a conversation needs of the world."""

    def wake(self) -> None:
        """There is something in the outbox."""

    def cut(self, running: str) -> None:
        """Silence the loudspeaker, then call `heard` with what was heard and with `running`."""

    def after(self, seconds: float, call: Callable[[], None]) -> None:
        """Call back later, while the connection lasts."""

    def opened(self) -> None:
        """Our settings are in force."""

    def primed(self) -> None:
        """The service has all of the history."""

    def end(self, error: ProviderError) -> None:
        """The connection is of no use any more."""


class Conversation:
    """What both sides know of one conversation.

    Args:
        dialect: how the service speaks.
        terms: what is agreed for this connection.
        callbacks: where what the service says goes.
        blocking: names of tools that the model waits for; others are answered at once.

    Attributes:
        outbox: client events to be sent, in order.
        session_id: the service's name for the session.
        conversation_id: the service's name for the conversation, where it has one.
        expires_at: when the service ends the session, Unix time; 0 = not told.
        voiced: the service has spoken.
    """

    def __init__(
        self,
        dialect: Dialect,
        terms: Terms,
        callbacks: LegCallbacks,
        *,
        nonblocking: Sequence[str] = (),
    ) -> None:
        self.dialect, self.terms, self.callbacks = dialect, terms, callbacks
        self.nonblocking = frozenset(nonblocking)
        self.outbox: deque[ClientEvent] = deque()
        self.shell: Shell
        self.session_id = self.conversation_id = ""
        self.expires_at = 0.0
        self.spoken = False
        self.responses = Responses(self.send)
        self.items = Items(dialect.rate_out)
        self.turns = Turns(dialect.rate_in)
        self.calls = Calls()
        self.manual = dialect.manual_turns(self)
        self._opened = False
        self._count = 0
        self._priming: set[str] = set()
        self._commits: deque[tuple[str, int, int]] = deque()
        self._turn_start = 0
        self._speaking = False
        self._speech = 0
        self._retried = False
        self._limit_s = 0.0
        self._expiry_told = False
        self._told: set[str] = set()
        self._late: dict[str, list[ClientEvent]] = {}
        self._update: list[ClientEvent] = []
        self._take: dict[type[server.ServerEvent], Callable[..., None]] = {
            server.SessionCreated: self._session_created,
            server.SessionUpdated: self._session_updated,
            server.ConversationCreated: self._conversation_created,
            server.ItemAdded: self._item_added,
            server.ItemCreated: self._item_added,
            server.ItemDone: self._item_added,
            server.TranscriptionDelta: self._transcription_delta,
            server.TranscriptionUpdated: self._transcription_updated,
            server.TranscriptionCompleted: self._transcription_completed,
            server.TranscriptionFailed: self._transcription_failed,
            server.SpeechStarted: self._speech_started,
            server.SpeechStopped: self._speech_stopped,
            server.Committed: self._committed,
            server.TimeoutTriggered: self._timeout_triggered,
            server.RateLimitsUpdated: self._rate_limits,
            server.ResponseCreated: self._response_created,
            server.ResponseDone: self._response_done,
            server.OutputItemAdded: self._output_item_added,
            server.OutputItemDone: self._output_item_done,
            server.AudioDelta: self._audio_delta,
            server.AudioDone: self._audio_done,
            server.TranscriptDelta: self._transcript_delta,
            server.TranscriptDone: self._transcript_done,
            server.TextDelta: self._text_delta,
            server.TextDone: self._text_done,
            server.ErrorEvent: self._error,
        }

    # --- what we say ------------------------------------------------------------------------

    def send(self, event: ClientEvent) -> None:
        """Put an event behind everything that waits to be sent."""
        self.outbox.append(event)
        self.shell.wake()

    def name(self, what: str) -> str:
        """Return a new name, unique in this connection and at most 32 characters long."""
        self._count += 1
        return f"{what}_{self._count}"

    def update(self, session: dict[str, object], *, between_replies: bool = False) -> None:
        """Change settings; some are taken between replies alone."""
        event = client.SessionUpdate(event_id=self.name("su"), session=session)
        if between_replies and self.responses.busy:
            self._update.append(event)
        else:
            self.send(event)

    def hear(self, chunk: bytes) -> None:
        """Take sound of the microphone."""
        if self.terms.manual:
            self.manual.append(chunk)
        else:
            self.append(chunk)

    def append(self, chunk: bytes) -> None:
        """Append sound to what the service hears."""
        self.turns.appended += len(chunk) // 2
        self.send(client.AudioAppend(audio=chunk))

    def activity(self, active: bool) -> None:
        """The gate opened or closed: a turn's border, or the microphone paused."""
        if self.terms.manual:
            if active:
                self._turn_start = self.turns.taken
                self.callbacks.speech_started(self._turn_start)
                self.manual.press()
            else:
                self.callbacks.speech_ended(self.turns.taken)
                self.manual.release()
        elif not active and self._speaking and self.terms.trailing_ms:
            silence = self.dialect.rate_in * self.terms.trailing_ms // 1000
            self.turns.insert(silence)
            self.send(client.AudioAppend(audio=bytes(2 * silence)))

    def clear(self) -> None:
        """Have the service drop what was appended."""
        self.send(client.AudioClear(event_id=self.name("clear")))

    def commit(self) -> str:
        """Make what was appended the user's turn; return the name that a reply may be wanted by."""
        name = self.name("commit")
        self._commits.append((name, self._turn_start, self.turns.taken))
        self.send(client.AudioCommit(event_id=name))
        return name

    def drop_turn(self) -> None:
        """Tell that the microphone's last turn held nothing."""
        self.callbacks.user_turn_dropped(self.name("empty"), self.turns.taken)

    def text(self, text: str, image: client.InputImage | None = None) -> None:
        """Take words that the user typed, with what they can see."""
        content: list[client.InputText | client.OutputText | client.InputImage]
        content = [client.InputText(text=text)]
        if image is not None:
            content.append(image)
        self.responses.want(self._put("user", content))

    def say(self, text: str) -> None:
        """Have words spoken as they are."""
        said = self.dialect.said(text)
        if isinstance(said, ClientEvent):
            self.send(said)
        else:
            self.responses.want_said(said)

    def note(self, text: str) -> None:
        """Give context that is not to be answered."""
        self._put("system", [client.InputText(text=text)])

    def _put(
        self,
        role: str,
        content: list[client.InputText | client.OutputText | client.InputImage],
        what: str = "it",
    ) -> str:
        name = self.name(what)
        item = msgspec.convert(
            {"type": "message", "id": name, "role": role, "content": []}, client.MessageItem
        )
        self.create(msgspec.structs.replace(item, content=content), name)
        return name

    def create(self, item: client.ClientItem, name: str) -> None:
        """Put an item into the conversation; an error about it names `name`."""
        self.send(client.ItemCreate(event_id=name, item=item))

    def prime(self, rows: Sequence[HistoryRow], respond: bool) -> None:
        """Give the conversation so far, a row an item; `Shell.primed` tells that all are there."""
        last = ""
        for row in rows:
            if not row.text.strip():
                continue
            if row.role == "assistant":
                last = self._put("assistant", [client.OutputText(text=row.text)], "h")
            else:
                last = self._put("user", [client.InputText(text=row.text)], "h")
            self._priming.add(last)
        if respond:
            self.responses.want(last or self.name("answer"), acked=not last)
        if not self._priming:
            self.shell.primed()

    def result(self, call_id: str, name: str, ok: bool, result: str) -> None:
        """Take the result of a tool call."""
        call = self.calls.find(call_id)
        text = result_text(ok, result)
        if call is None or (not call.waits and call.sent):
            # Another connection's call, or one whose answer was not waited for: a call takes one
            # output, so this one comes as words.
            words = f"Result of the tool {name} ({call_id}): {text}"
            self.responses.want(self._put("system", [client.InputText(text=words)]))
        elif call.output is None:
            call.output = text
            self._send_results(call.response)
        elif not call.waits:
            call.later = text

    # --- interruption -----------------------------------------------------------------------

    def interrupt(self) -> None:
        """The user begins to speak and nothing tells the service: stop it and cut what sounds."""
        running = self._cancel()
        self.shell.cut(running)

    def interrupted(self, heard: Sequence[HeardItem]) -> None:
        """The loudspeaker was silenced by hand: stop the service, tell it what was heard."""
        self.heard(heard, self._cancel())

    def heard(self, heard: Sequence[HeardItem], running: str) -> None:
        """Tell the service what was heard of what was cut while the reply `running` was sent."""
        for event in self.items.cut(heard, running):
            if self.dialect.truncates_at_once or self.responses.active != running:
                self.send(event)
            else:
                self._late.setdefault(running, []).append(event)

    def _cancel(self) -> str:
        running = self.responses.cancel()
        if running and self.dialect.done_within_s:
            self.shell.after(self.dialect.done_within_s, lambda: self._given_up(running))
        return running

    def _given_up(self, response: str) -> None:
        if self.responses.active == response and self.responses.was_stopped(response):
            self._over(response, "cancelled")

    # --- what the service says --------------------------------------------------------------

    def take(self, frame: str | bytes) -> None:
        """Take a frame; one that cannot be read is told once and ends nothing."""
        event = server.decode(frame)
        self.callbacks.alive()
        if isinstance(event, server.Unknown):
            self._told_once(f"unknown event {event.type}")
        elif isinstance(event, server.Malformed):
            self._told_once(f"malformed event {event.type}: {event.why}")
        elif (take := self._take.get(type(event))) is not None:
            take(event)

    def _told_once(self, what: str) -> None:
        if what not in self._told and len(self._told) < TYPES_TOLD:
            self._told.add(what)
            logger.warning("! %s: %s", self.dialect.service.title, what)

    def _session_created(self, event: server.SessionCreated) -> None:
        self.session_id = event.session.id or self.session_id
        self.expires_at = event.session.expires_at or self.expires_at

    def _session_updated(self, event: server.SessionUpdated) -> None:
        self.session_id = event.session.id or self.session_id
        self.expires_at = event.session.expires_at or self.expires_at
        if not self._opened:
            self._opened = True
            self.shell.opened()

    def _conversation_created(self, event: server.ConversationCreated) -> None:
        self.conversation_id = event.conversation.id or self.conversation_id

    def _item_added(self, event: server.ItemAdded | server.ItemCreated | server.ItemDone) -> None:
        self._acked(event.item.id or "")

    def _acked(self, item: str) -> None:
        self.responses.ack(item)
        if item in self._priming:
            self._priming.discard(item)
            if not self._priming:
                self.shell.primed()

    # --- the user's turns

    def _speech_started(self, event: server.SpeechStarted) -> None:
        start = self.turns.sample(event.audio_start_ms)
        if event.item_id:
            turn = self.turns.of(event.item_id)
            turn.start = start if turn.start is None else turn.start
        if self.terms.manual:
            return
        self._speaking = True
        self._speech += 1
        self.callbacks.speech_started(start)
        if self.terms.answers:
            # The answer to this turn covers what waits for one.
            self.responses.hold("turn")
        if self.terms.bargein:
            if not (self.terms.interrupts and self.dialect.stops_itself):
                self._cancel()
            self.shell.cut(self.responses.active)

    def _speech_stopped(self, event: server.SpeechStopped) -> None:
        end = self.turns.sample(event.audio_end_ms)
        if event.item_id:
            self.turns.of(event.item_id).end = end
        if self.terms.manual:
            return
        self._speaking = False
        self.callbacks.speech_ended(end)
        speech = self._speech
        self.shell.after(ANSWER_COMES_S, lambda: self._no_answer(speech))

    def _no_answer(self, speech: int) -> None:
        if speech == self._speech:
            self.responses.release("turn")

    def _committed(self, event: server.Committed) -> None:
        turn = self.turns.of(event.item_id or "")
        if self._commits:
            name, start, end = self._commits.popleft()
            self.responses.ack(name)
            turn.start, turn.end = start, end

    def _timeout_triggered(self, event: server.TimeoutTriggered) -> None:
        if event.item_id:
            self.turns.of(event.item_id).spoken = False

    def _transcription_delta(self, event: server.TranscriptionDelta) -> None:
        turn = self.turns.of(event.item_id)
        if event.delta and not turn.settled:
            turn.text += event.delta
            self._tell_turn(turn, event.delta, delta=True)

    def _transcription_updated(self, event: server.TranscriptionUpdated) -> None:
        turn = self.turns.of(event.item_id)
        if event.transcript and not turn.settled:
            turn.text = event.transcript
            self._tell_turn(turn, turn.text)

    def _transcription_completed(self, event: server.TranscriptionCompleted) -> None:
        turn = self.turns.of(event.item_id)
        bill = self.dialect.bill_transcription(self, event)
        if bill is not None:
            self.callbacks.usage(event.item_id, bill.usd, bill.detail)
        if turn.settled:
            return
        turn.text = event.transcript or ""
        if self.dialect.finals_at_once:
            self._settle(turn)
        elif turn.text.strip():
            self._tell_turn(turn, turn.text)

    def _transcription_failed(self, event: server.TranscriptionFailed) -> None:
        turn = self.turns.of(event.item_id)
        if not turn.settled:
            self._settle(turn)
            title = self.dialect.service.title
            self._trouble_once("transcription", f"{title} could not write down what was said")

    def _settle(self, turn: Turn) -> None:
        """Tell a turn's final words, or that it has none."""
        turn.settled = True
        if turn.text.strip():
            self._tell_turn(turn, turn.text, final=True)
        elif turn.spoken:
            self.callbacks.user_turn_dropped(turn.item, turn.end)

    def _tell_turn(
        self, turn: Turn, text: str, *, delta: bool = False, final: bool = False
    ) -> None:
        self.callbacks.user_text(
            turn.item, text, delta=delta, final=final, start_sample=turn.start, end_sample=turn.end
        )

    # --- replies

    def _response_created(self, event: server.ResponseCreated) -> None:
        response = event.response.id
        if response and response != self.responses.active and not self.responses.is_over(response):
            self._begin(response, _token(event.response.metadata))

    def _begin(self, response: str, token: str = "") -> None:
        if self.responses.active:
            # One reply at a time: the end of the one before was lost, or never told.
            self._over(self.responses.active, "cancelled", goes_on=False)
        heard = self.responses.created(response, token)
        self.responses.release("turn")
        if heard:
            self.callbacks.response_started(response)

    def _runs(self, response: str) -> bool:
        """Whether what comes of a reply is wanted; one that was not announced begins by it."""
        if self.responses.is_over(response):
            return False
        if response != self.responses.active:
            self._begin(response)
        self._settle_turns()
        return True

    def _settle_turns(self) -> None:
        if not self.dialect.finals_at_once:
            for turn in self.turns.unsettled():
                self._settle(turn)

    def _output_item_added(self, event: server.OutputItemAdded) -> None:
        if self._runs(event.response_id) and event.item.id:
            item = self.items.of(event.response_id, event.item.id)
            item.call = event.item.type not in (None, "message")

    def _output_item_done(self, event: server.OutputItemDone) -> None:
        if self._runs(event.response_id):
            self._call(event.response_id, event.item)

    def _audio_delta(self, event: server.AudioDelta) -> None:
        if self._runs(event.response_id) and event.delta:
            item = self.items.of(event.response_id, event.item_id, event.content_index)
            item.received += len(event.delta)
            self.spoken = True
            self.callbacks.audio(event.response_id, named(item.id, item.content_index), event.delta)

    def _audio_done(self, event: server.AudioDone) -> None:
        if self._runs(event.response_id):
            self.callbacks.audio_done(event.response_id, named(event.item_id, event.content_index))

    def _transcript_delta(self, event: server.TranscriptDelta) -> None:
        self._words(event, event.delta or "")

    def _transcript_done(self, event: server.TranscriptDone) -> None:
        self._words(event, event.transcript or "", final=True)

    def _text_delta(self, event: server.TextDelta) -> None:
        self._words(event, event.delta or "", written=True)

    def _text_done(self, event: server.TextDone) -> None:
        self._words(event, event.text or "", final=True, written=True)

    def _words(
        self,
        event: server.TranscriptDelta | server.TranscriptDone | server.TextDelta | server.TextDone,
        text: str,
        *,
        final: bool = False,
        written: bool = False,
    ) -> None:
        if not (self._runs(event.response_id) and (text or final)):
            return
        item = self.items.of(event.response_id, event.item_id, event.content_index)
        item.written |= written
        self.callbacks.assistant_text(
            event.response_id,
            named(event.item_id, event.content_index),
            text,
            delta=not final or not text,
            final=final,
        )

    def _response_done(self, event: server.ResponseDone) -> None:
        response = event.response.id or event.response_id or self.responses.active
        if not response or self.responses.is_done(response):
            return
        self._settle_turns()
        bill = self.dialect.bill(self, event)
        if bill is not None:
            self.callbacks.usage(response, bill.usd, bill.detail)
        status = event.response.status or "completed"
        details = _details(event.response.status_details)
        if status == "completed":
            self._retried = False
            for item in _output(event.response.output):
                self._call(response, item)
        self._over(
            response,
            status,
            by_user=details.reason == "turn_detected",
            token=_token(event.response.metadata),
        )
        if status == "failed" and details.error is not None:
            self._judged(self.dialect.faults.judge(details.error), failed=True)
        elif status == "incomplete" and details.reason == "max_output_tokens":
            self._trouble_once(
                "max_output_tokens", "a reply was cut off at max_output_tokens: raise it"
            )
        elif status == "incomplete":
            sentence = f"{self.dialect.service.title}'s content filter ended a reply"
            self.callbacks.trouble(details.reason or "incomplete", sentence)

    def _over(
        self,
        response: str,
        status: str,
        *,
        by_user: bool = False,
        token: str = "",
        goes_on: bool = True,
    ) -> None:
        """A reply has ended: tell it, send what waited for that, and go on."""
        if not self.responses.is_muted(response):
            self.callbacks.response_done(response, _STATUS.get(status, "completed"))
        for event in self._late.pop(response, []):
            self.send(event)
        for call in self.calls.over(response, interrupted=status == "cancelled"):
            self.callbacks.tool_cancelled(call.id)
        self._send_results(response)
        for update in self._update:
            self.send(update)
        self._update.clear()
        by_user = by_user and self.dialect.turn_follows_cancel and self.terms.answers
        self.responses.done(response, waits=by_user or not goes_on, token=token)

    def _call(self, response: str, item: server.Item) -> None:
        if item.type != "function_call" or item.status != "completed" or not item.call_id:
            return
        call = Call(item.call_id, item.name or "", response)
        if not self.calls.begin(call):
            return
        if not is_object(item.arguments or ""):
            call.output = result_text(False, "the arguments are no JSON object")
            return
        if call.name in self.nonblocking:
            call.waits, call.output = False, STARTED
        self.callbacks.tool_call(call.id, call.name, item.arguments or "{}")

    def _send_results(self, response: str) -> None:
        ready, complete = self.calls.ready(response)
        for call in ready:
            name = self.name("out")
            assert call.output is not None
            self.create(client.OutputItem(id=name, call_id=call.id, output=call.output), name)
            if complete and call is ready[-1]:
                self.responses.want(name)
            if call.later:
                self.result(call.id, call.name, True, call.later)

    # --- trouble ----------------------------------------------------------------------------

    def _rate_limits(self, event: server.RateLimitsUpdated) -> None:
        reached = [limit for limit in event.rate_limits if limit.remaining == 0]
        waits = [limit.reset_seconds or 0.0 for limit in reached or event.rate_limits]
        self._limit_s = max(waits, default=0.0)
        if self.dialect.limit_signals:
            self.callbacks.signals(
                {
                    channel: value
                    for limit in event.rate_limits
                    for channel, value in self._limit_channels(limit)
                }
            )

    def _limit_channels(self, limit: server.RateLimit) -> list[tuple[str, float]]:
        channel = self.dialect.limit_signals.get(limit.name)
        if channel is None or limit.remaining is None:
            return []
        return [(channel, limit.remaining)]

    def _error(self, event: server.ErrorEvent) -> None:
        fault = event.error
        verdict = self.dialect.faults.judge(fault)
        asked = fault.event_id or ""
        if not self._opened and not asked.startswith(("h_", "it_")):
            self._not_opened(verdict)
            return
        if asked in self._priming:
            self._acked(asked)
        if asked.startswith("commit_"):
            self._uncommitted(asked)
        if verdict.meaning is Meaning.BUSY:
            self.responses.collided(asked or self.responses.requested)
        elif asked.startswith("rc_"):
            if verdict.meaning in (Meaning.RETRY, Meaning.BACK_OFF):
                self.responses.postponed(asked)
            else:
                self.responses.refused(asked)
        elif asked.startswith(("it_", "out_", "h_")):
            self.responses.drop(asked)
        self._judged(verdict, failed=False)

    def _not_opened(self, verdict: Verdict) -> None:
        """The service objects while the session is being opened."""
        match verdict.meaning:
            case Meaning.BENIGN | Meaning.NOT_RUNNING | Meaning.BUSY:
                pass
            case Meaning.FATAL | Meaning.TOLD | Meaning.WARN:
                self.shell.end(ProviderRefused(verdict.sentence, verdict.code))
            case _:
                self.shell.end(ProviderUnavailable(verdict.sentence, verdict.code))

    def _uncommitted(self, name: str) -> None:
        """The service refused a turn: too short, or its own detection was quicker."""
        self._commits = deque(commit for commit in self._commits if commit[0] != name)
        self.responses.drop(name)
        if self.terms.manual:
            self.drop_turn()

    def _judged(self, verdict: Verdict, *, failed: bool) -> None:
        """Do what a fault leads to; `failed`: it ended a reply."""
        match verdict.meaning:
            case Meaning.BENIGN | Meaning.BUSY:
                logger.debug("< %s %s", self.dialect.service.title, verdict.code)
            case Meaning.NOT_RUNNING:
                running = self.responses.active
                if self.responses.was_stopped(running):
                    self._over(running, "cancelled")
            case Meaning.WARN:
                self._trouble_once(verdict.code, verdict.sentence)
            case Meaning.TOLD:
                self.callbacks.trouble(verdict.code, verdict.sentence)
            case Meaning.BACK_OFF:
                self._back_off(verdict)
                self._again(failed)
            case Meaning.RETRY:
                self.callbacks.trouble(verdict.code, verdict.sentence)
                self._again(failed)
            case Meaning.EXPIRED:
                self._expired()
            case Meaning.FATAL:
                self.shell.end(ProviderRefused(verdict.sentence, verdict.code))

    def _back_off(self, verdict: Verdict) -> None:
        wait = min(self._limit_s or LIMIT_S, LIMIT_MOST_S)
        self.callbacks.trouble(verdict.code, f"{verdict.sentence}; it goes on in {wait:.0f} s")
        self.responses.hold("limit")
        self.shell.after(wait, lambda: self.responses.release("limit"))

    def _again(self, failed: bool) -> None:
        """Have a reply that failed asked for once more; a second failure stands."""
        if failed and not self._retried:
            self._retried = True
            self.responses.want(self.name("again"), acked=True)

    def _expired(self) -> None:
        if not self._expiry_told:
            self._expiry_told = True
            self.callbacks.goaway("cap", 0.0)

    def expiring(self, left_s: float) -> None:
        """The session's end is near, by what the service said at its start."""
        if not self._expiry_told:
            self.callbacks.goaway("cap", left_s)

    def _trouble_once(self, code: str, sentence: str) -> None:
        if f"trouble {code}" not in self._told:
            self._told.add(f"trouble {code}")
            self.callbacks.trouble(code, sentence)

    def over(self, closing: Closing) -> ProviderError:
        """The connection is closed; return what that means."""
        title = self.dialect.service.title
        verdict = self.dialect.faults.closing(closing.reason)
        if verdict is not None and verdict.meaning is Meaning.FATAL:
            return ProviderRefused(verdict.sentence, verdict.code)
        if self._expiry_told or (verdict is not None and verdict.meaning is Meaning.EXPIRED):
            if self._opened:
                self._expired()
            return ProviderUnavailable(
                f"the session with {title} has reached its longest duration", "session_expired"
            )
        if closing.code == 1006:
            return ProviderUnavailable(f"the connection to {title} broke", "1006")
        return ProviderUnavailable(
            f"{title} closed the connection ({closing.code})", str(closing.code)
        )


_STATUS = {"completed": "completed", "cancelled": "cancelled", "failed": "failed"}


class _Details(msgspec.Struct, frozen=True, kw_only=True):
    reason: str | None = None
    error: server.Fault | None = None


_details_decoder = msgspec.json.Decoder(_Details)
_metadata_decoder = msgspec.json.Decoder(dict[str, object])
_output_decoder = msgspec.json.Decoder(list[server.Item])


def _details(raw: msgspec.Raw) -> _Details:
    try:
        return _details_decoder.decode(raw)
    except (msgspec.DecodeError, RecursionError):  # none, or a word in its place
        return _Details()


def _token(raw: msgspec.Raw) -> str:
    """Return which of our requests a reply answers; "" = the service began it."""
    try:
        token = _metadata_decoder.decode(raw).get(TOKEN)
    except (msgspec.DecodeError, RecursionError):
        return ""
    return token if isinstance(token, str) else ""


def _output(raw: msgspec.Raw) -> list[server.Item]:
    try:
        return _output_decoder.decode(raw)
    except (msgspec.DecodeError, RecursionError):
        return []
