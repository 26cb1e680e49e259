"""When a child is started, aborted, killed and started again: one table, no process in it.

A child is in one of five states. `wanted` tells whether it is to run at all; it decides where
STOPPING leads. Everything that affects the machine is in `_TABLE` and `_timeout`:

STOPPED    no process, none wanted
STARTING   a process is (being) spawned and has not said Hello
RUNNING    it said Hello; its stamp is watched by the shell, which tells `Stale`
STOPPING   it was told to go (Terminate, Abort or Kill); the deadline makes the next step harder
BACKOFF    no process, one wanted at the deadline

A successor is spawned only after `Exited`, that is after waitpid of its predecessor: two processes
never write the same words. There is no give-up state: an installation must come back by itself
when whatever was wrong is put right.

Time is real monotonic seconds: computing is not faster on a fast virtual card.
"""

from __future__ import annotations

import signal
from enum import Enum
from typing import TypeAlias

import msgspec

from voiced.errors import ExitCode

STALE_S = 2.0
"""Age of a stamp from which a running hand counts as hung."""
ENGINE_STALE_S = 10.0
"""The same for inference: an engine's library holds the interpreter while it loads its model, for
half a second on a fast machine and for several on a slow or busy one. Nothing sounds or is billed
by it meanwhile."""
HELLO_S = 20.0
"""A start without Hello for so long counts as hung."""
ABORT_GRACE_S = 0.5
"""Between SIGABRT, which makes it dump its stacks, and SIGKILL."""
STOP_GRACE_S = 1.2
"""Between the request to stop and SIGKILL."""
CLOSED_GRACE_S = 1.0
"""A child whose channel ended gets so long to exit by itself."""
BACKOFF_S = (0.0, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0)
"""Wait before the next start, by failures in a row; the last one for ever."""
FORGIVEN_S = 2.5
"""Each so many seconds of RUNNING forgive one failure."""
HEALTHY_S = 10.0
"""So many seconds of RUNNING forgive all."""


class State(Enum):
    """Where a child stands."""

    STOPPED = "stopped"
    STARTING = "starting"
    RUNNING = "running"
    STOPPING = "stopping"
    BACKOFF = "backoff"


class Happening(msgspec.Struct, frozen=True, tag=True):
    """What every input of this machine is."""


class Start(Happening, frozen=True):
    """It is wanted; one that waits in BACKOFF starts at once, with its failures forgiven."""


class Stop(Happening, frozen=True):
    """It is not wanted any more."""


class Restart(Happening, frozen=True):
    """A fresh one is wanted: stop this one, start anew, no failure counted."""


class SpawnFailed(Happening, frozen=True):
    """The process could not be made."""


class HelloReceived(Happening, frozen=True):
    """It speaks, in our version."""


class Stale(Happening, frozen=True):
    """Its stamp is older than STALE_S."""


class Broken(Happening, frozen=True):
    """It broke the protocol of its channel."""


class Closed(Happening, frozen=True):
    """Its end of the channel is closed."""


class Exited(Happening, frozen=True):
    """waitpid returned it."""


class Tick(Happening, frozen=True):
    """The deadline may have come."""


Input: TypeAlias = (
    Start | Stop | Restart | SpawnFailed | HelloReceived | Stale | Broken | Closed | Exited | Tick
)


class Order(Enum):
    """What the shell shall do to the process."""

    SPAWN = "spawn"
    TERMINATE = "terminate"
    """Say Shutdown on its channel."""
    ABORT = "abort"
    """SIGABRT: its faulthandler shows where it hung."""
    KILL = "kill"


class _Step(msgspec.Struct, frozen=True):
    """One cell of the table."""

    next: State
    orders: tuple[Order, ...] = ()
    grace_s: float | None = None
    """Deadline of the next state from now on; None = as `_enter` says."""


_S = State
_TABLE: dict[tuple[State, type[Happening]], _Step] = {
    (_S.STOPPED, Start): _Step(_S.STARTING, (Order.SPAWN,)),
    (_S.STOPPED, Restart): _Step(_S.STARTING, (Order.SPAWN,)),
    (_S.STARTING, HelloReceived): _Step(_S.RUNNING),
    (_S.STARTING, SpawnFailed): _Step(_S.BACKOFF),
    (_S.STARTING, Exited): _Step(_S.BACKOFF),
    (_S.STARTING, Broken): _Step(_S.STOPPING, (Order.KILL,)),
    (_S.STARTING, Closed): _Step(_S.STOPPING, (), CLOSED_GRACE_S),
    (_S.STARTING, Stop): _Step(_S.STOPPING, (Order.TERMINATE,), STOP_GRACE_S),
    (_S.STARTING, Restart): _Step(_S.STOPPING, (Order.TERMINATE,), STOP_GRACE_S),
    (_S.RUNNING, Exited): _Step(_S.BACKOFF),
    (_S.RUNNING, Stale): _Step(_S.STOPPING, (Order.ABORT,), ABORT_GRACE_S),
    (_S.RUNNING, Broken): _Step(_S.STOPPING, (Order.KILL,)),
    (_S.RUNNING, Closed): _Step(_S.STOPPING, (), CLOSED_GRACE_S),
    (_S.RUNNING, Stop): _Step(_S.STOPPING, (Order.TERMINATE,), STOP_GRACE_S),
    (_S.RUNNING, Restart): _Step(_S.STOPPING, (Order.TERMINATE,), STOP_GRACE_S),
    (_S.STOPPING, Exited): _Step(_S.BACKOFF),  # STOPPED where it is not wanted: `_settle`
    (_S.STOPPING, SpawnFailed): _Step(_S.BACKOFF),
    (_S.STOPPING, Broken): _Step(_S.STOPPING, (Order.KILL,)),
    (_S.BACKOFF, Start): _Step(_S.STARTING, (Order.SPAWN,)),
    (_S.BACKOFF, Restart): _Step(_S.STARTING, (Order.SPAWN,)),
    (_S.BACKOFF, Stop): _Step(_S.STOPPED),
}
"""(state, input) -> step. A pair that is absent changes nothing but `wanted`."""


