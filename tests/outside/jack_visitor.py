"""Visitors before a JACK machine: mouths that speak into voiced's ports, ears at its outputs.

A program of its own, for its callback must not wait for a test: `python -m
tests.outside.jack_visitor MOUTHS EARS`. It connects mouth N to voiced's input N and output N to
ear N, also to ports that come later. Commands are lines of JSON on stdin, events lines on stdout:

    {"say": "speech.npy", "mouth": 1, "marks": {"release": 48000}}   int16 at the server's rate
    {"keep": "heard.npy"}                                            float32 (frames, ears)

What the ears hear is kept at its place by JACK's own frame time: a block that this client missed is
a hole of zeros, and counted.
"""

from __future__ import annotations

import json
import queue
import sys
import threading
from typing import Any, NamedTuple

import numpy as np

KEPT_S = 90


class Speech(NamedTuple):
    samples: np.ndarray
    marks: list[tuple[int, str]]


class Mouth:
    """Plays one recording at a time; lives on JACK's thread."""

    def __init__(self, number: int, said: queue.SimpleQueue[dict[str, Any]]) -> None:
        self.number, self._said = number, said
        self._given: Speech | None = None
        self._speech: Speech | None = None
        self._place = 0

    def say(self, speech: Speech) -> None:
        self._given = speech

    def serve(self, out: np.ndarray, frame: int) -> None:
        out.fill(0.0)
        if self._given is not None:
            self._speech, self._given, self._place = self._given, None, 0
            self._tell("begin", frame)
        if self._speech is None:
            return
        samples, marks = self._speech
        count = min(len(out), len(samples) - self._place)
        out[:count] = samples[self._place : self._place + count]
        self._place += count
        while marks and marks[0][0] <= self._place:
            self._tell(marks.pop(0)[1], frame + count)
        if self._place == len(samples):
            self._speech = None
            self._tell("end", frame + count)

    def _tell(self, event: str, frame: int) -> None:
        self._said.put({"event": event, "mouth": self.number, "frame": frame})


class Visitors:
    """The JACK client."""

    def __init__(self, mouths: int, ears: int) -> None:
        import jack

        self.said: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self._client = jack.Client("Visitors", no_start_server=True)
        self._mouth_ports = [
            self._client.outports.register(f"mouth_{n + 1}") for n in range(mouths)
        ]
        self._ear_ports = [self._client.inports.register(f"ear_{n + 1}") for n in range(ears)]
        self.mouths = [Mouth(n + 1, self.said) for n in range(mouths)]
        # Touched now: the callback must not wait for the kernel to find a page.
        self._kept = np.full((ears, KEPT_S * self._client.samplerate), 0.0, np.float32)
        self._origin = -1
        self._end = 0
        self._holes = 0
        self._client.set_process_callback(self._serve)
        self._client.set_port_registration_callback(self._port, only_available=False)
        self._client.activate()
        for port in self._client.get_ports(r"^voiced", is_audio=True):
            self.said.put({"port": port.name})

    def _serve(self, frames: int) -> None:
        now = self._client.last_frame_time
        if self._origin < 0:
            self._origin = now
        at = now - self._origin
        for mouth, port in zip(self.mouths, self._mouth_ports, strict=True):
            mouth.serve(port.get_array(), at)
        self._holes += at - self._end
        self._end = at + frames
        for kept, port in zip(self._kept, self._ear_ports, strict=True):
            kept[at : at + frames] = port.get_array()[: max(0, len(kept) - at)]

    def _port(self, port: Any, registered: bool) -> None:
        if registered and port is not None:
            self.said.put({"port": port.name})

    def connect(self, name: str) -> None:
        """Connect a new port of voiced, if it is one."""
        client, _, port = name.partition(":")
        side, _, digits = port.partition("_")
        if not client.startswith("voiced") or not digits.isdigit():
            return
        number = int(digits)
        pair = None
        if side == "in" and number < len(self._mouth_ports):
            pair = (self._mouth_ports[number].name, name)
        elif side == "out" and number < len(self._ear_ports):
            pair = (name, self._ear_ports[number].name)
        if pair is not None and pair[1] not in [
            other.name for other in self._client.get_all_connections(pair[0])
        ]:
            self._client.connect(*pair)
            print(json.dumps({"event": "connected", "port": name}), flush=True)

    def keep(self, path: str) -> None:
        np.save(path, self._kept[:, : self._end].T)
        self.said.put({"event": "kept", "path": path, "holes": self._holes})


def main() -> None:
    visitors = Visitors(int(sys.argv[1]), int(sys.argv[2]))
    # Connecting waits for the server, which must not be done on the server's own threads.
    threading.Thread(target=_tell, args=(visitors,), daemon=True).start()
    print(json.dumps({"event": "ready"}), flush=True)
    for line in sys.stdin:
        command = json.loads(line)
        if "keep" in command:
            visitors.keep(command["keep"])
            continue
        samples = np.load(command["say"]).astype(np.float32) / np.float32(32768)
        marks = sorted((frame, name) for name, frame in command["marks"].items())
        visitors.mouths[command["mouth"] - 1].say(Speech(samples, marks))


def _tell(visitors: Visitors) -> None:
    while True:
        event = visitors.said.get()
        if "port" in event:
            visitors.connect(event["port"])
        else:
            print(json.dumps(event), flush=True)


if __name__ == "__main__":
    main()
