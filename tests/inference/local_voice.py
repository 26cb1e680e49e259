"""The network process's place on the wire: starts a real inference process and talks to it.

Unlike the network process it is paced by the caller: sound may be sent as fast as it is read.
"""

from __future__ import annotations

import re
import select
import signal
import socket
import subprocess
import sys
import time
import wave
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from voiced.messages import inference as messages

VISITORS = Path(__file__).parents[2] / "voiced" / "cli" / "visitors"
Pcm = NDArray[np.int16]
STEP = 320
"""Samples of one packet: 20 ms."""


def recording(name: str) -> Pcm:
    with wave.open(str(VISITORS / name)) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (16_000, 1, 2)
        return np.frombuffer(file.readframes(file.getnframes()), "<i2")


def transcripts() -> dict[str, str]:
    rows = (VISITORS / "transcripts.tsv").read_text("utf-8").splitlines()[1:]
    return {row.split("\t")[0]: row.split("\t")[1] for row in rows}


def silence(seconds: float) -> Pcm:
    return np.zeros(int(seconds * 16_000), np.int16)


def words(text: str) -> list[str]:
    """Return the words for comparison: hyphens part words, other punctuation is dropped."""
    plain = re.sub(r"[^a-z0-9' ]", "", text.lower().replace("-", " "))
    return plain.split()


def word_errors(said: str, heard: str) -> tuple[int, int]:
    """Return the edit distance in words, and the number of words that were said."""
    a, b = words(said), words(heard)
    row = list(range(len(b) + 1))
    for i, word in enumerate(a, 1):
        last, row = row, [i]
        for j, other in enumerate(b, 1):
            row.append(min(last[j] + 1, row[-1] + 1, last[j - 1] + (word != other)))
    return row[-1], len(a)


class LocalVoice:
    """One end of the wire, and the process at the other."""

    def __init__(self) -> None:
        self.near, self.far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.near.setblocking(False)
        self.events: list[messages.FromInference] = []
        """Everything that was received, in order."""
        self.process = self.spawn()

    def spawn(self) -> subprocess.Popen[bytes]:
        fd = self.far.fileno()
        return subprocess.Popen(
            [sys.executable, "-m", "voiced.inference", "--wire-fd", str(fd)],
            pass_fds=[fd],
            stderr=subprocess.PIPE,
            cwd=Path(__file__).parents[2],  # the working tree, installed or not
        )

    def close(self) -> str:
        """End the process; return what it logged."""
        self.process.send_signal(signal.SIGTERM)
        _, log = self.process.communicate(timeout=10)
        assert self.process.returncode == 0
        self.near.close()
        self.far.close()
        return log.decode()

    def send(self, *wanted: messages.ToInference) -> None:
        for message in wanted:
            self.send_packet(messages.encode(message))

    def send_packet(self, packet: bytes) -> None:
        deadline = time.monotonic() + 30
        while True:
            try:
                self.near.send(packet)
                return
            except BlockingIOError:
                left = deadline - time.monotonic()
                assert left > 0, "the inference process does not read its wire"
                select.select([], [self.near], [], left)
                self.receive()

    def audio(self, conversation: str, pcm: Pcm) -> None:
        for at in range(0, len(pcm), STEP):
            chunk = pcm[at : at + STEP].astype("<i2").tobytes()
            self.send(messages.Audio(conversation=conversation, pcm=chunk))
        self.receive()

    def receive(self) -> None:
        """Take what has come, without waiting."""
        while True:
            try:
                packet = self.near.recv(messages.MAX_PACKET)
            except BlockingIOError:
                return
            self.events.append(messages.decode_from_inference(packet))

    def wait(
        self,
        wanted: Callable[[messages.FromInference], bool],
        *,
        since: int = 0,
        deadline_s: float = 30.0,
    ) -> messages.FromInference:
        """Return the first event from number `since` on that is wanted."""
        deadline = time.monotonic() + deadline_s
        seen = since
        while True:
            for event in self.events[seen:]:
                if wanted(event):
                    return event
            seen = len(self.events)
            left = deadline - time.monotonic()
            assert left > 0, f"waited in vain; last events: {self.events[-5:]!r:.600}"
            select.select([self.near], [], [], left)
            self.receive()

    def of(self, kind: type, conversation: str | None = None) -> Iterator[object]:
        """Yield the events of a kind, of one conversation or all."""
        for event in self.events:
            if isinstance(event, kind) and (
                conversation is None or event.conversation == conversation
            ):
                yield event