class Supervision:
    """The life of one child.

    Attributes:
        state: where it stands.
        wanted: whether it is to run.
        failures: exits in a row that were not asked for and not yet forgiven.
        starts: processes ordered so far.
        asked: whether the running STOPPING was asked for by Stop or Restart.
    """

    def __init__(self) -> None:
        self.state = State.STOPPED
        self.wanted = False
        self.failures = 0
        self.starts = 0
        self.asked = False
        self._deadline: float | None = None
        self._running_since: float | None = None

    def next_deadline(self) -> float | None:
        """When to come back with a `Tick`; None = never."""
        return self._deadline

    def forgive(self) -> None:
        """It has shown that it works: the next exit is followed by a start at once."""
        self.failures = 0

    @property
    def has_process(self) -> bool:
        """Whether a process may exist."""
        return self.state in (State.STARTING, State.RUNNING, State.STOPPING)

    def handle(self, happening: Input, now: float) -> list[Order]:
        """Take one input at `now`; return the orders, in order."""
        match happening:
            case Start():
                self.wanted = True
                self.failures = 0 if self.state is State.BACKOFF else self.failures
            case Stop():
                self.wanted = False
                self.asked = True
            case Restart():
                self.wanted = True
                self.asked = True
                self.failures = 0
            case Tick():
                return self._timeout(now)
            case _:
                pass
        step = _TABLE.get((self.state, type(happening)))
        if step is None:
            return []
        if isinstance(happening, (Exited, SpawnFailed)):
            return self._settle(now)
        return self._enter(step, now)

    def _enter(self, step: _Step, now: float) -> list[Order]:
        """Move to the step's state and set its deadline."""
        if step.next is State.RUNNING:
            self._running_since = now
        if step.next is State.STARTING:
            self._running_since = None
            self.asked = False
            self.starts += 1
        self.state = step.next
        grace = HELLO_S if step.next is State.STARTING else step.grace_s
        self._deadline = None if grace is None else now + grace
        return list(step.orders)

    def _settle(self, now: float) -> list[Order]:
        """There is no process any more: decide when there shall be one again."""
        asked, self.asked = self.asked, False
        since, self._running_since = self._running_since, None
        if not self.wanted:
            self.state, self._deadline = State.STOPPED, None
            return []
        healthy = 0.0 if since is None else now - since
        forgiven = self.failures if healthy >= HEALTHY_S else int(healthy / FORGIVEN_S)
        self.failures = max(0, self.failures - forgiven)
        wait = BACKOFF_S[min(self.failures, len(BACKOFF_S) - 1)]
        if asked:
            wait = 0.0
        else:
            self.failures += 1
        self.state, self._deadline = State.BACKOFF, now + wait
        return self._timeout(now)

    def _timeout(self, now: float) -> list[Order]:
        """Do what the passed deadline of this state asks for."""
        if self._deadline is None or now < self._deadline:
            return []
        match self.state:
            case State.BACKOFF:
                return self._enter(_TABLE[State.BACKOFF, Start], now)
            case State.STARTING:
                return self._enter(_Step(State.STOPPING, (Order.ABORT,), ABORT_GRACE_S), now)
            case State.STOPPING:
                # SIGKILL cannot be refused: nothing is left but to wait for waitpid.
                return self._enter(_Step(State.STOPPING, (Order.KILL,)), now)
            case _:
                self._deadline = None
                return []


_EXIT_SENTENCES = {
    ExitCode.DONE: "ended without being asked to",
    ExitCode.FAILED: "ended with an error; its last lines in the log tell which",
    ExitCode.USAGE: "did not understand how it was started; two versions of voiced may be mixed",
    ExitCode.DEVICE_LOST: "ended because the sound device or its server stopped serving",
    ExitCode.CONTROL_GONE: "ended because its channel to control closed",
    ExitCode.PROTOCOL: "ended over a message that breaks the protocol",
    ExitCode.UNAVAILABLE: "ended because something it needs is not installed",
    ExitCode.CONFIG: "ended because it cannot use its configuration",
}


def describe_exit(name: str, status: int) -> str:
    """Return a sentence for the exit `status` of child `name` (negative = killed by signal)."""
    if status >= 0:
        try:
            return f"{name} {_EXIT_SENTENCES[ExitCode(status)]} (status {status})"
        except ValueError:
            return f"{name} ended with status {status}"
    try:
        number = signal.Signals(-status)
    except ValueError:
        return f"{name} was killed by signal {-status}"
    reason = {
        signal.SIGKILL: "was killed (SIGKILL): by hand, for hanging, or because memory ran out",
        signal.SIGABRT: "was aborted because it hung (SIGABRT); the log shows where",
        signal.SIGSEGV: "crashed (SIGSEGV)",
        signal.SIGTERM: "was told to end by somebody else (SIGTERM)",
    }.get(number, f"was killed by {number.name}")
    return f"{name} {reason}"
