"""The life of a session: five states, one table, and when to dial again."""

from __future__ import annotations

import hashlib
from enum import Enum

from voiced.errors import LocalProtocolError

# ------------------------------------------------------------------------------------------------
# The lifecycle of a session
# ------------------------------------------------------------------------------------------------
#
# Rule 1: every change of the lifecycle is in TRANSITIONS. What cannot be said in a table (when a
# trigger is pulled) is in `machine` and `couplings`, which pull triggers and never set the state.
#
# Rule 2: a trigger that has no entry for the present state is a bug of its caller, not an event to
# be ignored: `step` raises. Whoever pulls a trigger knows the state it is pulled in.
#
# Theory of operation
# ===================
#
# An agent is really these small machines, coupled:
#
# 1) the lifecycle below;
# 2) the gate, {open, closed}: what may leave the machine, an intent;
# 3) the leg, {none, running}: one connection to a provider, numbered, held by the network process;
# 4) the reply, {none, running, sounding, heard};
# 5) the wish, {Active, not Active}, and a Connect remembered while ending.
#
# Two kinds of transitions move the lifecycle: a) triggers, from a command, an event of a hand or a
# deadline; b) couplings, when a joint state is reached, however it was reached: "ending without a
# leg" becomes Closed, "disconnected with a Connect remembered" becomes Connect, "connecting or
# refreshing, nothing dialled, not Active" becomes Disconnect, "more spent than Costbudget" becomes
# BudgetExceeded, "the closing words were heard" becomes EndCall. `couplings.settle` runs them to a
# fixed point after every input. The gate follows from the joint state and never moves it.
#
# What is not in the table, and why
# =================================
#
# A leg that ends or expires before it opened has not been reached: Unreachable, or Refused where
# the service says that it ended the session for good. Events of an older leg never get here
# (`agent.Agent` drops them). A Goaway or CapReached where refresh is off or impossible is Expired.
# Retrying, degraded and no device are words of Enginestatus: they change nothing here.
#
# docs/lifecycle.md is drawn from this table by `voiced.mind.diagram`; a test keeps it fresh.


class Lifecycle(Enum):
    """Where a session is."""

    DISCONNECTED = "disconnected"
    """There is no session."""
    CONNECTING = "connecting"
    """A session is wanted; its first leg is being dialled, or waits for its next attempt."""
    OPEN = "open"
    """A leg is there and takes audio."""
    REFRESHING = "refreshing"
    """The session goes on; its next leg is being dialled, or waits for its next attempt."""
    ENDING = "ending"
    """The leg was told to close."""


class Trigger(Enum):
    """What moves the lifecycle."""

    CONNECT = "Connect"
    OPENED = "Opened"
    UNREACHABLE = "Unreachable"
    """No leg for now: dial again."""
    REFUSED = "Refused"
    """No leg for good: key, quota, model, configuration."""
    DISCONNECT = "Disconnect"
    END_CALL = "EndCall"
    """The closing words were heard."""
    BUDGET_EXCEEDED = "BudgetExceeded"
    EXPIRED = "Expired"
    """The service's limit, and no refresh."""
    GOAWAY = "Goaway"
    CAP_REACHED = "CapReached"
    CLOSED = "Closed"
    """The leg is over; nobody asked for it, except in ending."""
    NETWORK_LOST = "NetworkLost"
    STALLED = "Stalled"
    """The link lives and the service owes an answer: the leg is given up."""
    END_TIMEOUT = "EndTimeout"
    """The leg did not say that it closed."""


