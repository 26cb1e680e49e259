"""A tool call's path through the mind, and every way in which it ends."""

from __future__ import annotations

import json

import pytest

from voiced.messages import network as wire
from voiced.mind import effects, inputs
from voiced.mind.inputs import Origin
from voiced.mind.toolbox import MOST, OUTPUT_TEXT
from voiced.mind.tools import LONGEST_RESULT, MOST_HELD, MOST_PENDING

from .hand import OSC, PEDAL, Hand, card

PATCH = Origin(kind="osc", id="127.0.0.1:7001")
STRANGER = Origin(kind="osc", id="10.0.0.9:7001")
CONFIG = Origin(kind="config", id="127.0.0.1:8000")
SCHEMA = json.dumps(
    {
        "type": "object",
        "properties": {
            "color": {"type": "string", "enum": ["red", "green"]},
            "level": {"type": "number", "minimum": 0, "maximum": 1},
        },
        "required": ["color"],
        "additionalProperties": False,
    }
)


def tool(name: str = "set_lights", **fields: object) -> inputs.Tool:
    given = {"description": "Turn the lights to a colour", "schema": SCHEMA, "executor": PATCH}
    return inputs.Tool(name=name, **{**given, **fields})  # type: ignore[arg-type]


def hand_with(
    *tools: inputs.Tool, settings: dict[str, object] | None = None,
    service: dict[str, object] | None = None, **setup: object,
) -> Hand:  # fmt: skip
    config = tuple(each for each in tools if each.executor.kind == "config")
    about = inputs.ToolSettings(tools=config, **(settings or {}))  # type: ignore[arg-type]
    hand = Hand(card(**(service or {})), tools=about, **setup).start()
    for each in tools:
        if each not in config:
            register(hand, each)
    return hand.connected()


def register(hand: Hand, each: inputs.Tool) -> list[effects.Effect]:
    return hand.give(inputs.RegisterTool(tool=each, origin=each.executor))


def calls(
    hand: Hand, call_id: str = "c1", name: str = "set_lights", **arguments: object
) -> list[effects.Effect]:
    text = json.dumps(arguments or {"color": "red"})
    return hand.leg_event(wire.ToolCall, call_id=call_id, name=name, arguments=text)


def answers(
    hand: Hand, call_id: str = "c1", result: str = "it is red", *, ok: bool = True,
    origin: Origin = PATCH,
) -> list[effects.Effect]:  # fmt: skip
    return hand.give(inputs.ToolAnswer(call_id=call_id, ok=ok, result=result, origin=origin))


def runs(hand: Hand) -> list[effects.RunTool]:
    return [e for e in hand.all if isinstance(e, effects.RunTool)]


def dropped(hand: Hand) -> list[tuple[str, bool]]:
    return [(e.call_id, e.late) for e in hand.all if isinstance(e, effects.DropCall)]


def results(hand: Hand) -> list[tuple[int, str, bool, str]]:
    return [(m.leg, m.call_id, m.ok, m.result) for m in hand.sent if isinstance(m, wire.ToolResult)]


def pairs(hand: Hand) -> dict[str, list[str]]:
    """Types of the tool rows, by call id."""
    found: dict[str, list[str]] = {}
    for row in hand.agent.rows:
        if row.role == "tool":
            found.setdefault(json.loads(row.metadata)["call_id"], []).append(row.type)
    return found


PAIR = ["tool_call", "tool_result"]


# --- declared


def declared(message: wire.Message) -> dict[str, bool]:
    assert isinstance(message, wire.OpenLeg | wire.UpdateLeg)
    return {each.name: each.blocking for each in message.tools or []}


def test_a_leg_is_told_of_the_tools_and_of_every_change() -> None:
    hand = hand_with(tool())
    assert declared(hand.dialled[0]) == {"end_conversation": True, "set_lights": True}
    assert hand.dialled[0].tools[1].schema == SCHEMA
    register(hand, tool("open_door", mode="enabled_nonblocking"))
    assert declared(hand.sent[-1]) == {
        "end_conversation": True, "set_lights": True, "open_door": False
    }  # fmt: skip
    hand.give(inputs.UnregisterTool(name="open_door", origin=PATCH))
    assert declared(hand.sent[-1]) == {"end_conversation": True, "set_lights": True}
    hand.write("Usetools", False)
    assert declared(hand.sent[-1]) == {"end_conversation": True}
    hand.write("Outputtext", True)
    assert declared(hand.sent[-1]) == {"end_conversation": True, OUTPUT_TEXT: True}
    updates = len(hand.sent_of(wire.UpdateLeg))
    register(hand, tool("late"))  # Usetools is off: nothing changes for the model.
    assert len(hand.sent_of(wire.UpdateLeg)) == updates


