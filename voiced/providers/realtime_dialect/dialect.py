"""What differs between the services that speak this protocol: constants and a few functions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from voiced.providers.dial import Service
from voiced.providers.realtime_dialect.client import ClientEvent, ClientItem, ResponseParameters
from voiced.providers.realtime_dialect.faults import Faults
from voiced.providers.realtime_dialect.server import ResponseDone, TranscriptionCompleted

if TYPE_CHECKING:
    from voiced.providers.realtime_dialect.conversation import Conversation


class Bill(NamedTuple):
    """What something cost."""

    usd: float
    detail: str
    """In the service's own units, for the ledger."""
    again_usd: float = 0.0
    """What of it the next reply costs again."""


class Terms(msgspec.Struct, kw_only=True):
    """What was agreed with the service for one connection; an update may change it."""

    model: str
    transcription_model: str = ""
    """"" = the user's words are not written down."""
    manual: bool = False
    """`send_activity` says where turns begin and end; the service detects none."""
    answers: bool = True
    """The service begins a reply by itself when it hears a turn's end."""
    interrupts: bool = True
    """The service stops its reply by itself when the user speaks."""
    bargein: bool = True
    """The user may speak into a reply."""
    forces_calls: bool = False
    """The service makes every reply call a tool, unless a request says otherwise."""
    trailing_ms: int = 0
    """Silence that lets the service find a turn's end when the microphone is paused within it."""


def no_bill(conversation: Conversation, item: ClientItem) -> None:
    """Bill nothing for an item: where its tokens are billed with the replies."""


def serves_nothing(conversation: Conversation, name: str) -> None:
    """Leave every call to us."""


class Dialect(msgspec.Struct, frozen=True, kw_only=True):
    """One service's way of speaking the protocol."""

    service: Service
    rate_in: int
    """Hz of what it hears, int16."""
    rate_out: int
    """Hz of what it speaks, int16."""
    faults: Faults
    bill: Callable[[Conversation, ResponseDone], Bill | None]
    """What a reply cost; None = the service tells no account of it."""
    bill_transcription: Callable[[Conversation, TranscriptionCompleted], Bill | None]
    """What the transcription of a turn cost, where it is billed apart."""
    manual_turns: Callable[[Conversation], ManualTurns]
    """How a turn by push-to-talk begins and ends."""
    said: Callable[[str], ResponseParameters | ClientEvent]
    """How words are spoken as they are: by a reply of its own, or by an event that needs none."""
    bill_item: Callable[[Conversation, ClientItem], Bill | None] = no_bill
    """What an item that we create costs, where that is billed apart."""
    serves: Callable[[Conversation, str], Bill | None] = serves_nothing
    """What a call costs that the service carries out itself, by its name; None = it is ours."""
    stops_itself: bool = True
    """False: on the user's speech a cancel is sent even where the service interrupts by itself."""
    truncates_at_once: bool = True
    """False: a truncation is taken only when the reply is over."""
    finals_at_once: bool = True
    """False: a turn's final words may come several times; the last before the reply counts."""
    turn_follows_cancel: bool = True
    """After stopping a reply for the user's speech, the service answers that turn by itself."""
    forgets_replies: bool = False
    """Where the user speaks on in a turn that was taken for over, the reply to it is dropped and
    never told to be done."""
    answers_bare: bool = True
    """False: by push-to-talk a request is dropped when nothing is new since the last reply."""
    waits_to_go_on: bool = False
    """The reply to a tool's result is asked for when what was said before it has sounded."""
    limit_signals: Mapping[str, str] = {}
    """The service's name of a limit -> the channel that shows what remains of it."""
    taken_within_s: float = 0.0
    """A request that no reply takes up by then was dropped without a word; 0 = none ever is."""
    done_within_s: float = 0.0
    """A cancelled reply that is not over by then never will be told to be; 0 = it always is."""


class ManualTurns:
    """Push-to-talk as OpenAI has it: clear, append, commit and ask for a reply.

    A dialect in which a commit means something else derives from this, or replaces it.

    Args:
        conversation: whose turns.
    """

    SHORTEST_MS = 100
    """The service refuses to commit less."""

    def __init__(self, conversation: Conversation) -> None:
        self.conversation = conversation
        self.pressed = False
        self.appended = 0
        """Bytes since the turn began."""

    @property
    def blocked(self) -> bool:
        """Whether the service must not hear anything now."""
        return False

    def press(self) -> None:
        """The turn begins; what still sounds is cut."""
        self.pressed, self.appended = True, 0
        self.conversation.responses.hold("user")
        self.conversation.interrupt()
        self.conversation.hearing.clear()

    def append(self, chunk: bytes) -> None:
        """Sound of the turn."""
        self.appended += len(chunk)
        self.conversation.hearing.append(chunk)

    def reply_begins(self) -> None:
        """The service has begun a reply."""

    def reply_over(self) -> None:
        """A reply is over; none runs now, or the next one is just beginning."""

    def speech_heard(self) -> None:
        """The service tells that it hears speech, though the turns are ours."""

    def release(self) -> None:
        """The turn is over: it is answered, or dropped where it is too short to be one."""
        if not self.pressed:
            return
        self.pressed = False
        if self.appended * 1000 >= self.SHORTEST_MS * 2 * self.conversation.dialect.rate_in:
            self.conversation.responses.want(self.conversation.hearing.commit())
        else:
            self.conversation.hearing.clear()
            self.conversation.hearing.drop_turn()
        self.conversation.responses.release("user")
