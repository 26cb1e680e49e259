from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.osc.fake import FakeSurface, Running
from tests.osc.wire import Udp
from voiced.control.osc.settings import OscConfig


@pytest.fixture
def surface() -> FakeSurface:
    return FakeSurface()


@pytest.fixture
def open_door() -> Iterator[Callable[..., Running]]:
    doors: list[Running] = []

    def make(surface: FakeSurface | None = None, more: Any = None, **config: Any) -> Running:
        door = Running(surface or FakeSurface(), OscConfig(port=0, **config), **(more or {}))
        doors.append(door)
        return door

    yield make
    for door in doors:
        door.close()


@pytest.fixture
def door(open_door: Callable[..., Running], surface: FakeSurface) -> Running:
    return open_door(surface)


@pytest.fixture
def udp(door: Running) -> Iterator[Udp]:
    client = Udp(door.port)
    yield client
    client.close()
