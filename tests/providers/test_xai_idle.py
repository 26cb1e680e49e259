"""Nobody speaks for as long as xAI waits: the evening goes on, and nobody hears of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.daemon.rig import CONFIG, Daemon
from tests.daemon.test_tools_emulated import running
from voiced.emulators.script import Connection, Reply, Script
from voiced.emulators.xai import XAI

A = "/voice_agent"


def test_a_pedal_that_nobody_touches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    limits = iter([2.0])  # The first connection's; what follows is about the second one.
    monkeypatch.setattr(XAI, "idle_s", property(lambda _: next(limits, 600.0)))
    service = XAI(Script(connection=[Connection(reply=[Reply(says="Here I am.")])]))
    with running(service):
        agents = (
            '[[agent]]\nname = "voice_agent"\n[agent.par]\nProvider = "xai_grok"\n'
            f'Sessionmode = "push_to_talk"\n[agent.xai_grok]\nendpoint = "{service.url}"\n'
        )
        config = CONFIG.replace('output = ""', 'output = ""\nspeed = 4')
        with Daemon(tmp_path, agents, config=config) as daemon:
            daemon.send(f"{A}/par/Connect")
            daemon.wait(f"{A}/par/Sessionstate", "armed")
            daemon.wait(
                f"{A}/conv/row",
                lambda *row: row[2].startswith("▶ Refreshed session") and "goaway" in row[2],
                20.0,
            )  # fmt: skip
            daemon.ask(f"{A}/par/Sessionstate", wanted="armed")
            daemon.send(f"{A}/par/Sendtext", "Still there?")
            daemon.wait(
                f"{A}/cb/onAssistantText",
                lambda text, final, _: final == 1 and text.strip() == "Here I am.",
                20.0,
            )
            assert daemon.client.all(f"{A}/cb/onError") == []
    assert list(service.violations) == []
    assert {line.what for line in service.bill.lines} == {"audio", "text_item"}
