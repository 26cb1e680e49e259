"""A stand-in for control and audio around one real network process.

It creates the segments, spawns `python -m voiced.network` as control would, speaks its messages,
and writes the words and rings that audio owns: near with edges at exact frames, a loudspeaker that
plays what is published. Kinder than the real thing in two ways: time stands still between its
calls, and a flush is carried out when the test plays on, without the 5 ms fade unless asked.
"""

from __future__ import annotations

import os
import select
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np

from voiced.lane.seam import Wake, stamp_ns
from voiced.lane.words import Device, DeviceSegment, Edge, Epoch, Lane, LaneSegment, Owner
from voiced.messages.framing import Attach, Decoder, Hello, LaneSeat, encode
from voiced.messages.network import Catalogue, FromNetwork, LegOpened, OpenLeg, ScanProviders

ROOT = Path(__file__).resolve().parents[2]
AGENT = "voice_agent"


def await_true(condition, deadline_s: float = 10.0, what: str = "") -> None:
    """Look until `condition()` holds; the words of shared memory send no message."""
    end = time.monotonic() + deadline_s
    pause = select.poll()
    while not condition():
        assert time.monotonic() < end, f"not within {deadline_s} s: {what or condition}"
        pause.poll(2)


class NetworkRig:
    """One device segment, one lane, one network process at a time; audio is the test's hand."""

    def __init__(
        self,
        *,
        samplerate: int = 48000,
        latency: int = 0,
        near_s: float = 60,
        speed: float = 1.0,
        wire: socket.socket | None = None,
        folder: Path | None = None,
    ) -> None:
        self.samplerate, self.speed = samplerate, speed
        self.device_fd, self.device = DeviceSegment.create()
        self.lane_fd, self.lane = LaneSegment.create(samplerate, near_s=near_s)
        self.near_wake, self.edge_wake = Wake.create(), Wake.create()
        self.wire, self.folder = wire, folder
        self.process: subprocess.Popen[bytes] | None = None
        self.messages: list[FromNetwork] = []
        self.catalogue: Catalogue | None = None
        self.near = self.serial = 0
        self.is_open = False
        self.stale_ns = 0
        """How old control's stamp is made to look."""
        self._stop = threading.Event()
        self._stamper = threading.Thread(target=self._stamp, daemon=True)
        self._stamper.start()
        self.new_epoch(samplerate, latency)

    def __enter__(self) -> NetworkRig:
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._stamper.join()
        self.kill()
        self.near_wake.close()
        self.edge_wake.close()
        os.close(self.device_fd)
        os.close(self.lane_fd)

    def _stamp(self) -> None:
        while not self._stop.wait(0.1):
            self.device.words[Device.CONTROL_STAMP] = stamp_ns() - self.stale_ns

    # --- control ----------------------------------------------------------------------------

    def spawn(self) -> None:
        """Start the process and greet it."""
        self.device.stamp(Owner.CONTROL)
        ours, theirs = socket.socketpair()
        fds = {theirs.fileno(), self.device_fd, self.lane_fd, *self.near_wake.fds}
        if self.wire is not None:
            fds.add(self.wire.fileno())
        self.process = subprocess.Popen(
            [sys.executable, "-m", "voiced.network", "--control-fd", str(theirs.fileno())],
            pass_fds=sorted(fds | set(self.edge_wake.fds)),
            cwd=ROOT,
        )
        theirs.close()
        self.socket = ours
        self.decoder = Decoder(FromNetwork)
        self.messages = []
        self.send(Hello(pid=os.getpid()))
        self.send(
            Attach(
                device_fd=self.device_fd,
                lanes=[LaneSeat(agent=AGENT, fd=self.lane_fd)],
                near_wake=self.near_wake.fds,
                edge_wake=self.edge_wake.fds,
                speed=self.speed,
                wire_fd=-1 if self.wire is None else self.wire.fileno(),
            )
        )
        self.receive(Hello)
        self.catalogue = self.receive(Catalogue)
        if self.folder is not None:
            self.send(ScanProviders(folder=str(self.folder)))
            self.catalogue = self.receive(Catalogue)

    def send(self, message) -> None:
        """Send one message."""
        self.socket.sendall(encode(message))

    def open_leg(self, provider: str, leg: int = 1, **fields) -> LegOpened:
        """Open a leg and wait until it is."""
        self.send(self.leg(provider, leg, **fields))
        return self.receive(LegOpened)

    def leg(self, provider: str, leg: int = 1, **fields) -> OpenLeg:
        """Return an OpenLeg."""
        fields.setdefault("parameters", {})
        return OpenLeg(agent=AGENT, leg=leg, provider=provider, **fields)

    def receive(self, *kinds, deadline_s: float = 10.0, where=None, skip=()):
        """Return the next message of one of the kinds; others before it are dropped.

        `where` narrows it; a message of a kind in `skip` must not come before it.
        """
        end = time.monotonic() + deadline_s
        while True:
            while self.messages:
                message = self.messages.pop(0)
                assert not isinstance(message, tuple(skip)), f"unexpected {message}"
                if isinstance(message, kinds) and (where is None or where(message)):
                    return message
            left = end - time.monotonic()
            assert left > 0, f"no {[kind.__name__ for kind in kinds]} within {deadline_s} s"
            self._take(left)

    def take_all(self) -> list[FromNetwork]:
        """Return what has come so far, waiting for nothing."""
        while select.select([self.socket], [], [], 0)[0]:
            if not self._take(1):
                break
        messages, self.messages = self.messages, []
        return messages

    def _take(self, timeout_s: float) -> bool:
        self.socket.settimeout(timeout_s)
        try:
            received = self.socket.recv(65536)
        except TimeoutError:
            return False
        assert received, "the network process closed its channel"
        self.messages += self.decoder.receive(received)
        return True

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
            self.socket.close()

    # --- audio ------------------------------------------------------------------------------

    def new_epoch(self, samplerate: int, latency: int = 0) -> None:
        """A stream starts at the frame that comes next."""
        generation = self.device.words[Device.GENERATION] + 1
        self.samplerate = samplerate
        for direction, frame in (("input", self.near), ("output", self.output)):
            self.device.append_epoch(
                direction,
                Epoch(generation, frame, time.monotonic_ns(), samplerate, 480, latency, latency),
            )
        self.device.words[Device.GENERATION] = generation

    @property
    def output(self) -> int:
        """Output frames served."""
        return self.device.words[Device.OUTPUT_FRAME]

    def gate(self, is_open: bool) -> int:
        """The gate opens or closes at the next near frame; return it."""
        self.serial += 1
        self.is_open = is_open
        self.lane.append_edge(Edge(self.near, is_open, self.serial))
        return self.near

    def speak(self, samples: np.ndarray, far: np.ndarray | None = None, block: int = 480) -> None:
        """The microphone hears samples, a block at a time; far is what sounds meanwhile."""
        samples = np.ascontiguousarray(samples, np.int16)
        far = np.zeros(len(samples), np.int16) if far is None else np.asarray(far, np.int16)
        for at in range(0, len(samples), block):
            near = samples[at : at + block]
            self.lane.far.store(self.near, memoryview(np.ascontiguousarray(far[at : at + block])))
            self.lane.near.store(self.near, memoryview(near))
            self.near += len(near)
            self.lane.far.publish_write(self.near)
            self.lane.near.publish_write(self.near)
            self.near_wake.set()

    def hush(self, seconds: float) -> None:
        """Nothing is said for a while."""
        self.speak(np.zeros(int(seconds * self.samplerate), np.int16), block=4800)

    def play(self, frames: int, fade: int = 0) -> np.ndarray:
        """The loudspeaker plays up to so many frames; return what sounded."""
        lane, ring = self.lane, self.lane.speaker
        read, write = ring.read_position, ring.write_position
        target = max(lane.get(Lane.FLUSH_TO), lane.get(Lane.STOP_TO))
        if target > read:
            sounded = min(fade, write - read)
            played = np.frombuffer(ring.load(read, sounded), np.int16)
            lane.put(Lane.SILENT_AT, read + sounded)
            ring.publish_read(target)
            lane.put(Lane.FLUSH_DONE, target)
        else:
            sounded = min(frames, write - read)
            played = np.frombuffer(ring.load(read, sounded), np.int16)
            ring.publish_read(read + sounded)
        self.device.words[Device.OUTPUT_FRAME] = self.output + frames
        return played

    def play_out(self, frames: int, deadline_s: float = 10.0) -> np.ndarray:
        """Play until so many frames have sounded."""
        played: list[np.ndarray] = []
        count = 0
        end = time.monotonic() + deadline_s
        pause = select.poll()
        while count < frames:
            part = self.play(min(480, frames - count))
            played.append(part)
            count += len(part)
            if not len(part):
                assert time.monotonic() < end, f"only {count} of {frames} frames sounded"
                pause.poll(2)
        return np.concatenate(played)


def tone(seconds: float, rate: int = 48000, hz: float = 440.0, level: float = 0.3) -> np.ndarray:
    """Return a sine."""
    t = np.arange(int(seconds * rate))
    return (level * 32767 * np.sin(2 * np.pi * hz * t / rate)).astype(np.int16)