def test_a_tool_that_is_registered_in_every_frame_is_logged_and_told_once() -> None:
    hand = hand_with()
    for _ in range(60):
        register(hand, tool())
    assert sum(isinstance(e, effects.Log) and "set_lights" in e.line for e in hand.all) == 1
    assert len(hand.sent_of(wire.UpdateLeg)) == 1


def test_where_a_connection_keeps_its_tools_the_operator_is_told_once() -> None:
    hand = hand_with(tool(), service={"updates_tools": False})
    register(hand, tool("open_door"))
    hand.write("Volume", 0.5)
    assert hand.sent_of(wire.UpdateLeg) == []
    (told,) = hand.callbacks("onStatus")
    assert told[0] == "pending"
    assert told[1].startswith("open_door: this service takes other tools with its next connection")
    assert hand.callbacks("onError") == []
    hand.write("Tool", 1)
    hand.write("Tool0toolop", "open_door")
    hand.write("Tool0mode", "enabled_nonblocking")
    assert hand.callbacks("onStatus")[-1][1].startswith("their modes: ")
    hand.closed()
    hand.opened()
    assert set(declared(hand.dialled[-1])) == {"end_conversation", "open_door", "set_lights"}


def test_the_slots_set_the_modes() -> None:
    hand = hand_with(tool(), tool("open_door"))
    hand.write("Tool0toolop", "set_lights")
    hand.write("Tool0mode", "disabled")
    assert declared(hand.dialled[0])["set_lights"]  # No slot is in use yet.
    hand.write("Tool", 1)
    assert declared(hand.sent[-1]) == {"end_conversation": True, "open_door": True}
    calls(hand)
    assert not runs(hand)
    assert not results(hand)[-1][2]
    hand.write("Tool0mode", "enabled_nonblocking")
    assert declared(hand.sent[-1])["set_lights"] is False
    assert [(t.name, t.mode) for t in hand.agent.tools] == [
        ("set_lights", "enabled_nonblocking"), ("open_door", "enabled"),
    ]  # fmt: skip


def test_a_slot_that_names_no_tool_is_told_when_the_session_opens() -> None:
    values = {("par", "Tool"): 2, ("par", "Tool0toolop"): "set_light", ("par", "Tool2toolop"): "x"}
    hand = hand_with(tool(), values=values)
    assert [said for said in hand.callbacks("onStatus") if said[0] == "tools"] == [
        ("tools", "Tool0toolop names set_light, which nobody offers yet. Did you mean set_lights?")
    ]


def test_what_changes_while_a_leg_is_dialled_is_told_when_it_opens() -> None:
    hand = Hand().start()
    hand.press("Connect")
    register(hand, tool())
    assert not hand.sent_of(wire.UpdateLeg)
    hand.opened()
    assert declared(hand.sent_of(wire.UpdateLeg)[-1]) == {
        "end_conversation": True, "set_lights": True
    }  # fmt: skip


def test_a_reload_brings_and_takes_tools() -> None:
    hand = hand_with(tool(executor=CONFIG))
    hand.give(inputs.SetTools(settings=inputs.ToolSettings(tools=(tool("b", executor=CONFIG),))))
    assert declared(hand.sent[-1]) == {"end_conversation": True, "b": True}


@pytest.mark.parametrize(
    ("wrong", "code", "part"),
    [
        ({"name": "set lights"}, "bad_value", "is no name for a tool"),
        ({"name": "x" * 65}, "bad_value", "is no name for a tool"),
        ({"name": "web_search"}, "bad_value", "is taken"),
        ({"name": "end_conversation"}, "bad_value", "is taken"),
        ({"name": "house"}, "denied", "tool of the configuration"),
        ({"description": "  "}, "bad_value", "needs a description"),
        ({"description": "x" * 3000}, "bad_value", "characters"),
        ({"mode": "enabld"}, "bad_value", "Did you mean enabled?"),
        ({"schema": "{"}, "bad_value", "no JSON"),
        ({"schema": '{"pattern": "x"}'}, "bad_value", "$.pattern"),
        ({"executor": STRANGER}, "busy", "offered by 127.0.0.1:7001"),
    ],
)
def test_a_tool_that_cannot_be_taken_is_refused(
    wrong: dict[str, object], code: str, part: str
) -> None:
    hand = hand_with(tool(), tool("house", executor=CONFIG))
    before = hand.agent.tools
    name = str(wrong.pop("name", "set_lights"))
    register(hand, tool(name, **wrong))
    (refusal,) = hand.refused()
    assert (refusal.name, refusal.code) == ("tool/register", code)
    assert part in refusal.sentence
    assert hand.agent.tools == before


