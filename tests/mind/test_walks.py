"""Random walks over one agent: whatever happens in whatever order, these hold.

VOICED_WALKS and VOICED_WALK_STEPS make it longer; VOICED_SHRINK=1 looks for the shortest walk
that fails, which takes minutes.
"""

from __future__ import annotations

import functools
import math
import os

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from voiced.messages import network as wire
from voiced.mind import effects, inputs, journal
from voiced.mind.inputs import Origin
from voiced.mind.parameters import Place
from voiced.mind.profiles import File, parse
from voiced.mind.session import LABELS, Lifecycle

from .hand import OSC, PEDAL, Hand, card

SHELL = Origin(kind="shell", id="1")
ORIGINS = st.sampled_from([OSC, PEDAL, SHELL])
PULSES = (
    "Connect", "Connect", "Disconnect", "Restart", "Stop", "Pause", "Play", "Replay",
    "Resetplayback", "Sendtext", "Resetcostmeter", "Scanproviders", "Initialize", "Shutdown",
    "Forget", "Approvetools", "Denytools", "Applyprofiles",
)  # fmt: skip
WRITES: tuple[tuple[str, wire.Value], ...] = (
    ("Active", True), ("Active", False),
    ("Sessionmode", "continuous"), ("Sessionmode", "one_turn"), ("Sessionmode", "push_to_talk"),
    ("Streamingmode", "live"), ("Streamingmode", "coalesce"), ("Streamingmode", "append"),
    ("Provider", "local"), ("Provider", "timed"), ("Provider", "plain"), ("Provider", "nobody"),
    ("Model", "large"), ("Model", "unheard-of"), ("Voice", "bert"), ("Talkmax", 5), ("Talkmax", 0),
    ("Talktail", 0), ("Talktail", 500), ("Talkconnects", True), ("Bargein", "off"),
    ("Autosessionrefresh", False), ("Refreshwarning", 0), ("Refreshkeep", 0), ("Maxreplayrows", 2),
    ("Volume", 0.5), ("Micgain", 2.0), ("Playbackactive", False), ("Costbudget", 0.05),
    ("Costbudget", 0.0), ("Enableconvdat", False), ("Enableconvdat", True),
    ("Enableusertranscription", False), ("Enableoutputtranscription", False),
    ("Printcallbacks", True), ("Allowendconversation", False), ("Apikey", "secret-words"),
    ("Sessiontracing", False), ("Displayname", "Ada"), ("Approvaltimeout", 5), ("Usetools", False),
    ("Usetools", True), ("Outputtext", True), ("Tool", 1), ("Tool0toolop", "set_lights"),
    ("Tool0mode", "enabled_nonblocking"), ("Tool0mode", "disabled"),
    ("Profile", "night"), ("Profile", "timed,night"), ("Profile", ""), ("Skillscomp", "short"),
)  # fmt: skip
PROFILES = (
    parse("night.json", '{"Sessionmode": "push_to_talk", "Bargein": "off", "Talktail": 0}'),
    parse("timed.json", '{"Provider": "timed", "Model": "large", "Usetools": false}'),
    parse("timed.json", '{"Provider": "local", "Refreshkeep": 0, "Sessionmode": "one_turn"}'),
    parse("night.json", '{"Volum": 1}'),
)
ITEMS = st.sampled_from(["i1", "i2", "i3"])
RESPONSES = st.sampled_from(["r1", "r2"])
WORDS = st.sampled_from(["", "hello", "hello there", "Grüße", "a b c d e f"])
FRAMES = st.integers(0, 10_000_000)
CALLS = st.sampled_from(["c1", "c2", "c3", "c4", "c5", "c6"])
PATCH = Origin(kind="osc", id="127.0.0.1:7001")
LIGHTS = inputs.Tool(
    name="set_lights", description="d", executor=PATCH,
    schema='{"type": "object", "properties": {"level": {"type": "number", "maximum": 1}}}',
)  # fmt: skip
DOOR = inputs.Tool(
    name="open_door", description="d", executor=Origin(kind="config", id="127.0.0.1:8000"),
    schema="{}", confirm=True, silence_s=3.0,
)  # fmt: skip
SECONDS = st.sampled_from([0.0, 0.001, 0.2, 1.0, 3.0, 10.0, 31.0, 60.0, 200.0])


