"""How legs fail and end: what control is told, and that the process goes on."""

from __future__ import annotations

import pytest

from tests.network.rig import AGENT, NetworkRig
from tests.network.test_edges import DROPINS, ask, tape_of
from voiced.messages.network import (
    Affect,
    CloseLeg,
    Expired,
    Handle,
    HistoryRow,
    Interrupt,
    LegClosed,
    LegGoaway,
    LegOpened,
    LegRefused,
    LegTrouble,
    LegUnreachable,
    Note,
    ProviderSignal,
    Say,
    SetKey,
    SpeechStarted,
    ToolCall,
    ToolCancelled,
    ToolResult,
    UpdateLeg,
    Usage,
    UserTurnDropped,
)


@pytest.fixture(scope="module")
def process():
    with NetworkRig(folder=DROPINS) as made:
        made.spawn()
        yield made


@pytest.fixture
def rig(process):
    """One process for all of them: none may leave it worse than it was."""
    yield process
    process.take_all()
    process.open_leg("echo", leg=99)
    process.send(CloseLeg(agent=AGENT, leg=99))
    assert process.receive(LegClosed).leg == 99


@pytest.mark.parametrize(
    ("fail", "kind", "code"),
    [
        ("refuse", LegRefused, "no_tape"),
        ("unreachable", LegUnreachable, "out"),
        ("bug", LegUnreachable, "provider_failed"),
        ("no connection", LegUnreachable, "provider_failed"),
    ],
)
def test_a_connection_that_fails_says_how(rig, fail, kind, code):
    rig.send(SetKey(server="tape", key="sk-secret"))
    rig.send(rig.leg("tape", parameters={"fail": fail}))
    over = rig.receive(LegRefused, LegUnreachable, LegClosed)
    assert (type(over), over.code) == (kind, code)
    assert over.sentence
    assert "sk-secret" not in repr(over)


def test_a_connection_that_hangs_can_be_given_up(rig):
    rig.send(rig.leg("tape", parameters={"fail": "hang"}))
    rig.send(CloseLeg(agent=AGENT, leg=1))
    assert rig.receive(LegClosed, skip=[LegOpened]).asked


def test_the_key_reaches_the_provider_alone_and_the_handle_resumes(rig, tmp_path):
    tape, opening = tape_of(tmp_path)
    rig.send(SetKey(server="tape", key="sk-secret"))
    opened = rig.open_leg("tape", handle="h0", respond=True, **opening)
    assert (opened.resumed, opened.service_session) == ("native", "tape")
    assert tape.await_line("open") == [[0, "sk-secret", "h0", False]]
    assert tape.await_line("history") == [[0, [], True]]
    rig.send(CloseLeg(agent=AGENT, leg=1))
    rig.receive(LegClosed)


def test_history_is_replayed_where_there_is_no_handle(rig, tmp_path):
    tape, opening = tape_of(tmp_path)
    rows = [HistoryRow(role="user", text="good evening")]
    assert rig.open_leg("tape", history=rows, **opening).resumed == "replay"
    assert tape.await_line("history") == [[0, [["user", "good evening"]], False]]
    rig.send(CloseLeg(agent=AGENT, leg=1))
    rig.receive(LegClosed)


@pytest.mark.parametrize(
    ("command", "kind", "code"),
    [
        ("close refused", LegRefused, "insufficient_quota"),
        ("close 1011", LegClosed, "1011"),
        ("raise", LegClosed, "provider_failed"),
        ("expire", Expired, None),
    ],
)
def test_a_leg_that_ends_unasked_says_how(rig, tmp_path, command, kind, code):
    tape, opening = tape_of(tmp_path)
    rig.open_leg("tape", **opening)
    ask(rig, command)
    over = rig.receive(LegRefused, LegClosed, Expired)
    assert isinstance(over, kind)
    if code is not None:
        assert over.code == code
    if isinstance(over, LegClosed):
        assert not over.asked
        assert "visitor's words" not in over.sentence
    tape.await_line("end")


