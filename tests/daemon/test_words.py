"""Sendtext in every state, say, note, the conversation's table, callbacks and signals."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.daemon.stage import RATE, A, Stage
from voiced.parameters import ADDRESSES, Place


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with Stage(tmp_path_factory.mktemp("words")) as running:
        yield running


@pytest.fixture
def stage(one: Stage) -> Iterator[Stage]:
    one.forget_tape()
    yield one
    one.rest()


def texts(stage: Stage) -> list[str]:
    return [call.args[0] for call in stage.calls("text")]


# --- Sendtext


def test_sendtext_without_a_session_keeps_the_text_and_says_what_to_do(stage: Stage) -> None:
    since = stage.mark()
    stage.par("Sendtext", "too early")
    sentence = stage.refused(f"{A}/par/Sendtext", "no_effect", since)
    assert "pulse Connect first" in sentence
    assert stage.ask(f"{A}/par/Inputtext") == ("too early",)
    stage.connect()
    stage.par("Sendtext")
    stage.wait(f"{A}/cb/onAssistantText", "you typed too early", since=since)
    stage.par("Inputtext", "")
    since = stage.mark()
    stage.par("Sendtext")
    assert "Inputtext is empty" in stage.refused(f"{A}/par/Sendtext", "no_effect", since)


def test_sendtext_while_connecting_is_refused(stage: Stage) -> None:
    stage.page("start", "slow 0.5")
    since = stage.mark()
    stage.par("Connect")
    stage.state("connecting", since)
    stage.par("Sendtext", "hello")
    assert "wait until" in stage.refused(f"{A}/par/Sendtext", "no_effect", since)
    stage.state("active", since)
    stage.par("Sendtext", "now")
    stage.wait(f"{A}/cb/onAssistantText", "you typed now", since=since)
    assert texts(stage) == ["now"]


def test_sendtext_is_answered_with_the_microphone_off(stage: Stage) -> None:
    stage.put("Sessionmode", "push_to_talk")
    since = stage.connect("armed")
    stage.par("Sendtext", "by hand")
    stage.wait(f"{A}/cb/onAssistantText", "you typed by hand", since=since)
    row = stage.wait(f"{A}/conv/row", lambda *row: row[1] == "user", since=since).args
    assert (row[2], row[5]) == ("by hand", "text")


def test_sendtext_while_refreshing_waits_for_the_next_leg(stage: Stage) -> None:
    stage.connect()
    stage.page("start", "slow 0.5")
    since = stage.mark()
    stage.script(["closed", "cut"])
    stage.state("refreshing", since)
    stage.par("Sendtext", "in between")
    stage.state("active", since)
    stage.wait(f"{A}/cb/onAssistantText", "you typed in between", since=since)
    assert texts(stage)[1:] == ["in between"]


def test_say_and_note(stage: Stage) -> None:
    since = stage.mark()
    stage.send(f"{A}/say", "not yet")
    assert "pulse Connect first" in stage.refused(f"{A}/say", "no_effect", since)
    stage.send(f"{A}/note", "not yet")
    stage.refused(f"{A}/note", "no_effect", since)
    stage.connect()
    stage.send(f"{A}/say", "ladies and gentlemen")
    assert stage.call("say").args == ["ladies and gentlemen"]
    stage.send(f"{A}/note", "the hall is full")
    assert stage.call("note").args == ["the hall is full"]
    row = stage.wait(f"{A}/conv/row", lambda *row: row[1] == "system", since=since).args
    assert row[2] == "the hall is full"
    assert texts(stage) == []
    assert stage.ask(f"{A}/sig/phase") == (1.0,), "a note is not answered"
    stage.disconnect()
    stage.put("Provider", "echo")
    since = stage.connect()
    stage.send(f"{A}/say", "an echo cannot")
    error = stage.wait(f"{A}/cb/onError", "provider", since=since).args
    assert error[1] == "unsent"
    assert "use Sendtext" in error[2]


# --- the table


def test_rows_have_seven_columns_and_come_back_when_asked_for(stage: Stage) -> None:
    since = stage.connect()
    session = stage.ask(f"{A}/par/Sessionid")[0]
    stage.par("Sendtext", "one")
    stage.wait(f"{A}/cb/onAssistantText", lambda text, final, row: final == 1, since=since)
    stage.sync()
    told = {m.args[3]: m.args for m in stage.client.all(f"{A}/conv/row", since=since)}
    assert len(told) == 2
    for place, args in enumerate(told.values()):
        index, role, message, row_id, timestamp, kind, metadata, of = args
        assert index == place
        assert role == ("user", "assistant")[place]
        assert message == ("one", "you typed one")[place]
        assert re.fullmatch(r"\d+\.\d+", row_id)
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}[+-]\d\d:\d\d", timestamp)
        assert (kind, of) == ("text", session)
        assert metadata.startswith("{")
    final = stage.client.all(f"{A}/cb/onAssistantText", since=since)[-1].args
    assert final[2] in told, "callbacks name the row"
    since = stage.mark()
    stage.send(f"{A}/conv/get")
    assert stage.wait(f"{A}/conv/done", since=since).args == (2,)
    got = [m.args for m in stage.client.all(f"{A}/conv/row", since=since)]
    assert got == list(told.values())
    since = stage.mark()
    stage.send(f"{A}/conv/get", 1)
    assert stage.wait(f"{A}/conv/done", since=since).args == (1,)
    stage.par("Forget")
    stage.wait(f"{A}/conv/clear", since=since)
    since = stage.mark()
    stage.send(f"{A}/conv/get")
    assert stage.wait(f"{A}/conv/done", since=since).args == (0,)
    assert stage.ask(f"{A}/par/Sessionstate") == ("active",)


def test_forget_erases_what_is_on_the_disk(stage: Stage) -> None:
    since = stage.connect()
    folder = stage.state_dir / "voice_sessions" / "voice_agent"
    stage.par("Sendtext", "a secret of mine")
    stage.wait(f"{A}/cb/onAssistantText", lambda text, final, row: final == 1, since=since)

    def written() -> bool:
        return any("a secret of mine" in path.read_text() for path in folder.iterdir())

    stage.until(written, 10, "the journal")
    stage.par("Forget")
    stage.until(lambda: not written(), 10, "nothing of it")
    stage.disconnect()
    trace = Path(stage.wait(f"{A}/cb/onSessionEnd", since=since).args[2])
    stage.until(trace.is_file, 10, "the trace")
    assert not written()


# --- callbacks and signals


def test_callbacks_bring_what_the_table_of_addresses_says(stage: Stage) -> None:
    stage.put("Audioevents", 1)
    stage.put("Provider", "meter")
    since = stage.connect()
    stage.script(
        ["speech_started"], ["user_text", "u1", "good day", 1], ["affect", "u1", "{}"],
        ["speech_ended"], ["response_started", "r1"],
        ["assistant_text", "r1", "i1", "and to you"], ["tone", "r1", "i1", 100],
        ["tool_call", "c1", "lights", "{}"], ["trouble", "odd", "something odd"],
        ["response_done", "r1"],
    )  # fmt: skip
    stage.wait(f"{A}/cb/onToolResult", since=since)
    stage.quiet()
    stage.wait(f"{A}/cb/onAudioOut", since=since)
    stage.wait(f"{A}/cb/onAudioIn", since=since)
    stage.put("Systemprompt", "next")
    stage.put("Provider", "stage")
    stage.disconnect()
    stage.wait(f"{A}/cb/onProviderChange", since=since)
    kinds = {int: "i", float: "f", str: "s"}
    seen: dict[str, set[str]] = {}
    for message in stage.client.messages[since:]:
        if message.address.startswith(f"{A}/cb/"):
            tags = "".join(kinds[type(arg)] for arg in message.args)
            seen.setdefault(message.address.removeprefix(f"{A}/cb/"), set()).add(tags)
    promised = {
        a.address.removeprefix("/<agent>/cb/"): {a.sends}
        for a in ADDRESSES
        if a.place is Place.CALLBACK
    }
    assert seen == promised


def test_phases_of_an_exchange(stage: Stage) -> None:
    since = stage.connect()
    stage.signal("phase", 1.0, since)
    stage.script(["speech_started"])
    stage.signal("phase", 2.0, since)
    assert stage.ask(f"{A}/sig/user_speaking") == (1.0,)
    stage.pass_by(RATE // 5)  # a turn ends where something was sent
    mark = stage.mark()
    stage.script(["speech_ended", len(stage.pcm())], ["user_text", "u1", "well", 1],
                 ["response_started", "r1"], ["assistant_text", "r1", "r1", "well well"],
                 ["tone", "r1", "r1", 2000], ["response_done", "r1"])  # fmt: skip
    stage.signal("phase", 4.0, mark)
    phases = [m.args[0] for m in stage.client.all(f"{A}/sig/phase", since=mark)]
    assert 3.0 in phases[: phases.index(4.0)], "thinking, told at its edge"
    assert stage.ask(f"{A}/sig/user_speaking") == (0.0,)
    assert stage.ask(f"{A}/sig/assistant_speaking") == (1.0,)
    assert 0 < stage.ask(f"{A}/sig/buffer", wanted=lambda seconds: seconds > 0)[0] <= 2.05
    stage.reads("phase", 1.0)
    assert 0 < stage.ask(f"{A}/sig/latency", wanted=lambda seconds: seconds > 0)[0] < 30
    assert stage.ask(f"{A}/sig/cost_out_seconds", wanted=lambda seconds: seconds > 0)[0] == (
        pytest.approx(2.0, abs=0.001)
    )
    stage.disconnect()
    stage.reads("phase", 0.0)


def test_every_signal_is_told_each_second(stage: Stage) -> None:
    stage.connect()
    stage.pass_by(RATE // 10)
    since = stage.mark()
    names = {
        a.address.removeprefix("/<agent>/sig/")
        for a in ADDRESSES
        if a.place is Place.SIGNAL and "<" not in a.address.removeprefix("/<agent>/")
    }
    for name in sorted(names):
        value = stage.wait(f"{A}/sig/{name}", deadline_s=10, since=since).args
        assert len(value) == 1
        assert isinstance(value[0], float)
    values = {name: stage.ask(f"{A}/sig/{name}")[0] for name in names}
    wanted = {
        "connected": 1.0, "model_ready": 1.0, "worker_active": 1.0, "mic_open": 1.0, "talk": 0.0,
        "phase": 1.0, "state": 2.0, "ok": 1.0, "muted": 0.0, "budget_left": -1.0, "xruns": 0.0,
        "gaps": 0.0, "retry_in": 0.0, "user_speaking": 0.0, "assistant_speaking": 0.0,
    }  # fmt: skip
    assert {name: values[name] for name in wanted} == wanted
    assert values["session_seconds"] > 0
    stage.ask(f"{A}/sig/cost_in_seconds", wanted=lambda seconds: seconds > 0)


def test_money_is_told_and_the_meter_can_be_zeroed(stage: Stage) -> None:
    stage.put("Provider", "meter")
    stage.connect()
    stage.ask(f"{A}/sig/session_cost", wanted=lambda usd: usd > 0.005)
    assert re.fullmatch(r"\$0\.0\d+", stage.ask(f"{A}/par/Sessioncost")[0])
    stage.par("Resetcostmeter")
    stage.ask(f"{A}/sig/conversation_cost", wanted=lambda usd: usd < 0.005)
    ledger = stage.state_dir / "ledger.jsonl"

    def booked(session: str) -> float:
        lines = (json.loads(line) for line in ledger.read_text().splitlines())
        return sum(line["usd"] for line in lines if line["session_id"] == session)

    since = stage.mark()
    stage.disconnect()
    session, _, _, usd = stage.wait(f"{A}/cb/onSessionEnd", since=since).args
    assert usd > 0.005, "the meter is what was zeroed"
    stage.until(lambda: abs(booked(session) - usd) < 1e-6, 10, "what was pending")


def test_enginestatus_tells_what_is_wrong(stage: Stage) -> None:
    assert stage.ask(f"{A}/par/Enginestatus") == ("ready",)
    since = stage.mark()
    pid = stage.signal_child("network")
    stage.wait(f"{A}/par/Enginestatus", lambda word: word.startswith("degraded: the network"),
               since=since)  # fmt: skip
    stage.wait_for_successor("network", pid)
    stage.ask(f"{A}/par/Enginestatus", wanted="ready")
    stage.send("/clock/par/Provider", "echo")
    stage.send("/clock/par/Connect")
    stage.wait("/clock/par/Sessionstate", "active", since=since)
    stage.par("Shutdown")
    stage.wait("/clock/par/Sessionstate", "disconnected", since=since)
    stage.ask("/clock/par/Enginestatus", wanted=lambda word: word.startswith("stopped"))
    stage.wait(f"{A}/par/Enginestatus", lambda word: word.startswith("stopped"), since=since)
    mark = stage.mark()
    stage.par("Connect")
    assert "Initialize" in stage.refused(f"{A}/par/Connect", "no_effect", mark)
    stage.until(lambda: not stage.run_file()["children"], 20, "the hands' end")
    mark = stage.mark()
    stage.par("Initialize")
    stage.ask(f"{A}/par/Enginestatus", wanted="ready")
    told = [m.args[0] for m in stage.client.all(f"{A}/par/Enginestatus", since=mark)]
    assert list(dict.fromkeys(told)) == ["starting", "ready"]
    stage.ask("/clock/par/Enginestatus", wanted="ready")
    assert stage.ask("/voiced/status")[2] == "ready"
