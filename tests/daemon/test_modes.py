"""Session modes, Sessionstate, Active, Restart, on_start, Talk, Bargein, mute: from outside."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.daemon.rig import ROOT, Client
from tests.daemon.stage import BLOCK, RATE, A, Stage
from voiced.network.guard import HOLD_S, THRESHOLD

LATE = RATE // 10
"""Frames by which a timer of a busy machine may be late."""


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with Stage(tmp_path_factory.mktemp("modes")) as running:
        running.count(minutes=5)
        yield running


@pytest.fixture
def stage(one: Stage) -> Iterator[Stage]:
    """One daemon for many tests; each gets it disconnected, as the configuration says."""
    one.forget_tape()
    yield one
    one.rest()


@pytest.fixture
def other() -> Iterator[Client]:
    client = Client()
    yield client
    client.close()


def shell(stage: Stage, *words: str) -> subprocess.CompletedProcess[str]:
    verb, *rest = words
    return subprocess.run(
        [sys.executable, "-m", "voiced.cli", verb, "--port", str(stage.port), *rest],
        cwd=ROOT, capture_output=True, text=True, timeout=60,
    )  # fmt: skip


# --- Sessionmode


def test_continuous_stays_open_until_disconnect(stage: Stage) -> None:
    since = stage.connect()
    assert stage.states(since) == ["connecting", "active"]
    started = stage.wait(f"{A}/cb/onSessionStart", since=since).args
    assert started[1:] == ("stage", "comedy")
    stage.reads("mic_open", 1.0)
    stage.speak("r1", 1000)
    stage.quiet()
    stage.speak("r2", 1000)
    stage.quiet()
    assert stage.ask(f"{A}/par/Sessionstate") == ("active",)
    assert stage.ask(f"{A}/par/Sessionid") == (started[0],)

    stage.disconnect()
    assert stage.states(since) == ["connecting", "active", "ending", "disconnected"]
    ended = stage.wait(f"{A}/cb/onSessionEnd", since=since).args
    assert ended[:2] == (started[0], "disconnect")
    assert Path(ended[2]).name == f"{started[0]}.json"
    assert isinstance(ended[3], float)
    stage.until(Path(ended[2]).is_file, 10, "the trace")
    assert stage.ask(f"{A}/par/Active") == (0,)


def test_one_turn_holds_where_silence_costs_nothing(stage: Stage) -> None:
    stage.put("Sessionmode", "one_turn")
    since = stage.connect()
    said = stage.speak("r1", 1000)
    stage.state("armed", said)
    stage.quiet()
    assert stage.ask(f"{A}/sig/mic_open") == (0.0,)
    assert stage.ask(f"{A}/sig/connected") == (1.0,), "the socket is held"
    taken = len(stage.pcm())
    stage.pass_by(BLOCK * 20)
    assert len(stage.pcm()) == taken

    again = stage.connect()
    stage.signal("mic_open", 1.0, again)
    second = stage.speak("r2", 1000)
    stage.state("armed", second)
    assert len(stage.calls("open")) == 1
    assert len(stage.client.all(f"{A}/cb/onSessionStart", since=since)) == 1
    assert not stage.client.all(f"{A}/cb/onSessionEnd", since=since)


def test_one_turn_ends_where_time_costs(stage: Stage) -> None:
    stage.put("Provider", "meter")
    stage.put("Sessionmode", "one_turn")
    first = stage.now()
    since = stage.connect()
    session = stage.wait(f"{A}/cb/onSessionStart", since=since).args[0]
    stage.speak("r1", 1000)
    ended = stage.wait(f"{A}/cb/onSessionEnd", since=since)
    last = stage.now()
    assert ended.args[:2] == (session, "one_turn")
    # `active` is not told again, and the gate closes before the end: armed, then ending.
    assert stage.states(since) == ["connecting", "active", "armed", "ending", "disconnected"]
    assert ended.args[3] > 0, "a minute costs"
    sound = stage.both(first, last)[:, 1]
    assert np.count_nonzero(np.abs(sound) > THRESHOLD) > 0.59 * RATE, "the voice let finish"
    trace = Path(ended.args[2])
    stage.until(trace.is_file, 10, "the trace")
    assert [row["message"] for row in json.loads(trace.read_text())["transcript"]
            if row["role"] == "assistant"] == ["one two three"]  # fmt: skip

    again = stage.connect()
    assert stage.wait(f"{A}/cb/onSessionStart", since=again).args[0] != session


def test_push_to_talk_sends_what_is_spoken_while_anybody_holds(stage: Stage, other: Client) -> None:
    stage.put("Sessionmode", "push_to_talk")
    stage.put("Talktail", 0)
    since = stage.connect("armed")
    pressed = stage.now()
    stage.par("Talk", 1)
    stage.state("active", since)
    stage.signal("phase", 2.0, since)
    stage.wait(f"{A}/cb/onUserSpeechStarted", 1, since=since)
    other.send(stage.port, f"{A}/par/Talk", 1)
    stage.sync(other)
    told = shell(stage, "set", "Talk", "1")
    assert told.returncode == 0, told.stderr

    mark = stage.mark()
    stage.par("Talk", 0)
    stage.wait(f"{A}/par/Talk", 1, since=mark)  # Another holds it still: told to who let go.
    other.send(stage.port, f"{A}/par/Talk", 0)
    stage.sync(other)
    assert stage.ask(f"{A}/par/Talk") == (1,), "the shell holds it"
    assert stage.ask(f"{A}/par/Sessionstate") == ("active",)
    before = stage.now()
    mark = stage.mark()
    assert shell(stage, "set", "Talk", "0").returncode == 0
    stage.state("armed", mark)
    stage.wait(f"{A}/par/Talk", 0, since=mark)
    stage.wait(f"{A}/cb/onUserSpeechEnded", 1, since=mark)

    opened, closed = stage.call("activity", 1), stage.call("activity", 2)
    assert (opened.args, closed.args) == ([True], [False])
    assert opened.samples == 0
    assert closed.samples == len(stage.pcm())
    frames = stage.counted(stage.pcm(), pressed)
    assert np.all(np.diff(frames) == 1), "no frame is missing between the edges, none comes twice"
    assert pressed - BLOCK <= frames[0]
    assert frames[-1] >= before


@pytest.mark.parametrize("tail_ms", [0, 500])
def test_talktail_keeps_the_microphone_open(stage: Stage, tail_ms: int) -> None:
    stage.put("Sessionmode", "push_to_talk")
    stage.put("Talktail", tail_ms)
    stage.connect("armed")
    pressed = stage.now()
    stage.par("Talk", 1)
    stage.reads("mic_open", 1.0)
    opened = stage.now()
    # A shorter press in which nobody speaks is no turn.
    stage.until(lambda: stage.now() > opened + RATE // 2, 30, "half a second")
    earliest = stage.now()
    stage.par("Talk", 0)
    stage.sync()
    latest = stage.now()
    stage.reads("mic_open", 0.0)
    closed = stage.call("activity", 2)
    sent = stage.pcm()[: closed.samples]
    frames = stage.counted(sent, (pressed + opened) // 2)
    tail = tail_ms * RATE // 1000
    assert earliest + tail - BLOCK <= frames[-1] + 1 <= latest + tail + BLOCK + LATE
    assert (frames[-1] + 1) % BLOCK == frames[0] % BLOCK == 0, "edges are at block borders"


def test_talkmax_lets_go_by_itself(stage: Stage) -> None:
    stage.put("Sessionmode", "push_to_talk")
    stage.put("Talkmax", 1)
    since = stage.connect("armed")
    stage.par("Talk", 1)
    at = time.monotonic()
    stage.reads("mic_open", 1.0)
    stage.wait(f"{A}/cb/onStatus", "talkmax", since=since)
    told = stage.wait(f"{A}/par/Talk", 0, since=since)
    assert told.at - at > 0.9
    stage.ask(f"{A}/par/Sessionstate", wanted="armed")
    stage.par("Talk", 1)  # TouchDesigner repeats a held value: that is no new press.
    stage.sync()
    assert stage.ask(f"{A}/par/Talk") == (0,)
    stage.par("Talk", 0)
    stage.par("Talk", 1)
    stage.ask(f"{A}/par/Sessionstate", wanted="active")


def test_talkconnects_and_the_words_wait(stage: Stage) -> None:
    stage.put("Sessionmode", "push_to_talk")
    stage.put("Talktail", 0)
    stage.put("Talkconnects", 1)
    stage.page("start", "slow 0.6")
    since = stage.mark()
    earliest = stage.now()
    stage.par("Talk", 1)
    stage.sync()
    latest = stage.now()
    stage.state("connecting", since)
    stage.state("active", since)
    stage.par("Talk", 0)
    stage.state("armed", since)
    closed = stage.call("activity", 2)
    frames = stage.counted(stage.pcm()[: closed.samples], earliest)
    assert np.all(np.diff(frames) == 1)
    assert earliest - BLOCK <= frames[0] <= latest + BLOCK, "from the press on"


def test_talkconnects_keeps_words_that_were_over_before_the_service_was_there(
    stage: Stage,
) -> None:
    stage.put("Sessionmode", "push_to_talk")
    stage.put("Talktail", 0)
    stage.put("Talkconnects", 1)
    stage.page("start", "slow 1")
    since = stage.mark()
    stage.par("Talk", 1)
    stage.sync()
    pressed = stage.now()
    stage.pass_by(BLOCK * 40)
    released = stage.now()
    stage.par("Talk", 0)
    stage.sync()
    latest = stage.now()
    stage.state("armed", since)
    end = stage.call("activity", 2)
    assert end.args == [False]
    frames = stage.counted(stage.pcm()[: end.samples], pressed)
    assert np.all(np.diff(frames) == 1)
    assert frames[0] <= pressed
    assert released - BLOCK <= frames[-1] + 1 <= latest + BLOCK


# --- Sessionstate, Active, Restart


def test_the_six_words(stage: Stage) -> None:
    stage.page("start", "slow 0.3")
    since = stage.mark()
    stage.par("Connect")
    stage.state("connecting", since)
    assert stage.ask(f"{A}/par/Sessionstate") == ("connecting",)
    assert stage.ask(f"{A}/sig/state") == (1.0,)
    stage.signal("phase", 5.0, since)
    stage.state("active", since)
    stage.signal("phase", 1.0, since)
    stage.script(["closed", "cut"])
    stage.state("refreshing", since)
    error = stage.wait(f"{A}/cb/onError", "provider", since=since).args
    assert error[1] == "cut"
    assert stage.wait(f"{A}/cb/onStatus", "refreshing", since=since).args[1]
    stage.until(lambda: stage.states(since)[-1] == "active", 30, "the next leg")
    stage.wait(f"{A}/conv/row", lambda *row: row[1] == "system" and "Refreshed" in row[2],
               since=since)  # fmt: skip
    stage.par("Active", 0)
    stage.state("armed", since)
    stage.par("Disconnect")
    stage.state("disconnected", since)
    assert stage.states(since) == [
        "connecting", "active", "refreshing", "active", "armed", "ending", "disconnected",
    ]  # fmt: skip
    assert len(stage.calls("open")) == 2
    assert stage.calls("open")[1].args[1] == "act two", "the service's own handle"


def test_active_is_the_wish(stage: Stage) -> None:
    since = stage.mark()
    stage.par("Active", 1)
    stage.state("active", since)
    stage.reads("mic_open", 1.0)
    stage.par("Active", 0)
    stage.state("armed", since)
    stage.reads("mic_open", 0.0)
    assert stage.ask(f"{A}/sig/connected") == (1.0,)
    mark = stage.mark()
    stage.par("Active", 1)
    stage.state("active", mark)
    assert not stage.client.all(f"{A}/cb/onSessionEnd", since=since)
    stage.disconnect()
    assert stage.ask(f"{A}/par/Active") == (0,)
    assert len(stage.calls("open")) == 1


def test_restart_is_the_next_visitor(stage: Stage) -> None:
    stage.connect()
    first = stage.ask(f"{A}/par/Sessionid")
    since = stage.mark()
    stage.put("Systemprompt", "speak in rhymes")
    stage.wait(f"{A}/cb/onStatus", lambda word, what: (word, what) == ("pending", "Systemprompt"),
               since=since)  # fmt: skip
    stage.par("Sendtext", "still the old one")
    stage.par("Restart")
    stage.until(lambda: stage.states(since) == ["ending", "connecting", "active"],
                30, "the next session")  # fmt: skip
    assert stage.wait(f"{A}/cb/onSessionEnd", since=since).args[:2] == (first[0], "restart")
    stage.wait(f"{A}/conv/clear", since=since)
    assert stage.ask(f"{A}/par/Sessionid") != first
    old, new = (call.args for call in stage.calls("open"))
    assert (old[0]["Systemprompt"], new[0]["Systemprompt"]) == ("", "speak in rhymes")
    assert new[1] == "", "nothing of the last visitor"


def test_another_provider_is_chosen_while_open(stage: Stage) -> None:
    stage.connect()
    since = stage.mark()
    stage.put("Provider", "meter")
    stage.wait(f"{A}/cb/onStatus", lambda word, what: (word, what) == ("pending", "Provider"),
               since=since)  # fmt: skip
    assert "0.60" in stage.ask(f"{A}/par/Pricing")[0]
    stage.par("Sendtext", "who are you")
    stage.wait(f"{A}/cb/onAssistantText", "you typed who are you", since=since)
    assert not stage.client.all(f"{A}/cb/onProviderChange", since=since)
    stage.disconnect()
    assert stage.wait(f"{A}/cb/onProviderChange", since=since).args == ("stage", "meter")
    mark = stage.connect()
    assert stage.wait(f"{A}/cb/onSessionStart", since=mark).args[1] == "meter"


def test_connect_while_ending_is_remembered(stage: Stage) -> None:
    since = stage.connect()
    stage.par("Disconnect")
    stage.par("Connect")
    stage.until(lambda: stage.states(since)[-2:] == ["connecting", "active"]
                and stage.states(since).count("active") == 2, 30, "the second session")  # fmt: skip
    assert stage.ask(f"{A}/par/Active") == (1,)


def test_a_refusal_ends_the_wish(stage: Stage) -> None:
    stage.page("start", "refuse")
    since = stage.mark()
    stage.par("Connect")
    stage.state("disconnected", since)
    error = stage.wait(f"{A}/cb/onError", since=since).args
    assert error == ("provider", "closed_house", "the stage is closed")
    assert stage.ask(f"{A}/par/Active") == (0,)


def test_a_service_out_of_reach_is_retried(stage: Stage) -> None:
    stage.page("start", "unreachable")
    since = stage.mark()
    stage.par("Connect")
    status = stage.ask(f"{A}/par/Enginestatus", wanted=lambda word: word.startswith("retrying"))
    assert "the stage door does not open" in status[0]
    assert stage.ask(f"{A}/par/Sessionstate") == ("connecting",)
    stage.ask(f"{A}/sig/retry_in", wanted=lambda seconds: seconds > 0)
    assert stage.ask(f"{A}/sig/ok") == (0.0,)
    stage.par("Active", 0)
    stage.state("disconnected", since)
    assert stage.ask(f"{A}/par/Enginestatus") == ("ready",)


def test_the_model_may_hang_up_after_its_goodbye(stage: Stage) -> None:
    first = stage.now()
    since = stage.connect()
    stage.script(
        ["response_started", "r1"],
        ["assistant_text", "r1", "r1", "goodbye"],
        ["tone", "r1", "r1", 400],
        ["tool_call", "c1", "end_conversation", "{}"],
        ["response_done", "r1"],
    )
    assert stage.wait(f"{A}/cb/onToolCall", since=since).args == ("c1", "end_conversation", "{}")
    assert stage.wait(f"{A}/cb/onToolResult", since=since).args[:3] == (
        "c1", "end_conversation", 1,
    )  # fmt: skip
    ended = stage.wait(f"{A}/cb/onSessionEnd", since=since)
    assert ended.args[1] == "end_conversation"
    sound = stage.both(first, stage.now())[:, 1]
    assert np.count_nonzero(np.abs(sound) > THRESHOLD) > 0.39 * RATE, "the goodbye was heard"
    stage.put("Allowendconversation", 0)
    since = stage.connect()
    assert stage.calls("open")[-1].args[3] == [], "the model is not told of it"
    stage.script(["tool_call", "c2", "end_conversation", "{}"])
    assert stage.wait(f"{A}/cb/onToolResult", since=since).args[:3] == (
        "c2", "end_conversation", 0,
    )  # fmt: skip
    assert stage.ask(f"{A}/par/Sessionstate") == ("active",)


def test_the_budget_ends_the_session(stage: Stage) -> None:
    stage.put("Provider", "meter")
    stage.put("Costbudget", 0.005)
    since = stage.connect()
    stage.ask(f"{A}/sig/budget_left", wanted=lambda left: 0 <= left < 0.005)
    error = stage.wait(f"{A}/cb/onError", "budget", since=since)
    assert error.args[1] == "exceeded"
    ended = stage.wait(f"{A}/cb/onSessionEnd", since=since)
    assert ended.args[1] == "budget"
    assert 0.005 < ended.args[3] < 0.05
    stage.wait(f"{A}/conv/row", lambda *row: (row[1], row[5]) == ("error", "error"), since=since)
    assert stage.ask(f"{A}/par/Active") == (0,)


# --- Streamingmode


def _streamed(stage: Stage, mode: str) -> tuple[list[tuple[str, str, str]], list[tuple[str, int]]]:
    """Let both speak in pieces; return rows (role, id, message) as told, and callbacks."""
    stage.put("Streamingmode", mode)
    stage.connect()
    since = stage.mark()
    stage.script(
        ["speech_started"], ["user_text", "u1", "good", 0], ["user_text", "u1", "good day", 0],
        ["speech_ended"], ["user_text", "u1", "good day", 1],
        ["response_started", "r1"], ["assistant_text", "r1", "i1", "and "],
        ["assistant_text", "r1", "i1", "to you"], ["response_done", "r1"],
    )  # fmt: skip
    stage.wait(f"{A}/cb/onAssistantText", lambda text, final, row: final == 1, since=since)
    stage.sync()
    rows = [(str(m.args[1]), str(m.args[3]), str(m.args[2]))
            for m in stage.client.all(f"{A}/conv/row", since=since)
            if '"typed"' not in m.args[6]]  # fmt: skip
    told = [(str(m.args[0]), int(m.args[1]))
            for name in ("onUserText", "onAssistantText")
            for m in stage.client.all(f"{A}/cb/{name}", since=since)
            if not str(m.args[0]).startswith("[")]  # fmt: skip
    return rows, told


def test_live_rewrites_a_row(stage: Stage) -> None:
    rows, told = _streamed(stage, "live")
    assert [row[2] for row in rows] == ["good", "good day", "and ", "and to you"]
    assert len({row[1] for row in rows}) == 2
    assert told == [("good", 0), ("good day", 0), ("good day", 1),
                    ("and ", 0), ("and to you", 0), ("and to you", 1)]  # fmt: skip


def test_coalesce_writes_a_turn_once_and_the_callback_grows_all_the_same(stage: Stage) -> None:
    rows, told = _streamed(stage, "coalesce")
    assert [(row[0], row[2]) for row in rows] == [("user", "good day"), ("assistant", "and to you")]
    assert ("good", 0) in told
    assert ("and ", 0) in told


def test_append_writes_a_row_a_piece(stage: Stage) -> None:
    rows, told = _streamed(stage, "append")
    # A turn's last piece is told once more under its id, as final.
    pieces = {row[1]: (row[0], row[2]) for row in rows}
    assert list(pieces.values()) == [
        ("user", "good"), ("user", " day"), ("assistant", "and "), ("assistant", "to you"),
    ]  # fmt: skip
    assert len(rows) == 6
    assert told[-1] == ("and to you", 1), "callbacks tell the whole turn, never a delta"
    since = stage.mark()
    stage.send(f"{A}/conv/get", 4)
    assert stage.wait(f"{A}/conv/done", since=since).args == (4,)
    got = [m.args[2] for m in stage.client.all(f"{A}/conv/row", since=since)]
    assert got == ["good", " day", "and ", "to you"]


# --- Bargein


def _while_it_sounds(stage: Stage) -> tuple[NDArray[np.int16], NDArray[np.int16]]:
    """A visitor counts while the voice sounds; return what the service got, and (near, far)."""
    opening = stage.now()
    stage.connect()
    stage.until(lambda: len(stage.pcm()) > RATE // 10, 20, "the first words")
    stage.speak("r1", 1000, share=0.8)
    stage.quiet()
    stage.pass_by(RATE // 2)
    stage.disconnect()
    got = stage.pcm()
    first = int(stage.counted(got[:1], opening)[0])
    return got, stage.both(first - int(HOLD_S * RATE), first + len(got))


def test_bargein_off_hears_nothing_while_the_voice_sounds(stage: Stage) -> None:
    stage.put("Bargein", "off")
    got, both = _while_it_sounds(stage)
    hold = int(HOLD_S * RATE)
    sounding = np.abs(both[:, 1].astype(int)) > THRESHOLD
    guarded = np.convolve(sounding, np.ones(hold + 1))[: len(sounding)] > 0.5
    near = np.where(guarded, 0, both[:, 0])[hold:]
    assert len(got) == len(near) >= RATE
    assert np.count_nonzero(sounding) > 0.45 * RATE
    assert np.count_nonzero(guarded[hold:]) >= 0.69 * RATE, "while it sounds, and 200 ms"
    assert np.array_equal(got, near)
    assert np.any(got[-RATE // 10 :]), "and hears again"


@pytest.mark.parametrize("bargein", ["auto", "on"])
def test_bargein_on_hears_everything(stage: Stage, bargein: str) -> None:
    stage.put("Bargein", bargein)
    got, both = _while_it_sounds(stage)
    near = both[int(HOLD_S * RATE) :, 0]
    assert np.count_nonzero(np.abs(both[:, 1].astype(int)) > THRESHOLD) > 0.45 * RATE
    assert np.array_equal(got, near)
    assert np.all(got), "a counting visitor has no silence"


# --- the mute


def test_mute_closes_the_gate_and_keeps_the_session(stage: Stage) -> None:
    since = stage.connect()
    first = stage.now()
    stage.speak("r1", 1200, share=0.9)
    mark = stage.mark()
    before = stage.now()
    stage.send("/voiced/mute", 1)
    stage.state("armed", mark)
    stage.wait("/voiced/mute", 1, since=mark)
    stage.reads("mic_open", 0.0)
    stage.signal("phase", 6.0, mark)
    after = stage.now()
    stage.quiet()
    assert stage.ask(f"{A}/sig/muted") == (1.0,)
    mark = stage.mark()
    stage.send("/voiced/mute", 0)
    stage.state("active", mark)
    last = stage.now()
    assert not stage.client.all(f"{A}/cb/onSessionEnd", since=since)
    sound = stage.both(first, last)[:, 1].astype(float)
    silent = first + int(np.flatnonzero(np.abs(sound) > THRESHOLD)[-1])
    assert before <= silent <= after + 0.02 * RATE
    # A 440 Hz tone at 0.9: full until the fade begins, which takes at most 20 ms.
    full = first + int(np.flatnonzero(np.abs(sound) > 0.85 * 32768)[-1])
    assert silent - full <= 0.02 * RATE + 0.0025 * RATE
    assert np.abs(np.diff(sound)).max() < 1.1 * 0.9 * 32768 * 2 * np.pi * 440 / RATE, "no click"


# --- restarts of the daemon


def test_the_mute_and_the_session_after_a_restart(tmp_path: Path) -> None:
    """on_start, over a stop, a kill and an edited configuration; drop-ins are there in time."""
    with Stage(tmp_path, on_start="last") as stage:
        stage.connect()
        stage.send("/voiced/mute", 1)
        stage.state("armed")
        assert stage.stop() == 0
        since = stage.mark()
        stage.start()
        stage.state("armed", since)
        assert stage.ask("/voiced/mute") == (1,)
        assert stage.ask(f"{A}/sig/mic_open") == (0.0,)
        assert stage.ask(f"{A}/sig/phase") == (6.0,)
        mark = stage.mark()
        stage.send("/voiced/mute", 0)
        stage.state("active", mark)

        state = stage.state_dir / "state.json"
        stage.until(lambda: '"muted": false' in state.read_text(), 10, "the mute on disk")
        assert stage.process is not None
        children = stage.run_file()["children"].values()
        stage.process.send_signal(signal.SIGKILL)
        stage.process.wait(10)
        stage.gone(children)
        since = stage.mark()
        stage.start()
        stage.state("active", since)
        stage.disconnect()
        assert stage.stop() == 0
        since = stage.mark()
        stage.start()
        assert stage.ask(f"{A}/par/Sessionstate") == ("disconnected",)
        assert "active" not in stage.states(since), "a Disconnect counts after a restart too"
        stage.stop()

        stage.on_start("connect")
        since = stage.mark()
        stage.start()
        stage.state("active", since)
        stage.stop()

        stage.on_start("wait")
        since = stage.mark()
        stage.start()
        assert stage.ask(f"{A}/par/Sessionstate") == ("disconnected",)
        assert stage.ask(f"{A}/par/Active") == (0,)
        assert "there is no provider" not in stage.log
