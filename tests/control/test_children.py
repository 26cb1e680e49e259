"""Real processes under the real supervision: tiny programs with one bad habit each."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Iterable
from typing import Any

import pytest

from tests.daemon.rig import ROOT, alive
from voiced.control.children import Child, Program
from voiced.control.supervision import State
from voiced.lane.seam import Wake
from voiced.lane.words import DeviceSegment, Owner
from voiced.messages.audio import DeviceAbsent, FromAudio
from voiced.messages.framing import Attach, Message

DEADLINE_S = 40.0


class Watched:
    """A child of one habit, and everything it said and did."""

    def __init__(self, loop: asyncio.AbstractEventLoop, habit: str) -> None:
        self.loop = loop
        self.fd, self.device = DeviceSegment.create()
        self.wake = Wake.create()
        self.said: list[Any] = []
        self.exits: list[tuple[str, bool]] = []
        self.pids: list[int] = []
        self._changed = asyncio.Event()
        environment = {**os.environ, "HABIT": habit, "PYTHONPATH": str(ROOT)}
        self.child: Child[Any] = Child(
            loop,
            Program[Any](
                owner=Owner.AUDIO, module="tests.control.programs", union=FromAudio,
                environment=environment, pass_fds=(self.fd, *set(self.wake.fds)),
            ),
            self.device, self._greet, self._say, self._exit, self._change,
        )  # fmt: skip
        loop.add_signal_handler(signal.SIGCHLD, self.child.reap)
        self._beat()

    def _beat(self) -> None:
        self.child.tick()
        self.child.watch()
        self._timer = self.loop.call_later(0.05, self._beat)

    def _greet(self) -> Iterable[Message]:
        yield Attach(device_fd=self.fd, lanes=[], near_wake=self.wake.fds, edge_wake=self.wake.fds)

    def _say(self, message: Any) -> None:
        self.said.append(message)
        self._change()

    def _exit(self, sentence: str, asked: bool) -> None:
        self.exits.append((sentence, asked))
        self._change()

    def _change(self) -> None:
        if self.child.pid and self.child.pid not in self.pids:
            self.pids.append(self.child.pid)
        self._changed.set()

    async def until(self, reached: Callable[[], bool]) -> None:
        async with asyncio.timeout(DEADLINE_S):
            while not reached():
                self._changed.clear()
                await self._changed.wait()

    async def end(self) -> None:
        self.child.stop()
        await self.until(lambda: self.child.supervision.state is State.STOPPED)
        self._timer.cancel()
        self.loop.remove_signal_handler(signal.SIGCHLD)
        assert not any(alive(pid) for pid in self.pids)
        self.wake.close()
        os.close(self.fd)


def watch(habit: str, story: Callable[[Watched], Any]) -> Watched:
    """Run a story about a child in a loop of its own."""

    async def run() -> Watched:
        watched = Watched(asyncio.get_running_loop(), habit)
        watched.child.start()
        try:
            await story(watched)
        finally:
            await watched.end()
        return watched

    return asyncio.run(run(), debug=True)


def test_a_well_behaved_one_is_greeted_and_says_its_last_word() -> None:
    async def story(watched: Watched) -> None:
        await watched.until(lambda: bool(watched.said))
        assert watched.child.running
        assert watched.device.age_s(Owner.AUDIO) < DEADLINE_S

    watched = watch("none", story)
    assert watched.said == [DeviceAbsent(sentence="attached"), DeviceAbsent(sentence="last word")]
    assert watched.exits == [("audio was stopped", True)]


def test_one_that_is_killed_is_followed_by_another_at_once() -> None:
    async def story(watched: Watched) -> None:
        await watched.until(lambda: len(watched.said) == 1)
        os.kill(watched.child.pid, signal.SIGKILL)
        await watched.until(lambda: len(watched.said) == 2)
        assert len(watched.pids) == 2

    watched = watch("none", story)
    assert "SIGKILL" in watched.exits[0][0]
    assert not watched.exits[0][1]


def test_a_crash_loop_backs_off() -> None:
    async def story(watched: Watched) -> None:
        await watched.until(lambda: len(watched.exits) == 3)
        assert watched.child.supervision.state is State.BACKOFF
        assert watched.child.supervision.failures == 3

    watched = watch("crash", story)
    assert watched.exits[0] == ("audio ended with status 3", False)


@pytest.mark.parametrize(
    ("habit", "word"),
    [("liar", "not Hello"), ("babble", "broke the protocol"), ("old", "two versions of voiced")],
)
def test_one_that_breaks_the_protocol_is_killed_with_the_reason(habit: str, word: str) -> None:
    async def story(watched: Watched) -> None:
        await watched.until(lambda: bool(watched.exits))

    watched = watch(habit, story)
    assert word in watched.exits[0][0]
    assert watched.said == []


@pytest.mark.parametrize(("habit", "word"), [("hang", "hung"), ("close", "SIGKILL")])
def test_one_that_hangs_or_only_closes_its_channel_is_replaced(habit: str, word: str) -> None:
    async def story(watched: Watched) -> None:
        await watched.until(lambda: len(watched.pids) == 2)

    watched = watch(habit, story)
    assert word in watched.exits[0][0]


def test_one_that_will_not_stop_is_killed() -> None:
    async def story(watched: Watched) -> None:
        await watched.until(lambda: bool(watched.said))

    watched = watch("stubborn", story)
    assert watched.exits == [("audio was stopped", True)]


def test_a_program_that_cannot_be_started_backs_off(monkeypatch: pytest.MonkeyPatch) -> None:
    async def story(watched: Watched) -> None:
        await watched.until(lambda: bool(watched.said))
        monkeypatch.setattr(sys, "executable", "/nowhere/python")
        os.kill(watched.child.pid, signal.SIGKILL)
        await watched.until(lambda: watched.child.supervision.state is State.BACKOFF)

    watched = watch("none", story)
    assert "cannot be started" in watched.exits[1][0]