def tool_calls(leg: int) -> st.SearchStrategy[wire.LegMessage]:
    return st.builds(
        wire.ToolCall, agent=st.just("a"), leg=st.just(leg), call_id=CALLS,
        name=st.sampled_from(
            ["set_lights", "set_lights", "open_door", "open_door", "nothing", "end_conversation",
             "output_text_content"]
        ),
        arguments=st.sampled_from(["{}", '{"text": "x"}', '{"level": 0.5}', '{"level": 9}', "{"]),
    )  # fmt: skip


@functools.cache  # Making it costs more than drawing from it.
def leg_events(leg: int) -> st.SearchStrategy[wire.LegMessage]:
    """Anything that an open leg may tell."""

    def of(kind: type[wire.LegMessage], **fields: object) -> st.SearchStrategy[wire.LegMessage]:
        return st.builds(kind, agent=st.just("a"), leg=st.just(leg), **fields)  # type: ignore[arg-type]

    return st.one_of(
        of(wire.SpeechStarted, frame=FRAMES),
        of(wire.SpeechEnded, frame=FRAMES),
        of(wire.UserText, item=ITEMS, text=WORDS, delta=st.booleans(), final=st.booleans(),
           start_frame=st.one_of(st.just(-1), FRAMES), end_frame=st.one_of(st.just(-1), FRAMES)),
        of(wire.UserTurnDropped, item=ITEMS),
        of(wire.TurnsSkipped, seconds=st.just(3.0), to_frame=FRAMES),
        of(wire.ResponseStarted, response=RESPONSES),
        of(wire.AssistantText, response=RESPONSES, item=ITEMS, text=WORDS, delta=st.booleans(),
           final=st.booleans()),
        of(wire.Playing, response=RESPONSES, item=ITEMS),
        of(wire.Heard, response=RESPONSES, item=ITEMS, ms=st.integers(0, 9000),
           chars=st.integers(0, 20), cut=st.booleans()),
        of(wire.ResponseDone, response=RESPONSES,
           status=st.sampled_from(["completed", "cancelled", "failed"])),
        of(wire.ReplyHeard, response=RESPONSES, latency_s=st.sampled_from([-1.0, 0.5])),
        of(wire.Meter, seconds_sent=st.floats(0, 100), seconds_received=st.floats(0, 100),
           connected_s=st.floats(0, 300), response_running=st.booleans(),
           rx_age_s=st.floats(0, 60), buffered_s=st.sampled_from([0.0, 4.0])),
        of(wire.Usage, response=RESPONSES, usd=st.floats(0, 0.02)),
        of(wire.Handle, handle=st.just("opaque")),
        of(wire.LegGoaway, reason=st.sampled_from(["goaway", "cap"]),
           time_left_s=st.sampled_from([0.0, 5.0, 60.0])),
        tool_calls(leg),
        tool_calls(leg),
        of(wire.ToolCancelled, call_id=CALLS),
        of(wire.ProviderSignal, channels=st.just({"timed_joy": 0.5})),
        of(wire.Affect, item=ITEMS, scores=st.just("{}")),
        of(wire.LegTrouble, code=st.just("odd"), sentence=st.just("odd")),
        of(wire.Unsent, sentence=st.just("not sent")),
        of(wire.Expired),
    )  # fmt: skip