TRANSITIONS: dict[Lifecycle, dict[Trigger, Lifecycle]] = {
    Lifecycle.DISCONNECTED: {
        Trigger.CONNECT: Lifecycle.CONNECTING,
    },
    Lifecycle.CONNECTING: {
        Trigger.OPENED: Lifecycle.OPEN,
        Trigger.UNREACHABLE: Lifecycle.CONNECTING,
        Trigger.NETWORK_LOST: Lifecycle.CONNECTING,
        Trigger.REFUSED: Lifecycle.DISCONNECTED,
        Trigger.DISCONNECT: Lifecycle.ENDING,
    },
    Lifecycle.OPEN: {
        # The session is over; its leg is told so.
        Trigger.DISCONNECT: Lifecycle.ENDING,
        Trigger.END_CALL: Lifecycle.ENDING,
        Trigger.BUDGET_EXCEEDED: Lifecycle.ENDING,
        Trigger.EXPIRED: Lifecycle.ENDING,
        Trigger.REFUSED: Lifecycle.ENDING,
        # The session goes on with a new leg: five reasons, one thing.
        Trigger.GOAWAY: Lifecycle.REFRESHING,
        Trigger.CAP_REACHED: Lifecycle.REFRESHING,
        Trigger.CLOSED: Lifecycle.REFRESHING,
        Trigger.NETWORK_LOST: Lifecycle.REFRESHING,
        Trigger.STALLED: Lifecycle.REFRESHING,
    },
    Lifecycle.REFRESHING: {
        Trigger.OPENED: Lifecycle.OPEN,
        Trigger.UNREACHABLE: Lifecycle.REFRESHING,
        Trigger.CLOSED: Lifecycle.REFRESHING,
        Trigger.NETWORK_LOST: Lifecycle.REFRESHING,
        Trigger.REFUSED: Lifecycle.DISCONNECTED,
        Trigger.DISCONNECT: Lifecycle.ENDING,
        Trigger.BUDGET_EXCEEDED: Lifecycle.ENDING,
        Trigger.EXPIRED: Lifecycle.ENDING,
    },
    Lifecycle.ENDING: {
        Trigger.CLOSED: Lifecycle.DISCONNECTED,
        Trigger.NETWORK_LOST: Lifecycle.DISCONNECTED,
        Trigger.END_TIMEOUT: Lifecycle.DISCONNECTED,
    },
}

LABELS = ("disconnected", "connecting", "active", "armed", "refreshing", "ending")
"""Sessionstate's six words; their order is the numbers of the signal `state`."""


def step(state: Lifecycle, trigger: Trigger) -> Lifecycle:
    """Return the state after a trigger.

    Raises:
        LocalProtocolError: this trigger cannot be pulled in this state.
    """
    try:
        return TRANSITIONS[state][trigger]
    except KeyError:
        raise LocalProtocolError(
            f"{trigger.value} cannot happen to a session that is {state.value}"
        ) from None


def label(state: Lifecycle, gate_open: bool) -> str:
    """Return Sessionstate's word for a state and its gate."""
    if state is Lifecycle.OPEN:
        return "active" if gate_open else "armed"
    word: str = state.value
    return word


# ------------------------------------------------------------------------------------------------
# When to dial again
# ------------------------------------------------------------------------------------------------

SECOND = 1_000_000_000
"""ns"""
RETRY_MIN_S = 0.5
RETRY_MAX_S = 30.0
ATTEMPTS_PER_MINUTE = 6
STABLE_S = 5.0
"""A leg that lived as long ends an outage: the next loss is a new one and is dialled at once."""


def retry_delay_s(failures: int, fraction: float) -> float:
    """Return the seconds to wait after so many failures in a row: at once, then full jitter.

    Args:
        failures: since the last leg that stayed; 0 and 1 dial at once.
        fraction: 0..1, the place in the jitter.
    """
    if failures <= 1:
        return 0.0
    ceiling = min(RETRY_MAX_S, RETRY_MIN_S * 2.0 ** min(failures - 1, 16))
    return RETRY_MIN_S + fraction * (ceiling - RETRY_MIN_S)


def jitter(*facts: object) -> float:
    """Return a number in 0..1 that follows from facts alone: chance for everybody else."""
    digest = hashlib.sha256(repr(facts).encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


class Attempts:
    """The dialling of all agents of a daemon together, so that no fault becomes a storm of bills.

    Args:
        limit: attempts in any minute.
    """

    def __init__(self, limit: int = ATTEMPTS_PER_MINUTE) -> None:
        self._limit = limit
        self._made: list[int] = []

    def record(self, mono_ns: int) -> None:
        """Count an attempt made now."""
        self._made = [at for at in self._made if at > mono_ns - 60 * SECOND]
        self._made.append(mono_ns)

    def free_at(self, mono_ns: int) -> int:
        """Return when the next attempt may be made: `mono_ns` itself, or later."""
        recent = [at for at in self._made if at > mono_ns - 60 * SECOND]
        if len(recent) < self._limit:
            return mono_ns
        return recent[-self._limit] + 60 * SECOND
