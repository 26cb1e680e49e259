"""The "Budget-capped demo", held against the service's own bill.

Set Costbudget, connect and converse: the session ends the moment the spend crosses it, with
`onError source=budget` and an error row; and what the service charges is at most the budget and one
second of audio both ways. Neither a restart nor Resetcostmeter brings money.

VOICED_BUDGETS=all tries every end of the daemon; VOICED_BUDGET_USD=0.50 takes operator.txt's own
budget, which lasts for minutes.
"""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path

import pytest

from tests.clouds.rig import WAIT_S, A, Cloud

ALL = os.environ.get("VOICED_BUDGETS") == "all"
BUDGET = float(os.environ.get("VOICED_BUDGET_USD", "0.02"))
STORY = (
    "That is a long story, and I like to tell it slowly. It begins on a cold morning by the sea, "
    "with a boat that nobody had seen before, and an old man who would not say where he came from."
)
SCRIPT = f'answer = "{STORY}"\n'
SECOND = {
    # USD of a second in and a second out, from the services' price lists.
    "openai_realtime": 10 * 32e-6 + 20 * 64e-6,
    "gemini_live": 25 * 3e-6 + 25 * 12e-6,
    "hume_evi": 0.07 / 60,
    "xai_grok": 2 * 0.05 / 60,
}
AGAIN = 0.01
"""Of the budget may be left, where it does not pay for another reply."""
SPEED = {"hume_evi": 4.0 if BUDGET > 0.1 else 2.0}
PROVIDERS = ["openai_realtime", "hume_evi"]


class Presser:
    """Presses Resetcostmeter four times a second."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud, self._over = cloud, threading.Event()
        self._thread = threading.Thread(target=self._press)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _press(self) -> None:
        while not self._over.wait(0.25):
            self._cloud.daemon.send(f"{A}/par/Resetcostmeter")


def over(cloud: Cloud, since: int) -> bool:
    return bool(cloud.daemon.client.all(f"{A}/cb/onSessionEnd", since=since))


def begins(cloud: Cloud, since: int) -> bool:
    return bool(cloud.daemon.client.all(f"{A}/cb/onSessionStart", since=since))


def ends(cloud: Cloud, since: int) -> bool:
    """Tell whether a budget has said so."""
    return any(error[0] == "budget" for error in cloud.errors(since))


def refused(cloud: Cloud) -> bool:
    """Connect and converse to the end; tell whether there was no money to begin with."""
    since = cloud.daemon.mark()
    cloud.daemon.send(f"{A}/par/Connect")
    cloud.daemon.until(
        lambda: begins(cloud, since) or ends(cloud, since), WAIT_S, "a session, or no money for one"
    )
    while begins(cloud, since) and not over(cloud, since):
        exchange(cloud, since)
    assert ends(cloud, since)
    cloud.daemon.ask(f"{A}/par/Sessionstate", wanted="disconnected")
    return not begins(cloud, since)


def exchange(cloud: Cloud, since: int) -> None:
    """Speak, and hear the reply; or the end of the session."""
    mark = cloud.daemon.mark()
    cloud.play("lv_0880.wav")
    cloud.daemon.until(
        lambda: over(cloud, since) or replied(cloud, mark), WAIT_S, "a reply, or the end"
    )


def replied(cloud: Cloud, mark: int) -> bool:
    """Tell whether a reply was begun since and has been heard."""
    told = cloud.daemon.client.all(f"{A}/sig/assistant_speaking", since=mark)
    values = [m.args[0] for m in told]
    return 1.0 in values and values[-1] == 0.0


def billed(cloud: Cloud) -> float:
    """Return the sum of the service's bill, once every connection is over."""
    cloud.daemon.until(
        lambda: all(one["closed"] is not None for one in cloud.emulated.page("sessions")),
        10.0, "the end of every connection",
    )  # fmt: skip
    return float(cloud.emulated.page("bill")["usd"])


def cloud_of(folder: Path, provider: str, more: str = "") -> Cloud:
    return Cloud(
        folder, provider, SCRIPT, speed=SPEED.get(provider, 1.0), options=["--pace=realtime"],
        more=more,
    )  # fmt: skip


@pytest.mark.timeout(1500)
@pytest.mark.parametrize("provider", PROVIDERS)
def test_the_budget_capped_demo(tmp_path: Path, provider: str) -> None:
    with cloud_of(tmp_path, provider) as cloud:
        daemon = cloud.daemon
        daemon.send(f"{A}/par/Costbudget", float(BUDGET))
        daemon.wait(f"{A}/par/Costbudget")
        begun = cloud.connect()
        with Presser(cloud):
            while not over(cloud, begun):
                exchange(cloud, begun)
        end = daemon.wait(f"{A}/cb/onSessionEnd", since=begun).args
        assert end[1] == "budget"
        print(daemon.wait(f"{A}/cb/onError", "budget", since=begun).args[2])
        assert [row for row in cloud.rows(begun) if row[0] == "error"]
        usd = billed(cloud)
        print(f"{provider}: billed {usd:.5f}, counted {end[3]:.5f}, budget {BUDGET}")
        assert usd <= BUDGET + SECOND[provider]
        assert usd >= BUDGET - AGAIN, "nor was it cut far too early"
        daemon.until(Path(end[2]).exists, 10.0, "the trace")
        turns = json.loads(Path(end[2]).read_text())["turns"]
        print([f"{turn['cost_usd']:.5f}" for turn in turns])
        assert all(turn["cost_usd"] > 0 for turn in turns if turn["status"] == "completed")
        apart = end[3] - sum(turn["cost_usd"] for turn in turns)
        assert -1e-9 <= apart <= SECOND[provider] * 3, "what was spent behind the last reply"
        assert cloud.violations() == []


ENDS = [(provider, how) for provider in PROVIDERS for how in ("stopped", "killed")]


@pytest.mark.timeout(1500)
@pytest.mark.parametrize(("provider", "how"), ENDS if ALL else [("hume_evi", "killed")])
def test_the_days_budget_outlives_the_daemon(tmp_path: Path, provider: str, how: str) -> None:
    with cloud_of(tmp_path, provider, f"[budget]\nday = {BUDGET}\n") as cloud:
        daemon = cloud.daemon
        begun = cloud.connect()
        if how == "stopped":
            exchange(cloud, begun)
            daemon.stop()
        else:
            cloud.play("lv_0880.wav")
            daemon.wait(f"{A}/caption/word", lambda word: "morning" in word, WAIT_S, since=begun)
            daemon.kill_everything()
        daemon.start()
        with Presser(cloud):
            assert any(refused(cloud) for _ in range(6))
            daemon.stop()
            daemon.start()
            assert refused(cloud)
        usd = billed(cloud)
        print(f"{provider}, {how}: billed {usd:.5f}, budget of the day {BUDGET}")
        assert usd <= BUDGET + SECOND[provider] * (2 if how == "killed" else 1)
        assert usd >= BUDGET - AGAIN
