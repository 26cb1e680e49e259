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


def allows_realtime() -> bool:
    """Tell whether the system lets this process schedule threads under SCHED_FIFO."""
    if sys.platform != "linux":
        return False
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(FIFO_PRIORITY))
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
    except OSError:
        return False
    return True


def raise_threads(priority: int = FIFO_PRIORITY) -> bool:
    """Put every thread of this process that is not realtime yet under SCHED_FIFO.

    Called once sound flows, not before: until the first block comes PortAudio's capture thread
    through PulseAudio spins (1.7 s measured on a null sink), and under FIFO it starves the very
    server it waits for. For the same reason the kernel is told to end a process whose realtime
    thread runs without a single sleep: it would starve its supervisor too.
    """
    if sys.platform != "linux":
        return False
    try:
        resource.setrlimit(resource.RLIMIT_RTTIME, (RUNAWAY_US, 2 * RUNAWAY_US))
        for thread in map(int, os.listdir("/proc/self/task")):
            if os.sched_getscheduler(thread) == os.SCHED_OTHER:
                os.sched_setscheduler(thread, os.SCHED_FIFO, os.sched_param(priority))
    except (OSError, ValueError):
        return False
    return True


def lock_memory() -> bool:
    """Keep every page that was once touched in memory; tell whether the system allowed it.

    MCL_ONFAULT, because without it every mapped page (rings, stacks, libraries) is made resident.
    """
    if sys.platform != "linux":
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    return bool(libc.mlockall(_MCL_CURRENT | _MCL_FUTURE | _MCL_ONFAULT) == 0)
