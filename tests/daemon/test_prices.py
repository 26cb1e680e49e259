"""The operator's own prices reach what is shown and what is counted, at the start and at SIGHUP."""

from __future__ import annotations

import signal
from pathlib import Path

from tests.daemon.rig import ECHO, ROOT, Daemon

A = "/voice_agent"
VISITOR = ROOT / "voiced" / "cli" / "visitors" / "lv_0880.wav"
OWN = '[prices.echo."*"]\naudio_minute = {}\n'


def test_ones_own_price_is_shown_and_counted_and_changes_with_a_reload(tmp_path: Path) -> None:
    with Daemon(tmp_path, ECHO + OWN.format(6)) as daemon:
        assert daemon.ask(f"{A}/par/Pricing") == ("~6.00 USD/min of audio, in or out",)
        daemon.send(f"{A}/par/Connect")
        # What is said, and said back: a tenth of a dollar a second.
        daemon.send("/voiced/audio/play", "voice_agent", str(VISITOR))
        daemon.wait(f"{A}/sig/session_cost", lambda usd: usd > 0.1)

        daemon.write_config(ECHO + OWN.format(0.5) + '[prices.ecco."*"]\ntext_item = 1\n')
        since = daemon.mark()
        assert daemon.process is not None
        daemon.process.send_signal(signal.SIGHUP)
        daemon.wait(f"{A}/par/Pricing", "~0.50 USD/min of audio, in or out", since=since)
        told = "prices.ecco: there is no provider of this name. Did you mean echo?"
        daemon.wait(f"{A}/cb/onError", lambda source, code, said: said == told, since=since)

        daemon.write_config(ECHO)
        since = daemon.mark()
        daemon.process.send_signal(signal.SIGHUP)
        daemon.wait(f"{A}/par/Pricing", "free (echo)", since=since)


def test_a_successor_of_the_network_process_has_ones_own_prices(tmp_path: Path) -> None:
    with Daemon(tmp_path, ECHO + OWN.format(6)) as daemon:
        killed = daemon.signal_child("network")
        daemon.wait_for_successor("network", killed)
        daemon.ask(f"{A}/par/Pricing", wanted="~6.00 USD/min of audio, in or out")
