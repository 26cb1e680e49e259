"""50,000 messages a second for three seconds at a whole daemon, and one Disconnect among them."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.daemon.rig import CONFIG, Daemon
from tests.osc.test_flood import NAMES, RATE, SECONDS, SENDER
from tests.osc.wire import Udp

STATE = "/voice_agent/par/Sessionstate"
QUIET = CONFIG.replace(
    'send = ["/*"]', f'send = ["{STATE}", "/voiced/*"], skip = ["/voiced/error"]'
)
"""What the test hears is the state alone: python-osc would be slower than the flood."""
ACTED_S = 0.1


@pytest.mark.timeout(120)
def test_a_disconnect_in_a_flood_is_acted_on(tmp_path: Path) -> None:
    """The best of three: other programs of a busy machine only ever make it worse."""
    assert QUIET != CONFIG
    with Daemon(tmp_path, config=QUIET) as daemon:
        found = []
        for _ in range(3):
            acted_s, pings = flooded(daemon)
            print(f"acted on after {acted_s * 1e3:.1f} ms; {pings} pings answered meanwhile")
            assert pings > 9
            for name in NAMES:
                assert daemon.ask(f"/voice_agent/par/{name}") == (0.75,)
            found.append(acted_s)
            if acted_s < ACTED_S:
                return
        pytest.fail(f"acted on after {found} s")


def flooded(daemon: Daemon) -> tuple[float, int]:
    """Flood a connected daemon; return how long after it was sent Disconnect was acted on, in s."""
    since = daemon.mark()
    daemon.send("/voice_agent/par/Connect")
    daemon.wait(STATE, "active", since=since)
    since = daemon.mark()
    sender = subprocess.Popen(
        [sys.executable, "-c", SENDER, str(daemon.port), str(RATE), str(SECONDS), ",".join(NAMES)],
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    with sender:
        try:
            pings = pinged(daemon, sender)
        finally:
            sender.kill()  # It has ended, unless no ping came back.
        out, _ = sender.communicate()
    pressed, took = map(float, out.split())
    if took > 1.1 * SECONDS:
        pytest.skip(f"other programs keep this machine from a flood of this rate: {took:.1f} s")
    acted = daemon.wait(STATE, lambda word: word in ("ending", "disconnected"), since=since)
    daemon.wait(STATE, "disconnected", since=since)
    assert time.monotonic() > acted.at > pressed
    return acted.at - pressed, pings


def pinged(daemon: Daemon, sender: subprocess.Popen[str]) -> int:
    """Ping until the flood is over; return how often an answer came."""
    pings = 0
    with Udp(daemon.port) as udp:
        while sender.poll() is None:
            udp.send("/voiced/ping", pings)
            # Where others hold the processors the system drops datagrams before anybody reads them.
            with contextlib.suppress(TimeoutError):
                udp.until("/voiced/pong", 1.0)
                pings += 1
            # The machine's few cores belong to the flood and to the daemon.
            try:
                sender.wait(0.02)
            except subprocess.TimeoutExpired:
                continue
    assert sender.returncode == 0
    return pings
