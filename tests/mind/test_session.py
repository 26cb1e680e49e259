import hypothesis.strategies as st
import pytest
from hypothesis import given

from voiced.errors import LocalProtocolError
from voiced.mind.session import (
    LABELS,
    TRANSITIONS,
    Attempts,
    Lifecycle,
    Trigger,
    jitter,
    label,
    retry_delay_s,
    step,
)

D, C, OP, R, E = Lifecycle
T = Trigger

# Written down from the design's table, not read from the code.
ALLOWED = {
    (D, T.CONNECT): C,
    (C, T.OPENED): OP, (C, T.UNREACHABLE): C, (C, T.NETWORK_LOST): C, (C, T.REFUSED): D,
    (C, T.DISCONNECT): E,
    (OP, T.DISCONNECT): E, (OP, T.END_CALL): E, (OP, T.BUDGET_EXCEEDED): E, (OP, T.EXPIRED): E,
    (OP, T.REFUSED): E,
    (OP, T.GOAWAY): R, (OP, T.CAP_REACHED): R, (OP, T.CLOSED): R, (OP, T.NETWORK_LOST): R,
    (OP, T.STALLED): R,
    (R, T.OPENED): OP, (R, T.UNREACHABLE): R, (R, T.CLOSED): R, (R, T.NETWORK_LOST): R,
    (R, T.REFUSED): D, (R, T.DISCONNECT): E, (R, T.BUDGET_EXCEEDED): E, (R, T.EXPIRED): E,
    (E, T.CLOSED): D, (E, T.NETWORK_LOST): D, (E, T.END_TIMEOUT): D,
}  # fmt: skip


@pytest.mark.parametrize("state", Lifecycle)
@pytest.mark.parametrize("trigger", Trigger)
def test_every_pair_of_state_and_trigger(state: Lifecycle, trigger: Trigger) -> None:
    if (state, trigger) in ALLOWED:
        assert step(state, trigger) is ALLOWED[state, trigger]
    else:
        with pytest.raises(LocalProtocolError, match=f"{trigger.value} cannot .* {state.value}"):
            step(state, trigger)


def test_every_state_can_be_left_and_reached() -> None:
    reached = {to for row in TRANSITIONS.values() for to in row.values()}
    assert reached == set(Lifecycle) == set(TRANSITIONS)


def test_the_label_is_one_of_operator_txts_six_words() -> None:
    words = {label(state, gate) for state in Lifecycle for gate in (False, True)}
    assert words == set(LABELS) == {
        "disconnected", "connecting", "active", "armed", "refreshing", "ending"
    }  # fmt: skip
    assert label(OP, True) == "active"
    assert label(OP, False) == "armed"
    assert label(R, True) == "refreshing"


@given(st.integers(0, 10_000), st.floats(0, 1))
def test_the_first_retry_is_at_once_then_full_jitter(failures: int, fraction: float) -> None:
    delay = retry_delay_s(failures, fraction)
    if failures <= 1:
        assert delay == 0.0
    else:
        assert 0.5 <= delay <= 30.0


def test_the_ceiling_doubles_up_to_thirty_seconds() -> None:
    assert [retry_delay_s(n, 1.0) for n in range(2, 9)] == [1, 2, 4, 8, 16, 30, 30]
    assert [retry_delay_s(n, 0.0) for n in (2, 5, 50)] == [0.5, 0.5, 0.5]


@given(st.text(), st.integers())
def test_jitter_is_a_fraction_and_follows_from_its_facts(name: str, ns: int) -> None:
    assert 0 <= jitter(name, ns) <= 1
    assert jitter(name, ns) == jitter(name, ns)
    assert jitter(name, ns) != jitter(name, ns + 1)


@given(st.lists(st.integers(0, 20_000_000_000), max_size=40))
def test_never_more_than_six_attempts_in_any_minute(pauses: list[int]) -> None:
    attempts, now, made = Attempts(), 0, []
    for pause in pauses:
        now = max(now + pause, attempts.free_at(now + pause))
        assert attempts.free_at(now) == now
        attempts.record(now)
        made.append(now)
    for at in made:
        assert sum(at - 60_000_000_000 < other <= at for other in made) <= 6
