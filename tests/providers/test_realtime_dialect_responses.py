"""The place of a reply: one at a time, nothing forgotten, nothing asked for twice."""

from __future__ import annotations

from hypothesis import Phase, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from voiced.providers.realtime_dialect.client import (
    ClientEvent,
    ResponseCancel,
    ResponseCreate,
    ResponseParameters,
)
from voiced.providers.realtime_dialect.responses import TOKEN, Responses


def tokens(events: list[ClientEvent]) -> list[str]:
    return [e.response.metadata[TOKEN] for e in events if isinstance(e, ResponseCreate)]


def slot() -> tuple[Responses, list[ClientEvent]]:
    sent: list[ClientEvent] = []
    return Responses(sent.append), sent


def test_one_request_for_what_waits_together() -> None:
    responses, sent = slot()
    responses.want("it_1")
    responses.want("it_2")
    responses.want("it_3")
    assert tokens(sent) == ["rc_1"]
    responses.created("r1", "rc_1")
    responses.done("r1")
    assert tokens(sent) == ["rc_1", "rc_2"]
    responses.created("r2", "rc_2")
    responses.done("r2")
    assert tokens(sent) == ["rc_1", "rc_2"]
    assert not responses.owed


def test_what_came_behind_a_request_waits_for_a_reply_of_its_own() -> None:
    responses, _ = slot()
    responses.want("it_1")
    responses.want("it_2")
    responses.want("out_3")
    assert responses.waiting("it") == 2
    responses.created("r1", "rc_1")
    assert responses.waiting("it") == 1
    responses.done("r1")
    responses.created("r2", "rc_2")
    assert responses.waiting("it") == 0


def test_a_reply_of_the_services_own_covers_what_it_had_acknowledged() -> None:
    responses, sent = slot()
    responses.hold("turn")
    responses.want("it_1")
    responses.want("it_2")
    responses.ack("it_1")
    responses.created("r1")
    responses.release("turn")
    responses.done("r1")
    assert tokens(sent) == ["rc_1"]
    responses.created("r2", "rc_1")
    responses.done("r2")
    assert tokens(sent) == ["rc_1"]


def test_a_collision_is_asked_again_once_the_other_is_done() -> None:
    responses, sent = slot()
    responses.want("it_1")
    responses.created("r1")
    responses.collided("rc_1")
    assert tokens(sent) == ["rc_1"]
    responses.done("r1")
    assert tokens(sent) == ["rc_1", "rc_2"]


def test_a_collision_with_a_reply_that_is_over_does_not_stall() -> None:
    responses, sent = slot()
    responses.created("r1")
    responses.done("r1")
    responses.want("it_1")
    responses.collided("rc_1")
    assert tokens(sent) == ["rc_1", "rc_2"]
    # Once more: there is a reply that nobody tells us of; its end is waited for.
    responses.collided("rc_2")
    assert tokens(sent) == ["rc_1", "rc_2"]
    responses.done("r7")
    assert tokens(sent) == ["rc_1", "rc_2", "rc_3"]


def test_a_request_that_is_dropped_without_a_word_is_made_again() -> None:
    responses, sent = slot()
    responses.want("it_1")
    responses.lost("rc_1")
    assert tokens(sent) == ["rc_1", "rc_2"]
    responses.lost("rc_1")
    responses.created("r2", "rc_2")
    responses.lost("rc_2")
    responses.done("r2")
    assert tokens(sent) == ["rc_1", "rc_2"]


def test_the_users_turn_answers_what_is_owed() -> None:
    responses, sent = slot()
    responses.created("r1")
    responses.want("it_1")
    responses.ack("it_1")
    responses.done("r1", waits=True)
    assert tokens(sent) == []
    responses.created("r2")
    responses.done("r2")
    assert tokens(sent) == []


def test_a_reply_stopped_before_it_has_a_name_is_stopped_when_it_gets_one() -> None:
    responses, sent = slot()
    responses.want("it_1")
    assert responses.cancel() == ""
    assert len(sent) == 1
    assert responses.created("r1", "rc_1") is False
    assert isinstance(sent[-1], ResponseCancel)
    assert sent[-1].response_id == "r1"
    assert responses.is_over("r1")
    responses.done("r1")
    assert tokens(sent) == ["rc_1"]


def test_a_cancel_is_sent_once_and_lets_go_what_was_to_be_said() -> None:
    responses, sent = slot()
    responses.created("r1")
    responses.want_said(ResponseParameters(instructions="Say it."))
    assert responses.cancel() == "r1"
    assert responses.cancel() == "r1"
    assert len(sent) == 1
    responses.done("r1")
    assert len(sent) == 1


