"""A stand-in for control and network around one real audio process.

It creates the segments, spawns `python -m voiced.audio` as control would, speaks its messages and
touches the words that control and network own. Kinder than the real thing in one way: it looks only
when asked, so it never notices by itself that the process is gone.
"""

from __future__ import annotations

import os
import select
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TypeVar

import numpy as np

from voiced.lane.seam import Wake
from voiced.lane.words import Device, DeviceSegment, Lane, LaneSegment, Owner
from voiced.messages.audio import (
    DeviceOpened,
    FromAudio,
    LaneChannels,
    OpenDevice,
    ToAudio,
    VirtualCard,
)
from voiced.messages.framing import Attach, Decoder, Hello, LaneSeat, Message, encode

ROOT = Path(__file__).resolve().parents[2]
T = TypeVar("T", bound=Message)


def await_true(condition, deadline_s: float = 10.0, what: str = "") -> None:
    """Look until `condition()` holds; the words of shared memory send no message."""
    end = time.monotonic() + deadline_s
    pause = select.poll()
    while not condition():
        assert time.monotonic() < end, f"not within {deadline_s} s: {what or condition}"
        pause.poll(2)


class AudioRig:
    """One device segment, a lane for each agent, and one audio process at a time."""

    def __init__(
        self,
        agents: dict[str, tuple[tuple[int, ...], tuple[int, ...]]] | None = None,
        *,
        samplerate: int = 48000,
        speed: float = 1.0,
        env: dict[str, str] | None = None,
    ) -> None:
        agents = agents or {"voice_agent": ((1,), (1,))}
        self.samplerate = samplerate
        self.speed = speed
        self.env = {**os.environ, **(env or {})}
        self.device_fd, self.device = DeviceSegment.create()
        self.channels = [LaneChannels(agent=a, inputs=i, outputs=o) for a, (i, o) in agents.items()]
        self.lane_fds: dict[str, int] = {}
        self.lanes: dict[str, LaneSegment] = {}
        for agent in agents:
            self.lane_fds[agent], self.lanes[agent] = LaneSegment.create(samplerate)
        self.lane = next(iter(self.lanes.values()))
        self.near_wake, self.edge_wake = Wake.create(), Wake.create()
        self.program = [sys.executable, "-m", "voiced.audio"]
        self.process: subprocess.Popen[bytes] | None = None
        self._socket: socket.socket | None = None
        self._messages: list[FromAudio] = []

    def __enter__(self) -> AudioRig:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        self.near_wake.close()
        self.edge_wake.close()
        for fd in (self.device_fd, *self.lane_fds.values()):
            os.close(fd)

    def spawn(self, open_device: OpenDevice | None = None) -> Hello:
        """Start the process; greet it; ask for the card if one is given."""
        self.kill()
        ours, theirs = socket.socketpair()
        fds = {
            theirs.fileno(),
            self.device_fd,
            *self.lane_fds.values(),
            *self.near_wake.fds,
            *self.edge_wake.fds,
        }
        self.process = subprocess.Popen(
            [*self.program, "--control-fd", str(theirs.fileno())],
            pass_fds=sorted(fds),
            cwd=ROOT,
            env=self.env,
        )
        theirs.close()
        self._socket = ours
        self._decoder = Decoder(FromAudio)
        self._messages = []
        self.send(Hello(pid=os.getpid()))
        self.send(
            Attach(
                device_fd=self.device_fd,
                lanes=[LaneSeat(agent=a, fd=fd) for a, fd in self.lane_fds.items()],
                near_wake=self.near_wake.fds,
                edge_wake=self.edge_wake.fds,
                speed=self.speed,
            )
        )
        hello = self.receive(Hello)
        if open_device is not None:
            self.send(open_device)
        return hello

    def open_device(self, **fields: object) -> OpenDevice:
        """Return an OpenDevice for this rig's lanes; `fields` replace what it says."""
        asked = {
            "backend": "portaudio",
            "input": "",
            "output": "",
            "samplerate": self.samplerate,
            "input_block": 0,
            "output_block": 0,
            "missing": "wait",
            "append_frames": 480,
            "lanes": self.channels,
            **fields,
        }
        return OpenDevice(**asked)

    def virtual(self, inputs=None, output="", conversation="", **fields: object) -> OpenDevice:
        """Return an OpenDevice for the virtual card."""
        card = VirtualCard(inputs=inputs or {}, output=str(output), conversation=str(conversation))
        return self.open_device(backend="virtual", virtual=card, **fields)

    def start(self, open_device: OpenDevice, deadline_s: float = 15.0) -> DeviceOpened:
        """Start the process and wait until its card runs."""
        self.spawn(open_device)
        return self.receive(DeviceOpened, deadline_s)

    def send(self, *messages: ToAudio) -> None:
        """Send messages, in one go."""
        assert self._socket is not None
        self._socket.sendall(b"".join(map(encode, messages)))

    def receive(self, kind: type[T], deadline_s: float = 15.0) -> T:
        """Return the next message of a kind; others before it are dropped."""
        return self.receive_all(kind, deadline_s)[-1]

    def receive_all(self, kind: type[T], deadline_s: float = 15.0) -> list:
        """Return all messages up to the next of a kind, which is the last of them."""
        assert self._socket is not None
        end = time.monotonic() + deadline_s
        before = []
        while True:
            while self._messages:
                before.append(self._messages.pop(0))
                if isinstance(before[-1], kind):
                    return before
            left = end - time.monotonic()
            assert left > 0, f"no {kind.__name__} within {deadline_s} s, but {before}"
            self._socket.settimeout(left)
            try:
                received = self._socket.recv(65536)
            except TimeoutError:
                continue
            assert received, f"the audio process closed its channel before {kind.__name__}"
            self._messages += self._decoder.receive(received)

    def wait(self, deadline_s: float = 10.0) -> int:
        """Wait for the process to end; return its exit status."""
        assert self.process is not None
        return self.process.wait(deadline_s)

    def kill(self) -> None:
        """Kill -9 and reap, as control would before it spawns a successor."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(10)
            self.process = None
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def hang_up(self) -> None:
        """Close control's end."""
        assert self._socket is not None
        self._socket.close()
        self._socket = None

    def word(self, word: Device) -> int:
        """Read a word of the device segment."""
        return self.device.words[word]

    def await_frames(self, frames: int, deadline_s: float = 15.0) -> None:
        """Wait until the card has served `frames` more input frames."""
        goal = self.word(Device.DEVICE_FRAME) + frames
        await_true(
            lambda: self.word(Device.DEVICE_FRAME) >= goal, deadline_s, f"device frame {goal}"
        )

    def say(self, samples: np.ndarray, lane: LaneSegment | None = None, *, complete=True) -> int:
        """Write int16 samples to a speaker ring and publish them; return their end position."""
        lane = lane or self.lane
        at = lane.speaker.write_position
        assert lane.speaker.free(at) >= len(samples), "the speaker ring is full"
        lane.speaker.store(at, memoryview(np.ascontiguousarray(samples, np.int16)))
        end = at + len(samples)
        if complete:
            lane.put(Lane.SPEAKER_COMPLETE, end)
        lane.speaker.publish_write(end)
        return end

    def await_heard(self, position: int, lane: LaneSegment | None = None, deadline_s=15.0) -> None:
        """Wait until the speaker position has got to `position`."""
        lane = lane or self.lane
        await_true(lambda: lane.speaker.read_position >= position, deadline_s, f"heard {position}")

    def is_fresh(self) -> bool:
        """Tell whether the process stamped within half a second."""
        return self.device.age_s(Owner.AUDIO) < 0.5


def ring_copy(ring, start: int, end: int) -> np.ndarray:
    """Return frames of a ring as an int16 array."""
    return np.frombuffer(ring.load(start, end - start), np.int16)