def test_a_tool_is_taken_again_by_its_own_machine_alone() -> None:
    hand = hand_with(tool())
    again = tool(description="Other words", executor=Origin(kind="osc", id="127.0.0.1:9999"))
    register(hand, again)
    assert not hand.refused()
    assert [t.description for t in hand.agent.tools] == ["Other words"]
    hand.give(inputs.UnregisterTool(name="set_lights", origin=STRANGER))
    assert hand.refused()[0].code == "denied"
    hand.give(inputs.UnregisterTool(name="nothing", origin=PATCH))
    assert hand.refused()[0].code == "bad_value"
    hand.give(inputs.UnregisterTool(name="set_lights", origin=PATCH))
    assert hand.agent.tools == []


def test_there_are_so_many_tools_and_no_more() -> None:
    hand = hand_with(*(tool(f"t{n}") for n in range(MOST)))
    register(hand, tool("one_more"))
    assert hand.refused()[0].code == "busy"


# --- run and answered


def test_a_call_runs_at_its_executor_and_its_result_goes_to_the_leg() -> None:
    hand = hand_with(tool())
    calls(hand, color="red", level=1)
    assert runs(hand) == [
        effects.RunTool(
            executor=PATCH, call_id="c1", name="set_lights",
            arguments='{"color":"red","level":1}', values=("red", 1.0),
        )
    ]  # fmt: skip
    assert results(hand) == []
    assert hand.callbacks("onToolCall") == [("c1", "set_lights", '{"color": "red", "level": 1}')]
    answers(hand)
    assert results(hand) == [(1, "c1", True, "it is red")]
    assert hand.callbacks("onToolResult") == [("c1", "set_lights", 1, "it is red")]
    assert pairs(hand) == {"c1": PAIR}


def test_calls_run_side_by_side_and_answer_in_any_order() -> None:
    hand = hand_with(tool(), tool("open_door", schema="{}"))
    calls(hand, "c1")
    calls(hand, "c2", "open_door", door=1)
    answers(hand, "c2", "open")
    answers(hand, "c1", "it failed", ok=False)
    assert [r[1:3] for r in results(hand)] == [("c2", True), ("c1", False)]
    assert pairs(hand) == {"c1": PAIR, "c2": PAIR}


@pytest.mark.parametrize(
    ("name", "arguments", "part"),
    [
        ("set_light", "{}", "no such tool"),
        ("set_lights", "{}", "$.color is missing"),
        ("set_lights", '{"color": "blue"}', 'must be one of ["red","green"]'),
        ("set_lights", '{"color": "red", "level": 2}', "at most 1"),
        ("set_lights", '{"color": "red", "x": 1}', "is not known"),
        ("set_lights", "{", "no JSON"),
        ("set_lights", "", "$.color is missing"),
    ],
)
def test_what_does_not_fit_never_runs_and_the_model_is_told(
    name: str, arguments: str, part: str
) -> None:
    hand = hand_with(tool())
    hand.leg_event(wire.ToolCall, call_id="c1", name=name, arguments=arguments)
    assert not runs(hand)
    ((_, call_id, ok, result),) = results(hand)
    assert (call_id, ok) == ("c1", False)
    assert part in result
    assert pairs(hand) == {"c1": PAIR}


def test_a_call_that_comes_twice_runs_once() -> None:
    hand = hand_with(tool())
    calls(hand)
    calls(hand)
    answers(hand)
    calls(hand)
    assert len(runs(hand)) == len(results(hand)) == 1
    assert pairs(hand) == {"c1": PAIR}


def test_late_double_foreign_and_unknown_results_are_refused() -> None:
    hand = hand_with(tool())
    answers(hand, "nobody")
    assert hand.refused()[0].code == "bad_value"
    calls(hand)
    answers(hand, origin=STRANGER)
    assert hand.refused()[0].code == "denied"
    answers(hand)
    answers(hand)
    assert hand.refused()[0].code == "no_effect"
    assert "is over: it was answered" in hand.refused()[0].sentence
    assert len(results(hand)) == 1
    # The same machine may answer from another port: many patches send and hear on two.
    calls(hand, "c2", color="green")
    answers(hand, "c2", origin=Origin(kind="osc", id="tcp/127.0.0.1:3"))
    assert results(hand)[-1][1] == "c2"


def test_a_result_is_cut_to_what_a_service_takes() -> None:
    hand = hand_with(tool())
    calls(hand)
    answers(hand, result="x" * (LONGEST_RESULT + 5))
    assert len(results(hand)[0][3]) < LONGEST_RESULT + 100
    assert results(hand)[0][3].endswith("the result was longer)")


def test_fire_and_forget_is_answered_at_once() -> None:
    hand = hand_with(tool(executor=CONFIG, answers=False))
    calls(hand)
    assert len(runs(hand)) == 1
    assert results(hand) == [(1, "c1", True, "done")]
    assert not dropped(hand)