@pytest.mark.parametrize(
    "slip", ["item", "response", "audio", "mark", "usage", "length", "surrogate"]
)
def test_a_slip_in_a_modules_types_ends_its_leg_and_nothing_else(rig, tmp_path, slip):
    _, opening = tape_of(tmp_path)
    rig.open_leg("tape", **opening)
    ask(rig, f"wrong {slip}")
    over = rig.receive(LegClosed)
    assert (over.asked, over.code) == (False, "provider_failed")
    assert len(over.sentence) < 1000


def test_a_task_that_a_module_loses_ends_nothing(rig, tmp_path):
    tape, opening = tape_of(tmp_path)
    rig.open_leg("tape", **opening)
    ask(rig, "lost task")
    rig.send(Note(agent=AGENT, leg=1, text="still here"))
    tape.await_line("note")
    rig.send(CloseLeg(agent=AGENT, leg=1))
    assert rig.receive(LegClosed).asked


def test_everything_a_provider_can_tell_arrives(rig, tmp_path):
    _, opening = tape_of(tmp_path)
    rig.open_leg("tape", leg=4, **opening)
    ask(rig, "tell all", leg=4)
    for kind in (
        Handle,
        LegGoaway,
        Usage,
        ToolCall,
        ToolCancelled,
        ProviderSignal,
        Affect,
        LegTrouble,
        UserTurnDropped,
    ):
        assert rig.receive(kind).leg == 4
    ask(rig, "speak r9 4800 1", leg=4)
    ask(rig, "tell all", leg=4)
    # What has come so far is covered by the account, whether the figures were sent yet or not.
    assert rig.receive(Usage).seconds_received == 0.1
    rig.send(CloseLeg(agent=AGENT, leg=4))
    rig.receive(LegClosed)


def test_everything_control_can_ask_arrives_in_order(rig, tmp_path):
    tape, opening = tape_of(tmp_path)
    rig.open_leg("tape", **opening)
    of = {"agent": AGENT, "leg": 1}
    rig.send(Say(text="word for word", **of))
    rig.send(Note(text="it rains", **of))
    rig.send(ToolResult(call_id="c", name="lights", ok=True, result="on", **of))
    rig.send(UpdateLeg(parameters={"Volume": 0.5}, tools=[], **of))
    rig.send(Interrupt(**of))
    tape.await_line("interrupt")
    rig.send(CloseLeg(agent=AGENT, leg=1))
    assert rig.receive(LegClosed).asked
    tape.await_line("end")
    assert tape.lines("say") == [[0, "word for word"]]
    assert tape.lines("note") == [[0, "it rains"]]
    assert tape.lines("tool") == [[0, "c", "lights", True, "on"]]
    assert tape.lines("update") == [[0, {"Volume": 0.5}, 0]]


def test_positions_of_the_service_become_frames_of_near(rig, tmp_path):
    _, opening = tape_of(tmp_path)
    rig.open_leg("tape", **opening)
    rig.hush(0.1)
    start = rig.gate(True)
    rig.hush(0.1)
    rig.gate(False)
    rig.hush(0.1)
    again = rig.gate(True)
    rig.hush(0.1)
    rig.gate(False)
    rig.hush(0.01)
    tape, _ = tape_of(tmp_path)
    tape.await_line("activity", 4)
    ask(rig, "started 100")
    assert rig.receive(SpeechStarted).frame == start + 100
    ask(rig, "started 4900")
    assert rig.receive(SpeechStarted).frame == again + 100
    rig.send(CloseLeg(agent=AGENT, leg=1))
    rig.receive(LegClosed)


def test_messages_of_an_older_leg_change_nothing(rig, tmp_path):
    tape, opening = tape_of(tmp_path)
    rig.open_leg("tape", leg=8, **opening)
    rig.send(CloseLeg(agent=AGENT, leg=7))
    assert rig.receive(LegClosed).leg == 7
    ask(rig, "close 1011", leg=7)
    rig.send(Note(agent=AGENT, leg=8, text="still here"))
    tape.await_line("note")
    rig.send(CloseLeg(agent=AGENT, leg=8))
    assert rig.receive(LegClosed).leg == 8
