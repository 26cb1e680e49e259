"""What holds for every test: the same start wherever it runs, and nothing left when it is over."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests import planted
from tests.servers import pause

RUN = "VOICED_TEST_RUN"
"""Every process that a test starts has this in its environment: the test run's process id."""
GONE_S = 10.0


# Examples are not timed: the machine that runs them may be busy with something else.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")


def pytest_configure() -> None:
    os.environ[RUN] = str(os.getpid())
    # Over whatever keys the machine's owner has: no test shall ever use those.
    os.environ.update(planted.environment())
    # A run in a shell's background ignores Ctrl-C, and so would every program that it starts.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    # A run that is told to end takes down its servers and daemons first.
    signal.signal(signal.SIGTERM, signal.default_int_handler)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport]:
    """Fail a test that wrote, logged or raised a planted key."""
    report = yield
    places = [*report.sections, ("what it raised", report.longreprtext)]
    if found := planted.findings((f"{item.nodeid}, {name}", text) for name, text in places):
        report.outcome = "failed"
        # What was captured would be printed below a failure.
        report.sections.clear()
        report.longrepr = "\n".join(found)
    return report


@pytest.fixture(scope="session", autouse=True)
def _nothing_is_left_behind() -> Iterator[None]:
    """Fail the run where a program of a test outlives it, or the shared memory of a sound server.

    Set up before every other fixture, so torn down after the last of them.
    """
    yield
    deadline = time.monotonic() + GONE_S
    while (left := _programs()) and time.monotonic() < deadline:
        pause(0.05)  # processes that are not our children tell us nothing
    assert not left, f"still running after {GONE_S:.0f} s: {left}"
    servers = f"voiced_{os.getpid()}_"
    files = [path.name for path in Path("/dev/shm").glob("jack*") if servers in path.name]
    assert not files, f"left in /dev/shm: {files}"


def _programs() -> dict[int, str]:
    """Return the command lines of this run's programs that still run, by process id."""
    mark = f"{RUN}={os.getpid()}".encode()
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if mark in (folder / "environ").read_bytes().split(b"\0"):
                words = (folder / "cmdline").read_bytes().replace(b"\0", b" ")
                found[int(folder.name)] = words.decode(errors="replace").strip()
        except OSError:  # it ended meanwhile, or belongs to somebody else
            continue
    found.pop(os.getpid(), None)
    return found