# --- silence, and what is gone


def test_a_silent_executor_fails_after_ten_seconds() -> None:
    hand = hand_with(tool())
    calls(hand)
    hand.sleep(9.9)
    assert not results(hand)
    hand.sleep(0.1)
    ((_, _, ok, result),) = results(hand)
    assert not ok
    assert "did not answer within 10 s" in result
    assert dropped(hand) == [("c1", True)]
    assert hand.callbacks("onError") == [
        ("tools", "timeout", "set_lights did not answer within 10 s")
    ]
    answers(hand)
    assert "is over" in hand.refused()[0].sentence
    assert len(results(hand)) == 1
    assert pairs(hand) == {"c1": PAIR}


def test_progress_gives_it_its_time_again() -> None:
    hand = hand_with(tool())
    calls(hand)
    for _ in range(5):
        hand.sleep(9)
        hand.give(inputs.ToolProgress(call_id="c1", text="half", origin=PATCH))
    assert not results(hand)
    hand.sleep(10)
    assert not results(hand)[0][2]


def test_the_configuration_says_how_long() -> None:
    hand = hand_with(
        tool("slow", executor=CONFIG, silence_s=60.0, schema="{}"), tool(),
        settings={"silence_s": 2.0},
    )  # fmt: skip
    calls(hand, "c1", "slow", a=1)
    calls(hand, "c2")
    hand.sleep(2)
    assert [r[1] for r in results(hand)] == ["c2"]
    hand.sleep(58)
    assert [r[1] for r in results(hand)] == ["c2", "c1"]


def test_an_executor_that_is_gone_is_told_to_the_model_at_once() -> None:
    hand = hand_with(tool(), tool("other", executor=OSC, schema="{}"))
    calls(hand)
    calls(hand, "c2", "other", a=1)
    hand.give(inputs.ExecutorGone(origin=PATCH, for_good=False))
    ((_, call_id, ok, result),) = results(hand)
    assert (call_id, ok) == ("c1", False)
    assert "cannot be reached" in result
    assert len(hand.agent.tools) == 2
    hand.give(inputs.ExecutorGone(origin=PATCH, for_good=True))
    assert [t.name for t in hand.agent.tools] == ["other"]
    assert "set_lights" not in declared(hand.sent[-1])


def test_a_tool_that_is_taken_back_still_answers_what_runs() -> None:
    hand = hand_with(tool())
    calls(hand)
    hand.give(inputs.UnregisterTool(name="set_lights", origin=PATCH))
    answers(hand)
    assert results(hand) == [(1, "c1", True, "it is red")]


# --- cancelled


def test_a_cancelled_call_is_answered_to_nobody() -> None:
    hand = hand_with(tool())
    calls(hand)
    hand.leg_event(wire.ToolCancelled, call_id="c1")
    assert dropped(hand) == [("c1", False)]
    assert results(hand) == []
    assert pairs(hand) == {"c1": PAIR}
    assert hand.callbacks("onToolResult") == [("c1", "set_lights", 0, "cancelled")]
    answers(hand)
    assert "is over: cancelled" in hand.refused()[0].sentence
    assert results(hand) == []
    hand.leg_event(wire.ToolCancelled, call_id="c1")
    assert pairs(hand) == {"c1": PAIR}


def test_a_session_that_ends_calls_its_tools_off() -> None:
    hand = hand_with(tool(), settings={"confirm": ("set_lights",)})
    calls(hand, "c1")
    calls(hand, "c2", color="green")
    hand.give(inputs.DecideTool(call_id="c1", approve=True, origin=OSC))
    hand.press("Disconnect")
    assert dropped(hand) == [("c1", False)]
    assert pairs(hand) == {"c1": PAIR, "c2": PAIR}
    assert results(hand) == []
    assert hand.agent.value("par", "Pendingtools") == ""
    hand.closed(asked=True)
    hand.connected()
    assert pairs(hand) == {}
    calls(hand, "c1")
    assert pairs(hand) == {"c1": ["tool_call"]}  # The new session's own.


# --- approval


