"""The seam's other half: realtime priority and locked memory, where the system grants them."""

from __future__ import annotations

import ctypes
import os
import resource
import sys

FIFO_PRIORITY = 5
"""Below a JACK server's own 10, above everything that is not realtime."""

RUNAWAY_US = 1_000_000
"""Realtime CPU time without a single sleep after which the kernel ends the process, µs."""

_MCL_CURRENT, _MCL_FUTURE, _MCL_ONFAULT = 1, 2, 4


def raise_priority(priority: int = FIFO_PRIORITY) -> bool:
    """Put this process under SCHED_FIFO; tell whether the system allowed it.

    Threads started later inherit it: call this before a sound library is imported. A realtime
    thread that spins (sound libraries do when their server dies badly) would starve the very
    process that is to kill it, so the kernel is told to end this one first.
    """
    if sys.platform != "linux":
        return False
    try:
        resource.setrlimit(resource.RLIMIT_RTTIME, (RUNAWAY_US, 2 * RUNAWAY_US))
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(priority))
    except (OSError, ValueError):
        return False
    return True


def lower_priority() -> None:
    """Go back to ordinary scheduling; called where a realtime process has real work to do."""
    if sys.platform == "linux":
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))


def lock_memory() -> bool:
    """Keep every page that was once touched in memory; tell whether the system allowed it.

    MCL_ONFAULT, because without it every mapped page (rings, stacks, libraries) is made resident.
    """
    if sys.platform != "linux":
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    return bool(libc.mlockall(_MCL_CURRENT | _MCL_FUTURE | _MCL_ONFAULT) == 0)
