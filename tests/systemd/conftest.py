"""One box for all tests of the units."""

from collections.abc import Iterator

import pytest

from tests.systemd.box import Box, booted, why_not


@pytest.fixture(scope="session")
def bare_box() -> Iterator[Box]:
    reason = why_not()
    if reason is not None:
        pytest.skip(reason)
    with booted() as machine:
        yield machine