def test_what_the_configuration_marks_runs_only_when_approved() -> None:
    hand = hand_with(tool(executor=CONFIG, confirm=True), tool("open_door", schema="{}"))
    calls(hand, "c1")
    calls(hand, "c2", "open_door", a=1)
    assert [r.call_id for r in runs(hand)] == ["c2"]
    assert hand.agent.value("par", "Pendingtools") == 'c1 set_lights {"color":"red"}'
    told = hand.callbacks("onStatus")[-1]
    assert told[0] == "approval"
    assert told[1].startswith('c1 set_lights {"color":"red"} waits for approval')
    hand.sleep(3600)  # Approvaltimeout 0: for ever.
    answers(hand, "c1")
    assert hand.refused()[0].code == "denied"
    hand.give(inputs.DecideTool(call_id="c1", approve=True, origin=OSC))
    assert [r.call_id for r in runs(hand)] == ["c2", "c1"]
    assert hand.agent.value("par", "Pendingtools") == ""
    answers(hand, "c1")
    assert results(hand)[-1] == (1, "c1", True, "it is red")
    hand.give(inputs.DecideTool(call_id="c1", approve=True, origin=OSC))
    assert hand.refused()[0].code == "no_effect"
    assert len(runs(hand)) == 2


def test_denied_by_hand_or_by_time_is_told_to_the_model() -> None:
    hand = hand_with(tool(), settings={"confirm": ("*",)})
    calls(hand, "c1")
    hand.give(inputs.DecideTool(call_id="c1", approve=False, origin=OSC))
    assert "denied" in results(hand)[-1][3]
    hand.write("Approvaltimeout", 20)
    calls(hand, "c2")
    hand.sleep(19.9)
    assert len(results(hand)) == 1
    hand.sleep(0.1)
    assert "nobody approved" in results(hand)[-1][3]
    assert runs(hand) == []
    assert pairs(hand) == {"c1": PAIR, "c2": PAIR}


def test_what_was_taken_back_while_it_waited_does_not_run_when_it_is_approved() -> None:
    hand = hand_with(tool(), tool("open_door", schema="{}"), settings={"confirm": ("*",)})
    calls(hand, "c1")
    hand.give(inputs.UnregisterTool(name="set_lights", origin=PATCH))
    register(hand, tool(executor=STRANGER))  # another one by that name
    hand.give(inputs.DecideTool(call_id="c1", approve=True, origin=OSC))
    assert "not offered any more" in results(hand)[-1][3]
    calls(hand, "c2", "open_door", a=1)
    hand.write("Usetools", 0)
    hand.press("Approvetools")
    assert "not offered any more" in results(hand)[-1][3]
    assert runs(hand) == []
    assert pairs(hand) == {"c1": PAIR, "c2": PAIR}


def test_the_pulses_decide_everything_that_waits() -> None:
    hand = hand_with(tool(), settings={"confirm": ("set_lights",)})
    for pulse in ("Approvetools", "Denytools"):
        hand.press(pulse)
        assert hand.refused()[0].code == "no_effect"
    calls(hand, "c1")
    calls(hand, "c2", color="green")
    hand.press("Approvetools")
    assert [r.call_id for r in runs(hand)] == ["c1", "c2"]
    calls(hand, "c3", color="red", level=0.5)
    calls(hand, "c4", color="green", level=0.5)
    hand.press("Denytools")
    assert len(runs(hand)) == 2
    assert [r[1] for r in results(hand)] == ["c3", "c4"]


# --- too many


def test_the_first_call_beyond_the_rate_is_refused_at_once_and_the_others_a_minute_later() -> None:
    hand = hand_with(tool(executor=CONFIG, answers=False), settings={"rate": 3})
    for n in range(6):
        calls(hand, f"c{n}")
    assert [r[2] for r in results(hand)] == [True, True, True, False]
    assert [e[:2] for e in hand.callbacks("onError")] == [("tools", "rate")], "told once a minute"
    hand.sleep(59.9)
    assert len(results(hand)) == 4
    hand.sleep(0.2)
    assert [r[1] for r in results(hand)] == [f"c{n}" for n in range(6)]
    assert len(runs(hand)) == 3
    hand.reply("as you like")
    calls(hand, "c9")
    assert len(runs(hand)) == 4


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("set_lights", {"color": "red"}), ("set_lights", {"color": "purple"}),
        ("no_such_tool", {"color": "red"}), (OUTPUT_TEXT, {"text": "again"}),
    ],
)  # fmt: skip
def test_a_model_that_calls_on_and_on_is_answered_at_the_rate_whatever_it_calls(
    name: str, arguments: dict[str, object]
) -> None:
    values: dict[tuple[str, str], wire.Value] = {("par", "Outputtext"): True}
    hand = hand_with(tool(executor=CONFIG, answers=False), settings={"rate": 3}, values=values)
    asked, answered = 0, []
    for _ in range(10 * 60):
        if len(results(hand)) == asked:
            calls(hand, f"c{asked}", name, **arguments)
            asked += 1
        hand.sleep(1)
        answered.append(len(results(hand)))
    in_a_minute = [after - before for before, after in zip(answered, answered[60:], strict=False)]
    assert 3 <= max(in_a_minute) <= 3 + 2  # two refusals may be exactly a minute apart
    told = [e[:2] for e in hand.callbacks("onError")]
    assert told[0] == ("tools", "rate")
    assert 9 <= len(told) <= 11, "once a minute, as long as it goes on"


