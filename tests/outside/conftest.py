"""Where a test in a room fails, its daemon's log is shown."""

from __future__ import annotations

from collections.abc import Generator

import pytest


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    room = getattr(item, "funcargs", {}).get("room")
    if report.failed and room is not None:
        report.sections.append(("log of the daemon", room.daemon.log[-8000:]))
    return report
