"""One conversation, event by event: what the service says becomes callbacks and answers.

No clock and no socket: client events wait in `outbox`, and what needs either is asked of the
`Shell`. Every method returns at once.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec

from voiced.errors import ProviderError
from voiced.messages.network import HistoryRow
from voiced.providers.contract import HeardItem, LegCallbacks
from voiced.providers.realtime_dialect import client, server
from voiced.providers.realtime_dialect.calls import (
    STARTED,
    Call,
    Calls,
    as_json,
    is_object,
    result_text,
)
from voiced.providers.realtime_dialect.client import ClientEvent
from voiced.providers.realtime_dialect.dialect import Dialect, Terms
from voiced.providers.realtime_dialect.hearing import Hearing
from voiced.providers.realtime_dialect.items import Items, named
from voiced.providers.realtime_dialect.responses import (
    CLOSED_KEPT,
    LATE,
    RESULT,
    TOKEN,
    UNKNOWN,
    Responses,
)
from voiced.providers.realtime_dialect.troubles import Troubles

TYPED = "it"
"""How the names of typed turns begin."""
HISTORY = "history"
"""Why nothing is asked for while the service takes the conversation so far."""
PLAYBACK = "playback"
"""Why nothing is asked for while a reply still sounds."""
NEARLY_S = 0.3
"""So long before what was said has sounded the next reply may be asked for."""
TEXT_WAITS_S = 10.0
"""Typed words wait so long for the results of tools, to be answered with them."""
PLAYBACK_MOST_S = 15.0


class Shell(Protocol):
    """What a conversation needs of the world."""

    def wake(self) -> None:
        """There is something in the outbox."""

    def cut(self, running: str) -> None:
        """Silence the loudspeaker, then call `heard` with what was heard and with `running`."""

    def now(self) -> float:
        """Tell the time, s."""

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
        nonblocking: names of tools that the model does not wait for.

    Attributes:
        outbox: client events to be sent, in order.
        session_id: the service's name for the session.
        conversation_id: the service's name for the conversation, where it has one.
        expires_at: when the service ends the session, Unix time; 0 = not told.
        spoken: the service has spoken.
        is_open: our settings are in force.
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
        self.responses = Responses(
            self.send, lambda: self.calls.waited_for, lambda: self.terms.forces_calls
        )
        self.items = Items(dialect.rate_out)
        self.calls = Calls()
        self.hearing = Hearing(self)
        self.troubles = Troubles(self)
        self.is_open = False
        self._count = 0
        self._priming: set[str] = set()
        self._late: dict[str, list[ClientEvent]] = {}
        self._updates: list[ClientEvent] = []
        self._sounds_until = 0.0
        """When what the service has sent will have sounded, if it sounds as it comes."""
        self._billed: deque[str] = deque(maxlen=CLOSED_KEPT)
        self._take: dict[type[server.ServerEvent], Callable[..., None]] = {
            server.SessionCreated: self._session_created,
            server.SessionUpdated: self._session_updated,
            server.ConversationCreated: self._conversation_created,
            server.ItemAdded: self._item_added,
            server.ItemCreated: self._item_added,
            server.ItemDone: self._item_added,
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
            **self.hearing.takes,
            **self.troubles.takes,
        }

    # --- what we say ------------------------------------------------------------------------

    def send(self, event: ClientEvent) -> None:
        """Put an event behind everything that waits to be sent."""
        self.outbox.append(event)
        self.shell.wake()
        if isinstance(event, client.ItemCreate):
            bill = self.dialect.bill_item(self, event.item)
            if bill is not None:
                self.callbacks.usage(str(event.event_id), bill.usd, bill.detail, aside=True)
        token = self.responses.requested
        if token and event.event_id == token and self.dialect.taken_within_s:
            self.shell.after(self.dialect.taken_within_s, lambda: self.responses.lost(token))

    def name(self, what: str) -> str:
        """Return a new name, unique in this connection and at most 32 characters long."""
        self._count += 1
        return f"{what}_{self._count}"

    def update(self, session: dict[str, object], *, between_replies: bool = False) -> None:
        """Change settings; some are taken between replies alone."""
        event = client.SessionUpdate(event_id=self.name("su"), session=session)
        if between_replies and self.responses.busy:
            self._updates.append(event)
        else:
            self.send(event)

    def text(self, text: str, image: client.InputImage | None = None) -> None:
        """Take words that the user typed, with what they can see."""
        content: list[client.Part] = [client.InputText(text=text)]
        if image is not None:
            content.append(image)
        name = self._put("user", content)
        self.responses.want(name)
        if self.calls.open:
            self.shell.after(TEXT_WAITS_S, lambda: self._wait_no_longer(name))

    def _wait_no_longer(self, text: str) -> None:
        """Typed words have waited long enough for results that are to be answered with them."""
        if self.calls.waited_for and self.responses.waits(text):
            self.give_up_calls()
            self.responses.go()

    def say(self, text: str) -> None:
        """Have words spoken as they are."""
        said = self.dialect.said(text)
        self.responses.want_said(said)

    def note(self, text: str) -> None:
        """Give context that is not to be answered."""
        self._put("system", [client.InputText(text=text)], "note")

    def _put(self, role: client.Role, content: list[client.Part], what: str = TYPED) -> str:
        name = self.name(what)
        self.create(client.MessageItem(id=name, role=role, content=content), name)
        return name

    def create(self, item: client.ClientItem, name: str) -> None:
        """Put an item into the conversation; an error about it names `name`."""
        self.send(client.ItemCreate(event_id=name, item=item))

    def prime(self, rows: Sequence[HistoryRow], respond: bool) -> None:
        """Give the conversation so far, a row an item; `Shell.primed` tells that all are there.

        An answer to the last row is not asked for before `release_answer`.
        """
        self.responses.hold(HISTORY)
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

    def release_answer(self) -> None:
        """The history is there, and whoever waits for it may be told of a reply now."""
        self.responses.release(HISTORY)

    def result(self, call_id: str, name: str, ok: bool, result: str) -> None:
        """Take the result of a tool call."""
        call = self.calls.find(call_id)
        text = result_text(ok, result)
        if call is None or (not call.waits and call.sent):
            # Another connection's call, or one whose answer was not waited for: a call takes one
            # output, so this one comes as words.
            words = f"Result of the tool {name} ({call_id}): {text}"
            self.responses.want(self._put("system", [client.InputText(text=words)], LATE))
        elif call.output is None:
            call.output = text
            self._send_results(call.response)
        elif not call.waits:
            call.later = text

    # --- interruption -----------------------------------------------------------------------

    def interrupt(self) -> None:
        """The user begins to speak and nothing tells the service: stop it and cut what sounds."""
        self.shell.cut(self.cancel())
        self.give_up_calls()

    def give_up_calls(self) -> None:
        """The user takes the next turn: the results that the model waits for are not wanted."""
        gone = self.calls.give_up()
        for call in gone:
            self.callbacks.tool_cancelled(call.id)
        for response in dict.fromkeys(call.response for call in gone):
            self._send_results(response)

    def interrupted(self, heard: Sequence[HeardItem]) -> None:
        """The loudspeaker was silenced by hand: stop the service, tell it what was heard."""
        self.heard(heard, self.cancel())

    def heard(self, heard: Sequence[HeardItem], running: str) -> None:
        """Tell the service what was heard of what was cut while the reply `running` was sent."""
        self._sounds_until = 0.0
        self.responses.release(PLAYBACK)
        for event in self.items.cut(heard, running):
            if self.dialect.truncates_at_once or self.responses.active != running:
                self.send(event)
            else:
                self._late.setdefault(running, []).append(event)

    def cancel(self) -> str:
        """Stop the reply that runs, or was asked for; return the running one's name."""
        running = self.responses.cancel()
        self._await_end(running)
        return running

    def forgotten(self) -> None:
        """The service has dropped the reply that runs, without a word."""
        if self.responses.active:
            self._over(self.responses.active, "cancelled", goes_on=False)

    def _await_end(self, response: str) -> None:
        """Wait no longer than the dialect does for the end of a reply that was stopped."""
        if response and self.dialect.done_within_s:
            self.shell.after(self.dialect.done_within_s, lambda: self._given_up(response))

    def _given_up(self, response: str) -> None:
        if self.responses.active == response:
            self.not_running()

    def not_running(self) -> None:
        """The reply that we stopped does not run any more, whatever the service tells of it."""
        if self.responses.was_stopped(self.responses.active):
            self._over(self.responses.active, "cancelled")

    def refused(self, asked: str) -> None:
        """The service refused an item of ours."""
        self.responses.drop(asked)
        self._primed_by(asked)

    # --- what the service says --------------------------------------------------------------

    def take(self, frame: str | bytes) -> None:
        """Take a frame; one that cannot be read is told once and ends nothing."""
        event = server.decode(frame)
        self.callbacks.alive()
        if isinstance(event, server.Unknown):
            self.troubles.log_once(f"unknown event {event.type}")
        elif isinstance(event, server.Malformed):
            self.troubles.log_once(f"malformed event {event.type}", f": {event.why}")
        elif (take := self._take.get(type(event))) is not None:
            take(event)

    def _session_created(self, event: server.SessionCreated) -> None:
        self.session_id = event.session.id or self.session_id
        self.expires_at = event.session.expires_at or self.expires_at

    def _session_updated(self, event: server.SessionUpdated) -> None:
        self.session_id = event.session.id or self.session_id
        self.expires_at = event.session.expires_at or self.expires_at
        if not self.is_open:
            self.is_open = True
            self.shell.opened()

    def _conversation_created(self, event: server.ConversationCreated) -> None:
        self.conversation_id = event.conversation.id or self.conversation_id

    def _item_added(self, event: server.ItemAdded | server.ItemCreated | server.ItemDone) -> None:
        self.responses.ack(event.item.id or "")
        self._primed_by(event.item.id or "")

    def _primed_by(self, item: str) -> None:
        if item in self._priming:
            self._priming.discard(item)
            if not self._priming:
                self.shell.primed()

    # --- replies

    def _response_created(self, event: server.ResponseCreated) -> None:
        response = event.response.id
        if response and response != self.responses.active and not self.responses.is_over(response):
            self._begin(response, _token(event.response.metadata))

    def _begin(self, response: str, token: str = "") -> None:
        if self.responses.active:
            # One reply at a time: the end of the one before was lost, or never told.
            self._over(self.responses.active, "cancelled", goes_on=False)
        if not token and not self.hearing.awaits_answer:
            # Nobody spoke: it is the reply that was asked for, though its metadata is not there.
            token = self.responses.requested
        heard = self.responses.created(response, token)
        self.hearing.reply_begins()
        if heard:
            waiting = self.responses.waiting(TYPED)
            self.callbacks.response_started(response, waiting=waiting)
        else:
            self._await_end(response)

    def _runs(self, response: str) -> bool:
        """Whether what comes of a reply is wanted; one that was not announced begins by it."""
        if self.responses.is_over(response):
            return False
        if response != self.responses.active:
            self._begin(response)
        self.hearing.reply_comes()
        return True

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
            if self.dialect.waits_to_go_on:
                now, seconds = self.shell.now(), len(event.delta) / (2 * self.dialect.rate_out)
                self._sounds_until = max(now, self._sounds_until) + seconds
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
        if not response:
            return
        self._bill(response, event)
        if self.responses.is_done(response):
            return
        self.hearing.reply_comes()
        status = event.response.status or "completed"
        details = _details(event.response.status_details)
        if status == "completed":
            self.troubles.succeeded()
            for item in _output(event.response.output):
                self._call(response, item)
            self.hearing.answered()
        elif status == "failed":
            self.troubles.failed(details.error)
        elif status == "incomplete":
            self._incomplete(details.reason or "incomplete")
        self._over(
            response,
            status,
            by_user=details.reason == "turn_detected",
            token=_token(event.response.metadata),
        )

    def _bill(self, response: str, event: server.ResponseDone) -> None:
        """Tell what a reply cost, once, also where it was taken for over before."""
        if response not in self._billed:
            self._billed.append(response)
            bill = self.dialect.bill(self, event)
            if bill is not None:
                self.callbacks.usage(response, bill.usd, bill.detail, again_usd=bill.again_usd)

    def _incomplete(self, reason: str) -> None:
        if reason == "max_output_tokens":
            sentence = "a reply was cut off at max_output_tokens: raise it"
            self.troubles.once(reason, sentence)
        else:
            title = self.dialect.service.title
            self.callbacks.trouble(reason, f"{title} ended a reply early ({reason})")

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
        if not self.responses.is_muted(response) and response != UNKNOWN:
            self.callbacks.response_done(response, _STATUS.get(status, "completed"))
        for event in self._late.pop(response, []):
            self.send(event)
        for call in self.calls.over(response, interrupted=status == "cancelled"):
            self.callbacks.tool_cancelled(call.id)
        self._send_results(response)
        for update in self._updates:
            self.send(update)
        self._updates.clear()
        by_user = by_user and self.dialect.turn_follows_cancel and self.terms.answers
        self.responses.done(response, waits=by_user or not goes_on, token=token)
        self.hearing.manual.reply_over()

    def _call(self, response: str, item: server.Item) -> None:
        if item.type != "function_call" or item.status != "completed" or not item.call_id:
            return
        call = Call(item.call_id, item.name or "", response)
        served = self.dialect.serves(self, call.name)
        if served is not None:
            call.response = ""
        if not self.calls.begin(call):
            return
        if served is not None:
            if served.usd:
                self.callbacks.usage(call.id, served.usd, served.detail, aside=True)
            return
        if not is_object(item.arguments or ""):
            title = self.dialect.service.title
            self.callbacks.trouble(
                "bad_arguments", f"{title} called the tool {call.name[:64]} with no JSON object"
            )
            # Not answered here: who counts the calls refuses it, or a model could go on for ever.
            self.callbacks.tool_call(call.id, call.name, as_json(item.arguments or ""))
            return
        if call.name in self.nonblocking:
            call.waits, call.output = False, STARTED
        self.callbacks.tool_call(call.id, call.name, item.arguments or "{}")

    def _send_results(self, response: str) -> None:
        ready, complete = self.calls.ready(response)
        if complete and self.dialect.waits_to_go_on:
            self._hold_for_playback()
        for call in ready:
            name = self.name(RESULT)
            assert call.output is not None
            self.create(client.OutputItem(id=name, call_id=call.id, output=call.output), name)
            if complete and call is ready[-1]:
                self.responses.want(name)
            if call.later:
                self.result(call.id, call.name, True, call.later)

    def _hold_for_playback(self) -> None:
        """Ask for nothing before what was said has sounded, or nearly."""
        left = min(self._sounds_until - self.shell.now() - NEARLY_S, PLAYBACK_MOST_S)
        if left > 0:
            self.responses.hold(PLAYBACK)
            self.shell.after(left, lambda: self.responses.release(PLAYBACK))


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