@pytest.mark.parametrize(("mode", "phase"), [("enabled", 3), ("enabled_nonblocking", 1)])
def test_a_held_call_is_waited_for_where_its_tool_would_be(mode: str, phase: int) -> None:
    lamp = tool(executor=CONFIG, answers=False, mode=mode)
    hand = hand_with(lamp, settings={"rate": 1})
    for n in range(3):
        calls(hand, f"c{n}")
    assert len(results(hand)) == 2
    assert hand.agent.signals(hand.instant)["phase"] == phase


def test_arguments_that_are_no_object_count_like_any_others() -> None:
    hand = hand_with(tool(), settings={"rate": 2})
    for n in range(5):
        hand.leg_event(wire.ToolCall, call_id=f"c{n}", name="set_lights", arguments='"[1,2"')
    assert [r[1:3] for r in results(hand)] == [(f"c{n}", False) for n in range(3)]
    assert runs(hand) == []


def test_however_many_are_held_none_is_answered_before_its_minute() -> None:
    lamp = tool(executor=CONFIG, answers=False, mode="enabled_nonblocking")
    hand = hand_with(lamp, settings={"rate": 1})
    for n in range(2 * MOST_HELD):
        calls(hand, f"c{n}")
    assert len(results(hand)) == 2
    assert len(pairs(hand)) == 2 * MOST_HELD
    hand.sleep(61)
    assert len(results(hand)) == 2 + MOST_HELD
    assert all(pair == PAIR for pair in pairs(hand).values())


def test_beyond_the_rate_the_model_waits_for_every_tool_until_it_may_call_again() -> None:
    hand = hand_with(tool(mode="enabled_nonblocking"), settings={"rate": 2})
    for n in range(2):
        calls(hand, f"c{n}")
        answers(hand, f"c{n}")
    assert declared(hand.dialled[0])["set_lights"] is False
    assert hand.sent_of(wire.UpdateLeg) == []
    calls(hand, "c2")
    assert declared(hand.sent_of(wire.UpdateLeg)[-1])["set_lights"] is True
    hand.sleep(59.9)
    assert len(hand.sent_of(wire.UpdateLeg)) == 1
    hand.sleep(0.2)
    assert declared(hand.sent_of(wire.UpdateLeg)[-1])["set_lights"] is False


def test_beyond_the_rate_nobody_is_told_of_modes_that_a_connection_cannot_change() -> None:
    service = {"updates_tools": False}
    hand = hand_with(tool(mode="enabled_nonblocking"), settings={"rate": 1}, service=service)
    for n in range(3):
        calls(hand, f"c{n}")
    assert hand.callbacks("onStatus") == []


def test_a_held_call_is_dropped_where_the_visitor_speaks() -> None:
    hand = hand_with(tool(executor=CONFIG, answers=False), settings={"rate": 1})
    for n in range(3):
        calls(hand, f"c{n}")
    hand.leg_event(wire.ToolCancelled, call_id="c2")
    hand.sleep(120)
    assert [r[1] for r in results(hand)] == ["c0", "c1"]
    assert pairs(hand)["c2"] == PAIR
    assert dropped(hand) == []


def test_no_later_connection_hears_of_a_held_call_and_no_executor_can_answer_it() -> None:
    hand = hand_with(tool(executor=CONFIG, answers=False), settings={"rate": 1})
    for n in range(3):
        calls(hand, f"c{n}")
    answers(hand, "c2", "done")
    assert [r.sentence for r in hand.refused()] == ["there is no tool call 'c2'"]
    hand.closed()
    hand.opened("replay")
    hand.sleep(120)
    assert [r[1] for r in results(hand)] == ["c0", "c1"]
    assert pairs(hand)["c2"] == PAIR
    assert hand.sent_of(wire.Note) == []


def test_no_more_than_so_many_wait_at_once() -> None:
    hand = hand_with(tool(), settings={"rate": 1000})
    for n in range(MOST_PENDING + 1):
        calls(hand, f"c{n}", color="red", level=n / 100)
    assert len(runs(hand)) == MOST_PENDING
    assert "wait for their results" in results(hand)[-1][3]


# --- over a refresh


def test_a_result_that_comes_behind_a_refresh_is_told_in_words() -> None:
    hand = hand_with(tool())
    hand.user("make it red")
    calls(hand)
    hand.closed()
    answers(hand)
    assert results(hand) == []
    hand.opened("replay")
    (note,) = hand.sent_of(wire.Note)
    assert note == wire.Note(
        agent="a", leg=2,
        text='The tool set_lights, called before with {"color":"red"}, answered: it is red',
    )  # fmt: skip
    assert pairs(hand) == {"c1": PAIR}
    # The turn is put to the new leg, which calls the same again: it is not run twice.
    calls(hand, "d1")
    assert len(runs(hand)) == 1
    assert results(hand) == [(2, "d1", True, "it is red")]
    assert pairs(hand) == {"c1": PAIR, "d1": PAIR}
    # A further call is a new wish.
    calls(hand, "d2")
    assert len(runs(hand)) == 2


