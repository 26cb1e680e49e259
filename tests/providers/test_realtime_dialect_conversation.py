"""A conversation on a workbench: barge-in, tools, turns, and what a second dialect changes."""

from __future__ import annotations

from typing import Any, ClassVar

import msgspec
import pytest

from voiced.messages.network import HistoryRow, ToolDeclaration
from voiced.providers import provider_openai_realtime as provider
from voiced.providers.contract import HeardItem
from voiced.providers.realtime_dialect.client import (
    AudioAppend,
    ItemCreate,
    ItemDelete,
    ItemTruncate,
    MessageItem,
    OutputItem,
    ResponseCancel,
    ResponseCreate,
    SessionUpdate,
)
from voiced.providers.realtime_dialect.conversation import Conversation
from voiced.providers.realtime_dialect.dialect import Bill, ManualTurns

from .openai_hand import LIGHT, Bench, Recorder, kinds, request

SECOND = "AAAA" * (48000 // 3)


class Table:
    """A conversation and both its sides."""

    def __init__(
        self,
        *,
        talk: bool = False,
        tools: tuple[ToolDeclaration, ...] = (LIGHT,),
        dialect: dict[str, Any] | None = None,
        **page: Any,
    ) -> None:
        self.recorder = Recorder()
        live = provider.Live(request(page, tools=tools, push_to_talk=talk), self.recorder)
        self.talk = live.conversation
        if dialect:
            self.talk = Conversation(
                msgspec.structs.replace(provider.DIALECT, **dialect),
                live.conversation.terms,
                self.recorder,
            )
        self.bench = Bench(self.talk)
        self.says("session.updated", session={"id": "sess_1"})

    def says(self, kind: str, **fields: Any) -> None:
        self.talk.take(msgspec.json.encode({"type": kind, **fields}))

    def begins(self, response: str, token: str = "") -> None:
        metadata = {"voiced": token} if token else None
        self.says("response.created", response={"id": response, "metadata": metadata})

    def speaks(self, response: str, item: str, seconds: int = 1, index: int = 0) -> None:
        for _ in range(seconds):
            self.says(
                "response.output_audio.delta", response_id=response, item_id=item,
                content_index=index, delta=SECOND,
            )  # fmt: skip

    def calls(self, response: str, call: str, status: str = "completed", **more: Any) -> None:
        item = {
            "id": f"item_{call}", "type": "function_call", "status": status, "call_id": call,
            "name": "set_light", "arguments": '{"colour":"blue"}', **more,
        }  # fmt: skip
        self.says("response.output_item.done", response_id=response, item=item)

    def ends(self, response: str, status: str = "completed", reason: str = "") -> None:
        details = {"type": status, "reason": reason} if reason else None
        done = {"id": response, "status": status, "status_details": details}
        self.says("response.done", response=done)

    def user_speaks(self, item: str = "item_u", ms: int = 0) -> None:
        self.says("input_audio_buffer.speech_started", audio_start_ms=ms, item_id=item)

    def cut(self, **heard: int) -> None:
        """The loudspeaker is silenced; so many ms were heard of each item."""
        self.recorder.heard = dict(heard)
        running = self.bench.cuts.pop()
        self.talk.heard(self.recorder.cut(), running)

    def sent(self) -> list[str]:
        return kinds(self.bench.sent())


# --- barge-in ---------------------------------------------------------------------------------


def test_a_visitor_who_speaks_cuts_the_item_that_sounds_and_takes_back_the_next() -> None:
    table = Table()
    table.begins("r1")
    table.speaks("r1", "a1", 2)
    table.speaks("r1", "a2", 1)
    table.user_speaks()
    table.cut(a1=620)
    cut, gone = table.bench.sent()
    assert isinstance(cut, ItemTruncate)
    assert isinstance(gone, ItemDelete)
    assert (cut.item_id, cut.content_index, cut.audio_end_ms) == ("a1", 0, 620)
    assert gone.item_id == "a2"
    table.ends("r1", "cancelled", "turn_detected")
    assert table.sent() == []


def test_an_item_heard_to_its_end_stays_whole() -> None:
    table = Table()
    table.begins("r1")
    table.speaks("r1", "a1")
    table.ends("r1")
    table.user_speaks()
    table.cut(a1=1000)
    assert table.bench.sent() == []


def test_no_truncation_goes_beyond_what_came() -> None:
    table = Table()
    table.begins("r1")
    table.says("response.output_audio.delta", response_id="r1", item_id="a1", delta="AAAA" * 16)
    heard = HeardItem(response="r1", item="a1", ms=900, received_ms=900, complete=False)
    table.talk.heard([heard], "r1")
    (cut,) = table.bench.sent()
    assert isinstance(cut, ItemTruncate)
    assert cut.audio_end_ms == 1  # 48 bytes at 24 kHz


def test_an_item_without_a_sound_yet_goes_with_the_reply_that_was_cut() -> None:
    table = Table()
    table.begins("r1")
    item = {"id": "a1", "type": "message"}
    table.says("response.output_item.added", response_id="r1", item=item)
    call = {"id": "f1", "type": "function_call"}
    table.says("response.output_item.added", response_id="r1", item=call)
    table.says("response.output_text.delta", response_id="r1", item_id="t1", delta="Read this.")
    table.user_speaks()
    table.cut()
    (gone,) = table.bench.sent()
    assert isinstance(gone, ItemDelete)
    assert gone.item_id == "a1"


def test_an_item_is_cut_once() -> None:
    table = Table()
    table.begins("r1")
    table.speaks("r1", "a1")
    heard = [HeardItem(response="r1", item="a1", ms=300, received_ms=1000, complete=False)]
    table.talk.interrupted(heard)
    assert table.sent() == ["response.cancel", "conversation.item.truncate"]
    table.talk.heard(heard, "r1")
    table.talk.interrupted(heard)
    assert table.sent() == []


def test_a_second_part_of_an_item_is_cut_as_such() -> None:
    table = Table()
    table.begins("r1")
    table.speaks("r1", "a1", 1)
    table.speaks("r1", "a1", 1, index=1)
    assert {call[2] for call in table.recorder.named("audio")} == {"a1", "a1#1"}
    table.user_speaks()
    table.cut(**{"a1": 1000, "a1#1": 400})
    cut = table.bench.sent()[-1]
    assert isinstance(cut, ItemTruncate)
    assert (cut.item_id, cut.content_index, cut.audio_end_ms) == ("a1", 1, 400)


def test_stragglers_of_a_reply_that_is_over_are_dropped() -> None:
    table = Table()
    table.begins("r1")
    table.ends("r1", "cancelled", "turn_detected")
    before = len(table.recorder.calls)
    table.speaks("r1", "a1")
    table.calls("r1", "c1")
    table.ends("r1")
    table.begins("r1")
    assert len(table.recorder.calls) == before


def test_where_the_service_does_not_stop_itself_it_is_stopped() -> None:
    table = Table(interrupt_response=False)
    table.begins("r1")
    table.user_speaks()
    assert table.sent() == ["response.cancel"]


def test_where_visitors_may_not_interrupt_nothing_is_cut() -> None:
    table = Table(Bargein="off")
    table.begins("r1")
    table.user_speaks()
    assert table.bench.cuts == []
    assert table.sent() == []


def test_a_reply_that_was_stopped_before_it_began_is_never_heard() -> None:
    table = Table()
    table.talk.text("Hello?")
    table.talk.interrupted([])
    assert table.sent() == ["conversation.item.create", "response.create"]
    table.begins("r1", "rc_1")
    table.speaks("r1", "a1")
    cancel = table.bench.sent()[0]
    assert isinstance(cancel, ResponseCancel)
    assert cancel.response_id == "r1"
    table.ends("r1", "cancelled", "client_cancelled")
    assert table.recorder.named("response_started", "audio", "response_done") == []


def test_a_reply_whose_end_was_lost_ends_with_the_next_beginning() -> None:
    table = Table()
    table.begins("r1")
    table.begins("r2")
    assert table.recorder.named("response_started", "response_done") == [
        ("response_started", "r1"),
        ("response_done", "r1", "cancelled"),
        ("response_started", "r2"),
    ]


def test_a_reply_whose_beginning_was_lost_begins_with_its_first_sound() -> None:
    table = Table()
    table.speaks("r1", "a1")
    assert [call[0] for call in table.recorder.calls] == ["response_started", "audio"]


# --- tools ------------------------------------------------------------------------------------


def test_results_wait_for_the_reply_and_one_answer_follows_the_last() -> None:
    table = Table()
    table.begins("r1")
    table.calls("r1", "c1")
    table.calls("r1", "c1")
    table.calls("r1", "c2")
    assert [call[1] for call in table.recorder.named("tool_call")] == ["c1", "c2"]
    table.talk.result("c2", "set_light", True, "two")
    assert table.sent() == []
    table.ends("r1")
    assert table.sent() == ["conversation.item.create"]
    table.talk.result("c1", "set_light", False, 'no "red" here')
    table.talk.result("c1", "set_light", True, "again")
    output, ask = table.bench.sent()
    assert isinstance(output, ItemCreate)
    assert isinstance(output.item, OutputItem)
    assert (output.item.call_id, output.item.output) == ("c1", r'{"error":"no \"red\" here"}')
    assert isinstance(ask, ResponseCreate)


def test_calls_of_an_interrupted_reply_are_cancelled_and_not_left_hanging() -> None:
    table = Table()
    table.begins("r1")
    table.calls("r1", "c1")
    table.calls("r1", "c2")
    table.calls("r1", "c3", status="incomplete")
    table.talk.result("c1", "set_light", True, "done")
    table.ends("r1", "cancelled", "turn_detected")
    assert table.recorder.named("tool_cancelled") == [("tool_cancelled", "c2")]
    first, second = table.bench.sent()
    assert isinstance(first, ItemCreate)
    assert isinstance(second, ItemCreate)
    assert isinstance(first.item, OutputItem)
    assert isinstance(second.item, OutputItem)
    assert (first.item.output, second.item.output) == ("done", "CANCELLED")
    table.talk.result("c2", "set_light", True, "too late")
    assert table.sent() == []


def outputs(table: Table) -> list[tuple[str, str]]:
    """Return (call, result) of what was sent since the last look, a request as ("", "")."""
    found = []
    for event in table.bench.sent():
        if isinstance(event, ItemCreate) and isinstance(event.item, OutputItem):
            found.append((event.item.call_id, event.item.output))
        elif isinstance(event, ResponseCreate):
            found.append(("", ""))
    return found


@pytest.mark.parametrize("talk", [False, True])
def test_a_visitor_does_not_wait_for_results(talk: bool) -> None:
    table = Table(talk=talk)
    table.begins("r1")
    for call in ("c1", "c2"):
        table.calls("r1", call)
    table.ends("r1")
    table.talk.result("c1", "set_light", True, "done")
    if talk:
        table.talk.hearing.activity(True)
    else:
        table.user_speaks()
    assert table.recorder.named("tool_cancelled") == [("tool_cancelled", "c2")]
    assert outputs(table) == [("c1", "done"), ("c2", "CANCELLED")]
    table.talk.result("c2", "set_light", True, "too late")
    assert outputs(table) == []


@pytest.mark.parametrize("blocking", [False, True])
def test_a_call_goes_on_that_nobody_waits_for_or_may_interrupt(blocking: bool) -> None:
    tool = msgspec.structs.replace(LIGHT, blocking=blocking)
    table = Table(tools=(tool,), **({"Bargein": "off"} if blocking else {}))
    table.begins("r1")
    table.calls("r1", "c1")
    table.ends("r1")
    table.bench.sent()
    table.user_speaks()
    assert table.recorder.named("tool_cancelled") == []
    table.talk.result("c1", "set_light", True, "done")
    assert table.sent()


def test_typed_words_are_answered_with_the_results_that_come_soon() -> None:
    table = Table()
    table.begins("r1")
    for call in ("c1", "c2"):
        table.calls("r1", call)
    table.ends("r1")
    table.talk.text("And the door.")
    table.talk.result("c1", "set_light", True, "one")
    assert outputs(table) == [("c1", "one")], "asked for nothing before all results are there"
    table.talk.result("c2", "set_light", True, "two")
    assert outputs(table) == [("c2", "two"), ("", "")]
    table.bench.pass_time()
    assert outputs(table) == []


def test_typed_words_do_not_wait_for_ever() -> None:
    table = Table()
    table.begins("r1")
    table.calls("r1", "c1")
    table.talk.text("And the door.")
    table.ends("r1")
    assert outputs(table) == []
    table.bench.pass_time()
    assert table.recorder.named("tool_cancelled") == [("tool_cancelled", "c1")]
    assert outputs(table) == [("c1", "CANCELLED"), ("", "")]


@pytest.mark.parametrize("blocking", [True, False])
def test_arguments_that_do_not_parse_are_told_and_answered_by_who_counts_the_calls(
    blocking: bool,
) -> None:
    table = Table(tools=(msgspec.structs.replace(LIGHT, blocking=blocking),))
    table.begins("r1")
    table.calls("r1", "c1", arguments='{"colour":')
    table.ends("r1")
    assert table.recorder.named("tool_call") == [
        ("tool_call", "c1", "set_light", '"{\\"colour\\":"')
    ]
    (trouble,) = table.recorder.named("trouble")
    assert trouble[1] == "bad_arguments"
    assert "set_light" in trouble[2]
    assert table.bench.sent() == [], "each answer brings a reply, and another call"
    table.talk.result("c1", "set_light", False, "no object")
    output = table.bench.sent()[0]
    assert isinstance(output, ItemCreate)
    assert isinstance(output.item, OutputItem)
    assert "error" in output.item.output


def test_a_call_that_is_told_at_the_reply_s_end_alone_is_made() -> None:
    table = Table()
    table.begins("r1")
    item = {"type": "function_call", "status": "completed", "call_id": "c1", "name": "set_light",
            "arguments": "{}"}  # fmt: skip
    table.says("response.done", response={"id": "r1", "status": "completed", "output": [item]})
    assert table.recorder.named("tool_call") == [("tool_call", "c1", "set_light", "{}")]
    table.talk.result("c1", "set_light", True, "ok")
    assert table.sent() == ["conversation.item.create", "response.create"]


@pytest.mark.parametrize("early", [True, False])
def test_a_tool_that_is_not_waited_for_is_answered_at_once_and_again(early: bool) -> None:
    patient = msgspec.structs.replace(LIGHT, blocking=False)
    table = Table(tools=(patient,))
    table.begins("r1")
    table.calls("r1", "c1")
    if early:
        table.talk.result("c1", "set_light", True, "It is blue.")
    table.ends("r1")
    started = table.bench.sent()
    if not early:
        assert kinds(started) == ["conversation.item.create", "response.create"]
        table.talk.result("c1", "set_light", True, "It is blue.")
        started += table.bench.sent()
    assert isinstance(started[0], ItemCreate)
    assert isinstance(started[0].item, OutputItem)
    assert started[0].item.output == '{"status":"started"}'
    words = [e.item for e in started if isinstance(e, ItemCreate)][-1]
    assert isinstance(words, MessageItem)
    assert "It is blue." in msgspec.json.encode(words).decode()
    assert words.role == "system"


def test_a_result_of_an_older_connection_comes_as_words() -> None:
    table = Table()
    table.talk.result("c_old", "set_light", True, "It is blue.")
    item, ask = table.bench.sent()
    assert isinstance(item, ItemCreate)
    assert isinstance(item.item, MessageItem)
    assert isinstance(ask, ResponseCreate)


# --- turns ------------------------------------------------------------------------------------


def test_typed_text_waits_while_the_visitor_speaks_and_is_answered_with_the_turn() -> None:
    table = Table()
    table.user_speaks()
    table.talk.text("Look here.")
    (item,) = table.bench.sent()
    assert isinstance(item, ItemCreate)
    table.says("conversation.item.added", item={"id": item.event_id, "type": "message"})
    table.says("input_audio_buffer.speech_stopped", audio_end_ms=900, item_id="item_u")
    table.begins("r1")
    table.ends("r1")
    assert table.sent() == []


def test_typed_text_is_answered_where_the_turn_is_not() -> None:
    table = Table()
    table.user_speaks()
    table.talk.text("Look here.")
    table.says("input_audio_buffer.speech_stopped", audio_end_ms=900, item_id="item_u")
    assert table.sent() == ["conversation.item.create"]
    table.bench.pass_time()
    assert table.sent() == ["response.create"]


def test_positions_count_what_the_microphone_sent() -> None:
    table = Table()
    table.talk.hearing.hear(bytes(48000))
    table.user_speaks("u1", 400)
    table.talk.hearing.activity(False)  # muted within a word: silence lets the service find its end
    silence = table.bench.sent()[-1]
    assert isinstance(silence, AudioAppend)
    assert len(silence.audio) == 48 * 800
    table.talk.hearing.hear(bytes(48000))
    table.says("input_audio_buffer.speech_stopped", audio_end_ms=1500, item_id="u1")
    table.user_speaks("u2", 2000)
    assert table.recorder.named("speech_started")[0][1] == 9600
    assert table.recorder.named("speech_ended")[0][1] == 24000
    assert table.recorder.named("speech_started")[1][1] == 24000 + 4800


def test_a_turn_by_talk_clears_streams_commits_and_asks() -> None:
    table = Table(talk=True)
    table.begins("r1")
    table.talk.hearing.activity(True)
    for _ in range(5):
        table.talk.hearing.hear(bytes(960))
    table.talk.hearing.activity(False)
    assert table.sent() == [
        "response.cancel",
        "input_audio_buffer.clear",
        *["input_audio_buffer.append"] * 5,
        "input_audio_buffer.commit",
    ]
    table.ends("r1", "cancelled", "client_cancelled")
    assert table.sent() == ["response.create"]
    table.says("input_audio_buffer.committed", item_id="u1")
    transcription = "conversation.item.input_audio_transcription"
    table.says(f"{transcription}.completed", item_id="u1", transcript="Hello.")
    assert table.recorder.named("user_text") == [("user_text", "u1", "Hello.", False, True)]


def test_a_press_of_less_than_a_tenth_of_a_second_is_none() -> None:
    table = Table(talk=True)
    table.talk.hearing.activity(True)
    for _ in range(4):
        table.talk.hearing.hear(bytes(960))
    table.talk.hearing.activity(False)
    assert table.sent()[-1] == "input_audio_buffer.clear"
    assert len(table.recorder.named("user_turn_dropped")) == 1


def test_nothing_is_asked_for_while_talk_is_held() -> None:
    table = Table(talk=True)
    table.talk.hearing.activity(True)
    table.talk.text("Hello?")
    assert "response.create" not in table.sent()
    table.talk.hearing.activity(False)
    assert table.sent() == ["input_audio_buffer.clear", "response.create"]


def test_without_detection_the_gate_s_edges_are_the_turns() -> None:
    table = Table(turn_detection="none")
    table.talk.hearing.activity(True)
    table.talk.hearing.hear(bytes(9600))
    table.talk.hearing.activity(False)
    assert table.recorder.named("speech_started", "speech_ended") == [
        ("speech_started", 0),
        ("speech_ended", 4800),
    ]
    assert table.sent()[-2:] == ["input_audio_buffer.commit", "response.create"]


def test_words_are_dropped_where_nobody_spoke_them() -> None:
    table = Table()
    kind = "conversation.item.input_audio_transcription.completed"
    table.says(kind, item_id="u1", transcript=" ")
    table.says("input_audio_buffer.timeout_triggered", item_id="u2")
    table.says(kind, item_id="u2", transcript="")
    assert [call[1] for call in table.recorder.named("user_turn_dropped")] == ["u1"]


def test_turns_that_nobody_writes_down_are_over_with_the_answer() -> None:
    table = Table(transcription_model="off")
    table.user_speaks("u1", 0)
    table.says("input_audio_buffer.speech_stopped", audio_end_ms=900, item_id="u1")
    table.begins("r1")
    assert table.recorder.named("user_turn_dropped") == []
    table.ends("r1")
    assert [call[1] for call in table.recorder.named("user_turn_dropped")] == ["u1"]


def test_what_changes_between_replies_alone_waits_for_the_end() -> None:
    table = Table()
    table.begins("r1")
    table.talk.update({"type": "realtime"}, between_replies=True)
    assert table.bench.sent() == []
    table.talk.text("Hello?")
    table.bench.sent()
    table.ends("r1")
    update, ask = table.bench.sent()
    assert isinstance(update, SessionUpdate)
    assert isinstance(ask, ResponseCreate)


def test_words_to_be_said_come_one_after_the_other() -> None:
    table = Table()
    table.talk.say("One.")
    table.talk.say("Two.")
    (first,) = table.bench.sent()
    assert isinstance(first, ResponseCreate)
    assert "One." in str(first.response.instructions)
    assert first.response.input == []
    assert first.response.tool_choice == "none"
    table.begins("r1", "rc_1")
    table.ends("r1")
    (second,) = table.bench.sent()
    assert "Two." in str(second)


# --- what another dialect changes -------------------------------------------------------------


def test_a_truncation_that_is_taken_late_waits_for_the_end() -> None:
    table = Table(dialect={"truncates_at_once": False, "stops_itself": False})
    table.begins("r1")
    table.speaks("r1", "a1")
    table.user_speaks()
    table.cut(a1=500)
    assert table.sent() == ["response.cancel"]
    table.ends("r1", "cancelled")
    assert table.sent() == ["conversation.item.truncate"]


def test_a_cancelled_reply_that_never_ends_is_given_up() -> None:
    table = Table(dialect={"done_within_s": 1.0})
    table.begins("r1")
    table.talk.interrupted([])
    table.talk.text("And now?")
    table.bench.sent()
    assert table.bench.timers[0][0] == 1.0
    table.bench.pass_time()
    assert table.recorder.ended == {"r1": "cancelled"}
    assert table.sent() == ["response.create"]


def test_a_request_that_is_dropped_is_made_again() -> None:
    table = Table(dialect={"taken_within_s": 0.7})
    table.talk.text("Hello?")
    table.bench.sent()
    table.bench.pass_time()
    assert table.sent() == ["response.create"]


def test_final_words_that_come_several_times_count_when_the_answer_comes() -> None:
    table = Table(dialect={"finals_at_once": False})
    kind = "conversation.item.input_audio_transcription"
    table.says(f"{kind}.updated", item_id="u1", transcript="Hello")
    table.says(f"{kind}.completed", item_id="u1", transcript="Hello there")
    table.says(f"{kind}.completed", item_id="u1", transcript="Hello there, house.")
    table.begins("r1")
    assert not any(call[4] for call in table.recorder.named("user_text"))
    table.speaks("r1", "a1")
    table.says(f"{kind}.completed", item_id="u1", transcript="Hello there, house!")
    assert table.recorder.named("user_text")[-1] == (
        "user_text", "u1", "Hello there, house.", False, True,
    )  # fmt: skip


def test_the_answer_to_history_waits_until_the_connection_counts_as_open() -> None:
    table = Table()
    table.talk.prime([HistoryRow(role="user", text="Hello?")], True)
    (item,) = table.bench.sent()
    assert isinstance(item, ItemCreate)
    table.says("conversation.item.added", item={"id": item.event_id, "type": "message"})
    assert table.bench.is_primed
    assert table.bench.sent() == []
    table.talk.release_answer()
    assert table.sent() == ["response.create"]


def test_a_room_that_is_never_quiet_does_not_hold_up_what_was_typed() -> None:
    table = Table()
    table.user_speaks()
    table.talk.text("Look here.")
    assert table.sent() == ["conversation.item.create"]
    table.bench.pass_time()
    assert table.sent() == ["response.create"]


def test_a_turn_that_is_only_listened_to_is_no_stall() -> None:
    table = Table(create_response=False)
    table.user_speaks()
    table.talk.text("Look here.")
    assert table.sent() == ["conversation.item.create", "response.create"]
    table.says("input_audio_buffer.speech_stopped", audio_end_ms=900, item_id="item_u")
    assert [call[0] for call in table.recorder.calls][-2:] == ["response_started", "response_done"]
    assert not table.talk.responses.active


def test_the_account_of_a_reply_that_was_taken_for_over_still_counts() -> None:
    table = Table()
    table.begins("r1")
    table.begins("r2")
    usage = {"input_tokens": 1000, "output_tokens": 10}
    for _ in range(2):
        table.says("response.done", response={"id": "r1", "status": "cancelled", "usage": usage})
    assert [call[1] for call in table.recorder.named("usage")] == ["r1"]
    assert table.talk.responses.active == "r2"


def test_a_turn_that_goes_on_under_its_name_begins_once() -> None:
    table = Table()
    table.user_speaks("u1", 0)
    table.says("input_audio_buffer.speech_stopped", audio_end_ms=10, item_id="u1")
    table.begins("r1")
    table.user_speaks("u1", 20)
    table.says("input_audio_buffer.speech_stopped", audio_end_ms=30, item_id="u1")
    table.begins("r2")
    assert len(table.recorder.named("speech_started")) == 1
    assert len(table.recorder.named("speech_ended")) == 2
    assert len(table.bench.cuts) == 2


def test_an_item_that_is_billed_apart_is_told_beside_the_replies() -> None:
    table = Table(dialect={"bill_item": lambda talk, item: Bill(0.004, "a text")})
    table.talk.text("Hello?")
    assert table.recorder.named("usage") == [("usage", "it_1", 0.004, "a text", True)]


def test_push_to_talk_of_another_kind_hears_of_replies() -> None:
    class Turns(ManualTurns):
        heard: ClassVar[list[str]] = []

        def reply_begins(self) -> None:
            self.heard.append("begins")

        def reply_over(self) -> None:
            assert not self.conversation.responses.active
            self.heard.append("over")

        def speech_heard(self) -> None:
            self.heard.append("speech")

    table = Table(talk=True, dialect={"manual_turns": Turns})
    table.user_speaks()
    table.begins("r1")
    table.ends("r1")
    assert Turns.heard == ["speech", "begins", "over"]


def test_a_reply_without_our_metadata_is_ours_where_nobody_spoke() -> None:
    table = Table()
    table.talk.text("Hello?")
    table.begins("r1")
    table.ends("r1")
    assert not table.talk.responses.busy
    assert table.sent() == ["conversation.item.create", "response.create"]
    table.talk.text("And now?")
    table.user_speaks()
    table.begins("r2")
    table.ends("r2")
    assert table.talk.responses.requested == "rc_2"
