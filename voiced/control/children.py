"""The processes behind the supervision: spawning, signals, waitpid, channels.

A child is a program of this package, started with `--control-fd N` and the shared memory's
descriptors. It lives in a session of its own, so that Ctrl-C in a terminal reaches control alone,
which then stops its children in order.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Generic, Protocol, TypeVar

import msgspec

from voiced.control.channel import Channel
from voiced.control.supervision import (
    HELLO_S,
    STALE_S,
    Broken,
    Closed,
    Exited,
    HelloReceived,
    Input,
    Order,
    Restart,
    SpawnFailed,
    Stale,
    Start,
    State,
    Stop,
    Supervision,
    Tick,
    describe_exit,
)
from voiced.lane.words import Owner
from voiced.messages.framing import Hello, Message, Shutdown

T = TypeVar("T", bound=Message)


class Stamps(Protocol):
    """Where a child's last sign of life is read: the device segment, or what it says itself."""

    def age_s(self, owner: Owner) -> float:
        """Return the seconds since its last sign of life."""


class Program(msgspec.Struct, Generic[T], frozen=True, kw_only=True):
    """What a child runs, and what it may say."""

    owner: Owner
    module: str
    union: type[T]
    environment: Mapping[str, str]
    pass_fds: tuple[int, ...]
    """Descriptors that it inherits under the same numbers."""
    stale_s: float = STALE_S
    """Age of its stamp from which it counts as hung."""
    title: str = ""
    """Tells two of an owner apart; "" = the owner's name."""
    takes_along: bool = False
    """Whatever it started ends with it."""


class Child(Generic[T]):
    """One child: its supervision, its process and its channel.

    Args:
        program: what to run.
        stamps: tells the age of the child's last sign of life.
        greet: called when the child said Hello; returns what it must be told first.
        on_message: called with every later message.
        on_exit: called with a sentence when a process is gone, and whether it was asked to go.
        on_change: called after every input; deadlines and states may have changed.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        program: Program[T],
        stamps: Stamps,
        greet: Callable[[], Iterable[Message]],
        on_message: Callable[[T], None],
        on_exit: Callable[[str, bool], None],
        on_change: Callable[[], None],
    ) -> None:
        self.supervision = Supervision()
        self.program = program
        self.trouble = ""
        """Why the last process ended, if nobody asked it to."""
        self._loop, self._stamps = loop, stamps
        self._greet, self._on_message = greet, on_message
        self._on_exit, self._on_change = on_exit, on_change
        self._process: subprocess.Popen[bytes] | None = None
        self._channel: Channel[T] | None = None
        self._broken = ""
        self._hung = False
        self._hello_at = 0.0

    @property
    def name(self) -> str:
        """The word for it in sentences and in `onError`'s source."""
        return self.program.title or self.program.owner.value

    @property
    def pid(self) -> int:
        """Process id; 0 = there is none."""
        return self._process.pid if self._process is not None else 0

    @property
    def running(self) -> bool:
        """Whether it said Hello and is not on its way out."""
        return self.supervision.state is State.RUNNING

    def start(self) -> None:
        """Have it running from now on."""
        self._handle(Start())

    def stop(self) -> None:
        """Have it stopped from now on."""
        self._handle(Stop())

    def restart(self) -> None:
        """Have a fresh one."""
        self._handle(Restart())

    def send(self, message: Message) -> bool:
        """Send to the running child; False, and nothing sent, where there is none."""
        if not self.running or self._channel is None:
            return False
        self._channel.send(message)
        return True

    def tick(self) -> None:
        """See whether a deadline has come."""
        self._handle(Tick())

    def watch(self) -> None:
        """Read the stamp; a running child that stopped stamping is hung."""
        if not self.running:
            return
        age, since_hello = (
            self._stamps.age_s(self.program.owner), time.monotonic() - self._hello_at
        )  # fmt: skip
        # Between Hello and its first stamp it still loads what it needs.
        limit = self.program.stale_s if age < since_hello else HELLO_S
        if min(age, since_hello) > limit:
            self._hung = True
            self._handle(Stale())

    def reap(self) -> None:
        """Take the exit status, if the process has exited."""
        if self._process is None:
            return
        if self.program.takes_along:
            _end_group(self._process.pid)
        status = self._process.poll()
        if status is None:
            return
        self._process = None
        if self._channel is not None:
            # Its last words (DeviceLost, a final Usage) may still be in the socket.
            self._channel.drain()
            self._channel = None
        asked = self.supervision.asked or not self.supervision.wanted
        sentence = f"{self.name} was stopped" if asked else self._exit_sentence(status)
        self.trouble = "" if asked else sentence
        self._broken, self._hung = "", False
        self._on_exit(sentence, asked)
        self._handle(Exited())

    def kill(self) -> None:
        """SIGKILL whatever runs; for the very end."""
        self._signal(signal.SIGKILL)

    def _exit_sentence(self, status: int) -> str:
        if self._broken:
            return f"{self.name} broke the protocol of its channel and was killed: {self._broken}"
        if self._hung:
            return (
                f"{self.name} hung (no sign of life for {self.program.stale_s:g} s) and was killed"
            )
        return describe_exit(self.name, status)

    def _handle(self, happening: Input) -> None:
        for order in self.supervision.handle(happening, time.monotonic()):
            self._obey(order)
        self._on_change()

    def _obey(self, order: Order) -> None:
        match order:
            case Order.SPAWN:
                self._spawn()
            case Order.TERMINATE:
                if self._channel is not None:
                    self._channel.send(Shutdown())
                else:
                    self._signal(signal.SIGTERM)
            case Order.ABORT:
                self._signal(signal.SIGABRT)
                # A stopped process takes no SIGABRT before it goes on.
                self._signal(signal.SIGCONT)
            case Order.KILL:
                self._signal(signal.SIGKILL)

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(number)

    def _spawn(self) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        fd = theirs.fileno()
        try:
            process = subprocess.Popen(
                [sys.executable, "-m", self.program.module, "--control-fd", str(fd)],
                stdin=subprocess.DEVNULL,
                pass_fds=(fd, *self.program.pass_fds),
                env=dict(self.program.environment),
                start_new_session=True,
            )
        except OSError as error:
            ours.close()
            self._on_exit(f"{self.name} cannot be started: {error.strerror or error}", False)
            # Not from here: the machine is in the middle of an input.
            self._loop.call_soon(self._handle, SpawnFailed())
            return
        finally:
            theirs.close()
        self._process = process
        self._channel = Channel(
            self._loop, ours, self.program.union, self._received, self._broke, self._closed
        )
        self._channel.send(Hello(pid=os.getpid()))

    def _received(self, message: T) -> None:
        if isinstance(message, Hello):
            self._hello_at = time.monotonic()
            self._handle(HelloReceived())
            if self.running:
                for first in self._greet():
                    self.send(first)
            return
        self._on_message(message)

    def _broke(self, sentence: str) -> None:
        self._broken = sentence
        self._handle(Broken())

    def _closed(self) -> None:
        self._handle(Closed())


def _end_group(leader: int) -> None:
    """SIGKILL the process group of a child that has exited and was not waited for yet."""
    with contextlib.suppress(OSError):
        if os.waitid(os.P_PID, leader, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None:
            os.killpg(leader, signal.SIGKILL)