def test_a_call_that_still_runs_is_taken_up_by_the_new_leg() -> None:
    hand = hand_with(tool())
    hand.user("make it red")
    calls(hand)
    hand.closed()
    hand.opened("replay")
    calls(hand, "d1", color="red")
    assert len(runs(hand)) == 1
    answers(hand, "c1")  # The executor knows it by its first name.
    assert results(hand) == [(2, "d1", True, "it is red")]
    assert hand.sent_of(wire.Note) == []
    assert pairs(hand) == {"c1": PAIR, "d1": PAIR}


def test_two_legs_may_give_two_calls_one_name() -> None:
    hand = hand_with(tool())
    calls(hand, "1", color="red")
    hand.closed()
    hand.opened("replay")
    calls(hand, "1", color="green")
    assert [r.call_id for r in runs(hand)] == ["1", "1'"]
    answers(hand, "1'", "green now")
    answers(hand, "1", "red now")
    assert results(hand) == [(2, "1", True, "green now")]
    assert "red now" in hand.sent_of(wire.Note)[-1].text  # type: ignore[attr-defined]
    # And a name of an older leg that is over is no repetition.
    hand.closed()
    hand.sleep(61)
    hand.opened("replay")
    calls(hand, "1", color="green", level=0)
    assert len(runs(hand)) == 3


def test_an_old_result_answers_no_new_wish() -> None:
    hand = hand_with(tool())
    calls(hand)
    hand.closed()
    answers(hand)
    hand.sleep(60)
    hand.opened("replay")
    assert hand.sent_of(wire.Note) == []
    calls(hand, "d1")
    assert len(runs(hand)) == 2


def test_a_planned_refresh_waits_for_the_tool() -> None:
    hand = hand_with(tool())
    calls(hand)
    hand.leg_event(wire.LegGoaway, reason="goaway", time_left_s=60.0)
    hand.sleep(5)
    assert hand.state == "active"
    answers(hand)
    hand.reply("it is red")
    hand.sleep(0.1)
    assert hand.state == "refreshing"


# --- built in


def test_text_content_is_shown_and_never_said() -> None:
    hand = hand_with()
    calls(hand, "c1", OUTPUT_TEXT, text="https://example.org")
    assert "no such tool" in results(hand)[-1][3]
    hand.write("Outputtext", True)
    calls(hand, "c2", OUTPUT_TEXT, text="https://example.org")
    assert effects.ShowText(text="https://example.org") in hand.last
    assert results(hand)[-1][2]
    rows = [(r.role, r.type, r.message) for r in hand.agent.rows if r.role == "assistant"]
    assert rows == [("assistant", "text", "https://example.org")]
    calls(hand, "c3", OUTPUT_TEXT, words="x")
    assert "$.text is missing" in results(hand)[-1][3]
    assert pairs(hand) == {"c1": PAIR, "c2": PAIR, "c3": PAIR}
    # It is no turn: it primes nobody, and nothing is asked of the service for it.
    hand.closed()
    assert hand.dialled[-1].history == []


def test_the_goodbye_is_heard_before_the_session_ends() -> None:
    hand = hand_with(tool())
    hand.user("goodbye")
    calls(hand, "c1", "end_conversation")
    assert hand.state == "armed"
    hand.reply("farewell")
    assert hand.state == "ending"
    assert pairs(hand) == {"c1": PAIR}


def test_a_pedal_executes_nothing() -> None:
    hand = hand_with(tool())
    calls(hand)
    answers(hand, origin=PEDAL)
    assert hand.refused()[0].code == "denied"


def test_a_refused_call_wants_a_reply_like_any_result() -> None:
    hand = hand_with()
    hand.leg_event(wire.ResponseStarted, response="r1")
    calls(hand, "c1", "nothing")
    hand.leg_event(wire.ResponseDone, response="r1", status="completed")
    assert hand.agent.signals(hand.instant)["phase"] == 3
    hand.sleep(30)
    assert hand.callbacks("onError")[-1][:2] == ("provider", "stall")


