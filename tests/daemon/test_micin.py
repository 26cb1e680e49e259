"""Micin: an agent listens at another channel of the device, and the others hear nothing of it."""

from __future__ import annotations

from pathlib import Path

from tests.daemon.rig import ROOT, Daemon

TWO = """
[[agent]]
name = "left"
input_channels = [1]
output_channels = [1]
[agent.par]
Provider = "echo"
[[agent]]
name = "right"
input_channels = [2]
output_channels = [2]
[agent.par]
Provider = "echo"
"""
VISITOR = str(ROOT / "voiced" / "cli" / "visitors" / "lv_0880.wav")
LOUD = 0.02


def test_another_channel_is_heard(tmp_path: Path) -> None:
    with Daemon(tmp_path, TWO, settings=["audio.virtual.speed=3"]) as daemon:
        daemon.ask("/left/par/Enginestatus", wanted="ready")
        pid = daemon.pid_of("audio")

        def visit(wanted: str) -> list[float]:
            """Let a visitor speak at channel 1 until an agent hears him; return what both heard."""
            since = daemon.mark()
            daemon.send("/voiced/audio/play", "left", VISITOR)
            daemon.wait(f"/{wanted}/sig/level_in", lambda level: level > LOUD, since=since)
            daemon.wait("/voiced/audio/ended", since=since)
            return [
                max(m.args[0] for m in daemon.client.all(f"/{agent}/sig/level_in", since=since))
                for agent in ("left", "right")
            ]

        left, right = visit("left")
        assert left > LOUD > 0.001 > right
        daemon.send("/right/par/Micin", "1")
        daemon.ask("/right/par/Micin", wanted="1")
        left, right = visit("right")
        assert min(left, right) > LOUD
        assert daemon.pid_of("audio") == pid, "the stream has this channel already"

        # One that the stream was not opened with takes a new one; the agents go on.
        since = daemon.mark()
        daemon.send("/right/par/Micin", "1,5")
        daemon.wait_for_successor("audio", pid)
        daemon.ask("/left/par/Enginestatus", wanted="ready")
        left, right = visit("right")
        assert right > LOUD
        assert daemon.client.all("/right/cb/onError", since=since) == []

        # One that there is not is told, and nobody loses his voice over it.
        daemon.send("/right/par/Micin", "1,20")
        told = daemon.wait("/right/cb/onError", "audio", since=since).args
        assert told[1] == "channels"
        assert "channel 20, but virtual card gives 8" in told[2]
        left, right = visit("right")
        assert min(left, right) > LOUD
