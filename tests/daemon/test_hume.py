"""An evening with Hume: EVI talks, Expression Measurement listens, both as strict stand-ins."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path

import pytest

from tests.daemon.rig import CONFIG, Daemon
from voiced.emulators.hume import Hume
from voiced.emulators.hume_expression import HumeExpression
from voiced.emulators.script import Connection, Fault, Heard, Reply, Script
from voiced.emulators.server import Emulator

A = "/voice_agent"
SPEED = 2.0
_CONFIG = CONFIG.replace('output = ""', f'output = ""\nspeed = {SPEED}')


@contextmanager
def running(*emulators: Emulator) -> Iterator[None]:
    """Run stand-ins on a loop of their own."""
    loop, ready, over = asyncio.new_event_loop(), threading.Event(), asyncio.Event()

    async def run() -> None:
        async with AsyncExitStack() as stack:
            for emulator in emulators:
                await stack.enter_async_context(emulator)
            ready.set()
            await over.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(run()), daemon=True)
    thread.start()
    assert ready.wait(20)
    try:
        yield
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join(20)
        loop.close()


def agent(par: str, page: str) -> str:
    return f"""
[[agent]]
name = "voice_agent"
[agent.par]
{par}
[agent.hume_evi]
{page}
"""


def test_an_evening_with_evi_and_affect(tmp_path: Path) -> None:
    talk = Script(
        connection=[
            Connection(
                speech=[(1000, 2500), (7000, 8500)],
                heard=[Heard(text="My name is Ada.", revisions=["My"]), Heard(text="It is late.")],
                reply=[Reply(says="Hello Ada.")],
                fault=[Fault(what="cap", after_s=14.0)],
                options={"scores": {"Joy": 0.75, "Surprise (negative)": 0.25}},
            ),
            Connection(),
        ],
    )  # fmt: skip
    ears = Script(
        connection=[Connection(speech=[(1000, 2400)], options={"expressions": [["warm joy", 0.5]]})]
    )
    hume, expression = Hume(talk, speed=SPEED), HumeExpression(ears, speed=SPEED)
    with running(hume, expression):
        par = f'Provider = "hume_evi"\nAffect = "hume"\nAffectendpoint = "{expression.url}"'
        page = f'endpoint = "{hume.url}"'
        with Daemon(tmp_path, agent(par, page), config=_CONFIG) as daemon:
            daemon.ask(f"{A}/sig/model_ready", wanted=1.0)
            assert "2026-11-13" in str(daemon.ask(f"{A}/par/Pricing")[0])
            since = daemon.mark()
            daemon.send(f"{A}/par/Connect")
            daemon.wait(f"{A}/cb/onUserText", lambda text, final, _: final and "Ada" in text)
            said = daemon.wait(f"{A}/cb/onAssistantText", lambda text, final, _: final)
            assert said.args[0] == "Hello Ada."
            user = daemon.client.all(f"{A}/cb/onUserText")[-1].args[2]
            affect = daemon.wait(f"{A}/cb/onAffect", lambda _, scores: "Joy" in scores)
            assert affect.args[0] == user
            assert json.loads(affect.args[1])["Joy"] == 0.75
            daemon.wait(f"{A}/sig/hume_evi_affect_joy", 0.75)
            daemon.wait(f"{A}/sig/hume_evi_affect_surprise_negative", 0.25)
            beside = daemon.wait(f"{A}/cb/onAffect", lambda _, scores: "warm" in scores)
            assert json.loads(beside.args[1]) == {"warm joy": 0.5}
            daemon.wait(f"{A}/sig/hume_affect_warm_joy", 0.5)
            daemon.send(f"{A}/par/Sendtext", "Typed words.")
            daemon.wait(f"{A}/cb/onAssistantText", lambda text, final, _: "Typed" in text)
            daemon.wait(f"{A}/par/Sessionstate", "refreshing", since=since)
            daemon.wait(
                f"{A}/conv/row", lambda *row: "Refreshed session (native) — reason: cap" in row[2]
            )
            mark = daemon.mark()
            daemon.send(f"{A}/par/Sendtext", "Do you remember me?")
            daemon.wait(
                f"{A}/cb/onAssistantText", lambda text, *_: "My name is Ada." in text, since=mark
            )
            daemon.send(f"{A}/par/Disconnect")
            daemon.wait(f"{A}/par/Sessionstate", "disconnected", since=mark)
            cost = daemon.wait(f"{A}/cb/onSessionEnd", since=mark).args[3]
            errors = [message.args for message in daemon.client.all(f"{A}/cb/onError")]
            assert errors == []
    assert list(hume.violations) == []
    assert list(expression.violations) == []
    assert len(hume.records) == 2
    # Time on the wire, and what was measured beside it: by the services' own accounts.
    assert cost == pytest.approx(hume.bill.usd + expression.bill.usd, rel=0.1)
    assert expression.bill.usd > 0


def test_an_evening_by_the_pedal_without_a_key_for_affect_elsewhere(tmp_path: Path) -> None:
    """Talk held through a pause is one turn; Stop and a refused service beside cost no talk."""
    talk = Script(
        connection=[
            Connection(
                speech=[(200, 900), (2200, 2900)],
                heard=[Heard(text="One."), Heard(text="Two.")],
                reply=[Reply(says="A long answer, " * 20), Reply(says="Short.")],
            )
        ]
    )
    hume = Hume(talk, speed=SPEED)
    expression = HumeExpression(speed=SPEED, keys=frozenset({"another"}))
    with running(hume, expression):
        par = (
            'Provider = "hume_evi"\nSessionmode = "push_to_talk"\n'
            f'Affect = "hume"\nAffectendpoint = "{expression.url}"'
        )
        page = f'endpoint = "{hume.url}"'
        with Daemon(tmp_path, agent(par, page), config=_CONFIG) as daemon:
            daemon.ask(f"{A}/sig/model_ready", wanted=1.0)
            daemon.send(f"{A}/par/Connect")
            daemon.wait(f"{A}/par/Sessionstate", "armed")
            trouble = daemon.wait(f"{A}/cb/onError")
            assert trouble.args[:2] == ("affect", "expression_invalid_key")
            assert "voiced key set hume" in trouble.args[2]
            daemon.send(f"{A}/par/Talk", 1)
            daemon.wait(f"{A}/cb/onUserText", lambda text, final, _: final and text == "Two.")
            answers = daemon.client.all(f"{A}/cb/onAssistantText")
            assert answers == [], "answered while Talk was held"
            daemon.send(f"{A}/par/Talk", 0)
            daemon.wait(f"{A}/sig/assistant_speaking", 1.0)
            daemon.send(f"{A}/par/Stop")
            row = daemon.wait(
                f"{A}/conv/row", lambda *row: row[1] == "assistant" and "interrupted" in row[6]
            )
            assert len(row.args[2]) < len("A long answer, " * 20)
            mark = daemon.mark()
            daemon.send(f"{A}/par/Sendtext", "And now?")
            daemon.wait(f"{A}/cb/onAssistantText", "Short.", since=mark)
            daemon.send(f"{A}/par/Disconnect")
            daemon.wait(f"{A}/par/Sessionstate", "disconnected", since=mark)
            assert len(daemon.client.all(f"{A}/cb/onError")) == 1
    assert list(hume.violations) == []


def test_a_reply_cut_off_by_the_network_is_asked_for_again(tmp_path: Path) -> None:
    talk = Script(
        connection=[
            Connection(
                speech=[(1000, 2200)],
                heard=[Heard(text="Where does the river end?")],
                reply=[Reply(says="It ends " * 30, gap_s=1.0)],
                fault=[Fault(what="reset", reply=1, audio_ms=1000)],
            ),
            Connection(reply=[Reply(says="In the sea.")]),
        ]
    )
    hume = Hume(talk, speed=SPEED)
    with running(hume):
        config = agent('Provider = "hume_evi"', f'endpoint = "{hume.url}"')
        with Daemon(tmp_path, config, config=_CONFIG) as daemon:
            daemon.ask(f"{A}/sig/model_ready", wanted=1.0)
            daemon.send(f"{A}/par/Connect")
            daemon.wait(f"{A}/cb/onAssistantText", lambda text, final, _: text == "In the sea.")
            words = [m.args[1] for m in daemon.client.all(f"{A}/cb/onError")]
            assert words == ["1006"]
            daemon.wait(
                f"{A}/conv/row", lambda *row: "Refreshed session (native) — reason: lost" in row[2]
            )
            asked = [m.args for m in daemon.client.all(f"{A}/cb/onUserText") if m.args[1]]
            assert {text for text, *_ in asked} == {"Where does the river end?"}
            assert len({row for *_, row in asked}) == 1
    assert list(hume.violations) == []
    assert [record.received.get("user_input", 0) for record in hume.records] == [0, 1]
