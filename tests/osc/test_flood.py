"""50,000 messages a second for three seconds, and one Disconnect in the middle."""

from __future__ import annotations

import contextlib
import math
import subprocess
import sys
import time

import msgspec
import pytest

from tests.osc.fake import Running
from tests.osc.wire import Udp, built

RATE = 50_000
SECONDS = 3.0
NAMES = ("Volume", "Micgain", "Displaycolorr", "Displaycolorg")

SENDER = """
import socket, struct, sys, time
port, rate, seconds = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
names = sys.argv[4].split(",")
heads = []
for name in names:
    address = f"/voice_agent/par/{name}".encode()
    heads.append(address + b"\\0" * (4 - len(address) % 4) + b",f\\0\\0")
button = b"/voice_agent/par/Disconnect\\0,\\0\\0\\0"
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.connect(("127.0.0.1", port))
total = int(rate * seconds)
start = time.monotonic()
pressed = 0.0
late = 0
for n in range(total):
    if n % 100 == 0:
        # A hundred at a time, each hundred when it is due.
        due = start + n / rate
        while time.monotonic() < due:
            pass
    if n == total // 2:
        pressed = time.monotonic()
        sock.send(button)
    # Ends at 0.75: whatever was lost on the way, the last of each is known.
    value = 0.75 if n >= total - len(names) else n / total
    sock.send(heads[n % len(names)] + struct.pack(">f", value))
print(pressed, time.monotonic() - start)
"""


@pytest.mark.timeout(90)
def test_a_flood_neither_delays_nor_loses_what_counts(door: Running, udp: Udp) -> None:
    """The best of three: other programs of a busy machine only ever make it worse."""
    measured = []
    for _ in range(3):
        outcome = flooded(door, udp)
        print(outcome)
        if outcome.good():
            return
        measured.append(outcome)
    if not any(outcome.fair() for outcome in measured):
        pytest.skip(f"other programs keep this machine from a flood of this rate: {measured}")
    pytest.fail(f"three floods: {measured}")


class Outcome(msgspec.Struct, frozen=True):
    disconnect_s: float
    """From sending it to its arrival in the mind; infinite if it was lost."""
    last_values: bool
    lag_s: float
    pings: int
    seconds: float
    passed_over: int
    waited_s: float
    """How long the door's thread was ready to run and was not let."""

    def fair(self) -> bool:
        return self.seconds < 1.1 * SECONDS and self.waited_s < 0.1 * SECONDS

    def good(self) -> bool:
        # The lag is the whole program's, pinging test and all, on as many cores as there are; only
        # a door that never comes up for air holds the loop for most of the flood.
        return self.disconnect_s < 0.1 and self.last_values and self.lag_s < 1.0 and self.pings > 9


def flooded(door: Running, udp: Udp) -> Outcome:
    surface = door.surface
    surface.puts.clear()
    surface.stored.clear()
    door.lag = 0.0
    waited = door.waited_s()
    sender = subprocess.Popen(
        [sys.executable, "-c", SENDER, str(door.port), str(RATE), str(SECONDS), ",".join(NAMES)],
        stdout=subprocess.PIPE,
        text=True,
    )
    pings = 0
    while sender.poll() is None:
        udp.send("/voiced/ping", pings)
        with contextlib.suppress(TimeoutError):
            udp.until("/voiced/pong", 1.0)
            pings += 1
    out, _ = sender.communicate()
    assert sender.returncode == 0
    pressed, took = map(float, out.split())
    udp.done()
    acted = surface.pressed("Disconnect") or [math.inf]
    assert len(acted) == 1
    values = [surface.value("voice_agent", "par", name) for name in NAMES]
    return Outcome(
        acted[0] - pressed, values == [0.75] * len(NAMES), door.lag, pings, took,
        door.door._inbox.passed_over, door.waited_s() - waited,
    )  # fmt: skip


def test_a_flood_of_refusals_keeps_the_door_answering(door: Running, udp: Udp) -> None:
    flood = Udp(door.port)
    packets = [built(f"/voice_agent/par/Volum{n}", 1.0) for n in range(50)] + [b"#bundle\0", b"/x"]
    end = time.monotonic() + 1.0
    while time.monotonic() < end:
        for packet in packets:
            flood.raw(packet)
        assert udp.ask("/voice_agent/par/Volume") == [1.0]
    flood.close()
    assert len(door.surface.lines) < 40