def test_two_blocking_calls_are_one_wait() -> None:
    hand = hand_with(tool())
    calls(hand, "c1")
    calls(hand, "c2", color="green")
    answers(hand, "c1")
    hand.sleep(9)
    hand.give(inputs.ToolProgress(call_id="nobody", text="", origin=PATCH))
    assert hand.refused()[0].code == "bad_value"
    answers(hand, "c2")
    hand.sleep(29)
    assert hand.callbacks("onError") == []
    hand.sleep(1)
    assert hand.callbacks("onError")[-1][:2] == ("provider", "stall")


def test_a_nonblocking_tool_holds_nothing_up() -> None:
    hand = hand_with(tool(mode="enabled_nonblocking"))
    hand.user("make it red")
    hand.leg_event(wire.ResponseStarted, response="r1")
    calls(hand)
    hand.leg_event(wire.AssistantText, response="r1", item="i", text="in a moment", final=True)
    hand.leg_event(wire.ResponseDone, response="r1", status="completed")
    hand.leg_event(wire.ReplyHeard, response="r1")
    assert hand.agent.signals(hand.instant)["phase"] == 1
    answers(hand)
    assert results(hand) == [(1, "c1", True, "it is red")]
    hand.sleep(300)
    assert hand.callbacks("onError") == []


def meter(hand: Hand, buffered: float = 0.0) -> None:
    """Let network tell that nothing new has come."""
    hand.leg_event(
        wire.Meter, seconds_sent=1.0, seconds_received=1.0, connected_s=1.0,
        response_running=True, rx_age_s=0.1, buffered_s=buffered,
    )  # fmt: skip


def test_a_service_may_wait_for_a_tool_that_need_not_be_waited_for() -> None:
    hand = hand_with(tool(mode="enabled_nonblocking"), settings={"silence_s": 200.0})
    hand.user("make it red")
    hand.leg_event(wire.ResponseStarted, response="r1")
    calls(hand)
    for _ in range(100):
        meter(hand)
        hand.sleep(1)
    assert hand.callbacks("onError") == []
    answers(hand)
    hand.sleep(29)
    assert hand.callbacks("onError") == []
    meter(hand)
    hand.sleep(1)
    meter(hand)
    assert hand.callbacks("onError")[-1][:2] == ("provider", "stall")


def test_a_voice_that_waits_for_a_tool_in_the_middle_of_a_reply_does_not_speak() -> None:
    hand = hand_with(tool())
    hand.user("make it red")
    hand.leg_event(wire.ResponseStarted, response="r1")
    hand.leg_event(wire.AssistantText, response="r1", item="i", text="one moment")
    hand.leg_event(wire.Playing, response="r1", item="i")
    calls(hand)
    shown = []
    for buffered in (0.4, 0.0, 0.0):
        meter(hand, buffered)
        shown.append(speaks(hand))
    answers(hand)
    for buffered in (0.0, 0.8, 0.0):
        meter(hand, buffered)
        shown.append(speaks(hand))
    assert shown == [(1, 4), (0, 3), (0, 3), (0, 3), (1, 4), (1, 4)]
    hand.leg_event(wire.ResponseDone, response="r1", status="completed")
    hand.leg_event(wire.ReplyHeard, response="r1")
    assert speaks(hand) == (0, 1)


def speaks(hand: Hand) -> tuple[float, float]:
    """Return assistant_speaking and phase."""
    signals = hand.agent.signals(hand.instant)
    return signals["assistant_speaking"], signals["phase"]


def test_a_second_goodbye_changes_nothing() -> None:
    hand = hand_with()
    calls(hand, "c1", "end_conversation")
    calls(hand, "c2", "end_conversation")
    assert [r[2] for r in results(hand)] == [True, True]
    hand.sleep(5)
    assert hand.state == "ending"
    calls(hand, "c3", "set_lights")  # Too late: nobody is answered any more.
    assert len(results(hand)) == 2


def test_many_calls_are_forgotten_in_the_end() -> None:
    hand = hand_with(tool(executor=CONFIG, answers=False), settings={"rate": 10_000})
    for n in range(200):
        calls(hand, f"c{n}")
    state = hand.agent._state
    assert len(state.calls.over) == 64
    for n in range(200):
        register(hand, tool("changing", schema=json.dumps({"title": str(n)})))
        calls(hand, f"d{n}", "changing")
        answers(hand, f"d{n}")
    assert len(state.toolbox._schemas) <= 130


def test_a_reply_that_began_before_a_call_stands_before_it() -> None:
    hand = hand_with(tool(), values={("par", "Streamingmode"): "coalesce"})
    hand.leg_event(wire.ResponseStarted, response="r1")
    hand.leg_event(wire.AssistantText, response="r1", item="i", text="let me")
    calls(hand)
    hand.leg_event(wire.AssistantText, response="r1", item="i", text=" see", final=True)
    assert [row.role for row in hand.agent.rows] == ["assistant", "tool"]
    assert [row.index for row in hand.agent.rows] == [0, 1]
