import itertools

import hypothesis.strategies as st
import pytest
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from voiced.mind.gate import Intent, Talk, guards, is_open
from voiced.mind.inputs import Origin
from voiced.mind.session import Lifecycle

A, B = Origin(kind="osc", id="a"), Origin(kind="midi", id="b")
S = 1_000_000_000


def test_the_gate_for_every_joint_state() -> None:
    flags = (False, True)
    for lifecycle, mode, active, muted, disarmed, closing, talk in itertools.product(
        Lifecycle, ("continuous", "one_turn", "push_to_talk"), flags, flags, flags, flags, flags
    ):
        opened = is_open(
            Intent(
                lifecycle=lifecycle, mode=mode, active=active, muted=muted, disarmed=disarmed,
                closing=closing, talk=talk,
            )
        )  # fmt: skip
        wanted = (
            lifecycle in (Lifecycle.OPEN, Lifecycle.REFRESHING)
            and active and not muted and not disarmed and not closing
            and (talk or mode != "push_to_talk")
        )  # fmt: skip
        assert opened is wanted


@pytest.mark.parametrize(
    ("bargein", "echo_free", "mode", "guarded"),
    [
        ("auto", True, "continuous", False),
        ("auto", False, "continuous", True),
        ("auto", False, "push_to_talk", False),
        ("on", False, "continuous", False),
        ("off", True, "continuous", True),
        ("off", True, "push_to_talk", True),
    ],
)
def test_the_half_duplex_guard(bargein: str, echo_free: bool, mode: str, guarded: bool) -> None:
    assert guards(bargein, echo_free, mode) is guarded


def test_each_holder_lets_go_of_its_own() -> None:
    talk = Talk()
    assert talk.press(A, 0)
    assert not talk.press(A, 1)  # TouchDesigner repeats a held 1
    assert not talk.press(B, 2)
    assert not talk.release(A, 3, 200)
    assert talk.held
    assert not talk.release(A, 3, 200)
    assert talk.release(B, 4, 200)
    assert not talk.held


def test_the_tail_closes_late() -> None:
    talk = Talk()
    talk.press(A, 0)
    talk.release(A, S, 200)
    assert talk.tail_at(S) == S + S // 5
    assert talk.lets_through(S + S // 5 - 1)
    assert not talk.lets_through(S + S // 5)
    talk.press(A, S + 1)
    assert talk.tail_at(S + 2) is None
    talk.release(A, 2 * S, 0)
    assert not talk.lets_through(2 * S)


def test_talkmax_ends_every_hold_until_it_is_pressed_anew() -> None:
    talk = Talk()
    assert talk.max_at(5) is None
    talk.press(A, S)
    talk.press(B, 2 * S)
    assert talk.max_at(5) == 6 * S
    assert talk.max_at(0) is None
    talk.take_away()
    assert not talk.lets_through(6 * S)
    assert not talk.press(A, 6 * S)  # still the same press
    assert not talk.release(A, 7 * S, 200)
    assert not talk.lets_through(7 * S)
    assert talk.press(A, 8 * S)


class Pedals(RuleBasedStateMachine):
    """The OR of holders, against a set."""

    def __init__(self) -> None:
        super().__init__()
        self.talk, self.held, self.now = Talk(), set(), 0  # type: ignore[var-annotated]

    @rule(origin=st.sampled_from([A, B]))
    def press(self, origin: Origin) -> None:
        self.now += 1
        went_down = not self.held
        assert self.talk.press(origin, self.now) is (went_down and origin not in self.held)
        self.held.add(origin)

    @rule(origin=st.sampled_from([A, B]))
    def release(self, origin: Origin) -> None:
        self.now += 1
        last = self.held == {origin}
        assert self.talk.release(origin, self.now, 0) is last
        self.held.discard(origin)

    @invariant()
    def held_while_anybody_holds(self) -> None:
        assert self.talk.held is bool(self.held)
        assert self.talk.lets_through(self.now) is bool(self.held)


TestPedals = Pedals.TestCase
