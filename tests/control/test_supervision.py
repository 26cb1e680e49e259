"""The supervision table, by hand where it matters and by hypothesis everywhere else."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voiced.control.supervision import (
    ABORT_GRACE_S,
    BACKOFF_S,
    CLOSED_GRACE_S,
    HEALTHY_S,
    HELLO_S,
    STOP_GRACE_S,
    Broken,
    Closed,
    Exited,
    HelloReceived,
    Order,
    Restart,
    SpawnFailed,
    Stale,
    Start,
    State,
    Stop,
    Supervision,
    Tick,
    describe_exit,
)

SPAWN, TERMINATE, ABORT, KILL = Order.SPAWN, Order.TERMINATE, Order.ABORT, Order.KILL


def running(at: float = 0.0) -> Supervision:
    child = Supervision()
    assert child.handle(Start(), at) == [SPAWN]
    assert child.handle(HelloReceived(), at) == []
    assert child.state is State.RUNNING
    return child


def test_first_failure_is_mended_at_once() -> None:
    child = running()
    assert child.handle(Exited(), 1.0) == [SPAWN]
    assert child.state is State.STARTING


def test_a_crash_loop_backs_off_and_never_gives_up() -> None:
    child = Supervision()
    child.handle(Start(), 0.0)
    now, waits = 0.0, []
    for _ in range(40):
        orders = child.handle(Exited(), now)
        if orders == [SPAWN]:
            waits.append(0.0)
            continue
        deadline = child.next_deadline()
        assert deadline is not None
        waits.append(deadline - now)
        assert child.handle(Tick(), deadline - 0.001) == []
        now = deadline
        assert child.handle(Tick(), now) == [SPAWN]
    assert waits == pytest.approx([*BACKOFF_S, *[30.0] * (40 - len(BACKOFF_S))])


def test_ten_healthy_seconds_forgive_everything() -> None:
    child = Supervision()
    child.handle(Start(), 0.0)
    now = 0.0
    for _ in range(8):
        child.handle(Exited(), now)
        now = child.next_deadline() or now
        child.handle(Tick(), now)
    child.handle(HelloReceived(), now)
    assert child.handle(Exited(), now + HEALTHY_S) == [SPAWN]


def test_kills_every_five_seconds_are_each_mended_at_once() -> None:
    child = running()
    now = 0.0
    for _ in range(20):
        now += 5.0
        assert child.handle(Exited(), now) == [SPAWN]
        child.handle(HelloReceived(), now + 0.3)


def test_a_hung_child_is_aborted_then_killed_then_replaced_after_waitpid() -> None:
    child = running()
    assert child.handle(Stale(), 5.0) == [ABORT]
    assert child.handle(Stale(), 5.1) == []
    assert child.handle(Tick(), 5.0 + ABORT_GRACE_S - 0.01) == []
    assert child.handle(Tick(), 5.0 + ABORT_GRACE_S) == [KILL]
    assert child.next_deadline() is None
    assert child.handle(Exited(), 5.6) == [SPAWN]


def test_a_start_without_hello_is_hung() -> None:
    child = Supervision()
    child.handle(Start(), 0.0)
    assert child.next_deadline() == HELLO_S
    assert child.handle(Tick(), HELLO_S) == [ABORT]
    assert child.handle(Exited(), HELLO_S + 0.1) == [SPAWN]


def test_stop_asks_then_kills_and_stays_stopped() -> None:
    child = running()
    assert child.handle(Stop(), 1.0) == [TERMINATE]
    assert child.handle(Tick(), 1.0 + STOP_GRACE_S) == [KILL]
    assert child.handle(Exited(), 3.0) == []
    assert child.state is State.STOPPED
    assert child.next_deadline() is None


def test_a_start_during_stopping_is_remembered() -> None:
    child = running()
    child.handle(Stop(), 1.0)
    assert child.handle(Start(), 1.1) == []
    assert child.handle(Exited(), 1.2) == [SPAWN]


def test_restart_counts_no_failure() -> None:
    child = running()
    assert child.handle(Restart(), 1.0) == [TERMINATE]
    assert child.handle(Exited(), 1.1) == [SPAWN]
    assert child.failures == 0


def test_a_broken_channel_kills_at_once() -> None:
    child = running()
    assert child.handle(Broken(), 1.0) == [KILL]


def test_a_closed_channel_gives_time_to_exit() -> None:
    child = running()
    assert child.handle(Closed(), 1.0) == []
    assert child.handle(Tick(), 1.0 + CLOSED_GRACE_S) == [KILL]


def test_start_ends_the_wait_of_a_back_off() -> None:
    child = Supervision()
    child.handle(Start(), 0.0)
    child.handle(Exited(), 0.0)
    child.handle(Exited(), 0.0)
    assert child.state is State.BACKOFF
    assert child.handle(Start(), 0.1) == [SPAWN]


def test_stop_ends_a_back_off() -> None:
    child = Supervision()
    child.handle(Start(), 0.0)
    child.handle(SpawnFailed(), 0.0)
    child.handle(SpawnFailed(), 0.0)
    assert child.state is State.BACKOFF
    assert child.handle(Stop(), 0.1) == []
    assert child.state is State.STOPPED


HAPPENINGS = st.sampled_from(
    [Start(), Stop(), Restart(), HelloReceived(), Stale(), Broken(), Closed(), "exit", "fail",
     Tick(), Tick(), Tick()]
)  # fmt: skip


@settings(max_examples=300)
@given(st.lists(st.tuples(HAPPENINGS, st.floats(0, 20))))
def test_never_two_processes_and_always_a_way_on(steps: list[tuple[object, float]]) -> None:
    """Against a process that exits only when it really would, at any moment."""
    child = Supervision()
    now, alive, killed = 0.0, False, False
    for happening, passed in steps:
        now += passed
        if happening in ("exit", "fail"):
            if not alive or (happening == "fail" and child.state is State.RUNNING):
                continue
            alive, killed = False, False
            orders = child.handle(Exited() if happening == "exit" else SpawnFailed(), now)
        elif not alive and isinstance(happening, HelloReceived | Stale | Broken | Closed):
            continue
        else:
            orders = child.handle(happening, now)  # type: ignore[arg-type]
        for order in orders:
            if order is SPAWN:
                assert not alive
                alive = True
            else:
                assert alive
                killed = killed or order is KILL
        assert alive == child.has_process
        if child.wanted and not alive:
            assert child.state is State.BACKOFF
            assert child.next_deadline() is not None
        if not child.wanted and not alive:
            assert child.state is State.STOPPED
        if child.state is State.STARTING or (child.state is State.STOPPING and not killed):
            assert child.next_deadline() is not None


@settings(max_examples=100)
@given(st.lists(st.tuples(HAPPENINGS, st.floats(0, 5))))
def test_a_wanted_child_comes_up_whatever_went_before(steps: list[tuple[object, float]]) -> None:
    child = Supervision()
    now = 0.0
    for happening, passed in steps:
        now += passed
        if happening in ("exit", "fail") and child.has_process:
            child.handle(Exited(), now)
        elif not isinstance(happening, str):
            child.handle(happening, now)  # type: ignore[arg-type]
    child.handle(Start(), now)
    for _ in range(6):
        if child.state is State.STARTING:
            break
        if child.state is State.RUNNING:
            child.handle(Exited(), now)
        elif child.state is State.STOPPING:
            now += 2.0
            child.handle(Tick(), now)
            child.handle(Exited(), now)
        else:
            now = child.next_deadline() or now
            child.handle(Tick(), now)
    assert child.state is State.STARTING


@pytest.mark.parametrize(
    ("status", "word"),
    [(0, "without being asked"), (17, "sound device"), (19, "protocol"), (78, "configuration"),
     (3, "status 3"), (-9, "SIGKILL"), (-6, "hung"), (-11, "crashed"), (-10, "SIGUSR1"),
     (-64, "SIGRTMAX"), (-200, "signal 200")],
)  # fmt: skip
def test_every_exit_is_a_sentence(status: int, word: str) -> None:
    sentence = describe_exit("audio", status)
    assert sentence.startswith("audio ")
    assert word in sentence