class Walk(RuleBasedStateMachine):
    """One agent, one simulated hand."""

    @initialize(
        connect=st.booleans(), muted=st.sampled_from([False, False, True]),
        up=st.sampled_from([True, True, True, False]),
    )  # fmt: skip
    def begin(self, connect: bool, muted: bool, up: bool) -> None:
        self.hand = Hand(
            card("local", text_waits=True),
            card("timed", metering="wallclock", max_session_s=40, resumption="native",
                 key_server="timed", pricing={"small": wire.Price(wallclock_usd_min=0.06)},
                 answers_every_turn=False, response_timeout_s=7.0),
            card("plain", resumption="none", max_session_s=20, pricing={}, models=[]),
            card("broken", available=False, reason="a package is missing: pip install it"),
            tools=inputs.ToolSettings(tools=(DOOR,), rate=6),
        )  # fmt: skip
        self.runs: dict[str, effects.RunTool] = {}
        self.answered: set[tuple[int, str]] = set()
        self.called = self.told_results = 0
        self.gone_legs: set[int] = set()
        self.row_facts: dict[str, tuple[int, str, str]] = {}
        self.journals: dict[str, dict[str, effects.Row]] = {}
        self.spent: dict[str, float] = {}
        self.booked = ("", 0.0)
        self.cut_leg = self.dialled_leg = -1
        self.kept: dict[Place, wire.Value] = {}
        self.starts = self.ends = 0
        self.seen = self.said = 0
        self.hand.give(inputs.Started(connect=connect, muted=muted))
        if up:
            self.hand.network(up=True)

    # --- the operator

    @rule(name=st.sampled_from(PULSES), text=st.one_of(st.none(), WORDS))
    def press(self, name: str, text: str | None) -> None:
        self.hand.press(name, text if name == "Sendtext" else None)

    @rule(write=st.sampled_from(WRITES), origin=ORIGINS)
    def write(self, write: tuple[str, wire.Value], origin: Origin) -> None:
        self.hand.write(*write, origin=origin)

    @rule(origin=ORIGINS, on=st.booleans())
    def talk(self, origin: Origin, on: bool) -> None:
        self.hand.write("Talk", on, origin=origin)

    @rule(origin=ORIGINS)
    def holder_gone(self, origin: Origin) -> None:
        self.hand.give(inputs.HolderGone(origin=origin))

    @rule(on=st.booleans())
    def mute(self, on: bool) -> None:
        self.hand.give(inputs.SetMute(on=on))
        assert not (on and self.hand.gate), "the gate is open while muted"

    @rule(text=WORDS, say=st.booleans())
    def say_or_note(self, text: str, say: bool) -> None:
        kind = inputs.SayText if say else inputs.NoteText
        self.hand.give(kind(text=text, origin=OSC))

    @rule(seconds=SECONDS)
    def sleep(self, seconds: float) -> None:
        self.hand.sleep(seconds)

    @rule(files=st.lists(st.sampled_from(PROFILES), unique_by=lambda file: file.name))
    def files_found(self, files: list[File]) -> None:
        self.hand.give(inputs.FilesFound(what="profiles", folder="/p", files=tuple(files)))

    @rule(seconds=st.sampled_from([-86_400.0, -3.0, 3.0, 86_400.0]))
    def clock_is_set(self, seconds: float) -> None:
        self.hand.wall_set += seconds

    @rule(usd=st.sampled_from([math.inf, math.inf, 1.0, 0.001, 0.0, -0.5]))
    def allowance(self, usd: float) -> None:
        self.hand.give(inputs.SetAllowance(left_usd=usd, sentence="budget.day is spent"))

    # --- the hands

    @rule(there=st.booleans())
    def tool_registers(self, there: bool) -> None:
        if there:
            self.hand.give(inputs.RegisterTool(tool=LIGHTS, origin=PATCH))
        else:
            self.hand.give(inputs.UnregisterTool(name=LIGHTS.name, origin=PATCH))

    @rule(for_good=st.booleans())
    def executor_gone(self, for_good: bool) -> None:
        self.hand.give(inputs.ExecutorGone(origin=PATCH, for_good=for_good))
        running = [r for r in self.pending() if r.executor == PATCH]
        assert not running, "a call waits for an executor that is gone"

    @rule(
        call_id=CALLS,
        ok=st.booleans(),
        how=st.sampled_from(["result", "result", "progress"]),
        origin=st.sampled_from([PATCH, OSC, PEDAL]),
    )
    def tool_answers(self, call_id: str, ok: bool, how: str, origin: Origin) -> None:
        if how == "progress":
            self.hand.give(inputs.ToolProgress(call_id=call_id, text="", origin=origin))
        else:
            self.hand.give(
                inputs.ToolAnswer(call_id=call_id, ok=ok, result="so it is", origin=origin)
            )

    @rule(call_id=CALLS, approve=st.booleans())
    def decides(self, call_id: str, approve: bool) -> None:
        self.hand.give(inputs.DecideTool(call_id=call_id, approve=approve, origin=OSC))

    @precondition(lambda self: bool(self.hand.open_legs))
    @rule(seconds=st.integers(1, 70))
    def silence(self, seconds: int) -> None:
        """The link lives, and the service says nothing."""
        for second in range(seconds):
            self.hand.sleep(1.0)
            if self.hand.open_legs:
                self.hand.leg_event(
                    wire.Meter,
                    seconds_sent=0.0,
                    seconds_received=0.0,
                    connected_s=1.0,
                    response_running=False,
                    rx_age_s=float(second),
                    buffered_s=0.0,
                )

    def pending(self) -> list[effects.RunTool]:
        """Calls that run, as the mind has them."""
        calls = self.hand.agent._state.calls.pending
        return [self.runs[name] for name in calls if name in self.runs]

    @precondition(lambda self: not self.hand.network_up)
    @rule()
    def network_up(self) -> None:
        self.hand.network(up=True)

    @precondition(lambda self: self.hand.network_up)
    @rule()
    def network_lost(self) -> None:
        before, session = self.row_ids(), self.hand.agent.session_id
        self.hand.network(up=False)
        if self.hand.agent.session_id == session:  # Else a remembered Connect cleared the table.
            # What is cut takes its place among them, which may not be the last.
            there = self.row_ids()
            assert [row for row in there if row in before] == before, "a lost hand lost a row"

    @rule(event=st.sampled_from([
        inputs.AudioReady(device="d", samplerate=48_000, echo_free=True),
        inputs.AudioReady(device="d", samplerate=44_100, echo_free=False),
        inputs.AudioLost(sentence="the server died"),
        inputs.AudioAbsent(sentence="no such card"),
        inputs.InferenceLost(sentence="killed"),
        inputs.InferenceReady(),
    ]))  # fmt: skip
    def audio(self, event: inputs.AgentInput) -> None:
        before = self.row_ids()
        self.hand.give(event)
        assert self.row_ids()[: len(before)] == before, "a lost hand lost a row"

    def row_ids(self) -> list[str]:
        return [row.id for row in self.hand.agent.rows]

    @rule(frame=FRAMES)
    def near(self, frame: int) -> None:
        self.hand.give(inputs.NearAt(frame=frame))

    @rule(frame=FRAMES)
    def gate_moved(self, frame: int) -> None:
        self.hand.give(inputs.GateMoved(frame=frame, open=self.hand.gate, serial=1))

    @precondition(lambda self: bool(self.hand.legs - self.hand.open_legs))
    @rule(how=st.sampled_from(["opened", "opened", "opened", "unreachable", "refused", "closed"]))
    def dialled(self, how: str) -> None:
        match how:
            case "opened":
                self.hand.opened("replay" if self.hand.dialled[-1].history else "fresh")
            case "unreachable":
                self.hand.leg_event(wire.LegUnreachable, code="503", sentence="busy")
            case "refused":
                self.hand.leg_event(wire.LegRefused, code="1008", sentence="bad key")
            case "closed":
                self.hand.closed()

    @precondition(lambda self: bool(self.hand.open_legs))
    @rule(data=st.data(), count=st.integers(1, 12))
    def tells(self, data: st.DataObject, count: int) -> None:
        for _ in range(count):
            if self.hand.open_legs:
                self.hand.give(data.draw(leg_events(self.hand.leg)))  # type: ignore[arg-type]

    @rule(words=WORDS, heard=st.booleans())
    def converses(self, words: str, heard: bool) -> None:
        """The usual course, as far as it goes: most of the walks should talk."""
        if not self.hand.network_up:
            self.hand.network(up=True)
        if self.hand.state == "disconnected":
            self.hand.press("Initialize")
            self.hand.write("Provider", "local")
            self.hand.press("Connect")
        if self.hand.legs - self.hand.open_legs:
            self.hand.opened()
        if self.hand.open_legs:
            self.said += 1
            self.hand.user(words, f"u{self.said}", self.said * 1000, self.said * 1000 + 500)
        if self.hand.open_legs:
            self.hand.reply("so you say", f"a{self.said}", heard=heard)

    @precondition(lambda self: bool(self.hand.open_legs))
    @rule()
    def drops(self) -> None:
        self.hand.closed()

    @precondition(lambda self: self.hand.state == "ending")
    @rule()
    def closes(self) -> None:
        self.hand.closed(asked=True)

    @precondition(lambda self: len(self.hand.dialled) > 1)
    @rule(data=st.data())
    def stale(self, data: st.DataObject) -> None:
        leg = data.draw(st.sampled_from(self.hand.dialled[:-1])).leg
        event = data.draw(leg_events(leg))
        before, label = self.hand.agent.rows, self.hand.state
        self.hand.give(event)  # type: ignore[arg-type]
        if any(told[0] == "budget" for told in self.hand.callbacks("onError", self.hand.last)):
            return  # Its bill came late, and was what the budget could not bear.
        assert self.hand.state == label, "an older leg moved the session"
        if not isinstance(event, wire.Heard):
            assert self.hand.agent.rows == before, "an older leg changed rows"

    # --- what holds

    @invariant()
    def everything_holds(self) -> None:
        self.follow()
        for check in (
            self.gate_is_open_only_in_a_session, self.label_is_one_of_six,
            self.starts_and_ends_pair, self.rows_are_unique, self.every_cent_is_booked,
            self.journal_holds_the_table, self.signals_are_numbers, self.every_call_has_an_end,
            self.the_watch_is_bounded,
        ):  # fmt: skip
            check()

    def follow(self) -> None:
        """Take in what the last inputs brought."""
        new, self.seen = self.hand.all[self.seen :], len(self.hand.all)
        for effect in new:
            match effect:
                case effects.RowWritten(row=row) | effects.RowRemoved(row=row):
                    facts = (row.index, row.role, row.session_id)
                    assert self.row_facts.setdefault(row.session_id + row.id, facts) == facts
                    assert "secret-words" not in row.message
                case effects.Callback(name="onSessionStart"):
                    self.starts += 1
                case effects.Callback(name="onError", args=("budget", *_)):
                    self.cut_leg = self.dialled_leg
                case effects.Callback(name="onSessionEnd"):
                    self.ends += 1
                case effects.Spend():
                    assert effect.usd > 0
                    before = self.spent.get(effect.session_id, 0.0)
                    self.spent[effect.session_id] = before + effect.usd
                case effects.ForgetSession():
                    self.journals.pop(effect.session_id, None)
                case effects.Journal():
                    self._journal(effect)
                case effects.Send(message=wire.OpenLeg() as dial):
                    self.dialled_leg = dial.leg
                    assert {row.role for row in dial.history} <= {"user", "assistant"}
                    assert "Apikey" not in dial.parameters
                case effects.Send(message=wire.ToolResult() as given):
                    assert (given.leg, given.call_id) not in self.answered, "answered twice"
                    self.answered.add((given.leg, given.call_id))
                case effects.Send(message=wire.LegMessage() as sent):
                    over = sent.leg == self.cut_leg and not isinstance(sent, wire.CloseLeg)
                    assert not over, f"sent after the budget: {sent}"
                case effects.RunTool():
                    self.runs[effect.call_id] = effect
                    if effect.name == "set_lights":
                        assert '"level":9' not in effect.arguments, "ran unchecked"
                case effects.Callback(name="onToolCall"):
                    self.called += 1
                case effects.Callback(name="onToolResult"):
                    self.told_results += 1
                case effects.Keep(page=page, name=name, value=value):
                    assert value != "secret-words"
                    assert name not in ("Talk", "Inputtext", "Loadsessionfile", "Apikey")
                    self.kept[page, name] = value
                case effects.Told():
                    assert effect.value != "secret-words"
            assert self.ends <= self.starts <= self.ends + 1

    def every_call_has_an_end(self) -> None:
        """Whatever was called waits, or has been told its result: once."""
        state = self.hand.agent._state
        waiting = len(state.calls.pending)
        assert waiting <= 16
        assert self.called - self.told_results == waiting
        if self.hand.state in ("disconnected", "ending"):
            assert waiting == 0
        for call in state.calls.pending.values():
            assert (call.asked_as in self.runs) or call.state.value == "waiting"

    def the_watch_is_bounded(self) -> None:
        watch = self.hand.agent._state.watch
        assert 0 <= watch.refreshed <= 2
        if self.hand.agent.lifecycle is not Lifecycle.OPEN:
            assert watch.owed is None or self.hand.state == "ending"

    def _journal(self, effect: effects.Journal) -> None:
        line = journal.decode(effect.line)
        rows = self.journals.get(effect.session_id)
        if isinstance(line, journal.Began):
            self.journals[effect.session_id] = {}
            return
        assert rows is not None, "the journal does not begin with whose it is"
        if isinstance(line, journal.RowLine):
            rows[line.row.id] = line.row
        if isinstance(line, journal.RowGone):
            del rows[line.id]

    def gate_is_open_only_in_a_session(self) -> None:
        if self.hand.gate:
            assert self.hand.agent.lifecycle in (Lifecycle.OPEN, Lifecycle.REFRESHING)
            assert self.hand.agent.value("par", "Active")

    def label_is_one_of_six(self) -> None:
        assert self.hand.state in LABELS
        assert self.hand.state == self.hand.agent.value("par", "Sessionstate")
        assert (self.hand.state == "active") == (
            self.hand.gate and self.hand.agent.lifecycle is Lifecycle.OPEN
        )

    def starts_and_ends_pair(self) -> None:
        if self.hand.state == "disconnected":
            assert self.starts == self.ends

    def rows_are_unique(self) -> None:
        ids = [row.id for row in self.hand.agent.rows]
        assert len(ids) == len(set(ids))
        indices = [row.index for row in self.hand.agent.rows]
        assert indices == sorted(indices)

    def every_cent_is_booked(self) -> None:
        cost = self.hand.agent._state.cost
        spent = self.spent.get(self.hand.agent.session_id, 0.0)
        assert abs(cost.booked - spent) < 1e-9
        session, before = self.booked
        self.booked = self.hand.agent.session_id, cost.booked
        assert session != self.booked[0] or cost.booked >= before, "what is booked only grows"
        assert cost.pending >= 0

    def journal_holds_the_table(self) -> None:
        rows = self.journals.get(self.hand.agent.session_id)
        if rows is not None and self.hand.agent.value("par", "Sessiontracing"):
            for row in self.hand.agent.rows:
                assert rows.get(row.id) == row

    def signals_are_numbers(self) -> None:
        signals = self.hand.agent.signals(self.hand.instant)
        assert all(isinstance(value, float) for value in signals.values())
        assert signals["phase"] in range(7)

    def teardown(self) -> None:
        """A successor that is given what was kept: nothing is open that nobody opens."""
        if not hasattr(self, "hand"):
            return  # It failed before it began.
        wish, muted = self.kept.get(("par", "Active")), self.hand.agent._state.muted
        after = Hand(card("local"), card("timed", metering="wallclock"), kept=self.kept)
        after.give(inputs.Started(connect=bool(wish), muted=muted))
        after.network(up=True)
        if after.legs:
            after.opened()
        assert not after.agent.value("par", "Talk")
        assert not after.agent.value("par", "Apikey")
        talks = after.agent.value("par", "Sessionmode") == "push_to_talk"
        assert not (after.gate and (muted or talks or not wish)), "open and nobody opened it"


WALKS = int(os.environ.get("VOICED_WALKS", "50"))
ROUND = 250
"""So many walks at a time: what is remembered of them, to make none twice, grows with each."""


@pytest.mark.parametrize("walks", [min(ROUND, WALKS - done) for done in range(0, WALKS, ROUND)])
def test_everything_holds(walks: int) -> None:
    run_state_machine_as_test(
        Walk,
        settings=settings(
            max_examples=walks,
            stateful_step_count=int(os.environ.get("VOICED_WALK_STEPS", "50")),
            deadline=None,
            phases=(Phase.explicit, Phase.reuse, Phase.generate)
            + ((Phase.shrink,) if os.environ.get("VOICED_SHRINK") else ()),
            suppress_health_check=list(HealthCheck),
        ),
    )
