"""Control's end of a channel: a child that talks without end leaves the loop to the others."""

from __future__ import annotations

import asyncio
import os
import socket
import time

from voiced.control.channel import Channel
from voiced.messages.framing import Hello, encode
from voiced.messages.network import FromNetwork, LegTrouble, NetworkTrouble

COST_S = 0.002
MANY = 500


def _trouble(number: int) -> NetworkTrouble:
    return NetworkTrouble(source="x", code=str(number), sentence="")


async def _flooded() -> tuple[list[str], list[int]]:
    """Have a child say MANY things at once; return what was taken, and how far at each beat."""
    loop = asyncio.get_running_loop()
    ours, theirs = socket.socketpair()
    taken: list[str] = []
    beats: list[int] = []
    done = loop.create_future()

    def take(message: object) -> None:
        if isinstance(message, NetworkTrouble):
            taken.append(message.code)
            until = time.monotonic() + COST_S
            while time.monotonic() < until:
                pass
            if len(taken) == MANY:
                done.set_result(None)

    def beat() -> None:
        beats.append(len(taken))
        loop.call_soon(beat) if not done.done() else None

    channel = Channel[FromNetwork](loop, ours, FromNetwork, take, taken.append, lambda: None)
    theirs.sendall(encode(Hello(pid=os.getpid())))
    theirs.sendall(b"".join(encode(_trouble(number)) for number in range(MANY)))
    loop.call_soon(beat)
    async with asyncio.timeout(30.0):
        await done
    channel.close()
    theirs.close()
    return taken, beats


def test_a_flood_leaves_the_loop_to_others() -> None:
    """Everything is taken, in order; the others have their turns all the time."""
    taken, beats = asyncio.run(_flooded())
    assert taken == [str(number) for number in range(MANY)]
    longest = max(after - before for before, after in zip(beats, beats[1:], strict=False))
    assert longest * COST_S < 0.1


def test_last_words_are_all_taken() -> None:
    """A child that floods and exits is drained to its end, whatever that takes."""

    async def ended() -> list[str]:
        ours, theirs = socket.socketpair()
        taken: list[str] = []

        def take(message: object) -> None:
            if isinstance(message, NetworkTrouble):
                time.sleep(0.001)  # each costs something
                taken.append(message.code)

        channel = Channel[FromNetwork](
            asyncio.get_running_loop(), ours, FromNetwork, take, taken.append, lambda: None
        )
        theirs.sendall(encode(Hello(pid=1)))
        theirs.sendall(b"".join(encode(_trouble(number)) for number in range(100)))
        theirs.close()
        await asyncio.sleep(0)  # one turn of the loop, in the middle of it
        channel.drain()
        return taken

    assert asyncio.run(ended()) == [str(number) for number in range(100)]


def test_a_channel_that_is_closed_in_the_middle_says_no_more() -> None:
    """Whoever closes it while messages wait hears none of them."""

    async def closed() -> int:
        loop = asyncio.get_running_loop()
        ours, theirs = socket.socketpair()
        taken = 0
        begun = asyncio.Event()

        def take(message: object) -> None:
            nonlocal taken
            begun.set()
            if isinstance(message, LegTrouble | NetworkTrouble):
                taken += 1
                time.sleep(0.03)  # longer than one turn may be

        channel = Channel[FromNetwork](loop, ours, FromNetwork, take, print, lambda: None)
        theirs.sendall(encode(Hello(pid=1)) + b"".join(encode(_trouble(n)) for n in range(50)))
        async with asyncio.timeout(30.0):
            await begun.wait()
        channel.close()
        before = taken
        for _ in range(20):
            await asyncio.sleep(0)
        theirs.close()
        return taken - before

    assert asyncio.run(closed()) == 0
