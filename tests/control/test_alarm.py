"""The alarm rings, however often and by whomever it is set."""

from __future__ import annotations

import asyncio
import socket

from voiced.control.alarm import Alarm


def test_who_sets_it_in_every_turn_of_the_loop_does_not_put_it_off():
    """As a pedal does that never rests: each of its messages comes before the timers' turn."""

    async def flooded() -> float:
        loop = asyncio.get_running_loop()
        rung = asyncio.Event()
        turns = 0
        near, far = socket.socketpair()
        alarm = Alarm(loop, rung.set)
        due = loop.time() + 0.01

        def heard() -> None:
            nonlocal turns
            turns += 1
            alarm.set(due)
            if loop.time() > due + 2:
                loop.remove_reader(near)

        with near, far:
            far.send(b"x")  # never read: there is a message in every turn
            loop.add_reader(near, heard)
            await asyncio.wait_for(rung.wait(), 5)
            late = loop.time() - due
            loop.remove_reader(near)
        assert turns > 1
        return late

    assert asyncio.run(flooded()) < 1


def test_it_rings_at_the_first_of_what_was_set_once():
    async def run() -> None:
        loop = asyncio.get_running_loop()
        rings: asyncio.Queue[float] = asyncio.Queue()
        alarm = Alarm(loop, lambda: rings.put_nowait(loop.time()))
        start = loop.time()
        alarm.set(start + 60)
        alarm.set(start + 0.02)
        alarm.set(start + 30)
        at = await asyncio.wait_for(rings.get(), 5)
        assert at >= start + 0.02 - 0.001
        alarm.set(loop.time())
        await asyncio.wait_for(rings.get(), 5)
        alarm.set(loop.time())
        alarm.cancel()
        alarm.set(loop.time() + 0.001)
        await asyncio.wait_for(rings.get(), 5)
        assert rings.empty()

    asyncio.run(run())