def test_an_end_without_a_beginning_frees_the_place() -> None:
    responses, sent = slot()
    responses.want("it_1")
    responses.done("r1", token="rc_1")
    assert not responses.busy
    assert not responses.owed
    assert tokens(sent) == ["rc_1"]


class Service(RuleBasedStateMachine):
    """A service that answers one thing at a time, and events on their way to and from it.

    Every item that wants an answer is in the context of a reply that began after it arrived; no
    request of ours meets another one of ours.
    """

    @initialize()
    def begin(self) -> None:
        self.responses, self.sent = slot()
        self.to_service: list[ClientEvent | str] = []
        self.to_client: list[tuple] = []
        self.active: str | None = None
        self.active_token = ""
        self.items: set[str] = set()
        self.answered: set[str] = set()
        self.wanted: set[str] = set()
        self.count = 0
        self.talking = False

    def collect(self) -> None:
        self.to_service += self.sent
        self.sent.clear()

    @rule()
    def text(self) -> None:
        self.count += 1
        name = f"it_{self.count}"
        self.wanted.add(name)
        self.to_service.append(name)
        self.responses.want(name)
        self.collect()

    @precondition(lambda self: self.to_service)
    @rule()
    def service_takes(self) -> None:
        event = self.to_service.pop(0)
        match event:
            case str():
                self.items.add(event)
                self.to_client.append(("added", event))
            case ResponseCreate():
                token = tokens([event])[0]
                if self.active is not None:
                    assert not self.active_token, "two requests of ours at once"
                    self.to_client.append(("busy", token))
                else:
                    self.start(token)
            case ResponseCancel(response_id=response):
                if self.active == response:
                    self.finish("cancelled")

    def start(self, token: str = "") -> None:
        self.count += 1
        self.active, self.active_token = f"r_{self.count}", token
        self.answered |= self.items
        self.to_client.append(("created", self.active, token))

    def finish(self, why: str) -> None:
        self.to_client.append(("done", self.active, why))
        self.active, self.active_token = None, ""

    @precondition(lambda self: self.active is not None)
    @rule()
    def service_ends_its_reply(self) -> None:
        self.finish("completed")

    @rule()
    def user_speaks(self) -> None:
        """The service hears a turn: it stops its reply and begins the next at the turn's end."""
        if not self.talking:
            self.to_client.append(("speech",))
            if self.active is not None:
                self.finish("turn")
        elif self.active is None:
            self.start()
        else:
            self.finish("turn")
            self.start()
        self.talking = not self.talking

    @precondition(lambda self: self.active is not None)
    @rule()
    def user_stops_it_by_hand(self) -> None:
        if not self.responses.active:
            # The answer that was asked for is not wanted any more.
            wants = self.responses._wants.items()
            asked = self.responses.requested
            self.wanted -= {item for item, want in wants if want.request == asked != ""}
        self.responses.cancel()
        self.collect()

    @precondition(lambda self: self.to_client)
    @rule()
    def client_takes(self) -> None:
        match self.to_client.pop(0):
            case ("added", item):
                self.responses.ack(item)
            case ("created", response, token):
                self.responses.created(response, token)
                self.responses.release("turn")
            case ("done", response, why):
                self.responses.done(response, waits=why == "turn")
            case ("busy", token):
                self.responses.collided(token)
            case ("speech",):
                self.responses.hold("turn")
        self.collect()

    @invariant()
    def at_most_one_request_is_out(self) -> None:
        if hasattr(self, "responses"):
            out = len(tokens([e for e in self.to_service if not isinstance(e, str)]))
            assert out <= 1

    def teardown(self) -> None:
        """Let everything come to rest: then everything was answered."""
        if not hasattr(self, "responses"):
            return
        if self.talking:
            self.user_speaks()
        for _ in range(200):
            if self.to_service:
                self.service_takes()
            elif self.to_client:
                self.client_takes()
            elif self.active is not None:
                self.service_ends_its_reply()
            else:
                break
        else:
            raise AssertionError("it never comes to rest")
        assert self.wanted <= self.answered
        assert not self.responses.busy
        assert not self.responses.owed


TestService = Service.TestCase
TestService.settings = settings(
    max_examples=100,
    stateful_step_count=40,
    deadline=None,
    # A long story is read as it stands: to shorten it takes minutes.
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
)
